//! Settings: who may change what, which routes and tokens are open, and the switch that stops everything.

use pinocchio::{AccountView, Address, ProgramResult, error::ProgramError};

use crate::{
    Call,
    account::{Seeds, at, create, derived, signer},
    certificate::Certificate,
    error::Error,
    hash::{self, End},
    sets::Outline,
    state::{Bridge, LOCK, Link, MINT, Peer, State, Token, U32, U64, change, view},
    sys::Hash,
    tokens,
};

/// BPFLoaderUpgradeab1e11111111111111111111111
const LOADER: Address = Address::new_from_array([
    0x02, 0xa8, 0xf6, 0x91, 0x4e, 0x88, 0xa1, 0xb0, 0xe2, 0x10, 0x15, 0x3e, 0xf7, 0x63, 0xae,
    0x2b, //
    0x00, 0xc2, 0xb9, 0x3d, 0x16, 0xc1, 0x24, 0xd2, 0xc0, 0x53, 0x7a, 0x10, 0x04, 0x80, 0x00, 0x00,
]);
/// Kind (4, little endian), slot, whether there is an authority, and which.
const PROGRAM_DATA: [u8; 4] = [3, 0, 0, 0];
const AUTHORITY_FLAG: usize = 12;

/// Whoever loaded the program begins, and nobody may before.
fn require_upgrade_authority(
    program: &Address,
    account: &AccountView,
    authority: &AccountView,
) -> ProgramResult {
    signer(authority)?;
    let (address, _) = Address::try_find_program_address(&[program.as_array()], &LOADER)
        .ok_or(Error::WrongAddress)?;
    at(account, address.as_array())?;
    if !account.owned_by(&LOADER) {
        return Err(Error::WrongOwner.into());
    }
    let data = account.try_borrow()?;
    let named = data
        .get(AUTHORITY_FLAG..)
        .and_then(|rest| rest.first_chunk::<33>())
        .ok_or(Error::WrongKind)?;
    let is_authority = named[0] == 1 && named[1..] == authority.address().as_array()[..];
    if data.starts_with(&PROGRAM_DATA) && is_authority {
        Ok(())
    } else {
        Err(Error::NotAuthority.into())
    }
}

const fn seeds() -> Seeds<'static> {
    [b"bridge", b"", b""]
}

/// Data: domain separator 32, chain 8, authority 32, guardian 32, lifetime 8, delay of large transfers 8, delay of an anchor 8, and the outline of
/// the first set as in `update`. Accounts: upgrade authority ws (pays), program data, bridge w, set w, system.
#[inline(never)]
pub(crate) fn initialize(call: &mut Call<'_>) -> ProgramResult {
    let Call {
        program,
        data,
        accounts: [payer, program_data, bridge, set, _system, ..],
    } = call
    else {
        return Err(Error::MissingAccount.into());
    };
    require_upgrade_authority(program, program_data, payer)?;
    let mut state = Bridge {
        tag: Bridge::TAG,
        bump: 0,
        paused: 0,
        domain: *data.array()?,
        chain: U64::new(data.u64()?),
        authority: *data.array()?,
        guardian: *data.array()?,
        lifetime: U64::new(data.u64()?),
        limit_delay: U64::new(data.u64()?),
        pause_sequence: U64::new(0),
        newest_epoch: U32::new(0),
        newest_time: U64::new(0),
        anchor_delay: U64::new(data.u64()?),
        anchor_from: U64::new(0),
        anchor: [0; 32],
    };
    let first = Outline::read(data)?;
    data.end()?;
    // What is announced has to live still when it is used.
    let delay = state.anchor_delay.get();
    let is_delay_fit = delay > 0 && delay <= state.lifetime.get() / 2;
    if state.chain.get() == 0 || !is_delay_fit {
        return Err(Error::InvalidConfig.into());
    }
    create(program, payer, bridge, &seeds(), 0, |bump| {
        state.bump = bump;
        state
    })?;
    first.open(program, payer, bridge, set)
}

/// The one bridge of this program.
pub(crate) fn load(program: &Address, account: &AccountView) -> Result<Bridge, ProgramError> {
    let bridge = *view::<Bridge>(program, account)?;
    derived(program, account, &seeds(), bridge.bump)?;
    Ok(bridge)
}

/// The same, for what stops while it is paused.
pub(crate) fn load_open(program: &Address, account: &AccountView) -> Result<Bridge, ProgramError> {
    let bridge = load(program, account)?;
    if bridge.paused == 0 {
        Ok(bridge)
    } else {
        Err(Error::Paused.into())
    }
}

