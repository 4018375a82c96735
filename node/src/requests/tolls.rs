//! What users may ask: requests per second and under way, per user and per range of addresses.
//!
//! A user is a peer id, which costs nothing to make. So the range that it calls from is counted, too.

use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libp2p::PeerId;
use quorate_proto::{TaskId, Timestamp, wire};
use quorate_protocols::limiter::{Exceeded, Rate, RateLimiter, Shares};

use super::begun::Begun;
use super::turns::Source;
use crate::clock;
use crate::network::Range;
use crate::settings::LiveSettings;

/// Users, and ranges, whose rate is remembered, 100 bytes each. Those that ask nothing are forgotten first; where
/// all ask, new ones are refused.
const MAX_ACCOUNTS: usize = 8_192;

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Limit {
    #[error(
        "{0} requests a second are the most for one user (user_requests_per_second); ask more slowly"
    )]
    UserRate(u32),
    #[error("{0} requests under way are the most for one user (user_requests); wait for replies")]
    User(u32),
    #[error(
        "{0} requests a second are the most for your range of addresses (range_requests_per_second); ask more slowly, or ask another operator"
    )]
    RangeRate(u32),
    #[error(
        "{0} requests under way are the most for your range of addresses (range_requests); wait, or ask another operator"
    )]
    Range(u32),
    #[error("{MAX_ACCOUNTS} users are served already; ask another operator")]
    Users,
    #[error(
        "{0} new tasks a second are this operator's share (mesh_tasks_per_second), of which your range of addresses has its part; ask more slowly, or ask another operator"
    )]
    Tasks(u32),
    #[error(
        "{0} new tasks a day are the most for your range of addresses (range_tasks_per_day); ask tomorrow, or ask another operator"
    )]
    Day(u32),
}

/// What a request costs, in requests: a search for the block of a time asks for some twenty headers.
pub(super) const fn cost_of(request: &wire::Request) -> u32 {
    match &request.kind {
        Some(wire::request::Kind::State(wire::StateRequest {
            at: Some(wire::state_request::At::Timestamp(_)),
            ..
        })) => 4,
        // Also the target chain is asked.
        Some(wire::request::Kind::Transfer(_)) => 4,
        _ => 1,
    }
}

impl Limit {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::UserRate(_) => "user_requests_per_second",
            Self::User(_) => "user_requests",
            Self::RangeRate(_) => "range_requests_per_second",
            Self::Range(_) => "range_requests",
            Self::Users => "users",
            Self::Tasks(_) => "mesh_tasks_per_second",
            Self::Day(_) => "range_tasks_per_day",
        }
    }
}

/// Counts what users ask.
#[derive(Clone)]
pub(super) struct Tolls {
    live: LiveSettings,
    book: Arc<Mutex<Book>>,
}

struct Book {
    users: Accounts<PeerId>,
    ranges: Accounts<Range>,
    begun: Begun,
}

struct Accounts<K> {
    rates: RateLimiter<K>,
    /// As many as streams allow.
    under_way: Shares<K>,
}

/// Which limit of a key is reached.
enum Full {
    Rate,
    UnderWay,
    Accounts,
}

impl<K: Eq + Hash + Copy> Accounts<K> {
    fn new(rate: Rate) -> Self {
        Self {
            rates: RateLimiter::new(rate, MAX_ACCOUNTS),
            under_way: Shares::default(),
        }
    }

    fn enter(&mut self, now: Timestamp, most: u32, cost: u32, key: K) -> Result<(), Full> {
        if self.under_way.of(&key) >= most as usize {
            return Err(Full::UnderWay);
        }
        let taken = self.rates.take(now, key, cost);
        taken.map_err(|exceeded| match exceeded {
            Exceeded::Rate => Full::Rate,
            Exceeded::Accounts => Full::Accounts,
        })?;
        self.under_way.take(key);
        Ok(())
    }
}

/// One request's place; dropping it frees it.
pub(super) struct Pass {
    book: Arc<Mutex<Book>>,
    tasks_per_day: u32,
    user: PeerId,
    range: Option<Range>,
}

