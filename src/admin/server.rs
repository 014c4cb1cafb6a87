//! The server itself: ID, NAMESPACE, the hierarchy separator, NOOP, CAPABILITY.

use crate::error::{Advice, Error, Refusal};
use crate::session::{
    Bare, Capabilities, Effect, Extension, Fit, MailboxName, Namespace, Namespaces, Request,
    Session, State,
};
use crate::wire::cursor::{Cursor, ParseError};
use crate::wire::encode::Encoder;
use crate::wire::response::{Data, Status};

use super::listed::{Listed, read_separator};
use super::mailbox::LISTINGS;

/// ID allows 30 fields (RFC 2971 section 3.3); a hostile server must not fill the memory.
const MOST_FIELDS: usize = 100;

/// ID (RFC 2971); tells the server this program's name and version.
#[derive(Debug, Clone, Default)]
pub struct Id {
    reply: Vec<(String, Option<String>)>,
}

impl Request for Id {
    /// Field and value, in the server's order; empty where it says nothing of itself.
    type Reply = Vec<(String, Option<String>)>;
    fn verb(&self) -> &'static str {
        "ID"
    }
    fn effect(&self) -> Effect {
        Effect::Read
    }
    fn extension(&self) -> Option<Extension> {
        Some(Extension {
            name: "ID",
            implied_by: &[],
            rfc: "RFC 2971",
        })
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command.atom("ID").space().open();
        command
            .string(b"name")
            .space()
            .string(env!("CARGO_PKG_NAME").as_bytes())
            .space();
        command
            .string(b"version")
            .space()
            .string(env!("CARGO_PKG_VERSION").as_bytes())
            .close();
    }
    fn take(&mut self, data: &Data<'_>, _: Fit<'_>) -> Result<bool, ParseError> {
        if !data.is("ID") {
            return Ok(false);
        }
        let mut body = data.body;
        if body.nil().is_some() {
            body.expect_end()?;
            return Ok(true);
        }
        body.expect_open()?;
        while body.close().is_none() {
            let field = String::from_utf8_lossy(&body.expect_string()?).into_owned();
            body.expect_space()?;
            let value = body
                .expect_nstring()?
                .map(|value| String::from_utf8_lossy(&value).into_owned());
            if self.reply.len() >= MOST_FIELDS {
                return Err(body.error("fewer ID fields"));
            }
            self.reply.push((field, value));
            body.skip_spaces();
        }
        body.expect_end()?;
        Ok(true)
    }
    fn finish(self, _: &Status<'_>, _: &mut State) -> Result<Self::Reply, Error> {
        Ok(self.reply)
    }
}

/// NAMESPACE (RFC 2342).
struct AskNamespace {
    reply: Option<Namespaces>,
}

impl Request for AskNamespace {
    type Reply = ();
    fn verb(&self) -> &'static str {
        "NAMESPACE"
    }
    fn effect(&self) -> Effect {
        Effect::Read
    }
    fn extension(&self) -> Option<Extension> {
        Some(Extension {
            name: "NAMESPACE",
            implied_by: &["IMAP4rev2"],
            rfc: "RFC 2342",
        })
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command.atom("NAMESPACE");
    }
    fn take(&mut self, data: &Data<'_>, _: Fit<'_>) -> Result<bool, ParseError> {
        if !data.is("NAMESPACE") {
            return Ok(false);
        }
        let mut body = data.body;
        let personal = namespaces(&mut body)?;
        body.expect_space()?;
        let other = namespaces(&mut body)?;
        body.expect_space()?;
        let shared = namespaces(&mut body)?;
        body.expect_end()?;
        self.reply = Some(Namespaces {
            personal,
            other,
            shared,
        });
        Ok(true)
    }
    fn finish(self, _: &Status<'_>, state: &mut State) -> Result<(), Error> {
        let missing = Error::Missing {
            verb: "NAMESPACE",
            missing: "NAMESPACE",
            advice: Advice::NameSeparator,
        };
        state.namespaces = Some(self.reply.ok_or(missing)?);
        Ok(())
    }
}

/// `LIST "" ""`, which tells the hierarchy separator (RFC 3501 section 6.3.8).
struct AskRoot {
    answer: Option<Option<u8>>,
}

impl Request for AskRoot {
    type Reply = Option<u8>;
    fn verb(&self) -> &'static str {
        "LIST"
    }
    fn effect(&self) -> Effect {
        Effect::Read
    }
    fn rivals(&self) -> &'static [&'static str] {
        LISTINGS
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command
            .atom("LIST")
            .space()
            .astring(b"")
            .space()
            .list_mailbox(b"");
    }
    fn take(&mut self, data: &Data<'_>, _: Fit<'_>) -> Result<bool, ParseError> {
        if !data.is("LIST") {
            return Ok(false);
        }
        let root = Listed::read(data.body)?;
        // The root has no name; another line is some mailbox's that is announced meanwhile.
        if self.answer.is_none() || root.mailbox.is_empty() {
            self.answer = Some(root.separator);
        }
        Ok(true)
    }
    fn finish(self, _: &Status<'_>, state: &mut State) -> Result<Option<u8>, Error> {
        // To take silence for a flat server would leave all that is below a mailbox out of sight.
        let separator = self.answer.ok_or(Error::Missing {
            verb: "LIST",
            missing: "LIST",
            advice: Advice::NameSeparator,
        })?;
        state.root_separator = Some(separator);
        Ok(separator)
    }
    fn refused(&self, _: &Refusal, _: &mut State) -> Option<Advice> {
        Some(Advice::NameSeparator)
    }
}

