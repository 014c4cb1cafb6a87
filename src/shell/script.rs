//! Scripts: commands from a pipe, a file or the command line, run in order and sent ahead where that is safe.
//!
//! Lives here: the reader of lines, the runner with its stopping rules, and exit statuses. Not here: the interactive loop
//! (`editor`), which shares the running of one line.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use imapadm::{Error, Session, files};

use super::command::{Collect, Flow, Input, Step};
use super::secret::may_hold_secret;
use super::words::{Commands, Lexer};
use super::{Shell, find, read};
use crate::report::{Place, Report, complain};

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
        "lost" | "not-sent" => status::LOST,
        _ => status::FAILED,
    }
}

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
    /// Its commands, each as its words.
    commands: Result<Commands, Error>,
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
                Some("-c".to_owned()),
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
        }
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
        loop {
            match copy.next() {
                Next::Statement(Statement { place, commands }) => match commands {
                    Ok(commands) => {
                        for words in commands {
                            if let Err(error) = read_for_script(&words, yes) {
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
        let commands = self.lexer.take();
        let commands = match self.wrong.take() {
            Some(error) => Err(error),
            None => commands,
        };
        match commands {
            Err(error) if open => Some(Next::Unreadable(place, error)),
            Ok(commands) if commands.is_empty() => None,
            commands => Some(Next::Statement(Statement { place, commands })),
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
    files::to_read_or_pipe(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a command of a script, which nobody is asked about: what destroys many mailboxes has to be meant, and says so with `--yes`.
/// (`dm "user.$X*"` with nothing in X is every user.)
fn read_for_script(words: &[String], yes: bool) -> Result<Input, Error> {
    let input = read(words)?;
    let name = input.command.name;
    if input.command.destroys && input.is_many() && !yes && !input.has("yes") {
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

/// How a script is run.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Carry on after a failure, and sum up at the end.
    pub keep_going: bool,
    /// Set while the program waits for input, so that Ctrl-C may simply end it.
    pub idle: Arc<AtomicBool>,
}

/// A command that has been sent, or that already failed.
struct Started {
    place: Place,
    /// The command as it was typed.
    typed: String,
    /// Its name in the output.
    name: String,
    /// Whether it is asked for its rows.
    lists: bool,
    collect: Result<Collect, Error>,
}

/// Commands that may be sent ahead before the oldest is collected; the session bounds their bytes, and those of their replies, besides.
const MOST_AHEAD: usize = 5_000;

/// How long answers to what is in flight are waited for when the user interrupts a script.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Results wait at most this long for more of them before they are written.
const READ_ALONG: Duration = Duration::from_millis(250);

/// Runs scripts.
pub struct Runner<'a> {
    shell: &'a mut Shell,
    report: &'a mut Report,
    policy: Policy,
    ahead: VecDeque<Started>,
    done: u64,
    failures: u64,
    unknown: Vec<Place>,
    flushed: Instant,
    failed: Vec<Place>,
    /// Why no more may be run.
    stop: Option<u8>,
    /// What is in flight is reported although no more may be run.
    tell_all: bool,
    /// Whether nobody waits any more for what is in flight.
    given_up: bool,
}

impl<'a> Runner<'a> {
    /// A runner that has run nothing.
    pub fn new(shell: &'a mut Shell, report: &'a mut Report, policy: Policy) -> Self {
        Self {
            shell,
            report,
            policy,
            ahead: VecDeque::new(),
            done: 0,
            failures: 0,
            unknown: Vec::new(),
            flushed: Instant::now(),
            failed: Vec::new(),
            stop: None,
            tell_all: false,
            given_up: false,
        }
    }

    /// Runs the scripts one after the other and returns the exit status.
    pub fn run(mut self, scripts: Vec<Script>) -> u8 {
        for mut script in scripts {
            while self.stop.is_none() {
                match script.next() {
                    Next::Statement(statement) => self.statement(statement),
                    Next::Later => self.wait(&mut script),
                    Next::Unreadable(place, error) => self.end(&place, error),
                    Next::End => break,
                }
            }
        }
        self.collect_all();
        self.flush();
        self.sum_up()
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
    fn statement(&mut self, Statement { place, commands }: Statement) {
        match commands {
            Ok(commands) => {
                for words in commands {
                    if self.stop.is_some() {
                        return;
                    }
                    self.start(&place, &words);
                }
            }
            Err(error) => self.take(&place, String::new(), String::new(), Err(error)),
        }
    }

    /// Ends everything, also with `--keep-going`: what can't be read may mean anything, and so may what stands behind it.
    fn end(&mut self, place: &Place, error: Error) {
        self.take(place, String::new(), String::new(), Err(error));
        self.collect_all();
        self.stop.get_or_insert(status::USAGE);
    }

    /// Starts one command, first waiting for those before it where it has to.
    fn start(&mut self, place: &Place, words: &[String]) {
        let typed = shell_words::join(words);
        let input = match read_for_script(words, self.shell.settings.yes) {
            Ok(input) => input,
            Err(error) => {
                let name = words.first().cloned().unwrap_or_default();
                return self.take(place, typed, name, Err(error));
            }
        };
        let waits = input.command.flow == Flow::Changes && !self.policy.keep_going;
        if waits || !self.shell.settings.pipeline {
            self.collect_all();
        }
        if self.stop.is_some() {
            return;
        }
        let name = input.command.name.to_owned();
        match (input.command.start)(self.shell, &input) {
            Ok(Step::Sent(collect)) => self.take(place, typed, name, Ok(collect)),
            Ok(Step::Work(collect)) => {
                self.collect_all();
                if self.stop.is_none() {
                    self.take(place, typed, name, Ok(collect));
                    self.collect_all();
                }
            }
            Err(error) => self.take(place, typed, name, Err(error)),
        }
        if waits {
            self.collect_all();
            // What was done must be known before more is done, also after the worst end of this program.
            self.flush();
        }
    }

    fn take(
        &mut self,
        place: &Place,
        typed: String,
        name: String,
        collect: Result<Collect, Error>,
    ) {
        // Where a command can't even be sent for a grave reason, none behind it can.
        let over = |error: &Error| !self.policy.keep_going || error.is_grave();
        let failed = collect.as_ref().is_err_and(over);
        self.ahead.push_back(Started {
            place: place.clone(),
            typed,
            lists: find(&name).is_some_and(|command| command.lists),
            name,
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
        if self.stop.is_some() && !self.tell_all {
            // A command that only reads, sent ahead behind one that failed: as if it had never been there.
            return;
        }
        let Started {
            place,
            typed,
            name,
            lists,
            collect,
        } = started;
        self.report.begin(&name, &place);
        if lists {
            self.report.lists();
        }
        let result = collect.and_then(|collect| collect(self.shell, self.report));
        self.report.end(result.as_ref().err());
        self.shell.pass_on_notices();
        // Nothing came for as long as the last words are waited for.
        let silent = result.as_ref().is_err_and(Error::is_interrupt);
        if silent && self.stop == Some(status::INTERRUPTED) {
            self.given_up = true;
            if let Some(session) = &mut self.shell.session {
                session.hurry(Duration::ZERO);
            }
        }
        match result {
            Ok(()) => self.done += 1,
            Err(error) => self.fail(place.clone(), &typed, &error),
        }
        // Whoever reads along must not wait for a full buffer.
        if self.report.is_broken() || self.flushed.elapsed() > READ_ALONG {
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
            if self.stop.is_none() {
                complain(
                    "interrupted; no more is sent, and what was is waited for (once more gives up)",
                );
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
            self.stop = Some(named.unwrap_or(if self.failed.is_empty() {
                status::OK
            } else {
                status::FAILED
            }));
        }
    }

    fn fail(&mut self, place: Place, typed: &str, error: &Error) {
        self.flush();
        let over = self.stop.is_some();
        if self.stop.is_none() && (!self.policy.keep_going || error.is_grave()) {
            self.stop = Some(exit_status(error));
        }
        self.tell_all |= error.is_grave();
        if error.is_unknown() {
            self.unknown.push(place.clone());
            // Of many that ended together, the first one says how; the sum names them all.
            if over && self.policy.keep_going {
                return;
            }
        } else {
            self.failures += 1;
            if self.failed.last() != Some(&place) {
                self.failed.push(place.clone());
            }
        }
        let command = if typed.is_empty() {
            String::new()
        } else {
            format!(" {}:", shown(typed))
        };
        complain(&format!("{place}:{command} {error}"));
    }

    fn flush(&mut self) {
        self.flushed = Instant::now();
        if let Err(error) = self.report.flush() {
            // Whoever reads the results is gone, as after `| head`: going on would change things unseen.
            if error.kind() != io::ErrorKind::BrokenPipe {
                complain(&format!(
                    "cannot write the results: {error}; the script stops here"
                ));
            }
            self.stop.get_or_insert(status::FAILED);
        }
    }

    fn sum_up(self) -> u8 {
        let well = self.failed.is_empty() && self.unknown.is_empty();
        if self.policy.keep_going && !well {
            let mut sum = format!("{} done", self.done);
            if !self.failed.is_empty() {
                sum.push_str(&format!(
                    ", {} failed: {}",
                    self.failures,
                    lines(&self.failed)
                ));
            }
            if !self.unknown.is_empty() {
                let (count, which) = (self.unknown.len(), lines(&self.unknown));
                sum.push_str(&format!(", {count} unknown whether done: {which}"));
            }
            complain(&sum);
        }
        match self.stop {
            Some(status) => status,
            None if well => status::OK,
            None => status::FAILED,
        }
    }
}

/// Places for a summary, many in a row as one: `line 3`, `lines 1, 2, 5-90`.
fn lines(places: &[Place]) -> String {
    let in_a_row =
        |a: &Place, b: &Place| a.file == b.file && (a.line..=a.line + 1).contains(&b.line);
    let mut parts: Vec<String> = Vec::new();
    for run in places.chunk_by(in_a_row) {
        match run {
            [first, .., last] if run.len() >= LONG_RUN => {
                parts.push(format!("{}-{}", first.short(), last.line))
            }
            run => parts.extend(run.iter().map(Place::short)),
        }
    }
    let more = parts.len().saturating_sub(MOST_NAMED);
    parts.truncate(MOST_NAMED);
    if more > 0 {
        parts.push(format!("and {more} more"));
    }
    format!(
        "{} {}",
        if places.len() == 1 { "line" } else { "lines" },
        parts.join(", ")
    )
}

/// Lines in a row that the summary names as one.
const LONG_RUN: usize = 10;
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
pub fn run_typed(shell: &mut Shell, report: &mut Report, typed: Result<Commands, Error>) -> bool {
    let commands = match typed {
        Ok(commands) => commands,
        Err(error) => {
            complain(&error.to_string());
            return true;
        }
    };
    for words in commands {
        let name = words.first().map_or("", String::as_str);
        report.begin(
            name,
            &Place {
                file: None,
                line: 1,
            },
        );
        let result = read(&words).and_then(|input: Input| {
            if input.command.lists {
                report.lists();
            }
            let (Step::Sent(collect) | Step::Work(collect)) = (input.command.start)(shell, &input)?;
            if input.command.flow == Flow::Changes {
                shell.cache.clear();
            }
            collect(shell, report)
        });
        report.end(result.as_ref().err());
        // A terminal that is gone ends the line editor too.
        let _ = report.flush();
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
        let places = |numbers: &[u64]| -> Vec<Place> {
            numbers
                .iter()
                .map(|&line| Place { file: None, line })
                .collect()
        };
        assert_eq!(lines(&places(&[12, 87, 90])), "lines 12, 87, 90");
        assert_eq!(lines(&places(&[3])), "line 3");
        let run: Vec<u64> = [1, 2, 3].into_iter().chain(495..=1224).collect();
        assert_eq!(lines(&places(&run)), "lines 1, 2, 3, 495-1224");
    }
}
