//! Runs the binary on homes of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Time that anything gets before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A directory for homes and files, removed at the end of the test.
pub(crate) struct World(tempfile::TempDir);

/// What a command printed.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// A command that runs.
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Receiver<String>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, home: &str, words: &[&str]) -> Command {
        let mut command = bare(words);
        command.env("QUORATE_HOME", self.path(home)).current_dir(self.0.path());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, home: &str, words: &[&str]) -> Said {
        self.run_with(home, words, b"")
    }

    /// Runs a command to its end, with standard input.
    pub(crate) fn run_with(&self, home: &str, words: &[&str], input: &[u8]) -> Said {
        finish(&mut self.command(home, words), input)
    }

    /// Runs a command that must succeed, and returns its standard output.
    pub(crate) fn ok(&self, home: &str, words: &[&str]) -> String {
        let said = self.run(home, words);
        assert_eq!(said.code, Some(0), "quorate {words:?}: {said:?}");
        said.text().to_string()
    }

    /// Runs a command with `--json` that must succeed and print one object.
    pub(crate) fn json(&self, home: &str, words: &[&str]) -> Value {
        let mut objects = self.ndjson(home, words);
        assert_eq!(objects.len(), 1, "quorate {words:?} prints a single JSON object: {objects:?}");
        objects.remove(0)
    }

    /// Runs a command with `--json` that must succeed and print objects.
    pub(crate) fn ndjson(&self, home: &str, words: &[&str]) -> Vec<Value> {
        let mut all = vec!["--json"];
        all.extend(words);
        let said = self.run(home, &all);
        assert_eq!(said.code, Some(0), "quorate {words:?}: {said:?}");
        assert_eq!(said.stderr, "", "--json leaves standard error to failures");
        objects(said.text())
    }

    /// Starts a command.
    pub(crate) fn start(&self, home: &str, words: &[&str]) -> Running {
        let mut child = self
            .command(home, words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        let errors = lines_of(child.stderr.take().unwrap());
        Running { stdin: child.stdin.take(), child, lines, errors }
    }

    /// Starts a node that serves everything in a home, and returns its address.
    pub(crate) fn share(&self, home: &str, words: &[&str]) -> (Running, String) {
        let mut all = vec!["share", "--json", "--host", "127.0.0.1", "--port", "0"];
        all.extend(words);
        let mut node = self.start(home, &all);
        let first: Value = serde_json::from_str(&node.line()).unwrap();
        assert_eq!(first["event"], "listening");
        assert_eq!(first["schema"], "quorate.event/1");
        let address = first["address"].as_str().unwrap().to_string();
        (node, address)
    }
}

/// Makes a command without a home.
pub(crate) fn bare(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    command.args(words).env_remove("QUORATE_HOME").env_remove("QUORATE_LOG").env_remove("NO_COLOR");
    // No test says anything on the real network.
    command.env("QUORATE_ANNOUNCE", "none").env("QUORATE_RESOLVE", "none");
    command
}

/// Runs a command to its end.
pub(crate) fn finish(command: &mut Command, input: &[u8]) -> Said {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A command that refuses its arguments reads nothing.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Said {
        code: output.status.code(),
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

pub(crate) fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn lines_of(source: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(source).lines() {
            if sender.send(line.unwrap()).is_err() {
                return;
            }
        }
    });
    receiver
}

impl Said {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// Asserts a failure told as JSON, and returns it.
    pub(crate) fn failure(&self, code: &str, exit: i32) -> Value {
        let failure = self.failure_after_data(code, exit);
        assert_eq!(self.text(), "");
        failure
    }

    /// Asserts a failure told as JSON, whatever was printed before it.
    pub(crate) fn failure_after_data(&self, code: &str, exit: i32) -> Value {
        assert_eq!(self.code, Some(exit), "{self:?}");
        let mut failures = objects(&self.stderr);
        assert_eq!(failures.len(), 1, "{self:?}");
        let failure = failures.remove(0);
        assert_eq!(failure["schema"], "quorate.error/1");
        assert_eq!(failure["code"], code, "{self:?}");
        assert_eq!(failure["exit"], exit);
        assert!(failure["message"].as_str().is_some_and(|text| !text.is_empty()));
        failure
    }
}

impl Running {
    /// Waits for the next line of standard output.
    pub(crate) fn line(&mut self) -> String {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(error) => {
                panic!("no line: {error}; it said {:?}", self.errors.try_iter().collect::<Vec<_>>())
            }
        }
    }

    /// Returns what it has said on standard error since the last time.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.errors.try_iter().collect()
    }

    /// Waits for an object on standard output that fits.
    pub(crate) fn object(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let object: Value = serde_json::from_str(&self.line()).unwrap();
            if fits(&object) {
                return object;
            }
        }
    }

    /// Writes to standard input.
    pub(crate) fn send(&mut self, text: &str) {
        self.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Ends standard input.
    pub(crate) fn close_input(&mut self) {
        self.stdin = None;
    }

    /// Waits for the end, and returns the exit code and what was said on standard error.
    pub(crate) fn wait_and_hear(mut self) -> (Option<i32>, Vec<String>) {
        let code = self.ended();
        // The pipe ends with the process.
        (code, self.errors.iter().collect())
    }

    /// Waits for the end, and returns the exit code.
    pub(crate) fn wait(mut self) -> Option<i32> {
        self.ended()
    }

    fn ended(&mut self) -> Option<i32> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not end");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Counts the files under a directory.
pub(crate) fn files_under(path: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    entries
        .map(|entry| entry.unwrap().path())
        .map(|path| if path.is_dir() { files_under(&path) } else { 1 })
        .sum()
}
