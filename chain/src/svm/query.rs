//! What a program's accounts are asked, in the place of calls that answer: each has one word as its answer.
//!
//! ```text
//! 0x02 ‖ 0x00                                           the newest epoch
//! 0x02 ‖ 0x01 ‖ peer's account 32 ‖ nonce 8             what became of a nonce: 0 open, 1 queued, 2 paid, 3 closed
//! 0x02 ‖ 0x02 ‖ epoch 4 ‖ part 1                        1 where the part of the set is installed
//! 0x02 ‖ 0x04                                           how often the bridge was stopped, or let go on
//! 0x02 ‖ 0x03 ‖ epoch 4 ‖ digest 32 ‖ signers 1 ‖ number of each 2 ‖ another query
//!     1 where all these signatures are gathered, or the other question, of a nonce or for an epoch, has this answer:
//!     ‖ 0x00 ‖ epoch 4: this or a newer one; ‖ 0x01 ‖ peer's account 32 ‖ nonce 8: not open; ‖ 0x02 ‖ number 8: as often
//! ```

use alloy::primitives::{B256, U256};
use quorate_proto::Epoch;

use super::PublicKey;
use super::accounts::{self, Held, NonceState};
use super::bridge_calls::BridgeProgram;
use super::reader::Reader;
use crate::ChainError;

/// First byte of a query, by which it is told from instructions.
const QUERY: u8 = 2;

/// What makes an order one that nobody has to carry out any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// This epoch is known, or a newer one.
    Epoch(Epoch),
    /// This nonce from the peer with this account is not open.
    Nonce(PublicKey, u64),
    /// The bridge was stopped, or let go on, as often.
    Sequence(u64),
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Query {
    NewestEpoch,
    Sequence,
    Nonce(PublicKey, u64),
    Part(Epoch, u8),
    /// Are all these gathered for the digest, or is it no longer of use?
    Gathered {
        epoch: Epoch,
        digest: B256,
        members: Vec<u16>,
        unless: Goal,
    },
}

impl Query {
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::NewestEpoch => vec![QUERY, 0],
            Self::Sequence => vec![QUERY, 4],
            Self::Nonce(peer, nonce) => {
                [&[QUERY, 1][..], peer.0.as_slice(), &nonce.to_be_bytes()].concat()
            }
            Self::Part(epoch, part) => [&[QUERY, 2][..], &epoch.0.to_be_bytes(), &[*part]].concat(),
            Self::Gathered {
                epoch,
                digest,
                members,
                unless,
            } => {
                let mut bytes = vec![QUERY, 3];
                bytes.extend(epoch.0.to_be_bytes());
                bytes.extend(digest);
                bytes.push(u8::try_from(members.len()).unwrap_or(u8::MAX));
                bytes.extend(members.iter().flat_map(|member| member.to_be_bytes()));
                match unless {
                    Goal::Epoch(epoch) => {
                        bytes.push(0);
                        bytes.extend(epoch.0.to_be_bytes());
                    }
                    Goal::Nonce(peer, nonce) => {
                        bytes.push(1);
                        bytes.extend(peer.0);
                        bytes.extend(nonce.to_be_bytes());
                    }
                    Goal::Sequence(number) => {
                        bytes.push(2);
                        bytes.extend(number.to_be_bytes());
                    }
                }
                bytes
            }
        }
    }

    /// # Errors
    /// [`ChainError::Malformed`] for anything but the one form.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ChainError> {
        read(bytes).ok_or_else(|| ChainError::Malformed {
            what: "query of a program",
            detail: format!("{} bytes that are no question", bytes.len()),
        })
    }

    /// The accounts that hold the answer.
    pub(super) fn accounts(&self, program: BridgeProgram) -> Vec<PublicKey> {
        let of_nonce = |peer, nonce| vec![program.nonces(peer, nonce), program.record(peer, nonce)];
        match *self {
            Self::NewestEpoch | Self::Sequence => vec![program.address()],
            Self::Nonce(peer, nonce) => of_nonce(peer, nonce),
            Self::Part(epoch, _) => vec![program.set(epoch)],
            Self::Gathered {
                epoch,
                digest,
                unless,
                ..
            } => {
                let mut accounts = match unless {
                    Goal::Epoch(_) | Goal::Sequence(_) => vec![program.address()],
                    Goal::Nonce(peer, nonce) => of_nonce(peer, nonce),
                };
                accounts.push(program.gathered(epoch, digest));
                accounts
            }
        }
    }

    /// The answer, by what these accounts hold; `None` where there is no such bridge.
    pub(super) fn answer(&self, program: BridgeProgram, held: &[Option<Held>]) -> Option<U256> {
        let account = |index: usize| held.get(index).and_then(Option::as_ref);
        let newest = || accounts::newest_epoch(program, account(0));
        let changes = || accounts::pause_sequence(program, account(0));
        let state = |nonce| accounts::nonce_state(program, nonce, (account(0), account(1)));
        Some(match self {
            Self::NewestEpoch => U256::from(newest()?.0),
            Self::Sequence => U256::from(changes()?),
            Self::Nonce(_, nonce) => U256::from(state(*nonce) as u8),
            Self::Part(_, part) => {
                let set = accounts::set(program, account(0));
                U256::from(set.is_some_and(|set| set.has(*part)))
            }
            Self::Gathered {
                members, unless, ..
            } => {
                let is_reached = match unless {
                    Goal::Epoch(epoch) => newest()? >= *epoch,
                    Goal::Sequence(number) => changes()? >= *number,
                    Goal::Nonce(_, nonce) => state(*nonce) != NonceState::Open,
                };
                let gathered = accounts::gathered(program, held.last()?.as_ref());
                let has_all = gathered.is_some_and(|gathered| {
                    members.iter().all(|member| gathered.has((*member).into()))
                });
                U256::from(is_reached || has_all)
            }
        })
    }
}

