use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use proptest::prelude::*;
use quorate_rules::state::{Earlier, ROOM_SPACE, state_root};

use super::staged::RECORD_BYTES;
use super::*;

const ROOM: RoomId = RoomId::new([9; 32]);

fn space(number: u8) -> RuleId {
    RuleId::new([number; 32])
}

type Values = BTreeMap<(RuleId, Vec<u8>), Vec<u8>>;

/// A state in a temporary directory, beside a model of it at every length.
struct Model {
    directory: tempfile::TempDir,
    store: RedbStore,
    states: Vec<(Position, Values)>,
}

impl Model {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = RedbStore::open(&directory.path().join(ROOM_STATE_FILE), ROOM).unwrap();
        Self { directory, store, states: vec![(Position::START, BTreeMap::new())] }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join(ROOM_STATE_FILE)
    }

    fn step(&mut self, writes: WriteSet) -> Step {
        let (before, mut values) = self.states.last().unwrap().clone();
        let index = before.length;
        let root = state_root(&before.state_root, index, &writes);
        let step = Step { index, writes, root, tree_hash: Hash::new([index as u8; 32]) };
        for (key, value) in step.writes.clone() {
            match value {
                Some(value) => values.insert(key, value),
                None => values.remove(&key),
            };
        }
        self.states.push((step.after(), values));
        step
    }

    fn commit(&mut self, batch: Vec<WriteSet>) {
        let batch: Vec<Step> = batch.into_iter().map(|writes| self.step(writes)).collect();
        for step in batch {
            self.store.stage(step).unwrap();
        }
        self.store.commit().unwrap();
    }

    fn step_back(&mut self, length: u64) {
        self.store.step_back(length).unwrap();
        self.states.truncate(length as usize + 1);
    }

    fn reopen(&mut self) {
        let path = self.path();
        let other = RedbStore::open(&self.directory.path().join("other"), ROOM).unwrap();
        drop(std::mem::replace(&mut self.store, other));
        self.store = RedbStore::open(&path, ROOM).unwrap();
        assert_eq!(self.store.found(), &Found::State);
    }

    fn check(&self) {
        let (position, values) = self.states.last().unwrap();
        assert_eq!(self.store.position(), *position);
        for key in self.states.iter().flat_map(|(_, values)| values.keys()) {
            assert_eq!(self.store.get(&key.0, &key.1).unwrap().as_ref(), values.get(key), "{key:?}");
        }
        for (length, (position, _)) in self.states.iter().enumerate() {
            let expected = (length as u64 >= self.store.oldest()).then_some(*position);
            assert_eq!(self.store.position_at(length as u64).unwrap(), expected, "at {length}");
        }
        assert_eq!(self.store.position_at(self.states.len() as u64).unwrap(), None);
        for (length, (position, values)) in self.states.iter().enumerate() {
            let earlier = Earlier::of(&self.store, length as u64);
            if (length as u64) < self.store.oldest() {
                assert!(earlier.is_err(), "at {length}");
                continue;
            }
            let earlier = earlier.unwrap();
            assert_eq!(earlier.position(), *position);
            for key in self.states.iter().flat_map(|(_, values)| values.keys()) {
                assert_eq!(
                    earlier.get(&key.0, &key.1).unwrap().as_ref(),
                    values.get(key),
                    "{key:?} at {length}"
                );
            }
        }
    }
}

fn put(key: &str, value: &str) -> WriteSet {
    WriteSet::from([((space(1), key.into()), Some(value.into()))])
}

#[test]
fn a_new_state_is_empty_and_private_to_its_directory() {
    let model = Model::new();
    assert_eq!(model.store.found(), &Found::Nothing);
    model.check();
    assert_eq!(model.store.get(&ROOM_SPACE, b"").unwrap(), None);
    assert_eq!(fs::metadata(model.path()).unwrap().permissions().mode() & 0o022, 0);
}

#[test]
fn steps_are_kept_taken_back_and_kept_again() {
    let mut model = Model::new();
    model.commit(vec![put("a", "1"), put("b", "2"), put("a", "3")]);
    model.check();
    model.commit(vec![WriteSet::new(), WriteSet::from([((space(1), b"a".to_vec()), None)])]);
    model.check();
    model.reopen();
    model.check();
    model.step_back(2);
    model.check();
    model.reopen();
    model.commit(vec![put("c", "4")]);
    model.check();
    model.step_back(0);
    model.check();
}

#[test]
fn a_step_that_does_not_follow_is_refused() {
    let mut model = Model::new();
    model.commit(vec![put("a", "1")]);
    let good = model.step(put("a", "2"));
    let gap = Step { index: 3, ..good.clone() };
    let again = Step { index: 1, ..good.clone() };
    model.store.stage(good).unwrap();
    model.check();
    assert_eq!(model.store.stage(gap), Err(StateError::Index { expected: 2, found: 3 }));
    assert_eq!(model.store.stage(again), Err(StateError::Index { expected: 2, found: 1 }));
    model.check();
    let error = StateError::OutOfReach { oldest: 0, newest: 2, found: 3 };
    assert_eq!(model.store.step_back(3), Err(error));
    model.check();
}

