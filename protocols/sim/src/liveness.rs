//! Which tasks have to be certified, whatever the others do.

use quorate_proto::{Address, OperatorSet, Statement, Timestamp, U256, limits};

use super::network::DETOUR;
use super::plan::{Behaviour, Span};
use super::world::World;

/// The honest have to be connected for so long, in milliseconds: 5 s to find each other and the
/// epoch, and the 15 s of the task.
const BEFORE: u64 = 5_000;

impl World {
    /// Whether a task has to be certified that a user opened at `entry`: operators with the weight
    /// of the threshold are honest, up, well served and connected with it, from [`BEFORE`] until
    /// the task's deadline.
    ///
    /// Promised where messages that are not cut off arrive, and before the next announcement; with
    /// loss, all announcements can get lost. By gossip, a message takes its way over others.
    pub(super) fn must_certify(
        &self,
        statement: &Statement,
        entry: usize,
        opened: Timestamp,
    ) -> bool {
        let Some(set) = self.set(statement.epoch()) else {
            return false;
        };
        let span = Span {
            from: Timestamp(opened.0 - BEFORE * 1_000),
            until: opened.plus_millis(self.plan.times.deadline),
        };
        self.is_calm()
            && Self::is_true(statement)
            && self.is_able(entry, &span)
            && self.able_weight(set, entry, &span) >= set.threshold()
    }

    /// A question and its answer take less than a window, and the sets that a node knows when it
    /// comes back are those in which the others ask.
    fn is_calm(&self) -> bool {
        let plan = &self.plan;
        let read = *plan.read_time.end();
        let trip = 2 * (plan.network.latency.end() + DETOUR) + read;
        let apart = plan.home_delay * 1_000 + read;
        let epoch = plan.schedule.length * plan.block_time * 1_000;
        plan.network.loss == 0.0
            && plan.failing_reads == 0.0
            && plan.gossip.is_none()
            && trip < plan.times.window * 1_000
            && apart <= BEFORE * 1_000
            && epoch > apart + plan.block_time * 1_000
            && plan.chain_lag + plan.times.window
                <= limits::RESPONSE_WINDOW_MS * u64::from(limits::MAX_ATTEMPTS - 1)
    }

    fn able_weight(&self, set: &OperatorSet, entry: usize, span: &Span) -> U256 {
        let counts = |address: Address| {
            let node = self.number(address);
            self.is_able(node, span) && !self.plan.network.is_cut(entry, node, span)
        };
        let able = set.members().iter().filter(|member| counts(member.address));
        able.fold(U256::ZERO, |sum, member| sum + member.weight)
    }

    fn is_able(&self, node: usize, span: &Span) -> bool {
        self.plan.behaviour(node) == Behaviour::Honest
            && !self.is_deceivable(node)
            && self.plan.is_up(node, span)
            && self.plan.has_log(node, span)
            && self.plan.providers.serve(node, span)
    }
}
