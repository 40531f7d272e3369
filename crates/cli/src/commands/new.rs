//! `quorate new`.

use quorate_node::model::{Encoding, NewStream};

use crate::args::NewArgs;
use crate::context::Context;
use crate::stop::Outcome;
use crate::text;

/// `quorate new NAME [--encoding E]`.
pub(crate) async fn new(args: NewArgs, context: &mut Context) -> Outcome {
    let backend = context.backend().await?;
    let encoding = args.encoding.into();
    let running = backend.is_remote();
    let info = backend.create(NewStream { name: args.name, encoding }).await?;
    backend.close().await?;
    let name = text::shell(&info.name);
    if context.output.json {
        context.output.object(&info)?;
    } else {
        context.output.line(&info.link)?;
    }
    context.output.flush()?;
    let first = match encoding {
        Encoding::Json => context.command(&format!("append {name} '{{\"hello\":\"world\"}}'")),
        Encoding::Utf8 => context.command(&format!("append {name} 'hello world'")),
        Encoding::Binary => context.command(&format!("append {name} --files FILE")),
    };
    let mut next = vec![first];
    if !running {
        next.push(context.command(&format!("share {name}")));
    }
    next.push(format!("quorate clone {} --peer HOST:PORT    (elsewhere; share prints HOST:PORT)", info.link));
    context.output.next(&next);
    Ok(())
}
