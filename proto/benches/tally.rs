//! What it costs to get from the responses of a quorum, as they come off the wire, to the knowledge
//! that they certify a statement: decode, check each against the set, add the weights up. One core.
//!
//! `cargo bench -p quorate-proto --bench tally`

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(clippy::arithmetic_side_effects, reason = "small numbers")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use alloy_primitives::keccak256;
use prost::Message as _;
use quorate_proto::{
    Address, Certificate, Domain, Epoch, Operator, OperatorSet, Outcome, ReadBasis, Response,
    SecretKey, SignerSignature, StateProof, Statement, U256, wire,
};

const ROUNDS: usize = 300;

/// A set of equal operators and what just enough of them answered.
struct Quorum {
    domain: Domain,
    set: OperatorSet,
    responses: Vec<Vec<u8>>,
    certificate: Vec<u8>,
}

/// One way of counting and what its rounds took, shortest first.
struct Way {
    name: &'static str,
    run: fn(&Quorum),
    times: Vec<Duration>,
}

fn main() {
    println!(
        "{:>9}  {:>7}  {:<32}  {:>9}  {:>9}  {:>9}  {:>8}  {:>7}",
        "operators", "signers", "tally", "best", "median", "per sign.", "target", "speedup"
    );
    for (operators, target) in [(19, "0.70 ms"), (100, "3.00 ms")] {
        let quorum = Quorum::new(operators);
        let ways = measure(&quorum);
        for (way, target) in ways.iter().zip(["", target, ""]) {
            quorum.print(way, &ways[0], target);
        }
    }
}

/// Runs all ways in turn, so that whatever else the machine does slows all of them down.
fn measure(quorum: &Quorum) -> [Way; 3] {
    let way = |(name, run)| Way {
        name,
        run,
        times: Vec::with_capacity(ROUNDS),
    };
    let mut ways = [
        (
            "responses, recover with k256",
            Quorum::tally_naive as fn(&Quorum),
        ),
        ("responses, Response::verify", Quorum::tally),
        (
            "certificate, Certificate::verify",
            Quorum::check_certificate,
        ),
    ]
    .map(way);
    for _ in 0..ROUNDS {
        for way in &mut ways {
            let start = Instant::now();
            (way.run)(quorum);
            way.times.push(start.elapsed());
        }
    }
    for way in &mut ways {
        way.times.sort_unstable();
    }
    ways
}

impl Way {
    fn median(&self) -> Duration {
        self.times[ROUNDS / 2]
    }
}

impl Quorum {
    fn new(operators: u8) -> Self {
        let domain = Domain::new(1, Address::repeat_byte(0x5f));
        let statement = Statement::StateProof(StateProof {
            user: Address::repeat_byte(0x12),
            chain_id: 1,
            block_number: 12_345,
            timestamp: 1_700_000_000,
            epoch: Epoch(1),
            key: U256::from(1),
            value: U256::from(100),
        });
        let secrets: Vec<_> = (1..=operators).map(secret).collect();
        let members = secrets.iter().map(member).collect();
        let total = U256::from(operators);
        let set = OperatorSet::new(Epoch(1), members, total, 0).expect("a set");
        let digest = statement.digest(&domain);
        let signers = secrets
            .iter()
            .take(set.threshold().to())
            .map(|secret| SignerSignature {
                operator: member(secret).address,
                signature: secret.sign(digest).expect("a signature"),
            });
        let signers: Vec<_> = signers.collect();
        let response = |signer: &SignerSignature| Response {
            operator: signer.operator,
            statement: statement.clone(),
            outcome: Outcome::Signed(signer.signature),
            basis: ReadBasis::Proof,
        };
        let encode = |signer| wire::Response::from(&response(signer)).encode_to_vec();
        let responses = signers.iter().map(encode).collect();
        let certificate = Certificate::new(statement, signers);
        Self {
            domain,
            set,
            responses,
            certificate: wire::Certificate::from(&certificate).encode_to_vec(),
        }
    }

    fn tally(&self) {
        let mut weight = U256::ZERO;
        for bytes in &self.responses {
            let response = decode(black_box(bytes));
            response
                .verify(&self.set, &self.domain)
                .expect("by a member");
            weight += self.set.weight_of(response.operator);
        }
        assert!(weight >= self.set.threshold());
    }

    /// The same with the recovery that most Rust code uses.
    fn tally_naive(&self) {
        let mut weight = U256::ZERO;
        for bytes in &self.responses {
            let response = decode(black_box(bytes));
            let Outcome::Signed(signature) = response.outcome else {
                panic!("a signature");
            };
            let digest = response.statement.digest(&self.domain);
            let member = self.set.get(response.operator).expect("a member");
            assert_eq!(
                recover_k256(signature.as_bytes(), digest.0),
                member.signing_key
            );
            weight += member.weight;
        }
        assert!(weight >= self.set.threshold());
    }

    fn check_certificate(&self) {
        let message = wire::Certificate::decode(black_box(self.certificate.as_slice()));
        let certificate =
            Certificate::try_from(&message.expect("a message")).expect("a certificate");
        certificate
            .verify(&self.set, &self.domain)
            .expect("certified");
    }

    fn print(&self, way: &Way, naive: &Way, target: &str) {
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let (best, median) = (micros(way.times[0]), micros(way.median()));
        let signers = self.responses.len();
        println!(
            "{:>9}  {signers:>7}  {:<32}  {:>6.3} ms  {:>6.3} ms  {:>6.1} us  {target:>8}  {:>6.1}x",
            self.set.members().len(),
            way.name,
            best / 1e3,
            median / 1e3,
            median / signers as f64,
            micros(naive.median()) / median,
        );
    }
}

fn secret(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32]).expect("a key")
}

fn member(secret: &SecretKey) -> Operator {
    Operator {
        address: Address::from_slice(&keccak256(secret.to_bytes())[..20]),
        signing_key: secret.address(),
        weight: U256::from(1),
    }
}

fn decode(bytes: &[u8]) -> Response {
    let message = wire::Response::decode(bytes).expect("a message");
    Response::try_from(&message).expect("a response")
}

fn recover_k256(bytes: &[u8; 65], digest: [u8; 32]) -> Address {
    let signature = k256::ecdsa::Signature::from_slice(&bytes[..64]).expect("a signature");
    let id = k256::ecdsa::RecoveryId::from_byte(bytes[64] - 27).expect("0 or 1");
    let key = k256::ecdsa::VerifyingKey::recover_from_prehash(&digest, &signature, id);
    let point = key.expect("a key").to_encoded_point(false);
    Address::from_slice(&keccak256(&point.as_bytes()[1..])[12..])
}
