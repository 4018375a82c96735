//! Validates gossip before it is forwarded, and hands what is good to the task driver.

mod allowances;
mod bindings;
mod early_messages;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub(crate) mod known_peers;
pub(crate) mod publisher;
mod signature_cache;
mod unknown_peers;
mod validator;
mod verified;
mod window;

use quorate_proto::{Address, Epoch};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use allowances::Allowances;
pub(crate) use bindings::Bindings;
use early_messages::EarlyMessages;
pub(crate) use signature_cache::SignatureCache;
pub(crate) use validator::Validator;
pub(crate) use verified::Verified;
use verified::{Blame, ValidationOutcome};

use crate::NodeError;
use crate::clock;
use crate::gossip::known_peers::KnownPeers;
use crate::home::HomeHandle;
use crate::network::{Acceptance, GossipMessage, NetworkHandle, Offence, peer_id_of};
use crate::tasks::driver::DriverHandle;
use crate::tasks::recorder::{Origin, Refusals};

/// Messages validated in one go on a blocking thread: at most about 10 ms of work for usual
/// batches.
const GROUP: usize = 32;
/// Bytes that are validated without another thread, which takes longer to wake than these take: some
/// eight responses, half a millisecond.
const AT_ONCE: usize = 2_048;
/// Why a message is dropped whose epoch did not come.
const NOT_REACHED: &str = "epoch not reached";

/// The validation task.
pub(crate) struct Gossip {
    messages: mpsc::Receiver<GossipMessage>,
    network: NetworkHandle,
    home: HomeHandle,
    driver: DriverHandle,
    validator: Option<Validator>,
    parking: EarlyMessages,
    refusals: Refusals,
    regulars: KnownPeers,
}

impl Gossip {
    pub(crate) fn new(
        messages: mpsc::Receiver<GossipMessage>,
        network: NetworkHandle,
        home: HomeHandle,
        driver: DriverHandle,
        validator: Validator,
        refusals: Refusals,
        regulars: KnownPeers,
    ) -> Self {
        Self {
            messages,
            network,
            home,
            driver,
            validator: Some(validator),
            parking: EarlyMessages::default(),
            refusals,
            regulars,
        }
    }

    /// Runs until `token` is cancelled.
    pub(crate) async fn run(mut self, token: CancellationToken) -> Result<(), NodeError> {
        let mut view = self.home.watch();
        let mut group = Vec::with_capacity(GROUP);
        self.turn();
        loop {
            let deadline = self.parking.deadline();
            tokio::select! {
                count = self.messages.recv_many(&mut group, GROUP) => {
                    if count == 0 {
                        return Ok(());
                    }
                    self.validate(std::mem::take(&mut group)).await?;
                }
                Ok(()) = view.changed() => {
                    self.turn();
                    self.retry_parked().await?;
                }
                () = clock::sleep_until(deadline) => self.drop_late().await,
                () = token.cancelled() => return Ok(()),
            }
        }
    }

    fn turn(&mut self) {
        if let Some(validator) = &mut self.validator {
            validator.turn(&self.home.view());
        }
    }

    async fn validate(&mut self, messages: Vec<GossipMessage>) -> Result<(), NodeError> {
        let Some(mut validator) = self.validator.take() else {
            return Ok(());
        };
        let view = self.home.view();
        let newest = view.newest();
        let bytes: usize = messages.iter().map(|message| message.data.len()).sum();
        let work = move || {
            let verdicts: Vec<(GossipMessage, ValidationOutcome)> = messages
                .into_iter()
                .map(|message| {
                    let verdict = validator.validate(&view, &message);
                    (message, verdict)
                })
                .collect();
            (validator, verdicts)
        };
        let (validator, verdicts) = if bytes <= AT_ONCE {
            work()
        } else {
            let task = tokio::task::spawn_blocking(work);
            task.await.map_err(|panic| NodeError::Panic {
                reason: panic.to_string(),
            })?
        };
        self.validator = Some(validator);
        for (message, verdict) in verdicts {
            self.conclude(message, verdict, newest).await;
        }
        Ok(())
    }

    /// `newest` is the newest epoch that was known when the message was validated.
    async fn conclude(
        &mut self,
        message: GossipMessage,
        verdict: ValidationOutcome,
        newest: Option<Epoch>,
    ) {
        match verdict {
            ValidationOutcome::Good(entries) => {
                self.network.validated(&message, Acceptance::Accept).await;
                for entry in entries {
                    self.driver.verified(entry).await;
                }
            }
            ValidationOutcome::Excess(author, reason) => {
                self.ignore(&message, author, reason).await
            }
            ValidationOutcome::Useless(reason) => {
                self.drop(&message, Acceptance::Ignore, reason).await
            }
            ValidationOutcome::Bad(reason) => {
                self.drop(&message, Acceptance::Reject(reason), reason)
                    .await
            }
            ValidationOutcome::Guilty(guilt) => self.blame(&message, &guilt).await,
            ValidationOutcome::Ahead(epoch) => self.park(message, epoch, newest).await,
        }
    }

    /// More than the author's share.
    async fn ignore(&self, message: &GossipMessage, author: Address, reason: &'static str) {
        let operator = author.to_string();
        metrics::counter!("quorate_operator_ignored_total", "operator" => operator, "reason" => reason)
            .increment(1);
        self.drop(message, Acceptance::Ignore, reason).await;
    }

    /// The author's fault: it costs its peer, if it came from there, and no other peer.
    async fn blame(&self, message: &GossipMessage, guilt: &Blame) {
        let Blame {
            author,
            muted,
            reason,
        } = *guilt;
        let operator = author.operator.to_string();
        metrics::counter!("quorate_operator_faults_total", "operator" => operator, "reason" => reason)
            .increment(1);
        let peer = peer_id_of(&author.peer_key);
        let acceptance = if peer == Some(message.source) {
            Acceptance::Reject(reason)
        } else {
            Acceptance::Ignore
        };
        self.drop(message, acceptance, reason).await;
        if let (true, Some(peer)) = (muted, peer) {
            self.network.offence(peer, Offence::Muted).await;
        }
    }

    async fn drop(&self, message: &GossipMessage, acceptance: Acceptance, reason: &'static str) {
        let kind = message.kind.name();
        tracing::debug!(peer = %message.source, kind, reason, ?acceptance, "gossip dropped");
        metrics::counter!("quorate_gossip_rejected_total", "kind" => kind, "reason" => reason)
            .increment(1);
        let detail = format!("{kind} from peer {}", message.source);
        self.refusals
            .note(clock::now(), Origin::Gossip, reason, &detail, None);
        self.network.validated(message, acceptance).await;
    }

    async fn park(&mut self, message: GossipMessage, epoch: Epoch, newest: Option<Epoch>) {
        let is_stranger = !self.regulars.contains(&message.source);
        let now = Instant::now();
        if let Some(message) = self.parking.put(now, newest, message, is_stranger) {
            return self.drop(&message, Acceptance::Ignore, NOT_REACHED).await;
        }
        tracing::debug!(%epoch, "message of the coming epoch waits");
        if self.parking.hurries(now) {
            self.home.hurry();
        }
    }

    /// Validates what waits once more, if its epoch may be known now.
    async fn retry_parked(&mut self) -> Result<(), NodeError> {
        let newest = self.home.view().newest();
        match self.parking.retry(newest) {
            messages if messages.is_empty() => Ok(()),
            messages => self.validate(messages).await,
        }
    }

    async fn drop_late(&mut self) {
        for message in self.parking.late(Instant::now()) {
            self.drop(&message, Acceptance::Ignore, NOT_REACHED).await;
        }
    }
}
