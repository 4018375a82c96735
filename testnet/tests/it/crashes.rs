//! kill -9 while requests run.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use quorate_node::client::{ClientError, RequestFailure};
use quorate_proto::{Address, RefusalCode, wire::ErrorCode};
use quorate_testnet::{FaultyProvider, LocalNetwork, ProviderBehaviour};

use crate::support::audit::Audit;
use crate::support::load::{Delivered, Load};
use crate::support::test_peer::TestPeer;
use crate::support::{Outcome, accepted, certify, joined, staked, stored, turn};

/// A node is back in the mesh and answers this soon after its restart, on two cores that all the others and 48 users
/// keep busy. To open its two key files alone takes a second of processor time.
const BACK: Duration = Duration::from_secs(10);

/// Any one of them may be missing: 85 of 110 ether are left, 73.4 are needed.
const STAKES: [u64; 5] = [25, 25, 20, 20, 20];

/// Listens to everything that is signed.
async fn witness(network: &LocalNetwork) -> Result<TestPeer> {
    let witness = TestPeer::new(&network.deployment.domain().network(), 61)?;
    for node in &network.operators {
        witness.meet(node).await?;
    }
    Ok(witness)
}

/// Every certificate that a user was delivered can be had from another operator, and holds.
async fn retrievable(
    network: &LocalNetwork,
    delivered: &[Delivered],
    from: &[usize],
) -> Result<()> {
    let mut clients = Vec::new();
    for number in from {
        clients.push((*number, network.client(*number).await?));
    }
    for (index, Delivered { by, answer }) in delivered.iter().enumerate() {
        let others: Vec<_> = clients.iter().filter(|(number, _)| number != by).collect();
        let (_, client) = others[index % others.len()];
        let kept = stored(client, answer.task_id).await?;
        ensure!(kept.certificate.statement() == answer.certificate.statement());
        accepted(network, &kept).await?;
        accepted(network, answer).await?;
    }
    Ok(())
}

/// Starts the node again: healthy, in the mesh, and answering something new in time.
async fn comes_back(network: &mut LocalNetwork, victim: usize, key: u64) -> Result<()> {
    let block = network.set_value(key, 5).await?;
    let began = Instant::now();
    let back = async {
        network.operators[victim].start()?;
        network.operators[victim].ready().await?;
        joined(network, &network.operators[victim]).await?;
        certify(network, victim, key, block).await
    };
    let answer = tokio::time::timeout(BACK, back).await;
    let answer =
        answer.with_context(|| format!("operator {victim} is not back after {BACK:?}"))??;
    ensure!(!answer.stored);
    println!(
        "operator {victim} answered {:?} after its restart",
        began.elapsed()
    );
    Ok(())
}

