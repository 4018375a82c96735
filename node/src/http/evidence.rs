//! Evidence of equivocation.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use quorate_proto::{Address, EvidenceId, limits};

use super::{HttpContext, HttpState, failure};
use crate::api::EvidencePage;

#[derive(serde::Deserialize)]
pub(super) struct EvidenceQuery {
    operator: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

/// Evidence behind an id, against an operator, and how much of it.
pub(super) type EvidenceFilter = (Option<EvidenceId>, Option<Address>, usize);

impl EvidenceQuery {
    /// What is wanted; the error says what is wrong with the question.
    pub(super) fn wanted(&self) -> Result<EvidenceFilter, &'static str> {
        let operator = self.operator.as_deref().map(str::parse::<Address>);
        let operator = operator
            .transpose()
            .map_err(|_| "operator must be an address: 0x and 40 hexadecimal digits")?;
        let after = self.after.as_deref().map(str::parse::<EvidenceId>);
        let after = after
            .transpose()
            .map_err(|_| "after must be an id: 64 hexadecimal digits")?;
        let most = limits::MAX_EVIDENCE_PAGE;
        Ok((after, operator, self.limit.unwrap_or(most).clamp(1, most)))
    }
}

pub(super) async fn list(
    State(facts): HttpState,
    Query(listing): Query<EvidenceQuery>,
) -> Response {
    let (after, operator, limit) = match listing.wanted() {
        Ok(wanted) => wanted,
        Err(text) => return bad(text),
    };
    match facts.node.evidence.page(after, operator, limit) {
        Ok((entries, more)) => {
            let last = entries.last().map(|entry| entry.evidence.id().to_string());
            let evidence = entries.iter().map(|entry| entry.report(&facts.node.domain));
            Json(EvidencePage {
                evidence: evidence.collect(),
                after: last.filter(|_| more),
            })
            .into_response()
        }
        Err(error) => failure(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

pub(super) async fn one(State(facts): HttpState, Path(id): Path<String>) -> Response {
    let Ok(id) = id.parse::<EvidenceId>() else {
        return bad("an id of evidence has 64 hexadecimal digits, with or without 0x");
    };
    match facts.node.evidence.get(id) {
        Ok(Some(entry)) => Json(entry.report(&facts.node.domain)).into_response(),
        Ok(None) => failure(
            StatusCode::NOT_FOUND,
            &format!("evidence {id} is not known to this node"),
        ),
        Err(error) => failure(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// There is evidence with two signatures of this node's operator and key on two facts. An operator that was
/// judged and came back with another key has no such problem.
pub(super) fn problem(facts: &HttpContext) -> Option<String> {
    let (operator, key) = facts.me?;
    match facts.node.evidence.against(operator, key) {
        Ok(0) => None,
        Err(error) => Some(error.to_string()),
        Ok(count) => Some(format!(
            "operator {operator} signed two facts for one slot, {count} of the cases are proven: see \
             `node evidence list --operator {operator}`. Its key signs in two places, or without its \
             signing log: stop all but one, take another key (`node change-key`), and expect to be jailed"
        )),
    }
}

fn bad(text: &str) -> Response {
    failure(StatusCode::BAD_REQUEST, text)
}
