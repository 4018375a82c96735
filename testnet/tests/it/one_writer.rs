//! One writer per key: copies of stores, lost logs, restored backups.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use quorate_node::api::Health;
use quorate_proto::{Batch, Envelope, Epoch, Kind, PeerBinding, StateProof, Statement, Task, U256};
use quorate_testnet::{LocalNetwork, NodeProcess, OperatorKeys, wait};
use serde_json::Value;

use crate::support::audit::{Audit, signing_log};
use crate::support::command::{CommandOutput, node, second};
use crate::support::load::Load;
use crate::support::test_peer::TestPeer;
use crate::support::{Outcome, certify, failure_of, joined, shown, staked, stored, turn};

/// Who comes to grief; the others have the weight without it: 90 of 100, of which 67 are needed.
const VICTIM: usize = 3;
const STAKES: [u64; 4] = [30, 30, 30, 10];
/// A start that has to listen takes 12 s to find out.
const KNOWN: Duration = Duration::from_secs(40);
/// Elsewhere than the process whose configuration is used.
const APART: [&str; 4] = ["--listen", "/ip4/127.0.0.1/tcp/0", "--http", "off"];

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

fn config(of: &NodeProcess) -> PathBuf {
    of.dir.join("config.toml")
}

/// Runs a command on the data of a node.
async fn on(of: &NodeProcess, args: &[&str]) -> Result<CommandOutput> {
    let config = config(of);
    node(&[args, &["--config", text(&config)?]].concat()).await
}

fn copy_folder(from: &Path, to: &Path) -> Outcome {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_folder(&entry.path(), &target)?,
            false => drop(std::fs::copy(entry.path(), target)?),
        }
    }
    Ok(())
}

/// Waits for a problem with these words in `/health`.
async fn complains(of: &NodeProcess, phrase: &str) -> Result<String> {
    wait::until(&format!("{phrase:?} in {}", of.name), KNOWN, || async {
        let health: Health = of.get("/health").await.ok()?;
        let mut problems = health.problems.into_iter();
        problems.find(|problem| problem.contains(phrase))
    })
    .await
}

/// The victim is there, and signs nothing of what the others certify.
async fn signs_nothing(network: &LocalNetwork, key: u64) -> Outcome {
    let block = network.set_value(key, 5).await?;
    let answer = certify(network, 0, key, block).await?;
    let (victim, _) = network.deployment.operators[VICTIM];
    // Its own chance would be over by then.
    shown(&network.operators[0], answer.task_id, victim, "missing").await?;
    let client = network.client(VICTIM).await?;
    let question = network.question(key, block);
    let asked = client.request_state(&question, |_| {}).await;
    let failure = failure_of(asked)?;
    ensure!(
        failure.message.contains("does not sign just now"),
        "{failure:?}"
    );
    Ok(())
}

/// Slots in the log of the victim, which has ended.
fn logged(network: &LocalNetwork) -> Result<usize> {
    let (victim, _) = network.deployment.operators[VICTIM];
    Ok(signing_log(network, &network.operators[VICTIM], victim)?.len())
}

async fn signs(network: &LocalNetwork, key: u64) -> Outcome {
    let block = network.set_value(key, 6).await?;
    let answer = certify(network, 0, key, block).await?;
    let (victim, _) = network.deployment.operators[VICTIM];
    shown(&network.operators[0], answer.task_id, victim, "signed").await?;
    Ok(())
}

