//! What a registry does for others over gRPC. A node of another role answers the health check
//! and nothing else.

mod challenges;
mod joining;
mod presences;
mod state;
mod updates;

use std::sync::{Arc, Mutex};

use challenges::Challenges;
use libp2p::PeerId;
use presences::Presences;
use quorate_chain::HomeReader;
use quorate_proto::{Address, Domain, Member, Operator, PeerBinding, RegistryErrorCode, wire};
use quorate_storage::Store;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use crate::clock;
use crate::gossip::Bindings;
use crate::home::HomeHandle;
use crate::network::NetworkHandle;
use crate::network::rpc::{self, refuse, registry_server, registry_sync_server};
use crate::registry::members::MembersHandle;

/// Joins that are checked at a time, each with up to three reads of the home chain.
const MAX_JOINS: usize = 16;

/// What the services are made from.
pub(crate) struct ServiceParts {
    pub(crate) domain: Domain,
    pub(crate) home: HomeHandle,
    pub(crate) reader: Arc<dyn HomeReader>,
    /// At a registry.
    pub(crate) members: Option<MembersHandle>,
    pub(crate) bindings: Bindings,
    pub(crate) network: NetworkHandle,
    pub(crate) store: Store,
}

/// The services.
#[derive(Clone)]
pub(crate) struct Services(Arc<ServiceShared>);

struct ServiceShared {
    parts: ServiceParts,
    challenges: Mutex<Challenges>,
    joins: Semaphore,
    presences: Presences,
}

impl Services {
    pub(crate) fn new(parts: ServiceParts) -> Self {
        Self(Arc::new(ServiceShared {
            parts,
            challenges: Mutex::default(),
            joins: Semaphore::new(MAX_JOINS),
            presences: Presences::default(),
        }))
    }

    /// What the gRPC server serves.
    pub(crate) fn routes(self) -> tonic::service::Routes {
        let registry = registry_server::RegistryServer::new(self.clone())
            .max_decoding_message_size(rpc::MAX_REQUEST_BYTES);
        let sync = registry_sync_server::RegistrySyncServer::new(self)
            .max_decoding_message_size(rpc::MAX_REQUEST_BYTES);
        tonic::service::Routes::new(registry).add_service(sync)
    }

    fn members(&self) -> Result<&MembersHandle, Status> {
        let members = self.0.parts.members.as_ref();
        members.ok_or_else(|| Status::unimplemented("this node is no registry"))
    }

    fn check_network(&self, network: &str) -> Result<(), Status> {
        let own = self.0.parts.domain.network().to_string();
        if own == network {
            return Ok(());
        }
        let text = format!("this registry is of network {own}, not of {network:?}");
        Err(refuse(RegistryErrorCode::WrongNetwork, text))
    }

    /// What keeps this node from its job.
    fn problems(&self) -> Vec<String> {
        let view = self.0.parts.home.view();
        let mut problems: Vec<String> = view.problem.into_iter().collect();
        if view.current.is_none() {
            problems.push("the operator set is not known yet".into());
        }
        if let Some(cause) = self.0.parts.store.failed() {
            problems.push(format!("the store takes no writes: {cause}"));
        }
        problems
    }

    /// Everything a registry says stands on a home chain that it follows.
    fn ready(&self) -> Result<(), Status> {
        match self.0.parts.home.view().current {
            Some(_) => Ok(()),
            None => {
                let text = "the registry has not read its home chain yet; try again soon";
                Err(refuse(RegistryErrorCode::Unavailable, text))
            }
        }
    }

    /// The key that the home chain has for a member, where it made this binding.
    ///
    /// # Errors
    /// The home chain cannot be read.
    pub(crate) async fn vouches(
        &self,
        member: &Member,
        binding: &PeerBinding,
    ) -> Result<Option<Address>, Status> {
        let active_epoch = wire::OperatorState::from(member).active_epoch;
        let keys = self.keys_of(member.operator, active_epoch).await?;
        let (key, domain) = (keys.signing_key, &self.0.parts.domain);
        Ok(binding.verify(key, domain).is_ok().then_some(key))
    }

    /// Keeps a binding that `key` made; whether it is the one that counts now.
    pub(crate) fn keep_binding(&self, binding: PeerBinding, key: Address) -> bool {
        self.0.parts.bindings.keep(binding, key)
    }

    /// Whether the binding by which a member has joined still counts: its key may be gone.
    pub(crate) fn is_bound(&self, member: &Member) -> bool {
        let known = self.0.parts.bindings.of(member.operator);
        let bound = member.binding.map(|bound| bound.sequence);
        known.map(|known| known.sequence) >= bound
    }

