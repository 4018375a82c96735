//! A provider between us and a chain that tampers with what passes through.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use alloy::transports::http::reqwest::Client;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use quorate_chain::rpc::RpcUrl;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Background, url_of};

type Tamper = dyn Fn(&Value, &mut Value) + Send + Sync;
type Ask = dyn Fn(&mut Value) + Send + Sync;
type Refuse = dyn Fn(&Value) -> Option<(u16, String)> + Send + Sync;

/// A provider that can lie, refuse and hang.
pub(crate) struct Double {
    pub url: RpcUrl,
    hangs: Arc<AtomicBool>,
    bodies: Arc<Mutex<Vec<Value>>>,
    _task: Background,
}

/// How it shall behave.
pub(crate) struct Behaviour {
    ask: Box<Ask>,
    tamper: Box<Tamper>,
    refuse: Box<Refuse>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            ask: Box::new(|_| {}),
            tamper: Box::new(|_, _| {}),
            refuse: Box::new(|_| None),
        }
    }
}

impl Behaviour {
    /// Sees every request with its true response, which it may change.
    pub(crate) fn tamper(
        mut self,
        with: impl Fn(&Value, &mut Value) + Send + Sync + 'static,
    ) -> Self {
        self.tamper = Box::new(with);
        self
    }

    /// As [`Self::tamper`], after what was said before.
    pub(crate) fn tamper_more(
        mut self,
        with: impl Fn(&Value, &mut Value) + Send + Sync + 'static,
    ) -> Self {
        let before = self.tamper;
        self.tamper = Box::new(move |request, response| {
            before(request, response);
            with(request, response);
        });
        self
    }

    /// Asks the chain something else than what it was asked.
    pub(crate) fn ask(mut self, instead: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        self.ask = Box::new(instead);
        self
    }

    /// Sees every HTTP body, and may answer it with a status and a text of its own.
    pub(crate) fn refuse(
        mut self,
        what: impl Fn(&Value) -> Option<(u16, String)> + Send + Sync + 'static,
    ) -> Self {
        self.refuse = Box::new(what);
        self
    }
}

#[derive(Clone)]
struct Upstream {
    endpoint: String,
    http: Client,
    behaviour: Arc<Behaviour>,
    hangs: Arc<AtomicBool>,
    bodies: Arc<Mutex<Vec<Value>>>,
}

impl Double {
    pub(crate) async fn start(endpoint: String, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self::start_on(listener, endpoint, behaviour)
    }

    pub(crate) fn start_on(listener: TcpListener, endpoint: String, behaviour: Behaviour) -> Self {
        let url = url_of(listener.local_addr().expect("an address"), "");
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let hangs = Arc::new(AtomicBool::new(false));
        let upstream = Upstream {
            endpoint,
            http: Client::new(),
            behaviour: Arc::new(behaviour),
            hangs: Arc::clone(&hangs),
            bodies: Arc::clone(&bodies),
        };
        let app = Router::new().route("/", post(handle)).with_state(upstream);
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Self {
            url,
            hangs,
            bodies,
            _task: Background(task),
        }
    }

    /// From now on requests are taken and never answered.
    pub(crate) fn hang(&self) {
        self.hangs.store(true, Ordering::SeqCst);
    }

    /// All HTTP bodies that came so far.
    pub(crate) fn bodies(&self) -> Vec<Value> {
        self.bodies.lock().expect("no panic").clone()
    }

    /// All calls that came so far, batches taken apart.
    pub(crate) fn calls(&self) -> Vec<Value> {
        let mut calls = Vec::new();
        for body in self.bodies() {
            match body {
                Value::Array(batch) => calls.extend(batch),
                call => calls.push(call),
            }
        }
        calls
    }

    pub(crate) fn count(&self, method: &str) -> usize {
        self.calls()
            .iter()
            .filter(|call| call["method"] == method)
            .count()
    }
}

async fn handle(State(upstream): State<Upstream>, body: Bytes) -> (StatusCode, String) {
    let request: Value = serde_json::from_slice(&body).expect("JSON");
    upstream
        .bodies
        .lock()
        .expect("no panic")
        .push(request.clone());
    if upstream.hangs.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    if let Some((status, text)) = (upstream.behaviour.refuse)(&request) {
        return (StatusCode::from_u16(status).expect("a status"), text);
    }
    let mut asked = request.clone();
    match &mut asked {
        Value::Array(calls) => calls.iter_mut().for_each(&upstream.behaviour.ask),
        call => (upstream.behaviour.ask)(call),
    }
    let sent = upstream
        .http
        .post(&upstream.endpoint)
        .body(asked.to_string());
    let sent = sent.header("content-type", "application/json").send().await;
    let Ok(response) = sent else {
        return (StatusCode::BAD_GATEWAY, String::new());
    };
    let text = response.bytes().await.expect("a body");
    let mut response: Value = serde_json::from_slice(&text).expect("JSON");
    match (&request, &mut response) {
        (Value::Array(calls), Value::Array(answers)) => {
            for answer in answers.iter_mut() {
                let call = calls.iter().find(|call| call["id"] == answer["id"]);
                (upstream.behaviour.tamper)(call.expect("its call"), answer);
            }
            // Servers may answer in any order.
            answers.reverse();
        }
        (call, answer) => (upstream.behaviour.tamper)(call, answer),
    }
    (StatusCode::OK, response.to_string())
}

/// Replaces a response by an error.
pub(crate) fn fail(response: &mut Value, code: i64, message: &str) {
    *response = json!({"jsonrpc": "2.0", "id": response["id"], "error": {"code": code, "message": message}});
}
