//! A node's data folder, whether the node runs or not.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use quorate_node::settings::Role;
use quorate_node::token_file;
use quorate_proto::{Address, Domain};
use quorate_storage::{Identity, Store, StoreError};

use crate::config::file_options;
use crate::http::NodeArgs;
use crate::options::{RunOptions, expand_home};

/// Whose data, and how they are shown.
#[derive(Args, Debug)]
pub(crate) struct DataArgs {
    /// Configuration file of the node, from which the settings below are taken where they are not
    /// given
    #[arg(long, value_name = "FILE", env = "QUORATE_CONFIG")]
    config: Option<PathBuf>,

    /// Folder of the node's data; data_dir in the file [default: ~/.quorate/<role>]
    #[arg(long, value_name = "DIR", env = "QUORATE_DATA_DIR")]
    data_dir: Option<PathBuf>,

    /// HTTP address of the node, which is asked where it runs; http in the file [default:
    /// 127.0.0.1:9080]
    #[arg(long, value_name = "ADDR", env = "QUORATE_HTTP")]
    http: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where a node's data are.
pub(crate) struct Data {
    /// The folder.
    pub(crate) dir: PathBuf,
    /// Of the node's file, where one was named.
    pub(crate) options: RunOptions,
    http: String,
    json: bool,
}

/// Who has the store.
pub(crate) enum Access {
    /// This process, now.
    Open(Store, Identity),
    /// A running node, which answers over HTTP.
    Asked(Running),
}

/// A running node, and what shows that it is one's own.
pub(crate) struct Running {
    pub(crate) node: NodeArgs,
    pub(crate) token: String,
}

impl DataArgs {
    /// After precedence: flag or environment, file, default.
    pub(crate) fn resolve(&self) -> anyhow::Result<Data> {
        let options = file_options(self.config.as_deref())?;
        let defaults = RunOptions::defaults(options.role.unwrap_or(Role::Operator));
        let dir = self.data_dir.clone().or(options.data_dir.clone());
        let dir = dir.or(defaults.data_dir).unwrap_or_default();
        let http = self.http.clone().or(options.http.clone());
        Ok(Data {
            dir: expand_home(&dir)?,
            http: http.or(defaults.http).unwrap_or_default(),
            options,
            json: self.json,
        })
    }
}

impl Data {
    /// Opens the store, or finds the node that has it open.
    pub(crate) fn access(&self) -> anyhow::Result<Access> {
        match Store::open_existing(Store::below(&self.dir)) {
            Ok((store, identity)) => Ok(Access::Open(store, identity)),
            Err(StoreError::Locked { .. }) => self.running().map(Access::Asked),
            Err(error) => Err(error.into()),
        }
    }

    fn running(&self) -> anyhow::Result<Running> {
        let names = Role::ALL.map(token_file);
        let paths = names.map(|name| self.dir.join(name));
        let read = |path: &PathBuf| std::fs::read_to_string(path).ok();
        let token = paths.iter().find_map(read).with_context(|| {
            format!(
                "the node that has the store open is asked with the token in {}, which cannot be \
                 read; run this as the node's user, or stop the node",
                self.dir.display()
            )
        })?;
        Ok(Running {
            node: NodeArgs::at(&self.http, self.json),
            token: token.trim().to_owned(),
        })
    }
}

/// The network of a store.
pub(crate) fn domain_of(identity: &Identity) -> anyhow::Result<Domain> {
    let parts = identity.network.split_once('-');
    let parsed = parts.and_then(|(chain, registry)| {
        let registry: Address = registry.parse().ok()?;
        Some(Domain::new(chain.parse().ok()?, registry))
    });
    parsed.with_context(|| {
        format!(
            "the store's network {:?} is no network id",
            identity.network
        )
    })
}

/// A path from the root on, for a reader in another folder.
pub(crate) fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    let path = expand_home(path)?;
    std::path::absolute(&path).with_context(|| format!("{} is no path", path.display()))
}
