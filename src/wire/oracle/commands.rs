//! The server's side: commands of this room's encoder and of imap-codec's, read back.

use imap_codec::imap_types::extensions::binary::LiteralOrLiteral8;
use imap_codec::imap_types::flag::{StoreResponse, StoreType};
use imap_codec::imap_types::sequence::{SeqOrUid, Sequence, SequenceSet};

use super::*;
use crate::wire::Command;

/// What a server that knows some commands reads of one: its arguments, one after the other.
fn ours(frame: &[u8]) -> Result<Vec<String>, ParseError> {
    let command = Command::read(frame)?;
    let mut read = command.arguments;
    let mut found = vec![command.tag.to_owned(), command.name.to_uppercase()];
    let mut arguments = Vec::new();
    match &*found[1] {
        "NOOP" if !command.uid => {}
        "LOGIN" if !command.uid => {
            read.space()?;
            arguments.push(read.astring("a user")?);
            read.space()?;
            arguments.push(read.astring("a password")?);
        }
        "CREATE" | "SUBSCRIBE" if !command.uid => {
            read.space()?;
            arguments.push(inbox(read.mailbox()?));
        }
        "LIST" if !command.uid => {
            read.space()?;
            arguments.push(inbox(read.mailbox()?));
            read.space()?;
            arguments.push(read.list_mailbox()?);
        }
        "GETQUOTA" if !command.uid => {
            read.space()?;
            arguments.push(read.astring("a quota root")?);
        }
        "STATUS" if !command.uid => {
            read.space()?;
            arguments.push(inbox(read.mailbox()?));
            read.space()?;
            let items = read.list(|read| {
                let at = *read;
                let item = read.atom("a status item")?;
                let known = ["MESSAGES", "UNSEEN"].contains(&item);
                known.then_some(()).ok_or(at.error("a status item"))
            })?;
            arguments.push(items.len().to_string().into_bytes().into());
        }
        "APPEND" if !command.uid => {
            read.space()?;
            arguments.push(inbox(read.mailbox()?));
            read.space()?;
            if read.peek() == Some(b'(') {
                for flag in read.list(Arguments::flag)? {
                    arguments.push(flag.as_bytes().into());
                }
                read.space()?;
            }
            if read.peek() == Some(b'"') {
                arguments.push(read.date_time()?.to_string().into_bytes().into());
                read.space()?;
            }
            arguments.push(if read.peek() == Some(b'~') {
                read.literal8()?.into()
            } else if read.peek() == Some(b'{') {
                read.string("a literal")?
            } else {
                return Err(read.error("a literal"));
            });
        }
        "STORE" => {
            found.push(command.uid.to_string());
            read.space()?;
            arguments.push(read.sequence_set()?.as_str().as_bytes().into());
            read.space()?;
            read.atom("FLAGS")?;
            read.space()?;
            for flag in read.list(Arguments::flag)? {
                arguments.push(flag.as_bytes().into());
            }
        }
        _ => return Err(read.error("a command that is known")),
    }
    read.end()?;
    found.extend(arguments.iter().map(|a| a.escape_ascii().to_string()));
    Ok(found)
}

fn inbox(name: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if name.eq_ignore_ascii_case(b"INBOX") {
        b"INBOX".into()
    } else {
        name
    }
}

fn mailbox<'m>(mailbox: &'m Mailbox<'_>) -> Cow<'m, [u8]> {
    match mailbox {
        Mailbox::Inbox => b"INBOX".into(),
        Mailbox::Other(other) => other.inner().as_ref().into(),
    }
}

fn sequence(set: &SequenceSet) -> String {
    let number = |n: &SeqOrUid| match n {
        SeqOrUid::Value(n) => n.to_string(),
        SeqOrUid::Asterisk => "*".to_owned(),
    };
    let parts = set.0.as_ref().iter().map(|part| match part {
        Sequence::Single(n) => number(n),
        Sequence::Range(from, to) => format!("{}:{}", number(from), number(to)),
    });
    parts.collect::<Vec<_>>().join(",")
}

