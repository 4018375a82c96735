//! Who signs with an operator's key just now.

use alloy_primitives::{Address, B256};

use crate::wire_error::{address, b256};
use crate::{Domain, ResponseError, Signature, WireError, wire};

/// "The process with this instance holds this operator's signing key." Renewed while it runs, so
/// that another process with the same key finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence {
    /// For whom it signs.
    pub operator: Address,
    /// 32 random bytes, others at every start of a node.
    pub instance: B256,
    /// Unix milliseconds of its making; grows with every one and with every
    /// [`crate::PeerBinding`] that is made with the same signing log.
    pub sequence: u64,
    /// By the operator's signing key, over [`Presence::digest`].
    pub signature: Signature,
}

impl Presence {
    /// The digest that the operator's signing key signs:
    /// `Presence(address operator,bytes32 instance,uint64 sequence)`.
    #[must_use]
    pub fn digest(domain: &Domain, operator: Address, instance: B256, sequence: u64) -> B256 {
        domain.presence_digest(operator, instance, sequence)
    }

    /// Checks that `signing_key` made it.
    ///
    /// # Errors
    /// [`ResponseError::WrongKey`] or a malformed signature.
    pub fn verify(&self, signing_key: Address, domain: &Domain) -> Result<(), ResponseError> {
        let digest = Self::digest(domain, self.operator, self.instance, self.sequence);
        let found = self.signature.recover(digest)?;
        if found == signing_key {
            return Ok(());
        }
        Err(ResponseError::WrongKey {
            expected: signing_key,
            found,
        })
    }
}

impl From<&Presence> for wire::Presence {
    fn from(presence: &Presence) -> Self {
        Self {
            operator: presence.operator.to_vec(),
            instance: presence.instance.to_vec(),
            sequence: presence.sequence,
            signature: presence.signature.as_bytes().to_vec(),
        }
    }
}

impl TryFrom<&wire::Presence> for Presence {
    type Error = WireError;

    fn try_from(message: &wire::Presence) -> Result<Self, WireError> {
        Ok(Self {
            operator: address("operator", &message.operator)?,
            instance: b256("instance", &message.instance)?,
            sequence: message.sequence,
            signature: Signature::parse(&message.signature)
                .map_err(|_| WireError::new("signature", "is malformed"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{domain, operator, presence, secret};

    #[test]
    fn every_field_is_signed() {
        let good = presence(1, 1_700_000_000_000);
        let (key, domain) = (secret(1).address(), domain());
        assert_eq!(good.verify(key, &domain), Ok(()));
        let altered = [
            Presence {
                operator: operator(2),
                ..good
            },
            Presence {
                instance: B256::repeat_byte(9),
                ..good
            },
            Presence {
                sequence: good.sequence + 1,
                ..good
            },
        ];
        for presence in altered {
            let refused = presence.verify(key, &domain);
            assert!(matches!(refused, Err(ResponseError::WrongKey { .. })));
        }
        let other = Domain::new(1, domain.registry());
        assert!(good.verify(key, &other).is_err());
        assert!(good.verify(secret(2).address(), &domain).is_err());
    }
}
