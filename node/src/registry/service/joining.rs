//! The two steps of a join: a challenge, and the proof that answers it.

use std::sync::PoisonError;

use libp2p::{Multiaddr, PeerId};
use quorate_proto::{B256, JoinRequest, OperatorStatus, RegistryErrorCode, wire};
use quorate_protocols::membership::{Input, Refused};
use tonic::Status;

use super::{Services, address};
use crate::clock;
use crate::network::peer_id_of;
use crate::network::rpc::{refuse, refused};

impl Services {
    pub(super) async fn challenge(
        &self,
        peer: PeerId,
        request: wire::ChallengeRequest,
    ) -> Result<wire::Challenge, Status> {
        self.ready()?;
        let begun = self.begin(peer, &request).await;
        self.noted(peer, begun)
    }

    async fn begin(
        &self,
        peer: PeerId,
        request: &wire::ChallengeRequest,
    ) -> Result<wire::Challenge, Status> {
        self.check_network(&request.network)?;
        let operator = address("operator", &request.operator)?;
        let fresh = B256::from(rand::random::<[u8; 32]>());
        let opened = self.challenges().open(clock::now(), peer, operator, fresh);
        let until = opened.map_err(|(code, text)| refuse(code, text))?;
        // Said at once rather than after the work of signing.
        let unknown = Refused::UnknownOperator(operator);
        let member = self.members()?.member(operator).await;
        let member = member.ok_or_else(|| refused(unknown))?;
        if member.status == OperatorStatus::Unactive && member.binding.is_none() {
            return Err(refused(Refused::Deregistered(operator)));
        }
        Ok(wire::Challenge {
            challenge: fresh.to_vec(),
            expires_ms: until.millis(),
        })
    }

    pub(super) async fn join(
        &self,
        peer: PeerId,
        request: wire::JoinRequest,
    ) -> Result<wire::JoinReply, Status> {
        self.ready()?;
        let Ok(_place) = self.0.joins.try_acquire() else {
            let text = "too many joins are under way; try again soon";
            return Err(refuse(RegistryErrorCode::Overloaded, text));
        };
        let joined = self.admit(peer, &request).await;
        let joined = self.noted(peer, joined)?;
        self.welcome(joined).await
    }

    /// Counts what the peer could have known to fail.
    fn noted<T>(&self, peer: PeerId, outcome: Result<T, Status>) -> Result<T, Status> {
        let Err(status) = &outcome else {
            return outcome;
        };
        let code = crate::network::rpc::explain(status).map(|error| error.code());
        let word = code.map_or("UNKNOWN", |code| code.as_str_name());
        metrics::counter!("quorate_joins_refused_total", "code" => word).increment(1);
        tracing::info!(%peer, reason = status.message(), "join refused");
        let innocent = [
            RegistryErrorCode::Overloaded,
            RegistryErrorCode::Unavailable,
            RegistryErrorCode::TooManyFailures,
        ];
        if code.is_some_and(|code| !innocent.contains(&code)) {
            self.challenges().failed(clock::now(), peer);
        }
        outcome
    }

    /// All checks, then the transition; what is returned is written.
    async fn admit(
        &self,
        peer: PeerId,
        request: &wire::JoinRequest,
    ) -> Result<JoinRequest, Status> {
        let invalid = |text: String| refuse(RegistryErrorCode::Invalid, text);
        let request = JoinRequest::try_from(request).map_err(|error| invalid(error.to_string()))?;
        let proof = &request.proof;
        let operator = proof.operator;
        let taken = self.challenges().take(clock::now(), peer, operator);
        let challenge = taken.map_err(|(code, text)| refuse(code, text))?;
        if peer_id_of(&proof.peer_key) != Some(peer) {
            let text = "peer_key: must be the key of the peer that joins";
            return Err(invalid(text.into()));
        }
        let members = self.members()?;
        let member = members.member(operator).await;
        let member = member.ok_or_else(|| refused(Refused::UnknownOperator(operator)))?;
        let active_epoch = wire::OperatorState::from(&member).active_epoch;
        let keys = self.keys_of(operator, active_epoch).await?;
        let domain = &self.0.parts.domain;
        request
            .verify(keys.signing_key, domain, challenge)
            .map_err(|error| refuse(error.code(), error.to_string()))?;
        if clock::is_ahead(request.binding.sequence) {
            let sequence = request.binding.sequence;
            return Err(invalid(format!(
                "binding.sequence: {sequence} is more than {} s ahead of this registry's clock; set the clock \
                 of the node by NTP and restart it",
                clock::MAX_AHEAD_MS / 1_000
            )));
        }
        // Before the transition: a subscriber that hears of that is told these with it. They are the
        // operator's word even where the transition is refused.
        let counts = self.keep_binding(request.binding, keys.signing_key);
        let addresses = request
            .addresses
            .iter()
            .filter_map(|text| text.parse().ok());
        let addresses: Vec<Multiaddr> = addresses.collect();
        self.0.parts.network.learn(peer, addresses).await;
        let told = members.tell(Input::Joined {
            operator,
            peer_key: proof.peer_key,
            sequence: request.binding.sequence,
            counts,
        });
        let ending = || refuse(RegistryErrorCode::Unavailable, "the registry is stopping");
        told.await.ok_or_else(ending)?.map_err(refused)?;
        Ok(request)
    }

    async fn welcome(&self, joined: JoinRequest) -> Result<wire::JoinReply, Status> {
        let operator = joined.proof.operator;
        metrics::counter!("quorate_joins_total").increment(1);
        let members = self.members()?;
        let member = members.member(operator).await;
        Ok(wire::JoinReply {
            operator: member.as_ref().map(|member| self.state_of(member)),
            peers: self.some_peers().await,
            sequence: *members.newest().borrow(),
        })
    }

    fn challenges(&self) -> std::sync::MutexGuard<'_, super::Challenges> {
        let challenges = self.0.challenges.lock();
        challenges.unwrap_or_else(PoisonError::into_inner)
    }
}
