//! Liveness and readiness, for the supervisor of the process, or a load balancer that sends users to it.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use libp2p::PeerId;
use quorate_proto::OperatorSet;

use super::{HttpContext, HttpState, chain_problem};
use crate::api::{Live, Ready};
use crate::health::readiness::{Cause, Situation};
use crate::network::peer_id_of;
use crate::signing::lease::LeaseHandle;

/// Who hears this need not restart the process.
pub(super) async fn live() -> Json<Live> {
    Json(Live { live: true })
}

pub(super) async fn ready(State(facts): HttpState) -> Response {
    let ready = facts.ready().await;
    let code = match ready.ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, Json(ready)).into_response()
}

impl HttpContext {
    /// Whether this node can sign now.
    pub(super) async fn ready(&self) -> Ready {
        let view = self.node.home.view();
        let mut situation = Situation {
            set: view.current.clone(),
            me: self.me,
            home: view.problem,
            store: self.node.store.failed().map(|cause| cause.to_string()),
            draining: self.node.closing.is_cancelled(),
            noted: self.node.readiness.noted(),
            ..Situation::default()
        };
        let unsigned = self.lease.as_ref().and_then(LeaseHandle::problem);
        situation
            .noted
            .extend(unsigned.map(|problem| (Cause::SigningLog, problem)));
        situation.restricted = self.lease.as_ref().and_then(LeaseHandle::restriction);
        let chains = self.node.chains.iter();
        let problem = |(id, chain): (&u64, &std::sync::Arc<dyn quorate_chain::StateReader>)| {
            (*id, chain_problem(*id, chain.as_ref()))
        };
        situation.chains = chains.map(problem).collect();
        if let Some(set) = &view.current {
            self.look_for_operators(set, &mut situation).await;
        }
        situation.judge()
    }

    /// Registries and peers of known operators are not unknown peers; users may look like such.
    async fn look_for_operators(&self, set: &OperatorSet, situation: &mut Situation) {
        let peers = self.node.network.peers().await;
        let mut peers: HashSet<PeerId> = peers.into_iter().map(|info| info.peer).collect();
        let me = self.me.map(|(operator, _)| operator);
        for member in set.members() {
            let operator = member.address;
            if Some(operator) == me {
                continue;
            }
            let binding = self.node.bindings.of(operator);
            match binding.and_then(|binding| peer_id_of(&binding.peer_key)) {
                None => situation.unheard.push(operator),
                Some(peer) if peers.remove(&peer) => situation.connected.push(operator),
                Some(_) => {}
            }
        }
        for registry in self.standings.lines() {
            if let Ok(peer) = registry.peer_id.parse() {
                peers.remove(&peer);
            }
        }
        situation.strangers = peers.len();
    }
}
