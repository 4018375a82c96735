//! Whatever happens in whatever order, each delivery ends, each nonce is closed, and nothing is paid twice.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What may happen next.
#[derive(Clone, Debug)]
enum Move {
    Queue(u8, Kind, u8),
    /// Milliseconds pass.
    Pass(u64),
    /// One effect is done, and its answer may get lost.
    Perform(usize, bool),
    /// All of them are.
    Settle,
    Mine,
    Reorg(usize, bool),
    DropOne(usize),
    UseKey,
    Fee(u128),
    /// Whoever is asked is so many blocks behind.
    Lag(usize),
    Providers(Vec<Provider>),
    /// The process ends; what it last wanted was not written yet.
    Crash(bool),
    Withdraw(u8),
    Retry(u8),
    Pause(bool),
}

fn any_kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        6 => Just(Kind::Good),
        1 => Just(Kind::Reverts),
        1 => Just(Kind::RevertsLate),
        1 => Just(Kind::Hungry),
        1 => Just(Kind::Hopeless),
        1 => Just(Kind::Rejected),
    ]
}

fn any_class() -> impl Strategy<Value = Class> {
    prop::sample::select(vec![
        Class::Unreachable,
        Class::Underpriced,
        Class::NonceUsed,
        Class::Funds,
        Class::Rejected,
        Class::Taken,
        Class::Hopeless,
    ])
}

fn any_provider() -> impl Strategy<Value = Provider> {
    prop_oneof![
        2 => Just(Provider::Honest),
        1 => Just(Provider::Drops),
        1 => (any_class(), any::<bool>()).prop_map(|(class, takes)| Provider::Says(class, takes)),
    ]
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        6 => (1_u8..30, any_kind(), 0_u8..3).prop_map(|(n, kind, priority)| Move::Queue(n, kind, priority)),
        6 => (0_u64..40_000).prop_map(Move::Pass),
        8 => (any::<usize>(), any::<bool>()).prop_map(|(which, lost)| Move::Perform(which, lost)),
        6 => Just(Move::Settle),
        5 => Just(Move::Mine),
        2 => (1_usize..4, any::<bool>()).prop_map(|(depth, lost)| Move::Reorg(depth, lost)),
        1 => any::<usize>().prop_map(Move::DropOne),
        1 => Just(Move::UseKey),
        2 => prop_oneof![0_u128..50, 0_u128..3_000].prop_map(Move::Fee),
        1 => (0_usize..3).prop_map(Move::Lag),
        1 => vec(any_provider(), 1..4).prop_map(Move::Providers),
        2 => any::<bool>().prop_map(Move::Crash),
        1 => (1_u8..30).prop_map(Move::Withdraw),
        1 => (1_u8..30).prop_map(Move::Retry),
        1 => any::<bool>().prop_map(Move::Pause),
    ]
}

fn policy(scheme: Scheme) -> LanePolicy {
    let policy = match scheme {
        Scheme::Nonces => LanePolicy::evm(),
        Scheme::Lifetimes => LanePolicy::svm(),
    };
    LanePolicy {
        queued: 20,
        in_flight: 4,
        max_fee: 900,
        first_gas: 100_000,
        max_gas: 2_000_000,
        ..policy
    }
}

/// Something that the operator or a service tells, which may be refused.
fn ask(shell: &mut Shell, input: Input) {
    if let Ok(outputs) = shell.machine.handle(shell.now, input) {
        shell.write(outputs);
    }
}

fn queue(shell: &mut Shell, number: u8, kind: Kind, priority: u8) {
    let id = id(number);
    if shell.done.contains(&id) || shell.machine.report(id).is_some() {
        return;
    }
    // A dead letter that is tried again is as it was.
    shell.chain.kinds.entry(id).or_insert(kind);
    let needs = number.is_multiple_of(5).then(|| super::id(number - 1));
    let delivery = Delivery {
        priority,
        needs,
        not_before: shell.now.plus_millis(u64::from(number % 3) * 10_000),
        ..delivery(number)
    };
    if let Ok(outputs) = shell.machine.handle(shell.now, Input::Queue(delivery)) {
        shell.dead.remove(&id);
        shell.write(outputs);
    }
}

