//! Mailbox names of every awkward kind: through each command and back exactly as typed, or refused with nothing left behind.

use serde_json::json;

use super::support::place::{
    Failure, Place, listed, quoted, rights_of, rights_of_4314, wire_names, word,
};

/// What a server makes of a name.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Takes,
    /// Refuses it, with these words.
    Refuses(&'static str),
}

use Fate::{Refuses, Takes};

const INVALID: Fate = Refuses("Invalid mailbox name");

/// One name: as it is typed, as it is on the wire, and what Cyrus and Dovecot make of it.
struct Case {
    typed: String,
    wire: String,
    cyrus: Fate,
    dovecot: Fate,
}

fn case(typed: &str, wire: &str, cyrus: Fate, dovecot: Fate) -> Case {
    Case {
        typed: typed.to_owned(),
        wire: wire.to_owned(),
        cyrus,
        dovecot,
    }
}

/// A name that is the same on the wire.
fn plain(name: &str, cyrus: Fate, dovecot: Fate) -> Case {
    case(name, name, cyrus, dovecot)
}

fn spaces_and_quotes() -> Vec<Case> {
    vec![
        plain("two words", Takes, Takes),
        plain("two  spaces", Takes, Takes),
        plain(" leading", Takes, Takes),
        plain("trailing ", Takes, Takes),
        plain("don't", Takes, Takes),
        plain("say \"so\"", INVALID, Takes),
        plain("\"", INVALID, Takes),
        plain("back\\slash", INVALID, Takes),
        plain("ends in \\", INVALID, Takes),
        plain("\\\"both\\\"", INVALID, Takes),
    ]
}

fn brackets_and_wildcards() -> Vec<Case> {
    vec![
        plain("br]ack[et", Takes, Takes),
        plain("par(en)s", Takes, Takes),
        plain("br{ac}es", INVALID, Takes),
        plain("a{3}", INVALID, Takes),
        plain("a{3+}", INVALID, Takes),
        plain("per%cent", INVALID, Takes),
        plain("st*ar", Takes, Takes),
        plain("*", Takes, Takes),
        plain("#hash", Takes, Takes),
        plain("a;b", INVALID, Takes),
        plain("a;delete INBOX", INVALID, Takes),
        plain("$HOME", Takes, Takes),
        plain("-r", Takes, Takes),
        plain("--recursive", Takes, Takes),
        plain("a?b", Takes, Takes),
        plain("a|b<c>d!f", INVALID, Takes),
        plain("tilde~", Takes, Takes),
    ]
}

fn words_of_the_protocol() -> Vec<Case> {
    vec![
        plain("NIL", Takes, Takes),
        plain("nil", Takes, Takes),
        plain("INBOX", Takes, Takes),
        plain("inbox", Takes, Takes),
        plain("InBox", Takes, Takes),
        plain("OK", Takes, Takes),
        plain("(\\Noselect)", INVALID, Takes),
        plain("0", Takes, Takes),
    ]
}

fn beyond_ascii() -> Vec<Case> {
    vec![
        case("&", "&-", Takes, Takes),
        case("R&D", "R&-D", Takes, Takes),
        case("a & b", "a &- b", Takes, Takes),
        case("Entwürfe", "Entw&APw-rfe", Takes, Takes),
        case("北京", "&UxdOrA-", Takes, Takes),
        // Beyond the BMP: a surrogate pair.
        case("mail📬box", "mail&2D3c7A-box", Takes, Takes),
        // A combining character is another name than the composed one, and stays so.
        case("e\u{301}te\u{301}", "e&AwE-te&AwE-", Takes, Takes),
        case("ünder", "&APw-nder", Takes, Takes),
        case("Ελλάδα mail", "&A5UDuwO7A6wDtAOx- mail", Takes, Takes),
        case("עברית", "&BeIF0QXoBdkF6g-", Takes, Takes),
        case("ümläut & more", "&APw-ml&AOQ-ut &- more", Takes, Takes),
    ]
}

fn long_ones() -> Vec<Case> {
    let long = "x".repeat(200);
    let wide = "ü".repeat(25);
    vec![
        plain(&long, Takes, Takes),
        case(&wide, &utf7_of_u_umlauts(25), Takes, Takes),
        plain(&"y".repeat(600), INVALID, Refuses("Mailbox name too long")),
    ]
}

