//! The lives of operators, as their registries keep them.

use anyhow::{Context, ensure};
use quorate_chain::contracts::StakeRegistry;
use quorate_node::TOKEN_FILE;
use quorate_node::api::{EventLine, Events, Health, MemberLine, Operators};
use quorate_proto::Address;
use quorate_testnet::{LocalNetwork, NetworkOptions, NodeProcess, OperatorKeys, wait};

use crate::support::command::node;
use crate::support::{Outcome, SOON, certify, figure, joined, staked, turn, usual_network};

/// What a registry knows of an operator.
async fn member(registry: &NodeProcess, operator: Address) -> Option<MemberLine> {
    let page: Operators = registry.get("/operators").await.ok()?;
    let mut lines = page.members.into_iter();
    lines.find(|line| line.operator == operator.to_string())
}

/// Waits until a registry says that the operator has this status.
async fn becomes(
    registry: &NodeProcess,
    operator: Address,
    status: &str,
) -> anyhow::Result<MemberLine> {
    let what = format!("{}: {operator} {status}", registry.name);
    let seen = wait::until(&what, SOON, || async {
        let line = member(registry, operator).await?;
        (line.status == status).then_some(line)
    });
    let log = || registry.log_tail();
    seen.await.with_context(log)
}

/// All events of a registry, oldest first.
async fn events(registry: &NodeProcess) -> anyhow::Result<Vec<EventLine>> {
    let mut all = Vec::new();
    let mut path = "/events?limit=7".to_owned();
    loop {
        let page: Events = registry.get(&path).await?;
        all.extend(page.events);
        match page.before {
            Some(before) => path = format!("/events?limit=7&before={before}"),
            None => break,
        }
    }
    all.reverse();
    Ok(all)
}

/// Waits until all registries of an operator have taken its join.
async fn has_joined(operator: &NodeProcess) -> Outcome {
    let what = format!("{} joined", operator.name);
    let joined = wait::until(&what, SOON, || async {
        let lines = operator.status().await.ok()?.registries;
        (!lines.is_empty() && lines.iter().all(|line| line.joined)).then_some(())
    });
    let log = || operator.log_tail();
    joined.await.with_context(log)
}

fn account(network: &LocalNetwork, number: usize) -> Address {
    network.deployment.operators[number].0
}

async fn deregister(network: &LocalNetwork, number: usize) -> Outcome {
    let deployment = &network.deployment;
    let contract = StakeRegistry::new(deployment.registry, deployment.home.provider());
    let left = contract.deregisterOperator().from(account(network, number));
    let receipt = left.send().await?.get_receipt().await?;
    ensure!(receipt.status(), "deregisterOperator reverted");
    deployment.next_epoch().await
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_join_serve_miss_come_back_and_leave() -> Outcome {
    let _turn = turn().await;
    let mut network = usual_network().await?;
    for operator in &network.operators {
        has_joined(operator).await?;
    }
    for number in 0..5 {
        let operator = account(&network, number);
        let line = becomes(&network.registries[0], operator, "active").await?;
        ensure!(line.peer_id.is_some() && line.misses == 0, "{line:?}");
    }
    let seen = wait::until("a probe of all", SOON, || async {
        let page: Operators = network.registries[0].get("/operators").await.ok()?;
        let all = page.members.iter().all(|line| line.last_seen_ms.is_some());
        all.then_some(())
    });
    seen.await?;

    // One is killed; the others certify without it, and it is suspended for it.
    network.operators[4].kill()?;
    let victim = account(&network, 4);
    for number in 0..5 {
        let block = network.set_value(100 + number, number).await?;
        certify(&network, 0, 100 + number, block).await?;
    }
    let line = becomes(&network.registries[0], victim, "suspended").await?;
    ensure!(line.misses == 5, "{line:?}");
    let good = account(&network, 1);
    let line = member(&network.registries[0], good).await;
    let line = line.context("a member")?;
    ensure!(
        line.misses == 0 && line.successful_responses == 5,
        "{line:?}"
    );

    // The registry is killed too: nothing is lost, nothing happens twice.
    let before = events(&network.registries[0]).await?;
    network.registries[0].kill()?;
    network.registries[0].start()?;
    network.registries[0].ready().await?;
    let registry = &network.registries[0];
    let after = events(registry).await?;
    let of = |events: &[EventLine]| serde_json::to_string(events);
    ensure!(of(&before)? == of(&after)?, "{before:#?}\n{after:#?}");
    becomes(registry, victim, "suspended").await?;
    for operator in &network.operators[..4] {
        has_joined(operator).await?;
    }

    // Only its own administrator reinstates.
    let (http, who) = (&registry.http, victim.to_string());
    let wrong = registry.dir.join("wrong.token");
    std::fs::write(&wrong, "00")?;
    let reinstate = ["registry", "reinstate", &who, "--http", http];
    let with = |file: &std::path::Path| -> anyhow::Result<Vec<String>> {
        let file = file.to_str().context("a path that is no text")?;
        let more = ["--token-file", file, "--reason", "disk & all replaced"];
        let all = reinstate.iter().chain(&more);
        Ok(all.map(|arg| (*arg).to_owned()).collect())
    };
    let run = async |args: Vec<String>| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        node(&args).await
    };
    run(with(&wrong)?).await?.says(1, &["registry.token"])?;
    let token = registry.dir.join("data").join(TOKEN_FILE);
    run(with(&token)?).await?.says(0, &["Reinstated"])?;
    run(with(&token)?).await?.says(2, &["is not suspended"])?;
    becomes(registry, victim, "active").await?;
    let table = ["registry", "events", "--operator", &who, "--http", http];
    let phrases = ["suspended", "disk & all replaced", "missed too many tasks"];
    node(&table).await?.says(0, &phrases)?;
    let table = ["registry", "members", "--http", http];
    node(&table).await?.says(0, &["active", &who])?;

    // One leaves.
    deregister(&network, 3).await?;
    let line = becomes(&network.registries[0], account(&network, 3), "unactive").await?;
    ensure!(
        line.cause == "deregistered" && line.peer_id.is_none(),
        "{line:?}"
    );
    ensure!(
        line.exit_epoch.is_some() && line.weight.is_none(),
        "{line:?}"
    );

    // Every event once, numbered without a gap, and each follows the one before.
    let log = events(&network.registries[0]).await?;
    for (place, event) in (1..).zip(&log) {
        ensure!(event.sequence == place, "{log:#?}");
        let earlier = log[..place as usize - 1].iter().rev();
        let last = earlier.clone().find(|e| e.operator == event.operator);
        let status = last.map(|e| e.to.clone());
        ensure!(event.from == status, "{event:?} after {last:?}");
    }
    Ok(())
}

