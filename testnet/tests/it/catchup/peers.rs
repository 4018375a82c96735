//! A peer of an operator's that speaks the sync protocol only, well or badly.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::Stream;
use prost::Message as _;
use quorate_proto::wire::sync_answer::Kind as Answer;
use quorate_proto::wire::sync_query::Kind as Query;
use quorate_proto::{Domain, Envelope, Kind, Statement, SyncItem, TaskState, wire};
use quorate_testnet::{LocalNetwork, OperatorKeys, wait};

use super::{STAKES, hold_the_same, sync_page};
use crate::support::load::Load;
use crate::support::test_peer::TestPeer;
use crate::support::{Outcome, SOON, joined, staked, turn};

/// Reads one question; `None` where the stream was closed.
async fn question(stream: &mut Stream) -> Option<wire::SyncQuery> {
    let mut prefix = Vec::new();
    loop {
        let mut byte = [0_u8; 1];
        stream.read_exact(&mut byte).await.ok()?;
        prefix.push(byte[0]);
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    let length = prost::decode_length_delimiter(prefix.as_slice()).ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    wire::SyncQuery::decode(body.as_slice()).ok()
}

/// Answers all questions on all streams in one way.
fn serve(
    stranger: &TestPeer,
    answer: impl Fn(Query) -> Answer + Clone + Send + Sync + 'static,
) -> Result<tokio::task::JoinHandle<()>> {
    let mut incoming = stranger.accept("sync")?;
    Ok(tokio::spawn(async move {
        while let Some((_, mut stream)) = incoming.next().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                while let Some(wire::SyncQuery { id, kind }) = question(&mut stream).await {
                    let kind = kind.map(&answer);
                    let frame = wire::SyncAnswer { id, kind }.encode_length_delimited_to_vec();
                    if stream.write_all(&frame).await.is_err() || stream.flush().await.is_err() {
                        return;
                    }
                }
            });
        }
    }))
}

/// Nothing has changed, nothing is held.
fn nothing(query: Query) -> Answer {
    match query {
        Query::Summary(_) => Answer::Summary(wire::SyncSummary::default()),
        Query::Buckets(_) => Answer::Buckets(wire::SyncBuckets {
            tasks: vec![0; quorate_proto::BUCKETS],
            ..wire::SyncBuckets::default()
        }),
        Query::Range(_) | Query::Tasks(_) => Answer::Items(wire::SyncItems::default()),
        Query::Recent(_) => Answer::Recent(wire::SyncRecent {
            instance: 1,
            next: 1,
            ..wire::SyncRecent::default()
        }),
        Query::Set(_) => Answer::Error(wire::RequestError::default()),
    }
}

/// Claims to hold a million tasks, and brings one with a signature over something else.
fn lie(epoch: u32, statement: Statement, query: Query) -> Answer {
    match query {
        Query::Summary(_) => Answer::Summary(wire::SyncSummary {
            floor: 0,
            epochs: vec![wire::SyncEpoch {
                epoch,
                tasks: 1_000_000,
                fingerprint: vec![7; 16],
            }],
        }),
        Query::Buckets(_) => Answer::Buckets(wire::SyncBuckets {
            tasks: vec![4_000; quorate_proto::BUCKETS],
            fingerprints: vec![7; 16 * quorate_proto::BUCKETS],
        }),
        Query::Range(_) => {
            let key = OperatorKeys::of(4).signing;
            let signature = key.sign(quorate_proto::keccak256("something else"));
            let outcome = quorate_proto::Outcome::Signed(signature.expect("signed"));
            let item = SyncItem {
                statement,
                created_ms: 1,
                answers: vec![(0, outcome)],
            };
            Answer::Items(wire::SyncItems {
                items: vec![(&item).into()],
                more: true,
            })
        }
        query => nothing(query),
    }
}

