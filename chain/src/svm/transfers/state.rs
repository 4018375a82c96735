//! What a bridge's program remembers, by the word of a quorum.

use quorate_proto::Route;

use super::SvmTransfers;
use crate::rpc::ProviderError;
use crate::svm::PublicKey;
use crate::svm::provider::SvmProvider;
use crate::svm::reader::Reader;
use crate::{BlockRef, ChainError, PauseState, QueryKind, ReadLog};

/// Bytes of the bridge's account, up to the sequence of pauses and with that.
const BRIDGE_HEAD: usize = 131;
const BRIDGE_TAG: u8 = 1;
const PAUSED_AT: usize = 2;
const SEQUENCE_AT: usize = 123;

/// Bytes of the record of a nonce, up to its time and with that.
const RECORD_HEAD: usize = 11;
const RECORD_TAG: u8 = 7;
const CLOSED: u8 = 2;

impl SvmTransfers {
    /// When the program at the end of a route closed a transfer. What is closed stays so: it does not matter that
    /// providers show the state of a slot after `at`.
    pub(super) async fn closing(
        &self,
        route: Route,
        nonce: u64,
        at: BlockRef,
    ) -> Result<Option<u64>, ChainError> {
        let program = PublicKey(route.target_contract);
        let (chain, nonce) = (route.source_chain.to_be_bytes(), nonce.to_be_bytes());
        let peer = derived(
            &[b"peer", &chain, route.source_contract.as_slice()],
            program,
        )?;
        let record = derived(&[b"record", peer.0.as_slice(), &nonce], program)?;
        let data = self.state((program, record), RECORD_HEAD, at).await?;
        let Some(data) = data else {
            return Ok(None);
        };
        let mut fields = Reader(&data);
        let head = fields.array::<3>();
        match (head, fields.u64()) {
            (Some([RECORD_TAG, _, CLOSED]), Some(time)) => Ok(Some(time)),
            (Some([RECORD_TAG, ..]), Some(_)) => Ok(None),
            _ => Err(malformed(record)),
        }
    }

    /// Whether a program is stopped, in the state of `at` or of a slot after it.
    pub(super) async fn pause(
        &self,
        program: PublicKey,
        at: BlockRef,
    ) -> Result<PauseState, ChainError> {
        let bridge = derived(&[b"bridge"], program)?;
        let data = self.state((program, bridge), BRIDGE_HEAD, at).await?;
        let data = data.ok_or_else(|| ChainError::Settings {
            detail: format!(
                "no bridge lives at program {program}; correct the contract of the route"
            ),
        })?;
        let sequence = data.get(SEQUENCE_AT..);
        let sequence = sequence.and_then(|rest| Reader(rest).u64());
        match (data.first(), data.get(PAUSED_AT), sequence) {
            (Some(&BRIDGE_TAG), Some(paused), Some(sequence)) => Ok(PauseState {
                sequence,
                paused: *paused != 0,
            }),
            _ => Err(malformed(bridge)),
        }
    }

    /// The first bytes of an account of a program in the state of `at` or of a slot after it, on which enough
    /// providers agree; `None` where there is none.
    async fn state(
        &self,
        (program, address): (PublicKey, PublicKey),
        length: usize,
        at: BlockRef,
    ) -> Result<Option<Vec<u8>>, ChainError> {
        self.client().reach(at.number).await?;
        let log = ReadLog::default();
        let question = |_, provider| owned(provider, (program, address), length, at.number);
        // They may differ while it changes.
        let pool = self.client().pool();
        let agreed = pool.ask_noting(&log, QueryKind::Value, question, |_, _| false);
        Ok(agreed.await?)
    }
}

/// As [`SvmTransfers::state`], as one provider says.
async fn owned(
    provider: &SvmProvider,
    (program, address): (PublicKey, PublicKey),
    length: usize,
    min_slot: u64,
) -> Result<Option<Vec<u8>>, ProviderError> {
    match provider.account(address, length, min_slot).await?.held {
        Some((owner, _)) if owner != program => Err(ProviderError::malformed(
            "an account of the bridge that is another program's",
        )),
        held => Ok(held.map(|(_, data)| data)),
    }
}

fn derived(seeds: &[&[u8]], program: PublicKey) -> Result<PublicKey, ChainError> {
    let found = PublicKey::derive(seeds, program).map(|(address, _)| address);
    found.ok_or_else(|| ChainError::Settings {
        detail: format!("program {program} has no account for these seeds; correct the route"),
    })
}

fn malformed(address: PublicKey) -> ChainError {
    ChainError::Malformed {
        what: "the state of a bridge's program",
        detail: format!("account {address} holds something else; is it another program?"),
    }
}
