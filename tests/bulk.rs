//! One command for many mailboxes: which they are, what is done to each and to no other, and what is said when some fail, when the user
//! has seen enough, and when the connection goes.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use imapadm::admin::acl::{GetAcl, MyRights, RightsChange, SetAcl};
use imapadm::admin::mailbox::Listing;
use imapadm::admin::many::{Purpose, Reach, Targets};
use imapadm::admin::overview::{Overview, Wanted};
use imapadm::auth::Credentials;
use imapadm::net::{Address, Security};
use imapadm::session::{Capabilities, Pace};
use imapadm::{Error, MailboxName, Options, Outcome, Session};
use serde_json::{Value, json};

use super::library::open;
use super::support::faulty::{Conn, Faulty};
use super::support::place::{
    Place, exists, limits, listed, objects, quoted, rights_of, rights_of_4314, strings, wire_names,
    word,
};
use super::support::pty::Terminal;
use super::support::raw::{Raw, message};
use super::support::run::{Imapadm, Run, signal, wait};
use super::support::servers::{Server, unique};

/// What any reaction may take.
const SOON: Duration = Duration::from_secs(20);

/// A mailbox of a tree: as it is typed and shown, and as it is on the wire.
type Names = (String, String);

/// Makes `box`, mailboxes below it whose names are easy to get wrong, and two beside it that only look as if they belonged to it. Returns
/// `box` and all below.
fn tree(place: &Place) -> Vec<Names> {
    let mut raw = place.raw();
    let mut all: Vec<Names> = [
        ("box", "box"),
        ("box/one", "box/one"),
        ("box/one/deep", "box/one/deep"),
        ("box/sp ace", "box/sp ace"),
        ("box/it's", "box/it's"),
        ("box/Zoë", "box/Zo&AOs-"),
        ("box/北京", "box/&UxdOrA-"),
        ("box/R&D", "box/R&-D"),
    ]
    .map(|(typed, wire)| (place.at(typed), place.at(wire)))
    .into();
    if !place.is_cyrus() {
        // Cyrus allows neither.
        for path in ["box/quo\"te", "box/back\\slash"] {
            all.push((place.at(path), place.at(path)));
        }
    }
    for (_, wire) in &all {
        raw.ok(&format!("CREATE {}", quoted(wire)));
    }
    for beside in beside(place) {
        raw.ok(&format!("CREATE {beside}"));
    }
    all
}

/// What no command for `box` and all below it may touch.
fn beside(place: &Place) -> [String; 2] {
    [place.at("boxer"), place.at("box-2")]
}

fn typed(names: &[Names]) -> BTreeSet<String> {
    names.iter().map(|(typed, _)| typed.clone()).collect()
}

fn wires(names: &[Names]) -> BTreeSet<String> {
    names.iter().map(|(_, wire)| wire.clone()).collect()
}

/// The two ways to mean the tree: with `box` itself, and what is below it alone.
fn ways(place: &Place, tree: &[Names]) -> [(String, Vec<Names>); 2] {
    let below = tree[1..].to_vec();
    [
        (format!("-r {}", place.at("box")), tree.to_vec()),
        (word(&place.at("box/*")), below),
    ]
}

/// What stands under a key in all rows.
#[track_caller]
fn column(rows: &Value, key: &str) -> Vec<String> {
    let rows = rows.as_array().expect("rows");
    rows.iter()
        .map(|row| {
            let cell = row[key].as_str();
            cell.unwrap_or_else(|| panic!("no {key} in {row}"))
                .to_owned()
        })
        .collect()
}

/// The mailboxes of all rows, each of which must stand once.
#[track_caller]
fn mailboxes(rows: &Value) -> BTreeSet<String> {
    let names = column(rows, "mailbox");
    let set: BTreeSet<String> = names.iter().cloned().collect();
    assert_eq!(set.len(), names.len(), "a mailbox stands twice: {names:?}");
    set
}

/// The one row of a mailbox.
#[track_caller]
fn row_of<'a>(rows: &'a Value, mailbox: &str) -> &'a Value {
    let mut rows = rows
        .as_array()
        .expect("rows")
        .iter()
        .filter(|row| row["mailbox"] == mailbox);
    let row = rows.next();
    let row = row.unwrap_or_else(|| panic!("no row of {mailbox}"));
    assert_eq!(rows.next(), None, "two rows of {mailbox}");
    row
}

#[test]
fn rights_are_changed_on_all_that_are_meant_and_on_no_other() {
    for place in Place::both() {
        let all = tree(&place);
        let mut raw = place.raw();
        let lrs = Some(rights_of_4314("lrs"));
        for (which, meant) in ways(&place, &all) {
            let rows = place.rows(&format!("setacl {which} bob lrs"));
            assert_eq!(mailboxes(&rows), typed(&meant), "{which}");
            for row in rows.as_array().expect("rows") {
                assert_eq!(row["set"], true, "{row}");
                assert_eq!(row["identifier"], "bob");
                assert_eq!(row["rights"], "lrs");
            }
            for (_, wire) in &all {
                let expected = lrs.clone().filter(|_| wires(&meant).contains(wire));
                assert_eq!(rights_of(&mut raw, wire, "bob"), expected, "{wire}");
            }

            let rows = place.rows(&format!("listacl {which}"));
            let bobs: Vec<Value> = rows
                .as_array()
                .expect("rows")
                .iter()
                .filter(|row| row["identifier"] == "bob")
                .cloned()
                .collect();
            assert_eq!(mailboxes(&json!(bobs)), typed(&meant), "{which}");

            // Several at once, one of them with a sign.
            let rows = place.rows(&format!("setacl {which} bob +w alice lr"));
            assert_eq!(rows.as_array().expect("rows").len(), 2 * meant.len());
            for (_, wire) in &meant {
                let has = |raw: &mut Raw, who| rights_of(raw, wire, who);
                assert_eq!(has(&mut raw, "bob"), Some(rights_of_4314("lrsw")));
                assert_eq!(has(&mut raw, "alice"), Some(rights_of_4314("lr")));
            }

            let rows = place.rows(&format!("deleteacl {which} bob alice"));
            assert_eq!(rows.as_array().expect("rows").len(), 2 * meant.len());
            for (_, wire) in &meant {
                assert_eq!(rights_of(&mut raw, wire, "bob"), None, "{wire}");
                assert_eq!(rights_of(&mut raw, wire, "alice"), None, "{wire}");
            }
        }
        for name in beside(&place) {
            assert_eq!(rights_of(&mut raw, &name, "bob"), None, "{name}");
            assert_eq!(rights_of(&mut raw, &name, "alice"), None, "{name}");
        }
    }
}

#[test]
fn every_entry_goes_from_the_lists_of_all() {
    for place in Place::both() {
        let mut raw = place.raw();
        for path in ["box", "box/one", "box/two"] {
            let name = place.at(path);
            raw.ok(&format!("CREATE {name}"));
            raw.ok(&format!("SETACL {name} {} lrswipkxtea", place.user));
            for who in ["alice", "bob"] {
                raw.ok(&format!("SETACL {name} {who} lr"));
            }
        }
        let rows = place.rows(&format!("deleteacl -r {} '*'", place.at("box")));
        for path in ["box", "box/one", "box/two"] {
            let gone: Vec<&Value> = rows
                .as_array()
                .expect("rows")
                .iter()
                .filter(|row| row["mailbox"] == place.at(path))
                .collect();
            let who: Vec<&str> = gone
                .iter()
                .map(|row| row["identifier"].as_str().expect("who"))
                .collect();
            assert!(who.contains(&"alice") && who.contains(&"bob"), "{rows}");
            assert_eq!(who.last(), Some(&place.user.as_str()), "{rows}");
            assert!(gone.iter().all(|row| row["deleted"] == true), "{rows}");
        }
    }
}

#[test]
fn subscriptions_come_and_go_together() {
    for place in Place::both() {
        let all = tree(&place);
        let mut raw = place.raw();
        for (which, meant) in ways(&place, &all) {
            let rows = place.rows(&format!("subscribe {which}"));
            assert_eq!(mailboxes(&rows), typed(&meant));
            for row in rows.as_array().expect("rows") {
                assert_eq!(row["subscribed"], true, "{row}");
            }
            let mut have = |pattern: &str| -> BTreeSet<String> {
                let names = wire_names(&mut raw, "LSUB", &place.at(pattern));
                names.into_iter().collect()
            };
            assert_eq!(have("*"), wires(&meant));
            let rows = place.rows(&format!("unsubscribe {which}"));
            assert_eq!(mailboxes(&rows), typed(&meant));
            for row in rows.as_array().expect("rows") {
                assert_eq!(row["subscribed"], false, "{row}");
            }
            assert_eq!(have("*"), BTreeSet::new());
        }
    }
}

#[test]
fn the_selected_mailbox_has_a_subtree_too() {
    for place in Place::both() {
        let all = tree(&place);
        let (run, objects) = place.json(&format!("select {}\nsubscribe -r\n", place.at("box")));
        run.ok();
        assert_eq!(mailboxes(&objects[1]["rows"]), typed(&all));
    }
}

#[test]
fn quotas_are_set_on_all_that_are_meant() {
    let place = Place::cyrus();
    let all = tree(&place);
    let mut raw = place.raw();
    for (first, (which, meant)) in (0..).zip(ways(&place, &all)) {
        let (run, objects) = place.json(&format!("setquota {which} STORAGE 10M MESSAGE 500"));
        let (run, rows) = (run.ok(), &objects[0]["rows"]);
        assert_eq!(rows.as_array().expect("rows").len(), 2 * meant.len());
        // A mailbox below another one is a root of its own now, which is said once, and only of those that were none.
        let told = run.stderr.matches("is now its own quota root").count();
        assert_eq!(told, usize::from(first == 0), "{run}");
        let both = [("MESSAGE".to_owned(), 500), ("STORAGE".to_owned(), 10_240)];
        for (_, wire) in &meant {
            assert_eq!(limits(&mut raw, wire), both, "{wire}");
        }
        let rows = place.rows(&format!("listquota {which}"));
        let roots: BTreeSet<String> = column(&rows, "root").into_iter().collect();
        assert_eq!(roots, typed(&meant));
        assert_eq!(rows.as_array().expect("rows").len(), 2 * meant.len());
        let rows = place.rows(&format!("setquota {which} none"));
        assert_eq!(rows.as_array().expect("rows").len(), meant.len());
        for (_, wire) in &meant {
            assert_eq!(limits(&mut raw, wire), [], "{wire}");
        }
    }
    for name in beside(&place) {
        let answer = raw.command(&format!("GETQUOTA {name}"));
        assert_eq!(answer.status, "NO", "{answer:?}");
    }
}

#[test]
fn a_quota_root_of_many_mailboxes_is_shown_once() {
    for place in Place::both() {
        let all = tree(&place);
        let mut raw = place.raw();
        raw.ok(&format!(
            "SETQUOTA \"{}\" (STORAGE 5000)",
            place.quota_root()
        ));
        for (which, _) in ways(&place, &all) {
            let rows = place.rows(&format!("listquota {which}"));
            assert_eq!(column(&rows, "root"), [place.quota_root()], "{which}");
            assert_eq!(rows[0]["limit"], json!(5000));
        }
    }
}

/// The shared comment of a mailbox, as the server has it.
fn comment(raw: &mut Raw, wire: &str) -> Option<String> {
    let answer = raw.command(&format!("GETMETADATA {} /shared/comment", quoted(wire)));
    assert_eq!(answer.status, "OK", "{answer:?}");
    let line = answer.named("METADATA").pop()?;
    let value = strings(line.trim_end_matches(')')).pop()?;
    (value != "NIL").then_some(value)
}

