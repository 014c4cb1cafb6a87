//! Runs commands: those of scripts in order, sent ahead where that is safe, and those that a person typed.
//!
//! Lives here: the rules of when a run waits and when it stops. Not here: how scripts are read (`script`), what is told at the end
//! (`summary`), and the line editor.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use imapadm::admin::quota::QuotasRead;
use imapadm::{Account, Error, MailboxName, Outcome, Session};

use super::advice;
use super::command::{Collect, Command, Input, Limits, Step};
use super::leftover::Leftover;
use super::read::read;
use super::script::{COMMAND_LINE, Given, Next, Script, Statement, read_for_script};
use super::secret::may_hold_secret;
use super::summary::Summary;
use super::table::find;
use super::words::{Commands, Parsed};
use super::{Shell, status};
use crate::report::{Output, Place, Report, complain};

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
    /// The command; where not even that could be read, nothing.
    parsed: Parsed,
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
                let name = self.parsed.words.first();
                output.report(name.map_or("", String::as_str), &[], false, &self.place)
            }
        }
    }
}

/// What stands behind a command.
struct Behind<'s> {
    /// In the same statement.
    rest: &'s [Given],
    script: &'s mut Script,
}

impl Behind<'_> {
    /// Finds the roots whose limits are changed next, up to the first command that may change any, and each root but once.
    fn roots(&mut self, roots: &mut Vec<MailboxName>) {
        let mut seen: HashSet<MailboxName> = roots.iter().cloned().collect();
        let mut add = |commands: &[Given]| {
            commands.iter().all(|Given { parsed, input }| {
                let named = || parsed.words.first().and_then(|name| find(name));
                let command = input.as_ref().map(|input| input.command).or_else(named);
                let root = match (command.map(|command| command.limits), input) {
                    // What can't be read is not run.
                    (None | Some(Limits::Keeps), _) => return true,
                    (Some(Limits::MayChange), _) => return false,
                    (Some(Limits::Changes(root)), Some(input)) => Ok(root(input)),
                    (Some(Limits::Changes(root)), None) => {
                        read(&parsed.words).map(|input| root(&input))
                    }
                };
                match root {
                    Ok(Some(root)) if roots.len() < MOST_ROOTS && seen.insert(root.clone()) => {
                        roots.push(root);
                        true
                    }
                    Ok(_) => false,
                    Err(_) => true,
                }
            })
        };
        if !add(self.rest) {
            return;
        }
        for index in 0..MOST_AHEAD {
            match self.script.look_ahead(index).map(|next| &next.commands) {
                Some(Ok(commands)) if add(commands) => {}
                Some(Err(_)) => {}
                _ => return,
            }
        }
    }
}

