//! JSON-RPC micro-batching: calls that arrive while a request is under way share the next one.
//!
//! # Design Decisions
//!
//! There is no timer. A lone call goes out at once; under load, batches grow by themselves to
//! what arrives during a round trip. Requests run in tasks of their own, which end when nothing
//! waits, so that a caller who gives up takes nobody else's answer along.
//!
//! A provider that asks for fewer requests gets pauses. What it refused goes out once more if the pause
//! leaves time for it; what would wait too long is a "no" at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use alloy::transports::http::reqwest::{Client, Error, Response, StatusCode, header, redirect};
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::RpcUrl;
use super::provider::Figures;
use super::rpc::{Answer, Call, Failure, encode};
use crate::ChainError;
use crate::priority::Lanes;
use limit::BatchLimit;
pub(super) use outcome::{Outcome, read};
use pace::Pace;
pub(super) use pending::{Pending, Reply, pending, wait};

pub(super) mod limit;
mod outcome;
mod pace;
mod pending;

/// A provider that has not answered by then has not answered: a response is due within 3 s, and
/// the rest of that time belongs to signing and the way through the network.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// Calls that wait for one provider: 1,000 reads/s with three calls each, for the 2 s of a timeout.
const MAX_WAITING: usize = 6_144;

/// Of these, those that users wait for: they leave room for those of attestations.
const MAX_OF_USERS: usize = MAX_WAITING / 2;

/// How often a request is sent: a second connection may have been idle just as long.
const MAX_TRIES: u32 = 3;

/// Bytes of one response: 64 blocks of 2,000 transaction hashes are 9 MiB.
const MAX_RESPONSE: usize = 16 << 20;

/// The HTTP client of all providers of a chain. Follows no redirects: a provider that has moved
/// should be set anew.
pub(super) fn http_client() -> Result<Client, ChainError> {
    let client = Client::builder().redirect(redirect::Policy::none()).build();
    client.map_err(|problem| ChainError::Settings {
        detail: format!("no HTTP client: {problem}; check the TLS settings of this machine"),
    })
}

/// The connection to one provider.
#[derive(Clone)]
pub(super) struct Batcher(Arc<Shared>);

struct Shared {
    http: Client,
    url: RpcUrl,
    queue: Mutex<Queue>,
    figures: Mutex<Figures>,
}

struct Queue {
    waiting: Lanes<Waiting>,
    in_flight: usize,
    limit: BatchLimit,
    pace: Pace,
    answered: Option<Instant>,
    /// With which words the provider last asked for fewer requests.
    refusal: String,
}

impl Queue {
    fn paced(&self) -> Failure {
        Failure::Paced(self.refusal.clone())
    }

    fn answered_lately(&self) -> bool {
        self.answered.is_some_and(|at| at.elapsed() < CALL_TIMEOUT)
    }

    /// Forgets callers that gave up where the queue is full.
    fn make_room(&mut self, for_user: bool) -> Result<(), Failure> {
        let most = match for_user {
            true => MAX_OF_USERS,
            false => MAX_WAITING,
        };
        let lane = self.waiting.lane(for_user);
        if lane.len() >= most {
            lane.retain(|waiting| !waiting.reply.is_closed());
        }
        match lane.len() < most {
            true => Ok(()),
            false => Err(Failure::Busy(most)),
        }
    }

    /// It goes out again, before what came after it.
    fn put_back(&mut self, waiting: Waiting) {
        let lane = self.waiting.lane(waiting.reply.is_for_user());
        lane.push_front(waiting);
    }

    /// Requests that may be under way; a provider that is short of them gets one at a time.
    fn requests(&self) -> usize {
        match self.pace.is_slow() {
            true => 1,
            false => self.limit.requests(),
        }
    }
}

/// As it came.
struct HttpResponse {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

struct Waiting {
    call: Call,
    reply: Reply<Box<RawValue>>,
    /// The provider refused it once, for it had too many.
    again: bool,
}

impl Batcher {
    pub(super) fn new(http: Client, url: RpcUrl) -> Self {
        let queue = Queue {
            waiting: Lanes::default(),
            in_flight: 0,
            limit: BatchLimit::default(),
            pace: Pace::default(),
            answered: None,
            refusal: String::new(),
        };
        Self(Arc::new(Shared {
            http,
            url,
            queue: Mutex::new(queue),
            figures: Mutex::default(),
        }))
    }

