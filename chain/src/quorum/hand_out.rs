//! Handing something to all providers, of which one is enough.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, timeout_at};

use super::Pool;
use crate::providers::Provider;
use crate::rpc::ProviderError;
use crate::{Broadcast, ChainError};

/// How long the others are waited for once a provider has taken a transaction: none should be cut off while it
/// is on its way there.
const AFTER_ACCEPTED: Duration = Duration::from_millis(500);

impl<P: AsRef<Provider>> Pool<P> {
    /// Hands a transaction to all of them.
    pub async fn hand_out<'a, Q>(&'a self, send: impl Fn(&'a P) -> Q) -> Broadcast
    where
        Q: Future<Output = Result<(), ProviderError>>,
    {
        let sent = self.providers().iter().map(|provider| {
            let sent = send(provider);
            async move { (Arc::clone(provider.as_ref().name()), sent.await) }
        });
        let mut open: FuturesUnordered<_> = sent.collect();
        let (mut broadcast, mut deadline) = (Broadcast::default(), None);
        loop {
            let next = match deadline {
                None => open.next().await,
                Some(deadline) => timeout_at(deadline, open.next()).await.unwrap_or(None),
            };
            match next {
                None => return broadcast,
                Some((name, Ok(()))) => {
                    deadline.get_or_insert_with(|| Instant::now() + AFTER_ACCEPTED);
                    broadcast.accepted.push(name);
                }
                Some((name, Err(error))) => {
                    broadcast.is_refused |= error.rpc().is_some();
                    broadcast.hints.push(format!("{name} {error}"));
                }
            }
        }
    }

    /// The highest value that enough providers reach, by what each of them said.
    ///
    /// # Errors
    /// [`ChainError::Unavailable`] where they are not enough.
    pub fn reached<T, V: Copy + Ord>(
        &self,
        said: &[(usize, T)],
        value: impl Fn(&T) -> V,
    ) -> Result<V, ChainError> {
        let mut claims = vec![None; self.providers().len()];
        for (index, answer) in said {
            if let Some(claim) = claims.get_mut(*index) {
                *claim = Some(value(answer));
            }
        }
        let reached = self.rule().reached(&claims).first().copied();
        reached.ok_or_else(|| ChainError::Unavailable {
            detail: "no number is reached by enough providers".to_owned(),
        })
    }
}
