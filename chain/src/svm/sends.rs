//! The transfers of a route that a transaction made.

use alloy::primitives::{B256, U256};
use quorate_proto::{Epoch, Route, Transfer};

use super::PublicKey;
use super::calls::{Account, Instruction, Transaction};
use super::logs;
use super::provider::SvmProvider;
use super::reader::Reader;
use crate::rpc::ProviderError;

/// The instruction that sends, by the first byte of its data.
const SEND: u8 = 11;

/// Bytes of a token's account, up to its unit and with that.
const TOKEN_HEAD: usize = 141;
const TOKEN_TAG: u8 = 3;
const UNIT_AT: usize = 133;

/// Bytes of a peer's account, up to the running hash and with that.
const PEER_HEAD: usize = 83;
const PEER_TAG: u8 = 2;
const SENT_AT: usize = 43;

/// A transfer of a route. Its nonce is zero where the logs were cut: then it is the next of the route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) transfer: Transfer,
    /// Where its amount is in local units still: the account that knows how many of them are one.
    token: Option<PublicKey>,
}

/// A route that begins at a program, and the program's account for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    pub(super) route: Route,
    pub(super) program: PublicKey,
    pub(super) peer: PublicKey,
}

impl Source {
    /// `None` where no address can be found.
    pub(super) fn of(route: Route) -> Option<Self> {
        let program = PublicKey(route.source_contract);
        let chain = route.target_chain.to_be_bytes();
        let seeds: [&[u8]; 3] = [b"peer", &chain, route.target_contract.as_slice()];
        let (peer, _) = PublicKey::derive(&seeds, program)?;
        Some(Self {
            route,
            program,
            peer,
        })
    }

    /// How many transfers were sent, and h of that many, in the state of this slot or a later one, as a provider says.
    pub(super) async fn state(
        &self,
        provider: &SvmProvider,
        slot: u64,
    ) -> Result<(u64, B256), ProviderError> {
        let account = provider.account(self.peer, PEER_HEAD, slot).await?;
        let Some((owner, data)) = &account.held else {
            return Ok((0, B256::ZERO));
        };
        let mut fields = Reader(data.get(SENT_AT..).unwrap_or_default());
        let is_peer = *owner == self.program && data.first() == Some(&PEER_TAG);
        let read = fields.u64().zip(fields.key().map(|hash| hash.0));
        read.filter(|_| is_peer).ok_or_else(|| {
            ProviderError::malformed("the account of the route is none of the bridge's program")
        })
    }

    /// What a transaction sent on this route, in the order in which it did.
    pub(super) async fn sent(
        &self,
        provider: &SvmProvider,
        transaction: &Transaction,
    ) -> Result<Vec<Sent>, ProviderError> {
        let mut sent = self.read(transaction);
        for one in &mut sent {
            if let Some(token) = one.token.take() {
                let account = provider
                    .account(token, TOKEN_HEAD, transaction.slot)
                    .await?;
                let unit = self.unit(&account).ok_or_else(|| {
                    ProviderError::malformed(format!("{token} is no token of a bridge"))
                })?;
                one.transfer.amount /= unit;
            }
        }
        Ok(sent)
    }

    fn read(&self, transaction: &Transaction) -> Vec<Sent> {
        if transaction.has_failed() {
            return Vec::new();
        }
        let logs = transaction.meta.log_messages.as_deref();
        match logs.and_then(|logs| logs::data_of(self.program, logs)) {
            Some(events) => {
                let told = events
                    .iter()
                    .filter_map(|event| logs::sent(&self.route, event));
                let whole = |transfer| Sent {
                    transfer,
                    token: None,
                };
                told.map(whole).collect()
            }
            None => transaction
                .instructions()
                .filter_map(|instruction| self.send(instruction, transaction))
                .collect(),
        }
    }

    /// What an instruction sends. Its data: number 8 of the account `sent`, amount 8, deadline 8, length 1 and bytes of
    /// the receiver; its accounts begin with sender, bridge, peer, token, mint.
    fn send(&self, instruction: &Instruction, of: &Transaction) -> Option<Sent> {
        let account = |number| instruction.account(number, of);
        if instruction.program(of)? != self.program || account(2)? != self.peer {
            return None;
        }
        let data = instruction.data()?;
        let mut fields = Reader(&data);
        let (number, _, amount) = (fields.u8()?, fields.u64()?, fields.u64()?);
        let (deadline, receiver) = (fields.u64()?, logs::receiver(&mut fields)?);
        let transfer = Transfer {
            epoch: Epoch(0),
            route: self.route,
            nonce: 0,
            sender: account(0)?.0,
            receiver,
            token: account(4)?.0,
            amount: U256::from(amount),
            deadline,
        };
        let token = Some(account(3)?);
        (number == SEND).then_some(Sent { transfer, token })
    }

    /// Local units of one that is signed, which never change.
    fn unit(&self, account: &Account) -> Option<U256> {
        let (owner, data) = account.held.as_ref()?;
        let is_token = *owner == self.program && data.first() == Some(&TOKEN_TAG);
        let unit = Reader(data.get(UNIT_AT..)?).u64();
        let unit = unit.filter(|unit| is_token && *unit > 0)?;
        Some(U256::from(unit))
    }
}

#[cfg(test)]
mod tests;
