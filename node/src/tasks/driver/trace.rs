//! How this node's own read of a chain went, for the task's record.

use std::collections::HashSet;

use quorate_chain::{BlockRef, ProviderReply, QueryKind, ReadLog, ReplyKind};
use quorate_proto::ReadBasis;
use quorate_proto::store::{Empty, ProviderAnswer, ProviderQuestion, ProviderWord, TaskRecord};
use quorate_storage::{Batch, Store, StoreError, schema};

use crate::NodeError;

/// How a read went, whatever became of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadTrace {
    /// The chain that was read; none where it was a set.
    pub(crate) chain: Option<u64>,
    pub(crate) micros: u64,
    /// The final block whose state was read, where one was known.
    pub(crate) at: Option<BlockRef>,
    /// Unspecified where no answer came of it.
    pub(crate) basis: ReadBasis,
    /// What providers said; bounded by their log.
    pub(crate) words: Vec<ProviderReply>,
}

impl ReadTrace {
    /// Of a read of this chain that took so long, and also counts it.
    pub(crate) fn of(chain: u64, log: &ReadLog, micros: u64) -> Self {
        let (words, basis) = (log.replies(), log.basis());
        metrics::histogram!("quorate_read_seconds")
            .record(crate::process::measures::seconds(micros));
        crate::process::measures::reads(chain, basis).increment(1);
        for word in words.iter().filter(|word| word.kind == ReplyKind::False) {
            let (chain, provider) = (chain.to_string(), word.provider.to_string());
            metrics::counter!("quorate_provider_lies_total", "chain" => chain, "provider" => provider)
                .increment(1);
        }
        Self {
            chain: Some(chain),
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

/// Chains that are marked as having proofs, as far as this run has looked.
#[derive(Default)]
pub(super) struct ProvenChains(HashSet<u64>);

impl ProvenChains {
    /// Marks the chain of a proof that was read, once: which tasks come later, or are pruned, changes
    /// nothing about it.
    pub(super) fn note(
        &mut self,
        store: &Store,
        read: &ReadTrace,
        batch: &mut Batch,
    ) -> Result<(), StoreError> {
        let proven = read.chain.filter(|_| read.basis == ReadBasis::Proof);
        if let Some(chain) = proven.filter(|chain| !self.0.contains(chain)) {
            if store.get(schema::PROVEN_CHAINS, &chain)?.is_none() {
                batch.put(schema::PROVEN_CHAINS, &chain, &Empty {});
            }
            self.0.insert(chain);
        }
        Ok(())
    }
}

/// Chains of which this node has ever read a proof for a task.
pub(crate) fn proven_chains(store: &Store) -> Result<HashSet<u64>, NodeError> {
    let rows = store.rows(schema::PROVEN_CHAINS, &());
    rows.map(|row| Ok(row?.0)).collect()
}

fn word(word: &ProviderReply) -> ProviderWord {
    ProviderWord {
        provider: word.provider.to_string(),
        question: question(word.query).into(),
        answer: answer(word.kind).into(),
        detail: word.detail.clone(),
        micros: word.micros,
    }
}

const fn question(question: QueryKind) -> ProviderQuestion {
    match question {
        QueryKind::Header => ProviderQuestion::Header,
        QueryKind::Value => ProviderQuestion::Value,
        QueryKind::Proof => ProviderQuestion::Proof,
    }
}

/// What is said, and how it is kept.
const ANSWERS: [(ReplyKind, ProviderAnswer); 12] = [
    (ReplyKind::Good, ProviderAnswer::Good),
    (ReplyKind::NoneYet, ProviderAnswer::NoneYet),
    (ReplyKind::Differs, ProviderAnswer::Differs),
    (ReplyKind::False, ProviderAnswer::False),
    (ReplyKind::NoProofs, ProviderAnswer::NoProofs),
    (ReplyKind::Timeout, ProviderAnswer::Timeout),
    (ReplyKind::Unreachable, ProviderAnswer::Unreachable),
    (ReplyKind::Error, ProviderAnswer::Error),
    (ReplyKind::Malformed, ProviderAnswer::Malformed),
    (ReplyKind::Behind, ProviderAnswer::Behind),
    (ReplyKind::WrongChain, ProviderAnswer::WrongChain),
    (ReplyKind::Busy, ProviderAnswer::Busy),
];

fn answer(said: ReplyKind) -> ProviderAnswer {
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
    use super::*;

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
