//! The machine in `/status` and among the figures.

use super::{HttpContext, to_f64};
use crate::api::Machine;
use crate::health::vitals::Vitals;

pub(super) fn report(vitals: &Vitals) -> Machine {
    let sample = vitals.sample();
    let skew = vitals.skew();
    Machine {
        memory: sample.memory,
        open_files: sample.open_files,
        open_files_limit: sample.open_files_limit,
        disk_free: sample.disk_free,
        disk_total: sample.disk_total,
        clock_offset_ms: skew.map(|skew| skew.offset_ms),
        clock_uncertainty_ms: skew.map(|skew| skew.uncertainty_ms),
        clock_peers: skew.map_or(0, |skew| skew.peers),
        last_signature_ms: vitals.last_signature(),
    }
}

pub(super) fn gauge(facts: &HttpContext) {
    let machine = report(&facts.node.vitals);
    let known = [
        ("quorate_memory_bytes", machine.memory),
        ("quorate_open_files", machine.open_files),
        ("quorate_open_files_limit", machine.open_files_limit),
        ("quorate_disk_free_bytes", machine.disk_free),
        ("quorate_disk_total_bytes", machine.disk_total),
    ];
    for (name, figure) in known {
        if let Some(figure) = figure {
            metrics::gauge!(name).set(to_f64(figure));
        }
    }
    if let Some(offset) = machine.clock_offset_ms {
        let sign = if offset < 0 { -1.0 } else { 1.0 };
        let seconds = to_f64(offset.unsigned_abs()) / 1_000.0;
        metrics::gauge!("quorate_clock_offset_seconds").set(sign * seconds);
    }
    metrics::gauge!("quorate_clock_peers").set(to_f64(machine.clock_peers as u64));
    let signed = machine.last_signature_ms.map_or(0.0, to_f64) / 1_000.0;
    metrics::gauge!("quorate_last_signature_timestamp_seconds").set(signed);
    let failed = facts.node.store.failed().is_some();
    metrics::gauge!("quorate_store_failed").set(f64::from(u8::from(failed)));
}
