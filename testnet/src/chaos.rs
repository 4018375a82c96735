//! `make chaos`: a network that is killed, paused, lied to and cut apart while users ask, and an
//! audit of what it left on its disks.

mod audit;
mod plan;
mod world;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use quorate_node::api::SyncReport;
use quorate_node::client::{At, StateQuestion};
use quorate_proto::U256;
use serde::Serialize;

use self::audit::Findings;
use self::plan::{Fault, Planner};
use self::world::ChaosNetwork;
use crate::network::CONFIRMATIONS;
use crate::users::{UserOptions, Users};

/// Keys that hold values; they get new ones all the time.
const KEYS: u64 = 100;
/// Blocks that are asked about, from the first on which all keys have a value.
const BLOCKS: u64 = 500;
/// How long a question may go without a certificate once everything is mended.
const MENDED: Duration = Duration::from_secs(90);

/// How long, and how.
#[derive(Args, Clone, Debug)]
pub struct ChaosOptions {
    /// Minutes of faults; a few more go into mending and the audit.
    #[arg(long, default_value_t = 10.0)]
    pub minutes: f64,
    /// What the faults and their times follow from; another one each time unless set.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Operators.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(4..=20))]
    pub operators: u64,
    /// Questions under way at any time.
    #[arg(long, default_value_t = 8)]
    pub users: usize,
    /// Cut nodes off from each other by network namespaces: yes, no, or where this machine allows it.
    #[arg(long, default_value = "auto", value_parser = ["auto", "yes", "no"])]
    pub partitions: String,
    /// Keep the nodes' folders here, instead of only when something was found.
    #[arg(long)]
    pub keep: Option<PathBuf>,
    /// Print what came of it as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Report {
    seed: u64,
    seconds: u64,
    faults: BTreeMap<&'static str, usize>,
    certificates: usize,
    asked_again: u64,
    longest_gap_ms: u128,
    slowest_restart_ms: u128,
    complete_after_ms: u128,
    findings: Findings,
}

/// Runs it.
///
/// # Errors
/// Whatever was found: the folders are kept then, and the seed is told.
pub async fn run(options: ChaosOptions) -> Result<()> {
    let seed = options.seed.unwrap_or_else(rand::random);
    let folder = tempfile::Builder::new()
        .prefix("quorate-chaos-")
        .tempdir()?;
    let dir = options.keep.clone().unwrap_or_else(|| folder.path().into());
    std::fs::create_dir_all(&dir)?;
    let told = told(&options, seed, &dir).await;
    let report = match told {
        Ok(report) if report.findings.is_clean() => report,
        Ok(report) => {
            report.print(options.json)?;
            let kept = folder.keep();
            let kept = options.keep.unwrap_or(kept);
            anyhow::bail!(
                "the audit found {} faults with seed {seed}; the folders are in {}",
                report.findings.count(),
                kept.display()
            );
        }
        Err(error) => {
            let kept = options.keep.unwrap_or_else(|| folder.keep());
            return Err(error.context(format!(
                "seed {seed}; the folders are in {}",
                kept.display()
            )));
        }
    };
    report.print(options.json)
}

async fn told(options: &ChaosOptions, seed: u64, dir: &std::path::Path) -> Result<Report> {
    let mut world = ChaosNetwork::start(options, dir).await?;
    tell(
        options,
        &format!(
            "{} operators, seed {seed}, {} minutes; partitions: {}",
            options.operators,
            options.minutes,
            world.partitions()
        ),
    );
    let users = users(options, &world).await?;
    let mut chaos = Chaos {
        planner: Planner::new(
            seed,
            usize::try_from(options.operators)?,
            world.can_partition(),
        ),
        active: Vec::new(),
        faults: BTreeMap::new(),
        began: Instant::now(),
    };
    chaos.run(options, &mut world, &users).await?;
    let seconds = chaos.began.elapsed().as_secs();
    world.mend_all().await?;
    tell(
        options,
        "everything is mended; users finish what they asked",
    );
    let asked_again = users.retried();
    let answered = users.finish().await?;
    tell(
        options,
        &format!(
            "{} certificates; every operator must come to have all that the others have",
            answered.answers.len()
        ),
    );
    let complete = complete(&world).await?;
    world.stop().await?;
    tell(
        options,
        "all nodes have stopped; the audit reads their stores",
    );
    let findings = audit::audit(&world, &answered).await?;
    Ok(Report {
        seed,
        seconds,
        faults: chaos.faults,
        certificates: answered.answers.len(),
        asked_again,
        longest_gap_ms: answered.longest_gap.as_millis(),
        slowest_restart_ms: world.slowest_restart().as_millis(),
        complete_after_ms: complete.as_millis(),
        findings,
    })
}

fn tell(options: &ChaosOptions, what: &str) {
    if !options.json {
        println!("{what}");
    }
}

