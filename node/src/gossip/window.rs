//! Which batches of an author were seen.

/// Numbers that are remembered below the highest: at 250 batches/s of one author these are 65 s,
/// far more than gossipsub's own memory of contents. 64 KiB per author.
const WIDTH: u64 = 16_384;
const SLOTS: usize = WIDTH as usize;

/// A sliding window over sequence numbers, as in RFC 4303 section 3.4.3, that also remembers a
/// little of what each number stood for.
pub(super) struct Window {
    highest: u64,
    /// By number: a part of the content's hash; zero for a number that was not seen.
    seen: Box<[u32]>,
}

/// How a batch stands to those seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Not seen.
    New,
    /// The same content was seen under this number.
    Same,
    /// Another content was seen under this number, or it is too old to tell.
    Spent,
}

impl Window {
    pub(super) fn new() -> Self {
        Self {
            highest: 0,
            seen: vec![0; SLOTS].into_boxed_slice(),
        }
    }

    /// How a number with this content stands; contents are told apart by `tag`.
    pub(super) fn look(&self, sequence: u64, tag: u32) -> Seen {
        if sequence > self.highest {
            return Seen::New;
        }
        if self.highest - sequence >= WIDTH {
            return Seen::Spent;
        }
        match self.seen[place(sequence)] {
            0 => Seen::New,
            seen if seen == tag | 1 => Seen::Same,
            _ => Seen::Spent,
        }
    }

    /// Marks a number that is [`Seen::New`].
    pub(super) fn mark(&mut self, sequence: u64, tag: u32) {
        if sequence > self.highest {
            let skipped = (sequence - self.highest).min(WIDTH);
            for number in sequence - skipped + 1..sequence {
                self.seen[place(number)] = 0;
            }
            self.highest = sequence;
        }
        self.seen[place(sequence)] = tag | 1;
    }
}

fn place(sequence: u64) -> usize {
    usize::try_from(sequence % WIDTH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_new_once_in_any_order() {
        let mut window = Window::new();
        let start = 1_700_000_000_000_000;
        for sequence in [5, 1, 3, 2, 17_000, 16_999, 4_500, 17_001] {
            assert_eq!(window.look(start + sequence, 8), Seen::New, "{sequence}");
            window.mark(start + sequence, 8);
            assert_eq!(
                window.look(start + sequence, 8),
                Seen::Same,
                "{sequence} again"
            );
            assert_eq!(
                window.look(start + sequence, 10),
                Seen::Spent,
                "{sequence} otherwise"
            );
        }
        assert_eq!(window.look(start + 4, 8), Seen::Spent, "below the window");
        assert_eq!(
            window.look(start + 4_501, 8),
            Seen::New,
            "skipped, still inside"
        );
    }

    #[test]
    fn a_leap_forgets_everything() {
        let mut window = Window::new();
        window.mark(10, 8);
        window.mark(10 + 3 * WIDTH, 8);
        for sequence in 10 + 2 * WIDTH + 1..10 + 3 * WIDTH {
            assert_eq!(window.look(sequence, 8), Seen::New);
        }
        assert_eq!(window.look(10 + 2 * WIDTH, 8), Seen::Spent);
    }

    #[test]
    fn the_largest_number_is_a_number() {
        let mut window = Window::new();
        window.mark(u64::MAX, 8);
        assert_eq!(window.look(u64::MAX, 8), Seen::Same);
        assert_eq!(window.look(u64::MAX - 1, 8), Seen::New);
    }
}