/// `ü` so many times in modified UTF-7: base64 of 0x00FC in a row, worked out by hand three at a time.
fn utf7_of_u_umlauts(count: usize) -> String {
    assert_eq!(count % 3, 1);
    // 00FC 00FC 00FC is `APwA/AD8`, with `,` in place of `/`; one more 00FC is `APw`.
    format!("&{}APw-", "APwA,AD8".repeat(count / 3))
}

/// Takes every name through every command, on both servers, each name in a mailbox of its own.
fn go_through(cases: &[Case]) {
    for place in Place::both() {
        for (number, case) in cases.iter().enumerate() {
            let parent = place.at(&format!("n{number}"));
            place.raw().ok(&format!("CREATE {parent}"));
            let name = format!("{parent}{}{}", place.separator, case.typed);
            let wire = format!("{parent}{}{}", place.separator, case.wire);
            match place.differs(case.cyrus, case.dovecot) {
                Takes => round(&place, &parent, &name, &wire),
                Refuses(words) => refused(&place, &parent, &name, words),
            }
        }
    }
}

/// What a command for many could take for a pattern is shown, and has to be typed, as a name that none of them does; a space at the
/// end is shown so that it is seen.
fn unmistakable(name: &str) -> String {
    if let Some(name) = name.strip_suffix(' ') {
        format!("wire:{name}\\x20")
    } else if name.contains(['*', '%']) {
        format!("wire:{name}")
    } else {
        name.to_owned()
    }
}

/// What a server refuses leaves nothing behind.
fn refused(place: &Place, parent: &str, name: &str, words: &str) {
    let name = unmistakable(name);
    let name = name.as_str();
    let failure: Failure = place.fails(1, &format!("createmailbox {}", word(name)));
    assert_eq!(failure.kind, "no", "{name:?}");
    let failure = failure.says(words);
    assert_eq!(failure.rows, json!([]));
    // Nothing of the name was taken for a command of its own, and nothing is there.
    let mut raw = place.raw();
    assert_eq!(
        listed(&mut raw, &format!("{parent}*")),
        [parent.to_owned()].into(),
        "{name:?}"
    );
    // Nor can anything be renamed to it; only for the length of a name has Cyrus another limit there.
    if name.len() > 600 {
        return;
    }
    place.fails(1, &format!("renamemailbox {parent} {}", word(name)));
    assert_eq!(
        listed(&mut raw, &format!("{parent}*")),
        [parent.to_owned()].into(),
        "{name:?}"
    );
}

/// One name, from its creation to its end.
fn round(place: &Place, parent: &str, name: &str, wire: &str) {
    let mut raw = place.raw();
    let below = format!("{parent}{}", place.separator);
    let name = unmistakable(name);
    let name = name.as_str();
    let typed = word(name);
    let rows = place.rows(&format!("createmailbox {typed}"));
    assert_eq!(rows, json!([{"mailbox": name, "created": true}]));
    assert_eq!(
        wire_names(&mut raw, "LIST", &format!("{below}*")),
        [wire],
        "on the wire, {name:?}"
    );

    let script = format!(
        "listmailbox {below}*\nsetacl {typed} bob lrs\nlistacl {typed}\nsubscribe {typed}\n\
         listmailbox --subscribed {below}*\nstatus {typed}\nselect {typed}\nstatus\nunselect\nmyrights {typed}\n"
    );
    let (run, objects) = place.json(&script);
    let run = run.ok();
    assert_eq!(objects.len(), 10, "{run}");
    for object in &objects {
        let rows = object["rows"].as_array().expect("rows");
        assert!(!rows.is_empty(), "{object} in\n{run}");
        for row in rows {
            assert_eq!(row["mailbox"], json!(name), "{object}");
        }
    }
    let text = place.text(&format!("listmailbox {below}*")).ok();
    assert_eq!(text.stdout.split('\t').next(), Some(name), "{text}");
    assert_eq!(text.stdout.lines().count(), 1);
    assert_eq!(
        rights_of(&mut raw, wire, "bob"),
        Some(rights_of_4314("lrs")),
        "{name:?}"
    );
    assert_eq!(wire_names(&mut raw, "LSUB", &format!("{below}*")), [wire]);
    place.rows(&format!("unsubscribe {typed}"));
    assert!(wire_names(&mut raw, "LSUB", &format!("{below}*")).is_empty());

    // The name is a whole argument also beside others: to and from a plain one.
    let other = format!("{parent}{}plain", place.separator);
    let rows = place.rows(&format!("renamemailbox {typed} {other}"));
    assert_eq!(
        (&rows[0]["mailbox"], &rows[0]["to"]),
        (&json!(name), &json!(other))
    );
    assert_eq!(
        wire_names(&mut raw, "LIST", &format!("{below}*")),
        [other.as_str()]
    );
    let rows = place.rows(&format!("renamemailbox {other} {typed}"));
    assert_eq!(rows[0]["to"], json!(name));
    assert_eq!(wire_names(&mut raw, "LIST", &format!("{below}*")), [wire]);

    let rows = place.rows(&format!("deletemailbox --yes --recursive {typed}"));
    assert_eq!(rows, json!([{"mailbox": name, "deleted": true}]));
    assert!(
        wire_names(&mut raw, "LIST", &format!("{below}*")).is_empty(),
        "{name:?}"
    );
}

