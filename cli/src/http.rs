//! Asks a running node over its HTTP interface.

use std::time::Duration;

use alloy::transports::http::reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use quorate_node::api::ErrorBody;
use serde::de::DeserializeOwned;

use crate::exit::{NegativeAnswer, Usage};

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
    /// The node at this address.
    pub(crate) fn at(http: &str, json: bool) -> Self {
        Self {
            http: http.to_owned(),
            json,
        }
    }

    /// `GET path`. A page that does not exist is a "no".
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let client = Client::builder().timeout(TIMEOUT).build()?;
        let body = self.ask(client.get(self.url(path)?)).await?;
        serde_json::from_slice(&body)
            .with_context(|| format!("what answers at {} is no node of this version", self.http))
    }

    /// `GET path` of a page that goes on for ever, one JSON object a line.
    pub(crate) async fn lines(&self, path: &str) -> anyhow::Result<Lines> {
        let client = Client::builder().connect_timeout(TIMEOUT).build()?;
        let response = self.send(client.get(self.url(path)?)).await?;
        if response.status().is_success() {
            return Ok(Lines {
                response,
                rest: Vec::new(),
            });
        }
        let status = response.status();
        let body = response.bytes().await.map_err(without_url)?;
        Err(self.failure(status, &body))
    }

    /// `POST path` with a token.
    pub(crate) async fn post(&self, path: &str, token: &str) -> anyhow::Result<()> {
        let client = Client::builder().timeout(TIMEOUT).build()?;
        let request = client.post(self.url(path)?).bearer_auth(token);
        self.ask(request).await.map(|_| ())
    }

    /// `POST path` with a token, which is answered.
    pub(crate) async fn post_for<T: DeserializeOwned>(
        &self,
        path: &str,
        token: &str,
    ) -> anyhow::Result<T> {
        let client = Client::builder().timeout(TIMEOUT).build()?;
        let body = self.ask(client.post(self.url(path)?).bearer_auth(token));
        serde_json::from_slice(&body.await?)
            .with_context(|| format!("what answers at {} is no node of this version", self.http))
    }

    /// `POST path` with a token, for work that may take `timeout`.
    pub(crate) async fn post_long(
        &self,
        path: &str,
        token: &str,
        timeout: Duration,
    ) -> anyhow::Result<()> {
        let client = Client::builder().timeout(timeout).build()?;
        let request = client.post(self.url(path)?).bearer_auth(token);
        self.ask(request).await.map(|_| ())
    }

    /// `GET path` with a token, piece by piece into `out`.
    pub(crate) async fn download(
        &self,
        path: &str,
        token: &str,
        out: &mut impl std::io::Write,
    ) -> anyhow::Result<()> {
        let client = Client::builder().connect_timeout(TIMEOUT).build()?;
        let request = client.get(self.url(path)?).bearer_auth(token);
        let mut response = self.send(request).await?;
        let status = response.status();
        if !status.is_success() {
            let body = response.bytes().await.map_err(without_url)?;
            return Err(self.failure(status, &body));
        }
        while let Some(piece) = response.chunk().await.map_err(without_url)? {
            out.write_all(&piece)?;
        }
        Ok(())
    }

    async fn ask(&self, request: RequestBuilder) -> anyhow::Result<Vec<u8>> {
        let response = self.send(request).await?;
        let status = response.status();
        let body = response.bytes().await.map_err(without_url)?;
        match status.is_success() {
            true => Ok(body.into()),
            false => Err(self.failure(status, &body)),
        }
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let unreachable = || {
            format!(
                "no node answers at {}; is it running with --http, and is --http here the same?",
                self.http
            )
        };
        let sent = request.send().await.map_err(without_url);
        sent.with_context(unreachable)
    }

    fn failure(&self, status: StatusCode, body: &[u8]) -> anyhow::Error {
        let text = serde_json::from_slice::<ErrorBody>(body).map(|body| body.error);
        let text = text.unwrap_or_else(|_| match (status, std::str::from_utf8(body)) {
            (StatusCode::FORBIDDEN, Ok(text)) => format!("{} answered: {}", self.http, text.trim()),
            _ => format!("the node at {} answered {status}", self.http),
        });
        match status {
            StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::GONE => {
                NegativeAnswer(text).into()
            }
            StatusCode::BAD_REQUEST => Usage(text).into(),
            _ => anyhow!(text),
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

/// A page that goes on for ever.
pub(crate) struct Lines {
    response: Response,
    /// The beginning of a line.
    rest: Vec<u8>,
}

impl Lines {
    /// A line of this page has at most some kilobytes.
    const MAX_LINE: usize = 1 << 20;

    /// Waits for more lines.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> anyhow::Result<Vec<T>> {
        loop {
            let chunk = self.response.chunk().await.map_err(without_url)?;
            let Some(chunk) = chunk else {
                bail!("the node has ended, and the lines with it");
            };
            self.rest.extend_from_slice(&chunk);
            let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
                if self.rest.len() > Self::MAX_LINE {
                    bail!("what answers is no node of this version: a line without end");
                }
                continue;
            };
            let rest = self.rest.split_off(end.saturating_add(1));
            let whole = std::mem::replace(&mut self.rest, rest);
            let lines = whole.split(|byte| *byte == b'\n');
            let lines = lines.filter(|line| !line.is_empty());
            return lines
                .map(|line| serde_json::from_slice(line).map_err(Into::into))
                .collect();
        }
    }
}

/// The address stands in the message already.
fn without_url(
    error: alloy::transports::http::reqwest::Error,
) -> alloy::transports::http::reqwest::Error {
    error.without_url()
}
