//! JSON-RPC micro-batching: calls that arrive while a request is under way share the next one.
//!
//! # Design Decisions
//!
//! There is no timer. A lone call goes out at once; under load, batches grow by themselves to
//! what arrives during a round trip. Requests run in tasks of their own, which end when nothing
//! waits, so that a caller who gives up takes nobody else's answer along.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use alloy::transports::http::reqwest::{Client, StatusCode, header, redirect};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::RpcUrl;
use super::provider::Figures;
use super::rpc::{Answer, Call, Failure, Response, encode};
use crate::{ChainError, RequestOutcome};
use limit::BatchLimit;

pub(super) mod limit;

/// A provider that has not answered by then has not answered: a response is due within 3 s, and
/// the rest of that time belongs to signing and the way through the network.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// Calls that wait for one provider: 1,000 reads/s with three calls each, for the 2 s of a timeout.
const MAX_WAITING: usize = 6_144;

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
    waiting: VecDeque<Waiting>,
    in_flight: usize,
    limit: BatchLimit,
}

struct Waiting {
    call: Call,
    reply: oneshot::Sender<Answer>,
}

impl Waiting {
    fn answer(self, answer: Answer) {
        // Who no longer waits has found enough other answers.
        let _ = self.reply.send(answer);
    }
}

/// What a response is to the calls that it should answer.
pub(super) enum Outcome {
    /// One answer per call, in order.
    Answers(Vec<Answer>),
    /// The same for all.
    Failed(Failure),
    /// The provider does not take that many calls at once.
    TooMany,
}

impl Outcome {
    /// Why the request as a whole counts as failed, if it does.
    fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::TooMany => None,
            Self::Answers(answers) => {
                let failures = answers.iter().filter_map(|answer| answer.as_ref().err());
                let limited = |f: &&Failure| f.outcome() == RequestOutcome::RateLimited;
                let works = |a: &Answer| a.as_ref().err().is_none_or(Failure::is_answer);
                let any = failures.clone().find(limited);
                any.or_else(|| {
                    failures
                        .clone()
                        .next()
                        .filter(|_| !answers.iter().any(works))
                })
            }
        }
    }
}

impl Batcher {
    pub(super) fn new(http: Client, url: RpcUrl) -> Self {
        let queue = Queue {
            waiting: VecDeque::new(),
            in_flight: 0,
            limit: BatchLimit::default(),
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
        wait(self.enqueue(call)).await
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
        tokio::join!(wait(first), wait(second))
    }

    fn enqueue(&self, call: Call) -> Result<oneshot::Receiver<Answer>, Failure> {
        self.enqueue_in(&mut self.0.queue(), call)
    }

    fn enqueue_in(
        &self,
        queue: &mut Queue,
        call: Call,
    ) -> Result<oneshot::Receiver<Answer>, Failure> {
        let (reply, answer) = oneshot::channel();
        if queue.waiting.len() >= MAX_WAITING {
            queue.waiting.retain(|waiting| !waiting.reply.is_closed());
        }
        if queue.waiting.len() >= MAX_WAITING {
            return Err(Failure::Busy(MAX_WAITING));
        }
        queue.waiting.push_back(Waiting { call, reply });
        if queue.in_flight < queue.limit.requests() {
            self.0.add_worker(queue);
        }
        Ok(answer)
    }
}

/// What one of those that wait for a provider gets within [`CALL_TIMEOUT`], or why there is nothing.
pub(super) async fn wait<T>(
    answer: Result<oneshot::Receiver<Result<T, Failure>>, Failure>,
) -> Result<T, Failure> {
    match timeout(CALL_TIMEOUT, answer?).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(Failure::Connection("the request was given up".to_owned())),
        Err(_) => Err(Failure::Timeout(CALL_TIMEOUT.as_millis())),
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
        while let Some(batch) = self.next_batch() {
            self.exchange(batch).await;
        }
    }

