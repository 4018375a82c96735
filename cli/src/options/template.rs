//! The commented file that `node config default` prints, made from the declarations of the
//! settings, so that it never tells anything else than they do.

use std::fmt::Write as _;

use quorate_node::settings::Role;
use quorate_node::settings::declare::{Declared as _, Section as _, Setting};
use serde_json::Value;
use toml::Table;

use super::declared::{form, help};
use super::{ChainOptions, RunOptions};

/// Column at which comments break.
const WIDTH: usize = 96;

/// The file for a role: defaults as they are, everything else as a commented example.
pub(crate) fn template(role: Role) -> Result<String, String> {
    let mut text = comment(&format!(
        "Configuration of a Quorate node with the role {role}. Every key is also a flag and an \
         environment variable; a flag wins over the environment, and that over this file. Lines \
         that begin with '#' and a key show a form, not a default. Settings that are read again may \
         change while the node runs: change the file, check it with `node config check`, and send \
         SIGHUP (`systemctl reload`)."
    ));
    let mut heading = "";
    for setting in RunOptions::SETTINGS
        .iter()
        .filter(|setting| setting.is_for(role))
    {
        if setting.heading != heading {
            heading = setting.heading;
            text += &title(heading);
        }
        let _ = write!(text, "\n{}{}", told(setting), comment(&names(setting)));
        text += &match setting.default_for(role) {
            _ if setting.key == ChainOptions::NAME => "#[[chains]]\n".to_owned() + &chain()?,
            Some(value) => line("", setting.key, &value)?,
            None => example(setting)?,
        };
    }
    for section in RunOptions::SECTIONS {
        let of_role = section.iter().filter(|setting| setting.is_for(role));
        for (at, setting) in of_role.enumerate() {
            if at == 0 {
                text += &format!("{}#[{}]\n", title(setting.heading), setting.section);
            }
            text += &(told(setting) + &comment(&names(setting)));
            text += &example(setting)?;
        }
    }
    Ok(text)
}

fn title(heading: &str) -> String {
    let title = format!("# ---- {heading} ");
    format!("\n{title:-<WIDTH$}\n")
}

fn chain() -> Result<String, String> {
    let lines = ChainOptions::SETTINGS
        .iter()
        .map(|setting| Ok(told(setting) + &example(setting)?));
    lines.collect()
}

fn example(setting: &Setting) -> Result<String, String> {
    match form(setting) {
        Some(value) => line("#", setting.key, &value),
        None => Ok(format!("#{} =\n", setting.key)),
    }
}

fn told(setting: &Setting) -> String {
    comment(&(help(setting) + "."))
}

fn names(setting: &Setting) -> String {
    let again = if setting.reload {
        "; read again on SIGHUP"
    } else {
        ""
    };
    format!(
        "Flag --{}, environment {}{again}.",
        setting.flag(),
        setting.variable()
    )
}

fn line(mark: &str, key: &str, value: &Value) -> Result<String, String> {
    let value = toml::Value::try_from(value).map_err(|error| error.to_string())?;
    let table: Table = std::iter::once((key.to_owned(), value)).collect();
    let text = table.to_string();
    let marked = |text| format!("{mark}{text}\n");
    Ok(text.trim_end().lines().map(marked).collect())
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
