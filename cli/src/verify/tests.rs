use clap::Parser as _;
use quorate_chain::Rejection;

use super::*;
use crate::args::{Cli, Command};
use crate::certificate::tests::{NETWORK, file, set};
use crate::exit;
use crate::operators::tests::set_file;

fn args(line: &[&str]) -> VerifyArgs {
    let line = ["node", "verify", "c.json"].iter().chain(line);
    match Cli::try_parse_from(line).expect("parsed").command {
        Some(Command::Verify(args)) => args,
        other => panic!("{other:?}"),
    }
}

fn report(signers: &[u8]) -> (CertificateFile, Domain, VerifyReport) {
    let file = file(signers);
    let domain = domain_of(&file.network).expect("a domain");
    let certificate = file.check(&domain).expect("whole");
    let report = off_chain(&certificate, &set(), &domain);
    (file, domain, report)
}

#[test]
fn enough_weight_is_valid() {
    let (file, domain, report) = report(&[2, 3]);
    assert!(report.conclude().is_ok());
    let text = report.render(&file, &domain);
    let expected = "\
OPERATOR                                    WEIGHT  SIGNATURE
0x0202020202020202020202020202020202020202     200  valid
0x0303030303030303030303030303030303030303     300  valid

Task         0x";
    assert!(text.starts_with(expected), "{text}");
    assert!(
        text.contains("\nWeight       500 (83.3 %), needed 401 (66.8 %)\n"),
        "{text}"
    );
    assert!(text.ends_with("\nAgainst set  valid\n"), "{text}");
    assert_eq!(report.as_value(&file, &domain)["valid"], true);
}

#[test]
fn every_signer_is_judged_even_when_one_fails() {
    let (file, domain, report) = report(&[1, 3, 9]);
    let error = report.conclude().expect_err("not valid");
    assert_eq!(exit::code_of(&error), exit::NO);
    let text = report.render(&file, &domain);
    assert!(
        text.contains(
            "0x0909090909090909090909090909090909090909       0  not an operator of this epoch\n"
        ),
        "{text}"
    );
    assert!(
        text.contains("\n0x0101010101010101010101010101010101010101     100  valid\n"),
        "{text}"
    );
    assert_eq!(
        report.as_value(&file, &domain)["signers"][2]["valid"],
        false
    );
}

#[test]
fn too_little_weight_is_not_valid() {
    let (_, _, report) = report(&[3]);
    let reason = report.failure().expect("a failure");
    assert_eq!(
        reason,
        "weight 300 signed, but the threshold of the epoch is 401"
    );
}

#[test]
fn the_set_of_another_epoch_says_nothing() {
    let file = file(&[2, 3]);
    let domain = domain_of(NETWORK).expect("a network");
    let mut set = set_file();
    set.operators.epoch = 8;
    let report = off_chain(
        &file.certificate().expect("whole"),
        &set.set().expect("a set"),
        &domain,
    );
    let reason = report.failure().expect("a failure");
    assert!(
        reason.starts_with("it is of epoch 7, but the set is of epoch 8; "),
        "{reason}"
    );
    assert!(report.signers.is_empty());
}

#[test]
fn the_chain_has_the_last_word() {
    let (file, domain, mut report) = report(&[2, 3]);
    report.on_chain = Some(CertificateCheck::Rejected(Rejection::InvalidSignature));
    assert!(report.conclude().is_err());
    assert!(
        report
            .render(&file, &domain)
            .contains("\nOn chain     rejected: ")
    );
    report.on_chain = Some(CertificateCheck::Valid);
    assert!(report.conclude().is_ok());
}

#[test]
fn a_certificate_of_another_network_is_not_valid() {
    let file = file(&[3]);
    let registry = NETWORK.split_once('-').expect("two parts").1;
    let judge = |chain: &str, set: Option<&SetFile>, served| {
        let args = args(&[
            "--set",
            "s",
            "--registry",
            registry,
            "--home-chain-id",
            chain,
        ]);
        anyhow::Ok(check_network(&file, &trusted(&args, served, set)?)?)
    };
    assert!(judge("31337", None, Some(31337)).is_ok());
    assert_eq!(
        exit::code_of(&judge("1", None, None).expect_err("another network")),
        exit::NO
    );
    assert_eq!(
        exit::code_of(&judge("1", None, Some(31337)).expect_err("another chain")),
        exit::USAGE
    );
}

#[test]
fn trust_does_not_come_from_the_certificate() {
    assert!(Cli::try_parse_from(["node", "verify", "c.json", "--rpc", "http://a"]).is_err());
    let mut set = set_file();
    let own = trusted(&args(&["--set", "s"]), None, Some(&set)).expect("the set's");
    assert_eq!(own.network().as_str(), NETWORK);
    set.network = None;
    assert!(trusted(&args(&["--set", "s"]), None, Some(&set)).is_err());
}

#[test]
fn one_check_must_be_asked_for() {
    assert!(Cli::try_parse_from(["node", "verify", "c.json"]).is_err());
}
