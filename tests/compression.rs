//! COMPRESS=DEFLATE (RFC 4978): with a real server, with a scripted one, and with what is no deflate stream.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde_json::Value;

use super::support::faulty::{Conn, Faulty};
use super::support::place::{Place, objects};
use super::support::run::{Imapadm, Run};

/// Lets a client in and answers its COMPRESS with OK; what comes behind that is the test's.
fn compressing(conn: &mut Conn) {
    conn.let_in("ACL COMPRESS=DEFLATE");
    let (tag, command) = conn.expect_command();
    assert_eq!(command, "COMPRESS DEFLATE");
    conn.send(format!("{tag} OK from here on\r\n"));
}

/// A run on such a server.
#[track_caller]
fn run(server: &Faulty, args: &[&str]) -> Run {
    let run = Imapadm::on_port(server.port)
        .args(["--compress", "--timeout", "2"])
        .args(args)
        .limit(Duration::from_secs(20))
        .run();
    assert!(!run.stderr.contains("panicked"), "{run}");
    run
}

/// The value of an item of the `session` command that ran last.
#[track_caller]
fn item(run: &Run, name: &str) -> Value {
    let objects = objects(run);
    let session = objects
        .iter()
        .rfind(|object| object["command"] == "session");
    let rows = session.expect("a session")["rows"]
        .as_array()
        .expect("rows");
    let row = rows.iter().find(|row| row["item"] == name);
    row.unwrap_or_else(|| panic!("no {name} in\n{run}"))["value"].clone()
}

#[test]
fn both_directions_are_compressed() {
    let server = Faulty::script(|conn| {
        compressing(conn);
        conn.start_deflate();
        // Whatever comes first need not be asked for.
        conn.send("* OK [ALERT] compressed\r\n");
        conn.answer(|tag, command| match command.strip_prefix("GETACL ") {
            Some(mailbox) => format!(
                "* ACL {mailbox} {} lr\r\n{tag} OK done\r\n",
                "x".repeat(9000)
            ),
            None => format!("{tag} OK done\r\n"),
        });
    });
    let script: Vec<String> = (0..500).map(|n| format!("listacl m{n}")).collect();
    let run = run(&server, &["-c", &script.join("; "), "-c", "noop"]);
    let run = run.ok().complains("ALERT: compressed");
    assert_eq!(run.stdout.lines().count(), 500);
    assert!(run.stdout.starts_with("m0\txxxx"));
}

#[test]
fn replies_are_read_while_commands_wait_for_room() {
    let server = Faulty::narrow(|conn| {
        compressing(conn);
        conn.start_deflate();
        conn.answer(|tag, command| match command.strip_prefix("GETACL ") {
            Some(mailbox) => format!(
                "* ACL {mailbox} {} lr\r\n{tag} OK done\r\n",
                noise(30_000, mailbox.len())
            ),
            None => format!("{tag} OK done\r\n"),
        });
    });
    let script: Vec<String> = (0..250)
        .map(|n| format!("listacl {}", noise(900, n)))
        .collect();
    let run = Imapadm::on_port(server.port);
    // A file, as a pipe would part it.
    let file = run.file("script", script.join("\n"));
    let run = run.args(["--compress", "--timeout", "5", "-f"]).arg(file);
    assert_eq!(run.run().ok().stdout.lines().count(), 250);
}

/// Letters that can hardly be compressed.
fn noise(length: usize, seed: usize) -> String {
    let mut state = seed as u64 + 1;
    let letters = (0..length).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + (state >> 33) as u8 % 26)
    });
    letters.collect()
}

#[test]
fn a_server_that_cannot_is_warned_of_and_worked_with() {
    let without = Faulty::script(|conn| {
        conn.let_in("ACL");
        conn.answer(|tag, _| format!("{tag} OK done\r\n"));
    });
    let run_without = run(&without, &["-c", "cm a"]).ok();
    assert_eq!(run_without.stderr.lines().count(), 1, "{run_without}");
    run_without
        .complains("warning")
        .complains("COMPRESS=DEFLATE (RFC 4978)");
    let unwilling = Faulty::script(|conn| {
        conn.let_in("COMPRESS=DEFLATE");
        conn.answer(|tag, command| match command {
            "COMPRESS DEFLATE" => format!("{tag} NO [COMPRESSIONACTIVE] not today\r\n"),
            _ => format!("{tag} OK done\r\n"),
        });
    });
    let run = run(&unwilling, &["-c", "cm a"]).ok();
    assert_eq!(run.stderr.lines().count(), 1, "{run}");
    run.complains("not today");
}

