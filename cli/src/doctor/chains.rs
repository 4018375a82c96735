//! The chains: each provider, asked now, and what the home chain has of this operator.

use std::time::Duration;

use futures::future::join_all;
use quorate_chain::{
    BlockRef, ChainClient, ChainError, HomeReader, ProviderHealth, ProviderStatus, Providers,
    StateReader,
};
use quorate_node::directory;
use quorate_node::settings::{ChainSettings, HomeSettings, Settings};
use quorate_proto::{Address, Epoch, Operator};
use tokio_util::sync::CancellationToken;

use super::finding::{Finding, Level};
use crate::format;

/// An answer within this is fast; within the second, still in time: a call has 2 s.
const LATENCY: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// Blocks whose registrations are asked for: every provider that has events takes so many.
const RECENT: u64 = 100;

/// All chains at once; the home chain's findings first. `signing_key` is that of the key file.
pub(super) async fn examine(settings: &Settings, signing_key: Option<Address>) -> Vec<Finding> {
    let home = home(&settings.home, settings.operator, signing_key);
    let sources = settings.chains.iter();
    let sources = join_all(sources.map(|chain| source(chain, &settings.home)));
    let (home, sources) = tokio::join!(home, sources);
    home.into_iter()
        .chain(sources.into_iter().flatten())
        .collect()
}

async fn source(chain: &ChainSettings, home: &HomeSettings) -> Vec<Finding> {
    let chain_id = chain.chain.chain_id;
    let halt = CancellationToken::new();
    let Some(state_manager) = chain.state_manager else {
        return match chain.chain.open_bridge(&halt) {
            Ok(opened) => providers(chain_id, opened.client.as_ref()).await.0,
            Err(error) => vec![misset(chain_id, &error)],
        };
    };
    let opened = match chain.chain.open(state_manager, false, &halt) {
        Ok(opened) => opened,
        Err(error) => return vec![misset(chain_id, &error)],
    };
    let reader = opened.reader.as_ref();
    let (mut findings, head) = providers(chain_id, opened.client.as_ref()).await;
    if head.is_some() {
        let (manager, listed) = tokio::join!(
            values(chain_id, state_manager, reader),
            listing(chain, reader, home)
        );
        findings.extend([manager, listed]);
    }
    findings
}

/// Whether something can be proven of it.
async fn values(chain_id: u64, address: Address, reader: &dyn StateReader) -> Finding {
    let check = format!("chain {chain_id}, state manager");
    match reader.try_out().await {
        Ok(true) => Finding::ok(check, format!("{address}: its newest entry was read")),
        Ok(false) => Finding::ok(
            check,
            format!(
                "{address} answers; it has no recent entry by which history_slot would show to be right"
            ),
        ),
        Err(error) => Finding::error(
            check,
            format!("{address}: {error}"),
            "until then nothing is signed about that chain: mend what is named",
        ),
    }
}

/// Whether the home chain's directory means this chain, and this contract.
async fn listing(chain: &ChainSettings, reader: &dyn StateReader, home: &HomeSettings) -> Finding {
    let check = format!("chain {}, directory", chain.chain.chain_id);
    let halt = CancellationToken::new();
    let opened = home
        .chain
        .open_home(home.registry, home.epoch_manager, &halt);
    let compared = match opened {
        Ok(home) => {
            home.client.connect().await;
            directory::difference(home.reader.as_ref(), reader, chain).await
        }
        Err(error) => Err(error),
    };
    match compared {
        Ok(None) => Finding::ok(check, "lists this chain and its state manager"),
        Ok(Some(why)) => Finding::error(
            check,
            why,
            "correct the settings of that chain, or have it listed: nothing is signed about it meanwhile",
        ),
        Err(error) => Finding::error(
            check,
            error,
            "mend the providers of the home chain, or of this one",
        ),
    }
}

fn misset(chain_id: u64, error: &ChainError) -> Finding {
    Finding::error(
        format!("chain {chain_id}"),
        error,
        "correct the settings of that chain",
    )
}

