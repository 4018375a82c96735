//! The bridge program: where its accounts are, and its instructions (docs/reference/svm.md). Numbers are big endian.

use alloy::primitives::{B256, U256};
use quorate_proto::{BridgePause, Epoch, Operator, OperatorSet, Transfer};

use super::PublicKey;
use super::instruction::{
    Access, Instruction, LOADER, SYSTEM, TOKEN, associated, create_associated, derived, instruction,
};
use crate::ChainError;

/// Members of a part of a set: 2 to this power.
const PART_HEIGHT: usize = 4;
/// Members of a part.
pub(super) const PART: usize = 1 << PART_HEIGHT;
/// Nonces of a page.
const PAGE: u64 = 1_024;
/// Bytes of a weight here; a set's own have fewer bits.
const WEIGHT: usize = 12;

/// A bridge: the program with this id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BridgeProgram(pub PublicKey);

/// What a bridge is told first.
#[derive(Clone, Copy, Debug)]
pub struct Initialization<'a> {
    /// EIP-712 domain separator of the registry on the home chain.
    pub domain: B256,
    /// Id of this chain.
    pub chain: u64,
    /// Who opens routes and tokens; zero for nobody.
    pub authority: PublicKey,
    /// Who may pause; zero for nobody.
    pub guardian: PublicKey,
    /// Seconds for which a set certifies.
    pub lifetime: u64,
    /// Seconds that a transfer above the limit waits.
    pub limit_delay: u64,
    /// Seconds between the announcement of an anchor and its use.
    pub anchor_delay: u64,
    /// The first set.
    pub set: &'a OperatorSet,
}

/// What becomes of the tokens that are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenMode {
    /// They are locked here, and released.
    Lock = 1,
    /// They are burned here, and minted.
    Mint = 2,
}

/// A token of a peer here.
#[derive(Clone, Copy, Debug)]
pub struct TokenSettings {
    /// The token on the other chain.
    pub remote: B256,
    /// The token here.
    pub mint: PublicKey,
    /// Whether transfers of it are paid.
    pub is_open: bool,
    /// What becomes of it.
    pub mode: TokenMode,
    /// Local units of one that is signed.
    pub unit: u64,
    /// Local units that are paid at once.
    pub transfer_limit: u64,
    /// Local units of a day.
    pub window_limit: u64,
}

/// What somebody sends from here. Amounts are in local units.
#[derive(Clone, Copy, Debug)]
pub struct Sending<'a> {
    /// One under which the sender has nothing on record.
    pub number: u64,
    /// How much.
    pub amount: u64,
    /// From this Unix second on it may be given back.
    pub deadline: u64,
    /// As the other chain writes it.
    pub receiver: &'a [u8],
}

/// Who pays with what was gathered for which digest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proof {
    pub(super) payer: PublicKey,
    pub(super) epoch: Epoch,
    pub(super) digest: B256,
}

fn uses<const N: usize>(access: Access, keys: [PublicKey; N]) -> [(PublicKey, Access); N] {
    keys.map(|key| (key, access))
}

impl BridgeProgram {
    fn derive(self, seeds: &[&[u8]]) -> PublicKey {
        derived(seeds, self.0)
    }

    /// The account of the bridge itself, which holds its tokens.
    #[must_use]
    pub fn address(self) -> PublicKey {
        self.derive(&[b"bridge"])
    }

    /// The bridge on another chain.
    #[must_use]
    pub fn peer(self, chain: u64, contract: B256) -> PublicKey {
        self.derive(&[b"peer", &chain.to_be_bytes(), contract.as_slice()])
    }

    /// What a token of a peer is here.
    #[must_use]
    pub fn token(self, peer: PublicKey, remote: B256) -> PublicKey {
        self.derive(&[b"token", peer.0.as_slice(), remote.as_slice()])
    }

    /// That a mint is one token of a peer.
    #[must_use]
    pub fn link(self, peer: PublicKey, mint: PublicKey) -> PublicKey {
        self.derive(&[b"mint", peer.0.as_slice(), mint.0.as_slice()])
    }

    /// The operators of an epoch.
    #[must_use]
    pub fn set(self, epoch: Epoch) -> PublicKey {
        self.derive(&[b"set", &epoch.0.to_be_bytes()])
    }

