//! The registry of operators on the home chain.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alloy::primitives::{Address, B256, U256};
use quorate_chain::contracts::ChainDirectory;
use quorate_chain::evm::EvmHome;
use quorate_chain::{
    At, BlockNumbers, ChainEntry, ChainError, ChainFamily, HomeReader, Withdrawal,
};
use quorate_proto::{Epoch, OperatorSet, threshold_of};
use serde_json::{Value, json};

use crate::support::TestResult;
use crate::support::double::{Behaviour, Double, fail};
use crate::support::network::{EPOCH, GRACE, Member, Network, REACH};

#[tokio::test]
async fn the_schedule_is_read_once() -> TestResult {
    let network = Network::start().await?;
    let double = Double::start(network.anvil.endpoint(), Behaviour::default()).await;
    let home = network.home_over(vec![double.url.clone()]).await;
    let schedule = home.schedule().await?;
    assert_eq!((schedule.length, schedule.grace), (EPOCH, GRACE));
    assert_eq!(schedule.epoch_at(schedule.genesis), Epoch(0));
    assert_eq!(home.minimum_weight().await?, U256::from(5));
    assert_eq!(home.registry(), network.registry);

    let calls = double.calls().len();
    assert_eq!(home.schedule().await?, schedule);
    assert_eq!(double.calls().len(), calls);
    Ok(())
}

#[tokio::test]
async fn joins_and_exits_in_order() -> TestResult {
    let network = Network::start().await?;
    let (a, b) = (network.member(1), network.member(2));
    network.register(&a).await?;
    let first = network.anvil.height().await?;
    network.register(&b).await?;
    network.deregister(&a).await?;
    network.anvil.mine(30).await?;
    network.register(&a).await?;
    let last = network.anvil.height().await?;

    let home = network.home().await;
    let found = home.registrations(0, last).await?;
    let short: Vec<_> = found
        .iter()
        .map(|r| (r.operator, r.registered, r.block_number))
        .collect();
    let expected = [
        (a.operator, true, first),
        // Between two registrations is the deposit for the later one.
        (b.operator, true, first + 2),
        (a.operator, false, first + 3),
        (a.operator, true, last),
    ];
    assert_eq!(short, expected);

    assert_eq!(home.registrations(first, first).await?, found[..1]);
    assert_eq!(home.registrations(first + 1, last - 1).await?, found[1..3]);
    assert_eq!(home.registrations(first + 4, last - 1).await?, []);
    assert_eq!(home.registrations(last, first).await?, []);

    let refusal = ChainError::NotFinal {
        asked: At::Block(last + 1),
        final_block: Some(last),
    };
    assert_eq!(home.registrations(0, last + 1).await, Err(refusal));
    Ok(())
}

fn number(value: &Value) -> u64 {
    let digits = value.as_str().unwrap_or_default().trim_start_matches("0x");
    u64::from_str_radix(digits, 16).unwrap_or_default()
}

#[tokio::test]
async fn ranges_shrink_to_what_the_provider_takes() -> TestResult {
    let network = Network::start().await?;
    for account in 1..4 {
        network.register(&network.member(account)).await?;
        network.anvil.mine(100).await?;
    }
    let last = network.anvil.height().await?;
    let expected = network.home().await.registrations(0, last).await?;
    assert_eq!(expected.len(), 3);

    let narrow = Behaviour::default().tamper(|request, response| {
        let range = &request["params"][0];
        let blocks = number(&range["toBlock"]) - number(&range["fromBlock"]) + 1;
        if request["method"] == "eth_getLogs" && blocks > 10 {
            fail(response, -32_000, "at most 10 blocks");
        }
    });
    let double = Double::start(network.anvil.endpoint(), narrow).await;
    let home = network.home_over(vec![double.url.clone()]).await;
    assert_eq!(home.registrations(0, last).await?, expected);

    // One that hides an event is outvoted; alone against one it makes no answer.
    let forgetful = Behaviour::default().tamper(|request, response| {
        if request["method"] == "eth_getLogs" {
            response["result"] = json!([]);
        }
    });
    let liar = Double::start(network.anvil.endpoint(), forgetful).await;
    let good = network.anvil.url()?;
    let rpc = vec![liar.url.clone(), good.clone(), double.url.clone()];
    assert_eq!(
        network.home_over(rpc).await.registrations(0, last).await?,
        expected
    );
    let contradicted = network.home_over(vec![liar.url.clone(), good]).await;
    let result = contradicted.registrations(0, last).await;
    assert!(
        matches!(result, Err(ChainError::Disagreement { .. })),
        "{result:?}"
    );
    Ok(())
}