    /// The keys that the home chain has for an operator: those of the current epoch, or of the
    /// first one in which it takes part.
    async fn keys_of(&self, operator: Address, active_epoch: u32) -> Result<Operator, Status> {
        let ServiceParts { home, reader, .. } = &self.0.parts;
        let unavailable = |text: String| refuse(RegistryErrorCode::Unavailable, text);
        let view = home.view();
        let (Some(set), Some(head)) = (view.current, view.head) else {
            return Err(unavailable("the home chain was not read yet".into()));
        };
        if let Some(member) = set.get(operator) {
            return Ok(*member);
        }
        let epoch = set.epoch().max(quorate_proto::Epoch(active_epoch));
        let read = reader.operator(epoch, operator, head.hash).await;
        read.map_err(|error| unavailable(format!("the home chain cannot be read: {error}")))
    }
}

/// 20 bytes of a request.
fn address(field: &'static str, bytes: &[u8]) -> Result<Address, Status> {
    Address::try_from(bytes).map_err(|_| {
        let text = format!("{field}: must be an address of 20 bytes");
        refuse(RegistryErrorCode::Invalid, text)
    })
}

/// An address, or none where the field is empty.
fn some_address(field: &'static str, bytes: &[u8]) -> Result<Option<Address>, Status> {
    let some = (!bytes.is_empty()).then(|| address(field, bytes));
    some.transpose()
}

type RpcAnswer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl registry_server::Registry for Services {
    async fn get_join_challenge(
        &self,
        request: Request<wire::ChallengeRequest>,
    ) -> RpcAnswer<wire::Challenge> {
        let peer: PeerId = rpc::caller(&request)?;
        self.challenge(peer, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn join_network(
        &self,
        request: Request<wire::JoinRequest>,
    ) -> RpcAnswer<wire::JoinReply> {
        let peer = rpc::caller(&request)?;
        self.join(peer, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn health_check(
        &self,
        request: Request<wire::HealthRequest>,
    ) -> RpcAnswer<wire::HealthReply> {
        let peer = rpc::caller(&request)?;
        let request = request.into_inner();
        let operator = some_address("operator", &request.operator)?;
        let view = self.0.parts.home.view();
        let presence = operator.and_then(|operator| self.present(operator, &request, &view));
        let bound = operator.and_then(|operator| self.0.parts.bindings.of(operator));
        let problems = self.problems();
        let mut status = wire::OperatorStatus::Unspecified;
        if let (Some(members), Some(operator)) = (&self.0.parts.members, operator)
            && let Some(member) = members.member(operator).await
        {
            status = member.status.into();
        }
        Ok(Response::new(wire::HealthReply {
            healthy: problems.is_empty(),
            problems,
            epoch: view.current.map_or(0, |set| set.epoch().0),
            block_number: view.head.map_or(0, |head| head.number),
            time_ms: clock::now().millis(),
            status: status.into(),
            presence: presence.as_ref().map(Into::into),
            bound: bound.map_or(0, |binding| binding.sequence),
            other: operator
                .and_then(|operator| self.0.parts.bindings.other_of(&peer, operator))
                .as_ref()
                .map(Into::into),
        }))
    }

    type SubscribeStateUpdatesStream = updates::UpdateStream;

    async fn subscribe_state_updates(
        &self,
        request: Request<wire::SubscribeRequest>,
    ) -> RpcAnswer<Self::SubscribeStateUpdatesStream> {
        self.subscribe(&request.into_inner()).map(Response::new)
    }

    async fn get_operators(
        &self,
        request: Request<wire::OperatorsRequest>,
    ) -> RpcAnswer<wire::OperatorsReply> {
        self.operators(request.into_inner())
            .await
            .map(Response::new)
    }

    async fn get_network(
        &self,
        _request: Request<wire::NetworkRequest>,
    ) -> RpcAnswer<wire::NetworkReply> {
        self.network().await.map(Response::new)
    }

    async fn get_events(
        &self,
        request: Request<wire::EventsRequest>,
    ) -> RpcAnswer<wire::EventsReply> {
        self.events(&request.into_inner()).map(Response::new)
    }
}

#[tonic::async_trait]
impl registry_sync_server::RegistrySync for Services {
    async fn sync_state(&self, request: Request<wire::SyncRequest>) -> RpcAnswer<wire::SyncReply> {
        self.sync(&request.into_inner()).await.map(Response::new)
    }

    type StreamStateUpdatesStream = updates::UpdateStream;

    async fn stream_state_updates(
        &self,
        request: Request<wire::SubscribeRequest>,
    ) -> RpcAnswer<Self::StreamStateUpdatesStream> {
        self.subscribe(&request.into_inner()).map(Response::new)
    }
}

#[cfg(test)]
mod tests;
