//! Sends what the task driver decided, after what it wrote is on its way to disk: write before send.

use std::collections::VecDeque;

use quorate_storage::Ack;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::NodeError;
use crate::gossip::publisher::{Item, PublishHandle};
use crate::tasks::driver::Update;
use crate::tasks::imported::Imported;

/// Rounds of the task driver that wait for their commit.
const QUEUE: usize = 256;

/// Entries that wait for the publisher, which keeps within this operator's share of messages. Users' replies
/// overtake them; where there are more, the task driver waits. 200 bytes each are 3 MB.
const MAX_BACKLOG: usize = 16_384;

/// What is to be sent.
#[derive(Debug)]
pub(crate) enum Effect {
    /// To the mesh.
    Publish(Item),
    /// To a user; dropped where the user went away.
    Tell(mpsc::Sender<Update>, Update),
    /// To the caller that brought what another node had.
    TakenOver(oneshot::Sender<Imported>, Imported),
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
    backlog: VecDeque<Item>,
}

impl Outbox {
    pub(crate) fn new(publisher: Option<PublishHandle>) -> (Self, OutboxHandle) {
        let (sender, rounds) = mpsc::channel(QUEUE);
        let outbox = Self {
            rounds,
            publisher,
            backlog: VecDeque::new(),
        };
        (outbox, OutboxHandle(sender))
    }

    /// Runs until `token` is cancelled; what is to be published then is still handed over.
    ///
    /// # Errors
    /// A write that failed: nothing that depends on it is sent.
    pub(crate) async fn run(mut self, token: CancellationToken) -> Result<(), NodeError> {
        let publisher = self.publisher.clone();
        loop {
            tokio::select! {
                biased;
                round = self.rounds.recv(), if self.backlog.len() < MAX_BACKLOG => match round {
                    Some(round) => self.send(round).await?,
                    None => break,
                },
                () = room_at(publisher.as_ref()), if !self.backlog.is_empty() => {}
                () = token.cancelled() => break,
            }
            if let Some(publisher) = &publisher {
                publisher.publish_some(&mut self.backlog);
            }
        }
        for item in self.backlog {
            if let Some(publisher) = &self.publisher {
                publisher.publish(item).await;
            }
        }
        Ok(())
    }

    async fn send(&mut self, round: Round) -> Result<(), NodeError> {
        for ack in round.acks {
            ack.await?;
        }
        for effect in round.effects {
            match effect {
                Effect::Publish(item) if self.publisher.is_some() => self.backlog.push_back(item),
                Effect::Publish(_) => {}
                Effect::Tell(updates, update) => {
                    let _ = updates.try_send(update);
                }
                Effect::TakenOver(done, taken) => drop(done.send(taken)),
            }
        }
        Ok(())
    }
}

async fn room_at(publisher: Option<&PublishHandle>) {
    if let Some(publisher) = publisher {
        publisher.room().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use quorate_proto::{B256, Epoch, EpochUpdate, Statement, Task};

    use super::*;

    fn item(number: u32) -> Item {
        let statement = Statement::EpochUpdate(EpochUpdate {
            epoch: Epoch(number),
            next_epoch: Epoch(number + 1),
            set_hash: B256::ZERO,
            time: 1,
        });
        Item::Task(Task {
            statement,
            attempt: 0,
        })
    }

    #[tokio::test]
    async fn replies_do_not_wait_for_what_is_published_slowly() {
        let (publisher, mut published) = PublishHandle::channel();
        let (outbox, handle) = Outbox::new(Some(publisher));
        let token = CancellationToken::new();
        let running = tokio::spawn(outbox.run(token.clone()));
        // More than the publisher's queue takes, and nothing is taken out of it.
        for number in 0..100 {
            let items = (0..100).map(|place| Effect::Publish(item(number * 100 + place)));
            handle.post(Vec::new(), items.collect()).await;
        }
        let (updates, mut told) = mpsc::channel(1);
        let reply = Effect::Tell(updates, Update::Overloaded("full".into()));
        handle.post(Vec::new(), vec![reply]).await;
        let reply = tokio::time::timeout(Duration::from_secs(10), told.recv()).await;
        assert!(matches!(reply, Ok(Some(Update::Overloaded(_)))));
        token.cancel();
        for number in 0..10_000 {
            let Some(Item::Task(task)) = published.recv().await else {
                panic!("item {number} is lost");
            };
            assert_eq!(task.statement.epoch().0, number);
        }
        running.await.unwrap().unwrap();
    }
}
