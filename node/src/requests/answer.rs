//! What a user gets for a question.

mod epoch_update;
mod evidence;
mod failure;
mod state;
mod timeline;
mod transfer;

use std::collections::HashMap;
use std::sync::Arc;

use quorate_chain::StateReader;
use quorate_proto::wire::TimelineOutcome;
use quorate_proto::wire::reply::Kind as ReplyKind;
use quorate_proto::wire::request::Kind as RequestKind;
use quorate_proto::{Address, Certificate, OperatorSet, SignerSignature, TaskId, Timestamp, wire};
use quorate_storage::schema;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub(super) use self::failure::{Failure, invalid, overloaded};
use self::failure::{ended, error, progress_of, store_error, unavailable};
use super::tolls::Pass;
use super::turns::Turns;
use crate::clock;
use crate::context::Context;
use crate::http::pruned_text;
use crate::maintenance::prune::was_pruned;
use crate::network::{dialable, peer_id_of};
use crate::signing::lease::LeaseHandle;
use crate::tasks::driver::{Subscription, Update};
use crate::tasks::recorder::Origin;

/// Answers requests; shared by all streams.
pub(crate) struct Answerer {
    pub(crate) node: Context,
    pub(crate) me: Option<Address>,
    /// Who reads which chain next.
    pub(crate) turns: HashMap<u64, Turns>,
    /// At an operator.
    pub(crate) lease: Option<LeaseHandle>,
}

type ReplySender = mpsc::Sender<wire::Reply>;

/// What a request counts as. One that follows ends with an error whenever its user goes away, so that it says
/// nothing of how well this node answers.
const fn outcome_of(follows: bool, answered: bool) -> &'static str {
    match (follows, answered) {
        (true, _) => FOLLOWED,
        (false, true) => "answered",
        (false, false) => "failed",
    }
}

/// The outcome of a request that follows something.
const FOLLOWED: &str = "followed";

fn count(outcome: &'static str, started: Timestamp) {
    metrics::counter!("quorate_requests_total", "outcome" => outcome).increment(1);
    // Who follows stays for hours.
    if outcome != FOLLOWED {
        let took = clock::now().micros_since(started);
        metrics::histogram!("quorate_request_seconds")
            .record(crate::process::measures::seconds(took));
    }
}

impl Answerer {
    /// Answers one request; returns when its last reply is on its way. `gone` is cancelled when the user
    /// has closed its side, or its connection is gone.
    pub(super) async fn answer(
        &self,
        request: wire::Request,
        replies: ReplySender,
        (pass, gone): (&Pass, &CancellationToken),
    ) {
        let id = request.id;
        let started = clock::now();
        let asks = matches!(request.kind, Some(RequestKind::State(_)));
        let follows = match &request.kind {
            Some(RequestKind::Live(_)) => true,
            Some(RequestKind::Transfer(query)) => query.follow,
            _ => false,
        };
        let mut seat = None;
        let last = match request.kind {
            Some(RequestKind::State(state)) => {
                let asked = self.state(id, &state, &replies, (pass, &mut seat));
                asked.await
            }
            Some(RequestKind::Certificate(query)) => self.certificate(&query.task_id),
            Some(RequestKind::Operators(_)) => self.operators().await,
            Some(RequestKind::EpochUpdate(query)) => self.epoch_update(&query).await,
            Some(RequestKind::Timeline(query)) => self.timeline(&query),
            Some(RequestKind::Live(_)) => self.live(id, &replies, gone).await,
            Some(RequestKind::Evidence(query)) => self.evidence(&query),
            Some(RequestKind::Transfer(query)) => self.transfer(id, &query, &replies, gone).await,
            None => Err(invalid(
                "the request has no kind: set state, certificate, operators, epoch_update, timeline, \
                 live, evidence or transfer",
            )),
        };
        if asks {
            self.note_refusal(&last);
        }
        count(outcome_of(follows, last.is_ok()), started);
        let outcome = match last.is_ok() {
            true => TimelineOutcome::Certificate,
            false => TimelineOutcome::Error,
        };
        let kind = last.unwrap_or_else(|failure| ReplyKind::Error(*failure));
        if replies.send(reply(id, kind)).await.is_ok()
            && let Some(seat) = seat
        {
            seat.leave(outcome);
        }
    }

