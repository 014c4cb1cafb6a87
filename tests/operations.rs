//! Every operation on real servers: what the program says of it, and what the server says afterwards.

use serde_json::{Value, json};

use super::support::place::{
    Place, exists, limits, listed, quoted, rights_of, rights_of_4314, strings, wire_names, word,
};
use super::support::raw::{Raw, message};
use super::support::servers::{cyrus, unique};

/// Rights in an order and a form that can be compared.
fn rights(letters: &str) -> Option<String> {
    Some(rights_of_4314(letters))
}

#[test]
fn a_mailbox_is_created_and_said_to_be() {
    for place in Place::both() {
        let mut raw = place.raw();
        for (command, path) in [("createmailbox", "a"), ("create", "b"), ("cm", "c")] {
            let name = place.at(path);
            let (run, objects) = place.json(&format!("\n{command} {name}\n"));
            run.ok();
            assert_eq!(
                objects,
                [json!({
                    "command": "createmailbox",
                    "line": 2,
                    "rows": [{"mailbox": name, "created": true}],
                    "ok": true,
                })]
            );
            assert!(exists(&mut raw, &name), "{name}");
        }
        let name = place.at("text");
        let run = place.text(&format!("createmailbox {name}")).ok();
        assert_eq!(run.stdout, format!("{name}\tcreated\n"));
        assert_eq!(run.stderr, "");
        assert!(exists(&mut raw, &name));
    }
}

#[test]
fn a_mailbox_below_one_that_is_missing_is_created_with_its_parents() {
    for place in Place::both() {
        let (deep, parent) = (place.at("p/q/r"), place.at("p/q"));
        place.rows(&format!("createmailbox {deep}"));
        let mut raw = place.raw();
        assert!(exists(&mut raw, &deep));
        // Cyrus makes the parents real; Dovecot shows them, and there is nothing in them.
        assert_eq!(exists(&mut raw, &parent), place.is_cyrus());
        let rows = place.rows(&format!("listmailbox {parent}"));
        assert_eq!(rows[0]["mailbox"], json!(parent));
        let noselect = rows[0]["attributes"]
            .as_array()
            .expect("attributes")
            .contains(&json!("\\Noselect"));
        assert_eq!(noselect, !place.is_cyrus(), "{rows}");
    }
}

/// Where Cyrus says that a mailbox is.
fn partition(raw: &mut Raw, name: &str) -> String {
    let entry = "/shared/vendor/cmu/cyrus-imapd/partition";
    let answer = raw.command(&format!("GETMETADATA {name} {entry}"));
    assert_eq!(answer.status, "OK", "{answer:?}");
    let line = answer.named("METADATA").pop().expect("a METADATA line");
    let value = strings(line.trim_end_matches(')')).pop();
    value.expect("a value")
}

#[test]
fn cyrus_creates_on_a_partition_in_every_spelling() {
    let server = cyrus();
    let mut raw = Raw::admin(server);
    let place = Place::cyrus();
    for spelling in [
        "NAME fast",
        "--partition fast NAME",
        "--partition=fast NAME",
        "-partition fast NAME",
        "-part fast NAME",
    ] {
        let name = format!("user.{}", unique("part"));
        let command = spelling.replace("NAME", &name);
        let rows = place.rows(&format!("createmailbox {command}"));
        assert_eq!(
            rows,
            json!([{"mailbox": name, "created": true, "partition": "fast"}]),
            "{spelling}"
        );
        assert_eq!(partition(&mut raw, &name), "fast", "{spelling}");
    }
    let name = format!("user.{}", unique("part"));
    place.rows(&format!("createmailbox {name}"));
    assert_eq!(partition(&mut raw, &name), "default");
}

#[test]
fn cyrus_moves_a_mailbox_with_its_messages_to_a_partition() {
    let place = Place::cyrus();
    let mut raw = place.raw();
    raw.append(&place.root, &message("moved"));
    for (spelling, to) in [
        ("ROOT ROOT fast", "fast"),
        ("--partition default ROOT ROOT", "default"),
    ] {
        let command = spelling.replace("ROOT", &place.root);
        let rows = place.rows(&format!("renamemailbox {command}"));
        assert_eq!(rows[0]["mailbox"], json!(place.root));
        assert_eq!(rows[0]["to"], json!(place.root));
        assert_eq!(rows[0]["partition"], json!(to));
        assert_eq!(rows[0]["renamed"], json!(true));
        assert_eq!(partition(&mut raw, &place.root), to);
        let status = raw.command(&format!("STATUS {} (MESSAGES)", place.root));
        assert!(
            status.named("STATUS")[0].ends_with("(MESSAGES 1)"),
            "{status:?}"
        );
    }
}

#[test]
fn a_mailbox_is_deleted_and_only_that_one() {
    for place in Place::both() {
        let (one, two) = (place.at("one"), place.at("two"));
        let mut raw = place.raw();
        raw.ok(&format!("CREATE {one}"));
        raw.ok(&format!("CREATE {two}"));
        raw.append(&one, &message("gone"));
        let rows = place.rows(&format!("deletemailbox {one}"));
        assert_eq!(rows, json!([{"mailbox": one, "deleted": true}]));
        assert!(!exists(&mut raw, &one) && exists(&mut raw, &two));
        let run = place.text(&format!("dm {two}")).ok();
        assert_eq!(run.stdout, format!("{two}\tdeleted\n"));
        assert!(!exists(&mut raw, &two));
    }
}

#[test]
fn a_subtree_is_deleted_deepest_first() {
    for place in Place::both() {
        let mut raw = place.raw();
        for path in [
            "top",
            "top/a",
            "top/a/1",
            "top/a/1/x",
            "top/a/2",
            "top/b",
            "top-not",
            "topless",
        ] {
            raw.ok(&format!("CREATE {}", quoted(&place.at(path))));
        }
        let rows = place.rows(&format!(
            "deletemailbox --yes --recursive {}",
            place.at("top")
        ));
        let rows = rows.as_array().expect("rows");
        let gone: Vec<&str> = rows
            .iter()
            .map(|row| {
                assert_eq!(row["deleted"], true, "{row}");
                row["mailbox"].as_str().expect("a name")
            })
            .collect();
        for (at, name) in gone.iter().enumerate() {
            let below = format!("{name}{}", place.separator);
            let later = gone[at..].iter().find(|other| other.starts_with(&below));
            assert_eq!(
                later, None,
                "it went after {name}, which is above it: {gone:?}"
            );
        }
        let mut sorted = gone.clone();
        sorted.sort_unstable();
        let all = ["top", "top/a", "top/a/1", "top/a/1/x", "top/a/2", "top/b"];
        let all: Vec<_> = all.iter().map(|path| place.at(path)).collect();
        assert_eq!(sorted, all);
        let left = listed(&mut raw, &format!("{}{}*", place.root, place.separator));
        assert_eq!(left, [place.at("top-not"), place.at("topless")].into());
    }
}

