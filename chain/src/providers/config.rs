//! What an operator sets for one provider.

use crate::rpc::RpcUrl;

/// Characters of a label: a name or a domain.
const LONGEST_LABEL: usize = 64;

/// One provider, and who is behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderConfig {
    /// Where it is.
    pub url: RpcUrl,
    /// Who runs it; the URL's host if `None`. Two providers of one runner are one voice.
    pub by: Option<String>,
    /// Which program it is, such as geth or reth; for people.
    pub client: Option<String>,
}

impl From<RpcUrl> for ProviderConfig {
    fn from(url: RpcUrl) -> Self {
        Self {
            url,
            by: None,
            client: None,
        }
    }
}

impl ProviderConfig {
    /// Who runs it.
    #[must_use]
    pub fn runner(&self) -> String {
        let label = self.by.as_deref().map(str::trim);
        label.map_or_else(|| self.url.host(), str::to_lowercase)
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        for label in [&self.by, &self.client].into_iter().flatten() {
            let length = label.trim().chars().count();
            if !(1..=LONGEST_LABEL).contains(&length) || label.chars().any(char::is_control) {
                return Err(format!(
                    "the label {label:?} of {} must have 1 to {LONGEST_LABEL} characters",
                    self.url
                ));
            }
        }
        Ok(())
    }
}
