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

/// What is logged from now on.
pub(crate) type SetFilter = Box<dyn Fn(EnvFilter) + Send>;

/// For a running node.
pub(crate) fn start(filter: &str, format: &str) -> Result<SetFilter, ConfigError> {
    let filter = check(filter, format)?;
    let builder = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // A log that cannot be written never ends a node: the report of that would panic.
        .log_internal_errors(false)
        .with_ansi(colours());
    // The two are of different types.
    Ok(match format {
        "json" => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let filter = builder.reload_handle();
            drop(builder.try_init());
            Box::new(move |new| drop(filter.reload(new)))
        }
        _ => {
            let builder = builder.with_filter_reloading();
            let filter = builder.reload_handle();
            drop(builder.try_init());
            Box::new(move |new| drop(filter.reload(new)))
        }
    })
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
