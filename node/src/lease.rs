//! Keeps an operator's signing key to one writer: nothing is signed before it is known that the
//! signing log is whole and nobody else signs with the key, and nothing any more once somebody does.
//!
//! # Design Decisions
//!
//! Everything that this key ever says of itself (its bindings, its presences) carries a sequence that
//! the store has synced before. So one rule tells all: what is heard with a higher sequence than the
//! store knows, under this key's own signature, was said by a process with another store. Nobody
//! else can make it, an old one does no harm, and no word of a peer is believed.

mod holder;
mod log;
pub(crate) mod others;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use quorate_chain::HomeReader;
use quorate_proto::store::SignerRecord;
use quorate_proto::{Address, B256, Domain, PeerBinding, Presence};
use quorate_storage::{Lease, Signers};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use self::others::{Others, Pace};
use crate::home::HomeHandle;
use crate::keys::{NewKey, Signer};
use crate::{NodeError, clock};

/// How often the lease is renewed and shown to others: one synced write and one signature each.
const RENEW: Duration = Duration::from_secs(5);
/// How long the pages tell why a node ends, for whoever watches them.
const NOTICE: Duration = Duration::from_secs(5);
/// Bindings of this operator that wait to be looked at; one that is foreign is enough.
const HEARD: usize = 16;

/// What the command line knows of the signing key's log.
#[derive(Debug, Default)]
pub struct LogClaim {
    /// The note that the key has never signed.
    pub new_key: Option<NewKey>,
    /// Its operator wants to sign whatever is missing in the log.
    pub accept_risk: bool,
}

/// Whether this node may sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is being found out.
    Checking,
    Held,
    /// Not before somebody has mended this.
    Refused(String),
    /// Never again in this process.
    Lost(String),
    /// The node is ending.
    Ended,
}

/// Sees whether this node may sign.
#[derive(Clone, Debug)]
pub(crate) struct LeaseHandle(watch::Receiver<Standing>, Arc<Notify>);

impl LeaseHandle {
    /// Whether it may now.
    pub(crate) fn is_held(&self) -> bool {
        *self.0.borrow() == Standing::Held
    }

    /// Whether it may show its binding: also on its way out, for what was signed before.
    pub(crate) fn may_publish(&self) -> bool {
        matches!(*self.0.borrow(), Standing::Held | Standing::Ended)
    }

    /// Whether it may, once that is known.
    pub(crate) async fn settled(&mut self) -> bool {
        let settled = self.0.wait_for(|standing| *standing != Standing::Checking);
        settled
            .await
            .is_ok_and(|standing| *standing == Standing::Held)
    }

    /// Has a presence shown now: whatever was copied of the store so far is behind it.
    pub(crate) fn show_now(&self) {
        self.1.notify_one();
    }

    /// What keeps it from signing.
    pub(crate) fn problem(&self) -> Option<String> {
        match &*self.0.borrow() {
            Standing::Held | Standing::Ended => None,
            Standing::Checking => Some(
                "nothing is signed yet: is the log whole, does nobody else use the key?".into(),
            ),
            Standing::Refused(reason) | Standing::Lost(reason) => Some(reason.clone()),
        }
    }
}

/// What the keeper is made from.
pub(crate) struct Parts {
    pub(crate) domain: Domain,
    pub(crate) signer: Arc<dyn Signer>,
    /// As the store had it when the node started.
    pub(crate) record: SignerRecord,
    /// Of this start; its sequence is above that of the record.
    pub(crate) binding: PeerBinding,
    pub(crate) signers: Signers,
    pub(crate) claim: LogClaim,
    pub(crate) home: HomeHandle,
    pub(crate) reader: Arc<dyn HomeReader>,
    pub(crate) others: Others,
    /// Bindings of this operator that were heard, whoever made them.
    pub(crate) heard: mpsc::Receiver<PeerBinding>,
}

/// The task that holds the lease.
pub(crate) struct Keeper {
    parts: Parts,
    instance: B256,
    /// The highest sequence that this store stood behind before this start.
    base: u64,
    pace: Pace,
    standing: watch::Sender<Standing>,
    show: Arc<Notify>,
}

/// For what was heard of an operator.
pub(crate) fn hearing() -> (mpsc::Sender<PeerBinding>, mpsc::Receiver<PeerBinding>) {
    mpsc::channel(HEARD)
}

/// Refuses to start beside the process that has this very lease: the store is a copy of the one that
/// it runs on.
///
/// # Errors
/// [`NodeError::KeyInUse`].
pub(crate) fn refuse_beside_holder(key: Address, record: &SignerRecord) -> Result<(), NodeError> {
    let Some(lease) = record.lease.as_ref().filter(|lease| !lease.released) else {
        return Ok(());
    };
    if holder::runs(lease) != Some(true) {
        return Ok(());
    }
    let reason = format!(
        "process {} on this machine signs with it, and this store is a copy of its store; \
         stop that one for good before this one starts",
        lease.pid
    );
    Err(NodeError::KeyInUse { key, reason })
}

impl Keeper {
    pub(crate) fn new(parts: Parts) -> (Self, LeaseHandle) {
        let (standing, seen) = watch::channel(Standing::Checking);
        let keeper = Self {
            base: parts.record.sequence,
            pace: Pace::default(),
            parts,
            instance: rand::random::<[u8; 32]>().into(),
            standing,
            show: Arc::default(),
        };
        let handle = LeaseHandle(seen, keeper.show.clone());
        (keeper, handle)
    }

