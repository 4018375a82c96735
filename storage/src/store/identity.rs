use std::path::Path;

use quorate_proto::store::Meta;

use super::SCHEMA_VERSION;
use crate::{Batch, EncodeKey, Engine, KeyRange, Order, StoreError, schema};

const ROW: &str = "store";

/// Whose data a store keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The network's id. Two networks never share a store.
    pub network: String,
}

impl Identity {
    /// The identity of a store of this network.
    pub fn new(network: impl Into<String>) -> Self {
        Self {
            network: network.into(),
        }
    }
}

/// The network whose data an opened engine holds, where it says.
pub(super) fn found(engine: &dyn Engine) -> Result<Option<Identity>, StoreError> {
    let row = engine.get(schema::META.def(), &ROW.key_bytes())?;
    let meta = row.map(|bytes| decode(&bytes)).transpose()?;
    Ok(meta.map(|meta| Identity::new(meta.network)))
}

/// Lets an opened engine pass if it holds this identity and has the present schema, or holds nothing
/// yet: then it gets them.
///
/// `was_ready` says that the folder has held a whole store before, which makes "nothing" a loss.
pub(super) fn admit(
    engine: &dyn Engine,
    path: &Path,
    identity: &Identity,
    was_ready: bool,
) -> Result<(), StoreError> {
    match engine.get(schema::META.def(), &ROW.key_bytes())? {
        Some(bytes) => check(decode(&bytes)?, path, identity),
        None if was_ready => Err(lost("the store was complete and is empty now")),
        None if !is_empty(engine)? => Err(lost("there are data, but not whose")),
        None => create(engine, identity),
    }
}

fn decode(bytes: &[u8]) -> Result<Meta, StoreError> {
    schema::META.decode_value(ROW.as_bytes(), bytes)
}

fn check(meta: Meta, path: &Path, identity: &Identity) -> Result<(), StoreError> {
    if meta.schema_version != SCHEMA_VERSION {
        return Err(StoreError::UnknownSchema {
            path: path.to_owned(),
            found: meta.schema_version,
            made_by: meta.created_by,
            known: SCHEMA_VERSION,
        });
    }
    if meta.network != identity.network {
        return Err(StoreError::OtherNetwork {
            path: path.to_owned(),
            found: meta.network,
            configured: identity.network.clone(),
        });
    }
    Ok(())
}

fn create(engine: &dyn Engine, identity: &Identity) -> Result<(), StoreError> {
    let meta = Meta {
        schema_version: SCHEMA_VERSION,
        network: identity.network.clone(),
        created_by: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let mut batch = Batch::new();
    batch.put(schema::META, ROW, &meta);
    engine.write(&batch, true)
}

fn is_empty(engine: &dyn Engine) -> Result<bool, StoreError> {
    for table in schema::ALL {
        let found = engine.scan(*table, &KeyRange::default(), Order::Ascending, 1)?;
        if !found.rows.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn lost(reason: &str) -> StoreError {
    StoreError::corrupt(schema::META.def().name, ROW.as_bytes(), reason)
}
