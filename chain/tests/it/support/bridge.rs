//! A contract that says whatever it is told to say, as a bridge's does.

use std::sync::Arc;

use alloy::primitives::{Address, B256, Bytes, LogData, U256, hex};
use alloy::providers::Provider;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::SolEvent;
use quorate_chain::anvil::AnvilChain;
use quorate_chain::evm::{EvmClient, EvmSettings, EvmTransfers};
use quorate_chain::rpc::RpcUrl;
use quorate_chain::{Finality, ReadLog, SeenTransfer, TransferPage, TransferReader};
use quorate_proto::Route;

use super::{chain_config, distinct};
use crate::support::double::{Behaviour, Double};

type Failed = Box<dyn std::error::Error + Send + Sync>;

mod abi {
    alloy::sol! {
        event TransferSent(bytes32 indexed route, uint64 indexed nonce, bytes32 indexed sender, uint64 targetChain, bytes32 targetContract, bytes receiver, bytes32 token, uint256 amount, uint64 deadline);
    }
}

pub(crate) use abi::TransferSent;

/// Emits four topics and what follows them as an event. A call of 36 bytes is answered with the word of storage
/// at the argument, one of 4 bytes with that at the selector.
const CODE: &str = "60243614602957600436146036576080360380608060003760603560403560203560003584600\
    0a4005b60043554600052602060\
    00f35b60003560e01c5460005260206000f3";

pub(crate) const TARGET: (u64, B256) = (5, B256::repeat_byte(5));

/// A chain with that contract.
pub(crate) struct Bridge {
    pub anvil: AnvilChain,
    pub contract: Address,
}

impl Bridge {
    pub(crate) async fn start() -> Result<Self, Failed> {
        let anvil = AnvilChain::start(Default::default()).await?;
        let bridge = Self {
            anvil,
            contract: Address::repeat_byte(0xb1),
        };
        bridge.put_code(bridge.contract).await?;
        Ok(bridge)
    }

    pub(crate) async fn put_code(&self, at: Address) -> Result<(), Failed> {
        let code = Bytes::from(hex::decode(CODE.replace(['\n', ' '], ""))?);
        self.request("anvil_setCode", (at, code)).await
    }

    async fn request<P: alloy::rpc::json_rpc::RpcSend>(
        &self,
        method: &'static str,
        params: P,
    ) -> Result<(), Failed> {
        let provider = self.anvil.provider();
        let _: serde_json::Value = provider.raw_request(method.into(), params).await?;
        Ok(())
    }

    /// What it is called with the word `slot`, it answers with `value`, once a block is mined.
    pub(crate) async fn answer(&self, slot: B256, value: u64) -> Result<(), Failed> {
        let value = B256::from(U256::from(value));
        self.request("anvil_setStorageAt", (self.contract, slot, value))
            .await
    }

    pub(crate) fn name(&self) -> B256 {
        self.contract.into_word()
    }

    pub(crate) fn route(&self) -> B256 {
        let route = Route {
            source_chain: self.anvil.chain_id(),
            source_contract: self.name(),
            target_chain: TARGET.0,
            target_contract: TARGET.1,
        };
        route.id()
    }

    pub(crate) fn event(&self, nonce: u64) -> TransferSent {
        TransferSent {
            route: self.route(),
            nonce,
            sender: B256::repeat_byte(1),
            targetChain: TARGET.0,
            targetContract: TARGET.1,
            receiver: Bytes::from([7; 32]),
            token: B256::repeat_byte(2),
            amount: U256::from(100 + nonce),
            deadline: 1_900_000_000,
        }
    }

    /// Emits the transfers with these nonces, in a block of their own each.
    pub(crate) async fn emit(&self, nonces: impl IntoIterator<Item = u64>) -> Result<(), Failed> {
        for nonce in nonces {
            self.emit_log(self.contract, self.event(nonce).encode_log_data())
                .await?;
        }
        Ok(())
    }

    /// Emits them in one block.
    pub(crate) async fn emit_together(
        &self,
        nonces: impl IntoIterator<Item = u64>,
    ) -> Result<(), Failed> {
        self.anvil.set_automine(false).await?;
        for nonce in nonces {
            let data = self.event(nonce).encode_log_data();
            let _ = self.send(self.contract, data).await?;
        }
        self.anvil.mine(1).await?;
        self.anvil.set_automine(true).await?;
        Ok(())
    }

    pub(crate) async fn emit_log(&self, at: Address, log: LogData) -> Result<(), Failed> {
        let sent = self.send(at, log).await?;
        assert!(sent.get_receipt().await?.status());
        Ok(())
    }

    async fn send(
        &self,
        at: Address,
        log: LogData,
    ) -> Result<alloy::providers::PendingTransactionBuilder<alloy::network::Ethereum>, Failed> {
        let mut data: Vec<u8> = log.topics().iter().flatten().copied().collect();
        data.extend_from_slice(&log.data);
        let transaction = TransactionRequest::default()
            .from(self.anvil.accounts()[0])
            .to(at)
            .input(Bytes::from(data).into())
            .gas_limit(200_000);
        Ok(self.anvil.provider().send_transaction(transaction).await?)
    }

    pub(crate) async fn double(&self, behaviour: Behaviour) -> Double {
        Double::start(self.anvil.endpoint(), behaviour).await
    }

    pub(crate) fn url(&self) -> RpcUrl {
        self.anvil.url().expect("a URL")
    }

    /// A reader over these providers.
    pub(crate) async fn reader(&self, rpc: Vec<RpcUrl>, finality: Finality) -> EvmTransfers {
        EvmTransfers::new(self.client(rpc, finality).await)
    }

    pub(crate) async fn client(&self, rpc: Vec<RpcUrl>, finality: Finality) -> Arc<EvmClient> {
        let config = chain_config(self.anvil.chain_id(), distinct(rpc), finality);
        EvmClient::connected(&config, EvmSettings::default())
            .await
            .expect("a client")
    }

    /// All transfers of these blocks, page by page, and how many pages those were.
    pub(crate) async fn read(
        &self,
        reader: &EvmTransfers,
        from: u64,
        to: u64,
    ) -> Result<(TransferPage, usize), Failed> {
        let (mut all, mut pages) = (TransferPage::default(), 0);
        all.next = from;
        while all.next <= to {
            let log = ReadLog::default();
            let page = reader.transfers(self.name(), all.next, to, &log).await?;
            assert!(page.next > all.next, "every page goes on");
            all.transfers.extend(page.transfers);
            all.malformed.extend(page.malformed);
            all.next = page.next;
            pages += 1;
        }
        Ok((all, pages))
    }
}

pub(crate) fn nonces(transfers: &[SeenTransfer]) -> Vec<u64> {
    transfers.iter().map(|seen| seen.transfer.nonce).collect()
}