#[test]
fn metadata_is_set_and_shown_on_all_that_are_meant() {
    for place in Place::both() {
        let all = tree(&place);
        let mut raw = place.raw();
        for (which, meant) in ways(&place, &all) {
            let value = "two words, a \"quote\" & ë";
            let rows = place.rows(&format!(
                "setmetadata {which} /shared/comment {}",
                word(value)
            ));
            assert_eq!(mailboxes(&rows), typed(&meant));
            for (_, wire) in &all {
                let there = comment(&mut raw, wire).is_some();
                assert_eq!(there, wires(&meant).contains(wire), "{wire}");
            }
            let rows = place.rows(&format!("getmetadata {which} /shared/comment"));
            assert_eq!(mailboxes(&rows), typed(&meant));
            assert!(column(&rows, "value").iter().all(|have| have == value));
            let rows = place.rows(&format!("setmetadata {which} /shared/comment none"));
            assert_eq!(mailboxes(&rows), typed(&meant));
            for (_, wire) in &all {
                assert_eq!(comment(&mut raw, wire), None, "{wire}");
            }
        }
        for name in beside(&place) {
            assert_eq!(comment(&mut raw, &name), None, "{name}");
        }
    }
}

/// How deep a mailbox lies.
fn depth(place: &Place, name: &str) -> usize {
    name.matches(place.separator).count()
}

#[test]
fn what_matches_is_deleted_deepest_first_and_nothing_else() {
    for place in Place::both() {
        for at in [1, 0] {
            let all = tree(&place);
            let mut raw = place.raw();
            raw.append(&place.at("box/one/deep"), &message("gone"));
            let (which, meant) = &ways(&place, &all)[at];
            let rows = place.rows(&format!("deletemailbox --yes {which}"));
            assert_eq!(mailboxes(&rows), typed(meant));
            let depths: Vec<_> = column(&rows, "mailbox")
                .iter()
                .map(|name| depth(&place, name))
                .collect();
            assert!(depths.is_sorted_by(|a, b| a >= b), "{rows}");
            for row in rows.as_array().expect("rows") {
                assert_eq!(row["deleted"], true, "{row}");
            }
            let left: BTreeSet<String> = wires(&all).difference(&wires(meant)).cloned().collect();
            let mut expected: BTreeSet<String> = beside(&place).into();
            expected.extend(left);
            assert_eq!(listed(&mut raw, &place.at("*")), expected);
            for name in expected {
                raw.ok(&format!("DELETE {name}"));
            }
            if place.is_cyrus() {
                // It cannot delete a name twice within a second.
                thread::sleep(Duration::from_millis(1_100));
            }
        }
    }
}

#[test]
fn cyrus_tells_of_all_that_goes_with_users_that_match() {
    let place = Place::cyrus();
    let mut raw = place.raw();
    let prefix = format!("user.{}", unique("many"));
    let all: Vec<String> = ["a", "a.Sent", "a.Sent.2026", "b", "b.Trash"]
        .map(|rest| format!("{prefix}{rest}"))
        .into();
    for name in &all {
        raw.ok(&format!("CREATE {name}"));
        raw.ok(&format!("SETACL {name} cyrus lxa"));
    }
    // The pattern matches the users alone; their other mailboxes go with them.
    let rows = place.rows(&format!("deletemailbox --yes '{prefix}%'"));
    assert_eq!(listed(&mut raw, &format!("{prefix}*")), BTreeSet::new());
    assert_eq!(mailboxes(&rows), all.into_iter().collect());
}

#[test]
fn one_that_fails_is_told_with_its_name_and_the_others_go_on() {
    for place in Place::both() {
        let mut raw = place.raw();
        let all = ["box/a", "box/held", "box/kept", "box/z"].map(|path| place.at(path));
        for name in &all {
            raw.ok(&format!("CREATE {name}"));
        }
        // Without x nobody may delete it.
        for held in &all[1..3] {
            raw.ok(&format!("SETACL {held} {} lra", place.user));
        }
        let pattern = word(&place.at("box/*"));
        let failure = place.fails(1, &format!("deletemailbox --yes {pattern}"));
        assert_eq!(mailboxes(&failure.rows), all.clone().into());
        for (at, name) in all.iter().enumerate() {
            let row = row_of(&failure.rows, name);
            let gone = at % 3 == 0;
            assert_eq!(row["deleted"], gone, "{row}");
            assert_eq!(row.get("reason").is_some(), !gone, "{row}");
            assert_eq!(exists(&mut raw, name), !gone, "{name}");
        }
        let failure = failure.is("several", None).says("2 of 4 failed");
        assert!(failure.text.contains(&all[1]), "{}", failure.text);
    }
}

#[test]
fn what_a_user_may_not_administer_fails_alone() {
    let owners = Place::dovecot();
    let mut raw = owners.raw();
    let place = Place::dovecot();
    for (path, rights) in [("box/a", "lra"), ("box/held", "lr"), ("box/z", "lra")] {
        raw.ok(&format!("CREATE {}", owners.at(path)));
        raw.ok(&format!(
            "SETACL {} {} {rights}",
            owners.at(path),
            place.user
        ));
    }
    let shared = |path: &str| format!("shared/{}/{}", owners.user, owners.at(path));
    let all = ["box/a", "box/held", "box/z"].map(shared);
    let pattern = word(&shared("box/*"));
    for (command, done) in [
        (format!("setacl {pattern} bob lrs"), "set"),
        (format!("deleteacl {pattern} bob"), "deleted"),
    ] {
        let failure = place.fails(1, &command);
        assert_eq!(mailboxes(&failure.rows), all.clone().into());
        for (at, name) in all.iter().enumerate() {
            let row = row_of(&failure.rows, name);
            // As with one mailbox and several identifiers.
            assert_eq!(row[done], at != 1, "{row}");
            assert_eq!(row["identifier"], "bob", "{row}");
            assert_eq!(row.get("reason").is_some(), at == 1, "{row}");
        }
        failure.is("several", None).says("1 of 3 failed");
    }
    let failure = place.fails(1, &format!("listacl {pattern}"));
    let held = row_of(&failure.rows, &all[1]);
    assert!(
        held["reason"].as_str().expect("why").contains("right"),
        "{held}"
    );
    assert!(mailboxes_of_any(&failure.rows).is_superset(&all.into()));
    failure.is("several", None).says("1 of 3 failed");
    // Text has the reason in the row, too.
    let run = place.text(&format!("setacl {pattern} bob lrs")).fails(1);
    assert_eq!(run.stdout.lines().count(), 3);
    let line = run.stdout.lines().nth(1).expect("a line").to_owned();
    assert!(line.contains("NOPERM") && line.contains("held"), "{run}");
}

/// The mailboxes of rows of which several may be of the same one.
fn mailboxes_of_any(rows: &Value) -> BTreeSet<String> {
    column(rows, "mailbox").into_iter().collect()
}

#[test]
fn names_without_a_mailbox_are_passed_over_and_counted() {
    let place = Place::dovecot();
    let mut raw = place.raw();
    raw.ok(&format!("CREATE {}", place.at("gap/in/between")));
    let only = [place.at("gap/in/between")];
    for (command, key) in [
        ("setacl", "bob lrs"),
        ("listacl", ""),
        ("subscribe", ""),
        ("setmetadata", "/shared/comment x"),
        ("getmetadata", "/shared/comment"),
        ("unsubscribe", ""),
        ("deleteacl", "bob"),
        ("deletemailbox --yes", ""),
    ] {
        let which = match command {
            "subscribe" | "getmetadata" => format!("-r {}", place.at("gap")),
            _ => word(&place.at("gap*")),
        };
        let (run, objects) = place.json(&format!("{command} {which} {key}"));
        let run = run.ok();
        assert_eq!(mailboxes_of_any(&objects[0]["rows"]), only.clone().into());
        assert_eq!(
            run.stderr,
            "imapadm: 2 names without a mailbox (\\Noselect, \\NonExistent) were skipped\n",
            "{command}"
        );
    }
    assert!(listed(&mut raw, &place.at("gap*")).is_empty());
}

#[test]
fn a_pattern_that_matches_nothing_does_nothing_and_says_so() {
    for place in Place::both() {
        for command in [
            "setacl WHICH bob lrs",
            "listacl WHICH",
            "deleteacl WHICH bob",
            "setquota WHICH STORAGE 100",
            "listquota WHICH",
            "subscribe WHICH",
            "unsubscribe WHICH",
            "setmetadata WHICH /shared/comment x",
            "getmetadata WHICH",
            "deletemailbox --yes WHICH",
        ] {
            let nothing = place.at("no such thing*");
            for which in [
                word(&nothing),
                format!("-r {}", word(nothing.trim_end_matches('*'))),
            ] {
                let failure = place.fails(1, &command.replace("WHICH", &which));
                assert_eq!(failure.rows, json!([]), "{command}");
                failure.is("not-listed", None).says("no such thing");
            }
            // A pattern is no mailbox to have anything below.
            let both = format!("-r {}", word(&nothing));
            let failure = place.fails(2, &command.replace("WHICH", &both));
            failure.is("usage", None).says("--recursive takes one");
        }
    }
}

#[test]
fn a_pattern_may_hold_any_letters() {
    for place in Place::both() {
        let mut raw = place.raw();
        for path in ["Zo&AOs- one", "Zo&AOs- two", "Zoe", "&UxdOrA-"] {
            raw.ok(&format!("CREATE {}", quoted(&place.at(path))));
        }
        let rows = place.rows(&format!("setacl {} bob lrs", word(&place.at("Zoë*"))));
        let meant = ["Zoë one", "Zoë two"].map(|path| place.at(path));
        assert_eq!(mailboxes(&rows), meant.into());
        let rows = place.rows(&format!("setacl {} bob lrs", word(&place.at("%北京"))));
        assert_eq!(mailboxes(&rows), [place.at("北京")].into());
        assert_eq!(rights_of(&mut raw, &place.at("Zoe"), "bob"), None);
    }
}

/// What the program sent, in the order in which it did; nothing of the login.
fn sent(trace: &str) -> Vec<String> {
    let commands = trace.lines().filter_map(|line| {
        let (_, command) = line.split_once(" C: ")?;
        Some(command.split_once(' ')?.1.trim_end().to_owned())
    });
    commands
        .filter(|command| !command.starts_with("AUTHENTICATE") && !command.starts_with("LOGIN"))
        .collect()
}

/// Runs one command and returns its rows and what was sent for it.
#[track_caller]
fn traced(place: &Place, command: &str) -> (Run, Value, Vec<String>) {
    let run = place.imapadm();
    let trace = run.home().join("trace");
    let run = run
        .args(["--format", "json", "--trace"])
        .arg(&trace)
        .stdin(command);
    let done = run.run();
    let rows = objects(&done).pop().expect("an object")["rows"].clone();
    let trace = std::fs::read_to_string(trace).expect("a trace");
    (done, rows, sent(&trace))
}

fn with_verb<'a>(sent: &'a [String], verb: &str) -> Vec<&'a str> {
    sent.iter()
        .map(String::as_str)
        .filter(|command| command.split(' ').next() == Some(verb))
        .collect()
}

