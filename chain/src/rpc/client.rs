//! JSON-RPC micro-batching: calls that arrive while a request is under way share the next one.
//!
//! # Design Decisions
//!
//! There is no timer. A lone call goes out at once; under load, batches grow by themselves to
//! what arrives during a round trip. Requests run in tasks of their own, which end when nothing
//! waits, so that a caller who gives up takes no other's answer along.
//!
//! A provider that asks for fewer requests gets pauses. What it refused goes out once more if the pause
//! leaves time for it; what would wait too long is a "no" at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use alloy::transports::http::reqwest::Client;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::{Call, Classify, ProviderError, RequestStats, RpcResult, RpcUrl, encode};
use crate::priority::Lanes;
pub use http::http_client;
use http::post;
pub(crate) use limit::BatchLimit;
pub(crate) use outcome::{BatchOutcome, SentBatch};
use pace::Pace;
pub(crate) use pending::{PendingReply, Responder, pending, wait};

mod http;
mod limit;
mod outcome;
mod pace;
mod pending;

/// A provider that has not answered by then has not answered: a response is due within 3 s, and
/// the rest of that time belongs to signing and the way through the network.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// Calls that wait for one provider: 1,000 reads/s with three calls each, for the 2 s of a timeout.
const MAX_WAITING: usize = 6_144;

/// Of these, those that users wait for: they leave room for those of attestations.
const MAX_OF_USERS: usize = MAX_WAITING / 2;

/// The connection to one provider, over HTTP.
#[derive(Clone)]
pub struct BatchClient(Arc<ClientState>);

struct ClientState {
    http: Client,
    url: RpcUrl,
    classify: Classify,
    queue: Mutex<CallQueue>,
    stats: Arc<Mutex<RequestStats>>,
}

struct CallQueue {
    waiting: Lanes<QueuedCall>,
    in_flight: usize,
    limit: BatchLimit,
    pace: Pace,
    answered: Option<Instant>,
    /// With which words the provider last asked for fewer requests.
    refusal: String,
}

impl CallQueue {
    fn paced(&self) -> ProviderError {
        ProviderError::Paced(self.refusal.clone())
    }

    fn answered_lately(&self) -> bool {
        self.answered.is_some_and(|at| at.elapsed() < CALL_TIMEOUT)
    }

