//! What is refused, by the server or before it is asked: exit status, words, advice, JSON, and that nothing changed.

use std::sync::Arc;

use serde_json::json;

use super::support::faulty::Faulty;
use super::support::place::{
    Place, exists, limits, listed, objects, quoted, rights_of, wire_names, word,
};
use super::support::raw::{Raw, message};
use super::support::run::Imapadm;
use super::support::servers::{cyrus, dovecot, unique};

#[test]
fn a_mailbox_that_is_not_there_is_said_to_be_missing_by_every_command() {
    for place in Place::both() {
        let (name, other) = (place.at("no such"), place.at("other"));
        let name = word(&name);
        for command in [
            format!("deletemailbox {name}"),
            format!("renamemailbox {name} {other}"),
            format!("status {name}"),
            format!("select {name}"),
            format!("examine {name}"),
            format!("listacl {name}"),
            format!("setacl {name} bob lrs"),
            format!("deleteacl {name} bob"),
            format!("deleteacl {name} '*'"),
        ] {
            let failure = place.fails(1, &command);
            let code = failure.code.clone();
            // Cyrus gives no code. Dovecot gives one, except where it has a text alone.
            let plain = ["status", "select", "examine"];
            if place.is_cyrus() {
                assert_eq!(code, None, "{command}");
            } else if !plain.iter().any(|start| command.starts_with(start)) {
                assert_eq!(code.as_deref(), Some("NONEXISTENT"), "{command}");
            }
            failure
                .is("no", code.as_deref())
                .says(place.differs("Mailbox does not exist", "Mailbox doesn't exist"))
                .says("listmailbox");
        }
        assert!(!exists(&mut place.raw(), &other));
        // What is deleted with all below it is looked for first, and found missing there.
        place
            .fails(1, &format!("deletemailbox --yes --recursive {name}"))
            .is("not-listed", None)
            .says("the server lists no mailbox")
            .says("listmailbox");
    }
}

#[test]
fn rights_on_a_mailbox_that_is_not_there_are_not_made_up() {
    for place in Place::both() {
        let name = word(&place.at("no such"));
        for command in [format!("myrights {name}"), format!("listrights {name} bob")] {
            if place.is_cyrus() {
                place
                    .fails(1, &command)
                    .is("no", None)
                    .says("Mailbox does not exist")
                    .says("listmailbox");
            } else {
                // Dovecot answers as if it were there. That is passed on as Dovecot's word.
                assert_eq!(place.rows(&command).as_array().expect("rows").len(), 1);
            }
        }
    }
}

#[test]
fn a_mailbox_that_is_there_already_is_not_created_again() {
    for place in Place::both() {
        let mut raw = place.raw();
        raw.append(&place.root, &message("kept"));
        let code = place.differs(None, Some("ALREADYEXISTS"));
        place
            .fails(1, &format!("createmailbox {}", place.root))
            .is("no", code)
            .says("the server refused CREATE")
            .says("already exists")
            .says("listmailbox");
        let (one, two) = (place.at("one"), place.at("two"));
        raw.ok(&format!("CREATE {one}"));
        raw.ok(&format!("CREATE {two}"));
        place
            .fails(1, &format!("renamemailbox {one} {two}"))
            .is("no", code)
            .says("the server refused RENAME")
            .says("already exists")
            .says("a name that is not in use");
        assert!(exists(&mut raw, &one) && exists(&mut raw, &two));
        let status = raw.command(&format!("STATUS {} (MESSAGES)", place.root));
        assert!(status.named("STATUS")[0].ends_with("(MESSAGES 1)"));
    }
}

