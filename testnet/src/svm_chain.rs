//! A local SVM chain with the bridge's program, and the home chain's bridge opened to it: native coin is locked there,
//! minted here, burned here and released there.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes};
use anyhow::{Context, Result, bail, ensure};
use quorate_chain::contracts::{Bridge, send};
use quorate_node::RouteText;
use quorate_proto::{OperatorSet, Route};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::Deployment;
use crate::bridges::{LIFETIME, now, open, wei};
use crate::deployment::HOME_CHAIN;
use crate::keys::svm_account;

/// Its id in the directory of chains.
pub const SVM_CHAIN: u64 = 91_024;

/// Until the chain answers.
const START: Duration = Duration::from_secs(20);
/// Most that is minted or burned at once, and in a day: units of the wire.
const LIMIT: u64 = 1_000_000_000_000;
/// Relayers that get coin for their fees.
const RELAYERS: usize = 4;

/// A running chain. Ends when it is dropped.
pub struct SvmChain {
    /// Where each of its providers answers.
    pub rpc: Vec<String>,
    /// In base58, what every provider calls the chain.
    pub genesis: String,
    /// It runs until this is closed.
    _input: ChildStdin,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Started {
    providers: Vec<StartedProvider>,
    genesis_hash: String,
}

#[derive(Deserialize)]
struct StartedProvider {
    http: String,
}

/// The program on the chain, and what it mints.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Installed {
    program: B256,
    user: B256,
    mints: [B256; 1],
}

/// The two ends of the bridge.
pub struct SvmBridge {
    /// The chain with the program on it.
    pub chain: SvmChain,
    /// Holds what it mints, and sends.
    pub user: B256,
    home: Address,
    program: B256,
    mint: B256,
}

fn script(name: &str) -> Result<PathBuf> {
    let here = std::env::current_dir()?;
    let mut roots = here.ancestors();
    let root = roots.find(|folder| folder.join("testnet/svm").is_dir());
    let root = root.context("run this in the repository: testnet/svm is needed")?;
    let modules = root.join("testnet/svm/node_modules/litesvm");
    ensure!(
        modules.is_dir(),
        "the local SVM chain is not installed; run `make svm-tools`"
    );
    Ok(root.join("testnet/svm").join(name))
}

