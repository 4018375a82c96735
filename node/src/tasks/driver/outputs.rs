//! What the pipeline wants done: recorded, read, signed, published, told.

use std::sync::Arc;

use quorate_proto::wire::TimelineReason;
use quorate_proto::{Address, Certificate, Response, Statement, Task};
use quorate_protocols::pipeline::{ClientId, Input, Output};

use super::{CLIENT_RESERVE, Event, TaskDriver, Update};
use crate::clock;
use crate::gossip::publisher::Item;
use crate::tasks::attestor::Job;
use crate::tasks::outbox::Effect;
use crate::{NodeError, process::measures};

impl TaskDriver {
    pub(super) fn apply(&mut self, outputs: Vec<Output>) -> Result<(), NodeError> {
        for output in outputs {
            self.apply_one(output)?;
        }
        self.handle.show_open_tasks(self.pipeline.open_tasks());
        Ok(())
    }

    fn apply_one(&mut self, output: Output) -> Result<(), NodeError> {
        self.record.output(&output);
        match output {
            Output::Opened {
                statement,
                announced_by,
            } => self.opened(&statement, announced_by)?,
            Output::Observe(statement) => self.observe(statement),
            Output::Attest(statement) => {
                self.sign(Job::Attest(statement.clone(), self.basis), &statement)?;
            }
            Output::Refuse(statement, code, detail) => {
                metrics::counter!("quorate_refusals_total", "code" => code.as_str_name())
                    .increment(1);
                self.sign(
                    Job::Refuse(statement.clone(), self.basis, code, detail),
                    &statement,
                )?;
            }
            Output::Announce(statement, attempt) => {
                self.ledger.announced(statement.task_id(), attempt);
                self.publish(Item::Task(Task { statement, attempt }));
            }
            Output::Respond(response) => self.publish(Item::Response(response)),
            Output::Counted {
                response,
                after_micros,
                late,
            } => {
                let set = self.sets.of(response.statement.epoch())?;
                self.ledger
                    .counted(&response, set.as_deref(), after_micros, late)?;
            }
            Output::Progress(clients, report) => self.tell(&clients, &Update::Progress(report)),
            Output::Certified {
                certificate,
                clients,
                publish,
                after_micros,
                ..
            } => {
                self.certified(certificate, &clients, publish, after_micros)?;
            }
            Output::Answer(client, certificate) => {
                self.tell_last(&[client], &Update::Certified(Arc::new(certificate)));
            }
            Output::Ended { report, clients } => {
                self.ledger.ended(&report)?;
                self.tell_last(&clients, &Update::Ended(report));
            }
            Output::Equivocation(first, second) => self.accuse(&first, &second),
        }
        Ok(())
    }

    /// After the response was worked on: it may have opened its task.
    pub(super) fn heard(&mut self, response: &Response) {
        if let Some((attendance, _)) = &mut self.attendance {
            attendance.heard(response);
        }
    }

    fn opened(
        &mut self,
        statement: &Statement,
        announced_by: Option<Address>,
    ) -> Result<(), NodeError> {
        let set = self.sets.of(statement.epoch())?;
        let signatures = self
            .ledger
            .opened(statement, announced_by, set.as_deref())?;
        let pipeline = &self.pipeline;
        self.ledger.sweep(|task| pipeline.is_open(task));
        let again = signatures.is_some();
        self.record
            .opened(&self.ledger, statement, announced_by, again)?;
        let Some(set) = set else {
            return Ok(());
        };
        if let Some((attendance, _)) = &mut self.attendance {
            attendance.opened(clock::now(), statement.task_id(), set.clone());
        }
        for response in signatures.into_iter().flatten() {
            let set = set.clone();
            self.feed(Input::Heard { response, set })?;
        }
        Ok(())
    }

    fn certified(
        &mut self,
        certificate: Certificate,
        clients: &[ClientId],
        publish: bool,
        after_micros: u64,
    ) -> Result<(), NodeError> {
        let set = self.sets.of(certificate.statement().epoch())?;
        self.ledger
            .certified(&certificate, set.as_deref(), after_micros)?;
        if publish {
            metrics::histogram!("quorate_certified_seconds")
                .record(measures::seconds(after_micros));
            self.publish(Item::Result(certificate.clone()));
        }
        self.tell_last(clients, &Update::Certified(Arc::new(certificate)));
        Ok(())
    }

    fn observe(&self, statement: Statement) {
        let (observer, driver) = (self.observer.clone(), self.handle.clone());
        tokio::spawn(async move {
            let (verdict, read) = observer.observe(&statement).await;
            let task = statement.task_id();
            driver.send(Event::Observed(task, verdict, read)).await;
        });
    }

    /// Only with the key that the home chain knows for that epoch: others would be blamed for
    /// forwarding anything else. What is left out may be signed when the task is announced again.
    fn sign(&mut self, job: Job, statement: &Statement) -> Result<(), NodeError> {
        let Some(me) = &self.me else { return Ok(()) };
        let task = statement.task_id();
        let view = self.home.view();
        let member = view
            .signers_of(statement)
            .and_then(|set| set.get(me.operator));
        let reason = if member.is_none_or(|member| member.signing_key != me.signing_key) {
            if self.muted.replace(statement.epoch()) != Some(statement.epoch()) {
                tracing::error!(epoch = %statement.epoch(), key = %me.signing_key,
                    "this node's signing key is not the operator's of that epoch; nothing is signed");
            }
            TimelineReason::KeyNotRegistered
        } else if me.attestor.try_send(job).is_err() {
            tracing::error!("too much waits to be signed; one answer is left out");
            TimelineReason::SignerBusy
        } else {
            return Ok(());
        };
        metrics::counter!("quorate_unsignable_total").increment(1);
        self.record.declined(task, reason);
        self.feed(Input::Unsigned(task))
    }

    pub(super) fn publish(&mut self, item: Item) {
        self.effects.push(Effect::Publish(item));
    }

    fn tell(&mut self, clients: &[ClientId], update: &Update) {
        for client in clients {
            let Some(updates) = self.clients.get(client) else {
                continue;
            };
            if updates.capacity() > CLIENT_RESERVE {
                self.effects
                    .push(Effect::Tell(updates.clone(), update.clone()));
            }
        }
    }

    fn tell_last(&mut self, clients: &[ClientId], update: &Update) {
        for client in clients {
            if let Some(updates) = self.clients.remove(client) {
                self.effects.push(Effect::Tell(updates, update.clone()));
            }
        }
    }
}