#[test]
fn nobody_compresses_unasked() {
    let server = Faulty::script(|conn| {
        conn.let_in("COMPRESS=DEFLATE");
        conn.answer(|tag, _| format!("{tag} OK done\r\n"));
    });
    Imapadm::on_port(server.port)
        .args(["-c", "cm a"])
        .run()
        .ok();
    assert!(
        !server
            .received()
            .iter()
            .any(|line| line.contains("COMPRESS"))
    );
}

#[test]
fn what_is_no_deflate_stream_ends_the_connection() {
    let attacks: [fn(&mut Conn); 5] = [
        // In clear, as if nothing had been agreed on.
        |conn| conn.send("* OK still in clear\r\na4 OK done\r\n"),
        |conn| conn.send([0xff; 5000]),
        // Half of it, and the end.
        |conn| conn.send([0x72, 0x72, 0x75]),
        // A last block, although there is no last one.
        |conn| conn.send([0x03, 0x00]),
        // Nothing but empty blocks, without end.
        |conn| loop {
            conn.send(b"\x00\x00\x00\xff\xff".repeat(1000));
        },
    ];
    for (number, attack) in attacks.into_iter().enumerate() {
        let server = Faulty::script(move |conn| {
            compressing(conn);
            attack(conn);
            conn.stall(Duration::from_millis(300));
        });
        let run = run(&server, &["-c", "listacl a"]).fails(7);
        assert!(run.stdout.is_empty(), "{number}: {run}");
        assert!(run.took < Duration::from_secs(10), "{number}: {run}");
    }
}

#[test]
fn a_bomb_fills_no_memory() {
    let mut bomb = DeflateEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(b"* OK ").expect("memory");
    for _ in 0..500 {
        bomb.write_all(&vec![b'x'; 1 << 20]).expect("memory");
    }
    let bomb = bomb.finish().expect("memory");
    assert!(bomb.len() < 1 << 20);
    let server = Faulty::script(move |conn| {
        compressing(conn);
        conn.send(&bomb);
        conn.stall(Duration::from_secs(5));
    });
    // Far less than it would be, inflated.
    let run = Imapadm::on_port(server.port)
        .args(["--compress", "-c", "listacl a"])
        .through(&["sh", "-c", "ulimit -v 400000; exec \"$@\"", "sh"]);
    run.run().fails(7).complains("1048576 bytes");
}

#[test]
fn cyrus_compresses_in_tls_and_without_also_for_the_next_user() {
    let place = Place::cyrus();
    for tls in [&[][..], &["--notls"]] {
        let on = || {
            place
                .imapadm()
                .args(["--format", "json", "--compress"])
                .args(tls)
        };
        // Cyrus cannot delete a name twice within a second.
        let a = place.at(&format!("compressed{}", tls.len()));
        let user = &place.user;
        let script = format!(
            "cm {a}\nlist {a}\ndm {a}\nauth {user}\nlist {root}\nsession\n",
            root = place.root
        );
        let run = on();
        let trace = run.home().join("trace");
        let run = run.arg("--trace").arg(&trace).stdin(script);
        let ran = run.run().ok();
        let said = std::fs::read_to_string(&trace).expect("a trace");
        assert_eq!(item(&ran, "compressed"), true, "{ran}");
        // Cyrus 3.6 ends the compression at UNAUTHENTICATE, so another user has another connection.
        assert_eq!(said.matches("COMPRESS DEFLATE").count(), 2, "{said}");
        assert!(!said.contains("UNAUTHENTICATE\n"), "{said}");
        assert_eq!(ran.stderr, "");
    }
    // Without the option nothing is.
    let run = place
        .imapadm()
        .args(["--format", "json", "-c", "session"])
        .run()
        .ok();
    assert_eq!(item(&run, "compressed"), false, "{run}");
}
