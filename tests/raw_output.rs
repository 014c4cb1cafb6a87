//! What comes from outside reaches a terminal only as something that can be seen: in every format, in questions, prompts,
//! traces and complaints; and a name that is shown can be typed.

use std::time::Duration;

use serde_json::{Value, json};

use super::support::certs::{self, Form, Identity, named};
use super::support::faulty::{Conn, Faulty};
use super::support::place::{objects, quoted, word};
use super::support::pty::Terminal;
use super::support::run::Imapadm;

const SOON: Duration = Duration::from_secs(15);

/// What no output may hold: controls (ESC, BEL, BS, DEL, C1), what turns the direction, and what cannot be seen.
const BAD: &str = "\x1b\x07\x08\x7f\u{80}\u{85}\u{9b}\u{9d}\u{a0}\u{ad}\u{34f}\u{61c}\u{115f}\u{1160}\u{17b4}\u{180b}\u{180e}\
    \u{200b}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{2800}\u{3000}\u{3164}\u{fe0f}\
    \u{feff}\u{ffa0}\u{fff9}\u{1bca0}\u{1d173}\u{e0041}\u{e0100}";

/// What a terminal's own answers cannot hold, as the line editor speaks in C0 controls itself.
fn is_bad_on_a_terminal(c: char) -> bool {
    BAD.contains(c) && !matches!(c, '\x1b' | '\x07' | '\x08')
}

/// A server's words: a title, a cleared screen, and all the rest.
fn evil() -> String {
    format!("e\x1b]0;owned\x07\x1b[2Jowned{BAD}vil")
}

fn literal(text: &str) -> String {
    format!("{{{}}}\r\n{text}", text.len())
}

/// Answers everything with evil words wherever the grammar has room for them.
fn answer(tag: &str, command: &str) -> String {
    let evil = evil();
    let text = literal(&evil);
    let data = match command.split(' ').next().expect("a word") {
        "LIST" if command.ends_with("\"\"") => "* LIST (\\Noselect) \".\" \"\"\r\n".into(),
        "LIST" => format!(
            "* LIST (\\Odd{}) \".\" {text}\r\n* LIST () \".\" x&AJsgLg-y\r\n* LIST () \".\" xy\r\n",
            BAD.trim_start_matches(|c: char| c.is_ascii())
        ),
        "GETACL" => format!("* ACL a {text} lr\r\n"),
        "MYRIGHTS" => format!("* MYRIGHTS a {text}\r\n"),
        "GETQUOTA" => format!("* QUOTA {text} ({evil} 1 5)\r\n"),
        "GETQUOTAROOT" => format!("* QUOTAROOT a {text}\r\n* QUOTA {text} (STORAGE 1 5)\r\n"),
        "STATUS" => format!("* STATUS {text} (MESSAGES 1)\r\n"),
        "SELECT" => format!("* FLAGS (\\Seen x{})\r\n* 1 EXISTS\r\n", BAD),
        "NAMESPACE" => format!("* NAMESPACE (({text} \".\")) NIL NIL\r\n"),
        "ID" => format!("* ID ({text} {text})\r\n"),
        "LISTRIGHTS" => format!("* LISTRIGHTS a {text} \"\" l\r\n"),
        "GETMETADATA" => format!("* METADATA a (/shared/{} {text})\r\n", "comment"),
        "CREATE" | "DELETE" => return format!("{tag} NO [{evil}] {evil}\r\n"),
        "NOOP" => format!("* OK [ALERT] {evil}\r\n* {evil} {evil}\r\n* NO {evil}\r\n"),
        "LOGOUT" => format!("* BYE {evil}\r\n"),
        _ => String::new(),
    };
    format!("{data}{tag} OK {evil}\r\n")
}

fn hostile() -> Faulty {
    Faulty::script(|conn: &mut Conn| {
        let capabilities =
            "[CAPABILITY IMAP4rev1 ACL QUOTA NAMESPACE ID METADATA UNSELECT X-\u{9b}]";
        conn.send(format!("* OK {capabilities} hi {}\r\n", evil()));
        let (tag, _) = conn.expect_command();
        conn.send(format!("{tag} OK {capabilities} in {}\r\n", evil()));
        conn.answer(answer);
    })
}