    /// Why nothing came of a question, for a reader who asks later. What began a task is in its record.
    fn note_refusal(&self, last: &Result<ReplyKind, Failure>) {
        if let Err(failure) = last
            && failure.progress.is_none()
        {
            let code = failure.code().as_str_name();
            let code = code.trim_start_matches("ERROR_CODE_").to_lowercase();
            let (now, text) = (clock::now(), &failure.message);
            let refusals = &self.node.channels.refusals;
            refusals.note(now, Origin::Request, &code, text, None);
        }
    }

    /// Waits for the network's answer and passes progress on.
    async fn wait(
        &self,
        id: u64,
        seat: &mut Subscription,
        replies: &ReplySender,
    ) -> Result<ReplyKind, Failure> {
        let mut next = None;
        loop {
            let update = match next.take() {
                Some(update) => Some(update),
                None => seat.updates.recv().await,
            };
            // Of the progress that has gathered, the newest says all.
            next = seat.updates.try_recv().ok();
            if let (Some(Update::Progress(_)), Some(Update::Progress(_))) = (&update, &next) {
                continue;
            }
            match update {
                Some(Update::Progress(report)) => {
                    let progress = ReplyKind::Progress(progress_of(&report));
                    if replies.send(reply(id, progress)).await.is_err() {
                        return Err(unavailable("the stream is gone"));
                    }
                }
                Some(Update::Certified(certificate)) => {
                    return Ok(self.certified(&certificate, false));
                }
                Some(Update::Ended(report)) => return Err(ended(&report)),
                Some(Update::Overloaded(reason)) => return Err(overloaded(reason)),
                None => {
                    return Err(unavailable(
                        "the node is shutting down; ask another operator",
                    ));
                }
            }
        }
    }

    fn certificate(&self, task_id: &[u8]) -> Result<ReplyKind, Failure> {
        let id = TaskId::try_from(task_id).map_err(|e| invalid(e.to_string()))?;
        if let Some(certificate) = self.stored(id)? {
            return Ok(self.certified(&certificate, true));
        }
        let known = self
            .node
            .store
            .get(schema::TASKS, &id.0.0)
            .map_err(store_error)?;
        let pruned = match known {
            None => was_pruned(&self.node.store, id).map_err(store_error)?,
            Some(_) => None,
        };
        Err(match known {
            None if let Some(epoch) = pruned => error(
                wire::ErrorCode::Pruned,
                false,
                pruned_text(id, epoch, self.node.inventory.floor()),
            ),
            None => error(
                wire::ErrorCode::UnknownTask,
                false,
                format!("task {id} is not known to this operator; ask another one"),
            ),
            Some(task) if task.status() == quorate_proto::store::TaskStatus::Pending => error(
                wire::ErrorCode::Pending,
                true,
                format!("task {id} is not certified yet; ask again in a moment"),
            ),
            Some(task) => error(
                wire::ErrorCode::Expired,
                true,
                format!(
                    "task {id} ended without certificate: {}; ask the question again",
                    task.failure
                ),
            ),
        })
    }

    fn stored(&self, id: TaskId) -> Result<Option<Certificate>, Failure> {
        let stored = self
            .node
            .store
            .get(schema::CERTIFICATES, &id.0.0)
            .map_err(store_error)?;
        let certificate = stored
            .map(|stored| crate::tasks::records::decode(&stored))
            .transpose();
        certificate.map_err(|e| unavailable(e.to_string()))
    }

    fn certified(&self, certificate: &Certificate, stored: bool) -> ReplyKind {
        let statement = certificate.statement();
        let read_bases = self.bases(certificate).unwrap_or_else(|cause| {
            tracing::warn!(error = %cause.message, "certificate given without what signers say of their reads");
            Vec::new()
        });
        ReplyKind::Certificate(wire::CertificateReply {
            task_id: statement.task_id().0.to_vec(),
            certificate: Some(certificate.into()),
            signature_data: certificate.signature_data(),
            digest: statement.digest(&self.node.domain).to_vec(),
            stored,
            read_bases,
        })
    }

