//! Peers that are no operators and publish what they like.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use quorate_node::api::PeerLine;
use quorate_proto::{
    Address, Batch, Domain, Envelope, Epoch, Kind, Outcome as Said, PeerBinding, ReadBasis,
    Response, SecretKey, StateProof, Statement, Task, U256, limits,
};
use quorate_testnet::{LocalNetwork, NodeProcess, OperatorKeys, wait};

use crate::support::load::Load;
use crate::support::test_peer::TestPeer;
use crate::support::{Outcome, SOON, certify, figure, turn, usual_network};

/// What the memory of an operator may grow by while it is attacked.
const GROWTH: u64 = 30 << 20;

/// Tried again this often by somebody who does not give up; no longer than a ban takes to come.
const PERSISTENCE: Duration = Duration::from_secs(30);

static SEQUENCE: AtomicU64 = AtomicU64::new(1);

/// Somebody with a signing key and a binding of its own making.
struct Impostor {
    domain: Domain,
    epoch: Epoch,
    operator: Address,
    key: SecretKey,
    binding: PeerBinding,
}

impl Impostor {
    /// Claims that `stranger` speaks for `operator`; signed by `key` for the network of `binds`.
    fn new(
        domain: Domain,
        binds: Domain,
        epoch: Epoch,
        operator: Address,
        key: SecretKey,
        stranger: &TestPeer,
    ) -> Result<Self> {
        // Later than all that the operator has made, and not so late that nobody believes it.
        let millis = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let (peer_key, sequence) = (stranger.secret.public(), u64::try_from(millis)? + 60_000);
        let digest = PeerBinding::digest(&binds, operator, peer_key, sequence);
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
        })
    }

    fn statement(&self) -> Statement {
        Statement::StateProof(StateProof {
            user: Address::repeat_byte(1),
            chain_id: 31_338,
            block_number: SEQUENCE.load(Ordering::SeqCst),
            timestamp: 1,
            epoch: self.epoch,
            key: U256::from(1),
            value: U256::from(666),
        })
    }

    /// A batch that nobody has seen, sealed for the topic of `domain`.
    fn batch(&self, kind: Kind, domain: &Domain, stranger: &TestPeer) -> Result<Vec<u8>> {
        let mut batch = Batch {
            sequence: SEQUENCE.fetch_add(1, Ordering::SeqCst),
            ..Batch::default()
        };
        let statement = self.statement();
        let signature = self.key.sign(statement.digest(&self.domain))?;
        match kind {
            Kind::Response => {
                let outcome = Said::Signed(signature);
                batch.responses.push(Response {
                    operator: self.operator,
                    statement,
                    outcome,
                    basis: ReadBasis::Unspecified,
                });
            }
            _ => batch.tasks.push(Task {
                statement,
                attempt: 0,
            }),
        }
        let topic = domain.network().topic(kind);
        Ok(Envelope::seal(
            &batch,
            &self.binding,
            &topic,
            &stranger.secret,
        ))
    }
}

/// One way to attack: which topic, what is said of it, and what is published.
struct InvalidMessages<'a> {
    kind: Kind,
    reason: &'static str,
    stranger: TestPeer,
    next: Box<dyn Fn(&TestPeer) -> Result<Vec<u8>> + Send + Sync + 'a>,
}

async fn score_of(node: &NodeProcess, stranger: &TestPeer) -> Option<f64> {
    let peers: Vec<PeerLine> = node.get("/peers").await.ok()?;
    let line = peers
        .into_iter()
        .find(|line| line.peer_id == stranger.peer.to_string())?;
    Some(line.score)
}

/// The first message costs score, more of them the connection, and there is no way back.
async fn is_shut_out(node: &NodeProcess, attack: InvalidMessages<'_>) -> Outcome {
    let InvalidMessages {
        kind,
        reason,
        stranger,
        next,
    } = attack;
    let labels = format!("kind=\"{}\",reason=\"{reason}\"", kind.name());
    let first = next(&stranger)?;
    let length = first.len();
    stranger.meet(node).await?;
    stranger.publish(kind, first).await?;
    let what = format!("{labels} costs score");
    wait::until(&what, SOON, || async {
        score_of(node, &stranger).await.filter(|score| *score < 0.0)
    })
    .await?;
    ensure!(
        figure(node, "quorate_gossip_rejected_total", &labels).await? >= 1.0,
        "{labels} is not counted"
    );
    let what = format!("{labels} costs the connection");
    wait::until(&what, PERSISTENCE, || async {
        if !stranger.is_connected(node).ok()? {
            return Some(());
        }
        // As much as gets through at a time: half a megabyte, or many small ones.
        for _ in 0..(limits::MAX_GOSSIP_BYTES / length).clamp(1, 6) {
            stranger.publish(kind, next(&stranger).ok()?).await.ok()?;
        }
        None
    })
    .await
    .with_context(|| format!("messages of {length} bytes"))?;
    stranger.dial(node).await?;
    ensure!(
        stranger.stream(node).await.is_err(),
        "{labels}: it may come back at once"
    );
    ensure!(
        score_of(node, &stranger).await.is_none(),
        "{labels}: still a peer"
    );
    Ok(())
}

