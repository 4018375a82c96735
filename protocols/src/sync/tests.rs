//! Stores as maps, and peers that answer from theirs at once.

#![allow(
    clippy::arithmetic_side_effects,
    reason = "tests panic on overflow, as they should"
)]

use std::collections::VecDeque;

use proptest::prelude::*;
use quorate_proto::{B256, Fingerprint, TaskId, TaskState, bucket_of};

use super::*;
use crate::fixtures::at;

const MEMBERS: usize = 5;
/// Tasks in a page, and tasks that the asker says to hold: small, so that there are many.
const PAGE: usize = 3;
const HAVE: usize = 4;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Store(BTreeMap<(Epoch, TaskId), TaskState>);

fn id(number: u64) -> TaskId {
    // A few buckets only, so that they hold several tasks.
    let mut bytes = [0; 32];
    bytes[0] = u8::try_from(number % 7).unwrap();
    bytes[24..].copy_from_slice(&number.to_be_bytes());
    TaskId(B256::from(bytes))
}

fn state(signed: &[usize]) -> TaskState {
    let mut state = TaskState::nothing(MEMBERS);
    for member in signed {
        state.sign(*member);
    }
    state
}

impl Store {
    fn of(tasks: impl IntoIterator<Item = (u32, u64, Vec<usize>)>) -> Self {
        let mut store = Self::default();
        for (epoch, number, signed) in tasks {
            store.take((Epoch(epoch), id(number)), &state(&signed));
        }
        store
    }

    fn take(&mut self, key: (Epoch, TaskId), more: &TaskState) -> bool {
        let fresh = !self.0.contains_key(&key);
        let held = self
            .0
            .entry(key)
            .or_insert_with(|| TaskState::nothing(MEMBERS));
        held.merge(more);
        fresh
    }

    fn root(&self, epoch: Epoch, bucket: Option<u8>) -> Root {
        let mut all = Fingerprint::default();
        for ((of, task), state) in &self.0 {
            if *of == epoch && bucket.is_none_or(|bucket| bucket_of(*task) == bucket) {
                all.add(state.hash(*task));
            }
        }
        Root::from(&all)
    }

    fn epochs(&self) -> Vec<Epoch> {
        let mut epochs: Vec<Epoch> = self.0.keys().map(|(epoch, _)| *epoch).collect();
        epochs.dedup();
        epochs
    }

    fn range(
        &self,
        epoch: Epoch,
        after: Option<TaskId>,
        until: TaskId,
    ) -> Vec<(TaskId, TaskState)> {
        let inside =
            |(of, task): &(Epoch, TaskId)| *of == epoch && Some(*task) > after && *task <= until;
        let rows = self.0.iter().filter(|(key, _)| inside(key));
        rows.map(|((_, task), state)| (*task, state.clone()))
            .collect()
    }

    /// What the driver tells its machine after it asked `theirs`, and took over what came.
    fn ask(&mut self, theirs: &Self, peer: Peer, query: Query) -> Input {
        match query {
            Query::Summary(first) => self.summary(theirs, peer, first),
            Query::Set(epoch) => Input::Set {
                peer,
                epoch,
                known: epoch.0 % 5 != 4,
            },
            Query::Buckets(epoch) => {
                let pair = |bucket| Pair {
                    theirs: theirs.root(epoch, Some(bucket)),
                    ours: self.root(epoch, Some(bucket)),
                };
                let pairs = (0..=u8::MAX).map(pair).collect();
                Input::Buckets { peer, epoch, pairs }
            }
            Query::Range {
                epoch,
                after,
                until,
            } => self.fetch(theirs, peer, epoch, after, until),
            Query::Recent { .. } => Input::Recent {
                peer,
                instance: 1,
                next: 1,
                gap: false,
                more: false,
                missing: Vec::new(),
            },
            Query::Tasks(tasks) => {
                for key in tasks {
                    if let Some(state) = theirs.0.get(&key) {
                        self.take(key, state);
                    }
                }
                Input::Tasks {
                    peer,
                    left_out: None,
                }
            }
        }
    }

