//! Scripts: where they come from, what stops them, what they print, and how they end.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::Child;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::support::faulty::{Faulty, created, willing};
use super::support::raw::Raw;
use super::support::run::{Imapadm, Run, signal, wait};
use super::support::servers::{Server, cyrus, dovecot, unique};

/// How long something may take that takes no time; what takes longer hangs.
const SOON: Duration = Duration::from_secs(20);

/// The first column of what was printed.
fn first_column(run: &Run) -> Vec<&str> {
    let lines = run.stdout.lines();
    lines.filter_map(|line| line.split('\t').next()).collect()
}

/// Something a user of the server may create mailboxes below: on Cyrus with the separator of its names.
fn owned(server: &Server) -> String {
    let user = server.user();
    match server.socket {
        Some(_) => {
            Raw::admin(server).ok(&format!("CREATE user.{user}"));
            format!("user.{user}.")
        }
        None => unique("script"),
    }
}

fn exists(server: &Server, mailbox: &str) -> bool {
    let answer = Raw::admin(server).command(&format!("LIST \"\" {mailbox}"));
    !answer.named("LIST").is_empty()
}

#[test]
fn all_sources_run_in_the_order_of_the_command_line() {
    let server = willing();
    let run = Imapadm::on_port(server.port);
    let first = run.file("first", "cm b\ncm c\n");
    let second = run.file("second", "cm f\n");
    let run = run
        .args(["-c", "cm a", "-f"])
        .arg(first)
        .args(["-c", "cm d", "-f", "-", "--file"])
        .arg(second)
        .args(["--command", "cm g"])
        .stdin("cm e\n")
        .run()
        .ok();
    assert_eq!(first_column(&run), ["a", "b", "c", "d", "e", "f", "g"]);
    assert_eq!(created(&server), ["a", "b", "c", "d", "e", "f", "g"]);
    assert_eq!(run.stderr, "", "{run}");
}

#[test]
fn standard_input_is_left_alone_when_a_script_is_named() {
    let server = willing();
    let run = Imapadm::on_port(server.port).args(["-c", "cm a"]);
    run.stdin("cm b\n").run().ok();
    assert_eq!(created(&server), ["a"]);
}

#[test]
fn comments_semicolons_quotes_and_line_ends() {
    let server = willing();
    let script = "# a comment; cm no1\r\n\r\n   \r\n\t# another\r\ncm a;cm b ; ; cm c;\r\n\
                  cm 'x # y' # cm no2 'unclosed\r\ncm \"q;r\"\ncm s\\;t\ncm u#v\ncm 'it'\"'\"'s'\n\n  cm last";
    let run = Imapadm::on_port(server.port).stdin(script).run().ok();
    let expected = ["a", "b", "c", "x # y", "q;r", "s;t", "u#v", "it's", "last"];
    assert_eq!(first_column(&run), expected);
    assert_eq!(created(&server).len(), expected.len());
    // The same from a file, and as one argument of several lines.
    let run = Imapadm::on_port(server.port);
    let file = run.file("script", script);
    let run = run.arg("-f").arg(file).run().ok();
    assert_eq!(first_column(&run), expected);
    let run = Imapadm::on_port(server.port).args(["-c", script]).run();
    assert_eq!(first_column(&run.ok()), expected);
}

#[test]
fn a_script_of_nothing_does_nothing() {
    for script in ["", "\n", "# only a comment", "\r\n\r\n", ";;;\n"] {
        let run = Imapadm::on(cyrus()).stdin(script).run().ok();
        assert!(run.stdout.is_empty() && run.stderr.is_empty(), "{run}");
    }
}

#[test]
fn a_quoted_word_goes_on_over_line_ends() {
    let script = "cm 'one\r\ntwo\nthree'; cm four\ncm fi\\\nve # '\ncm bad\ncm after\n";
    let server = willing();
    let runs = || Imapadm::on_port(server.port);
    let file = |run: Imapadm| {
        let file = run.file("script", script);
        run.arg("-f").arg(file)
    };
    for (run, place) in [
        (runs().stdin(script), "line 6:"),
        (file(runs()), "script:6:"),
        (runs().args(["-c", script]), "-c:1:"),
    ] {
        let run = run.run().fails(1).complains(&format!("{place} cm bad:"));
        // In text a line end in a name is escaped.
        let expected = ["one\\ntwo\\nthree", "four", "five"];
        let shown: Vec<_> = first_column(&run)
            .into_iter()
            .map(|name| name.trim_start_matches("wire:"))
            .collect();
        assert_eq!(shown.len(), expected.len(), "{run}");
        assert_eq!(shown[1..], expected[1..], "{run}");
    }
    assert!(!created(&server).contains(&"two".to_owned()));
}