#[test]
fn a_place_in_the_hierarchy_without_a_mailbox_is_no_obstacle() {
    for place in Place::both() {
        let mut raw = place.raw();
        raw.ok(&format!("CREATE {}", place.at("gap/in/between")));
        let rows = place.rows(&format!("dm --yes -r {}", place.at("gap")));
        let names: Vec<_> = rows
            .as_array()
            .expect("rows")
            .iter()
            .map(|row| &row["mailbox"])
            .collect();
        assert!(
            names.contains(&&json!(place.at("gap/in/between"))),
            "{rows}"
        );
        assert!(listed(&mut raw, &place.at("gap*")).is_empty());
    }
}

#[test]
fn a_recursive_delete_of_a_single_mailbox_deletes_it() {
    for place in Place::both() {
        let name = place.at("alone");
        place.raw().ok(&format!("CREATE {name}"));
        let rows = place.rows(&format!("deletemailbox --yes -recursive {name}"));
        assert_eq!(rows, json!([{"mailbox": name, "deleted": true}]));
        assert!(!exists(&mut place.raw(), &name));
    }
}

#[test]
fn cyrus_deletes_a_whole_user_with_one_command() {
    let place = Place::cyrus();
    let mut raw = place.raw();
    for path in ["a", "a/b", "c"] {
        raw.ok(&format!("CREATE {}", place.at(path)));
    }
    let rows = place.rows(&format!("dm --yes --recursive {}", place.root));
    assert_eq!(rows.as_array().expect("rows").len(), 4, "{rows}");
    assert_eq!(rows[3], json!({"mailbox": place.root, "deleted": true}));
    assert!(listed(&mut raw, &format!("{}*", place.root)).is_empty());
}

#[test]
fn what_cannot_be_deleted_stays_with_all_above_it_and_the_rest_goes() {
    for place in Place::both() {
        let mut raw = place.raw();
        for path in ["top", "top/a", "top/a/held", "top/a/free", "top/b"] {
            raw.ok(&format!("CREATE {}", place.at(path)));
        }
        let held = place.at("top/a/held");
        // Without x nobody may delete it: neither the administrator of Cyrus nor, on Dovecot, the owner.
        raw.ok(&format!("SETACL {held} {} lra", place.user));
        let top = place.at("top");
        let failure = place.fails(1, &format!("deletemailbox --yes --recursive {top}"));
        let verdict = |path: &str| {
            let name = json!(place.at(path));
            let rows = failure.rows.as_array().expect("rows");
            let mut rows = rows.iter().filter(|row| row["mailbox"] == name);
            let row = rows
                .next()
                .unwrap_or_else(|| panic!("no row for {name}: {}", failure.rows));
            assert_eq!(rows.next(), None, "two rows for {name}");
            row.clone()
        };
        assert_eq!(
            failure.rows.as_array().expect("rows").len(),
            5,
            "{}",
            failure.rows
        );
        for path in ["top/a/free", "top/b"] {
            assert_eq!(
                verdict(path),
                json!({"mailbox": place.at(path), "deleted": true})
            );
        }
        for (path, reason) in [
            ("top/a/held", place.differs("Permission denied", "NOPERM")),
            ("top/a", "below it was not deleted"),
            ("top", "below it was not deleted"),
        ] {
            let row = verdict(path);
            assert_eq!(row["deleted"], false, "{row}");
            let said = row["reason"].as_str().expect("a reason");
            assert!(said.contains(reason), "{row}");
        }
        assert_eq!(failure.kind, "several");
        assert!(
            failure.text.starts_with("3 of 5 failed"),
            "{}",
            failure.text
        );
        assert!(failure.text.contains(&held), "{}", failure.text);
        let left = listed(&mut raw, &format!("{top}*"));
        assert_eq!(left, [top, place.at("top/a"), held.clone()].into());

        // With the right given back, the same command finishes the work.
        raw.ok(&format!("SETACL {held} {} lrxa", place.user));
        let run = place.text(&format!("dm --yes -r {}", place.at("top"))).ok();
        assert_eq!(
            run.stdout.lines().next(),
            Some(format!("{held}\tdeleted").as_str())
        );
        assert!(listed(&mut raw, &format!("{}*", place.at("top"))).is_empty());
    }
}

#[test]
fn a_rename_takes_messages_and_children_along() {
    for place in Place::both() {
        let mut raw = place.raw();
        for path in ["old", "old/kid", "old/kid/grand"] {
            raw.ok(&format!("CREATE {}", place.at(path)));
        }
        raw.append(&place.at("old/kid"), &message("along"));
        let (old, new) = (place.at("old"), place.at("new"));
        let rows = place.rows(&format!("renamemailbox {old} {new}"));
        let mut expected = json!([{"mailbox": old, "renamed": true, "to": new}]);
        if place.is_cyrus() {
            expected[0]["mailboxes"] = json!(3);
        }
        assert_eq!(rows, expected);
        assert_eq!(
            listed(&mut raw, &format!("{new}*")),
            [new.clone(), place.at("new/kid"), place.at("new/kid/grand")].into()
        );
        assert!(listed(&mut raw, &format!("{old}*")).is_empty());
        let status = raw.command(&format!("STATUS {} (MESSAGES)", place.at("new/kid")));
        assert!(
            status.named("STATUS")[0].ends_with("(MESSAGES 1)"),
            "{status:?}"
        );

        let run = place.text(&format!("rename {new} {old}")).ok();
        let count = place.differs("\t3", "");
        assert_eq!(run.stdout, format!("{new}\trenamed\t{old}{count}\n"));
        assert!(exists(&mut raw, &old));
    }
}

