//! How old a certificate is, and whether the stake behind it can still be reached.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use alloy::providers::{Provider as _, ProviderBuilder};
use quorate_chain::contracts::{EpochManager, StakeRegistry};
use quorate_proto::{Domain, Epoch, OperatorSet, Statement};
use serde_json::{Value, json};

use super::{VerifyArgs, parsed};
use crate::exit::Expired;
use crate::format;
use crate::light::Light;
use crate::output;

/// The age of a certificate, counted from when the set of its epoch was fixed: stake that counts in it cannot have
/// been asked back before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Age {
    /// When the set was fixed, in Unix seconds.
    fixed_at: u64,
    /// Seconds for which certificates hold; `None` where that is not known.
    lifetime: Option<u64>,
    /// Unix seconds of the look.
    now: u64,
}

impl Age {
    /// By a set and the clock of this machine; `None` where the set does not say when it was fixed.
    pub(super) fn of(set: &OperatorSet, lifetime: Option<u64>) -> Option<Self> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        (set.fixed_at() > 0).then_some(Self {
            fixed_at: set.fixed_at(),
            lifetime,
            now: since.map_or(0, |since| since.as_secs()),
        })
    }

    fn seconds(&self) -> u64 {
        self.now.saturating_sub(self.fixed_at)
    }

    /// Seconds for which it still holds; `None` where it holds no more.
    fn left(&self) -> Option<Option<u64>> {
        let lifetime = self.lifetime?;
        Some(lifetime.checked_sub(self.seconds()))
    }

    pub(super) fn conclude(&self) -> anyhow::Result<()> {
        match self.left() {
            Some(None) => Err(Expired(format!(
                "the signatures hold, but the set behind them was fixed {} ago: its stake may have been withdrawn since, \
                 so nothing stands behind them; have the value certified again",
                format::seconds(self.seconds())
            ))
            .into()),
            Some(Some(_)) => Ok(()),
            None => {
                output::note("How long certificates of this network hold is not known here: check on chain with --rpc, or give \
                     --lifetime. Older ones have no stake behind them.");
                Ok(())
            }
        }
    }

    pub(super) fn as_value(&self) -> Value {
        json!({
            "seconds": self.seconds(),
            "set_fixed_at": self.fixed_at,
            "valid_until": self.lifetime.map(|lifetime| self.fixed_at.saturating_add(lifetime)),
            "expired": self.left().map(|left| left.is_none()),
        })
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", format::seconds(self.seconds()))?;
        match self.left() {
            Some(Some(left)) => write!(f, ", holds for {} more", format::seconds(left)),
            Some(None) => write!(f, ", expired"),
            None => Ok(()),
        }
    }
}

/// By the contracts, and the clock of their chain; `None` where they limit no age.
pub(super) async fn on_chain(
    args: &VerifyArgs,
    domain: &Domain,
    light: Option<&Light>,
    statement: &Statement,
) -> anyhow::Result<Option<Age>> {
    match light {
        Some(light) => of_light(light, statement.epoch()).await,
        None => of_home(args, domain, statement.epoch()).await,
    }
}

async fn of_light(light: &Light, epoch: Epoch) -> anyhow::Result<Option<Age>> {
    let fixed_at = light.time_of(epoch).await?;
    let (lifetime, now) = tokio::try_join!(light.lifetime(), light.clock())?;
    Ok((fixed_at > 0).then_some(Age {
        fixed_at,
        lifetime: Some(lifetime),
        now,
    }))
}

/// A registry of another make, or an epoch to come, gives no age; whether the certificate holds is for it to say.
async fn of_home(args: &VerifyArgs, domain: &Domain, epoch: Epoch) -> anyhow::Result<Option<Age>> {
    let Some(url) = &args.rpc else {
        return Ok(None);
    };
    let provider = ProviderBuilder::new().connect_http(parsed(url)?).erased();
    let registry = StakeRegistry::new(domain.registry(), provider.clone());
    let (Ok(lifetime), Ok(manager)) = (
        registry.certificateLifetime().call().await,
        registry.epochManager().call().await,
    ) else {
        return Ok(None);
    };
    let schedule = EpochManager::new(manager, provider.clone());
    let fixing = match epoch.previous() {
        Some(before) => schedule
            .getEpochInterval(before.0)
            .call()
            .await
            .map(|i| i.graceStart),
        None => schedule.genesisBlock().call().await,
    };
    let time = async |number| {
        let block = provider.get_block_by_number(number).await.ok().flatten();
        block.map(|block| block.header.timestamp)
    };
    let Ok(fixing) = fixing else { return Ok(None) };
    let (Some(fixed_at), Some(now)) = (
        time(fixing.into()).await,
        time(alloy::eips::BlockNumberOrTag::Latest).await,
    ) else {
        return Ok(None);
    };
    Ok(Some(Age {
        fixed_at,
        lifetime: Some(lifetime),
        now,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit;

    fn age(now: u64, lifetime: Option<u64>) -> Age {
        Age {
            fixed_at: 1_000,
            lifetime,
            now,
        }
    }

    #[test]
    fn a_certificate_holds_for_its_lifetime_and_not_a_second_longer() {
        assert!(age(1_000, Some(300)).conclude().is_ok());
        assert!(age(1_300, Some(300)).conclude().is_ok());
        let error = age(1_301, Some(300)).conclude().expect_err("expired");
        assert_eq!(exit::code_of(&error), exit::EXPIRED);
        // Without a limit there is no verdict.
        assert!(age(9_999_999, None).conclude().is_ok());
    }

    #[test]
    fn the_age_is_told_with_what_is_left() {
        assert_eq!(
            age(1_060, Some(300)).to_string(),
            "1 min 0 s, holds for 4 min 0 s more"
        );
        assert!(age(2_000, Some(300)).to_string().ends_with(", expired"));
        let value = age(1_060, Some(300)).as_value();
        assert_eq!(value["valid_until"], 1_300);
        assert_eq!(value["expired"], false);
        assert_eq!(age(1_060, None).as_value()["expired"], Value::Null);
    }
}
