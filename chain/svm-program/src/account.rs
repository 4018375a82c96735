//! Accounts: who signs, where they have to be, how they come and go.

use pinocchio::{
    AccountView, Address,
    cpi::{Seed, Signer},
    error::ProgramError,
    sysvars::{Sysvar, rent::Rent},
};
use pinocchio_system::{create_account_with_minimum_balance_signed, instructions::Transfer};

use crate::{
    error::Error,
    state::{State, fill},
};

/// Most that an account can grow in one instruction.
const GROWTH: usize = 10_240;

/// Seeds without the bump: a name, and up to two parts.
pub(crate) type Seeds<'a> = [&'a [u8]; 3];

pub(crate) fn signer(account: &AccountView) -> Result<(), ProgramError> {
    if account.is_signer() {
        Ok(())
    } else {
        Err(Error::NotSigner.into())
    }
}

pub(crate) fn at(account: &AccountView, address: &[u8; 32]) -> Result<(), ProgramError> {
    if account.address().as_array() == address {
        Ok(())
    } else {
        Err(Error::WrongAddress.into())
    }
}

/// Whether `account` is at the address that follows from the seeds and the bump that it was made with.
pub(crate) fn derived(
    program: &Address,
    account: &AccountView,
    seeds: &Seeds<'_>,
    bump: u8,
) -> Result<(), ProgramError> {
    let [name, first, second] = *seeds;
    let expected = Address::create_program_address(&[name, first, second, &[bump]], program)
        .map_err(|_| Error::WrongAddress)?;
    at(account, expected.as_array())
}

/// Makes the account that follows from the seeds, with `value` in it and `extra` bytes of zero behind. An account may be
/// larger than what one instruction can make: it then begins with a part of its bytes, see [`grow`].
///
/// `value` is told the bump.
#[inline(always)]
pub(crate) fn create<T: State>(
    program: &Address,
    payer: &AccountView,
    account: &mut AccountView,
    seeds: &Seeds<'_>,
    extra: usize,
    value: impl FnOnce(u8) -> T,
) -> Result<(), ProgramError> {
    let size = T::SIZE.saturating_add(extra).min(GROWTH);
    let bump = Place {
        program,
        payer,
        seeds,
        size,
    }
    .make(account)?;
    fill(account, &value(bump))
}

struct Place<'a> {
    program: &'a Address,
    payer: &'a AccountView,
    seeds: &'a Seeds<'a>,
    size: usize,
}

impl Place<'_> {
    #[inline(never)]
    fn make(&self, account: &mut AccountView) -> Result<u8, ProgramError> {
        signer(self.payer)?;
        if !account.is_data_empty() || account.owned_by(self.program) {
            return Err(Error::AlreadyExists.into());
        }
        let (address, bump) = Address::try_find_program_address(self.seeds, self.program)
            .ok_or(Error::WrongAddress)?;
        at(account, address.as_array())?;
        let bump_seed = [bump];
        let [name, first, second] = *self.seeds;
        let signed = [
            Seed::from(name),
            Seed::from(first),
            Seed::from(second),
            Seed::from(&bump_seed),
        ];
        let signers = [Signer::from(&signed)];
        create_account_with_minimum_balance_signed(
            account,
            self.size,
            self.program,
            self.payer,
            None,
            &signers,
        )?;
        Ok(bump)
    }
}

/// Lets an account have at least `size` bytes, at the expense of `payer`.
pub(crate) fn grow(
    payer: &AccountView,
    account: &mut AccountView,
    size: usize,
) -> Result<(), ProgramError> {
    if account.data_len() >= size {
        return Ok(());
    }
    signer(payer)?;
    let missing = Rent::get()?
        .try_minimum_balance(size)?
        .saturating_sub(account.lamports());
    if missing > 0 {
        Transfer {
            from: payer,
            to: account,
            lamports: missing,
        }
        .invoke()?;
    }
    if size.saturating_sub(account.data_len()) > GROWTH {
        return Err(Error::Overflow.into());
    }
    // SAFETY: the runtime keeps so many zeroes behind an account's data, and this is done once in an account's life.
    unsafe { (*account.account_mut_ptr()).data_len = size as u64 };
    Ok(())
}

/// Ends an account of this program; its rent goes to who paid it.
pub(crate) fn close(
    account: &mut AccountView,
    payer: &mut AccountView,
    expected: &[u8; 32],
) -> Result<(), ProgramError> {
    at(payer, expected)?;
    if account.address() == payer.address() {
        return Err(Error::WrongAddress.into());
    }
    let sum = payer
        .lamports()
        .checked_add(account.lamports())
        .ok_or(Error::Overflow)?;
    payer.set_lamports(sum);
    account.set_lamports(0);
    account.close()
}