/// Quota roots that are read together.
const MOST_ROOTS: usize = 2_000;

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
    summary: Summary,
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
            summary: Summary::default(),
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
                    Next::Statement(statement) => self.statement(statement, script),
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
                    for given in commands.unwrap_or_default() {
                        self.skip(&place, &given.parsed);
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
        self.summary.leave(place);
        let command = parsed.words.first().and_then(|name| find(name));
        self.left_changes |= command.is_some_and(Command::changes);
        self.keep(place, parsed, "not sent", false);
    }

    /// Keeps a command that is still to be done.
    fn keep(&mut self, place: &Place, parsed: &Parsed, why: &str, look_first: bool) {
        if let Some(leftover) = &mut self.policy.leftover {
            leftover.write(place, &parsed.to_string(), why, look_first);
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
            self.end(&script.next_place(), error);
        }
    }

    /// Starts the commands of one statement.
    fn statement(&mut self, statement: Statement, script: &mut Script) {
        let Statement {
            place,
            commands,
            cut,
            ..
        } = statement;
        match commands {
            Ok(mut commands) => {
                for index in 0..commands.len() {
                    let given = std::mem::take(&mut commands[index]);
                    if self.stop.is_some() {
                        self.skip(&place, &given.parsed);
                    } else {
                        let rest = &commands[index + 1..];
                        self.start(&place, given, cut, &mut Behind { rest, script });
                    }
                }
            }
            Err(error) => self.enqueue(&place, Parsed::default(), Err(error), None),
        }
    }

    /// Ends everything, also with `--keep-going`: what can't be read may mean anything, and so may what stands behind it.
    fn end(&mut self, place: &Place, error: Error) {
        self.enqueue(place, Parsed::default(), Err(error), None);
        self.collect_all();
        self.stop.get_or_insert(status::USAGE);
    }

    /// Starts one command, first waiting for those before it where it has to; `cut` is whether its line has no end, `behind` what comes next.
    fn start(&mut self, place: &Place, given: Given, cut: bool, behind: &mut Behind<'_>) {
        let Given { parsed, input } = given;
        let read = || read_for_script(&parsed, self.shell.settings.yes);
        let input = match input.map_or_else(read, Ok) {
            Ok(input) => input,
            Err(error) => return self.enqueue(place, parsed, Err(error), None),
        };
        let command = input.command;
        let changes = command.changes();
        if changes && cut {
            let what =
                "the last line of standard input has no line end, so part of it may be missing";
            if self.policy.strict {
                let refused = Error::Usage(format!(
                    "{what}; check the program that wrote it (--strict)"
                ));
                return self.enqueue(place, parsed, Err(refused), Some(command));
            }
            complain(&format!(
                "{place}: {}: warning: {what}; it runs anyway (--strict refuses it)",
                shown(&parsed.to_string())
            ));
        }
        let waits = changes && !self.policy.keep_going;
        if waits || !self.shell.settings.pipeline {
            self.collect_all();
        }
        if self.stop.is_some() {
            return self.skip(place, &parsed);
        }
        let ready = self.read_limits(&input, behind);
        match ready.and_then(|()| (command.start)(self.shell, &input)) {
            Ok(Step::Sent(collect)) => self.enqueue(place, parsed, Ok(collect), Some(command)),
            Ok(Step::Work(collect)) => {
                self.collect_all();
                if self.stop.is_some() {
                    return self.skip(place, &parsed);
                }
                self.enqueue(place, parsed, Ok(collect), Some(command));
                self.collect_all();
            }
            Err(error) => self.enqueue(place, parsed, Err(error), Some(command)),
        }
        if waits {
            self.collect_all();
            // What was done must be known before more is done, also after the worst end of this program.
            self.flush();
        }
    }

    /// Has read what a change of limits has to know, together with what the changes behind it have to: else each would wait for an answer of
    /// its own. What was read is old as soon as a command may change it in another way.
    fn read_limits(&mut self, input: &Input, behind: &mut Behind<'_>) -> Result<(), Error> {
        let root = match input.command.limits {
            Limits::Keeps => return Ok(()),
            Limits::Changes(root) => root(input),
            Limits::MayChange => None,
        };
        let Some(root) = root else {
            self.shell.quotas = QuotasRead::default();
            return Ok(());
        };
        let together = self.policy.keep_going && self.shell.settings.pipeline;
        let Some(session) = self.shell.session.as_mut().filter(|_| together) else {
            return Ok(());
        };
        if !self.shell.quotas.covers(&root, session) {
            let mut roots = vec![root];
            behind.roots(&mut roots);
            self.shell.quotas = QuotasRead::default();
            self.shell.quotas = session.read_quotas(roots)?;
        }
        Ok(())
    }

    /// Lets a command that was sent, or that could not be, wait for its turn to be reported; without a `command` it could not even be read.
    fn enqueue(
        &mut self,
        place: &Place,
        parsed: Parsed,
        collect: Result<Collect, Error>,
        command: Option<&'static Command>,
    ) {
        // Where a command can't even be sent for a grave reason, none behind it can.
        let over = |error: &Error| !self.policy.keep_going || error.is_grave();
        let failed = collect.as_ref().is_err_and(over);
        self.ahead.push_back(Started {
            place: place.clone(),
            parsed,
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
            self.summary.leave(&started.place);
            self.keep(&started.place, &started.parsed, "not run", false);
            return;
        }
        let mut report = started.report(self.output);
        let Started {
            place,
            parsed,
            collect,
            ..
        } = started;
        self.unwritten.get_or_insert_with(|| place.clone());
        let result = collect.and_then(|collect| collect(self.shell, &mut report));
        report.end(
            result
                .as_ref()
                .err()
                .map(|error| (error, advice::message(error))),
        );
        self.lost_changes |=
            changes && !matches!(&result, Err(error) if error.outcome() == Outcome::NotSent);
        self.shell.pass_on_notices();
        if self.output.is_broken() {
            self.flush();
        }
        if self.lost.is_some() && !changes {
            // What it would have told goes nowhere: neither done nor to be done again.
            self.summary.count(Outcome::Done, &place);
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
            Ok(()) => self.summary.count(Outcome::Done, &place),
            Err(error) => self.fail(&place, &parsed, &error),
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
                complain(&format!("interrupted: {}", super::ask::stopping(sent)));
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
            self.stop = Some(named.unwrap_or(if self.summary.account().is_well() {
                status::OK
            } else {
                status::FAILED
            }));
        }
    }

    fn fail(&mut self, place: &Place, parsed: &Parsed, error: &Error) {
        self.flush();
        let over = self.stop.is_some();
        if self.stop.is_none() && (!self.policy.keep_going || error.is_grave()) {
            self.stop = Some(status::of(error));
        }
        self.tell_all |= error.is_grave();
        let outcome = error.outcome();
        self.summary.count(outcome, place);
        let why = advice::message(error);
        self.keep(place, parsed, &why, outcome == Outcome::Unknown);
        // Of many that ended together, the first one says how; the sum names them all.
        if over && outcome != Outcome::Failed {
            return;
        }
        let command = if *parsed == Parsed::default() {
            String::new()
        } else {
            format!(" {}:", shown(&parsed.to_string()))
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
            None if self.summary.account().is_well() => status::OK,
            None => status::FAILED,
        };
        let leftover = self.policy.leftover.take().map(Leftover::close);
        if let Some(Err(error)) = &leftover {
            complain(&format!(
                "{error}; the remaining commands are listed only here"
            ));
        }
        let unread = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
        let quiet = match &self.lost {
            // As `imapadm … | head` ends, where nothing was to be changed.
            Some((_, error)) => {
                let Account {
                    failed, unknown, ..
                } = *self.summary.account();
                let changes = self.lost_changes || self.left_changes;
                unread(error) && !changes && failed + unknown == 0
            }
            // A lone command has said it all.
            None => {
                self.summary.account().is_well()
                    && !self.unread
                    && self.stop != Some(status::INTERRUPTED)
                    || self.summary.account().all() == 1 && !self.policy.keep_going && !self.unread
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
            && !self.summary.account().is_well()
        {
            complain(&format!(
                "the remaining commands are in {path}; check them, then run them with -f {path}"
            ));
        }
        if self.lost.is_none() {
            self.output.sum(self.summary.account(), status);
            // It says no more than stderr did.
            let _ = self.output.flush();
        }
        status
    }

    /// What became of all commands, and how to go on.
    fn sum(&self) -> String {
        let mut sum = match &self.lost {
            Some((_, error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                "the reader of the results closed the pipe: ".to_owned()
            }
            Some((_, error)) => format!("cannot write the results: {error}: "),
            None if self.stop == Some(status::INTERRUPTED) => "interrupted: ".to_owned(),
            None if self.stop.is_some() && self.shell.quit.is_none() => "stopped: ".to_owned(),
            None => String::new(),
        };
        sum.push_str(&self.summary.to_string());
        if let Some((place, _)) = &self.lost {
            sum.push_str(&format!(", results from {place} on are lost"));
        }
        if self.unread {
            sum.push_str("; standard input was not read to its end");
        }
        if let (Some(first), false) = (self.summary.first_not_sent(), self.policy.keep_going)
            && first.file.as_deref() != Some(COMMAND_LINE)
        {
            let look = if self.summary.account().unknown > 0 {
                "check the unknown ones, then "
            } else {
                ""
            };
            sum.push_str(&format!("; {look}continue with --from-line {}", first.line));
        }
        sum
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
            complain(&advice::message(&error));
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
        report.end(
            result
                .as_ref()
                .err()
                .map(|error| (error, advice::message(error))),
        );
        // A terminal that is gone ends the line editor too.
        let _ = output.flush();
        shell.pass_on_notices();
        shell.let_go();
        if let Err(error) = result {
            complain(&advice::message(&error));
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
