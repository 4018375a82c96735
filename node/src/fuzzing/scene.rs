//! The network of the golden files: four operators with weights 40, 30, 20 and 10 in epoch 1.

use std::sync::{Arc, LazyLock};

use quorate_proto::{
    Address, Domain, Epoch, Operator, OperatorSet, Outcome, PeerBinding, PeerSecret, SecretKey,
    StateProof, Statement, U256,
};

pub(crate) const OPERATORS: [u8; 4] = [1, 2, 3, 4];
pub(crate) const EPOCH: Epoch = Epoch(1);
/// When operators bound their peers.
const BOUND_MS: u64 = 1_700_000_000_000;

pub(crate) fn domain() -> Domain {
    let registry = "0x5fbdb2315678afecb367f032d93f642f64180aa3";
    Domain::new(31_337, registry.parse().expect("an address"))
}

pub(crate) fn operator(number: u8) -> Address {
    Address::repeat_byte(number.wrapping_mul(0x11))
}

fn secret(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32]).expect("a key")
}

pub(crate) fn peer(number: u8) -> PeerSecret {
    PeerSecret::from_bytes(&[number.wrapping_add(0x80); 32])
}

static SET: LazyLock<Arc<OperatorSet>> = LazyLock::new(|| {
    let member = |number: u8| Operator {
        address: operator(number),
        signing_key: secret(number).address(),
        weight: U256::from(50 - 10 * number),
    };
    let total = U256::from(100);
    let members = OPERATORS.map(member).to_vec();
    Arc::new(OperatorSet::new(EPOCH, members, total, 0).expect("a set"))
});

pub(crate) fn set() -> Arc<OperatorSet> {
    SET.clone()
}

/// Of operator 1.
pub(crate) static BINDING: LazyLock<PeerBinding> = LazyLock::new(|| {
    let peer_key = peer(1).public();
    let digest = PeerBinding::digest(&domain(), operator(1), peer_key, BOUND_MS);
    PeerBinding {
        operator: operator(1),
        peer_key,
        sequence: BOUND_MS,
        signature: secret(1).sign(digest).expect("a signature"),
    }
});

/// The statement of the golden files, at another block.
pub(crate) fn statement(block_number: u64) -> Statement {
    Statement::StateProof(StateProof {
        user: "0x1234567890123456789012345678901234567890"
            .parse()
            .expect("an address"),
        chain_id: 1,
        block_number,
        timestamp: 1_700_000_000,
        epoch: EPOCH,
        key: U256::from(1),
        value: U256::from(100),
    })
}

pub(crate) fn signed(number: u8, statement: &Statement) -> Outcome {
    let digest = statement.digest(&domain());
    Outcome::Signed(secret(number).sign(digest).expect("a signature"))
}
