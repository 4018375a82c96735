//! What a registry takes over from the other registries: bindings, because the operators' own
//! keys signed them, and misses, where more than half of all registries count alike.
//!
//! What comes from the home chain each of them reads for itself, so there is nothing to believe.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libp2p::PeerId;
use quorate_proto::{Address, Member, OperatorStatus, PeerBinding, limits, wire};
use quorate_protocols::membership::Input;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::NodeError;
use crate::network::rpc::{self, Caller, RegistrySyncClient};
use crate::registry::join::BindingImporter;
use crate::registry::members::{MemberList, MembersHandle};
use crate::registry::service::Services;

/// How often the registries' counts are compared. Those that have changed since are left to the
/// next time: each registry closes a window on its own clock.
const COMPARE: Duration = Duration::from_secs(3);
/// First and longest pause before a registry is tried again.
const MIN_PAUSE: Duration = Duration::from_millis(500);
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// Pause before a peer that is no registry is asked again.
const STRANGER_PAUSE: Duration = Duration::from_secs(60);
/// Times that a state which changes between its pages is begun anew.
const MAX_TRIES: usize = 8;
/// Operators that are believed of one registry, at about 500 bytes each.
const MAX_CLAIMS: usize = limits::MAX_MEMBERS;

type ReplicaClient = RegistrySyncClient<Channel>;

/// What one registry says.
#[derive(Default)]
struct Claims {
    /// The peer says that it is no registry.
    stranger: bool,
    states: HashMap<Address, wire::OperatorState>,
}

/// The replicating task of a registry.
pub(crate) struct Replica {
    inner: Arc<ReplicaShared>,
    others: Vec<PeerId>,
}

struct ReplicaShared {
    domain: String,
    caller: Caller,
    members: MembersHandle,
    services: Services,
    adopter: BindingImporter,
    claims: Mutex<HashMap<PeerId, Claims>>,
}

/// Why a session ended.
enum ReplicaFailure {
    Stranger,
    Lost(String),
}

impl From<Status> for ReplicaFailure {
    fn from(status: Status) -> Self {
        match status.code() {
            Code::Unimplemented => Self::Stranger,
            _ => Self::Lost(rpc::report(&status)),
        }
    }
}

impl Replica {
    /// `others` are the bootstrap peers: the registries among them are those that count.
    pub(crate) fn new(
        network: String,
        caller: Caller,
        members: MembersHandle,
        services: Services,
        adopter: BindingImporter,
        others: Vec<PeerId>,
    ) -> Self {
        let claims = others.iter().map(|peer| (*peer, Claims::default()));
        let inner = ReplicaShared {
            domain: network,
            caller,
            members,
            services,
            adopter,
            claims: Mutex::new(claims.collect()),
        };
        let inner = Arc::new(inner);
        Self { inner, others }
    }

    /// Runs until `token` is cancelled.
    pub(crate) async fn run(self, token: CancellationToken) -> Result<(), NodeError> {
        let mut sessions = JoinSet::new();
        for peer in self.others {
            sessions.spawn(self.inner.clone().attend(peer));
        }
        tokio::select! {
            () = self.inner.compare() => {}
            () = token.cancelled() => {}
        }
        Ok(())
    }
}

