//! What can go wrong, as users and scripts see it: a stable code, a kind, a sentence, a next step.

use serde::{Deserialize, Serialize};

/// Class of a failure; the command line derives its exit code from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// Anything without a class of its own.
    Other,
    /// The request itself is wrong.
    Usage,
    /// A stream, block or file does not exist here.
    NotFound,
    /// No peer could be reached, or none answered in time.
    NoPeers,
    /// A fork was found.
    Fork,
    /// The stream cannot be written here.
    NotWritable,
    /// Storage is locked, moved, damaged or full.
    Storage,
    /// The peer speaks another wire.
    OtherWire,
    /// A rule, or the format of rooms, refuses what was to be appended.
    RefusedByRule,
    /// A quorum did not commit in time.
    NotCommitted,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $kind:ident, $title:literal;)*) => {
        /// Stable code of a failure, explained by `quorate explain CODE`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// Returns the code as it is printed, such as `E1001`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $code,)* }
            }

            /// Returns the class of the failure.
            pub const fn kind(self) -> FailureKind {
                match self { $(Code::$name => FailureKind::$kind,)* }
            }

            /// Returns the failure in a few words.
            pub const fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }
        }
    };
}

codes! {
    /// No stream has this name, short key or link.
    StreamNotFound = "E1001", NotFound, "no such stream";
    /// A stream of this name exists.
    NameTaken = "E1002", Usage, "the name is taken";
    /// The text is no stream name.
    BadName = "E1003", Usage, "not a stream name";
    /// The text holds no key.
    BadLink = "E1004", Usage, "not a link";
    /// The block exists in the feed but is not stored here.
    BlockNotHere = "E1005", NotFound, "the block is not here";
    /// The block lies beyond the end of the feed.
    BlockBeyondEnd = "E1006", NotFound, "the block is beyond the end";
    /// The secret key is not here.
    NotWritable = "E1007", NotWritable, "the stream is not writable here";
    /// A block is larger than a stock peer takes.
    BlockTooLarge = "E1008", Usage, "the block is too large";
    /// Several streams match a short key.
    Ambiguous = "E1009", Usage, "the short key fits several streams";
    /// The proof or file does not hold what it says.
    BadProof = "E1010", Other, "the proof does not hold";
    /// An argument of the local API is not understood.
    BadRequest = "E1011", Usage, "the request is not understood";
    /// No local identity has this name.
    NoIdentity = "E1012", NotFound, "no such identity";
    /// A local identity of this name exists.
    IdentityTaken = "E1013", Usage, "the identity exists";
    /// The stream is no room.
    NotARoom = "E1014", Usage, "the stream is not a room";
    /// The stream is no Dat archive.
    NotAnArchive = "E1020", Usage, "the stream is not a Dat archive";
    /// The doctor found something in the way.
    Unwell = "E1021", Other, "something is in the way";
    /// A name stands for no key.
    NameUnknown = "E1022", NotFound, "the name stands for no key";
    /// Another process holds the stream.
    Locked = "E2001", Storage, "the stream is in use";
    /// What is on disk does not verify.
    Damaged = "E2002", Storage, "the stream is damaged";
    /// The operating system refused a read or a write.
    Io = "E2003", Storage, "reading or writing failed";
    /// The directory holds no feed.
    NotAFeed = "E2004", Storage, "no feed in the directory";
    /// Another node runs on this home.
    HomeInUse = "E2005", Storage, "another node runs on this home";
    /// The destination exists.
    DestinationExists = "E2006", Usage, "the destination exists";
    /// The secret key is here, and nobody knows whether all that was written with it is.
    Recovering = "E2007", NotWritable, "the stream is not written before its newest head is known";
    /// A block of a room is not in its canonical encoding.
    NotCanonical = "E3001", RefusedByRule, "not in its canonical encoding";
    /// The signature of an action is not its author's.
    Forged = "E3002", RefusedByRule, "the signature is not the author's";
    /// An action with this sequence stands already.
    Replayed = "E3003", RefusedByRule, "the action was appended before";
    /// An action comes before one that it follows.
    SequenceSkipped = "E3004", RefusedByRule, "a sequence number is skipped";
    /// An action was signed in another history.
    OtherHistory = "E3005", RefusedByRule, "the action belongs to another history";
    /// The time in which an action could be appended is over.
    Expired = "E3006", RefusedByRule, "the action has expired";
    /// A part of an entry is larger than rooms take.
    EntryTooLarge = "E3007", RefusedByRule, "the entry is too large";
    /// An entry of this kind cannot be appended here.
    EntryNotAllowed = "E3008", RefusedByRule, "the entry is not allowed here";
    /// Block 0 is a header that no room can have.
    BadHeader = "E3009", RefusedByRule, "the header of the room is not valid";
    /// A certificate or evidence does not prove what it says.
    Unproven = "E3010", RefusedByRule, "the proof does not hold";
    /// A rule of the room says no.
    RuleRejects = "E3101", RefusedByRule, "a rule rejects the action";
    /// A rule of the room could not come to an end.
    RuleTraps = "E3102", RefusedByRule, "a rule failed on the action";
    /// A module breaks a limit that holds for all rules.
    GateRefuses = "E3201", RefusedByRule, "the module is not taken as a rule";
    /// A rule does not do what its change says it does.
    VectorsFail = "E3202", RefusedByRule, "a test vector of the rule fails";
    /// A rule of the room says no to a change of rules.
    RuleObjects = "E3203", RefusedByRule, "a rule objects to the change";
    /// A change of rules is to hold too soon.
    ActivationTooEarly = "E3204", RefusedByRule, "the change would hold too early";
    /// The room has as many rules as it can.
    TooManyRules = "E3205", RefusedByRule, "the room has too many rules";
    /// The room was made with this rule for ever.
    RuleLocked = "E3206", RefusedByRule, "the rule is locked";
    /// No rule of the room has this id or name.
    NoSuchRule = "E3207", RefusedByRule, "no such rule";
    /// The bytes of a module are not all in the room.
    ModuleIncomplete = "E3208", RefusedByRule, "the module is not complete";
    /// A rule does not take its parameters.
    ParamsRefused = "E3209", RefusedByRule, "the rule refuses its parameters";
    /// The text is no name of a rule, or another rule has it.
    BadRuleName = "E3210", RefusedByRule, "not a name for a rule";
    /// Something that is needed for a verdict is not here.
    Unable = "E3301", Other, "no verdict can be given here";
    /// The host appended what the rules of its own room refuse.
    HostBrokeRules = "E3302", RefusedByRule, "the host broke the rules of the room";
    /// Nobody commits what is appended.
    NoValidators = "E3401", NotFound, "the room has no validators";
    /// What was appended was not committed in time.
    NotCommitted = "E3402", NotCommitted, "not committed in time";
    /// No piece of evidence has this id.
    NoSuchEvidence = "E3403", NotFound, "no such evidence";
    /// The vote keys and their number are no quorum.
    BadQuorum = "E3404", Usage, "not a quorum";
    /// The bytes prove nothing.
    NoEvidence = "E3405", Other, "the evidence proves nothing";
    /// What only the host of a room does was asked of another node.
    NotHost = "E3410", NotWritable, "this node does not host the room";
    /// A change of validators has not come to its end.
    ChangeUnderWay = "E3411", Other, "a change of validators is under way";
    /// The home has no vote key.
    NotValidator = "E3412", NotWritable, "this home is no validator";
    /// No peer was named or found.
    NoPeers = "E4001", NoPeers, "no peers";
    /// A peer could not be reached.
    PeerUnreachable = "E4002", NoPeers, "the peer cannot be reached";
    /// A peer speaks a wire that is not spoken here.
    OtherWire = "E4003", OtherWire, "the peer speaks another wire";
    /// A peer does not take this node's key, or this node does not take the peer's.
    Denied = "E4004", NoPeers, "the peer was denied";
    /// Nothing came in time.
    TimedOut = "E4005", NoPeers, "timed out";
    /// The address to listen on is taken.
    AddressInUse = "E4006", Other, "the address is in use";
    /// No connected peer carries the feed.
    NotCarried = "E4007", NoPeers, "no connected peer carries the stream";
    /// The node that did the work of a command has ended.
    NodeEnded = "E4008", NoPeers, "the node on this home has ended";
    /// A peer has the network key of this home.
    OwnKey = "E4009", NoPeers, "the peer is a copy of this home";
    /// The writer signed two histories.
    ForkFound = "E5001", Fork, "a fork was found";
    /// A peer sent what its writer never signed.
    CorruptPeer = "E5002", Other, "a peer sent corrupt data";
    /// A pre-accept check refused a block.
    Refused = "E5003", Other, "a check refused the block";
    /// The user of this home has stopped the replication of the stream.
    NotReplicated = "E5004", Fork, "the replication was stopped by its user";
    /// What is to be done about a key cannot be done about this one.
    PolicyUnfit = "E5005", Usage, "the decision does not fit the evidence";
    /// A program that is needed to build a rule is not installed.
    ToolMissing = "E6001", Other, "a tool is missing";
    /// The build of a rule ended with an error.
    BuildFailed = "E6002", Other, "the rule does not build";
    /// A defect of this program.
    Internal = "E9001", Other, "internal error";
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Code {
    /// Finds a code by its printed form, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str().eq_ignore_ascii_case(text))
    }
}

