//! What must hold for any configuration file.

use alloy::transports::http::reqwest::Url;
use quorate_node::settings::Role;

use super::load::{fields_of, overlay, parse_file};
use super::{ProviderOptions, RunOptions};

/// Stands in URLs where keys stand.
const SECRET: &str = "topsecret0123";

/// A configuration file.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match parse_file(text) {
        Ok(options) => parsed(&options, !text.contains(SECRET)),
        Err(reason) => assert!(!reason.is_empty()),
    }
    let keyed = text.replace("://", &format!("://u:{SECRET}@h/{SECRET}/"));
    if !text.contains(SECRET)
        && let Err(reason) = parse_file(&keyed)
    {
        assert!(!reason.contains(SECRET), "{reason}");
    }
}

fn parsed(options: &RunOptions, hides: bool) {
    let printed = toml::to_string(options).expect("settings print");
    assert_eq!(
        parse_file(&printed).as_ref(),
        Ok(options),
        "read(print(x)) is x"
    );
    for role in [Role::Operator, Role::Registry] {
        let usual = RunOptions::defaults(role);
        let whole = overlay(&usual, options).expect("two sets of options make one");
        let fields = |options| fields_of(options).expect("fields");
        let (given, all) = (fields(options), fields(&whole));
        assert!(
            given.iter().all(|(key, value)| all.get(key) == Some(value)),
            "what is set holds"
        );
        if let Err(error) = whole.to_settings() {
            assert!(!error.to_string().is_empty());
        }
        if hides {
            hidden(with_keys(whole));
        }
    }
}

/// Keys in URLs are told by nothing that a person sees.
fn hidden(options: RunOptions) {
    assert!(!format!("{options:?}").contains(SECRET), "in a log");
    if let Err(error) = options.to_settings() {
        let text = error.to_string();
        assert!(!text.contains(SECRET), "{text}");
    }
    let shown = toml::to_string(&options.redacted()).expect("settings print");
    assert!(!shown.contains(SECRET), "{shown}");
}

/// The options with keys in all of their URLs.
fn with_keys(mut options: RunOptions) -> RunOptions {
    let home = options.home_rpc.iter_mut().flatten();
    home.for_each(add_key);
    for chain in options.chains.iter_mut().flatten() {
        chain.rpc.iter_mut().for_each(add_key);
    }
    options
}

fn add_key(provider: &mut ProviderOptions) {
    let Ok(mut url) = Url::parse(provider.url.reveal()) else {
        return;
    };
    if url.has_host() {
        let _ = url.set_username(SECRET);
        let _ = url.set_password(Some(SECRET));
        url.set_path(SECRET);
        url.set_query(Some(SECRET));
        provider.url = url.as_str().parse().unwrap_or_else(|never| match never {});
    }
}