#[test]
fn a_user_without_rights_is_told_which_he_lacks() {
    for place in Place::both() {
        let stranger = place.server.user();
        let secret = place.at("secret");
        let mut raw = place.raw();
        raw.ok(&format!("CREATE {secret}"));
        // Enough to see it and nothing else: whoever may not see a mailbox is told that it is not there.
        raw.ok(&format!("SETACL {secret} {stranger} l"));
        let theirs = place.differs(secret.clone(), format!("shared/{}/{secret}", place.user));
        let run = |command: &str| {
            let run = place
                .imapadm()
                .user(&stranger)
                .args(["--format", "json"])
                .stdin(command)
                .run()
                .fails(1);
            let error = objects(&run).pop().expect("an object")["error"].clone();
            assert_eq!(error["kind"], "no", "{run}");
            assert_eq!(
                error["code"],
                place.differs(json!(null), json!("NOPERM")),
                "{run}"
            );
            run.complains("ermission denied")
        };
        run(&format!("deletemailbox {theirs}")).complains("the right x");
        run(&format!("createmailbox {theirs}{}below", place.separator)).complains("the right k");
        run(&format!("select {theirs}")).complains("the right r");
        run(&format!("status {theirs}")).complains("the right r");
        let acl = |command: &str| {
            let run = place
                .imapadm()
                .user(&stranger)
                .stdin(command)
                .run()
                .fails(1);
            let words = place.differs("Permission denied", "You lack administrator privileges");
            run.complains(words)
                .complains(&format!("the right a (administer) on {theirs}"))
        };
        acl(&format!("setacl {theirs} {stranger} all"));
        acl(&format!("listacl {theirs}"));
        acl(&format!("deleteacl {theirs} {}", place.user));
        assert!(exists(&mut raw, &secret));
        assert!(!exists(&mut raw, &place.at("secret/below")));
        assert_eq!(
            rights_of(&mut raw, &secret, &stranger).as_deref(),
            Some("l")
        );
    }
}

#[test]
fn a_mailbox_that_may_not_be_seen_is_missing() {
    for place in Place::both() {
        let stranger = place.server.user();
        let theirs = place.differs(
            place.root.clone(),
            format!("shared/{}/{}", place.user, place.root),
        );
        for command in [format!("status {theirs}"), format!("listacl {theirs}")] {
            let run = place.imapadm().user(&stranger).stdin(&command).run();
            run.fails(1).complains("exist");
        }
        assert!(exists(&mut place.raw(), &place.root));
        let run = place
            .imapadm()
            .user(&stranger)
            .stdin(format!("listmailbox {theirs}"))
            .run()
            .ok();
        assert_eq!(run.stdout, "");
    }
}

#[test]
fn names_that_a_server_does_not_allow_are_refused_with_its_words() {
    for (place, path, code, words) in [
        (Place::cyrus(), "a\"b", None, "Invalid mailbox name"),
        (Place::cyrus(), "per%cent", None, "Invalid mailbox name"),
        (
            Place::dovecot(),
            "a.b",
            Some("CANNOT"),
            "Character not allowed in mailbox name: '.'",
        ),
        (
            Place::dovecot(),
            "a//b",
            Some("CANNOT"),
            "Has adjacent hierarchy separators",
        ),
    ] {
        let below = format!("{}*", place.root);
        let before = listed(&mut place.raw(), &below);
        let name = format!("{}{}{path}", place.root, place.separator);
        // A wildcard in a new name has to be meant.
        let name = format!("{}{name}", if name.contains('%') { "wire:" } else { "" });
        place
            .fails(1, &format!("createmailbox {}", word(&name)))
            .is("no", code)
            .says(words)
            .says("does not allow this name");
        assert_eq!(listed(&mut place.raw(), &below), before);
    }
}

#[test]
fn an_empty_name_and_a_nul_are_refused_before_sending() {
    for place in Place::both() {
        for command in [
            "createmailbox ''",
            "deletemailbox ''",
            "setacl '' bob lrs",
            "status ''",
        ] {
            place
                .fails(2, command)
                .is("usage", None)
                .says("empty MAILBOX");
        }
        let name = place.at("x\0y");
        place
            .fails(2, &format!("createmailbox {}", word(&name)))
            .is("usage", None)
            .says("NUL");
        place
            .fails(2, &format!("setacl {} '' lrs", place.root))
            .is("usage", None)
            .says("empty IDENTIFIER");
        assert!(!exists(&mut place.raw(), &place.at("x")));
    }
}

