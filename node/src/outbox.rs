//! Sends what the desk decided, after what it wrote is on its way to disk: write before send.

use quorate_storage::Ack;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::NodeError;
use crate::desk::{TakenOver, Update};
use crate::publish::{Item, PublishHandle};

/// Rounds of the desk that wait for their commit.
const QUEUE: usize = 256;

/// What is to be sent.
#[derive(Debug)]
pub(crate) enum Effect {
    /// To the mesh.
    Publish(Item),
    /// To a user; dropped where the user went away.
    Tell(mpsc::Sender<Update>, Update),
    /// To whoever brought what another node had.
    TakenOver(oneshot::Sender<TakenOver>, TakenOver),
}

struct Round {
    /// Of the parts in which it is written, in their order.
    acks: Vec<Ack>,
    effects: Vec<Effect>,
}

/// Hands rounds to the outbox.
#[derive(Clone)]
pub(crate) struct OutboxHandle(mpsc::Sender<Round>);

impl OutboxHandle {
    /// The effects follow once `acks` say that all of the round is written.
    pub(crate) async fn post(&self, acks: Vec<Ack>, effects: Vec<Effect>) {
        // An error means that the outbox has ended, and with it the node.
        let _ = self.0.send(Round { acks, effects }).await;
    }
}

/// The sending task.
pub(crate) struct Outbox {
    rounds: mpsc::Receiver<Round>,
    /// `None` at a node that has nothing to say to the mesh.
    publisher: Option<PublishHandle>,
}

impl Outbox {
    pub(crate) fn new(publisher: Option<PublishHandle>) -> (Self, OutboxHandle) {
        let (sender, rounds) = mpsc::channel(QUEUE);
        (Self { rounds, publisher }, OutboxHandle(sender))
    }

    /// Runs until `token` is cancelled.
    ///
    /// # Errors
    /// A write that failed: nothing that depends on it is sent.
    pub(crate) async fn run(mut self, token: CancellationToken) -> Result<(), NodeError> {
        loop {
            tokio::select! {
                biased;
                round = self.rounds.recv() => match round {
                    Some(round) => self.send(round).await?,
                    None => return Ok(()),
                },
                () = token.cancelled() => return Ok(()),
            }
        }
    }

    async fn send(&self, round: Round) -> Result<(), NodeError> {
        for ack in round.acks {
            ack.await?;
        }
        for effect in round.effects {
            match effect {
                Effect::Publish(item) => {
                    if let Some(publisher) = &self.publisher {
                        publisher.publish(item).await;
                    }
                }
                Effect::Tell(updates, update) => {
                    let _ = updates.try_send(update);
                }
                Effect::TakenOver(done, taken) => drop(done.send(taken)),
            }
        }
        Ok(())
    }
}
