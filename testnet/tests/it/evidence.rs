//! An operator whose key signs in a second place contradicts itself; everybody can prove it, and the
//! home chain jails it.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use quorate_node::api::{EvidencePage, EvidenceReport, Health};
use quorate_node::client::EvidenceQuestion;
use quorate_node::keys::{KeyKind, KeyStore, Password, Saving, Secret, Strength};
use quorate_proto::{
    Address, Batch, Domain, Envelope, EquivocationEvidence, Kind, Outcome as Said, PeerBinding,
    ReadBasis, Response, SecretKey, SignedAttestation, StateProof, Statement, U256,
};
use quorate_testnet::network::PASSWORD;
use quorate_testnet::{LocalNetwork, NodeProcess, OperatorKeys, wait};

use crate::support::command::node;
use crate::support::test_peer::TestPeer;
use crate::support::{Outcome, SOON, certify, figure, proof_of, shown, turn, usual_network};

/// The operator whose key was copied: the lightest, so that the others certify without it.
const COPIED: usize = 4;
/// An account that pays for the transaction: no operator.
const PAYER: usize = 8;

/// Speaks for an operator with a copy of its key, as whoever has it can.
struct SecondProcess {
    domain: Domain,
    operator: Address,
    key: SecretKey,
    binding: PeerBinding,
    stranger: TestPeer,
    sequence: u64,
}

impl SecondProcess {
    async fn meet(network: &LocalNetwork) -> Result<Self> {
        let domain = network.deployment.domain();
        let (operator, _) = network.deployment.operators[COPIED];
        let key = OperatorKeys::of(COPIED).signing;
        let stranger = TestPeer::new(&domain.network(), 140)?;
        let millis = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let (peer_key, sequence) = (stranger.secret.public(), u64::try_from(millis)? + 60_000);
        let digest = PeerBinding::digest(&domain, operator, peer_key, sequence);
        let binding = PeerBinding {
            operator,
            peer_key,
            sequence,
            signature: key.sign(digest)?,
        };
        for node in &network.operators[..COPIED] {
            stranger.meet(node).await?;
        }
        Ok(Self {
            domain,
            operator,
            key,
            binding,
            stranger,
            sequence: 1,
        })
    }

    fn signed(&self, statement: Statement) -> Result<SignedAttestation> {
        let signature = self.key.sign(statement.digest(&self.domain))?;
        Ok(SignedAttestation::of(statement, signature))
    }

    async fn publish(&mut self, kind: Kind, batch: Batch) -> Outcome {
        self.sequence += 1;
        let batch = Batch {
            sequence: self.sequence,
            ..batch
        };
        let topic = self.domain.network().topic(kind);
        let sealed = Envelope::seal(&batch, &self.binding, &topic, &self.stranger.secret);
        self.stranger.publish(kind, sealed).await
    }

    /// Signs and publishes a statement.
    async fn say(&mut self, statement: Statement) -> Outcome {
        let signature = *self.signed(statement.clone())?.signature();
        let response = Response {
            operator: self.operator,
            statement,
            outcome: Said::Signed(signature),
            basis: ReadBasis::Unspecified,
        };
        let batch = Batch {
            responses: vec![response],
            ..Batch::default()
        };
        self.publish(Kind::Response, batch).await
    }

    /// Accuses an operator by two signatures of the copied key.
    async fn accuse(&mut self, operator: Address, pair: [Statement; 2]) -> Outcome {
        let pair = [self.signed(pair[0].clone())?, self.signed(pair[1].clone())?];
        let batch = Batch {
            evidence: vec![EquivocationEvidence::new(operator, pair)?],
            ..Batch::default()
        };
        self.publish(Kind::Evidence, batch).await
    }
}

/// As a liar would have it.
fn false_one(proof: StateProof) -> Statement {
    Statement::StateProof(StateProof {
        value: proof.value + U256::from(1),
        ..proof
    })
}

async fn held(node: &NodeProcess) -> Result<Vec<EvidenceReport>> {
    Ok(node.get::<EvidencePage>("/evidence").await?.evidence)
}

/// Evidence about a slot, as soon as this node holds it.
async fn held_about(node: &NodeProcess, slot: &str) -> Result<EvidenceReport> {
    let what = format!("evidence about slot {slot} at {}", node.name);
    wait::until(&what, SOON, || async {
        let all = held(node).await.ok()?;
        all.into_iter().find(|one| one.slot == slot)
    })
    .await
}

