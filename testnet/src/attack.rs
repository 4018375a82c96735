//! Hostile peers, for scenarios and the flood bench: unknown ones that send malformed messages, repetitions and slow
//! streams, and an operator that signs what looks valid.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Args;
use libp2p::Multiaddr;
use quorate_proto::{
    Address, Batch, Domain, Envelope, Epoch, Kind, Outcome, PeerBinding, PeerSecret, ReadBasis,
    Response, SecretKey, StateProof, Statement, Task, U256,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::OperatorKeys;
use crate::deployment::SOURCE_CHAIN;
use crate::test_peer::{RequestStream, TestPeer};

mod users;

pub use users::QuestionRange;

/// How often the rates are kept to.
const TICK: Duration = Duration::from_millis(10);
/// Bytes of a malformed message: as many as an honest response has.
const RUBBISH: usize = 400;
/// How long a connection may take that a node does not want.
const PATIENCE: Duration = Duration::from_secs(2);

/// An operator gone bad: its signing key and its binding are good.
pub struct MaliciousOperator {
    domain: Domain,
    epoch: Epoch,
    operator: Address,
    key: SecretKey,
    binding: PeerBinding,
    secret: PeerSecret,
    next: AtomicU64,
}

impl MaliciousOperator {
    /// The operator with the keys of this number. The peer with `secret` speaks for it from now on.
    ///
    /// # Errors
    /// The signing key does not sign.
    pub fn new(
        domain: Domain,
        epoch: Epoch,
        (number, operator): (usize, Address),
        secret: [u8; 32],
    ) -> Result<Self> {
        let key = OperatorKeys::of(number).signing;
        let secret = PeerSecret::from_bytes(&secret);
        let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let (peer_key, sequence) = (secret.public(), u64::try_from(since.as_millis())?);
        let digest = PeerBinding::digest(&domain, operator, peer_key, sequence);
        let binding = PeerBinding {
            operator,
            peer_key,
            sequence,
            signature: key.sign(digest)?,
        };
        Ok(Self {
            domain,
            epoch,
            operator,
            key,
            binding,
            secret,
            next: AtomicU64::new(u64::try_from(since.as_micros())?),
        })
    }

    /// A fact that no node has heard of, and that is not true.
    fn junk(&self, number: u64) -> Statement {
        Statement::StateProof(StateProof {
            user: Address::repeat_byte(0x66),
            chain_id: u32::try_from(SOURCE_CHAIN).unwrap_or_default(),
            block_number: 1,
            timestamp: 1,
            epoch: self.epoch,
            key: U256::from(number),
            value: U256::from(666),
        })
    }

    fn seal(
        &self,
        kind: Kind,
        fill: impl FnOnce(u64, &mut Batch) -> Result<()>,
    ) -> Result<Vec<u8>> {
        let sequence = self.next.fetch_add(1, Ordering::Relaxed);
        let mut batch = Batch {
            sequence,
            ..Batch::default()
        };
        fill(sequence, &mut batch)?;
        let topic = self.domain.network().topic(kind);
        Ok(Envelope::seal(&batch, &self.binding, &topic, &self.secret))
    }

    /// A message with a valid signature on junk.
    ///
    /// # Errors
    /// The signing key does not sign.
    pub fn response(&self) -> Result<Vec<u8>> {
        self.signed(0)
    }

    /// A message with a signature on something else than it says, in an envelope that is in order.
    ///
    /// # Errors
    /// The signing key does not sign.
    pub fn false_response(&self) -> Result<Vec<u8>> {
        self.signed(1)
    }

    fn signed(&self, other: u64) -> Result<Vec<u8>> {
        self.seal(Kind::Response, |number, batch| {
            let digest = self.junk(number + other).digest(&self.domain);
            batch.responses.push(Response {
                operator: self.operator,
                statement: self.junk(number),
                outcome: Outcome::Signed(self.key.sign(digest)?),
                basis: ReadBasis::Unspecified,
            });
            Ok(())
        })
    }

    /// A message that announces junk.
    ///
    /// # Errors
    /// None.
    pub fn task(&self) -> Result<Vec<u8>> {
        self.seal(Kind::Task, |number, batch| {
            batch.tasks.push(Task {
                statement: self.junk(number),
                attempt: 0,
            });
            Ok(())
        })
    }
}

/// What a process of attackers does, until it is killed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttackPlan {
    /// Home chain id.
    pub home_chain_id: u64,
    /// Stake registry.
    pub registry: Address,
    /// Current epoch.
    pub epoch: u32,
    /// Number of the malicious operator's keys, and its address.
    pub culprit: (usize, Address),
    /// Whom to attack.
    pub nodes: Vec<Multiaddr>,
    /// Malformed messages per second, by unknown peers.
    pub garbage: u64,
    /// Messages per second that were heard before, by an unknown peer.
    pub duplicates: u64,
    /// Messages per second that look valid, by the malicious operator.
    pub spam: u64,
    /// Streams per node that begin a frame and do not end it.
    pub slow_streams: usize,
    /// Questions per second at each node, by a user of another range of addresses.
    pub questions: u64,
    /// About what.
    pub quarry: Option<QuestionRange>,
    /// Connections per node on which nothing is said, from that range, too.
    pub silent: usize,
}

