//! Serves users: one stream, many requests, progress, then an answer.

mod answer;
mod begun;
mod tolls;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use futures::io::BufReader;
use futures::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt};
use libp2p::{PeerId, Stream, StreamProtocol};
use quorate_proto::{limits, wire};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use answer::Answerer;
pub(crate) use turns::Turns;

use self::tolls::Tolls;
use crate::network::stream_limits::{StreamLimit, StreamSlot, StreamSlots};
use crate::network::{NetworkHandle, Offence};
use crate::settings::LiveSettings;
use crate::tasks::recorder::Origin;
use crate::{NodeError, clock};
use quorate_client::frame::{self, FrameError};

/// Streams of one user: one is enough; programs that open one for each question have as many under way.
const MAX_STREAMS_PER_PEER: usize = 64;
/// Streams of all users; each takes about 20 kB while idle.
const MAX_STREAMS: usize = 2_048;
/// Streams of all users of one range of addresses: an eighth of all.
const MAX_STREAMS_PER_RANGE: usize = 256;
/// Streams beyond these, on which one request is read, to be told that it is too many.
const TURNED_AWAY: StreamLimit = StreamLimit {
    per_peer: 256,
    per_range: 512,
    in_all: 1_024,
    for_regulars: 0,
};
/// A stream on which nothing was ever asked is closed after this time, however long others may be silent.
const FIRST_TIME: Duration = Duration::from_secs(30);
/// Replies that wait for a slow reader before its requests wait, too.
const REPLIES: usize = 64;
/// How long a frame may take from its first byte to its last: it has 1 KiB at most.
const FRAME_TIME: Duration = Duration::from_secs(10);
/// How long replies may wait for a user that does not read: longer than its task lives.
const WRITE_TIME: Duration = Duration::from_secs(30);
/// How long a stream is not read after a request that is more than its user may ask: a flood is slowed
/// to 50 refusals a second on each stream.
const EXCESS_PAUSE: Duration = Duration::from_millis(20);

