//! Runs a node until it is told to stop.

mod reload;

use std::sync::Arc;

use anyhow::Context as _;
use quorate_node::keys::{KeyKind, KeyStore, LocalSigner, NewKey, Password, Secret, Signer};
use quorate_node::settings::{Role, Settings};
use quorate_node::{LogClaim, Node, NodeParts, collect_metrics};
use quorate_proto::SecretKey;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use self::reload::Reload;
use crate::config::{key_store, text};
use crate::environment::variable;
use crate::options::{RunArgs, RunOptions, deployed};
use crate::{environment, exit, logging, password};

pub(crate) fn run(args: &RunArgs) -> anyhow::Result<()> {
    let options = args.resolve()?;
    let settings = options.to_settings()?;
    let log = logging::start(text(&options.log), text(&options.log_format))?;
    if let Err(error) = quorate_node::host::raise_open_files_limit() {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    for line in deployed::told(options.role, &variable) {
        tracing::info!("{line}");
    }
    let mut keys = Keys::open(&options, &settings)?;
    keys.claim.accept_risk = args.accept_double_signing_risk;
    let metrics = collect_metrics()
        .map_err(anyhow::Error::msg)
        .context("cannot collect figures")?;
    let parts = NodeParts {
        settings,
        peer_secret: *keys.peer.bytes(),
        signer: keys.signer,
        svm_secret: keys.svm.as_ref().map(|secret| *secret.bytes()),
        claim: keys.claim,
        metrics: Some(metrics),
    };
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(serve(parts, || Reload::new(args.clone(), options, log)))
}

async fn serve(
    parts: NodeParts,
    reload: impl FnOnce() -> anyhow::Result<Reload>,
) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    // Before the start, so that a signal during it ends the process in good order too.
    tokio::spawn(watch_signals(stop.clone())?);
    let reload = reload()?;
    let (role, version) = (parts.settings.role, env!("CARGO_PKG_VERSION"));
    tracing::info!(%role, version, operator = parts.settings.operator.map(tracing::field::display), "starting");
    let Some(started) = stop.run_until_cancelled(Node::start(parts)).await else {
        return Ok(());
    };
    let node = started?;
    tokio::spawn(reload.run(node.reloader()));
    node.run(stop).await?;
    tracing::info!("stopped");
    Ok(())
}

/// The first signal asks the node to finish, the second ends the process at once.
fn watch_signals(stop: CancellationToken) -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for signals")?;
    Ok(async move {
        for again in [false, true] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if again {
                tracing::warn!("second signal: stopping at once");
                std::process::exit(exit::ABORTED.into());
            }
            tracing::info!("stopping; a second signal stops at once");
            stop.cancel();
        }
    })
}

/// The keys of a node, opened.
struct Keys {
    peer: Secret,
    signer: Option<Arc<dyn Signer>>,
    svm: Option<Secret>,
    claim: LogClaim,
}

impl Keys {
    fn open(options: &RunOptions, settings: &Settings) -> anyhow::Result<Self> {
        let mut source = KeyOpener {
            options,
            store: key_store(options)?,
            password: None,
        };
        let peer = source.secret(KeyKind::Peer, text(&options.peer_key))?;
        let mut claim = LogClaim::default();
        let signer = match settings.role {
            Role::Registry => None,
            Role::Operator | Role::Relayer => {
                let secret = source.secret(KeyKind::Signing, text(&options.signing_key))?;
                let key = SecretKey::from_bytes(secret.bytes()).context("the signing key")?;
                // A key from the environment has no file, and no note beside it.
                let file = source
                    .store
                    .locate(KeyKind::Signing, text(&options.signing_key));
                claim.new_key = file
                    .ok()
                    .and_then(|file| NewKey::look(&file, key.address()));
                Some(Arc::new(LocalSigner::new(key)) as Arc<dyn Signer>)
            }
        };
        let svm = options
            .pays_on_svm()
            .then(|| source.secret(KeyKind::Ed25519, text(&options.svm_key)))
            .transpose()?;
        Ok(Self {
            peer,
            signer,
            svm,
            claim,
        })
    }
}

/// Opens keys, and asks for their password only once and only where a file needs it.
struct KeyOpener<'a> {
    options: &'a RunOptions,
    store: KeyStore,
    password: Option<Password>,
}

impl KeyOpener<'_> {
    fn secret(&mut self, kind: KeyKind, which: &str) -> anyhow::Result<Secret> {
        if let Some((name, text)) = environment::secret(kind, self.options.role) {
            let text = zeroize::Zeroizing::new(text);
            return Secret::parse(kind, &text)
                .with_context(|| format!("the environment variable {name}"));
        }
        // Before the password is asked for.
        self.store.locate(kind, which)?;
        let password = match self.password.take() {
            Some(password) => password,
            None => password::obtain(
                self.options.password_file.as_deref(),
                "Password of the keys",
                false,
            )?,
        };
        let secret = self.store.load(kind, which, &password);
        self.password = Some(password);
        Ok(secret?)
    }
}
