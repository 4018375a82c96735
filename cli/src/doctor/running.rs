//! The running node: what it says of itself, its peers, and how its providers have fared.

use libp2p::Multiaddr;
use quorate_node::api::{
    ChainProviders, Machine, NotReady, PeerLine, ProviderLine, Reachability, Status, TaskLine,
};
use quorate_node::listen_problem;
use quorate_node::settings::{Role, Settings};

use super::clock;
use super::finding::{Finding, Level};
use crate::format;
use crate::http::NodeArgs;

/// Open files and connections: 1,536 connections at most, the store's files, and some more.
const FILES: u64 = 4_096;

/// Part of the open files that may be in use, in hundredths.
const FILES_USED: [u64; 2] = [70, 90];

/// Certified tasks without a signature of this node that are no accident any more: five misses
/// suspend an operator.
const UNSIGNED: [usize; 2] = [2, 4];

pub(super) async fn examine(settings: &Settings) -> Vec<Finding> {
    let Some(http) = super::http_of(settings) else {
        let found = "http is off, so that the running node cannot be asked";
        let cure = "set http = \"127.0.0.1:9080\"";
        let off = Finding::warning("running node", found, cure);
        return vec![off, clock::of_providers(settings).await];
    };
    let node = NodeArgs::at(&http, false);
    let status: Status = match node.get("/status").await {
        Ok(status) => status,
        Err(error) => {
            let down = Finding::warning(
                "running node",
                format!("{error:#}"),
                "start it, if it should run",
            );
            let mut findings = vec![down, clock::of_providers(settings).await];
            findings.extend(settings.listen.iter().map(listening));
            return findings;
        }
    };
    let (peers, providers, tasks) = tokio::join!(
        node.get::<Vec<PeerLine>>("/peers"),
        node.get::<Vec<ChainProviders>>("/providers"),
        node.get::<Vec<TaskLine>>("/tasks?limit=20"),
    );
    let mut findings = itself(&status);
    findings.extend(files(&status.machine));
    findings.push(match clock::of_node(&status.machine) {
        Some(found) => found,
        None => clock::of_providers(settings).await,
    });
    findings.push(reachable(&status.reachability, &status.listen));
    if let Ok(peers) = peers {
        findings.push(mesh(&status, &peers));
        findings.push(versions(&peers));
    }
    findings.extend(providers.into_iter().flatten().flat_map(standings));
    if settings.role == Role::Operator {
        findings.push(signatures(&status, &tasks.unwrap_or_default()));
    }
    findings
}

/// Whether a node that is started could listen there.
fn listening(address: &Multiaddr) -> Finding {
    let check = format!("listen {address}");
    match listen_problem(address) {
        None => Finding::ok(check, "free"),
        Some(problem) => Finding::error(check, problem, "correct it before the node is started"),
    }
}

fn itself(status: &Status) -> Vec<Finding> {
    let up = format::seconds(status.uptime_s);
    let mut findings = vec![match status.version.as_str() {
        env!("CARGO_PKG_VERSION") => Finding::ok(
            "running node",
            format!("version {}, up {up}", status.version),
        ),
        other => Finding::warning(
            "running node",
            format!(
                "version {other}, up {up}; this program is {}",
                env!("CARGO_PKG_VERSION")
            ),
            "restart the node to run what is installed",
        ),
    }];
    let problem =
        |text: &String| Finding::error("health", text, "see \"Health\" in docs/operations.md");
    findings.extend(status.problems.iter().map(problem));
    let reasons = status.ready.reasons.iter();
    let reason = |reason: &NotReady| {
        Finding::error(
            "ready to sign",
            &reason.detail,
            "see \"Health\" in docs/operations.md",
        )
    };
    // What keeps it from signing is a problem, too, in most cases.
    let new = |reason: &&NotReady| !status.problems.contains(&reason.detail);
    findings.extend(reasons.filter(new).map(reason));
    let degraded = status.ready.degraded.iter().filter(new);
    findings.extend(degraded.map(|reason| {
        let cure = match reason.code.as_str() {
            "signing_log" => "see \"An operator does not sign\" in docs/operations.md",
            _ => "`node providers` shows who fails: mend or replace them",
        };
        Finding::warning("ready to sign", &reason.detail, cure)
    }));
    findings
}