    /// How each signer says that it knows what it read, where its response is kept here.
    fn bases(&self, certificate: &Certificate) -> Result<Vec<i32>, Failure> {
        let task = certificate.statement().task_id().0.0;
        let mut said = HashMap::new();
        for row in self.node.store.rows(schema::RESPONSES, &task) {
            let ((_, operator), record) = row.map_err(store_error)?;
            said.insert(operator, record.response.map_or(0, |r| r.read_basis));
        }
        let basis = |signer: &SignerSignature| said.get(&signer.operator.into_array()).copied();
        let signers = certificate.signatures().iter();
        Ok(signers
            .map(|signer| basis(signer).unwrap_or_default())
            .collect())
    }

    async fn operators(&self) -> Result<ReplyKind, Failure> {
        let Some(set) = self.node.home.view().current else {
            return Err(unavailable(
                "the operator set is not known yet; try again soon",
            ));
        };
        let peers = self.node.network.peers().await;
        let mut operators = Vec::with_capacity(set.members().len());
        for member in set.members() {
            let peer = self
                .node
                .bindings
                .of(member.address)
                .and_then(|b| peer_id_of(&b.peer_key));
            let connected = peers.iter().find(|info| Some(info.peer) == peer);
            let listens = match connected {
                _ if Some(member.address) == self.me => self.node.network.own_addresses(),
                Some(info) => dialable(&info.listens, info.peer),
                None => Vec::new(),
            };
            operators.push(wire::OperatorEntry {
                operator: member.address.to_vec(),
                signing_key: member.signing_key.to_vec(),
                weight: member.weight.to_be_bytes_vec(),
                peer_id: peer.map(|peer| peer.to_string()).unwrap_or_default(),
                addresses: listens.iter().map(ToString::to_string).collect(),
            });
        }
        Ok(ReplyKind::Operators(wire::OperatorList {
            epoch: set.epoch().0,
            total_weight: set.total_weight().to_be_bytes_vec(),
            operators,
            fixed_at: set.fixed_at(),
        }))
    }

    fn chain(&self, chain_id: u32) -> Result<&Arc<dyn StateReader>, Failure> {
        self.node.chains.get(&u64::from(chain_id)).ok_or_else(|| {
            let mut known: Vec<u64> = self.node.chains.keys().copied().collect();
            known.sort_unstable();
            let known: Vec<String> = known.iter().map(ToString::to_string).collect();
            let text = format!(
                "chain {chain_id} is not read here; this operator reads {}",
                known.join(", ")
            );
            error(wire::ErrorCode::ChainUnsupported, false, text)
        })
    }

    /// The set in which this node may announce tasks.
    fn serving_set(&self) -> Result<Arc<OperatorSet>, Failure> {
        if self.node.closing.is_cancelled() {
            return Err(unavailable(
                "the node is shutting down; ask another operator",
            ));
        }
        if let Some(problem) = self.lease.as_ref().and_then(LeaseHandle::problem) {
            tracing::debug!(problem, "a request is refused");
            return Err(unavailable(
                "this operator does not sign just now; ask another one",
            ));
        }
        let view = self.node.home.view();
        let Some(set) = view.current else {
            let why = view
                .problem
                .unwrap_or_else(|| "the home chain is being read".into());
            return Err(unavailable(format!(
                "the operator set is not known yet ({why}); try again soon"
            )));
        };
        match self.me {
            Some(me) if set.get(me).is_some() => Ok(set),
            Some(me) => Err(unavailable(format!(
                "operator {me} has no stake in epoch {}; ask another operator",
                set.epoch()
            ))),
            None => Err(unavailable(
                "this node is a registry and takes no requests; ask an operator",
            )),
        }
    }
}

pub(super) const fn reply(id: u64, kind: ReplyKind) -> wire::Reply {
    wire::Reply {
        id,
        kind: Some(kind),
    }
}

#[cfg(test)]
mod tests;
