//! One request over HTTP.

use std::time::Duration;

use alloy::transports::http::reqwest::{Client, Error, Response, StatusCode, header, redirect};

use super::pace::retry_after;
use crate::ChainError;
use crate::rpc::{ProviderError, RpcUrl};

/// How often a request is sent: a second connection may have been idle just as long.
const MAX_TRIES: u32 = 3;

/// Bytes of one response: 64 blocks of 2,000 transaction hashes are 9 MiB.
const MAX_RESPONSE: usize = 16 << 20;

/// As it came.
pub(super) struct HttpResponse {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
}

/// The HTTP client of all providers of a chain. Follows no redirects: a provider that has moved
/// should be set anew.
///
/// # Errors
/// [`ChainError::Settings`] where TLS cannot be set up on this machine.
pub fn http_client() -> Result<Client, ChainError> {
    let client = Client::builder().redirect(redirect::Policy::none()).build();
    client.map_err(|problem| ChainError::Settings {
        detail: format!("no HTTP client: {problem}; check the TLS settings of this machine"),
    })
}

/// Sends a request. Connections that the provider closed while they were idle break under it: what is
/// only read may be asked again, and what is submitted is the same transaction.
async fn send(http: &Client, url: &RpcUrl, body: String) -> Result<Response, Error> {
    let request = || {
        let request = http.post(url.url().clone());
        let request = request.header(header::CONTENT_TYPE, "application/json");
        request.body(body.clone()).send()
    };
    let mut tries = 1;
    loop {
        match request().await {
            Err(error) if tries < MAX_TRIES && was_cut_off(&error) => tries += 1,
            sent => return sent,
        }
    }
}

/// The response of the provider at `url`, read to its end.
pub(super) async fn post(
    http: &Client,
    url: &RpcUrl,
    body: String,
) -> Result<HttpResponse, ProviderError> {
    let failed = |error| connection(url, error);
    let mut response = send(http, url, body).await.map_err(failed)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if bytes.len() + chunk.len() > MAX_RESPONSE {
            return Err(ProviderError::Malformed(format!(
                "more than {MAX_RESPONSE} bytes"
            )));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(HttpResponse {
        status: response.status(),
        retry_after: retry_after(response.headers()),
        body: bytes,
    })
}

fn connection(url: &RpcUrl, error: Error) -> ProviderError {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    ProviderError::Connection(url.scrub(&cause.to_string()))
}

/// The connection was there, and ended before a response came.
fn was_cut_off(error: &Error) -> bool {
    error.is_request() && !error.is_connect() && !error.is_timeout()
}
