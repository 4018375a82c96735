//! Instructions, and the form in which those of one transaction are kept until it is made.
//!
//! ```text
//! 0x01 ‖ per instruction: program 32 ‖ accounts 1 ‖ per account: access 1, key 32 ‖ length 2, big endian ‖ data
//! ```

use alloy::primitives::{B256, b256};

use super::PublicKey;
use super::reader::Reader;
use crate::ChainError;

/// Makes accounts, and owns those that hold lamports only.
pub const SYSTEM: PublicKey = PublicKey(B256::ZERO);
/// The first token program.
pub const TOKEN: PublicKey = PublicKey(b256!(
    "06ddf6e1d765a193d9cbe146ceeb79ac1cb485ed5f5b37913a8cf5857eff00a9"
));
/// Gives every wallet an account per token.
pub const ASSOCIATED: PublicKey = PublicKey(b256!(
    "8c97258f4e2489f1bb3d1029148e0d830b5a1399daff1084048e7bd8dbe9f859"
));
/// Loads programs, and knows who may replace them.
pub const LOADER: PublicKey = PublicKey(b256!(
    "02a8f6914e88a1b0e210153ef763ae2b00c2b93d16c124d2c0537a1004800000"
));
/// Says how much a transaction may use, and what it pays for that.
const COMPUTE_BUDGET: PublicKey = PublicKey(b256!(
    "0306466fe5211732ffecadba72c39be7bc8ce5bbc5f7126b2c439b3a40000000"
));

/// First byte of instructions, by which they are told from a [`Query`](super::query::Query).
pub(super) const INSTRUCTIONS: u8 = 1;

/// Instructions of one transaction, at most.
const MAX_INSTRUCTIONS: usize = 16;

/// What an instruction does with an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads it.
    Reads,
    /// Changes it.
    Writes,
    /// Changes it, with its signature: it pays for the transaction.
    Signs,
    /// Changes the account that paid for this one's rent, as this one says itself when the transaction is made; who pays for
    /// the transaction where there is none yet. Another relayer may have made it meanwhile.
    RentOf,
}

/// An account of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountUse {
    /// Which it is.
    pub key: PublicKey,
    /// What becomes of it.
    pub access: Access,
}

/// What one program is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// The program.
    pub program: PublicKey,
    /// In the order that the program wants.
    pub accounts: Vec<AccountUse>,
    /// As the program reads it.
    pub data: Vec<u8>,
}

impl Access {
    const fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Reads,
            1 => Self::Writes,
            2 => Self::Signs,
            3 => Self::RentOf,
            _ => return None,
        })
    }
}

impl Instruction {
    /// Its accounts, and the program itself.
    pub(super) fn uses(&self) -> impl Iterator<Item = AccountUse> {
        let program = AccountUse {
            key: self.program,
            access: Access::Reads,
        };
        self.accounts.iter().copied().chain([program])
    }
}

/// The account in which a wallet holds a token.
#[must_use]
pub fn associated(wallet: PublicKey, mint: PublicKey) -> PublicKey {
    derived(
        &[wallet.0.as_slice(), TOKEN.0.as_slice(), mint.0.as_slice()],
        ASSOCIATED,
    )
}

/// Makes that account, unless it is there.
#[must_use]
pub fn create_associated(payer: PublicKey, wallet: PublicKey, mint: PublicKey) -> Instruction {
    const IDEMPOTENT: u8 = 1;
    let accounts = [
        (payer, Access::Signs),
        (associated(wallet, mint), Access::Writes),
        (wallet, Access::Reads),
        (mint, Access::Reads),
        (SYSTEM, Access::Reads),
        (TOKEN, Access::Reads),
    ];
    instruction(ASSOCIATED, &accounts, vec![IDEMPOTENT])
}

/// Lets a transaction use so many compute units, and pay so many millionths of a lamport for each that it may use.
pub(super) fn compute_budget(units: u32, price: u64) -> [Instruction; 2] {
    const LIMIT: u8 = 2;
    const PRICE: u8 = 3;
    let limit = [&[LIMIT][..], &units.to_le_bytes()].concat();
    let price = [&[PRICE][..], &price.to_le_bytes()].concat();
    [limit, price].map(|data| instruction(COMPUTE_BUDGET, &[], data))
}

