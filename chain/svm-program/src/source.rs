//! The source of a route: tokens are taken, and what they are for is told to whoever reads.

use pinocchio::ProgramResult;

use crate::{
    Call,
    account::{Seeds, close, create, derived, signer},
    admin,
    certificate::Certificate,
    error::Error,
    hash::{Transfer, transfer_closed},
    state::{LOCK, Peer, Sent, State, Token, U64, change, view},
    sys::{copy, log, now, sha256},
    tokens::Accounts,
};

const HOUR: u64 = 60 * 60;
const WEEK: u64 = 7 * 24 * HOUR;
pub(crate) const MAX_RECEIVER: usize = 64;

/// First bytes of the event: sha256("event:TransferSent").
const EVENT: [u8; 8] = [0x01, 0xae, 0xc5, 0x20, 0x09, 0x91, 0xff, 0xd6];
/// Everything but the receiver.
const EVENT_HEAD: usize = 8 + 32 + 8 + 32 + 8 + 32 + 32 + 32 + 8 + 1;

/// Data: number 8 that this sender has not in use, amount 8 in local units, deadline 8, length 1 and bytes of the receiver.
/// Accounts: sender ws, bridge, peer w, token w, mint w, vault w, sender's token account w, sent w, token program, system.
#[inline(never)]
pub(crate) fn send(call: &mut Call<'_>) -> ProgramResult {
    let Call {
        program,
        data,
        accounts:
            [
                sender,
                bridge,
                peer_account,
                token_account,
                mint,
                vault,
                from,
                sent,
                _token,
                _system,
                ..,
            ],
    } = call
    else {
        return Err(Error::MissingAccount.into());
    };
    signer(sender)?;
    let (id, amount) = (data.u64()?, data.u64()?);
    let (deadline, length) = (data.u64()?, data.u8()?);
    let receiver = data.bytes(length.into())?;
    data.end()?;
    let state = admin::load_open(program, bridge)?;
    let mut peer = admin::peer(program, peer_account)?;
    let mut token = admin::token(program, token_account, peer_account)?;
    if peer.open == 0 {
        return Err(Error::RouteClosed.into());
    }
    if token.open == 0 {
        return Err(Error::TokenClosed.into());
    }
    if receiver.is_empty() || receiver.len() > MAX_RECEIVER {
        return Err(Error::InvalidTransfer.into());
    }
    let now = now()?;
    if deadline < now.saturating_add(HOUR) || deadline > now.saturating_add(WEEK) {
        return Err(Error::InvalidDeadline.into());
    }
    let nonce = peer.sent.get().checked_add(1).ok_or(Error::Overflow)?;
    let wire = token.wire(amount)?;
    token.count_in(amount)?;
    *change::<Token>(program, token_account)? = token;
    Accounts {
        bridge,
        state: &state,
        token: &token,
        mint,
        vault,
        other: from,
    }
    .take(sender, amount)?;

    let sender_key = *sender.address().as_array();
    let transfer = Transfer {
        nonce,
        sender: &sender_key,
        receiver,
        token: &token.mint,
        amount: &wire,
        deadline,
    };
    let route = peer.route_to(program, &state)?;
    let fact = transfer.statement(&route)?.fact;
    let seeds: Seeds<'_> = [b"sent", &sender_key, &id.to_be_bytes()];
    create(program, sender, sent, &seeds, 0, |bump| Sent {
        tag: Sent::TAG,
        bump,
        id: U64::new(id),
        nonce: U64::new(nonce),
        fact,
        payer: sender_key,
    })?;
    peer.sent = U64::new(nonce);
    peer.history = sha256(&[&peer.history, &fact])?;
    *change::<Peer>(program, peer_account)? = peer;
    tell(&peer, &route, &transfer, length)
}

