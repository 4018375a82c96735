//! Stories of few deliveries; everything at once is in `properties`.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test panics where it overflows"
)]

mod chain;
mod fees;
mod nonces;
mod properties;
mod queue;
mod shell;

use quorate_proto::B256;

use self::chain::{CONFIRMATIONS, Kind};
use self::shell::{LANE, Provider, ROUTE, Shell, delivery, id};
use super::*;
use crate::fixtures::at;

/// Base fee 10, tip 1.
const POLICY: LanePolicy = LanePolicy {
    max_fee: 900,
    max_gas: 2_000_000,
    ..LanePolicy::evm()
};

fn evm() -> Shell {
    Shell::new(POLICY)
}

fn svm() -> Shell {
    Shell::new(LanePolicy {
        max_fee: 900,
        ..LanePolicy::svm()
    })
}

/// What came out, shortly.
fn names(outputs: &[Output]) -> Vec<String> {
    outputs.iter().map(name).collect()
}

fn name(output: &Output) -> String {
    match output {
        Output::Keep(Record::Delivery(record)) => format!("keep {}", number(record.delivery.id)),
        Output::Keep(Record::Nonce(record)) => format!("keep nonce {}", record.nonce),
        Output::Keep(Record::Stopped(_, route, _)) => format!("keep stopped {}", route.is_some()),
        Output::Forget(RecordKey::Nonce(_, nonce)) => format!("forget nonce {nonce}"),
        Output::Forget(key) => format!("forget {key:?}"),
        Output::Done(record) => format!("done {}", number(record.delivery.id)),
        Output::DeadLetter(record, reason) => {
            format!("dead {}: {:?}", number(record.delivery.id), reason.class)
        }
        Output::Look(_) => "look".to_owned(),
        Output::AskRecord(id) => format!("ask {}", number(*id)),
        Output::Estimate { id, limit } => format!("estimate {} with {limit}", number(*id)),
        Output::Send {
            tx,
            delivery,
            round,
            ..
        } => {
            let what = delivery.map_or("nothing".to_owned(), |id| number(id).to_string());
            format!("send {what} as {}/{} round {round}", tx.nonce, tx.attempt)
        }
        Output::AskReceipt(_, nonce) => format!("receipt {nonce}"),
        Output::Alert(Alert::Starved { .. }) => "starved".to_owned(),
        Output::Alert(Alert::Stopped(..)) => "stopped".to_owned(),
        Output::Alert(Alert::Stuck(_, nonce, _)) => format!("stuck {nonce}"),
    }
}

fn number(id: DeliveryId) -> u8 {
    id.0[0]
}

impl Shell {
    fn queue(&mut self, delivery: Delivery) {
        self.tell(Input::Queue(delivery));
        self.settle();
    }

    /// Seconds pass, without a block.
    fn seconds(&mut self, seconds: u64) {
        self.pass(self.now.plus_millis(seconds * 1_000));
    }

    /// Blocks of 12 s.
    fn blocks(&mut self, blocks: usize) {
        for _ in 0..blocks {
            self.chain.mine();
            self.tell(Input::Viewed(LANE, self.chain.view()));
            self.seconds(12);
        }
    }

    fn stage(&self, number: u8) -> Option<Stage> {
        self.machine.report(id(number)).map(|(_, stage)| stage)
    }

    fn failures(&self, number: u8) -> u32 {
        self.machine.report(id(number)).unwrap().0.failures
    }

    fn nonce(&self, nonce: u64) -> Option<&NonceRecord> {
        match self.store.get(&RecordKey::Nonce(LANE, nonce))? {
            Record::Nonce(record) => Some(record),
            _ => None,
        }
    }

    fn dead_as(&self, number: u8) -> Option<Class> {
        self.dead.get(&id(number)).map(|reason| reason.class)
    }
}

#[test]
fn a_delivery_from_its_queue_to_its_end() {
    let view = |nonce, confirmed_nonce| {
        let view = View {
            height: 100 + nonce,
            nonce,
            confirmed_nonce,
            balance: u128::MAX,
            base_fee: 10,
            tip: 1,
        };
        Input::Viewed(LANE, view)
    };
    let tx = TxKey {
        lane: LANE,
        nonce: 7,
        attempt: 0,
    };
    let sent = Input::Sent {
        tx,
        valid_until: None,
        answer: Ok(()),
    };
    let mined = Input::Receipt {
        lane: LANE,
        nonce: 7,
        found: Found::Mined {
            attempt: 0,
            effect: Effect::Success,
            cost: 2_500_000,
        },
    };
    let done = |confirmed| Input::Judged(id(1), OnChain::Done { confirmed });
    let story: Vec<(u64, Input, &[&str])> = vec![
        (0, Input::Queue(delivery(1)), &["keep 1", "look"]),
        (100, view(7, 7), &["ask 1"]),
        (
            200,
            Input::Judged(id(1), OnChain::Open),
            &["estimate 1 with 1000000"],
        ),
        (
            300,
            Input::Estimated(id(1), Ok(250_000)),
            &["keep nonce 7", "send 1 as 7/0 round 0"],
        ),
        (400, sent, &[]),
        (12_000, view(8, 7), &[]),
        (24_000, view(8, 8), &["receipt 7"]),
        (24_100, mined, &["forget nonce 7", "keep 1", "ask 1"]),
        (24_200, done(false), &[]),
        (36_200, Input::Wake, &["look", "ask 1"]),
        (36_300, done(true), &["done 1"]),
    ];
    let mut machine = Dispatcher::restore([(LANE, POLICY)], []).unwrap();
    for (millis, input, expected) in story {
        let outputs = machine.handle(at(millis), input.clone()).unwrap();
        assert_eq!(names(&outputs), expected, "{input:?}");
    }
    assert_eq!(machine.next_wake(), None);
    assert_eq!(machine.open().count(), 0);
}

#[test]
fn a_restart_goes_on_with_the_same_nonce_and_transaction() {
    let mut shell = evm();
    shell.queue(delivery(1));
    shell.blocks(0);
    let before = shell.nonce(0).cloned().expect("it has a nonce");
    shell.crash();
    assert_eq!(shell.stage(1), Some(Stage::Sent(0)));
    shell.settle();
    assert_eq!(shell.nonce(0), Some(&before));
    shell.finish(10);
    assert!(shell.done.contains(&id(1)));
    assert_eq!(shell.chain.blocks.iter().flatten().count(), 1);
}

#[test]
fn records_of_a_lane_that_is_gone_are_refused() {
    let mut shell = evm();
    shell.queue(delivery(1));
    let records: Vec<Record> = shell.store.into_values().collect();
    let refused = Dispatcher::restore([], records).unwrap_err();
    assert_eq!(refused, Refused::UnknownLane(LANE));
}
