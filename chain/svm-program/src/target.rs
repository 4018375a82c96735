//! The target of a route: what operators have certified is paid, once, at once or later, or closed for good.

use pinocchio::{AccountView, Address, ProgramResult, error::ProgramError};

use crate::{
    Call,
    account::{close as close_account, create, derived, signer},
    admin,
    certificate::Certificate,
    error::Error,
    hash::Transfer,
    reader::Reader,
    source::MAX_RECEIVER,
    state::{CLOSED, Nonces, PAGE, Peer, QUEUED, Record, State, Token, U64, change, view},
    sys::{Hash, log, now},
    tokens::Accounts,
};

/// First bytes of the event: sha256("event:TransferClosed").
const EVENT: [u8; 8] = [0x67, 0xd6, 0x99, 0xdd, 0x0d, 0x17, 0x9d, 0xb5];

impl<'a> Transfer<'a> {
    /// Nonce 8, sender 32, token on the source 32, amount 32, deadline 8, length 1 and bytes of the receiver.
    pub(crate) fn read(data: &mut Reader<'a>) -> Result<Self, ProgramError> {
        let (nonce, sender, token) = (data.u64()?, data.array()?, data.array()?);
        let (amount, deadline, length) = (data.array()?, data.u64()?, data.u8()?);
        let transfer = Self {
            nonce,
            sender,
            receiver: data.bytes(length.into())?,
            token,
            amount,
            deadline,
        };
        if nonce == 0 || transfer.receiver.is_empty() || transfer.receiver.len() > MAX_RECEIVER {
            Err(Error::InvalidTransfer.into())
        } else {
            Ok(transfer)
        }
    }

    /// The wallet that is paid. Not the bridge's own: nobody could use that.
    fn wallet(&self, bridge: &AccountView) -> Result<Hash, ProgramError> {
        let wallet: Hash = self.receiver.try_into().map_err(|_| Error::WrongReceiver)?;
        if wallet == *bridge.address().as_array() {
            return Err(Error::WrongReceiver.into());
        }
        Ok(wallet)
    }
}

/// Pays a certified transfer, or puts it on record where it is too much for now.
/// Data: epoch 4, then the transfer. Accounts: payer ws, bridge, set, gathered w, who gets its rent w, peer, nonces w,
/// token w, mint w, vault w, receiver's associated token account w, record w, token program, system.
#[inline(never)]
pub(crate) fn deliver(call: &mut Call<'_>) -> ProgramResult {
    let Call {
        program,
        data,
        accounts:
            [
                payer,
                bridge,
                set,
                gathered,
                refund,
                peer_account,
                nonces,
                token_account,
                mint,
                vault,
                to,
                record,
                _token,
                _system,
                ..,
            ],
    } = call
    else {
        return Err(Error::MissingAccount.into());
    };
    let epoch = data.u32()?;
    let transfer = Transfer::read(data)?;
    data.end()?;
    let state = admin::load_open(program, bridge)?;
    let peer = open_peer(program, peer_account)?;
    let mut token = open_token(program, token_account, peer_account, &transfer)?;
    let statement = transfer.statement(&peer.route_from(program, &state)?)?;
    let certificate = Certificate {
        program,
        epoch,
        set,
        gathered,
        refund,
    };
    certificate.check(&state, &statement)?;
    claim(program, payer, peer_account, nonces, transfer.nonce)?;

    let (amount, now) = (token.local(transfer.amount)?, now()?);
    let wallet = transfer.wallet(bridge)?;
    token.count_out(amount)?;
    let is_paid = token.fits(amount, now);
    *change::<Token>(program, token_account)? = token;
    if is_paid {
        let accounts = Accounts {
            bridge,
            state: &state,
            token: &token,
            mint,
            vault,
            other: to,
        };
        accounts.pay(&wallet, amount)?;
    } else {
        let (from, fact) = (now.saturating_add(state.limit_delay.get()), statement.fact);
        put(
            program,
            payer,
            peer_account,
            record,
            transfer.nonce,
            QUEUED,
            from,
            fact,
        )?;
    }
    certificate.close()
}

fn open_peer(program: &Address, account: &AccountView) -> Result<Peer, ProgramError> {
    let peer = admin::peer(program, account)?;
    if peer.open == 1 {
        Ok(peer)
    } else {
        Err(Error::RouteClosed.into())
    }
}

/// What the transfer's token is here.
fn open_token(
    program: &Address,
    account: &AccountView,
    peer: &AccountView,
    transfer: &Transfer<'_>,
) -> Result<Token, ProgramError> {
    let token = admin::token(program, account, peer)?;
    if token.remote != *transfer.token {
        return Err(Error::WrongAddress.into());
    }
    if token.open == 1 {
        Ok(token)
    } else {
        Err(Error::TokenClosed.into())
    }
}