/// Each provider, the quorum, and the final head that they agree on.
async fn providers(chain_id: u64, client: &dyn ChainClient) -> (Vec<Finding>, Option<BlockRef>) {
    client.examine().await;
    let head = client.refresh().await;
    // Again, now that there is a block to compare and to ask about: twice, as one lost answer tells nothing.
    client.examine().await;
    client.examine().await;
    let state = client.providers();
    let check = format!("chain {chain_id}");
    let mut findings: Vec<Finding> = state
        .providers
        .iter()
        .map(|status| provider(chain_id, status, state.spare.is_none()))
        .collect();
    findings.push(quorum(&check, &state));
    match &head {
        Ok(head) => findings.push(Finding::ok(format!("{check}, final head"), format!("block {}", head.number))),
        Err(error) => findings.push(Finding::error(
            format!("{check}, final head"),
            error,
            "until providers agree this node signs nothing about that chain: mend or replace those that fail",
        )),
    }
    (findings, head.ok())
}

fn provider(chain_id: u64, status: &ProviderStatus, lost: bool) -> Finding {
    let check = format!("provider {chain_id}, {}", status.provider);
    let by = format!("run by {}", status.by);
    if status.health == ProviderHealth::Ok {
        let latency = status.latency_p99.unwrap_or_default();
        let shown = format::millis(latency.as_secs_f64() * 1_000.0);
        let height = status
            .height
            .map_or_else(|| "height unknown".into(), |h| format!("block {h}"));
        let level = Finding::graded(&latency, LATENCY);
        let cure = "use a provider that is nearer or faster: answers after 2 s count as a no";
        return Finding::at(
            level,
            check,
            format!("ok, {by}, {height}, answers within {shown}"),
            cure,
        );
    }
    let why = status.problem.clone().unwrap_or_default();
    let found = format!("{}, {by}: {why}", status.health);
    let grave = matches!(
        status.health,
        ProviderHealth::WrongChain | ProviderHealth::Contradicts
    );
    let level = if lost || grave {
        Level::Error
    } else {
        Level::Warning
    };
    Finding::at(level, check, found, cure(status.health))
}

const fn cure(health: ProviderHealth) -> &'static str {
    match health {
        ProviderHealth::Ok | ProviderHealth::Unknown => "ask again in a moment",
        ProviderHealth::Unfit => {
            "use one that keeps the state of the final block and serves these calls, or a plan with them"
        }
        ProviderHealth::Lagging | ProviderHealth::Syncing => {
            "wait until it has caught up, or replace it"
        }
        ProviderHealth::Failing => {
            "is its URL right, its key valid, the network open? Else replace it"
        }
        ProviderHealth::Hanging => "it takes requests and does not answer: replace it",
        ProviderHealth::RateLimited => "take a plan with more requests, or another provider",
        ProviderHealth::WrongChain => "correct its URL or the chain id",
        ProviderHealth::Contradicts => {
            "find out whether it lies or the others do, and replace who does"
        }
    }
}

fn quorum(check: &str, state: &Providers) -> Finding {
    let check = format!("{check}, quorum");
    let (configured, required) = (state.providers.len(), state.required);
    let well = state
        .providers
        .iter()
        .filter(|p| p.health == ProviderHealth::Ok)
        .count();
    let runners = match state.min_runners {
        0 | 1 => String::new(),
        runners => format!(" run by {runners} different ones"),
    };
    let found =
        format!("{well} of {configured} providers are well, {required}{runners} must agree");
    match (configured, state.spare) {
        (_, None) => Finding::error(
            check,
            found,
            "mend or replace those that fail: nothing is signed meanwhile",
        ),
        (1, _) => Finding::warning(
            check,
            found,
            "one provider alone is believed whatever it says: add two of other companies",
        ),
        (_, Some(0)) => Finding::warning(
            check,
            format!("{found}: none may fail"),
            "mend those that fail, or add another one",
        ),
        (_, Some(_)) if state.min_runners < 2 => {
            let by = state
                .providers
                .first()
                .map_or_else(String::new, |p| p.by.clone());
            let found = format!("{found}; all are run by {by}");
            Finding::warning(
                check,
                found,
                "who runs all of them can lie with all of them: add one of another company, or say by whom each is run",
            )
        }
        (_, Some(spare)) => Finding::ok(check, format!("{found}, {spare} may fail")),
    }
}

