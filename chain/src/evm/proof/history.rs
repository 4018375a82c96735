//! Which storage slots of a state manager show the entry that counts at a block.
//!
//! `mapping(address user => mapping(uint256 key => History[]))` at a base slot, with
//! `History { uint256 value; uint64 blockNumber; uint48 timestamp; }`: an array's length lies at its
//! slot, its entries from the hash of that on, two slots each; the second one has the block number in
//! its lowest 64 bits and the timestamp in the next 48. Entries of a key ascend by block.

use alloy::primitives::{Address, B256, U256, keccak256};

/// Slots that one step asks for: two entries of two slots each.
#[cfg(any(test, fuzzing))]
pub(in crate::evm) const MAX_SLOTS: usize = 4;

/// Entries that are looked up in one batch while the right one is searched.
const PROBES: u64 = 8;

/// Entries of one key. More than a key can get in the life of a chain: it is no length.
const MAX_ENTRIES: U256 = U256::from_limbs([1 << 48, 0, 0, 0]);

/// What a state says about a key at a block. Proven, all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::evm) enum Fact {
    /// The value of the last entry that is not later, and for how long it held.
    Value(U256, Span),
    /// The key has no entry.
    NoHistory,
    /// The first entry is later; it is the end of the span.
    BeforeFirstEntry(Span),
}

/// From an entry until the next one; open where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::evm) struct Span {
    /// When it begins.
    pub(in crate::evm) from: Option<Since>,
    /// When it ends.
    pub(in crate::evm) until: Option<Since>,
}

impl Span {
    /// Whether a block of this time may lie in it. Blocks may share a second, so both ends count.
    pub(in crate::evm) fn may_contain(self, time: u64) -> bool {
        self.from.is_none_or(|from| from.time <= time)
            && self.until.is_none_or(|until| time <= until.time)
    }
}

/// Which entries are too late to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::evm) enum Cutoff {
    /// Those of later blocks than this one, by the chain's own numbers.
    Block(u64),
    /// Those of a later second than this one: where contracts count other blocks.
    Time(u64),
}

/// The end of what a state can know: no entry in it is later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::evm) struct Horizon {
    /// Number of its block.
    pub(in crate::evm) block: u64,
    /// Time of its block, in Unix seconds.
    pub(in crate::evm) time: u64,
}

/// What the search needs or has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::evm) enum HistoryStep {
    /// A proof of these slots, four at most, via [`HistoryRead::proven`].
    Prove(Vec<U256>),
    /// The second words of these entries, unproven, via [`HistoryRead::probed`].
    Probe(Vec<u64>),
    /// The end.
    Done(Fact),
}

/// Why a search does not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::evm) enum Stop {
    /// Who answers contradicts itself.
    #[error("{0}")]
    Lie(&'static str),
    /// The storage is proven, and is no state manager's.
    #[error("{0}")]
    Misfit(String),
    /// The storage is proven, and counts the blocks of another chain.
    #[error("{0}")]
    OtherBlocks(String),
}

/// The second word of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::evm) struct Since {
    /// Its block, as the contract counts.
    pub(in crate::evm) block: u64,
    /// Its time, in Unix seconds.
    pub(in crate::evm) time: u64,
}

impl Since {
    /// Why it is no entry of the chain whose state after this block has it.
    pub(in crate::evm) fn is_ahead_of(self, block: u64) -> String {
        format!(
            "an entry of block {} is in the state of block {block}",
            self.block
        )
    }

    const fn is_after(self, cutoff: Cutoff) -> bool {
        match cutoff {
            Cutoff::Block(block) => self.block > block,
            Cutoff::Time(time) => self.time > time,
        }
    }
}

/// The search for the entry of one key that counts at one block or time.
///
/// # Design Decisions
///
/// Most questions are about the recent past and keys that are rarely written, so the first proof
/// already takes the last entry along, where a hint (or a history of one entry) says which that is.
/// If the last entry is too late, the right one is looked for without proof, in few rounds, and
/// proven together with its successor: a lie in between only makes the last proof fail.
#[derive(Clone, Debug)]
pub(in crate::evm) struct HistoryRead {
    slots: Slots,
    cutoff: Cutoff,
    /// Of the state that is read.
    horizon: Horizon,
    /// Entries that there probably are.
    hint: u64,
    /// Proven length.
    length: Option<u64>,
    /// Proven words: slot and value.
    proven: Vec<(U256, U256)>,
    /// Entries below this one are not later than the cutoff, as far as was said.
    low: u64,
    /// Entries from this one on are later.
    high: u64,
    probed: bool,
}

