//! The disk of the store: whether it can be written, how fast it syncs, how much is free.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use quorate_node::host;

use super::finding::{Finding, Level};
use crate::format;

/// Writes that are timed, of the size of a page, and the time after which there are enough of them.
const WRITES: usize = 64;
const PAGE: [u8; 4_096] = [0x5a; 4_096];
const LONG_ENOUGH: Duration = Duration::from_secs(3);

/// A sync that a signature waits for: 3 s is the time to answer, and many share one sync.
const SLOW: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(200)];

const GIB: u64 = 1 << 30;
/// Free bytes below which an operator of the machine should make room, and below which the node is about to end.
const FREE: [u64; 2] = [5 * GIB, GIB / 2];

pub(super) fn examine(data_dir: &Path) -> Vec<Finding> {
    let mut findings = vec![folder(data_dir), free(data_dir)];
    if let Some(dir) = nearest(data_dir) {
        findings.push(sync(&dir));
    }
    findings
}

/// The folder, or what will hold it once it is made.
fn nearest(dir: &Path) -> Option<PathBuf> {
    dir.ancestors()
        .find(|dir| dir.is_dir())
        .map(Path::to_path_buf)
}

fn folder(dir: &Path) -> Finding {
    let check = "data folder";
    let shown = dir.display();
    let Ok(metadata) = std::fs::metadata(dir) else {
        return Finding::ok(check, format!("{shown} is not there yet"));
    };
    if !metadata.is_dir() {
        return Finding::error(
            check,
            format!("{shown} is no folder"),
            "set another data_dir",
        );
    }
    match super::keys::mode(&metadata) & 0o022 {
        0 => Finding::ok(check, shown),
        _ => Finding::error(
            check,
            format!("{shown} can be written by other users"),
            format!(
                "chmod go-w {shown}: who replaces the store makes the node forget what it signed"
            ),
        ),
    }
}

fn free(dir: &Path) -> Finding {
    let check = "free disk";
    let sample = host::sample(dir);
    let Some(free) = sample.disk_free else {
        let found = "the system does not say how much is free";
        return Finding::warning(check, found, "look for yourself: df -h");
    };
    let level = match free {
        free if free < FREE[1] => Level::Error,
        free if free < FREE[0] => Level::Warning,
        _ => Level::Ok,
    };
    let total = sample
        .disk_total
        .map_or_else(String::new, |total| format!(" of {}", format::bytes(total)));
    let found = format!("{}{total}", format::bytes(free));
    Finding::at(
        level,
        check,
        found,
        "make room, or move data_dir to a larger disk: a node that cannot write ends",
    )
}

fn sync(dir: &Path) -> Finding {
    let check = "sync to disk";
    let cure = "use a local SSD for data_dir: every signature waits for a sync";
    let mut times = match measure(dir) {
        Ok(times) => times,
        Err(error) => {
            let found = format!("cannot write in {}: {error}", dir.display());
            return Finding::error(
                check,
                found,
                "give the node's user a data_dir that it can write, with room",
            );
        }
    };
    times.sort_unstable();
    let at = |part: usize| {
        times
            .get(times.len().saturating_sub(1) * part / 100)
            .copied()
    };
    let (median, worst) = (at(50).unwrap_or_default(), at(100).unwrap_or_default());
    let shown = |time: Duration| format::millis(time.as_secs_f64() * 1_000.0);
    let found = format!(
        "median {}, worst {} of {}",
        shown(median),
        shown(worst),
        times.len()
    );
    Finding::at(Finding::graded(&median, SLOW), check, found, cure)
}

/// How long each write with its sync took, in a temporary file.
fn measure(dir: &Path) -> std::io::Result<Vec<Duration>> {
    let mut file = tempfile::tempfile_in(dir)?;
    let began = Instant::now();
    let mut times = Vec::with_capacity(WRITES);
    while times.len() < WRITES && (times.is_empty() || began.elapsed() < LONG_ENOUGH) {
        let write = Instant::now();
        file.write_all(&PAGE)?;
        file.sync_data()?;
        times.push(write.elapsed());
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_disk_and_one_that_cannot_be_written() {
        let dir = tempfile::tempdir().expect("a folder");
        let found = examine(&dir.path().join("data"));
        assert_eq!(found[0].level, Level::Ok, "{found:?}");
        assert!(found[2].found.starts_with("median "), "{found:?}");
        assert_eq!(
            std::fs::read_dir(dir.path()).expect("read").count(),
            0,
            "nothing is left"
        );
        let none = sync(Path::new("/proc/self"));
        assert_eq!(none.level, Level::Error, "{none:?}");
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_others_can_write_is_told() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("a folder");
        for (mode, level) in [
            (0o700, Level::Ok),
            (0o755, Level::Ok),
            (0o775, Level::Error),
            (0o757, Level::Error),
        ] {
            let set = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(dir.path(), set).expect("set");
            assert_eq!(folder(dir.path()).level, level, "{mode:o}");
        }
    }
}
