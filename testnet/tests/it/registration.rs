//! The transactions by which operators join, as the command line sends them, and not once more than needed.

use anyhow::{Context, Result};
use quorate_chain::contracts::StakeVault;
use quorate_node::keys::{KeyKind, KeyStore, Password, Saving, Secret, Strength};
use quorate_proto::{Address, U256};
use quorate_testnet::network::PASSWORD;
use quorate_testnet::{LocalNetwork, OperatorKeys};

use crate::support::command::{CommandOutput, node};
use crate::support::{Outcome, ether, staked, turn};

/// An account of the home chain and its files.
struct Account {
    address: Address,
    keys: String,
}

/// Account `number`, beside a signing key of its own.
fn account(network: &LocalNetwork, number: usize) -> Result<Account> {
    let signers = network.deployment.home.signers();
    let signer = signers.get(number).context("no such account")?;
    let dir = network.dir().join(format!("account-{number}"));
    let own = OperatorKeys::of(500 + number).signing;
    for (name, secret) in [
        ("account", signer.to_bytes().0),
        ("default", own.to_bytes()),
    ] {
        let saving = Saving {
            strength: Strength::Light,
            overwrite: true,
        };
        let (secret, password) = (Secret::new(secret), Password::new(PASSWORD)?);
        KeyStore::open(&dir).import(KeyKind::Signing, name, &secret, &password, saving)?;
    }
    Ok(Account {
        address: signer.address(),
        keys: dir.to_string_lossy().into_owned(),
    })
}

async fn stake(network: &LocalNetwork, operator: Address) -> Result<U256> {
    let vault = StakeVault::new(network.deployment.vault, network.deployment.home.provider());
    Ok(vault.weightOf(operator).call().await?)
}

async fn sends(network: &LocalNetwork, account: &Account, args: &[&str]) -> Result<CommandOutput> {
    let (rpc, registry) = (
        network.deployment.home.endpoint(),
        network.deployment.registry.to_string(),
    );
    let common = [
        "--account-key",
        "account",
        "--key-dir",
        &account.keys,
        "--home-rpc",
        &rpc,
        "--registry",
        &registry,
    ];
    node(&[args, &common].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn registering_again_sends_nothing_without_a_flag() -> Outcome {
    let _turn = turn().await;
    let network = LocalNetwork::start(staked(&[40, 30])).await?;
    let new = account(&network, 6)?;
    let register = ["register", "--stake", "5"];
    sends(&network, &new, &register)
        .await?
        .says(0, &["Deposit", "Registration", "It counts from epoch"])?;
    let again = ["already, with signing key", "nothing was sent", "--add"];
    for _ in 0..2 {
        sends(&network, &new, &register).await?.says(0, &again)?;
    }
    assert_eq!(stake(&network, new.address).await?, ether(5));
    let key = OperatorKeys::of(506).signing.address().to_string();
    let same = sends(&network, &new, &["change-key", "--new-key", "default"]).await?;
    same.says(0, &[&key, "already; nothing was sent"])?;
    let added = sends(&network, &new, &[&register[..], &["--add"]].concat()).await?;
    added.says(0, &["Deposit", "already, with signing key"])?;
    assert_eq!(stake(&network, new.address).await?, ether(10));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn registering_looks_at_whose_account_and_key_they_are() -> Outcome {
    let _turn = turn().await;
    let network = LocalNetwork::start(staked(&[40, 30])).await?;
    let (operator, other) = (account(&network, 0)?, account(&network, 6)?);
    let config = network.operators[0].dir.join("config.toml");
    let config = config.to_string_lossy().into_owned();
    let of_node = ["register", "--stake", "5", "--config", &config];
    let configured = operator.address.to_string();
    sends(&network, &other, &of_node).await?.says(
        64,
        &[
            &configured,
            &other.address.to_string(),
            "`operator` in the file",
        ],
    )?;
    assert_eq!(stake(&network, other.address).await?, U256::ZERO);
    // The registered key is another one than that beside the account.
    let registered = network.deployment.operators[0]
        .1
        .signing
        .address()
        .to_string();
    let own = OperatorKeys::of(500).signing.address().to_string();
    sends(&network, &operator, &of_node).await?.says(
        0,
        &[&registered, &own, "nothing was sent", "node change-key"],
    )?;
    let by_itself = ["register", "--stake", "5", "--signing-key", "account"];
    sends(&network, &other, &by_itself)
        .await?
        .says(64, &["could take the stake"])?;
    let to_itself = ["change-key", "--new-key", "account"];
    sends(&network, &operator, &to_itself)
        .await?
        .says(64, &["could take the stake"])?;
    assert_eq!(stake(&network, other.address).await?, U256::ZERO);
    assert_eq!(stake(&network, operator.address).await?, ether(40));
    Ok(())
}
