//! Properties of the state: a store agrees with a naive model, and the root names the history.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use quorate_types::{Hash, RuleId, StateRoot};

use super::{Earlier, MemoryStore, Position, RoomStore, StateError, StateStore, Step, WriteSet, state_root};

type State = BTreeMap<(RuleId, Vec<u8>), Vec<u8>>;

/// The whole state at each length, copied: too slow to be used, too simple to be wrong.
#[derive(Debug, Default)]
struct Model {
    states: Vec<State>,
    positions: Vec<Position>,
}

impl Model {
    fn commit(&mut self, step: &Step) {
        let mut state = self.states.last().cloned().unwrap_or_default();
        for (key, value) in &step.writes {
            match value {
                Some(value) => state.insert(key.clone(), value.clone()),
                None => state.remove(key),
            };
        }
        self.states.push(state);
        self.positions.push(step.after());
    }

    fn position(&self, length: usize) -> Position {
        length.checked_sub(1).map_or(Position::START, |last| self.positions[last])
    }
}

#[derive(Debug, Clone)]
enum Move {
    Commit(Vec<WriteSet>),
    Back(u64),
}

fn writes() -> impl Strategy<Value = WriteSet> {
    let key = (0..3_u8, vec(0..3_u8, 0..3));
    btree_map(key, proptest::option::of(vec(any::<u8>(), 0..4)), 0..5).prop_map(|writes| {
        writes.into_iter().map(|((space, key), value)| ((RuleId::new([space; 32]), key), value)).collect()
    })
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        3 => vec(writes(), 0..4).prop_map(Move::Commit),
        1 => (0..8_u64).prop_map(Move::Back),
    ]
}

fn steps(from: Position, batch: Vec<WriteSet>) -> Vec<Step> {
    let mut position = from;
    let mut steps = Vec::new();
    for writes in batch {
        let root = state_root(&position.state_root, position.length, &writes);
        let step =
            Step { index: position.length, writes, root, tree_hash: Hash::new([steps.len() as u8; 32]) };
        position = step.after();
        steps.push(step);
    }
    steps
}

proptest! {
    #[test]
    fn a_store_agrees_with_the_model(moves in vec(moves(), 0..20), undo_steps in 0..9_u64) {
        let mut store = MemoryStore::with_undo_steps(undo_steps);
        let mut model = Model::default();
        let mut oldest = 0;
        for one in moves {
            match one {
                Move::Commit(batch) => {
                    let steps = steps(store.position(), batch);
                    for step in steps {
                        model.commit(&step);
                        store.stage(step).unwrap();
                    }
                    store.commit().unwrap();
                    oldest = oldest.max((model.states.len() as u64).saturating_sub(undo_steps));
                }
                Move::Back(by) => {
                    let newest = model.states.len() as u64;
                    let Some(length) = newest.checked_sub(by) else { continue };
                    let back = store.step_back(length);
                    if length < oldest {
                        prop_assert_eq!(back, Err(StateError::OutOfReach { oldest, newest, found: length }));
                    } else {
                        prop_assert_eq!(back, Ok(()));
                        model.states.truncate(length as usize);
                        model.positions.truncate(length as usize);
                    }
                }
            }
            let length = model.states.len();
            prop_assert_eq!(store.position(), model.position(length));
            prop_assert_eq!(store.oldest(), oldest);
            for earlier in 0..=length + 1 {
                let known = earlier as u64 >= oldest && earlier <= length;
                let expected = known.then(|| model.position(earlier));
                prop_assert_eq!(store.position_at(earlier as u64).unwrap(), expected);
                let found = Earlier::of(&store, earlier as u64);
                prop_assert_eq!(found.is_ok(), known);
                let Ok(found) = found else { continue };
                let none = Default::default();
                let values = earlier.checked_sub(1).map_or(&none, |last| &model.states[last]);
                for key in model.states.iter().flat_map(|values| values.keys()) {
                    prop_assert_eq!(found.get(&key.0, &key.1).unwrap(), values.get(key).cloned());
                }
            }
            let state = model.states.last().cloned().unwrap_or_default();
            for space in (0..3).map(|space| RuleId::new([space; 32])) {
                let expected = state.iter().filter(|((there, _), _)| *there == space);
                let found: Vec<_> = store.entries(&space).collect();
                prop_assert_eq!(found, expected.map(|((_, key), value)| (&key[..], &value[..])).collect::<Vec<_>>());
            }
            for ((space, key), value) in &state {
                prop_assert_eq!(store.get(space, key).unwrap(), Some(value.clone()));
            }
        }
    }

    #[test]
    fn the_root_tells_histories_apart(before: [u8; 32], index: u64, one in writes(), other in writes()) {
        let root = |before: [u8; 32], index, writes: &WriteSet| state_root(&StateRoot::new(before), index, writes);
        let here = root(before, index, &one);
        prop_assert_eq!(here == root(before, index, &other), one == other);
        prop_assert_ne!(here, root(before, index.wrapping_add(1), &one));
        let mut changed = before;
        changed[0] ^= 1;
        prop_assert_ne!(here, root(changed, index, &one));
    }
}

#[test]
fn a_step_that_skips_an_index_changes_nothing() {
    let mut store = MemoryStore::new();
    let write = WriteSet::from([((RuleId::new([1; 32]), b"key".to_vec()), Some(b"value".to_vec()))]);
    for found in [1, u64::MAX] {
        let mut step = steps(store.position(), vec![write.clone()]).remove(0);
        step.index = found;
        assert_eq!(store.stage(step), Err(StateError::Index { expected: 0, found }));
        assert_eq!(store.position(), Position::START);
        assert_eq!(store.entries(&RuleId::new([1; 32])).count(), 0);
    }
}
