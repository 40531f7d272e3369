//! What the model is run with: the size of its space, and the bugs that can be planted.

use std::fmt;

use super::log::MAX_EPOCHS;

/// A mistake that the checker must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A certificate is called final.
    OnePhase,
    /// More than half is called a quorum.
    Majority,
    /// A vote leaves before it is on the disk.
    SendFirst,
    /// A validator goes and another one comes, in one change.
    Swap,
    /// A seal that is signed for the other set as well does not report what was certified in the epoch.
    SealBeside,
}

/// How the validators may change, once in a run. The Byzantine one stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Not at all.
    No,
    /// One comes.
    Add,
    /// One goes.
    Remove,
    /// One goes and another one comes: not allowed.
    Swap,
}

/// Bounds of the space, and the rules in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Validators, one of them Byzantine.
    pub validators: u8,
    /// More than half is called a quorum.
    pub majority: bool,
    /// Change of validators that hosts may put into a history.
    pub change: Change,
    /// Epochs.
    pub epochs: u8,
    /// Blocks of a feed, its header among them in each epoch but the first.
    pub length: u8,
    /// Places in each feed at which its host signs two blocks.
    pub forks: u8,
    /// Crashes in a run. With none, writing and sending a vote are one step.
    pub crashes: u8,
    /// Whether the last epoch is sealed too.
    pub seal_last: bool,
    /// Whether a certificate is called final.
    pub one_phase: bool,
    /// Whether a vote leaves before it is on the disk.
    pub send_first: bool,
    /// Whether a seal is signed for the other set of validators whatever it reports, without that.
    pub seal_beside: bool,
}

/// Byzantine validators.
const BYZANTINE: u8 = 1;

impl Settings {
    /// Returns the protocol as it is, with one Byzantine validator and Byzantine hosts throughout.
    pub fn new(validators: u8, epochs: u8, length: u8) -> Self {
        assert!((4..=6).contains(&validators) && epochs <= MAX_EPOCHS, "one validator is Byzantine");
        Self {
            validators,
            majority: false,
            change: Change::No,
            epochs,
            length,
            forks: u8::MAX,
            crashes: 0,
            seal_last: false,
            one_phase: false,
            send_first: false,
            seal_beside: false,
        }
    }

    /// Plants a bug.
    pub fn with(mut self, bug: Bug) -> Self {
        match bug {
            Bug::OnePhase => self.one_phase = true,
            Bug::Majority => self.majority = true,
            Bug::Swap => self.change = Change::Swap,
            Bug::SealBeside => self.seal_beside = true,
            Bug::SendFirst => (self.send_first, self.crashes) = (true, self.crashes.max(1)),
        }
        self
    }

    /// Tells whether an epoch is sealed.
    pub fn seals(&self, epoch: u8) -> bool {
        self.seal_last || epoch + 1 < self.epochs
    }

    /// Returns which honest validators there are: whether each votes before the change, and after it.
    pub fn members(&self) -> Vec<[bool; 2]> {
        let honest = usize::from(self.validators - BYZANTINE);
        let mut members = vec![[true, true]; honest];
        let (go, come) = match self.change {
            Change::No => (0, 0),
            Change::Add => (0, 1),
            Change::Remove => (1, 0),
            Change::Swap => (1, 1),
        };
        members.iter_mut().take(go).for_each(|member| *member = [true, false]);
        members.extend(std::iter::repeat_n([false, true], come));
        members
    }

    /// Returns how many honest ones a quorum needs, before or after the change: the Byzantine validator signs
    /// everything.
    pub fn honest_quorum(&self, is_changed: bool) -> usize {
        let n = match (self.change, is_changed) {
            (Change::Add, true) => self.validators + 1,
            (Change::Remove, true) => self.validators - 1,
            _ => self.validators,
        };
        usize::from(if self.majority { n / 2 + 1 } else { n * 2 / 3 + 1 } - BYZANTINE)
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n={}, {} epochs of {} blocks, ", self.validators, self.epochs, self.length)?;
        match self.forks {
            u8::MAX => f.write_str("forks at every block")?,
            forks => write!(f, "{forks} forks in a feed")?,
        }
        write!(f, ", {} crashes", self.crashes)?;
        match self.change {
            Change::No => {}
            Change::Add => f.write_str(", one validator may come")?,
            Change::Remove => f.write_str(", one validator may go")?,
            Change::Swap => f.write_str(", ONE VALIDATOR MAY REPLACE ANOTHER")?,
        }
        for (is_set, name) in [
            (self.seal_last, "the last epoch is sealed"),
            (self.one_phase, "ONE PHASE"),
            (self.majority, "MAJORITY"),
            (self.send_first, "SENT BEFORE DURABLE"),
            (self.seal_beside, "SEALS THE OTHER SET IN SILENCE"),
        ] {
            if is_set {
                write!(f, ", {name}")?;
            }
        }
        Ok(())
    }
}
