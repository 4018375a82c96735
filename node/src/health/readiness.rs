//! Whether a node can do its part now, and if not, why.
//!
//! Most reasons are read off when a caller asks. What only one part of the node knows, that part
//! notes with [`Readiness::block`] and takes back with [`Readiness::clear`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use quorate_proto::{Address, OperatorSet, U256};

use crate::api::{NotReady, Ready};

/// What keeps a node from signing, or from signing for one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Cause {
    /// The node is ending.
    Draining,
    /// The store takes no writes.
    Store,
    /// The signing log is not known to be whole, or another process signs for the operator.
    SigningLog,
    /// The signing key is out of reach.
    Signer,
    /// The home chain cannot be followed.
    HomeChain,
    /// The set of the current epoch is not known.
    NoSet,
    /// The operator has no stake in the current epoch.
    NoStake,
    /// The registry has another signing key for the operator.
    OtherKey,
    /// The operators that are connected cannot reach the threshold.
    Peers,
    /// A chain whose providers do not agree: nothing is signed about it.
    SourceChain(u64),
}

impl Cause {
    /// The same for machines; part of the HTTP interface.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Store => "store",
            Self::SigningLog => "signing_log",
            Self::Signer => "signer",
            Self::HomeChain => "home_chain",
            Self::NoSet => "no_operator_set",
            Self::NoStake => "no_stake",
            Self::OtherKey => "other_key",
            Self::Peers => "peers",
            Self::SourceChain(_) => "source_chain",
        }
    }
}

/// Reasons that parts of the node note. A clone is another handle to the same ones.
#[derive(Clone, Default)]
pub(crate) struct Readiness(Arc<Mutex<BTreeMap<Cause, String>>>);

impl Readiness {
    /// From now on the node is not ready because of `cause`; `detail` says what to do. Replaces what
    /// was noted for that cause before.
    pub(crate) fn block(&self, cause: Cause, detail: impl Into<String>) {
        let detail = detail.into();
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.insert(cause, detail.clone()).is_none() {
            tracing::warn!(cause = cause.code(), detail, "not ready to sign");
        }
    }

    /// That cause is gone.
    pub(crate) fn clear(&self, cause: Cause) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.remove(&cause).is_some() {
            tracing::info!(cause = cause.code(), "no longer in the way of signing");
        }
    }

    /// What is noted now.
    pub(crate) fn noted(&self) -> Vec<(Cause, String)> {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted
            .iter()
            .map(|(cause, detail)| (*cause, detail.clone()))
            .collect()
    }
}

/// How things stand when a caller asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Situation {
    /// The set of the current epoch.
    pub(crate) set: Option<Arc<OperatorSet>>,
    /// Operator and signing key of this node; `None` at a registry.
    pub(crate) me: Option<(Address, Address)>,
    /// Operators of the set whose peer is connected.
    pub(crate) connected: Vec<Address>,
    /// Operators of the set whose peer was never heard of.
    pub(crate) unheard: Vec<Address>,
    /// Connected peers that may be one of those.
    pub(crate) strangers: usize,
    /// Why the home chain cannot be followed.
    pub(crate) home: Option<String>,
    /// Chains that are read, and what is wrong with each.
    pub(crate) chains: Vec<(u64, Option<String>)>,
    /// Why the store takes no writes.
    pub(crate) store: Option<String>,
    pub(crate) draining: bool,
    /// What parts of the node have noted.
    pub(crate) noted: Vec<(Cause, String)>,
    /// Why its signing log is good for some facts only.
    pub(crate) restricted: Option<String>,
}