#[test]
fn rights_that_are_none_are_refused_before_sending() {
    for place in Place::both() {
        for (typed, words) in [
            ("LRS", "invalid right"),
            ("l-r", "invalid right"),
            ("everything!", "invalid right"),
            ("+", "contains no rights"),
            ("-", "contains no rights"),
        ] {
            place
                .fails(
                    2,
                    &format!("setacl {} alice lrs bob {}", place.root, word(typed)),
                )
                .is("usage", None)
                .says(words);
            // All are checked before the first is sent.
            assert_eq!(
                rights_of(&mut place.raw(), &place.root, "alice"),
                None,
                "{typed}"
            );
        }
    }
}

#[test]
fn a_right_that_the_server_does_not_know_is_its_refusal() {
    for place in Place::both() {
        let words = place.differs("The z right is not supported", "Invalid ACL right: z");
        place
            .fails(1, &format!("setacl {} bob lrz", place.root))
            .is("bad", None)
            .says("the server refused SETACL")
            .says(words)
            .says("listrights");
        assert_eq!(rights_of(&mut place.raw(), &place.root, "bob"), None);
    }
}

#[test]
fn an_identifier_that_dovecot_does_not_allow_is_its_refusal_and_the_others_are_set() {
    let place = Place::dovecot();
    let failure = place
        .fails(
            1,
            &format!("setacl {} alice lr anyone lr bob lr", place.root),
        )
        .is("several", None)
        .says("1 of 3 failed")
        .says("'anyone' identifier is disallowed");
    let set: Vec<_> = failure
        .rows
        .as_array()
        .expect("rows")
        .iter()
        .filter(|row| row["set"] == true)
        .map(|row| row["identifier"].clone())
        .collect();
    assert_eq!(set, [json!("alice"), json!("bob")]);
    let mut raw = place.raw();
    for (who, expected) in [("alice", Some("lr")), ("anyone", None), ("bob", Some("lr"))] {
        assert_eq!(rights_of(&mut raw, &place.root, who).as_deref(), expected);
    }
}

#[test]
fn a_partition_that_cyrus_does_not_have_is_its_refusal() {
    let place = Place::cyrus();
    for command in [
        "createmailbox NEW nosuch",
        "createmailbox --partition nosuch NEW",
        "renamemailbox ROOT ROOT nosuch",
    ] {
        let command = command
            .replace("NEW", &place.at("new"))
            .replace("ROOT", &place.root);
        place.fails(1, &command).is("no", None).says("artition");
    }
    place
        .fails(1, &format!("createmailbox {} nosuch", place.at("new")))
        .says("Unknown/invalid partition")
        .says("imapd.conf");
    let left = listed(&mut place.raw(), &format!("{}*", place.root));
    assert_eq!(left, [place.root.clone()].into());
}

#[test]
fn a_partition_named_twice_or_empty_is_misuse() {
    for place in Place::both() {
        place
            .fails(
                2,
                &format!("createmailbox --partition fast {} fast", place.at("new")),
            )
            .is("usage", None)
            .says("the partition is given twice; give it once");
        assert!(!exists(&mut place.raw(), &place.at("new")));
    }
    let place = Place::cyrus();
    place
        .fails(2, &format!("createmailbox {} ''", place.at("new")))
        .is("usage", None)
        .says("empty PARTITION");
}

#[test]
fn dovecot_has_no_partitions_and_is_not_asked_for_any() {
    let place = Place::dovecot();
    let (new, other) = (place.at("new"), place.at("other"));
    for command in [
        format!("createmailbox {new} fast"),
        format!("createmailbox --partition fast {new}"),
        format!("renamemailbox {} {other} fast", place.root),
        format!("renamemailbox --partition fast {} {other}", place.root),
    ] {
        place
            .fails(1, &command)
            .is("unsupported", None)
            .says("partition")
            .says("Cyrus");
    }
    // Dovecot would have said OK and ignored the word.
    let mut raw = place.raw();
    assert!(exists(&mut raw, &place.root));
    assert!(!exists(&mut raw, &new) && !exists(&mut raw, &other));
}

