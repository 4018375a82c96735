//! What all stores say together: nothing signed twice, nothing false, nothing lost.

use std::collections::{BTreeSet, HashMap, HashSet};

use alloy::primitives::{Address as EvmAddress, B256};
use anyhow::{Context, Result};
use futures::StreamExt;
use quorate_chain::contracts::StateManager;
use quorate_chain::{CertificateCheck, ChainFamily, verify_on_chain};
use quorate_proto::{
    Address, Certificate, Outcome, Response, SlotId, StateProof, Statement, TaskId, U256,
};
use quorate_storage::{Store, schema};
use serde::Serialize;

use super::world::ChaosNetwork;
use crate::stores;
use crate::users::UserAnswers;

/// Calls of the chains under way.
const CALLS: usize = 32;
/// Findings of a kind that are told one by one.
const TOLD: usize = 5;

/// What was compared, and what was found.
#[derive(Debug, Default, Serialize)]
pub(super) struct Findings {
    signatures: usize,
    statements: usize,
    certificates: usize,
    /// An operator put its name to two facts of one slot.
    signed_twice: Vec<String>,
    /// A signature that its operator's signing log does not have.
    not_recorded: Vec<String>,
    /// A signed value that the chain does not have.
    false_values: Vec<String>,
    /// A certificate that a user was handed and an operator does not have, or has otherwise.
    lost: Vec<String>,
    /// A certificate that some operators have and others do not.
    apart: Vec<String>,
    /// A certificate that the registry rejects.
    rejected: Vec<String>,
    /// Evidence against an operator; all were honest.
    accused: Vec<String>,
    /// A peer that was shut out for misconduct; all were honest.
    shut_out: Vec<String>,
    /// A panic in a log.
    panics: Vec<String>,
}

impl Findings {
    fn kinds(&self) -> [(&'static str, &Vec<String>); 9] {
        [
            ("signed two facts for one slot", &self.signed_twice),
            (
                "signed without a record in the signing log",
                &self.not_recorded,
            ),
            (
                "signed a value that the chain does not have",
                &self.false_values,
            ),
            ("certificate handed to a user and lost", &self.lost),
            ("certificate that only some operators have", &self.apart),
            ("certificate that does not verify on chain", &self.rejected),
            ("evidence against an honest operator", &self.accused),
            ("honest peer shut out", &self.shut_out),
            ("panic", &self.panics),
        ]
    }

    pub(super) fn count(&self) -> usize {
        self.kinds().iter().map(|(_, found)| found.len()).sum()
    }

    pub(super) fn is_clean(&self) -> bool {
        self.count() == 0
    }

    pub(super) fn print(&self) {
        for (count, what) in [
            (self.signatures, "signatures compared with the signing logs"),
            (self.statements, "signed values compared with the chain"),
            (self.certificates, "certificates verified on chain"),
        ] {
            println!("  {count:>8}  {what}");
        }
        for (what, found) in self.kinds() {
            println!("  {:>8}  {what}", found.len());
            found
                .iter()
                .take(TOLD)
                .for_each(|one| println!("            {one}"));
        }
    }
}

/// What all stores hold.
#[derive(Default)]
struct StoredRecords {
    /// Who signed which facts of a slot.
    signed: HashMap<Address, HashMap<SlotId, BTreeSet<B256>>>,
    statements: HashMap<TaskId, Statement>,
    /// Of each operator, in the order of the network.
    certificates: Vec<HashMap<TaskId, Certificate>>,
}

/// Compares everything. All nodes have ended.
pub(super) async fn audit(world: &ChaosNetwork, answered: &UserAnswers) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut books = StoredRecords::default();
    for operator in &world.network.operators {
        let store = stores::open(&world.network.deployment, operator)?;
        books.read(&store, &operator.name, &mut findings)?;
        let log = std::fs::read_to_string(operator.log_path())?;
        let told = |what: &'static str| {
            let lines = log.lines().filter(move |line| line.contains(what));
            lines.map(|line| format!("{}: {line}", operator.name))
        };
        findings.shut_out.extend(told("peer shut out"));
        findings.panics.extend(told("panicked at"));
    }
    books.against_logs(world, &mut findings)?;
    books.against_users(world, answered, &mut findings);
    on_chain(world, &books, &mut findings).await?;
    values(world, &books, &mut findings).await?;
    Ok(findings)
}

