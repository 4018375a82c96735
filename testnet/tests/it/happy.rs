//! What users come for.

use anyhow::{Context, ensure};
use quorate_node::client::{At, Client, StateQuestion};
use quorate_proto::U256;
use quorate_testnet::{LocalNetwork, NetworkOptions};

use crate::support::{
    Outcome, accepted, certify, figure, proof_of, quic, staked, stored, turn, usual_network,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_past_value_is_certified_and_every_operator_keeps_its_certificate() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let first = network.set_value(7, 100).await?;
    let second = network.set_value(7, 250).await?;
    let answer = certify(&network, 0, 7, first).await?;
    ensure!(proof_of(&answer).value == U256::from(100) && !answer.stored);
    let later = certify(&network, 1, 7, second).await?;
    ensure!(proof_of(&later).value == U256::from(250));
    ensure!(later.task_id != answer.task_id);

    for number in 0..network.operators.len() {
        let kept = stored(&network.client(number).await?, answer.task_id).await?;
        ensure!(kept.certificate.statement() == answer.certificate.statement());
        accepted(&network, &kept).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_was_answered_is_answered_from_the_store() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let block = network.set_value(7, 100).await?;
    let answer = certify(&network, 0, 7, block).await?;
    let again = certify(&network, 0, 7, block).await?;
    ensure!(again.stored && again.certificate == answer.certificate);
    // Another operator has learned the certificate, and needs no second task either.
    stored(&network.client(3).await?, answer.task_id).await?;
    let elsewhere = certify(&network, 3, 7, block).await?;
    ensure!(elsewhere.stored && elsewhere.task_id == answer.task_id);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_the_same_at_once_share_one_task() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let block = network.set_value(7, 100).await?;
    let clients = [
        network.client(0).await?,
        network.client(0).await?,
        network.client(4).await?,
    ];
    let question = network.question(7, block);
    let asked =
        (0..12).map(|number| clients[number % clients.len()].request_state(&question, |_| {}));
    let answers = futures::future::try_join_all(asked).await?;
    for answer in &answers {
        ensure!(answer.task_id == answers[0].task_id);
        accepted(&network, answer).await?;
    }
    let completed = figure(&network.operators[0], "quorate_tasks_total", "completed").await?;
    ensure!(completed == 1.0, "{completed} tasks for one question");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_asks_for_the_last_block_before_it() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    network.set_value(7, 100).await?;
    network.deployment.source.mine_every(6, 100).await?;
    let block = network.deployment.source.height().await? - 4;
    let client = network.client(1).await?;
    let time = proof_of(&certify(&network, 0, 7, block).await?).timestamp;
    for (asked, found) in [
        (time - 1, block - 1),
        (time, block),
        (time + 99, block),
        (time + 100, block + 1),
    ] {
        let question = StateQuestion {
            at: At::Timestamp(asked),
            ..network.question(7, 0)
        };
        let answer = client.request_state(&question, |_| {}).await?;
        accepted(&network, &answer).await?;
        let proof = proof_of(&answer);
        ensure!(
            proof.block_number == found,
            "time {asked} is in block {}, not {found}",
            proof.block_number
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn users_come_by_tcp_and_by_quic() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let block = network.set_value(7, 100).await?;
    let address = quic(&network.operators[2].address);
    ensure!(address.to_string().contains("quic-v1"), "{address}");
    let client = Client::connect(&address, None).await?;
    let mut progress = Vec::new();
    let answer = client
        .request_state(&network.question(7, block), |seen| progress.push(seen))
        .await?;
    accepted(&network, &answer).await?;
    ensure!(!progress.is_empty(), "no progress was told");
    ensure!(progress.iter().all(|seen| seen.task_id == answer.task_id));
    ensure!(progress.is_sorted_by_key(|seen| seen.signed));
    let list = client.operators().await?;
    ensure!(list.operators.len() == 5, "{list:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_other_storage_engine_certificates_outlive_a_restart_too() -> Outcome {
    let _turn = turn().await;
    let options = NetworkOptions {
        engine: "sled".into(),
        ..staked(&[40, 30, 30])
    };
    let mut network = LocalNetwork::start(options).await?;
    let block = network.set_value(7, 100).await?;
    let answer = certify(&network, 0, 7, block).await?;
    stored(&network.client(2).await?, answer.task_id).await?;
    let node = network.operators.get_mut(2).context("three operators")?;
    let status = node.stop().await?;
    ensure!(status.success(), "{status}: {}", node.log_tail());
    node.start()?;
    node.ready().await?;
    let kept = stored(&network.client(2).await?, answer.task_id).await?;
    ensure!(kept.certificate.statement() == answer.certificate.statement());
    Ok(())
}
