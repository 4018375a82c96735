//! Why a quorum gives no answer, for people.

use std::fmt::Debug;

use crate::ChainError;
use crate::rpc::ProviderError;

/// An answer is cut to this many characters when answers that differ are shown.
const LONGEST_ANSWER: usize = 100;

/// Why there is no answer.
#[derive(Debug)]
pub struct NoQuorum {
    pub(super) required: usize,
    pub(super) min_runners: usize,
    pub(super) asked: usize,
    /// Answers that differ, each with who gave it.
    pub(super) answers: Vec<(String, Vec<String>)>,
    /// Who gave none, and why.
    pub(super) failures: Vec<(String, ProviderError)>,
}

/// The beginning of an answer, for people.
pub(super) fn excerpt(answer: &impl Debug) -> String {
    let text = format!("{answer:?}");
    match text.char_indices().nth(LONGEST_ANSWER) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

impl NoQuorum {
    /// By how much a smaller question may be more to the taste of some provider.
    #[must_use]
    pub fn shrink_factor(&self) -> Option<u64> {
        let factors = self
            .failures
            .iter()
            .filter_map(|(_, error)| error.shrink_factor());
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
            .map(|(provider, error)| format!("{provider} {error}"));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_contradictory_or_too_few() {
        let none = |answers: &[&str], failures: usize| {
            let by = |answer: &&str| ((*answer).to_owned(), vec!["p".to_owned()]);
            ChainError::from(NoQuorum {
                required: 2,
                min_runners: 2,
                asked: 3,
                answers: answers.iter().map(by).collect(),
                failures: vec![("q".to_owned(), ProviderError::Slow); failures],
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
            failures: vec![("r".to_owned(), ProviderError::Timeout(1))],
        };
        let expected = "2 of 3 where 2, run by 2 different ones, must agree: \
                        p (acme) and q (acme) say 1; r did not answer within 1 ms";
        let shown = ChainError::from(one_voice).to_string();
        assert!(shown.contains(expected), "{shown}");
    }
}
