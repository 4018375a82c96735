//! What its receiver does not take goes back to its sender.

use alloy::primitives::{Address, Bytes};
use anyhow::{Context, Result, ensure};
use quorate_chain::contracts::{Bridge, send as transact};
use quorate_node::api::TaskLine;
use quorate_proto::{Statement, Transfer};
use quorate_testnet::bridges::Way;
use quorate_testnet::{LocalNetwork, wait};

use super::{PAID, bridges, network, send};
use crate::support::{Outcome, stored, turn};

/// Account that is paid, and does not want to be.
const RECEIVER: usize = 8;

/// The one transfer that operators have certified, and the bytes of its certificate.
async fn certified(network: &LocalNetwork) -> Result<(Transfer, Bytes)> {
    let operator = &network.operators[0];
    let task = wait::until("a certified transfer", PAID, || async {
        let tasks: Vec<TaskLine> = operator.get("/tasks").await.ok()?;
        let is_it = |task: &TaskLine| task.kind == "transfer" && task.status == "completed";
        tasks.into_iter().find(is_it)
    });
    let task = task.await?.task_id.parse()?;
    let certificate = stored(&network.client(0).await?, task).await?.certificate;
    let Statement::Transfer(transfer) = certificate.statement() else {
        anyhow::bail!("no transfer: {certificate:?}");
    };
    Ok((transfer.clone(), certificate.signature_data().into()))
}

fn as_struct(transfer: Transfer) -> Bridge::Transfer {
    Bridge::Transfer {
        sourceChain: transfer.route.source_chain,
        sourceContract: transfer.route.source_contract,
        targetChain: transfer.route.target_chain,
        targetContract: transfer.route.target_contract,
        nonce: transfer.nonce,
        sender: transfer.sender,
        receiver: transfer.receiver,
        token: transfer.token,
        amount: transfer.amount,
        deadline: transfer.deadline,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_closed_at_its_target_is_given_back_by_a_relayer() -> Outcome {
    let _turn = turn().await;
    let (mut network, _miners) = network(1).await?;
    network.relayers[0].kill()?;
    let (home, source) = (&network.deployment.home, &network.deployment.source);
    let receiver: Address = *home.accounts().get(RECEIVER).context("no such account")?;
    send(&network, Way::ToHome, receiver, 5).await?;
    let (transfer, certificate) = certified(&network).await?;
    let (route, nonce) = (transfer.route.id(), transfer.nonce);

    let target = Bridge::new(bridges(&network)?.home, home.provider());
    let close = target
        .close(as_struct(transfer), certificate)
        .from(receiver);
    ensure!(transact(close).await?.get_receipt().await?.status());
    let (source, own) = (source.provider().clone(), bridges(&network)?.source);
    network.relayers[0].start()?;
    let bridge = Bridge::new(own, source);
    wait::until("the refund", PAID, || async {
        let fact = bridge.sentFact(route, nonce).call().await.ok()?;
        fact.is_zero().then_some(())
    })
    .await
}
