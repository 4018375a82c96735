//! What any one provider can show, so that no second one is needed.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::timeout;

use super::pool::Pool;
use crate::providers::Provider;
use crate::rpc::ProviderError;
use crate::{QueryKind, ReadLog, ReplyKind};

/// How long one provider is waited for before another one is asked for the same: twice what slow ones
/// take for a proof, and of twelve that hang the last is asked before a read is given up.
const HEDGE: Duration = Duration::from_millis(200);

/// A question to one provider that others may be asked, too. Remembers that it was slow where it is
/// given up after [`HEDGE`].
struct Hedged<'a> {
    provider: &'a Provider,
    asked: Instant,
    ended: bool,
}

impl Hedged<'_> {
    fn end(&mut self) {
        self.ended = true;
    }
}

impl Drop for Hedged<'_> {
    fn drop(&mut self) {
        if !self.ended && self.asked.elapsed() >= HEDGE {
            self.provider.proofs().slow(Instant::now());
        }
    }
}

impl<P: AsRef<Provider>> Pool<P> {
    /// The first answer that holds, and so needs no second one; otherwise why there is none.
    ///
    /// Providers are asked one after the other, the next as soon as one fails or takes longer than
    /// [`HEDGE`]: those that hang cost little, and one that serves is enough. Who was good is asked
    /// first; among equals they take turns.
    ///
    /// # Errors
    /// How each failed.
    pub async fn first<'a, T, F, Q>(
        &'a self,
        log: &ReadLog,
        kind: QueryKind,
        question: F,
    ) -> Result<T, Vec<(usize, ProviderError)>>
    where
        F: Fn(&'a P) -> Q,
        Q: Future<Output = Result<T, ProviderError>>,
    {
        self.first_within(HEDGE, log, kind, question).await
    }

    /// As [`Self::first`], of so much that another provider is asked only when one has failed.
    ///
    /// # Errors
    /// How each failed.
    pub async fn in_turn<'a, T, F, Q>(
        &'a self,
        log: &ReadLog,
        kind: QueryKind,
        question: F,
    ) -> Result<T, Vec<(usize, ProviderError)>>
    where
        F: Fn(&'a P) -> Q,
        Q: Future<Output = Result<T, ProviderError>>,
    {
        self.first_within(Duration::MAX, log, kind, question).await
    }

    async fn first_within<'a, T, F, Q>(
        &'a self,
        hedge: Duration,
        log: &ReadLog,
        kind: QueryKind,
        question: F,
    ) -> Result<T, Vec<(usize, ProviderError)>>
    where
        F: Fn(&'a P) -> Q,
        Q: Future<Output = Result<T, ProviderError>>,
    {
        let mut order = self.order().into_iter();
        let start = |index: usize| {
            let provider = &self.providers()[index];
            let (asked, note) = (Instant::now(), log.asking(provider.as_ref().name(), kind));
            let answer = question(provider);
            // What is asked for still when another one has answered was too slow.
            let mut asking = Hedged {
                provider: provider.as_ref(),
                asked,
                ended: false,
            };
            async move {
                let answer = answer.await;
                asking.end();
                (index, note, answer)
            }
        };
        let mut open: FuturesUnordered<_> = order.next().map(start).into_iter().collect();
        let mut failures = Vec::new();
        loop {
            let heard = match timeout(hedge, open.next()).await {
                Ok(heard) => heard,
                Err(_) => match order.next() {
                    Some(index) => {
                        open.push(start(index));
                        continue;
                    }
                    None => open.next().await,
                },
            };
            match heard {
                None => return Err(failures),
                Some((_, mut note, Ok(found))) => {
                    note.said(ReplyKind::Good, "");
                    return Ok(found);
                }
                Some((index, mut note, Err(error))) => {
                    note.said(error.reply_kind(), &error.to_string());
                    failures.push((index, error));
                    open.extend(order.next().map(start));
                }
            }
        }
    }

    fn order(&self) -> Vec<usize> {
        let (count, now) = (self.providers().len(), Instant::now());
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut order: Vec<usize> = (0..count).map(|index| (turn + index) % count).collect();
        order.sort_by_key(|index| self.providers()[*index].as_ref().proofs().rank(now));
        order
    }
}