#[test]
fn a_real_asterisk_in_a_name_is_no_wildcard_behind_wire() {
    for place in Place::both() {
        let mut raw = place.raw();
        let (star, other) = (place.at("st*ar"), place.at("stXar"));
        let kids = [place.at("st*ar/kid"), place.at("stXar/kid")];
        for name in [&star, &other, &kids[0], &kids[1]] {
            raw.ok(&format!("CREATE {}", quoted(name)));
        }
        let shown = format!("wire:{star}");
        let rows = place.rows(&format!("listmailbox {}", word(&place.at("st*"))));
        assert!(mailboxes(&rows).contains(&shown), "{rows}");

        let rows = place.rows(&format!("setacl {} bob lrs", word(&shown)));
        assert_eq!(mailboxes(&rows), [shown.clone()].into());
        assert_eq!(
            rights_of(&mut raw, &star, "bob"),
            Some(rights_of_4314("lrs"))
        );
        assert_eq!(rights_of(&mut raw, &other, "bob"), None);

        // All below it, and not below the other that LIST takes for it.
        let below = [shown.clone(), format!("wire:{}", kids[0])];
        let rows = place.rows(&format!("setacl -r {} alice lr", word(&shown)));
        assert_eq!(mailboxes(&rows), below.clone().into());
        for name in [&other, &kids[1]] {
            assert_eq!(rights_of(&mut raw, name, "alice"), None, "{name}");
        }
        let rows = place.rows(&format!("subscribe {}", word(&shown)));
        assert_eq!(mailboxes(&rows), [shown.clone()].into());

        // Without it, the same letters are a pattern.
        let rows = place.rows(&format!("setacl {} carol lr", word(&star)));
        assert_eq!(mailboxes(&rows), [shown.clone(), other.clone()].into());

        let rows = place.rows(&format!("deletemailbox --yes -r {}", word(&shown)));
        assert_eq!(mailboxes(&rows), below.into());
        assert_eq!(
            listed(&mut raw, &place.at("st*")),
            [other, kids[1].clone()].into()
        );
    }
}

#[test]
fn no_pattern_ever_reaches_setmetadata() {
    for place in Place::both() {
        let mut raw = place.raw();
        let names = ["sta", "st*ar", "stXar"].map(|path| place.at(path));
        for name in &names {
            raw.ok(&format!("CREATE {}", quoted(name)));
        }
        let command = format!("setmetadata {} /shared/comment x", word(&place.at("st*")));
        let (run, rows, sent) = traced(&place, &command);
        let star = format!("wire:{}", names[1]);
        assert_eq!(
            mailboxes(&rows),
            [names[0].clone(), star.clone(), names[2].clone()].into()
        );
        let changes = with_verb(&sent, "SETMETADATA");
        if place.is_cyrus() {
            // Cyrus would expand it.
            run.fails(1).complains("1 of 3 failed");
            assert_eq!(changes.len(), 2, "{sent:?}");
            assert!(
                changes.iter().all(|command| !command.contains('*')),
                "{sent:?}"
            );
            let row = row_of(&rows, &star);
            assert_eq!(row["set"], false, "{row}");
            assert!(
                row["reason"].as_str().expect("why").contains("wildcards"),
                "{row}"
            );
            assert_eq!(comment(&mut raw, &names[0]).as_deref(), Some("x"));
        } else {
            run.ok();
            assert_eq!(changes.len(), 3, "{sent:?}");
            for name in &names {
                assert_eq!(comment(&mut raw, name).as_deref(), Some("x"), "{name}");
            }
        }
        assert_eq!(with_verb(&sent, "LIST").len(), 1, "{sent:?}");
    }
}

#[test]
fn it_takes_one_listing_and_one_command_for_each() {
    for place in Place::both() {
        let all = tree(&place);
        let pattern = word(&place.at("box/*"));
        for (command, verb) in [
            (format!("setacl {pattern} bob lrs"), "SETACL"),
            (format!("listacl {pattern}"), "GETACL"),
            (format!("subscribe {pattern}"), "SUBSCRIBE"),
            (format!("listquota {pattern}"), "GETQUOTAROOT"),
            (format!("getmetadata {pattern}"), "GETMETADATA"),
            (format!("deleteacl {pattern} bob"), "DELETEACL"),
            (format!("deletemailbox --yes {pattern}"), "DELETE"),
        ] {
            let (run, _, sent) = traced(&place, &command);
            run.ok();
            assert_eq!(with_verb(&sent, "LIST").len(), 1, "{sent:?}");
            assert_eq!(with_verb(&sent, verb).len(), all.len() - 1, "{sent:?}");
            // Beside those, what any session sends.
            let others = sent.len() - all.len();
            assert!(others <= 4, "{sent:?}");
        }
    }
}

#[test]
fn without_the_pipeline_the_output_is_the_same() {
    for place in Place::both() {
        for format in ["text", "json"] {
            let script = |top: &str| {
                let place_for = |path: &str| format!("{top}{}{path}", place.separator);
                let pattern = word(&place_for("*"));
                format!(
                    "setacl {pattern} bob lrs\nsetacl -r {top} alice lr nobody-there -w\nlistacl {pattern}\nsubscribe -r {top}\n\
                     listquota {pattern}\nsetmetadata {pattern} /shared/comment hi\ngetmetadata -r {top} /shared/comment admin\n\
                     setmetadata {pattern} /shared/nosuch/entry hi\nsetquota {pattern} STORAGE 0\nlistmailbox --status --myrights {pattern}\n\
                     unsubscribe {pattern}\ndeleteacl {pattern} bob\ndeletemailbox --yes {pattern}\n"
                )
            };
            let run = |top: &str, more: &[&str]| {
                let mut raw = place.raw();
                for path in ["", "a", "b", "Zo&AOs-", "sp ace", "held", "a/deep"] {
                    let sign = if path.is_empty() { "" } else { "/" };
                    let sign = sign.replace('/', &place.separator.to_string());
                    let path = path.replace('/', &place.separator.to_string());
                    raw.ok(&format!("CREATE {}", quoted(&format!("{top}{sign}{path}"))));
                }
                let held = format!("{top}{}held", place.separator);
                raw.ok(&format!("SETACL {held} {} lra", place.user));
                let run = place
                    .imapadm()
                    .args(["-k", "--format", format])
                    .args(more)
                    .stdin(script(top))
                    .run()
                    .fails(1);
                // Dates are another each time, and so are the name and how long Dovecot took.
                let mut out = run.stdout.replace(top, "TOP");
                while let Some(end) = out.find(" secs)") {
                    let start = out[..end].rfind('(').expect("it opens");
                    out.replace_range(start..end + " secs)".len(), "TIME");
                }
                let digits =
                    |word: &str| word.len() == 10 && word.bytes().all(|b| b.is_ascii_digit());
                let parts = out.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
                parts
                    .map(|part| {
                        let end = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
                        if digits(end) {
                            part.replace(end, "UIDVALIDITY")
                        } else {
                            part.to_owned()
                        }
                    })
                    .collect::<String>()
            };
            let with = run(&place.at(&unique("x")), &[]);
            let without = run(&place.at(&unique("x")), &["--no-pipeline"]);
            assert_eq!(with, without);
            assert!(with.contains("Zoë"), "{with}");
        }
    }
}

/// The rows of a listing by its names.
fn by_name(rows: &Value) -> Vec<(String, Value)> {
    let rows = rows.as_array().expect("rows").iter();
    rows.map(|row| {
        (
            row["mailbox"].as_str().expect("a name").to_owned(),
            row.clone(),
        )
    })
    .collect()
}

#[test]
fn a_listing_with_counts_and_rights_is_one_list_where_the_server_can() {
    for place in Place::both() {
        let all = tree(&place);
        let mut raw = place.raw();
        raw.append(&place.at("box/sp ace"), &message("one"));
        raw.ok(&format!(
            "SETACL {} {} lra",
            place.at("box/one"),
            place.user
        ));
        if !place.is_cyrus() {
            raw.ok(&format!("CREATE {}", place.at("box/gap/kid")));
        }
        let pattern = word(&place.at("box*"));
        let plain = place.rows(&format!("listmailbox {pattern}"));
        for (flags, status, rights) in [
            ("--status", true, false),
            ("--myrights", false, true),
            ("--status --myrights", true, true),
        ] {
            let (run, rows, sent) = traced(&place, &format!("listmailbox {flags} {pattern}"));
            assert_eq!(run.ok().stderr, "");
            let told = raw.command("CAPABILITY");
            let can = |name: &str| told.lines.iter().any(|line| line.contains(name));
            let in_one = (!status || can(" LIST-STATUS")) && (!rights || can(" LIST-MYRIGHTS"));
            let count = with_verb(&sent, "LIST").len();
            assert_eq!(count, 1, "{sent:?}");
            let others = with_verb(&sent, "STATUS").len() + with_verb(&sent, "MYRIGHTS").len();
            assert_eq!(others == 0, in_one, "{sent:?}");
            if place.is_cyrus() {
                assert!(in_one, "{told:?}");
            }
            assert_eq!(column(&rows, "mailbox"), column(&plain, "mailbox"));
            for (name, row) in by_name(&rows) {
                let is_gap = !place.is_cyrus() && name == place.at("box/gap");
                if status && is_gap {
                    assert_eq!(row["messages"], Value::Null, "{row}");
                } else if status {
                    let alone = place.rows(&format!("status {}", word(&name)));
                    for key in [
                        "messages",
                        "recent",
                        "unseen",
                        "uidnext",
                        "uidvalidity",
                        "size",
                    ] {
                        assert_eq!(row[key], alone[0][key], "{key} of {name}");
                    }
                    let expected = u64::from(name == place.at("box/sp ace"));
                    assert_eq!(row["messages"], json!(expected), "{row}");
                }
                if rights && is_gap {
                    assert_eq!(row["rights"], Value::Null, "{row}");
                } else if rights {
                    let alone = place.rows(&format!("myrights {}", word(&name)));
                    assert_eq!(row["rights"], alone[0]["rights"], "{name}");
                }
                assert_eq!(row.get("messages").is_some(), status, "{row}");
                assert_eq!(row.get("rights").is_some(), rights, "{row}");
            }
        }
        assert!(all.len() > 7);
        // Of the subscribed alone.
        raw.ok(&format!("SUBSCRIBE {}", place.at("box/one")));
        let rows = place.rows(&format!("listmailbox -s --status --myrights {pattern}"));
        assert_eq!(column(&rows, "mailbox"), [place.at("box/one")]);
        assert_eq!(rows[0]["messages"], json!(0));
    }
}

/// What the scripted servers have beside IMAP4rev1.
const CAPABILITIES: &str = "ACL QUOTA METADATA";

/// `m000`, `m001`, …
fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("m{number:03}")).collect()
}

/// The LIST responses of these names.
fn listing(names: &[String]) -> String {
    let lines = names
        .iter()
        .map(|name| format!("* LIST () \".\" {}\r\n", quoted(name)));
    lines.collect()
}

/// What a willing server says of a mailbox, or of anything.
fn willing(tag: &str, command: &str, names: &[String]) -> String {
    let words: Vec<&str> = command.split(' ').collect();
    let mailbox = words.get(1).copied().unwrap_or_default();
    let data = match words[0] {
        "LIST" if command.ends_with("\"\"") => "* LIST (\\Noselect) \".\" \"\"\r\n".to_owned(),
        "LIST" => listing(names),
        "GETACL" => format!("* ACL {mailbox} bob lrs\r\n"),
        "MYRIGHTS" => format!("* MYRIGHTS {mailbox} lrsa\r\n"),
        "STATUS" => format!("* STATUS {mailbox} (MESSAGES {})\r\n", &mailbox[1..]),
        "GETQUOTAROOT" => format!("* QUOTAROOT {mailbox} r\r\n* QUOTA r (STORAGE 1 2)\r\n"),
        "GETMETADATA" => format!("* METADATA {mailbox} (/shared/comment \"hi\")\r\n"),
        "CAPABILITY" => format!("* CAPABILITY IMAP4rev1 {CAPABILITIES}\r\n"),
        _ => String::new(),
    };
    format!("{data}{tag} OK done\r\n")
}

