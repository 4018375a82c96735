//! The bridge's statements as the contracts hash them.

use std::fs;
use std::path::Path;

use quorate_proto::{
    Address, B256, BridgePause, Domain, Epoch, Route, Statement, Transfer, TransferClosed, U256,
};
use serde::Deserialize;

const FILE: &str = "../chain/contracts/test/vectors/transfers.json";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vectors {
    home_chain_id: u64,
    home_registry: Address,
    epoch: u32,
    transfers: Vec<TransferVector>,
    closed: Vec<ClosedVector>,
    pauses: Vec<PauseVector>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hashes {
    slot: B256,
    fact: B256,
    task_id: B256,
    digest: B256,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TransferVector {
    source_chain: u64,
    source_contract: B256,
    target_chain: u64,
    target_contract: B256,
    nonce: u64,
    sender: B256,
    receiver: alloy_primitives::Bytes,
    token: B256,
    amount: U256,
    deadline: u64,
    route: B256,
    #[serde(flatten)]
    hashes: Hashes,
}

#[derive(Deserialize)]
struct ClosedVector {
    route: B256,
    nonce: u64,
    time: u64,
    #[serde(flatten)]
    hashes: Hashes,
}

#[derive(Deserialize)]
struct PauseVector {
    chain: u64,
    bridge: B256,
    sequence: u64,
    paused: bool,
    time: u64,
    #[serde(flatten)]
    hashes: Hashes,
}

fn vectors() -> Vectors {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let text = fs::read_to_string(path).expect("the vectors");
    serde_json::from_str(&text).expect("vectors")
}

impl Vectors {
    fn check(&self, statement: impl Into<Statement>, expected: &Hashes) {
        let statement = statement.into();
        let domain = Domain::new(self.home_chain_id, self.home_registry);
        assert_eq!(statement.slot().0, expected.slot);
        assert_eq!(statement.fact(), expected.fact);
        assert_eq!(statement.task_id().0, expected.task_id);
        assert_eq!(statement.digest(&domain), expected.digest);
    }
}

impl TransferVector {
    fn transfer(&self, epoch: u32) -> Transfer {
        Transfer {
            epoch: Epoch(epoch),
            route: Route {
                source_chain: self.source_chain,
                source_contract: self.source_contract,
                target_chain: self.target_chain,
                target_contract: self.target_contract,
            },
            nonce: self.nonce,
            sender: self.sender,
            receiver: self.receiver.clone(),
            token: self.token,
            amount: self.amount,
            deadline: self.deadline,
        }
    }
}

#[test]
fn transfers_are_hashed_as_by_the_contracts() {
    let vectors = vectors();
    assert!(!vectors.transfers.is_empty());
    for vector in &vectors.transfers {
        let transfer = vector.transfer(vectors.epoch);
        assert_eq!(transfer.route.id(), vector.route);
        vectors.check(transfer, &vector.hashes);
    }
}

#[test]
fn closed_transfers_are_hashed_as_by_the_contracts() {
    let vectors = vectors();
    assert!(!vectors.closed.is_empty());
    for vector in &vectors.closed {
        let transfers = vectors.transfers.iter();
        let mut routes = transfers.map(|sent| sent.transfer(vectors.epoch).route);
        let route = routes.find(|route| route.id() == vector.route);
        let closed = TransferClosed {
            epoch: Epoch(vectors.epoch),
            route: route.expect("a route of the transfers"),
            nonce: vector.nonce,
            time: vector.time,
        };
        vectors.check(closed, &vector.hashes);
    }
}

#[test]
fn pauses_are_hashed_as_by_the_contracts() {
    let vectors = vectors();
    assert!(!vectors.pauses.is_empty());
    for vector in &vectors.pauses {
        let pause = BridgePause {
            epoch: Epoch(vectors.epoch),
            chain_id: vector.chain,
            contract: vector.bridge,
            sequence: vector.sequence,
            paused: vector.paused,
            time: vector.time,
        };
        vectors.check(pause, &vector.hashes);
    }
}
