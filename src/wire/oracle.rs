//! imap-codec as the oracle: what it decodes, this room must read alike; what this room encodes, it
//! must decode to the same arguments. Tests only.
//!
//! The lines are recorded ones of Cyrus 3.6, Dovecot 2.3 and Courier 5, and generated ones.

use std::borrow::Cow;

use imap_codec::decode::Decoder;
use imap_codec::encode::Encoder as _;
use imap_codec::imap_types::command::{Command, CommandBody};
use imap_codec::imap_types::core::Text;
use imap_codec::imap_types::mailbox::{ListMailbox, Mailbox};
use imap_codec::imap_types::response as theirs;
use imap_codec::{CommandCodec, GreetingCodec, ResponseCodec};
use proptest::prelude::*;

use super::*;

mod commands;

/// Recorded lines, some of which imap-codec does not know.
const RECORDED: &[&str] = &[
    r#"* OK [CAPABILITY IMAP4rev1 LITERAL+ ID ENABLE STARTTLS AUTH=PLAIN SASL-IR] vm Cyrus IMAP 3.6.1-Debian-3.6.1-4+deb12u5 server ready"#,
    r#"* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ STARTTLS AUTH=PLAIN] Dovecot (Debian) ready."#,
    r#"* CAPABILITY IMAP4rev1 LITERAL+ ID ENABLE ACL CHILDREN QUOTA RIGHTS=kxten X-QUOTA=STORAGE APPENDLIMIT=4294967295"#,
    r#"a001 OK Completed"#,
    r#"a004 OK NIL"#,
    r#"a005 BAD Please login first"#,
    r#"a008 NO Login failed: authentication failure"#,
    r#"a010 OK [CAPABILITY IMAP4rev1 LITERAL+ ID ENABLE ACL LOGINDISABLED] User logged in SESSIONID=<cyrtest-1795378649-27743-1-16992455245211805701>"#,
    r#"a011 OK Completed (0.000 secs 12 calls)"#,
    r#"c017 OK "INBOX.brace{3}" created."#,
    r#"c017 OK [APPENDUID 1795378649 1] APPEND Ok."#,
    r#"c027 OK [METADATA LONGENTRIES 5] Completed"#,
    r#"c028 OK [READ-WRITE] Completed"#,
    r#"b004 NO [NOPERM] Permission denied (0.001 + 0.000 secs)."#,
    r#"a009 NO [NONEXISTENT] Mailbox doesn't exist: shared/alice/foo (0.001 + 0.000 secs)."#,
    r#"a012 OK [MAILBOXID (ywkjbqro4fcvqtn2hqa0cuosi)] Completed"#,
    r#"+ go ahead"#,
    r#"+ OK"#,
    r#"+ "#,
    r#"* BAD Invalid tag"#,
    r#"* BYE LOGOUT received"#,
    r#"* BYE [ALERT] Fatal error: TOO MANY CONSECUTIVE PROTOCOL VIOLATIONS"#,
    r#"* BYE [TOOBIG] Literal size exceeds fixed limit"#,
    r#"* NO [ALERT] IMAP command too long."#,
    r#"* BAD [ALERT] Plaintext authentication not allowed without SSL/TLS, but your client did it anyway. If anyone was listening, the password was exposed."#,
    r#"* OK rename user/alice/sub.dot user/carol/sub.dot"#,
    r#"* OK [MYRIGHTS "acdilrsw"] ACL"#,
    r#"* OK [PERMANENTFLAGS (\Answered \Flagged \Draft \Deleted \Seen $kw \*)] Ok"#,
    r#"* OK [PERMANENTFLAGS ()] No permanent flags permitted"#,
    r#"* OK [UIDVALIDITY 1795378649] UIDs valid"#,
    r#"* OK [UNSEEN 1] First unseen."#,
    r#"* OK [HIGHESTMODSEQ 12] Highest"#,
    r#"* OK [URLMECH INTERNAL] Ok"#,
    r#"* OK [CLOSED] Previous mailbox closed."#,
    r#"* FLAGS ($kw \Draft \Answered \Flagged \Deleted \Seen \Recent)"#,
    r#"* 0 EXISTS"#,
    r#"* 1 RECENT"#,
    r#"* 2 EXPUNGE"#,
    r#"* 1 FETCH (FLAGS (\Recent \Seen) UID 1 INTERNALDATE " 1-Jan-2024 00:00:00 +0000" RFC822.SIZE 132)"#,
    r#"* SEARCH"#,
    r#"* SEARCH 1 2 3 4 5"#,
    r#"* ENABLED"#,
    r#"* ENABLED CONDSTORE QRESYNC"#,
    r#"* ID ("name" "Dovecot")"#,
    r##"* NAMESPACE (("INBOX." ".")) NIL (("#shared." ".")("shared." "."))"##,
    r#"* LIST (\HasNoChildren) "." INBOX.br]acket"#,
    r#"* LIST (\HasNoChildren) "." "INBOX.li\"t\\er al""#,
    r#"* LIST (\HasNoChildren) "/" "brace{3}""#,
    r#"* LIST (\Noselect \HasChildren) "." "INBOX.foo.bar.deep""#,
    r#"* LIST (\HasNoChildren) "." INBOX.&ZeVnLIqe-"#,
    r#"* LSUB () "/" "sp ace""#,
    r#"* STATUS "INBOX.foo" (MESSAGES 0 RECENT 0 UIDNEXT 1 UIDVALIDITY 795380074 UNSEEN 0)"#,
    r#"* STATUS "INBOX.foo" ()"#,
    r#"* ACL shared.alice.foo.bar bob lr #admin akxeilprwtscd"#,
    r##"* ACL "#shared.alice.foo" "owner" "adiklprsw" "administrators" "acdilrsw" "" "lr""##,
    r#"* LISTRIGHTS "INBOX.foo" "alice" "al" c d i p r s w"#,
    r#"* MYRIGHTS INBOX lrswipkxtecdan"#,
    r#"* QUOTA "ROOT""#,
    r#"* QUOTA user.alice ()"#,
    r#"* QUOTA "User quota" (STORAGE 91 98 MESSAGE 4 20)"#,
    r#"* QUOTAROOT INBOX "User quota""#,
    r#"* QUOTAROOT foo"#,
    r#"* METADATA foo (/shared NIL)"#,
    r#"* METADATA "" ("/private/comment" NIL "/shared/comment" NIL)"#,
    r#"* ANNOTATION user/alice "/vendor/cmu/cyrus-imapd/size" ("value.shared" "0")"#,
];

