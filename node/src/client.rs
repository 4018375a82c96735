//! A user of the network: no key, no stake, one stream.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use quorate_node::client::{At, Client, StateQuestion};
//! use quorate_proto::{Address, U256};
//!
//! let client = Client::connect(&"/ip4/127.0.0.1/tcp/9000".parse()?, None).await?;
//! let question = StateQuestion {
//!     chain_id: 31338,
//!     user: Address::ZERO,
//!     key: U256::from(1),
//!     at: At::Block(12),
//! };
//! let answer = client.request_state(&question, |progress| println!("{progress:?}")).await?;
//! println!("{:?}", answer.certificate.statement());
//! # Ok(()) }
//! ```

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::io::BufReader;
use futures::{AsyncReadExt, StreamExt};
use libp2p::swarm::{DialError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, Swarm, identify};
pub use quorate_chain::At;
use quorate_proto::wire::reply::Kind as ReplyKind;
use quorate_proto::wire::request::Kind as RequestKind;
use quorate_proto::{
    Address, B256, Certificate, Epoch, OperatorSet, TaskId, U256, WireError, limits, wire,
};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::frame;
use crate::network::{UserBehaviour, UserBehaviourEvent, user_swarm};

/// How long dialling and naming the protocol may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Replies that wait for one request.
const REPLIES: usize = 64;

/// Asks for a stored value.
#[derive(Clone, Debug)]
pub struct StateQuestion {
    /// EIP-155 id of the chain.
    pub chain_id: u32,
    /// Who stored the value.
    pub user: Address,
    /// Under which key.
    pub key: U256,
    /// As of when.
    pub at: At,
}

/// A certificate, ready for a contract.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The task.
    pub task_id: TaskId,
    /// What is certified, and by whom.
    pub certificate: Certificate,
    /// Second argument of `isValidSignature`.
    pub signature_data: Vec<u8>,
    /// First argument of `isValidSignature`.
    pub digest: B256,
    /// It came from the operator's store.
    pub stored: bool,
}

/// The set of an epoch, as the operator says; nothing of it is checked.
#[derive(Clone, Debug)]
pub struct HandedOver {
    /// The set.
    pub set: OperatorSet,
    /// Of the update by which an earlier epoch's set named this one, where the operator has it.
    pub certificate: Option<Certificate>,
}

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The task.
    pub task_id: TaskId,
    /// Its birth epoch.
    pub epoch: u32,
    /// Operators that signed.
    pub signed: u32,
    /// Operators that refused.
    pub refused: u32,
    /// Weight that signed.
    pub signed_weight: U256,
    /// Weight that refused.
    pub refused_weight: U256,
    /// Weight needed.
    pub threshold: U256,
    /// Weight of the set.
    pub total_weight: U256,
    /// Number of the retry, 0 for the first announcement.
    pub attempt: u32,
}

/// Why a request got no answer, as the operator says.
#[derive(Clone, Debug)]
pub struct RequestFailure {
    /// For machines.
    pub code: wire::ErrorCode,
    /// For people: the cause and the cure.
    pub message: String,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// Where a task existed.
    pub progress: Option<Progress>,
    /// Who refused, and why.
    pub refusals: Vec<Refused>,
    /// Who did not answer.
    pub missing: Vec<Address>,
}

/// One operator's refusal.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Who.
    pub operator: Address,
    /// Why, for machines.
    pub code: wire::RefusalCode,
    /// Why, for people.
    pub detail: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers there.
    #[error("cannot reach {address}: {reason}")]
    Unreachable {
        /// Where.
        address: Multiaddr,
        /// Why.
        reason: String,
    },
    /// Whoever answers there serves no requests of that network.
    #[error("the peer at {address} serves {}; {cure}", describe(found))]
    NoSuchNetwork {
        /// Where.
        address: Multiaddr,
        /// Networks that it serves.
        found: Vec<String>,
        /// What to do.
        cure: &'static str,
    },
    /// The connection broke while an answer was awaited.
    #[error("the connection was lost: {0}; ask again, or ask another operator")]
    Lost(String),
    /// The operator answered with an error.
    #[error("{}", .0.message)]
    Failed(Box<RequestFailure>),
    /// The operator answered with something else than was asked for.
    #[error("the operator's reply is malformed: {0}; ask another operator")]
    Malformed(String),
}

fn describe(found: &[String]) -> String {
    match found {
        [] => "no network's requests".into(),
        networks => format!("network {}", networks.join(" and ")),
    }
}

