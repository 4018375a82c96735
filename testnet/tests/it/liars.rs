//! Operators whose RPC providers lie or hang.

use std::time::{Duration, Instant};

use alloy::primitives::U256;
use anyhow::{Context, Result, ensure};
use quorate_node::api::ChainProviders;
use quorate_proto::wire::ErrorCode;
use quorate_proto::{Address, ReadBasis, RefusalCode};
use quorate_testnet::{FaultyProvider, LocalNetwork, ProviderBehaviour, wait};
use tempfile::TempDir;

use crate::support::{Outcome, SOON, certify, failure_of, proof_of, shown, staked, turn};

const LIE: U256 = U256::from_limbs([666, 0, 0, 0]);

/// A network in which some operators read the source chain through providers of ours.
struct Setting {
    network: LocalNetwork,
    /// By operator.
    providers: Vec<Vec<FaultyProvider>>,
    _dir: TempDir,
}

impl Setting {
    async fn start(through: &[(usize, &[ProviderBehaviour])]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut options = staked(&[40, 30, 20, 15, 10]);
        let mut providers = Vec::new();
        for (operator, manners) in through {
            let mut own = Vec::new();
            for manner in *manners {
                own.push(FaultyProvider::listen(*manner).await?);
            }
            options
                .source_rpc
                .push((*operator, own.iter().map(FaultyProvider::url).collect()));
            providers.push(own);
        }
        let mut network = LocalNetwork::prepare(options, dir.path()).await?;
        let chain = network.deployment.source.endpoint();
        providers
            .iter()
            .flatten()
            .for_each(|provider| provider.forward_to(chain.clone()));
        network.start_nodes().await?;
        Ok(Self {
            network,
            providers,
            _dir: dir,
        })
    }

