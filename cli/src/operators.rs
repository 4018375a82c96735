//! `node operators`: the operator set of the current epoch, from a node of one's own or from any
//! operator; its JSON is the set that `node verify --set` reads.

use std::path::Path;

use anyhow::Context as _;
use clap::Args;
use libp2p::Multiaddr;
use quorate_node::api::{OperatorLine, Operators, Status};
use quorate_node::client::Client;
use quorate_node::keys::read_text;
use quorate_proto::{Address, Epoch, Operator, OperatorSet, U256, threshold_of, wire};
use serde::{Deserialize, Serialize};

use crate::format;
use crate::http::NodeArgs;
use crate::output;
use crate::table::{Facts, Table};

#[derive(Args, Debug)]
pub(crate) struct OperatorsArgs {
    /// Multiaddr of an operator to ask instead of a node of one's own
    #[arg(long, value_name = "MULTIADDR")]
    to: Option<Multiaddr>,

    /// Network id, where the operator at --to serves several
    #[arg(long, value_name = "ID", requires = "to")]
    network: Option<String>,

    #[command(flatten)]
    node: NodeArgs,
}

/// A set, and whose it is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SetFile {
    /// `<home chain id>-<registry>`.
    #[serde(default)]
    pub(crate) network: Option<String>,
    #[serde(flatten)]
    pub(crate) operators: Operators,
}

pub(crate) async fn run(args: OperatorsArgs) -> anyhow::Result<()> {
    let set = match &args.to {
        Some(address) => ask(address, args.network.as_deref()).await?,
        None => SetFile {
            operators: args.node.get("/operators").await?,
            network: Some(args.node.get::<Status>("/status").await?.network),
        },
    };
    match args.node.json {
        true => output::json(&set)?,
        false => output::text(render(&set))?,
    }
    Ok(())
}

async fn ask(address: &Multiaddr, network: Option<&str>) -> anyhow::Result<SetFile> {
    let client = Client::connect(address, network)
        .await
        .context("correct --to, or ask another operator")?;
    let list = client.operators().await?;
    Ok(SetFile {
        network: Some(client.network().to_owned()),
        operators: Operators {
            epoch: list.epoch,
            total_weight: weight(&list.total_weight),
            threshold: threshold(&list.total_weight),
            fixed_at: list.fixed_at,
            operators: list.operators.iter().map(line).collect(),
            members: Vec::new(),
        },
    })
}

fn line(entry: &wire::OperatorEntry) -> OperatorLine {
    let hex = |bytes: &[u8]| format!("0x{}", hex::encode(bytes));
    let address = |bytes: &[u8]| {
        Address::try_from(bytes).map_or_else(|_| hex(bytes), |address| address.to_string())
    };
    OperatorLine {
        operator: address(&entry.operator),
        signing_key: address(&entry.signing_key),
        weight: weight(&entry.weight),
        peer_id: (!entry.peer_id.is_empty()).then(|| entry.peer_id.clone()),
        published: None,
    }
}

fn weight(bytes: &[u8]) -> String {
    U256::try_from_be_slice(bytes)
        .unwrap_or_default()
        .to_string()
}

fn threshold(total: &[u8]) -> String {
    let total = U256::try_from_be_slice(total).unwrap_or_default();
    threshold_of(total).to_string()
}

pub(crate) fn render(set: &SetFile) -> String {
    let Operators {
        epoch,
        total_weight,
        threshold,
        operators,
        ..
    } = &set.operators;
    let total: U256 = total_weight.parse().unwrap_or_default();
    let share = |weight: &str| format::percent(weight.parse().unwrap_or_default(), total);
    let mut facts = Facts::default();
    facts.add_some("Network", set.network.as_ref());
    facts.add("Epoch", epoch);
    facts.add("Operators", operators.len());
    facts.add("Weight", format::amount_text(total_weight));
    facts.add(
        "Threshold",
        format!("{} ({})", format::amount_text(threshold), share(threshold)),
    );
    let mut table = Table::new(&["OPERATOR", ">WEIGHT", ">SHARE", "SIGNING KEY", "PEER"]);
    for line in operators {
        table.row([
            line.operator.clone(),
            format::amount_text(&line.weight),
            share(&line.weight),
            line.signing_key.clone(),
            line.peer_id.clone().unwrap_or_default(),
        ]);
    }
    format!("{facts}\n{table}")
}

