//! The shell: a line becomes words (`words`), a command (`read`, `table`), a report.
//!
//! Lives here: [`Shell`], which the commands work on. Not here: how it connects (`connect`), sockets and protocol (the library), and
//! how a report looks (`report`).

pub mod advice;
mod ask;
pub mod command;
pub mod commands;
mod complete;
mod connect;
pub mod editor;
mod entry;
pub mod leftover;
mod meaning;
mod read;
pub mod runner;
pub mod script;
mod secret;
pub mod status;
mod summary;
mod table;
pub mod topics;
mod trace;
mod words;

use std::path::PathBuf;

use imapadm::admin::quota::QuotasRead;
use imapadm::net::Interrupt;
use imapadm::session::MailboxName;
use imapadm::{Error, Session};
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::{self, Config, Origin, Profile, Recipient, Stack};
use crate::report::complain;
use crate::report::escape::escape;
use command::Command;
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
    /// Every command, in the order of `help`.
    pub commands: &'static [&'static Command],
    /// Whether the user has asked to leave, and with which exit status if one was named.
    pub quit: Option<Option<u8>>,
    /// The password of the last login, so that it is known when it is typed in the wrong place.
    password: Option<SecretString>,
    /// Mailbox names for completion.
    cache: Cache,
    /// Limits of quota roots that a script is about to change.
    quotas: QuotasRead,
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
            commands: table::ALL,
            quit: None,
            password: None,
            cache: Cache::default(),
            quotas: QuotasRead::default(),
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
