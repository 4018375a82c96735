//! `node status`: how a running node is.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use quorate_node::api::{ChainStatus, NotReady, Reachability, Ready, RegistryLine, Status};
use quorate_proto::U256;

use crate::exit::NegativeAnswer;
use crate::format;
use crate::http::NodeArgs;
use crate::output;
use crate::table::{Facts, Table};

#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    /// Only tell whether the node can sign now; exit code 0 if it can, 2 with the reasons if not
    #[arg(long)]
    ready: bool,

    #[command(flatten)]
    node: NodeArgs,
}

pub(crate) async fn run(args: StatusArgs) -> anyhow::Result<()> {
    let status: Status = args.node.get("/status").await?;
    if args.ready {
        return readiness(&status.ready, args.node.json);
    }
    if args.node.json {
        output::json(&status)?;
    } else {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |age| age.as_secs());
        output::text(render(&status, now))?;
    }
    match status.problems.len() {
        0 => Ok(()),
        count => {
            Err(NegativeAnswer(format!("the node has {}", format::count(count, "problem"))).into())
        }
    }
}

fn readiness(ready: &Ready, json: bool) -> anyhow::Result<()> {
    match json {
        true => output::json(&ready)?,
        false => output::text(render_ready(ready))?,
    }
    match ready.ready {
        true => Ok(()),
        false => Err(NegativeAnswer("the node is not ready to sign".into()).into()),
    }
}

/// One line a reason; what is only degraded stands behind.
fn render_ready(ready: &Ready) -> String {
    let line = |reason: &NotReady| match reason.chain_id {
        Some(chain) => format!("! {} {chain}: {}\n", reason.code, reason.detail),
        None => format!("! {}: {}\n", reason.code, reason.detail),
    };
    let (verdict, lines) = match (ready.ready, ready.degraded.is_empty()) {
        (true, true) => ("Ready\n", String::new()),
        (true, false) => (
            "Ready, but not for every chain\n",
            ready.degraded.iter().map(line).collect(),
        ),
        (false, _) => (
            "Not ready\n",
            ready
                .reasons
                .iter()
                .chain(&ready.degraded)
                .map(line)
                .collect(),
        ),
    };
    format!("{verdict}{lines}")
}

fn render(status: &Status, now: u64) -> String {
    let mut facts = Facts::default();
    facts.add(
        "Node",
        format!(
            "{} {}, up {}",
            status.role,
            status.version,
            format::seconds(status.uptime_s)
        ),
    );
    facts.add("Network", &status.network);
    facts.add("Peer id", &status.peer_id);
    for address in &status.listen {
        facts.add("Listens on", address);
    }
    facts.add("Peers", status.peers);
    facts.add("Reachable", reachable(&status.reachability, &status.listen));
    facts.add_some("Operator", status.operator.as_ref());
    facts.add_some("Signing key", status.signing_key.as_ref());
    facts.add_some(
        "Weight",
        status
            .weight
            .as_deref()
            .map(|weight| weight_of(status, weight)),
    );
    facts.add(
        "Epoch",
        status
            .epoch
            .map_or_else(|| "not known yet".into(), |epoch| epoch.to_string()),
    );
    facts.add_some("Set", set_of(status));
    facts.add("Open tasks", status.open_tasks);
    let behind = (status.behind > 0).then(|| format!("{} behind others", status.behind));
    facts.add_some("Tasks", behind);
    let mut table = Table::new(&[">CHAIN", "KIND", ">FINAL BLOCK", ">BEHIND"]);
    for chain in &status.chains {
        table.row(chain_row(chain, now));
    }
    let registries = registry_table(&status.registries);
    let problems: String = status
        .problems
        .iter()
        .map(|text| format!("! {text}\n"))
        .collect();
    let health = if status.problems.is_empty() {
        "Healthy\n".to_owned()
    } else {
        problems
    };
    let ready = render_ready(&status.ready);
    format!("{facts}\n{table}\n{registries}{health}{ready}")
}

/// How an operator stands with its registries; nothing at other nodes.
fn registry_table(lines: &[RegistryLine]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["REGISTRY", "JOINED", "STATUS", "PROBLEM"]);
    for line in lines {
        table.row([
            line.peer_id.clone(),
            if line.joined { "yes" } else { "no" }.into(),
            line.status.clone().unwrap_or_default(),
            line.problem.clone().unwrap_or_default(),
        ]);
    }
    format!("{table}\n")
}

fn reachable(known: &Reachability, listen: &[String]) -> String {
    let is_relayed = |address: &String| address.contains("/p2p-circuit");
    match (known.state.as_str(), known.addresses.last()) {
        ("public", Some(address)) => format!("from outside, at {address}"),
        ("public", None) => "from outside".into(),
        ("private", _) if listen.iter().any(is_relayed) => {
            "from outside through relays only".into()
        }
        ("private", _) => "not from outside: forward the ports, and set `external`".into(),
        _ => "not known yet".into(),
    }
}

