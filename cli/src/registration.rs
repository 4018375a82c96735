//! `node register`, `node change-key` and `node deregister`: the transactions by which an operator
//! joins, takes another signing key, and leaves.

mod chain;

use std::path::PathBuf;

use alloy::primitives::utils::parse_ether;
use anyhow::Context as _;
use clap::Args;
use quorate_node::keys::{KeyKind, KeyStore};
use quorate_proto::{Address, Domain, SecretKey, U256};
use serde_json::json;

use crate::config::file_options;
use crate::exit::Usage;
use crate::format;
use crate::options::{ConfigError, RunOptions, SecretUrl, address, expand_home};
use crate::output;
use crate::password::{PasswordArgs, obtain};
use crate::table::Facts;
use crate::transaction::Sent;

use self::chain::Account;

/// The home chain, and who pays there. What is not given is taken from the node's file.
#[derive(Args, Debug)]
pub(crate) struct AccountArgs {
    /// Configuration file of the node, from which the settings below are taken where they are not
    /// given
    #[arg(long, value_name = "FILE", env = "QUORATE_CONFIG")]
    config: Option<PathBuf>,

    /// JSON-RPC URL of the home chain; the first of home_rpc in the file
    #[arg(
        long,
        value_name = "URL",
        env = "QUORATE_HOME_RPC",
        hide_env_values = true,
        value_delimiter = ','
    )]
    home_rpc: Vec<SecretUrl>,

    /// Address of the stake registry; registry in the file
    #[arg(long, value_name = "ADDRESS", env = "QUORATE_REGISTRY")]
    registry: Option<String>,

    /// Folder of the key files; key_dir in the file [default: ~/.quorate/keys]
    #[arg(long, value_name = "DIR", env = "QUORATE_KEY_DIR")]
    key_dir: Option<PathBuf>,

    /// Name or path of the operator account's keystore (v3): it holds the stake and pays
    #[arg(long, value_name = "KEY", env = "QUORATE_ACCOUNT_KEY")]
    account_key: String,

    /// File with the password of --account-key, where it differs from that of the other keys
    #[arg(long, value_name = "FILE", env = "QUORATE_ACCOUNT_PASSWORD_FILE")]
    account_password_file: Option<PathBuf>,

    #[command(flatten)]
    password: PasswordArgs,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct RegisterArgs {
    /// Stake with which the operator registers, in coins of the home chain, such as 32 or 0.5; what is
    /// staked to it already is not deposited again
    #[arg(long, value_name = "COINS")]
    stake: String,

    /// Deposit --stake on top of what is staked already, also where the operator is registered
    #[arg(long)]
    add: bool,

    /// Name or path of the signing key; signing_key in the file [default: default]
    #[arg(long, value_name = "KEY", env = "QUORATE_SIGNING_KEY")]
    signing_key: Option<String>,

    #[command(flatten)]
    account: AccountArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ChangeKeyArgs {
    /// Name or path of the new signing key
    #[arg(long, value_name = "KEY")]
    new_key: String,

    #[command(flatten)]
    account: AccountArgs,
}

#[derive(Args, Debug)]
pub(crate) struct DeregisterArgs {
    #[command(flatten)]
    account: AccountArgs,
}

/// A signing key, and the proof by which the registry takes it for the operator's.
#[derive(Debug, PartialEq, Eq)]
struct Proven {
    key: Address,
    proof: Vec<u8>,
}

pub(crate) async fn register(args: RegisterArgs) -> anyhow::Result<()> {
    let stake = stake(&args.stake)?;
    let options = file_options(args.account.config.as_deref())?;
    let store = args.account.store(&options)?;
    let password = args.account.password_file(&options);
    // The files first: no password is asked for in vain.
    store.locate(KeyKind::Signing, &args.account.account_key)?;
    let name = args.signing_key.or(options.signing_key.clone());
    let name = name.unwrap_or_else(|| "default".into());
    store.locate(KeyKind::Signing, &name)?;
    let keys = obtain(password.as_deref(), "Password of the signing key", false)?;
    let signing = store.load_signing(&name, &keys)?;
    let account = args.account.connect(&options, &store).await?;
    let proven = prove(&account.domain(), account.address(), &signing)?;
    let plan = account.check(stake, args.add, &proven).await?;
    output::note(format!(
        "Operator {} on chain {}, stake {}",
        account.address(),
        account.domain().home_chain_id(),
        format::amount(plan.staked)
    ));
    let mut sent = Vec::new();
    if !plan.deposit.is_zero() {
        output::note(format!(
            "Depositing a stake of {} …",
            format::amount(plan.deposit)
        ));
        sent.push(account.deposit(plan.vault, plan.deposit).await?);
    }
    match plan.registered {
        Some(key) => output::note(registered(key, proven.key, args.add)),
        None => {
            output::note(format!("Registering signing key {} …", proven.key));
            sent.push(account.register(&proven).await?);
        }
    }
    let epoch = account.effective_epoch(&sent).await?;
    print_sent(
        &args.account,
        &account,
        &sent,
        epoch,
        "It counts from epoch",
    )
}

pub(crate) async fn change_key(args: ChangeKeyArgs) -> anyhow::Result<()> {
    let options = file_options(args.account.config.as_deref())?;
    let store = args.account.store(&options)?;
    let password = args.account.password_file(&options);
    store.locate(KeyKind::Signing, &args.account.account_key)?;
    store.locate(KeyKind::Signing, &args.new_key)?;
    let keys = obtain(password.as_deref(), "Password of the new key", false)?;
    let signing = store.load_signing(&args.new_key, &keys)?;
    let account = args.account.connect(&options, &store).await?;
    let (operator, key) = (account.address(), signing.address());
    let proven = prove(&account.domain(), operator, &signing)?;
    let mut sent = Vec::new();
    if account.registered_key().await? == Some(key) {
        output::note(format!(
            "Operator {operator} has signing key {key} already; nothing was sent."
        ));
    } else {
        output::note(format!("Operator {operator} takes signing key {key} …"));
        sent.push(account.change_key(&proven).await?);
        output::note("The signing log in the node's data folder goes on with the new key.");
    }
    let epoch = account.effective_epoch(&sent).await?;
    print_sent(
        &args.account,
        &account,
        &sent,
        epoch,
        "Restart the node with it in epoch",
    )
}

pub(crate) async fn deregister(args: DeregisterArgs) -> anyhow::Result<()> {
    let options = file_options(args.account.config.as_deref())?;
    let store = args.account.store(&options)?;
    let account = args.account.connect(&options, &store).await?;
    output::note(format!("Operator {} leaves …", account.address()));
    let sent = vec![account.deregister().await?];
    let epoch = account.effective_epoch(&sent).await?;
    print_sent(
        &args.account,
        &account,
        &sent,
        epoch,
        "Keep the node running until epoch",
    )
}

impl AccountArgs {
    fn store(&self, options: &RunOptions) -> Result<KeyStore, ConfigError> {
        let dir = self.key_dir.clone().or(options.key_dir.clone());
        let dir = dir.unwrap_or_else(|| PathBuf::from("~/.quorate/keys"));
        Ok(KeyStore::open(expand_home(&dir)?))
    }

    fn password_file(&self, options: &RunOptions) -> Option<PathBuf> {
        self.password
            .password_file
            .clone()
            .or(options.password_file.clone())
    }

    async fn connect(&self, options: &RunOptions, store: &KeyStore) -> anyhow::Result<Account> {
        let configured = options.home_rpc.as_deref().unwrap_or_default().first();
        let url = self.home_rpc.first().or(configured.map(|first| &first.url));
        let url = url.ok_or_else(|| {
            Usage("no RPC URL of the home chain; give --home-rpc or --config".into())
        })?;
        let registry = self.registry.as_ref().or(options.registry.as_ref());
        let registry = registry
            .ok_or_else(|| Usage("no stake registry; give --registry or --config".into()))?;
        let registry =
            address(registry).map_err(|problem| Usage(format!("registry: {problem}")))?;
        store.locate(KeyKind::Signing, &self.account_key)?;
        let file = self
            .account_password_file
            .clone()
            .or(self.password_file(options));
        let password = obtain(file.as_deref(), "Password of the account key", false)?;
        let key = store.load_signing(&self.account_key, &password)?;
        must_be(key.address(), options.operator.as_deref())?;
        Account::connect(url, registry, &key, options.home_chain_id).await
    }
}

fn stake(text: &str) -> Result<U256, Usage> {
    let wrong = || Usage(format!("--stake {text:?} is no amount; write 32 or 0.5"));
    // The parser takes signs and nothing at all for numbers.
    let plain = text.starts_with(|c: char| c.is_ascii_digit());
    parse_ether(text).ok().filter(|_| plain).ok_or_else(wrong)
}

/// The account is that of the operator in the file, if there is one.
fn must_be(account: Address, configured: Option<&str>) -> Result<(), Usage> {
    let Some(text) = configured else {
        return Ok(());
    };
    if text.parse() == Ok(account) {
        return Ok(());
    }
    Err(Usage(format!(
        "--account-key is the account {account}, but `operator` in the file is {text}: give the key of that \
         account, or correct `operator`"
    )))
}

/// What is told of an operator that is registered already, when it comes with the key `own`.
fn registered(key: Address, own: Address, adds: bool) -> String {
    let more = match adds {
        true => "",
        false => "; nothing was sent. To deposit more, give --add",
    };
    if key == own {
        return format!("This operator is registered already, with signing key {key}{more}.");
    }
    format!(
        "This operator is registered already, but with signing key {key}, not with {own}{more}. Load the \
         registered key (signing_key), or register the other one: `node change-key`."
    )
}

fn prove(domain: &Domain, operator: Address, signing: &SecretKey) -> anyhow::Result<Proven> {
    let key = signing.address();
    if key == operator {
        let text = format!(
            "the signing key is the key of the account {operator} itself: who breaks into the machine that \
             signs with it could take the stake, too. Make another one with `node keys new --kind signing`"
        );
        return Err(Usage(text).into());
    }
    let digest = domain.registration_digest(operator, key);
    let proof = signing
        .sign(digest)
        .context("the signing key does not sign")?;
    let proof = proof.as_bytes().to_vec();
    Ok(Proven { key, proof })
}

fn print_sent(
    args: &AccountArgs,
    account: &Account,
    sent: &[Sent],
    epoch: Option<u32>,
    when: &'static str,
) -> anyhow::Result<()> {
    if args.json {
        let transactions: Vec<_> = sent.iter().map(Sent::as_value).collect();
        let value = json!({
            "operator": account.address().to_string(),
            "network": account.domain().network().as_str(),
            "transactions": transactions,
            "effective_epoch": epoch,
        });
        output::json(&value)?;
        return Ok(());
    }
    let mut facts = Facts::default();
    for Sent {
        what,
        hash,
        block,
        gas,
    } in sent
    {
        facts.add(
            what,
            format!(
                "{hash}, block {block}, gas {}",
                format::amount(U256::from(*gas))
            ),
        );
    }
    facts.add_some(when, epoch);
    output::text(facts)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stakes_are_read_in_coins() {
        assert_eq!(
            stake("0.5").expect("an amount"),
            U256::from(500_000_000_000_000_000_u64)
        );
        assert_eq!(stake("0").expect("an amount"), U256::ZERO);
        for text in ["", "much", "-1"] {
            assert!(stake(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_account_is_that_of_the_configured_operator() {
        let account = Address::repeat_byte(1);
        assert!(must_be(account, None).is_ok());
        assert!(must_be(account, Some(&account.to_string())).is_ok());
        for other in [Address::repeat_byte(2).to_string(), "mine".to_owned()] {
            let refused = must_be(account, Some(&other)).expect_err("another one");
            assert!(refused.to_string().contains(&other), "{refused}");
        }
    }

    #[test]
    fn an_account_does_not_sign_for_itself() {
        let domain = Domain::new(31337, Address::repeat_byte(5));
        let signing = SecretKey::from_bytes(&[7; 32]).expect("a key");
        let refused = prove(&domain, signing.address(), &signing).expect_err("refused");
        assert!(refused.is::<Usage>() && refused.to_string().contains("take the stake"));
    }

    #[test]
    fn the_proof_is_the_one_that_the_registry_checks() {
        let domain = Domain::new(31337, Address::repeat_byte(5));
        let operator = Address::repeat_byte(1);
        let signing = SecretKey::from_bytes(&[7; 32]).expect("a key");
        let proven = prove(&domain, operator, &signing).expect("proved");
        let digest = domain.registration_digest(operator, proven.key);
        let signature = quorate_proto::Signature::parse(&proven.proof).expect("a signature");
        assert_eq!(signature.recover(digest), Ok(signing.address()));
    }
}