    fn summary(&self, theirs: &Self, peer: Peer, first: Epoch) -> Input {
        let pair = |epoch: Epoch| EpochPair {
            epoch,
            theirs: theirs.root(epoch, None),
            ours: self.root(epoch, None),
            // Some sets are known, some peers give, and some cannot be had.
            set_known: epoch.0 % 5 < 3,
        };
        let mut epochs = theirs.epochs();
        epochs.retain(|epoch| *epoch >= first);
        let more = epochs.len() > 2;
        epochs.truncate(2);
        let epochs = epochs.into_iter().map(pair).collect();
        Input::Summary { peer, epochs, more }
    }

    fn fetch(
        &mut self,
        theirs: &Self,
        peer: Peer,
        epoch: Epoch,
        after: Option<TaskId>,
        until: TaskId,
    ) -> Input {
        let mut have = self.range(epoch, after, until);
        let mut upto = until;
        if have.len() > HAVE {
            have.truncate(HAVE);
            upto = have.last().unwrap().0;
        }
        let mut missing = theirs.range(epoch, after, upto);
        missing.retain(|row| !have.contains(row));
        if missing.len() > PAGE {
            missing.truncate(PAGE);
            upto = missing.last().unwrap().0;
        }
        let items = missing.len() as u64;
        let takes = missing
            .iter()
            .map(|(task, state)| self.take((epoch, *task), state));
        let fresh = takes.filter(|fresh| *fresh).count() as u64;
        let page = Page {
            upto,
            items,
            fresh,
            left_out: None,
        };
        Input::Page { peer, page }
    }
}

/// A machine, its store, and the peers that it asks.
struct Story {
    machine: Sync,
    store: Store,
    peers: Vec<Store>,
    now: Timestamp,
    asked: usize,
}

impl Story {
    fn new(store: Store, peers: Vec<Store>) -> Self {
        Self {
            machine: Sync::new(),
            store,
            peers,
            now: at(0),
            asked: 0,
        }
    }

    fn connect(&mut self) -> VecDeque<Output> {
        let mut outputs = VecDeque::new();
        for peer in 0..self.peers.len() as u64 {
            let input = Input::Connected(Peer(peer));
            outputs.extend(self.machine.handle(self.now, input));
        }
        outputs
    }

    /// Until nothing is asked any more at this time.
    fn run(&mut self, mut outputs: VecDeque<Output>) {
        while let Some(output) = outputs.pop_front() {
            let Output::Ask(peer, query) = output else {
                panic!("an honest peer is blamed: {output:?}");
            };
            self.asked += 1;
            assert!(self.asked < 10_000, "no end");
            let theirs = self.peers[peer.0 as usize].clone();
            let input = self.store.ask(&theirs, peer, query);
            outputs.extend(self.machine.handle(self.now, input));
        }
    }

    fn wake(&mut self) {
        self.now = self
            .machine
            .next_wake()
            .expect("peers to follow")
            .max(self.now);
        let outputs = self.machine.handle(self.now, Input::Wake);
        self.run(outputs.into());
    }
}

fn known_set(epoch: &Epoch) -> bool {
    epoch.0 % 5 != 4
}

/// All of them, but for epochs whose set cannot be had.
fn all_of(store: &Store, peers: &[Store]) -> Store {
    let mut all = store.clone();
    for (key, state) in peers.iter().flat_map(|peer| &peer.0) {
        if known_set(&key.0) {
            all.take(*key, state);
        }
    }
    all
}

#[test]
fn a_node_in_agreement_asks_one_summary_of_each_peer() {
    let store = Store::of((0..50).map(|task| (1, task, vec![0, 1])));
    let mut story = Story::new(store.clone(), vec![store.clone(), store.clone()]);
    let outputs = story.connect();
    story.run(outputs);
    assert_eq!(story.asked, 4, "what is new, and a summary, of both");
    assert_eq!(story.machine.agreed(), 2);
    assert_eq!(story.machine.behind(), 0);
}

#[test]
fn an_empty_node_takes_over_everything() {
    let full = Store::of((0..100).map(|task| (task as u32 % 4, task, vec![0, 1, 2])));
    let mut story = Story::new(Store::default(), vec![full.clone(), full.clone()]);
    let outputs = story.connect();
    story.run(outputs);
    assert_eq!(story.store, full);
    assert_eq!(story.machine.agreed(), 2);
    assert_eq!(story.machine.ranges(), 0);
}

