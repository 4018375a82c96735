//! Where things are: URLs of providers, and folders.

use std::path::{Path, PathBuf};

use quorate_chain::rpc::RpcUrl;

use super::{ConfigError, Problem, SecretUrl};

/// A provider's URL; the error tells no secret.
pub(crate) fn rpc_url(url: &SecretUrl) -> Result<RpcUrl, String> {
    let text = url.reveal();
    // "host:8545" would be read as a scheme and a path.
    let has_scheme =
        text.contains("://") || text.starts_with("http:") || text.starts_with("https:");
    if !has_scheme {
        let host = text
            .trim_start_matches('/')
            .split(['/', '?', '#'])
            .next()
            .unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default();
        let is_host =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '[' | ']');
        let shown = match host.contains(['.', ':']) && host.chars().all(is_host) {
            true => host,
            false => "an RPC URL",
        };
        return Err(format!(
            "{shown} has no scheme; write it as https://host/path or http://host:8545"
        ));
    }
    text.parse::<RpcUrl>().map_err(|error| error.to_string())
}

/// `~/` at the beginning stands for the home folder, as in a shell.
///
/// # Errors
/// Where this user has none.
pub(crate) fn expand_home(path: &Path) -> Result<PathBuf, ConfigError> {
    below(path, std::env::home_dir())
}

fn below(path: &Path, home: Option<PathBuf>) -> Result<PathBuf, ConfigError> {
    match (path.strip_prefix("~"), home) {
        (Err(_), _) => Ok(path.to_owned()),
        (Ok(rest), Some(home)) if !home.as_os_str().is_empty() => Ok(home.join(rest)),
        (Ok(_), _) => Err(ConfigError::Problems(vec![Problem::new(
            path.display().to_string(),
            "this user has no home folder (HOME is not set, and there is no passwd entry); set HOME, \
             or give full paths with --key-dir and --data-dir",
        )])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_folder_is_that_of_the_user_or_an_error() {
        let home = || Some(PathBuf::from("/home/a"));
        for (path, home, expected) in [
            ("~/b", home(), Some("/home/a/b")),
            ("~", home(), Some("/home/a")),
            ("b/~", None, Some("b/~")),
            ("/b", None, Some("/b")),
            ("~/b", None, None),
            ("~/b", Some(PathBuf::new()), None),
        ] {
            let found = below(Path::new(path), home);
            match expected {
                Some(expected) => assert_eq!(found.expect(path), Path::new(expected)),
                None => {
                    let error = found.expect_err(path).to_string();
                    assert!(
                        error.contains("~/b: ") && error.contains("--key-dir"),
                        "{error}"
                    );
                }
            }
        }
    }

    #[test]
    fn urls_without_a_scheme_are_named() {
        for (text, expected) in [
            ("rpc.example.org:8545", "rpc.example.org:8545 has no scheme"),
            ("rpc.example.org/topsecret", "rpc.example.org has no scheme"),
            (
                "user:topsecret@rpc.example.org/x",
                "rpc.example.org has no scheme",
            ),
            ("localhost:8545", "localhost:8545 has no scheme"),
            (
                "//rpc.example.org/topsecret",
                "rpc.example.org has no scheme",
            ),
            ("topsecret", "an RPC URL has no scheme"),
            ("wss://rpc.example.org/topsecret", "scheme wss"),
        ] {
            let url: SecretUrl = text.parse().expect("a text");
            let error = rpc_url(&url).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
            assert!(
                error.contains("https://") && !error.contains("topsecret"),
                "{error}"
            );
        }
        for text in ["https://h.org/x", "http://127.0.0.1:8545", "HTTP://h.org"] {
            let url: SecretUrl = text.parse().expect("a text");
            assert!(rpc_url(&url).is_ok(), "{text}");
        }
    }
}
