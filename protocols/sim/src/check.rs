//! What must hold in every story, whatever goes wrong in it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use quorate_proto::{
    Address, B256, Certificate, Epoch, OperatorSet, Outcome, Response, SlotId, TaskId, Timestamp,
    U256, limits,
};

use super::node::Node;
use super::world::{self, World};
use quorate_protocols::pipeline::{Output, Pipeline};
use quorate_protocols::task::Report;

/// What was broken, in words.
#[derive(Debug)]
pub(super) struct Breach(pub(super) String);

pub(super) type Check = Result<(), Breach>;

/// Watches all nodes.
#[derive(Debug)]
pub(super) struct Checker {
    lives: Vec<Life>,
    /// What operators have signed, over all their lives.
    signed: HashMap<(usize, SlotId), B256>,
    /// What was certified.
    facts: HashMap<(SlotId, Epoch), B256>,
    /// When a task was first opened anywhere.
    begun: HashMap<TaskId, Timestamp>,
    pub(super) spread: Vec<u64>,
    pub(super) evidence: BTreeSet<usize>,
    pub(super) epochs: usize,
    /// Tasks that had to be certified, and were.
    pub(super) obliged: usize,
}

/// What one life of a node has promised.
#[derive(Debug, Default)]
struct Life {
    open: BTreeMap<TaskId, Timestamp>,
    certified: BTreeSet<TaskId>,
    epochs: Vec<Epoch>,
    /// Open tasks that a user of this node began.
    asked: BTreeSet<TaskId>,
    /// Signatures that were counted in open tasks, by slot.
    counted: HashMap<SlotId, Vec<Signed>>,
}

/// A signature that was counted.
#[derive(Debug)]
struct Signed {
    by: Address,
    fact: B256,
    task: TaskId,
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(Breach(what())) }
}

impl Life {
    /// A task begins, perhaps once more: what was counted in an earlier life of it is gone.
    fn forget(&mut self, slot: SlotId, task: TaskId) {
        if let Some(counted) = self.counted.get_mut(&slot) {
            counted.retain(|earlier| earlier.task != task);
        }
    }
}

