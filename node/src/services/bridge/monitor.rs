//! Watches a relayer: balances, what waits and what failed; for its dashboards, figures and alerts.

pub(crate) mod balances;
pub(crate) mod conditions;
pub(crate) mod figures;
mod webhook;
pub(crate) mod work;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use quorate_proto::{B256, Timestamp};
use quorate_storage::Store;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::balances::{Balances, Payer};
use self::conditions::{Conditions, Recent, Told, conditions};
use self::webhook::{Webhook, WebhookHandle};
use self::work::{Picture, Work};
use super::Submitters;
use super::direction::Direction;
use super::settings::BridgeSection;
use super::transfer_store::TransferStore;
use crate::delivery::DeliveryHandle;
use crate::process::supervisor::Tasks;
use crate::{NodeError, clock};

/// Between two looks at the store. Reading a week of deliveries takes a tenth of a second for 100,000 of them.
const LOOK: Duration = Duration::from_secs(10);
/// Failures count for so long, in milliseconds.
const RECENT_MS: u64 = 600_000;
/// Deliveries that are remembered to count failures among.
const MOST_RECENT: usize = 4_096;

/// What was seen last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board {
    /// When; zero before the first look.
    pub(crate) taken: Timestamp,
    pub(crate) picture: Picture,
    pub(crate) payers: Vec<Payer>,
    pub(crate) conditions: Conditions,
}

/// Where it is read.
pub(crate) type BoardView = watch::Receiver<Arc<Board>>;

/// What a monitor looks at.
pub(crate) struct Watched {
    pub(crate) store: Store,
    pub(crate) transfers: TransferStore,
    pub(crate) routes: BTreeMap<B256, Direction>,
    pub(crate) submitters: Submitters,
    pub(crate) deliveries: DeliveryHandle,
}

/// The task.
pub(crate) struct Monitor {
    store: Store,
    transfers: TransferStore,
    routes: BTreeMap<B256, Direction>,
    balances: Balances,
    pause: Duration,
    webhook: Option<WebhookHandle>,
    board: watch::Sender<Arc<Board>>,
    told: Told,
    /// Deliveries that have ended before; `None` before the first look.
    ended: Option<HashSet<B256>>,
    /// When one ended, in which direction, and whether it failed.
    recent: VecDeque<(u64, &'static str, bool)>,
}

impl Monitor {
    /// Starts what posts its alerts, if that is set.
    ///
    /// # Errors
    /// A URL for alerts that cannot be used; a store that cannot be read.
    pub(crate) fn start(
        section: &BridgeSection,
        watched: Watched,
        (tasks, halt): (&mut Tasks, &CancellationToken),
    ) -> Result<Self, NodeError> {
        let webhook = section.alert_webhook.as_ref();
        let webhook = webhook.map(|url| Webhook::new(url.reveal())).transpose()?;
        let webhook = webhook.map(|(task, handle)| {
            tasks.spawn("bridge-alerts", task.run(halt.clone()));
            handle
        });
        let mut balances = Balances::new(section, watched.submitters, watched.deliveries);
        let held = work::stops(&watched.store)?.into_iter();
        let held = held.filter(|stop| stop.is_held && stop.route.is_none());
        balances.recall(held.map(|stop| stop.chain));
        figures::declare(watched.routes.values());
        Ok(Self {
            store: watched.store,
            transfers: watched.transfers,
            routes: watched.routes,
            balances,
            pause: section.balance_check(),
            webhook,
            board: watch::Sender::default(),
            told: Told::default(),
            ended: None,
            recent: VecDeque::new(),
        })
    }

    /// Where dashboards read.
    pub(crate) fn board(&self) -> BoardView {
        self.board.subscribe()
    }

    /// Runs until `token` is cancelled; cancels `checked` once all balances were looked at.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) async fn run(
        mut self,
        checked: CancellationToken,
        token: CancellationToken,
    ) -> Result<(), NodeError> {
        let mut next_check = Instant::now();
        loop {
            if next_check <= Instant::now() {
                if token
                    .run_until_cancelled(self.balances.check())
                    .await
                    .is_none()
                {
                    return Ok(());
                }
                checked.cancel();
                let pause = match self.balances.lacks_any() {
                    true => LOOK.min(self.pause),
                    false => self.pause,
                };
                next_check = Instant::now() + pause;
            }
            self.look().await?;
            let wake = next_check.min(Instant::now() + LOOK);
            if token
                .run_until_cancelled(tokio::time::sleep_until(wake))
                .await
                .is_none()
            {
                return Ok(());
            }
        }
    }

    async fn look(&mut self) -> Result<(), NodeError> {
        let now = clock::now();
        let (store, transfers) = (self.store.clone(), self.transfers.clone());
        let routes = self.routes.clone();
        let looked =
            tokio::task::spawn_blocking(move || work::look(&store, &transfers, &routes, now));
        let picture = looked.await.map_err(|panic| NodeError::Panic {
            reason: panic.to_string(),
        })??;
        self.count(&picture)?;
        let (payers, recent) = (self.balances.payers.clone(), self.recent(now));
        figures::gauge(&picture, &payers);
        let conditions = conditions(&picture, &payers, &recent);
        for alert in self.told.tell(&conditions, now) {
            tracing::warn!(level = ?alert.level, what = alert.what, detail = alert.detail, "alert");
            if let Some(webhook) = &self.webhook {
                webhook.send(alert);
            }
        }
        self.board.send_replace(Arc::new(Board {
            taken: now,
            picture,
            payers,
            conditions,
        }));
        Ok(())
    }

    /// Counts what has ended since the last look. What ended before the first one was counted by the former run.
    fn count(&mut self, picture: &Picture) -> Result<(), NodeError> {
        if let Some(known) = &self.ended {
            for (direction, work) in &picture.works {
                for ended in work::news(work, known) {
                    let seen_ms = self.transfers.seen_ms(&ended.key)?;
                    figures::count(
                        *direction,
                        ended.failed,
                        seen_ms.map(|seen| (seen, ended.at_ms)),
                    );
                    self.recent
                        .push_back((ended.at_ms, direction.name(), ended.failed));
                }
            }
        }
        let works = picture.works.values();
        let ids = works.flat_map(|work: &Work| work.ended.keys().copied());
        self.ended = Some(ids.collect());
        Ok(())
    }

    fn recent(&mut self, now: Timestamp) -> Recent {
        let from = now.millis().saturating_sub(RECENT_MS);
        self.recent.retain(|(at, ..)| *at >= from);
        let beyond = self.recent.len().saturating_sub(MOST_RECENT);
        self.recent.drain(..beyond);
        let mut counted = Recent::new();
        for (_, name, failed) in &self.recent {
            let (all, bad) = counted.entry(*name).or_default();
            *all += 1;
            *bad += u64::from(*failed);
        }
        counted
    }
}

#[cfg(test)]
mod tests;
