//! Stores that must not be opened.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use prost::Message as _;
use quorate_proto::store::Meta;
use rocksdb::{DB, Options};

use crate::support::command::second;
use crate::support::{Outcome, certify, staked, turn, usual_network};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_a_store_is_turned_away_and_the_first_goes_on() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let block = network.set_value(7, 100).await?;
    let node = &network.operators[0];
    let free = ["--listen", "/ip4/127.0.0.1/tcp/0", "--http", "off"];
    second(node, &free).await?.says(
        3,
        &["is locked by another process", "choose another --data-dir"],
    )?;
    ensure!(node.status().await?.problems.is_empty());
    certify(&network, 0, 7, block).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_not_this_networks_or_builds_is_left_alone() -> Outcome {
    let _turn = turn().await;
    let mut network = quorate_testnet::LocalNetwork::start(staked(&[10, 10, 10, 10])).await?;
    let first = network.set_value(7, 100).await?;
    certify(&network, 0, 7, first).await?;
    let status = network.operators[3].stop().await?;
    ensure!(status.success(), "{status}");

    let node = &network.operators[3];
    let other = ["--registry", "0x00000000000000000000000000000000000000aa"];
    second(node, &other)
        .await?
        .says(3, &["belongs to network", "choose another --data-dir"])?;
    second(node, &["--engine", "sled"])
        .await?
        .says(3, &["was created by the rocksdb engine"])?;

    let store = node.dir.join("data/store/rocksdb");
    let known = write_version(&store, 9)?;
    second(node, &[]).await?.says(
        3,
        &[
            "schema version 9",
            &format!("reads version {known}"),
            "a later build",
        ],
    )?;
    ensure!(
        write_version(&store, known)? == 9,
        "the refused store was changed"
    );

    // Mended, it is as good as before.
    network.operators[3].start()?;
    network.operators[3].ready().await?;
    let second = network.set_value(7, 200).await?;
    certify(&network, 3, 7, second).await?;
    Ok(())
}

/// Gives the store another schema version; the one that it had.
fn write_version(store: &Path, version: u32) -> Result<u32> {
    let options = Options::default();
    let tables = DB::list_cf(&options, store)?;
    let database = DB::open_cf(&options, store, tables)?;
    let table = database.cf_handle("META").context("the table META")?;
    let row = database
        .get_cf(table, b"store")?
        .context("the row of META")?;
    let mut meta = Meta::decode(row.as_slice())?;
    let old = std::mem::replace(&mut meta.schema_version, version);
    database.put_cf(table, b"store", meta.encode_to_vec())?;
    Ok(old)
}