/// A server with so many mailboxes that does what it is told.
fn server_of(count: usize) -> Faulty {
    Faulty::script(move |conn| {
        conn.let_in(CAPABILITIES);
        let names = numbered(count);
        conn.answer(|tag, command| willing(tag, command, &names));
    })
}

/// The commands of this name that a scripted server has read.
fn received(server: &Faulty, verb: &str) -> Vec<String> {
    let lines = server.received();
    let commands = lines
        .iter()
        .filter_map(|line| line.split_once(' ').map(|(_, command)| command));
    commands
        .filter(|command| command.split(' ').next() == Some(verb))
        .map(str::to_owned)
        .collect()
}

/// Every command for many: what is typed, what is sent for each, and whether it changes anything.
const COMMANDS: [(&str, &str, bool); 10] = [
    ("setacl WHICH bob lrs", "SETACL", true),
    ("deleteacl WHICH bob", "DELETEACL", true),
    ("listacl WHICH", "GETACL", false),
    ("setquota WHICH STORAGE 100", "SETQUOTA", true),
    ("listquota WHICH", "GETQUOTAROOT", false),
    ("subscribe WHICH", "SUBSCRIBE", true),
    ("unsubscribe WHICH", "UNSUBSCRIBE", true),
    ("setmetadata WHICH /shared/comment x", "SETMETADATA", true),
    ("getmetadata WHICH /shared/comment", "GETMETADATA", false),
    ("deletemailbox --yes WHICH", "DELETE", true),
];

#[test]
fn all_are_sent_before_the_first_is_answered() {
    for (command, verb, _) in COMMANDS {
        let names = numbered(30);
        let server = Faulty::script(move |conn| {
            conn.let_in(CAPABILITIES);
            let mut held = Vec::new();
            loop {
                let (tag, command) = conn.expect_command();
                if command.split(' ').next() != Some(verb) {
                    conn.send(willing(&tag, &command, &numbered(30)));
                    continue;
                }
                held.push((tag, command));
                // A client that waited for one of them would wait for ever.
                if held.len() == 30 {
                    for (tag, command) in held.drain(..) {
                        conn.send(willing(&tag, &command, &[]));
                    }
                }
            }
        });
        let run = Imapadm::on_port(server.port)
            .args(["--timeout", "10", "-c", &command.replace("WHICH", "'m*'")])
            .run()
            .ok();
        let expected = if verb == "GETQUOTAROOT" { 1 } else { 30 };
        assert_eq!(run.stdout.lines().count(), expected, "{run}");
        assert_eq!(received(&server, verb).len(), names.len());
        assert_eq!(received(&server, "LIST").len(), 1);
    }
}

#[test]
fn without_the_pipeline_each_waits_for_the_one_before() {
    for (command, verb, _) in COMMANDS {
        let script = format!("{}\n", command.replace("WHICH", "'m*'"));
        let most = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&most);
        let server = Faulty::script(move |conn| {
            conn.let_in(CAPABILITIES);
            loop {
                let (tag, command) = conn.expect_command();
                // Time enough for another one to come, which would then be in the buffer.
                conn.stall(Duration::from_millis(15));
                if conn.has_more() {
                    theirs.store(true, Ordering::SeqCst);
                }
                conn.send(willing(&tag, &command, &numbered(8)));
            }
        });
        let run = Imapadm::on_port(server.port).stdin(&script);
        let without = run.arg("--no-pipeline").run().ok();
        assert!(!most.load(Ordering::SeqCst), "{verb} was sent ahead");
        let with = Imapadm::on_port(server.port).stdin(&script).run().ok();
        assert_eq!(without.stdout, with.stdout, "{command}");
        assert_eq!(without.stderr, "");
        assert_eq!(received(&server, verb).len(), 16);
    }
}

#[test]
fn refusals_among_many_are_each_their_own() {
    for (command, verb, changes) in COMMANDS {
        for more in [None, Some("--no-pipeline")] {
            let server = Faulty::script(move |conn| {
                conn.let_in(CAPABILITIES);
                let names = numbered(40);
                conn.answer(|tag, command| match command.split(' ').nth(1) {
                    Some(name)
                        if command.starts_with(verb) && name.trim_matches('"').ends_with('7') =>
                    {
                        format!("{tag} NO [NOPERM] not that one\r\n")
                    }
                    Some("m011" | "\"m011\"") => format!("{tag} BAD what was that\r\n"),
                    _ => willing(tag, command, &names),
                });
            });
            let run = Imapadm::on_port(server.port)
                .args(["--format", "json", "-c", &command.replace("WHICH", "'m%'")])
                .args(more)
                .run()
                .fails(1)
                .complains("5 of 40 failed");
            let object = &objects(&run)[0];
            assert_eq!(object["error"]["kind"], "several", "{run}");
            let key = if verb == "SETQUOTA" {
                "root"
            } else {
                "mailbox"
            };
            let rows = object["rows"].as_array().expect("rows");
            let failed: Vec<&str> = rows
                .iter()
                .filter(|row| row.get("reason").is_some())
                .map(|row| row[key].as_str().expect("a name"))
                .collect();
            assert_eq!(failed, ["m007", "m011", "m017", "m027", "m037"], "{run}");
            if verb != "GETQUOTAROOT" {
                assert_eq!(rows.len(), 40, "{run}");
                let names: Vec<&str> = rows
                    .iter()
                    .map(|row| row[key].as_str().expect("a name"))
                    .collect();
                assert!(names.is_sorted(), "in the order of the names: {names:?}");
            }
            // A program can tell those done from the others without reading the reason.
            for row in rows.iter().filter(|_| changes) {
                let flag = ["set", "deleted", "subscribed"]
                    .into_iter()
                    .find_map(|key| row[key].as_bool());
                let done = row.get("reason").is_none() != (verb == "UNSUBSCRIBE");
                assert_eq!(flag, Some(done), "{row}");
            }
            assert_eq!(received(&server, verb).len(), 40);
        }
    }
}

#[test]
fn names_that_are_no_mailboxes_are_never_touched() {
    let lines = "* LIST (\\Noselect \\HasChildren) \".\" m1\r\n* LIST () \".\" m2\r\n* LIST (\\HASCHILDREN \\nonexistent) \".\" m3\r\n\
                 * LIST (\\NoSelect) \".\" m4\r\n";
    for (command, verb, _) in COMMANDS {
        let server = Faulty::script(move |conn| {
            conn.let_in(CAPABILITIES);
            conn.answer(|tag, command| match command {
                "LIST \"\" \"m*\"" => format!("{lines}{tag} OK all\r\n"),
                _ => willing(tag, command, &[]),
            });
        });
        let run = Imapadm::on_port(server.port)
            .args(["-c", &command.replace("WHICH", "'m*'")])
            .run()
            .ok();
        assert_eq!(run.stdout.lines().count(), 1, "{run}");
        assert_eq!(
            run.stderr,
            "imapadm: 3 names without a mailbox (\\Noselect, \\NonExistent) were skipped\n"
        );
        let touched = received(&server, verb);
        assert_eq!(touched.len(), 1, "{touched:?}");
        assert!(touched[0].contains("m2"), "{touched:?}");
    }
}

#[test]
fn one_that_is_listed_twice_is_one() {
    for (command, verb, _) in COMMANDS {
        let server = Faulty::script(|conn| {
            conn.let_in(CAPABILITIES);
            let names = ["m1", "m2", "m1"].map(str::to_owned);
            conn.answer(|tag, command| willing(tag, command, &names));
        });
        Imapadm::on_port(server.port)
            .args(["-c", &command.replace("WHICH", "'m*'")])
            .run()
            .ok();
        assert_eq!(received(&server, verb).len(), 2, "{command}");
    }
}

#[test]
fn names_with_quotes_backslashes_and_wildcards_go_out_as_they_are() {
    let names = [
        "m quo\"te",
        "m back\\slash",
        "m st*ar",
        "m per%cent",
        "m&AOs-",
        "m (x) {3}",
    ];
    for (command, verb, _) in COMMANDS {
        let server = Faulty::script(move |conn| {
            conn.let_in(CAPABILITIES);
            let names = names.map(str::to_owned);
            conn.answer(|tag, command| match command.split_once(' ') {
                Some(("GETACL" | "GETQUOTAROOT" | "GETMETADATA", _)) => {
                    format!("{tag} NO not now\r\n")
                }
                _ => willing(tag, command, &names),
            });
        });
        let run = Imapadm::on_port(server.port)
            .args(["--format", "json", "-c", &command.replace("WHICH", "'m*'")])
            .run();
        let mut asked: Vec<String> = received(&server, verb)
            .iter()
            .map(|command| strings(command)[1].clone())
            .collect();
        asked.sort();
        let mut expected = names.map(str::to_owned);
        expected.sort();
        assert_eq!(asked, expected, "{run}");
        let rows = &objects(&run)[0]["rows"];
        let key = if verb == "SETQUOTA" {
            "root"
        } else {
            "mailbox"
        };
        let shown: BTreeSet<String> = column(rows, key).into_iter().collect();
        let expected = [
            "m quo\"te",
            "m back\\slash",
            "wire:m st*ar",
            "wire:m per%cent",
            "më",
            "m (x) {3}",
        ];
        assert_eq!(shown, expected.map(str::to_owned).into(), "{run}");
    }
}

#[test]
fn a_listing_with_counts_and_rights_is_a_pipeline_where_the_server_has_nothing_better() {
    for (more, in_one) in [
        ("", false),
        ("LIST-STATUS LIST-MYRIGHTS", false),
        ("LIST-EXTENDED LIST-STATUS", false),
        ("LIST-EXTENDED LIST-STATUS LIST-MYRIGHTS", true),
    ] {
        let capabilities = format!("{CAPABILITIES} {more}");
        let server = Faulty::script(move |conn| {
            conn.let_in(&capabilities);
            let names = numbered(30);
            let mut held: Vec<(String, String)> = Vec::new();
            loop {
                let (tag, command) = conn.expect_command();
                match command.split(' ').next() {
                    Some("LIST") if command.contains(" RETURN ") => {
                        for name in &names {
                            conn.send(format!("* LIST () \".\" {name}\r\n"));
                            if name == "m005" {
                                // Nobody may look into it.
                                continue;
                            }
                            conn.send(format!(
                                "* STATUS {name} (MESSAGES {})\r\n* MYRIGHTS {name} lrsa\r\n",
                                &name[1..]
                            ));
                        }
                        conn.send(format!("{tag} OK all\r\n"));
                    }
                    Some("STATUS" | "MYRIGHTS") => {
                        held.push((tag, command));
                        if held.len() == 30 {
                            for (tag, command) in held.drain(..) {
                                conn.send(match command.contains("m005") {
                                    true => format!("{tag} NO [NOPERM] not that one\r\n"),
                                    false => willing(&tag, &command, &names),
                                });
                            }
                        }
                    }
                    _ => conn.send(willing(&tag, &command, &names)),
                }
            }
        });
        let run = Imapadm::on_port(server.port)
            .args([
                "--format",
                "json",
                "-c",
                "listmailbox --status --myrights 'm*'",
            ])
            .run()
            .ok();
        assert_eq!(run.stderr, "", "{more}: {run}");
        let asked = received(&server, "STATUS").len() + received(&server, "MYRIGHTS").len();
        assert_eq!(asked, if in_one { 0 } else { 60 }, "{more}");
        assert_eq!(received(&server, "LIST").len(), 1);
        let rows = &objects(&run)[0]["rows"];
        assert_eq!(column(rows, "mailbox"), numbered(30), "{more}");
        for (at, row) in rows.as_array().expect("rows").iter().enumerate() {
            let told = at != 5;
            assert_eq!(
                row["messages"],
                if told { json!(at) } else { Value::Null },
                "{row}"
            );
            assert_eq!(
                row["rights"],
                if told { json!("lrsa") } else { Value::Null },
                "{row}"
            );
        }
    }
}

