use quorate_proto::{Epoch, Operator};

use super::*;

const KEY: Address = Address::repeat_byte(0xaa);

fn operator(number: u8) -> Address {
    Address::repeat_byte(number)
}

/// Operators 1 to 5 with 40, 30, 20, 15, 10 of 115; 77 are needed.
fn set() -> Arc<OperatorSet> {
    let member = |(number, weight): (u8, u64)| Operator {
        address: operator(number),
        signing_key: KEY,
        weight: U256::from(weight),
    };
    let members = (1..).zip([40, 30, 20, 15, 10]).map(member).collect();
    let total = U256::from(115);
    Arc::new(OperatorSet::new(Epoch(3), members, total, 0).expect("a set"))
}

/// Operator 1, with 2 and 3 connected.
fn fine() -> Situation {
    Situation {
        set: Some(set()),
        me: Some((operator(1), KEY)),
        connected: vec![operator(2), operator(3)],
        chains: vec![(10, None), (20, None)],
        ..Situation::default()
    }
}

fn codes(ready: &[NotReady]) -> Vec<&str> {
    ready.iter().map(|line| line.code.as_str()).collect()
}

fn why() -> Option<String> {
    Some("why".to_owned())
}

/// What is wrong, the reasons, and what is degraded.
type Case = (
    fn(&mut Situation),
    &'static [&'static str],
    &'static [&'static str],
);

#[test]
fn every_reason_is_told_by_its_code() {
    let table: [Case; 12] = [
        (|_| {}, &[], &[]),
        (|s| s.draining = true, &["draining"], &[]),
        (|s| s.store = why(), &["store"], &[]),
        (|s| s.home = why(), &["home_chain"], &[]),
        (|s| s.set = None, &["no_operator_set"], &[]),
        (|s| s.me = Some((operator(9), KEY)), &["no_stake"], &[]),
        (
            |s| s.me = Some((operator(1), operator(7))),
            &["other_key"],
            &[],
        ),
        (|s| s.chains[1].1 = why(), &[], &["source_chain"]),
        (
            |s| s.chains = vec![(10, why()), (20, why())],
            &["source_chain", "source_chain"],
            &[],
        ),
        (
            |s| s.noted.push((Cause::SigningLog, "locked".into())),
            &["signing_log"],
            &[],
        ),
        (
            |s| (s.noted, s.store) = (vec![(Cause::Store, "a".into())], why()),
            &["store"],
            &[],
        ),
        (
            |s| (s.set, s.home) = (None, why()),
            &["home_chain", "no_operator_set"],
            &[],
        ),
    ];
    for (number, (change, reasons, degraded)) in table.into_iter().enumerate() {
        // With every operator connected, so that who has no stake still lacks no operator.
        let mut situation = Situation {
            connected: (1..6).map(operator).collect(),
            ..fine()
        };
        change(&mut situation);
        let ready = situation.judge();
        assert_eq!(codes(&ready.reasons), reasons, "{number}");
        assert_eq!(codes(&ready.degraded), degraded, "{number}");
        assert_eq!(ready.ready, reasons.is_empty(), "{number}");
    }
}

#[test]
fn the_threshold_must_be_in_reach() {
    // Connected, never heard of, unknown peers, ready.
    let table: [(&[u8], &[u8], usize, bool); 8] = [
        (&[2, 3], &[], 0, true),
        (&[2], &[], 0, false),
        // 40 + 30 are 7 short of 77.
        (&[2], &[4, 5], 0, false),
        (&[2], &[4, 5], 1, true),
        (&[], &[2, 3, 4, 5], 1, false),
        (&[], &[2, 3, 4, 5], 2, true),
        // Who is known and away is not among the unknown peers.
        (&[3], &[], 5, false),
        (&[], &[], 0, false),
    ];
    for (connected, unheard, strangers, ready) in table {
        let situation = Situation {
            connected: connected.iter().copied().map(operator).collect(),
            unheard: unheard.iter().copied().map(operator).collect(),
            strangers,
            ..fine()
        };
        let judged = situation.judge();
        assert_eq!(judged.ready, ready, "{connected:?} {unheard:?} {strangers}");
        if !ready {
            assert_eq!(codes(&judged.reasons), ["peers"]);
            assert!(judged.reasons[0].detail.contains("77 of 115"));
        }
    }
}

#[test]
fn a_registry_needs_no_peers_and_no_stake() {
    let registry = Situation {
        me: None,
        connected: Vec::new(),
        chains: Vec::new(),
        ..fine()
    };
    assert!(registry.judge().ready);
}

#[test]
fn what_is_noted_can_be_taken_back() {
    let readiness = Readiness::default();
    let other = readiness.clone();
    readiness.block(Cause::SigningLog, "locked by another process");
    readiness.block(Cause::SigningLog, "no log for this key");
    let noted = [(Cause::SigningLog, "no log for this key".to_owned())];
    assert_eq!(other.noted(), noted);
    other.clear(Cause::SigningLog);
    other.clear(Cause::SigningLog);
    assert!(readiness.noted().is_empty());
}
