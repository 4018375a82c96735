//! scrypt (RFC 7914) for every cost that key files have.
//!
//! Libraries enforce N < 2^(128 r / 8), as the RFC has it. That bound is an erratum: the paper says
//! N < 2^(128 r), and files with n = 2^18 and r = 1 were written for years.

use sha2::Sha256;
use zeroize::Zeroizing;

/// Words of a Salsa20 block.
const BLOCK: usize = 16;
type Block = [u32; BLOCK];

/// What it costs to try a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    /// Blocks of 128 r bytes that are held; a power of two.
    pub(super) n: u64,
    /// Size of these blocks.
    pub(super) r: u32,
    /// How often the memory is filled.
    pub(super) p: u32,
}

impl Cost {
    /// Bytes of memory; `None` beyond 64 bits.
    pub(super) fn memory(self) -> Option<u64> {
        let blocks = self.n.checked_add(u64::from(self.p))?;
        blocks.checked_mul(u64::from(self.r))?.checked_mul(128)
    }

    /// Whether the function is defined for it.
    pub(super) fn is_defined(self) -> bool {
        let has_bits = u64::from(self.n.trailing_zeros()) < 128 * u64::from(self.r);
        let is_short = u64::from(self.r) * u64::from(self.p) < 1 << 30;
        self.n >= 2 && self.n.is_power_of_two() && self.r > 0 && self.p > 0 && has_bits && is_short
    }
}

/// Derives 32 bytes. The caller has checked that `cost` is defined and bounded its memory.
pub(super) fn derive(password: &[u8], salt: &[u8], cost: Cost) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0_u8; 32]);
    let (r, p) = (cost.r as usize, cost.p as usize);
    let mut bytes = Zeroizing::new(vec![0_u8; 128 * r * p]);
    pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, 1, &mut bytes);
    let n = usize::try_from(cost.n).unwrap_or_default();
    let mut memory = vec![[0_u32; BLOCK]; 2 * r * n];
    for part in bytes.chunks_exact_mut(128 * r) {
        mix(part, &mut memory, n);
    }
    pbkdf2::pbkdf2_hmac::<Sha256>(password, &bytes, 1, key.as_mut_slice());
    key
}

/// scryptROMix of one part of 128 r bytes; `memory` has n times its size.
fn mix(part: &mut [u8], memory: &mut [Block], n: usize) {
    let mut state: Vec<Block> = part.chunks_exact(4 * BLOCK).map(words).collect();
    let mut mixed = state.clone();
    for kept in memory.chunks_exact_mut(state.len()) {
        kept.copy_from_slice(&state);
        block_mix(&state, &mut mixed);
        std::mem::swap(&mut state, &mut mixed);
    }
    for _ in 0..n {
        let last = state.last().map_or(0, |block| block[0]);
        let at = (last as usize) & (n - 1);
        let kept = &memory[at * state.len()..][..state.len()];
        state.iter_mut().zip(kept).for_each(|(a, b)| xor(a, b));
        block_mix(&state, &mut mixed);
        std::mem::swap(&mut state, &mut mixed);
    }
    let words = state.iter().flatten();
    for (bytes, word) in part.chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
}

/// scryptBlockMix: even blocks of the result in its first half, odd ones in the second.
fn block_mix(from: &[Block], to: &mut [Block]) {
    let mut x = from.last().copied().unwrap_or_default();
    for (index, block) in from.iter().enumerate() {
        xor(&mut x, block);
        salsa20_8(&mut x);
        to[index / 2 + index % 2 * (from.len() / 2)] = x;
    }
}

fn xor(to: &mut Block, from: &Block) {
    to.iter_mut().zip(from).for_each(|(a, b)| *a ^= b);
}

fn words(bytes: &[u8]) -> Block {
    let mut block = [0; BLOCK];
    for (word, bytes) in block.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = bytes
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u32::from(*byte));
    }
    block
}

/// The Salsa20 core with 8 rounds.
fn salsa20_8(block: &mut Block) {
    let mut x = *block;
    for _ in 0..4 {
        // Columns, then rows, each from the diagonal on.
        for [a, b, c, d] in [[0, 4, 8, 12], [5, 9, 13, 1], [10, 14, 2, 6], [15, 3, 7, 11]] {
            quarter(&mut x, a, b, c, d);
        }
        for [a, b, c, d] in [[0, 1, 2, 3], [5, 6, 7, 4], [10, 11, 8, 9], [15, 12, 13, 14]] {
            quarter(&mut x, a, b, c, d);
        }
    }
    for (to, from) in block.iter_mut().zip(x) {
        *to = to.wrapping_add(from);
    }
}

#[inline(always)]
const fn quarter(x: &mut Block, a: usize, b: usize, c: usize, d: usize) {
    x[b] ^= x[a].wrapping_add(x[d]).rotate_left(7);
    x[c] ^= x[b].wrapping_add(x[a]).rotate_left(9);
    x[d] ^= x[c].wrapping_add(x[b]).rotate_left(13);
    x[a] ^= x[d].wrapping_add(x[c]).rotate_left(18);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_rfc() {
        // Section 12 of RFC 7914, the first 32 of 64 bytes.
        for (password, salt, (n, r, p), key) in [
            (
                "",
                "",
                (16, 1, 1),
                "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442",
            ),
            (
                "password",
                "NaCl",
                (1024, 8, 16),
                "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162",
            ),
            (
                "pleaseletmein",
                "SodiumChloride",
                (16384, 8, 1),
                "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2",
            ),
        ] {
            let found = derive(password.as_bytes(), salt.as_bytes(), Cost { n, r, p });
            assert_eq!(hex::encode(found.as_slice()), key);
        }
    }

    #[test]
    fn costs_have_the_bounds_of_the_function() {
        let cost = |n, r, p| Cost { n, r, p };
        for defined in [cost(2, 1, 1), cost(1 << 18, 1, 8), cost(1 << 16, 1, 1)] {
            assert!(defined.is_defined(), "{defined:?}");
        }
        for not in [
            cost(0, 8, 1),
            cost(1, 8, 1),
            cost(1000, 8, 1),
            cost(2, 0, 1),
            cost(2, 8, 0),
            cost(2, 1 << 20, 1 << 10),
        ] {
            assert!(!not.is_defined(), "{not:?}");
        }
        assert_eq!(cost(1 << 18, 1, 8).memory(), Some((32 << 20) + 1024));
        assert_eq!(cost(1 << 62, 8, 1).memory(), None);
    }
}
