//! One stream to a peer: a question, its answer, the next question.

use std::time::Duration;

use libp2p::{PeerId, Stream, StreamProtocol};
use quorate_proto::wire::sync_answer::Kind as ReplyKind;
use quorate_proto::wire::sync_query::Kind as RequestKind;
use quorate_proto::{limits, wire};

use crate::network::NetworkHandle;
use quorate_client::frame::{self, FrameError};

/// A page is made in some 20 ms, and waits for the server's limits.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A stream that is opened when it is needed, and again when it broke.
#[derive(Default)]
pub(super) struct Link {
    stream: Option<Stream>,
    next_id: u64,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// No stream, or it broke, or it was silent.
    #[error("{0}")]
    Lost(String),
    /// The peer does not answer this now.
    #[error("{0}")]
    Refused(String),
    /// No honest peer answers so.
    #[error("{0}")]
    Fault(String),
}

impl AskError {
    pub(super) const fn is_fault(&self) -> bool {
        matches!(self, Self::Fault(_))
    }
}

impl Link {
    /// Asks, and waits for the answer.
    pub(super) async fn ask(
        &mut self,
        network: &NetworkHandle,
        protocol: &StreamProtocol,
        peer: PeerId,
        kind: RequestKind,
    ) -> Result<ReplyKind, AskError> {
        let exchange = self.exchange(network, protocol, peer, kind);
        let answer = match tokio::time::timeout(TIMEOUT, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(AskError::Lost("no answer within 10 s".into())),
        };
        // Whatever the stream still holds belongs to this question.
        if matches!(answer, Err(AskError::Lost(_) | AskError::Fault(_))) {
            self.stream = None;
        }
        answer
    }

    async fn exchange(
        &mut self,
        network: &NetworkHandle,
        protocol: &StreamProtocol,
        peer: PeerId,
        kind: RequestKind,
    ) -> Result<ReplyKind, AskError> {
        let lost = |error: &dyn std::fmt::Display| AskError::Lost(error.to_string());
        if self.stream.is_none() {
            let opened = network.streams().open(peer, protocol.clone()).await;
            self.stream = Some(opened.map_err(|error| lost(&error))?);
        }
        let Some(stream) = &mut self.stream else {
            return Err(AskError::Lost("no stream".into()));
        };
        self.next_id = self.next_id.wrapping_add(1);
        let request = wire::SyncQuery {
            id: self.next_id,
            kind: Some(kind),
        };
        let written = frame::write(stream, &[request]).await;
        written.map_err(|error| lost(&error))?;
        let reply = frame::read::<wire::SyncAnswer>(stream, limits::MAX_SYNC_REPLY_FRAME).await;
        let reply = reply.map_err(|error| match error {
            FrameError::TooLarge { .. } | FrameError::Malformed(_) => {
                AskError::Fault(error.to_string())
            }
            FrameError::Closed | FrameError::Io(_) => lost(&error),
        })?;
        if reply.id != self.next_id {
            return Err(AskError::Fault("answers another question".into()));
        }
        match reply.kind {
            Some(ReplyKind::Error(error)) => Err(AskError::Refused(error.message)),
            Some(kind) => Ok(kind),
            None => Err(AskError::Fault("a reply without kind".into())),
        }
    }
}