/// Takes a nonce of the route from `peer`, for ever.
#[inline(always)]
fn claim(
    program: &Address,
    payer: &AccountView,
    peer: &AccountView,
    account: &mut AccountView,
    nonce: u64,
) -> ProgramResult {
    let (page, index) = ((nonce / PAGE).to_be_bytes(), (nonce % PAGE) as usize);
    let key = *peer.address().as_array();
    let seeds = [&b"nonces"[..], &key, &page];
    if account.is_data_empty() {
        let taken = [0; (PAGE / 8) as usize];
        create(program, payer, account, &seeds, 0, |bump| Nonces {
            tag: Nonces::TAG,
            bump,
            taken,
        })?;
    }
    let bump = view::<Nonces>(program, account)?.bump;
    derived(program, account, &seeds, bump)?;
    let mut nonces = change::<Nonces>(program, account)?;
    let byte = nonces.taken.get_mut(index / 8).ok_or(Error::Overflow)?;
    let bit = 1 << (index % 8);
    if *byte & bit != 0 {
        return Err(Error::NonceTaken.into());
    }
    *byte |= bit;
    Ok(())
}

#[inline(always)]
fn put(
    program: &Address,
    payer: &AccountView,
    peer: &AccountView,
    account: &mut AccountView,
    nonce: u64,
    kind: u8,
    time: u64,
    fact: Hash,
) -> ProgramResult {
    let key = *peer.address().as_array();
    create(
        program,
        payer,
        account,
        &[b"record", &key, &nonce.to_be_bytes()],
        0,
        |bump| Record {
            tag: Record::TAG,
            bump,
            kind,
            time: U64::new(time),
            fact,
            payer: payer.address().to_bytes(),
        },
    )
}

/// Pays what was queued: after its delay, or before as soon as the window has room for it. Anybody may.
/// Data: the transfer. Accounts: bridge, peer, token w, mint w, vault w, receiver's associated token account w, record w,
/// record's payer w, token program.
#[inline(never)]
pub(crate) fn release(call: &mut Call<'_>) -> ProgramResult {
    let Call {
        program,
        data,
        accounts:
            [
                bridge,
                peer_account,
                token_account,
                mint,
                vault,
                to,
                record,
                payer,
                _token,
                ..,
            ],
    } = call
    else {
        return Err(Error::MissingAccount.into());
    };
    let transfer = Transfer::read(data)?;
    data.end()?;
    let state = admin::load_open(program, bridge)?;
    let peer = open_peer(program, peer_account)?;
    let mut token = open_token(program, token_account, peer_account, &transfer)?;
    let held = *view::<Record>(program, record)?;
    let nonce = transfer.nonce.to_be_bytes();
    derived(
        program,
        record,
        &[b"record", peer_account.address().as_array(), &nonce],
        held.bump,
    )?;
    let fact = transfer.statement(&peer.route_from(program, &state)?)?.fact;
    if held.kind == CLOSED || held.fact != fact {
        return Err(Error::WrongFact.into());
    }
    let (amount, now) = (token.local(transfer.amount)?, now()?);
    let wallet = transfer.wallet(bridge)?;
    if now < held.time.get() {
        if !token.fits(amount, now) {
            return Err(Error::NotYet.into());
        }
        *change::<Token>(program, token_account)? = token;
    }
    Accounts {
        bridge,
        state: &state,
        token: &token,
        mint,
        vault,
        other: to,
    }
    .pay(&wallet, amount)?;
    close_account(record, payer, &held.payer)
}

/// Gives a certified transfer up, so that the source can give it back: the receiver at any time, anybody after the deadline.
/// The record stays, for operators to read. Data: epoch 4, then the transfer. Accounts: payer ws, bridge, set, gathered w,
/// who gets its rent w, peer, nonces w, record w, system.
#[inline(never)]
pub(crate) fn close(call: &mut Call<'_>) -> ProgramResult {
    let Call {
        program,
        data,
        accounts:
            [
                payer,
                bridge,
                set,
                gathered,
                refund,
                peer_account,
                nonces,
                record,
                _system,
                ..,
            ],
    } = call
    else {
        return Err(Error::MissingAccount.into());
    };
    let epoch = data.u32()?;
    let transfer = Transfer::read(data)?;
    data.end()?;
    signer(payer)?;
    let state = admin::load_open(program, bridge)?;
    // Also where the route is not open: who waits shall get it back.
    let peer = admin::peer(program, peer_account)?;
    let now = now()?;
    if now <= transfer.deadline && payer.address().as_array()[..] != *transfer.receiver {
        return Err(Error::NotYet.into());
    }
    let route = peer.route_from(program, &state)?;
    let statement = transfer.statement(&route)?;
    let certificate = Certificate {
        program,
        epoch,
        set,
        gathered,
        refund,
    };
    certificate.check(&state, &statement)?;
    claim(program, payer, peer_account, nonces, transfer.nonce)?;
    put(
        program,
        payer,
        peer_account,
        record,
        transfer.nonce,
        CLOSED,
        now,
        statement.fact,
    )?;

    let mut event = [0; 8 + 32 + 8 + 8];
    event[..8].copy_from_slice(&EVENT);
    event[8..40].copy_from_slice(&route);
    event[40..48].copy_from_slice(&transfer.nonce.to_be_bytes());
    event[48..].copy_from_slice(&now.to_be_bytes());
    log(&event);
    certificate.close()
}
