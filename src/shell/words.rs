//! Text, as typed or from a script, parsed into commands: the words of each and its redirections.
//!
//! Words follow sh's quoting. `;` and the end of a line separate commands, `#` begins a comment, and `>`, `<` and `|` redirect. An open
//! quote and a backslash at the end of a line continue on the next one. One reader, [`Lexer`], serves scripts, the prompt and
//! completion, so they can't disagree. Not here: what the words mean (`command`).

use std::fmt;
use std::mem;

use imapadm::Error;

/// A command as it was typed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parsed {
    /// Its words, the name first.
    pub words: Vec<String>,
    /// Where its input comes from and its results go, in the order typed.
    pub redirections: Vec<Redirection>,
}

/// So that it means the same when it is read again.
impl fmt::Display for Parsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shell_words::join(&self.words))?;
        for redirection in &self.redirections {
            write!(f, " {redirection}")?;
        }
        Ok(())
    }
}

/// A redirection of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirection {
    /// The file descriptor in front, if one was typed.
    pub descriptor: String,
    /// Which way.
    pub operator: Operator,
    /// The file; after `|`, a command of the system's shell as it was typed.
    pub target: String,
    at: Spot,
}

/// Which way a redirection goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `>`
    Write,
    /// `>>`
    Append,
    /// `<`
    Read,
    /// `|`
    Pipe,
}

impl Operator {
    fn sign(self) -> &'static str {
        match self {
            Operator::Write => ">",
            Operator::Append => ">>",
            Operator::Read => "<",
            Operator::Pipe => "|",
        }
    }
}

impl fmt::Display for Redirection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.descriptor, self.operator.sign())?;
        match self.operator {
            Operator::Pipe => write!(f, " {}", self.target),
            _ => write!(f, " {}", shell_words::quote(&self.target)),
        }
    }
}

impl Redirection {
    /// No redirection is carried out yet.
    fn refused(&self) -> Error {
        let sign = self.operator.sign();
        Error::Usage(format!(
            "{}: {}{sign} outside quotes: imapadm does not support redirection yet; quote it ('{sign}') if it is part of a word, or \
             redirect the whole program",
            place(self.at),
            self.descriptor,
        ))
    }
}

/// Commands in the order typed; empty ones are left out.
pub type Commands = Vec<Parsed>;

/// The commands of a text.
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

