//! One message of each kind that a registry hears or says.

use prost::Message as _;
use quorate_proto::wire::{self, LifecycleCause, OperatorStatus, RegistryErrorCode};
use quorate_proto::{U256, limits};

use crate::fixtures::{
    binding, challenge, domain, join_request, member_record, operator, presence, set, transition,
};

/// Unix milliseconds on the registry's clock.
const NOW_MS: u64 = 1_700_000_012_345;

pub(crate) fn challenge_request() -> wire::ChallengeRequest {
    wire::ChallengeRequest {
        network: domain().network().to_string(),
        operator: operator(1).to_vec(),
    }
}

pub(crate) fn challenge_message() -> wire::Challenge {
    wire::Challenge {
        challenge: challenge().to_vec(),
        expires_ms: NOW_MS + limits::CHALLENGE_LIFE_MS,
    }
}

pub(crate) fn state() -> wire::OperatorState {
    wire::OperatorState {
        binding: Some((&binding(1, 1_700_000_000_000)).into()),
        addresses: join_request().addresses,
        ..wire::OperatorState::from(&member_record())
    }
}

pub(crate) fn join_reply() -> wire::JoinReply {
    wire::JoinReply {
        operator: Some(state()),
        peers: vec!["/ip4/192.0.2.2/tcp/4001".to_owned()],
        sequence: 41,
    }
}

pub(crate) fn health() -> (wire::HealthRequest, wire::HealthReply) {
    let request = wire::HealthRequest {
        operator: operator(1).to_vec(),
        presence: Some((&presence(1, NOW_MS - 5_000)).into()),
    };
    let reply = wire::HealthReply {
        healthy: false,
        problems: vec!["the home chain does not answer".to_owned()],
        epoch: 2,
        block_number: 12_400,
        time_ms: NOW_MS,
        status: OperatorStatus::Suspended.into(),
        presence: Some((&presence(1, NOW_MS)).into()),
        bound: NOW_MS,
        other: None,
    };
    (request, reply)
}

pub(crate) fn subscribe() -> wire::SubscribeRequest {
    wire::SubscribeRequest {
        network: domain().network().to_string(),
        after: 41,
    }
}

pub(crate) fn update() -> wire::StateUpdate {
    wire::StateUpdate {
        sequence: 42,
        operator: Some(state()),
        event: Some(transition().to_event(7)),
        state_hash: vec![0xab; 32],
    }
}

pub(crate) fn operators() -> (wire::OperatorsRequest, wire::OperatorsReply) {
    let request = wire::OperatorsRequest {
        statuses: vec![
            OperatorStatus::Active.into(),
            OperatorStatus::Suspended.into(),
        ],
        after: operator(1).to_vec(),
        limit: 10,
    };
    let reply = wire::OperatorsReply {
        epoch: 2,
        operators: vec![state()],
        more: true,
    };
    (request, reply)
}

pub(crate) fn network() -> wire::NetworkReply {
    let weight = |number: U256| number.to_be_bytes_vec();
    wire::NetworkReply {
        network: domain().network().to_string(),
        home_chain_id: domain().home_chain_id(),
        registry: domain().registry().to_vec(),
        epoch: 2,
        genesis_block: 1_000,
        epoch_length: 45_000,
        grace_length: 6_400,
        block_number: 91_500,
        total_weight: weight(set().total_weight()),
        threshold: weight(set().threshold()),
        active: 3,
        sequence: 42,
        state_hash: vec![0xab; 32],
    }
}

pub(crate) fn events() -> (wire::EventsRequest, wire::EventsReply) {
    let request = wire::EventsRequest {
        after: 6,
        limit: 10,
        operator: operator(1).to_vec(),
    };
    let reply = wire::EventsReply {
        events: vec![transition().to_event(7)],
        more: true,
    };
    (request, reply)
}

pub(crate) fn sync() -> (wire::SyncRequest, wire::SyncReply) {
    let request = wire::SyncRequest {
        network: domain().network().to_string(),
        after: operator(1).to_vec(),
    };
    let reply = wire::SyncReply {
        epoch: 2,
        sequence: 42,
        state_hash: vec![0xab; 32],
        operators: vec![state()],
        more: true,
    };
    (request, reply)
}

pub(crate) fn error() -> wire::RegistryError {
    let code = RegistryErrorCode::StaleChallenge;
    wire::RegistryError {
        code: code.into(),
        message: "the challenge is 31 s old; ask for another one".to_owned(),
        retryable: code.is_retryable(),
    }
}

/// gRPC takes 4 MiB unless told otherwise.
#[test]
fn a_full_page_fits_a_grpc_message() {
    let widest = wire::OperatorState {
        addresses: vec!["x".repeat(limits::MAX_ADDRESS_BYTES); limits::MAX_ADDRESSES],
        since_micros: u64::MAX,
        misses: u32::MAX,
        successful_responses: u64::MAX,
        active_epoch: u32::MAX,
        exit_epoch: u32::MAX,
        ..state()
    };
    let states = wire::SyncReply {
        operators: vec![widest; limits::MAX_PAGE],
        ..sync().1
    };
    let event = wire::LifecycleEvent {
        sequence: u64::MAX,
        note: "x".repeat(limits::MAX_DETAIL_BYTES),
        cause: LifecycleCause::Reinstated.into(),
        ..transition().to_event(1)
    };
    let events = wire::EventsReply {
        events: vec![event; limits::MAX_PAGE],
        more: true,
    };
    for length in [states.encoded_len(), events.encoded_len()] {
        assert!(length < 2 * 1024 * 1024, "{length}");
    }
}