#[test]
fn the_lists_that_are_to_be_emptied_are_asked_for_together() {
    let server = Faulty::script(move |conn| {
        conn.let_in(CAPABILITIES);
        let mut held = Vec::new();
        loop {
            let (tag, command) = conn.expect_command();
            if !command.contains("ACL ") {
                conn.send(willing(&tag, &command, &numbered(30)));
                continue;
            }
            held.push((tag, command));
            // One of the lists may not be seen, so that there are only 29 entries to take off.
            let wanted = if held[0].1.starts_with("GETACL") {
                30
            } else {
                29
            };
            if held.len() == wanted {
                for (tag, command) in held.drain(..) {
                    conn.send(match command.as_str() {
                        "GETACL m005" => format!("{tag} NO [NOPERM] not that one\r\n"),
                        _ => willing(&tag, &command, &[]),
                    });
                }
            }
        }
    });
    let run = Imapadm::on_port(server.port)
        .args(["--timeout", "10", "--format", "json"])
        .args(["-c", "deleteacl 'm*' '*'"])
        .run()
        .fails(1)
        .complains("1 of 30 failed");
    let rows = &objects(&run)[0]["rows"];
    assert_eq!(mailboxes(rows), numbered(30).into_iter().collect());
    for row in rows.as_array().expect("rows") {
        assert_eq!(row["deleted"], row["mailbox"] != "m005", "{row}");
    }
}

/// A server that answers some of the commands of one name and then, to all that came and come, what the end says once it is let go on.
fn stops_after(
    some: usize,
    verb: &'static str,
    count: usize,
    end: impl Fn(&mut Conn, &str, &str) + Send + Sync + 'static,
) -> (Faulty, Arc<AtomicBool>) {
    let go_on = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&go_on);
    let server = Faulty::script(move |conn| {
        conn.let_in(CAPABILITIES);
        let names = numbered(count);
        let mut answered = 0;
        loop {
            let (tag, command) = conn.expect_command();
            if command.split(' ').next() != Some(verb) {
                conn.send(willing(&tag, &command, &names));
                continue;
            }
            if answered < some {
                answered += 1;
                conn.send(willing(&tag, &command, &names));
                continue;
            }
            while !theirs.load(Ordering::SeqCst) {
                conn.stall(Duration::from_millis(5));
            }
            end(conn, &tag, &command);
        }
    });
    (server, go_on)
}

/// Ends the connection so that what was said before still arrives: a socket that is closed over unread commands takes it back.
fn hang_up(conn: &mut Conn, farewell: &str) {
    conn.send(farewell);
    conn.close_sending();
    loop {
        conn.expect_line();
    }
}

#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < deadline, "no {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Starts a command, interrupts it once the server has stopped answering, and returns its status, stdout and stderr.
#[track_caller]
fn interrupted(
    server: &Faulty,
    go_on: &AtomicBool,
    verb: &str,
    args: &[&str],
    with: &str,
) -> (Option<i32>, String, String) {
    let run = Imapadm::on_port(server.port)
        .args(["--timeout", "60"])
        .args(args);
    let mut child = run.start();
    drop(child.stdin.take());
    until("command at the server", || {
        received(server, verb).len() > 20
    });
    // What the window lets through is on its way.
    thread::sleep(Duration::from_millis(100));
    signal(&child, with);
    thread::sleep(Duration::from_millis(100));
    go_on.store(true, Ordering::SeqCst);
    let (mut stdout, mut stderr) = (String::new(), String::new());
    let mut out = child.stdout.take().expect("stdout is piped");
    let mut err = child.stderr.take().expect("stderr is piped");
    // On a second thread: one full pipe must not stop the other.
    let reading = thread::spawn(move || {
        err.read_to_string(&mut stderr).expect("stderr");
        stderr
    });
    out.read_to_string(&mut stdout).expect("stdout");
    let status = wait(&mut child, SOON);
    if status.is_none() {
        child.kill().expect("it can be killed");
    }
    (
        status.expect("it ends").code(),
        stdout,
        reading.join().expect("stderr"),
    )
}

/// More than are ever in flight.
const PLENTY: usize = 999;

#[test]
fn an_interrupt_stops_the_sending_and_tells_of_all_that_was_done() {
    for (at, (command, verb, _)) in COMMANDS.into_iter().enumerate() {
        let (server, go_on) = stops_after(20, verb, PLENTY, |conn, tag, command| {
            conn.send(willing(tag, command, &[]))
        });
        let with = ["INT", "TERM"][at % 2];
        let command = command.replace("WHICH", "'m*'");
        let (status, stdout, stderr) = interrupted(
            &server,
            &go_on,
            verb,
            &["-c", &command, "-c", "cm after"],
            with,
        );
        assert_eq!(status, Some(130), "{stderr}");
        assert!(stderr.contains("interrupted"), "{stderr}");
        let sent = received(&server, verb);
        assert!(
            (21..PLENTY).contains(&sent.len()),
            "{command}: {}",
            sent.len()
        );
        if verb != "GETQUOTAROOT" {
            // Told of just those that were done, and they were.
            let told: Vec<&str> = stdout
                .lines()
                .map(|line| line.split('\t').next().expect("a name"))
                .collect();
            assert_eq!(told, numbered(sent.len()), "{command}\n{stderr}");
        }
        assert!(!stdout.contains("unknown"), "{stdout}");
        assert!(!stderr.contains("changed nothing"), "{stderr}");
        assert_eq!(received(&server, "CREATE"), Vec::<String>::new());
    }
}

#[test]
fn after_an_interrupt_what_nobody_answers_is_unknown() {
    for (at, (command, verb, changes)) in COMMANDS.into_iter().enumerate() {
        let (server, go_on) = stops_after(20, verb, PLENTY, |_, _, _| {});
        let with = ["TERM", "INT"][at % 2];
        let command = command.replace("WHICH", "'m*'");
        let args = ["--format", "json", "-c", &command];
        let (status, stdout, stderr) = interrupted(&server, &go_on, verb, &args, with);
        assert_eq!(status, Some(130), "{stderr}");
        assert!(stderr.contains("interrupted"), "{stderr}");
        let object: Value = serde_json::from_str(&stdout).expect("an object");
        assert_eq!(object["error"]["kind"], "interrupted");
        let rows = object["rows"].as_array().expect("rows");
        let sent = received(&server, verb).len();
        assert!(sent < PLENTY, "{command}: {sent}");
        let (failed, done): (Vec<&Value>, Vec<&Value>) =
            rows.iter().partition(|row| row.get("reason").is_some());
        assert_eq!(failed.len(), sent - 20, "{command}: {rows:?}");
        assert_eq!(
            done.len(),
            if verb == "GETQUOTAROOT" { 1 } else { 20 },
            "{command}"
        );
        for row in failed {
            let reason = row["reason"].as_str().expect("words");
            assert!(reason.starts_with("interrupted before"), "{row}");
            assert_eq!(
                reason.contains("unknown whether it was done"),
                changes,
                "{row}"
            );
        }
        assert_eq!(stderr.contains("unknown whether"), changes, "{stderr}");
    }
}

#[test]
fn of_a_connection_that_is_lost_in_the_middle_all_unknown_are_told() {
    for (command, verb, changes) in COMMANDS {
        for more in [None, Some("-k")] {
            let (server, go_on) = stops_after(20, verb, PLENTY, |conn, _, _| {
                hang_up(conn, "* BYE the house is on fire\r\n");
            });
            go_on.store(true, Ordering::SeqCst);
            let run = Imapadm::on_port(server.port)
                .args([
                    "--format",
                    "json",
                    "-c",
                    &command.replace("WHICH", "'m*'"),
                    "-c",
                    "cm after",
                ])
                .args(more)
                .run()
                .fails(7)
                .complains("the house is on fire");
            let object = &objects(&run)[0];
            assert_eq!(object["error"]["kind"], "lost", "{run}");
            let rows = object["rows"].as_array().expect("rows");
            let (failed, done): (Vec<&Value>, Vec<&Value>) =
                rows.iter().partition(|row| row.get("reason").is_some());
            assert_eq!(
                done.len(),
                if verb == "GETQUOTAROOT" { 1 } else { 20 },
                "{command}"
            );
            assert!(!failed.is_empty() && failed.len() < PLENTY - 20, "{run}");
            for row in &failed {
                let reason = row["reason"].as_str().expect("words");
                assert!(reason.contains("the house is on fire"), "{row}");
                // Nobody knows whether it was done, so no row says that it was not.
                let says = ["set", "deleted", "subscribed"].map(|key| row.get(key));
                let says: Vec<&Value> = says.into_iter().flatten().collect();
                assert!(says.iter().all(|word| word.is_null()), "{row}");
                assert_eq!(says.len(), usize::from(changes), "{row}");
                assert_eq!(
                    reason.contains("unknown whether it was done"),
                    changes,
                    "{row}"
                );
            }
            assert_eq!(run.stderr.contains("unknown whether"), changes, "{run}");
            assert_eq!(received(&server, "CREATE"), Vec::<String>::new());
        }
    }
}

/// A terminal at the shell's prompt.
#[track_caller]
fn at_prompt(server: &Faulty) -> (Imapadm, Terminal) {
    let run = Imapadm::on_port(server.port);
    let terminal = Terminal::spawn(&run);
    terminal.wait_for("someone@localhost>", SOON);
    (run, terminal)
}

#[test]
fn whoever_sits_at_a_terminal_is_asked_before_many_are_changed() {
    for (command, verb, changes) in COMMANDS {
        for which in ["'m*'", "-r m"] {
            let server = Faulty::script(move |conn| {
                conn.let_in(CAPABILITIES);
                let names = ["m", "m.1", "m.2"].map(str::to_owned);
                conn.answer(|tag, command| willing(tag, command, &names));
            });
            let (_run, terminal) = at_prompt(&server);
            // Only a script has to say it beforehand.
            let line = command
                .replace("--yes WHICH", "WHICH")
                .replace("WHICH", which);
            let name = line.split(' ').next().expect("a command").to_owned();
            terminal.type_(&format!("{line}\r"));
            if !changes {
                until("command", || received(&server, verb).len() == 3);
                terminal.type_("noop\r");
                until("noop", || received(&server, "NOOP").len() == 1);
                assert!(!terminal.screen().contains("Continue?"));
                continue;
            }
            let what = if which == "-r m" {
                "m and 2 mailboxes below it"
            } else {
                "3 mailboxes that match m*"
            };
            let does = if verb == "DELETE" { "delete" } else { "change" };
            terminal.wait_for(&format!("{name} will {does} {what}"), SOON);
            terminal.wait_for("Continue? (y: yes, n: no)", SOON);
            terminal.type_("maybe\r");
            terminal.wait_for("please answer y or n", SOON);
            terminal.wait_until("second question", SOON, |screen| {
                screen.matches("Continue?").count() == 2
            });
            terminal.type_("no\r");
            terminal.wait_for("nothing was changed", SOON);
            assert_eq!(received(&server, verb), Vec::<String>::new());
            terminal.type_(&format!("{line}\r"));
            terminal.wait_until("third question", SOON, |screen| {
                screen.matches("Continue?").count() == 3
            });
            terminal.type_("\x03");
            terminal.wait_until("second refusal", SOON, |screen| {
                screen.contains("interrupted before the question was answered")
            });
            assert_eq!(received(&server, verb), Vec::<String>::new());
            terminal.type_(&format!("{line}\r"));
            terminal.wait_until("question", SOON, |screen| {
                screen.matches("Continue?").count() == 4
            });
            terminal.type_("yes\r");
            until("change", || received(&server, verb).len() == 3);
        }
    }
}

