//! Who may ask: the key, the rates, and the origins of pages in browsers.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use quorate_proto::Timestamp;
use quorate_protocols::limiter::{Bucket, Exceeded, Rate, RateLimiter};
use sha2::{Digest as _, Sha256};

use crate::api::ErrorBody;
use crate::clock;
use crate::http::connections::HttpConnection;
use crate::services::bridge::settings::BridgeSection;

/// Tokens that a request takes: rates are by the second, and these here by the minute.
const REQUEST: u32 = 60;
/// 100 requests a minute of one address.
const PER_ADDRESS: Rate = Rate {
    per_second: 100,
    burst: 100 * REQUEST,
};
/// 1,000 requests a minute of all.
const IN_ALL: Rate = Rate {
    per_second: 1_000,
    burst: 1_000 * REQUEST,
};
/// Addresses that are remembered.
const MAX_ADDRESSES: usize = 4_096;
/// An address may ask again in this many seconds.
const RETRY_AFTER_S: u32 = 1;
/// The header that has the key.
const KEY_HEADER: &str = "x-api-key";

/// Guards one interface. A clone is another handle to the same.
#[derive(Clone)]
pub(super) struct Guard(Arc<Rules>);

struct Rules {
    key: Option<[u8; 32]>,
    origins: Vec<HeaderValue>,
    rates: Mutex<Rates>,
}

/// What was asked of late.
struct Rates {
    all: Bucket,
    by_address: RateLimiter<IpAddr>,
}

impl Rates {
    fn new(now: Timestamp) -> Self {
        Self {
            all: Bucket::full(now, IN_ALL),
            by_address: RateLimiter::new(PER_ADDRESS, MAX_ADDRESSES),
        }
    }

    /// Whether one more may be asked. What an address has not takes nothing of all others.
    fn take(&mut self, now: Timestamp, from: IpAddr) -> Result<(), Exceeded> {
        self.by_address.take(now, from, REQUEST)?;
        match self.all.take(now, IN_ALL, REQUEST) {
            true => Ok(()),
            false => Err(Exceeded::Rate),
        }
    }
}

impl Guard {
    pub(super) fn new(section: &BridgeSection) -> Self {
        let key = section
            .api_key
            .as_ref()
            .map(|key| hash(key.reveal().as_bytes()));
        let origins = section.cors.iter().flatten();
        Self(Arc::new(Rules {
            key,
            origins: origins.filter_map(|origin| origin.parse().ok()).collect(),
            rates: Mutex::new(Rates::new(clock::now())),
        }))
    }

    /// Without a key or origins: the rates alone.
    pub(super) fn open() -> Self {
        Self::new(&BridgeSection::default())
    }

    /// Hashes are compared, so that time tells nothing.
    fn opens(&self, request: &Request) -> bool {
        let Some(key) = self.0.key else {
            return true;
        };
        let given = request.headers().get(KEY_HEADER);
        given.is_some_and(|given| hash(given.as_bytes()) == key)
    }

    fn take(&self, from: IpAddr) -> Result<(), Exceeded> {
        let mut rates = self.0.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.take(clock::now(), from)
    }

    /// The answer to a request that goes no further.
    fn refusal(&self, request: &Request, from: IpAddr) -> Option<Response> {
        if self.take(from).is_err() {
            let body = refused(
                StatusCode::TOO_MANY_REQUESTS,
                "too many requests; ask less often",
            );
            return Some(([(header::RETRY_AFTER, RETRY_AFTER_S)], body).into_response());
        }
        if request.method() == Method::OPTIONS {
            return Some(StatusCode::NO_CONTENT.into_response());
        }
        // Who looks whether a relayer lives has no key.
        if request.uri().path() != "/health" && !self.opens(request) {
            let text = "the header X-API-Key with the key of bridge.api_key is wanted";
            return Some(refused(StatusCode::UNAUTHORIZED, text));
        }
        None
    }

