//! The flight recorder: what happened to each task, in rows for the store.
//!
//! # Design Decisions
//!
//! - Time is an argument and rows are the output: no store, no clock. The task driver writes the rows in the
//!   batches that it writes anyway.
//! - A row holds what happened between two writes, not one event: a usual task makes three rows. It is
//!   due at once when its task begins or ends, and otherwise [`WRITE_AFTER_MS`] after its first
//!   event. So a kill loses what happened in the last moment, and never a beginning or an end.
//! - What happens to a task later than [`LINGER_MS`] after its end is rare: the driver then says
//!   first what its record holds ([`Recorder::resume`]), so that no record outgrows its bounds.

pub(crate) mod event;
mod live;
mod refused;

use std::collections::{BTreeSet, HashMap};

use prost::Message as _;
use quorate_proto::limits::{MAX_OPEN_TASKS, MAX_TIMELINE_BYTES, MAX_TIMELINE_EVENTS};
use quorate_proto::store::TimelineRow;
use quorate_proto::wire::TimelineEvent;
use quorate_proto::wire::timeline_event::Kind;
use quorate_proto::{TaskId, Timestamp};
use quorate_protocols::pipeline::ClientId;

pub(crate) use live::{LiveEvent, LiveFeed, LiveFollower};
pub(crate) use refused::{Origin, Refusals};

/// What happened waits at most this long for its row.
const WRITE_AFTER_MS: u64 = 250;

/// A task that ended is remembered this long: its last responses come within the window of 3 s, and
/// its users have their answers.
const LINGER_MS: u64 = 5_000;

/// Tasks remembered: those that are open, and as many that ended within [`LINGER_MS`]. With some
/// 200 bytes each they are 3 MB. Beyond that, tasks are forgotten as soon as they are written.
const MAX_TRACKS: usize = 2 * MAX_OPEN_TASKS;

/// Kept free for how tasks end: some ends, one with the addresses of 500 silent operators (22 bytes
/// each).
const RESERVED_EVENTS: usize = 16;
const RESERVED_BYTES: usize = 12 * 1024;

/// Reasons of refusals are told as long as a record is filled to this part; the store has them beside
/// the answers, too.
const REASONS_PART: usize = 4;

/// What the record of a task holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResumedTask {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
    /// Key of its last row.
    pub(crate) last: Timestamp,
}

/// A row and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) task: TaskId,
    /// When its first event happened.
    pub(crate) at: Timestamp,
    pub(crate) row: TimelineRow,
}

/// Records tasks.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    tracks: HashMap<TaskId, Track>,
    /// When a track is to be written, or forgotten where there is nothing to write.
    due: BTreeSet<(Timestamp, TaskId)>,
}

#[derive(Debug, Default)]
struct Track {
    held: ResumedTask,
    /// What is in no row yet.
    fresh: TimelineRow,
    /// Bytes of it.
    bytes: usize,
    due: Option<Timestamp>,
    ended: bool,
    /// Users in the order in which they asked; `None` once one has its answer.
    users: Vec<Option<ClientId>>,
    /// When this node began to make its own answer.
    decided: Option<Timestamp>,
}

impl Recorder {
    /// Whether something about the task may be noted without [`Self::resume`].
    pub(crate) fn knows(&self, task: TaskId) -> bool {
        self.tracks.contains_key(&task)
    }

    /// Says what the store holds about a task that this recorder does not know.
    pub(crate) fn resume(&mut self, now: Timestamp, task: TaskId, held: ResumedTask) {
        let track = self.tracks.entry(task).or_insert_with(Track::ended);
        track.held = held;
        self.set_due(task, Some(now.plus_millis(LINGER_MS)));
    }

    /// Notes what happened. Where the record is full it is only counted.
    pub(crate) fn note(&mut self, now: Timestamp, task: TaskId, kind: Kind) {
        let track = self.tracks.entry(task).or_insert_with(Track::ended);
        let urgent = matches!(kind, Kind::Opened(_) | Kind::Certified(_) | Kind::Ended(_));
        if urgent {
            track.ended = !matches!(kind, Kind::Opened(_));
        }
        let first = track.is_written();
        track.add(now, kind);
        match (urgent, first) {
            (true, _) => self.set_due(task, Some(now)),
            (false, true) => self.set_due(task, Some(now.plus_millis(WRITE_AFTER_MS))),
            (false, false) => {}
        }
    }

    /// A user asks for the task: its number, or `None` where it has one already.
    pub(crate) fn user_asks(&mut self, task: TaskId, client: ClientId) -> Option<u32> {
        let users = &mut self.tracks.get_mut(&task)?.users;
        if users.contains(&Some(client)) || users.len() >= MAX_TIMELINE_EVENTS {
            return None;
        }
        users.push(Some(client));
        u32::try_from(users.len()).ok()
    }

