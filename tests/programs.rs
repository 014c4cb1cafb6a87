//! The programs in tests/examples, which show how to use the library, run against the servers.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;

use super::support::place::{Place, exists, rights_of};
use super::support::raw::{Raw, message};
use super::support::servers::{Server, cyrus, unique};

const PROGRAMS: [&str; 5] = [
    "quota_csv",
    "provisioning",
    "shared_session",
    "custom_transport",
    "idle",
];

/// Where the programs are. `cargo test --test servers` alone does not build them.
fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--locked"]);
        for program in PROGRAMS {
            cargo.args(["--example", program]);
        }
        assert!(cargo.status().expect("cargo runs").success());
        let debug = env!("CARGO_BIN_EXE_imapadm");
        PathBuf::from(debug).with_file_name("examples")
    })
}

/// A program, to be run for this server; its arguments are still to come.
fn program(name: &str, server: &Server) -> Command {
    let mut command = Command::new(folder().join(name));
    command
        .env("IMAPADM_PASSWORD", &server.password)
        .arg(format!("{}:{}", server.name(), server.imap));
    command
}

fn stdout_of(command: &mut Command) -> String {
    let output = command.output().expect("the program runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn provisioning_makes_what_is_not_there_yet_and_quota_csv_tells_of_it() {
    let server = cyrus();
    let (ann, ben) = (unique("ann"), unique("ben"));
    let mut raw = Raw::admin(server);
    raw.ok(&format!("CREATE user.{ben}"));
    let mut child = program("provisioning", server)
        .arg(&server.admin)
        .arg(&server.ca)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut stdin = child.stdin.take().expect("stdin");
    write!(stdin, "{ann} 1000\n{ben} 2000\n").expect("written");
    drop(stdin);
    let output = child.wait_with_output().expect("its end");
    assert!(output.status.success());
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!("{ann}: made\n{ben}: was there\n")
    );
    assert!(exists(&mut raw, &format!("user.{ann}")));
    assert_eq!(
        rights_of(&mut raw, &format!("user.{ann}"), "anyone"),
        Some("p".to_owned())
    );

    let table = stdout_of(
        program("quota_csv", server)
            .arg(&server.admin)
            .arg(&server.ca),
    );
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("root,resource,usage,limit,percent"));
    let own: Vec<&str> = lines.filter(|line| line.contains(&ann)).collect();
    assert_eq!(own, [format!("\"user.{ann}\",STORAGE,0,1000,0")]);
    assert!(!table.contains(&ben));
}

#[test]
fn threads_share_a_session() {
    for place in Place::both() {
        let table = stdout_of(
            program("shared_session", place.server)
                .arg(&place.user)
                .arg(&place.server.ca),
        );
        let own = table.lines().filter(|line| line.contains(&place.root));
        assert_eq!(own.count(), 1, "{table}");
    }
}

#[test]
fn a_session_runs_through_the_pipes_of_a_command() {
    let place = Place::dovecot();
    let server = place.server;
    let (host, port) = (server.name(), server.imap);
    let relay = format!("exec 3<>/dev/tcp/{host}/{port}; cat <&3 & exec cat >&3");
    let table = stdout_of(
        program("custom_transport", server)
            .arg(&place.user)
            .arg(&server.ca)
            .args(["bash", "-c", &relay]),
    );
    assert!(table.lines().any(|line| line == place.root), "{table}");
}

#[test]
fn idle_waits_for_a_new_message() {
    let place = Place::dovecot();
    let idle = |seconds: &str| {
        let mut command = program("idle", place.server);
        command
            .args([&place.user, &place.root, seconds])
            .arg(&place.server.ca);
        command
    };
    assert_eq!(stdout_of(&mut idle("1")), "nothing new\n");
    let child = idle("60")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    // Whether it waits already or selects the mailbox afterwards: another one comes until it is told.
    let output = thread::scope(|scope| {
        let waiting = scope.spawn(|| child.wait_with_output().expect("its end"));
        let mut raw = Raw::login(place.server, &place.user);
        while !waiting.is_finished() {
            raw.append(&place.root, &message("a new one"));
        }
        waiting.join().expect("its end")
    });
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "news\n");
}
