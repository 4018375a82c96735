//! The request stream of a user: requests out, replies in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::AsyncReadExt;
use futures::io::BufReader;
use libp2p::Stream;
use quorate_proto::{limits, wire};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::frame;

/// How long a request may take to leave: an operator that reads none is as good as gone.
const WRITE_TIME: Duration = Duration::from_secs(30);

/// Who waits for replies, by the id of the request.
#[derive(Clone, Default)]
pub(super) struct PendingReply(Arc<Mutex<HashMap<u64, mpsc::Sender<wire::Reply>>>>);

impl PendingReply {
    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<u64, mpsc::Sender<wire::Reply>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Carries requests out and replies in until either side ends.
pub(super) async fn exchange(
    stream: Stream,
    mut requests: mpsc::Receiver<wire::Request>,
    waiting: PendingReply,
    alive: CancellationToken,
) {
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(reader);
    let write = frame::write_from(&mut writer, &mut requests, WRITE_TIME);
    let read = async {
        while let Ok(reply) = frame::read::<wire::Reply>(&mut reader, limits::MAX_REPLY_FRAME).await
        {
            let replies = waiting.lock().get(&reply.id).cloned();
            if let Some(replies) = replies {
                let _ = replies.send(reply).await;
            }
        }
    };
    tokio::select! {
        // An operator that takes no more requests may still answer: what it sent is read first.
        biased;
        () = read => {}
        _ = write => {}
        () = alive.cancelled() => {}
    }
    requests.close();
    waiting.lock().clear();
}