#[test]
fn epochs_below_the_floor_are_left_alone() {
    let full = Store::of((0..20).map(|task| (task as u32 % 4, task, vec![0])));
    let mut story = Story::new(Store::default(), vec![full]);
    story.machine.handle(at(0), Input::Floor(Epoch(2)));
    let outputs = story.connect();
    story.run(outputs);
    assert_eq!(story.store.epochs(), [Epoch(2), Epoch(3)]);
}

#[test]
fn what_a_peer_lacks_is_not_looked_for_again() {
    let more = Store::of([(1, 1, vec![0, 1]), (1, 2, vec![0])]);
    let less = Store::of([(1, 1, vec![0])]);
    let mut story = Story::new(more.clone(), vec![less]);
    let outputs = story.connect();
    story.run(outputs);
    let first = story.asked;
    story.now = at(COMPARE_MS + 1);
    let outputs = story.machine.handle(story.now, Input::Wake);
    story.run(outputs.into());
    assert_eq!(story.store, more);
    assert_eq!(story.asked - first, 2, "what is new, and a summary");
}

#[test]
fn what_is_new_is_asked_for_every_second_and_fetched_at_once() {
    let mut story = Story::new(Store::default(), vec![Store::of([(1, 1, vec![3])])]);
    let peer = Peer(0);
    let outputs = story.connect();
    story.run(outputs);
    let wake = story.machine.next_wake();
    assert_eq!(wake, Some(at(FOLLOW_MS)));
    let asked = story.machine.handle(at(FOLLOW_MS), Input::Wake);
    let following = Query::Recent {
        instance: 1,
        after: 1,
    };
    assert_eq!(asked, [Output::Ask(peer, following)]);
    let missing = vec![(Epoch(1), id(9))];
    let news = Input::Recent {
        peer,
        instance: 1,
        next: 2,
        gap: false,
        more: false,
        missing: missing.clone(),
    };
    let asked = story.machine.handle(at(FOLLOW_MS), news);
    assert_eq!(asked, [Output::Ask(peer, Query::Tasks(missing))]);
}

/// Who is asked what is new, and when, in the first `millis` after all connected at once; in between
/// the machine sleeps until the time that it names.
fn followed(peers: usize, millis: u64) -> Vec<(Timestamp, Peer)> {
    let full = Store::of([(1, 1, vec![3])]);
    let mut story = Story::new(full.clone(), vec![full; peers]);
    let mut outputs = story.connect();
    let mut asked = Vec::new();
    loop {
        while let Some(output) = outputs.pop_front() {
            let Output::Ask(peer, query) = output else {
                panic!("an honest peer is blamed: {output:?}");
            };
            if matches!(query, Query::Recent { .. }) {
                asked.push((story.now, peer));
            }
            let theirs = story.peers[peer.0 as usize].clone();
            let input = story.store.ask(&theirs, peer, query);
            outputs.extend(story.machine.handle(story.now, input));
        }
        let next = story.machine.next_wake().unwrap();
        assert!(next > story.now, "it does not sleep");
        if next > at(millis) {
            assert_eq!(story.machine.agreed(), peers);
            return asked;
        }
        story.now = next;
        outputs = story.machine.handle(next, Input::Wake).into();
        assert!(!outputs.is_empty(), "woken for nothing");
    }
}

#[test]
fn within_any_second_as_many_peers_as_there_are_turns_are_asked_what_is_new() {
    const MILLIS: u64 = 60_000;
    for peers in [1, 2, 3, 4, 9, MAX_PEERS] {
        let asked = followed(peers, MILLIS);
        for begin in (0..MILLIS - FOLLOW_MS).step_by(50) {
            let window = at(begin)..at(begin + FOLLOW_MS);
            let within = asked.iter().filter(|(when, _)| window.contains(when));
            let mut who: Vec<Peer> = within.map(|(_, peer)| *peer).collect();
            let questions = who.len();
            who.sort_unstable();
            who.dedup();
            let expected = FOLLOWED.min(peers);
            assert_eq!(
                (questions, who.len()),
                (expected, expected),
                "{peers} peers"
            );
        }
        // Each in its turn, none twice before another one.
        let round: std::collections::BTreeSet<Peer> =
            asked.iter().take(peers).map(|(_, peer)| *peer).collect();
        assert_eq!(round.len(), peers);
    }
}

