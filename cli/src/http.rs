//! Asks a running node over its HTTP interface.

use std::time::Duration;

use alloy::transports::http::reqwest::{Client, RequestBuilder, StatusCode, Url};
use anyhow::{Context as _, anyhow};
use clap::Args;
use quorate_node::api::ErrorBody;
use serde::de::DeserializeOwned;

use crate::exit::No;

/// A node on loopback answers at once; one that does not is not well.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Which node is asked, and how its answer is shown.
#[derive(Args, Debug)]
pub(crate) struct NodeArgs {
    /// HTTP address of the running node
    #[arg(
        long,
        value_name = "ADDR",
        env = "QUORATE_HTTP",
        default_value = "127.0.0.1:9080"
    )]
    http: String,

    /// Print JSON, with exact numbers
    #[arg(long)]
    pub(crate) json: bool,
}

impl NodeArgs {
    /// `GET path`. A page that does not exist is a "no".
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let client = Client::builder().timeout(TIMEOUT).build()?;
        let body = self.ask(client.get(self.url(path)?)).await?;
        serde_json::from_slice(&body)
            .with_context(|| format!("what answers at {} is no node of this version", self.http))
    }

    /// `POST path` with a token.
    pub(crate) async fn post(&self, path: &str, token: &str) -> anyhow::Result<()> {
        let client = Client::builder().timeout(TIMEOUT).build()?;
        let request = client.post(self.url(path)?).bearer_auth(token);
        self.ask(request).await.map(|_| ())
    }

    async fn ask(&self, request: RequestBuilder) -> anyhow::Result<Vec<u8>> {
        let unreachable = || {
            format!(
                "no node answers at {}; is it running with --http, and is --http here the same?",
                self.http
            )
        };
        let response = request
            .send()
            .await
            .map_err(without_url)
            .with_context(unreachable)?;
        let status = response.status();
        let body = response.bytes().await.map_err(without_url)?;
        if status.is_success() {
            return Ok(body.into());
        }
        let text = serde_json::from_slice::<ErrorBody>(&body).map(|body| body.error);
        let text = text.unwrap_or_else(|_| format!("the node answered {status}"));
        match status {
            StatusCode::NOT_FOUND | StatusCode::CONFLICT => Err(No(text).into()),
            _ => Err(anyhow!(text)),
        }
    }

    fn url(&self, path: &str) -> anyhow::Result<Url> {
        let base = self.http.trim_end_matches('/');
        let text = match base.contains("://") {
            true => format!("{base}{path}"),
            false => format!("http://{base}{path}"),
        };
        Url::parse(&text)
            .with_context(|| format!("--http {:?} is no address; write 127.0.0.1:9080", self.http))
    }
}

/// The address stands in the message already.
fn without_url(
    error: alloy::transports::http::reqwest::Error,
) -> alloy::transports::http::reqwest::Error {
    error.without_url()
}