/// The peer of operator `number`, who does not run itself.
async fn impostor(network: &LocalNetwork, number: usize) -> Result<TestPeer> {
    let id = network.deployment.domain().network();
    let stranger = TestPeer::with_secret(&id, OperatorKeys::of(number).peer)?;
    for node in network.operators.iter().filter(|node| node.pid().is_some()) {
        stranger.meet(node).await?;
    }
    Ok(stranger)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lying_peer_is_found_out_and_keeps_nobody_from_the_others() -> Outcome {
    let _turn = turn().await;
    let mut network = LocalNetwork::start(staked(&STAKES)).await?;
    let load = Load::start(&network, &[0, 1], 8).await?;
    load.goes_on(50).await?;
    network.operators[2].kill()?;
    load.goes_on(200).await?;
    let result = load.finish().await;
    network.operators[4].kill()?;
    hold_the_same(&network, &[0, 1, 3], SOON).await?;

    let epoch = network.operators[0]
        .status()
        .await?
        .epoch
        .context("an epoch")?;
    let delivered = result.answers.first().context("a certificate")?;
    let statement = delivered.answer.certificate.statement().clone();
    network.operators[2].start()?;
    network.operators[2].ready().await?;
    let liar = impostor(&network, 4).await?;
    let serving = serve(&liar, move |query| lie(epoch, statement.clone(), query))?;
    hold_the_same(&network, &[0, 1, 2, 3], SOON).await?;
    let found = wait::until("the lie is found out", SOON, || async {
        let page = sync_page(&network.operators[2]).await.ok()?;
        let lies = page.lies.into_iter();
        lies.into_iter()
            .find(|lie| lie.peer_id == liar.peer.to_string())
    });
    println!("{:?}", found.await?);
    let page = sync_page(&network.operators[2]).await?;
    let liars: Vec<_> = page.lies.iter().map(|lie| &lie.peer_id).collect();
    ensure!(
        liars.iter().all(|peer| **peer == liar.peer.to_string()),
        "{liars:?}"
    );
    serving.abort();
    Ok(())
}

/// Operator 2 answers, but none of it is ever gossiped: the others ask for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_gossip_lost_arrives_within_two_seconds() -> Outcome {
    const WITHIN: Duration = Duration::from_secs(2);
    let _turn = turn().await;
    // Without operator 2 there is no certificate.
    let mut network = LocalNetwork::start(staked(&[30, 30, 40])).await?;
    let block = network.set_value(7, 100).await?;
    joined(&network, &network.operators[2]).await?;
    network.operators[2].kill()?;
    let silent = Arc::new(impostor(&network, 2).await?);
    let domain = network.deployment.domain();
    let (peer, known) = (silent.clone(), Signed::default());
    let place = place_of(&network, 2).await?;
    let serving = serve(&silent, move |query| {
        answer_once_heard(&peer, &domain, &known, place, query)
    })?;
    // As long as that it is known as a peer that can be asked.
    wait::until("the silent operator is asked", SOON, || async {
        let page = sync_page(&network.operators[0]).await.ok()?;
        (page.peers >= 3).then_some(())
    })
    .await?;
    let client = network.client(0).await?;
    let question = network.question(7, block);
    let began = Instant::now();
    let answer = client.request_state(&question, |_| {});
    let answer = tokio::time::timeout(SOON, answer).await??;
    let took = began.elapsed();
    println!("certified {took:?} after it was asked");
    ensure!(took < WITHIN, "{took:?}");
    let (missing, _) = network.deployment.operators[2];
    let signers = answer.certificate.signatures();
    ensure!(signers.iter().any(|signer| signer.operator == missing));
    let page = sync_page(&network.operators[0]).await?;
    ensure!(page.healed > 0, "{page:?}");
    serving.abort();
    Ok(())
}

/// Place of an operator among the members of the current set.
async fn place_of(network: &LocalNetwork, number: usize) -> Result<usize> {
    let client = network.client(0).await?;
    let set = quorate_proto::OperatorSet::try_from(&client.operators().await?)?;
    let (operator, _) = network.deployment.operators[number];
    set.position(operator).context("a member")
}

type Signed = Arc<Mutex<Option<Statement>>>;

/// Signs the first state proof that it hears of, and gives that to whoever asks.
fn answer_once_heard(
    peer: &TestPeer,
    domain: &Domain,
    signed: &Signed,
    place: usize,
    query: Query,
) -> Answer {
    let mut signed = signed.lock().unwrap_or_else(PoisonError::into_inner);
    if signed.is_none() {
        *signed = announced(peer, domain);
    }
    let Some(statement) = signed.as_ref() else {
        return nothing(query);
    };
    let mut state = TaskState::nothing(3);
    state.sign(place);
    let news = wire::SyncTaskState {
        epoch: statement.epoch().0,
        task_id: statement.task_id().0.to_vec(),
        signed: state.signed.as_bytes().to_vec(),
        refused: state.refused.as_bytes().to_vec(),
    };
    match query {
        Query::Recent(_) => Answer::Recent(wire::SyncRecent {
            instance: 1,
            next: 2,
            tasks: vec![news],
            ..wire::SyncRecent::default()
        }),
        Query::Tasks(_) => {
            let signature = OperatorKeys::of(2).signing.sign(statement.digest(domain));
            let outcome = quorate_proto::Outcome::Signed(signature.expect("signed"));
            let item = SyncItem {
                statement: statement.clone(),
                created_ms: 1,
                answers: vec![(place, outcome)],
            };
            Answer::Items(wire::SyncItems {
                items: vec![(&item).into()],
                more: false,
            })
        }
        query => nothing(query),
    }
}

/// The first state proof that was announced.
fn announced(peer: &TestPeer, domain: &Domain) -> Option<Statement> {
    let topic = domain.network().topic(Kind::Task);
    let heard = peer
        .heard()
        .into_iter()
        .filter(|heard| heard.kind == Kind::Task);
    let envelopes = heard.filter_map(|heard| Envelope::open(&heard.data, &topic, Kind::Task).ok());
    let tasks = envelopes.flat_map(|envelope| envelope.batch.tasks);
    let mut statements = tasks.map(|task| task.statement);
    statements.find(|statement| statement.state_proof().is_some())
}
