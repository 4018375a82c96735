//! Evidence of equivocation that this node holds.

use quorate_proto::wire::reply::Kind as ReplyKind;
use quorate_proto::{Address, EvidenceId, limits, wire};

use super::{Answerer, Failure, invalid, unavailable};

impl Answerer {
    pub(super) fn evidence(&self, query: &wire::EvidenceQuery) -> Result<ReplyKind, Failure> {
        let id = optional(&query.id, "id must be empty or have 32 bytes")?;
        let after = optional(&query.after, "after must be empty or have 32 bytes")?;
        let operator = match query.operator.as_slice() {
            [] => None,
            bytes => Some(
                Address::try_from(bytes)
                    .map_err(|_| invalid("operator must be empty or have 20 bytes"))?,
            ),
        };
        let (entries, more) = match id {
            Some(id) => (self.node.evidence.get(id).map(Vec::from_iter), false),
            None => match self
                .node
                .evidence
                .page(after, operator, limits::MAX_EVIDENCE_PAGE)
            {
                Ok((entries, more)) => (Ok(entries), more),
                Err(error) => (Err(error), false),
            },
        };
        let entries = entries.map_err(|error| unavailable(error.to_string()))?;
        Ok(ReplyKind::Evidence(wire::EvidenceReply {
            entries: entries.into_iter().map(|entry| entry.into_wire()).collect(),
            more,
        }))
    }
}

fn optional(bytes: &[u8], problem: &'static str) -> Result<Option<EvidenceId>, Failure> {
    match bytes {
        [] => Ok(None),
        bytes => EvidenceId::try_from(bytes)
            .map(Some)
            .map_err(|_| invalid(problem)),
    }
}
