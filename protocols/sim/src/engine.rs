//! Takes one event after the other and tells the machines.

use quorate_proto::{Epoch, Timestamp};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::check::{Breach, Check, Checker};
use super::event::{Done, Event, Queue, What};
use super::mesh::Mesh;
use super::network::happens;
use super::node::Node;
use super::outcome::{Answer, End, Failure, Mischief, Outcome};
use super::plan::{Behaviour, Plan, START};
use super::providers::PATIENCE;
use super::rule::Rule;
use super::trace::{Line, Note, Trace};
use super::world::World;
use quorate_protocols::{epoch, pipeline};

/// How many of the newest questions may be asked again.
const MOMENT: usize = 5;

#[derive(Debug)]
pub(super) struct Engine {
    seed: u64,
    pub(super) world: World,
    pub(super) rng: ChaCha8Rng,
    pub(super) now: Timestamp,
    pub(super) queue: Queue,
    pub(super) nodes: Vec<Node>,
    pub(super) requests: Vec<Request>,
    pub(super) check: Checker,
    pub(super) mesh: Option<Mesh>,
    pub(super) messages: u64,
    /// Messages that were said, each to many.
    pub(super) sent: u64,
    pub(super) refused: u64,
    pub(super) mischief: Mischief,
    events: u64,
    most_open: usize,
    trace: Trace,
}

/// A user's question.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) at: Timestamp,
    pub(super) node: usize,
    pub(super) question: usize,
    pub(super) end: Option<End>,
}

