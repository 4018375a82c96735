//! The shape of the command line.

use std::num::ParseIntError;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::options::{self, ConfigError, RunArgs};
use crate::{
    backup, bridge, config, doctor, environment, epoch, evidence, exit, keys, operators, output,
    providers, registration, registry, request, status, tasks, verify,
};

/// A node of a Quorate network: operators attest facts about blockchains under their stake, and
/// anyone can check the result on any chain.
///
/// Without a command it runs a node: `node --role operator --config node.toml`.
#[derive(Debug, Parser)]
#[command(name = "node", version, args_conflicts_with_subcommands = true)]
#[command(after_long_help = exit::help(), max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) run: RunArgs,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make, import and list keys
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Print, check and show the configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Ask the network for a certificate
    #[command(subcommand)]
    Request(request::RequestCommand),
    /// Check a certificate against an operator set, on chain, or both
    Verify(verify::VerifyArgs),
    /// Tell who saw, signed and refused a task, how late, and what weight was missing
    Explain(tasks::ExplainArgs),
    /// List the latest tasks of a running node
    Tasks(tasks::TasksListArgs),
    /// Show how a running node is
    Status(status::StatusArgs),
    /// Examine the node, its machine, providers, keys and chains; each finding with its cure
    Doctor(Box<doctor::DoctorArgs>),
    /// Show how the RPC providers of a running node fare
    Providers(providers::ProvidersArgs),
    /// Show what a running node has of bridges
    #[command(subcommand)]
    Bridge(bridge::BridgeCommand),
    /// List the operators of the current epoch
    Operators(operators::OperatorsArgs),
    /// Show how epochs hand over, and carry that to other chains
    #[command(subcommand)]
    Epoch(epoch::EpochCommand),
    /// Show, check and submit proofs that operators signed two facts for one slot
    #[command(subcommand)]
    Evidence(evidence::EvidenceCommand),
    /// Ask a running registry who takes part
    #[command(subcommand)]
    Registry(registry::RegistryCommand),
    /// Stake and join the registry as an operator
    Register(registration::RegisterArgs),
    /// Take another signing key
    ChangeKey(registration::ChangeKeyArgs),
    /// Leave the registry
    Deregister(registration::DeregisterArgs),
    /// Copy the store of a node, running or not, into a folder
    Backup(backup::BackupArgs),
    /// Put the store of a backup into a data folder
    Restore(backup::RestoreArgs),
}

/// Reads the command line; where that fails, or only help was asked for, says so and returns the
/// code to exit with.
pub(crate) fn parse() -> Result<Cli, ExitCode> {
    let mut command = environment::without_empty(Cli::command());
    let matches = command.try_get_matches_from_mut(std::env::args_os());
    let parsed = matches.and_then(|matches| {
        let quoted = environment::quoted(&command, &matches);
        Cli::from_arg_matches(&matches).map(|cli| (cli, quoted))
    });
    match parsed {
        Ok((cli, None)) => Ok(cli),
        Ok((_, Some(problem))) => {
            let error = ConfigError::Problems(vec![problem]);
            output::note(format!("error: {error}"));
            Err(ExitCode::from(exit::CONFIG))
        }
        Err(error) => Err(told(error)),
    }
}

/// Prints what the parser says.
fn told(error: clap::Error) -> ExitCode {
    let asked = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    let printed = output::is_read(with_tip(without_secrets(error)).print());
    match (asked, printed) {
        // Where even standard error is closed, the code has to do.
        (false, _) => ExitCode::from(exit::USAGE),
        (true, Ok(_)) => ExitCode::SUCCESS,
        (true, Err(error)) => {
            output::note(format!("error: {error:#}"));
            ExitCode::from(exit::FAILED)
        }
    }
}

/// Adds the cure to what could not be read.
fn with_tip(mut error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(text)) = error.get(ContextKind::InvalidValue) else {
        return error;
    };
    let no_number =
        std::error::Error::source(&error).is_some_and(|cause| cause.is::<ParseIntError>());
    let tip = match (options::has_quotes(text), no_number) {
        (true, _) => "the quotation marks are taken for a part of the value; write it without them",
        (false, true) => "write a whole number in decimal digits, without unit",
        (false, false) => return error,
    };
    let tips = vec![tip.into()];
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    error
}

/// The parser repeats what it could not read; URLs in there lose their secrets.
fn without_secrets(mut error: clap::Error) -> clap::Error {
    if let Some(ContextValue::String(text)) = error.get(ContextKind::InvalidValue) {
        let shown = options::redact(text);
        error.insert(ContextKind::InvalidValue, ContextValue::String(shown));
    }
    error
}

#[cfg(test)]
mod documentation;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_environment_of_a_node_does_not_disturb_commands() {
        let cli = Cli::try_parse_from(["node", "keys", "list"]).expect("parsed");
        assert!(matches!(cli.command, Some(Command::Keys(_))));
        let both = Cli::try_parse_from(["node", "--role", "operator", "keys", "list"]);
        assert!(both.is_err());
    }

    #[test]
    fn numbers_that_are_none_are_told_with_a_cure() {
        for value in ["15s", "1.5", "", "0x10"] {
            let parsed = Cli::try_parse_from(["node", "--drain-ms", value]);
            let text = with_tip(parsed.expect_err(value)).to_string();
            assert!(
                text.contains("--drain-ms") && text.contains("a whole number"),
                "{text}"
            );
        }
    }

    #[test]
    fn refused_values_are_shown_without_their_secrets() {
        let spec = "id=x,rpc=https://h.org/v3/topsecret";
        let error = Cli::try_parse_from(["node", "--chain", spec]).expect_err("refused");
        let text = without_secrets(error).to_string();
        assert!(!text.contains("topsecret"), "{text}");
        assert!(text.contains("https://h.org"), "{text}");
    }
}
