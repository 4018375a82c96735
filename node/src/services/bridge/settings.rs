//! The section `[bridge]`.

mod watching;

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use quorate_chain::ChainFamily;
use quorate_proto::{Address, B256, BridgePause, Route};
use quorate_protocols::delivery::STAGE_MS;
use serde_json::json;

pub use self::watching::collide;
use super::secret_text::SecretText;
use crate::settings::Role;
use crate::settings::declare::Section;

crate::settings! {
    /// What a node is told of bridges.
    pub struct BridgeSection {
        group "Bridge" {
            /// Routes that this node serves, each from a bridge that takes transfers in to one that pays them, as
            /// CHAIN:CONTRACT@BLOCK>CHAIN:CONTRACT. Chains by their ids in the directory of chains; contracts as
            /// addresses, or as 32 bytes where they are none; BLOCK is where the first contract was made, and 0 where it
            /// is left out. Chains on which routes begin are among those that the node reads.
            routes: Option<Vec<String>> {
                value: "ROUTE",
                example: || json!([EXAMPLE]),
            }

            /// Addresses of the relayers that take turns; all others come after them. Without any, every relayer waits
            /// up to a turn, each another time.
            relayers: Option<Vec<String>> {
                value: "ADDRESS",
                example: || json!(["0x1111111111111111111111111111111111111111"]),
                roles: &[Role::Relayer],
            }

            /// Milliseconds until the next one of them delivers what the one before has not.
            turn_ms: Option<u64> {
                value: "MS",
                default: |_| STAGE_MS.into(),
                roles: &[Role::Relayer],
            }

            /// Blocks on top of a transaction of this relayer until it counts as done.
            confirmations: Option<u64> {
                value: "BLOCKS",
                default: |_| 12.into(),
                roles: &[Role::Relayer],
            }

            /// Most that a unit of gas may cost, in gwei.
            max_fee_gwei: Option<u64> {
                value: "GWEI",
                default: |_| 500.into(),
                roles: &[Role::Relayer],
            }

            /// Most that one delivery may cost with all its attempts, in gwei.
            budget_gwei: Option<u64> {
                value: "GWEI",
                default: |_| 50_000_000.into(),
                roles: &[Role::Relayer],
            }

            /// Most that a compute unit may cost beyond the fee for signatures, on SVM chains, in millionths of a lamport.
            svm_max_price: Option<u64> {
                value: "MICROLAMPORTS",
                default: |_| 1_000_000.into(),
                roles: &[Role::Relayer],
            }

            /// Most that one transaction on an SVM chain may cost with all its attempts, in lamports; rent not counted.
            svm_budget: Option<u64> {
                value: "LAMPORTS",
                default: |_| 50_000_000.into(),
                roles: &[Role::Relayer],
            }

            /// Milliseconds between two looks at a target chain while something is to be sent there.
            poll_ms: Option<u64> {
                value: "MS",
                default: |_| 2_000.into(),
                roles: &[Role::Relayer],
            }
        }
        group "Bridge dashboards" {
            /// Address of the HTTP interface for routes from SVM to EVM chains; none unless set, 127.0.0.1:8081 is usual.
            http_s2e: Option<SocketAddr> {
                value: "ADDR",
                example: || json!("127.0.0.1:8081"),
                roles: &[Role::Relayer],
                see: "Watching a relayer",
            }

            /// The same for routes from EVM to SVM chains; 127.0.0.1:8082 is usual.
            http_e2s: Option<SocketAddr> {
                value: "ADDR",
                example: || json!("127.0.0.1:8082"),
                roles: &[Role::Relayer],
            }

            /// The same for routes between EVM chains.
            http_e2e: Option<SocketAddr> {
                value: "ADDR",
                example: || json!("127.0.0.1:8083"),
                roles: &[Role::Relayer],
            }

            /// Another address for the figures of routes from SVM to EVM chains alone, without key; none unless set.
            http_metrics_s2e: Option<SocketAddr> {
                value: "ADDR",
                example: || json!("127.0.0.1:9090"),
                roles: &[Role::Relayer],
            }

            /// The same for routes from EVM to SVM chains.
            http_metrics_e2s: Option<SocketAddr> {
                value: "ADDR",
                example: || json!("127.0.0.1:9091"),
                roles: &[Role::Relayer],
            }

            /// The same for routes between EVM chains.
            http_metrics_e2e: Option<SocketAddr> {
                value: "ADDR",
                example: || json!("127.0.0.1:9092"),
                roles: &[Role::Relayer],
            }

            /// The key that these interfaces want in the header X-API-Key, except for /health; none unless set. Better in the
            /// environment or the file than as a flag, which other users of the machine see.
            api_key: Option<SecretText> {
                value: "KEY",
                example: || json!("a long random text"),
                roles: &[Role::Relayer],
            }

            /// Origins whose pages may read these interfaces in a browser.
            cors: Option<Vec<String>> {
                value: "ORIGIN",
                example: || json!(["https://dashboard.example.org"]),
                roles: &[Role::Relayer],
            }

            /// The least that the payer on each EVM chain must have, as 0.05 ether or in gwei or wei: below it nothing is sent
            /// there until it has more. Warned is below twice as much. Not checked unless set.
            min_balance_evm: Option<String> {
                value: "AMOUNT",
                example: || json!("0.05 ether"),
                roles: &[Role::Relayer],
            }

            /// The same on SVM chains, as 0.5 sol or in lamports.
            min_balance_svm: Option<String> {
                value: "AMOUNT",
                example: || json!("0.5 sol"),
                roles: &[Role::Relayer],
            }

            /// Milliseconds between two looks at the balances; one more is at the start.
            balance_check_ms: Option<u64> {
                value: "MS",
                default: |_| BALANCE_CHECK_MS.into(),
                roles: &[Role::Relayer],
            }

            /// URL that alerts are posted to, as JSON; none unless set.
            alert_webhook: Option<SecretText> {
                value: "URL",
                example: || json!("https://hooks.example.org/KEY"),
                roles: &[Role::Relayer],
                see: "Watching a relayer",
            }
        }
    }
}

