//! Only what was seen is told: no default is shown as a fact, and an answer is shown as the server gave it. What is refused gets advice that
//! helps.

use serde_json::{Value, json};

use super::support::faulty::Faulty;
use super::support::place::{Place, exists, limits, objects, rights_of, word};
use super::support::raw::message;
use super::support::run::{Imapadm, Run};

const CAPABILITIES: &str = "ACL QUOTA NAMESPACE RIGHTS=kxte METADATA UNSELECT";

/// A server with `/` for separator that says OK to all for which `answer` gives nothing. What it gives stands before the tagged OK, or,
/// with `T` for the tag in its last line, in place of it.
fn server(answer: impl Fn(&str) -> Option<&'static str> + Send + Sync + 'static) -> Faulty {
    Faulty::script(move |conn| {
        conn.let_in(CAPABILITIES);
        conn.answer(|tag, command| {
            let lines = match (answer(command), command) {
                (Some(lines), _) => lines,
                (None, "NAMESPACE") => "* NAMESPACE ((\"\" \"/\")) NIL NIL",
                (None, _) => "T OK done",
            };
            let mut reply = String::new();
            let mut is_tagged = false;
            for line in lines.lines() {
                match line.strip_prefix("T ") {
                    Some(rest) => {
                        is_tagged = true;
                        reply += &format!("{tag} {rest}\r\n");
                    }
                    None => reply += &format!("{line}\r\n"),
                }
            }
            if !is_tagged {
                reply += &format!("{tag} OK done\r\n");
            }
            reply
        });
    })
}

/// Runs a script against it, with JSON output.
fn json_of(server: &Faulty, script: &str) -> (Run, Vec<Value>) {
    let run = Imapadm::on_port(server.port)
        .args(["-k", "--format", "json"])
        .stdin(script)
        .run();
    let objects = objects(&run);
    (run, objects)
}

/// Runs a script against it, with text output.
fn text_of(server: &Faulty, script: &str) -> Run {
    Imapadm::on_port(server.port).stdin(script).run()
}

#[test]
fn a_selected_mailbox_of_which_the_server_tells_nothing_has_no_counts() {
    let server = server(|_| None);
    let (run, objects) = json_of(&server, "select INBOX\nsession");
    let run = run.ok();
    let row = &objects[0]["rows"][0];
    assert_eq!(row["mailbox"], "INBOX", "{run}");
    for key in [
        "access",
        "messages",
        "recent",
        "firstunseen",
        "uidnext",
        "uidvalidity",
        "flags",
        "permanentflags",
    ] {
        assert_eq!(row.get(key), Some(&Value::Null), "{key} of\n{run}");
    }
    let items = objects[1]["rows"].as_array().expect("rows");
    for key in ["messages", "access"] {
        let item = items.iter().find(|row| row["item"] == key).expect(key);
        assert_eq!(item["value"], Value::Null, "{key} of\n{run}");
    }
    text_of(&server, "select INBOX")
        .ok()
        .says("INBOX\t-\t-\t-\t-\t-\t-\t-\t-\n");
}

#[test]
fn what_is_expunged_does_not_make_up_a_count() {
    let server = server(|command| (command == "NOOP").then_some("* 2 EXPUNGE"));
    let (run, objects) = json_of(&server, "select INBOX\nnoop\nsession");
    let run = run.ok();
    let items = objects[2]["rows"].as_array().expect("rows");
    let messages = items.iter().find(|row| row["item"] == "messages");
    assert_eq!(messages.expect("messages")["value"], Value::Null, "{run}");
}

#[test]
fn select_tells_what_came_of_it_and_no_more() {
    let server = server(|command| match command {
        "SELECT a" => Some("* 0 EXISTS\nT OK [READ-WRITE] in"),
        "SELECT b" => Some("* FLAGS ()\n* OK [PERMANENTFLAGS ()] none\nT OK [READ-ONLY] in"),
        _ => None,
    });
    let (run, objects) = json_of(&server, "select a\nselect b\nexamine c");
    let run = run.ok();
    let row = |at: usize| &objects[at]["rows"][0];
    assert_eq!(
        (&row(0)["messages"], &row(0)["access"], &row(0)["flags"]),
        (&json!(0), &json!("read-write"), &Value::Null),
        "{run}"
    );
    assert_eq!(
        (&row(1)["messages"], &row(1)["access"]),
        (&Value::Null, &json!("read-only")),
        "{run}"
    );
    assert_eq!(
        (&row(1)["flags"], &row(1)["permanentflags"]),
        (&json!([]), &json!([])),
        "{run}"
    );
    assert_eq!(row(2)["access"], "read-only", "{run}");
}

