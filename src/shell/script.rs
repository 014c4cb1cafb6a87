//! Scripts: text from a pipe, a file or the command line, read statement by statement.
//!
//! Lives here: lines and their places, what can be read without waiting, and the check of a whole script. Not here: what text means
//! (`words`), and how commands are run (`runner`).

use std::collections::VecDeque;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use imapadm::{Error, open};

use super::command::Input;
use super::read::read;
use super::words::{Lexer, Parsed};
use crate::report::Place;

/// What the command line is called as a script.
pub(super) const COMMAND_LINE: &str = "-c";

/// Where a script comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
    /// The command line: the command, and the how manieth it is.
    Line(String, u64),
}

/// A script at hand: its name for messages, and its text.
pub struct Script {
    name: Option<Arc<str>>,
    text: Text,
    /// The lines that were read, blank ones and comments too; of the command line, how many commands stand before this one.
    lines: u64,
    /// Reads the commands.
    lexer: Lexer,
    /// What has been read of the line that is not all there yet.
    line: Vec<u8>,
    /// Where the commands that are being read began, and the bytes since then.
    begun: Option<(u64, usize)>,
    /// What is wrong with the bytes of those commands.
    wrong: Option<Error>,
    /// Nothing more can be read from it.
    ended: bool,
    /// The first line that is run.
    from: u64,
    /// What was read before its turn, and its bytes.
    ahead: VecDeque<Next>,
    ahead_bytes: usize,
}

enum Text {
    Stdin {
        input: BufReader<io::Stdin>,
        /// There is no more to come.
        closed: bool,
    },
    Memory(io::Cursor<Arc<[u8]>>),
    /// A command of the command line: all of it is one line, however many it has.
    Line(io::Cursor<Arc<[u8]>>),
}

/// One line of a script, or several that a quote or a backslash joins.
pub(super) struct Statement {
    /// Its first line.
    pub(super) place: Place,
    /// Its commands.
    pub(super) commands: Result<Vec<Given>, Error>,
    /// It is the end of standard input, and has no line end: whatever wrote it may not have come to the end of it.
    pub(super) cut: bool,
    /// Its bytes.
    size: usize,
}

/// A command of a script.
#[derive(Default)]
pub(super) struct Given {
    pub(super) parsed: Parsed,
    /// What its words mean, where they have been read already.
    pub(super) input: Option<Input>,
}

/// What a script has next.
pub(super) enum Next {
    /// This.
    Statement(Statement),
    /// Nothing yet, until more of it has come: [`Script::wait`].
    Later,
    /// What can't be read, so that nobody knows what the rest would mean.
    Unreadable(Place, Error),
    /// Nothing any more.
    End,
}

impl Script {
    /// Opens a script; a file is read whole, so that what is wrong with it shows before anything is sent.
    ///
    /// # Errors
    /// [`Error::Usage`] for a file that can't be read.
    pub fn open(source: Source) -> Result<Self, Error> {
        let (name, lines, text) = match source {
            Source::Stdin => {
                let input = BufReader::with_capacity(READ_AHEAD, io::stdin());
                (
                    None,
                    0,
                    Text::Stdin {
                        input,
                        closed: false,
                    },
                )
            }
            Source::File(path) => {
                let name = path.display().to_string();
                let bytes = read_whole(&path).map_err(|error| {
                    Error::Usage(format!(
                        "cannot read the script {name}: {error}; check its name and permissions"
                    ))
                })?;
                (
                    Some(name.into()),
                    0,
                    Text::Memory(io::Cursor::new(bytes.into())),
                )
            }
            Source::Line(line, number) => (
                Some(COMMAND_LINE.into()),
                number - 1,
                Text::Line(io::Cursor::new(line.into_bytes().into())),
            ),
        };
        Ok(Self::new(name, lines, text))
    }

    fn new(name: Option<Arc<str>>, lines: u64, text: Text) -> Self {
        Self {
            name,
            text,
            lines,
            lexer: Lexer::default(),
            line: Vec::new(),
            begun: None,
            wrong: None,
            ended: false,
            from: 1,
            ahead: VecDeque::new(),
            ahead_bytes: 0,
        }
    }

    /// Leaves out the lines before this one.
    pub fn start_at(&mut self, line: u64) {
        self.from = line;
    }

    /// Whether more of it, or its end, can be read without waiting for anybody, and whether that is bound to end: what a program
    /// writes may go on for ever.
    pub(super) fn is_at_hand(&self) -> (bool, bool) {
        let Text::Stdin { .. } = &self.text else {
            return (true, true);
        };
        let stdin = io::stdin();
        let is_file = rustix::fs::fstat(&stdin).is_ok_and(|stat| {
            rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile
        });
        let mut polled = [PollFd::new(&stdin, PollFlags::IN)];
        let ready = poll(&mut polled, Some(&Timespec::default())).is_ok_and(|ready| ready > 0);
        (is_file || ready, is_file)
    }

