use quorate_node::settings::declare::Declared;

use super::super::load::parse_file;
use super::super::tests::ExampleSection;
use super::super::{ChainOptions, RunOptions};

/// Values of which no setting takes all.
const WRONG: [&str; 6] = ["{ a = 1 }", "-1", "12.5", "[[1]]", "1979-05-27", "word"];

fn keys<T: Declared>() -> impl Iterator<Item = &'static str> {
    T::SETTINGS.iter().map(|setting| setting.key)
}

/// The error names line and key, and shows how the setting is written.
fn check(file: &str, key: &str) {
    let Err(error) = parse_file(file) else {
        return;
    };
    let line = file.matches('\n').count() + 1;
    assert!(
        error.starts_with(&format!("line {line}: {key}: ")),
        "{file}: {error}"
    );
    let cure = format!("; write it as in {key} = ");
    assert!(error.contains(&cure) || key == "chains", "{file}: {error}");
}

#[test]
fn every_wrong_type_is_told_with_key_and_cure() {
    for key in keys::<RunOptions>() {
        let refused = WRONG
            .iter()
            .filter(|value| parse_file(&format!("{key} = {value}")).is_err());
        assert!(refused.count() >= 4, "{key}");
        for value in WRONG {
            check(&format!("{key} = {value}"), key);
        }
    }
    for key in keys::<ChainOptions>() {
        for value in WRONG {
            check(&format!("[[chains]]\n{key} = {value}"), key);
        }
    }
    for key in keys::<ExampleSection>() {
        for value in WRONG {
            check(
                &format!("role = \"operator\"\n[example]\n{key} = {value}"),
                key,
            );
        }
    }
}

#[test]
fn what_stands_there_is_told_where_it_is_no_secret() {
    for (file, expected) in [
        (
            "home_finality = finalized",
            "line 1: home_finality: finalized stands without quotation marks; write it as in home_finality = \"finalized\"",
        ),
        (
            "[[chains]]\nchain_id = 1\nfinality = finalized",
            "line 3: finality: finalized stands without",
        ),
        (
            "home_finality = -1",
            "home_finality: invalid type: integer `-1`, expected a whole number, or a word in quotation marks",
        ),
        (
            "home_finality = 12.5",
            "floating point `12.5`, expected a whole number, or a word",
        ),
        (
            "home_rpc = \"http://h/topsecret\"",
            "home_rpc: invalid type: a text, expected a list; write it as in home_rpc = [\"https://",
        ),
        ("home_rpc = [http://h/topsecret]", "line 1: home_rpc: "),
        (
            "home_rpc = [\n\"http://h/topsecret\",\n1]",
            "line 3: home_rpc: ",
        ),
        (
            "drain_ms = \"500\"",
            "drain_ms: invalid type: string \"500\", expected a whole number; write it as in drain_ms = 15000",
        ),
        ("role = \"oper\"", "role: unknown variant `oper`"),
        ("role = operator # mine", "role: operator stands without"),
        (
            "data_dir = /var/lib/q",
            "data_dir: the text stands without quotation marks",
        ),
        (
            "limit_local_ranges = \"true\"",
            "limit_local_ranges: invalid type: string \"true\", expected a boolean; write it as in limit_local_ranges = false",
        ),
        (
            "[[chains]]\nchain_id = 1",
            "missing field `rpc`; write it as in rpc = [",
        ),
        ("rolle = 1", "line 1: unknown field `rolle`"),
    ] {
        let error = parse_file(file).expect_err(file);
        assert!(error.contains(expected), "{file}: {error}");
        assert!(!error.contains("topsecret"), "{file}: {error}");
    }
}
