//! Whose turn it is, and what becomes of attempts that fail.

use super::*;

#[test]
fn attempts_are_made_after_0_30_60_120_and_300_seconds() {
    let mut shell = evm();
    shell.chain.kinds.insert(id(1), Kind::Reverts);
    shell.queue(delivery(1));
    for (failures, pause) in [(1, 30), (2, 60), (3, 120), (4, 300)] {
        assert_eq!(
            (shell.failures(1), shell.stage(1)),
            (failures, Some(Stage::Waiting))
        );
        shell.seconds(pause - 1);
        assert_eq!(shell.failures(1), failures);
        shell.seconds(1);
    }
    assert_eq!(shell.dead_as(1), Some(Class::Reverted));
    assert!(shell.store.is_empty());
    // Again, by its operator.
    shell.chain.kinds.clear();
    shell.queue(delivery(1));
    shell.finish(10);
    assert!(shell.done.contains(&id(1)));
}

#[test]
fn what_is_refused_for_good_is_a_dead_letter_at_once() {
    for class in [Class::Hopeless, Class::Gone] {
        let mut shell = evm();
        shell.tell(Input::Queue(delivery(1)));
        shell.perform(0, false);
        let input = match class {
            Class::Gone => Input::Judged(id(1), OnChain::Gone("stranded".to_owned())),
            _ => {
                shell.perform(0, false);
                Input::Estimated(id(1), Err(Reason::new(class, "0x12345678")))
            }
        };
        shell.tell(input);
        assert_eq!(shell.dead_as(1), Some(class));
    }
}

#[test]
fn providers_that_do_not_answer_make_no_dead_letter() {
    let mut shell = evm();
    shell.tell(Input::Queue(delivery(1)));
    shell.perform(0, false);
    let mut asked = 0;
    while shell.now < at(3_600_000) {
        asked += usize::from(shell.effects.contains(&Output::AskRecord(id(1))));
        shell.effects.clear();
        shell.now = shell.machine.next_wake().unwrap().max(shell.now);
        shell.tell(Input::Wake);
    }
    assert!((10..20).contains(&asked), "{asked}: pauses grow to 300 s");
    assert_eq!(shell.failures(1), 0);
    shell.settle();
    shell.finish(50);
    assert!(shell.done.contains(&id(1)));
}

#[test]
fn a_sender_that_the_contract_refuses_stops_its_route_only() {
    let mut shell = evm();
    let other = Route(B256::repeat_byte(9));
    shell.tell(Input::Queue(delivery(1)));
    shell.perform(0, false);
    shell.perform(0, false);
    let refused = Reason::new(Class::Misconfigured, "0x82b42900");
    shell.tell(Input::Estimated(id(1), Err(refused.clone())));
    shell.effects.clear();
    shell.queue(delivery(2));
    shell.queue(Delivery {
        route: other,
        ..delivery(3)
    });
    assert_eq!(shell.stage(1), Some(Stage::Waiting));
    assert_eq!(shell.stage(2), Some(Stage::Waiting));
    assert_eq!(shell.stage(3), Some(Stage::Sent(0)));
    shell.crash();
    shell.blocks(10);
    assert!(shell.done.contains(&id(3)));
    assert_eq!(shell.stage(1), Some(Stage::Waiting), "also after a restart");
    shell.tell(Input::Resume(LANE, Some(ROUTE)));
    shell.finish(10);
    assert_eq!(shell.done.len(), 3);
}

#[test]
fn who_has_too_little_is_told_once_and_goes_on_with_what_fits() {
    let mut shell = evm();
    shell.chain.balance = 300_000 * 21;
    shell.queue(delivery(1));
    shell.queue(delivery(2));
    shell.queue(delivery(3));
    assert_eq!(shell.stage(1), Some(Stage::Sent(0)));
    let starved = |alert: &Alert| matches!(alert, Alert::Starved { .. });
    assert_eq!(
        shell.alerts.iter().filter(|alert| starved(alert)).count(),
        1
    );
    shell.chain.balance = u128::from(u64::MAX);
    shell.finish(20);
    assert_eq!(shell.done.len(), 3);
}

#[test]
fn a_full_queue_refuses_and_says_so() {
    let mut shell = Shell::new(LanePolicy {
        queued: 3,
        ..POLICY
    });
    for number in 1..=3 {
        shell.queue(delivery(number));
    }
    let again = shell.machine.handle(at(0), Input::Queue(delivery(3)));
    assert_eq!(again, Err(Refused::Known(id(3))));
    let full = shell.machine.handle(at(0), Input::Queue(delivery(4)));
    let refused = Refused::Full {
        lane: LANE,
        most: 3,
    };
    assert_eq!(full, Err(refused));
    assert!(refused.is_retryable());
    shell.finish(10);
    shell.queue(delivery(4));
    let elsewhere = LaneId { chain: 11, ..LANE };
    let lost = Delivery {
        lane: elsewhere,
        ..delivery(5)
    };
    let refused = shell.machine.handle(at(0), Input::Queue(lost));
    assert_eq!(refused, Err(Refused::UnknownLane(elsewhere)));
    let refused = shell.machine.handle(at(0), Input::Retry(id(9)));
    assert_eq!(refused, Err(Refused::UnknownDelivery(id(9))));
}