impl From<(&OperatorSet, &str)> for SetFile {
    fn from((set, network): (&OperatorSet, &str)) -> Self {
        let list = wire::OperatorList::from(set);
        Self {
            network: Some(network.to_owned()),
            operators: Operators {
                epoch: list.epoch,
                total_weight: weight(&list.total_weight),
                threshold: threshold(&list.total_weight),
                fixed_at: list.fixed_at,
                operators: list.operators.iter().map(line).collect(),
                members: Vec::new(),
            },
        }
    }
}

impl SetFile {
    /// Reads what `node operators --json` printed.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let text = read_text(path).with_context(|| format!("cannot read {shown}"))?;
        serde_json::from_str(&text).with_context(|| {
            format!("{shown} is no operator set; `node operators --json` prints one")
        })
    }

    /// The set, if it is one: a file with another threshold than the contract has is refused.
    pub(crate) fn set(&self) -> anyhow::Result<OperatorSet> {
        let set = &self.operators;
        let members = set
            .operators
            .iter()
            .map(member)
            .collect::<anyhow::Result<Vec<_>>>()?;
        let total = number("total_weight", &set.total_weight)?;
        let threshold = number("threshold", &set.threshold)?;
        let listed = members
            .iter()
            .fold(U256::ZERO, |sum, m| sum.saturating_add(m.weight));
        anyhow::ensure!(
            listed <= total && threshold == threshold_of(total),
            "the operator set contradicts itself: weights of {listed} in a total of {total} with \
             threshold {threshold}; fetch it again with `node operators --json`"
        );
        Ok(OperatorSet::new(
            Epoch(set.epoch),
            members,
            total,
            set.fixed_at,
        )?)
    }
}

fn member(line: &OperatorLine) -> anyhow::Result<Operator> {
    let address = |text: &str| {
        text.parse::<Address>()
            .with_context(|| format!("{text:?} is no address"))
    };
    Ok(Operator {
        address: address(&line.operator)?,
        signing_key: address(&line.signing_key)?,
        weight: number("weight", &line.weight)?,
    })
}

fn number(field: &str, text: &str) -> anyhow::Result<U256> {
    U256::from_str_radix(text, 10).with_context(|| format!("{field} {text:?} is no decimal number"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::certificate::tests::{NETWORK, set};

    /// The set of the certificates' tests, as a file.
    pub(crate) fn set_file() -> SetFile {
        let set = set();
        let line = |member: &Operator| OperatorLine {
            operator: member.address.to_string(),
            signing_key: member.signing_key.to_string(),
            weight: member.weight.to_string(),
            peer_id: None,
            published: None,
        };
        SetFile {
            network: Some(NETWORK.into()),
            operators: Operators {
                epoch: set.epoch().0,
                total_weight: set.total_weight().to_string(),
                threshold: set.threshold().to_string(),
                fixed_at: set.fixed_at(),
                operators: set.members().iter().map(line).collect(),
                members: Vec::new(),
            },
        }
    }

    #[test]
    fn a_set_comes_back_from_its_file() {
        let text = serde_json::to_string(&set_file()).expect("JSON");
        let read: SetFile = serde_json::from_str(&text).expect("read");
        assert_eq!(read.set().expect("a set"), set());
    }

    #[test]
    fn a_set_that_asks_for_too_little_is_refused() {
        let mut file = set_file();
        file.operators.threshold = "400".into();
        assert!(file.set().is_err());
        let mut file = set_file();
        file.operators.total_weight = "300".into();
        assert!(file.set().is_err());
    }

    #[test]
    fn operators_stand_in_a_table() {
        let text = render(&set_file());
        let expected = "\
Network    31337-5fbdb2315678afecb367f032d93f642f64180aa3
Epoch      7
Operators  3
Weight     600
Threshold  401 (66.8 %)

OPERATOR                                    WEIGHT   SHARE  SIGNING KEY
0x0101010101010101010101010101010101010101     100  16.6 %  0x";
        assert!(text.starts_with(expected), "{text}");
    }
}
