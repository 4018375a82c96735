use super::*;
use crate::fixtures::{
    domain, epoch_update, operator, proof, refused, secret, set, signed, statement,
};
use crate::{Epoch, StateProof};

const CODES: [RefusalCode; 11] = [
    RefusalCode::ValueDiffers,
    RefusalCode::NoEntry,
    RefusalCode::NotFinal,
    RefusalCode::ChainUnsupported,
    RefusalCode::ChainUnavailable,
    RefusalCode::WrongEpoch,
    RefusalCode::Conflict,
    RefusalCode::Overloaded,
    RefusalCode::TimestampDiffers,
    RefusalCode::CannotSign,
    RefusalCode::NotVoted,
];

fn verify(response: &Response) -> Result<(), ResponseError> {
    response.verify(&set(), &domain())
}

fn wrong_key(response: &Response) -> bool {
    matches!(verify(response), Err(ResponseError::WrongKey { .. }))
}

#[test]
fn what_an_operator_signs_counts() {
    assert_eq!(verify(&signed(1)), Ok(()));
    for code in CODES {
        assert_eq!(verify(&refused(2, code, "why")), Ok(()), "{code:?}");
    }
}

#[test]
fn a_response_is_by_its_operator_and_nobody_else() {
    let stranger = Response {
        operator: operator(5),
        ..signed(1)
    };
    assert_eq!(
        verify(&stranger),
        Err(ResponseError::NotAnOperator(operator(5)))
    );
    // Operator 2 sends on what operator 1 signed, as its own.
    let stolen = Response {
        operator: operator(2),
        ..signed(1)
    };
    let expected = ResponseError::WrongKey {
        expected: secret(2).address(),
        found: secret(1).address(),
    };
    assert_eq!(verify(&stolen), Err(expected));
}

#[test]
fn a_signature_is_for_one_statement_and_one_network() {
    let statement = Statement::StateProof(StateProof {
        epoch: Epoch(2),
        ..proof()
    });
    assert!(wrong_key(&Response {
        statement,
        ..signed(1)
    }));
    let elsewhere = Domain::new(1, domain().registry());
    assert!(signed(1).verify(&set(), &elsewhere).is_err());
}

#[test]
fn a_refusal_is_no_signature_and_its_code_is_fixed() {
    let Outcome::Refused(refusal) = refused(1, RefusalCode::NotFinal, "").outcome else {
        panic!("a refusal");
    };
    let outcome = Outcome::Signed(refusal.signature);
    assert!(wrong_key(&Response {
        outcome,
        ..signed(1)
    }));
    let outcome = Outcome::Refused(Refusal {
        code: RefusalCode::Conflict,
        ..refusal
    });
    assert!(wrong_key(&Response {
        outcome,
        ..signed(1)
    }));
}

#[test]
fn a_signature_by_no_key_is_told_apart() {
    let bytes = [&[0; 64][..], &[27]].concat();
    let outcome = Outcome::Signed(Signature::parse(&bytes).unwrap());
    let response = Response {
        outcome,
        ..signed(1)
    };
    assert_eq!(verify(&response), Err(SignatureError::Unrecoverable.into()));
}

#[test]
fn the_detail_is_cut_to_what_receivers_accept() {
    // 2 bytes each, so the limit falls on a boundary in one case and into a letter in the other.
    for (detail, length) in [
        ("é".repeat(200), 256),
        (format!("a{}", "é".repeat(200)), 255),
    ] {
        let message = wire::Response::from(&refused(1, RefusalCode::NoEntry, &detail));
        let response = Response::try_from(&message).unwrap();
        assert_eq!(verify(&response), Ok(()));
        let Outcome::Refused(refusal) = response.outcome else {
            panic!("a refusal");
        };
        assert_eq!(refusal.detail.len(), length);
        assert!(detail.starts_with(&refusal.detail));
    }
}

#[test]
fn malformed_fields_are_named() {
    let refusal = |code: i32, detail: &str| wire::Refusal {
        code,
        signature: vec![1; 65],
        detail: detail.to_owned(),
    };
    let with = |outcome| wire::Response {
        outcome,
        ..wire::Response::from(&signed(1))
    };
    let of_refusal = |code, detail: &str| {
        with(Some(wire::response::Outcome::Refusal(refusal(
            code, detail,
        ))))
    };
    let of_signature = |bytes| with(Some(wire::response::Outcome::Signature(bytes)));
    let valid = || wire::Response::from(&signed(1));
    let bad_signature = "signature must be r, s, v: 65 bytes, v 27 or 28, low s";
    for (expected, message) in [
        (
            "operator must have 20 bytes",
            wire::Response {
                operator: vec![1; 21],
                ..valid()
            },
        ),
        (
            "statement is missing",
            wire::Response {
                statement: None,
                ..valid()
            },
        ),
        ("outcome is missing", with(None)),
        (bad_signature, of_signature(vec![1; 64])),
        (bad_signature, of_refusal(1, "")),
        ("code is not a refusal code", of_refusal(0, "")),
        ("code is not a refusal code", of_refusal(12, "")),
        ("code is not a refusal code", of_refusal(-1, "")),
        (
            "detail must have at most 256 bytes",
            of_refusal(1, &"x".repeat(257)),
        ),
    ] {
        assert_eq!(
            Response::try_from(&message).unwrap_err().to_string(),
            expected
        );
    }
}

#[test]
fn a_basis_belongs_to_a_read() {
    let with = |statement: Statement, read_basis| {
        let message = wire::Response {
            statement: Some((&statement).into()),
            read_basis,
            ..wire::Response::from(&signed(1))
        };
        Response::try_from(&message).map(|response| response.basis)
    };
    for basis in [ReadBasis::Unspecified, ReadBasis::Proof, ReadBasis::Vote] {
        assert_eq!(with(statement(), basis.into()), Ok(basis));
    }
    let update = || Statement::EpochUpdate(epoch_update());
    assert_eq!(with(update(), 0), Ok(ReadBasis::Unspecified));
    for (statement, basis) in [
        (statement(), 3),
        (statement(), -1),
        (update(), 1),
        (update(), 2),
    ] {
        assert!(with(statement, basis).is_err(), "{basis}");
    }
}

#[test]
fn codes_say_what_to_do() {
    let retryable: Vec<_> = CODES
        .into_iter()
        .filter(|code| code.is_retryable())
        .collect();
    let expected = [
        RefusalCode::NotFinal,
        RefusalCode::ChainUnavailable,
        RefusalCode::WrongEpoch,
        RefusalCode::Overloaded,
        RefusalCode::NotVoted,
    ];
    assert_eq!(retryable, expected);
    let mut texts: Vec<_> = CODES.map(RefusalCode::describe).to_vec();
    texts.push(RefusalCode::Unspecified.describe());
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), CODES.len() + 1);
}
