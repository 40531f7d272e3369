//! Signing: many actions that are said at once are signed on all cores.

use quorate_stream::action::{self, UnsignableError, UnsignedAction, VerifiedAction};
use quorate_stream::identity::Author;
use quorate_types::RoomId;

/// Actions that one thread signs at least: below, the change of threads is what costs.
const LEAST_SHARE: usize = 32;

/// Signs actions for a room; they stay in their order.
///
/// # Errors
///
/// [`UnsignableError`] of the first that cannot be signed; none is then.
pub(crate) async fn sign_many(
    room: RoomId,
    author: &Author,
    mut actions: Vec<UnsignedAction>,
) -> Result<Vec<VerifiedAction>, UnsignableError> {
    if actions.len() <= LEAST_SHARE {
        return action::sign_many(&room, author, actions);
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = actions.len().div_ceil(threads).max(LEAST_SHARE);
    let mut others = Vec::new();
    while actions.len() > share {
        let (author, share) = (author.clone(), actions.split_off(actions.len() - share));
        others.push(blocking::unblock(move || action::sign_many(&room, &author, share)));
    }
    let mut signed = action::sign_many(&room, author, actions)?;
    while let Some(share) = others.pop() {
        signed.extend(share.await?);
    }
    Ok(signed)
}

#[cfg(test)]
mod tests {
    use futures_lite::future::block_on;
    use quorate_stream::identity::Anchor;
    use quorate_types::Hash;
    use quorate_types::limits::MAX_FEED_LENGTH;

    use super::*;

    #[test]
    fn any_number_of_actions_is_signed_in_order() {
        let (room, author) = (RoomId::new([7; 32]), Author::from_seed(&[1; 32]));
        let action = |sequence| UnsignedAction {
            sequence,
            anchor: Anchor::new(0, Hash::new([0; 32])),
            valid_until: 0,
            payload: format!("action {sequence}").into(),
        };
        for count in [0, 1, LEAST_SHARE as u64, LEAST_SHARE as u64 + 1, 100, 1001] {
            let signed = block_on(sign_many(room, &author, (0..count).map(action).collect())).unwrap();
            let alone: Vec<_> = (0..count).map(|at| action(at).sign(&room, &author).unwrap()).collect();
            assert_eq!(signed, alone);
        }
        let bad = (0..200).map(|at| action(if at == 150 { MAX_FEED_LENGTH + 1 } else { at }));
        let error = block_on(sign_many(room, &author, bad.collect())).unwrap_err();
        assert_eq!((error.field, error.found), ("sequence", MAX_FEED_LENGTH + 1));
    }
}
