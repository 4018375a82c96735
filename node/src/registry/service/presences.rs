//! Which process signs for an operator just now, so that another one with the same key can ask.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use quorate_proto::{Address, Presence, wire};

use super::Services;
use crate::clock;
use crate::home::EpochView;

/// The newest presence of each operator of a live set. A few hundred bytes each, and no more of them
/// than the sets have members.
#[derive(Default)]
pub(super) struct Presences(Mutex<HashMap<Address, KnownPresence>>);

/// It goes with the key that made it.
#[derive(Clone, Copy)]
struct KnownPresence {
    presence: Presence,
    key: Address,
}

impl Services {
    /// Keeps the presence in a request, if it is newer than what is known and by the operator's key;
    /// the newest one that is known then.
    pub(super) fn present(
        &self,
        operator: Address,
        request: &wire::HealthRequest,
        view: &EpochView,
    ) -> Option<Presence> {
        let keys = view.keys_of(operator);
        let mut known = self
            .0
            .presences
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if known
            .get(&operator)
            .is_some_and(|known| !keys.contains(&known.key))
        {
            known.remove(&operator);
        }
        let shown = request.presence.as_ref().map(Presence::try_from);
        if let Some(Ok(shown)) = shown {
            let newest = known.get(&operator);
            let is_news = shown.operator == operator
                && newest.is_none_or(|newest| newest.presence.sequence < shown.sequence)
                && !clock::is_ahead(shown.sequence);
            // The signature last: it is what costs.
            let made = |key: &Address| shown.verify(*key, &self.0.parts.domain).is_ok();
            if let Some(key) = keys.into_iter().filter(|_| is_news).find(made) {
                let presence = shown;
                known.insert(operator, KnownPresence { presence, key });
            }
        }
        known.get(&operator).map(|known| known.presence)
    }
}
