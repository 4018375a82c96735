//! What operators have certified is carried out on a local SVM chain.

use ed25519_dalek::SigningKey;
use quorate_chain::{BridgeAction, BridgeSender, CallMeaning, RecordRule, Submitter};
use quorate_proto::{Epoch, EpochUpdate, Statement, U256};
use serde_json::json;

use crate::support::TestResult;
use crate::support::svm_node::{SvmWorld, key_of, set};

fn relayer(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[100 + number; 32])
}

/// A bridge with so many operators, and so many relayers with lamports.
async fn world(
    operators: usize,
    relayers: u8,
) -> Result<(SvmWorld, Vec<SigningKey>), Box<dyn std::error::Error + Send + Sync>> {
    let world = SvmWorld::start(operators).await?;
    let relayers: Vec<SigningKey> = (0..relayers).map(relayer).collect();
    for relayer in &relayers {
        world.fund(key_of(relayer)).await?;
    }
    Ok((world, relayers))
}

fn receiver() -> quorate_chain::svm::PublicKey {
    key_of(&SigningKey::from_bytes(&[0x22; 32]))
}

#[tokio::test]
async fn four_of_five_deliver_in_one_transaction_and_only_once() -> TestResult {
    let (world, relayers) = world(5, 1).await?;
    let payer = key_of(&relayers[0]);
    let transfer = world.transfer(1, receiver());
    let steps = world.payment(&transfer, &world.set, payer).await?;
    let [step] = steps.as_slice() else {
        return Err(format!("{} steps", steps.len()).into());
    };
    assert_eq!(world.word(&step.record).await?, U256::ZERO);
    let done = world.send(&relayers[0], &step.call).await?;
    assert!(
        done.succeeded && !done.is_final && done.gas_used > 50_000,
        "{done:?}"
    );
    assert_eq!(world.word(&step.record).await?, U256::from(2));
    assert_eq!(world.balance(receiver()).await?, json!("50000"));

    let again = world
        .submitter
        .estimate(&step.call)
        .await
        .expect_err("it is paid");
    assert_eq!(
        world.submitter.meaning_of(&again),
        Some(CallMeaning::Done),
        "{again}"
    );

    let own = world.transfer(2, world.bridge.address());
    let steps = world.payment(&own, &world.set, payer).await?;
    let never = world
        .submitter
        .estimate(&steps[0].call)
        .await
        .expect_err("no wallet");
    assert_eq!(
        world.submitter.meaning_of(&never),
        Some(CallMeaning::Never),
        "{never}"
    );

    world.run(&[world.bridge.pause(world.admin())]).await?;
    let steps = world
        .payment(&world.transfer(3, receiver()), &world.set, payer)
        .await?;
    let paused = world
        .submitter
        .estimate(&steps[0].call)
        .await
        .expect_err("it stands still");
    assert_eq!(
        world.submitter.meaning_of(&paused),
        Some(CallMeaning::NotNow),
        "{paused}"
    );
    Ok(())
}

#[tokio::test]
async fn thirteen_of_nineteen_take_two_transactions_of_whoever_is_first() -> TestResult {
    let (world, relayers) = world(19, 2).await?;
    let transfer = world.transfer(1, receiver());
    let mut planned = Vec::new();
    for relayer in &relayers {
        planned.push(
            world
                .payment(&transfer, &world.set, key_of(relayer))
                .await?,
        );
    }
    assert_eq!(planned[0].len(), 2);
    let [gather, deliver] = [&planned[0][0], &planned[1][1]];
    assert!(gather.is_interim && !deliver.is_interim);
    assert_eq!(gather.rule, RecordRule::AtLeast(1));
    let early = world
        .submitter
        .estimate(&deliver.call)
        .await
        .expect_err("too few");
    assert_eq!(
        world.submitter.meaning_of(&early),
        Some(CallMeaning::NotNow),
        "{early}"
    );

    // One relayer gathers and pays for the account, the other goes on with it.
    assert_eq!(world.word(&gather.record).await?, U256::ZERO);
    assert!(world.send(&relayers[0], &gather.call).await?.succeeded);
    assert_eq!(world.word(&gather.record).await?, U256::from(1));
    assert!(world.send(&relayers[1], &deliver.call).await?.succeeded);
    assert_eq!(world.word(&deliver.record).await?, U256::from(2));
    assert_eq!(
        world.word(&gather.record).await?,
        U256::from(1),
        "what was gathered is used up"
    );
    Ok(())
}

