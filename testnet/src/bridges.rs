//! A bridge on each of the two local chains, by which native coin goes to and fro.

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::Provider as _;
use anyhow::{Context, Result, ensure};
use quorate_chain::anvil::AnvilChain;
use quorate_chain::contracts::{Bridge, send};
use quorate_node::RouteText;
use quorate_proto::Route;

use crate::deployment::{HOME_CHAIN, SOURCE_CHAIN, deploy, ether};

/// Wei in a unit of the wire.
const UNIT: u64 = 1_000_000_000;
/// Seconds until a transfer may be closed.
pub(crate) const LIFETIME: u64 = 2 * 3_600;

/// Where the bridges are: on the home chain and on the source chain.
#[derive(Clone, Copy, Debug)]
pub struct Bridges {
    /// On the home chain; asks the stake registry.
    pub home: Address,
    /// On the source chain; asks the light registry.
    pub source: Address,
}

/// Which way a transfer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the home chain.
    ToHome,
    /// To the source chain.
    ToSource,
}

impl Bridges {
    /// Deploys both, each with 1,000 coins to pay out.
    ///
    /// # Errors
    /// A transaction that failed.
    pub async fn deploy(
        chains: [&AnvilChain; 2],
        registries: [Address; 2],
        owner: Address,
    ) -> Result<Self> {
        let mut made = Vec::new();
        for (chain, registry) in chains.into_iter().zip(registries) {
            let builder =
                Bridge::deploy_builder(chain.provider(), registry, owner, owner, 0, 3_600);
            made.push(deploy(builder.from(owner).deploy().await, "Bridge")?);
        }
        let bridges = Self {
            home: made[0],
            source: made[1],
        };
        let peers = [(SOURCE_CHAIN, bridges.source), (HOME_CHAIN, bridges.home)];
        for ((chain, own), (peer_chain, peer)) in chains.into_iter().zip(made).zip(peers) {
            let peer = (peer_chain, peer.into_word(), B256::ZERO);
            open(chain, own, peer, owner).await?;
        }
        Ok(bridges)
    }

    /// From where to where.
    #[must_use]
    pub fn route(&self, way: Way) -> Route {
        let (home, source) = (self.home.into_word(), self.source.into_word());
        match way {
            Way::ToHome => Route {
                source_chain: SOURCE_CHAIN,
                source_contract: source,
                target_chain: HOME_CHAIN,
                target_contract: home,
            },
            Way::ToSource => Route {
                source_chain: HOME_CHAIN,
                source_contract: home,
                target_chain: SOURCE_CHAIN,
                target_contract: source,
            },
        }
    }

    /// Both routes, as nodes are told of them.
    #[must_use]
    pub fn routes(&self) -> Vec<String> {
        let text = |way| {
            let route = self.route(way);
            RouteText {
                route,
                first_block: 0,
            }
            .to_string()
        };
        [Way::ToHome, Way::ToSource].map(text).to_vec()
    }

    /// Sends native coin, in units of the wire; the block of the transaction.
    ///
    /// # Errors
    /// The contract refuses.
    pub async fn send(
        &self,
        chain: &AnvilChain,
        way: Way,
        sender: Address,
        (receiver, units): (Address, u64),
    ) -> Result<u64> {
        let route = self.route(way);
        let own = Address::from_word(route.source_contract);
        let bridge = Bridge::new(own, chain.provider());
        let amount = U256::from(units) * U256::from(UNIT);
        let call = bridge.send(
            route.target_chain,
            route.target_contract,
            Address::ZERO,
            amount,
            Bytes::copy_from_slice(receiver.as_slice()),
            now(chain).await? + LIFETIME,
        );
        let sent = send(call.from(sender).value(amount)).await?;
        let receipt = sent.get_receipt().await?;
        ensure!(receipt.status(), "the bridge takes the transfer not");
        receipt.block_number.context("no block")
    }
}

/// What so many units of the wire are in wei.
#[must_use]
pub fn wei(units: u64) -> U256 {
    U256::from(units) * U256::from(UNIT)
}

pub(crate) async fn now(chain: &AnvilChain) -> Result<u64> {
    let newest = chain.provider().get_block(alloy::eips::BlockId::latest());
    Ok(newest.await?.context("no block")?.header.timestamp)
}

/// Lets native coin come from the peer and go there, under the name that its token has there.
pub(crate) async fn open(
    chain: &AnvilChain,
    own: Address,
    (peer_chain, peer, peer_token): (u64, B256, B256),
    owner: Address,
) -> Result<()> {
    let bridge = Bridge::new(own, chain.provider());
    let token = Bridge::BridgeToken {
        peerChain: peer_chain,
        peerContract: peer,
        peerToken: peer_token,
        token: Address::ZERO,
        mode: 1,
        unit: UNIT.try_into()?,
        perTransfer: ether(10).to(),
        perWindow: ether(1_000).to(),
    };
    let announced = send(bridge.announceToken(token.clone()).from(owner)).await?;
    ensure!(announced.get_receipt().await?.status(), "not announced");
    let set = send(bridge.setToken(token).from(owner)).await?;
    ensure!(set.get_receipt().await?.status(), "not set");
    let id = bridge.idOf(peer_chain, peer, peer_token).call().await?;
    let amount = ether(1_000);
    let funded = send(bridge.fund(id, amount).from(owner).value(amount)).await?;
    ensure!(funded.get_receipt().await?.status(), "not funded");
    Ok(())
}
