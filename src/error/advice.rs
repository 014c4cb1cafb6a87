//! What to do about an error, as a value: a program puts it into its own words.

/// What to do next about an [`Error`](crate::Error).
///
/// It names IMAP's things, not any program's commands. Names of mailboxes are as [`MailboxName`](crate::MailboxName) shows them, so they
/// are safe on a terminal; hosts and the server's words are untrusted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    // Names of mailboxes and quota roots.
    /// Look for the exact name of the mailbox. The user may also not be allowed to see it (right l, RFC 4314).
    LookForName,
    /// Look for the exact name of the mailbox or quota root.
    LookForNameOrRoot,
    /// Look for the mailbox's quota roots.
    LookForQuotaRoot,
    /// Look at the mailbox, which exists already.
    LookAtMailbox,
    /// Choose a name that is free; on a server with partitions, a partition where it is free will do too.
    ChooseFreeName {
        /// Whether a partition was named.
        or_partition: bool,
    },
    /// Leave the separator, wildcards, quotes and backslashes out of the name.
    AvoidSpecialCharacters,
    /// The separator is another character than the name was written with.
    WriteSeparator {
        /// The hierarchy separator.
        separator: char,
        /// The name that was probably meant.
        meant: String,
    },
    /// Leave out a separator at the end and empty levels of the hierarchy, or look for it with another user (right l).
    WriteNamePlainly,
    /// The server takes `*` and `%` in the name for wildcards: look for the exact name.
    AvoidWildcards,
    /// Create this mailbox first, the root of a user's mailboxes on Cyrus.
    CreateFirst {
        /// The user's root mailbox.
        mailbox: String,
        /// The name with the dots of the user's name written as `^`, where it may have been meant so.
        dotted: Option<String>,
    },
    /// A deleted mailbox is kept under its name and the time of its deletion (Cyrus). These are kept.
    NameKept {
        /// The first of them.
        first: Vec<String>,
        /// How many more there are.
        more: usize,
        /// The pattern that matches all of them.
        pattern: String,
    },
    /// No deleted mailbox is kept below this name; the pattern matches all that are kept.
    NothingKept {
        /// The name.
        below: String,
        /// The pattern that matches all deleted mailboxes.
        pattern: String,
    },
    /// Name a partition that the server has.
    NamePartition,
    /// Cyrus moves a mailbox to another partition only under its own name: rename it and move it in two steps.
    RenameThenMove,
    /// Cyrus renames users only with `allowusermoves: yes` in its configuration.
    AllowUserMoves,
    /// Delete the mailboxes below it too.
    DeleteChildrenToo,
    /// Name the hierarchy separator: the server does not tell it.
    NameSeparator,
    /// The mailboxes below it can't be seen (right l), or the separator is another one.
    CheckRightsOrSeparator,
    /// Check that the mailbox can be selected.
    CheckSelectable,
    /// Name fewer mailboxes at a time. The connection has ended.
    NameFewerMailboxes,

    // Rights (RFC 4314).
    /// The user needs a right on the mailbox.
    NeedRight {
        /// The right's letter.
        right: char,
        /// The mailbox, where it is known.
        mailbox: Option<String>,
        /// Whether Cyrus also refuses an entry so that it does not know, or that only an administrator may set.
        or_unknown_entry: bool,
    },
    /// The user needs a right on the mailbox, and an administrator can grant it to himself.
    TakeRight {
        /// The right's letter.
        right: char,
        /// The mailbox.
        mailbox: String,
        /// Who is logged in, where it is known.
        user: Option<String>,
    },
    /// The user needs the right k (create mailboxes) on the parent, or has to be an administrator.
    NeedRightToCreate,
    /// The user needs the right x on the mailbox and k on the new parent.
    NeedRightsToRename,
    /// See which rights the server has.
    SeeRights,
    /// Log in as an administrator of the server.
    LogInAsAdministrator {
        /// Whether the mailbox's owner may do it too.
        or_owner: bool,
    },

    // Quotas and metadata.
    /// See which quota resources the server has.
    SeeResources,
    /// The limits there are could not be read, so nothing was changed. Set the new ones alone; Cyrus then removes the others.
    SetWithoutReading,
    /// Give the new limit itself, not a change to one that is not known.
    GiveLimitItself,
    /// Ask about the quota root itself.
    AskRootItself,
    /// Begin the entry's name with `/shared/` or `/private/` (RFC 5464).
    NameMetadataEntry,
    /// Only an administrator may set the server's shared entries, and Cyrus has only its own.
    SetServerEntryAsAdministrator,
    /// Use another entry, or the same one below `/private`.
    UseAnotherEntry,
    /// Use an entry below `/shared`: the server has no private ones.
    UseSharedEntry,
    /// Remove an entry first: the server keeps no more of them.
    RemoveEntry,
    /// Shorten the value.
    ShortenValue {
        /// The most bytes that the server takes.
        most: u64,
    },
    /// The server's administrator must give it a place to keep metadata (Dovecot's `mail_attribute_dict`).
    EnableMetadata {
        /// Whether it is the server's own metadata and not that of mailboxes.
        of_server: bool,
    },

    // The connection.
    /// Connect first.
    Connect,
    /// Log in first.
    LogIn,
    /// Connect again.
    ConnectAgain,
    /// Connect again and repeat the command: it changed nothing.
    ConnectAgainAndRepeat,
    /// Connect again and look whether it was done before repeating it.
    ConnectAgainAndLook,
    /// The server has ended the session, with these words; connect again.
    ConnectAfterBye {
        /// The words of its BYE. Untrusted.
        bye: String,
    },
    /// Look whether it was done before repeating it.
    Look,
    /// Repeat it for the mailboxes for which it was not done.
    RepeatForTheRest {
        /// Whether the connection has to be made again.
        connect: bool,
        /// Whether of some it is unknown whether they were done.
        look: bool,
    },
    /// Check the host and the port.
    CheckHostAndPort,
    /// What is asked for is on another server.
    ConnectTo {
        /// Its host, with a port where there is one; `None` where the server did not say. Untrusted.
        host: Option<String>,
        /// Whether it is the user that belongs there, and not the mailbox.
        for_user: bool,
    },
    /// Try it once more.
    TryAgain,
    /// Wait and try again.
    TryLater,
    /// Ask for this one by itself.
    AskAlone,
    /// Select a mailbox first.
    SelectMailbox,
    /// See which extensions the server offers.
    SeeCapabilities,
    /// Report it, with the server's name and version.
    ReportReply,

    // Logging in.
    /// Check the user and the password.
    CheckPassword,
    /// Check the user and the password. A server that keeps passwords hashed in another way needs a mechanism such as PLAIN.
    CheckPasswordOrMechanism,
    /// Check the user and the token, which may have expired.
    CheckToken,
    /// Check the client certificate, and for which user the server takes it.
    CheckCertificate,
    /// Check whose Kerberos ticket it is.
    CheckTicket,
    /// Log in as a user, not anonymously.
    LogInAsUser,
    /// Choose another mechanism: the server does not take this one, whatever it offers.
    ChooseMechanism {
        /// The mechanism.
        mechanism: &'static str,
    },
    /// The server can't check anybody now, which says nothing about user and password: try again later.
    TryLoginLater,
    /// The password is right. Check whom the user may act as.
    CheckAuthorization,
    /// Set a new password: this one has expired.
    RenewPassword,
    /// Use TLS: the server wants it before the login.
    UseTls,
    /// Ask the server's administrator.
    AskAdministrator,
    /// Ask the server's administrator: this user may not log in.
    AskForLogin,
    /// Report it to the server's administrator: the server has a bug.
    ReportToAdministrator,
    /// A limit of the server is reached: close other connections, or wait.
    CloseConnections,
    /// Something that the login needs is in use: wait and try again.
    WaitForLogin,
    /// Wait and try again, or ask the server's administrator.
    WaitOrAsk,
    /// Log in with a web browser first.
    LogInWithBrowser {
        /// Whether the server names the address to open.
        at_address: bool,
    },
}