#[test]
fn spaces_quotes_and_backslashes() {
    go_through(&spaces_and_quotes());
}

#[test]
fn brackets_wildcards_and_what_a_shell_would_take_for_its_own() {
    go_through(&brackets_and_wildcards());
}

#[test]
fn words_that_mean_something_in_the_protocol() {
    go_through(&words_of_the_protocol());
}

#[test]
fn names_beyond_ascii() {
    go_through(&beyond_ascii());
}

#[test]
fn names_that_are_very_long() {
    go_through(&long_ones());
}

#[test]
fn a_name_typed_as_it_is_on_the_wire_is_the_same_mailbox() {
    for place in Place::both() {
        for (typed, wire, shown) in [
            ("&ANwmYA-", "&ANwmYA-", "Ü\u{2660}"),
            ("R&-D", "R&-D", "R&D"),
            ("Entw&APw-rfe", "Entw&APw-rfe", "Entwürfe"),
        ] {
            let name = place.at(typed);
            let rows = place.rows(&format!("createmailbox {}", word(&name)));
            assert_eq!(rows[0]["mailbox"], json!(place.at(shown)), "{typed}");
            let mut raw = place.raw();
            let pattern = place.at("*");
            assert_eq!(wire_names(&mut raw, "LIST", &pattern), [place.at(wire)]);
            // Whichever way it is typed.
            let rows = place.rows(&format!("status {}", word(&place.at(shown))));
            assert_eq!(rows[0]["messages"], json!(0));
            let rows = place.rows(&format!("listmailbox {}", word(&place.at(shown))));
            assert_eq!(rows[0]["mailbox"], json!(place.at(shown)));
            let rows = place.rows(&format!("listmailbox {}", word(&name)));
            assert_eq!(rows[0]["mailbox"], json!(place.at(shown)));
            place.rows(&format!("deletemailbox {}", word(&place.at(shown))));
            assert!(wire_names(&mut raw, "LIST", &pattern).is_empty());
        }
    }
}

#[test]
fn a_name_that_would_be_read_back_as_another_is_shown_as_the_server_has_it() {
    for place in Place::both() {
        let mut raw = place.raw();
        // Decoded it would be `R&-D`, and that, typed, is the mailbox `R&D`.
        let wire = place.at("R&--D");
        raw.ok(&format!("CREATE {}", quoted(&wire)));
        raw.ok(&format!("CREATE {}", quoted(&place.at("R&-D"))));
        let rows = place.rows(&format!("listmailbox {}", word(&place.at("*"))));
        let mut shown: Vec<_> = rows
            .as_array()
            .expect("rows")
            .iter()
            .map(|row| row["mailbox"].as_str().expect("a name").to_owned())
            .collect();
        shown.sort_unstable();
        assert_eq!(shown, [wire.clone(), place.at("R&D")]);
        place.rows(&format!("deletemailbox {}", word(&wire)));
        assert_eq!(listed(&mut raw, &place.at("*")), [place.at("R&-D")].into());
    }
}

