//! `node keys`: makes, imports and lists keys.

mod log;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use quorate_node::keys::{
    KeyError, KeyInfo, KeyKind, KeyListing, KeyStore, Password, Saving, Secret, Strength,
    read_text, text_of,
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::environment::variable;
use crate::options::{ConfigError, expand_home};
use crate::output;
use crate::password::{self, PasswordArgs};
use crate::table::Table;

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make new keys and print their public parts
    New(NewArgs),
    /// Keep a key that exists already: hexadecimal, a keystore v3 file, or an SVM wallet's array
    Import(KeyImportArgs),
    /// List the keys of the folder; needs no password
    List(KeysListArgs),
    /// Write what keys have signed to a file, or add such a file to a store
    #[command(subcommand)]
    Log(log::LogCommand),
}

/// Where keys are.
#[derive(Args, Debug)]
pub(crate) struct DirArgs {
    /// Folder of the key files
    #[arg(
        long,
        value_name = "DIR",
        env = "QUORATE_KEY_DIR",
        default_value = "~/.quorate/keys"
    )]
    key_dir: PathBuf,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How keys are written.
#[derive(Args, Debug)]
pub(crate) struct SaveArgs {
    /// By which the key is called: its file is <name>.<kind>.json
    #[arg(long, default_value = "default")]
    name: String,

    /// Overwrite a key of the same name, which is then lost
    #[arg(long)]
    force: bool,

    /// Protect the file with scrypt n = 2^12 instead of 2^18: for local networks and tests only
    #[arg(long)]
    light: bool,
}

#[derive(Args, Debug)]
pub(crate) struct NewArgs {
    /// What to make
    #[arg(long, value_enum, default_value_t = KindArg::All)]
    kind: KindArg,

    #[command(flatten)]
    save: SaveArgs,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    dir: DirArgs,
}

#[derive(Args, Debug)]
pub(crate) struct KeyImportArgs {
    /// File with the secret, "-" for standard input; asked for on the terminal if left out
    file: Option<PathBuf>,

    /// What the key is for: signing, ed25519 or peer
    #[arg(long)]
    kind: KeyKind,

    /// File with the password of a keystore that is imported, where it differs from the new one
    #[arg(long, value_name = "FILE")]
    old_password_file: Option<PathBuf>,

    #[command(flatten)]
    save: SaveArgs,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    dir: DirArgs,
}

#[derive(Args, Debug)]
pub(crate) struct KeysListArgs {
    #[command(flatten)]
    dir: DirArgs,
}

/// Kinds to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindArg {
    /// secp256k1: signs for an operator
    Signing,
    /// Ed25519: pays on SVM chains; relayers to such chains open it
    Ed25519,
    /// The identity of a node
    Peer,
    /// What an operator's node opens: signing and peer
    All,
}

impl KindArg {
    fn kinds(self) -> Vec<KeyKind> {
        match self {
            Self::Signing => vec![KeyKind::Signing],
            Self::Ed25519 => vec![KeyKind::Ed25519],
            Self::Peer => vec![KeyKind::Peer],
            Self::All => vec![KeyKind::Signing, KeyKind::Peer],
        }
    }
}

impl DirArgs {
    fn store(&self) -> Result<KeyStore, ConfigError> {
        Ok(KeyStore::open(expand_home(&self.key_dir)?))
    }
}

impl SaveArgs {
    const fn saving(&self) -> Saving {
        Saving {
            strength: if self.light {
                Strength::Light
            } else {
                Strength::Standard
            },
            overwrite: self.force,
        }
    }

    /// Before anything is asked for or written: with several kinds, all or none are made.
    fn check_free(&self, store: &KeyStore, kinds: &[KeyKind]) -> Result<(), KeyError> {
        for kind in kinds.iter().filter(|_| !self.force) {
            let path = store.dir().join(format!("{}.{kind}.json", self.name));
            if path.exists() {
                return Err(KeyError::Exists { path });
            }
        }
        Ok(())
    }
}

pub(crate) fn run(command: KeysCommand) -> anyhow::Result<()> {
    match command {
        KeysCommand::New(args) => new(&args),
        KeysCommand::Import(args) => import(&args),
        KeysCommand::List(args) => list(&args),
        KeysCommand::Log(command) => log::run(command),
    }
}

fn new(args: &NewArgs) -> anyhow::Result<()> {
    let store = args.dir.store()?;
    let kinds = args.kind.kinds();
    args.save.check_free(&store, &kinds)?;
    let password = args.password.new_keys()?;
    let mut made = Vec::new();
    for kind in kinds {
        made.push(store.create(kind, &args.save.name, &password, args.save.saving())?);
    }
    let listing = KeyListing {
        keys: made,
        unreadable: Vec::new(),
    };
    print_keys(&listing, args.dir.json)?;
    if !args.dir.json {
        output::line("Keep copies of them and of the password: there is no way to restore them.")?;
    }
    Ok(())
}

