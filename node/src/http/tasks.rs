//! What became of tasks: those of the past, and those of this moment.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use quorate_proto::{Domain, TaskId};
use serde::Deserialize;

use super::{HttpContext, HttpState, failure, sync};
use crate::api::{LiveLine, RefusedLine, TaskLine, Timeline};
use crate::tasks::explain::{self, Unnamed};
use crate::tasks::recorder::{LiveEvent, LiveFollower};
use quorate_client::record::live_line;

/// Tasks listed unless asked otherwise, and at most.
const TASKS_SHOWN: usize = 20;
pub(super) const MAX_TASKS_SHOWN: usize = 1_000;

#[derive(Deserialize)]
pub(super) struct TaskQuery {
    limit: Option<usize>,
}

impl TaskQuery {
    /// Tasks that are listed.
    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(TASKS_SHOWN).min(MAX_TASKS_SHOWN)
    }
}

pub(super) async fn list(State(facts): HttpState, Query(listing): Query<TaskQuery>) -> Response {
    match explain::newest(&facts.node.store, listing.limit()) {
        Ok(lines) => Json::<Vec<TaskLine>>(lines).into_response(),
        Err(error) => failure(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

pub(super) async fn report(State(facts): HttpState, Path(id): Path<String>) -> Response {
    match facts.timeline(&id) {
        Ok(timeline) => Json(timeline.task).into_response(),
        Err(response) => *response,
    }
}

pub(super) async fn timeline(State(facts): HttpState, Path(id): Path<String>) -> Response {
    match facts.timeline(&id) {
        Ok(timeline) => Json(timeline).into_response(),
        Err(response) => *response,
    }
}

/// What never became a task, newest first.
pub(super) async fn refused(State(facts): HttpState) -> Json<Vec<RefusedLine>> {
    Json(facts.node.channels.refusals.newest())
}

/// One line of JSON for everything that happens, until either side ends.
pub(super) async fn live(State(facts): HttpState) -> Response {
    let Some(follower) = facts.node.channels.live.follow() else {
        let text = "as many follow this node as it serves; end one of them";
        return failure(StatusCode::SERVICE_UNAVAILABLE, text);
    };
    let (closing, domain) = (facts.node.closing.clone(), facts.node.domain);
    let lines = futures::stream::unfold(follower, move |mut follower| {
        let closing = closing.clone();
        async move {
            let heard = tokio::select! {
                heard = lines(&mut follower, &domain) => heard,
                () = closing.cancelled() => None,
            };
            heard.map(|lines| (Ok::<Bytes, std::convert::Infallible>(lines), follower))
        }
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    (kind, Body::from_stream(lines)).into_response()
}

async fn lines(follower: &mut LiveFollower, domain: &Domain) -> Option<Bytes> {
    let heard = follower.next().await?;
    let mut text = String::new();
    if heard.skipped > 0 {
        let count = heard.skipped;
        push(&mut text, &LiveLine::Skipped { count });
    }
    for news in &heard.news {
        let line = match news.as_ref() {
            LiveEvent::Task(task, event, statement) => {
                live_line(task.to_string(), event, statement.as_ref(), domain).ok()
            }
            LiveEvent::Refused(line) => Some(LiveLine::Refused { line: line.clone() }),
        };
        line.iter().for_each(|line| push(&mut text, line));
    }
    Some(text.into())
}

fn push(text: &mut String, line: &LiveLine) {
    // These types have no map keys that are not strings: JSON always has a form for them.
    if let Ok(json) = serde_json::to_string(line) {
        text.push_str(&json);
        text.push('\n');
    }
}

impl HttpContext {
    /// The record of the one task whose id begins like this.
    fn timeline(&self, text: &str) -> Result<Timeline, Box<Response>> {
        let fail = |code, text: &str| Box::new(failure(code, text));
        let broken =
            |error: crate::NodeError| fail(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string());
        let named = explain::named(&self.node.store, text).map_err(broken)?;
        let id = named.map_err(|unnamed| fail(code_of(&unnamed), &unnamed.to_string()))?;
        let me = self.me.map(|(operator, _)| operator);
        let found =
            explain::explain(&self.node.store, &self.node.domain, me, id).map_err(broken)?;
        found.ok_or_else(|| Box::new(sync::no_task(self, id, &self.unknown(id))))
    }

    fn unknown(&self, id: TaskId) -> String {
        match self.node.channels.refusals.about(id) {
            Some(line) => format!("task {id} was not taken here: {}", line.detail),
            None => format!(
                "task {id} is not known to this node; ask another operator, or look at /tasks/refused"
            ),
        }
    }
}

const fn code_of(unnamed: &Unnamed) -> StatusCode {
    match unnamed {
        Unnamed::NoId => StatusCode::BAD_REQUEST,
        Unnamed::None(_) => StatusCode::NOT_FOUND,
        Unnamed::Several(..) => StatusCode::CONFLICT,
    }
}
