//! What became of tasks at an operator.

use quorate_proto::wire::reply::Kind as ReplyKind;
use quorate_proto::wire::request::Kind as RequestKind;
use quorate_proto::{Address, Domain, Statement, TaskId, wire};

use super::{Client, ClientError, Replies, next, unexpected};
use crate::api::{LiveLine, Timeline};
use crate::record::live_line;

/// What happens at an operator, as it happens. Dropping it takes the interest back.
pub struct Following {
    replies: Replies,
    domain: Domain,
    /// The stream ends with its last client.
    _client: Client,
}

impl Client {
    /// Asks what became of a task at this operator.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn timeline(&self, task: TaskId) -> Result<Timeline, ClientError> {
        let query = wire::TimelineQuery {
            task_id: task.0.to_vec(),
            ..wire::TimelineQuery::default()
        };
        self.told(query, &hex::encode(task.0)).await
    }

    /// Asks what became of the one task whose id begins with these 4 to 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn timeline_of(&self, digits: &str) -> Result<Timeline, ClientError> {
        let digits = digits.strip_prefix("0x").unwrap_or(digits).to_lowercase();
        let query = wire::TimelineQuery {
            begins_with: digits.clone(),
            ..wire::TimelineQuery::default()
        };
        self.told(query, &digits).await
    }

    async fn told(
        &self,
        query: wire::TimelineQuery,
        digits: &str,
    ) -> Result<Timeline, ClientError> {
        let reply = match next(&mut self.send(RequestKind::Timeline(query)).await?).await? {
            ReplyKind::Timeline(reply) => reply,
            other => return Err(unexpected(other)),
        };
        if !hex::encode(&reply.task_id).starts_with(digits) {
            let text = "the timeline of another task";
            return Err(ClientError::Malformed(text.into()));
        }
        Ok(Timeline::read(&reply, &self.domain()?)?)
    }

    /// Follows what happens to tasks at this operator. The stream carries it until the client goes.
    /// Read on or drop it: what the caller does not take holds up the other replies on this connection.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn follow(&self) -> Result<Following, ClientError> {
        Ok(Following {
            replies: self.send(RequestKind::Live(wire::LiveQuery {})).await?,
            domain: self.domain()?,
            _client: self.clone(),
        })
    }

    /// Of the network that the client is on.
    fn domain(&self) -> Result<Domain, ClientError> {
        let parts = self.network.split_once('-').and_then(|(chain, registry)| {
            let registry = format!("0x{registry}").parse::<Address>().ok()?;
            Some(Domain::new(chain.parse().ok()?, registry))
        });
        parts.ok_or_else(|| ClientError::Malformed(format!("{} is no network", self.network)))
    }
}

impl Following {
    /// Waits for something to happen.
    ///
    /// # Errors
    /// [`ClientError`]; also when the operator ends.
    pub async fn next(&mut self) -> Result<Vec<LiveLine>, ClientError> {
        let some = match next(&mut self.replies).await? {
            ReplyKind::Live(some) => some,
            other => return Err(unexpected(other)),
        };
        lines_of(&some, &self.domain)
    }
}

/// What an operator told at once, one line for each event.
pub(super) fn lines_of(
    some: &wire::LiveEvents,
    domain: &Domain,
) -> Result<Vec<LiveLine>, ClientError> {
    let mut lines = Vec::with_capacity(some.events.len());
    if some.skipped > 0 {
        lines.push(LiveLine::Skipped {
            count: some.skipped,
        });
    }
    for event in &some.events {
        let task = TaskId::try_from(event.task_id.as_slice())?;
        let missing = || ClientError::Malformed("a live event without event".into());
        let what = event.event.as_ref().ok_or_else(missing)?;
        let statement = event.statement.as_ref().map(Statement::try_from);
        let statement = statement.transpose()?;
        let line = live_line(task.to_string(), what, statement.as_ref(), domain)?;
        lines.push(line);
    }
    Ok(lines)
}
