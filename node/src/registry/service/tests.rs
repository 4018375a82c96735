//! Joins over real streams: two swarms, and a home chain that is a list.

use std::time::Duration;

use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use quorate_proto::{
    B256, JoinProof, JoinRequest, OperatorStatus, PeerSecret, Presence, SecretKey, U256,
};
use quorate_protocols::membership::Input;
use quorate_storage::{EngineKind, Identity, WriteQueue, WriterGuard};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::fixtures::ListedHome;
use crate::gossip::known_peers::KnownPeers;
use crate::home::{Home, HomeParts};
use crate::network::rpc::{Caller, RegistryClient};
use crate::network::{Network, NetworkConfig};
use crate::registry::members::Members;
use crate::settings::{Reloadable, fixed};

fn domain() -> Domain {
    Domain::new(31_337, Address::repeat_byte(7))
}

fn operator(number: u8) -> Address {
    Address::repeat_byte(number)
}

fn signing(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32]).unwrap()
}

fn member(number: u8) -> Operator {
    Operator {
        address: operator(number),
        signing_key: signing(number).address(),
        weight: U256::from(10),
    }
}

/// Operators 1 and 2. Operator 3 has left.
fn chain() -> Arc<ListedHome> {
    let events = [(1, 1, true), (2, 2, true), (3, 3, true), (3, 20, false)];
    Arc::new(ListedHome::new(50, vec![member(1), member(2)], &events))
}

/// A registry and a peer that calls it.
struct Scene {
    client: RegistryClient<tonic::transport::Channel>,
    members: MembersHandle,
    peer: PeerSecret,
    halt: CancellationToken,
    _kept: (tempfile::TempDir, tempfile::TempDir, [WriterGuard; 2]),
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.halt.cancel();
    }
}

fn store(folder: &tempfile::TempDir) -> Store {
    let identity = Identity {
        network: domain().network().to_string(),
    };
    Store::open(folder.path(), EngineKind::Sled, &identity).unwrap()
}

fn swarm(
    secret: u8,
    (writes, bindings): (WriteQueue, Bindings),
    bootstrap: Vec<libp2p::Multiaddr>,
    halt: &CancellationToken,
) -> NetworkHandle {
    let config = NetworkConfig {
        keypair: Keypair::ed25519_from_bytes([secret; 32]).unwrap(),
        network: domain().network(),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        external: Vec::new(),
        bootstrap,
        serves_as_relay: false,
        reach: crate::settings::Reach::default(),
        live: fixed(Reloadable::default()),
    };
    let (network, handle, messages) = Network::new(config, writes, bindings).unwrap();
    let halt = halt.clone();
    tokio::spawn(async move {
        let _messages = messages;
        network.run(halt).await
    });
    handle
}

/// The swarm of the peer that calls, and what ends its writes.
fn calling(
    folder: &tempfile::TempDir,
    registry: libp2p::Multiaddr,
    halt: &CancellationToken,
) -> (NetworkHandle, WriterGuard) {
    let kept = store(folder);
    let (writes, writer) = WriteQueue::new(kept).unwrap();
    let kept_by = (writes.clone(), Bindings::new(writes));
    (swarm(201, kept_by, vec![registry], halt), writer)
}

