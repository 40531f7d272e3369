//! Text for people: colours, quantities, and what strangers sent made harmless.

use std::time::Duration;

use quorate_node::model::StreamInfo;

/// Colours, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint(bool);

impl Paint {
    /// Paints where `on`.
    pub(crate) const fn new(on: bool) -> Self {
        Self(on)
    }

    /// Paints nothing.
    #[cfg(test)]
    pub(crate) const fn plain() -> Self {
        Self(false)
    }

    /// Tells whether anything is painted.
    pub(crate) const fn is_on(self) -> bool {
        self.0
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }

    /// Paints what matters.
    pub(crate) fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// Paints what matters less.
    pub(crate) fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// Paints what is wrong.
    pub(crate) fn red(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    /// Paints what is well.
    pub(crate) fn green(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// Paints what is missing or unsure.
    pub(crate) fn yellow(self, text: &str) -> String {
        self.wrap("33", text)
    }
}

/// Tells whether a terminal may act on the character, or show the text around it in another order.
fn is_active(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Escapes every character that a terminal acts on.
pub(crate) fn clean(text: &str) -> String {
    escape(text, |_| false)
}

/// Escapes like [`clean`], and leaves line ends.
pub(crate) fn clean_lines(text: &str) -> String {
    escape(text, |c| c == '\n')
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_active(c) && !keep(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Makes a block harmless for a terminal: text stays, line ends and tabs stay, the rest is escaped.
pub(crate) fn for_terminal(block: &[u8]) -> String {
    let mut out = String::with_capacity(block.len());
    for chunk in block.utf8_chunks() {
        out.push_str(&escape(chunk.valid(), |c| matches!(c, '\n' | '\t')));
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// Writes a number of bytes in three digits and a unit: `999 B`, `1.50 KiB`, `12.3 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if value < 999.5 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    let digits = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    format!("{value:.digits$} {unit}")
}

/// Says whether a stream is written here.
pub(crate) fn access(info: &StreamInfo) -> &'static str {
    match (&info.recovering, info.writable) {
        (Some(_), _) => "recovering",
        (None, true) => "writable",
        (None, false) => "read-only",
    }
}

/// Writes a number of things: `1 block`, `2 blocks`.
pub(crate) fn count(number: u64, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// Writes a duration: `850 ms`, `1.5 s`, `3 min 20 s`.
pub(crate) fn duration(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    if ms < 10.0 {
        format!("{ms:.1} ms")
    } else if ms < 1000.0 {
        format!("{ms:.0} ms")
    } else if ms < 60_000.0 {
        format!("{:.1} s", ms / 1000.0)
    } else {
        format!("{} min {} s", time.as_secs() / 60, time.as_secs() % 60)
    }
}

/// Commands that work on a home.
const ON_A_HOME: [&str; 22] = [
    "append",
    "audit",
    "cat",
    "checkout",
    "clear",
    "clone",
    "export",
    "fork",
    "get",
    "import",
    "info",
    "key",
    "log",
    "ls",
    "ls-files",
    "new",
    "peers",
    "proof",
    "rule",
    "share",
    "validator",
    "votes",
];

/// Commands behind `fork` and `rule` that need none.
const WITHOUT_HOME: [&str; 6] = ["verify", "new", "build", "check", "test", "run"];

/// Words behind which a command is for another machine.
const ELSEWHERE: [&str; 8] = [
    "other side",
    "on its side",
    "the peer runs",
    "whether it runs",
    "its owner",
    "its host",
    "the sender",
    "elsewhere",
];

/// Names the home in every command of a text that is to be typed here.
pub(crate) fn on_home(words: &str, home: &str) -> String {
    let mut out = String::new();
    for line in words.split_inclusive('\n') {
        let mut rest = line;
        while let Some(at) = rest.find("quorate ") {
            let (before, found) = rest.split_at(at);
            let (program, behind) = found.split_at("quorate ".len());
            out.push_str(before);
            out.push_str(program);
            let mut named = behind.split_whitespace();
            let command = named.next().unwrap_or_default().trim_end_matches([';', ',', '.', ')', '`']);
            let second = named.next().unwrap_or_default();
            let needs_home = ON_A_HOME.contains(&command)
                && !(matches!(command, "fork" | "rule") && WITHOUT_HOME.contains(&second));
            let said = line.get(..line.len() - found.len()).unwrap_or_default();
            if needs_home && !ELSEWHERE.iter().any(|place| said.contains(place)) {
                out.push_str(&format!("--home {home} "));
            }
            rest = behind;
        }
        out.push_str(rest);
    }
    out
}

/// Quotes a word for a shell where it needs to be.
pub(crate) fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:+=@%,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_string()
    } else {
        format!("'{}'", clean(word).replace('\'', "'\\''"))
    }
}

/// Returns the name of a wire for people: `Dat 1`, `Dat 2`.
pub(crate) fn wire(name: &str) -> String {
    match name {
        "A" => "Dat 1".to_string(),
        "B2" => "Dat 2".to_string(),
        other => clean(other),
    }
}

/// Aligns rows: a column that is `right` ends, any other begins, at one position in all rows.
pub(crate) fn table(rows: &[Vec<String>], right: &[bool]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width_of = |cell: &String| visible(cell);
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(width_of).max().unwrap_or(0))
        .collect();
    rows.iter()
        .map(|row| {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let pad = " ".repeat(widths[column] - width_of(cell));
                if column > 0 {
                    line.push_str("  ");
                }
                if right.get(column).copied().unwrap_or(false) {
                    line.push_str(&pad);
                    line.push_str(cell);
                } else {
                    line.push_str(cell);
                    line.push_str(&pad);
                }
            }
            line.trim_end().to_string()
        })
        .collect()
}

/// Characters that take room: colour codes do not.
fn visible(cell: &str) -> usize {
    let mut width = 0;
    let mut in_code = false;
    for c in cell.chars() {
        match c {
            '\x1b' => in_code = true,
            'm' if in_code => in_code = false,
            _ if !in_code => width += 1,
            _ => {}
        }
    }
    width
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "0.98 KiB"),
            (1024, "1.00 KiB"),
            (10 * 1024, "10.0 KiB"),
            (100 * 1024, "100 KiB"),
            (1023 * 1024, "1.00 MiB"),
            (1 << 30, "1.00 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(count), text, "{count}");
        }
    }

