//! `node explain --live`: what happens to tasks, as it happens.

use std::io::Write as _;

use quorate_node::api::LiveLine;
use quorate_node::client::{ClientError, Following};

use super::{ExplainArgs, connect, events};
use crate::exit::NegativeAnswer;
use crate::format::{self, printable};
use crate::http::Lines;
use crate::output;

/// Where the lines come from.
enum EventSource {
    Http(Lines),
    Peer(Following),
}

impl EventSource {
    async fn next(&mut self) -> anyhow::Result<Vec<LiveLine>> {
        match self {
            Self::Http(lines) => lines.next().await,
            Self::Peer(following) => following.next().await.map_err(|error| match error {
                ClientError::Failed(failure) => NegativeAnswer(failure.message).into(),
                other => other.into(),
            }),
        }
    }
}

/// Prints until Ctrl-C, or until its reader closes.
pub(super) async fn follow(args: &ExplainArgs) -> anyhow::Result<()> {
    let mut source = match &args.peer {
        Some(peer) => EventSource::Peer(connect(peer, args).await?.follow().await?),
        None => EventSource::Http(args.node.lines("/tasks/live").await?),
    };
    output::note("following; Ctrl-C ends");
    loop {
        let lines = tokio::select! {
            lines = source.next() => lines?,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        if !output::is_read(print(&lines, args.node.json))? {
            return Ok(());
        }
    }
}

fn print(lines: &[LiveLine], json: bool) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for line in lines {
        match json {
            true => writeln!(out, "{}", serde_json::to_string(line)?)?,
            false => writeln!(out, "{}", shown(line))?,
        }
    }
    out.flush()
}

pub(super) fn shown(line: &LiveLine) -> String {
    match line {
        LiveLine::Task {
            task_id,
            at_ms,
            what,
            statement,
        } => {
            let words = events::words(what, None);
            let said = statement
                .as_ref()
                .map(|report| report.statement().words().says);
            let said = said.unwrap_or_default();
            let parts = [words.operator, words.text, said];
            let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let at = format::time_ms(*at_ms as u64);
            let (task, event) = (format::short(task_id), words.event);
            let line = format!("{at}  {task}  {event:<11}  {}", parts.join("  "));
            line.trim_end().to_owned()
        }
        LiveLine::Refused { line } => {
            let at = format::time_ms(line.last_ms);
            let task = line.task_id.as_deref().map(format::short);
            let task = task.unwrap_or_else(|| "-".into());
            let (code, detail) = (&line.code, printable(&line.detail));
            format!(
                "{at}  {task:<17}  {:<11}  {}: {code}: {detail}",
                "not taken", line.origin
            )
        }
        LiveLine::Skipped { count } => {
            format!("… {count} left out: this reader is slower than the node")
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_node::api::{EventKind, RefusedLine};

    use super::*;

    #[test]
    fn each_happening_is_a_line() {
        let task_id = format!("0x{}", "ab".repeat(32));
        let update = super::super::tests::update();
        let line = |what, statement| LiveLine::Task {
            task_id: task_id.clone(),
            at_ms: 1_700_000_060_042.5,
            what,
            statement,
        };
        let opened = EventKind::Opened {
            heard_of: None,
            again: false,
        };
        let table = [
            (
                line(opened, Some(update)),
                "2023-11-14 22:14:20.042 UTC  0xabababab…ababab  opened       begun by this node  \
                 the operators of epoch 8 are the set 0x5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e",
            ),
            (
                line(
                    EventKind::Certified {
                        signers: 3,
                        learned: false,
                    },
                    None,
                ),
                "2023-11-14 22:14:20.042 UTC  0xabababab…ababab  certified    by 3 signatures",
            ),
            (
                LiveLine::Refused {
                    line: RefusedLine {
                        at_ms: 1,
                        last_ms: 1_700_000_060_042,
                        origin: "request".into(),
                        code: "not_final".into(),
                        detail: "block 9 is not final yet".into(),
                        task_id: None,
                        times: 2,
                    },
                },
                "2023-11-14 22:14:20.042 UTC  -                  not taken    \
                 request: not_final: block 9 is not final yet",
            ),
            (
                LiveLine::Skipped { count: 12 },
                "… 12 left out: this reader is slower than the node",
            ),
        ];
        for (line, expected) in table {
            assert_eq!(shown(&line), expected);
        }
    }
}
