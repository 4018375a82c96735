//! One small network for tests: four operators whose operator addresses and signing keys sort
//! differently. Also compiled into the integration tests, hence `super` and not `crate`.

use alloy_primitives::keccak256;

use super::{
    Address, B256, Binding, Certificate, Domain, Epoch, EpochUpdate, EquivocationEvidence,
    JoinProof, JoinRequest, LifecycleCause, LogPosition, Member, Operator, OperatorSet,
    OperatorStatus, Outcome, PeerBinding, PeerSecret, Presence, ReadBasis, Refusal, RefusalCode,
    RegistrationChange, Response, SecretKey, SignedStatement, SignerSignature, StateProof,
    Statement, Timestamp, Transition, U256, threshold_of,
};

/// Numbers of the operators; everything else about one follows from its number.
pub(crate) const OPERATORS: [u8; 4] = [1, 2, 3, 4];

pub(crate) fn domain() -> Domain {
    Domain::new(31_337, registry())
}

pub(crate) fn registry() -> Address {
    "0x5fbdb2315678afecb367f032d93f642f64180aa3"
        .parse()
        .expect("an address")
}

/// The statement of the published task id.
pub(crate) fn proof() -> StateProof {
    StateProof {
        user: "0x1234567890123456789012345678901234567890"
            .parse()
            .expect("an address"),
        chain_id: 1,
        block_number: 12_345,
        timestamp: 1_700_000_000,
        epoch: Epoch(1),
        key: U256::from(1),
        value: U256::from(100),
    }
}

pub(crate) fn statement() -> Statement {
    Statement::StateProof(proof())
}

/// 0x11…11 for operator 1, 0x22…22 for operator 2.
pub(crate) fn operator(number: u8) -> Address {
    Address::repeat_byte(number.wrapping_mul(0x11))
}

pub(crate) fn secret(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32]).expect("a key")
}

pub(crate) fn peer(number: u8) -> PeerSecret {
    PeerSecret::from_bytes(&[number.wrapping_add(0x80); 32])
}

/// The Ed25519 signing key for SVM chains, another one than the peer key.
pub(crate) fn svm_key(number: u8) -> PeerSecret {
    PeerSecret::from_bytes(&[number.wrapping_add(0xc0); 32])
}

pub(crate) fn member(number: u8) -> Operator {
    Operator {
        address: operator(number),
        signing_key: secret(number).address(),
        ed25519_key: (number != 4).then(|| svm_key(number).public()),
        weight: U256::from([0, 40, 30, 20, 10][usize::from(number)]),
    }
}

/// Weights 40, 30, 20 and 10, so the threshold is 67.
pub(crate) fn set() -> OperatorSet {
    let total = U256::from(100);
    let members = OPERATORS.map(member).to_vec();
    OperatorSet::new(Epoch(1), members, total, threshold_of(total)).expect("a set")
}

/// The set of epoch 2: operator 1 has left, and operator 3 has more weight.
pub(crate) fn next_set() -> OperatorSet {
    let heavier = Operator {
        weight: U256::from(21),
        ..member(3)
    };
    let members = vec![member(2), heavier, member(4)];
    let total = U256::from(61);
    OperatorSet::new(Epoch(2), members, total, threshold_of(total)).expect("a set")
}

/// The set of epoch 1 hands over to that of epoch 2.
pub(crate) fn epoch_update() -> EpochUpdate {
    EpochUpdate::hand_over(Epoch(1), &next_set()).expect("a later epoch")
}

pub(crate) fn signed(number: u8) -> Response {
    let digest = statement().digest(&domain());
    let signature = secret(number).sign(digest).expect("a signature");
    Response {
        operator: operator(number),
        statement: statement(),
        outcome: Outcome::Signed(signature),
        basis: ReadBasis::Proof,
    }
}

