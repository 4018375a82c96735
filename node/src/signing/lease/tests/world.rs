//! An operator's world: its keys, stores and files, the home chain, and what peers remember.

use std::io::Cursor;

use quorate_storage::{Batch, Import, SigningEntry, WriteQueue, WriterGuard};

use super::super::*;
use super::scene::*;
use crate::fuzzing::memory::Memory;
use crate::home::EpochView;
use crate::keys::{KeyStore, Secret};
use crate::signing::log_file;

pub(super) const EPOCH_S: u64 = 10 * LENGTH;
/// Epochs back from the present one whose facts are asked for.
const ASKED: u32 = 3;

/// A signature that others have seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed {
    pub(super) at: u64,
    pub(super) epoch: u32,
    pub(super) slot: u32,
    pub(super) fact: u8,
}

pub(super) struct World {
    pub(super) epoch: u32,
    /// Seconds since the epoch began.
    pub(super) seconds: u64,
    pub(super) chain: Vec<(u32, u8)>,
    pub(super) newest_key: u8,
    pub(super) keys: KeyStore,
    pub(super) disk: Memory,
    pub(super) files: Vec<String>,
    pub(super) backups: Vec<Memory>,
    pub(super) running: Option<(u8, Scene)>,
    /// The newest presence that peers remember.
    pub(super) seen: Option<(u8, u64)>,
    pub(super) signed: Vec<Signed>,
    pub(super) dir: tempfile::TempDir,
}

