//! k of n providers must say the same.

use std::fmt::Debug;
use std::sync::atomic::AtomicUsize;

use futures::stream::{FuturesUnordered, StreamExt};

use super::provider::Provider;
use super::rpc::Failure;
use super::rule::Rule;
use crate::reader::Asking;
use crate::{ChainError, Question, ReadLog, Said};

mod first;

/// An answer is cut to this many characters when answers that differ are shown.
const LONGEST_ANSWER: usize = 100;

/// The n providers of a chain and when they suffice.
pub(super) struct Pool {
    providers: Vec<Provider>,
    rule: Rule,
    /// Counts questions to a first one.
    turn: AtomicUsize,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct NoQuorum {
    required: usize,
    min_runners: usize,
    asked: usize,
    /// Answers that differ, each with who gave it.
    answers: Vec<(String, Vec<String>)>,
    /// Who gave none, and why.
    failures: Vec<(String, Failure)>,
}

/// What enough say, and what others had said by then, each with who.
struct Agreed<T> {
    answer: T,
    others: Vec<(T, Vec<usize>)>,
}

/// Shown without quotation marks.
#[derive(PartialEq, Eq)]
struct Saying(String);

impl Debug for Saying {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Pool {
    pub(super) const fn new(providers: Vec<Provider>, rule: Rule) -> Self {
        Self {
            providers,
            rule,
            turn: AtomicUsize::new(0),
        }
    }

    pub(super) fn providers(&self) -> &[Provider] {
        &self.providers
    }

    pub(super) const fn rule(&self) -> &Rule {
        &self.rule
    }

