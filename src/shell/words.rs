//! Text as it is typed or stands in a script: its commands, and the words of each.
//!
//! Words follow sh's quoting; `;` and the end of a line part commands, and `#` begins a comment. A quote that is open and a backslash at
//! the end of a line go on to the next one. One reader, [`Lexer`], serves scripts, the prompt and completion, so they can't disagree.
//! Not here: what the words mean (`command`).

use std::mem;

use imapadm::Error;

/// Commands, each as its words.
pub type Commands = Vec<Vec<String>>;

/// The commands of a text, each as its words; empty ones are left out.
///
/// # Errors
/// As [`Lexer::take`].
pub fn split(text: &str) -> Result<Commands, Error> {
    let mut lexer = Lexer::default();
    lexer.feed(text);
    lexer.take()
}

/// The parts of a text that are run one after the other: its lines, those together that a quote or a backslash joins.
///
/// Each comes with its commands, or with what is wrong with it.
pub fn statements(text: &str) -> Vec<(&str, Result<Commands, Error>)> {
    let mut lexer = Lexer::default();
    let mut statements = Vec::new();
    let (mut start, mut end) = (0, 0);
    for line in text.split_inclusive('\n') {
        lexer.feed(line);
        end += line.len();
        if lexer.is_complete() || end == text.len() {
            statements.push((text[start..end].trim_end_matches('\n'), lexer.take()));
            start = end;
        }
    }
    statements
}

/// Whether a text that is being typed goes on in the next line.
pub fn goes_on(text: &str) -> bool {
    let mut lexer = Lexer::default();
    lexer.feed(text);
    lexer.is_open()
}

/// What the reader is inside of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Within {
    /// Between words.
    #[default]
    Blank,
    Word,
    /// Behind a backslash, in front of a word or in one.
    Escape,
    Single,
    Double,
    /// Behind a backslash in double quotes.
    DoubleEscape,
    Comment,
}

/// Where a character stands: its line, counted from where the reader began, and its column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spot {
    line: u64,
    column: usize,
}

/// Reads commands out of text that comes piece by piece.
#[derive(Debug)]
pub struct Lexer {
    commands: Commands,
    /// The words of the command that is being read.
    words: Vec<String>,
    /// The word that is being read.
    word: String,
    within: Within,
    /// Whether a word has begun; it may still be empty.
    in_word: bool,
    /// The byte where the word began.
    start: usize,
    /// The bytes that were fed.
    at: usize,
    /// Where the next character stands.
    next: Spot,
    /// Where the quote or the backslash that is open stands.
    opened: Spot,
    /// Nothing has followed the backslash at the end of a line yet.
    joined: bool,
    /// The line's end has just been read.
    complete: bool,
    /// The first thing that is wrong with the text.
    wrong: Option<String>,
}

impl Default for Lexer {
    fn default() -> Self {
        let first = Spot { line: 1, column: 1 };
        Self {
            commands: Vec::new(),
            words: Vec::new(),
            word: String::new(),
            within: Within::default(),
            in_word: false,
            start: 0,
            at: 0,
            next: first,
            opened: first,
            joined: false,
            complete: false,
            wrong: None,
        }
    }
}

