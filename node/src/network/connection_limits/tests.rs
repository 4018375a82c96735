//! Who is let in, and who is not.

use super::*;

fn gate(connections: usize) -> ConnectionLimits {
    let limits = RangeLimits {
        connections,
        limited: Limited::Global,
    };
    ConnectionLimits::new(limits, HashSet::new())
}

fn id(number: usize) -> ConnectionId {
    ConnectionId::new_unchecked(number)
}

fn remote(last: &str) -> Multiaddr {
    format!("/ip4/{last}/tcp/1").parse().unwrap()
}

fn place(address: &Multiaddr) -> ConnectionSlot {
    ConnectionSlot::Range(Range::limited(address, Limited::All).unwrap())
}

fn listener(address: &Multiaddr) -> ConnectedPoint {
    ConnectedPoint::Listener {
        local_addr: remote("192.0.2.1"),
        send_back_addr: address.clone(),
    }
}

#[test]
fn a_range_has_its_connections_and_gets_them_back() {
    let mut gate = gate(3);
    let (one, other) = (remote("203.0.113.7"), remote("203.0.114.7"));
    let peer = PeerId::random();
    for number in 0..3 {
        gate.accept(id(number), &one).unwrap();
        gate.established(id(number), peer, &listener(&one));
    }
    let neighbour = remote("203.0.113.200");
    let range = place(&one);
    assert_eq!(
        gate.accept(id(3), &neighbour),
        Err(LimitReached::Range(range))
    );
    gate.accept(id(4), &other).unwrap();
    gate.remove(id(1));
    gate.accept(id(5), &neighbour).unwrap();
    for number in 0..6 {
        gate.remove(id(number));
    }
    assert!(gate.open.is_empty());
    let counts = [gate.stages.total(), gate.peers.total(), gate.places.total()];
    assert_eq!((counts, gate.pending.total()), ([0; 3], 0));
}

#[test]
fn who_is_on_this_machine_is_not_limited_by_range() {
    let mut gate = gate(1);
    for number in 0..MAX_PENDING - KEPT_PENDING {
        gate.accept(id(number), &remote("127.0.0.1")).unwrap();
    }
    let refused = gate.accept(id(1_000), &remote("127.0.0.1"));
    assert_eq!(refused, Err(LimitReached::Pending));
}

#[test]
fn a_range_that_comes_and_goes_is_slowed_down() {
    let mut gate = gate(64);
    let address = remote("203.0.113.7");
    let mut taken = 0;
    while gate.accept(id(taken), &address).is_ok() {
        gate.remove(id(taken));
        taken += 1;
        assert!(taken < 10_000);
    }
    // Some time passes in the loop, too.
    assert!(taken >= RANGE_RATE.burst as usize && taken < 2 * RANGE_RATE.burst as usize);
    let range = place(&address);
    let refused = gate.accept(id(taken), &address);
    assert_eq!(refused, Err(LimitReached::RangeRate(range)));
    gate.accept(id(taken), &remote("203.0.114.7")).unwrap();
}

#[test]
fn what_is_remembered_of_ranges_is_bounded() {
    let mut gate = gate(64);
    for number in 0..2 * MAX_RANGES {
        let [.., a, b] = number.to_be_bytes();
        let _ = gate.accept(id(number), &remote(&format!("203.{a}.{b}.1")));
        gate.remove(id(number));
    }
    assert!(gate.rates.len() <= MAX_RANGES);
}

#[test]
fn a_peer_has_few_connections() {
    let mut gate = gate(64);
    let (address, peer) = (remote("127.0.0.1"), PeerId::random());
    for number in 0..MAX_PER_PEER {
        gate.accept(id(number), &address).unwrap();
        gate.establish(Stage::Incoming, peer).unwrap();
        gate.established(id(number), peer, &listener(&address));
    }
    assert_eq!(
        gate.establish(Stage::Incoming, peer),
        Err(LimitReached::Peer)
    );
    assert_eq!(
        gate.establish(Stage::Outgoing, peer),
        Err(LimitReached::Peer)
    );
    let other = PeerId::random();
    assert_eq!(gate.establish(Stage::Incoming, other), Ok(()));
}

