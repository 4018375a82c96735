//! What became of a task can be looked up: at every node, over HTTP and over the network.

use std::mem::discriminant;
use std::process::{Command, Stdio};
use std::time::Duration;

use alloy::primitives::U256;
use anyhow::{Context, Result, ensure};
use quorate_node::api::{EventKind, LiveLine, RefusedLine, Timeline};
use quorate_node::client::{At, StateQuestion};
use quorate_proto::wire::ErrorCode;
use quorate_proto::{B256, TaskId};
use quorate_testnet::process::node_binary;
use quorate_testnet::{FaultyProvider, LocalNetwork, NodeProcess, ProviderBehaviour, wait};

use crate::support::command::node;
use crate::support::{Outcome, SOON, certify, failure_of, joined, staked, turn, usual_network};

/// The record of a task, as soon as it has such an event.
async fn told(
    node: &NodeProcess,
    task: TaskId,
    what: &str,
    has: impl Fn(&EventKind) -> bool,
) -> Result<Timeline> {
    let what = format!("{}: {what} in the record of {task}", node.name);
    wait::until(&what, SOON, || async {
        let page = format!("/tasks/{task}/timeline");
        let timeline: Timeline = node.get(&page).await.ok()?;
        let found = timeline.events.iter().any(|event| has(&event.what));
        found.then_some(timeline)
    })
    .await
}

fn place(timeline: &Timeline, is: impl Fn(&EventKind) -> bool) -> Result<usize> {
    let place = timeline.events.iter().position(|event| is(&event.what));
    place.with_context(|| format!("{:?}", timeline.events))
}

fn has_answer(happening: &EventKind, operator: &str) -> bool {
    matches!(happening, EventKind::Answered { operator: of, .. } if of == operator)
}