#[test]
fn a_quote_that_never_closes_ends_the_script_also_with_keep_going() {
    for keep in [None, Some("-k")] {
        for (text, place) in [
            (
                "cm first\nsetmd user.a comment \"x\ndm user.bob\n",
                "line 2",
            ),
            ("cm first\n\ncm 'a\ncm b\ncm c\n", "line 3"),
            ("cm first\ncm it's\ndm user.bob", "line 2"),
            ("cm first\ncm a\\\n", "line 2"),
        ] {
            let server = willing();
            let run = Imapadm::on_port(server.port)
                .args(keep)
                // Nothing of another script either.
                .args(["-f", "-", "-c", "cm other"])
                .stdin(text)
                .run()
                .fails(2)
                .complains(place)
                .complains("column");
            assert_eq!(created(&server), ["first"], "{run}");
            let received = server.received();
            assert!(
                received.iter().all(|line| !line.contains("DELETE")),
                "{received:?}"
            );
            // All at hand, it is refused before anything is sent.
            let server = willing();
            let run = Imapadm::on_port(server.port).args(keep);
            let file = run.file("script", text);
            let run = run.arg("-f").arg(file).run().fails(2);
            run.complains(&place.replace("line ", "script:"));
            assert_eq!(server.connections(), 0);
        }
    }
}

#[test]
fn a_command_over_many_lines_is_bounded_and_read_once() {
    // Each line of a quoted word is looked at once: looked at again with every line, these would take minutes.
    let server = willing();
    let mut script = String::from("cm first\ncm 'a\n");
    script.push_str(&"x\n".repeat(1_500_000));
    let run = Imapadm::on_port(server.port).arg("-k").stdin(script).run();
    run.fails(2).complains("line 2").complains("longer");
    assert_eq!(created(&server), ["first"]);
}

#[test]
fn a_command_over_several_lines_may_come_in_pieces() {
    let server = willing();
    let run = Imapadm::on_port(server.port);
    let mut child = run.start();
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let results = lines(&mut child);
    // The first one's result does not wait for the second, half of which is there.
    stdin.write_all(b"cm a\ncm 'b\n").expect("it reads");
    let line = results.recv_timeout(SOON).expect("the first result");
    assert_eq!(line, "a\tcreated");
    stdin.write_all(b"c'; cm d\n").expect("it reads");
    results.recv_timeout(SOON).expect("the second result");
    let line = results.recv_timeout(SOON).expect("the third result");
    assert_eq!(line, "d\tcreated");
    drop(stdin);
    assert_eq!(ended(child).0, Some(0));
}

#[test]
fn redirection_and_pipes_are_not_taken_for_words() {
    for line in [
        "lm >list",
        "lm >> list",
        "lm 2> list",
        "cm <list",
        "lm | head",
        "cm a>b",
    ] {
        let server = willing();
        let run = Imapadm::on_port(server.port).stdin(format!("{line}\n"));
        run.run().fails(2).complains("quote it");
        let commands = server.received();
        let sent = |verb: &str| commands.iter().any(|command| command.contains(verb));
        assert!(!sent("LIST") && !sent("CREATE"), "{line}: {commands:?}");
    }
    let server = willing();
    let run = Imapadm::on_port(server.port).stdin("cm 'a>b' ; cm \"c|d\"; cm e\\<f\n");
    assert_eq!(first_column(&run.run().ok()), ["a>b", "c|d", "e<f"]);
}

#[test]
fn a_very_long_script_is_run_to_its_end() {
    let server = willing();
    let mut script = String::new();
    for number in 0..5_000 {
        script.push_str(&format!("# comment {number}\n\ncm m{number}\n"));
    }
    let run = Imapadm::on_port(server.port)
        .arg("-k")
        .stdin(script)
        .run()
        .ok();
    assert_eq!(run.stdout.lines().count(), 5_000);
    assert_eq!(created(&server).len(), 5_000);
    assert!(run.stdout.ends_with("m4999\tcreated\n"));
}