/// The same, as imap-codec reads it.
fn theirs(command: &imap_codec::imap_types::command::Command<'_>) -> Vec<String> {
    let mut found = vec![command.tag.inner().to_owned(), command.name().to_owned()];
    let arguments: Vec<Cow<'_, [u8]>> = match &command.body {
        CommandBody::Noop => vec![],
        CommandBody::Login { username, password } => vec![
            username.as_ref().into(),
            password.declassify().as_ref().into(),
        ],
        CommandBody::Create { mailbox: name } | CommandBody::Subscribe { mailbox: name } => {
            vec![mailbox(name)]
        }
        CommandBody::List {
            reference,
            mailbox_wildcard,
        } => vec![
            mailbox(reference),
            match mailbox_wildcard {
                ListMailbox::Token(token) => token.as_ref().into(),
                ListMailbox::String(string) => string.as_ref().into(),
            },
        ],
        CommandBody::GetQuota { root } => vec![root.as_ref().into()],
        CommandBody::Status {
            mailbox: name,
            item_names,
        } => vec![
            mailbox(name),
            item_names.len().to_string().into_bytes().into(),
        ],
        CommandBody::Append {
            mailbox: name,
            flags,
            date,
            message,
        } => {
            let mut arguments = vec![mailbox(name)];
            arguments.extend(flags.iter().map(|f| f.to_string().into_bytes().into()));
            if let Some(date) = date {
                let text = date.as_ref().format("%e-%b-%Y %H:%M:%S %z").to_string();
                arguments.push(text.into_bytes().into());
            }
            arguments.push(match message {
                LiteralOrLiteral8::Literal(literal) => literal.data().into(),
                LiteralOrLiteral8::Literal8(literal) => literal.data.as_ref().into(),
            });
            arguments
        }
        CommandBody::Store {
            sequence_set,
            kind: StoreType::Replace,
            response: StoreResponse::Answer,
            flags,
            uid,
            ..
        } => {
            found.push(uid.to_string());
            let mut arguments = vec![sequence(sequence_set).into_bytes().into()];
            arguments.extend(flags.iter().map(|f| f.to_string().into_bytes().into()));
            arguments
        }
        other => panic!("{other:?}"),
    };
    found.extend(arguments.iter().map(|a| a.escape_ascii().to_string()));
    found
}

/// Frames the one command as a server does, which takes every literal, and says where it was asked to.
fn framed(bytes: &[u8], piece: usize) -> (Vec<u8>, Vec<usize>) {
    let mut framer = Framer::new(Limits::default());
    let (mut pauses, mut given, mut at) = (Vec::new(), 0, 0);
    loop {
        match framer.next_command().unwrap() {
            Some(Input::Command(frame)) => {
                assert_eq!(given, bytes.len(), "it ends with its last byte");
                return (framer.bytes(frame).to_vec(), pauses);
            }
            Some(Input::NeedContinuation { begun, size }) => {
                at = framer.bytes(begun).len() + 2;
                pauses.push(at);
                assert!(size <= bytes.len() as u64);
                framer.go_on().unwrap();
            }
            None => {
                let end = (given + piece).min(bytes.len());
                assert!(given < end, "it has no end: {}", bytes.escape_ascii());
                framer.space()[..end - given].copy_from_slice(&bytes[given..end]);
                framer.filled(end - given);
                given = end;
            }
        }
        assert!(at <= given);
    }
}

/// A string or a word, mostly as the grammar has it, and sometimes a little beside it.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => spelling(),
        2 => "[A-Za-z]{1,5}",
        1 => "(?i)(inbox|nil|\"inbox\")",
        1 => "[!-~]{1,4}",
        1 => "\"[ -~]{0,4}\"",
        1 => "[ -~]{0,3}\\{[0-9]{1,2}\\+?\\}\r\n[ -~\r\n]{0,30}",
        1 => "[%*a-c.\\]]{1,5}",
    ]
}

fn line() -> impl Strategy<Value = String> {
    let flags = prop::collection::vec("(\\\\Seen|\\\\Deleted|\\$kw|kw|\\\\\\*|\\\\x|a\\\\)", 0..3);
    let flags = flags.prop_map(|flags| format!("({})", flags.join(" ")));
    let date = "\"( [1-9]|0[1-9]|[123][0-9])-(Jan|Feb|feb|Sep|Foo)-[12][0-9]{3} [012][0-9]:[0-6][0-9]:[0-5][0-9] [+-]0[0-9][0-5][0-9]\"";
    let tag = prop_oneof![5 => "[A-Za-z0-9.]{1,4}", 1 => "[!-~]{1,2}"];
    let space = prop_oneof![20 => Just(" "), 1 => Just("  "), 1 => Just("")];
    let command = prop_oneof![
        "(NOOP|noop|CREATE|LOGIN)",
        (word(), word(), space.clone()).prop_map(|(a, b, s)| format!("LOGIN {a}{s}{b}")),
        (word(), word()).prop_map(|(a, b)| format!("list {a} {b}")),
        ("(CREATE|SUBSCRIBE|GETQUOTA|Create)", word(), space.clone())
            .prop_map(|(verb, a, s)| format!("{verb}{s}{a}")),
        (word(), space).prop_map(|(a, s)| format!("STATUS {a} (MESSAGES{s}UNSEEN)")),
        (word(), flags.clone(), date, spelling())
            .prop_map(|(a, f, d, m)| format!("APPEND {a} {f} {d} {m}")),
        (word(), spelling()).prop_map(|(a, m)| format!("APPEND {a} {m}")),
        ("(UID )?", "(([1-9][0-9]?|[1-9*])[,:]?){1,4}", flags)
            .prop_map(|(uid, set, f)| format!("{uid}STORE {set} FLAGS {f}")),
    ];
    (tag, command).prop_map(|(tag, command)| format!("{tag} {command}"))
}