/// 22 of as many other ranges, each of which says something at once.
fn honest(gate: &mut ConnectionLimits, first: usize) -> usize {
    let mut dial =
        |number: &usize| gate.accept(id(first + number), &remote(&format!("198.51.{number}.7")));
    (0..22).filter(|number| dial(number).is_ok()).count()
}

#[test]
fn two_silent_ranges_shut_nobody_out() {
    let mut gate = gate(64);
    for number in 0..128 {
        let range = 113 + number % 2;
        let _ = gate.accept(id(number), &remote(&format!("203.0.{range}.{number}")));
    }
    assert_eq!(gate.stages.of(&Stage::Accepting), 2 * MAX_PENDING_PER_RANGE);
    let neighbour = remote("203.0.113.250");
    let full = LimitReached::RangePending(place(&neighbour));
    assert_eq!(gate.accept(id(900), &neighbour), Err(full));
    assert_eq!(honest(&mut gate, 1_000), 22);
    // Their connections end unfinished, and the ranges have their places again.
    for number in 0..128 {
        gate.remove(id(number));
    }
    assert_eq!(gate.accept(id(900), &neighbour), Ok(()));
}

#[test]
fn silent_connections_of_many_ranges_shut_nobody_out() {
    let mut gate = gate(64);
    let (count, over_ms) = (256_u64, 14_000);
    // Half of them would still be there after libp2p's own 10 s, and fill 128 places.
    let held = u64::try_from(HANDSHAKE.as_millis()).unwrap() * count / over_ms;
    for number in 0..count {
        let connection = |number: u64| id(usize::try_from(number).unwrap());
        if let Some(ended) = number.checked_sub(held) {
            gate.remove(connection(ended));
        }
        let silent = gate.accept(connection(number), &remote(&format!("203.0.{number}.7")));
        assert_eq!(silent, Ok(()), "{number}");
    }
    assert!(gate.stages.of(&Stage::Accepting) as u64 <= held);
    assert_eq!(honest(&mut gate, 1_000), 22);
}

#[test]
fn places_are_kept_for_operators_and_configured_peers() {
    let mut gate = gate(64);
    let (operator, neighbour) = (remote("203.0.113.7"), remote("203.0.113.8"));
    gate.know(ip_of(&operator));
    let mut next = 0;
    let mut accept = |gate: &mut ConnectionLimits, address: &Multiaddr| {
        next += 1;
        gate.accept(id(next), address)
    };
    for _ in 0..MAX_PENDING_PER_RANGE {
        accept(&mut gate, &neighbour).unwrap();
    }
    let full = LimitReached::RangePending(place(&neighbour));
    assert_eq!(accept(&mut gate, &neighbour), Err(full), "its own range");
    // As many ranges as it takes.
    for range in 0..MAX_PENDING {
        let _ = accept(
            &mut gate,
            &remote(&format!("198.{}.{}.1", range / 256, range % 256)),
        );
    }
    assert_eq!(
        accept(&mut gate, &remote("192.0.2.1")),
        Err(LimitReached::Pending)
    );
    for _ in 0..MAX_PENDING_PER_RANGE {
        accept(&mut gate, &operator).unwrap();
    }
    let full = LimitReached::RangePending(ConnectionSlot::Known(ip_of(&operator).unwrap()));
    assert_eq!(accept(&mut gate, &operator), Err(full));
    gate.know(None);
    assert_eq!(
        accept(&mut gate, &operator),
        Err(LimitReached::Pending),
        "no more"
    );
}

#[test]
fn the_addresses_of_operators_are_bounded() {
    let mut gate = gate(64);
    let address = |number: u32| IpAddr::from(number.to_be_bytes());
    gate.know((0..).map(address).take(2 * MAX_KNOWN));
    assert_eq!(gate.known.len(), MAX_KNOWN);
}

/// As the transport says it: nothing of the peer's own address.
fn by_relay() -> Multiaddr {
    format!(
        "/ip4/198.51.100.1/tcp/1/p2p/{}/p2p-circuit",
        PeerId::random()
    )
    .parse()
    .unwrap()
}

