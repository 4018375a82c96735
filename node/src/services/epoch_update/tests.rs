use std::sync::Arc;
use std::time::Duration;

use quorate_proto::{Address, Epoch, Operator, OperatorSet, U256};
use tokio::sync::watch;

use super::*;
use crate::home::EpochView;

fn set_of(epoch: u32) -> Arc<OperatorSet> {
    let member = Operator {
        address: Address::repeat_byte(1),
        signing_key: Address::repeat_byte(2),
        weight: U256::from(10),
    };
    let total = U256::from(10);
    let set = OperatorSet::new(Epoch(epoch), vec![member], total, FIXED_AT);
    Arc::new(set.expect("a set"))
}

/// When every set here was fixed.
const FIXED_AT: u64 = 1_700_000_000;

fn update(set_hash: B256) -> EpochUpdate {
    EpochUpdate {
        epoch: Epoch(1),
        next_epoch: Epoch(2),
        set_hash,
        time: FIXED_AT,
    }
}

async fn verdict_on(home: &HomeHandle, set_hash: B256) -> Verdict {
    set(home, &update(set_hash), true).await.0
}

#[tokio::test]
async fn an_epoch_update_is_compared_with_the_set_that_was_read() {
    let (_sender, view) = watch::channel(EpochView::of(vec![set_of(1), set_of(2)]));
    let home = HomeHandle::of(view);
    let agreed = verdict_on(&home, set_of(2).hash()).await;
    assert_eq!(agreed, Verdict::Agree);
    let differs = verdict_on(&home, B256::ZERO).await;
    assert!(matches!(
        differs,
        Verdict::Refuse(RefusalCode::ValueDiffers, _)
    ));
    for time in [0, FIXED_AT - 1, FIXED_AT + 1, u64::MAX] {
        let update = EpochUpdate {
            time,
            ..update(set_of(2).hash())
        };
        let verdict = set(&home, &update, true).await.0;
        let differs = RefusalCode::TimestampDiffers;
        assert!(matches!(verdict, Verdict::Refuse(code, _) if code == differs));
    }
}

/// It lacks a member that holds weight.
fn incomplete(epoch: u32) -> Arc<OperatorSet> {
    let members = set_of(epoch).members().to_vec();
    let total = U256::from(20);
    let set = OperatorSet::new(Epoch(epoch), members, total, FIXED_AT);
    Arc::new(set.expect("a set"))
}

#[tokio::test]
async fn nothing_is_said_by_a_set_that_lacks_members() {
    let (_sender, view) = watch::channel(EpochView::of(vec![set_of(1), incomplete(2)]));
    let home = HomeHandle::of(view);
    for hash in [incomplete(2).hash(), B256::ZERO] {
        let verdict = set(&home, &update(hash), false).await.0;
        assert!(matches!(verdict, Verdict::Refuse(RefusalCode::NotFinal, _)));
    }
}

#[tokio::test]
async fn a_set_that_is_a_moment_late_is_waited_for() {
    let (sender, view) = watch::channel(EpochView::of(vec![set_of(1)]));
    let home = HomeHandle::of(view);
    let unknown = verdict_on(&home, set_of(2).hash()).await;
    assert!(matches!(unknown, Verdict::Refuse(RefusalCode::NotFinal, _)));
    let later = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        sender.send_replace(EpochView::of(vec![set_of(1), set_of(2)]));
    };
    let (verdict, ()) = tokio::join!(verdict_on(&home, set_of(2).hash()), later);
    assert_eq!(verdict, Verdict::Agree);
}

#[tokio::test]
async fn who_may_not_wait_is_answered_at_once() {
    let (_sender, view) = watch::channel(EpochView::of(vec![set_of(1)]));
    let (verdict, trace) = set(&HomeHandle::of(view), &update(B256::ZERO), false).await;
    assert!(matches!(verdict, Verdict::Refuse(RefusalCode::NotFinal, _)));
    assert!(trace.micros < 1_000_000);
}