impl Lexer {
    /// Reads on.
    pub fn feed(&mut self, text: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            // Most of a script is letters that mean nothing but themselves: the rest of a word at once.
            let plain = self.plain_letters(rest);
            if !plain.is_empty() {
                self.begin_word();
                self.within = Within::Word;
                self.word.push_str(plain);
                (self.joined, self.complete) = (false, false);
                self.at += plain.len();
                self.next.column += plain.len();
                rest = &rest[plain.len()..];
                continue;
            }
            rest = &rest[c.len_utf8()..];
            self.push(c);
            self.at += c.len_utf8();
            if c == '\n' {
                self.next.line += 1;
                self.next.column = 1;
            } else {
                self.next.column += 1;
            }
        }
    }

    /// The letters at the beginning of a text that only go on with a word, or begin one.
    fn plain_letters<'a>(&self, text: &'a str) -> &'a str {
        if !matches!(self.within, Within::Word | Within::Blank) {
            return "";
        }
        let is_plain = |byte: &u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/' | b'-' | b'_' | b'@')
        };
        let end = text.bytes().position(|byte| !is_plain(&byte));
        &text[..end.unwrap_or(text.len())]
    }

    fn push(&mut self, c: char) {
        self.joined = false;
        self.complete = false;
        if c == '\0' {
            self.object("a NUL (\\0), which IMAP cannot carry; take it out");
        }
        self.within = match (self.within, c) {
            (Within::Escape, '\n') => {
                self.joined = true;
                if self.in_word {
                    Within::Word
                } else {
                    Within::Blank
                }
            }
            (Within::Escape, c) => self.letter(c),
            (Within::DoubleEscape, '\n') => Within::Double,
            (Within::DoubleEscape, c) => {
                // As in sh, the backslash means something before these alone.
                if !matches!(c, '$' | '`' | '"' | '\\') {
                    self.word.push('\\');
                }
                self.word.push(c);
                Within::Double
            }
            (Within::Single, '\'') | (Within::Double, '"') => Within::Word,
            (Within::Double, '\\') => Within::DoubleEscape,
            (within @ (Within::Single | Within::Double), c) => {
                self.word.push(c);
                within
            }
            (_, '\n') => {
                self.end_command();
                self.complete = true;
                Within::Blank
            }
            (Within::Comment, _) => Within::Comment,
            (Within::Blank, '#') => Within::Comment,
            (_, '\\') => {
                self.opened = self.next;
                if !self.in_word {
                    self.start = self.at;
                }
                Within::Escape
            }
            (_, '\'' | '"') => {
                self.begin_word();
                self.opened = self.next;
                if c == '"' {
                    Within::Double
                } else {
                    Within::Single
                }
            }
            (_, ';') => {
                self.end_command();
                Within::Blank
            }
            (_, '<' | '>' | '|') => {
                // In sh a number right before it says which descriptor is meant.
                let number = self.in_word && self.word.bytes().all(|byte| byte.is_ascii_digit());
                let number = if number {
                    mem::take(&mut self.word)
                } else {
                    String::new()
                };
                self.in_word &= number.is_empty();
                self.object(&format!(
                    "{number}{c} outside quotes: imapadm can't redirect yet; quote it ('{c}') if it belongs to a word, or redirect the \
                     whole program"
                ));
                self.end_word();
                Within::Blank
            }
            (_, ' ' | '\t') => {
                self.end_word();
                Within::Blank
            }
            (_, c) => self.letter(c),
        };
    }

    fn letter(&mut self, c: char) -> Within {
        // An escaped one began with its backslash.
        if self.within != Within::Escape {
            self.begin_word();
        }
        self.in_word = true;
        self.word.push(c);
        Within::Word
    }

    fn begin_word(&mut self) {
        if !self.in_word {
            self.start = self.at;
        }
        self.in_word = true;
    }

    fn end_word(&mut self) {
        if mem::take(&mut self.in_word) {
            self.words.push(mem::take(&mut self.word));
        }
    }

    fn end_command(&mut self) {
        self.end_word();
        if !self.words.is_empty() {
            self.commands.push(mem::take(&mut self.words));
        }
    }

    /// Keeps the first thing that is wrong; the text is read to its end all the same.
    fn object(&mut self, what: &str) {
        if self.wrong.is_none() {
            self.wrong = Some(format!("{}: {what}", place(self.next)));
        }
    }

    /// Whether what was fed ends where a line does: nothing of it goes on in the next one.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether a quote or a backslash asks for more text.
    pub fn is_open(&self) -> bool {
        self.joined || !matches!(self.within, Within::Blank | Within::Word | Within::Comment)
    }

    /// The commands that were fed, each as its words; empty ones are left out. The reader begins anew.
    ///
    /// # Errors
    /// [`Error::Usage`] for a quote that is not closed, a backslash with nothing behind it, an operator of the shell outside quotes, and a
    /// NUL, each with its place.
    pub fn take(&mut self) -> Result<Commands, Error> {
        let mut lexer = mem::take(self);
        let opened = || place(lexer.opened);
        match lexer.within {
            Within::Single | Within::Double | Within::DoubleEscape => {
                let quote = if lexer.within == Within::Single {
                    '\''
                } else {
                    '"'
                };
                return Err(Error::Usage(format!(
                    "{}: the quote {quote} is not closed; close it, or write \\{quote} for the character itself",
                    opened()
                )));
            }
            Within::Escape => {
                return Err(Error::Usage(format!(
                    "{}: nothing follows the backslash; write \\\\ for a backslash",
                    opened()
                )));
            }
            _ if lexer.joined => {
                return Err(Error::Usage(format!(
                    "{}: the backslash joins the next line to this one, but there is none; take it away, or write the rest",
                    opened()
                )));
            }
            Within::Blank | Within::Word | Within::Comment => {}
        }
        if let Some(wrong) = lexer.wrong {
            return Err(Error::Usage(wrong));
        }
        lexer.end_command();
        Ok(lexer.commands)
    }
}

