//! What is said and done about a stream that is recovering.

use quorate_node::model::{RecoveringInfo, StreamInfo};
use quorate_node::{Code, Failure};

use crate::args::WriterArgs;
use crate::backend::Backend;
use crate::context::Context;
use crate::stop::{Outcome, Stop};
use crate::text;

/// Takes the user's word that nothing was written elsewhere.
pub(super) async fn trust(
    backend: &Backend,
    info: &StreamInfo,
    args: WriterArgs,
    context: &mut Context,
) -> Outcome {
    let name = text::shell(&info.name);
    if !args.yes {
        let message = format!(
            "expected --yes with --unsafe-only-writer: if {} was written anywhere else after block {}, appending makes a \
             fork; peers keep the history that they met first, and what is appended here is lost to them; nothing was \
             appended",
            text::clean(&info.name),
            info.length.saturating_sub(1)
        );
        return Err(Stop::usage(
            message,
            format!("quorate append {name} MESSAGE --unsafe-only-writer --yes"),
        ));
    }
    backend.trust_only_writer(&info.name).await?;
    context.output.note(&format!(
        "{} is written here from now on: never write it anywhere else",
        text::clean(&info.name)
    ));
    Ok(())
}

/// Says why nothing is appended, and what to do.
pub(super) fn refused(info: &StreamInfo, recovering: &RecoveringInfo, context: &Context) -> Failure {
    let name = text::shell(&info.name);
    let message = format!(
        "expected the newest head of {} to be known before anything is appended to it, found that {}; nothing was \
         appended",
        text::clean(&info.name),
        recovering.reason
    );
    let share = context.command(&format!("share {name}"));
    let only = context.command(&format!("append {name} MESSAGE --unsafe-only-writer --yes"));
    Failure::new(Code::Recovering, message).next(format!(
        "{share}    # until {} peers that carry it have answered\n{only}    # if it was never written anywhere else",
        recovering.needed
    ))
}