#[test]
fn yes_answers_the_question_and_one_mailbox_needs_none() {
    for (command, verb, _) in COMMANDS.into_iter().filter(|command| command.2) {
        let server = Faulty::script(|conn| {
            conn.let_in(CAPABILITIES);
            conn.answer(|tag, command| {
                let names = match command {
                    "LIST \"\" \"n*\"" => vec!["n".to_owned()],
                    _ => numbered(3),
                };
                willing(tag, command, &names)
            });
        });
        let (_run, terminal) = at_prompt(&server);
        let deletes = verb == "DELETE";
        for (which, changed) in [("--yes 'm*'", 3), ("-y 'm*'", 6), ("'n*'", 7), ("m", 8)] {
            // Whoever deletes by a pattern has not named what goes, even if it is one.
            let which = match which {
                "'n*'" if deletes => "--yes 'n*'",
                which => which,
            };
            let line = command.replace("WHICH", which);
            terminal.type_(&format!("{line}\r"));
            until(&line, || received(&server, verb).len() == changed);
        }
        assert!(
            !terminal.screen().contains("Continue?"),
            "{}",
            terminal.screen()
        );
    }
}

#[test]
fn a_script_is_not_asked_even_at_a_terminal() {
    for (command, verb, _) in COMMANDS.into_iter().filter(|command| command.2) {
        let server = server_of(3);
        let run = Imapadm::on_port(server.port).args(["-c", &command.replace("WHICH", "'m*'")]);
        let mut terminal = Terminal::spawn(&run);
        assert_eq!(terminal.exit_status(SOON).exit_code(), 0);
        assert_eq!(received(&server, verb).len(), 3);
        assert!(!terminal.screen().contains("Continue?"));
    }
}

#[test]
fn a_name_in_the_question_plays_no_tricks() {
    let server = Faulty::script(|conn| {
        conn.let_in(CAPABILITIES);
        // An escape that sets the window's title, one that clears the screen, and a turned direction.
        let names = ["m&ABs-]0;owned&AAc-", "m&ABs-[2J", "m&IC4-x"].map(str::to_owned);
        conn.answer(|tag, command| willing(tag, command, &names));
    });
    let (_run, terminal) = at_prompt(&server);
    let before = terminal.sent().len();
    terminal.type_("setacl 'm*' bob lrs\r");
    terminal.wait_for("Continue?", SOON);
    let sent = String::from_utf8_lossy(&terminal.sent()[before..]).into_owned();
    for trick in ["\x1b]0;", "\x07", "\x1b[2J", "\u{202e}"] {
        assert!(!sent.contains(trick), "{trick:?} in {sent:?}");
    }
    assert_eq!(received(&server, "SETACL"), Vec::<String>::new());
}

#[test]
fn how_far_it_is_shows_at_a_terminal_after_a_second_and_goes_again() {
    for slow in [true, false] {
        let server = Faulty::script(move |conn| {
            conn.let_in(CAPABILITIES);
            let names = numbered(60);
            loop {
                let (tag, command) = conn.expect_command();
                if slow && command.starts_with("SETACL") {
                    conn.stall(Duration::from_millis(40));
                }
                conn.send(willing(&tag, &command, &names));
            }
        });
        let run = Imapadm::on_port(server.port).args(["-c", "setacl 'm*' bob lrs"]);
        let mut terminal = Terminal::spawn(&run);
        if slow {
            terminal.wait_until("progress", SOON, |screen| {
                let line = screen.lines().find(|line| line.contains(" of 60, "));
                line.is_some_and(|line| line.contains("/s, ") && line.contains(" left"))
            });
        }
        assert_eq!(terminal.exit_status(SOON).exit_code(), 0);
        terminal.wait_for("m059", SOON);
        assert!(
            !terminal.screen().contains(" of 60, "),
            "{}",
            terminal.screen()
        );
        let sent = String::from_utf8_lossy(&terminal.sent()).into_owned();
        assert_eq!(sent.contains(" of 60, "), slow);
        if slow {
            // Into a pipe goes none of it.
            let run = Imapadm::on_port(server.port)
                .args(["-c", "setacl 'm*' bob lrs"])
                .run()
                .ok();
            assert_eq!(run.stderr, "");
            assert!(!run.stdout.contains('\x1b'), "{run}");
        }
    }
}

#[test]
fn ctrl_c_at_the_keyboard_tells_what_was_done_and_the_shell_goes_on() {
    let (server, go_on) = stops_after(20, "SETACL", PLENTY, |conn, tag, command| {
        conn.send(willing(tag, command, &[]))
    });
    let (_run, terminal) = at_prompt(&server);
    terminal.type_("setacl --yes 'm*' bob lrs\r");
    until("command", || received(&server, "SETACL").len() > 20);
    thread::sleep(Duration::from_millis(100));
    terminal.type_("\x03");
    thread::sleep(Duration::from_millis(100));
    go_on.store(true, Ordering::SeqCst);
    terminal.wait_for("interrupted", SOON);
    terminal.type_("noop\r");
    until("noop", || received(&server, "NOOP").len() == 1);
    let sent = received(&server, "SETACL").len();
    assert!(sent < PLENTY, "{sent}");
    let shown = String::from_utf8_lossy(&terminal.sent()).into_owned();
    assert!(
        shown.contains(&format!("m{:03}", sent - 1)),
        "the last one is missing"
    );
    assert!(
        !shown.contains(&format!("m{sent:03}")),
        "one that was not sent"
    );
    assert_eq!(server.connections(), 1);
}

/// A library's session on a scripted server.
pub(super) fn session(server: &Faulty) -> Session {
    let mut options = Options::new(Address::Tcp {
        host: "127.0.0.1".into(),
        port: server.port,
    });
    options.security = Security::None;
    options.allow_cleartext = true;
    let mut imap = Session::open(options).expect("a session");
    imap.login(&Credentials::password("someone", "secret"), &[])
        .expect("a login");
    imap
}

fn set_acl(mailbox: &str) -> (String, SetAcl) {
    let request = SetAcl {
        mailbox: MailboxName::typed(mailbox).expect("a name"),
        identifier: "bob".into(),
        change: RightsChange::parse("lr", &Capabilities::default()).expect("rights"),
    };
    (mailbox.to_owned(), request)
}

#[test]
fn run_each_tells_of_every_request_in_its_order() {
    for place in Place::both() {
        let mut imap = open(place.server, &place.user);
        let mut names = Vec::new();
        for number in 0..30 {
            let name = place.at(&format!("each{number:02}"));
            if number % 7 != 3 {
                imap.create(&name, None).expect("create");
            }
            names.push(name);
        }
        let requests = names.iter().map(|name| {
            let mailbox = MailboxName::typed(name).expect("a name");
            (name.clone(), GetAcl::new(mailbox))
        });
        let mut told = Vec::new();
        imap.run_each(requests, |name, result| {
            if let Ok(acl) = &result {
                assert_eq!(acl.mailbox.to_string(), name);
            }
            told.push((name, result.is_ok()));
            ControlFlow::Continue(())
        })
        .expect("all were sent");
        let expected: Vec<_> = names
            .into_iter()
            .enumerate()
            .map(|(number, name)| (name, number % 7 != 3))
            .collect();
        assert_eq!(told, expected);
        imap.run_each(Vec::<((), MyRights)>::new(), |(), _| {
            panic!("there is none")
        })
        .expect("nothing to do");
    }
}

