//! This machine's clock: against the peers' while the node runs, else against the providers'.

use std::time::{Duration, Instant, SystemTime};

use alloy::transports::http::reqwest::{Client, Url, header};
use futures::future::join_all;
use quorate_node::api::Machine;
use quorate_node::settings::Settings;

use super::finding::{Finding, Level};

/// A server that takes longer says nothing exact.
const PATIENCE: Duration = Duration::from_secs(3);

/// Milliseconds that a clock may differ beyond what the measurement leaves open. From the first on
/// its owner should look; at the second, messages are taken for late.
const OFFSET_MS: [u64; 2] = [750, 3_000];

const CURE: &str = "let NTP set the clock (chrony, systemd-timesyncd), then restart the node";

/// What the running node has found.
pub(super) fn of_node(machine: &Machine) -> Option<Finding> {
    let offset = machine.clock_offset_ms?;
    let peers = crate::format::count(machine.clock_peers, "peer");
    let open = machine.clock_uncertainty_ms.unwrap_or_default();
    Some(judge(offset, open, &format!("than {peers}")))
}

fn judge(offset_ms: i64, open_ms: u64, than: &str) -> Finding {
    let beyond = offset_ms.unsigned_abs().saturating_sub(open_ms);
    let way = if offset_ms < 0 { "earlier" } else { "later" };
    let found = format!(
        "{} ms {way} {than}, ±{open_ms} ms",
        offset_ms.unsigned_abs()
    );
    Finding::at(Finding::graded(&beyond, OFFSET_MS), "clock", found, CURE)
}

/// By the `Date` that the providers' servers put on their answers; exact to half a second.
pub(super) async fn of_providers(settings: &Settings) -> Finding {
    let chains = settings.chains.iter().map(|chain| &chain.chain);
    let providers = std::iter::once(&settings.home.chain)
        .chain(chains)
        .flat_map(|chain| &chain.rpc);
    let hosts: Vec<Url> = providers
        .filter_map(|p| Url::parse(&p.url.to_string()).ok())
        .collect();
    let Ok(client) = Client::builder().timeout(PATIENCE).build() else {
        return unknown();
    };
    let asked = join_all(hosts.into_iter().map(|host| ask(&client, host))).await;
    let mut offsets: Vec<(i64, u64)> = asked.into_iter().flatten().collect();
    offsets.sort_unstable();
    match offsets.get(offsets.len() / 2) {
        Some((offset, open)) => {
            let count = crate::format::count(offsets.len(), "RPC provider");
            judge(*offset, *open, &format!("than {count}"))
        }
        None => unknown(),
    }
}

fn unknown() -> Finding {
    Finding::at(
        Level::Warning,
        "clock",
        "no peer told the time to compare with",
        "start the node, which compares with its peers",
    )
}

/// This clock minus that of a server, and by how much it may be wrong, both in milliseconds. Only
/// the host is asked, without path and key: any answer has a date.
async fn ask(client: &Client, host: Url) -> Option<(i64, u64)> {
    let sent = Instant::now();
    let response = client.head(host).send().await.ok()?;
    let took = sent.elapsed();
    let date = response.headers().get(header::DATE)?.to_str().ok()?;
    offset(
        SystemTime::now(),
        took,
        httpdate::parse_http_date(date).ok()?,
    )
}

/// A date stands for the second that it begins.
fn offset(now: SystemTime, took: Duration, date: SystemTime) -> Option<(i64, u64)> {
    const HALF: Duration = Duration::from_millis(500);
    let (own, theirs) = (now.checked_sub(took / 2)?, date.checked_add(HALF)?);
    let millis = |time: Duration| i64::try_from(time.as_millis()).ok();
    let offset = match own.duration_since(theirs) {
        Ok(ahead) => millis(ahead)?,
        Err(behind) => millis(behind.duration())?.checked_neg()?,
    };
    let open = HALF + took / 2;
    Some((offset, u64::try_from(open.as_millis()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_exact_to_half_a_second() {
        let date = httpdate::parse_http_date("Sat, 21 Nov 2026 13:00:00 GMT").expect("a date");
        let at = |ms: u64| date + Duration::from_millis(ms);
        let took = Duration::from_millis(100);
        assert_eq!(offset(at(550), took, date), Some((0, 550)));
        assert_eq!(offset(at(10_550), took, date), Some((10_000, 550)));
        assert_eq!(
            offset(date - Duration::from_millis(9_450), took, date),
            Some((-10_000, 550))
        );
    }

    #[test]
    fn only_what_is_beyond_doubt_is_told() {
        for (offset, open, level) in [
            (0, 0, Level::Ok),
            (749, 0, Level::Ok),
            (-750, 0, Level::Warning),
            (1_200, 550, Level::Ok),
            (-3_600, 550, Level::Error),
            (i64::MIN, 0, Level::Error),
        ] {
            assert_eq!(
                judge(offset, open, "than 3 peers").level,
                level,
                "{offset} {open}"
            );
        }
        assert!(of_node(&Machine::default()).is_none());
    }
}
