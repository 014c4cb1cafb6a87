//! Scripts: commands from a pipe, a file or the command line, run in order and sent ahead where that is safe.
//!
//! Lives here: the reader of lines, the runner with its stopping rules, and exit statuses. Not here: the interactive loop
//! (`editor`), which shares the running of one line.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use imapadm::{Account, Error, Outcome, Session, open};

use super::command::{Collect, Command, Input, Step};
use super::secret::may_hold_secret;
use super::words::{self, Commands, Lexer, Parsed};
use super::{Shell, find, read};
use crate::report::escape::escape;
use crate::report::{Output, Place, Report, complain};

/// Exit statuses, as the README lists them.
pub mod status {
    /// All well.
    pub const OK: u8 = 0;
    /// A command failed.
    pub const FAILED: u8 = 1;
    /// The command line, or a command that can't be right and was not sent.
    pub const USAGE: u8 = 2;
    /// No connection.
    pub const CONNECT: u8 = 4;
    /// No TLS.
    pub const TLS: u8 = 5;
    /// No login.
    pub const AUTH: u8 = 6;
    /// The connection was lost.
    pub const LOST: u8 = 7;
    /// Ctrl-C.
    pub const INTERRUPTED: u8 = 130;
    /// Whoever reads the results is gone: what a shell shows for a program that SIGPIPE ended.
    pub const UNREAD: u8 = 141;
}

/// The exit status that an error amounts to.
pub fn exit_status(error: &Error) -> u8 {
    if error.is_interrupt() {
        return status::INTERRUPTED;
    }
    match error.kind() {
        "usage" => status::USAGE,
        "connect" | "not-imap" | "bye" => status::CONNECT,
        "tls" | "file" | "insecure" => status::TLS,
        "auth" | "login" | "password" => status::AUTH,
        "lost" | "not-sent" | "deadline" => status::LOST,
        _ => status::FAILED,
    }
}

/// What the command line is called as a script.
const COMMAND_LINE: &str = "-c";

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
    name: Option<String>,
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
struct Statement {
    /// Its first line.
    place: Place,
    /// Its commands.
    commands: Result<Commands, Error>,
    /// It is the end of standard input, and has no line end: whatever wrote it may not have come to the end of it.
    cut: bool,
}

