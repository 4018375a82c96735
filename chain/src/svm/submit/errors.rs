//! How a transaction fails, and what that means to who sent it.

use serde_json::Value;

use super::super::PublicKey;
use crate::{CallMeaning, ChainError, ContractCall};

/// Why the runtime does not carry out a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// A program refused, with a number of its own: those of the bridge begin at 100.
    Program(u32),
    /// A program was stopped, with the runtime's word for it.
    Stopped(String),
    /// None was begun, with the runtime's word for it: the payer has too little, say.
    NotBegun(String),
}

impl Failure {
    /// By `err` of a simulation.
    pub(super) fn of(err: &Value) -> Self {
        let Some(inner) = err.get("InstructionError").and_then(|error| error.get(1)) else {
            return Self::NotBegun(word(err));
        };
        let code = inner.get("Custom").and_then(Value::as_u64);
        match code.and_then(|code| u32::try_from(code).ok()) {
            Some(code) => Self::Program(code),
            None => Self::Stopped(word(inner)),
        }
    }

    /// As an error of the call that fails.
    pub(super) fn told(&self, call: &ContractCall, payer: PublicKey) -> ChainError {
        let data = match self {
            Self::Program(code) => code.to_be_bytes().to_vec(),
            Self::Stopped(_) => Vec::new(),
            Self::NotBegun(why) => {
                let detail = format!(
                    "the chain does not begin {}: {why}; does {payer}, who pays, hold enough lamports?",
                    call.name
                );
                return ChainError::Settings { detail };
            }
        };
        ChainError::Reverted {
            contract: PublicKey(call.contract).to_string(),
            call: call.name,
            data: data.into(),
        }
    }
}

/// A provider's word, of bounded length.
fn word(value: &Value) -> String {
    const MOST: usize = 100;
    value.to_string().chars().take(MOST).collect()
}

/// What a refusal of the bridge means, by its number (docs/reference/svm.md, Errors).
pub(super) const fn meaning_of(code: u32) -> Option<CallMeaning> {
    /// Of the token and of the system program: the vault is empty, or who pays for accounts.
    const INSUFFICIENT: u32 = 1;
    Some(match code {
        // AlreadyExists, EpochOrder, NonceTaken.
        107 | 114 | 122 => CallMeaning::Done,
        // What passes: a pause, a set that is not whole, signatures or a token or a route that are not there yet, time,
        // an empty route or vault. Among them what was gathered and is gone, until its record says why.
        INSUFFICIENT | 105 | 106 | 110 | 112 | 121 | 125 | 126 | 128 | 129 => CallMeaning::NotNow,
        // SetExpired, InvalidTransfer, InvalidDeadline, WrongReceiver, WrongFact.
        113 | 123 | 124 | 127 | 130 => CallMeaning::Never,
        // The program takes other bytes, keys or sets than were thought.
        100..=103 | 108 | 109 | 111 | 116..=120 | 131 => CallMeaning::Configuration,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn failures_are_told_apart() {
        for (err, expected) in [
            (
                json!({"InstructionError": [3, {"Custom": 122}]}),
                Failure::Program(122),
            ),
            (
                json!({"InstructionError": [2, "ComputationalBudgetExceeded"]}),
                Failure::Stopped("\"ComputationalBudgetExceeded\"".to_owned()),
            ),
            (
                json!("AccountNotFound"),
                Failure::NotBegun("\"AccountNotFound\"".to_owned()),
            ),
            (
                json!({"InstructionError": [0, {"Custom": u64::MAX}]}),
                Failure::Stopped(format!("{{\"Custom\":{}}}", u64::MAX)),
            ),
        ] {
            assert_eq!(Failure::of(&err), expected);
        }
    }

    #[test]
    fn refusals_mean_what_a_relayer_does_about_them() {
        assert_eq!(meaning_of(122), Some(CallMeaning::Done));
        assert_eq!(meaning_of(110), Some(CallMeaning::NotNow));
        assert_eq!(meaning_of(127), Some(CallMeaning::Never));
        assert_eq!(meaning_of(119), Some(CallMeaning::Configuration));
        for foreign in [0, 2, 99, 104, 132, 135, 6_000] {
            assert_eq!(meaning_of(foreign), None, "{foreign}");
        }
    }
}
