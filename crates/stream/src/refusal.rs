//! Why something does not become a block.

use std::fmt;

use quorate_types::RuleId;
use quorate_types::limits::MAX_REASON_BYTES;

/// Reason of a refusal, by a number that never changes: people see `E` and its four digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum RoomCode {
    /// The block is no entry in its canonical encoding.
    NotCanonical = 3001,
    /// The signature is not the author's.
    Forged = 3002,
    /// The author's sequence is past this number: the entry is there already, or another one with its number.
    Replayed = 3003,
    /// The author's entries before this one are not there yet.
    SequenceSkipped = 3004,
    /// The history does not contain the head that the author had seen.
    Anchor = 3005,
    /// The room is past the height until which the entry was valid.
    Expired = 3006,
    /// Something is larger than its limit.
    TooLarge = 3007,
    /// The entry is of a kind that may not stand here.
    NotAllowed = 3008,
    /// Block 0 is no header of a room that can be followed.
    BadHeader = 3009,
    /// A certificate or evidence does not prove what it says.
    BadProof = 3010,
    /// A rule rejects the entry.
    RuleRejected = 3101,
    /// A rule did not come to a verdict, which counts as a reject.
    RuleTrapped = 3102,
    /// A module is not fit to be a rule.
    Gate = 3201,
    /// A rule does not do what the test vectors of the change say.
    Vectors = 3202,
    /// A rule that holds objects to the change.
    Objection = 3203,
    /// The change is to hold too soon.
    ActivationTooEarly = 3204,
    /// The room has as many rules as a room may have.
    TooManyRules = 3205,
    /// The rule is locked.
    Locked = 3206,
    /// No rule has this id.
    NoSuchRule = 3207,
    /// The module does not stand completely in the blocks before.
    ModuleIncomplete = 3208,
    /// The rule does not take the parameters.
    InitRefused = 3209,
    /// The name is none, or taken.
    BadRuleName = 3210,
    /// Whether the entry is valid cannot be told here and now.
    Unable = 3301,
}

/// Every code.
pub const ROOM_CODES: [RoomCode; 23] = {
    use RoomCode::*;
    [
        NotCanonical,
        Forged,
        Replayed,
        SequenceSkipped,
        Anchor,
        Expired,
        TooLarge,
        NotAllowed,
        BadHeader,
        BadProof,
        RuleRejected,
        RuleTrapped,
        Gate,
        Vectors,
        Objection,
        ActivationTooEarly,
        TooManyRules,
        Locked,
        NoSuchRule,
        ModuleIncomplete,
        InitRefused,
        BadRuleName,
        Unable,
    ]
};

impl RoomCode {
    /// Returns the digits of the code.
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// Finds the code of a number.
    pub fn from_number(number: u16) -> Option<Self> {
        ROOM_CODES.into_iter().find(|code| code.number() == number)
    }
}

impl fmt::Display for RoomCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E{}", self.number())
    }
}

/// Rule that refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleRef {
    /// Its id.
    pub id: RuleId,
    /// Its name.
    pub name: String,
}

/// Why something does not become a block; nothing was appended.
///
/// `Display` is one line: `refused by rule chess: it is black's turn  (E3101, rule 3f9a1c)`. Its parts are
/// [`headline`](Self::headline) and [`reference`](Self::reference).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}  {}", self.headline(), self.reference(None))]
pub struct Refusal {
    /// Number of the reason.
    pub code: RoomCode,
    /// Rule that refuses, when it is one.
    pub rule: Option<RuleRef>,
    /// What the rule returned.
    pub rule_code: Option<u32>,
    /// Words for people. They may come from strangers: they are shown through [`clean`].
    pub reason: String,
}

impl Refusal {
    /// Refuses for a reason that is no rule's.
    pub fn new(code: RoomCode, reason: impl Into<String>) -> Self {
        Self { code, rule: None, rule_code: None, reason: clean(&reason.into()) }
    }

    /// Refuses for a rule.
    pub fn by_rule(code: RoomCode, rule: RuleRef, rule_code: u32, reason: &str) -> Self {
        Self { code, rule: Some(rule), rule_code: Some(rule_code), reason: clean(reason) }
    }

    /// Returns who refuses and why: `refused by rule chess: it is black's turn`.
    pub fn headline(&self) -> String {
        let reason = match (clean(&self.reason), self.rule_code) {
            (reason, Some(code)) if reason.is_empty() => format!("code {code}"),
            (reason, _) => reason,
        };
        let by =
            self.rule.as_ref().map_or_else(String::new, |rule| format!(" by rule {}", clean(&rule.name)));
        if reason.is_empty() { format!("refused{by}") } else { format!("refused{by}: {reason}") }
    }

    /// Returns where to read on: `(E3101, rule 3f9a1c, height 3)`.
    pub fn reference(&self, height: Option<u64>) -> String {
        let rule = self.rule.as_ref().map_or_else(String::new, |rule| format!(", rule {}", rule.id.short()));
        let height = height.map_or_else(String::new, |height| format!(", height {height}"));
        format!("({}{rule}{height})", self.code)
    }

    /// Returns both: `refused by rule chess: it is black's turn  (E3101, rule 3f9a1c, height 3)`.
    pub fn at(&self, height: u64) -> String {
        format!("{}  {}", self.headline(), self.reference(Some(height)))
    }
}

/// Makes a stranger's text fit to be shown: control characters become spaces, and it ends after 256 bytes.
pub fn clean(text: &str) -> String {
    let mut clean = String::new();
    for character in text.chars() {
        let shown = if is_plain(character) { character } else { ' ' };
        if clean.len().saturating_add(shown.len_utf8()) > MAX_REASON_BYTES {
            break;
        }
        clean.push(shown);
    }
    clean
}

/// Tells whether a character neither moves the cursor nor turns the direction of what follows.
fn is_plain(character: char) -> bool {
    let turns =
        matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let breaks = matches!(character, '\u{2028}' | '\u{2029}');
    !character.is_control() && !turns && !breaks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_for_codes() {
        for code in ROOM_CODES {
            assert_eq!(RoomCode::from_number(code.number()), Some(code));
        }
        assert_eq!(RoomCode::from_number(3000), None);
        assert_eq!(RoomCode::RuleRejected.to_string(), "E3101");
        assert!(ROOM_CODES.is_sorted());
    }

    #[test]
    fn a_refusal_in_words() {
        let mut id = [0; 32];
        id[..3].copy_from_slice(&[0x3f, 0x9a, 0x1c]);
        let rule = RuleRef { id: RuleId::new(id), name: "chess".into() };
        let refusal = Refusal::by_rule(RoomCode::RuleRejected, rule, 7, "it is black's turn");
        assert_eq!(
            refusal.at(3),
            "refused by rule chess: it is black's turn  (E3101, rule 3f9a1c, height 3)"
        );
        assert_eq!(refusal.to_string(), "refused by rule chess: it is black's turn  (E3101, rule 3f9a1c)");
        let wordless = Refusal { reason: String::new(), ..refusal };
        assert_eq!(wordless.headline(), "refused by rule chess: code 7");
        let plain = Refusal::new(RoomCode::Forged, "the signature does not verify");
        assert_eq!(plain.to_string(), "refused: the signature does not verify  (E3002)");
        assert_eq!(Refusal::new(RoomCode::Unable, "").to_string(), "refused  (E3301)");
    }

    #[test]
    fn a_strangers_words_cannot_move_the_cursor() {
        assert_eq!(clean("a\u{1b}[2Jb\nc\u{202e}d"), "a [2Jb c d");
        assert_eq!(clean(&"é".repeat(200)), "é".repeat(128));
    }
}