async fn back(network: &mut LocalNetwork, more: &[&str]) -> Outcome {
    network.operators[VICTIM].start_with(more)?;
    network.operators[VICTIM].ready().await?;
    joined(network, &network.operators[VICTIM]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_folder_never_signs_and_the_original_goes_on() -> Outcome {
    let _turn = turn().await;
    let mut network = LocalNetwork::start(staked(&STAKES)).await?;
    let spy = TestPeer::new(&network.deployment.domain().network(), 91)?;
    spy.meet(&network.operators[0]).await?;
    signs(&network, 7).await?;
    // Copied after a stop in good order: nothing in it says that anybody runs.
    ensure!(network.operators[VICTIM].stop().await?.success());
    let data = network.operators[VICTIM].dir.join("data");
    let copy = network.dir().join("copy");
    copy_folder(&data, &copy)?;
    back(&mut network, &[]).await?;
    let original = &network.operators[VICTIM];
    let elsewhere = [&["--data-dir", text(&copy)?], &APART[..]].concat();
    second(original, &elsewhere)
        .await?
        .says(5, &["is in use", "another node signs with it too"])?;
    // Not even with all risks accepted: the other one is there now.
    let accepted = [&elsewhere[..], &["--accept-double-signing-risk"]].concat();
    second(original, &accepted)
        .await?
        .says(5, &["another node signs with it too"])?;

    // A copy of the store as it runs, brought up beside it by somebody who knows no better.
    let backup = network.dir().join("backup");
    on(original, &["backup", "--to", text(&backup)?])
        .await?
        .says(0, &["Signing log of"])?;
    let running = [&["--data-dir", text(&backup)?], &APART[..]].concat();
    second(original, &running)
        .await?
        .says(5, &["this store is a copy of its store"])?;

    // The original never noticed, and there is one binding of the key at a time.
    ensure!(original.status().await?.problems.is_empty());
    joined(&network, original).await?;
    signs(&network, 8).await?;
    let mut audit = Audit::default();
    spy.responses()?
        .iter()
        .for_each(|response| audit.response(response));
    ensure!(network.operators[VICTIM].stop().await?.success());
    ensure!(audit.against_log(&network, VICTIM)? >= 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_log_is_not_signed_with_until_it_is_imported() -> Outcome {
    let _turn = turn().await;
    let mut network = LocalNetwork::start(staked(&STAKES)).await?;
    signs(&network, 7).await?;
    let files = tempfile::tempdir()?;
    let (early, late) = (
        files.path().join("early.json"),
        files.path().join("late.json"),
    );
    // While it runs, which it goes on doing.
    let victim = &network.operators[VICTIM];
    on(
        victim,
        &["keys", "log", "export", "--output", text(&early)?],
    )
    .await?
    .says(0, &["Complete", "yes"])?;
    on(victim, &["keys", "log", "import", text(&early)?])
        .await?
        .says(3, &["while the node is stopped", "locked"])?;
    signs(&network, 8).await?;
    ensure!(network.operators[VICTIM].stop().await?.success());
    let victim = &network.operators[VICTIM];
    let ran = on(
        victim,
        &["keys", "log", "export", "--json", "--output", text(&late)?],
    )
    .await?;
    let told: Value = serde_json::from_str(&ran.says(0, &[])?.stdout)?;
    let entries = told["log"]["entries"].as_u64().unwrap_or_default();
    ensure!(entries >= 2, "{told}");

    std::fs::remove_dir_all(victim.dir.join("data"))?;
    network.operators[VICTIM].start()?;
    let problem = complains(&network.operators[VICTIM], "has no signing log of it").await?;
    ensure!(problem.contains("keys log import"), "{problem}");
    signs_nothing(&network, 9).await?;
    ensure!(network.operators[VICTIM].stop().await?.success());
    ensure!(logged(&network)? == 0);

    // A log from before its end is not enough: the mesh knows that the key went on.
    let import = |file: &Path| -> Result<Vec<String>> {
        Ok(["keys", "log", "import", text(file)?]
            .map(str::to_owned)
            .into())
    };
    let run = async |of: &NodeProcess, file: &Path| {
        let args = import(file)?;
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        on(of, &args).await
    };
    run(&network.operators[VICTIM], &early)
        .await?
        .says(0, &["yes"])?;
    let before = logged(&network)?;
    network.operators[VICTIM].start()?;
    complains(&network.operators[VICTIM], "with another store").await?;
    signs_nothing(&network, 10).await?;
    ensure!(network.operators[VICTIM].stop().await?.success());
    ensure!(before > 0 && logged(&network)? == before);

    run(&network.operators[VICTIM], &late)
        .await?
        .says(0, &["yes"])?;
    back(&mut network, &[]).await?;
    signs(&network, 11).await?;
    // What was imported holds: a file that says otherwise is refused whole.
    ensure!(network.operators[VICTIM].stop().await?.success());
    let lie = files.path().join("lie.json");
    let mut file: Value = serde_json::from_str(&std::fs::read_to_string(&late)?)?;
    file["entries"][0]["fact"] = format!("0x{}", "ab".repeat(32)).into();
    std::fs::write(&lie, in_order(&file))?;
    run(&network.operators[VICTIM], &lie)
        .await?
        .says(2, &["nothing was changed", &"ab".repeat(32)])?;
    Ok(())
}

/// JSON whose parts stand as the format wants them; a map of this library sorts them.
fn in_order(file: &Value) -> String {
    let (metadata, entries) = (&file["metadata"], &file["entries"]);
    format!("{{\"metadata\":{metadata},\"entries\":{entries}}}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_comes_back_complete_and_signs_with_a_newer_log_only() -> Outcome {
    let _turn = turn().await;
    let mut network = LocalNetwork::start(staked(&STAKES)).await?;
    let load = Load::start(&network, &[0, VICTIM], 16).await?;
    load.goes_on(200).await?;
    let victim = &network.operators[VICTIM];
    let backup = network.dir().join("backup");
    let token = victim.dir.join("data/operator.token");
    ensure!(token.exists());
    on(victim, &["backup", "--with-keys", "--to", text(&backup)?])
        .await?
        .says(0, &["rocksdb"])?;
    on(victim, &["backup", "--to", text(&backup)?])
        .await?
        .says(2, &["is not empty"])?;
    load.goes_on(100).await?;
    let result = load.finish().await;
    ensure!(result.failures.is_empty(), "{:?}", result.failures);
    ensure!(network.operators[VICTIM].stop().await?.success());
    let log = network.dir().join("log.json");
    let victim = &network.operators[VICTIM];
    on(victim, &["keys", "log", "export", "--output", text(&log)?])
        .await?
        .says(0, &[])?;

    let check = ["restore", "--check", "--from", text(&backup)?];
    on(victim, &check).await?.says(0, &["Good"])?;
    let restore = ["restore", "--from", text(&backup)?];
    on(victim, &restore)
        .await?
        .says(2, &["holds a store already", "--replace"])?;
    on(victim, &[&restore[..], &["--replace"]].concat())
        .await?
        .says(0, &["The store before", "will not sign"])?;
    let before = logged(&network)?;
    network.operators[VICTIM].start()?;
    complains(&network.operators[VICTIM], "restored from a backup").await?;
    signs_nothing(&network, 8).await?;
    // All that it had at the time of the backup it has again.
    let client = network.client(VICTIM).await?;
    for delivered in result.answers.iter().take(150) {
        let kept = stored(&client, delivered.answer.task_id).await?;
        ensure!(kept.certificate.statement() == delivered.answer.certificate.statement());
    }
    ensure!(network.operators[VICTIM].stop().await?.success());
    ensure!(before > 0 && logged(&network)? == before);
    on(
        &network.operators[VICTIM],
        &["keys", "log", "import", text(&log)?],
    )
    .await?
    .says(0, &["Signs now"])?;
    back(&mut network, &[]).await?;
    signs(&network, 9).await?;

    // Once more without a newer log: its operator takes the risk, and that is noted.
    ensure!(network.operators[VICTIM].stop().await?.success());
    on(
        &network.operators[VICTIM],
        &[&restore[..], &["--replace"]].concat(),
    )
    .await?
    .says(0, &[])?;
    back(&mut network, &["--accept-double-signing-risk"]).await?;
    signs(&network, 10).await?;
    let noted = std::fs::read_to_string(network.operators[VICTIM].log_path())?;
    ensure!(
        noted.contains("as its operator wants; this is noted"),
        "{noted}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_whose_key_speaks_elsewhere_stops() -> Outcome {
    let _turn = turn().await;
    let mut network = LocalNetwork::start(staked(&STAKES)).await?;
    let domain = network.deployment.domain();
    let stranger = TestPeer::new(&domain.network(), 92)?;
    for node in &network.operators {
        stranger.meet(node).await?;
    }
    let (victim, _) = network.deployment.operators[VICTIM];
    let epoch = Epoch(
        network.operators[0]
            .status()
            .await?
            .epoch
            .unwrap_or_default(),
    );
    // As a process would that started just now with another store, with a clock of its own.
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let ahead = now + Duration::from_secs(60);
    let (peer_key, sequence) = (stranger.secret.public(), u64::try_from(ahead.as_millis())?);
    let digest = PeerBinding::digest(&domain, victim, peer_key, sequence);
    let author = PeerBinding {
        operator: victim,
        peer_key,
        sequence,
        signature: OperatorKeys::of(VICTIM).signing.sign(digest)?,
    };
    let task = Task {
        statement: Statement::StateProof(StateProof {
            user: network.user(),
            chain_id: 31_338,
            block_number: 1,
            timestamp: 1,
            epoch,
            key: U256::from(1),
            value: U256::from(1),
        }),
        attempt: 0,
    };
    let batch = Batch {
        sequence: 1,
        tasks: vec![task],
        ..Batch::default()
    };
    let topic = domain.network().topic(Kind::Task);
    let message = Envelope::seal(&batch, &author, &topic, &stranger.secret);
    stranger.publish(Kind::Task, message).await?;
    // It says so for a moment, and ends.
    let node = &network.operators[VICTIM];
    complains(node, "another node signs with it too").await?;
    let status = network.operators[VICTIM]
        .ended(Duration::from_secs(20))
        .await?;
    ensure!(status.code() == Some(5), "{status}");
    // As long as nobody has settled it.
    let node = &network.operators[VICTIM];
    ensure!(node.log_tail().contains("is in use"), "{}", node.log_tail());
    let block = network.set_value(7, 5).await?;
    certify(&network, 0, 7, block).await?;
    Ok(())
}