    pub(super) fn url(&self) -> &RpcUrl {
        &self.0.url
    }

    /// How its requests went.
    pub(super) fn figures(&self) -> MutexGuard<'_, Figures> {
        self.0.figures()
    }

    /// The answer to `call`, or why there is none within [`CALL_TIMEOUT`].
    pub(super) async fn call(&self, call: Call) -> Answer {
        let answer = wait(self.enqueue(call)).await;
        self.explain(answer)
    }

    /// As [`Self::call`], of two calls that go out next to each other: in one request, where the
    /// provider takes batches and none ends just between them.
    pub(super) async fn call_both(&self, first: Call, second: Call) -> (Answer, Answer) {
        let (first, second) = {
            let mut queue = self.0.queue();
            (
                self.enqueue_in(&mut queue, first),
                self.enqueue_in(&mut queue, second),
            )
        };
        let (first, second) = tokio::join!(wait(first), wait(second));
        (self.explain(first), self.explain(second))
    }

    /// What had to wait for a pause to end was not kept waiting by a provider that hangs; and what waited for
    /// one that answers nothing was.
    pub(super) fn explain<T>(&self, answer: Result<T, Failure>) -> Result<T, Failure> {
        let queue = self.0.queue();
        match answer {
            Err(Failure::Timeout(_) | Failure::NotAsked(_))
                if queue.pace.paused_within(CALL_TIMEOUT, Instant::now()) =>
            {
                Err(queue.paced())
            }
            Err(Failure::NotAsked(millis)) if !queue.answered_lately() => {
                Err(Failure::Timeout(millis))
            }
            answer => answer,
        }
    }

    fn enqueue(&self, call: Call) -> Result<Pending<Box<RawValue>>, Failure> {
        self.enqueue_in(&mut self.0.queue(), call)
    }

    fn enqueue_in(&self, queue: &mut Queue, call: Call) -> Result<Pending<Box<RawValue>>, Failure> {
        let (reply, answer) = pending();
        queue.make_room(reply.is_for_user())?;
        if queue.pace.left(Instant::now()) >= CALL_TIMEOUT {
            return Err(queue.paced());
        }
        queue.waiting.lane(reply.is_for_user()).push_back(Waiting {
            call,
            reply,
            again: false,
        });
        if queue.in_flight < queue.requests() {
            self.0.add_worker(queue);
        }
        Ok(answer)
    }
}

