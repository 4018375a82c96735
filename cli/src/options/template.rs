//! The commented file that `node config default` prints, made from the definitions of the
//! settings, so that it never tells anything else than they do.

use std::fmt::Write as _;

use clap::{Arg, Args as _};
use quorate_node::settings::Role;
use toml::{Table, Value};

use super::load::table_of;
use super::{ChainOptions, RunOptions};

/// Settings that a registry has no use for.
const OPERATORS_ONLY: [&str; 3] = ["operator", "signing_key", "chains"];
/// Settings that an operator has no use for.
pub(super) const REGISTRIES_ONLY: [&str; 2] = ["suspend_after", "reinstatement"];
/// Column at which comments break.
const WIDTH: usize = 96;

/// The file for a role: defaults as they are, everything else as a commented example.
pub(crate) fn template(role: Role) -> Result<String, String> {
    let defaults = table_of(&RunOptions::defaults(role))?;
    let examples = table_of(&RunOptions::examples())?;
    let command = RunOptions::augment_args(clap::Command::new("node"));
    let mut text = comment(&format!(
        "Configuration of a Quorate node with the role {role}. Every key is also a flag and an \
         environment variable; a flag wins over the environment, and that over this file. Lines \
         that begin with '#' and a key show a form, not a default."
    ));
    let mut heading = None;
    for arg in command.get_arguments() {
        let key = arg.get_id().as_str();
        let foreign: &[&str] = match role {
            Role::Registry => &OPERATORS_ONLY,
            Role::Operator => &REGISTRIES_ONLY,
        };
        if foreign.contains(&key) {
            continue;
        }
        if arg.get_help_heading() != heading {
            heading = arg.get_help_heading();
            let title = format!("# ---- {} ", heading.unwrap_or_default());
            let _ = write!(text, "\n{title:-<WIDTH$}\n");
        }
        let _ = write!(text, "\n{}{}", comment(&help(arg)), comment(&names(arg)));
        match (key, defaults.get(key), examples.get(key)) {
            ("chains", ..) => text.push_str(&chain_example()?),
            (_, Some(value), _) => text.push_str(&line("", key, value)),
            (_, None, Some(value)) => text.push_str(&line("#", key, value)),
            (_, None, None) => text.push_str(&format!("#{key} =\n")),
        }
    }
    Ok(text)
}

fn chain_example() -> Result<String, String> {
    let example = table_of(&ChainOptions::example())?;
    let command = ChainOptions::augment_args(clap::Command::new("chain"));
    let mut text = String::from("#[[chains]]\n");
    for arg in command.get_arguments() {
        text.push_str(&comment(&help(arg)));
        if let Some(value) = example.get(arg.get_id().as_str()) {
            text.push_str(&line("#", arg.get_id().as_str(), value));
        }
    }
    Ok(text)
}

fn help(arg: &Arg) -> String {
    let help = arg.get_long_help().or(arg.get_help());
    let text = help.map(ToString::to_string).unwrap_or_default();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.ends_with('.') {
        text
    } else {
        text + "."
    }
}

fn names(arg: &Arg) -> String {
    let flag = arg.get_long().unwrap_or_default();
    let env = arg
        .get_env()
        .map(|env| env.to_string_lossy())
        .unwrap_or_default();
    format!("Flag --{flag}, environment {env}.")
}

fn line(mark: &str, key: &str, value: &Value) -> String {
    let table: Table = std::iter::once((key.to_owned(), value.clone())).collect();
    let text = table.to_string();
    text.trim_end()
        .lines()
        .fold(String::new(), |lines, text| lines + mark + text + "\n")
}

/// `text` as comment lines.
fn comment(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in text.split(' ') {
        if line.chars().count() + word.chars().count() >= WIDTH {
            lines.push_str(&line);
            lines.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    lines + &line + "\n"
}