fn play(shell: &mut Shell, next: Move) {
    shell.now = shell.now.plus_millis(1);
    match next {
        Move::Queue(number, kind, priority) => queue(shell, number, kind, priority),
        Move::Pass(millis) => {
            shell.now = shell.now.plus_millis(millis);
            shell.tell(Input::Wake);
        }
        Move::Perform(which, lost) => shell.perform(which, lost),
        Move::Settle => shell.settle(),
        Move::Mine => shell.chain.mine(),
        Move::Reorg(depth, lost) => shell.chain.reorg(depth, lost),
        Move::DropOne(which) => shell.chain.drop_one(which),
        Move::UseKey => shell.chain.use_key(),
        Move::Lag(lag) => shell.chain.lag = lag,
        Move::Fee(fee) => shell.chain.base_fee = fee,
        Move::Providers(providers) => shell.providers = providers,
        Move::Crash(unwritten) => {
            if unwritten {
                let _ = shell.machine.handle(shell.now, Input::Wake);
            }
            shell.crash();
        }
        Move::Withdraw(number) => ask(shell, Input::Withdraw(id(number))),
        Move::Retry(number) => ask(shell, Input::Retry(id(number))),
        Move::Pause(true) => ask(shell, Input::Pause(LANE, None)),
        Move::Pause(false) => ask(shell, Input::Resume(LANE, None)),
    }
}

/// A dead letter has a reason that its delivery gave.
fn deserves(kind: Kind, class: Class, scheme: Scheme, lied: bool) -> bool {
    match class {
        Class::Withdrawn => true,
        Class::Reverted => matches!(kind, Kind::Reverts | Kind::RevertsLate),
        Class::Hopeless => kind == Kind::Hopeless,
        Class::Rejected => kind == Kind::Rejected || lied,
        // What was undone has used the budget up.
        Class::OverBudget => matches!(kind, Kind::RevertsLate | Kind::Hungry),
        Class::Lapsed => scheme == Scheme::Lifetimes || kind == Kind::Rejected,
        _ => false,
    }
}

fn story(scheme: Scheme, restless: bool, moves: Vec<Move>) -> Result<(), TestCaseError> {
    let lies = |provider: &Provider| matches!(provider, Provider::Says(..));
    let lied = moves.iter().any(|next| match next {
        Move::Providers(providers) => providers.iter().any(lies),
        _ => false,
    });
    let mut shell = Shell::new(policy(scheme));
    shell.restless = restless;
    for next in moves {
        play(&mut shell, next);
        if restless {
            shell.crash();
        }
    }
    shell.providers = vec![Provider::Honest, Provider::Drops];
    shell.chain.base_fee = 20;
    shell.chain.lag = 0;
    ask(&mut shell, Input::Resume(LANE, None));
    shell.finish(2_500);
    for (id, reason) in &shell.dead {
        let kind = shell.chain.kind(*id);
        let deserved = deserves(kind, reason.class, scheme, lied);
        prop_assert!(deserved, "{kind:?}: {reason}");
    }
    let done = shell.chain.done_in(shell.chain.blocks.len());
    prop_assert!(shell.done.is_subset(&done));
    for id in done {
        let executed = shell.chain.blocks.iter().flatten();
        let own = executed.filter(|e| e.tx.delivery == Some(id));
        let undone = own.filter(|e| e.effect == Effect::Reverted).count();
        prop_assert!(undone == 0, "{id} was done, and paid for once more");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { ..ProptestConfig::default() })]

    #[test]
    fn every_delivery_ends_and_every_nonce_is_closed(moves in vec(any_move(), 1..120)) {
        story(Scheme::Nonces, false, moves)?;
    }

    #[test]
    fn where_transactions_have_lifetimes_too(moves in vec(any_move(), 1..120)) {
        story(Scheme::Lifetimes, false, moves)?;
    }

    #[test]
    fn also_with_a_crash_at_every_step(moves in vec(any_move(), 1..80), nonces in any::<bool>()) {
        let scheme = if nonces { Scheme::Nonces } else { Scheme::Lifetimes };
        story(scheme, true, moves)?;
    }
}