async fn home(
    settings: &HomeSettings,
    operator: Option<Address>,
    key: Option<Address>,
) -> Vec<Finding> {
    let chain_id = settings.chain.chain_id;
    let (registry, epochs) = (settings.registry, settings.epoch_manager);
    let opened = match settings
        .chain
        .open_home(registry, epochs, &CancellationToken::new())
    {
        Ok(opened) => opened,
        Err(error) => return vec![misset(chain_id, &error)],
    };
    let (mut findings, head) = providers(chain_id, opened.client.as_ref()).await;
    if let Some(head) = head {
        findings.extend(contracts(opened.reader.as_ref(), head, operator, key).await);
    }
    findings
}

async fn contracts(
    home: &dyn HomeReader,
    head: BlockRef,
    operator: Option<Address>,
    key: Option<Address>,
) -> Vec<Finding> {
    let epoch = match home.schedule().await {
        Ok(schedule) => schedule.epoch_at(head.number),
        Err(error) => {
            let cure = "correct epoch_manager, or the providers of the home chain";
            return vec![Finding::error("epoch manager", error, cure)];
        }
    };
    let mut findings = vec![Finding::ok("epoch manager", format!("epoch {epoch}"))];
    if let Err(error) = registry(home, epoch, head).await {
        findings.push(Finding::error(
            "stake registry",
            error,
            "correct registry, or the providers of the home chain",
        ));
        return findings;
    }
    let Some(operator) = operator else {
        findings.push(Finding::ok("stake registry", "answers"));
        return findings;
    };
    let now = home.operator(epoch, operator, head.hash).await;
    let next = home.operator(epoch.next(), operator, head.hash).await;
    findings.push(match (now, next) {
        (Ok(now), Ok(next)) => registration(&now, &next, key),
        (Err(error), _) | (_, Err(error)) => Finding::error(
            "stake registry",
            error,
            "correct registry, or the providers of the home chain",
        ),
    });
    findings
}

/// Everything that a node asks the registry, so that one of another make is told by what it lacks.
async fn registry(home: &dyn HomeReader, epoch: Epoch, head: BlockRef) -> Result<(), ChainError> {
    home.minimum_weight().await?;
    home.withdrawal().await?;
    home.operator_set(epoch, head.hash).await?;
    home.chain_entry(0).await?;
    let recent = head.number.saturating_sub(RECENT);
    home.registrations(recent, head.number).await.map(drop)
}

/// The operator in this epoch and in the next.
fn registration(now: &Operator, next: &Operator, key: Option<Address>) -> Finding {
    let check = "registration";
    let who = now.address;
    let fits = |operator: &Operator| key.is_none_or(|key| operator.signing_key == key);
    let key = key.map_or_else(String::new, |key| key.to_string());
    if now.weight.is_zero() && next.weight.is_zero() {
        let cure = "register and stake: `node register`; or correct operator or registry";
        return Finding::error(
            check,
            format!("{who} has no stake in this epoch or the next"),
            cure,
        );
    }
    if now.weight.is_zero() {
        let found = format!(
            "{who} has stake from the next epoch on, with the key {}",
            next.signing_key
        );
        return match fits(next) {
            true => Finding::warning(check, found, "wait for the next epoch"),
            false => Finding::error(
                check,
                format!("{found}; this node has {key}"),
                "load that key (signing_key), or register this one: `node change-key`",
            ),
        };
    }
    if fits(now) {
        return with_the_key(now, next, fits(next));
    }
    let found = format!(
        "{who} is registered with the key {}, this node has {key}",
        now.signing_key
    );
    match fits(next) {
        true => Finding::warning(
            check,
            found,
            "this node's key counts from the next epoch on: wait",
        ),
        false => Finding::error(
            check,
            found,
            "load the registered key (signing_key), or register this one: `node change-key`",
        ),
    }
}

