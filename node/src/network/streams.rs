//! Streams that peers open: they wait for who serves their protocol in a queue with a bound.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::DeniedUpgrade;
use libp2p::core::{Endpoint, UpgradeInfo};
use libp2p::swarm::handler::{ConnectionEvent, FullyNegotiatedInbound};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm,
    NetworkBehaviour, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{InboundUpgrade, Multiaddr, PeerId, Stream, StreamProtocol};
use tokio::sync::mpsc;

/// Streams of one protocol that wait: what opens while its server takes a breath. When it is full,
/// another one is dropped.
const WAITING: usize = 1_024;

/// Streams that were opened, and by whom.
pub(crate) type Incoming = mpsc::Receiver<(PeerId, Stream)>;

/// The protocols that are served. A clone is another handle to the same.
///
/// # Design Decisions
///
/// `libp2p_stream` opens streams here and accepts none: it keeps one that comes, and drops what comes in the
/// same moment.
#[derive(Clone, Default)]
pub(crate) struct Served(Arc<Mutex<Queues>>);

type Queues = HashMap<StreamProtocol, mpsc::Sender<(PeerId, Stream)>>;

impl Served {
    /// Streams of a protocol from now on; who took them before gets none any more. Until the receiver is
    /// dropped peers see that the protocol is served.
    pub(crate) fn accept(&self, protocol: StreamProtocol) -> Incoming {
        let (sender, incoming) = mpsc::channel(WAITING);
        self.lock().insert(protocol, sender);
        incoming
    }

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

/// Hands streams to who serves them.
#[derive(Default)]
pub(crate) struct Acceptor {
    pub(super) served: Served,
}

/// What does it on one connection.
pub(crate) struct Handler {
    peer: PeerId,
    served: Served,
}

/// Which protocols may be opened.
pub(crate) struct Offer(Vec<StreamProtocol>);

impl Acceptor {
    fn handler(&self, peer: PeerId) -> Handler {
        let served = self.served.clone();
        Handler { peer, served }
    }
}

impl NetworkBehaviour for Acceptor {
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

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Infallible;
    type ToBehaviour = Infallible;
    type InboundProtocol = Offer;
    type OutboundProtocol = DeniedUpgrade;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Offer> {
        SubstreamProtocol::new(Offer(self.served.protocols()), ())
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<DeniedUpgrade, (), Infallible>> {
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, event: Infallible) {
        match event {}
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Offer, DeniedUpgrade>) {
        if let ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
            protocol: (stream, protocol),
            ..
        }) = event
        {
            self.served.put(&protocol, self.peer, stream);
        }
    }
}

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
