//! What became of a task, and what happens just now, for users without access to the node's pages.

use std::sync::Arc;

use quorate_proto::wire::reply::Kind as ReplyKind;
use quorate_proto::{TaskId, wire};
use tokio_util::sync::CancellationToken;

use super::failure::store_error;
use super::{Answerer, Failure, ReplySender, error, invalid, overloaded, reply, unavailable};
use crate::http::pruned_text;
use crate::maintenance::prune::was_pruned;
use crate::tasks::explain::{self, Unnamed};
use crate::tasks::recorder::LiveEvent;

impl Answerer {
    pub(super) fn timeline(&self, query: &wire::TimelineQuery) -> Result<ReplyKind, Failure> {
        let id = match query.begins_with.as_str() {
            "" => TaskId::try_from(query.task_id.as_slice()).map_err(|e| invalid(e.to_string()))?,
            digits => self.named(digits)?,
        };
        match explain::gather(&self.node.store, self.me, id) {
            Ok(Some(timeline)) => Ok(ReplyKind::Timeline(timeline)),
            Ok(None) => Err(self.no_record(id)?),
            Err(error) => {
                tracing::error!(%error, "timeline not told");
                Err(unavailable(
                    "this operator's store failed; ask another operator",
                ))
            }
        }
    }

    fn named(&self, digits: &str) -> Result<TaskId, Failure> {
        let named = explain::named(&self.node.store, digits).map_err(|error| {
            tracing::error!(%error, "no task looked for");
            unavailable("this operator's store failed; ask another operator")
        })?;
        named.map_err(|unnamed| match &unnamed {
            Unnamed::None(_) => error(
                wire::ErrorCode::UnknownTask,
                false,
                format!("{unnamed}; ask another operator"),
            ),
            Unnamed::NoId | Unnamed::Several(..) => invalid(unnamed.to_string()),
        })
    }

    /// Why there is none: it went with the task, or never was here.
    fn no_record(&self, id: TaskId) -> Result<Failure, Failure> {
        Ok(
            match was_pruned(&self.node.store, id).map_err(store_error)? {
                Some(epoch) => error(
                    wire::ErrorCode::Pruned,
                    false,
                    pruned_text(id, epoch, self.node.inventory.floor()),
                ),
                None => error(
                    wire::ErrorCode::UnknownTask,
                    false,
                    format!("task {id} is not known to this operator; ask another one"),
                ),
            },
        )
    }

    /// Tells what happens until the user goes away or the node ends, which is the last reply.
    pub(super) async fn live(
        &self,
        id: u64,
        replies: &ReplySender,
        gone: &CancellationToken,
    ) -> Result<ReplyKind, Failure> {
        let Some(mut follower) = self.node.channels.live.follow_from_afar() else {
            return Err(overloaded(
                "as many follow this operator as it serves; try again later, or follow another one",
            ));
        };
        loop {
            let heard = tokio::select! {
                heard = follower.next() => heard,
                () = self.node.closing.cancelled() => None,
                () = replies.closed() => None,
                () = gone.cancelled() => return Err(unavailable("the stream was closed")),
            };
            let Some(heard) = heard else {
                return Err(unavailable(
                    "the node is shutting down; follow another operator",
                ));
            };
            let events: Vec<_> = heard.news.iter().filter_map(told).collect();
            if events.is_empty() && heard.skipped == 0 {
                continue;
            }
            let some = wire::LiveEvents {
                events,
                skipped: heard.skipped,
            };
            if replies
                .send(reply(id, ReplyKind::Live(some)))
                .await
                .is_err()
            {
                return Err(unavailable("the stream is gone"));
            }
        }
    }
}

/// What was refused names peers, and is for the node's own people.
fn told(news: &Arc<LiveEvent>) -> Option<wire::LiveEvent> {
    let LiveEvent::Task(task, event, statement) = news.as_ref() else {
        return None;
    };
    Some(wire::LiveEvent {
        task_id: task.0.to_vec(),
        event: Some(event.clone()),
        statement: statement.as_ref().map(Into::into),
    })
}
