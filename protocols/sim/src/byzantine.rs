//! What operators do that mean ill.

use std::sync::Arc;

use quorate_proto::{Certificate, Outcome, RefusalCode, Response, SignerSignature, Statement};
use rand::Rng;

use super::engine::Engine;
use super::event::{Message, Parcel};
use super::network::happens;
use super::plan::Behaviour;
use super::world::World;

/// Messages that a replayer remembers: enough to reach back over some epochs.
const MEMORY: usize = 256;

/// How often a replayer repeats something when it hears something. Seven of them together do not
/// keep themselves busy for ever: what is replayed is not an occasion.
const REPLAYS: f64 = 0.1;

/// How often a forger makes something up when it hears an announcement.
const FORGERIES: f64 = 0.5;

impl Engine {
    /// The pipeline wants a signature; what an operator makes of that which means ill.
    /// `false` where it does what it should.
    pub(super) fn attests_ill(&mut self, node: usize, statement: Statement) -> bool {
        let address = self.nodes[node].address;
        match self.world.plan.behaviour(node) {
            Behaviour::Equivocator => {
                let opposite = World::opposite(&statement);
                self.broadcast(node, Message::Announce(opposite.clone(), 0));
                self.broadcast(
                    node,
                    Message::Response(self.world.signed(address, opposite)),
                );
                self.write(node, self.world.signed(address, statement));
            }
            Behaviour::Turncoat => {
                let next = statement.epoch().next();
                let later = World::displaced(&World::opposite(&statement), next);
                self.mischief.displaced += 1;
                self.broadcast(node, Message::Announce(later.clone(), 0));
                self.broadcast(node, Message::Response(self.world.signed(address, later)));
                self.write(node, self.world.signed(address, statement));
            }
            Behaviour::Splitter => {
                let opposite = World::opposite(&statement);
                let others = self.other_half(node);
                let response = self.world.signed(address, opposite.clone());
                self.mischief.split += 1;
                self.send_to(node, Message::Announce(opposite, 0), Some(&others));
                self.send_to(node, Message::Response(response), Some(&others));
                self.write(node, self.world.signed(address, statement));
            }
            Behaviour::WrongEpoch => {
                let displaced = self.another_epoch(&statement);
                self.mischief.displaced += 1;
                let response = self.sign(node, displaced);
                self.broadcast(node, Message::Response(response));
            }
            Behaviour::Refuser => {
                let codes = [
                    RefusalCode::ValueDiffers,
                    RefusalCode::NotFinal,
                    RefusalCode::Overloaded,
                    RefusalCode::CannotSign,
                ];
                let code = codes[self.rng.random_range(0..codes.len())];
                self.write(node, self.world.refusal(address, statement, code));
            }
            _ => return false,
        }
        true
    }

    fn another_epoch(&mut self, statement: &Statement) -> Statement {
        let epoch = statement.epoch();
        let earlier = epoch.previous().filter(|_| self.rng.random_bool(0.5));
        World::displaced(statement, earlier.unwrap_or_else(|| epoch.next()))
    }

    /// Whom a splitter tells the opposite. Spectators hear both.
    fn other_half(&self, node: usize) -> Vec<bool> {
        let operators = self.world.plan.operators;
        let other = |to: usize| to >= operators || to % 2 != node % 2;
        (0..self.nodes.len()).map(other).collect()
    }

    /// Who gets what a node says to all.
    pub(super) fn audience(&mut self, from: usize, message: &Message) -> Option<Vec<bool>> {
        match self.world.plan.behaviour(from) {
            Behaviour::Withholder => {
                self.mischief.withheld += 1;
                let nodes = 0..self.nodes.len();
                Some(nodes.map(|_| self.rng.random_bool(0.5)).collect())
            }
            Behaviour::Splitter if is_own_signature(message) => {
                let operators = self.world.plan.operators;
                let half = |to: usize| to >= operators || to % 2 == from % 2;
                Some((0..self.nodes.len()).map(half).collect())
            }
            _ => None,
        }
    }

    /// A message was heard by a node that may mean ill.
    pub(super) fn overhear(&mut self, node: usize, parcel: &Arc<Parcel>) {
        match self.world.plan.behaviour(node) {
            Behaviour::Replayer if !parcel.replayed => self.replay(node, parcel),
            Behaviour::Forger => self.forge(node, &parcel.message),
            _ => {}
        }
    }

    fn replay(&mut self, node: usize, heard: &Arc<Parcel>) {
        let memory = &mut self.nodes[node].overheard;
        if memory.len() < MEMORY {
            memory.push(Arc::clone(heard));
        } else {
            memory[self.rng.random_range(0..MEMORY)] = Arc::clone(heard);
        }
        if !happens(&mut self.rng, REPLAYS) {
            return;
        }
        let old = &memory[self.rng.random_range(0..memory.len())];
        let parcel = Parcel {
            number: old.number,
            from: old.from,
            task: old.task,
            message: old.message.clone(),
            replayed: true,
        };
        self.mischief.replayed += 1;
        self.spread(node, parcel, None);
    }

    /// A signature of another under a lie, and a certificate made of such.
    fn forge(&mut self, node: usize, heard: &Message) {
        let Message::Announce(statement, _) = heard else {
            return;
        };
        if !happens(&mut self.rng, FORGERIES) {
            return;
        }
        let (me, lie) = (self.nodes[node].address, World::opposite(statement));
        let others = (0..self.world.plan.operators).filter(|other| *other != node);
        let forged: Vec<Response> = others
            .map(|victim| {
                self.world
                    .forged(self.world.addresses[victim], me, lie.clone())
            })
            .collect();
        let Some(response) = forged.get(self.rng.random_range(0..forged.len().max(1))) else {
            return;
        };
        let response = response.clone();
        let signers = forged.iter().filter_map(signature_of).collect();
        self.mischief.forged += 2;
        self.broadcast(node, Message::Response(response));
        self.broadcast(node, Message::Result(Certificate::new(lie, signers)));
    }
}

const fn is_own_signature(message: &Message) -> bool {
    matches!(message, Message::Response(response) if matches!(response.outcome, Outcome::Signed(_)))
}

fn signature_of(response: &Response) -> Option<SignerSignature> {
    match response.outcome {
        Outcome::Signed(signature) => Some(SignerSignature {
            operator: response.operator,
            signature,
        }),
        Outcome::Refused(_) => None,
    }
}
