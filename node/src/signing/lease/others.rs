//! Asks peers who else was there for this operator, and tells what they say from what this store knows.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt as _, future};
use libp2p::PeerId;
use quorate_proto::{Address, PeerBinding, Presence, wire};
use quorate_storage::{LogStanding, standing};
use tokio::time::Instant;

use super::decide::{Decision, PeerReport};
use super::{LeaseTask, RENEW, holder};
use crate::NodeError;
use crate::health::vitals::Vitals;
use crate::network::NetworkHandle;
use crate::network::rpc::{Caller, RegistryClient};
use crate::registry::join::BindingImporter;

/// A peer that takes longer is not waited for: four round trips for a new connection, and one to ask.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// Pause between two rounds of questions at the start.
const PAUSE: Duration = Duration::from_millis(250);
/// See [`AskPace::idle`].
const IDLE: Duration = Duration::from_secs(2);
/// See [`AskPace::check`].
const CHECK: Duration = Duration::from_millis(2_500);
/// See [`AskPace::listen`].
const LISTEN: Duration = Duration::from_secs(12);
/// Peers that are asked where none are configured.
const STRANGERS: usize = 8;

const _: () = assert!(LISTEN.as_secs() > 2 * RENEW.as_secs() + PATIENCE.as_secs());

/// How long the start takes; shorter in tests.
#[derive(Clone, Copy, Debug)]
pub(super) struct AskPace {
    /// How long it waits for peers that do not answer. A node without any of them cannot do harm
    /// either: no peer hears what it signs. Those that come later are asked as long as it runs.
    pub(super) check: Duration,
    /// How long it looks for a sign of life where another process may be there: in this time a live
    /// one renews its lease twice, and tells.
    pub(super) listen: Duration,
    /// Between two rounds of questions.
    pub(super) pause: Duration,
    /// The same where this process does not sign anyway.
    pub(super) idle: Duration,
}

impl Default for AskPace {
    fn default() -> Self {
        Self {
            check: CHECK,
            listen: LISTEN,
            pause: PAUSE,
            idle: IDLE,
        }
    }
}

type PresenceClient = RegistryClient<tonic::transport::Channel>;
/// What a peer knows: the newest presence of this operator.
type PresenceAnswer = BoxFuture<'static, (PeerId, Option<Presence>)>;

/// Who is asked and told.
pub(crate) enum Others {
    Peers(Box<Peers>),
    /// What one peer answers, round by round; the last answer for ever.
    #[cfg(test)]
    Told(std::sync::Mutex<std::collections::VecDeque<Option<Presence>>>),
}

/// The peers that are configured, or some that are connected.
pub(crate) struct Peers {
    caller: Caller,
    network: NetworkHandle,
    configured: Vec<PeerId>,
    operator: Address,
    /// Their streams stay open.
    clients: Mutex<HashMap<PeerId, PresenceClient>>,
    answered: Arc<Mutex<BTreeSet<PeerId>>>,
    told: PresenceSources,
}

/// Who wants to know what peers say beside presences.
#[derive(Clone)]
pub(crate) struct PresenceSources {
    pub(crate) vitals: Vitals,
    pub(crate) adopter: BindingImporter,
}

impl Others {
    /// Asks all of them, and tells them of this node where `presence` is given.
    pub(super) async fn tell(&self, presence: Option<Presence>) -> Vec<PresenceAnswer> {
        match self {
            Self::Peers(peers) => peers.tell(presence).await,
            #[cfg(test)]
            Self::Told(rounds) => {
                let mut rounds = rounds.lock().unwrap();
                let answer = match rounds.len() {
                    0 => None,
                    1 => rounds[0],
                    _ => rounds.pop_front().flatten(),
                };
                let peer = PeerId::from_bytes(&[0, 0]).unwrap();
                vec![future::ready((peer, answer)).boxed()]
            }
        }
    }

    /// Whether all configured peers have answered once, or any peer where none is configured.
    fn all_answered(&self) -> bool {
        match self {
            Self::Peers(peers) => peers.all_answered(),
            #[cfg(test)]
            Self::Told(_) => true,
        }
    }
}

impl Peers {
    pub(crate) fn new(
        caller: Caller,
        network: NetworkHandle,
        configured: Vec<PeerId>,
        operator: Address,
        told: PresenceSources,
    ) -> Self {
        Self {
            caller,
            network,
            configured,
            operator,
            clients: Mutex::default(),
            answered: Arc::default(),
            told,
        }
    }

