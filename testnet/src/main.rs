//! `quorate-testnet`: the local network for people.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use quorate_testnet::{attack, bench, chaos, demo, deploy};

/// Local networks of Quorate nodes: a demo, benches and what containers need, on real chains and real processes.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The benches run nodes in this process, so it has the allocator that `node` has.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Subcommand)]
enum Command {
    /// Shows the main job: a value certified by five operators and accepted by a contract.
    Demo {
        /// Leave the network up at the end and print how to talk to it.
        #[arg(long)]
        keep: bool,
    },
    /// Shows the bridge: coin sent on one chain and paid on the other.
    DemoBridge,
    /// Measures latency, throughput and memory of a local network.
    Bench(bench::BenchOptions),
    /// Kills, pauses, deceives and cuts apart a network under load, then audits every store.
    Chaos(chaos::ChaosOptions),
    /// Attacks the nodes of a local network; the flood bench runs it as a process of its own.
    #[command(hide = true)]
    Attack(attack::AttackOptions),
    /// Takes processor time and does nothing; the flood bench runs it in place of the attackers.
    #[command(hide = true)]
    Burn(attack::BurnOptions),
    /// Prepares a network on two chains that run already, for nodes in containers.
    Deploy(deploy::DeployOptions),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Demo { keep } => {
            let ending = if keep {
                demo::Ending::Keep
            } else {
                demo::Ending::TearDown
            };
            demo::run(ending).await
        }
        Command::DemoBridge => demo::bridge::run().await,
        Command::Bench(options) => bench::run(options).await,
        Command::Chaos(options) => chaos::run(options).await,
        Command::Attack(options) => attack::run(options).await,
        Command::Burn(options) => attack::burn(&options).await,
        Command::Deploy(options) => deploy::run(&options).await,
    }
}
