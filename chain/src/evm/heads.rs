//! Which block a quorum of providers holds to be final.

use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, timeout_at};

use super::Finality;
use super::calls::Header;
use super::provider::Provider;
use super::quorum::Pool;
use super::rpc::Failure;
use super::rule::Rule;
use crate::ChainError;

/// How long the slower providers are waited for once enough have answered. Their word may show
/// a newer block; a hanging one must not hold up the rest.
const STRAGGLER_WAIT: Duration = Duration::from_millis(100);

/// The newest block that one provider holds to be final.
#[derive(Clone, Copy, Debug)]
struct Tip {
    height: u64,
    /// The block itself, where the provider sent it along.
    header: Option<Header>,
}

impl Tip {
    fn show(self) -> String {
        match self.header {
            Some(header) => format!("{} is final", header.block()),
            None => format!("block {} is final", self.height),
        }
    }
}

/// What one provider said: nothing, that nothing is final, or its tip.
type Claim = Option<Result<Option<Tip>, Failure>>;

/// The newest block that the required number of providers hold to be final and describe alike;
/// `None` while nothing is final.
///
/// A provider alone can neither pull this ahead nor hold it back: the height is the k-th highest
/// claim. Where the providers differ on the block at that height, the next lower claim is tried.
/// Only those have a say about a height that hold it to be final: another one may honestly be on a
/// fork there, and would make a quorum with whoever repeats it.
pub(super) async fn agree(pool: &Pool, finality: Finality) -> Result<Option<Header>, ChainError> {
    let claims = claims(pool, finality).await;
    if !pool.rule().suffices(&answered(&claims)) {
        return Err(pool.unanswered(sayings(&claims), failures(&claims)));
    }
    let tips: Vec<Option<Tip>> = claims
        .into_iter()
        .map(|claim| claim.and_then(Result::ok).flatten())
        .collect();
    let heights: Vec<Option<u64>> = tips.iter().map(|tip| tip.map(|tip| tip.height)).collect();

    let mut problem = None;
    for height in candidates(&heights, pool.rule()) {
        let question = |index: usize, provider| {
            let tip = tips.get(index).copied().flatten();
            describe(tip, provider, height)
        };
        match pool.ask(question).await {
            Ok(header) => return Ok(Some(header)),
            Err(none) => problem = problem.or(Some(none)),
        }
    }
    problem.map_or(Ok(None), |none| Err(none.into()))
}

/// The block at `height`, as a provider has it whose newest final block is `tip`.
async fn describe(tip: Option<Tip>, provider: &Provider, height: u64) -> Result<Header, Failure> {
    match tip {
        Some(tip) if tip.height > height => provider.header(height).await,
        Some(tip) if tip.height == height => match tip.header {
            Some(header) => Ok(header),
            None => provider.header(height).await,
        },
        _ => Err(Failure::Unknown(format!("block {height} as final"))),
    }
}

/// Heights that the claims of enough providers reach, highest first.
fn candidates(heights: &[Option<u64>], rule: &Rule) -> Vec<u64> {
    let reach = |height: &u64| {
        let reaching =
            |(index, claim): (usize, &Option<u64>)| (*claim >= Some(*height)).then_some(index);
        let by: Vec<usize> = heights.iter().enumerate().filter_map(reaching).collect();
        rule.suffices(&by)
    };
    let mut reached: Vec<u64> = heights.iter().flatten().copied().filter(reach).collect();
    reached.sort_unstable_by(|a, b| b.cmp(a));
    reached.dedup();
    reached
}

