//! One node as a process of its own, with its own folder.

use std::fs::File;
use std::net::{TcpListener, UdpSocket};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use quorate_node::api::{Health, Status, TaskReport};
use serde::de::DeserializeOwned;

use crate::wait;

/// How long a node may take to answer over HTTP after its start.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A node process. Killed when dropped.
pub struct NodeProcess {
    /// Its name in logs: `operator-0`, `registry-0`.
    pub name: String,
    /// Its folder: configuration, keys, store, log.
    pub dir: PathBuf,
    /// Where it takes requests, with its peer id.
    pub address: libp2p::Multiaddr,
    /// Its HTTP interface, as host and port.
    pub http: String,
    /// The Linux network namespace that it runs in, where that is not this program's own.
    pub namespace: Option<String>,
    child: Option<Child>,
}

/// Below those that systems give to outgoing connections (from 32768 on Linux): a port is still
/// free when its node starts, and when it starts again.
const PORTS: Range<u16> = 12_000..32_000;

/// Two free ports: for the mesh and for HTTP.
///
/// # Errors
/// No port is free.
pub fn free_ports() -> Result<[u16; 2]> {
    Ok([free_port()?, free_port()?])
}

/// Each process begins elsewhere and takes no port twice, so that networks of several processes
/// rarely look at the same.
fn free_port() -> Result<u16> {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(389);
    let count = u32::from(PORTS.end - PORTS.start);
    for _ in 0..count {
        let place = begin.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % count;
        let port = PORTS.start + u16::try_from(place)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok()
            && UdpSocket::bind(("127.0.0.1", port)).is_ok()
        {
            return Ok(port);
        }
    }
    bail!("none of the ports {PORTS:?} is free")
}

/// The `node` binary beside this program.
///
/// # Errors
/// It was not built.
pub fn node_binary() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let beside = own.ancestors().skip(1).take(2).map(|dir| dir.join("node"));
    beside
        .into_iter()
        .find(|path| path.is_file())
        .context("the node binary is not built; run `cargo build --workspace` first")
}

impl NodeProcess {
    /// A node whose folder holds `config.toml`. It does not run yet.
    #[must_use]
    pub const fn new(name: String, dir: PathBuf, address: libp2p::Multiaddr, http: String) -> Self {
        Self {
            name,
            dir,
            address,
            http,
            namespace: None,
            child: None,
        }
    }

    /// The same in a network namespace.
    #[must_use]
    pub fn within(mut self, namespace: Option<String>) -> Self {
        self.namespace = namespace;
        self
    }

    /// Starts the process; its output goes to `node.log` in its folder.
    ///
    /// # Errors
    /// The binary is missing, or the process runs already.
    pub fn start(&mut self) -> Result<()> {
        self.start_with(&[])
    }

