//! A child process that prints newline-delimited JSON.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// How long a test waits for what should come at once, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Lines of standard error kept for the message of a failure.
const STDERR_LINES: usize = 60;

/// A running process whose standard output is events; killed when dropped.
///
/// An event is an object with a member `event`. Events stay queued until somebody asks for one of their
/// name, so the order in which a test asks does not matter.
#[derive(Debug)]
pub struct EventProcess {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    queued: VecDeque<Value>,
    stderr: Arc<Mutex<VecDeque<String>>>,
}

impl EventProcess {
    /// Starts a command; `name` stands in the messages of failures.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}: {command:?}"))?;
        let stdout = child.stdout.take().context("standard output was piped")?;
        let (send, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        let stderr = keep_last_lines(child.stderr.take().context("standard error was piped")?);
        let stdin = child.stdin.take();
        Ok(Self { name: name.to_owned(), child, stdin, lines, queued: VecDeque::new(), stderr })
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes one line of JSON to standard input.
    pub fn send(&mut self, message: &Value) -> Result<()> {
        let name = &self.name;
        let stdin = self.stdin.as_mut().with_context(|| format!("standard input of {name} is closed"))?;
        writeln!(stdin, "{message}")
            .and_then(|()| stdin.flush())
            .with_context(|| format!("{name} does not read its commands any more\n{}", text_of(&self.stderr)))
    }

    /// Closes standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits for the next event of that name; others stay queued.
    ///
    /// # Errors
    ///
    /// The time is over, or the process ended; the message shows what came instead.
    pub fn event(&mut self, event: &str, patience: Duration) -> Result<Value> {
        self.event_where(event, patience, |_| true)
    }

    /// Waits for the next event of that name that fulfils a condition; others stay queued.
    pub fn event_where(
        &mut self,
        event: &str,
        patience: Duration,
        mut condition: impl FnMut(&Value) -> bool,
    ) -> Result<Value> {
        let deadline = Instant::now() + patience;
        let mut searched = 0;
        loop {
            while let Some(queued) = self.queued.get(searched) {
                if queued["event"] == event && condition(queued) {
                    return self.queued.remove(searched).context("the event was just seen");
                }
                searched += 1;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.queue(&line)?,
                Err(RecvTimeoutError::Timeout) => bail!(
                    "expected event {event:?} of {} within {patience:?}, found {}",
                    self.name,
                    self.found()
                ),
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("expected event {event:?} of {}, but it ended; found {}", self.name, self.found())
                }
            }
        }
    }

    /// Takes the next event, of whatever name; `None` when the process has ended and all were taken.
    pub fn next(&mut self, patience: Duration) -> Result<Option<Value>> {
        if let Some(queued) = self.queued.pop_front() {
            return Ok(Some(queued));
        }
        match self.lines.recv_timeout(patience) {
            Ok(line) => self.queue(&line)?,
            Err(RecvTimeoutError::Timeout) => {
                bail!("expected an event of {} within {patience:?}, found {}", self.name, self.found())
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
        Ok(self.queued.pop_front())
    }

    /// Asserts that no event of that name is queued or comes within the time.
    pub fn no_event(&mut self, event: &str, time: Duration) -> Result<()> {
        let deadline = Instant::now() + time;
        loop {
            if let Some(found) = self.queued.iter().find(|queued| queued["event"] == event) {
                bail!("expected no event {event:?} of {}, found {found}", self.name);
            }
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.queue(&line)?,
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("{} ended; found {}", self.name, self.found())
                }
            }
        }
    }

    /// Waits for the end of the process.
    pub fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(
                Instant::now() < deadline,
                "expected the end of {} within {patience:?}, found it running; {}",
                self.name,
                self.found()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills the process, without a chance to tidy up (SIGKILL), and waits for its end.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.child.kill().with_context(|| format!("cannot kill {}", self.name))?;
        self.child.wait().with_context(|| format!("cannot wait for {}", self.name))
    }

    /// Returns what the process said on standard error, its last lines.
    pub fn stderr(&self) -> String {
        text_of(&self.stderr)
    }

    fn queue(&mut self, line: &str) -> Result<()> {
        let event = serde_json::from_str(line)
            .with_context(|| format!("expected a line of JSON from {}, found {line:?}", self.name))?;
        self.queued.push_back(event);
        Ok(())
    }

    fn found(&self) -> String {
        let mut text = String::from("these events:");
        for event in self.queued.iter().rev().take(20).rev() {
            let line = event.to_string();
            text.push_str("\n  ");
            text.extend(line.chars().take(300));
        }
        let stderr = text_of(&self.stderr);
        if !stderr.is_empty() {
            text.push_str("\non standard error:\n");
            text.push_str(&stderr);
        }
        text
    }
}

impl Drop for EventProcess {
    fn drop(&mut self) {
        // The process may have ended already; then there is nothing to kill, only to collect.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn keep_last_lines(stream: impl Read + Send + 'static) -> Arc<Mutex<VecDeque<String>>> {
    let kept = Arc::new(Mutex::new(VecDeque::new()));
    let lines = Arc::clone(&kept);
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() == STDERR_LINES {
                lines.pop_front();
            }
            lines.push_back(line);
        }
    });
    kept
}

fn text_of(lines: &Mutex<VecDeque<String>>) -> String {
    let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> EventProcess {
        EventProcess::start("a shell", Command::new("sh").args(["-c", script])).expect("sh runs")
    }

    #[test]
    fn events_wait_until_they_are_asked_for() {
        let mut process =
            shell(r#"echo '{"event":"a","n":1}'; echo '{"event":"b"}'; echo '{"event":"a","n":2}'"#);
        process.event("b", PATIENCE).unwrap();
        assert_eq!(process.event_where("a", PATIENCE, |a| a["n"] == 2).unwrap()["n"], 2);
        assert_eq!(process.event("a", PATIENCE).unwrap()["n"], 1);
        assert!(process.wait(PATIENCE).unwrap().success());
    }

    #[test]
    fn a_missing_event_names_what_came_instead() {
        let mut process = shell(r#"echo '{"event":"other"}'; echo trouble >&2; sleep 60"#);
        process.event_where("other", PATIENCE, |_| true).unwrap();
        let error = process.event("wanted", Duration::from_millis(200)).unwrap_err().to_string();
        assert!(error.contains("wanted") && error.contains("trouble"), "{error}");
        process.no_event("wanted", Duration::from_millis(20)).unwrap();
    }

    #[test]
    fn the_end_of_the_process_is_no_wait() {
        let mut process = shell("exit 3");
        let error = process.event("wanted", PATIENCE).unwrap_err().to_string();
        assert!(error.contains("it ended"), "{error}");
        assert_eq!(process.wait(PATIENCE).unwrap().code(), Some(3));
    }

    #[test]
    fn dropping_kills() {
        let process = shell("sleep 600");
        let directory = format!("/proc/{}", process.id());
        assert!(std::path::Path::new(&directory).exists());
        drop(process);
        assert!(!std::path::Path::new(&directory).exists());
    }
}
