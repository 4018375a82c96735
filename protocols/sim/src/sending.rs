//! How messages get on their way.

use std::sync::Arc;

use quorate_proto::Timestamp;

use super::engine::Engine;
use super::event::{Message, Parcel, What};
use super::mesh::{self, Mesh, Way};
use super::plan::Behaviour;

/// Who of all nodes gets a message; `None` for all of them.
pub(super) type Audience<'a> = Option<&'a [bool]>;

pub(super) fn is_meant(audience: Audience<'_>, node: usize) -> bool {
    audience.is_none_or(|nodes| nodes.get(node).copied().unwrap_or_default())
}

impl Engine {
    /// A node says something to all; who means ill, perhaps to some.
    pub(super) fn broadcast(&mut self, from: usize, message: Message) {
        if self.world.plan.behaviour(from) == Behaviour::Silent {
            return;
        }
        let audience = self.audience(from, &message);
        self.send_to(from, message, audience.as_deref());
    }

    pub(super) fn send_to(&mut self, from: usize, message: Message, audience: Audience<'_>) {
        let task = message.statement().task_id();
        self.sent += 1;
        let parcel = Parcel {
            number: self.sent,
            from,
            task,
            message,
            replayed: false,
        };
        self.spread(from, parcel, audience);
    }

    /// Puts a message on its way, in its author's name.
    pub(super) fn spread(&mut self, sender: usize, parcel: Parcel, audience: Audience<'_>) {
        let arrivals = match self.mesh.take() {
            Some(mut mesh) => {
                let arrivals = self.gossip(&mut mesh, sender, &parcel.message, audience);
                self.mesh = Some(mesh);
                arrivals
            }
            None => self.send_directly(sender, audience),
        };
        let parcel = Arc::new(parcel);
        for (to, delay) in arrivals {
            let at = Timestamp(self.now.0 + delay);
            let parcel = Arc::clone(&parcel);
            self.queue.plan(at, to, What::Deliver(parcel));
        }
    }

    /// With a fate for each.
    fn send_directly(&mut self, from: usize, audience: Audience<'_>) -> Vec<(usize, u64)> {
        let network = &self.world.plan.network;
        let mut arrivals = Vec::with_capacity(self.nodes.len());
        for to in (0..self.nodes.len()).filter(|to| *to != from && is_meant(audience, *to)) {
            self.messages += 1;
            let fate = network.fate(&mut self.rng, self.now, from, to);
            arrivals.extend(fate.into_iter().flatten().map(|delay| (to, delay)));
        }
        arrivals
    }

    /// From neighbour to neighbour. Who is silent passes nothing on either.
    fn gossip(
        &mut self,
        mesh: &mut Mesh,
        from: usize,
        message: &Message,
        audience: Audience<'_>,
    ) -> Vec<(usize, u64)> {
        let (plan, nodes) = (&self.world.plan, &self.nodes);
        let talks = |node: usize| plan.behaviour(node) != Behaviour::Silent;
        let way = Way {
            conditions: &plan.network,
            now: self.now,
            bytes: mesh::size(&self.world.network, message),
            audience,
            forwards: &|node| nodes[node].alive && talks(node),
        };
        mesh.spread(&mut self.rng, from, &way)
    }
}
