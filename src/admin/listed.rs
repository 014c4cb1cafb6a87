//! One mailbox of a listing: how a LIST or LSUB response is read, also in the forms that servers send against the grammar.
//!
//! Not here: asking for a listing (`mailbox`), and keeping a long one (`mailboxes`).

use std::borrow::Cow;
use std::ops::Range;

use crate::session::MailboxName;
use crate::wire::cursor::{Cursor, ParseError};
use crate::wire::response::Data;

/// One mailbox of a listing (RFC 3501 section 7.2.2, RFC 5258), borrowed from the response.
#[derive(Debug, Clone)]
pub struct Listed<'a> {
    /// Its name as the server has it.
    pub mailbox: Cow<'a, [u8]>,
    /// The hierarchy separator; `None` for a flat name.
    pub separator: Option<u8>,
    /// Its attributes, still as they were sent: `\HasChildren \Noselect`.
    attributes: &'a [u8],
}

impl<'a> Listed<'a> {
    pub(super) fn new(mailbox: Cow<'a, [u8]>, separator: Option<u8>, attributes: &'a [u8]) -> Self {
        Self {
            mailbox,
            separator,
            attributes,
        }
    }

    /// Reads what stands behind `LIST` or `LSUB`; extended items (RFC 5258 section 3.3) are passed over.
    pub(super) fn read(body: Cursor<'a>) -> Result<Self, ParseError> {
        Self::read_like(body, &mut Head::default())
    }

    /// The same, knowing what stood before the name of the mailbox before.
    pub(super) fn read_like(mut body: Cursor<'a>, head: &mut Head) -> Result<Self, ParseError> {
        let line = body.rest();
        if !head.text.is_empty() && body.same(&head.text).is_some() {
            return Ok(Self {
                mailbox: read_name(&mut body)?,
                separator: head.separator,
                attributes: line.get(head.attributes.clone()).unwrap_or_default(),
            });
        }
        body.expect_open()?;
        let attributes = body.rest();
        while body.close().is_none() {
            body.expect_flag()?;
            body.skip_spaces();
        }
        let start = line.len() - attributes.len();
        let length = attributes.len() - body.rest().len() - 1;
        let attributes = attributes[..length].trim_ascii_end();
        body.expect_space()?;
        let separator = read_separator(&mut body)?;
        body.expect_space()?;
        head.text.clear();
        head.text
            .extend_from_slice(&line[..line.len() - body.rest().len()]);
        head.attributes = start..start + attributes.len();
        head.separator = separator;
        Ok(Self {
            mailbox: read_name(&mut body)?,
            separator,
            attributes,
        })
    }

    /// Its attributes (`\HasChildren`, `\Noselect` and others), as the server wrote them.
    pub fn attributes(&self) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        self.attributes
            .split(|&b| b == b' ')
            .filter(|word| !word.is_empty())
            .map(text)
    }

    /// The same in one piece, untrusted: words parted by spaces.
    pub fn attribute_words(&self) -> &'a [u8] {
        self.attributes
    }

    /// Whether it has an attribute; case does not count.
    pub fn has(&self, attribute: &str) -> bool {
        self.attributes
            .split(|&b| b == b' ')
            .any(|word| word.eq_ignore_ascii_case(attribute.as_bytes()))
    }

    /// Whether it is only a place in the hierarchy, with no mailbox there: \Noselect or \NonExistent.
    pub fn is_only_a_name(&self) -> bool {
        self.has("\\Noselect") || self.has("\\NonExistent")
    }

    /// The same, owned.
    pub fn to_mailbox(&self) -> Mailbox {
        Mailbox {
            name: MailboxName::from_wire(&self.mailbox),
            separator: self.separator,
            attributes: self.attributes().map(Cow::into_owned).collect(),
        }
    }
}

/// What stands before a name in a LIST response: mostly the same, line after line, so that it need only be compared.
#[derive(Default)]
pub(super) struct Head {
    /// From the opening parenthesis to the space before the name.
    text: Vec<u8>,
    /// Where in it the attributes stand.
    attributes: Range<usize>,
    separator: Option<u8>,
}

/// The hierarchy separator: one character in quotes, or NIL (RFC 3501 section 9, mailbox-list).
pub(super) fn read_separator(body: &mut Cursor<'_>) -> Result<Option<u8>, ParseError> {
    let mut ahead = *body;
    // A backslash that should be escaped. What stands behind it tells it from the beginning of a longer string.
    if ahead.same(br#""\""#).is_some() && matches!(ahead.peek(), Some(b' ' | b')')) {
        *body = ahead;
        return Ok(Some(b'\\'));
    }
    let before = *body;
    match body.expect_nstring()?.as_deref() {
        None => Ok(None),
        Some([separator]) => Ok(Some(*separator)),
        Some(_) => Err(before.error("a hierarchy separator")),
    }
}

