//! Figures of a relayer, with the names that dashboards of such relayers read.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_chain::ChainFamily;

use super::balances::Payer;
use super::work::{Picture, Stage};
use crate::services::bridge::direction::Direction;
use crate::services::bridge::units::coins;

/// All of them; rules and dashboards name no others.
#[cfg(test)]
pub(super) const NAMES: [&str; 13] = [
    "relayer_events_total",
    "relayer_latency_seconds_bucket",
    "relayer_queue_size",
    "relayer_balance_svm",
    "relayer_balance_evm",
    "relayer_payer_balance",
    "relayer_payer_minimum",
    "relayer_payer_held",
    "relayer_retries",
    "relayer_dead_letters",
    "relayer_stopped",
    "relayer_stuck_nonces",
    "relayer_alerts_lost_total",
];

/// Makes counters known before the first thing is counted.
pub(super) fn declare<'a>(directions: impl Iterator<Item = &'a Direction>) {
    for direction in directions {
        for status in ["success", "failed"] {
            events(*direction, status).increment(0);
        }
        drop(latency(*direction));
    }
    metrics::counter!("relayer_alerts_lost_total").increment(0);
}

fn events(direction: Direction, status: &'static str) -> metrics::Counter {
    metrics::counter!("relayer_events_total", "service" => direction.name(), "status" => status)
}

fn latency(direction: Direction) -> metrics::Histogram {
    metrics::histogram!("relayer_latency_seconds", "service" => direction.name())
}

/// One delivery that has ended; and in Unix milliseconds, when its transfer was seen and it ended.
pub(super) fn count(direction: Direction, failed: bool, times: Option<(u64, u64)>) {
    let status = if failed { "failed" } else { "success" };
    events(direction, status).increment(1);
    if let (false, Some((seen, ended))) = (failed, times) {
        let took = Duration::from_millis(ended.saturating_sub(seen));
        latency(direction).record(took.as_secs_f64());
    }
}

/// Figures that are read rather than counted.
pub(super) fn gauge(picture: &Picture, payers: &[Payer]) {
    for direction in Direction::ALL {
        let Some(work) = picture.works.get(&direction) else {
            continue;
        };
        for stage in [Stage::Pending, Stage::Processing] {
            metrics::gauge!("relayer_queue_size", "service" => direction.name(), "status" => stage.name())
                .set(number(work.count(stage)));
        }
        metrics::gauge!("relayer_dead_letters", "service" => direction.name())
            .set(number(work.count(Stage::Failed)));
        let open = work.jobs.iter().filter(|job| job.ended_ms.is_none());
        let retries = open.map(|job| u64::from(job.retries)).sum();
        metrics::gauge!("relayer_retries", "service" => direction.name()).set(number(retries));
    }
    let stopped = picture.stops.iter().filter(|stop| !stop.is_held).count();
    metrics::gauge!("relayer_stopped").set(number(stopped as u64));
    metrics::gauge!("relayer_stuck_nonces").set(number(picture.stuck.len() as u64));
    for payer in payers {
        lane(payer);
    }
    for (family, balance) in by_family(payers) {
        match family {
            "svm" => metrics::gauge!("relayer_balance_svm").set(balance),
            _ => metrics::gauge!("relayer_balance_evm").set(balance),
        }
    }
}

fn lane(payer: &Payer) {
    let (chain, family) = (payer.lane.chain.to_string(), payer.family);
    metrics::gauge!("relayer_payer_minimum", "chain" => chain.clone())
        .set(coins(payer.minimum, family));
    if let Some(balance) = payer.balance {
        let held = balance < payer.minimum;
        metrics::gauge!("relayer_payer_held", "chain" => chain.clone()).set(number(held.into()));
        metrics::gauge!("relayer_payer_balance", "chain" => chain).set(coins(balance, family));
    }
}

/// What the poorest payer of each family has, in coins.
pub(crate) fn by_family(payers: &[Payer]) -> BTreeMap<&'static str, f64> {
    let mut least: BTreeMap<&'static str, f64> = BTreeMap::new();
    for payer in payers {
        let Some(balance) = payer.balance else {
            continue;
        };
        let family = match payer.family {
            ChainFamily::Svm => "svm",
            _ => "evm",
        };
        let balance = coins(balance, payer.family);
        let known = least.entry(family).or_insert(balance);
        *known = known.min(balance);
    }
    least
}

/// Counts stay far below 2^32.
fn number(count: u64) -> f64 {
    u32::try_from(count).unwrap_or(u32::MAX).into()
}