#[test]
fn a_new_peer_is_followed_at_once_where_it_can_be_and_compared_afterwards() {
    let full = Store::of([(1, 1, vec![3])]);
    let mut story = Story::new(full.clone(), vec![full; FOLLOWED]);
    let outputs = story.connect();
    story.run(outputs);
    let late = Peer(9);
    assert_eq!(story.machine.handle(at(1), Input::Connected(late)), []);
    assert_eq!(story.machine.next_wake(), Some(at(FOLLOW_MS)));
    let first = Query::Recent {
        instance: 0,
        after: 0,
    };
    // It has waited for longer than those whose pause is over by then.
    let asked = story.machine.handle(at(FOLLOW_MS), Input::Wake);
    assert_eq!(asked.len(), FOLLOWED);
    assert_eq!(asked[0], Output::Ask(late, first.clone()));
    let mut two = Story::new(Store::default(), vec![Store::default(); 2]);
    let outputs = two.connect();
    two.run(outputs);
    let asked = two.machine.handle(at(1), Input::Connected(late));
    assert_eq!(asked, [Output::Ask(late, first)]);
}

#[test]
fn more_changes_are_asked_for_out_of_turn() {
    let full = Store::of([(1, 1, vec![3])]);
    let mut story = Story::new(full.clone(), vec![full; FOLLOWED]);
    let outputs = story.connect();
    story.run(outputs);
    let outputs = story.machine.handle(at(FOLLOW_MS), Input::Wake);
    let Some(Output::Ask(peer, _)) = outputs.first().cloned() else {
        panic!("{outputs:?}");
    };
    let more = Input::Recent {
        peer,
        instance: 1,
        next: 2,
        gap: false,
        more: true,
        missing: Vec::new(),
    };
    story.machine.handle(at(FOLLOW_MS), more);
    let soon = at(FOLLOW_MS + PAGE_MS);
    assert_eq!(story.machine.next_wake(), Some(soon));
    let asked = story.machine.handle(soon, Input::Wake);
    assert!(
        matches!(asked.as_slice(), [Output::Ask(same, Query::Recent { after: 2, .. })] if *same == peer),
        "{asked:?}"
    );
}

/// Answers everything, but leaves out all tasks of epoch 1 that come in ranges.
fn run_leaving_out(story: &mut Story, outputs: Vec<Output>, after: u64) {
    let mut outputs = VecDeque::from(outputs);
    while let Some(output) = outputs.pop_front() {
        let input = match output {
            Output::Ask(
                peer,
                Query::Range {
                    epoch: Epoch(1),
                    until,
                    ..
                },
            ) => {
                let page = Page {
                    upto: until,
                    items: 1,
                    fresh: 0,
                    left_out: Some(after),
                };
                Input::Page { peer, page }
            }
            Output::Ask(peer, query) => {
                let theirs = story.peers[peer.0 as usize].clone();
                story.store.ask(&theirs, peer, query)
            }
            Output::Lied(..) => panic!("nobody lied"),
        };
        outputs.extend(story.machine.handle(story.now, input));
    }
}

#[test]
fn what_was_left_out_is_taken_when_there_is_room_for_it() {
    const AFTER: u64 = 600_000;
    let full = Store::of([(1, 1, vec![3]), (2, 2, vec![3])]);
    let mut story = Story::new(Store::default(), vec![full.clone()]);
    let outputs = story.connect();
    run_leaving_out(&mut story, outputs.into(), AFTER);
    assert_eq!(story.store.epochs(), [Epoch(2)]);
    assert_eq!(story.machine.agreed(), 0, "something is missing");
    // Not before there can be room.
    while story.machine.next_wake().unwrap() < at(AFTER) {
        story.wake();
        assert_eq!(story.store.epochs(), [Epoch(2)]);
    }
    story.wake();
    assert_eq!(story.store, full);
    assert_eq!(story.machine.agreed(), 1);
}

