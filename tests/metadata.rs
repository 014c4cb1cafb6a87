//! Metadata on real servers (RFC 5464): what the program and the library say of it, and what the server holds afterwards.

use imapadm::admin::metadata::{Depth, GetMetadata};
use imapadm::session::MailboxName;
use serde_json::{Value, json};

use super::library::open;
use super::support::faulty::Faulty;
use super::support::place::{Place, quoted, strings, word};
use super::support::raw::Raw;
use super::support::run::Imapadm;

/// What the server holds for an entry; `None` is NIL.
#[track_caller]
fn held(raw: &mut Raw, mailbox: &str, entry: &str) -> Option<String> {
    let answer = raw.command(&format!("GETMETADATA {} {entry}", quoted(mailbox)));
    assert_eq!(answer.status, "OK", "{answer:?}");
    let line = answer.named("METADATA").pop().expect("a METADATA line");
    let line = line.strip_suffix(')').expect("the end of the list");
    if line.ends_with(" NIL") {
        return None;
    }
    strings(line).pop()
}

const SQUAT: &str = "/vendor/cmu/cyrus-imapd/squat";

#[test]
fn a_value_is_set_shown_and_removed() {
    for place in Place::both() {
        let mut raw = place.raw();
        let root = &place.root;
        for value in [
            "short",
            "Zoë's \"own\" \\o/ box",
            "{5}",
            "NIL",
            "-x",
            "100%*",
        ] {
            let set = format!("setmetadata {root} /shared/comment {}", word(value));
            assert_eq!(
                place.rows(&set),
                json!([{"mailbox": root, "entry": "/shared/comment", "value": value, "set": true}])
            );
            assert_eq!(
                held(&mut raw, root, "/shared/comment").as_deref(),
                Some(value)
            );
            assert_eq!(
                place.rows(&format!("getmetadata {root} /shared/comment")),
                json!([{"mailbox": root, "entry": "/shared/comment", "value": value}])
            );
        }
        let run = place.text(&format!("getmd {root} /comment")).ok();
        assert_eq!(
            run.stdout,
            format!("{root}\t/shared/comment\t100%*\n{root}\t/private/comment\tnone\n")
        );
        let run = place.text(&format!("setmd {root} /comment none")).ok();
        assert_eq!(run.stdout, format!("{root}\t/shared/comment\tnone\tset\n"));
        assert_eq!(held(&mut raw, root, "/shared/comment"), None);
        assert_eq!(
            place.rows(&format!("getmetadata {root} /shared/comment")),
            json!([{"mailbox": root, "entry": "/shared/comment", "value": null}])
        );
        // What is not there can be removed again.
        place.rows(&format!("setmetadata {root} /shared/comment none"));
    }
}

#[test]
fn short_names_go_where_cyradm_puts_them() {
    for place in Place::both() {
        let mut raw = place.raw();
        let root = &place.root;
        for (command, entry) in [
            ("setmetadata ROOT comment one", "/private/comment"),
            (
                "setmetadata --private ROOT /comment two",
                "/private/comment",
            ),
            (
                "setmetadata ROOT /private/comment three",
                "/private/comment",
            ),
            ("setmetadata ROOT /comment four", "/shared/comment"),
            ("setmetadata ROOT /SHARED/comment five", "/shared/comment"),
            (
                "setmetadata ROOT squat true",
                "/shared/vendor/cmu/cyrus-imapd/squat",
            ),
        ] {
            let rows = place.rows(&command.replace("ROOT", root));
            assert_eq!(rows[0]["entry"], json!(entry), "{command}");
            let value = command.split(' ').next_back();
            assert_eq!(held(&mut raw, root, entry).as_deref(), value, "{command}");
        }
        assert_eq!(
            place.rows(&format!("getmetadata {root} squat comment")),
            json!([
                {"mailbox": root, "entry": format!("/shared{SQUAT}"), "value": "true"},
                {"mailbox": root, "entry": format!("/private{SQUAT}"), "value": null},
                {"mailbox": root, "entry": "/shared/comment", "value": "five"},
                {"mailbox": root, "entry": "/private/comment", "value": "three"},
            ])
        );
    }
    let place = Place::cyrus();
    let mut raw = place.raw();
    for (name, value) in [
        ("expire", "30"),
        ("sharedseen", "true"),
        ("pop3showafter", ""),
    ] {
        place.rows(&format!("setmetadata {} {name} '{value}'", place.root));
        let entry = format!("/shared/vendor/cmu/cyrus-imapd/{name}");
        let value = (!value.is_empty()).then_some(value);
        assert_eq!(
            held(&mut raw, &place.root, &entry).as_deref(),
            value,
            "{name}"
        );
    }
}

