//! Text: tab-separated columns in a pipe, aligned ones under a heading on a terminal.

use std::borrow::Cow;
use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table as Columns, presets};
use imapadm::Error;
use imapadm::visible::is_plain;
use nu_ansi_term::Style;

use super::escape::escape;
use super::{Cell, Render, Value};

/// A cell as people read it, safe to print.
fn show<'a>(key: &'static str, value: &'a Value<'a>) -> Cow<'a, str> {
    match value {
        Value::Text(text) | Value::Words(text) => match String::from_utf8_lossy(text) {
            Cow::Borrowed(text) => escape(text),
            Cow::Owned(text) => Cow::Owned(escape(&text).into_owned()),
        },
        Value::Number(number) => Cow::Owned(number.to_string()),
        Value::Flag(true) => Cow::Borrowed(key),
        Value::Flag(false) => Cow::Owned(format!("not {key}")),
        Value::Answer(yes) => Cow::Borrowed(if *yes { "yes" } else { "no" }),
        Value::Absent(word) => Cow::Borrowed(word),
    }
}

/// For a pipe: one row a line, a tab between the cells, nothing else.
#[derive(Default)]
pub(super) struct Tabs {
    /// The row that is being put together, so that it goes out in one piece; kept for its memory.
    line: Vec<u8>,
}

impl Render for Tabs {
    fn row(&mut self, out: &mut dyn Write, cells: &[Cell<'_>]) -> io::Result<()> {
        self.line.clear();
        for (at, (key, value)) in cells.iter().enumerate() {
            if at > 0 {
                self.line.push(b'\t');
            }
            match value {
                // Nearly all is printable ASCII, and goes out as it came.
                Value::Text(text) | Value::Words(text) if is_plain(text) => {
                    self.line.extend_from_slice(text);
                }
                value => self.line.extend_from_slice(show(key, value).as_bytes()),
            }
        }
        self.line.push(b'\n');
        out.write_all(&self.line)
    }

    fn end(&mut self, _: &mut dyn Write, _: Option<(&Error, &str)>) -> io::Result<()> {
        Ok(())
    }
}

/// Columns that a single row on a terminal may have before it is turned downwards.
const ACROSS: usize = 7;

/// For a terminal: the rows of a command in aligned columns, under their keys where there is more than one column.
pub(super) struct Table {
    colour: bool,
    keys: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    sorted: bool,
    /// Whether somebody waits for rows, and there are none yet.
    waits: bool,
}

/// Rows that are laid out together at most, which takes some ten megabytes: a listing without end must not fill the memory.
const TOGETHER: usize = 20_000;

impl Table {
    /// `lists` is whether people are told where there are no rows.
    pub(super) fn new(colour: bool, lists: bool) -> Self {
        Self {
            colour,
            keys: Vec::new(),
            rows: Vec::new(),
            sorted: false,
            waits: lists,
        }
    }

    fn print(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut rows = std::mem::take(&mut self.rows);
        if self.sorted {
            rows.sort();
        }
        let mut columns = Columns::new();
        // Never wrapped: a mailbox name broken over two lines can't be copied.
        columns
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        // One long row reads better downwards: each key with its value.
        let downwards = rows.len() == 1 && self.keys.len() > ACROSS;
        let heading = !downwards && self.keys.iter().filter(|key| !key.is_empty()).count() > 1;
        if downwards {
            let values = rows.pop().unwrap_or_default();
            columns.add_rows(
                self.keys
                    .iter()
                    .zip(values)
                    .map(|(key, value)| vec![(*key).to_owned(), value]),
            );
        } else {
            if heading {
                columns.add_row(self.keys.clone());
            }
            columns.add_rows(rows);
        }
        for column in columns.column_iter_mut() {
            column.set_padding((0, 2));
        }
        for (at, line) in columns.lines().enumerate() {
            let line = line.trim_end();
            if at == 0 && heading && self.colour {
                writeln!(out, "{}", Style::new().dimmed().paint(line))?;
            } else {
                writeln!(out, "{line}")?;
            }
        }
        Ok(())
    }
}

impl Render for Table {
    fn row(&mut self, out: &mut dyn Write, cells: &[Cell<'_>]) -> io::Result<()> {
        // A flag is its own heading: the word in the row says it all.
        let heading = |(key, value): &Cell<'_>| {
            if matches!(value, Value::Flag(_)) {
                ""
            } else {
                *key
            }
        };
        let keys: Vec<_> = cells.iter().map(heading).collect();
        self.waits = false;
        if keys != self.keys || self.rows.len() >= TOGETHER {
            self.print(out)?;
            self.keys = keys;
        }
        self.rows.push(
            cells
                .iter()
                .map(|(key, value)| show(key, value).into_owned())
                .collect(),
        );
        Ok(())
    }

    fn sort(&mut self) {
        self.sorted = true;
    }

    fn end(&mut self, out: &mut dyn Write, error: Option<(&Error, &str)>) -> io::Result<()> {
        if self.waits && error.is_none() {
            // A person wants to see that something came back.
            return out.write_all(b"nothing to show\n");
        }
        self.print(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(render: &mut dyn Render) -> String {
        let mut out = Vec::new();
        for (mailbox, rights) in [("user.bob", "lrs"), ("user.bob.a\tb", "")] {
            render
                .row(
                    &mut out,
                    &[
                        ("mailbox", Value::str(mailbox)),
                        ("rights", Value::str(rights)),
                    ],
                )
                .unwrap();
        }
        render
            .row(
                &mut out,
                &[
                    ("mailbox", Value::str("北京")),
                    ("created", Value::Flag(true)),
                ],
            )
            .unwrap();
        render.end(&mut out, None).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_pipe_gets_tabs_and_nothing_that_could_be_taken_for_one() {
        assert_eq!(
            rows(&mut Tabs::default()),
            "user.bob\tlrs\nuser.bob.a\\tb\t\n北京\tcreated\n"
        );
    }

    #[test]
    fn only_who_waits_for_rows_is_told_that_there_are_none() {
        for (lists, expected) in [(true, "nothing to show\n"), (false, "")] {
            let (mut out, mut table) = (Vec::new(), Table::new(false, lists));
            table.end(&mut out, None).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn an_answer_is_one_column_with_the_others() {
        let (mut out, mut table) = (Vec::new(), Table::new(false, false));
        for value in [Value::str("x"), Value::Answer(false), Value::Answer(true)] {
            table
                .row(&mut out, &[("item", Value::str("i")), ("value", value)])
                .unwrap();
        }
        table.end(&mut out, None).unwrap();
        let expected = "item  value\ni     x\ni     no\ni     yes\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_terminal_gets_columns() {
        assert_eq!(
            rows(&mut Table::new(false, false)),
            "mailbox        rights\nuser.bob       lrs\nuser.bob.a\\tb\n北京  created\n"
        );
    }
}
