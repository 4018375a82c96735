//! One provider must show it, whichever.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::timeout;

use super::super::provider::Provider;
use super::super::rpc::Failure;
use super::Pool;
use crate::{Question, ReadLog, Said};

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
            self.provider.shown().slow(Instant::now());
        }
    }
}

impl Pool {
    /// The first answer that holds, and so needs no second one; otherwise why there is none.
    ///
    /// Providers are asked one after the other, the next as soon as one fails or takes longer than
    /// [`HEDGE`]: those that hang cost little, and one that serves is enough. Who was good is asked
    /// first; among equals they take turns.
    pub(in crate::evm) async fn first<'a, T, F, Q>(
        &'a self,
        log: &ReadLog,
        about: Question,
        question: F,
    ) -> Result<T, Vec<(usize, Failure)>>
    where
        F: Fn(&'a Provider) -> Q,
        Q: Future<Output = Result<T, Failure>>,
    {
        let mut order = self.order().into_iter();
        let start = |index: usize| {
            let provider = &self.providers[index];
            let (asked, note) = (Instant::now(), log.asking(provider.name(), about));
            let answer = question(provider);
            // What is asked for still when another one has answered was too slow.
            let mut asking = Hedged {
                provider,
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
            let heard = match timeout(HEDGE, open.next()).await {
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
                    note.said(Said::Good, "");
                    return Ok(found);
                }
                Some((index, mut note, Err(failure))) => {
                    note.said(failure.said(), &failure.to_string());
                    failures.push((index, failure));
                    open.extend(order.next().map(start));
                }
            }
        }
    }

    fn order(&self) -> Vec<usize> {
        let (count, now) = (self.providers.len(), Instant::now());
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut order: Vec<usize> = (0..count).map(|place| (turn + place) % count).collect();
        order.sort_by_key(|index| self.providers[*index].shown().rank(now));
        order
    }
}