    async fn tell(&self, presence: Option<Presence>) -> Vec<PresenceAnswer> {
        let request = wire::HealthRequest {
            operator: self.operator.to_vec(),
            presence: presence.as_ref().map(Into::into),
        };
        let peers = self.peers().await;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|peer, _| peers.contains(peer));
        let ask = |peer: PeerId| {
            let client = clients.entry(peer);
            let client = client.or_insert_with(|| self.caller.registry(peer)).clone();
            let told = (self.answered.clone(), self.told.clone());
            let asked = ask(peer, client, request.clone(), told);
            asked.map(move |presence| (peer, presence)).boxed()
        };
        peers.into_iter().map(ask).collect()
    }

    async fn peers(&self) -> Vec<PeerId> {
        if !self.configured.is_empty() {
            return self.configured.clone();
        }
        let connected = self.network.peers().await;
        connected
            .into_iter()
            .map(|info| info.peer)
            .take(STRANGERS)
            .collect()
    }

    fn all_answered(&self) -> bool {
        let answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        match self.configured.is_empty() {
            true => !answered.is_empty(),
            false => self.configured.iter().all(|peer| answered.contains(peer)),
        }
    }
}

async fn ask(
    peer: PeerId,
    mut client: PresenceClient,
    request: wire::HealthRequest,
    (answered, told): (Arc<Mutex<BTreeSet<PeerId>>>, PresenceSources),
) -> Option<Presence> {
    let asked = tokio::time::timeout(PATIENCE, client.health_check(request));
    let reply = asked.await.ok()?.ok()?.into_inner();
    answered
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(peer);
    told.vitals.heard(peer, reply.bound);
    if let Some(Ok(other)) = reply.other.as_ref().map(PeerBinding::try_from) {
        told.adopter.hear_of_twin(other);
    }
    Presence::try_from(reply.presence.as_ref()?).ok()
}

/// Whose words the log answers for.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    /// The keys all of whose signatures it should hold; `None`: whatever keys the operator has.
    pub(super) keys: Option<Vec<Address>>,
    /// Where it begins with a key, what older ones sign is known to be missing. Up to this sequence
    /// they said it before this process began.
    pub(super) old: u64,
}

impl Scope {
    fn covers(&self, key: &Address) -> bool {
        self.keys.as_ref().is_none_or(|keys| keys.contains(key))
    }
}

impl LeaseTask {
    pub(super) fn scope_of(&self, decision: Decision) -> Scope {
        let record = &self.parts.record;
        let known = record
            .signing_keys
            .iter()
            .filter(|_| decision == Decision::GoOn);
        let known = known.filter_map(|key| Address::try_from(key.as_slice()).ok());
        let is_young = match decision {
            Decision::GoOn => standing(record) == LogStanding::Young,
            other => other == Decision::Young,
        };
        Scope {
            keys: is_young.then(|| known.chain([self.key()]).collect()),
            old: self.base.max(self.parts.binding.sequence),
        }
    }

    /// Looks whether others sign for the operator: the newest that this log should hold and does not.
    ///
    /// # Errors
    /// [`NodeError::KeyInUse`] where another process is there now: what it says of itself moves on.
    pub(super) async fn check_others(&mut self) -> Result<Option<PeerReport>, NodeError> {
        let began = Instant::now();
        let must_listen = self.may_be_held();
        let mut found: HashMap<PeerId, PeerReport> = HashMap::new();
        let mut bound: Option<PeerReport> = None;
        loop {
            for (peer, heard) in self.foreign_presences().await {
                // From the same peer: one may know already what another one learns late.
                match found.insert(peer, heard) {
                    Some(known) if heard.sequence > known.sequence => {
                        return Err(self.in_use(heard));
                    }
                    _ => {}
                }
            }
            bound = newer(bound, self.foreign_bindings()?);
            let quiet = found.is_empty() && bound.is_none();
            let enough = match !quiet || must_listen {
                true => began.elapsed() >= self.pace.listen,
                false => self.parts.others.all_answered() || began.elapsed() >= self.pace.check,
            };
            if enough {
                break;
            }
            tokio::time::sleep(self.pace.pause).await;
        }
        let all = found.into_values().chain(bound);
        let (own, old): (Vec<_>, Vec<_>) = all.partition(|heard| self.scope.covers(&heard.key));
        let last = old.iter().map(|heard| heard.sequence).max();
        self.scope.old = self.scope.old.max(last.unwrap_or_default());
        Ok(own.into_iter().max_by_key(|heard| heard.sequence))
    }

    /// For a process that may not sign: waits until another one turns out to sign for the operator, since what
    /// that one says of itself moves on.
    pub(super) async fn listen(&self) -> NodeError {
        let mut found: HashMap<PeerId, u64> = HashMap::new();
        loop {
            for (peer, heard) in self.foreign_presences().await {
                let known = found.insert(peer, heard.sequence);
                if known.is_some_and(|known| heard.sequence > known) {
                    return self.in_use(heard);
                }
            }
            tokio::time::sleep(self.pace.idle).await;
        }
    }