/// Returns when the connection to `peer` stands.
async fn connected(network: &NetworkHandle, peer: libp2p::PeerId) {
    let stands = async {
        while !network.peers().await.iter().any(|info| info.peer == peer) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let stood = tokio::time::timeout(Duration::from_secs(15), stands).await;
    stood.expect("the peers connect");
}

impl Scene {
    async fn start() -> Self {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let halt = CancellationToken::new();
        let kept = store(&here);
        let (writes, writer) = WriteQueue::new(kept.clone()).unwrap();
        let (task, members) =
            Members::open(&kept, writes.clone(), fixed(Reloadable::default())).unwrap();
        tokio::spawn(task.run(halt.clone()));
        let (ended, _) = mpsc::channel(1);
        let home_parts = HomeParts {
            store: kept.clone(),
            writes: writes.clone(),
            members: Some(members.clone()),
        };
        let poll = Duration::from_secs(60);
        let (task, home) = Home::new(chain(), poll, home_parts, ended);
        tokio::spawn(task.run(halt.clone()));
        let bindings = Bindings::new(writes.clone());
        let kept_by = (writes.clone(), bindings.clone());
        let network = swarm(200, kept_by, Vec::new(), &halt);
        let services = Services::new(ServiceParts {
            domain: domain(),
            home: home.clone(),
            reader: chain(),
            members: Some(members.clone()),
            bindings: bindings.clone(),
            network: network.clone(),
            store: kept,
        });
        let protocol = rpc::protocol(&domain().network()).unwrap();
        let routes = services.routes();
        tokio::spawn(rpc::serve(
            network.clone(),
            protocol.clone(),
            routes,
            KnownPeers::new(bindings, home.clone(), Vec::new()),
            halt.clone(),
        ));
        let known = home
            .watch()
            .wait_for(|view| view.current.is_some())
            .await
            .is_ok();
        assert!(known);
        let mut listen = network.listen.clone();
        let address = listen.wait_for(|all| !all.is_empty()).await.unwrap()[0].clone();
        let Some(Protocol::P2p(registry)) = address.iter().last() else {
            panic!("no peer id");
        };
        let (own, other_writer) = calling(&there, address, &halt);
        connected(&own, registry).await;
        let client = Caller::new(own, protocol).registry(registry);
        Self {
            client,
            members,
            peer: PeerSecret::from_bytes(&[201; 32]),
            halt,
            _kept: (here, there, [writer, other_writer]),
        }
    }

    async fn challenge(&mut self, number: u8) -> Result<B256, RegistryErrorCode> {
        let request = wire::ChallengeRequest {
            network: domain().network().to_string(),
            operator: operator(number).to_vec(),
        };
        match self.client.get_join_challenge(request).await {
            Ok(reply) => Ok(B256::from_slice(&reply.into_inner().challenge)),
            Err(status) => Err(rpc::explain(&status).expect("a typed error").code()),
        }
    }

    /// A good join of an operator.
    fn request(&self, number: u8, challenge: B256, sequence: u64) -> JoinRequest {
        self.signed(number, challenge, sequence, &signing(number))
    }

    fn signed(&self, number: u8, challenge: B256, sequence: u64, key: &SecretKey) -> JoinRequest {
        let (operator, peer_key) = (operator(number), self.peer.public());
        let digest = PeerBinding::digest(&domain(), operator, peer_key, sequence);
        let proof = JoinProof::sign(&domain(), operator, peer_key, challenge, key);
        JoinRequest {
            proof: proof.unwrap(),
            binding: PeerBinding {
                operator,
                peer_key,
                sequence,
                signature: key.sign(digest).unwrap(),
            },
            addresses: vec!["/ip4/127.0.0.1/tcp/9".into()],
        }
    }

    async fn join(&mut self, request: &JoinRequest) -> Result<wire::JoinReply, RegistryErrorCode> {
        let joined = self
            .client
            .join_network(wire::JoinRequest::from(request))
            .await;
        let code = |status| rpc::explain(&status).expect("a typed error").code();
        joined.map(tonic::Response::into_inner).map_err(code)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_with_the_keys_of_the_home_chain_makes_an_operator_active() {
    let mut scene = Scene::start().await;
    for number in [1, 2] {
        let challenge = scene.challenge(number).await.unwrap();
        let request = scene.request(number, challenge, 1);
        let reply = scene.join(&request).await.unwrap();
        let state = reply.operator.unwrap();
        assert_eq!(state.status(), wire::OperatorStatus::Active);
        let binding = PeerBinding::try_from(&state.binding.unwrap()).unwrap();
        assert_eq!(binding, request.binding);
        let member = scene.members.member(operator(number)).await.unwrap();
        assert_eq!(member.status, OperatorStatus::Active);
    }
    // What happened from the beginning, then what happens now.
    let subscribe = wire::SubscribeRequest {
        network: domain().network().to_string(),
        after: 0,
    };
    let updates = scene
        .client
        .subscribe_state_updates(subscribe)
        .await
        .unwrap();
    let mut updates = updates.into_inner();
    let newest = *scene.members.newest().borrow();
    for sequence in 1..=newest {
        assert_eq!(updates.message().await.unwrap().unwrap().sequence, sequence);
    }
    let challenge = scene.challenge(2).await.unwrap();
    let request = scene.request(2, challenge, 5);
    scene.join(&request).await.unwrap();
    let update = updates.message().await.unwrap().unwrap();
    assert_eq!(update.sequence, newest + 1);
    let binding = update.operator.unwrap().binding.unwrap();
    assert_eq!(binding.sequence, 5);
    let gone = wire::SubscribeRequest {
        network: domain().network().to_string(),
        after: newest + 100,
    };
    let refused = scene
        .client
        .subscribe_state_updates(gone)
        .await
        .unwrap_err();
    let code = rpc::explain(&refused).map(|error| error.code());
    assert_eq!(code, Some(RegistryErrorCode::Gone));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_presence_is_kept_where_the_operators_key_made_it() {
    let mut scene = Scene::start().await;
    let made = |by: u8, operator: Address, sequence: u64| {
        let instance = B256::repeat_byte(by);
        let digest = Presence::digest(&domain(), operator, instance, sequence);
        Presence {
            operator,
            instance,
            sequence,
            signature: signing(by).sign(digest).unwrap(),
        }
    };
    let one = operator(1);
    let good = made(1, one, 10);
    let newer = made(1, one, 11);
    let nobody = operator(9);
    for (asks, shown, known) in [
        (one, None, None),
        (one, Some(made(2, one, 12)), None),
        (one, Some(made(2, operator(2), 12)), None),
        (one, Some(made(1, one, 1 << 62)), None),
        (one, Some(good), Some(good)),
        (one, None, Some(good)),
        (one, Some(made(1, one, 9)), Some(good)),
        (one, Some(newer), Some(newer)),
        (operator(2), None, None),
        (nobody, Some(made(9, nobody, 1)), None),
    ] {
        let request = wire::HealthRequest {
            operator: asks.to_vec(),
            presence: shown.as_ref().map(Into::into),
        };
        let reply = scene.client.health_check(request).await.unwrap();
        let told = reply.into_inner().presence;
        assert_eq!(told, known.as_ref().map(Into::into), "{shown:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_join_has_its_own_error() {
    use RegistryErrorCode as Code;
    let mut scene = Scene::start().await;
    assert_eq!(scene.challenge(9).await, Err(Code::UnknownOperator));
    assert_eq!(scene.challenge(3).await, Err(Code::WrongStatus));
    let challenge = scene.challenge(1).await.unwrap();
    let good = scene.request(1, challenge, 1);
    scene.join(&good).await.unwrap();
    assert_eq!(scene.join(&good).await, Err(Code::StaleChallenge));

    let challenge = scene.challenge(1).await.unwrap();
    let thief = scene.signed(1, challenge, 2, &signing(2));
    assert_eq!(scene.join(&thief).await, Err(Code::WrongKey));
    let challenge = scene.challenge(1).await.unwrap();
    let stranger = scene.signed(1, challenge, 2, &signing(9));
    assert_eq!(scene.join(&stranger).await, Err(Code::WrongKey));
    let member = scene.members.member(operator(1)).await.unwrap();
    assert_eq!(member.binding.unwrap().sequence, 1);

    // Five failures: even a good one has to wait.
    let refused = scene.challenge(1).await;
    assert_eq!(refused, Err(Code::TooManyFailures));
}

/// Who once held another key of the operator cannot keep it out.
#[tokio::test(flavor = "multi_thread")]
async fn a_join_is_not_held_up_by_a_binding_of_an_old_key() {
    use RegistryErrorCode as Code;
    let mut scene = Scene::start().await;
    let joined = |sequence| Input::Joined {
        operator: operator(1),
        peer_key: [9; 32],
        sequence,
        counts: false,
    };
    let old = clock::now().millis() + 60_000;
    scene.members.tell(joined(old)).await.unwrap().unwrap();
    let challenge = scene.challenge(1).await.unwrap();
    let request = scene.request(1, challenge, 5);
    scene.join(&request).await.unwrap();
    let member = scene.members.member(operator(1)).await.unwrap();
    assert_eq!(member.binding.unwrap().sequence, 5);

    let challenge = scene.challenge(1).await.unwrap();
    let future = scene.request(1, challenge, 1 << 62);
    assert_eq!(scene.join(&future).await, Err(Code::Invalid));
    let challenge = scene.challenge(1).await.unwrap();
    let next = scene.request(1, challenge, 6);
    scene.join(&next).await.unwrap();
    let asks = wire::HealthRequest {
        operator: operator(1).to_vec(),
        ..wire::HealthRequest::default()
    };
    let health = scene.client.health_check(asks).await.unwrap();
    assert_eq!(health.into_inner().bound, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_speaks_for_the_peer_that_brings_it_only() {
    use RegistryErrorCode as Code;
    let mut scene = Scene::start().await;
    let challenge = scene.challenge(2).await.unwrap();
    let own = std::mem::replace(&mut scene.peer, PeerSecret::from_bytes(&[202; 32]));
    let stolen = scene.request(2, challenge, 1);
    assert_eq!(scene.join(&stolen).await, Err(Code::Invalid));
    scene.peer = own;
    let challenge = scene.challenge(2).await.unwrap();
    let old = scene.request(2, challenge, 7);
    scene.join(&old).await.unwrap();
    let challenge = scene.challenge(2).await.unwrap();
    let older = scene.request(2, challenge, 6);
    assert_eq!(scene.join(&older).await, Err(Code::StaleJoin));
    let elsewhere = wire::ChallengeRequest {
        network: "1-00".into(),
        operator: operator(2).to_vec(),
    };
    let refused = scene
        .client
        .get_join_challenge(elsewhere)
        .await
        .unwrap_err();
    let code = rpc::explain(&refused).map(|error| error.code());
    assert_eq!(code, Some(Code::WrongNetwork));
}
