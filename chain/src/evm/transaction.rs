//! Transactions of EVM chains, built and encoded (EIP-1559).

use alloy::consensus::{SignableTransaction, TxEip1559};
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{Signature as EvmSignature, TxKind};
use quorate_proto::{B256, Signature};

use super::events::address_of;
use crate::{ChainError, SignedTransaction, TransactionDraft};

/// The draft as the chain has it.
pub(super) fn unsigned(chain_id: u64, draft: &TransactionDraft) -> Result<TxEip1559, ChainError> {
    Ok(TxEip1559 {
        chain_id,
        nonce: draft.nonce,
        gas_limit: draft.gas,
        max_fee_per_gas: draft.max_fee,
        max_priority_fee_per_gas: draft.tip,
        to: TxKind::Call(address_of(draft.contract)?),
        value: draft.value,
        input: draft.data.clone(),
        access_list: Default::default(),
    })
}

/// The draft with the signature of its hash.
pub(super) fn signed(
    chain_id: u64,
    draft: &TransactionDraft,
    signature: &[u8],
) -> Result<SignedTransaction, ChainError> {
    let unsigned = unsigned(chain_id, draft)?;
    let malformed = |problem: String| ChainError::Malformed {
        what: "signature of a transaction",
        detail: problem,
    };
    let signature = Signature::parse(signature).map_err(|error| malformed(error.to_string()))?;
    let sender = signature.recover(unsigned.signature_hash());
    let sender = sender.map_err(|problem| malformed(problem.to_string()))?;
    let parts = EvmSignature::from_raw_array(signature.as_bytes());
    let parts = parts.map_err(|problem| malformed(problem.to_string()))?;
    let signed = unsigned.into_signed(parts);
    Ok(SignedTransaction {
        id: (*signed.hash()).into(),
        sender: sender.into_word(),
        raw: signed.encoded_2718().into(),
    })
}

/// What is signed of a draft.
pub(super) fn digest(chain_id: u64, draft: &TransactionDraft) -> Result<B256, ChainError> {
    Ok(unsigned(chain_id, draft)?.signature_hash())
}

#[cfg(test)]
mod tests {
    use alloy::consensus::TxEnvelope;
    use alloy::eips::eip2718::Decodable2718;
    use alloy::network::TxSignerSync;
    use alloy::primitives::{Address, Bytes, U256, hex, keccak256};
    use alloy::signers::local::PrivateKeySigner;
    use proptest::prelude::*;
    use quorate_proto::SecretKey;

    use super::*;

    const KEY: [u8; 32] = [0x11; 32];

    fn draft(nonce: u64, data: Vec<u8>) -> TransactionDraft {
        TransactionDraft {
            sender: B256::ZERO,
            nonce,
            contract: Address::repeat_byte(0xab).into_word(),
            data: data.into(),
            value: U256::from(7),
            gas: 300_000,
            max_fee: 40_000_000_000,
            tip: 1_500_000_000,
        }
    }

    fn sign(draft: &TransactionDraft) -> SignedTransaction {
        let key = SecretKey::from_bytes(&KEY).expect("a key");
        let digest = digest(1, draft).expect("a digest");
        let signature = key.sign(digest).expect("a signature");
        signed(1, draft, signature.as_bytes()).expect("a transaction")
    }

    /// The reference is what alloy's own signer makes of the same fields.
    fn reference(draft: &TransactionDraft) -> (Vec<u8>, Address) {
        let signer = PrivateKeySigner::from_slice(&KEY).expect("a key");
        let mut unsigned = unsigned(1, draft).expect("fields");
        let signature = signer.sign_transaction_sync(&mut unsigned).expect("signed");
        let raw = unsigned.into_signed(signature).encoded_2718();
        (raw, signer.address())
    }

    #[test]
    fn the_bytes_are_those_of_the_standard() {
        let mut plain = draft(3, vec![0x12, 0x34]);
        let transaction = sign(&plain);
        let fields = "0103\
            8459682f00\
            8509502f9000\
            830493e0\
            94abababababababababababababababababababab\
            07\
            821234\
            c0";
        let fields = hex::decode(fields).expect("hex");
        let unsigned = [&[2, 0xc0 + fields.len() as u8][..], &fields].concat();
        assert_eq!(digest(1, &plain), Ok(keccak256(unsigned)));
        assert_eq!(transaction.id, Bytes::from(keccak256(&transaction.raw)));
        plain.contract = B256::repeat_byte(1);
        assert!(matches!(
            digest(1, &plain),
            Err(ChainError::Settings { .. })
        ));
    }

    proptest! {
        #[test]
        fn transactions_are_those_of_another_signer(
            nonce: u64, data in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            let draft = draft(nonce, data);
            let (transaction, (raw, sender)) = (sign(&draft), reference(&draft));
            prop_assert_eq!(transaction.raw.as_ref(), raw.as_slice());
            prop_assert_eq!(transaction.sender, sender.into_word());
            let read = TxEnvelope::decode_2718(&mut raw.as_slice()).expect("a transaction");
            prop_assert_eq!(read.hash().as_slice(), transaction.id.as_ref());
        }
    }
}
