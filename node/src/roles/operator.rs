//! An operator: reads chains, signs what it saw, and joins its registries.

use std::sync::Arc;

use quorate_proto::store::SignerRecord;
use quorate_proto::{Address, Domain, PeerBinding, PeerSecret};
use quorate_storage::Store;
use tokio::sync::mpsc;

use crate::context::Context;
use crate::gossip::publisher::{PublishHandle, PublishPace, Publisher};
use crate::keys::Signer;
use crate::maintenance::prune::LogPruner;
use crate::process::supervisor::Tasks;
use crate::registry::join::{Applicant, Join, RegistryStandings};
use crate::services::bridge::announcer::Announcer;
use crate::services::bridge::turns::TaskStarter;
use crate::services::bridge::voter::Voter;
use crate::settings::Settings;
use crate::signing::lease::others::{Others, Peers, PresenceSources};
use crate::signing::lease::{self, LeaseHandle, LeaseTask, LogClaim};
use crate::tasks::attestor::Attestor;
use crate::tasks::driver::OwnOperator;
use crate::tasks::handover::HandOver;
use crate::{NodeError, clock};

/// The operator that a node speaks for.
pub(super) struct Speaker {
    pub(super) signer: Arc<dyn Signer>,
    pub(super) binding: PeerBinding,
    /// What the store knew of the operator at the start.
    record: SignerRecord,
}

impl Speaker {
    /// Binds the peer key to the operator of the settings.
    ///
    /// # Errors
    /// Settings that lack the operator or its key; a key that another process signs with.
    pub(super) async fn new(
        settings: &Settings,
        signer: Option<Arc<dyn Signer>>,
        domain: &Domain,
        secret: &PeerSecret,
        store: &Store,
    ) -> Result<Self, NodeError> {
        let lacks = |text: &str| NodeError::Settings(text.into());
        let operator = settings.operator.ok_or_else(|| {
            lacks("an operator needs --operator, the address that holds the stake")
        })?;
        let signer = signer.ok_or_else(|| {
            lacks("an operator needs a signing key; make one with `node keys new`")
        })?;
        let record = store.signer(&operator.into_array())?;
        lease::refuse_beside_holder(signer.address(), &record)?;
        // Above all that the operator was bound by before, also where the clock was set back. What a
        // wrong clock made is no measure: no peer listens to a binding of the future.
        let last = Some(record.sequence).filter(|last| !clock::is_ahead(*last));
        let next = last.map_or(0, |last| last.saturating_add(1));
        let sequence = clock::now().millis().max(next);
        let peer_key = secret.public();
        let digest = PeerBinding::digest(domain, operator, peer_key, sequence);
        let signature = signer.sign(digest).await?;
        let binding = PeerBinding {
            operator,
            peer_key,
            sequence,
            signature,
        };
        Ok(Self {
            signer,
            binding,
            record,
        })
    }
}

/// An operator whose signing tasks run: what the tasks of every node need of it.
pub(super) struct OperatorRole {
    speaker: Speaker,
    pub(super) lease: LeaseHandle,
    pub(super) publisher: PublishHandle,
    pub(super) own: OwnOperator,
}

impl OperatorRole {
    /// Starts what signs and publishes. `claim` is what is known of the signing log, `heard` what is heard of
    /// the operator's bindings from now on.
    ///
    /// # Errors
    /// [`NodeError`].
    pub(super) fn start(
        tasks: &mut Tasks,
        context: &Context,
        (speaker, secret): (Speaker, PeerSecret),
        (claim, heard): (LogClaim, mpsc::Receiver<PeerBinding>),
    ) -> Result<Self, NodeError> {
        let lease = spawn_lease(tasks, context, &speaker, (claim, heard))?;
        let publisher = spawn_publisher(tasks, context, &speaker, (secret, lease.clone()));
        let operator = speaker.binding.operator;
        let (task, attestor) = Attestor::new(
            context.writes.signing_log(),
            speaker.signer.clone(),
            context.signatures.clone(),
            operator,
            context.domain,
            context.readiness.clone(),
            lease.clone(),
        );
        let task = task.noting(context.vitals.clone());
        tasks.spawn(
            "attestor",
            task.run(context.driver.clone(), context.halt.clone()),
        );
        let own = OwnOperator {
            operator,
            signing_key: speaker.signer.address(),
            attestor,
        };
        Ok(Self {
            speaker,
            lease,
            publisher,
            own,
        })
    }

