//! Posts alerts to the URL that is set, each until it arrives.

use std::time::Duration;

use alloy::transports::http::reqwest::{Client, Url, header};
use quorate_chain::rpc::http_client;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::conditions::AlertMessage;
use crate::NodeError;

/// Alerts that wait while the receiver is down; those beyond are in the log only.
const WAITING: usize = 64;
/// How long one post may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Before the second post of an alert; each later pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Posts of an alert: the last is two minutes after the first.
const TRIES: u32 = 8;

/// Takes alerts.
#[derive(Clone)]
pub(super) struct WebhookHandle(mpsc::Sender<AlertMessage>);

impl WebhookHandle {
    pub(super) fn send(&self, alert: AlertMessage) {
        if let Err(error) = self.0.try_send(alert) {
            tracing::warn!(%error, "an alert is not posted: too many wait for their receiver");
        }
    }
}

/// The task.
pub(super) struct Webhook {
    url: Url,
    http: Client,
    alerts: mpsc::Receiver<AlertMessage>,
    first_pause: Duration,
}

impl Webhook {
    /// # Errors
    /// A URL that cannot be read; TLS that cannot be set up.
    pub(super) fn new(url: &str) -> Result<(Self, WebhookHandle), NodeError> {
        let settings =
            |problem: String| NodeError::Settings(format!("bridge.alert_webhook: {problem}"));
        // What is wrong with it could hold a part of it.
        let url = Url::parse(url);
        let url = url.map_err(|_| settings("no URL; write it as https://host/path".to_owned()))?;
        let http = http_client().map_err(|error| settings(error.to_string()))?;
        let (handle, alerts) = mpsc::channel(WAITING);
        let task = Self {
            url,
            http,
            alerts,
            first_pause: FIRST_PAUSE,
        };
        Ok((task, WebhookHandle(handle)))
    }

    /// Runs until `token` is cancelled.
    pub(super) async fn run(mut self, token: CancellationToken) -> Result<(), NodeError> {
        let posting = async {
            while let Some(alert) = self.alerts.recv().await {
                self.post(&alert).await;
            }
            std::future::pending::<()>().await;
        };
        token.run_until_cancelled(posting).await;
        Ok(())
    }

    async fn post(&self, alert: &AlertMessage) {
        let mut pause = self.first_pause;
        for attempt in 1..=TRIES {
            match self.try_post(alert).await {
                Ok(()) => return,
                Err(problem) => tracing::warn!(
                    attempt,
                    problem,
                    what = alert.what,
                    "an alert was not taken"
                ),
            }
            if attempt < TRIES {
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2);
            }
        }
        metrics::counter!("relayer_alerts_lost_total").increment(1);
    }

    /// # Errors
    /// What happened, without the URL, which holds a secret.
    async fn try_post(&self, alert: &AlertMessage) -> Result<(), String> {
        let body = serde_json::to_string(alert).map_err(|error| error.to_string())?;
        let request = self.http.post(self.url.clone()).timeout(TIMEOUT);
        let request = request
            .header(header::CONTENT_TYPE, "application/json")
            .body(body);
        let sent = request.send().await;
        let response = sent.map_err(|error| error.without_url().to_string())?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status => Err(format!("the receiver answers {status}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::post;

    use super::super::conditions::Level;
    use super::*;

    #[tokio::test]
    async fn an_alert_is_posted_again_until_it_is_taken() {
        let (tell, mut heard) = mpsc::channel(4);
        let taken = post(move |body: String| {
            let tell = tell.clone();
            async move {
                drop(tell.send(body).await);
                match tell.capacity() {
                    3 => StatusCode::SERVICE_UNAVAILABLE,
                    _ => StatusCode::OK,
                }
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/KEY", listener.local_addr().unwrap());
        let router = Router::new().route("/KEY", taken);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let (mut task, handle) = Webhook::new(&url).unwrap();
        task.first_pause = Duration::ZERO;
        let stop = CancellationToken::new();
        let running = tokio::spawn(task.run(stop.clone()));
        handle.send(AlertMessage {
            level: Level::Critical,
            what: "balance on chain 10".into(),
            detail: "low".into(),
            time: "2026-12-01T00:00:00.000Z".into(),
        });
        let wait = Duration::from_secs(10);
        let deadline = tokio::time::Instant::now() + wait;
        while heard.len() < 2 {
            assert!(tokio::time::Instant::now() < deadline, "no second post");
            tokio::task::yield_now().await;
        }
        let expected = r#"{"level":"critical","what":"balance on chain 10","detail":"low","time":"2026-12-01T00:00:00.000Z"}"#;
        assert_eq!(heard.recv().await.as_deref(), Some(expected));
        assert_eq!(heard.recv().await.as_deref(), Some(expected));
        stop.cancel();
        running.await.unwrap().unwrap();
    }
}
