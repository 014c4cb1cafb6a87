//! How a result looks: as text, as a table on a terminal, as JSON.
//!
//! Lives here: rows and their cells, the renderers, how far a long command is (`progress`), and what is safe to print on a terminal (`escape`). Not here: IMAP,
//! and which command gives which rows (the shell's commands do).
//!
//! A command never prints: it hands [`Cell`]s to its own [`Report`], which renders them as they come.

pub mod escape;
mod json;
pub mod progress;
mod text;

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;

use imapadm::{Account, Error};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat, stat};

/// One value of a row, under its key.
pub type Cell<'a> = (&'static str, Value<'a>);

/// A value as programs see it; text output shows it as people read it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// Text, untrusted; what is not UTF-8 in it is shown as U+FFFD.
    Text(Cow<'a, [u8]>),
    /// A number in the unit that the key is documented with.
    Number(u64),
    /// Something that is so or not; text shows the key, or `not` and the key.
    Flag(bool),
    /// The answer to a question that another column asks; text shows yes or no.
    Answer(bool),
    /// Several words, such as attributes, parted by spaces, untrusted.
    Words(Cow<'a, [u8]>),
    /// No value, such as no limit; text shows the word.
    Absent(&'static str),
}

impl<'a> Value<'a> {
    /// Text from anything that can be shown.
    pub fn text(value: impl ToString) -> Self {
        Value::Text(Cow::Owned(value.to_string().into_bytes()))
    }

    /// Text that is at hand already.
    pub fn str(value: impl Into<Cow<'a, str>>) -> Self {
        Value::Text(match value.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        })
    }

    /// Words, none of which holds a space.
    pub fn words(words: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut text = Vec::new();
        for word in words {
            if !text.is_empty() {
                text.push(b' ');
            }
            text.extend_from_slice(word.as_ref().as_bytes());
        }
        Value::Words(Cow::Owned(text))
    }
}

/// One column of a command's rows. All that names columns comes from here: what JSON has for keys, headings, help and README.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its key in JSON, and its heading elsewhere.
    pub name: &'static str,
    /// What its values mean, where the name does not say it all.
    pub meaning: &'static str,
    /// Whether a row may lack it.
    pub optional: bool,
}

impl Column {
    /// A column that every row has, but for those of failures.
    pub const fn new(name: &'static str, meaning: &'static str) -> Self {
        Self {
            name,
            meaning,
            optional: false,
        }
    }

    /// Its name in lists of columns, in brackets where a row may lack it.
    pub fn label(&self) -> Cow<'static, str> {
        match self.optional {
            true => Cow::Owned(format!("[{}]", self.name)),
            false => Cow::Borrowed(self.name),
        }
    }

    /// The same column, which not every row has.
    pub const fn optional(self) -> Self {
        Self {
            optional: true,
            ..self
        }
    }

    /// The same column, with a meaning of its own.
    pub const fn meaning(self, meaning: &'static str) -> Self {
        Self { meaning, ..self }
    }
}

/// Whether the cells of a row stand in declared columns and in their order, and none is missing that has to be there. A row that has
/// a reason is that of a failure, where there is nothing to say in the others.
fn fits(columns: &[Column], cells: &[Cell<'_>]) -> bool {
    let is_failure = cells.iter().any(|(key, _)| *key == REASON.name);
    let mut keys = cells.iter().map(|(key, _)| *key).peekable();
    let complete = columns.iter().all(|column| {
        let is_there = keys.next_if_eq(&column.name).is_some();
        is_there || column.optional || is_failure
    });
    complete && keys.next().is_none()
}

/// Why one of many things failed.
pub const REASON: Column = Column::new("reason", "why it failed").optional();

/// How results are rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people: tab-separated columns in a pipe, aligned ones on a terminal.
    Text,
    /// For programs: one object a line for each command.
    Json,
}

/// Where a command stands in its script.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The script's name, where there is more than standard input.
    pub file: Option<Arc<str>>,
    /// The line, from 1.
    pub line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{file}:{}", self.line),
            None => write!(f, "line {}", self.line),
        }
    }
}

impl Place {
    /// For a summary: the line, with its file where there is one.
    pub fn short(&self) -> String {
        match &self.file {
            Some(file) => format!("{file}:{}", self.line),
            None => self.line.to_string(),
        }
    }
}

/// Tells a person something on stderr, beside the results, in one line that is safe for a terminal.
pub fn complain(text: &str) {
    // Nobody may be listening any more; that must not end the work.
    let _ = writeln!(io::stderr(), "imapadm: {}", escape::escape(text));
}

/// Whether the program was started without a stdout (`>&-`).
///
/// Rust's runtime puts `/dev/null`, open for reading and writing, in its place. What a shell's `>/dev/null` opens can only be written.
/// A parent that opens it both ways, as Python's `DEVNULL` does, can't be told apart.
pub fn stdout_is_closed() -> bool {
    let stdout = io::stdout();
    let (Ok(out), Ok(null), Ok(flags)) = (fstat(&stdout), stat("/dev/null"), fcntl_getfl(&stdout))
    else {
        return false;
    };
    FileType::from_raw_mode(out.st_mode).is_char_device()
        && out.st_rdev == null.st_rdev
        && flags & OFlags::RWMODE == OFlags::RDWR
}