#[test]
fn a_special_use_is_private() {
    let place = Place::cyrus();
    let user = place.server.user();
    let mut raw = Raw::admin(place.server);
    raw.ok(&format!("CREATE user.{user}"));
    raw.ok(&format!("CREATE user.{user}.spam"));
    let run = Imapadm::on(place.server)
        .user(&user)
        .args(["-c", "setmetadata INBOX.spam specialuse '\\Junk'"])
        .run()
        .ok();
    assert_eq!(run.stdout, "INBOX.spam\t/private/specialuse\t\\Junk\tset\n");
    Place::dovecot()
        .fails(1, "setmetadata INBOX specialuse '\\Junk'")
        .is("no", Some("CANNOT"))
        .says("cannot be changed")
        .says("another one");
}

#[test]
fn without_entries_all_that_has_a_value_is_shown() {
    for place in Place::both() {
        let root = &place.root;
        place.rows(&format!(
            "setmetadata {root} /shared/comment 'for all'; setmetadata {root} comment mine; setmetadata {root} squat true"
        ));
        let rows = place.rows(&format!("getmetadata {root}"));
        let rows = rows.as_array().expect("rows");
        let value = |entry: &str| {
            let mut found = rows.iter().filter(|row| row["entry"] == entry);
            let value = found.next().map(|row| row["value"].clone());
            assert_eq!(found.next(), None, "{entry} twice in {rows:?}");
            value
        };
        assert_eq!(value("/shared/comment"), Some(json!("for all")));
        assert_eq!(value("/private/comment"), Some(json!("mine")));
        assert_eq!(value(&format!("/shared{SQUAT}")), Some(json!("true")));
        assert!(rows.iter().all(|row| row["value"].is_string()), "{rows:?}");
        assert!(rows.iter().all(|row| row["mailbox"] == json!(root)));
        let unique_id = value("/shared/vendor/cmu/cyrus-imapd/uniqueid");
        assert_eq!(unique_id.is_some(), place.is_cyrus());

        let entries = |script: &str| -> Vec<String> {
            let rows = place.rows(&script.replace("ROOT", root));
            let rows = rows.as_array().expect("rows").iter();
            rows.map(|row| row["entry"].as_str().expect("a name").to_owned())
                .collect()
        };
        let both = ["/shared/comment", "/private/comment"];
        assert_eq!(entries("getmetadata --depth 1 ROOT /shared /private"), both);
        assert_eq!(entries("getmetadata --depth 0 ROOT /shared"), ["/shared"]);
        assert_eq!(entries("getmetadata ROOT comment /shared/comment"), both);
        let below = entries("getmetadata --depth=infinity ROOT /shared/vendor /shared/comment");
        assert!(below.contains(&format!("/shared{SQUAT}")), "{below:?}");
        assert_eq!(below.last().map(String::as_str), Some("/shared/comment"));
        // An entry below two of those that were asked for stands once.
        assert_eq!(
            entries("getmetadata --depth infinity ROOT /shared/vendor /shared"),
            below
        );
    }
    let place = Place::dovecot();
    assert_eq!(
        place.rows(&format!("getmetadata {}", place.root)),
        json!([])
    );
}