/// What a script has next.
enum Next {
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
                        "cannot read the script {name}: {error}; check its name and its mode"
                    ))
                })?;
                (Some(name), 0, Text::Memory(io::Cursor::new(bytes.into())))
            }
            Source::Line(line, number) => (
                Some(COMMAND_LINE.to_owned()),
                number - 1,
                Text::Line(io::Cursor::new(line.into_bytes().into())),
            ),
        };
        Ok(Self::new(name, lines, text))
    }

    fn new(name: Option<String>, lines: u64, text: Text) -> Self {
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
        }
    }

    /// Leaves out the lines before this one.
    pub fn start_at(&mut self, line: u64) {
        self.from = line;
    }

    /// Whether more of it, or its end, can be read without waiting for anybody, and whether that is bound to end: what a program
    /// writes may go on for ever.
    fn is_at_hand(&self) -> (bool, bool) {
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
    /// `--yes` was said for all of it.
    pub fn check(&self, yes: bool, mut mistake: impl FnMut(Place, Error)) {
        let text = match &self.text {
            Text::Stdin { .. } => return,
            Text::Memory(text) => Text::Memory(text.clone()),
            Text::Line(text) => Text::Line(text.clone()),
        };
        let mut copy = Self::new(self.name.clone(), self.lines, text);
        copy.from = self.from;
        loop {
            match copy.next() {
                Next::Statement(Statement {
                    place, commands, ..
                }) => match commands {
                    Ok(commands) => {
                        for command in commands {
                            if let Err(error) = read_for_script(&command, yes) {
                                mistake(place.clone(), error);
                            }
                        }
                    }
                    Err(error) => mistake(place, error),
                },
                Next::Unreadable(place, error) => return mistake(place, error),
                Next::Later | Next::End => return,
            }
        }
    }

    /// The next statement, as far as it is at hand; this never waits.
    fn next(&mut self) -> Next {
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
                                "there is no such line; the script has {} (--from-line)",
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
                    "the line is longer than {LONGEST} bytes, so nothing after it is read; part it into several commands"
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
        let (line, _) = self.begun.take()?;
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
                    "line {} is inside this command; go on with --from-line {line} or {}",
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
                commands,
                cut,
            })),
        }
    }

    fn place(&self, line: u64) -> Place {
        Place {
            file: self.name.clone(),
            line,
        }
    }

    /// Waits until more of it has come, or its end.
    fn wait(&mut self) -> Result<(), Error> {
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
fn read_for_script(command: &Parsed, yes: bool) -> Result<Input, Error> {
    let input = read(&command.words)?;
    let name = input.command.name;
    if input.needs_yes() && !yes {
        return Err(Error::Usage(format!(
            "{name} with a pattern or --recursive needs --yes in a script, where nobody is asked; see with listmailbox what it would \
             take, then write {name} --yes, or imapadm --yes for the whole run"
        )));
    }
    Ok(input)
}

/// How much of stdin is read at once: wherever what is at hand ends, everything that is under way is waited for.
const READ_AHEAD: usize = 256 * 1024;

/// The longest line of a script, and the longest command, in bytes: an input without line ends must not fill the memory.
const LONGEST: usize = 1024 * 1024;

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{file}:{}", self.line),
            None => write!(f, "line {}", self.line),
        }
    }
}

/// The commands of a run that are still to be done, as a script: what failed, what was not sent, and, as a comment, what may have been done.
pub struct Leftover {
    path: String,
    out: io::BufWriter<File>,
    broken: Option<io::Error>,
}

impl Leftover {
    /// Opens the file, which becomes the user's alone; what stands in it goes when the run begins.
    ///
    /// # Errors
    /// [`Error::Usage`] where it can't be written, and where it is a link, somebody else's, or one of the scripts.
    pub fn open(path: &Path, scripts: &[Source]) -> Result<Self, Error> {
        let shown = path.display();
        let cannot = |error: io::Error| {
            Error::Usage(format!(
                "cannot write what is still to be done to {shown}: {error}; name another file with --failed"
            ))
        };
        let file = open::to_append(path).map_err(cannot)?;
        let own = file.metadata().map_err(cannot)?;
        for script in scripts {
            if let Source::File(script) = script
                && std::fs::metadata(script)
                    .is_ok_and(|script| (script.dev(), script.ino()) == (own.dev(), own.ino()))
            {
                return Err(Error::Usage(format!(
                    "{shown} is the script itself; name another file with --failed"
                )));
            }
        }
        Ok(Self {
            path: shown.to_string(),
            out: io::BufWriter::new(file),
            broken: None,
        })
    }

    /// Begins the run: what an earlier one left goes.
    ///
    /// # Errors
    /// [`Error::Usage`] where that can't be done.
    pub fn begin(&mut self) -> Result<(), Error> {
        self.out.get_mut().set_len(0).map_err(|error| {
            Error::Usage(format!(
                "cannot empty {}: {error}; name another file with --failed",
                self.path
            ))
        })
    }

    /// One command, with its place and why it is here; one to look at first becomes a comment.
    fn write(&mut self, place: &Place, typed: &str, why: &str, look_first: bool) {
        if typed.is_empty() || self.broken.is_some() {
            return;
        }
        let sign = if look_first { "# " } else { "" };
        let command = typed.replace('\n', &format!("\n{sign}"));
        let why = escape(why);
        self.broken = writeln!(self.out, "# {place}: {why}\n{sign}{command}")
            // What a kill leaves behind has to be whole.
            .and_then(|()| self.out.flush())
            .err();
    }

