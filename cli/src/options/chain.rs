//! One chain that an operator reads: a table in the file, a text on the command line.

use std::str::FromStr;

use quorate_chain::ChainFamily;
use quorate_node::settings::Role;
use quorate_node::settings::declare::{ParseError, Section, SettingValue, parse};
use serde_json::json;
use toml::{Table, Value};

use super::{NumberOrWord, POLL_MS, ProviderOptions, RunOptions, example_urls, redact};

/// The family of chains for which none is set, and of home chains.
pub(crate) const FAMILY: ChainFamily = ChainFamily::Evm;

quorate_node::settings! {
    /// One chain. On the command line its settings stand inside of `--chain`.
    pub(crate) struct ChainOptions {
        group "Chains" {
            /// EIP-155 id of the chain (on the command line: id).
            chain_id: u64 { example: || json!(10), required: true }

            /// JSON-RPC URLs of the chain (on the command line: rpc, once per URL). Labels as for
            /// home_rpc: 'https://host/key#by=acme&client=geth', or a table.
            rpc: Vec<ProviderOptions> { example: example_urls, required: true, see: "RPC providers" }

            /// How many of the URLs must give the same answer; more than half of them unless set, and never
            /// fewer.
            rpc_quorum: Option<usize> { example: || json!(2) }

            /// By how many different ones the providers that agree must be run; 2 unless set, where there
            /// are 2.
            rpc_min_runners: Option<usize> { example: || json!(2) }

            /// Address of the state manager on this chain. Operators need it on every EVM chain; without it,
            /// relayers serve bridges there.
            state_manager: Option<String> { example: || json!("0x4444444444444444444444444444444444444444") }

            /// When a block is final: "finalized" (unless set otherwise), or a number of confirmations.
            finality: Option<NumberOrWord> { default: |_| "finalized".into(), see: "Finality" }

            /// Milliseconds between two looks for a new head; 1000 unless set.
            poll_ms: Option<u64> { default: |_| POLL_MS.into() }

            /// How values are read: by "proof", which one provider shows and none can forge; by "vote" of
            /// rpc_quorum providers, for chains without eth_getProof; or "auto" (unless set otherwise): by
            /// vote once every provider has said that it has no proofs, and by proof until then.
            reads: Option<String> { default: |_| "auto".into() }

            /// Storage slot of the state manager's histories, a number or 0x and hexadecimal digits; 0, as in
            /// the StateManager of this repository, unless set.
            history_slot: Option<NumberOrWord> { default: |_| json!(0) }

            /// Whose blocks the contracts of the chain count: its "own" (unless set otherwise), or those of its
            /// "parent" chain, as on rollups of the Arbitrum kind whose state manager keeps block.number. Must
            /// be what the directory on the home chain says.
            block_numbers: Option<String> { default: |_| "own".into() }

            /// What sort of chain it is: "evm" (unless set otherwise), or "svm", of which bridges are read.
            family: Option<String> { default: |_| "evm".into() }

            /// The hash by which an SVM chain is known, base58, as getGenesisHash answers it; needed there, and nowhere
            /// else.
            genesis: Option<String> { example: || json!("5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d") }
        }
    }
}

impl Section for ChainOptions {
    const NAME: &'static str = "chains";
}

impl SettingValue for ChainOptions {
    const SECRET: bool = true;

    fn parse_text(text: &str) -> Result<serde_json::Value, ParseError> {
        parse::<Self>(text)
    }
}

impl ChainOptions {
    /// A setting that only the family of the chain knows, as it is written.
    pub(super) fn of_family(&self, name: &str) -> Option<String> {
        match name {
            "reads" => self.reads.clone(),
            "history_slot" => self.history_slot.as_ref().map(ToString::to_string),
            "block_numbers" => self.block_numbers.clone(),
            "genesis" => self.genesis.clone(),
            _ => None,
        }
    }
}

impl RunOptions {
    /// Whether it delivers to SVM chains, whose fees a key of their own pays.
    pub(crate) fn pays_on_svm(&self) -> bool {
        let mut families = self
            .chains
            .iter()
            .flatten()
            .filter_map(|chain| chain.family.as_deref());
        self.role == Some(Role::Relayer) && families.any(|family| family == "svm")
    }
}

/// Keys in a text that hold a list.
const LISTS: [&str; 1] = ["rpc"];

impl FromStr for ChainOptions {
    type Err = String;

    /// Reads `id=31338,rpc=http://a,rpc=http://b,state-manager=0x…`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err(
                "no chain stands between two ';' or behind the last; take that one away".into(),
            );
        }
        let mut table = Table::new();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let (key, value) = part
                .split_once('=')
                .ok_or("every part must be key=value, as in id=1,rpc=https://…")?;
            let key = match key.trim() {
                "id" => "chain_id".to_owned(),
                key => key.replace('-', "_"),
            };
            let value = scalar(value.trim());
            match (LISTS.contains(&key.as_str()), table.get_mut(&key)) {
                (true, Some(Value::Array(values))) => values.push(value),
                (true, _) => drop(table.insert(key, Value::Array(vec![value]))),
                (false, Some(_)) => return Err(format!("{key} is given twice")),
                (false, None) => drop(table.insert(key, value)),
            }
        }
        // With the key, on a line of its own.
        table
            .try_into()
            .map_err(|error: toml::de::Error| redact(&error.to_string()).trim().replace('\n', " "))
    }
}

fn scalar(text: &str) -> Value {
    let number = text.parse().ok().filter(|number| *number >= 0);
    number.map_or_else(|| Value::String(text.to_owned()), Value::Integer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_read_from_one_text() {
        let text = "id=31338, rpc=http://a/x?k=1#by=acme&client=geth,rpc=http://b,state-manager=0xab,finality=12,poll-ms=250,reads=proof,history-slot=0x1f,block-numbers=parent";
        let chain: ChainOptions = text.parse().expect("a chain");
        let expected = ChainOptions {
            chain_id: 31338,
            rpc: ["http://a/x?k=1#by=acme&client=geth", "http://b"]
                .map(|u| u.parse().expect("a URL"))
                .to_vec(),
            rpc_quorum: None,
            rpc_min_runners: None,
            state_manager: Some("0xab".into()),
            finality: Some(NumberOrWord::Number(12)),
            poll_ms: Some(250),
            reads: Some("proof".into()),
            history_slot: Some(NumberOrWord::Word("0x1f".into())),
            block_numbers: Some("parent".into()),
            family: None,
            genesis: None,
        };
        assert_eq!(chain.rpc[0].by.as_deref(), Some("acme"));
        assert_eq!(chain, expected);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("", "no chain stands between two ';'"),
            ("rpc=http://a", "missing field `chain_id`"),
            ("id=1", "missing field `rpc`"),
            ("id=1,rpc=http://a#of=x", "\"of\" is no label"),
            ("id=1,id=2", "chain_id is given twice"),
            ("id=1,rcp=http://a", "unknown field `rcp`"),
            ("http://a", "every part must be key=value"),
            (
                "id=one,rpc=http://a,state-manager=0x",
                "invalid type: string \"one\", expected u64 in `chain_id`",
            ),
        ] {
            let error = text.parse::<ChainOptions>().expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
