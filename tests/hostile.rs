//! Servers that are broken, hostile or slow: no panic, no hang, nothing dangerous on the terminal, and never a part
//! of an answer taken for the whole.

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::time::Duration;

use imapadm::admin::acl::GetAcl;
use imapadm::admin::mailbox::Listing;
use imapadm::auth::Credentials;
use imapadm::net::{Address, Security, Timeouts};
use imapadm::session::MailboxName;
use imapadm::{Error, Options, Session};

use super::support::faulty::{Conn, Faulty};
use super::support::run::{Imapadm, Run};

/// How long any of these runs may take, a time limit of the program's own included.
const LIMIT: Duration = Duration::from_secs(30);

/// Where in a session something goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Greeting,
    Capability,
    Login,
    /// In this command of the shell, which is sent as this IMAP command.
    Command(&'static str, &'static str),
}

const COMMANDS: [Stage; 11] = [
    Stage::Command("list", "LIST"),
    Stage::Command("listacl a", "GETACL"),
    Stage::Command("myrights a", "MYRIGHTS"),
    Stage::Command("listquota r", "GETQUOTA"),
    Stage::Command("listquotaroot a", "GETQUOTAROOT"),
    Stage::Command("status a", "STATUS"),
    Stage::Command("select a", "SELECT"),
    Stage::Command("namespace", "NAMESPACE"),
    Stage::Command("id", "ID"),
    Stage::Command("listrights a b", "LISTRIGHTS"),
    Stage::Command("getmetadata a", "GETMETADATA"),
];

fn everywhere() -> Vec<Stage> {
    let before = [Stage::Greeting, Stage::Capability, Stage::Login];
    before.into_iter().chain(COMMANDS).collect()
}

const CAPABILITIES: &str = "ACL QUOTA NAMESPACE ID METADATA";

/// A server that behaves up to this stage; what it does there is the attack's, which gets the command's tag.
fn until(stage: Stage, attack: impl Fn(&mut Conn, &str) + Send + Sync + 'static) -> Faulty {
    Faulty::script(move |conn| match stage {
        Stage::Greeting => attack(conn, "*"),
        Stage::Capability => {
            conn.send("* OK hi\r\n");
            let (tag, command) = conn.expect_command();
            assert_eq!(command, "CAPABILITY");
            attack(conn, &tag);
        }
        Stage::Login => {
            conn.send(format!("* OK [CAPABILITY IMAP4rev1 {CAPABILITIES}] hi\r\n"));
            let (tag, _) = conn.expect_command();
            attack(conn, &tag);
        }
        Stage::Command(_, verb) => {
            conn.let_in(CAPABILITIES);
            loop {
                let (tag, command) = conn.expect_command();
                if command.split(' ').next() == Some(verb) {
                    attack(conn, &tag);
                    return;
                }
                conn.send(format!("{tag} OK done\r\n"));
            }
        }
    })
}

/// Runs the stage's command, or any, against a server; whatever comes of it, it must be sound.
#[track_caller]
fn against(server: &Faulty, stage: Stage) -> Run {
    let command = match stage {
        Stage::Command(command, _) => command,
        _ => "noop",
    };
    runs(server, &["-c", command])
}

#[track_caller]
fn runs(server: &Faulty, args: &[&str]) -> Run {
    runs_for(server, "3", args)
}

/// The same with another time limit.
#[track_caller]
fn runs_for(server: &Faulty, seconds: &str, args: &[&str]) -> Run {
    let run = Imapadm::on_port(server.port)
        .args(["--timeout", seconds])
        .args(args)
        .limit(LIMIT)
        .run();
    sound(run)
}

/// No panic, and nothing that a terminal would obey.
#[track_caller]
fn sound(run: Run) -> Run {
    assert!(!run.stderr.contains("panicked"), "{run}");
    assert!(run.status.is_some(), "a signal ended it\n{run}");
    for text in [&run.stdout, &run.stderr] {
        let bad = text.chars().find(|c| {
            c.is_control() && !"\n\t".contains(*c)
                || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        });
        assert!(bad.is_none(), "{bad:?} in the output of\n{run}");
    }
    run
}

/// The exit status of a connection that ends at this stage.
fn lost_at(stage: Stage, status: Option<i32>) -> bool {
    match stage {
        Stage::Greeting => status == Some(4),
        Stage::Capability => matches!(status, Some(4 | 7)),
        Stage::Login => matches!(status, Some(6 | 7)),
        Stage::Command(..) => status == Some(7),
    }
}

