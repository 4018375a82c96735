//! What can happen to a task, in the words of its record.

use quorate_proto::wire::timeline_event::Kind;
use quorate_proto::wire::{
    self, TimelineAnnounced, TimelineAnswered, TimelineAsked, TimelineCertified, TimelineDeclined,
    TimelineDelivered, TimelineEnded, TimelineEquivocated, TimelineEvent, TimelineInterrupted,
    TimelineItem, TimelineOpened, TimelineOutcome, TimelineRead, TimelineReason, TimelineSent,
};
use quorate_proto::{Address, Certificate, Outcome, RefusalCode, Response};
use quorate_protocols::pipeline::Verdict;
use quorate_protocols::task::{Report, Status};

use crate::tasks::driver::ReadTrace;

pub(crate) fn opened(heard_of: Option<Address>, again: bool) -> Kind {
    Kind::Opened(TimelineOpened {
        heard_of: heard_of
            .map(|operator| operator.to_vec())
            .unwrap_or_default(),
        again,
    })
}

pub(crate) const fn asked(user: u32) -> Kind {
    Kind::Asked(TimelineAsked { user })
}

pub(crate) fn announced(operator: Address, attempt: u32) -> Kind {
    Kind::Announced(TimelineAnnounced {
        operator: operator.to_vec(),
        attempt,
    })
}

pub(crate) fn read(trace: &ReadTrace, verdict: &Verdict) -> Kind {
    let (refusal, detail) = match verdict {
        Verdict::Agree => (RefusalCode::Unspecified, String::new()),
        Verdict::Refuse(code, detail) => (*code, cut(detail)),
    };
    Kind::Read(TimelineRead {
        took_micros: trace.micros,
        block_hash: trace.at.map(|at| at.hash.to_vec()).unwrap_or_default(),
        refusal: refusal.into(),
        detail,
        basis: trace.basis.into(),
    })
}

pub(crate) fn answered(response: &Response, late: bool, took_micros: u64) -> Kind {
    let (refusal, detail) = match &response.outcome {
        Outcome::Signed(_) => (RefusalCode::Unspecified, String::new()),
        Outcome::Refused(refusal) => (refusal.code, cut(&refusal.detail)),
    };
    Kind::Answered(TimelineAnswered {
        operator: response.operator.to_vec(),
        refusal: refusal.into(),
        detail,
        late,
        took_micros,
    })
}

pub(crate) fn sent(item: TimelineItem) -> Kind {
    Kind::Sent(TimelineSent { item: item.into() })
}

pub(crate) fn certified(certificate: &Certificate, learned: bool) -> Kind {
    Kind::Certified(TimelineCertified {
        signers: u32::try_from(certificate.signatures().len()).unwrap_or(u32::MAX),
        learned,
    })
}

pub(crate) fn delivered(user: u32, outcome: TimelineOutcome) -> Kind {
    Kind::Delivered(TimelineDelivered {
        user,
        outcome: outcome.into(),
    })
}

pub(crate) fn ended(report: &Report) -> Kind {
    let state = match report.status {
        Status::Failed => wire::TaskState::Failed,
        _ => wire::TaskState::Expired,
    };
    Kind::Ended(TimelineEnded {
        state: state.into(),
        signed_weight: report.progress.signed_weight.to_be_bytes_vec(),
        threshold: report.progress.threshold.to_be_bytes_vec(),
        missing: report
            .missing
            .iter()
            .map(|operator| operator.to_vec())
            .collect(),
    })
}

pub(crate) fn equivocated(first: &Response) -> Kind {
    Kind::Equivocated(TimelineEquivocated {
        operator: first.operator.to_vec(),
        other_task: first.statement.task_id().0.to_vec(),
    })
}

pub(crate) fn declined(reason: TimelineReason) -> Kind {
    Kind::Declined(TimelineDeclined {
        reason: reason.into(),
    })
}

pub(crate) const fn interrupted() -> Kind {
    Kind::Interrupted(TimelineInterrupted {})
}

/// Leaves out what the event can do without.
pub(super) fn shorten(event: &mut TimelineEvent) {
    match &mut event.kind {
        Some(Kind::Answered(answer)) => answer.detail.clear(),
        Some(Kind::Read(read)) => read.detail.clear(),
        _ => {}
    }
}

/// Texts as long as those of refusals on the wire.
fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(quorate_proto::limits::MAX_DETAIL_BYTES);
    text[..end].to_owned()
}
