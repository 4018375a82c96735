//! Runs the corpora over the checks of a crate, and looks that each check is a fuzz target and each
//! target a check. A part of the unit tests of every crate that has a module `fuzzing`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::CHECKS;

/// All of a corpus is read in a moment, and kept in the repository.
const MAX_FILES: usize = 512;

/// What the fuzzer once found, or was given to begin with.
#[test]
fn every_corpus_passes_its_checks() {
    for (name, check) in CHECKS {
        let files = entries(&folder().join("corpus").join(name));
        assert!(!files.is_empty(), "{name} has a corpus");
        assert!(
            files.len() <= MAX_FILES,
            "minimize the corpus of {name}: cargo fuzz cmin {name}"
        );
        for file in files {
            println!("{}", file.display());
            check(&fs::read(&file).expect("a file"));
        }
    }
}

/// A target is a file that calls the check of its name, and has its place in the manifest.
#[test]
fn every_check_is_a_fuzz_target() {
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).expect("a manifest");
    let module = format!("{}::fuzzing::", env!("CARGO_PKG_NAME").replace('-', "_"));
    let names: BTreeSet<String> = CHECKS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut targets = BTreeSet::new();
    for file in entries(&folder().join("fuzz_targets")) {
        let name = file.file_stem().expect("a name").to_string_lossy();
        let text = fs::read_to_string(&file).expect("a file");
        if text.contains(&module) {
            assert!(
                text.contains(&format!("{module}{name}(bytes)")),
                "{name}.rs calls its own check"
            );
            assert!(
                manifest.contains(&format!("name = \"{name}\"\n")),
                "a [[bin]] {name}"
            );
            targets.insert(name.into_owned());
        }
    }
    assert_eq!(targets, names, "targets of this crate, and its checks");
}

fn folder() -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut folders = crates.map(|folder| folder.join("fuzz"));
    folders
        .find(|folder| folder.is_dir())
        .expect("the folder fuzz")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let list = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = list.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}