#[test]
fn cyrus_moves_to_a_partition_only_under_the_same_name() {
    let place = Place::cyrus();
    let new = format!("user.{}", unique("t"));
    place
        .fails(1, &format!("renamemailbox {} {new} fast", place.root))
        .is("no", None)
        .says("Cross-server or cross-partition")
        .says("two steps");
    let mut raw = place.raw();
    assert!(exists(&mut raw, &place.root) && !exists(&mut raw, &new));
}

#[test]
fn a_plain_user_may_not_set_quotas() {
    let server = cyrus();
    let (place, user) = (Place::cyrus(), server.user());
    let own = format!("user.{user}");
    let mut raw = place.raw();
    raw.ok(&format!("CREATE {own}"));
    let run = Imapadm::on(server)
        .user(&user)
        .args(["--format", "json", "--keep-going"])
        // Cyrus leaves the rest of the refused line in its input: the commands behind it must not suffer.
        .stdin(format!(
            "setquota {own} 100\nstatus INBOX\nsetquota {own} STORAGE 1 MESSAGE 2\nmyrights INBOX\n"
        ))
        .run()
        .fails(1)
        .complains("the server refused SETQUOTA: NO Permission denied");
    let objects = objects(&run);
    let oks: Vec<_> = objects
        .iter()
        .map(|object| object["ok"].as_bool().expect("a verdict"))
        .collect();
    assert_eq!(oks, [false, true, false, true], "{run}");
    assert_eq!(objects[0]["error"]["kind"], "no");
    assert_eq!(objects[1]["rows"][0]["messages"], 0);
    assert_eq!(objects[3]["rows"][0]["mailbox"], "INBOX");
    assert_eq!(
        raw.command(&format!("GETQUOTA {own}")).status,
        "NO",
        "there is a quota root now"
    );

    let server = dovecot();
    let user = server.plain_user();
    Imapadm::on(server)
        .user(&user)
        .stdin("setquota 'User quota' 100")
        .run()
        .fails(1)
        .complains("the server refused SETQUOTA: NO")
        .complains("Quota can be changed only by admin")
        .complains("administrator");
    assert!(limits(&mut Raw::login(server, &user), "User quota").is_empty());
}

#[test]
fn a_quota_root_that_is_not_there_is_the_servers_refusal() {
    for place in Place::both() {
        let words = place.differs("Quota root does not exist", "Quota root doesn't exist");
        place
            .fails(1, "listquota nosuchroot")
            .is("no", None)
            .says("the server refused GETQUOTA")
            .says(words);
    }
}

#[test]
fn a_limit_that_is_none_is_refused_before_sending() {
    for place in Place::both() {
        let root = place.quota_root();
        for (typed, words) in [
            ("-5", "has no limit for STORAGE"),
            ("1.5", "invalid limit \"1.5\""),
            ("lots", "invalid limit \"lots\""),
            ("MESSAGE 10M", "invalid limit \"10M\" for MESSAGE"),
            ("STORAGE 10 MESSAGE", "missing LIMIT after"),
            ("STORAGE 10 storage 20", "given twice"),
            ("99999999999999999999", "larger than any limit"),
            ("9223372036854775807T", "larger than any limit"),
        ] {
            place
                .fails(2, &format!("setquota {} {typed}", word(root)))
                .is("usage", None)
                .says(words);
        }
        let answer = place.raw().command(&format!("GETQUOTA {}", quoted(root)));
        assert!(answer.named("QUOTA").is_empty(), "{answer:?}");
    }
}

#[test]
fn a_limit_that_cyrus_chokes_on_is_never_sent_and_the_session_lives() {
    let place = Place::cyrus();
    let root = &place.root;
    let run = place
        .imapadm()
        .args(["--format", "json", "--keep-going"])
        .stdin(format!(
            "setquota {root} 4294967296\nsetquota {root} 2147483648\nsetquota {root} MESSAGE 5 STORAGE 2T\n\
             setquota {root} MESSAGE 2147483648\nsetquota {root} 2147483647\nlistquota {root}\n"
        ))
        .run()
        .fails(1)
        .complains("too large a limit")
        .complains("2147483647");
    let objects = objects(&run);
    for object in &objects[..4] {
        assert_eq!(object["error"]["kind"], "usage", "{run}");
    }
    assert_eq!(objects[4]["ok"], true, "{run}");
    assert_eq!(
        objects[5]["rows"],
        json!([{"root": root, "resource": "STORAGE", "usage": 0, "limit": 2_147_483_647}])
    );
    assert_eq!(
        limits(&mut place.raw(), root),
        [("STORAGE".to_owned(), 2_147_483_647)]
    );
    // Dovecot takes it.
    let place = Place::dovecot();
    place.rows("setquota 'User quota' 4294967296");
    assert_eq!(
        limits(&mut place.raw(), "User quota"),
        [("STORAGE".to_owned(), 4_294_967_296)]
    );
}