#[test]
fn where_the_separator_is_not_to_be_had_the_option_is_named() {
    for answer in ["T BAD what?", "T NO not now"] {
        let server = server(move |command| {
            (command == "NAMESPACE" || command.starts_with("LIST \"\" \"\"")).then_some(answer)
        });
        text_of(&server, "dm --yes -r a")
            .fails(1)
            .complains("--separator")
            .complains("hierarchy separator");
        assert!(!server.received().iter().any(|line| line.contains("DELETE")));
    }
}

#[test]
fn new_names_hold_no_wildcards_by_accident() {
    let refusing = server(|_| None);
    for (typed, instead) in [
        ("cm 'a*'", "'wire:a*'"),
        ("cm 50%", "wire:50%"),
        ("renm a 'b*c'", "'wire:b*c'"),
        ("cm 'Entw\u{fc}rfe*'", "'wire:Entw&APw-rfe*'"),
    ] {
        text_of(&refusing, typed)
            .fails(2)
            .complains("wildcard")
            .complains(instead);
    }
    let sent = |server: &Faulty, verb: &str| {
        let lines = server.received();
        lines.iter().filter(|line| line.contains(verb)).count()
    };
    assert_eq!(sent(&refusing, "CREATE") + sent(&refusing, "RENAME"), 0);
    // The old name of a rename may well hold one: that is how to get rid of it.
    text_of(&refusing, "cm 'wire:a*'\nrenm 'wire:a*' b\nrenm c wire:d%").ok();
    assert_eq!(
        (sent(&refusing, "CREATE"), sent(&refusing, "RENAME")),
        (1, 2)
    );
}

#[test]
fn a_mailbox_that_may_not_be_seen_is_not_said_to_be_missing() {
    for place in Place::both() {
        let stranger = place.server.user();
        let secret = place.at("secret");
        place.raw().ok(&format!("CREATE {secret}"));
        let theirs = place.differs(secret.clone(), format!("shared/{}/{secret}", place.user));
        for command in ["status", "select", "deletemailbox", "subscribe"] {
            let run = place
                .imapadm()
                .user(&stranger)
                .stdin(format!("{command} {}", word(&theirs)))
                .run();
            // Dovecot subscribes to what is not there.
            if run.status != Some(0) {
                run.fails(1)
                    .complains("listmailbox")
                    .complains("you may lack the right l (lookup) on it");
            }
        }
        place
            .imapadm()
            .user(&stranger)
            .stdin(format!("deletemailbox --yes -r {}", word(&theirs)))
            .run()
            .fails(1)
            .complains("you may lack the right l (lookup) on it");
        assert!(exists(&mut place.raw(), &secret));
    }
}

#[test]
fn who_is_not_connected_is_not_told_to_select() {
    let run = Imapadm::bare().stdin("myrights").run();
    run.fails(1).complains("not connected");
}

#[test]
fn what_the_server_announces_it_made_is_told() {
    let server = server(|command| match command {
        "CREATE Foo" => Some("* LIST () \"/\" \"INBOX/Foo\" (\"OLDNAME\" (\"Foo\"))"),
        // What others do meanwhile is none of this one's.
        "CREATE Bar" => Some("* LIST () \"/\" zz (\"OLDNAME\" (\"yy\"))\n* LIST () \"/\" Bar"),
        "RENAME a b" => Some("* LIST () \"/\" INBOX/b (\"OLDNAME\" (a))"),
        "RENAME c d" => Some("* LIST () \"/\" zz (\"OLDNAME\" (\"yy\"))"),
        _ => None,
    });
    let (run, objects) = json_of(&server, "cm Foo\ncm Bar\nrenm a b\nrenm c d");
    let run = run.ok();
    let rows: Vec<&Value> = objects.iter().map(|object| &object["rows"][0]).collect();
    assert_eq!(
        rows[0],
        &json!({"mailbox": "INBOX/Foo", "created": true}),
        "{run}"
    );
    assert_eq!(rows[1], &json!({"mailbox": "Bar", "created": true}));
    assert_eq!(
        rows[2],
        &json!({"mailbox": "a", "renamed": true, "to": "INBOX/b"})
    );
    assert_eq!(
        rows[3],
        &json!({"mailbox": "c", "renamed": true, "to": "d"})
    );
    let run = run
        .complains("the server created INBOX/Foo, not Foo")
        .complains("the server renamed it to INBOX/b, not b");
    assert_eq!(run.stderr.matches("the server ").count(), 2, "{run}");
    // The usual names cost no second look.
    assert!(!server.received().iter().any(|line| line.contains("LIST")));
}

