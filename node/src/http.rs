//! What operators, scripts and Prometheus ask, over HTTP on loopback.

mod admin;
mod bridge;
pub(crate) mod connections;
mod epoch;
mod evidence;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod hosts;
mod machine;
mod providers;
mod ready;
mod registry;
mod sync;
mod tasks;
pub(crate) mod token;
mod transfers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::sync::pruned_text;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use quorate_chain::StateReader;
use quorate_proto::{Address, OperatorSet, Timestamp};
use quorate_protocols::authors::Standing;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use self::connections::{Bounded, HttpConnection, answering};
use self::hosts::Hosts;
use crate::api::{self, ChainStatus, ErrorBody, Health, OperatorLine, Operators, PeerLine, Status};
use crate::context::Context;
use crate::delivery::DeliveryHandle;
use crate::health::readiness::stake_problem;
use crate::http::token::Token;
use crate::maintenance::prune::PruningStatus;
use crate::network::{Reachability, peer_id_of};
use crate::registry::join::RegistryStandings;
use crate::registry::members::MembersHandle;
use crate::registry::probe::Sightings;
use crate::signing::lease::LeaseHandle;
use crate::sync::SyncStatus;
use crate::{NodeError, clock};

/// Without agreement for this long a chain counts as stalled: ten times what a provider may take for
/// an answer, with some polls between.
const STALLED: Duration = Duration::from_secs(30);

/// From a transfer that was seen until it is delivered.
const DELIVERY_SECONDS: [f64; 10] = [
    1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 7_200.0,
];

/// Renders the figures of this process.
pub type MetricsHandle = PrometheusHandle;

/// Starts to collect figures. Once per process.
///
/// # Errors
/// When figures are collected already.
pub fn collect_metrics() -> Result<MetricsHandle, String> {
    let seconds = [
        0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
        2.5, 5.0, 10.0, 15.0,
    ];
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &seconds)
        .and_then(|builder| {
            let name = Matcher::Full("relayer_latency_seconds".into());
            builder.set_buckets_for_metric(name, &DELIVERY_SECONDS)
        })
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| error.to_string())?;
    crate::process::measures::declare();
    Ok(handle)
}

/// What the pages are made from.
pub(crate) struct HttpContext {
    pub(crate) node: Context,
    /// Operator and signing key.
    pub(crate) me: Option<(Address, Address)>,
    /// At an operator.
    pub(crate) lease: Option<LeaseHandle>,
    /// At an operator.
    pub(crate) standings: RegistryStandings,
    /// At a registry.
    pub(crate) members: Option<MembersHandle>,
    /// At a relayer.
    pub(crate) deliveries: Option<DeliveryHandle>,
    /// At a registry.
    pub(crate) sightings: Sightings,
    pub(crate) sync: SyncStatus,
    pub(crate) retention: PruningStatus,
    /// One copy of the store at a time.
    pub(crate) copies: Semaphore,
    /// Who knows it owns this node.
    pub(crate) token: Option<Token>,
    pub(crate) metrics: Option<MetricsHandle>,
    pub(crate) started: quorate_proto::Timestamp,
}

/// The HTTP server.
pub(crate) struct Http {
    listener: TcpListener,
    facts: Arc<HttpContext>,
    hosts: Hosts,
}

