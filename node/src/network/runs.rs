//! Which of a peer's connections are to which run of its process.
//!
//! Gossipsub tells its topics over the first connection to a peer and no other. Where that one leads to
//! a process that is gone, as one over QUIC does for seconds after a kill, the next run of the peer is
//! told nothing. So once the old connection ends, both sides have to begin anew.

use libp2p::swarm::ConnectionId;

/// The connections to one peer, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Runs(Vec<(ConnectionId, Option<String>)>);

impl Runs {
    pub(super) fn connected(&mut self, connection: ConnectionId) {
        self.0.push((connection, None));
    }

    /// What the peer calls itself there. Nodes name their run in it.
    pub(super) fn identified(&mut self, connection: ConnectionId, run: String) {
        if let Some((_, known)) = self.0.iter_mut().find(|(id, _)| *id == connection) {
            *known = Some(run);
        }
    }

    /// Whether the oldest connection was to another run than those that are left. Where a younger one
    /// ends, it was a second process with the peer's key, and the first one goes on.
    pub(super) fn disconnected(&mut self, connection: ConnectionId) -> bool {
        let Some(place) = self.0.iter().position(|(id, _)| *id == connection) else {
            return false;
        };
        let (_, ended) = self.0.remove(place);
        let other = |(_, run): &(ConnectionId, Option<String>)| run.is_some() && *run != ended;
        place == 0 && ended.is_some() && !self.0.is_empty() && self.0.iter().all(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Connections to these runs, in this order; of which `ended` ends.
    fn ends(runs: &[Option<&str>], ended: usize) -> bool {
        let mut peer = Runs::default();
        let ids: Vec<_> = (0..runs.len()).map(ConnectionId::new_unchecked).collect();
        for (id, run) in ids.iter().zip(runs) {
            peer.connected(*id);
            if let Some(run) = run {
                peer.identified(*id, (*run).to_owned());
            }
        }
        peer.disconnected(ids[ended])
    }

    #[test]
    fn only_the_end_of_an_earlier_run_is_one() {
        let (a, b) = (Some("a"), Some("b"));
        assert!(ends(&[a, b], 0), "killed, and started again");
        assert!(ends(&[a, b, b], 0), "and it came back in two ways");
        assert!(!ends(&[a, a, b], 0), "one way to the old run is left");
        assert!(!ends(&[a, b], 1), "a second process went");
        assert!(!ends(&[a, a], 0), "one run, two ways");
        assert!(!ends(&[a], 0), "nothing is left");
        assert!(!ends(&[None, b], 0), "it never said who it was");
        assert!(!ends(&[a, None], 0), "the other one has not said yet");
    }

    #[test]
    fn what_was_never_there_ends_nothing() {
        let mut peer = Runs::default();
        assert!(!peer.disconnected(ConnectionId::new_unchecked(1)));
    }
}