fn attacks(network: &LocalNetwork, epoch: Epoch) -> Result<Vec<InvalidMessages<'_>>> {
    let domain = network.deployment.domain();
    let other = Domain::new(domain.home_chain_id(), Address::repeat_byte(9));
    let own = SecretKey::from_bytes(&[7; 32])?;
    let (victim, _) = network.deployment.operators[1];
    let stolen = OperatorKeys::of(1).signing;
    let mut attacks: Vec<InvalidMessages<'_>> = Vec::new();
    let mut add = |kind, reason, operator, key: &SecretKey, binds, sealed: Domain| -> Result<()> {
        let seed = 100 + u8::try_from(attacks.len())?;
        let stranger = TestPeer::new(&domain.network(), seed)?;
        let impostor = Impostor::new(domain, binds, epoch, operator, key.clone(), &stranger)?;
        let next = Box::new(move |stranger: &TestPeer| impostor.batch(kind, &sealed, stranger));
        attacks.push(InvalidMessages {
            kind,
            reason,
            stranger,
            next,
        });
        Ok(())
    };
    // No operator, with a binding that it made for itself.
    add(
        Kind::Response,
        "author is no operator",
        own.address(),
        &own,
        domain,
        domain,
    )?;
    add(
        Kind::Task,
        "author is no operator",
        own.address(),
        &own,
        domain,
        domain,
    )?;
    // In an operator's name, without its key.
    add(Kind::Response, "binding", victim, &own, domain, domain)?;
    // With a binding that the operator made for another network.
    add(Kind::Task, "binding", victim, &stolen, other, domain)?;
    // Sealed for another network's topic.
    add(Kind::Response, "envelope", victim, &own, domain, other)?;
    for (seed, length) in [(120, 300), (121, limits::MAX_GOSSIP_BYTES + 1)] {
        let next = move |_: &TestPeer| {
            let mut bytes = vec![0xff; length];
            bytes[..8].copy_from_slice(&SEQUENCE.fetch_add(1, Ordering::SeqCst).to_le_bytes());
            Ok(bytes)
        };
        let stranger = TestPeer::new(&domain.network(), seed)?;
        attacks.push(InvalidMessages {
            kind: Kind::Result,
            reason: "envelope",
            stranger,
            next: Box::new(next),
        });
    }
    Ok(attacks)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_publishes_rubbish_loses_score_and_connection_while_work_goes_on() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let node = &network.operators[0];
    let load = Load::start(&network, &[0, 2], 2).await?;
    load.goes_on(200).await?;
    let before: Vec<u64> = network
        .operators
        .iter()
        .map(NodeProcess::memory)
        .collect::<Result<_>>()?;
    let offences = figure(node, "quorate_offences_total", "").await?;

    let epoch = Epoch(node.status().await?.epoch.unwrap_or_default());
    let attacks = attacks(&network, epoch)?;
    let count = attacks.len();
    futures::future::try_join_all(attacks.into_iter().map(|attack| is_shut_out(node, attack)))
        .await?;
    #[allow(clippy::cast_precision_loss)]
    let expected = offences + 5.0 * count as f64;
    ensure!(
        figure(node, "quorate_offences_total", "").await? >= expected,
        "five faults each"
    );

    load.goes_on(100).await?;
    for (number, before) in before.iter().enumerate() {
        let now = network.operators[number].memory()?;
        println!(
            "operator {number}: {} KiB before, {} KiB after",
            before >> 10,
            now >> 10
        );
        ensure!(
            now < before + GROWTH,
            "operator {number} grew from {before} to {now} bytes"
        );
    }
    let result = load.finish().await;
    ensure!(result.failures.is_empty(), "{:?}", result.failures);
    // Nothing of it became a task, and the honest are still friends.
    let tasks: Vec<quorate_node::api::TaskLine> = node.get("/tasks?limit=1000").await?;
    ensure!(
        tasks
            .iter()
            .all(|line| line.block_number.is_some_and(|block| block >= 2)),
        "a stranger's task was taken"
    );
    network.meshed().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_for_the_protocol_takes_no_memory() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let node = &network.operators[0];
    let block = network.set_value(7, 100).await?;
    certify(&network, 0, 7, block).await?;
    let before = node.memory()?;
    for seed in 130..134 {
        let stranger = TestPeer::new(&network.deployment.domain().network(), seed)?;
        stranger.meet(node).await?;
        for number in 0..16 {
            // Below what the stranger may send, four times what a node takes.
            stranger
                .publish(Kind::Task, vec![number; 4 * limits::MAX_GOSSIP_BYTES])
                .await?;
        }
        let next = network.set_value(7, u64::from(seed)).await?;
        certify(&network, 0, 7, next).await?;
    }
    let now = node.memory()?;
    println!("{} KiB before, {} KiB after", before >> 10, now >> 10);
    ensure!(
        now < before + GROWTH,
        "it grew from {before} to {now} bytes"
    );
    let taken = figure(node, "quorate_gossip_messages_total", "kind=\"task\"").await?;
    ensure!(taken < 16.0, "{taken} task messages were taken");
    Ok(())
}
