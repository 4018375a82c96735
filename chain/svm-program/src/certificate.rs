//! Certificates: signatures over one digest, gathered over several transactions by whoever wants to.

use pinocchio::{AccountView, Address, ProgramResult, error::ProgramError};

use crate::{
    Call,
    account::{Seeds, close, create, derived, signer},
    error::Error,
    hash::Statement,
    sets::{self, require_live},
    state::{Bridge, Gather, Set, State, U16, U32, U64, U128, change, member, view, weight_of},
    sys::{Hash, now, recover},
};

/// Seconds for which an account is not taken from others that gather in it.
const KEEP: u64 = 24 * 60 * 60;

/// Half of the order of secp256k1, the largest s of a signature.
const HALF_ORDER: Hash = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, //
    0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

const fn seeds<'a>(epoch: &'a [u8; 4], digest: &'a Hash) -> Seeds<'a> {
    [b"gather", epoch, digest]
}

/// Data: digest 32, then number 2 of a member and its signature 64 (EIP-2098), any number of times. A signer that is there
/// already is passed over. Accounts: payer ws, set, gathered w, system.
#[inline(never)]
pub(crate) fn gather(call: &mut Call<'_>) -> ProgramResult {
    let Call {
        program,
        data,
        accounts: [payer, set_account, account, _system, ..],
    } = call
    else {
        return Err(Error::MissingAccount.into());
    };
    signer(payer)?;
    let set = sets::load(program, set_account)?;
    if set.ready == 0 {
        return Err(Error::SetNotReady.into());
    }
    let digest = *data.array()?;
    if account.is_data_empty() {
        let until = now()?.saturating_add(KEEP);
        let bitmap = (set.count.get() as usize).div_ceil(8);
        create(
            program,
            payer,
            account,
            &seeds(&set.epoch.get().to_be_bytes(), &digest),
            bitmap,
            |bump| Gather {
                tag: Gather::TAG,
                bump,
                signers: U16::new(0),
                epoch: set.epoch,
                digest,
                weight: U128::new(0),
                until: U64::new(until),
                payer: payer.address().to_bytes(),
            },
        )?;
    }
    let mut gathered = load(program, account, set.epoch, &digest)?;
    let members = set_account.try_borrow()?;
    {
        let mut bytes = account.try_borrow_mut()?;
        let bitmap = bytes.get_mut(Gather::SIZE..).ok_or(Error::WrongKind)?;
        while !data.is_empty() {
            let (index, signature) = (data.u16()?, data.array()?);
            add(&mut gathered, bitmap, &set, &members, index, signature)?;
        }
    }
    *change::<Gather>(program, account)? = gathered;
    Ok(())
}

#[inline(always)]
fn add(
    gathered: &mut Gather,
    bitmap: &mut [u8],
    set: &Set,
    members: &[u8],
    index: u16,
    signature: &[u8; 64],
) -> ProgramResult {
    if u32::from(index) >= set.count.get() {
        return Err(Error::NoSuchMember.into());
    }
    let index = usize::from(index);
    let byte = bitmap.get_mut(index / 8).ok_or(Error::NoSuchMember)?;
    let bit = 1 << (index % 8);
    if *byte & bit != 0 {
        return Ok(());
    }
    let member = member(members, index).ok_or(Error::NoSuchMember)?;
    if signer_of(&gathered.digest, signature)? != member.key {
        return Err(Error::BadSignature.into());
    }
    *byte |= bit;
    let weight = gathered
        .weight
        .get()
        .checked_add(weight_of(member.weight))
        .ok_or(Error::Overflow)?;
    gathered.weight = U128::new(weight);
    gathered.signers = U16::new(gathered.signers.get().saturating_add(1));
    Ok(())
}

/// The runtime takes the upper half of s, too; then everybody could make a second signature out of one.
fn signer_of(digest: &Hash, compact: &[u8; 64]) -> Result<[u8; 20], ProgramError> {
    let mut signature = *compact;
    let parity = signature[32] >> 7;
    signature[32] &= 0x7f;
    if signature[32..] > HALF_ORDER[..] {
        return Err(Error::HighS.into());
    }
    recover(digest, parity, &signature)
}

/// What is gathered for `digest` in `epoch`, in the one account for them.
fn load(
    program: &Address,
    account: &AccountView,
    epoch: U32,
    digest: &Hash,
) -> Result<Gather, ProgramError> {
    let gathered = *view::<Gather>(program, account)?;
    if gathered.epoch.get() != epoch.get() || gathered.digest != *digest {
        return Err(Error::WrongDigest.into());
    }
    derived(
        program,
        account,
        &seeds(&epoch.get().to_be_bytes(), digest),
        gathered.bump,
    )?;
    Ok(gathered)
}

/// What shows that the set of an epoch has certified a statement.
pub(crate) struct Certificate<'a> {
    pub(crate) program: &'a Address,
    pub(crate) epoch: u32,
    pub(crate) set: &'a AccountView,
    pub(crate) gathered: &'a mut AccountView,
    pub(crate) refund: &'a mut AccountView,
}

impl Certificate<'_> {
    /// Whether it does. To be followed by [`Self::close`], after all calls of other programs: the runtime demands that
    /// lamports add up before each of them.
    #[inline(never)]
    pub(crate) fn check(&self, bridge: &Bridge, statement: &Statement) -> ProgramResult {
        let set = sets::load(self.program, self.set)?;
        if set.epoch.get() != self.epoch {
            return Err(Error::WrongDigest.into());
        }
        require_live(&set, bridge)?;
        let digest = statement.digest(&bridge.domain, self.epoch)?;
        let gathered = load(self.program, self.gathered, set.epoch, &digest)?;
        // w > 2 (t - w), which is w >= floor(2 t / 3) + 1, as the weights are whole. No weight has more than 112 bits.
        let weight = gathered.weight.get();
        let rest = set.total.get().checked_sub(weight).ok_or(Error::Overflow)?;
        if weight <= rest << 1 {
            return Err(Error::TooLittleWeight.into());
        }
        Ok(())
    }

    /// What was gathered is used up: its rent goes to who paid it.
    pub(crate) fn close(self) -> ProgramResult {
        let payer = view::<Gather>(self.program, self.gathered)?.payer;
        close(self.gathered, self.refund, &payer)
    }
}

/// Ends an account in which nobody has finished, a day after it was made. For its payer. No data. Accounts: payer ws,
/// gathered w.
#[inline(never)]
pub(crate) fn abandon(call: &mut Call<'_>) -> ProgramResult {
    let Call {
        program,
        data,
        accounts: [payer, account, ..],
    } = call
    else {
        return Err(Error::MissingAccount.into());
    };
    data.end()?;
    signer(payer)?;
    let gathered = *view::<Gather>(program, account)?;
    if now()? <= gathered.until.get() {
        return Err(Error::NotYet.into());
    }
    close(account, payer, &gathered.payer)
}