/// The name, and what may stand behind it.
fn read_name<'a>(body: &mut Cursor<'a>) -> Result<Cow<'a, [u8]>, ParseError> {
    // Mostly nothing is quoted and nothing stands behind it.
    if let Some(name) = body.bare_rest() {
        return Ok(Cow::Borrowed(name));
    }
    body.skip_spaces();
    let line = *body;
    let mailbox = body.expect_astring("a mailbox")?;
    if body.is_end() {
        return Ok(mailbox);
    }
    if !line.is_bare() {
        body.expect_space()?;
        read_extended(body, |_| true)?;
        return Ok(mailbox);
    }
    read_bare_name(line)
}

/// A name that is neither quoted nor a literal, with more behind it.
///
/// Some servers send names with spaces bare, so that it ends where the line does. What the grammar allows behind a name is told from a part
/// of such a name by its form; where both are possible nobody can tell, and to take less than the name would make it another mailbox.
fn read_bare_name(line: Cursor<'_>) -> Result<Cow<'_, [u8]>, ParseError> {
    let name = line.rest().trim_ascii_end();
    let mut body = line;
    let word = body.expect_astring("a mailbox")?;
    if body.space().is_some() && read_extended(&mut body, is_known_tag).is_ok_and(|items| items > 0)
    {
        return Ok(word);
    }
    let error = || line.error("a mailbox in quotes, as more stands behind it");
    let is_list = |two: &[u8]| two == b"(\"";
    if name.iter().any(u8::is_ascii_control) || name.windows(2).any(is_list) {
        return Err(error());
    }
    for (count, at) in memchr::memchr_iter(b'(', name).enumerate() {
        let mut tail = Cursor::new(&name[at..]);
        if count == MOST_PARENTHESES || read_extended(&mut tail, |_| true).is_ok() {
            return Err(error());
        }
    }
    Ok(Cow::Borrowed(name))
}

/// More than any mailbox has in its name.
const MOST_PARENTHESES: usize = 16;

/// The extended items behind a name (RFC 5258 section 6, mbox-list-extended), up to the end of the line: pairs of a tag and a value. Returns
/// how many.
fn read_extended(
    body: &mut Cursor<'_>,
    is_tag: impl Fn(&Cursor<'_>) -> bool,
) -> Result<usize, ParseError> {
    let mut items = 0;
    body.expect_open()?;
    while body.close().is_none() {
        if !is_tag(body) {
            return Err(body.error("the tag of an extended item"));
        }
        body.expect_astring("the tag of an extended item")?;
        body.expect_space()?;
        body.expect_value()?;
        body.skip_spaces();
        items += 1;
    }
    body.expect_end()?;
    Ok(items)
}

/// Whether a tag stands here that can't be a part of a mailbox's name: a registered one, or one in quotes.
fn is_known_tag(body: &Cursor<'_>) -> bool {
    let word = body.clone().astring();
    !body.is_bare()
        || word.is_some_and(|word| {
            [&b"CHILDINFO"[..], b"OLDNAME"]
                .iter()
                .any(|tag| word.eq_ignore_ascii_case(tag))
        })
}

/// What a server wrote; `from_utf8_lossy` takes three times as long for what is valid.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// One mailbox of a listing (RFC 3501 section 7.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// Its name.
    pub name: MailboxName,
    /// The hierarchy separator; `None` for a flat name.
    pub separator: Option<u8>,
    /// Its attributes, as the server wrote them: `\HasChildren`, `\Noselect`.
    pub attributes: Vec<String>,
}

impl Mailbox {
    /// Whether it has an attribute; case does not count.
    pub fn has(&self, attribute: &str) -> bool {
        self.attributes
            .iter()
            .any(|have| have.eq_ignore_ascii_case(attribute))
    }

    /// Whether it is only a place in the hierarchy, with no mailbox there: \Noselect or \NonExistent.
    pub fn is_only_a_name(&self) -> bool {
        self.has("\\Noselect") || self.has("\\NonExistent")
    }
}

/// The names of a LIST response that announces a mailbox under another name than it was asked for or had before
/// (OLDNAME, RFC 9051 section 6.3.9.7): the one that it has now, and that one.
pub(super) fn announced(data: &Data<'_>) -> Option<(MailboxName, MailboxName)> {
    if !data.is("LIST") {
        return None;
    }
    let mut body: Cursor<'_> = data.body;
    body.value()?;
    body.skip_spaces();
    body.value()?;
    body.skip_spaces();
    let now = MailboxName::from_wire(&body.astring()?);
    body.skip_spaces();
    body.open()?;
    while body.close().is_none() {
        let tag = body.astring()?;
        body.skip_spaces();
        if tag.eq_ignore_ascii_case(b"OLDNAME") {
            body.open()?;
            return Some((now, MailboxName::from_wire(&body.astring()?)));
        }
        body.value()?;
        body.skip_spaces();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::response::{Response, Untagged, parse};

    fn read(line: &str) -> Result<Mailbox, ParseError> {
        match parse(line.as_bytes()).unwrap() {
            Response::Untagged(Untagged::Data(data)) => {
                Listed::read(data.body).map(|listed| listed.to_mailbox())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_form_of_a_list_line() {
        for (line, name, separator, attributes) in [
            (
                "* LIST (\\HasChildren) \".\" INBOX",
                "INBOX",
                Some(b'.'),
                &["\\HasChildren"][..],
            ),
            ("* LIST () \"/\" \"sp ace\"", "sp ace", Some(b'/'), &[]),
            (
                "* LIST (\\Noselect \\HasChildren) \"\\\\\" \"a\\\"b\"",
                "a\"b",
                Some(b'\\'),
                &["\\Noselect", "\\HasChildren"],
            ),
            ("* LIST () NIL flat", "flat", None, &[]),
            ("* LIST () \"/\" {3}\r\na b", "a b", Some(b'/'), &[]),
            ("* LSUB () \".\" br]acket", "br]acket", Some(b'.'), &[]),
            (
                "* LIST (\\Subscribed) \"/\" foo (\"CHILDINFO\" (\"SUBSCRIBED\"))",
                "foo",
                Some(b'/'),
                &["\\Subscribed"],
            ),
            ("* LIST () \".\" INBOX.A&-B", "INBOX.A&B", Some(b'.'), &[]),
            ("* LIST () \"/\" Sent Items", "Sent Items", Some(b'/'), &[]),
            (
                "* LIST () \"/\" Sent  \"old\" ",
                "Sent  \"old\"",
                Some(b'/'),
                &[],
            ),
            ("* LIST () \"/\" Sent (old)", "Sent (old)", Some(b'/'), &[]),
            ("* LIST () \"/\" Sent(old", "Sent(old", Some(b'/'), &[]),
            (
                "* LIST () \"/\" foo (CHILDINFO (SUBSCRIBED))",
                "foo",
                Some(b'/'),
                &[],
            ),
            (
                "* LIST () \"/\" foo (\"X\" (1 2) \"Y\" 3)",
                "foo",
                Some(b'/'),
                &[],
            ),
            ("* LIST () \"/\" \"foo\" (X Y)", "foo", Some(b'/'), &[]),
            ("* LIST () \"\\\" foo", "foo", Some(b'\\'), &[]),
            ("* LIST () \"\\\" \"a b\"", "a b", Some(b'\\'), &[]),
            ("* LIST () \"\\\"\" foo", "foo", Some(b'"'), &[]),
            ("* LIST ( )  \"/\"  foo  ", "foo", Some(b'/'), &[]),
            (
                "* LIST ( \\Marked  \\HasChildren ) \"/\" foo",
                "foo",
                Some(b'/'),
                &["\\Marked", "\\HasChildren"],
            ),
        ] {
            let mailbox = read(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(mailbox.name.to_string(), name, "{line}");
            assert_eq!(mailbox.separator, separator, "{line}");
            assert_eq!(mailbox.attributes, attributes, "{line}");
        }
    }

    #[test]
    fn a_line_like_the_one_before_is_read_like_it() {
        let body = |line: &'static str| match parse(line.as_bytes()).unwrap() {
            Response::Untagged(Untagged::Data(data)) => data.body,
            other => panic!("{other:?}"),
        };
        for head in [
            "* LIST () \".\" ",
            "* LIST (\\HasChildren \\Marked) \"/\" ",
            "* LIST (  \\HasChildren ) NIL  ",
        ] {
            let mut memory = Head::default();
            for name in ["INBOX", "\"a b\"", "c"] {
                let line: &'static str = format!("{head}{name}").leak();
                let like = Listed::read_like(body(line), &mut memory).unwrap();
                let anew = Listed::read(body(line)).unwrap();
                assert_eq!(like.mailbox, anew.mailbox, "{line}");
                assert_eq!(like.separator, anew.separator, "{line}");
                assert_eq!(like.attribute_words(), anew.attribute_words(), "{line}");
                assert_eq!(like.attribute_words().trim_ascii(), like.attribute_words());
            }
        }
    }

    #[test]
    fn a_broken_list_line_says_where() {
        for line in [
            "* LIST",
            "* LIST (\\HasNo",
            "* LIST () \".\"",
            "* LIST () \"\" x",
            "* LIST () \"..\" x",
            "* LIST () . x",
            "* LIST () \".\" \"a\" b",
            "* LIST () \".\" \"a\"b",
            "* LIST () \".\" \"a\" (x)",
            "* LIST () \".\" \"a\" (x y) z",
            "* LIST () \".\" a ()",
            "* LIST () \".\" a (x y)",
            "* LIST () \".\" a b (\"CHILDINFO\" (\"SUBSCRIBED\"))",
            "* LIST () \".\" a(\"CHILDINFO\" (\"SUBSCRIBED\"))",
            "* LIST () \".\" a (\"CHILDINFO\" (\"SUBSCRIBED\")",
            "* LIST () \".\" a b\x01",
            "* LIST () \".\" a {1}\r\nb",
            "* LIST () \".\" {1}\r\na b",
            "* LIST () \".\" (a)",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
