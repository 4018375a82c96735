//! From options to the settings of a node; whatever is wrong is told at once, and with its cure.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use quorate_chain::providers::ProviderConfig;
use quorate_chain::{ChainConfig, ChainFamily, Family, Finality, configure};
use quorate_node::settings::declare::Declared as _;
use quorate_node::settings::{
    ChainSettings, HomeSettings, Policy, Reach, Retention, Role, Settings,
};
use quorate_node::{BridgeSection, collide};
use quorate_proto::Address;
use quorate_storage::EngineKind;
use serde_json::Value;

use super::declared::find;
use super::load::fields_of;
use super::{
    ChainOptions, ConfigError, FAMILY, NumberOrWord, Problem, ProviderOptions, RunOptions,
    expand_home, has_quotes,
};

/// A name as it stands in a `Host` header, without a port.
fn is_host_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    !name.is_empty() && name.chars().all(fits)
}

/// Collects what is wrong on the way.
#[derive(Default)]
pub(super) struct Checker {
    problems: Vec<Problem>,
}

impl RunOptions {
    /// What these options mean for a node.
    pub(crate) fn to_settings(&self) -> Result<Settings, ConfigError> {
        let mut checker = Checker::default();
        let settings = checker.settings(self);
        match settings {
            Some(settings) if checker.problems.is_empty() => Ok(settings),
            _ => Err(ConfigError::Problems(checker.problems)),
        }
    }
}

impl Checker {
    /// Evaluates every part before the first `?`, so that all problems are found in one go.
    fn settings(&mut self, options: &RunOptions) -> Option<Settings> {
        let role = self.required("role", options.role);
        self.quotes(options);
        let data_dir = self.data_dir(options.data_dir.as_deref());
        let engine = self.required("engine", options.engine.as_deref());
        let engine =
            engine.and_then(|text| self.parse::<EngineKind>("engine", text, "use rocksdb or sled"));
        let listen = self.multiaddrs("listen", options.listen.as_deref());
        let external = self.multiaddrs("external", options.external.as_deref());
        let bootstrap = self.multiaddrs("bootstrap", options.bootstrap.as_deref());
        self.check_mesh(&listen, &bootstrap);
        let reach = self.reach(options);
        let http = self.http(options.http.as_deref());
        let http_hosts = self.http_hosts(options.http_hosts.as_deref());
        let operator = self.operator(role, options.operator.as_deref());
        let home = self.home(options);
        let chains = self.chains(role, options.chains.as_deref().unwrap_or_default());
        let drain = self.required("drain_ms", options.drain_ms);
        let retention = self.retention(options.retain_epochs.as_ref());
        let policy = self.policy(options);
        let limits = self.limits(options);
        let sections = self.sections(options);
        Some(Settings {
            role: role?,
            data_dir: data_dir?,
            engine: engine?,
            listen,
            external,
            bootstrap,
            reach: reach?,
            policy: policy?,
            http: http?,
            http_hosts,
            operator,
            home: home?,
            chains,
            drain: Duration::from_millis(drain?),
            retention: retention?,
            limits,
            sections,
        })
    }

