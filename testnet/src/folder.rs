//! The folder of one node of a local network: its configuration and its keys.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use libp2p::{Multiaddr, PeerId};
use quorate_node::keys::{KeyKind, KeyStore, Password, Saving, Secret, Strength};
use quorate_proto::{Address, PeerSecret};

use crate::deployment::{HOME_CHAIN, SOURCE_CHAIN};
use crate::keys::RELAYER_KEYS;
use crate::svm_chain::SVM_CHAIN;
use crate::{Deployment, OperatorKeys, SvmBridge};

/// Password of every key of a local network.
pub const PASSWORD: &str = "local network";

/// Confirmations after which the local chains count as final.
pub const CONFIRMATIONS: u64 = 2;

/// Number of the first registry's keys.
pub(crate) const REGISTRY_KEYS: usize = 1_000;

/// The account that pays for what a relayer sends.
#[must_use]
pub fn relayer_account(number: usize) -> Address {
    OperatorKeys::of(RELAYER_KEYS + number).signing.address()
}

/// The peer id of the node with the keys of this number.
pub(crate) fn peer_id_of(number: usize) -> Result<PeerId> {
    let key = PeerSecret::from_bytes(&OperatorKeys::of(number).peer).public();
    quorate_node::peer_id_of(&key).context("no peer id")
}

/// What is particular about one node.
pub(crate) struct NodeFolder<'a> {
    /// Among the nodes of its role.
    pub(crate) number: usize,
    /// Number of the account that it signs for; `None` for a registry or a relayer.
    pub(crate) operator: Option<usize>,
    pub(crate) relayer: bool,
    /// Relayers that take turns.
    pub(crate) relayers: usize,
    pub(crate) engine: &'a str,
    pub(crate) log: &'a str,
    pub(crate) http: String,
    pub(crate) listen: Vec<String>,
    pub(crate) bootstrap: &'a [Multiaddr],
    /// RPC URLs of the home chain.
    pub(crate) home: Vec<String>,
    /// RPC URLs of the source chain.
    pub(crate) source: Vec<String>,
    /// How it is read; `None` for the default.
    pub(crate) reads: Option<&'a str>,
}

impl NodeFolder<'_> {
    pub(crate) fn name(&self) -> String {
        format!("{}-{}", self.role(), self.number)
    }

    const fn role(&self) -> &'static str {
        if self.operator.is_some() {
            "operator"
        } else if self.relayer {
            "relayer"
        } else {
            "registry"
        }
    }

    /// Registries and relayers have keys of their own numbers.
    fn key_number(&self) -> usize {
        let first = if self.relayer {
            RELAYER_KEYS
        } else {
            REGISTRY_KEYS
        };
        self.operator.unwrap_or(first + self.number)
    }

    const fn signs(&self) -> bool {
        self.operator.is_some() || self.relayer
    }

    fn keys(&self) -> OperatorKeys {
        OperatorKeys::of(self.key_number())
    }

    pub(crate) fn peer_id(&self) -> Result<PeerId> {
        peer_id_of(self.key_number())
    }

    /// Writes `<below>/<name>/config.toml` and the keys beside it; the folder.
    pub(crate) fn write(&self, below: &Path, deployment: &Deployment) -> Result<PathBuf> {
        let dir = below.join(self.name());
        let keys = dir.join("keys");
        write_keys(&keys, &self.keys(), self.signs())
            .with_context(|| format!("cannot write the keys of {}", dir.display()))?;
        if self.relayer && deployment.svm.is_some() {
            let secret = Secret::new(self.keys().signing.to_bytes());
            let password = Password::new(PASSWORD)?;
            KeyStore::open(&keys).import(
                KeyKind::Ed25519,
                "default",
                &secret,
                &password,
                SAVING,
            )?;
        }
        let config = self.config(&dir, deployment)?;
        std::fs::write(dir.join("config.toml"), config)
            .with_context(|| format!("cannot write {}/config.toml", dir.display()))?;
        Ok(dir)
    }

    fn config(&self, dir: &Path, deployment: &Deployment) -> Result<String> {
        let mut config = format!(
            "role = {role:?}\ndata_dir = {data:?}\nengine = {engine:?}\nhttp = {http:?}\nhttp_hosts = [{name:?}]\nlog = {log:?}\n\
             key_dir = {keys:?}\nlisten = {listen:?}\n\
             home_chain_id = {HOME_CHAIN}\nhome_rpc = {home:?}\nregistry = \"{registry}\"\n\
             epoch_manager = \"{epochs}\"\nhome_finality = {CONFIRMATIONS}\nhome_poll_ms = 200\n",
            role = self.role(),
            data = dir.join("data"),
            engine = self.engine,
            http = self.http,
            name = self.name(),
            log = self.log,
            keys = dir.join("keys"),
            listen = self.listen,
            home = self.home,
            registry = deployment.registry,
            epochs = deployment.epoch_manager,
        );
        if !self.bootstrap.is_empty() {
            let peers: Vec<String> = self.bootstrap.iter().map(Multiaddr::to_string).collect();
            writeln!(config, "bootstrap = {peers:?}")?;
        }
        if let Some(number) = self.operator {
            let operators = &deployment.operators;
            let (account, _) = operators.get(number).context("no such operator")?;
            writeln!(config, "operator = \"{account}\"")?;
        }
        if self.signs() {
            write!(
                config,
                "\n[[chains]]\nchain_id = {SOURCE_CHAIN}\nrpc = {rpc:?}\nstate_manager = \"{states}\"\n\
                 finality = {CONFIRMATIONS}\npoll_ms = 200\n",
                rpc = self.source,
                states = deployment.state_manager
            )?;
            if let Some(reads) = self.reads {
                writeln!(config, "reads = {reads:?}")?;
            }
            if let Some(svm) = &deployment.svm {
                let (rpc, genesis) = (&svm.chain.rpc, &svm.chain.genesis);
                write!(
                    config,
                    "\n[[chains]]\nchain_id = {SVM_CHAIN}\nfamily = \"svm\"\ngenesis = {genesis:?}\nrpc = {rpc:?}\npoll_ms = 200\n"
                )?;
            }
            if let Some(bridges) = &deployment.bridges {
                let mut routes = bridges.routes();
                routes.extend(deployment.svm.iter().flat_map(SvmBridge::routes));
                write!(config, "\n[bridge]\nroutes = {routes:?}\n")?;
                if self.relayer {
                    config += "confirmations = 1\npoll_ms = 200\nturn_ms = 5000\n";
                    let relayers: Vec<String> = (0..self.relayers)
                        .map(|number| relayer_account(number).to_string())
                        .collect();
                    writeln!(config, "relayers = {relayers:?}")?;
                }
            }
        }
        Ok(config)
    }
}

const SAVING: Saving = Saving {
    strength: Strength::Light,
    overwrite: true,
};

fn write_keys(dir: &Path, keys: &OperatorKeys, operator: bool) -> Result<()> {
    let store = KeyStore::open(dir);
    let password = Password::new(PASSWORD)?;
    let saving = SAVING;
    store.import(
        KeyKind::Peer,
        "default",
        &Secret::new(keys.peer),
        &password,
        saving,
    )?;
    if operator {
        let signing = Secret::new(keys.signing.to_bytes());
        store.import(KeyKind::Signing, "default", &signing, &password, saving)?;
        // Not secret, but this network is new, and so is every log in it.
        store.note_unused("default", &signing)?;
    }
    Ok(())
}