/// Where the history of one key lies.
#[derive(Clone, Copy, Debug)]
struct Slots {
    length: U256,
    first: U256,
}

impl Slots {
    fn new(base: U256, user: Address, key: U256) -> Self {
        let of_user = pair(user.into_word(), base.into());
        let length = pair(key.into(), of_user);
        Self {
            length: length.into(),
            first: keccak256(length).into(),
        }
    }

    fn value(&self, entry: u64) -> U256 {
        self.first.wrapping_add(U256::from(entry) << 1)
    }

    fn since(&self, entry: u64) -> U256 {
        self.value(entry).wrapping_add(U256::ONE)
    }
}

fn pair(key: B256, slot: B256) -> B256 {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(key.as_slice());
    bytes[32..].copy_from_slice(slot.as_slice());
    keccak256(bytes)
}

impl HistoryRead {
    /// What `user` had under `key` at the cutoff, in a state with this horizon, where the mapping
    /// is at slot `base`, and there were `hint` entries when last seen.
    pub(in crate::evm) fn new(
        base: U256,
        (user, key): (Address, U256),
        cutoff: Cutoff,
        horizon: Horizon,
        hint: u64,
    ) -> Self {
        Self {
            slots: Slots::new(base, user, key),
            cutoff,
            horizon,
            hint: hint.max(1),
            length: None,
            proven: Vec::new(),
            low: 0,
            high: 0,
            probed: false,
        }
    }

    /// The number of entries, once it is proven.
    pub(in crate::evm) const fn length(&self) -> Option<u64> {
        self.length
    }

    /// The slot of the second word of an entry.
    pub(in crate::evm) fn slot_of(&self, entry: u64) -> U256 {
        self.slots.since(entry)
    }

    /// What is needed next.
    pub(in crate::evm) fn next(&self) -> Result<HistoryStep, Stop> {
        let Some(length) = self.length else {
            let last = self.hint - 1;
            return Ok(HistoryStep::Prove(vec![
                self.slots.length,
                self.slots.value(last),
                self.slots.since(last),
            ]));
        };
        if length == 0 {
            return Ok(HistoryStep::Done(Fact::NoHistory));
        }
        let last = length - 1;
        if self.value_of(self.slots.since(last)).is_none() {
            return Ok(HistoryStep::Prove(vec![
                self.slots.value(last),
                self.slots.since(last),
            ]));
        }
        match self.high - self.low {
            0 => self.settle(),
            // Cheaper proven at once than looked for first.
            1 | 2 if !self.probed => {
                let both = |entry| [self.slots.value(entry), self.slots.since(entry)];
                Ok(HistoryStep::Prove(
                    (self.low..self.high).flat_map(both).collect(),
                ))
            }
            _ => Ok(HistoryStep::Probe(self.probes())),
        }
    }

    /// These slots, which were asked for, have these values: proven.
    pub(in crate::evm) fn proven(&mut self, slots: &[U256], values: &[U256]) -> Result<(), Stop> {
        self.proven
            .extend(slots.iter().copied().zip(values.iter().copied()));
        if self.length.is_none()
            && let Some(length) = self.value_of(self.slots.length)
        {
            if length > MAX_ENTRIES {
                return Err(Stop::Misfit(format!("{length} is no number of entries")));
            }
            let length = length.to();
            self.length = Some(length);
            self.high = length;
            if (1..=length).contains(&self.hint) {
                return self.observe_proven(self.hint - 1);
            }
            return Ok(());
        }
        for entry in self.entries_in(slots) {
            self.observe_proven(entry)?;
        }
        Ok(())
    }

    /// These entries, which were asked for, have these second words, as a provider says.
    pub(in crate::evm) fn probed(&mut self, words: &[(u64, U256)]) -> Result<(), Stop> {
        self.probed = true;
        for (entry, word) in words {
            // Nonsense is a lie unless it is proven; then it is something else.
            let lie = |_| Stop::Lie("an entry that is none");
            let since = self.since(*word).map_err(lie)?;
            self.observe(*entry, since)?;
        }
        Ok(())
    }

