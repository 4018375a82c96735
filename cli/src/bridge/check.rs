//! What is looked at before coin or tokens are sent: a refusal costs nothing then.

use alloy::contract::Error as ContractError;
use alloy::primitives::Bytes;
use alloy::providers::{DynProvider, Provider as _};
use alloy::sol_types::{SolError as _, SolInterface as _};
use anyhow::{anyhow, bail, ensure};
use quorate_chain::contracts::Bridge::{
    BridgeErrors, BridgeInstance, InvalidAmount, InvalidDeadline, RouteShort,
};
use quorate_proto::{Address, B256, Route, U256};

use crate::exit::{NegativeAnswer, Usage};
use crate::format;
use crate::options::{address, redact};
use crate::transaction::plain;

/// Bytes of an account on a chain of the SVM family.
const SVM_ACCOUNT: usize = 32;

/// The tokens and coin of a sender.
mod token {
    #![allow(missing_docs, clippy::pedantic)]
    alloy::sol! {
        #[sol(rpc)]
        interface Erc20 {
            function balanceOf(address owner) external view returns (uint256);
            function allowance(address owner, address spender) external view returns (uint256);
            function approve(address spender, uint256 amount) external returns (bool);
        }
    }
}

pub(super) use token::Erc20::Erc20Instance;

/// A transfer that shall be sent.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) route: Route,
    pub(super) sender: Address,
    /// Zero for native coin.
    pub(super) token: Address,
    /// In the token's own units.
    pub(super) amount: U256,
    pub(super) receiver: Bytes,
    /// Unix seconds.
    pub(super) deadline: u64,
}

/// Limits of the target, where it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// More than this waits for the delay.
    pub(super) per_transfer: U256,
    /// What is paid at once now.
    pub(super) room: U256,
    /// Seconds that what finds no room waits at most.
    pub(super) delay: u64,
}

impl Limits {
    /// What a sender of `amount` has to expect; `None` where it is paid at once.
    pub(super) fn caution(&self, amount: U256) -> Option<String> {
        (amount > self.per_transfer || amount > self.room).then(|| {
            format!(
                "the target pays at most {} at once, and {} just now: this waits for room, at most {}",
                format::amount(self.per_transfer),
                format::amount(self.room),
                format::seconds(self.delay)
            )
        })
    }
}

/// An EVM address as all of these name it.
pub(super) fn is_address(contract: B256) -> bool {
    contract[..12].iter().all(|byte| *byte == 0)
}

/// The receiver as its chain writes it.
///
/// # Errors
/// It is none there, or the bridge itself.
pub(super) fn receiver_of(text: &str, target: B256) -> anyhow::Result<Bytes> {
    if !is_address(target) {
        let bytes = hex::decode(text.trim().trim_start_matches("0x")).unwrap_or_default();
        let text = format!(
            "{text:?} is no account of the target chain; write its 32 bytes as 64 hexadecimal digits"
        );
        ensure!(bytes.len() == SVM_ACCOUNT, Usage(text));
        return Ok(bytes.into());
    }
    let receiver = address(text).map_err(Usage)?;
    let is_paid = !receiver.is_zero() && receiver.into_word() != target;
    let text = format!("{receiver} cannot be paid: it is the zero address or the bridge itself");
    ensure!(is_paid, Usage(text));
    Ok(Bytes::copy_from_slice(receiver.as_slice()))
}

