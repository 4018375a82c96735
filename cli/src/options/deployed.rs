//! Variables of the environment that deployed relayers of such bridges take, as settings of this one.
//!
//! They are looked at by relayers whose `SERVICE_NAME` names a direction, since their names are those of many programs.
//! Whatever else sets the same setting must say the same.

use quorate_node::keys::KeyKind;
use quorate_node::settings::Role;
use quorate_node::{RouteText, base58};
use serde_json::{Map, Value};

use super::declared::{find, put, value_in};
use super::load::fields_of;
use super::{ChainOptions, ConfigError, Problem, RunOptions};

/// The variable that has all others looked at.
const SERVICE: &str = "SERVICE_NAME";
/// Directions that it may name.
const SERVICES: [&str; 3] = ["s2e", "e2s", "e2e"];

/// What a variable is here.
enum Meaning {
    /// A setting of `[bridge]`, or of the node; how its text is written here.
    Sets(&'static str, fn(&str) -> String),
    /// A port of the service: the beginning of the setting.
    Port(&'static str),
    /// It can only be one of these, for this reason.
    Fixed(&'static [&'static str], &'static str),
    /// A chain of this family must have it.
    OfChain(&'static str, Detail),
    /// The secret of this key.
    Secret(KeyKind),
    /// Not needed, for this reason.
    Unneeded(&'static str),
}

/// What of a chain.
enum Detail {
    Id,
    Url,
    Contract,
}

const SCHEDULE: &str = "attempts follow after 0, 30, 60, 120 and 300 s, then a dead letter";
const IN_STORE: &str = "what is under way is in the store of the node";

/// All of them.
const VARIABLES: [(&str, Meaning); 25] = [
    ("API_PORT", Meaning::Port("http_")),
    ("METRICS_PORT", Meaning::Port("http_metrics_")),
    (
        "METRICS_ENABLED",
        Meaning::Unneeded("figures are always collected; METRICS_PORT opens a port for them"),
    ),
    (
        "LOG_LEVEL",
        Meaning::Sets("log", |text| text.to_lowercase()),
    ),
    (
        "WORKER_POOL_SIZE",
        Meaning::Unneeded("deliveries need no workers"),
    ),
    ("EVM_RPC_URL", Meaning::OfChain("evm", Detail::Url)),
    ("SVM_RPC_URL", Meaning::OfChain("svm", Detail::Url)),
    (
        "EVM_CONTRACT_ADDRESS",
        Meaning::OfChain("evm", Detail::Contract),
    ),
    (
        "SVM_CONTRACT_ADDRESS",
        Meaning::OfChain("svm", Detail::Contract),
    ),
    ("EVM_CHAIN_ID", Meaning::OfChain("evm", Detail::Id)),
    ("SVM_CHAIN_ID", Meaning::OfChain("svm", Detail::Id)),
    ("SVM_WALLET_PATH", Meaning::Sets("svm_key", str::to_owned)),
    ("ECDSA_PRIVATE_KEY", Meaning::Secret(KeyKind::Signing)),
    ("EVM_PRIVATE_KEY", Meaning::Secret(KeyKind::Signing)),
    ("ED25519_PRIVATE_KEY", Meaning::Secret(KeyKind::Ed25519)),
    ("DATABASE_URL", Meaning::Unneeded(IN_STORE)),
    ("REDIS_URL", Meaning::Unneeded(IN_STORE)),
    (
        "QUEUE_MAX_SIZE",
        Meaning::Fixed(&["1000"], "each payer's queue holds 1000"),
    ),
    ("QUEUE_RETRY_LIMIT", Meaning::Fixed(&["5"], SCHEDULE)),
    (
        "QUEUE_RETRY_DELAYS",
        Meaning::Fixed(&["0,30000,60000,120000,300000"], SCHEDULE),
    ),
    (
        "MIN_SVM_BALANCE",
        Meaning::Sets("min_balance_svm", |text| format!("{text} sol")),
    ),
    (
        "MIN_EVM_BALANCE",
        Meaning::Sets("min_balance_evm", |text| format!("{text} ether")),
    ),
    (
        "BALANCE_CHECK_INTERVAL",
        Meaning::Sets("balance_check_ms", str::to_owned),
    ),
    (
        "EVM_CONFIRMATION_BLOCKS",
        Meaning::Sets("confirmations", str::to_owned),
    ),
    (
        "SVM_COMMITMENT",
        Meaning::Fixed(&["finalized"], "only final blocks are read"),
    ),
];

/// Reads variables; one that is empty is not set.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Whether they are looked at.
fn service(role: Option<Role>, environment: Environment<'_>) -> Option<String> {
    environment(SERVICE)
        .filter(|name| role == Some(Role::Relayer) && SERVICES.contains(&name.as_str()))
}

/// Options with what the variables add.
///
/// # Errors
/// Variables that contradict what is set, or what cannot be set here: all of them.
pub(super) fn with_deployed(
    given: RunOptions,
    environment: Environment<'_>,
) -> Result<RunOptions, ConfigError> {
    let Some(service) = service(given.role, environment) else {
        return Ok(given);
    };
    let mut taken = Taken {
        fields: fields_of(&given).unwrap_or_default(),
        service,
        problems: Vec::new(),
    };
    let set = VARIABLES
        .iter()
        .filter_map(|(name, meaning)| Some((*name, meaning, environment(name)?)));
    for (name, meaning, text) in set {
        if let Err(problem) = taken.take(&given, name, meaning, text.trim()) {
            taken.problems.push(Problem::new(name, problem));
        }
    }
    let keys = [
        environment("ECDSA_PRIVATE_KEY"),
        environment("EVM_PRIVATE_KEY"),
    ];
    if let [Some(one), Some(other)] = keys
        && one != other
    {
        let text = "is another key than ECDSA_PRIVATE_KEY; a relayer signs and pays by one: leave one of them out";
        taken.problems.push(Problem::new("EVM_PRIVATE_KEY", text));
    }
    if !taken.problems.is_empty() {
        return Err(ConfigError::Problems(taken.problems));
    }
    let options = serde_json::from_value(taken.fields.into());
    options.map_err(|reason| ConfigError::Problems(vec![Problem::new(SERVICE, reason)]))
}

/// On the way.
struct Taken {
    fields: Map<String, Value>,
    service: String,
    problems: Vec<Problem>,
}

impl Taken {
    fn take(
        &mut self,
        given: &RunOptions,
        name: &str,
        meaning: &Meaning,
        text: &str,
    ) -> Result<(), String> {
        match meaning {
            Meaning::Sets("confirmations", _) if self.service == "e2s" => Ok(()),
            Meaning::Sets(key, write) => self.set(key, &write(text)),
            Meaning::Port(prefix) => {
                let port: u16 = text.parse().map_err(|_| format!("{text:?} is no port"))?;
                self.set(
                    &format!("{prefix}{}", self.service),
                    &format!("127.0.0.1:{port}"),
                )
            }
            Meaning::Fixed(words, why) if !words.contains(&text.replace(' ', "").as_str()) => {
                Err(format!("cannot be {text:?}: {why}; leave it out"))
            }
            Meaning::OfChain(family, detail) => agrees(given, family, detail, text)
                .then_some(())
                .ok_or_else(|| untold(family, detail)),
            // Without its value, which is a secret.
            Meaning::Secret(_) if text.is_empty() => Err(format!("{name} is empty")),
            Meaning::Secret(_) | Meaning::Fixed(..) | Meaning::Unneeded(_) => Ok(()),
        }
    }

    fn set(&mut self, key: &str, text: &str) -> Result<(), String> {
        let setting = find("bridge", key).ok_or_else(|| format!("{key} is no setting"))?;
        let value =
            (setting.parse)(text).map_err(|error| format!("{text:?} cannot be read: {error}"))?;
        let name = setting.name();
        match value_in(&self.fields, setting) {
            Some(known) if *known != value => Err(format!(
                "is {text}, but {name} is {known}; leave one of them out"
            )),
            _ => {
                put(&mut self.fields, setting, value);
                Ok(())
            }
        }
    }
}

/// Whether a chain of the family, or a route at one, is configured so.
fn agrees(given: &RunOptions, family: &str, detail: &Detail, text: &str) -> bool {
    let is_of = |chain: &&ChainOptions| chain.family.as_deref().unwrap_or("evm") == family;
    let mut chains = given.chains.iter().flatten().filter(is_of);
    match detail {
        Detail::Id => {
            let is_home = family == "evm"
                && given.home_chain_id.map(|id| id.to_string()).as_deref() == Some(text);
            is_home || chains.any(|chain| chain.chain_id.to_string() == text)
        }
        Detail::Url => {
            let home = given.home_rpc.iter().flatten().filter(|_| family == "evm");
            let mut all = chains.flat_map(|chain| &chain.rpc).chain(home);
            all.any(|provider| {
                provider.url.reveal().trim_end_matches('/') == text.trim_end_matches('/')
            })
        }
        Detail::Contract => {
            let routes = given.bridge.iter().flat_map(|bridge| bridge.routes());
            let mut ends = routes
                .flat_map(|RouteText { route, .. }| [route.source_contract, route.target_contract]);
            let wanted = text.trim_start_matches("0x").to_lowercase();
            ends.any(|end| {
                format!("{end:x}").ends_with(&wanted) && wanted.len() >= 40
                    || base58(end.as_slice()) == text
            })
        }
    }
}

fn untold(family: &str, detail: &Detail) -> String {
    match detail {
        Detail::Id => {
            format!("no chain of the family {family} has this id; add a table [[chains]] for it")
        }
        Detail::Url => format!(
            "no chain of the family {family} has this URL; add it to rpc in its table [[chains]]"
        ),
        Detail::Contract => {
            "no route of bridge.routes begins or ends at this contract; add one".to_owned()
        }
    }
}

/// What to tell at the start: which variables were used, and which are not needed.
pub(crate) fn told(role: Option<Role>, environment: Environment<'_>) -> Vec<String> {
    let Some(service) = service(role, environment) else {
        return Vec::new();
    };
    let mut lines = vec![format!(
        "{SERVICE} is {service}: variables of a deployed relayer are taken over"
    )];
    for (name, meaning) in VARIABLES
        .iter()
        .filter(|(name, _)| environment(name).is_some())
    {
        lines.push(match meaning {
            Meaning::Sets("confirmations", _) if service == "e2s" => {
                format!("{name} is not needed: finality in [[chains]] says when a block of the source counts")
            }
            Meaning::Sets(key, _) => format!("{name} is used as {key}"),
            Meaning::Port(prefix) => format!("{name} is used as bridge.{prefix}{service}, on 127.0.0.1"),
            Meaning::Fixed(_, why) => format!("{name} is as it always is: {why}"),
            Meaning::OfChain(..) => format!("{name} is as configured"),
            Meaning::Secret(kind) => format!("{name} is used as the {kind}"),
            Meaning::Unneeded(why) => format!("{name} is not needed: {why}"),
        });
    }
    lines
}

/// The variable that holds the secret of a key here, and its value.
pub(crate) fn secret(
    kind: KeyKind,
    role: Option<Role>,
    environment: Environment<'_>,
) -> Option<(&'static str, String)> {
    service(role, environment)?;
    let holds = |meaning: &Meaning| matches!(meaning, Meaning::Secret(of) if *of == kind);
    let mut named = VARIABLES.iter().filter(|(_, meaning)| holds(meaning));
    named.find_map(|(name, _)| Some((*name, environment(name)?)))
}

#[cfg(test)]
mod tests {
    use super::super::load::parse_file;
    use super::*;

    const FILE: &str = r#"
        role = "relayer"
        [[chains]]
        chain_id = 10
        rpc = ["http://localhost:8546/KEYKEY"]
        [bridge]
        routes = ["91024:0xd1bfa604b5dc68adb868be96a0dac50da61e18030533aedd0036a8bdd95cd535>10:0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512"]
        confirmations = 12
    "#;

    fn environment<'a>(set: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, text)| (*text).to_owned())
        }
    }

    fn taken(set: &[(&str, &str)]) -> Result<RunOptions, String> {
        let given = parse_file(FILE).expect("options");
        with_deployed(given, &environment(set)).map_err(|error| error.to_string())
    }

    #[test]
    fn variables_become_settings() {
        let options = taken(&[
            ("SERVICE_NAME", "s2e"),
            ("API_PORT", "8081"),
            ("METRICS_PORT", "9090"),
            ("LOG_LEVEL", "DEBUG"),
            ("MIN_EVM_BALANCE", "0.05"),
            ("MIN_SVM_BALANCE", "0.5"),
            ("BALANCE_CHECK_INTERVAL", "60000"),
            ("EVM_CONFIRMATION_BLOCKS", "12"),
            ("EVM_CHAIN_ID", "10"),
            ("EVM_RPC_URL", "http://localhost:8546/KEYKEY"),
            (
                "EVM_CONTRACT_ADDRESS",
                "0xE7f1725E7734CE288F8367e1Bb143E90bb3F0512",
            ),
            (
                "SVM_CONTRACT_ADDRESS",
                "F7mhpQAE3umJYrBitUHJChiQbEbUFmQRac85uyCW5aKn",
            ),
            ("SVM_COMMITMENT", "finalized"),
            ("QUEUE_RETRY_DELAYS", "0, 30000, 60000, 120000, 300000"),
            ("REDIS_URL", "redis://localhost"),
        ]);
        let options = options.expect("taken");
        assert_eq!(options.log.as_deref(), Some("debug"));
        let bridge = options.bridge.expect("a section");
        assert_eq!(bridge.http_s2e, "127.0.0.1:8081".parse().ok());
        assert_eq!(bridge.http_metrics_s2e, "127.0.0.1:9090".parse().ok());
        assert_eq!(bridge.min_balance_evm.as_deref(), Some("0.05 ether"));
        assert_eq!(bridge.min_balance_svm.as_deref(), Some("0.5 sol"));
        assert_eq!(bridge.balance_check_ms, Some(60_000));
    }

    #[test]
    fn what_contradicts_is_refused_with_its_cause() {
        let error = taken(&[
            ("SERVICE_NAME", "s2e"),
            ("EVM_CONFIRMATION_BLOCKS", "6"),
            ("QUEUE_RETRY_LIMIT", "9"),
            ("SVM_CHAIN_ID", "7"),
            ("EVM_RPC_URL", "http://localhost/SECRET"),
            ("SVM_COMMITMENT", "processed"),
            ("API_PORT", "x"),
            ("ECDSA_PRIVATE_KEY", "aa"),
            ("EVM_PRIVATE_KEY", "bb"),
        ]);
        let error = error.expect_err("refused");
        for told in [
            "EVM_CONFIRMATION_BLOCKS: is 6, but bridge.confirmations is 12",
            "QUEUE_RETRY_LIMIT: cannot be \"9\": attempts follow",
            "SVM_CHAIN_ID: no chain of the family svm has this id",
            "EVM_RPC_URL: no chain of the family evm has this URL",
            "SVM_COMMITMENT: cannot be \"processed\"",
            "API_PORT: \"x\" is no port",
            "EVM_PRIVATE_KEY: is another key",
        ] {
            assert!(error.contains(told), "{told}: {error}");
        }
        assert!(!error.contains("SECRET"), "{error}");
    }

    #[test]
    fn without_a_service_they_are_those_of_other_programs() {
        let set = [("API_PORT", "x"), ("REDIS_URL", "redis://localhost")];
        assert!(taken(&set).is_ok());
        assert_eq!(
            told(Some(Role::Relayer), &environment(&set)),
            Vec::<String>::new()
        );
    }

    #[test]
    fn it_is_told_what_is_used_and_what_is_not_needed() {
        let set = [
            ("SERVICE_NAME", "e2s"),
            ("API_PORT", "8082"),
            ("DATABASE_URL", "x"),
            ("ED25519_PRIVATE_KEY", "aa"),
        ];
        let lines = told(Some(Role::Relayer), &environment(&set));
        let expected = [
            "SERVICE_NAME is e2s: variables of a deployed relayer are taken over",
            "API_PORT is used as bridge.http_e2s, on 127.0.0.1",
        ];
        assert_eq!(lines[..2], expected);
        assert!(
            lines[2].starts_with("ED25519_PRIVATE_KEY is used as the "),
            "{lines:?}"
        );
        assert!(
            lines[3].starts_with("DATABASE_URL is not needed"),
            "{lines:?}"
        );
        let secret = secret(KeyKind::Ed25519, Some(Role::Relayer), &environment(&set));
        assert_eq!(secret, Some(("ED25519_PRIVATE_KEY", "aa".to_owned())));
    }
}
