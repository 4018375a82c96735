//! A user of the network: no key, no stake, one stream. What it is told it can check by itself; it needs no
//! database and no server. A whole program is in `example.rs`, a test.

pub mod api;
mod dial;
#[cfg(test)]
mod example;
mod following;
pub mod frame;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod messages;
pub mod record;
mod stream;
pub mod streams;
pub mod swarm;
mod transfers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, Swarm};
pub use quorate_proto::At;
use quorate_proto::wire::reply::Kind as ReplyKind;
use quorate_proto::wire::request::Kind as RequestKind;
use quorate_proto::{Epoch, TaskId, limits, wire};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use following::Following;
pub use messages::{
    Answer, ClientError, EvidenceQuestion, HandedOver, HeldEvidence, Progress, Refused,
    RequestFailure, StateQuestion,
};
pub use transfers::{FollowedTransfer, TransferNews, TransferQuestion};

use self::dial::{choose, dial};
use self::stream::{PendingReply, exchange};
use self::swarm::{UserBehaviour, user_swarm};

/// Seconds of the year 5138; a time in milliseconds is above it since 1973.
const MAX_SECONDS: u64 = 100_000_000_000;

/// Whether a time may be in Unix seconds.
///
/// # Errors
/// That it is in a finer unit, and the cure.
pub fn check_seconds(seconds: u64) -> Result<(), String> {
    match seconds < MAX_SECONDS {
        true => Ok(()),
        false => Err(format!(
            "{seconds} is a time in milliseconds or a finer unit; give Unix seconds"
        )),
    }
}

/// How long dialling and naming the protocol may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Replies that wait for one request.
const REPLIES: usize = 64;

/// A connection to one operator. Requests may be made at the same time.
#[derive(Clone)]
pub struct Client {
    requests: mpsc::Sender<wire::Request>,
    waiting: PendingReply,
    next_id: Arc<AtomicU64>,
    peer: PeerId,
    network: String,
    _alive: Arc<DropGuard>,
}

impl Client {
    /// Dials an operator and opens a request stream. `network` may be left out where the operator
    /// serves only one.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`], [`ClientError::NoSuchNetwork`].
    pub async fn connect(address: &Multiaddr, network: Option<&str>) -> Result<Self, ClientError> {
        let unreachable = |reason: String| ClientError::Unreachable {
            address: address.clone(),
            reason,
        };
        let mut swarm = user_swarm().map_err(|error| unreachable(error.to_string()))?;
        let streams = swarm.behaviour().streams.handle();
        let dial = dial(&mut swarm, address);
        let (peer, served) = tokio::time::timeout(CONNECT_TIMEOUT, dial)
            .await
            .map_err(|_| unreachable("no answer within 10 s".into()))?
            .map_err(unreachable)?;
        let network = choose(address, served, network)?;
        let alive = CancellationToken::new();
        tokio::spawn(drive(swarm, alive.clone()));
        let protocol = StreamProtocol::try_from_owned(format!("/quorate/{network}/request/1"))
            .map_err(|error| unreachable(error.to_string()))?;
        let opened = streams.open(peer, protocol).await;
        let stream = opened.map_err(|error| unreachable(error.to_string()))?;
        Ok(Self::on(stream, peer, network, alive))
    }

    fn on(stream: Stream, peer: PeerId, network: String, alive: CancellationToken) -> Self {
        let (requests, outgoing) = mpsc::channel(limits::MAX_STREAM_REQUESTS);
        let waiting = PendingReply::default();
        tokio::spawn(exchange(stream, outgoing, waiting.clone(), alive.clone()));
        Self {
            requests,
            waiting,
            next_id: Arc::default(),
            peer,
            network,
            _alive: Arc::new(alive.drop_guard()),
        }
    }

    /// Who answers.
    #[must_use]
    pub const fn peer(&self) -> PeerId {
        self.peer
    }

    /// The network that is asked.
    #[must_use]
    pub fn network(&self) -> &str {
        &self.network
    }

