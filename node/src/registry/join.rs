//! An operator at its registries: it joins each of them, again after every break, hears from
//! them who else takes part, and compares what they say.

mod binding_importer;
mod standing;

use std::sync::Arc;
use std::time::Duration;

use libp2p::{Multiaddr, PeerId};
use quorate_proto::{
    B256, Domain, Epoch, JoinProof, JoinRequest, OperatorStatus, PeerBinding, RegistryErrorCode,
    limits, wire,
};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

pub(crate) use binding_importer::BindingImporter;
pub(crate) use standing::{RegistryStanding, RegistryStandings};

use crate::NodeError;
use crate::home::EpochView;
use crate::keys::Signer;
use crate::network::NetworkHandle;
use crate::network::rpc::{self, Caller, RegistryClient};
use crate::signing::lease::LeaseHandle;

type JoinClient = RegistryClient<tonic::transport::Channel>;

/// How often a registry is asked how it is and what it knows.
const LOOK: Duration = Duration::from_secs(3);
/// First pause after a failure; doubled each time.
const MIN_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause before a registry that is out of reach is tried again.
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// Longest pause after a refusal, which takes the operator to mend it, or an epoch: the next one ends
/// the pause. Longer than a registry takes to forget a failed join.
const MAX_REFUSED_PAUSE: Duration = Duration::from_secs(20);
/// Pages of operators that are believed of one registry: more than there are members at all.
const MAX_PAGES: usize = limits::MAX_MEMBERS / limits::MAX_PAGE + 1;

/// Who joins.
pub(crate) struct Applicant {
    pub(crate) domain: Domain,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) binding: PeerBinding,
}

/// The joining task.
pub(crate) struct Join {
    inner: Arc<JoinShared>,
    registries: Vec<PeerId>,
    lease: LeaseHandle,
}

struct JoinShared {
    me: Applicant,
    caller: Caller,
    network: NetworkHandle,
    adopter: BindingImporter,
    standings: RegistryStandings,
}

/// Why a session with a registry ended.
enum JoinFailure {
    /// The peer is none.
    NoRegistry,
    OutOfReach(String),
    Refused(String),
}

impl From<Status> for JoinFailure {
    fn from(status: Status) -> Self {
        use RegistryErrorCode::{Overloaded, StaleChallenge, Unavailable};
        match rpc::explain(&status) {
            Some(error) if [Overloaded, StaleChallenge, Unavailable].contains(&error.code()) => {
                Self::OutOfReach(error.message)
            }
            Some(error) => Self::Refused(error.message),
            None if status.code() == Code::Unimplemented => Self::NoRegistry,
            None => Self::OutOfReach(rpc::report(&status)),
        }
    }
}

fn newest_epoch(view: &EpochView) -> Option<Epoch> {
    view.sets().iter().map(|set| set.epoch()).max()
}

/// Returns when the newest set is another one; never, where the node ends.
async fn another_set(views: &mut watch::Receiver<EpochView>, newest: Option<Epoch>) {
    let other = |view: &EpochView| newest_epoch(view) != newest;
    if views.wait_for(other).await.is_err() {
        std::future::pending().await
    }
}

impl Join {
    /// `registries` are the bootstrap peers; those that are none say so.
    pub(crate) fn new(
        me: Applicant,
        caller: Caller,
        network: NetworkHandle,
        adopter: BindingImporter,
        registries: Vec<PeerId>,
        lease: LeaseHandle,
    ) -> (Self, RegistryStandings) {
        let standings = RegistryStandings::new(&registries);
        let inner = Arc::new(JoinShared {
            me,
            caller,
            network,
            adopter,
            standings: standings.clone(),
        });
        let join = Self {
            inner,
            registries,
            lease,
        };
        (join, standings)
    }

    /// Runs until `token` is cancelled; joins no registry without the lease.
    pub(crate) async fn run(mut self, token: CancellationToken) -> Result<(), NodeError> {
        let mut listen = self.inner.network.listen.clone();
        let mut sessions = JoinSet::new();
        tokio::select! {
            _ = listen.wait_for(|addresses| !addresses.is_empty()) => {}
            () = token.cancelled() => return Ok(()),
        }
        match token.run_until_cancelled(self.lease.settled()).await {
            Some(true) => {}
            Some(false) => {
                token.cancelled().await;
                return Ok(());
            }
            None => return Ok(()),
        }
        for peer in self.registries {
            sessions.spawn(self.inner.clone().attend(peer));
        }
        token.cancelled().await;
        Ok(())
    }
}

