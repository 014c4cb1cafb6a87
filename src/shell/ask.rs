//! Questions to whoever sits at the terminal, before something that can't be undone.
//!
//! Lives here: [`confirm`], which every destructive command asks with, so that all of them read alike and take the same answers; and [`ask`],
//! a question whose answers are written out, for what needs a thought. Both throw away what was typed before the question could be read: type-ahead and pasted lines never answer it.
//!
//! Not here: what a command is about to do (the commands say), and the password, which `imapadm::auth` asks for.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};

use imapadm::net::Interrupt;
use imapadm::{Error, Outcome};
use rustix::termios::{QueueSelector, tcflush};
use rustyline::DefaultEditor;
use rustyline::config::Behavior;
use rustyline::error::ReadlineError;

use crate::report::complain;
use crate::report::escape::escape;

/// Up to this many things a `y` is enough; above it the user types their number.
const MOST_BY_YES: u64 = 20;

/// Names that are shown with the question; `l` lists the others.
const FIRST: usize = 5;

/// What a command is about to do.
pub struct Question<'a> {
    /// In a sentence without its full stop: `deletemailbox will delete 3 mailboxes: 1,234 messages, 56 MiB`. It may hold names from
    /// a server.
    pub will: String,
    /// How many things that takes.
    pub count: u64,
    /// What these things are, in the plural: `mailboxes`.
    pub things: &'static str,
    /// The name of each of them, from the first on.
    pub names: &'a dyn Fn() -> Box<dyn Iterator<Item = String> + 'a>,
}

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
    List,
    Unclear,
}

/// Says what a command is about to do, shows the first names, and asks whether it may.
///
/// # Errors
/// [`Error::Declined`] for a no, Ctrl-D, and a terminal that can't be used; [`Error::Interrupted`] for Ctrl-C.
pub fn confirm(question: &Question<'_>, interrupt: &Interrupt) -> Result<(), Error> {
    let mut terminal = Terminal::open().ok_or(Error::Declined)?;
    let shown = terminal.show(question);
    let all_shown = shown.map_err(|_| Error::Declined)?;
    let prompt = match (question.count > MOST_BY_YES, all_shown) {
        (true, _) => format!(
            "To continue, type the number of {}, {} (n: no, l: list all): ",
            question.things, question.count
        ),
        (false, false) => "Continue? (y: yes, n: no, l: list all) ".to_owned(),
        (false, true) => "Continue? (y: yes, n: no) ".to_owned(),
    };
    loop {
        let Some(typed) = terminal.read(&prompt)? else {
            return Err(Error::Declined);
        };
        match read_answer(&typed, question.count) {
            Answer::Yes => return Ok(()),
            Answer::No => return Err(Error::Declined),
            Answer::List => {
                let listed = terminal.list(question, interrupt);
                listed.map_err(|_| Error::Declined)?;
            }
            Answer::Unclear if question.count > MOST_BY_YES => {
                complain(&format!(
                    "please type {} to continue, or n to stop",
                    question.count
                ));
            }
            Answer::Unclear => complain("please answer y or n"),
        }
    }
}

/// Asks a question on the terminal, which may hold names from a server, and returns which of the answers, written out, is typed; `None`
/// for a no.
///
/// # Errors
/// [`Error::Interrupted`] after Ctrl-C.
pub fn ask(question: &str, answers: &[&str]) -> Result<Option<usize>, Error> {
    let Some(mut terminal) = Terminal::open() else {
        return Ok(None);
    };
    loop {
        let Some(typed) = terminal.read(&escape(question))? else {
            return Ok(None);
        };
        let typed = typed.trim().to_lowercase();
        if ["no", "n"].contains(&typed.as_str()) {
            return Ok(None);
        }
        match answers.iter().position(|answer| *answer == typed) {
            Some(answer) => return Ok(Some(answer)),
            None => complain(&format!(
                "please answer with the whole word: {} or no",
                answers.join(", ")
            )),
        }
    }
}

/// What an answer to a question about `count` things means.
fn read_answer(typed: &str, count: u64) -> Answer {
    let typed = typed.trim().to_lowercase();
    match typed.as_str() {
        "" | "n" | "no" => Answer::No,
        "l" | "list" => Answer::List,
        "y" | "yes" if count <= MOST_BY_YES => Answer::Yes,
        // As the question has it, or as the sentence before it: 1234 or 1,234.
        number if number.replace(',', "") == count.to_string() => Answer::Yes,
        _ => Answer::Unclear,
    }
}

/// The terminal itself: where stdout goes must not matter to who is asked.
struct Terminal {
    out: Box<dyn Write>,
    /// The terminal, to throw away what was typed; not there where only stdin and stderr lead to it.
    tty: Option<File>,
    editor: DefaultEditor,
}

impl Terminal {
    fn open() -> Option<Self> {
        let config = rustyline::Config::builder()
            .behavior(Behavior::PreferTerm)
            .build();
        let editor = DefaultEditor::with_config(config).ok()?;
        let tty = OpenOptions::new().write(true).open("/dev/tty").ok();
        let out: Box<dyn Write> = match tty.as_ref().map(File::try_clone) {
            Some(Ok(tty)) => Box::new(tty),
            _ => Box::new(io::stderr()),
        };
        Some(Self { out, tty, editor })
    }