#[test]
fn what_following_left_out_is_compared_for() {
    let full = Store::of([(1, 1, vec![3])]);
    let mut story = Story::new(Store::default(), vec![full.clone()]);
    let outputs = story.connect();
    story.run(outputs);
    let peer = Peer(0);
    story.peers[0].take((Epoch(1), id(2)), &state(&[2]));
    let left_out = Some(COMPARE_AGAIN_MS);
    story
        .machine
        .handle(at(10), Input::Tasks { peer, left_out });
    while story.machine.next_wake().unwrap() < at(10 + COMPARE_AGAIN_MS) {
        story.wake();
        assert_eq!(story.store, full);
    }
    story.wake();
    assert_eq!(story.store, story.peers[0]);
}

#[test]
fn a_gap_leads_to_a_comparison_but_not_to_one_after_the_other() {
    let full = Store::of([(1, 1, vec![3])]);
    let mut story = Story::new(full.clone(), vec![full]);
    let peer = Peer(0);
    let outputs = story.connect();
    story.run(outputs);
    let gap = Input::Recent {
        peer,
        instance: 2,
        next: 7,
        gap: true,
        more: false,
        missing: Vec::new(),
    };
    let mut summaries = 0;
    for second in 1..=60 {
        let mut outputs: VecDeque<Output> =
            story.machine.handle(at(second * 1_000), Input::Wake).into();
        while let Some(output) = outputs.pop_front() {
            let input = match output {
                Output::Ask(_, Query::Recent { .. }) => gap.clone(),
                Output::Ask(_, query) => {
                    summaries += 1;
                    let theirs = story.peers[0].clone();
                    story.store.ask(&theirs, peer, query)
                }
                Output::Lied(..) => panic!("nobody lied"),
            };
            outputs.extend(story.machine.handle(at(second * 1_000), input));
        }
    }
    assert_eq!(summaries, 3, "one every 20 s");
}

#[test]
fn who_sends_more_than_it_says_to_hold_is_shunned_and_another_one_asked() {
    let full = Store::of((0..30).map(|task| (1, task, vec![0])));
    let mut story = Story::new(Store::default(), vec![full.clone(), full.clone()]);
    let mut outputs = story.connect();
    let mut lied = 0;
    while let Some(output) = outputs.pop_front() {
        let input = match output {
            Output::Ask(peer @ Peer(1), Query::Range { after, .. }) => {
                let upto = after.unwrap_or(id(0));
                let page = Page {
                    upto,
                    items: 100_000,
                    fresh: 0,
                    left_out: None,
                };
                Input::Page { peer, page }
            }
            Output::Ask(peer, query) => story.store.ask(&full, peer, query),
            Output::Lied(peer, _) => {
                assert_eq!(peer, Peer(1));
                lied += 1;
                continue;
            }
        };
        outputs.extend(story.machine.handle(story.now, input));
    }
    assert_eq!(lied, 1);
    assert_eq!(story.store, full);
    // For a minute the machine does not ask it.
    for _ in 0..50 {
        story.now = story.machine.next_wake().unwrap().max(story.now);
        for output in story.machine.handle(story.now, Input::Wake) {
            let Output::Ask(peer, query) = output else {
                panic!("a lie while it is shunned")
            };
            assert_eq!(peer, Peer(0));
            let input = story.store.ask(&full, peer, query);
            story.machine.handle(story.now, input);
        }
    }
    assert!(story.now < at(SHUN_MS));
}

#[test]
fn a_peer_that_goes_away_leaves_its_work_to_the_others() {
    let full = Store::of((0..30).map(|task| (1, task, vec![0])));
    let mut story = Story::new(Store::default(), vec![full.clone(), full.clone()]);
    let mut outputs = story.connect();
    let mut gone = false;
    while let Some(output) = outputs.pop_front() {
        let input = match output {
            Output::Ask(peer @ Peer(1), Query::Range { .. }) => {
                gone = true;
                Input::Gone(peer)
            }
            Output::Ask(Peer(1), _) if gone => continue,
            Output::Ask(peer, query) => story.store.ask(&full, peer, query),
            Output::Lied(..) => panic!("nobody lied"),
        };
        outputs.extend(story.machine.handle(story.now, input));
    }
    assert!(gone);
    assert_eq!(story.store, full);
    assert!(story.machine.ranges.busy().is_empty());
}

