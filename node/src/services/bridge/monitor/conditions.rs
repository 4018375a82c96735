//! What an operator is alerted of: each once, until it is over.

use std::collections::BTreeMap;

use quorate_proto::Timestamp;
use serde::Serialize;

use super::balances::{Funds, Payer};
use super::work::{Picture, Stage, Stop};
use crate::clock;

/// Open transfers of a direction that are a backlog.
const BACKLOG: u64 = 100;
/// One of so many that fail is too much.
const FAILED_ONE_OF: u64 = 10;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// It is over.
    Info,
    Warning,
    Critical,
}

/// What is posted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct AlertMessage {
    pub(crate) level: Level,
    /// Which condition, with its place: the same as long as it lasts.
    pub(crate) what: String,
    pub(crate) detail: String,
    /// ISO 8601.
    pub(crate) time: String,
}

/// By their names.
pub(crate) type Conditions = BTreeMap<String, (Level, String)>;

/// Deliveries that ended of late in a direction: all, and those that failed.
pub(crate) type Recent = BTreeMap<&'static str, (u64, u64)>;

/// All that holds now.
pub(crate) fn conditions(picture: &Picture, payers: &[Payer], recent: &Recent) -> Conditions {
    let mut found = Conditions::new();
    let mut add = |level, what: String, detail| drop(found.insert(what, (level, detail)));
    for payer in payers {
        let what = format!("balance on chain {}", payer.lane.chain);
        match payer.funds() {
            Funds::Good => {}
            Funds::Low => add(Level::Warning, what, payer.describe()),
            Funds::Critical => add(
                Level::Critical,
                what,
                format!("{}: nothing is sent there until it has", payer.describe()),
            ),
        }
    }
    for (direction, work) in &picture.works {
        let (name, backlog, dead) = (direction.name(), work.backlog(), work.count(Stage::Failed));
        if backlog > BACKLOG {
            let detail = format!("{backlog} transfers wait or are on their way");
            add(Level::Warning, format!("backlog of {name}"), detail);
        }
        if dead > 0 {
            let detail =
                format!("{dead} transfers are not delivered: `node bridge status` says why");
            add(Level::Warning, format!("dead letters of {name}"), detail);
        }
    }
    for (name, (all, failed)) in recent {
        if failed.saturating_mul(FAILED_ONE_OF) > *all {
            let detail = format!("{failed} of {all} deliveries failed within ten minutes");
            add(Level::Warning, format!("failures of {name}"), detail);
        }
    }
    // Those that are held for their balance are told above.
    for stop in picture.stops.iter().filter(|stop| !stop.is_held) {
        add(Level::Critical, stop_name(stop), stop.reason.clone());
    }
    for (chain, nonce) in &picture.stuck {
        let detail = format!("nonce {nonce} is not mined, nor what should replace it");
        add(
            Level::Critical,
            format!("stuck nonce on chain {chain}"),
            detail,
        );
    }
    found
}

fn stop_name(stop: &Stop) -> String {
    match stop.route {
        Some(route) => format!("route {route} stopped"),
        None => format!("chain {} stopped", stop.chain),
    }
}

/// Remembers what was told.
#[derive(Debug, Default)]
pub(crate) struct Told(BTreeMap<String, Level>);

impl Told {
    /// What is to be told now: what is new or has another level, and what is over.
    pub(crate) fn tell(&mut self, holds: &Conditions, now: Timestamp) -> Vec<AlertMessage> {
        let time = clock::iso8601(now.millis());
        let message = |level, what: &String, detail: &str| AlertMessage {
            level,
            what: what.clone(),
            detail: detail.to_owned(),
            time: time.clone(),
        };
        let is_new =
            |(what, (level, _)): &(&String, &(Level, String))| self.0.get(*what) != Some(level);
        let new = holds.iter().filter(is_new);
        let mut told: Vec<_> = new
            .map(|(what, (level, detail))| message(*level, what, detail))
            .collect();
        let over = self.0.keys().filter(|what| !holds.contains_key(*what));
        told.extend(over.map(|what| message(Level::Info, what, "it is over")));
        let levels = holds
            .iter()
            .map(|(what, (level, _))| (what.clone(), *level));
        self.0 = levels.collect();
        told
    }
}