impl StoredRecords {
    fn read(&mut self, store: &Store, name: &str, findings: &mut Findings) -> Result<()> {
        let mut certificates = HashMap::new();
        for row in store.rows(schema::CERTIFICATES, &()) {
            let (task, stored) = row?;
            let certificate = Certificate::try_from(&stored)?;
            for signer in certificate.signatures() {
                self.signed(signer.operator, certificate.statement());
            }
            certificates.insert(TaskId(B256::from(task)), certificate);
        }
        self.certificates.push(certificates);
        for row in store.rows(schema::RESPONSES, &()) {
            let (_, record) = row?;
            let Some(message) = &record.response else {
                continue;
            };
            let response = Response::try_from(message)?;
            if matches!(response.outcome, Outcome::Signed(_)) {
                self.signed(response.operator, &response.statement);
            }
        }
        for row in store.rows(schema::EVIDENCE, &()) {
            let ((_, operator), _) = row?;
            findings.accused.push(format!(
                "{name} has evidence against {}",
                EvmAddress::from(operator)
            ));
        }
        Ok(())
    }

    fn signed(&mut self, operator: Address, statement: &Statement) {
        self.statements
            .insert(statement.task_id(), statement.clone());
        let slots = self.signed.entry(operator).or_default();
        slots
            .entry(statement.slot())
            .or_default()
            .insert(statement.fact());
    }

    fn against_logs(&self, world: &ChaosNetwork, findings: &mut Findings) -> Result<()> {
        let deployment = &world.network.deployment;
        for (node, (operator, _)) in world.network.operators.iter().zip(&deployment.operators) {
            let log = stores::signing_log(stores::open(deployment, node)?, *operator)?;
            for (slot, facts) in self.signed.get(operator).into_iter().flatten() {
                findings.signatures += facts.len();
                if facts.len() > 1 {
                    findings
                        .signed_twice
                        .push(format!("{}: slot {slot:?}", node.name));
                }
                let recorded = log.get(&slot.0.0).map(|fact| B256::from(*fact));
                if !recorded.is_some_and(|fact| facts.contains(&fact)) {
                    findings
                        .not_recorded
                        .push(format!("{}: slot {slot:?}", node.name));
                }
            }
        }
        Ok(())
    }

    fn against_users(&self, world: &ChaosNetwork, answered: &UserAnswers, findings: &mut Findings) {
        let all: HashSet<TaskId> = self
            .certificates
            .iter()
            .flat_map(HashMap::keys)
            .copied()
            .collect();
        for (node, own) in world.network.operators.iter().zip(&self.certificates) {
            for (task, answer) in &answered.answers {
                let same = own.get(task).is_some_and(|certificate| {
                    certificate.statement() == answer.certificate.statement()
                });
                if !same {
                    findings.lost.push(format!("{}: task {task}", node.name));
                }
            }
            let missing = all
                .iter()
                .filter(|task| !own.contains_key(task) && !answered.answers.contains_key(task));
            findings
                .apart
                .extend(missing.map(|task| format!("{}: task {task}", node.name)));
        }
    }
}

/// Every certificate that any operator has, different ones of one task each.
async fn on_chain(
    world: &ChaosNetwork,
    books: &StoredRecords,
    findings: &mut Findings,
) -> Result<()> {
    let deployment = &world.network.deployment;
    let (url, domain) = (deployment.home.url()?, deployment.domain());
    let mut different = HashMap::new();
    for certificate in books.certificates.iter().flat_map(HashMap::values) {
        let data = certificate.signature_data();
        different.insert(
            (certificate.statement().digest(&domain), data),
            certificate.statement().task_id(),
        );
    }
    findings.certificates = different.len();
    let calls = different.iter().map(|((digest, data), task)| {
        let url = &url;
        async move {
            let verdict =
                verify_on_chain(ChainFamily::Evm, url, deployment.registry, *digest, data).await?;
            anyhow::Ok(
                (verdict != CertificateCheck::Valid).then(|| format!("task {task}: {verdict}")),
            )
        }
    });
    let mut calls = futures::stream::iter(calls).buffer_unordered(CALLS);
    while let Some(rejected) = calls.next().await {
        findings.rejected.extend(rejected?);
    }
    Ok(())
}

/// Every value that any operator signed, certified or not.
async fn values(
    world: &ChaosNetwork,
    books: &StoredRecords,
    findings: &mut Findings,
) -> Result<()> {
    let proofs: Vec<&StateProof> = books
        .statements
        .values()
        .filter_map(Statement::state_proof)
        .collect();
    findings.statements = proofs.len();
    let deployment = &world.network.deployment;
    let provider = deployment.source.provider();
    let states = StateManager::new(deployment.state_manager, provider);
    let states = &states;
    let calls = proofs.into_iter().map(|proof| async move {
        let call = states.getHistoryAtBlock(proof.user, proof.key, U256::from(proof.block_number));
        let entry = call
            .call()
            .await
            .with_context(|| format!("the truth about {proof:?}"))?;
        anyhow::Ok((entry.value != proof.value).then(|| format!("{proof:?}, not {}", entry.value)))
    });
    let mut calls = futures::stream::iter(calls).buffer_unordered(CALLS);
    while let Some(found) = calls.next().await {
        findings.false_values.extend(found?);
    }
    Ok(())
}
