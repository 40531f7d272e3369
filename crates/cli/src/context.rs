//! What every command works with.

use std::path::PathBuf;
use std::time::Duration;

use quorate_node::{Code, Failure};

use crate::args::Global;
use crate::backend::Backend;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::stop::Outcome;

/// What every command works with.
pub(crate) struct Context {
    /// Directory of the streams and the keys.
    pub(crate) home: PathBuf,
    /// Silence after which to give up.
    pub(crate) timeout: Duration,
    /// Standard output and error.
    pub(crate) output: Output,
    /// Ctrl-C.
    pub(crate) interrupt: Interrupt,
}

impl Context {
    /// Puts together what the options say.
    pub(crate) fn new(global: &Global, output: Output, interrupt: Interrupt) -> Result<Self, Failure> {
        let home = match &global.home {
            Some(home) => home.clone(),
            None => directories::ProjectDirs::from("", "", "quorate")
                .ok_or_else(|| {
                    Failure::new(
                        Code::BadRequest,
                        "expected a home directory of the user, found none, so there is no default for --home",
                    )
                    .next("name one: --home DIR, or the variable QUORATE_HOME")
                })?
                .data_dir()
                .to_path_buf(),
        };
        Ok(Self { home, timeout: Duration::from_secs(u64::from(global.timeout)), output, interrupt })
    }

    /// Reaches the streams: through the node that runs on the home, or in their files.
    pub(crate) async fn backend(&self) -> Outcome<Backend> {
        Ok(Backend::connect(&self.home, self.timeout).await?)
    }

    /// Writes a command to type on this home.
    pub(crate) fn command(&self, words: &str) -> String {
        self.output.on_home(&format!("quorate {words}"))
    }
}
