//! gRPC over libp2p streams: encrypted, and both ends known by their peer ids.
//!
//! Every node serves [`wire::RegistryError`](quorate_proto::wire) services on the stream protocol
//! `/quorate/<network>/grpc/1`: registries all of them, others the health check only.

mod status;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{StreamExt as _, future};
use hyper_util::rt::TokioIo;
use libp2p::{PeerId, Stream, StreamProtocol};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt as _};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint, Server};

pub(crate) use status::{explain, refuse, refused, report};

use crate::NodeError;
use crate::gossip::known_peers::KnownPeers;
use crate::network::NetworkHandle;
use crate::network::stream_limits::{StreamLimit, StreamSlot, StreamSlots};

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::too_many_lines)]
mod generated {
    tonic::include_proto!("quorate.v1");
}

pub(crate) use generated::{
    registry_client::RegistryClient, registry_server, registry_sync_client::RegistrySyncClient,
    registry_sync_server,
};

/// Bytes of a message to a server: a join with eight addresses has less than 4 KiB.
pub(crate) const MAX_REQUEST_BYTES: usize = 16 * 1024;
/// Bytes of a message to a client: 500 states of at most 2.6 KiB each.
pub(crate) const MAX_REPLY_BYTES: usize = 2 * 1024 * 1024;
/// Streams of one peer: one for its calls, one that replaces it, and the same for a registry's
/// second service.
const STREAMS_PER_PEER: usize = 4;
/// Streams of all peers: 500 operators and some registries, twice.
const STREAMS: usize = 1_024;
/// Of these, kept for peers that speak for an operator or are configured: what they show, hear and
/// renew. Joins come from peers that are not known yet, and share the rest.
const STREAMS_FOR_REGULARS: usize = STREAMS / 2;
/// Streams of one range of addresses: 64 peers in one data centre.
const STREAMS_PER_RANGE: usize = 256;
/// Calls under way on one stream: a subscription, and what its owner asks meanwhile.
const MAX_CALLS: u32 = 16;
/// How long a call may take to begin its answer: a join reads the home chain.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// A stream that is silent for that long is asked whether it still stands, and closed when it does
/// not say so within the same time.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The protocol's name in this network.
///
/// # Errors
/// A network id that makes no name.
pub(crate) fn protocol(network: &quorate_proto::NetworkId) -> Result<StreamProtocol, NodeError> {
    StreamProtocol::try_from_owned(network.protocol("grpc")).map_err(|error| NodeError::Internal {
        reason: error.to_string(),
    })
}

/// Who is at the other end of a call.
pub(crate) fn caller<T>(request: &tonic::Request<T>) -> Result<PeerId, tonic::Status> {
    let peer = request.extensions().get::<PeerId>().copied();
    peer.ok_or_else(|| tonic::Status::internal("a call without a peer"))
}

/// Opens streams to peers as they are needed.
#[derive(Clone)]
pub(crate) struct Caller {
    network: NetworkHandle,
    protocol: StreamProtocol,
}

impl Caller {
    pub(crate) const fn new(network: NetworkHandle, protocol: StreamProtocol) -> Self {
        Self { network, protocol }
    }

    /// A channel to a peer. It opens its stream with the first call, and another one when that is
    /// gone.
    pub(crate) fn channel(&self, peer: PeerId) -> Channel {
        let (network, protocol) = (self.network.clone(), self.protocol.clone());
        let open = tower::service_fn(move |_: tonic::transport::Uri| {
            let (streams, protocol) = (network.streams().clone(), protocol.clone());
            async move {
                let stream = streams.open(peer, protocol).await;
                let stream = stream.map_err(|error| io::Error::other(error.to_string()))?;
                Ok::<_, io::Error>(TokioIo::new(stream.compat()))
            }
        });
        // The name is never looked up: the stream is to the peer.
        Endpoint::from_static("http://peer")
            .connect_timeout(CALL_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .connect_with_connector_lazy(open)
    }

    /// A client of a registry's services for operators.
    pub(crate) fn registry(&self, peer: PeerId) -> RegistryClient<Channel> {
        RegistryClient::new(self.channel(peer)).max_decoding_message_size(MAX_REPLY_BYTES)
    }

    /// A client of a registry's services for other registries.
    pub(crate) fn registry_sync(&self, peer: PeerId) -> RegistrySyncClient<Channel> {
        RegistrySyncClient::new(self.channel(peer)).max_decoding_message_size(MAX_REPLY_BYTES)
    }
}

/// Serves `routes` to peers until `token` is cancelled.
///
/// # Errors
/// The server failed.
pub(crate) async fn serve(
    network: NetworkHandle,
    protocol: StreamProtocol,
    routes: Routes,
    regulars: KnownPeers,
    token: CancellationToken,
) -> Result<(), NodeError> {
    let internal = |error: &dyn std::fmt::Display| NodeError::Internal {
        reason: error.to_string(),
    };
    let incoming = ReceiverStream::new(network.accept(protocol));
    let places = StreamSlots::new(StreamLimit {
        per_peer: STREAMS_PER_PEER,
        per_range: STREAMS_PER_RANGE,
        in_all: STREAMS,
        for_regulars: STREAMS_FOR_REGULARS,
    });
    let admitted = incoming.filter_map(move |(peer, stream)| {
        let is_regular = regulars.contains(&peer);
        let place = places.take(peer, network.range_of(&peer), is_regular);
        future::ready(place.map(|place| Ok::<_, io::Error>(PeerIo::new(peer, stream, place))))
    });
    // Open calls do not hold the end up: subscriptions have none.
    let ended = Server::builder()
        .max_concurrent_streams(MAX_CALLS)
        .timeout(CALL_TIMEOUT)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE))
        .add_routes(routes)
        .serve_with_incoming(admitted.take_until(token.clone().cancelled_owned()));
    tokio::select! {
        ended = ended => ended.map_err(|error| internal(&error))?,
        () = token.cancelled() => return Ok(()),
    }
    token.cancelled().await;
    Ok(())
}

/// A stream from a peer, as a connection of the gRPC server.
struct PeerIo {
    peer: PeerId,
    stream: Compat<Stream>,
    _place: StreamSlot,
}

impl PeerIo {
    fn new(peer: PeerId, stream: Stream, place: StreamSlot) -> Self {
        Self {
            peer,
            stream: stream.compat(),
            _place: place,
        }
    }
}

impl Connected for PeerIo {
    type ConnectInfo = PeerId;

    fn connect_info(&self) -> PeerId {
        self.peer
    }
}

impl AsyncRead for PeerIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for PeerIo {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
