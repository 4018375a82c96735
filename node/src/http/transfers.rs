//! Single transfers of bridges, what their delivery costs, and reading blocks again.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use quorate_client::TransferNews;
use quorate_proto::wire::TransferReply;
use quorate_proto::{B256, TaskId};
use serde::Deserialize;

use super::{HttpContext, HttpState, admin, failure};
use crate::NodeError;
use crate::api::TransferPage;
use crate::services::bridge::RouteText;
use crate::services::bridge::rescan::RescanRefused;
use crate::tasks::explain;

/// `GET /bridge/transfers/{route}/{nonce}`.
pub(super) async fn one(
    State(facts): HttpState,
    Path((route, nonce)): Path<(B256, u64)>,
) -> Response {
    let Some(text) = facts.node.bridge.route(route) else {
        return no_route();
    };
    match facts.transfer_page(text, nonce).await {
        Ok(Some(page)) => Json(page).into_response(),
        Ok(None) => {
            let text = format!(
                "transfer {nonce} of that route was not seen at a final block yet; if it was long ago, see `node bridge rescan`"
            );
            failure(StatusCode::NOT_FOUND, &text)
        }
        Err(error) => broken(&error),
    }
}

/// `GET /bridge/sent/{transaction}`: all that a transaction sent.
pub(super) async fn sent_by(State(facts): HttpState, Path(transaction): Path<B256>) -> Response {
    let bridge = &facts.node.bridge;
    let keys = match bridge.sent_by(None, transaction) {
        Ok(keys) => keys,
        Err(error) => return broken(&error),
    };
    let mut pages = Vec::new();
    for (route, nonce) in keys {
        let Some(text) = bridge.route(B256::from(route)) else {
            continue;
        };
        match facts.transfer_page(text, nonce).await {
            Ok(page) => pages.extend(page),
            Err(error) => return broken(&error),
        }
    }
    Json(pages).into_response()
}

/// `GET /bridge/fees/{route}`.
pub(super) async fn fee(State(facts): HttpState, Path(route): Path<B256>) -> Response {
    let bridge = facts.node.bridge.clone();
    let Some(text) = bridge.route(route).copied() else {
        return no_route();
    };
    let gas = tokio::task::spawn_blocking(move || bridge.gas_of(&text)).await;
    let gas = match gas {
        Ok(Ok(gas)) => gas,
        Ok(Err(error)) => return broken(&error),
        Err(panic) => return failure(StatusCode::INTERNAL_SERVER_ERROR, &panic.to_string()),
    };
    match facts.node.bridge.fee(&text, gas).await {
        Ok(Some(report)) => Json(report).into_response(),
        Ok(None) => failure(
            StatusCode::NOT_FOUND,
            "this node has no providers of the target chain; ask a relayer",
        ),
        Err(error) => failure(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

/// The blocks that are read again.
#[derive(Deserialize)]
pub(super) struct RescanQuery {
    route: B256,
    from: u64,
    to: Option<u64>,
}

/// `POST /bridge/rescan?route=0x…&from=N&to=N`, with the token of this node; `/bridge` tells how far it is.
pub(super) async fn rescan(
    State(facts): HttpState,
    Query(RescanQuery { route, from, to }): Query<RescanQuery>,
    headers: HeaderMap,
) -> Response {
    if let Some(refusal) = admin::locked(&facts, &headers) {
        return refusal;
    }
    let node = &facts.node;
    match node.bridge.rescan(route, (from, to), &node.halt) {
        Ok(report) => (StatusCode::ACCEPTED, Json(report)).into_response(),
        Err(refused) => failure(code_of(&refused), &refused.to_string()),
    }
}

/// `POST /bridge/rescan/cancel`, with the token of this node.
pub(super) async fn cancel_rescan(State(facts): HttpState, headers: HeaderMap) -> Response {
    if let Some(refusal) = admin::locked(&facts, &headers) {
        return refusal;
    }
    match facts.node.bridge.rescans.cancel() {
        true => StatusCode::NO_CONTENT.into_response(),
        false => failure(StatusCode::NOT_FOUND, "no blocks are read again just now"),
    }
}

const fn code_of(refused: &RescanRefused) -> StatusCode {
    match refused {
        RescanRefused::Busy { .. } => StatusCode::CONFLICT,
        RescanRefused::NoRoute => StatusCode::NOT_FOUND,
        RescanRefused::NoHead(_) => StatusCode::SERVICE_UNAVAILABLE,
        RescanRefused::NotFinal { .. } | RescanRefused::TooMany(_) => StatusCode::BAD_REQUEST,
    }
}

fn no_route() -> Response {
    let text = "that route is not served here; `node bridge status` lists those that are";
    failure(StatusCode::NOT_FOUND, text)
}

fn broken(error: &NodeError) -> Response {
    failure(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
}

impl HttpContext {
    /// `None` where it was never seen here.
    async fn transfer_page(
        &self,
        text: &RouteText,
        nonce: u64,
    ) -> Result<Option<TransferPage>, NodeError> {
        let now = self.node.home.view().current.map(|set| set.epoch());
        let reply: TransferReply = self.node.bridge.report_now(text, nonce, now).await?;
        if reply.steps.is_empty() {
            return Ok(None);
        }
        let task = TaskId::try_from(reply.task_id.as_slice()).ok();
        let news = TransferNews::try_from(&reply).map_err(NodeError::damaged)?;
        let me = self.me.map(|(operator, _)| operator);
        let told = |id| explain::explain(&self.node.store, &self.node.domain, me, id);
        Ok(Some(TransferPage {
            transfer: news.report,
            timeline: task.map(told).transpose()?.flatten(),
        }))
    }
}