#[test]
fn steps_that_wait_are_read_taken_back_and_lost_with_the_process() {
    let mut model = Model::new();
    model.commit(vec![put("a", "1"), put("b", "1"), put("c", "1")]);
    for writes in
        [put("a", "2"), put("d", "2"), WriteSet::from([((space(1), b"b".to_vec()), None)]), put("a", "3")]
    {
        let step = model.step(writes);
        model.store.stage(step).unwrap();
        model.check();
    }
    assert_eq!(model.store.staged(), Waiting { steps: 4, bytes: 7 });
    // A snapshot is of what is on the disk.
    assert_eq!(model.store.export(Vec::new()).unwrap().position.length, 3);
    model.step_back(5);
    assert_eq!(model.store.staged(), Waiting::default());
    model.check();
    let step = model.step(put("e", "1"));
    model.store.stage(step).unwrap();
    model.states.pop();
    model.reopen();
    model.check();
}

#[test]
fn the_undo_log_reaches_back_as_far_as_promised_and_is_bounded() {
    let mut model = Model::new();
    let mut index = 0;
    while index < UNDO_STEPS + 3000 {
        let batch = (0..1000).map(|_| {
            index += 1;
            put(&(index % 7).to_string(), &index.to_string())
        });
        let batch = batch.collect();
        model.commit(batch);
        // The model of every length would take long to compare.
        let last = model.states.pop().unwrap();
        model.states = vec![last];
    }
    assert_eq!(model.store.position().length, index);
    assert_eq!(model.store.oldest(), index - UNDO_STEPS);
    model.store.step_back(index - UNDO_STEPS).unwrap();
    assert_eq!(model.store.get(&space(1), b"1").unwrap(), Some(b"2997".to_vec()));
    let error = StateError::OutOfReach { oldest: 3000, newest: 3000, found: 2999 };
    assert_eq!(model.store.step_back(2999), Err(error));
}

#[test]
fn a_large_batch_has_several_undo_records_and_goes_back_into_any() {
    let mut model = Model::new();
    model.commit(vec![put("before", "1")]);
    // Values as long as make some twenty records, and one that is longer than a record.
    let value = |index: usize| if index == 150 { RECORD_BYTES + 7 } else { 25 * (index % 140) };
    let batch = |from: usize| {
        (from..from + 300)
            .map(|index| put(&format!("key {}", index % 20), &"v".repeat(value(index))))
            .collect()
    };
    model.commit(batch(0));
    let records = |model: &Model| {
        let transaction = model.store.database.begin_read().unwrap();
        let table = transaction.open_table(UNDO).unwrap();
        let all = table.range(0..).unwrap();
        let all: Vec<(u64, usize)> = all
            .map(|found| found.map(|(first, record)| (first.value(), record.value().len())).unwrap())
            .collect();
        all
    };
    let all = records(&model);
    assert!(all.len() > 10, "{all:?}");
    let longer: Vec<_> = all.iter().filter(|(_, bytes)| *bytes > 64 << 10).collect();
    assert_eq!(longer.len(), 1, "only the one with the long value: {all:?}");
    model.check();
    // To the edges of a record and into its middle.
    let edge = all[all.len() - 3].0;
    for length in [295, edge + 1, edge, edge - 1, 172, 171, 70] {
        model.step_back(length);
        model.check();
        assert!(records(&model).iter().all(|(first, _)| *first < length));
    }
    model.reopen();
    model.check();
    model.commit(batch(5));
    model.check();
}

#[test]
fn it_is_open_once_and_of_one_room() {
    let mut model = Model::new();
    model.commit(vec![put("a", "1")]);
    assert!(matches!(RedbStore::open(&model.path(), ROOM), Err(OpenStateError::Busy { .. })));
    let path = model.path();
    drop(model.store);
    let store = RedbStore::open(&path, RoomId::new([8; 32])).unwrap();
    let Found::Damaged { reason, aside } = store.found() else { panic!("{:?}", store.found()) };
    assert!(reason.starts_with("expected the state of room 0808"), "{reason}");
    assert!(aside.exists());
    assert_eq!(store.position(), Position::START);
}

#[test]
fn a_crash_leaves_an_older_position_whole() {
    let mut model = Model::new();
    model.commit(vec![put("a", "1"), put("b", "1")]);
    model.store.sync().unwrap();
    for i in 0..40 {
        model.commit(vec![put("a", &i.to_string()), put(&i.to_string(), "x")]);
        // What a crash leaves: the file as it is at this moment.
        let crashed = model.directory.path().join("crashed");
        fs::copy(model.path(), &crashed).unwrap();
        let store = RedbStore::open(&crashed, ROOM).unwrap();
        assert_eq!(store.found(), &Found::State);
        let length = store.position().length;
        assert!(length >= 2);
        let (position, values) = &model.states[length as usize];
        assert_eq!(store.position(), *position);
        for key in model.states.last().unwrap().1.keys() {
            assert_eq!(store.get(&key.0, &key.1).unwrap().as_ref(), values.get(key), "{key:?}");
        }
    }
}