    /// Checks every command without running it, where the script is all at hand, and hands over each mistake; `yes` is whether
    /// `--yes` was said for all of it. What was read of its beginning is kept for when it is run.
    pub fn check(&mut self, yes: bool, mut mistake: impl FnMut(&Place, &Error)) {
        if matches!(self.text, Text::Stdin { .. }) {
            return;
        }
        while self.ahead_bytes < KEPT {
            let mut next = self.read_on();
            let goes_on = check_next(&mut next, yes, &mut mistake);
            if let Next::Statement(statement) = &next {
                self.ahead_bytes += statement.size;
            }
            self.ahead.push_back(next);
            if !goes_on {
                return;
            }
        }
        let text = match &self.text {
            Text::Stdin { .. } => return,
            Text::Memory(text) => Text::Memory(text.clone()),
            Text::Line(text) => Text::Line(text.clone()),
        };
        let mut copy = Self::new(self.name.clone(), self.lines, text);
        (copy.from, copy.ended) = (self.from, self.ended);
        while check_next(&mut copy.read_on(), yes, &mut mistake) {}
    }

    /// The next statement, as far as it is at hand; this never waits.
    pub(super) fn next(&mut self) -> Next {
        let next = self.ahead.pop_front().unwrap_or_else(|| self.read_on());
        if let Next::Statement(statement) = &next {
            self.ahead_bytes = self.ahead_bytes.saturating_sub(statement.size);
        }
        next
    }

    /// The statement that comes `index` statements after the next one, as far as it is at hand and there is room to keep what comes before.
    pub(super) fn look_ahead(&mut self, index: usize) -> Option<&Statement> {
        while self.ahead.len() <= index && self.ahead_bytes < LONGEST {
            let next = self.read_on();
            match &next {
                Next::Statement(statement) => self.ahead_bytes += statement.size,
                Next::Unreadable(..) => {}
                Next::Later | Next::End => return None,
            }
            self.ahead.push_back(next);
        }
        match self.ahead.get(index)? {
            Next::Statement(statement) => Some(statement),
            _ => None,
        }
    }

    fn read_on(&mut self) -> Next {
        while !self.ended {
            match self.read_line() {
                Ok(Read::Line) => {
                    let ends = self.take_line();
                    self.ended = !ends;
                    if (self.lexer.is_complete() || self.ended)
                        && let Some(next) = self.statement()
                    {
                        return next;
                    }
                }
                Ok(Read::Later) => return Next::Later,
                Ok(Read::End) => {
                    self.ended = true;
                    if let Some(next) = self.statement() {
                        return next;
                    }
                    if self.from > 1
                        && self.lines < self.from
                        && !matches!(self.text, Text::Line(_))
                    {
                        let place = self.place(self.from);
                        return Next::Unreadable(
                            place,
                            Error::Usage(format!(
                                "no such line (--from-line); the script has {}",
                                self.lines
                            )),
                        );
                    }
                }
                Err(why) => {
                    self.ended = true;
                    let (line, _) = self.begun.take().unwrap_or((self.lines + 1, 0));
                    return Next::Unreadable(self.place(line), Error::Usage(why));
                }
            }
        }
        Next::End
    }

    /// Reads one line, or the part of it that is at hand.
    fn read_line(&mut self) -> Result<Read, String> {
        let broken = |error: io::Error| format!("cannot read the script: {error}");
        let read = match &mut self.text {
            Text::Stdin { input, closed } => {
                let there = input.buffer();
                let newline = memchr::memchr(b'\n', there);
                let end = newline.map_or(there.len(), |at| at + 1);
                self.line.extend_from_slice(&there[..end]);
                input.consume(end);
                match newline {
                    Some(_) => Read::Line,
                    None if !*closed => Read::Later,
                    None if self.line.is_empty() => Read::End,
                    None => Read::Line,
                }
            }
            Text::Memory(text) | Text::Line(text) => {
                match text.read_until(b'\n', &mut self.line).map_err(broken)? {
                    0 => Read::End,
                    _ => Read::Line,
                }
            }
        };
        let before = self.begun.map_or(0, |(_, size)| size);
        if self.line.len() + before > LONGEST {
            return Err(if before > 0 {
                format!(
                    "the command is longer than {LONGEST} bytes, so nothing after it is read; a quote may not be closed"
                )
            } else {
                format!(
                    "the line is longer than {LONGEST} bytes, so nothing after it is read; split it into several commands"
                )
            });
        }
        Ok(read)
    }