fn is_delivered(happening: &EventKind, told: &str) -> bool {
    matches!(happening, EventKind::Delivered { outcome, .. } if outcome == told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certified_task_has_its_story_at_every_operator() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let block = network.set_value(7, 100).await?;
    let answer = certify(&network, 0, 7, block).await?;
    let (task, entry) = (answer.task_id, &network.operators[0]);
    let own = network.deployment.operators[0].0.to_string();

    let timeline = told(entry, task, "the delivery", |what| {
        is_delivered(what, "certificate")
    })
    .await?;
    ensure!(
        timeline.task.status == "completed" && timeline.cut == 0,
        "{timeline:?}"
    );
    ensure!(
        timeline.node_operator.as_ref() == Some(&own),
        "{timeline:?}"
    );
    ensure!(
        timeline
            .events
            .is_sorted_by(|a, b| a.after_ms <= b.after_ms),
        "{timeline:?}"
    );
    let opened = EventKind::Opened {
        heard_of: None,
        again: false,
    };
    ensure!(timeline.events[0].what == opened, "{timeline:?}");
    let steps = [
        place(&timeline, |what| {
            matches!(what, EventKind::Asked { user: 1 })
        })?,
        place(&timeline, |what| {
            matches!(what, EventKind::Read { refusal: None, .. })
        })?,
        place(&timeline, |what| has_answer(what, &own))?,
        place(&timeline, |what| {
            matches!(what, EventKind::Certified { learned: false, .. })
        })?,
        place(&timeline, |what| is_delivered(what, "certificate"))?,
    ];
    ensure!(steps.is_sorted(), "{steps:?} {timeline:?}");
    let attempt = |what: &EventKind| matches!(what, EventKind::Announced { operator, attempt: 0 } if *operator == own);
    place(&timeline, attempt)?;

    // Who was asked by the mesh has the same story from its own place.
    for number in 1..5 {
        let node = &network.operators[number];
        let other = network.deployment.operators[number].0.to_string();
        let timeline = told(node, task, "its own answer", |what| {
            has_answer(what, &other)
        })
        .await?;
        let first = timeline.events.first().map(|event| event.what.clone());
        ensure!(
            matches!(
                first,
                Some(EventKind::Opened {
                    heard_of: Some(_),
                    again: false
                })
            ),
            "{timeline:?}"
        );
        place(&timeline, |what| {
            matches!(what, EventKind::Certified { .. })
        })?;
        place(&timeline, |what| {
            matches!(what, EventKind::Read { refusal: None, .. })
        })?;
    }

    // Over the network it is the same as over HTTP.
    let client = network.client(2).await?;
    let over_http = told(&network.operators[2], task, "the certificate", |what| {
        matches!(what, EventKind::Certified { .. })
    })
    .await?;
    let over_stream = client.timeline(task).await?;
    ensure!(
        over_stream.events.len() >= over_http.events.len(),
        "{over_stream:?}"
    );
    let both = over_http.events.iter().zip(&over_stream.events);
    ensure!(
        both.clone()
            .all(|(a, b)| discriminant(&a.what) == discriminant(&b.what)),
        "{over_http:?} {over_stream:?}"
    );
    ensure!(over_stream.task.statement == over_http.task.statement);

    explained(&network, task).await
}

/// By the command line, with the whole id and with its beginning.
async fn explained(network: &LocalNetwork, task: TaskId) -> Outcome {
    let (http, to) = (
        &network.operators[0].http,
        network.operators[3].address.to_string(),
    );
    let (whole, short) = (task.to_string(), task.to_string()[..12].to_owned());
    let phrases = [
        "by user 1",
        "certified",
        "delivered",
        "the certificate to user 1",
        "in it",
    ];
    node(&["explain", &whole, "--http", http])
        .await?
        .says(0, &phrases)?;
    node(&["explain", &short, "--http", http])
        .await?
        .says(0, &phrases)?;
    let phrases = ["opened", "first heard of it", "certified", "(this node)"];
    node(&["explain", &whole, "--peer", &to])
        .await?
        .says(0, &phrases)?;
    node(&["explain", &short, "--peer", &to])
        .await?
        .says(0, &phrases)?;
    let ran = node(&["explain", &whole, "--peer", &to, "--json"])
        .await?
        .says(0, &[])?;
    let timeline: Timeline = serde_json::from_str(&ran.stdout)?;
    ensure!(timeline.task.task_id == whole && !timeline.events.is_empty());

    let unknown = format!("0x{}", "12".repeat(32));
    for (args, code, phrase) in [
        (
            vec!["explain", &unknown, "--http", http],
            2,
            "not known to this node",
        ),
        (
            vec!["explain", &unknown, "--peer", &to],
            2,
            "not known to this operator",
        ),
        (
            vec!["explain", "0x1212", "--http", http],
            2,
            "begins with 1212",
        ),
        (
            vec!["explain", "0x1212", "--peer", &to],
            2,
            "begins with 1212",
        ),
        (
            vec!["explain", "0x12", "--http", http],
            64,
            "64 hexadecimal digits",
        ),
        (
            vec!["explain", "0x12", "--peer", &to],
            64,
            "64 hexadecimal digits",
        ),
        (
            vec!["explain", "rubbish", "--http", http],
            64,
            "64 hexadecimal digits",
        ),
        (vec!["explain", "--http", http], 64, "<TASK>"),
    ] {
        node(&args).await?.says(code, &[phrase])?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_told_with_their_reasons() -> Outcome {
    let _turn = turn().await;
    let dir = tempfile::tempdir()?;
    let liar = FaultyProvider::listen(ProviderBehaviour::Value(U256::from(666))).await?;
    let mut options = staked(&[40, 30, 20, 15, 10]);
    options.source_rpc = vec![(1, vec![liar.url()])];
    let mut network = LocalNetwork::prepare(options, dir.path()).await?;
    liar.forward_to(network.deployment.source.endpoint());
    network.start_nodes().await?;
    let block = network.set_value(7, 100).await?;
    let task = certify(&network, 0, 7, block).await?.task_id;
    let lied_to = network.deployment.operators[1].0.to_string();

    let is_refusal = |what: &EventKind| {
        has_answer(what, &lied_to)
            && matches!(what, EventKind::Answered { signed: false, refusal: Some(code), detail: Some(text), .. }
                if code == "read another value" && text.contains("666"))
    };
    told(&network.operators[0], task, "the refusal", is_refusal).await?;
    let own = told(&network.operators[1], task, "the refusal", is_refusal).await?;
    let read = |what: &EventKind| {
        matches!(what, EventKind::Read { refusal: Some(code), at_block: Some(_), .. }
            if code == "read another value")
    };
    ensure!(place(&own, read)? < place(&own, is_refusal)?, "{own:?}");

    // What never became a task is kept, too, and counted where it is repeated.
    let height = network.deployment.source.height().await?;
    let client = network.client(0).await?;
    for chain_id in [31_338, 99, 99, 99] {
        let question = StateQuestion {
            chain_id,
            at: At::Block(height + 1_000),
            ..network.question(7, 0)
        };
        failure_of(client.request_state(&question, |_| {}).await)?;
    }
    let refused: Vec<RefusedLine> = network.operators[0].get("/tasks/refused").await?;
    let line = |code: &str| {
        refused
            .iter()
            .find(|line| line.code == code && line.origin == "request")
    };
    ensure!(
        line("not_final").is_some_and(|line| line.times == 1),
        "{refused:?}"
    );
    let unsupported = line("chain_unsupported").context("the unsupported chain")?;
    ensure!(
        unsupported.times == 3 && unsupported.detail.contains("chain 99"),
        "{refused:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_task_names_who_was_missing_and_outlives_kills() -> Outcome {
    let _turn = turn().await;
    let mut network = usual_network().await?;
    let block = network.set_value(7, 100).await?;
    for victim in &mut network.operators[2..] {
        victim.kill()?;
    }
    // 70 of 115 ether are left, 77 are needed.
    let client = network.client(0).await?;
    let question = network.question(7, block);
    let failure = failure_of(client.request_state(&question, |_| {}).await)?;
    ensure!(failure.code == ErrorCode::Expired, "{failure:?}");
    let task = failure.progress.context("progress")?.task_id;
    let entry = &network.operators[0];
    let timeline = told(entry, task, "the delivery", |what| {
        is_delivered(what, "error")
    })
    .await?;
    let attempts = timeline.events.iter().filter_map(|event| match event.what {
        EventKind::Announced { attempt, .. } => Some(attempt),
        _ => None,
    });
    ensure!(attempts.collect::<Vec<_>>() == [0, 1, 2, 3], "{timeline:?}");
    let mut silent: Vec<String> = network.deployment.operators[2..]
        .iter()
        .map(|(operator, _)| operator.to_string())
        .collect();
    silent.sort();
    let ended = place(&timeline, |what| matches!(what, EventKind::Ended { .. }))?;
    let EventKind::Ended {
        status,
        missing,
        signed_weight,
        ..
    } = &timeline.events[ended].what
    else {
        anyhow::bail!("{timeline:?}");
    };
    let mut named = missing.clone();
    named.sort();
    ensure!(status == "expired" && named == silent, "{timeline:?}");
    ensure!(signed_weight == "70000000000000000000", "{timeline:?}");
    let again =
        |what: &EventKind| matches!(what, EventKind::Sent { item } if item == "answer_again");
    told(&network.operators[1], task, "its answer again", again).await?;

    // Asked once more, and killed while that is under way.
    let (begun, mut progress) = tokio::sync::mpsc::channel(64);
    let asked = tokio::spawn(async move {
        let told = |_| {
            let _ = begun.try_send(());
        };
        client.request_state(&question, told).await
    });
    ensure!(progress.recv().await.is_some(), "{:?}", asked.await);
    told(&network.operators[0], task, "its second life", |what| {
        matches!(what, EventKind::Opened { again: true, .. })
    })
    .await?;
    network.operators[0].kill()?;
    ensure!(asked.await?.is_err());
    for victim in [0, 2, 3] {
        network.operators[victim].start()?;
        network.operators[victim].ready().await?;
    }
    told(&network.operators[0], task, "the restart", |what| {
        matches!(what, EventKind::Interrupted {})
    })
    .await?;
    joined(&network, &network.operators[0]).await?;
    certify(&network, 0, 7, block).await?;
    let timeline = told(&network.operators[0], task, "the certificate", |what| {
        matches!(what, EventKind::Certified { .. })
    })
    .await?;
    let lives = timeline.events.iter();
    let lives = lives.filter(|event| matches!(event.what, EventKind::Opened { .. }));
    ensure!(lives.count() >= 3, "{timeline:?}");
    // The earlier lives stand before the beginning of the last one.
    ensure!(timeline.events[0].after_ms < 0.0, "{timeline:?}");
    Ok(())
}

/// A program that follows a node, killed at the end.
struct Following {
    child: std::process::Child,
    out: std::path::PathBuf,
    _dir: tempfile::TempDir,
}

impl Following {
    fn start(more: &[&str]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let out = dir.path().join("out");
        let child = Command::new(node_binary()?)
            .args(["explain", "--live", "--json"])
            .args(more)
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(&out)?)
            .stderr(std::fs::File::create(dir.path().join("err"))?)
            .spawn()?;
        Ok(Self {
            child,
            out,
            _dir: dir,
        })
    }

    fn lines(&self) -> Vec<LiveLine> {
        let text = std::fs::read_to_string(&self.out).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Waits until it has heard something like this.
    async fn hears(&self, what: &str, is: impl Fn(&LiveLine) -> bool) -> Outcome {
        wait::until(what, SOON, || {
            std::future::ready(self.lines().iter().any(&is).then_some(()))
        })
        .await
    }

    /// Ctrl-C.
    async fn interrupt(mut self) -> Result<Option<i32>> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status()?;
        let ended = wait::until("the end of the follower", SOON, || {
            std::future::ready(self.child.try_wait().ok().flatten())
        });
        Ok(ended.await?.code())
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_can_be_followed_as_they_happen() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let block = network.set_value(7, 100).await?;
    let (http, to) = (
        &network.operators[0].http,
        network.operators[1].address.to_string(),
    );
    let followers = [
        Following::start(&["--http", http])?,
        Following::start(&["--peer", &to])?,
    ];
    // They follow as soon as they hear of a refused question, or of a task.
    let client = network.client(0).await?;
    let mut tasks = Vec::new();
    for key in 100.. {
        let block = network.set_value(key, 1).await?;
        tasks.push(certify(&network, 0, key, block).await?.task_id.to_string());
        if followers
            .iter()
            .all(|follower| !follower.lines().is_empty())
        {
            break;
        }
        ensure!(key < 200, "nobody follows");
    }
    let task = certify(&network, 0, 7, block).await?.task_id.to_string();
    let question = StateQuestion {
        chain_id: 99,
        ..network.question(7, block)
    };
    failure_of(client.request_state(&question, |_| {}).await)?;
    for follower in &followers {
        let is = |line: &LiveLine| matches!(line, LiveLine::Task { task_id, what: EventKind::Certified { .. }, .. } if *task_id == task);
        follower.hears("the certificate", is).await?;
        let begins = |line: &LiveLine| {
            matches!(line, LiveLine::Task { task_id, what: EventKind::Opened { .. }, statement: Some(_), .. }
                if *task_id == task)
        };
        follower.hears("the beginning", begins).await?;
    }
    let refused = |line: &LiveLine| matches!(line, LiveLine::Refused { line } if line.code == "chain_unsupported");
    followers[0].hears("the refusal", refused).await?;
    // That is nobody else's business.
    let [local, remote] = followers;
    ensure!(
        !remote
            .lines()
            .iter()
            .any(|line| matches!(line, LiveLine::Refused { .. }))
    );
    for follower in [local, remote] {
        let code = follower.interrupt().await?;
        ensure!(code == Some(0), "{code:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_much_keeps_nobody_waiting() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let block = network.set_value(7, 100).await?;
    let task = certify(&network, 0, 7, block).await?.task_id;
    let node = &network.operators[0];
    let before = node.memory()?;
    let flood = network.client(0).await?;
    let unknown = failure_of(flood.timeline(TaskId(B256::ZERO)).await)?;
    ensure!(unknown.code == ErrorCode::UnknownTask, "{unknown:?}");

    // More followers than there are places; which of them is refused is not said.
    let mut followers = Vec::new();
    for _ in 0..5 {
        followers.push(flood.follow().await?);
    }
    let each = followers.iter_mut().map(|follower| {
        Box::pin(async move {
            loop {
                if let Err(error) = follower.next().await {
                    return error;
                }
            }
        })
    });
    let refused = tokio::time::timeout(SOON, futures::future::select_all(each))
        .await?
        .0;
    let refused = failure_of::<()>(Err(refused))?;
    ensure!(
        refused.code == ErrorCode::Overloaded && refused.retryable,
        "{refused:?}"
    );
    // Who follows and does not read would keep its own other requests waiting.
    drop(followers);

    let flooding = (0..500).map(|_| flood.timeline(task));
    let honest = async {
        let mut slowest = Duration::ZERO;
        for key in 100..110 {
            let block = network.set_value(key, 1).await?;
            let began = std::time::Instant::now();
            certify(&network, 0, key, block).await?;
            slowest = slowest.max(began.elapsed());
        }
        anyhow::Ok(slowest)
    };
    let (told, slowest) = tokio::join!(futures::future::join_all(flooding), honest);
    let (slowest, mut answered) = (slowest?, 0);
    for told in told {
        match told {
            Ok(timeline) => answered += usize::from(!timeline.events.is_empty()),
            Err(error) => {
                let failure = failure_of::<Timeline>(Err(error))?;
                ensure!(failure.code == ErrorCode::Overloaded, "{failure:?}");
            }
        }
    }
    let after = node.memory()?;
    println!("{answered} of 500 answered, slowest honest request {slowest:?}");
    ensure!(
        answered > 0 && slowest < Duration::from_secs(3),
        "{slowest:?}"
    );
    ensure!(
        after < before + (30 << 20),
        "it grew from {before} to {after} bytes"
    );
    Ok(())
}
