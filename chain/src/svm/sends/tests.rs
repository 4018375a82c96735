use alloy::primitives::{b256, hex};
use serde_json::{Value, json};

use super::*;

const PROGRAM: PublicKey = PublicKey(b256!(
    "d1bfa604b5dc68adb868be96a0dac50da61e18030533aedd0036a8bdd95cd535"
));

fn source() -> Source {
    let ab = b256!("000000000000000000000000abababababababababababababababababababab");
    let route = Route {
        source_chain: 91_024,
        source_contract: PROGRAM.0,
        target_chain: 421_614,
        target_contract: ab,
    };
    Source::of(route).expect("an address")
}

fn key(byte: u8) -> PublicKey {
    PublicKey(B256::repeat_byte(byte))
}

fn instruction(program: usize, accounts: &[usize], data: &[u8]) -> Value {
    let data = bs58::encode(data).into_string();
    json!({"programIdIndex": program, "accounts": accounts, "data": data, "stackHeight": null})
}

/// Data of a send of `amount`.
fn send(amount: u64) -> Vec<u8> {
    let mut data = vec![SEND];
    data.extend(1_u64.to_be_bytes());
    data.extend(amount.to_be_bytes());
    data.extend(1_800_000_000_u64.to_be_bytes());
    data.extend(hex!("03aabbcc"));
    data
}

/// With cut logs. Accounts: program, peer, another program; from a lookup table sender, bridge, token, mint.
fn transaction(outer: &[Value], inner: &Value, err: &Value) -> Transaction {
    let keys = [PROGRAM, source().peer, key(9)].map(|key| key.to_string());
    let [sender, bridge, token, mint] = [1, 2, 3, 4].map(|byte| key(byte).to_string());
    let shown = json!({
        "slot": 7, "blockTime": 70, "version": 0,
        "transaction": {"signatures": [], "message": {"accountKeys": keys, "instructions": outer}},
        "meta": {
            "err": err, "logMessages": ["Log truncated"], "innerInstructions": inner,
            "loadedAddresses": {"writable": [sender, bridge], "readonly": [token, mint]},
        },
    });
    serde_json::from_value(shown).expect("a transaction")
}

const ACCOUNTS: [usize; 5] = [3, 4, 1, 5, 6];

#[test]
fn the_account_of_a_route_is_that_of_the_program() {
    assert_eq!(source().peer.to_string(), PEER);
}

const PEER: &str = "pjwKw1dTaYrQdyrqLLvaxo84H2a9pztYWzSpjfDcz1L";

#[test]
fn instructions_tell_what_cut_logs_do_not_inner_ones_too() {
    let outer = [
        instruction(0, &ACCOUNTS, &send(10)),
        instruction(2, &[1], &[0]),
        instruction(0, &ACCOUNTS, &send(30)),
    ];
    let inner = json!([{"index": 1, "instructions": [
        instruction(2, &ACCOUNTS, &send(1)), instruction(0, &ACCOUNTS, &send(20)),
    ]}]);
    let sent = source().read(&transaction(&outer, &inner, &Value::Null));
    let amounts: Vec<u64> = sent.iter().map(|sent| sent.transfer.amount.to()).collect();
    assert_eq!(amounts, [10, 20, 30]);
    let Sent { transfer, token } = &sent[0];
    assert_eq!((transfer.nonce, transfer.deadline), (0, 1_800_000_000));
    assert_eq!((transfer.sender, transfer.token), (key(1).0, key(4).0));
    assert_eq!(
        (transfer.receiver.as_ref(), *token),
        (&hex!("aabbcc")[..], Some(key(3)))
    );

    let failed = json!({"InstructionError": [0, "Custom"]});
    assert_eq!(source().read(&transaction(&outer, &inner, &failed)), []);
}

#[test]
fn what_is_no_send_of_the_route_is_none() {
    let (good, mut other) = (send(10), send(10));
    other[0] = SEND + 1;
    let instructions = [
        instruction(2, &ACCOUNTS, &good),
        instruction(0, &[3, 4, 2, 5, 6], &good),
        instruction(0, &ACCOUNTS[..4], &good),
        instruction(0, &[3, 4, 1, 5, 99], &good),
        instruction(99, &ACCOUNTS, &good),
        instruction(0, &ACCOUNTS, &other),
        instruction(0, &ACCOUNTS, &good[..good.len() - 1]),
        instruction(0, &ACCOUNTS, &[good.clone(), vec![0]].concat()),
        instruction(0, &ACCOUNTS, &[]),
        json!({"programIdIndex": 0, "accounts": ACCOUNTS, "data": "0OIl"}),
    ];
    let none = transaction(&instructions, &Value::Null, &Value::Null);
    assert_eq!(source().read(&none), []);
}

#[test]
fn units_are_those_of_a_token_of_the_bridge() {
    let account = |owner, tag: u8, unit: u64| {
        let mut data = vec![0; UNIT_AT];
        data[0] = tag;
        data.extend(unit.to_be_bytes());
        Account {
            slot: 7,
            held: Some((owner, data)),
        }
    };
    let unit = |account: &Account| source().unit(account);
    assert_eq!(unit(&account(PROGRAM, TOKEN_TAG, 10)), Some(U256::from(10)));
    assert_eq!(unit(&account(PROGRAM, TOKEN_TAG, 0)), None);
    assert_eq!(unit(&account(PROGRAM, 2, 10)), None);
    assert_eq!(unit(&account(key(9), TOKEN_TAG, 10)), None);
    let mut short = account(PROGRAM, TOKEN_TAG, 10);
    short.held = short.held.map(|(owner, data)| (owner, data[..40].to_vec()));
    assert_eq!(unit(&short), None);
}
