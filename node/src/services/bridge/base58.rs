//! Base58, as SVM chains write keys and signatures.

const DIGITS: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// Bytes as text. Takes time with the square of their number: for keys and signatures.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut digits: Vec<u8> = Vec::new();
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = u8::try_from(carry % 58).unwrap_or_default();
            carry /= 58;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 58).unwrap_or_default());
            carry /= 58;
        }
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).map(|_| 0);
    let digits = zeros.chain(digits.into_iter().rev());
    digits
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_has_the_name_that_its_chain_gives_it() {
        let program = "d1bfa604b5dc68adb868be96a0dac50da61e18030533aedd0036a8bdd95cd535";
        let bytes = hex::decode(program).unwrap();
        assert_eq!(
            encode(&bytes),
            "F7mhpQAE3umJYrBitUHJChiQbEbUFmQRac85uyCW5aKn"
        );
        assert_eq!(encode(&[0; 32]), "1".repeat(32));
        assert_eq!(encode(&[]), "");
    }
}
