//! Text as editors and shells leave it in files.

use std::io;
use std::path::Path;

use zeroize::Zeroizing;

/// U+FEFF, which some editors put in front of UTF-8.
const MARK: char = '\u{feff}';

/// The text of a file, without a byte order mark.
///
/// # Errors
/// What the system says; of a file that is no UTF-8 text, what it is and the cure.
pub fn read_text(path: &Path) -> io::Result<Zeroizing<String>> {
    text_of(std::fs::read(path)?)
}

/// The text in `bytes`, without a byte order mark.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`], with what it is and the cure.
pub fn text_of(bytes: Vec<u8>) -> io::Result<Zeroizing<String>> {
    let bytes = Zeroizing::new(bytes);
    let refused = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidData, what));
    if is_utf16(&bytes) {
        return refused("it is UTF-16 text; save it as UTF-8");
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(without_mark(text).to_owned())),
        Err(_) => refused("it is no UTF-8 text; save it as that, or name the right file"),
    }
}

pub(super) fn without_mark(text: &str) -> &str {
    text.strip_prefix(MARK).unwrap_or(text)
}

/// By its mark, or by every other byte being zero.
fn is_utf16(bytes: &[u8]) -> bool {
    let zeros = |at: usize| bytes.len() > 1 && bytes.iter().skip(at).step_by(2).all(|b| *b == 0);
    bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) || zeros(0) || zeros(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_skipped_and_other_encodings_are_named() {
        let utf16 =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        for (bytes, expected) in [
            (b"pass".to_vec(), Ok("pass")),
            (b"\xef\xbb\xbfpass\n".to_vec(), Ok("pass\n")),
            (b"".to_vec(), Ok("")),
            (utf16("\u{feff}pass"), Err("UTF-16")),
            (utf16("pass"), Err("UTF-16")),
            (b"\0p\0a".to_vec(), Err("UTF-16")),
            (b"p\xe4ss".to_vec(), Err("no UTF-8 text")),
        ] {
            match (text_of(bytes.clone()), expected) {
                (Ok(text), Ok(expected)) => assert_eq!(*text, expected),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (found, _) => panic!("{bytes:?}: {found:?}"),
            }
        }
    }
}