#[test]
fn a_separator_at_the_end_is_sent_and_what_came_of_it_looked_up() {
    let server = server(|command| match command {
        "LIST \"\" \"Projects/\"" | "LIST \"\" Projects/" => Some("* LIST () \"/\" other"),
        "LIST \"\" \"Projects\"" | "LIST \"\" Projects" => {
            Some("* LIST (\\Noselect) \"/\" Projects")
        }
        _ => None,
    });
    let (run, objects) = json_of(&server, "cm Projects/");
    let run = run.ok();
    assert!(
        server.received().iter().any(
            |line| line.ends_with("CREATE Projects/") || line.ends_with("CREATE \"Projects/\"")
        ),
        "{run}"
    );
    assert_eq!(
        objects[0]["rows"],
        json!([{"mailbox": "Projects", "created": true}]),
        "{run}"
    );
}

#[test]
fn an_ok_after_which_nothing_is_listed_is_no_success() {
    let server = server(|_| None);
    for (typed, verb) in [
        ("cm Projects/", "CREATE"),
        ("cm a//b", "CREATE"),
        ("renm x /y/", "RENAME"),
    ] {
        let (run, objects) = json_of(&server, typed);
        let run = run.fails(1).complains(&format!("said OK to {verb}"));
        assert_eq!(objects[0]["error"]["kind"], "not-listed", "{run}");
        assert_eq!(objects[0]["rows"], json!([]), "{run}");
    }
}

#[test]
fn where_it_can_not_be_looked_up_the_servers_ok_counts() {
    let server = server(|command| command.starts_with("LIST").then_some("T NO not now"));
    let (run, objects) = json_of(&server, "cm Projects/");
    let run = run.ok();
    assert_eq!(
        objects[0]["rows"],
        json!([{"mailbox": "Projects/", "created": true}]),
        "{run}"
    );
}

#[test]
fn cyrus_makes_of_some_names_another_and_that_is_told() {
    let place = Place::cyrus();
    let root = &place.root;
    for (typed, made) in [
        (format!("{root}..x"), place.at("x")),
        (format!("{root}.y..z."), place.at("y.z")),
        (format!(".{root}.lead"), place.at("lead")),
        (place.at("plain"), place.at("plain")),
    ] {
        let (run, objects) = place.json(&format!("createmailbox {}", word(&typed)));
        let run = run.ok();
        assert_eq!(
            objects[0]["rows"],
            json!([{"mailbox": made, "created": true}]),
            "{run}"
        );
        assert!(exists(&mut place.raw(), &made), "{run}");
        assert_eq!(run.stderr.contains("not "), typed != made, "{run}");
    }
    let (run, objects) = place.json(&format!("renamemailbox {root}.x {root}..w"));
    let run = run.ok();
    assert_eq!(objects[0]["rows"][0]["to"], json!(place.at("w")), "{run}");
    assert!(exists(&mut place.raw(), &place.at("w")));
    // Sent ahead of what deletes it, it is still seen.
    let run = place
        .imapadm()
        .arg("-k")
        .stdin(format!("cm {root}..v\ndm {root}.v\n"))
        .run()
        .ok();
    run.says(&format!("{root}.v\tcreated\n{root}.v\tdeleted\n"));
}

#[test]
fn dovecot_makes_a_mailbox_of_a_name_with_a_separator_at_the_end() {
    let place = Place::dovecot();
    let rows = {
        let (run, objects) = place.json(&format!("createmailbox {}", place.at("box/")));
        run.ok();
        objects[0]["rows"].clone()
    };
    assert_eq!(rows, json!([{"mailbox": place.at("box"), "created": true}]));
    assert!(exists(&mut place.raw(), &place.at("box")));
}

