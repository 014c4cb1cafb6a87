//! The command language: what a command is, and how its words are read.
//!
//! One table of these ([`super::commands::ALL`]) is what parsing, help and completion come from. Not here: the commands.

use imapadm::Error;
use imapadm::session::{MailboxName, RAW};

use super::Shell;
use super::words::may_hold_secret;
use crate::report::Report;

/// What an argument is, for completion and help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An existing mailbox.
    Mailbox,
    /// A LIST pattern.
    Pattern,
    /// An ACL identifier.
    Identifier,
    /// ACL rights.
    Rights,
    /// A quota root.
    Root,
    /// A server that the configuration names, or any other.
    Server,
    /// A metadata entry.
    Entry,
    /// A command of the shell.
    Command,
    /// Anything else.
    Word,
}

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
    pub kind: Kind,
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
}

/// How a command may stand beside others that are in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// It only reads: it may be sent ahead of others' answers.
    Reads,
    /// It changes something: in a script that stops at a failure, it waits for all before it, and all behind it for it.
    Changes,
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
    /// How it may stand beside others.
    pub flow: Flow,
    /// Starts it; nothing is reported yet.
    pub start: fn(&mut Shell, &Input) -> Result<Step, Error>,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Command({})", self.name)
    }
}

impl Command {
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
                return self.check(options, rest.cloned().collect());
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
                (Some(value), None) => rest
                    .next()
                    .cloned()
                    .ok_or_else(|| self.misuse(&format!("--{} needs its {value}", flag.name)))?,
            };
            options.push((flag.name, value));
        }
        // cyradm drops a `--` behind the first word too: `sam shared -- -bob w`.
        let mut rest: Vec<String> = rest.cloned().collect();
        if let Some(at) = rest.iter().position(|word| word == "--") {
            rest.remove(at);
        }
        plain.append(&mut rest);
        self.check(options, plain)
    }

    /// That the plain words are neither too few nor too many.
    fn check(
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
                "it lacks its {}",
                missing.map_or("words", |argument| argument.name)
            )));
        }
        let group = self.repeated().len();
        if group == 0 && plain.len() > self.arguments.len() {
            let extra = plain[self.arguments.len()].as_str();
            let line = [self.name, &plain.join(" ")].join(" ");
            let extra = if may_hold_secret(extra) || may_hold_secret(&line) {
                "…"
            } else {
                extra
            };
            let hint = if extra.starts_with('-') {
                "options stand in front"
            } else {
                "names with spaces need quotes"
            };
            return Err(self.misuse(&format!("{extra:?} is one word too many ({hint})")));
        }
        let behind = plain.len().saturating_sub(self.arguments.len());
        if group > 1 && !behind.is_multiple_of(group) {
            let last = plain.last().map_or("", String::as_str);
            let lacking = self
                .argument(plain.len())
                .map_or("words", |argument| argument.name);
            return Err(self.misuse(&format!("{last:?} lacks its {lacking}")));
        }
        Ok(Input {
            command: self,
            options,
            words: plain,
        })
    }

    /// The option that a word names, also when abbreviated.
    pub fn flag(&self, word: &str) -> Result<&'static Flag, Error> {
        let name = word.trim_start_matches('-');
        let mut letters = name.chars();
        if let (Some(letter), None, false) =
            (letters.next(), letters.next(), word.starts_with("--"))
            && let Some(flag) = self.flags.iter().find(|flag| flag.short == Some(letter))
        {
            return Ok(flag);
        }
        let mut fitting = self
            .flags
            .iter()
            .filter(|flag| !name.is_empty() && flag.name.starts_with(name));
        match (fitting.next(), fitting.next()) {
            (Some(flag), None) => Ok(flag),
            (Some(first), Some(_)) => {
                self.flags
                    .iter()
                    .find(|flag| flag.name == name)
                    .ok_or_else(|| {
                        self.misuse(&format!(
                            "{word} could be --{} or another option; write it out",
                            first.name
                        ))
                    })
            }
            (None, _) => Err(self.misuse(&format!(
                "it has no option {word} (write -- before a word that begins with a dash)"
            ))),
        }
    }

    /// The words do not fit the command.
    pub fn misuse(&self, why: &str) -> Error {
        Error::Usage(format!("{why}; usage: {}", self.usage()))
    }
}

/// A command's words, read.
#[derive(Debug, Clone)]
pub struct Input {
    /// The command.
    pub command: &'static Command,
    options: Vec<(&'static str, String)>,
    words: Vec<String>,
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

    /// The mailbox that the word at `index` names, or the selected one where the word is left out.
    ///
    /// # Errors
    /// It can't be a name, or nothing is selected.
    pub fn mailbox(&self, index: usize, shell: &Shell) -> Result<MailboxName, Error> {
        match self.word(index) {
            Some(word) => MailboxName::typed(word),
            None if shell.session.is_none() => Err(Error::NotConnected),
            None => shell.selected().cloned().ok_or(Error::NothingSelected),
        }
    }

    /// The name of a mailbox that is to be made. One with a wildcard could never be named again without being a pattern, so that is mostly a
    /// mistake; who means it writes [`RAW`] in front.
    ///
    /// # Errors
    /// It can't be a name, or holds a wildcard.
    pub fn new_mailbox(&self, index: usize, shell: &Shell) -> Result<MailboxName, Error> {
        if let Some(word) = self.word(index)
            && word.contains(['*', '%'])
            && !word.starts_with(RAW)
        {
            return Err(Error::Usage(format!(
                "{word:?} holds a wildcard (* or %), so every other command would take it for a pattern; choose another name, or write {} if \
                 you mean it",
                shell_words::quote(&MailboxName::typed(word)?.to_string())
            )));
        }
        self.mailbox(index, shell)
    }
}
