//! What a response is to the calls of its request.

use alloy::transports::http::reqwest::StatusCode;

use crate::RequestOutcome;
use crate::rpc::message::Response;
use crate::rpc::{Classify, ProviderError, RpcResult, RpcUrl};

/// What a response is to the calls that it should answer.
pub(crate) enum BatchOutcome {
    /// One answer per call, in order. Those without one go out again in smaller batches: the provider does
    /// not take that many at once.
    Answers(Vec<Option<RpcResult>>),
    /// The same for all.
    Failed(ProviderError),
}

impl BatchOutcome {
    /// Why the request as a whole counts as failed, if it does.
    pub(super) fn error(&self) -> Option<&ProviderError> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Answers(answers) => {
                let answers = || answers.iter().flatten();
                let errors = || answers().filter_map(|answer| answer.as_ref().err());
                let limited = |e: &&ProviderError| e.outcome() == RequestOutcome::RateLimited;
                let works = |a: &RpcResult| a.as_ref().err().is_none_or(ProviderError::is_answer);
                let any = errors().find(limited);
                any.or_else(|| errors().next().filter(|_| !answers().any(works)))
            }
        }
    }
}

/// So many calls that went out together.
#[derive(Clone, Copy)]
pub(crate) struct SentBatch<'a> {
    /// To whom. What of a response makes no sense is told as far as it may be shown.
    pub(crate) url: &'a RpcUrl,
    pub(crate) classify: Classify,
    pub(crate) count: usize,
}

impl SentBatch<'_> {
    /// What the provider answered.
    ///
    /// # Design Decisions
    ///
    /// Providers refuse batches in many ways: as a whole by an object or a page with whatever status, by an error
    /// for the first call or for each, or by leaving some out. Where a response does not answer every call
    /// for itself, the rest goes out in smaller batches, down to single calls, which fail for reasons of their own.
    pub(crate) fn read(self, status: StatusCode, body: &[u8]) -> BatchOutcome {
        if self.count > 1 {
            return match serde_json::from_slice::<Vec<Response<'_>>>(body) {
                Ok(responses) => self.sort(responses),
                Err(_) => self.whole(status, body),
            };
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            return BatchOutcome::Failed(ProviderError::Http(status.as_u16()));
        }
        let problem = match one(body) {
            Ok(response) if response.is_complete() => {
                return BatchOutcome::Answers(vec![Some(self.answer(response))]);
            }
            Ok(_) => "neither a result nor an error".to_owned(),
            Err(problem) => self.url.scrub(&problem.to_string()),
        };
        BatchOutcome::Failed(match status.is_success() {
            true => ProviderError::Malformed(problem),
            false => ProviderError::Http(status.as_u16()),
        })
    }

    fn answer(self, response: Response<'_>) -> RpcResult {
        response.into_result(self.url, self.classify)
    }

    fn again(self) -> BatchOutcome {
        BatchOutcome::Answers(vec![None; self.count])
    }

    /// Answers of a batch come in any order. One that does not say what it answers is that of the one call
    /// that has none.
    fn sort(self, responses: Vec<Response<'_>>) -> BatchOutcome {
        let mut found: Vec<Option<Response<'_>>> = (0..self.count).map(|_| None).collect();
        let mut strays = Vec::new();
        for response in responses {
            match response.index().and_then(|index| found.get_mut(index)) {
                Some(place @ None) => *place = Some(response),
                // Two answers to one call: some ids are not those that were sent.
                Some(Some(_)) => return self.again(),
                None => strays.push(response),
            }
        }
        if found.iter().all(Option::is_none) {
            let about_all = strays.into_iter().next_back();
            return about_all.map_or_else(|| self.again(), |response| self.refusal(response));
        }
        // Numbers of its own, which may be those of other calls.
        if !strays.iter().all(Response::is_anonymous) {
            return self.again();
        }
        let mut open = found.iter_mut().filter(|place| place.is_none());
        if let (Some(place), None) = (open.next(), open.next())
            && strays.len() == 1
        {
            *place = strays.pop();
        }
        let answer = |response: Option<Response<'_>>| {
            let response = response.filter(|response| !response.refuses_batch())?;
            Some(self.answer(response))
        };
        let answers: Vec<Option<RpcResult>> = found.into_iter().map(answer).collect();
        let of_batch =
            |answer: &RpcResult| answer.as_ref().is_err_and(ProviderError::may_be_of_batch);
        match answers.iter().flatten().all(of_batch) {
            true => self.again(),
            false => BatchOutcome::Answers(answers),
        }
    }

    /// What is no array in answer to a whole batch.
    fn whole(self, status: StatusCode, body: &[u8]) -> BatchOutcome {
        let response = one(body).ok().filter(Response::is_complete);
        let limited = status == StatusCode::TOO_MANY_REQUESTS;
        match response {
            Some(response) if !limited || response.refuses_batch() => self.refusal(response),
            _ if status.is_success() || is_refusal(status) => self.again(),
            _ => BatchOutcome::Failed(ProviderError::Http(status.as_u16())),
        }
    }

    /// One response in answer to a whole batch.
    fn refusal(self, response: Response<'_>) -> BatchOutcome {
        let refuses_batch = response.refuses_batch();
        match self.answer(response) {
            Err(error) if !refuses_batch && error.is_rate_limit() => BatchOutcome::Failed(error),
            _ => self.again(),
        }
    }
}

/// A response, also one in an array of its own.
fn one(body: &[u8]) -> serde_json::Result<Response<'_>> {
    let alone = serde_json::from_slice(body).map(|[response]: [Response<'_>; 1]| response);
    alone.or_else(|_| serde_json::from_slice(body))
}

/// Statuses with which providers refuse a batch, as opposed to any request at this moment.
const fn is_refusal(status: StatusCode) -> bool {
    match status.as_u16() {
        401..=403 | 407 | 408 | 429 => false,
        400..=501 => true,
        _ => false,
    }
}