    /// Whether the process that had the lease may still run somewhere.
    fn may_be_held(&self) -> bool {
        let lease = self.parts.record.lease.as_ref();
        lease.is_some_and(|lease| !lease.released && holder::runs(lease).is_none())
    }

    /// Of what peers know now, whatever key it is signed with.
    async fn foreign_presences(&self) -> Vec<(PeerId, PeerReport)> {
        let answers = future::join_all(self.parts.others.tell(None).await).await;
        let foreign = |(peer, presence): (PeerId, Option<Presence>)| {
            let heard = self.said_elsewhere(&presence?)?;
            (heard.sequence > self.base).then_some((peer, heard))
        };
        answers.into_iter().filter_map(foreign).collect()
    }

    /// The newest of those that were heard since the last look. One of an old key is made once: it counts
    /// where it was made after this process began.
    fn foreign_bindings(&mut self) -> Result<Option<PeerReport>, NodeError> {
        let mut newest = None;
        while let Ok(binding) = self.parts.heard.try_recv() {
            let heard = self.bound_elsewhere(&binding);
            match heard.filter(|heard| self.is_foreign(heard)) {
                Some(heard) if !self.scope.covers(&heard.key) => return Err(self.in_use(heard)),
                heard => newest = newer(newest, heard),
            }
        }
        Ok(newest)
    }

    pub(super) fn refuse(&self, answer: Option<Presence>) -> Result<(), NodeError> {
        let heard = answer.and_then(|presence| self.said_elsewhere(&presence));
        self.refuse_foreign(heard)
    }

    pub(super) fn refuse_binding(&self, binding: &PeerBinding) -> Result<(), NodeError> {
        self.refuse_foreign(self.bound_elsewhere(binding))
    }

    fn refuse_foreign(&self, heard: Option<PeerReport>) -> Result<(), NodeError> {
        let foreign = heard.filter(|heard| self.is_foreign(heard));
        foreign.map_or(Ok(()), |heard| Err(self.in_use(heard)))
    }

    /// Said for the operator by a process with another store, after what this store knows.
    fn is_foreign(&self, heard: &PeerReport) -> bool {
        let known = match self.scope.covers(&heard.key) {
            true => self.base,
            false => self.scope.old,
        };
        heard.sequence > known
    }

    /// What a presence says, unless this process made it, or none of the operator's keys.
    fn said_elsewhere(&self, presence: &Presence) -> Option<PeerReport> {
        let domain = &self.parts.domain;
        let apart = presence.operator == self.operator() && presence.instance != self.instance;
        let mut keys = self.keys().into_iter().filter(|_| apart);
        let key = keys.find(|key| presence.verify(*key, domain).is_ok())?;
        let sequence = presence.sequence;
        Some(PeerReport { key, sequence })
    }

    fn bound_elsewhere(&self, heard: &PeerBinding) -> Option<PeerReport> {
        let (domain, own) = (&self.parts.domain, &self.parts.binding);
        let same = (heard.peer_key, heard.sequence) == (own.peer_key, own.sequence);
        let apart = heard.operator == own.operator && !same;
        let mut keys = self.keys().into_iter().filter(|_| apart);
        let key = keys.find(|key| heard.verify(*key, domain).is_ok())?;
        let sequence = heard.sequence;
        Some(PeerReport { key, sequence })
    }

    /// The operator's keys that can sign something now: its own here, and those of live sets, and of past ones
    /// that may still name another.
    fn keys(&self) -> Vec<Address> {
        let view = self.parts.home.view();
        let operator = self.operator();
        let mut keys = vec![self.key()];
        keys.extend(view.keys_of(operator));
        keys.extend(view.past_keys_of(operator));
        keys
    }

    fn in_use(&self, PeerReport { key, sequence }: PeerReport) -> NodeError {
        let own = self.key();
        let how = match key == own {
            true => "another node signs with it too".to_owned(),
            false => format!("another node signs for its operator with {key}"),
        };
        let reason = format!(
            "{how}: it said so at {sequence} (Unix milliseconds), and this store knows nothing of that. \
             Find it and stop one of the two for good, then bring its signing log here: `node keys log \
             export` there, `node keys log import` here"
        );
        NodeError::KeyInUse { key: own, reason }
    }
}

fn newer(one: Option<PeerReport>, other: Option<PeerReport>) -> Option<PeerReport> {
    one.into_iter()
        .chain(other)
        .max_by_key(|heard| heard.sequence)
}
