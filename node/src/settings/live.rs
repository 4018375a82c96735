//! What may change while a node runs.

use std::collections::BTreeMap;
use std::time::Duration;

use libp2p::PeerId;
use serde_json::Value;
use tokio::sync::watch;

use super::declare::Section;
use super::{Limits, Policy, Retention, Settings, section};

/// The settings that may change while a node runs. Each task reads them where it needs them, so that all
/// of them change at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reloadable {
    /// Those of the mesh are fixed at the start.
    pub(crate) limits: Limits,
    pub(crate) policy: Policy,
    pub(crate) retention: Retention,
    pub(crate) http_hosts: Vec<String>,
    pub(crate) allowed_peers: Vec<PeerId>,
    pub(crate) drain: Duration,
    /// Of services, as [`Settings::section`] reads them.
    pub(crate) sections: BTreeMap<&'static str, Value>,
}

/// How a task sees them.
pub(crate) type LiveSettings = watch::Receiver<Reloadable>;

impl From<&Settings> for Reloadable {
    fn from(settings: &Settings) -> Self {
        Self {
            limits: settings.limits,
            policy: settings.policy,
            retention: settings.retention,
            http_hosts: settings.http_hosts.clone(),
            allowed_peers: settings.reach.allowed_peers.clone(),
            drain: settings.drain,
            sections: settings.sections.clone(),
        }
    }
}

/// Settings that never change.
#[cfg(test)]
pub(crate) fn fixed(live: Reloadable) -> LiveSettings {
    watch::channel(live).1
}

/// Gives a running node other settings.
#[derive(Clone)]
pub struct Reloader {
    live: watch::Sender<Reloadable>,
    refused: watch::Sender<Option<String>>,
}

impl Reloader {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            live: watch::Sender::new(settings.into()),
            refused: watch::Sender::new(None),
        }
    }

    /// From now on these hold, as far as they may change while the node runs; all others are not looked at.
    pub fn apply(&self, settings: &Settings) {
        self.live.send_replace(settings.into());
        self.refused.send_replace(None);
    }

    /// New settings cannot be used: what held before still does, and `/health` says why until others are
    /// applied.
    pub fn refuse(&self, reason: String) {
        self.refused.send_replace(Some(reason));
    }

    /// The section of a service, as it holds now.
    #[must_use]
    pub fn section<S: Section>(&self) -> Option<S> {
        section(&self.live.borrow().sections)
    }

    /// Why the newest settings do not hold.
    pub(crate) fn refused(&self) -> Option<String> {
        let refused = self.refused.borrow();
        let reason = refused.as_ref()?;
        Some(format!(
            "new settings were refused, the former ones hold: {reason}"
        ))
    }

    pub(crate) fn live(&self) -> LiveSettings {
        self.live.subscribe()
    }
}