/// What the registries of an operator know, by their hashes.
async fn hashes(operator: &NodeProcess) -> anyhow::Result<Vec<String>> {
    let lines = operator.status().await?.registries;
    Ok(lines
        .into_iter()
        .filter_map(|line| line.state_hash)
        .collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn registries_agree_and_one_that_lost_its_disk_learns_again() -> Outcome {
    let _turn = turn().await;
    let options = NetworkOptions {
        registries: 3,
        ..staked(&[10, 10, 10, 10])
    };
    let mut network = LocalNetwork::start(options).await?;
    for operator in &network.operators {
        has_joined(operator).await?;
    }
    network.operators[3].kill()?;
    let victim = account(&network, 3);
    for number in 0..5 {
        let block = network.set_value(100 + number, number).await?;
        certify(&network, 0, 100 + number, block).await?;
    }
    for registry in &network.registries {
        becomes(registry, victim, "suspended").await?;
    }

    // Nobody else can tell the third one who is suspended, and which peers speak for whom.
    let lost = &mut network.registries[2];
    lost.kill()?;
    std::fs::remove_dir_all(lost.dir.join("data"))?;
    lost.start()?;
    lost.ready().await?;
    becomes(&network.registries[2], victim, "suspended").await?;
    let agreed = wait::until("three equal hashes", SOON, || async {
        let hashes = hashes(&network.operators[0]).await.ok()?;
        (hashes.len() == 3 && hashes.iter().all(|hash| *hash == hashes[0])).then_some(())
    });
    agreed.await?;

    // One registry alone lets nobody back in for the others; two of three do.
    for number in [0, 1] {
        let registry = &network.registries[number];
        let token = registry.dir.join("data").join(TOKEN_FILE);
        let token = token.to_str().context("a path that is no text")?;
        let (who, http) = (victim.to_string(), &registry.http);
        let args = [
            "registry",
            "reinstate",
            &who,
            "--http",
            http,
            "--token-file",
            token,
        ];
        node(&args).await?.says(0, &["Reinstated"])?;
        if number == 0 {
            let line = member(&network.registries[2], victim).await;
            ensure!(line.is_some_and(|line| line.status == "suspended"));
        }
    }
    let line = becomes(&network.registries[2], victim, "active").await?;
    ensure!(line.cause == "reinstated", "{line:?}");

    // It comes back with nothing but the address of one registry, without its signing log, and finds
    // everybody.
    let back = &mut network.operators[3];
    std::fs::remove_dir_all(back.dir.join("data"))?;
    let only = network.registries[0].address.to_string();
    back.start_with(&["--bootstrap", &only, "--accept-double-signing-risk"])?;
    back.ready().await?;
    has_joined(&network.operators[3]).await?;
    joined(&network, &network.operators[3]).await?;
    for registry in &network.registries {
        becomes(registry, victim, "active").await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_refused_with_its_own_error() -> Outcome {
    let _turn = turn().await;
    let mut network = usual_network().await?;
    has_joined(&network.operators[4]).await?;
    network.operators[4].stop().await?;
    let other = hex::encode(OperatorKeys::of(77).signing.to_bytes());
    let thief = &mut network.operators[4];
    thief.start_after(&format!("export QUORATE_SIGNING_SECRET={other}"))?;
    let told = wait::until("a refused join", SOON, || async {
        let health: Health = thief.get("/health").await.ok()?;
        let refused = |text: &&String| text.starts_with("not joined");
        health.problems.iter().find(refused).cloned()
    });
    let problem = told.await?;
    ensure!(
        problem.contains("signing key on the home chain"),
        "{problem}"
    );
    let code = "REGISTRY_ERROR_CODE_WRONG_KEY";
    let count = figure(&network.registries[0], "quorate_joins_refused_total", code);
    ensure!(count.await? >= 1.0);
    let victim = account(&network, 4);
    let line = becomes(&network.registries[0], victim, "active").await?;
    ensure!(line.peer_id.is_some(), "the right binding stays: {line:?}");
    Ok(())
}