    fn operator(&self, number: usize) -> Address {
        self.network.deployment.operators[number].0
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_is_lied_to_refuses_and_everybody_can_see_it() -> Outcome {
    let _turn = turn().await;
    let setting = Setting::start(&[(1, &[ProviderBehaviour::Value(LIE)])]).await?;
    let network = &setting.network;
    let block = network.set_value(7, 100).await?;
    let answer = certify(network, 0, 7, block).await?;
    ensure!(proof_of(&answer).value == U256::from(100));
    let liar = setting.operator(1);
    ensure!(
        answer
            .certificate
            .signatures()
            .iter()
            .all(|signer| signer.operator != liar)
    );
    for node in [&network.operators[0], &network.operators[3]] {
        let line = shown(node, answer.task_id, liar, "refused").await?;
        ensure!(
            line.code.as_deref() == Some("read another value"),
            "{line:?}"
        );
        ensure!(
            line.detail
                .as_deref()
                .is_some_and(|text| text.contains("666")),
            "{line:?}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_is_lied_to_and_asked_certifies_nothing() -> Outcome {
    let _turn = turn().await;
    let setting = Setting::start(&[(1, &[ProviderBehaviour::Value(LIE)])]).await?;
    let network = &setting.network;
    let block = network.set_value(7, 100).await?;
    let client = network.client(1).await?;
    let began = Instant::now();
    let failure = failure_of(
        client
            .request_state(&network.question(7, block), |_| {})
            .await,
    )?;
    ensure!(
        failure.code == ErrorCode::Refused && !failure.retryable,
        "{failure:?}"
    );
    ensure!(
        began.elapsed() < Duration::from_secs(3),
        "after {:?}",
        began.elapsed()
    );
    ensure!(!failure.refusals.is_empty(), "{failure:?}");
    for refused in &failure.refusals {
        ensure!(refused.code == RefusalCode::ValueDiffers, "{refused:?}");
        ensure!(
            failure.message.contains(&refused.operator.to_string()),
            "{failure:?}"
        );
        ensure!(refused.detail.contains("100"), "{refused:?}");
    }
    let false_task = failure.progress.context("progress")?.task_id;
    for number in 0..5 {
        let kept = network.client(number).await?.certificate(false_task).await;
        failure_of(kept).with_context(|| format!("operator {number} has a false certificate"))?;
    }
    // The truth is still to be had, without the one that signed something else.
    let answer = certify(network, 0, 7, block).await?;
    ensure!(proof_of(&answer).value == U256::from(100));
    let liar = setting.operator(1);
    shown(&network.operators[0], answer.task_id, liar, "refused").await?;
    // What it has signed for that slot it cannot take back, not even when its provider mends.
    setting.providers[0][0].behave(ProviderBehaviour::Honest);
    network.deployment.next_epoch().await?;
    let old = proof_of(&answer).epoch.0;
    wait::until("the next epoch", SOON, || async {
        for node in &network.operators {
            node.status().await.ok()?.epoch.filter(|now| *now > old)?;
        }
        Some(())
    })
    .await?;
    let again = certify(network, 2, 7, block).await?;
    ensure!(!again.stored && again.task_id != answer.task_id);
    let line = shown(&network.operators[2], again.task_id, liar, "refused").await?;
    ensure!(
        line.code.as_deref() == Some(RefusalCode::Conflict.describe()),
        "{line:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_third_lied_to_is_told_at_once() -> Outcome {
    let _turn = turn().await;
    let lied_to: &[ProviderBehaviour] = &[ProviderBehaviour::Value(LIE)];
    let setting = Setting::start(&[(1, lied_to), (4, lied_to)]).await?;
    let network = &setting.network;
    let block = network.set_value(7, 100).await?;
    let began = Instant::now();
    let client = network.client(0).await?;
    let failure = failure_of(
        client
            .request_state(&network.question(7, block), |_| {})
            .await,
    )?;
    ensure!(
        failure.code == ErrorCode::Refused && !failure.retryable,
        "{failure:?}"
    );
    ensure!(
        began.elapsed() < Duration::from_secs(3),
        "after {:?}",
        began.elapsed()
    );
    let mut refused: Vec<Address> = failure
        .refusals
        .iter()
        .map(|refused| refused.operator)
        .collect();
    let mut liars = vec![setting.operator(1), setting.operator(4)];
    refused.sort_unstable();
    liars.sort_unstable();
    ensure!(refused == liars, "{failure:?}");
    ensure!(failure.message.contains("is missing"), "{failure:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_honest_providers_of_three_are_enough_and_one_is_not() -> Outcome {
    let _turn = turn().await;
    let three: &[ProviderBehaviour] = &[ProviderBehaviour::Honest; 3];
    let setting = Setting::start(&[(1, three)]).await?;
    let network = &setting.network;
    let [first, second, third] = &setting.providers[0][..] else {
        anyhow::bail!("three providers");
    };
    let own = setting.operator(1);
    let mut outcomes = Vec::new();
    let table = [
        (
            [
                ProviderBehaviour::Value(LIE),
                ProviderBehaviour::Honest,
                ProviderBehaviour::Honest,
            ],
            "signed",
            None,
        ),
        (
            [
                ProviderBehaviour::Honest,
                ProviderBehaviour::Silent,
                ProviderBehaviour::Honest,
            ],
            "signed",
            None,
        ),
        (
            [
                ProviderBehaviour::Silent,
                ProviderBehaviour::Silent,
                ProviderBehaviour::Honest,
            ],
            "refused",
            Some(RefusalCode::ChainUnavailable),
        ),
        // Two name the block, one proves what is in it.
        (
            [
                ProviderBehaviour::Silent,
                ProviderBehaviour::Value(LIE),
                ProviderBehaviour::Honest,
            ],
            "signed",
            None,
        ),
        (
            [
                ProviderBehaviour::Forged(LIE),
                ProviderBehaviour::Forged(LIE),
                ProviderBehaviour::Honest,
            ],
            "signed",
            None,
        ),
        // Nobody who keeps the honest one from answering gets a vote of the others for it.
        (
            [
                ProviderBehaviour::Value(LIE),
                ProviderBehaviour::Value(LIE),
                ProviderBehaviour::Silent,
            ],
            "refused",
            Some(RefusalCode::ChainUnavailable),
        ),
        ([ProviderBehaviour::Honest; 3], "signed", None),
    ];
    for (key, (manners, outcome, code)) in (10..).zip(table) {
        for (provider, manner) in [first, second, third].into_iter().zip(manners) {
            provider.behave(manner);
        }
        let block = network.set_value(key, 100).await?;
        let answer = certify(network, 0, key, block).await?;
        let line = shown(&network.operators[0], answer.task_id, own, outcome).await?;
        ensure!(
            line.code.as_deref() == code.map(RefusalCode::describe),
            "{manners:?}: {line:?}"
        );
        let basis = (outcome == "signed").then_some("proof");
        ensure!(line.read_basis.as_deref() == basis, "{manners:?}: {line:?}");
        outcomes.push(line.outcome);
    }
    ensure!(outcomes.len() == 7);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_each_provider_said_is_told_with_the_task() -> Outcome {
    let _turn = turn().await;
    let manners: &[ProviderBehaviour] = &[
        ProviderBehaviour::Forged(LIE),
        ProviderBehaviour::Forged(LIE),
        ProviderBehaviour::Honest,
    ];
    let setting = Setting::start(&[
        (0, manners),
        (1, &[ProviderBehaviour::Value(U256::from(100))]),
    ])
    .await?;
    let network = &setting.network;
    let block = network.set_value(7, 100).await?;
    let answer = certify(network, 0, 7, block).await?;
    ensure!(proof_of(&answer).value == U256::from(100));

    // The entry operator was lied to twice, and has a proof.
    let report = network.operators[0]
        .task(&answer.task_id.to_string())
        .await?;
    ensure!(report.read_basis.as_deref() == Some("proof"), "{report:?}");
    ensure!(report.read_at_number.is_some() && report.read_at_block.is_some());
    let said = |what: &str| {
        let lines = report.providers.iter();
        lines
            .filter(|line| line.question == "proof" && line.answer == what)
            .count()
    };
    // With the task, unless they were found out before, when the node tried them.
    let chains: Vec<ChainProviders> = network.operators[0].get("/providers").await?;
    let source = chains.iter().find(|chain| chain.kind == "source");
    let lies = |chain: &ChainProviders| chain.providers.iter().map(|p| p.lies).sum::<u64>();
    ensure!(
        said("good") == 1 && source.is_some_and(|chain| lies(chain) >= 1),
        "{:?} {chains:?}",
        report.providers
    );
    // The one whose provider has no proofs had to believe it, and says so, to everybody.
    let own = setting.operator(1);
    let line = shown(&network.operators[0], answer.task_id, own, "signed").await?;
    ensure!(line.read_basis.as_deref() == Some("vote"), "{line:?}");
    let signers = answer
        .certificate
        .signatures()
        .iter()
        .zip(&answer.read_bases);
    for (signer, basis) in signers {
        let expected = if signer.operator == own {
            ReadBasis::Vote
        } else {
            ReadBasis::Proof
        };
        ensure!(*basis == expected, "{} by {basis:?}", signer.operator);
    }
    ensure!(answer.read_bases.len() == answer.certificate.signatures().len());
    Ok(())
}
