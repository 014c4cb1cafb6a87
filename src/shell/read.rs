//! From the words of a command to a command that can be run.

use imapadm::Error;

use super::command::Input;
use super::meaning::ArgumentKind;
use super::secret::may_hold_secret;
use super::table::{find, nearest};
use super::topics::Topic;

/// Finds a command by name or alias and reads its words.
///
/// # Errors
/// [`Error::Usage`], naming the nearest command for one that does not exist.
pub fn read(words: &[String]) -> Result<Input, Error> {
    let Some((name, rest)) = words.split_first() else {
        return Err(Error::Usage("empty command; see help".into()));
    };
    let input = match find(name) {
        Some(command) => command.read(rest)?,
        None => return Err(no_command(name)),
    };
    // What help explains is known here alone.
    for (index, word) in input.words_from(0).iter().enumerate() {
        let argument = input.command.argument(index);
        let is_topic = argument.is_some_and(|argument| argument.kind == ArgumentKind::Topic);
        if is_topic && find(word).is_none() && Topic::find(word).is_none() {
            return Err(no_command(word));
        }
    }
    Ok(input)
}

/// What is done here instead of the commands of cyradm that are not here.
const FROM_CYRADM: &[(&[&str], &str)] = &[
    (&["info"], "use getmetadata MAILBOX"),
    (
        &["mboxcfg", "mboxconfig", "setinfo"],
        "use setmetadata MAILBOX ENTRY VALUE",
    ),
    (
        &["reconstruct"],
        "run reconstruct on the server itself, as the user cyrus",
    ),
    (
        &["xfermailbox", "xfer"],
        "imapadm can't move a mailbox to another server yet",
    ),
    (
        &["chdir", "cd"],
        "start imapadm in the folder that you want",
    ),
];

/// There is no such command; perhaps the nearest one was meant.
fn no_command(name: &str) -> Error {
    if let Some((_, instead)) = FROM_CYRADM.iter().find(|(names, _)| names.contains(&name)) {
        return Error::Usage(format!("unknown command {name:?}; {instead}"));
    }
    let name = if may_hold_secret(name) { "…" } else { name };
    Error::Usage(match nearest(name) {
        Some(nearest) => {
            format!(
                "unknown command {name:?}; did you mean {nearest}? To list all commands, use help"
            )
        }
        None => format!("unknown command {name:?}; to list all commands, use help"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::{command, meaning, table, words};

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
    fn a_command_of_cyradm_that_is_not_here_says_what_to_use() {
        assert!(error("info user.a").contains("use getmetadata"));
        assert!(error("mboxcfg user.a expire 3").contains("use setmetadata"));
        assert!(error("reconstruct user.a").contains("on the server"));
        assert!(error("xfer user.a b").contains("yet"));
        for name in FROM_CYRADM.iter().flat_map(|(names, _)| *names) {
            assert!(find(name).is_none(), "{name} is here now");
        }
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
            error("cm").contains("missing MAILBOX; usage: createmailbox"),
            "{}",
            error("cm")
        );
        assert!(error("cm a b c").contains("unexpected argument"));
        assert!(error("cm --nonsense a").contains("unknown option --nonsense"));
        assert!(error("cm --partition").contains("missing PARTITION after --partition"));
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
        assert!(error("setmd user.bob comment").contains("missing VALUE"));
        assert!(error("setmd a comment b c").contains("unexpected argument"));
    }

    #[test]
    fn an_unknown_command_names_the_nearest() {
        assert!(error("craetemailbox x").contains("did you mean createmailbox?"));
        assert!(error("ls").contains("unknown command \"ls\""));
        assert!(error("rm -rf /").contains("unknown command"));
    }

    #[test]
    fn every_name_stands_once() {
        let mut names: Vec<_> = table::ALL
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
        for command in table::ALL {
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
        assert!(error("dm -r user.*").contains("--recursive takes one mailbox"));
    }
}
