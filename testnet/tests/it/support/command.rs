//! Programs that are run to their end.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use quorate_testnet::network::PASSWORD;
use quorate_testnet::process::node_binary;
use quorate_testnet::{NodeProcess, wait};

/// How a program ended.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    /// Its exit code; `None` after a signal.
    pub(crate) code: Option<i32>,
    /// Its standard output.
    pub(crate) stdout: String,
    /// Its standard error.
    pub(crate) stderr: String,
}

impl CommandOutput {
    /// Its exit code is `code`, and all of `phrases` stand in what it said.
    pub(crate) fn says(self, code: i32, phrases: &[&str]) -> Result<Self> {
        ensure!(
            self.code == Some(code),
            "exit code {code} was expected: {self:#?}"
        );
        for phrase in phrases {
            let said = self.stdout.contains(phrase) || self.stderr.contains(phrase);
            ensure!(said, "{phrase:?} was expected: {self:#?}");
        }
        Ok(self)
    }
}

/// Runs `node` with these arguments.
pub(crate) async fn node(args: &[&str]) -> Result<CommandOutput> {
    run(&node_binary()?, args).await
}

/// Starts a second process with a node's configuration, which must end by itself.
pub(crate) async fn second(of: &NodeProcess, more: &[&str]) -> Result<CommandOutput> {
    let config = of.dir.join("config.toml");
    let config = config.to_str().context("a path that is no text")?;
    node(&[&["--config", config], more].concat()).await
}

/// Runs a program for at most 40 s.
pub(crate) async fn run(program: &Path, args: &[&str]) -> Result<CommandOutput> {
    let (stdout, stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let mut child = Command::new(program)
        .args(args)
        .env("QUORATE_PASSWORD", PASSWORD)
        .stdin(Stdio::null())
        .stdout(stdout.try_clone()?)
        .stderr(stderr.try_clone()?)
        .spawn()
        .with_context(|| format!("{} does not run", program.display()))?;
    let what = format!("the end of {} {}", program.display(), args.join(" "));
    let ended = wait::until(&what, Duration::from_secs(40), || {
        std::future::ready(child.try_wait().ok().flatten())
    });
    let status = match ended.await {
        Ok(status) => status,
        Err(error) => {
            child.kill()?;
            child.wait()?;
            return Err(error.context(text_of(stderr)?));
        }
    };
    Ok(CommandOutput {
        code: status.code(),
        stdout: text_of(stdout)?,
        stderr: text_of(stderr)?,
    })
}

fn text_of(mut file: File) -> Result<String> {
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    Ok(text)
}