#[test]
fn the_first_failure_stops_and_nothing_after_it_reaches_the_server() {
    for server in [cyrus(), dovecot()] {
        let base = owned(server);
        let run = Imapadm::on(server);
        let file = run.file(
            "the-script",
            format!("# first\ncm {base}one\ncm {base}one\ncm {base}two\nlist {base}*\n"),
        );
        let run = run
            .arg("-f")
            .arg(&file)
            .args(["-c", &format!("cm {base}three")]);
        let run = run.run().fails(1);
        assert_eq!(first_column(&run), [format!("{base}one")], "{run}");
        let run = run
            .complains(&format!("{}:3:", file.display()))
            .complains(&format!("cm {base}one"));
        assert!(run.stderr.to_lowercase().contains("exist"), "{run}");
        assert!(exists(server, &format!("{base}one")));
        assert!(!exists(server, &format!("{base}two")));
        assert!(!exists(server, &format!("{base}three")));
    }
}

#[test]
fn a_failure_on_standard_input_names_its_line() {
    let server = willing();
    let run = Imapadm::on_port(server.port)
        .stdin("cm a\n\n# comment\ncm bad; cm b\ncm c\n")
        .run()
        .fails(1)
        .complains("line 4")
        .complains("cm bad")
        .complains("[CANNOT] the server's own words");
    assert_eq!(first_column(&run), ["a"]);
    assert_eq!(created(&server), ["a", "bad"]);
}

#[test]
fn a_read_that_was_sent_ahead_is_not_reported_behind_a_failure() {
    let server = willing();
    let run = Imapadm::on_port(server.port)
        .stdin("listquota a\nlistquota bad\nlistquota c\ncm d\n")
        .run()
        .fails(1)
        .complains("line 2");
    // Reads are sent ahead of each other's answers, but what is printed is as if they were not.
    assert_eq!(first_column(&run), ["a"], "{run}");
    assert!(created(&server).is_empty());
}

#[test]
fn keep_going_carries_on_and_sums_up() {
    for server in [cyrus(), dovecot()] {
        let base = owned(server);
        let script = format!(
            "cm {base}one\ncm {base}one\ncm {base}two\nnonsense\ncm\ndm {base}nothere\ncm {base}three\n"
        );
        let run = Imapadm::on(server).arg("-k").stdin(script).run().fails(1);
        let made = ["one", "two", "three"].map(|name| format!("{base}{name}"));
        assert_eq!(first_column(&run), made, "{run}");
        for name in &made {
            assert!(exists(server, name), "{name}");
        }
        for line in 2..=6 {
            let failed = line != 3;
            let told = run.stderr.contains(&format!("line {line}:"));
            assert_eq!(told, failed, "line {line} in {run}");
        }
        run.complains("3 done, 4 failed: lines 2, 4, 5, 6");
    }
}

#[test]
fn keep_going_says_nothing_when_all_went_well() {
    let server = willing();
    let run = Imapadm::on_port(server.port).args(["-k", "-c", "cm a; cm b"]);
    let run = run.run().ok();
    assert_eq!(run.stderr, "");
}

#[test]
fn what_cannot_be_right_is_misuse() {
    for (script, words) in [
        (
            "craetemailbox x",
            &["\"craetemailbox\"", "createmailbox"][..],
        ),
        ("cm --nonsense x", &["--nonsense", "createmailbox"]),
        ("cm", &["MAILBOX", "createmailbox"]),
        ("cm a b c", &["\"c\"", "createmailbox"]),
        ("cm --partition", &["PARTITION"]),
        ("cm 'a b", &["line 1", "column 4", "'"]),
        ("# fine\n  cm x \"a\u{e9}", &["line 2", "column 8", "\""]),
        ("cm a\\", &["column 5", "backslash"]),
        ("quit now", &["quit"]),
    ] {
        let server = willing();
        let run = Imapadm::on_port(server.port).stdin(script).run().fails(2);
        assert_eq!(created(&server), [""; 0], "{script}");
        assert!(run.stdout.is_empty(), "{run}");
        for word in words {
            assert!(run.stderr.contains(word), "{script}: no {word} in {run}");
        }
    }
}