    /// Its path, once all is written.
    fn close(self) -> Result<String, Error> {
        match self.broken {
            None => Ok(self.path),
            Some(error) => Err(Error::Usage(format!(
                "cannot write to {}: {error}",
                self.path
            ))),
        }
    }
}

/// How a script is run.
pub struct Policy {
    /// Carry on after a failure, and sum up at the end.
    pub keep_going: bool,
    /// Refuse a change in a last line of standard input that has no end.
    pub strict: bool,
    /// Set while the program waits for input, so that Ctrl-C may simply end it.
    pub idle: Arc<AtomicBool>,
    /// Where the commands go that are still to be done.
    pub leftover: Option<Leftover>,
}

/// A command that has been sent, or that already failed.
struct Started {
    place: Place,
    /// The command as it was typed.
    typed: String,
    /// Which one it is, where it could be read.
    command: Option<&'static Command>,
    collect: Result<Collect, Error>,
}

impl Started {
    /// Whether it may change anything.
    fn changes(&self) -> bool {
        self.command.is_some_and(Command::changes)
    }

    /// Its report, which begins here.
    fn report(&self, output: &Output) -> Report {
        match self.command {
            Some(command) => command.report(output, &self.place),
            // It has the name that was typed; whether it is a command at all is not known.
            None => {
                let typed = words::split(&self.typed).unwrap_or_default();
                let name = typed.first().and_then(|command| command.words.first());
                output.report(name.map_or("", String::as_str), &[], false, &self.place)
            }
        }
    }
}

/// Commands that may be sent ahead before the oldest is collected; the session bounds their bytes, and those of their replies, besides.
const MOST_AHEAD: usize = 5_000;

/// How long answers to what is in flight are waited for when the user interrupts a script.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How often more of a pipe is read only to count what is not sent.
const MOST_LEFT: u32 = 64;

/// Results wait at most this long for more of them before they are written.
const READ_ALONG: Duration = Duration::from_millis(250);

/// Runs scripts.
pub struct Runner<'a> {
    shell: &'a mut Shell,
    output: &'a Output,
    policy: Policy,
    ahead: VecDeque<Started>,
    /// What became of each command.
    account: Account,
    failed: Lines,
    unknown: Lines,
    not_sent: Lines,
    /// Some of what was not sent would have changed something.
    left_changes: bool,
    /// Standard input has more that nobody has read.
    unread: bool,
    flushed: Instant,
    /// The first command whose results may not have been written yet.
    unwritten: Option<Place>,
    /// Where results were lost, and why.
    lost: Option<(Place, io::Error)>,
    /// Something may have been changed, and nobody can read that it was.
    lost_changes: bool,
    /// Why no more may be run.
    stop: Option<u8>,
    /// What is in flight is reported although no more may be run.
    tell_all: bool,
    /// Whether nobody waits any more for what is in flight.
    given_up: bool,
}

impl<'a> Runner<'a> {
    /// A runner that has run nothing.
    pub fn new(shell: &'a mut Shell, output: &'a Output, policy: Policy) -> Self {
        Self {
            shell,
            output,
            policy,
            ahead: VecDeque::new(),
            account: Account::default(),
            failed: Lines::default(),
            unknown: Lines::default(),
            not_sent: Lines::default(),
            left_changes: false,
            unread: false,
            flushed: Instant::now(),
            unwritten: None,
            lost: None,
            lost_changes: false,
            stop: None,
            tell_all: false,
            given_up: false,
        }
    }

    /// Runs the scripts one after the other and returns the exit status.
    pub fn run(mut self, mut scripts: Vec<Script>) -> u8 {
        for script in &mut scripts {
            while self.stop.is_none() {
                match script.next() {
                    Next::Statement(statement) => self.statement(statement),
                    Next::Later => self.wait(script),
                    Next::Unreadable(place, error) => self.end(&place, error),
                    Next::End => break,
                }
            }
        }
        self.collect_all();
        self.flush();
        // Whoever said quit wanted no more.
        if self.shell.quit.is_none() {
            for script in &mut scripts {
                self.leave(script);
            }
        }
        self.sum_up()
    }

