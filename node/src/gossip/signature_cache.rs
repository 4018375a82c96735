//! Signatures that were made or checked here a moment ago.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use quorate_proto::{Address, B256, Signature, SignatureError};

/// Signatures that are remembered: those of 512 tasks with 8 signers, about 1 MB. A certificate
/// comes milliseconds after the responses that it is made of.
const MAX_KNOWN: usize = 4_096;

/// Which key made which signature. Each comes twice, in a response and in the certificate that is
/// made of it; whichever comes first is recovered, the other compared. Shared between the gossip task
/// and the attestor, whose own signatures come back in certificates.
#[derive(Clone, Default)]
pub(crate) struct SignatureCache(Arc<Mutex<CachedSignatures>>);

#[derive(Default)]
struct CachedSignatures {
    keys: HashMap<Signature, (B256, Address)>,
    order: VecDeque<Signature>,
}

impl SignatureCache {
    /// The key that made the signature over the digest. Counts a signature that had to be recovered.
    pub(super) fn recover(
        &self,
        signature: Signature,
        digest: B256,
        recovered: &Cell<u32>,
    ) -> Result<Address, SignatureError> {
        match self.with(|known| known.keys.get(&signature).copied()) {
            Some((over, key)) if over == digest => Ok(key),
            // Over another digest before: never made by an honest signer, and not worth a place.
            Some(_) => {
                recovered.set(recovered.get().saturating_add(1));
                signature.recover(digest)
            }
            None => {
                recovered.set(recovered.get().saturating_add(1));
                let key = signature.recover(digest)?;
                self.keep(signature, digest, key);
                Ok(key)
            }
        }
    }

    /// Remembers that `key` made the signature over the digest.
    pub(crate) fn keep(&self, signature: Signature, digest: B256, key: Address) {
        self.with(|known| {
            if known.keys.insert(signature, (digest, key)).is_none() {
                known.order.push_back(signature);
            }
            if known.order.len() > MAX_KNOWN
                && let Some(oldest) = known.order.pop_front()
            {
                known.keys.remove(&oldest);
            }
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut CachedSignatures) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use quorate_proto::SecretKey;

    use super::*;

    #[test]
    fn a_known_signature_holds_for_its_digest_only() {
        let key = SecretKey::from_bytes(&[7; 32]).unwrap();
        let (digest, other) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let signature = key.sign(digest).unwrap();
        let known = SignatureCache::default();
        let recovered = Cell::new(0);
        for _ in 0..2 {
            assert_eq!(
                known.recover(signature, digest, &recovered),
                Ok(key.address())
            );
            assert_ne!(
                known.recover(signature, other, &recovered),
                Ok(key.address())
            );
        }
        assert_eq!(recovered.get(), 3, "one of four was known");
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let key = SecretKey::from_bytes(&[7; 32]).unwrap();
        let signature = |number: u16| {
            let mut bytes = [1; 65];
            bytes[64] = 27;
            bytes[..2].copy_from_slice(&number.to_be_bytes());
            Signature::parse(&bytes).unwrap()
        };
        let known = SignatureCache::default();
        for number in 0..=4_096 {
            known.keep(signature(number), B256::ZERO, key.address());
        }
        let has = |number| known.with(|known| known.keys.contains_key(&signature(number)));
        assert_eq!((has(0), has(1), has(4_096)), (false, true, true));
        assert_eq!(known.with(|known| known.order.len()), MAX_KNOWN);
    }
}