/// Users who ask all operators about random keys and blocks.
async fn users(options: &ChaosOptions, world: &ChaosNetwork) -> Result<Users> {
    let network = &world.network;
    let (chain, contract) = (&network.deployment.source, network.deployment.state_manager);
    let values: Vec<_> = (0..KEYS)
        .map(|key| (U256::from(key), U256::from(1_000 + key)))
        .collect();
    let first = chain.set_values(contract, network.user(), &values).await?;
    chain.mine(BLOCKS + CONFIRMATIONS).await?;
    let template = network.question(0, first);
    Ok(Users::start(UserOptions {
        entries: network
            .operators
            .iter()
            .map(|o| o.address.clone())
            .collect(),
        in_flight: options.users,
        pause: Duration::from_millis(100),
        patience: Duration::from_secs_f64(options.minutes * 60.0) + MENDED,
        question: Box::new(move |number| StateQuestion {
            key: U256::from(number % KEYS),
            // By steps that come round to all: neighbours in time are not neighbours on the chain.
            at: At::Block(first + number.wrapping_mul(7_919) % BLOCKS),
            ..template.clone()
        }),
    }))
}

struct Active {
    until: Instant,
    fault: Fault,
}

struct Chaos {
    planner: Planner,
    active: Vec<Active>,
    faults: BTreeMap<&'static str, usize>,
    began: Instant,
}

impl Chaos {
    async fn run(
        &mut self,
        options: &ChaosOptions,
        world: &mut ChaosNetwork,
        users: &Users,
    ) -> Result<()> {
        let end = self.began + Duration::from_secs_f64(options.minutes * 60.0);
        while Instant::now() < end {
            let active: Vec<&Fault> = self.active.iter().map(|active| &active.fault).collect();
            let Some(step) = self.planner.next(&active) else {
                let soonest = self.active.iter().map(|active| active.until).min();
                let mended = soonest.unwrap_or(end).min(end);
                self.mend_until(mended, world).await?;
                continue;
            };
            let at = (Instant::now() + step.after).min(end);
            self.mend_until(at, world).await?;
            world.apply(&step.fault).await?;
            let after = self.began.elapsed().as_secs_f64();
            tell(
                options,
                &format!(
                    "{after:>7.1} s  {:<60} {:>5.1} s  {:>7} certificates",
                    step.fault.to_string(),
                    step.lasts.as_secs_f64(),
                    users.count()
                ),
            );
            *self.faults.entry(step.fault.kind()).or_default() += 1;
            self.active.push(Active {
                until: Instant::now() + step.lasts,
                fault: step.fault,
            });
        }
        for active in std::mem::take(&mut self.active) {
            world.mend(&active.fault).await?;
        }
        Ok(())
    }

    /// Mends what has lasted long enough, and sees to it that no node ended that was not made to.
    async fn mend_until(&mut self, at: Instant, world: &mut ChaosNetwork) -> Result<()> {
        loop {
            let now = Instant::now();
            let (over, active) = std::mem::take(&mut self.active)
                .into_iter()
                .partition(|active| active.until <= now);
            self.active = active;
            for ended in Vec::from_iter::<Vec<Active>>(over) {
                world.mend(&ended.fault).await?;
            }
            world.look().await?;
            if now >= at {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50).min(at - now)).await;
        }
    }
}

/// Waits until all operators hold the same answers to the same tasks. That these are all that users were
/// handed shows the audit.
async fn complete(world: &ChaosNetwork) -> Result<Duration> {
    let began = Instant::now();
    loop {
        let mut held = Vec::new();
        for operator in &world.network.operators {
            let report: SyncReport = operator.get("/sync").await?;
            held.push((&operator.name, report.epochs));
        }
        let (first, rest) = held.split_first().context("no operators")?;
        let Some(other) = rest.iter().find(|other| other.1 != first.1) else {
            return Ok(began.elapsed());
        };
        ensure!(
            began.elapsed() < MENDED,
            "{} and {} do not hold the same: {:?}, {:?}",
            first.0,
            other.0,
            first.1,
            other.1
        );
        crate::wait::tick().await;
    }
}

impl Report {
    fn print(&self, json: bool) -> Result<()> {
        if json {
            println!("{}", serde_json::to_string_pretty(self)?);
            return Ok(());
        }
        println!("\nChaos for {} s, seed {}\n", self.seconds, self.seed);
        for (kind, count) in &self.faults {
            println!("  {count:>6}  {kind}");
        }
        let seconds = |ms: u128| {
            format!(
                "{:.1} s",
                Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX)).as_secs_f64()
            )
        };
        println!();
        for (figure, what) in [
            (
                self.certificates.to_string(),
                "certificates handed to users",
            ),
            (
                self.asked_again.to_string(),
                "questions asked again elsewhere",
            ),
            (
                seconds(self.longest_gap_ms),
                "longest time without a new certificate",
            ),
            (
                seconds(self.slowest_restart_ms),
                "slowest restart until the node answers",
            ),
            (
                seconds(self.complete_after_ms),
                "after mending until every operator has everything",
            ),
        ] {
            println!("  {figure:>8}  {what}");
        }
        println!("\nAudit of all stores\n");
        self.findings.print();
        Ok(())
    }
}