impl World {
    /// An operator that registers before the first epoch.
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut world = Self {
            epoch: 0,
            seconds: 50,
            chain: Vec::new(),
            newest_key: 0,
            keys: KeyStore::open(dir.path()),
            disk: Memory::default(),
            files: Vec::new(),
            backups: Vec::new(),
            running: None,
            seen: None,
            signed: Vec::new(),
            dir,
        };
        world.change_key(true);
        world
    }

    pub(super) fn now(&self) -> u64 {
        time_of(u64::from(self.epoch) * LENGTH) + self.seconds
    }

    pub(super) fn key_in(&self, epoch: u32) -> Option<u8> {
        let begun = self.chain.iter().rfind(|(from, _)| *from <= epoch);
        begun.map(|(_, key)| *key)
    }

    pub(super) fn live(&self) -> Vec<(u32, u8)> {
        let epochs = self.epoch.saturating_sub(1)..=self.epoch + 1;
        epochs
            .filter_map(|epoch| Some((epoch, self.key_in(epoch)?)))
            .collect()
    }

    pub(super) fn view(&self) -> EpochView {
        let mut sets = self.live();
        // A set without the operator.
        if self.key_in(self.epoch).is_none() {
            sets.insert(0, (self.epoch, 200));
        }
        let block = u64::from(self.epoch) * LENGTH + self.seconds / 10;
        let mut view = view(block, &sets);
        if let Some(head) = &mut view.head {
            head.timestamp = self.now();
        }
        view
    }

    pub(super) fn change_key(&mut self, noted: bool) {
        self.newest_key += 1;
        self.chain.push((self.epoch + 1, self.newest_key));
        if noted {
            let secret = Secret::new([self.newest_key; 32]);
            self.keys
                .note_unused(&self.name(self.newest_key), &secret)
                .unwrap();
        }
    }

    pub(super) fn name(&self, key: u8) -> String {
        format!("key-{key}")
    }

    pub(super) fn queue(&self) -> (WriteQueue, WriterGuard) {
        WriteQueue::new(self.disk.store(domain().network().as_str())).unwrap()
    }

    /// Ends the node; until now it has renewed its lease, and peers have heard of it.
    pub(super) async fn stop(&mut self) {
        let Some((key, scene)) = self.running.take() else {
            return;
        };
        let held = scene.lease.is_held();
        scene.ends().await.unwrap();
        if held {
            let renewed = Import {
                sequence: self.now() * 1_000,
                ..Import::default()
            };
            let of = operator().into_array();
            let (queue, _guard) = self.queue();
            let signers = queue.signers();
            signers.imported(&of, &renewed, 1).unwrap().await.unwrap();
            self.seen = Some((key, signers.get(&of).unwrap().sequence));
        }
    }

    pub(super) async fn start(&mut self, key: u8) {
        self.stop().await;
        let told = self
            .seen
            .map(|(key, sequence)| presence(&secret(key), sequence));
        let start = Start {
            key,
            keys: self.chain.clone(),
            told: vec![told],
            ..Start::default()
        };
        let (queue, guard) = self.queue();
        let file = self
            .dir
            .path()
            .join(format!("{}.signing.json", self.name(key)));
        let note = NewKey::look(&file, secret(key).address());
        let folder = tempfile::tempdir().unwrap();
        let more = More {
            note,
            view: self.view(),
            sequence: self.now() * 1_000,
            // The process that made the store before is known to have ended.
            listen: Duration::ZERO,
        };
        let mut scene = Scene::with(queue, (folder, guard), start, more);
        if scene.lease.settled().await && self.key_in(self.epoch) == Some(key) {
            let known = |youth: &Youth| *youth != Youth::Unborn;
            scene.lease.youth.wait_for(known).await.unwrap();
        }
        self.running = Some((key, scene));
    }

    /// Signs if a node runs that may: the rules of the task driver and of the attestor.
    pub(super) fn sign(&mut self, epoch: u32, born: u32, fact: u8) {
        let (now, key_of_epoch) = (self.now(), self.key_in(epoch));
        let Some((key, scene)) = &self.running else {
            return;
        };
        let fact_time = time_of(u64::from(born) * LENGTH) + EPOCH_S / 2;
        let is_registered = key_of_epoch == Some(*key);
        let is_final = fact_time <= now;
        if !scene.lease.is_held() || !is_registered || !is_final {
            return;
        }
        if scene.lease.rule(fact_time) != Ruling::Sign {
            return;
        }
        let id = |number: u32| *B256::left_padding_from(&number.to_be_bytes());
        let entry = SigningEntry {
            operator: operator().into_array(),
            key: secret(*key).address().into_array(),
            slot: id(born),
            fact: id(u32::from(fact)),
            digest: id(epoch),
            task: id(epoch),
            epoch,
            time_ms: now * 1_000,
        };
        let Ok(reservation) = scene.queue.signing_log().reserve(entry) else {
            return;
        };
        assert_eq!(reservation.commit(Batch::new()).wait().unwrap().len(), 1);
        let signed = Signed {
            at: now,
            epoch,
            slot: born,
            fact,
        };
        self.signed.push(signed);
    }

    pub(super) async fn skip(&mut self, epochs: u32) {
        self.epoch += epochs;
        self.seconds = 10;
        // Peers forget a presence whose key does not count any more.
        let live = self.live();
        self.seen = self
            .seen
            .filter(|(key, _)| live.iter().any(|(_, other)| other == key));
        let (view, key) = (self.view(), self.key_in(self.epoch));
        if let Some((own, scene)) = &mut self.running {
            scene.view.send_replace(view);
            scene.lease.show_now();
            if scene.lease.is_held() && key == Some(*own) {
                let known = |youth: &Youth| *youth != Youth::Unborn;
                scene.lease.youth.wait_for(known).await.unwrap();
            }
        }
        let running = self.running.as_ref().map(|(own, _)| *own);
        if let Some(key) = key.filter(|key| running.is_some_and(|own| own != *key)) {
            self.start(key).await;
        }
    }

    pub(super) fn sign_all(&mut self, epoch: u32, fact: u8) {
        for born in self.epoch.saturating_sub(ASKED)..=self.epoch {
            self.sign(epoch, born, fact);
        }
    }

    pub(super) fn export(&mut self) {
        let mut file = Vec::new();
        let (queue, guard) = self.queue();
        log_file::export(&queue, &domain(), operator(), &mut file, |_| {}).unwrap();
        guard.close().unwrap();
        let mut head: serde_json::Value = serde_json::from_slice(&file).unwrap();
        let made = head["metadata"]["exported_ms"].take();
        let file = String::from_utf8(file).unwrap();
        let now = (self.now() * 1_000).to_string();
        self.files.push(file.replacen(&made.to_string(), &now, 1));
    }

    pub(super) fn import(&mut self, file: usize) {
        let Some(file) = self.files.get(file % self.files.len().max(1)) else {
            return;
        };
        let (queue, guard) = self.queue();
        let imported = log_file::import(&queue, &domain(), operator(), Cursor::new(file), |_| {});
        guard.close().unwrap();
        // A file that contradicts the store is refused.
        drop(imported);
    }

    /// Two facts for one slot, the first of which was evidence still when the second was signed.
    pub(super) fn guilty(&self) -> Option<(Signed, Signed)> {
        let pairs = self.signed.iter().enumerate().flat_map(|(place, second)| {
            let earlier = &self.signed[..place];
            earlier.iter().map(move |first| (*first, *second))
        });
        pairs
            .filter(|(first, second)| first.slot == second.slot && first.fact != second.fact)
            .find(|(first, second)| {
                let end = time_of(u64::from(first.epoch + 1) * LENGTH);
                second.at < end + REACH.seconds
            })
    }
}