#[test]
fn no_command_is_ever_given_to_a_shell() {
    let server = willing();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let touched = folder.path().join("touched");
    let path = touched.display();
    for script in [
        format!("touch {path}"),
        format!("!touch {path}"),
        format!("! touch {path}"),
        format!("cm $(touch {path})"),
        format!("cm `touch {path}`"),
        format!("cm a | touch {path}"),
        format!("cm a > {path}"),
        format!("cm a && touch {path}"),
        format!("sh -c 'touch {path}'"),
        format!("exec touch {path}"),
    ] {
        let run = Imapadm::on_port(server.port).arg("-k").stdin(&*script);
        let run = run.run();
        assert!(!touched.exists(), "{script}\n{run}");
    }
    let run = Imapadm::on_port(server.port).args(["-c", &format!("touch {path}")]);
    run.run().fails(2).complains("touch");
    assert!(!touched.exists());
}

#[test]
fn files_and_arguments_are_checked_before_anything_is_sent() {
    let server = willing();
    for (script, place) in [
        (&b"cm a\nnonsense\n"[..], ":2"),
        (b"cm a\ncm b c d\n", ":2"),
        (b"cm a\ncm 'b\n", ":2"),
        (b"cm a\ncm caf\xe9\n", ":2"),
        (b"cm a\ncm --nonsense b\n", ":2"),
        (b"cm a\n\n\ncm \0b\n", ":4"),
    ] {
        let run = Imapadm::on_port(server.port);
        let file = run.file("the-script", script);
        let run = run.args(["-c", "cm first", "-f"]).arg(&file).run();
        run.fails(2).complains(&format!("the-script{place}"));
    }
    Imapadm::on_port(server.port)
        .args(["-c", "cm a", "-c", "nonsense"])
        .run()
        .fails(2)
        .complains("nonsense");
    assert_eq!(created(&server), [""; 0], "nothing may be sent");
}

#[test]
fn a_script_that_is_not_utf_8_is_misuse() {
    let server = willing();
    let run = Imapadm::on_port(server.port).stdin(b"cm a\ncm caf\xe9\ncm b\n");
    run.run().fails(2).complains("line 2").complains("UTF-8");
    assert_eq!(created(&server), ["a"]);
    // With -k it is one failure among others.
    let run = Imapadm::on_port(server.port).arg("-k");
    let run = run.stdin(b"cm c\ncm caf\xe9\ncm d\n").run().fails(1);
    assert_eq!(first_column(&run), ["c", "d"]);
}

#[test]
fn a_nul_in_a_name_is_refused_and_never_sent() {
    let server = willing();
    Imapadm::on_port(server.port)
        .stdin(b"cm 'a\0b'\ncm c\n")
        .run()
        .fails(2)
        .complains("NUL");
    assert_eq!(created(&server), [""; 0]);
}

