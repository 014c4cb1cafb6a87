//! The command language: what a command is, and how its words are read.
//!
//! One table of these ([`super::table::ALL`]) is what parsing, help and completion come from. Not here: the commands.

use imapadm::Error;
use imapadm::admin::many::Reach;
use imapadm::session::MailboxName;

use super::Shell;
use super::meaning::{ArgumentKind, Scope};
use crate::report::{Column, Output, Place, Report};

/// How often an argument stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Once.
    One,
    /// Once or not at all.
    Optional,
    /// Once or more, together with the arguments beside it that are repeated too.
    Repeated,
    /// The last one: all words that are left, one at least; its name says how they go.
    Rest,
    /// The last one: once, more often, or not at all.
    Any,
}

/// One argument of a command.
#[derive(Debug, Clone, Copy)]
pub struct Argument {
    /// Its name in help, such as `MAILBOX`.
    pub name: &'static str,
    /// What it is.
    pub kind: ArgumentKind,
    /// How often it stands.
    pub count: Count,
}

impl Argument {
    /// Whether the command can't do without it.
    fn is_needed(&self) -> bool {
        !matches!(self.count, Count::Optional | Count::Any)
    }
}

/// An option of a command.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// Its long name, without dashes.
    pub name: &'static str,
    /// Its one-letter name.
    pub short: Option<char>,
    /// The name of its value in help, if it takes one.
    pub value: Option<&'static str>,
    /// One line of help.
    pub help: &'static str,
    /// Whether the value is, or may hold, a password or a token: such a line is not kept and not repeated.
    pub secret: bool,
}

impl Flag {
    /// An option without a value.
    pub const fn switch(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            short: None,
            value: None,
            help,
            secret: false,
        }
    }

    /// An option with a value.
    pub const fn option(name: &'static str, value: &'static str, help: &'static str) -> Self {
        Self {
            value: Some(value),
            ..Self::switch(name, help)
        }
    }

    /// The same option, which has a letter too.
    pub const fn short(self, letter: char) -> Self {
        Self {
            short: Some(letter),
            ..self
        }
    }
}

/// What a command does to what it is for. All that depends on it is derived: the order in which a script sends commands, the question
/// at a terminal, and the `--yes` that a script has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It changes nothing: it may be sent ahead of others' answers.
    Reads,
    /// It changes something: in a script that stops at a failure, it waits for all before it, and all behind it for it. At a terminal,
    /// several mailboxes are asked about first.
    Changes,
    /// What it takes away, no command brings back: for many mailboxes a script has to say `--yes`, too.
    Destroys,
}

/// What a command does to the limits of quota roots: a script reads those of several roots together before it changes them one by one.
#[derive(Clone, Copy)]
pub enum Limits {
    /// It may change any of them, or what a root's name means.
    MayChange,
    /// It leaves all as they are.
    Keeps,
    /// It changes those of this root and keeps what is not named; `None` where it reads none, or is for many.
    Changes(fn(&Input) -> Option<MailboxName>),
}

/// What is left of a command once it has been started.
pub enum Step {
    /// Its requests are sent; what is left is to wait for the replies and report them.
    Sent(Collect),
    /// Nothing is sent: all of it is still to do, with nothing else in flight.
    Work(Collect),
}

/// The end of a command, which reports its rows.
pub type Collect = Box<dyn FnOnce(&mut Shell, &mut Report) -> Result<(), Error>>;

/// Options that the usage line names one by one; help explains them all.
const MOST_NAMED: usize = 6;

/// One command of the shell.
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// Its other names.
    pub aliases: &'static [&'static str],
    /// Its options.
    pub flags: &'static [Flag],
    /// Its arguments.
    pub arguments: &'static [Argument],
    /// One line of help.
    pub summary: &'static str,
    /// What else there is to say.
    pub details: &'static str,
    /// What it does.
    pub effect: Effect,
    /// What it does to the limits of quota roots.
    pub limits: Limits,
    /// The columns of its rows.
    pub columns: &'static [Column],
    /// It is asked for its rows: a person at a terminal is told when there are none.
    pub lists: bool,
    /// What can be said of its words without a server, beyond their kinds.
    pub check: fn(&Input) -> Result<(), Error>,
    /// Starts it; nothing is reported yet.
    pub start: fn(&mut Shell, &Input) -> Result<Step, Error>,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Command({})", self.name)
    }
}