    /// Who signed a digest in an epoch.
    #[must_use]
    pub fn gathered(self, epoch: Epoch, digest: B256) -> PublicKey {
        self.derive(&[b"gather", &epoch.0.to_be_bytes(), digest.as_slice()])
    }

    /// Which nonces from a peer are taken, of the page with this one.
    #[must_use]
    pub fn nonces(self, peer: PublicKey, nonce: u64) -> PublicKey {
        self.derive(&[b"nonces", peer.0.as_slice(), &(nonce / PAGE).to_be_bytes()])
    }

    /// What became of a nonce that was taken without a payment.
    #[must_use]
    pub fn record(self, peer: PublicKey, nonce: u64) -> PublicKey {
        self.derive(&[b"record", peer.0.as_slice(), &nonce.to_be_bytes()])
    }

    /// What a sender sent under this number.
    #[must_use]
    pub fn sent(self, sender: PublicKey, number: u64) -> PublicKey {
        self.derive(&[b"sent", sender.0.as_slice(), &number.to_be_bytes()])
    }

    fn instruction(self, accounts: &[(PublicKey, Access)], data: &[&[u8]]) -> Instruction {
        instruction(self.0, accounts, data.concat())
    }

    /// Instruction 0: begins. For the program's upgrade authority.
    #[must_use]
    pub fn initialize(self, payer: PublicKey, settings: &Initialization<'_>) -> Instruction {
        let loaded = derived(&[self.0.0.as_slice()], LOADER);
        let accounts = [
            (payer, Access::Signs),
            (loaded, Access::Reads),
            (self.address(), Access::Writes),
            (self.set(settings.set.epoch()), Access::Writes),
            (SYSTEM, Access::Reads),
        ];
        let data = [
            &[0][..],
            settings.domain.as_slice(),
            &settings.chain.to_be_bytes(),
            settings.authority.0.as_slice(),
            settings.guardian.0.as_slice(),
            &settings.lifetime.to_be_bytes(),
            &settings.limit_delay.to_be_bytes(),
            &settings.anchor_delay.to_be_bytes(),
            &outline(settings.set, settings.set.fixed_at()),
        ];
        self.instruction(&accounts, &data)
    }

    /// Instruction 1: opens or closes the routes to and from a bridge on another chain.
    #[must_use]
    pub fn set_peer(
        self,
        authority: PublicKey,
        (chain, contract): (u64, B256),
        is_open: bool,
    ) -> Instruction {
        let accounts = [
            (authority, Access::Signs),
            (self.address(), Access::Reads),
            (self.peer(chain, contract), Access::Writes),
            (SYSTEM, Access::Reads),
        ];
        let open = [u8::from(is_open)];
        let data = [&[1][..], &chain.to_be_bytes(), contract.as_slice(), &open];
        self.instruction(&accounts, &data)
    }

    /// Instruction 2: says what a token of a peer is here. The vault must be there: [`create_associated`] for
    /// [`Self::address`] makes it.
    #[must_use]
    pub fn set_token(
        self,
        authority: PublicKey,
        peer: PublicKey,
        token: &TokenSettings,
    ) -> Instruction {
        let vault = associated(self.address(), token.mint);
        let accounts = [
            (authority, Access::Signs),
            (self.address(), Access::Reads),
            (peer, Access::Reads),
            (self.token(peer, token.remote), Access::Writes),
            (self.link(peer, token.mint), Access::Writes),
            (token.mint, Access::Reads),
            (vault, Access::Reads),
            (SYSTEM, Access::Reads),
        ];
        let data = [
            &[2][..],
            token.remote.as_slice(),
            &[u8::from(token.is_open), token.mode as u8],
            &token.unit.to_be_bytes(),
            &token.transfer_limit.to_be_bytes(),
            &token.window_limit.to_be_bytes(),
        ];
        self.instruction(&accounts, &data)
    }

    /// Instruction 4: stops the bridge.
    #[must_use]
    pub fn pause(self, guardian: PublicKey) -> Instruction {
        let accounts = [(guardian, Access::Signs), (self.address(), Access::Writes)];
        self.instruction(&accounts, &[&[4]])
    }