    /// Asks for a certified value; `on_progress` hears of every response that is counted.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn request_state(
        &self,
        question: &StateQuestion,
        mut on_progress: impl FnMut(Progress),
    ) -> Result<Answer, ClientError> {
        let mut replies = self.send(RequestKind::State(question.into())).await?;
        loop {
            match next(&mut replies).await? {
                ReplyKind::Progress(progress) => on_progress((&progress).try_into()?),
                ReplyKind::Certificate(answer) => return answer.try_into(),
                other => return Err(unexpected(other)),
            }
        }
    }

    /// Asks for the certificate of a task that was certified before.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn certificate(&self, task: TaskId) -> Result<Answer, ClientError> {
        let task_id = task.0.to_vec();
        let query = RequestKind::Certificate(wire::CertificateQuery { task_id });
        match next(&mut self.send(query).await?).await? {
            ReplyKind::Certificate(answer) => answer.try_into(),
            other => Err(unexpected(other)),
        }
    }

    /// Asks for the operators of the current epoch.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn operators(&self) -> Result<wire::OperatorList, ClientError> {
        let query = RequestKind::Operators(wire::OperatorsQuery {});
        match next(&mut self.send(query).await?).await? {
            ReplyKind::Operators(operators) => Ok(operators),
            other => Err(unexpected(other)),
        }
    }

    /// Asks for the set of an epoch and the certificate that handed over to it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn epoch_update(&self, next_epoch: Epoch) -> Result<HandedOver, ClientError> {
        self.epoch_update_by(next_epoch, None).await
    }

    /// As [`Self::epoch_update`], with the certificate by the set of one epoch. Where there is none yet, an
    /// operator has it made: ask again.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn epoch_update_by(
        &self,
        next_epoch: Epoch,
        by_epoch: Option<Epoch>,
    ) -> Result<HandedOver, ClientError> {
        let query = wire::EpochUpdateQuery {
            next_epoch: next_epoch.0,
            by_epoch: by_epoch.map(|epoch| epoch.0),
        };
        let query = RequestKind::EpochUpdate(query);
        let reply = match next(&mut self.send(query).await?).await? {
            ReplyKind::EpochUpdate(reply) => HandedOver::try_from(&reply)?,
            other => return Err(unexpected(other)),
        };
        if reply.set.epoch() != next_epoch {
            let text = format!("the set of epoch {}", reply.set.epoch());
            return Err(ClientError::Malformed(format!("{text} was not asked for")));
        }
        Ok(reply)
    }

    /// Asks for evidence of equivocation; nothing of it is checked.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn evidence(&self, query: &EvidenceQuestion) -> Result<HeldEvidence, ClientError> {
        let query = RequestKind::Evidence(query.into());
        match next(&mut self.send(query).await?).await? {
            ReplyKind::Evidence(reply) => (&reply).try_into(),
            other => Err(unexpected(other)),
        }
    }

    async fn send(&self, kind: RequestKind) -> Result<Replies, ClientError> {
        let id = self
            .next_id
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1);
        let (replies, receiver) = mpsc::channel(REPLIES);
        let request = wire::Request {
            id,
            kind: Some(kind),
        };
        self.waiting.lock().insert(id, replies);
        let replies = Replies {
            id,
            receiver,
            waiting: self.waiting.clone(),
        };
        let sent = self.requests.send(request).await;
        sent.map_err(|_| ClientError::Lost("the stream is closed".into()))?;
        Ok(replies)
    }
}

struct Replies {
    id: u64,
    receiver: mpsc::Receiver<wire::Reply>,
    waiting: PendingReply,
}

impl Drop for Replies {
    fn drop(&mut self) {
        self.waiting.lock().remove(&self.id);
    }
}

async fn next(replies: &mut Replies) -> Result<ReplyKind, ClientError> {
    let reply = replies.receiver.recv().await;
    let reply = reply.ok_or_else(|| ClientError::Lost("the stream was closed".into()))?;
    match reply.kind {
        Some(ReplyKind::Error(error)) => Err(ClientError::Failed(Box::new((&error).try_into()?))),
        Some(kind) => Ok(kind),
        None => Err(ClientError::Malformed("a reply without kind".into())),
    }
}

fn unexpected(kind: ReplyKind) -> ClientError {
    let name = match kind {
        ReplyKind::Progress(_) => "progress",
        ReplyKind::Certificate(_) => "a certificate",
        ReplyKind::Error(_) => "an error",
        ReplyKind::Operators(_) => "operators",
        ReplyKind::EpochUpdate(_) => "an epoch update",
        ReplyKind::Timeline(_) => "a timeline",
        ReplyKind::Live(_) => "live events",
        ReplyKind::Evidence(_) => "evidence",
        ReplyKind::Transfer(_) => "a transfer",
    };
    ClientError::Malformed(format!("{name} was not asked for"))
}

async fn drive(mut swarm: Swarm<UserBehaviour>, alive: CancellationToken) {
    loop {
        tokio::select! {
            _ = swarm.select_next_some() => {}
            () = alive.cancelled() => return,
        }
    }
}
