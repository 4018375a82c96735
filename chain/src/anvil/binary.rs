//! Where the anvil binary is.

use std::env;
use std::path::{Path, PathBuf};

use super::AnvilError;

/// The packages that bring it, below the workspace.
const PACKAGES: &str = "chain/contracts/node_modules/@foundry-rs";

/// `ANVIL` if set; else what is in `PATH`; else what was installed with the contracts' tools in
/// this directory's workspace.
pub(super) fn find() -> Result<PathBuf, AnvilError> {
    let mut looked_at = Vec::new();
    let candidates = match env::var_os("ANVIL") {
        Some(path) => vec![PathBuf::from(path)],
        None => in_path().into_iter().chain(in_workspace()).collect(),
    };
    for candidate in candidates {
        if candidate.is_file() {
            return Ok(candidate);
        }
        looked_at.push(candidate.display().to_string());
    }
    Err(AnvilError::NotInstalled { looked_at })
}

fn in_path() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|folder| folder.join("anvil"))
        .filter(|file| file.is_file())
        .collect()
}

fn in_workspace() -> Vec<PathBuf> {
    let package = format!(
        "anvil-{}-{}",
        platform(env::consts::OS),
        platform(env::consts::ARCH)
    );
    let here = env::current_dir().unwrap_or_default();
    let roots = here
        .ancestors()
        .filter(|folder| folder.join("chain/contracts").is_dir());
    roots
        .map(|root| {
            root.join(Path::new(PACKAGES))
                .join(&package)
                .join("bin/anvil")
        })
        .collect()
}

/// The names that the packages use.
fn platform(name: &'static str) -> &'static str {
    match name {
        "macos" => "darwin",
        "windows" => "win32",
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
