//! Whatever comes in whatever order.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const OPERATORS: u8 = 4;

/// What may happen next; the scene makes inputs of it as a driver would.
#[derive(Clone, Debug)]
enum Move {
    /// So many blocks pass.
    Blocks(u64),
    /// A registered operator leaves, another one registers.
    Toggle(u8),
    Join(u8),
    /// Whether the operator has enough weight from the next epoch on.
    Weigh(u8, bool),
    /// A task closes; whose bits are set have signed, or refused.
    Close(u8, u8),
    Reinstate(u8),
}

fn any_move() -> impl Strategy<Value = Move> {
    let operator = || 1..=OPERATORS;
    prop_oneof![
        3 => (1_u64..150).prop_map(Move::Blocks),
        3 => operator().prop_map(Move::Toggle),
        3 => operator().prop_map(Move::Join),
        1 => (operator(), any::<bool>()).prop_map(|(n, heavy)| Move::Weigh(n, heavy)),
        6 => (0_u8..16, 0_u8..16).prop_map(|(signed, refused)| Move::Close(signed, refused)),
        1 => operator().prop_map(Move::Reinstate),
    ]
}

/// A home chain and a driver that follows it.
struct Scene {
    block: u64,
    /// Effective epochs of the registrations (true) and exits (false) of each operator.
    history: [Vec<(Epoch, bool)>; OPERATORS as usize],
    heavy: [bool; OPERATORS as usize],
    /// Everything that the chain said, in order.
    chain: Vec<Input>,
    now: u64,
}

impl Scene {
    const fn new() -> Self {
        Self {
            block: 0,
            history: [const { Vec::new() }; OPERATORS as usize],
            heavy: [true; OPERATORS as usize],
            chain: Vec::new(),
            now: 0,
        }
    }

    fn epoch(&self) -> Epoch {
        SCHEDULE.epoch_at(self.block)
    }

    /// By the rule of the contract: the last change that is effective.
    fn is_registered(&self, number: u8) -> bool {
        let history = &self.history[usize::from(number - 1)];
        let effective = history.iter().rfind(|(epoch, _)| *epoch <= self.epoch());
        effective.is_some_and(|(_, registered)| *registered)
    }

    fn set(&self) -> Arc<OperatorSet> {
        let weight = |n: u8| u64::from(self.heavy[usize::from(n - 1)] && self.is_registered(n));
        let weights: Vec<u64> = (1..=OPERATORS).map(weight).collect();
        set_of(self.epoch().0, &weights)
    }

    fn play(&mut self, next: Move) -> Vec<Input> {
        self.now += 1;
        match next {
            Move::Blocks(blocks) => {
                let before = self.epoch();
                self.block += blocks;
                if self.epoch() == before {
                    return vec![];
                }
                let (set, block) = (self.set(), self.block);
                vec![Input::EpochBegan { set, block }]
            }
            Move::Toggle(number) => self.toggle(number),
            Move::Join(number) => vec![joined(number, self.now)],
            Move::Weigh(number, heavy) => {
                self.heavy[usize::from(number - 1)] = heavy;
                vec![]
            }
            Move::Close(signed, refused) => {
                let who = |bits: u8| (1..=OPERATORS).filter(move |n| bits >> (n - 1) & 1 == 1);
                vec![Input::TaskClosed(ClosedTask {
                    task: TaskId(B256::ZERO),
                    began: at(self.now),
                    asked: self.set(),
                    signed: who(signed).map(operator).collect(),
                    refused: who(refused & !signed).map(operator).collect(),
                })]
            }
            Move::Reinstate(number) => vec![reinstated(number)],
        }
    }

    fn toggle(&mut self, number: u8) -> Vec<Input> {
        self.block += 1;
        // The driver tells the events of a block before the epoch that it begins.
        let epoch = SCHEDULE.effective_epoch(self.block);
        let begins = self.epoch() > SCHEDULE.epoch_at(self.block - 1);
        let history = &mut self.history[usize::from(number - 1)];
        let registered = history.last().is_none_or(|(_, registered)| !registered);
        history.push((epoch, registered));
        let event = if registered {
            super::registered(number, self.block)
        } else {
            deregistered(number, self.block)
        };
        self.chain.push(event.clone());
        let (set, block) = (self.set(), self.block);
        let epoch = begins.then_some(Input::EpochBegan { set, block });
        [event].into_iter().chain(epoch).collect()
    }
}

