use alloy::primitives::{Address, keccak256};
use quorate_proto::{
    Certificate, Epoch, EpochUpdate, Operator, Route, SecretKey, SignerSignature, Statement,
};

use super::*;

const CONTRACT: B256 = B256::repeat_byte(0xd1);
const DIGEST: B256 = B256::repeat_byte(0xdd);
const READY: SetState = SetState {
    is_ready: true,
    parts: 0,
};

fn secret(index: usize) -> SecretKey {
    SecretKey::from_bytes(&keccak256(index.to_be_bytes()).0).expect("a key")
}

/// Of so many members; the first weighs 1, each after it more by `steeper`.
fn set(count: usize, steeper: usize) -> OperatorSet {
    let member = |index: usize| Operator {
        address: Address::left_padding_from(&(index + 1).to_be_bytes()),
        signing_key: secret(index).address(),
        weight: U256::from(1 + index * steeper),
    };
    let members: Vec<Operator> = (0..count).map(member).collect();
    let total = members.iter().map(|member| member.weight).sum();
    OperatorSet::new(Epoch(7), members, total, 1_700_000_000).expect("a set")
}

fn transfer() -> Transfer {
    Transfer {
        epoch: Epoch(7),
        route: Route {
            source_chain: 421_614,
            source_contract: B256::repeat_byte(0xab),
            target_chain: 91_024,
            target_contract: CONTRACT,
        },
        nonce: 1,
        sender: B256::repeat_byte(0x11),
        receiver: B256::repeat_byte(0x22).into(),
        token: B256::repeat_byte(0xcd),
        amount: U256::from(5_000),
        deadline: 1_800_000_000,
    }
}

/// By the members with these numbers.
fn certificate(set: &OperatorSet, signers: impl IntoIterator<Item = usize>) -> Certificate {
    let signature = |index: usize| SignerSignature {
        operator: set.members()[index].address,
        signature: secret(index).sign(DIGEST).expect("a signature"),
    };
    let signatures = signers.into_iter().map(signature).collect();
    Certificate::new(Statement::Transfer(transfer()), signatures)
}

/// Of a set that is there whole; nothing is gathered.
fn standing() -> Standing {
    Standing {
        mint: Some(PublicKey(B256::repeat_byte(5))),
        set: Some(READY),
        gathered: None,
    }
}

fn gathered(members: &[usize]) -> Option<Gathered> {
    let mut bitmap = vec![0; 13];
    for member in members {
        bitmap[member / 8] |= 1 << (member % 8);
    }
    Some(Gathered { bitmap })
}

fn order<'a>(
    action: BridgeAction<'a>,
    certificate: &'a Certificate,
    signers: &'a OperatorSet,
) -> BridgeOrder<'a> {
    BridgeOrder {
        action,
        contract: CONTRACT,
        certificate,
        digest: DIGEST,
        signers,
        follows_update: false,
        payer: B256::repeat_byte(7),
    }
}

fn pay(
    set: &OperatorSet,
    signers: impl IntoIterator<Item = usize>,
    standing: &Standing,
) -> Result<Vec<BridgeStep>, ChainError> {
    let (transfer, certificate) = (transfer(), certificate(set, signers));
    Plan::new(order(BridgeAction::Pay(&transfer), &certificate, set)).steps(standing)
}

fn names(steps: &[BridgeStep]) -> Vec<&'static str> {
    steps.iter().map(|step| step.call.name).collect()
}

/// Numbers of the members whose signatures a step brings.
fn members(step: &BridgeStep) -> Vec<u16> {
    let list = instruction::decode(&step.call.data).expect("instructions");
    let gather = list
        .iter()
        .find(|one| one.data[0] == 9 && one.program.0 == CONTRACT);
    let signatures = gather.map_or(&[][..], |gather| &gather.data[33..]);
    let number = |bytes: &[u8]| u16::from_be_bytes([bytes[0], bytes[1]]);
    signatures.chunks(SIGNATURE).map(number).collect()
}

/// Bytes of a step's transaction if another gets the rent.
fn bytes(step: &BridgeStep) -> usize {
    let mut list = instruction::decode(&step.call.data).expect("instructions");
    give_rent(&mut list, |_| Some(PublicKey(B256::repeat_byte(0xee))));
    let budget = Budget {
        units: 1_400_000,
        price: u128::MAX,
    };
    let payer = PublicKey(B256::repeat_byte(7));
    let message = budgeted(payer, &list, budget, B256::ZERO).expect("it fits");
    size(&message)
}

