//! Joins and exits, from the registry's events.

use alloy::primitives::{Address, B256};
use alloy::sol_types::SolEvent;

use super::EvmClient;
use super::abi::registry::{OperatorDeregistered, OperatorRegistered};
use super::calls::Log;
use crate::lookup::Ranges;
use crate::rpc::ProviderError;
use crate::{At, ChainError, ReadLog, Registration};

/// What is looked for.
pub(super) const TOPICS: [B256; 2] = [
    OperatorRegistered::SIGNATURE_HASH,
    OperatorDeregistered::SIGNATURE_HASH,
];

/// All joins and exits at `registry` in these final blocks, both ends included.
pub(super) async fn registrations(
    client: &EvmClient,
    registry: Address,
    from: u64,
    to: u64,
) -> Result<Vec<Registration>, ChainError> {
    // Never at the head: an index that is still being built answers that nothing happened.
    let asked = At::Block(to);
    let snapshot = client.snapshot(asked, |head| head.number >= to).await?;
    let end = client
        .agreed(snapshot, to, &ReadLog::default())
        .await?
        .block;
    let mut found = Vec::new();
    let mut ranges = Ranges::new(from, to);
    while let Some((first, last)) = ranges.current() {
        let part = client
            .pool()
            .ask(|_, provider| async move {
                let topics = [TOPICS.to_vec()];
                let logs = provider.logs(registry, &topics, (first, last), end).await?;
                decode(registry, first, last, &logs)
            })
            .await;
        match part {
            Ok(part) => {
                found.extend(part);
                ranges.done();
            }
            Err(none) => {
                let smaller = none
                    .shrink_factor()
                    .is_some_and(|factor| ranges.shrink(factor));
                if !smaller {
                    return Err(none.into());
                }
            }
        }
    }
    client.still_valid(snapshot, found)
}

/// What one provider sent, in order, so that answers can be compared.
pub(super) fn decode(
    registry: Address,
    first: u64,
    last: u64,
    logs: &[Log],
) -> Result<Vec<Registration>, ProviderError> {
    let mut found = logs
        .iter()
        .map(|log| registration(registry, log))
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(stray) = found
        .iter()
        .find(|r| !(first..=last).contains(&r.block_number))
    {
        return Err(ProviderError::Malformed(format!(
            "an event of block {} for blocks {first} to {last}",
            stray.block_number
        )));
    }
    found.sort_unstable_by_key(|r| (r.block_number, r.log_index));
    Ok(found)
}

fn registration(registry: Address, log: &Log) -> Result<Registration, ProviderError> {
    let malformed = |detail: &str| ProviderError::Malformed(detail.to_owned());
    if log.address != registry || log.removed == Some(true) {
        return Err(malformed(
            "an event of another contract or of a removed block",
        ));
    }
    let [kind, operator, _, _] = log.topics.as_slice() else {
        return Err(malformed("a registration event without its four topics"));
    };
    let registered = match *kind {
        OperatorRegistered::SIGNATURE_HASH => true,
        OperatorDeregistered::SIGNATURE_HASH => false,
        _ => return Err(malformed("an event that was not asked for")),
    };
    if operator[..12] != [0; 12] {
        return Err(malformed("an operator that is no address"));
    }
    Ok(Registration {
        operator: Address::from_word(*operator),
        registered,
        block_number: log.block_number.to(),
        log_index: log.log_index.to(),
    })
}

#[cfg(test)]
mod tests;
