//! What shows that a caller owns a node, and so may change a registry's mind or take copies of a
//! store: a token in its data folder, which only its own user can read. A user who can read that folder
//! owns the node anyway.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use sha2::{Digest as _, Sha256};

use crate::NodeError;
use crate::settings::Role;

/// Name of the file in the data folder of a registry.
pub const TOKEN_FILE: &str = "registry.token";
/// The same of an operator.
const OPERATOR_TOKEN_FILE: &str = "operator.token";
/// The same of a relayer.
const RELAYER_TOKEN_FILE: &str = "relayer.token";

/// Name of the file in the data folder of a node.
#[must_use]
pub const fn file_name(role: Role) -> &'static str {
    match role {
        Role::Registry => TOKEN_FILE,
        Role::Operator => OPERATOR_TOKEN_FILE,
        Role::Relayer => RELAYER_TOKEN_FILE,
    }
}

/// The token of a node, by its hash.
#[derive(Clone)]
pub(crate) struct Token([u8; 32]);

impl Token {
    /// Reads the token, or makes one.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub(crate) fn obtain(data_dir: &Path, role: Role) -> Result<Self, NodeError> {
        let path = data_dir.join(file_name(role));
        let text = match std::fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => text,
            _ => create(&path).map_err(|error| {
                NodeError::Settings(format!("cannot write {}: {error}", path.display()))
            })?,
        };
        Ok(Self(hash(text.trim())))
    }

    /// Whether a request carries it. Hashes are compared, so that time tells nothing.
    pub(crate) fn opens(&self, headers: &HeaderMap) -> bool {
        let value = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok());
        let token = value.and_then(|value| value.strip_prefix("Bearer "));
        token.is_some_and(|token| hash(token.trim()) == self.0)
    }
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

fn create(path: &Path) -> std::io::Result<String> {
    let text = hex::encode(rand::random::<[u8; 32]>());
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_of_the_folder_opens() {
        let folder = tempfile::tempdir().unwrap();
        let token = Token::obtain(folder.path(), Role::Registry).unwrap();
        let text = std::fs::read_to_string(folder.path().join(TOKEN_FILE)).unwrap();
        let headers = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            headers
        };
        let good = format!("Bearer {}", text.trim());
        assert!(token.opens(&headers(&good)));
        assert!(
            Token::obtain(folder.path(), Role::Registry)
                .unwrap()
                .opens(&headers(&good))
        );
        for bad in ["Bearer ", "Bearer 00", text.trim()] {
            assert!(!token.opens(&headers(bad)), "{bad}");
        }
        assert!(!token.opens(&HeaderMap::new()));
    }
}