/// Has no block from `height` on, and no events, once `behind` says so.
fn lags(behind: &Arc<AtomicBool>, height: u64) -> Behaviour {
    let behind = Arc::clone(behind);
    Behaviour::default().tamper(move |request, response| {
        if !behind.load(Ordering::SeqCst) {
            return;
        }
        let method = request["method"].as_str().unwrap_or_default();
        match method {
            "eth_blockNumber" => response["result"] = json!(format!("{:#x}", height - 1)),
            "eth_getBlockByNumber" if number(&request["params"][0]) >= height => {
                response["result"] = Value::Null;
            }
            "eth_getLogs" => response["result"] = json!([]),
            _ => {}
        }
    })
}

#[tokio::test]
async fn those_that_lag_do_not_say_that_nobody_registered() -> TestResult {
    let network = Network::start().await?;
    network.anvil.mine(5).await?;
    network.register(&network.member(1)).await?;
    let last = network.anvil.height().await?;
    let behind = Arc::new(AtomicBool::new(false));
    let one = Double::start(network.anvil.endpoint(), lags(&behind, last)).await;
    let other = Double::start(network.anvil.endpoint(), lags(&behind, last)).await;
    let forgetful = Behaviour::default().tamper(|request, response| {
        if request["method"] == "eth_getLogs" {
            response["result"] = json!([]);
        }
    });
    let liar = Double::start(network.anvil.endpoint(), forgetful).await;
    let good = network.anvil.url()?;

    let two_lag = vec![one.url.clone(), other.url.clone(), good.clone()];
    let one_lags = vec![one.url.clone(), liar.url.clone(), good];
    for rpc in [two_lag, one_lags] {
        behind.store(false, Ordering::SeqCst);
        let home = network.home_over(rpc).await;
        assert_eq!(home.refresh().await?.number, last);
        behind.store(true, Ordering::SeqCst);
        let error = home.registrations(0, last).await.expect_err("no quorum");
        assert!(error.is_retryable(), "{error}");
        behind.store(false, Ordering::SeqCst);
        assert_eq!(home.registrations(0, last).await?.len(), 1);
    }
    Ok(())
}

fn weights(set: &OperatorSet) -> Vec<(Address, u64)> {
    set.members()
        .iter()
        .map(|m| (m.address, m.weight.to()))
        .collect()
}

fn sorted(mut weights: Vec<(Address, u64)>) -> Vec<(Address, u64)> {
    weights.sort_unstable();
    weights
}

/// By name, which works for every epoch.
async fn by_name(
    home: &EvmHome,
    operators: &[Address],
    epoch: u32,
) -> Result<OperatorSet, ChainError> {
    let head = home.refresh().await?;
    let set = home.members(Epoch(epoch), operators, head.hash).await;
    // Whoever has left weighs nothing in the total either.
    assert!(set.as_ref().is_ok_and(OperatorSet::is_whole), "{set:?}");
    set
}

/// As the registry knows the newest ones.
async fn newest(home: &EvmHome, epoch: u32) -> Result<OperatorSet, ChainError> {
    let head = home.refresh().await?;
    home.operator_set(Epoch(epoch), head.hash).await
}

/// In epoch 0; the third has too little to.
async fn two_join(network: &Network, [a, b, c]: [&Member; 3]) -> TestResult {
    for (member, amount) in [(a, 100), (b, 50), (c, 4)] {
        network.stake(member, amount).await?;
    }
    network.register(a).await?;
    network.register(b).await?;
    assert!(network.register(c).await.is_err());
    Ok(())
}

