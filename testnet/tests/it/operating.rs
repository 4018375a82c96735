//! What operators and scripts see: the pages of a node and the command line.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use quorate_node::api::{Health, TaskLine};
use quorate_node::client::Answer;
use quorate_testnet::LocalNetwork;
use serde_json::Value;

use crate::support::command::node;
use crate::support::{Outcome, certify, figure, stored, turn, usual_network};

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_a_node_tell_how_it_is() -> Outcome {
    let _turn = turn().await;
    let mut network = usual_network().await?;
    let block = network.set_value(7, 100).await?;
    let answer = certify(&network, 0, 7, block).await?;
    let task = answer.task_id.to_string();
    let entry = &network.operators[0];
    let status = entry.status().await?;
    ensure!(
        status.role == "operator" && status.operators == 5 && status.peers >= 5,
        "{status:?}"
    );
    ensure!(
        status.problems.is_empty() && status.chains.len() == 2,
        "{status:?}"
    );
    let tasks: Vec<TaskLine> = entry.get("/tasks").await?;
    ensure!(
        tasks.len() == 1 && tasks[0].task_id == task && tasks[0].status == "completed",
        "{tasks:?}"
    );
    ensure!(figure(entry, "quorate_requests_total", "answered").await? >= 1.0);
    ensure!(figure(entry, "quorate_tasks_total", "completed").await? == 1.0);
    // Five nodes, and perhaps the user that has just asked.
    ensure!(figure(entry, "quorate_peers", "").await? >= 5.0);

    let report = entry.task(&task).await?;
    ensure!(
        report.entry && report.status == "completed" && report.certified_ms.is_some(),
        "{report:?}"
    );
    ensure!(
        report.operators.len() == 5 && report.missing_weight.as_deref() == Some("0"),
        "{report:?}"
    );
    ensure!(
        report.certificate_signers.len() == answer.certificate.signatures().len(),
        "{report:?}"
    );
    stored(&network.client(3).await?, answer.task_id).await?;
    let elsewhere = network.operators[3].task(&task).await?;
    ensure!(
        !elsewhere.entry && elsewhere.status == "completed",
        "{elsewhere:?}"
    );
    for (page, phrase) in [
        ("/tasks/0x12", "64 hexadecimal digits"),
        ("/nothing", "/health"),
        ("/tasks/x", "64"),
    ] {
        let text = entry.get_text(page).await?;
        ensure!(text.contains(phrase), "{page}: {text}");
    }

    // Alone, it says so.
    for victim in network
        .registries
        .iter_mut()
        .chain(&mut network.operators[1..])
    {
        victim.kill()?;
    }
    let entry = &network.operators[0];
    quorate_testnet::wait::until("a problem on /health", crate::support::SOON, || async {
        let health: Health = entry.get("/health").await.ok()?;
        let told = health
            .problems
            .iter()
            .any(|problem| problem.contains("no peer is connected"));
        (!health.ok && told).then_some(())
    })
    .await?;
    node(&["status", "--http", &entry.http])
        .await?
        .says(2, &["no peer is connected"])?;
    Ok(())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

struct ClientCommands<'a> {
    network: &'a LocalNetwork,
    dir: tempfile::TempDir,
    user: String,
    to: String,
}

