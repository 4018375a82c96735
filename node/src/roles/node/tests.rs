use quorate_chain::{ChainConfig, ChainFamily, Finality, configure};
use quorate_proto::Address;
use quorate_protocols::membership::Policy;
use quorate_storage::EngineKind;
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::*;
use crate::settings::{ChainSettings, Limits, Reach, Retention, Role};

/// A provider that takes connections and says nothing.
async fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok(connection) = listener.accept().await {
            held.push(connection);
        }
    });
    url
}

fn settings(url: &str, chains: u64) -> Settings {
    let config = |chain_id| {
        let url = url.parse().unwrap();
        let family = configure(ChainFamily::Evm, &|_| None).unwrap();
        ChainConfig::new(chain_id, vec![url], Finality::Confirmations(0), family)
    };
    let chain = |number| ChainSettings {
        chain: config(100 + number),
        state_manager: Some(Address::repeat_byte(9)),
    };
    Settings {
        role: Role::Operator,
        data_dir: ".".into(),
        engine: EngineKind::RocksDb,
        listen: Vec::new(),
        external: Vec::new(),
        bootstrap: Vec::new(),
        reach: Reach::default(),
        policy: Policy::default(),
        http: None,
        http_hosts: Vec::new(),
        operator: None,
        home: HomeSettings {
            chain: config(1),
            registry: Address::repeat_byte(7),
            epoch_manager: Address::repeat_byte(8),
        },
        chains: (0..chains).map(chain).collect(),
        drain: Duration::ZERO,
        sections: Default::default(),
        retention: Retention::ALL,
        limits: Limits::default(),
    }
}

#[tokio::test]
async fn chains_whose_providers_hang_are_connected_side_by_side() {
    let settings = settings(&silent().await, 8);
    let (begun, halt) = (Instant::now(), CancellationToken::new());
    let connected = ChainReaders::connect(&settings, &HashSet::new(), &halt).await;
    assert_eq!(connected.unwrap().sources.len(), 8);
    // One after the other, nine chains take 2 s each at least.
    assert!(
        begun.elapsed() < Duration::from_secs(9),
        "{:?}",
        begun.elapsed()
    );
}
