use alloy::primitives::{B256, Bytes, U64};

use super::*;

const REGISTRY: Address = Address::repeat_byte(0x77);

fn log(kind: B256, operator: u8, block: u64, index: u64) -> Log {
    let word = |address: Address| address.into_word();
    Log {
        address: REGISTRY,
        topics: vec![
            kind,
            word(Address::repeat_byte(operator)),
            B256::ZERO,
            word(REGISTRY),
        ],
        block_number: U64::from(block),
        log_index: U64::from(index),
        data: Bytes::new(),
        removed: None,
    }
}

#[test]
fn events_come_out_in_the_order_of_the_chain() {
    let logs = [
        log(OperatorDeregistered::SIGNATURE_HASH, 1, 9, 0),
        log(OperatorRegistered::SIGNATURE_HASH, 2, 5, 3),
        log(OperatorRegistered::SIGNATURE_HASH, 1, 5, 1),
    ];
    let found = decode(REGISTRY, 5, 9, &logs).expect("registrations");
    let short: Vec<_> = found
        .iter()
        .map(|r| (r.operator[0], r.registered, r.block_number, r.log_index))
        .collect();
    assert_eq!(short, [(1, true, 5, 1), (2, true, 5, 3), (1, false, 9, 0)]);
}

#[test]
fn events_that_cannot_be_are_refused() {
    let good = || log(OperatorRegistered::SIGNATURE_HASH, 1, 5, 0);
    let refused = |log: Log| decode(REGISTRY, 5, 9, &[log]).is_err();
    assert!(!refused(good()));
    assert!(refused(log(B256::ZERO, 1, 5, 0)));
    assert!(refused(log(OperatorRegistered::SIGNATURE_HASH, 1, 4, 0)));
    assert!(refused(log(OperatorRegistered::SIGNATURE_HASH, 1, 10, 0)));
    assert!(refused(Log {
        removed: Some(true),
        ..good()
    }));
    assert!(refused(Log {
        address: Address::ZERO,
        ..good()
    }));
    assert!(refused(Log {
        topics: good().topics[..3].to_vec(),
        ..good()
    }));
    let mut no_address = good();
    no_address.topics[1] = B256::repeat_byte(1);
    assert!(refused(no_address));
}
