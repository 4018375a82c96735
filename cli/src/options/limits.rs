//! What others may have of a node.

use std::time::Duration;

use quorate_node::settings::{Limits, RequestLimits, Totals};

use super::RunOptions;
use super::settings::Checker;

impl Checker {
    pub(super) fn limits(&mut self, options: &RunOptions) -> Limits {
        let usual = Limits::default();
        let idle = options.stream_idle_ms.map(Duration::from_millis);
        if idle.is_some_and(|idle| idle.is_zero()) {
            self.problem("stream_idle_ms", "must be above 0; 600000 is usual");
        }
        let mut count = |key, value, usual| self.above_zero(key, value, usual);
        Limits {
            range_connections: count(
                "range_connections",
                options.range_connections,
                usual.range_connections,
            ),
            limit_local_ranges: options
                .limit_local_ranges
                .unwrap_or(usual.limit_local_ranges),
            mesh: Totals {
                messages: count(
                    "mesh_messages_per_second",
                    options.mesh_messages_per_second,
                    usual.mesh.messages,
                ),
                entries: count(
                    "mesh_entries_per_second",
                    options.mesh_entries_per_second,
                    usual.mesh.entries,
                ),
                tasks: count(
                    "mesh_tasks_per_second",
                    options.mesh_tasks_per_second,
                    usual.mesh.tasks,
                ),
            },
            requests: self.requests(options),
            stream_idle: idle.unwrap_or(usual.stream_idle),
        }
    }

    fn requests(&mut self, options: &RunOptions) -> RequestLimits {
        let usual = RequestLimits::default();
        let mut count = |key, value, usual| self.above_zero(key, value, usual);
        RequestLimits {
            user_per_second: count(
                "user_requests_per_second",
                options.user_requests_per_second,
                usual.user_per_second,
            ),
            user_under_way: count("user_requests", options.user_requests, usual.user_under_way),
            range_per_second: count(
                "range_requests_per_second",
                options.range_requests_per_second,
                usual.range_per_second,
            ),
            range_under_way: count(
                "range_requests",
                options.range_requests,
                usual.range_under_way,
            ),
            range_tasks_per_day: count(
                "range_tasks_per_day",
                options.range_tasks_per_day,
                usual.range_tasks_per_day,
            ),
        }
    }

    fn above_zero(&mut self, key: &str, value: Option<u32>, usual: u32) -> u32 {
        if value == Some(0) {
            self.problem(key, format!("0 would shut out all; {usual} is usual"));
        }
        value.unwrap_or(usual)
    }
}