fn read(bytes: &[u8]) -> Option<Query> {
    let mut bytes = Reader(bytes);
    let (QUERY, kind) = (bytes.u8()?, bytes.u8()?) else {
        return None;
    };
    let epoch = |bytes: &mut Reader<'_>| bytes.u32().map(Epoch);
    let query = match kind {
        0 => Query::NewestEpoch,
        1 => Query::Nonce(bytes.key()?, bytes.u64()?),
        2 => Query::Part(epoch(&mut bytes)?, bytes.u8()?),
        3 => Query::Gathered {
            epoch: epoch(&mut bytes)?,
            digest: bytes.key()?.0,
            members: (0..bytes.u8()?)
                .map(|_| bytes.u16())
                .collect::<Option<_>>()?,
            unless: match bytes.u8()? {
                0 => Goal::Epoch(epoch(&mut bytes)?),
                1 => Goal::Nonce(bytes.key()?, bytes.u64()?),
                2 => Goal::Sequence(bytes.u64()?),
                _ => return None,
            },
        },
        4 => Query::Sequence,
        _ => return None,
    };
    bytes.end()?;
    Some(query)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PROGRAM: BridgeProgram = BridgeProgram(PublicKey(B256::repeat_byte(0xd1)));
    const PEER: PublicKey = PublicKey(B256::repeat_byte(2));

    fn held(data: Vec<u8>) -> Option<Held> {
        Some(Held {
            owner: PROGRAM.0,
            data,
        })
    }

    fn foreign(data: Vec<u8>) -> Option<Held> {
        let owner = PublicKey(B256::ZERO);
        Some(Held { owner, data })
    }

    fn gathered_query(unless: Goal) -> Query {
        Query::Gathered {
            epoch: Epoch(7),
            digest: B256::repeat_byte(3),
            members: vec![0, 9],
            unless,
        }
    }

    /// A page on which nonce 1025 is taken.
    fn page() -> Vec<u8> {
        let mut page = vec![0; 130];
        (page[0], page[2]) = (6, 0b10);
        page
    }

    #[test]
    fn queries_read_as_they_are_written() {
        for query in [
            Query::NewestEpoch,
            Query::Sequence,
            Query::Nonce(PEER, 9),
            Query::Part(Epoch(7), 31),
            gathered_query(Goal::Epoch(Epoch(8))),
            gathered_query(Goal::Nonce(PEER, 5)),
            gathered_query(Goal::Sequence(5)),
        ] {
            let bytes = query.encode();
            assert_eq!(Query::decode(&bytes), Ok(query));
            assert!(Query::decode(&bytes[..bytes.len() - 1]).is_err());
            assert!(Query::decode(&[&bytes[..], &[0]].concat()).is_err());
        }
    }

    #[test]
    fn a_nonce_is_open_queued_paid_or_closed() {
        let word = |page, record| Query::Nonce(PEER, 1_025).answer(PROGRAM, &[page, record]);
        let record = |kind| held(vec![7, 255, kind]);
        for (page, record, expected) in [
            (None, None, 0),
            (held(page()), None, 2),
            (held(page()), record(1), 1),
            (held(page()), record(2), 3),
            (foreign(page()), record(2), 0),
            (held(page()), foreign(vec![7, 255, 2]), 2),
            (held(vec![6]), None, 0),
        ] {
            assert_eq!(word(page, record), Some(U256::from(expected)));
        }
        let other = Query::Nonce(PEER, 1_026).answer(PROGRAM, &[held(page()), None]);
        assert_eq!(other, Some(U256::ZERO));
    }

    #[test]
    fn signatures_are_there_or_not_needed_any_more() {
        let gathered = |bitmap: [u8; 2]| {
            let mut data = vec![0; 96];
            data[0] = 5;
            data.extend(bitmap);
            held(data)
        };
        let query = gathered_query(Goal::Nonce(PEER, 1_025));
        let word = |page, gathered| query.answer(PROGRAM, &[page, None, gathered]);
        assert_eq!(word(None, None), Some(U256::ZERO));
        assert_eq!(word(None, gathered([1, 0])), Some(U256::ZERO));
        assert_eq!(word(None, gathered([1, 2])), Some(U256::from(1)));
        assert_eq!(word(held(page()), None), Some(U256::from(1)));
    }

    #[test]
    fn an_epoch_is_one_of_a_bridge() {
        let mut bridge = vec![0; 135];
        (bridge[0], bridge[134]) = (1, 8);
        let newest = |query: &Query, account| query.answer(PROGRAM, &[account, None]);
        assert_eq!(
            newest(&Query::NewestEpoch, held(bridge.clone())),
            Some(U256::from(8))
        );
        assert_eq!(newest(&Query::NewestEpoch, foreign(bridge.clone())), None);
        assert_eq!(newest(&Query::NewestEpoch, None), None);
        for (epoch, expected) in [(8, 1), (9, 0)] {
            let query = gathered_query(Goal::Epoch(Epoch(epoch)));
            assert_eq!(
                newest(&query, held(bridge.clone())),
                Some(U256::from(expected))
            );
        }
    }

    #[test]
    fn a_part_is_there_by_its_bit_or_with_the_whole() {
        let set = |ready, parts: u32| {
            let mut data = vec![4, 255, ready];
            data.extend([0; 64]);
            data.extend(parts.to_be_bytes());
            held(data)
        };
        let word = |part, set| Query::Part(Epoch(7), part).answer(PROGRAM, &[set]);
        for (part, set, expected) in [
            (1, set(0, 0b10), 1),
            (0, set(0, 0b10), 0),
            (40, set(0, u32::MAX), 0),
            (1, set(1, 0), 1),
            (1, None, 0),
        ] {
            assert_eq!(word(part, set), Some(U256::from(expected)), "{part}");
        }
    }

    proptest! {
        #[test]
        fn bytes_are_refused_or_are_the_one_form(bytes in proptest::collection::vec(0_u8..4, 0..60)) {
            if let Ok(query) = Query::decode(&bytes) {
                prop_assert_eq!(query.encode(), bytes);
            }
        }
    }
}