    /// Runs until `token` is cancelled.
    ///
    /// # Errors
    /// [`NodeError::KeyInUse`] where another process signs with the key; a store that fails.
    pub(crate) async fn run(mut self, token: CancellationToken) -> Result<(), NodeError> {
        match token.run_until_cancelled(self.admit()).await {
            None => return Ok(()),
            Some(Ok(Ok(()))) => {}
            Some(Ok(Err(refusal))) => {
                tracing::error!(refusal, "nothing is signed");
                self.standing.send_replace(Standing::Refused(refusal));
                token.cancelled().await;
                return Ok(());
            }
            Some(Err(error)) => return self.end(error, &token).await,
        }
        let lease = self.take().await?;
        self.standing.send_replace(Standing::Held);
        let kept = token.run_until_cancelled(self.keep(&lease)).await;
        match kept {
            Some(Err(error)) => self.end(error, &token).await,
            Some(Ok(never)) => match never {},
            None => {
                self.standing.send_replace(Standing::Ended);
                Ok(lease.release()?.await?)
            }
        }
    }

    /// Whether this process may sign; otherwise why not, and what to do.
    async fn admit(&mut self) -> Result<Result<(), String>, NodeError> {
        match self.check_log().await? {
            Ok(()) => self.check_others().await,
            refused => Ok(refused),
        }
    }

    async fn take(&self) -> Result<Lease, NodeError> {
        let holder = holder::this_process(self.instance.0);
        let now = clock::now().millis().max(self.parts.binding.sequence);
        let key = self.key().into_array();
        let (lease, ack) = self.parts.signers.take(&key, holder, now)?;
        ack.await?;
        Ok(lease)
    }

    /// Renews the lease and shows it, until somebody else turns out to have the key.
    async fn keep(&mut self, lease: &Lease) -> Result<std::convert::Infallible, NodeError> {
        let mut period = tokio::time::interval(RENEW);
        period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut asked = FuturesUnordered::new();
        let show = self.show.clone();
        loop {
            tokio::select! {
                _ = period.tick() => {
                    let presence = self.renew(lease).await?;
                    // Who has not answered in all that time is asked anew.
                    asked.clear();
                    asked.extend(self.parts.others.tell(presence).await);
                }
                () = show.notified() => period.reset_immediately(),
                Some((_, answer)) = asked.next(), if !asked.is_empty() => self.refuse(answer)?,
                Some(binding) = self.parts.heard.recv() => self.refuse_binding(&binding)?,
            }
        }
    }

    /// A presence with the next sequence; none where the signer is out of reach just now.
    async fn renew(&self, lease: &Lease) -> Result<Option<Presence>, NodeError> {
        let (sequence, ack) = lease.renew(clock::now().millis())?;
        ack.await?;
        let (operator, instance) = (self.parts.binding.operator, self.instance);
        let digest = Presence::digest(&self.parts.domain, operator, instance, sequence);
        let signed = self.parts.signer.sign(digest).await;
        let signed = signed.inspect_err(|error| tracing::error!(%error, "no presence is shown"));
        Ok(signed.ok().map(|signature| Presence {
            operator,
            instance,
            sequence,
            signature,
        }))
    }

    fn refuse(&self, answer: Option<Presence>) -> Result<(), NodeError> {
        let foreign = answer.filter(|presence| self.is_foreign(presence));
        foreign.map_or(Ok(()), |presence| Err(self.in_use(presence.sequence)))
    }

    fn refuse_binding(&self, binding: &PeerBinding) -> Result<(), NodeError> {
        match self.is_foreign_binding(binding) {
            true => Err(self.in_use(binding.sequence)),
            false => Ok(()),
        }
    }

    /// Said with this key by a process with another store, after what this store knows.
    fn is_foreign(&self, presence: &Presence) -> bool {
        let Parts {
            domain, binding, ..
        } = &self.parts;
        presence.operator == binding.operator
            && presence.instance != self.instance
            && presence.sequence > self.base
            && presence.verify(self.key(), domain).is_ok()
    }

    fn is_foreign_binding(&self, heard: &PeerBinding) -> bool {
        let Parts {
            domain, binding, ..
        } = &self.parts;
        heard.operator == binding.operator
            && (heard.peer_key, heard.sequence) != (binding.peer_key, binding.sequence)
            && heard.sequence > self.base
            && heard.verify(self.key(), domain).is_ok()
    }

    fn in_use(&self, sequence: u64) -> NodeError {
        let reason = format!(
            "another node signs with it too: it said so at {sequence} (Unix milliseconds), and this \
             store knows nothing of that. Find it and stop one of the two for good, then bring its \
             signing log here: `node keys log export` there, `node keys log import` here"
        );
        let key = self.key();
        NodeError::KeyInUse { key, reason }
    }

    /// Stops signing at once; the pages say why for a moment.
    async fn end(&self, error: NodeError, token: &CancellationToken) -> Result<(), NodeError> {
        tracing::error!(%error, "nothing is signed any more");
        self.standing
            .send_replace(Standing::Lost(error.to_string()));
        let _ = tokio::time::timeout(NOTICE, token.cancelled()).await;
        Err(error)
    }

    fn key(&self) -> Address {
        self.parts.signer.address()
    }
}

#[cfg(test)]
mod tests;