impl<'a> ClientCommands<'a> {
    fn new(network: &'a LocalNetwork) -> Result<Self> {
        let (user, to) = (
            network.user().to_string(),
            network.operators[1].address.to_string(),
        );
        Ok(Self {
            network,
            dir: tempfile::tempdir()?,
            user,
            to,
        })
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    async fn request(
        &self,
        block: u64,
        more: &[&str],
    ) -> Result<crate::support::command::CommandOutput> {
        let block = block.to_string();
        let args = [
            "request", "state", "--to", &self.to, "--chain", "31338", "--user", &self.user,
            "--key", "7",
        ];
        node(&[&args[..], &["--block", &block], more].concat()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_asks_and_checks() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let block = network.set_value(7, 100).await?;
    let desk = ClientCommands::new(&network)?;
    let (file, set) = (desk.file("certificate.json"), desk.file("set.json"));
    let (file, set) = (text(&file)?, text(&set)?);
    let ran = desk
        .request(block, &["--json", "--out", file])
        .await?
        .says(0, &[])?;
    let shown: Value = serde_json::from_str(&ran.stdout)?;
    ensure!(
        shown["statement"]["value"] == "100" && shown["stored"] == false,
        "{shown}"
    );
    let written: Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    ensure!(written == shown);
    desk.request(block, &[])
        .await?
        .says(0, &["Claimed to be signed by", "from the operator's store"])?;
    let height = network.deployment.source.height().await?;
    desk.request(height, &[])
        .await?
        .says(2, &["not certified", "not final yet"])?;

    let home = network.deployment.home.endpoint();
    let registry = network.deployment.registry.to_string();
    let on_chain = ["verify", file, "--rpc", &home, "--registry", &registry];
    node(&on_chain).await?.says(0, &["On chain", "valid"])?;
    let http = &network.operators[2].http;
    let operators = node(&["operators", "--http", http, "--json"])
        .await?
        .says(0, &[])?;
    std::fs::write(set, &operators.stdout)?;
    let off_chain = ["verify", file, "--set", set];
    node(&off_chain).await?.says(0, &["Against set", "valid"])?;
    // Nothing holds for no second at all.
    node(&[&off_chain[..], &["--lifetime", "0"]].concat())
        .await?
        .says(7, &["have the value certified again"])?;
    altered(&desk, &shown, &on_chain, set).await
}

/// A certificate with another value does not hold, however it is checked.
async fn altered(desk: &ClientCommands<'_>, good: &Value, on_chain: &[&str], set: &str) -> Outcome {
    let file = desk.file("altered.json");
    let file = text(&file)?;
    let mut bad = good.clone();
    bad["statement"]["value"] = "101".into();
    std::fs::write(file, bad.to_string())?;
    let on_chain = [&["verify", file], &on_chain[2..]].concat();
    node(&on_chain).await?.says(2, &["not valid", "altered"])?;
    node(&["verify", file, "--set", set])
        .await?
        .says(2, &["not valid"])?;
    let ed = desk.network.deployment.user().to_string();
    let elsewhere = ["verify", file, "--set", set, "--registry", &ed];
    node(&elsewhere).await?.says(2, &["of network"])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_shows_nodes_and_tasks() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let block = network.set_value(7, 100).await?;
    let answer: Answer = certify(&network, 0, 7, block).await?;
    let task = answer.task_id.to_string();
    let http = &network.operators[0].http;
    let (operator, _) = network.deployment.operators[0];
    let operator = operator.to_string();
    node(&["status", "--http", http])
        .await?
        .says(0, &["Healthy", "operator", &operator])?;
    node(&["tasks", "--http", http])
        .await?
        .says(0, &["completed", &task])?;
    let explained = [
        "Task",
        "completed",
        "signed",
        "in it",
        "asked by a user of this node",
        &operator,
    ];
    node(&["explain", &task, "--http", http])
        .await?
        .says(0, &explained)?;
    let unknown = format!("0x{}", "ab".repeat(32));
    node(&["explain", &unknown, "--http", http])
        .await?
        .says(2, &["not known to this node"])?;
    node(&["explain", "0xzz", "--http", http])
        .await?
        .says(64, &["no task id"])?;
    node(&["status", "--http", "127.0.0.1:1"])
        .await?
        .says(1, &["no node answers"])?;
    let to = network.operators[4].address.to_string();
    stored(&network.client(4).await?, answer.task_id).await?;
    node(&["request", "certificate", &task, "--to", &to])
        .await?
        .says(0, &["Claimed to be signed by", &task])?;
    node(&["operators", "--to", &to])
        .await?
        .says(0, &["Threshold", &operator])?;
    node(&["request", "certificate", &unknown, "--to", &to])
        .await?
        .says(2, &["ask another one"])?;
    Ok(())
}