/// A response frames as one piece, parses, and holds nothing but values.
fn reads(frame: &str) {
    let parsed = parse(frame.as_bytes()).unwrap_or_else(|e| panic!("{frame}: {e}"));
    if let Response::Untagged(Untagged::Data(data)) = parsed {
        let mut body = data.body;
        while !body.is_end() {
            body.expect_value()
                .unwrap_or_else(|e| panic!("{frame}: {e}"));
            body.skip_spaces();
        }
    }
    let input = format!("{frame}\r\n* 1 EXISTS\r\n");
    let mut framer = Framer::new(Limits::default());
    framer.space()[..input.len()].copy_from_slice(input.as_bytes());
    framer.filled(input.len());
    for expected in [frame, "* 1 EXISTS"] {
        let found = framer.next_frame().unwrap().unwrap();
        assert_eq!(framer.bytes(found), expected.as_bytes());
    }
}

/// The code's name in the spelling of their encoder, in capitals.
fn code_name(code: &theirs::Code<'_>) -> String {
    let greeting = theirs::Greeting {
        kind: theirs::GreetingKind::Ok,
        code: Some(code.clone()),
        text: Text::unvalidated("x"),
    };
    let line = GreetingCodec::default().encode(&greeting).dump();
    let inside = line.strip_prefix(b"* OK [").unwrap();
    let end = inside
        .iter()
        .position(|b| matches!(b, b' ' | b']'))
        .unwrap();
    String::from_utf8_lossy(&inside[..end]).to_uppercase()
}

fn same_status(
    frame: &str,
    ours: &Status<'_>,
    condition: &str,
    code: Option<&theirs::Code<'_>>,
    text: &Text<'_>,
) {
    assert_eq!(ours.condition.to_string(), condition, "{frame}");
    if let Some(theirs::Code::Other(_)) = code {
        // To them anything up to the first bracket is a code; here it has a name, and a bracket may
        // stand in quotes and in parentheses.
        match ours.code {
            None => return assert!(ours.text.starts_with(b"["), "{frame}"),
            Some(code) if code.arguments.contains(&b']') => return,
            Some(_) => {}
        }
    }
    let ours_name = ours
        .code
        .map(|code| String::from_utf8_lossy(code.name).to_uppercase());
    assert_eq!(ours_name, code.map(code_name), "{frame}");
    // Their quirk puts "..." where a server sent no text.
    if !(ours.text.is_empty() && text.inner() == "...") {
        assert_eq!(ours.text, text.inner().as_bytes(), "{frame}");
    }
}

