//! Keeps an operator to one writer: nothing is signed before it is known that the signing log is good
//! for it and no other process signs for the operator, and nothing any more once another one does.
//!
//! # Design Decisions
//!
//! Everything that an operator ever says of itself (its bindings, its presences) carries a sequence that
//! the store has synced before, whatever key signs it. So one rule tells all: what is heard with a higher
//! sequence than the store knows, under a key that the operator has or had a moment ago, was said by a
//! process with another store. No other party can make it, an old one does no harm, and no word of a peer
//! is believed. Where the log begins with its key, what older keys say is known to be missing: only that
//! they still say something counts.

mod decide;
mod growth;
mod history;
mod holder;
mod log;
pub(crate) mod others;
pub(crate) mod young;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::OptionFuture;
use futures::stream::FuturesUnordered;
use quorate_chain::HomeReader;
use quorate_proto::store::SignerRecord;
use quorate_proto::{Address, B256, Domain, PeerBinding, Presence};
use quorate_storage::{Lease, Signers};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use self::decide::Decision;
use self::others::{AskPace, Others, Scope};
use self::young::{Ruling, Youth};
use crate::home::HomeHandle;
use crate::keys::{NewKey, Signer};
use crate::{NodeError, clock};

/// How often the lease is renewed and shown to others: one synced write and one signature each.
const RENEW: Duration = Duration::from_secs(5);
/// How long the pages tell why a node ends, for users who watch them.
const NOTICE: Duration = Duration::from_secs(5);
/// Bindings of this operator that wait to be looked at; one that is foreign is enough.
const HEARD: usize = 16;

/// What the command line knows of the operator's signing log.
#[derive(Debug, Default)]
pub struct LogClaim {
    /// The note that the key has never signed.
    pub new_key: Option<NewKey>,
    /// Its operator wants to sign whatever is missing in the log.
    pub accept_risk: bool,
}

/// Whether this node may sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LeaseState {
    /// It is being found out.
    Checking,
    Held,
    /// Not before the operator has mended this.
    Refused(String),
    /// Never again in this process.
    Lost(String),
    /// The node is ending.
    Ended,
}

/// Sees whether this node may sign, and what.
#[derive(Clone)]
pub(crate) struct LeaseHandle {
    standing: watch::Receiver<LeaseState>,
    youth: watch::Receiver<Youth>,
    home: HomeHandle,
    show: Arc<Notify>,
}

impl LeaseHandle {
    /// Whether it may now.
    pub(crate) fn is_held(&self) -> bool {
        *self.standing.borrow() == LeaseState::Held
    }

    /// Whether it may show its binding: also on its way out, for what was signed before.
    pub(crate) fn may_publish(&self) -> bool {
        matches!(
            *self.standing.borrow(),
            LeaseState::Held | LeaseState::Ended
        )
    }

    /// Whether it may, once that is known.
    pub(crate) async fn settled(&mut self) -> bool {
        let known = |standing: &LeaseState| *standing != LeaseState::Checking;
        let settled = self.standing.wait_for(known);
        settled
            .await
            .is_ok_and(|standing| *standing == LeaseState::Held)
    }

    /// Whether the log is good for a fact of this time, in Unix seconds.
    pub(crate) fn rule(&self, fact_time: u64) -> Ruling {
        self.youth.borrow().rule(fact_time, self.home.view().head)
    }

    /// One whose log is like this, for tests.
    #[cfg(test)]
    pub(crate) fn held(youth: Youth, home: HomeHandle) -> Self {
        Self {
            standing: watch::channel(LeaseState::Held).1,
            youth: watch::channel(youth).1,
            home,
            show: Arc::default(),
        }
    }

    /// Has a presence shown now: whatever was copied of the store so far is behind it.
    pub(crate) fn show_now(&self) {
        self.show.notify_one();
    }

    /// What keeps it from signing.
    pub(crate) fn problem(&self) -> Option<String> {
        match &*self.standing.borrow() {
            LeaseState::Held => {
                let youth = *self.youth.borrow();
                (youth == Youth::Unborn).then(|| youth.describe())
            }
            LeaseState::Ended => None,
            LeaseState::Checking => Some(
                "nothing is signed yet: is the log whole, does nobody else sign for this operator?"
                    .into(),
            ),
            LeaseState::Refused(reason) | LeaseState::Lost(reason) => Some(reason.clone()),
        }
    }

    /// What keeps it from signing everything.
    pub(crate) fn restriction(&self) -> Option<String> {
        let youth = *self.youth.borrow();
        let is_young = matches!(youth, Youth::Young(_)) && !youth.is_over(self.home.view().head);
        (is_young && self.is_held()).then(|| youth.describe())
    }
}

/// What the keeper is made from.
pub(crate) struct LeaseParts {
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
    /// Bindings of this operator that were heard, whichever process made them.
    pub(crate) heard: mpsc::Receiver<PeerBinding>,
}

/// The task that holds the lease.
pub(crate) struct LeaseTask {
    parts: LeaseParts,
    instance: B256,
    /// The highest sequence that this store stood behind before this start.
    base: u64,
    /// Of which keys it stands behind everything up to there, and what is known of the others.
    scope: Scope,
    pace: AskPace,
    standing: watch::Sender<LeaseState>,
    youth: watch::Sender<Youth>,
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
        "process {} on this machine signs for its operator, and this store is a copy of its store; \
         stop that one for good before this one starts",
        lease.pid
    );
    Err(NodeError::KeyInUse { key, reason })
}

