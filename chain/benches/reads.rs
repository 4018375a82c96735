//! Reads per second and median latency against a local chain, by vote and by proof, with 1 and 64 reads
//! in flight. With fresh headers every read takes two calls, with known ones only that for the value. Every
//! read is about another key, as what one state proves is asked once; but for the last line of each, which
//! shows just that.
//!
//! `cargo bench -p quorate-chain`; needs the anvil binary.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, U256};
use futures::stream::{self, StreamExt};
use quorate_chain::anvil::{AnvilChain, AnvilOptions};
use quorate_chain::contracts::StateManager;
use quorate_chain::evm::Reads::{Proof, Vote};
use quorate_chain::evm::{EvmChain, EvmSettings};
use quorate_chain::{ChainConfig, ChainError, Finality, ReadLog, StateReader};

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Few: anvil goes through all storage of a contract for each proof.
const KEYS: u64 = 10;
const BLOCKS: u64 = 1_000;
const DURATION: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let anvil = AnvilChain::start(AnvilOptions::default()).await?;
    let contract = StateManager::deploy(anvil.provider().clone()).await?;
    let (state_manager, user) = (*contract.address(), anvil.accounts()[0]);
    let values: Vec<_> = (0..KEYS)
        .map(|key| (U256::from(key), U256::from(key)))
        .collect();
    let written = anvil.set_values(state_manager, user, &values).await?;
    anvil.mine(BLOCKS).await?;

    println!(
        "reads  providers  headers  keys   in flight   reads/s   median us   p99 us   reads/s of own CPU time"
    );
    for (way, providers) in [(Vote, 1), (Proof, 1), (Vote, 3), (Proof, 3)] {
        for in_flight in [1, 64] {
            let mut rpc = vec![anvil.url()?];
            for number in 1..providers {
                rpc.push(format!("{}/?provider={number}", anvil.endpoint()).parse()?);
            }
            let settings = EvmSettings {
                reads: way,
                ..EvmSettings::default()
            };
            let (id, finality) = (anvil.chain_id(), Finality::Confirmations(0));
            let config = ChainConfig::new(id, rpc, finality, Arc::new(settings));
            let reader = Arc::new(EvmChain::connect(&config, settings, state_manager).await?);
            // With an entry proven, the absence of others is.
            let log = ReadLog::default();
            reader.read(user, U256::from(1), written, &log).await?;
            for (headers, keys, reads) in [
                ("fresh", "all", BLOCKS),
                ("known", "all", u64::MAX),
                ("known", "ten", u64::MAX),
            ] {
                let load = Load {
                    user: (keys == "ten").then_some(user),
                    first: written,
                    reads,
                    in_flight,
                };
                let figures = load.measure(&reader).await?;
                println!(
                    "{way:>5}  {providers:9}  {headers:>7}  {keys:>4}  {in_flight:9}  {figures}"
                );
            }
        }
    }
    Ok(())
}

struct Load {
    /// Whose keys are asked about; otherwise those of somebody else each time, who has none.
    user: Option<Address>,
    first: u64,
    reads: u64,
    in_flight: usize,
}

impl Load {
    async fn measure(&self, reader: &Arc<EvmChain>) -> Result<String, Failed> {
        let (began, cpu, user) = (Instant::now(), cpu_time(), self.user);
        let mut reads = stream::iter(0..self.reads)
            .take_while(|_| std::future::ready(began.elapsed() < DURATION))
            .map(|number| {
                let reader = Arc::clone(reader);
                // A step that is prime to the number of blocks: every block in turn, none in order.
                let block = self.first + number * 997 % BLOCKS;
                let stranger = Address::from_word(B256::from(U256::from(number + 1)));
                let read = async move {
                    let asked = Instant::now();
                    let (key, log) = (U256::from(number % KEYS), ReadLog::default());
                    let of = user.unwrap_or(stranger);
                    let reading = match reader.read(of, key, block, &log).await {
                        Err(ChainError::NoHistory) if user.is_none() => Ok(()),
                        reading => reading.map(drop),
                    };
                    (asked.elapsed(), reading)
                };
                tokio::spawn(read)
            })
            .buffer_unordered(self.in_flight);
        let mut times = Vec::new();
        while let Some(read) = reads.next().await {
            let (time, reading) = read?;
            reading?;
            times.push(time);
        }
        let took = began.elapsed().as_secs_f64();
        let cpu = cpu_time().zip(cpu).map(|(after, before)| after - before);
        times.sort_unstable();
        let per_second = |time: f64| times.len() as f64 / time;
        let micros = |share: usize| times[(times.len() - 1) * share / 100].as_micros();
        let own = cpu.map_or_else(|| "?".to_owned(), |cpu| format!("{:.0}", per_second(cpu)));
        let (median, slow) = (micros(50), micros(99));
        Ok(format!(
            "{:8.0}  {median:10}  {slow:7}   {own:>24}",
            per_second(took)
        ))
    }
}

/// Processor seconds of this process so far, where the system tells.
fn cpu_time() -> Option<f64> {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / TICKS_PER_SECOND)
}