/// The operator, which has stake and the node's key in this epoch.
fn with_the_key(now: &Operator, next: &Operator, fits_next: bool) -> Finding {
    let check = "registration";
    let found = format!("{} has weight {}", now.address, format::amount(now.weight));
    if next.weight.is_zero() {
        let cure = "if that is not meant, stake or register again; else keep it running until then";
        return Finding::warning(
            check,
            format!("{found}, and none from the next epoch on"),
            cure,
        );
    }
    match fits_next {
        true => Finding::ok(check, found),
        false => Finding::warning(
            check,
            format!(
                "{found}, and signs with {} from the next epoch on",
                next.signing_key
            ),
            "have that key ready, and start with it in the next epoch (signing_key)",
        ),
    }
}

#[cfg(test)]
mod tests {
    use quorate_proto::U256;

    use super::*;

    #[test]
    fn a_registration_has_the_right_key_or_a_cure() {
        let (a, b) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let operator = |signing_key, weight: u64| Operator {
            address: Address::repeat_byte(9),
            signing_key,
            weight: U256::from(weight),
        };
        let table = [
            (operator(a, 5), operator(a, 5), Some(a), Level::Ok),
            (operator(a, 5), operator(a, 5), None, Level::Ok),
            (operator(a, 5), operator(b, 5), Some(a), Level::Warning),
            (operator(b, 5), operator(a, 5), Some(a), Level::Warning),
            (operator(b, 5), operator(b, 5), Some(a), Level::Error),
            (operator(a, 0), operator(a, 5), Some(a), Level::Warning),
            (operator(a, 0), operator(b, 5), Some(a), Level::Error),
            (operator(a, 0), operator(a, 0), Some(a), Level::Error),
            (
                operator(a, 5),
                operator(Address::ZERO, 0),
                Some(a),
                Level::Warning,
            ),
        ];
        for (now, next, key, level) in table {
            let found = registration(&now, &next, key);
            assert_eq!(found.level, level, "{found:?}");
            assert_eq!(found.cure.is_some(), level != Level::Ok);
        }
    }

    #[test]
    fn a_quorum_at_risk_is_told_before_it_is_lost() {
        let status = |health| ProviderStatus {
            provider: "https://h.org".into(),
            by: "acme".into(),
            client: None,
            health,
            since: Duration::ZERO,
            problem: Some("answered with HTTP status 429".into()),
            last_error: None,
            height: Some(7),
            lag: None,
            requests: [0; 6],
            contradictions: 0,
            lies: 0,
            error_rate: None,
            latency_p50: None,
            latency_p99: None,
        };
        let state = |healths: &[ProviderHealth], required, min_runners, spare| Providers {
            required,
            min_runners,
            spare,
            providers: healths.iter().copied().map(status).collect(),
        };
        let (ok, bad) = (ProviderHealth::Ok, ProviderHealth::RateLimited);
        let table = [
            (state(&[ok, ok, ok], 2, 2, Some(1)), Level::Ok),
            (state(&[ok, ok, ok], 2, 1, Some(1)), Level::Warning),
            (state(&[ok, ok, bad], 2, 2, Some(0)), Level::Warning),
            (state(&[ok, bad, bad], 2, 2, None), Level::Error),
            (state(&[ok], 1, 1, Some(0)), Level::Warning),
            (state(&[bad], 1, 1, None), Level::Error),
        ];
        for (state, level) in table {
            let found = quorum("chain 1", &state);
            assert_eq!(found.level, level, "{found:?}");
        }
        assert_eq!(provider(1, &status(bad), false).level, Level::Warning);
        assert_eq!(provider(1, &status(bad), true).level, Level::Error);
        assert_eq!(
            provider(1, &status(ProviderHealth::Contradicts), false).level,
            Level::Error
        );
        assert_eq!(provider(1, &status(ok), true).level, Level::Ok);
    }
}
