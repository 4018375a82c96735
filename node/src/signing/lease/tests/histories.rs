//! Whatever becomes of an operator's keys, stores and files: while it is honest, no two facts that it
//! signs for one slot are evidence against it.

use proptest::prelude::*;

use super::scene::*;
use super::world::{EPOCH_S, World};
use crate::fuzzing::memory::Memory;

/// One step of an operator's life.
#[derive(Clone, Debug)]
enum Step {
    /// It is asked about facts of the present and some older epochs, and takes this one of two for true.
    Sign(u8),
    /// The same for tasks of the epoch before, which may be finished for a moment.
    Finish(u8),
    /// Its account takes another key, which counts from the next epoch on.
    ChangeKey {
        noted: bool,
    },
    /// It starts anew with the key that counts, or with the one that will.
    Restart {
        next: bool,
    },
    LoseStore,
    Export,
    Import(usize),
    Backup,
    Restore(usize),
    /// Some epochs later it starts with the key that counts, if that is another one.
    Skip(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let one = |step: Step| Just(vec![step]);
    let any_of = || any::<usize>();
    let restart = || Step::Restart { next: false };
    let stretch = prop_oneof![
        8 => (0..2_u8).prop_map(|fact| vec![Step::Sign(fact)]),
        2 => (0..2_u8).prop_map(|fact| vec![Step::Finish(fact)]),
        3 => (1..4_u32).prop_map(|epochs| vec![Step::Skip(epochs)]),
        3 => prop::bool::weighted(0.8).prop_map(|noted| vec![Step::ChangeKey { noted }]),
        3 => prop::bool::weighted(0.8).prop_map(|noted| vec![Step::ChangeKey { noted }, Step::Skip(1)]),
        1 => any::<bool>().prop_map(|next| vec![Step::Restart { next }]),
        1 => Just(vec![Step::LoseStore, restart()]),
        2 => Just(vec![Step::Export, restart()]),
        2 => any_of().prop_map(move |file| vec![Step::LoseStore, Step::Import(file), restart()]),
        1 => any_of().prop_map(move |file| vec![Step::Import(file), restart()]),
        2 => Just(vec![Step::Backup, restart()]),
        2 => any_of().prop_map(move |backup| vec![Step::Restore(backup), restart()]),
        1 => one(Step::LoseStore),
        // The node is not restarted before another key counts, and the old one is forgotten.
        2 => (any_of(), 1..4_u32).prop_map(move |(file, epochs)| {
            let begin = vec![Step::LoseStore, Step::Import(file), Step::ChangeKey { noted: true }];
            [begin, vec![Step::Skip(epochs), restart()]].concat()
        }),
        2 => (any_of(), 1..4_u32).prop_map(move |(backup, epochs)| {
            let begin = vec![Step::Restore(backup), Step::ChangeKey { noted: true }];
            [begin, vec![Step::Skip(epochs), restart()]].concat()
        }),
    ];
    prop::collection::vec(stretch, 8..40).prop_map(|stretches| stretches.concat())
}

impl World {
    async fn take(&mut self, step: Step) {
        self.seconds = (self.seconds + 5).min(EPOCH_S - 1);
        match step {
            Step::Sign(fact) => self.sign_all(self.epoch, fact),
            Step::Finish(fact) if self.seconds <= 30 && self.epoch > 0 => {
                self.sign_all(self.epoch - 1, fact);
            }
            Step::Finish(_) => {}
            Step::ChangeKey { noted } if self.newest_key < 60 => self.change_key(noted),
            Step::ChangeKey { .. } => {}
            Step::Restart { next } => {
                let epoch = self.epoch + u32::from(next);
                if let Some(key) = self.key_in(epoch) {
                    self.start(key).await;
                }
            }
            Step::LoseStore => {
                self.stop().await;
                self.disk = Memory::default();
            }
            Step::Export => {
                self.stop().await;
                self.export();
            }
            Step::Import(file) => {
                self.stop().await;
                self.import(file);
            }
            Step::Backup => {
                self.stop().await;
                self.backups.push(self.disk.copy());
            }
            Step::Restore(backup) => {
                self.stop().await;
                if let Some(backup) = self.backups.get(backup % self.backups.len().max(1)) {
                    self.disk = backup.copy();
                    let store = self.disk.store(domain().network().as_str());
                    store.mark_restored(self.now() * 1_000).unwrap();
                }
            }
            Step::Skip(epochs) => self.skip(epochs).await,
        }
    }
}

fn run(steps: Vec<Step>) -> World {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut world = World::new();
        world.start(1).await;
        for step in steps {
            world.take(step).await;
        }
        world.stop().await;
        world
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn no_history_makes_an_honest_operator_guilty(steps in steps()) {
        let world = run(steps);
        prop_assert!(world.guilty().is_none(), "{:?}: {:?}", world.guilty(), world.signed);
    }
}

/// Such histories sign, also after losses and with other keys.
#[test]
fn a_lost_log_costs_old_facts_for_a_window_and_no_new_ones() {
    let world = run(vec![
        Step::Skip(2),
        Step::Sign(0),
        Step::LoseStore,
        Step::Restart { next: false },
        Step::Sign(1),
        Step::ChangeKey { noted: true },
        Step::Skip(1),
        Step::Sign(1),
        Step::Skip(1),
        Step::Sign(1),
        Step::Skip(1),
        Step::Sign(1),
    ]);
    let signed = world.signed.iter();
    let signed: Vec<_> = signed.map(|s| (s.epoch, s.slot, s.fact)).collect();
    // Epoch 3 is the first of the new key, and its facts are not young enough; epoch 5 is the first in
    // which what the old key signed in epoch 2 is evidence no more. Facts of epoch 5 are yet to come.
    let first = [(2, 0, 0), (2, 1, 0)];
    let last = [(5, 2, 1), (5, 3, 1), (5, 4, 1)];
    assert_eq!(signed, [&first[..], &last].concat());
    assert!(world.guilty().is_none());
}