#[test]
fn the_servers_own_metadata() {
    // Without a mailbox it is the server's, also where one is selected.
    let place = Place::cyrus();
    let server = |row: &Value| {
        assert_eq!(row["mailbox"], Value::Null, "{row}");
        row["entry"].as_str().expect("a name").to_owned()
    };
    let free = "/shared/vendor/cmu/cyrus-imapd/freespace";
    for command in [
        "getmetadata",
        "getmetadata ''",
        "getmetadata \"\" /vendor/cmu/cyrus-imapd/freespace",
    ] {
        let rows = place.rows(&format!("select {}; {command}", place.root));
        let names: Vec<_> = rows.as_array().expect("rows").iter().map(server).collect();
        assert!(
            names.iter().any(|name| name == free),
            "{command}: {names:?}"
        );
    }
    assert_eq!(
        place.rows("setmetadata '' /shared/comment 'All of it'"),
        json!([{"mailbox": null, "entry": "/shared/comment", "value": "All of it", "set": true}])
    );
    assert_eq!(
        held(&mut place.raw(), "", "/shared/comment").as_deref(),
        Some("All of it")
    );
    let user = place.server.user();
    let as_user = |command: &str| {
        Imapadm::on(place.server)
            .user(&user)
            .args(["-c", command])
            .run()
    };
    let run = as_user("getmd '' comment").ok();
    assert_eq!(
        run.stdout,
        "''\t/shared/comment\tAll of it\n''\t/private/comment\tnone\n"
    );
    as_user("setmd '' motd hello")
        .fails(1)
        .complains("Permission denied")
        .complains("Only an administrator");
    as_user("setmd '' comment mine").ok();
    place.rows("setmetadata '' /shared/comment none");
    assert_eq!(held(&mut place.raw(), "", "/shared/comment"), None);

    let place = Place::dovecot();
    assert_eq!(place.rows("getmetadata"), json!([]));
    place.rows("setmetadata '' motd 'be kind'");
    assert_eq!(
        place.rows("getmetadata '' motd"),
        json!([
            {"mailbox": null, "entry": "/shared/motd", "value": "be kind"},
            {"mailbox": null, "entry": "/private/motd", "value": null},
        ])
    );
    place.rows("setmetadata '' motd none");
    place
        .fails(1, "setmetadata '' /shared/comment x")
        .is("no", Some("CANNOT"))
        .says("reserves this entry");
}

#[test]
fn the_library_takes_any_bytes() {
    for place in Place::both() {
        let mut session = open(place.server, &place.user);
        let long = vec![b'x'; 131_072];
        for value in [
            &b"one\r\ntwo\n\r\xc3\xbc"[..],
            b"Latin \xfc\xff\x01\x7f",
            b"\"",
            b"a1 OK done\r\n* BYE {3}\r\n",
            &long,
        ] {
            session
                .set_metadata(
                    &place.root,
                    [("/shared/comment", Some(value)), ("/private/comment", None)],
                )
                .expect("it is set");
            let reply = session
                .get_metadata(
                    &place.root,
                    ["/shared/comment", "/private/comment"],
                    Depth::Zero,
                )
                .expect("it is there");
            assert_eq!(reply.mailbox.to_string(), place.root);
            assert_eq!(reply.entries.len(), 2);
            assert_eq!(reply.value("/shared/comment"), Some(value));
            assert_eq!(reply.value("/private/comment"), None);
        }
        // A value that is longer than wanted is told and left out.
        let mailbox = MailboxName::typed(&place.root).expect("a name");
        let request = GetMetadata::new(mailbox, ["/shared/comment"]).expect("a request");
        let reply = session.run(request.max_size(100)).expect("a reply");
        assert_eq!((reply.entries.len(), reply.longest), (0, Some(131_072)));

        let server = session
            .get_metadata("", ["/shared", "/private"], Depth::Infinity)
            .expect("the server's");
        assert_eq!(server.mailbox.wire(), b"");
        assert_eq!(
            server.within("/shared/vendor").count() > 0,
            place.is_cyrus()
        );
    }
}

