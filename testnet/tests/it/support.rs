//! What the scenarios share.

pub(crate) mod audit;
pub(crate) mod command;
pub(crate) mod load;
pub(crate) mod test_peer;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use quorate_chain::{CertificateCheck, ChainFamily, verify_on_chain};
use quorate_node::api::{OperatorReport, PeerLine};
use quorate_node::client::{Answer, Client, ClientError, RequestFailure};
use quorate_proto::{Address, StateProof, TaskId, U256};
use quorate_testnet::{DeploymentOptions, LocalNetwork, NetworkOptions, NodeProcess, wait};
use tokio::sync::{Mutex, MutexGuard};

/// How a scenario ends.
pub(crate) type Outcome = Result<()>;

/// For whatever takes a moment on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(15);

static TURN: Mutex<()> = Mutex::const_new(());

/// Waits until no other scenario of this process runs.
pub(crate) async fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().await
}

/// A network of operators with these stakes in ether.
pub(crate) fn staked(stakes: &[u64]) -> NetworkOptions {
    let stakes = stakes.to_vec();
    let deployment = DeploymentOptions {
        stakes,
        ..DeploymentOptions::default()
    };
    NetworkOptions {
        deployment,
        ..NetworkOptions::default()
    }
}

/// The usual one: 115 ether, of which a certificate needs two thirds and one wei.
pub(crate) async fn usual_network() -> Result<LocalNetwork> {
    LocalNetwork::start(staked(&[40, 30, 20, 15, 10])).await
}

/// Wei.
pub(crate) fn ether(amount: u64) -> U256 {
    U256::from(amount) * U256::from(10).pow(U256::from(18))
}

/// What was certified.
pub(crate) fn proof_of(answer: &Answer) -> StateProof {
    let proof = answer.certificate.statement().state_proof();
    *proof.expect("a state was asked for")
}

/// Asks operator `entry` and checks the certificate on the home chain.
pub(crate) async fn certify(
    network: &LocalNetwork,
    entry: usize,
    key: u64,
    block: u64,
) -> Result<Answer> {
    let client = network.client(entry).await?;
    let answer = client
        .request_state(&network.question(key, block), |_| {})
        .await?;
    accepted(network, &answer).await?;
    Ok(answer)
}

/// The registry on the home chain accepts it, and the digest is that of the statement.
pub(crate) async fn accepted(network: &LocalNetwork, answer: &Answer) -> Result<()> {
    let deployment = &network.deployment;
    let digest = answer.certificate.statement().digest(&deployment.domain());
    ensure!(
        digest == answer.digest,
        "the digest is of another statement"
    );
    ensure!(
        answer.certificate.signature_data() == answer.signature_data,
        "not the certificate's bytes"
    );
    let url = deployment.home.url()?;
    let verdict = verify_on_chain(
        ChainFamily::Evm,
        &url,
        deployment.registry,
        digest,
        &answer.signature_data,
    )
    .await?;
    ensure!(
        verdict == CertificateCheck::Valid,
        "the registry rejects task {}: {verdict}",
        answer.task_id
    );
    Ok(())
}

/// What the operator said instead of a certificate.
pub(crate) fn failure_of<T: std::fmt::Debug>(
    result: Result<T, ClientError>,
) -> Result<RequestFailure> {
    match result {
        Err(ClientError::Failed(failure)) => Ok(*failure),
        other => anyhow::bail!("a typed failure was expected, not {other:?}"),
    }
}

/// The certificate of a task, as soon as this operator has it.
pub(crate) async fn stored(client: &Client, task: TaskId) -> Result<Answer> {
    let what = format!("the certificate of task {task}");
    let asked = wait::until(&what, SOON, || async {
        match client.certificate(task).await {
            Ok(answer) => Some(Ok(answer)),
            Err(ClientError::Failed(_)) => None,
            Err(error) => Some(Err(error)),
        }
    });
    let answer = asked.await??;
    ensure!(
        answer.stored && answer.task_id == task,
        "not the stored certificate of task {task}"
    );
    Ok(answer)
}

/// What `node` shows of an operator's part in a task, once its outcome is as told.
pub(crate) async fn shown(
    node: &NodeProcess,
    task: TaskId,
    operator: Address,
    outcome: &str,
) -> Result<OperatorReport> {
    let what = format!("{}: {operator} {outcome} task {task}", node.name);
    wait::until(&what, SOON, || async {
        let report = node.task(&task.to_string()).await.ok()?;
        let mut operators = report.operators.into_iter();
        operators.find(|line| line.operator == operator.to_string() && line.outcome == outcome)
    })
    .await
}

/// The sum of a figure over all labels that contain `labels`.
pub(crate) async fn figure(node: &NodeProcess, name: &str, labels: &str) -> Result<f64> {
    let page = node.get_text("/metrics").await?;
    let is_it = |line: &&str| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' '])) && line.contains(labels)
    };
    let mut sum = 0.0;
    for line in page.lines().filter(is_it) {
        let number = line.rsplit(' ').next().context("no figure")?;
        sum += number.parse::<f64>()?;
    }
    Ok(sum)
}

/// The peer id at the end of a node's address.
pub(crate) fn peer_of(node: &NodeProcess) -> Result<PeerId> {
    match node.address.iter().last() {
        Some(Protocol::P2p(peer)) => Ok(peer),
        _ => anyhow::bail!("{} has no peer id", node.name),
    }
}

/// The same node over QUIC.
pub(crate) fn quic(address: &Multiaddr) -> Multiaddr {
    let mut quic = Multiaddr::empty();
    for part in address {
        match part {
            Protocol::Tcp(port) => {
                quic.push(Protocol::Udp(port));
                quic.push(Protocol::QuicV1);
            }
            other => quic.push(other),
        }
    }
    quic
}

/// Waits until `node` is connected to all other nodes that run, whoever else there is.
pub(crate) async fn joined(network: &LocalNetwork, node: &NodeProcess) -> Result<()> {
    let others = network.registries.iter().chain(&network.operators);
    let others = others.filter(|other| other.pid().is_some() && other.name != node.name);
    let wanted = others.map(peer_of).collect::<Result<Vec<_>>>()?;
    wait::until(&format!("{} in the mesh", node.name), SOON, || async {
        let peers: Vec<PeerLine> = node.get("/peers").await.ok()?;
        let connected = |peer: &PeerId| peers.iter().any(|line| line.peer_id == peer.to_string());
        wanted.iter().all(connected).then_some(())
    })
    .await
}
