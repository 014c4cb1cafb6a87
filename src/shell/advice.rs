//! What an error and its advice say to a person at this shell: the library names no commands and no options, this does.

use std::borrow::Cow;

use imapadm::{Advice, Error};
use shell_words::quote;

/// An error in full: what happened, and what to do next.
pub fn message(error: &Error) -> String {
    let what = error.to_string();
    let Some(next) = error.advice().as_ref().and_then(words) else {
        return what;
    };
    let what = what.trim_end();
    // A server's words are a sentence of their own.
    let is_sentence = is_refusal(error) || what.ends_with(['!', '?']);
    let what = what.trim_end_matches(['.', ',', ';', ':', ' ']);
    if !is_sentence {
        return format!("{what}; {next}");
    }
    let stop = if what.ends_with(['!', '?']) { "" } else { "." };
    let mut letters = next.chars();
    let first: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    format!("{what}{stop} {first}{}", letters.as_str())
}

/// Whether the text ends in a server's words.
fn is_refusal(error: &Error) -> bool {
    match error {
        Error::Refused(_) => true,
        Error::Several { first, .. } => is_refusal(first),
        _ => false,
    }
}

/// What to do next, in a sentence that begins with a small letter.
fn words(advice: &Advice) -> Option<Cow<'static, str>> {
    Some(match advice {
        Advice::LookForName => {
            "look for its exact name with listmailbox, or you may not be allowed to see it (right l)".into()
        }
        Advice::LookForNameOrRoot => {
            "look for the exact name with listmailbox or listquotaroot".into()
        }
        Advice::LookForQuotaRoot => "see the quota roots of a mailbox with listquotaroot".into(),
        Advice::LookAtMailbox => "it is there already; look at it with listmailbox".into(),
        Advice::ChooseFreeName { or_partition: false } => "choose a name that is free".into(),
        Advice::ChooseFreeName { or_partition: true } => {
            "choose a name that is free, or a partition where it is not yet".into()
        }
        Advice::AvoidSpecialCharacters => {
            "the server does not allow this name: avoid its separator, wildcards, quotes and backslashes".into()
        }
        Advice::WriteSeparator { separator, meant } => {
            format!("the separator here is {separator} ; did you mean {meant}?").into()
        }
        Advice::WriteNamePlainly => {
            "leave out a separator at the end and empty levels of the hierarchy".into()
        }
        Advice::AvoidWildcards => {
            "it takes * and % in a mailbox's name for wildcards: look for the exact name with listmailbox".into()
        }
        Advice::CreateFirst { mailbox, dotted: None } => {
            format!("the mailbox {mailbox} does not exist; create it first").into()
        }
        Advice::CreateFirst { mailbox, dotted: Some(dotted) } => format!(
            "the mailbox {mailbox} does not exist; create it first, or write a dot in a user name as ^: {dotted}"
        )
        .into(),
        Advice::NameKept { first, more, pattern } => {
            let kept = first.join(", ");
            let more = match more {
                0 => String::new(),
                more => format!(" and {more} more: listmailbox '{pattern}'"),
            };
            format!(
                "there is no such mailbox: the time when it was deleted stands behind its name. Kept are {kept}{more}"
            )
            .into()
        }
        Advice::NothingKept { below, pattern } => {
            format!("nothing is kept below {below}; see what is with: listmailbox '{pattern}'").into()
        }
        Advice::NamePartition => {
            "name a partition that the server has (partition-NAME in its imapd.conf), or quote a name with spaces".into()
        }
        Advice::RenameThenMove => {
            "Cyrus moves to a partition only under the same name: rename and move in two steps".into()
        }
        Advice::AllowUserMoves => {
            "Cyrus renames users only with allowusermoves: yes in its imapd.conf".into()
        }
        Advice::DeleteChildrenToo => {
            "it has mailboxes below it: deletemailbox --recursive deletes them too".into()
        }
        Advice::NameSeparator => {
            "the server does not tell its hierarchy separator; start imapadm with --separator, as in --separator /".into()
        }
        Advice::CheckRightsOrSeparator => {
            "you may not be allowed to see them (right l), or the separator is another one (--separator)".into()
        }
        Advice::CheckSelectable => "is it a mailbox that can be selected?".into(),
        Advice::NameFewerMailboxes => "connect again and name fewer mailboxes".into(),
        Advice::NeedRight { right, mailbox, or_unknown_entry } => {
            let on = mailbox.as_deref().unwrap_or("it");
            let or = if *or_unknown_entry {
                "; Cyrus also says so of an entry that it does not know, or that only an administrator may set"
            } else {
                ""
            };
            format!("you need the right {} on {on}; see yours with myrights{or}", named(*right)).into()
        }
        Advice::TakeRight { right, mailbox, user } => {
            let (mailbox, user) = (quote(mailbox), quote(user.as_deref().unwrap_or("YOU")));
            format!(
                "you need the right {} on it; an administrator can take it: setacl {mailbox} {user} +{right}",
                named(*right)
            )
            .into()
        }
        Advice::NeedRightToCreate => {
            "you need the right k (create mailboxes) on its parent, or to be an administrator there".into()
        }
        Advice::NeedRightsToRename => {
            "you need the right x on the mailbox and k on the new parent".into()
        }
        Advice::SeeRights => "see which rights the server has with listrights".into(),
        Advice::LogInAsAdministrator { or_owner: false } => {
            "only an administrator of the server may do this: log in as one".into()
        }
        Advice::LogInAsAdministrator { or_owner: true } => {
            "log in as an administrator, or as the mailbox's owner".into()
        }
        Advice::SeeResources => {
            "the server does not know this resource; see which it has with listquota and capability".into()
        }
        Advice::SetWithoutReading => {
            "the limits there are could not be read, so nothing was changed; setquota --only sets the new ones without reading, and Cyrus \
             then removes the others"
                .into()
        }
        Advice::GiveLimitItself => "give the new limit itself".into(),
        Advice::AskRootItself => "ask about the root itself with listquota".into(),
        Advice::NameMetadataEntry => {
            "write the entry as in /shared/comment or /private/comment".into()
        }
        Advice::SetServerEntryAsAdministrator => {
            "only an administrator may change what the server shows to all, and Cyrus has no other entries than its own \
             (motd, comment, admin, shutdown, expire, squat)"
                .into()
        }
        Advice::UseAnotherEntry => {
            "the server keeps this entry to itself; another one, or the same under /private, may do".into()
        }
        Advice::UseSharedEntry => {
            "the server has no private entries here; put it under /shared".into()
        }
        Advice::RemoveEntry => {
            "the server takes no more entries here; remove one first, with setmetadata and the value none".into()
        }
        Advice::ShortenValue { most } => {
            format!("the server takes values of at most {most} bytes; shorten it").into()
        }
        Advice::EnableMetadata { of_server } => format!(
            "whoever runs the server must give it a place to keep the metadata of {} in (mail_attribute_dict)",
            if *of_server { "the server" } else { "mailboxes" }
        )
        .into(),
        Advice::Connect => "connect with: connect SERVER".into(),
        Advice::LogIn => "log in with: authenticate USER".into(),
        Advice::ConnectAgain => "connect again".into(),
        Advice::ConnectAgainAndRepeat => "connect again and repeat it".into(),
        Advice::ConnectAgainAndLook => "connect again and look before repeating it".into(),
        Advice::ConnectAfterBye { bye } => format!(
            "the server has ended the session, saying: {}; connect again",
            bye.trim_end_matches(['.', ' '])
        )
        .into(),
        Advice::Look => "look before repeating it".into(),
        Advice::RepeatForTheRest { connect, look } => {
            let connect = if *connect { "connect again and " } else { "" };
            let then = if *look {
                "look before repeating it"
            } else {
                "repeat it for those that were not done"
            };
            format!("{connect}{then}").into()
        }
        Advice::CheckHostAndPort => "check the host and the port".into(),
        Advice::ConnectTo { host: None, .. } => {
            "this user belongs to another server; connect to that one".into()
        }
        Advice::ConnectTo { host: Some(host), for_user: true } => {
            format!("this user's server is {host}; connect to that one").into()
        }
        Advice::ConnectTo { host: Some(host), for_user: false } => {
            format!("the mailbox is on {host}; connect to that server").into()
        }
        Advice::TryAgain => "try it once more".into(),
        Advice::TryLater => "wait and try again".into(),
        Advice::AskAlone => "ask for this one by itself".into(),
        Advice::SelectMailbox => "select it first with: select MAILBOX".into(),
        Advice::SeeCapabilities => "see what it offers with: capability".into(),
        Advice::ReportReply => "report it with the server's name and version".into(),
        Advice::CheckPassword => "check the user and the password".into(),
        Advice::CheckPasswordOrMechanism => {
            "check the user and the password; a server that keeps passwords hashed in another way may need --auth PLAIN".into()
        }
        Advice::CheckToken => "check the user and the token, which may have expired".into(),
        Advice::CheckCertificate => {
            "check the client certificate and whom the server takes it for".into()
        }
        Advice::CheckTicket => "check whose ticket it is, with klist".into(),
        Advice::LogInAsUser => "log in as somebody".into(),
        Advice::ChooseMechanism { mechanism } => format!(
            "it does not take {mechanism}, whatever it offers; choose another mechanism with --auth"
        )
        .into(),
        Advice::TryLoginLater => {
            "the server can't check anybody now, so this says nothing about user or password; try again later".into()
        }
        Advice::CheckAuthorization => {
            "the password is right, but this user may not act as the other one; check --authz, or the server's list of administrators".into()
        }
        Advice::RenewPassword => {
            "the password has expired; set a new one, then log in with that".into()
        }
        Advice::UseTls => "the server wants TLS first; connect without --notls, or with --tls".into(),
        Advice::AskAdministrator => "ask the server's administrator".into(),
        Advice::AskForLogin => {
            "this user may not log in here; ask the server's administrator".into()
        }
        Advice::ReportToAdministrator => {
            "it is a fault of the server; report it to its administrator".into()
        }
        Advice::CloseConnections => {
            "a limit of the server is reached; close other connections, or wait and try again".into()
        }
        Advice::WaitForLogin => {
            "something that the login needs is in use; wait and try again".into()
        }
        Advice::WaitOrAsk => "wait and try again, or ask whoever runs it".into(),
        Advice::LogInWithBrowser { at_address: false } => {
            "log in with a web browser once, as the server asks".into()
        }
        Advice::LogInWithBrowser { at_address: true } => {
            "open that address in a web browser and do what it asks, then try again".into()
        }
        _ => return None,
    })
}

/// A right's letter and its meaning (RFC 4314 section 2.1).
fn named(right: char) -> Cow<'static, str> {
    match right {
        'r' => "r (read)".into(),
        'w' => "w (write flags)".into(),
        'x' => "x (delete mailbox)".into(),
        'e' => "e (expunge)".into(),
        'a' => "a (administer)".into(),
        other => other.to_string().into(),
    }
}
