//! When providers suffice: k of the n that are configured, run by enough different ones.

/// Providers are known here by their index in the configuration.
#[derive(Clone, Debug)]
pub struct QuorumRule {
    required: usize,
    min_runners: usize,
    /// A number for who runs each provider: equal for those that have the same runner.
    runner: Vec<usize>,
}

impl QuorumRule {
    /// `required` of the providers that `runners` run, by at least `min_runners` of these.
    #[must_use]
    pub fn new(required: usize, min_runners: usize, runners: &[String]) -> Self {
        let first = |runner: &String| runners.iter().position(|other| other == runner);
        Self {
            required,
            min_runners,
            runner: runners.iter().filter_map(first).collect(),
        }
    }

    /// How many must agree.
    #[must_use]
    pub const fn required(&self) -> usize {
        self.required
    }

    /// By how many runners those must be run.
    #[must_use]
    pub const fn min_runners(&self) -> usize {
        self.min_runners
    }

    /// Whether what these say is to be believed.
    #[must_use]
    pub fn suffices(&self, providers: &[usize]) -> bool {
        providers.len() >= self.required && self.runners(providers) >= self.min_runners
    }

    /// Those of the values that the claims of enough providers reach, highest first: none of them alone can
    /// pull the first one up or hold it back.
    #[must_use]
    pub fn reached<T: Copy + Ord>(&self, claims: &[Option<T>]) -> Vec<T> {
        let reach = |value: &T| {
            let reaching =
                |(index, claim): (usize, &Option<T>)| (*claim >= Some(*value)).then_some(index);
            let by: Vec<usize> = claims.iter().enumerate().filter_map(reaching).collect();
            self.suffices(&by)
        };
        let mut reached: Vec<T> = claims.iter().flatten().copied().filter(reach).collect();
        reached.sort_unstable_by(|a, b| b.cmp(a));
        reached.dedup();
        reached
    }

    /// How many of `good` may yet fail before the rest cannot agree; `None` if it cannot already.
    #[must_use]
    pub fn spare(&self, good: &[usize]) -> Option<usize> {
        if !self.suffices(good) {
            return None;
        }
        let mut sizes: Vec<usize> = (0..self.runner.len())
            .map(|runner| good.iter().filter(|p| self.of(**p) == Some(runner)).count())
            .filter(|size| *size > 0)
            .collect();
        sizes.sort_unstable();
        // The worst that can happen takes the smallest runners away, up to one too many.
        let fatal = (sizes.len() + 1).saturating_sub(self.min_runners);
        let by_runners = sizes.iter().take(fatal).sum::<usize>();
        let by_number = good.len() - self.required;
        Some(by_number.min(by_runners.saturating_sub(1)))
    }

    fn of(&self, provider: usize) -> Option<usize> {
        self.runner.get(provider).copied()
    }

    fn runners(&self, providers: &[usize]) -> usize {
        let mut seen: Vec<usize> = providers.iter().filter_map(|p| self.of(*p)).collect();
        seen.sort_unstable();
        seen.dedup();
        seen.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(required: usize, min_runners: usize, runners: &[&str]) -> QuorumRule {
        let runners: Vec<String> = runners.iter().map(ToString::to_string).collect();
        QuorumRule::new(required, min_runners, &runners)
    }

    #[test]
    fn two_urls_of_one_runner_are_one_voice() {
        let table: [(&[&str], &[usize], bool); 8] = [
            (&["a", "b", "c"], &[0, 1], true),
            (&["a", "b", "c"], &[2], false),
            (&["a", "a", "b"], &[0, 1], false),
            (&["a", "a", "b"], &[0, 2], true),
            (&["a", "a", "b"], &[0, 1, 2], true),
            (&["a", "a", "a"], &[0, 1, 2], false),
            (&["a", "b"], &[], false),
            (&["a", "b"], &[0, 7], false),
        ];
        for (runners, by, expected) in table {
            assert_eq!(
                rule(2, 2, runners).suffices(by),
                expected,
                "{runners:?} {by:?}"
            );
        }
    }

    #[test]
    fn what_is_left_is_counted_in_the_worst_case() {
        let table: [(QuorumRule, &[usize], Option<usize>); 8] = [
            (rule(1, 1, &["a"]), &[0], Some(0)),
            (rule(2, 2, &["a", "b", "c"]), &[0, 1, 2], Some(1)),
            (rule(2, 2, &["a", "b", "c"]), &[0, 2], Some(0)),
            (rule(2, 2, &["a", "b", "c"]), &[1], None),
            (rule(2, 2, &["a", "a", "b"]), &[0, 1, 2], Some(0)),
            (
                rule(3, 2, &["a", "a", "b", "b", "c"]),
                &[0, 1, 2, 3, 4],
                Some(2),
            ),
            (
                rule(3, 3, &["a", "a", "b", "b", "c"]),
                &[0, 1, 2, 3, 4],
                Some(0),
            ),
            (rule(2, 1, &["a", "a", "a"]), &[0, 1, 2], Some(1)),
        ];
        for (rule, good, expected) in table {
            assert_eq!(rule.spare(good), expected, "{rule:?} {good:?}");
        }
    }

    #[test]
    fn spare_is_what_every_choice_of_failures_leaves() {
        let runners = ["a", "a", "b", "b", "c", "d"];
        for (required, min_runners) in [(4, 2), (4, 3), (4, 4), (5, 2), (6, 4)] {
            let rule = rule(required, min_runners, &runners);
            for good in 0_u32..64 {
                let members = |set: u32| -> Vec<usize> {
                    (0..6).filter(|place| set & (1 << place) != 0).collect()
                };
                // All subsets of the good ones that do not suffice; the cheapest way to one.
                let fewest = (0_u32..64)
                    .filter(|left| left & !good == 0 && !rule.suffices(&members(*left)))
                    .map(|left| (good & !left).count_ones() as usize)
                    .min();
                let expected = fewest.and_then(|fewest| fewest.checked_sub(1));
                assert_eq!(rule.spare(&members(good)), expected, "{rule:?} {good:b}");
            }
        }
    }
}
