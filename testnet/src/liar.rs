//! An RPC provider that passes on what a chain says, or something else.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use alloy::primitives::{U256, hex};
use alloy::sol_types::SolCall;
use alloy::transports::http::reqwest::Client;
use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use quorate_chain::contracts::StateManager::getHistoryAtBlockCall;
use serde_json::Value;
use tokio::task::JoinHandle;

/// How a provider answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As the chain does.
    Honest,
    /// As the chain does, but every stored value is this one.
    Value(U256),
    /// Takes requests and never answers.
    Silent,
}

/// A provider between an operator and its chain. Ends when dropped.
pub struct Liar {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    /// The chain's own URL; nothing is answered without it.
    chain: Mutex<Option<String>>,
    manner: Mutex<Manner>,
    http: Client,
}

impl Liar {
    /// Listens on a free port of the loopback interface. The chain is named later: its URL is not
    /// known before it runs, and the operators' configuration needs this one earlier.
    ///
    /// # Errors
    /// No port is free.
    pub async fn listen(manner: Manner) -> Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            chain: Mutex::new(None),
            manner: Mutex::new(manner),
            http: Client::new(),
        });
        let router = Router::new()
            .route("/", post(answer))
            .with_state(shared.clone());
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            address,
            shared,
            server,
        })
    }

    /// For an operator's configuration.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The chain behind it.
    pub fn forward_to(&self, chain: String) {
        *self
            .shared
            .chain
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(chain);
    }

    /// From now on.
    pub fn behave(&self, manner: Manner) {
        *self
            .shared
            .manner
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = manner;
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: String) -> Response {
    let manner = *shared.manner.lock().unwrap_or_else(PoisonError::into_inner);
    if manner == Manner::Silent {
        return std::future::pending().await;
    }
    match shared.ask(manner, request).await {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    }
}

impl Shared {
    async fn ask(&self, manner: Manner, request: String) -> Result<String> {
        let chain = self
            .chain
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let chain = chain.context("the chain does not run yet")?;
        let asked: Value = serde_json::from_str(&request)?;
        let post = self
            .http
            .post(chain)
            .header("content-type", "application/json")
            .body(request);
        let mut answered: Value = serde_json::from_str(&post.send().await?.text().await?)?;
        if let Manner::Value(value) = manner {
            for call in each(&asked).filter(|call| is_read(call)) {
                let id = &call["id"];
                each_mut(&mut answered)
                    .filter(|a| a["id"] == *id)
                    .for_each(|a| falsify(a, value));
            }
        }
        Ok(answered.to_string())
    }
}

/// The calls of a batch, or the single one.
fn each(body: &Value) -> impl Iterator<Item = &Value> {
    body.as_array()
        .map_or(std::slice::from_ref(body), Vec::as_slice)
        .iter()
}

fn each_mut(body: &mut Value) -> impl Iterator<Item = &mut Value> {
    match body {
        Value::Array(all) => all.as_mut_slice(),
        single => std::slice::from_mut(single),
    }
    .iter_mut()
}

fn is_read(call: &Value) -> bool {
    let selector = hex::encode_prefixed(getHistoryAtBlockCall::SELECTOR);
    let transaction = &call["params"][0];
    let data = transaction["data"]
        .as_str()
        .or_else(|| transaction["input"].as_str());
    call["method"] == "eth_call" && data.is_some_and(|data| data.starts_with(&selector))
}

/// The value is the first word of a history entry.
fn falsify(answer: &mut Value, value: U256) {
    const WORD_ENDS: usize = 2 + 64;
    if let Some(rest) = answer["result"]
        .as_str()
        .and_then(|text| text.get(WORD_ENDS..))
    {
        answer["result"] = format!("0x{value:064x}{rest}").into();
    }
}
