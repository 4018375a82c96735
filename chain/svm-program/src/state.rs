//! What the program's accounts hold. Numbers are big endian, as under the hashes, and nothing is aligned.

use pinocchio::{
    AccountView, Address,
    account::{Ref, RefMut},
    error::ProgramError,
};

use crate::{error::Error, sys::Hash};

macro_rules! number {
    ($name:ident, $native:ty, $size:literal) => {
        /// A number as it lies in an account.
        #[derive(Clone, Copy)]
        #[repr(transparent)]
        pub(crate) struct $name([u8; $size]);

        impl $name {
            pub(crate) const fn new(value: $native) -> Self {
                Self(value.to_be_bytes())
            }
            pub(crate) const fn get(self) -> $native {
                <$native>::from_be_bytes(self.0)
            }
        }
    };
}

number!(U16, u16, 2);
number!(U32, u32, 4);
number!(U64, u64, 8);
number!(U128, u128, 16);

/// # Safety
/// Made of bytes only: any bytes are a value, and none needs to be aligned. The first field is the tag, the second the
/// bump of the account's address.
pub(crate) unsafe trait State: Copy {
    /// First byte of the account.
    const TAG: u8;
    /// Bytes, without what may follow.
    const SIZE: usize = size_of::<Self>();
    const ALIGNED: () = assert!(align_of::<Self>() == 1);
}

macro_rules! state {
    ($name:ident, $tag:literal) => {
        // SAFETY: bytes and arrays of bytes.
        unsafe impl State for $name {
            const TAG: u8 = $tag;
        }
    };
}

/// Address: "bridge". The one of this program, and the owner of all that it keeps.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Bridge {
    pub(crate) tag: u8,
    pub(crate) bump: u8,
    pub(crate) paused: u8,
    /// EIP-712 domain of the registry on the home chain.
    pub(crate) domain: Hash,
    /// Id of this chain.
    pub(crate) chain: U64,
    /// Who opens routes and tokens.
    pub(crate) authority: Hash,
    /// Who may pause, and begin anew once the newest set has expired.
    pub(crate) guardian: Hash,
    /// Seconds for which a set speaks.
    pub(crate) lifetime: U64,
    /// Seconds that a transfer above the limit waits.
    pub(crate) limit_delay: U64,
    /// Counts every pause and its end.
    pub(crate) pause_sequence: U64,
    pub(crate) newest_epoch: U32,
    pub(crate) newest_time: U64,
    /// Seconds between the announcement of an anchor and its use.
    pub(crate) anchor_delay: U64,
    /// Unix seconds from which on the announced anchor may be used; 0 if there is none.
    pub(crate) anchor_from: U64,
    /// Hash of its outline.
    pub(crate) anchor: Hash,
}
state!(Bridge, 1);

/// Address: "peer", chain, contract. A bridge on another chain, and the routes to it and from it.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Peer {
    pub(crate) tag: u8,
    pub(crate) bump: u8,
    pub(crate) open: u8,
    pub(crate) chain: U64,
    pub(crate) contract: Hash,
    /// Transfers sent, the last nonce.
    pub(crate) sent: U64,
    /// h(n) = sha256(h(n-1) ‖ fact of transfer n), h(0) = 0.
    pub(crate) history: Hash,
}
state!(Peer, 2);

/// Address: "token", peer's account, token there. What it is here.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Token {
    pub(crate) tag: u8,
    pub(crate) bump: u8,
    pub(crate) open: u8,
    /// [`LOCK`] or [`MINT`].
    pub(crate) mode: u8,
    pub(crate) decimals: u8,
    pub(crate) peer: Hash,
    pub(crate) remote: Hash,
    pub(crate) mint: Hash,
    /// Associated token account of the bridge.
    pub(crate) vault: Hash,
    /// Local units of one that is signed.
    pub(crate) unit: U64,
    /// Local units that are paid at once.
    pub(crate) transfer_limit: U64,
    /// Local units that the window holds; it leaks as much in a day.
    pub(crate) window_limit: U64,
    /// How full it was at `used_at`, in Unix seconds.
    pub(crate) used: U64,
    pub(crate) used_at: U64,
    /// What is locked here for the way back, or was minted here and may be burned again.
    pub(crate) balance: U64,
}
state!(Token, 3);

/// Locked here, released here.
pub(crate) const LOCK: u8 = 1;
/// Burned here, minted here.
pub(crate) const MINT: u8 = 2;

/// Address: "set", epoch. The operators of an epoch; a [`Member`] each follows.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Set {
    pub(crate) tag: u8,
    pub(crate) bump: u8,
    /// All parts are there.
    pub(crate) ready: u8,
    pub(crate) epoch: U32,
    pub(crate) time: U64,
    pub(crate) count: U32,
    pub(crate) total: U128,
    pub(crate) root: Hash,
    /// Which parts are there.
    pub(crate) parts: U32,
    /// Weight of what is there.
    pub(crate) sum: U128,
    pub(crate) payer: Hash,
}
state!(Set, 4);

