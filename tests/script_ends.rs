//! How scripts end: what became of every command, where it stopped, how to go on, and results that nobody can read.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::support::faulty::{Faulty, created, willing};
use super::support::run::{Imapadm, signal, wait};

const SOON: Duration = Duration::from_secs(20);

/// Its exit status and all that it complained of.
#[track_caller]
fn ended(mut child: Child) -> (Option<i32>, String) {
    let mut stderr = child.stderr.take().expect("stderr is piped");
    let reader = thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).expect("text");
        text
    });
    let status = wait(&mut child, SOON);
    if status.is_none() {
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }
    let text = reader.join().expect("stderr is read");
    let status = status.unwrap_or_else(|| panic!("it hangs, having said {text:?}"));
    (status.code(), text)
}

fn creates(count: usize) -> String {
    (1..=count)
        .map(|number| format!("cm m{number}\n"))
        .collect()
}

#[test]
fn changes_whose_results_are_lost_are_told_of_once() {
    for (to, status) in [
        (">/dev/full", 1),
        // The reader is gone before there is anything to read.
        ("| exit 0", 141),
    ] {
        let server = willing();
        let line = match to {
            "| exit 0" => r#"{ sleep 0; "$0" "$@"; echo "status $?" >&2; } | :"#.to_owned(),
            to => format!(r#""$0" "$@" {to}; echo "status $?" >&2"#),
        };
        // A pipe without a reader from the beginning: the shell closes its end before it starts the program.
        let line = line.replace("sleep 0;", "exec 3>&1; ");
        let run = Imapadm::on_port(server.port)
            .arg("-k")
            .through(&["sh", "-c", &line])
            .stdin(creates(301))
            .run();
        let run = run.complains(&format!("status {status}"));
        let run = run.complains("301 done, results from line 1 on are lost");
        assert_eq!(run.stderr.matches("lost").count(), 1, "{run}");
        assert_eq!(created(&server).len(), 301);
    }
}

#[test]
fn a_closed_stdout_is_told_of_and_a_discarded_one_is_not() {
    for (to, told) in [(">&-", 1), (">/dev/null", 0)] {
        let server = willing();
        let run = Imapadm::on_port(server.port)
            .through(&["sh", "-c", &format!(r#""$0" "$@" {to}"#)])
            .stdin("cm m1\n")
            .run();
        assert_eq!(
            run.stderr.matches("stdout is closed").count(),
            told,
            "{to}: {run}"
        );
        assert_eq!(created(&server).len(), 1, "{to}");
    }
}

#[test]
fn a_listing_that_nobody_reads_ends_at_once_and_quietly() {
    for (script, format) in [("lm\n", "text"), ("lm\n", "json"), ("lam *\nlm\n", "text")] {
        // It never comes to an end.
        let server = Faulty::script(|conn| {
            conn.let_in("ACL");
            loop {
                let (tag, command) = conn.expect_command();
                if command.starts_with("LIST") && script.starts_with("lm") {
                    loop {
                        conn.send("* LIST () \"/\" some-mailbox-name\r\n".repeat(1_000));
                    }
                } else if command.starts_with("LIST") {
                    for number in 0..5_000 {
                        conn.send(format!("* LIST () \"/\" name{number}\r\n"));
                    }
                    conn.send(format!("{tag} OK done\r\n"));
                } else {
                    let name = command.rsplit(' ').next().unwrap_or_default();
                    conn.send(format!(
                        "* ACL {name} bob lrs alice lrs\r\n{tag} OK done\r\n"
                    ));
                }
            }
        });
        let run = Imapadm::on_port(server.port).args(["--format", format]);
        let mut child = run.start();
        let mut stdin = child.stdin.take().expect("stdin is piped");
        stdin.write_all(script.as_bytes()).expect("it reads");
        drop(stdin);
        let mut stdout = child.stdout.take().expect("stdout is piped");
        let mut few = [0; 100];
        stdout.read_exact(&mut few).expect("the first rows");
        drop(stdout);
        assert_eq!(
            ended(child),
            (Some(141), String::new()),
            "{script} {format}"
        );
    }
}

#[test]
fn who_stops_says_where_and_how_to_go_on() {
    let server = willing();
    let script = "cm a\ncm b; cm c\ncm bad\n# a comment\ncm d\n\ncm 'e\nf'; cm g\n";
    let run = Imapadm::on_port(server.port);
    let file = run.file("script", script);
    let from_file = run.arg("-f").arg(&file).run().fails(1);
    let from_stdin = Imapadm::on_port(server.port).stdin(script).run().fails(1);
    for (run, name) in [
        (from_file, format!("{}:", file.display())),
        (from_stdin, String::new()),
    ] {
        run.complains(&format!(
            "stopped: 3 done, 1 failed: line {name}3, 3 not sent: lines {name}5, {name}6, {name}7; continue with --from-line 5"
        ));
    }
    // It goes on there.
    let before = created(&server).len();
    for (line, expected) in [(5, 3), (6, 2), (7, 2), (1, 7)] {
        let run = Imapadm::on_port(server.port).args(["-k", "--from-line", &line.to_string()]);
        let file = run.file("script", script);
        let run = run.arg("-f").arg(&file).run();
        assert!(matches!(run.status, Some(0 | 1)), "{run}");
        let count = created(&server).len() - before;
        assert!(count >= expected, "line {line}: {count}");
    }
    let server = willing();
    let on = || Imapadm::on_port(server.port);
    on().args(["--from-line", "5"]).stdin(script).run().ok();
    assert_eq!(created(&server).len(), 3);
    // Not where nobody knows what is meant.
    let run = on().args(["--from-line", "8"]).stdin(script).run().fails(2);
    run.complains("line 8 is inside")
        .complains("--from-line 7 or 9");
    on().args(["--from-line", "90"])
        .stdin(script)
        .run()
        .fails(2)
        .complains("no such line");
    on().args(["--from-line", "2", "-c", "cm a"]).run().fails(2);
    on().args(["--from-line", "2", "-f", "-", "-c", "cm a"])
        .run()
        .fails(2);
    on().args(["--from-line", "0"]).stdin(script).run().fails(2);
    assert_eq!(created(&server).len(), 3);
    // A mistake before it is none of this run's.
    let run = on();
    let file = run.file("script", "nonsense\ncm h\n");
    run.args(["--from-line", "2", "-f"]).arg(file).run().ok();
    assert_eq!(created(&server).len(), 4);
}

#[test]
fn what_failed_and_what_was_not_sent_is_kept_as_a_script() {
    let script = "cm a\ncm 'bad\none'\ncm b\ncm bad; cm 'c > d'\nnonsense # no command\nsetacl bad2 bob lrs\n";
    for (keep, kept) in [
        (
            Some("-k"),
            "cm 'bad\none'\ncm bad\nnonsense\nsetacl bad2 bob lrs\n",
        ),
        (
            None,
            "cm 'bad\none'\ncm b\ncm bad\ncm 'c > d'\nnonsense\nsetacl bad2 bob lrs\n",
        ),
    ] {
        let server = willing();
        let run = Imapadm::on_port(server.port).args(keep);
        let file = run.file("kept", "what an earlier run left\n");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("a mode");
        let run = run.arg("--failed").arg(&file).stdin(script);
        let ran = run.run().fails(1).complains("-f ");
        let text = fs::read_to_string(&file).expect("it is there");
        let commands: String = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(commands, kept, "{ran}");
        let mode = fs::metadata(&file)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        // Each with its place and why.
        assert!(
            text.contains("# line 2: the server refused CREATE"),
            "{text}"
        );
        // It can be run, and does the same.
        let again = Imapadm::on_port(server.port).arg("-k");
        again.stdin(text).run().fails(1);
    }
}

#[test]
fn what_is_kept_goes_into_a_file_of_ones_own() {
    let server = willing();
    let run = Imapadm::on_port(server.port);
    let target = run.file("target", "precious\n");
    let link = run.home().join("link");
    symlink(&target, &link).expect("a link");
    let script = run.file("script", "cm bad\n");
    let home = run.home().to_owned();
    for file in [&link, &script, &home, &home.join("no/such/folder")] {
        let run = Imapadm::on_port(server.port).arg("--failed").arg(file);
        let run = run.arg("-f").arg(&script).run();
        run.fails(2).complains("--failed");
    }
    assert_eq!(
        fs::read_to_string(&target).expect("it is there"),
        "precious\n"
    );
    assert_eq!(
        fs::read_to_string(&script).expect("it is there"),
        "cm bad\n"
    );
    assert_eq!(server.connections(), 0);
}

#[test]
fn what_may_have_been_done_is_kept_as_a_comment() {
    let server = Faulty::script(|conn| {
        conn.let_in("");
        let (tag, _) = conn.expect_command();
        conn.send(format!("{tag} OK done\r\n"));
        conn.expect_line();
    });
    let run = Imapadm::on_port(server.port).args(["--format", "json"]);
    let kept = run.file("kept", "");
    let file = run.file("script", "cm a\ncm 'b\nc'\ncm d\ncm e\n");
    let run = run.arg("--failed").arg(&kept).arg("-f").arg(&file);
    let run = run
        .run()
        .fails(7)
        .complains("1 done, 1 unknown whether done: line ");
    let run = run
        .complains("2 not sent")
        .complains("check the unknown ones");
    let text = fs::read_to_string(&kept).expect("it is there");
    assert!(text.contains("\n# cm 'b\n# c'\n"), "{text}");
    assert!(text.ends_with(":5: not sent\ncm e\n"), "{text}");
    assert_eq!(
        text.lines().filter(|line| !line.starts_with('#')).count(),
        2
    );
    let last: Value =
        serde_json::from_str(run.stdout.lines().last().expect("a line")).expect("JSON");
    let summary = json!({"done": 1, "unchanged": 0, "failed": 0, "unknown": 1, "not_sent": 2});
    assert_eq!(last, json!({"summary": summary, "exit": 7}));
}

#[test]
fn with_keep_going_what_comes_after_a_loss_is_accounted_for() {
    let server = Faulty::script(|conn| {
        conn.let_in("");
        for _ in 0..42 {
            let (tag, command) = conn.expect_command();
            let answer = if command.contains("m7") {
                "NO no"
            } else {
                "OK done"
            };
            conn.send(format!("{tag} {answer}\r\n"));
        }
        conn.send("* BYE the house is on fire\r\n");
    });
    let run = Imapadm::on_port(server.port).args(["-k", "--no-pipeline"]);
    let run = run.stdin(creates(58)).run().fails(7);
    let run = run.complains("41 done, 1 failed: line 7");
    assert!(run.stderr.contains("-58"), "{run}");
    assert!(!run.stderr.contains("59"), "{run}");
}

#[test]
fn a_change_on_a_last_line_without_an_end_is_told_of() {
    let server = willing();
    let on = || Imapadm::on_port(server.port);
    let run = on().stdin("cm a\ncm user.bo").run().ok();
    run.complains("line 2: cm user.bo: warning")
        .complains("no line end");
    let before = created(&server).len();
    let run = on()
        .arg("--strict")
        .stdin("cm b\ncm user.bo")
        .run()
        .fails(2);
    run.complains("line 2").complains("no line end");
    let run = on()
        .args(["--strict", "-k"])
        .stdin("cm c\nlq x; dm user.bo")
        .run();
    run.fails(1).complains("2 done, 1 failed: line 2");
    assert_eq!(created(&server).len(), before + 2);
    assert!(!server.received().iter().any(|line| line.contains("DELETE")));
    // What changes nothing, and what is all there, is run without a word.
    for script in ["cm d\nlq x", "cm d\n# the end", "cm d\n"] {
        let run = on().arg("--strict").stdin(script).run().ok();
        assert_eq!(run.stderr, "", "{run}");
    }
    let run = on().args(["--strict", "-c", "cm e"]);
    let file = run.file("script", "cm f");
    let run = run.arg("-f").arg(file).run().ok();
    assert_eq!(run.stderr, "", "{run}");
}

#[test]
fn an_interrupt_says_how_many_were_sent_and_accounts_for_each() {
    let server = Faulty::script(|conn| {
        conn.let_in("");
        let held: Vec<_> = (0..5).map(|_| conn.expect_command().0).collect();
        // The last one stays unanswered.
        conn.stall(Duration::from_millis(300));
        for tag in &held[..4] {
            conn.send(format!("{tag} OK done\r\n"));
        }
        conn.stall(Duration::from_secs(60));
    });
    let run = Imapadm::on_port(server.port).args(["-k", "--timeout", "60"]);
    let file = run.file("script", creates(5));
    let run = run.arg("-f").arg(file);
    let child = run.start();
    let deadline = Instant::now() + SOON;
    while created(&server).len() < 5 {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(5));
    }
    signal(&child, "INT");
    let (status, stderr) = ended(child);
    assert_eq!(status, Some(130), "{stderr}");
    assert!(stderr.contains("stopping; 4 already sent"), "{stderr}");
    assert!(
        stderr.contains("interrupted: 4 done, 1 unknown whether done: line "),
        "{stderr}"
    );
}