fn weight_of(status: &Status, weight: &str) -> String {
    let whole: Option<U256> = status
        .total_weight
        .as_deref()
        .and_then(|total| total.parse().ok());
    match (weight.parse(), whole) {
        (Ok(part), Some(whole)) => format!(
            "{} ({})",
            format::amount(part),
            format::percent(part, whole)
        ),
        _ => format::amount_text(weight),
    }
}

fn set_of(status: &Status) -> Option<String> {
    let total = status.total_weight.as_deref().map(format::amount_text)?;
    let threshold = status.threshold.as_deref().map(format::amount_text)?;
    let operators = format::count(status.operators, "operator");
    Some(format!(
        "{operators}, weight {total}, threshold {threshold}"
    ))
}

/// "Behind" is the age of the newest final block: what cannot be asked about yet.
fn chain_row(chain: &ChainStatus, now: u64) -> [String; 4] {
    let age = |timestamp: u64| format::seconds(now.saturating_sub(timestamp));
    [
        chain.chain_id.to_string(),
        chain.kind.clone(),
        chain
            .final_block
            .map_or_else(|| "none".into(), |block| block.to_string()),
        chain.final_timestamp.map_or_else(String::new, age),
    ]
}

#[cfg(test)]
mod tests {
    use quorate_node::api::Machine;

    use super::*;

    fn reason(code: &str, chain_id: Option<u64>, detail: &str) -> NotReady {
        NotReady {
            code: code.into(),
            chain_id,
            detail: detail.into(),
        }
    }

    #[test]
    fn readiness_is_told_with_its_reasons() {
        let peers = reason("peers", None, "77 of 115 is needed");
        let chain = reason("source_chain", Some(10), "silent");
        let ready = |ready, reasons: &[&NotReady], degraded: &[&NotReady]| {
            render_ready(&Ready {
                ready,
                reasons: reasons.iter().copied().cloned().collect(),
                degraded: degraded.iter().copied().cloned().collect(),
            })
        };
        assert_eq!(ready(true, &[], &[]), "Ready\n");
        assert_eq!(
            ready(false, &[&peers], &[&chain]),
            "Not ready\n! peers: 77 of 115 is needed\n! source_chain 10: silent\n"
        );
    }

    #[test]
    fn a_status_is_readable() {
        let chain = |chain_id, kind: &str, block: Option<u64>| ChainStatus {
            chain_id,
            kind: kind.into(),
            final_block: block,
            final_timestamp: block.map(|_| 1_700_000_000),
        };
        let status = Status {
            version: "0.1.0".into(),
            role: "operator".into(),
            network: "31337-5fbd".into(),
            peer_id: "12D3KooWx".into(),
            listen: vec!["/ip4/127.0.0.1/tcp/9000/p2p/12D3KooWx".into()],
            uptime_s: 3_700,
            operator: Some("0x1111".into()),
            signing_key: Some("0x2222".into()),
            weight: Some("100".into()),
            epoch: Some(7),
            operators: 3,
            total_weight: Some("600".into()),
            threshold: Some("401".into()),
            peers: 2,
            open_tasks: 0,
            behind: 1_200,
            chains: vec![chain(31337, "home", Some(812)), chain(10, "source", None)],
            problems: vec!["chain 10 has no final block".into()],
            machine: Machine::default(),
            registries: Vec::new(),
            ready: Ready {
                ready: true,
                reasons: Vec::new(),
                degraded: vec![reason("source_chain", Some(10), "no final block")],
            },
            reachability: Reachability {
                state: "public".into(),
                addresses: vec!["/ip4/203.0.113.7/tcp/9000".into()],
                ..Reachability::default()
            },
        };
        let expected = "\
Node         operator 0.1.0, up 1 h 1 min
Network      31337-5fbd
Peer id      12D3KooWx
Listens on   /ip4/127.0.0.1/tcp/9000/p2p/12D3KooWx
Peers        2
Reachable    from outside, at /ip4/203.0.113.7/tcp/9000
Operator     0x1111
Signing key  0x2222
Weight       100 (16.6 %)
Epoch        7
Set          3 operators, weight 600, threshold 401
Open tasks   0
Tasks        1200 behind others

CHAIN  KIND    FINAL BLOCK  BEHIND
31337  home            812    12 s
   10  source         none

! chain 10 has no final block
Ready, but not for every chain
! source_chain 10: no final block
";
        assert_eq!(render(&status, 1_700_000_012), expected);
    }
}