/// The bridge is there and runs, and the sender has what it sends.
///
/// # Errors
/// What is not so, as a "no".
pub(super) async fn check(
    bridge: &BridgeInstance<DynProvider>,
    wanted: &Wanted,
) -> anyhow::Result<()> {
    let (provider, at) = (bridge.provider(), *bridge.address());
    let chain = wanted.route.source_chain;
    let code = provider.get_code_at(at).await.map_err(plain)?;
    ensure!(
        !code.is_empty(),
        NegativeAnswer(format!("there is no contract at {at} on chain {chain}"))
    );
    let paused = bridge.paused().call().await.map_err(refused)?;
    let text = "the bridge is paused: it takes nothing in until its operators vote it on again";
    ensure!(!paused, NegativeAnswer(text.to_owned()));
    let held = match wanted.token.is_zero() {
        true => provider.get_balance(wanted.sender).await.map_err(plain)?,
        false => {
            let token = Erc20Instance::new(wanted.token, provider);
            token
                .balanceOf(wanted.sender)
                .call()
                .await
                .map_err(|_| NegativeAnswer(format!("{} is no token", wanted.token)))?
        }
    };
    let short = held < wanted.amount;
    ensure!(
        !short,
        NegativeAnswer(format!(
            "{} holds {held} of that token, which is less than {}",
            wanted.sender, wanted.amount
        ))
    );
    Ok(())
}

/// Asks the contract itself. Where the sender has not `allowed` it the amount yet, only as far as it comes without the token.
///
/// # Errors
/// It would refuse, as a "no".
pub(super) async fn would_take(
    bridge: &BridgeInstance<DynProvider>,
    wanted: &Wanted,
    allowed: bool,
) -> anyhow::Result<()> {
    let said = call(bridge, wanted).call().await;
    match said {
        Ok(_) => Ok(()),
        // The token is asked last.
        Err(error) if !allowed && name_of(&error).is_none() && is_revert(&error) => Ok(()),
        Err(error) => Err(refused(error)),
    }
}

/// The call that sends it.
pub(super) fn call<'a>(
    bridge: &'a BridgeInstance<DynProvider>,
    wanted: &Wanted,
) -> alloy::contract::CallBuilder<
    &'a DynProvider,
    std::marker::PhantomData<quorate_chain::contracts::Bridge::sendCall>,
> {
    let value = match wanted.token.is_zero() {
        true => wanted.amount,
        false => U256::ZERO,
    };
    let send = bridge.send(
        wanted.route.target_chain,
        wanted.route.target_contract,
        wanted.token,
        wanted.amount,
        wanted.receiver.clone(),
        wanted.deadline,
    );
    send.from(wanted.sender).value(value)
}

/// What the target allows, in units of the token here.
///
/// # Errors
/// The token does not go there, as a "no".
pub(super) async fn limits(
    bridge: &BridgeInstance<DynProvider>,
    target: &BridgeInstance<DynProvider>,
    wanted: &Wanted,
) -> anyhow::Result<Limits> {
    let (route, token) = (wanted.route, wanted.token.into_word());
    let id = target.idOf(route.source_chain, route.source_contract, token);
    let id = id.call().await.map_err(refused)?;
    let there = target.tokenOf(id).call().await.map_err(refused)?;
    let text = "the target bridge does not take that token from there, or not any more";
    ensure!(there.isOpen, NegativeAnswer(text.to_owned()));
    let room = target.roomOf(id).call().await.map_err(refused)?;
    let delay = target.limitDelay().call().await.map_err(refused)?;

    let token = there.token.into_word();
    let id = bridge.idOf(route.target_chain, route.target_contract, token);
    let id = id.call().await.map_err(refused)?;
    let here = bridge.tokenOf(id).call().await.map_err(refused)?;
    let unit = |unit: U256| unit.max(U256::from(1));
    let (unit_there, unit_here) = (unit(U256::from(there.unit)), unit(U256::from(here.unit)));
    let own = |amount: U256| (amount / unit_there).saturating_mul(unit_here);
    Ok(Limits {
        per_transfer: own(U256::from(there.perTransfer)),
        room: own(room),
        delay,
    })
}

fn is_revert(error: &ContractError) -> bool {
    error.as_revert_data().is_some()
}

fn name_of(error: &ContractError) -> Option<&'static str> {
    let reason = error.as_decoded_interface_error::<BridgeErrors>()?;
    BridgeErrors::name_by_selector(reason.selector())
}