    /// Instruction 5: stops the bridge, or lets it go on.
    pub(super) fn set_paused(self, proof: &Proof, vote: &BridgePause) -> Instruction {
        let [set, gathered, rent] = self.certificate(proof);
        let accounts = [(self.address(), Access::Writes), set, gathered, rent];
        let data = [
            &[5][..],
            &proof.epoch.0.to_be_bytes(),
            &[u8::from(vote.paused)],
            &vote.sequence.to_be_bytes(),
            &vote.time.to_be_bytes(),
        ];
        self.instruction(&accounts, &data)
    }

    /// Instruction 6 for every part of a set: installs it. By anybody.
    pub fn install(
        self,
        payer: PublicKey,
        set: &OperatorSet,
    ) -> impl Iterator<Item = (u8, Instruction)> {
        let accounts = [
            (payer, Access::Signs),
            (self.set(set.epoch()), Access::Writes),
            (SYSTEM, Access::Reads),
        ];
        let parts = (0..).zip(set.members().chunks(PART));
        parts.map(move |(index, members): (u8, &[Operator])| {
            let mut data = vec![6, index];
            for member in members {
                data.extend(member.address);
                data.extend(member.signing_key);
                let weight = member.weight.to_be_bytes::<32>();
                data.extend(weight.iter().skip(weight.len() - WEIGHT));
            }
            let beside = set.nodes_beside(PART_HEIGHT, index.into());
            data.extend(beside.iter().flatten());
            (index, instruction(self.0, &accounts, data))
        })
    }

    /// Instruction 7: makes the next set known, which was fixed at this Unix second.
    pub(super) fn update(self, proof: &Proof, (next, time): (&OperatorSet, u64)) -> Instruction {
        let [set, gathered, rent] = self.certificate(proof);
        let accounts = [
            (proof.payer, Access::Signs),
            (self.address(), Access::Writes),
            set,
            gathered,
            rent,
            (self.set(next.epoch()), Access::Writes),
            (SYSTEM, Access::Reads),
        ];
        let data = [&[7][..], &proof.epoch.0.to_be_bytes(), &outline(next, time)];
        self.instruction(&accounts, &data)
    }

    /// Instruction 9: adds signatures, each with the number of its member.
    pub(super) fn gather(self, proof: &Proof, signatures: &[(u16, [u8; 64])]) -> Instruction {
        let accounts = [
            (proof.payer, Access::Signs),
            (self.set(proof.epoch), Access::Reads),
            (self.gathered(proof.epoch, proof.digest), Access::Writes),
            (SYSTEM, Access::Reads),
        ];
        let mut data = [&[9][..], proof.digest.as_slice()].concat();
        for (member, signature) in signatures {
            data.extend(member.to_be_bytes());
            data.extend(signature);
        }
        instruction(self.0, &accounts, data)
    }

    fn certificate(self, proof: &Proof) -> [(PublicKey, Access); 3] {
        let gathered = self.gathered(proof.epoch, proof.digest);
        [
            (self.set(proof.epoch), Access::Reads),
            (gathered, Access::Writes),
            (gathered, Access::RentOf),
        ]
    }

    fn tokens(
        self,
        peer: PublicKey,
        (remote, mint): (B256, PublicKey),
        other: PublicKey,
    ) -> [(PublicKey, Access); 4] {
        let vault = associated(self.address(), mint);
        uses(
            Access::Writes,
            [self.token(peer, remote), mint, vault, other],
        )
    }

    /// Instruction 11: sends a token, by its name there and here, to a peer.
    #[must_use]
    pub fn send(
        self,
        sender: PublicKey,
        peer: PublicKey,
        (remote, mint): (B256, PublicKey),
        sending: &Sending<'_>,
    ) -> Instruction {
        let mut accounts = vec![
            (sender, Access::Signs),
            (self.address(), Access::Reads),
            (peer, Access::Writes),
        ];
        accounts.extend(self.tokens(peer, (remote, mint), associated(sender, mint)));
        accounts.push((self.sent(sender, sending.number), Access::Writes));
        accounts.extend(uses(Access::Reads, [TOKEN, SYSTEM]));
        let data = [
            &[11][..],
            &sending.number.to_be_bytes(),
            &sending.amount.to_be_bytes(),
            &sending.deadline.to_be_bytes(),
            &length(sending.receiver),
            sending.receiver,
        ];
        self.instruction(&accounts, &data)
    }

