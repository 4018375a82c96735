//! Proofs of one contract in one state, asked for together: those that are wanted while a request
//! is under way share the next one.
//!
//! # Design Decisions
//!
//! A proof is the dearest call that a provider answers, and it costs little more for many slots than
//! for one: providers charge by the call, and some build the trie anew for each. As with batches of
//! calls there is no timer. Each caller checks its own part, so whoever forges one spoils no other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy::primitives::{Address, B256, U256};

use super::batcher::limit::BatchLimit;
use super::batcher::{Batcher, Reply, pending, wait};
use super::calls;
use super::proof::answer::ProofAnswer;
use super::rpc::Failure;
use crate::RequestOutcome;
use crate::priority::{self, Lanes};

/// Callers that wait for one provider, users and attestations each.
const MAX_WAITING: usize = 2_048;

/// What one caller gets.
type Part = Result<ProofAnswer, Failure>;

/// Asks one provider for proofs.
#[derive(Clone)]
pub(super) struct Gatherer(Arc<Shared>);

struct Shared {
    batcher: Batcher,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: Lanes<Waiting>,
    in_flight: usize,
    /// Of these, for users.
    for_users: usize,
    /// In slots.
    limit: BatchLimit,
}

struct Waiting {
    of: Address,
    at: B256,
    slots: Vec<U256>,
    reply: Reply<ProofAnswer>,
}

impl Gatherer {
    pub(super) fn new(batcher: Batcher) -> Self {
        Self(Arc::new(Shared {
            batcher,
            queue: Mutex::default(),
        }))
    }

    /// Proofs of these slots of a contract in the state after block `at`, in their order and not
    /// checked yet; or why there are none in time.
    pub(super) async fn prove(&self, of: Address, slots: &[U256], at: B256) -> Part {
        let (reply, part) = pending();
        let enqueued = self.enqueue(Waiting {
            of,
            at,
            slots: slots.to_vec(),
            reply,
        });
        let part = wait(enqueued.map(|()| part)).await;
        self.0.batcher.explain(part)
    }

    fn enqueue(&self, waiting: Waiting) -> Result<(), Failure> {
        let mut queue = self.0.queue();
        let for_user = waiting.reply.is_for_user();
        let lane = queue.waiting.lane(for_user);
        if lane.len() >= MAX_WAITING {
            lane.retain(|waiting| !waiting.reply.is_closed());
        }
        if lane.len() >= MAX_WAITING {
            return Err(Failure::Busy(MAX_WAITING));
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

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_worker(self: &Arc<Self>, queue: &mut Queue) {
        queue.in_flight += 1;
        tokio::spawn(Arc::clone(self).work());
    }

    /// Asks until nobody waits.
    async fn work(self: Arc<Self>) {
        while let Some(group) = self.next_group() {
            let for_users = usize::from(group.is_for_users());
            self.queue().for_users += for_users;
            self.ask(group).await;
            self.queue().for_users -= for_users;
        }
    }

    /// The first, and others that want the same contract in the same state.
    /// Ends this worker's turn when nobody waits, under the same lock.
    fn next_group(&self) -> Option<Group> {
        let mut queue = self.queue();
        let limit = queue.limit.get();
        let mut group: Option<Group> = None;
        let mut rest = Lanes::default();
        for waiting in queue.waiting.drain() {
            let left = match &mut group {
                _ if waiting.reply.is_closed() => None,
                None => {
                    group = Some(Group::of(waiting));
                    None
                }
                Some(group) => group.join(waiting, limit),
            };
            if let Some(waiting) = left {
                rest.lane(waiting.reply.is_for_user()).push_back(waiting);
            }
        }
        queue.waiting = rest;
        if group.is_none() {
            queue.in_flight -= 1;
        }
        group
    }

    async fn ask(self: &Arc<Self>, group: Group) {
        let call = calls::proof(group.of, &group.slots, group.at);
        let call = self.batcher.call(call);
        let answer = match group.is_for_users() {
            true => priority::for_user(call).await,
            false => call.await,
        };
        let answer = match answer {
            Ok(answer) => ProofAnswer::read(answer.get(), group.slots.len())
                .map_err(|problem| Failure::malformed(self.batcher.url().scrub(&problem))),
            Err(failure) if failure.is_no_such_method() => Err(Failure::NoProofs),
            Err(failure) => Err(failure),
        };
        match answer {
            Ok(answer) => {
                self.queue().limit.accepted(group.slots.len());
                group.hand_out(&answer);
            }
            Err(failure) if group.members.len() > 1 && may_be_too_many(&failure) => {
                self.put_back(group);
            }
            Err(failure) => group.fail(&failure),
        }
    }

    /// They are asked for again, fewer at once.
    fn put_back(self: &Arc<Self>, group: Group) {
        let mut queue = self.queue();
        queue.limit.refused(group.slots.len());
        for waiting in group.into_members().rev() {
            let lane = queue.waiting.lane(waiting.reply.is_for_user());
            lane.push_front(waiting);
        }
        while queue.in_flight < queue.limit.requests() {
            self.add_worker(&mut queue);
        }
    }
}

/// The provider answers, and not to that: perhaps it takes fewer slots.
fn may_be_too_many(failure: &Failure) -> bool {
    failure.outcome() == RequestOutcome::Refused
        && !failure.is_missing()
        && *failure != Failure::NoProofs
}

/// What one request asks for, and for whom.
struct Group {
    of: Address,
    at: B256,
    /// Each once.
    slots: Vec<U256>,
    places: HashMap<U256, usize>,
    members: Vec<(Vec<usize>, Reply<ProofAnswer>)>,
}

impl Group {
    fn of(first: Waiting) -> Self {
        let mut group = Self {
            of: first.of,
            at: first.at,
            slots: Vec::new(),
            places: HashMap::new(),
            members: Vec::new(),
        };
        group.add(first);
        group
    }

    /// Gives back who wants something else, or would make it too much.
    fn join(&mut self, waiting: Waiting, limit: usize) -> Option<Waiting> {
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

    fn add(&mut self, Waiting { slots, reply, .. }: Waiting) {
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

    fn fail(self, failure: &Failure) {
        for (_, reply) in self.members {
            reply.answer(Err(failure.clone()));
        }
    }

    fn into_members(self) -> impl DoubleEndedIterator<Item = Waiting> {
        let Self {
            of,
            at,
            slots,
            members,
            ..
        } = self;
        members.into_iter().map(move |(places, reply)| Waiting {
            of,
            at,
            slots: places.iter().map(|place| slots[*place]).collect(),
            reply,
        })
    }
}

#[cfg(test)]
mod tests;
