//! The tables of settings in the manual are made from the declarations.

use std::path::Path;

use quorate_node::settings::declare::{Declared, Setting};

use super::super::declared::{described, usual};
use super::*;

const FILE: &str = "../docs/operations.md";
const BEGIN: &str = "<!-- settings: UPDATE_GOLDEN=1 cargo test -p quorate-cli manual -->\n";
/// The section that only tests have.
const EXAMPLE: &str = "example";
const END: &str = "<!-- end of settings -->\n";

fn row(setting: &Setting) -> String {
    let default = match usual(setting) {
        _ if setting.required => "*required*".to_owned(),
        Some(default) => format!("`{}`", default.replace(',', "`, `")),
        None => String::new(),
    };
    let again = if setting.reload { "yes" } else { "" };
    let see = match setting.see {
        "" => String::new(),
        title => {
            let anchor = title.to_lowercase().replace(' ', "-");
            format!(". See [{title}](#{anchor})")
        }
    };
    let help = described(setting).replace('<', "\\<").replace('|', "\\|");
    format!(
        "| `{}` | {default} | {again} | {help}{see} |\n",
        setting.key
    )
}

fn table(settings: &[Setting]) -> String {
    let head = "| key | default | SIGHUP | |\n| --- | --- | --- | --- |\n".to_owned();
    head + &settings.iter().map(row).collect::<String>()
}

#[test]
fn the_manual_has_the_settings_as_they_were_declared() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let manual = std::fs::read_to_string(&path).expect("the manual");
    let (before, rest) = manual.split_once(BEGIN).expect("where the tables begin");
    let (tables, after) = rest.split_once(END).expect("where the tables end");
    let mut made = format!(
        "\n{}\nA chain, `[[chains]]`:\n\n{}\n",
        table(RunOptions::SETTINGS),
        table(ChainOptions::SETTINGS)
    );
    for section in RunOptions::SECTIONS {
        let Some(first) = section.first().filter(|first| first.section != EXAMPLE) else {
            continue;
        };
        let (heading, name) = (first.heading, first.section);
        made += &format!("{heading}, `[{name}]`:\n\n{}\n", table(section));
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{made}{END}{after}")).expect("written");
    } else {
        assert!(tables == made, "{FILE} is not as declared: see its comment");
    }
}
