//! Environment variables. One that is set and empty is as one that is not set: compose files make
//! such variables of every setting that is left out.

use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};
use quorate_node::keys::KeyKind;
use quorate_node::settings::Role;

use crate::options::{Problem, deployed, has_quotes};

/// The text of a variable, if it is set to one.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// The environment variable that may hold a secret instead of a key file.
pub(crate) const fn secret_variable(kind: KeyKind) -> Option<&'static str> {
    match kind {
        KeyKind::Signing => Some("QUORATE_SIGNING_SECRET"),
        KeyKind::Peer => Some("QUORATE_PEER_SECRET"),
        KeyKind::Ed25519 => Some("QUORATE_ED25519_SECRET"),
    }
}

/// The variable that holds the secret of a key, and its text; at relayers also one of a deployed relayer.
pub(crate) fn secret(kind: KeyKind, role: Option<Role>) -> Option<(&'static str, String)> {
    let own = secret_variable(kind).and_then(|name| Some((name, variable(name)?)));
    own.or_else(|| deployed::secret(kind, role, &variable))
}

/// `command` without the variables that are empty, in all of its commands.
pub(crate) fn without_empty(command: Command) -> Command {
    let command = command.mut_args(|arg| {
        let empty = arg.get_env().and_then(std::env::var_os);
        match empty.is_some_and(|value| value.to_string_lossy().trim().is_empty()) {
            true => arg.env(Resettable::Reset),
            false => arg,
        }
    });
    command.mut_subcommands(without_empty)
}

/// A variable in use whose value stands in quotation marks.
pub(crate) fn quoted(command: &Command, matches: &ArgMatches) -> Option<Problem> {
    if let Some((name, matches)) = matches.subcommand() {
        return quoted(command.find_subcommand(name)?, matches);
    }
    let of_environment =
        |id: &clap::Id| matches.value_source(id.as_str()) == Some(ValueSource::EnvVariable);
    matches
        .ids()
        .filter(|id| of_environment(id))
        .find_map(|id| {
            let arg = command.get_arguments().find(|arg| arg.get_id() == id)?;
            let value = std::env::var(arg.get_env()?).ok()?;
            let name = arg.get_env()?.to_string_lossy();
            has_quotes(&value).then(|| Problem::quotes(name, &value))
        })
}
