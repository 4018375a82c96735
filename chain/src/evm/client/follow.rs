//! Following the chain: new heads, and final blocks that leave it.

use alloy::primitives::B256;

use super::super::calls::Header;
use super::super::provider::EvmProvider;
use super::EvmClient;
use crate::{BlockRef, ChainError};

impl EvmClient {
    /// Looks for a newer final head, together with others who do.
    pub(super) async fn poll(&self) -> Result<(), ChainError> {
        self.polls.poll(self.look()).await
    }

    async fn look(&self) -> Result<(), ChainError> {
        if let Some(new) = self.pool.final_head(self.finality).await? {
            self.follow(new).await?;
        }
        Ok(())
    }

    async fn follow(&self, new: Header) -> Result<(), ChainError> {
        let Some(old) = self.final_head() else {
            self.advance(&new);
            return Ok(());
        };
        if let Some(other) = self.replaced(old, &new).await? {
            self.violated(old, other, &new);
        } else if new.number() > old.number {
            self.advance(&new);
        }
        Ok(())
    }

    /// What is in the chain in place of `old`, if it is no longer there.
    async fn replaced(&self, old: BlockRef, new: &Header) -> Result<Option<B256>, ChainError> {
        if old.number.checked_add(1) == Some(new.number()) && new.parent_hash() == old.hash {
            return Ok(None);
        }
        let now = match new.number() {
            height if height == old.number => Ok(*new),
            height if height > old.number => {
                let question =
                    |_, provider| EvmProvider::header_below(provider, old.number, new.block());
                self.pool.ask(question).await
            }
            _ => {
                let question = |_, provider| EvmProvider::header(provider, old.number);
                self.pool.ask(question).await
            }
        };
        match now {
            Ok(now) => Ok(Some(now.hash()).filter(|hash| *hash != old.hash)),
            // Providers that lag behind cannot know; there is no newer head to take over either.
            Err(_) if new.number() < old.number => Ok(None),
            Err(none) => Err(none.into()),
        }
    }

    fn advance(&self, head: &Header) {
        let mut headers = self.headers();
        let generation = headers.generation();
        headers.insert(generation, head.into());
        self.head.send_replace(Some(head.block()));
    }

    fn violated(&self, old: BlockRef, other: B256, new: &Header) {
        let mut headers = self.headers();
        headers.clear();
        tracing::error!(
            chain = self.chain_id, was = %old, is = %other, violations = headers.generation(),
            "a final block left the chain: the finality rule is too weak, or the providers lie"
        );
        let generation = headers.generation();
        headers.insert(generation, new.into());
        self.head.send_replace(Some(new.block()));
    }
}
