//! Looking after the providers: whether they serve what is needed of them.

use futures::future::join_all;

use super::EvmClient;
use crate::BlockRef;

impl EvmClient {
    /// Checks all providers once, at the same time; those that serve the chain also for what is needed of them.
    pub(super) async fn check(&self, probes: bool) {
        let head = self.final_head();
        self.pool.check(head, &self.heights).await;
        if let Some(head) = head.filter(|_| probes) {
            self.probe(head).await;
        }
    }

    async fn probe(&self, head: BlockRef) {
        let known = self.headers().get(head.number);
        let root = known.filter(|known| known.block == head);
        let root = root.and_then(|known| Some(known.roots?.state));
        for need in self.needs() {
            let usable = self.pool.providers().iter();
            let usable = usable.filter(|provider| provider.as_ref().is_verified());
            join_all(usable.map(|provider| provider.probe(need, head, root))).await;
        }
    }
}