#[test]
fn a_script_that_cannot_be_read_is_misuse() {
    let server = willing();
    let on = || Imapadm::on_port(server.port).args(["-c", "cm a"]);
    on().args(["-f", "/nonexistent/script"])
        .run()
        .fails(2)
        .complains("/nonexistent/script");
    on().args(["-f", "/"]).run().fails(2).complains("/");
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_line_without_end_is_refused() {
    let server = willing();
    let mut script = b"cm ".to_vec();
    script.resize(3 * 1024 * 1024, b'x');
    let run = Imapadm::on_port(server.port).stdin(script).run();
    run.fails(2).complains("line 1").complains("longer");
    assert_eq!(created(&server), [""; 0]);
}

#[test]
fn quit_ends_it_with_its_status() {
    let server = willing();
    for (script, status) in [
        ("cm a\nquit 3\ncm b\n", 3),
        ("cm a; quit; cm b", 0),
        ("cm a\nexit 255\ncm b", 255),
    ] {
        let run = Imapadm::on_port(server.port).stdin(script).run();
        let run = run.fails(status);
        assert_eq!(first_column(&run), ["a"]);
    }
    let run = Imapadm::on_port(server.port)
        .args(["-k", "-c", "cm bad", "-c", "quit 7", "-c", "cm b"])
        .run();
    run.fails(7);
    assert!(!created(&server).contains(&"b".to_owned()));
    for wrong in ["quit three", "quit -1", "quit 256"] {
        let run = Imapadm::on_port(server.port).args(["-c", wrong]).run();
        run.fails(2);
    }
}

#[test]
fn standard_output_holds_results_and_nothing_else() {
    for server in [cyrus(), dovecot()] {
        let base = owned(server);
        let run = Imapadm::on(server)
            .stdin(format!("cm {base}a\nlist {base}a\nnoop\nlistacl {base}a\n"))
            .run()
            .ok();
        let lines: Vec<_> = run.stdout.lines().collect();
        assert_eq!(lines[0], format!("{base}a\tcreated"));
        assert!(lines[1].starts_with(&format!("{base}a\t")), "{run}");
        let acl = &lines[2..];
        assert!(!acl.is_empty(), "{run}");
        let of_it =
            |line: &&str| line.starts_with(&format!("{base}a\t")) && line.split('\t').count() == 3;
        assert!(acl.iter().all(of_it), "{run}");
        assert_eq!(run.stderr, "", "{run}");
    }
}

/// Each line as the documented object; the keys are no more and no less.
#[track_caller]
fn objects(run: &Run) -> Vec<Value> {
    let parse = |line: &str| -> Value {
        let value: Value = serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("{error} in {line:?} of\n{run}"));
        let object = value.as_object().expect("an object");
        assert!(object["command"].is_string() && object["line"].is_u64());
        assert!(
            object["rows"]
                .as_array()
                .expect("rows")
                .iter()
                .all(Value::is_object)
        );
        let ok = object["ok"].as_bool().expect("a verdict");
        assert_eq!(object.contains_key("error"), !ok, "{line}");
        if let Some(error) = object.get("error") {
            assert!(error["kind"].is_string() && error["text"].is_string());
            assert!(error["code"].is_string() || error["code"].is_null());
        }
        let known = ["command", "file", "line", "rows", "ok", "error"];
        let mut keys = object.keys();
        assert!(keys.all(|key| known.contains(&key.as_str())), "{line}");
        value
    };
    assert!(run.stdout.ends_with('\n'), "{run}");
    // What a run that did not go well ends with is none of a command's.
    let lines = run.stdout.lines();
    let commands = lines.filter(|line| !line.starts_with("{\"summary\":"));
    commands.map(parse).collect()
}

#[test]
fn json_is_one_object_a_line_for_each_command() {
    for server in [cyrus(), dovecot()] {
        let base = owned(server);
        let run = Imapadm::on(server).args(["--format", "json", "-k"]);
        let file = run.file("the-script", format!("list {base}a\n"));
        let script = format!("cm {base}a; noop\n\ncm {base}a\nnonsense\ncm\nlistacl {base}a\n");
        let run = run
            .args(["-f", "-", "-f"])
            .arg(&file)
            .stdin(script)
            .run()
            .fails(1);
        let objects = objects(&run);
        let seen: Vec<_> = objects
            .iter()
            .map(|object| {
                (
                    object["command"].as_str().expect("a name"),
                    object["line"].as_u64().expect("a line"),
                    object["ok"].as_bool().expect("a verdict"),
                )
            })
            .collect();
        let expected = [
            ("createmailbox", 1, true),
            ("noop", 1, true),
            ("createmailbox", 3, false),
            ("nonsense", 4, false),
            ("cm", 5, false),
            ("listacl", 6, true),
            ("listmailbox", 1, true),
        ];
        // How a command that can't be right is called is not laid down: as typed, or by its name.
        for (seen, expected) in seen.iter().zip(expected) {
            let same_name = seen.0 == expected.0 || expected.0 == "cm" && seen.0 == "createmailbox";
            assert!(same_name, "{seen:?} {expected:?}");
            assert_eq!((seen.1, seen.2), (expected.1, expected.2), "{run}");
        }
        assert_eq!(seen.len(), expected.len(), "{run}");
        assert_eq!(objects[0]["rows"][0]["mailbox"], format!("{base}a"));
        assert_eq!(objects[0]["rows"][0]["created"], true);
        assert_eq!(objects[2]["error"]["kind"], "no");
        assert_eq!(objects[3]["error"]["kind"], "usage");
        assert!(!objects[5]["rows"].as_array().expect("rows").is_empty());
        assert!(
            objects[..6]
                .iter()
                .all(|object| object.get("file").is_none())
        );
        assert_eq!(objects[6]["file"], file.to_str().expect("a path"));
    }
}