    /// Ends this worker's turn when nothing waits: both under one lock, so that no call is left
    /// behind without a worker.
    fn next_batch(&self) -> Option<Vec<Waiting>> {
        let mut queue = self.queue();
        let limit = queue.limit.get();
        let mut batch = Vec::new();
        while batch.len() < limit {
            match queue.waiting.pop_front() {
                Some(waiting) if waiting.reply.is_closed() => {}
                Some(waiting) => batch.push(waiting),
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
        let outcome = match timeout(CALL_TIMEOUT, self.post(body)).await {
            Err(_) => Outcome::Failed(Failure::Timeout(CALL_TIMEOUT.as_millis())),
            Ok(Err(failure)) => Outcome::Failed(failure),
            Ok(Ok((status, body))) => read(&self.url, status, &body, batch.len()),
        };
        self.figures()
            .record(Instant::now(), sent.elapsed(), outcome.failure());
        match outcome {
            Outcome::Failed(failure) => {
                for waiting in batch {
                    waiting.answer(Err(failure.clone()));
                }
            }
            Outcome::Answers(answers) => {
                self.queue().limit.accepted(batch.len());
                for (waiting, answer) in batch.into_iter().zip(answers) {
                    waiting.answer(answer);
                }
            }
            Outcome::TooMany => self.put_back(batch),
        }
    }

    /// The calls go out again, in smaller batches and more of them.
    fn put_back(self: &Arc<Self>, batch: Vec<Waiting>) {
        let mut queue = self.queue();
        queue.limit.refused(batch.len());
        for waiting in batch.into_iter().rev() {
            queue.waiting.push_front(waiting);
        }
        while queue.in_flight < queue.limit.requests() {
            self.add_worker(&mut queue);
        }
        tracing::info!(provider = %self.url, limit = queue.limit.get(), "provider takes smaller batches");
    }

    async fn post(&self, body: String) -> Result<(StatusCode, Vec<u8>), Failure> {
        let request = self
            .http
            .post(self.url.url().clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(body);
        let mut response = request.send().await.map_err(|e| self.connection(e))?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.connection(e))? {
            if bytes.len() + chunk.len() > MAX_RESPONSE {
                return Err(Failure::Malformed(format!(
                    "more than {MAX_RESPONSE} bytes"
                )));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok((response.status(), bytes))
    }

    fn connection(&self, error: alloy::transports::http::reqwest::Error) -> Failure {
        let error = error.without_url();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Failure::Connection(self.url.scrub(&cause.to_string()))
    }
}

/// What the provider at `url` answered to that many calls. What it is that makes no sense is told as far
/// as it may be shown.
pub(super) fn read(url: &RpcUrl, status: StatusCode, body: &[u8], count: usize) -> Outcome {
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Outcome::Failed(Failure::Http(status.as_u16()));
    }
    if count > 1
        && let Ok(responses) = serde_json::from_slice::<Vec<Response<'_>>>(body)
    {
        return sort(url, responses, count);
    }
    let response = match serde_json::from_slice::<Response<'_>>(body) {
        Ok(response) if response.is_complete() => Ok(response),
        Ok(_) => Err("neither a result nor an error".to_owned()),
        Err(problem) => Err(url.scrub(&problem.to_string())),
    };
    match response {
        Ok(response) if count == 1 => Outcome::Answers(vec![response.into_answer(url)]),
        Ok(response) => whole(url, response),
        Err(problem) if count == 1 => Outcome::Failed(garbage(status, problem)),
        Err(_) if is_refusal(status) => Outcome::TooMany,
        Err(problem) => Outcome::Failed(garbage(status, problem)),
    }
}

fn garbage(status: StatusCode, problem: String) -> Failure {
    match status.is_success() {
        true => Failure::Malformed(problem),
        false => Failure::Http(status.as_u16()),
    }
}

/// Answers of a batch come in any order.
fn sort(url: &RpcUrl, responses: Vec<Response<'_>>, count: usize) -> Outcome {
    let mut answers: Vec<Option<Answer>> = vec![None; count];
    let mut about_all = None;
    for response in responses {
        match response.id().and_then(|id| answers.get_mut(id)) {
            Some(answer) => *answer = Some(response.into_answer(url)),
            None => about_all = Some(response),
        }
    }
    match about_all {
        Some(response) if answers.iter().all(Option::is_none) => whole(url, response),
        _ => Outcome::Answers(answers.into_iter().map(or_missing).collect()),
    }
}

fn or_missing(answer: Option<Answer>) -> Answer {
    answer.unwrap_or_else(|| {
        Err(Failure::Malformed(
            "no answer to one call of a batch".to_owned(),
        ))
    })
}

/// One object in answer to a whole batch.
fn whole(url: &RpcUrl, response: Response<'_>) -> Outcome {
    if response.is_error() && !response.is_rate_limit() {
        return Outcome::TooMany;
    }
    Outcome::Failed(match response.into_answer(url) {
        Err(failure) => failure,
        Ok(_) => Failure::Malformed("one result for a whole batch".to_owned()),
    })
}

/// Statuses with which providers refuse a batch, as opposed to any request at this moment.
fn is_refusal(status: StatusCode) -> bool {
    status.is_client_error() && !matches!(status.as_u16(), 401..=403 | 407 | 408 | 429)
}

#[cfg(test)]
mod tests;
