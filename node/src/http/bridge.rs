//! `/bridge`: what was seen on its routes, and what is on its way to where.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use quorate_proto::{B256, BridgePause, StatementKind as _};
use quorate_protocols::delivery::{DeliveryId, Refused};

use super::{HttpState, failure};
use crate::api::{BridgeReport, DeliveryLine, RouteReport, VoteLine};
use crate::context::Context;
use crate::services::bridge::{BridgePlace, VoteError, contract_text};
use crate::tasks::handover::newest_certificate;
use crate::{NodeError, delivery};

/// Deliveries of each list that are shown.
const SHOWN: usize = 256;
/// Open transfers of a route that are counted.
const MOST_OPEN: usize = 1_000;

pub(super) async fn page(State(facts): HttpState) -> Response {
    let node = facts.node.clone();
    let gathered = tokio::task::spawn_blocking(move || gather(&node)).await;
    match gathered {
        Ok(Ok(report)) => Json(report).into_response(),
        Ok(Err(error)) => broken(&error.to_string()),
        Err(panic) => broken(&panic.to_string()),
    }
}

/// `POST /deliveries/{id}/retry`, with the token of this relayer: a delivery does not wait any more, and a dead letter is
/// tried again.
pub(super) async fn retry(
    State(facts): HttpState,
    Path(id): Path<B256>,
    headers: HeaderMap,
) -> Response {
    let (Some(deliveries), Some(token)) = (&facts.deliveries, &facts.token) else {
        return failure(
            StatusCode::NOT_FOUND,
            "this node delivers nothing; ask a relayer",
        );
    };
    if !token.opens(&headers) {
        let text = "trying again takes the header \"authorization: Bearer …\" with the token that \
                    the relayer keeps in the file relayer.token of its data_dir";
        return failure(StatusCode::UNAUTHORIZED, text);
    }
    match deliveries.retry(DeliveryId(id)).await {
        Some(Ok(())) => StatusCode::NO_CONTENT.into_response(),
        Some(Err(refused @ Refused::UnknownDelivery(_))) => {
            failure(StatusCode::NOT_FOUND, &refused.to_string())
        }
        Some(Err(refused)) => failure(StatusCode::CONFLICT, &refused.to_string()),
        None => failure(StatusCode::SERVICE_UNAVAILABLE, "the relayer is stopping"),
    }
}

/// How to vote about a bridge.
#[derive(serde::Deserialize)]
pub(super) struct VoteQuery {
    bridge: String,
    vote: Choice,
}

#[derive(Clone, Copy, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Choice {
    Pause,
    Resume,
    /// None of both any more.
    Withdraw,
}

/// `POST /bridge/votes?bridge=CHAIN:CONTRACT&vote=pause|resume|withdraw`, with the token of this operator.
pub(super) async fn vote(
    State(facts): HttpState,
    Query(query): Query<VoteQuery>,
    headers: HeaderMap,
) -> Response {
    let (Some((operator, _)), Some(token)) = (facts.me, &facts.token) else {
        let text = "this node votes not; ask an operator";
        return failure(StatusCode::NOT_FOUND, text);
    };
    if !token.opens(&headers) {
        let text = "voting takes the header \"authorization: Bearer …\" with the token that the \
                    operator keeps in the file operator.token of its data_dir";
        return failure(StatusCode::UNAUTHORIZED, text);
    }
    let place: BridgePlace = match query.bridge.parse() {
        Ok(place) => place,
        Err(problem) => return failure(StatusCode::BAD_REQUEST, &format!("bridge: {problem}")),
    };
    let bridge = &facts.node.bridge;
    let paused = match query.vote {
        Choice::Pause => true,
        Choice::Resume => false,
        Choice::Withdraw => {
            return match bridge.votes.take_back(&place).await {
                Ok(true) => StatusCode::NO_CONTENT.into_response(),
                Ok(false) => failure(StatusCode::NOT_FOUND, "there is no vote about that bridge"),
                Err(error) => broken(&error.to_string()),
            };
        }
    };
    match bridge.vote(operator, place, paused).await {
        Ok(vote) => {
            tracing::info!(bridge = %place, sequence = vote.sequence, paused, "told to vote");
            Json(vote_line(&vote, None)).into_response()
        }
        Err(error) => failure(code_of(&error), &error.to_string()),
    }
}

const fn code_of(error: &VoteError) -> StatusCode {
    match error {
        VoteError::NotOnRoutes(_) | VoteError::NoChain(_) => StatusCode::NOT_FOUND,
        VoteError::Signed(_) => StatusCode::CONFLICT,
        VoteError::Silent(_) | VoteError::Chain(_) => StatusCode::SERVICE_UNAVAILABLE,
        VoteError::Node(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn vote_line(vote: &BridgePause, certified_in: Option<u32>) -> VoteLine {
    VoteLine {
        bridge: BridgePlace::about(vote).to_string(),
        sequence: vote.sequence,
        paused: vote.paused,
        certified_in,
    }
}

fn broken(text: &str) -> Response {
    failure(StatusCode::INTERNAL_SERVER_ERROR, text)
}

fn gather(node: &Context) -> Result<BridgeReport, NodeError> {
    let mut routes = Vec::new();
    for text in node.bridge.routes() {
        let route = text.route.id();
        routes.push(RouteReport {
            route: text.to_string(),
            id: route.to_string(),
            newest: node.bridge.transfers.newest(route)?,
            open: node.bridge.transfers.open(route, MOST_OPEN)?.len() as u64,
        });
    }
    let mut votes = Vec::new();
    for vote in node.bridge.votes.all()? {
        let certificate = newest_certificate(&node.store, vote.slot())?;
        let epoch = certificate.map(|certificate| certificate.statement().epoch().0);
        votes.push(vote_line(&vote, epoch));
    }
    let (under_way, ended) = delivery::listed(&node.store, SHOWN)?;
    let sent = delivery::sendings(&node.store)?;
    let line = |row: delivery::ListedDelivery| DeliveryLine {
        state: state_of(&row, sent.contains_key(&row.id)).to_owned(),
        id: row.id.to_string(),
        chain: row.chain,
        sender: contract_text(row.sender),
        about: row.about,
        failures: row.failures,
        spent: row.spent.to_string(),
        next_try_ms: row.until_ms,
        reason: row.reason,
        ended_ms: row.ended_ms,
    };
    Ok(BridgeReport {
        routes,
        votes,
        under_way: under_way.into_iter().map(line).collect(),
        ended: ended.into_iter().map(line).collect(),
        rescan: node.bridge.rescans.report(),
    })
}

const fn state_of(row: &delivery::ListedDelivery, is_sent: bool) -> &'static str {
    match (row.ended_ms, &row.reason) {
        (Some(_), Some(_)) => "dead letter",
        (Some(_), None) => "delivered",
        (None, _) if is_sent => "sent",
        (None, _) if row.needs => "held",
        (None, _) => "waiting",
    }
}
