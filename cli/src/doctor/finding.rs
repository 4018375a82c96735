//! What was found, how bad it is, and what to do.

use std::fmt::Display;

use serde::Serialize;

use crate::options::redact;

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Ok,
    /// Nothing is broken yet.
    Warning,
    /// The node does not do its job, or a secret is in danger.
    Error,
}

impl Level {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// What was looked at.
    pub(super) check: String,
    /// What was found there.
    pub(super) found: String,
    /// What to do; nothing where all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cure: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: impl Display, found: impl Display) -> Self {
        Self::of(Level::Ok, check, found, None)
    }

    pub(super) fn warning(check: impl Display, found: impl Display, cure: impl Display) -> Self {
        Self::of(Level::Warning, check, found, Some(cure.to_string()))
    }

    pub(super) fn error(check: impl Display, found: impl Display, cure: impl Display) -> Self {
        Self::of(Level::Error, check, found, Some(cure.to_string()))
    }

    /// Whatever it is made of, URLs lose their secrets, and it stays one line.
    fn of(level: Level, check: impl Display, found: impl Display, cure: Option<String>) -> Self {
        let shown = |text: String| {
            let lines: Vec<&str> = text.split_whitespace().collect();
            redact(&lines.join(" "))
        };
        Self {
            level,
            check: shown(check.to_string()),
            found: shown(found.to_string()),
            cure: cure.map(shown),
        }
    }

    /// By a figure that should be low: fine below the first limit, an error from the second on.
    pub(super) fn graded<T: PartialOrd>(figure: &T, limits: [T; 2]) -> Level {
        let [warning, error] = limits;
        match figure {
            figure if *figure >= error => Level::Error,
            figure if *figure >= warning => Level::Warning,
            _ => Level::Ok,
        }
    }

    /// With the cure only where one is needed.
    pub(super) fn at(level: Level, check: impl Display, found: impl Display, cure: &str) -> Self {
        let cure = (level != Level::Ok).then(|| cure.to_owned());
        Self::of(level, check, found, cure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_line_breaks_never_show() {
        let finding = Finding::error("x", "cannot ask\nhttps://h.org/topsecret", "y\n");
        assert_eq!(finding.found, "cannot ask https://h.org");
        assert_eq!(finding.cure.as_deref(), Some("y"));
    }

    #[test]
    fn limits_are_where_a_level_begins() {
        for (figure, level) in [
            (9, Level::Ok),
            (10, Level::Warning),
            (99, Level::Warning),
            (100, Level::Error),
        ] {
            assert_eq!(Finding::graded(&figure, [10, 100]), level);
        }
    }
}