/// Renders one command's rows and its verdict.
trait Render {
    fn begin(&mut self, _: &mut dyn Write, _: &str, _: &Place) -> io::Result<()> {
        Ok(())
    }
    fn row(&mut self, out: &mut dyn Write, cells: &[Cell<'_>]) -> io::Result<()>;
    /// The rows of this command may be sorted, where that costs nobody anything.
    fn sort(&mut self) {}
    /// The command was for many things, and this became of them.
    fn account(&mut self, account: Account) {
        let _ = account;
    }
    fn end(&mut self, out: &mut dyn Write, error: Option<(&Error, &str)>) -> io::Result<()>;
}

/// How results look and where they go. It makes the [`Report`] of each command.
#[derive(Clone)]
pub struct Output {
    format: Format,
    terminal: bool,
    colour: bool,
    sink: Rc<RefCell<Sink>>,
}

impl Output {
    /// Output in `format` to `out`; `terminal` is whether that is one, `colour` whether it may be coloured.
    pub fn new(format: Format, out: Box<dyn Write>, terminal: bool, colour: bool) -> Self {
        Self {
            format,
            terminal,
            colour,
            sink: Rc::new(RefCell::new(Sink {
                out,
                broken: None,
                dead: false,
                when_broken: Box::new(|| {}),
            })),
        }
    }

    /// The report of one command, whose rows have `columns`; it begins here. `lists` is whether people are told where there are no rows.
    pub fn report(
        &self,
        command: &str,
        columns: &'static [Column],
        lists: bool,
        place: &Place,
    ) -> Report {
        let render: Box<dyn Render> = match (self.format, self.terminal) {
            (Format::Json, _) => Box::new(json::Lines::default()),
            (Format::Text, true) => Box::new(text::Table::new(self.colour, lists)),
            (Format::Text, false) => Box::new(text::Tabs::default()),
        };
        let mut report = Report {
            render,
            columns,
            sink: Rc::clone(&self.sink),
        };
        report.keep(|render, out| render.begin(out, command, place));
        report
    }

    /// What became of all commands of a run that did not go well, and its exit status; people are told on stderr.
    pub fn sum(&self, account: &Account, status: u8) {
        if self.format == Format::Json {
            self.sink
                .borrow_mut()
                .keep(|out| json::sum(out, account, status));
        }
    }

    /// What is done, once, as soon as results can no longer be written.
    pub fn when_broken(&self, act: impl Fn() + 'static) {
        self.sink.borrow_mut().when_broken = Box::new(act);
    }

    /// Whether nothing more can be written.
    pub fn is_broken(&self) -> bool {
        self.sink.borrow().dead
    }

    /// Sends on what has been written.
    ///
    /// # Errors
    /// The first error of any write since the last call, such as a reader that is gone.
    pub fn flush(&self) -> io::Result<()> {
        self.sink.borrow_mut().flush()
    }
}

/// Where results are written to.
struct Sink {
    out: Box<dyn Write>,
    /// The first thing that went wrong while writing; a report does not stop a command that changes things half way.
    broken: Option<io::Error>,
    /// Nothing that is written arrives any more.
    dead: bool,
    /// What is done once that shows.
    when_broken: Box<dyn Fn()>,
}

impl Sink {
    fn flush(&mut self) -> io::Result<()> {
        match self.broken.take() {
            Some(error) => Err(error),
            None if self.dead => Ok(()),
            None => {
                let flushed = self.out.flush();
                self.dead = flushed.is_err();
                flushed
            }
        }
    }

    fn keep(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        if self.dead {
            return;
        }
        if let Err(error) = write(self.out.as_mut()) {
            self.broken = Some(error);
            self.dead = true;
            (self.when_broken)();
        }
    }
}

/// The result of one command: its rows, and how it ended.
pub struct Report {
    render: Box<dyn Render>,
    columns: &'static [Column],
    sink: Rc<RefCell<Sink>>,
}

impl Report {
    /// The order of the rows to come means nothing: people see them sorted.
    pub fn sort(&mut self) {
        self.render.sort();
    }

    /// The command was for many things, all of which are as they were asked for. What failed is in the command's error.
    pub fn account(&mut self, account: Account) {
        self.render.account(account);
    }

    /// Whether nothing more can be written.
    pub fn is_broken(&self) -> bool {
        self.sink.borrow().dead
    }

    /// One row of its result.
    pub fn row(&mut self, cells: &[Cell<'_>]) {
        debug_assert!(
            fits(self.columns, cells),
            "{cells:?} are not a row of {:?}",
            self.columns
        );
        self.keep(|render, out| render.row(out, cells));
    }

    /// The command is over, with its verdict.
    pub fn end(mut self, error: Option<(&Error, String)>) {
        let error = error.as_ref().map(|(error, text)| (*error, text.as_str()));
        self.keep(|render, out| render.end(out, error));
    }

    fn keep(&mut self, write: impl FnOnce(&mut dyn Render, &mut dyn Write) -> io::Result<()>) {
        let Self { render, sink, .. } = self;
        sink.borrow_mut().keep(|out| write(render.as_mut(), out));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_columns_of_its_command() {
        let columns = &[
            Column::new("mailbox", ""),
            Column::new("set", ""),
            Column::new("partition", "").optional(),
            REASON,
        ];
        for (keys, expected) in [
            (&["mailbox", "set"][..], true),
            (&["mailbox", "set", "partition"], true),
            (&["mailbox", "reason"], true),
            (&["mailbox", "set", "reason"], true),
            (&["mailbox"], false),
            (&["set", "mailbox"], false),
            (&["mailbox", "set", "other"], false),
            (&["mailbox", "other", "reason"], false),
        ] {
            let cells: Vec<Cell<'_>> = keys.iter().map(|key| (*key, Value::Flag(true))).collect();
            assert_eq!(fits(columns, &cells), expected, "{keys:?}");
        }
    }
}
