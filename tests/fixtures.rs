//! The recorded administrator sessions of history-fixtures/, replayed against real servers and compared with what they printed.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use super::support::pty::Terminal;
use super::support::raw::{Raw, message};
use super::support::run::Imapadm;
use super::support::servers::{Kind, Server};

/// What one line may take; longer means that it hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// A command whose output is known and that changes nothing: typed after each line, it tells when that line is done.
const MARKER: &str = "help quit";

const SCENARIOS: [&str; 5] = [
    "housekeeping",
    "leaver",
    "mistakes",
    "provisioning",
    "rights",
];

#[test]
fn a_department_is_provisioned() {
    replay("provisioning", |_| {});
}

#[test]
fn rights_are_fixed() {
    replay("rights", |server| {
        let mut raw = Raw::admin(server);
        let (root, s) = root(server);
        for name in ["team", "team?plans", "team?archive"] {
            let name = name.replace('?', s);
            raw.ok(&format!("CREATE {root}{name}"));
        }
        raw.ok(&format!("SETACL {root}team bob lrswipkxtea"));
        raw.ok(&format!("SETACL {root}team{s}plans dora lrs"));
    });
}

#[test]
fn a_leaver_is_cleared_out() {
    replay("leaver", |server| {
        let mut raw = Raw::admin(server);
        if server.kind == Kind::Cyrus {
            for name in [
                "alice",
                "bob",
                "bob.Sent",
                "bob.Projects",
                "bob.Projects.2023",
            ] {
                raw.ok(&format!("CREATE user.{name}"));
            }
            raw.ok("SETQUOTA user.bob (STORAGE 512000)");
            raw.ok("SETACL user.alice bob lrs");
        }
        let mut bob = Raw::login(server, "bob");
        let (inbox, s) = match server.kind {
            Kind::Cyrus => ("INBOX.", "."),
            Kind::Dovecot => ("", "/"),
        };
        if server.kind == Kind::Dovecot {
            bob.ok("CREATE Projects");
            bob.ok("CREATE Projects/2023");
            bob.ok("SETACL Projects alice lrs");
        }
        for name in ["INBOX".to_owned(), format!("{inbox}Projects{s}2023")] {
            bob.append(&name, &message("one"));
            bob.append(&name, &message("two"));
        }
    });
}

#[test]
fn a_day_of_small_mistakes() {
    replay("mistakes", |server| {
        if server.kind == Kind::Cyrus {
            Raw::admin(server).ok("CREATE user.alice");
        } else {
            Raw::login(server, "alice").ok("CREATE Projects");
        }
    });
}

#[test]
fn a_mailbox_is_tidied() {
    replay("housekeeping", |server| {
        let mut raw = Raw::admin(server);
        let name = match server.kind {
            Kind::Cyrus => "lists.announce",
            Kind::Dovecot => "Public/announce",
        };
        raw.ok(&format!("CREATE {name}"));
        if server.kind == Kind::Cyrus {
            raw.ok(&format!("SETACL {name} {} lrswipkxtea", server.admin));
        }
        for text in ["one", "two", "three", "four"] {
            raw.append(name, &message(text));
        }
        raw.ok(&format!("SELECT {name}"));
        raw.ok("STORE 2:3 +FLAGS (\\Deleted)");
        raw.ok("UNSELECT");
    });
}

/// Where a team's mailboxes are, and the hierarchy separator.
fn root(server: &Server) -> (&'static str, &'static str) {
    match server.kind {
        Kind::Cyrus => ("", "."),
        Kind::Dovecot => ("Public/", "/"),
    }
}

#[test]
fn every_fixture_is_replayed() {
    let mut scenarios = BTreeSet::new();
    let mut stray = Vec::new();
    for entry in fs::read_dir(folder()).expect("the fixtures") {
        let name = entry.expect("a file").file_name();
        let name = name.to_str().expect("a name in UTF-8").to_owned();
        match name.split('.').collect::<Vec<_>>()[..] {
            ["README", "md"] => {}
            [scenario, "cyrus" | "dovecot", "history" | "expected"] => {
                scenarios.insert(scenario.to_owned());
            }
            _ => stray.push(name),
        }
    }
    assert_eq!(stray, Vec::<String>::new(), "what are these for?");
    assert_eq!(
        scenarios.into_iter().collect::<Vec<_>>(),
        SCENARIOS.map(str::to_owned)
    );
}

