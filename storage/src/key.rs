//! Keys as bytes whose order is the order of the values: big-endian parts of fixed width, and at
//! most one part of variable width, which must come last.

/// How a key, or the borrowed form of one (`str`, `[u8]`), is written.
pub trait EncodeKey {
    /// Appends the key. For any two keys of one type the bytes compare as the keys do.
    fn encode_key(&self, out: &mut Vec<u8>);

    /// The key in a buffer of its own.
    fn key_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        self.encode_key(&mut out);
        out
    }
}

/// An owned key that can be read back.
pub trait Key: EncodeKey + Sized {
    /// Takes one key from the front of `bytes`; `None` when the bytes are no such key.
    fn decode_key(bytes: &mut &[u8]) -> Option<Self>;
}

/// A key of one width, which other parts may follow.
pub trait FixedKey: Key {}

/// Marks what can stand as the first part of a key `K` in a scan. `()` is the prefix of every key.
pub trait PrefixOf<K>: EncodeKey {}

/// Reads a whole key; bytes left over make it no key.
pub(crate) fn decode_whole<K: Key>(mut bytes: &[u8]) -> Option<K> {
    let key = K::decode_key(&mut bytes)?;
    bytes.is_empty().then_some(key)
}

impl<const N: usize> EncodeKey for [u8; N] {
    fn encode_key(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl<const N: usize> Key for [u8; N] {
    fn decode_key(bytes: &mut &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<N>()?;
        *bytes = rest;
        Some(*head)
    }
}

impl<const N: usize> FixedKey for [u8; N] {}

macro_rules! integer_key {
    ($($int:ty),*) => {$(
        impl EncodeKey for $int {
            fn encode_key(&self, out: &mut Vec<u8>) {
                self.to_be_bytes().encode_key(out);
            }
        }

        impl Key for $int {
            fn decode_key(bytes: &mut &[u8]) -> Option<Self> {
                Key::decode_key(bytes).map(Self::from_be_bytes)
            }
        }

        impl FixedKey for $int {}
    )*};
}

integer_key!(u32, u64);

impl EncodeKey for str {
    fn encode_key(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

impl EncodeKey for String {
    fn encode_key(&self, out: &mut Vec<u8>) {
        self.as_str().encode_key(out);
    }
}

impl Key for String {
    fn decode_key(bytes: &mut &[u8]) -> Option<Self> {
        std::str::from_utf8(std::mem::take(bytes))
            .ok()
            .map(str::to_owned)
    }
}

impl EncodeKey for [u8] {
    fn encode_key(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl EncodeKey for Vec<u8> {
    fn encode_key(&self, out: &mut Vec<u8>) {
        self.as_slice().encode_key(out);
    }
}

impl Key for Vec<u8> {
    fn decode_key(bytes: &mut &[u8]) -> Option<Self> {
        Some(std::mem::take(bytes).to_vec())
    }
}

impl<A: FixedKey, B: EncodeKey> EncodeKey for (A, B) {
    fn encode_key(&self, out: &mut Vec<u8>) {
        self.0.encode_key(out);
        self.1.encode_key(out);
    }
}

impl<A: FixedKey, B: Key> Key for (A, B) {
    fn decode_key(bytes: &mut &[u8]) -> Option<Self> {
        Some((A::decode_key(bytes)?, B::decode_key(bytes)?))
    }
}

impl<A: FixedKey, B: FixedKey> FixedKey for (A, B) {}

impl<A: FixedKey, B: FixedKey, C: EncodeKey> EncodeKey for (A, B, C) {
    fn encode_key(&self, out: &mut Vec<u8>) {
        self.0.encode_key(out);
        self.1.encode_key(out);
        self.2.encode_key(out);
    }
}

impl<A: FixedKey, B: FixedKey, C: Key> Key for (A, B, C) {
    fn decode_key(bytes: &mut &[u8]) -> Option<Self> {
        Some((
            A::decode_key(bytes)?,
            B::decode_key(bytes)?,
            C::decode_key(bytes)?,
        ))
    }
}

impl<A: FixedKey, B: FixedKey, C: FixedKey> FixedKey for (A, B, C) {}

impl EncodeKey for () {
    fn encode_key(&self, _: &mut Vec<u8>) {}
}

impl<K> PrefixOf<K> for () {}
impl<A: FixedKey, B> PrefixOf<(A, B)> for A {}
impl<A: FixedKey, B, C> PrefixOf<(A, B, C)> for A {}
impl<A: FixedKey, B: FixedKey, C> PrefixOf<(A, B, C)> for (A, B) {}
impl PrefixOf<String> for str {}
impl PrefixOf<Vec<u8>> for [u8] {}