#[test]
fn an_unknown_resource_is_the_servers_refusal() {
    for place in Place::both() {
        let (kind, words) = place.differs(
            ("no", "Unsupported quota resource"),
            ("bad", "Unsupported resource name: NOSUCH"),
        );
        place
            .fails(
                1,
                &format!("setquota {} NOSUCH 5", word(place.quota_root())),
            )
            .is(kind, None)
            .says(words);
        // And what stands behind it on the line is not taken for the next command.
        let (run, objects) = place.json("noop\nnoop\n");
        run.ok();
        assert_eq!(objects.len(), 2);
    }
}

#[test]
fn a_quota_that_was_set_is_real() {
    for place in Place::both() {
        let root = place.quota_root();
        place.rows(&format!("setquota {} STORAGE 20 MESSAGE 3", word(root)));
        let mut raw = place.raw();
        let large = format!("{}{}", message("large"), "x\r\n".repeat(10_000));
        let append = |raw: &mut Raw, text: &str| {
            raw.parts(&[
                format!("APPEND {} ", place.root).as_bytes(),
                text.as_bytes(),
            ])
        };
        let answer = append(&mut raw, &large);
        assert_eq!(answer.status, "NO", "{answer:?}");
        assert!(
            answer
                .text
                .contains(place.differs("Over quota", "[OVERQUOTA]")),
            "{answer:?}"
        );
        for subject in ["1", "2", "3"] {
            assert_eq!(append(&mut raw, &message(subject)).status, "OK");
        }
        let answer = append(&mut raw, &message("4"));
        assert_eq!(answer.status, "NO", "{answer:?}");
        // With more room the same messages go in.
        place.rows(&format!("setquota {} STORAGE 1M MESSAGE 10", word(root)));
        let mut raw = place.raw();
        assert_eq!(append(&mut raw, &large).status, "OK");
        assert_eq!(append(&mut raw, &message("4")).status, "OK");
    }
}

#[test]
fn cyrus_does_not_delete_a_mailbox_with_children_and_the_program_says_how_to() {
    let place = Place::cyrus();
    let mut raw = place.raw();
    raw.ok(&format!("CREATE {}", place.at("a/b")));
    place
        .fails(1, &format!("deletemailbox {}", place.at("a")))
        .is("no", Some("HASCHILDREN"))
        .says("Mailbox has inferior hierarchical names")
        .says("deletemailbox --recursive");
    assert!(exists(&mut raw, &place.at("a")) && exists(&mut raw, &place.at("a/b")));
    place.rows(&format!(
        "deletemailbox --yes --recursive {}",
        place.at("a")
    ));
    assert!(listed(&mut raw, &place.at("a*")).is_empty());
}

#[test]
fn dovecot_keeps_the_name_of_a_deleted_mailbox_with_children() {
    let place = Place::dovecot();
    let mut raw = place.raw();
    raw.ok(&format!("CREATE {}", place.at("a")));
    raw.ok(&format!("CREATE {}", place.at("a/b")));
    let rows = place.rows(&format!("deletemailbox {}", place.at("a")));
    assert_eq!(rows, json!([{"mailbox": place.at("a"), "deleted": true}]));
    assert!(!exists(&mut raw, &place.at("a")) && exists(&mut raw, &place.at("a/b")));
    // Which its listing does not say: only STATUS and the like do.
    assert_eq!(
        wire_names(&mut raw, "LIST", &place.at("a")),
        [place.at("a")]
    );
    // Such a name is no failure of a recursive delete: the server drops it with the last mailbox below it.
    let rows = place.rows(&format!(
        "deletemailbox --yes --recursive {}",
        place.at("a")
    ));
    assert_eq!(
        rows[0],
        json!({"mailbox": place.at("a/b"), "deleted": true})
    );
    assert!(listed(&mut raw, &place.at("a*")).is_empty());
}