impl ReplicaShared {
    async fn attend(self: Arc<Self>, peer: PeerId) {
        let mut client = self.caller.registry_sync(peer);
        let mut pause = MIN_PAUSE;
        loop {
            let mut synced = false;
            let Err(failure) = self.session(peer, &mut client, &mut synced).await;
            pause = match (failure, synced) {
                (ReplicaFailure::Stranger, _) => {
                    self.with(peer, |claims| claims.stranger = true);
                    STRANGER_PAUSE
                }
                (ReplicaFailure::Lost(problem), synced) => {
                    tracing::debug!(registry = %peer, problem, "not in touch with a registry");
                    // What it said stands no longer: it counts as silent.
                    self.with(peer, |claims| claims.states.clear());
                    if synced {
                        MIN_PAUSE
                    } else {
                        pause.saturating_mul(2).min(MAX_PAUSE)
                    }
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// The whole state, then each change of it.
    async fn session(
        &self,
        peer: PeerId,
        client: &mut ReplicaClient,
        synced: &mut bool,
    ) -> Result<Infallible, ReplicaFailure> {
        let mut tries = 0..MAX_TRIES;
        let after = loop {
            if tries.next().is_none() {
                return Err(ReplicaFailure::Lost("its state changes too fast".into()));
            }
            if let Some(sequence) = self.sync(peer, client).await? {
                break sequence;
            }
        };
        *synced = true;
        tracing::info!(registry = %peer, after, "in touch with a registry");
        let request = wire::SubscribeRequest {
            network: self.domain.clone(),
            after,
        };
        let mut updates = client.stream_state_updates(request).await?.into_inner();
        while let Some(update) = updates.message().await? {
            if let Some(state) = &update.operator {
                self.take(peer, state).await;
            }
        }
        Err(ReplicaFailure::Lost("it ended the updates".into()))
    }

    /// All pages; `None` where the state changed between two of them.
    async fn sync(
        &self,
        peer: PeerId,
        client: &mut ReplicaClient,
    ) -> Result<Option<u64>, ReplicaFailure> {
        self.with(peer, |claims| *claims = Claims::default());
        let mut after = Vec::new();
        let mut sequence = None;
        loop {
            let request = wire::SyncRequest {
                network: self.domain.clone(),
                after: std::mem::take(&mut after),
            };
            let page = client.sync_state(request).await?.into_inner();
            if sequence.is_some_and(|sequence| sequence != page.sequence) {
                return Ok(None);
            }
            sequence = Some(page.sequence);
            for state in &page.operators {
                self.take(peer, state).await;
            }
            let Some(last) = page.operators.last().filter(|_| page.more) else {
                return Ok(sequence);
            };
            after = last.operator.clone();
        }
    }

    /// Also of operators that the home chain has not shown yet.
    async fn take(&self, peer: PeerId, state: &wire::OperatorState) {
        let Ok(operator) = Address::try_from(state.operator.as_slice()) else {
            return;
        };
        self.with(peer, |claims| {
            if claims.states.len() < MAX_CLAIMS || claims.states.contains_key(&operator) {
                claims.states.insert(operator, state.clone());
            }
        });
        if let Some(member) = self.members.member(operator).await {
            self.take_binding(&member, peer, state).await;
        }
    }

    /// As good as a join here, if the key of the home chain made it.
    async fn take_binding(&self, member: &Member, peer: PeerId, state: &wire::OperatorState) {
        let operator = member.operator;
        let binding = state.binding.as_ref().map(PeerBinding::try_from);
        let Some(Ok(binding)) = binding else {
            return;
        };
        let known = member.binding.map(|known| known.sequence);
        let is_old = known >= Some(binding.sequence) && self.services.is_bound(member);
        if binding.operator != operator || is_old {
            return;
        }
        // Where the home chain is out of reach, the next comparison tries again.
        let Ok(key) = self.services.vouches(member, &binding).await else {
            return;
        };
        let Some(key) = key else {
            tracing::warn!(%operator, registry = %peer,
                "a registry has a binding that the operator's key did not make");
            return self.forget_binding(peer, operator);
        };
        // Before the transition, so that a subscriber that hears of that is told it.
        let counts = self.services.keep_binding(binding, key);
        let joined = Input::Joined {
            operator,
            peer_key: binding.peer_key,
            sequence: binding.sequence,
            counts,
        };
        match self.members.tell(joined).await {
            Some(Ok(())) => _ = self.adopter.adopt(state).await,
            Some(Err(refused)) => {
                tracing::debug!(%operator, %refused, "a binding is not taken over");
                self.forget_binding(peer, operator);
            }
            None => {}
        }
    }

    fn forget_binding(&self, peer: PeerId, operator: Address) {
        self.with(peer, |claims| {
            if let Some(state) = claims.states.get_mut(&operator) {
                state.binding = None;
            }
        });
    }

    /// Compares for ever.
    async fn compare(&self) {
        let mut period = tokio::time::interval(COMPARE);
        let mut before = HashMap::new();
        loop {
            period.tick().await;
            let MemberList { members, .. } = self.members.roll().await;
            for (peer, state, member) in self.newer_bindings(&members) {
                self.take_binding(member, peer, &state).await;
            }
            let (counts, registries) = self.counts();
            for member in members.iter().filter(|m| serves(m)) {
                let Some(misses) = counts.get(&member.operator) else {
                    continue;
                };
                let now = (misses.clone(), member.misses);
                let is_stable = before.get(&member.operator) == Some(&now);
                if is_stable && misses.iter().any(|count| *count != member.misses) {
                    let witnessed = Input::Witnessed {
                        operator: member.operator,
                        misses: misses.clone(),
                        registries,
                    };
                    let _ = self.members.tell(witnessed).await;
                }
            }
            let own = |member: Member| {
                let misses = counts.get(&member.operator)?.clone();
                Some((member.operator, (misses, member.misses)))
            };
            before = members.into_iter().filter_map(own).collect();
        }
    }

    /// Of members that others know to have joined, and this registry does not.
    fn newer_bindings<'a>(
        &self,
        members: &'a [Member],
    ) -> Vec<(PeerId, wire::OperatorState, &'a Member)> {
        let claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        let mut newer = Vec::new();
        for (peer, claims) in claims.iter() {
            for member in members {
                let state = claims.states.get(&member.operator);
                let sequence = state.and_then(|s| Some(s.binding.as_ref()?.sequence));
                if sequence > member.binding.map(|known| known.sequence) {
                    newer.extend(state.map(|state| (*peer, state.clone(), member)));
                }
            }
        }
        newer
    }

    /// What each registry that speaks counts, ascending, and how many registries there are.
    fn counts(&self) -> (HashMap<Address, Vec<u32>>, usize) {
        let claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts: HashMap<Address, Vec<u32>> = HashMap::new();
        let registries = claims.values().filter(|claims| !claims.stranger);
        for claims in registries.clone() {
            for (operator, state) in &claims.states {
                counts.entry(*operator).or_default().push(state.misses);
            }
        }
        counts
            .values_mut()
            .for_each(|counts| counts.sort_unstable());
        (counts, registries.count() + 1)
    }

    fn with(&self, peer: PeerId, change: impl FnOnce(&mut Claims)) {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        change(claims.entry(peer).or_default());
    }
}

fn serves(member: &Member) -> bool {
    matches!(
        member.status,
        OperatorStatus::Active | OperatorStatus::Suspended
    )
}