impl SvmChain {
    /// Starts one with so many providers. Blocks of 400 ms are confirmed by one more, and final after four.
    ///
    /// # Errors
    /// No Node, its packages are missing, or it does not answer.
    pub async fn start(providers: usize) -> Result<Self> {
        let mut process = Command::new("node")
            .arg(script("server.mjs")?)
            .args(["--finalized", "4", "--until-stdin-ends", "--providers"])
            .arg(providers.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run node; `make svm-tools` says what is missing")?;
        let input = process.stdin.take().context("no input")?;
        let output = process.stdout.take().context("no output")?;
        let first = spawn_blocking(move || BufReader::new(output).lines().next());
        let line = tokio::time::timeout(START, first).await;
        let line = line.context("the local SVM chain does not answer")??;
        let line = line.context("the local SVM chain has ended")??;
        let started: Started = serde_json::from_str(&line)?;
        Ok(Self {
            rpc: started.providers.into_iter().map(|p| p.http).collect(),
            genesis: started.genesis_hash,
            _input: input,
        })
    }

    /// Has the script do one thing there.
    async fn run(&self, command: &str, mut input: Value) -> Result<Value> {
        input["url"] = json!(self.rpc.first());
        input["chain"] = json!(SVM_CHAIN);
        let mut process = Command::new("node")
            .arg(script("bridge.mjs")?)
            .arg(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stdin = process.stdin.take().context("no input")?;
        stdin.write_all(input.to_string().as_bytes())?;
        drop(stdin);
        let done = spawn_blocking(|| process.wait_with_output()).await??;
        if !done.status.success() {
            bail!("{}", String::from_utf8_lossy(&done.stderr).trim());
        }
        Ok(serde_json::from_slice(&done.stdout)?)
    }
}

impl SvmBridge {
    /// Installs the program with a first set, and opens it and the home chain's bridge to each other.
    ///
    /// # Errors
    /// As [`SvmChain::start`]; a transaction that failed.
    pub(crate) async fn deploy(
        deployment: &Deployment,
        first: &OperatorSet,
        lifetime: u64,
        owner: Address,
    ) -> Result<Self> {
        let chain = SvmChain::start(1).await?;
        let bridges = deployment.bridges.context("no bridge at home")?;
        let members = first.members().iter().map(|member| {
            json!({
                "operator": member.address,
                "key": member.signing_key,
                "weight": member.weight.to_string(),
            })
        });
        let input = json!({
            "domain": deployment.domain().separator(),
            "lifetime": lifetime,
            "set": {
                "epoch": first.epoch().0,
                "time": first.fixed_at(),
                "members": members.collect::<Vec<_>>(),
            },
            "peers": [{
                "chain": HOME_CHAIN,
                "contract": bridges.home.into_word(),
                "remote": B256::ZERO,
                "unit": 1,
                "limit": LIMIT,
            }],
            "payers": (0..RELAYERS).map(svm_account).collect::<Vec<_>>(),
        });
        let installed: Installed = serde_json::from_value(chain.run("setup", input).await?)?;
        let [mint] = installed.mints;
        let peer = (SVM_CHAIN, installed.program, mint);
        open(&deployment.home, bridges.home, peer, owner).await?;
        Ok(Self {
            chain,
            user: installed.user,
            home: bridges.home,
            program: installed.program,
            mint,
        })
    }

    /// From the home chain, and to it.
    #[must_use]
    pub fn route(&self, to_home: bool) -> Route {
        let (home, program) = (self.home.into_word(), self.program);
        match to_home {
            true => Route {
                source_chain: SVM_CHAIN,
                source_contract: program,
                target_chain: HOME_CHAIN,
                target_contract: home,
            },
            false => Route {
                source_chain: HOME_CHAIN,
                source_contract: home,
                target_chain: SVM_CHAIN,
                target_contract: program,
            },
        }
    }

    /// Both routes, as nodes are told of them.
    #[must_use]
    pub fn routes(&self) -> [String; 2] {
        [true, false].map(|to_home| {
            let route = self.route(to_home);
            RouteText {
                route,
                first_block: 0,
            }
            .to_string()
        })
    }

    /// Locks native coin at home, in units of the wire, for a wallet here.
    ///
    /// # Errors
    /// The contract refuses.
    pub async fn send(
        &self,
        deployment: &Deployment,
        sender: Address,
        (receiver, units): (B256, u64),
    ) -> Result<()> {
        let bridge = Bridge::new(self.home, deployment.home.provider());
        let call = bridge.send(
            SVM_CHAIN,
            self.program,
            Address::ZERO,
            wei(units),
            Bytes::copy_from_slice(receiver.as_slice()),
            now(&deployment.home).await? + LIFETIME,
        );
        let sent = send(call.from(sender).value(wei(units))).await?;
        ensure!(sent.get_receipt().await?.status(), "the bridge refuses");
        Ok(())
    }

    /// Burns what the user holds, in units of the wire, for an account at home.
    ///
    /// # Errors
    /// The program refuses.
    pub async fn send_back(
        &self,
        deployment: &Deployment,
        (receiver, units): (Address, u64),
    ) -> Result<()> {
        let input = json!({
            "program": self.program,
            "peer": { "chain": HOME_CHAIN, "contract": self.home.into_word() },
            "remote": B256::ZERO,
            "mint": self.mint,
            "amount": units,
            "deadline": now(&deployment.home).await? + LIFETIME,
            "receiver": receiver,
        });
        self.chain.run("send", input).await?;
        Ok(())
    }

    /// What a wallet has of what is minted, in units of the wire.
    ///
    /// # Errors
    /// The chain is gone.
    pub async fn balance(&self, owner: B256) -> Result<u64> {
        let input = json!({ "owner": owner, "mint": self.mint });
        let answer = self.chain.run("balance", input).await?;
        let amount = answer["amount"].as_str().context("no amount")?;
        Ok(amount.parse()?)
    }
}