#[test]
fn an_administrator_of_cyrus_is_told_to_take_the_right_x_and_that_helps() {
    let place = Place::cyrus();
    let name = format!("user.{}", unique("two words"));
    let mut raw = place.raw();
    raw.ok(&format!("CREATE {}", quoted(&name)));
    let failure = place
        .fails(1, &format!("deletemailbox {}", word(&name)))
        .is("no", None)
        .says("Permission denied")
        .says("the right x");
    assert_eq!(wire_names(&mut raw, "LIST", &name), [name.as_str()]);
    // The advice is a command that can be copied: what stands behind «grant it to themselves: » is run as it is.
    let (_, advice) = failure
        .text
        .split_once("grant it to themselves: ")
        .expect("a command");
    assert!(advice.starts_with("setacl "), "{advice}");
    place.rows(advice);
    place.rows(&format!("deletemailbox {}", word(&name)));
    assert!(wire_names(&mut raw, "LIST", &name).is_empty());
}

#[test]
fn the_inbox_of_cyrus_is_not_renamed() {
    let server = cyrus();
    let user = server.user();
    let own = format!("user.{user}");
    Raw::admin(server).ok(&format!("CREATE {own}"));
    let mut raw = Raw::login(server, &user);
    raw.append("INBOX", &message("stays"));
    for name in ["INBOX", "inbox"] {
        let run = Imapadm::on(server)
            .user(&user)
            .args(["--format", "json", "-k"])
            .stdin(format!("renamemailbox {name} INBOX.old\nstatus INBOX\n"))
            .run()
            .fails(1)
            .complains("INBOX is renamed");
        let objects = objects(&run);
        assert_eq!(objects[0]["error"]["kind"], "usage", "{run}");
        assert_eq!(objects[1]["rows"][0]["messages"], 1, "{run}");
    }
    assert!(!exists(&mut raw, "INBOX.old"));
}

#[test]
fn the_inbox_of_cyrus_is_not_renamed_under_its_other_name_either() {
    let server = cyrus();
    let user = server.user();
    let own = format!("user.{user}");
    Raw::admin(server).ok(&format!("CREATE {own}"));
    Raw::login(server, &user).append("INBOX", &message("stays"));
    // To its owner `user.NAME` is INBOX, and Cyrus breaks down over it all the same, if it takes it at all.
    let run = Imapadm::on(server)
        .user(&user)
        .args(["--format", "json", "-k"])
        .stdin(format!("renamemailbox {own} {own}.old\nstatus INBOX\n"))
        .run()
        .fails(1);
    let objects = objects(&run);
    assert_eq!(objects.len(), 2, "the session was lost:\n{run}");
    assert_eq!(objects[1]["rows"][0]["messages"], 1, "{run}");
}

#[test]
fn dovecot_refuses_to_rename_its_inbox_with_its_own_words() {
    let place = Place::dovecot();
    let failure = place.fails(1, &format!("renamemailbox INBOX {}", place.at("old")));
    failure
        .is("no", Some("CANNOT"))
        .says("Renaming INBOX isn't supported");
}

#[test]
fn what_needs_a_selected_mailbox_says_so() {
    for place in Place::both() {
        for command in [
            "expunge",
            "close",
            "unselect",
            "status",
            "listacl",
            "myrights",
            "listquotaroot",
            "subscribe",
            "unsubscribe",
        ] {
            place
                .fails(1, command)
                .is("nothing-selected", None)
                .says("select");
        }
        // A select that fails leaves nothing selected, also where something was.
        let (run, objects) = place.json(&format!(
            "select {}\nselect {}\nstatus\n",
            place.root,
            place.at("nosuch")
        ));
        run.fails(1);
        assert_eq!(objects.len(), 2);
        let run = place
            .imapadm()
            .args(["--format", "json", "-k"])
            .stdin(format!(
                "select {}\nselect {}\nstatus\n",
                place.root,
                place.at("nosuch")
            ))
            .run()
            .fails(1);
        assert_eq!(
            super::support::place::objects(&run)[2]["error"]["kind"],
            "nothing-selected",
            "{run}"
        );
    }
}