impl Http {
    /// Binds the address.
    ///
    /// # Errors
    /// [`NodeError::Http`] where it is taken.
    pub(crate) async fn bind(
        address: SocketAddr,
        facts: Arc<HttpContext>,
    ) -> Result<Self, NodeError> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| NodeError::Http {
                address,
                reason: error.to_string(),
            })?;
        tracing::info!(address = %listener.local_addr().unwrap_or(address), "HTTP");
        Ok(Self {
            listener,
            hosts: Hosts(facts.node.reloader.live()),
            facts,
        })
    }

    /// Runs until `token` is cancelled.
    pub(crate) async fn run(self, token: CancellationToken) -> Result<(), NodeError> {
        let router = Router::new()
            .route("/live", get(ready::live))
            .route("/ready", get(ready::ready))
            .route("/health", get(health))
            .route("/status", get(status))
            .route("/metrics", get(metrics))
            .route("/epoch", get(operators))
            .route("/epoch/{epoch}", get(epoch::page))
            .route("/operators", get(operators))
            .route("/events", get(registry::events))
            .route("/operators/{operator}/reinstate", post(registry::reinstate))
            .route("/backup", post(admin::backup))
            .route("/signing-log", get(admin::signing_log))
            .route("/peers", get(peers))
            .route("/sync", get(sync::sync))
            .route("/tasks", get(tasks::list))
            .route("/tasks/refused", get(tasks::refused))
            .route("/tasks/live", get(tasks::live))
            .route("/tasks/{id}", get(tasks::report))
            .route("/tasks/{id}/timeline", get(tasks::timeline))
            .route("/evidence", get(evidence::list))
            .route("/evidence/{id}", get(evidence::one))
            .route("/providers", get(providers::page))
            .route("/bridge", get(bridge::page))
            .route("/bridge/votes", post(bridge::vote))
            .route("/bridge/transfers/{route}/{nonce}", get(transfers::one))
            .route("/bridge/sent/{transaction}", get(transfers::sent_by))
            .route("/bridge/fees/{route}", get(transfers::fee))
            .route("/bridge/rescan", post(transfers::rescan))
            .route("/bridge/rescan/cancel", post(transfers::cancel_rescan))
            .route("/deliveries/{id}/retry", post(bridge::retry))
            .fallback(no_such_page)
            .with_state(self.facts)
            .layer(from_fn_with_state(self.hosts, hosts::check))
            .layer(from_fn(answering))
            .into_make_service_with_connect_info::<HttpConnection>();
        let room = connections::room(crate::health::host::open_files_limit());
        axum::serve(Bounded::new(self.listener, room), router)
            .with_graceful_shutdown(token.cancelled_owned())
            .await
            .map_err(|error| NodeError::Internal {
                reason: error.to_string(),
            })
    }
}

type HttpState = State<Arc<HttpContext>>;

async fn health(State(facts): HttpState) -> Response {
    let problems = facts.problems().await;
    let ok = problems.is_empty();
    let code = if ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, Json(Health { ok, problems })).into_response()
}

async fn status(State(facts): HttpState) -> Json<Status> {
    Json(facts.status().await)
}

async fn metrics(State(facts): HttpState) -> Response {
    match &facts.metrics {
        Some(handle) => {
            facts.gauge().await;
            machine::gauge(&facts);
            registry::gauge(&facts).await;
            providers::gauge(&facts);
            handle.run_upkeep();
            handle.render().into_response()
        }
        None => failure(StatusCode::NOT_FOUND, "this node collects no figures"),
    }
}

async fn operators(State(facts): HttpState) -> Response {
    match facts.node.home.view().current {
        Some(set) => {
            let mut page = facts.operators(&set);
            page.members = registry::members(&facts, &set).await;
            Json(page).into_response()
        }
        None => failure(
            StatusCode::SERVICE_UNAVAILABLE,
            "the operator set is not known yet; /status says why",
        ),
    }
}

async fn peers(State(facts): HttpState) -> Json<Vec<PeerLine>> {
    let mut lines: Vec<PeerLine> = Vec::new();
    for info in facts.node.network.peers().await {
        lines.push(PeerLine {
            peer_id: info.peer.to_string(),
            operator: facts.operator_of(&info.peer),
            addresses: info.addresses.iter().map(ToString::to_string).collect(),
            score: info.score,
            version: info.version,
        });
    }
    lines.sort_by(|a, b| a.peer_id.cmp(&b.peer_id));
    Json(lines)
}

