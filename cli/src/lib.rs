//! The command line of a node: runs one, and everything around it.

// They panic where standard output or error cannot be written.
#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

mod args;
mod backup;
mod bridge;
mod certificate;
mod config;
mod data;
mod doctor;
mod environment;
mod epoch;
mod evidence;
mod exit;
mod format;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod http;
mod keys;
mod light;
mod logging;
mod operators;
mod options;
mod output;
mod password;
mod providers;
mod registration;
mod registry;
mod request;
mod run;
mod status;
mod table;
mod tasks;
mod transaction;
mod verify;

use std::process::ExitCode;

use crate::args::{Cli, Command};

/// Does what the command line asks for; the code to exit with.
pub fn main() -> ExitCode {
    let cli = match args::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    // A panic has told its place; its code would be none of the table.
    match std::panic::catch_unwind(|| dispatch(cli)) {
        Err(_) => ExitCode::from(exit::FAILED),
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            let word = if error.is::<exit::Warned>() {
                "warning"
            } else {
                "error"
            };
            // A part of it may be what a peer answered.
            let error_text = format::printable_lines(&format!("{error:#}"));
            output::note(format!("{word}: {error_text}"));
            ExitCode::from(exit::code_of(&error))
        }
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<()> {
    let Some(command) = cli.command else {
        return run::run(&cli.run);
    };
    // A running node takes its own settings; all other commands only tell what went wrong.
    logging::quiet();
    match command {
        Command::Keys(command) => keys::run(command),
        Command::Config(command) => config::run(command),
        Command::Request(command) => wait(request::run(command)),
        Command::Verify(args) => wait(verify::run(args)),
        Command::Explain(args) => wait(tasks::explain(args)),
        Command::Tasks(args) => wait(tasks::list(args)),
        Command::Status(args) => wait(status::run(args)),
        Command::Doctor(args) => wait(doctor::run(*args)),
        Command::Providers(args) => wait(providers::run(args)),
        Command::Bridge(command) => wait(bridge::run(command)),
        Command::Operators(args) => wait(operators::run(args)),
        Command::Epoch(command) => wait(epoch::run(command)),
        Command::Evidence(command) => wait(evidence::run(command)),
        Command::Registry(command) => wait(registry::run(command)),
        Command::Register(args) => wait(registration::register(args)),
        Command::ChangeKey(args) => wait(registration::change_key(args)),
        Command::Backup(args) => wait(backup::backup(args)),
        Command::Restore(args) => backup::restore(&args),
        Command::Deregister(args) => wait(registration::deregister(args)),
    }
}

fn wait(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(command)
}