pub(crate) fn refused(number: u8, code: RefusalCode, detail: &str) -> Response {
    let digest = statement().refusal_digest(&domain(), code);
    let signature = secret(number).sign(digest).expect("a signature");
    Response {
        operator: operator(number),
        statement: statement(),
        outcome: Outcome::Refused(Refusal {
            code,
            detail: detail.to_owned(),
            signature,
        }),
        basis: ReadBasis::Unspecified,
    }
}

pub(crate) fn certificate(numbers: &[u8]) -> Certificate {
    certificate_of(statement(), numbers)
}

pub(crate) fn certificate_of(statement: Statement, numbers: &[u8]) -> Certificate {
    let digest = statement.digest(&domain());
    let signer = |number: &u8| SignerSignature {
        operator: operator(*number),
        signature: secret(*number).sign(digest).expect("a signature"),
    };
    Certificate::new(statement, numbers.iter().map(signer).collect())
}

/// Another value for the same slot, in the same epoch or in a later one.
pub(crate) fn contradiction(epoch: u32) -> Statement {
    Statement::StateProof(StateProof {
        epoch: Epoch(epoch),
        value: U256::from(101),
        ..proof()
    })
}

pub(crate) fn signed_statement(number: u8, statement: Statement) -> SignedStatement {
    let digest = statement.digest(&domain());
    SignedStatement {
        statement,
        signature: secret(number).sign(digest).expect("a signature"),
    }
}

/// Operator `number` signed two facts for one slot.
pub(crate) fn evidence_of(number: u8, pair: [Statement; 2]) -> EquivocationEvidence {
    let pair = pair.map(|statement| signed_statement(number, statement));
    let key = secret(number).address();
    EquivocationEvidence::new(operator(number), key, pair).expect("a contradiction")
}

pub(crate) fn evidence() -> EquivocationEvidence {
    evidence_of(2, [statement(), contradiction(1)])
}

pub(crate) fn binding(number: u8, sequence: u64) -> PeerBinding {
    let peer_key = peer(number).public();
    let digest = PeerBinding::digest(&domain(), operator(number), peer_key, sequence);
    PeerBinding {
        operator: operator(number),
        peer_key,
        sequence,
        signature: secret(number).sign(digest).expect("a signature"),
    }
}

pub(crate) fn presence(number: u8, sequence: u64) -> Presence {
    let (operator, instance) = (operator(number), B256::repeat_byte(0x7e));
    let digest = Presence::digest(&domain(), operator, instance, sequence);
    Presence {
        operator,
        instance,
        sequence,
        signature: secret(number).sign(digest).expect("a signature"),
    }
}

/// What the registry gave to everybody.
pub(crate) fn challenge() -> B256 {
    B256::repeat_byte(0x5a)
}

/// By the keys of an operator; operator 4 has no Ed25519 key.
pub(crate) fn join_proof(number: u8) -> JoinProof {
    let ed25519_key = member(number).ed25519_key.map(|_| svm_key(number));
    JoinProof::sign(
        &domain(),
        operator(number),
        peer(number).public(),
        challenge(),
        &secret(number),
        ed25519_key.as_ref(),
    )
    .expect("a signature")
}

/// By operator 1.
pub(crate) fn join_request() -> JoinRequest {
    JoinRequest {
        proof: join_proof(1),
        binding: binding(1, 1_700_000_000_000),
        addresses: vec!["/ip4/192.0.2.1/tcp/4001".to_owned()],
    }
}

/// Operator 1, suspended, and about to leave.
pub(crate) fn member_record() -> Member {
    let change = |epoch, registered| RegistrationChange {
        epoch: Epoch(epoch),
        registered,
    };
    Member {
        operator: operator(1),
        status: OperatorStatus::Suspended,
        cause: LifecycleCause::Missed,
        since: Timestamp(1_700_000_012_345_678),
        changes: vec![change(1, true), change(3, false)],
        log: LogPosition {
            block: 12_345,
            index: 6,
        },
        binding: Some(Binding {
            peer_key: peer(1).public(),
            sequence: 1_700_000_000_000,
            at: Timestamp(1_700_000_000_123_456),
        }),
        misses: 5,
        missed_in: Epoch(2),
        successful_responses: 1_000_000,
    }
}

