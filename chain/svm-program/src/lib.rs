//! The bridge of a Quorate network on an SVM chain: what `docs/reference/svm.md` describes.
//!
//! Tokens that are sent are locked or burned here, and operators sign what was sent. What operators of the home chain have
//! signed about another chain is paid here, once. Signatures are those of every other chain: they are gathered over several
//! transactions in an account per digest, against an operator set that was installed in parts.
//!
//! Every account that the program keeps is at an address that follows from what it is about, so nobody can show another
//! one in its place. The data of an instruction begins with its number.
#![no_std]

mod account;
mod admin;
mod certificate;
mod error;
mod hash;
mod reader;
mod sets;
mod source;
mod state;
mod sys;
mod target;
mod tokens;

use pinocchio::{
    AccountView, Address, ProgramResult, no_allocator, nostd_panic_handler, program_entrypoint,
};

use crate::{error::Error, reader::Reader};

/// No instruction takes more accounts; what is beyond them is not looked at.
const MAX_ACCOUNTS: usize = 16;

program_entrypoint!(process, MAX_ACCOUNTS);
no_allocator!();
nostd_panic_handler!();

/// An instruction. Passed as a whole: a function of this machine takes five arguments at most.
pub(crate) struct Call<'a> {
    program: &'a Address,
    accounts: &'a mut [AccountView],
    data: Reader<'a>,
}

fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> ProgramResult {
    let call = &mut Call {
        program,
        accounts,
        data: Reader::new(data),
    };
    match call.data.u8()? {
        0 => admin::initialize(call),
        1 => admin::set_peer(call),
        2 => admin::set_token(call),
        3 => admin::set_authority(call),
        4 => admin::pause(call),
        5 => admin::set_paused(call),
        6 => sets::install(call),
        7 => sets::update(call),
        8 => sets::retire(call),
        9 => certificate::gather(call),
        10 => certificate::abandon(call),
        11 => source::send(call),
        12 => source::refund(call),
        13 => source::waive(call),
        14 => target::deliver(call),
        15 => target::release(call),
        16 => target::close(call),
        17 => sets::announce(call),
        18 => sets::anchor(call),
        19 => source::fund(call),
        _ => Err(Error::Malformed.into()),
    }
}
