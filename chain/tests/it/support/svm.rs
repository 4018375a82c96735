//! A local SVM chain with a bridge on it and three providers (`svm.mjs` beside this; needs Node.js).

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use quorate_chain::svm::{PublicKey, SvmSettings};
use quorate_chain::{ChainConfig, Connected, Finality, TransferReader};
use quorate_proto::{B256, Route};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/svm.mjs");
pub(crate) const CHAIN: u64 = 91_024;

pub(crate) struct SvmBridge {
    process: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    pub(crate) settings: ChainConfig,
    /// From this bridge to the other one.
    pub(crate) route: Route,
}

impl Drop for SvmBridge {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl SvmBridge {
    pub(crate) fn start() -> Self {
        let process = Command::new("node")
            .arg(SCRIPT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut process = process.expect("Node.js, as `node` in PATH: install it, or set PATH");
        let stdin = process.stdin.take().expect("piped");
        let mut stdout = BufReader::new(process.stdout.take().expect("piped"));
        let told = answer(&mut stdout);
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let word = |value: &Value| text(value).parse::<B256>().expect("32 bytes");
        let urls = told["urls"].as_array().expect("URLs").iter();
        let urls = urls.map(|url| text(url).parse().expect("a URL")).collect();
        let genesis: PublicKey = text(&told["genesis"]).parse().expect("a hash");
        let family = SvmSettings {
            genesis: Some(genesis),
        };
        let mut settings = ChainConfig::new(CHAIN, urls, Finality::Finalized, Arc::new(family));
        for (number, provider) in settings.rpc.iter_mut().enumerate() {
            provider.by = Some(format!("company {number}"));
        }
        let route = Route {
            source_chain: CHAIN,
            source_contract: word(&told["program"]),
            target_chain: told["peer"]["chain"].as_u64().expect("a number"),
            target_contract: word(&told["peer"]["contract"]),
        };
        Self {
            process,
            stdin,
            stdout,
            settings,
            route,
        }
    }

    /// Has something happen on the chain; what there is to say of it.
    pub(crate) fn tell(&mut self, name: &str, mut told: Value) -> Value {
        told["name"] = json!(name);
        writeln!(self.stdin, "{told}").expect("the chain runs");
        answer(&mut self.stdout)
    }

    pub(crate) fn faults(&mut self, provider: usize, faults: Value) {
        let _ = self.tell("faults", json!({"provider": provider, "faults": faults}));
    }

    /// Until all that happened is final.
    pub(crate) fn finalize(&mut self) {
        let _ = self.tell("advance", json!({"slots": 33}));
    }

    /// A reader that has asked the providers.
    pub(crate) async fn open(&self) -> Connected<dyn TransferReader> {
        let family = &self.settings.family;
        let opened = family.bridge(&self.settings, &CancellationToken::new());
        let opened = opened.expect("good settings");
        opened.client.connect().await;
        opened
    }
}

fn answer(from: &mut impl BufRead) -> Value {
    let mut line = String::new();
    from.read_line(&mut line).expect("readable");
    serde_json::from_str(&line).expect("an answer; the script's complaint is above")
}