    /// Makes the receiver's account where there is none, then instruction 14: pays.
    ///
    /// # Errors
    /// [`ChainError::Impossible`] for a transfer that no program pays.
    pub(super) fn deliver(
        self,
        proof: &Proof,
        transfer: &Transfer,
        mint: PublicKey,
    ) -> Result<[Instruction; 2], ChainError> {
        let wallet = wallet_of(transfer)?;
        let peer = self.peer(transfer.route.source_chain, transfer.route.source_contract);
        let mut accounts = vec![
            (proof.payer, Access::Signs),
            (self.address(), Access::Reads),
        ];
        accounts.extend(self.certificate(proof));
        accounts.push((peer, Access::Reads));
        accounts.push((self.nonces(peer, transfer.nonce), Access::Writes));
        let to = associated(wallet, mint);
        accounts.extend(self.tokens(peer, (transfer.token, mint), to));
        accounts.push((self.record(peer, transfer.nonce), Access::Writes));
        accounts.extend(uses(Access::Reads, [TOKEN, SYSTEM]));
        let data = [
            &[14][..],
            &proof.epoch.0.to_be_bytes(),
            &transfer.nonce.to_be_bytes(),
            transfer.sender.as_slice(),
            transfer.token.as_slice(),
            &transfer.amount.to_be_bytes::<32>(),
            &transfer.deadline.to_be_bytes(),
            &length(&transfer.receiver),
            &transfer.receiver,
        ];
        Ok([
            create_associated(proof.payer, wallet, mint),
            self.instruction(&accounts, &data),
        ])
    }

    /// Instruction 19: gives a route more to pay out, in local units of a token by its name there and here.
    #[must_use]
    pub fn fund(
        self,
        owner: PublicKey,
        peer: PublicKey,
        (remote, mint): (B256, PublicKey),
        amount: u64,
    ) -> Instruction {
        let mut accounts = vec![
            (owner, Access::Signs),
            (self.address(), Access::Reads),
            (peer, Access::Reads),
        ];
        accounts.extend(self.tokens(peer, (remote, mint), associated(owner, mint)));
        accounts.push((TOKEN, Access::Reads));
        self.instruction(&accounts, &[&[19], &amount.to_be_bytes()])
    }
}

/// Receivers have 64 bytes at most.
fn length(receiver: &[u8]) -> [u8; 1] {
    [u8::try_from(receiver.len()).unwrap_or(u8::MAX)]
}

/// Epoch 4, time 8, members 4, total 16, root 32: what the hash of a set covers, beside epoch and time.
fn outline(set: &OperatorSet, time: u64) -> Vec<u8> {
    let members = u32::try_from(set.members().len()).unwrap_or(u32::MAX);
    [
        &set.epoch().0.to_be_bytes()[..],
        &time.to_be_bytes(),
        &members.to_be_bytes(),
        &set.total_weight().saturating_to::<u128>().to_be_bytes(),
        set.root().as_slice(),
    ]
    .concat()
}

/// Whom a transfer pays, where a program can.
fn wallet_of(transfer: &Transfer) -> Result<PublicKey, ChainError> {
    let refuse = |problem: String| {
        let detail = format!(
            "transfer {} of route {} is never paid: {problem}; its sender gets it back after its deadline",
            transfer.nonce,
            transfer.route.id()
        );
        Err(ChainError::Impossible { detail })
    };
    let Ok(wallet) = B256::try_from(transfer.receiver.as_ref()) else {
        let length = transfer.receiver.len();
        return refuse(format!(
            "its receiver has {length} bytes, a wallet of an SVM chain 32"
        ));
    };
    match transfer.amount > U256::from(u64::MAX) {
        true => refuse("its amount does not fit the 64 bits that tokens have".to_owned()),
        false => Ok(PublicKey(wallet)),
    }
}

#[cfg(test)]
mod tests;
