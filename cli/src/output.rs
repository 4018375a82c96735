//! Answers on standard output, notes on standard error.
//!
//! The macros of the standard library panic where these cannot be written. Here a reader that has
//! closed its end of a pipe has had enough, which changes nothing about what the command found; an
//! answer that cannot be written for another reason, such as a full disk, is an error; and a note
//! is worth no failure at all.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write as _};

use anyhow::Context as _;
use serde::Serialize;

/// Prints an answer as it is.
///
/// # Errors
/// What the system says, unless the reader is gone.
pub(crate) fn text(text: impl Display) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let written = write!(out, "{text}").and_then(|()| out.flush());
    is_read(written).map(drop)
}

/// Prints an answer and an end of line.
///
/// # Errors
/// As [`text`].
pub(crate) fn line(line: impl Display) -> anyhow::Result<()> {
    text(format_args!("{line}\n"))
}

/// Prints an answer as JSON.
///
/// # Errors
/// As [`text`].
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string_pretty(value)?)
}

/// Tells something beside the answer.
pub(crate) fn note(note: impl Display) {
    let _ = writeln!(io::stderr(), "{note}");
}

/// Whether what was written still has a reader.
///
/// # Errors
/// Any other reason why it could not be written.
pub(crate) fn is_read(written: io::Result<()>) -> anyhow::Result<bool> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        other => other.map(|()| true).context("cannot write the output"),
    }
}
