//! The task that drives the delivery machine.

use std::collections::HashMap;
use std::sync::Arc;

use quorate_chain::ChainError;
use quorate_proto::store::DeliveryRow;
use quorate_protocols::delivery::{
    Alert, Delivery, DeliveryId, DeliveryRecord, Dispatcher, Input, LaneId, LanePolicy, Output,
    Reason, Record, RecordKey, Refused,
};
use quorate_storage::{Batch, Durability, WriteQueue, schema};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::lane::{LaneParts, LaneShell};
use super::{Parcel, Payload, rows};
use crate::{NodeError, clock};

/// Parcels and commands that wait; a service with another one waits.
const COMMANDS: usize = 256;
/// Answers that wait: all that a lane asks for at a time, for some lanes.
const ANSWERS: usize = 256;

/// Deliveries that end between two looks for what ended long ago: a look reads some thousand rows.
const PRUNED_AFTER: u64 = 256;

/// What the task is told.
enum DeliveryCommand {
    Queue(Box<Parcel>, oneshot::Sender<Result<(), Refused>>),
    Retry(DeliveryId, oneshot::Sender<Result<(), Refused>>),
    Hold(LaneId, bool),
}

/// Speaks to the task.
#[derive(Clone)]
pub(crate) struct DeliveryHandle {
    commands: mpsc::Sender<DeliveryCommand>,
    lanes: Arc<HashMap<u64, LaneId>>,
}

impl DeliveryHandle {
    /// Who sends to a chain; `None` where no key of this node does.
    pub(crate) fn lane(&self, chain: u64) -> Option<LaneId> {
        self.lanes.get(&chain).copied()
    }

    /// Takes a parcel; it is on disk when this returns.
    ///
    /// # Errors
    /// [`Refused`]. `None` where the node ends.
    pub(crate) async fn queue(&self, parcel: Parcel) -> Option<Result<(), Refused>> {
        let (reply, done) = oneshot::channel();
        let command = DeliveryCommand::Queue(Box::new(parcel), reply);
        self.commands.send(command).await.ok()?;
        done.await.ok()
    }

    /// Tries one again at once.
    ///
    /// # Errors
    /// [`Refused`]. `None` where the node ends.
    pub(crate) async fn retry(&self, id: DeliveryId) -> Option<Result<(), Refused>> {
        let (reply, done) = oneshot::channel();
        self.commands
            .send(DeliveryCommand::Retry(id, reply))
            .await
            .ok()?;
        done.await.ok()
    }

    /// Nothing new is sent in a lane from now on, or it goes on; before whatever is queued later.
    pub(crate) async fn hold(&self, lane: LaneId, held: bool) {
        // A node that ends sends nothing anyway.
        drop(self.commands.send(DeliveryCommand::Hold(lane, held)).await);
    }
}

/// The task. Everything that it asks of chains is asked in tasks of their own, whose number the machine bounds.
pub(crate) struct Deliveries {
    machine: Dispatcher,
    lanes: HashMap<LaneId, Arc<LaneShell>>,
    payloads: HashMap<DeliveryId, Arc<Payload>>,
    writes: WriteQueue,
    commands: mpsc::Receiver<DeliveryCommand>,
    answers: mpsc::Receiver<Result<Input, NodeError>>,
    answer: mpsc::Sender<Result<Input, NodeError>>,
    /// In this run.
    ended: u64,
}

impl Deliveries {
    /// Goes on with what was written.
    ///
    /// # Errors
    /// A store that cannot be read, or has deliveries of a sender that is not configured any more.
    pub(crate) fn open(
        lanes: Vec<(LaneParts, LanePolicy)>,
        writes: WriteQueue,
    ) -> Result<(Self, DeliveryHandle), NodeError> {
        let (records, payloads) = rows::restore(writes.store())?;
        let (mut shells, mut policies) = (HashMap::new(), Vec::new());
        for (parts, policy) in lanes {
            let shell = LaneShell::new(parts, writes.clone());
            policies.push((shell.id, policy));
            shells.insert(shell.id, Arc::new(shell));
        }
        let machine = Dispatcher::restore(policies, records).map_err(|error| {
            NodeError::Settings(format!(
                "{error}: it has transactions under way; configure that key and chain until they have ended"
            ))
        })?;
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let (answer, answers) = mpsc::channel(ANSWERS);
        let by_chain = shells.keys().map(|lane| (lane.chain, *lane)).collect();
        let payloads = payloads.into_iter();
        let task = Self {
            machine,
            lanes: shells,
            payloads: payloads
                .map(|(id, payload)| (id, Arc::new(payload)))
                .collect(),
            writes,
            commands: inbox,
            answers,
            answer,
            ended: 0,
        };
        let handle = DeliveryHandle {
            commands,
            lanes: Arc::new(by_chain),
        };
        Ok((task, handle))
    }