impl Checker {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            lives: (0..nodes).map(|_| Life::default()).collect(),
            signed: HashMap::new(),
            facts: HashMap::new(),
            begun: HashMap::new(),
            spread: Vec::new(),
            evidence: BTreeSet::new(),
            epochs: 0,
            obliged: 0,
        }
    }

    pub(super) fn crashed(&mut self, node: usize) {
        self.lives[node] = Life::default();
    }

    /// Epochs only go forward, and never ahead of the home chain.
    pub(super) fn began(&mut self, node: usize, epoch: Epoch, newest: Epoch) -> Check {
        let epochs = &mut self.lives[node].epochs;
        ensure(epochs.last() < Some(&epoch), || {
            format!("epoch {epoch} began after {epochs:?}")
        })?;
        ensure(epoch <= newest, || {
            format!("epoch {epoch} began while the home chain is in {newest}")
        })?;
        epochs.push(epoch);
        self.epochs = self.epochs.max(epochs.len());
        Ok(())
    }

    pub(super) fn opened(
        &mut self,
        now: Timestamp,
        node: usize,
        task: TaskId,
        asked: bool,
    ) -> Check {
        self.begun.entry(task).or_insert(now);
        let life = &mut self.lives[node];
        if asked {
            life.asked.insert(task);
        }
        let before = life.open.insert(task, now);
        ensure(before.is_none(), || format!("task {task} was opened twice"))
    }

    /// An operator signs for the sets that it belongs to, one fact for a slot over all its lives;
    /// an honest one signs the truth.
    pub(super) fn responded(&mut self, world: &World, node: usize, response: &Response) -> Check {
        let statement = &response.statement;
        let operator = response.operator;
        let set = world.set(statement.epoch());
        let member = set.is_some_and(|set| set.get(response.operator).is_some());
        ensure(member, || {
            format!("{response:?} is from outside of its set")
        })?;
        ensure(world.number(response.operator) == node, || {
            format!("{response:?} is in another's name")
        })?;
        if matches!(response.outcome, Outcome::Refused(_)) || world.may_equivocate(operator) {
            return Ok(());
        }
        ensure(world.may_lie(operator) || World::is_true(statement), || {
            format!("an honest operator signed what is not true: {statement:?}")
        })?;
        let (slot, fact) = world::slot_and_fact(statement);
        let first = *self.signed.entry((node, slot)).or_insert(fact);
        ensure(first == fact, || {
            format!("a second fact was signed: {statement:?}")
        })
    }

    /// A certificate holds, is true, comes once and in time.
    pub(super) fn certified(
        &mut self,
        world: &World,
        now: Timestamp,
        node: usize,
        certificate: &Certificate,
    ) -> Check {
        let statement = certificate.statement();
        let task = statement.task_id();
        let set = world.set(statement.epoch());
        let set = set.ok_or_else(|| Breach(format!("task {task} has an epoch without set")))?;
        let flaw = world::flaw(certificate, set);
        ensure(flaw.is_none(), || {
            format!(
                "the certificate of task {task} {}",
                flaw.unwrap_or_default()
            )
        })?;
        self.truthful(world, set, certificate)?;
        let life = &mut self.lives[node];
        ensure(life.certified.insert(task), || {
            format!("task {task} was certified twice")
        })?;
        let opened = life.open.remove(&task);
        in_time(world, now, task, opened)?;
        let asked = life.asked.remove(&task);
        if asked && opened.is_some_and(|at| world.must_certify(statement, node, at)) {
            self.obliged += 1;
        }
        let begun = self.begun.get(&task).copied().unwrap_or(now);
        self.spread.push(now.micros_since(begun));
        Ok(())
    }

    fn truthful(&mut self, world: &World, set: &OperatorSet, certificate: &Certificate) -> Check {
        let statement = certificate.statement();
        let lying = world.weight_of(set, World::may_lie);
        ensure(
            lying >= set.threshold() || World::is_true(statement),
            || format!("too little weight lies for a certificate that is not true: {statement:?}"),
        )?;
        // Two certificates share at least this weight; it must have signed twice.
        let shared = (set.threshold() * U256::from(2)).saturating_sub(set.total_weight());
        let (slot, fact) = world::slot_and_fact(statement);
        let first = *self.facts.entry((slot, set.epoch())).or_insert(fact);
        ensure(
            first == fact || world.weight_of(set, World::may_equivocate) >= shared,
            || format!("a second fact was certified: {statement:?}"),
        )
    }

    /// What ends without certificate ends in time, has none, and every member of the set is accounted for.
    pub(super) fn ended(
        &mut self,
        world: &World,
        now: Timestamp,
        node: usize,
        report: &Report,
        users: usize,
    ) -> Check {
        let task = report.task;
        let life = &mut self.lives[node];
        let opened = life.open.remove(&task);
        in_time(world, now, task, opened)?;
        ensure(!life.certified.contains(&task), || {
            format!("task {task} ended without certificate after it had one")
        })?;
        let asked = life.asked.remove(&task) && users > 0;
        let begun = opened.unwrap_or(now);
        ensure(
            !asked || !world.must_certify(&report.statement, node, begun),
            || format!("the honest weight is connected, and there is no certificate: {report:?}"),
        )?;
        let progress = report.progress;
        ensure(progress.signed_weight < progress.threshold, || {
            format!("task {task} ended without certificate although enough signed: {progress:?}")
        })?;
        let set = world.set(report.statement.epoch());
        let members = set.map_or(0, |set| set.members().len());
        let answers = progress.signed as usize + progress.refused as usize;
        ensure(answers + report.missing.len() == members, || {
            format!("the report does not name everybody: {report:?}")
        })
    }

    /// Evidence is against those who did it, and would convince any verifier.
    pub(super) fn evidence(&mut self, world: &World, a: &Response, b: &Response) -> Check {
        let operator = world.number(a.operator);
        let guilty = world.may_equivocate(a.operator);
        let ((slot, fact), (other_slot, other_fact)) = (
            world::slot_and_fact(&a.statement),
            world::slot_and_fact(&b.statement),
        );
        // Each by the operator's key of its own epoch; that may be two keys.
        let signs = |r: &Response| {
            let set = world.set(r.statement.epoch());
            is_signed(r) && set.is_some_and(|set| world::is_genuine(r, set))
        };
        let proof = slot == other_slot && fact != other_fact && signs(a) && signs(b);
        ensure(guilty && proof && a.operator == b.operator, || {
            format!("this is no evidence: {a:?} and {b:?}")
        })?;
        self.evidence.insert(operator);
        Ok(())
    }

    /// Two facts that one operator signed for one slot meet at a node while both tasks are open
    /// there: then its pipeline has evidence. Tasks that are over are no matter of the pipeline, which
    /// has forgotten them: the desk of a node compares with what is stored, and is not played here.
    pub(super) fn met(
        &mut self,
        node: usize,
        pipeline: &Pipeline,
        outputs: &[Output],
        hears: bool,
    ) -> Check {
        let accused = |by: Address| {
            let is_evidence =
                |o: &Output| matches!(o, Output::Equivocation(_, b) if b.operator == by);
            outputs.iter().any(is_evidence)
        };
        let life = &mut self.lives[node];
        for output in outputs {
            let response = match output {
                Output::Opened { statement, .. } => {
                    life.forget(statement.slot(), statement.task_id());
                    continue;
                }
                Output::Counted { response, .. } if is_signed(response) => response,
                _ => continue,
            };
            let by = response.operator;
            let (slot, fact) = world::slot_and_fact(&response.statement);
            let counted = life.counted.entry(slot).or_default();
            counted.retain(|earlier| pipeline.is_open(earlier.task));
            let two = counted.iter().any(|c| c.by == by && c.fact != fact);
            ensure(!two || !hears || accused(by), || {
                format!("two facts of {by} met, and nobody kept them: {response:?}")
            })?;
            let task = response.statement.task_id();
            counted.push(Signed { by, fact, task });
        }
        Ok(())
    }

    /// Memory stays within its bounds.
    pub(super) fn bounded(&self, world: &World, node: &Node) -> Check {
        let is_bounded = node.pipeline.is_bounded();
        ensure(is_bounded, || "the pipeline keeps too much".into())?;
        // The current epoch and the next one, and those that end: for their grace, and as long again
        // for a node that learns of a turn late.
        let millis = (world.plan.schedule.length * world.plan.block_time).max(1);
        let most = 2 * limits::EPOCH_GRACE_MS / millis + 5;
        let sets = node.epochs.sets().count() as u64;
        ensure(sets <= most, || format!("{sets} sets are kept"))
    }

    /// Nothing goes on for long after the last block: sets serve for their grace, tasks until
    /// their deadline.
    pub(super) fn going_on(world: &World, now: Timestamp) -> Check {
        let last = world.plan.horizon().plus_millis(2 * limits::EPOCH_GRACE_MS);
        ensure(now <= last, || {
            "something never comes to its end".to_owned()
        })
    }

    /// At the end nothing is open.
    pub(super) fn over(&self, number: usize, node: &Node) -> Check {
        let open = node.open_tasks();
        let promised = &self.lives[number].open;
        ensure(open == 0 && promised.is_empty(), || {
            format!(
                "{open} tasks are open at the end, {} without an end",
                promised.len()
            )
        })
    }
}

const fn is_signed(response: &Response) -> bool {
    matches!(response.outcome, Outcome::Signed(_))
}

/// A task ends at its deadline, to the microsecond: nothing in the simulation is late.
fn in_time(world: &World, now: Timestamp, task: TaskId, opened: Option<Timestamp>) -> Check {
    let opened = opened.ok_or_else(|| Breach(format!("task {task} ended, but was not open")))?;
    let deadline = opened.plus_millis(world.plan.times.deadline);
    ensure(now <= deadline, || {
        format!("task {task} ended after its deadline")
    })
}
