//! Brings a store of an earlier schema to the present one, step by step.
//!
//! # Design Decisions
//!
//! A step is a function from the data to one last batch. That batch and the new version number are
//! one synced write, so a store is always of exactly one version. A step whose changes do not fit
//! one batch writes them before in such a way that doing it again changes nothing; a crash then
//! leaves the old version, and the next start does the step again. Rows are added and rewritten,
//! never removed before the last batch.

mod signers;

use std::path::Path;

use quorate_proto::store::Meta;

use super::{SCHEMA_VERSION, identity};
use crate::{Batch, Engine, StoreError, schema};

/// From one version to the next.
struct Step {
    to: u32,
    what: &'static str,
    run: fn(&dyn Engine) -> Result<Batch, StoreError>,
}

/// In order, without gaps. The first one begins at [`OLDEST`].
const STEPS: [Step; 1] = [Step {
    to: 2,
    what: "notes which keys sign with this log",
    run: signers::run,
}];

/// The oldest schema from which there is a way.
const OLDEST: u32 = 1;

const _: () = assert!(OLDEST + STEPS.len() as u32 == SCHEMA_VERSION);

/// Whether [`migrate`] knows the way from this version.
pub(super) fn is_known(version: u32) -> bool {
    (OLDEST..=SCHEMA_VERSION).contains(&version)
}

/// Takes the steps that are missing.
pub(super) fn migrate(engine: &dyn Engine, path: &Path, mut meta: Meta) -> Result<(), StoreError> {
    let found = meta.schema_version;
    for step in STEPS.iter().filter(|step| step.to > found) {
        tracing::warn!(store = %path.display(), from = meta.schema_version, to = step.to, step.what,
            "the store is migrated; earlier builds will not open it any more");
        let mut last: Batch = (step.run)(engine)?;
        meta.schema_version = step.to;
        last.put(schema::META, identity::ROW, &meta);
        engine.write(&last, true)?;
    }
    Ok(())
}