    /// Runs until `token` is cancelled. What is under way is on disk.
    ///
    /// # Errors
    /// A store that cannot be read or written.
    pub(crate) async fn run(mut self, token: CancellationToken) -> Result<(), NodeError> {
        self.tell(Input::Wake).await?;
        loop {
            let wake = self.machine.next_wake().map(clock::instant_of);
            tokio::select! {
                Some(answer) = self.answers.recv() => self.tell(answer?).await?,
                command = self.commands.recv() => match command {
                    Some(command) => self.obey(command).await?,
                    None => return Ok(()),
                },
                () = clock::sleep_until(wake) => self.tell(Input::Wake).await?,
                () = token.cancelled() => return Ok(()),
            }
        }
    }

    async fn obey(&mut self, command: DeliveryCommand) -> Result<(), NodeError> {
        match command {
            DeliveryCommand::Queue(parcel, reply) => {
                let id = parcel.delivery.id;
                let was = self.payloads.insert(id, Arc::new(parcel.payload));
                let told = self.try_tell(Input::Queue(parcel.delivery)).await?;
                match (&told, was) {
                    (Err(_), Some(was)) => drop(self.payloads.insert(id, was)),
                    (Err(_), None) => drop(self.payloads.remove(&id)),
                    (Ok(()), _) => {}
                }
                let _ = reply.send(told);
            }
            DeliveryCommand::Retry(id, reply) => {
                let told = self.retry(id).await?;
                let _ = reply.send(told);
            }
            DeliveryCommand::Hold(lane, true) => self.tell(Input::Pause(lane, None)).await?,
            DeliveryCommand::Hold(lane, false) => self.tell(Input::Resume(lane, None)).await?,
        }
        Ok(())
    }

    /// One under way at once; a dead letter as if it came for the first time.
    async fn retry(&mut self, id: DeliveryId) -> Result<Result<(), Refused>, NodeError> {
        let told = self.try_tell(Input::Retry(id)).await?;
        if !matches!(told, Err(Refused::UnknownDelivery(_))) {
            // Its operator has looked: its route goes on, where it was stopped.
            let known = self.machine.report(id);
            let place = known.map(|(record, _)| (record.delivery.lane, record.delivery.route));
            if let Some((lane, route)) = place {
                self.tell(Input::Resume(lane, Some(route))).await?;
            }
            return Ok(told);
        }
        let ended = self.writes.store().get(schema::ENDED_DELIVERIES, &id.0.0)?;
        let Some(row) = ended.filter(|row| row.ended_by.is_some()) else {
            return Ok(told);
        };
        let (record, payload) = rows::delivery_of(&row)?;
        self.payloads.insert(id, Arc::new(payload));
        let delivery = Delivery {
            not_before: clock::now(),
            needs: None,
            ..record.delivery
        };
        let told = self.try_tell(Input::Queue(delivery)).await?;
        if told.is_err() {
            self.payloads.remove(&id);
            return Ok(told);
        }
        let mut batch = Batch::new();
        batch.delete(schema::ENDED_DELIVERIES, &id.0.0);
        self.writes.write(batch, Durability::Buffered).await?;
        Ok(told)
    }

    async fn tell(&mut self, input: Input) -> Result<(), NodeError> {
        if let Err(refused) = self.try_tell(input).await? {
            tracing::debug!(%refused, "delivery input changed nothing");
        }
        Ok(())
    }

    async fn try_tell(&mut self, input: Input) -> Result<Result<(), Refused>, NodeError> {
        match self.machine.handle(clock::now(), input) {
            Ok(outputs) => self.carry_out(outputs).await.map(Ok),
            Err(refused) => Ok(Err(refused)),
        }
    }

    /// Writes first.
    async fn carry_out(&mut self, outputs: Vec<Output>) -> Result<(), NodeError> {
        let mut batch = Batch::new();
        for output in &outputs {
            self.write(&mut batch, output)?;
        }
        if !batch.is_empty() {
            self.writes.write(batch, Durability::Synced).await?;
        }
        for output in outputs {
            self.act(output);
        }
        Ok(())
    }

    fn write(&mut self, batch: &mut Batch, output: &Output) -> Result<(), NodeError> {
        match output {
            Output::Keep(record) => {
                let payload = match record {
                    Record::Delivery(record) => self.payloads.get(&record.delivery.id),
                    Record::Nonce(_) | Record::Stopped(..) => None,
                };
                rows::keep(batch, record, payload.map(Arc::as_ref));
                Ok(())
            }
            Output::Forget(key) => rows::forget(self.writes.store(), batch, key),
            Output::Done(record) => self.end(batch, record, None),
            Output::DeadLetter(record, reason) => self.end(batch, record, Some(reason)),
            _ => Ok(()),
        }
    }