/// Operator 1 is reinstated.
pub(crate) fn transition() -> Transition {
    Transition {
        operator: operator(1),
        from: Some(OperatorStatus::Suspended),
        to: OperatorStatus::Active,
        cause: LifecycleCause::Reinstated,
        note: "on the phone, by Ada".to_owned(),
        at: Timestamp(1_700_000_099_000_001),
        block: 12_400,
    }
}

/// EIP-712 by hand: `hashStruct` of a struct whose fields take one word each.
pub(crate) fn hash_struct(struct_type: &str, fields: &[B256]) -> B256 {
    let mut encoded = keccak256(struct_type).to_vec();
    encoded.extend(fields.iter().flatten());
    keccak256(encoded)
}

/// EIP-712 by hand: the separator of the domain of a home chain and its registry.
pub(crate) fn separator(home_chain_id: u64, registry: Address) -> B256 {
    hash_struct(
        DOMAIN_TYPE,
        &[
            keccak256("Quorate"),
            keccak256("1"),
            B256::from(U256::from(home_chain_id)),
            registry.into_word(),
        ],
    )
}

/// EIP-712 by hand: what is signed.
pub(crate) fn typed_digest(separator: B256, hash_struct: B256) -> B256 {
    keccak256([b"\x19\x01", separator.as_slice(), hash_struct.as_slice()].concat())
}

/// `hashStruct` of a state proof.
pub(crate) fn state_proof_hash(proof: &StateProof) -> B256 {
    let word = |number: u64| B256::from(U256::from(number));
    hash_struct(
        STATE_PROOF_TYPE,
        &[
            proof.user.into_word(),
            word(proof.chain_id.into()),
            word(proof.block_number),
            word(proof.timestamp),
            word(proof.epoch.0.into()),
            proof.key.into(),
            proof.value.into(),
        ],
    )
}

/// `hashStruct` of an epoch update.
pub(crate) fn epoch_update_hash(update: &EpochUpdate) -> B256 {
    let word = |epoch: Epoch| B256::from(U256::from(epoch.0));
    let fields = [word(update.epoch), word(update.next_epoch), update.set_hash];
    hash_struct(EPOCH_UPDATE_TYPE, &fields)
}

/// `abi.encode(address[],address[],bytes32[],uint256[],uint256)` by hand, of what describes a set.
#[allow(
    clippy::arithmetic_side_effects,
    reason = "a test panics where it overflows"
)]
pub(crate) fn encoded_set(set: &OperatorSet) -> Vec<u8> {
    let members = set.members();
    let word = |number: usize| B256::from(U256::from(number));
    let list = |item: fn(&Operator) -> B256| {
        let items: Vec<B256> = members.iter().map(item).collect();
        [&[word(members.len())], items.as_slice()].concat()
    };
    let lists = [
        list(|m| m.address.into_word()),
        list(|m| m.signing_key.into_word()),
        list(|m| m.ed25519_key.unwrap_or_default().into()),
        list(|m| m.weight.into()),
    ];
    let heads = (0..lists.len()).map(|n| word(32 * (5 + n * (members.len() + 1))));
    let mut words: Vec<B256> = heads.collect();
    words.push(set.threshold().into());
    words.extend(lists.iter().flatten());
    words.concat()
}

pub(crate) const EPOCH_UPDATE_TYPE: &str =
    "EpochUpdate(uint32 epoch,uint32 nextEpoch,bytes32 setHash)";

pub(crate) const STATE_PROOF_TYPE: &str = "StateProof(address user,uint32 chainId,\
    uint64 blockNumber,uint48 timestamp,uint32 epoch,uint256 key,uint256 value)";

pub(crate) const DOMAIN_TYPE: &str =
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
