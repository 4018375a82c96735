//! Operator sets: one is made known by its hash, then installed in parts by anybody, since each part proves itself.

use pinocchio::{AccountView, Address, ProgramResult, error::ProgramError};

use crate::{
    Call,
    account::{Seeds, close, create, derived, grow},
    admin,
    certificate::Certificate,
    error::Error,
    hash::{self, epoch_update},
    reader::Reader,
    state::{Bridge, Member, Set, State, U32, U64, U128, change, view, weight_of},
    sys::{Hash, keccak, now},
};

/// As on every chain.
const MAX_MEMBERS: u32 = 500;
/// Members of a part: with the proof of 500 members they just fit into a transaction.
const PART: usize = 16;
/// Seconds by which a set may have been fixed in the future, as this chain's clock sees it.
const MAX_DRIFT: u64 = 15 * 60;

/// What the hash of a set covers.
pub(crate) struct Outline {
    epoch: u32,
    time: u64,
    count: u32,
    total: u128,
    root: Hash,
}

impl Outline {
    pub(crate) fn read(data: &mut Reader<'_>) -> Result<Self, ProgramError> {
        let outline = Self {
            epoch: data.u32()?,
            time: data.u64()?,
            count: data.u32()?,
            total: u128::from_be_bytes(*data.array()?),
            root: *data.array()?,
        };
        // Three times a larger total could not be counted; 500 weights of 96 bits make 105.
        let fits = outline.count > 0
            && outline.count <= MAX_MEMBERS
            && outline.total > 0
            && outline.total >> 112 == 0;
        if fits {
            Ok(outline)
        } else {
            Err(Error::SetMismatch.into())
        }
    }

    pub(crate) fn hash(&self) -> Result<Hash, ProgramError> {
        hash::set(self.count, self.total, &self.root)
    }

    /// All of it, in one hash.
    fn name(&self) -> Result<Hash, ProgramError> {
        keccak(&[
            &self.epoch.to_be_bytes(),
            &self.time.to_be_bytes(),
            &self.hash()?,
        ])
    }

    /// Makes the account in which the set is to be installed, and `bridge` know of it.
    #[inline(always)]
    pub(crate) fn open(
        &self,
        program: &Address,
        payer: &AccountView,
        bridge: &mut AccountView,
        set: &mut AccountView,
    ) -> ProgramResult {
        let now = now()?;
        {
            let mut bridge = change::<Bridge>(program, bridge)?;
            if self.time > now.saturating_add(MAX_DRIFT) || self.time < bridge.newest_time.get() {
                return Err(Error::TimeOutOfOrder.into());
            }
            if now > self.time.saturating_add(bridge.lifetime.get()) {
                return Err(Error::SetExpired.into());
            }
            bridge.newest_epoch = U32::new(self.epoch);
            bridge.newest_time = U64::new(self.time);
        }
        let members = (self.count as usize).saturating_mul(size_of::<Member>());
        create(
            program,
            payer,
            set,
            &seeds(&self.epoch.to_be_bytes()),
            members,
            |bump| Set {
                tag: Set::TAG,
                bump,
                ready: 0,
                epoch: U32::new(self.epoch),
                time: U64::new(self.time),
                count: U32::new(self.count),
                total: U128::new(self.total),
                root: self.root,
                parts: U32::new(0),
                sum: U128::new(0),
                payer: payer.address().to_bytes(),
            },
        )
    }
}

const fn seeds(epoch: &[u8; 4]) -> Seeds<'_> {
    [b"set", epoch, b""]
}

/// The set of `account`, wherever it stands.
pub(crate) fn load(program: &Address, account: &AccountView) -> Result<Set, ProgramError> {
    let set = *view::<Set>(program, account)?;
    derived(
        program,
        account,
        &seeds(&set.epoch.get().to_be_bytes()),
        set.bump,
    )?;
    Ok(set)
}

