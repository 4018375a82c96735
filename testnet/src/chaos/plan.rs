//! What goes wrong next. Depends on the seed alone, and on what is wrong already.

use std::fmt;
use std::time::Duration;

use alloy::primitives::U256;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::ProviderBehaviour;

/// What liars say instead of every stored value.
pub(super) const LIE: U256 = U256::from_limbs([666, 0, 0, 0]);

/// Providers of one chain that each node asks.
pub(super) const PROVIDERS: usize = 3;

/// One thing that goes wrong, and is mended later.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fault {
    /// kill -9; started again later.
    Kill(usize),
    /// SIGTERM; started again later.
    Stop(usize),
    /// SIGSTOP, later SIGCONT.
    Pause(usize),
    /// The registry is killed; started again later.
    KillRegistry,
    /// So many providers of one chain of one operator behave so.
    Providers(usize, Chain, usize, ProviderBehaviour),
    /// One operator is cut off from the mesh.
    CutOff(usize),
    /// These operators, and the others, cannot talk to each other.
    Split(Vec<usize>),
}

/// Whose providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chain {
    Home,
    Source,
}

impl Fault {
    /// Operators that cannot do their part meanwhile.
    pub(super) fn victims(&self) -> Vec<usize> {
        match self {
            Self::Kill(n) | Self::Stop(n) | Self::Pause(n) | Self::CutOff(n) => vec![*n],
            Self::Providers(n, ..) => vec![*n],
            Self::Split(group) => group.clone(),
            Self::KillRegistry => Vec::new(),
        }
    }

    /// For counting.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Kill(_) => "operator killed (-9), started again",
            Self::Stop(_) => "operator stopped (TERM), started again",
            Self::Pause(_) => "operator paused (SIGSTOP)",
            Self::KillRegistry => "registry killed (-9), started again",
            Self::Providers(_, _, _, ProviderBehaviour::Value(_)) => "providers lie about values",
            Self::Providers(_, _, _, ProviderBehaviour::Forged(_)) => "providers forge proofs",
            Self::Providers(_, _, _, ProviderBehaviour::Fork(_)) => "providers invent a fork",
            Self::Providers(_, _, _, ProviderBehaviour::Silent) => "providers hang",
            Self::Providers(..) => "providers fail, limit or are slow",
            Self::CutOff(_) => "operator cut off from the mesh",
            Self::Split(_) => "mesh split in two",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(n) => write!(f, "operator {n}: kill -9"),
            Self::Stop(n) => write!(f, "operator {n}: SIGTERM"),
            Self::Pause(n) => write!(f, "operator {n}: SIGSTOP"),
            Self::KillRegistry => f.write_str("registry: kill -9"),
            Self::Providers(n, chain, count, manner) => write!(
                f,
                "operator {n}: {count} of {PROVIDERS} {chain:?} providers: {manner:?}"
            ),
            Self::CutOff(n) => write!(f, "operator {n}: cut off from the mesh"),
            Self::Split(group) => write!(f, "operators {group:?}: split off from the others"),
        }
    }
}

/// What happens, after how long, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PlannedFault {
    pub(super) after: Duration,
    pub(super) fault: Fault,
    pub(super) lasts: Duration,
}

/// Makes steps.
pub(super) struct Planner {
    rng: StdRng,
    operators: usize,
    /// Whether nodes can be cut off from each other.
    partitions: bool,
}

