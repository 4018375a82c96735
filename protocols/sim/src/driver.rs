//! A small model of the node around the machines: checks what comes in, does what comes out.

use std::sync::Arc;

use quorate_proto::{
    Certificate, OperatorSet, Outcome, RefusalCode, Response, Statement, TaskId, Timestamp,
};

use super::check::{Breach, Check};
use super::engine::Engine;
use super::event::{Done, Message, Parcel};
use super::outcome::End;
use super::rule::Rule;
use super::trace::Note;
use super::world::{self, World};
use quorate_protocols::pipeline::{ClientId, Input, Output, Refused, Verdict};
use quorate_protocols::task::{Report, Status};

/// Microseconds from the decision to sign until the signature is on disk.
const WRITE: u64 = 300;

impl Engine {
    /// A user asks: the node reads the chain first.
    pub(super) fn request(&mut self, node: usize, request: usize) {
        self.note(node, "is asked", Note::Request(request));
        self.after_reading(node, Done::Asked(request));
    }

    pub(super) fn asked(&mut self, node: usize, request: usize) -> Check {
        let question = self.requests[request].question;
        let Some(epoch) = self.nodes[node].epochs.current() else {
            return self.turn_away(node, request, "knows no epoch yet");
        };
        let address = self.nodes[node].address;
        let set = self.nodes[node].epochs.set(epoch).cloned();
        let Some(set) = set.filter(|set| set.get(address).is_some()) else {
            return self.turn_away(node, request, "has no stake in this epoch");
        };
        let value = match self.world.read(&mut self.rng, self.now, node, question) {
            Ok(value) => value,
            Err(code) => return self.turn_away(node, request, code.describe()),
        };
        let statement = World::statement(question, epoch, value);
        let task = statement.task_id();
        if self.nodes[node].store.certificates.contains_key(&task) {
            return self.certify(node, request, &statement);
        }
        let client = ClientId(request as u64);
        let ask = Input::Ask {
            client,
            statement,
            set,
        };
        match self.tell(node, ask)? {
            Some(refused) => self.answer(request, End::TurnedAway(refused.to_string())),
            None => Ok(()),
        }
    }

    fn turn_away(&mut self, node: usize, request: usize, why: &'static str) -> Check {
        self.note(node, "turns a user away", Note::Reason(why));
        self.answer(request, End::TurnedAway(why.to_owned()))
    }

    /// Each user gets one answer.
    pub(super) fn answer(&mut self, request: usize, end: End) -> Check {
        let request = &mut self.requests[request];
        if let Some(before) = &request.end {
            return Err(Breach(format!("a user got {before:?} and then {end:?}")));
        }
        request.end = Some(end);
        Ok(())
    }

    fn certify(&mut self, node: usize, request: usize, statement: &Statement) -> Check {
        let report = self.nodes[node].pipeline.report(statement.task_id());
        let end = End::Certified {
            after_micros: self.now.micros_since(self.requests[request].at),
            attempt: report.map_or(0, |report| report.attempt),
        };
        self.answer(request, end)
    }

    /// A message arrives. Of epochs whose set is not known nothing can be checked.
    pub(super) fn deliver(&mut self, node: usize, parcel: &Arc<Parcel>) -> Check {
        self.overhear(node, parcel);
        if !self.nodes[node].heard.insert(parcel.number) && parcel.replayed {
            return Ok(());
        }
        let Parcel {
            from,
            task,
            message,
            ..
        } = parcel.as_ref();
        let (from, statement) = (*from, message.statement().clone());
        let author = self.world.addresses[from];
        let Some(set) = self.set_for(node, &statement) else {
            self.note(node, "knows no set for", Note::Epoch(statement.epoch().0));
            return Ok(());
        };
        let (verb, valid, input) = match message.clone() {
            Message::Announce(statement, attempt) => {
                let valid = set.get(author).is_some();
                let input = Input::Announced {
                    author,
                    statement,
                    attempt,
                    set,
                };
                ("hears announcement", valid, input)
            }
            Message::Response(response) => {
                let valid = world::is_genuine(&response, &set);
                ("hears response", valid, Input::Heard { response, set })
            }
            Message::Result(certificate) => {
                let valid = world::flaw(&certificate, &set).is_none();
                (
                    "hears certificate",
                    valid,
                    Input::Learned { certificate, set },
                )
            }
        };
        if valid || self.world.plan.leaves_out(Rule::Verification) {
            self.note_task(node, verb, *task, Note::From(from));
            if !self.answered_from_store(node, &input, *task) {
                self.tell(node, input)?;
            }
        }
        Ok(())
    }

    /// What is certified and over is not worked on again: who announces it gets the certificate.
    fn answered_from_store(&mut self, node: usize, input: &Input, task: TaskId) -> bool {
        let this = &self.nodes[node];
        if this.pipeline.is_open(task) {
            return false;
        }
        let Some(certificate) = this.store.certificates.get(&task).cloned() else {
            return false;
        };
        if matches!(input, Input::Announced { .. }) {
            self.note_task(node, "sends certificate", task, Note::None);
            self.broadcast(node, Message::Result(certificate));
        }
        true
    }

    /// In which set the node counts what is about a statement: that of its epoch.
    fn set_for(&self, node: usize, statement: &Statement) -> Option<Arc<OperatorSet>> {
        let epochs = &self.nodes[node].epochs;
        let epoch = if self.world.plan.leaves_out(Rule::BirthEpoch) {
            epochs.current()?
        } else {
            statement.epoch()
        };
        epochs.set(epoch).cloned()
    }

