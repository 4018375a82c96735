//! Where passwords and secrets come from: a file, the environment, or the user of a terminal.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use quorate_node::keys::{KeyError, Password, read_text};

use crate::environment::variable;
use crate::options::expand_home;

/// Holds the password where no file does.
pub(crate) const VARIABLE: &str = "QUORATE_PASSWORD";

/// Where the password of a key comes from.
#[derive(Args, Debug, Default)]
pub(crate) struct PasswordArgs {
    /// File with the password of the keys; else it is taken from the environment variable
    /// QUORATE_PASSWORD, or asked for on a terminal
    #[arg(long, value_name = "FILE", env = "QUORATE_PASSWORD_FILE")]
    pub(crate) password_file: Option<PathBuf>,
}

impl PasswordArgs {
    /// For protecting new keys: asked for twice.
    pub(crate) fn new_keys(&self) -> anyhow::Result<Password> {
        obtain(
            self.password_file.as_deref(),
            "New password for the keys",
            true,
        )
    }
}

/// File, else environment, else terminal.
pub(crate) fn obtain(file: Option<&Path>, prompt: &str, confirm: bool) -> anyhow::Result<Password> {
    if let Some(file) = file {
        return from_file(&expand_home(file)?);
    }
    if let Some(text) = variable(VARIABLE) {
        return Password::new(text).with_context(|| format!("the environment variable {VARIABLE}"));
    }
    if !std::io::stdin().is_terminal() {
        return Err(missing());
    }
    let password = Password::new(ask(prompt)?)?;
    if confirm && Password::new(ask("The same again")?)? != password {
        anyhow::bail!("the two passwords differ; nothing was written");
    }
    Ok(password)
}

/// Asks for something secret on the terminal.
pub(crate) fn ask(prompt: &str) -> anyhow::Result<String> {
    rpassword::prompt_password(format!("{prompt}: ")).context("cannot read from the terminal")
}

fn missing() -> anyhow::Error {
    let cure =
        format!("use --password-file FILE or set {VARIABLE}; there is no terminal to ask on");
    anyhow::Error::new(KeyError::EmptyPassword)
        .context(cure)
        .context("no password for the keys")
}

/// The first line of a file: editors add an end of line, which is no part of it.
fn from_file(path: &Path) -> anyhow::Result<Password> {
    let text = read_text(path).map_err(|error| KeyError::Io {
        action: "read the password file",
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    Password::new(line).with_context(|| format!("the password file {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_line_is_no_part_of_the_password() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("password");
        for text in [
            "pass word",
            "pass word\n",
            "pass word\r\n",
            "\u{feff}pass word\r\n",
        ] {
            std::fs::write(&path, text).expect("written");
            assert_eq!(
                from_file(&path).expect("a password").as_bytes(),
                b"pass word"
            );
        }
    }

    #[test]
    fn files_that_give_no_password_are_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("password");
        let absent = format!("{:#}", from_file(&path).expect_err("refused"));
        assert!(
            absent.starts_with("cannot read the password file "),
            "{absent}"
        );
        std::fs::write(&path, "\n").expect("written");
        let empty = from_file(&path).expect_err("refused");
        assert_eq!(crate::exit::code_of(&empty), crate::exit::KEYS);
        assert!(
            format!("{empty:#}").contains("the password is empty"),
            "{empty:#}"
        );
    }
}
