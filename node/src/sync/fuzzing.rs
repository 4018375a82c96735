//! What must hold for whatever a peer asks and answers on the sync stream.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use libp2p::PeerId;
use prost::Message as _;
use quorate_proto::store::{OperatorSetRecord, ResponseRecord, TaskRecord};
use quorate_proto::wire::sync_answer::Kind as AnswerKind;
use quorate_proto::wire::sync_query::Kind as QueryKind;
use quorate_proto::{
    B256, BUCKETS, Epoch, ReadBasis, Response, SyncItem, TaskId, Timestamp, limits, wire,
};
use quorate_storage::{Batch, Durability, Store, schema};
use tokio::sync::watch;

use super::fetch::roots_of;
use super::link::AskError;
use super::serve::Library;
use super::sets::claimed_set;
use super::verify::{Allowance, RequestedItems, Verifier};
use crate::fuzzing::{memory, scene};
use crate::home::set_history::Sets;
use crate::home::{EpochView, HomeHandle};
use crate::tasks::imported::ImportedTask;
use crate::tasks::inventory::TaskInventory;

/// Tasks that the asked node holds.
const TASKS: u64 = 40;

/// A node that holds some tasks, each answered by some.
static LIBRARY: LazyLock<Library> = LazyLock::new(|| {
    let store = memory::store(scene::domain().network().as_str());
    let inventory = TaskInventory::open(&store).expect("an empty store");
    let mut batch = Batch::new();
    let set = OperatorSetRecord::from(scene::set().as_ref());
    batch.put(schema::SETS, &scene::EPOCH.0, &set);
    for number in 0..TASKS {
        hold(&mut batch, &inventory, number);
    }
    let written = store.write(&batch, Durability::Buffered);
    written.expect("into memory");
    let (_, view) = watch::channel(EpochView::of(vec![scene::set()]));
    Library {
        sets: Sets::new(HomeHandle::of(view), store.clone()),
        inventory,
        store,
    }
});

/// Writes a task that some operators have signed.
fn hold(batch: &mut Batch, inventory: &TaskInventory, number: u64) {
    let statement = scene::statement(number);
    let id = statement.task_id();
    let record = TaskRecord {
        statement: Some((&statement).into()),
        ..TaskRecord::default()
    };
    batch.put(schema::TASKS, &id.0.0, &record);
    let signers = scene::OPERATORS
        .iter()
        .take(usize::try_from(number % 4 + 1).unwrap_or(1));
    for (member, operator) in signers.enumerate() {
        let response = Response {
            operator: scene::operator(*operator),
            statement: statement.clone(),
            outcome: scene::signed(*operator, &statement),
            basis: ReadBasis::Unspecified,
        };
        let record = ResponseRecord {
            response: Some((&response).into()),
            ..ResponseRecord::default()
        };
        let key = (id.0.0, response.operator.into_array());
        batch.put(schema::RESPONSES, &key, &record);
        let noted = inventory.note(batch, (scene::EPOCH, id), 4, |state| {
            state.sign(member);
        });
        noted.expect("into memory");
    }
}

/// An odd first byte is a question, an even one an answer.
pub fn sync_stream(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else {
        return;
    };
    if choice % 2 == 1 {
        if let Ok(query) = wire::SyncQuery::decode(rest) {
            question(query);
        }
    } else if let Ok(wire::SyncAnswer {
        kind: Some(kind), ..
    }) = wire::SyncAnswer::decode(rest)
    {
        answer(kind);
    }
}

