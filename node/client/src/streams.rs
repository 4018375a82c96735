//! Streams by protocol: those that peers open wait for who serves them in a queue with a bound, and others
//! are opened to peers.

use std::collections::{HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use libp2p::core::transport::PortUse;
use libp2p::core::{Endpoint, UpgradeInfo};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::handler::{
    ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound,
};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, DialError,
    FromSwarm, NetworkBehaviour, NotifyHandler, StreamUpgradeError, SubstreamProtocol, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{InboundUpgrade, Multiaddr, OutboundUpgrade, PeerId, Stream, StreamProtocol};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Streams of one protocol that wait: what opens while its server takes a breath. When it is full,
/// another one is dropped.
const WAITING: usize = 1_024;
/// Streams to be opened that wait for the swarm; a caller that wants another one waits.
const OPENS: usize = 64;
/// Streams that are being opened: in the channel, until their peers are connected, and until they are negotiated.
/// A caller that wants another one waits. More than all callers of a node have under way at a time.
const OPENING: usize = 1_024;

/// Streams that were opened, and by whom.
pub type Incoming = mpsc::Receiver<(PeerId, Stream)>;

/// Why a stream was not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It does not speak the protocol.
    #[error("the peer does not serve {0}")]
    NotServed(StreamProtocol),
    /// Its dial failed, and why.
    #[error("the peer is not reached: {0}")]
    NotReached(String),
    /// The connection, or the whole swarm, ended meanwhile.
    #[error("the connection was lost")]
    Lost,
    /// The peer was slow, or broke off.
    #[error("the stream was not opened: {0}")]
    Failed(String),
}

/// Opens streams, and says which are served. A clone is another handle to the same.
#[derive(Clone)]
pub struct StreamHandle {
    opens: mpsc::Sender<(PeerId, Open)>,
    places: Arc<Semaphore>,
    served: Served,
}

/// Who takes streams of which protocol.
#[derive(Clone, Default)]
struct Served(Arc<Mutex<Queues>>);

type Queues = HashMap<StreamProtocol, mpsc::Sender<(PeerId, Stream)>>;

/// A stream that a caller waits for.
#[derive(Debug)]
pub struct Open {
    protocol: StreamProtocol,
    reply: Reply,
    /// Goes with it through every queue, which so are bounded together, also where the caller is gone.
    _place: OwnedSemaphorePermit,
}

type Reply = oneshot::Sender<Result<Stream, OpenError>>;

impl StreamHandle {
    /// Opens a stream to a peer, which is dialled where it is not connected.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(&self, peer: PeerId, protocol: StreamProtocol) -> Result<Stream, OpenError> {
        let place = self.places.clone().acquire_owned().await;
        let (reply, opened) = oneshot::channel();
        let open = Open {
            protocol,
            reply,
            _place: place.map_err(|_| OpenError::Lost)?,
        };
        let sent = self.opens.send((peer, open)).await;
        sent.map_err(|_| OpenError::Lost)?;
        opened.await.unwrap_or(Err(OpenError::Lost))
    }

    /// Streams of a protocol from now on; who took them before gets none any more. Until the receiver is
    /// dropped peers see that the protocol is served.
    #[must_use]
    pub fn accept(&self, protocol: StreamProtocol) -> Incoming {
        let (sender, incoming) = mpsc::channel(WAITING);
        self.served.lock().insert(protocol, sender);
        incoming
    }
}

impl Served {
    fn protocols(&self) -> Vec<StreamProtocol> {
        let mut served = self.lock();
        served.retain(|_, sender| !sender.is_closed());
        served.keys().cloned().collect()
    }

