//! JSON: one object a line for each command, its rows as they come and its verdict last.

use std::io::{self, Write};

use imapadm::Error;

use super::{Cell, Place, Render, Value};

/// Renders `{"command":…,"line":…,"rows":[…],"ok":…}`.
#[derive(Default)]
pub(super) struct Lines {
    rows: bool,
}

impl Render for Lines {
    fn begin(&mut self, out: &mut dyn Write, command: &str, place: &Place) -> io::Result<()> {
        self.rows = false;
        out.write_all(b"{\"command\":")?;
        string(out, command)?;
        if let Some(file) = &place.file {
            out.write_all(b",\"file\":")?;
            string(out, file)?;
        }
        write!(out, ",\"line\":{},\"rows\":[", place.line)
    }

    fn row(&mut self, out: &mut dyn Write, cells: &[Cell<'_>]) -> io::Result<()> {
        out.write_all(if self.rows { b",{" } else { b"{" })?;
        self.rows = true;
        for (at, (key, value)) in cells.iter().enumerate() {
            if at > 0 {
                out.write_all(b",")?;
            }
            string(out, key)?;
            out.write_all(b":")?;
            match value {
                Value::Text(text) => string(out, text)?,
                Value::Number(number) => write!(out, "{number}")?,
                Value::Flag(flag) => write!(out, "{flag}")?,
                Value::Absent(_) => out.write_all(b"null")?,
                Value::Words(words) => array(out, words.iter().map(|word| &**word))?,
                Value::Spaced(words) => {
                    let words = String::from_utf8_lossy(words);
                    array(out, words.split(' ').filter(|word| !word.is_empty()))?;
                }
                Value::Ascii(text) => string(out, &String::from_utf8_lossy(text))?,
            }
        }
        out.write_all(b"}")
    }

    fn end(&mut self, out: &mut dyn Write, error: Option<&Error>) -> io::Result<()> {
        match error {
            None => out.write_all(b"],\"ok\":true}\n"),
            Some(error) => {
                out.write_all(b"],\"ok\":false,\"error\":{\"kind\":")?;
                string(out, error.kind())?;
                out.write_all(b",\"code\":")?;
                match error.code() {
                    Some(code) => string(out, code)?,
                    None => out.write_all(b"null")?,
                }
                out.write_all(b",\"text\":")?;
                string(out, &error.to_string())?;
                if error.is_unknown() {
                    out.write_all(b",\"unknown\":true")?;
                }
                if let Some(account) = error.account() {
                    out.write_all(b",\"account\":{")?;
                    for (at, (name, count)) in account.entries().into_iter().enumerate() {
                        let comma = if at > 0 { "," } else { "" };
                        write!(out, "{comma}\"{name}\":{count}")?;
                    }
                    out.write_all(b"}")?;
                }
                out.write_all(b"}}\n")
            }
        }
    }
}

fn array<'a>(out: &mut dyn Write, words: impl Iterator<Item = &'a str>) -> io::Result<()> {
    out.write_all(b"[")?;
    for (at, word) in words.enumerate() {
        if at > 0 {
            out.write_all(b",")?;
        }
        string(out, word)?;
    }
    out.write_all(b"]")
}

fn string(out: &mut dyn Write, text: &str) -> io::Result<()> {
    serde_json::to_writer(out, text).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(error: Option<&Error>, rows: &[&[Cell<'_>]]) -> serde_json::Value {
        let mut out = Vec::new();
        let mut lines = Lines::default();
        lines
            .begin(
                &mut out,
                "listacl",
                &Place {
                    file: None,
                    line: 1,
                },
            )
            .unwrap();
        for row in rows {
            lines.row(&mut out, row).unwrap();
        }
        lines.end(&mut out, error).unwrap();
        assert_eq!(out.iter().filter(|&&b| b == b'\n').count(), 1);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn every_value_and_both_verdicts() {
        let row: &[Cell<'_>] = &[
            ("mailbox", Value::str("a\"\n\u{1b}ü")),
            ("usage", Value::Number(3)),
            ("created", Value::Flag(true)),
            ("limit", Value::Absent("none")),
            ("attributes", Value::Words(vec!["\\HasChildren".into()])),
        ];
        let value = render(None, &[row, row]);
        assert_eq!(value["rows"].as_array().unwrap().len(), 2);
        assert_eq!(value["rows"][0]["mailbox"], "a\"\n\u{1b}ü");
        assert_eq!(value["rows"][1]["limit"], serde_json::Value::Null);
        assert_eq!(value["ok"], true);
        let value = render(Some(&Error::NothingSelected), &[]);
        assert_eq!(value["ok"], false);
        assert_eq!(value["error"]["kind"], "nothing-selected");
    }
}