pub(super) fn instruction(
    program: PublicKey,
    accounts: &[(PublicKey, Access)],
    data: Vec<u8>,
) -> Instruction {
    let accounts = accounts.iter();
    let accounts = accounts.map(|(key, access)| AccountUse {
        key: *key,
        access: *access,
    });
    Instruction {
        program,
        accounts: accounts.collect(),
        data,
    }
}

/// An address of a program by seeds that are known to be short and few; there is always one.
pub(super) fn derived(seeds: &[&[u8]], program: PublicKey) -> PublicKey {
    PublicKey::derive(seeds, program).map_or(SYSTEM, |(address, _)| address)
}

/// The form in which they are kept.
#[must_use]
pub fn encode(instructions: &[Instruction]) -> Vec<u8> {
    let mut bytes = vec![INSTRUCTIONS];
    for Instruction {
        program,
        accounts,
        data,
    } in instructions
    {
        bytes.extend(program.0);
        bytes.push(u8::try_from(accounts.len()).unwrap_or(u8::MAX));
        for account in accounts {
            bytes.push(account.access as u8);
            bytes.extend(account.key.0);
        }
        bytes.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend(data);
    }
    bytes
}

/// Reads that form.
///
/// # Errors
/// [`ChainError::Malformed`] for anything else.
pub fn decode(bytes: &[u8]) -> Result<Vec<Instruction>, ChainError> {
    read(bytes).ok_or_else(|| ChainError::Malformed {
        what: "call of a program",
        detail: format!("{} bytes that are no instructions", bytes.len()),
    })
}

fn read(bytes: &[u8]) -> Option<Vec<Instruction>> {
    let mut bytes = Reader(bytes);
    let mut instructions = Vec::new();
    if bytes.u8()? != INSTRUCTIONS {
        return None;
    }
    while !bytes.0.is_empty() && instructions.len() < MAX_INSTRUCTIONS {
        let program = bytes.key()?;
        let account = |bytes: &mut Reader<'_>| {
            let access = Access::of(bytes.u8()?)?;
            Some(AccountUse {
                key: bytes.key()?,
                access,
            })
        };
        let accounts = (0..bytes.u8()?)
            .map(|_| account(&mut bytes))
            .collect::<Option<_>>()?;
        let length = bytes.u16()?;
        instructions.push(Instruction {
            program,
            accounts,
            data: bytes.take(length.into())?.to_vec(),
        });
    }
    bytes.end()?;
    Some(instructions)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Vec<Instruction> {
        let [wallet, mint] = [1, 2].map(|byte| PublicKey(B256::repeat_byte(byte)));
        let rent = instruction(mint, &[(wallet, Access::RentOf)], vec![7; 300]);
        vec![create_associated(wallet, wallet, mint), rent]
    }

    #[test]
    fn instructions_read_as_they_are_kept() {
        let bytes = encode(&sample());
        assert_eq!(decode(&bytes), Ok(sample()));
        assert_eq!(decode(&[INSTRUCTIONS]), Ok(Vec::new()));
        for length in [0, 2, 40, bytes.len() - 1] {
            assert!(decode(&bytes[..length]).is_err(), "{length}");
        }
        let mut odd = bytes.clone();
        odd[34] = 4;
        assert!(decode(&odd).is_err(), "there is no such access");
        assert!(decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn token_accounts_are_those_of_the_program() {
        let key = |text: &str| text.parse::<PublicKey>().expect("a key");
        let wallet = key("2TXBRorVo9CgWzEoLYGy9xqpN6KTcs7ixs2TBzdbhwTc");
        let mint = key("Bqf1f4YEpkZM8AdqZnEjT1VPcnFGVKpzVoaQkJeP67Ky");
        let expected = key("2WcV37x3GLgS6GZLK41tCNeiQ5Dq3P3JPXHh7GkJ6Cu6");
        assert_eq!(associated(wallet, mint), expected);
    }

    proptest! {
        #[test]
        fn bytes_are_refused_or_are_the_one_form(bytes in proptest::collection::vec(0_u8..5, 0..400)) {
            if let Ok(instructions) = decode(&bytes) {
                prop_assert_eq!(encode(&instructions), bytes);
            }
        }
    }
}