    fn end(
        &mut self,
        batch: &mut Batch,
        record: &DeliveryRecord,
        reason: Option<&Reason>,
    ) -> Result<(), NodeError> {
        let id = record.delivery.id;
        rows::forget(self.writes.store(), batch, &RecordKey::Delivery(id))?;
        let outcome = if reason.is_some() {
            "failed"
        } else {
            "success"
        };
        let chain = record.delivery.lane.chain.to_string();
        metrics::counter!("quorate_deliveries_total", "chain" => chain, "outcome" => outcome)
            .increment(1);
        let Some(payload) = self.payloads.remove(&id) else {
            return Ok(());
        };
        let about = &payload.about;
        match reason {
            Some(reason) => {
                tracing::error!(delivery = %id, about, %reason, "not delivered: a dead letter; try it again once the cause is gone")
            }
            None => tracing::info!(delivery = %id, about, "delivered"),
        }
        let mut row = DeliveryRow {
            ended: clock::now().0,
            ended_by: reason.map(rows::reason_row),
            ..rows::delivery_row(record, &payload)
        };
        // Only dead letters are sent again.
        if let (None, Some(payload)) = (reason, &mut row.payload) {
            payload.data.clear();
        }
        batch.put(schema::ENDED_DELIVERIES, &id.0.0, &row);
        self.ended += 1;
        if self.ended.is_multiple_of(PRUNED_AFTER) {
            rows::prune(self.writes.store(), batch, clock::now())?;
        }
        if let Some(lane) = self.lanes.get(&record.delivery.lane) {
            lane.forget(id);
        }
        Ok(())
    }

    fn act(&self, output: Output) {
        match output {
            Output::Look(lane) => self.look(lane),
            Output::AskRecord(id) => self.ask_record(id),
            Output::Estimate { id, limit } => self.estimate(id, limit),
            Output::Send { .. } => self.send(output),
            Output::AskReceipt(lane, nonce) => self.ask_receipt(lane, nonce),
            Output::Alert(alert) => warn(&alert),
            Output::Keep(_) | Output::Forget(_) | Output::Done(_) | Output::DeadLetter(..) => {}
        }
    }

    fn look(&self, id: LaneId) {
        let Some(lane) = self.lanes.get(&id).cloned() else {
            return;
        };
        self.ask(async move { Ok(Input::Viewed(id, lane.look().await?)) });
    }

    fn ask_record(&self, id: DeliveryId) {
        let Some((lane, payload)) = self.place_of(id) else {
            return;
        };
        self.ask(async move {
            let said = lane.record(id, &payload).await?;
            let said = said.ok_or(Unanswered::NoRecord)?;
            Ok(Input::Judged(id, said))
        });
    }

    fn estimate(&self, id: DeliveryId, limit: u64) {
        let Some((lane, payload)) = self.place_of(id) else {
            return;
        };
        self.ask(async move { Ok(Input::Estimated(id, lane.estimate(&payload, limit).await)) });
    }

    fn send(&self, output: Output) {
        let Output::Send {
            tx,
            delivery,
            fees,
            gas,
            ..
        } = output
        else {
            return;
        };
        let Some(lane) = self.lanes.get(&tx.lane).cloned() else {
            return;
        };
        let payload = delivery.and_then(|id| self.payloads.get(&id).cloned());
        if delivery.is_some() && payload.is_none() {
            return;
        }
        self.ask(async move {
            let (valid_until, answer) = lane.send(tx, payload.as_deref(), (fees, gas)).await?;
            Ok(Input::Sent {
                tx,
                valid_until,
                answer,
            })
        });
    }

    fn ask_receipt(&self, id: LaneId, nonce: u64) {
        let Some(lane) = self.lanes.get(&id).cloned() else {
            return;
        };
        self.ask(async move {
            let found = lane.receipt(nonce).await??;
            Ok(Input::Receipt {
                lane: id,
                nonce,
                found,
            })
        });
    }

    fn place_of(&self, id: DeliveryId) -> Option<(Arc<LaneShell>, Arc<Payload>)> {
        let (record, _) = self.machine.report(id)?;
        let lane = self.lanes.get(&record.delivery.lane)?;
        Some((lane.clone(), self.payloads.get(&id)?.clone()))
    }

    /// The machine asks again for what gets no answer. A store that fails ends the node, as everywhere.
    fn ask(&self, question: impl Future<Output = Result<Input, Unanswered>> + Send + 'static) {
        let answer = self.answer.clone();
        tokio::spawn(async move {
            let answered = match question.await {
                Ok(input) => Ok(input),
                Err(Unanswered::Node(error)) => Err(error),
                Err(error) => {
                    return tracing::debug!(%error, "a question of a delivery has no answer");
                }
            };
            drop(answer.send(answered).await);
        });
    }
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error("the contract's record is no word, or not confirmed")]
    NoRecord,
    #[error(transparent)]
    Node(#[from] NodeError),
}

fn warn(alert: &Alert) {
    match alert {
        Alert::Starved {
            lane,
            balance,
            needed,
        } => {
            tracing::error!(%lane, balance, needed, "too little to pay for deliveries; fund this sender")
        }
        Alert::Stopped(lane, route, reason) => {
            let route = route.map(|route| route.0.to_string());
            tracing::error!(%lane, route, %reason, "deliveries are stopped until they are resumed");
        }
        Alert::Stuck(lane, nonce, reason) => {
            tracing::error!(%lane, nonce, %reason, "a nonce is held up, and what is behind it");
        }
    }
    metrics::counter!("quorate_delivery_alerts_total").increment(1);
}
