//! An RPC provider that passes on what a chain says, or something else.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// How a provider answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderBehaviour {
    /// As the chain does.
    Honest,
    /// As the chain does, but every stored value is this one, and it has no proofs.
    Value(U256),
    /// As a chain does on which every block has another hash and every stored value is this one.
    /// Two that do this agree with each other.
    Fork(U256),
    /// The same, with proofs that were made to fit.
    Forged(U256),
    /// Takes requests and never answers.
    Silent,
    /// Answers with status 500.
    Failing,
    /// Answers with status 429.
    Limited,
    /// As the chain does, but so much later.
    Slow(Duration),
}

/// A provider between an operator and its chain. Ends when dropped.
pub struct FaultyProvider {
    address: SocketAddr,
    shared: Arc<ProviderState>,
    server: JoinHandle<()>,
}

struct ProviderState {
    /// The chain's own URL; nothing is answered without it.
    chain: Mutex<Option<String>>,
    behaviour: Mutex<ProviderBehaviour>,
    forged: Mutex<Forged>,
    http: Client,
}

impl FaultyProvider {
    /// Listens on a free port of the loopback interface. The chain is named later: its URL is not
    /// known before it runs, and the operators' configuration needs this one earlier.
    ///
    /// # Errors
    /// No port is free.
    pub async fn listen(behaviour: ProviderBehaviour) -> Result<Self> {
        Self::listen_at(Ipv4Addr::LOCALHOST.into(), behaviour).await
    }

    /// The same at another address of this machine.
    ///
    /// # Errors
    /// No port is free, or this machine does not have that address.
    pub async fn listen_at(ip: IpAddr, behaviour: ProviderBehaviour) -> Result<Self> {
        let listener = tokio::net::TcpListener::bind((ip, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(ProviderState {
            chain: Mutex::new(None),
            behaviour: Mutex::new(behaviour),
            forged: Mutex::default(),
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
        *lock(&self.shared.chain) = Some(chain);
    }

    /// From now on.
    pub fn behave(&self, behaviour: ProviderBehaviour) {
        *lock(&self.shared.behaviour) = behaviour;
    }
}

impl Drop for FaultyProvider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(shared): State<Arc<ProviderState>>, request: String) -> Response {
    let behaviour = *lock(&shared.behaviour);
    match behaviour {
        ProviderBehaviour::Silent => return std::future::pending().await,
        ProviderBehaviour::Failing => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        ProviderBehaviour::Limited => return StatusCode::TOO_MANY_REQUESTS.into_response(),
        ProviderBehaviour::Slow(late) => tokio::time::sleep(late).await,
        ProviderBehaviour::Honest
        | ProviderBehaviour::Value(_)
        | ProviderBehaviour::Forged(_)
        | ProviderBehaviour::Fork(_) => {}
    }
    match shared.ask(behaviour, request).await {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hashes of a fork that does not exist: forged to true.
type Forged = HashMap<String, String>;

/// Forged hashes that are remembered: some hours of blocks.
const MAX_FORGED: usize = 65_536;

impl ProviderState {
    async fn ask(&self, behaviour: ProviderBehaviour, request: String) -> Result<String> {
        let chain = lock(&self.chain).clone();
        let chain = chain.context("the chain does not run yet")?;
        let mut asked: Value = serde_json::from_str(&request)?;
        if matches!(behaviour, ProviderBehaviour::Fork(_)) {
            let forged = lock(&self.forged);
            each_text(&mut asked, &mut |text| {
                if let Some(truth) = forged.get(text) {
                    truth.clone_into(text);
                }
            });
        }
        let post = self
            .http
            .post(chain)
            .header("content-type", "application/json")
            .body(asked.to_string());
        let mut answered: Value = serde_json::from_str(&post.send().await?.text().await?)?;
        for call in each(&asked) {
            let id = &call["id"];
            let answers = each_mut(&mut answered).filter(|answer| answer["id"] == *id);
            answers.for_each(|answer| behaviour.change(call, answer));
        }
        if matches!(behaviour, ProviderBehaviour::Fork(_)) {
            each_mut(&mut answered).for_each(|answer| self.forge(&mut answer["result"]));
        }
        Ok(answered.to_string())
    }

    /// Gives a block, and the one before it, another hash.
    fn forge(&self, block: &mut Value) {
        if block.get("parentHash").is_none() {
            return;
        }
        for name in ["hash", "parentHash"] {
            if let Value::String(hash) = &mut block[name] {
                let truth = hash.clone();
                // Any other hash will do, as long as all liars make the same of it.
                let turned = hash.chars().skip(2).map(|digit| match digit {
                    '0' => 'f',
                    other => {
                        char::from_digit(other.to_digit(16).unwrap_or(1) - 1, 16).unwrap_or('0')
                    }
                });
                *hash = format!("0x{}", turned.collect::<String>());
                let mut forged = lock(&self.forged);
                if forged.len() < MAX_FORGED {
                    forged.insert(hash.clone(), truth);
                }
            }
        }
    }
}

impl ProviderBehaviour {
    fn change(self, call: &Value, answer: &mut Value) {
        let proves = call["method"] == "eth_getProof";
        match self {
            Self::Value(_) if proves => {
                let error =
                    json!({"code": -32601, "message": "the method eth_getProof does not exist"});
                *answer = json!({"jsonrpc": "2.0", "id": answer["id"], "error": error});
            }
            Self::Forged(value) if proves => forge_leaf(answer, value),
            Self::Fork(value) if proves => falsify_slots(answer, value),
            Self::Value(value) | Self::Forged(value) | Self::Fork(value) if is_read(call) => {
                falsify_entry(answer, value);
            }
            _ => {}
        }
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

/// Every text in it, however deep.
fn each_text(value: &mut Value, with: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => with(text),
        Value::Array(all) => all.iter_mut().for_each(|value| each_text(value, with)),
        Value::Object(all) => all.values_mut().for_each(|value| each_text(value, with)),
        _ => {}
    }
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
fn falsify_entry(answer: &mut Value, value: U256) {
    const WORD_ENDS: usize = 2 + 64;
    if let Some(rest) = answer["result"]
        .as_str()
        .and_then(|text| text.get(WORD_ENDS..))
    {
        answer["result"] = format!("0x{value:064x}{rest}").into();
    }
}

/// Other values under the same proof.
fn falsify_slots(answer: &mut Value, value: U256) {
    if let Some(slots) = answer["result"]["storageProof"].as_array_mut() {
        for slot in slots {
            slot["value"] = format!("{value:#x}").into();
        }
    }
}

/// The second slot that is asked for has the value; its proof ends in a leaf that ends with it.
fn forge_leaf(answer: &mut Value, value: U256) {
    let Some(shown) = answer.pointer_mut("/result/storageProof/1") else {
        return;
    };
    shown["value"] = format!("{value:#x}").into();
    let leaf = shown["proof"]
        .as_array_mut()
        .and_then(|nodes| nodes.last_mut());
    if let Some(leaf) = leaf
        && let Some(text) = leaf.as_str()
    {
        let begin = text.get(..text.len() - 2).unwrap_or_default();
        *leaf = format!("{begin}{:02x}", value.byte(0)).into();
    }
}