#[test]
fn cyrus_renames_a_user_and_the_rights_go_along() {
    let place = Place::cyrus();
    let mut raw = place.raw();
    raw.ok(&format!("CREATE {}", place.at("Sent")));
    raw.ok(&format!("SETACL {} bob lrs", place.at("Sent")));
    let new = format!("user.{}", unique("moved"));
    let rows = place.rows(&format!("renamemailbox {} {new}", place.root));
    assert_eq!(rows[0]["to"], json!(new));
    assert_eq!(
        listed(&mut raw, &format!("{new}*")),
        [new.clone(), format!("{new}.Sent")].into()
    );
    assert!(!exists(&mut raw, &place.root));
    assert_eq!(
        rights_of(&mut raw, &format!("{new}.Sent"), "bob"),
        rights("lrs")
    );
}

#[test]
fn the_selected_mailbox_keeps_its_place_when_it_is_renamed() {
    for place in Place::both() {
        let (old, new) = (place.at("old"), place.at("new"));
        place.raw().ok(&format!("CREATE {old}"));
        let (run, objects) = place.json(&format!(
            "select {old}\nunselect\nrename {old} {new}\nselect {new}\nstatus\n"
        ));
        run.ok();
        assert_eq!(objects[4]["rows"][0]["mailbox"], json!(new));
    }
}

/// The names of a listing, as the program gives them.
fn names(rows: &Value) -> Vec<&str> {
    rows.as_array()
        .expect("rows")
        .iter()
        .map(|row| row["mailbox"].as_str().expect("a name"))
        .collect()
}

#[test]
fn listings_are_the_servers() {
    for place in Place::both() {
        let mut raw = place.raw();
        for path in ["a", "a/x", "a/x/deep", "b"] {
            raw.ok(&format!("CREATE {}", place.at(path)));
        }
        for pattern in [
            format!("{}*", place.root),
            format!("{}%", place.root),
            place.at("%"),
            place.at("*"),
            place.at("a"),
            place.at("%/%"),
            place.at("*eep"),
            "INBOX".to_owned(),
            "inbox".to_owned(),
            "no such thing*".to_owned(),
            // As the server has it: nothing but a delimiter.
            String::new(),
        ] {
            let rows = place.rows(&format!("listmailbox {}", word(&pattern)));
            // `inbox` in lower case is INBOX for the program, as it is for every command but Cyrus's LIST.
            let asked = if pattern == "inbox" {
                "INBOX"
            } else {
                &pattern
            };
            assert_eq!(
                names(&rows),
                wire_names(&mut raw, "LIST", asked),
                "{pattern}"
            );
        }
        let all = place.rows("listmailbox");
        // Other tests make and delete mailboxes all the while; those of this one stay.
        let ours = |names: Vec<String>| -> Vec<String> {
            let start = format!("{}{}", place.root, place.separator);
            let ours = names.into_iter().filter(|name| name.starts_with(&start));
            ours.collect()
        };
        let told = names(&all).into_iter().map(str::to_owned).collect();
        let found = ours(told);
        assert_eq!(found.len(), 4);
        assert_eq!(found, ours(wire_names(&mut raw, "LIST", "*")));

        // The rows, whole: compared with the line on the wire.
        let rows = place.rows(&format!("lm {}", place.at("a")));
        assert_eq!(
            rows,
            json!([{
                "mailbox": place.at("a"),
                "attributes": attributes(&mut raw, &place.at("a")),
                "separator": place.separator.to_string(),
            }])
        );
        assert!(
            rows[0]["attributes"]
                .as_array()
                .expect("words")
                .contains(&json!("\\HasChildren"))
        );
        let run = place.text(&format!("lm {}", place.at("b"))).ok();
        let words = attributes(&mut raw, &place.at("b")).join(" ");
        assert_eq!(
            run.stdout,
            format!("{}\t{words}\t{}\n", place.at("b"), place.separator)
        );
    }
}