#[tokio::test]
async fn the_next_set_is_handed_over_and_certifies() -> TestResult {
    let (world, relayers) = world(5, 1).await?;
    let (payer, next) = (key_of(&relayers[0]), set(8, 33));
    let statement = Statement::EpochUpdate(EpochUpdate {
        epoch: Epoch(7),
        next_epoch: Epoch(8),
        set_hash: next.hash(),
        time: next.fixed_at(),
    });
    let certificate = world.certify(statement, &world.set);
    let action = BridgeAction::Update(&next, next.fixed_at());
    let steps = world
        .steps(action, (&certificate, &world.set), payer)
        .await?;
    let names: Vec<_> = steps.iter().map(|step| step.call.name).collect();
    assert_eq!(names, ["update", "install", "install", "install"]);
    let registry = world.bridge.0.0;
    assert_eq!(world.submitter.newest_epoch(registry).await?, Epoch(7));
    for step in &steps[..2] {
        assert!(world.send(&relayers[0], &step.call).await?.succeeded);
        assert!(world.word(&step.record).await? >= U256::from(1));
    }
    assert_eq!(world.submitter.newest_epoch(registry).await?, Epoch(8));
    assert_eq!(world.word(&steps[2].record).await?, U256::ZERO);

    // Who stopped half way is helped by who needs the set.
    let mut transfer = world.transfer(1, receiver());
    transfer.epoch = Epoch(8);
    for step in world.payment(&transfer, &next, payer).await? {
        assert!(
            world.send(&relayers[0], &step.call).await?.succeeded,
            "{}",
            step.call.name
        );
        assert!(
            world.word(&step.record).await? >= U256::from(1),
            "{}",
            step.call.name
        );
    }
    assert_eq!(world.balance(receiver()).await?, json!("50000"));
    Ok(())
}

#[tokio::test]
async fn a_transaction_that_is_lost_is_sent_again_until_it_lapses() -> TestResult {
    let (world, relayers) = world(5, 1).await?;
    let transfer = world.transfer(1, receiver());
    let steps = world
        .payment(&transfer, &world.set, key_of(&relayers[0]))
        .await?;
    let (signed, unsigned) = world.signed(&relayers[0], &steps[0].call).await?;
    let until = unsigned.valid_until.ok_or("it lapses")?;
    for provider in 0..3 {
        world
            .node
            .ask(provider, "admin_faults", json!([{"drop": 1}]))
            .await?;
    }
    assert!(world.submitter.broadcast(&signed).await.is_accepted());
    world.node.advance(2).await?;
    assert_eq!(world.submitter.receipt(&signed.id).await?, None);
    assert!(world.submitter.height().await? <= until);
    assert!(world.submitter.broadcast(&signed).await.is_accepted());
    world.node.advance(2).await?;
    let found = world
        .submitter
        .receipt(&signed.id)
        .await?
        .ok_or("it is in the chain")?;
    assert!(found.succeeded && found.block <= until);
    assert!(
        world.submitter.broadcast(&signed).await.is_accepted(),
        "twice is harmless"
    );
    world.node.advance(40).await?;
    let found = world
        .submitter
        .receipt(&signed.id)
        .await?
        .ok_or("it is in the chain")?;
    assert!(found.is_final);

    let transfer = world.transfer(2, receiver());
    let steps = world
        .payment(&transfer, &world.set, key_of(&relayers[0]))
        .await?;
    let (late, unsigned) = world.signed(&relayers[0], &steps[0].call).await?;
    world.node.advance(151).await?;
    assert!(unsigned.valid_until < Some(world.submitter.height().await?));
    let _ = world.submitter.broadcast(&late).await;
    world.node.advance(2).await?;
    assert_eq!(world.submitter.receipt(&late.id).await?, None);
    Ok(())
}

#[tokio::test]
async fn one_lying_provider_changes_nothing() -> TestResult {
    let (world, relayers) = world(5, 1).await?;
    let payer = key_of(&relayers[0]);
    let transfer = world.transfer(1, receiver());
    let steps = world.payment(&transfer, &world.set, payer).await?;
    let context = json!({"slot": 1});
    let lies = json!([{"forge": {
        "getBlockHeight": 1_000_000_000,
        "getBalance": {"context": context, "value": 1},
        "getMultipleAccounts": {"context": context, "value": [null, null]},
        "getLatestBlockhash": {"context": context, "value": {
            "blockhash": payer.to_string(), "lastValidBlockHeight": 1_000_000_000,
        }},
        "isBlockhashValid": {"context": context, "value": true},
        "getRecentPrioritizationFees": [{"slot": 1, "prioritizationFee": 1_000_000_000}],
        "simulateTransaction": {"context": context, "value": {
            "err": {"InstructionError": [3, {"Custom": 122}]}, "logs": [], "unitsConsumed": 1,
        }},
        "getSignatureStatuses": {"context": context, "value": [null]},
    }}]);
    world.node.ask(2, "admin_faults", lies).await?;
    assert!(world.submitter.height().await? < 1_000);
    let account = world.submitter.account(payer.0).await?;
    assert_eq!(
        account.balance,
        U256::from(100_000_000_000_u64) * U256::from(1_000_000)
    );
    assert_eq!(world.submitter.fees().await?.tips, [1; 3]);
    assert!(world.send(&relayers[0], &steps[0].call).await?.succeeded);
    assert_eq!(world.word(&steps[0].record).await?, U256::from(2));
    Ok(())
}