fn same_body(frame: &str, ours: &Status<'_>, body: &theirs::StatusBody<'_>) {
    let condition = match body.kind {
        theirs::StatusKind::Ok => "OK",
        theirs::StatusKind::No => "NO",
        theirs::StatusKind::Bad => "BAD",
    };
    same_status(frame, ours, condition, body.code.as_ref(), &body.text);
}

/// Whether imap-codec decodes the frame; if so, the same came out.
fn compare(frame: &str) -> bool {
    let line = format!("{frame}\r\n");
    let greeting = GreetingCodec::default().decode(line.as_bytes()).ok();
    if let Some((b"", greeting)) = &greeting {
        let Ok(Response::Untagged(Untagged::Status(status))) = parse(frame.as_bytes()) else {
            panic!("{frame}");
        };
        let condition = match greeting.kind {
            theirs::GreetingKind::Ok => "OK",
            theirs::GreetingKind::PreAuth => "PREAUTH",
            theirs::GreetingKind::Bye => "BYE",
        };
        same_status(
            frame,
            &status,
            condition,
            greeting.code.as_ref(),
            &greeting.text,
        );
    }
    let Ok((b"", response)) = ResponseCodec::default().decode(line.as_bytes()) else {
        return greeting.is_some();
    };
    let ours = parse(frame.as_bytes()).unwrap_or_else(|e| panic!("{frame}: {e}"));
    match (ours, response) {
        (Response::Continuation(_), theirs::Response::CommandContinuationRequest(_)) => {}
        (
            Response::Tagged { tag, status },
            theirs::Response::Status(theirs::Status::Tagged(tagged)),
        ) => {
            assert_eq!(tag, tagged.tag.inner().as_bytes());
            same_body(frame, &status, &tagged.body);
        }
        (
            Response::Untagged(Untagged::Status(status)),
            theirs::Response::Status(theirs::Status::Untagged(body)),
        ) => same_body(frame, &status, &body),
        (
            Response::Untagged(Untagged::Status(status)),
            theirs::Response::Status(theirs::Status::Bye(bye)),
        ) => same_status(frame, &status, "BYE", bye.code.as_ref(), &bye.text),
        (Response::Untagged(Untagged::Data(data)), theirs::Response::Data(theirs)) => {
            same_data(frame, &data, &theirs);
        }
        (ours, theirs) => panic!("{frame}: {ours:?}, but {theirs:?}"),
    }
    true
}

fn same_data(frame: &str, ours: &Data<'_>, theirs: &theirs::Data<'_>) {
    use theirs::Data as T;
    let (number, keyword) = match theirs {
        T::Capability(_) => (None, "CAPABILITY"),
        T::List { .. } => (None, "LIST"),
        T::Lsub { .. } => (None, "LSUB"),
        T::Status { .. } => (None, "STATUS"),
        T::Search(..) => (None, "SEARCH"),
        T::Flags(_) => (None, "FLAGS"),
        T::Exists(n) => (Some(u64::from(*n)), "EXISTS"),
        T::Recent(n) => (Some(u64::from(*n)), "RECENT"),
        T::Expunge(n) => (Some(u64::from(n.get())), "EXPUNGE"),
        T::Fetch { seq, .. } => (Some(u64::from(seq.get())), "FETCH"),
        T::Enabled { .. } => (None, "ENABLED"),
        T::Quota { .. } => (None, "QUOTA"),
        T::QuotaRoot { .. } => (None, "QUOTAROOT"),
        other => panic!("{frame}: {other:?}"),
    };
    assert_eq!(ours.number, number, "{frame}");
    assert!(ours.is(keyword), "{frame}");
    if let T::List { mailbox, .. } | T::Lsub { mailbox, .. } = theirs {
        let mut body = ours.body;
        body.expect_value().unwrap();
        body.expect_space().unwrap();
        body.expect_nstring().unwrap();
        body.expect_space().unwrap();
        let name = body.expect_astring("a mailbox").unwrap();
        same_mailbox(mailbox, &name);
        assert_eq!(body.expect_end(), Ok(()));
    }
}

fn same_mailbox(theirs: &Mailbox<'_>, ours: &[u8]) {
    match theirs {
        Mailbox::Inbox => assert!(ours.eq_ignore_ascii_case(b"INBOX")),
        Mailbox::Other(other) => assert_eq!(
            other.inner().as_ref().escape_ascii().to_string(),
            ours.escape_ascii().to_string()
        ),
    }
}