/// Whether both read the line, and then alike.
fn compare_command(frame: &str) -> bool {
    let line = format!("{frame}\r\n");
    let decoded = CommandCodec::default().decode(line.as_bytes());
    match (ours(frame.as_bytes()), decoded) {
        (Ok(found), Ok((b"", decoded))) => {
            assert_eq!(found, theirs(&decoded), "{frame:?}");
            // As they write it, too. They sort a sequence set then.
            let written = CommandCodec::default().encode(&decoded).dump();
            let (again, _) = framed(&written, written.len());
            let Ok((b"", decoded)) = CommandCodec::default().decode(&written) else {
                panic!("{}", written.escape_ascii());
            };
            assert_eq!(ours(&again), Ok(theirs(&decoded)), "{frame:?}");
            true
        }
        (Err(error), Ok((b"", decoded))) => panic!("{frame:?}: {error}, but {decoded:?}"),
        (Ok(found), other) => panic!("{frame:?}: {found:?}, but {other:?}"),
        (Err(error), _) => {
            assert!(error.offset <= frame.len());
            false
        }
    }
}

#[test]
fn well_known_commands() {
    for frame in [
        "a NOOP",
        "a1.] LOGIN bob {3}\r\na\"b",
        "a LIST \"\" %",
        "a list INBOX] INBOX.*]",
        "a list \"\" \"*\"",
        "a STATUS inbox (MESSAGES UNSEEN)",
        "a APPEND m (\\Seen $kw) \" 1-Feb-2024 23:59:59 -0130\" {3}\r\na\r\n",
        "a APPEND m () {0}\r\n",
        "a UID STORE 1,3:5,*:7 FLAGS (\\Deleted)",
        "a GETQUOTA \"\"",
        "a SUBSCRIBE {5+}\r\nin{1}",
    ] {
        assert!(compare_command(frame), "{frame}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn generated_commands(frame in line()) {
        compare_command(&frame);
    }
}

proptest! {
    #[test]
    fn what_the_encoder_writes_is_framed_and_read(
        names in prop::collection::vec(name(), 1..4),
        text in "[^\r\n\0]{0,9}",
        number in any::<u64>(),
        mode in 0usize..3,
        piece in 1usize..6000,
        utf8 in any::<bool>(),
    ) {
        let mode = [Literals::Synchronizing, Literals::Minus, Literals::Plus][mode];
        let mailbox = utf7::encode(&text);
        let mut out = Vec::new();
        let mut encoder = Encoder::begin(&mut out, mode);
        let e = encoder.atom("A1").space().atom("X-TEST").space();
        if utf8 {
            e.names_in_utf8();
        }
        e.mailbox(mailbox.as_bytes()).space().list_mailbox(mailbox.as_bytes());
        e.space().open();
        for name in &names {
            e.astring(name).space().open().string(name).close().space();
        }
        e.number(number).close().space().atom("1:*,3").space().open();
        e.atom("\\Seen").space().atom("$kw").close().space();
        e.secret_text(b"AGJvYg==");
        let encoded = encoder.finish().unwrap();
        let (frame, pauses) = framed(&out, piece);
        prop_assert_eq!(pauses, encoded.pauses);
        prop_assert_eq!(&frame[..], &out[..out.len() - 2]);

        let command = Command::read(&frame)?;
        prop_assert!(command.tag == "A1" && command.is("x-test") && !command.uid);
        let mut read = command.arguments;
        read.space()?;
        if utf8 {
            read.names_in_utf8();
        }
        prop_assert_eq!(&*read.mailbox()?, mailbox.as_bytes());
        read.space()?;
        prop_assert_eq!(&*read.list_mailbox()?, mailbox.as_bytes());
        read.space()?;
        read.open()?;
        for name in &names {
            prop_assert_eq!(&*read.astring("it")?, &name[..]);
            read.space()?;
            let inside = read.list(|read| Ok(read.string("it")?.into_owned()))?;
            prop_assert_eq!(&inside, &[&name[..]]);
            read.space()?;
        }
        prop_assert_eq!(read.number()?, number);
        read.close()?;
        read.space()?;
        let ranges: Vec<_> = read.sequence_set()?.ranges(9).collect();
        prop_assert_eq!(ranges, [1..=9, 3..=3]);
        read.space()?;
        prop_assert_eq!(read.list(Arguments::flag)?, ["\\Seen", "$kw"]);
        read.space()?;
        prop_assert_eq!(read.text(), b"AGJvYg==");
        read.end()?;
    }

    #[test]
    fn hostile_commands_are_errors(input in prop::collection::vec(any::<u8>(), 0..60), line in line()) {
        let mut bytes = line.into_bytes();
        let at = input.len().min(bytes.len());
        bytes.splice(at..at, input);
        for frame in [&bytes[..], &bytes[at..]] {
            let _ = command::tag(frame);
            if let Err(error) = ours(frame) {
                prop_assert!(error.offset <= frame.len());
            }
        }
    }
}
