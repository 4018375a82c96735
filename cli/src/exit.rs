//! Exit codes, all of them.

use quorate_chain::ChainError;
use quorate_node::NodeError;
use quorate_node::backup::BackupError;
use quorate_node::keys::KeyError;
use quorate_node::signing_log::LogError;
use quorate_storage::StoreError;

use crate::options::ConfigError;

/// Everything that has no code of its own.
pub(crate) const FAILED: u8 = 1;
/// The question has an answer, and the answer is no.
pub(crate) const NO: u8 = 2;
/// The store: locked, full, damaged, of another network or version.
pub(crate) const STORE: u8 = 3;
/// A key or its password.
pub(crate) const KEYS: u8 = 4;
/// Another process signs for the operator.
pub(crate) const IN_USE: u8 = 5;
/// Nothing is broken, but something deserves a look.
pub(crate) const WARNED: u8 = 6;
/// A certificate holds but for its age: the stake behind it may be gone.
pub(crate) const EXPIRED: u8 = 7;
/// The command line itself (`EX_USAGE`).
pub(crate) const USAGE: u8 = 64;
/// The configuration (`EX_CONFIG`).
pub(crate) const CONFIG: u8 = 78;
/// A second signal during the shutdown (128 + SIGINT).
pub(crate) const ABORTED: u8 = 130;

const TABLE: [(u8, &str); 11] = [
    (0, "done; a node: stopped in good order"),
    (FAILED, "failed; a later try may succeed"),
    (
        NO,
        "the answer is no: not certified, not valid, not healthy",
    ),
    (
        STORE,
        "the store is locked, full, damaged, or of another network or version",
    ),
    (KEYS, "a key file or password is missing or wrong"),
    (
        IN_USE,
        "another node signs for the same operator; neither may go on before that is settled",
    ),
    (
        WARNED,
        "`node doctor`: nothing is broken, but something deserves a look",
    ),
    (
        EXPIRED,
        "`node verify`: the certificate is so old that the stake behind it may be gone",
    ),
    (USAGE, "the command line is wrong"),
    (CONFIG, "the configuration is wrong"),
    (ABORTED, "a second signal cut the shutdown short"),
];

/// "The answer is no", with the reason.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NegativeAnswer(pub(crate) String);

/// Nothing is broken, but something deserves a look.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Warned(pub(crate) String);

/// Everything about a certificate holds but its age.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Expired(pub(crate) String);

/// An argument that the parser let pass.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// The table as it stands under `--help`.
pub(crate) fn help() -> String {
    let line = |(code, meaning): &(u8, &str)| format!("  {code:>3}  {meaning}\n");
    let lines: String = TABLE.iter().map(line).collect();
    format!("Exit codes:\n{lines}")
}

/// The code that belongs to an error.
pub(crate) fn code_of(error: &anyhow::Error) -> u8 {
    error.chain().find_map(code_of_cause).unwrap_or(FAILED)
}

fn code_of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<u8> {
    if cause.is::<NegativeAnswer>() {
        return Some(NO);
    }
    if cause.is::<Warned>() {
        return Some(WARNED);
    }
    if cause.is::<Expired>() {
        return Some(EXPIRED);
    }
    if cause.is::<Usage>() {
        return Some(USAGE);
    }
    if cause.is::<ConfigError>() {
        return Some(CONFIG);
    }
    if cause.is::<KeyError>() {
        return Some(KEYS);
    }
    if cause.is::<StoreError>() {
        return Some(STORE);
    }
    if let Some(error) = cause.downcast_ref::<LogError>() {
        return match error {
            LogError::Store(_) => Some(STORE),
            LogError::Io(_) => None,
            _ => Some(NO),
        };
    }
    if let Some(error) = cause.downcast_ref::<BackupError>() {
        return match error {
            BackupError::Store(_) => Some(STORE),
            BackupError::Io { .. } => None,
            _ => Some(NO),
        };
    }
    if let Some(error) = cause.downcast_ref::<ChainError>() {
        return error.is_misconfiguration().then_some(CONFIG);
    }
    match cause.downcast_ref::<NodeError>()? {
        NodeError::KeyInUse { .. } => Some(IN_USE),
        NodeError::Store(_) | NodeError::Stored { .. } => Some(STORE),
        NodeError::Settings(_) | NodeError::Http { .. } => Some(CONFIG),
        NodeError::Chain(error) if error.is_misconfiguration() => Some(CONFIG),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use anyhow::Context as _;

    use super::*;

    #[test]
    fn every_error_finds_its_code() {
        let locked = StoreError::Locked {
            path: PathBuf::from("x"),
        };
        let settings = ChainError::Settings { detail: "x".into() };
        let in_use = NodeError::KeyInUse {
            key: quorate_proto::Address::ZERO,
            reason: "x".into(),
        };
        let table: [(anyhow::Error, u8); 14] = [
            (LogError::Version { found: 2 }.into(), NO),
            (LogError::Store(locked.clone()).into(), STORE),
            (BackupError::Store(locked.clone()).into(), STORE),
            (in_use.into(), IN_USE),
            (anyhow::anyhow!("x"), FAILED),
            (NegativeAnswer("x".into()).into(), NO),
            (Warned("x".into()).into(), WARNED),
            (Usage("x".into()).into(), USAGE),
            (locked.clone().into(), STORE),
            (NodeError::Store(locked).into(), STORE),
            (KeyError::EmptyPassword.into(), KEYS),
            (NodeError::Settings("x".into()).into(), CONFIG),
            (NodeError::Chain(settings).into(), CONFIG),
            (ChainError::NoHistory.into(), FAILED),
        ];
        for (error, expected) in table {
            let error = Err::<(), _>(error)
                .context("while at it")
                .expect_err("an error");
            assert_eq!(code_of(&error), expected, "{error:#}");
        }
    }

    #[test]
    fn the_table_names_every_code_once() {
        let mut codes: Vec<u8> = TABLE.iter().map(|(code, _)| *code).collect();
        codes.dedup();
        let all = [
            0, FAILED, NO, STORE, KEYS, IN_USE, WARNED, EXPIRED, USAGE, CONFIG, ABORTED,
        ];
        assert_eq!(codes, all);
        assert!(help().contains("\n   64  the command line is wrong\n"));
    }
}
