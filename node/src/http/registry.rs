//! The pages of a registry: members and their events.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use quorate_proto::{Address, Member, OperatorSet, OperatorStatus, Transition, limits, wire};

use quorate_protocols::membership::{Input, Refused};

use super::{HttpContext, HttpState, failure};
use crate::api::{EventLine, Events, MemberLine};
use crate::network::peer_id_of;
use crate::registry::members::{self, EventFilter};

/// Events on a page unless asked otherwise.
const EVENTS_SHOWN: usize = 50;

#[derive(serde::Deserialize)]
pub(super) struct EventQuery {
    limit: Option<usize>,
    before: Option<u64>,
    operator: Option<Address>,
}

impl EventQuery {
    /// The events that are wanted.
    pub(super) fn filter(&self) -> EventFilter {
        let limit = self.limit.unwrap_or(EVENTS_SHOWN);
        EventFilter {
            operator: self.operator,
            behind: self.before,
            newest_first: true,
            limit: limit.clamp(1, limits::MAX_PAGE),
        }
    }
}

/// `GET /events?limit=50&before=…&operator=0x…`.
pub(super) async fn events(State(facts): HttpState, Query(listing): Query<EventQuery>) -> Response {
    if facts.members.is_none() {
        let text = "this node keeps no events; ask a registry";
        return failure(StatusCode::NOT_FOUND, text);
    }
    match members::events(&facts.node.store, listing.filter()) {
        Ok(page) => {
            let events: Vec<EventLine> = page.events.iter().filter_map(line).collect();
            let last = events.last().map(|event| event.sequence);
            let before = last.filter(|_| page.more);
            Json(Events { events, before }).into_response()
        }
        Err(error) => failure(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn line(event: &wire::LifecycleEvent) -> Option<EventLine> {
    let transition = Transition::try_from(event).ok()?;
    Some(EventLine {
        sequence: event.sequence,
        operator: transition.operator.to_string(),
        from: transition.from.map(|status| status.name().to_owned()),
        to: transition.to.name().into(),
        cause: transition.cause.describe().into(),
        note: transition.note,
        at_ms: transition.at.millis(),
        block: transition.block,
    })
}

/// Every member that this registry knows; empty elsewhere.
pub(super) async fn members(facts: &HttpContext, set: &OperatorSet) -> Vec<MemberLine> {
    let Some(members) = &facts.members else {
        return Vec::new();
    };
    let roll = members.roll().await;
    let line = |member: &Member| member_line(facts, member, set);
    roll.members.iter().map(line).collect()
}

fn member_line(facts: &HttpContext, member: &Member, set: &OperatorSet) -> MemberLine {
    let state = wire::OperatorState::from(member);
    let some = |epoch: u32| Some(epoch).filter(|epoch| *epoch > 0);
    let weight = set.get(member.operator).map(|member| member.weight);
    let seen = facts.sightings.of(member.operator);
    let peer = member.binding.and_then(|b| peer_id_of(&b.peer_key));
    MemberLine {
        operator: member.operator.to_string(),
        status: member.status.name().into(),
        cause: member.cause.describe().into(),
        since_ms: member.since.millis(),
        active_epoch: some(state.active_epoch),
        exit_epoch: some(state.exit_epoch),
        weight: weight.map(|weight| weight.to_string()),
        peer_id: peer.map(|peer| peer.to_string()),
        misses: member.misses,
        successful_responses: member.successful_responses,
        last_seen_ms: seen.map(|seen| seen.at.millis()),
        latency_ms: seen.map(|seen| seen.latency.as_secs_f64() * 1_000.0),
    }
}

#[derive(serde::Deserialize)]
pub(super) struct Reason {
    reason: Option<String>,
}

/// `POST /operators/{operator}/reinstate?reason=…`, with the token of this registry.
pub(super) async fn reinstate(
    State(facts): HttpState,
    Path(operator): Path<Address>,
    Query(reason): Query<Reason>,
    headers: HeaderMap,
) -> Response {
    let (Some(members), Some(token)) = (&facts.members, &facts.token) else {
        let text = "this node reinstates nobody; ask a registry";
        return failure(StatusCode::NOT_FOUND, text);
    };
    if !token.opens(&headers) {
        let text = "reinstating takes the header \"authorization: Bearer …\" with the token that \
                    the registry keeps in the file registry.token of its data_dir";
        return failure(StatusCode::UNAUTHORIZED, text);
    }
    let by = match reason.reason {
        Some(reason) => format!("the registry's administrator: {reason}"),
        None => "the registry's administrator".into(),
    };
    match members.tell(Input::Reinstated { operator, by }).await {
        Some(Ok(())) => StatusCode::NO_CONTENT.into_response(),
        Some(Err(refused @ Refused::UnknownOperator(_))) => {
            failure(StatusCode::NOT_FOUND, &refused.to_string())
        }
        Some(Err(refused)) => failure(StatusCode::CONFLICT, &refused.to_string()),
        None => failure(StatusCode::SERVICE_UNAVAILABLE, "the registry is stopping"),
    }
}

/// How many members have which status.
pub(super) async fn gauge(facts: &HttpContext) {
    let Some(members) = &facts.members else {
        return;
    };
    let every = [
        OperatorStatus::WaitingJoin,
        OperatorStatus::WaitingActive,
        OperatorStatus::Active,
        OperatorStatus::Unactive,
        OperatorStatus::Suspended,
    ];
    let counts = members.summary().await.statuses;
    for status in every {
        let count = counts.get(&status).copied().unwrap_or_default();
        metrics::gauge!("quorate_members", "status" => status.name()).set(f64::from(count));
    }
    for member in members.roll().await.members {
        let operator = member.operator.to_string();
        metrics::gauge!("quorate_member_misses", "operator" => operator)
            .set(f64::from(member.misses));
    }
}
