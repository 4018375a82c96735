//! What a response is to the calls of its request.

use alloy::transports::http::reqwest::StatusCode;

use super::super::RpcUrl;
use super::super::rpc::{Answer, Failure, Response};
use crate::RequestOutcome;

/// What a response is to the calls that it should answer.
pub(in super::super) enum Outcome {
    /// One answer per call, in order. Those without one go out again in smaller batches: the provider does
    /// not take that many at once.
    Answers(Vec<Option<Answer>>),
    /// The same for all.
    Failed(Failure),
}

impl Outcome {
    /// Why the request as a whole counts as failed, if it does.
    pub(super) fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::Answers(answers) => {
                let answers = || answers.iter().flatten();
                let failures = || answers().filter_map(|answer| answer.as_ref().err());
                let limited = |f: &&Failure| f.outcome() == RequestOutcome::RateLimited;
                let works = |a: &Answer| a.as_ref().err().is_none_or(Failure::is_answer);
                let any = failures().find(limited);
                any.or_else(|| failures().next().filter(|_| !answers().any(works)))
            }
        }
    }
}

/// What the provider at `url` answered to that many calls. What it is that makes no sense is told as far
/// as it may be shown.
///
/// # Design Decisions
///
/// Providers refuse batches in many ways: as a whole by an object or a page with whatever status, by an error
/// for the first call or for each, or by leaving some out. Where a response does not answer every call
/// for itself, the rest goes out in smaller batches, down to single calls, which fail for reasons of their own.
pub(in super::super) fn read(
    url: &RpcUrl,
    status: StatusCode,
    body: &[u8],
    count: usize,
) -> Outcome {
    if count > 1 {
        return match serde_json::from_slice::<Vec<Response<'_>>>(body) {
            Ok(responses) => sort(url, responses, count),
            Err(_) => whole(url, status, body, count),
        };
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Outcome::Failed(Failure::Http(status.as_u16()));
    }
    let problem = match one(body) {
        Ok(response) if response.is_complete() => {
            return Outcome::Answers(vec![Some(response.into_answer(url))]);
        }
        Ok(_) => "neither a result nor an error".to_owned(),
        Err(problem) => url.scrub(&problem.to_string()),
    };
    Outcome::Failed(match status.is_success() {
        true => Failure::Malformed(problem),
        false => Failure::Http(status.as_u16()),
    })
}

/// A response, also one in an array of its own.
fn one(body: &[u8]) -> serde_json::Result<Response<'_>> {
    let alone = serde_json::from_slice(body).map(|[response]: [Response<'_>; 1]| response);
    alone.or_else(|_| serde_json::from_slice(body))
}

fn again(count: usize) -> Outcome {
    Outcome::Answers(vec![None; count])
}

/// Answers of a batch come in any order. One that does not say what it answers is that of the one call
/// that has none.
fn sort(url: &RpcUrl, responses: Vec<Response<'_>>, count: usize) -> Outcome {
    let mut found: Vec<Option<Response<'_>>> = (0..count).map(|_| None).collect();
    let mut strays = Vec::new();
    for response in responses {
        match response.place().and_then(|place| found.get_mut(place)) {
            Some(place @ None) => *place = Some(response),
            // Two answers to one call: some ids are not those that were sent.
            Some(Some(_)) => return again(count),
            None => strays.push(response),
        }
    }
    if found.iter().all(Option::is_none) {
        let about_all = strays.into_iter().next_back();
        return about_all.map_or_else(|| again(count), |response| refusal(url, response, count));
    }
    // Numbers of its own, which may be those of other calls.
    if !strays.iter().all(Response::is_anonymous) {
        return again(count);
    }
    let mut open = found.iter_mut().filter(|place| place.is_none());
    if let (Some(place), None) = (open.next(), open.next())
        && strays.len() == 1
    {
        *place = strays.pop();
    }
    let answer = |response: Option<Response<'_>>| {
        let response = response.filter(|response| !response.refuses_batch())?;
        Some(response.into_answer(url))
    };
    let answers: Vec<Option<Answer>> = found.into_iter().map(answer).collect();
    match answers.iter().flatten().all(may_be_for_all) {
        true => again(count),
        false => Outcome::Answers(answers),
    }
}

/// An error that may be about the batch, and not about the call.
fn may_be_for_all(answer: &Answer) -> bool {
    answer.as_ref().is_err_and(|failure| {
        !(failure.is_answer() || failure.is_rate_limit() || failure.is_about_state())
    })
}

/// What is no array in answer to a whole batch.
fn whole(url: &RpcUrl, status: StatusCode, body: &[u8], count: usize) -> Outcome {
    let response = one(body).ok().filter(Response::is_complete);
    let limited = status == StatusCode::TOO_MANY_REQUESTS;
    match response {
        Some(response) if !limited || response.refuses_batch() => refusal(url, response, count),
        _ if status.is_success() || is_refusal(status) => again(count),
        _ => Outcome::Failed(Failure::Http(status.as_u16())),
    }
}

/// One response in answer to a whole batch.
fn refusal(url: &RpcUrl, response: Response<'_>, count: usize) -> Outcome {
    if response.refuses_batch() || !response.is_rate_limit() {
        return again(count);
    }
    match response.into_answer(url) {
        Err(failure) => Outcome::Failed(failure),
        Ok(_) => again(count),
    }
}

/// Statuses with which providers refuse a batch, as opposed to any request at this moment.
const fn is_refusal(status: StatusCode) -> bool {
    match status.as_u16() {
        401..=403 | 407 | 408 | 429 => false,
        400..=501 => true,
        _ => false,
    }
}