#[tokio::test]
async fn sets_change_only_from_epoch_to_epoch() -> TestResult {
    let network = Network::start().await?;
    let home = network.home().await;
    let (mut a, b, c) = (network.member(1), network.member(2), network.member(3));
    let everyone = [a.operator, b.operator, c.operator, a.operator];
    let set = |epoch| by_name(&home, &everyone, epoch);
    let newest = |epoch| newest(&home, epoch);

    two_join(&network, [&a, &b, &c]).await?;
    let first_key = a.signing.address();
    network.enter(1).await?;
    let first = set(1).await?;
    assert_eq!(
        weights(&first),
        sorted(vec![(a.operator, 100), (b.operator, 50)])
    );
    assert_eq!(first.total_weight(), U256::from(150));
    assert_eq!(first.threshold(), threshold_of(U256::from(150)));
    let member = first.get(a.operator).ok_or("no a")?;
    assert_eq!(member.signing_key, first_key);
    assert_eq!(newest(1).await?, first);
    let fixing = home.schedule().await?.fixing_block(Epoch(1));
    assert_eq!(first.fixed_at(), home.block_time(fixing).await?);

    // Epoch 1: a gets another key, c stakes more and joins, b leaves.
    network.rotate(&mut a, 99).await?;
    network.stake(&c, 60).await?;
    network.register(&c).await?;
    network.deregister(&b).await?;
    assert_eq!(set(1).await?, first, "the present epoch keeps its set");
    assert_eq!(newest(1).await?, first);
    network.enter(2).await?;
    let second = set(2).await?;
    assert_eq!(
        weights(&second),
        sorted(vec![(a.operator, 100), (c.operator, 64)])
    );
    assert_eq!(
        second.get(a.operator).ok_or("no a")?.signing_key,
        a.signing.address()
    );
    assert_eq!(second.total_weight(), U256::from(164));
    assert_eq!(newest(2).await?, second);
    assert_eq!(
        newest(1).await?,
        first,
        "who left is kept in mind for an epoch more"
    );

    // Nothing happens for some epochs: values carry forward, and the past stays as it was.
    network.enter(5).await?;
    assert_eq!(weights(&set(5).await?), weights(&second));
    assert_eq!(set(1).await?, first);

    // A change in the grace period skips an epoch.
    let end = home.schedule().await?.interval(Epoch(5)).end;
    let height = network.anvil.height().await?;
    network.anvil.mine(end - GRACE - height).await?;
    network.stake(&c, 36).await?;
    network.enter(7).await?;
    assert_eq!(weights(&set(6).await?), weights(&second));
    assert_eq!(
        weights(&set(7).await?),
        sorted(vec![(a.operator, 100), (c.operator, 100)])
    );
    Ok(())
}

#[tokio::test]
async fn a_set_that_may_still_change_is_not_told() -> TestResult {
    let network = Network::start().await?;
    let home = network.home().await;
    let a = network.member(1);
    network.stake(&a, 10).await?;
    network.register(&a).await?;
    let schedule = home.schedule().await?;
    let head = home.refresh().await?;
    let refused = ChainError::NotFinal {
        asked: At::Block(schedule.fixing_block(Epoch(1))),
        final_block: Some(head.number),
    };
    assert_eq!(home.operator_set(Epoch(1), head.hash).await, Err(refused));
    network.anvil.mine(EPOCH - GRACE).await?;
    let head = home.refresh().await?;
    // What changes now counts an epoch later.
    network.stake(&a, 10).await?;
    let set = home.operator_set(Epoch(1), head.hash).await?;
    assert_eq!(set.total_weight(), U256::from(10));
    Ok(())
}

/// However many there are: the cost of a set must not grow with its history or with its size.
#[tokio::test]
async fn a_set_is_one_call_and_one_header() -> TestResult {
    let network = Network::start().await?;
    for account in 1..6 {
        network.register(&network.member(account)).await?;
    }
    network.enter(1).await?;
    let double = Double::start(network.anvil.endpoint(), Behaviour::default()).await;
    let home = network.home_over(vec![double.url.clone()]).await;
    home.schedule().await?;
    let head = home.refresh().await?;
    let before = double.calls().len();
    let set = home.operator_set(Epoch(1), head.hash).await?;
    assert_eq!(set.members().len(), 5);
    let calls = double.calls();
    let count = |method: &str| {
        calls[before..]
            .iter()
            .filter(|call| call["method"] == method)
            .count()
    };
    assert_eq!(count("eth_call"), 1, "{:?}", &calls[before..]);
    Ok(())
}

#[tokio::test]
async fn limits_of_withdrawals_are_read() -> TestResult {
    let network = Network::start().await?;
    let home = network.home().await;
    let (blocks, seconds) = REACH;
    let expected = Withdrawal {
        blocks,
        seconds,
        certificate_lifetime: seconds / 4 * 3,
    };
    assert_eq!(home.withdrawal().await?, expected);
    Ok(())
}

#[tokio::test]
async fn chains_are_known_by_their_entry_or_not_at_all() -> TestResult {
    let network = Network::start().await?;
    let home = network.home().await;
    assert_eq!(home.chain_entry(42_161).await?, None);
    let chain = ChainDirectory::Chain {
        family: 1,
        blockNumbers: 1,
        genesis: B256::repeat_byte(7),
        stateManager: B256::left_padding_from(&[9; 20]),
        historySlot: U256::from(3),
    };
    let directory = ChainDirectory::new(network.directory, network.anvil.provider());
    let added = directory.add(42_161, chain).send().await?;
    added.get_receipt().await?;
    home.refresh().await?;
    let expected = ChainEntry {
        family: ChainFamily::Evm,
        block_numbers: BlockNumbers::Parent,
        genesis: B256::repeat_byte(7),
        state_manager: B256::left_padding_from(&[9; 20]),
        history_slot: U256::from(3),
    };
    assert_eq!(home.chain_entry(42_161).await?, Some(expected));
    Ok(())
}