#[test]
fn another_servers_separator_in_a_new_name_is_pointed_out() {
    let place = Place::cyrus();
    for (typed, meant) in [
        ("user/nobody7", "user.nobody7"),
        ("user/nobody7/Sent", "user.nobody7.Sent"),
    ] {
        place
            .fails(1, &format!("createmailbox {typed}"))
            .is("no", None)
            .says(&format!("The separator here is . ; did you mean {meant}?"));
    }
    place
        .fails(1, &format!("createmailbox {}/x", place.at("b")))
        .says(&format!("did you mean {}?", place.at("b.x")));
    // A name that is there already, or not allowed for what else is in it, is no such mistake.
    let failure = place.fails(1, &format!("createmailbox {}", place.root));
    assert!(!failure.text.contains("did you mean"), "{}", failure.text);
    let failure = place.fails(1, &format!("createmailbox {}", word(&place.at("a\"b"))));
    assert!(!failure.text.contains("did you mean"), "{}", failure.text);

    let dovecot = server(|command| match command {
        "NAMESPACE" => Some("* NAMESPACE ((\"\" \".\")) NIL NIL"),
        "CREATE a/b" => Some("T NO [CANNOT] Invalid mailbox name"),
        _ => None,
    });
    text_of(&dovecot, "cm a/b")
        .fails(1)
        .complains("The separator here is . ; did you mean a.b?");
}

#[test]
fn a_dot_in_a_user_name_is_pointed_out_on_cyrus() {
    let place = Place::cyrus();
    let (max, user) = (
        format!("user.{}", super::support::servers::unique("max")),
        &place.root,
    );
    place
        .fails(1, &format!("createmailbox {max}.muster"))
        .is("no", None)
        .says(&format!(
            "{max} does not exist; create it first, or write a dot in a user name as ^: {max}^muster"
        ));
    place.rows(&format!("createmailbox {max}^muster"));
    // Below a user who is there, nothing of the kind is said; nor to who is no administrator.
    place.rows(&format!("createmailbox {user}.muster"));
    let owner = place.server.user();
    place.raw().ok(&format!("CREATE user.{owner}"));
    let run = place
        .imapadm()
        .user(&owner)
        .stdin(format!("createmailbox {max}.muster"))
        .run()
        .fails(1);
    run.complains("Permission denied")
        .never_says("does not exist");
}

/// Each run of a single command, with whether the answers come one by one.
fn both_ways(server: &Faulty, script: &str) -> [(Run, Vec<Value>); 2] {
    [&[][..], &["--no-pipeline"][..]].map(|options| {
        let run = Imapadm::on_port(server.port)
            .args(options)
            .args(["--format", "json"])
            .stdin(script)
            .run();
        let objects = objects(&run);
        (run, objects)
    })
}

#[test]
fn who_was_not_on_the_list_is_not_said_to_be_deleted() {
    let server = server(|command| (command == "GETACL x").then_some("* ACL x joe lrs"));
    for (run, objects) in both_ways(&server, "dam x nobody") {
        let run = run.ok();
        assert_eq!(
            objects[0]["rows"],
            json!([{"mailbox": "x", "identifier": "nobody", "deleted": false, "reason": "was not in the ACL"}]),
            "{run}"
        );
        assert_eq!(objects[0]["ok"], true, "{run}");
    }
    text_of(&server, "dam x nobody")
        .ok()
        .says("x\tnobody\tnot deleted\twas not in the ACL\n");
    assert!(
        server
            .received()
            .iter()
            .any(|line| line.contains("DELETEACL x nobody"))
    );
}

#[test]
fn where_the_list_can_not_be_had_the_servers_ok_counts() {
    let server = server(|command| command.starts_with("GETACL").then_some("T NO not for you"));
    for (run, objects) in both_ways(&server, "dam x nobody") {
        let run = run.ok();
        assert_eq!(
            objects[0]["rows"],
            json!([{"mailbox": "x", "identifier": "nobody", "deleted": true}]),
            "{run}"
        );
    }
}

#[test]
fn both_servers_tell_who_was_on_the_list() {
    for place in Place::both() {
        let root = &place.root;
        place.raw().ok(&format!("SETACL {root} bob lrs"));
        let rows = place.rows(&format!("deleteacl {root} bob alice"));
        assert_eq!(
            rows,
            json!([
                {"mailbox": root, "identifier": "bob", "deleted": true},
                {"mailbox": root, "identifier": "alice", "deleted": false, "reason": "was not in the ACL"},
            ])
        );
        assert_eq!(rights_of(&mut place.raw(), root, "bob"), None);
    }
}

