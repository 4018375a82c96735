//! Which providers lag behind the others.

use std::collections::VecDeque;

use super::Provider;

/// Rounds after which a provider must have what k of them had: 15 s, in which blocks reach all providers
/// that are well.
const LAG_ROUNDS: usize = 3;

/// The heights that enough providers had in the last rounds.
#[derive(Debug, Default)]
pub struct HeightWindow(VecDeque<u64>);

impl HeightWindow {
    /// Compares the heights that the providers reported in one round with the `required`-th highest of them, and
    /// with that of some rounds ago.
    pub fn compare<'a>(
        &mut self,
        required: usize,
        found: impl Iterator<Item = (&'a Provider, Option<u64>)> + Clone,
    ) {
        let mut heights: Vec<u64> = found.clone().filter_map(|(_, height)| height).collect();
        heights.sort_unstable_by(|a, b| b.cmp(a));
        let reference = heights.get(required - 1).copied();
        let earlier = self.push(reference);
        for (provider, height) in found {
            let lag = reference
                .zip(height)
                .map(|(reference, own)| reference.saturating_sub(own));
            let lagging = height
                .zip(earlier)
                .is_some_and(|(own, earlier)| own < earlier);
            provider.compared(lag, lagging);
        }
    }

    /// Adds a round; what enough providers had some rounds ago.
    fn push(&mut self, reference: Option<u64>) -> Option<u64> {
        let full = self.0.len() == LAG_ROUNDS;
        let earlier = self.0.front().copied().filter(|_| full);
        self.0.extend(reference);
        if self.0.len() > LAG_ROUNDS {
            self.0.pop_front();
        }
        earlier
    }
}
