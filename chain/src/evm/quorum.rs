//! k of n providers must say the same.

use std::fmt::Debug;
use std::sync::atomic::AtomicUsize;

use futures::stream::{FuturesUnordered, StreamExt};

use super::provider::Provider;
use super::rpc::Failure;
use crate::reader::Asking;
use crate::{ChainError, Question, ReadLog, Said};

mod first;

/// An answer is cut to this many characters when answers that differ are shown.
const LONGEST_ANSWER: usize = 100;

/// The n providers of a chain and how many of them must agree.
pub(super) struct Pool {
    providers: Vec<Provider>,
    required: usize,
    /// Counts questions to a first one.
    turn: AtomicUsize,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct NoQuorum {
    required: usize,
    asked: usize,
    /// Answers that differ, each with who gave it.
    answers: Vec<(String, Vec<String>)>,
    /// Who gave none, and why.
    failures: Vec<(String, Failure)>,
}

impl Pool {
    pub(super) const fn new(providers: Vec<Provider>, required: usize) -> Self {
        Self {
            providers,
            required,
            turn: AtomicUsize::new(0),
        }
    }

    pub(super) fn providers(&self) -> &[Provider] {
        &self.providers
    }

    pub(super) const fn required(&self) -> usize {
        self.required
    }

    /// The answer that enough providers give. All are asked at once; those that are late when
    /// the others suffice are not waited for.
    pub(super) async fn ask<'a, T, F, Q>(&'a self, question: F) -> Result<T, NoQuorum>
    where
        T: PartialEq + Debug,
        F: Fn(usize, &'a Provider) -> Q,
        Q: Future<Output = Result<T, Failure>>,
    {
        self.vote(question, |_| None).await
    }

    /// As [`Self::ask`], noting in `log` what each of them says.
    pub(super) async fn ask_noting<'a, T, F, Q>(
        &'a self,
        log: &ReadLog,
        about: Question,
        question: F,
    ) -> Result<T, NoQuorum>
    where
        T: PartialEq + Debug,
        F: Fn(usize, &'a Provider) -> Q,
        Q: Future<Output = Result<T, Failure>>,
    {
        let note = |provider: &Provider| Some(log.asking(provider.name(), about));
        self.vote(question, note).await
    }

    async fn vote<'a, 'l, T, F, Q>(
        &'a self,
        question: F,
        note: impl Fn(&Provider) -> Option<Asking<'l>>,
    ) -> Result<T, NoQuorum>
    where
        T: PartialEq + Debug,
        F: Fn(usize, &'a Provider) -> Q,
        Q: Future<Output = Result<T, Failure>>,
    {
        let mut notes: Vec<Option<Asking<'l>>> = self.providers.iter().map(note).collect();
        let mut answers: FuturesUnordered<_> = self
            .providers
            .iter()
            .enumerate()
            .map(|(index, provider)| {
                let answer = question(index, provider);
                async move { (index, answer.await) }
            })
            .collect();
        let mut tally = Tally::new(self.required, self.providers.len());
        while let Some((index, answer)) = answers.next().await {
            if let Some(Some(note)) = notes.get_mut(index) {
                match &answer {
                    Ok(_) => note.said(Said::Good, ""),
                    Err(failure) => note.said(failure.said(), &failure.to_string()),
                }
            }
            if let Some(agreed) = tally.add(index, answer) {
                tally.tell_others(&mut notes);
                return Ok(agreed);
            }
            if tally.is_hopeless() {
                break;
            }
        }
        if tally.answers.len() > 1 {
            tally.tell_others(&mut notes);
        }
        Err(self.explain(tally))
    }

    /// Names failures, for people.
    pub(super) fn describe(&self, failures: &[(usize, Failure)]) -> String {
        let name = |index: &usize| self.providers.get(*index).map(Provider::name);
        let text = |(index, failure): &(usize, Failure)| {
            format!("{} {failure}", name(index).map_or("?", |name| name))
        };
        failures.iter().map(text).collect::<Vec<_>>().join("; ")
    }

    /// That too few providers answered at all.
    pub(super) fn unanswered(&self, failures: Vec<(usize, Failure)>) -> ChainError {
        let tally = Tally::<()> {
            failures,
            ..Tally::new(self.required, self.providers.len())
        };
        self.explain(tally).into()
    }

    fn explain<T: Debug>(&self, tally: Tally<T>) -> NoQuorum {
        let name = |index: &usize| {
            let provider = self.providers.get(*index);
            provider.map_or_else(String::new, |provider| provider.url().to_string())
        };
        NoQuorum {
            required: self.required,
            asked: self.providers.len(),
            answers: tally
                .answers
                .iter()
                .map(|(answer, by)| (shorten(answer), by.iter().map(name).collect()))
                .collect(),
            failures: tally
                .failures
                .into_iter()
                .map(|(index, failure)| (name(&index), failure))
                .collect(),
        }
    }
}

fn shorten(answer: &impl Debug) -> String {
    let text = format!("{answer:?}");
    match text.char_indices().nth(LONGEST_ANSWER) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

impl NoQuorum {
    /// By how much a smaller question may be more to the taste of some provider.
    pub(super) fn shrink_factor(&self) -> Option<u64> {
        let factors = self
            .failures
            .iter()
            .filter_map(|(_, failure)| failure.shrink_factor());
        factors.min()
    }

    fn answered(&self) -> usize {
        self.answers.iter().map(|(_, by)| by.len()).sum()
    }
}

impl From<NoQuorum> for ChainError {
    fn from(none: NoQuorum) -> Self {
        let says = none
            .answers
            .iter()
            .map(|(answer, by)| format!("{} says {answer}", by.join(" and ")));
        if none.answered() >= none.required && none.answers.len() > 1 {
            return Self::Disagreement {
                detail: says.collect::<Vec<_>>().join("; "),
            };
        }
        let failures = none
            .failures
            .iter()
            .map(|(provider, failure)| format!("{provider} {failure}"));
        let detail = failures.collect::<Vec<_>>().join("; ");
        if none.asked == 1 {
            return Self::Unavailable { detail };
        }
        let (answered, asked, required) = (none.answered(), none.asked, none.required);
        Self::Unavailable {
            detail: format!("{answered} of {asked} where {required} must agree: {detail}"),
        }
    }
}

/// Counts equal answers.
struct Tally<T> {
    required: usize,
    open: usize,
    answers: Vec<(T, Vec<usize>)>,
    failures: Vec<(usize, Failure)>,
}

impl<T: PartialEq> Tally<T> {
    /// The answer, once enough have given it.
    fn add(&mut self, provider: usize, answer: Result<T, Failure>) -> Option<T> {
        self.open = self.open.saturating_sub(1);
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) => {
                self.failures.push((provider, failure));
                return None;
            }
        };
        let known = self.answers.iter_mut().find(|(known, _)| *known == answer);
        let count = match known {
            Some((_, by)) => {
                by.push(provider);
                by.len()
            }
            None => {
                self.answers.push((answer, vec![provider]));
                1
            }
        };
        if count < self.required {
            return None;
        }
        let agreed = self
            .answers
            .iter()
            .position(|(_, by)| by.len() >= self.required)?;
        Some(self.answers.swap_remove(agreed).0)
    }

    /// Not even the answers still to come can make a quorum.
    fn is_hopeless(&self) -> bool {
        let best = self
            .answers
            .iter()
            .map(|(_, by)| by.len())
            .max()
            .unwrap_or(0);
        best + self.open < self.required
    }
}

impl<T: Debug> Tally<T> {
    /// Notes with whom an answer was that the quorum did not give.
    fn tell_others(&self, notes: &mut [Option<Asking<'_>>]) {
        for (answer, by) in &self.answers {
            for index in by {
                if let Some(Some(note)) = notes.get_mut(*index) {
                    note.said(Said::Differs, &shorten(answer));
                }
            }
        }
    }
}

impl<T> Tally<T> {
    const fn new(required: usize, asked: usize) -> Self {
        Self {
            required,
            open: asked,
            answers: Vec::new(),
            failures: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds answers one by one; `None` is a failure. The agreed one, and after how many.
    fn count(required: usize, answers: &[Option<u8>]) -> (Option<u8>, usize) {
        let mut tally = Tally::new(required, answers.len());
        for (index, answer) in answers.iter().enumerate() {
            if let Some(agreed) = tally.add(index, answer.ok_or(Failure::Slow)) {
                return (Some(agreed), index + 1);
            }
            if tally.is_hopeless() {
                return (None, index + 1);
            }
        }
        (None, usize::MAX)
    }

    #[test]
    fn enough_equal_answers_and_no_fewer() {
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
    fn answers_are_contradictory_or_too_few() {
        let none = |answers: &[&str], failures: usize| {
            let by = |answer: &&str| ((*answer).to_owned(), vec!["p".to_owned()]);
            ChainError::from(NoQuorum {
                required: 2,
                asked: 3,
                answers: answers.iter().map(by).collect(),
                failures: vec![("q".to_owned(), Failure::Slow); failures],
            })
        };
        assert!(matches!(
            none(&["1", "2"], 1),
            ChainError::Disagreement { .. }
        ));
        assert!(matches!(none(&["1"], 2), ChainError::Unavailable { .. }));
        assert!(matches!(none(&[], 3), ChainError::Unavailable { .. }));
    }
}