#[test]
fn many_are_asked_for_at_once() {
    for place in Place::both() {
        let mut session = open(place.server, &place.user);
        let names: Vec<_> = (0..20).map(|at| place.at(&format!("m{at}"))).collect();
        for name in &names {
            session.create(name, None).expect("it is created");
            session
                .set_metadata(name, [("/shared/comment", Some(name.as_str()))])
                .expect("it is set");
        }
        let tickets: Vec<_> = names
            .iter()
            .map(|name| {
                let mailbox = MailboxName::typed(name).expect("a name");
                let request = GetMetadata::new(mailbox, ["/shared/comment"]).expect("a request");
                session.submit(request).expect("it is sent")
            })
            .collect();
        for (ticket, name) in tickets.into_iter().zip(&names) {
            let reply = session.wait(ticket).expect("a reply");
            assert_eq!(reply.value("/shared/comment"), Some(name.as_bytes()));
        }
    }
}

#[test]
fn what_the_server_refuses_is_explained() {
    for place in Place::both() {
        let name = word(&place.at("no such"));
        for command in [
            format!("getmetadata {name}"),
            format!("getmetadata {name} comment"),
            format!("setmetadata {name} comment x"),
        ] {
            place
                .fails(1, &command)
                .is("no", None)
                .says(place.differs("Mailbox does not exist", "Mailbox doesn't exist"))
                .says("listmailbox");
        }
    }
    let place = Place::cyrus();
    place
        .fails(1, &format!("setmetadata {} /shared/nosuch x", place.root))
        .is("no", None)
        .says("Permission denied")
        .says("does not know");
    let user = place.server.user();
    let mut raw = Raw::admin(place.server);
    let as_user = |command: &str| {
        let command = command.replace("ROOT", &place.root);
        Imapadm::on(place.server)
            .user(&user)
            .args(["-c", &command])
            .run()
    };
    // Cyrus says OK and next to nothing to who may see the mailbox and not read it.
    raw.ok(&format!("SETACL {} {user} l", place.root));
    as_user("getmetadata ROOT comment")
        .fails(1)
        .complains("right r (read)");
    let partition = "/shared/vendor/cmu/cyrus-imapd/partition";
    let run = as_user(&format!("getmetadata ROOT {partition} /shared/comment")).ok();
    assert_eq!(
        run.stdout,
        format!(
            "{0}\t{partition}\tdefault\n{0}\t/shared/comment\tunknown\n",
            place.root
        )
    );
    let set = "setmetadata ROOT /shared/comment x";
    raw.ok(&format!("SETACL {} {user} lr", place.root));
    as_user(set)
        .fails(1)
        .complains("Permission denied")
        .complains("You need the right w (write flags) on ");
    raw.ok(&format!("SETACL {} {user} lrw", place.root));
    as_user(set).ok();
}

#[test]
fn what_cannot_be_right_is_not_sent() {
    let server = Faulty::script(|conn| {
        conn.let_in("METADATA LITERAL+");
        conn.answer(|tag, _| format!("{tag} OK done\r\n"));
    });
    for (command, words) in [
        ("getmetadata m coment", "one of admin, comment"),
        ("getmetadata m /x/*", "a wildcard"),
        ("getmetadata m '/x//y'", "two slashes"),
        ("getmetadata m /x/", "ends with a slash"),
        ("getmetadata m /Zoë", "printable ASCII"),
        ("getmetadata --depth 2 m", "infinity"),
        ("setmetadata m /shared x", "alone cannot have a value"),
        (
            "setmetadata --private m /shared/x y",
            "is not a private entry",
        ),
        ("setmetadata m comment", "missing VALUE"),
        ("setmetadata m comment two words", "unexpected argument"),
    ] {
        Imapadm::on_port(server.port)
            .args(["-c", command])
            .run()
            .fails(2)
            .complains(words);
    }
    let sent = server.received();
    assert!(
        !sent.iter().any(|line| line.contains("METADATA")),
        "{sent:?}"
    );

    let place = Place::cyrus();
    let mut session = open(place.server, &place.user);
    for (value, words) in [(vec![b'x'; 131_073], "131072"), (b"a\0b".to_vec(), "NUL")] {
        let error = session
            .set_metadata(&place.root, [("/shared/comment", Some(value))])
            .expect_err("a value too long, or none");
        assert_eq!(error.kind(), "usage");
        assert!(error.to_string().contains(words), "{error}");
    }
    let twice = [("/shared/comment", Some("a")), ("/Shared/Comment", None)];
    let error = session.set_metadata(&place.root, twice).expect_err("twice");
    assert!(error.to_string().contains("twice"), "{error}");
    session.noop().expect("the session goes on");
}

