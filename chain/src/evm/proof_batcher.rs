//! Proofs of one contract in one state, asked for together: those that are asked for while a request
//! is under way share the next one.
//!
//! # Design Decisions
//!
//! A proof is the dearest call that a provider answers, and it costs little more for many slots than
//! for one: providers charge by the call, and some build the trie anew for each. As with batches of
//! calls there is no timer. Each caller checks its own part, so a forged part spoils no other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy::primitives::{Address, B256, U256};

use super::calls;
use super::errors::{failed, is_missing, is_no_such_method};
use super::proof::answer::ProofAnswer;
use crate::RequestOutcome;
use crate::priority::{self, Lanes};
use crate::rpc::{BatchClient, BatchLimit, ProviderError, Responder, pending, wait};

/// The method by which EVM chains prove state.
pub(super) const PROOF_METHOD: &str = "eth_getProof";

/// Callers that wait for one provider, users and attestations each.
const MAX_WAITING: usize = 2_048;

/// Asks one provider for proofs.
#[derive(Clone)]
pub(super) struct ProofBatcher(Arc<ProofBatcherState>);

struct ProofBatcherState {
    batcher: BatchClient,
    queue: Mutex<ProofQueue>,
}

#[derive(Default)]
struct ProofQueue {
    waiting: Lanes<QueuedProof>,
    in_flight: usize,
    /// Of these, for users.
    for_users: usize,
    /// In slots.
    limit: BatchLimit,
}

struct QueuedProof {
    of: Address,
    at: B256,
    slots: Vec<U256>,
    reply: Responder<ProofAnswer>,
}

impl ProofBatcher {
    pub(super) fn new(batcher: BatchClient) -> Self {
        Self(Arc::new(ProofBatcherState {
            batcher,
            queue: Mutex::default(),
        }))
    }

    /// Proofs of these slots of a contract in the state after block `at`, in their order and not
    /// checked yet; or why there are none in time.
    pub(super) async fn prove(
        &self,
        of: Address,
        slots: &[U256],
        at: B256,
    ) -> Result<ProofAnswer, ProviderError> {
        let (reply, part) = pending();
        let enqueued = self.enqueue(QueuedProof {
            of,
            at,
            slots: slots.to_vec(),
            reply,
        });
        let part = wait(enqueued.map(|()| part)).await;
        self.0.batcher.explain(part)
    }

    fn enqueue(&self, waiting: QueuedProof) -> Result<(), ProviderError> {
        let mut queue = self.0.queue();
        let for_user = waiting.reply.is_for_user();
        let lane = queue.waiting.lane(for_user);
        if lane.len() >= MAX_WAITING {
            lane.retain(|waiting| !waiting.reply.is_closed());
        }
        if lane.len() >= MAX_WAITING {
            return Err(ProviderError::Busy(MAX_WAITING));
        }
        lane.push_back(waiting);
        // An attestation does not wait for users' proofs, which wait for its calls.
        let is_held_up = !for_user && queue.for_users == queue.in_flight;
        if queue.in_flight < queue.limit.requests() || is_held_up {
            self.0.add_worker(&mut queue);
        }
        Ok(())
    }
}