/// Stops all nodes and compares what was seen with what they recorded.
async fn nothing_signed_twice(
    network: &mut LocalNetwork,
    witness: &TestPeer,
    delivered: &[Delivered],
) -> Result<()> {
    let mut audit = Audit::default();
    let responses = witness.responses()?;
    responses
        .iter()
        .for_each(|response| audit.response(response));
    delivered
        .iter()
        .for_each(|delivered| audit.certificate(&delivered.answer.certificate));
    for node in &mut network.operators {
        let status = node.stop().await?;
        ensure!(status.success(), "{}: {status}", node.name);
    }
    let compared = audit.against_logs(network)?;
    ensure!(
        compared >= 3 * delivered.len(),
        "only {compared} signatures for {} certificates",
        delivered.len()
    );
    println!(
        "{} certificates, {} responses seen, {compared} signatures compared",
        delivered.len(),
        responses.len()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_nobody_asked_is_killed() -> Outcome {
    let _turn = turn().await;
    let mut network = LocalNetwork::start(staked(&STAKES)).await?;
    let witness = witness(&network).await?;
    let load = Load::start(&network, &[0, 1, 3], 16).await?;
    load.goes_on(100).await?;
    network.operators[2].kill()?;
    load.goes_on(200).await?;
    comes_back(&mut network, 2, 8).await?;
    load.goes_on(50).await?;
    let result = load.finish().await;
    ensure!(result.failures.is_empty(), "{:?}", result.failures);
    retrievable(&network, &result.answers, &[0, 1, 3, 4]).await?;
    nothing_signed_twice(&mut network, &witness, &result.answers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_that_was_asked_is_killed() -> Outcome {
    let _turn = turn().await;
    let mut network = LocalNetwork::start(staked(&STAKES)).await?;
    let witness = witness(&network).await?;
    let load = Load::start(&network, &[0, 1], 16).await?;
    load.goes_on(150).await?;
    network.operators[0].kill()?;
    load.goes_on(100).await?;
    comes_back(&mut network, 0, 8).await?;
    let result = load.finish().await;
    // Who asked the dead one knows at once; nobody else notices.
    ensure!(result.failures.len() == 8, "{:?}", result.failures);
    for (entry, error) in &result.failures {
        ensure!(
            *entry == 0 && matches!(error, ClientError::Lost(_)),
            "operator {entry}: {error}"
        );
    }
    ensure!(
        result
            .answers
            .iter()
            .filter(|delivered| delivered.by == 0)
            .count()
            > 50
    );
    // From those who were never killed.
    retrievable(&network, &result.answers, &[2, 3, 4]).await?;
    nothing_signed_twice(&mut network, &witness, &result.answers).await
}

/// An operator that was killed right after it had signed remembers, whatever its chain says then.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_killed_after_signing_signs_nothing_else_for_it() -> Outcome {
    lied_to_after_a_kill("vote", |failure, operator| {
        let mut refusals = failure.refusals.iter();
        let own = refusals.find(|refused| refused.operator == operator);
        let own = own.with_context(|| format!("its own refusal: {failure:?}"))?;
        ensure!(own.code == RefusalCode::Conflict, "{own:?}");
        Ok(())
    })
    .await
}

/// Nor does it read by vote when it had proofs before, though no provider has any now.
#[tokio::test(flavor = "multi_thread")]
async fn who_had_proofs_before_it_was_killed_believes_nothing_else() -> Outcome {
    lied_to_after_a_kill("auto", |failure, _| {
        ensure!(failure.code == ErrorCode::ChainUnavailable, "{failure:?}");
        ensure!(failure.message.contains("reads = \"vote\""), "{failure:?}");
        Ok(())
    })
    .await
}

/// Kills an operator that has just certified a value, and starts it again in the next epoch with a provider
/// that has no proofs and says something else; what then becomes of the same question.
async fn lied_to_after_a_kill(
    reads: &str,
    expect: impl Fn(&RequestFailure, Address) -> Outcome,
) -> Outcome {
    let _turn = turn().await;
    let dir = tempfile::tempdir()?;
    let liar = FaultyProvider::listen(ProviderBehaviour::Honest).await?;
    let mut options = staked(&STAKES);
    options.source_rpc = vec![(0, vec![liar.url()])];
    options.reads = Some(reads.into());
    let mut network = LocalNetwork::prepare(options, dir.path()).await?;
    liar.forward_to(network.deployment.source.endpoint());
    network.start_nodes().await?;
    let witness = witness(&network).await?;
    let block = network.set_value(7, 100).await?;
    let answer = certify(&network, 0, 7, block).await?;

    network.operators[0].kill()?;
    liar.behave(ProviderBehaviour::Value(alloy::primitives::U256::from(666)));
    // Without what it had learned: the same question makes a new task.
    network.deployment.next_epoch().await?;
    network.operators[0].start()?;
    network.operators[0].ready().await?;
    joined(&network, &network.operators[0]).await?;
    let client = network.client(0).await?;
    let asked = client
        .request_state(&network.question(7, block), |_| {})
        .await;
    let (operator, _) = network.deployment.operators[0];
    expect(&crate::support::failure_of(asked)?, operator)?;
    nothing_signed_twice(&mut network, &witness, &[Delivered { by: 0, answer }]).await
}
