//! Each nonce that is reserved is mined or closed, whatever happens to it.

use super::*;

fn contents(shell: &Shell) -> Vec<Option<u8>> {
    let executed = shell.chain.blocks.iter().flatten();
    executed.map(|e| e.tx.delivery.map(number)).collect()
}

#[test]
fn what_a_provider_drops_is_sent_by_the_next_one() {
    let mut shell = evm();
    shell.providers = vec![Provider::Drops, Provider::Drops, Provider::Honest];
    shell.queue(delivery(1));
    assert_eq!(shell.sends, 1);
    shell.seconds(30);
    assert_eq!(shell.sends, 3);
    shell.finish(10);
    assert_eq!(contents(&shell), [Some(1)]);
}

#[test]
fn what_a_provider_says_is_a_hint() {
    let classes = [
        Class::NonceUsed,
        Class::Funds,
        Class::Taken,
        Class::Hopeless,
        Class::Underpriced,
        Class::Misconfigured,
        Class::Unreachable,
    ];
    for class in classes {
        for takes in [false, true] {
            let mut shell = evm();
            shell.providers = vec![Provider::Says(class, takes), Provider::Honest];
            shell.queue(delivery(1));
            shell.finish(30);
            assert!(shell.done.contains(&id(1)), "{class:?}");
            let paid: Vec<_> = contents(&shell).into_iter().flatten().collect();
            assert_eq!(paid, [1], "{class:?}");
        }
    }
}

#[test]
fn what_no_provider_takes_gives_its_nonce_back_and_holds_nobody_up() {
    let mut shell = evm();
    shell.chain.kinds.insert(id(1), Kind::Rejected);
    for number in 1..=3 {
        shell.tell(Input::Queue(delivery(number)));
    }
    shell.settle();
    assert_eq!(shell.stage(3), Some(Stage::Sent(2)));
    shell.seconds(7);
    assert!(shell.nonce(0).unwrap().cancel.is_some());
    shell.blocks(1);
    assert_eq!(contents(&shell), [None, Some(2), Some(3)]);
    shell.finish(200);
    assert_eq!(shell.dead_as(1), Some(Class::Rejected));
    assert_eq!(
        contents(&shell).iter().filter(|who| who.is_none()).count(),
        5
    );
}

#[test]
fn what_is_undone_by_a_reorg_is_sent_again() {
    for lost in [false, true] {
        let mut shell = evm();
        shell.queue(delivery(1));
        shell.blocks(2);
        assert_eq!(contents(&shell), [Some(1)]);
        shell.chain.reorg(2, lost);
        assert_eq!(contents(&shell), []);
        let sends = shell.sends;
        shell.blocks(1);
        assert_eq!(shell.sends > sends, lost, "the same again");
        shell.finish(10);
        assert_eq!(contents(&shell), [Some(1)]);
    }
}

#[test]
fn who_else_uses_the_key_takes_a_nonce_and_no_delivery() {
    let mut shell = evm();
    shell.queue(delivery(1));
    shell.queue(delivery(2));
    shell.chain.use_key();
    shell.blocks(1);
    assert_eq!(contents(&shell), [None, Some(2)]);
    shell.finish(20);
    assert_eq!(contents(&shell), [None, Some(2), Some(1)]);
    assert_eq!(shell.dead.len(), 0);
}

#[test]
fn a_gap_that_a_reorg_leaves_is_closed() {
    let mut shell = evm();
    shell.chain.use_key();
    shell.chain.use_key();
    shell.queue(delivery(1));
    assert_eq!(shell.stage(1), Some(Stage::Sent(2)));
    shell.chain.reorg(2, true);
    shell.blocks(4);
    assert_eq!(contents(&shell), [], "perhaps they are mined again");
    shell.finish(20);
    assert_eq!(contents(&shell), [None, None, Some(1)]);
}

