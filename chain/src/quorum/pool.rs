//! Asks the providers of a chain, of which k of n must say the same.

use std::fmt::Debug;
use std::sync::atomic::AtomicUsize;

use futures::stream::{FuturesUnordered, StreamExt};

use super::no_quorum::{NoQuorum, excerpt};
use super::rule::QuorumRule;
use super::tally::Tally;
use crate::providers::Provider;
use crate::reader::PendingReplyNote;
use crate::rpc::ProviderError;
use crate::{ChainError, ProviderHealth, Providers, QueryKind, ReadLog, ReplyKind};

/// The n providers of a chain, in their family's form, and when they suffice.
pub struct Pool<P> {
    providers: Vec<P>,
    rule: QuorumRule,
    /// Counts questions to a first one.
    pub(super) turn: AtomicUsize,
}

/// What enough say, and what others had said by then, each with who.
struct Agreed<T> {
    answer: T,
    others: Vec<(T, Vec<usize>)>,
}

/// Shown without quotation marks.
#[derive(PartialEq, Eq)]
struct Unquoted(String);

impl Debug for Unquoted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<P: AsRef<Provider>> Pool<P> {
    /// These providers, of which `rule` knows who runs them.
    #[must_use]
    pub const fn new(providers: Vec<P>, rule: QuorumRule) -> Self {
        Self {
            providers,
            rule,
            turn: AtomicUsize::new(0),
        }
    }

    /// All of them, in the order of the configuration.
    #[must_use]
    pub fn providers(&self) -> &[P] {
        &self.providers
    }

    /// When they suffice.
    #[must_use]
    pub const fn rule(&self) -> &QuorumRule {
        &self.rule
    }

    /// What all families know of each.
    pub fn neutral(&self) -> impl Iterator<Item = &Provider> + Clone {
        self.providers.iter().map(AsRef::as_ref)
    }

    /// How each fares, and how many may yet fail. Where one provider that is fit suffices, as for proofs, those
    /// that are unfit have a say beside it.
    pub fn status(&self, one_fit_suffices: bool) -> Providers {
        let providers: Vec<_> = self.neutral().map(Provider::status).collect();
        let healthy = |accepted: &[ProviderHealth]| -> Vec<usize> {
            let found = providers.iter().enumerate();
            let found = found.filter(|(_, status)| accepted.contains(&status.health));
            found.map(|(index, _)| index).collect()
        };
        let fit = healthy(&[ProviderHealth::Ok]);
        let spare = match one_fit_suffices {
            true => self
                .rule
                .spare(&healthy(&[ProviderHealth::Ok, ProviderHealth::Unfit]))
                .and_then(|spare| Some(spare.min(fit.len().checked_sub(1)?))),
            false => self.rule.spare(&fit),
        };
        Providers {
            required: self.rule.required(),
            min_runners: self.rule.min_runners(),
            spare,
            providers,
        }
    }