/// This attack, after which nothing more can be read, at every stage.
fn ends_everything(what: &str, attack: fn(&mut Conn, &str)) {
    for stage in everywhere() {
        let server = until(stage, attack);
        let run = against(&server, stage);
        assert!(lost_at(stage, run.status), "{what} at {stage:?}:\n{run}");
        assert!(run.stdout.is_empty(), "{what} at {stage:?}:\n{run}");
        assert!(!run.stderr.is_empty(), "{what} at {stage:?}:\n{run}");
    }
}

#[test]
fn a_connection_that_closes_without_a_word() {
    ends_everything("a close", |_, _| {});
}

#[test]
fn a_reply_that_is_cut_off() {
    ends_everything("half a line", |conn, _| conn.send("* LIST (\\HasNo"));
    ends_everything("half an answer", |conn, tag| {
        conn.send(format!("{tag} O"));
    });
    ends_everything("half a literal", |conn, _| {
        conn.send("* LIST () \"/\" {10}\r\nhalf");
    });
}

#[test]
fn garbage_without_an_end() {
    ends_everything("garbage", |conn, _| {
        let mut state = 7_u32;
        let garbage: Vec<u8> = (0..5000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .filter(|byte| *byte != b'\n')
            .collect();
        conn.send(garbage);
    });
    ends_everything("NULs", |conn, _| conn.send([0; 4096]));
}

#[test]
fn a_line_that_does_not_end() {
    ends_everything("a line of 3 MiB", |conn, _| {
        conn.send("* OK ");
        for _ in 0..48 {
            conn.send([b'x'; 64 * 1024]);
        }
    });
}

#[test]
fn a_literal_longer_than_anything() {
    ends_everything("a literal of 10 GB", |conn, _| {
        conn.send("* LIST () \"/\" {10000000000}\r\nxxxx");
        conn.stall(Duration::from_millis(500));
    });
    ends_everything("a literal of 2^70", |conn, _| {
        conn.send("* LIST () \"/\" {1180591620717411303424}\r\nxxxx");
        conn.stall(Duration::from_millis(500));
    });
}

#[test]
fn parentheses_deeper_than_any_stack() {
    ends_everything("nesting", |conn, _| {
        conn.send(format!("* LIST {}", "(".repeat(900_000)));
    });
    for stage in COMMANDS {
        let Stage::Command(_, verb) = stage else {
            continue;
        };
        let name = verb.strip_prefix("GET").unwrap_or(verb);
        let server = until(stage, move |conn, tag| {
            conn.send(format!("* {name} {}\r\n", "(".repeat(900_000)));
            conn.send(format!("{tag} OK done\r\n"));
            conn.answer(|tag, _| format!("{tag} OK done\r\n"));
        });
        let run = against(&server, stage);
        assert!(matches!(run.status, Some(0 | 1)), "{stage:?}:\n{run}");
        assert!(run.stderr.len() < 10_000, "{stage:?}: {}", run.stderr.len());
    }
}

#[test]
fn a_farewell_in_the_middle_is_quoted() {
    for stage in everywhere() {
        let server = until(stage, |conn, _| {
            conn.send("* BYE the building is \x1b[5mon fire\r\n");
        });
        let run = against(&server, stage);
        assert!(lost_at(stage, run.status), "{stage:?}:\n{run}");
        run.complains("the building is").complains("on fire");
    }
}

#[test]
fn the_server_falls_silent() {
    for stage in everywhere() {
        let server = until(stage, |conn, _| conn.stall(Duration::from_secs(60)));
        let command = match stage {
            Stage::Command(command, _) => command,
            _ => "noop",
        };
        let run = runs_for(&server, "0.3", &["-c", command]);
        assert!(lost_at(stage, run.status), "{stage:?}:\n{run}");
    }
}

/// What is broken or unknown, in lines of its own.
const ODD_LINES: &str = "* XYZZY what (is \"this\"\r\n* \r\n*\r\n\r\n* 99999999999999999999999 EXISTS\r\n* 5 XYZZY\r\n\
                         * OK [\r\n* OK []\r\n* OK [UNKNOWN-CODE (((] text\r\n* FLAGS (\r\n* SEARCH 1 2\r\n";

#[test]
fn odd_lines_before_the_answer_are_borne_by_what_changes() {
    for command in [
        "cm a",
        "dm a",
        "setacl a b lr",
        "setquota r STORAGE 5",
        "setmetadata a comment x",
        "sub a",
    ] {
        let server = Faulty::script(|conn| {
            conn.let_in(CAPABILITIES);
            conn.answer(|tag, _| format!("{ODD_LINES}\u{fffd}garbage\r\n{tag} OK done\r\n"));
        });
        let run = runs(&server, &["-c", command, "-c", command]);
        assert_eq!(run.status, Some(0), "{command}:\n{run}");
        assert_eq!(run.stdout.lines().count(), 2, "{run}");
    }
}

#[test]
fn odd_lines_at_the_login_are_borne() {
    let server = Faulty::script(|conn| {
        conn.send(format!("* OK [CAPABILITY IMAP4rev1 {CAPABILITIES}] hi\r\n"));
        let (tag, _) = conn.expect_command();
        conn.send(format!("{ODD_LINES}{tag} OK in\r\n"));
        conn.answer(|tag, command| match command {
            "CAPABILITY" => format!("* CAPABILITY IMAP4rev1 ACL\r\n{tag} OK done\r\n"),
            _ => format!("{tag} OK done\r\n"),
        });
    });
    let run = runs(&server, &["-c", "cm a"]);
    assert_eq!(run.status, Some(0), "{run}");
}

#[test]
fn a_listing_shows_what_it_could_read_and_then_fails() {
    for broken in [
        "* LIST (\\HasNoChildren \"/\" broken\r\n",
        "* LIST\r\n",
        "* LIST () \"/\" \r\n",
        "* LIST () \"/\" \"unclosed\r\n",
        "* LIST () \"/\" \"bro\" ken too many\r\n",
    ] {
        let server = until(Stage::Command("list", "LIST"), move |conn, tag| {
            conn.send("* LIST (\\HasNoChildren) \"/\" good1\r\n* XYZZY 1 2 3\r\n");
            conn.send(broken);
            conn.send("* LIST (\\HasChildren) \"/\" good2\r\n");
            conn.send(format!("{tag} OK done\r\n"));
            conn.answer(|tag, _| format!("{tag} OK done\r\n"));
        });
        let run = runs(&server, &["-k", "-c", "list", "-c", "cm after"]);
        assert_eq!(run.status, Some(1), "{broken}\n{run}");
        let names = run
            .stdout
            .lines()
            .filter_map(|line| line.split('\t').next());
        assert_eq!(
            names.collect::<Vec<_>>(),
            ["good1", "good2", "after"],
            "{broken}\n{run}"
        );
        run.complains("incomplete").complains("LIST");
    }
    // What is merely unknown is none of the listing's.
    let server = until(Stage::Command("list", "LIST"), |conn, tag| {
        conn.send("* LIST () \"/\" good\r\n* XYZZY (1 \"2\") {3}\r\nabc\r\n* 7 FROB\r\n");
        conn.send(format!("{tag} OK done\r\n"));
        conn.answer(|tag, _| format!("{tag} OK done\r\n"));
    });
    let run = runs(&server, &["-c", "list"]);
    assert_eq!(run.status, Some(0), "{run}");
    assert_eq!(run.stdout.lines().count(), 1, "{run}");
}

#[test]
fn a_malformed_answer_is_a_failure_and_not_half_an_answer() {
    for (command, lines) in [
        ("listacl a", "* ACL a bob lr carol\r\n"),
        ("listacl a", "* ACL a bob (lr)\r\n"),
        ("listacl a", "* ACL\r\n"),
        ("myrights a", "* MYRIGHTS a\r\n"),
        ("getmetadata a", "* METADATA a (/shared/x)\r\n"),
        ("getmetadata a", "* METADATA a (/shared/x \"y\"\r\n"),
        ("listquota r", "* QUOTA r (STORAGE 1)\r\n"),
        ("listquota r", "* QUOTA r (STORAGE x 5)\r\n"),
        (
            "listquota r",
            "* QUOTA r (STORAGE 1 99999999999999999999999)\r\n",
        ),
        ("listquota r", "* QUOTA r STORAGE 1 5\r\n"),
        (
            "listquotaroot a",
            "* QUOTAROOT a r\r\n* QUOTA r (STORAGE 1\r\n",
        ),
        ("status a", "* STATUS a (MESSAGES)\r\n"),
        ("namespace", "* NAMESPACE\r\n"),
        ("namespace", "* NAMESPACE ((\"\" \"/\") NIL\r\n"),
        ("id", "* ID (\"name\")\r\n"),
        ("id", "* ID \"name\"\r\n"),
        ("listrights a b", "* LISTRIGHTS\r\n"),
    ] {
        let server = Faulty::script(move |conn| {
            conn.let_in(CAPABILITIES);
            conn.answer(|tag, _| format!("{lines}{tag} OK done\r\n"));
        });
        let run = runs(&server, &["-c", command]);
        assert_eq!(run.status, Some(1), "{command} {lines}\n{run}");
        assert!(run.stdout.is_empty(), "{command} {lines}\n{run}");
    }
}

#[test]
fn a_count_that_cannot_be_read_does_not_vanish() {
    for item in [
        "MESSAGES -1",
        "MESSAGES x",
        "MESSAGES 99999999999999999999999",
    ] {
        let server = Faulty::script(move |conn| {
            conn.let_in(CAPABILITIES);
            conn.answer(|tag, _| format!("* STATUS a ({item} UNSEEN 2)\r\n{tag} OK done\r\n"));
        });
        let run = runs(&server, &["-c", "status a"]);
        assert_eq!(run.status, Some(1), "{item}\n{run}");
    }
}

#[test]
fn an_answer_about_another_mailbox_is_not_taken_for_this_ones() {
    let mut taken = Vec::new();
    for (command, line) in [
        ("listacl a", "* ACL other bob lr\r\n"),
        ("myrights a", "* MYRIGHTS other lr\r\n"),
        ("status a", "* STATUS other (MESSAGES 77)\r\n"),
        ("listquota a", "* QUOTA other (STORAGE 1 77)\r\n"),
        ("listrights a bob", "* LISTRIGHTS other bob \"\" l r\r\n"),
    ] {
        let server = Faulty::script(move |conn| {
            conn.let_in(CAPABILITIES);
            conn.answer(|tag, _| format!("{line}{tag} OK done\r\n"));
        });
        let run = runs(&server, &["-c", command]);
        // Shown under its own name at the most: servers do write names in another way.
        let wrong = run.stdout.lines().any(|row| {
            let own = row.starts_with("a\t");
            own && ["bob", "77", "lr"].iter().any(|data| row.contains(data))
        });
        if wrong {
            taken.push(run.to_string());
        }
    }
    assert!(taken.is_empty(), "{}", taken.join("\n"));
}

#[test]
fn answers_out_of_order_find_their_commands() {
    let server = Faulty::script(|conn| {
        conn.let_in("ACL");
        // All three are sent ahead of each other's answers.
        let (first, _) = conn.expect_command();
        let (second, _) = conn.expect_command();
        let (third, _) = conn.expect_command();
        conn.send("* ACL three carol lrs\r\n* ACL one alice l\r\n* ACL two bob lr\r\n");
        conn.send(format!("{third} OK 3\r\n{first} OK 1\r\n{second} NO 2\r\n"));
        conn.answer(|tag, _| format!("{tag} OK done\r\n"));
    });
    let script = "listacl one\nlistacl two\nlistacl three\n";
    let run = Imapadm::on_port(server.port)
        .args(["-k", "--timeout", "5"])
        .stdin(script)
        .run();
    let run = sound(run).fails(1).complains("line 2");
    assert!(!run.stderr.contains("line 1:") && !run.stderr.contains("line 3:"));
    assert_eq!(run.stdout, "one\talice\tl\nthree\tcarol\tlrs\n", "{run}");
}

#[test]
fn a_tag_that_nobody_sent_answers_nothing() {
    let server = Faulty::script(|conn| {
        conn.let_in(CAPABILITIES);
        conn.answer(|tag, command| match command {
            "LOGOUT" => format!("{tag} OK\r\n"),
            _ => format!("zz9 OK done\r\na99999 NO no\r\na OK\r\na1 BAD\r\n{tag} OK really\r\n"),
        });
    });
    let run = runs(&server, &["-c", "cm a", "-c", "cm b"]);
    assert_eq!(run.status, Some(0), "{run}");
    assert_eq!(run.stdout, "a\tcreated\nb\tcreated\n");
    // And if no other comes, the command is not done.
    let server = Faulty::script(|conn| {
        conn.let_in(CAPABILITIES);
        conn.expect_line();
        conn.send("zz9 OK done\r\n");
        conn.stall(Duration::from_secs(60));
    });
    let run = runs(&server, &["--max-time", "1", "-c", "cm a"]);
    assert_eq!(run.status, Some(7), "{run}");
    assert_eq!(run.stdout, "");
}

#[test]
fn what_the_server_says_unasked_is_passed_on_escaped() {
    let server = Faulty::script(|conn| {
        conn.let_in(CAPABILITIES);
        conn.answer(|tag, _| {
            format!(
                "* OK [ALERT] the \x1b[2Jdisk \u{202e}is full\r\n* NO something is \x07amiss\r\n* BAD Invalid \u{9b}tag\r\n{tag} OK\r\n"
            )
        });
    });
    for format in ["text", "json"] {
        let run = runs(&server, &["--format", format, "-c", "cm a"]);
        assert_eq!(run.status, Some(0), "{run}");
        assert_eq!(run.stdout.lines().count(), 1, "{run}");
        for words in ["ALERT", "is full", "amiss", "Invalid"] {
            assert!(run.stderr.contains(words), "no {words} in {run}");
        }
    }
}

#[test]
fn nothing_that_a_terminal_obeys_is_printed() {
    const EVIL: &str = "e\x1b[2J\x1b]0;t\x07\u{202e}\u{2066}\u{9b}31m\u{200f}v\x7f\x08il";
    let literal = format!("{{{}}}\r\n{EVIL}", EVIL.len());
    let answer = {
        let literal = literal.clone();
        move |tag: &str, command: &str| {
            let data = match command.split(' ').next().expect("a word") {
                "LIST" => format!(
                    "* LIST (\\{EVIL} x) \"/\" {literal}\r\n* LIST (\\A) \"/\" {literal}\r\n"
                ),
                "GETACL" => format!("* ACL a {literal} lr\r\n"),
                "GETQUOTA" => format!("* QUOTA {literal} (STORAGE 1 5)\r\n"),
                "GETQUOTAROOT" => {
                    format!("* QUOTAROOT a {literal}\r\n* QUOTA {literal} (STORAGE 1 5)\r\n")
                }
                "STATUS" => format!("* STATUS {literal} (MESSAGES 1)\r\n"),
                "SELECT" => format!("* FLAGS (\\Seen {EVIL})\r\n* 1 EXISTS\r\n"),
                "NAMESPACE" => format!("* NAMESPACE (({literal} \"/\")) NIL NIL\r\n"),
                "ID" => format!("* ID ({literal} {literal})\r\n"),
                "LISTRIGHTS" => format!("* LISTRIGHTS a {literal} \"\" l\r\n"),
                "CREATE" => return format!("{tag} NO [{EVIL}] {EVIL}\r\n"),
                "NOOP" => return format!("{tag} BAD {EVIL}\r\n"),
                "DELETE" => format!("* BYE {EVIL}\r\n"),
                _ => String::new(),
            };
            format!("{data}{tag} OK {EVIL}\r\n")
        }
    };
    let server = Faulty::script(move |conn| {
        let code = format!("[CAPABILITY IMAP4rev1 {CAPABILITIES} X-{EVIL}]");
        conn.send(format!("* OK {code} hi {EVIL}\r\n"));
        let (tag, _) = conn.expect_command();
        conn.send(format!("{tag} OK {code} in {EVIL}\r\n"));
        conn.answer(&answer);
    });
    for command in [
        "list",
        "listacl a",
        "listquota r",
        "listquotaroot a",
        "status a",
        "select a",
        "namespace",
        "id",
        "listrights a b",
        "cm a",
        "noop",
        "dm a",
        "session",
        "capability",
    ] {
        let run = runs(&server, &["-c", command]);
        assert!(matches!(run.status, Some(0 | 1)), "{command}\n{run}");
        // What was typed is no better.
        runs(&server, &["-k", "-c", &format!("{command} '{EVIL}'")]);
    }
    let run = runs(&server, &["-c", "list"]);
    assert!(run.stdout.contains("\\x1B[2J"), "{run}");
}

#[test]
fn a_greeting_that_is_no_imap_is_shown_harmless() {
    let server = Faulty::script(|conn| conn.send("\x1b[2J\x07\u{202e}welcome\r\nmore\r\n"));
    let run = runs(&server, &["-c", "noop"]);
    assert_eq!(run.status, Some(4), "{run}");
    run.complains("welcome");
}

#[test]
fn a_literal_that_the_server_refuses_is_not_sent() {
    let server = Faulty::script(|conn| {
        conn.let_in("ACL");
        conn.answer(|tag, command| {
            if command.ends_with('}') {
                format!("{tag} NO [TOOBIG] no literals today\r\n")
            } else {
                format!("{tag} OK done\r\n")
            }
        });
    });
    let script = "setacl a 'zo\u{eb}' lr\ncm b\n";
    let run = Imapadm::on_port(server.port).arg("-k").stdin(script).run();
    let run = sound(run).fails(1).complains("no literals today");
    assert_eq!(run.stdout, "b\tcreated\n", "{run}");
    let received = server.received();
    assert!(
        received.iter().any(|line| line.ends_with('}')),
        "{received:?}"
    );
    assert!(
        !received.iter().any(|line| line.contains("zo")),
        "{received:?}"
    );
}

#[test]
fn a_continuation_out_of_nowhere_is_borne() {
    let server = Faulty::script(|conn| {
        conn.let_in("ACL");
        conn.answer(|tag, _| format!("+ go on\r\n+\r\n+ aGVsbG8=\r\n{tag} OK done\r\n"));
    });
    let run = runs(&server, &["-c", "cm a", "-c", "cm b"]);
    assert_eq!(run.status, Some(0), "{run}");
    let mut sent: Vec<_> = server.received();
    // At most one cancellation for each command, and never what a server could take for a command.
    let cancelled = sent.iter().filter(|line| *line == "*").count();
    assert!(cancelled <= 3, "{sent:?}");
    sent.retain(|line| line != "*");
    // LOGIN, the two, LOGOUT.
    assert_eq!(sent.len(), 4, "{sent:?}");
}

#[test]
fn challenges_without_end_are_ended() {
    for capability in [
        "AUTH=PLAIN",
        "AUTH=LOGIN",
        "AUTH=CRAM-MD5",
        "AUTH=PLAIN SASL-IR",
    ] {
        for challenge in ["+ \r\n", "+ aGVsbG8=\r\n", "+\r\n"] {
            let server = Faulty::script(move |conn| {
                conn.send(format!("* OK [CAPABILITY IMAP4rev1 {capability}] hi\r\n"));
                conn.expect_line();
                loop {
                    conn.send(challenge);
                    conn.expect_line();
                }
            });
            let run = runs(&server, &["-c", "noop"]);
            let what = format!("{capability} {challenge:?}");
            assert!(matches!(run.status, Some(6 | 7)), "{what}\n{run}");
            assert!(server.received().len() < 100, "{what}");
        }
    }
}

#[test]
fn a_challenge_that_is_not_base64_is_cancelled() {
    for capability in ["AUTH=PLAIN", "AUTH=LOGIN", "AUTH=CRAM-MD5"] {
        let server = Faulty::script(move |conn| {
            conn.send(format!("* OK [CAPABILITY IMAP4rev1 {capability}] hi\r\n"));
            let (tag, _) = conn.expect_command();
            conn.send("+ !!!not base64!!!\r\n");
            let line = conn.expect_line();
            assert_eq!(line, "*", "the client cancels");
            conn.send(format!("{tag} BAD cancelled\r\n"));
            conn.line();
        });
        let run = runs(&server, &["-c", "noop"]);
        assert_eq!(run.status, Some(6), "{capability}\n{run}");
        run.complains("base64").never_says("s3cret");
    }
}

#[test]
fn a_whole_session_byte_by_byte() {
    let server = Faulty::script(|conn| {
        let slowly =
            |conn: &mut Conn, text: &str| conn.send_slowly(text, Duration::from_micros(200));
        slowly(conn, "* OK [CAPABILITY IMAP4rev1 ACL] hi\r\n");
        loop {
            let (tag, command) = conn.expect_command();
            let data = match command.split(' ').next().expect("a word") {
                "LIST" => "* LIST (\\HasChildren) \"/\" {3}\r\na b\r\n* LIST () NIL \"q\\\"q\"\r\n",
                "CAPABILITY" => "* CAPABILITY IMAP4rev1 ACL\r\n",
                "GETACL" => "* ACL a \"bob smith\" lr {5}\r\ncarol lrs\r\n",
                _ => "",
            };
            slowly(conn, data);
            slowly(conn, &format!("{tag} OK done\r\n"));
        }
    });
    let run = runs(&server, &["-c", "list", "-c", "listacl a"]);
    assert_eq!(run.status, Some(0), "{run}");
    assert_eq!(
        run.stdout,
        "a b\t\\HasChildren\t/\nq\"q\t\tnone\na\tbob smith\tlr\na\tcarol\tlrs\n"
    );
}

#[test]
fn five_thousand_commands_against_a_slow_reader_with_huge_replies_do_not_lock() {
    let server = Faulty::script(|conn| {
        conn.let_in(CAPABILITIES);
        let long = "x".repeat(4 * 1024);
        for number in 0.. {
            let (tag, command) = conn.expect_command();
            let mailbox = command.strip_prefix("GETACL ").unwrap_or("none");
            // One command is read for each reply that is written whole.
            conn.send(format!("* ACL {mailbox} {long} lr\r\n{tag} OK done\r\n"));
            if number % 500 == 0 {
                conn.stall(Duration::from_millis(50));
            }
        }
    });
    let mut script = String::new();
    for number in 0..5_000 {
        writeln!(script, "listacl mailbox{number}").expect("a string");
    }
    for keep in [None, Some("-k")] {
        let run = Imapadm::on_port(server.port)
            .args(keep)
            .args(["--timeout", "10"])
            .stdin(&*script)
            .run()
            .ok();
        let rows: Vec<_> = run.stdout.lines().collect();
        assert_eq!(rows.len(), 5_000);
        for (number, row) in rows.iter().enumerate() {
            assert!(row.starts_with(&format!("mailbox{number}\tx")), "{number}");
        }
    }
}

#[test]
fn changes_ahead_of_a_server_that_is_slow_to_read_do_not_lock() {
    let server = Faulty::script(|conn| {
        conn.let_in(CAPABILITIES);
        // It reads nothing for a while, and then answers each with much.
        conn.stall(Duration::from_millis(500));
        let long = "* OK still here ".to_owned() + &"x".repeat(16 * 1024);
        conn.answer(|tag, _| format!("{long}\r\n{tag} OK done\r\n"));
    });
    let mut script = String::new();
    for number in 0..3_000 {
        writeln!(script, "cm a-name-that-is-somewhat-long-{number:0100}").expect("a string");
    }
    let run = Imapadm::on_port(server.port)
        .args(["-k", "--timeout", "10"])
        .stdin(script)
        .run()
        .ok();
    assert_eq!(run.stdout.lines().count(), 3_000);
}

#[test]
fn notices_without_end_do_not_fill_the_memory_or_the_terminal() {
    let server = Faulty::script(|conn| {
        conn.let_in(CAPABILITIES);
        let (tag, _) = conn.expect_command();
        for _ in 0..200 {
            conn.send("* NO trouble\r\n".repeat(1_000));
        }
        conn.send(format!("{tag} OK done\r\n"));
        conn.answer(|tag, _| format!("{tag} OK done\r\n"));
    });
    let run = runs(&server, &["-c", "cm a"]);
    assert_eq!(run.status, Some(0), "{}", run.status.unwrap_or(-1));
    assert!(run.stderr.lines().count() <= 1_000);
}

/// The library's own session with a server, logged in.
fn session(server: &Faulty) -> Result<Session, Error> {
    let options = Options::new(Address::Tcp {
        host: "127.0.0.1".to_owned(),
        port: server.port,
    })
    .security(Security::None)
    .timeouts(Timeouts {
        connect: Duration::from_secs(3),
        read: Duration::from_secs(3),
    });
    let mut session = Session::open(options)?;
    let credentials = Credentials::password("someone", "s3cret-Passw0rd");
    session.login(&credentials, &[])?;
    Ok(session)
}

fn listed(session: &mut Session) -> (Vec<Vec<u8>>, Result<(), Error>) {
    let mut names = Vec::new();
    let base = MailboxName::pattern("").expect("a pattern");
    let all = MailboxName::pattern("*").expect("a pattern");
    let result = session.list_each(Listing::All, &base, &all, |found| {
        names.push(found.mailbox.to_vec());
        ControlFlow::Continue(())
    });
    (names, result)
}

#[test]
fn the_library_says_that_a_listing_is_not_whole_and_goes_on() {
    let server = until(Stage::Command("list", "LIST"), |conn, tag| {
        conn.send("* LIST () \"/\" good\r\n* LIST (broken\r\n");
        conn.send(format!("{tag} OK done\r\n"));
        conn.answer(|tag, _| format!("* LIST () \"/\" whole\r\n{tag} OK done\r\n"));
    });
    let mut session = session(&server).expect("a session");
    let (names, result) = listed(&mut session);
    assert_eq!(names, [b"good"]);
    assert_eq!(result.expect_err("incomplete").kind(), "incomplete");
    assert!(session.is_open());
    let (names, result) = listed(&mut session);
    assert_eq!(names, [b"whole"]);
    result.expect("all of it");
}

#[test]
fn the_library_tells_a_lost_connection_and_stays_lost() {
    for last in [
        "",
        "* LIST () \"/\" {99999999999}\r\n",
        "* BYE bye\r\n",
        "\0\0\0",
    ] {
        let server = until(Stage::Command("list", "LIST"), move |conn, _| {
            conn.send("* LIST () \"/\" first\r\n");
            conn.send(last);
        });
        let mut session = session(&server).expect("a session");
        let (names, result) = listed(&mut session);
        assert_eq!(names, [b"first"]);
        let error = result.expect_err("it is lost");
        assert_eq!(error.kind(), "lost", "{last:?}: {error}");
        assert!(error.ends_session() && !session.is_open());
        let (names, again) = listed(&mut session);
        assert!(names.is_empty());
        assert_eq!(again.expect_err("if this happens again").kind(), "not-sent");
    }
}

#[test]
fn the_library_refuses_a_greeting_that_is_none() {
    for (greeting, kind) in [
        ("* BYE go away\r\n", "bye"),
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "not-imap"),
        ("", "not-imap"),
        ("* OK {99999999999999999999999}\r\n", ""),
    ] {
        let server = Faulty::script(move |conn| conn.send(greeting));
        let error = session(&server).expect_err("no session");
        // Status text is one line whatever it holds: the last one is a greeting, and the end comes behind it.
        if kind.is_empty() {
            assert!(matches!(error.kind(), "lost" | "connect"), "{error}");
        } else {
            assert_eq!(error.kind(), kind, "{greeting:?}: {error}");
        }
    }
}