    /// Accounts for what is left of a script that may not go on.
    fn leave(&mut self, script: &mut Script) {
        let keeps = self.policy.leftover.is_some();
        let mut patience = MOST_LEFT;
        loop {
            match script.next() {
                Next::Statement(Statement {
                    place, commands, ..
                }) => {
                    // What is wrong with it is for another time.
                    for command in commands.unwrap_or_default() {
                        self.skip(&place, &command);
                    }
                }
                // Nobody knows how long a pipe stays open; whoever wants the rest kept waits for it.
                Next::Later if keeps || script.is_at_hand().0 && patience > 0 => {
                    if !script.is_at_hand().1 {
                        patience = patience.saturating_sub(1);
                    }
                    self.policy.idle.store(true, Ordering::SeqCst);
                    let waited = script.wait();
                    self.policy.idle.store(false, Ordering::SeqCst);
                    if waited.is_err() {
                        self.unread = true;
                        return;
                    }
                }
                Next::Later | Next::Unreadable(..) => {
                    self.unread = true;
                    return;
                }
                Next::End => return,
            }
        }
    }

    /// Accounts for a command that is not sent.
    fn skip(&mut self, place: &Place, parsed: &Parsed) {
        self.account.count(Outcome::NotSent);
        self.not_sent.push_all_up_to(place);
        let command = parsed.words.first().and_then(|name| find(name));
        self.left_changes |= command.is_some_and(Command::changes);
        self.keep(place, &parsed.to_string(), "not sent", false);
    }

    /// Keeps a command that is still to be done.
    fn keep(&mut self, place: &Place, typed: &str, why: &str, look_first: bool) {
        if let Some(leftover) = &mut self.policy.leftover {
            leftover.write(place, typed, why, look_first);
        }
    }

    /// Waits for more of a script, with nothing in flight: whoever feeds the pipe may wait for these results before it goes on.
    fn wait(&mut self, script: &mut Script) {
        self.collect_all();
        self.flush();
        if self.stop.is_some() {
            return;
        }
        self.policy.idle.store(true, Ordering::SeqCst);
        // Ctrl-C from now on ends the program at once; one that came before shows here.
        let waited = if self.shell.settings.interrupt.raised() {
            self.stop = Some(status::INTERRUPTED);
            Ok(())
        } else {
            script.wait()
        };
        self.policy.idle.store(false, Ordering::SeqCst);
        if let Err(error) = waited {
            let place = script.place(script.lines + 1);
            self.end(&place, error);
        }
    }

    /// Starts the commands of one statement.
    fn statement(&mut self, statement: Statement) {
        let Statement {
            place,
            commands,
            cut,
        } = statement;
        match commands {
            Ok(commands) => {
                for command in commands {
                    if self.stop.is_some() {
                        self.skip(&place, &command);
                    } else {
                        self.start(&place, &command, cut);
                    }
                }
            }
            Err(error) => self.take(&place, String::new(), Err(error), None),
        }
    }

    /// Ends everything, also with `--keep-going`: what can't be read may mean anything, and so may what stands behind it.
    fn end(&mut self, place: &Place, error: Error) {
        self.take(place, String::new(), Err(error), None);
        self.collect_all();
        self.stop.get_or_insert(status::USAGE);
    }

