//! What a registry tells of its network, page by page.

use quorate_proto::{Member, OperatorStatus, RegistryErrorCode, limits, wire};
use quorate_storage::schema;
use tonic::Status;

use super::{Services, some_address};
use crate::network::peer_id_of;
use crate::network::rpc::refuse;
use crate::registry::members::{self, EventFilter, MemberPage, PageFilter};

/// Peers named to an operator that has just joined; the rest comes with the operators.
const SOME_PEERS: usize = 32;

impl Services {
    /// A member as others are told of it, with its signed binding and its addresses.
    pub(super) fn state_of(&self, member: &Member) -> wire::OperatorState {
        let mut state = wire::OperatorState::from(member);
        if let Some(bound) = member.binding {
            let binding = self.0.parts.bindings.of(member.operator);
            let same = binding.filter(|known| known.peer_key == bound.peer_key);
            state.binding = same.as_ref().map(Into::into);
            state.addresses = self.addresses_of(&bound.peer_key);
        }
        state
    }

    /// Where a peer was last known to listen.
    pub(super) fn addresses_of(&self, peer_key: &[u8; 32]) -> Vec<String> {
        let Some(peer) = peer_id_of(peer_key) else {
            return Vec::new();
        };
        let store = &self.0.parts.store;
        let record = store.get(schema::PEERS, &peer.to_bytes()).ok().flatten();
        let mut addresses = record.map(|record| record.addresses).unwrap_or_default();
        addresses.retain(|address| address.len() <= limits::MAX_ADDRESS_BYTES);
        addresses.truncate(limits::MAX_ADDRESSES);
        addresses
    }

    pub(super) async fn some_peers(&self) -> Vec<String> {
        let peers = self.0.parts.network.peers().await;
        let mut named = Vec::new();
        for info in peers.into_iter().take(SOME_PEERS) {
            let store = &self.0.parts.store;
            let record = store.get(schema::PEERS, &info.peer.to_bytes());
            let addresses = record.ok().flatten().map(|record| record.addresses);
            let first = addresses.and_then(|addresses| addresses.first()?.parse().ok());
            let address: Option<libp2p::Multiaddr> = first;
            let with_peer = |address: libp2p::Multiaddr| {
                address
                    .with_p2p(info.peer)
                    .unwrap_or_else(|address| address)
            };
            named.extend(address.map(with_peer).map(|address| address.to_string()));
        }
        named
    }

    pub(super) async fn operators(
        &self,
        request: wire::OperatorsRequest,
    ) -> Result<wire::OperatorsReply, Status> {
        let page = PageFilter {
            after: some_address("after", &request.after)?,
            statuses: request
                .statuses()
                .filter_map(OperatorStatus::from_wire)
                .collect(),
            limit: page_size(request.limit),
        };
        if page.statuses.is_empty() && !request.statuses.is_empty() {
            let text = "statuses: none of them is known";
            return Err(refuse(RegistryErrorCode::Invalid, text));
        }
        let MemberPage { roll, more } = self.members()?.page(page).await;
        Ok(wire::OperatorsReply {
            epoch: roll.epoch.map_or(0, |epoch| epoch.0),
            operators: roll
                .members
                .iter()
                .map(|member| self.state_of(member))
                .collect(),
            more,
        })
    }

    pub(super) async fn network(&self) -> Result<wire::NetworkReply, Status> {
        self.ready()?;
        let parts = &self.0.parts;
        let unavailable = |text: &str| refuse(RegistryErrorCode::Unavailable, text);
        let schedule = parts.reader.schedule().await;
        let schedule = schedule.map_err(|_| unavailable("the home chain cannot be read"))?;
        let view = parts.home.view();
        let set = view
            .current
            .ok_or_else(|| unavailable("no epoch has begun"))?;
        let summary = self.members()?.summary().await;
        let active = summary.statuses.get(&OperatorStatus::Active);
        Ok(wire::NetworkReply {
            network: parts.domain.network().to_string(),
            home_chain_id: parts.domain.home_chain_id(),
            registry: parts.reader.registry().to_vec(),
            epoch: set.epoch().0,
            genesis_block: schedule.genesis,
            epoch_length: schedule.length,
            grace_length: schedule.grace,
            block_number: view.head.map_or(0, |head| head.number),
            total_weight: set.total_weight().to_be_bytes_vec(),
            threshold: set.threshold().to_be_bytes_vec(),
            active: active.copied().unwrap_or_default(),
            sequence: summary.sequence,
            state_hash: summary.state_hash.to_vec(),
        })
    }

    pub(super) fn events(
        &self,
        request: &wire::EventsRequest,
    ) -> Result<wire::EventsReply, Status> {
        self.members()?;
        let filter = EventFilter {
            operator: some_address("operator", &request.operator)?,
            behind: (request.after > 0).then_some(request.after),
            newest_first: false,
            limit: page_size(request.limit),
        };
        let page = members::events(&self.0.parts.store, filter)
            .map_err(|error| refuse(RegistryErrorCode::Unavailable, error.to_string()))?;
        Ok(wire::EventsReply {
            events: page.events,
            more: page.more,
        })
    }

    pub(super) async fn sync(
        &self,
        request: &wire::SyncRequest,
    ) -> Result<wire::SyncReply, Status> {
        self.check_network(&request.network)?;
        self.ready()?;
        let page = PageFilter {
            after: some_address("after", &request.after)?,
            limit: limits::MAX_PAGE,
            ..PageFilter::default()
        };
        let MemberPage { roll, more } = self.members()?.page(page).await;
        Ok(wire::SyncReply {
            epoch: roll.epoch.map_or(0, |epoch| epoch.0),
            sequence: roll.sequence,
            state_hash: roll.state_hash.to_vec(),
            operators: roll
                .members
                .iter()
                .map(|member| self.state_of(member))
                .collect(),
            more,
        })
    }
}

fn page_size(asked: u32) -> usize {
    match usize::try_from(asked) {
        Ok(0) | Err(_) => limits::MAX_PAGE,
        Ok(asked) => asked.min(limits::MAX_PAGE),
    }
}