    /// Lets pages of listed origins read.
    fn mark(&self, origin: Option<&HeaderValue>, response: &mut Response) {
        let headers = response.headers_mut();
        if !self.0.origins.is_empty() {
            headers.insert(header::VARY, HeaderValue::from_static("origin"));
        }
        let listed = |origin: &&HeaderValue| self.0.origins.contains(*origin);
        if let Some(origin) = origin.filter(listed) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            let methods = HeaderValue::from_static("GET");
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
            let names = HeaderValue::from_static(KEY_HEADER);
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
        }
    }
}

fn hash(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// An error as JSON.
pub(super) fn refused(code: StatusCode, text: &str) -> Response {
    (code, Json(ErrorBody { error: text.into() })).into_response()
}

/// Answers itself, or lets a request through.
pub(super) async fn guard(
    State(guard): State<Guard>,
    ConnectInfo(connection): ConnectInfo<HttpConnection>,
    request: Request,
    next: Next,
) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let refusal = guard.refusal(&request, connection.from());
    let mut response = match refusal {
        Some(refusal) => refusal,
        None => next.run(request).await,
    };
    guard.mark(origin.as_ref(), &mut response);
    response
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn guard(key: Option<&str>) -> Guard {
        Guard::new(&BridgeSection {
            api_key: key.and_then(|key| key.parse().ok()),
            cors: Some(vec!["https://a.example".into()]),
            ..BridgeSection::default()
        })
    }

    fn request(method: &str, path: &str, key: Option<&str>) -> Request {
        let builder = Request::builder().method(method).uri(path);
        let builder = key
            .into_iter()
            .fold(builder, |b, key| b.header(KEY_HEADER, key));
        builder.body(Body::empty()).unwrap()
    }

    #[test]
    fn a_key_is_wanted_where_one_is_set_except_for_health() {
        let (open, shut) = (guard(None), guard(Some("secret")));
        let code = |guard: &Guard, path, key| {
            let refusal = guard.refusal(&request("GET", path, key), FROM);
            refusal.map(|response| response.status().as_u16())
        };
        assert_eq!(code(&open, "/queue", None), None);
        assert_eq!(code(&shut, "/queue", None), Some(401));
        assert_eq!(code(&shut, "/queue", Some("secrets")), Some(401));
        assert_eq!(code(&shut, "/queue", Some("secret")), None);
        assert_eq!(code(&shut, "/health", None), None);
    }

    #[test]
    fn listed_origins_may_read() {
        let guard = guard(None);
        for (origin, allowed) in [("https://a.example", true), ("https://b.example", false)] {
            let value = HeaderValue::from_static(origin);
            let preflight = request("OPTIONS", "/queue", None);
            let mut response = guard.refusal(&preflight, FROM).expect("an answer");
            guard.mark(Some(&value), &mut response);
            let told = response.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
            assert_eq!(told, allowed.then_some(&value), "{origin}");
            assert_eq!(response.status(), StatusCode::NO_CONTENT);
        }
    }

    #[test]
    fn an_address_and_all_of_them_have_a_rate() {
        let now = Timestamp(1_000_000_000);
        let mut rates = Rates::new(now);
        let one =
            |rates: &mut Rates, from| (0..101).filter(|_| rates.take(now, from).is_ok()).count();
        assert_eq!(one(&mut rates, FROM), 100);
        let others = (1..=20).map(|last| IpAddr::from([10, 0, 0, last]));
        let taken: usize = others.map(|from| one(&mut rates, from)).sum();
        assert_eq!(taken, 900);
        let minute = now.plus_millis(60_000);
        assert_eq!(one(&mut rates, FROM), 0);
        let again = (0..101).filter(|_| rates.take(minute, FROM).is_ok());
        assert_eq!(again.count(), 100);
    }

    #[test]
    fn over_the_rate_it_is_said_when_to_come_again() {
        let guard = guard(None);
        let last = (0..200)
            .filter_map(|_| guard.refusal(&request("GET", "/queue", None), FROM))
            .next_back();
        let refusal = last.expect("refused");
        assert_eq!(refusal.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refusal.headers()[header::RETRY_AFTER], "1");
    }
}