const COMMANDS: [&str; 18] = [
    "list",
    "list --status",
    "list --myrights",
    "listacl a",
    "myrights a",
    "listquota r",
    "listquotaroot a",
    "status a",
    "select a",
    "namespace",
    "id",
    "listrights a b",
    "getmetadata a comment",
    "cm a",
    "dm a",
    "noop",
    "session",
    "capability",
];

#[track_caller]
fn assert_clean(text: &str, bad: impl Fn(char) -> bool) {
    if let Some(at) = text.find(&bad) {
        let around: String = text[at..].chars().take(10).collect();
        panic!("{around:?} in {:?}", &text[..at]);
    }
}

#[test]
fn a_pipe_gets_nothing_that_a_terminal_would_obey_or_hide() {
    let server = hostile();
    for format in ["text", "json"] {
        for trace in [&[][..], &["--trace", "-"]] {
            let with_commands = |line: &dyn Fn(&str) -> String| {
                let mut run = Imapadm::on_port(server.port).args(["--format", format, "-k"]);
                run = run.args(trace.iter().copied());
                for command in COMMANDS {
                    run = run.arg("-c").arg(line(command));
                }
                run.run()
            };
            let run = with_commands(&str::to_owned);
            let typed = with_commands(&|command| format!("{command} {}", word(&evil())));
            // What was typed is no better, and is told where it can't be right.
            assert_eq!(
                (run.status, typed.status),
                (Some(1), Some(2)),
                "{run}{typed}"
            );
            for text in [&run.stdout, &run.stderr, &typed.stdout, &typed.stderr] {
                assert_clean(text, |c| BAD.contains(c));
            }
            assert!(run.stdout.contains("owned") && run.stderr.contains("owned"));
            assert!(typed.stderr.contains("owned"), "{typed}");
            assert_eq!(run.stderr.contains(" S: "), !trace.is_empty(), "{run}");
        }
    }
}

#[test]
fn json_is_what_the_server_said_all_the_same() {
    let server = hostile();
    let run = Imapadm::on_port(server.port).args(["--format", "json", "-k"]);
    let run = run
        .args(["-c", "listacl a", "-c", "id", "-c", "cm a"])
        .run();
    let all = objects(&run);
    assert_eq!(all[0]["rows"][0]["identifier"], json!(evil()), "{run}");
    assert!(all[1]["rows"].to_string().contains("owned"), "{run}");
    let words = all[2]["error"]["text"].as_str().expect("words");
    assert!(words.contains(&evil()), "{run}");
}

#[test]
fn a_terminal_gets_nothing_that_it_would_obey_or_hide() {
    let server = hostile();
    for format in ["text", "json"] {
        let run = Imapadm::on_port(server.port).args(["--format", format, "--trace", "-"]);
        let mut terminal = Terminal::spawn(&run);
        terminal.wait_for("someone@localhost>", SOON);
        for command in COMMANDS {
            terminal.type_(&format!("{command}\r"));
        }
        // A prompt that holds the name of the mailbox, a question about names, and what Tab has to offer.
        terminal.type_("select wire:x&AJsgLg-y\rdm *\r");
        terminal.wait_until("question", SOON, |screen| {
            let last = screen.trim_end().lines().last().unwrap_or_default();
            last.contains('?') && !last.contains("dm *")
        });
        terminal.type_("no\r");
        terminal.wait_until("prompt", SOON, |screen| {
            let last = screen.trim_end().lines().last().unwrap_or_default();
            last.starts_with("someone@localhost") && last.ends_with('>')
        });
        terminal.type_("status wire:\t\tx\t");
        terminal.wait_for("status 'wire:x&AJsgLg-y'", SOON);
        terminal.type_("\x15quit\r");
        terminal.exit_status(SOON);
        let sent = terminal.sent();
        let sent = String::from_utf8_lossy(&sent);
        assert_clean(&sent, is_bad_on_a_terminal);
        for trick in ["\x1b]0;", "\x1b[2Jowned"] {
            assert!(!sent.contains(trick), "{trick:?} in {sent}");
        }
    }
}

