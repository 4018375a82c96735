//! Nodes that stop, and the ones that others bootstrap from.

use anyhow::{Context, ensure};
use quorate_testnet::wait;

use crate::support::{Outcome, SOON, accepted, certify, joined, staked, turn, usual_network};

#[tokio::test(flavor = "multi_thread")]
async fn the_bootstrap_node_may_come_and_go() -> Outcome {
    let _turn = turn().await;
    let mut network = usual_network().await?;
    let block = network.set_value(7, 100).await?;
    network.registries[0].kill()?;
    certify(&network, 0, 7, block).await?;

    // Who restarts meanwhile finds the others without it.
    network.operators[2].kill()?;
    network.operators[2].start()?;
    network.operators[2].ready().await?;
    joined(&network, &network.operators[2]).await?;
    let next = network.set_value(7, 200).await?;
    certify(&network, 2, 7, next).await?;

    // Nobody is told that it is back: all of them dial it by themselves.
    network.registries[0].start()?;
    network.registries[0].ready().await?;
    joined(&network, &network.registries[0]).await?;
    for node in &network.operators {
        joined(&network, node).await?;
    }
    let last = network.set_value(7, 300).await?;
    certify(&network, 4, 7, last).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_told_to_stop_answers_what_is_under_way() -> Outcome {
    let _turn = turn().await;
    let mut network = quorate_testnet::LocalNetwork::start(staked(&[10, 10, 10])).await?;
    let block = network.set_value(7, 100).await?;
    // All three are needed, and one is missing: what is asked now stays under way.
    network.operators[2].kill()?;
    let client = network.client(0).await?;
    let question = network.question(7, block);
    let (begun, waiting) = tokio::sync::oneshot::channel();
    let mut begun = Some(begun);
    let asked = tokio::spawn(async move {
        let tell = |_| _ = begun.take().map(|begun| begun.send(()));
        client.request_state(&question, tell).await
    });
    waiting.await?;
    terminate(&network.operators[0])?;
    wait::until("the end of its office hours", SOON, || async {
        network.client(0).await.is_err().then_some(())
    })
    .await?;
    ensure!(
        !asked.is_finished(),
        "it was to wait for the third operator"
    );

    network.operators[2].start()?;
    let answer = asked.await?.context("the request that was under way")?;
    accepted(&network, &answer).await?;
    let status = network.operators[0].ended(SOON).await?;
    ensure!(
        status.code() == Some(0),
        "{status}: {}",
        network.operators[0].log_tail()
    );
    for node in network
        .registries
        .iter_mut()
        .chain(&mut network.operators[1..])
    {
        let status = node.stop().await?;
        ensure!(
            status.code() == Some(0),
            "{}: {status}: {}",
            node.name,
            node.log_tail()
        );
    }
    Ok(())
}

/// SIGTERM, without waiting for what comes of it.
fn terminate(node: &quorate_testnet::NodeProcess) -> Outcome {
    let pid = node.pid().context("it runs")?;
    let sent = std::process::Command::new("kill")
        .arg(pid.to_string())
        .status()?;
    ensure!(sent.success());
    Ok(())
}