#[test]
fn every_fixture_is_a_history_that_the_shell_recalls() {
    for scenario in SCENARIOS {
        for kind in [Kind::Cyrus, Kind::Dovecot] {
            let history = read(&history_file(scenario, kind));
            let last = history.lines().last().expect("a line");
            let before = history.lines().rev().nth(1).expect("a second line");
            let run = Imapadm::bare();
            run.file("state/imapadm/history", &history);
            let terminal = Terminal::start(
                Path::new(env!("CARGO_BIN_EXE_imapadm")),
                &run.arguments(),
                &run.environment(),
                (24, 160),
            );
            terminal.wait_for("imapadm> ", LIMIT);
            for line in [last, before] {
                terminal.type_("\x1b[A");
                terminal.wait_until(&format!("{line:?} recalled"), LIMIT, |screen| {
                    screen.lines().last() == Some(&format!("imapadm> {line}"))
                });
            }
        }
    }
}

/// Replays a scenario on a server of its own of each kind, and compares.
#[track_caller]
fn replay(scenario: &str, prepare: fn(&Server)) {
    let bless = std::env::var("IMAPADM_BLESS").is_ok_and(|value| value == "1");
    let mut differences = String::new();
    for server in [Server::start_cyrus(&[]), Server::start_dovecot(&[])] {
        prepare(&server);
        let history = read(&history_file(scenario, server.kind));
        let transcript = normalise(server.imap, &transcript(&server, &history));
        let expected = expected_file(scenario, server.kind);
        if bless {
            fs::write(&expected, &transcript).expect("the expected transcript is written");
        }
        let wanted = fs::read_to_string(&expected).unwrap_or_default();
        if let Some(difference) = difference(&wanted, &transcript) {
            differences.push_str(&format!("{}:\n{difference}\n", expected.display()));
        }
    }
    assert!(
        differences.is_empty(),
        "the transcript of {scenario} is another one (- expected, + now; IMAPADM_BLESS=1 rewrites it)\n{differences}"
    );
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("history-fixtures")
}

fn history_file(scenario: &str, kind: Kind) -> PathBuf {
    folder().join(format!("{scenario}.{}.history", name(kind)))
}

fn expected_file(scenario: &str, kind: Kind) -> PathBuf {
    folder().join(format!("{scenario}.{}.expected", name(kind)))
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Cyrus => "cyrus",
        Kind::Dovecot => "dovecot",
    }
}

#[track_caller]
fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines of a history and what each printed, standard output and standard error in the order in which they came.
fn transcript(server: &Server, history: &str) -> String {
    let marker = Imapadm::bare().args(["-c", MARKER]).run().ok().stdout;
    let run = Imapadm::on(server).arg("--keep-going");
    let mut program = Program::start(&run);
    let mut transcript = String::new();
    // The first line says that it is a history, not what was typed.
    let lines: Vec<_> = history.lines().skip_while(|line| *line == "#V2").collect();
    let (last, others) = lines.split_last().expect("a line");
    for line in others {
        program.write(&format!("{line}\n{MARKER}\n"));
        let output = program.read_through(&marker);
        let mut rows: Vec<_> = output.split_inclusive('\n').collect();
        if line.starts_with("lm") || line.starts_with("listmailbox") {
            // Dovecot lists in the order of the folder on its disk.
            rows.sort_unstable();
        }
        transcript.push_str(&format!("> {line}\n{}", rows.concat()));
    }
    // It may be a quit, behind which no marker would be read.
    program.write(&format!("{last}\n"));
    let (rest, status) = program.end();
    transcript.push_str(&format!("> {last}\n{}", summed_up(&rest, others.len())));
    let status = status.map_or("a signal".to_owned(), |status| status.to_string());
    transcript + &format!("(exit status {status})\n")
}

