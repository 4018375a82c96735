//! What a unit of gas costs, and what a replacement has to pay.

use super::bounds::BUMP_EIGHTHS;

/// Fees of a transaction, for a unit of gas (EIP-1559).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fees {
    /// At most this in all.
    pub max_fee: u128,
    /// Of it at most this to who makes the block.
    pub tip: u128,
}

impl Fees {
    /// What gets a transaction mined even if the base fee doubles, as far as the ceiling allows; `None` where that does
    /// not reach what blocks take now.
    pub(super) fn within(base: u128, tip: u128, ceiling: u128) -> Option<Self> {
        if ceiling < base.saturating_add(tip) {
            return None;
        }
        let max_fee = base.saturating_mul(2).saturating_add(tip).min(ceiling);
        Some(Self { max_fee, tip })
    }

    /// What replaces a transaction with these fees: what blocks take now, but at least an eighth more. `None` where the
    /// ceiling does not allow that.
    pub(super) fn replaced(self, base: u128, tip: u128, ceiling: u128) -> Option<Self> {
        let (least, tip) = (bumped(self.max_fee), bumped(self.tip).max(tip));
        if ceiling < least.max(tip) {
            return None;
        }
        let wanted = base.saturating_mul(2).saturating_add(tip);
        let max_fee = wanted.max(least).min(ceiling);
        Some(Self { max_fee, tip })
    }

    /// The least that replaces a transaction with these fees.
    pub(super) fn least_more(self) -> Self {
        Self {
            max_fee: bumped(self.max_fee),
            tip: bumped(self.tip),
        }
    }

    /// What so much gas costs at most.
    pub(super) const fn cost(self, gas: u64) -> u128 {
        self.max_fee.saturating_mul(gas as u128)
    }
}

/// An eighth more, rounded up, and at least one more.
fn bumped(fee: u128) -> u128 {
    let more = fee.saturating_mul(BUMP_EIGHTHS).div_ceil(8);
    more.max(fee.saturating_add(1))
}