impl Command {
    /// What a command is unless it says otherwise; its name, its help and how it starts are its own.
    pub const BASE: Command = Command {
        name: "",
        aliases: &[],
        flags: &[],
        arguments: &[],
        summary: "",
        details: "",
        effect: Effect::Reads,
        limits: Limits::MayChange,
        columns: &[],
        lists: false,
        check: |_| Ok(()),
        start: |_, _| Ok(Step::Work(Box::new(|_, _| Ok(())))),
    };

    /// How the command is written, in one line: `createmailbox [--partition PARTITION] MAILBOX [PARTITION]`.
    pub fn usage(&self) -> String {
        let mut usage = self.name.to_owned();
        if self.flags.len() > MOST_NAMED {
            usage.push_str(" [OPTION]...");
        }
        for flag in self.flags.iter().filter(|_| self.flags.len() <= MOST_NAMED) {
            let short = flag.short.map(|c| format!("-{c}|")).unwrap_or_default();
            let value = flag
                .value
                .map(|value| format!(" {value}"))
                .unwrap_or_default();
            usage.push_str(&format!(" [{short}--{}{value}]", flag.name));
        }
        for argument in self.arguments {
            usage.push_str(&match argument.count {
                Count::One | Count::Repeated | Count::Rest => format!(" {}", argument.name),
                Count::Optional => format!(" [{}]", argument.name),
                // It stands with the groups, below.
                Count::Any => String::new(),
            });
        }
        let group = self.repeated();
        if group
            .iter()
            .any(|argument| matches!(argument.count, Count::Repeated | Count::Any))
        {
            let names: Vec<_> = group.iter().map(|argument| argument.name).collect();
            usage.push_str(&format!(" [{}]...", names.join(" ")));
        }
        usage
    }

    /// Whether it has that name, or that alias.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }

    /// Whether it changes anything.
    pub fn changes(&self) -> bool {
        self.effect != Effect::Reads
    }

    /// The report of one run of it, which begins here.
    pub fn report(&self, output: &Output, place: &Place) -> Report {
        output.report(self.name, self.columns, self.lists, place)
    }

