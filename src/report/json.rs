//! JSON: one object a line for each command, its rows as they come and its verdict last.

use std::io::{self, Write};

use imapadm::visible::{is_plain, is_visible};
use imapadm::{Account, Error};
use serde::Serialize as _;
use serde_json::ser::Formatter;

use super::{Cell, Place, Render, Value};

/// Renders `{"command":…,"line":…,"rows":[…],"ok":…}`.
#[derive(Default)]
pub(super) struct Lines {
    rows: bool,
    account: Option<Account>,
}

impl Render for Lines {
    fn begin(&mut self, out: &mut dyn Write, command: &str, place: &Place) -> io::Result<()> {
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
                Value::Text(text) => string(out, &String::from_utf8_lossy(text))?,
                Value::Number(number) => write!(out, "{number}")?,
                Value::Flag(flag) | Value::Answer(flag) => write!(out, "{flag}")?,
                Value::Absent(_) => out.write_all(b"null")?,
                Value::Words(words) => {
                    let words = String::from_utf8_lossy(words);
                    array(out, words.split(' ').filter(|word| !word.is_empty()))?;
                }
            }
        }
        out.write_all(b"}")
    }

    fn account(&mut self, account: Account) {
        self.account = Some(account);
    }

    fn end(&mut self, out: &mut dyn Write, error: Option<(&Error, &str)>) -> io::Result<()> {
        match error {
            None => {
                out.write_all(b"],\"ok\":true")?;
                if let Some(account) = self.account.take() {
                    out.write_all(b",\"account\":")?;
                    counts(out, &account)?;
                }
                out.write_all(b"}\n")
            }
            Some((error, text)) => {
                out.write_all(b"],\"ok\":false,\"error\":{\"kind\":")?;
                string(out, error.kind())?;
                out.write_all(b",\"code\":")?;
                match error.code() {
                    Some(code) => string(out, code.as_str())?,
                    None => out.write_all(b"null")?,
                }
                out.write_all(b",\"text\":")?;
                string(out, text)?;
                if error.is_unknown() {
                    out.write_all(b",\"unknown\":true")?;
                }
                if let Some(account) = error.account() {
                    out.write_all(b",\"account\":")?;
                    counts(out, account)?;
                }
                out.write_all(b"}}\n")
            }
        }
    }
}

/// The last line of a run that did not go well.
pub(super) fn sum(out: &mut dyn Write, account: &Account, status: u8) -> io::Result<()> {
    out.write_all(b"{\"summary\":")?;
    counts(out, account)?;
    writeln!(out, ",\"exit\":{status}}}")
}

fn counts(out: &mut dyn Write, account: &Account) -> io::Result<()> {
    for (at, (name, count)) in account.entries().into_iter().enumerate() {
        let before = if at > 0 { "," } else { "{" };
        write!(out, "{before}\"{name}\":{count}")?;
    }
    out.write_all(b"}")
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
    let mut json = serde_json::Serializer::with_formatter(out, Visible);
    text.serialize(&mut json).map_err(io::Error::from)
}

/// JSON is shown on terminals too: what is not safe there is escaped, which leaves the value what it is.
struct Visible;

impl Formatter for Visible {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        if is_plain(fragment.as_bytes()) {
            return out.write_all(fragment.as_bytes());
        }
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| !is_visible(*c)) {
            out.write_all(&rest.as_bytes()[..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use imapadm::visible::all_visible;
    use proptest::prelude::*;

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
        lines
            .end(&mut out, error.map(|error| (error, "why")))
            .unwrap();
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
            ("attributes", Value::words(["\\HasChildren", "\\Marked"])),
        ];
        let value = render(None, &[row, row]);
        assert_eq!(value["rows"].as_array().unwrap().len(), 2);
        assert_eq!(value["rows"][0]["mailbox"], "a\"\n\u{1b}ü");
        assert_eq!(value["rows"][1]["limit"], serde_json::Value::Null);
        let attributes = serde_json::json!(["\\HasChildren", "\\Marked"]);
        assert_eq!(value["rows"][0]["attributes"], attributes);
        assert_eq!(value["ok"], true);
        let value = render(Some(&Error::NothingSelected), &[]);
        assert_eq!(value["ok"], false);
        assert_eq!(value["error"]["kind"], "nothing-selected");
        assert_eq!(value["error"]["text"], "why");
    }

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        string(&mut out, text).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_a_terminal_obeys_or_hides_is_escaped() {
        assert_eq!(
            written("ü\u{9b}2J \u{7f}\u{202e}\u{200b}\u{a0}北\u{e0041}\u{1d173}\n\""),
            r#""ü\u009b2J \u007f\u202e\u200b\u00a0北\udb40\udc41\ud834\udd73\n\"""#
        );
    }

    proptest! {
        #[test]
        fn any_text_is_safe_and_keeps_its_value(text in "(.|[\0-\u{ff}\u{2000}-\u{206f}\u{fe0f}\u{e0041}]){0,20}") {
            let json = written(&text);
            prop_assert!(all_visible(&json), "{json:?}");
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