/// The arrows of the picture in `lifecycle.rs`.
fn is_an_arrow(from: Option<OperatorStatus>, to: OperatorStatus, cause: Cause) -> bool {
    matches!(
        (from, to, cause),
        (None | Some(Unactive), WaitingJoin, Cause::Registered)
            | (Some(WaitingJoin), WaitingActive, Cause::Joined)
            | (Some(WaitingActive | Unactive), Active, Cause::EpochBegan)
            | (
                Some(WaitingActive | Active | Suspended),
                Unactive,
                Cause::BelowMinimum
            )
            | (Some(Active), Suspended, Cause::Missed)
            | (
                Some(Suspended),
                Active,
                Cause::Reinstated | Cause::EpochBegan
            )
            | (Some(_), Unactive, Cause::Deregistered)
    )
}

/// What the event log says of every operator.
#[derive(Default)]
struct Log(BTreeMap<Address, (OperatorStatus, Cause)>);

impl Log {
    /// The log tells one story, by the arrows, and it is what the records say.
    fn check(&mut self, machine: &Membership, outputs: &[Output]) -> Result<(), TestCaseError> {
        let mut kept = BTreeSet::new();
        for output in outputs {
            match output {
                Output::Keep(member) => {
                    prop_assert_eq!(machine.get(member.operator), Some(member));
                    kept.insert(member.operator);
                }
                Output::Bound { operator, .. } => prop_assert!(kept.contains(operator)),
                Output::Transition(t) => {
                    prop_assert!(kept.contains(&t.operator), "said before it was written");
                    let before = self.0.insert(t.operator, (t.to, t.cause));
                    prop_assert_eq!(t.from, before.map(|(status, _)| status));
                    prop_assert!(is_an_arrow(t.from, t.to, t.cause), "{:?}", t);
                }
            }
        }
        for member in machine.members() {
            let last = self.0.get(&member.operator).copied();
            prop_assert_eq!(last, Some((member.status, member.cause)));
            holds_together(member)?;
        }
        Ok(())
    }
}

fn holds_together(member: &Member) -> Result<(), TestCaseError> {
    let joined = matches!(member.status, WaitingActive | Active | Suspended);
    prop_assert!(!joined || member.binding.is_some(), "{:?}", member);
    let gone = (member.status, member.cause) == (Unactive, Cause::Deregistered);
    prop_assert!(!gone || member.binding.is_none() && member.misses == 0);
    prop_assert!(member.status != WaitingJoin || member.binding.is_none());
    prop_assert!(member.status != Active || member.misses < MANUAL.misses);
    prop_assert!(member.changes.is_sorted_by(|a, b| a.epoch < b.epoch));
    prop_assert!(member.changes.len() <= 4);
    Ok(())
}

