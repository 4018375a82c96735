//! What the fuzzer once found, or was given to begin with, in every run of the tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::fuzzed::CHECKS;

/// All of a corpus is read in a moment, and kept in the repository.
const MAX_FILES: usize = 512;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let list = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = list.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

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

#[test]
fn every_check_is_a_fuzz_target() {
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).expect("a manifest");
    let targets: BTreeSet<String> = entries(&folder().join("fuzz_targets"))
        .iter()
        .map(|path| {
            path.file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    for (name, _) in CHECKS {
        assert!(targets.contains(*name), "fuzz_targets/{name}.rs");
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "a [[bin]] {name}"
        );
    }
}