fn files(machine: &Machine) -> Option<Finding> {
    let limit = machine.open_files_limit?;
    let open = machine.open_files?;
    let found = format!("{open} of {limit}");
    let used = open.saturating_mul(100) / limit.max(1);
    let low = if limit < FILES {
        Level::Warning
    } else {
        Level::Ok
    };
    let level = Finding::graded(&used, FILES_USED).max(low);
    Some(Finding::at(
        level,
        "open files",
        found,
        "raise the limit: LimitNOFILE=65536 in the service, or ulimit -n",
    ))
}

fn mesh(status: &Status, peers: &[PeerLine]) -> Finding {
    let operators = peers.iter().filter(|peer| peer.operator.is_some()).count();
    let others = match status.operator {
        Some(_) => status.operators.saturating_sub(1),
        None => status.operators,
    };
    let found = format!(
        "{} connected, {operators} of {others} other operators",
        format::count(peers.len(), "peer")
    );
    let level = match (operators * 3, others) {
        (_, 0) => Level::Ok,
        // A certificate needs two thirds of the weight.
        (three, others) if three < others * 2 => Level::Error,
        (_, others) if operators < others => Level::Warning,
        _ => Level::Ok,
    };
    let cure = "are the others up? Else check bootstrap, the firewall, and external behind NAT";
    Finding::at(level, "mesh", found, cure)
}

/// Whether others reach this node from outside, as they say.
fn reachable(known: &Reachability, listen: &[String]) -> Finding {
    let check = "reachable from outside";
    let is_relayed = |address: &String| address.contains("/p2p-circuit");
    match known.state.as_str() {
        "private" if listen.iter().any(is_relayed) => Finding::ok(check, "through relays only"),
        "public" => Finding::ok(check, format!("yes, at {}", known.addresses.join(" and "))),
        "private" => Finding::warning(
            check,
            "no peer that tried reached it",
            "forward the ports of listen (TCP and UDP 9000) and set external, or name registries that relay (bootstrap; relay = \"auto\")",
        ),
        _ => Finding::ok(check, "no peer has tried yet"),
    }
}

/// Peers with another version of the program.
fn versions(peers: &[PeerLine]) -> Finding {
    let check = "versions in the mesh";
    let own = env!("CARGO_PKG_VERSION");
    let known: Vec<&str> = peers
        .iter()
        .filter_map(|peer| peer.version.as_deref())
        .collect();
    let mut others: Vec<&str> = known
        .iter()
        .copied()
        .filter(|version| *version != own)
        .collect();
    let (all, different) = (known.len(), others.len());
    others.sort_unstable();
    others.dedup();
    match different * 2 {
        0 => Finding::ok(check, format!("all {all} that tell it have {own}")),
        twice => {
            let found = format!(
                "{different} of {all} have {}, this one has {own}",
                others.join(", ")
            );
            let cure = "read CHANGELOG.md; if theirs is newer, upgrade this node";
            let level = if twice > all {
                Level::Warning
            } else {
                Level::Ok
            };
            Finding::at(level, check, found, cure)
        }
    }
}

/// What the node has seen over time; how they are now is asked beside this.
fn standings(chain: ChainProviders) -> Vec<Finding> {
    let bad = |line: &&ProviderLine| line.standing != "ok";
    let finding = |line: &ProviderLine| {
        let check = format!("provider {} in the node, {}", chain.chain_id, line.provider);
        let why = line.problem.clone().unwrap_or_default();
        let found = format!(
            "{}, run by {}: {why}",
            line.standing.replace('_', " "),
            line.by
        );
        let grave = chain.spare.is_none()
            || matches!(line.standing.as_str(), "wrong_chain" | "contradicts");
        let level = if grave { Level::Error } else { Level::Warning };
        Finding::at(
            level,
            check,
            found,
            "`node providers` shows since when and how often; mend or replace it",
        )
    };
    chain.providers.iter().filter(bad).map(finding).collect()
}

