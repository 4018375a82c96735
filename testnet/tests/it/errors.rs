//! What users see when there is no certificate.

use anyhow::{Context, Result, ensure};
use quorate_node::client::{At, Client, StateQuestion};
use quorate_proto::wire::reply::Kind as ReplyKind;
use quorate_proto::wire::request::Kind as RequestKind;
use quorate_proto::wire::{self, ErrorCode};
use quorate_proto::{B256, TaskId, U256};
use quorate_testnet::LocalNetwork;

use crate::support::test_peer::{RequestStream, TestPeer};
use crate::support::{Outcome, accepted, failure_of, turn, usual_network};

#[tokio::test(flavor = "multi_thread")]
async fn every_reason_has_its_code_and_the_connection_lives_on() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let block = network.set_value(7, 100).await?;
    let client = network.client(0).await?;
    let good = network.question(7, block);
    let height = network.deployment.source.height().await?;
    let table = [
        (
            StateQuestion {
                chain_id: 999,
                ..good.clone()
            },
            ErrorCode::ChainUnsupported,
            false,
            "reads 31338",
        ),
        (
            StateQuestion {
                key: U256::from(8),
                ..good.clone()
            },
            ErrorCode::NoHistory,
            false,
            "never written",
        ),
        (
            StateQuestion {
                at: At::Block(block - 1),
                ..good.clone()
            },
            ErrorCode::BeforeFirstEntry,
            false,
            "later block",
        ),
        (
            StateQuestion {
                at: At::Block(height),
                ..good.clone()
            },
            ErrorCode::NotFinal,
            true,
            "not final yet",
        ),
        (
            StateQuestion {
                at: At::Timestamp(99_999_999_999),
                ..good.clone()
            },
            ErrorCode::NotFinal,
            true,
            "not final yet",
        ),
        (
            StateQuestion {
                at: At::Timestamp(1_732_972_800_000),
                ..good.clone()
            },
            ErrorCode::Invalid,
            false,
            "milliseconds",
        ),
        (
            StateQuestion {
                at: At::Timestamp(1),
                ..good.clone()
            },
            ErrorCode::Invalid,
            false,
            "first block",
        ),
    ];
    for (question, code, retryable, phrase) in table {
        let failure = failure_of(client.request_state(&question, |_| {}).await)?;
        ensure!(
            failure.code == code && failure.retryable == retryable,
            "{question:?}: {failure:?}"
        );
        ensure!(
            failure.message.contains(phrase),
            "{phrase:?} is missing: {failure:?}"
        );
        ensure!(
            failure.progress.is_none() && failure.refusals.is_empty(),
            "{failure:?}"
        );
    }
    let unknown = failure_of(client.certificate(TaskId(B256::repeat_byte(9))).await)?;
    ensure!(
        unknown.code == ErrorCode::UnknownTask && !unknown.retryable,
        "{unknown:?}"
    );
    accepted(&network, &client.request_state(&good, |_| {}).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_and_a_wrong_network_say_whom_to_ask() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let block = network.set_value(7, 100).await?;
    let registry = Client::connect(&network.registries[0].address, None).await?;
    let failure = failure_of(
        registry
            .request_state(&network.question(7, block), |_| {})
            .await,
    )?;
    ensure!(
        failure.code == ErrorCode::Unavailable && failure.message.contains("ask an operator"),
        "{failure:?}"
    );
    ensure!(
        registry.operators().await?.operators.len() == 5,
        "a registry serves the operator list"
    );

    let other = Client::connect(&network.operators[0].address, Some("1-aa")).await;
    let error = other.err().context("there is no such network")?.to_string();
    ensure!(error.contains("check --network"), "{error}");
    Ok(())
}

fn question_of(network: &LocalNetwork, block: u64) -> wire::StateRequest {
    (&network.question(7, block)).into()
}

/// Sends a request and wants an `INVALID` for it.
async fn invalid(
    stream: &mut RequestStream,
    id: u64,
    kind: Option<RequestKind>,
    phrase: &str,
) -> Result<()> {
    stream.ask(&wire::Request { id, kind }).await?;
    expect_invalid(stream, id, phrase).await
}

async fn expect_invalid(stream: &mut RequestStream, id: u64, phrase: &str) -> Result<()> {
    let reply = stream.reply().await?.context("a reply")?;
    let Some(ReplyKind::Error(error)) = &reply.kind else {
        anyhow::bail!("an error was expected: {reply:?}");
    };
    ensure!(
        reply.id == id && error.code() == ErrorCode::Invalid && !error.retryable,
        "{reply:?}"
    );
    ensure!(
        error.message.contains(phrase),
        "{phrase:?} is missing: {reply:?}"
    );
    Ok(())
}

async fn certified(
    stream: &mut RequestStream,
    id: u64,
    question: wire::StateRequest,
) -> Result<()> {
    stream
        .ask(&wire::Request {
            id,
            kind: Some(RequestKind::State(question)),
        })
        .await?;
    loop {
        let reply = stream.reply().await?.context("a reply")?;
        ensure!(reply.id == id, "{reply:?}");
        match reply.kind {
            Some(ReplyKind::Progress(_)) => {}
            Some(ReplyKind::Certificate(_)) => return Ok(()),
            other => anyhow::bail!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_request_is_explained_and_a_broken_frame_ends_the_stream() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let block = network.set_value(7, 100).await?;
    let good = question_of(&network, block);
    let operator = &network.operators[0];
    let user = TestPeer::new(&network.deployment.domain().network(), 51)?;
    user.meet(operator).await?;

    let mut stream = user.stream(operator).await?;
    let state = |request: wire::StateRequest| Some(RequestKind::State(request));
    invalid(&mut stream, 1, None, "no kind").await?;
    let short = wire::StateRequest {
        user: vec![1; 19],
        ..good.clone()
    };
    invalid(&mut stream, 2, state(short), "user must have 20 bytes").await?;
    let long = wire::StateRequest {
        key: vec![1; 33],
        ..good.clone()
    };
    invalid(&mut stream, 3, state(long), "key must have 32 bytes").await?;
    invalid(
        &mut stream,
        4,
        state(wire::StateRequest {
            at: None,
            ..good.clone()
        }),
        "block_number or timestamp",
    )
    .await?;
    let query = wire::CertificateQuery {
        task_id: vec![1; 31],
    };
    invalid(
        &mut stream,
        5,
        Some(RequestKind::Certificate(query)),
        "must have 32 bytes",
    )
    .await?;
    certified(&mut stream, 6, good.clone()).await?;

    // Neither of these frames can be told from the next one, so the stream ends.
    for (bytes, phrase) in [
        (&b"\x03\xff\xff\xff"[..], "malformed"),
        (b"\x81\x08", "larger than the 1024"),
    ] {
        stream.send(bytes).await?;
        expect_invalid(&mut stream, 0, phrase).await?;
        ensure!(
            stream.reply().await?.is_none(),
            "the stream was to be closed"
        );
        stream = user.stream(operator).await?;
        certified(&mut stream, 1, good.clone()).await?;
    }
    Ok(())
}