    fn observe_proven(&mut self, entry: u64) -> Result<(), Stop> {
        let Some(word) = self.value_of(self.slots.since(entry)) else {
            return Ok(());
        };
        let since = self.since(word)?;
        self.observe(entry, since)
    }

    fn observe(&mut self, entry: u64, since: Since) -> Result<(), Stop> {
        if since.is_after(self.cutoff) {
            self.high = self.high.min(entry);
        } else {
            self.low = self.low.max(entry + 1);
        }
        match (self.low <= self.high, self.probed) {
            (true, _) => Ok(()),
            (false, true) => Err(Stop::Lie("entries that its own proof contradicts")),
            (false, false) => Err(Stop::Misfit("entries that do not ascend".into())),
        }
    }

    /// All entries below `low` are not later, all from there on are: the two at the border are to
    /// be proven.
    fn settle(&self) -> Result<HistoryStep, Stop> {
        let length = self.length.unwrap_or_default();
        let mut missing = Vec::new();
        let mut need = |slot: U256| {
            let value = self.value_of(slot);
            if value.is_none() {
                missing.push(slot);
            }
            value
        };
        let (from, value) = match self.low {
            0 => (None, None),
            next => (
                need(self.slots.since(next - 1)),
                need(self.slots.value(next - 1)),
            ),
        };
        let until = match self.low < length {
            true => need(self.slots.since(self.low)),
            false => None,
        };
        if !missing.is_empty() {
            return Ok(HistoryStep::Prove(missing));
        }
        let span = Span {
            from: from.map(|word| self.since(word)).transpose()?,
            until: until.map(|word| self.since(word)).transpose()?,
        };
        Ok(HistoryStep::Done(match value {
            Some(value) => Fact::Value(value, span),
            None => Fact::BeforeFirstEntry(span),
        }))
    }

    /// What the second word of an entry says; the error tells why it is none.
    fn since(&self, word: U256) -> Result<Since, Stop> {
        let [block, high, ..] = *word.as_limbs();
        let misfit = |why: String| Err(Stop::Misfit(why));
        if word.bit_len() > 64 + 48 {
            return misfit(format!("{word:#x} is no block number and timestamp"));
        }
        let since = Since { block, time: high };
        if since.block == 0 || since.time == 0 {
            return misfit("an entry without block or timestamp".to_owned());
        }
        let Horizon { block, time } = self.horizon;
        if since.time > time {
            let why = format!("an entry of time {} in a state of time {time}", since.time);
            return misfit(why);
        }
        if matches!(self.cutoff, Cutoff::Block(_)) && since.block > block {
            return Err(Stop::OtherBlocks(since.is_ahead_of(block)));
        }
        Ok(since)
    }

    /// At first in growing strides down from the end, then evenly between what is known.
    fn probes(&self) -> Vec<u64> {
        let open = self.high - self.low;
        if self.low == 0 && !self.probed {
            let strides = (0..16).map(|power| 1_u64 << (3 * power));
            let mut probes: Vec<u64> = strides
                .take_while(|stride| *stride < open)
                .map(|stride| self.high - stride)
                .collect();
            probes.push(0);
            return probes;
        }
        let step = open.div_ceil(PROBES + 1);
        let probes = (1..=PROBES).map(|n| self.low + n * step - 1);
        probes.take_while(|probe| *probe < self.high).collect()
    }

    fn entries_in<'a>(&'a self, slots: &'a [U256]) -> impl Iterator<Item = u64> + use<> {
        let offset = |slot: &U256| slot.wrapping_sub(self.slots.first);
        let entries: Vec<u64> = slots
            .iter()
            .map(offset)
            .filter(|offset| offset.bit(0) && *offset >> 1_usize < MAX_ENTRIES)
            .map(|offset| (offset >> 1_usize).to())
            .collect();
        entries.into_iter()
    }

    fn value_of(&self, slot: U256) -> Option<U256> {
        let found = self.proven.iter().find(|(known, _)| *known == slot);
        found.map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests;
