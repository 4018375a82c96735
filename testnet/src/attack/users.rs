//! Users that ask for as much as they can, and connections that say nothing.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use quorate_proto::{Address, U256, wire};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::{AttackPlan, PATIENCE, at_rate};
use crate::test_peer::{RequestWriter, TestPeer};

/// Where they call from: another range of addresses than honest users.
const ADDRESS: [u8; 4] = [127, 9, 0, 1];
/// Request streams of each user.
const STREAMS: usize = 4;

/// What there is to be asked about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QuestionRange {
    /// Chain.
    pub chain_id: u32,
    /// Has a value for each key below `keys`.
    pub user: Address,
    /// How many keys.
    pub keys: u64,
    /// Unix seconds of the first and the last block.
    pub times: (u64, u64),
}

impl QuestionRange {
    /// Every other question is for a key that is absent, at some block; the others are for times.
    fn question(&self, number: u64) -> wire::Request {
        use wire::state_request::At;
        let (first, last) = self.times;
        let (key, at) = match number.is_multiple_of(2) {
            true => {
                // All over the time there is, so that headers which were read do not help.
                let span = (last - first).max(1);
                let time = first + number.wrapping_mul(7_919) % span;
                (number % self.keys, At::Timestamp(time))
            }
            false => (1_000_000 + number, At::BlockNumber(100 + number % 2_000)),
        };
        let state = wire::StateRequest {
            chain_id: self.chain_id,
            user: self.user.to_vec(),
            key: U256::from(key).to_be_bytes_vec(),
            at: Some(at),
        };
        wire::Request {
            id: number,
            kind: Some(wire::request::Kind::State(state)),
        }
    }
}

/// Asks each node as fast as the plan says, whatever is answered.
pub(super) async fn ask(plan: &AttackPlan) -> Result<()> {
    let Some(quarry) = &plan.quarry else {
        return std::future::pending().await;
    };
    let numbers = AtomicU64::new(1);
    let asking = plan
        .nodes
        .iter()
        .map(|node| ask_at(plan, node, quarry, &numbers));
    futures::future::try_join_all(asking).await?;
    Ok(())
}

async fn ask_at(
    plan: &AttackPlan,
    node: &Multiaddr,
    quarry: &QuestionRange,
    numbers: &AtomicU64,
) -> Result<()> {
    let node = &from_elsewhere(node).await?;
    let streams = tokio::sync::Mutex::new(Vec::new());
    let stranger = tokio::sync::Mutex::new(None);
    at_rate(plan.questions, || async {
        let mut streams = streams.lock().await;
        let mut stranger = stranger.lock().await;
        if streams.len() < STREAMS {
            streams.extend(open(plan, node, &mut stranger).await);
        }
        let Some(mut stream) = (!streams.is_empty()).then(|| streams.remove(0)) else {
            return Ok(());
        };
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        let question = quarry.question(number);
        let asked = stream.ask(&question);
        // A node that does not read makes this user wait.
        if let Ok(Ok(())) = tokio::time::timeout(PATIENCE, asked).await {
            streams.push(stream);
        }
        Ok(())
    })
    .await
}

/// One more stream, whose replies are read and forgotten.
async fn open(
    plan: &AttackPlan,
    node: &Multiaddr,
    stranger: &mut Option<TestPeer>,
) -> Option<RequestWriter> {
    let is_connected = stranger
        .as_ref()
        .is_some_and(|stranger| stranger.is_connected_to(node).unwrap_or(false));
    if !is_connected {
        let network = plan.domain().network();
        let new = TestPeer::deaf(&network, super::secret("user").ok()?).ok()?;
        let met = tokio::time::timeout(PATIENCE, new.meet_at(node)).await;
        met.ok()?.ok()?;
        *stranger = Some(new);
    }
    let opened = stranger.as_ref()?.stream_to(node);
    let stream = tokio::time::timeout(PATIENCE, opened).await.ok()?.ok()?;
    Some(stream.forgetting_replies())
}

/// Holds connections to a node on which nothing is said; those that are cut are made again.
pub(super) async fn be_silent(plan: &AttackPlan, node: &Multiaddr) -> Result<()> {
    let target = socket_address(node).context("a node without IP address")?;
    let silent = (0..plan.silent).map(|_| async move {
        loop {
            if let Ok(mut stream) = connect(target).await {
                // Ends when the node has had enough.
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    futures::future::join_all::<_>(silent)
        .await
        .into_iter()
        .collect()
}

/// Another address of the same node: who dials it is seen to call from [`ADDRESS`].
async fn from_elsewhere(node: &Multiaddr) -> Result<Multiaddr> {
    let target = socket_address(node).context("a node without IP address")?;
    let door = TcpListener::bind("127.0.0.1:0").await?;
    let port = door.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((mut caller, _)) = door.accept().await {
            tokio::spawn(async move {
                if let Ok(mut called) = connect(target).await {
                    let _ = tokio::io::copy_bidirectional(&mut caller, &mut called).await;
                }
            });
        }
    });
    let other = |part| match part {
        Protocol::Tcp(_) => Protocol::Tcp(port),
        part => part,
    };
    Ok(node.iter().map(other).collect())
}

async fn connect(target: SocketAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((ADDRESS, 0)))?;
    Ok(tokio::time::timeout(PATIENCE, socket.connect(target)).await??)
}

fn socket_address(node: &Multiaddr) -> Option<SocketAddr> {
    let ip = node.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(ip),
        _ => None,
    });
    let port = node.iter().find_map(|part| match part {
        Protocol::Tcp(port) => Some(port),
        _ => None,
    });
    Some(SocketAddr::from((ip?, port?)))
}
