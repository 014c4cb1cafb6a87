use super::*;
use proptest::prelude::*;

fn string(bytes: &[u8]) -> Option<Vec<u8>> {
    Cursor::new(bytes).string().map(Cow::into_owned)
}

fn astring(bytes: &[u8]) -> Option<Vec<u8>> {
    Cursor::new(bytes).astring().map(Cow::into_owned)
}

#[test]
fn atoms() {
    assert_eq!(Cursor::new(b"ACL x").atom(), Some(&b"ACL"[..]));
    assert_eq!(Cursor::new(b"r\xc3\xa4t)").atom(), Some("rät".as_bytes()));
    for none in [
        &b""[..],
        b" ",
        b"(",
        b")",
        b"]",
        b"{",
        b"\"",
        b"\x01",
        b"%",
        b"\\",
    ] {
        let mut cursor = Cursor::new(none);
        assert_eq!(cursor.atom(), None);
        assert_eq!(cursor.offset(), 0);
    }
}

#[test]
fn strings() {
    assert_eq!(string(b"\"\""), Some(b"".to_vec()));
    assert_eq!(
        string(br#""li\"t\\er al" x"#),
        Some(br#"li"t\er al"#.to_vec())
    );
    assert_eq!(string(b"{3}\r\na\nbc"), Some(b"a\nb".to_vec()));
    assert_eq!(string(b"{0}\n"), Some(b"".to_vec()));
    assert_eq!(string(b"~{2+}\r\n\0\xff"), Some(b"\0\xff".to_vec()));
    for none in [
        &b"\"open"[..],
        b"\"",
        b"\"a\\",
        b"\"a\\\"",
        b"\"a\r\n\"",
        b"\"a\\\r\n\"",
        b"\"odd\\x\"",
        b"{4}\r\nabc",
        b"{4}abcd",
        b"{}\r\n",
        b"{1",
        b"~",
        b"~{",
        b"~a",
        b"{99999999999999999999999}\r\n",
        b"{18446744073709551615}\r\n",
        b"atom",
        b"",
    ] {
        let mut cursor = Cursor::new(none);
        assert_eq!(cursor.string(), None, "{}", none.escape_ascii());
        assert_eq!(cursor.offset(), 0);
    }
}

#[test]
fn only_escapes_cost_an_allocation() {
    for (bytes, borrowed) in [
        (&b"\"plain\""[..], true),
        (b"{5}\r\nplain", true),
        (b"plain", true),
        (b"\"pl\\\\ain\"", false),
    ] {
        let value = Cursor::new(bytes).astring().unwrap();
        assert_eq!(matches!(value, Cow::Borrowed(_)), borrowed);
    }
}

#[test]
fn mailboxes_that_servers_send_bare() {
    for name in [
        "INBOX.br]acket",
        "INBOX.back\\slash",
        "\\x",
        "per%cent",
        "st*ar",
        "brace{3}",
        "{3}x",
        "{x",
        "~tilde",
        "~{3}x",
        "A&-B",
        "[Gmail]/All",
        "käse",
        "NIL",
    ] {
        let line = format!("{name} rest");
        let mut cursor = Cursor::new(line.as_bytes());
        assert_eq!(
            cursor.expect_astring("a mailbox").as_deref(),
            Ok(name.as_bytes())
        );
        assert_eq!(cursor.rest(), b" rest");
    }
    for none in [&b""[..], b" a", b"(a)", b")", b"\"open", b"\r\n"] {
        assert_eq!(astring(none), None);
    }
}

#[test]
fn numbers_and_nil() {
    let mut cursor = Cursor::new(b"007) x");
    assert_eq!(cursor.number(), Some(7));
    assert_eq!(cursor.close(), Some(()));
    assert_eq!(
        Cursor::new(b"18446744073709551615").number(),
        Some(u64::MAX)
    );
    assert_eq!(Cursor::new(b"18446744073709551616").number(), None);
    assert_eq!(Cursor::new(b"-1").number(), None);
    assert_eq!(Cursor::new(b"nIl)").nstring(), Some(None));
    assert_eq!(Cursor::new(b"NIL").expect_nil(), Ok(()));
    assert_eq!(Cursor::new(b"NILS").nstring(), None);
    assert_eq!(Cursor::new(b"NI").nil(), None);
    assert_eq!(
        Cursor::new(b"\"NIL\"").expect_nstring(),
        Ok(Some(Cow::Borrowed(&b"NIL"[..])))
    );
}

#[test]
fn flags() {
    let mut cursor = Cursor::new(br"\Seen \* $kw \HasNoChildren \ x");
    let mut flags = Vec::new();
    while let Some(flag) = cursor.flag() {
        flags.push(flag);
        cursor.skip_spaces();
    }
    assert_eq!(flags, [&br"\Seen"[..], br"\*", b"$kw", br"\HasNoChildren"]);
    assert_eq!(cursor.rest(), br"\ x");
    assert_eq!(
        cursor.expect_flag(),
        Err(ParseError {
            offset: 28,
            expected: "a flag"
        })
    );
}

#[test]
fn values_however_nested() {
    for value in [
        "atom",
        "12",
        "\\Seen",
        "\"a \\\" (b\"",
        "{3}\r\n(\" ",
        "()",
        "( )",
        "(a ( b)(c) )",
        "(  a  )",
        "((\"#shared.\" \".\")(\"shared.\" \".\"))",
        "(BODY[HEADER.FIELDS (SUBJECT DATE)] {3}\r\n))) UID 1)",
        "(a ~{2}\r\n\0) NIL)",
    ] {
        let line = format!("{value} rest");
        let mut cursor = Cursor::new(line.as_bytes());
        assert_eq!(cursor.expect_value(), Ok(value.as_bytes()), "{value}");
        assert_eq!(cursor.rest(), b" rest");
    }
    for none in [
        &b""[..],
        b" ",
        b")",
        b"(",
        b"(a",
        b"(\"a)",
        b"(a\r\n)",
        b"({9}\r\nx)",
    ] {
        let mut cursor = Cursor::new(none);
        assert_eq!(cursor.value(), None, "{}", none.escape_ascii());
        assert_eq!(cursor.offset(), 0);
    }
}

#[test]
fn nesting_is_capped() {
    let too_deep = |offset| ParseError {
        offset,
        expected: TOO_DEEP,
    };
    let nested = |n| [b"(".repeat(n), b")".repeat(n)].concat();
    assert!(Cursor::new(&nested(MAX_DEPTH)).value().is_some());
    for n in [MAX_DEPTH + 1, 1_000_000] {
        let bomb = nested(n);
        assert_eq!(Cursor::new(&bomb).expect_value(), Err(too_deep(MAX_DEPTH)));
    }
    let bomb = b"(".repeat(100);
    let mut cursor = Cursor::new(&bomb);
    while cursor.open().is_some() {}
    assert_eq!(cursor.offset(), MAX_DEPTH);
    assert_eq!(cursor.expect_open(), Err(too_deep(MAX_DEPTH)));
    assert_eq!(cursor.expect_value(), Err(too_deep(MAX_DEPTH)));
    assert!(too_deep(3).to_string().contains("64"));
    // Lists side by side are not deep.
    let wide = b"()".repeat(1000);
    let mut cursor = Cursor::new(&wide);
    while cursor.open().is_some() {
        cursor.expect_close().unwrap();
    }
    assert!(cursor.is_end());
}

#[test]
fn errors_say_where_and_what() {
    let mut cursor = Cursor::new(b"LIST (\\Seen) \"/\" (x");
    cursor.atom();
    cursor.space();
    cursor.value();
    cursor.space();
    cursor.string();
    cursor.space();
    let error = cursor.expect_astring("a mailbox").unwrap_err();
    assert_eq!(error.to_string(), "at byte 17: expected a mailbox");
    assert!(cursor.expect_end().is_err());
    assert_eq!(cursor.text(), b"(x");
    assert_eq!(cursor.expect_end(), Ok(()));
}

#[test]
fn names_in_the_middle_of_a_line_are_found_by_offset() {
    let mut cursor = Cursor::at(b"0123", 99);
    assert_eq!(cursor.offset(), 4);
    assert_eq!((cursor.peek(), cursor.atom()), (None, None));
    assert_eq!(cursor.rest(), b"");
}

fn imapish() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just(b"(".to_vec()),
        Just(b")".to_vec()),
        Just(b" ".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"\\".to_vec()),
        Just(b"NIL".to_vec()),
        Just(b"{2}\r\n".to_vec()),
        Just(b"~{3+}\n".to_vec()),
        "[0-9{}]{1,4}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..5),
    ];
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn a_bare_rest_is_the_astring_that_ends_the_line(line in "[ -~]{0,24}|[a-z{}\"~.]{0,12}|[^\0]{0,12}") {
        let mut cursor = Cursor::new(line.as_bytes());
        let mut slow = cursor;
        if let Some(name) = cursor.bare_rest() {
            let word = slow.astring();
            prop_assert_eq!(word.as_deref(), Some(name));
            prop_assert!(slow.is_end() && cursor.is_end());
        }
    }

    #[test]
    fn no_reader_panics_and_none_moves_in_vain(
        bytes in imapish(),
        at in 0usize..50,
        readers in prop::collection::vec(0u8..16, 0..30),
    ) {
        let mut cursor = Cursor::at(&bytes, at);
        for reader in readers {
            let before = cursor;
            let (found, error) = match reader {
                0 => (cursor.atom().is_some(), before.clone().expect_atom().err()),
                1 => (cursor.string().is_some(), before.clone().expect_string().err()),
                2 => (cursor.astring().is_some(), before.clone().expect_astring("it").err()),
                3 => (cursor.nstring().is_some(), before.clone().expect_nstring().err()),
                4 => (cursor.number().is_some(), before.clone().expect_number().err()),
                5 => (cursor.nil().is_some(), before.clone().expect_nil().err()),
                6 => (cursor.flag().is_some(), before.clone().expect_flag().err()),
                7 => (cursor.open().is_some(), before.clone().expect_open().err()),
                8 => (cursor.close().is_some(), before.clone().expect_close().err()),
                9 => (cursor.value().is_some(), before.clone().expect_value().err()),
                10 => (cursor.space().is_some(), before.clone().expect_space().err()),
                _ => {
                    cursor.skip_spaces();
                    continue;
                }
            };
            prop_assert_eq!(found, error.is_none());
            if let Some(error) = error {
                prop_assert_eq!(cursor, before);
                prop_assert!(error.offset >= before.offset() && error.offset <= bytes.len());
            } else {
                prop_assert!(cursor.offset() > before.offset());
            }
            prop_assert_eq!(cursor.rest(), &bytes[cursor.offset()..]);
        }
    }

    #[test]
    fn what_is_quoted_reads_back(mut inner in prop::collection::vec(any::<u8>(), 0..50)) {
        inner.retain(|b| !matches!(b, b'\r' | b'\n'));
        let mut quoted = vec![b'"'];
        for byte in &inner {
            if matches!(byte, b'"' | b'\\') {
                quoted.push(b'\\');
            }
            quoted.push(*byte);
        }
        quoted.push(b'"');
        prop_assert_eq!(string(&quoted), Some(inner));
        prop_assert_eq!(Cursor::new(&quoted).value(), Some(&quoted[..]));
    }
}