/// The place of a character in words; the line is named from the second one on.
fn place(spot: Spot) -> String {
    match spot {
        Spot { line: 1, column } => format!("column {column}"),
        Spot { line, column } => format!("column {column} of line {line} of it"),
    }
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
    let mut lexer = Lexer::default();
    lexer.feed(line);
    let begun = lexer.in_word || lexer.within == Within::Escape;
    Partial {
        start: if begun { lexer.start } else { line.len() },
        text: lexer.word,
        before: lexer.words,
        quote: match lexer.within {
            Within::Single => Some('\''),
            Within::Double | Within::DoubleEscape => Some('"'),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::escape::escape;
    use imapadm::MailboxName;
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
    fn what_is_quoted_or_joined_goes_on_in_the_next_line() {
        for (text, expected) in [
            (
                "setmd a comment \"x\ndm user.bob\n\"",
                &[&["setmd", "a", "comment", "x\ndm user.bob\n"][..]][..],
            ),
            ("cm 'a\n\nb' # c", &[&["cm", "a\n\nb"]]),
            ("cm a\\\nb", &[&["cm", "ab"]]),
            ("cm \\\n  a \\\n b", &[&["cm", "a", "b"]]),
            ("cm \"a\\\nb\"", &[&["cm", "ab"]]),
            ("cm 'a\\\nb'", &[&["cm", "a\\\nb"]]),
            ("cm a # it's\ncm b", &[&["cm", "a"], &["cm", "b"]]),
        ] {
            assert_eq!(words(text), expected, "{text:?}");
        }
        for open in ["cm 'a\n", "cm \"a'\n'", "cm a\\", "cm a\\\n", "cm \"a\\"] {
            assert!(goes_on(open), "{open:?}");
            assert!(split(open).is_err(), "{open:?}");
        }
        let error = split("cm a\ncm 'b\nc").unwrap_err().to_string();
        assert!(
            error.starts_with("column 4 of line 2 of it: the quote '"),
            "{error}"
        );
    }

    #[test]
    fn a_text_is_run_line_by_line_but_for_what_is_joined() {
        let text = "cm 'a\nb'; cm c\n\ncm d > e\ncm f\ncm 'g\ncm h";
        let statements = statements(text);
        let lines: Vec<_> = statements.iter().map(|(line, _)| *line).collect();
        assert_eq!(
            lines,
            ["cm 'a\nb'; cm c", "", "cm d > e", "cm f", "cm 'g\ncm h"]
        );
        let fine: Vec<_> = statements.iter().map(|(_, read)| read.is_ok()).collect();
        assert_eq!(fine, [true, true, false, true, false]);
        assert_eq!(statements[0].1.as_ref().unwrap().len(), 2);
    }

    #[test]
    fn an_operator_of_the_shell_is_one_only_outside_quotes() {
        for (line, told) in [
            ("lm > file", "column 4: >"),
            ("lm >> file", "column 4: >"),
            ("lm 2> file", "column 5: 2>"),
            ("cm a>b", "column 5: >"),
            ("lm '' 2>&1", "column 8: 2>"),
            ("cm < names", "column 4: <"),
            ("lm | head", "column 4: |"),
            ("cm a; lm|head", "column 9: |"),
        ] {
            let error = split(line).unwrap_err().to_string();
            assert!(error.starts_with(told), "{line}: {error}");
        }
        assert_eq!(
            words(r#"cm 'a>b' "c|d" e\<f # > g"#),
            [["cm", "a>b", "c|d", "e<f"]]
        );
    }

    #[test]
    fn text_may_come_in_any_pieces() {
        let text = "cm 'a b'\\\n\" c\nd\" ; lm é\n";
        for cut in 0..=text.len() {
            if let Some((head, tail)) = text.split_at_checked(cut) {
                let mut lexer = Lexer::default();
                lexer.feed(head);
                lexer.feed(tail);
                assert!(lexer.is_complete());
                let expected = vec![
                    vec!["cm".to_owned(), "a b c\nd".to_owned()],
                    vec!["lm".to_owned(), "é".to_owned()],
                ];
                assert_eq!(lexer.take().unwrap(), expected, "{cut}");
            }
        }
    }

    #[test]
    fn the_word_being_typed() {
        let at = partial("cm a; sam \"user.with sp");
        assert_eq!(
            (at.start, at.text.as_str(), at.quote),
            (10, "user.with sp", Some('"'))
        );
        assert_eq!(at.before, ["sam"]);
        let at = partial("lm 'a\nb' \"c\\d");
        assert_eq!((at.text.as_str(), at.quote), ("c\\d", Some('"')));
        assert_eq!(at.before, ["lm", "a\nb"]);
        let at = partial("lm user\\ x ");
        assert_eq!((at.start, at.text.as_str()), (11, ""));
        assert_eq!(at.before, ["lm", "user x"]);
    }

    proptest! {
        #[test]
        fn any_words_survive_quoting(words in proptest::collection::vec("[^\0]{0,12}", 1..5)) {
            let line = shell_words::join(&words);
            prop_assert_eq!(split(&line).unwrap(), vec![words]);
        }

        #[test]
        fn any_mailbox_can_be_typed_as_it_is_shown(wire in "([ -~]|&AAk-|&IC4-|&AOk-|[\t\u{85}\u{e9}]){1,12}") {
            let name = MailboxName::from_wire(wire.as_bytes());
            let shown = name.to_string();
            prop_assert_eq!(&*escape(&shown), &*shown);
            let words = split(&format!("status {}", shell_words::quote(&shown))).unwrap();
            prop_assert_eq!(words[0].len(), 2);
            let typed = MailboxName::typed(&words[0][1]).unwrap();
            prop_assert!(MailboxName::same(typed.wire(), name.wire()), "{shown}");
        }

        #[test]
        fn any_line_is_words_or_an_error(line: String) {
            let _ = split(&line);
            let _ = partial(&line);
            let _ = statements(&line);
        }

        #[test]
        fn quoting_is_that_of_shell_words(line in "[a-c \t\n'\"\\\\$#é]{0,14}") {
            let own = split(&line).map(|commands| commands.concat());
            match shell_words::split(&line) {
                // It drops a backslash with nothing behind it, and joins the last line to nothing.
                Ok(_) if goes_on(&line) => prop_assert!(own.is_err()),
                Ok(words) => prop_assert_eq!(own.unwrap(), words),
                Err(_) => prop_assert!(own.is_err()),
            }
        }
    }
}
