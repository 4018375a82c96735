use futures::future::BoxFuture;
use quorate_chain::{At, BlockRef, ChainError, ReadLog, Reading};
use quorate_proto::{B256, U256};

use super::*;

/// A chain that heard of this head, this long ago.
struct Heard(Option<BlockRef>, Option<Duration>);

impl StateReader for Heard {
    fn chain_id(&self) -> u64 {
        5
    }

    fn final_head(&self) -> Option<BlockRef> {
        self.0
    }

    fn agreed_ago(&self) -> Option<Duration> {
        self.1
    }

    fn locate(&self, _at: At) -> BoxFuture<'_, Result<BlockRef, ChainError>> {
        Box::pin(std::future::pending())
    }

    fn read<'a>(
        &'a self,
        _: Address,
        _: U256,
        _: u64,
        _: &'a ReadLog,
    ) -> BoxFuture<'a, Result<Reading, ChainError>> {
        Box::pin(std::future::pending())
    }
}

#[test]
fn a_chain_without_agreement_is_a_problem() {
    let head = BlockRef {
        number: 1,
        hash: B256::ZERO,
        timestamp: 1,
    };
    let problem = |head, ago| chain_problem(5, &Heard(head, ago));
    assert_eq!(problem(Some(head), Some(STALLED)), None);
    let silent = problem(Some(head), Some(STALLED + Duration::from_secs(7))).unwrap();
    assert!(
        silent.contains("chain 5") && silent.contains("37 s"),
        "{silent}"
    );
    let none = problem(None, None).unwrap();
    assert!(none.contains("no final block"), "{none}");
}
