//! One small network for tests: four operators whose operator addresses and signing keys sort
//! differently. Also compiled into the integration tests, hence `super` and not `crate`.

use alloy_primitives::keccak256;

use super::{
    Address, Attestation, B256, Binding, BridgePause, Certificate, Domain, Epoch, EpochUpdate,
    EquivocationEvidence, JoinProof, JoinRequest, LifecycleCause, LogPosition, Member, Operator,
    OperatorSet, OperatorStatus, Outcome, PeerBinding, PeerSecret, Presence, ReadBasis, Refusal,
    RefusalCode, RegistrationChange, Response, Route, SecretKey, SignedAttestation,
    SignerSignature, StateProof, Statement, Timestamp, Transfer, TransferClosed, Transition, U256,
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

/// When the set of epoch 1 was fixed, and how much later that of epoch 2.
pub(crate) const FIXED_AT: u64 = 1_699_990_000;
const EPOCH_SECONDS: u64 = 7_200;

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

/// The signing key that an operator changes to.
pub(crate) fn renewed_secret(number: u8) -> SecretKey {
    secret(number.wrapping_add(0x40))
}

pub(crate) fn peer(number: u8) -> PeerSecret {
    PeerSecret::from_bytes(&[number.wrapping_add(0x80); 32])
}

pub(crate) fn member(number: u8) -> Operator {
    Operator {
        address: operator(number),
        signing_key: secret(number).address(),
        weight: U256::from([0, 40, 30, 20, 10][usize::from(number)]),
    }
}

/// Weights 40, 30, 20 and 10, so the threshold is 67.
pub(crate) fn set() -> OperatorSet {
    let members = OPERATORS.map(member).to_vec();
    OperatorSet::new(Epoch(1), members, U256::from(100), FIXED_AT).expect("a set")
}

/// The set of epoch 2: operator 1 has left, operator 3 has more weight, and operator 4 has a new
/// signing key.
pub(crate) fn next_set() -> OperatorSet {
    let heavier = Operator {
        weight: U256::from(21),
        ..member(3)
    };
    let renewed = Operator {
        signing_key: renewed_secret(4).address(),
        ..member(4)
    };
    let members = vec![member(2), heavier, renewed];
    let later = FIXED_AT + EPOCH_SECONDS;
    OperatorSet::new(Epoch(2), members, U256::from(61), later).expect("a set")
}

/// The set of epoch 1 hands over to that of epoch 2.
pub(crate) fn epoch_update() -> EpochUpdate {
    EpochUpdate::hand_over(Epoch(1), &next_set()).expect("a later epoch")
}

/// From an EVM chain to an SVM chain.
pub(crate) fn route() -> Route {
    Route {
        source_chain: 421_614,
        source_contract: Address::repeat_byte(0xab).into_word(),
        target_chain: 91_024,
        target_contract: B256::repeat_byte(0xd1),
    }
}

pub(crate) fn transfer() -> Transfer {
    Transfer {
        epoch: Epoch(1),
        route: route(),
        nonce: 1,
        sender: Address::repeat_byte(0x12).into_word(),
        receiver: vec![0x9b; 32].into(),
        token: Address::repeat_byte(0x70).into_word(),
        amount: U256::from(100_000_000),
        deadline: 1_700_604_800,
    }
}

pub(crate) fn transfer_closed() -> TransferClosed {
    TransferClosed {
        epoch: Epoch(1),
        route: route(),
        nonce: 1,
        time: 1_700_604_801,
    }
}

pub(crate) fn bridge_pause() -> BridgePause {
    BridgePause {
        epoch: Epoch(1),
        chain_id: 421_614,
        contract: Address::repeat_byte(0xab).into_word(),
        sequence: 1,
        paused: true,
        time: 1_700_000_000,
    }
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

pub(crate) fn signed_statement(key: &SecretKey, statement: Statement) -> SignedAttestation {
    let digest = statement.digest(&domain());
    SignedAttestation::of(statement, key.sign(digest).expect("a signature"))
}

/// Operator `number` signed two facts for one slot, with one key.
pub(crate) fn evidence_of(number: u8, pair: [Statement; 2]) -> EquivocationEvidence {
    let pair = pair.map(|statement| signed_statement(&secret(number), statement));
    EquivocationEvidence::new(operator(number), pair).expect("a contradiction")
}

/// Operator 4 signed with its first key in epoch 1, and with its new one in epoch 2.
pub(crate) fn evidence_across_keys() -> EquivocationEvidence {
    let pair = [
        signed_statement(&secret(4), statement()),
        signed_statement(&renewed_secret(4), contradiction(2)),
    ];
    EquivocationEvidence::new(operator(4), pair).expect("a contradiction")
}

/// Operator 2 signed two facts of a kind that this build does not know.
pub(crate) fn evidence_of_an_unknown_kind() -> EquivocationEvidence {
    let pair = [7, 8].map(|fact| {
        let attestation = Attestation {
            epoch: Epoch(1),
            slot: super::SlotId(keccak256(b"\x7fof a later build")),
            fact: B256::repeat_byte(fact),
        };
        let digest = attestation.digest(&domain());
        SignedAttestation::bare(attestation, secret(2).sign(digest).expect("a signature"))
    });
    EquivocationEvidence::new(operator(2), pair).expect("a contradiction")
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

/// What the registry gave to all operators.
pub(crate) fn challenge() -> B256 {
    B256::repeat_byte(0x5a)
}

/// By the key of an operator.
pub(crate) fn join_proof(number: u8) -> JoinProof {
    JoinProof::sign(
        &domain(),
        operator(number),
        peer(number).public(),
        challenge(),
        &secret(number),
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

/// `hashStruct` of what is signed about a statement.
pub(crate) fn attestation_hash(attestation: &Attestation) -> B256 {
    let fields = [
        B256::from(U256::from(attestation.epoch.0)),
        attestation.slot.0,
        attestation.fact,
    ];
    hash_struct(ATTESTATION_TYPE, &fields)
}

/// The hash of a set by the recursion of RFC 6962: of n leaves, the left tree has the largest power
/// of two below n.
pub(crate) fn set_hash(set: &OperatorSet) -> B256 {
    fn root(leaves: &[B256]) -> B256 {
        if let [leaf] = leaves {
            return *leaf;
        }
        let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
        keccak256([&[1], root(left).as_slice(), root(right).as_slice()].concat())
    }
    let leaf = |m: &Operator| {
        let weight = m.weight.to_be_bytes::<32>();
        keccak256(
            [
                &[0],
                m.address.as_slice(),
                m.signing_key.as_slice(),
                &weight,
            ]
            .concat(),
        )
    };
    let leaves: Vec<B256> = set.members().iter().map(leaf).collect();
    let count = u32::try_from(leaves.len()).expect("32 bits");
    let total = set.total_weight().to_be_bytes::<32>();
    keccak256([&count.to_be_bytes()[..], &total, root(&leaves).as_slice()].concat())
}

pub(crate) const ATTESTATION_TYPE: &str = "Attestation(uint32 epoch,bytes32 slot,bytes32 fact)";

pub(crate) const DOMAIN_TYPE: &str =
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
