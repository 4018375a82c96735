//! Which block a quorum of providers holds to be final.

use std::fmt::Debug;

use futures::future::BoxFuture;

use super::Pool;
use super::gather::Said;
use crate::providers::Provider;
use crate::rpc::ProviderError;
use crate::{BlockRef, ChainError, Finality};

/// A provider of a family that says which block is final, and describes blocks.
pub trait FinalHead: AsRef<Provider> + Sync {
    /// How the family describes a block. Equal descriptions are the same block.
    type Header: Copy + PartialEq + Debug + Send + Sync;

    /// The newest block that this provider holds to be final; `None` while there is none.
    fn final_claim(
        &self,
        finality: Finality,
    ) -> BoxFuture<'_, Result<Option<FinalClaim<Self::Header>>, ProviderError>>;

    /// The block at this height.
    fn describe(&self, height: u64) -> BoxFuture<'_, Result<Self::Header, ProviderError>>;

    /// The block that a description is of.
    fn block(header: &Self::Header) -> BlockRef;
}

/// The newest block that one provider holds to be final.
#[derive(Clone, Copy, Debug)]
pub struct FinalClaim<H> {
    /// Its height.
    pub height: u64,
    /// The block itself, where the provider sent it along.
    pub header: Option<H>,
}

/// What one provider said: nothing, that nothing is final, or its newest final block.
type Claim<H> = Said<Option<FinalClaim<H>>>;

impl<P: FinalHead> Pool<P> {
    /// The newest block that the required number of providers hold to be final and describe alike;
    /// `None` while nothing is final.
    ///
    /// A provider alone can neither pull this ahead nor hold it back: the height is the k-th highest
    /// claim. Where the providers differ on the block at that height, the next lower claim is tried.
    /// Only those have a say about a height that hold it to be final: another one may honestly be on a
    /// fork there, and would make a quorum with a liar that repeats it.
    ///
    /// # Errors
    /// Too few answer, or not alike.
    pub async fn final_head(&self, finality: Finality) -> Result<Option<P::Header>, ChainError> {
        let claims = self.claims(finality).await;
        if !self.rule().suffices(&answered(&claims)) {
            return Err(self.unanswered(statements::<P>(&claims), failures(&claims)));
        }
        let claims: Vec<Option<FinalClaim<P::Header>>> = claims
            .into_iter()
            .map(|claim| claim.and_then(Result::ok).flatten())
            .collect();
        let heights: Vec<Option<u64>> = claims.iter().map(|claim| Some((*claim)?.height)).collect();

        let mut problem = None;
        for height in self.rule().reached(&heights) {
            let question = |index: usize, provider| {
                let claim = claims.get(index).copied().flatten();
                described(claim, provider, height)
            };
            match self.ask(question).await {
                Ok(header) => return Ok(Some(header)),
                Err(none) => problem = problem.or(Some(none)),
            }
        }
        problem.map_or(Ok(None), |none| Err(none.into()))
    }

    /// One claim per provider, in their order.
    async fn claims(&self, finality: Finality) -> Vec<Claim<P::Header>> {
        let claims = self
            .hear(|_, provider| P::final_claim(provider, finality))
            .await;
        for (provider, claim) in self.neutral().zip(&claims) {
            provider.polled(match claim {
                None => Err(ProviderError::Slow),
                Some(Err(error)) => Err(error.clone()),
                Some(Ok(_)) => Ok(()),
            });
        }
        claims
    }
}

/// The block at `height`, as a provider has it that made this claim.
async fn described<P: FinalHead>(
    claim: Option<FinalClaim<P::Header>>,
    provider: &P,
    height: u64,
) -> Result<P::Header, ProviderError> {
    match claim {
        Some(claim) if claim.height > height => provider.describe(height).await,
        Some(claim) if claim.height == height => match claim.header {
            Some(header) => Ok(header),
            None => provider.describe(height).await,
        },
        _ => Err(ProviderError::Unknown(format!("block {height} as final"))),
    }
}

/// Who answered at all.
fn answered<H>(claims: &[Claim<H>]) -> Vec<usize> {
    let ok = |(index, claim): (usize, &Claim<H>)| matches!(claim, Some(Ok(_))).then_some(index);
    claims.iter().enumerate().filter_map(ok).collect()
}

/// What those who answered said, for people.
fn statements<P: FinalHead>(claims: &[Claim<P::Header>]) -> Vec<(usize, String)> {
    let statement = |(index, claim): (usize, &Claim<P::Header>)| {
        let Some(Ok(claim)) = claim else {
            return None;
        };
        let text = match claim {
            None => "nothing is final".to_owned(),
            Some(claim) => match &claim.header {
                Some(header) => format!("{} is final", P::block(header)),
                None => format!("block {} is final", claim.height),
            },
        };
        Some((index, text))
    };
    claims.iter().enumerate().filter_map(statement).collect()
}

fn failures<H>(claims: &[Claim<H>]) -> Vec<(usize, ProviderError)> {
    let failure = |(index, claim): (usize, &Claim<H>)| match claim {
        Some(Err(error)) => Some((index, error.clone())),
        _ => None,
    };
    claims.iter().enumerate().filter_map(failure).collect()
}

#[cfg(test)]
mod tests {
    use crate::quorum::QuorumRule;

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
            let found = QuorumRule::new(required, 1, &runners).reached(&claims);
            assert_eq!(found, expected, "{heights:?}, {required} required");
        }
    }

    #[test]
    fn one_runner_alone_moves_nothing() {
        let runners = ["acme", "acme", "own"].map(str::to_owned);
        let rule = QuorumRule::new(2, 2, &runners);
        let table: [([Option<u64>; 3], &[u64]); 5] = [
            ([Some(9), Some(9), Some(5)], &[5]),
            ([Some(9), Some(9), None], &[]),
            ([Some(9), Some(4), Some(5)], &[5, 4]),
            ([Some(0), Some(0), Some(5)], &[0]),
            ([Some(9), None, Some(9)], &[9]),
        ];
        for (claims, expected) in table {
            assert_eq!(rule.reached(&claims), expected, "{claims:?}");
        }
    }
}