/// The attributes of one mailbox, in the server's order.
fn attributes(raw: &mut Raw, name: &str) -> Vec<String> {
    let answer = raw.command(&format!("LIST \"\" {}", quoted(name)));
    let line = answer.named("LIST").pop().expect("a line");
    let (list, _) = line.split_once(") ").expect("attributes");
    list.trim_start_matches('(')
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_listing_below_a_base_is_the_servers() {
    for place in Place::both() {
        let mut raw = place.raw();
        for path in ["a", "a/x", "b"] {
            raw.ok(&format!("CREATE {}", place.at(path)));
        }
        let base = format!("{}{}", place.root, place.separator);
        for pattern in ["*", "%", "a"] {
            let rows = place.rows(&format!("listmailbox {pattern} {base}"));
            let answer = raw.command(&format!("LIST {base} {pattern}"));
            let expected: Vec<_> = answer
                .named("LIST")
                .into_iter()
                .map(|line| strings(line).pop().expect("a name"))
                .collect();
            assert!(!expected.is_empty());
            assert_eq!(names(&rows), expected, "{pattern}");
        }
        let rows = place.rows(&format!("listmailbox % {base}"));
        let mut found = names(&rows);
        // The order is the server's: Dovecot's is any.
        found.sort_unstable();
        assert_eq!(found, [place.at("a"), place.at("b")]);
    }
}

#[test]
fn subscriptions_come_and_go() {
    for place in Place::both() {
        let mut raw = place.raw();
        let (one, two) = (place.at("one"), place.at("two"));
        raw.ok(&format!("CREATE {one}"));
        raw.ok(&format!("CREATE {two}"));
        let rows = place.rows(&format!("subscribe {one}"));
        assert_eq!(rows, json!([{"mailbox": one, "subscribed": true}]));
        place.rows(&format!("sub {two}"));
        let pattern = place.at("*");
        assert_eq!(
            wire_names(&mut raw, "LSUB", &pattern),
            [one.clone(), two.clone()]
        );
        for option in ["--subscribed", "-subscribed", "-sub", "-s"] {
            let rows = place.rows(&format!("listmailbox {option} {pattern}"));
            assert_eq!(names(&rows), [one.clone(), two.clone()], "{option}");
        }
        let rows = place.rows(&format!("unsubscribe {one}"));
        assert_eq!(rows, json!([{"mailbox": one, "subscribed": false}]));
        assert_eq!(wire_names(&mut raw, "LSUB", &pattern), [two.as_str()]);
        assert_eq!(
            names(&place.rows(&format!("lm -s {pattern}"))),
            [two.as_str()]
        );
        let run = place
            .text(&format!("unsub {two}\nsub {two}\nunsub {two}"))
            .ok();
        assert_eq!(
            run.stdout,
            format!("{two}\tnot subscribed\n{two}\tsubscribed\n{two}\tnot subscribed\n")
        );
        assert!(wire_names(&mut raw, "LSUB", &pattern).is_empty());
    }
}

#[test]
fn status_counts_what_is_there() {
    for place in Place::both() {
        let mut raw = place.raw();
        let name = place.at("counted");
        raw.ok(&format!("CREATE {name}"));
        for subject in ["1", "2", "3"] {
            raw.append(&name, &message(subject));
        }
        raw.ok(&format!("SELECT {name}"));
        raw.ok("STORE 1 +FLAGS (\\Seen)");
        raw.ok("CLOSE");
        let rows = place.rows(&format!("status {name}"));
        let answer = raw.command(&format!(
            "STATUS {name} (MESSAGES RECENT UNSEEN UIDNEXT UIDVALIDITY SIZE)"
        ));
        let (_, list) = answer.named("STATUS")[0].split_once(" (").expect("items");
        let words: Vec<_> = list.trim_end_matches(')').split(' ').collect();
        let mut expected = json!({"mailbox": name});
        for [item, number] in words.as_chunks::<2>().0 {
            let number: u64 = number.parse().expect("a number");
            expected[item.to_lowercase()] = json!(number);
        }
        assert_eq!(rows, json!([expected]));
        assert_eq!(
            (&rows[0]["messages"], &rows[0]["unseen"]),
            (&json!(3), &json!(2))
        );
        assert_eq!(rows[0]["size"], json!(3 * message("1").len()));
        let run = place.text(&format!("stat {name}")).ok();
        let of = |key: &str| expected[key].to_string();
        assert_eq!(
            run.stdout.trim_end().split('\t').collect::<Vec<_>>(),
            [
                &name,
                &of("messages"),
                &of("recent"),
                &of("unseen"),
                &of("uidnext"),
                &of("uidvalidity"),
                &of("size")
            ]
        );
    }
}

#[test]
fn select_and_examine_tell_what_the_server_tells() {
    for place in Place::both() {
        let mut raw = place.raw();
        let name = place.at("open");
        raw.ok(&format!("CREATE {name}"));
        raw.append(&name, &message("1"));
        raw.append(&name, &message("2"));
        raw.ok(&format!("SELECT {name}"));
        raw.ok("STORE 1 +FLAGS (\\Seen)");
        let lines = raw.ok(&format!("EXAMINE {name}"));
        raw.ok("UNSELECT");
        let code = |code: &str| -> u64 {
            let start = format!("* OK [{code} ");
            let line = lines.iter().find_map(|line| line.strip_prefix(&start));
            let line = line.unwrap_or_else(|| panic!("no {code} in {lines:?}"));
            line.split(']')
                .next()
                .expect("a number")
                .parse()
                .expect("a number")
        };
        for (command, access) in [("select", "read-write"), ("examine", "read-only")] {
            let rows = place.rows(&format!("{command} {name}"));
            assert_eq!(rows.as_array().expect("rows").len(), 1);
            let row = &rows[0];
            assert_eq!(row["mailbox"], json!(name));
            assert_eq!(row["access"], json!(access));
            assert_eq!(row["messages"], json!(2));
            assert_eq!(row["recent"], json!(0));
            assert_eq!(row["firstunseen"], json!(2));
            assert_eq!(row["uidnext"], json!(code("UIDNEXT")));
            assert_eq!(row["uidvalidity"], json!(code("UIDVALIDITY")));
            let flags = row["flags"].as_array().expect("flags");
            assert!(flags.contains(&json!("\\Deleted")), "{row}");
            let permanent = row["permanentflags"].as_array().expect("flags");
            assert_eq!(
                permanent.contains(&json!("\\Deleted")),
                command == "select",
                "{row}"
            );
        }
        let keys: Vec<_> = place.rows(&format!("sel {name}"))[0]
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect();
        let mut expected = [
            "mailbox",
            "access",
            "messages",
            "recent",
            "firstunseen",
            "uidnext",
            "uidvalidity",
            "flags",
            "permanentflags",
        ];
        expected.sort_unstable();
        assert_eq!(keys, expected);
    }
}

#[test]
fn commands_without_a_mailbox_mean_the_selected_one() {
    for place in Place::both() {
        let mut raw = place.raw();
        let name = place.at("chosen one");
        raw.ok(&format!("CREATE {}", quoted(&name)));
        let (run, objects) = place.json(&format!(
            "select {}\nstatus\nlistacl\nmyrights\nlistquotaroot\nsubscribe\n",
            word(&name)
        ));
        run.ok();
        assert_eq!(objects.len(), 6);
        for object in &objects {
            let empty = object["rows"].as_array().expect("rows").is_empty();
            // On Dovecot an owner needs no entry on the list.
            assert_eq!(
                empty,
                object["command"] == "listacl" && names(&object["rows"]).is_empty()
            );
            for row in object["rows"].as_array().expect("rows") {
                assert_eq!(row["mailbox"], json!(name), "{object}");
            }
        }
        let pattern = place.at("*");
        assert_eq!(wire_names(&mut raw, "LSUB", &pattern), [name.as_str()]);
        place.rows(&format!("examine {}\nunsubscribe", word(&name)));
        assert!(wire_names(&mut raw, "LSUB", &pattern).is_empty());
    }
}

/// A mailbox with messages of these subjects, some of them flagged \Deleted.
fn fill(raw: &mut Raw, name: &str, count: usize, deleted: &str) {
    raw.ok(&format!("CREATE {name}"));
    for number in 1..=count {
        raw.append(name, &message(&format!("m{number}")));
    }
    raw.ok(&format!("SELECT {name}"));
    raw.ok(&format!("STORE {deleted} +FLAGS (\\Deleted)"));
    raw.ok("UNSELECT");
}

/// The subjects in a mailbox, in order.
fn subjects(raw: &mut Raw, name: &str) -> Vec<String> {
    raw.ok(&format!("EXAMINE {name}"));
    let answer = raw.command("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])");
    let found = answer
        .lines
        .iter()
        .filter_map(|line| line.split_once("Subject: "))
        .map(|(_, rest)| rest.split("\r\n").next().unwrap_or_default().to_owned())
        .collect();
    raw.ok("UNSELECT");
    found
}

#[test]
fn expunge_gives_the_numbers_as_the_server_does() {
    for place in Place::both() {
        let mut raw = place.raw();
        let name = place.at("expunged");
        fill(&mut raw, &name, 7, "2,4:5,7");
        let (run, objects) = place.json(&format!("select {name}\nexpunge\nexpunge\n"));
        run.ok();
        // Applied one after the other, as RFC 3501 section 7.4.1 has it, they leave what the server has left.
        let mut model: Vec<_> = (1..=7).map(|number| format!("m{number}")).collect();
        for row in objects[1]["rows"].as_array().expect("rows") {
            let number = row["number"].as_u64().expect("a number");
            model.remove(usize::try_from(number).expect("small") - 1);
            assert_eq!(
                *row,
                json!({"mailbox": name, "number": number, "expunged": true})
            );
        }
        assert_eq!(model, ["m1", "m3", "m6"]);
        assert_eq!(subjects(&mut raw, &name), model);
        // The second time there is nothing left to do, and that is no failure.
        assert_eq!(objects[2]["rows"], json!([]));
        assert_eq!(objects[2]["ok"], true);
    }
}

#[test]
fn close_removes_the_deleted_and_unselect_does_not() {
    for place in Place::both() {
        let mut raw = place.raw();
        let name = place.at("left");
        fill(&mut raw, &name, 3, "1");
        let rows = place.rows(&format!("select {name}\nunselect"));
        assert_eq!(rows, json!([{"mailbox": name, "unselected": true}]));
        assert_eq!(subjects(&mut raw, &name), ["m1", "m2", "m3"]);
        // What was only examined is left as it is, too.
        let rows = place.rows(&format!("examine {name}\nclose"));
        assert_eq!(
            rows,
            json!([{"mailbox": name, "closed": true, "expunged": 0}])
        );
        assert_eq!(subjects(&mut raw, &name), ["m1", "m2", "m3"]);
        // Nor does a log-out with a mailbox open remove anything.
        place.rows(&format!("select {name}"));
        assert_eq!(subjects(&mut raw, &name), ["m1", "m2", "m3"]);
        let run = place.text(&format!("select {name}\nclose")).ok();
        assert_eq!(
            run.stdout.lines().last(),
            Some(format!("{name}\tclosed\t1").as_str())
        );
        assert_eq!(subjects(&mut raw, &name), ["m2", "m3"]);
    }
}

#[test]
fn quotas_are_set_in_kib_or_with_units() {
    for place in Place::both() {
        let root = place.quota_root();
        for (typed, kib) in [
            ("300", 300),
            ("500M", 512_000),
            ("1G", 1_048_576),
            ("7k", 7),
        ] {
            let rows = place.rows(&format!("setquota {} {typed}", word(root)));
            assert_eq!(
                rows,
                json!([{"root": root, "resource": "STORAGE", "limit": kib, "set": true}])
            );
            assert_eq!(
                limits(&mut place.raw(), root),
                [("STORAGE".to_owned(), kib)],
                "{typed}"
            );
            let rows = place.rows(&format!("listquota {}", word(root)));
            assert_eq!(
                rows,
                json!([{"root": root, "resource": "STORAGE", "usage": 0, "limit": kib}])
            );
        }
        let run = place.text(&format!("sq {0} 10G", word(root))).ok();
        assert_eq!(run.stdout, format!("{root}\tSTORAGE\t10485760\tset\n"));
        // In a session of its own: Dovecot shows new limits only there.
        let run = place.text(&format!("lq {}", word(root))).ok();
        assert_eq!(run.stdout, format!("{root}\tSTORAGE\t0\t10485760\n"));
    }
}

#[test]
fn several_resources_are_limited_at_once() {
    for place in Place::both() {
        let root = place.quota_root();
        let rows = place.rows(&format!("setquota {} storage 10G message 1000", word(root)));
        assert_eq!(
            rows,
            json!([
                {"root": root, "resource": "STORAGE", "limit": 10_485_760, "set": true},
                {"root": root, "resource": "MESSAGE", "limit": 1000, "set": true},
            ])
        );
        let both = [
            ("MESSAGE".to_owned(), 1000),
            ("STORAGE".to_owned(), 10_485_760),
        ];
        assert_eq!(limits(&mut place.raw(), root), both);
        let rows = place.rows(&format!("listquota {}", word(root)));
        let of = |resource: &str| {
            let rows = rows.as_array().expect("rows");
            rows.iter().find(|row| row["resource"] == resource).cloned()
        };
        assert_eq!(
            of("STORAGE"),
            Some(json!({"root": root, "resource": "STORAGE", "usage": 0, "limit": 10_485_760}))
        );
        assert_eq!(
            of("MESSAGE"),
            Some(json!({"root": root, "resource": "MESSAGE", "usage": 0, "limit": 1000}))
        );
        // The limit that is not named stays; with --only it goes on Cyrus.
        place.rows(&format!("setquota {} MESSAGE 7", word(root)));
        let both = vec![
            ("MESSAGE".to_owned(), 7),
            ("STORAGE".to_owned(), 10_485_760),
        ];
        assert_eq!(limits(&mut place.raw(), root), both);
        place.rows(&format!("setquota --only {} MESSAGE 7", word(root)));
        let expected = place.differs(vec![("MESSAGE".to_owned(), 7)], both);
        assert_eq!(limits(&mut place.raw(), root), expected);
    }
}

#[test]
fn cyrus_takes_resources_of_its_own() {
    let place = Place::cyrus();
    let root = &place.root;
    place.rows(&format!(
        "setquota {root} X-NUM-FOLDERS 50 X-ANNOTATION-STORAGE 1M"
    ));
    let expected = [
        ("X-ANNOTATION-STORAGE".to_owned(), 1024),
        ("X-NUM-FOLDERS".to_owned(), 50),
    ];
    assert_eq!(limits(&mut place.raw(), root), expected);
}

#[test]
fn quota_none_removes_the_limits_or_does_not_say_so() {
    for place in Place::both() {
        let root = place.quota_root();
        place.rows(&format!("setquota {} STORAGE 100 MESSAGE 5", word(root)));
        let (run, objects) = place.json(&format!("setquota {} none", word(root)));
        // Dovecot ignores `SETQUOTA root ()` and says OK. The program must not pass that on as done.
        let left = limits(&mut place.raw(), root);
        assert_eq!(
            objects[0]["ok"] == true,
            left.is_empty(),
            "limits {left:?} after\n{run}"
        );
        if place.is_cyrus() {
            assert_eq!(
                objects[0]["rows"],
                json!([{"root": root, "resource": null, "limit": null, "set": true}])
            );
            let rows = place.rows(&format!("listquota {root}"));
            assert_eq!(
                rows,
                json!([{"root": root, "resource": null, "usage": null, "limit": null}])
            );
        }
    }
}

#[test]
fn a_quota_root_is_found_from_a_mailbox_below_it() {
    for place in Place::both() {
        let (root, below) = (place.quota_root(), place.at("x/y"));
        place.raw().ok(&format!("CREATE {below}"));
        // Without any limit: Cyrus names no root, Dovecot says nothing at all.
        let rows = place.rows(&format!("listquotaroot {below}"));
        assert_eq!(
            rows,
            json!([{"mailbox": below, "root": null, "resource": null, "usage": null, "limit": null}])
        );
        let run = place.text(&format!("lqr {below}")).ok();
        assert_eq!(run.stdout, format!("{below}\t-\t-\t-\tnone\n"));
        place.rows(&format!("setquota {} 2000", word(root)));
        let rows = place.rows(&format!("listquotaroot {below}"));
        assert_eq!(
            rows,
            json!([{"mailbox": below, "root": root, "resource": "STORAGE", "usage": 0, "limit": 2000}])
        );
        let run = place.text(&format!("lqm {below}")).ok();
        assert_eq!(run.stdout, format!("{below}\t{root}\tSTORAGE\t0\t2000\n"));
    }
}

#[test]
fn usage_is_what_the_messages_take() {
    for place in Place::both() {
        let root = place.quota_root();
        place.rows(&format!("setquota {} STORAGE 1000 MESSAGE 10", word(root)));
        let large = format!("{}{}", message("large"), "x\r\n".repeat(10_000));
        place.raw().append(&place.root, &large);
        let rows = place.rows(&format!("listquota {}", word(root)));
        let usage = |resource: &str| {
            let mut rows = rows.as_array().expect("rows").iter();
            let row = rows.find(|row| row["resource"] == resource);
            row.expect("the resource")["usage"]
                .as_u64()
                .expect("a number")
        };
        assert_eq!(usage("MESSAGE"), 1);
        let kib = u64::try_from(large.len()).expect("small") / 1024;
        assert!((kib..=kib + 1).contains(&usage("STORAGE")), "{rows}");
    }
}

#[test]
fn rights_of_several_identifiers_are_set_at_once() {
    for place in Place::both() {
        let root = &place.root;
        let mut raw = place.raw();
        raw.ok(&format!("SETACL {root} zoe lr"));
        let rows = place.rows(&format!(
            "setacl {root} alice lrs bob read carol all zoe none"
        ));
        assert_eq!(
            rows,
            json!([
                {"mailbox": root, "identifier": "alice", "rights": "lrs", "set": true},
                {"mailbox": root, "identifier": "bob", "rights": "lrs", "set": true},
                {"mailbox": root, "identifier": "carol", "rights": "lrswipkxtea", "set": true},
                {"mailbox": root, "identifier": "zoe", "rights": "", "set": true},
            ])
        );
        let mut of = |who: &str| rights_of(&mut raw, root, who);
        assert_eq!(of("alice"), rights("lrs"));
        assert_eq!(of("bob"), rights("lrs"));
        assert_eq!(of("carol"), rights("lrswipkxtea"));
        // Empty rights remove the entry on Cyrus and keep it on Dovecot.
        assert_eq!(of("zoe"), place.differs(None, rights("")));

        let run = place
            .text(&format!("sam {root} alice +w bob -r carol -all"))
            .ok();
        assert_eq!(
            run.stdout,
            format!(
                "{root}\talice\t+w\tset\n{root}\tbob\t-r\tset\n{root}\tcarol\t-lrswipkxtea\tset\n"
            )
        );
        assert_eq!(of("alice"), rights("lrsw"));
        assert_eq!(of("bob"), rights("ls"));
        assert!(of("carol").unwrap_or_default().is_empty());
    }
}

#[test]
fn every_shorthand_becomes_its_letters() {
    for place in Place::both() {
        let root = &place.root;
        let mut raw = place.raw();
        for (shorthand, letters) in [
            ("read", "lrs"),
            ("post", "lrsp"),
            ("append", "lrsip"),
            ("write", "lrswipkxte"),
            ("delete", "lrxte"),
            ("all", "lrswipkxtea"),
        ] {
            place.rows(&format!("setacl {root} bob {shorthand}"));
            assert_eq!(
                rights_of(&mut raw, root, "bob"),
                rights(letters),
                "{shorthand}"
            );
        }
        place.rows(&format!("setacl {root} bob none\nsetacl {root} bob +read\nsetacl {root} bob +append\nsetacl {root} bob -post"));
        assert_eq!(rights_of(&mut raw, root, "bob"), rights("i"));
        place.rows(&format!("setacl {root} bob none"));
        assert_eq!(rights_of(&mut raw, root, "bob").unwrap_or_default(), "");
    }
}

#[test]
fn rights_that_begin_with_a_dash_are_taken_away_and_identifiers_with_one_are_negative() {
    for place in Place::both() {
        let root = &place.root;
        let mut raw = place.raw();
        place.rows(&format!("setacl {root} bob lrsw\nsetacl {root} bob -w"));
        assert_eq!(rights_of(&mut raw, root, "bob"), rights("lrs"));
        for (command, letters) in [
            (format!("sam {root} -- -bob w"), "w"),
            (format!("sam -- {root} -bob wr"), "wr"),
            (format!("sam {root} -bob wi"), "wi"),
        ] {
            place.rows(&command);
            assert_eq!(
                rights_of(&mut raw, root, "-bob"),
                rights(letters),
                "{command}"
            );
            assert_eq!(rights_of(&mut raw, root, "bob"), rights("lrs"), "{command}");
        }
        place.rows(&format!("deleteacl {root} -bob"));
        assert_eq!(rights_of(&mut raw, root, "-bob"), None);
        assert_eq!(rights_of(&mut raw, root, "bob"), rights("lrs"));
    }
}

/// The list as the server sends it: identifier and rights, in order.
fn acl(raw: &mut Raw, name: &str) -> Vec<[String; 2]> {
    let answer = raw.command(&format!("GETACL {}", quoted(name)));
    let line = answer.named("ACL").pop().expect("an ACL line");
    strings(line)[1..].as_chunks::<2>().0.to_vec()
}

#[test]
fn listacl_shows_the_servers_list() {
    for place in Place::both() {
        let name = place.at("list of rights");
        let mut raw = place.raw();
        raw.ok(&format!("CREATE {}", quoted(&name)));
        raw.ok(&format!("SETACL {} alice lr", quoted(&name)));
        raw.ok(&format!("SETACL {} bob lrs", quoted(&name)));
        let expected: Vec<_> = acl(&mut raw, &name)
            .into_iter()
            .map(|[who, what]| json!({"mailbox": name, "identifier": who, "rights": what}))
            .collect();
        assert!(expected.len() >= 2);
        assert_eq!(
            place.rows(&format!("listacl {}", word(&name))),
            json!(expected)
        );
        let run = place.text(&format!("lam {}", word(&name))).ok();
        let lines: String = acl(&mut raw, &name)
            .into_iter()
            .map(|[who, what]| format!("{name}\t{who}\t{what}\n"))
            .collect();
        assert_eq!(run.stdout, lines);
    }
}

#[test]
fn deleteacl_takes_several_off_the_list() {
    for place in Place::both() {
        let root = &place.root;
        let mut raw = place.raw();
        for who in ["alice", "bob", "carol"] {
            raw.ok(&format!("SETACL {root} {who} lrs"));
        }
        let rows = place.rows(&format!("deleteacl {root} alice carol"));
        assert_eq!(
            rows,
            json!([
                {"mailbox": root, "identifier": "alice", "deleted": true},
                {"mailbox": root, "identifier": "carol", "deleted": true},
            ])
        );
        assert_eq!(rights_of(&mut raw, root, "alice"), None);
        assert_eq!(rights_of(&mut raw, root, "bob"), rights("lrs"));
        assert_eq!(rights_of(&mut raw, root, "carol"), None);
        let run = place.text(&format!("dam {root} bob")).ok();
        assert_eq!(run.stdout, format!("{root}\tbob\tdeleted\n"));
        assert_eq!(rights_of(&mut raw, root, "bob"), None);
    }
}

#[test]
fn deleteacl_with_a_star_empties_the_list_with_ones_own_entry_last() {
    for place in Place::both() {
        let root = &place.root;
        let mut raw = place.raw();
        raw.ok(&format!("SETACL {root} alice lrs"));
        raw.ok(&format!("SETACL {root} {} lrswipkxtea", place.user));
        raw.ok(&format!("SETACL {root} zoe lr"));
        let before = acl(&mut raw, root);
        let rows = place.rows(&format!("deleteacl {root} '*'"));
        let who: Vec<_> = rows
            .as_array()
            .expect("rows")
            .iter()
            .map(|row| row["identifier"].as_str().expect("who"))
            .collect();
        assert_eq!(who.last(), Some(&place.user.as_str()), "{rows}");
        for row in rows.as_array().expect("rows") {
            assert_eq!(row["deleted"], true);
        }
        // Dovecot shows the entries of its global file as `#identifier`; they are nobody's to delete.
        let fixed = before
            .iter()
            .filter(|[who, _]| who.starts_with('#'))
            .count();
        assert_eq!(who.len(), before.len() - fixed, "{rows}");
        for name in ["alice", "zoe", &place.user] {
            assert!(who.contains(&name), "{rows}");
        }
        let after = acl(&mut Raw::admin(place.server), &root_for_admin(&place));
        let left: Vec<_> = after
            .iter()
            .filter(|[who, _]| !who.starts_with('#'))
            .collect();
        // Cyrus never takes away what makes a mailbox its owner's.
        let owner = place.root.trim_start_matches("user.").to_owned();
        let implicit = [owner, "lkxcan".to_owned()];
        let expected = place.differs(vec![&implicit], Vec::new());
        assert_eq!(left, expected);
    }
}

/// The root's name as the server's administrator sees it.
fn root_for_admin(place: &Place) -> String {
    place.differs(
        place.root.clone(),
        format!("shared/{}/{}", place.user, place.root),
    )
}

#[test]
fn myrights_are_ones_own() {
    for place in Place::both() {
        let root = &place.root;
        let mut raw = place.raw();
        let expected = |raw: &mut Raw| {
            let answer = raw.command(&format!("MYRIGHTS {root}"));
            strings(answer.named("MYRIGHTS")[0]).pop().expect("rights")
        };
        for letters in ["lrswipkxtea", "lra"] {
            raw.ok(&format!("SETACL {root} {} {letters}", place.user));
            let rows = place.rows(&format!("myrights {root}"));
            let mine = expected(&mut raw);
            assert_eq!(rows, json!([{"mailbox": root, "rights": mine}]));
            assert_eq!(rights(&mine), rights(letters));
        }
        let run = place.text(&format!("mr {root}")).ok();
        assert_eq!(run.stdout, format!("{root}\t{}\n", expected(&mut raw)));
    }
}

#[test]
fn listrights_tells_what_can_be_given() {
    for place in Place::both() {
        let root = &place.root;
        let mut raw = place.raw();
        let owner = root.trim_start_matches("user.").to_owned();
        for who in ["bob", &owner] {
            let answer = raw.command(&format!("LISTRIGHTS {root} {who}"));
            let words = strings(answer.named("LISTRIGHTS")[0]);
            let rows = place.rows(&format!("listrights {root} {who}"));
            assert_eq!(
                rows,
                json!([{"mailbox": root, "identifier": who, "required": words[2], "optional": words[3..]}])
            );
            let run = place.text(&format!("lr {root} {who}")).ok();
            assert_eq!(
                run.stdout,
                format!("{root}\t{who}\t{}\t{}\n", words[2], words[3..].join(" "))
            );
        }
        let rows = place.rows(&format!("listrights {root} {owner}"));
        assert_eq!(rows[0]["required"], place.differs("lkxcan", ""));
    }
}

#[test]
fn the_servers_own_description_is_passed_on() {
    for place in Place::both() {
        let mut raw = place.raw();
        let capability = raw.ok("CAPABILITY");
        let expected: Vec<_> = capability[0].split(' ').skip(2).collect();
        let rows = place.rows("capability");
        let told: Vec<_> = rows
            .as_array()
            .expect("rows")
            .iter()
            .map(|row| row["capability"].as_str().expect("text"))
            .collect();
        // Over TLS a server offers a little more or less: STARTTLS, COMPRESS, mechanisms with channel binding.
        for name in [
            "IMAP4rev1",
            "ACL",
            "QUOTA",
            "NAMESPACE",
            "UNSELECT",
            "ID",
            "LITERAL+",
        ] {
            assert!(
                expected.contains(&name) && told.contains(&name),
                "{name}: {told:?}"
            );
        }
        assert!(
            told.iter()
                .all(|name| !name.is_empty() && !name.contains(' '))
        );
        let run = place.text("capa").ok();
        assert_eq!(run.stdout.lines().collect::<Vec<_>>(), told);

        let rows = place.rows("namespace");
        let expected = place.differs(
            json!([
                {"kind": "other", "prefix": "user.", "separator": "."},
                {"kind": "shared", "prefix": "", "separator": "."},
            ]),
            json!([
                {"kind": "personal", "prefix": "", "separator": "/"},
                {"kind": "other", "prefix": "shared/", "separator": "/"},
                {"kind": "shared", "prefix": "Public/", "separator": "/"},
            ]),
        );
        assert_eq!(rows, expected);
        let run = place.text("ns").ok();
        assert_eq!(
            run.stdout.lines().last(),
            Some(place.differs("shared\t\t.", "shared\tPublic/\t/"))
        );

        let rows = place.rows("id");
        assert_eq!(rows[0]["field"], "name");
        assert_eq!(rows[0]["value"], place.differs("Cyrus IMAPD", "Dovecot"));
        let answer = raw.command("ID NIL");
        let words = strings(
            answer.named("ID")[0]
                .trim_start_matches('(')
                .trim_end_matches(')'),
        );
        let pairs: Vec<_> = words
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[field, value]| json!({"field": field, "value": value}))
            .collect();
        assert_eq!(rows, json!(pairs));

        assert_eq!(place.rows("noop"), json!([]));
        assert_eq!(place.text("noop").ok().stdout, "");
    }
}