/// The bridge's error with its cure, as a "no"; everything else without URLs.
pub(super) fn refused(error: ContractError) -> anyhow::Error {
    let Some(name) = name_of(&error) else {
        return anyhow!(redact(&error.to_string()));
    };
    let data = error.as_revert_data().unwrap_or_default();
    let text = match name {
        "UnknownToken" => {
            "that token does not go to that bridge, or not any more; look for another --token or --to"
                .to_owned()
        }
        "InvalidAmount" => InvalidAmount::abi_decode(&data).map_or_else(
            |_| name.to_owned(),
            |error| {
                let unit = error.unit;
                format!("the amount must be a multiple of {unit}, more than nothing, and below 2^112")
            },
        ),
        "InvalidDeadline" => InvalidDeadline::abi_decode(&data).map_or_else(
            |_| name.to_owned(),
            |error| {
                let (earliest, latest) = (error.earliest, error.latest);
                format!("the deadline must be between the Unix seconds {earliest} and {latest}")
            },
        ),
        "RouteShort" => RouteShort::abi_decode(&data).map_or_else(
            |_| name.to_owned(),
            |error| format!("only {} of it came in that way", error.held),
        ),
        "ReceivedLess" => {
            "the token takes a fee of what is sent; such tokens cannot be bridged".to_owned()
        }
        "IsPaused" => "the bridge is paused: it takes nothing in just now".to_owned(),
        name => name.to_owned(),
    };
    anyhow!(NegativeAnswer(format!("the bridge refuses: {text}")))
}

/// Between an hour and seven days away, with a minute for the transaction.
///
/// # Errors
/// It is not.
pub(super) fn deadline_of(now: u64, wanted: Option<u64>) -> anyhow::Result<u64> {
    const HOUR: u64 = 3_600;
    const MINUTE: u64 = 60;
    const DAY: u64 = 24 * HOUR;
    let Some(deadline) = wanted else {
        return Ok(now.saturating_add(DAY));
    };
    let (earliest, latest) = (now + HOUR + MINUTE, now + 7 * DAY);
    if !(earliest..=latest).contains(&deadline) {
        bail!(Usage(format!(
            "--deadline {deadline} is not between {earliest} and {latest}: an hour to seven days from now"
        )));
    }
    Ok(deadline)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_have_the_form_of_their_chain() {
        let evm = Address::repeat_byte(7).into_word();
        let svm = B256::repeat_byte(7);
        assert_eq!(
            receiver_of(&Address::repeat_byte(1).to_string(), evm)
                .unwrap()
                .len(),
            20
        );
        assert_eq!(receiver_of(&"ab".repeat(32), svm).unwrap().len(), 32);
        for (text, target) in [
            ("0x0000000000000000000000000000000000000000", evm),
            ("0x0707070707070707070707070707070707070707", evm),
            ("0x12", evm),
            ("0x1111111111111111111111111111111111111111", svm),
        ] {
            let error = receiver_of(text, target).unwrap_err();
            assert!(error.is::<Usage>(), "{text}: {error}");
        }
    }

    #[test]
    fn deadlines_are_an_hour_to_seven_days_away() {
        assert_eq!(deadline_of(1_000, None).unwrap(), 1_000 + 86_400);
        assert_eq!(deadline_of(1_000, Some(10_000)).unwrap(), 10_000);
        for wanted in [4_600, 1_000 + 8 * 86_400] {
            assert!(deadline_of(1_000, Some(wanted)).unwrap_err().is::<Usage>());
        }
    }

    #[test]
    fn what_is_beyond_a_limit_is_said_before() {
        let limits = Limits {
            per_transfer: U256::from(100),
            room: U256::from(50),
            delay: 3_600,
        };
        assert_eq!(limits.caution(U256::from(50)), None);
        for amount in [51, 101] {
            let text = limits.caution(U256::from(amount)).unwrap();
            assert!(text.contains("1 h 0 min"), "{text}");
        }
    }
}
