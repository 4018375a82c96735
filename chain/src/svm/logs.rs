//! What a program itself has logged. Events have been forged through other programs, and paid out.

use alloy::primitives::{Bytes, U256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use quorate_proto::{Epoch, Route, Transfer};

use super::PublicKey;
use super::reader::Reader;

/// First bytes of the event: sha256("event:TransferSent").
const SENT: [u8; 8] = [0x01, 0xae, 0xc5, 0x20, 0x09, 0x91, 0xff, 0xd6];

/// One entry of a transaction's logs.
enum LogEntry<'a> {
    /// A program begins to run.
    Invoke(PublicKey),
    /// The program that runs ends.
    End,
    /// Bytes of the program that runs, as base64.
    Data(&'a str),
    /// What follows was left out.
    Cut,
    Other,
}

impl<'a> LogEntry<'a> {
    /// An entry is one, whatever line breaks it holds: what programs log as text begins with `Program log: `, and may
    /// go on like anything.
    fn read(text: &'a str) -> Self {
        if text == "Log truncated" {
            return Self::Cut;
        }
        let Some(text) = text.strip_prefix("Program ") else {
            return Self::Other;
        };
        if let Some(data) = text.strip_prefix("data: ") {
            return Self::Data(data);
        }
        let Some((Ok(program), what)) = text
            .split_once(' ')
            .map(|(program, what)| (program.parse(), what))
        else {
            return Self::Other;
        };
        let depth = what
            .strip_prefix("invoke [")
            .and_then(|what| what.strip_suffix(']'));
        match (depth.map(str::parse::<u32>), what) {
            (Some(Ok(_)), _) => Self::Invoke(program),
            (_, "success") => Self::End,
            _ if what.starts_with("failed: ") => Self::End,
            _ => Self::Other,
        }
    }
}

/// The bytes that `program` has logged itself, while it was the innermost that ran; `None` where the logs were cut.
pub(super) fn data_of(program: PublicKey, logs: &[String]) -> Option<Vec<Vec<u8>>> {
    let (mut running, mut found) = (Vec::new(), Vec::new());
    for entry in logs {
        match LogEntry::read(entry) {
            LogEntry::Invoke(invoked) => running.push(invoked),
            LogEntry::End => drop(running.pop()),
            LogEntry::Data(data) if running.last() == Some(&program) => {
                found.extend(STANDARD.decode(data));
            }
            LogEntry::Cut => return None,
            LogEntry::Data(_) | LogEntry::Other => {}
        }
    }
    Some(found)
}

/// The transfer of this route that an event tells of, with epoch 0; `None` for another event or route, or another
/// length than it says.
pub(super) fn sent(route: &Route, event: &[u8]) -> Option<Transfer> {
    let mut rest = Reader(event);
    let (name, id) = (rest.array::<8>()?, rest.key()?.0);
    let (nonce, sender) = (rest.u64()?, rest.key()?.0);
    let target = (rest.u64()?, rest.key()?.0);
    let (token, amount) = (rest.key()?.0, rest.array::<32>()?);
    let (deadline, receiver) = (rest.u64()?, receiver(&mut rest)?);
    let is_own =
        name == SENT && id == route.id() && target == (route.target_chain, route.target_contract);
    let transfer = Transfer {
        epoch: Epoch(0),
        route: *route,
        nonce,
        sender,
        receiver,
        token,
        amount: U256::from_be_bytes(amount),
        deadline,
    };
    (is_own && transfer.check().is_ok()).then_some(transfer)
}

/// Bytes behind their length, which are the last.
pub(super) fn receiver(rest: &mut Reader<'_>) -> Option<Bytes> {
    let length = rest.u8()?;
    let receiver = rest.take(length.into())?;
    rest.0.is_empty().then(|| Bytes::copy_from_slice(receiver))
}

#[cfg(test)]
mod tests;
