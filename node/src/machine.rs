//! How the machine fares on which a node runs.

use std::path::{Path, PathBuf};

use rustix::process::Resource;

/// What a process takes, and what is left for it. A figure is `None` where the system does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Resident memory of this process, bytes.
    pub memory: Option<u64>,
    /// Files and connections that this process has open.
    pub open_files: Option<u64>,
    /// How many it may have open.
    pub open_files_limit: Option<u64>,
    /// Bytes that are free for the data folder.
    pub disk_free: Option<u64>,
    /// Bytes of its file system.
    pub disk_total: Option<u64>,
}

/// Looks at this process, and at the file system of `data_dir`. Blocks as long as that does.
#[must_use]
pub fn sample(data_dir: &Path) -> Sample {
    let disk = nearest(data_dir).and_then(|dir| rustix::fs::statvfs(&dir).ok());
    let blocks = |count: u64, size: u64| count.saturating_mul(size);
    Sample {
        memory: memory(),
        open_files: open_files(),
        open_files_limit: rustix::process::getrlimit(Resource::Nofile).current,
        disk_free: disk
            .as_ref()
            .map(|disk| blocks(disk.f_bavail, disk.f_frsize)),
        disk_total: disk
            .as_ref()
            .map(|disk| blocks(disk.f_blocks, disk.f_frsize)),
    }
}

/// The folder itself, or what will hold it once it is made.
fn nearest(dir: &Path) -> Option<PathBuf> {
    let there = |dir: &&Path| dir.is_dir();
    let found = dir.ancestors().find(there);
    found.map(Path::to_path_buf)
}

fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1_024)
}

fn open_files() -> Option<u64> {
    let entries = std::fs::read_dir("/proc/self/fd").ok()?;
    u64::try_from(entries.count()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_of_this_machine() {
        let dir = tempfile::tempdir().expect("a folder");
        let sample = sample(&dir.path().join("not/made/yet"));
        let free = sample.disk_free.expect("known");
        assert!(
            free > 0 && free <= sample.disk_total.expect("known"),
            "{sample:?}"
        );
        if cfg!(target_os = "linux") {
            assert!(sample.memory.expect("known") > 1_000_000, "{sample:?}");
            assert!(sample.open_files.expect("known") > 2, "{sample:?}");
        }
    }
}
