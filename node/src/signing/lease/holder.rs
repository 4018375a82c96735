//! Which process this is, and whether the one that a lease names still runs.

use std::fs;

use quorate_proto::store::Lease;
use quorate_storage::Holder;

/// This process, under a name of its own for this start.
pub(crate) fn this_process(instance: [u8; 32]) -> Holder {
    let pid = std::process::id();
    Holder {
        instance,
        host: host(),
        pid,
        process: process(pid).unwrap_or_default(),
    }
}

/// Whether the holder of a lease runs; `None` where this machine cannot tell: it ran on another one,
/// before a restart of this one, or in another container.
pub(crate) fn runs(lease: &Lease) -> Option<bool> {
    let space = space()?;
    let (held_in, _) = lease.process.rsplit_once('/')?;
    // First of all: in containers every node is process 1.
    if held_in != space {
        return None;
    }
    if lease.pid == std::process::id() {
        // The lock of the store keeps two nodes of one process apart.
        return Some(false);
    }
    Some(process(lease.pid).is_some_and(|process| process == lease.process))
}

/// What tells a process from all others that have its number: where numbers are counted, and when it
/// was started. `None` where there is no such process any more.
fn process(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything; behind it the state comes first and the time of
    // the start twentieth.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let started = fields.nth(18)?;
    let over = matches!(state, "Z" | "X");
    (!over).then(|| Some(format!("{}/{started}", space()?)))?
}

/// In which processes are counted: this run of the machine, and this container.
fn space() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{}/{}", boot.trim(), namespace.display()))
}

fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

/// What a lease of that process says, for tests.
#[cfg(test)]
pub(super) fn of_process(pid: u32) -> String {
    process(pid).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease_of(pid: u32) -> Lease {
        Lease {
            pid,
            process: process(pid).unwrap(),
            ..Lease::default()
        }
    }

    #[test]
    fn a_process_is_known_until_it_ends() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let lease = lease_of(child.id());
        assert_eq!(runs(&lease), Some(true));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(runs(&lease), Some(false));
    }

    #[test]
    fn the_own_number_says_nothing_of_another_container() {
        let own = lease_of(std::process::id());
        assert_eq!(runs(&own), Some(false), "the lock keeps it apart");
        let elsewhere = Lease {
            process: "other-boot/pid:[1]/7".to_owned(),
            ..own
        };
        assert_eq!(runs(&elsewhere), None);
    }

    #[test]
    fn neither_number_nor_place_alone_make_a_process() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let lease = lease_of(child.id());
        let (place, started) = lease.process.rsplit_once('/').unwrap();
        let later = Lease {
            process: format!("{place}/{started}0"),
            ..lease.clone()
        };
        assert_eq!(runs(&later), Some(false), "another one with its number");
        for elsewhere in ["other-boot/pid:[1]/7", ""] {
            let lease = Lease {
                process: elsewhere.to_owned(),
                ..lease.clone()
            };
            assert_eq!(runs(&lease), None, "{elsewhere}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
