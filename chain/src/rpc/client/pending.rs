//! Calls that wait for their answers.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::CALL_TIMEOUT;
use crate::priority::is_for_user;
use crate::rpc::ProviderError;

/// The end that answers.
pub(crate) struct Responder<T> {
    answer: oneshot::Sender<Result<T, ProviderError>>,
    sent: Arc<OnceLock<Instant>>,
    for_user: bool,
}

/// The end that waits.
pub(crate) struct PendingReply<T> {
    answer: oneshot::Receiver<Result<T, ProviderError>>,
    sent: Arc<OnceLock<Instant>>,
}

/// For a call of the present task.
pub(crate) fn pending<T>() -> (Responder<T>, PendingReply<T>) {
    let (sender, receiver) = oneshot::channel();
    let sent = Arc::new(OnceLock::new());
    let reply = Responder {
        answer: sender,
        sent: Arc::clone(&sent),
        for_user: is_for_user(),
    };
    let answer = receiver;
    (reply, PendingReply { answer, sent })
}

impl<T> Responder<T> {
    /// Whether a user waits for it, rather than an attestation.
    pub(crate) const fn is_for_user(&self) -> bool {
        self.for_user
    }

    /// The caller has given up.
    pub(crate) fn is_closed(&self) -> bool {
        self.answer.is_closed()
    }

    /// The provider is asked now.
    pub(crate) fn sent(&self) {
        let _ = self.sent.set(Instant::now());
    }

    pub(crate) fn answer(self, answer: Result<T, ProviderError>) {
        // A caller that no longer waits has found enough other answers.
        let _ = self.answer.send(answer);
    }
}

/// The answer within [`CALL_TIMEOUT`], or why there is none. A provider that was not asked in the first half of
/// that time is not to blame.
pub(crate) async fn wait<T>(
    pending: Result<PendingReply<T>, ProviderError>,
) -> Result<T, ProviderError> {
    let PendingReply { answer, sent } = pending?;
    match timeout(CALL_TIMEOUT, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(ProviderError::Connection(
            "the request was given up".to_owned(),
        )),
        Err(_)
            if sent
                .get()
                .is_some_and(|at| at.elapsed() >= CALL_TIMEOUT / 2) =>
        {
            Err(ProviderError::Timeout(CALL_TIMEOUT.as_millis()))
        }
        Err(_) => Err(ProviderError::NotAsked(CALL_TIMEOUT.as_millis())),
    }
}