#[test]
fn what_cyrus_leaves_an_owner_is_told() {
    let place = Place::cyrus();
    let (root, owner) = (&place.root, place.root.trim_start_matches("user."));
    let rows = place.rows(&format!("deleteacl {root} {owner}"));
    let left = rights_of(&mut place.raw(), root, owner).expect("rights");
    assert_eq!(rows[0]["deleted"], false, "{rows}");
    let reason = rows[0]["reason"].as_str().expect("a reason");
    assert!(
        reason.starts_with("the server still gives it the rights"),
        "{reason}"
    );
    assert!(
        left.chars().all(|right| reason.contains(right)),
        "{left}: {reason}"
    );
    // Cyrus takes the capitals away.
    place.raw().ok(&format!("SETACL {root} bob lrs"));
    let rows = place.rows(&format!("deleteacl {root} BOB"));
    assert_eq!(
        rows,
        json!([{"mailbox": root, "identifier": "BOB", "deleted": true}])
    );
}

/// The commands that a server got, but for those of the login.
fn commands(server: &Faulty, verb: &str) -> Vec<String> {
    let lines = server.received();
    let commands = lines.iter().filter_map(|line| line.split_once(' '));
    commands
        .map(|(_, command)| command.to_owned())
        .filter(|command| command.starts_with(verb))
        .collect()
}

#[test]
fn the_limit_that_the_server_set_is_told() {
    let server = server(|command| {
        command
            .starts_with("SETQUOTA a")
            .then_some("* QUOTA a (STORAGE 0 1500000)")
    });
    for typed in ["sq a 2G", "sq --only a 2G"] {
        let (run, objects) = json_of(&server, typed);
        let run = run
            .ok()
            .complains("the server set the limit of a for STORAGE to 1500000, not to 2097152");
        assert_eq!(
            objects[0]["rows"],
            json!([{"root": "a", "resource": "STORAGE", "limit": 1_500_000, "set": true}]),
            "{run}"
        );
    }
    // A limit that is not there is not set, and what another root has is not this one's.
    let (run, objects) = json_of(&server, "sq a MESSAGE 5\nsq b 7");
    let run = run.ok().complains("a has no limit for MESSAGE");
    assert_eq!(
        objects[0]["rows"],
        json!([{"root": "a", "resource": "MESSAGE", "limit": null, "set": false}]),
        "{run}"
    );
    assert_eq!(objects[1]["rows"][0]["limit"], 7, "{run}");
}

#[test]
fn an_answer_about_another_root_is_said_to_be_that() {
    let server = server(|command| {
        command
            .starts_with("GETQUOTA")
            .then_some("* QUOTA \"\" (STORAGE 0 111)")
    });
    text_of(&server, "lq whatever")
        .fails(1)
        .complains("for \"\" instead of \"whatever\"")
        .never_says("111\n");
}

#[test]
fn limits_that_are_none_are_refused_with_what_would_be_one() {
    let server = server(|_| None);
    for (typed, words) in [
        ("sq i unlimited", "invalid limit \"unlimited\""),
        ("sq i 5X", "invalid limit \"5X\""),
        ("sq i STORAGE lots", "invalid limit \"lots\""),
        ("sq i MESSAGE 5M", "invalid limit \"5M\" for MESSAGE"),
        ("sq i 1,5G", "invalid limit \"1,5G\""),
        ("sq i STORAGE", "missing LIMIT after \"STORAGE\""),
        ("sq i 99999999999999T", "larger than any"),
        ("sq --only i +1G", "--only"),
    ] {
        text_of(&server, typed).fails(2).complains(words);
    }
    text_of(&server, "sq i unlimited")
        .fails(2)
        .complains("2.5G")
        .complains("none");
    assert_eq!(commands(&server, "SETQUOTA"), [""; 0]);
}