/// Tasks that the network certified since this node last signed one.
fn signatures(status: &Status, tasks: &[TaskLine]) -> Finding {
    let check = "last signature";
    let since = status.machine.last_signature_ms;
    let certified = tasks.iter().filter(|task| task.status == "completed");
    let Some(since) = since else {
        return Finding::ok(check, "none since the start");
    };
    let missed = certified.filter(|task| task.created_ms > since).count();
    let found = match missed {
        0 => format::time_ms(since),
        missed => format!(
            "{}; {} were certified since",
            format::time_ms(since),
            format::count(missed, "task")
        ),
    };
    let cure = "`node tasks` and `node explain` show why this node refused or was late";
    Finding::at(Finding::graded(&missed, UNSIGNED), check, found, cure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(last_signature_ms: Option<u64>) -> Status {
        let text = serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"), "role": "operator", "network": "x", "peer_id": "p",
            "listen": [], "uptime_s": 60, "operator": "0x1", "signing_key": null, "weight": null,
            "epoch": 1, "operators": 4, "total_weight": null, "threshold": null, "peers": 3,
            "open_tasks": 0, "chains": [], "problems": ["no peer is connected"],
            "machine": {"clock_peers": 0, "last_signature_ms": last_signature_ms},
        });
        serde_json::from_value(text).expect("a status")
    }

    fn task(created_ms: u64) -> TaskLine {
        TaskLine {
            task_id: "0x".into(),
            status: "completed".into(),
            created_ms,
            certified_ms: None,
            kind: "state_proof".into(),
            chain_id: None,
            block_number: None,
            next_epoch: None,
            epoch: 1,
        }
    }

    #[test]
    fn certified_without_us_is_told() {
        let tasks: Vec<TaskLine> = (1..=5).map(|n| task(n * 1_000)).collect();
        for (signed, level) in [
            (5_000, Level::Ok),
            (4_000, Level::Ok),
            (3_000, Level::Warning),
            (1_000, Level::Error),
        ] {
            assert_eq!(
                signatures(&status(Some(signed)), &tasks).level,
                level,
                "{signed}"
            );
        }
        assert_eq!(signatures(&status(None), &[]).level, Level::Ok);
    }

    #[test]
    fn files_are_counted_against_their_limit() {
        let machine = |open, limit| Machine {
            open_files: Some(open),
            open_files_limit: Some(limit),
            ..Machine::default()
        };
        for (open, limit, level) in [
            (50, 65_536, Level::Ok),
            (50, 1_024, Level::Warning),
            (3_000, 4_096, Level::Warning),
            (4_000, 4_096, Level::Error),
        ] {
            assert_eq!(
                files(&machine(open, limit)).map(|f| f.level),
                Some(level),
                "{open} {limit}"
            );
        }
        assert_eq!(files(&Machine::default()), None);
    }

    #[test]
    fn a_minority_of_other_versions_is_no_worry() {
        let peer = |version: &str| PeerLine {
            peer_id: "p".into(),
            operator: None,
            addresses: Vec::new(),
            score: 0.0,
            version: Some(version.into()),
        };
        let (own, other) = (peer(env!("CARGO_PKG_VERSION")), peer("99.0.0"));
        let level = |peers: &[PeerLine]| versions(peers).level;
        assert_eq!(level(&[]), Level::Ok);
        assert_eq!(level(&[own.clone(), own.clone(), other.clone()]), Level::Ok);
        assert_eq!(level(&[own, other.clone(), other]), Level::Warning);
        let state = |state: &str| Reachability {
            state: state.into(),
            ..Reachability::default()
        };
        assert_eq!(reachable(&state("private"), &[]).level, Level::Warning);
        let relayed = ["/ip4/192.0.2.1/tcp/1/p2p/R/p2p-circuit/p2p/P".to_owned()];
        let found = reachable(&state("private"), &relayed);
        assert_eq!(found.level, Level::Ok);
        assert_eq!(reachable(&state("public"), &[]).level, Level::Ok);
        assert_eq!(reachable(&state("unknown"), &[]).level, Level::Ok);
    }

    #[test]
    fn problems_of_the_node_are_findings() {
        let found = itself(&status(None));
        assert_eq!(found[1].level, Level::Error);
        assert!(found[1].found.contains("no peer"), "{found:?}");
        let peer = |operator: Option<&str>| PeerLine {
            peer_id: "p".into(),
            operator: operator.map(str::to_owned),
            addresses: Vec::new(),
            score: 0.0,
            version: None,
        };
        let peers = [
            peer(Some("0x2")),
            peer(Some("0x3")),
            peer(Some("0x4")),
            peer(None),
        ];
        for (connected, level) in [
            (4, Level::Ok),
            (2, Level::Warning),
            (1, Level::Error),
            (0, Level::Error),
        ] {
            assert_eq!(
                mesh(&status(None), &peers[..connected]).level,
                level,
                "{connected}"
            );
        }
    }
}
