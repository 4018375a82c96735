//! Five operators under honest load, quiet and attacked twice: unknown peers and a sixth operator that has
//! gone bad send ten times as many messages as the honest do; users of another range of addresses ask for times and
//! absent keys as fast as they can, beside connections that say nothing.
//!
//! The attackers share the processor with the nodes, which on a real network they would not. So the
//! flood is also compared with a quiet phase in which a process that does nothing else takes as much
//! processor time as the attackers took.

use std::ffi::OsStr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use quorate_node::api::Operators;
use quorate_node::client::Client;

use super::BenchOptions;
use super::figures::{Latencies, ms, table};
use super::local::{BLOCKS, KEYS, Questions, questions};
use crate::attack::{AttackPlan, QuestionRange};
use crate::process::cpu_of;
use crate::{DeploymentOptions, LocalNetwork, NetworkOptions};

const STAKES: [u64; 6] = [40, 30, 20, 15, 10, 10];
/// The operator that goes bad; it never runs.
const BAD: usize = 5;
/// Messages that one request causes: a task, five responses and a result.
const MESSAGES: u64 = 7;
/// Attackers send this many times as much.
const TIMES: u64 = 10;
/// Streams on each node that begin a frame and do not end it.
const SLOW_STREAMS: usize = 16;
/// Questions per second that users of another range ask at each node: more than a range may.
const QUESTIONS: u64 = 400;
/// Connections of that range on each node that say nothing.
const SILENT: usize = 64;
/// From the start of a phase until it is measured.
const SETTLE: Duration = Duration::from_secs(3);

/// What was seen of the nodes in one phase.
struct Phase {
    latencies: Latencies,
    failures: usize,
    /// Processor time of all nodes, and of the attackers or who stands for them, in shares of one core.
    nodes: f64,
    others: f64,
    /// The largest resident memory of an operator at the end.
    memory: u64,
}

impl Phase {
    /// Seconds.
    fn median(&mut self) -> f64 {
        self.latencies.quantile(0.5).as_secs_f64()
    }
}

pub(super) async fn run(options: &BenchOptions) -> Result<()> {
    let network = LocalNetwork::start(NetworkOptions {
        deployment: DeploymentOptions {
            stakes: STAKES.to_vec(),
            ..DeploymentOptions::default()
        },
        log: "error".into(),
        absent: vec![BAD],
        arguments: vec!["--limit-local-ranges=true".into()],
        ..NetworkOptions::default()
    })
    .await?;
    let questions = Arc::new(questions(&network).await?);
    let mut clients = Vec::new();
    for number in 0..BAD {
        clients.push(network.client(number).await?);
    }
    let flood = options.flood_requests * MESSAGES * TIMES;
    println!(
        "Flood: 5 operators as processes, {} requests/s; attackers in a process of their own, {flood} messages/s \
         (garbage, duplicates, valid-looking spam) and {SLOW_STREAMS} slow streams on each node\n",
        options.flood_requests
    );
    let bench = Bench {
        options,
        network: &network,
        clients: &clients,
        questions: &questions,
    };
    bench.phase(None).await?;
    let quiet = bench.phase(None).await?;
    let flood_plan = plan(&network, flood).await?;
    let (flooded, burdened) = bench.attacked(&flood_plan).await?;
    let asked_plan = asking(&network, &flood_plan)?;
    let (asked, asked_burdened) = bench.attacked(&asked_plan).await?;
    let after = bench.phase(None).await?;
    let mut phases = [
        ("quiet", quiet),
        ("flooded", flooded),
        ("quiet, as much taken", burdened),
        ("asked too much", asked),
        ("quiet, as much taken", asked_burdened),
        ("quiet again", after),
    ];
    show(&mut phases);
    standings(&network).await
}

/// Kills a process that should run until then.
fn end(process: &mut Child) -> Result<()> {
    let alive = process.try_wait()?.is_none();
    process.kill()?;
    process.wait()?;
    anyhow::ensure!(
        alive,
        "the attackers, or who stands for them, ended before the bench did"
    );
    Ok(())
}