    fn put(&self, protocol: &StreamProtocol, peer: PeerId, stream: Stream) {
        let served = self.lock();
        let taken = served
            .get(protocol)
            .is_some_and(|sender| sender.try_send((peer, stream)).is_ok());
        if !taken {
            metrics::counter!("quorate_streams_refused_total").increment(1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The behaviour: hands streams to who serves them, and opens others.
pub struct Streams {
    handle: StreamHandle,
    opens: mpsc::Receiver<(PeerId, Open)>,
    connected: HashSet<PeerId>,
    /// Until their peers are connected.
    dialling: HashMap<PeerId, Vec<Open>>,
    ready: VecDeque<(PeerId, Open)>,
}

impl Default for Streams {
    fn default() -> Self {
        let (sender, opens) = mpsc::channel(OPENS);
        let handle = StreamHandle {
            opens: sender,
            places: Arc::new(Semaphore::new(OPENING)),
            served: Served::default(),
        };
        Self {
            handle,
            opens,
            connected: HashSet::new(),
            dialling: HashMap::new(),
            ready: VecDeque::new(),
        }
    }
}

impl Streams {
    /// Speaks to this behaviour, wherever its swarm runs.
    #[must_use]
    pub fn handle(&self) -> StreamHandle {
        self.handle.clone()
    }

    fn handler(&self, peer: PeerId) -> Handler {
        Handler {
            peer,
            served: self.handle.served.clone(),
            opens: VecDeque::new(),
        }
    }

    fn connected(&mut self, peer: PeerId) {
        self.connected.insert(peer);
        let waiting = self.dialling.remove(&peer).into_iter().flatten();
        self.ready.extend(waiting.map(|open| (peer, open)));
    }

    fn not_reached(&mut self, peer: PeerId, error: &DialError) {
        // Another behaviour dials: its dial is waited for.
        if matches!(error, DialError::DialPeerConditionFalse(_)) {
            return;
        }
        for open in self.dialling.remove(&peer).into_iter().flatten() {
            let error = OpenError::NotReached(error.to_string());
            let _ = open.reply.send(Err(error));
        }
    }
}

impl NetworkBehaviour for Streams {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(peer))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(peer))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(event) => self.connected(event.peer_id),
            FromSwarm::ConnectionClosed(event) if event.remaining_established == 0 => {
                self.connected.remove(&event.peer_id);
            }
            FromSwarm::DialFailure(event) => {
                if let Some(peer) = event.peer_id {
                    self.not_reached(peer, event.error);
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        if let Poll::Ready(Some((peer_id, open))) = self.opens.poll_recv(cx) {
            if !self.connected.contains(&peer_id) {
                self.dialling.entry(peer_id).or_default().push(open);
                let opts = DialOpts::peer_id(peer_id)
                    .condition(PeerCondition::DisconnectedAndNotDialing)
                    .build();
                return Poll::Ready(ToSwarm::Dial { opts });
            }
            self.ready.push_back((peer_id, open));
        }
        match self.ready.pop_front() {
            Some((peer_id, event)) => Poll::Ready(ToSwarm::NotifyHandler {
                peer_id,
                handler: NotifyHandler::Any,
                event,
            }),
            None => Poll::Pending,
        }
    }
}

/// What does it on one connection.
pub struct Handler {
    peer: PeerId,
    served: Served,
    opens: VecDeque<Open>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = Infallible;
    type InboundProtocol = Offer;
    type OutboundProtocol = Offer;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Open;

    fn listen_protocol(&self) -> SubstreamProtocol<Offer> {
        SubstreamProtocol::new(Offer(self.served.protocols()), ())
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Offer, Open, Infallible>> {
        let Some(open) = self.opens.pop_front() else {
            return Poll::Pending;
        };
        let offer = Offer(vec![open.protocol.clone()]);
        Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
            protocol: SubstreamProtocol::new(offer, open),
        })
    }

    fn on_behaviour_event(&mut self, open: Open) {
        self.opens.push_back(open);
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Offer, Offer, (), Open>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (stream, protocol),
                ..
            }) => self.served.put(&protocol, self.peer, stream),
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (stream, _),
                info,
            }) => drop(info.reply.send(Ok(stream))),
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => {
                let error = match error {
                    StreamUpgradeError::NegotiationFailed => OpenError::NotServed(info.protocol),
                    other => OpenError::Failed(other.to_string()),
                };
                let _ = info.reply.send(Err(error));
            }
            _ => {}
        }
    }
}

/// Which protocols may be opened, or which one is.
pub struct Offer(Vec<StreamProtocol>);

impl UpgradeInfo for Offer {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter()
    }
}

impl InboundUpgrade<Stream> for Offer {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

impl OutboundUpgrade<Stream> for Offer {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

#[cfg(test)]
mod tests;
