//! What only the owner of a node may ask of it: copies of its store and of its signing log.

use std::io::{self, Write};
use std::path::PathBuf;

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use quorate_proto::Address;
use tokio::sync::mpsc;

use super::{HttpContext, HttpState, failure};
use crate::maintenance::backup::{self, BackupError};
use crate::signing::log_file;

/// Pieces of an export that wait for their reader, of 8 KiB each as they are written.
const PIECES: usize = 16;

#[derive(serde::Deserialize)]
pub(super) struct BackupTarget {
    to: PathBuf,
}

/// `POST /backup?to=/folder`: leaves a copy of the store there, on this node's machine.
pub(super) async fn backup(
    State(facts): HttpState,
    Query(BackupTarget { to }): Query<BackupTarget>,
    headers: HeaderMap,
) -> Response {
    if let Some(refusal) = locked(&facts, &headers) {
        return refusal;
    }
    if !to.is_absolute() {
        let text = "to: must be a path from the root on";
        return failure(StatusCode::BAD_REQUEST, text);
    }
    let Ok(_only) = facts.copies.try_acquire() else {
        let text = "another copy of the store is being made; wait for its end";
        return failure(StatusCode::SERVICE_UNAVAILABLE, text);
    };
    let (store, target) = (facts.node.store.clone(), to.clone());
    let copied = tokio::task::spawn_blocking(move || backup::copy_store(&store, &target));
    let copied = copied.await;
    if let Some(lease) = &facts.lease {
        lease.show_now();
    }
    match copied {
        Ok(Ok(())) => {
            tracing::info!(to = %to.display(), "store copied");
            Json(serde_json::json!({ "to": to })).into_response()
        }
        Ok(Err(error @ BackupError::NotEmpty { .. })) => {
            failure(StatusCode::CONFLICT, &error.to_string())
        }
        Ok(Err(error)) => failure(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        Err(panic) => failure(StatusCode::INTERNAL_SERVER_ERROR, &panic.to_string()),
    }
}

#[derive(serde::Deserialize)]
pub(super) struct Selection {
    operator: Option<Address>,
}

/// `GET /signing-log?operator=0x…`: what this node's operator, or that one, has signed here.
pub(super) async fn signing_log(
    State(facts): HttpState,
    Query(Selection { operator }): Query<Selection>,
    headers: HeaderMap,
) -> Response {
    if let Some(refusal) = locked(&facts, &headers) {
        return refusal;
    }
    let Some(operator) = operator.or(facts.me.map(|(operator, _)| operator)) else {
        let text = "this node speaks for no operator; name one: ?operator=0x…";
        return failure(StatusCode::BAD_REQUEST, text);
    };
    let (sender, pieces) = mpsc::channel(PIECES);
    let (queue, domain) = (facts.node.writes.clone(), facts.node.domain);
    let lease = facts.lease.clone();
    tokio::task::spawn_blocking(move || {
        let out = Pieces(sender.clone());
        if let Err(error) = log_file::export(&queue, &domain, operator, out, |_| {}) {
            // The reader sees the end cut off.
            tracing::warn!(%error, "an export of the signing log ended early");
            let _ = sender.blocking_send(Err(io::Error::other(error.to_string())));
        }
        if let Some(lease) = lease {
            lease.show_now();
        }
    });
    let next = |mut pieces: mpsc::Receiver<io::Result<Vec<u8>>>| async {
        let piece = pieces.recv().await?;
        Some((piece, pieces))
    };
    let body = Body::from_stream(stream::unfold(pieces, next));
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Pieces of a file on their way to a stream.
struct Pieces(mpsc::Sender<io::Result<Vec<u8>>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.0.blocking_send(Ok(bytes.to_vec())).map_err(gone)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why the caller may not, unless it may.
pub(super) fn locked(facts: &HttpContext, headers: &HeaderMap) -> Option<Response> {
    if facts
        .token
        .as_ref()
        .is_some_and(|token| token.opens(headers))
    {
        return None;
    }
    let text = format!(
        "this takes the header \"authorization: Bearer …\" with the token that the node keeps in \
         the file {} of its data_dir",
        crate::http::token::file_name(facts.node.settings.role)
    );
    Some(failure(StatusCode::UNAUTHORIZED, &text))
}
