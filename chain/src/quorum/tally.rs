//! Counts equal answers.

use std::fmt::Debug;

use super::QuorumRule;
use super::no_quorum::excerpt;
use crate::ReplyKind;
use crate::reader::PendingReplyNote;
use crate::rpc::ProviderError;

/// Counts equal answers.
pub(super) struct Tally<'a, T> {
    rule: &'a QuorumRule,
    /// How many have not answered yet.
    open: usize,
    pub(super) answers: Vec<(T, Vec<usize>)>,
    pub(super) failures: Vec<(usize, ProviderError)>,
}

impl<T: PartialEq> Tally<'_, T> {
    /// The answer, once enough have given it.
    pub(super) fn add(&mut self, provider: usize, answer: Result<T, ProviderError>) -> Option<T> {
        self.open = self.open.saturating_sub(1);
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                self.failures.push((provider, error));
                return None;
            }
        };
        let known = self.answers.iter().position(|(known, _)| *known == answer);
        let index = known.unwrap_or_else(|| {
            self.answers.push((answer, Vec::new()));
            self.answers.len() - 1
        });
        let (_, by) = self.answers.get_mut(index)?;
        by.push(provider);
        let agreed = self.rule.suffices(by);
        agreed.then(|| self.answers.swap_remove(index).0)
    }

    /// Not even the answers still to come are enough. Where only the runners are too few all are
    /// heard to the end, so that the error says who said what.
    pub(super) fn is_hopeless(&self) -> bool {
        let most = self.answers.iter().map(|(_, by)| by.len()).max();
        most.unwrap_or(0) + self.open < self.rule.required()
    }
}

impl<T: Debug> Tally<'_, T> {
    /// Notes with whom an answer was that the quorum did not give.
    pub(super) fn tell_others(&self, notes: &mut [Option<PendingReplyNote<'_>>]) {
        for (answer, by) in &self.answers {
            for index in by {
                if let Some(Some(note)) = notes.get_mut(*index) {
                    note.said(ReplyKind::Differs, &excerpt(answer));
                }
            }
        }
    }
}

impl<'a, T> Tally<'a, T> {
    pub(super) fn new(rule: &'a QuorumRule, asked: usize) -> Self {
        Self {
            rule,
            open: asked,
            answers: Vec::new(),
            failures: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds answers one by one; `None` is a error. The agreed one, and after how many.
    fn count(required: usize, answers: &[Option<u8>]) -> (Option<u8>, usize) {
        let runners: Vec<String> = (0..answers.len()).map(|n| n.to_string()).collect();
        count_by(&QuorumRule::new(required, 1, &runners), answers)
    }

    fn count_by(rule: &QuorumRule, answers: &[Option<u8>]) -> (Option<u8>, usize) {
        let mut tally = Tally::new(rule, answers.len());
        for (index, answer) in answers.iter().enumerate() {
            if let Some(agreed) = tally.add(index, answer.ok_or(ProviderError::Slow)) {
                return (Some(agreed), index + 1);
            }
            if tally.is_hopeless() {
                return (None, index + 1);
            }
        }
        (None, usize::MAX)
    }

    #[test]
    fn tally_agrees_on_enough_equal_answers() {
        let (a, b, no) = (Some(1), Some(2), None);
        assert_eq!(count(1, &[a]), (a, 1));
        assert_eq!(count(1, &[no]), (None, 1));
        assert_eq!(count(2, &[a, a]), (a, 2));
        assert_eq!(count(2, &[a, b]), (None, 2));
        assert_eq!(count(2, &[a, a, b]), (a, 2), "stops as soon as it can");
        assert_eq!(count(2, &[b, a, a]), (a, 3), "one liar");
        assert_eq!(count(2, &[no, a, a]), (a, 3), "one dead");
        assert_eq!(count(2, &[no, no, a]), (None, 2), "the dead still count");
        assert_eq!(count(2, &[no, a, b]), (None, 3));
        assert_eq!(count(3, &[a, b, no, a, a]), (a, 5));
        assert_eq!(count(4, &[a, b, no, a, a]), (None, 3));
    }

    #[test]
    fn tally_wants_enough_runners() {
        let (a, b, no) = (Some(1), Some(2), None);
        let runners = ["acme", "acme", "own"].map(str::to_owned);
        let rule = QuorumRule::new(2, 2, &runners);
        // Where only the runners are too few, all are heard.
        let no_answer = (None, usize::MAX);
        assert_eq!(
            count_by(&rule, &[a, a, a]),
            (a, 3),
            "two of one runner wait for another"
        );
        assert_eq!(count_by(&rule, &[a, b, a]), (a, 3));
        assert_eq!(
            count_by(&rule, &[a, a, b]),
            no_answer,
            "two liars of one runner"
        );
        assert_eq!(
            count_by(&rule, &[a, a, no]),
            no_answer,
            "with the honest one down"
        );
        assert_eq!(count_by(&rule, &[no, no, a]), (None, 2));
    }
}
