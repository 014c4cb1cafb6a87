//! Only what was seen is told: no default is shown as a fact, and an answer is shown as the server gave it. What is refused gets advice that
//! helps.

use serde_json::{Value, json};

use super::support::faulty::Faulty;
use super::support::place::{Place, exists, objects, word};
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
                    .complains("you may not be allowed to see it (right l)");
            }
        }
        place
            .imapadm()
            .user(&stranger)
            .stdin(format!("deletemailbox --yes -r {}", word(&theirs)))
            .run()
            .fails(1)
            .complains("you may not be allowed to see it (right l)");
        assert!(exists(&mut place.raw(), &secret));
    }
}

#[test]
fn who_is_not_connected_is_not_told_to_select() {
    let run = Imapadm::bare().stdin("myrights").run();
    run.fails(1).complains("not connected");
}
