//! Tokens: what is theirs here, how they come in and go out. The first token program only: its tokens take no fee on the
//! way and call nobody.

use pinocchio::{
    AccountView, Address, ProgramResult,
    cpi::{Seed, Signer},
    error::ProgramError,
};
use pinocchio_token::{
    ID as TOKEN_PROGRAM,
    instructions::{BurnChecked, MintToChecked, TransferChecked},
    state::{Account, Mint},
};

use crate::{
    account::at,
    error::Error,
    hash::word,
    state::{Bridge, LOCK, Token, U64},
    sys::{Hash, product},
};

/// ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL
const ASSOCIATED: Address = Address::new_from_array([
    0x8c, 0x97, 0x25, 0x8f, 0x4e, 0x24, 0x89, 0xf1, 0xbb, 0x3d, 0x10, 0x29, 0x14, 0x8e, 0x0d,
    0x83, //
    0x0b, 0x5a, 0x13, 0x99, 0xda, 0xff, 0x10, 0x84, 0x04, 0x8e, 0x7b, 0xd8, 0xdb, 0xe9, 0xf8, 0x59,
]);

/// Seconds in which a full window is empty again.
const DAY: u64 = 24 * 60 * 60;

/// Address of the token account that a wallet is known by.
pub(crate) fn associated(wallet: &Hash, mint: &Hash) -> Result<Hash, ProgramError> {
    let seeds: [&[u8]; 3] = [wallet, TOKEN_PROGRAM.as_array(), mint];
    let (address, _) =
        Address::try_find_program_address(&seeds, &ASSOCIATED).ok_or(Error::WrongAddress)?;
    Ok(address.to_bytes())
}

/// Whether `account` is the one that `wallet` is known by, and its own.
pub(crate) fn require_associated(
    account: &AccountView,
    wallet: &Hash,
    mint: &Hash,
) -> ProgramResult {
    let state = Account::from_account_view(account).map_err(|_| Error::WrongReceiver)?;
    // The owner of such an account may have been changed since it was made.
    let own = state.owner().as_array() == wallet && state.mint().as_array() == mint;
    if own && associated(wallet, mint)? == *account.address().as_array() {
        return Ok(());
    }
    Err(Error::WrongReceiver.into())
}

/// Decimals of `mint`, and whether `authority` alone makes its tokens.
pub(crate) fn inspect(mint: &AccountView, authority: &Hash) -> Result<(u8, bool), ProgramError> {
    let state = Mint::from_account_view(mint)?;
    Ok((
        state.decimals(),
        state
            .mint_authority()
            .is_some_and(|key| key.as_array() == authority),
    ))
}

/// The accounts through which a token moves.
pub(crate) struct Accounts<'a> {
    pub(crate) bridge: &'a AccountView,
    pub(crate) state: &'a Bridge,
    pub(crate) token: &'a Token,
    pub(crate) mint: &'a AccountView,
    pub(crate) vault: &'a AccountView,
    /// Whose tokens come or go.
    pub(crate) other: &'a AccountView,
}

impl Accounts<'_> {
    fn check(&self) -> ProgramResult {
        at(self.mint, &self.token.mint)?;
        at(self.vault, &self.token.vault)
    }

    /// Locks or burns.
    #[inline(never)]
    pub(crate) fn take(&self, owner: &AccountView, amount: u64) -> ProgramResult {
        let token = self.token;
        self.check()?;
        if token.mode == LOCK {
            // From the vault into the vault nothing would be locked.
            if self.other.address() == self.vault.address() {
                return Err(Error::WrongAddress.into());
            }
            let (from, to) = (self.other, self.vault);
            TransferChecked::new(from, self.mint, to, owner, amount, token.decimals).invoke()
        } else {
            BurnChecked::new(self.other, self.mint, owner, amount, token.decimals).invoke()
        }
    }

    /// Releases or mints to the account that `wallet` is known by.
    #[inline(never)]
    pub(crate) fn pay(&self, wallet: &Hash, amount: u64) -> ProgramResult {
        let token = self.token;
        self.check()?;
        require_associated(self.other, wallet, &token.mint)?;
        let bump = [self.state.bump];
        let seeds = [
            Seed::from(b"bridge"),
            Seed::from(b""),
            Seed::from(b""),
            Seed::from(&bump),
        ];
        let signer = [Signer::from(&seeds)];
        let (authority, to, decimals) = (self.bridge, self.other, token.decimals);
        if token.mode == LOCK {
            let from = self.vault;
            TransferChecked::new(from, self.mint, to, authority, amount, decimals)
                .invoke_signed(&signer)
        } else {
            MintToChecked::new(self.mint, to, authority, amount, decimals).invoke_signed(&signer)
        }
    }
}

impl Token {
    /// Local units of an amount that was signed.
    pub(crate) fn local(&self, amount: &Hash) -> Result<u64, ProgramError> {
        let (high, low) = amount
            .split_last_chunk::<8>()
            .ok_or(Error::InvalidTransfer)?;
        let wire = u64::from_be_bytes(*low);
        if wire == 0 || high.iter().any(|byte| *byte != 0) {
            return Err(Error::InvalidTransfer.into());
        }
        product(wire, self.unit.get()).ok_or_else(|| Error::InvalidTransfer.into())
    }

    /// What is signed for an amount in local units.
    pub(crate) fn wire(&self, local: u64) -> Result<Hash, ProgramError> {
        let unit = self.unit.get();
        let wire = local.checked_div(unit).unwrap_or_default();
        if wire == 0 || product(wire, unit) != Some(local) {
            return Err(Error::InvalidTransfer.into());
        }
        Ok(word(&wire.to_be_bytes()))
    }

    /// Takes `amount` out of the window's room at `now`, if it may be paid at once.
    pub(crate) fn fits(&mut self, amount: u64, now: u64) -> bool {
        let limit = self.window_limit.get();
        let leaked = leak(limit, now.saturating_sub(self.used_at.get()));
        let used = self
            .used
            .get()
            .saturating_sub(leaked)
            .saturating_add(amount);
        if amount > self.transfer_limit.get() || used > limit {
            return false;
        }
        self.used = U64::new(used);
        self.used_at = U64::new(now);
        true
    }

    /// Counts what comes in to this bridge.
    pub(crate) fn count_in(&mut self, amount: u64) -> ProgramResult {
        self.count(amount, self.mode == LOCK)
    }

    /// Counts what goes out of it.
    pub(crate) fn count_out(&mut self, amount: u64) -> ProgramResult {
        self.count(amount, self.mode != LOCK)
    }

    /// What is locked grows by what comes in, what is minted by what goes out; neither falls below zero. So a route can lose
    /// what came in on it, and no more.
    fn count(&mut self, amount: u64, grows: bool) -> ProgramResult {
        let balance = self.balance.get();
        let next = if grows {
            balance.checked_add(amount).ok_or(Error::Overflow)?
        } else {
            balance.checked_sub(amount).ok_or(Error::RouteShort)?
        };
        self.balance = U64::new(next);
        Ok(())
    }
}

/// limit * seconds / day, in two parts that fit: none is more than the limit.
const fn leak(limit: u64, seconds: u64) -> u64 {
    if seconds >= DAY {
        return limit;
    }
    let whole = (limit / DAY).wrapping_mul(seconds);
    whole.saturating_add((limit % DAY).wrapping_mul(seconds) / DAY)
}
