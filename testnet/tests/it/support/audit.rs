//! Whether anybody signed two facts for one slot, or anything that is not in its log.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context, Result, ensure};
use quorate_proto::{Address, B256, Certificate, Outcome, Response, SlotId, Statement};
use quorate_testnet::{LocalNetwork, NodeProcess, stores};

/// Every signature that was seen outside of the processes.
#[derive(Default)]
pub(crate) struct Audit {
    seen: HashMap<Address, HashMap<SlotId, BTreeSet<B256>>>,
}

impl Audit {
    /// Notes who signed a certificate.
    pub(crate) fn certificate(&mut self, certificate: &Certificate) {
        for signer in certificate.signatures() {
            self.signed(signer.operator, certificate.statement());
        }
    }

    /// Notes a signature that was gossiped.
    pub(crate) fn response(&mut self, response: &Response) {
        if matches!(response.outcome, Outcome::Signed(_)) {
            self.signed(response.operator, &response.statement);
        }
    }

    fn signed(&mut self, operator: Address, statement: &Statement) {
        let slots = self.seen.entry(operator).or_default();
        slots
            .entry(statement.slot())
            .or_default()
            .insert(statement.fact());
    }

    /// Compares with the signing logs of all operators, which must have ended: the number of
    /// signatures that were compared.
    pub(crate) fn against_logs(&self, network: &LocalNetwork) -> Result<usize> {
        let mut compared = 0;
        for number in 0..network.operators.len() {
            compared += self.against_log(network, number)?;
        }
        Ok(compared)
    }

    /// Compares with the signing log of one operator.
    pub(crate) fn against_log(&self, network: &LocalNetwork, number: usize) -> Result<usize> {
        let (operator, _) = network
            .deployment
            .operators
            .get(number)
            .context("no such operator")?;
        let log = signing_log(network, &network.operators[number], *operator)?;
        let Some(slots) = self.seen.get(operator) else {
            return Ok(0);
        };
        for (slot, facts) in slots {
            ensure!(
                facts.len() == 1,
                "operator {number} signed {} facts for slot {slot:?}",
                facts.len()
            );
            let logged = log.get(&slot.0.0).with_context(|| {
                format!("operator {number} signed for slot {slot:?} and has no record of it")
            })?;
            ensure!(
                facts.contains(&B256::from(*logged)),
                "operator {number} recorded another fact than it signed"
            );
        }
        Ok(slots.len())
    }
}

/// What a node that has ended recorded: facts by slot.
pub(crate) fn signing_log(
    network: &LocalNetwork,
    node: &NodeProcess,
    operator: Address,
) -> Result<HashMap<[u8; 32], [u8; 32]>> {
    stores::signing_log(stores::open(&network.deployment, node)?, operator)
}