fn require_authority(
    program: &Address,
    bridge: &AccountView,
    authority: &AccountView,
) -> Result<Bridge, ProgramError> {
    let state = load(program, bridge)?;
    signer(authority)?;
    if state.authority == *authority.address().as_array() {
        Ok(state)
    } else {
        Err(Error::NotAuthority.into())
    }
}

/// Data: chain 8, contract 32, open 1. Accounts: authority ws (pays), bridge, peer w, system.
#[inline(never)]
pub(crate) fn set_peer(call: &mut Call<'_>) -> ProgramResult {
    let Call {
        program,
        data,
        accounts: [authority, bridge, account, _system, ..],
    } = call
    else {
        return Err(Error::MissingAccount.into());
    };
    let state = require_authority(program, bridge, authority)?;
    let (chain, contract, open) = (data.u64()?, *data.array()?, data.flag()?);
    data.end()?;
    // One chain's bridge is no peer of itself.
    if chain == 0 || chain == state.chain.get() {
        return Err(Error::InvalidConfig.into());
    }
    if account.is_data_empty() {
        return create(
            program,
            authority,
            account,
            &[b"peer", &chain.to_be_bytes(), &contract],
            0,
            |bump| Peer {
                tag: Peer::TAG,
                bump,
                open,
                chain: U64::new(chain),
                contract,
                sent: U64::new(0),
                history: [0; 32],
            },
        );
    }
    let peer = peer(program, account)?;
    if peer.chain.get() != chain || peer.contract != contract {
        return Err(Error::WrongAddress.into());
    }
    change::<Peer>(program, account)?.open = open;
    Ok(())
}

/// The peer of `account`, open or not.
pub(crate) fn peer(program: &Address, account: &AccountView) -> Result<Peer, ProgramError> {
    let peer = *view::<Peer>(program, account)?;
    derived(
        program,
        account,
        &[b"peer", &peer.chain.get().to_be_bytes(), &peer.contract],
        peer.bump,
    )?;
    Ok(peer)
}

impl Peer {
    const fn end(&self) -> End<'_> {
        End {
            chain: self.chain.get(),
            contract: &self.contract,
        }
    }

    /// Name of the route to the peer.
    pub(crate) fn route_to(
        &self,
        program: &Address,
        bridge: &Bridge,
    ) -> Result<Hash, ProgramError> {
        hash::route(own_end(program, bridge), self.end())
    }

    /// Name of the route from the peer.
    pub(crate) fn route_from(
        &self,
        program: &Address,
        bridge: &Bridge,
    ) -> Result<Hash, ProgramError> {
        hash::route(self.end(), own_end(program, bridge))
    }
}

const fn own_end<'a>(program: &'a Address, bridge: &Bridge) -> End<'a> {
    End {
        chain: bridge.chain.get(),
        contract: program.as_array(),
    }
}

/// Data: token there 32, open 1, mode 1 (1 lock, 2 mint), unit 8, limit of a transfer 8, limit of the window 8.
/// Mode, unit and mint stay as they were first said. Accounts: authority ws (pays), bridge, peer, token w, link w, mint, vault,
/// system.
#[inline(never)]
pub(crate) fn set_token(call: &mut Call<'_>) -> ProgramResult {
    let Call {
        program,
        data,
        accounts:
            [
                authority,
                bridge,
                peer_account,
                account,
                link,
                mint,
                vault,
                _system,
                ..,
            ],
    } = call
    else {
        return Err(Error::MissingAccount.into());
    };
    require_authority(program, bridge, authority)?;
    peer(program, peer_account)?;
    let owner = *bridge.address().as_array();
    let (decimals, is_minter) = tokens::inspect(mint, &owner)?;
    let wanted = Token {
        tag: Token::TAG,
        bump: 0,
        remote: *data.array()?,
        open: data.flag()?,
        mode: data.u8()?,
        decimals,
        peer: *peer_account.address().as_array(),
        mint: *mint.address().as_array(),
        vault: *vault.address().as_array(),
        unit: U64::new(data.u64()?),
        transfer_limit: U64::new(data.u64()?),
        window_limit: U64::new(data.u64()?),
        used: U64::new(0),
        used_at: U64::new(0),
        balance: U64::new(0),
    };
    data.end()?;
    let is_mode = wanted.mode == LOCK || (wanted.mode == MINT && is_minter);
    let are_limits = wanted.transfer_limit.get() <= wanted.window_limit.get();
    if !is_mode || wanted.unit.get() == 0 || !are_limits {
        return Err(Error::InvalidConfig.into());
    }
    if account.is_data_empty() {
        tokens::require_associated(vault, &owner, &wanted.mint)?;
        let seeds: Seeds<'_> = [b"mint", &wanted.peer, &wanted.mint];
        create(program, authority, link, &seeds, 0, |bump| Link {
            tag: Link::TAG,
            bump,
            remote: wanted.remote,
        })?;
        let seeds: Seeds<'_> = [b"token", &wanted.peer, &wanted.remote];
        return create(program, authority, account, &seeds, 0, |bump| Token {
            bump,
            ..wanted
        });
    }
    let held = token(program, account, peer_account)?;
    let is_same = held.remote == wanted.remote
        && held.mode == wanted.mode
        && held.unit.get() == wanted.unit.get()
        && held.mint == wanted.mint
        && held.vault == wanted.vault;
    if !is_same {
        return Err(Error::InvalidConfig.into());
    }
    let (bump, used, used_at, balance) = (held.bump, held.used, held.used_at, held.balance);
    *change::<Token>(program, account)? = Token {
        bump,
        used,
        used_at,
        balance,
        ..wanted
    };
    Ok(())
}