/// Messages of unknown peers and of an operator gone bad, and slow streams.
async fn plan(network: &LocalNetwork, flood: u64) -> Result<AttackPlan> {
    let deployment = &network.deployment;
    let domain = deployment.domain();
    let epoch = network.operators[0].status().await?.epoch;
    Ok(AttackPlan {
        home_chain_id: domain.home_chain_id(),
        registry: deployment.registry,
        epoch: epoch.context("no epoch")?,
        culprit: (BAD, deployment.operators[BAD].0),
        nodes: (0..BAD)
            .map(|number| network.operators[number].address.clone())
            .collect(),
        garbage: flood / 4,
        duplicates: flood / 4,
        spam: flood / 2,
        slow_streams: SLOW_STREAMS,
        questions: 0,
        quarry: None,
        silent: 0,
    })
}

/// Questions of another range, and silent connections.
fn asking(network: &LocalNetwork, flood: &AttackPlan) -> Result<AttackPlan> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let template = network.question(0, 0);
    Ok(AttackPlan {
        garbage: 0,
        duplicates: 0,
        spam: 0,
        slow_streams: 0,
        questions: QUESTIONS,
        quarry: Some(QuestionRange {
            chain_id: template.chain_id,
            user: template.user,
            keys: KEYS,
            // The chain's blocks are a second apart, and ahead of the clock.
            times: (now, now + BLOCKS / 2),
        }),
        silent: SILENT,
        ..flood.clone()
    })
}

/// The attackers, in a process of their own that leaves the processor to others where it is scarce.
fn attack(network: &LocalNetwork, plan: &AttackPlan) -> Result<Child> {
    let path = network.dir().join("attack.json");
    std::fs::write(&path, serde_json::to_string(plan)?)?;
    beside(&["attack".as_ref(), "--plan".as_ref(), path.as_os_str()])
}

/// A process that takes so many cores as the attackers do, and does nothing.
fn burn(cores: f64) -> Result<Child> {
    let millicores = format!("{:.0}", (cores * 1_000.0).max(1.0));
    beside(&[
        "burn".as_ref(),
        "--millicores".as_ref(),
        millicores.as_ref(),
    ])
}

/// This program once more, with a command of its own.
fn beside(arguments: &[&OsStr]) -> Result<Child> {
    let mut command = Command::new("nice");
    command.arg(std::env::current_exe()?).args(arguments);
    Ok(command.stdin(Stdio::null()).spawn()?)
}

/// Honest users, and whom they ask.
struct Bench<'a> {
    options: &'a BenchOptions,
    network: &'a LocalNetwork,
    clients: &'a [Client],
    questions: &'a Arc<Questions>,
}

