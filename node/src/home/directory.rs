//! Whether a chain is the one that the home chain's directory means by its id.
//!
//! A statement names a chain by its id alone, so which contract was read must be the same for every
//! operator. The directory says which, and an entry of it never changes: once the configuration was found
//! to be the same, the chain is read; until then, and where it differs, nothing is.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, ready};
use quorate_chain::{
    At, BlockRef, ChainEntry, ChainError, HomeReader, Providers, ReadLog, Reading, StateReader,
};
use quorate_proto::{Address, B256, U256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::settings::ChainSettings;

/// Between two looks at a chain that is not found to be the same yet: an entry may be added any time.
const AGAIN: Duration = Duration::from_secs(5);

/// How a chain compares with its entry.
#[derive(Clone, Debug, PartialEq, Eq)]
enum DirectoryStanding {
    /// Not known yet, and why.
    Unknown(String),
    Same,
    /// What differs.
    Differs(String),
}

/// A chain that is read only if the directory means the same one.
pub(crate) struct ListedChain {
    chain: Arc<dyn StateReader>,
    standing: watch::Receiver<DirectoryStanding>,
}

/// The task that compares.
pub(crate) struct DirectoryCheck {
    home: Arc<dyn HomeReader>,
    chain: Arc<dyn StateReader>,
    settings: ChainSettings,
    standing: watch::Sender<DirectoryStanding>,
}

/// The chain as it may be read, and the task that finds out whether it may.
pub(crate) fn listed(
    home: Arc<dyn HomeReader>,
    chain: Arc<dyn StateReader>,
    settings: &ChainSettings,
) -> (ListedChain, DirectoryCheck) {
    let unknown = DirectoryStanding::Unknown("the home chain is being read".to_owned());
    let (standing, seen) = watch::channel(unknown);
    let listing = DirectoryCheck {
        home,
        chain: Arc::clone(&chain),
        settings: settings.clone(),
        standing,
    };
    let chain = ListedChain {
        chain,
        standing: seen,
    };
    (chain, listing)
}

impl DirectoryCheck {
    /// Runs until `token` is cancelled.
    ///
    /// # Errors
    /// None: a chain that cannot be compared is a problem in the status, not the end.
    pub(crate) async fn run(self, token: CancellationToken) -> Result<(), ChainError> {
        token.run_until_cancelled(self.settle()).await;
        token.cancelled().await;
        Ok(())
    }

    async fn settle(&self) {
        loop {
            let standing = match self.compare().await {
                Ok(standing) => standing,
                Err(error) => DirectoryStanding::Unknown(error.to_string()),
            };
            let is_same = standing == DirectoryStanding::Same;
            if *self.standing.borrow() != standing {
                tell(self.chain.chain_id(), &standing);
                self.standing.send_replace(standing);
            }
            if is_same {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn compare(&self) -> Result<DirectoryStanding, ChainError> {
        let difference = difference(self.home.as_ref(), self.chain.as_ref(), &self.settings);
        Ok(match difference.await? {
            None => DirectoryStanding::Same,
            Some(why) => DirectoryStanding::Differs(why),
        })
    }
}

/// Why a chain is not the one that the home chain's directory means by its id, as it is configured; `None` where it
/// is.
///
/// # Errors
/// [`ChainError`] where the home chain or the chain cannot be read now.
pub async fn difference(
    home: &dyn HomeReader,
    chain: &dyn StateReader,
    settings: &ChainSettings,
) -> Result<Option<String>, ChainError> {
    let Ok(id) = u32::try_from(chain.chain_id()) else {
        return Ok(Some("statements name chains by 32 bits".to_owned()));
    };
    let Some(entry) = home.chain_entry(id).await? else {
        let text = "the home chain's directory does not list it; its owner can add it";
        return Ok(Some(text.to_owned()));
    };
    let genesis = chain.locate(At::Block(0)).await?.hash;
    let Some(state_manager) = settings.state_manager.map(|it| it.into_word()) else {
        return Ok(None);
    };
    let expected = settings.chain.family.entry(genesis, state_manager);
    let differences = differences(&expected, &entry);
    Ok((!differences.is_empty()).then(|| {
        format!(
            "the home chain's directory has another chain or contract for this id, so nobody would sign the same: {}",
            differences.join("; ")
        )
    }))
}

fn tell(chain_id: u64, standing: &DirectoryStanding) {
    match standing {
        DirectoryStanding::Same => tracing::info!(
            chain_id,
            "the directory lists this chain as it is configured"
        ),
        DirectoryStanding::Unknown(why) => {
            tracing::info!(chain_id, why, "not compared with the directory yet")
        }
        DirectoryStanding::Differs(why) => tracing::error!(chain_id, why, "nothing is read there"),
    }
}

/// What of the configuration is not as the directory says, and what that says.
fn differences(here: &ChainEntry, listed: &ChainEntry) -> Vec<String> {
    let mut found = Vec::new();
    let mut note = |is_same: bool, what: &str, here: String, listed: String| {
        if !is_same {
            found.push(format!("{what} is {listed} there, {here} here"));
        }
    };
    note(
        here.family == listed.family,
        "the family",
        format!("{:?}", here.family),
        format!("{:?}", listed.family),
    );
    note(
        here.genesis == listed.genesis,
        "the hash of block 0",
        here.genesis.to_string(),
        listed.genesis.to_string(),
    );
    note(
        here.state_manager == listed.state_manager,
        "state_manager",
        shown(here.state_manager),
        shown(listed.state_manager),
    );
    let slot = |slot: U256| format!("{slot:#x}");
    note(
        here.history_slot == listed.history_slot,
        "history_slot",
        slot(here.history_slot),
        slot(listed.history_slot),
    );
    note(
        here.block_numbers == listed.block_numbers,
        "block_numbers",
        here.block_numbers.to_string(),
        listed.block_numbers.to_string(),
    );
    found
}

/// As an address where it is one.
fn shown(contract: B256) -> String {
    match contract[..12] == [0; 12] {
        true => Address::from_word(contract).to_string(),
        false => contract.to_string(),
    }
}

impl ListedChain {
    fn check(&self) -> Result<(), ChainError> {
        let chain_id = self.chain.chain_id();
        match &*self.standing.borrow() {
            DirectoryStanding::Same => Ok(()),
            DirectoryStanding::Unknown(detail) => Err(ChainError::NotCompared {
                chain_id,
                detail: detail.clone(),
            }),
            DirectoryStanding::Differs(detail) => Err(ChainError::NotListed {
                chain_id,
                detail: detail.clone(),
            }),
        }
    }
}

impl StateReader for ListedChain {
    fn chain_id(&self) -> u64 {
        self.chain.chain_id()
    }

    fn final_head(&self) -> Option<BlockRef> {
        self.chain.final_head()
    }

    fn agreed_ago(&self) -> Option<Duration> {
        self.chain.agreed_ago()
    }

    fn providers(&self) -> Providers {
        self.chain.providers()
    }

    fn problem(&self) -> Option<String> {
        let unlisted = self.check().err().map(|error| error.to_string());
        unlisted.or_else(|| self.chain.problem())
    }

    fn locate(&self, at: At) -> BoxFuture<'_, Result<BlockRef, ChainError>> {
        match self.check() {
            Ok(()) => self.chain.locate(at),
            Err(error) => ready(Err(error)).boxed(),
        }
    }

    fn read<'a>(
        &'a self,
        user: Address,
        key: U256,
        block: u64,
        log: &'a ReadLog,
    ) -> BoxFuture<'a, Result<Reading, ChainError>> {
        match self.check() {
            Ok(()) => self.chain.read(user, key, block, log),
            Err(error) => ready(Err(error)).boxed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_chain::{BlockNumbers, ChainFamily};

    use super::*;

    fn entry() -> ChainEntry {
        ChainEntry {
            family: ChainFamily::Evm,
            block_numbers: BlockNumbers::Own,
            genesis: B256::repeat_byte(1),
            state_manager: Address::repeat_byte(2).into_word(),
            history_slot: U256::from(3),
        }
    }

    #[test]
    fn every_field_that_differs_is_named() {
        assert!(differences(&entry(), &entry()).is_empty());
        let table = [
            (
                ChainEntry {
                    family: ChainFamily::Svm,
                    ..entry()
                },
                "family",
            ),
            (
                ChainEntry {
                    block_numbers: BlockNumbers::Parent,
                    ..entry()
                },
                "block_numbers",
            ),
            (
                ChainEntry {
                    genesis: B256::ZERO,
                    ..entry()
                },
                "block 0",
            ),
            (
                ChainEntry {
                    state_manager: B256::repeat_byte(2),
                    ..entry()
                },
                "state_manager",
            ),
            (
                ChainEntry {
                    history_slot: U256::ZERO,
                    ..entry()
                },
                "history_slot",
            ),
        ];
        for (listed, name) in table {
            let found = differences(&entry(), &listed);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains(name), "{found:?}");
        }
    }

    #[test]
    fn a_chain_is_read_only_once_it_is_known_to_be_the_same() {
        let (standing, seen) = watch::channel(DirectoryStanding::Unknown("later".into()));
        let chain = ListedChain {
            chain: Arc::new(crate::fixtures::NoChain),
            standing: seen,
        };
        assert!(chain.check().is_err_and(|error| error.is_retryable()));
        assert!(chain.problem().is_some());
        standing.send_replace(DirectoryStanding::Differs("another".into()));
        assert!(
            chain
                .check()
                .is_err_and(|error| error.is_misconfiguration())
        );
        standing.send_replace(DirectoryStanding::Same);
        assert_eq!(chain.check(), Ok(()));
        assert_eq!(chain.problem(), None);
    }
}
