//! Asks peers who else was there with this key.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt as _, future};
use libp2p::PeerId;
use quorate_proto::store::LogOrigin;
use quorate_proto::{Address, Presence, wire};
use tokio::time::Instant;

use super::{Keeper, RENEW, holder};
use crate::NodeError;
use crate::network::NetworkHandle;
use crate::rpc::{Caller, RegistryClient};

/// A peer that takes longer is not waited for: four round trips for a new connection, and one to ask.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// Pause between two rounds of questions at the start.
const PAUSE: Duration = Duration::from_millis(250);
/// See [`Pace::check`].
const CHECK: Duration = Duration::from_millis(2_500);
/// See [`Pace::listen`].
const LISTEN: Duration = Duration::from_secs(12);
/// Peers that are asked where none are configured.
const STRANGERS: usize = 8;

const _: () = assert!(LISTEN.as_secs() > 2 * RENEW.as_secs() + PATIENCE.as_secs());

/// How long the start takes; shorter in tests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How long it waits for peers that do not answer. A node without any of them cannot do harm
    /// either: nobody hears what it signs. Those that come later are asked as long as it runs.
    pub(super) check: Duration,
    /// How long it looks for a sign of life where another process may have the key: in this time a
    /// live one renews its lease twice, and tells.
    pub(super) listen: Duration,
    /// Between two rounds of questions.
    pub(super) pause: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            check: CHECK,
            listen: LISTEN,
            pause: PAUSE,
        }
    }
}

type Client = RegistryClient<tonic::transport::Channel>;
/// What a peer knows: the newest presence of this operator.
type Answer = BoxFuture<'static, (PeerId, Option<Presence>)>;

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
    clients: Mutex<HashMap<PeerId, Client>>,
    answered: Arc<Mutex<BTreeSet<PeerId>>>,
}

impl Others {
    /// Asks all of them, and tells them of this node where `presence` is given.
    pub(super) async fn tell(&self, presence: Option<Presence>) -> Vec<Answer> {
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

    /// Whether all that are configured have answered once, or anybody where none is.
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
    ) -> Self {
        Self {
            caller,
            network,
            configured,
            operator,
            clients: Mutex::default(),
            answered: Arc::default(),
        }
    }

    async fn tell(&self, presence: Option<Presence>) -> Vec<Answer> {
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
            let asked = ask(peer, client, request.clone(), self.answered.clone());
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
    mut client: Client,
    request: wire::HealthRequest,
    answered: Arc<Mutex<BTreeSet<PeerId>>>,
) -> Option<Presence> {
    let asked = tokio::time::timeout(PATIENCE, client.health_check(request));
    let reply = asked.await.ok()?.ok()?.into_inner();
    answered
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(peer);
    Presence::try_from(reply.presence.as_ref()?).ok()
}

impl Keeper {
    /// Whether nobody else has the key; otherwise why this node must not sign, and what to do.
    ///
    /// # Errors
    /// [`NodeError::KeyInUse`] where somebody is there now: what it says of itself moves on.
    pub(super) async fn check_others(&mut self) -> Result<Result<(), String>, NodeError> {
        let began = Instant::now();
        let must_listen = self.may_be_held();
        let mut found: HashMap<PeerId, u64> = HashMap::new();
        let mut bound: Option<u64> = None;
        loop {
            for (peer, sequence) in self.foreign_presences().await {
                // From the same peer: one may know already what another one learns late.
                match found.insert(peer, sequence) {
                    Some(known) if sequence > known => return Err(self.in_use(sequence)),
                    _ => {}
                }
            }
            bound = bound.max(self.foreign_bindings());
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
        let Some(sequence) = found.into_values().chain(bound).max() else {
            return Ok(Ok(()));
        };
        if !self.parts.claim.accept_risk {
            return Ok(Err(self.behind(sequence)));
        }
        self.establish(LogOrigin::RiskAccepted, sequence).await?;
        self.base = sequence;
        Ok(Ok(()))
    }

    /// Whether the process that had the lease may still run somewhere.
    fn may_be_held(&self) -> bool {
        let lease = self.parts.record.lease.as_ref();
        lease.is_some_and(|lease| !lease.released && holder::runs(lease).is_none())
    }

    /// Of what peers know now.
    async fn foreign_presences(&self) -> Vec<(PeerId, u64)> {
        let answers = future::join_all(self.parts.others.tell(None).await).await;
        let foreign = |(peer, presence): (PeerId, Option<Presence>)| {
            let presence = presence.filter(|presence| self.is_foreign(presence))?;
            Some((peer, presence.sequence))
        };
        answers.into_iter().filter_map(foreign).collect()
    }

    /// The newest of those that were heard since the last look.
    fn foreign_bindings(&mut self) -> Option<u64> {
        let mut newest = None;
        while let Ok(binding) = self.parts.heard.try_recv() {
            if self.is_foreign_binding(&binding) {
                newest = newest.max(Some(binding.sequence));
            }
        }
        newest
    }
}