    /// Those of services, as they declared them.
    fn sections(&mut self, options: &RunOptions) -> BTreeMap<&'static str, Value> {
        self.check_dashboards(options);
        let sections = options.sections().into_iter();
        sections
            .map(|section| {
                for (key, text) in section.problems {
                    self.problem(&format!("{}.{key}", section.name), text);
                }
                (section.name, section.value)
            })
            .collect()
    }

    /// Of a bridge's listeners and the node's own: two on one port.
    fn check_dashboards(&mut self, options: &RunOptions) {
        let Some(own) = options.http.as_deref().and_then(|text| text.parse().ok()) else {
            return;
        };
        let listeners = options.bridge.iter().flat_map(BridgeSection::listeners);
        for (key, address) in listeners.filter(|(_, address)| collide(own, *address)) {
            let text = format!("{address} is taken by http; give it a port of its own");
            self.problem(&format!("bridge.{key}"), text);
        }
    }

    /// Quotation marks in the values, wherever these are from.
    fn quotes(&mut self, options: &RunOptions) {
        fn texts<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::String(text) => found.push(text),
                Value::Array(values) => values.iter().for_each(|value| texts(value, found)),
                Value::Object(fields) => fields.values().for_each(|value| texts(value, found)),
                _ => {}
            }
        }
        for (key, value) in fields_of(options).unwrap_or_default() {
            let mut found = Vec::new();
            texts(&value, &mut found);
            for text in found.into_iter().filter(|text| has_quotes(text)) {
                self.problems.push(Problem::quotes(&key, text));
            }
        }
    }

    fn data_dir(&mut self, dir: Option<&Path>) -> Option<PathBuf> {
        let dir = self.required("data_dir", dir)?;
        match expand_home(dir) {
            Ok(dir) => Some(dir),
            Err(error) => {
                self.problems.extend(error.into_problems());
                None
            }
        }
    }

    fn retention(&mut self, epochs: Option<&NumberOrWord>) -> Option<Retention> {
        let Some(epochs) = epochs else {
            return Some(Retention::USUAL);
        };
        let cure = format!("use a number from {}, or \"all\"", Retention::LEAST);
        self.parse("retain_epochs", &epochs.to_string(), &cure)
    }

    /// Of use at a registry only.
    fn policy(&mut self, options: &RunOptions) -> Option<Policy> {
        let usual = Policy::default();
        let misses = options.suspend_after.unwrap_or(usual.misses);
        if misses == 0 {
            self.problem("suspend_after", "0 would suspend all; use 1 or more");
        }
        let reinstatement = match options.reinstatement.as_deref() {
            Some(text) => self.parse("reinstatement", text, "use manual or next-epoch")?,
            None => usual.reinstatement,
        };
        Some(Policy {
            misses,
            reinstatement,
        })
    }

    fn home(&mut self, options: &RunOptions) -> Option<HomeSettings> {
        let chain_id = self.required("home_chain_id", options.home_chain_id);
        let given = options.home_rpc.as_deref().unwrap_or_default();
        let rpc = self.providers("home_rpc", given);
        self.quorum("home_rpc_quorum", options.home_rpc_quorum, given.len());
        let registry = self.address("registry", options.registry.as_deref());
        let epoch_manager = self.address("epoch_manager", options.epoch_manager.as_deref());
        let finality = self.finality("home_finality", options.home_finality.as_ref());
        let poll = self.poll("home_poll_ms", options.home_poll_ms);
        let family = self.family(FAMILY, "home_", &|_| None);
        let mut chain = ChainConfig::new(chain_id?, Vec::new(), finality?, family?);
        chain.rpc = rpc?;
        chain.quorum = options.home_rpc_quorum;
        chain.min_runners = options.home_rpc_min_runners;
        chain.poll_interval = poll.unwrap_or(chain.poll_interval);
        self.sound("home_rpc", &chain);
        Some(HomeSettings {
            chain,
            registry: registry?,
            epoch_manager: epoch_manager?,
        })
    }

    fn chains(&mut self, role: Option<Role>, chains: &[ChainOptions]) -> Vec<ChainSettings> {
        let who = match role {
            Some(Role::Operator) => Some("an operator"),
            Some(Role::Relayer) => Some("a relayer"),
            Some(Role::Registry) | None => None,
        };
        if let Some(who) = who.filter(|_| chains.is_empty()) {
            let text = format!("{who} reads at least one chain; give --chain or [[chains]]");
            self.problem("chains", text);
        }
        let mut seen = Vec::new();
        for id in chains.iter().map(|chain| chain.chain_id) {
            if seen.contains(&id) {
                self.problem("chains", format!("chain {id} is there twice; join the two"));
            }
            if u32::try_from(id).is_err() {
                self.problem(
                    "chains",
                    format!("chain id {id} does not fit 32 bits, which statements have"),
                );
            }
            seen.push(id);
        }
        chains
            .iter()
            .filter_map(|chain| self.chain(role, chain))
            .collect()
    }

    fn chain(&mut self, role: Option<Role>, options: &ChainOptions) -> Option<ChainSettings> {
        let key = |name: &str| format!("chains.{}.{name}", options.chain_id);
        let rpc = self.providers(&key("rpc"), &options.rpc);
        self.quorum(&key("rpc_quorum"), options.rpc_quorum, options.rpc.len());
        let kind = self.kind(&key("family"), options.family.as_deref());
        let state_manager = self.state_manager(&key("state_manager"), (role, kind), options);
        let finality = match &options.finality {
            Some(rule) => self.finality(&key("finality"), Some(rule)),
            None => Some(Finality::Finalized),
        };
        let poll = self.poll(&key("poll_ms"), options.poll_ms);
        let family = self.family(kind?, &key(""), &|name| options.of_family(name));
        let mut chain = ChainConfig::new(options.chain_id, Vec::new(), finality?, family?);
        chain.rpc = rpc?;
        chain.quorum = options.rpc_quorum;
        chain.min_runners = options.rpc_min_runners;
        chain.poll_interval = poll.unwrap_or(chain.poll_interval);
        self.sound(&key("rpc"), &chain);
        Some(ChainSettings {
            chain,
            state_manager: state_manager?,
        })
    }

    fn kind(&mut self, key: &str, text: Option<&str>) -> Option<ChainFamily> {
        match text {
            None => Some(FAMILY),
            Some(text) => self.parse(key, text, "use evm or svm"),
        }
    }

    /// `None` after a problem; `Some(None)` where bridges are all that is read.
    fn state_manager(
        &mut self,
        key: &str,
        of: (Option<Role>, Option<ChainFamily>),
        options: &ChainOptions,
    ) -> Option<Option<Address>> {
        match &options.state_manager {
            Some(text) => self.address(key, Some(text)).map(Some),
            None if of == (Some(Role::Operator), Some(FAMILY)) => {
                self.problem(
                    key,
                    "an operator attests its values; set its address".to_owned(),
                );
                None
            }
            None => Some(None),
        }
    }

    /// The family of a chain, with its own settings, whose keys begin with `prefix`.
    fn family(
        &mut self,
        kind: ChainFamily,
        prefix: &str,
        setting: &dyn Fn(&str) -> Option<String>,
    ) -> Option<Arc<dyn Family>> {
        match configure(kind, setting) {
            Ok(family) => Some(family),
            Err(problems) => {
                for problem in problems {
                    self.problem(&format!("{prefix}{}", problem.name), problem.text);
                }
                None
            }
        }
    }

    fn operator(&mut self, role: Option<Role>, text: Option<&str>) -> Option<Address> {
        match (role, text) {
            (Some(Role::Operator), _) => self.address("operator", text),
            (_, Some(text)) => self.address("operator", Some(text)),
            (_, None) => None,
        }
    }

    /// `Some(None)` for "off".
    fn http(&mut self, text: Option<&str>) -> Option<Option<SocketAddr>> {
        match text {
            None | Some("off") => Some(None),
            Some(text) => self
                .parse("http", text, "write it as 127.0.0.1:9080, or \"off\"")
                .map(Some),
        }
    }

    fn http_hosts(&mut self, names: Option<&[String]>) -> Vec<String> {
        let names = names.unwrap_or_default();
        for name in names.iter().filter(|name| !is_host_name(name)) {
            let text = format!(
                "{name:?} is no name of a host; write it as node.example.org, without a port"
            );
            self.problem("http_hosts", text);
        }
        names.to_vec()
    }

    fn reach(&mut self, options: &RunOptions) -> Option<Reach> {
        let usual = Reach::default();
        let form = "write peer ids as 12D3KooW…, as `node status` of those nodes prints them";
        let allowed = options.allowed_peers.iter().flatten();
        let allowed_peers: Vec<_> = allowed
            .filter_map(|text| self.parse("allowed_peers", text, form))
            .collect();
        let relay = match options.relay.as_deref() {
            Some(text) => self.parse("relay", text, "use auto, on or off")?,
            None => usual.relay,
        };
        Some(Reach {
            relay,
            upnp: options.upnp.unwrap_or(usual.upnp),
            allowed_peers,
        })
    }

    fn check_mesh(&mut self, listen: &[Multiaddr], bootstrap: &[Multiaddr]) {
        if listen.is_empty() {
            self.problem("listen", "no address; use /ip4/0.0.0.0/tcp/9000");
        }
        let can_listen = |part: Protocol<'_>| {
            matches!(
                part,
                Protocol::Tcp(_) | Protocol::QuicV1 | Protocol::P2pCircuit
            )
        };
        for address in listen
            .iter()
            .filter(|address| !address.iter().any(can_listen))
        {
            let text = format!(
                "{address} is no TCP or QUIC address; end it in /tcp/9000 or /udp/9000/quic-v1"
            );
            self.problem("listen", text);
        }
        let peer = |part: Protocol<'_>| matches!(part, Protocol::P2p(_));
        for address in bootstrap.iter().filter(|address| !address.iter().any(peer)) {
            let text = format!(
                "{address} has no peer id; add /p2p/<peer id>, as `node status` of that node prints it"
            );
            self.problem("bootstrap", text);
        }
    }

    fn multiaddrs(&mut self, key: &str, texts: Option<&[String]>) -> Vec<Multiaddr> {
        let texts = texts.unwrap_or_default();
        let form = "write it as /ip4/192.0.2.1/tcp/9000 or /dns4/host/udp/9000/quic-v1";
        texts
            .iter()
            .filter_map(|text| self.parse(key, text, form))
            .collect()
    }

    /// `None` where there is none, or one that cannot be read.
    fn providers(&mut self, key: &str, given: &[ProviderOptions]) -> Option<Vec<ProviderConfig>> {
        if given.is_empty() {
            self.problem(
                key,
                "no RPC URL; give at least one, better three of different providers",
            );
            return None;
        }
        let read = |provider: &ProviderOptions| match provider.to_config() {
            Ok(provider) => Some(provider),
            Err(text) => {
                self.problem(key, text);
                None
            }
        };
        let read: Vec<ProviderConfig> = given.iter().filter_map(read).collect();
        (read.len() == given.len()).then_some(read)
    }

    fn quorum(&mut self, key: &str, quorum: Option<usize>, urls: usize) {
        let least = urls / 2 + 1;
        if let Some(k) = quorum.filter(|k| !(least..=urls).contains(k)) {
            let text =
                format!("{k} must be {least} to {urls}: more than half of the RPC URLs, or all");
            self.problem(key, text);
        }
    }

    /// What is wrong with the providers of a chain as a whole, unless that was told before.
    fn sound(&mut self, key: &str, chain: &ChainConfig) {
        let told = |problem: &Problem| problem.key.starts_with(key);
        if let Err(error) = chain.check()
            && !chain.poll_interval.is_zero()
            && !self.problems.iter().any(told)
        {
            let mut usual = chain.clone();
            usual.min_runners = None;
            match usual.check() {
                Ok(()) => self.problem(&format!("{key}_min_runners"), error),
                Err(_) => self.problem(key, error),
            }
        }
    }

    fn finality(&mut self, key: &str, rule: Option<&NumberOrWord>) -> Option<Finality> {
        let rule = self.required(key, rule)?.to_string();
        self.parse(key, &rule, "use \"finalized\" or a number of confirmations")
    }

    fn poll(&mut self, key: &str, millis: Option<u64>) -> Option<Duration> {
        if millis == Some(0) {
            self.problem(key, "must be above 0; 1000 is usual");
        }
        millis.map(Duration::from_millis)
    }

    fn address(&mut self, key: &str, text: Option<&str>) -> Option<Address> {
        match super::address(self.required(key, text)?) {
            Ok(address) => Some(address),
            Err(problem) => {
                self.problem(key, problem);
                None
            }
        }
    }

    fn parse<T: FromStr<Err: Display>>(&mut self, key: &str, text: &str, cure: &str) -> Option<T> {
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(key, format!("{text:?} cannot be read ({error}); {cure}"));
                None
            }
        }
    }

    fn required<T>(&mut self, key: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            let told = find("", key).map(|setting| (setting.flag(), setting.variable()));
            let (flag, variable) = told.unwrap_or_default();
            self.problem(
                key,
                format!("not set; use --{flag}, {variable}, or {key} in the file"),
            );
        }
        value
    }

    pub(super) fn problem(&mut self, key: &str, text: impl Display) {
        self.problems.push(Problem::new(key, text));
    }
}