    #[test]
    fn blocks_do_nothing_to_a_terminal() {
        assert_eq!(for_terminal(b"a\tb\nc"), "a\tb\nc");
        assert_eq!(for_terminal(b"\x1b]0;x\x07\xff\xc3\xa9"), "\\u{1b}]0;x\\u{7}\\xffé");
        assert_eq!(clean("a\u{202e}b\nc"), "a\\u{202e}b\\nc");
        assert_eq!(clean_lines("a\nb\r"), "a\nb\\r");
    }

    #[test]
    fn columns_are_aligned_whatever_the_colour() {
        let paint = Paint::new(true);
        let rows = vec![
            vec!["a".to_string(), "10".to_string(), "x".to_string()],
            vec![paint.green("abc"), "9".to_string(), "y".to_string()],
        ];
        let lines = table(&rows, &[false, true, false]);
        assert_eq!(lines, ["a    10  x", "\x1b[32mabc\x1b[0m   9  y"]);
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(shell("chess"), "chess");
        assert_eq!(shell("it's here"), "'it'\\''s here'");
        assert_eq!(shell(""), "''");
    }

    #[test]
    fn commands_to_type_here_name_the_home() {
        let named = |words: &str| on_home(words, "'/a b'");
        assert_eq!(named("quorate votes room"), "quorate --home '/a b' votes room");
        assert_eq!(
            named("quorate fork show r 1\nquorate fork resolve r 1 --policy POLICY"),
            "quorate --home '/a b' fork show r 1\nquorate --home '/a b' fork resolve r 1 --policy POLICY"
        );
        assert_eq!(named("see why: quorate ls; quorate info r"), {
            "see why: quorate --home '/a b' ls; quorate --home '/a b' info r"
        });
        for same in [
            "quorate explain E4009",
            "quorate fork verify FILE",
            "quorate rule build DIR builds one",
            "quorate --home '/a b' ls",
            "whenever quorate runs on this home",
            "check the link; on the other side: quorate share STREAM",
            "see whether the peer runs: quorate share STREAM",
        ] {
            assert_eq!(named(same), same);
        }
    }

    #[test]
    fn durations_have_a_unit_that_fits() {
        for (ms, text) in [(1, "1.0 ms"), (850, "850 ms"), (1500, "1.5 s"), (200_000, "3 min 20 s")] {
            assert_eq!(duration(Duration::from_millis(ms)), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_block_reaches_a_terminal_with_a_control_character(block: Vec<u8>) {
            let text = for_terminal(&block);
            assert!(text.chars().all(|c| matches!(c, '\n' | '\t') || !c.is_control()), "{text:?}");
        }
    }
}
