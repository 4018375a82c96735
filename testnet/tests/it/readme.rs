//! What README tells a user to type works.

use std::path::Path;

use anyhow::{Context, Result};

use crate::support::command::node;
use crate::support::{Outcome, turn, usual_network};

/// The words of the first line of README that begins like this, with the values of these flags.
fn line(beginning: &str, values: &[(&str, &str)]) -> Result<Vec<String>> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme)?;
    let mut lines = readme.lines().map(str::trim);
    let line = lines
        .find(|line| line.starts_with(beginning))
        .context("no such line")?;
    let mut words: Vec<String> = line.split_whitespace().skip(1).map(String::from).collect();
    for (name, value) in values {
        let place = words.iter().position(|word| word == name);
        let place = place.with_context(|| format!("{line}: no {name}"))?;
        // A file stands for itself.
        let place = place + usize::from(name.starts_with("--"));
        *words
            .get_mut(place)
            .with_context(|| format!("{line}: {name} has no value"))? = (*value).into();
    }
    Ok(words)
}

async fn types(words: &[String], phrase: &str) -> Outcome {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    node(&words).await?.says(0, &[phrase])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_asks_and_verifies_as_readme_says() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let deployment = &network.deployment;
    let block = network.set_value(7, 100).await?.to_string();
    let question = network.question(7, 0);
    let (to, chain) = (
        network.operators[0].address.to_string(),
        question.chain_id.to_string(),
    );
    let (user, registry) = (question.user.to_string(), deployment.registry.to_string());
    let file = network.dir().join("certificate.json");
    let file = file.to_string_lossy().into_owned();
    let values = [
        ("--to", to.as_str()),
        ("--chain", &chain),
        ("--user", &user),
        ("--key", "7"),
        ("--block", &block),
        ("--out", &file),
    ];
    types(&line("node request state", &values)?, "100").await?;
    let rpc = deployment.home.endpoint();
    let values = [
        ("certificate.json", file.as_str()),
        ("--rpc", &rpc),
        ("--registry", &registry),
    ];
    types(&line("node verify", &values)?, "valid").await
}