/// The token of `account` on the routes of `peer`, open or not.
pub(crate) fn token(
    program: &Address,
    account: &AccountView,
    peer: &AccountView,
) -> Result<Token, ProgramError> {
    let token = *view::<Token>(program, account)?;
    at(peer, &token.peer)?;
    derived(
        program,
        account,
        &[b"token", &token.peer, &token.remote],
        token.bump,
    )?;
    Ok(token)
}

/// Data: authority 32 and guardian 32 from now on; 0 for nobody, for ever. Accounts: authority s, bridge w.
#[inline(never)]
pub(crate) fn set_authority(call: &mut Call<'_>) -> ProgramResult {
    let Call {
        program,
        data,
        accounts: [authority, bridge, ..],
    } = call
    else {
        return Err(Error::MissingAccount.into());
    };
    require_authority(program, bridge, authority)?;
    let (authority, guardian) = (*data.array()?, *data.array()?);
    data.end()?;
    let mut bridge = change::<Bridge>(program, bridge)?;
    bridge.authority = authority;
    bridge.guardian = guardian;
    Ok(())
}

pub(crate) fn require_guardian(bridge: &Bridge, guardian: &AccountView) -> ProgramResult {
    signer(guardian)?;
    if bridge.guardian == *guardian.address().as_array() {
        Ok(())
    } else {
        Err(Error::NotGuardian.into())
    }
}

/// Stops everything that moves tokens. No data. Accounts: guardian s, bridge w.
#[inline(never)]
pub(crate) fn pause(call: &mut Call<'_>) -> ProgramResult {
    let Call {
        program,
        data,
        accounts: [guardian, account, ..],
    } = call
    else {
        return Err(Error::MissingAccount.into());
    };
    data.end()?;
    let bridge = load_open(program, account)?;
    require_guardian(&bridge, guardian)?;
    turn(program, account, 1, bridge.pause_sequence.get())
}

/// Does what the operators voted. Data: epoch 4, paused 1, sequence 8, time 8. Accounts: bridge w, set, gathered w, who gets
/// its rent w.
#[inline(never)]
pub(crate) fn set_paused(call: &mut Call<'_>) -> ProgramResult {
    let Call {
        program,
        data,
        accounts: [account, set, gathered, refund, ..],
    } = call
    else {
        return Err(Error::MissingAccount.into());
    };
    let (epoch, paused, sequence, time) = (data.u32()?, data.flag()?, data.u64()?, data.u64()?);
    data.end()?;
    let bridge = load(program, account)?;
    let last = bridge.pause_sequence.get();
    if last.checked_add(1) != Some(sequence) {
        return Err(Error::WrongSequence.into());
    }
    let statement = hash::pause(own_end(program, &bridge), sequence, paused, time)?;
    let certificate = Certificate {
        program,
        epoch,
        set,
        gathered,
        refund,
    };
    certificate.check(&bridge, &statement)?;
    turn(program, account, paused, last)?;
    certificate.close()
}

fn turn(program: &Address, bridge: &mut AccountView, paused: u8, sequence: u64) -> ProgramResult {
    let mut bridge = change::<Bridge>(program, bridge)?;
    bridge.paused = paused;
    bridge.pause_sequence = U64::new(sequence.checked_add(1).ok_or(Error::Overflow)?);
    Ok(())
}