#[test]
fn limits_are_changed_by_so_much_and_the_others_stay() {
    for place in Place::both() {
        let root = place.quota_root();
        let quoted = word(root);
        let set = |typed: &str, expected: u64| {
            let rows = place.rows(&format!("setquota {quoted} {typed}"));
            assert_eq!(rows[0]["limit"], expected, "{typed}");
            let both = [("MESSAGE".to_owned(), 50), ("STORAGE".to_owned(), expected)];
            assert_eq!(limits(&mut place.raw(), root), both, "{typed}");
        };
        place.rows(&format!("setquota {quoted} STORAGE 1G MESSAGE 50"));
        set("2.5G", 2_621_440);
        set("+1G", 3_670_016);
        set("-500M", 3_158_016);
        set("STORAGE -0.5M", 3_157_504);
        set("1T", 1_073_741_824);
        let rows = place.rows(&format!("setquota {quoted} MESSAGE +5"));
        assert_eq!(rows[0]["limit"], 55);
        for (typed, words) in [
            ("-2T", "is more than the limit"),
            ("MESSAGE -56", "is more than the limit"),
            ("X-NUM-FOLDERS +1", "no limit for X-NUM-FOLDERS"),
        ] {
            let failure = place.fails(2, &format!("setquota {quoted} {typed}"));
            failure.is("usage", None).says(words);
        }
        let both = [
            ("MESSAGE".to_owned(), 55),
            ("STORAGE".to_owned(), 1_073_741_824),
        ];
        assert_eq!(limits(&mut place.raw(), root), both);
    }
}

#[test]
fn a_limit_below_what_is_used_is_warned_of() {
    for place in Place::both() {
        let root = place.quota_root();
        place.rows(&format!("setquota {} 1G", word(root)));
        let large = format!("{}{}", message("large"), "x\r\n".repeat(10_000));
        place.raw().append(&place.root, &large);
        let (run, objects) = place.json(&format!("setquota {} 5", word(root)));
        let run = run
            .ok()
            .complains(&format!("the new limit of {root} for STORAGE is 5, but"));
        assert_eq!(objects[0]["rows"][0]["set"], true, "{run}");
        let (run, _) = place.json(&format!("setquota {} 1G", word(root)));
        assert_eq!(run.ok().stderr, "");
    }
}

#[test]
fn a_mailbox_that_becomes_a_quota_root_of_its_own_is_warned_of() {
    let place = Place::cyrus();
    let (root, below) = (&place.root, place.at("below"));
    place.raw().ok(&format!("CREATE {below}"));
    // The first root above which there is none is what everybody sets.
    let (run, _) = place.json(&format!("setquota {root} 1G"));
    assert_eq!(run.ok().stderr, "");
    let (run, _) = place.json(&format!("setquota {below} 1G"));
    let run = run
        .ok()
        .complains(&format!("{below} is now its own quota root"));
    run.complains(&format!("the limits of {root}"));
    // Now it is one, and nothing of it changes any more.
    let (run, _) = place.json(&format!("setquota {below} 2G\nsetquota {below} none"));
    assert_eq!(run.ok().stderr, "");
}

