//! Settings that are complete, and still leave the node open to attacks.

use std::net::IpAddr;

use quorate_chain::providers::ProviderConfig;
use quorate_chain::{ChainConfig, Finality};
use quorate_node::settings::Settings;

use super::finding::Finding;

/// What is wrong with how the chains are set; no request is made.
pub(super) fn examine(settings: &Settings) -> Vec<Finding> {
    let sources = settings.chains.iter().map(|chain| &chain.chain);
    std::iter::once(&settings.home.chain)
        .chain(sources)
        .flat_map(of_chain)
        .collect()
}

fn of_chain(chain: &ChainConfig) -> Vec<Finding> {
    let mut findings: Vec<Finding> = finality(chain).into_iter().collect();
    findings.extend(runners(chain));
    findings.extend(
        chain
            .rpc
            .iter()
            .filter_map(|one| transport(chain.chain_id, one)),
    );
    findings
}

fn finality(chain: &ChainConfig) -> Option<Finding> {
    if chain.finality != Finality::Confirmations(0) {
        return None;
    }
    Some(Finding::warning(
        format!("chain {}, finality", chain.chain_id),
        "every block counts as final at once, so that any reorganisation undoes what was signed",
        "set finality = \"finalized\", or as many confirmations as this chain has never reversed",
    ))
}

/// The first two that count as different runners and have one domain between them.
fn runners(chain: &ChainConfig) -> Option<Finding> {
    let providers = || chain.rpc.iter().enumerate();
    let same = |(index, one): (usize, &ProviderConfig)| {
        let domain = registrable(&one.url.host())?;
        let mut before = chain.rpc.iter().take(index);
        let other = before.find(|other| {
            other.runner() != one.runner()
                && registrable(&other.url.host()).as_ref() == Some(&domain)
        })?;
        Some((domain, other.runner(), one.runner()))
    };
    let (domain, one, other) = providers().find_map(same)?;
    Some(Finding::warning(
        format!("chain {}, runners", chain.chain_id),
        format!("{one} and {other} count as different runners, and both are of {domain}"),
        "if one company runs both, say so by the same label: `by`",
    ))
}

fn transport(chain_id: u64, provider: &ProviderConfig) -> Option<Finding> {
    if !provider.url.is_plain() || is_near(&provider.url.host()) {
        return None;
    }
    Some(Finding::warning(
        format!("provider {chain_id}, {}", provider.url),
        "asked by plain http: every hop on the way reads its key and can change its answers",
        "use its https URL",
    ))
}

/// The part of a host's name that was registered, as far as it can be told without the list of public
/// suffixes: two labels, or three where the last two are a suffix of a country, such as co.uk.
fn registrable(host: &str) -> Option<String> {
    let host = host.trim_end_matches('.');
    if address(host).is_some() {
        return None;
    }
    let labels: Vec<&str> = host.split('.').collect();
    let depth = match labels.as_slice() {
        [.., second, top] if top.len() == 2 && is_country_suffix(second) => 3,
        _ => 2,
    };
    let from = labels.len().checked_sub(depth)?;
    Some(labels.get(from..)?.join("."))
}

fn is_country_suffix(label: &str) -> bool {
    const SUFFIXES: [&str; 8] = ["ac", "co", "com", "edu", "gov", "ne", "net", "org"];
    SUFFIXES.contains(&label)
}

fn address(host: &str) -> Option<IpAddr> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.parse().ok()
}

/// This machine, or a network of one's own.
fn is_near(host: &str) -> bool {
    match address(host) {
        Some(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Some(IpAddr::V6(ip)) => match ip.to_ipv4_mapped() {
            Some(ip) => is_near(&ip.to_string()),
            None => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        },
        None => is_local_name(host.trim_end_matches('.')),
    }
}

/// Names that no public name server knows: one label, as in a network of containers, or reserved ones.
fn is_local_name(host: &str) -> bool {
    const RESERVED: [&str; 4] = ["localhost", "local", "internal", "home.arpa"];
    let below = |name: &&str| {
        host.strip_suffix(*name)
            .is_some_and(|rest| rest.ends_with('.'))
    };
    !host.contains('.') || RESERVED.iter().any(below)
}

#[cfg(test)]
mod tests {
    use quorate_chain::configure;
    use quorate_chain::rpc::RpcUrl;

    use super::*;
    use crate::doctor::finding::Level;
    use crate::options::FAMILY;

    fn chain(urls: &[&str], finality: Finality) -> ChainConfig {
        let urls = urls.iter().map(|url| url.parse::<RpcUrl>().expect("a URL"));
        let family = configure(FAMILY, &|_| None).expect("a family");
        ChainConfig::new(7, urls.collect(), finality, family)
    }

    /// What is found, as `check: found` in one text each.
    fn found(chain: &ChainConfig) -> Vec<String> {
        let findings = of_chain(chain);
        assert!(findings.iter().all(|one| one.level == Level::Warning));
        let text = |one: Finding| format!("{}: {}", one.check, one.found);
        findings.into_iter().map(text).collect()
    }

    #[test]
    fn a_chain_that_is_final_at_once_is_told() {
        let told = |finality| found(&chain(&["https://a.org"], finality)).len();
        assert_eq!(told(Finality::Confirmations(0)), 1);
        assert_eq!(told(Finality::Confirmations(1)), 0);
        assert_eq!(told(Finality::Finalized), 0);
    }

    #[test]
    fn one_company_is_not_two_runners() {
        let table: [(&[&str], bool); 6] = [
            (&["https://eth.acme.org/a", "https://rpc.acme.org/b"], true),
            (&["https://a.org", "https://b.org"], false),
            (&["https://x.acme.co.uk", "https://y.acme.co.uk"], true),
            (&["https://acme.co.uk", "https://other.co.uk"], false),
            (&["https://192.0.2.1", "https://198.51.2.1"], false),
            // One host is one runner anyway.
            (&["https://acme.org/a", "https://acme.org/b"], false),
        ];
        for (urls, told) in table {
            let findings = found(&chain(urls, Finality::Finalized));
            assert_eq!(!findings.is_empty(), told, "{urls:?} {findings:?}");
        }
        let mut labelled = chain(
            &["https://eth.acme.org", "https://rpc.acme.org"],
            Finality::Finalized,
        );
        for provider in &mut labelled.rpc {
            provider.by = Some("Acme".into());
        }
        assert!(found(&labelled).is_empty());
    }

    #[test]
    fn plain_http_is_for_near_hosts() {
        let near = [
            "http://127.0.0.1:8545",
            "http://[::1]:8545",
            "http://localhost",
            "http://10.1.2.3",
            "http://192.168.0.9:8545",
            "http://[fd00::1]",
            "http://geth:8545",
            "http://geth.internal",
            "https://rpc.example.org",
        ];
        for url in near {
            assert!(
                found(&chain(&[url], Finality::Finalized)).is_empty(),
                "{url}"
            );
        }
        for url in [
            "http://rpc.example.org/topsecret",
            "http://203.0.113.7:8545",
            "http://[2001:db8::1]",
            "http://localhost.example.org",
        ] {
            let findings = found(&chain(&[url], Finality::Finalized));
            assert!(findings.len() == 1, "{url} {findings:?}");
            assert!(!findings[0].contains("topsecret"), "{findings:?}");
        }
    }
}