/// Where the plan is.
#[derive(Args, Clone, Debug)]
pub struct AttackOptions {
    /// The plan, as JSON.
    #[arg(long)]
    plan: PathBuf,
}

/// Attacks the nodes of a local network, until the process is killed.
///
/// # Errors
/// A plan that cannot be read.
pub async fn run(options: AttackOptions) -> Result<()> {
    let text = std::fs::read_to_string(&options.plan)?;
    let plan: AttackPlan = serde_json::from_str(&text).context("no plan")?;
    let slow = futures::future::try_join_all(plan.nodes.iter().map(|node| slow(&plan, node)));
    let silent = plan.nodes.iter().map(|node| users::be_silent(&plan, node));
    let silent = futures::future::try_join_all(silent);
    let asking = users::ask(&plan);
    tokio::try_join!(
        garbage(&plan),
        duplicates(&plan),
        spam(&plan),
        slow,
        silent,
        asking
    )?;
    Ok(())
}

/// How much processor time is taken.
#[derive(Args, Clone, Debug)]
pub struct BurnOptions {
    /// Thousandths of a core: 500 take every other millisecond of one.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64_000))]
    millicores: u32,
}

/// Takes processor time in slices of a millisecond, as attackers do that send at a steady rate, until
/// the process is killed.
///
/// # Errors
/// None.
pub async fn burn(options: &BurnOptions) -> Result<()> {
    const SLICE: Duration = Duration::from_millis(1);
    const CORE: u32 = 1_000;
    let threads = options.millicores.div_ceil(CORE);
    let period = SLICE * (threads * CORE) / options.millicores;
    let slices = move || {
        let mut next = Instant::now();
        loop {
            let began = Instant::now();
            while began.elapsed() < SLICE {
                std::hint::spin_loop();
            }
            // After a pause that took too long the next ones are shorter.
            next += period;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    };
    let burning = (0..threads).map(|_| tokio::task::spawn_blocking(slices));
    futures::future::try_join_all(burning).await?;
    Ok(())
}

/// Of a peer key that no node has seen yet.
fn secret(name: &str) -> Result<[u8; 32]> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    Ok(Sha256::digest(format!("{name} {since}")).into())
}

impl AttackPlan {
    fn domain(&self) -> Domain {
        Domain::new(self.home_chain_id, self.registry)
    }

    /// A peer with a key of its own that knows all nodes which want to know it.
    async fn peer(&self, name: &str, listens: bool) -> Result<TestPeer> {
        let network = self.domain().network();
        let secret = secret(name)?;
        let stranger = if listens {
            TestPeer::with_secret(&network, secret)?
        } else {
            TestPeer::deaf(&network, secret)?
        };
        self.meet(&stranger).await;
        Ok(stranger)
    }

