//! A local SVM chain (`testnet/svm/server.mjs`, needs Node.js) on which blocks come when they are asked for, and a bridge
//! that is set up on it as anybody would.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use alloy::primitives::{Address, keccak256};
use ed25519_dalek::{Signer, SigningKey};
use quorate_chain::rpc::{BatchClient, Call, ErrorClass, RpcUrl, http_client};
use quorate_chain::svm::instruction::{
    Access, AccountUse, Instruction, SYSTEM, TOKEN, associated, create_associated, encode,
};
use quorate_chain::svm::{
    BridgeProgram, Initialization, PublicKey, SvmClient, SvmSettings, SvmSubmitter, TokenMode,
    TokenSettings,
};
use quorate_chain::{
    BridgeAction, BridgeOrder, BridgeSender, BridgeStep, ChainClient, ChainConfig, ContractCall,
    Finality, Inclusion, SignedTransaction, Submitter, TransactionDraft, UnsignedTransaction,
};
use quorate_proto::{
    B256, Certificate, Domain, Epoch, Operator, OperatorSet, Route, SecretKey, SignerSignature,
    Statement, Transfer, U256,
};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

type Failed = Box<dyn std::error::Error + Send + Sync>;

const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testnet/svm/server.mjs");
const PROGRAM: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/artifacts/svm/bridge.so"
));
const CHAIN: u64 = 91_024;
const PEER: (u64, B256) = (421_614, B256::repeat_byte(0xab));
const REMOTE: B256 = B256::repeat_byte(0xcd);
const DAY: u64 = 86_400;

/// A running chain with three providers. Ends when dropped.
pub(crate) struct SvmNode {
    process: Child,
    providers: Vec<RpcUrl>,
    genesis: PublicKey,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    providers: Vec<ToldProvider>,
    genesis_hash: PublicKey,
}

#[derive(Deserialize)]
struct ToldProvider {
    http: String,
}

