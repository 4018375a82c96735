//! Waiting for things, with a deadline.

use std::future::Future;
use std::time::Duration;

use anyhow::{Result, bail};

/// One look every 20 ms.
pub async fn tick() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// Looks until `probe` has a value.
///
/// # Errors
/// There was none within `timeout`; `what` names it.
pub async fn until<T, F, Fut>(what: &str, timeout: Duration, mut probe: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let deadline = tokio::time::Instant::now() + timeout;
    loop {
        if let Some(value) = probe().await {
            return Ok(value);
        }
        if tokio::time::Instant::now() > deadline {
            bail!("{what} did not happen within {timeout:?}");
        }
        tick().await;
    }
}
