use std::sync::Arc;

use tokio::sync::watch;

use super::super::*;
use crate::home::{EpochView, HomeHandle};
use crate::services::bridge::doubles::{ListedSource, scene, seen, text, transfer};

async fn verdict(kept: &[u64], told: &Transfer) -> (Verdict, ReadTrace) {
    let scene = scene(ListedSource::new(9, &[]));
    let kept: Vec<_> = kept.iter().map(|nonce| seen(*nonce, *nonce)).collect();
    scene
        .bridge
        .transfers
        .record((&kept, &[]), None)
        .await
        .unwrap();
    let (_sender, view) = watch::channel(EpochView::default());
    let observer = Observer::new(Arc::default(), HomeHandle::of(view), scene.bridge.clone());
    observer.transfer(told).await
}

fn refusal(verdict: &Verdict) -> Option<RefusalCode> {
    match verdict {
        Verdict::Agree => None,
        Verdict::Refuse(code, _) => Some(*code),
    }
}

#[tokio::test]
async fn what_was_seen_alike_is_agreed_to_in_any_epoch() {
    let told = Transfer {
        epoch: quorate_proto::Epoch(7),
        ..transfer(2)
    };
    let (verdict, trace) = verdict(&[1, 2], &told).await;
    assert_eq!(verdict, Verdict::Agree);
    assert_eq!(trace.basis, ReadBasis::Proof);
    // A chain in here would count as one whose state is proven.
    assert_eq!(trace.chain, ReadTrace::default().chain);
}

#[tokio::test]
async fn another_amount_under_that_number_is_refused() {
    let told = Transfer {
        amount: quorate_proto::U256::from(1),
        ..transfer(2)
    };
    let (verdict, trace) = verdict(&[2], &told).await;
    assert_eq!(refusal(&verdict), Some(RefusalCode::ValueDiffers));
    assert_eq!(trace.basis, ReadBasis::Unspecified);
}

#[tokio::test]
async fn what_was_not_seen_is_not_final_where_too_many_wait_for_it() {
    let scene = scene(ListedSource::new(9, &[]));
    let verdict = super::super::seen(&scene.bridge, &transfer(2), false).await;
    assert_eq!(refusal(&verdict), Some(RefusalCode::NotFinal));
}

#[tokio::test]
async fn what_is_seen_a_moment_later_is_agreed_to() {
    let scene = scene(ListedSource::new(9, &[]));
    let told = transfer(2);
    let (kept, transfers) = ([seen(2, 2)], scene.bridge.transfers.clone());
    let keep = transfers.record((&kept, &[]), None);
    let (verdict, kept) = tokio::join!(super::super::seen(&scene.bridge, &told, true), keep);
    assert_eq!((verdict, kept.unwrap()), (Verdict::Agree, 1));
}

#[tokio::test]
async fn a_route_that_is_not_served_is_unsupported() {
    let mut told = transfer(1);
    told.route.target_chain = text().route.target_chain + 1;
    let (verdict, _) = verdict(&[1], &told).await;
    assert_eq!(refusal(&verdict), Some(RefusalCode::ChainUnsupported));
}
