//! The pages of an interface.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Dashboard;
use super::guard::refused;
use super::shapes::{ConfigPage, StatusPage};
use crate::NodeError;

type Shown = State<Arc<Dashboard>>;

/// Ids are 66 characters and a number: longer ones are none.
const LONGEST_ID: usize = 96;

pub(super) async fn health(State(shown): Shown) -> Response {
    let (board, [source, target]) = (shown.board.borrow().clone(), shown.chains());
    let page = shown.view.health(&board, [&source, &target]);
    let code = match page.reason {
        None => StatusCode::OK,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, Json(page)).into_response()
}

pub(super) async fn status(State(shown): Shown) -> Json<StatusPage> {
    let (board, [source, target]) = (shown.board.borrow().clone(), shown.chains());
    Json(shown.view.status(&board, [&source, &target]))
}

pub(super) async fn config(State(shown): Shown) -> Json<ConfigPage> {
    let [source, target] = shown.chains();
    Json(shown.view.config([&source, &target]))
}

pub(super) async fn queue(State(shown): Shown) -> Response {
    read(move || shown.view.queue(&shown.board.borrow().clone()).map(Some)).await
}

pub(super) async fn nonce(State(shown): Shown) -> Response {
    read(move || shown.view.nonce(&shown.board.borrow().clone()).map(Some)).await
}

pub(super) async fn task(State(shown): Shown, Path(id): Path<String>) -> Response {
    if id.len() > LONGEST_ID {
        return no_task();
    }
    read(move || shown.view.task(&id)).await
}

/// Only those of this direction, and of the payers.
pub(super) async fn figures(State(shown): Shown) -> Response {
    let Some(handle) = &shown.metrics else {
        return refused(StatusCode::NOT_FOUND, "this node collects no figures");
    };
    handle.run_upkeep();
    own_figures(&handle.render(), shown.view.direction.name()).into_response()
}

pub(super) async fn none() -> Response {
    let pages = "pages: /health /status /queue /nonce /task/{id} /metrics /config";
    refused(StatusCode::NOT_FOUND, pages)
}

/// The lines of one service, and those that are of none.
pub(super) fn own_figures(all: &str, service: &str) -> String {
    let own = format!("service=\"{service}\"");
    let is_own = |line: &&str| {
        let name = line
            .trim_start_matches("# HELP ")
            .trim_start_matches("# TYPE ");
        name.starts_with("relayer_") && (!line.contains("service=\"") || line.contains(&own))
    };
    all.lines()
        .filter(is_own)
        .flat_map(|line| [line, "\n"])
        .collect()
}

fn no_task() -> Response {
    refused(StatusCode::NOT_FOUND, "no such task; /queue lists them")
}

/// What is read from the store is read on a thread of its own.
async fn read<T: Serialize + Send + 'static>(
    page: impl FnOnce() -> Result<Option<T>, NodeError> + Send + 'static,
) -> Response {
    match tokio::task::spawn_blocking(page).await {
        Ok(Ok(Some(page))) => Json(page).into_response(),
        Ok(Ok(None)) => no_task(),
        Ok(Err(error)) => refused(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        Err(panic) => refused(StatusCode::INTERNAL_SERVER_ERROR, &panic.to_string()),
    }
}
