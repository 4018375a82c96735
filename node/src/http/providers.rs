//! `/providers`: who is asked about each chain, and how they fare.

use std::time::Duration;

use axum::Json;
use quorate_chain::{ProviderHealth, ProviderStatus, Providers, RequestOutcome};
use quorate_proto::Timestamp;

use super::{HttpContext, HttpState, chain_problem};
use crate::api::{ChainProviders, ProviderLine};
use crate::clock;

pub(super) async fn page(axum::extract::State(facts): HttpState) -> Json<Vec<ChainProviders>> {
    let now = clock::now();
    let chains = all(&facts).into_iter();
    Json(chains.map(|chain| chain.line(now)).collect())
}

/// One chain's providers.
struct Chain {
    id: u64,
    kind: &'static str,
    providers: Providers,
    /// As `/health` says it.
    problem: Option<String>,
}

/// The home chain first, the others by their ids.
fn all(facts: &HttpContext) -> Vec<Chain> {
    let mut chains: Vec<Chain> = facts
        .node
        .chains
        .iter()
        .map(|(id, chain)| {
            let problem = chain_problem(*id, chain.as_ref());
            Chain::new(*id, "source", chain.providers(), problem)
        })
        .collect();
    chains.sort_by_key(|chain| chain.id);
    let (id, problem) = (
        facts.node.domain.home_chain_id(),
        facts.node.home.view().problem,
    );
    let home = Chain::new(id, "home", facts.node.reader.providers(), problem);
    chains.insert(0, home);
    chains
}

impl Chain {
    /// Where nothing can be certified, none of the providers can be spared.
    fn new(id: u64, kind: &'static str, providers: Providers, problem: Option<String>) -> Self {
        let spare = providers.spare.filter(|_| problem.is_none());
        Self {
            id,
            kind,
            providers: Providers { spare, ..providers },
            problem,
        }
    }

    fn line(self, now: Timestamp) -> ChainProviders {
        let Providers {
            required,
            min_runners,
            spare,
            providers,
        } = self.providers;
        let ok = |status: &&ProviderStatus| status.health == ProviderHealth::Ok;
        ChainProviders {
            chain_id: self.id,
            kind: self.kind.into(),
            required,
            min_runners,
            configured: providers.len(),
            ok: providers.iter().filter(ok).count(),
            spare,
            problem: self.problem,
            providers: providers.into_iter().map(|p| line(p, now)).collect(),
        }
    }
}

fn line(status: ProviderStatus, now: Timestamp) -> ProviderLine {
    let ago = |age: Duration| {
        let millis = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        now.millis().saturating_sub(millis)
    };
    let millis = |time: Duration| time.as_secs_f64() * 1_000.0;
    let outcomes = RequestOutcome::ALL.iter().zip(status.requests);
    ProviderLine {
        provider: status.provider,
        by: status.by,
        client: status.client,
        standing: status.health.name().into(),
        since_ms: ago(status.since),
        problem: status.problem,
        last_error_ms: status.last_error.as_ref().map(|(_, age)| ago(*age)),
        last_error: status.last_error.map(|(text, _)| text),
        height: status.height,
        lag: status.lag,
        requests: outcomes
            .map(|(outcome, count)| (outcome.name().to_owned(), count))
            .collect(),
        contradictions: status.contradictions,
        lies: status.lies,
        error_rate: status.error_rate,
        latency_p50_ms: status.latency_p50.map(millis),
        latency_p99_ms: status.latency_p99.map(millis),
    }
}

/// The same as figures. Chains without providers, as in benches, have none.
pub(super) fn gauge(facts: &HttpContext) {
    for chain in all(facts) {
        let providers = &chain.providers;
        if providers.providers.is_empty() {
            continue;
        }
        let labels = [
            ("chain", chain.id.to_string()),
            ("kind", chain.kind.to_owned()),
        ];
        let spare = providers.spare.map_or(-1.0, count);
        metrics::gauge!("quorate_providers_configured", &labels)
            .set(count(providers.providers.len()));
        metrics::gauge!("quorate_providers_required", &labels).set(count(providers.required));
        metrics::gauge!("quorate_providers_spare", &labels).set(spare);
        for status in &providers.providers {
            gauge_one(&labels, status);
        }
    }
}

fn gauge_one(chain: &[(&'static str, String)], status: &ProviderStatus) {
    let labels = with(&with(chain, "provider", &status.provider), "by", &status.by);
    for health in ProviderHealth::ALL {
        let is = f64::from(u8::from(health == status.health));
        metrics::gauge!(
            "quorate_provider_standing",
            &with(&labels, "standing", health.name())
        )
        .set(is);
    }
    for (outcome, requests) in RequestOutcome::ALL.iter().zip(status.requests) {
        let labels = with(&labels, "outcome", outcome.name());
        metrics::counter!("quorate_provider_requests_total", &labels).absolute(requests);
    }
    metrics::counter!("quorate_provider_contradictions_total", &labels)
        .absolute(status.contradictions);
    if let Some(lag) = status.lag {
        metrics::gauge!("quorate_provider_lag_blocks", &labels).set(super::to_f64(lag));
    }
    for (quantile, latency) in [("0.5", status.latency_p50), ("0.99", status.latency_p99)] {
        let labels = with(&labels, "quantile", quantile);
        let latency = latency.map_or(0.0, |latency| latency.as_secs_f64());
        metrics::gauge!("quorate_provider_latency_seconds", &labels).set(latency);
    }
}

fn with(
    labels: &[(&'static str, String)],
    name: &'static str,
    value: &str,
) -> Vec<(&'static str, String)> {
    let mut labels = labels.to_vec();
    labels.push((name, value.to_owned()));
    labels
}

fn count(number: usize) -> f64 {
    super::to_f64(number as u64)
}