fn tasks() -> impl Strategy<Value = Vec<(u32, u64, Vec<usize>)>> {
    let signed = proptest::collection::vec(0..MEMBERS, 1..4);
    proptest::collection::vec((0_u32..6, 0_u64..60, signed), 0..60)
}

/// Any answer at all, in form.
fn nonsense(seed: u64, peer: Peer, query: &Query) -> Input {
    let root = |salt: u64| Root {
        tasks: u32::try_from(seed.wrapping_mul(salt) % 5_000_000).unwrap(),
        digest: [u8::try_from(seed.wrapping_mul(salt) % 251).unwrap(); 16],
    };
    match query {
        Query::Summary(first) => {
            let pair = |number: u32| EpochPair {
                epoch: Epoch(first.0.saturating_add(number)),
                theirs: root(u64::from(number) + 3),
                ours: Root::default(),
                set_known: !seed.is_multiple_of(3),
            };
            let epochs = (0..300).map(pair).collect();
            let more = seed.is_multiple_of(2);
            Input::Summary { peer, epochs, more }
        }
        Query::Set(epoch) => Input::Set {
            peer,
            epoch: *epoch,
            known: seed.is_multiple_of(2),
        },
        Query::Buckets(epoch) => {
            let pair = |bucket: u64| Pair {
                theirs: root(bucket + 5),
                ours: Root::default(),
            };
            let pairs = (0..256).map(pair).collect();
            let epoch = *epoch;
            Input::Buckets { peer, epoch, pairs }
        }
        // Nothing of it is new here; the driver has verified that it is well signed.
        Query::Range { until, .. } => Input::Page {
            peer,
            page: Page {
                upto: if seed.is_multiple_of(5) {
                    *until
                } else {
                    id(seed)
                },
                items: 1 + seed % 700,
                fresh: 0,
                left_out: seed.is_multiple_of(4).then_some(seed % 1_000_000),
            },
        },
        Query::Recent { .. } => Input::Recent {
            peer,
            instance: seed,
            next: seed,
            gap: true,
            more: true,
            missing: (0..5_000).map(|task| (Epoch(1), id(task))).collect(),
        },
        Query::Tasks(_) => Input::Tasks {
            peer,
            left_out: None,
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn stores_with_any_differences_become_the_same(
        own in tasks(),
        peers in proptest::collection::vec(tasks(), 1..4),
    ) {
        let peers: Vec<Store> = peers.into_iter().map(Store::of).collect();
        let mut story = Story::new(Store::of(own), peers);
        let expected = all_of(&story.store, &story.peers);
        let outputs = story.connect();
        story.run(outputs);
        prop_assert_eq!(&story.store, &expected);
        prop_assert_eq!(story.machine.agreed(), story.peers.len());
        let asked = story.asked;
        story.wake();
        prop_assert!(story.asked - asked <= story.peers.len(), "nothing is left to ask but what is new");
    }

    #[test]
    fn who_talks_nonsense_keeps_nobody_from_the_others(
        own in tasks(),
        theirs in tasks(),
        mut seed in any::<u64>(),
    ) {
        let theirs = Store::of(theirs);
        let mut story = Story::new(Store::of(own), vec![theirs.clone(), theirs.clone()]);
        let expected = all_of(&story.store, &story.peers);
        let mut outputs = story.connect();
        let (mut honest, mut hostile) = (0, 0);
        while let Some(output) = outputs.pop_front() {
            let input = match output {
                Output::Ask(peer @ Peer(1), query) => {
                    hostile += 1;
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    // In the end it is silent, which the driver notices.
                    match hostile {
                        ..300 => nonsense(seed >> 20, peer, &query),
                        _ => Input::Failed { peer, fault: false },
                    }
                }
                Output::Ask(peer, query) => {
                    honest += 1;
                    prop_assert!(honest < 10_000);
                    story.store.ask(&theirs, peer, query)
                }
                Output::Lied(peer, _) => {
                    prop_assert_eq!(peer, Peer(1));
                    continue;
                }
            };
            outputs.extend(story.machine.handle(story.now, input));
            prop_assert!(story.machine.ranges() <= 4 * 256);
        }
        // What the liar alone claimed to hold is not waited for.
        prop_assert_eq!(&story.store, &expected);
    }
}