/// Between two looks at the balances: five minutes.
const BALANCE_CHECK_MS: u64 = 300_000;

const EXAMPLE: &str = "1:0x5FbDB2315678afecb367f032d93F642f64180aa3@21000000>10:0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512";

impl Section for BridgeSection {
    const NAME: &'static str = "bridge";

    fn problems(&self) -> Vec<(&'static str, String)> {
        let texts = self.routes.iter().flatten();
        let read = texts.filter_map(|text| text.parse::<RouteText>().err());
        let routes = read.map(|problem| ("routes", problem));
        let relayers = self.relayers.iter().flatten();
        let relayers = relayers.filter_map(|text| address_of(text).err());
        let deep = self
            .confirmations
            .filter(|blocks| *blocks > MOST_CONFIRMATIONS);
        let deep = deep.map(|_| format!("at most {MOST_CONFIRMATIONS}"));
        routes
            .chain(relayers.map(|problem| ("relayers", problem)))
            .chain(deep.map(|problem| ("confirmations", problem)))
            .chain(self.watching_problems())
            .collect()
    }
}

/// A relayer remembers one number for each of these blocks: a day of a chain with one every 12 s.
const MOST_CONFIRMATIONS: u64 = 7_200;

/// Wei in a gwei.
const GWEI: u128 = 1_000_000_000;
/// Millionths of a lamport in a lamport.
const MICRO: u128 = 1_000_000;

impl BridgeSection {
    /// Its routes, and the block from which on each may have transfers.
    #[must_use]
    pub fn routes(&self) -> Vec<RouteText> {
        let texts = self.routes.iter().flatten();
        texts.filter_map(|text| text.parse().ok()).collect()
    }

    /// Who takes turns.
    pub(super) fn relayers(&self) -> Vec<Address> {
        let texts = self.relayers.iter().flatten();
        texts.filter_map(|text| address_of(text).ok()).collect()
    }

    pub(super) fn turn_ms(&self) -> u64 {
        self.turn_ms.unwrap_or(STAGE_MS)
    }

    pub(crate) fn confirmations(&self) -> u64 {
        self.confirmations.unwrap_or(12)
    }

    /// In wei.
    pub(crate) fn max_fee(&self) -> u128 {
        GWEI.saturating_mul(self.max_fee_gwei.unwrap_or(500).into())
    }

    /// In the units of fees there: wei, or millionths of a lamport.
    pub(super) fn budget(&self, family: ChainFamily) -> u128 {
        match family {
            ChainFamily::Svm => MICRO.saturating_mul(self.svm_budget.unwrap_or(50_000_000).into()),
            _ => GWEI.saturating_mul(self.budget_gwei.unwrap_or(50_000_000).into()),
        }
    }

    /// In millionths of a lamport.
    pub(crate) fn svm_max_price(&self) -> u128 {
        self.svm_max_price.unwrap_or(1_000_000).into()
    }

    pub(crate) fn poll_ms(&self) -> u64 {
        self.poll_ms.unwrap_or(2_000).max(50)
    }
}

/// A route as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteText {
    /// From where to where.
    pub route: Route,
    /// No transfer was sent before this block of the source chain.
    pub first_block: u64,
}

