//! What every provider says for itself, where their words are put together rather than compared.

use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, timeout_at};

use super::{NoQuorum, Pool};
use crate::providers::Provider;
use crate::rpc::ProviderError;

/// How long the slower providers are waited for once enough have answered. Their word may add
/// something; a hanging one must not hold up the rest.
const STRAGGLER_WAIT: Duration = Duration::from_millis(100);

/// What one provider said; nothing, where it was not waited for.
pub(super) type Said<T> = Option<Result<T, ProviderError>>;

impl<P: AsRef<Provider>> Pool<P> {
    /// What each of those who answered says, if they are enough: of what is proven afterwards, or where the
    /// highest counts that enough of them reach.
    ///
    /// # Errors
    /// Too few answer.
    pub async fn gather<'a, T, F, Q>(&'a self, question: F) -> Result<Vec<(usize, T)>, NoQuorum>
    where
        F: Fn(usize, &'a P) -> Q,
        Q: Future<Output = Result<T, ProviderError>>,
    {
        let (mut answers, mut failures) = (Vec::new(), Vec::new());
        for (index, said) in self.hear(question).await.into_iter().enumerate() {
            match said {
                Some(Ok(answer)) => answers.push((index, answer)),
                Some(Err(error)) => failures.push((index, error)),
                None => {}
            }
        }
        let by: Vec<usize> = answers.iter().map(|(index, _)| *index).collect();
        if self.rule().suffices(&by) {
            return Ok(answers);
        }
        let said = by.into_iter().map(|index| (index, "something".to_owned()));
        Err(self.too_few(said.collect(), failures))
    }

    /// One word per provider, in their order.
    pub(super) async fn hear<'a, T, F, Q>(&'a self, question: F) -> Vec<Said<T>>
    where
        F: Fn(usize, &'a P) -> Q,
        Q: Future<Output = Result<T, ProviderError>>,
    {
        let providers = self.providers();
        let mut words: Vec<Said<T>> = providers.iter().map(|_| None).collect();
        let word = |(index, provider)| {
            let answer = question(index, provider);
            async move { (index, answer.await) }
        };
        let mut open: FuturesUnordered<_> = providers.iter().enumerate().map(word).collect();
        let mut said = Vec::new();
        let mut deadline = None;
        loop {
            let next = match deadline {
                None => open.next().await,
                Some(deadline) => timeout_at(deadline, open.next()).await.unwrap_or(None),
            };
            let Some((index, word)) = next else {
                return words;
            };
            if word.is_ok() {
                said.push(index);
            }
            if deadline.is_none() && self.rule().suffices(&said) {
                deadline = Some(Instant::now() + STRAGGLER_WAIT);
            }
            words[index] = Some(word);
        }
    }
}
