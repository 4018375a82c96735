//! The named tasks of a node: if one ends, all end; a panic is an error.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::NodeError;

/// How long tasks may take to end once they are told to.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// A set of tasks that live and die together.
pub(crate) struct Tasks {
    set: JoinSet<(&'static str, Result<(), NodeError>)>,
    token: CancellationToken,
}

impl Tasks {
    pub(crate) fn new(token: CancellationToken) -> Self {
        Self {
            set: JoinSet::new(),
            token,
        }
    }

    /// Starts a task. It must end soon after the token is cancelled, and not before.
    pub(crate) fn spawn<F>(&mut self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), NodeError>> + Send + 'static,
    {
        self.set.spawn(async move { (name, task.await) });
    }

    /// Waits for the end of all.
    ///
    /// # Errors
    /// Why the first one ended that should not have.
    pub(crate) async fn wait(mut self) -> Result<(), NodeError> {
        let mut result = Ok(());
        while let Some(ended) = self.next().await {
            let failure = match ended {
                Ok((name, Ok(()))) if self.token.is_cancelled() => {
                    tracing::debug!(task = name, "task ended");
                    None
                }
                Ok((name, Ok(()))) => Some(NodeError::TaskEnded { name }),
                Ok((_, Err(error))) => Some(error),
                Err(panic) => Some(NodeError::Panic {
                    reason: panic.to_string(),
                }),
            };
            self.token.cancel();
            if let (Some(error), true) = (failure, result.is_ok()) {
                result = Err(error);
            }
        }
        result
    }

    async fn next(
        &mut self,
    ) -> Option<Result<(&'static str, Result<(), NodeError>), tokio::task::JoinError>> {
        if !self.token.is_cancelled() {
            return self.set.join_next().await;
        }
        match tokio::time::timeout(STOP_TIMEOUT, self.set.join_next()).await {
            Ok(ended) => ended,
            Err(_) => {
                tracing::warn!("some tasks did not end within 10 s and were aborted");
                self.set.abort_all();
                None
            }
        }
    }
}