impl Pass {
    /// Where the request comes from.
    pub(super) fn source(&self) -> Source {
        self.range.map_or(Source::Peer(self.user), Source::Range)
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a task, of the new ones that this operator may begin.
    fn begin_task(&self, now: Timestamp, task: TaskId, rate: Rate) -> Result<(), Limit> {
        let begun = &mut self.lock().begun;
        begun.begin(now, (self.source(), task), rate, self.tasks_per_day)
    }

    /// As [`Self::begin_task`]; where its source has begun what it may, behind those of it that wait already.
    pub(super) async fn begin_in_turn(
        &self,
        task: TaskId,
        rate: Rate,
        patience: Duration,
    ) -> Result<(), Limit> {
        let first = self.begin_task(clock::now(), task, rate);
        let Err(Limit::Tasks(_)) = first else {
            return first;
        };
        let queue = self.lock().begun.queue(self.source());
        let queue = queue.ok_or(Limit::Users)?;
        let turn = async {
            let _turn = queue.lock().await;
            loop {
                let now = clock::now();
                match self.begin_task(now, task, rate) {
                    Err(Limit::Tasks(_)) => {}
                    begun => return begun,
                }
                let pause = self.lock().begun.pause(now, self.source(), rate);
                tokio::time::sleep(pause).await;
            }
        };
        let begun = tokio::time::timeout(patience, turn).await;
        begun.unwrap_or(first)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut book = self.lock();
        book.users.under_way.give_back(&self.user);
        if let Some(range) = self.range {
            book.ranges.under_way.give_back(&range);
        }
    }
}

impl Tolls {
    pub(super) fn new(live: LiveSettings) -> Self {
        let limits = live.borrow().limits.requests;
        let book = Arc::new(Mutex::new(Book {
            users: Accounts::new(rate_of(limits.user_per_second)),
            ranges: Accounts::new(rate_of(limits.range_per_second)),
            begun: Begun::default(),
        }));
        Self { live, book }
    }