    /// Starts one command, first waiting for those before it where it has to; `cut` is whether its line has no end.
    fn start(&mut self, place: &Place, parsed: &Parsed, cut: bool) {
        let typed = parsed.to_string();
        let input = match read_for_script(parsed, self.shell.settings.yes) {
            Ok(input) => input,
            Err(error) => return self.take(place, typed, Err(error), None),
        };
        let command = input.command;
        let changes = command.changes();
        if changes && cut {
            let what =
                "the last line of standard input has no line end, so part of it may be missing";
            if self.policy.strict {
                let refused = Error::Usage(format!("{what}; look at what wrote it (--strict)"));
                return self.take(place, typed, Err(refused), Some(command));
            }
            complain(&format!(
                "{place}: {}: warning: {what}; it is run all the same, --strict refuses it",
                shown(&typed)
            ));
        }
        let waits = changes && !self.policy.keep_going;
        if waits || !self.shell.settings.pipeline {
            self.collect_all();
        }
        if self.stop.is_some() {
            return self.skip(place, parsed);
        }
        match (command.start)(self.shell, &input) {
            Ok(Step::Sent(collect)) => self.take(place, typed, Ok(collect), Some(command)),
            Ok(Step::Work(collect)) => {
                self.collect_all();
                if self.stop.is_some() {
                    return self.skip(place, parsed);
                }
                self.take(place, typed, Ok(collect), Some(command));
                self.collect_all();
            }
            Err(error) => self.take(place, typed, Err(error), Some(command)),
        }
        if waits {
            self.collect_all();
            // What was done must be known before more is done, also after the worst end of this program.
            self.flush();
        }
    }

    /// Takes a command that was sent, or that could not be; without a `command` it could not even be read.
    fn take(
        &mut self,
        place: &Place,
        typed: String,
        collect: Result<Collect, Error>,
        command: Option<&'static Command>,
    ) {
        // Where a command can't even be sent for a grave reason, none behind it can.
        let over = |error: &Error| !self.policy.keep_going || error.is_grave();
        let failed = collect.as_ref().is_err_and(over);
        self.ahead.push_back(Started {
            place: place.clone(),
            typed,
            command,
            collect,
        });
        if failed {
            self.collect_all();
        }
        let full = |shell: &Shell| shell.session.as_ref().is_some_and(Session::is_full);
        while self.ahead.len() > MOST_AHEAD || (full(self.shell) && !self.ahead.is_empty()) {
            self.collect_one();
        }
    }

    fn collect_all(&mut self) {
        while !self.ahead.is_empty() {
            self.collect_one();
        }
    }

    /// Waits for the oldest command's replies and reports them.
    ///
    /// What was sent is reported also when the script has to stop: whether it was done is what people need to know then.
    fn collect_one(&mut self) {
        let Some(started) = self.ahead.pop_front() else {
            return;
        };
        let changes = started.changes();
        let unheard = self.lost.is_some() && !changes;
        if self.stop.is_some() && (unheard || !self.tell_all) {
            // A command that only reads, sent ahead behind one that failed: as if it had never been there.
            self.account.count(Outcome::NotSent);
            self.not_sent.push_all_up_to(&started.place);
            self.keep(&started.place, &started.typed, "not run", false);
            return;
        }
        let mut report = started.report(self.output);
        let Started {
            place,
            typed,
            collect,
            ..
        } = started;
        self.unwritten.get_or_insert_with(|| place.clone());
        let result = collect.and_then(|collect| collect(self.shell, &mut report));
        report.end(result.as_ref().err());
        self.lost_changes |=
            changes && !matches!(&result, Err(error) if error.outcome() == Outcome::NotSent);
        self.shell.pass_on_notices();
        if self.output.is_broken() {
            self.flush();
        }
        if self.lost.is_some() && !changes {
            // What it would have told goes nowhere: neither done nor to be done again.
            self.account.count(Outcome::Done);
            return;
        }
        // Nothing came for as long as the last words are waited for.
        let silent = result.as_ref().is_err_and(Error::is_interrupt);
        if silent && self.stop == Some(status::INTERRUPTED) {
            self.given_up = true;
            if let Some(session) = &mut self.shell.session {
                session.hurry(Duration::ZERO);
            }
        }
        match result {
            Ok(()) => self.account.count(Outcome::Done),
            Err(error) => self.fail(&place, &typed, &error),
        }
        // Whoever reads along must not wait for a full buffer.
        if self.flushed.elapsed() > READ_ALONG {
            self.flush();
        }
        let interrupt = &self.shell.settings.interrupt;
        if interrupt.raised() {
            // Down again, so that the answers to what is still in flight can be had, if they come soon.
            interrupt.clear();
            self.given_up = self.stop == Some(status::INTERRUPTED);
            if let Some(session) = &mut self.shell.session {
                session.hurry(if self.given_up {
                    Duration::ZERO
                } else {
                    LAST_WORDS
                });
            }
            let sent = self.ahead.iter().filter(|started| started.collect.is_ok());
            let sent = sent.count();
            if self.stop.is_none() && sent > 0 {
                complain(&format!(
                    "interrupted: stopping; {sent} already sent, whose answers are waited for (once more gives up)"
                ));
            }
            self.stop = Some(status::INTERRUPTED);
            self.tell_all = true;
        } else if self.stop == Some(status::INTERRUPTED)
            && !self.given_up
            && let Some(session) = &mut self.shell.session
        {
            // As long as answers keep coming, more of them are waited for.
            session.hurry(LAST_WORDS);
        }
        if self.ahead.is_empty() {
            self.shell.let_go();
        }
        if self.stop.is_none()
            && let Some(named) = self.shell.quit
        {
            self.stop = Some(named.unwrap_or(if self.account.is_well() {
                status::OK
            } else {
                status::FAILED
            }));
        }
    }

