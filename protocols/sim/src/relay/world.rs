//! What happens, and what is checked.

use std::collections::{BTreeMap, VecDeque};

use quorate_proto::{Epoch, Timestamp, keccak256};
use quorate_protocols::delivery::{
    Delivery, DeliveryId, Effect, Input, Output, Route, stage_delay,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::ledger::{CALM_FEE, CONFIRMATIONS, Ledger};
use super::relayer::Relayer;
use super::{Delivered, Duty, Failure, Plan, address};
use crate::network::happens;
use crate::plan::START;

/// Microseconds of a block.
const BLOCK: u64 = 12_000_000;

/// Chaos ends so many milliseconds after the last certificate.
const CHAOS_MS: u64 = 900_000;

/// All is delivered so many milliseconds after the end of chaos: the pauses of five attempts, and a nonce that was
/// stuck for each.
const CALM_MS: u64 = 3 * 3_600_000;

/// What a delivery may pay for a unit of gas.
const BUDGET: u128 = 240_000 * 200;

/// Lines of the story that are kept.
const LINES: usize = 80;

#[derive(Clone, Debug)]
enum Event {
    Block,
    Certified(usize),
    /// A relayer hears of a certificate.
    Heard(usize, usize),
    Start(usize),
    Wake(usize, u64),
    Effect(usize, u64, Output),
    Answer(usize, u64, Input),
}

pub(super) struct World {
    seed: u64,
    pub(super) plan: Plan,
    pub(super) rng: ChaCha8Rng,
    now: Timestamp,
    events: BTreeMap<(Timestamp, u64), Event>,
    count: u64,
    pub(super) ledger: Ledger,
    pub(super) relayers: Vec<Relayer>,
    certified: Vec<Timestamp>,
    /// When each height that stayed was mined.
    mined_at: Vec<Timestamp>,
    outcome: Delivered,
    lines: VecDeque<String>,
}

type Step = Result<(), (usize, String)>;

fn id(number: usize) -> DeliveryId {
    DeliveryId(keccak256((number as u64).to_be_bytes()))
}

impl World {
    pub(super) fn new(seed: u64, plan: Plan) -> Self {
        let fund = |relayer: usize| match plan.poor.contains(&relayer) {
            true => 240_000 * 25,
            false => u128::from(u64::MAX),
        };
        let ledger = Ledger::new((0..plan.relayers()).map(fund).collect());
        let mut world = Self {
            seed,
            rng: ChaCha8Rng::seed_from_u64(seed),
            now: START,
            events: BTreeMap::new(),
            count: 0,
            relayers: (0..plan.relayers()).map(Relayer::new).collect(),
            certified: Vec::new(),
            mined_at: vec![START; CONFIRMATIONS + 1],
            ledger,
            outcome: Delivered::default(),
            lines: VecDeque::new(),
            plan,
        };
        world.after(BLOCK, Event::Block);
        for relayer in 0..world.relayers.len() {
            if !world.plan.absent.contains(&relayer) {
                world.after(0, Event::Start(relayer));
            }
        }
        for number in 0..world.plan.deliveries {
            let micros = world.plan.every_ms * 1_000 * number as u64;
            world.after(micros, Event::Certified(number));
        }
        world
    }

    fn after(&mut self, micros: u64, event: Event) {
        self.count += 1;
        let at = Timestamp(self.now.0 + micros);
        self.events.insert((at, self.count), event);
    }

    fn soon(&mut self) -> u64 {
        self.rng.random_range(20_000..=400_000)
    }

    fn chaos_ends(&self) -> Timestamp {
        let certified = self.plan.every_ms * self.plan.deliveries as u64;
        START.plus_millis(certified + CHAOS_MS)
    }

    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.now < self.chaos_ends() && happens(&mut self.rng, share)
    }

    pub(super) fn run(mut self) -> Result<Delivered, Failure> {
        let played = self.play();
        let lines = self.lines.into();
        match played {
            Ok(()) => Ok(Delivered {
                lines,
                ..self.outcome
            }),
            Err((node, what)) => Err(Failure {
                seed: self.seed,
                node,
                what,
                lines,
            }),
        }
    }

    fn play(&mut self) -> Step {
        let most = self.chaos_ends().plus_millis(CALM_MS);
        while let Some(((at, _), event)) = self.events.pop_first() {
            self.now = at;
            self.note(&event);
            self.happen(event)?;
            if self.is_over() {
                return self.judge();
            }
            if self.now > most {
                break;
            }
        }
        let late = self.relayers.iter().position(|relayer| !relayer.is_idle());
        let relayer = late.unwrap_or_default();
        Err((
            relayer,
            format!("never ends: {}", self.relayers[relayer].left()),
        ))
    }

    fn note(&mut self, event: &Event) {
        let line = format!("{:>9} ms {event:?}", self.now.micros_since(START) / 1_000);
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        self.outcome.trace = line.bytes().fold(self.outcome.trace, mix);
        if !self.plan.traced && self.lines.len() >= LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    fn happen(&mut self, event: Event) -> Step {
        match event {
            Event::Block => self.block(),
            Event::Certified(number) => self.certify(number),
            Event::Heard(relayer, number) => self.heard(relayer, number),
            Event::Start(relayer) => self.start(relayer),
            Event::Wake(relayer, life) => self.tell(relayer, life, Input::Wake),
            Event::Effect(relayer, life, effect) => self.perform(relayer, life, effect),
            Event::Answer(relayer, life, input) => self.tell(relayer, life, input),
        }
    }

    fn block(&mut self) -> Step {
        if self.chance(self.plan.reorgs) {
            let depth = self.rng.random_range(1..CONFIRMATIONS);
            self.ledger.reorg(depth, self.rng.random());
            self.outcome.undone += depth;
            self.mined_at.truncate(self.mined_at.len() - depth);
            for _ in 0..depth {
                self.ledger.mine();
                self.mined_at.push(self.now);
            }
        }
        self.ledger.mine();
        self.mined_at.push(self.now);
        if self.now >= self.chaos_ends() {
            self.ledger.base_fee = CALM_FEE;
        } else if self.chance(self.plan.spikes) {
            self.ledger.base_fee = self.rng.random_range(5..400);
        }
        for relayer in 0..self.relayers.len() {
            let (lane, life) = (self.relayers[relayer].lane, self.relayers[relayer].life);
            self.ask(relayer, life, Output::Look(lane));
            self.catch_up(relayer)?;
        }
        self.after(BLOCK, Event::Block);
        Ok(())
    }

    fn certify(&mut self, number: usize) -> Step {
        self.certified.push(self.now);
        for relayer in 0..self.relayers.len() {
            let micros = self.soon();
            self.after(micros, Event::Heard(relayer, number));
        }
        Ok(())
    }

    fn start(&mut self, relayer: usize) -> Step {
        let started = self.relayers[relayer].start();
        started.map_err(|what| (relayer, what))?;
        let life = self.relayers[relayer].life;
        self.tell(relayer, life, Input::Wake)?;
        self.catch_up(relayer)
    }

    /// Certificates are kept by the node; what it does not know of, it queues.
    fn catch_up(&mut self, relayer: usize) -> Step {
        (0..self.certified.len()).try_for_each(|number| self.heard(relayer, number))
    }

    fn heard(&mut self, relayer: usize, number: usize) -> Step {
        let node = &self.relayers[relayer];
        if node.machine.is_none() || node.knows(id(number)) {
            return Ok(());
        }
        let (lane, life) = (node.lane, node.life);
        let delay = match self.plan.without {
            Some(Duty::Stages) => 0,
            _ => {
                let list = self.plan.list();
                let stage_ms = self.plan.stage_ms;
                stage_delay(id(number), Epoch(1), &list, address(relayer), stage_ms)
            }
        };
        let delivery = Delivery {
            id: id(number),
            lane,
            route: Route::default(),
            priority: 0,
            not_before: self.certified[number].plus_millis(delay),
            deadline: None,
            needs: None,
            budget: BUDGET,
        };
        self.tell(relayer, life, Input::Queue(delivery))
    }

    /// Whether a process ends with this step, and before it has written anything.
    fn fate(&mut self) -> (bool, bool) {
        let step = self.outcome.steps;
        self.outcome.steps += 1;
        match self.plan.killed {
            Some((killed, unwritten)) if killed == step => (true, unwritten),
            _ => {
                let crashes = self.chance(self.plan.crashes);
                (crashes, crashes && self.rng.random_bool(0.5))
            }
        }
    }

    fn tell(&mut self, relayer: usize, life: u64, input: Input) -> Step {
        let (crashes, unwritten) = self.fate();
        let node = &mut self.relayers[relayer];
        let Some(machine) = node.machine.as_mut().filter(|_| node.life == life) else {
            return Ok(());
        };
        let outputs = machine.handle(self.now, input);
        let outputs = outputs.map_err(|refused| (relayer, refused.to_string()))?;
        if !machine.is_bounded() {
            return Err((relayer, "it keeps too much".to_owned()));
        }
        if unwritten {
            return self.crash(relayer);
        }
        let next = machine.next_wake();
        let effects = node.write(self.now, outputs);
        self.check(relayer)?;
        if crashes {
            return self.crash(relayer);
        }
        for effect in effects {
            self.ask(relayer, life, effect);
        }
        self.wake_at(relayer, life, next);
        Ok(())
    }

    fn wake_at(&mut self, relayer: usize, life: u64, next: Option<Timestamp>) {
        let node = &mut self.relayers[relayer];
        let known = node.woken_at.filter(|at| *at > self.now);
        let Some(next) = next.filter(|next| known.is_none_or(|at| *next < at)) else {
            return;
        };
        node.woken_at = Some(next.max(self.now));
        let micros = next.micros_since(self.now);
        self.after(micros, Event::Wake(relayer, life));
    }

    fn crash(&mut self, relayer: usize) -> Step {
        let unsynced = self.plan.without == Some(Duty::WriteFirst);
        self.relayers[relayer].crash(unsynced);
        self.outcome.crashes += 1;
        let micros = self.rng.random_range(100_000..60_000_000);
        self.after(micros, Event::Start(relayer));
        Ok(())
    }

    /// A question takes its time, and so does its answer.
    fn ask(&mut self, relayer: usize, life: u64, effect: Output) {
        if !self.chance(self.plan.lost) {
            let micros = self.soon();
            self.after(micros, Event::Effect(relayer, life, effect));
        }
    }

    fn perform(&mut self, relayer: usize, life: u64, effect: Output) -> Step {
        if self.relayers[relayer].life != life {
            return Ok(());
        }
        if let Some(input) = self.answer(relayer, effect)? {
            let micros = self.soon();
            self.after(micros, Event::Answer(relayer, life, input));
        }
        Ok(())
    }

    /// What is done is on the chain, in a confirmed block; good deliveries are no dead letters.
    fn check(&self, relayer: usize) -> Step {
        let node = &self.relayers[relayer];
        let fail = |what: String| Err((relayer, what));
        if let Some(id) = node.done.iter().find(|id| self.ledger.done(**id).is_none()) {
            return fail(format!("{id} is done, and not on the chain"));
        }
        // Lies can use up the attempts of one relayer.
        match node.dead.iter().next() {
            Some((id, reason)) if self.plan.lies == 0.0 => {
                fail(format!("{id} is a dead letter: {reason}"))
            }
            _ => Ok(()),
        }
    }

    /// Everything is delivered as far as each that is up knows, and all nonces are closed.
    fn is_over(&self) -> bool {
        self.certified.len() == self.plan.deliveries
            && (0..self.relayers.len()).all(|relayer| {
                let node = &self.relayers[relayer];
                let knows_all = || (0..self.plan.deliveries).all(|number| node.knows(id(number)));
                self.plan.absent.contains(&relayer)
                    || self.plan.poor.contains(&relayer)
                    || (node.machine.is_some() && node.is_idle() && knows_all())
            })
    }

    fn judge(&mut self) -> Step {
        let mut by = vec![0; self.relayers.len()];
        for number in 0..self.plan.deliveries {
            let Some((who, height)) = self.ledger.done(id(number)) else {
                return Err((0, format!("delivery {number} is lost")));
            };
            by[who] += 1;
            let took = self.mined_at[height].micros_since(self.certified[number]) / 1_000;
            self.outcome.took.push(took);
        }
        self.outcome.took.sort_unstable();
        self.outcome.by = by;
        let mined = self.ledger.executed();
        let wasted = mined.filter(|e| e.effect != Effect::Success);
        self.outcome.wasted = wasted.count();
        let closing = self.ledger.executed().filter(|e| e.tx.delivery.is_none());
        self.outcome.closing = closing.count();
        if self.plan.is_calm() && self.outcome.wasted > 0 {
            let what = format!("{} paid for what others did", self.outcome.wasted);
            return Err((0, what));
        }
        Ok(())
    }
}