    /// The answer that enough providers give. All are asked at once; those that are late when
    /// the others suffice are not waited for. Those that said something else by then have
    /// contradicted the quorum: ask nothing that may differ between honest ones.
    ///
    /// # Errors
    /// [`NoQuorum`].
    pub async fn ask<'a, T, F, Q>(&'a self, question: F) -> Result<T, NoQuorum>
    where
        T: PartialEq + Debug,
        F: Fn(usize, &'a P) -> Q,
        Q: Future<Output = Result<T, ProviderError>>,
    {
        let agreed = self.vote(question, |_| None).await?;
        Ok(self.blame_others(agreed, |_, _| true))
    }

    /// As [`Self::ask`], noting in `log` what each of them says. Other answers contradict the agreed one where
    /// `contradicts` says so.
    ///
    /// # Errors
    /// [`NoQuorum`].
    pub async fn ask_noting<'a, T, F, Q>(
        &'a self,
        log: &ReadLog,
        kind: QueryKind,
        question: F,
        contradicts: impl Fn(&T, &T) -> bool,
    ) -> Result<T, NoQuorum>
    where
        T: PartialEq + Debug,
        F: Fn(usize, &'a P) -> Q,
        Q: Future<Output = Result<T, ProviderError>>,
    {
        let note = |provider: &Provider| Some(log.asking(provider.name(), kind));
        let agreed = self.vote(question, note).await?;
        Ok(self.blame_others(agreed, contradicts))
    }

    /// As [`Self::ask`], of something that may differ between honest providers for a moment.
    ///
    /// # Errors
    /// [`NoQuorum`].
    pub async fn ask_unpinned<'a, T, F, Q>(&'a self, question: F) -> Result<T, NoQuorum>
    where
        T: PartialEq + Debug,
        F: Fn(usize, &'a P) -> Q,
        Q: Future<Output = Result<T, ProviderError>>,
    {
        let agreed = self.vote(question, |_| None).await?;
        Ok(agreed.answer)
    }

    /// Those that said something else have contradicted the quorum.
    fn blame_others<T: Debug>(&self, agreed: Agreed<T>, contradicts: impl Fn(&T, &T) -> bool) -> T {
        let others = agreed.others.iter();
        for (answer, by) in others.filter(|(answer, _)| contradicts(answer, &agreed.answer)) {
            for provider in by.iter().filter_map(|index| self.providers.get(*index)) {
                let (said, truth) = (excerpt(answer), excerpt(&agreed.answer));
                let what = format!("said {said} where the quorum says {truth}");
                provider.as_ref().contradicted(&what);
            }
        }
        agreed.answer
    }

    async fn vote<'a, 'l, T, F, Q>(
        &'a self,
        question: F,
        note: impl Fn(&Provider) -> Option<PendingReplyNote<'l>>,
    ) -> Result<Agreed<T>, NoQuorum>
    where
        T: PartialEq + Debug,
        F: Fn(usize, &'a P) -> Q,
        Q: Future<Output = Result<T, ProviderError>>,
    {
        let mut notes: Vec<Option<PendingReplyNote<'l>>> = self.neutral().map(note).collect();
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
                    Ok(_) => note.said(ReplyKind::Good, ""),
                    Err(error) => note.said(error.reply_kind(), &error.to_string()),
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

    fn name(&self, index: usize) -> Option<&str> {
        let provider = self.providers.get(index)?;
        Some(provider.as_ref().name())
    }

    /// Names failures, for people.
    #[must_use]
    pub fn describe(&self, failures: &[(usize, ProviderError)]) -> String {
        let text = |(index, error): &(usize, ProviderError)| {
            format!("{} {error}", self.name(*index).unwrap_or("?"))
        };
        failures.iter().map(text).collect::<Vec<_>>().join("; ")
    }

    /// Whether every provider failed in a way for which `is_so` holds, none by being silent.
    pub fn all_failed(
        &self,
        failures: &[(usize, ProviderError)],
        is_so: impl Fn(&ProviderError) -> bool,
    ) -> bool {
        let count = self.providers.len();
        failures.len() == count && failures.iter().all(|(_, error)| is_so(error))
    }

    /// That too few providers said anything at all, or too few different ones.
    pub(crate) fn unanswered(
        &self,
        said: Vec<(usize, String)>,
        failures: Vec<(usize, ProviderError)>,
    ) -> ChainError {
        self.too_few(said, failures).into()
    }

    pub(super) fn too_few(
        &self,
        said: Vec<(usize, String)>,
        failures: Vec<(usize, ProviderError)>,
    ) -> NoQuorum {
        let mut tally = Tally::<Unquoted>::new(&self.rule, self.providers.len());
        for (index, answer) in said {
            let _ = tally.add(index, Ok(Unquoted(answer)));
        }
        tally.failures = failures;
        self.explain(tally)
    }

    fn explain<T: Debug>(&self, tally: Tally<'_, T>) -> NoQuorum {
        let name = |index: usize| self.name(index).unwrap_or_default().to_owned();
        NoQuorum {
            required: self.rule.required(),
            min_runners: self.rule.min_runners(),
            asked: self.providers.len(),
            answers: tally
                .answers
                .iter()
                .map(|(answer, by)| (excerpt(answer), by.iter().map(|i| name(*i)).collect()))
                .collect(),
            failures: tally
                .failures
                .into_iter()
                .map(|(index, error)| (name(index), error))
                .collect(),
        }
    }
}
