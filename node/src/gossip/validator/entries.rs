//! What is checked of the entries of a message whose envelope holds. For them its author answers.

use std::cell::Cell;

use quorate_proto::{
    Certificate, CertificateError, EquivocationEvidence, OperatorSet, Response, ResponseError, U256,
};

use super::{Case, Validator};
use crate::gossip::verified::{ValidationOutcome, Verified};

impl Validator {
    pub(super) fn check_entries(
        &self,
        case: &Case<'_>,
    ) -> Result<Vec<Verified>, ValidationOutcome> {
        let batch = case.sealed.batch();
        let author = case.author().operator;
        let mut good = Vec::new();
        for task in &batch.tasks {
            let Some(set) = case.view.signers_of(&task.statement) else {
                continue;
            };
            if set.get(author).is_none() {
                return Err(self.guilty(case, "author is no operator of that epoch"));
            }
            let (statement, attempt, set) = (task.statement.clone(), task.attempt, set.clone());
            good.push(Verified::Task {
                author,
                statement,
                attempt,
                set,
            });
        }
        for response in &batch.responses {
            let Some(set) = case.view.signers_of(&response.statement) else {
                continue;
            };
            if response.operator != author {
                return Err(self.guilty(case, "response of another operator"));
            }
            if let Err(error) = self.check_response(response, set) {
                tracing::debug!(%author, %error, "invalid response");
                return Err(self.guilty(case, "response signature"));
            }
            let (response, set) = (response.clone(), set.clone());
            good.push(Verified::Response { response, set });
        }
        good.extend(self.check_results(case)?);
        good.extend(self.check_evidence(case)?);
        Ok(good)
    }

    /// Certificates are as good as their signatures, each of which may have to be recovered.
    fn check_results(&self, case: &Case<'_>) -> Result<Vec<Verified>, ValidationOutcome> {
        let author = case.author().operator;
        let recovered = Cell::new(0);
        let mut good = Vec::new();
        for certificate in &case.sealed.batch().results {
            let Some(set) = case.view.signers_of(certificate.statement()) else {
                continue;
            };
            if let Err(error) = self.check_certificate(certificate, set, &recovered) {
                tracing::debug!(%author, %error, "invalid certificate");
                return Err(self.guilty(case, "certificate"));
            }
            let (certificate, set) = (certificate.clone(), set.clone());
            good.push(Verified::Result { certificate, set });
        }
        if recovered.get() > 0 {
            self.allowances
                .charge(case.kind, case.set, author, recovered.get());
        }
        Ok(good)
    }

    /// All of it must hold as far as this node can tell. Of what it cannot tell, for want of a set,
    /// it takes nothing, and forwards nothing that holds nothing else.
    fn check_evidence(&self, case: &Case<'_>) -> Result<Vec<Verified>, ValidationOutcome> {
        /// Signatures in one piece of evidence.
        const RECOVERED: u32 = 2;
        let author = case.author().operator;
        let mut good = Vec::new();
        let all = &case.sealed.batch().evidence;
        let new = |one: &&EquivocationEvidence| self.book.admits(one).is_ok();
        for evidence in all.iter().filter(new) {
            match self.book.verify(case.view, evidence) {
                Ok(()) => {
                    self.allowances
                        .charge(case.kind, case.set, author, RECOVERED);
                    let evidence = Box::new(evidence.clone());
                    good.push(Verified::Evidence { author, evidence });
                }
                Err(error) if error.is_fault() => {
                    tracing::debug!(%author, %error, "invalid evidence");
                    return Err(self.guilty(case, "evidence"));
                }
                Err(error) => tracing::debug!(%author, %error, "evidence cannot be checked"),
            }
        }
        match all.is_empty() || !good.is_empty() {
            true => Ok(good),
            false => Err(ValidationOutcome::Useless(
                "operator set of the evidence is not kept",
            )),
        }
    }

    fn check_response(&self, response: &Response, set: &OperatorSet) -> Result<(), ResponseError> {
        let domain = &self.domain;
        response.verify_with(set, domain, |signature, digest| {
            self.known.recover(*signature, digest, &Cell::new(0))
        })
    }

    fn check_certificate(
        &self,
        certificate: &Certificate,
        set: &OperatorSet,
        recovered: &Cell<u32>,
    ) -> Result<U256, CertificateError> {
        let domain = &self.domain;
        certificate.verify_with(set, domain, |signer, digest| {
            self.known.recover(signer.signature, digest, recovered)
        })
    }
}