/// The program with a pipe for its script, and one for all that it prints.
struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    output: Receiver<Vec<u8>>,
    text: Vec<u8>,
}

impl Program {
    fn start(run: &Imapadm) -> Program {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let mut child = Command::new(env!("CARGO_BIN_EXE_imapadm"))
            .args(run.arguments())
            .env_clear()
            .envs(run.environment())
            .current_dir(run.home())
            .stdin(Stdio::piped())
            .stdout(writer.try_clone().expect("a second handle"))
            .stderr(writer)
            .spawn()
            .expect("the program starts");
        let (sender, output) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                // The test may have failed meanwhile.
                let _ = sender.send(buffer[..count].to_vec());
            }
        });
        Program {
            stdin: child.stdin.take(),
            child,
            output,
            text: Vec::new(),
        }
    }

    fn write(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("it is open until the end");
        stdin.write_all(text.as_bytes()).expect("the program reads");
    }

    /// What is printed before the marker.
    #[track_caller]
    fn read_through(&mut self, marker: &str) -> String {
        let deadline = Instant::now() + LIMIT;
        while !self.text.ends_with(marker.as_bytes()) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.text.extend(bytes),
                Err(error) => panic!(
                    "{error} after it printed\n{}",
                    String::from_utf8_lossy(&self.text)
                ),
            }
        }
        let length = self.text.len() - marker.len();
        let text = String::from_utf8_lossy(&self.text[..length]).into_owned();
        self.text.clear();
        renumbered(&text)
    }

    /// Ends the script; what is printed then, and the exit status.
    fn end(mut self) -> (String, Option<i32>) {
        drop(self.stdin.take());
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.text.extend(bytes),
                // It closed its output: it is ending.
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(error) => panic!("it does not end: {error}"),
            }
        }
        let status = self.child.wait().expect("it ends");
        let text = String::from_utf8_lossy(&self.text).into_owned();
        (renumbered(&text), status.code())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It is gone already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Each second line of the script is the marker; in the transcript the lines count as in the history.
fn renumbered(output: &str) -> String {
    let mut text = String::new();
    for line in output.split_inclusive('\n') {
        let place = line
            .strip_prefix("imapadm: line ")
            .and_then(|rest| rest.split_once(':'))
            .and_then(|(number, rest)| Some((number.parse::<u64>().ok()?, rest)));
        match place {
            Some((number, rest)) => {
                text.push_str(&format!("imapadm: line {}:{rest}", number.div_ceil(2)));
            }
            None => text.push_str(line),
        }
    }
    text
}

/// The output at the end, its sum without the markers.
fn summed_up(output: &str, markers: usize) -> String {
    let mut text = String::new();
    for line in output.split_inclusive('\n') {
        if line.starts_with("imapadm: ") && line.contains(" done, ") && line.contains(" failed: ") {
            text.push_str(&summary(line, markers));
        } else {
            text.push_str(line);
        }
    }
    text
}

/// The line «12 done, 2 failed: lines 3, 7» without the markers.
fn summary(line: &str, markers: usize) -> String {
    let number = |word: &str| word.trim_end_matches(',').parse::<usize>().ok();
    let mut after_colon = false;
    let mut done = false;
    let words: Vec<String> = line
        .trim_end()
        .split(' ')
        .map(|word| {
            let comma = if word.ends_with(',') { "," } else { "" };
            let new = match number(word) {
                Some(all) if !done => {
                    done = true;
                    format!("{}{comma}", all - markers)
                }
                Some(place) if after_colon => format!("{}{comma}", place.div_ceil(2)),
                _ => word.to_owned(),
            };
            after_colon |= word.starts_with("line");
            new
        })
        .collect();
    words.join(" ") + "\n"
}

