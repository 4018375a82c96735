//! Equivocation, as the task driver comes upon it or hears of it.

use quorate_proto::{Address, Epoch, EquivocationEvidence, Outcome, Response, Statement};
use quorate_protocols::evidence::{Input, Output};

use super::TaskDriver;
use crate::gossip::publisher::Item;
use crate::{NodeError, tasks::evidence};

/// Cases that are published again every epoch: 42 kB in one batch.
const REMINDED: usize = 64;

impl TaskDriver {
    /// Compares a signature that came in with those of the same operator under other tasks about
    /// the same slot, open or over. Those that are open together the pipeline has compared itself.
    pub(super) fn compare(&mut self, response: &Response) -> Result<(), NodeError> {
        if matches!(response.outcome, Outcome::Refused(_)) {
            return Ok(());
        }
        if let Some(earlier) = self.ledger.contradiction(response)? {
            self.accuse(&earlier, response);
        }
        Ok(())
    }

    /// As [`Self::compare`], for responses to one task that is over.
    pub(super) fn compare_all(
        &mut self,
        statement: &Statement,
        responses: &[Response],
    ) -> Result<(), NodeError> {
        let has_rivals = self.ledger.has_rivals(statement)?;
        for response in responses {
            if has_rivals {
                self.compare(response)?;
            } else if let Some(earlier) = self.fresh(response) {
                self.accuse(&earlier, response);
            }
        }
        Ok(())
    }

    /// What the same operator signed otherwise a moment ago.
    fn fresh(&self, response: &Response) -> Option<Response> {
        let is_signed = matches!(response.outcome, Outcome::Signed(_));
        is_signed.then(|| self.ledger.fresh_contradiction(response))?
    }

    /// Two signatures on different facts: evidence, whichever keys the operator had.
    pub(super) fn accuse(&mut self, first: &Response, second: &Response) {
        let view = self.home.view();
        let evidence = match self.book.between(&view, first, second) {
            Ok(Some(evidence)) => evidence,
            Ok(None) => return,
            Err(reason) => {
                tracing::debug!(operator = %first.operator, %reason, "no evidence");
                return;
            }
        };
        if let Ok(outputs) = self.book.take(Input::Found(evidence.clone())) {
            report(&evidence, "found");
            self.enter(outputs, None);
        }
    }

    /// Evidence that another operator published, verified by the gossip task.
    pub(super) fn heard_evidence(&mut self, author: Address, evidence: EquivocationEvidence) {
        if let Ok(outputs) = self.book.take(Input::Heard(evidence.clone())) {
            report(&evidence, "heard");
            self.enter(outputs, Some(author));
        }
    }

    /// Once an epoch one operator, each in its turn, publishes the newest evidence again, for those
    /// that were away when it was published first. A node that knows it looks no further.
    pub(super) fn remind(&mut self, ended: Epoch) -> Result<(), NodeError> {
        let Some((me, set)) = self.me.as_ref().zip(self.home.view().current) else {
            return Ok(());
        };
        let turn = usize::try_from(ended.0).unwrap_or_default() % set.members().len().max(1);
        if set.position(me.operator) != Some(turn) {
            return Ok(());
        }
        for evidence in self.book.newest(REMINDED)? {
            self.publish(Item::Evidence(Box::new(evidence)));
        }
        Ok(())
    }

    fn enter(&mut self, outputs: Vec<Output>, heard_from: Option<Address>) {
        for evidence in evidence::write(outputs, heard_from, self.ledger.batch()) {
            self.publish(Item::Evidence(Box::new(evidence)));
        }
    }
}

fn report(evidence: &EquivocationEvidence, source: &'static str) {
    metrics::counter!("quorate_equivocations_total", "source" => source).increment(1);
    tracing::error!(operator = %evidence.operator(), id = %evidence.id(), source,
        "equivocation: two facts for one slot; `node evidence show` has the signatures");
}
