use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// All exit codes of the table.
pub(crate) const CODES: [i32; 11] = [0, 1, 2, 3, 4, 5, 6, 7, 64, 78, 130];
pub(crate) const REGISTRY: &str = "0x5FbDB2315678afecb367f032d93F642f64180aa3";

/// The program in a folder of its own, which is its home, without variables of ours.
pub(crate) struct Sandbox {
    pub(crate) dir: tempfile::TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("password"), "p\n").expect("written");
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("written");
        path.to_string_lossy().into_owned()
    }

    pub(crate) fn node(&self, line: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_node"));
        let ours = std::env::vars_os().map(|(name, _)| name);
        let ours = ours.filter(|name| name.to_string_lossy().starts_with("QUORATE_"));
        for name in ours {
            command.env_remove(name);
        }
        command
            .args(line)
            .current_dir(&self.dir)
            .stdin(Stdio::null());
        command.env("HOME", self.dir.path());
        command.env("QUORATE_PASSWORD_FILE", self.path("password"));
        command
    }

    pub(crate) fn run(&self, line: &[&str]) -> RunOutput {
        RunOutput::of(&self.node(line).output().expect("run"))
    }
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct RunOutput {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl RunOutput {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    /// The code, and parts of what stands on standard error.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for part in parts {
            assert!(self.err.contains(part), "{part:?} is missing: {self:?}");
        }
    }
}

/// A file of the corpora.
pub(crate) fn corpus(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    root.join(name).to_string_lossy().into_owned()
}