impl Engine {
    pub(super) fn new(seed: u64, plan: Plan) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let traced = plan.traced;
        let world = World::new(plan, &mut rng);
        let plan = &world.plan;
        let node = |address| {
            let ahead = rng.random_range(0..=plan.clock_skew * 1_000);
            Node::new(address, plan.schedule, plan.times, ahead)
        };
        let nodes: Vec<Node> = world.addresses.iter().copied().map(node).collect();
        let mesh = plan
            .gossip
            .map(|gossip| Mesh::new(&mut rng, nodes.len(), gossip));
        let mut engine = Self {
            seed,
            check: Checker::new(nodes.len()),
            mesh,
            world,
            rng,
            now: START,
            queue: Queue::default(),
            nodes,
            requests: Vec::new(),
            messages: 0,
            sent: 0,
            refused: 0,
            mischief: Mischief::default(),
            events: 0,
            most_open: 0,
            trace: Trace::new(traced),
        };
        engine.plan_events();
        engine
    }

    fn plan_events(&mut self) {
        for node in 0..self.nodes.len() {
            self.queue.plan(START, node, What::Block);
        }
        for (node, at) in self.world.plan.crashes.clone() {
            self.queue.plan(START.plus_millis(at), node, What::Crash);
        }
        for (node, at) in self.world.plan.restarts.clone() {
            self.queue.plan(START.plus_millis(at), node, What::Restart);
        }
        for (node, at) in self.world.plan.disk_losses.clone() {
            self.queue.plan(START.plus_millis(at), node, What::LoseDisk);
        }
        for (node, at) in self.world.plan.imports.clone() {
            let at = START.plus_millis(at);
            self.queue.plan(at, node, What::ImportLog);
        }
        let speaks = |node: &usize| self.world.plan.behaviour(*node) != Behaviour::Silent;
        let speakers: Vec<usize> = (0..self.world.plan.operators).filter(speaks).collect();
        for index in 0..self.world.plan.requests {
            let at = self.world.plan.asked_at(index);
            let seated = |node: &usize| self.world.plan.is_seated(at, *node);
            let seated: Vec<usize> = speakers.iter().copied().filter(seated).collect();
            let Some(node) = self.world.plan.entry.or_else(|| self.pick(&seated)) else {
                return;
            };
            let question = self.question(at, node);
            self.queue.plan(at, node, What::Request(index));
            self.requests.push(Request {
                at,
                node,
                question,
                end: None,
            });
        }
    }

    fn pick(&mut self, nodes: &[usize]) -> Option<usize> {
        let index = self.rng.random_range(0..nodes.len().max(1));
        nodes.get(index).copied()
    }

    fn question(&mut self, at: Timestamp, node: usize) -> usize {
        let asked = self.requests.len();
        if asked > 0 && happens(&mut self.rng, self.world.plan.repeats) {
            let again = self.rng.random_range(asked.saturating_sub(MOMENT)..asked);
            return self.requests[again].question;
        }
        self.world.ask(at, node)
    }

    pub(super) fn run(mut self) -> Result<Outcome, Failure> {
        while let Some((at, event)) = self.queue.pop() {
            self.now = at;
            self.events += 1;
            let node = event.node;
            let going_on = Checker::going_on(&self.world, at);
            if let Err(breach) = going_on.and_then(|()| self.step(event)) {
                return Err(self.fail(node, breach));
            }
        }
        for node in 0..self.nodes.len() {
            if let Err(breach) = self.check.over(node, &self.nodes[node]) {
                return Err(self.fail(node, breach));
            }
        }
        self.conclude()
    }

    fn fail(self, node: usize, Breach(what): Breach) -> Failure {
        Failure {
            seed: self.seed,
            node,
            what,
            lines: self.trace.into_lines(),
        }
    }

    fn conclude(mut self) -> Result<Outcome, Failure> {
        let mut answers = Vec::with_capacity(self.requests.len());
        for Request { node, end, .. } in std::mem::take(&mut self.requests) {
            let Some(end) = end else {
                let breach = Breach("a user was left without any answer".to_owned());
                return Err(self.fail(node, breach));
            };
            answers.push(Answer { node, end });
        }
        self.check.spread.sort_unstable();
        let traffic = self
            .mesh
            .take()
            .map(|mesh| mesh.traffic)
            .unwrap_or_default();
        Ok(Outcome {
            seed: self.seed,
            trace: self.trace.hash(),
            events: self.events,
            messages: self.messages + traffic.iter().map(|t| t.sent).sum::<u64>(),
            traffic,
            answers,
            evidence: self.check.evidence,
            spread: self.check.spread,
            refused: self.refused,
            mischief: self.mischief,
            obliged: self.check.obliged,
            most_open: self.most_open,
            epochs: self.check.epochs,
            lines: self.trace.into_lines(),
        })
    }

    fn step(&mut self, Event { node, what }: Event) -> Check {
        let alive = self.nodes[node].alive;
        match what {
            What::Block => self.block(node)?,
            What::Restart if !alive => self.restart(node)?,
            What::LoseDisk => self.lose_disk(node),
            What::ImportLog => self.import_log(node),
            What::Request(request) if !alive => self.answer(request, End::Lost)?,
            _ if !alive => return Ok(()),
            What::Crash => self.crash(node),
            What::Restart => {}
            What::Request(request) => self.request(node, request),
            What::Deliver(parcel) => self.deliver(node, &parcel)?,
            What::Own { life, .. } if life != self.nodes[node].life => {}
            What::Own { done, .. } => self.done(node, done)?,
        }
        self.most_open = self.most_open.max(self.nodes[node].open_tasks());
        self.check.bounded(&self.world, &self.nodes[node])?;
        self.arm(node);
        Ok(())
    }

    fn done(&mut self, node: usize, done: Done) -> Check {
        match done {
            Done::Wake => self.wake(node),
            Done::Set(epoch) => self.set_read(node, epoch),
            Done::Asked(request) => self.asked(node, request),
            Done::Read(statement) => self.observed(node, statement),
            Done::Written(response) => {
                self.tell(node, pipeline::Input::Answered(*response))?;
                Ok(())
            }
        }
    }

    fn block(&mut self, node: usize) -> Check {
        let next = self.world.next_block_at(self.now, node);
        if next <= self.world.plan.horizon() {
            self.queue.plan(next, node, What::Block);
        }
        if self.nodes[node].alive {
            self.look(node)?;
        }
        Ok(())
    }

    /// The node looks at its home chain; a provider that fails shows an older block.
    fn look(&mut self, node: usize) -> Check {
        let Some(mut block) = self.world.home_seen(self.now, node) else {
            self.note(node, "sees no block", Note::None);
            return Ok(());
        };
        if happens(&mut self.rng, self.world.plan.failing_reads) {
            block = block.saturating_sub(1);
        }
        self.note(node, "sees final block", Note::Block(block));
        self.follow(node, epoch::Input::Final(block))
    }

    fn set_read(&mut self, node: usize, epoch: Epoch) -> Check {
        let fails = happens(&mut self.rng, self.world.plan.failing_reads);
        if fails || !self.world.tells_sets(self.now, node) {
            self.note(node, "fails to read set", Note::Epoch(epoch.0));
            return Ok(());
        }
        let Some(set) = self.world.told_set(epoch) else {
            return Ok(());
        };
        self.follow(node, epoch::Input::Loaded(set))
    }

    fn follow(&mut self, node: usize, input: epoch::Input) -> Check {
        let clock = self.nodes[node].clock(self.now);
        for output in self.nodes[node].epochs.handle(clock, input) {
            match output {
                epoch::Output::Load(epoch) => self.after_reading(node, Done::Set(epoch)),
                epoch::Output::Began(epoch) => {
                    self.note(node, "begins", Note::Epoch(epoch.0));
                    let seen = self.world.home_block_at(self.now, node);
                    let newest = self.world.plan.schedule.epoch_at(seen);
                    self.check.began(node, epoch, newest)?;
                }
                epoch::Output::Ended(epoch) => {
                    self.note(node, "ends", Note::Epoch(epoch.0));
                    self.tell(node, pipeline::Input::EpochEnded(epoch))?;
                }
            }
        }
        Ok(())
    }

    fn wake(&mut self, node: usize) -> Check {
        let clock = self.nodes[node].clock(self.now);
        self.nodes[node].armed = None;
        let due = |wake: Option<Timestamp>| wake.is_some_and(|at| at <= clock);
        if due(self.nodes[node].epochs.next_wake()) {
            self.follow(node, epoch::Input::Wake)?;
        }
        let sleeps = self.world.plan.leaves_out(Rule::Wake);
        if !sleeps && due(self.nodes[node].pipeline.next_wake()) {
            self.tell(node, pipeline::Input::Wake)?;
        }
        match self.nodes[node].next_wake() {
            Some(next) if next <= self.now && !sleeps => Err(Breach("a machine spins".to_owned())),
            _ => Ok(()),
        }
    }

    /// Plans to wake the node when it wants to be, unless that is planned.
    fn arm(&mut self, node: usize) {
        let now = self.now;
        let this = &mut self.nodes[node];
        let Some(next) = this.next_wake().filter(|_| this.alive) else {
            return;
        };
        if self.world.plan.leaves_out(Rule::Wake) && next <= now {
            return;
        }
        let at = next.max(now);
        if this.armed.is_none_or(|armed| at < armed) {
            this.armed = Some(at);
            self.plan_own(node, at, Done::Wake);
        }
    }

    fn crash(&mut self, node: usize) {
        self.note(node, "crashes", Note::None);
        self.nodes[node].crash();
        if self.world.plan.leaves_out(Rule::WriteFirst) {
            self.nodes[node].store.lose_latest(self.now);
        }
        self.check.crashed(node);
        // A user who asks at this very moment finds no node.
        let now = self.now;
        let waits = |r: &&mut Request| r.node == node && r.at < now && r.end.is_none();
        for request in self.requests.iter_mut().filter(waits) {
            request.end = Some(End::Lost);
        }
    }

    fn lose_disk(&mut self, node: usize) {
        if self.nodes[node].alive {
            self.crash(node);
        }
        self.note(node, "loses its disk", Note::None);
        let notices = !self.world.plan.leaves_out(Rule::LogLost);
        self.nodes[node].store.lose_all(notices);
    }

    fn import_log(&mut self, node: usize) {
        self.note(node, "gets its log back", Note::None);
        self.nodes[node].store.import();
    }

    fn restart(&mut self, node: usize) -> Check {
        self.note(node, "restarts", Note::None);
        let plan = &self.world.plan;
        self.nodes[node].restart(plan.schedule, plan.times);
        self.look(node)
    }

    /// Plans something that dies with the node.
    pub(super) fn plan_own(&mut self, node: usize, at: Timestamp, done: Done) {
        let life = self.nodes[node].life;
        self.queue.plan(at, node, What::Own { life, done });
    }

    pub(super) fn after_reading(&mut self, node: usize, done: Done) {
        let mut micros = self.rng.random_range(self.world.plan.read_time.clone());
        if self.world.hangs(self.now, node) {
            micros += PATIENCE;
        }
        self.plan_own(node, Timestamp(self.now.0 + micros), done);
    }

    pub(super) fn note(&mut self, node: usize, verb: &'static str, note: Note) {
        self.trace.add(Line {
            at: self.now,
            node,
            verb,
            task: None,
            note,
        });
    }

    pub(super) fn note_task(
        &mut self,
        node: usize,
        verb: &'static str,
        task: quorate_proto::TaskId,
        note: Note,
    ) {
        self.trace.add(Line {
            at: self.now,
            node,
            verb,
            task: Some(task),
            note,
        });
    }
}
