//! The HTTP interface that dashboards of relayers read: one for each direction, with figures beside it.

mod guard;
mod pages;
mod shapes;
mod view;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use quorate_chain::{ChainFamily, Submitter, TransferReader};
use quorate_proto::Route;
use quorate_storage::Store;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::guard::Guard;
use self::view::{ChainNow, End, View};
use super::Submitters;
use super::TransferReaders;
use super::direction::Direction;
use super::monitor::BoardView;
use super::settings::BridgeSection;
use super::transfer_store::TransferStore;
use crate::delivery::DeliveryHandle;
use crate::http::connections::{Bounded, HttpConnection, answering, room};
use crate::process::supervisor::Tasks;
use crate::{NodeError, clock};

/// What all interfaces are made from.
pub(crate) struct DashboardParts {
    pub(crate) section: BridgeSection,
    /// The routes of this relayer with the families of both ends.
    pub(crate) routes: Vec<(Route, [ChainFamily; 2])>,
    pub(crate) readers: TransferReaders,
    pub(crate) submitters: Submitters,
    pub(crate) deliveries: DeliveryHandle,
    pub(crate) store: Store,
    pub(crate) transfers: TransferStore,
    pub(crate) board: BoardView,
    pub(crate) metrics: Option<PrometheusHandle>,
}

/// One interface's state.
pub(super) struct Dashboard {
    view: View,
    source: Option<Arc<dyn TransferReader>>,
    target: Option<Arc<dyn Submitter>>,
    board: BoardView,
    metrics: Option<PrometheusHandle>,
}

impl Dashboard {
    /// The newest final block of each end, and the providers.
    fn chains(&self) -> [ChainNow; 2] {
        let source = self.source.as_ref();
        let head = source.and_then(|reader| reader.final_head());
        let followed = source.map(|reader| reader.providers()).unwrap_or_default();
        let target = self.target.as_ref();
        let sent = target.map(|target| target.providers()).unwrap_or_default();
        [(head.map(|head| head.number), followed), (None, sent)]
    }
}

impl DashboardParts {
    /// Starts the interfaces that are set, and that have routes.
    ///
    /// # Errors
    /// [`NodeError::Http`] where an address is taken; an interface for a direction without routes.
    pub(crate) async fn spawn(
        self,
        tasks: &mut Tasks,
        halt: &CancellationToken,
    ) -> Result<(), NodeError> {
        let mut by_direction: BTreeMap<Direction, Vec<(Route, [ChainFamily; 2])>> = BTreeMap::new();
        for (route, [source, target]) in &self.routes {
            if let Some(direction) = Direction::of(*source, *target) {
                by_direction
                    .entry(direction)
                    .or_default()
                    .push((*route, [*source, *target]));
            }
        }
        for (direction, key, address, is_whole) in self.section.interfaces() {
            let routes = by_direction
                .get(&direction)
                .map(Vec::as_slice)
                .unwrap_or_default();
            let dashboard = self.dashboard(direction, routes, address).ok_or_else(|| {
                let name = direction.name();
                NodeError::Settings(format!("bridge.{key}: no route of bridge.routes goes {name}; add one, or leave the address out"))
            })?;
            let router = match is_whole {
                true => router(Arc::new(dashboard), Guard::new(&self.section)),
                false => figures(Arc::new(dashboard), Guard::open()),
            };
            let listener = bind(address).await?;
            tasks.spawn("bridge-http", serve(listener, router, halt.clone()));
        }
        Ok(())
    }

    /// `None` without routes.
    fn dashboard(
        &self,
        direction: Direction,
        routes: &[(Route, [ChainFamily; 2])],
        address: SocketAddr,
    ) -> Option<Dashboard> {
        let (first, [source, target]) = routes.first()?;
        let view = View {
            direction,
            routes: routes.iter().map(|(route, _)| *route).collect(),
            source: End {
                chain: first.source_chain,
                family: *source,
                contract: first.source_contract,
            },
            target: End {
                chain: first.target_chain,
                family: *target,
                contract: first.target_contract,
            },
            payer: self.deliveries.lane(first.target_chain),
            store: self.store.clone(),
            transfers: self.transfers.clone(),
            started: clock::now(),
            api: (
                address.port(),
                self.section.cors.clone().unwrap_or_default(),
            ),
        };
        Some(Dashboard {
            source: self.readers.get(&first.source_chain).cloned(),
            target: self.submitters.get(&first.target_chain).cloned(),
            view,
            board: self.board.clone(),
            metrics: self.metrics.clone(),
        })
    }
}

fn router(dashboard: Arc<Dashboard>, guard: Guard) -> Router {
    let pages = Router::new()
        .route("/health", get(pages::health))
        .route("/status", get(pages::status))
        .route("/queue", get(pages::queue))
        .route("/nonce", get(pages::nonce))
        .route("/task/{id}", get(pages::task))
        .route("/metrics", get(pages::figures))
        .route("/config", get(pages::config))
        .fallback(pages::none)
        .with_state(dashboard);
    guarded(pages, guard)
}

/// Only `/metrics`.
fn figures(dashboard: Arc<Dashboard>, guard: Guard) -> Router {
    let pages = Router::new().route("/metrics", get(pages::figures));
    guarded(pages.fallback(pages::none).with_state(dashboard), guard)
}

fn guarded(pages: Router, guard: Guard) -> Router {
    pages
        .layer(from_fn_with_state(guard, guard::guard))
        .layer(from_fn(answering))
}

async fn bind(address: SocketAddr) -> Result<TcpListener, NodeError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| NodeError::Http {
        address,
        reason: error.to_string(),
    })
}

async fn serve(
    listener: TcpListener,
    router: Router,
    halt: CancellationToken,
) -> Result<(), NodeError> {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "HTTP for a dashboard");
    }
    let room = room(crate::health::host::open_files_limit());
    let service = router.into_make_service_with_connect_info::<HttpConnection>();
    axum::serve(Bounded::new(listener, room), service)
        .with_graceful_shutdown(halt.cancelled_owned())
        .await
        .map_err(|error| NodeError::Internal {
            reason: error.to_string(),
        })
}

#[cfg(test)]
mod tests;
