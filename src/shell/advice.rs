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
            "find its exact name with listmailbox; if it is not listed, you may lack the right l (lookup) on it".into()
        }
        Advice::LookForNameOrRoot => {
            "find the exact name with listmailbox or listquotaroot".into()
        }
        Advice::LookForQuotaRoot => "see the quota roots of a mailbox with listquotaroot".into(),
        Advice::LookAtMailbox => "see it with listmailbox".into(),
        Advice::ChooseFreeName { or_partition: false } => "choose a name that is not in use".into(),
        Advice::ChooseFreeName { or_partition: true } => {
            "choose a name that is not in use, or another partition".into()
        }
        Advice::AvoidSpecialCharacters => {
            "the server does not allow this name: avoid its separator, wildcards, quotes and backslashes".into()
        }
        Advice::WriteSeparator { separator, meant } => {
            format!("the separator here is {separator} ; did you mean {meant}?").into()
        }
        Advice::WriteNamePlainly => {
            "remove empty hierarchy levels and any separator at the end".into()
        }
        Advice::AvoidWildcards => {
            "it treats * and % in a mailbox name as wildcards; find the exact name with listmailbox".into()
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
                "no such mailbox: the deletion time is part of the name. Kept mailboxes: {kept}{more}"
            )
            .into()
        }
        Advice::NothingKept { below, pattern } => {
            format!("nothing is kept below {below}; to see what is kept: listmailbox '{pattern}'").into()
        }
        Advice::NamePartition => {
            "use a partition that the server has (partition-NAME in its imapd.conf); put names with spaces in quotes".into()
        }
        Advice::RenameThenMove => {
            "Cyrus moves a mailbox to a partition only under the same name; rename and move in two steps".into()
        }
        Advice::AllowUserMoves => {
            "Cyrus renames a user only if its imapd.conf has allowusermoves: yes".into()
        }
        Advice::DeleteChildrenToo => {
            "it has mailboxes below it: deletemailbox --recursive deletes them too".into()
        }
        Advice::NameSeparator => {
            "the server does not report its hierarchy separator; start imapadm with --separator, as in --separator /".into()
        }
        Advice::CheckRightsOrSeparator => {
            "you may lack the right l (lookup) on them, or the hierarchy separator is wrong (--separator)".into()
        }
        Advice::CheckSelectable => "check that the mailbox can be selected".into(),
        Advice::NameFewerMailboxes => "connect again and list fewer mailboxes".into(),
        Advice::NeedRight { right, mailbox, or_unknown_entry } => {
            let on = mailbox.as_deref().unwrap_or("it");
            let or = if *or_unknown_entry {
                "; Cyrus says the same for an entry that it does not know, or that only an administrator may set"
            } else {
                ""
            };
            format!("you need the right {} on {on}; see yours with myrights{or}", named(*right)).into()
        }
        Advice::TakeRight { right, mailbox, user } => {
            let (mailbox, user) = (quote(mailbox), quote(user.as_deref().unwrap_or("YOU")));
            format!(
                "you need the right {} on it; an administrator can grant it to themselves: setacl {mailbox} {user} +{right}",
                named(*right)
            )
            .into()
        }
        Advice::NeedRightToCreate => {
            "you need the right k (create mailboxes) on the parent mailbox, or must log in as an administrator".into()
        }
        Advice::NeedRightsToRename => {
            "you need the right x on the mailbox and k on the new parent".into()
        }
        Advice::SeeRights => "see the rights that the server knows with listrights".into(),
        Advice::LogInAsAdministrator { or_owner: false } => {
            "only an administrator of the server may do this; log in as one".into()
        }
        Advice::LogInAsAdministrator { or_owner: true } => {
            "log in as an administrator, or as the mailbox's owner".into()
        }
        Advice::SeeResources => {
            "the server does not know this resource; see the ones it has with listquota and capability".into()
        }
        Advice::SetWithoutReading => {
            "the current limits could not be read, so nothing was changed; setquota --only sets the new limits without reading, and \
             Cyrus then removes all others"
                .into()
        }
        Advice::GiveLimitItself => "give the new limit itself".into(),
        Advice::AskRootItself => "query the quota root itself with listquota".into(),
        Advice::NameMetadataEntry => {
            "write the entry as in /shared/comment or /private/comment".into()
        }
        Advice::SetServerEntryAsAdministrator => {
            "only an administrator may set shared server entries, and Cyrus accepts only these: motd, comment, admin, shutdown, expire, \
             squat"
                .into()
        }
        Advice::UseAnotherEntry => {
            "the server reserves this entry; use another one, or the same one under /private".into()
        }
        Advice::UseSharedEntry => {
            "the server has no private entries here; set it under /shared".into()
        }
        Advice::RemoveEntry => {
            "the server accepts no more entries here; remove one first, with setmetadata and the value none".into()
        }
        Advice::ShortenValue { most } => {
            format!("the server accepts values of at most {most} bytes; shorten it").into()
        }
        Advice::EnableMetadata { of_server } => format!(
            "the server's administrator must configure storage for the metadata of {} (mail_attribute_dict)",
            if *of_server { "the server" } else { "mailboxes" }
        )
        .into(),
        Advice::Connect => "connect with: connect SERVER".into(),
        Advice::LogIn => "log in with: authenticate USER".into(),
        Advice::ConnectAgain => "connect again".into(),
        Advice::ConnectAgainAndRepeat => "connect again and repeat the command".into(),
        Advice::ConnectAgainAndLook => "connect again and check before you repeat the command".into(),
        Advice::ConnectAfterBye { bye } => format!(
            "the server ended the session with: {}; connect again",
            bye.trim_end_matches(['.', ' '])
        )
        .into(),
        Advice::Look => "check before you repeat the command".into(),
        Advice::RepeatForTheRest { connect, look } => {
            let connect = if *connect { "connect again and " } else { "" };
            let then = if *look {
                "check before you repeat the command"
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
        Advice::TryAgain => "try again".into(),
        Advice::TryLater => "wait and try again".into(),
        Advice::AskAlone => "run the command for this one alone".into(),
        Advice::SelectMailbox => "select it first with: select MAILBOX".into(),
        Advice::SeeCapabilities => "see its capabilities with: capability".into(),
        Advice::ReportReply => "report this, with the server's name and version".into(),
        Advice::CheckPassword => "check the user and the password".into(),
        Advice::CheckPasswordOrMechanism => {
            "check the user and the password; a server that keeps passwords hashed in another way may need --auth PLAIN".into()
        }
        Advice::CheckToken => "check the user and the token, which may have expired".into(),
        Advice::CheckCertificate => {
            "check the client certificate, and which user the server maps it to".into()
        }
        Advice::CheckTicket => "check with klist whose ticket you have".into(),
        Advice::LogInAsUser => "log in as a user".into(),
        Advice::ChooseMechanism { mechanism } => format!(
            "it does not accept {mechanism}, although it may offer it; choose another mechanism with --auth"
        )
        .into(),
        Advice::TryLoginLater => {
            "the server cannot check logins now, so user and password may be right; try again later".into()
        }
        Advice::CheckAuthorization => {
            "the password is correct, but this user may not act as the other user; check --authz, or the server's list of \
             administrators".into()
        }
        Advice::RenewPassword => {
            "the password has expired; set a new one, then log in with it".into()
        }
        Advice::UseTls => "the server requires TLS; connect without --notls, or with --tls".into(),
        Advice::AskAdministrator => "ask the server's administrator".into(),
        Advice::AskForLogin => {
            "this user may not log in here; ask the server's administrator".into()
        }
        Advice::ReportToAdministrator => {
            "this is a fault of the server; report it to its administrator".into()
        }
        Advice::CloseConnections => {
            "the server has reached a limit; close other connections, or wait and try again".into()
        }
        Advice::WaitForLogin => {
            "a resource that the login needs is in use; wait and try again".into()
        }
        Advice::WaitOrAsk => "wait and try again, or ask the server's administrator".into(),
        Advice::LogInWithBrowser { at_address: false } => {
            "log in with a web browser once, as the server asks".into()
        }
        Advice::LogInWithBrowser { at_address: true } => {
            "open that address in a web browser and follow its instructions, then try again".into()
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
