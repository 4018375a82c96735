//! The attack of April 2026: two of an operator's three providers are one attacker's, who floods the
//! third. Fail-over to whoever answers would leave the quorum to the liars.

use alloy::primitives::U256;
use anyhow::{Context, Result, ensure};
use quorate_node::api::ChainProviders;
use quorate_proto::wire::ErrorCode;
use quorate_proto::{Address, RefusalCode};
use quorate_testnet::{FaultyProvider, LocalNetwork, NodeProcess, ProviderBehaviour, wait};
use serde_json::Value;

use crate::support::command::node;
use crate::support::{Outcome, SOON, certify, failure_of, figure, proof_of, shown, staked, turn};

const LIE: ProviderBehaviour = ProviderBehaviour::Fork(U256::from_limbs([666, 0, 0, 0]));
/// The operator that is attacked.
const VICTIM: usize = 1;

struct PoisonedProviders {
    network: LocalNetwork,
    honest: FaultyProvider,
    poisoned: [FaultyProvider; 2],
    victim: Address,
    _dir: tempfile::TempDir,
}

impl PoisonedProviders {
    async fn prepare() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let honest = FaultyProvider::listen(ProviderBehaviour::Honest).await?;
        let poisoned = [
            FaultyProvider::listen(ProviderBehaviour::Honest).await?,
            FaultyProvider::listen(ProviderBehaviour::Honest).await?,
        ];
        let mut options = staked(&[40, 30, 20, 15, 10]);
        let labelled =
            |liar: &FaultyProvider, by: &str| format!("{}#by={by}&client=geth", liar.url());
        let rpc = vec![
            labelled(&honest, "own"),
            labelled(&poisoned[0], "acme"),
            labelled(&poisoned[1], "acme"),
        ];
        options.source_rpc.push((VICTIM, rpc));
        let mut network = LocalNetwork::prepare(options, dir.path()).await?;
        let chain = network.deployment.source.endpoint();
        for provider in [&honest, &poisoned[0], &poisoned[1]] {
            provider.forward_to(chain.clone());
        }
        network.start_nodes().await?;
        Ok(Self {
            victim: network.deployment.operators[VICTIM].0,
            network,
            honest,
            poisoned,
            _dir: dir,
        })
    }

    fn behave(&self, honest: ProviderBehaviour, poisoned: ProviderBehaviour) {
        self.honest.behave(honest);
        self.poisoned
            .iter()
            .for_each(|provider| provider.behave(poisoned));
    }

    fn node(&self) -> &NodeProcess {
        &self.network.operators[VICTIM]
    }

    /// The providers of the source chain, once they are as expected.
    async fn providers(
        &self,
        what: &str,
        is: impl Fn(&ChainProviders) -> bool,
    ) -> Result<ChainProviders> {
        // A provider that asked for fewer requests may be left alone for ten seconds.
        wait::until(what, 2 * SOON, || async {
            let chains: Vec<ChainProviders> = self.node().get("/providers").await.ok()?;
            chains
                .into_iter()
                .find(|chain| chain.kind == "source")
                .filter(&is)
        })
        .await
    }

    async fn doctor(&self, code: i32, phrases: &[&str]) -> Result<Value> {
        let config = self.node().dir.join("config.toml");
        let config = config.to_str().context("a path that is no text")?;
        let ran = node(&["doctor", "--config", config, "--json"])
            .await?
            .says(code, phrases)?;
        Ok(serde_json::from_str(&ran.stdout)?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_poisoned_providers_of_one_runner_sign_nothing() -> Outcome {
    let _turn = turn().await;
    let attack = PoisonedProviders::prepare().await?;
    let network = &attack.network;
    let block = network.set_value(1, 100).await?;
    let answer = certify(network, VICTIM, 1, block).await?;
    ensure!(proof_of(&answer).value == U256::from(100));

    let table = [
        (
            ProviderBehaviour::Limited,
            "rate_limited",
            "HTTP status 429",
        ),
        (
            ProviderBehaviour::Silent,
            "hanging",
            "did not answer within",
        ),
    ];
    for (key, (flood, standing, why)) in (2..).zip(table) {
        attack.behave(flood, LIE);
        let is_seen = |chain: &ChainProviders| chain.providers[0].standing == standing;
        attack.providers("the flooded provider", is_seen).await?;
        let block = network.set_value(key, 100).await?;

        // Asked itself, it says who said what.
        let asked = network.client(VICTIM).await?;
        let failure = failure_of(
            asked
                .request_state(&network.question(key, block), |_| {})
                .await,
        )?;
        ensure!(
            failure.code == ErrorCode::ChainUnavailable && failure.retryable,
            "{failure:?}"
        );
        for part in [
            "2, run by 2 different ones, must agree",
            "(acme) and ",
            "(own)",
            why,
        ] {
            ensure!(
                failure.message.contains(part),
                "{part:?} is not in {}",
                failure.message
            );
        }
        // Asked by others, it refuses, and the others certify the truth.
        let answer = certify(network, 0, key, block).await?;
        ensure!(proof_of(&answer).value == U256::from(100));
        let line = shown(
            &network.operators[0],
            answer.task_id,
            attack.victim,
            "refused",
        )
        .await?;
        ensure!(
            line.code.as_deref() == Some(RefusalCode::ChainUnavailable.describe()),
            "{line:?}"
        );

        // n is what it was, and everybody can see what is the matter.
        let chain = attack.providers("the flooded provider", is_seen).await?;
        ensure!(
            (chain.configured, chain.required, chain.min_runners) == (3, 2, 2),
            "{chain:?}"
        );
        ensure!(chain.spare.is_none(), "{chain:?}");
        ensure!(
            chain.providers[0].by == "own" && chain.providers[0].since_ms > 0,
            "{chain:?}"
        );
        ensure!(figure(attack.node(), "quorate_providers_spare", "kind=\"source\"").await? == -1.0);
        ensure!(
            figure(
                attack.node(),
                "quorate_provider_standing",
                &format!("standing=\"{standing}\"")
            )
            .await?
                == 1.0
        );
        node(&["providers", "--http", &attack.node().http])
            .await?
            .says(
                2,
                &["2 must agree, run by 2 different ones; they cannot", "acme"],
            )?;
        let report = attack
            .doctor(2, &[&standing.replace('_', " "), "run by own"])
            .await?;
        ensure!(report["level"] == "error", "{report}");
    }

    // The honest one is back, and contradicts them: nobody is believed.
    attack.behave(ProviderBehaviour::Honest, LIE);
    let block = network.set_value(8, 100).await?;
    let answer = certify(network, 0, 8, block).await?;
    let line = shown(
        &network.operators[0],
        answer.task_id,
        attack.victim,
        "refused",
    )
    .await?;
    ensure!(
        line.code.as_deref() == Some(RefusalCode::ChainUnavailable.describe()),
        "{line:?}"
    );

    // It was never taken in, so all is as before once they tell the truth.
    attack.behave(ProviderBehaviour::Honest, ProviderBehaviour::Honest);
    let block = network.set_value(9, 100).await?;
    let answer = certify(network, 0, 9, block).await?;
    shown(
        &network.operators[0],
        answer.task_id,
        attack.victim,
        "signed",
    )
    .await?;
    attack
        .providers("all are well", |chain| {
            chain.ok == 3 && chain.spare == Some(0)
        })
        .await?;
    Ok(())
}
