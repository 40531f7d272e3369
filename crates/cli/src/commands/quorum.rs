//! `quorate validator` and `quorate votes`.

use std::collections::BTreeSet;

use quorate_node::model::{
    QuorumInfo, RejectInfo, StreamInfo, ValidatorInfo, ValidatorOffer, ValidatorWish, ValidatorsChanged,
};
use quorate_node::{Code, Failure};
use quorate_types::PublicKey;
use serde::Serialize;

use super::share;
use crate::args::{NextQuorum, ShareArgs, StreamArg, ValidatorCommand, VotesArgs};
use crate::backend;
use crate::context::Context;
use crate::follow::Follow;
use crate::output::Output;
use crate::stop::Outcome;
use crate::text;

/// Heights that `quorate votes` shows at most, the newest ones.
const MAX_HEIGHTS: usize = 32;

#[derive(Serialize)]
struct VoteKey {
    schema: &'static str,
    key: PublicKey,
    #[serde(skip_serializing_if = "Option::is_none")]
    offer: Option<ValidatorOffer>,
}

#[derive(Serialize)]
struct Validator<'a> {
    schema: &'static str,
    #[serde(flatten)]
    validator: &'a ValidatorInfo,
}

#[derive(Serialize)]
struct Votes<'a> {
    schema: &'static str,
    length: u64,
    #[serde(flatten)]
    quorum: &'a QuorumInfo,
}

/// `quorate validator ...`.
pub(crate) async fn validator(command: ValidatorCommand, context: &mut Context) -> Outcome {
    match command {
        ValidatorCommand::Key(args) => vote_key(args.offer, context),
        ValidatorCommand::Serve(args) => serve(args, context).await,
        ValidatorCommand::Add(args) => {
            let wish = ValidatorWish { add: Some(args.offer), ..wish(&args.quorum) };
            change_validators(&args.stream.stream, wish, context).await
        }
        ValidatorCommand::Remove(args) => {
            let wish = ValidatorWish { remove: Some(args.key), ..wish(&args.quorum) };
            change_validators(&args.stream.stream, wish, context).await
        }
        ValidatorCommand::Ls(args) => {
            let (_, quorum) = quorum_of(&args, context).await?;
            let output = &mut context.output;
            if output.json {
                return quorum.validators.iter().try_for_each(|validator| {
                    output.object(&Validator { schema: "quorate.validator/1", validator })
                });
            }
            let mut rows = Vec::new();
            for validator in &quorum.validators {
                let state = match (validator.sealed, validator.voted) {
                    (true, _) => output.paint.yellow("signs nothing more in this epoch"),
                    (false, 0) => output.paint.yellow("no vote is known here"),
                    (false, voted) => {
                        format!("voted for {voted}, holds the votes for {}", validator.acknowledged)
                    }
                };
                rows.push(vec![validator.key.to_string(), state]);
            }
            for line in text::table(&rows, &[]) {
                output.line(&line)?;
            }
            output.note(&format!("{} of {} commit", quorum.needed, quorum.validators.len()));
            Ok(())
        }
    }
}

/// `quorate validator serve [ROOM...]`.
pub(crate) async fn serve(args: ShareArgs, context: &mut Context) -> Outcome {
    let Some(key) = backend::known_vote_key(&context.home)? else {
        let home = context.home.display();
        let message = format!("expected a home with a vote key, found none in {home}; nothing is served");
        let next = context.command("validator key");
        return Err(Failure::new(Code::NotValidator, message).next(next).into());
    };
    share::share(args, Some(key), context).await
}

/// `quorate validator key [--offer]`.
fn vote_key(offer: bool, context: &mut Context) -> Outcome {
    let shown = offer.then(|| backend::vote_offer(&context.home)).transpose()?;
    let key = shown.map_or_else(|| backend::vote_key(&context.home), |offer| Ok(offer.key))?;
    let output = &mut context.output;
    if output.json {
        output.object(&VoteKey { schema: "quorate.key/1", key, offer: shown })?;
    } else {
        output.line(&shown.map_or_else(|| key.to_string(), |offer| offer.to_string()))?;
    }
    let words = match shown {
        Some(offer) => format!("quorate validator add ROOM {offer}"),
        None => format!("quorate new NAME --validator {key}"),
    };
    context.output.next(&[format!("{words}    # on the machine of the room's host")]);
    Ok(())
}

fn wish(next: &NextQuorum) -> ValidatorWish {
    let quorum = next.quorum.and_then(|quorum| usize::try_from(quorum).ok());
    ValidatorWish { quorum, ..ValidatorWish::default() }
}

