//! Which lines may hold a password or a token, so that nobody keeps or repeats them.
//!
//! The table of commands says which options take one. Where a line can't be read, or not as its command has it, what could be a secret
//! is taken for one.

use super::command::Command;
use super::meaning::ArgumentKind;
use super::table::{self, find, nearest};
use super::words;

/// Whether a text may hold a secret: a server with `user:password@` in front, an option that takes one, a word too many behind a login.
pub fn may_hold_secret(text: &str) -> bool {
    // A quote that is open is the user's mistake; the words are near enough.
    match words::split(text) {
        Ok(commands) => commands.iter().any(|command| is_secret(&command.words)),
        Err(_) => is_secret(
            &text
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        ),
    }
}

fn is_secret(words: &[String]) -> bool {
    let Some((name, rest)) = words.split_first() else {
        return false;
    };
    if let Some(command) = find(name) {
        return command.takes_secrets() && in_words_of(command, rest);
    }
    // There is no such command: it may have been meant for the one that is most like it, or for a server.
    let meant = nearest(name).and_then(find);
    meant.is_some_and(|command| command.takes_secrets() && in_words_of(command, rest))
        || words.iter().any(|word| names_password(word))
        || table::ALL.iter().any(|command| {
            rest.iter()
                .any(|word| is_option(word) && could_be_secret(command, word))
        })
}

fn is_option(word: &str) -> bool {
    word.len() > 1 && word.starts_with('-') && word != "--"
}

/// Whether a word could name an option that takes a secret.
fn could_be_secret(command: &Command, word: &str) -> bool {
    command.fitting(word).any(|flag| flag.secret)
}

/// Whether the words behind a command that takes secrets hold one. They are read as [`Command::read`] reads them, as far as that goes.
fn in_words_of(command: &Command, words: &[String]) -> bool {
    let mut words = words.iter();
    let mut plain = Vec::new();
    while let Some(word) = words.next() {
        if !is_option(word) {
            plain.extend((word != "--").then_some(word));
            break;
        }
        let mut fitting = command.fitting(word);
        match (fitting.next(), fitting.next()) {
            // Nobody knows what this was to be.
            (None, _) => return true,
            (Some(flag), None) => {
                if flag.secret {
                    return true;
                }
                if flag.value.is_some() && !word.contains('=') {
                    words.next();
                }
            }
            _ if could_be_secret(command, word) => return true,
            _ => {}
        }
    }
    plain.extend(words);
    plain
        .iter()
        .enumerate()
        .any(|(index, word)| match command.argument(index) {
            // `login bob hunter2`
            None => true,
            Some(argument) => argument.kind == ArgumentKind::Server && names_password(word),
        })
}

/// Whether a server's notation has a password in it.
fn names_password(word: &str) -> bool {
    let server = word.split_once("://").map_or(word, |(_, rest)| rest);
    server
        .rsplit_once('@')
        .is_some_and(|(user, _)| user.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_a_secret_are_known() {
        for line in [
            "connect imap://bob:secret@host",
            "connect bob:secret@host",
            "server -u bob bob:secret@host 143",
            "bob:secret@host",
            "login bob secret",
            "auth -- bob secret",
            "login --password secret",
            "login -w secret",
            "login -password=x 'a",
            "connect --pas secret",
            "connect --p secret",
            "connect -pas=secret",
            "connect --passwd secret host",
            "connect -wsecret host",
            "connect -w=secret host",
            "connect --notls -w secret host",
            "connect --user bob --token-command 'echo secret' host",
            "connect --token-c 'echo secret' host",
            "connect --tok secret",
            "connect --password-command \"echo secret\" host",
            "connect host 143 secret",
            "conect -w secret host",
            "conect --passw secret host",
            "lgin bob secret",
            "noop; connect -w secret host",
            "noop\nconnect -w secret host",
        ] {
            assert!(may_hold_secret(line), "{line}");
        }
    }

    #[test]
    fn what_looks_like_one_elsewhere_is_none() {
        for line in [
            "connect imap://bob@host",
            "connect host:143",
            "connect --user bob --password-file /etc/secret host",
            "connect --password-fd 3 host",
            "connect --tls -- host 993",
            "lam user.bob",
            "sam user.bob bob -x",
            "sam user.bob bob -w",
            "sam user.bob -- -w p",
            "cm user.bob:x@example.org",
            "cm --partition pass user.bob",
            "craetemailbox a b c d",
            "login bob",
            "help password",
            "",
        ] {
            assert!(!may_hold_secret(line), "{line}");
        }
    }
}
