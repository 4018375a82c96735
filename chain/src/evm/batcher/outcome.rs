//! What a response is to the calls of its request.

use alloy::transports::http::reqwest::StatusCode;

use super::super::RpcUrl;
use super::super::rpc::{Answer, Failure, Response};
use crate::RequestOutcome;

/// What a response is to the calls that it should answer.
pub(in super::super) enum Outcome {
    /// One answer per call, in order.
    Answers(Vec<Answer>),
    /// The same for all.
    Failed(Failure),
    /// The provider does not take that many calls at once.
    TooMany,
}

impl Outcome {
    /// Why the request as a whole counts as failed, if it does.
    pub(super) fn failure(&self) -> Option<&Failure> {
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

/// What the provider at `url` answered to that many calls. What it is that makes no sense is told as far
/// as it may be shown.
pub(in super::super) fn read(
    url: &RpcUrl,
    status: StatusCode,
    body: &[u8],
    count: usize,
) -> Outcome {
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