/// Every question has an answer that fits its frame, and that a node without any tasks takes over.
fn question(query: wire::SyncQuery) {
    let wanted = wanted(query.kind.as_ref());
    let kind = LIBRARY.answer(query.kind);
    let kind = kind.expect("a store that is read");
    let framed = wire::SyncAnswer {
        id: query.id,
        kind: Some(kind.clone()),
    };
    assert!(framed.encoded_len() <= limits::MAX_SYNC_REPLY_FRAME);
    match kind {
        AnswerKind::Items(items) => {
            if let Some(wanted) = wanted {
                let taken = verify(&items.items, &wanted);
                let taken = taken.expect("what an honest node says");
                assert_eq!(taken.len(), items.items.len(), "all of it is new");
            }
        }
        AnswerKind::Buckets(buckets) => assert!(roots_of(&buckets).is_ok()),
        AnswerKind::Set(reply) => {
            assert!(claimed_set(scene::EPOCH, &reply).is_ok());
        }
        _ => {}
    }
}

/// What an honest node wants that asks this.
fn wanted(kind: Option<&QueryKind>) -> Option<RequestedItems> {
    let id = |bytes: &Vec<u8>| TaskId::try_from(bytes.as_slice()).ok();
    match kind? {
        QueryKind::Range(query) => Some(RequestedItems::Range {
            after: id(&query.after),
            until: id(&query.until)?,
        }),
        QueryKind::Tasks(query) => {
            let ids = query.tasks.iter().filter_map(|task| id(&task.task_id));
            let ids: HashSet<TaskId> = ids.collect();
            let once = ids.len() == query.tasks.len();
            once.then_some(RequestedItems::These(ids))
        }
        _ => None,
    }
}

/// What holds of an answer is signed by members of the set.
fn answer(kind: AnswerKind) {
    match kind {
        AnswerKind::Items(items) => {
            let all = RequestedItems::Range {
                after: None,
                until: TaskId(B256::repeat_byte(0xff)),
            };
            check(verify(&items.items, &all));
            let ids: HashSet<TaskId> = items.items.iter().filter_map(id_of).collect();
            check(verify(&items.items, &RequestedItems::These(ids)));
        }
        AnswerKind::Buckets(buckets) => {
            if let Ok(roots) = roots_of(&buckets) {
                assert_eq!(roots.len(), BUCKETS);
                let same = roots.iter().zip(&buckets.tasks);
                assert!(same.into_iter().all(|(root, tasks)| root.tasks == *tasks));
            }
        }
        AnswerKind::Set(reply) => {
            let epoch = reply.set.as_ref().map(|set| Epoch(set.epoch));
            let epoch = epoch.unwrap_or(scene::EPOCH);
            if let Ok(set) = claimed_set(epoch, &reply) {
                assert_eq!(set.epoch(), epoch);
                assert!(set.is_whole() && set.members().len() <= limits::MAX_OPERATORS);
            }
        }
        _ => {}
    }
}

fn id_of(message: &wire::SyncItem) -> Option<TaskId> {
    let item = SyncItem::try_from(message).ok()?;
    Some(item.statement.task_id())
}

/// By a node that holds nothing.
fn verify(
    items: &[wire::SyncItem],
    wanted: &RequestedItems,
) -> Result<Vec<ImportedTask>, AskError> {
    static NOTHING: LazyLock<Store> =
        LazyLock::new(|| memory::store(scene::domain().network().as_str()));
    let work = Verifier {
        peer: PeerId::from_bytes(&[0, 0]).expect("a peer"),
        epoch: scene::EPOCH,
        set: scene::set(),
        domain: scene::domain(),
        inventory: TaskInventory::open(&NOTHING).expect("an empty store"),
        allowance: Arc::<Allowance>::default(),
        now: Timestamp(1_700_000_000_000_000),
    };
    work.verify(items, wanted).map(|brought| brought.taken)
}

fn check(verified: Result<Vec<ImportedTask>, AskError>) {
    let taken = match verified {
        Ok(taken) => taken,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let mut seen = HashSet::new();
    for task in taken {
        assert!(seen.insert(task.statement.task_id()), "each task once");
        assert_eq!(task.statement.epoch(), scene::EPOCH);
        assert!(!task.responses.is_empty() && !task.is_known);
        for response in &task.responses {
            assert_eq!(response.statement, task.statement);
            assert_eq!(response.verify(&scene::set(), &scene::domain()), Ok(()));
        }
    }
}