#[test]
fn session_tells_where_and_who_one_is() {
    for place in Place::both() {
        let (run, objects) = place.json(&format!(
            "session\nselect {0}\nsession\nunselect\nsession\n",
            place.root
        ));
        run.ok();
        let item = |at: usize, name: &str| {
            let rows = objects[at]["rows"].as_array().expect("rows");
            let row = rows.iter().find(|row| row["item"] == name);
            row.unwrap_or_else(|| panic!("no {name} in {}", objects[at]))["value"].clone()
        };
        for at in [0, 2, 4] {
            assert_eq!(
                item(at, "server"),
                json!(format!("localhost:{}", place.server.imap))
            );
            assert_eq!(item(at, "user"), json!(place.user));
            assert_eq!(item(at, "separator"), json!(place.separator.to_string()));
            assert!(
                item(at, "tls")
                    .as_str()
                    .expect("a version")
                    .starts_with("TLSv1.3")
            );
            assert!(item(at, "greeting").as_str().expect("words").len() > 5);
            assert!(
                item(at, "capabilities")
                    .as_array()
                    .expect("words")
                    .contains(&json!("ACL"))
            );
            assert_eq!(item(at, "strays"), json!(0), "{}", objects[at]);
        }
        assert_eq!(item(0, "selected"), Value::Null);
        assert_eq!(item(2, "selected"), json!(place.root));
        assert_eq!(item(2, "access"), json!("read-write"));
        assert_eq!(item(2, "messages"), json!(0));
        assert_eq!(item(4, "selected"), Value::Null);
    }
}

