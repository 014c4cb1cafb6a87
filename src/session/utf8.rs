//! Servers that speak IMAP4rev2 alone (RFC 9051) and have mailbox names in UTF-8, not in modified UTF-7.
//!
//! Everything above has each name in the one form of RFC 3501, so that a name is typed, shown, compared and completed in the same way on
//! every server. Here the names in what such a server sends are brought into that form; what is sent to it,
//! [`Encoder::mailbox`](crate::wire::encode::Encoder::mailbox) brings back.

use crate::wire::response::{Response, Untagged, parse};
use crate::wire::utf7;

/// The response with the names in it in modified UTF-7; `None` where it holds none in another form.
pub(super) fn with_names_in_utf7(response: &[u8]) -> Option<Vec<u8>> {
    if response.iter().all(|byte| byte.is_ascii() && *byte != b'&') {
        return None;
    }
    let Ok(Response::Untagged(Untagged::Data(data))) = parse(response) else {
        return None;
    };
    let mut cursor = data.body;
    // How many values stand before the first name, and how many names there are.
    let (before, names) = if data.is("LIST") || data.is("LSUB") {
        (2, 1)
    } else if data.is("QUOTAROOT") {
        (0, usize::MAX)
    } else if [
        "STATUS",
        "ACL",
        "MYRIGHTS",
        "LISTRIGHTS",
        "QUOTA",
        "METADATA",
    ]
    .iter()
    .any(|keyword| data.is(keyword))
    {
        (0, 1)
    } else if data.is("NAMESPACE") {
        return namespaces(response, cursor.offset());
    } else {
        return None;
    };
    for _ in 0..before {
        cursor.skip_spaces();
        cursor.value()?;
    }
    let mut converted = Vec::with_capacity(response.len());
    let mut copied = 0;
    for _ in 0..names {
        cursor.skip_spaces();
        let start = cursor.offset();
        let Some(name) = cursor.astring() else {
            break;
        };
        if let Some(text) = in_utf7(&name) {
            converted.extend_from_slice(&response[copied..start]);
            quote(&text, &mut converted);
            copied = cursor.offset();
        }
    }
    converted.extend_from_slice(&response[copied..]);
    Some(converted)
}

/// The prefixes are the only strings in NAMESPACE (RFC 2342) that are not plain ASCII.
fn namespaces(response: &[u8], start: usize) -> Option<Vec<u8>> {
    let (mut converted, mut rest) = (response[..start].to_vec(), &response[start..]);
    while let Some(at) = rest.iter().position(|byte| *byte == b'"') {
        let (before, string) = rest.split_at(at);
        converted.extend_from_slice(before);
        let mut cursor = crate::wire::cursor::Cursor::new(string);
        let text = cursor.string()?;
        match in_utf7(&text) {
            Some(text) => quote(&text, &mut converted),
            None => converted.extend_from_slice(&string[..cursor.offset()]),
        }
        rest = cursor.rest();
    }
    converted.extend_from_slice(rest);
    Some(converted)
}

/// A name in UTF-8 in modified UTF-7, where that is another form. What is no UTF-8 stays as it is.
fn in_utf7(name: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(name).ok()?;
    let encoded = utf7::encode(text);
    (encoded.as_bytes() != name).then_some(encoded)
}

fn quote(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_and_nothing_else() {
        for (response, converted) in [
            (
                "* LIST (\\HasNoChildren) \"/\" Zoë",
                Some("* LIST (\\HasNoChildren) \"/\" \"Zo&AOs-\""),
            ),
            (
                "* LIST () \"/\" \"R&D\" (\"CHILDINFO\" (\"x\"))",
                Some("* LIST () \"/\" \"R&-D\" (\"CHILDINFO\" (\"x\"))"),
            ),
            (
                "* LIST () NIL {4}\r\nZoë",
                Some("* LIST () NIL \"Zo&AOs-\""),
            ),
            (
                "* STATUS \"Zo\\\"ë\" (MESSAGES 3)",
                Some("* STATUS \"Zo\\\"&AOs-\" (MESSAGES 3)"),
            ),
            ("* ACL \"Zoë\" joë lr", Some("* ACL \"Zo&AOs-\" joë lr")),
            (
                "* QUOTAROOT \"Zoë\" ü a \"R&D\"",
                Some("* QUOTAROOT \"Zo&AOs-\" \"&APw-\" a \"R&-D\""),
            ),
            (
                "* METADATA a (/shared/comment \"für &\")",
                Some("* METADATA a (/shared/comment \"für &\")"),
            ),
            (
                "* NAMESPACE ((\"\" \"/\")) NIL ((\"Größe/\" \"/\"))",
                Some("* NAMESPACE ((\"\" \"/\")) NIL ((\"Gr&APYA3w-e/\" \"/\"))"),
            ),
            ("* LIST () \"/\" plain", None),
            ("* OK Zoë & me", None),
            ("* 3 FETCH (ENVELOPE \"Zoë\")", None),
        ] {
            let shown = with_names_in_utf7(response.as_bytes());
            let shown = shown.map(|bytes| String::from_utf8(bytes).unwrap());
            assert_eq!(shown.as_deref(), converted, "{response}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(rest in prop::collection::vec(any::<u8>(), 0..40), kind in 0usize..4) {
            let keyword = ["LIST", "QUOTAROOT", "NAMESPACE", "ACL"][kind];
            let _ = with_names_in_utf7(&[b"* ", keyword.as_bytes(), b" ", &rest].concat());
        }
    }
}
