//! Figures and how they are shown.

use std::time::Duration;

/// Times of many requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(super) fn add(&mut self, took: Duration) {
        self.0.push(took);
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The time that this share of the requests did not exceed.
    pub(super) fn quantile(&mut self, share: f64) -> Duration {
        self.0.sort_unstable();
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss
        )]
        let index = (self.0.len() as f64 * share) as usize;
        self.0
            .get(index.min(self.0.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    }
}

/// Milliseconds with two decimals.
pub(super) fn ms(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1_000.0)
}

/// A table whose columns are aligned; the first is text, the others are figures.
pub(super) fn table(title: &str, head: &[&str], rows: &[Vec<String>]) {
    println!("{title}\n");
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count());
        cells.chain([head[column].len()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let mut text = String::from(" ");
        for (index, cell) in cells.iter().enumerate() {
            let pad = " ".repeat(widths[index].saturating_sub(cell.chars().count()));
            text += &if index == 0 {
                format!(" {cell}{pad}")
            } else {
                format!("  {pad}{cell}")
            };
        }
        println!("{text}");
    };
    line(head.to_vec());
    for row in rows {
        line(row.iter().map(String::as_str).collect());
    }
    println!();
}