    fn fail(&mut self, place: &Place, typed: &str, error: &Error) {
        self.flush();
        let over = self.stop.is_some();
        if self.stop.is_none() && (!self.policy.keep_going || error.is_grave()) {
            self.stop = Some(exit_status(error));
        }
        self.tell_all |= error.is_grave();
        let outcome = error.outcome();
        self.account.count(outcome);
        let lines = match outcome {
            Outcome::Unknown => &mut self.unknown,
            Outcome::NotSent => &mut self.not_sent,
            Outcome::Done | Outcome::Unchanged | Outcome::Failed => &mut self.failed,
        };
        lines.push(place);
        let why = error.to_string();
        self.keep(place, typed, &why, outcome == Outcome::Unknown);
        // Of many that ended together, the first one says how; the sum names them all.
        if over && outcome != Outcome::Failed {
            return;
        }
        let command = if typed.is_empty() {
            String::new()
        } else {
            format!(" {}:", shown(typed))
        };
        complain(&format!("{place}:{command} {why}"));
    }

    fn flush(&mut self) {
        self.flushed = Instant::now();
        match self.output.flush() {
            Ok(()) => {
                if self.lost.is_none() {
                    self.unwritten = None;
                    self.lost_changes = false;
                }
            }
            // Whoever reads the results is gone, as after `| head`, or the disk is full: going on would change things unseen.
            Err(error) => {
                self.stop = Some(match error.kind() {
                    io::ErrorKind::BrokenPipe => status::UNREAD,
                    _ => status::FAILED,
                });
                self.tell_all = true;
                self.shell.settings.interrupt.clear();
                self.lost = Some((self.unwritten.take().unwrap_or_default(), error));
            }
        }
    }