impl Shared {
    fn figures(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_worker(self: &Arc<Self>, queue: &mut Queue) {
        queue.in_flight += 1;
        tokio::spawn(Arc::clone(self).work());
    }

    /// Sends batches until nothing waits.
    async fn work(self: Arc<Self>) {
        loop {
            self.pause().await;
            let Some(batch) = self.next_batch() else {
                return;
            };
            self.exchange(batch).await;
        }
    }

    async fn pause(&self) {
        loop {
            let left = self.queue().pace.left(Instant::now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }

    /// Ends this worker's turn when nothing waits, or others do for what goes out: all under one lock,
    /// so that no call is left behind without a worker.
    fn next_batch(&self) -> Option<Vec<Waiting>> {
        let mut queue = self.queue();
        if queue.in_flight > queue.requests().max(1) {
            queue.in_flight -= 1;
            return None;
        }
        let limit = queue.limit.get();
        let mut batch = Vec::new();
        while batch.len() < limit {
            match queue.waiting.pop_front() {
                Some(waiting) if waiting.reply.is_closed() => {}
                Some(waiting) => {
                    waiting.reply.sent();
                    batch.push(waiting);
                }
                None => break,
            }
        }
        if batch.is_empty() {
            queue.in_flight -= 1;
            return None;
        }
        Some(batch)
    }

    async fn exchange(self: &Arc<Self>, batch: Vec<Waiting>) {
        let body = encode(batch.iter().map(|waiting| &waiting.call));
        let sent = Instant::now();
        let mut asked = None;
        let outcome = match timeout(CALL_TIMEOUT, self.post(body)).await {
            Err(_) => Outcome::Failed(Failure::Timeout(CALL_TIMEOUT.as_millis())),
            // More than is read of one response.
            Ok(Err(Failure::Malformed(_))) if batch.len() > 1 => {
                Outcome::Answers(vec![None; batch.len()])
            }
            Ok(Err(failure)) => Outcome::Failed(failure),
            Ok(Ok(response)) => {
                asked = response.retry_after;
                read(&self.url, response.status, &response.body, batch.len())
            }
        };
        self.figures()
            .record(Instant::now(), sent.elapsed(), outcome.failure());
        self.keep_pace(sent, outcome.failure(), asked);
        match outcome {
            Outcome::Failed(failure) => {
                let same = |waiting| (waiting, Err(failure.clone()));
                self.hand_out(batch.into_iter().map(same).collect());
            }
            Outcome::Answers(answers) => self.settle(batch, answers),
        }
    }

    /// What has no answer goes out again.
    fn settle(self: &Arc<Self>, batch: Vec<Waiting>, answers: Vec<Option<Answer>>) {
        let size = batch.len();
        let (mut again, mut answered) = (Vec::new(), Vec::new());
        for (waiting, answer) in batch.into_iter().zip(answers) {
            match answer {
                None => again.push(waiting),
                Some(answer) => answered.push((waiting, answer)),
            }
        }
        match again.is_empty() {
            true => self.queue().limit.accepted(size),
            false => self.put_back(again, size),
        }
        self.hand_out(answered);
    }

    /// `asked` is the pause that the provider asks for.
    fn keep_pace(&self, sent: Instant, failure: Option<&Failure>, asked: Option<Duration>) {
        let mut queue = self.queue();
        if failure.is_none() {
            queue.answered = Some(Instant::now());
        }
        match failure {
            Some(failure) if asked.is_some() || failure.is_rate_limit() => {
                queue.pace.refused(sent, Instant::now(), asked);
                queue.refusal = failure.to_string();
            }
            Some(_) => {}
            None => queue.pace.answered(),
        }
    }

    /// Everybody gets an answer, but those go out again, once and first, that were refused for what others
    /// had asked before, where the pause leaves time for it.
    fn hand_out(&self, answered: Vec<(Waiting, Answer)>) {
        let mut queue = self.queue();
        let in_time = queue.pace.left(Instant::now()) < CALL_TIMEOUT / 2;
        for (mut waiting, answer) in answered.into_iter().rev() {
            let limited = answer.as_ref().err().is_some_and(Failure::is_rate_limit);
            if limited && in_time && !waiting.again {
                waiting.again = true;
                queue.put_back(waiting);
            } else {
                waiting.reply.answer(answer);
            }
        }
    }

    /// The calls go out again, in smaller batches than that of this size and more of them.
    fn put_back(self: &Arc<Self>, batch: Vec<Waiting>, size: usize) {
        let mut queue = self.queue();
        queue.limit.refused(size);
        for waiting in batch.into_iter().rev() {
            queue.put_back(waiting);
        }
        while queue.in_flight < queue.requests() {
            self.add_worker(&mut queue);
        }
        tracing::info!(provider = %self.url, limit = queue.limit.get(), "provider takes smaller batches");
    }

    /// Sends a request. Connections that the provider closed while they were idle break under it: what is
    /// only read may be asked again.
    async fn send(&self, body: String) -> Result<Response, Error> {
        let request = || {
            let request = self.http.post(self.url.url().clone());
            let request = request.header(header::CONTENT_TYPE, "application/json");
            request.body(body.clone()).send()
        };
        let mut tries = 1;
        loop {
            match request().await {
                Err(error) if tries < MAX_TRIES && was_cut_off(&error) => tries += 1,
                sent => return sent,
            }
        }
    }

    async fn post(&self, body: String) -> Result<HttpResponse, Failure> {
        let mut response = self.send(body).await.map_err(|e| self.connection(e))?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.connection(e))? {
            if bytes.len() + chunk.len() > MAX_RESPONSE {
                return Err(Failure::Malformed(format!(
                    "more than {MAX_RESPONSE} bytes"
                )));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(HttpResponse {
            status: response.status(),
            retry_after: pace::retry_after(response.headers()),
            body: bytes,
        })
    }

    fn connection(&self, error: Error) -> Failure {
        let error = error.without_url();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Failure::Connection(self.url.scrub(&cause.to_string()))
    }
}

/// The connection was there, and ended before a response came.
fn was_cut_off(error: &Error) -> bool {
    error.is_request() && !error.is_connect() && !error.is_timeout()
}

#[cfg(test)]
mod tests;