fn counts(machine: &Membership) -> BTreeMap<Address, (OperatorStatus, u32, u64)> {
    let counts = |m: &Member| (m.operator, (m.status, m.misses, m.successful_responses));
    machine.members().map(counts).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_log_tells_one_story(moves in vec(any_move(), 1..120), forgiving: bool) {
        let policy = if forgiving { NEXT_EPOCH } else { MANUAL };
        let (mut scene, mut log) = (Scene::new(), Log::default());
        let mut machine = Membership::new(policy);
        machine.handle(at(0), Input::EpochBegan { set: scene.set(), block: 0 }).expect("taken");
        for next in moves {
            for input in scene.play(next.clone()) {
                let before = counts(&machine);
                let closed = matches!(input, Input::TaskClosed(_));
                let now = at(scene.now);
                if let Ok(outputs) = machine.handle(now, input) {
                    log.check(&machine, &outputs)?;
                }
                // Only who is active is counted.
                let after = counts(&machine);
                for (operator, (status, ..)) in before.iter().filter(|_| closed) {
                    prop_assert!(*status == Active || before[operator] == after[operator]);
                }
            }
            exit_beats_everything(&scene, &machine)?;
        }
    }

    /// After a restart the driver restores what was kept, tells the epoch again and any blocks
    /// that it is not sure of: nothing changes, and everything goes on as it would have.
    #[test]
    fn a_restart_changes_nothing(
        before in vec(any_move(), 1..80),
        after in vec(any_move(), 1..40),
        from: prop::sample::Index,
        forgiving: bool,
    ) {
        let policy = if forgiving { NEXT_EPOCH } else { MANUAL };
        let mut scene = Scene::new();
        let mut machine = Membership::new(policy);
        let mut current = Input::EpochBegan { set: scene.set(), block: 0 };
        machine.handle(at(0), current.clone()).expect("taken");
        for next in before {
            for input in scene.play(next) {
                if matches!(input, Input::EpochBegan { .. }) {
                    current = input.clone();
                }
                let _ = machine.handle(at(scene.now), input);
            }
        }
        let mut again = Membership::restore(policy, machine.members().cloned());
        let replayed = scene.chain.iter().skip(from.index(scene.chain.len() + 1));
        for input in replayed.clone().chain([&current]).chain(replayed.clone()) {
            prop_assert_eq!(again.handle(at(scene.now), input.clone()), Ok(vec![]));
        }
        prop_assert!(again.members().eq(machine.members()));
        prop_assert_eq!(again.state_hash(), machine.state_hash());
        for next in after {
            for input in scene.play(next) {
                let now = at(scene.now);
                let expected = machine.handle(now, input.clone());
                let heard = again.handle(now, input);
                prop_assert_eq!(without_blocks(heard), without_blocks(expected));
            }
        }
    }

    /// Inputs that no chain could give: it may be nonsense, but it holds together.
    #[test]
    fn nonsense_does_no_harm(inputs in vec((0_u64..50, wild()), 1..100)) {
        let (mut machine, mut log, mut now) = (Membership::new(MANUAL), Log::default(), 0);
        for (pause, input) in inputs {
            now += pause;
            let before: Vec<Member> = machine.members().cloned().collect();
            match machine.handle(at(now), input) {
                Ok(outputs) => log.check(&machine, &outputs)?,
                Err(_) => prop_assert!(machine.members().eq(&before)),
            }
        }
    }
}

/// A registry that was restored knows a block number only from what was kept.
fn without_blocks(result: Result<Vec<Output>, Refused>) -> Result<Vec<Output>, Refused> {
    let mut outputs = result?;
    for output in &mut outputs {
        if let Output::Transition(transition) = output {
            transition.block = 0;
        }
    }
    Ok(outputs)
}

fn exit_beats_everything(scene: &Scene, machine: &Membership) -> Result<(), TestCaseError> {
    for number in 1..=OPERATORS {
        let Some(member) = machine.get(operator(number)) else {
            continue;
        };
        let serves = matches!(member.status, Active | Suspended);
        prop_assert!(!serves || scene.is_registered(number), "{:?}", member);
        let light = (member.status, member.cause) == (Unactive, Cause::BelowMinimum);
        prop_assert!(!light || scene.is_registered(number), "{:?}", member);
    }
    Ok(())
}

fn wild() -> impl Strategy<Value = Input> {
    let log = || (0_u64..50, 0_u32..3).prop_map(|(block, index)| LogPosition { block, index });
    let event = || (1..=OPERATORS, log(), (0_u32..9).prop_map(Epoch));
    let close = (0_u32..9, 0_u64..2_000, 0_u8..16);
    prop_oneof![
        2 => event().prop_map(|(n, log, active_epoch)| Input::Registered {
            operator: operator(n),
            log,
            active_epoch,
        }),
        2 => event().prop_map(|(n, log, exit_epoch)| Input::Deregistered {
            operator: operator(n),
            log,
            exit_epoch,
        }),
        2 => (1..=OPERATORS, 0_u64..5).prop_map(|(n, sequence)| joined(n, sequence)),
        2 => (0_u32..9, [0_u64..3, 0..3, 0..3, 1..3]).prop_map(|(e, weights)| began(e, &weights)),
        3 => close.prop_map(|(epoch, began, bits)| {
            let signed: Vec<u8> = (1..=4).filter(|n| bits >> (n - 1) & 1 == 1).collect();
            closed(epoch, began, &signed)
        }),
        1 => (1..=OPERATORS).prop_map(reinstated),
    ]
}
