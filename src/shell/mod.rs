//! The shell: a line becomes words, a command, a report.
//!
//! Lives here: [`Shell`], which the commands work on, and how one command is found and read. Not here: how it connects (`connect`),
//! sockets and protocol (the library), and how a report looks (`report`).

pub mod advice;
mod ask;
pub mod command;
pub mod commands;
mod complete;
mod connect;
pub mod editor;
pub mod leftover;
mod meaning;
pub mod runner;
pub mod script;
mod secret;
pub mod status;
mod summary;
pub mod topics;
mod trace;
mod words;

use std::path::PathBuf;

use imapadm::net::Interrupt;
use imapadm::session::MailboxName;
use imapadm::{Error, Session};
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::{self, Config, Origin, Profile, Recipient, Stack};
use crate::report::complain;
use crate::report::escape::escape;
use command::{Command, Input};
use complete::Cache;
use secret::may_hold_secret;

/// What the program was started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What the command line says of connections.
    pub command_line: Profile,
    /// What is said of the server that the program was started with, if it was.
    pub started: Option<Stack>,
    /// The configuration file.
    pub config: Config,
    /// Where the protocol is written to: a file, or `-` for stderr.
    pub trace: Option<PathBuf>,
    /// Raised by Ctrl-C.
    pub interrupt: Interrupt,
    /// Whether somebody is there to be asked; a script never is.
    pub interactive: bool,
    /// Whether a script may destroy many mailboxes with one command without saying so there.
    pub yes: bool,
    /// Whether commands are sent before those before them are answered.
    pub pipeline: bool,
}

impl Settings {
    /// All that is said of a connection that is made by a command.
    pub fn inside(&self, options: Profile, server: (Origin, Profile)) -> Stack {
        config::inside(
            options,
            server,
            self.command_line.clone(),
            self.started.as_ref(),
            &self.config,
        )
    }
}

/// What the commands work on: the session, and how to make another.
pub struct Shell {
    /// The session, while there is one.
    pub session: Option<Session>,
    /// What every connection is made with.
    pub settings: Settings,
    /// Whether the user has asked to leave, and with which exit status if one was named.
    pub quit: Option<Option<u8>>,
    /// The password of the last login, so that it is known when it is typed in the wrong place.
    password: Option<SecretString>,
    /// Mailbox names for completion.
    cache: Cache,
    /// What was said of the last connection.
    last: Option<Stack>,
    /// The first server that was logged in to, and its user.
    recipient: Option<Recipient>,
}

impl Shell {
    /// A shell that is not connected.
    pub fn new(settings: Settings) -> Self {
        Self {
            session: None,
            settings,
            quit: None,
            password: None,
            cache: Cache::default(),
            last: None,
            recipient: None,
        }
    }

    /// All that is said of a connection that is made by a command, and whom the secrets of the program's start are for.
    pub fn inside(&self, options: Profile, server: (Origin, Profile)) -> Stack {
        let stack = self.settings.inside(options, server);
        stack.with_secrets_for(self.recipient())
    }

    /// Whom the secrets of the command line and of the environment are for, as soon as that is settled: the server that the program was
    /// started with, or else the first one that was logged in to.
    fn recipient(&self) -> Option<Recipient> {
        let started = || self.settings.started.as_ref()?.recipient();
        self.recipient.clone().or_else(started)
    }

    /// The session, or an error that says how to get one.
    ///
    /// # Errors
    /// [`Error::NotConnected`].
    pub fn session(&mut self) -> Result<&mut Session, Error> {
        self.session.as_mut().ok_or(Error::NotConnected)
    }

    /// The selected mailbox.
    pub fn selected(&self) -> Option<&MailboxName> {
        self.session
            .as_ref()?
            .state()
            .selected()
            .map(|selected| &selected.mailbox)
    }

    /// The selected mailbox, or an error that says how to select one.
    ///
    /// # Errors
    /// [`Error::NotConnected`], [`Error::NothingSelected`].
    fn selected_mailbox(&self) -> Result<MailboxName, Error> {
        match self.selected() {
            Some(mailbox) => Ok(mailbox.clone()),
            None if self.session.is_none() => Err(Error::NotConnected),
            None => Err(Error::NothingSelected),
        }
    }

    /// Ends the session, if there is one.
    pub fn disconnect(&mut self) {
        self.cache = Cache::default();
        if let Some(mut session) = self.session.take() {
            session.logout();
        }
    }

    /// Whether a line may hold a password, also the one that was logged in with.
    fn may_hold_secret(&self, line: &str) -> bool {
        let own = self.password.as_ref().is_some_and(|password| {
            let password = password.expose_secret();
            line.trim() == password || line.split_whitespace().any(|word| word == password)
        });
        own || may_hold_secret(line)
    }

    /// Passes on what the server said unasked.
    fn pass_on_notices(&mut self) {
        let notices = self
            .session
            .as_mut()
            .map(|session| session.state_mut().take_notices().collect::<Vec<_>>());
        for notice in notices.into_iter().flatten() {
            complain(&if notice.from_server {
                format!("the server says {}", notice.text)
            } else {
                format!("warning: {}", notice.text)
            });
        }
    }

    /// Lets go of a session that is over, once nobody waits for any of its replies.
    fn let_go(&mut self) {
        if self
            .session
            .as_ref()
            .is_some_and(|session| !session.is_open())
        {
            self.session = None;
        }
    }

    /// What stands before the cursor: user, host and selected mailbox.
    fn prompt(&self) -> String {
        let Some(session) = &self.session else {
            return "imapadm> ".into();
        };
        let user = session
            .state()
            .user()
            .map(|user| format!("{user}@"))
            .unwrap_or_default();
        let host = session.options().address.host();
        let selected = self
            .selected()
            .map(|mailbox| format!(":{mailbox}"))
            .unwrap_or_default();
        escape(&format!("{user}{host}{selected}> ")).into_owned()
    }
}

