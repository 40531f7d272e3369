//! The functions that rules import, bound to the session of the call.

use wasmtime::{Caller, Linker, Result};

use super::data::{Data, serve, serve_at_hand, serve_with_host};
use crate::abi::{Guest, Session, Stopped};

const RULE: &str = "rule_v1";

type Code<'a> = Caller<'a, Data>;

/// Makes the linker for calls that may ask their host.
pub(super) fn asking(engine: &wasmtime::Engine) -> Result<Linker<Data>> {
    let mut linker = without_questions(engine)?;
    linker.func_wrap_async(RULE, "get_block", |code: Code<'_>, (index, out, cap): (i64, i32, i32)| {
        Box::new(serve_with_host(code, move |session, guest| session.get_block(guest, index, out, cap)))
    })?;
    linker.func_wrap_async(
        RULE,
        "state_get",
        |code: Code<'_>, (key, key_len, out, cap): (i32, i32, i32, i32)| {
            Box::new(serve_with_host(code, move |session, guest| {
                session.state_get(guest, key, key_len, out, cap)
            }))
        },
    )?;
    linker.func_wrap_async(
        RULE,
        "state_set",
        |code: Code<'_>, (key, key_len, value, value_len): (i32, i32, i32, i32)| {
            Box::new(async move {
                let set = serve_with_host(code, move |session, guest| {
                    session.state_set(guest, key, key_len, value, value_len)
                });
                set.await.map(drop)
            })
        },
    )?;
    linker.func_wrap_async(RULE, "state_del", |code: Code<'_>, (key, key_len): (i32, i32)| {
        Box::new(async move {
            let del = serve_with_host(code, move |session, guest| session.state_del(guest, key, key_len));
            del.await.map(drop)
        })
    })?;
    Ok(linker)
}

/// Makes the linker for calls to which all is at hand.
pub(super) fn at_hand(engine: &wasmtime::Engine) -> Result<Linker<Data>> {
    let mut linker = without_questions(engine)?;
    linker.func_wrap(RULE, "get_block", |code: Code<'_>, index: i64, out: i32, cap: i32| {
        serve_at_hand(code, |session, guest| session.get_block(guest, index, out, cap))
    })?;
    linker.func_wrap(RULE, "state_get", |code: Code<'_>, key: i32, key_len: i32, out: i32, cap: i32| {
        serve_at_hand(code, |session, guest| session.state_get(guest, key, key_len, out, cap))
    })?;
    linker.func_wrap(
        RULE,
        "state_set",
        |code: Code<'_>, key: i32, key_len: i32, value: i32, value_len: i32| {
            let set = |session: &mut Session, guest: &mut Guest<'_>| {
                session.state_set(guest, key, key_len, value, value_len)
            };
            serve_at_hand(code, set).map(drop)
        },
    )?;
    linker.func_wrap(RULE, "state_del", |code: Code<'_>, key: i32, key_len: i32| {
        serve_at_hand(code, |session, guest| session.state_del(guest, key, key_len)).map(drop)
    })?;
    Ok(linker)
}

/// Makes a linker with the functions that have no question.
fn without_questions(engine: &wasmtime::Engine) -> Result<Linker<Data>> {
    let mut linker = Linker::new(engine);
    linker.func_wrap(RULE, "fail", |mut code: Code<'_>, pointer: i32, length: i32| {
        serve(&mut code, |session, guest| session.fail(guest, pointer, length))
    })?;
    linker.func_wrap(RULE, "log", |mut code: Code<'_>, pointer: i32, length: i32| {
        serve(&mut code, |session, guest| session.log(guest, pointer, length))
    })?;
    linker.func_wrap(RULE, "blake2b_256", |mut code: Code<'_>, pointer: i32, length: i32, out: i32| {
        serve(&mut code, |session, guest| session.blake2b_256(guest, pointer, length, out))
    })?;
    linker.func_wrap(RULE, "sha256", |mut code: Code<'_>, pointer: i32, length: i32, out: i32| {
        serve(&mut code, |session, guest| session.sha256(guest, pointer, length, out))
    })?;
    linker.func_wrap(
        RULE,
        "ed25519_verify",
        |mut code: Code<'_>, key: i32, message: i32, length: i32, signature: i32| {
            serve(&mut code, |session, guest| session.ed25519_verify(guest, key, message, length, signature))
        },
    )?;
    linker.func_wrap(
        "env",
        "abort",
        |mut code: Code<'_>, message: i32, file: i32, line: i32, column: i32| {
            serve(&mut code, |session: &mut Session, guest: &mut Guest<'_>| {
                Err::<(), Stopped>(session.abort(guest, message, file, line, column))
            })
        },
    )?;
    Ok(linker)
}