impl JoinShared {
    /// One session after the other, for ever.
    async fn attend(self: Arc<Self>, peer: PeerId) {
        let mut client = self.caller.registry(peer);
        let mut epochs = self.adopter.home().watch();
        let mut failures = 0;
        loop {
            let mut joined = false;
            let Err(failure) = self.session(peer, &mut client, &mut joined).await;
            failures = if joined { 0 } else { failures + 1 };
            let pause = self.fail(peer, failure, failures);
            let epoch = self.adopter.home().view().current.map(|set| set.epoch());
            let other = |set: &quorate_proto::OperatorSet| Some(set.epoch()) != epoch;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = epochs.wait_for(|view| view.current.as_deref().is_some_and(other)) => {}
            }
        }
    }

    fn fail(&self, peer: PeerId, failure: JoinFailure, failures: u32) -> Duration {
        let pause = MIN_PAUSE.saturating_mul(1 << failures.min(10));
        match failure {
            JoinFailure::NoRegistry => {
                self.standings.set(peer, RegistryStanding::NoRegistry);
                MAX_REFUSED_PAUSE
            }
            JoinFailure::OutOfReach(problem) => {
                tracing::debug!(%peer, problem, "registry out of reach");
                self.standings
                    .set(peer, RegistryStanding::OutOfReach(problem));
                pause.min(MAX_PAUSE)
            }
            JoinFailure::Refused(problem) => {
                if failures == 1 {
                    tracing::warn!(registry = %peer, problem, "not joined");
                }
                self.standings.set(peer, RegistryStanding::Refused(problem));
                pause.min(MAX_REFUSED_PAUSE)
            }
        }
    }

    /// Joins, learns who is there, then listens until something breaks.
    async fn session(
        &self,
        peer: PeerId,
        client: &mut JoinClient,
        joined: &mut bool,
    ) -> Result<std::convert::Infallible, JoinFailure> {
        let after = self.join(peer, client).await?;
        *joined = true;
        let mut epochs = self.adopter.home().watch();
        let mut learned = self.learn_operators(client).await?;
        let subscribe = wire::SubscribeRequest {
            network: self.me.domain.network().to_string(),
            after,
        };
        let updates = client.subscribe_state_updates(subscribe).await?;
        let mut updates = updates.into_inner();
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                update = updates.message() => match update? {
                    Some(update) => self.take(update).await,
                    None => return Err(JoinFailure::OutOfReach("it ended the updates".into())),
                },
                _ = look.tick() => self.look(peer, client).await?,
                () = another_set(&mut epochs, learned) => {
                    learned = self.learn_operators(client).await?;
                }
            }
        }
    }

    /// Both steps; the number of the registry's newest update.
    async fn join(&self, peer: PeerId, client: &mut JoinClient) -> Result<u64, JoinFailure> {
        let request = wire::ChallengeRequest {
            network: self.me.domain.network().to_string(),
            operator: self.me.binding.operator.to_vec(),
        };
        let challenge = client.get_join_challenge(request).await?.into_inner();
        let malformed = |_| JoinFailure::OutOfReach("its challenge has not 32 bytes".into());
        let challenge = B256::try_from(challenge.challenge.as_slice()).map_err(malformed)?;
        let proof = self
            .prove(challenge)
            .await
            .map_err(JoinFailure::OutOfReach)?;
        let request = JoinRequest {
            proof,
            binding: self.me.binding,
            addresses: self.addresses(),
        };
        let reply = client
            .join_network(wire::JoinRequest::from(&request))
            .await?;
        let reply = reply.into_inner();
        for address in reply.peers.iter().filter_map(|text| text.parse().ok()) {
            self.adopter.learn(&address).await;
        }
        let status = reply.operator.map(|state| state.status());
        let status = status.and_then(OperatorStatus::from_wire);
        self.standings.set(peer, RegistryStanding::Joined(status));
        tracing::info!(registry = %peer, status = status.map_or("unknown", OperatorStatus::name), "joined");
        Ok(reply.sequence)
    }

    async fn prove(&self, challenge: B256) -> Result<JoinProof, String> {
        let Applicant {
            domain,
            signer,
            binding,
            ..
        } = &self.me;
        let (operator, peer_key) = (binding.operator, binding.peer_key);
        let digest = JoinProof::digest(domain, operator, peer_key, challenge);
        let signature = signer
            .sign(digest)
            .await
            .map_err(|error| error.to_string())?;
        Ok(JoinProof {
            operator,
            peer_key,
            challenge,
            signature,
        })
    }

    /// Where others reach this node.
    fn addresses(&self) -> Vec<String> {
        let place = |address: &Multiaddr| {
            let place =
                binding_importer::split_peer(address).map_or_else(|| address.clone(), |(_, p)| p);
            place.to_string()
        };
        self.network.own_addresses().iter().map(place).collect()
    }

    /// Every operator that takes part, page by page; the newest epoch with whose set they were verified.
    /// Bindings made by keys that no known set has are passed over, so each new set calls for another
    /// look.
    async fn learn_operators(&self, client: &mut JoinClient) -> Result<Option<Epoch>, JoinFailure> {
        let newest = newest_epoch(&self.adopter.home().view());
        let mut after = Vec::new();
        for _ in 0..MAX_PAGES {
            let request = wire::OperatorsRequest {
                after: std::mem::take(&mut after),
                ..wire::OperatorsRequest::default()
            };
            let page = client.get_operators(request).await?.into_inner();
            for state in &page.operators {
                self.adopter.adopt(state).await;
            }
            let Some(last) = page.operators.last().filter(|_| page.more) else {
                break;
            };
            after = last.operator.clone();
        }
        Ok(newest)
    }

    async fn take(&self, update: wire::StateUpdate) {
        if let Some(state) = &update.operator {
            self.adopter.adopt(state).await;
        }
    }

    /// How the registry is, and what it thinks of this operator: who lost its join asks for
    /// another one.
    async fn look(&self, peer: PeerId, client: &mut JoinClient) -> Result<(), JoinFailure> {
        let request = wire::HealthRequest {
            operator: self.me.binding.operator.to_vec(),
            ..wire::HealthRequest::default()
        };
        let health = client.health_check(request).await?.into_inner();
        let status = OperatorStatus::from_wire(health.status());
        if matches!(status, None | Some(OperatorStatus::WaitingJoin)) {
            return Err(JoinFailure::OutOfReach(
                "it does not know of the join".into(),
            ));
        }
        let network = client
            .get_network(wire::NetworkRequest {})
            .await?
            .into_inner();
        self.standings.set(peer, RegistryStanding::Joined(status));
        let hash = B256::try_from(network.state_hash.as_slice()).unwrap_or_default();
        self.standings.heard(peer, hash);
        Ok(())
    }
}