#[test]
fn replies_that_nobody_will_ask_for_take_no_memory() {
    // Four MiB of unclaimed replies stop what is sent ahead; those of dropped tickets are not unclaimed.
    let rows = " someone lrs".repeat(10_000);
    let server = Faulty::script(move |conn| {
        conn.let_in("ACL");
        conn.answer(|tag, command| match command.strip_prefix("GETACL ") {
            Some(name) => format!("* ACL {name}{rows}\r\n{tag} OK done\r\n"),
            None => format!("{tag} OK done\r\n"),
        });
    });
    let mut session = session(&server).unwrap();
    let ask = |name: &str| GetAcl::new(MailboxName::typed(name).unwrap());
    for number in 0..100 {
        // Some are dropped before their answers are here, some behind.
        let ticket = session.submit(ask(&format!("m{number}"))).unwrap();
        if number % 2 == 0 {
            session.settle().unwrap();
        }
        drop(ticket);
    }
    session.settle().unwrap();
    assert!(!session.is_full());
    let kept: Vec<_> = (0..50)
        .map(|number| session.submit(ask(&format!("k{number}"))).unwrap())
        .collect();
    session.settle().unwrap();
    assert!(session.is_full());
    for ticket in kept {
        assert_eq!(session.wait(ticket).unwrap().entries.len(), 10_000);
    }
    assert!(!session.is_full());
}

