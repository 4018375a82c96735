//! What is set of how a relayer is watched.

use std::net::SocketAddr;
use std::time::Duration;

use quorate_chain::ChainFamily;
use quorate_chain::rpc::RpcUrl;

use super::{BALANCE_CHECK_MS, BridgeSection, SecretText};
use crate::services::bridge::direction::Direction;
use crate::services::bridge::units::amount_of;

/// Shorter pauses would ask providers more than deliveries do.
const LEAST_BALANCE_CHECK_MS: u64 = 1_000;

impl BridgeSection {
    /// The least that a payer must have, in the unit of fees there; `None` where it is not set.
    pub(in crate::services::bridge) fn min_balance(&self, family: ChainFamily) -> Option<u128> {
        let (_, text) = self.minimum(family);
        amount_of(text.as_deref()?, family).ok()
    }

    const fn minimum(&self, family: ChainFamily) -> (&'static str, &Option<String>) {
        match family {
            ChainFamily::Svm => ("min_balance_svm", &self.min_balance_svm),
            _ => ("min_balance_evm", &self.min_balance_evm),
        }
    }

    pub(in crate::services::bridge) fn balance_check(&self) -> Duration {
        Duration::from_millis(self.balance_check_ms.unwrap_or(BALANCE_CHECK_MS))
    }

    /// Those that are set: direction, setting, address, and whether it has more than figures.
    pub(in crate::services::bridge) fn interfaces(
        &self,
    ) -> impl Iterator<Item = (Direction, &'static str, SocketAddr, bool)> {
        self.listeners().into_iter().filter_map(|(key, address)| {
            let named = |direction: &Direction| key.ends_with(direction.name());
            let direction = Direction::ALL.into_iter().find(named)?;
            Some((direction, key, address, !key.contains("metrics")))
        })
    }

    /// Every address of the interfaces, by its setting.
    #[must_use]
    pub fn listeners(&self) -> Vec<(&'static str, SocketAddr)> {
        let all = [
            ("http_s2e", self.http_s2e),
            ("http_e2s", self.http_e2s),
            ("http_e2e", self.http_e2e),
            ("http_metrics_s2e", self.http_metrics_s2e),
            ("http_metrics_e2s", self.http_metrics_e2s),
            ("http_metrics_e2e", self.http_metrics_e2e),
        ];
        all.into_iter()
            .filter_map(|(key, address)| Some((key, address?)))
            .collect()
    }

    /// Hides what is shown to no user.
    pub fn hide_secrets(&mut self) {
        for secret in [&mut self.api_key, &mut self.alert_webhook] {
            *secret = secret.take().map(|_| SecretText::hidden());
        }
    }

    pub(super) fn watching_problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let listeners = self.listeners();
        for (at, (key, address)) in listeners.iter().enumerate() {
            let mut before = listeners[..at].iter();
            if let Some((other, _)) = before.find(|(_, other)| collide(*other, *address)) {
                let text =
                    format!("{address} is taken by bridge.{other}; give it a port of its own");
                problems.push((*key, text));
            }
        }
        for family in [ChainFamily::Evm, ChainFamily::Svm] {
            let (key, text) = self.minimum(family);
            let read = text.as_deref().map(|text| amount_of(text, family));
            problems.extend(read.and_then(Result::err).map(|problem| (key, problem)));
        }
        for origin in self
            .cors
            .iter()
            .flatten()
            .filter(|origin| !is_origin(origin))
        {
            let text = format!(
                "{origin:?} is no origin; write it as https://dashboard.example.org, without a path"
            );
            problems.push(("cors", text));
        }
        if self
            .balance_check_ms
            .is_some_and(|pause| pause < LEAST_BALANCE_CHECK_MS)
        {
            problems.push((
                "balance_check_ms",
                format!("at least {LEAST_BALANCE_CHECK_MS}"),
            ));
        }
        let webhook = self.alert_webhook.as_ref().map(SecretText::reveal);
        if webhook.is_some_and(|url| url.parse::<RpcUrl>().is_err()) {
            let text =
                "it is no URL that can be posted to; write it as https://host/path".to_owned();
            problems.push(("alert_webhook", text));
        }
        problems
    }
}

/// Whether two listeners cannot both have their address.
#[must_use]
pub fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (any || one.ip() == other.ip())
}

/// Whether a browser would send this as an origin.
fn is_origin(text: &str) -> bool {
    let host = text
        .strip_prefix("https://")
        .or(text.strip_prefix("http://"));
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '[' | ']');
    host.is_some_and(|host| !host.is_empty() && host.chars().all(fits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::declare::Section as _;

    #[test]
    fn listeners_on_one_port_amounts_and_origins_are_checked() {
        let section = BridgeSection {
            http_s2e: "0.0.0.0:8081".parse().ok(),
            http_metrics_s2e: "127.0.0.1:8081".parse().ok(),
            http_e2s: "127.0.0.1:8082".parse().ok(),
            min_balance_evm: Some("1 sol".into()),
            cors: Some(vec![
                "https://a.example".into(),
                "https://a.example/x".into(),
            ]),
            balance_check_ms: Some(10),
            alert_webhook: "ftp://a".parse().ok(),
            ..BridgeSection::default()
        };
        let keys: Vec<_> = section.problems().into_iter().map(|(key, _)| key).collect();
        assert_eq!(
            keys,
            [
                "http_metrics_s2e",
                "min_balance_evm",
                "cors",
                "balance_check_ms",
                "alert_webhook"
            ]
        );
    }

    #[test]
    fn secrets_are_hidden() {
        let mut section = BridgeSection {
            api_key: "topsecret".parse().ok(),
            ..BridgeSection::default()
        };
        assert!(!format!("{section:?}").contains("topsecret"));
        section.hide_secrets();
        let shown = serde_json::to_string(&section).unwrap();
        assert!(
            !shown.contains("topsecret") && shown.contains("***"),
            "{shown}"
        );
    }
}