/// What a member signs with, and its weight.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Member {
    pub(crate) key: [u8; 20],
    pub(crate) weight: [u8; 12],
}

/// Address: "gather", epoch, digest. Who signed the digest; a bitmap over the set follows.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Gather {
    pub(crate) tag: u8,
    pub(crate) bump: u8,
    pub(crate) signers: U16,
    pub(crate) epoch: U32,
    pub(crate) digest: Hash,
    pub(crate) weight: U128,
    /// Unix seconds until which its payer leaves it to others.
    pub(crate) until: U64,
    pub(crate) payer: Hash,
}
state!(Gather, 5);

/// Nonces of a page.
pub(crate) const PAGE: u64 = 1024;

/// Address: "nonces", peer's account, page. Which nonces of the route from there are taken.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Nonces {
    pub(crate) tag: u8,
    pub(crate) bump: u8,
    pub(crate) taken: [u8; (PAGE / 8) as usize],
}
state!(Nonces, 6);

/// Address: "record", peer's account, nonce. What became of a nonce that was taken without a payment.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Record {
    pub(crate) tag: u8,
    pub(crate) bump: u8,
    /// [`QUEUED`] or [`CLOSED`].
    pub(crate) kind: u8,
    /// Queued: payable from then on. Closed: when. Unix seconds.
    pub(crate) time: U64,
    pub(crate) fact: Hash,
    pub(crate) payer: Hash,
}
state!(Record, 7);

/// Waits for its time, or for room in the window.
pub(crate) const QUEUED: u8 = 1;
/// Never to be paid here; the source may give it back.
pub(crate) const CLOSED: u8 = 2;

/// Address: "sent", sender, number of the sender's choice. A transfer that could still be given back. Not by nonce: senders
/// would stand in each other's way, as an address has to be known beforehand.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Sent {
    pub(crate) tag: u8,
    pub(crate) bump: u8,
    pub(crate) id: U64,
    pub(crate) nonce: U64,
    pub(crate) fact: Hash,
    pub(crate) payer: Hash,
}
state!(Sent, 8);

/// Address: "mint", peer's account, mint. That a mint is one token of a peer only, or a transfer could be counted in the units
/// of another.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Link {
    pub(crate) tag: u8,
    pub(crate) bump: u8,
    /// Token there.
    pub(crate) remote: Hash,
}
state!(Link, 9);

/// Whether `account` is of this program and holds a `T`.
fn check<T: State>(program: &Address, account: &AccountView) -> Result<(), ProgramError> {
    let () = T::ALIGNED;
    if !account.owned_by(program) {
        return Err(Error::WrongOwner.into());
    }
    let data = account.try_borrow()?;
    if data.len() < T::SIZE || data.first() != Some(&T::TAG) {
        return Err(Error::WrongKind.into());
    }
    Ok(())
}

/// What `account` of this program holds. Whether it is at the right address is another question.
pub(crate) fn view<'a, T: State>(
    program: &Address,
    account: &'a AccountView,
) -> Result<Ref<'a, T>, ProgramError> {
    check::<T>(program, account)?;
    // SAFETY: long enough, and any bytes are a `T`.
    Ok(Ref::map(account.try_borrow()?, |data| unsafe {
        &*data.as_ptr().cast::<T>()
    }))
}

/// The same, to be changed.
pub(crate) fn change<'a, T: State>(
    program: &Address,
    account: &'a mut AccountView,
) -> Result<RefMut<'a, T>, ProgramError> {
    check::<T>(program, account)?;
    if !account.is_writable() {
        return Err(Error::NotWritable.into());
    }
    // SAFETY: long enough, and any bytes are a `T`.
    Ok(RefMut::map(account.try_borrow_mut()?, |data| unsafe {
        &mut *data.as_mut_ptr().cast::<T>()
    }))
}

/// Fills an account that was made for a `T`.
pub(crate) fn fill<T: State>(account: &mut AccountView, value: &T) -> Result<(), ProgramError> {
    let mut data = account.try_borrow_mut()?;
    let place = data.get_mut(..T::SIZE).ok_or(Error::WrongKind)?;
    // SAFETY: as long as a `T`, which is bytes only.
    unsafe { place.as_mut_ptr().cast::<T>().write(*value) };
    Ok(())
}

/// The member with the number `index`, of those that follow the set.
pub(crate) fn member(data: &[u8], index: usize) -> Option<Member> {
    let start = index
        .checked_mul(size_of::<Member>())?
        .checked_add(Set::SIZE)?;
    let bytes = data.get(start..)?.first_chunk::<32>()?;
    let (key, weight) = (bytes.first_chunk()?, bytes.last_chunk()?);
    Some(Member {
        key: *key,
        weight: *weight,
    })
}

/// A weight of 12 bytes.
pub(crate) fn weight_of(bytes: [u8; 12]) -> u128 {
    let mut wide = [0; 16];
    wide[4..].copy_from_slice(&bytes);
    u128::from_be_bytes(wide)
}
