//! What time does to the tasks of a pipeline, and how they leave it.

use std::collections::BTreeMap;

use quorate_proto::{Epoch, TaskId, Timestamp};

use super::entry::Entry;
use super::recent::Over;
use super::room::Origin;
use super::{Output, Pipeline};
use crate::task::{self, Report, Status};

impl Pipeline {
    pub(super) fn wake(&mut self, now: Timestamp) -> Vec<Output> {
        let mut outputs = Vec::new();
        while let Some((at, id)) = self.wakes.first().copied()
            && at <= now
        {
            self.wakes.remove(&(at, id));
            let Some(entry) = self.tasks.get_mut(&id) else {
                continue;
            };
            let consequences = entry.task.wake(now);
            self.wakes.insert((entry.task.next_wake(), id));
            outputs.extend(self.apply(now, id, consequences));
        }
        outputs
    }

    pub(super) fn epoch_ended(&mut self, now: Timestamp, epoch: Epoch) -> Vec<Output> {
        let of_epoch = |entry: &&Entry| entry.task.statement().epoch() == epoch;
        let over: BTreeMap<TaskId, Status> = self
            .tasks
            .values()
            .filter(of_epoch)
            .map(|entry| (entry.task.id(), entry.task.status()))
            .collect();
        let mut outputs = Vec::new();
        for (id, status) in over {
            let ended = match status {
                Status::Pending => vec![task::Output::Ended(Status::Expired), task::Output::Close],
                _ => vec![task::Output::Close],
            };
            outputs.extend(self.apply(now, id, ended));
        }
        outputs
    }

    pub(super) fn apply(
        &mut self,
        now: Timestamp,
        id: TaskId,
        consequences: Vec<task::Output>,
    ) -> Vec<Output> {
        let mut outputs = Vec::new();
        for consequence in consequences {
            let Some(entry) = self.tasks.get_mut(&id) else {
                break;
            };
            let task = &entry.task;
            match consequence {
                task::Output::Announce(attempt) => {
                    outputs.push(Output::Announce(task.statement().clone(), attempt));
                    outputs.extend(entry.ask_myself_again());
                }
                task::Output::Certified(certificate) => {
                    outputs.push(Output::Certified {
                        certificate,
                        publish: task.is_entry(),
                        learned: task.has_learned(),
                        after_micros: now.micros_since(task.started()),
                        clients: std::mem::take(&mut entry.clients),
                    });
                    if entry.own.contradicts() {
                        self.room.doubts.was_wrong();
                    }
                    if entry.origin != Origin::Own {
                        self.room.turn(entry.origin, Origin::Settled);
                        entry.origin = Origin::Settled;
                    }
                }
                task::Output::Ended(status) => {
                    let report = Report {
                        status,
                        ..task.report()
                    };
                    let clients = std::mem::take(&mut entry.clients);
                    // Not where its epoch ended before its time was up.
                    let had_its_time = now >= task.started().plus_millis(self.times.deadline);
                    if let Origin::Of(author) = entry.origin
                        && had_its_time
                        && entry.is_lonely()
                    {
                        self.room.doubts.failed(now, author);
                    }
                    outputs.push(Output::Ended { report, clients });
                }
                task::Output::Close => self.close(now, id),
            }
        }
        outputs
    }

    fn close(&mut self, now: Timestamp, id: TaskId) {
        let Some(entry) = self.tasks.remove(&id) else {
            return;
        };
        self.room.leave(entry.origin);
        self.wakes.remove(&(entry.task.next_wake(), id));
        let slot = entry.slot;
        if let Some(tasks) = self.slots.get_mut(&slot) {
            tasks.retain(|task| *task != id);
            if tasks.is_empty() {
                self.slots.remove(&slot);
            }
        }
        let over = Over {
            certified: entry.task.certificate().is_some(),
            signed: entry.own.signature(),
        };
        self.recent.insert(now, id, over);
    }
}
