//! Files that hold secrets: whether they are there, and who else can read them.

use std::fs::Metadata;
use std::path::Path;

use quorate_node::keys::KeyKind;
use quorate_node::settings::Role;
use quorate_node::token_file;
use quorate_proto::Address;

use super::finding::Finding;
use crate::config::{key_store, text};
use crate::environment::{secret_variable, variable};
use crate::options::{RunOptions, expand_home};

pub(super) fn examine(options: &RunOptions, data_dir: &Path) -> Vec<Finding> {
    let mut findings: Vec<Finding> = wanted(options)
        .into_iter()
        .map(|(kind, which)| key(options, kind, which))
        .collect();
    if let Some(dir) = options
        .key_dir
        .as_deref()
        .and_then(|dir| expand_home(dir).ok())
    {
        findings.extend(folder(&dir));
    }
    if let Some(path) = super::path_of(options) {
        findings.push(secret_file("password file", &path));
    }
    findings.extend(tokens(data_dir));
    findings
}

/// The tokens in the data folder. A folder may hold those of several roles, if the node had another one
/// before.
fn tokens(data_dir: &Path) -> impl Iterator<Item = Finding> {
    Role::ALL
        .into_iter()
        .map(|role| (role, data_dir.join(token_file(role))))
        .filter(|(_, path)| path.exists())
        .map(|(role, path)| secret_file(&format!("{role} token"), &path))
}

/// The address of the signing key, as far as it can be told without its password.
pub(super) fn signing_key(options: &RunOptions) -> Option<Address> {
    if options.role != Some(Role::Operator) {
        return None;
    }
    let info = key_store(options)
        .ok()?
        .inspect(KeyKind::Signing, text(&options.signing_key));
    info.ok()?.public?.parse().ok()
}

/// The keys that the node will open.
fn wanted(options: &RunOptions) -> Vec<(KeyKind, &str)> {
    let mut wanted = vec![(KeyKind::Peer, text(&options.peer_key))];
    if options.role.is_some_and(|role| role != Role::Registry) {
        wanted.push((KeyKind::Signing, text(&options.signing_key)));
    }
    if options.pays_on_svm() {
        wanted.push((KeyKind::Ed25519, text(&options.svm_key)));
    }
    wanted
}

fn key(options: &RunOptions, kind: KeyKind, which: &str) -> Finding {
    let check = format!("{kind} key");
    if secret_variable(kind).is_some_and(|name| variable(name).is_some()) {
        return Finding::ok(check, "from the environment");
    }
    let inspected = key_store(options)
        .map_err(anyhow::Error::from)
        .and_then(|store| Ok(store.inspect(kind, which)?));
    match inspected {
        Ok(info) if info.kind != kind => {
            let found = format!("{} is a key of kind {}", info.path.display(), info.kind);
            Finding::error(check, found, "name the right file")
        }
        Ok(info) => secret_file(&check, &info.path),
        Err(error) => Finding::error(
            check,
            error,
            "make it with `node keys new`, or name another one",
        ),
    }
}

fn folder(dir: &Path) -> Option<Finding> {
    let metadata = std::fs::metadata(dir).ok()?;
    let shown = dir.display();
    Some(match mode(&metadata) & 0o022 {
        0 => Finding::ok("key folder", shown),
        _ => Finding::error(
            "key folder",
            format!("{shown} can be written by other users"),
            format!("chmod 700 {shown}"),
        ),
    })
}

fn secret_file(check: &str, path: &Path) -> Finding {
    let shown = path.display();
    match std::fs::metadata(path) {
        Err(error) => Finding::error(
            check,
            format!("cannot read {shown}: {error}"),
            "name a file that is there and that the node's user can read",
        ),
        Ok(metadata) if mode(&metadata) & 0o077 != 0 => Finding::error(
            check,
            format!(
                "{shown} is open to other users (mode {:o})",
                mode(&metadata)
            ),
            format!("chmod 600 {shown}"),
        ),
        Ok(_) => Finding::ok(check, shown),
    }
}

/// Permission bits; those of the owner alone where the system has no such thing.
#[cfg(unix)]
pub(super) fn mode(metadata: &Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o777
}

#[cfg(not(unix))]
pub(super) fn mode(_: &Metadata) -> u32 {
    0o600
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::finding::Level;
    use super::*;

    #[test]
    fn secrets_are_for_their_owner_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("password");
        assert_eq!(
            secret_file("x", &file).level,
            Level::Error,
            "it is not there"
        );
        std::fs::write(&file, "topsecret").expect("written");
        for (mode, level) in [
            (0o600, Level::Ok),
            (0o400, Level::Ok),
            (0o640, Level::Error),
            (0o604, Level::Error),
        ] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("set");
            let found = secret_file("x", &file);
            assert_eq!(found.level, level, "{mode:o}");
            assert!(!format!("{found:?}").contains("topsecret"));
        }
    }

    #[test]
    fn the_tokens_of_all_roles_are_examined() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(tokens(dir.path()).count(), 0);
        for role in [Role::Operator, Role::Registry] {
            let file = dir.path().join(token_file(role));
            std::fs::write(&file, "topsecret").expect("written");
            let open = std::fs::Permissions::from_mode(0o644);
            std::fs::set_permissions(&file, open).expect("set");
        }
        let levels: Vec<Level> = tokens(dir.path()).map(|found| found.level).collect();
        assert_eq!(levels, [Level::Error, Level::Error]);
    }
}
