//! Schema 2: a key signs only with a log that is known to be whole. Keys that have records have
//! signed with this store all along.

use quorate_proto::store::{LogOrigin, SignerRecord};

use crate::{Batch, Engine, StoreError, schema::SIGNERS, signer::logged_keys};

/// At most [`crate::MAX_SIGNING_KEYS`] rows of 50 bytes: one batch.
pub(super) fn run(engine: &dyn Engine) -> Result<Batch, StoreError> {
    let mut batch = Batch::new();
    for key in logged_keys(engine)? {
        let record = SignerRecord {
            origin: LogOrigin::Migrated.into(),
            ..SignerRecord::default()
        };
        batch.put(SIGNERS, &key, &record);
    }
    Ok(batch)
}
