//! The chain providers of a node: n of them, of which k have to agree.
//!
//! A read agrees on a final block and its hash, and then on the value there: by k equal answers, or
//! by one proof against the header. Who is dead, or hangs, counts as a "no".

use quorate_proto::{RefusalCode, Timestamp};

use super::plan::Span;
use super::rule::Rule;
use super::world::World;

/// A read waits this many microseconds for a provider that hangs: `CALL_TIMEOUT` of the node.
pub(super) const PATIENCE: u64 = 2_000_000;

/// What is wrong with a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderFault {
    /// It shows another chain: another block, another value there, and more blocks than there are.
    Lies,
    /// It shows the true block and another value in it.
    Forges,
    /// It takes questions and never answers.
    Stalls,
    /// It is so many milliseconds behind.
    Lags(u64),
    /// It refuses connections.
    Dead,
}

/// A provider of a node that goes wrong for a while.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) node: usize,
    pub(super) provider: usize,
    pub(super) fault: ProviderFault,
    pub(super) span: Span,
}

#[derive(Clone, Debug)]
pub(super) struct Providers {
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) proofs: bool,
    pub(super) faults: Vec<Fault>,
}

/// What the providers of a node say to one question.
#[derive(Debug, Default)]
struct Votes {
    /// See the block, and the truth in it.
    truth: usize,
    /// See the block, and say another value.
    forged: usize,
    /// See another block, with another value.
    lies: usize,
    /// Do not see the block as final yet.
    behind: usize,
}

impl Providers {
    fn states(&self, now: Timestamp, node: usize) -> impl Iterator<Item = Option<ProviderFault>> {
        let of_node = move |f: &&Fault| f.node == node && f.span.contains(now);
        (0..self.n).map(move |provider| {
            let mut faults = self.faults.iter().filter(of_node);
            faults.find(|f| f.provider == provider).map(|f| f.fault)
        })
    }

    fn count(
        &self,
        now: Timestamp,
        node: usize,
        is: impl Fn(Option<ProviderFault>) -> bool,
    ) -> usize {
        self.states(now, node).filter(|state| is(*state)).count()
    }

    /// Whether so many providers of a node lie at some time that its reads may be false.
    pub(super) fn deceive(&self, node: usize) -> bool {
        let liars = |at, fault| self.count(at, node, |state| state == Some(fault));
        self.faults.iter().filter(|f| f.node == node).any(|f| {
            let at = f.span.from;
            liars(at, ProviderFault::Lies) >= self.k
                || (!self.proofs && liars(at, ProviderFault::Forges) >= self.k)
        })
    }

    /// Whether k providers of a node are well in all of a span.
    pub(super) fn serve(&self, node: usize, span: &Span) -> bool {
        let ill = |provider: &usize| {
            let of_provider = |f: &Fault| f.node == node && f.provider == *provider;
            self.faults
                .iter()
                .any(|f| of_provider(f) && f.span.overlaps(span))
        };
        let well = (0..self.n).filter(|provider| !ill(provider)).count();
        well >= self.k
    }
}

fn answers(state: Option<ProviderFault>) -> bool {
    !matches!(state, Some(ProviderFault::Stalls | ProviderFault::Dead))
}

impl World {
    /// How many providers have to agree. The rule is k, however few of them answer.
    fn required(&self, now: Timestamp, node: usize) -> usize {
        let providers = &self.plan.providers;
        if self.plan.leaves_out(Rule::ProviderQuorum) {
            return providers.count(now, node, answers) / 2 + 1;
        }
        providers.k
    }

    /// Whether a read that begins now has to wait for a provider that hangs.
    pub(super) fn hangs(&self, now: Timestamp, node: usize) -> bool {
        let providers = &self.plan.providers;
        let stalls = |state| state == Some(ProviderFault::Stalls);
        let well = |state| matches!(state, None | Some(ProviderFault::Lags(_)));
        !providers.faults.is_empty()
            && providers.count(now, node, stalls) > 0
            && providers.count(now, node, well) < self.required(now, node)
    }

    /// Whether the providers of `node` show the truth about a block that the first node saw as
    /// final at `first`.
    pub(super) fn ask_providers(
        &self,
        now: Timestamp,
        node: usize,
        first: Timestamp,
    ) -> Result<bool, RefusalCode> {
        let votes = self.votes(now, node, first);
        let required = self.required(now, node);
        let here = votes.truth + votes.forged + votes.lies;
        if here + votes.behind < required {
            return Err(RefusalCode::ChainUnavailable);
        }
        if here < required {
            return Err(RefusalCode::NotFinal);
        }
        if votes.lies >= required {
            return Ok(false);
        }
        if votes.truth + votes.forged < required {
            return Err(RefusalCode::ChainUnavailable);
        }
        let enough = if self.plan.providers.proofs {
            1
        } else {
            required
        };
        if votes.forged >= required && !self.plan.providers.proofs {
            return Ok(false);
        }
        if votes.truth >= enough {
            return Ok(true);
        }
        Err(RefusalCode::ChainUnavailable)
    }

    fn votes(&self, now: Timestamp, node: usize, first: Timestamp) -> Votes {
        let is_final = |lag: u64| now.micros_since(first) >= self.chain_lag(node) + lag * 1_000;
        let mut votes = Votes::default();
        for state in self.plan.providers.states(now, node) {
            match state {
                Some(ProviderFault::Stalls | ProviderFault::Dead) => {}
                Some(ProviderFault::Lies) => votes.lies += 1,
                Some(ProviderFault::Lags(lag)) if !is_final(lag) => votes.behind += 1,
                None | Some(ProviderFault::Forges) if !is_final(0) => votes.behind += 1,
                Some(ProviderFault::Forges) => votes.forged += 1,
                None | Some(ProviderFault::Lags(_)) => votes.truth += 1,
            }
        }
        votes
    }

    /// The final home block that `node` believes in: the k-th highest that its providers name.
    /// Liars name one of the next epoch. That k of them lie about the home chain is left out: who
    /// believes in another home chain is in another network.
    pub(super) fn home_seen(&self, now: Timestamp, node: usize) -> Option<u64> {
        let truth = self.home_block_at(now, node);
        if self.plan.providers.faults.is_empty() {
            return Some(truth);
        }
        let ahead = if self.is_deceivable(node) {
            0
        } else {
            self.plan.schedule.length
        };
        let height = |state: Option<ProviderFault>| match state {
            None | Some(ProviderFault::Forges) => Some(truth),
            Some(ProviderFault::Lies) => Some(truth + ahead),
            Some(ProviderFault::Lags(lag)) => {
                let back = Timestamp(now.0 - lag * 1_000);
                Some(self.home_block_at(back, node))
            }
            Some(ProviderFault::Stalls | ProviderFault::Dead) => None,
        };
        let mut heights: Vec<u64> = self
            .plan
            .providers
            .states(now, node)
            .filter_map(height)
            .collect();
        heights.sort_unstable_by(|a, b| b.cmp(a));
        heights.get(self.required(now, node) - 1).copied()
    }

    /// Whether enough providers tell the set of an epoch. Who forges values leaves sets alone.
    pub(super) fn tells_sets(&self, now: Timestamp, node: usize) -> bool {
        let providers = &self.plan.providers;
        let tells = |state| {
            matches!(
                state,
                None | Some(ProviderFault::Lags(_) | ProviderFault::Forges)
            )
        };
        providers.faults.is_empty() || providers.count(now, node, tells) >= providers.k
    }
}
