use alloy::primitives::{b256, hex};
use proptest::prelude::*;
use quorate_proto::B256;

use super::*;

const PROGRAM: PublicKey = PublicKey(B256::repeat_byte(0x51));
const OTHER: PublicKey = PublicKey(B256::repeat_byte(0x52));

fn route() -> Route {
    Route {
        source_chain: 91_024,
        source_contract: PROGRAM.0,
        target_chain: 421_614,
        target_contract: b256!("000000000000000000000000abababababababababababababababababababab"),
    }
}

fn event(receiver: &[u8]) -> Vec<u8> {
    let mut event = SENT.to_vec();
    event.extend(route().id());
    event.extend(7_u64.to_be_bytes());
    event.extend([0x11; 32]);
    event.extend(route().target_chain.to_be_bytes());
    event.extend(route().target_contract);
    event.extend([0x22; 32]);
    event.extend(U256::from(5_000).to_be_bytes::<32>());
    event.extend(1_800_000_000_u64.to_be_bytes());
    event.push(u8::try_from(receiver.len()).expect("short"));
    event.extend(receiver);
    event
}

fn data(bytes: &[u8]) -> String {
    format!("Program data: {}", STANDARD.encode(bytes))
}

fn invoke(program: PublicKey, depth: u32) -> String {
    format!("Program {program} invoke [{depth}]")
}

fn ended(program: PublicKey) -> String {
    format!("Program {program} success")
}

#[test]
fn data_belongs_to_the_innermost_program_that_runs() {
    let (own, inner, late) = (data(b"own"), data(b"inner"), data(b"late"));
    let logs = [
        data(b"before"),
        invoke(OTHER, 1),
        data(b"other"),
        invoke(PROGRAM, 2),
        own,
        invoke(OTHER, 3),
        inner,
        format!("Program {OTHER} consumed 7 of 9 compute units"),
        format!("Program {OTHER} failed: custom program error: 0x1\nand more"),
        late,
        format!("Program return: {PROGRAM} AAAA"),
        ended(PROGRAM),
        data(b"after"),
        ended(OTHER),
        data(b"behind"),
    ];
    assert_eq!(
        data_of(PROGRAM, &logs),
        Some(vec![b"own".to_vec(), b"late".to_vec()])
    );
}

#[test]
fn text_that_looks_like_an_event_is_none() {
    let lie = data(&event(&[1; 20]));
    for text in [
        lie.clone(),
        format!("x\n{lie}"),
        format!("{}\n{lie}", invoke(PROGRAM, 2)),
        format!("\"\n{}\n{lie}\n{}", invoke(PROGRAM, 1), ended(PROGRAM)),
    ] {
        let logs = [
            invoke(OTHER, 1),
            format!("Program log: Memo (len 5): \"{text}\""),
            format!("Program log: {text}"),
            ended(OTHER),
            invoke(PROGRAM, 1),
            format!("Program log: {text}"),
            ended(PROGRAM),
        ];
        assert_eq!(data_of(PROGRAM, &logs), Some(Vec::new()), "{text}");
    }
    // An entry with more behind its line is none of the runtime's.
    for text in [
        format!("{}\n", invoke(PROGRAM, 1)),
        format!("{} ", invoke(PROGRAM, 1)),
        "Program 5 invoke [1]".to_owned(),
        format!("Program {PROGRAM} invoke []"),
    ] {
        assert_eq!(data_of(PROGRAM, &[text, lie.clone()]), Some(Vec::new()));
    }
}

#[test]
fn logs_that_were_cut_are_not_believed() {
    let logs = [
        invoke(PROGRAM, 1),
        data(&event(&[1; 20])),
        "Log truncated".to_owned(),
    ];
    assert_eq!(data_of(PROGRAM, &logs), None);
    let told = [
        invoke(PROGRAM, 1),
        "Program log: Log truncated".to_owned(),
        data(b"x"),
    ];
    assert_eq!(data_of(PROGRAM, &told), Some(vec![b"x".to_vec()]));
}

#[test]
fn an_event_has_its_name_its_route_and_its_length() {
    let good = event(&[1; 20]);
    let transfer = sent(&route(), &good).expect("a transfer");
    assert_eq!((transfer.nonce, transfer.deadline), (7, 1_800_000_000));
    assert_eq!(transfer.sender, B256::repeat_byte(0x11));
    assert_eq!(transfer.token, B256::repeat_byte(0x22));
    assert_eq!(transfer.amount, U256::from(5_000));
    assert_eq!(transfer.receiver, Bytes::from(vec![1; 20]));

    let longer = [good.clone(), vec![0]].concat();
    let (shorter, head) = (good[..good.len() - 1].to_vec(), good[..100].to_vec());
    let with = |at: usize| {
        let mut changed = good.clone();
        changed[at] ^= 1;
        changed
    };
    // Name, route, target chain, target contract, length of the receiver.
    let changed = [0, 8, 87, 119, 192].map(with);
    let no_receiver = event(&[]);
    for bytes in [longer, shorter, head, no_receiver]
        .into_iter()
        .chain(changed)
    {
        assert_eq!(sent(&route(), &bytes), None, "{}", hex::encode(&bytes));
    }
}

proptest! {
    #[test]
    fn no_logs_are_too_much(entries in proptest::collection::vec(".{0,40}", 0..8)) {
        let _ = data_of(PROGRAM, &entries);
    }

    #[test]
    fn no_bytes_are_read_in_two_ways(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(sent(&route(), &bytes), None);
    }
}