impl Bench<'_> {
    /// A phase beside these attackers, and one beside a process that takes as much of the processor.
    async fn attacked(&self, plan: &AttackPlan) -> Result<(Phase, Phase)> {
        let mut attackers = attack(self.network, plan)?;
        let attacked = self.phase(Some(&attackers)).await;
        end(&mut attackers)?;
        let attacked = attacked?;
        let mut ballast = burn(attacked.others)?;
        let burdened = self.phase(Some(&ballast)).await;
        end(&mut ballast)?;
        Ok((attacked, burdened?))
    }

    /// Asks at a steady rate, whether earlier requests were answered or not, so that no latency hides.
    async fn phase(&self, others: Option<&Child>) -> Result<Phase> {
        let Self {
            options,
            network,
            clients,
            questions,
        } = self;
        tokio::time::sleep(SETTLE).await;
        let cpu = || -> Result<(Duration, Duration)> {
            let running = network.operators.iter().filter(|node| node.pid().is_some());
            let nodes = running.map(crate::NodeProcess::cpu).sum::<Result<_>>()?;
            let others = others.map(|child| cpu_of(child.id())).transpose()?;
            Ok((nodes, others.unwrap_or_default()))
        };
        let (before, began) = (cpu()?, Instant::now());
        let mut asked = tokio::task::JoinSet::new();
        let mut ticks =
            tokio::time::interval(Duration::from_secs(1) / u32::try_from(options.flood_requests)?);
        for number in 0..options.seconds * options.flood_requests {
            ticks.tick().await;
            let client = clients[usize::try_from(number)? % clients.len()].clone();
            let question = questions.next();
            asked.spawn(async move {
                let began = Instant::now();
                let answered = client.request_state(&question, |_| {}).await;
                (began.elapsed(), answered.map(drop))
            });
        }
        let (mut latencies, mut failures) = (Latencies::default(), 0);
        while let Some(answered) = asked.join_next().await {
            let (took, answered) = answered?;
            if let Err(error) = answered {
                println!("  failed after {took:?}: {error}");
                failures += 1;
            }
            latencies.add(took);
        }
        let (after, took) = (cpu()?, began.elapsed().as_secs_f64());
        let mut memory = 0;
        for node in network.operators.iter().filter(|node| node.pid().is_some()) {
            memory = memory.max(node.memory()?);
        }
        Ok(Phase {
            latencies,
            failures,
            nodes: (after.0 - before.0).as_secs_f64() / took,
            others: (after.1 - before.1).as_secs_f64() / took,
            memory,
        })
    }
}

fn show(phases: &mut [(&str, Phase); 6]) {
    let head = [
        "",
        "requests",
        "failed",
        "median",
        "p99",
        "nodes, cores",
        "others, cores",
        "memory",
    ];
    let rows = phases.iter_mut().map(|(name, phase)| {
        #[allow(clippy::cast_precision_loss)]
        let mib = phase.memory as f64 / 1_048_576.0;
        vec![
            (*name).to_owned(),
            phase.latencies.count().to_string(),
            phase.failures.to_string(),
            ms(phase.latencies.quantile(0.5)),
            ms(phase.latencies.quantile(0.99)),
            format!("{:.2}", phase.nodes),
            format!("{:.2}", phase.others),
            format!("{mib:.1} MiB"),
        ]
    });
    table("Honest requests", &head, &rows.collect::<Vec<_>>());
    let [quiet, flooded, burdened, asked, asked_burdened, again] =
        phases.each_mut().map(|(_, phase)| phase.median());
    println!(
        "A median request takes, compared with before, with afterwards, and with a process that does nothing taking the\n\
         attackers' processor time: under the flood {:.2}, {:.2} and {:.2} times as long,\nand beside users that ask too \
         much {:.2}, {:.2} and {:.2} times.\n",
        flooded / quiet,
        flooded / again,
        flooded / burdened,
        asked / quiet,
        asked / again,
        asked / asked_burdened,
    );
}

/// What operator 0 made of it, by author and by peer.
async fn standings(network: &LocalNetwork) -> Result<()> {
    let node = &network.operators[0];
    let page: Operators = node.get("/operators").await?;
    let bad = network.deployment.operators[BAD].0.to_string();
    let rows = page.operators.into_iter().map(|line| {
        let published = line.published.unwrap_or_default();
        let name = if line.operator == bad {
            "the bad one"
        } else {
            "honest"
        };
        vec![
            name.to_owned(),
            published.accepted.to_string(),
            published.ignored.to_string(),
            published.faults.to_string(),
        ]
    });
    let head = ["", "accepted", "ignored", "faults"];
    table(
        "Messages by author, at operator 0",
        &head,
        &rows.collect::<Vec<_>>(),
    );
    let figures = [
        "quorate_offences_total",
        "quorate_gossip_messages_total",
        "quorate_gossip_rejected_total",
        "quorate_streams_cut_total",
        "quorate_streams_refused_total",
        "quorate_open_tasks",
    ];
    let text = node.get_text("/metrics").await?;
    for line in text
        .lines()
        .filter(|line| figures.iter().any(|name| line.starts_with(name)))
    {
        println!("  {line}");
    }
    Ok(())
}
