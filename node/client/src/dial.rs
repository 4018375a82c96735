//! Reaching an operator, and learning which networks it serves.

use futures::StreamExt;
use libp2p::swarm::{DialError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, identify};

use super::ClientError;
use crate::swarm::{UserBehaviour, UserBehaviourEvent, peer_of};

/// Dials, and waits until the peer has said which protocols it speaks.
pub(super) async fn dial(
    swarm: &mut Swarm<UserBehaviour>,
    address: &Multiaddr,
) -> Result<(PeerId, Vec<String>), String> {
    swarm.dial(address.clone()).map_err(|error| plain(&error))?;
    let wanted = peer_of(address);
    // A relay on the way is another peer.
    let is_wanted = |peer: &PeerId| wanted.is_none_or(|wanted| wanted == *peer);
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::OutgoingConnectionError { error, .. } => return Err(plain(&error)),
            SwarmEvent::ConnectionClosed { cause, peer_id, .. } if is_wanted(&peer_id) => {
                let cause = cause.map_or_else(|| "closed".into(), |cause| told(&cause));
                return Err(format!("the peer closed the connection: {cause}"));
            }
            SwarmEvent::Behaviour(UserBehaviourEvent::Identify(identify::Event::Received {
                peer_id,
                info,
                ..
            })) if is_wanted(&peer_id) => {
                let served = info.protocols.iter().filter_map(|p| network_of(p.as_ref()));
                return Ok((peer_id, served.collect()));
            }
            _ => {}
        }
    }
}

fn plain(error: &DialError) -> String {
    match error {
        DialError::Transport(tried) => {
            let causes: Vec<String> = tried.iter().map(|(_, cause)| told(cause)).collect();
            causes.join("; ")
        }
        other => told(other),
    }
}

/// An error and what is behind it: those of libp2p say nothing, or leave that out.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut texts: Vec<String> = Vec::new();
    for cause in causes {
        // Some are lists, of one entry mostly.
        let text = cause.to_string().replace("\n - ", " ");
        let is_known = texts.last().is_some_and(|last| last.ends_with(&text));
        if !is_known {
            texts.push(text);
        }
    }
    texts.retain(|text| !text.is_empty());
    texts.join(": ")
}

fn network_of(protocol: &str) -> Option<String> {
    let network = protocol
        .strip_prefix("/quorate/")?
        .strip_suffix("/request/1")?;
    Some(network.to_owned())
}

pub(super) fn choose(
    address: &Multiaddr,
    mut served: Vec<String>,
    wanted: Option<&str>,
) -> Result<String, ClientError> {
    let cure = match (wanted, served.len()) {
        (Some(wanted), _) if served.iter().any(|network| network == wanted) => {
            return Ok(wanted.into());
        }
        (None, 1) => return Ok(served.remove(0)),
        (_, 0) => "ask an operator's --listen address",
        (Some(_), _) => "check --network",
        (None, _) => "choose one with --network",
    };
    let address = address.clone();
    Err(ClientError::NoSuchNetwork {
        address,
        found: served,
        cure,
    })
}

#[cfg(test)]
mod tests {
    use libp2p::core::transport::TransportError;

    use super::*;

    #[test]
    fn what_is_behind_an_error_is_told() {
        let refused = || std::io::Error::other("connection refused");
        let address: Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
        let failed = TransportError::Other(refused());
        let error = DialError::Transport(vec![(address, failed)]);
        assert_eq!(plain(&error), "connection refused");
        assert!(!plain(&DialError::NoAddresses).is_empty());
    }
}