#[test]
fn limits_of_many_roots_are_kept_each_its_own() {
    let place = Place::cyrus();
    let boxes: Vec<String> = ["a", "b", "c"].map(|name| place.at(name)).into();
    for (at, name) in boxes.iter().enumerate() {
        place.raw().ok(&format!("CREATE {name}"));
        place.raw().ok(&format!(
            "SETQUOTA {name} (STORAGE 1000 MESSAGE {})",
            at + 10
        ));
    }
    place
        .raw()
        .ok(&format!("SETQUOTA {} (MESSAGE 5)", boxes[2]));
    let (run, objects) = place.json(&format!("setquota {} +1M", word(&place.at("%"))));
    let run = run.fails(1).complains("1 of 3 failed");
    let rows = objects[0]["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 3, "{run}");
    assert_eq!(rows[2]["set"], false, "{run}");
    for (at, name) in boxes[..2].iter().enumerate() {
        let both = [
            ("MESSAGE".to_owned(), at as u64 + 10),
            ("STORAGE".to_owned(), 2024),
        ];
        assert_eq!(limits(&mut place.raw(), name), both);
    }
    assert_eq!(
        limits(&mut place.raw(), &boxes[2]),
        [("MESSAGE".to_owned(), 5)]
    );
}

#[test]
fn limits_that_can_not_be_read_are_not_removed_on_cyrus() {
    let cyrus = Faulty::script(|conn| {
        conn.let_in(&format!("{CAPABILITIES} X-CREATEDMODSEQ"));
        conn.answer(|tag, command| {
            if command.starts_with("GETQUOTA odd") {
                format!("{tag} OK nothing to see\r\n")
            } else if command.starts_with("GETQUOTA ") {
                format!("{tag} NO not for you\r\n")
            } else {
                format!("{tag} OK done\r\n")
            }
        });
    });
    text_of(&cyrus, "sq a 2G").fails(1).complains("--only");
    text_of(&cyrus, "sq odd 2G")
        .fails(1)
        .complains("sent no QUOTA");
    assert_eq!(commands(&cyrus, "SETQUOTA"), [""; 0]);
    text_of(&cyrus, "sq --only a 2G").ok();
    assert_eq!(
        commands(&cyrus, "SETQUOTA"),
        ["SETQUOTA a (STORAGE 2097152)"]
    );
}

/// A server that is known for a Cyrus, where every mailbox is a quota root with these limits.
fn cyrus_with(limits: &'static str) -> Faulty {
    Faulty::script(move |conn| {
        conn.let_in(&format!("{CAPABILITIES} X-CREATEDMODSEQ"));
        conn.answer(|tag, command| match command.strip_prefix("GETQUOTA ") {
            Some(root) => format!("* QUOTA {root} ({limits})\r\n{tag} OK done\r\n"),
            None => format!("{tag} OK done\r\n"),
        });
    })
}

#[test]
fn what_a_script_changes_is_read_together_and_before_nothing_that_may_change_it() {
    let script = "cm a\nsq a 1\nsam a bob lrs; sq b 2\nnoop\nsq a +1\nsq c STORAGE 3\ndm c\nsq c 4\nsq --only d 5\nsq d 6\n";
    let wire = |script: &str, options: &[&str]| {
        let server = cyrus_with("STORAGE 0 10 MESSAGE 0 7");
        let run = Imapadm::on_port(server.port)
            .args(options)
            .stdin(script)
            .run();
        let of_quotas = |command: &String| {
            ["GETQUOTA", "SETQUOTA", "DELETE", "LIST"].map(|verb| command.starts_with(verb))
                != [false; 4]
        };
        let mut all = commands(&server, "");
        all.retain(of_quotas);
        (run, all)
    };
    let (run, all) = wire(script, &["-k"]);
    run.ok();
    let at = |command: &str, from: usize| {
        let mut rest = all.iter().skip(from);
        let found = rest.position(|have| have == command);
        from + found.unwrap_or_else(|| panic!("no {command} from {from} on: {all:#?}"))
    };
    assert_eq!(
        all[..3],
        [
            "GETQUOTA a",
            "GETQUOTA b",
            "SETQUOTA a (STORAGE 1 MESSAGE 7)"
        ]
    );
    assert_eq!(all[3], "SETQUOTA b (STORAGE 2 MESSAGE 7)");
    // Its second change depends on the first.
    assert_eq!(all[4..6], ["GETQUOTA a", "GETQUOTA c"]);
    assert_eq!(all[6], "SETQUOTA a (STORAGE 11 MESSAGE 7)");
    let deleted = at("DELETE c", 0);
    assert!(deleted < at("GETQUOTA c", deleted));
    assert!(at("GETQUOTA d", 0) > at("SETQUOTA d (STORAGE 5)", 0));

    // Without --keep-going each waits for all before it.
    let (run, all) = wire("sq a 1\nsq b 2", &[]);
    run.ok();
    assert_eq!(
        all,
        [
            "GETQUOTA a",
            "SETQUOTA a (STORAGE 1 MESSAGE 7)",
            "GETQUOTA b",
            "SETQUOTA b (STORAGE 2 MESSAGE 7)"
        ]
    );
}

#[test]
fn limits_that_a_script_does_not_name_stay_and_new_roots_are_warned_of() {
    let place = Place::cyrus();
    let (root, a, b, c) = (&place.root, place.at("a"), place.at("b"), place.at("b.c"));
    place.raw().ok(&format!("CREATE {a}"));
    for (name, count) in [(root, 50), (&a, 60)] {
        place
            .raw()
            .ok(&format!("SETQUOTA {name} (STORAGE 1000 MESSAGE {count})"));
    }
    let run = place
        .imapadm()
        .arg("-k")
        .stdin(format!(
            "sq {root} 2000\nsq {a} 3000\ncm {b}\ncm {c}\nsq {b} 4000\nsq {c} 5000\nsq {a} +1\nsq {b} none\nsq {b} MESSAGE 6\n"
        ))
        .run()
        .ok()
        .complains(&format!("{b} is now its own quota root"))
        .complains(&format!("the limits of {root} no longer"))
        .complains(&format!("{c} is now its own quota root"))
        .complains(&format!("the limits of {b} no longer"));
    assert_eq!(run.stderr.matches("now its own").count(), 2, "{run}");
    let both = |messages, storage| {
        [
            ("MESSAGE".to_owned(), messages),
            ("STORAGE".to_owned(), storage),
        ]
    };
    assert_eq!(limits(&mut place.raw(), root), both(50, 2000));
    assert_eq!(limits(&mut place.raw(), &a), both(60, 3001));
    assert_eq!(limits(&mut place.raw(), &b), [("MESSAGE".to_owned(), 6)]);
    assert_eq!(limits(&mut place.raw(), &c), [("STORAGE".to_owned(), 5000)]);
}

#[test]
fn rights_that_the_server_left_out_are_not_said_to_be_set() {
    let server = server(|command| match command {
        "GETACL a" => Some("* ACL a joe lrswipcda bob lrs"),
        "GETACL b" => Some("T NO not for you"),
        "GETACL c" => Some("* ACL c joe lrswipcda"),
        _ => None,
    });
    for (run, objects) in both_ways(&server, "sam a bob lrsx") {
        let run = run.fails(1).complains("bob now has lrs on a");
        assert_eq!(objects[0]["error"]["kind"], "not-as-asked", "{run}");
        assert_eq!(objects[0]["rows"], json!([]), "{run}");
    }
    // What cannot be seen is told as the server's OK; case and the rights c and d mean nothing.
    for typed in [
        "sam b bob lrsx",
        "sam a BOB lrs",
        "sam a bob lrsc",
        "sam a bob -x",
        "sam c user=bob lrs",
    ] {
        for (run, objects) in both_ways(&server, typed) {
            let run = run.ok();
            assert_eq!(objects[0]["rows"][0]["set"], true, "{typed}: {run}");
        }
    }
    for typed in ["sam a bob -s", "sam a bob +t", "sam c bob x"] {
        text_of(&server, typed)
            .fails(1)
            .complains("the server said OK to SETACL");
    }
    let (run, objects) = json_of(&server, "sam a joe lr bob +x bob lrs");
    let run = run.ok();
    assert_eq!(
        objects[0]["rows"].as_array().expect("rows").len(),
        3,
        "{run}"
    );
    let (run, objects) = json_of(&server, "sam a joe lr bob x");
    let run = run.fails(1).complains("1 of 2 failed");
    assert_eq!(objects[0]["rows"][1]["set"], false, "{run}");
}

#[test]
fn both_servers_set_what_they_are_asked_for() {
    for place in Place::both() {
        let root = &place.root;
        for rights in [
            "lrs", "all", "write", "-w", "+x", "none", "lrswipcd", "post",
        ] {
            let rows = place.rows(&format!("setacl {root} bob {rights}"));
            assert_eq!(rows[0]["set"], true, "{rights}: {rows}");
        }
    }
}

#[test]
fn a_root_of_which_the_server_tells_nothing_is_not_said_to_have_no_limits() {
    let server = server(|_| None);
    text_of(&server, "lq a").ok().says("a\t-\t-\t-\n");
    text_of(&server, "lqr a")
        .fails(1)
        .complains("sent no QUOTAROOT");
    // What is not known can't be kept, and what is asked for is set all the same.
    text_of(&server, "sq a 5").ok().says("a\tSTORAGE\t5\tset\n");
    text_of(&server, "sq a +5")
        .fails(1)
        .complains("sent no QUOTA");
}

#[test]
fn what_a_server_can_not_do_is_no_advice_and_no_fact() {
    // Neither ACL nor UNSELECT, and no SEARCH that works.
    let server = Faulty::script(|conn| {
        conn.let_in("");
        conn.answer(|tag, command| match command.split(' ').next() {
            Some("DELETE") => format!("{tag} NO Permission denied\r\n"),
            Some("SEARCH") => format!("{tag} BAD what?\r\n"),
            Some("EXAMINE") => format!("* 0 EXISTS\r\n{tag} OK [READ-ONLY] done\r\n"),
            _ => format!("{tag} OK done\r\n"),
        });
    });
    let run = Imapadm::on_port(server.port)
        .args(["-k", "-c", "dm box", "-c", "examine a", "-c", "close"])
        .run()
        .fails(1)
        .complains("Permission denied. Log in as an administrator")
        .complains("a may have had messages flagged");
    assert!(!run.stderr.contains("setacl"), "{run}");
}