    /// Gives the line that was read to the lexer; whether it has an end.
    fn take_line(&mut self) -> bool {
        let mut bytes = std::mem::take(&mut self.line);
        let number = self.lines + 1;
        if !matches!(self.text, Text::Line(_)) {
            self.lines = number;
        }
        let first = self.begun.is_none();
        self.begun.get_or_insert((number, 0)).1 += bytes.len();
        let mut line = &bytes[..];
        // Some editors put a byte order mark in front of the first line.
        if first && let Some(rest) = line.strip_prefix(b"\xEF\xBB\xBF") {
            line = rest;
        }
        let ends = line.ends_with(b"\n");
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = String::from_utf8_lossy(line);
        if let Err(error) = std::str::from_utf8(line)
            && self.wrong.is_none()
        {
            let column = error.valid_up_to() + 1;
            self.wrong = Some(Error::Usage(format!(
                "the line is not UTF-8 (byte {column} of it); convert the script, for example with iconv -t UTF-8"
            )));
        }
        self.lexer.feed(&text);
        drop(text);
        if ends {
            self.lexer.feed("\n");
        }
        bytes.clear();
        self.line = bytes;
        ends
    }

    /// The statement that has just come to its end, if it has any commands.
    fn statement(&mut self) -> Option<Next> {
        let (line, size) = self.begun.take()?;
        let place = self.place(line);
        let open = self.lexer.is_open();
        let cut = matches!(self.text, Text::Stdin { .. }) && !self.lexer.is_complete();
        let commands = self.lexer.take();
        let commands = match self.wrong.take() {
            Some(error) => Err(error),
            None => commands,
        };
        if line < self.from && !matches!(self.text, Text::Line(_)) {
            if self.lines >= self.from {
                self.ended = true;
                let inside = Error::Usage(format!(
                    "line {} is inside this command; use --from-line {line} or {}",
                    self.from,
                    self.lines + 1
                ));
                return Some(Next::Unreadable(place, inside));
            }
            if !open {
                return None;
            }
        }
        match commands {
            Err(error) if open => Some(Next::Unreadable(place, error)),
            Ok(commands) if commands.is_empty() => None,
            commands => Some(Next::Statement(Statement {
                place,
                commands: commands.map(|commands| {
                    let unread = |parsed| Given {
                        parsed,
                        input: None,
                    };
                    commands.into_iter().map(unread).collect()
                }),
                cut,
                size,
            })),
        }
    }

    /// Where what comes next stands.
    pub(super) fn next_place(&self) -> Place {
        self.place(self.lines + 1)
    }

    fn place(&self, line: u64) -> Place {
        Place {
            file: self.name.clone(),
            line,
        }
    }

    /// Waits until more of it has come, or its end.
    pub(super) fn wait(&mut self) -> Result<(), Error> {
        if let Text::Stdin { input, closed } = &mut self.text {
            let there = input
                .fill_buf()
                .map_err(|error| Error::Usage(format!("cannot read the script: {error}")))?;
            *closed = there.is_empty();
        }
        Ok(())
    }
}

/// How far a line could be read.
enum Read {
    /// To its end, or to the script's.
    Line,
    /// As far as it has come.
    Later,
    /// There is none any more.
    End,
}

/// All that stands in a file, or comes from a pipe of this process.
fn read_whole(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open::to_read_or_pipe(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a command of a script, which nobody is asked about: what destroys many mailboxes has to be meant, and says so with `--yes`.
/// (`dm "user.$X*"` with nothing in X is every user.)
pub(super) fn read_for_script(command: &Parsed, yes: bool) -> Result<Input, Error> {
    let input = read(&command.words)?;
    let name = input.command.name;
    if input.needs_yes() && !yes {
        return Err(Error::Usage(format!(
            "{name} with a pattern or --recursive needs --yes in a script, which is never asked; check with listmailbox what it would \
             delete, then write {name} --yes, or imapadm --yes for the whole run"
        )));
    }
    Ok(input)
}

/// Checks what a script has next, and keeps what its words mean; whether there may be more.
fn check_next(next: &mut Next, yes: bool, mistake: &mut impl FnMut(&Place, &Error)) -> bool {
    match next {
        Next::Statement(Statement {
            place, commands, ..
        }) => match commands {
            Ok(commands) => {
                for given in commands {
                    match read_for_script(&given.parsed, yes) {
                        Ok(input) => given.input = Some(input),
                        Err(error) => mistake(place, &error),
                    }
                }
            }
            Err(error) => mistake(place, error),
        },
        Next::Unreadable(place, error) => {
            mistake(place, error);
            return false;
        }
        Next::Later | Next::End => return false,
    }
    true
}

/// How many bytes of a script are kept as they were read when it was checked.
const KEPT: usize = 256 * 1024;

/// How much of stdin is read at once: wherever what is at hand ends, everything that is under way is waited for.
const READ_AHEAD: usize = 256 * 1024;

/// The longest line of a script, and the longest command, in bytes: an input without line ends must not fill the memory.
const LONGEST: usize = 1024 * 1024;
