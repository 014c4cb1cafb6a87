//! One line of input: its commands, and the words of each.
//!
//! Words follow sh's quoting (shell-words); `;` parts commands and `#` begins a comment. Not here: what the words mean (`command`).

use imapadm::Error;

/// The commands of one line, each as its words; empty ones are left out.
///
/// # Errors
/// [`Error::Usage`] for a quote that is not closed, with its column.
pub fn split(line: &str) -> Result<Vec<Vec<String>>, Error> {
    if let Some(at) = line.find('\0') {
        return Err(Error::Usage(format!(
            "column {}: a NUL (\\0), which IMAP cannot carry; take it out",
            column(line, at)
        )));
    }
    let mut commands = Vec::new();
    for part in parts(line)? {
        // `parts` has checked the quotes; whatever shell-words still objects to is the user's line all the same.
        let words = shell_words::split(part)
            .map_err(|error| Error::Usage(format!("{error}; check the quotes")))?;
        if !words.is_empty() {
            commands.push(words);
        }
    }
    Ok(commands)
}

/// What the scan is inside of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Blank,
    Word,
    Single,
    Double,
}

/// The text of each command of a line: parted at every `;` that is not quoted, without the comment.
fn parts(line: &str) -> Result<Vec<&str>, Error> {
    let mut parts = Vec::new();
    let mut within = Within::Blank;
    let (mut start, mut opened) = (0, 0);
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        within = match (within, c) {
            (Within::Single, '\'') | (Within::Double, '"') => Within::Word,
            (Within::Single, _) => Within::Single,
            (_, '\\') => {
                if chars.next().is_none() {
                    let column = column(line, at);
                    return Err(Error::Usage(format!(
                        "column {column}: nothing follows the backslash; write \\\\ for a backslash"
                    )));
                }
                if within == Within::Double {
                    Within::Double
                } else {
                    Within::Word
                }
            }
            (Within::Double, _) => Within::Double,
            (_, '\'' | '"') => {
                opened = at;
                if c == '"' {
                    Within::Double
                } else {
                    Within::Single
                }
            }
            (_, ';') => {
                parts.push(&line[start..at]);
                start = at + 1;
                Within::Blank
            }
            (Within::Blank, '#') => {
                parts.push(&line[start..at]);
                return Ok(parts);
            }
            (_, c) if c.is_whitespace() => Within::Blank,
            _ => Within::Word,
        };
    }
    match within {
        Within::Single | Within::Double => {
            let quote = if within == Within::Single { '\'' } else { '"' };
            let column = column(line, opened);
            Err(Error::Usage(format!(
                "column {column}: the quote {quote} is not closed; close it on the same line"
            )))
        }
        Within::Blank | Within::Word => {
            parts.push(&line[start..]);
            Ok(parts)
        }
    }
}

/// The column of a byte, from 1, in characters.
fn column(line: &str, at: usize) -> usize {
    line[..at].chars().count() + 1
}

/// Whether a line may hold a password, and so must not be kept or shown: a server with `user:password@` in front, a password
/// option, a login.
pub fn may_hold_secret(line: &str) -> bool {
    let commands =
        split(line).unwrap_or_else(|_| vec![line.split_whitespace().map(str::to_owned).collect()]);
    commands.iter().any(|words| {
        let is_login =
            words.len() > 2 && ["login", "auth", "authenticate"].contains(&words[0].as_str());
        is_login || words.iter().any(|word| is_secret(word))
    })
}

fn is_secret(word: &str) -> bool {
    let option = word.trim_start_matches('-');
    let is_option = option.len() < word.len();
    let password =
        is_option && (option.starts_with("pass") || option == "w" || option.starts_with("w="));
    let server = word.split_once("://").map_or(word, |(_, rest)| rest);
    password
        || server
            .rsplit_once('@')
            .is_some_and(|(user, _)| user.contains(':'))
}

/// The word being typed at the end of a line, for completion: where it starts, its text so far, the words before it in the same
/// command, and the quote that is open.
pub struct Partial {
    /// The byte where the word starts, its opening quote included.
    pub start: usize,
    /// Its text, quotes and backslashes taken away.
    pub text: String,
    /// The words before it.
    pub before: Vec<String>,
    /// The quote that it is in.
    pub quote: Option<char>,
}

