use std::{
    pin::Pin,
    sync::{Mutex, OnceLock, PoisonError},
    task::{Context, Poll},
};

use futures::{
    channel::oneshot,
    future::{FutureExt, Shared},
};

use crate::StoreError;

/// Remembers the first failure and tells it to every caller that waits for it.
pub(super) struct FailStop {
    cause: OnceLock<StoreError>,
    tell: Mutex<Option<oneshot::Sender<StoreError>>>,
    told: Shared<oneshot::Receiver<StoreError>>,
}

impl FailStop {
    pub(super) fn new() -> Self {
        let (tell, told) = oneshot::channel();
        Self {
            cause: OnceLock::new(),
            tell: Mutex::new(Some(tell)),
            told: told.shared(),
        }
    }

    pub(super) fn stop(&self, cause: StoreError) {
        let first = self.cause.get_or_init(|| cause).clone();
        let tell = self
            .tell
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(tell) = tell {
            let _ = tell.send(first);
        }
    }

    pub(super) fn cause(&self) -> Option<StoreError> {
        self.cause.get().cloned()
    }

    pub(super) fn watch(&self) -> FailureWatch {
        FailureWatch(self.told.clone())
    }
}

/// Resolves to the first failed write, or to `None` when the store closed without one.
#[derive(Debug, Clone)]
pub struct FailureWatch(Shared<oneshot::Receiver<StoreError>>);

impl Future for FailureWatch {
    type Output = Option<StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_unpin(cx).map(Result::ok)
    }
}