#[test]
fn signatures_go_into_as_few_transactions_as_hold_them() {
    let steps = |operators, count| pay(&set(operators, 0), 0..count, &standing());
    for operators in 1..=100 {
        let count = 2 * operators / 3 + 1;
        let steps = steps(operators, count).expect("steps");
        let all: Vec<u16> = steps.iter().flat_map(members).collect();
        let expected: Vec<u16> = (0..).take(count).collect();
        assert_eq!(all, expected, "each once, ascending");
        for step in &steps {
            assert!(bytes(step) <= MAX_TRANSACTION, "{operators}");
        }
        let (last, before) = steps.split_last().expect("one at least");
        assert!(!last.is_interim && before.iter().all(|step| step.is_interim));
        assert_eq!(
            steps.len(),
            1 + count.saturating_sub(4).div_ceil(13),
            "{operators}"
        );
    }
    for (operators, count, expected) in [(5, 4, 1), (19, 13, 2), (100, 67, 6)] {
        assert_eq!(
            steps(operators, count).map(|steps| steps.len()),
            Ok(expected)
        );
    }
}

#[test]
fn the_heaviest_sign_and_no_more_than_it_takes() {
    let steps = pay(&set(5, 1), 0..5, &standing()).expect("steps");
    // 1 to 5 weigh 15, of which it takes 11.
    assert_eq!(members(&steps[0]), [2, 3, 4]);
    assert_eq!(names(&steps), ["deliver"]);
}

#[test]
fn what_others_have_gathered_is_not_sent_again() {
    let with = |there: &[usize]| Standing {
        gathered: gathered(there),
        ..standing()
    };
    let steps = pay(&set(19, 0), 0..13, &with(&[0, 1, 2, 3, 4, 5, 6, 7, 15])).expect("steps");
    assert_eq!(names(&steps), ["deliver"]);
    assert_eq!(members(&steps[0]), [8, 9, 10, 11]);
    let all: Vec<usize> = (3..16).collect();
    let steps = pay(&set(19, 0), 0..13, &with(&all)).expect("steps");
    assert_eq!(names(&steps), ["deliver"]);
    assert!(members(&steps[0]).is_empty());
}

#[test]
fn what_is_missing_of_the_set_comes_first() {
    let half = Standing {
        set: Some(SetState {
            is_ready: false,
            parts: 0b01,
        }),
        ..standing()
    };
    let steps = pay(&set(33, 0), 0..4, &half);
    assert!(steps.is_err(), "four of them do not suffice");
    let steps = pay(&set(33, 0), 0..23, &half).expect("steps");
    assert_eq!(
        names(&steps),
        ["install", "install", "gather", "gather", "deliver"]
    );
    let installs = [1, 2].map(|part| {
        question(
            BridgeProgram(PublicKey(CONTRACT)),
            &Query::Part(Epoch(7), part),
        )
    });
    assert_eq!(
        [&steps[0].record, &steps[1].record],
        [&installs[0], &installs[1]]
    );
}

#[test]
fn an_update_is_followed_by_all_parts() {
    let (signers, next) = (set(19, 0), set(500, 0));
    let update = EpochUpdate {
        epoch: Epoch(6),
        next_epoch: Epoch(7),
        set_hash: next.hash(),
        time: 5,
    };
    let signed = certificate(&signers, 0..13);
    let certificate =
        Certificate::new(Statement::EpochUpdate(update), signed.signatures().to_vec());
    let mut order = order(BridgeAction::Update(&next, 5), &certificate, &signers);
    let nothing = Standing {
        mint: None,
        set: None,
        gathered: None,
    };
    let steps = |order| Plan::new(order).steps(&nothing);
    assert!(
        steps(order).is_err(),
        "the set that signed is not known there"
    );
    order.follows_update = true;
    let steps = steps(order).expect("steps");
    assert_eq!(names(&steps)[..3], ["gather", "update", "install"]);
    assert_eq!(steps.len(), 2 + 32);
    assert_eq!(steps[1].rule, RecordRule::AtLeast(7));
    for step in &steps[2..] {
        let list = instruction::decode(&step.call.data).expect("instructions");
        let budget = Budget {
            units: 10_000,
            price: 1,
        };
        let payer = PublicKey(order.payer);
        budgeted(payer, &list, budget, B256::ZERO).expect("it fits");
    }
}

#[test]
fn what_cannot_be_carried_out_says_why() {
    let unknown = Standing {
        mint: None,
        ..standing()
    };
    let lost = Standing {
        set: None,
        ..standing()
    };
    for (signers, standing, expected) in [
        (4, &unknown, "knows no token"),
        (4, &lost, "no operator set of epoch 7"),
        (3, &standing(), "the signers weigh 3, of the 4"),
    ] {
        let error = pay(&set(5, 0), 0..signers, standing).expect_err("no steps");
        assert!(error.to_string().contains(expected), "{error}");
    }
}