    /// The arguments at the end that are repeated as a group.
    fn repeated(&self) -> &'static [Argument] {
        let once = self
            .arguments
            .iter()
            .take_while(|argument| matches!(argument.count, Count::One | Count::Optional))
            .count();
        &self.arguments[once..]
    }

    /// What the argument at `index` (from 0) is.
    pub fn argument(&self, index: usize) -> Option<&'static Argument> {
        let group = self.repeated();
        let once = self.arguments.len() - group.len();
        if index < once || group.is_empty() {
            self.arguments.get(index)
        } else {
            group.get((index - once) % group.len())
        }
    }

    /// Reads the words behind the command's name.
    ///
    /// Options are known only before the first plain word, and `--` ends them: behind it `-w` is a word (rights taken away) and so is
    /// `-bob` (a negative identifier). They are written `--partition P`, `--partition=P`, Tcl-style `-partition P`, or
    /// abbreviated.
    ///
    /// # Errors
    /// [`Error::Usage`] for an unknown option and for too few or too many words.
    pub fn read(&'static self, words: &[String]) -> Result<Input, Error> {
        let mut options = Vec::new();
        let mut rest = words.iter();
        let mut plain = Vec::new();
        while let Some(word) = rest.next() {
            if word == "--" {
                return self.accept(options, rest.cloned().collect());
            }
            if word.len() < 2 || !word.starts_with('-') {
                plain.push(word.clone());
                break;
            }
            let (name, attached) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            let flag = self.flag(name)?;
            let value = match (flag.value, attached) {
                (None, None) => String::new(),
                (None, Some(_)) => {
                    return Err(self.misuse(&format!("--{} takes no value", flag.name)));
                }
                (Some(_), Some(value)) => value,
                (Some(value), None) => rest.next().cloned().ok_or_else(|| {
                    self.misuse(&format!("missing {value} after --{}", flag.name))
                })?,
            };
            if let Some(name) = flag.value.filter(|_| value.is_empty()) {
                return Err(self.empty(&format!("{name} of --{}", flag.name)));
            }
            options.push((flag.name, value));
        }
        // cyradm drops a `--` behind the first word too: `sam shared -- -bob w`.
        let mut rest: Vec<String> = rest.cloned().collect();
        let end = rest.iter().position(|word| word == "--");
        for (index, word) in rest[..end.unwrap_or(rest.len())].iter().enumerate() {
            if let Some(option) = self.misplaced(word, index + 1) {
                return Err(self.misuse(&format!(
                    "the option {option} is after the arguments; put options first (and put -- before an argument that begins with a dash)"
                )));
            }
        }
        if let Some(at) = end {
            rest.remove(at);
        }
        plain.append(&mut rest);
        self.accept(options, plain)
    }

    /// The option that was meant by the word at `index` (from 0), behind the arguments, if it was.
    ///
    /// Rights may be taken away there (`sam shared bob -w`), and an identifier may be a negative one (`dam shared -bob`).
    fn misplaced<'a>(&self, word: &'a str, index: usize) -> Option<&'a str> {
        if !word.starts_with('-') {
            return None;
        }
        let name = word.split_once('=').map_or(word, |(name, _)| name);
        let letters = name.trim_start_matches('-');
        let written_out = name.starts_with("--") && letters.starts_with(char::is_alphabetic);
        let exact = |flag: &Flag| {
            flag.name == letters || flag.short.is_some_and(|short| letters == short.to_string())
        };
        let has = match self.argument(index).map(|argument| argument.kind) {
            Some(ArgumentKind::Rights) => false,
            Some(ArgumentKind::Identifier) => self.flags.iter().any(exact),
            _ => self.flag(name).is_ok(),
        };
        (written_out || has).then_some(name)
    }

    /// That the plain words are neither too few nor too many, and can be what the command takes.
    fn accept(
        &'static self,
        options: Vec<(&'static str, String)>,
        plain: Vec<String>,
    ) -> Result<Input, Error> {
        let least = self
            .arguments
            .iter()
            .filter(|argument| argument.is_needed())
            .count();
        if plain.len() < least {
            let missing = self
                .arguments
                .iter()
                .filter(|argument| argument.is_needed())
                .nth(plain.len());
            return Err(self.misuse(&format!(
                "missing {}",
                missing.map_or("words", |argument| argument.name)
            )));
        }
        let group = self.repeated().len();
        if group == 0 && plain.len() > self.arguments.len() {
            let extra = plain[self.arguments.len()].as_str();
            let extra = if self.takes_secrets() { "…" } else { extra };
            let hint = if extra.starts_with('-') {
                "options go before the arguments"
            } else {
                "put names with spaces in quotes"
            };
            return Err(self.misuse(&format!("unexpected argument {extra:?} ({hint})")));
        }
        let behind = plain.len().saturating_sub(self.arguments.len());
        if group > 1 && !behind.is_multiple_of(group) {
            let last = plain.last().map_or("", String::as_str);
            let lacking = self
                .argument(plain.len())
                .map_or("words", |argument| argument.name);
            return Err(self.misuse(&format!("missing {lacking} after {last:?}")));
        }
        for (index, word) in plain.iter().enumerate() {
            let Some(argument) = self.argument(index) else {
                continue;
            };
            if word.is_empty() && !argument.kind.may_be_empty() {
                return Err(self.empty(argument.name));
            }
            argument.kind.check(word)?;
        }
        let input = Input {
            command: self,
            options,
            words: plain,
        };
        input.check_reach()?;
        (self.check)(&input)?;
        Ok(input)
    }

    /// A word is there, and nothing is in it.
    fn empty(&self, name: &str) -> Error {
        self.misuse(&format!("empty {name}; perhaps a variable was not set"))
    }

    /// Whether an option of it takes a secret.
    pub fn takes_secrets(&self) -> bool {
        self.flags.iter().any(|flag| flag.secret)
    }

    /// The options that a word could name: the one with that letter or that name, or else all whose name begins so.
    pub fn fitting(&self, word: &str) -> impl Iterator<Item = &'static Flag> + use<> {
        let word = word.split_once('=').map_or(word, |(name, _)| name);
        let name = word.trim_start_matches('-').to_owned();
        let mut letters = name.chars();
        let letter = match (letters.next(), letters.next(), word.starts_with("--")) {
            (Some(letter), None, false) => Some(letter),
            _ => None,
        };
        let is_named = move |flag: &Flag| {
            (letter.is_some() && flag.short == letter) || flag.name == name.as_str()
        };
        let exact = self.flags.iter().find(|flag| is_named(flag));
        let name = word.trim_start_matches('-').to_owned();
        let begins =
            move |flag: &&Flag| exact.is_none() && !name.is_empty() && flag.name.starts_with(&name);
        exact.into_iter().chain(self.flags.iter().filter(begins))
    }

    /// The option that a word names, also when abbreviated.
    pub fn flag(&self, word: &str) -> Result<&'static Flag, Error> {
        let mut fitting = self.fitting(word);
        // `-wSECRET` has no blank where it should, and is not repeated.
        let word = match word.char_indices().nth(2) {
            Some((end, _)) if self.takes_secrets() && !word.starts_with("--") => {
                format!("{}…", &word[..end])
            }
            _ => word.to_owned(),
        };
        match (fitting.next(), fitting.next()) {
            (Some(flag), None) => Ok(flag),
            (Some(first), Some(_)) => Err(self.misuse(&format!(
                "{word} is ambiguous: it could be --{} or another option; write it in full",
                first.name
            ))),
            (None, _) => Err(self.misuse(&format!(
                "unknown option {word} (put -- before an argument that begins with a dash)"
            ))),
        }
    }

    /// The words do not fit the command.
    pub fn misuse(&self, why: &str) -> Error {
        Error::Usage(format!("{why}; usage: {}", self.usage()))
    }
}

