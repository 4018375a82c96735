//! What blocks commit to, shown by any one provider.

use super::super::headers::KnownBlock;
use super::super::proof::BlockRoots;
use super::super::proof_batcher::PROOF_METHOD;
use super::super::provider::EvmProvider;
use super::{EvmClient, HeadSnapshot};
use crate::evm::Reads;
use crate::rpc::ProviderError;
use crate::{BlockRef, ChainError, QueryKind, ReadLog};

impl EvmClient {
    /// The block at this height, which must not be above the head of `snapshot`, and what it commits to: however
    /// values of this chain are read.
    pub(in crate::evm) async fn proven(
        &self,
        snapshot: HeadSnapshot,
        number: u64,
        log: &ReadLog,
    ) -> Result<(BlockRef, BlockRoots), ChainError> {
        let agreed = self.agreed(snapshot, number, log).await?;
        if let Some(roots) = agreed.roots {
            return Ok((agreed.block, roots));
        }
        let shown = self.roots(agreed.block, log).await;
        let roots = shown.map_err(|failures| self.not_proven(&failures))?;
        let known = KnownBlock {
            roots: Some(roots),
            ..agreed
        };
        self.headers().insert(snapshot.generation, known);
        Ok((agreed.block, roots))
    }

    async fn roots(
        &self,
        block: BlockRef,
        log: &ReadLog,
    ) -> Result<BlockRoots, Vec<(usize, ProviderError)>> {
        let BlockRef { number, hash, .. } = block;
        let question = |provider| EvmProvider::roots(provider, number, hash);
        self.pool.first(log, QueryKind::Header, question).await
    }

    /// Adds the roots of a block on whose hash a quorum agrees, which any provider may show.
    /// Without where the chain is read by vote, and of a block below a head that is proven where each
    /// provider showed it by fields that do not have its hash: headers had another format then.
    pub(super) async fn prove(
        &self,
        snapshot: HeadSnapshot,
        agreed: KnownBlock,
        log: &ReadLog,
    ) -> Result<KnownBlock, ChainError> {
        let none_shows = || {
            let mut providers = self.pool.neutral();
            self.may_vote() && providers.all(|provider| provider.proofs().has_no_headers())
        };
        if agreed.roots.is_some() || self.settings.reads == Reads::Vote || none_shows() {
            return Ok(agreed);
        }
        let number = agreed.block.number;
        let failures = match self.roots(agreed.block, log).await {
            Ok(roots) => {
                return Ok(KnownBlock {
                    roots: Some(roots),
                    ..agreed
                });
            }
            Err(failures) => failures,
        };
        let head = self.headers().get(snapshot.head.number);
        let is_old = number < snapshot.head.number && head.is_some_and(|head| head.roots.is_some());
        let of_old_format = is_old
            && self
                .pool
                .all_failed(&failures, |error| *error == ProviderError::NoHeader);
        let is_unprovable = of_old_format && self.settings.reads == Reads::Auto;
        match none_shows() || is_unprovable {
            true => Ok(KnownBlock {
                is_unprovable,
                ..agreed
            }),
            false => Err(self.not_proven(&failures)),
        }
    }

    pub(in crate::evm) fn not_proven(&self, failures: &[(usize, ProviderError)]) -> ChainError {
        let none = |way| self.pool.all_failed(failures, |error| *error == way);
        ChainError::NotProven {
            chain_id: self.chain_id,
            detail: self.pool.describe(failures),
            have_none: none(ProviderError::NoProofs(PROOF_METHOD)) || none(ProviderError::NoHeader),
        }
    }
}
