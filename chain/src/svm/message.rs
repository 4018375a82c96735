//! Transactions of the legacy form with one signature: what is signed, and how it is sent.

use ed25519_dalek::{Signature, VerifyingKey};
use quorate_proto::B256;

use super::PublicKey;
use super::instruction::{Access, AccountUse, Instruction, compute_budget};
use crate::ChainError;

/// Bytes of a transaction, at most: those of one packet.
pub(super) const MAX_TRANSACTION: usize = 1_232;

/// Bytes of a transaction before its message: how many signatures, and the one.
const HEAD: usize = 1 + Signature::BYTE_SIZE;

/// What an instruction may use where the transaction does not say.
const DEFAULT_UNITS: u64 = 200_000;

/// What a transaction may use and pays: compute units, and millionths of a lamport for each of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    pub(super) units: u64,
    pub(super) price: u128,
}

/// The message that carries out `instructions`, with a budget where there is room for one: the parts of the largest sets
/// leave none, and use little.
///
/// # Errors
/// [`ChainError::Settings`] where it does not fit into a transaction, or another than the payer has to sign.
pub(super) fn budgeted(
    payer: PublicKey,
    instructions: &[Instruction],
    budget: Budget,
    blockhash: B256,
) -> Result<Vec<u8>, ChainError> {
    let units = u32::try_from(budget.units).unwrap_or(u32::MAX);
    let price = u64::try_from(budget.price).unwrap_or(u64::MAX);
    let all = [&compute_budget(units, price)[..], instructions].concat();
    let message = compile(payer, &all, blockhash)?;
    let fits = size(&message) <= MAX_TRANSACTION;
    if fits || budget.units > DEFAULT_UNITS.saturating_mul(instructions.len() as u64) {
        return within(message);
    }
    within(compile(payer, instructions, blockhash)?)
}

/// Bytes of the transaction with a message.
pub(super) const fn size(message: &[u8]) -> usize {
    HEAD.saturating_add(message.len())
}

fn within(message: Vec<u8>) -> Result<Vec<u8>, ChainError> {
    match size(&message) {
        ..=MAX_TRANSACTION => Ok(message),
        size => Err(settings(format!(
            "a transaction of {size} bytes, of which {MAX_TRANSACTION} are sent; split the call"
        ))),
    }
}

fn settings(detail: String) -> ChainError {
    ChainError::Settings { detail }
}

/// What is signed: header, keys, blockhash, instructions. Keys are those that sign, that are written, that are read.
pub(super) fn compile(
    payer: PublicKey,
    instructions: &[Instruction],
    blockhash: B256,
) -> Result<Vec<u8>, ChainError> {
    let uses = || instructions.iter().flat_map(Instruction::uses);
    if let Some(other) = uses().find(|used| used.access == Access::Signs && used.key != payer) {
        let detail = format!(
            "{} has to sign, but {payer} does; send it from there",
            other.key
        );
        return Err(settings(detail));
    }
    let written = uses().filter(|used| used.access != Access::Reads);
    let written = distinct(vec![payer], written);
    let writable = written.len();
    let keys = distinct(written, uses());

    let too_many = |_| settings(format!("a transaction of {} accounts", keys.len()));
    let read = u8::try_from(keys.len().saturating_sub(writable)).map_err(too_many)?;
    let mut message = vec![1, 0, read];
    push_length(&mut message, keys.len());
    message.extend(keys.iter().flat_map(|key| key.0));
    message.extend(blockhash);
    // There are not more than 256 of them.
    let place = |wanted: &PublicKey| {
        let place = keys.iter().position(|key| key == wanted);
        place
            .and_then(|place| u8::try_from(place).ok())
            .unwrap_or_default()
    };
    push_length(&mut message, instructions.len());
    for Instruction {
        program,
        accounts,
        data,
    } in instructions
    {
        message.push(place(program));
        push_length(&mut message, accounts.len());
        message.extend(accounts.iter().map(|used| place(&used.key)));
        push_length(&mut message, data.len());
        message.extend(data);
    }
    Ok(message)
}

