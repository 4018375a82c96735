//! `node providers`: how the RPC providers of a running node fare.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use quorate_node::api::{ChainProviders, ProviderLine};

use crate::exit::NegativeAnswer;
use crate::format;
use crate::http::NodeArgs;
use crate::output;
use crate::table::Table;

#[derive(Args, Debug)]
pub(crate) struct ProvidersArgs {
    #[command(flatten)]
    node: NodeArgs,
}

pub(crate) async fn run(args: ProvidersArgs) -> anyhow::Result<()> {
    let chains: Vec<ChainProviders> = args.node.get("/providers").await?;
    if args.node.json {
        output::json(&chains)?;
    } else {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        output::text(render(&chains, now))?;
    }
    let lost: Vec<String> = chains
        .iter()
        .filter(|chain| chain.spare.is_none())
        .map(|chain| chain.chain_id.to_string())
        .collect();
    match lost.as_slice() {
        [] => Ok(()),
        lost => Err(NegativeAnswer(format!(
            "nothing can be certified about chain {}: too few providers are well, or it is set wrong",
            lost.join(", ")
        ))
        .into()),
    }
}

fn render(chains: &[ChainProviders], now: u64) -> String {
    let mut table = Table::new(&[
        ">CHAIN", "PROVIDER", "BY", "CLIENT", "STANDING", ">FOR", ">HEIGHT", ">LAG", ">ERRORS",
        ">LIES", ">P50", ">P99", "PROBLEM",
    ]);
    for chain in chains {
        for line in &chain.providers {
            table.row(row(chain.chain_id, line, now));
        }
    }
    let rules: String = chains.iter().map(rule).collect();
    format!("{table}\n{rules}")
}

fn row(chain_id: u64, line: &ProviderLine, now: u64) -> [String; 13] {
    let number = |number: Option<u64>| number.map_or_else(String::new, |n| n.to_string());
    let time = |ms: Option<f64>| ms.map_or_else(String::new, format::millis);
    let errors = |rate: f64| format!("{:.0} %", rate * 100.0);
    [
        chain_id.to_string(),
        line.provider.clone(),
        line.by.clone(),
        line.client.clone().unwrap_or_default(),
        line.standing.replace('_', " "),
        format::seconds(now.saturating_sub(line.since_ms) / 1_000),
        number(line.height),
        number(line.lag),
        line.error_rate.map_or_else(String::new, errors),
        // The column is there once a provider lied.
        number(Some(line.lies).filter(|lies| *lies > 0)),
        time(line.latency_p50_ms),
        time(line.latency_p99_ms),
        line.problem.clone().unwrap_or_default(),
    ]
}

/// What must agree, and how far that is from being lost.
pub(crate) fn rule(chain: &ChainProviders) -> String {
    let runners = match chain.min_runners {
        0 | 1 => String::new(),
        runners => format!(", run by {runners} different ones"),
    };
    let spare = match chain.spare {
        None => "they cannot".to_owned(),
        Some(0) => "none may fail".to_owned(),
        Some(spare) => format!("{spare} may fail"),
    };
    let problem = match &chain.problem {
        Some(problem) => format!("  {problem}\n"),
        None => String::new(),
    };
    format!(
        "Chain {}: {} of {} are well; {} must agree{runners}; {spare}\n{problem}",
        chain.chain_id, chain.ok, chain.configured, chain.required
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn providers_stand_in_a_table() {
        let provider = |host: &str, by: &str, standing: &str, problem: Option<&str>| ProviderLine {
            provider: format!("https://{host}"),
            by: by.into(),
            client: None,
            standing: standing.into(),
            since_ms: 1_000,
            problem: problem.map(str::to_owned),
            last_error: None,
            last_error_ms: None,
            height: Some(1_204),
            lag: Some(0),
            requests: BTreeMap::new(),
            contradictions: u64::from(problem.is_some()),
            lies: u64::from(problem.is_some()),
            error_rate: Some(if problem.is_some() { 1.0 } else { 0.0 }),
            latency_p50_ms: Some(12.0),
            latency_p99_ms: Some(1_250.0),
        };
        let chain = ChainProviders {
            chain_id: 10,
            kind: "source".into(),
            required: 2,
            min_runners: 2,
            configured: 3,
            ok: 2,
            spare: Some(0),
            problem: None,
            providers: vec![
                provider("a.org", "acme", "ok", None),
                provider(
                    "b.org",
                    "b.org",
                    "rate_limited",
                    Some("answered with HTTP status 429"),
                ),
            ],
        };
        let expected = "\
CHAIN  PROVIDER       BY     STANDING      FOR  HEIGHT  LAG  ERRORS  LIES    P50     P99  PROBLEM
   10  https://a.org  acme   ok            4 s    1204    0     0 %        12 ms  1.25 s
   10  https://b.org  b.org  rate limited  4 s    1204    0   100 %     1  12 ms  1.25 s  answered with HTTP status 429

Chain 10: 2 of 3 are well; 2 must agree, run by 2 different ones; none may fail
";
        assert_eq!(render(std::slice::from_ref(&chain), 5_000), expected);
        let ill = ChainProviders {
            spare: None,
            problem: Some("nothing is proven".into()),
            ..chain
        };
        let text = rule(&ill);
        assert!(
            text.ends_with("; they cannot\n  nothing is proven\n"),
            "{text}"
        );
    }
}
