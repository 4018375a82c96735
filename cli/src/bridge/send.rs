//! `node bridge send`: locks coin or tokens at a bridge, and follows them until they are paid on the other chain.

use std::time::Duration;

use alloy::eips::BlockNumberOrTag;
use alloy::providers::{DynProvider, Provider as _, ProviderBuilder};
use alloy::rpc::types::TransactionReceipt;
use alloy::sol_types::SolEvent as _;
use alloy::transports::http::reqwest::Url;
use anyhow::{Context as _, anyhow, bail, ensure};
use clap::Args;
use quorate_chain::contracts::Bridge::{BridgeInstance, TransferSent};
use quorate_chain::contracts::send as send_call;
use quorate_node::RouteText;
use quorate_node::api::TransferReport;
use quorate_node::client::{Client, TransferQuestion};
use quorate_proto::{Address, B256, Route, U256};
use serde_json::{Value, json};

use super::check::{
    self, Erc20Instance, Wanted, check, deadline_of, is_address, limits, receiver_of, refused,
    would_take,
};
use super::follow::{FollowArgs, follow, line, now_ms};
use super::route_of;
use crate::epoch::PayerArgs;
use crate::exit::{NegativeAnswer, Usage};
use crate::format;
use crate::options::{SecretUrl, address, rpc_url, unix_seconds};
use crate::output;
use crate::transaction::{Sent, mined, plain};

#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("way").required(true))]
pub(crate) struct SendArgs {
    /// The bridge that pays, as CHAIN:CONTRACT; with --bridge
    #[arg(
        long,
        value_name = "CHAIN:CONTRACT",
        group = "way",
        requires = "bridge"
    )]
    to: Option<String>,

    /// The whole route, as CHAIN:CONTRACT>CHAIN:CONTRACT
    #[arg(long, group = "way", value_parser = route_of)]
    route: Option<RouteText>,

    /// Address of the bridge that takes it in, on the chain of --rpc
    #[arg(long, value_name = "ADDRESS", value_parser = address, conflicts_with = "route")]
    bridge: Option<Address>,

    /// Address of the token; the chain's own coin where left out
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    token: Option<Address>,

    /// How much, in the smallest unit of the token (wei for coin)
    #[arg(long, value_name = "UNITS")]
    amount: U256,

    /// Who is paid: an address, or 64 hexadecimal digits on chains of the SVM family
    #[arg(long, value_name = "ACCOUNT")]
    receiver: String,

    /// Unix second from which on it may be given back if it was not paid, an hour to seven days from now; a day from now
    /// where left out
    #[arg(long, value_name = "TIME", value_parser = unix_seconds)]
    deadline: Option<u64>,

    /// JSON-RPC URL of the target chain, to look at its limits before
    #[arg(long, value_name = "URL")]
    target_rpc: Option<SecretUrl>,

    /// Look at everything, and send nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    payer: PayerArgs,

    #[command(flatten)]
    peer: FollowArgs,

    /// Seconds to follow it with --peer
    #[arg(long, value_name = "SECONDS", default_value_t = 1_800)]
    timeout: u64,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A transfer that was sent.
struct SentTransfer {
    wanted: Wanted,
    nonce: u64,
    transactions: Vec<Sent>,
}

pub(super) async fn run(args: &SendArgs) -> anyhow::Result<()> {
    // Whom to ask is known before anything is paid.
    let client = args.peer.connect().await?;
    let (provider, sender) = args.payer.connect()?;
    let wanted = args.wanted(&provider, sender).await?;
    let at = Address::from_word(wanted.route.source_contract);
    let bridge = BridgeInstance::new(at, provider.clone());
    check(&bridge, &wanted).await?;
    let caution = args.caution(&bridge, &wanted).await?;
    caution.iter().for_each(output::note);
    let lacking = lacking(&provider, &wanted, at).await?;
    would_take(&bridge, &wanted, lacking.is_none()).await?;
    if args.dry_run {
        return dry(args, &wanted, lacking);
    }
    let mut transactions = Vec::new();
    if let Some(allowed) = lacking {
        transactions.extend(approve(&provider, &wanted, (at, allowed)).await?);
    }
    let sent = mined(
        "Transfer",
        send_call(check::call(&bridge, &wanted)).await,
        refused,
    )
    .await?;
    let hash = sent.hash;
    transactions.push(sent);
    let sent = SentTransfer {
        nonce: nonce_of(&provider, hash, &wanted).await?,
        wanted,
        transactions,
    };
    finish(args, client.as_ref(), &sent).await
}

