use std::time::Duration;

use futures::StreamExt as _;
use libp2p::swarm::SwarmEvent;
use libp2p::{Swarm, SwarmBuilder, noise, tcp, yamux};

use super::*;

const PROTOCOL: StreamProtocol = StreamProtocol::new("/test/1");

/// A peer of its own that listens on a free port, and where.
async fn peer() -> (PeerId, StreamHandle, Multiaddr) {
    let (swarm, handle) = swarm();
    let peer = *swarm.local_peer_id();
    let address = run(swarm).await;
    (peer, handle, address.with_p2p(peer).unwrap())
}

fn swarm() -> (Swarm<Streams>, StreamHandle) {
    let swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(
            tcp::Config::default(),
            noise::Config::new,
            yamux::Config::default,
        )
        .unwrap()
        .with_behaviour(|_| Streams::default())
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
        .build();
    let handle = swarm.behaviour().handle();
    (swarm, handle)
}

async fn run(mut swarm: Swarm<Streams>) -> Multiaddr {
    let any = "/ip4/127.0.0.1/tcp/0".parse().unwrap();
    swarm.listen_on(any).unwrap();
    let address = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            break address;
        }
    };
    tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    address
}

/// A handle whose swarm has dialled there.
async fn caller_of(address: &Multiaddr) -> StreamHandle {
    let (mut swarm, handle) = swarm();
    swarm.dial(address.clone()).unwrap();
    run(swarm).await;
    handle
}

#[tokio::test]
async fn streams_opened_in_the_same_moment_all_arrive() {
    const BURST: usize = 200;
    let (peer, server, address) = peer().await;
    let mut incoming = server.accept(PROTOCOL);
    let caller = caller_of(&address).await;
    let opens = (0..BURST).map(|_| caller.open(peer, PROTOCOL));
    let opened = futures::future::join_all(opens).await;
    let streams: Vec<Stream> = opened.into_iter().map(Result::unwrap).collect();
    // They are negotiated here a moment before they are there.
    for _ in 0..streams.len() {
        let next = tokio::time::timeout(Duration::from_secs(10), incoming.recv());
        next.await.expect("the stream was dropped").unwrap();
    }
}

#[tokio::test]
async fn a_protocol_that_is_not_served_or_not_any_more_is_refused() {
    let (peer, server, address) = peer().await;
    let caller = caller_of(&address).await;
    let refused = || async { caller.open(peer, PROTOCOL).await.unwrap_err() };
    assert_eq!(refused().await, OpenError::NotServed(PROTOCOL));
    let incoming = server.accept(PROTOCOL);
    caller.open(peer, PROTOCOL).await.unwrap();
    drop(incoming);
    assert_eq!(refused().await, OpenError::NotServed(PROTOCOL));
}

#[tokio::test]
async fn a_peer_that_nobody_can_reach_is_told() {
    let (_, _, address) = peer().await;
    let caller = caller_of(&address).await;
    let opened = caller.open(PeerId::random(), PROTOCOL).await;
    assert!(
        matches!(opened, Err(OpenError::NotReached(_))),
        "{opened:?}"
    );
}

/// Without a swarm that runs, none of them is ever opened.
#[tokio::test]
async fn streams_that_are_being_opened_have_a_bound() {
    let (_swarm, handle) = swarm();
    let peer = PeerId::random();
    let mut waiting: Vec<_> = (0..=OPENING)
        .map(|_| Box::pin(handle.open(peer, PROTOCOL)))
        .collect();
    for open in &mut waiting {
        // As often as asked, not as often as the runtime lets one task.
        assert!(futures::poll!(tokio::task::unconstrained(open)).is_pending());
    }
    // As many as the channel holds are on their way; the rest wait, all but one with a place.
    assert_eq!(handle.opens.capacity(), 0);
    assert_eq!(handle.places.available_permits(), 0);
}