/// `keys`, and behind them those used that are not among them.
fn distinct(mut keys: Vec<PublicKey>, uses: impl Iterator<Item = AccountUse>) -> Vec<PublicKey> {
    for AccountUse { key, .. } in uses {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// 7 bits a byte, the lowest first.
fn push_length(bytes: &mut Vec<u8>, mut length: usize) {
    while length > 0x7f {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
}

/// The transaction of a message and its signature.
pub(super) fn transaction(message: &[u8], signature: [u8; Signature::BYTE_SIZE]) -> Vec<u8> {
    [&[1], signature.as_slice(), message].concat()
}

/// The signature, if it is `signer`'s of the message.
///
/// # Errors
/// [`ChainError::Malformed`].
pub(super) fn checked(
    message: &[u8],
    signer: PublicKey,
    signature: &[u8],
) -> Result<[u8; Signature::BYTE_SIZE], ChainError> {
    let malformed = |problem: ed25519_dalek::SignatureError| ChainError::Malformed {
        what: "signature of a transaction",
        detail: format!("it is not of {signer} ({problem})"),
    };
    let key = VerifyingKey::from_bytes(&signer.0.0).map_err(malformed)?;
    let signature = Signature::from_slice(signature).map_err(malformed)?;
    key.verify_strict(message, &signature).map_err(malformed)?;
    Ok(signature.to_bytes())
}

#[cfg(test)]
mod tests {
    use alloy::primitives::hex;
    use ed25519_dalek::{Signer, SigningKey};

    use super::super::instruction::{SYSTEM, create_associated, instruction};
    use super::*;

    fn key(byte: u8) -> PublicKey {
        PublicKey(B256::repeat_byte(byte))
    }

    #[test]
    fn messages_have_the_bytes_of_another_builder() {
        let read = [
            (key(3), Access::Writes),
            (key(2), Access::Signs),
            (key(4), Access::Reads),
        ];
        let list = [
            instruction(key(9), &read, vec![0xab; 200]),
            create_associated(key(2), key(5), key(4)),
        ];
        let message = compile(key(2), &list, B256::repeat_byte(8)).expect("a message");
        let data = "ab".repeat(200);
        assert_eq!(
            hex::encode(&message),
            format!("{VECTOR}{data}08060002050306070101")
        );
        assert!(
            compile(key(1), &list, B256::ZERO).is_err(),
            "another has to sign"
        );
    }

    #[test]
    fn a_budget_is_left_out_where_there_is_no_room_and_no_need() {
        let budget = |units| Budget { units, price: 1 };
        let list = |length| {
            [instruction(
                key(9),
                &[(SYSTEM, Access::Reads)],
                vec![0; length],
            )]
        };
        let message = |length, units| budgeted(key(1), &list(length), budget(units), B256::ZERO);
        let length = |length, units| message(length, units).map(|message| size(&message));
        assert_eq!(length(950, 200_000), Ok(1_205));
        assert_eq!(length(1_000, 200_000), Ok(1_203));
        assert!(length(1_000, 200_001).is_err());
        assert_eq!(length(1_029, 1), Ok(MAX_TRANSACTION));
        assert!(length(1_030, 1).is_err());
    }

    #[test]
    fn only_the_payers_signature_is_taken() {
        let secret = SigningKey::from_bytes(&[7; 32]);
        let signer = PublicKey(secret.verifying_key().to_bytes().into());
        let signature = secret.sign(b"message").to_bytes();
        assert_eq!(checked(b"message", signer, &signature), Ok(signature));
        assert_eq!(transaction(b"m", signature).len(), 66);
        assert!(checked(b"massage", signer, &signature).is_err());
        assert!(checked(b"message", key(1), &signature).is_err());
        assert!(checked(b"message", signer, &signature[1..]).is_err());
    }

    /// By `testnet/svm/lib/wallet.mjs`, as far as the data of the first instruction.
    const VECTOR: &str = "\
        0100060902020202020202020202020202020202020202020202020202020202020202020303030303030303030303030303\
        030303030303030303030303030303030303cf67ea9ed6fbe6918b13c0fd31d18c785d03ef6f653e8d9a7c2457b9a32a57e8\
        0404040404040404040404040404040404040404040404040404040404040404090909090909090909090909090909090909\
        0909090909090909090909090909050505050505050505050505050505050505050505050505050505050505050500000000\
        0000000000000000000000000000000000000000000000000000000006ddf6e1d765a193d9cbe146ceeb79ac1cb485ed5f5b\
        37913a8cf5857eff00a98c97258f4e2489f1bb3d1029148e0d830b5a1399daff1084048e7bd8dbe9f8590808080808080808\
        080808080808080808080808080808080808080808080808020403010003c801";
}