impl SendArgs {
    /// What is to be sent, checked as far as that goes without the contract.
    async fn wanted(&self, provider: &DynProvider, sender: Address) -> anyhow::Result<Wanted> {
        let served = provider.get_chain_id().await.map_err(plain)?;
        let route = match (&self.route, &self.to, self.bridge) {
            (Some(text), ..) => text.route,
            (None, Some(to), Some(bridge)) => {
                let text = format!("{served}:{bridge}>{to}");
                route_of(&text).map_err(Usage)?.route
            }
            _ => bail!(Usage("give --route, or --to and --bridge".to_owned())),
        };
        let text = "transfers from chains of the SVM family are not sent by this command yet; send it with a wallet that calls the program's instruction";
        ensure!(is_address(route.source_contract), Usage(text.to_owned()));
        ensure!(
            served == route.source_chain,
            Usage(format!(
                "--rpc serves chain {served}, but the route begins on {}",
                route.source_chain
            ))
        );
        let head = provider.get_block_by_number(BlockNumberOrTag::Latest);
        let head = head
            .await
            .map_err(plain)?
            .context("the chain has no block")?;
        Ok(Wanted {
            route,
            sender,
            token: self.token.unwrap_or_default(),
            amount: self.amount,
            receiver: receiver_of(&self.receiver, route.target_contract)?,
            deadline: deadline_of(head.header.timestamp, self.deadline)?,
        })
    }

    /// What the sender has to expect of the target, where that is asked.
    async fn caution(
        &self,
        bridge: &BridgeInstance<DynProvider>,
        wanted: &Wanted,
    ) -> anyhow::Result<Option<String>> {
        let Some(url) = &self.target_rpc else {
            return Ok(None);
        };
        let Route {
            target_chain,
            target_contract,
            ..
        } = wanted.route;
        if !is_address(target_contract) {
            return Ok(None);
        }
        rpc_url(url).map_err(Usage)?;
        let url = Url::parse(url.reveal()).map_err(|error| anyhow!("--target-rpc: {error}"))?;
        let provider = ProviderBuilder::new().connect_http(url).erased();
        let served = provider.get_chain_id().await.map_err(plain)?;
        ensure!(
            served == target_chain,
            Usage(format!(
                "--target-rpc serves chain {served}, not {target_chain}"
            ))
        );
        let target = BridgeInstance::new(Address::from_word(target_contract), provider);
        let limits = limits(bridge, &target, wanted).await?;
        Ok(limits.caution(wanted.amount))
    }
}

impl SentTransfer {
    /// Whether a node tells of it: until its block is final, the number may go to another one.
    fn is(&self, report: &TransferReport) -> bool {
        let own = &self.wanted;
        report.transfer.as_ref().is_none_or(|told| {
            told.sender == own.sender.into_word()
                && told.token == own.token.into_word()
                && (&told.receiver, told.deadline) == (&own.receiver, own.deadline)
        })
    }

    fn moved(&self) -> String {
        let hash = self.transactions.last().map(|own| own.hash);
        let nonce = self.nonce;
        format!(
            "blocks have left the source chain, and number {nonce} is another transfer now; look for yours with `node bridge show {}`",
            hash.unwrap_or_default()
        )
    }
}

/// The allowance, where it is less than what is to be sent.
async fn lacking(
    provider: &DynProvider,
    wanted: &Wanted,
    bridge: Address,
) -> anyhow::Result<Option<U256>> {
    if wanted.token.is_zero() {
        return Ok(None);
    }
    let token = Erc20Instance::new(wanted.token, provider);
    let allowed = token.allowance(wanted.sender, bridge).call().await;
    let allowed = allowed.map_err(refused)?;
    Ok((allowed < wanted.amount).then_some(allowed))
}

/// Lets the bridge take the amount. Some tokens let an allowance only be changed to and from zero.
async fn approve(
    provider: &DynProvider,
    wanted: &Wanted,
    (bridge, allowed): (Address, U256),
) -> anyhow::Result<Vec<Sent>> {
    let token = Erc20Instance::new(wanted.token, provider);
    let (zero, amount) = (U256::ZERO, wanted.amount);
    let steps = [zero, amount];
    let steps = match allowed.is_zero() {
        true => &steps[1..],
        false => &steps[..],
    };
    let mut sent = Vec::new();
    for step in steps {
        output::note(format!(
            "Allowing the bridge {bridge} to take {step} of token {} …",
            wanted.token
        ));
        let call = token.approve(bridge, *step).from(wanted.sender);
        sent.push(mined("Approval", send_call(call).await, refused).await?);
    }
    Ok(sent)
}

/// The number that the bridge gave it.
async fn nonce_of(provider: &DynProvider, hash: B256, wanted: &Wanted) -> anyhow::Result<u64> {
    let receipt = provider.get_transaction_receipt(hash).await;
    let receipt = receipt.map_err(plain)?;
    receipt
        .as_ref()
        .and_then(|receipt| nonce_in(receipt, &wanted.route))
        .with_context(|| {
            format!(
                "transaction {hash} is in the chain, but its event was not seen; go on with `node bridge show {hash}`"
            )
        })
}

