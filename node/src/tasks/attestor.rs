//! Signs: the only task that holds the signer.
//!
//! What waits is taken together: one synced commit of the signing log for all of it, then the
//! signatures, all at once: a signer over the network takes its time for each. A signature exists only
//! after its record is on disk.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::future::join_all;
use quorate_proto::{
    Address, Domain, Outcome, ReadBasis, Refusal, RefusalCode, Response, Signature, Statement,
    TaskId, limits,
};
use quorate_storage::{Batch, Permit, SigningEntry, SigningLog, StoreError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::NodeError;
use crate::clock;
use crate::gossip::SignatureCache;
use crate::health::readiness::{Cause, Readiness};
use crate::health::vitals::Vitals;
use crate::keys::{Signer, SignerError};
use crate::signing::lease::LeaseHandle;
use crate::signing::lease::young::{MARGIN_S, Ruling, SigningMoment};
use crate::tasks::driver::{DriverHandle, Event};

/// Answers that wait to be signed; the open tasks bound them.
const QUEUE: usize = limits::MAX_OPEN_TASKS;
/// Signed in one go: 64 take 3 ms.
const GROUP: usize = 64;

/// What is to be signed.
#[derive(Clone, Debug)]
pub(crate) enum Job {
    Attest(Statement, ReadBasis),
    Refuse(Statement, ReadBasis, RefusalCode, String),
}

impl Job {
    fn task(&self) -> TaskId {
        match self {
            Self::Attest(statement, _) | Self::Refuse(statement, ..) => statement.task_id(),
        }
    }
}

/// Hands jobs to the attestor.
pub(crate) type AttestHandle = mpsc::Sender<Job>;

/// The signing task.
pub(crate) struct Attestor {
    jobs: mpsc::Receiver<Job>,
    log: SigningLog,
    signer: Arc<dyn Signer>,
    known: SignatureCache,
    operator: Address,
    domain: Domain,
    readiness: Readiness,
    lease: LeaseHandle,
    vitals: Vitals,
}

impl Attestor {
    pub(crate) fn new(
        log: SigningLog,
        signer: Arc<dyn Signer>,
        known: SignatureCache,
        operator: Address,
        domain: Domain,
        readiness: Readiness,
        lease: LeaseHandle,
    ) -> (Self, AttestHandle) {
        let (sender, jobs) = mpsc::channel(QUEUE);
        let attestor = Self {
            jobs,
            log,
            signer,
            known,
            operator,
            domain,
            readiness,
            lease,
            vitals: Vitals::default(),
        };
        (attestor, sender)
    }

    /// Tells `vitals` of every signature.
    pub(crate) fn noting(mut self, vitals: Vitals) -> Self {
        self.vitals = vitals;
        self
    }

    /// Runs until `token` is cancelled. What comes before the lease is there waits for it; what
    /// comes while it is refused or lost is left out.
    ///
    /// # Errors
    /// A store that cannot be written: who cannot record must not sign.
    pub(crate) async fn run(
        mut self,
        driver: DriverHandle,
        token: CancellationToken,
    ) -> Result<(), NodeError> {
        let mut group = Vec::with_capacity(GROUP);
        if token
            .run_until_cancelled(self.lease.settled())
            .await
            .is_none()
        {
            return Ok(());
        }
        loop {
            tokio::select! {
                count = self.jobs.recv_many(&mut group, GROUP) => {
                    if count == 0 {
                        return Ok(());
                    }
                    for event in self.answer(std::mem::take(&mut group)).await? {
                        driver.send(event).await;
                    }
                }
                () = token.cancelled() => return Ok(()),
            }
        }
    }

    /// What the task driver is told of a group: each answer, and each task that has none.
    async fn answer(&self, jobs: Vec<Job>) -> Result<Vec<Event>, NodeError> {
        let tasks: Vec<TaskId> = jobs.iter().map(Job::task).collect();
        let responses = match self.lease.is_held() {
            true => self.sign_all(jobs).await?,
            false => Vec::new(),
        };
        let unsigned = left_out(tasks, &responses);
        metrics::counter!("quorate_unsignable_total").increment(unsigned.len() as u64);
        let answers = responses.into_iter().map(Event::Answered);
        Ok(answers
            .chain(unsigned.into_iter().map(Event::Unsigned))
            .collect())
    }

    async fn sign_all(&self, jobs: Vec<Job>) -> Result<Vec<Response>, NodeError> {
        let (statements, mut refusals) = self.sort(jobs);
        let entries: Vec<SigningEntry> = statements.iter().map(|(s, _)| self.entry(s)).collect();
        let digests = entries.iter().map(|entry| entry.digest);
        let by_digest: HashMap<_, _> = digests.zip(statements.iter().cloned()).collect();
        let admission = self.log.admit(&entries);
        for (place, refusal) in admission.refused {
            let conflict = conflict_text(refusal)?;
            if let Some((statement, basis)) = statements.get(place) {
                tracing::error!(task = %statement.task_id(), conflict, "refused to sign a second fact");
                count_refusal(RefusalCode::Conflict);
                refusals.push((statement.clone(), *basis, RefusalCode::Conflict, conflict));
            }
        }
        let mut responses = Vec::with_capacity(statements.len() + refusals.len());
        if !admission.reservation.entries().is_empty() {
            let started = clock::now();
            let permits = admission.reservation.commit_in_turn(Batch::new()).await?;
            let took = clock::now().micros_since(started);
            metrics::histogram!("quorate_signing_log_seconds")
                .record(crate::process::measures::seconds(took));
            // It may have been lost while the disk was waited for.
            if self.lease.is_held() {
                let signed = permits.iter().map(|permit| self.attest(permit, &by_digest));
                responses.extend(join_all(signed).await.into_iter().flatten());
            }
            if !responses.is_empty() {
                self.vitals.signed();
            }
        }
        let refused = refusals
            .into_iter()
            .map(|(statement, basis, code, detail)| self.refuse(statement, basis, code, detail));
        responses.extend(join_all(refused).await.into_iter().flatten());
        Ok(responses)
    }

    /// What may be signed as far as the beginning of the log goes, and what is refused.
    fn sort(&self, jobs: Vec<Job>) -> (Vec<(Statement, ReadBasis)>, Vec<SigningRefusal>) {
        let (mut statements, mut refusals) = (Vec::new(), Vec::new());
        for job in jobs {
            match job {
                Job::Attest(statement, basis) => match self.lease.rule(statement.fact_time()) {
                    Ruling::Sign => statements.push((statement, basis)),
                    Ruling::Refuse(until) => {
                        let code = RefusalCode::CannotSign;
                        count_refusal(code);
                        refusals.push((statement, basis, code, too_old(until)));
                    }
                },
                Job::Refuse(statement, basis, code, detail) => {
                    refusals.push((statement, basis, code, detail));
                }
            }
        }
        (statements, refusals)
    }

    fn entry(&self, statement: &Statement) -> SigningEntry {
        SigningEntry {
            operator: self.operator.into_array(),
            key: self.signer.address().into_array(),
            slot: statement.slot().0.0,
            fact: statement.fact().0,
            digest: statement.digest(&self.domain).0,
            task: statement.task_id().0.0,
            epoch: statement.epoch().0,
            time_ms: clock::now().millis(),
        }
    }

    async fn attest(
        &self,
        permit: &Permit,
        statements: &HashMap<[u8; 32], (Statement, ReadBasis)>,
    ) -> Option<Response> {
        let (statement, basis) = statements.get(permit.digest())?.clone();
        let signature = self.noted(self.signer.sign(permit.digest().into()).await)?;
        let digest = permit.digest().into();
        self.known.keep(signature, digest, self.signer.address());
        Some(Response {
            operator: self.operator,
            statement,
            outcome: Outcome::Signed(signature),
            basis,
        })
    }

    async fn refuse(
        &self,
        statement: Statement,
        basis: ReadBasis,
        code: RefusalCode,
        mut detail: String,
    ) -> Option<Response> {
        detail.truncate(detail.floor_char_boundary(limits::MAX_DETAIL_BYTES));
        let signed = self
            .signer
            .sign(statement.refusal_digest(&self.domain, code))
            .await;
        let signature = self.noted(signed)?;
        Some(Response {
            operator: self.operator,
            statement,
            outcome: Outcome::Refused(Refusal {
                code,
                detail,
                signature,
            }),
            basis,
        })
    }
}

impl Attestor {
    /// A node whose key is out of reach is not ready until it signs again.
    fn noted(&self, signed: Result<Signature, SignerError>) -> Option<Signature> {
        match signed {
            Ok(signature) => {
                self.readiness.clear(Cause::Signer);
                Some(signature)
            }
            Err(error) => {
                tracing::error!(%error, "not signed");
                self.readiness.block(Cause::Signer, error.to_string());
                None
            }
        }
    }
}

/// What is refused: why, and in words.
type SigningRefusal = (Statement, ReadBasis, RefusalCode, String);

fn count_refusal(code: RefusalCode) {
    metrics::counter!("quorate_refusals_total", "code" => code.as_str_name()).increment(1);
}

/// The operator may have signed another fact before its log began.
fn too_old(until: Option<SigningMoment>) -> String {
    match until {
        Some(until) => format!(
            "the fact is not {MARGIN_S} s younger than the operator's key, with which its signing log \
             begins; older ones are signed {until}"
        ),
        None => {
            "the first epoch of the operator's key, with which its signing log begins, has not \
                 begun or is being looked up"
                .into()
        }
    }
}

/// Those of `tasks` to which there is no response.
fn left_out(mut tasks: Vec<TaskId>, responses: &[Response]) -> Vec<TaskId> {
    let answered: HashSet<TaskId> = responses.iter().map(|r| r.statement.task_id()).collect();
    tasks.retain(|task| !answered.contains(task));
    tasks
}

/// A conflict is an answer to the network; everything else about the store ends the node.
fn conflict_text(refusal: StoreError) -> Result<String, NodeError> {
    match refusal {
        StoreError::Conflict(conflict) => Ok(conflict.to_string()),
        other => Err(other.into()),
    }
}

#[cfg(test)]
mod tests;