    /// Operator and signing key.
    pub(super) fn addresses(&self) -> (Address, Address) {
        (self.own.operator, self.own.signing_key)
    }

    /// Its tasks beside those of every node. What comes back tells how it stands with its registries.
    ///
    /// # Errors
    /// [`NodeError`].
    pub(super) fn spawn(
        &self,
        tasks: &mut Tasks,
        context: &Context,
    ) -> Result<RegistryStandings, NodeError> {
        let operator = self.own.operator;
        let (home, halt) = (&context.home, &context.halt);
        let hand_over = HandOver::new(
            operator,
            home.clone(),
            context.driver.clone(),
            context.store.clone(),
        );
        tasks.spawn("handover", hand_over.run(halt.clone()));
        let starter = TaskStarter::new(
            operator,
            home.clone(),
            context.driver.clone(),
            context.store.clone(),
        );
        let announcer = Announcer::new(starter.clone(), context.bridge.clone());
        tasks.spawn("bridge-announce", announcer.run(halt.clone()));
        let voter = Voter::new(starter, context.bridge.clone());
        tasks.spawn("bridge-vote", voter.run(halt.clone()));
        let pruner = LogPruner {
            operator,
            reader: context.reader.clone(),
            home: home.clone(),
            writes: context.writes.clone(),
        };
        tasks.spawn("prune-log", pruner.run(halt.clone()));
        let applicant = Applicant {
            domain: context.domain,
            signer: self.speaker.signer.clone(),
            binding: self.speaker.binding,
        };
        let (join, standings) = Join::new(
            applicant,
            context.caller()?,
            context.network.clone(),
            context.binding_importer(),
            context.configured_peers(),
            self.lease.clone(),
        );
        tasks.spawn("join", join.run(halt.clone()));
        Ok(standings)
    }
}

fn spawn_lease(
    tasks: &mut Tasks,
    context: &Context,
    speaker: &Speaker,
    (claim, heard): (LogClaim, mpsc::Receiver<PeerBinding>),
) -> Result<LeaseHandle, NodeError> {
    let others = Others::Peers(Box::new(Peers::new(
        context.caller()?,
        context.network.clone(),
        context.configured_peers(),
        speaker.binding.operator,
        PresenceSources {
            vitals: context.vitals.clone(),
            adopter: context.binding_importer(),
        },
    )));
    context.vitals.speaks(speaker.binding.sequence);
    let (keeper, lease) = LeaseTask::new(lease::LeaseParts {
        domain: context.domain,
        signer: speaker.signer.clone(),
        record: speaker.record.clone(),
        binding: speaker.binding,
        signers: context.writes.signers(),
        claim,
        home: context.home.clone(),
        reader: context.reader.clone(),
        others,
        heard,
    });
    tasks.spawn("lease", keeper.run(context.halt.clone()));
    Ok(lease)
}

fn spawn_publisher(
    tasks: &mut Tasks,
    context: &Context,
    speaker: &Speaker,
    (secret, lease): (PeerSecret, LeaseHandle),
) -> PublishHandle {
    let pace = PublishPace::new(
        speaker.binding.operator,
        context.settings.limits.mesh,
        context.home.clone(),
    );
    let (publisher, handle) = Publisher::new(
        context.network.clone(),
        context.domain.network(),
        speaker.binding,
        secret,
        pace,
        lease,
    );
    tasks.spawn("publisher", publisher.run(context.halt.clone()));
    handle
}
