//! `node doctor`: what is wrong with a node, or soon will be, and what to do about it.
//!
//! Everything is looked at at once and in bounded time, whether the node runs or not.

mod cautions;
mod chains;
mod clock;
mod disk;
mod finding;
mod keys;
mod running;

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use quorate_node::settings::Settings;
use serde::Serialize;

use crate::exit::{NegativeAnswer, Warned};
use crate::format;
use crate::options::{ConfigError, RunArgs, RunOptions};
use crate::output;
use crate::table::Table;
use finding::{Finding, Level};

/// Nothing takes longer than this, whatever hangs.
const DEADLINE: Duration = Duration::from_secs(15);

#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    run: RunArgs,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct DoctorReport {
    /// The worst of all.
    level: Level,
    findings: Vec<Finding>,
}

pub(crate) async fn run(args: DoctorArgs) -> anyhow::Result<()> {
    let findings = examine(&args.run).await;
    let report = DoctorReport {
        level: findings.iter().map(|f| f.level).max().unwrap_or(Level::Ok),
        findings,
    };
    if args.json {
        output::json(&report)?;
    } else {
        output::text(render(&report.findings))?;
    }
    verdict(&report)
}

fn verdict(report: &DoctorReport) -> anyhow::Result<()> {
    let of = |level: Level| report.findings.iter().filter(|f| f.level == level).count();
    let warnings = format::count(of(Level::Warning), "warning");
    match report.level {
        Level::Ok => Ok(()),
        Level::Warning => Err(Warned(format!("nothing is broken; {warnings}")).into()),
        Level::Error => {
            let errors = format::count(of(Level::Error), "finding");
            Err(NegativeAnswer(format!(
                "the node does not do its job: {errors}, {warnings}"
            ))
            .into())
        }
    }
}

fn render(findings: &[Finding]) -> String {
    let mut table = Table::new(&["LEVEL", "CHECK", "FOUND", "CURE"]);
    for finding in findings {
        table.row([
            finding.level.name().to_owned(),
            finding.check.clone(),
            finding.found.clone(),
            finding.cure.clone().unwrap_or_default(),
        ]);
    }
    table.to_string()
}

async fn examine(args: &RunArgs) -> Vec<Finding> {
    let configured = args.resolve().and_then(|options| {
        let settings = options.to_settings()?;
        Ok((options, settings))
    });
    let (options, settings) = match configured {
        Ok(configured) => configured,
        Err(error) => return unconfigured(error),
    };
    let mut findings = vec![Finding::ok("configuration", "complete")];
    findings.extend(cautions::examine(&settings));
    let signing = keys::signing_key(&options);
    let data_dir = settings.data_dir.clone();
    let (files, disk, chains, running) = tokio::join!(
        on_thread("files", {
            let (options, data_dir) = (options.clone(), data_dir.clone());
            move || keys::examine(&options, &data_dir)
        }),
        on_thread("disk", move || disk::examine(&data_dir)),
        bounded("chains", chains::examine(&settings, signing)),
        bounded("node", running::examine(&settings)),
    );
    findings.extend(files);
    findings.extend(disk);
    findings.extend(chains);
    findings.extend(running);
    findings
}

fn unconfigured(error: ConfigError) -> Vec<Finding> {
    match error {
        ConfigError::Problems(problems) => problems
            .into_iter()
            .map(|problem| {
                Finding::error(
                    format!("configuration, {}", problem.key),
                    problem.text,
                    "change that setting; `node config default` explains each",
                )
            })
            .collect(),
        other => vec![Finding::error(
            "configuration",
            other,
            "give --config, or correct the file",
        )],
    }
}

/// Findings of something that may hang, such as a network.
async fn bounded(name: &str, findings: impl Future<Output = Vec<Finding>>) -> Vec<Finding> {
    within(DEADLINE, name, findings).await
}

async fn within(
    time: Duration,
    name: &str,
    findings: impl Future<Output = Vec<Finding>>,
) -> Vec<Finding> {
    let timed = tokio::time::timeout(time, findings).await;
    timed.unwrap_or_else(|_| vec![hangs(name)])
}

/// As [`bounded`], for what blocks, such as a disk. A thread of its own, since it cannot be waited for
/// one that a dead disk holds.
async fn on_thread<F>(name: &'static str, look: F) -> Vec<Finding>
where
    F: FnOnce() -> Vec<Finding> + Send + 'static,
{
    let (done, found) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || done.send(look()));
    bounded(name, async {
        found.await.unwrap_or_else(|_| vec![hangs(name)])
    })
    .await
}

fn hangs(name: &str) -> Finding {
    let found = format!("no answer within {} s", DEADLINE.as_secs());
    Finding::error(
        name,
        found,
        "something below it hangs: look at that disk or network",
    )
}

/// Where the running node answers, if it has pages at all.
fn http_of(settings: &Settings) -> Option<String> {
    let mut address = settings.http?;
    // It listens everywhere, so here too.
    if address.ip().is_unspecified() {
        address.set_ip(match address.is_ipv4() {
            true => std::net::Ipv4Addr::LOCALHOST.into(),
            false => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    Some(address.to_string())
}

/// For settings that name a file.
fn path_of(options: &RunOptions) -> Option<PathBuf> {
    options
        .password_file
        .as_deref()
        .and_then(|file| crate::options::expand_home(file).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_stand_in_a_table_and_the_worst_decides() {
        let ok = Finding::ok("disk", "93 GiB free");
        let warning = Finding::warning("clock", "1.2 s ahead", "set it by NTP");
        let error = Finding::error("key", "open to others", "chmod 600");
        let expected = "\
LEVEL    CHECK  FOUND           CURE
ok       disk   93 GiB free
warning  clock  1.2 s ahead     set it by NTP
error    key    open to others  chmod 600
";
        let all = [ok.clone(), warning.clone(), error.clone()];
        assert_eq!(render(&all), expected);
        let code = |findings: &[Finding]| {
            let report = DoctorReport {
                level: findings.iter().map(|f| f.level).max().unwrap_or(Level::Ok),
                findings: findings.to_vec(),
            };
            verdict(&report).map_or_else(|error| crate::exit::code_of(&error), |()| 0)
        };
        assert_eq!(code(std::slice::from_ref(&ok)), 0);
        assert_eq!(code(&[ok, warning]), crate::exit::WARNED);
        assert_eq!(code(&all), crate::exit::NO);
    }

    #[tokio::test]
    async fn what_hangs_is_told() {
        let found = within(Duration::from_millis(1), "chains", std::future::pending()).await;
        assert_eq!(found[0].level, Level::Error);
        assert!(found[0].found.contains("15 s"), "{found:?}");
    }
}
