//! What is paid, and what not.

use super::*;

#[test]
fn an_estimate_that_runs_out_of_gas_gets_more_up_to_a_bound() {
    let mut machine = Dispatcher::restore([(LANE, POLICY)], []).unwrap();
    let mut tell = |input| names(&machine.handle(at(0), input).unwrap());
    tell(Input::Queue(delivery(1)));
    let view = View {
        balance: u128::MAX,
        ..View::default()
    };
    tell(Input::Viewed(LANE, view));
    let low = || Input::Estimated(id(1), Err(Reason::new(Class::GasTooLow, "")));
    let open = Input::Judged(id(1), OnChain::Open);
    assert_eq!(tell(open), ["estimate 1 with 1000000"]);
    assert_eq!(tell(low()), ["estimate 1 with 2000000"]);
    assert_eq!(tell(low()), ["keep 1"], "an attempt has failed");
}

#[test]
fn what_takes_more_gas_than_is_allowed_is_a_dead_letter() {
    let mut shell = evm();
    shell.tell(Input::Queue(delivery(1)));
    shell.perform(0, false);
    shell.perform(0, false);
    shell.tell(Input::Estimated(id(1), Ok(2_000_001)));
    assert_eq!(shell.dead_as(1), Some(Class::GasTooLow));
    assert!(shell.dead[&id(1)].to_string().contains("2000001"));
}

#[test]
fn what_ran_out_of_gas_on_the_chain_gets_twice_as_much() {
    let mut shell = evm();
    shell.chain.kinds.insert(id(1), Kind::Hungry);
    shell.queue(delivery(1));
    shell.finish(100);
    let gas = shell.chain.blocks.iter().flatten().map(|e| e.tx.gas);
    assert_eq!(gas.collect::<Vec<_>>(), [300_000, 600_000, 1_200_000]);
    assert!(shell.done.contains(&id(1)));
}

#[test]
fn replacements_pay_an_eighth_more_and_what_blocks_take() {
    // before, base fee, tip, ceiling, after
    let cases = [
        ((80, 8), 10, 1, 900, Some((90, 9))),
        ((81, 9), 10, 1, 900, Some((92, 11))),
        ((80, 8), 200, 3, 900, Some((409, 9))),
        ((80, 8), 200, 3, 300, Some((300, 9))),
        ((80, 8), 10, 1, 89, None),
        ((0, 0), 0, 0, 900, Some((1, 1))),
        ((80, 8), 10, 50, 900, Some((90, 50))),
        ((u128::MAX, 8), 10, 1, u128::MAX, Some((u128::MAX, 9))),
    ];
    let fees = |(max_fee, tip)| Fees { max_fee, tip };
    for (before, base, tip, ceiling, after) in cases {
        let replaced = fees(before).replaced(base, tip, ceiling);
        assert_eq!(replaced, after.map(fees), "{before:?} at {base} and {tip}");
    }
}

#[test]
fn a_spike_is_followed_within_the_budget_only() {
    let mut shell = evm();
    shell.queue(Delivery {
        budget: 300_000 * 100,
        ..delivery(1)
    });
    shell.chain.base_fee = 60;
    let mut paid = Vec::new();
    for _ in 0..15 {
        let record = shell.nonce(0).expect("in flight");
        paid.push((record.fees.max_fee, record.cancel.is_some()));
        shell.chain.blocks.push(Vec::new());
        shell.tell(Input::Viewed(LANE, shell.chain.view()));
        shell.seconds(12);
    }
    paid.dedup();
    assert_eq!(
        paid,
        [(21, false), (100, false)],
        "21 at first, 100 at most"
    );
    shell.finish(10);
    assert!(shell.done.contains(&id(1)));
}

#[test]
fn above_the_budget_it_waits_and_others_go_on() {
    let mut shell = evm();
    shell.queue(Delivery {
        budget: 300_000 * 30,
        ..delivery(1)
    });
    shell.chain.base_fee = 60;
    shell.queue(delivery(2));
    shell.queue(delivery(3));
    let mut blocks = 0;
    while shell.done.len() < 2 {
        shell.blocks(1);
        blocks += 1;
        assert!(blocks < 60, "held up");
    }
    assert_eq!(shell.stage(1), Some(Stage::Waiting));
    assert_eq!(shell.failures(1), 0, "fees are not its fault");
    shell.chain.base_fee = 10;
    shell.finish(20);
    assert!(shell.done.contains(&id(1)));
}

#[test]
fn fees_that_stay_above_the_budget_are_a_dead_letter_after_hours() {
    let mut shell = evm();
    shell.chain.base_fee = 60;
    shell.queue(Delivery {
        budget: 300_000 * 30,
        ..delivery(1)
    });
    shell.seconds(6 * 3_600 - 60);
    assert_eq!(shell.stage(1), Some(Stage::Waiting));
    shell.seconds(120);
    assert_eq!(shell.dead_as(1), Some(Class::OverBudget));
    assert_eq!(shell.sends, 0);
}

#[test]
fn what_stands_in_the_way_can_always_be_outbid() {
    let mut shell = evm();
    shell.queue(Delivery {
        budget: u128::MAX,
        ..delivery(1)
    });
    // A provider that finds every fee too low drives it up to the lane's limit.
    shell.providers = vec![Provider::Says(Class::Underpriced, false)];
    shell.chain.base_fee = 880;
    shell.blocks(60);
    let record = shell.nonce(0).unwrap();
    assert!(record.cancel.is_some());
    assert!(
        record.fees.max_fee > 900 && record.fees.max_fee <= 1_800,
        "{record:?}"
    );
    shell.providers = vec![Provider::Honest];
    shell.finish(100);
}

#[test]
fn a_chain_that_stands_still_costs_nothing() {
    let mut shell = evm();
    shell.queue(delivery(1));
    shell.seconds(3_600);
    assert_eq!(shell.nonce(0).unwrap().attempt, 0);
    // It goes on, and the first block has no place.
    shell.chain.blocks.push(Vec::new());
    shell.tell(Input::Viewed(LANE, shell.chain.view()));
    shell.settle();
    let record = shell.nonce(0).unwrap();
    assert_eq!((record.attempt, record.cancel.is_some()), (1, false));
    shell.finish(10);
    assert!(shell.done.contains(&id(1)));
}