    /// The node has read the chain for a task.
    pub(super) fn observed(&mut self, node: usize, statement: Statement) -> Check {
        let read = self.world.judge(&mut self.rng, self.now, node, &statement);
        let verdict = match read {
            Ok(()) => Verdict::Agree,
            Err(code) => Verdict::Refuse(code, code.describe().to_owned()),
        };
        self.tell(node, Input::Observed(statement.task_id(), verdict))?;
        Ok(())
    }

    /// Tells the pipeline and does what it wants; what it refused changed nothing.
    pub(super) fn tell(&mut self, node: usize, input: Input) -> Result<Option<Refused>, Breach> {
        let clock = self.nodes[node].clock(self.now);
        let hears = matches!(input, Input::Heard { .. });
        match self.nodes[node].pipeline.handle(clock, input) {
            Ok(mut outputs) => {
                if self.world.plan.leaves_out(Rule::Evidence) {
                    outputs.retain(|output| !matches!(output, Output::Equivocation(..)));
                }
                let pipeline = &self.nodes[node].pipeline;
                self.check.met(node, pipeline, &outputs, hears)?;
                for output in outputs {
                    self.act(node, output)?;
                }
                Ok(None)
            }
            Err(refused) => {
                self.refused += u64::from(!matches!(refused, Refused::Ignored(_)));
                Ok(Some(refused))
            }
        }
    }

    fn act(&mut self, node: usize, output: Output) -> Check {
        match output {
            Output::Opened {
                statement,
                announced_by,
            } => {
                let task = statement.task_id();
                self.note_task(node, "opens", task, Note::Epoch(statement.epoch().0));
                let asked = announced_by.is_none();
                self.check.opened(self.now, node, task, asked)?;
            }
            Output::Observe(statement) => self.after_reading(node, Done::Read(statement)),
            Output::Attest(statement) => self.attest(node, statement),
            Output::Refuse(statement, code, _) => {
                let address = self.nodes[node].address;
                self.write(node, self.world.refusal(address, statement, code));
            }
            Output::Announce(statement, attempt) => {
                let task = statement.task_id();
                self.note_task(node, "announces", task, Note::Attempt(attempt));
                if attempt == 0 || !self.world.plan.leaves_out(Rule::Retry) {
                    self.broadcast(node, Message::Announce(statement, attempt));
                }
            }
            Output::Respond(response) => self.respond(node, response)?,
            Output::Certified {
                certificate,
                clients,
                publish,
                ..
            } => {
                self.certified(node, certificate, clients, publish)?;
            }
            Output::Answer(ClientId(request), certificate) => {
                self.certify(node, request as usize, certificate.statement())?;
            }
            Output::Ended { report, clients } => self.ended(node, report, clients)?,
            Output::Equivocation(a, b) => {
                let task = b.statement.task_id();
                self.note_task(node, "finds equivocation", task, Note::None);
                self.check.evidence(&self.world, &a, &b)?;
            }
            Output::Counted { .. } | Output::Progress(..) => {}
        }
        Ok(())
    }

    fn attest(&mut self, node: usize, statement: Statement) {
        if self.attests_ill(node, statement.clone()) {
            return;
        }
        if self.world.plan.leaves_out(Rule::SigningLog) {
            self.nodes[node].store.forget();
        }
        let response = self.sign(node, statement);
        let log_lost = |r: &quorate_proto::Refusal| r.code == RefusalCode::CannotSign;
        if matches!(&response.outcome, Outcome::Refused(refusal) if log_lost(refusal)) {
            self.mischief.without_log += 1;
        }
        self.write(node, response);
    }

    /// What the signing log of a node lets it say.
    pub(super) fn sign(&mut self, node: usize, statement: Statement) -> Response {
        let (now, address) = (self.now, self.nodes[node].address);
        let (world, store) = (&self.world, &mut self.nodes[node].store);
        store.sign(now, world, address, statement)
    }

    pub(super) fn write(&mut self, node: usize, response: Response) {
        let at = Timestamp(self.now.0 + WRITE);
        self.plan_own(node, at, Done::Written(Box::new(response)));
    }

    fn respond(&mut self, node: usize, response: Response) -> Check {
        let (verb, note) = match &response.outcome {
            Outcome::Signed(_) => ("sends signature", Note::None),
            Outcome::Refused(refusal) => ("sends refusal", Note::Reason(refusal.code.describe())),
        };
        self.note_task(node, verb, response.statement.task_id(), note);
        self.check.responded(&self.world, node, &response)?;
        self.broadcast(node, Message::Response(response));
        Ok(())
    }

    fn certified(
        &mut self,
        node: usize,
        certificate: Certificate,
        clients: Vec<ClientId>,
        publish: bool,
    ) -> Check {
        let statement = certificate.statement().clone();
        let task = statement.task_id();
        let signers = Note::Signers(certificate.signatures().len());
        self.note_task(node, "certifies", task, signers);
        self.check
            .certified(&self.world, self.now, node, &certificate)?;
        for ClientId(request) in clients {
            self.certify(node, request as usize, &statement)?;
        }
        self.nodes[node]
            .store
            .certificates
            .insert(task, certificate.clone());
        if publish {
            self.broadcast(node, Message::Result(certificate));
        }
        Ok(())
    }

    fn ended(&mut self, node: usize, report: Report, clients: Vec<ClientId>) -> Check {
        let verb = match report.status {
            Status::Failed => "gives up",
            _ => "lets expire",
        };
        self.note_task(node, verb, report.task, Note::None);
        let users = clients.len();
        self.check
            .ended(&self.world, self.now, node, &report, users)?;
        for ClientId(request) in clients {
            self.answer(request as usize, End::Ended(Box::new(report.clone())))?;
        }
        Ok(())
    }
}