#[test]
fn a_long_script_runs_in_order_on_one_session() {
    for place in Place::both() {
        let mut script = String::new();
        for number in 0..40 {
            let name = place.at(&format!("box{number}"));
            script.push_str(&format!(
                "create {name}; setacl {name} bob lrs; listacl {name}; status {name}; myrights {name}\n"
            ));
        }
        script.push_str("session\n");
        let (run, objects) = place.json(&script);
        run.ok();
        assert_eq!(objects.len(), 201);
        for (number, five) in objects[..200].as_chunks::<5>().0.iter().enumerate() {
            let name = json!(place.at(&format!("box{number}")));
            for object in five {
                assert_eq!(object["line"], json!(number + 1));
                for row in object["rows"].as_array().expect("rows") {
                    assert_eq!(row["mailbox"], name, "{object}");
                }
            }
            let rights = five[2]["rows"]
                .as_array()
                .expect("rows")
                .iter()
                .find(|row| row["identifier"] == "bob");
            assert!(
                rights.expect("bob's row")["rights"]
                    .as_str()
                    .expect("letters")
                    .contains('s')
            );
            assert_eq!(five[3]["rows"][0]["messages"], json!(0));
        }
        let found = listed(&mut place.raw(), &place.at("box*"));
        assert_eq!(found.len(), 40);
    }
}

