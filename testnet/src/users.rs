//! Users who ask without end, and elsewhere when an operator fails them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use libp2p::Multiaddr;
use quorate_node::client::{Answer, Client, StateQuestion};
use quorate_proto::TaskId;
use tokio::task::JoinSet;

use crate::wait;

/// Longer than a task may take: who answers nothing at all is given up.
const NO_ANSWER: Duration = Duration::from_secs(20);

/// What the users ask, and whom.
pub struct UserOptions {
    /// Operators, taken in turns where one fails.
    pub entries: Vec<Multiaddr>,
    /// Questions under way at any time.
    pub in_flight: usize,
    /// Pause of each user after an answer.
    pub pause: Duration,
    /// How long a question may go without a certificate.
    pub patience: Duration,
    /// The question with this number.
    pub question: Box<dyn Fn(u64) -> StateQuestion + Send + Sync>,
}

/// Asks without end. A question that failed is asked elsewhere, until it has its certificate.
pub struct Users {
    shared: Arc<UserState>,
    workers: JoinSet<Result<()>>,
}

struct UserState {
    habits: UserOptions,
    over: AtomicBool,
    next: AtomicU64,
    retried: AtomicU64,
    answered: Mutex<UserAnswers>,
}

/// What came of it.
#[derive(Default)]
pub struct UserAnswers {
    /// Every certificate that a user was handed.
    pub answers: HashMap<TaskId, Answer>,
    /// The longest time without a new one.
    pub longest_gap: Duration,
    last: Option<Instant>,
}

impl UserAnswers {
    fn add(&mut self, answer: Answer) {
        let now = Instant::now();
        if let Some(last) = self.last.replace(now) {
            self.longest_gap = self.longest_gap.max(now - last);
        }
        self.answers.insert(answer.task_id, answer);
    }
}

impl Users {
    /// Begins to ask.
    #[must_use]
    pub fn start(habits: UserOptions) -> Self {
        let shared = Arc::new(UserState {
            habits,
            over: AtomicBool::new(false),
            next: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            answered: Mutex::default(),
        });
        let mut workers = JoinSet::new();
        for worker in 0..shared.habits.in_flight {
            workers.spawn(shared.clone().ask(worker));
        }
        Self { shared, workers }
    }

    /// Tasks with a certificate so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.answered().answers.len()
    }

    /// How often a question was asked again.
    #[must_use]
    pub fn retried(&self) -> u64 {
        self.shared.retried.load(Ordering::SeqCst)
    }

    /// Asks nothing new and waits until every question has its certificate.
    ///
    /// # Errors
    /// A question without one for longer than the users' patience.
    pub async fn finish(mut self) -> Result<UserAnswers> {
        self.shared.over.store(true, Ordering::SeqCst);
        while let Some(worker) = self.workers.join_next().await {
            worker??;
        }
        Ok(std::mem::take(&mut self.shared.answered()))
    }
}

impl UserState {
    fn answered(&self) -> MutexGuard<'_, UserAnswers> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(self: Arc<Self>, worker: usize) -> Result<()> {
        let mut entry = worker;
        let mut client = None;
        while !self.over.load(Ordering::SeqCst) {
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            let question = (self.habits.question)(number);
            let deadline = Instant::now() + self.habits.patience;
            loop {
                match self.once(&mut client, entry, &question).await {
                    Ok(answer) => {
                        self.answered().add(answer);
                        break;
                    }
                    Err(error) => {
                        ensure!(
                            Instant::now() < deadline,
                            "question {number} ({question:?}) has no certificate: {error:#}"
                        );
                        self.retried.fetch_add(1, Ordering::SeqCst);
                        client = None;
                        entry += 1;
                        wait::tick().await;
                    }
                }
            }
            tokio::time::sleep(self.habits.pause).await;
        }
        Ok(())
    }

    async fn once(
        &self,
        client: &mut Option<Client>,
        entry: usize,
        question: &StateQuestion,
    ) -> Result<Answer> {
        let address = &self.habits.entries[entry % self.habits.entries.len()];
        let client = match client {
            Some(client) => client,
            None => client.insert(Client::connect(address, None).await?),
        };
        let answer = client.request_state(question, |_| {});
        let answer = tokio::time::timeout(NO_ANSWER, answer).await;
        Ok(answer.context("no answer at all")??)
    }
}
