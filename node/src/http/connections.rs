//! Connections to the pages: few, and closed when nothing is asked on them, so that files are left for the
//! mesh whatever is connected here.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::HttpBody as _;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::Next;
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use futures::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep};

/// Connections at a time, where files are plenty: a Prometheus, some scripts and all followers need a dozen.
const MAX_CONNECTIONS: usize = 64;
/// The files of a process are as many times this.
const SHARE: u64 = 8;
/// A request has to be there this long after the connection was made, or the last answer was given.
const IDLE: Duration = Duration::from_secs(10);
/// After an error of the system, such as that no file is left.
const PAUSE: Duration = Duration::from_millis(250);
/// Between two lines in the log about the same.
const QUIET: Duration = Duration::from_secs(60);

/// How many connections the files of this process leave room for.
pub(crate) fn room(open_files_limit: Option<u64>) -> usize {
    let share = open_files_limit.map_or(u64::MAX, |limit| limit / SHARE);
    usize::try_from(share).map_or(MAX_CONNECTIONS, |share| share.clamp(8, MAX_CONNECTIONS))
}

/// Takes connections. Where all places are taken, the one that is idle for the longest time makes room.
pub(crate) struct Bounded {
    listener: TcpListener,
    room: usize,
    idle: Duration,
    open: Arc<Mutex<VecDeque<HttpConnection>>>,
    told: Option<Instant>,
}

/// One of them, as its requests see it. A clone is another handle to the same.
#[derive(Clone, Debug)]
pub(crate) struct HttpConnection(Arc<ConnectionState>);

#[derive(Debug)]
struct ConnectionState {
    from: IpAddr,
    since: Mutex<Instant>,
    is_answering: AtomicBool,
    is_evicted: AtomicBool,
    waker: AtomicWaker,
}

/// The stream of one.
pub(crate) struct Stream {
    tcp: TcpStream,
    idle: Duration,
    sleep: Pin<Box<Sleep>>,
    connection: HttpConnection,
    open: Arc<Mutex<VecDeque<HttpConnection>>>,
}

impl Bounded {
    pub(crate) fn new(listener: TcpListener, room: usize) -> Self {
        Self {
            listener,
            room,
            idle: IDLE,
            open: Arc::default(),
            told: None,
        }
    }

    /// A place for one more; `None` where answers are given on all connections.
    fn admit(&mut self, from: IpAddr) -> Option<HttpConnection> {
        let mut open = lock(&self.open);
        if open.len() >= self.room {
            let idle = open
                .iter()
                .enumerate()
                .filter(|(_, other)| !other.is_answering());
            let (oldest, _) = idle.min_by_key(|(_, other)| other.since())?;
            open.remove(oldest)?.evict();
        }
        let connection = HttpConnection(Arc::new(ConnectionState {
            from,
            since: Mutex::new(Instant::now()),
            is_answering: AtomicBool::default(),
            is_evicted: AtomicBool::default(),
            waker: AtomicWaker::new(),
        }));
        open.push_back(connection.clone());
        Some(connection)
    }

    fn is_full(&self) -> bool {
        lock(&self.open).len() >= self.room
    }

    fn tell(&mut self, cause: &str) {
        let now = Instant::now();
        if self.told.is_none_or(|told| told + QUIET <= now) {
            self.told = Some(now);
            tracing::warn!(room = self.room, "HTTP: {cause}");
        }
    }
}

impl Listener for Bounded {
    type Io = Stream;
    type Addr = HttpConnection;

    async fn accept(&mut self) -> (Stream, HttpConnection) {
        loop {
            let (tcp, from) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    self.tell(&format!("no connection is taken: {error}"));
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            if self.is_full() {
                self.tell("all connections are taken; those on which nothing is asked are closed for new ones");
            }
            let Some(connection) = self.admit(from.ip()) else {
                continue;
            };
            let stream = Stream {
                tcp,
                idle: self.idle,
                sleep: Box::pin(tokio::time::sleep(self.idle)),
                connection: connection.clone(),
                open: self.open.clone(),
            };
            return (stream, connection);
        }
    }

    /// Of no connection; there is no address to tell that any caller asks for.
    fn local_addr(&self) -> io::Result<HttpConnection> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Connected<IncomingStream<'_, Bounded>> for HttpConnection {
    fn connect_info(stream: IncomingStream<'_, Bounded>) -> Self {
        stream.remote_addr().clone()
    }
}

/// While an answer is made nothing is idle. An answer without end keeps its connection for itself.
pub(crate) async fn answering(
    ConnectInfo(connection): ConnectInfo<HttpConnection>,
    request: Request,
    next: Next,
) -> Response {
    connection.0.is_answering.store(true, Ordering::Relaxed);
    let response = next.run(request).await;
    if response.body().size_hint().exact().is_some() {
        *lock(&connection.0.since) = Instant::now();
        connection.0.is_answering.store(false, Ordering::Relaxed);
    }
    response
}