impl ProofBatcherState {
    fn queue(&self) -> MutexGuard<'_, ProofQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_worker(self: &Arc<Self>, queue: &mut ProofQueue) {
        queue.in_flight += 1;
        tokio::spawn(Arc::clone(self).work());
    }

    /// Asks until no caller waits.
    async fn work(self: Arc<Self>) {
        while let Some(request) = self.next_request() {
            let for_users = usize::from(request.is_for_users());
            self.queue().for_users += for_users;
            self.ask(request).await;
            self.queue().for_users -= for_users;
        }
    }

    /// The first, and others that want the same contract in the same state.
    /// Ends this worker's turn when no caller waits, under the same lock.
    fn next_request(&self) -> Option<ProofRequest> {
        let mut queue = self.queue();
        let limit = queue.limit.get();
        let mut request: Option<ProofRequest> = None;
        let mut rest = Lanes::default();
        for waiting in queue.waiting.drain() {
            let left = match &mut request {
                _ if waiting.reply.is_closed() => None,
                None => {
                    request = Some(ProofRequest::of(waiting));
                    None
                }
                Some(request) => request.join(waiting, limit),
            };
            if let Some(waiting) = left {
                rest.lane(waiting.reply.is_for_user()).push_back(waiting);
            }
        }
        queue.waiting = rest;
        if request.is_none() {
            queue.in_flight -= 1;
        }
        request
    }

    async fn ask(self: &Arc<Self>, request: ProofRequest) {
        let call = calls::proof(request.of, &request.slots, request.at);
        let call = self.batcher.call(call);
        let answer = match request.is_for_users() {
            true => priority::for_user(call).await,
            false => call.await,
        };
        let answer = match answer {
            Ok(answer) => ProofAnswer::read(answer.get(), request.slots.len())
                .map_err(|problem| ProviderError::malformed(self.batcher.url().scrub(&problem))),
            Err(error) if failed(&error, is_no_such_method) => {
                Err(ProviderError::NoProofs(PROOF_METHOD))
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => {
                self.queue().limit.accepted(request.slots.len());
                request.hand_out(&answer);
            }
            Err(error) if request.members.len() > 1 && may_be_too_many(&error) => {
                self.put_back(request);
            }
            Err(error) => request.fail(&error),
        }
    }

    /// They are asked for again, fewer at once.
    fn put_back(self: &Arc<Self>, request: ProofRequest) {
        let mut queue = self.queue();
        queue.limit.refused(request.slots.len());
        for waiting in request.into_members().rev() {
            let lane = queue.waiting.lane(waiting.reply.is_for_user());
            lane.push_front(waiting);
        }
        while queue.in_flight < queue.limit.requests() {
            self.add_worker(&mut queue);
        }
    }
}

/// The provider answers, and not to that: perhaps it takes fewer slots.
fn may_be_too_many(error: &ProviderError) -> bool {
    error.outcome() == RequestOutcome::Refused
        && !failed(error, is_missing)
        && *error != ProviderError::NoProofs(PROOF_METHOD)
}

/// What one request asks for, and for whom.
struct ProofRequest {
    of: Address,
    at: B256,
    /// Each once.
    slots: Vec<U256>,
    places: HashMap<U256, usize>,
    members: Vec<(Vec<usize>, Responder<ProofAnswer>)>,
}

impl ProofRequest {
    fn of(first: QueuedProof) -> Self {
        let mut request = Self {
            of: first.of,
            at: first.at,
            slots: Vec::new(),
            places: HashMap::new(),
            members: Vec::new(),
        };
        request.add(first);
        request
    }

    /// Gives back who wants something else, or would make it too much.
    fn join(&mut self, waiting: QueuedProof, limit: usize) -> Option<QueuedProof> {
        let is_new = |slot: &&U256| !self.places.contains_key(slot);
        let more = waiting.slots.iter().filter(is_new).count();
        let fits = self.slots.len() + more <= limit;
        if (waiting.of, waiting.at) != (self.of, self.at) || !fits {
            return Some(waiting);
        }
        self.add(waiting);
        None
    }

    /// No attestation waits for it.
    fn is_for_users(&self) -> bool {
        self.members.iter().all(|(_, reply)| reply.is_for_user())
    }

    fn add(&mut self, QueuedProof { slots, reply, .. }: QueuedProof) {
        reply.sent();
        let places = slots.into_iter().map(|slot| {
            *self.places.entry(slot).or_insert_with(|| {
                self.slots.push(slot);
                self.slots.len() - 1
            })
        });
        self.members.push((places.collect(), reply));
    }

    fn hand_out(self, answer: &ProofAnswer) {
        for (places, reply) in self.members {
            reply.answer(Ok(answer.part(&self.slots, &places)));
        }
    }

    fn fail(self, error: &ProviderError) {
        for (_, reply) in self.members {
            reply.answer(Err(error.clone()));
        }
    }

    fn into_members(self) -> impl DoubleEndedIterator<Item = QueuedProof> {
        let Self {
            of,
            at,
            slots,
            members,
            ..
        } = self;
        members.into_iter().map(move |(places, reply)| QueuedProof {
            of,
            at,
            slots: places.iter().map(|place| slots[*place]).collect(),
            reply,
        })
    }
}

#[cfg(test)]
mod tests;
