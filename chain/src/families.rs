//! The families of chains, one line each.

use std::str::FromStr;
use std::sync::Arc;

use alloy::primitives::{Address, B256};

use crate::config::{Family, SettingProblem};
use crate::evm::EvmSettings;
use crate::rpc::RpcUrl;
use crate::svm::SvmSettings;
use crate::{CertificateCheck, ChainError, ChainFamily};

/// There is no such family.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of evm, svm and cardano")]
pub struct ChainFamilyError(String);

impl FromStr for ChainFamily {
    type Err = ChainFamilyError;

    fn from_str(text: &str) -> Result<Self, ChainFamilyError> {
        match text.trim() {
            "evm" => Ok(Self::Evm),
            "svm" => Ok(Self::Svm),
            "cardano" => Ok(Self::Cardano),
            other => Err(ChainFamilyError(other.to_owned())),
        }
    }
}

/// The families that this version supports, with their usual settings.
fn usual(family: ChainFamily) -> Option<Arc<dyn Family>> {
    match family {
        ChainFamily::Evm => Some(Arc::new(EvmSettings::default())),
        ChainFamily::Svm => Some(Arc::new(SvmSettings::default())),
        ChainFamily::Cardano => None,
    }
}

fn supported(family: ChainFamily) -> Result<Arc<dyn Family>, String> {
    usual(family).ok_or_else(|| format!("chains of family {family:?} are not supported"))
}

/// A family with the settings of one chain that only the family knows; `setting` has their texts by name.
///
/// # Errors
/// All that is wrong with them.
pub fn configure(
    family: ChainFamily,
    setting: &dyn Fn(&str) -> Option<String>,
) -> Result<Arc<dyn Family>, Vec<SettingProblem>> {
    let problem = |text| {
        vec![SettingProblem {
            name: "family",
            text,
        }]
    };
    supported(family).map_err(problem)?.configured(setting)
}

/// Asks a registry on a chain of this family, at the newest block, whether `certificate` is one for `digest`.
///
/// # Errors
/// [`ChainError`] when the provider does not answer or no registry lives at that address.
pub async fn verify_on_chain(
    family: ChainFamily,
    rpc: &RpcUrl,
    registry: Address,
    digest: B256,
    certificate: &[u8],
) -> Result<CertificateCheck, ChainError> {
    let family = supported(family).map_err(|detail| ChainError::Settings { detail })?;
    family.verify(rpc, registry, digest, certificate).await
}