#[test]
fn run_each_says_that_not_all_were_sent() {
    // The connection goes while the window is full: some are unknown, and some were never sent.
    let (server, go_on) = stops_after(20, "SETACL", PLENTY, |conn, _, _| hang_up(conn, ""));
    go_on.store(true, Ordering::SeqCst);
    let mut imap = session(&server);
    let mut told = Vec::new();
    let error = imap
        .run_each(
            numbered(PLENTY).iter().map(|name| set_acl(name)),
            |name, result| {
                told.push((name, result.err().map(|error| error.is_unknown())));
                ControlFlow::Continue(())
            },
        )
        .expect_err("not all were sent");
    assert_eq!(error.kind(), "not-sent");
    assert!(
        !error.is_unknown(),
        "of those left nothing was sent: {error}"
    );
    assert!(told.len() < PLENTY, "{}", told.len());
    for (at, (name, failed)) in told.iter().enumerate() {
        assert_eq!(*name, format!("m{at:03}"));
        assert_eq!(*failed, (at >= 20).then_some(true), "{name}");
    }

    // The same with a time limit, after which the session still goes on.
    let (server, go_on) = stops_after(20, "SETACL", PLENTY, |conn, tag, command| {
        conn.send(willing(tag, command, &[]))
    });
    let mut imap = session(&server);
    let mut told = Vec::new();
    let error = imap
        .within(Duration::from_millis(400), |imap| {
            imap.run_each(
                numbered(PLENTY).iter().map(|name| set_acl(name)),
                |name, result| {
                    told.push((name, result.err().map(|error| error.is_unknown())));
                    ControlFlow::Continue(())
                },
            )
        })
        .expect_err("not all were sent");
    assert!(
        matches!(
            error,
            Error::DeadlineExceeded {
                outcome: Outcome::NotSent,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(told.len() < PLENTY, "{}", told.len());
    go_on.store(true, Ordering::SeqCst);
    imap.noop().expect("the session goes on");
    assert_eq!(received(&server, "SETACL").len(), told.len());
    for (at, (name, failed)) in told.iter().enumerate() {
        assert_eq!(*failed, (at >= 20).then_some(true), "{name}");
    }
}

#[test]
fn run_each_goes_on_behind_what_was_never_sent() {
    let server = server_of(0);
    let mut imap = session(&server);
    let mut requests: Vec<_> = numbered(10).iter().map(|name| set_acl(name)).collect();
    // No server can be sent this one.
    requests[4].1.identifier = "b\0b".into();
    let mut told = Vec::new();
    imap.run_each(requests, |name, result| {
        told.push((name, result.is_ok()));
        ControlFlow::Continue(())
    })
    .expect("all that can be");
    let expected: Vec<_> = numbered(10)
        .into_iter()
        .map(|name| (name.clone(), name != "m004"))
        .collect();
    assert_eq!(told, expected);
    assert_eq!(received(&server, "SETACL").len(), 9);
}

fn named(found: &Targets) -> Vec<String> {
    let names = found.iter();
    names
        .map(|listed| MailboxName::from_wire(&listed.mailbox).to_string())
        .collect()
}

#[test]
fn find_gives_the_mailboxes_and_counts_the_other_names() {
    for place in Place::both() {
        let all = tree(&place);
        let mut raw = place.raw();
        raw.ok(&format!("CREATE {}", place.at("box/gap/kid")));
        let mut imap = open(place.server, &place.user);
        let gaps = place.differs(0, 1);
        let mut names = typed(&all);
        names.insert(place.at("box/gap/kid"));
        if place.is_cyrus() {
            names.insert(place.at("box/gap"));
        }
        let root = MailboxName::typed(&place.at("box")).expect("a name");
        let found = imap
            .find(&Reach::Subtree(root.clone()), Purpose::Use)
            .expect("found");
        assert_eq!(named(&found).into_iter().collect::<BTreeSet<_>>(), names);
        assert_eq!(found.passed_over(), gaps);
        assert!(found.iter().is_sorted_by(|a, b| a.mailbox < b.mailbox));
        let pattern = MailboxName::pattern(&place.at("box*")).expect("a pattern");
        let found = imap
            .find(&Reach::Pattern(pattern), Purpose::Use)
            .expect("found");
        names.extend(beside(&place));
        assert_eq!(named(&found).into_iter().collect::<BTreeSet<_>>(), names);
        assert_eq!(found.passed_over(), gaps);
        assert!(found.iter().is_sorted_by(|a, b| a.mailbox < b.mailbox));

        for reach in [
            Reach::Pattern(MailboxName::pattern(&place.at("nothing*")).expect("a pattern")),
            Reach::Subtree(MailboxName::typed(&place.at("nothing")).expect("a name")),
        ] {
            let error = imap.find(&reach, Purpose::Use).expect_err("none");
            assert_eq!(error.kind(), "not-listed");
        }

        let found = imap
            .find(&Reach::Subtree(root), Purpose::Use)
            .expect("found");
        let mut gone = Vec::new();
        imap.delete_each(&found, &mut Pace::default(), |mailbox, result| {
            result.expect("deleted");
            gone.push(mailbox.to_string());
            ControlFlow::Continue(())
        })
        .expect("deleted");
        assert_eq!(gone.last(), Some(&place.at("box")));
        assert_eq!(listed(&mut raw, &place.at("*")), beside(&place).into());
    }
}

fn overview(imap: &mut Session, of: Listing, pattern: &str, wanted: Wanted) -> Vec<Overview> {
    let none = MailboxName::pattern("").expect("a pattern");
    let pattern = MailboxName::pattern(pattern).expect("a pattern");
    let mut all = Vec::new();
    imap.overview(of, &none, &pattern, wanted, |overview| {
        all.push(overview);
        ControlFlow::Continue(())
    })
    .expect("an overview");
    all
}

#[test]
fn an_overview_is_what_status_and_myrights_tell() {
    for place in Place::both() {
        let all = tree(&place);
        let mut imap = open(place.server, &place.user);
        place.raw().append(&place.at("box/one"), &message("one"));
        for (status, rights) in [(false, false), (true, false), (false, true), (true, true)] {
            let wanted = Wanted {
                status,
                rights,
                ..Wanted::default()
            };
            let told = overview(&mut imap, Listing::All, &place.at("box*"), wanted);
            let names: BTreeSet<String> = told
                .iter()
                .map(|one| one.mailbox.name.to_string())
                .collect();
            let mut expected = typed(&all);
            expected.extend(beside(&place));
            assert_eq!(names, expected);
            for one in told {
                let name = one.mailbox.name.clone();
                assert_eq!(
                    one.status,
                    status.then(|| imap.status(&name).expect("status"))
                );
                assert_eq!(
                    one.rights,
                    rights.then(|| imap.my_rights(&name).expect("rights"))
                );
            }
        }
        assert_eq!(imap.state().strays().1, 0);
    }
}

#[test]
fn an_overview_that_breaks_off_is_an_error() {
    for capabilities in ["ACL", "ACL LIST-EXTENDED LIST-STATUS LIST-MYRIGHTS"] {
        for verb in ["LIST", "STATUS", "MYRIGHTS"] {
            let server = Faulty::script(move |conn| {
                conn.let_in(capabilities);
                let names = numbered(5);
                loop {
                    let (tag, command) = conn.expect_command();
                    let word = command.split(' ').next();
                    if command.contains("RETURN") {
                        conn.send("* LIST () \".\" m000\r\n* STATUS m000 (MESSAGES 1)\r\n");
                        return;
                    }
                    if word == Some(verb) && !command.ends_with("\"\"") {
                        return;
                    }
                    conn.send(willing(&tag, &command, &names));
                }
            });
            let mut imap = session(&server);
            let none = MailboxName::pattern("").expect("a pattern");
            let pattern = MailboxName::pattern("m*").expect("a pattern");
            let wanted = Wanted {
                status: true,
                rights: true,
                ..Wanted::default()
            };
            let error = imap
                .overview(Listing::All, &none, &pattern, wanted, |_| {
                    ControlFlow::Continue(())
                })
                .expect_err("it broke off");
            assert_eq!(
                (error.kind(), error.is_unknown()),
                ("lost", false),
                "{verb}"
            );
        }
    }
}

#[test]
fn what_is_told_late_of_very_many_does_not_fill_the_memory_nor_hold_anything_up() {
    // Whose counts nobody may see must not hold up the others.
    let server = Faulty::script(|conn| {
        conn.let_in("LIST-EXTENDED LIST-STATUS");
        conn.answer(|tag, command| {
            let mut reply = String::new();
            if command.contains("RETURN") {
                for number in 0..5_000 {
                    reply.push_str(&format!("* LIST () \".\" m{number}\r\n"));
                    if number % 2 == 1 {
                        reply.push_str(&format!("* STATUS m{number} (MESSAGES {number})\r\n"));
                    }
                }
            }
            format!("{reply}{tag} OK done\r\n")
        });
    });
    let mut imap = session(&server);
    let wanted = Wanted {
        status: true,
        rights: false,
        ..Wanted::default()
    };
    let told = overview(&mut imap, Listing::All, "m*", wanted);
    assert_eq!(told.len(), 5_000);
    for (number, one) in told.iter().enumerate() {
        assert_eq!(one.mailbox.name.to_string(), format!("m{number}"));
        let expected = (number % 2 == 1).then_some(number as u64);
        assert_eq!(
            one.status.as_ref().map(|status| status.items[0].1),
            expected
        );
    }
}

#[test]
fn an_overview_holds_each_mailboxs_own_whatever_its_case_and_order() {
    let server = Faulty::script(|conn| {
        conn.let_in("ACL LIST-EXTENDED LIST-STATUS LIST-MYRIGHTS");
        conn.answer(|tag, command| {
            let data = "* LIST () \".\" a\r\n* LIST () \".\" A\r\n* STATUS A (MESSAGES 2)\r\n* STATUS a (MESSAGES 1)\r\n\
                        * MYRIGHTS A lr\r\n* LIST (\\NonExistent) \".\" gone\r\n* LIST () \".\" \"b c\"\r\n\
                        * MYRIGHTS {3}\r\nb c lrs\r\n* STATUS \"b c\" (UNSEEN 4 X-NEW (1 2) MESSAGES 3)\r\n* MYRIGHTS a l\r\n";
            match command.contains("RETURN") {
                true => format!("{data}{tag} OK done\r\n"),
                false => format!("{tag} OK done\r\n"),
            }
        });
    });
    let mut imap = session(&server);
    let wanted = Wanted {
        status: true,
        rights: true,
        ..Wanted::default()
    };
    let told: Vec<_> = overview(&mut imap, Listing::All, "*", wanted)
        .into_iter()
        .map(|one| {
            let status = one.status.map(|status| status.items);
            let messages =
                status.and_then(|items| items.into_iter().find(|(item, _)| item == "MESSAGES"));
            (
                one.mailbox.name.to_string(),
                messages.map(|(_, count)| count),
                one.rights,
            )
        })
        .collect();
    let row = |name: &str, messages, rights: Option<&str>| {
        (name.to_owned(), messages, rights.map(str::to_owned))
    };
    assert_eq!(
        told,
        [
            row("a", Some(1), Some("l")),
            row("A", Some(2), Some("lr")),
            row("gone", None, None),
            row("b c", Some(3), Some("lrs")),
        ]
    );
}

#[test]
fn places_that_outlast_what_was_below_them_go_too() {
    // With this layout Dovecot keeps the folder of a mailbox that was never made.
    let server = Server::start_dovecot(&["--layout", "fs"]);
    let user = server.user();
    let mut raw = Raw::login(&server, &user);
    raw.ok("CREATE gap/in/between");
    let run = Imapadm::on(&server)
        .user(&user)
        .stdin("deletemailbox --yes -r gap\n")
        .run()
        .ok();
    assert_eq!(
        run.stdout,
        "gap/in/between\tdeleted\ngap/in\tdeleted\ngap\tdeleted\n"
    );
    assert_eq!(run.stderr, "");
    assert_eq!(listed(&mut raw, "gap*"), BTreeSet::new());
}

/// The only object that a run wrote.
#[track_caller]
fn object(run: &Run) -> Value {
    objects(run).pop().expect("an object")
}

/// The counts of an account, in the order done, unchanged, failed, unknown, not sent.
#[track_caller]
fn counts(account: &Value) -> [u64; 5] {
    ["done", "unchanged", "failed", "unknown", "not_sent"].map(|key| {
        let count = account[key].as_u64();
        count.unwrap_or_else(|| panic!("no {key} in {account}"))
    })
}

/// One command against a scripted server, as JSON.
fn json_of(server: &Faulty, command: &str) -> Run {
    Imapadm::on_port(server.port)
        .args(["--format", "json", "-c", command])
        .run()
}

#[test]
fn of_several_identifiers_what_was_under_way_is_unknown_and_the_rest_not_sent() {
    // The identifiers have to be sent as literals, each after a pause, so that the second is not sent before the first is answered.
    for (command, left) in [
        ("setacl m zoë lrs", 0),
        ("setacl m zoë lrs böb lrs", 1),
        ("setacl m zoë lrs böb lrs çed lrs", 2),
        ("deleteacl m zoë böb", 1),
        ("setacl 'm*' zoë lrs", 2),
        ("setacl 'm*' zoë lrs böb lrs", 5),
    ] {
        let server = Faulty::script(|conn| {
            conn.let_in(CAPABILITIES);
            loop {
                let (tag, command) = conn.expect_command();
                // The list is read before entries are taken off it.
                if !command.contains("ACL") || command.starts_with("GETACL") {
                    conn.send(willing(&tag, &command, &numbered(3)));
                    continue;
                }
                conn.send("+ go on\r\n");
                conn.expect_line();
                return;
            }
        });
        let run = json_of(&server, command).fails(7);
        let object = object(&run);
        assert_eq!(object["error"]["kind"], "lost", "{run}");
        assert_eq!(object["error"]["unknown"], true, "{run}");
        if left == 0 {
            assert_eq!(object["error"].get("account"), None, "{run}");
        } else {
            assert_eq!(
                counts(&object["error"]["account"]),
                [0, 0, 0, 1, left],
                "{run}"
            );
            assert_eq!(object["rows"].as_array().expect("rows").len(), 1, "{run}");
        }
        assert!(!run.stderr.contains("changes nothing"), "{run}");
    }
}

#[test]
fn what_is_gone_already_has_a_row_and_is_unchanged() {
    for (refused, account, kinds) in [
        // Somebody else deleted one meanwhile.
        ("m.b", [3, 1, 0, 0, 0], vec![("m.b", "already gone")]),
        ("m", [3, 1, 0, 0, 0], vec![("m", "already gone")]),
        (
            "m.a m",
            [2, 2, 0, 0, 0],
            vec![("m.a", "already gone"), ("m", "already gone")],
        ),
    ] {
        for command in ["deletemailbox --yes -r m", "deletemailbox --yes 'm*'"] {
            let server = Faulty::script(move |conn| {
                conn.let_in(CAPABILITIES);
                conn.answer(|tag, command| match command.split_once(' ') {
                    Some(("DELETE", name)) if refused.split(' ').any(|one| one == name) => {
                        format!("{tag} NO [NONEXISTENT] Mailbox does not exist\r\n")
                    }
                    Some(("LIST", _)) if !command.ends_with("\"\"") => {
                        let names = ["m", "m.a", "m.a.x", "m.b"].map(str::to_owned);
                        willing(tag, command, &names)
                    }
                    _ => willing(tag, command, &[]),
                });
            });
            let run = json_of(&server, command).ok();
            let object = object(&run);
            assert_eq!(counts(&object["account"]), account, "{run}");
            let rows = object["rows"].as_array().expect("rows");
            assert_eq!(rows.len(), 4, "{run}");
            let unchanged: Vec<(&str, &str)> = rows
                .iter()
                .filter_map(|row| Some((row["mailbox"].as_str()?, row["unchanged"].as_str()?)))
                .collect();
            assert_eq!(unchanged, kinds, "{run}");
            for row in rows {
                assert_eq!(row["deleted"], row.get("unchanged").is_none(), "{row}");
                assert_eq!(row.get("reason"), None, "{row}");
            }
        }
    }
}

#[test]
fn what_does_not_exist_before_anything_was_done_is_a_failure() {
    let server = Faulty::script(|conn| {
        conn.let_in(CAPABILITIES);
        conn.answer(|tag, command| match command.split_once(' ') {
            Some(("DELETE", _)) => format!("{tag} NO [NONEXISTENT] Mailbox does not exist\r\n"),
            _ => willing(tag, command, &numbered(2)),
        });
    });
    let run = json_of(&server, "deletemailbox --yes 'm*'").fails(1);
    assert_eq!(
        counts(&object(&run)["error"]["account"]),
        [0, 0, 2, 0, 0],
        "{run}"
    );
}

#[test]
fn the_separator_of_the_mailboxs_own_line_counts() {
    let lines = |own: &'static str| {
        Faulty::script(move |conn| {
            conn.let_in("ACL");
            conn.answer(|tag, command| {
                let data = match command {
                    "NAMESPACE" => return format!("{tag} BAD what\r\n"),
                    "LIST \"\" \"\"" => "* LIST (\\Noselect) NIL \"\"\r\n",
                    "LIST \"\" Notes" | "LIST \"\" \"Notes\"" => own,
                    "LIST \"\" Notes/*" | "LIST \"\" \"Notes/*\"" => {
                        "* LIST (\\HasNoChildren) \"/\" Notes/x\r\n"
                    }
                    _ => "",
                };
                format!("{data}{tag} OK done\r\n")
            });
        })
    };
    let server = lines("* LIST (\\HasChildren) \"/\" Notes\r\n");
    let run = json_of(&server, "deletemailbox --yes -r Notes").ok();
    assert_eq!(
        received(&server, "DELETE"),
        ["DELETE Notes/x", "DELETE Notes"],
        "{run}"
    );

    // Where it says none, the user may know better.
    let server = lines("* LIST (\\HasChildren) NIL Notes\r\n");
    let run = Imapadm::on_port(server.port)
        .args(["--separator", "/", "-c", "deletemailbox --yes -r Notes"])
        .run()
        .ok();
    assert_eq!(
        received(&server, "DELETE"),
        ["DELETE Notes/x", "DELETE Notes"],
        "{run}"
    );

    // Whatever is done to all below it: what the server hides would be left out without a word.
    for own in [
        "* LIST (\\HasChildren) NIL Notes\r\n",
        "* LIST (\\HASCHILDREN) \".\" Notes\r\n",
    ] {
        for (command, verb) in [
            ("deletemailbox --yes -r Notes", "DELETE"),
            ("setacl -r Notes bob lrs", "SETACL"),
        ] {
            let server = lines(own);
            let run = json_of(&server, command).fails(1);
            let error = &object(&run)["error"];
            assert_eq!(error["kind"], "incomplete", "{run}");
            assert!(run.stderr.contains("lists none of them"), "{run}");
            assert_eq!(received(&server, verb), Vec::<String>::new());
        }
    }
}

#[test]
fn below_what_can_have_nothing_below_it_nothing_is_looked_for() {
    for (attributes, lists) in [("\\NoInferiors", 1), ("\\Noinferiors \\Marked", 1), ("", 2)] {
        let server = Faulty::script(move |conn| {
            conn.let_in(CAPABILITIES);
            conn.answer(|tag, command| match command.split_once(' ') {
                Some(("LIST", _)) if command.contains("q3/*") => {
                    format!("{tag} NO nothing can be below it\r\n")
                }
                Some(("LIST", _)) if command.contains("q3") => {
                    format!("* LIST ({attributes}) \"/\" q3\r\n{tag} OK done\r\n")
                }
                _ => willing(tag, command, &[]),
            });
        });
        let run = json_of(&server, "deletemailbox --yes -r q3");
        let asked = received(&server, "LIST")
            .iter()
            .filter(|command| command.contains("q3"))
            .count();
        assert_eq!(asked, lists, "{run}");
        assert_eq!(received(&server, "DELETE").len(), 2 - lists, "{run}");
    }
}

#[test]
fn a_missing_extension_is_named_before_anything_is_sent() {
    for (command, verb, _) in COMMANDS {
        let extension = match verb {
            "SETACL" | "DELETEACL" | "GETACL" => "ACL",
            "SETQUOTA" | "GETQUOTAROOT" => "QUOTA",
            "SETMETADATA" | "GETMETADATA" => "METADATA",
            _ => continue,
        };
        let server = Faulty::script(|conn| {
            conn.let_in("CHILDREN");
            // Its LIST fails, too, which is not what is wrong.
            conn.answer(|tag, _| format!("{tag} BAD what was that\r\n"));
        });
        for which in ["'m*'", "-r m"] {
            let run = json_of(&server, &command.replace("WHICH", which)).fails(1);
            let error = &object(&run)["error"];
            assert_eq!(error["kind"], "unsupported", "{run}");
            let text = error["text"].as_str().expect("a text");
            assert!(
                text.contains(&format!("the extension {extension} ")),
                "{run}"
            );
        }
        for verb in ["LIST", "NAMESPACE", verb] {
            assert_eq!(received(&server, verb), Vec::<String>::new());
        }
    }
    // The emptying of lists asks for them first.
    let server = Faulty::script(|conn| {
        conn.let_in("CHILDREN");
        conn.answer(|tag, _| format!("{tag} BAD what was that\r\n"));
    });
    json_of(&server, "deleteacl 'm*' '*'")
        .fails(1)
        .complains("the extension ACL");
    json_of(&server, "listmailbox --myrights 'm*'")
        .fails(1)
        .complains("MYRIGHTS needs the extension ACL");
    json_of(&server, "listmailbox --status --myrights")
        .fails(1)
        .complains("MYRIGHTS needs the extension ACL");
    assert_eq!(received(&server, "LIST"), Vec::<String>::new());
}

#[test]
fn counts_that_cannot_be_read_are_reported_and_the_others_shown() {
    for (bad, reported) in [
        ("* STATUS m1 (MESSAGES x)\r\nTAG OK done\r\n", true),
        ("TAG OK done\r\n", true),
        ("TAG BAD what was that\r\n", true),
        ("TAG NO [NOPERM] not that one\r\n", false),
    ] {
        let server = Faulty::script(move |conn| {
            conn.let_in(CAPABILITIES);
            let names = ["m0", "m1", "m2"].map(str::to_owned);
            conn.answer(|tag, command| match command.strip_prefix("STATUS m1 ") {
                Some(_) => bad.replace("TAG", tag),
                None => willing(tag, command, &names),
            });
        });
        let run = json_of(&server, "listmailbox --status 'm*'");
        let object = object(&run);
        let rows = object["rows"].as_array().expect("rows");
        let messages: Vec<&Value> = rows.iter().map(|row| &row["messages"]).collect();
        assert_eq!(messages, [&json!(0), &Value::Null, &json!(2)], "{run}");
        if reported {
            let run = run.fails(1).complains("1 of 3 failed: m1: ");
            assert_eq!(object["error"]["kind"], "several", "{run}");
            assert_eq!(
                counts(&object["error"]["account"]),
                [2, 0, 1, 0, 0],
                "{run}"
            );
        } else {
            assert_eq!(run.ok().stderr, "");
        }
    }
}

#[test]
fn a_listing_without_end_ends_in_an_error() {
    let server = Faulty::script(|conn| {
        conn.let_in(CAPABILITIES);
        let name = format!("m/{}", "n".repeat(4 << 20));
        loop {
            let (tag, command) = conn.expect_command();
            if !command.starts_with("LIST") || !command.contains('*') {
                conn.send(match command.ends_with("\"\"") {
                    true => willing(&tag, &command, &[]),
                    false => format!("* LIST () \"/\" m\r\n{tag} OK done\r\n"),
                });
                continue;
            }
            // Until the client has gone.
            loop {
                conn.send(format!("* LIST () \"/\" {{{}}}\r\n{name}\r\n", name.len()));
            }
        }
    });
    for command in [
        "listacl '*'",
        "setacl '*' bob lrs",
        "deletemailbox --yes -r m",
        // What was not asked for is not listened to without end either.
        "listacl 'x*'",
    ] {
        let run = Imapadm::on_port(server.port)
            .through(&["/bin/sh", "-c", "ulimit -v 1048576; exec \"$@\"", "sh"])
            .args(["--format", "json", "-c", command, "-c", "noop"])
            .run()
            .fails(1)
            .complains("too long");
        let object = &objects(&run)[0];
        assert_eq!(object["error"]["kind"], "too-long", "{run}");
        assert_eq!(object["rows"], json!([]), "{run}");
    }
    assert_eq!(received(&server, "SETACL").len(), 0);
    assert_eq!(received(&server, "DELETE").len(), 0);

    // The library's own list.
    let error = session(&server).list("*", "").expect_err("too long");
    assert_eq!(error.kind(), "too-long");
    assert!(error.is_grave());
}

#[test]
fn the_memory_for_very_many_is_that_of_their_names() {
    const MANY: usize = 20_000;
    for (command, verb, data) in [
        ("setacl '*' bob lrs", "SETACL", ""),
        (
            "listacl '*'",
            "GETACL",
            "* ACL NAME bob lrs zoe lrswipkxtea\r\n",
        ),
        (
            "listmailbox --status",
            "STATUS",
            "* STATUS NAME (MESSAGES 3 UNSEEN 1)\r\n",
        ),
    ] {
        let measured = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&measured);
        let server = Faulty::script(move |conn| {
            conn.let_in("ACL LITERAL+");
            loop {
                let (tag, command) = conn.expect_command();
                let mut words = command.split(' ');
                let reply = match (words.next(), words.next()) {
                    (Some("LIST"), _) if !command.ends_with("\"\"") => {
                        let lines = (0..MANY).map(|number| {
                            format!("* LIST (\\HasNoChildren) \".\" user.somebody{number:06}\r\n")
                        });
                        lines.collect()
                    }
                    (Some(have), Some(name)) if have == verb => data.replace("NAME", name),
                    (Some("LOGOUT"), _) => {
                        while !theirs.load(Ordering::SeqCst) {
                            conn.stall(Duration::from_millis(5));
                        }
                        String::new()
                    }
                    _ => String::new(),
                };
                conn.send(format!("{reply}{tag} OK done\r\n"));
            }
        });
        let run = Imapadm::on_port(server.port).args(["-c", command]);
        let mut child = run.start();
        drop(child.stdin.take());
        let mut out = child.stdout.take().expect("stdout is piped");
        let reading = thread::spawn(move || {
            let mut text = String::new();
            out.read_to_string(&mut text).expect("stdout");
            text.lines().count()
        });
        until("LOGOUT", || !received(&server, "LOGOUT").is_empty());
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
        let peak = status
            .expect("its status")
            .lines()
            .find_map(|line| {
                line.strip_prefix("VmHWM:")?
                    .trim()
                    .strip_suffix(" kB")?
                    .parse()
                    .ok()
            })
            .unwrap_or(0u64);
        measured.store(true, Ordering::SeqCst);
        assert!(wait(&mut child, SOON).expect("it ends").success());
        let rows = reading.join().expect("rows");
        assert_eq!(rows, if verb == "GETACL" { 2 * MANY } else { MANY });
        // 16 MiB of it are the program itself, built for tests; half a KiB for each mailbox would be 10 MiB.
        assert!((1..22_000).contains(&peak), "{command}: {peak} KiB");
    }
}
