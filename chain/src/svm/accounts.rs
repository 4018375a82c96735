//! What the bridge program's accounts hold, as far as those who send look at it.

use quorate_proto::Epoch;

use super::PublicKey;
use super::bridge_calls::BridgeProgram;
use super::reader::Reader;

/// Bytes of an account that are read, at most: no account has what matters here behind them.
pub(super) const HEAD: usize = 256;

/// What an account holds, and of which program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) owner: PublicKey,
    pub(super) data: Vec<u8>,
}

/// How far a set is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SetState {
    pub(super) is_ready: bool,
    /// A bit per part that is there.
    pub(super) parts: u32,
}

/// Signatures that lie there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gathered {
    pub(super) bitmap: Vec<u8>,
}

/// What became of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NonceState {
    Open = 0,
    Queued = 1,
    Paid = 2,
    Closed = 3,
}

impl SetState {
    pub(super) fn has(self, part: u8) -> bool {
        self.is_ready
            || self
                .parts
                .checked_shr(part.into())
                .is_some_and(|parts| parts & 1 == 1)
    }
}

impl Gathered {
    pub(super) fn has(&self, member: usize) -> bool {
        let byte = self.bitmap.get(member / 8);
        byte.is_some_and(|byte| byte >> (member % 8) & 1 == 1)
    }
}

/// The bytes of a program's account behind tag and bump, where it is one with this tag. Anybody can send lamports to an
/// address: an account of another owner is as good as none.
fn held(program: BridgeProgram, tag: u8, account: Option<&Held>) -> Option<Reader<'_>> {
    let account = account.filter(|account| account.owner == program.0)?;
    let mut data = Reader(&account.data);
    (data.take(2)?.first() == Some(&tag)).then_some(data)
}

/// The newest epoch that a bridge knows.
pub(super) fn newest_epoch(program: BridgeProgram, bridge: Option<&Held>) -> Option<Epoch> {
    let mut data = held(program, 1, bridge)?;
    data.take(1 + 32 + 8 + 32 + 32 + 8 + 8 + 8)?;
    data.u32().map(Epoch)
}

/// How often a bridge was stopped, or let go on.
pub(super) fn pause_sequence(program: BridgeProgram, bridge: Option<&Held>) -> Option<u64> {
    let mut data = held(program, 1, bridge)?;
    data.take(1 + 32 + 8 + 32 + 32 + 8 + 8)?;
    data.u64()
}

/// The mint of a token.
pub(super) fn mint(program: BridgeProgram, token: Option<&Held>) -> Option<PublicKey> {
    let mut data = held(program, 3, token)?;
    data.take(3 + 32 + 32)?;
    data.key()
}

pub(super) fn set(program: BridgeProgram, set: Option<&Held>) -> Option<SetState> {
    let mut data = held(program, 4, set)?;
    let is_ready = data.u8()? == 1;
    data.take(4 + 8 + 4 + 16 + 32)?;
    Some(SetState {
        is_ready,
        parts: data.u32()?,
    })
}

pub(super) fn gathered(program: BridgeProgram, gathered: Option<&Held>) -> Option<Gathered> {
    let mut data = held(program, 5, gathered)?;
    data.take(2 + 4 + 32 + 16 + 8 + 32)?;
    let bitmap = data.0.to_vec();
    Some(Gathered { bitmap })
}

/// Who paid for what is gathered, whatever program it is of.
pub(super) fn rent_of(gathered: &Held) -> Option<PublicKey> {
    let mut data = Reader(&gathered.data);
    let tag = data.u8()?;
    data.take(1 + 2 + 4 + 32 + 16 + 8)?;
    data.key().filter(|_| tag == 5)
}

/// What became of a nonce, by its page and its record.
pub(super) fn nonce_state(
    program: BridgeProgram,
    nonce: u64,
    (page, record): (Option<&Held>, Option<&Held>),
) -> NonceState {
    let is_taken = || {
        let taken = held(program, 6, page)?.0;
        let index = usize::try_from(nonce % (8 * taken.len() as u64).max(1)).ok()?;
        Some(taken.get(index / 8)? >> (index % 8) & 1 == 1)
    };
    if is_taken() != Some(true) {
        return NonceState::Open;
    }
    match held(program, 7, record).and_then(|mut data| data.u8()) {
        Some(1) => NonceState::Queued,
        Some(2) => NonceState::Closed,
        _ => NonceState::Paid,
    }
}