#[test]
fn what_another_relayer_did_meanwhile_is_cancelled_rather_than_paid_more_for() {
    let mut shell = evm();
    shell.queue(delivery(1));
    shell.chain.base_fee = 100;
    shell.blocks(2);
    shell.effects.clear();
    shell.now = shell.now.plus_millis(12_000);
    shell.chain.blocks.push(vec![]);
    shell.tell(Input::Viewed(LANE, shell.chain.view()));
    assert_eq!(names(&shell.effects).last().unwrap(), "ask 1");
    shell.effects.clear();
    shell.tell(Input::Judged(id(1), OnChain::Done { confirmed: false }));
    let cancel = shell.nonce(0).unwrap().cancel.clone().unwrap();
    assert_eq!((cancel.0, cancel.1.class), (1, Class::Taken));
    assert_eq!(names(&shell.effects)[0], "send nothing as 0/1 round 0");
}

#[test]
fn no_more_than_so_many_are_in_flight() {
    let mut shell = evm();
    for number in 1..=40 {
        shell.tell(Input::Queue(delivery(number)));
    }
    shell.settle();
    assert_eq!(shell.machine.reserved(LANE), MAX_IN_FLIGHT);
    shell.finish(100);
    assert_eq!(shell.done.len(), 40);
}

#[test]
fn withdrawn_in_flight_it_ends_when_its_nonce_is_closed() {
    let mut shell = evm();
    shell.queue(delivery(1));
    shell.tell(Input::Withdraw(id(1)));
    shell.crash();
    assert_eq!(shell.dead_as(1), None);
    shell.finish(10);
    assert_eq!(contents(&shell), [None]);
    assert_eq!(shell.dead_as(1), Some(Class::Withdrawn));
}

#[test]
fn withdrawn_and_undone_on_the_chain_it_is_not_tried_again() {
    let mut shell = evm();
    shell.chain.kinds.insert(id(1), Kind::RevertsLate);
    shell.queue(delivery(1));
    // Mined before the cancelling transaction, and before the relayer sees it.
    shell.chain.mine();
    shell.tell(Input::Withdraw(id(1)));
    shell.finish(10);
    assert_eq!(contents(&shell), [Some(1)]);
    assert_eq!(shell.dead_as(1), Some(Class::Withdrawn));
}

#[test]
fn what_was_read_long_ago_is_read_again_before_it_is_sent() {
    let mut shell = Shell::new(LanePolicy {
        in_flight: 1,
        ..POLICY
    });
    shell.queue(delivery(1));
    shell.queue(delivery(2));
    assert_eq!(shell.stage(2), Some(Stage::Preparing));
    shell.seconds(FRESH_MS / 1_000 + 1);
    shell.chain.mine();
    shell.tell(Input::Viewed(LANE, shell.chain.view()));
    shell.tell(Input::Wake);
    assert!(shell.effects.contains(&Output::AskRecord(id(2))));
    assert_eq!(shell.machine.reserved(LANE), 1);
    shell.finish(10);
    assert_eq!(contents(&shell), [Some(1), Some(2)]);
}

#[test]
fn with_lifetimes_the_same_is_sent_every_2_seconds_until_it_lapses() {
    let mut shell = svm();
    shell.providers = vec![Provider::Drops];
    shell.queue(delivery(1));
    let Some(Stage::Sent(serial)) = shell.stage(1) else {
        panic!("{:?}", shell.stage(1));
    };
    shell.seconds(20);
    assert_eq!(shell.sends, 11);
    // It lives for 10 heights, and 3 more confirm that it is over.
    for block in 1..=13 {
        shell.chain.mine();
        shell.tell(Input::Viewed(LANE, shell.chain.view()));
        shell.seconds(2);
        assert_eq!(shell.sends, 11 + block);
        assert_eq!(shell.nonce(serial).map(|record| record.attempt), Some(0));
    }
    shell.chain.mine();
    shell.tell(Input::Viewed(LANE, shell.chain.view()));
    shell.now = shell.now.plus_millis(2_000);
    shell.tell(Input::Wake);
    let receipt = format!("receipt {serial}");
    assert_eq!(names(&shell.effects), [receipt], "its life is over");
    shell.settle();
    assert_eq!(shell.failures(1), 1);
    shell.providers = vec![Provider::Honest];
    shell.finish(20);
    assert_eq!(contents(&shell), [Some(1)]);
}