#[test]
fn an_epoch_update_goes_ahead_of_what_needs_it() {
    let needing = |number| Delivery {
        needs: Some(id(9)),
        ..delivery(number)
    };
    let update = Delivery {
        priority: 1,
        ..delivery(9)
    };
    let mut shell = evm();
    shell.queue(update);
    shell.queue(needing(1));
    assert_eq!(shell.stage(1), Some(Stage::Waiting));
    shell.crash();
    shell.blocks(CONFIRMATIONS);
    assert!(!shell.done.contains(&id(9)));
    assert_eq!(shell.stage(1), Some(Stage::Waiting));
    shell.finish(20);
    assert_eq!(shell.done.len(), 2);
    // One that is not under way is not waited for, and one that fails is not waited for any more.
    let mut shell = evm();
    shell.queue(needing(1));
    assert_eq!(shell.stage(1), Some(Stage::Sent(0)));
    shell.chain.kinds.insert(id(9), Kind::Hopeless);
    shell.tell(Input::Queue(update));
    shell.tell(Input::Queue(needing(2)));
    shell.settle();
    assert_eq!(shell.dead_as(9), Some(Class::Hopeless));
    assert_eq!(shell.stage(2), Some(Stage::Sent(1)));
}

#[test]
fn higher_ones_go_first_and_then_who_came_first() {
    let mut shell = Shell::new(LanePolicy {
        in_flight: 1,
        ..POLICY
    });
    for (number, priority) in [(1, 0), (2, 0), (3, 5), (4, 0), (5, 9)] {
        shell.tell(Input::Queue(Delivery {
            priority,
            ..delivery(number)
        }));
    }
    shell.finish(100);
    let executed = shell.chain.blocks.iter().flatten();
    let order: Vec<u8> = executed.map(|e| number(e.tx.delivery.unwrap())).collect();
    assert_eq!(order, [5, 3, 1, 2, 4]);
}

#[test]
fn nothing_is_looked_up_before_its_stage_and_what_others_did_is_done() {
    let mut shell = evm();
    let late = Delivery {
        not_before: at(60_000),
        ..delivery(1)
    };
    shell.queue(late);
    shell.seconds(59);
    assert_eq!((shell.stage(1), shell.sends), (Some(Stage::Waiting), 0));
    // Another relayer's transaction, which this one sees in a block.
    shell.tell(Input::Judged(id(1), OnChain::Done { confirmed: false }));
    assert_eq!(shell.stage(1), Some(Stage::Settling));
    shell.tell(Input::Judged(id(1), OnChain::Open));
    shell.seconds(12);
    assert_eq!(shell.stage(1), Some(Stage::Sent(0)), "a reorg undid it");
}

#[test]
fn after_its_deadline_nothing_is_sent() {
    let mut shell = evm();
    shell.chain.kinds.insert(id(1), Kind::Reverts);
    let urgent = Delivery {
        deadline: Some(at(100_000)),
        ..delivery(1)
    };
    shell.queue(urgent);
    shell.seconds(200);
    assert_eq!(shell.dead_as(1), Some(Class::Expired));
    shell.queue(urgent);
    assert_eq!((shell.dead_as(1), shell.sends), (Some(Class::Expired), 0));
}

#[test]
fn an_operator_pauses_a_lane_and_withdraws_what_waits() {
    let mut shell = evm();
    shell.queue(delivery(1));
    shell.tell(Input::Pause(LANE, None));
    shell.queue(delivery(2));
    shell.queue(delivery(3));
    shell.blocks(10);
    assert!(
        shell.done.contains(&id(1)),
        "what was sent is brought to its end"
    );
    assert_eq!(shell.stage(2), Some(Stage::Waiting));
    shell.tell(Input::Withdraw(id(2)));
    assert_eq!(shell.dead_as(2), Some(Class::Withdrawn));
    shell.tell(Input::Resume(LANE, None));
    shell.finish(10);
    assert!(shell.done.contains(&id(3)));
}

#[test]
fn retry_takes_the_pause_away() {
    let mut shell = evm();
    shell.chain.kinds.insert(id(1), Kind::Reverts);
    shell.queue(delivery(1));
    shell.seconds(31);
    assert_eq!(shell.failures(1), 2);
    shell.chain.kinds.clear();
    shell.tell(Input::Retry(id(1)));
    shell.settle();
    assert_eq!(
        (shell.failures(1), shell.stage(1)),
        (0, Some(Stage::Sent(0)))
    );
}

#[test]
fn bad_ones_hold_nobody_up_for_long() {
    let kinds = [
        Kind::Reverts,
        Kind::RevertsLate,
        Kind::Hungry,
        Kind::Hopeless,
        Kind::Rejected,
    ];
    let mut shell = evm();
    shell.providers = vec![Provider::Honest, Provider::Drops];
    for number in 1..=25 {
        let kind = kinds[usize::from(number) % kinds.len()];
        shell.chain.kinds.insert(id(number), kind);
        shell.tell(Input::Queue(delivery(number)));
    }
    shell.tell(Input::Queue(delivery(100)));
    let began = shell.now;
    let mut blocks = 0;
    while !shell.done.contains(&id(100)) {
        assert!(blocks < 1_000, "never");
        shell.blocks(1);
        blocks += 1;
    }
    // Five are taken and dropped by turns; each leads for 300 s and 36 s more, before its nonce is cancelled.
    let took = shell.now.micros_since(began) / 1_000;
    assert!(took <= 5 * (STUCK_MS + 60_000), "{took} ms");
}