/// A command's words, read.
#[derive(Clone)]
pub struct Input {
    /// The command.
    pub command: &'static Command,
    options: Vec<(&'static str, String)>,
    words: Vec<String>,
}

/// Without its words, which may hold a secret.
impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Input({})", self.command.name)
    }
}

impl Input {
    /// The value of an option; the last one counts.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options
            .iter()
            .rev()
            .find(|(have, _)| *have == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether an option is there.
    pub fn has(&self, name: &str) -> bool {
        self.option(name).is_some()
    }

    /// The word at `index` (from 0).
    pub fn word(&self, index: usize) -> Option<&str> {
        self.words.get(index).map(String::as_str)
    }

    /// The words from `index` on.
    pub fn words_from(&self, index: usize) -> &[String] {
        self.words.get(index..).unwrap_or_default()
    }

    /// Whether it is for as many mailboxes as there may be: all that match a pattern, or all below one.
    pub fn is_many(&self) -> bool {
        // Where the word is left out, the selected mailbox is one.
        let anyone = || MailboxName::typed("INBOX");
        matches!(self.resolve(0, anyone), Ok(Scope::Many(_)))
    }

    /// Whether a script has to say `--yes` with it, and has not.
    pub fn needs_yes(&self) -> bool {
        self.command.effect == Effect::Destroys && self.is_many() && !self.has("yes")
    }

    /// What the word at `index` stands for.
    ///
    /// # Errors
    /// It is left out and nothing is selected.
    pub fn scope(&self, index: usize, shell: &Shell) -> Result<Scope, Error> {
        self.resolve(index, || shell.selected_mailbox())
    }

    /// What the first word stands for, whatever is selected.
    ///
    /// # Errors
    /// It is left out.
    pub fn named_scope(&self) -> Result<Scope, Error> {
        self.resolve(0, || Err(Error::NothingSelected))
    }

    /// The one name that the word at `index` stands for.
    ///
    /// # Errors
    /// As [`scope`](Self::scope).
    pub fn mailbox(&self, index: usize, shell: &Shell) -> Result<MailboxName, Error> {
        Ok(match self.scope(index, shell)? {
            Scope::One(name) => name,
            Scope::Many(reach) => reach.name().clone(),
        })
    }

    fn resolve(
        &self,
        index: usize,
        selected: impl FnOnce() -> Result<MailboxName, Error>,
    ) -> Result<Scope, Error> {
        let kind = self
            .command
            .argument(index)
            .map_or(ArgumentKind::Text, |argument| argument.kind);
        let scope = kind.resolve(self.word(index), selected)?;
        Ok(match scope {
            Scope::One(root) if self.has("recursive") && !root.wire().is_empty() => {
                Scope::Many(Reach::Subtree(root))
            }
            scope => scope,
        })
    }

    /// Checks that `--recursive` is not said of a pattern.
    fn check_reach(&self) -> Result<(), Error> {
        let anyone = || MailboxName::typed("INBOX");
        match self.has("recursive").then(|| self.resolve(0, anyone)) {
            Some(Ok(Scope::Many(Reach::Pattern(_)))) => Err(self.command.misuse(
                "--recursive takes one mailbox and includes all mailboxes below it; it cannot be combined with a pattern such as user.*",
            )),
            _ => Ok(()),
        }
    }
}