    fn sum_up(mut self) -> u8 {
        let status = match self.stop {
            Some(status) => status,
            None if self.account.is_well() => status::OK,
            None => status::FAILED,
        };
        let leftover = self.policy.leftover.take().map(Leftover::close);
        if let Some(Err(error)) = &leftover {
            complain(&format!(
                "{error}; what is still to be done is named here alone"
            ));
        }
        let unread = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
        let quiet = match &self.lost {
            // As `imapadm … | head` ends, where nothing was to be changed.
            Some((_, error)) => {
                let Account {
                    failed, unknown, ..
                } = self.account;
                let changes = self.lost_changes || self.left_changes;
                unread(error) && !changes && failed + unknown == 0
            }
            // A lone command has said it all.
            None => {
                self.account.is_well() && !self.unread && self.stop != Some(status::INTERRUPTED)
                    || self.account.all() == 1 && !self.policy.keep_going && !self.unread
            }
        };
        if self.lost.as_ref().is_some_and(|(_, error)| unread(error)) && !self.lost_changes {
            // The rest of a listing that nobody reads is not waited for.
            self.shell.session = None;
        }
        if quiet {
            return status;
        }
        complain(&self.sum());
        if let Some(Ok(path)) = leftover
            && !self.account.is_well()
        {
            complain(&format!(
                "what is still to be done is in {path}; look through it, then run it with -f {path}"
            ));
        }
        if self.lost.is_none() {
            self.output.sum(&self.account, status);
            // It says no more than stderr did.
            let _ = self.output.flush();
        }
        status
    }

    /// What became of all commands, and how to go on.
    fn sum(&self) -> String {
        let Account {
            done,
            unchanged,
            failed,
            unknown,
            not_sent,
            ..
        } = self.account;
        let mut sum = match &self.lost {
            Some((_, error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                "nobody reads the results any more: ".to_owned()
            }
            Some((_, error)) => format!("cannot write the results: {error}: "),
            None if self.stop == Some(status::INTERRUPTED) => "interrupted: ".to_owned(),
            None if self.stop.is_some() && self.shell.quit.is_none() => "stopped: ".to_owned(),
            None => String::new(),
        };
        sum.push_str(&format!("{done} done"));
        if unchanged > 0 {
            sum.push_str(&format!(", {unchanged} unchanged"));
        }
        for (count, what, lines) in [
            (failed, "failed", &self.failed),
            (unknown, "unknown whether done", &self.unknown),
            (not_sent, "not sent", &self.not_sent),
        ] {
            if count > 0 {
                sum.push_str(&format!(", {count} {what}: {lines}"));
            }
        }
        if let Some((place, _)) = &self.lost {
            sum.push_str(&format!(", results from {place} on are lost"));
        }
        if self.unread {
            sum.push_str("; standard input was not read to its end");
        }
        if let (Some(first), false) = (self.not_sent.first(), self.policy.keep_going)
            && first.file.as_deref() != Some(COMMAND_LINE)
        {
            let look = if unknown > 0 {
                "look at what is unknown, then "
            } else {
                ""
            };
            sum.push_str(&format!("; {look}go on with --from-line {}", first.line));
        }
        sum
    }
}

/// Lines of scripts for a summary, many in a row as one: `line 3`, `lines 1, 2, 5-90`.
#[derive(Debug, Default)]
struct Lines {
    /// The first and the last line of each row of them.
    runs: Vec<(Place, u64)>,
    /// How many rows there are beyond those that are named.
    more: u64,
}

impl Lines {
    fn push(&mut self, place: &Place) {
        self.add(place, 1);
    }

    /// The same, and all lines since the one before: nothing in between is any different.
    fn push_all_up_to(&mut self, place: &Place) {
        self.add(place, u64::MAX);
    }

    fn add(&mut self, place: &Place, gap: u64) {
        let full = self.runs.len() >= MOST_NAMED;
        match self.runs.last_mut() {
            Some((first, last))
                if first.file == place.file && place.line >= *last && place.line - *last <= gap =>
            {
                *last = place.line;
            }
            _ if full => self.more += 1,
            _ => self.runs.push((place.clone(), place.line)),
        }
    }

