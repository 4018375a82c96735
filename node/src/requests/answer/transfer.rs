//! What became of a transfer of a bridge, and what becomes of it.

use std::time::Duration;

use quorate_proto::wire;
use quorate_proto::wire::TransferReply;
use quorate_proto::wire::reply::Kind as ReplyKind;
use tokio_util::sync::CancellationToken;

use super::{Answerer, Failure, ReplySender, error, invalid, overloaded, reply, unavailable};
use crate::services::bridge::follow::{FollowError, Follower};

/// Between two looks at the store.
const LOOK: Duration = Duration::from_millis(250);

impl Answerer {
    /// One reply, or one for each change until nothing more is to come or the user goes away.
    pub(super) async fn transfer(
        &self,
        id: u64,
        query: &wire::TransferQuery,
        replies: &ReplySender,
        gone: &CancellationToken,
    ) -> Result<ReplyKind, Failure> {
        let bridge = &self.node.bridge;
        let mut follower = Follower::new(bridge, query).map_err(failed)?;
        if !query.follow {
            let report = follower.look(self.epoch()).await.map_err(failed)?;
            return match report.steps.is_empty() {
                true => Err(not_seen()),
                false => Ok(ReplyKind::Transfer(report)),
            };
        }
        let _place = bridge.follow().ok_or_else(|| {
            overloaded("as many transfers are followed as this node serves; ask again later, or without follow")
        })?;
        let (mut changes, mut told) = (bridge.transfers.watch(), None);
        loop {
            changes.borrow_and_update();
            let report = follower.look(self.epoch()).await.map_err(failed)?;
            if follower.is_over(&report) {
                return Ok(ReplyKind::Transfer(report));
            }
            if told.as_ref() != Some(&report) {
                told = Some(report.clone());
                let more = TransferReply {
                    more: true,
                    ..report
                };
                let sent = replies.send(reply(id, ReplyKind::Transfer(more))).await;
                sent.map_err(|_| unavailable("the stream is gone"))?;
            }
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
                () = self.node.closing.cancelled() => {
                    return Err(unavailable("the node is shutting down; ask another one"));
                }
                () = replies.closed() => return Err(unavailable("the stream is gone")),
                () = gone.cancelled() => return Err(unavailable("the stream was closed")),
            }
        }
    }

    fn epoch(&self) -> Option<quorate_proto::Epoch> {
        self.node.home.view().current.map(|set| set.epoch())
    }
}

fn not_seen() -> Failure {
    let text = "no such transfer was seen at a final block yet; ask again, or set follow";
    error(wire::ErrorCode::NotFinal, true, text)
}

fn failed(cause: FollowError) -> Failure {
    match cause {
        FollowError::Malformed(_) | FollowError::Several(_) => invalid(cause.to_string()),
        FollowError::NotServed(_) => {
            error(wire::ErrorCode::ChainUnsupported, false, cause.to_string())
        }
        FollowError::Node(error) => {
            tracing::error!(%error, "transfer not told");
            unavailable("this node's store failed; ask another one")
        }
    }
}