/// What the reader is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
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
    /// The command that is being read.
    command: Parsed,
    /// The redirection that the next word is the target of; after `|` its target grows to the end of the command.
    redirection: Option<Redirection>,
    /// The word that is being read.
    word: String,
    state: State,
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
            command: Parsed::default(),
            redirection: None,
            word: String::new(),
            state: State::default(),
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
                self.state = State::Word;
                self.word.push_str(plain);
                if let Some(program) = self.program() {
                    program.push_str(plain);
                }
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
        if !matches!(self.state, State::Word | State::Blank) {
            return "";
        }
        let is_plain = |byte: &u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/' | b'-' | b'_' | b'@')
        };
        let end = text.bytes().position(|byte| !is_plain(&byte));
        &text[..end.unwrap_or(text.len())]
    }

    /// The command of the system's shell that is being read, after `|`.
    fn program(&mut self) -> Option<&mut String> {
        let pipe = self.redirection.as_mut();
        let pipe = pipe.filter(|redirection| redirection.operator == Operator::Pipe)?;
        Some(&mut pipe.target)
    }

    fn push(&mut self, c: char) {
        self.joined = false;
        self.complete = false;
        if c == '\0' {
            self.object("contains a NUL (\\0), which IMAP cannot carry; remove it");
        }
        self.state = match (self.state, c) {
            (State::Escape, '\n') => {
                self.joined = true;
                if self.in_word {
                    State::Word
                } else {
                    State::Blank
                }
            }
            (State::Escape, c) => self.letter(c),
            (State::DoubleEscape, '\n') => State::Double,
            (State::DoubleEscape, c) => {
                // As in sh, the backslash means something before these alone.
                if !matches!(c, '$' | '`' | '"' | '\\') {
                    self.word.push('\\');
                }
                self.word.push(c);
                State::Double
            }
            (State::Single, '\'') | (State::Double, '"') => State::Word,
            (State::Double, '\\') => State::DoubleEscape,
            (state @ (State::Single | State::Double), c) => {
                self.word.push(c);
                state
            }
            (_, '\n') => {
                self.end_command();
                self.complete = true;
                State::Blank
            }
            (State::Comment, _) => State::Comment,
            (State::Blank, '#') => State::Comment,
            (_, '\\') => {
                self.opened = self.next;
                if !self.in_word {
                    self.start = self.at;
                }
                State::Escape
            }
            (_, '\'' | '"') => {
                self.begin_word();
                self.opened = self.next;
                if c == '"' {
                    State::Double
                } else {
                    State::Single
                }
            }
            (_, ';') => {
                self.end_command();
                State::Blank
            }
            (_, '>') if self.is_behind_arrow() => {
                if let Some(redirection) = &mut self.redirection {
                    redirection.operator = Operator::Append;
                }
                State::Blank
            }
            (_, '<' | '>' | '|') if self.program().is_none() => {
                self.redirect(c);
                State::Blank
            }
            (_, ' ' | '\t') => {
                self.end_word();
                State::Blank
            }
            (_, c) => self.letter(c),
        };
        // What is piped to goes there as it was typed.
        if self.state != State::Comment
            && !self.complete
            && let Some(program) = self.program()
        {
            program.push(c);
        }
    }

    /// Whether a `>` stands right before this place.
    fn is_behind_arrow(&self) -> bool {
        let right_behind = |redirection: &Redirection| {
            redirection.operator == Operator::Write
                && redirection.at.line == self.next.line
                && redirection.at.column + 1 == self.next.column
        };
        !self.in_word && self.redirection.as_ref().is_some_and(right_behind)
    }

    /// Begins a redirection.
    fn redirect(&mut self, sign: char) {
        // As in sh, a number right before it says which descriptor is meant.
        let number = self.in_word && self.word.bytes().all(|byte| byte.is_ascii_digit());
        let descriptor = match number {
            true => mem::take(&mut self.word),
            false => String::new(),
        };
        self.in_word &= descriptor.is_empty();
        self.end_word();
        self.end_redirection();
        self.redirection = Some(Redirection {
            descriptor,
            operator: match sign {
                '>' => Operator::Write,
                '<' => Operator::Read,
                _ => Operator::Pipe,
            },
            target: String::new(),
            at: self.next,
        });
    }

    /// Ends a redirection, with its target or without.
    fn end_redirection(&mut self) {
        if let Some(mut redirection) = self.redirection.take() {
            // The sign itself was read as the first of what follows it.
            if redirection.operator == Operator::Pipe {
                let typed = redirection.target.strip_prefix('|');
                redirection.target = typed.unwrap_or_default().trim().to_owned();
            }
            self.command.redirections.push(redirection);
        }
    }

    fn letter(&mut self, c: char) -> State {
        // An escaped one began with its backslash.
        if self.state != State::Escape {
            self.begin_word();
        }
        self.in_word = true;
        self.word.push(c);
        State::Word
    }

    fn begin_word(&mut self) {
        if !self.in_word {
            self.start = self.at;
        }
        self.in_word = true;
    }

    fn end_word(&mut self) {
        if !mem::take(&mut self.in_word) {
            return;
        }
        let word = mem::take(&mut self.word);
        if self.program().is_some() {
            return;
        }
        match self.redirection.take() {
            None => self.command.words.push(word),
            Some(redirection) => self.command.redirections.push(Redirection {
                target: word,
                ..redirection
            }),
        }
    }

    fn end_command(&mut self) {
        self.end_word();
        self.end_redirection();
        let command = mem::take(&mut self.command);
        if command != Parsed::default() {
            self.commands.push(command);
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
        self.joined || !matches!(self.state, State::Blank | State::Word | State::Comment)
    }

    /// The commands that were fed. The reader begins anew.
    ///
    /// # Errors
    /// [`Error::Usage`] for a quote that is not closed, a backslash with nothing behind it, a redirection, and a NUL, each with its place.
    pub fn take(&mut self) -> Result<Commands, Error> {
        let mut lexer = mem::take(self);
        let opened = || place(lexer.opened);
        match lexer.state {
            State::Single | State::Double | State::DoubleEscape => {
                let quote = if lexer.state == State::Single {
                    '\''
                } else {
                    '"'
                };
                return Err(Error::Usage(format!(
                    "{}: the quote {quote} is not closed; close it, or write \\{quote} for a literal {quote}",
                    opened()
                )));
            }
            State::Escape => {
                return Err(Error::Usage(format!(
                    "{}: nothing follows the backslash; write \\\\ for a backslash",
                    opened()
                )));
            }
            _ if lexer.joined => {
                return Err(Error::Usage(format!(
                    "{}: the backslash at the end joins the next line, but there is none; remove it, or add the line",
                    opened()
                )));
            }
            State::Blank | State::Word | State::Comment => {}
        }
        if let Some(wrong) = lexer.wrong {
            return Err(Error::Usage(wrong));
        }
        lexer.end_command();
        let mut redirections = lexer
            .commands
            .iter()
            .flat_map(|command| &command.redirections);
        match redirections.next() {
            Some(redirection) => Err(redirection.refused()),
            None => Ok(lexer.commands),
        }
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
#[derive(Debug)]
pub struct Partial {
    /// The byte where the word starts, its opening quote included.
    pub start: usize,
    /// Its text, quotes and backslashes taken away.
    pub text: String,
    /// The words before it.
    pub before: Vec<String>,
    /// The quote that it is in.
    pub quote: Option<char>,
    /// Whether it is where a redirection goes, and no word of the command.
    pub redirects: bool,
}

/// Reads a line that is still being typed.
pub fn partial(line: &str) -> Partial {
    let mut lexer = Lexer::default();
    lexer.feed(line);
    let begun = lexer.in_word || lexer.state == State::Escape;
    Partial {
        start: if begun { lexer.start } else { line.len() },
        text: lexer.word,
        before: lexer.command.words,
        redirects: lexer.redirection.is_some(),
        quote: match lexer.state {
            State::Single => Some('\''),
            State::Double | State::DoubleEscape => Some('"'),
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
        let commands = split(line).unwrap().into_iter();
        commands.map(|command| command.words).collect()
    }

    /// The commands of a text, redirections and all.
    fn parsed(text: &str) -> Commands {
        let mut lexer = Lexer::default();
        lexer.feed(text);
        lexer.end_command();
        lexer.commands
    }

    #[test]
    fn a_command_carries_its_redirections() {
        for (text, words, redirections) in [
            ("lm > file", &["lm"][..], &["> file"][..]),
            ("lm>>'a b' x", &["lm", "x"], &[">> 'a b'"]),
            ("lm 2>err <in >out", &["lm"], &["2> err", "< in", "> out"]),
            ("lm a2>err", &["lm", "a2"], &["> err"]),
            ("lm > >b", &["lm"], &["> ''", "> b"]),
            ("lm > \"\"", &["lm"], &["> ''"]),
            ("> x", &[], &["> x"]),
            (
                "lm | grep 'a;b' | sort>z # no",
                &["lm"],
                &["| grep 'a;b' | sort>z"],
            ),
            ("lm >x|head -1", &["lm"], &["> x", "| head -1"]),
            ("lm|", &["lm"], &["| "]),
            ("lm '>' \\|", &["lm", ">", "|"], &[]),
        ] {
            let commands = parsed(text);
            assert_eq!(commands.len(), 1, "{text}");
            let shown: Vec<_> = commands[0]
                .redirections
                .iter()
                .map(Redirection::to_string)
                .collect();
            assert_eq!(
                (&*commands[0].words, &*shown),
                (
                    &*words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>(),
                    &*redirections
                        .iter()
                        .map(|r| (*r).to_owned())
                        .collect::<Vec<_>>()
                ),
                "{text}"
            );
        }
        let commands = parsed("lm | head; cm a\nlm > x; cm b");
        let shown: Vec<_> = commands.iter().map(Parsed::to_string).collect();
        assert_eq!(shown, ["lm | head", "cm a", "lm > x", "cm b"]);
    }

    #[test]
    fn after_a_redirection_no_word_of_the_command_is_typed() {
        for (line, redirects) in [
            ("lm x", false),
            ("lm > ", true),
            ("lm > x", true),
            ("lm > x y", false),
            ("lm | gr", true),
        ] {
            assert_eq!(partial(line).redirects, redirects, "{line}");
        }
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
    fn semicolons_separate_commands_and_hashes_begin_comments() {
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
                assert_eq!(lexer.take().unwrap(), split(text).unwrap(), "{cut}");
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
            let command = Parsed { words, redirections: Vec::new() };
            prop_assert_eq!(command.to_string(), line.clone());
            prop_assert_eq!(split(&line).unwrap(), vec![command]);
        }

        #[test]
        fn any_mailbox_can_be_typed_as_it_is_shown(wire in "([ -~]|&AAk-|&IC4-|&AOk-|[\t\u{85}\u{e9}]){1,12}") {
            let name = MailboxName::from_wire(wire.as_bytes());
            let shown = name.to_string();
            prop_assert_eq!(&*escape(&shown), &*shown);
            let words = words(&format!("status {}", shell_words::quote(&shown)));
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
            let own = split(&line).map(|commands| {
                commands.into_iter().flat_map(|command| command.words).collect::<Vec<_>>()
            });
            match shell_words::split(&line) {
                // It drops a backslash with nothing behind it, and joins the last line to nothing.
                Ok(_) if goes_on(&line) => prop_assert!(own.is_err()),
                Ok(words) => prop_assert_eq!(own.unwrap(), words),
                Err(_) => prop_assert!(own.is_err()),
            }
        }
    }
}