/// A failure, complete enough to be shown: it also crosses the local API as JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}  ({code})")]
pub struct Failure {
    /// Stable code.
    pub code: Code,
    /// What was expected and what was found, in one sentence.
    pub message: String,
    /// What to do next.
    pub next: Option<String>,
}

impl Failure {
    /// Makes a failure without a next step.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), next: None }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// Returns the class of the failure.
    pub fn kind(&self) -> FailureKind {
        self.code.kind()
    }
}

/// A failure as the local API writes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FailureBody {
    /// Printed form of the code.
    pub code: String,
    /// Class.
    pub kind: FailureKind,
    /// Sentence.
    pub message: String,
    /// Next step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl From<&Failure> for FailureBody {
    fn from(failure: &Failure) -> Self {
        Self {
            code: failure.code.to_string(),
            kind: failure.kind(),
            message: failure.message.clone(),
            next: failure.next.clone(),
        }
    }
}

impl From<FailureBody> for Failure {
    fn from(body: FailureBody) -> Self {
        Self {
            code: Code::parse(&body.code).unwrap_or(Code::Internal),
            message: body.message,
            next: body.next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_read_back() {
        for (position, code) in Code::ALL.iter().enumerate() {
            assert_eq!(Code::parse(code.as_str()), Some(*code));
            assert!(Code::ALL[position + 1..].iter().all(|other| other.as_str() != code.as_str()));
        }
    }

    #[test]
    fn a_failure_crosses_the_api_unchanged() {
        let failure = Failure::new(Code::Locked, "held by process 7").next("stop it");
        let text = serde_json::to_string(&FailureBody::from(&failure)).unwrap();
        let back: FailureBody = serde_json::from_str(&text).unwrap();
        assert_eq!(Failure::from(back), failure);
    }
}