#[test]
fn json_stays_valid_whatever_happens() {
    // A refusal, with its code; odd names; a listing that breaks off; a connection that is lost.
    let server = Faulty::script(|conn| {
        conn.let_in("ACL");
        conn.answer(|tag, command| match command.split(' ').next() {
            Some("CREATE") => format!("{tag} NO [OVERQUOTA] \"no\"\t\x1b[2J \\ words \u{202e}\r\n"),
            Some("LIST") => format!(
                "* LIST () \"/\" {{7}}\r\nq\"u\\o\x07t\r\n* LIST () \"/\" \"\u{e9}\u{202e}\"\r\n* LIST (broken\r\n{tag} OK\r\n"
            ),
            _ => "* BYE going\r\n".to_owned(),
        });
    });
    let run = Imapadm::on_port(server.port)
        .args(["--format", "json", "-k", "--timeout", "0.5"])
        .stdin("cm a\nlist\nnoop\nnoop\n")
        .run()
        .fails(7);
    let objects = objects(&run);
    assert_eq!(objects[0]["error"]["code"], "OVERQUOTA");
    assert_eq!(objects[1]["ok"], false);
    assert_eq!(
        objects[1]["rows"].as_array().expect("rows").len(),
        2,
        "{run}"
    );
    assert_eq!(objects[1]["error"]["kind"], "incomplete");
    assert_eq!(objects[2]["error"]["kind"], "lost");
    assert!(!run.stdout.contains('\x1b'), "{run}");
}

#[test]
fn json_tells_of_the_failure_that_stopped_it() {
    let server = willing();
    for script in [
        "cm a\ncm bad\ncm c\n",
        "cm a\nnonsense\ncm c\n",
        "cm a\ncm 'x\ncm c\n",
    ] {
        let run = Imapadm::on_port(server.port).args(["--format", "json"]);
        let run = run.stdin(script).run();
        assert!(matches!(run.status, Some(1 | 2)), "{run}");
        let objects = objects(&run);
        let verdicts: Vec<_> = objects.iter().map(|object| object["ok"] == true).collect();
        assert_eq!(verdicts, [true, false], "{run}");
    }
}