#[test]
fn cyrus_takes_all_below_a_user_along_and_every_one_is_told() {
    let place = Place::cyrus();
    let mut raw = place.raw();
    let user = format!("user.{}", unique("gone"));
    for name in ["", ".a", ".a.b", ".c d"] {
        raw.ok(&format!("CREATE \"{user}{name}\""));
    }
    raw.ok(&format!("SETACL {user} cyrus x"));
    let rows = place.rows(&format!("deletemailbox {user}"));
    let told: Vec<_> = ["", ".a", ".a.b", ".c d"]
        .map(|name| json!({"mailbox": format!("{user}{name}"), "deleted": true}))
        .to_vec();
    assert_eq!(rows, json!(told));
    assert!(listed(&mut raw, &format!("{user}*")).is_empty());
}

#[test]
fn a_namespace_is_no_mailbox_to_delete_with_all_that_is_in_it() {
    let cyrus = Place::cyrus();
    let mut raw = cyrus.raw();
    let user = format!("user.{}", unique("kept"));
    raw.ok(&format!("CREATE {user}"));
    raw.ok(&format!("SETACL {user} cyrus x"));
    let failure = cyrus.fails(2, "deletemailbox --yes --recursive user");
    failure.is("usage", None).says("is a namespace");
    assert_eq!(listed(&mut raw, &user).len(), 1);
}
