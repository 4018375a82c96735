//! Alerts and dashboard speak of what a node has.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use quorate_testnet::wait;
use serde_json::Value;

use crate::support::{Outcome, SOON, certify, turn, usual_network};

/// What Prometheus makes of a histogram.
const OF_HISTOGRAMS: [&str; 3] = ["_bucket", "_count", "_sum"];

fn file(name: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("monitoring")
        .join(name);
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// All names of figures in a text.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !is_part(c))
        .filter(|word| word.starts_with("quorate_"))
        .map(str::to_owned)
        .collect()
}

/// The names that a `/metrics` page has samples of.
fn samples(page: &str) -> BTreeSet<String> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| names(line.split(['{', ' ']).next()?).pop_first())
        .collect()
}

fn queries(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten();
    targets
        .filter_map(|target| target["expr"].as_str().map(str::to_owned))
        .collect()
}

/// The words behind `key:` at the beginning of lines.
fn values(text: &str, key: &str) -> BTreeSet<String> {
    let value = |line: &str| {
        let line = line.trim_start().trim_start_matches("- ");
        Some(line.strip_prefix(key)?.trim().to_owned())
    };
    text.lines().filter_map(value).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_and_dashboard_use_figures_that_nodes_have() -> Outcome {
    let _turn = turn().await;
    let rules = file("rules.yml")?;
    let dashboard: Value = serde_json::from_str(&file("grafana.json")?)?;
    let queries = queries(&dashboard);
    ensure!(queries.len() > 30, "{} queries", queries.len());
    let wanted = names(&(rules + &queries.join("\n")));
    ensure!(wanted.len() > 30, "{wanted:?}");

    let network = usual_network().await?;
    let block = network.set_value(7, 100).await?;
    certify(&network, 0, 7, block).await?;
    // So that a set is delivered over.
    network.deployment.next_epoch().await?;
    let nodes = [&network.operators[0], &network.registries[0]];
    // What is measured once a minute, or at a check, takes a moment to be there.
    let missing = || async {
        let mut there = BTreeSet::new();
        for node in nodes {
            there.extend(samples(&node.get_text("/metrics").await.ok()?));
        }
        let known = |name: &String| {
            let histogram = OF_HISTOGRAMS.iter().any(|part| {
                name.strip_suffix(part)
                    .is_some_and(|base| there.contains(base))
            });
            there.contains(name) || histogram
        };
        Some(
            wanted
                .iter()
                .filter(|name| !known(name))
                .cloned()
                .collect::<Vec<_>>(),
        )
    };
    let all = wait::until("all figures", 2 * SOON, || async {
        missing().await.filter(Vec::is_empty)
    });
    if all.await.is_err() {
        anyhow::bail!("no node has {:?}", missing().await);
    }
    Ok(())
}

#[test]
fn every_alert_is_tested_and_explained() -> Outcome {
    let rules = file("rules.yml")?;
    let alerts = values(&rules, "alert:");
    ensure!(alerts.len() > 20, "{alerts:?}");
    let tested = values(&file("rules.test.yml")?, "alertname:");
    ensure!(
        tested == alerts,
        "tested are {tested:?}, there are {alerts:?}"
    );
    let manual = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md"),
    )?;
    let untold: Vec<_> = alerts
        .iter()
        .filter(|alert| !manual.contains(&format!("`{alert}`")))
        .collect();
    ensure!(
        untold.is_empty(),
        "docs/operations.md does not tell what to do about {untold:?}"
    );
    Ok(())
}