/// The folder with the key of an account that pays.
fn payer(network: &LocalNetwork) -> Result<String> {
    let dir = network.dir().join("payer");
    let signers = network.deployment.home.signers();
    let signer = signers.get(PAYER).context("no such account")?;
    let saving = Saving {
        strength: Strength::Light,
        overwrite: true,
    };
    let secret = Secret::new(signer.to_bytes().0);
    let password = Password::new(PASSWORD)?;
    KeyStore::open(&dir).import(KeyKind::Signing, "payer", &secret, &password, saving)?;
    Ok(dir.to_string_lossy().into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_key_is_caught_proven_and_jailed() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let mut copy = SecondProcess::meet(&network).await?;
    let (accused, _) = network.deployment.operators[COPIED];

    // The truth, which everybody signs; then something else under the same key, when the task of the
    // truth is long over.
    let block = network.set_value(7, 100).await?;
    let answer = certify(&network, 0, 7, block).await?;
    for node in &network.operators {
        shown(node, answer.task_id, accused, "signed").await?;
    }
    let truth = proof_of(&answer);
    let slot = Statement::StateProof(truth).slot().to_string();
    copy.say(false_one(truth)).await?;
    for node in &network.operators {
        let report = held_about(node, &slot).await?;
        ensure!(report.operator == accused.to_string(), "{report:?}");
    }
    let id = held_about(&network.operators[0], &slot).await?.id;
    println!("all {} nodes hold {id}", network.operators.len());

    // Evidence alone, of which nobody saw the statements.
    let other = StateProof {
        block_number: truth.block_number + 1,
        ..truth
    };
    let pair = [Statement::StateProof(other), false_one(other)];
    copy.accuse(accused, pair.clone()).await?;
    for node in &network.operators {
        let report = held_about(node, &pair[0].slot().to_string()).await?;
        ensure!(report.heard_from.is_some(), "{report:?}");
    }

    // The same signatures, laid at somebody else's door, convince nobody.
    let (victim, _) = &network.deployment.operators[1];
    let third = StateProof {
        block_number: truth.block_number + 2,
        ..truth
    };
    let pair = [Statement::StateProof(third), false_one(third)];
    copy.accuse(*victim, pair).await?;
    let what = "forged evidence is rejected";
    wait::until(what, SOON, || async {
        let labels = "kind=\"evidence\",reason=\"evidence\"";
        let count = figure(
            &network.operators[0],
            "quorate_gossip_rejected_total",
            labels,
        )
        .await;
        (count.ok()? >= 1.0).then_some(())
    })
    .await?;

    for (number, node) in network.operators.iter().enumerate() {
        let all = held(node).await?;
        let only = all.iter().all(|one| one.operator == accused.to_string());
        ensure!(only && all.len() == 2, "{}: {all:?}", node.name);
        let health: Health = serde_json::from_str(&node.get_text("/health").await?)?;
        let told = health.problems.iter().any(|p| p.contains("two facts"));
        ensure!(told == (number == COPIED), "{}: {health:?}", node.name);
    }
    commands(&network, &id, accused).await?;
    jailed(&network, &id, accused).await
}

/// What people do with evidence.
async fn commands(network: &LocalNetwork, id: &str, accused: Address) -> Outcome {
    let http = &network.operators[0].http;
    let to = network.operators[1].address.to_string();
    let accused = accused.to_string();
    node(&["evidence", "list", "--http", http])
        .await?
        .says(0, &[id, &accused])?;
    node(&["evidence", "list", "--to", &to, "--operator", &accused])
        .await?
        .says(0, &[id])?;
    let stranger = Address::repeat_byte(7).to_string();
    node(&["evidence", "list", "--http", http, "--operator", &stranger])
        .await?
        .says(0, &["No operator is known"])?;
    node(&["evidence", "show", id, "--http", http])
        .await?
        .says(0, &["It signed", &accused])?;
    node(&["evidence", "show", &"00".repeat(32), "--http", http])
        .await?
        .says(2, &["is not known"])?;
    let question = EvidenceQuestion::default();
    let page = network.client(2).await?.evidence(&question).await?;
    ensure!(page.entries.len() == 2 && !page.more, "{page:?}");

    let shown = node(&["evidence", "show", id, "--to", &to, "--json"]).await?;
    let file = network.dir().join("evidence.json");
    std::fs::write(&file, &shown.stdout)?;
    let path = file.to_string_lossy().into_owned();
    let (rpc, registry) = (
        network.deployment.home.endpoint(),
        network.deployment.registry.to_string(),
    );
    let on_chain = ["--rpc", &rpc, "--registry", &registry];
    node(&[&["evidence", "verify", &path], &on_chain[..]].concat())
        .await?
        .says(0, &["Valid with the keys on chain."])?;
    let set = node(&["operators", "--http", http, "--json"]).await?;
    let set_file = network.dir().join("set.json");
    std::fs::write(&set_file, &set.stdout)?;
    let set_path = set_file.to_string_lossy().into_owned();
    node(&["evidence", "verify", &path, "--set", &set_path])
        .await?
        .says(0, &["Valid against the sets."])?;

    // Another signature than the operator's.
    let mut altered: serde_json::Value = serde_json::from_str(&shown.stdout)?;
    altered["first"]["signature"] = altered["second"]["signature"].clone();
    std::fs::write(&file, altered.to_string())?;
    node(&[&["evidence", "verify", &path], &on_chain[..]].concat())
        .await?
        .says(2, &["not valid"])?;
    Ok(())
}

/// The judge takes the operator out of the next set, and its stake stays where it is.
async fn jailed(network: &LocalNetwork, id: &str, accused: Address) -> Outcome {
    let (rpc, keys) = (network.deployment.home.endpoint(), payer(network)?);
    let http = &network.operators[0].http;
    let submit = [
        "evidence",
        "submit",
        id,
        "--rpc",
        &rpc,
        "--key",
        "payer",
        "--key-dir",
        &keys,
        "--http",
        http,
    ];
    node(&submit).await?.says(0, &["is jailed"])?;
    node(&submit).await?.says(0, &["convicted before"])?;
    let error = network.deployment.join(COPIED).await;
    ensure!(error.is_err(), "a jailed operator may not register");

    let epoch = network.deployment.epoch().await?;
    network.deployment.next_epoch().await?;
    for node in &network.operators {
        let what = format!("{} serves without {accused}", node.name);
        wait::until(&what, SOON, || async {
            let status = node.status().await.ok()?;
            (status.operators == COPIED && status.epoch > Some(epoch.0)).then_some(())
        })
        .await?;
    }
    let set = network
        .deployment
        .set_of(network.deployment.epoch().await?)
        .await?;
    ensure!(set.get(accused).is_none(), "{accused} is still in the set");
    let block = network.set_value(7, 200).await?;
    certify(network, 0, 7, block).await?;
    Ok(())
}
