//! The bytes that `testnet/svm/lib/bridge.mjs` makes, which was written from the documentation alone.

use alloy::primitives::{Address, hex, keccak256};
use quorate_proto::Route;

use super::super::instruction::encode;
use super::super::plan::give_rent;
use super::*;

fn key(byte: u8) -> PublicKey {
    PublicKey(B256::repeat_byte(byte))
}

fn set() -> OperatorSet {
    let member = |index: u8| Operator {
        address: Address::repeat_byte(index + 1),
        signing_key: Address::repeat_byte(0x40 + index),
        weight: U256::from(10 + index),
    };
    let members: Vec<Operator> = (0..19).map(member).collect();
    let total = members.iter().map(|member| member.weight).sum();
    OperatorSet::new(Epoch(7), members, total, 1_700_000_000).expect("a set")
}

fn transfer() -> Transfer {
    Transfer {
        epoch: Epoch(7),
        route: Route {
            source_chain: 421_614,
            source_contract: key(0xab).0,
            target_chain: 91_024,
            target_contract: key(0xd1).0,
        },
        nonce: 1_025,
        sender: key(0x11).0,
        receiver: key(0x22).0.into(),
        token: key(0xcd).0,
        amount: U256::from(5_000),
        deadline: 1_800_000_000,
    }
}

const BRIDGE: BridgeProgram = BridgeProgram(PublicKey(B256::repeat_byte(0xd1)));
const PAYER: PublicKey = PublicKey(B256::repeat_byte(7));
const MINT: PublicKey = PublicKey(B256::repeat_byte(5));
const PEER: (u64, B256) = (421_614, B256::repeat_byte(0xab));
const REMOTE: B256 = B256::repeat_byte(0xcd);

fn check(mut list: Vec<Instruction>, expected: &str) {
    give_rent(&mut list, |_| Some(PAYER));
    assert_eq!(hex::encode(keccak256(encode(&list))), expected, "{list:?}");
}

#[test]
fn setting_up_is_that_of_another_builder() {
    let (peer, set) = (BRIDGE.peer(PEER.0, PEER.1), set());
    let initialization = Initialization {
        domain: key(0xd0).0,
        chain: 91_024,
        authority: PAYER,
        guardian: key(8),
        lifetime: 1_000,
        limit_delay: 60,
        anchor_delay: 70,
        set: &set,
    };
    let token = TokenSettings {
        remote: REMOTE,
        mint: MINT,
        is_open: true,
        mode: TokenMode::Mint,
        unit: 10,
        transfer_limit: 1_000,
        window_limit: 2_000,
    };
    check(
        vec![BRIDGE.initialize(PAYER, &initialization)],
        "fde92d811fb1dd1d84f9d0ca444efa4c938e8d445a242022f1ba59640afb8f56",
    );
    check(
        vec![BRIDGE.set_peer(PAYER, PEER, true)],
        "9339a444fcd34781f6935efded82b3b3332817a3f7dfb2d4a514bf8ae3f401b0",
    );
    check(
        vec![BRIDGE.set_token(PAYER, peer, &token)],
        "2dc033a7f0dcad42754b99b6be19279f765ed01ccbd12d9a3d23cf4d52f18f88",
    );
    check(
        vec![BRIDGE.pause(PAYER)],
        "f9f2077e503ecad0589c761d562af1519f6f3eff4fc2b83239936b1e51c32926",
    );
    check(
        BRIDGE.install(PAYER, &set).map(|(_, part)| part).collect(),
        "8d978ea95796ce5cf1525b83ece9945e59c326a40bbdc8cef03a1d136f5b9c55",
    );
}

#[test]
fn sending_and_delivering_is_that_of_another_builder() {
    let peer = BRIDGE.peer(PEER.0, PEER.1);
    let proof = Proof {
        payer: PAYER,
        epoch: Epoch(7),
        digest: key(0xdd).0,
    };
    let sending = Sending {
        number: 9,
        amount: 77,
        deadline: 1_800_000_000,
        receiver: &[0x33; 20],
    };
    let deliver = BRIDGE.deliver(&proof, &transfer(), MINT);
    check(
        vec![BRIDGE.gather(&proof, &[(3, [1; 64]), (300, [2; 64])])],
        "97b46318cd69b713e4e03dd48a3dc6dc1f50e43a057ac64eee392efd9ec002c0",
    );
    check(
        vec![BRIDGE.update(&proof, (&set(), 1_700_000_000))],
        "65a14e51e3aa59012f8b15f1ba898d3c114eb9e0106f4cdcfbcc66e02a35ce7f",
    );
    check(
        vec![BRIDGE.send(PAYER, peer, (REMOTE, MINT), &sending)],
        "ce85ff00dd0ae5d8b5ac1e44b5ac2c2aa0f7e92d46c02073bc235a3fee2029e8",
    );
    check(
        deliver.expect("it is paid").to_vec(),
        "cab140c11521a335cbae3c614440c899cafd1caf0b7d0a6a2a078f5c40a9202d",
    );
    check(
        vec![BRIDGE.fund(PAYER, peer, (REMOTE, MINT), 88)],
        "49c0c750fee1bd94c9054867b22ddbffd9a2e6a010f3b83c7d5ffbd3dcce49e5",
    );
}

#[test]
fn what_no_program_pays_is_refused() {
    let proof = Proof {
        payer: key(7),
        epoch: Epoch(7),
        digest: B256::ZERO,
    };
    let refused = |transfer: &Transfer| {
        let paid = BridgeProgram(key(0xd1)).deliver(&proof, transfer, key(5));
        paid.expect_err("it cannot be paid").to_string()
    };
    let mut short = transfer();
    short.receiver = [0; 20].into();
    assert!(refused(&short).contains("20 bytes"), "{}", refused(&short));
    let mut large = transfer();
    large.amount = U256::from(u64::MAX) + U256::from(1);
    assert!(refused(&large).contains("64 bits"), "{}", refused(&large));
}
