//! How far a request is, on standard error: one line that is rewritten on a terminal, one line per
//! news elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use quorate_node::client::Progress;
use quorate_proto::U256;

use crate::format;
use crate::output;

/// Cells of the weight bar.
const BAR: u64 = 24;

pub(super) struct Live {
    terminal: bool,
    started: Instant,
    progress: Option<Progress>,
    drawn: bool,
}

impl Live {
    pub(super) fn new() -> Self {
        Self {
            terminal: std::io::stderr().is_terminal(),
            started: Instant::now(),
            progress: None,
            drawn: false,
        }
    }

    pub(super) fn update(&mut self, progress: Progress) {
        self.progress = Some(progress);
        if self.terminal {
            self.draw();
        } else {
            output::note(line(&progress, self.started.elapsed()));
        }
    }

    /// Writes the line again; does nothing where lines cannot be rewritten.
    pub(super) fn draw(&mut self) {
        if !self.terminal {
            return;
        }
        let elapsed = self.started.elapsed();
        let text = match &self.progress {
            Some(progress) => format!("{} {}", bar(progress), line(progress, elapsed)),
            None => format!(
                "waiting for the operator to read the chain, {}",
                seconds(elapsed)
            ),
        };
        self.write(&text);
    }

    /// Takes the line away.
    pub(super) fn clear(&mut self) {
        if self.drawn {
            self.write("");
        }
    }

    fn write(&mut self, text: &str) {
        let mut out = std::io::stderr().lock();
        // A terminal that is gone does not stop the request.
        let _ = write!(out, "\r\x1b[2K{text}").and_then(|()| out.flush());
        self.drawn = !text.is_empty();
    }
}

fn line(progress: &Progress, elapsed: Duration) -> String {
    let share = |weight| format::percent(weight, progress.total_weight);
    let mut text = format!(
        "{} signed with {} of the weight, {} needed",
        format::count(progress.signed as usize, "operator"),
        share(progress.signed_weight),
        share(progress.threshold),
    );
    if progress.refused > 0 {
        text += &format!(
            "; {} refused with {}",
            progress.refused,
            share(progress.refused_weight)
        );
    }
    if progress.attempt > 0 {
        text += &format!("; retry {}", progress.attempt);
    }
    format!("{text}; {}", seconds(elapsed))
}

/// Signed weight, refused weight and the threshold on one scale.
fn bar(progress: &Progress) -> String {
    let cells = |weight: U256| -> u64 {
        let whole = progress.total_weight.max(U256::from(1));
        let cells = weight.saturating_mul(U256::from(BAR)) / whole;
        cells.try_into().unwrap_or(BAR).min(BAR)
    };
    let (signed, refused) = (
        cells(progress.signed_weight),
        cells(progress.refused_weight),
    );
    let threshold = cells(progress.threshold).min(BAR - 1);
    let cell = |index: u64| match index {
        index if index < signed => '█',
        index if index >= BAR - refused => '×',
        index if index == threshold => '|',
        _ => '·',
    };
    (0..BAR).map(cell).collect()
}

fn seconds(elapsed: Duration) -> String {
    format!("{:.1} s", elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use quorate_proto::{B256, TaskId};

    use super::*;

    fn progress(signed: u32, refused: u32, attempt: u32) -> Progress {
        Progress {
            task_id: TaskId(B256::ZERO),
            epoch: 7,
            signed,
            refused,
            signed_weight: U256::from(signed * 100),
            refused_weight: U256::from(refused * 100),
            threshold: U256::from(401),
            total_weight: U256::from(600),
            attempt,
        }
    }

    #[test]
    fn a_line_says_what_is_there_and_what_is_needed() {
        let after = Duration::from_millis(1_234);
        assert_eq!(
            line(&progress(1, 0, 0), after),
            "1 operator signed with 16.6 % of the weight, 66.8 % needed; 1.2 s"
        );
        assert_eq!(
            line(&progress(3, 1, 2), after),
            "3 operators signed with 50.0 % of the weight, 66.8 % needed; \
             1 refused with 16.6 %; retry 2; 1.2 s"
        );
    }

    #[test]
    fn the_bar_shows_signed_refused_and_threshold() {
        assert_eq!(bar(&progress(0, 0, 0)), "················|·······");
        assert_eq!(bar(&progress(3, 1, 0)), "████████████····|···××××");
        assert_eq!(bar(&progress(6, 0, 0)), "████████████████████████");
    }
}