/// One of the three lists of a NAMESPACE response (RFC 2342 section 6); extensions behind the separator are passed over.
fn namespaces(body: &mut Cursor<'_>) -> Result<Vec<Namespace>, ParseError> {
    let mut list = Vec::new();
    if body.nil().is_some() {
        return Ok(list);
    }
    body.expect_open()?;
    while body.close().is_none() {
        body.expect_open()?;
        let prefix = MailboxName::from_wire(&body.expect_string()?);
        body.expect_space()?;
        let separator = read_separator(body)?.filter(u8::is_ascii);
        while body.close().is_none() {
            body.expect_space()?;
            body.expect_value()?;
        }
        list.push(Namespace { prefix, separator });
        body.skip_spaces();
    }
    Ok(list)
}

impl Session {
    /// Asks whether the server is there; it tells what is new on the way (RFC 3501 section 6.1.2).
    ///
    /// # Errors
    /// The connection was lost.
    pub fn noop(&mut self) -> Result<(), Error> {
        self.run(Bare("NOOP"))
    }

    /// What the server says of itself: field and value (RFC 2971).
    ///
    /// # Errors
    /// The server has no ID.
    pub fn id(&mut self) -> Result<Vec<(String, Option<String>)>, Error> {
        self.run(Id::default())
    }

    /// The server's capabilities, asked for only if it has not told them since the login.
    ///
    /// # Errors
    /// The connection was lost.
    pub fn capabilities(&mut self) -> Result<&Capabilities, Error> {
        self.known_capabilities()
    }

    /// The namespaces (RFC 2342), asked for once.
    ///
    /// # Errors
    /// The server has no NAMESPACE.
    pub fn namespaces(&mut self) -> Result<&Namespaces, Error> {
        if self.state().namespaces.is_none() {
            // It may have been asked for, and given up on, before.
            self.settle_all("NAMESPACE")?;
        }
        if self.state().namespaces.is_none() {
            self.run(AskNamespace { reply: None })?;
        }
        Ok(self.state_mut().namespaces.get_or_insert_default())
    }

    /// The hierarchy separator: as set by [`Options::separator`](crate::Options::separator), else from NAMESPACE, else
    /// from `LIST "" ""`. `None` where the server's names are flat.
    ///
    /// # Errors
    /// The connection was lost.
    pub fn separator(&mut self) -> Result<Option<u8>, Error> {
        if self.state().forced_separator.is_some() {
            return Ok(self.state().forced_separator);
        }
        match self.namespaces() {
            Ok(namespaces) => {
                if let Some(separator) = namespaces.separator() {
                    return Ok(Some(separator));
                }
            }
            Err(error) if error.is_grave() => return Err(error),
            // A server without NAMESPACE, or with one that can't be read, still answers LIST.
            Err(_) => {}
        }
        if self.state().root_separator.is_none() {
            self.settle_all("LIST")?;
        }
        if let Some(separator) = self.state().root_separator {
            return Ok(separator);
        }
        self.run(AskRoot { answer: None })
    }

    /// The hierarchy separator where `mailbox` is: namespaces may differ.
    ///
    /// # Errors
    /// As [`separator`](Self::separator).
    pub fn separator_for(&mut self, mailbox: &MailboxName) -> Result<Option<u8>, Error> {
        let general = self.separator()?;
        if self.state().forced_separator.is_some() {
            return Ok(general);
        }
        Ok(self
            .state()
            .namespaces()
            .and_then(|namespaces| namespaces.separator_for(mailbox.wire()))
            .or(general))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::response::{Response, Untagged, parse};

    fn read(line: &str) -> Result<Namespaces, ParseError> {
        let Response::Untagged(Untagged::Data(data)) = parse(line.as_bytes()).unwrap() else {
            panic!("{line}")
        };
        let mut request = AskNamespace { reply: None };
        assert!(request.take(&data, Fit::Exact)?);
        Ok(request.reply.unwrap())
    }

    #[test]
    fn namespaces_of_real_servers() {
        let cyrus = read("* NAMESPACE NIL ((\"user.\" \".\")) ((\"\" \".\"))").unwrap();
        assert_eq!(cyrus.separator(), Some(b'.'));
        assert!(cyrus.personal.is_empty());
        assert_eq!(cyrus.separator_for(b"user.bob"), Some(b'.'));

        let mixed = read("* NAMESPACE ((\"\" \"/\")) NIL ((\"#news.\" \".\" \"X-PARAM\" (\"a\" \"b\"))(\"flat\" NIL))").unwrap();
        assert_eq!(mixed.separator_for(b"#news.comp"), Some(b'.'));
        assert_eq!(mixed.separator_for(b"Archive"), Some(b'/'));
        assert_eq!(mixed.shared[1].separator, None);
    }

    #[test]
    fn broken_namespaces_are_errors() {
        for line in [
            "* NAMESPACE",
            "* NAMESPACE NIL NIL",
            "* NAMESPACE ((\"\" \".\") NIL NIL",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
