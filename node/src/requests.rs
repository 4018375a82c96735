//! Serves users: one stream, many requests, progress, then an answer.

mod answer;

use std::sync::Arc;

use futures::io::BufReader;
use futures::{AsyncReadExt, StreamExt};
use libp2p::{PeerId, Stream, StreamProtocol};
use quorate_proto::{limits, wire};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use answer::Answerer;

use crate::NodeError;
use crate::frame::{self, FrameError};
use crate::network::{NetworkHandle, Offence};
use crate::places::{Place, Places};

/// Streams of one user: one is enough, the rest is for several programs behind one key.
const MAX_STREAMS_PER_PEER: usize = 16;
/// Streams of all users; each takes about 20 kB while idle.
const MAX_STREAMS: usize = 2_048;
/// Replies that wait for a slow reader before its requests wait, too.
const REPLIES: usize = 64;

/// Accepts user streams.
pub(crate) struct Requests {
    network: NetworkHandle,
    protocol: StreamProtocol,
    answerer: Arc<Answerer>,
    places: Places,
    /// Questions under way, on all streams.
    questions: TaskTracker,
    drained: CancellationToken,
}

impl Requests {
    /// `drained` is cancelled when the node is closing and every question was answered.
    pub(crate) fn new(
        network: NetworkHandle,
        protocol: StreamProtocol,
        answerer: Answerer,
        drained: CancellationToken,
    ) -> Self {
        Self {
            drained,
            network,
            protocol,
            answerer: Arc::new(answerer),
            places: Places::new(MAX_STREAMS_PER_PEER, MAX_STREAMS),
            questions: TaskTracker::new(),
        }
    }

    /// Serves until the node is closing, then finishes what is under way; what is asked meanwhile on
    /// open streams is answered with UNAVAILABLE. Ends when `token` is cancelled.
    pub(crate) async fn run(self, token: CancellationToken) -> Result<(), NodeError> {
        let mut incoming = self
            .network
            .streams()
            .accept(self.protocol.clone())
            .map_err(|e| NodeError::Internal {
                reason: e.to_string(),
            })?;
        let closing = self.answerer.closing.clone();
        let answered = CancellationToken::new();
        let mut serving = JoinSet::new();
        loop {
            tokio::select! {
                Some((peer, stream)) = incoming.next() => {
                    self.admit(&mut serving, peer, stream, &answered);
                }
                Some(_) = serving.join_next() => {}
                () = closing.cancelled() => break,
            }
        }
        drop(incoming);
        let finish = async {
            self.questions.close();
            self.questions.wait().await;
            answered.cancel();
            while serving.join_next().await.is_some() {}
        };
        tokio::select! {
            () = finish => self.drained.cancel(),
            () = token.cancelled() => {}
        }
        token.cancelled().await;
        Ok(())
    }

    fn admit(
        &self,
        serving: &mut JoinSet<()>,
        peer: PeerId,
        stream: Stream,
        answered: &CancellationToken,
    ) {
        let Some(place) = self.places.take(peer) else {
            return;
        };
        let service = Service {
            answerer: self.answerer.clone(),
            questions: self.questions.clone(),
            answered: answered.clone(),
        };
        serving.spawn(serve(stream, peer, self.network.clone(), service, place));
    }
}

/// What all streams share.
struct Service {
    answerer: Arc<Answerer>,
    questions: TaskTracker,
    /// Cancelled when the node is closing and all questions have their answers.
    answered: CancellationToken,
}

/// Serves one stream until its user closes it or breaks the protocol, or the node is done.
async fn serve(
    stream: Stream,
    peer: PeerId,
    network: NetworkHandle,
    service: Service,
    _place: Place,
) {
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(reader);
    let (replies, mut outgoing) = mpsc::channel::<wire::Reply>(REPLIES);
    let write = async move {
        // A user that is gone hears nothing, and minds nothing.
        let _ = frame::write_from(&mut writer, &mut outgoing).await;
    };
    let read = async move {
        let permits = Arc::new(Semaphore::new(limits::MAX_STREAM_REQUESTS));
        let mut answering = JoinSet::new();
        let ended = loop {
            let request = frame::read::<wire::Request>(&mut reader, limits::MAX_REQUEST_FRAME);
            let request = tokio::select! {
                request = request => request,
                () = service.answered.cancelled() => Err(FrameError::Closed),
            };
            match request {
                Ok(request) => answer(&service, &permits, &mut answering, request, &replies).await,
                Err(error) => break error,
            }
            while answering.try_join_next().is_some() {}
        };
        if ended.is_fault() {
            report(&network, peer, &ended, &replies).await;
            answering.abort_all();
        }
        // A user may close its side after the last request and still read the answers.
        while answering.join_next().await.is_some() {}
    };
    // Whichever side ends first: without a writer there is nobody to answer.
    tokio::pin!(read);
    tokio::pin!(write);
    tokio::select! {
        () = &mut read => write.await,
        () = &mut write => {}
    }
}

async fn answer(
    service: &Service,
    permits: &Arc<Semaphore>,
    answering: &mut JoinSet<()>,
    request: wire::Request,
    replies: &mpsc::Sender<wire::Reply>,
) {
    let Ok(permit) = permits.clone().try_acquire_owned() else {
        let error = answer::overloaded(format!(
            "{} requests are under way on this stream, which is the most; wait for replies",
            limits::MAX_STREAM_REQUESTS
        ));
        let _ = replies
            .send(answer::reply(request.id, wire::reply::Kind::Error(*error)))
            .await;
        return;
    };
    let (answerer, replies) = (service.answerer.clone(), replies.clone());
    answering.spawn(service.questions.track_future(async move {
        answerer.answer(request, replies).await;
        drop(permit);
    }));
}

async fn report(
    network: &NetworkHandle,
    peer: PeerId,
    error: &FrameError,
    replies: &mpsc::Sender<wire::Reply>,
) {
    tracing::debug!(%peer, %error, "user broke the protocol");
    network.offence(peer, Offence::InvalidFrame).await;
    let error = answer::invalid(format!("{error}; the stream is closed"));
    let _ = replies
        .send(answer::reply(0, wire::reply::Kind::Error(*error)))
        .await;
}