    /// Forgets callers that gave up where the queue is full.
    fn make_room(&mut self, for_user: bool) -> Result<(), ProviderError> {
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
            false => Err(ProviderError::Busy(most)),
        }
    }

    /// It goes out again, before what came after it.
    fn put_back(&mut self, waiting: QueuedCall) {
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

struct QueuedCall {
    call: Call,
    reply: Responder<Box<RawValue>>,
    /// The provider refused it once, for it had too many.
    again: bool,
}

impl BatchClient {
    /// A connection to `url` whose requests are counted in `stats`, and whose errors mean what `classify` says.
    #[must_use]
    pub fn new(
        http: Client,
        url: RpcUrl,
        stats: Arc<Mutex<RequestStats>>,
        classify: Classify,
    ) -> Self {
        let queue = CallQueue {
            waiting: Lanes::default(),
            in_flight: 0,
            limit: BatchLimit::default(),
            pace: Pace::default(),
            answered: None,
            refusal: String::new(),
        };
        Self(Arc::new(ClientState {
            http,
            url,
            classify,
            queue: Mutex::new(queue),
            stats,
        }))
    }

    /// Where the provider is.
    #[must_use]
    pub fn url(&self) -> &RpcUrl {
        &self.0.url
    }

    /// The answer to `call`, or why there is none within 2 s.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn call(&self, call: Call) -> RpcResult {
        let answer = wait(self.enqueue(call)).await;
        self.explain(answer)
    }

    /// As [`Self::call`], of two calls that go out next to each other: in one request, where the
    /// provider takes batches and none ends just between them.
    pub async fn call_both(&self, first: Call, second: Call) -> (RpcResult, RpcResult) {
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
    pub(crate) fn explain<T>(&self, answer: Result<T, ProviderError>) -> Result<T, ProviderError> {
        let queue = self.0.queue();
        match answer {
            Err(ProviderError::Timeout(_) | ProviderError::NotAsked(_))
                if queue.pace.paused_within(CALL_TIMEOUT, Instant::now()) =>
            {
                Err(queue.paced())
            }
            Err(ProviderError::NotAsked(millis)) if !queue.answered_lately() => {
                Err(ProviderError::Timeout(millis))
            }
            answer => answer,
        }
    }

    fn enqueue(&self, call: Call) -> Result<PendingReply<Box<RawValue>>, ProviderError> {
        self.enqueue_in(&mut self.0.queue(), call)
    }

    fn enqueue_in(
        &self,
        queue: &mut CallQueue,
        call: Call,
    ) -> Result<PendingReply<Box<RawValue>>, ProviderError> {
        let (reply, answer) = pending();
        queue.make_room(reply.is_for_user())?;
        if queue.pace.left(Instant::now()) >= CALL_TIMEOUT {
            return Err(queue.paced());
        }
        queue
            .waiting
            .lane(reply.is_for_user())
            .push_back(QueuedCall {
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

impl ClientState {
    fn queue(&self) -> MutexGuard<'_, CallQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_worker(self: &Arc<Self>, queue: &mut CallQueue) {
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
    fn next_batch(&self) -> Option<Vec<QueuedCall>> {
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

    async fn exchange(self: &Arc<Self>, batch: Vec<QueuedCall>) {
        let body = encode(batch.iter().map(|waiting| &waiting.call));
        let sent = Instant::now();
        let mut asked = None;
        let outcome = match timeout(CALL_TIMEOUT, post(&self.http, &self.url, body)).await {
            Err(_) => BatchOutcome::Failed(ProviderError::Timeout(CALL_TIMEOUT.as_millis())),
            // More than is read of one response.
            Ok(Err(ProviderError::Malformed(_))) if batch.len() > 1 => {
                BatchOutcome::Answers(vec![None; batch.len()])
            }
            Ok(Err(error)) => BatchOutcome::Failed(error),
            Ok(Ok(response)) => {
                asked = response.retry_after;
                SentBatch {
                    url: &self.url,
                    classify: self.classify,
                    count: batch.len(),
                }
                .read(response.status, &response.body)
            }
        };
        self.stats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .record(Instant::now(), sent.elapsed(), outcome.error());
        self.keep_pace(sent, outcome.error(), asked);
        match outcome {
            BatchOutcome::Failed(error) => {
                let same = |waiting| (waiting, Err(error.clone()));
                self.hand_out(batch.into_iter().map(same).collect());
            }
            BatchOutcome::Answers(answers) => self.settle(batch, answers),
        }
    }

    /// What has no answer goes out again.
    fn settle(self: &Arc<Self>, batch: Vec<QueuedCall>, answers: Vec<Option<RpcResult>>) {
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
    fn keep_pace(&self, sent: Instant, error: Option<&ProviderError>, asked: Option<Duration>) {
        let mut queue = self.queue();
        if error.is_none() {
            queue.answered = Some(Instant::now());
        }
        match error {
            Some(error) if asked.is_some() || error.is_rate_limit() => {
                queue.pace.refused(sent, Instant::now(), asked);
                queue.refusal = error.to_string();
            }
            Some(_) => {}
            None => queue.pace.answered(),
        }
    }

    /// Every call gets an answer, but those go out again, once and first, that were refused for what others
    /// had asked before, where the pause leaves time for it.
    fn hand_out(&self, answered: Vec<(QueuedCall, RpcResult)>) {
        let mut queue = self.queue();
        let in_time = queue.pace.left(Instant::now()) < CALL_TIMEOUT / 2;
        for (mut waiting, answer) in answered.into_iter().rev() {
            let limited = answer
                .as_ref()
                .err()
                .is_some_and(ProviderError::is_rate_limit);
            if limited && in_time && !waiting.again {
                waiting.again = true;
                queue.put_back(waiting);
            } else {
                waiting.reply.answer(answer);
            }
        }
    }

    /// The calls go out again, in smaller batches than that of this size and more of them.
    fn put_back(self: &Arc<Self>, batch: Vec<QueuedCall>, size: usize) {
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
}

#[cfg(test)]
mod tests;