/// One claim per provider, in their order.
async fn claims(pool: &Pool, finality: Finality) -> Vec<Claim> {
    let providers = pool.providers();
    let mut claims: Vec<Claim> = providers.iter().map(|_| None).collect();
    let mut open: FuturesUnordered<_> = providers
        .iter()
        .enumerate()
        .map(|(index, provider)| async move { (index, tip(provider, finality).await) })
        .collect();
    let mut said = Vec::new();
    let mut deadline = None;
    loop {
        let next = match deadline {
            None => open.next().await,
            Some(deadline) => timeout_at(deadline, open.next()).await.unwrap_or(None),
        };
        let Some((index, claim)) = next else {
            break;
        };
        if claim.is_ok() {
            said.push(index);
        }
        if deadline.is_none() && pool.rule().suffices(&said) {
            deadline = Some(Instant::now() + STRAGGLER_WAIT);
        }
        claims[index] = Some(claim);
    }
    for (provider, claim) in providers.iter().zip(&claims) {
        provider.polled(match claim {
            None => Err(Failure::Slow),
            Some(Err(failure)) => Err(failure.clone()),
            Some(Ok(_)) => Ok(()),
        });
    }
    claims
}

/// Who answered at all.
fn answered(claims: &[Claim]) -> Vec<usize> {
    let ok = |(index, claim): (usize, &Claim)| matches!(claim, Some(Ok(_))).then_some(index);
    claims.iter().enumerate().filter_map(ok).collect()
}

/// What those who answered said.
fn sayings(claims: &[Claim]) -> Vec<(usize, String)> {
    let saying = |(index, claim): (usize, &Claim)| match claim {
        Some(Ok(tip)) => Some((
            index,
            tip.map_or_else(|| "nothing is final".into(), Tip::show),
        )),
        _ => None,
    };
    claims.iter().enumerate().filter_map(saying).collect()
}

fn failures(claims: &[Claim]) -> Vec<(usize, Failure)> {
    let failure = |(index, claim): (usize, &Claim)| match claim {
        Some(Err(failure)) => Some((index, failure.clone())),
        _ => None,
    };
    claims.iter().enumerate().filter_map(failure).collect()
}

async fn tip(provider: &Provider, finality: Finality) -> Result<Option<Tip>, Failure> {
    let tag = match finality {
        Finality::Finalized => "finalized",
        Finality::Confirmations(0) => "latest",
        Finality::Confirmations(_) => {
            let height = finality.final_height(provider.height().await?);
            return Ok(height.map(|height| Tip {
                height,
                header: None,
            }));
        }
    };
    let header = provider.tagged(tag).await?;
    Ok(header.map(|header| Tip {
        height: header.number(),
        header: Some(header),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kth_highest_claim_counts() {
        let table: [(&[u64], usize, &[u64]); 10] = [
            (&[7], 1, &[7]),
            (&[], 1, &[]),
            (&[5, 9], 1, &[9, 5]),
            (&[5, 9], 2, &[5]),
            (&[9], 2, &[]),
            (&[100, 99, 98], 2, &[99, 98]),
            (&[100, 100, 98], 2, &[100, 98]),
            (&[u64::MAX, 99, 100], 2, &[100, 99]),
            (&[0, 99, 100], 2, &[99, 0]),
            (&[5, 5, 5, 5, 5], 3, &[5]),
        ];
        for (heights, required, expected) in table {
            let claims: Vec<Option<u64>> = heights.iter().copied().map(Some).collect();
            let runners: Vec<String> = (0..claims.len()).map(|n| n.to_string()).collect();
            let found = candidates(&claims, &Rule::new(required, 1, &runners));
            assert_eq!(found, expected, "{heights:?}, {required} required");
        }
    }

    #[test]
    fn one_runner_alone_moves_nothing() {
        let runners = ["acme", "acme", "own"].map(str::to_owned);
        let rule = Rule::new(2, 2, &runners);
        let table: [([Option<u64>; 3], &[u64]); 5] = [
            ([Some(9), Some(9), Some(5)], &[5]),
            ([Some(9), Some(9), None], &[]),
            ([Some(9), Some(4), Some(5)], &[5, 4]),
            ([Some(0), Some(0), Some(5)], &[0]),
            ([Some(9), None, Some(9)], &[9]),
        ];
        for (claims, expected) in table {
            assert_eq!(candidates(&claims, &rule), expected, "{claims:?}");
        }
    }
}