impl Planner {
    pub(super) fn new(seed: u64, operators: usize, partitions: bool) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            operators,
            partitions,
        }
    }

    /// The next step, while these faults last. No node is hit twice at a time; `None` where none is left.
    pub(super) fn next(&mut self, active: &[&Fault]) -> Option<PlannedFault> {
        let hit: Vec<usize> = active.iter().flat_map(|fault| fault.victims()).collect();
        let free: Vec<usize> = (0..self.operators).filter(|n| !hit.contains(n)).collect();
        let after = Duration::from_millis(self.rng.random_range(500..4_000));
        let lasts = Duration::from_millis(self.rng.random_range(500..12_000));
        let registry_down = active.iter().any(|fault| **fault == Fault::KillRegistry);
        let split = active.iter().any(|fault| matches!(fault, Fault::Split(_)));
        let fault = match free.choose(&mut self.rng).copied() {
            Some(victim) => self.fault(victim, &free, split, registry_down),
            None if registry_down => return None,
            None => Fault::KillRegistry,
        };
        Some(PlannedFault {
            after,
            fault,
            lasts,
        })
    }

    fn fault(&mut self, victim: usize, free: &[usize], split: bool, registry_down: bool) -> Fault {
        match self.rng.random_range(0..20) {
            0..5 => Fault::Kill(victim),
            5 => Fault::Stop(victim),
            6..9 => Fault::Pause(victim),
            9 if !registry_down => Fault::KillRegistry,
            10 | 11 if self.partitions && !split => Fault::CutOff(victim),
            12 | 13 if self.partitions && !split => {
                let size = self.rng.random_range(2..=3.min(self.operators / 2));
                Fault::Split(free.choose_multiple(&mut self.rng, size).copied().collect())
            }
            _ => self.provider_fault(victim),
        }
    }

    fn provider_fault(&mut self, victim: usize) -> Fault {
        let count = self.rng.random_range(1..=PROVIDERS);
        let slow =
            ProviderBehaviour::Slow(Duration::from_millis(self.rng.random_range(200..3_000)));
        let faulty = [
            ProviderBehaviour::Silent,
            ProviderBehaviour::Failing,
            ProviderBehaviour::Limited,
            slow,
        ];
        let lying = [
            ProviderBehaviour::Value(LIE),
            ProviderBehaviour::Forged(LIE),
            ProviderBehaviour::Fork(LIE),
        ];
        let manners = match self.rng.random_range(0..2) {
            0 => &faulty[..],
            _ => &lying[..],
        };
        let manner = *manners
            .choose(&mut self.rng)
            .unwrap_or(&ProviderBehaviour::Silent);
        let home = !lying.contains(&manner) && self.rng.random_range(0..3) == 0;
        let chain = if home { Chain::Home } else { Chain::Source };
        Fault::Providers(victim, chain, count, manner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_steps_and_nobody_is_hit_twice() {
        let run = |seed| {
            let mut planner = Planner::new(seed, 7, true);
            let mut active: Vec<Fault> = Vec::new();
            let mut steps = Vec::new();
            for _ in 0..500 {
                let step = planner.next(&active.iter().collect::<Vec<_>>());
                let step = step.expect("few faults at a time leave somebody");
                for victim in step.fault.victims() {
                    let others = active.iter().flat_map(Fault::victims);
                    assert!(others.into_iter().all(|other| other != victim), "{step:?}");
                }
                steps.push(step.clone());
                active.push(step.fault);
                if active.len() > 3 {
                    active.remove(0);
                }
            }
            steps
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        let kinds: std::collections::BTreeSet<_> =
            run(3).iter().map(|step| step.fault.kind()).collect();
        assert_eq!(kinds.len(), 11, "{kinds:?}");
    }

    #[test]
    fn nothing_more_goes_wrong_where_everybody_is_hit() {
        let mut planner = Planner::new(1, 7, true);
        let all = Fault::Split((0..7).collect());
        let next = planner.next(&[&all]).map(|step| step.fault);
        assert_eq!(next, Some(Fault::KillRegistry));
        assert_eq!(planner.next(&[&all, &Fault::KillRegistry]), None);
    }

    #[test]
    fn without_namespaces_nobody_is_cut_off() {
        let mut planner = Planner::new(1, 7, false);
        for _ in 0..500 {
            let step = planner.next(&[]).expect("all are left");
            assert!(!matches!(step.fault, Fault::CutOff(_) | Fault::Split(_)));
        }
    }
}