impl Drop for SvmNode {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl SvmNode {
    fn start() -> Result<Self, Failed> {
        let mut process = Command::new("node")
            .args([
                SERVER,
                "--slot-ms",
                "0",
                "--providers",
                "3",
                "--until-stdin-ends",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("`node` does not start ({error}); install Node.js 22"))?;
        let stdout = process.stdout.take().ok_or("no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let told: Told = serde_json::from_str(&line)
            .map_err(|_| "the local chain does not start; run `npm ci` in testnet/svm")?;
        let providers = told.providers.iter().map(|provider| provider.http.parse());
        Ok(Self {
            process,
            providers: providers.collect::<Result<_, _>>()?,
            genesis: told.genesis_hash,
        })
    }

    /// Asks one of the providers.
    pub(crate) async fn ask(
        &self,
        provider: usize,
        method: &'static str,
        params: Value,
    ) -> Result<Value, Failed> {
        let url = self.providers[provider].clone();
        let rpc = BatchClient::new(http_client()?, url, Arc::default(), |_| ErrorClass::Answer);
        let params = params.to_string();
        let answer = rpc.call(Call { method, params }).await?;
        Ok(serde_json::from_str(answer.get())?)
    }

    pub(crate) async fn advance(&self, slots: u64) -> Result<(), Failed> {
        self.ask(0, "admin_advance", json!([{"slots": slots}]))
            .await?;
        Ok(())
    }
}

/// A bridge with a route, a token and operators.
pub(crate) struct SvmWorld {
    pub(crate) node: SvmNode,
    pub(crate) submitter: SvmSubmitter,
    pub(crate) bridge: BridgeProgram,
    pub(crate) set: OperatorSet,
    pub(crate) mint: PublicKey,
    domain: Domain,
    admin: SigningKey,
}

pub(crate) fn key_of(secret: &SigningKey) -> PublicKey {
    PublicKey(secret.verifying_key().to_bytes().into())
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("after 1970").as_secs()
}

fn secret(index: usize) -> SecretKey {
    SecretKey::from_bytes(&keccak256(index.to_be_bytes()).0).expect("a key")
}

/// So many operators of the same weight.
pub(crate) fn set(epoch: u32, count: usize) -> OperatorSet {
    let member = |index: usize| Operator {
        address: Address::left_padding_from(&(index + 1).to_be_bytes()),
        signing_key: secret(index).address(),
        weight: U256::from(10),
    };
    let total = U256::from(10 * count);
    let members = (0..count).map(member).collect();
    OperatorSet::new(Epoch(epoch), members, total, now() - 100).expect("a set")
}

fn uses(program: PublicKey, accounts: &[(PublicKey, Access)], data: Vec<u8>) -> Instruction {
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

/// Makes a mint at an address that follows from its maker's, and gives the maker tokens.
fn make_mint(maker: PublicKey) -> (PublicKey, Vec<Instruction>) {
    const SEED: &[u8] = b"mint";
    const RENT: u64 = 10_000_000;
    const SIZE: u64 = 82;
    let mut hash = Sha256::new();
    hash.update(maker.0);
    hash.update(SEED);
    hash.update(TOKEN.0);
    let mint = PublicKey(B256::from(<[u8; 32]>::from(hash.finalize())));
    let create = [
        &3_u32.to_le_bytes()[..],
        maker.0.as_slice(),
        &(SEED.len() as u64).to_le_bytes(),
        SEED,
        &RENT.to_le_bytes(),
        &SIZE.to_le_bytes(),
        TOKEN.0.as_slice(),
    ];
    let owned = associated(maker, mint);
    let instructions = vec![
        uses(
            SYSTEM,
            &[(maker, Access::Signs), (mint, Access::Writes)],
            create.concat(),
        ),
        uses(
            TOKEN,
            &[(mint, Access::Writes)],
            [&[20, 6][..], maker.0.as_slice(), &[0]].concat(),
        ),
        create_associated(maker, maker, mint),
        uses(
            TOKEN,
            &[
                (mint, Access::Writes),
                (owned, Access::Writes),
                (maker, Access::Signs),
            ],
            [&[7][..], &3_000_000_u64.to_le_bytes()].concat(),
        ),
    ];
    (mint, instructions)
}

impl SvmWorld {
    pub(crate) async fn start(operators: usize) -> Result<Self, Failed> {
        let node = SvmNode::start()?;
        let settings = SvmSettings {
            genesis: Some(node.genesis),
        };
        let config = ChainConfig::new(
            CHAIN,
            node.providers.clone(),
            Finality::Finalized,
            Arc::new(settings),
        );
        let client = SvmClient::over(&config, settings)?;
        client.connect().await;
        let admin = SigningKey::from_bytes(&[1; 32]);
        let (maker, program) = (key_of(&admin), PublicKey(B256::repeat_byte(0xd1)));
        let (mint, make) = make_mint(maker);
        let world = Self {
            node,
            submitter: SvmSubmitter::new(client),
            bridge: BridgeProgram(program),
            set: set(7, operators),
            mint,
            domain: Domain::new(1, Address::repeat_byte(9)),
            admin,
        };
        world.fund(maker).await?;
        let load = json!([{
            "address": program.to_string(), "program": base64(PROGRAM), "authority": maker.to_string(),
        }]);
        world.node.ask(0, "admin_load", load).await?;
        world.run(&make).await?;
        world.set_up(maker).await?;
        Ok(world)
    }

    async fn set_up(&self, admin: PublicKey) -> Result<(), Failed> {
        let (bridge, peer) = (self.bridge, self.peer());
        let initialization = Initialization {
            domain: self.domain.separator(),
            chain: CHAIN,
            authority: admin,
            guardian: admin,
            lifetime: 20 * DAY,
            limit_delay: 3_600,
            anchor_delay: 2 * DAY,
            set: &self.set,
        };
        let token = TokenSettings {
            remote: REMOTE,
            mint: self.mint,
            is_open: true,
            mode: TokenMode::Lock,
            unit: 10,
            transfer_limit: 100_000,
            window_limit: 150_000,
        };
        self.run(&[bridge.initialize(admin, &initialization)])
            .await?;
        for (_, part) in bridge.install(admin, &self.set) {
            self.run(&[part]).await?;
        }
        let set_up = [
            bridge.set_peer(admin, PEER, true),
            create_associated(admin, bridge.address(), self.mint),
            bridge.set_token(admin, peer, &token),
        ];
        self.run(&set_up).await?;
        let names = (REMOTE, self.mint);
        self.run(&[bridge.fund(admin, peer, names, 1_000_000)])
            .await
    }

    pub(crate) fn peer(&self) -> PublicKey {
        self.bridge.peer(PEER.0, PEER.1)
    }

    pub(crate) fn admin(&self) -> PublicKey {
        key_of(&self.admin)
    }

    pub(crate) async fn fund(&self, wallet: PublicKey) -> Result<(), Failed> {
        let params = json!([wallet.to_string(), 100_000_000_000_u64]);
        self.node.ask(0, "requestAirdrop", params).await?;
        self.node.advance(2).await
    }

    /// Has the admin carry out these instructions in one transaction.
    pub(crate) async fn run(&self, instructions: &[Instruction]) -> Result<(), Failed> {
        let call = ContractCall {
            name: "set up",
            from: Some(self.admin().0),
            contract: self.bridge.0.0,
            data: encode(instructions).into(),
            value: U256::ZERO,
        };
        let done = self.send(&self.admin, &call).await?;
        match done.succeeded {
            true => Ok(()),
            false => Err("the transaction failed".into()),
        }
    }

    /// Signs a call as its sender, with the gas that it takes.
    pub(crate) async fn signed(
        &self,
        by: &SigningKey,
        call: &ContractCall,
    ) -> Result<(SignedTransaction, UnsignedTransaction), Failed> {
        let submitter = &self.submitter;
        let draft = TransactionDraft {
            sender: key_of(by).0,
            nonce: 0,
            contract: call.contract,
            gas: submitter.estimate(call).await? * 11 / 10,
            data: call.data.clone(),
            value: U256::ZERO,
            max_fee: submitter.fees().await?.tips[1],
            tip: 0,
        };
        let unsigned = submitter.prepare(&draft).await?;
        let signature = by.sign(&unsigned.payload).to_bytes();
        let signed = submitter.complete(&draft, &unsigned, &signature)?;
        Ok((signed, unsigned))
    }

    /// Sends a call until it is confirmed.
    pub(crate) async fn send(
        &self,
        by: &SigningKey,
        call: &ContractCall,
    ) -> Result<Inclusion, Failed> {
        let (signed, _) = self.signed(by, call).await?;
        let sent = self.submitter.broadcast(&signed).await;
        if !sent.is_accepted() {
            return Err(sent.hints.join("; ").into());
        }
        self.node.advance(2).await?;
        let found = self.submitter.receipt(&signed.id).await?;
        found.ok_or_else(|| "it is not in the chain".into())
    }

    pub(crate) fn transfer(&self, nonce: u64, receiver: PublicKey) -> Transfer {
        Transfer {
            epoch: self.set.epoch(),
            route: Route {
                source_chain: PEER.0,
                source_contract: PEER.1,
                target_chain: CHAIN,
                target_contract: self.bridge.0.0,
            },
            nonce,
            sender: B256::repeat_byte(0x11),
            receiver: receiver.0.into(),
            token: REMOTE,
            amount: U256::from(5_000),
            deadline: now() + DAY,
        }
    }

    /// Signed by as many of `set` as it takes.
    pub(crate) fn certify(&self, statement: Statement, set: &OperatorSet) -> Certificate {
        let digest = statement.digest(&self.domain);
        let count = 2 * set.members().len() / 3 + 1;
        let signature = |index: usize| SignerSignature {
            operator: set.members()[index].address,
            signature: secret(index).sign(digest).expect("a signature"),
        };
        Certificate::new(statement, (0..count).map(signature).collect())
    }

    pub(crate) async fn steps(
        &self,
        action: BridgeAction<'_>,
        (certificate, signers): (&Certificate, &OperatorSet),
        payer: PublicKey,
    ) -> Result<Vec<BridgeStep>, Failed> {
        let order = BridgeOrder {
            action,
            contract: self.bridge.0.0,
            certificate,
            digest: certificate.statement().digest(&self.domain),
            signers,
            follows_update: false,
            payer: payer.0,
        };
        Ok(self.submitter.steps(order).await?)
    }

    /// The steps that pay a transfer, by a set that certifies it.
    pub(crate) async fn payment(
        &self,
        transfer: &Transfer,
        signers: &OperatorSet,
        payer: PublicKey,
    ) -> Result<Vec<BridgeStep>, Failed> {
        let certificate = self.certify(Statement::Transfer(transfer.clone()), signers);
        let action = BridgeAction::Pay(transfer);
        self.steps(action, (&certificate, signers), payer).await
    }

    /// What a record says.
    pub(crate) async fn word(&self, record: &ContractCall) -> Result<U256, Failed> {
        Ok(U256::from_be_slice(&self.submitter.call(record).await?))
    }

    /// What a wallet holds of the token.
    pub(crate) async fn balance(&self, wallet: PublicKey) -> Result<Value, Failed> {
        let address = associated(wallet, self.mint).to_string();
        let params = json!([address, {"commitment": "confirmed"}]);
        let told = self.node.ask(0, "getTokenAccountBalance", params).await?;
        Ok(told["value"]["amount"].clone())
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
