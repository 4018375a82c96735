//! What the runtime computes. All `unsafe` that the runtime needs is here and in `state`.

use core::mem::MaybeUninit;

use pinocchio::{
    error::ProgramError,
    syscalls::{sol_keccak256, sol_log_data, sol_memcpy_, sol_secp256k1_recover, sol_sha256},
    sysvars::{Sysvar, clock::Clock},
};

use crate::error::Error;

pub(crate) type Hash = [u8; 32];

/// keccak256 of the parts, joined.
pub(crate) fn keccak(parts: &[&[u8]]) -> Result<Hash, ProgramError> {
    let mut hash = MaybeUninit::<Hash>::uninit();
    // SAFETY: the runtime reads slices as Rust lays them out, and writes 32 bytes when it answers 0.
    unsafe {
        let status = sol_keccak256(
            parts.as_ptr().cast(),
            parts.len() as u64,
            hash.as_mut_ptr().cast(),
        );
        if status == 0 {
            Ok(hash.assume_init())
        } else {
            Err(Error::Syscall.into())
        }
    }
}

/// sha256 of the parts, joined.
pub(crate) fn sha256(parts: &[&[u8]]) -> Result<Hash, ProgramError> {
    let mut hash = MaybeUninit::<Hash>::uninit();
    // SAFETY: as in `keccak`.
    unsafe {
        let status = sol_sha256(
            parts.as_ptr().cast(),
            parts.len() as u64,
            hash.as_mut_ptr().cast(),
        );
        if status == 0 {
            Ok(hash.assume_init())
        } else {
            Err(Error::Syscall.into())
        }
    }
}

/// Address of the key that signed, as Ethereum names it: the last 20 bytes of the key's hash.
pub(crate) fn recover(
    digest: &Hash,
    parity: u8,
    signature: &[u8; 64],
) -> Result<[u8; 20], ProgramError> {
    let mut key = MaybeUninit::<[u8; 64]>::uninit();
    // SAFETY: the runtime reads 32 and 64 bytes, and writes 64 when it answers 0.
    let key = unsafe {
        let result = key.as_mut_ptr().cast();
        if sol_secp256k1_recover(digest.as_ptr(), parity.into(), signature.as_ptr(), result) != 0 {
            return Err(Error::BadSignature.into());
        }
        key.assume_init()
    };
    let [_, _, _, _, _, _, _, _, _, _, _, _, address @ ..] = keccak(&[&key])?;
    Ok(address)
}

/// Copies as many bytes as only the data tells; the compiler for plain BPF has no word for that.
pub(crate) fn copy(to: &mut [u8], from: &[u8]) -> Result<(), ProgramError> {
    if to.len() != from.len() {
        return Err(Error::Overflow.into());
    }
    // SAFETY: of one length, and one of them is borrowed to be changed, so they do not overlap.
    unsafe { sol_memcpy_(to.as_mut_ptr(), from.as_ptr(), to.len() as u64) };
    Ok(())
}

/// a * b, by halves: the compiler for plain BPF has no 128 bits to find an overflow with.
pub(crate) fn product(a: u64, b: u64) -> Option<u64> {
    let (a_high, a_low, b_high, b_low) = (a >> 32, a & 0xffff_ffff, b >> 32, b & 0xffff_ffff);
    if a_high != 0 && b_high != 0 {
        return None;
    }
    // One of the two is 0, and halves multiplied fit.
    let middle = (a_high * b_low) | (a_low * b_high);
    if middle >> 32 != 0 {
        return None;
    }
    (middle << 32).checked_add(a_low * b_low)
}

/// Writes the parts, joined, as one `Program data:` line.
pub(crate) fn log(event: &[u8]) {
    let fields = [event];
    // SAFETY: the runtime reads slices as Rust lays them out.
    unsafe { sol_log_data(fields.as_ptr().cast(), fields.len() as u64) }
}

/// Unix seconds, as the validators agree on.
pub(crate) fn now() -> Result<u64, ProgramError> {
    u64::try_from(Clock::get()?.unix_timestamp).map_err(|_| Error::Overflow.into())
}