    /// The answer that enough providers give. All are asked at once; those that are late when
    /// the others suffice are not waited for. Those that said something else by then have
    /// contradicted the quorum: ask nothing that may differ between honest ones.
    pub(super) async fn ask<'a, T, F, Q>(&'a self, question: F) -> Result<T, NoQuorum>
    where
        T: PartialEq + Debug,
        F: Fn(usize, &'a Provider) -> Q,
        Q: Future<Output = Result<T, Failure>>,
    {
        let agreed = self.vote(question, |_| None).await?;
        Ok(self.told_apart(agreed, |_, _| true))
    }

    /// As [`Self::ask`], noting in `log` what each of them says. Other answers contradict the agreed one where
    /// `contradicts` says so.
    pub(super) async fn ask_noting<'a, T, F, Q>(
        &'a self,
        log: &ReadLog,
        about: Question,
        question: F,
        contradicts: impl Fn(&T, &T) -> bool,
    ) -> Result<T, NoQuorum>
    where
        T: PartialEq + Debug,
        F: Fn(usize, &'a Provider) -> Q,
        Q: Future<Output = Result<T, Failure>>,
    {
        let note = |provider: &Provider| Some(log.asking(provider.name(), about));
        let agreed = self.vote(question, note).await?;
        Ok(self.told_apart(agreed, contradicts))
    }

    /// As [`Self::ask`], of something that may differ between honest providers for a moment.
    pub(super) async fn ask_unpinned<'a, T, F, Q>(&'a self, question: F) -> Result<T, NoQuorum>
    where
        T: PartialEq + Debug,
        F: Fn(usize, &'a Provider) -> Q,
        Q: Future<Output = Result<T, Failure>>,
    {
        let agreed = self.vote(question, |_| None).await?;
        Ok(agreed.answer)
    }

    /// Those that said something else have contradicted the quorum.
    fn told_apart<T: Debug>(&self, agreed: Agreed<T>, contradicts: impl Fn(&T, &T) -> bool) -> T {
        let others = agreed.others.iter();
        for (answer, by) in others.filter(|(answer, _)| contradicts(answer, &agreed.answer)) {
            for provider in by.iter().filter_map(|index| self.providers.get(*index)) {
                let (said, truth) = (shorten(answer), shorten(&agreed.answer));
                provider.contradicted(&format!("said {said} where the quorum says {truth}"));
            }
        }
        agreed.answer
    }

    async fn vote<'a, 'l, T, F, Q>(
        &'a self,
        question: F,
        note: impl Fn(&Provider) -> Option<Asking<'l>>,
    ) -> Result<Agreed<T>, NoQuorum>
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
        let mut tally = Tally::new(&self.rule, self.providers.len());
        while let Some((index, answer)) = answers.next().await {
            if let Some(Some(note)) = notes.get_mut(index) {
                match &answer {
                    Ok(_) => note.said(Said::Good, ""),
                    Err(failure) => note.said(failure.said(), &failure.to_string()),
                }
            }
            if let Some(agreed) = tally.add(index, answer) {
                tally.tell_others(&mut notes);
                return Ok(Agreed {
                    answer: agreed,
                    others: tally.answers,
                });
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

    /// That too few providers said anything at all, or too few different ones.
    pub(super) fn unanswered(
        &self,
        said: Vec<(usize, String)>,
        failures: Vec<(usize, Failure)>,
    ) -> ChainError {
        let mut tally = Tally::<Saying>::new(&self.rule, self.providers.len());
        for (index, answer) in said {
            let _ = tally.add(index, Ok(Saying(answer)));
        }
        tally.failures = failures;
        self.explain(tally).into()
    }

    fn explain<T: Debug>(&self, tally: Tally<'_, T>) -> NoQuorum {
        let name = |index: &usize| {
            let provider = self.providers.get(*index);
            provider.map_or_else(String::new, |provider| provider.name().to_string())
        };
        NoQuorum {
            required: self.rule.required(),
            min_runners: self.rule.min_runners(),
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
        let says = none.answers.iter().map(|(answer, by)| {
            let verb = if by.len() == 1 { "says" } else { "say" };
            format!("{} {verb} {answer}", by.join(" and "))
        });
        if none.answered() >= none.required && none.answers.len() > 1 {
            return Self::Disagreement {
                detail: says.collect::<Vec<_>>().join("; "),
            };
        }
        let failures = none
            .failures
            .iter()
            .map(|(provider, failure)| format!("{provider} {failure}"));
        let parts: Vec<String> = says.chain(failures).collect();
        let detail = parts.join("; ");
        if none.asked == 1 {
            return Self::Unavailable { detail };
        }
        let (answered, asked, required) = (none.answered(), none.asked, none.required);
        let runners = match none.min_runners {
            1 => String::new(),
            // The answers suffice by their number.
            runners if answered >= required => format!(", run by {runners} different ones,"),
            _ => String::new(),
        };
        Self::Unavailable {
            detail: format!("{answered} of {asked} where {required}{runners} must agree: {detail}"),
        }
    }
}

/// Counts equal answers.
struct Tally<'a, T> {
    rule: &'a Rule,
    /// How many have not answered yet.
    open: usize,
    answers: Vec<(T, Vec<usize>)>,
    failures: Vec<(usize, Failure)>,
}

impl<T: PartialEq> Tally<'_, T> {
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
        let known = self.answers.iter().position(|(known, _)| *known == answer);
        let place = known.unwrap_or_else(|| {
            self.answers.push((answer, Vec::new()));
            self.answers.len() - 1
        });
        let (_, by) = self.answers.get_mut(place)?;
        by.push(provider);
        let agreed = self.rule.suffices(by);
        agreed.then(|| self.answers.swap_remove(place).0)
    }

    /// Not even the answers still to come are enough. Where only the runners are too few all are
    /// heard to the end, so that the error says who said what.
    fn is_hopeless(&self) -> bool {
        let most = self.answers.iter().map(|(_, by)| by.len()).max();
        most.unwrap_or(0) + self.open < self.rule.required()
    }
}

impl<T: Debug> Tally<'_, T> {
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

impl<'a, T> Tally<'a, T> {
    fn new(rule: &'a Rule, asked: usize) -> Self {
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

    /// Adds answers one by one; `None` is a failure. The agreed one, and after how many.
    fn count(required: usize, answers: &[Option<u8>]) -> (Option<u8>, usize) {
        let runners: Vec<String> = (0..answers.len()).map(|n| n.to_string()).collect();
        count_by(&Rule::new(required, 1, &runners), answers)
    }

    fn count_by(rule: &Rule, answers: &[Option<u8>]) -> (Option<u8>, usize) {
        let mut tally = Tally::new(rule, answers.len());
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
    fn enough_different_runners_too() {
        let (a, b, no) = (Some(1), Some(2), None);
        let runners = ["acme", "acme", "own"].map(str::to_owned);
        let rule = Rule::new(2, 2, &runners);
        // Where only the runners are too few, all are heard.
        let nobody = (None, usize::MAX);
        assert_eq!(
            count_by(&rule, &[a, a, a]),
            (a, 3),
            "two of one runner wait for another"
        );
        assert_eq!(count_by(&rule, &[a, b, a]), (a, 3));
        assert_eq!(
            count_by(&rule, &[a, a, b]),
            nobody,
            "two liars of one runner"
        );
        assert_eq!(
            count_by(&rule, &[a, a, no]),
            nobody,
            "with the honest one down"
        );
        assert_eq!(count_by(&rule, &[no, no, a]), (None, 2));
    }

    #[test]
    fn answers_are_contradictory_or_too_few() {
        let none = |answers: &[&str], failures: usize| {
            let by = |answer: &&str| ((*answer).to_owned(), vec!["p".to_owned()]);
            ChainError::from(NoQuorum {
                required: 2,
                min_runners: 2,
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
        let one_voice = NoQuorum {
            required: 2,
            min_runners: 2,
            asked: 3,
            answers: vec![("1".to_owned(), vec!["p (acme)".into(), "q (acme)".into()])],
            failures: vec![("r".to_owned(), Failure::Timeout(1))],
        };
        let expected = "2 of 3 where 2, run by 2 different ones, must agree: \
                        p (acme) and q (acme) say 1; r did not answer within 1 ms";
        let shown = ChainError::from(one_voice).to_string();
        assert!(shown.contains(expected), "{shown}");
    }
}