/// `quorate validator add` and `quorate validator remove`.
async fn change_validators(stream: &str, wish: ValidatorWish, context: &mut Context) -> Outcome {
    let backend = context.backend().await?;
    let changed = backend.change_validators(stream, wish).await;
    let closed = backend.close().await;
    let changed = changed?;
    closed?;
    let output = &mut context.output;
    if output.json {
        output.object(&changed)?;
    } else {
        let ValidatorsChanged { index, epoch, validators, needed, .. } = &changed;
        output.line(&format!(
            "appended at {index}: {} from epoch {epoch} on, {needed} of them commit",
            text::count(validators.len() as u64, "validator"),
        ))?;
        output.note(&format!(
            "epoch {epoch} begins when this is committed and {needed} of those validators have accepted; until then \
             nothing is appended behind it"
        ));
    }
    let next = [context.command(&format!("votes {} --live", text::shell(stream)))];
    context.output.next(&next);
    Ok(())
}

/// `quorate votes STREAM`.
pub(crate) async fn votes(args: VotesArgs, context: &mut Context) -> Outcome {
    let mut follow = Follow::open(context, &args.stream.stream, args.live).await?;
    let result = print_votes(&mut follow, args.live, &mut context.output).await;
    let closed = follow.close().await;
    result?;
    closed
}

async fn print_votes(follow: &mut Follow, live: bool, output: &mut Output) -> Outcome {
    let mut shown: Option<QuorumInfo> = None;
    loop {
        let info = &follow.info;
        match quorum_in(info) {
            // A clone that has just begun does not know what it is.
            Err(_) if live && info.here == 0 => {}
            quorum => {
                let quorum = quorum?;
                if shown.as_ref() != Some(&quorum) {
                    let length = info.length;
                    if output.json {
                        output.object(&Votes { schema: "quorate.votes/1", length, quorum: &quorum })?;
                    } else {
                        print_matrix(&quorum, shown.as_ref(), output)?;
                        if !live {
                            note_waiting(&quorum, length, output);
                        }
                    }
                    output.flush()?;
                    shown = Some(quorum);
                }
            }
        }
        if !live {
            return Ok(());
        }
        follow.changed().await?;
    }
}

/// Prints the heights of which something was said, or, after the first time, those of which something else was said
/// before.
fn print_matrix(quorum: &QuorumInfo, before: Option<&QuorumInfo>, output: &mut Output) -> Outcome {
    let paint = output.paint;
    let voted = quorum.votes.iter().map(|vote| vote.length);
    let heights: BTreeSet<u64> = voted.chain(quorum.rejects.iter().map(|reject| reject.length)).collect();
    let mut rows: Vec<Vec<String>> = Vec::new();
    if before.is_none_or(|before| before.epoch != quorum.epoch) {
        let validators = quorum.validators.iter().map(|validator| validator.key.short());
        rows.push(std::iter::once("length".to_owned()).chain(validators).chain([String::new()]).collect());
    }
    let newest: Vec<u64> = heights.into_iter().rev().take(MAX_HEIGHTS).collect();
    for length in newest.into_iter().rev() {
        let found = row(quorum, length, paint);
        if before.is_none_or(|before| row(before, length, paint) != found) {
            rows.push(found);
        }
    }
    for line in text::table(&rows, &[true]) {
        output.line(&line)?;
    }
    Ok(())
}

/// What was said of a length.
fn row(quorum: &QuorumInfo, length: u64, paint: text::Paint) -> Vec<String> {
    let mut row = vec![length.to_string()];
    for validator in &quorum.validators {
        row.push(cell(quorum, &validator.key, length, paint));
    }
    row.push(match length {
        length if length <= quorum.committed => paint.green("committed"),
        length if length <= quorum.certified => "voted for by a quorum".to_owned(),
        _ => String::new(),
    });
    row
}

fn note_waiting(quorum: &QuorumInfo, length: u64, output: &mut Output) {
    output.note(&format!(
        "appended {length}, committed {}; {}; {} votes commit",
        quorum.committed,
        votes_words(quorum),
        quorum.needed
    ));
}

