//! Tells followers of the node what happens, as it happens.

use std::sync::Arc;

use quorate_proto::limits::MAX_LIVE_EVENTS;
use quorate_proto::wire::TimelineEvent;
use quorate_proto::{Statement, TaskId};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};

use crate::api::RefusedLine;

/// What waits for the slowest follower: at 1,000 tasks/s with ten events each it has a tenth of a
/// second. With 200 bytes each they are 200 kB, which all share. Who is slower is told how much it
/// lost.
const WAITING: usize = 1_024;

/// Followers over HTTP, which are the node's own people.
const MAX_LOCAL: usize = 8;

/// Followers over streams, who may be any users of the network.
const MAX_REMOTE: usize = 4;

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) enum LiveEvent {
    /// To a task; with its statement where it begins.
    Task(TaskId, TimelineEvent, Option<Statement>),
    /// To what did not become one.
    Refused(RefusedLine),
}

/// Where it is told. A clone is another handle to the same feed.
#[derive(Clone)]
pub(crate) struct LiveFeed {
    sender: broadcast::Sender<Arc<LiveEvent>>,
    local: Arc<Semaphore>,
    remote: Arc<Semaphore>,
}

/// One follower.
pub(crate) struct LiveFollower {
    receiver: broadcast::Receiver<Arc<LiveEvent>>,
    _place: OwnedSemaphorePermit,
}

/// What a follower hears at once.
#[derive(Debug, Default)]
pub(crate) struct LiveBatch {
    /// What it lost before these, since it was too slow.
    pub(crate) skipped: u64,
    pub(crate) news: Vec<Arc<LiveEvent>>,
}

impl Default for LiveFeed {
    fn default() -> Self {
        Self {
            sender: broadcast::channel(WAITING).0,
            local: Arc::new(Semaphore::new(MAX_LOCAL)),
            remote: Arc::new(Semaphore::new(MAX_REMOTE)),
        }
    }
}

impl LiveFeed {
    /// Whether there is a follower; nothing need be made otherwise.
    pub(crate) fn is_followed(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    pub(crate) fn tell(&self, news: LiveEvent) {
        // An error means that there is no follower.
        let _ = self.sender.send(Arc::new(news));
    }

    /// A place for a user on this machine; `None` where all are taken.
    pub(crate) fn follow(&self) -> Option<LiveFollower> {
        self.take(&self.local)
    }

    /// A place for a user of the network.
    pub(crate) fn follow_from_afar(&self) -> Option<LiveFollower> {
        self.take(&self.remote)
    }

    fn take(&self, places: &Arc<Semaphore>) -> Option<LiveFollower> {
        Some(LiveFollower {
            _place: places.clone().try_acquire_owned().ok()?,
            receiver: self.sender.subscribe(),
        })
    }
}

impl LiveFollower {
    /// Waits for something to happen, then takes what has gathered; `None` when the node ends.
    pub(crate) async fn next(&mut self) -> Option<LiveBatch> {
        let mut heard = LiveBatch::default();
        match self.receiver.recv().await {
            Ok(news) => heard.news.push(news),
            Err(RecvError::Lagged(count)) => heard.skipped = count,
            Err(RecvError::Closed) => return None,
        }
        while heard.news.len() < MAX_LIVE_EVENTS {
            match self.receiver.try_recv() {
                Ok(news) => heard.news.push(news),
                // What is lost between two of them is counted before the next ones.
                Err(TryRecvError::Lagged(count)) => {
                    heard.skipped = heard.skipped.saturating_add(count);
                }
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        Some(heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(number: u64) -> LiveEvent {
        LiveEvent::Refused(RefusedLine {
            at_ms: number,
            last_ms: number,
            origin: "request".into(),
            code: "not_final".into(),
            detail: String::new(),
            task_id: None,
            times: 1,
        })
    }

    #[tokio::test]
    async fn a_slow_follower_is_told_what_it_lost() {
        let feed = LiveFeed::default();
        assert!(!feed.is_followed());
        feed.tell(refusal(0));
        let mut follower = feed.follow().expect("a place");
        assert!(feed.is_followed());
        let many = WAITING as u64 + 100;
        (0..many).for_each(|number| feed.tell(refusal(number)));
        let (mut heard, mut skipped) = (0, 0);
        while heard + skipped < many {
            let some = follower.next().await.expect("the feed stands");
            assert!(some.news.len() <= MAX_LIVE_EVENTS);
            heard += some.news.len() as u64;
            skipped += some.skipped;
        }
        assert_eq!((heard, skipped), (WAITING as u64, 100));
        drop(feed);
        assert!(follower.next().await.is_none());
    }

    #[test]
    fn places_are_few_and_come_back() {
        let feed = LiveFeed::default();
        let local: Vec<LiveFollower> = std::iter::from_fn(|| feed.follow()).collect();
        assert_eq!(local.len(), MAX_LOCAL);
        // Users of the network take no place of the users on this machine, and the other way round.
        let remote: Vec<LiveFollower> = std::iter::from_fn(|| feed.follow_from_afar()).collect();
        assert_eq!(remote.len(), MAX_REMOTE);
        drop((local, remote));
        assert!(feed.follow().is_some() && feed.follow_from_afar().is_some());
    }
}
