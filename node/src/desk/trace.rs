//! How this node's own read of a chain went, for the task's record.

use std::collections::HashSet;

use quorate_chain::{BlockRef, Question, ReadLog, Said, Word};
use quorate_proto::store::{ProviderAnswer, ProviderQuestion, ProviderWord, TaskRecord};
use quorate_proto::{ReadBasis, Statement, limits};
use quorate_storage::{Page, Store, schema};

use crate::NodeError;

/// How a read went, whatever became of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadTrace {
    pub(crate) micros: u64,
    /// The final block whose state was read, where one was known.
    pub(crate) at: Option<BlockRef>,
    /// Unspecified where no answer came of it.
    pub(crate) basis: ReadBasis,
    /// What providers said; bounded by their log.
    pub(crate) words: Vec<Word>,
}

impl ReadTrace {
    /// Of a read of this chain that took so long, and also counts it.
    pub(crate) fn of(chain: u64, log: &ReadLog, micros: u64) -> Self {
        let (words, basis) = (log.words(), log.basis());
        metrics::histogram!("quorate_read_seconds").record(crate::figures::seconds(micros));
        crate::figures::reads(chain, basis).increment(1);
        for word in words.iter().filter(|word| word.said == Said::False) {
            let (chain, provider) = (chain.to_string(), word.provider.to_string());
            metrics::counter!("quorate_provider_lies_total", "chain" => chain, "provider" => provider)
                .increment(1);
        }
        Self {
            micros,
            at: log.read_at(),
            basis,
            words,
        }
    }

    /// Into the record, in place of an earlier read.
    pub(super) fn write_to(&self, record: &mut TaskRecord) {
        record.read_micros = self.micros;
        record.read_at_block = self.at.map(|at| at.hash.to_vec()).unwrap_or_default();
        record.read_at_number = self.at.map(|at| at.number).unwrap_or_default();
        record.set_read_basis(self.basis);
        record.provider_words = self.words.iter().map(word).collect();
    }
}

/// Chains of which this node has read proofs, as far as its newest tasks show.
pub(crate) fn proven_chains(store: &Store) -> Result<HashSet<u64>, NodeError> {
    let newest = Page::newest(limits::MAX_OPEN_TASKS);
    let mut chains = HashSet::new();
    for ((_, id), _) in store.scan(schema::TASK_TIMES, &(), newest)?.rows {
        let Some(record) = store.get(schema::TASKS, &id)? else {
            continue;
        };
        let statement = record.statement.as_ref().map(Statement::try_from);
        if record.read_basis() == ReadBasis::Proof
            && let Some(Ok(Statement::StateProof(proof))) = statement
        {
            chains.insert(u64::from(proof.chain_id));
        }
    }
    Ok(chains)
}

fn word(word: &Word) -> ProviderWord {
    ProviderWord {
        provider: word.provider.to_string(),
        question: question(word.question).into(),
        answer: answer(word.said).into(),
        detail: word.detail.clone(),
        micros: word.micros,
    }
}

const fn question(question: Question) -> ProviderQuestion {
    match question {
        Question::Header => ProviderQuestion::Header,
        Question::Value => ProviderQuestion::Value,
        Question::Proof => ProviderQuestion::Proof,
    }
}

/// What is said, and how it is kept.
const ANSWERS: [(Said, ProviderAnswer); 12] = [
    (Said::Good, ProviderAnswer::Good),
    (Said::NoneYet, ProviderAnswer::NoneYet),
    (Said::Differs, ProviderAnswer::Differs),
    (Said::False, ProviderAnswer::False),
    (Said::NoProofs, ProviderAnswer::NoProofs),
    (Said::Timeout, ProviderAnswer::Timeout),
    (Said::Unreachable, ProviderAnswer::Unreachable),
    (Said::Error, ProviderAnswer::Error),
    (Said::Malformed, ProviderAnswer::Malformed),
    (Said::Behind, ProviderAnswer::Behind),
    (Said::WrongChain, ProviderAnswer::WrongChain),
    (Said::Busy, ProviderAnswer::Busy),
];

fn answer(said: Said) -> ProviderAnswer {
    let kept = ANSWERS.iter().find(|(word, _)| *word == said);
    kept.map_or(ProviderAnswer::Unspecified, |(_, kept)| *kept)
}

/// In a few words, for people.
pub(crate) fn answer_word(kept: ProviderAnswer) -> &'static str {
    let said = ANSWERS.iter().find(|(_, answer)| *answer == kept);
    said.map_or("?", |(said, _)| said.describe())
}

#[cfg(test)]
mod tests {
    use quorate_proto::store::Empty;
    use quorate_proto::{Address, Epoch, StateProof, U256};
    use quorate_storage::{Batch, Durability};

    use super::*;
    use crate::fuzzing::memory;

    #[test]
    fn chains_with_proofs_are_known_by_the_newest_tasks() {
        let store = memory::store("test");
        let mut batch = Batch::new();
        let read = |batch: &mut Batch, chain_id: u32, basis| {
            let statement = Statement::StateProof(StateProof {
                user: Address::repeat_byte(9),
                chain_id,
                block_number: 1,
                timestamp: 1_700_000_000,
                epoch: Epoch(1),
                key: U256::from(1),
                value: U256::from(7),
            });
            let mut record = TaskRecord {
                statement: Some((&statement).into()),
                ..TaskRecord::default()
            };
            record.set_read_basis(basis);
            let id = statement.task_id().0.0;
            batch.put(schema::TASKS, &id, &record);
            batch.put(schema::TASK_TIMES, &(u64::from(chain_id), id), &Empty {});
        };
        read(&mut batch, 1, ReadBasis::Proof);
        read(&mut batch, 2, ReadBasis::Vote);
        read(&mut batch, 3, ReadBasis::Unspecified);
        // Its record is gone, or was never written.
        batch.put(schema::TASK_TIMES, &(4, [4; 32]), &Empty {});
        store.write(&batch, Durability::Buffered).unwrap();
        assert_eq!(proven_chains(&store).unwrap(), HashSet::from([1]));
    }

    #[test]
    fn every_answer_has_its_own_record_and_word() {
        for number in 1..=12 {
            let kept = ProviderAnswer::try_from(number).unwrap();
            let (said, _) = ANSWERS.iter().find(|(_, answer)| *answer == kept).unwrap();
            assert_eq!(answer(*said), kept);
            assert_eq!(answer_word(kept), said.describe());
        }
        assert!(ProviderAnswer::try_from(13).is_err(), "ANSWERS lacks one");
    }
}
