//! Calls that wait for their answers.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::CALL_TIMEOUT;
use crate::evm::rpc::Failure;
use crate::priority::is_for_user;

/// The end that answers.
pub(in crate::evm) struct Reply<T> {
    answer: oneshot::Sender<Result<T, Failure>>,
    sent: Arc<OnceLock<Instant>>,
    for_user: bool,
}

/// The end that waits.
pub(in crate::evm) struct Pending<T> {
    answer: oneshot::Receiver<Result<T, Failure>>,
    sent: Arc<OnceLock<Instant>>,
}

/// For a call of the present task.
pub(in crate::evm) fn pending<T>() -> (Reply<T>, Pending<T>) {
    let (sender, receiver) = oneshot::channel();
    let sent = Arc::new(OnceLock::new());
    let reply = Reply {
        answer: sender,
        sent: Arc::clone(&sent),
        for_user: is_for_user(),
    };
    let answer = receiver;
    (reply, Pending { answer, sent })
}

impl<T> Reply<T> {
    /// Whether a user waits for it, rather than an attestation.
    pub(in crate::evm) const fn is_for_user(&self) -> bool {
        self.for_user
    }

    /// The caller has given up.
    pub(in crate::evm) fn is_closed(&self) -> bool {
        self.answer.is_closed()
    }

    /// The provider is asked now.
    pub(in crate::evm) fn sent(&self) {
        let _ = self.sent.set(Instant::now());
    }

    pub(in crate::evm) fn answer(self, answer: Result<T, Failure>) {
        // A caller that no longer waits has found enough other answers.
        let _ = self.answer.send(answer);
    }
}

/// The answer within [`CALL_TIMEOUT`], or why there is none. A provider that was not asked in the first half of
/// that time is not to blame.
pub(in crate::evm) async fn wait<T>(pending: Result<Pending<T>, Failure>) -> Result<T, Failure> {
    let Pending { answer, sent } = pending?;
    match timeout(CALL_TIMEOUT, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(Failure::Connection("the request was given up".to_owned())),
        Err(_)
            if sent
                .get()
                .is_some_and(|at| at.elapsed() >= CALL_TIMEOUT / 2) =>
        {
            Err(Failure::Timeout(CALL_TIMEOUT.as_millis()))
        }
        Err(_) => Err(Failure::NotAsked(CALL_TIMEOUT.as_millis())),
    }
}
