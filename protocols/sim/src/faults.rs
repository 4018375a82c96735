//! What goes wrong at providers, disks and with operators that mean ill.

use super::Sim;
use super::plan::{Behaviour, Span};
use super::providers::{Fault, ProviderFault};
use super::rule::Rule;

impl Sim {
    /// Each node reads its chains at `n` providers, of which `k` have to agree. Without this it
    /// has one.
    #[must_use]
    pub const fn providers(mut self, n: usize, k: usize) -> Self {
        self.plan.providers.n = n;
        self.plan.providers.k = k;
        self
    }

    /// Values come with a proof against the header that k providers agree on.
    #[must_use]
    pub const fn proofs(mut self) -> Self {
        self.plan.providers.proofs = true;
        self
    }

    /// A provider of a node goes wrong from `at` until `until`.
    #[must_use]
    pub fn provider(
        mut self,
        (node, provider): (usize, usize),
        fault: ProviderFault,
        (at, until): (u64, u64),
    ) -> Self {
        self.plan.providers.faults.push(Fault {
            node,
            provider,
            fault,
            span: Span::new(at, until),
        });
        self
    }

    /// A node dies, and its disk with it: when it is restarted it has nothing, and signs nothing
    /// until it gets its log back.
    #[must_use]
    pub fn lose_disk(mut self, node: usize, at: u64) -> Self {
        self.plan.disk_losses.push((node, at));
        self
    }

    /// A node gets its whole signing log back that it lost with its disk.
    #[must_use]
    pub fn import_log(mut self, node: usize, at: u64) -> Self {
        self.plan.imports.push((node, at));
        self
    }

    pub(super) fn behaves(mut self, node: usize, behaviour: Behaviour) -> Self {
        self.plan.behaviours.insert(node, behaviour);
        self
    }

    /// An operator whose chain always shows another value; all liars show the same one.
    #[must_use]
    pub fn liar(self, node: usize) -> Self {
        self.behaves(node, Behaviour::Liar)
    }

    /// An operator whose chain shows another value at every second read.
    #[must_use]
    pub fn wavering(self, node: usize) -> Self {
        self.behaves(node, Behaviour::Wavering)
    }

    /// An operator that hears everything and says nothing.
    #[must_use]
    pub fn silent(self, node: usize) -> Self {
        self.behaves(node, Behaviour::Silent)
    }

    /// An operator that signs whatever it is asked, and the opposite as well, for all to see.
    #[must_use]
    pub fn equivocator(self, node: usize) -> Self {
        self.behaves(node, Behaviour::Equivocator)
    }

    /// An operator that signs one fact for one half of the others, and another one for the other
    /// half. Spectators get both.
    #[must_use]
    pub fn splitter(self, node: usize) -> Self {
        self.behaves(node, Behaviour::Splitter)
    }

    /// An operator whose signing key is another one in every epoch.
    #[must_use]
    pub fn renews_keys(mut self, node: usize) -> Self {
        self.plan.renewing.insert(node);
        self
    }

    /// An operator that signs one fact with its key of this epoch, and the opposite with that of the
    /// next one.
    #[must_use]
    pub fn turncoat(self, node: usize) -> Self {
        self.renews_keys(node).behaves(node, Behaviour::Turncoat)
    }

    /// An operator that sends what it says to some, each time others.
    #[must_use]
    pub fn withholder(self, node: usize) -> Self {
        self.behaves(node, Behaviour::Withholder)
    }

    /// An operator that sends what it heard from any node again, also of epochs that are over.
    #[must_use]
    pub fn replayer(self, node: usize) -> Self {
        self.behaves(node, Behaviour::Replayer)
    }

    /// An operator that signs for another epoch than it is asked in.
    #[must_use]
    pub fn anachronist(self, node: usize) -> Self {
        self.behaves(node, Behaviour::WrongEpoch)
    }

    /// An operator that refuses everything, for one reason or another.
    #[must_use]
    pub fn refuser(self, node: usize) -> Self {
        self.behaves(node, Behaviour::Refuser)
    }

    /// An operator that makes up signatures and certificates of others.
    #[must_use]
    pub fn forger(self, node: usize) -> Self {
        self.behaves(node, Behaviour::Forger)
    }

    /// All nodes leave out a rule, to see that this is noticed.
    #[must_use]
    pub const fn without(mut self, rule: Rule) -> Self {
        self.plan.without = Some(rule);
        self
    }
}
