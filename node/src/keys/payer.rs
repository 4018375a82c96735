//! Keys that pay for transactions, on chains of any family.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt};
use quorate_proto::{B256, PeerSecret};

use super::{Signer, SignerError};

/// Signs transactions, and pays for them.
pub(crate) trait PayerKey: Send + Sync + 'static {
    /// Its account: an EVM address left-padded, or an Ed25519 public key.
    fn account(&self) -> B256;

    /// Signs what a chain wants signed of a transaction.
    ///
    /// # Errors
    /// [`SignerError`] where the holder of the key is out of reach or refuses.
    fn sign<'a>(&'a self, payload: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, SignerError>>;
}

/// A secp256k1 key, which signs digests.
pub(crate) struct EvmPayer(pub(crate) Arc<dyn Signer>);

impl PayerKey for EvmPayer {
    fn account(&self) -> B256 {
        self.0.address().into_word()
    }

    fn sign<'a>(&'a self, payload: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, SignerError>> {
        let digest = B256::try_from(payload).map_err(|_| SignerError {
            key: self.0.address().to_string(),
            reason: format!("{} bytes are no digest", payload.len()),
        });
        async move { Ok(self.0.sign(digest?).await?.as_bytes().to_vec()) }.boxed()
    }
}

/// An Ed25519 key, which signs messages.
pub(crate) struct SvmPayer(PeerSecret);

impl SvmPayer {
    /// From its secret bytes.
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self(PeerSecret::from_bytes(secret))
    }
}

impl PayerKey for SvmPayer {
    fn account(&self) -> B256 {
        self.0.public().into()
    }

    fn sign<'a>(&'a self, payload: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, SignerError>> {
        std::future::ready(Ok(self.0.sign(payload).to_vec())).boxed()
    }
}

#[cfg(test)]
mod tests {
    use quorate_proto::SecretKey;

    use super::*;
    use crate::keys::LocalSigner;

    #[tokio::test]
    async fn an_evm_payer_signs_digests_and_nothing_else() {
        let key = SecretKey::from_bytes(&[7; 32]).expect("a key");
        let payer = EvmPayer(Arc::new(LocalSigner::new(key.clone())));
        let digest = B256::repeat_byte(1);
        let signed = payer.sign(digest.as_slice()).await.expect("a signature");
        let expected = key.sign(digest).expect("a signature");
        assert_eq!(signed, expected.as_bytes());
        assert!(payer.sign(&[1; 31]).await.is_err());
    }

    /// The key of the vector in RFC 8032, section 7.1, test 1.
    #[tokio::test]
    async fn an_svm_payer_signs_messages() {
        let bytes = |text: &str| hex::decode(text).expect("hex");
        let secret = bytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let payer = SvmPayer::new(&secret.try_into().expect("32 bytes"));
        let account = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(payer.account().to_vec(), bytes(account));
        let signature = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
        assert_eq!(
            payer.sign(&[]).await.expect("a signature"),
            bytes(signature)
        );
    }
}