#[test]
fn a_wildcard_in_a_mailboxs_name_is_part_of_the_name() {
    for place in Place::both() {
        let mut raw = place.raw();
        let (odd, other) = (place.at("st*ar"), place.at("stxar"));
        for name in [&odd, &other] {
            raw.ok(&format!("CREATE {}", quoted(name)));
        }
        raw.ok(&format!("SETMETADATA {other} (/shared/comment \"other\")"));
        // Cyrus would change all that fit.
        let shown = format!("wire:{odd}");
        let set = format!("setmetadata {} /shared/comment own", word(&shown));
        if place.is_cyrus() {
            place.fails(2, &set).is("usage", None).says("wildcards");
        } else {
            place.rows(&set);
        }
        assert_eq!(
            held(&mut raw, &other, "/shared/comment").as_deref(),
            Some("other")
        );
        assert_eq!(
            place.rows(&format!("getmetadata {} /shared/comment", word(&shown))),
            json!([{"mailbox": shown, "entry": "/shared/comment", "value": place.differs(None, Some("own"))}])
        );
        let all = word(&format!("wire:{}", place.at("stx*")));
        place
            .fails(1, &format!("getmetadata {all} /shared/comment"))
            .is("missing", None)
            .says("wildcards");
    }
}

#[test]
fn the_server_alone_may_have_metadata_or_nothing() {
    for (capability, mailbox, works) in [
        ("METADATA-SERVER", "''", true),
        ("METADATA-SERVER", "m", false),
        ("METADATA", "m", true),
        ("METADATA", "''", true),
        ("ACL", "''", false),
    ] {
        let server = Faulty::script(move |conn| {
            conn.let_in(capability);
            conn.answer(|tag, _| format!("{tag} OK done\r\n"));
        });
        for command in ["getmetadata M", "setmetadata M comment x"] {
            let command = command.replace('M', mailbox);
            let run = Imapadm::on_port(server.port).args(["-c", &command]).run();
            if works {
                run.ok();
            } else {
                run.fails(1).complains("RFC 5464");
            }
        }
    }
}

/// A run of one command against a server that sends this before its OK.
fn told(lines: &'static str, ok: &'static str, command: &str) -> super::support::run::Run {
    let server = Faulty::script(move |conn| {
        conn.let_in("METADATA");
        conn.answer(|tag, command| {
            if command.contains("METADATA") {
                format!("{lines}{tag} {ok}\r\n")
            } else {
                format!("{tag} OK done\r\n")
            }
        });
    });
    Imapadm::on_port(server.port).args(["-c", command]).run()
}

#[test]
fn what_a_hostile_server_says_is_bounded_and_escaped() {
    let run = told(
        "* METADATA m (\"/shared/\x1b[2Jx\" {9}\r\na\r\nb\t\x1b[0m /shared/y \"\u{202e}\")\r\n* METADATA m /shared/z\r\n",
        "OK done",
        "getmetadata m",
    );
    assert_eq!(
        run.ok().stdout,
        "m\t/shared/\\x1B[2Jx\ta\\r\\nb\\t\\x1B[0m\nm\t/shared/y\t\\u{202E}\n"
    );
    told(
        "* METADATA m (/shared/x \"y\r\n",
        "OK done",
        "getmetadata m",
    )
    .fails(1)
    .complains("incomplete");
    told(
        "",
        "NO [METADATA MAXSIZE 1024] too\x1b[5m long",
        "setmetadata m comment x",
    )
    .fails(1)
    .complains("[METADATA MAXSIZE 1024] too\\x1B[5m long")
    .complains("at most 1024 bytes");
}