impl LeaseTask {
    pub(crate) fn new(parts: LeaseParts) -> (Self, LeaseHandle) {
        let (standing, standing_rx) = watch::channel(LeaseState::Checking);
        let (youth, youth_rx) = watch::channel(Youth::Unborn);
        let show: Arc<Notify> = Arc::default();
        let handle = LeaseHandle {
            standing: standing_rx,
            youth: youth_rx,
            home: parts.home.clone(),
            show: show.clone(),
        };
        let keeper = Self {
            base: parts.record.sequence,
            scope: Scope::default(),
            pace: AskPace::default(),
            parts,
            instance: rand::random::<[u8; 32]>().into(),
            standing,
            youth,
            show,
        };
        (keeper, handle)
    }

    /// Runs until `token` is cancelled.
    ///
    /// # Errors
    /// [`NodeError::KeyInUse`] where another process signs for the operator; a store that fails.
    pub(crate) async fn run(mut self, token: CancellationToken) -> Result<(), NodeError> {
        match token.run_until_cancelled(self.admit()).await {
            None => return Ok(()),
            Some(Ok(Ok(()))) => {}
            Some(Ok(Err(refusal))) => {
                tracing::error!(refusal, "nothing is signed");
                self.standing.send_replace(LeaseState::Refused(refusal));
                return match token.run_until_cancelled(self.listen()).await {
                    Some(error) => self.end(error, &token).await,
                    None => Ok(()),
                };
            }
            Some(Err(error)) => return self.end(error, &token).await,
        }
        let lease = self.take().await?;
        self.show_youth()?;
        self.standing.send_replace(LeaseState::Held);
        let kept = token.run_until_cancelled(self.keep(&lease)).await;
        match kept {
            Some(Err(error)) => self.end(error, &token).await,
            Some(Ok(never)) => match never {},
            None => {
                self.standing.send_replace(LeaseState::Ended);
                Ok(lease.release()?.await?)
            }
        }
    }

    /// Whether this process may sign; otherwise why not, and what to do.
    async fn admit(&mut self) -> Result<Result<(), String>, NodeError> {
        let facts = self.facts().await?;
        let mut decision = self.decide(&facts, None);
        let mut heard = None;
        if !matches!(decision, Decision::Refuse(_)) {
            self.scope = self.scope_of(decision);
            heard = self.check_others().await?;
            let again = self.decide(&facts, heard);
            if again != decision {
                let old = self.scope.old.max(heard.map_or(0, |heard| heard.sequence));
                self.scope = Scope {
                    old,
                    ..self.scope_of(again)
                };
                decision = again;
            }
        }
        self.settle(decision, &facts, heard).await
    }

    async fn take(&self) -> Result<Lease, NodeError> {
        let holder = holder::this_process(self.instance.0);
        let now = clock::now().millis().max(self.parts.binding.sequence);
        let (operator, key) = (self.operator().into_array(), self.key().into_array());
        let (lease, ack) = self.parts.signers.take(&operator, &key, holder, now)?;
        ack.await?;
        Ok(lease)
    }

    /// Renews the lease and shows it, until another process turns out to sign for the operator.
    async fn keep(&mut self, lease: &Lease) -> Result<std::convert::Infallible, NodeError> {
        let mut period = tokio::time::interval(RENEW);
        period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut asked = FuturesUnordered::new();
        let mut look = None;
        let show = self.show.clone();
        loop {
            tokio::select! {
                _ = period.tick() => {
                    let presence = self.renew(lease).await?;
                    // Who has not answered in all that time is asked anew.
                    asked.clear();
                    asked.extend(self.parts.others.tell(presence).await);
                    self.mature().await?;
                    if look.is_none() {
                        look = self.look()?;
                    }
                }
                () = show.notified() => period.reset_immediately(),
                Some((_, answer)) = asked.next(), if !asked.is_empty() => self.refuse(answer)?,
                Some(binding) = self.parts.heard.recv() => self.refuse_binding(&binding)?,
                Some(found) = OptionFuture::from(look.as_mut()), if look.is_some() => {
                    look = None;
                    self.grow(found).await?;
                }
            }
        }
    }

    /// A presence with the next sequence; none where the signer is out of reach just now.
    async fn renew(&self, lease: &Lease) -> Result<Option<Presence>, NodeError> {
        let (sequence, ack) = lease.renew(clock::now().millis())?;
        ack.await?;
        let (operator, instance) = (self.operator(), self.instance);
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

    /// Stops signing at once; the pages say why for a moment.
    async fn end(&self, error: NodeError, token: &CancellationToken) -> Result<(), NodeError> {
        tracing::error!(%error, "nothing is signed any more");
        self.standing
            .send_replace(LeaseState::Lost(error.to_string()));
        let _ = tokio::time::timeout(NOTICE, token.cancelled()).await;
        Err(error)
    }

    fn key(&self) -> Address {
        self.parts.signer.address()
    }

    fn operator(&self) -> Address {
        self.parts.binding.operator
    }
}

#[cfg(test)]
mod tests;