/// Finds a command by name or alias and reads its words.
///
/// # Errors
/// [`Error::Usage`], naming the nearest command for one that does not exist.
pub fn read(words: &[String]) -> Result<Input, Error> {
    let Some((name, rest)) = words.split_first() else {
        return Err(Error::Usage("an empty command; see help".into()));
    };
    match find(name) {
        Some(command) => command.read(rest),
        None => Err(no_command(name)),
    }
}

/// The command that a word names.
pub fn find(name: &str) -> Option<&'static Command> {
    commands::ALL
        .iter()
        .copied()
        .find(|command| command.name == name || command.aliases.contains(&name))
}

/// There is no such command; perhaps the nearest one was meant.
fn no_command(name: &str) -> Error {
    let name = if may_hold_secret(name) { "…" } else { name };
    Error::Usage(match nearest(name) {
        Some(nearest) => {
            format!("there is no command {name:?}; did you mean {nearest}? help lists all")
        }
        None => format!("there is no command {name:?}; help lists all"),
    })
}

/// The command name or alias most like a word that is none.
fn nearest(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    commands::ALL
        .iter()
        .flat_map(|command| std::iter::once(command.name).chain(command.aliases.iter().copied()))
        .map(|name| (strsim::normalized_damerau_levenshtein(&word, name), name))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: &str) -> String {
        let parsed = words::split(line).unwrap().remove(0);
        read(&parsed.words)
            .map(|input| input.command.name)
            .unwrap_err()
            .to_string()
    }

    fn input(line: &str) -> Input {
        read(&words::split(line).unwrap().remove(0).words)
            .unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    #[test]
    fn options_come_in_every_style_and_only_before_the_first_word() {
        for line in [
            "cm --partition fast x",
            "cm -partition fast x",
            "cm -part fast x",
            "cm --partition=fast x",
            "cm --p=fast -- x",
        ] {
            let input = input(line);
            assert_eq!(
                (input.option("partition"), input.word(0)),
                (Some("fast"), Some("x")),
                "{line}"
            );
        }
        assert_eq!(input("sam shared bob -w").word(2), Some("-w"));
        assert_eq!(input("sam shared -- -bob w").word(1), Some("-bob"));
        assert_eq!(input("dam -- -x -bob").word(1), Some("-bob"));
        assert!(input("dm -r x").has("recursive"));
        assert!(input("dm -rec x").has("recursive"));
    }

    #[test]
    fn misuse_says_what_is_wrong_and_how_it_goes() {
        assert!(
            error("cm").contains("lacks its MAILBOX; usage: createmailbox"),
            "{}",
            error("cm")
        );
        assert!(error("cm a b c").contains("one word too many"));
        assert!(error("cm --nonsense a").contains("no option --nonsense"));
        assert!(error("cm --partition").contains("needs its PARTITION"));
        assert!(error("dm --recursive=yes a").contains("takes no value"));
    }

    #[test]
    fn words_at_the_end_may_be_any_number() {
        for (line, words) in [
            ("getmd", 0),
            ("getmd user.bob", 1),
            ("getmd user.bob comment", 2),
            ("getmd --depth 1 user.bob comment /shared/x squat", 4),
        ] {
            assert_eq!(input(line).words_from(0).len(), words, "{line}");
        }
        let command = find("getmetadata").unwrap();
        assert_eq!(
            command.usage(),
            "getmetadata [--depth 0|1|infinity] [-r|--recursive] [MAILBOX|PATTERN] [ENTRY]..."
        );
        let name = |index| command.argument(index).map(|argument| argument.name);
        assert_eq!(
            [name(0), name(1), name(5)],
            [Some("MAILBOX|PATTERN"), Some("ENTRY"), Some("ENTRY")]
        );
        assert!(error("setmd user.bob comment").contains("lacks its VALUE"));
        assert!(error("setmd a comment b c").contains("one word too many"));
    }

    #[test]
    fn an_unknown_command_names_the_nearest() {
        assert!(error("craetemailbox x").contains("did you mean createmailbox?"));
        assert!(error("ls").contains("there is no command \"ls\""));
        assert!(error("rm -rf /").contains("there is no command"));
    }

    #[test]
    fn every_name_stands_once() {
        let mut names: Vec<_> = commands::ALL
            .iter()
            .flat_map(|c| c.aliases.iter().chain([&c.name]))
            .collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn who_changes_many_mailboxes_can_answer_beforehand_and_who_takes_many_can_take_all_below() {
        use meaning::ArgumentKind::{Mailboxes, MailboxesOrServer, Roots};
        for command in commands::ALL {
            let has = |name| command.flags.iter().any(|flag| flag.name == name);
            let many = command.argument(0).is_some_and(|argument| {
                matches!(argument.kind, Mailboxes | MailboxesOrServer | Roots)
            });
            assert_eq!(has("recursive"), many, "{}", command.name);
            let asks = command.changes() && (many || command.effect == command::Effect::Destroys);
            assert_eq!(has("yes"), asks, "{}", command.name);
        }
    }

    #[test]
    fn what_a_script_may_not_destroy_unasked_needs_yes() {
        for (line, needs) in [
            ("dm user.*", true),
            ("dm -r user.bob", true),
            ("dm -r -y user.bob", false),
            ("dm user.bob", false),
            ("dm wire:user.*", false),
            ("sam user.* bob lrs", false),
            ("expunge", false),
        ] {
            assert_eq!(input(line).needs_yes(), needs, "{line}");
        }
        assert!(error("dm -r user.*").contains("--recursive is for one mailbox"));
    }
}
