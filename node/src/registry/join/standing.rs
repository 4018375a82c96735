//! How a node stands with its registries, for its health and its status.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use libp2p::PeerId;
use quorate_proto::{B256, OperatorStatus};

use crate::api::RegistryLine;

/// So many looks in a row must show another state than the majority's before it is called one: a
/// change takes a moment to reach all.
const PATIENCE: u32 = 4;

/// How a node stands with one registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RegistryStanding {
    /// Not asked yet.
    Unknown,
    /// The peer is no registry.
    NoRegistry,
    OutOfReach(String),
    Refused(String),
    /// What it thinks of the operator.
    Joined(Option<OperatorStatus>),
}

#[derive(Clone, Debug)]
struct RegistryEntry {
    standing: RegistryStanding,
    state_hash: Option<B256>,
    /// Looks in a row at which it said something else than the majority.
    apart: u32,
}

/// Shared with the pages that show it.
#[derive(Clone, Default)]
pub(crate) struct RegistryStandings(Arc<RwLock<BTreeMap<PeerId, RegistryEntry>>>);

impl RegistryStandings {
    pub(crate) fn new(registries: &[PeerId]) -> Self {
        let entry = |peer: &PeerId| {
            let entry = RegistryEntry {
                standing: RegistryStanding::Unknown,
                state_hash: None,
                apart: 0,
            };
            (*peer, entry)
        };
        Self(Arc::new(RwLock::new(
            registries.iter().map(entry).collect(),
        )))
    }

    pub(crate) fn set(&self, peer: PeerId, standing: RegistryStanding) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get_mut(&peer) {
            if !matches!(standing, RegistryStanding::Joined(_)) {
                entry.state_hash = None;
                entry.apart = 0;
            }
            entry.standing = standing;
        }
    }

    /// What a registry knows now; compared with what more than half of all of them say.
    pub(crate) fn heard(&self, peer: PeerId, hash: B256) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get_mut(&peer) {
            entry.state_hash = Some(hash);
        }
        let majority = majority(&entries);
        if let (Some(entry), Some(majority)) = (entries.get_mut(&peer), majority) {
            entry.apart = if hash == majority { 0 } else { entry.apart + 1 };
            if entry.apart == PATIENCE {
                tracing::warn!(registry = %peer, %hash, %majority,
                    "this registry knows something else than most; the majority is followed");
            }
        }
    }

    /// Refusals are a problem where they outnumber the registries that took the join: one liar
    /// must not make a node look ill.
    pub(crate) fn problems(&self) -> Vec<String> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let joined = |entry: &&RegistryEntry| matches!(entry.standing, RegistryStanding::Joined(_));
        let joined = entries.values().filter(joined).count();
        let refusal = |(peer, entry): (&PeerId, &RegistryEntry)| match &entry.standing {
            RegistryStanding::Refused(problem) => {
                Some(format!("not joined at registry {peer}: {problem}"))
            }
            _ => None,
        };
        let refusals: Vec<String> = entries.iter().filter_map(refusal).collect();
        match refusals.len() > joined {
            true => refusals,
            false => Vec::new(),
        }
    }

    /// For the status page.
    pub(crate) fn lines(&self) -> Vec<RegistryLine> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let shown = entries
            .iter()
            .filter(|(_, e)| e.standing != RegistryStanding::NoRegistry);
        shown.map(|(peer, entry)| line(peer, entry)).collect()
    }
}

fn line(peer: &PeerId, entry: &RegistryEntry) -> RegistryLine {
    let (joined, status, problem) = match &entry.standing {
        RegistryStanding::Unknown => (false, None, Some("not asked yet".into())),
        RegistryStanding::NoRegistry => (false, None, Some("no registry".into())),
        RegistryStanding::OutOfReach(problem) | RegistryStanding::Refused(problem) => {
            (false, None, Some(problem.clone()))
        }
        RegistryStanding::Joined(status) => (true, status.map(|s| s.name().to_owned()), None),
    };
    let apart = "it knows something else than most registries".to_owned();
    RegistryLine {
        peer_id: peer.to_string(),
        joined,
        status,
        state_hash: entry.state_hash.map(|hash| hash.to_string()),
        problem: problem.or((entry.apart >= PATIENCE).then_some(apart)),
    }
}

/// What more than half of the registries say, those that are out of reach counted along.
fn majority(entries: &BTreeMap<PeerId, RegistryEntry>) -> Option<B256> {
    let registries = entries
        .values()
        .filter(|e| e.standing != RegistryStanding::NoRegistry);
    let all = registries.clone().count();
    let mut counts: BTreeMap<B256, usize> = BTreeMap::new();
    for hash in registries.filter_map(|entry| entry.state_hash) {
        *counts.entry(hash).or_default() += 1;
    }
    let most = counts.into_iter().find(|(_, count)| count * 2 > all);
    most.map(|(hash, _)| hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> (RegistryStandings, [PeerId; 3]) {
        let peers = [(); 3].map(|()| PeerId::random());
        let standings = RegistryStandings::new(&peers);
        for peer in peers {
            standings.set(peer, RegistryStanding::Joined(None));
        }
        (standings, peers)
    }

    fn problem_of(standings: &RegistryStandings, peer: PeerId) -> Option<String> {
        let mut lines = standings.lines().into_iter();
        lines.find(|line| line.peer_id == peer.to_string())?.problem
    }

    #[test]
    fn a_registry_that_stays_apart_from_the_majority_is_named() {
        let (standings, [a, b, liar]) = three();
        let (truth, lie) = (B256::repeat_byte(1), B256::repeat_byte(2));
        for look in 0..=PATIENCE {
            standings.heard(a, truth);
            standings.heard(b, truth);
            assert_eq!(problem_of(&standings, liar).is_some(), look >= PATIENCE);
            standings.heard(liar, lie);
        }
        assert_eq!(problem_of(&standings, a), None);
        standings.heard(liar, truth);
        assert_eq!(problem_of(&standings, liar), None);
    }

    #[test]
    fn without_a_majority_nobody_is_wrong() {
        let (standings, [a, b, c]) = three();
        standings.set(c, RegistryStanding::OutOfReach("dead".into()));
        for _ in 0..10 {
            standings.heard(a, B256::repeat_byte(1));
            standings.heard(b, B256::repeat_byte(2));
        }
        assert_eq!(problem_of(&standings, a), None);
        assert_eq!(problem_of(&standings, b), None);
    }

    #[test]
    fn one_refusal_among_three_is_no_illness() {
        let (standings, [a, b, c]) = three();
        standings.set(a, RegistryStanding::Refused("no".into()));
        assert!(standings.problems().is_empty());
        standings.set(b, RegistryStanding::Refused("no".into()));
        assert_eq!(standings.problems().len(), 2);
        standings.set(c, RegistryStanding::NoRegistry);
        assert_eq!(standings.lines().len(), 2);
    }
}
