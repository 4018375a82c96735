//! What is signed: the same bytes as on every other chain.

use pinocchio::error::ProgramError;

use crate::sys::{Hash, keccak};

/// keccak256("Attestation(uint32 epoch,bytes32 slot,bytes32 fact)").
const ATTESTATION: Hash = [
    0xc7, 0x1a, 0x7c, 0xb0, 0x4f, 0x40, 0x36, 0xeb, 0x39, 0x7c, 0x3e, 0xd6, 0x42, 0x17, 0x53, 0xff,
    0x58, 0x8d, 0x75, 0x57, 0xce, 0xd0, 0x2b, 0x20, 0x8a, 0xab, 0x81, 0xc0, 0x9e, 0x9e, 0x7b, 0xed,
];

/// First bytes of the slots' preimages.
const TRANSFER: u8 = 2;
const EPOCH_UPDATE: u8 = 3;
const TRANSFER_CLOSED: u8 = 4;
const PAUSE: u8 = 5;

/// A question and its answer.
pub(crate) struct Statement {
    pub(crate) slot: Hash,
    pub(crate) fact: Hash,
}

impl Statement {
    /// What operators of `epoch` sign.
    pub(crate) fn digest(&self, domain: &Hash, epoch: u32) -> Result<Hash, ProgramError> {
        let word = word(&epoch.to_be_bytes());
        let content = keccak(&[&ATTESTATION, &word, &self.slot, &self.fact])?;
        keccak(&[&[0x19, 0x01], domain, &content])
    }
}

/// One end of a route.
#[derive(Clone, Copy)]
pub(crate) struct End<'a> {
    pub(crate) chain: u64,
    pub(crate) contract: &'a Hash,
}

pub(crate) fn route(source: End<'_>, target: End<'_>) -> Result<Hash, ProgramError> {
    keccak(&[
        &source.chain.to_be_bytes(),
        source.contract,
        &target.chain.to_be_bytes(),
        target.contract,
    ])
}

/// What a transfer says beside its route.
#[derive(Clone, Copy)]
pub(crate) struct Transfer<'a> {
    pub(crate) nonce: u64,
    pub(crate) sender: &'a Hash,
    pub(crate) receiver: &'a [u8],
    /// On the source chain.
    pub(crate) token: &'a Hash,
    /// 256 bits.
    pub(crate) amount: &'a Hash,
    pub(crate) deadline: u64,
}

impl Transfer<'_> {
    pub(crate) fn statement(&self, route: &Hash) -> Result<Statement, ProgramError> {
        let slot = keccak(&[&[TRANSFER], route, &self.nonce.to_be_bytes()])?;
        let receiver = keccak(&[self.receiver])?;
        let deadline = self.deadline.to_be_bytes();
        let fact = keccak(&[
            &slot,
            self.sender,
            &receiver,
            self.token,
            self.amount,
            &deadline,
        ])?;
        Ok(Statement { slot, fact })
    }
}

/// The target closed `nonce` at `time`, so nothing was paid and nothing will be.
pub(crate) fn transfer_closed(
    route: &Hash,
    nonce: u64,
    time: u64,
) -> Result<Statement, ProgramError> {
    let slot = keccak(&[&[TRANSFER_CLOSED], route, &nonce.to_be_bytes()])?;
    let fact = keccak(&[&slot, &time.to_be_bytes()])?;
    Ok(Statement { slot, fact })
}

/// The vote `sequence` about pausing the bridge at `end`, proposed at `time`.
#[inline(always)]
pub(crate) fn pause(
    end: End<'_>,
    sequence: u64,
    paused: u8,
    time: u64,
) -> Result<Statement, ProgramError> {
    let slot = keccak(&[
        &[PAUSE],
        &end.chain.to_be_bytes(),
        end.contract,
        &sequence.to_be_bytes(),
    ])?;
    let fact = keccak(&[&slot, &[paused], &time.to_be_bytes()])?;
    Ok(Statement { slot, fact })
}

/// The set of `epoch` has the hash `set` and was fixed at `time`.
pub(crate) fn epoch_update(epoch: u32, set: &Hash, time: u64) -> Result<Statement, ProgramError> {
    let slot = keccak(&[&[EPOCH_UPDATE], &epoch.to_be_bytes()])?;
    let fact = keccak(&[&slot, set, &time.to_be_bytes()])?;
    Ok(Statement { slot, fact })
}

/// Name of a set of `count` members that weigh `total`.
pub(crate) fn set(count: u32, total: u128, root: &Hash) -> Result<Hash, ProgramError> {
    keccak(&[&count.to_be_bytes(), &word(&total.to_be_bytes()), root])
}

/// A leaf of a set's tree.
pub(crate) fn leaf(
    operator: &[u8; 20],
    key: &[u8; 20],
    weight: &[u8; 12],
) -> Result<Hash, ProgramError> {
    keccak(&[&[0], operator, key, &word(weight)])
}

/// A node of a set's tree.
pub(crate) fn node(left: &Hash, right: &Hash) -> Result<Hash, ProgramError> {
    keccak(&[&[1], left, right])
}

/// A number at the end of 32 bytes.
pub(crate) fn word<const N: usize>(number: &[u8; N]) -> Hash {
    const { assert!(N <= 32) };
    let mut word = [0; 32];
    word[32 - N..].copy_from_slice(number);
    word
}