impl From<WireError> for ClientError {
    fn from(error: WireError) -> Self {
        Self::Malformed(error.to_string())
    }
}

type Waiting = Arc<Mutex<HashMap<u64, mpsc::Sender<wire::Reply>>>>;

/// A connection to one operator. Requests may be made at the same time.
#[derive(Clone)]
pub struct Client {
    requests: mpsc::Sender<wire::Request>,
    waiting: Waiting,
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
        let mut streams = swarm.behaviour().stream.new_control();
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
        let opened = streams.open_stream(peer, protocol).await;
        let stream = opened.map_err(|error| unreachable(error.to_string()))?;
        Ok(Self::on(stream, peer, network, alive))
    }

    fn on(stream: Stream, peer: PeerId, network: String, alive: CancellationToken) -> Self {
        let (requests, outgoing) = mpsc::channel(limits::MAX_STREAM_REQUESTS);
        let waiting = Waiting::default();
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
        let query = wire::EpochUpdateQuery {
            next_epoch: next_epoch.0,
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

    async fn send(&self, kind: RequestKind) -> Result<Replies, ClientError> {
        let id = self
            .next_id
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1);
        let (sender, receiver) = mpsc::channel(REPLIES);
        lock(&self.waiting).insert(id, sender);
        let replies = Replies {
            id,
            receiver,
            waiting: self.waiting.clone(),
        };
        let request = wire::Request {
            id,
            kind: Some(kind),
        };
        let sent = self.requests.send(request).await;
        sent.map_err(|_| ClientError::Lost("the stream is closed".into()))?;
        Ok(replies)
    }
}

struct Replies {
    id: u64,
    receiver: mpsc::Receiver<wire::Reply>,
    waiting: Waiting,
}

impl Drop for Replies {
    fn drop(&mut self) {
        lock(&self.waiting).remove(&self.id);
    }
}

fn lock(waiting: &Waiting) -> std::sync::MutexGuard<'_, HashMap<u64, mpsc::Sender<wire::Reply>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
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
    };
    ClientError::Malformed(format!("{name} was not asked for"))
}

/// Dials, and waits until the peer has said which protocols it speaks.
async fn dial(
    swarm: &mut Swarm<UserBehaviour>,
    address: &Multiaddr,
) -> Result<(PeerId, Vec<String>), String> {
    swarm
        .dial(address.clone())
        .map_err(|error| error.to_string())?;
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::OutgoingConnectionError { error, .. } => return Err(plain(&error)),
            SwarmEvent::ConnectionClosed { cause, .. } => {
                let cause = cause.map_or_else(|| "closed".into(), |cause| cause.to_string());
                return Err(format!("the peer closed the connection: {cause}"));
            }
            SwarmEvent::Behaviour(UserBehaviourEvent::Identify(identify::Event::Received {
                peer_id,
                info,
                ..
            })) => {
                let served = info.protocols.iter().filter_map(|p| network_of(p.as_ref()));
                return Ok((peer_id, served.collect()));
            }
            _ => {}
        }
    }
}

fn plain(error: &DialError) -> String {
    match error {
        DialError::Transport(tried) => {
            let causes: Vec<String> = tried.iter().map(|(_, cause)| cause.to_string()).collect();
            causes.join("; ")
        }
        other => other.to_string(),
    }
}

fn network_of(protocol: &str) -> Option<String> {
    let network = protocol
        .strip_prefix("/quorate/")?
        .strip_suffix("/request/1")?;
    Some(network.to_owned())
}

fn choose(
    address: &Multiaddr,
    mut served: Vec<String>,
    wanted: Option<&str>,
) -> Result<String, ClientError> {
    let cure = match (wanted, served.len()) {
        (Some(wanted), _) if served.iter().any(|network| network == wanted) => {
            return Ok(wanted.into());
        }
        (None, 1) => return Ok(served.remove(0)),
        (_, 0) => "ask an operator's --listen address",
        (Some(_), _) => "check --network",
        (None, _) => "choose one with --network",
    };
    let address = address.clone();
    Err(ClientError::NoSuchNetwork {
        address,
        found: served,
        cure,
    })
}

async fn drive(mut swarm: Swarm<UserBehaviour>, alive: CancellationToken) {
    loop {
        tokio::select! {
            _ = swarm.select_next_some() => {}
            () = alive.cancelled() => return,
        }
    }
}