    /// A user has its answer, or went away: its number.
    pub(crate) fn user_leaves(&mut self, task: TaskId, client: ClientId) -> Option<u32> {
        let users = &mut self.tracks.get_mut(&task)?.users;
        let place = users.iter().position(|user| *user == Some(client))?;
        users[place] = None;
        u32::try_from(place.saturating_add(1)).ok()
    }

    /// This node begins to make its own answer.
    pub(crate) fn decides(&mut self, now: Timestamp, task: TaskId) {
        if let Some(track) = self.tracks.get_mut(&task) {
            track.decided = Some(now);
        }
    }

    /// Its own answer is there: the microseconds that it took.
    pub(crate) fn decided(&mut self, now: Timestamp, task: TaskId) -> u64 {
        let track = self.tracks.get_mut(&task);
        let began = track.and_then(|track| track.decided.take());
        began.map_or(0, |began| now.micros_since(began))
    }

    /// The rows that are due, at most `room` bytes of them; the others stay due.
    pub(crate) fn rows(&mut self, now: Timestamp, room: usize) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut left = room;
        while let Some((at, task)) = self.due.first().copied()
            && at <= now
        {
            let many = self.tracks.len() > MAX_TRACKS;
            let Some(track) = self.tracks.get_mut(&task) else {
                self.due.remove(&(at, task));
                continue;
            };
            if track.is_written() {
                let ended = track.ended;
                self.set_due(task, None);
                if ended {
                    self.tracks.remove(&task);
                }
                continue;
            }
            if track.bytes > left {
                break;
            }
            left = left.saturating_sub(track.bytes);
            let linger = if many { 0 } else { LINGER_MS };
            let forget = track.ended.then(|| now.plus_millis(linger));
            rows.push(track.take_row(task));
            self.set_due(task, forget);
        }
        rows
    }

    /// When to ask for rows although nothing happened.
    pub(crate) fn next_wake(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    fn set_due(&mut self, task: TaskId, due: Option<Timestamp>) {
        let Some(track) = self.tracks.get_mut(&task) else {
            return;
        };
        if let Some(old) = std::mem::replace(&mut track.due, due) {
            self.due.remove(&(old, task));
        }
        self.due.extend(due.map(|at| (at, task)));
    }
}

impl Track {
    /// Whatever is not told to begin has ended, and is forgotten again.
    fn ended() -> Self {
        Self {
            ended: true,
            ..Self::default()
        }
    }

    const fn is_written(&self) -> bool {
        self.fresh.events.is_empty() && self.fresh.cut == 0
    }

    /// Reasons go first where room is short, then events; how a task ends has room of its own.
    fn add(&mut self, now: Timestamp, kind: Kind) {
        let last = matches!(kind, Kind::Certified(_) | Kind::Ended(_));
        let mut event = TimelineEvent {
            at_micros: now.0,
            kind: Some(kind),
        };
        let (mut events, mut bytes) = (MAX_TIMELINE_EVENTS, MAX_TIMELINE_BYTES);
        if !last {
            events = events.saturating_sub(RESERVED_EVENTS);
            bytes = bytes.saturating_sub(RESERVED_BYTES);
        }
        let held = self.held.bytes;
        if held.saturating_add(framed_len(&event)) > bytes / REASONS_PART && !last {
            event::shorten(&mut event);
        }
        let len = framed_len(&event);
        if self.held.events >= events || held.saturating_add(len) > bytes {
            self.fresh.cut = self.fresh.cut.saturating_add(1);
            metrics::counter!("quorate_timeline_events_cut_total").increment(1);
            return;
        }
        self.held.events = self.held.events.saturating_add(1);
        self.held.bytes = held.saturating_add(len);
        self.bytes = self.bytes.saturating_add(len);
        self.fresh.events.push(event);
    }

    /// Keys ascend, also where the clock went back between two runs of the node.
    fn take_row(&mut self, task: TaskId) -> Row {
        let row = std::mem::take(&mut self.fresh);
        self.bytes = 0;
        let first = row.events.first().map_or(0, |event| event.at_micros);
        let at = Timestamp(first.max(self.held.last.0.saturating_add(1)));
        self.held.last = at;
        Row { task, at, row }
    }
}

/// An event within its row: its bytes, a tag and a length of at most two bytes.
pub(crate) fn framed_len(event: &TimelineEvent) -> usize {
    event.encoded_len().saturating_add(3)
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod timeline_tests;