/// Says who has voted for the newest block of those that anybody voted for. Behind it there may be a certificate, which is
/// voted for together with the next block only.
fn votes_words(quorum: &QuorumInfo) -> String {
    let newest = quorum.validators.iter().map(|validator| validator.voted).max().unwrap_or(0);
    if newest == 0 {
        return "no vote is known here".to_owned();
    }
    let voted = quorum.validators.iter().filter(|validator| validator.voted >= newest).count();
    let all = quorum.validators.len();
    // Votes that have led to no certificate are not kept: others hold them.
    let more = if quorum.heard { "" } else { ", as far as is known here: no peer says more" };
    format!("the longest length that is voted for is {newest}, by {voted} of {all} validators{more}")
}

/// What a validator said of a length: yes, two votes that contradict each other, nothing yet, or passed over. A certificate
/// holds the votes of a quorum, so that others' for what it is for may have been given and not kept; of what is above it
/// only peers know.
fn cell(quorum: &QuorumInfo, key: &PublicKey, length: u64, paint: text::Paint) -> String {
    let mut votes: Vec<_> = quorum
        .votes
        .iter()
        .filter(|vote| vote.validator == *key && vote.length == length)
        .map(|vote| vote.tree_hash)
        .collect();
    votes.sort_unstable();
    votes.dedup();
    let reject = quorum.rejects.iter().find(|one| one.validator == *key && one.length == length);
    if let Some(RejectInfo { code, rule_code, .. }) = reject {
        let rule = rule_code.map_or_else(String::new, |code| format!(", code {code}"));
        return paint.red(&format!("no ({}{rule})", text::clean(code)));
    }
    let later = quorum.validators.iter().any(|validator| validator.key == *key && validator.voted > length);
    match votes.len() {
        0 if later => "later".to_owned(),
        0 if length <= quorum.committed.max(quorum.certified) => "not kept".to_owned(),
        0 if !quorum.heard => "unknown".to_owned(),
        0 => paint.yellow("missing"),
        1 => paint.green("yes"),
        _ => paint.red("two votes"),
    }
}

async fn quorum_of(args: &StreamArg, context: &mut Context) -> Outcome<(StreamInfo, QuorumInfo)> {
    let backend = context.backend().await?;
    let info = backend.settled(&args.stream).await?;
    backend.close().await?;
    let quorum = quorum_in(&info)?;
    Ok((info, quorum))
}

fn quorum_in(info: &StreamInfo) -> Outcome<QuorumInfo> {
    info.room.as_ref().and_then(|room| room.quorum.clone()).ok_or_else(|| {
        let name = &info.name;
        if let Some(damage) = info.damage() {
            return damage.into();
        }
        let message =
            format!("expected a room with validators, found that nobody commits what is appended to {name}");
        Failure::new(Code::NoValidators, message).next(format!("quorate info {name}")).into()
    })
}

#[cfg(test)]
mod tests {
    use quorate_node::model::VoteInfo;
    use quorate_types::Hash;

    use super::*;

    #[test]
    fn a_vote_is_missing_only_where_it_would_be_known() {
        let keys = [1, 2, 3].map(|byte| PublicKey::new([byte; 32]));
        let voted = [(keys[0], 7), (keys[1], 5)];
        let vote = |(validator, length)| VoteInfo {
            validator,
            length,
            tree_hash: Hash::new([7; 32]),
            acknowledged: 0,
        };
        let validator = |key: PublicKey| ValidatorInfo {
            key,
            voted: voted.iter().find(|(voter, _)| *voter == key).map_or(0, |(_, length)| *length),
            acknowledged: 0,
            sealed: false,
        };
        let mut quorum = QuorumInfo {
            epoch: 0,
            needed: 2,
            validators: keys.map(validator).to_vec(),
            committed: 3,
            known: 3,
            certified: 5,
            votes: voted.map(vote).to_vec(),
            silent: None,
            rejects: Vec::new(),
            evidence: Vec::new(),
            hosts: Vec::new(),
            feeds: Vec::new(),
            heard: false,
        };
        let row = |quorum: &QuorumInfo, length| {
            keys.map(|key| cell(quorum, &key, length, text::Paint::plain())).join(", ")
        };
        assert_eq!(row(&quorum, 5), "later, yes, not kept");
        assert_eq!(row(&quorum, 7), "yes, unknown, unknown");
        assert_eq!(
            votes_words(&quorum),
            "the longest length that is voted for is 7, by 1 of 3 validators, as far as is known here: no peer says more"
        );
        quorum.heard = true;
        assert!(votes_words(&quorum).ends_with("by 1 of 3 validators"));
        assert_eq!(row(&quorum, 5), "later, yes, not kept");
        assert_eq!(row(&quorum, 7), "yes, missing, missing");
    }
}