/// Carries requests out and replies in until either side ends.
async fn exchange(
    stream: Stream,
    mut outgoing: mpsc::Receiver<wire::Request>,
    waiting: Waiting,
    alive: CancellationToken,
) {
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(reader);
    let write = frame::write_from(&mut writer, &mut outgoing);
    let read = async {
        while let Ok(reply) = frame::read::<wire::Reply>(&mut reader, limits::MAX_REPLY_FRAME).await
        {
            let sender = lock(&waiting).get(&reply.id).cloned();
            if let Some(sender) = sender {
                let _ = sender.send(reply).await;
            }
        }
    };
    tokio::select! {
        _ = write => {}
        () = read => {}
        () = alive.cancelled() => {}
    }
    outgoing.close();
    lock(&waiting).clear();
}

impl From<&StateQuestion> for wire::StateRequest {
    fn from(question: &StateQuestion) -> Self {
        Self {
            chain_id: question.chain_id,
            user: question.user.to_vec(),
            key: question.key.to_be_bytes_vec(),
            at: Some(match question.at {
                At::Block(number) => wire::state_request::At::BlockNumber(number),
                At::Timestamp(seconds) => wire::state_request::At::Timestamp(seconds),
            }),
        }
    }
}

impl TryFrom<wire::CertificateReply> for Answer {
    type Error = ClientError;

    fn try_from(reply: wire::CertificateReply) -> Result<Self, ClientError> {
        let missing = || ClientError::Malformed("a reply without certificate".into());
        let certificate: Certificate =
            reply.certificate.as_ref().ok_or_else(missing)?.try_into()?;
        let digest = B256::try_from(reply.digest.as_slice());
        Ok(Self {
            task_id: certificate.statement().task_id(),
            signature_data: certificate.signature_data(),
            certificate,
            digest: digest
                .map_err(|_| ClientError::Malformed("digest must have 32 bytes".into()))?,
            stored: reply.stored,
        })
    }
}

impl TryFrom<&wire::EpochUpdateReply> for HandedOver {
    type Error = ClientError;

    fn try_from(reply: &wire::EpochUpdateReply) -> Result<Self, ClientError> {
        let missing = || ClientError::Malformed("a reply without set".into());
        let certificate = reply.certificate.as_ref();
        Ok(Self {
            set: reply.set.as_ref().ok_or_else(missing)?.try_into()?,
            certificate: certificate.map(TryInto::try_into).transpose()?,
        })
    }
}

impl TryFrom<&wire::Progress> for Progress {
    type Error = ClientError;

    fn try_from(progress: &wire::Progress) -> Result<Self, ClientError> {
        let weight = |bytes: &[u8]| {
            let word: Result<[u8; 32], _> = bytes.try_into();
            let word =
                word.map_err(|_| ClientError::Malformed("a weight must have 32 bytes".into()))?;
            Ok::<U256, ClientError>(U256::from_be_bytes(word))
        };
        Ok(Self {
            task_id: TaskId::try_from(progress.task_id.as_slice())?,
            epoch: progress.epoch,
            signed: progress.signed,
            refused: progress.refused,
            signed_weight: weight(&progress.signed_weight)?,
            refused_weight: weight(&progress.refused_weight)?,
            threshold: weight(&progress.threshold)?,
            total_weight: weight(&progress.total_weight)?,
            attempt: progress.attempt,
        })
    }
}

impl TryFrom<&wire::RequestError> for RequestFailure {
    type Error = ClientError;

    fn try_from(error: &wire::RequestError) -> Result<Self, ClientError> {
        let operator = |bytes: &[u8]| {
            Address::try_from(bytes)
                .map_err(|_| ClientError::Malformed("an address must have 20 bytes".into()))
        };
        let refused = |r: &wire::RefusalReport| {
            Ok::<Refused, ClientError>(Refused {
                operator: operator(&r.operator)?,
                code: r.code(),
                detail: r.detail.clone(),
            })
        };
        Ok(Self {
            code: error.code(),
            message: error.message.clone(),
            retryable: error.retryable,
            progress: error.progress.as_ref().map(TryInto::try_into).transpose()?,
            refusals: error
                .refusals
                .iter()
                .map(refused)
                .collect::<Result<_, _>>()?,
            missing: error
                .missing
                .iter()
                .map(|m| operator(m))
                .collect::<Result<_, _>>()?,
        })
    }
}