#[test]
fn recorded_lines() {
    let mut compared = 0;
    for frame in RECORDED {
        reads(frame);
        compared += usize::from(compare(frame));
    }
    // Or the oracle would be silent without anybody noticing.
    assert!(compared >= 40, "{compared} of {}", RECORDED.len());
}

#[test]
fn recorded_responses_with_literals() {
    for frame in [
        "* METADATA foo (/shared/comment {3}\r\ntwo /private/comment {5}\r\nwords)",
        "* METADATA \"\" (/shared/comment NIL /private/comment {1}\r\nx /shared/comment {3}\r\ntwo)",
        "* METADATA shared/alice/foo (/shared/comment {0}\r\n)",
        "* 1 FETCH (BODY[HEADER.FIELDS (\"SUBJECT\" \"DATE\")] {4}\r\na\r\nb)",
        "* LIST () \"/\" {5}\r\na\"b\\c",
    ] {
        reads(frame);
        compare(frame);
    }
}

/// A name as a server would send it, by the grammar's three spellings.
fn spelling() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9./&\\[\\]#~+-]{1,12}",
        "[ -~]{0,12}"
            .prop_map(|name| format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))),
        "[ -~\r\n]{0,12}".prop_map(|name| format!("{{{}}}\r\n{name}", name.len())),
    ]
}

fn generated() -> impl Strategy<Value = String> {
    let word = "[A-Z]{1,6}";
    let attributes = prop::collection::vec(r"\\[A-Za-z]{1,10}", 0..4);
    let code = prop_oneof![
        Just(String::new()),
        "\\[[A-Z-]{1,12}\\] ",
        "\\[[A-Z-]{1,12} [ -Z^-~]{1,12}\\] ",
        "\\[UIDNEXT [1-9][0-9]{0,4}\\] ",
        "\\[[ -~]{0,20}",
    ];
    prop_oneof![
        ("(LIST|LSUB|list)", attributes, "(\"[./]\"|NIL)", spelling()).prop_map(
            |(verb, attributes, separator, name)| format!(
                "* {verb} ({}) {separator} {name}",
                attributes.join(" ")
            )
        ),
        (spelling(), 0u32..9, 0u32..9)
            .prop_map(|(name, a, b)| format!("* STATUS {name} (MESSAGES {a} UNSEEN {b})")),
        prop::collection::vec(word, 0..5)
            .prop_map(|words| format!("* CAPABILITY IMAP4rev1 {}", words.join(" "))),
        (any::<u32>(), "(EXISTS|RECENT|EXPUNGE|exists)").prop_map(|(n, k)| format!("* {n} {k}")),
        (
            "(\\*|a1|x-2|T\\.3)",
            "(OK|NO|BAD|BYE|PREAUTH|ok)",
            code,
            "[ -~]{0,20}"
        )
            .prop_map(|(tag, condition, code, text)| format!("{tag} {condition} {code}{text}")),
        "\\+ [ -~]{0,20}",
    ]
}

proptest! {
    #[test]
    fn generated_lines(frame in generated()) {
        compare(&frame);
    }

    #[test]
    fn commands_decode_to_the_same_arguments(
        first in name(),
        second in name(),
        pattern in name(),
        mode in 0usize..3,
    ) {
        let mode = [Literals::Synchronizing, Literals::Minus, Literals::Plus][mode];
        commands(mode, &first, &second, &pattern);
    }
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-zA-Z0-9./&-]{0,12}".prop_map(String::into_bytes),
        "[ -~]{0,12}".prop_map(String::into_bytes),
        "(?i)(nil|inbox)".prop_map(String::into_bytes),
        prop::collection::vec(1u8..=255, 0..12),
        (990usize..5000).prop_map(|n| vec![b'x'; n]),
    ]
}

fn command(mode: Literals, write: impl FnOnce(&mut Encoder<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::begin(&mut out, mode);
    write(encoder.atom("A1").space());
    encoder.finish().unwrap();
    out
}

fn decoded(bytes: &[u8]) -> CommandBody<'_> {
    match CommandCodec::default().decode(bytes) {
        Ok((b"", Command { body, .. })) => body,
        other => panic!("{}: {other:?}", bytes.escape_ascii()),
    }
}