    /// Reads an answer: `None` after Ctrl-D.
    fn read(&mut self, prompt: &str) -> Result<Option<String>, Error> {
        // What can't be thrown away is no terminal's.
        let _ = match &self.tty {
            Some(tty) => tcflush(tty, QueueSelector::IFlush),
            None => tcflush(io::stdin(), QueueSelector::IFlush),
        };
        match self.editor.readline(prompt) {
            Ok(typed) => Ok(Some(typed)),
            Err(ReadlineError::Interrupted) => Err(Error::Interrupted {
                verb: "the question",
                outcome: Outcome::Failed,
            }),
            Err(_) => Ok(None),
        }
    }

    /// Shows the sentence and the first names; whether these are all.
    fn show(&mut self, question: &Question<'_>) -> io::Result<bool> {
        let mut names = (question.names)();
        let first: Vec<String> = names.by_ref().take(FIRST).collect();
        // One more takes no more room than saying that there is one.
        let last = names.next();
        let rest = question.count.saturating_sub(first.len() as u64);
        writeln!(self.out, "{}", escape(&question.will))?;
        for name in &first {
            writeln!(self.out, "  {}", escape(name))?;
        }
        match last {
            Some(last) if rest == 1 => writeln!(self.out, "  {}", escape(&last))?,
            Some(_) => writeln!(self.out, "  and {} more", number(rest))?,
            None => {}
        }
        Ok(rest <= 1)
    }

    /// Lists all names, as many as there are. Ctrl-C ends the listing, not the question.
    fn list(&mut self, question: &Question<'_>, interrupt: &Interrupt) -> io::Result<()> {
        let mut out = BufWriter::new(&mut self.out);
        for name in (question.names)() {
            if interrupt.raised() {
                interrupt.clear();
                writeln!(out, "  …")?;
                break;
            }
            writeln!(out, "  {}", escape(&name))?;
        }
        out.flush()
    }
}

/// A number as people read it: 1,234,567.
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// What the first Ctrl-C says while `sent` commands have no answer yet.
pub fn stopping(sent: usize) -> String {
    format!("stopping; {sent} already sent, waiting for answers (Ctrl-C again gives up)")
}

/// How many things, with the noun in its right form: `1 message`, `1,234 messages`.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        count => format!("{} {many}", number(count)),
    }
}

/// A size as people read it: `56 MiB`, `1.4 GiB`.
pub fn size(bytes: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut unit, mut part) = (0, 1_u64);
    while bytes / part >= 1024 {
        part *= 1024;
        unit += 1;
    }
    // To the nearest tenth.
    let tenths = (u128::from(bytes) * 10 + u128::from(part) / 2) / u128::from(part);
    match unit {
        0 => counted(bytes, "byte", "bytes"),
        _ if tenths < 100 => format!("{}.{} {}", tenths / 10, tenths % 10, units[unit]),
        _ => format!("{} {}", tenths / 10, units[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn y_is_enough_for_a_few_and_many_take_their_number() {
        for (typed, few, many) in [
            ("y", Answer::Yes, Answer::Unclear),
            ("yes", Answer::Yes, Answer::Unclear),
            (" YES ", Answer::Yes, Answer::Unclear),
            ("n", Answer::No, Answer::No),
            ("No", Answer::No, Answer::No),
            ("", Answer::No, Answer::No),
            (" ", Answer::No, Answer::No),
            ("l", Answer::List, Answer::List),
            ("20", Answer::Yes, Answer::Unclear),
            ("1234", Answer::Unclear, Answer::Yes),
            ("1,234", Answer::Unclear, Answer::Yes),
            ("123", Answer::Unclear, Answer::Unclear),
            ("12345", Answer::Unclear, Answer::Unclear),
            ("yy", Answer::Unclear, Answer::Unclear),
            ("y\nlm", Answer::Unclear, Answer::Unclear),
            ("dm user.*", Answer::Unclear, Answer::Unclear),
        ] {
            assert_eq!(read_answer(typed, 20), few, "{typed:?}");
            assert_eq!(read_answer(typed, 1234), many, "{typed:?}");
        }
        assert_eq!(read_answer("y", 21), Answer::Unclear);
        assert_eq!(read_answer("21", 21), Answer::Yes);
    }

    #[test]
    fn numbers_and_sizes_are_written_for_people() {
        for (plain, shown) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (123_456, "123,456"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(number(plain), shown);
        }
        assert_eq!(counted(1, "message", "messages"), "1 message");
        assert_eq!(counted(0, "message", "messages"), "0 messages");
        assert_eq!(counted(1500, "message", "messages"), "1,500 messages");
        for (bytes, shown) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1,023 bytes"),
            (1024, "1.0 KiB"),
            (1535, "1.5 KiB"),
            (10 * 1024 - 1, "10 KiB"),
            (10 * 1024, "10 KiB"),
            (56 * 1024 * 1024 + 5, "56 MiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
    }
}
