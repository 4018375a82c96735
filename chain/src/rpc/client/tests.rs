use serde_json::json;

use alloy::transports::http::reqwest::StatusCode;

use super::*;
use crate::priority::for_user;
use crate::rpc::{ErrorClass, RpcError, decode};

/// As a family might.
fn classify(error: &RpcError) -> ErrorClass {
    match error.code {
        -32_005 => ErrorClass::RateLimit,
        3 | -32_601 => ErrorClass::Answer,
        _ if error.says(&["state", "trie node"]) => ErrorClass::ThisCall,
        _ => ErrorClass::Other,
    }
}

fn client(url: RpcUrl) -> BatchClient {
    BatchClient::new(Client::new(), url, Arc::default(), classify)
}

fn read_as(url: &RpcUrl, status: u16, body: &str, count: usize) -> BatchOutcome {
    let status = StatusCode::from_u16(status).expect("a status");
    let batch = SentBatch {
        url,
        classify,
        count,
    };
    batch.read(status, body.as_bytes())
}

fn url() -> RpcUrl {
    "https://h.org".parse().expect("a URL")
}

fn texts(outcome: BatchOutcome) -> Vec<String> {
    let text =
        |answer: RpcResult| answer.map_or_else(|e| e.to_string(), |raw| raw.get().to_owned());
    match outcome {
        BatchOutcome::Answers(answers) => answers
            .into_iter()
            .map(|answer| answer.map_or_else(|| "again".to_owned(), text))
            .collect(),
        BatchOutcome::Failed(error) => vec![format!("all: {error}")],
    }
}

fn read_text(status: u16, body: &str, count: usize) -> Vec<String> {
    texts(read_as(&url(), status, body, count))
}

