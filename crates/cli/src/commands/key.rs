//! `quorate key new`, `export`, `import` and `ls`.

use std::path::Path;

use quorate_node::model::{IdentityInfo, Streams};
use serde::Serialize;

use super::list::all_are_readable;
use crate::args::{KeyCommand, KeyExportArgs, KeyImportArgs, KeyNewArgs};
use crate::backend;
use crate::context::Context;
use crate::output::Output;
use crate::stop::Outcome;
use crate::text;

/// A public key, and where its secret half is.
#[derive(Serialize)]
struct Key {
    schema: &'static str,
    /// Name of the stream; absent for the key of the node and for identities.
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<String>,
    /// Name of the local identity that signs actions with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl Key {
    const SCHEMA: &'static str = "quorate.key/1";

    fn of(identity: &IdentityInfo) -> Self {
        Self {
            schema: Self::SCHEMA,
            stream: None,
            identity: Some(identity.name.clone()),
            key: identity.key.to_string(),
            secret: Some(identity.secret.clone()),
        }
    }

    /// Cells of its line: whose it is, the key, where the secret half is.
    fn row(&self, output: &Output) -> Vec<String> {
        let whose = match (&self.stream, &self.identity) {
            (Some(stream), _) => format!("stream {}", output.paint.bold(&text::clean(stream))),
            (None, Some(identity)) => format!("identity {}", output.paint.bold(identity)),
            (None, None) => output.paint.bold("this node"),
        };
        let secret = match (&self.secret, self.stream.is_some()) {
            (Some(path), _) => format!("secret key in {}", text::clean(path)),
            (None, true) => "read-only".to_string(),
            (None, false) => String::new(),
        };
        vec![whose, self.key.clone(), secret]
    }
}

/// `quorate key ...`.
pub(crate) async fn key(command: KeyCommand, context: &mut Context) -> Outcome {
    match command {
        KeyCommand::New(args) => new(&args, context),
        KeyCommand::Export(args) => export(&args, context).await,
        KeyCommand::Import(args) => import(&args, context).await,
        KeyCommand::Ls => ls(context).await,
    }
}

fn new(args: &KeyNewArgs, context: &mut Context) -> Outcome {
    let identity = backend::create_identity(&context.home, &args.name)?;
    let output = &mut context.output;
    if output.json {
        return output.object(&Key::of(&identity));
    }
    output.line(&identity.key.to_string())?;
    output.note(&format!("the secret key is in {}, and nowhere else", text::clean(&identity.secret)));
    let next = [context.command(&format!("append ROOM MESSAGE --as {}", identity.name))];
    context.output.next(&next);
    Ok(())
}

async fn export(args: &KeyExportArgs, context: &mut Context) -> Outcome {
    let key = backend::export_key(&context.home, &args.name, &args.file, args.identity).await?;
    let (name, file) = (Some(args.name.clone()), args.file.to_string_lossy().into_owned());
    let (stream, identity) = if args.identity { (None, name) } else { (name, None) };
    let output = &mut context.output;
    if output.json {
        let key = key.to_string();
        return output.object(&Key { schema: Key::SCHEMA, stream, identity, key, secret: Some(file) });
    }
    output.line(&key.to_string())?;
    output.note(&format!(
        "the secret key is in {}, too; who has it writes in its owner's name",
        text::clean(&file)
    ));
    Ok(())
}

async fn import(args: &KeyImportArgs, context: &mut Context) -> Outcome {
    if args.identity {
        let identity = backend::import_identity(&context.home, &args.file, &args.name)?;
        if context.output.json {
            return context.output.object(&Key::of(&identity));
        }
        return context.output.line(&identity.key.to_string());
    }
    let info = backend::import_key(&context.home, &args.file, &args.name).await?;
    let secret = Path::new(&info.directory).join("secret_key").to_string_lossy().into_owned();
    if context.output.json {
        return context.output.object(&Key {
            schema: Key::SCHEMA,
            stream: Some(info.name),
            identity: None,
            key: info.key.to_string(),
            secret: Some(secret),
        });
    }
    context.output.line(&info.link)?;
    let name = text::clean(&info.name);
    context
        .output
        .note(&format!("{name} is recovering: nothing is appended before its newest head is known"));
    let next = [context.command(&format!("share {}", text::shell(&info.name)))];
    context.output.next(&next);
    Ok(())
}

async fn ls(context: &mut Context) -> Outcome {
    let backend = context.backend().await?;
    let Streams { streams, unreadable } = backend.streams().await?;
    backend.close().await?;
    let node = backend::noise_key(&context.home).await?;
    let mut keys = vec![Key { schema: Key::SCHEMA, stream: None, identity: None, key: node, secret: None }];
    keys.extend(backend::identities(&context.home)?.iter().map(Key::of));
    for info in streams {
        let secret = Path::new(&info.directory).join("secret_key");
        let secret = info.has_secret_key().then(|| secret.to_string_lossy().into_owned());
        keys.push(Key {
            schema: Key::SCHEMA,
            stream: Some(info.name),
            identity: None,
            key: info.key.to_string(),
            secret,
        });
    }
    let output = &mut context.output;
    if output.json {
        keys.iter().try_for_each(|key| output.object(key))?;
        return all_are_readable(unreadable, output);
    }
    let rows: Vec<Vec<String>> = keys.iter().map(|key| key.row(output)).collect();
    for line in text::table(&rows, &[]) {
        output.line(&line)?;
    }
    all_are_readable(unreadable, output)
}