#[test]
fn a_damaged_file_is_moved_aside_or_as_it_was() {
    let mut model = Model::new();
    for i in 0..50 {
        model.commit(vec![put(&format!("key {i}"), &"v".repeat(i * 20))]);
    }
    let path = model.path();
    drop(std::mem::replace(&mut model.store, RedbStore::open(&path.with_extension("x"), ROOM).unwrap()));
    let whole = fs::read(&path).unwrap();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let (mut moved, mut kept) = (0, 0);
    for round in 0..300 {
        let mut bytes = whole.clone();
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        match round % 3 {
            0 => {
                let at = random(bytes.len());
                bytes[at] ^= 1 << random(8);
            }
            1 => bytes.truncate(1 + random(whole.len())),
            _ => {
                let at = random(bytes.len() - 512);
                bytes[at..at + 512].fill(0);
            }
        }
        let damaged = model.directory.path().join("damaged");
        fs::write(&damaged, &bytes).unwrap();
        let store = RedbStore::open(&damaged, ROOM).unwrap();
        match store.found() {
            Found::Damaged { .. } => {
                assert_eq!(store.position(), Position::START, "round {round}");
                moved += 1;
            }
            Found::State => {
                let (position, values) = &model.states[store.position().length as usize];
                assert_eq!(store.position(), *position, "round {round}");
                for key in model.states.last().unwrap().1.keys() {
                    assert_eq!(store.get(&key.0, &key.1).unwrap().as_ref(), values.get(key), "round {round}");
                }
                kept += 1;
            }
            Found::Nothing => panic!("round {round}: a damaged file is taken for none"),
        }
    }
    assert!(moved > 50 && kept > 50, "{moved} moved, {kept} kept");
}

#[test]
fn a_snapshot_is_taken_back_in() {
    let mut model = Model::new();
    model.commit((0..100).map(|i| put(&format!("key {i}"), &"v".repeat(i * 10))).collect());
    let mut bytes = Vec::new();
    let snapshot = model.store.export(&mut bytes).unwrap();
    assert_eq!(snapshot, Snapshot { room: ROOM, position: model.store.position(), entries: 100 });
    let file = model.directory.path().join("snapshot");
    fs::write(&file, &bytes).unwrap();
    assert_eq!(Snapshot::read(&file).unwrap(), snapshot);

    let path = model.directory.path().join("imported");
    let mut imported = RedbStore::import(&path, ROOM, bytes.as_slice()).unwrap();
    assert_eq!(imported.position(), model.store.position());
    assert_eq!(imported.oldest(), 100);
    for (space, key) in model.states[100].1.keys() {
        assert_eq!(imported.get(space, key), model.store.get(space, key));
    }
    let step = model.step(put("more", "1"));
    imported.stage(step).unwrap();
    imported.step_back(100).unwrap();

    // It is open, and stays as it is.
    let error = RedbStore::import(&path, ROOM, bytes.as_slice()).unwrap_err();
    assert!(matches!(error, SnapshotError::Open(OpenStateError::Busy { .. })), "{error}");
    drop(imported);
    let other = RoomId::new([1; 32]);
    let error = RedbStore::import(&path, other, bytes.as_slice()).unwrap_err();
    assert!(matches!(error, SnapshotError::Room { .. }), "{error}");
    assert_eq!(RedbStore::open(&path, ROOM).unwrap().position().length, 100);
}

#[test]
fn a_snapshot_that_was_changed_anywhere_is_refused() {
    let mut model = Model::new();
    model.commit(vec![put("a", "1"), put("b", "2")]);
    let mut whole = Vec::new();
    model.store.export(&mut whole).unwrap();
    let path = model.directory.path().join("imported");
    let refused = |bytes: &[u8]| RedbStore::import(&path, ROOM, bytes).is_err() && !path.exists();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        assert!(refused(&bytes), "byte {at}");
        assert!(refused(&whole[..at]), "cut at {at}");
    }
    assert!(refused(&[whole.as_slice(), &[0]].concat()));
    assert!(fs::read_dir(model.directory.path()).unwrap().count() <= 2);
}

fn writes() -> impl Strategy<Value = WriteSet> {
    let key = (0_u8..3).prop_flat_map(|number| (Just(space(number)), "[a-d]{0,2}".prop_map(Vec::from)));
    let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..20));
    prop::collection::btree_map(key, value, 0..4)
}

#[derive(Debug, Clone)]
enum Action {
    Commit(Vec<WriteSet>),
    StepBack(u64),
    Reopen,
    Sync,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => prop::collection::vec(writes(), 1..5).prop_map(Action::Commit),
        2 => (0_u64..8).prop_map(Action::StepBack),
        1 => Just(Action::Reopen),
        1 => Just(Action::Sync),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_store_agrees_with_its_model(actions in prop::collection::vec(action(), 1..12)) {
        let mut model = Model::new();
        for action in actions {
            match action {
                Action::Commit(batch) => model.commit(batch),
                Action::StepBack(steps) => {
                    model.step_back(model.store.position().length.saturating_sub(steps));
                }
                Action::Reopen => model.reopen(),
                Action::Sync => model.store.sync().unwrap(),
            }
            model.check();
        }
    }
}
