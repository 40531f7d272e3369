//! Processes that take part in the demo: they speak newline-delimited JSON.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use quorate_node::{Code, Failure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::context::Context;
use crate::interrupt::Interrupt;
use crate::stop::{Outcome, Stop};

/// Time after which a demo is given up.
const LIMIT: Duration = Duration::from_secs(120);
/// Time between two looks at Ctrl-C.
const LOOK: Duration = Duration::from_millis(50);
/// Time that a process gets to end in an orderly way.
const END: Duration = Duration::from_secs(3);

/// What all processes of a demo share.
pub(crate) struct Stage {
    /// Where homes and logs are.
    pub(crate) directory: PathBuf,
    program: PathBuf,
    /// When the demo is given up.
    deadline: Instant,
    /// Ctrl-C.
    interrupt: Interrupt,
}

/// A process that runs until it is ended; it does not outlive this value.
pub(crate) struct Actor {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    log: PathBuf,
}

impl Stage {
    /// Sets a stage in a directory.
    pub(crate) fn open(directory: &Path, context: &Context) -> Outcome<Self> {
        Ok(Self {
            directory: directory.to_path_buf(),
            program: std::env::current_exe().map_err(|error| Stop::io("looking for this program", &error))?,
            deadline: Instant::now() + LIMIT,
            interrupt: context.interrupt.clone(),
        })
    }

    /// Makes a command of this program for a home on the stage, which prints JSON.
    pub(crate) fn quorate(&self, home: &str, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--home").arg(self.directory.join(home)).arg("--json").args(words);
        // A demo says nothing on the real network.
        command.env("QUORATE_ANNOUNCE", "none");
        command
    }

    /// Starts a process.
    pub(crate) fn start(&self, name: &str, command: &mut Command) -> Outcome<Actor> {
        let log = self.directory.join(format!("{}.log", name.replace(' ', "-")));
        let failed = |error: std::io::Error| Stop::io(format_args!("starting {name}"), &error);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).map_err(failed)?)
            .spawn()
            .map_err(failed)?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        let (sender, lines) = sync_channel(1024);
        std::thread::Builder::new()
            .name(name.to_string())
            .spawn(move || {
                for line in stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines()) {
                    let Ok(line) = line else { return };
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            })
            .map_err(failed)?;
        Ok(Actor { name: name.to_string(), child, stdin, lines, log })
    }

    /// Waits for the next object; `None` at the end of the output.
    fn next(&self, actor: &mut Actor, what: &str) -> Outcome<Option<Value>> {
        loop {
            if self.interrupt.is_set() {
                return Err(Stop::Interrupted);
            }
            match actor.lines.recv_timeout(LOOK) {
                Ok(line) => {
                    return serde_json::from_str(&line).map(Some).map_err(|error| {
                        actor.failure(Code::Internal, &format!("expected JSON, found {line:?}: {error}"))
                    });
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) if Instant::now() < self.deadline => {}
                Err(RecvTimeoutError::Timeout) => {
                    return Err(
                        actor.failure(Code::TimedOut, &format!("expected {what}, found nothing in time"))
                    );
                }
            }
        }
    }

    /// Waits for the first object that `pick` takes.
    pub(crate) fn wait<T>(
        &self,
        actor: &mut Actor,
        what: &str,
        mut pick: impl FnMut(&Value) -> Option<T>,
    ) -> Outcome<T> {
        while let Some(object) = self.next(actor, what)? {
            if let Some(found) = pick(&object) {
                return Ok(found);
            }
        }
        Err(actor.failure(Code::Internal, &format!("expected {what}, found an end")))
    }

    /// Runs a process to its end, and returns its objects.
    pub(crate) fn run(&self, name: &str, command: &mut Command, input: &[u8]) -> Outcome<Vec<Value>> {
        self.run_to(0, name, command, input)
    }

    /// Runs a process that must end with an exit code, and returns its objects.
    pub(crate) fn run_to(
        &self,
        exit: i32,
        name: &str,
        command: &mut Command,
        input: &[u8],
    ) -> Outcome<Vec<Value>> {
        let mut actor = self.start(name, command)?;
        actor.send(input)?;
        actor.stdin = None;
        let mut objects = Vec::new();
        while let Some(object) = self.next(&mut actor, "an object or the end")? {
            objects.push(object);
        }
        let status =
            actor.child.wait().map_err(|error| Stop::io(format_args!("waiting for {name}"), &error))?;
        if status.code() == Some(exit) {
            Ok(objects)
        } else {
            Err(actor.failure(Code::Internal, &format!("expected exit code {exit}, found {status}")))
        }
    }
}

impl Actor {
    /// Writes to the standard input of the process.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Outcome {
        let sent = match &mut self.stdin {
            Some(stdin) => stdin.write_all(bytes).and_then(|()| stdin.flush()),
            None => Ok(()),
        };
        sent.map_err(|error| self.failure(Code::Internal, &format!("expected it to read, found: {error}")))
    }

    /// Sends one command to a stock peer.
    pub(crate) fn command(&mut self, command: &Value) -> Outcome {
        self.send(format!("{command}\n").as_bytes())
    }

    /// Ends the input, asks the process to end, and waits for it.
    pub(crate) fn end(mut self) {
        self.stdin = None;
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // A process that has ended already needs no signal.
            let _ = kill_process(pid, Signal::INT);
        }
        let until = Instant::now() + END;
        while Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Makes a failure of what the process did, with the end of what it said.
    fn failure(&self, code: Code, message: &str) -> Stop {
        let said = last_lines(&self.log);
        let said = if said.is_empty() { String::new() } else { format!("; it said: {said}") };
        Failure::new(code, format!("{}: {message}{said}", self.name)).into()
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(4)..].join(" / ")
}
