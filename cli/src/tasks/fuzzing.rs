//! What must hold for whatever a node tells about tasks.

use quorate_node::api::{LiveLine, TaskLine, Timeline};

use super::{live, render, task_table};

/// A timeline, a line of what happens, or a list of tasks.
pub fn explain(bytes: &[u8]) {
    if let Ok(timeline) = serde_json::from_slice::<Timeline>(bytes) {
        assert!(!render(&timeline).is_empty());
    }
    if let Ok(line) = serde_json::from_slice::<LiveLine>(bytes) {
        assert!(!live::shown(&line).is_empty());
    }
    if let Ok(lines) = serde_json::from_slice::<Vec<TaskLine>>(bytes) {
        assert!(task_table(&lines).to_string().lines().count() > lines.len());
    }
}