fn commands(mode: Literals, first: &[u8], second: &[u8], pattern: &[u8]) {
    let bytes = command(mode, |e| {
        e.atom("LOGIN").space().astring(first);
        e.space().secret_astring(second);
    });
    let CommandBody::Login { username, password } = decoded(&bytes) else {
        panic!("not LOGIN");
    };
    assert_eq!(username.as_ref(), first);
    assert_eq!(password.declassify().as_ref(), second);

    for verb in ["CREATE", "DELETE", "SUBSCRIBE"] {
        let bytes = command(mode, |e| {
            e.atom(verb).space().astring(first);
        });
        match (verb, decoded(&bytes)) {
            ("CREATE", CommandBody::Create { mailbox })
            | ("DELETE", CommandBody::Delete { mailbox })
            | ("SUBSCRIBE", CommandBody::Subscribe { mailbox }) => same_mailbox(&mailbox, first),
            other => panic!("{other:?}"),
        }
    }

    let bytes = command(mode, |e| {
        e.atom("RENAME")
            .space()
            .astring(first)
            .space()
            .astring(second);
    });
    let CommandBody::Rename { from, to } = decoded(&bytes) else {
        panic!("not RENAME");
    };
    same_mailbox(&from, first);
    same_mailbox(&to, second);

    let bytes = command(mode, |e| {
        e.atom("LIST").space().astring(first);
        e.space().list_mailbox(pattern);
    });
    let CommandBody::List {
        reference,
        mailbox_wildcard,
    } = decoded(&bytes)
    else {
        panic!("not LIST");
    };
    same_mailbox(&reference, first);
    let wildcard: Cow<'_, [u8]> = match &mailbox_wildcard {
        ListMailbox::Token(token) => token.as_ref().into(),
        ListMailbox::String(string) => string.as_ref().into(),
    };
    assert_eq!(wildcard, pattern);

    let bytes = command(mode, |e| {
        e.atom("STATUS").space().astring(first).space().open();
        e.atom("MESSAGES").space().atom("UNSEEN").close();
    });
    let CommandBody::Status {
        mailbox,
        item_names,
    } = decoded(&bytes)
    else {
        panic!("not STATUS");
    };
    same_mailbox(&mailbox, first);
    assert_eq!(item_names.len(), 2);
}

/// Tokens of data that the grammar parts by one space, or by none where a parenthesis stands.
fn tokens() -> impl Strategy<Value = Vec<String>> {
    let leaf = prop_oneof![
        "[a-zA-Z0-9.]{1,8}",
        "\\\\[A-Za-z]{1,8}",
        "[0-9]{1,5}",
        Just("NIL".to_owned()),
        "\"[ -!#-\\[\\]-~]{0,8}\"",
        "[ -~]{0,8}".prop_map(|text| format!("{{{}}}\r\n{text}", text.len())),
    ];
    let list = prop::collection::vec(leaf.clone(), 0..5).prop_map(|items| {
        let mut tokens = vec!["(".to_owned()];
        tokens.extend(items);
        tokens.push(")".to_owned());
        tokens
    });
    let item = prop_oneof![leaf.prop_map(|token| vec![token]), list];
    prop::collection::vec(item, 1..6).prop_map(|items| items.concat())
}

/// The tokens on one line, with so many more spaces than the grammar has at each place where they may stand.
fn line(tokens: &[String], more: &[usize]) -> String {
    let mut line = "* X".to_owned();
    let mut more = more.iter().cycle();
    let mut before = "X";
    for token in tokens {
        let needed = usize::from(before != "(" && token != ")");
        let spaces = needed + more.next().unwrap_or(&0);
        line.push_str(&" ".repeat(spaces));
        line.push_str(token);
        before = token;
    }
    line.push_str(&" ".repeat(*more.next().unwrap_or(&0)));
    line
}

/// What a cursor reads of a line: its parentheses and values.
fn read(frame: &str) -> Vec<String> {
    let Ok(Response::Untagged(Untagged::Data(data))) = parse(frame.as_bytes()) else {
        panic!("{frame:?}");
    };
    let mut body = data.body;
    let mut found = Vec::new();
    let mut open = 0;
    while open > 0 || !body.is_end() {
        if body.open().is_some() {
            open += 1;
            found.push("(".to_owned());
        } else if open > 0 && body.close().is_some() {
            open -= 1;
            found.push(")".to_owned());
        } else {
            let value = body
                .expect_value()
                .unwrap_or_else(|e| panic!("{frame:?}: {e}"));
            found.push(String::from_utf8_lossy(value).into_owned());
        }
        body.skip_spaces();
    }
    found
}

proptest! {
    #[test]
    fn more_spaces_mean_nothing(
        tokens in tokens(),
        more in prop::collection::vec(0usize..4, 1..12),
    ) {
        let plain = line(&tokens, &[0]);
        compare(&plain);
        prop_assert_eq!(read(&plain), tokens.clone());
        prop_assert_eq!(read(&line(&tokens, &more)), tokens);
    }
}
