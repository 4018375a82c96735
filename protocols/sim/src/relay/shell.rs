//! What a relayer's shell does: it asks the chain, signs and sends, by providers of which some lie.

use quorate_protocols::delivery::{Class, DeliveryId, Input, OnChain, Output, Reason, TxKey};
use rand::Rng;

use super::Duty;
use super::ledger::{GAS, Tx};
use super::world::World;

impl World {
    /// What comes of something that a relayer wants done.
    pub(super) fn answer(
        &mut self,
        relayer: usize,
        effect: Output,
    ) -> Result<Option<Input>, (usize, String)> {
        Ok(match effect {
            Output::Look(lane) => Some(Input::Viewed(lane, self.ledger.view(relayer))),
            Output::AskRecord(id) => Some(Input::Judged(id, self.record(relayer, id))),
            Output::Estimate { id, .. } => Some(Input::Estimated(id, Ok(GAS))),
            Output::AskReceipt(lane, nonce) => {
                let found = self.ledger.receipt(relayer, nonce);
                Some(Input::Receipt { lane, nonce, found })
            }
            Output::Send {
                tx: key,
                delivery,
                fees,
                gas,
                round,
            } => {
                let node = &mut self.relayers[relayer];
                let tx = node.sign(relayer, key, delivery, fees, gas);
                let tx = tx.map_err(|what| (relayer, what))?;
                tx.map(|tx| self.send(key, tx, round))
            }
            _ => None,
        })
    }

    fn record(&self, relayer: usize, id: DeliveryId) -> OnChain {
        let by_others = self.ledger.done(id).is_some_and(|(who, _)| who != relayer);
        match self.plan.without {
            Some(Duty::AskFirst) if by_others => OnChain::Open,
            _ => self.ledger.judge(id),
        }
    }

    fn send(&mut self, tx: TxKey, signed: Tx, round: u32) -> Input {
        let lies = self.chance(self.plan.lies);
        let mute = self.plan.without == Some(Duty::SendAgain) && (round, tx.attempt) != (0, 0);
        let taken = !mute && (!lies || self.rng.random_bool(0.3));
        let mut answer = match taken {
            true => self.ledger.offer(signed),
            false => Ok(()),
        };
        if lies && self.rng.random_bool(0.5) {
            let classes = [
                Class::Underpriced,
                Class::NonceUsed,
                Class::Funds,
                Class::Rejected,
                Class::Hopeless,
                Class::Unreachable,
            ];
            let class = classes[self.rng.random_range(0..classes.len())];
            answer = Err(Reason::new(class, "a lie"));
        }
        Input::Sent {
            tx,
            valid_until: None,
            answer,
        }
    }
}
