//! Whose tasks take how many of the places for open tasks.
//!
//! A quarter of the places is for what users ask this node. The rest is shared by the operators that
//! announce tasks: one that announces junk fills its own share, and no other, and its share shrinks while
//! it does. What is certified was no junk, and is counted against no operator while it waits for late responses.

use quorate_proto::{Address, OperatorSet, Timestamp, limits};

use super::Refused;
use super::doubts::Doubts;
use crate::authors::millionths;
use crate::limiter::Shares;

/// Places that are kept for tasks that users ask this node for.
pub(super) const OWN_TASKS: usize = limits::MAX_OPEN_TASKS / 4;
/// Places for everything else: 2,000 certified tasks/s for the response window of 3 s, and some.
pub(super) const FOREIGN_TASKS: usize = limits::MAX_OPEN_TASKS - OWN_TASKS;
/// Tasks of one operator at least, whatever its stake; 192 operators of no stake could fill the node.
pub(super) const MIN_SHARE: usize = 32;
/// Tasks that are known by refusals only: no operator that could be blamed has announced them here. A refusal
/// overtakes its announcement by milliseconds at most.
pub(super) const ORPHANS: usize = 512;

/// Why a task is open here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A user asked this node.
    Own,
    /// This operator announced it, or signed it before its announcement came.
    Of(Address),
    /// Refusals were heard, and no announcement.
    Orphan,
    /// It is certified.
    Settled,
}

/// Counts open tasks by their origin.
#[derive(Clone, Debug, Default)]
pub(super) struct Room {
    own: usize,
    orphans: usize,
    settled: usize,
    of: Shares<Address>,
    pub(super) doubts: Doubts,
}

impl Room {
    /// Takes a place, if there is one.
    pub(super) fn enter(
        &mut self,
        now: Timestamp,
        origin: Origin,
        set: &OperatorSet,
    ) -> Result<(), Refused> {
        let foreign = self
            .of
            .total()
            .saturating_add(self.orphans)
            .saturating_add(self.settled);
        let all = foreign.saturating_add(self.own);
        if all >= limits::MAX_OPEN_TASKS || (origin != Origin::Own && foreign >= FOREIGN_TASKS) {
            return Err(Refused::TooManyTasks);
        }
        match origin {
            Origin::Of(author) => {
                let (open, most) = (self.of.of(&author), share(set, author));
                match self.doubts.places(now, author) {
                    Some(most) if open >= most => return Err(Refused::Doubted { author, most }),
                    _ if open >= most => return Err(Refused::TooManyOfAuthor { author, most }),
                    _ => {}
                }
            }
            Origin::Orphan if self.orphans >= ORPHANS => return Err(Refused::TooManyTasks),
            Origin::Orphan | Origin::Own | Origin::Settled => {}
        }
        self.add(origin);
        Ok(())
    }

    /// The task of this origin is one of another origin now.
    pub(super) fn turn(&mut self, from: Origin, to: Origin) {
        self.leave(from);
        self.add(to);
    }

    fn add(&mut self, origin: Origin) {
        let count = match origin {
            Origin::Own => &mut self.own,
            Origin::Orphan => &mut self.orphans,
            Origin::Settled => &mut self.settled,
            Origin::Of(author) => return self.of.take(author),
        };
        *count = count.saturating_add(1);
    }

    /// Gives a place back.
    pub(super) fn leave(&mut self, origin: Origin) {
        let count = match origin {
            Origin::Own => &mut self.own,
            Origin::Orphan => &mut self.orphans,
            Origin::Settled => &mut self.settled,
            Origin::Of(author) => return self.of.give_back(&author),
        };
        *count = count.saturating_sub(1);
    }

    /// All tasks.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.own
            .saturating_add(self.orphans)
            .saturating_add(self.settled)
            .saturating_add(self.of.total())
    }
}

/// Tasks that an operator may have open here without a certificate.
pub(super) fn share(set: &OperatorSet, author: Address) -> usize {
    let millionths = usize::try_from(millionths(set, author)).unwrap_or_default();
    let places = FOREIGN_TASKS.saturating_mul(millionths) / 1_000_000;
    places.max(MIN_SHARE)
}