impl Situation {
    /// A chain that cannot be read takes away what would be signed about it, and no more: such a
    /// node is ready and *degraded*, unless it can read none of its chains. So is one whose signing log
    /// is good for young facts only.
    pub(crate) fn judge(&self) -> Ready {
        let chains = self.unreadable();
        let none_left = !chains.is_empty() && chains.len() == self.chains.len();
        let (blocking, mut degraded) = match none_left {
            true => (chains, Vec::new()),
            false => (Vec::new(), chains),
        };
        degraded.extend(self.restricted.clone().map(|why| (Cause::SigningLog, why)));
        let mut reasons = self.noted.clone();
        reasons.extend(self.own());
        reasons.extend(self.standing());
        reasons.extend(self.missing_weight());
        reasons.extend(blocking);
        reasons.sort();
        reasons.dedup_by_key(|(cause, _)| *cause);
        Ready {
            ready: reasons.is_empty(),
            reasons: reasons.into_iter().map(line).collect(),
            degraded: degraded.into_iter().map(line).collect(),
        }
    }

    /// What lies in the node itself.
    fn own(&self) -> Vec<(Cause, String)> {
        let mut reasons = Vec::new();
        if self.draining {
            let text = "the node finishes what users wait for, and ends; ask another operator";
            reasons.push((Cause::Draining, text.to_owned()));
        }
        if let Some(cause) = &self.store {
            let text = format!("the store takes no writes: {cause}; mend the disk, then restart");
            reasons.push((Cause::Store, text));
        }
        if let Some(problem) = &self.home {
            reasons.push((Cause::HomeChain, problem.clone()));
        }
        reasons
    }

    /// Its place in the set.
    fn standing(&self) -> Option<(Cause, String)> {
        let Some(set) = &self.set else {
            let text = "the operator set is not known yet: the home chain is being read";
            return Some((Cause::NoSet, text.to_owned()));
        };
        let (operator, key) = self.me?;
        let problem = stake_problem(set, operator, key)?;
        let cause = match set.get(operator) {
            None => Cause::NoStake,
            Some(_) => Cause::OtherKey,
        };
        Some((cause, problem))
    }

    /// Whether the threshold is out of reach of this operator and those that are connected. Who was
    /// never heard of may be any of the peers that speak for no operator yet.
    fn missing_weight(&self) -> Option<(Cause, String)> {
        let (set, (me, _)) = (self.set.as_ref()?, self.me?);
        let weight = |operators: &[Address]| {
            let weights = operators.iter().map(|operator| set.weight_of(*operator));
            weights.fold(U256::ZERO, U256::saturating_add)
        };
        let mut possible = self.unheard.clone();
        possible.sort_by_key(|operator| std::cmp::Reverse(set.weight_of(*operator)));
        possible.truncate(self.strangers);
        let certain = weight(&self.connected).saturating_add(set.weight_of(me));
        if certain.saturating_add(weight(&possible)) >= set.threshold() {
            return None;
        }
        let detail = format!(
            "the operators that are connected have a weight of {certain} with this one, {} of {} is needed: \
             check --bootstrap and the firewall, and whether the others run",
            set.threshold(),
            set.total_weight()
        );
        Some((Cause::Peers, detail))
    }

    fn unreadable(&self) -> Vec<(Cause, String)> {
        let problem = |(id, problem): &(u64, Option<String>)| {
            Some((Cause::SourceChain(*id), problem.clone()?))
        };
        self.chains.iter().filter_map(problem).collect()
    }
}

fn line((cause, detail): (Cause, String)) -> NotReady {
    NotReady {
        code: cause.code().into(),
        chain_id: match cause {
            Cause::SourceChain(id) => Some(id),
            _ => None,
        },
        detail,
    }
}

/// Why an operator with this key signs nothing in the epoch of `set`.
pub(crate) fn stake_problem(set: &OperatorSet, operator: Address, key: Address) -> Option<String> {
    match set.get(operator) {
        None => Some(format!(
            "operator {operator} has no stake in epoch {}: register and stake, then wait for the next epoch",
            set.epoch()
        )),
        Some(member) if member.signing_key != key => Some(format!(
            "the registry says that {operator} signs with {}, this node has {key}: \
             load the right key, or update it in the registry",
            member.signing_key
        )),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests;
