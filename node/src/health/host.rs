//! How the machine fares on which a node runs.

use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit};

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

/// Files below which a node cannot hold the connections that a network needs.
const FEW_FILES: u64 = 1_024;
/// What a node raises its own limit to, where it may: connections of the mesh and the files of the store.
const WANTED_FILES: u64 = 65_536;

impl Sample {
    /// Why files and connections of this process may not suffice, and what to do.
    #[must_use]
    pub fn few_files(&self) -> Option<String> {
        let (open, limit) = (self.open_files?, self.open_files_limit?);
        let cure =
            "allow more (LimitNOFILE=65536 in a unit file, ulimits in a compose file) and restart";
        if limit < FEW_FILES {
            return Some(format!(
                "this process may have {limit} files and connections open, which is too few for a node: {cure}"
            ));
        }
        let is_near = open.saturating_mul(10) > limit.saturating_mul(9);
        is_near.then(|| {
            format!(
                "{open} files and connections are open, of {limit} that this process may have: {cure}"
            )
        })
    }
}

/// Files and connections that this process may have open; `None` without a limit.
#[must_use]
pub fn open_files_limit() -> Option<u64> {
    rustix::process::getrlimit(Resource::Nofile).current
}

/// Raises that limit as far as the system lets this process, and a node needs.
///
/// # Errors
/// The system's.
pub fn raise_open_files_limit() -> std::io::Result<()> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let (Some(current), maximum) = (limit.current, limit.maximum) else {
        return Ok(());
    };
    let wanted = maximum.map_or(WANTED_FILES, |most| most.min(WANTED_FILES));
    if wanted > current {
        let current = Some(wanted);
        rustix::process::setrlimit(Resource::Nofile, Rlimit { current, maximum })?;
    }
    Ok(())
}

/// Looks at this process, and at the file system of `data_dir`. Blocks as long as that does.
#[must_use]
pub fn sample(data_dir: &Path) -> Sample {
    let disk = nearest(data_dir).and_then(|dir| rustix::fs::statvfs(&dir).ok());
    let blocks = |count: u64, size: u64| count.saturating_mul(size);
    Sample {
        memory: memory(),
        open_files: open_files(),
        open_files_limit: open_files_limit(),
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
    fn few_files_are_told_with_the_cure() {
        let sample = |open, limit| Sample {
            open_files: Some(open),
            open_files_limit: Some(limit),
            ..Sample::default()
        };
        assert_eq!(Sample::default().few_files(), None);
        assert_eq!(sample(900, 1_024).few_files(), None);
        for (open, limit) in [(60, 256), (930, 1_024), (60_000, 65_536)] {
            let told = sample(open, limit).few_files().expect("too few");
            assert!(told.contains("LimitNOFILE") && told.contains(&limit.to_string()));
        }
    }

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