    async fn meet(&self, stranger: &TestPeer) {
        let met = self.nodes.iter().map(|node| stranger.meet_at(node));
        let _ = tokio::time::timeout(PATIENCE, futures::future::join_all(met)).await;
    }

    fn is_shut_out(&self, stranger: &TestPeer) -> bool {
        let connected = |node| stranger.is_connected_to(node).unwrap_or(false);
        !self.nodes.iter().any(connected)
    }
}

/// Calls `act` so many times per second, for ever.
async fn at_rate<F: Future<Output = Result<()>>>(
    per_second: u64,
    mut act: impl FnMut() -> F,
) -> Result<()> {
    let mut ticks = tokio::time::interval(TICK);
    let (mut passed, mut done) = (0_u64, 0_u64);
    loop {
        ticks.tick().await;
        passed += 1;
        let due = passed * per_second / (1_000 / u64::try_from(TICK.as_millis())?);
        while done < due {
            act().await?;
            done += 1;
        }
    }
}

/// Malformed messages by a peer that comes back under another name as soon as no node hears it any more.
async fn garbage(plan: &AttackPlan) -> Result<()> {
    let stranger = tokio::sync::Mutex::new(plan.peer("garbage", false).await?);
    let number = AtomicU64::new(0);
    at_rate(plan.garbage, || async {
        let mut stranger = stranger.lock().await;
        if plan.is_shut_out(&stranger) {
            *stranger = plan.peer("garbage", false).await?;
        }
        let number = number.fetch_add(1, Ordering::Relaxed);
        let mut bytes = vec![0xaa; RUBBISH];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        let kinds = Kind::ALL;
        let kind = kinds[usize::try_from(number)? % kinds.len()];
        stranger.publish(kind, bytes).await
    })
    .await
}

/// What others said, once more.
async fn duplicates(plan: &AttackPlan) -> Result<()> {
    let stranger = tokio::sync::Mutex::new(plan.peer("duplicates", true).await?);
    let number = AtomicU64::new(0);
    at_rate(plan.duplicates, || async {
        let mut stranger = stranger.lock().await;
        if plan.is_shut_out(&stranger) {
            *stranger = plan.peer("duplicates", true).await?;
        }
        let number = usize::try_from(number.fetch_add(1, Ordering::Relaxed))?;
        match stranger.heard_at(number) {
            Some(heard) => stranger.publish(heard.kind, heard.data).await,
            None => Ok(()),
        }
    })
    .await
}

/// Junk with good signatures. When nodes shut its peer out it goes on over the others, then takes another
/// peer key.
async fn spam(plan: &AttackPlan) -> Result<()> {
    let culprit = || async {
        let secret = secret("spam")?;
        let stranger = TestPeer::deaf(&plan.domain().network(), secret)?;
        plan.meet(&stranger).await;
        let culprit =
            MaliciousOperator::new(plan.domain(), Epoch(plan.epoch), plan.culprit, secret)?;
        anyhow::Ok((stranger, culprit))
    };
    let speaker = tokio::sync::Mutex::new(culprit().await?);
    let number = AtomicU64::new(0);
    at_rate(plan.spam, || async {
        let mut speaker = speaker.lock().await;
        if plan.is_shut_out(&speaker.0) {
            *speaker = culprit().await?;
        }
        let (stranger, culprit) = &*speaker;
        if number.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            stranger.publish(Kind::Response, culprit.response()?).await
        } else {
            stranger.publish(Kind::Task, culprit.task()?).await
        }
    })
    .await
}

/// Streams that begin a frame; those that are cut begin again.
async fn slow(plan: &AttackPlan, node: &Multiaddr) -> Result<()> {
    loop {
        let stranger = plan.peer("slow", false).await?;
        let mut streams: Vec<RequestStream> = Vec::new();
        while stranger.is_connected_to(node)? {
            if streams.len() < plan.slow_streams
                && let Ok(mut stream) = stranger.stream_to(node).await
                && stream.send(&[100]).await.is_ok()
            {
                streams.push(stream);
                continue;
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
            streams.clear();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
