//! How far this node is with catching up, for people and Prometheus.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libp2p::PeerId;

use crate::api::{SyncLie, SyncReport};
use crate::clock;
use crate::tasks::imported::Imported;

/// Lies that are remembered.
const LIES_KEPT: usize = 32;

/// Shared by the task and the pages.
#[derive(Clone, Default)]
pub(crate) struct SyncStatus(Arc<Mutex<SyncState>>);

#[derive(Default)]
struct SyncState {
    behind: u64,
    agreed: usize,
    peers: usize,
    taken: Imported,
    compared_ms: Option<u64>,
    taken_ms: Option<u64>,
    lies: VecDeque<SyncLie>,
}

impl SyncStatus {
    pub(super) fn progress(&self, behind: u64, agreed: usize, peers: usize) {
        let mut state = self.lock();
        state.behind = behind;
        if agreed > state.agreed {
            state.compared_ms = Some(clock::now().millis());
        }
        (state.agreed, state.peers) = (agreed, peers);
        let behind = u32::try_from(behind).unwrap_or(u32::MAX);
        metrics::gauge!("quorate_sync_behind").set(f64::from(behind));
    }

    pub(super) fn took(&self, taken: Imported) {
        let mut state = self.lock();
        let all = &mut state.taken;
        all.tasks += taken.tasks;
        all.responses += taken.responses;
        all.certificates += taken.certificates;
        all.healed += taken.healed;
        if taken.tasks + taken.responses + taken.healed > 0 {
            state.taken_ms = Some(clock::now().millis());
        }
        drop(state);
        let counts = [
            ("task", taken.tasks),
            ("response", taken.responses + taken.healed),
            ("certificate", taken.certificates),
        ];
        for (kind, count) in counts {
            metrics::counter!("quorate_sync_taken_total", "kind" => kind).increment(count as u64);
        }
    }

    pub(super) fn taken(&self) -> Imported {
        self.lock().taken
    }

    pub(super) fn lied(&self, peer: PeerId, why: &str) {
        let mut state = self.lock();
        if state.lies.len() >= LIES_KEPT {
            state.lies.pop_front();
        }
        state.lies.push_back(SyncLie {
            peer_id: peer.to_string(),
            reason: why.into(),
            at_ms: clock::now().millis(),
        });
    }

    /// `GET /sync`, but for what the index knows.
    pub(crate) fn report(&self) -> SyncReport {
        let state = self.lock();
        SyncReport {
            behind: state.behind,
            peers: state.peers,
            agreed: state.agreed,
            compared_ms: state.compared_ms,
            taken_ms: state.taken_ms,
            tasks: state.taken.tasks,
            responses: state.taken.responses,
            healed: state.taken.healed,
            certificates: state.taken.certificates,
            lies: state.lies.iter().cloned().collect(),
            ..SyncReport::default()
        }
    }

    fn lock(&self) -> MutexGuard<'_, SyncState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