/// The event: eight bytes, route 32, nonce 8, sender 32, target chain 8, target contract 32, token 32, amount 32, deadline 8,
/// length 1 and bytes of the receiver.
fn tell(peer: &Peer, route: &[u8; 32], transfer: &Transfer<'_>, length: u8) -> ProgramResult {
    let (nonce, chain) = (transfer.nonce.to_be_bytes(), peer.chain.get().to_be_bytes());
    let (deadline, length) = (transfer.deadline.to_be_bytes(), [length]);
    let parts: [&[u8]; 11] = [
        &EVENT,
        route,
        &nonce,
        transfer.sender,
        &chain,
        &peer.contract,
        transfer.token,
        transfer.amount,
        &deadline,
        &length,
        transfer.receiver,
    ];
    let mut event = [0; EVENT_HEAD + MAX_RECEIVER];
    let mut end = 0;
    for part in parts {
        let start = end;
        end += part.len();
        copy(event.get_mut(start..end).ok_or(Error::Overflow)?, part)?;
    }
    log(event.get(..end).ok_or(Error::Overflow)?);
    Ok(())
}

/// Gives back what the target closed. Data: epoch 4, time 8 of the closing, then the transfer.
/// Accounts: bridge, set, gathered w, who gets its rent w, peer, token w, mint w, vault w, sender's associated token account w,
/// sent w, sender w, token program.
#[inline(never)]
pub(crate) fn refund(call: &mut Call<'_>) -> ProgramResult {
    let Call {
        program,
        data,
        accounts:
            [
                bridge,
                set,
                gathered,
                refund,
                peer_account,
                token_account,
                mint,
                vault,
                to,
                sent,
                sender,
                _token,
                ..,
            ],
    } = call
    else {
        return Err(Error::MissingAccount.into());
    };
    let (epoch, time) = (data.u32()?, data.u64()?);
    let transfer = Transfer::read(data)?;
    data.end()?;
    let state = admin::load_open(program, bridge)?;
    let peer = admin::peer(program, peer_account)?;
    let mut token = admin::token(program, token_account, peer_account)?;
    if token.mint != *transfer.token {
        return Err(Error::WrongFact.into());
    }
    let route = peer.route_to(program, &state)?;
    let held = *view::<Sent>(program, sent)?;
    let seeds: Seeds<'_> = [b"sent", transfer.sender, &held.id.get().to_be_bytes()];
    derived(program, sent, &seeds, held.bump)?;
    if held.fact != transfer.statement(&route)?.fact {
        return Err(Error::WrongFact.into());
    }
    let closed = transfer_closed(&route, transfer.nonce, time)?;
    let certificate = Certificate {
        program,
        epoch,
        set,
        gathered,
        refund,
    };
    certificate.check(&state, &closed)?;
    let amount = token.local(transfer.amount)?;
    token.count_out(amount)?;
    *change::<Token>(program, token_account)? = token;
    Accounts {
        bridge,
        state: &state,
        token: &token,
        mint,
        vault,
        other: to,
    }
    .pay(transfer.sender, amount)?;
    certificate.close()?;
    close(sent, sender, &held.payer)
}

/// Gives tokens to a route, so that it can pay more than came in on it; nobody gets them back but by transfers. For where they
/// are locked at both ends. Data: amount 8 in local units. Accounts: owner s, bridge, peer, token w, mint, vault w, owner's
/// token account w, token program.
#[inline(never)]
pub(crate) fn fund(call: &mut Call<'_>) -> ProgramResult {
    let Call {
        program,
        data,
        accounts:
            [
                owner,
                bridge,
                peer_account,
                token_account,
                mint,
                vault,
                from,
                _token,
                ..,
            ],
    } = call
    else {
        return Err(Error::MissingAccount.into());
    };
    signer(owner)?;
    let amount = data.u64()?;
    data.end()?;
    let state = admin::load_open(program, bridge)?;
    let mut token = admin::token(program, token_account, peer_account)?;
    if token.open == 0 || token.mode != LOCK {
        return Err(Error::TokenClosed.into());
    }
    token.count_in(amount)?;
    *change::<Token>(program, token_account)? = token;
    let accounts = Accounts {
        bridge,
        state: &state,
        token: &token,
        mint,
        vault,
        other: from,
    };
    accounts.take(owner, amount)
}

/// Gives the right to a refund up, for the rent. For who sent. No data. Accounts: sender ws, sent w.
#[inline(never)]
pub(crate) fn waive(call: &mut Call<'_>) -> ProgramResult {
    let Call {
        program,
        data,
        accounts: [sender, sent, ..],
    } = call
    else {
        return Err(Error::MissingAccount.into());
    };
    data.end()?;
    signer(sender)?;
    let held = *view::<Sent>(program, sent)?;
    close(sent, sender, &held.payer)
}
