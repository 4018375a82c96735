//! Whether a set serves an epoch.

use quorate_proto::{B256, Epoch, EpochUpdate, RefusalCode};
use quorate_protocols::pipeline::Verdict;

use super::Observer;
use super::timeouts::READ_TIMEOUT;
use crate::clock;
use crate::home::{EpochView, HomeHandle};
use crate::tasks::driver::ReadTrace;

impl Observer {
    /// Compares with the set that this node has read from the home chain. The announcer may have seen it
    /// become final a moment earlier: a few wait for a set that is not known yet.
    pub(super) async fn set(&self, update: &EpochUpdate) -> (Verdict, ReadTrace) {
        let place = self.set_waits.try_acquire().ok();
        set(&self.home, update, place.is_some()).await
    }
}

async fn set(home: &HomeHandle, update: &EpochUpdate, wait: bool) -> (Verdict, ReadTrace) {
    let started = clock::now();
    let epoch = update.next_epoch;
    let known = told_of(&home.view(), epoch);
    let told = match known {
        None if wait => wait_for_set(home, epoch).await,
        known => known,
    };
    let trace = ReadTrace {
        micros: clock::now().micros_since(started),
        ..ReadTrace::default()
    };
    (compare_set(update, told), trace)
}

async fn wait_for_set(home: &HomeHandle, epoch: Epoch) -> Option<(B256, u64)> {
    let mut views = home.watch();
    home.hurry();
    let known = views.wait_for(|view| told_of(view, epoch).is_some());
    let view = tokio::time::timeout(READ_TIMEOUT, known).await.ok()?.ok()?;
    told_of(&view, epoch)
}

/// Hash and time of the set that was read. One that lacks members has the hash of another set, so
/// that it could make two certificates for one epoch.
fn told_of(view: &EpochView, epoch: Epoch) -> Option<(B256, u64)> {
    let set = view.set(epoch).filter(|set| set.is_whole())?;
    Some((set.hash(), set.fixed_at()))
}

fn compare_set(update: &EpochUpdate, told: Option<(B256, u64)>) -> Verdict {
    let epoch = update.next_epoch;
    match told {
        Some(told) if told == (update.set_hash, update.time) => Verdict::Agree,
        Some((hash, _)) if hash != update.set_hash => {
            let detail = format!("read the set {hash} for epoch {epoch}");
            Verdict::Refuse(RefusalCode::ValueDiffers, detail)
        }
        Some((_, time)) => {
            let detail = format!("the set of epoch {epoch} was fixed at {time}");
            Verdict::Refuse(RefusalCode::TimestampDiffers, detail)
        }
        None => {
            let detail = format!("the set of epoch {epoch} is not final here yet");
            Verdict::Refuse(RefusalCode::NotFinal, detail)
        }
    }
}

#[cfg(test)]
mod tests;
