use serde_json::json;

use super::*;
use crate::evm::calls::Header;
use crate::priority::for_user;

fn url() -> RpcUrl {
    "https://h.org".parse().expect("a URL")
}

fn texts(outcome: Outcome) -> Vec<String> {
    match outcome {
        Outcome::Answers(answers) => answers
            .into_iter()
            .map(|answer| answer.map_or_else(|e| e.to_string(), |raw| raw.get().to_owned()))
            .collect(),
        Outcome::Failed(failure) => vec![format!("all: {failure}")],
        Outcome::TooMany => vec!["too many".to_owned()],
    }
}

fn read_text(status: u16, body: &str, count: usize) -> Vec<String> {
    let status = StatusCode::from_u16(status).expect("a status");
    texts(read(&url(), status, body.as_bytes(), count))
}

#[test]
fn answers_find_their_calls_in_any_order() {
    let body = r#"[{"id":2,"result":"c"},{"id":0,"result":"a"},{"id":1,"error":{"code":5,"message":"b"}}]"#;
    let found = read_text(200, body, 3);
    assert_eq!(found, [r#""a""#, "answered with error 5: b", r#""c""#]);
}

#[test]
fn one_missing_answer_does_not_spoil_the_others() {
    let body = r#"[{"id":1,"result":"b"},{"id":7,"result":"x"}]"#;
    let missing = "sent an answer that makes no sense: no answer to one call of a batch";
    assert_eq!(read_text(200, body, 2), [missing, r#""b""#]);
}

#[test]
fn refused_batches_are_recognised() {
    let refusal =
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch too large"}}"#;
    let in_array = format!("[{refusal}]");
    let table = [
        (200, refusal, "too many"),
        (400, refusal, "too many"),
        (200, in_array.as_str(), "too many"),
        (413, "<html>", "too many"),
        (400, "batches are not supported", "too many"),
        (
            400,
            r#"{"message":"batches are not supported"}"#,
            "too many",
        ),
        (
            429,
            r#"{"message":"slow down"}"#,
            "all: answered with HTTP status 429",
        ),
        (429, "slow down", "all: answered with HTTP status 429"),
        (401, "who are you", "all: answered with HTTP status 401"),
        (502, "<html>", "all: answered with HTTP status 502"),
        (
            200,
            r#"{"id":null,"error":{"code":-32005,"message":"limit"}}"#,
            "all: answered with error -32005: limit",
        ),
        (
            200,
            r#"{"id":0,"result":"0x1"}"#,
            "all: sent an answer that makes no sense: one result for a whole batch",
        ),
    ];
    for (status, body, expected) in table {
        assert_eq!(read_text(status, body, 2), [expected], "{status} {body}");
    }
}

#[test]
fn single_calls_are_never_too_many() {
    assert_eq!(
        read_text(400, "no", 1),
        ["all: answered with HTTP status 400"]
    );
    let body = r#"{"id":0,"error":{"code":-32600,"message":"no"}}"#;
    assert_eq!(read_text(400, body, 1), ["answered with error -32600: no"]);
    assert_eq!(
        read_text(429, "{}", 1),
        ["all: answered with HTTP status 429"]
    );
    let garbage = read_text(200, "{}", 1);
    assert!(
        garbage[0].starts_with("all: sent an answer that makes no sense"),
        "{garbage:?}"
    );
    let garbage = read_text(200, "<html>", 1);
    assert!(
        garbage[0].starts_with("all: sent an answer that makes no sense"),
        "{garbage:?}"
    );
}

#[tokio::test]
async fn a_full_queue_refuses_and_says_so() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let url = format!("http://{address}").parse().expect("a URL");
    let batcher = Batcher::new(Client::new(), url);
    let call = || Call {
        method: "eth_chainId",
        params: "[]".to_owned(),
    };
    // No worker has begun yet, so all of these wait.
    let waiting: Vec<_> = (0..MAX_WAITING).map(|_| batcher.enqueue(call())).collect();
    assert!(waiting.iter().all(Result::is_ok));
    assert_eq!(
        batcher.call(call()).await.err(),
        Some(Failure::Busy(MAX_WAITING))
    );

    // Callers that give up make room.
    drop(waiting);
    assert!(batcher.enqueue(call()).is_ok());
}

/// A provider that notes the methods it is asked for, and answers or hangs.
async fn noting(hangs: bool) -> (Batcher, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let methods = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&methods);
    let answer = move |body: String| {
        let calls: Vec<serde_json::Value> = serde_json::from_str(&body).expect("a batch");
        let method = |call: &serde_json::Value| call["method"].to_string();
        noted
            .lock()
            .expect("a lock")
            .extend(calls.iter().map(method));
        async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            let answer = |call: &serde_json::Value| json!({"id": call["id"], "result": "0x1"});
            serde_json::Value::from_iter(calls.iter().map(answer)).to_string()
        }
    };
    let router = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let url = format!("http://{address}").parse().expect("a URL");
    (Batcher::new(Client::new(), url), methods)
}

#[tokio::test]
async fn attestations_overtake_users() {
    let (batcher, methods) = noting(false).await;
    let call = |method| Call {
        method,
        params: "[]".to_owned(),
    };
    let of_users = (0..100).map(|_| for_user(batcher.call(call("user"))));
    let attestation = batcher.call(call("attestation"));
    let (_, answer) = tokio::join!(futures::future::join_all(of_users), attestation);
    assert!(answer.is_ok());
    let methods = methods.lock().expect("a lock");
    let place = methods.iter().position(|method| method.contains("attest"));
    assert_eq!((place, methods.len()), (Some(0), 101));
}

#[tokio::test]
async fn users_leave_attestations_room_in_the_queue() {
    let (batcher, _) = noting(false).await;
    let enqueue = || for_user(async { batcher.enqueue(chain_id()) });
    let waiting = futures::future::join_all((0..MAX_OF_USERS).map(|_| enqueue())).await;
    assert!(waiting.iter().all(Result::is_ok));
    assert_eq!(enqueue().await.err(), Some(Failure::Busy(MAX_OF_USERS)));
    assert!(batcher.enqueue(chain_id()).is_ok());
}

#[tokio::test]
async fn a_provider_that_was_not_asked_is_not_said_to_hang() {
    let (batcher, methods) = noting(true).await;
    let answers = futures::future::join_all((0..400).map(|_| batcher.call(chain_id()))).await;
    let asked = methods.lock().expect("a lock").len();
    let millis = CALL_TIMEOUT.as_millis();
    let count = |failure| {
        let same = |answer: &&Answer| answer.as_ref().err() == Some(&failure);
        answers.iter().filter(same).count()
    };
    let (hung, waited) = (
        count(Failure::Timeout(millis)),
        count(Failure::NotAsked(millis)),
    );
    assert_eq!(hung + waited, 400);
    assert!(
        hung <= asked && waited > 0,
        "{hung} hung, {asked} were asked"
    );
}

/// Whoever answers knows the key by which it was asked, and may repeat it.
#[test]
fn what_makes_no_sense_is_told_without_secrets() {
    let url: RpcUrl = "https://h.org/topsecret".parse().expect("a URL");
    let text = "no such key: topsecret";
    let body = format!("\"{text}\"");
    let answer = format!(r#"{{"id":0,"result":"{text}"}}"#);
    for body in [body.as_str(), answer.as_str()] {
        let failure = match read(&url, StatusCode::OK, body.as_bytes(), 1) {
            Outcome::Failed(failure) => failure,
            Outcome::Answers(answers) => {
                let answer = answers[0].as_ref().expect("an answer");
                Header::read(answer, &url).expect_err("no header")
            }
            Outcome::TooMany => panic!("one is never too many"),
        };
        let shown = failure.to_string();
        assert!(shown.contains("***"), "{shown}");
        assert!(!shown.contains("topsecret"), "{shown}");
    }
}

/// A provider that refuses its first requests for being too many; how many came.
async fn short_of_requests(refusals: usize) -> (Batcher, Arc<std::sync::atomic::AtomicUsize>) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let answer = move || {
        let refused = count.fetch_add(1, Ordering::SeqCst) < refusals;
        let (status, body) = match refused {
            true => (axum::http::StatusCode::TOO_MANY_REQUESTS, "slow down"),
            false => (axum::http::StatusCode::OK, r#"{"id":0,"result":"0x1"}"#),
        };
        std::future::ready((status, body))
    };
    let router = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let url = format!("http://{address}").parse().expect("a URL");
    (Batcher::new(Client::new(), url), asked)
}

fn chain_id() -> Call {
    Call {
        method: "eth_chainId",
        params: "[]".to_owned(),
    }
}

#[tokio::test]
async fn what_was_refused_for_a_moment_is_asked_again() {
    let (batcher, asked) = short_of_requests(1).await;
    assert!(batcher.call(chain_id()).await.is_ok());
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_provider_that_has_had_enough_is_asked_less_often() {
    let (batcher, asked) = short_of_requests(usize::MAX).await;
    let begin = Instant::now();
    let mut calls = Vec::new();
    while begin.elapsed() < Duration::from_secs(3) {
        let batcher = batcher.clone();
        calls.push(tokio::spawn(async move {
            let begin = Instant::now();
            let answer = batcher.call(chain_id()).await;
            (answer.expect_err("no answer"), begin.elapsed())
        }));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for call in calls {
        let (failure, took) = call.await.expect("no panic");
        assert_eq!(failure.outcome(), crate::RequestOutcome::RateLimited);
        let text = failure.to_string();
        assert!(text.contains("answered with HTTP status 429"), "{text}");
        assert!(took < CALL_TIMEOUT + Duration::from_millis(500), "{took:?}");
    }
    // Pauses of 0.1, 0.2, 0.4, 0.8 and 1.6 s; 3.2 s is more than anybody waits for.
    let asked = asked.load(std::sync::atomic::Ordering::SeqCst);
    assert!((4..=8).contains(&asked), "{asked} requests");
}