async fn no_such_page() -> Response {
    let pages = "pages: /live /ready /health /status /metrics /epoch /epoch/{n} /operators /peers /providers \
                 /bridge /bridge/transfers/{route}/{nonce} /bridge/sent/{transaction} \
                 /bridge/fees/{route} /sync /tasks /tasks/{id} /tasks/{id}/timeline /tasks/live /tasks/refused /evidence \
                 /evidence/{id}; at a registry also /events";
    failure(StatusCode::NOT_FOUND, pages)
}

fn failure(code: StatusCode, text: &str) -> Response {
    (code, Json(ErrorBody { error: text.into() })).into_response()
}

impl HttpContext {
    /// What keeps this node from its job.
    async fn problems(&self) -> Vec<String> {
        let view = self.node.home.view();
        let mut problems: Vec<String> = view.problem.into_iter().collect();
        if let Some(cause) = self.node.store.failed() {
            problems.push(format!("the store takes no writes: {cause}"));
        }
        problems.extend(self.lease.as_ref().and_then(LeaseHandle::problem));
        problems.extend(self.lease.as_ref().and_then(LeaseHandle::restriction));
        problems.extend(self.node.vitals.unheard());
        problems.extend(self.node.bindings.shared());
        problems.extend(self.node.vitals.sample().few_files());
        problems.extend(self.node.network.listen_problems().await);
        match (&view.current, self.me) {
            (None, _) => problems.push("the operator set is not known yet".into()),
            (Some(set), Some((operator, key))) => {
                problems.extend(stake_problem(set, operator, key))
            }
            (Some(_), None) => {}
        }
        let chains = self.node.chains.iter();
        problems.extend(chains.filter_map(|(id, chain)| chain_problem(*id, chain.as_ref())));
        // The first registry of a network waits for the others.
        if self.node.settings.role.is_operator() && self.node.network.peers().await.is_empty() {
            problems.push("no peer is connected; check --bootstrap".into());
        }
        problems.extend(self.standings.problems());
        problems.extend(evidence::problem(self));
        problems.extend(self.node.reloader.refused());
        problems
    }

