//! A transfer out of its event.

use alloy::primitives::{B256, Log};
use alloy::sol_types::SolEvent;

use super::super::abi::bridge::TransferSent;
use super::super::proof::receipts::ProvenLog;
use crate::{BlockRef, MalformedTransfer, SeenTransfer};

/// Bytes of a receiver, whatever the chain.
const MAX_RECEIVER: usize = 64;

/// Reads a proven event of a bridge's contract, given as this chain and its own name there; `None` where it is no
/// transfer by its name.
pub(super) fn transfer(
    source: (u64, B256),
    block: BlockRef,
    proven: &ProvenLog,
) -> Option<Result<SeenTransfer, MalformedTransfer>> {
    if proven.log.topics().first() != Some(&TransferSent::SIGNATURE_HASH) {
        return None;
    }
    let read = fields(&proven.log).and_then(|event| {
        let transfer = SeenTransfer {
            source_chain: source.0,
            source_contract: source.1,
            target_chain: event.targetChain,
            target_contract: event.targetContract,
            nonce: event.nonce,
            sender: event.sender,
            receiver: event.receiver,
            token: event.token,
            amount: event.amount,
            deadline: event.deadline,
            block,
            log_index: proven.index,
            transaction: proven.transaction,
        };
        match check(&transfer, event.route) {
            None => Ok(transfer),
            Some(why) => Err(why),
        }
    });
    Some(read.map_err(|why| MalformedTransfer {
        block,
        log_index: proven.index,
        why,
    }))
}

/// The fields of the event, if they are written as a contract writes them and in no other way.
fn fields(log: &Log) -> Result<TransferSent, &'static str> {
    let event = TransferSent::decode_log_data_validate(&log.data);
    let event = event.map_err(|_| "its fields are not those of a transfer")?;
    match event.encode_log_data() == log.data {
        true => Ok(event),
        false => Err("its fields are not written in the usual form"),
    }
}

fn check(transfer: &SeenTransfer, route: B256) -> Option<&'static str> {
    let problems = [
        (transfer.route() != route, "its route is another one"),
        (transfer.nonce == 0, "its nonce is zero"),
        (transfer.amount.is_zero(), "its amount is zero"),
        (
            !(1..=MAX_RECEIVER).contains(&transfer.receiver.len()),
            "its receiver has not 1 to 64 bytes",
        ),
    ];
    let problem = problems.into_iter().find(|(is_so, _)| *is_so);
    problem.map(|(_, why)| why)
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, Bytes, LogData, U256};
    use proptest::prelude::*;

    use super::*;
    use crate::route_of;

    const SOURCE: (u64, B256) = (31_337, B256::repeat_byte(0xcc));
    const BLOCK: BlockRef = BlockRef {
        number: 7,
        hash: B256::repeat_byte(7),
        timestamp: 70,
    };

    fn event(nonce: u64, receiver: Vec<u8>, amount: u64) -> TransferSent {
        let target = (5, B256::repeat_byte(5));
        TransferSent {
            route: route_of(SOURCE, target),
            nonce,
            sender: B256::repeat_byte(1),
            targetChain: target.0,
            targetContract: target.1,
            receiver: receiver.into(),
            token: B256::repeat_byte(2),
            amount: U256::from(amount),
            deadline: 700,
        }
    }

    fn read(data: LogData) -> Option<Result<SeenTransfer, &'static str>> {
        let proven = ProvenLog {
            index: 3,
            transaction: B256::repeat_byte(9),
            log: Log {
                address: Address::ZERO,
                data,
            },
        };
        Some(transfer(SOURCE, BLOCK, &proven)?.map_err(|malformed| malformed.why))
    }

    #[test]
    fn what_the_fields_forbid_is_no_transfer() {
        let why = |event: &TransferSent| read(event.encode_log_data()).and_then(Result::err);
        let good = event(1, vec![1; 20], 1);
        assert_eq!(why(&good), None);
        assert_eq!(why(&event(0, vec![1], 1)), Some("its nonce is zero"));
        assert_eq!(why(&event(1, vec![1], 0)), Some("its amount is zero"));
        for length in [0, 65] {
            let why = why(&event(1, vec![1; length], 1));
            assert_eq!(why, Some("its receiver has not 1 to 64 bytes"));
        }
        let stray = TransferSent {
            targetChain: 6,
            ..good.clone()
        };
        assert_eq!(why(&stray), Some("its route is another one"));

        let data = good.encode_log_data();
        let mut other = data.topics().to_vec();
        other[0] = B256::ZERO;
        assert_eq!(read(LogData::new_unchecked(other, data.data.clone())), None);
        let mut wide = data.topics().to_vec();
        wide[2][0] = 1;
        let fewer = data.topics()[..3].to_vec();
        for topics in [wide, fewer] {
            let read = read(LogData::new_unchecked(topics, data.data.clone()));
            assert!(matches!(read, Some(Err(_))), "{read:?}");
        }
    }

    #[test]
    fn data_in_another_form_is_no_transfer() {
        let data = event(1, vec![1; 20], 1).encode_log_data();
        let (topics, bytes) = (data.topics().to_vec(), data.data.to_vec());
        let mut others = vec![bytes[..bytes.len() - 32].to_vec()];
        others.push([bytes.clone(), vec![0; 32]].concat());
        // Of a number, of the receiver's padding, and where the receiver is.
        for place in [0, bytes.len() - 1, 95] {
            let mut changed = bytes.clone();
            changed[place] ^= 0x40;
            others.push(changed);
        }
        for other in others {
            let read = read(LogData::new_unchecked(topics.clone(), Bytes::from(other)));
            assert!(matches!(read, Some(Err(_))), "{read:?}");
        }
    }

    proptest! {
        #[test]
        fn every_transfer_is_read_as_it_was_written(
            nonce in 1_u64.., receiver in proptest::collection::vec(any::<u8>(), 1..=64), amount in 1_u64..,
        ) {
            let event = event(nonce, receiver, amount);
            let seen = read(event.encode_log_data()).expect("a transfer").expect("a good one");
            prop_assert_eq!((seen.nonce, seen.receiver), (nonce, event.receiver));
            prop_assert_eq!((seen.amount, seen.deadline), (U256::from(amount), 700));
            prop_assert_eq!((seen.block, seen.log_index), (BLOCK, 3));
        }

        #[test]
        fn no_bytes_are_read_in_two_ways(bytes in proptest::collection::vec(any::<u8>(), 0..320), place in 0_usize..256) {
            let data = event(1, vec![1; 20], 1).encode_log_data();
            let topics = data.topics().to_vec();
            let mut changed = data.data.to_vec();
            if let (Some(byte), Some(new)) = (changed.get_mut(place), bytes.first()) {
                *byte = *new;
            }
            for bytes in [bytes, changed] {
                let log = LogData::new_unchecked(topics.clone(), bytes.into());
                if let Some(Ok(_)) = read(log.clone()) {
                    let again = TransferSent::decode_log_data(&log).expect("read before");
                    prop_assert_eq!(again.encode_log_data(), log);
                }
            }
        }
    }
}
