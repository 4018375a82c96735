//! At a registry: follows who registers and who leaves, up to final blocks, with a cursor behind what the
//! membership task took. Who merely needs the sets reads them as they are.

use quorate_chain::{BlockRef, Registration};
use quorate_proto::store::Cursor;
use quorate_proto::{EpochSchedule, LogPosition};
use quorate_protocols::membership;
use quorate_storage::{Batch, schema};

use super::{Home, HomeFollower};
use crate::NodeError;
use crate::registry::members::MembersHandle;

/// Name of the cursor in the store.
pub(super) const CURSOR: &str = "members";
/// Blocks between two written cursors while nothing registers: what a restart reads again.
const CURSOR_STRIDE: u64 = 256;
/// Registrations written with one cursor: each takes about 1 kB, so 1,000 of them are
/// a quarter of the largest batch. All of one block stay together.
const EVENTS_AT_ONCE: usize = 1_000;

impl Home {
    pub(super) async fn follow_registrations(
        &self,
        members: &MembersHandle,
        follower: &mut HomeFollower,
        head: BlockRef,
    ) -> Result<(), NodeError> {
        if follower.next_block > head.number {
            return Ok(());
        }
        let events = self
            .reader
            .registrations(follower.next_block, head.number)
            .await?;
        follower.next_block = head.number.saturating_add(1);
        if events.is_empty() && follower.next_block < follower.written + CURSOR_STRIDE {
            return Ok(());
        }
        follower.written = follower.next_block;
        for (events, last) in portions(&events, head.number) {
            let hash = if last == head.number {
                head.hash.to_vec()
            } else {
                Vec::new()
            };
            keep(members, &follower.schedule, events, last, hash).await;
        }
        Ok(())
    }
}

/// Has what happened up to block `last` written.
async fn keep(
    members: &MembersHandle,
    schedule: &EpochSchedule,
    events: &[Registration],
    last: u64,
    block_hash: Vec<u8>,
) {
    let mut batch = Batch::new();
    let cursor = Cursor {
        block_number: last,
        block_hash,
    };
    batch.put(schema::CURSORS, CURSOR, &cursor);
    let told = |event: &Registration| told(schedule, event);
    members
        .chain(events.iter().map(told).collect(), batch)
        .await;
}

/// What an event is for the membership machine.
fn told(schedule: &EpochSchedule, event: &Registration) -> membership::Input {
    let operator = event.operator;
    let epoch = schedule.effective_epoch(event.block_number);
    let log = LogPosition {
        block: event.block_number,
        index: u32::try_from(event.log_index).unwrap_or(u32::MAX),
    };
    match event.registered {
        true => membership::Input::Registered {
            operator,
            log,
            active_epoch: epoch,
        },
        false => membership::Input::Deregistered {
            operator,
            log,
            exit_epoch: epoch,
        },
    }
}

/// Cuts events up to block `end` into portions of whole blocks, each with the block up to which it
/// goes. There is always one.
fn portions(events: &[Registration], end: u64) -> Vec<(&[Registration], u64)> {
    let mut portions = Vec::new();
    let mut rest = events;
    while let Some(block) = rest.get(EVENTS_AT_ONCE).map(|event| event.block_number) {
        let cut = rest.partition_point(|event| event.block_number < block);
        // More than that in one block: all of them.
        let cut = match cut {
            0 => rest.partition_point(|event| event.block_number <= block),
            cut => cut,
        };
        let (portion, later) = rest.split_at(cut);
        let last = portion.last().map_or(block, |event| event.block_number);
        portions.push((portion, last));
        rest = later;
    }
    portions.push((rest, end));
    portions
}

#[cfg(test)]
mod tests {
    use quorate_proto::Address;

    use super::*;

    fn registration(block_number: u64, log_index: u64) -> Registration {
        Registration {
            operator: Address::ZERO,
            registered: true,
            block_number,
            log_index,
        }
    }

    #[test]
    fn portions_are_of_whole_blocks_and_cover_all() {
        let ends = |events: &[Registration]| -> Vec<(usize, u64)> {
            let portions = portions(events, 9_999);
            portions.iter().map(|(p, last)| (p.len(), *last)).collect()
        };
        assert_eq!(ends(&[]), [(0, 9_999)]);
        let seven =
            |count: u64| -> Vec<_> { (0..count).map(|i| registration(i / 7, i % 7)).collect() };
        assert_eq!(ends(&seven(1_000)), [(1_000, 9_999)]);
        assert_eq!(ends(&seven(1_001)), [(994, 141), (7, 9_999)]);
        let crowded: Vec<_> = (0..2_500).map(|i| registration(5, i)).collect();
        assert_eq!(ends(&crowded), [(2_500, 5), (0, 9_999)]);
    }
}