    /// A place for one more request of this user, which calls from this range; `None` where its range is
    /// exempt.
    pub(super) fn enter(
        &self,
        now: Timestamp,
        user: PeerId,
        range: Option<Range>,
        cost: u32,
    ) -> Result<Pass, Limit> {
        let limits = self.live.borrow().limits.requests;
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.users.rates.set_rate(rate_of(limits.user_per_second));
        book.ranges.rates.set_rate(rate_of(limits.range_per_second));
        let most = limits.user_under_way;
        let entered = book.users.enter(now, most, cost, user);
        entered.map_err(|full| match full {
            Full::Rate => Limit::UserRate(limits.user_per_second),
            Full::UnderWay => Limit::User(most),
            Full::Accounts => Limit::Users,
        })?;
        if let Some(range) = range {
            let most = limits.range_under_way;
            if let Err(full) = book.ranges.enter(now, most, cost, range) {
                book.users.under_way.give_back(&user);
                return Err(match full {
                    Full::Rate => Limit::RangeRate(limits.range_per_second),
                    Full::UnderWay => Limit::Range(most),
                    Full::Accounts => Limit::Users,
                });
            }
        }
        drop(book);
        let book = self.book.clone();
        Ok(Pass {
            book,
            tasks_per_day: limits.range_tasks_per_day,
            user,
            range,
        })
    }
}

/// Two seconds' worth may come at once.
const fn rate_of(per_second: u32) -> Rate {
    Rate {
        per_second,
        burst: per_second.saturating_mul(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Limits, Reloadable, RequestLimits, fixed};

    const LIMITS: RequestLimits = RequestLimits {
        user_per_second: 10,
        user_under_way: 4,
        range_per_second: 30,
        range_under_way: 6,
        range_tasks_per_day: 50,
    };

    fn tolls() -> Tolls {
        let limits = Limits {
            requests: LIMITS,
            ..Limits::default()
        };
        Tolls::new(fixed(Reloadable {
            limits,
            ..Reloadable::default()
        }))
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp(1_000_000_000).plus_millis(millis)
    }

    fn range(last: u8) -> Range {
        Range::of([203, 0, last, 1].into())
    }

    #[test]
    fn a_user_has_its_rate_and_its_places() {
        let (tolls, user) = (tolls(), PeerId::random());
        let passes: Vec<Pass> = (0..4)
            .map(|_| tolls.enter(at(0), user, None, 1).ok().unwrap())
            .collect();
        assert_eq!(
            tolls.enter(at(0), user, None, 1).err(),
            Some(Limit::User(4))
        );
        drop(passes);
        let enter = |millis| tolls.enter(at(millis), user, None, 1).map(drop);
        for _ in 4..20 {
            enter(0).unwrap();
        }
        assert_eq!(enter(99), Err(Limit::UserRate(10)));
        assert_eq!(enter(100), Ok(()));
        assert_eq!(enter(100), Err(Limit::UserRate(10)));
        assert!(
            Limit::UserRate(10)
                .to_string()
                .contains("10 requests a second")
        );
        let other = PeerId::random();
        assert!(tolls.enter(at(100), other, None, 1).is_ok());
    }

    #[test]
    fn many_users_of_one_range_share_what_a_range_has() {
        let tolls = tolls();
        let enter = |millis, last| tolls.enter(at(millis), PeerId::random(), Some(range(last)), 1);
        let passes: Vec<Pass> = (0..6).map(|_| enter(0, 1).ok().unwrap()).collect();
        assert_eq!(enter(0, 1).err(), Some(Limit::Range(6)));
        assert!(enter(0, 2).is_ok(), "other ranges do not notice");
        drop(passes);
        for _ in 6..60 {
            enter(0, 1).ok().unwrap();
        }
        assert_eq!(enter(0, 1).err(), Some(Limit::RangeRate(30)));
        assert!(enter(1_000, 1).is_ok());
    }

    #[test]
    fn a_request_that_its_range_cannot_take_holds_no_place_of_its_user() {
        let (tolls, user) = (tolls(), PeerId::random());
        let neighbour = PeerId::random();
        let passes: Vec<Pass> = (0..4)
            .map(|_| {
                tolls
                    .enter(at(0), neighbour, Some(range(1)), 1)
                    .ok()
                    .unwrap()
            })
            .collect();
        let own: Vec<Pass> = (0..2)
            .map(|_| tolls.enter(at(0), user, Some(range(1)), 1).ok().unwrap())
            .collect();
        for _ in 0..10 {
            assert!(tolls.enter(at(0), user, Some(range(1)), 1).is_err());
        }
        drop(passes);
        assert!(tolls.enter(at(0), user, Some(range(1)), 1).is_ok());
        drop(own);
        let book = tolls.book.lock().unwrap();
        assert_eq!(book.users.under_way.total(), 0);
        assert_eq!(book.ranges.under_way.total(), 0);
    }

    #[test]
    fn questions_of_a_time_cost_more() {
        let question = |at| wire::Request {
            id: 1,
            kind: Some(wire::request::Kind::State(wire::StateRequest {
                at: Some(at),
                ..wire::StateRequest::default()
            })),
        };
        let by_time = cost_of(&question(wire::state_request::At::Timestamp(5)));
        let by_block = cost_of(&question(wire::state_request::At::BlockNumber(5)));
        assert_eq!((by_time, by_block), (4, 1));
        let tolls = tolls();
        let enter = || tolls.enter(at(0), PeerId::random(), Some(range(1)), by_time);
        for _ in 0..15 {
            assert!(enter().is_ok());
        }
        assert_eq!(enter().err(), Some(Limit::RangeRate(30)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let tolls = tolls();
        let mut passes = Vec::new();
        let refused = loop {
            match tolls.enter(at(0), PeerId::random(), None, 1) {
                Ok(pass) => passes.push(pass),
                Err(refused) => break refused,
            }
        };
        assert_eq!((refused, passes.len()), (Limit::Users, MAX_ACCOUNTS));
        passes.truncate(1);
        // Their buckets are full again: they are forgotten.
        assert!(tolls.enter(at(1_000), PeerId::random(), None, 1).is_ok());
        assert_eq!(tolls.book.lock().unwrap().users.rates.len(), 1);
    }
}