#[test]
fn what_was_only_examined_is_not_expunged() {
    for place in Place::both() {
        let mut raw = place.raw();
        raw.append(&place.root, &message("1"));
        raw.ok(&format!("SELECT {}", place.root));
        raw.ok("STORE 1 +FLAGS (\\Deleted)");
        raw.ok("UNSELECT");
        let (run, objects) = place.json(&format!("examine {}\nexpunge\n", place.root));
        let run = run.fails(2).complains("selected read-only");
        assert_eq!(objects[1]["error"]["kind"], "usage", "{run}");
        assert_eq!(objects[1]["rows"], json!([]));
        let status = raw.command(&format!("STATUS {} (MESSAGES)", place.root));
        assert!(
            status.named("STATUS")[0].ends_with("(MESSAGES 1)"),
            "{status:?}"
        );
    }
}

#[test]
fn a_subscription_to_nothing_is_the_servers_affair() {
    for place in Place::both() {
        let name = place.at("nosuch");
        if place.is_cyrus() {
            place
                .fails(1, &format!("subscribe {name}"))
                .is("no", None)
                .says("Mailbox does not exist")
                .says("listmailbox");
            assert!(wire_names(&mut place.raw(), "LSUB", &name).is_empty());
        } else {
            let (run, objects) = place.json(&format!("subscribe {name}"));
            let subscribed = !wire_names(&mut place.raw(), "LSUB", &name).is_empty();
            assert_eq!(objects[0]["ok"], json!(subscribed), "{run}");
        }
    }
}

/// A server that offers these capabilities and says OK to everything.
fn lacking(capabilities: &'static str) -> Faulty {
    let capabilities = Arc::new(format!("IMAP4rev1 {capabilities}"));
    Faulty::script(move |conn| {
        conn.send(format!("* OK [CAPABILITY {capabilities}] ready\r\n"));
        let capabilities = Arc::clone(&capabilities);
        conn.answer(move |tag, command| {
            let verb = command.split(' ').next().unwrap_or_default();
            match verb.to_ascii_uppercase().as_str() {
                "LOGIN" | "AUTHENTICATE" => format!("{tag} OK [CAPABILITY {capabilities}] in\r\n"),
                "CAPABILITY" => format!("* CAPABILITY {capabilities}\r\n{tag} OK done\r\n"),
                "LIST" => format!("* LIST (\\Noselect) \"/\" \"\"\r\n{tag} OK done\r\n"),
                "LOGOUT" => format!("* BYE bye\r\n{tag} OK done\r\n"),
                "SELECT" => format!(
                    "* 0 EXISTS\r\n* 0 RECENT\r\n* FLAGS ()\r\n{tag} OK [READ-WRITE] done\r\n"
                ),
                _ => format!("{tag} OK done\r\n"),
            }
        });
    })
}

