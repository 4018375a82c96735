use super::*;
use crate::services::bridge::fixtures::{ME, NOW, TARGET, scene};

#[tokio::test]
async fn a_vote_is_announced_at_once_and_ends_when_its_number_is_used_up() {
    let mut scene = scene();
    let mut voter = Voter::new(scene.starter.clone(), scene.bridge.clone());
    assert!(!voter.look().await.unwrap());
    let vote = scene.bridge.vote(ME, TARGET, true).await.unwrap();
    assert!(voter.look().await.unwrap());
    let announced = BridgePause { epoch: NOW, ..vote };
    assert_eq!(scene.driver.asked(), [announced.into()]);
    voter.look().await.unwrap();
    assert_eq!(scene.driver.asked(), [], "not its turn");
    // What is not final does not count.
    scene.target.count(1);
    voter.look().await.unwrap();
    assert_eq!(scene.bridge.votes.all().unwrap(), [vote]);
    scene.target.set_head(2);
    voter.look().await.unwrap();
    assert_eq!(scene.bridge.votes.all().unwrap(), []);
    assert!(!voter.look().await.unwrap());
}

#[tokio::test]
async fn a_vote_on_a_number_that_is_not_next_waits() {
    let mut scene = scene();
    scene.target.count(4);
    let vote = scene.bridge.vote(ME, TARGET, false).await.unwrap();
    // Final blocks have left the chain.
    scene.target.count(3);
    let mut voter = Voter::new(scene.starter.clone(), scene.bridge.clone());
    voter.look().await.unwrap();
    assert_eq!(scene.driver.asked(), []);
    assert_eq!(scene.bridge.votes.all().unwrap(), [vote]);
}