#[test]
fn who_comes_through_relays_shares_a_place_of_its_own() {
    let mut gate = gate(3);
    gate.know(ip_of(&remote("198.51.100.1")));
    let pending = |gate: &mut ConnectionLimits, number, local: &Multiaddr| {
        let caller = Multiaddr::empty().with_p2p(PeerId::random()).unwrap();
        gate.handle_pending_inbound_connection(id(number), local, &caller)
    };
    // Through any relay, and also where that is one of the known peers.
    for number in 0..3 {
        assert!(pending(&mut gate, number, &by_relay()).is_ok());
    }
    assert!(pending(&mut gate, 3, &by_relay()).is_err());
    // The relay itself, and others beside it, are as welcome as before.
    gate.accept(id(4), &remote("198.51.100.1")).unwrap();
    gate.accept(id(5), &remote("198.51.100.2")).unwrap();
}

#[test]
fn only_allowed_peers_are_connected_in_both_directions() {
    let (friend, stranger) = (PeerId::random(), PeerId::random());
    let closed = ConnectionLimits::new(gate(64).limits, HashSet::from([friend]));
    for stage in [Stage::Incoming, Stage::Outgoing] {
        assert_eq!(closed.establish(stage, friend), Ok(()));
        assert_eq!(
            closed.establish(stage, stranger),
            Err(LimitReached::NotAllowed)
        );
        assert_eq!(gate(64).establish(stage, stranger), Ok(()));
    }
    let dial = |peer| closed.dial(peer, &[], Endpoint::Dialer);
    assert_eq!(dial(Some(friend)), Ok(()));
    assert_eq!(dial(Some(stranger)), Err(LimitReached::NotAllowed));
    // Who answers there is known later.
    assert_eq!(dial(None), Ok(()));
}

#[test]
fn a_hole_is_punched_to_the_internet_only() {
    let (gate, peer) = (gate(64), Some(PeerId::random()));
    let punch = |addresses: &[Multiaddr]| gate.dial(peer, addresses, Endpoint::Listener);
    let (far, near) = (remote("203.0.113.7"), remote("192.168.1.1"));
    assert_eq!(punch(&vec![far.clone(); MAX_NAMED]), Ok(()));
    let name: Multiaddr = "/dns4/router.local/tcp/1".parse().unwrap();
    for bad in [&near, &name] {
        assert_eq!(punch(&[far.clone(), bad.clone()]), Err(LimitReached::Local));
        let usual = gate.dial(peer, std::slice::from_ref(bad), Endpoint::Dialer);
        assert_eq!(usual, Ok(()));
    }
    assert_eq!(punch(&vec![far; MAX_NAMED + 1]), Err(LimitReached::Local));
}

/// Over real sockets: who says nothing is cut off long before libp2p would do it.
#[tokio::test]
async fn who_says_nothing_is_cut_off() {
    use futures::StreamExt as _;
    use libp2p::swarm::SwarmEvent;
    use tokio::io::AsyncReadExt as _;

    let config = crate::network::NetworkConfig {
        keypair: libp2p::identity::Keypair::generate_ed25519(),
        network: quorate_proto::Domain::new(1, quorate_proto::Address::ZERO).network(),
        listen: Vec::new(),
        external: Vec::new(),
        bootstrap: Vec::new(),
        serves_as_relay: true,
        reach: crate::settings::Reach::default(),
        live: crate::settings::fixed(crate::settings::Reloadable::default()),
    };
    let mut swarm = super::super::behaviour::node_swarm(&config).unwrap();
    swarm
        .listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap())
        .unwrap();
    let port = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            break address.iter().find_map(|part| match part {
                libp2p::multiaddr::Protocol::Tcp(port) => Some(port),
                _ => None,
            });
        }
    };
    let mut silent = tokio::net::TcpStream::connect(("127.0.0.1", port.unwrap()))
        .await
        .unwrap();
    let began = tokio::time::Instant::now();
    let ended = async {
        let mut bytes = [0; 64];
        while matches!(silent.read(&mut bytes).await, Ok(read) if read > 0) {}
    };
    tokio::select! {
        () = ended => {}
        () = async { loop { swarm.select_next_some().await; } } => {}
    }
    let held = began.elapsed();
    assert!(held < HANDSHAKE + Duration::from_secs(3), "{held:?}");
}