#[test]
fn answers_find_their_calls_however_ids_are_written() {
    const B: &str = "answered with error 5: b";
    let (a, c) = (r#""a""#, r#""c""#);
    let table = [
        (["3", "1", "2"], [a, B, c]),
        ([r#""3""#, r#""1""#, r#""2""#], [a, B, c]),
        (["3.0", "1.0", "2.00"], [a, B, c]),
        (["3", "null", "2"], [a, B, c]),
        (["null", "1", "2"], [a, B, c]),
        // Which one is missing is not known, or which one is meant.
        (["null", "1", "null"], [a, "again", "again"]),
        // Numbers of its own.
        (["3", "7", "2"], ["again"; 3]),
        (["0", "1", "2"], ["again"; 3]),
        (["3", "1", "1"], ["again"; 3]),
        (["null"; 3], ["again"; 3]),
        (["{}", "[1]", "true"], ["again"; 3]),
    ];
    for ([of_c, of_a, of_b], expected) in table {
        let body = format!(
            r#"[{{"id":{of_c},"result":"c"}},{{"id":{of_a},"result":"a"}},{{"id":{of_b},"error":{{"code":5,"message":"b"}}}}]"#
        );
        assert_eq!(read_text(200, &body, 3), expected, "{body}");
    }
}

#[test]
fn one_missing_answer_does_not_spoil_the_others() {
    let body = r#"[{"id":2,"result":"b"}]"#;
    assert_eq!(read_text(200, body, 2), ["again", r#""b""#]);
    let absent = r#"[{"result":"a"},{"id":2,"result":"b"}]"#;
    assert_eq!(read_text(200, absent, 2), [r#""a""#, r#""b""#]);
}

/// Bodies by which batches of two are refused, with their status.
const REFUSALS: [(u16, &str); 24] = [
    (
        200,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch too large"}}"#,
    ),
    (
        400,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch too large"}}"#,
    ),
    (
        200,
        r#"[{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch too large"}}]"#,
    ),
    // geth: the first call's id stands for the batch.
    (
        200,
        r#"[{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"batch too large"}}]"#,
    ),
    (
        200,
        r#"[{"id":1,"error":{"code":-32600,"message":"x"}},{"id":2,"error":{"code":-32600,"message":"x"}}]"#,
    ),
    (
        200,
        r#"[{"id":1,"error":{"code":-32000,"message":"x"}},{"id":2,"error":{"code":-32000,"message":"x"}}]"#,
    ),
    (
        200,
        r#"[{"id":1,"error":{"code":-32005,"message":"batch limit exceeded"}},{"id":2,"error":{"code":-32005,"message":"batch limit exceeded"}}]"#,
    ),
    (
        200,
        r#"{"id":null,"error":{"code":-32005,"message":"batch size limit exceeded"}}"#,
    ),
    (
        429,
        r#"{"id":null,"error":{"code":-32005,"message":"Batch size is too large"}}"#,
    ),
    (
        500,
        r#"{"id":null,"error":{"code":-32700,"message":"parse error"}}"#,
    ),
    (500, "json: cannot unmarshal array into Go value"),
    (501, "Not Implemented"),
    (413, "<html>"),
    (400, "batches are not supported"),
    (405, r#"{"message":"batches are not supported"}"#),
    (400, ""),
    (200, ""),
    (200, "[]"),
    (200, "null"),
    (200, "<!DOCTYPE html>"),
    (200, r#"{"id":1,"result":"0x1"}"#),
    (200, r#"[{"id":7,"result":"0x1"}]"#),
    (200, r#"["nonsense"]"#),
    (200, r#"{"id":"1","result":null}"#),
];

#[test]
fn refused_batches_go_out_again() {
    for (status, body) in REFUSALS {
        assert_eq!(read_text(status, body, 2), ["again"; 2], "{status} {body}");
    }
    let part = r#"[{"id":1,"result":"a"},{"id":2,"error":{"code":-32003,"message":"response too large"}}]"#;
    assert_eq!(read_text(200, part, 2), [r#""a""#, "again"]);
}

#[test]
fn what_is_said_of_the_calls_or_of_the_moment_stands() {
    let table = [
        (
            429,
            r#"{"message":"slow down"}"#,
            "all: answered with HTTP status 429",
        ),
        (429, "slow down", "all: answered with HTTP status 429"),
        (401, "who are you", "all: answered with HTTP status 401"),
        (403, "<html>", "all: answered with HTTP status 403"),
        (502, "<html>", "all: answered with HTTP status 502"),
        (503, "", "all: answered with HTTP status 503"),
        (
            200,
            r#"{"id":null,"error":{"code":-32005,"message":"limit"}}"#,
            "all: answered with error -32005: limit",
        ),
    ];
    for (status, body, expected) in table {
        assert_eq!(read_text(status, body, 2), [expected], "{status} {body}");
    }
    for (code, message) in [
        (3, "execution reverted"),
        (-32_601, "no"),
        (-32_000, "missing trie node 0x1"),
    ] {
        let error = format!(r#""error":{{"code":{code},"message":"{message}"}}"#);
        let body = format!(r#"[{{"id":1,{error}}},{{"id":2,{error}}}]"#);
        let expected = format!("answered with error {code}: {message}");
        assert_eq!(read_text(200, &body, 2), [expected.as_str(); 2]);
    }
}

#[test]
fn single_calls_are_never_too_many() {
    assert_eq!(
        read_text(400, "no", 1),
        ["all: answered with HTTP status 400"]
    );
    for id in ["0", "1", "null", r#""1""#, "77"] {
        let error = format!(r#"{{"id":{id},"error":{{"code":-32600,"message":"no"}}}}"#);
        for body in [format!("[{error}]"), error] {
            assert_eq!(read_text(400, &body, 1), ["answered with error -32600: no"]);
        }
    }
    for (status, body) in REFUSALS {
        assert_ne!(read_text(status, body, 1), ["again"], "{status} {body}");
    }
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
    let client = client(url);
    let call = || Call {
        method: "eth_chainId",
        params: "[]".to_owned(),
    };
    // No worker has begun yet, so all of these wait.
    let waiting: Vec<_> = (0..MAX_WAITING).map(|_| client.enqueue(call())).collect();
    assert!(waiting.iter().all(Result::is_ok));
    assert_eq!(
        client.call(call()).await.err(),
        Some(ProviderError::Busy(MAX_WAITING))
    );

    // Callers that give up make room.
    drop(waiting);
    assert!(client.enqueue(call()).is_ok());
}

/// A provider that notes the methods it is asked for, and takes so long for each request.
async fn noting(takes: Duration) -> (BatchClient, Arc<Mutex<Vec<String>>>) {
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
            tokio::time::sleep(takes).await;
            let answer = |call: &serde_json::Value| json!({"id": call["id"], "result": "0x1"});
            serde_json::Value::from_iter(calls.iter().map(answer)).to_string()
        }
    };
    let router = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let url = format!("http://{address}").parse().expect("a URL");
    (client(url), methods)
}

#[tokio::test]
async fn attestations_overtake_users() {
    let (client, methods) = noting(Duration::ZERO).await;
    let call = |method| Call {
        method,
        params: "[]".to_owned(),
    };
    let of_users = (0..100).map(|_| for_user(client.call(call("user"))));
    let attestation = client.call(call("attestation"));
    let (_, answer) = tokio::join!(futures::future::join_all(of_users), attestation);
    assert!(answer.is_ok());
    let methods = methods.lock().expect("a lock");
    let place = methods.iter().position(|method| method.contains("attest"));
    assert_eq!((place, methods.len()), (Some(0), 101));
}

#[tokio::test]
async fn users_leave_attestations_room_in_the_queue() {
    let (client, _) = noting(Duration::ZERO).await;
    let enqueue = || for_user(async { client.enqueue(chain_id()) });
    let waiting = futures::future::join_all((0..MAX_OF_USERS).map(|_| enqueue())).await;
    assert!(waiting.iter().all(Result::is_ok));
    assert_eq!(
        enqueue().await.err(),
        Some(ProviderError::Busy(MAX_OF_USERS))
    );
    assert!(client.enqueue(chain_id()).is_ok());
}

/// What became of so many calls at once: answered, without answer, not asked in time.
async fn outcomes(client: &BatchClient, calls: usize) -> [usize; 3] {
    let answers = futures::future::join_all((0..calls).map(|_| client.call(chain_id()))).await;
    let millis = CALL_TIMEOUT.as_millis();
    let failed = |error: ProviderError| {
        let same = |answer: &&RpcResult| answer.as_ref().err() == Some(&error);
        answers.iter().filter(same).count()
    };
    [
        answers.iter().filter(|answer| answer.is_ok()).count(),
        failed(ProviderError::Timeout(millis)),
        failed(ProviderError::NotAsked(millis)),
    ]
}

#[tokio::test]
async fn a_slow_provider_is_not_said_to_hang_and_one_that_hangs_is() {
    let (slow, _) = noting(CALL_TIMEOUT / 4).await;
    let [answered, hung, waited] = outcomes(&slow, 2_000).await;
    assert!(answered > 100 && waited > 1_000, "{answered}, {waited}");
    assert_eq!((answered + hung + waited, hung), (2_000, 0));
    let (hanging, _) = noting(10 * CALL_TIMEOUT).await;
    assert_eq!(outcomes(&hanging, 1_000).await, [0, 1_000, 0]);
}

/// The provider knows the key by which it was asked, and may repeat it.
#[test]
fn what_makes_no_sense_is_told_without_secrets() {
    let url: RpcUrl = "https://h.org/topsecret".parse().expect("a URL");
    let text = "no such key: topsecret";
    let body = format!("\"{text}\"");
    let answer = format!(r#"{{"id":0,"result":"{text}"}}"#);
    for body in [body.as_str(), answer.as_str()] {
        let error = match read_as(&url, 200, body, 1) {
            BatchOutcome::Failed(error) => error,
            BatchOutcome::Answers(answers) => {
                let answer = answers[0].as_ref().expect("an answer").as_ref();
                decode::<u64>(answer.expect("no error"), &url).expect_err("no number")
            }
        };
        let shown = error.to_string();
        assert!(shown.contains("***"), "{shown}");
        assert!(!shown.contains("topsecret"), "{shown}");
    }
}

/// A provider that refuses its first requests for being too many; how many came.
async fn short_of_requests(refusals: usize) -> (BatchClient, Arc<std::sync::atomic::AtomicUsize>) {
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
    (client(url), asked)
}

fn chain_id() -> Call {
    Call {
        method: "eth_chainId",
        params: "[]".to_owned(),
    }
}

#[tokio::test]
async fn what_was_refused_for_a_moment_is_asked_again() {
    let (client, asked) = short_of_requests(1).await;
    assert!(client.call(chain_id()).await.is_ok());
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_provider_that_has_had_enough_is_asked_less_often() {
    let (client, asked) = short_of_requests(usize::MAX).await;
    let begin = Instant::now();
    let mut calls = Vec::new();
    while begin.elapsed() < Duration::from_secs(3) {
        let client = client.clone();
        calls.push(tokio::spawn(async move {
            let begin = Instant::now();
            let answer = client.call(chain_id()).await;
            (answer.expect_err("no answer"), begin.elapsed())
        }));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for call in calls {
        let (error, took) = call.await.expect("no panic");
        assert_eq!(error.outcome(), crate::RequestOutcome::RateLimited);
        let text = error.to_string();
        assert!(text.contains("answered with HTTP status 429"), "{text}");
        assert!(took < CALL_TIMEOUT + Duration::from_millis(500), "{took:?}");
    }
    // Pauses of 0.1, 0.2, 0.4, 0.8 and 1.6 s; 3.2 s is more than any caller waits for.
    let asked = asked.load(std::sync::atomic::Ordering::SeqCst);
    assert!((4..=8).contains(&asked), "{asked} requests");
}

/// A server that answers the first request of each connection, and closes it at the next one.
async fn closes_idle_connections() -> RpcUrl {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4_096];
                let _ = connection.read(&mut request).await;
                let body = r#"{"jsonrpc":"2.0","id":1,"result":"0x1"}"#;
                let head = "HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length";
                let response = format!("{head}: {}\r\n\r\n{body}", body.len());
                let _ = connection.write_all(response.as_bytes()).await;
                let _ = connection.read(&mut request).await;
            });
        }
    });
    format!("http://{address}").parse().expect("a URL")
}

#[tokio::test]
async fn idle_connections_that_were_closed_are_tried_again() {
    let client = client(closes_idle_connections().await);
    for round in 0..5 {
        let answer = client.call(chain_id()).await;
        assert!(answer.is_ok(), "round {round}: {answer:?}");
    }
}
