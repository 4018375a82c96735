//! What a user had stored: read when it is this user's turn, then asked of the network.

use std::time::Duration;

use quorate_chain::{At, BlockRef, ChainError, ReadLog, Reading, StateReader, for_user};
use quorate_proto::wire;
use quorate_proto::wire::reply::Kind as ReplyKind;
use quorate_proto::wire::state_request::At as WireAt;
use quorate_proto::{Address, OperatorSet, StateProof, Statement, TaskId, U256};
use quorate_storage::schema;

use super::failure::{chain_error, store_error, unavailable};
use super::{Answerer, Failure, ReplySender, invalid, overloaded};
use crate::client::check_seconds;
use crate::clock;
use crate::requests::tolls::Pass;
use crate::requests::turns::Turn;
use crate::tasks::driver::{ReadTrace, Subscription};

/// How long a question waits until its task may be begun.
const BEGIN_PATIENCE: Duration = Duration::from_secs(2);

/// What is known about a question before the network is asked.
enum KnownValue {
    Stored(Box<ReplyKind>),
    Read(Reading, ReadTrace),
}

/// A checked state request.
struct StateQuery {
    chain_id: u32,
    user: Address,
    key: U256,
    at: At,
}

impl Answerer {
    pub(super) async fn state(
        &self,
        id: u64,
        request: &wire::StateRequest,
        replies: &ReplySender,
        (pass, seat): (&Pass, &mut Option<Subscription>),
    ) -> Result<ReplyKind, Failure> {
        let question = parse(request)?;
        // First, so that a registry says what it is rather than which chains it lacks.
        let set = self.serving_set()?;
        let (reading, trace) = match self.read(&question, &set, pass).await? {
            KnownValue::Stored(stored) => return Ok(*stored),
            KnownValue::Read(reading, trace) => (reading, trace),
        };
        let statement = question.statement(&reading, &set)?;
        self.begin_task(&statement, &set, pass).await?;
        let seat = seat.insert(self.node.driver.ask(statement, set, trace).await);
        self.wait(id, seat, replies).await
    }

    /// The stored answer, or what this node reads when it has its turn.
    async fn read(
        &self,
        question: &StateQuery,
        set: &OperatorSet,
        pass: &Pass,
    ) -> Result<KnownValue, Failure> {
        let chain = self.chain(question.chain_id)?;
        if let At::Block(block) = question.at
            && let Some(stored) = self.stored_answer(question, block, set)?
        {
            return Ok(KnownValue::Stored(Box::new(stored)));
        }
        let _turn = self.turn(question.chain_id, pass).await?;
        let read = async {
            let block = match question.at {
                At::Block(number) => number,
                At::Timestamp(_) => {
                    let located = chain.locate(question.at).await;
                    let block = located.map_err(|e| chain_error(&e))?.number;
                    if let Some(stored) = self.stored_answer(question, block, set)? {
                        return Ok(KnownValue::Stored(Box::new(stored)));
                    }
                    block
                }
            };
            let (reading, trace) = question.read(chain.as_ref(), block).await;
            let reading = reading.map_err(|e| chain_error(&e))?;
            Ok(KnownValue::Read(reading, trace))
        };
        for_user(read).await
    }

    /// Waits a little where its source has begun what it may: a burst goes out as fast as others take it.
    async fn begin_task(
        &self,
        statement: &Statement,
        set: &OperatorSet,
        pass: &Pass,
    ) -> Result<(), Failure> {
        let Some(me) = self.me else { return Ok(()) };
        let share = self.node.settings.limits.mesh.share(set, me);
        let rate = share.tasks.kept_below();
        let begun = pass.begin_in_turn(statement.task_id(), rate, BEGIN_PATIENCE);
        begun.await.map_err(|limit| overloaded(limit.to_string()))
    }

    async fn turn(&self, chain_id: u32, pass: &Pass) -> Result<Turn, Failure> {
        let turns = self.turns.get(&u64::from(chain_id));
        let turn = match turns {
            Some(turns) => turns.take(pass.source()).await,
            None => None,
        };
        turn.ok_or_else(|| {
            overloaded(format!(
                "too many questions about chain {chain_id} wait here; ask again soon, or ask another operator"
            ))
        })
    }

    fn stored_answer(
        &self,
        question: &StateQuery,
        block: u64,
        set: &OperatorSet,
    ) -> Result<Option<ReplyKind>, Failure> {
        let slot = StateProof::slot_of(question.chain_id, question.user, question.key, block);
        let key = (slot.0.0, set.epoch().0);
        let Some(answer) = self
            .node
            .store
            .get(schema::QUESTIONS, &key)
            .map_err(store_error)?
        else {
            return Ok(None);
        };
        let id =
            TaskId::try_from(answer.task_id.as_slice()).map_err(|e| unavailable(e.to_string()))?;
        Ok(self
            .stored(id)?
            .map(|certificate| self.certified(&certificate, true)))
    }
}

impl StateQuery {
    /// Also a read that fails counts, maybe for lies that made it fail.
    async fn read(
        &self,
        chain: &dyn StateReader,
        block: u64,
    ) -> (Result<Reading, ChainError>, ReadTrace) {
        let (started, log) = (clock::now(), ReadLog::default());
        let reading = chain.read(self.user, self.key, block, &log).await;
        let micros = clock::now().micros_since(started);
        (reading, ReadTrace::of(chain.chain_id(), &log, micros))
    }

    fn statement(&self, reading: &Reading, set: &OperatorSet) -> Result<Statement, Failure> {
        let BlockRef {
            number, timestamp, ..
        } = reading.block;
        if timestamp >= 1 << 48 {
            return Err(unavailable(format!(
                "block {number} claims the impossible timestamp {timestamp}"
            )));
        }
        Ok(Statement::StateProof(StateProof {
            user: self.user,
            chain_id: self.chain_id,
            block_number: number,
            timestamp,
            epoch: set.epoch(),
            key: self.key,
            value: reading.value,
        }))
    }
}

fn parse(request: &wire::StateRequest) -> Result<StateQuery, Failure> {
    let user = Address::try_from(request.user.as_slice());
    let key: Result<[u8; 32], _> = request.key.as_slice().try_into();
    Ok(StateQuery {
        chain_id: request.chain_id,
        user: user.map_err(|_| invalid("user must have 20 bytes"))?,
        key: U256::from_be_bytes(key.map_err(|_| invalid("key must have 32 bytes, big endian"))?),
        at: match request.at {
            Some(WireAt::BlockNumber(number)) => At::Block(number),
            Some(WireAt::Timestamp(seconds)) => {
                check_seconds(seconds).map_err(invalid)?;
                At::Timestamp(seconds)
            }
            None => return Err(invalid("set block_number or timestamp")),
        },
    })
}

#[cfg(test)]
mod tests;
