//! Settings that change while the node runs: read anew at SIGHUP, all of them or none.

use anyhow::Context as _;
use quorate_node::Reloader;
use quorate_node::settings::Settings;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::config::text;
use crate::logging::{self, SetFilter};
use crate::options::{ConfigError, RunArgs, RunOptions};

/// The sources of the settings, and what they said last.
pub(super) struct Reload {
    args: RunArgs,
    holding: RunOptions,
    log: SetFilter,
    hangups: Signal,
}

impl Reload {
    /// From now on a SIGHUP does not end the process. Needs the runtime.
    pub(super) fn new(args: RunArgs, holding: RunOptions, log: SetFilter) -> anyhow::Result<Self> {
        Ok(Self {
            args,
            holding,
            log,
            hangups: signal(SignalKind::hangup()).context("cannot watch for signals")?,
        })
    }

    /// Reads them again at every SIGHUP.
    pub(super) async fn run(mut self, node: Reloader) {
        while self.hangups.recv().await.is_some() {
            match self.read() {
                Ok((options, settings, filter)) => {
                    let changed = self.holding.differences(&options);
                    (self.log)(filter);
                    node.apply(&settings);
                    let names: Vec<String> = changed.iter().map(|one| one.name()).collect();
                    tracing::info!(changed = names.join(" "), "settings read again");
                    self.holding = options;
                }
                Err(error) => {
                    tracing::error!(%error, "new settings refused, the former ones hold");
                    node.refuse(error.to_string());
                }
            }
        }
    }

    fn read(&self) -> Result<(RunOptions, Settings, EnvFilter), ConfigError> {
        let options = self.args.resolve()?;
        let settings = options.to_settings()?;
        let filter = logging::check(text(&options.log), text(&options.log_format))?;
        self.holding.may_become(&options)?;
        Ok((options, settings, filter))
    }
}