    fn first(&self) -> Option<&Place> {
        self.runs.first().map(|(first, _)| first)
    }
}

impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        for (first, last) in &self.runs {
            let count = last - first.line + 1;
            if count >= LONG_RUN {
                parts.push(format!("{}-{last}", first.short()));
            } else {
                parts.extend((first.line..=*last).map(|line| {
                    let place = Place {
                        line,
                        ..first.clone()
                    };
                    place.short()
                }));
            }
        }
        let one = matches!(&self.runs[..], [(first, last)] if first.line == *last);
        parts.truncate(MOST_NAMED);
        if self.more > 0 {
            parts.push("and more".to_owned());
        }
        write!(
            f,
            "{} {}",
            if one { "line" } else { "lines" },
            parts.join(", ")
        )
    }
}

/// Lines in a row that the summary names as one.
const LONG_RUN: u64 = 10;
/// Failed lines, or runs of them, that the summary names one by one.
const MOST_NAMED: usize = 100;

impl Place {
    /// For a summary: the line, with its file where there is one.
    fn short(&self) -> String {
        match &self.file {
            Some(file) => format!("{file}:{}", self.line),
            None => self.line.to_string(),
        }
    }
}

/// A command as messages show it: what could hold a password is left out, and of a long one the end.
fn shown(typed: &str) -> String {
    const LONGEST: usize = 200;
    if may_hold_secret(typed) {
        "(a command with a password)".to_owned()
    } else if typed.chars().count() > LONGEST {
        typed.chars().take(LONGEST).chain(['…']).collect()
    } else {
        typed.to_owned()
    }
}

/// Runs commands that a person typed together, and reports each; the session outlives failures.
///
/// Returns whether what was typed after them may run too.
pub fn run_typed(shell: &mut Shell, output: &Output, typed: Result<Commands, Error>) -> bool {
    let commands = match typed {
        Ok(commands) => commands,
        Err(error) => {
            complain(&error.to_string());
            return true;
        }
    };
    let place = Place {
        file: None,
        line: 1,
    };
    for Parsed { words, .. } in commands {
        let read = read(&words);
        let mut report = match &read {
            Ok(input) => input.command.report(output, &place),
            Err(_) => output.report(words.first().map_or("", String::as_str), &[], false, &place),
        };
        let result = read.and_then(|input: Input| {
            let (Step::Sent(collect) | Step::Work(collect)) = (input.command.start)(shell, &input)?;
            if input.command.changes() {
                shell.cache.clear();
            }
            collect(shell, &mut report)
        });
        report.end(result.as_ref().err());
        // A terminal that is gone ends the line editor too.
        let _ = output.flush();
        shell.pass_on_notices();
        shell.let_go();
        if let Err(error) = result {
            complain(&error.to_string());
            // What was typed or pasted behind it may count on its being done.
            if error.is_interrupt() || matches!(error, Error::Declined) {
                return false;
            }
            break;
        }
        if shell.quit.is_some() {
            break;
        }
    }
    !shell.settings.interrupt.raised()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_names_lines_one_by_one_and_long_runs_as_one() {
        let lines = |numbers: &[u64]| {
            let mut lines = Lines::default();
            for &line in numbers {
                lines.push(&Place { file: None, line });
            }
            lines.to_string()
        };
        assert_eq!(lines(&[12, 87, 90]), "lines 12, 87, 90");
        assert_eq!(lines(&[3]), "line 3");
        assert_eq!(lines(&[3, 3, 4]), "lines 3, 4");
        let run: Vec<u64> = [1, 2, 3].into_iter().chain(495..=1224).collect();
        assert_eq!(lines(&run), "lines 1, 2, 3, 495-1224");
        let odd: Vec<u64> = (0..1000).map(|line| 2 * line + 1).collect();
        assert!(lines(&odd).ends_with(", 199, and more"), "{}", lines(&odd));
    }

    #[test]
    fn what_is_left_of_a_script_is_one_row_of_lines() {
        let mut lines = Lines::default();
        for line in [43, 50, 58] {
            lines.push_all_up_to(&Place { file: None, line });
        }
        assert_eq!(lines.to_string(), "lines 43-58");
    }
}