/// Reads a line that is still being typed.
pub fn partial(line: &str) -> Partial {
    let mut partial = Partial {
        start: 0,
        text: String::new(),
        before: Vec::new(),
        quote: None,
    };
    let mut in_word = false;
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match (partial.quote, c) {
            (Some(quote), c) if c == quote => partial.quote = None,
            (Some('\''), c) => partial.text.push(c),
            (_, '\\') => {
                if !in_word {
                    (partial.start, in_word) = (at, true);
                }
                partial.text.extend(chars.next().map(|(_, c)| c));
            }
            (Some(_), c) => partial.text.push(c),
            (None, ';') => {
                partial.before.clear();
                partial.text.clear();
                in_word = false;
            }
            (None, c) if c.is_whitespace() => {
                if in_word {
                    partial.before.push(std::mem::take(&mut partial.text));
                }
                in_word = false;
            }
            (None, c) => {
                if !in_word {
                    (partial.start, in_word) = (at, true);
                }
                if c == '"' || c == '\'' {
                    partial.quote = Some(c);
                } else {
                    partial.text.push(c);
                }
            }
        }
    }
    if !in_word {
        partial.start = line.len();
    }
    partial
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(line: &str) -> Vec<Vec<String>> {
        split(line).unwrap()
    }

    #[test]
    fn quoting_is_that_of_sh() {
        assert_eq!(
            words(r#"cm "user.with space" 'sin"gle' back\ slash"#),
            [["cm", "user.with space", "sin\"gle", "back slash"]]
        );
        assert_eq!(words(r"cm 'a\b' a\\b"), [["cm", "a\\b", "a\\b"]]);
        assert_eq!(words("sam x bob ''"), [["sam", "x", "bob", ""]]);
    }

    #[test]
    fn semicolons_part_commands_and_hashes_begin_comments() {
        assert_eq!(
            words("cm a; cm b ;; cm 'c;d' # cm e; cm f"),
            [["cm", "a"], ["cm", "b"], ["cm", "c;d"]]
        );
        assert_eq!(words("cm a#b \\# \"#\""), [["cm", "a#b", "#", "#"]]);
        assert!(words("   # only a comment").is_empty());
        assert!(words("").is_empty());
    }

    #[test]
    fn an_open_quote_is_an_error_with_its_column() {
        for (line, column) in [
            ("cm 'user.x", 4),
            ("cm ü \"a'b", 6),
            ("cm a; cm 'b # c", 10),
        ] {
            let error = split(line).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("column {column}: the quote")),
                "{line}: {error}"
            );
        }
        assert!(
            split("cm a\\")
                .unwrap_err()
                .to_string()
                .contains("column 5")
        );
    }

    #[test]
    fn the_word_being_typed() {
        let at = partial("cm a; sam \"user.with sp");
        assert_eq!(
            (at.start, at.text.as_str(), at.quote),
            (10, "user.with sp", Some('"'))
        );
        assert_eq!(at.before, ["sam"]);
        let at = partial("lm user\\ x ");
        assert_eq!((at.start, at.text.as_str()), (11, ""));
        assert_eq!(at.before, ["lm", "user x"]);
    }

    #[test]
    fn lines_with_a_password_are_known() {
        for line in [
            "connect imap://bob:secret@host",
            "connect bob:secret@host",
            "login bob secret",
            "login --password secret",
            "login -w secret",
            "login -password=x 'a",
        ] {
            assert!(may_hold_secret(line), "{line}");
        }
        for line in [
            "connect imap://bob@host",
            "lam user.bob",
            "sam user.bob bob -x",
            "connect host:143",
        ] {
            assert!(!may_hold_secret(line), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_words_survive_quoting(words in proptest::collection::vec("[^\0\r\n]{1,12}", 1..5)) {
            let line = shell_words::join(&words);
            prop_assert_eq!(split(&line).unwrap(), vec![words]);
        }

        #[test]
        fn any_line_is_words_or_an_error(line: String) {
            let _ = split(&line);
            let _ = partial(&line);
        }
    }
}