/// Whether all of it is there and its word still counts.
pub(crate) fn require_live(set: &Set, bridge: &Bridge) -> ProgramResult {
    if set.ready == 0 {
        return Err(Error::SetNotReady.into());
    }
    if now()? > set.time.get().saturating_add(bridge.lifetime.get()) {
        return Err(Error::SetExpired.into());
    }
    Ok(())
}

/// Data: part 1, then operator 20, key 20 and weight 12 of each of its members, then the proof: the nodes beside its way
/// to the root, from below, 32 each. Accounts: payer ws, set w, system.
#[inline(never)]
pub(crate) fn install(call: &mut Call<'_>) -> ProgramResult {
    let Call {
        program,
        data,
        accounts: [payer, account, _system, ..],
    } = call
    else {
        return Err(Error::MissingAccount.into());
    };
    let mut set = load(program, account)?;
    let part = data.u8()?;
    let bit = 1_u32.checked_shl(part.into()).ok_or(Error::SetMismatch)?;
    if set.parts.get() & bit != 0 {
        return Err(Error::AlreadyExists.into());
    }
    let count = set.count.get() as usize;
    let first = usize::from(part).saturating_mul(PART);
    let size = count
        .checked_sub(first)
        .filter(|left| *left > 0)
        .ok_or(Error::SetMismatch)?
        .min(PART);
    grow(
        payer,
        account,
        Set::SIZE.saturating_add(count.saturating_mul(size_of::<Member>())),
    )?;

    let mut nodes = [[0; 32]; PART];
    let mut sum = set.sum.get();
    {
        let mut bytes = account.try_borrow_mut()?;
        let members = bytes.get_mut(Set::SIZE..).ok_or(Error::WrongKind)?;
        let (members, _) = members.as_chunks_mut::<{ size_of::<Member>() }>();
        let places = members.iter_mut().skip(first).take(size);
        for (place, node) in places.zip(&mut nodes) {
            let (operator, key, weight) = (data.array()?, data.array()?, data.array()?);
            *node = hash::leaf(operator, key, weight)?;
            sum = sum.checked_add(weight_of(*weight)).ok_or(Error::Overflow)?;
            place[..20].copy_from_slice(key);
            place[20..].copy_from_slice(weight);
        }
    }
    if root_of(&mut nodes, size, part.into(), count, data)? != set.root {
        return Err(Error::SetMismatch.into());
    }

    set.parts = U32::new(set.parts.get() | bit);
    set.sum = U128::new(sum);
    let parts = count.div_ceil(PART);
    if set.parts.get().count_ones() as usize == parts {
        // The hash covers a total that its members could miss.
        if sum != set.total.get() {
            return Err(Error::SetMismatch.into());
        }
        set.ready = 1;
    }
    *change::<Set>(program, account)? = set;
    Ok(())
}

/// The root over `count` leaves: of the part's own `size` leaves first, then up along its proof. An odd last node is carried
/// up as it is.
#[inline(always)]
fn root_of(
    nodes: &mut [Hash; PART],
    mut size: usize,
    mut index: usize,
    count: usize,
    proof: &mut Reader<'_>,
) -> Result<Hash, ProgramError> {
    while size > 1 {
        for pair in 0..size.div_ceil(2) {
            let (left, right) = (pair * 2, pair * 2 + 1);
            nodes[pair] = if right < size {
                hash::node(&nodes[left], &nodes[right])?
            } else {
                nodes[left]
            };
        }
        size = size.div_ceil(2);
    }
    let mut node = nodes[0];
    let mut width = count.div_ceil(PART);
    while width > 1 {
        if index % 2 == 1 {
            node = hash::node(proof.array()?, &node)?;
        } else if index + 1 < width {
            node = hash::node(&node, proof.array()?)?;
        }
        index /= 2;
        width = width.div_ceil(2);
    }
    proof.end()?;
    Ok(node)
}