#[test]
fn an_extension_that_is_not_offered_is_named_and_nothing_is_sent() {
    for (extension, rfc, verb, commands) in [
        (
            "ACL",
            "RFC 4314",
            "ACL MYRIGHTS LISTRIGHTS",
            &[
                "listacl x",
                "setacl x bob lrs",
                "deleteacl x bob",
                "deleteacl x '*'",
                "myrights x",
                "listrights x bob",
            ][..],
        ),
        (
            "QUOTA",
            "RFC",
            "QUOTA",
            &[
                "listquota x",
                "listquotaroot x",
                "setquota x 100",
                "setquota x none",
            ][..],
        ),
        ("NAMESPACE", "RFC 2342", "NAMESPACE", &["namespace"][..]),
        ("ID", "RFC 2971", "ID ", &["id"][..]),
        (
            "UNSELECT",
            "RFC 3691",
            "UNSELECT",
            &["select x\nunselect"][..],
        ),
    ] {
        let all = ["ACL", "QUOTA", "NAMESPACE", "ID", "UNSELECT"];
        let others: Vec<_> = all.into_iter().filter(|name| *name != extension).collect();
        let server = lacking(Box::leak(
            format!("AUTH=PLAIN {}", others.join(" ")).into_boxed_str(),
        ));
        for command in commands {
            let run = Imapadm::on_port(server.port)
                .args(["--allow-cleartext", "--format", "json"])
                .stdin(command)
                .run()
                .fails(1)
                .complains(&format!("needs the extension {extension} ({rfc}"))
                .complains("capability");
            let error = &objects(&run).pop().expect("an object")["error"];
            assert_eq!(error["kind"], "unsupported", "{run}");
            assert_eq!(error["code"], json!(null));
        }
        let sent = server.received();
        let wrong = sent.iter().find(|line| {
            let command = line.split_once(' ').map_or("", |(_, command)| command);
            verb.split_whitespace().any(|word| {
                let first = command.split(' ').next().unwrap_or_default();
                first == word || (word != "ID" && first.ends_with(word))
            })
        });
        assert_eq!(wrong, None, "{extension}: {sent:?}");
    }
}

#[test]
fn without_unselect_a_mailbox_can_still_be_closed() {
    let server = lacking("AUTH=PLAIN");
    Imapadm::on_port(server.port)
        .arg("--allow-cleartext")
        .stdin("select x\nclose")
        .run()
        .ok()
        .says("x\tclosed");
    assert!(
        server
            .received()
            .iter()
            .any(|line| line.ends_with(" CLOSE"))
    );
}

#[test]
fn without_namespace_the_separator_is_asked_for_with_list() {
    let server = lacking("AUTH=PLAIN");
    let run = Imapadm::on_port(server.port)
        .arg("--allow-cleartext")
        .stdin("session")
        .run()
        .ok();
    assert!(
        run.stdout.lines().any(|line| line == "separator\t/"),
        "{run}"
    );
    let sent = server.received();
    assert!(
        sent.iter().any(|line| line.ends_with("LIST \"\" \"\"")),
        "{sent:?}"
    );
}

#[test]
fn a_command_that_cannot_be_right_is_misuse_and_stops_the_script() {
    for place in Place::both() {
        let below = format!("{}*", place.root);
        for (command, words) in [
            ("createmailbox", "missing MAILBOX"),
            ("createmailbox a b c", "unexpected argument"),
            ("createmailbox --nosuch a", "unknown option --nosuch"),
            ("setacl a bob", "missing RIGHTS"),
            ("setacl a bob lrs carol", "missing RIGHTS"),
            ("creatmailbox a", "createmailbox"),
            ("createmailbox 'a", "is not closed"),
        ] {
            let run = place
                .text(&format!("{command}\ncreatemailbox {}", place.at("after")))
                .fails(2);
            run.complains(words);
        }
        assert_eq!(
            listed(&mut place.raw(), &below),
            [place.root.clone()].into()
        );
    }
}

#[test]
fn a_refusal_in_text_output_leaves_stdout_to_the_results() {
    for place in Place::both() {
        let (good, bad) = (place.at("good"), place.at("bad"));
        let run = place
            .text(&format!("create {good}\ndelete {bad}\ncreate {bad}\n"))
            .fails(1);
        assert_eq!(run.stdout, format!("{good}\tcreated\n"));
        // One line, with where it stands and what was typed, and one that says how to go on.
        assert_eq!(run.stderr.lines().count(), 2, "{run}");
        assert!(
            run.stderr.ends_with("continue with --from-line 3\n"),
            "{run}"
        );
        let start = format!("imapadm: line 2: delete {bad}: the server refused DELETE: NO");
        assert!(run.stderr.starts_with(&start), "{run}");
        assert!(!exists(&mut place.raw(), &bad), "the script went on");
    }
}

#[test]
fn advice_follows_the_servers_words_as_a_sentence() {
    for place in Place::both() {
        let failure = place.fails(1, &format!("status {}", place.at("nosuch")));
        assert!(failure.text.contains(". Find its"), "{}", failure.text);
        assert!(!failure.text.contains(".."), "{}", failure.text);
    }
}
