//! Provider URLs, which hold secrets.

use std::fmt;
use std::str::FromStr;

use alloy::transports::http::reqwest::Url;

use crate::ChainError;

/// Shorter parts of a URL are words like `v3` or `rpc`, not keys.
const SHORTEST_SECRET: usize = 6;

/// What a provider writes about an error is cut to this many characters.
const LONGEST_MESSAGE: usize = 200;

/// Characters that are looked at before the cut: secrets make a text shorter when they go.
const LONGEST_TEXT: usize = 4_096;

/// The URL of a JSON-RPC provider. Shown without user, path and query, where API keys are.
#[derive(Clone, PartialEq, Eq)]
pub struct RpcUrl(Url);

impl RpcUrl {
    pub(crate) const fn url(&self) -> &Url {
        &self.0
    }

    /// The name or address of the machine.
    #[must_use]
    pub fn host(&self) -> String {
        self.0.host_str().unwrap_or("?").to_lowercase()
    }

    /// Whether what is asked and answered can be read and changed on the way.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// `text` as far as it may be shown: without this URL's secrets, in one line, cut.
    #[must_use]
    pub fn scrub(&self, text: &str) -> String {
        let mut shown: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(LONGEST_TEXT)
            .collect();
        for secret in self.secrets() {
            shown = shown.replace(&secret, "***");
        }
        match shown.char_indices().nth(LONGEST_MESSAGE) {
            Some((end, _)) => format!("{}…", &shown[..end]),
            None => shown,
        }
    }

    fn secrets(&self) -> Vec<String> {
        let segments = self.0.path_segments().into_iter().flatten();
        let values = self.0.query_pairs().map(|(_, value)| value.into_owned());
        let user = [self.0.username(), self.0.password().unwrap_or_default()];
        let mut secrets: Vec<String> = segments
            .chain(user)
            .map(str::to_owned)
            .chain(values)
            .filter(|part| part.len() >= SHORTEST_SECRET)
            .collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets
    }
}

impl FromStr for RpcUrl {
    type Err = ChainError;

    fn from_str(text: &str) -> Result<Self, ChainError> {
        let settings = |detail: &str| ChainError::Settings {
            detail: detail.to_owned(),
        };
        let url = Url::parse(text.trim()).map_err(|problem| {
            settings(&format!(
                "an RPC URL cannot be read ({problem}); write it as https://host/path"
            ))
        })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(settings(&format!(
                "RPC URLs of scheme {} are not supported; use the provider's https:// URL",
                url.scheme()
            )));
        }
        // A fragment never reaches the server.
        let mut url = url;
        url.set_fragment(None);
        Ok(Self(url))
    }
}

impl fmt::Display for RpcUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}",
            self.0.scheme(),
            self.0.host_str().unwrap_or("?")
        )?;
        match self.0.port() {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for RpcUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> RpcUrl {
        text.parse().expect("a URL")
    }

    #[test]
    fn only_scheme_host_and_port_are_shown() {
        let table = [
            ("https://rpc.example.org", "https://rpc.example.org"),
            (
                "https://rpc.example.org:443/v3/abcdef0123",
                "https://rpc.example.org",
            ),
            (
                "http://user:hunter22@10.0.0.1:8545/",
                "http://10.0.0.1:8545",
            ),
            ("http://[::1]:8545/?key=abcdef", "http://[::1]:8545"),
            (
                " https://eth.example.com/v2?apikey=abcdef#frag ",
                "https://eth.example.com",
            ),
        ];
        for (full, shown) in table {
            assert_eq!(url(full).to_string(), shown);
            assert_eq!(format!("{:?}", url(full)), shown);
        }
    }

    #[test]
    fn other_peoples_texts_lose_the_secrets() {
        let url = url("https://user:hunter22@h.org/v3/abcdef0123?token=qwertz99&x=1");
        let text = "bad key abcdef0123 (token qwertz99,\nuser hunter22) for v3 x=1";
        assert_eq!(
            url.scrub(text),
            "bad key *** (token ***, user ***) for v3 x=1"
        );
        let long = "ä".repeat(500);
        assert_eq!(url.scrub(&long).chars().count(), LONGEST_MESSAGE + 1);
    }

    #[test]
    fn errors_do_not_repeat_the_url() {
        for text in [
            "wss://h.org/secretkey",
            "secretkey",
            "http:///secretkey@",
            "ftp://secretkey",
        ] {
            let Err(error) = text.parse::<RpcUrl>() else {
                continue;
            };
            assert!(!error.to_string().contains("secretkey"), "{error}");
        }
    }
}