fn import(args: &KeyImportArgs) -> anyhow::Result<()> {
    let store = args.dir.store()?;
    args.save.check_free(&store, &[args.kind])?;
    let text = read_secret(args.file.as_deref())?;
    let secret = match (text.trim_start().starts_with('{'), args.file.as_deref()) {
        (true, Some(path)) if path != Path::new("-") => {
            let file = args
                .old_password_file
                .as_deref()
                .or(args.password.password_file.as_deref());
            let old = password::obtain(file, "Password of the keystore that is imported", false)?;
            opened(args, &expand_home(path)?, &old)?
        }
        (true, _) => anyhow::bail!("a keystore is imported from a file; name it instead of \"-\""),
        (false, _) => Secret::parse(args.kind, &text)?,
    };
    let password = args.password.new_keys()?;
    let made = store.import(
        args.kind,
        &args.save.name,
        &secret,
        &password,
        args.save.saving(),
    )?;
    let listing = KeyListing {
        keys: vec![made],
        unreadable: Vec::new(),
    };
    print_keys(&listing, args.dir.json)
}

/// The secret of a keystore; where its password is wrong, with the way to give another one than that of
/// the new file.
fn opened(args: &KeyImportArgs, path: &Path, password: &Password) -> anyhow::Result<Secret> {
    Secret::from_file(args.kind, path, password).map_err(|error| {
        let is_asked =
            args.password.password_file.is_none() && variable(password::VARIABLE).is_none();
        let is_same = args.old_password_file.is_none() && !is_asked;
        match matches!(error, KeyError::WrongPassword { .. }) && is_same {
            true => anyhow::Error::new(error).context(
                "the file was tried with the password of the new key; give its own with \
                 --old-password-file FILE",
            ),
            false => error.into(),
        }
    })
}

fn read_secret(file: Option<&Path>) -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    match file {
        None => *text = password::ask("Secret key")?,
        Some(path) if path == Path::new("-") => {
            let mut bytes = Vec::new();
            let read = std::io::stdin().read_to_end(&mut bytes);
            text = read
                .and_then(|_| text_of(bytes))
                .context("cannot read standard input")?;
        }
        Some(path) => {
            let path = expand_home(path)?;
            text = read_text(&path).map_err(|error| KeyError::Io {
                action: "read",
                path,
                reason: error.to_string(),
            })?;
        }
    }
    Ok(text)
}

fn list(args: &KeysListArgs) -> anyhow::Result<()> {
    let store = args.dir.store()?;
    let listing = store.list()?;
    if listing.keys.is_empty() && !args.dir.json {
        output::line(format!(
            "There are no keys in {}; make some with `node keys new`.",
            store.dir().display()
        ))?;
    } else {
        print_keys(&listing, args.dir.json)?;
    }
    Ok(())
}

fn print_keys(listing: &KeyListing, as_json: bool) -> anyhow::Result<()> {
    let warnings = listing.keys.iter().filter_map(|key| key.warning.clone());
    let broken = listing.unreadable.iter().map(ToString::to_string);
    warnings
        .chain(broken)
        .for_each(|warning| output::note(format!("warning: {warning}")));
    if as_json {
        let keys: Vec<Value> = listing.keys.iter().map(key_json).collect();
        output::json(&keys)?;
    } else {
        output::text(key_table(&listing.keys))?;
        if let Some(dir) = listing.keys.first().and_then(|key| key.path.parent()) {
            output::line(format!("\nThe files are in {}.", dir.display()))?;
        }
    }
    Ok(())
}

fn key_json(key: &KeyInfo) -> Value {
    json!({
        "name": key.name,
        "kind": key.kind,
        "public": key.public,
        "path": key.path,
        "warning": key.warning,
    })
}

fn key_table(keys: &[KeyInfo]) -> Table {
    let mut table = Table::new(&["NAME", "KIND", "PUBLIC", "FILE"]);
    for key in keys {
        let public = key
            .public
            .clone()
            .unwrap_or_else(|| "(not in the file)".into());
        let file = key
            .path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        table.row([key.name.clone(), key.kind.to_string(), public, file]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_in_a_table() {
        let key = |name: &str, kind, public: Option<&str>| KeyInfo {
            name: name.into(),
            kind,
            public: public.map(Into::into),
            path: PathBuf::from(format!("k/{name}.{kind}.json")),
            warning: None,
        };
        let keys = [
            key("default", KeyKind::Signing, Some("0x1111")),
            key("b", KeyKind::Peer, None),
        ];
        let expected = "\
NAME     KIND     PUBLIC             FILE
default  signing  0x1111             default.signing.json
b        peer     (not in the file)  b.peer.json
";
        assert_eq!(key_table(&keys).to_string(), expected);
    }
}
