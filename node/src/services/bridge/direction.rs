//! Which way a route goes, as dashboards name it.

use quorate_chain::ChainFamily;

/// By the families of both ends. Each has an HTTP interface of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Direction {
    /// From SVM to EVM.
    S2e,
    /// From EVM to SVM.
    E2s,
    /// From EVM to EVM.
    E2e,
}

impl Direction {
    pub(crate) const ALL: [Self; 3] = [Self::S2e, Self::E2s, Self::E2e];

    /// `None` where no dashboard shows such routes.
    pub(crate) const fn of(source: ChainFamily, target: ChainFamily) -> Option<Self> {
        match (source, target) {
            (ChainFamily::Svm, ChainFamily::Evm) => Some(Self::S2e),
            (ChainFamily::Evm, ChainFamily::Svm) => Some(Self::E2s),
            (ChainFamily::Evm, ChainFamily::Evm) => Some(Self::E2e),
            _ => None,
        }
    }

    /// The name of its service.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::S2e => "s2e",
            Self::E2s => "e2s",
            Self::E2e => "e2e",
        }
    }
}