impl HttpConnection {
    /// Who is at its other end.
    pub(crate) fn from(&self) -> IpAddr {
        self.0.from
    }

    fn since(&self) -> Instant {
        *lock(&self.0.since)
    }

    fn is_answering(&self) -> bool {
        self.0.is_answering.load(Ordering::Relaxed)
    }

    fn evict(&self) {
        self.0.is_evicted.store(true, Ordering::Relaxed);
        self.0.waker.wake();
    }
}

impl Stream {
    /// An error where it is idle for too long, or has to make room.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.connection.0.waker.register(cx.waker());
        let over = || Err(io::ErrorKind::TimedOut.into());
        if self.connection.0.is_evicted.load(Ordering::Relaxed) {
            return over();
        }
        if self.connection.is_answering() {
            return Ok(());
        }
        let until = self.connection.since() + self.idle;
        if self.sleep.deadline() != until {
            self.sleep.as_mut().reset(until);
        }
        match self.sleep.as_mut().poll(cx) {
            Poll::Ready(()) => over(),
            Poll::Pending => Ok(()),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let own = &self.connection.0;
        lock(&self.open).retain(|other| !Arc::ptr_eq(&other.0, own));
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.tcp).poll_flush(cx))?;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const ROOM: usize = 4;

    async fn serve(idle: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut bounded = Bounded::new(listener, ROOM);
        bounded.idle = idle;
        let endless = || async {
            let never = futures::stream::pending::<Result<String, io::Error>>();
            Body::from_stream(never)
        };
        let router = Router::new()
            .route("/", get(|| async { "here" }))
            .route("/endless", get(endless))
            .layer(from_fn(answering));
        let service = router.into_make_service_with_connect_info::<HttpConnection>();
        tokio::spawn(async move { axum::serve(bounded, service).await });
        address
    }

    async fn ask(stream: &mut TcpStream, path: &str) -> io::Result<String> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut text = vec![0; 1_024];
        let read = stream.read(&mut text).await?;
        text.truncate(read);
        Ok(String::from_utf8(text).unwrap())
    }

    async fn is_open(stream: &mut TcpStream) -> bool {
        ask(stream, "/")
            .await
            .is_ok_and(|text| text.ends_with("here"))
    }

    async fn ended(stream: &mut TcpStream) {
        let mut rest = Vec::new();
        let read = stream.read_to_end(&mut rest);
        let read = tokio::time::timeout(Duration::from_secs(10), read).await;
        let _ = read.expect("the end of the connection");
    }

    #[tokio::test]
    async fn idle_connections_leave_room_for_new_ones() {
        let address = serve(Duration::from_secs(3_600)).await;
        let mut follower = TcpStream::connect(address).await.unwrap();
        assert!(
            ask(&mut follower, "/endless")
                .await
                .unwrap()
                .contains("200")
        );
        let mut idle = Vec::new();
        for _ in 0..10 * ROOM {
            idle.push(TcpStream::connect(address).await.unwrap());
        }
        let mut late = TcpStream::connect(address).await.unwrap();
        assert!(
            is_open(&mut late).await,
            "served though all places were taken"
        );
        assert!(is_open(&mut late).await, "and kept");
        ended(&mut idle[0]).await;
        assert!(is_open(idle.last_mut().unwrap()).await, "the newest stay");
        let mut byte = [0];
        let heard = tokio::time::timeout(Duration::from_millis(50), follower.read(&mut byte));
        assert!(heard.await.is_err(), "who follows is not idle");
    }

    #[tokio::test]
    async fn a_connection_ends_when_nothing_is_asked_in_time() {
        let address = serve(Duration::from_millis(200)).await;
        let mut follower = TcpStream::connect(address).await.unwrap();
        assert!(
            ask(&mut follower, "/endless")
                .await
                .unwrap()
                .contains("200")
        );
        let [mut silent, mut slow, mut kept] = [
            TcpStream::connect(address).await.unwrap(),
            TcpStream::connect(address).await.unwrap(),
            TcpStream::connect(address).await.unwrap(),
        ];
        assert!(is_open(&mut kept).await);
        let drip = async {
            while slow.write_all(b"G").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let drip = tokio::time::timeout(Duration::from_secs(10), drip);
        drip.await
            .expect("a request that does not come to its end ends too");
        ended(&mut silent).await;
        ended(&mut kept).await;
        let mut byte = [0];
        let heard = tokio::time::timeout(Duration::from_millis(50), follower.read(&mut byte));
        assert!(heard.await.is_err(), "who follows is not idle");
    }

    #[test]
    fn few_files_leave_room_for_few_connections() {
        let table = [
            (None, 64),
            (Some(20_000), 64),
            (Some(256), 32),
            (Some(10), 8),
        ];
        for (limit, connections) in table {
            assert_eq!(room(limit), connections, "{limit:?}");
        }
    }
}