#[test]
fn control_characters_are_refused_by_both_and_never_split_a_command() {
    for place in Place::both() {
        // A line of a script cannot hold a line end; -c can.
        for odd in ["a\tb", "a\u{1}b", "a\u{7f}b", "a\rb", "a\nx1 DELETE b"] {
            let name = place.at(odd);
            let run = place
                .imapadm()
                .arg("-c")
                .arg(format!("createmailbox {}", word(&name)))
                .run();
            // A server may take it, in modified UTF-7. Then it is listed so that it harms no terminal.
            let mut raw = place.raw();
            let found = listed(&mut raw, &place.at("*"));
            assert_eq!(
                run.status == Some(0),
                !found.is_empty(),
                "{odd:?}: {found:?}\n{run}"
            );
            for name in &found {
                assert!(
                    name.is_ascii() && name.contains('&') && !name.contains(char::is_control),
                    "{name:?}"
                );
            }
            if !found.is_empty() {
                let text = place
                    .text(&format!("listmailbox {}", word(&place.at("*"))))
                    .ok();
                assert_eq!(text.stdout.lines().count(), 1, "{text}");
                assert!(
                    !text
                        .stdout
                        .trim_end()
                        .replace('\t', "")
                        .contains(char::is_control),
                    "{text}"
                );
                for name in &found {
                    raw.ok(&format!("DELETE {}", quoted(name)));
                }
            }
        }
        let left = listed(&mut place.raw(), &format!("{}*", place.root));
        assert_eq!(left, [place.root.clone()].into());
    }
}

#[test]
fn a_name_with_wildcards_is_deleted_alone() {
    // `st*` as a pattern would take all of these along.
    for place in Place::both() {
        let mut raw = place.raw();
        for path in ["st*", "star", "start/here", "st"] {
            raw.ok(&format!("CREATE {}", quoted(&place.at(path))));
        }
        place.rows(&format!(
            "deletemailbox --yes --recursive {}",
            word(&format!("wire:{}", place.at("st*")))
        ));
        let left = listed(&mut raw, &place.at("*"));
        assert!(!left.contains(&place.at("st*")), "{left:?}");
        for path in ["star", "start/here", "st"] {
            assert!(left.contains(&place.at(path)), "{path}: {left:?}");
        }
    }
}

#[test]
fn inbox_is_one_mailbox_in_whatever_case() {
    let place = Place::dovecot();
    for typed in ["INBOX", "inbox", "InBoX"] {
        let rows = place.rows(&format!("listmailbox {typed}"));
        assert_eq!(rows[0]["mailbox"], json!("INBOX"), "{typed}");
        let rows = place.rows(&format!("status {typed}"));
        assert_eq!(rows[0]["mailbox"], json!("INBOX"), "{typed}");
    }
}

#[test]
fn identifiers_of_every_kind_are_kept_as_typed() {
    for place in Place::both() {
        let mut raw = place.raw();
        for who in [
            "with space",
            "at@example.org",
            "pa(ren)",
            "x+y",
            "a;b",
            "100%",
            "st*ar",
        ] {
            let (run, objects) = place.json(&format!(
                "setacl {0} {1} lr\nlistacl {0}\ndeleteacl {0} {1}\n",
                place.root,
                word(who)
            ));
            // A server may refuse an identifier, in its words; then it is nowhere.
            if run.status != Some(0) {
                let refused = objects[0]["error"]["text"].as_str().expect("words");
                assert!(
                    refused.contains("the server refused SETACL"),
                    "{who}: {run}"
                );
                assert_eq!(rights_of(&mut raw, &place.root, who), None, "{run}");
                continue;
            }
            let rows = objects[1]["rows"].as_array().expect("rows");
            let row = rows.iter().find(|row| row["identifier"] == who);
            let rights = row.unwrap_or_else(|| panic!("no {who:?} in\n{run}"))["rights"].as_str();
            assert_eq!(
                rights_of_4314(rights.expect("letters")),
                rights_of_4314("lr"),
                "{who}"
            );
            assert_eq!(
                rights_of(&mut raw, &place.root, who),
                None,
                "{who} was not deleted"
            );
        }
    }
}

#[test]
fn cyrus_is_never_sent_an_identifier_that_spoils_the_mailbox() {
    // Cyrus 3.6.1 refuses it, keeps it all the same, cannot delete it, and makes nothing below the mailbox any more.
    let place = Place::cyrus();
    for who in ["quo\"te", "back\\slash"] {
        place
            .fails(2, &format!("setacl {} {} lr", place.root, word(who)))
            .is("usage", None);
        assert_eq!(rights_of(&mut place.raw(), &place.root, who), None);
    }
    place.rows(&format!("createmailbox {}", place.at("below")));
    // To Dovecot they are identifiers like others.
    let place = Place::dovecot();
    for who in ["quo\"te", "back\\slash"] {
        place.rows(&format!("setacl {} {} lr", place.root, word(who)));
        let rights = rights_of(&mut place.raw(), &place.root, who);
        assert_eq!(rights.as_deref(), Some("lr"), "{who}");
    }
}
