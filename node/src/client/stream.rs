//! The request stream of a user: requests out, replies in.
//!
//! # Design Decisions
//!
//! libp2p-stream hands a node one new stream at a time and drops what arrives in the same moment. So a stream
//! that ends before anything was answered on it is opened again, with what was asked on it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::AsyncReadExt;
use futures::io::BufReader;
use libp2p::{PeerId, Stream, StreamProtocol};
use libp2p_stream::{Control, OpenStreamError};
use quorate_proto::{limits, wire};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::frame;

/// How long a request may take to leave: an operator that reads none is as good as gone.
const WRITE_TIME: Duration = Duration::from_secs(30);
/// Pauses before a stream is opened again.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(800),
];

/// Opens request streams to one peer.
pub(super) struct Opener {
    pub(super) control: Control,
    pub(super) peer: PeerId,
    pub(super) protocol: StreamProtocol,
}

impl Opener {
    pub(super) async fn open(&mut self) -> Result<Stream, OpenStreamError> {
        let (peer, protocol) = (self.peer, self.protocol.clone());
        self.control.open_stream(peer, protocol).await
    }
}

/// A request, and who waits for its replies.
pub(super) struct Waiter {
    pub(super) request: wire::Request,
    pub(super) replies: mpsc::Sender<wire::Reply>,
}

/// What was asked and is not over, by id.
#[derive(Clone, Default)]
pub(super) struct Waiting(Arc<Mutex<HashMap<u64, Waiter>>>);

impl Waiting {
    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<u64, Waiter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request(&self, id: u64) -> Option<wire::Request> {
        self.lock().get(&id).map(|waiter| waiter.request.clone())
    }
}

/// Carries requests out, which are named by their ids, and replies in, until either side ends.
pub(super) async fn exchange(
    stream: Stream,
    mut opener: Opener,
    mut asked: mpsc::Receiver<u64>,
    waiting: Waiting,
    alive: CancellationToken,
) {
    let talk = async {
        let mut answered = talk(stream, &mut asked, &waiting).await;
        for pause in PAUSES {
            if answered {
                return;
            }
            tokio::time::sleep(pause).await;
            let Ok(again) = opener.open().await else {
                return;
            };
            answered = self::talk(again, &mut asked, &waiting).await;
        }
    };
    alive.run_until_cancelled(talk).await;
    asked.close();
    waiting.lock().clear();
}

/// Until the stream ends; whether anything was answered on it.
async fn talk(stream: Stream, asked: &mut mpsc::Receiver<u64>, waiting: &Waiting) -> bool {
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(reader);
    let (requests, mut outgoing) = mpsc::channel(limits::MAX_STREAM_REQUESTS);
    let feed = feed(asked, waiting, requests);
    let write = frame::write_from(&mut writer, &mut outgoing, WRITE_TIME);
    let mut answered = false;
    let read = async {
        while let Ok(reply) = frame::read::<wire::Reply>(&mut reader, limits::MAX_REPLY_FRAME).await
        {
            answered = true;
            let replies = waiting.lock().get(&reply.id).map(|w| w.replies.clone());
            if let Some(replies) = replies {
                let _ = replies.send(reply).await;
            }
        }
    };
    tokio::select! {
        _ = futures::future::join(feed, write) => {}
        () = read => {}
    }
    answered
}

/// First what was asked on an earlier stream, then what comes.
async fn feed(
    asked: &mut mpsc::Receiver<u64>,
    waiting: &Waiting,
    requests: mpsc::Sender<wire::Request>,
) {
    let mut before: Vec<u64> = waiting.lock().keys().copied().collect();
    before.sort_unstable();
    let mut sent: HashSet<u64> = before.iter().copied().collect();
    for request in before.into_iter().filter_map(|id| waiting.request(id)) {
        if requests.send(request).await.is_err() {
            return;
        }
    }
    while let Some(id) = asked.recv().await {
        if sent.remove(&id) {
            continue;
        }
        if let Some(request) = waiting.request(id)
            && requests.send(request).await.is_err()
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use libp2p::swarm::SwarmEvent;
    use quorate_proto::wire::reply::Kind as ReplyKind;

    use super::super::{Client, ClientError, drive};
    use super::*;
    use crate::network::user_swarm;

    /// A node that drops this many streams, then tells of no operators; its client.
    async fn client_of_one_that_drops(streams: usize) -> Client {
        let mut server = user_swarm().unwrap();
        let protocol = StreamProtocol::new("/quorate/test/request/1");
        let mut control = server.behaviour().stream.new_control();
        let mut incoming = control.accept(protocol).unwrap();
        let anywhere = "/ip4/127.0.0.1/tcp/0".parse().unwrap();
        server.listen_on(anywhere).unwrap();
        let address = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = server.select_next_some().await {
                break address;
            }
        };
        let address = address.with_p2p(*server.local_peer_id()).unwrap();
        tokio::spawn(drive(server, CancellationToken::new()));
        tokio::spawn(async move {
            let mut dropped = 0;
            while let Some((_, stream)) = incoming.next().await {
                if dropped < streams {
                    dropped += 1;
                    continue;
                }
                tokio::spawn(serve(stream));
            }
        });
        Client::connect(&address, None).await.unwrap()
    }

    async fn serve(mut stream: Stream) {
        while let Ok(request) = frame::read::<wire::Request>(&mut stream, 1_024).await {
            let reply = wire::Reply {
                id: request.id,
                kind: Some(ReplyKind::Operators(wire::OperatorList::default())),
            };
            frame::write(&mut stream, &[reply]).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_stream_that_is_dropped_unanswered_is_opened_again() {
        for dropped in 0..=PAUSES.len() {
            let client = client_of_one_that_drops(dropped).await;
            let asked = (0..4).map(|_| client.operators());
            for answer in futures::future::join_all(asked).await {
                answer.unwrap_or_else(|error| panic!("{dropped} dropped: {error}"));
            }
            client.operators().await.unwrap();
        }
    }

    #[tokio::test]
    async fn who_drops_all_streams_is_given_up() {
        let client = client_of_one_that_drops(usize::MAX).await;
        let lost = client.operators().await;
        assert!(matches!(lost, Err(ClientError::Lost(_))), "{lost:?}");
    }
}
