use std::sync::Arc;

use quorate_proto::{Address, Epoch, Operator, OperatorSet, U256, threshold_of};
use tokio::sync::watch;

use super::*;
use crate::home::EpochView;

fn set(epoch: u32) -> Arc<OperatorSet> {
    let member = Operator {
        address: Address::repeat_byte(1),
        signing_key: Address::repeat_byte(2),
        ed25519_key: None,
        weight: U256::from(10),
    };
    let total = U256::from(10);
    let set = OperatorSet::new(Epoch(epoch), vec![member], total, threshold_of(total));
    Arc::new(set.expect("a set"))
}

fn update(set_hash: B256) -> EpochUpdate {
    EpochUpdate {
        epoch: Epoch(1),
        next_epoch: Epoch(2),
        set_hash,
    }
}

#[tokio::test]
async fn an_epoch_update_is_compared_with_the_set_that_was_read() {
    let (_sender, view) = watch::channel(EpochView::of(vec![set(1), set(2)]));
    let home = HomeHandle::of(view);
    let agreed = observe_set(&home, &update(set(2).hash())).await;
    assert_eq!(agreed, Verdict::Agree);
    let differs = observe_set(&home, &update(B256::ZERO)).await;
    assert!(matches!(
        differs,
        Verdict::Refuse(RefusalCode::ValueDiffers, _)
    ));
}

#[tokio::test]
async fn a_set_that_is_a_moment_late_is_waited_for() {
    let (sender, view) = watch::channel(EpochView::of(vec![set(1)]));
    let home = HomeHandle::of(view);
    let unknown = observe_set(&home, &update(set(2).hash())).await;
    assert!(matches!(unknown, Verdict::Refuse(RefusalCode::NotFinal, _)));
    let later = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        sender.send_replace(EpochView::of(vec![set(1), set(2)]));
    };
    let wanted = update(set(2).hash());
    let (verdict, ()) = tokio::join!(observe_set(&home, &wanted), later);
    assert_eq!(verdict, Verdict::Agree);
}