    /// Starts the process with more arguments.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(&mut self, more: &[&str]) -> Result<()> {
        let binary = node_binary()?;
        let command = match &self.namespace {
            // Becomes the node: `ip` replaces itself, so the process id is the node's.
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(binary);
                command
            }
            None => Command::new(binary),
        };
        self.spawn(command, more)
    }

    /// Starts the process by a shell that does `first` before, such as setting a limit.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_after(&mut self, first: &str) -> Result<()> {
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(format!("{first}; exec \"$0\" \"$@\""))
            .arg(node_binary()?);
        self.spawn(shell, &[])
    }

    fn spawn(&mut self, mut command: Command, more: &[&str]) -> Result<()> {
        if self.child.is_some() {
            bail!("{} runs already", self.name);
        }
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())?;
        let child = command
            .arg("--config")
            .arg(self.dir.join("config.toml"))
            .args(more)
            .env("QUORATE_PASSWORD", crate::network::PASSWORD)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} does not start", self.name))?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until the node is healthy.
    ///
    /// # Errors
    /// It ended, or has problems after 20 s; with the end of its log.
    pub async fn ready(&mut self) -> Result<()> {
        let deadline = tokio::time::Instant::now() + START_TIMEOUT;
        loop {
            if let Some(status) = self.exited()? {
                bail!("{} ended with {status}:\n{}", self.name, self.log_tail());
            }
            let health = self.get::<Health>("/health").await;
            match health {
                Ok(health) if health.ok => return Ok(()),
                _ if tokio::time::Instant::now() < deadline => wait::tick().await,
                Ok(health) => bail!("{} is not healthy: {:?}", self.name, health.problems),
                Err(error) => bail!(
                    "{} does not answer: {error:#}\n{}",
                    self.name,
                    self.log_tail()
                ),
            }
        }
    }

    /// `GET` of a JSON page.
    ///
    /// # Errors
    /// No answer, or another form than expected.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let body = self.get_text(path).await?;
        serde_json::from_str(&body).with_context(|| format!("{path} of {}: {body}", self.name))
    }

    /// `GET` of any page.
    ///
    /// # Errors
    /// No answer within 5 s.
    pub async fn get_text(&self, path: &str) -> Result<String> {
        crate::http::get(&self.http, path).await
    }

    /// `GET /status`.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn status(&self) -> Result<Status> {
        self.get("/status").await
    }

    /// `GET /tasks/{id}`.
    ///
    /// # Errors
    /// As [`Self::get`]; also where the task is not known.
    pub async fn task(&self, id: &str) -> Result<TaskReport> {
        self.get(&format!("/tasks/{id}")).await
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// The process does not run.
    pub fn memory(&self) -> Result<u64> {
        let pid = self.pid().context("not running")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .context("no VmRSS")?;
        let kib: u64 = line
            .split_whitespace()
            .nth(1)
            .context("no figure")?
            .parse()?;
        Ok(kib * 1024)
    }

    /// Time that it has had on a processor.
    ///
    /// # Errors
    /// The process does not run.
    pub fn cpu(&self) -> Result<Duration> {
        cpu_of(self.pid().context("not running")?)
    }

    /// Process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// kill -9, and waits for the end.
    ///
    /// # Errors
    /// The process does not run.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("not running")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Stops it in the middle of whatever it does (SIGSTOP): it is there, and does nothing.
    ///
    /// # Errors
    /// The process does not run.
    pub fn pause(&self) -> Result<()> {
        self.signal("STOP")
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// The process does not run.
    pub fn resume(&self) -> Result<()> {
        self.signal("CONT")
    }

    fn signal(&self, name: &str) -> Result<()> {
        let pid = self.pid().context("not running")?.to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status()?;
        ensure!(sent.success(), "no signal {name} for {}", self.name);
        Ok(())
    }

    /// Asks it to stop (SIGTERM) and waits for its exit status.
    ///
    /// # Errors
    /// It did not end within 30 s.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        self.signal("TERM")?;
        self.ended(Duration::from_secs(30)).await
    }

    /// Waits for the process to end by itself.
    ///
    /// # Errors
    /// It still runs after `timeout`.
    pub async fn ended(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let deadline = tokio::time::Instant::now() + timeout;
        loop {
            if let Some(status) = self.exited()? {
                return Ok(status);
            }
            if tokio::time::Instant::now() > deadline {
                bail!("{} still runs", self.name);
            }
            wait::tick().await;
        }
    }

    /// Its exit status, if it has ended by itself.
    ///
    /// # Errors
    /// It was not started.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        let Some(child) = &mut self.child else {
            bail!("{} does not run", self.name);
        };
        let status = child.try_wait()?;
        if status.is_some() {
            self.child = None;
        }
        Ok(status)
    }

    /// Where its output goes.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.dir.join("node.log")
    }

    /// The last lines of its output.
    #[must_use]
    pub fn log_tail(&self) -> String {
        tail(&self.log_path(), 30)
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        if self.child.is_some() {
            let _ = self.kill();
        }
    }
}

/// Time that a process has had on a processor, in hundredths of a second as Linux counts it.
///
/// # Errors
/// There is no such process.
pub fn cpu_of(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name may hold spaces; after it come state, eleven other fields, and the times.
    let (_, fields) = stat.rsplit_once(')').context("no name")?;
    let times = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = times.map(str::parse::<u64>).sum::<Result<_, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}

fn tail(path: &Path, lines: usize) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
