//! Every command that README and the documents show is one that the program takes, and the unit file does
//! what the exit codes say.

use std::path::Path;

use clap::Parser as _;

use super::Cli;

/// What stands for a value that the reader has: an address, an id, a URL, or a multiaddr.
fn value(flag: &str, word: &str) -> String {
    let address = format!("0x{}", "11".repeat(20));
    match (flag, word) {
        ("--to" | "--peer", "…") | (_, "MULTIADDR") => "/ip4/192.0.2.1/tcp/9000".into(),
        ("--rpc", "…") | (_, "URL") => "https://home-chain.example.org".into(),
        (_, "ADDRESS") => address,
        (_, "ID" | "TASK") => format!("0x{}", "22".repeat(32)),
        (flag, word) if word.starts_with("0x") && word.ends_with('…') => match flag {
            "explain" | "show" | "submit" | "retry" => format!("0x{}", "22".repeat(32)),
            _ => address,
        },
        _ => word.into(),
    }
}

/// The words of a line in a block of code, up to what the shell makes of the rest; `None` for other
/// lines.
fn words(line: &str) -> Option<Vec<String>> {
    let line = line.strip_prefix("$ ").unwrap_or(line);
    let line = line.split(" # ").next()?.split(" > ").next()?;
    let mut words = line.split_whitespace();
    let program = words.next()?;
    if program != "node" && !program.ends_with("/node") {
        return None;
    }
    let mut all = vec!["node".to_owned()];
    let mut is_quoted = false;
    for word in words {
        let last = all.last().map(String::as_str).unwrap_or_default();
        match is_quoted {
            true => {
                let joined = format!("{last} {}", word.trim_end_matches('"'));
                *all.last_mut()? = joined;
            }
            false => all.push(value(last, word.trim_matches('"'))),
        }
        let opens = word.starts_with('"') && word.len() > 1;
        is_quoted = (is_quoted || opens) && !word.ends_with('"');
    }
    Some(all)
}

/// Lines in blocks of code, indented or fenced, with the lines that continue them.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut is_fenced = false;
    let mut code = String::new();
    for line in text.lines() {
        if line.starts_with("```") {
            is_fenced = !is_fenced;
        } else if is_fenced || line.starts_with("    ") {
            code.push_str(line.trim());
            code.push('\n');
        }
    }
    let code = code.replace("\\\n", " ");
    code.lines().filter_map(words).collect()
}

#[test]
fn every_command_in_the_documents_is_taken() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let documents = std::fs::read_dir(root.join("docs")).expect("docs");
    let documents = documents.map(|entry| entry.expect("an entry").path());
    let files = ["README.md", "SECURITY.md", "CONTRIBUTING.md"].map(|name| root.join(name));
    let mut count = 0;
    for file in documents.chain(files) {
        if file.extension().is_none_or(|kind| kind != "md") {
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("a document");
        for words in commands(&text) {
            // A diagram's arrows, and a link between two crates.
            if words.get(1).is_some_and(|word| word == "-->") {
                continue;
            }
            count += 1;
            if let Err(error) = Cli::try_parse_from(&words) {
                panic!("{}: {}: {error}", file.display(), words.join(" "));
            }
        }
    }
    assert!(count > 30, "only {count} commands");
}

#[test]
fn commands_are_found_in_blocks_of_code() {
    let text = "say `node no`\n\n    node keys new   # two\n\n```sh\n$ target/debug/node explain 0x1b67… > out\n\
                node registry reinstate 0x… --reason \"disk replaced\"\nnodes\n```\nnode no\n";
    let [new, explain, reinstate] = commands(text).try_into().expect("three");
    assert_eq!(new, ["node", "keys", "new"]);
    assert_eq!(explain[1..2], ["explain"]);
    assert_eq!(explain[2].len(), 66);
    assert_eq!(reinstate.last().map(String::as_str), Some("disk replaced"));
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(path).expect("a file of the repository")
}

const UNIT: &str = "deploy/systemd/quorate.service";

#[test]
fn the_unit_restarts_unless_the_exit_code_says_no() {
    let unit = read(UNIT);
    let prevented = unit
        .lines()
        .find_map(|line| line.strip_prefix("RestartPreventExitStatus="));
    let manual = read("docs/operations.md");
    let (_, table) = manual
        .split_once("\n## Exit codes\n")
        .expect("the exit codes");
    let (table, _) = table.split_once("\n## ").expect("another section");
    let rows = table
        .lines()
        .filter_map(|line| line.strip_suffix(" | no |"));
    let codes: Vec<&str> = rows
        .filter_map(|row| row.split_whitespace().nth(1))
        .collect();
    assert_eq!(prevented, Some(codes.join(" ").as_str()));
    for line in [
        "LimitNOFILE=65536",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "After=network-online.target",
        "WantedBy=multi-user.target",
    ] {
        assert!(unit.lines().any(|other| other == line), "{line}");
    }
}

/// Where systemd is installed.
#[test]
fn systemd_takes_the_unit() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("quorate.service");
    // The program is not installed where the test runs.
    let unit = read(UNIT).replace("ExecStart=/usr/local/bin/node", "ExecStart=/bin/true");
    std::fs::write(&file, unit).expect("written");
    let checked = std::process::Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&file)
        .output();
    let Ok(checked) = checked else {
        return;
    };
    let said = String::from_utf8_lossy(&checked.stderr);
    let about: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("quorate.service"))
        .collect();
    assert!(about.is_empty(), "{about:?}");
}