/// A transcript without what differs from run to run.
fn normalise(port: u16, transcript: &str) -> String {
    let transcript = transcript.replace(&format!(":{port}"), ":PORT");
    let mut text = String::new();
    for line in transcript.split_inclusive('\n') {
        // Dovecot says how long each command took: (0.001 + 0.000 secs).
        let line = match (line.find(" ("), line.find(" secs)")) {
            (Some(begin), Some(end)) if begin < end => {
                let (head, tail) = (&line[..begin], &line[end + " secs)".len()..]);
                format!("{head} (TIME){tail}")
            }
            _ => line.to_owned(),
        };
        for word in line.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
            let end = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            let hexadecimal = |c: char| c.is_ascii_digit() || ('A'..='F').contains(&c);
            let placeholder = match end.len() {
                // UIDVALIDITY is the time of creation.
                10 if end.bytes().all(|byte| byte.is_ascii_digit()) => "UIDVALIDITY",
                // Cyrus keeps what was deleted as DELETED.user.bob.6B036C9C, with the time.
                8 if line.starts_with("DELETED.") && end.chars().all(hexadecimal) => "DELETED",
                _ => end,
            };
            text.push_str(placeholder);
            text.push_str(&word[end.len()..]);
        }
    }
    text
}

/// The lines that differ, each with what stands around it; none when nothing does.
fn difference(wanted: &str, got: &str) -> Option<String> {
    if wanted == got {
        return None;
    }
    let (wanted, got): (Vec<_>, Vec<_>) = (wanted.lines().collect(), got.lines().collect());
    // The longest common part, by the lengths of those of all pairs of ends.
    let mut longest = vec![vec![0_usize; got.len() + 1]; wanted.len() + 1];
    for (w, line) in wanted.iter().enumerate().rev() {
        for (g, other) in got.iter().enumerate().rev() {
            longest[w][g] = if line == other {
                longest[w + 1][g + 1] + 1
            } else {
                longest[w + 1][g].max(longest[w][g + 1])
            };
        }
    }
    let mut lines = Vec::new();
    let (mut w, mut g) = (0, 0);
    while w < wanted.len() || g < got.len() {
        if w < wanted.len() && g < got.len() && wanted[w] == got[g] {
            lines.push(format!("  {}", wanted[w]));
            (w, g) = (w + 1, g + 1);
        } else if g == got.len() || (w < wanted.len() && longest[w + 1][g] >= longest[w][g + 1]) {
            lines.push(format!("- {}", wanted[w]));
            w += 1;
        } else {
            lines.push(format!("+ {}", got[g]));
            g += 1;
        }
    }
    let near = |at: usize| {
        let around = at.saturating_sub(2)..(at + 3).min(lines.len());
        lines[around].iter().any(|line| !line.starts_with("  "))
    };
    let shown: Vec<_> = (0..lines.len())
        .filter(|&at| near(at))
        .map(|at| lines[at].as_str())
        .collect();
    Some(shown.join("\n"))
}

#[test]
fn the_normaliser_hides_only_what_differs_from_run_to_run() {
    let line = "imapadm: line 7: lam x: refused: NO [X] gone (0.001 + 0.000 + 0.002 secs).\n";
    assert_eq!(
        renumbered(line),
        "imapadm: line 4: lam x: refused: NO [X] gone (0.001 + 0.000 + 0.002 secs).\n"
    );
    assert_eq!(
        summary("imapadm: 12 done, 2 failed: lines 3, 7\n", 5),
        "imapadm: 7 done, 2 failed: lines 2, 4\n"
    );
    assert_eq!(
        normalise(
            20001,
            "localhost:20001 x1\t12\t1790000000 4294967295\nDELETED.user.x.6B036C9C\tCAFEBABE\nuser.CAFEBABE gone (0.001 + 0.000 secs).\n"
        ),
        "localhost:PORT x1\t12\tUIDVALIDITY UIDVALIDITY\nDELETED.user.x.DELETED\tDELETED\nuser.CAFEBABE gone (TIME).\n"
    );
    let difference = difference("a\nb\nc\nd\ne\nf\n", "a\nb\nc\nd\nx\nf\n").expect("one");
    assert_eq!(difference, "  c\n  d\n- e\n+ x\n  f");
}
