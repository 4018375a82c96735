//! A disk that is full.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use quorate_testnet::LocalNetwork;

use crate::support::audit::Audit;
use crate::support::load::Load;
use crate::support::test_peer::TestPeer;
use crate::support::{Outcome, joined, staked, turn};

/// The operator whose disk is full; the others do without it.
const VICTIM: usize = 4;

/// A file system of its own.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Result<Self> {
        std::fs::create_dir_all(at)?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"])
            .arg(at)
            .status()?;
        ensure!(mounted.success(), "mount ended with {mounted}");
        Ok(Self(at.to_owned()))
    }

    /// Leaves this many bytes.
    fn fill_up(&self, left: usize) -> Result<PathBuf> {
        let path = self.0.join("filler");
        let mut file = File::create(&path)?;
        let block = [1; 1 << 16];
        while file.write_all(&block).is_ok() {}
        let size = usize::try_from(file.metadata()?.len())?;
        file.set_len(size.saturating_sub(left) as u64)?;
        Ok(path)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

async fn network_and_witness(dir: &Path) -> Result<(LocalNetwork, TestPeer)> {
    let mut network = LocalNetwork::prepare(staked(&[20, 20, 20, 20, 10]), dir).await?;
    network.start_nodes().await?;
    let witness = TestPeer::new(&network.deployment.domain().network(), 71)?;
    Ok((network, witness))
}

/// Under load until the victim ends by itself: with the code and the words for its store. Nothing
/// that it signed is missing in what it wrote.
async fn ends_in_good_order(
    network: &mut LocalNetwork,
    witness: &TestPeer,
    phrases: &[&str],
    clear: impl FnOnce() -> Result<()>,
) -> Outcome {
    network.operators[VICTIM].ready().await?;
    joined(network, &network.operators[VICTIM]).await?;
    witness.meet(&network.operators[VICTIM]).await?;
    witness.meet(&network.operators[0]).await?;
    let load = Load::start(network, &[0, VICTIM], 16).await?;
    let status = network.operators[VICTIM]
        .ended(Duration::from_secs(40))
        .await?;
    let log = network.operators[VICTIM].log_tail();
    ensure!(status.code() == Some(3), "{status}: {log}");
    let last = log
        .lines()
        .rev()
        .find(|line| line.contains("error: "))
        .context("no error in the log")?;
    for phrase in phrases {
        ensure!(last.contains(phrase), "{phrase:?} is missing: {log}");
    }
    load.goes_on(50).await?;
    let result = load.finish().await;
    ensure!(
        result.failures.iter().all(|(entry, _)| *entry == VICTIM),
        "{:?}",
        result.failures
    );

    clear()?;
    let mut audit = Audit::default();
    witness
        .responses()?
        .iter()
        .for_each(|response| audit.response(response));
    result
        .answers
        .iter()
        .for_each(|delivered| audit.certificate(&delivered.answer.certificate));
    let compared = audit.against_log(network, VICTIM)?;
    ensure!(compared > 0, "the victim signed nothing before");
    println!("{compared} signatures of the victim compared with its log");
    // With room again it starts where it stopped.
    network.operators[VICTIM].start()?;
    network.operators[VICTIM].ready().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, to mount a small file system"]
async fn a_full_disk_ends_a_node_before_it_signs_what_it_cannot_record() -> Outcome {
    let _turn = turn().await;
    let dir = tempfile::tempdir()?;
    let disk = SmallDisk::mount(&dir.path().join("operator-4/data"))?;
    let (mut network, witness) = network_and_witness(dir.path()).await?;
    let status = network.operators[VICTIM].stop().await?;
    ensure!(status.success(), "{status}");
    let filler = disk.fill_up(1 << 20)?;
    network.operators[VICTIM].start()?;
    let phrases = ["no space left", "free space on the disk of the --data-dir"];
    let clear = || Ok(std::fs::remove_file(&filler)?);
    ends_in_good_order(&mut network, &witness, &phrases, clear).await?;
    network.operators[VICTIM].kill()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_fails_ends_a_node_too() -> Outcome {
    let _turn = turn().await;
    let dir = tempfile::tempdir()?;
    let (mut network, witness) = network_and_witness(dir.path()).await?;
    let status = network.operators[VICTIM].stop().await?;
    ensure!(status.success(), "{status}");
    std::fs::remove_file(network.operators[VICTIM].log_path())?;
    // In blocks of 512 bytes: 300 kB per file. Ignored, the signal becomes an error of the write.
    network.operators[VICTIM].start_after("trap '' XFSZ; ulimit -f 600")?;
    let phrases = ["File too large", "check the disk"];
    ends_in_good_order(&mut network, &witness, &phrases, || Ok(())).await
}
