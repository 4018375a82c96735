//! Aligned text: tables with a header, and lists of facts.

use std::fmt;

use crate::format::printable;

/// How a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Space between two columns.
const GAP: &str = "  ";

/// Rows under a header. Columns are as wide as their widest cell; those in which no row has
/// anything are left out.
#[derive(Debug)]
pub(crate) struct Table {
    header: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Columns by name; a name that begins with `>` stands on the right.
    pub(crate) fn new(columns: &[&'static str]) -> Self {
        let column = |name: &&'static str| match name.strip_prefix('>') {
            Some(name) => (name, Align::Right),
            None => (*name, Align::Left),
        };
        Self {
            header: columns.iter().map(column).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; cells that are missing are empty.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().map(|cell| printable(&cell));
        self.rows.push(cells.collect());
    }

    fn cell(&self, row: usize, column: usize) -> &str {
        let cell = self.rows.get(row).and_then(|cells| cells.get(column));
        cell.map_or("", String::as_str)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<_> = self
            .header
            .iter()
            .enumerate()
            .filter_map(|(index, (name, align))| {
                let cells = (0..self.rows.len()).map(|row| self.cell(row, index));
                let widest = cells.map(width).max().unwrap_or(0);
                (widest > 0).then_some((index, *name, *align, widest.max(width(name))))
            })
            .collect();
        let mut line = String::new();
        for (_, name, align, wide) in &columns {
            push(&mut line, name, *align, *wide);
        }
        writeln!(f, "{}", line.trim_end())?;
        for row in 0..self.rows.len() {
            line.clear();
            for (index, _, align, wide) in &columns {
                push(&mut line, self.cell(row, *index), *align, *wide);
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Names on the left, values behind them. Facts without value are left out.
#[derive(Debug, Default)]
pub(crate) struct Facts(Vec<(&'static str, String)>);

impl Facts {
    pub(crate) fn add(&mut self, name: &'static str, value: impl fmt::Display) {
        let value = value.to_string();
        if !value.is_empty() {
            self.0.push((name, value));
        }
    }

    pub(crate) fn add_some(&mut self, name: &'static str, value: Option<impl fmt::Display>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = self
            .0
            .iter()
            .map(|(name, _)| width(name))
            .max()
            .unwrap_or(0);
        for (name, value) in &self.0 {
            let mut line = String::new();
            push(&mut line, name, Align::Left, wide);
            writeln!(f, "{line}{value}")?;
        }
        Ok(())
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn push(line: &mut String, text: &str, align: Align, wide: usize) {
    let space = " ".repeat(wide.saturating_sub(width(text)));
    match align {
        Align::Left => line.extend([text, &space, GAP]),
        Align::Right => line.extend([&space, text, GAP]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn columns_are_as_wide_as_needed() {
        let mut table = Table::new(&["OPERATOR", ">WEIGHT", "NOTE", "REASON"]);
        table.row(row(&["0x1111…11", "1 300", "", "late"]));
        table.row(row(&["0x22", "7"]));
        let expected = "OPERATOR   WEIGHT  REASON\n0x1111…11   1 300  late\n0x22            7\n";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn what_others_wrote_steers_no_terminal() {
        let mut table = Table::new(&["DETAIL"]);
        table.row(row(&["\u{1b}[2Jgone\r\nsigned"]));
        assert_eq!(
            table.to_string(),
            "DETAIL\n\u{fffd}[2Jgone\u{fffd}\u{fffd}signed\n"
        );
    }

    #[test]
    fn facts_stand_in_two_columns() {
        let mut facts = Facts::default();
        facts.add("Status", "completed");
        facts.add("Epoch", 7);
        facts.add("Nothing", "");
        facts.add_some("None", None::<u8>);
        assert_eq!(facts.to_string(), "Status  completed\nEpoch   7\n");
    }
}