    async fn status(&self) -> Status {
        let view = self.node.home.view();
        let set = view.current.as_ref();
        let mut chains = vec![ChainStatus {
            chain_id: self.node.domain.home_chain_id(),
            kind: "home".into(),
            final_block: view.head.map(|head| head.number),
            final_timestamp: view.head.map(|head| head.timestamp),
        }];
        chains.extend(self.source_chains());
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            role: self.node.settings.role.name().into(),
            network: self.node.domain.network().to_string(),
            peer_id: self.node.network.peer_id().to_string(),
            listen: self
                .node
                .network
                .listen_addresses()
                .iter()
                .map(ToString::to_string)
                .collect(),
            uptime_s: clock::now().micros_since(self.started) / 1_000_000,
            operator: self.me.map(|(operator, _)| operator.to_string()),
            signing_key: self.me.map(|(_, key)| key.to_string()),
            weight: self
                .me
                .and_then(|(operator, _)| Some(set?.weight_of(operator).to_string())),
            epoch: set.map(|set| set.epoch().0),
            operators: set.map_or(0, |set| set.members().len()),
            total_weight: set.map(|set| set.total_weight().to_string()),
            threshold: set.map(|set| set.threshold().to_string()),
            peers: self.node.network.peers().await.len(),
            open_tasks: self.node.driver.open_tasks(),
            behind: self.sync.report().behind,
            chains,
            problems: self.problems().await,
            ready: self.ready().await,
            machine: machine::report(&self.node.vitals),
            registries: self.standings.lines(),
            reachability: reachability(&self.node.network.reachability().await),
        }
    }

    fn source_chains(&self) -> Vec<ChainStatus> {
        let mut chains: Vec<ChainStatus> = self
            .node
            .chains
            .iter()
            .map(|(chain_id, chain)| ChainStatus {
                chain_id: *chain_id,
                kind: "source".into(),
                final_block: chain.final_head().map(|head| head.number),
                final_timestamp: chain.final_head().map(|head| head.timestamp),
            })
            .collect();
        chains.sort_by_key(|chain| chain.chain_id);
        chains
    }

    fn operators(&self, set: &OperatorSet) -> Operators {
        let line = |member: &quorate_proto::Operator| OperatorLine {
            operator: member.address.to_string(),
            signing_key: member.signing_key.to_string(),
            weight: member.weight.to_string(),
            peer_id: self
                .node
                .bindings
                .of(member.address)
                .and_then(|binding| peer_id_of(&binding.peer_key))
                .map(|peer| peer.to_string()),
            published: Some(published(self.node.allowances.standing(member.address))),
        };
        Operators {
            epoch: set.epoch().0,
            total_weight: set.total_weight().to_string(),
            threshold: set.threshold().to_string(),
            fixed_at: set.fixed_at(),
            operators: set.members().iter().map(line).collect(),
            members: Vec::new(),
        }
    }

    fn operator_of(&self, peer: &libp2p::PeerId) -> Option<String> {
        let set = self.node.home.view().current?;
        let speaks = |operator: Address| {
            let binding = self.node.bindings.of(operator)?;
            (peer_id_of(&binding.peer_key)? == *peer).then(|| operator.to_string())
        };
        set.members()
            .iter()
            .find_map(|member| speaks(member.address))
    }

    /// Figures that are read rather than counted.
    async fn gauge(&self) {
        let healthy = self.problems().await.is_empty();
        let ready = self.ready().await.ready;
        metrics::gauge!("quorate_ready").set(f64::from(u8::from(ready)));
        metrics::gauge!("quorate_healthy").set(f64::from(u8::from(healthy)));
        metrics::gauge!("quorate_up_seconds").set(crate::process::measures::seconds(
            clock::now().micros_since(self.started),
        ));
        metrics::gauge!("quorate_open_tasks").set(to_f64(self.node.driver.open_tasks() as u64));
        metrics::gauge!("quorate_evidence").set(to_f64(self.node.evidence.len() as u64));
        if let Some(head) = self.node.home.view().head {
            metrics::gauge!("quorate_home_final_block").set(to_f64(head.number));
        }
        for (chain_id, chain) in self.node.chains.iter() {
            if let Some(head) = chain.final_head() {
                let label = chain_id.to_string();
                metrics::gauge!("quorate_final_block", "chain" => label).set(to_f64(head.number));
            }
        }
    }
}

fn published(standing: Standing) -> api::Published {
    api::Published {
        accepted: standing.accepted,
        ignored: standing.ignored,
        faults: standing.faults,
        muted_until_ms: standing.muted_until.map(Timestamp::millis),
    }
}

fn reachability(known: &Reachability) -> api::Reachability {
    api::Reachability {
        state: known.state.name().into(),
        addresses: known.addresses.iter().map(ToString::to_string).collect(),
        since_ms: known.since.map(Timestamp::millis),
        checked_ms: known.checked.map(Timestamp::millis),
    }
}

/// Exact up to 2^53.
fn to_f64(number: u64) -> f64 {
    const HALF: f64 = 4_294_967_296.0;
    let half = |bits: u64| u32::try_from(bits).map_or(0.0, f64::from);
    half(number >> 32) * HALF + half(number & u64::from(u32::MAX))
}

fn chain_problem(chain_id: u64, chain: &dyn StateReader) -> Option<String> {
    if let Some(problem) = chain.problem() {
        return Some(problem);
    }
    if chain.final_head().is_none() {
        return Some(format!(
            "chain {chain_id} has no final block yet, or does not answer"
        ));
    }
    let silent = chain.agreed_ago().filter(|ago| *ago > STALLED)?;
    Some(format!(
        "the providers of chain {chain_id} have not agreed on a final block for {} s: look at them, or add others",
        silent.as_secs()
    ))
}

#[cfg(test)]
mod tests;