/// Accepts user streams.
pub(crate) struct Requests {
    network: NetworkHandle,
    protocol: StreamProtocol,
    answerer: Arc<Answerer>,
    places: StreamSlots,
    turned_away: StreamSlots,
    tolls: Tolls,
    live: LiveSettings,
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
        live: LiveSettings,
        drained: CancellationToken,
    ) -> Self {
        Self {
            tolls: Tolls::new(live.clone()),
            live,
            drained,
            network,
            protocol,
            answerer: Arc::new(answerer),
            places: StreamSlots::new(StreamLimit {
                per_peer: MAX_STREAMS_PER_PEER,
                per_range: MAX_STREAMS_PER_RANGE,
                in_all: MAX_STREAMS,
                for_regulars: 0,
            }),
            turned_away: StreamSlots::new(TURNED_AWAY),
            questions: TaskTracker::new(),
        }
    }

    /// Serves until the node is closing, then finishes what is under way; what is asked meanwhile on
    /// open streams is answered with UNAVAILABLE. Ends when `token` is cancelled.
    pub(crate) async fn run(self, token: CancellationToken) -> Result<(), NodeError> {
        let mut incoming = self.network.accept(self.protocol.clone());
        let closing = self.answerer.node.closing.clone();
        let answered = CancellationToken::new();
        let mut serving = JoinSet::new();
        loop {
            tokio::select! {
                Some((peer, stream)) = incoming.recv() => {
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
        let range = self.network.range_of(&peer);
        let service = Service {
            answerer: self.answerer.clone(),
            questions: self.questions.clone(),
            answered: answered.clone(),
            tolls: self.tolls.clone(),
            idle: self.live.borrow().limits.stream_idle,
            network: self.network.clone(),
            peer,
        };
        if let Some(place) = self.places.take(peer, range, false) {
            serving.spawn(serve(stream, service, place));
        } else if let Some(place) = self.turned_away.take(peer, range, false) {
            serving.spawn(turn_away(stream, service, place));
        }
    }
}

/// What serves one stream.
struct Service {
    answerer: Arc<Answerer>,
    questions: TaskTracker,
    /// Cancelled when the node is closing and all questions have their answers.
    answered: CancellationToken,
    tolls: Tolls,
    idle: Duration,
    network: NetworkHandle,
    peer: PeerId,
}

/// Serves one stream until its user closes it, breaks the protocol or is silent for too long, or the node
/// is done.
async fn serve(stream: Stream, service: Service, _place: StreamSlot) {
    let (reader, mut writer) = stream.split();
    let reader = BufReader::new(reader);
    let (replies, mut outgoing) = mpsc::channel::<wire::Reply>(REPLIES);
    let write = async move {
        // A user that is gone hears nothing, and minds nothing.
        let _ = frame::write_from(&mut writer, &mut outgoing, WRITE_TIME).await;
    };
    let read = service.read(reader, replies);
    // Whichever side ends first: without a writer there is no user to answer.
    tokio::pin!(read);
    tokio::pin!(write);
    tokio::select! {
        () = &mut read => write.await,
        () = &mut write => {}
    }
}

/// Answers the first request on a stream that is one too many, and closes it.
async fn turn_away(mut stream: Stream, service: Service, _place: StreamSlot) {
    let request = frame::read::<wire::Request>(&mut stream, limits::MAX_REQUEST_FRAME);
    let Ok(Ok(request)) = tokio::time::timeout(FRAME_TIME, request).await else {
        return;
    };
    let text = format!(
        "this user has {MAX_STREAMS_PER_PEER} request streams open, its range of addresses \
         {MAX_STREAMS_PER_RANGE}, or all users together {MAX_STREAMS}, which is the most; close some, or \
         ask on one that is open: it takes {} requests at a time",
        limits::MAX_STREAM_REQUESTS
    );
    let reply = [service.overloaded(request.id, text, "streams")];
    let answer = async {
        frame::write(&mut stream, &reply).await?;
        stream.close().await
    };
    let _ = tokio::time::timeout(FRAME_TIME, answer).await;
}

impl Service {
    async fn read(
        self,
        mut reader: BufReader<impl AsyncRead + Unpin>,
        replies: mpsc::Sender<wire::Reply>,
    ) {
        let permits = Arc::new(Semaphore::new(limits::MAX_STREAM_REQUESTS));
        let mut answering = JoinSet::new();
        let gone = CancellationToken::new();
        let mut idle = self.idle.min(FIRST_TIME);
        let ended = loop {
            let request = tokio::select! {
                request = next_request(&mut reader, idle) => request,
                () = self.answered.cancelled() => Err(FrameError::Closed),
            };
            while answering.try_join_next().is_some() {}
            match request {
                Ok(Some(request)) => {
                    idle = self.idle;
                    self.answer(&permits, &mut answering, request, &replies, &gone)
                        .await;
                }
                // Silent, but it waits for replies.
                Ok(None) if !answering.is_empty() => {}
                Ok(None) => {
                    cut("idle");
                    break FrameError::Closed;
                }
                Err(error) => break error,
            }
        };
        if ended.is_fault() {
            self.report(&ended, &replies).await;
            answering.abort_all();
        }
        // A user may close its side after the last request and still read the answers; who follows does
        // not end by itself.
        gone.cancel();
        while answering.join_next().await.is_some() {}
    }

    async fn answer(
        &self,
        permits: &Arc<Semaphore>,
        answering: &mut JoinSet<()>,
        request: wire::Request,
        replies: &mpsc::Sender<wire::Reply>,
        gone: &CancellationToken,
    ) {
        let Ok(permit) = permits.clone().try_acquire_owned() else {
            let text = format!(
                "{} requests are under way on this stream, which is the most; wait for replies",
                limits::MAX_STREAM_REQUESTS
            );
            return self
                .refuse(request.id, text, "stream_requests", replies)
                .await;
        };
        let range = self.network.range_of(&self.peer);
        let cost = tolls::cost_of(&request);
        let pass = match self.tolls.enter(clock::now(), self.peer, range, cost) {
            Ok(pass) => pass,
            Err(limit) => {
                let text = limit.to_string();
                return self.refuse(request.id, text, limit.name(), replies).await;
            }
        };
        let (answerer, replies, gone) = (self.answerer.clone(), replies.clone(), gone.clone());
        answering.spawn(self.questions.track_future(async move {
            answerer.answer(request, replies, (&pass, &gone)).await;
            drop((permit, pass));
        }));
    }

    /// More than the user may ask. The flood is slowed down by being read slowly.
    async fn refuse(
        &self,
        id: u64,
        text: String,
        limit: &'static str,
        replies: &mpsc::Sender<wire::Reply>,
    ) {
        let _ = replies.send(self.overloaded(id, text, limit)).await;
        tokio::time::sleep(EXCESS_PAUSE).await;
    }

    fn overloaded(&self, id: u64, text: String, limit: &'static str) -> wire::Reply {
        metrics::counter!("quorate_requests_refused_total", "limit" => limit).increment(1);
        let refusals = &self.answerer.node.channels.refusals;
        refusals.note(clock::now(), Origin::Request, limit, &text, None);
        let error = answer::overloaded(text);
        answer::reply(id, wire::reply::Kind::Error(*error))
    }

    async fn report(&self, error: &FrameError, replies: &mpsc::Sender<wire::Reply>) {
        tracing::debug!(peer = %self.peer, %error, "user broke the protocol");
        self.network.offence(self.peer, Offence::InvalidFrame).await;
        let error = answer::invalid(format!("{error}; the stream is closed"));
        let _ = replies
            .send(answer::reply(0, wire::reply::Kind::Error(*error)))
            .await;
    }
}

/// The next request; `None` where the user has been silent for as long as it may. A frame that was begun
/// has to come to its end.
async fn next_request(
    reader: &mut BufReader<impl AsyncRead + Unpin>,
    idle: Duration,
) -> Result<Option<wire::Request>, FrameError> {
    let Ok(first) = tokio::time::timeout(idle, reader.fill_buf()).await else {
        return Ok(None);
    };
    if first?.is_empty() {
        return Err(FrameError::Closed);
    }
    let frame = frame::read::<wire::Request>(reader, limits::MAX_REQUEST_FRAME);
    match tokio::time::timeout(FRAME_TIME, frame).await {
        Ok(request) => request.map(Some),
        Err(_) => {
            cut("slow frame");
            Err(FrameError::Closed)
        }
    }
}

fn cut(reason: &'static str) {
    metrics::counter!("quorate_streams_cut_total", "reason" => reason).increment(1);
}