#[test]
fn a_certificate_and_a_word_of_the_command_line_are_shown_escaped() {
    let mut params = named(&["localhost"]);
    params
        .distinguished_name
        .push(rcgen::DnType::OrganizationName, evil());
    let config = Identity::self_signed(&params).config(None);
    let server = certs::serving(Form::StartTls, config);
    let mut terminal = Terminal::spawn(&Imapadm::on_tls_port(server.port));
    terminal.wait_for("?", SOON);
    terminal.type_("no\r");
    terminal.exit_status(SOON);
    let sent = terminal.sent();
    let sent = String::from_utf8_lossy(&sent);
    assert!(sent.contains("owned"), "{sent}");
    assert_clean(&sent, is_bad_on_a_terminal);
    assert!(!sent.contains("\x1b]0;"), "{sent}");
    // In a script nobody is asked, and stderr tells.
    let run = Imapadm::on_tls_port(server.port).args(["-c", "noop"]).run();
    assert_clean(&run.stderr, |c| BAD.contains(c));

    for odd in [
        format!("--{}", evil()),
        "--format=\u{9b}x".into(),
        "-\u{202e}".into(),
    ] {
        let run = Imapadm::bare().arg(&odd).run();
        assert_eq!(run.status, Some(2), "{run}");
        assert!(run.stderr.contains("--help"), "{run}");
        assert_clean(&run.stderr, |c| BAD.contains(c));
    }
}

#[test]
fn what_is_shown_can_be_typed_and_names_the_same_mailbox() {
    // A tab, a C1 control, an override, a zero-width space, a Hangul filler, a variation selector, spaces at the ends, wildcards, a
    // second meaning, a raw prefix, a shift that does not decode, quotes.
    const NAMES: [&str; 16] = [
        "a&AAk-b",
        "a&AJs-31m",
        "txt&IC4-gpj",
        "a&IAs-b",
        "&MWQ-",
        "&J2T+Dw-",
        " lead",
        "trail ",
        " ",
        "a*b",
        "a%",
        "R&--D",
        "wire:x",
        "broken&shift",
        "it's \"so\"",
        "back\\slash ",
    ];
    let server = Faulty::script(|conn: &mut Conn| {
        conn.let_in("");
        conn.answer(|tag, command| {
            let list = command.starts_with("LIST");
            let names = NAMES.iter().filter(|_| list);
            let rows: String = names
                .map(|name| format!("* LIST () \".\" {}\r\n", quoted(name)))
                .collect();
            format!("{rows}{tag} OK\r\n")
        });
    });
    for format in ["text", "json"] {
        let run = Imapadm::on_port(server.port)
            .args(["--format", format, "-c", "lm"])
            .run()
            .ok();
        let shown: Vec<String> = if format == "json" {
            let rows = objects(&run)[0]["rows"].as_array().expect("rows").clone();
            let name = |row: &Value| row["mailbox"].as_str().expect("a name").to_owned();
            rows.iter().map(name).collect()
        } else {
            let name = |line: &str| line.split('\t').next().expect("a name").to_owned();
            run.stdout.lines().map(name).collect()
        };
        assert_eq!(shown.len(), NAMES.len(), "{run}");
        for (shown, wire) in shown.iter().zip(NAMES) {
            assert_clean(shown, |c| BAD.contains(c) || c == '\t');
            assert_eq!(shown.trim(), shown);
            let before = server.received().len();
            let command = format!("subscribe {}", word(shown));
            Imapadm::on_port(server.port)
                .args(["-c", &command])
                .run()
                .ok();
            let received = server.received();
            let sent = [
                format!("SUBSCRIBE {wire}"),
                format!("SUBSCRIBE {}", quoted(wire)),
            ];
            let same = |line: &&String| sent.iter().any(|sent| line.ends_with(sent.as_str()));
            assert_eq!(
                received[before..].iter().filter(same).count(),
                1,
                "{shown}: {received:?}"
            );
        }
    }
}

#[test]
fn an_empty_raw_name_is_refused_before_anything_is_sent() {
    let server = Faulty::script(|conn: &mut Conn| {
        conn.let_in("ACL");
        conn.answer(|tag, _| format!("{tag} OK\r\n"));
    });
    for command in ["dm", "cm", "sub", "select", "lam"] {
        let line = format!("{command} wire:");
        let run = Imapadm::on_port(server.port)
            .args(["-k", "-c", &line])
            .run();
        assert!(run.stderr.contains("empty mailbox name"), "{run}");
    }
    let sent = server.received();
    assert!(!sent.iter().any(|line| line.contains("\"\"")), "{sent:?}");
}
