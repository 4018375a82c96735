//! Reads blocks of a source once more, for transfers that were missed: providers may have left them out, or the node may
//! have been told of a route too late. What was seen before stays as it was.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quorate_chain::{ChainError, ReadLog, SeenTransfer};
use quorate_proto::B256;
use tokio_util::sync::CancellationToken;

use super::{Bridge, RouteText};
use crate::NodeError;
use crate::api::RescanReport;

/// Blocks that are read again at a time: more than a chain with a block a second has in three months.
const MAX_BLOCKS: u64 = 10_000_000;
/// Reads that fail one after the other until it is given up.
const MAX_FAILURES: u32 = 30;
/// After a read that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// The one reading that is under way, or was last.
#[derive(Clone, Default)]
pub(crate) struct Rescans(Arc<Mutex<RescanState>>);

#[derive(Default)]
struct RescanState {
    report: Option<RescanReport>,
    /// Of the one under way.
    cancel: Option<CancellationToken>,
}

/// Why blocks are not read again.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RescanRefused {
    #[error("blocks {from} to {to} are read again already; wait for the end, or cancel that")]
    Busy { from: u64, to: u64 },
    #[error(
        "that route is not served here; `node bridge status` lists those that are, with their ids"
    )]
    NoRoute,
    #[error("chain {0} has no final block yet, or is not read here; `node providers` says why")]
    NoHead(u64),
    #[error("the blocks must be in order and final: from {from} to {to}, and {head} is final")]
    NotFinal { from: u64, to: u64, head: u64 },
    #[error("{0} blocks are too many at a time; at most {MAX_BLOCKS} are read again")]
    TooMany(u64),
}

/// What is read, and by whom it is ended.
struct Range {
    text: RouteText,
    from: u64,
    to: u64,
    cancel: CancellationToken,
}

impl Rescans {
    /// The one under way, or the last one.
    pub(crate) fn report(&self) -> Option<RescanReport> {
        self.lock().report.clone()
    }

    /// Ends the one under way; whether there was one.
    pub(crate) fn cancel(&self) -> bool {
        let state = self.lock();
        state.cancel.iter().for_each(CancellationToken::cancel);
        state.cancel.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, RescanState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, range: &Range) -> Result<RescanReport, RescanRefused> {
        let mut state = self.lock();
        if let (Some(_), Some(RescanReport { from, to, .. })) = (&state.cancel, &state.report) {
            let (from, to) = (*from, *to);
            return Err(RescanRefused::Busy { from, to });
        }
        let report = RescanReport {
            route: range.text.route.id().to_string(),
            from: range.from,
            to: range.to,
            next: range.from,
            seen: 0,
            found: 0,
            state: "running".to_owned(),
            problem: None,
        };
        (state.report, state.cancel) = (Some(report.clone()), Some(range.cancel.clone()));
        Ok(report)
    }

    fn note(&self, note: impl FnOnce(&mut RescanReport)) {
        if let Some(report) = &mut self.lock().report {
            note(report);
        }
    }

    fn end(&self, word: &str, problem: Option<String>) {
        let mut state = self.lock();
        state.cancel = None;
        if let Some(report) = &mut state.report {
            word.clone_into(&mut report.state);
            report.problem = problem;
            let RescanReport {
                from, to, found, ..
            } = report;
            tracing::info!(
                from,
                to,
                found,
                state = word,
                "blocks were read again for transfers"
            );
        }
    }
}

impl Bridge {
    /// Begins to read blocks of a route's source again, both ends included; up to the final head without `to`. One at a
    /// time, until `halt` is cancelled.
    ///
    /// # Errors
    /// [`RescanRefused`].
    pub(crate) fn rescan(
        &self,
        route: B256,
        (from, to): (u64, Option<u64>),
        halt: &CancellationToken,
    ) -> Result<RescanReport, RescanRefused> {
        let text = *self.route(route).ok_or(RescanRefused::NoRoute)?;
        let chain = text.route.source_chain;
        let head = self.reader(chain).and_then(|reader| reader.final_head());
        let head = head.ok_or(RescanRefused::NoHead(chain))?.number;
        let (from, to) = (from.max(text.first_block), to.unwrap_or(head));
        if from > to || to > head {
            return Err(RescanRefused::NotFinal { from, to, head });
        }
        let blocks = (to - from).saturating_add(1);
        if blocks > MAX_BLOCKS {
            return Err(RescanRefused::TooMany(blocks));
        }
        let range = Range {
            text,
            from,
            to,
            cancel: halt.child_token(),
        };
        let report = self.rescans.begin(&range)?;
        let bridge = self.clone();
        tokio::spawn(async move {
            let (word, problem) = match bridge.read_again(&range).await {
                Ok(()) if range.cancel.is_cancelled() => ("cancelled", None),
                Ok(()) => ("done", None),
                Err(error) => ("failed", Some(error.to_string())),
            };
            bridge.rescans.end(word, problem);
        });
        Ok(report)
    }

    async fn read_again(&self, range: &Range) -> Result<(), RescanError> {
        let mut failures = 0;
        let mut next = range.from;
        while next <= range.to {
            let read = tokio::select! {
                read = self.read_page(range, next) => read,
                () = range.cancel.cancelled() => return Ok(()),
            };
            match read {
                Ok(after) => (next, failures) = (after, 0),
                Err(RescanError::Chain(error)) if failures < MAX_FAILURES => {
                    failures += 1;
                    self.rescans
                        .note(|report| report.problem = Some(error.to_string()));
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => {}
                        () = range.cancel.cancelled() => return Ok(()),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The block after the last one that was read.
    async fn read_page(&self, range: &Range, from: u64) -> Result<u64, RescanError> {
        let route = range.text.route;
        let (chain, contract) = (route.source_chain, route.source_contract);
        let reader = self.reader(chain).ok_or(RescanError::NoReader(chain))?;
        let log = ReadLog::default();
        let page = reader.transfers(contract, from, range.to, &log).await?;
        let is_own = |one: &SeenTransfer| one.transfer.route == route;
        let own: Vec<SeenTransfer> = page.transfers.into_iter().filter(is_own).collect();
        let found = self.transfers.record((&own, &[]), None).await?;
        let next = page.next.max(from.saturating_add(1));
        self.rescans.note(|report| {
            report.next = next;
            report.seen += own.len() as u64;
            report.found += found as u64;
            report.problem = None;
        });
        Ok(next)
    }
}

/// Why reading came to an end.
#[derive(Debug, thiserror::Error)]
enum RescanError {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error("chain {0} is not read here any more")]
    NoReader(u64),
}

#[cfg(test)]
mod tests;
