//! Many commands under way at once: no write waits for a server that waits for us, and what is printed does not tell how far ahead
//! anything was sent.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;

use super::support::certs::{Authority, Form, named, secure, trusting};
use super::support::faulty::{Conn, Faulty};
use super::support::place::Place;
use super::support::run::{Imapadm, Run};

/// So many commands with names so long that no buffer holds half of them.
const MANY: usize = 270;

fn long_name(number: usize) -> String {
    format!("m{number}{}", "x".repeat(900))
}

fn script(command: &str) -> String {
    (0..MANY)
        .map(|number| format!("{command} {}\n", long_name(number)))
        .collect()
}

/// The entries of each access control list.
const ENTRIES: usize = 50;

/// A reply of 50 KB to each GETACL: until all of it has been read, the next command is not.
fn acl(tag: &str, command: &str) -> String {
    let Some(mailbox) = command.strip_prefix("GETACL ") else {
        return format!("{tag} OK done\r\n");
    };
    let entries: String = (0..ENTRIES)
        .map(|number| format!(" user{number:01000} lrs"))
        .collect();
    format!("* ACL {mailbox}{entries}\r\n{tag} OK done\r\n")
}

#[track_caller]
fn shows_every_acl(run: Imapadm) {
    // A file, as a pipe would part it.
    let file = run.file("script", script("listacl"));
    let run = run.args(["--timeout", "5", "-f"]).arg(file).run().ok();
    assert_eq!(run.stdout.lines().count(), MANY * ENTRIES);
    let first = format!("{}\tuser{:01000}\tlrs", long_name(0), 0);
    assert!(run.stdout.starts_with(&first));
}

#[test]
fn a_server_that_reads_on_only_when_its_replies_are_read() {
    let server = Faulty::narrow(|conn| {
        conn.let_in("ACL");
        conn.answer(acl);
    });
    shows_every_acl(Imapadm::on_port(server.port));
}

#[test]
fn the_same_in_tls() {
    let authority = Authority::new("Flow");
    let config: Arc<ServerConfig> = authority.signs(&named(&["localhost"])).config(None);
    for form in Form::BOTH {
        let config = Arc::clone(&config);
        let server = Faulty::narrow(move |conn| {
            secure(conn, form, &config);
            conn.answer(|tag, command| match command {
                "CAPABILITY" => {
                    format!("* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR ACL\r\n{tag} OK done\r\n")
                }
                _ => acl(tag, command),
            });
        });
        let run = Imapadm::on_tls_port(server.port).args(form.option());
        shows_every_acl(trusting(run, &authority.pem()));
    }
}

/// Runs changes against a server that answers ten of them and then does this until the client goes.
fn ten_and_then(then: impl Fn(&mut Conn) + Send + Sync + 'static) -> Run {
    let server = Faulty::narrow(move |conn| {
        conn.let_in("");
        for _ in 0..10 {
            let (tag, _) = conn.expect_command();
            conn.send(format!("{tag} OK done\r\n"));
        }
        then(conn);
    });
    let run = Imapadm::on_port(server.port);
    let file = run.file("script", script("cm"));
    run.args(["-k", "--timeout", "1", "-f"])
        .arg(file)
        .limit(Duration::from_secs(20))
        .run()
}

#[test]
fn a_server_that_never_reads_again_ends_it_with_the_right_account() {
    let run = ten_and_then(|conn| conn.stall(Duration::from_secs(60)));
    let run = run.fails(7);
    assert_eq!(run.stdout.lines().count(), 10, "{run}");
    assert!(run.took < Duration::from_secs(10), "{:?}", run.took);
    // Those that could not be sent any more are known not to be done.
    run.complains("time limit")
        .complains("10 done, ")
        .complains(" unknown whether done: ")
        .complains(" not sent: ")
        .complains("script:11-");
}

#[test]
fn a_server_that_hangs_up_while_it_is_written_to_is_heard_out() {
    let run = ten_and_then(|conn| {
        conn.send("* BYE the disk is full\r\n");
        conn.close_sending();
        conn.stall(Duration::from_secs(60));
    })
    .fails(7);
    assert_eq!(run.stdout.lines().count(), 10, "{run}");
    run.complains("the disk is full").complains("10 done");
}

/// 640 commands of many kinds, all of which can be repeated; every so often one that fails.
fn mixed(place: &Place) -> String {
    let mut script = String::new();
    for number in 0..80 {
        let (one, other) = (format!("b{}", number % 10), format!("b{}", number % 7));
        let (one, other) = (place.at(&one), place.at(&other));
        let rights = ["lr", "lrs", "lrsw", "none"][number % 4];
        script.push_str(&format!(
            "listacl {one}\nsetacl {one} bob {rights}\nlistacl {one}\nmyrights {other}\nlistquotaroot {one}\nlist {other}\n"
        ));
        script.push_str(&match number % 3 {
            0 => format!("cm {one}\nlistacl {}\n", place.at("nowhere")),
            1 => format!("dm {}\nmyrights {one}\n", place.at("nowhere")),
            _ => format!("setacl {other} carol lr\ndeleteacl {other} carol\n"),
        });
    }
    script
}

/// Without what Dovecot tells of the moment: how long a command took, and whether a mailbox was opened since something came in.
fn without_the_moment(text: &str) -> String {
    let mut text = text.to_owned();
    for mark in ["Marked", "UnMarked"] {
        text = text
            .replace(&format!(",\"\\\\{mark}\""), "")
            .replace(&format!(" \\{mark}"), "");
    }
    let parts = text.split(" secs)");
    parts
        .map(|part| match part.rsplit_once(" (") {
            Some((before, time)) if !time.contains(|c: char| !"0123456789.+ ".contains(c)) => {
                before
            }
            _ => part,
        })
        .collect()
}

#[test]
fn nothing_tells_how_far_ahead_commands_were_sent() {
    for place in Place::both() {
        let mut raw = place.raw();
        for number in 0..10 {
            raw.ok(&format!("CREATE {}", place.at(&format!("b{number}"))));
        }
        let script = mixed(&place);
        assert_eq!(script.lines().count(), 640);
        // What every run finds is what one to the end leaves.
        let restore = || place.imapadm().arg("-k").stdin(&*script).run().fails(1);
        restore();
        for keep_going in [&["-k"][..], &[]] {
            for format in ["text", "json"] {
                let run = |more: &[&str]| {
                    if keep_going.is_empty() {
                        restore();
                    }
                    let run = place
                        .imapadm()
                        .args(["--format", format])
                        .args(keep_going)
                        .args(more);
                    run.stdin(&*script).run().fails(1)
                };
                let (ahead, patient) = (run(&[]), run(&["--no-pipeline"]));
                assert!(ahead.stdout.len() > 100, "{ahead}");
                let texts = [
                    (&ahead.stdout, &patient.stdout),
                    (&ahead.stderr, &patient.stderr),
                ];
                for (ahead, patient) in texts {
                    let (ahead, patient) = (without_the_moment(ahead), without_the_moment(patient));
                    for (ahead, patient) in ahead.lines().zip(patient.lines()) {
                        assert_eq!(ahead, patient, "{format} {keep_going:?}");
                    }
                    assert!(ahead == patient, "{format} {keep_going:?}");
                }
            }
        }
    }
}