/// The lines of a running program's output, as they come.
fn lines(child: &mut Child) -> Receiver<String> {
    let stdout = child.stdout.take().expect("stdout is piped");
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Its exit status and all that it complained of. Kills what hangs.
#[track_caller]
fn ended(mut child: Child) -> (Option<i32>, String) {
    let mut stderr = child.stderr.take().expect("stderr is piped");
    let reader = thread::spawn(move || {
        let mut text = String::new();
        // What is no UTF-8 shows as a missing text.
        let _ = stderr.read_to_string(&mut text);
        text
    });
    let status = wait(&mut child, SOON);
    if status.is_none() {
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }
    let text = reader.join().expect("stderr is read");
    let status = status.unwrap_or_else(|| panic!("it hangs, having said {text:?}"));
    assert!(!text.contains("panicked"), "{text}");
    (status.code(), text)
}

#[test]
fn results_arrive_while_the_input_stays_open() {
    for format in ["text", "json"] {
        let server = willing();
        let run = Imapadm::on_port(server.port).args(["--format", format]);
        let mut child = run.start();
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let results = lines(&mut child);
        for number in 0..20 {
            // Two at a time now and then.
            let script = if number % 5 == 0 {
                format!("noop\ncm m{number}\n")
            } else {
                format!("cm m{number}\n")
            };
            stdin.write_all(script.as_bytes()).expect("it reads");
            stdin.flush().expect("it reads");
            let name = format!("m{number}");
            loop {
                let line = results
                    .recv_timeout(SOON)
                    .unwrap_or_else(|error| panic!("no result of {script:?}: {error}"));
                if line.contains(&name) {
                    break;
                }
                assert!(format == "json" && line.contains("noop"), "{line}");
            }
        }
        drop(stdin);
        let (status, stderr) = ended(child);
        assert_eq!((status, stderr.as_str()), (Some(0), ""));
    }
}

#[test]
fn a_result_does_not_wait_for_the_rest_of_its_line() {
    // The second command is not all there yet: the first one's result must not wait for it.
    let server = willing();
    let run = Imapadm::on_port(server.port);
    let mut child = run.start();
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let results = lines(&mut child);
    stdin.write_all(b"listquota r\ncm half").expect("it reads");
    let line = results.recv_timeout(SOON).expect("the first result");
    assert!(line.starts_with("r\t"), "{line}");
    stdin.write_all(b"-a-name\n").expect("it reads");
    let line = results.recv_timeout(SOON).expect("the second result");
    assert_eq!(line, "half-a-name\tcreated");
    drop(stdin);
    assert_eq!(ended(child).0, Some(0));
}

#[test]
fn a_reader_who_leaves_early_ends_it_quietly() {
    for format in ["text", "json"] {
        let server = Faulty::script(|conn| {
            conn.let_in("");
            conn.answer(|tag, command| {
                if command.starts_with("LIST") {
                    let row = "* LIST (\\HasNoChildren) \"/\" some-mailbox-name\r\n";
                    format!("{}{tag} OK done\r\n", row.repeat(50_000))
                } else {
                    format!("{tag} OK done\r\n")
                }
            });
        });
        let run = Imapadm::on_port(server.port).args(["--format", format]);
        let mut child = run.start();
        let mut stdin = child.stdin.take().expect("stdin is piped");
        stdin.write_all(b"list\ncm after\n").expect("it reads");
        drop(stdin);
        let mut stdout = child.stdout.take().expect("stdout is piped");
        let mut few = [0; 100];
        stdout.read_exact(&mut few).expect("the first rows");
        drop(stdout);
        let (status, stderr) = ended(child);
        assert_ne!(status, Some(101), "{stderr}");
        assert!(!stderr.contains("Broken pipe"), "{stderr}");
        // What nobody will hear of is not done.
        assert_eq!(created(&server), [""; 0], "{format}");
    }
}

#[test]
fn two_thousand_commands_print_the_same_with_and_without_keep_going() {
    let server = cyrus();
    let user = server.user();
    Raw::admin(server).ok(&format!("CREATE user.{user}"));
    let mut script = String::new();
    for number in 0..250 {
        // Cyrus cannot delete a name twice within a second.
        let mailbox = format!("user.{user}.m{number}");
        script.push_str(&format!(
            "cm {mailbox}\nsetacl {mailbox} bob lr\nlistacl {mailbox}\nsetacl {mailbox} {admin} all\nmyrights {mailbox}\n\
             listquotaroot user.{user}\nstatus {mailbox}\ndm {mailbox}\n",
            admin = server.admin
        ));
    }
    assert_eq!(script.lines().count(), 2_000);
    let run = |keep: Option<&str>| {
        let run = Imapadm::on(server).args(keep).stdin(&*script).run().ok();
        assert_eq!(run.stderr, "", "{run}");
        // UIDVALIDITY is another at each creation.
        let without = |line: &str| -> String {
            let keep = |cell: &&str| !(cell.len() == 10 && cell.starts_with("1"));
            line.split('\t').filter(keep).collect::<Vec<_>>().join("\t")
        };
        run.stdout.lines().map(without).collect::<Vec<_>>()
    };
    let (patient, ahead) = (run(None), run(Some("-k")));
    assert_eq!(patient.len(), ahead.len());
    for (number, (patient, ahead)) in patient.iter().zip(&ahead).enumerate() {
        assert_eq!(patient, ahead, "line {number} of the output");
    }
    assert!(patient.len() >= 2_000, "{}", patient.len());
}

/// Waits until the server has read this.
#[track_caller]
fn until_received(server: &Faulty, text: &str) {
    let deadline = Instant::now() + SOON;
    while !server.received().iter().any(|line| line.contains(text)) {
        assert!(Instant::now() < deadline, "{text}: {:?}", server.received());
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn an_interrupt_in_the_middle_of_a_command_says_what_is_known_of_it() {
    for (command, verb, unknown) in [("cm a", "CREATE", true), ("listquota a", "GETQUOTA", false)] {
        for (name, keep) in [("INT", None), ("TERM", Some("-k"))] {
            let server = Faulty::script(|conn| {
                conn.let_in("QUOTA");
                conn.expect_line();
                conn.stall(Duration::from_secs(60));
            });
            let run = Imapadm::on_port(server.port)
                .args(["--timeout", "60", "-c", command, "-c", "cm after"])
                .args(keep);
            let child = run.start();
            until_received(&server, verb);
            signal(&child, name);
            let (status, stderr) = ended(child);
            assert_eq!(status, Some(130), "{stderr}");
            assert!(stderr.contains("interrupted"), "{stderr}");
            // With -k, `cm after` is in flight too, and the sum names it.
            let changes = usize::from(unknown) + usize::from(keep.is_some());
            if keep.is_some() {
                assert!(
                    stderr.contains(&format!("{changes} unknown whether done")),
                    "{stderr}"
                );
                assert!(stderr.contains("-c:2"), "{stderr}");
            } else {
                assert_eq!(stderr.contains("unknown whether"), unknown, "{stderr}");
            }
            assert!(created(&server).len() <= changes);
        }
    }
}

#[test]
fn an_interrupt_before_the_login_or_between_commands_ends_it_too() {
    let silent = Faulty::script(|conn| conn.stall(Duration::from_secs(60)));
    let run = Imapadm::on_port(silent.port).args(["-c", "noop"]);
    let child = run.start();
    let deadline = Instant::now() + SOON;
    while silent.connections() == 0 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    signal(&child, "INT");
    assert_eq!(ended(child).0, Some(130));

    let server = willing();
    let run = Imapadm::on_port(server.port);
    let mut child = run.start();
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let results = lines(&mut child);
    stdin.write_all(b"cm a\n").expect("it reads");
    results.recv_timeout(SOON).expect("a result");
    // It waits for more now.
    thread::sleep(Duration::from_millis(50));
    signal(&child, "INT");
    assert_eq!(ended(child).0, Some(130));
    drop(stdin);
}

#[test]
fn a_connection_lost_in_the_middle_ends_the_script() {
    for farewell in ["", "* BYE the house is on fire\r\n"] {
        for keep in [None, Some("-k")] {
            let server = Faulty::script(move |conn| {
                conn.let_in("ACL");
                let (tag, _) = conn.expect_command();
                conn.send(format!("{tag} OK done\r\n"));
                conn.expect_line();
                conn.send(farewell);
            });
            let run = Imapadm::on_port(server.port)
                .args(keep)
                .stdin("cm a\ncm b\ncm c\n")
                .run()
                .fails(7)
                .complains("line 2")
                .complains("unknown whether");
            assert_eq!(first_column(&run), ["a"]);
            assert_eq!(server.connections(), 1);
            if !farewell.is_empty() {
                run.complains("the house is on fire");
            }
        }
    }
}

#[test]
fn commands_without_a_connection_say_how_to_get_one() {
    let run = Imapadm::bare().stdin("list\n").run().fails(1);
    run.complains("connect");
    let run = Imapadm::bare().stdin("help\n").run().ok();
    assert!(run.stdout.contains("createmailbox"), "{run}");
}

#[test]
fn what_cannot_be_written_down_is_not_done() {
    let server = willing();
    let script: String = (0..300).map(|number| format!("cm a{number}\n")).collect();
    let run = Imapadm::on_port(server.port)
        .through(&["sh", "-c", "exec \"$0\" \"$@\" >/dev/full"])
        .stdin(script)
        .run()
        .fails(1);
    let run = run
        .complains("cannot write the results")
        .complains("1 done");
    let run = run.complains("299 not sent: lines 2-300");
    run.complains("results from line 1 on are lost");
    // The first one was done before anybody could know.
    assert_eq!(created(&server), ["a0"]);
}

#[test]
fn each_change_is_told_before_the_next_one_is_made() {
    let server = Faulty::script(|conn| {
        conn.let_in("");
        loop {
            let (tag, command) = conn.expect_command();
            if command.starts_with("CREATE second") {
                conn.stall(Duration::from_secs(60));
            }
            conn.send(format!("{tag} OK done\r\n"));
        }
    });
    for signal_name in ["HUP", "KILL"] {
        let run = Imapadm::on_port(server.port).args(["--timeout", "60"]);
        let script = run.file("script", "cm first\ncm second\ncm third\n");
        let run = run.arg("-f").arg(script);
        let mut child = run.start();
        let results = lines(&mut child);
        let first = results.recv_timeout(SOON).expect("the first result");
        assert_eq!(first, "first\tcreated");
        signal(&child, signal_name);
        let status = wait(&mut child, SOON).expect("it ends").code();
        // Whoever loses the terminal gets an account of the command that was under way; nobody can after KILL.
        assert_eq!(status, (signal_name == "HUP").then_some(130));
    }
}