/// Data: epoch 4 that signed, then the outline of the next set: epoch 4, time 8, count 4, total 16, root 32.
/// Accounts: payer ws, bridge w, set, gathered w, who gets its rent w, next set w, system.
#[inline(never)]
pub(crate) fn update(call: &mut Call<'_>) -> ProgramResult {
    let Call {
        program,
        data,
        accounts: [payer, bridge, set, gathered, refund, next, _system, ..],
    } = call
    else {
        return Err(Error::MissingAccount.into());
    };
    let epoch = data.u32()?;
    let outline = Outline::read(data)?;
    data.end()?;
    let state = admin::load(program, bridge)?;
    require_later(&outline, &state)?;
    let statement = epoch_update(outline.epoch, &outline.hash()?, outline.time)?;
    let certificate = Certificate {
        program,
        epoch,
        set,
        gathered,
        refund,
    };
    certificate.check(&state, &statement)?;
    outline.open(program, payer, bridge, next)?;
    certificate.close()
}

/// Ends a set that certifies nothing any more; anybody may. No data. Accounts: bridge, set w, its payer w.
#[inline(never)]
pub(crate) fn retire(call: &mut Call<'_>) -> ProgramResult {
    let Call {
        program,
        data,
        accounts: [bridge, account, payer, ..],
    } = call
    else {
        return Err(Error::MissingAccount.into());
    };
    data.end()?;
    let set = load(program, account)?;
    let bridge = admin::load(program, bridge)?;
    if now()? <= set.time.get().saturating_add(bridge.lifetime.get()) {
        return Err(Error::NotYet.into());
    }
    close(account, payer, &set.payer)
}

/// An epoch that was there once must not come back: what its set has signed may still be gathered.
fn require_later(outline: &Outline, bridge: &Bridge) -> ProgramResult {
    if outline.epoch > bridge.newest_epoch.get() {
        Ok(())
    } else {
        Err(Error::EpochOrder.into())
    }
}

/// Whether the newest set certifies nothing any more.
fn require_expired(bridge: &Bridge) -> Result<u64, ProgramError> {
    let now = now()?;
    if now
        <= bridge
            .newest_time
            .get()
            .saturating_add(bridge.lifetime.get())
    {
        return Err(Error::NotExpired.into());
    }
    Ok(now)
}

/// Says with which set to begin anew, in public, once the newest one has expired. Data: the outline, or nothing to take it
/// back. Accounts: guardian s, bridge w.
#[inline(never)]
pub(crate) fn announce(call: &mut Call<'_>) -> ProgramResult {
    let Call {
        program,
        data,
        accounts: [guardian, account, ..],
    } = call
    else {
        return Err(Error::MissingAccount.into());
    };
    let bridge = admin::load(program, account)?;
    admin::require_guardian(&bridge, guardian)?;
    let now = require_expired(&bridge)?;
    let (from, anchor) = if data.is_empty() {
        (0, [0; 32])
    } else {
        let outline = Outline::read(data)?;
        require_later(&outline, &bridge)?;
        (
            now.saturating_add(bridge.anchor_delay.get()),
            outline.name()?,
        )
    };
    data.end()?;
    let mut bridge = change::<Bridge>(program, account)?;
    bridge.anchor_from = U64::new(from);
    bridge.anchor = anchor;
    Ok(())
}

/// Begins anew with what was announced, once its delay is over. Anybody may. Data: the outline. Accounts: payer ws, bridge w,
/// set w, system.
#[inline(never)]
pub(crate) fn anchor(call: &mut Call<'_>) -> ProgramResult {
    let Call {
        program,
        data,
        accounts: [payer, bridge, set, _system, ..],
    } = call
    else {
        return Err(Error::MissingAccount.into());
    };
    let outline = Outline::read(data)?;
    data.end()?;
    let state = admin::load(program, bridge)?;
    let now = require_expired(&state)?;
    let from = state.anchor_from.get();
    if from == 0 || now < from {
        return Err(Error::NotYet.into());
    }
    if outline.name()? != state.anchor {
        return Err(Error::SetMismatch.into());
    }
    require_later(&outline, &state)?;
    {
        let mut bridge = change::<Bridge>(program, bridge)?;
        bridge.anchor_from = U64::new(0);
        bridge.anchor = [0; 32];
    }
    outline.open(program, payer, bridge, set)
}