impl FromStr for RouteText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (source, target) = text
            .split_once('>')
            .ok_or_else(|| format!("{text:?} is no route; write it as in {EXAMPLE}"))?;
        let (source, first_block) = source.split_once('@').unwrap_or((source, "0"));
        let first_block = first_block.trim().parse();
        let first_block =
            first_block.map_err(|_| format!("{text:?}: a block's number is wanted after the @"))?;
        let (source, target): (BridgePlace, BridgePlace) = (source.parse()?, target.parse()?);
        let route = Route {
            source_chain: source.chain,
            source_contract: source.contract,
            target_chain: target.chain,
            target_contract: target.contract,
        };
        Ok(Self { route, first_block })
    }
}

impl fmt::Display for RouteText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [source, target] = BridgePlace::of(&self.route);
        write!(f, "{source}@{}>{target}", self.first_block)
    }
}

/// A bridge, as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BridgePlace {
    /// Its chain, by the directory of chains.
    pub chain: u64,
    /// The contract there.
    pub contract: B256,
}

impl BridgePlace {
    /// The bridge that a vote is about.
    pub(crate) const fn about(vote: &BridgePause) -> Self {
        Self {
            chain: vote.chain_id,
            contract: vote.contract,
        }
    }

    /// Where a route begins, and where it ends.
    pub(super) const fn of(route: &Route) -> [Self; 2] {
        let source = Self {
            chain: route.source_chain,
            contract: route.source_contract,
        };
        let target = Self {
            chain: route.target_chain,
            contract: route.target_contract,
        };
        [source, target]
    }
}

impl FromStr for BridgePlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (chain, contract) = text
            .split_once(':')
            .ok_or_else(|| format!("{text:?} is no CHAIN:CONTRACT"))?;
        let chain = chain
            .trim()
            .parse()
            .map_err(|_| format!("{chain:?} is no chain id; write its number"))?;
        let contract = contract_of(contract.trim())?;
        Ok(Self { chain, contract })
    }
}

impl fmt::Display for BridgePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.chain, contract_text(self.contract))
    }
}

/// An address, or 32 bytes.
fn contract_of(text: &str) -> Result<B256, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.len() == 64 {
        return text
            .parse()
            .map_err(|_| format!("{text:?} is not 64 hexadecimal digits"));
    }
    let address = address_of(text);
    let address =
        address.map_err(|problem| format!("{problem}, and it is not 64 hexadecimal digits"))?;
    Ok(address.into_word())
}

/// Its checksum must hold where it is in mixed case.
fn address_of(text: &str) -> Result<Address, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mixed = digits.contains(char::is_lowercase) && digits.contains(char::is_uppercase);
    let address = match mixed {
        true => Address::parse_checksummed(text, None).ok(),
        false => text.parse().ok(),
    };
    address.ok_or_else(|| format!("{text:?} is no address with a right checksum"))
}

/// As people write a contract or an account: an address, or 32 bytes where it is none.
pub(crate) fn contract_text(contract: B256) -> String {
    match contract[..12].iter().all(|byte| *byte == 0) {
        true => Address::from_word(contract).to_string(),
        false => contract.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read_as_they_are_written() {
        let route: RouteText = EXAMPLE.parse().unwrap();
        let (first, chains) = (route.first_block, route.route);
        assert_eq!(
            (first, chains.source_chain, chains.target_chain),
            (21_000_000, 1, 10)
        );
        assert_eq!(route.to_string(), EXAMPLE);
        let svm = format!(
            "1:{:#x}>91024:0x{}",
            Address::repeat_byte(0xab),
            "d1".repeat(32)
        );
        let read: RouteText = svm.parse().unwrap();
        assert_eq!(read.route.target_contract, B256::repeat_byte(0xd1));
        assert_eq!(
            (read.first_block, read.to_string().parse::<RouteText>()),
            (0, Ok(read))
        );
        let spaced = EXAMPLE.replace('>', " > ");
        assert_eq!(spaced.parse::<RouteText>(), Ok(route));
    }

    #[test]
    fn mistakes_in_routes_are_named() {
        for (text, told) in [
            ("1:0xab", "is no route"),
            ("0xab>1:0xcd", "is no CHAIN:CONTRACT"),
            ("x:0xab>1:0xcd", "is no chain id"),
            ("1:0xab@x>1:0xcd", "a block's number"),
            ("1:0xab>1:0xcd", "not 64 hexadecimal digits"),
            (
                "1:0x5FbDB2315678afecb367f032d93F642f64180aA3>2:0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512",
                "right checksum",
            ),
        ] {
            let problem = text.parse::<RouteText>().unwrap_err();
            assert!(problem.contains(told), "{problem}");
            let section = BridgeSection {
                routes: Some(vec![text.to_owned()]),
                ..BridgeSection::default()
            };
            assert_eq!(section.problems().len(), 1);
        }
    }

    #[test]
    fn without_the_key_there_are_no_routes() {
        assert_eq!(BridgeSection::default().routes(), []);
        assert_eq!(BridgeSection::default().problems(), []);
    }
}