fn nonce_in(receipt: &TransactionReceipt, route: &Route) -> Option<u64> {
    let from = Address::from_word(route.source_contract);
    let logs = receipt.logs().iter();
    let mut own = logs.filter(|log| log.address() == from);
    own.find_map(|log| {
        let event = TransferSent::decode_log(&log.inner).ok()?;
        (event.route == route.id()).then_some(event.nonce)
    })
}

fn dry(args: &SendArgs, wanted: &Wanted, lacking: Option<U256>) -> anyhow::Result<()> {
    if args.json {
        let value = json!({
            "route": wanted.route.id(),
            "token": wanted.token,
            "amount": wanted.amount.to_string(),
            "receiver": wanted.receiver,
            "deadline": wanted.deadline,
            "approves": lacking.is_some(),
            "transactions": [],
        });
        return output::json(&value);
    }
    let approves = match lacking {
        Some(_) => ", after an approval",
        None => "",
    };
    output::line(format!(
        "The bridge would take {} from {} for {}{approves}; closed at {} if it is not paid. Nothing was sent.",
        wanted.amount,
        wanted.sender,
        wanted.receiver,
        format::time(wanted.deadline)
    ))
}

/// Shows how it goes on, and how its sender can.
async fn finish(
    args: &SendArgs,
    client: Option<&Client>,
    sent: &SentTransfer,
) -> anyhow::Result<()> {
    let (route, nonce) = (sent.wanted.route.id(), sent.nonce);
    let show = format!("node bridge show {route} {nonce}{}", args.peer.words());
    let tell = |text: String| match args.json {
        true => {
            output::note(text);
            Ok(())
        }
        false => output::line(text),
    };
    if let Some(own) = sent.transactions.last() {
        let detail = format!("transfer {nonce}: {}, block {}", own.hash, own.block);
        tell(line(now_ms(), "included", &detail))?;
    }
    let Some(client) = client else {
        output::note(format!(
            "It is on its way; follow it with `{show} --peer MULTIADDR --follow`."
        ));
        return print(args, sent, None);
    };
    let question = TransferQuestion::Number { route, nonce };
    let limit = Duration::from_secs(args.timeout);
    let how = || format!("the transfer is on its way all the same; go on with `{show} --follow`");
    let own = |report: &TransferReport, line| {
        ensure!(sent.is(report), NegativeAnswer(sent.moved()));
        tell(line)
    };
    let news = follow(client, question, limit, own).await;
    let news = news.with_context(how)?.with_context(how)?;
    print(args, sent, Some(&news.report))?;
    let has = |word: &str| news.report.stages.iter().any(|stage| stage.stage == word);
    if has("closed") {
        let text = "it was closed at the target and is not paid; its sender can have it back";
        bail!(NegativeAnswer(text.to_owned()));
    }
    if !has("paid") {
        output::note(
            "It is certified. That node does not look at the target chain: ask a relayer whether it was paid.",
        );
    }
    Ok(())
}

fn print(
    args: &SendArgs,
    sent: &SentTransfer,
    report: Option<&TransferReport>,
) -> anyhow::Result<()> {
    if !args.json {
        return Ok(());
    }
    let transactions: Vec<Value> = sent.transactions.iter().map(Sent::as_value).collect();
    output::json(&json!({
        "route": sent.wanted.route.id(),
        "nonce": sent.nonce,
        "transactions": transactions,
        "transfer": report,
    }))
}

#[cfg(test)]
mod tests {
    use quorate_proto::{Epoch, Transfer};

    use super::*;

    fn sent() -> SentTransfer {
        SentTransfer {
            wanted: Wanted {
                route: Route {
                    source_chain: 1,
                    source_contract: B256::ZERO,
                    target_chain: 2,
                    target_contract: B256::ZERO,
                },
                sender: Address::repeat_byte(1),
                token: Address::ZERO,
                amount: U256::from(5),
                receiver: vec![2; 20].into(),
                deadline: 9,
            },
            nonce: 7,
            transactions: Vec::new(),
        }
    }

    fn report(sender: Address) -> TransferReport {
        let Wanted {
            route,
            receiver,
            deadline,
            ..
        } = sent().wanted;
        let told = Transfer {
            epoch: Epoch(0),
            route,
            nonce: 7,
            sender: sender.into_word(),
            receiver,
            token: B256::ZERO,
            amount: U256::from(1),
            deadline,
        };
        TransferReport {
            route: None,
            nonce: 7,
            transfer: Some((&told).into()),
            place: None,
            stages: Vec::new(),
            task_id: None,
            certified: None,
            delivery: None,
        }
    }

    #[test]
    fn a_number_that_went_to_another_transfer_is_noticed() {
        assert!(sent().is(&report(Address::repeat_byte(1))));
        assert!(!sent().is(&report(Address::repeat_byte(3))));
        let unseen = TransferReport {
            transfer: None,
            ..report(Address::repeat_byte(3))
        };
        assert!(sent().is(&unseen));
        assert!(sent().moved().contains("number 7"));
    }
}