#[test]
fn a_reply_without_end_ends_the_session() {
    let value = "v".repeat(4 << 20);
    let server = Faulty::script(move |conn| {
        conn.let_in("METADATA ACL UNSELECT");
        loop {
            let (tag, command) = conn.expect_command();
            match command.split(' ').next() {
                Some("GETMETADATA") => loop {
                    let entry = "* METADATA a (/shared/comment ";
                    conn.send(format!("{entry}{{{}}}\r\n{value})\r\n", value.len()));
                },
                // What can't be read counts too.
                Some("EXPUNGE") => loop {
                    conn.send(format!("* 1 EXPUNGE {}\r\n", &value[..1_000_000]));
                },
                _ => conn.send(format!("{tag} OK done\r\n")),
            }
        }
    });
    for (script, kind) in [
        ("getmd a comment", "changed nothing"),
        ("select a; expunge", "unknown whether it was done"),
    ] {
        Imapadm::on_port(server.port)
            .through(&["/bin/sh", "-c", "ulimit -v 1048576; exec \"$@\"", "sh"])
            .args(["-c", script])
            .run()
            .fails(7)
            .complains("is too long (over 256 MiB)")
            .complains(kind);
    }
}

#[test]
fn a_number_of_messages_that_can_not_be_is_not_believed() {
    for exists in ["18446744073709551615", "4294967295"] {
        let server = Faulty::script(move |conn| {
            conn.let_in("UNSELECT");
            conn.answer(|tag, command| match command.split(' ').next() {
                Some("SELECT") => format!("* {exists} EXISTS\r\n{tag} OK [READ-WRITE] done\r\n"),
                Some("SEARCH") => format!("* SEARCH\r\n{tag} OK done\r\n"),
                _ => format!("{tag} OK done\r\n"),
            });
        });
        Imapadm::on_port(server.port)
            .args(["-c", "select a; close"])
            .run()
            .ok();
        let searches = server.received();
        let searches = searches.iter().filter(|line| line.contains(" SEARCH "));
        assert_eq!(searches.count(), 1, "{exists}");
    }
}

#[test]
fn responses_that_nobody_asked_for_do_not_keep_a_run_from_its_end() {
    let server = Faulty::script(|conn| {
        conn.let_in("ACL");
        let _ = conn.expect_command();
        let noise = "* BLURB x\r\n".repeat(1000);
        loop {
            conn.send(&noise);
        }
    });
    for command in ["cm a", "lm", "listacl a"] {
        let run = Imapadm::on_port(server.port)
            .args(["--max-time", "1", "-c", command])
            .limit(LIMIT)
            .run()
            .fails(7)
            .complains("--max-time");
        assert!(!run.stderr.contains("in an orderly way"), "{run}");
    }
}
