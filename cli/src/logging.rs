//! Logs go to standard error; standard output is for answers.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::fmt;

use crate::environment::variable;
use crate::options::{ConfigError, Problem};

/// For commands: warnings only, without times.
pub(crate) fn quiet() {
    let filter = EnvFilter::new("warn,libp2p=error");
    let started = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .with_target(false)
        .with_ansi(colours())
        .log_internal_errors(false)
        .try_init();
    // Only a second call fails, and there is none.
    drop(started);
}

/// For a running node.
pub(crate) fn start(filter: &str, format: &str) -> Result<(), ConfigError> {
    let filter = check(filter, format)?;
    let builder = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // A log that cannot be written never ends a node: the report of that would panic.
        .log_internal_errors(false)
        .with_ansi(colours());
    let started = match format {
        "json" => builder.json().flatten_event(true).try_init(),
        _ => builder.try_init(),
    };
    drop(started);
    Ok(())
}

/// Colours are for people: not in files, and not where NO_COLOR says so.
fn colours() -> bool {
    std::io::stderr().is_terminal() && variable("NO_COLOR").is_none()
}

/// Whether these settings can be used.
pub(crate) fn check(filter: &str, format: &str) -> Result<EnvFilter, ConfigError> {
    if !matches!(format, "human" | "json") {
        let text = format!("{format:?} is not known; use human or json");
        return Err(ConfigError::Problems(vec![Problem::new(
            "log_format",
            text,
        )]));
    }
    EnvFilter::try_new(filter).map_err(|error| {
        let text = format!("{filter:?} cannot be read ({error}); use a level such as info");
        ConfigError::Problems(vec![Problem::new("log", text)])
    })
}
