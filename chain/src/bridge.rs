//! What has bridges' contracts do what was certified, whatever the chain is.

use futures::future::BoxFuture;
use quorate_proto::{B256, BridgePause, Certificate, Epoch, OperatorSet, Transfer};

use crate::{ChainError, ContractCall};

/// What a contract's refusal means to who called it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallMeaning {
    /// Another account did it.
    Done,
    /// It may succeed later.
    NotNow,
    /// It never will, as it is.
    Never,
    /// The contract is another one than was thought, or knows the route or token not.
    Configuration,
}

/// What a contract's record of something says, a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordRule {
    /// 0 open, 3 closed, otherwise done.
    Status,
    /// Done from this number on.
    AtLeast(u64),
    /// Done once it is zero.
    Zero,
}

/// What a contract is to do.
#[derive(Clone, Copy, Debug)]
pub enum BridgeAction<'a> {
    /// Pay a transfer.
    Pay(&'a Transfer),
    /// Take the set of the next epoch, fixed at this Unix second: a registry does.
    Update(&'a OperatorSet, u64),
    /// Stand still, or go on, as was voted.
    Switch(&'a BridgePause),
    /// Give a transfer back that its target closed at this Unix second: the source does.
    Refund(&'a Transfer, u64),
}

/// What is brought to a contract, by whom.
#[derive(Clone, Copy, Debug)]
pub struct BridgeOrder<'a> {
    /// What it is to do.
    pub action: BridgeAction<'a>,
    /// The bridge, or its registry.
    pub contract: B256,
    /// Says so.
    pub certificate: &'a Certificate,
    /// What is signed in it.
    pub digest: B256,
    /// The set that signed it.
    pub signers: &'a OperatorSet,
    /// An update that comes before has the contract hold that set.
    pub follows_update: bool,
    /// Who pays for the transactions.
    pub payer: B256,
}

/// One of the transactions that carry out an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeStep {
    /// What is sent.
    pub call: ContractCall,
    /// Asks what became of it.
    pub record: ContractCall,
    /// What the answer means.
    pub rule: RecordRule,
    /// Only a later step makes use of it, so that none has to wait until it is confirmed.
    pub is_interim: bool,
}

/// Says what to send to bridges' contracts on one chain. What it reads is of the newest block, as a quorum says.
pub trait BridgeSender: Send + Sync {
    /// The registry that a bridge asks; where bridges keep operator sets themselves, the bridge.
    fn registry(&self, bridge: B256) -> BoxFuture<'_, Result<B256, ChainError>>;

    /// The newest epoch whose certificates a registry takes.
    fn newest_epoch(&self, registry: B256) -> BoxFuture<'_, Result<Epoch, ChainError>>;

    /// Asks the target what became of a transfer: [`RecordRule::Status`], of which 1 is queued and 2 paid.
    ///
    /// # Errors
    /// [`ChainError::Settings`] for what is no transfer to this chain.
    fn status(&self, transfer: &Transfer) -> Result<ContractCall, ChainError>;

    /// The transactions that carry out an order, each of which needs those before it.
    ///
    /// # Errors
    /// [`ChainError::Impossible`] for what no contract there can do; [`ChainError::Settings`] for what this one cannot,
    /// as it is set up.
    fn steps<'a>(
        &'a self,
        order: BridgeOrder<'a>,
    ) -> BoxFuture<'a, Result<Vec<BridgeStep>, ChainError>>;

    /// What an error of these contracts means; `None` for one that may pass, or is none of theirs.
    fn meaning_of(&self, error: &ChainError) -> Option<CallMeaning>;
}
