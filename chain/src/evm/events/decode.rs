//! A transfer, or the end of one, out of its event.

use alloy::primitives::{B256, Log};
use alloy::sol_types::SolEvent;
use quorate_proto::{Epoch, Route, Transfer};

use super::super::abi::bridge::{TransferClosed, TransferSent};
use super::super::proof::receipts::ProvenLog;
use crate::{BlockRef, MalformedTransfer, SeenClosing, SeenTransfer};

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
    let read = fields(&proven.log).and_then(|event| told(source, event));
    let read = read.map(|transfer| SeenTransfer {
        transfer,
        block,
        log_index: proven.index,
        transaction: proven.transaction.into(),
    });
    Some(read.map_err(|why| MalformedTransfer {
        block,
        log_index: proven.index,
        why,
    }))
}

/// Reads a proven event of a bridge's contract; `None` where it closes nothing, or not in the way of a contract.
pub(super) fn closing(proven: &ProvenLog) -> Option<SeenClosing> {
    let event = TransferClosed::decode_log_data_validate(&proven.log.data).ok()?;
    let is_usual = event.encode_log_data() == proven.log.data;
    is_usual.then_some(SeenClosing {
        route: event.route,
        nonce: event.nonce,
        time: event.time,
    })
}

/// The fields of the event, if they are written as a contract writes them and in no other way.
fn fields(log: &Log) -> Result<TransferSent, String> {
    let event = TransferSent::decode_log_data_validate(&log.data);
    let event = event.map_err(|_| "its fields are not those of a transfer")?;
    match event.encode_log_data() == log.data {
        true => Ok(event),
        false => Err("its fields are not written in the usual form".to_owned()),
    }
}

fn told((chain, contract): (u64, B256), event: TransferSent) -> Result<Transfer, String> {
    let transfer = Transfer {
        epoch: Epoch(0),
        route: Route {
            source_chain: chain,
            source_contract: contract,
            target_chain: event.targetChain,
            target_contract: event.targetContract,
        },
        nonce: event.nonce,
        sender: event.sender,
        receiver: event.receiver,
        token: event.token,
        amount: event.amount,
        deadline: event.deadline,
    };
    if transfer.route.id() != event.route {
        return Err("its route is another one".to_owned());
    }
    match transfer.check() {
        Ok(()) => Ok(transfer),
        Err(problem) => Err(problem.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, Bytes, LogData, U256};
    use proptest::prelude::*;

    use super::*;

    const SOURCE: (u64, B256) = (31_337, B256::repeat_byte(0xcc));
    const BLOCK: BlockRef = BlockRef {
        number: 7,
        hash: B256::repeat_byte(7),
        timestamp: 70,
    };

    fn event(nonce: u64, receiver: Vec<u8>, amount: u64) -> TransferSent {
        let target = (5, B256::repeat_byte(5));
        let route = Route {
            source_chain: SOURCE.0,
            source_contract: SOURCE.1,
            target_chain: target.0,
            target_contract: target.1,
        };
        TransferSent {
            route: route.id(),
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

    #[test]
    fn the_end_of_a_transfer_is_read_in_its_usual_form_only() {
        let event = TransferClosed {
            route: B256::repeat_byte(8),
            nonce: 4,
            time: 70,
        };
        let closing = |data: LogData| {
            closing(&ProvenLog {
                index: 3,
                transaction: B256::ZERO,
                log: Log {
                    address: Address::ZERO,
                    data,
                },
            })
        };
        let data = event.encode_log_data();
        let seen = SeenClosing {
            route: event.route,
            nonce: 4,
            time: 70,
        };
        assert_eq!(closing(data.clone()), Some(seen));
        let longer = [data.data.as_ref(), &[0]].concat();
        let topics = data.topics().to_vec();
        assert_eq!(closing(LogData::new_unchecked(topics, longer.into())), None);
        assert_eq!(
            closing(super::tests::event(1, vec![1; 20], 1).encode_log_data()),
            None
        );
    }

    fn read(data: LogData) -> Option<Result<SeenTransfer, String>> {
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
        assert_eq!(why(&good).as_deref(), None);
        assert_eq!(
            why(&event(0, vec![1], 1)).as_deref(),
            Some("nonce must not be zero")
        );
        assert_eq!(
            why(&event(1, vec![1], 0)).as_deref(),
            Some("amount must not be zero")
        );
        for length in [0, 65] {
            let why = why(&event(1, vec![1; length], 1));
            assert_eq!(why.as_deref(), Some("receiver must have 1 to 64 bytes"));
        }
        let stray = TransferSent {
            targetChain: 6,
            ..good.clone()
        };
        assert_eq!(why(&stray).as_deref(), Some("its route is another one"));

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
            let told = seen.transfer;
            prop_assert_eq!((told.nonce, told.receiver), (nonce, event.receiver));
            prop_assert_eq!((told.amount, told.deadline), (U256::from(amount), 700));
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
