use std::sync::Arc;
use std::time::Duration;
use quorate_chain::evm::{EvmConfig, Finality};
use quorate_node::client::{At, Client, StateQuestion};
use quorate_node::keys::LocalSigner;
use quorate_node::settings::{ChainSettings, HomeSettings, Role, Settings};
use quorate_node::{Node, Parts};
use quorate_proto::U256;
use quorate_testnet::{Deployment, DeploymentOptions, OperatorKeys};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_env_filter(std::env::var("RUST_LOG").unwrap_or("info".into())).init();
    let d = Deployment::start(&DeploymentOptions::default()).await?;
    let dir = tempfile::tempdir()?;
    let mut boot = Vec::new();
    let stop = CancellationToken::new();
    let mut nodes = Vec::new();
    let mut addrs = Vec::new();
    for n in 0..6usize {
        let registry = n == 5;
        let keys = OperatorKeys::of(n);
        let mut home = EvmConfig::new(31337, vec![d.home.url()?], Finality::Confirmations(1));
        home.poll_interval = Duration::from_millis(200);
        let mut src = EvmConfig::new(31338, vec![d.source.url()?], Finality::Confirmations(2));
        src.poll_interval = Duration::from_millis(200);
        let settings = Settings {
            role: if registry { Role::Registry } else { Role::Operator },
            data_dir: dir.path().join(n.to_string()),
            engine: "rocksdb".parse().map_err(|e| anyhow::anyhow!("{e}"))?,
            listen: vec!["/ip4/127.0.0.1/tcp/0".parse()?],
            external: vec![], bootstrap: boot.clone(), http: None,
            operator: (!registry).then(|| d.operators[n].0),
            home: HomeSettings { evm: home, registry: d.registry, epoch_manager: d.epoch_manager },
            chains: vec![ChainSettings { evm: src, state_manager: d.state_manager }],
            drain: Duration::from_secs(2),
        };
        std::fs::create_dir_all(&settings.data_dir)?;
        let node = Node::start(Parts { settings, peer_secret: keys.peer, signer: (!registry).then(|| Arc::new(LocalSigner::new(keys.signing.clone())) as _), metrics: None }).await?;
        node.ready().await;
        let a = node.listen_addresses();
        if boot.is_empty() { boot = a.clone(); }
        addrs.push(a[0].clone());
        nodes.push(tokio::spawn(node.run(stop.clone())));
    }
    let block = d.source.set_values(d.state_manager, d.user(), &[(U256::from(1), U256::from(100))]).await?;
    d.source.mine(10).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let client = Client::connect(&addrs[0], None).await?;
    let q = |b| StateQuestion { chain_id: 31338, user: d.user(), key: U256::from(1), at: At::Block(b) };
    for b in [block, block, block + 1, block + 2, block + 3, block + 4] {
        let t = std::time::Instant::now();
        let a = client.request_state(&q(b), |p| println!("  {:?} signed {}", t.elapsed(), p.signed)).await;
        println!("{b}: {:?} {:?}", t.elapsed(), a.map(|a| (a.stored, a.certificate.signatures().len())));
    }
    println!("{:?}", client.request_state(&q(block + 500), |_| {}).await);
    stop.cancel();
    for n in nodes { n.await??; }
    Ok(())
}
