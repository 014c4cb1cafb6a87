//! Whatever takes more than the one thing named says first what goes, how many and which, and asks at a terminal; a script is not asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use imapadm::MailboxName;
use imapadm::admin::many::{Purpose, Reach};
use serde_json::json;

use super::bulk::session;
use super::support::faulty::Faulty;
use super::support::place::{Place, exists, rights_of, wire_names};
use super::support::pty::Terminal;
use super::support::raw::{Raw, message};
use super::support::run::Imapadm;
use super::support::servers::{Server, cyrus, unique};

/// What any reaction may take.
const SOON: Duration = Duration::from_secs(20);

/// What rustyline sends when it begins to read a line, or an answer.
const READING: &[u8] = b"\x1b[?2004h";

/// A person at the keyboard of the shell.
struct Person {
    terminal: Terminal,
    /// Holds the scratch home.
    _run: Imapadm,
}

impl Person {
    /// Starts the shell and waits for its prompt.
    #[track_caller]
    fn at(run: Imapadm) -> Person {
        let person = Person {
            terminal: Terminal::start(
                std::path::Path::new(env!("CARGO_BIN_EXE_imapadm")),
                &run.arguments(),
                &run.environment(),
                (60, 200),
            ),
            _run: run,
        };
        person.asked_after(0, "> ");
        person
    }

    /// How often the program began to read.
    fn reads(&self) -> usize {
        let sent = self.terminal.sent();
        sent.windows(READING.len())
            .filter(|bytes| *bytes == READING)
            .count()
    }

    /// Waits until the program reads again, behind a prompt that ends so.
    #[track_caller]
    fn asked_after(&self, before: usize, prompt: &str) {
        self.terminal
            .wait_until(&format!("{prompt:?}"), SOON, |screen| {
                self.reads() > before
                    && screen
                        .lines()
                        .last()
                        .is_some_and(|last| last.trim_end().ends_with(prompt.trim_end()))
            });
    }

    /// Types a line, or other keys, and waits for the next prompt or question, which ends so. Returns what was printed meanwhile.
    #[track_caller]
    fn keys(&self, keys: &str, prompt: &str) -> String {
        let (before, reads) = (self.terminal.sent().len(), self.reads());
        self.terminal.type_(keys);
        self.asked_after(reads, prompt);
        String::from_utf8_lossy(&self.terminal.sent()[before..]).replace("\r\n", "\n")
    }

    /// A line that the shell does at once, or the answer to a question.
    #[track_caller]
    fn line(&self, line: &str) -> String {
        self.keys(&format!("{line}\r"), "> ")
    }

    /// A line that leads to a question.
    #[track_caller]
    fn asked(&self, line: &str) -> String {
        let printed = self.keys(&format!("{line}\r"), ") ");
        assert!(printed.contains("Continue? (y: yes, n: no"), "{printed}");
        printed
    }

    /// A line that leads to a question which takes a number.
    #[track_caller]
    fn asked_the_number(&self, line: &str) -> String {
        let printed = self.keys(&format!("{line}\r"), "l: list all): ");
        assert!(
            printed.contains("To continue, type the number of "),
            "{printed}"
        );
        printed
    }
}

#[track_caller]
fn assert_has(text: &str, part: &str) {
    assert!(text.contains(part), "no {part:?} in:\n{text}");
}

/// A mailbox with so many messages, some of them flagged \Deleted.
fn fill(raw: &mut Raw, name: &str, count: usize, deleted: &str) {
    raw.ok(&format!("CREATE {name}"));
    for number in 1..=count {
        raw.append(name, &message(&format!("m{number}")));
    }
    flag(raw, name, deleted);
}

fn flag(raw: &mut Raw, name: &str, deleted: &str) {
    raw.ok(&format!("SELECT {name}"));
    if !deleted.is_empty() {
        raw.ok(&format!("STORE {deleted} +FLAGS (\\Deleted)"));
    }
    raw.ok("UNSELECT");
}

/// How many messages a mailbox holds.
fn messages(raw: &mut Raw, name: &str) -> usize {
    let answer = raw.command(&format!("STATUS {name} (MESSAGES)"));
    let line = answer.named("STATUS")[0].to_owned();
    let (_, number) = line.rsplit_once("MESSAGES ").expect("a count");
    number.trim_end_matches(')').parse().expect("a number")
}

/// The commands of this name that a scripted server has read.
fn received(server: &Faulty, verb: &str) -> Vec<String> {
    let lines = server.received();
    let commands = lines
        .iter()
        .filter_map(|line| line.split_once(' ').map(|(_, command)| command));
    commands
        .filter(|command| command.split(' ').next() == Some(verb))
        .map(str::to_owned)
        .collect()
}

#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < deadline, "no {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn expunge_says_how_many_go_and_every_way_of_saying_no_keeps_them() {
    for place in Place::both() {
        let mut raw = place.raw();
        let name = place.at("ask");
        fill(&mut raw, &name, 6, "2,4:5");
        let person = Person::at(place.imapadm());
        person.line(&format!("select {name}"));
        for (answer, told) in [
            ("\r", "nothing was changed"),
            ("n\r", "nothing was changed"),
            ("no\r", "nothing was changed"),
            ("\x04", "nothing was changed"),
            ("\x03", "changed nothing"),
        ] {
            let question = person.asked("expunge");
            assert_has(
                &question,
                &format!(
                    "expunge will remove 3 messages flagged \\Deleted from {name}\n  message 2\n  messages 4 to 5\n"
                ),
            );
            let said = person.keys(answer, "> ");
            assert_has(&said, told);
            assert!(!said.contains("nothing to show"), "{said}");
            assert_eq!(messages(&mut raw, &name), 6, "after {answer:?}");
        }
        // What is no answer is asked again.
        person.asked("expunge");
        assert_has(&person.asked("maybe"), "please answer y or n");
        assert_has(&person.asked("l"), "  message 2\n  messages 4 to 5\n");
        assert_eq!(messages(&mut raw, &name), 6);
        assert_has(
            &person.line("y"),
            &format!("3 messages removed from {name}"),
        );
        assert_eq!(messages(&mut raw, &name), 3);
        // None is left to ask about.
        assert_has(&person.line("expunge"), "none was removed");
        flag(&mut raw, &name, "1");
        assert_has(
            &person.asked("expunge"),
            &format!("will remove 1 message flagged \\Deleted from {name}"),
        );
        assert_has(&person.line("YES"), "1 message removed from");
        assert_eq!(messages(&mut raw, &name), 2);
        flag(&mut raw, &name, "1");
        assert_has(&person.line("expunge --yes"), "1 message removed from");
    }
}

#[test]
fn a_yes_is_for_the_messages_that_were_shown() {
    for place in Place::both() {
        let mut raw = place.raw();
        let name = place.at("shown");
        fill(&mut raw, &name, 5, "2");
        let person = Person::at(place.imapadm());
        person.line(&format!("select {name}"));
        for command in ["expunge", "close"] {
            let question = person.asked(command);
            assert_has(&question, "will remove 1 message flagged");
            // Somebody else flags one more while the question stands.
            flag(&mut raw, &name, "4");
            let again = person.asked("y");
            assert_has(&again, "have changed");
            assert_has(&again, "will remove 2 messages flagged");
            assert_has(&again, "  message 2\n  message 4\n");
            person.line("n");
            assert_eq!(messages(&mut raw, &name), 5);
            raw.ok(&format!("SELECT {name}"));
            raw.ok("STORE 4 -FLAGS (\\Deleted)");
            raw.ok("UNSELECT");
        }
        person.asked("expunge");
        assert_has(&person.line("y"), "1 message removed");
        assert_eq!(messages(&mut raw, &name), 4);
    }
}

#[test]
fn above_twenty_the_number_has_to_be_typed() {
    for place in Place::both() {
        let mut raw = place.raw();
        let name = place.at("many");
        fill(&mut raw, &name, 24, "1:10,12:19,21:24");
        let person = Person::at(place.imapadm());
        person.line(&format!("select {name}"));
        let question = person.asked_the_number("expunge");
        assert_has(&question, "will remove 22 messages");
        assert_has(
            &question,
            "type the number of messages, 22 (n: no, l: list all)",
        );
        for wrong in ["y", "yes", "2", "222", "21"] {
            assert_has(&person.asked_the_number(wrong), "please type 22");
        }
        assert_has(&person.line(""), "nothing was changed");
        assert_eq!(messages(&mut raw, &name), 24);
        person.asked_the_number("close");
        assert_has(&person.line("22"), "closed");
        assert_eq!(messages(&mut raw, &name), 2);
        person.line(&format!("select {name}"));
        assert_has(&person.line("close"), "closed");
    }
}

#[test]
fn close_asks_only_where_messages_would_go_and_tells_how_many_went() {
    for place in Place::both() {
        let mut raw = place.raw();
        let name = place.at("shut");
        fill(&mut raw, &name, 5, "");
        let person = Person::at(place.imapadm());
        person.line(&format!("select {name}"));
        person.line("close");
        flag(&mut raw, &name, "1,5");
        // What is only examined is left as it is, and nobody is asked.
        person.line(&format!("examine {name}"));
        person.line("close");
        assert_eq!(messages(&mut raw, &name), 5);
        person.line(&format!("select {name}"));
        assert_has(
            &person.asked("close"),
            &format!(
                "close will remove 2 messages flagged \\Deleted from {name}\n  message 1\n  message 5\n"
            ),
        );
        assert_has(&person.line("n"), "nothing was changed");
        // It is still selected.
        assert_has(&person.terminal.screen(), &format!(":{name}>"));
        assert_eq!(messages(&mut raw, &name), 5);
        person.asked("close");
        let said = person.line("y");
        assert_has(&said, "closed  2");
        assert_eq!(messages(&mut raw, &name), 3);
        // A script is not asked, and is told the same.
        flag(&mut raw, &name, "1");
        let rows = place.rows(&format!("select {name}\nclose"));
        assert_eq!(
            rows,
            json!([{"mailbox": name, "closed": true, "expunged": 1}])
        );
        assert_eq!(messages(&mut raw, &name), 2);
        flag(&mut raw, &name, "1");
        let script = format!("select {name}; expunge");
        let run = place.imapadm().args(["-c", &script]);
        let mut terminal = Terminal::spawn(&run);
        assert_eq!(terminal.exit_status(SOON).exit_code(), 0);
        assert_eq!(messages(&mut raw, &name), 1);
    }
}

/// A server with one mailbox of so many messages, some flagged \Deleted as SEARCH tells; each EXPUNGE removes two. SEARCH is answered once
/// `go_on` is set.
fn mailbox_of(
    capabilities: &'static str,
    exists: u64,
    search: &'static str,
    go_on: &Arc<AtomicBool>,
) -> Faulty {
    let go_on = Arc::clone(go_on);
    Faulty::script(move |conn| {
        conn.let_in(capabilities);
        loop {
            let (tag, command) = conn.expect_command();
            let data = match command.split(' ').next().unwrap_or_default() {
                "SELECT" => format!("* {exists} EXISTS\r\n"),
                "EXAMINE" => format!("* {exists} EXISTS\r\n{tag} OK [READ-ONLY] in\r\n"),
                "SEARCH" => {
                    while !go_on.load(Ordering::SeqCst) {
                        conn.stall(Duration::from_millis(10));
                    }
                    search.to_owned()
                }
                "EXPUNGE" => "* 7 EXPUNGE\r\n* 7 EXPUNGE\r\n".to_owned(),
                _ => String::new(),
            };
            if command.starts_with("EXAMINE") {
                conn.send(data);
            } else {
                conn.send(format!("{data}{tag} OK done\r\n"));
            }
        }
    })
}

#[test]
fn what_was_typed_or_pasted_before_the_question_does_not_answer_it() {
    for (keys, later) in [
        // Typed while the program is at work, both with Enter.
        ("expunge\r", "y\r"),
        ("expunge\r", "y\ny\r\ny\n"),
        // Typed, or pasted by a terminal that doesn't say so, in one go.
        ("expunge\ry\ry\r", ""),
        // Pasted by one that does.
        ("\x1b[200~expunge\ny\nyes\n\x1b[201~\r", ""),
        ("\x1b[200~expunge\ny\n\x1b[201~\r", "y\r"),
    ] {
        let go_on = Arc::new(AtomicBool::new(false));
        let server = mailbox_of("UNSELECT", 9, "* SEARCH 7 8\r\n", &go_on);
        let person = Person::at(Imapadm::on_port(server.port));
        person.line("select INBOX");
        person.terminal.type_(keys);
        until("search", || received(&server, "SEARCH").len() == 1);
        person.terminal.type_(later);
        go_on.store(true, Ordering::SeqCst);
        person
            .terminal
            .wait_for("expunge will remove 2 messages", SOON);
        person.terminal.wait_for("Continue? (y: yes, n: no)", SOON);
        person.terminal.type_("n\r");
        person.terminal.wait_for("nothing was changed", SOON);
        person.line("noop");
        assert_eq!(
            received(&server, "EXPUNGE"),
            Vec::<String>::new(),
            "{keys:?}"
        );
    }
}

#[test]
fn after_a_no_the_rest_of_a_paste_and_of_the_line_is_not_run() {
    for keys in [
        "expunge; namespace\r",
        "\x1b[200~expunge\nnamespace\n\x1b[201~\r",
    ] {
        for answer in ["n\r", "\x03", "\x04"] {
            let go_on = Arc::new(AtomicBool::new(true));
            let server = mailbox_of("UNSELECT NAMESPACE", 9, "* SEARCH 7 8\r\n", &go_on);
            let person = Person::at(Imapadm::on_port(server.port));
            person.line("select INBOX");
            person.keys(keys, ") ");
            person.keys(answer, "> ");
            person.line("noop");
            assert_eq!(received(&server, "NAMESPACE"), Vec::<String>::new());
            assert_eq!(received(&server, "EXPUNGE"), Vec::<String>::new());
        }
    }
}

#[test]
fn what_was_only_examined_is_left_with_unselect_where_the_server_has_it() {
    let ready = Arc::new(AtomicBool::new(true));
    let server = mailbox_of("UNSELECT", 9, "* SEARCH 7 8\r\n", &ready);
    let run = Imapadm::on_port(server.port)
        .args(["-c", "examine INBOX; close"])
        .run()
        .ok();
    assert_eq!(run.stderr, "");
    assert_eq!(received(&server, "CLOSE"), Vec::<String>::new());
    assert_eq!(received(&server, "UNSELECT").len(), 1);
    // Without it CLOSE is all that there is; some servers expunge at it.
    let server = mailbox_of("ACL", 9, "* SEARCH 7 8\r\n", &ready);
    let run = Imapadm::on_port(server.port)
        .args(["--format", "json", "-c", "examine INBOX; close"])
        .run()
        .ok();
    assert_has(&run.stderr, "this server has no UNSELECT");
    assert_has(&run.stdout, "\"expunged\":null");
    let person = Person::at(Imapadm::on_port(server.port));
    person.line("examine INBOX");
    assert_has(
        &person.asked("close"),
        "close may remove 2 messages flagged \\Deleted from INBOX, although",
    );
    person.line("n");
    assert_eq!(received(&server, "CLOSE").len(), 1);
    // Nothing is flagged: nothing to ask about, and nothing to say.
    let server = mailbox_of("ACL", 9, "* SEARCH\r\n", &ready);
    let run = Imapadm::on_port(server.port)
        .args(["-c", "examine INBOX; close"])
        .run()
        .ok();
    assert_eq!(run.stderr, "");
    assert_eq!(received(&server, "CLOSE").len(), 1);
}

#[test]
fn the_flagged_messages_of_a_huge_mailbox_are_looked_for_part_by_part() {
    let ready = Arc::new(AtomicBool::new(true));
    for (capabilities, search, found) in [
        ("UNSELECT", "", ""),
        (
            "UNSELECT ESEARCH",
            "RETURN (ALL) ",
            "* ESEARCH (TAG \"x\") ALL 7,5\r\n",
        ),
    ] {
        let server = mailbox_of(capabilities, 250_000, found, &ready);
        let person = Person::at(Imapadm::on_port(server.port));
        person.line("select INBOX");
        let question = person.asked("expunge");
        assert_eq!(
            received(&server, "SEARCH")[0],
            format!("SEARCH {search}1:100000 DELETED")
        );
        if found.is_empty() {
            // A server that says OK and nothing else has not said that there are none.
            assert_has(
                &question,
                "will remove all messages flagged \\Deleted from INBOX",
            );
            assert_has(&question, "the server does not report how many");
        } else {
            assert_eq!(
                received(&server, "SEARCH")[1..],
                ["100001:200000", "200001:*"].map(|part| format!("SEARCH {search}{part} DELETED"))
            );
            assert_has(&question, "will remove 2 messages flagged");
        }
        assert_has(&person.line("n"), "nothing was changed");
    }
}

#[test]
fn an_expunge_that_is_refused_leaves_the_mailbox_selected() {
    let server = Faulty::script(|conn| {
        conn.let_in("UNSELECT");
        conn.answer(|tag, command| match command {
            "SEARCH DELETED" => format!("* SEARCH 1\r\n{tag} OK done\r\n"),
            "EXPUNGE" => format!("{tag} NO [NOPERM] you may not\r\n"),
            _ => format!("{tag} OK done\r\n"),
        });
    });
    let run = Imapadm::on_port(server.port)
        .args(["-k", "-c", "select INBOX; close; unselect"])
        .run()
        .fails(1);
    assert_has(&run.stderr, "NOPERM");
    assert_has(&run.stderr, "right e (expunge)");
    assert_eq!(received(&server, "CLOSE"), Vec::<String>::new());
    assert_eq!(received(&server, "UNSELECT").len(), 1);
}

/// A tree below `box` with messages in it, and one mailbox beside it.
fn grow(place: &Place, raw: &mut Raw) -> Vec<String> {
    let tree = ["box", "box/a", "box/b", "box/b/deep"].map(|path| place.at(path));
    for name in &tree {
        raw.ok(&format!("CREATE {name}"));
    }
    raw.ok(&format!("CREATE {}", place.at("boxer")));
    for number in 0..3 {
        raw.append(&tree[0], &message(&format!("m{number}")));
    }
    raw.append(&tree[3], &message("deep"));
    tree.to_vec()
}

#[test]
fn a_delete_of_a_tree_says_how_many_mailboxes_and_messages_go() {
    for place in Place::both() {
        let mut raw = place.raw();
        let tree = grow(&place, &mut raw);
        let pattern = format!("{}*", tree[0]);
        let person = Person::at(place.imapadm());
        for (line, what) in [
            (
                format!("dm -r {}", tree[0]),
                format!(
                    "deletemailbox will delete {} and 3 mailboxes below it: 4 messages, ",
                    tree[0]
                ),
            ),
            (
                format!("dm '{pattern}'"),
                format!("deletemailbox will delete 5 mailboxes that match {pattern}: 4 messages, "),
            ),
        ] {
            let question = person.asked(&line);
            assert_has(&question, &what);
            assert_has(&question, " bytes\n");
            for name in &tree {
                assert_has(&question, &format!("\n  {name}\n"));
            }
            assert_has(&person.line("n"), "nothing was changed");
        }
        for name in &tree {
            assert!(exists(&mut raw, name));
        }
        person.asked(&format!("dm -r {}", tree[0]));
        assert_has(&person.line("y"), "4 mailboxes deleted");
        assert!(!tree.iter().any(|name| exists(&mut raw, name)));
        // One that a pattern matches was not named.
        let question = person.asked(&format!("dm '{pattern}'"));
        assert_has(
            &question,
            &format!("1 mailbox that matches {pattern}: 0 messages"),
        );
        person.line("n");
        // The one that was named, and nothing below it: no question.
        let boxer = place.at("boxer");
        assert_has(&person.line(&format!("dm -r {boxer}")), "1 mailbox deleted");
        assert!(!exists(&mut raw, &boxer));
    }
}

#[test]
fn a_users_root_on_cyrus_takes_all_below_it_and_says_so() {
    let server = cyrus();
    let mut raw = Raw::admin(server);
    let user = format!("user.{}", unique("gone"));
    for name in ["", ".Sent", ".Trash"] {
        raw.ok(&format!("CREATE {user}{name}"));
    }
    // An administrator may not read what is not his, but is told how large it is.
    let secret = message(&"x".repeat(5000));
    raw.ok(&format!("SETACL {user} {} lrswipkxtea", server.admin));
    raw.append(&user, &secret);
    raw.ok(&format!("DELETEACL {user} {}", server.admin));
    let person = Person::at(Imapadm::on(server));
    let question = person.asked(&format!("dm {user}"));
    assert_has(
        &question,
        &format!("deletemailbox will delete {user} and 2 mailboxes below it: 9."),
    );
    assert_has(
        &question,
        " KiB, number of messages unknown (STATUS: NO Permission denied)\n",
    );
    assert_has(
        &question,
        &format!("  {user}\n  {user}.Sent\n  {user}.Trash\n"),
    );
    assert_has(&person.line(""), "nothing was changed");
    assert!(is_listed(&mut raw, &user));
    // With the right r the messages are counted.
    raw.ok(&format!("SETACL {user} {} lrx", server.admin));
    let question = person.asked(&format!("dm {user}"));
    assert_has(&question, "1 message, 9.");
    assert_has(
        &question,
        " KiB; messages unknown in 2 mailboxes (STATUS: NO Permission denied)\n",
    );
    assert_has(&person.line("yes"), "3 mailboxes deleted");
    assert!(!is_listed(&mut raw, &user) && !is_listed(&mut raw, &format!("{user}.Sent")));
    // One without anything below it is the one that was named.
    let user = format!("user.{}", unique("gone"));
    raw.ok(&format!("CREATE {user}"));
    raw.ok(&format!("SETACL {user} {} +x", server.admin));
    assert_has(&person.line(&format!("dm {user}")), "deleted");
    assert!(!is_listed(&mut raw, &user));
}

/// Whether the server lists a mailbox, whoever may read it.
fn is_listed(raw: &mut Raw, name: &str) -> bool {
    !wire_names(raw, "LIST", name).is_empty()
}

#[test]
fn a_users_root_with_a_domain_takes_all_below_it_too() {
    let server = Server::start_cyrus(&["--set", "virtdomains: userid"]);
    let mut raw = Raw::admin(&server);
    for name in [
        "user.dora",
        "user.dora.Sent",
        "user.dora.Sent.old",
        "user.dorable",
    ] {
        raw.ok(&format!("CREATE {name}@example.net"));
    }
    raw.ok("CREATE user.dora@example.com");
    raw.ok(&format!("SETACL user.dora@example.net {} +x", server.admin));
    let person = Person::at(Imapadm::on(&server));
    for line in ["dm user.dora@example.net", "dm -r user.dora@example.net"] {
        let question = person.asked(line);
        assert_has(
            &question,
            "deletemailbox will delete user.dora@example.net and 2 mailboxes below it: 0 bytes",
        );
        for name in ["user.dora", "user.dora.Sent", "user.dora.Sent.old"] {
            assert_has(&question, &format!("  {name}@example.net\n"));
        }
        person.line("n");
    }
    assert!(is_listed(&mut raw, "user.dora.Sent@example.net"));
    let run = Imapadm::on(&server)
        .args(["-c", "dm user.dora@example.net"])
        .run()
        .ok();
    let deleted = ["user.dora.Sent.old", "user.dora.Sent", "user.dora"];
    for name in deleted {
        assert_has(&run.stdout, &format!("{name}@example.net\tdeleted\n"));
        assert!(!is_listed(&mut raw, &format!("{name}@example.net")));
    }
    assert_eq!(run.stdout.lines().count(), deleted.len());
    assert!(is_listed(&mut raw, "user.dorable@example.net"));
    assert!(is_listed(&mut raw, "user.dora@example.com"));
}

#[test]
fn a_rename_of_a_tree_tells_how_many_mailboxes_moved() {
    for place in Place::both() {
        let mut raw = place.raw();
        let tree = grow(&place, &mut raw);
        let (from, to) = (&tree[0], place.at("crate"));
        let person = Person::at(place.imapadm());
        let told = person.line(&format!("renm {from} {to}"));
        let row = told
            .lines()
            .find(|line| line.contains("renamed"))
            .expect("a row");
        assert!(row.trim_end().ends_with(&format!("{to}  4")), "{told}");
        assert!(exists(&mut raw, &place.at("crate/b/deep")));
        // One alone is one.
        let told = person.line(&format!(
            "renm {} {}",
            place.at("boxer"),
            place.at("cratered")
        ));
        assert_has(&told, &format!("{}  1\n", place.at("cratered")));
    }
}

#[test]
fn a_deleted_mailbox_without_its_stamp_leads_to_those_that_are_kept() {
    let server = cyrus();
    let mut raw = Raw::admin(server);
    let name = unique("back");
    for mailbox in ["", ".Sub", ".Other"] {
        raw.ok(&format!("CREATE user.{name}{mailbox}"));
        raw.ok(&format!("SETACL user.{name}{mailbox} {} +x", server.admin));
    }
    raw.ok(&format!("DELETE user.{name}.Sub"));
    let kept = wire_names(&mut raw, "LIST", &format!("DELETED.user.{name}.*"));
    let kept: Vec<String> = kept.into_iter().collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    for (from, to) in [("Sub", "Sub"), ("Gone", "Gone")] {
        let run = Imapadm::on(server)
            .args([
                "-c",
                &format!("renm DELETED.user.{name}.{from} user.{name}.{to}"),
            ])
            .run()
            .fails(1);
        assert_has(&run.stderr, &kept[0]);
        assert_has(&run.stderr, "the deletion time is part of the name");
        assert!(!run.stderr.contains("allowusermoves"), "{run}");
    }
    // With it, it comes back.
    let run = Imapadm::on(server)
        .args(["-c", &format!("renm {} user.{name}.Sub", kept[0])])
        .run()
        .ok();
    assert_has(&run.stdout, "renamed");
    // Nothing is kept of somebody else.
    let run = Imapadm::on(server)
        .args([
            "-c",
            &format!("renm DELETED.user.{name}x.Sub user.{name}.Back"),
        ])
        .run()
        .fails(1);
    assert_has(
        &run.stderr,
        &format!("Nothing is kept below DELETED.user.{name}x"),
    );
}

#[test]
fn names_without_a_mailbox_are_not_counted_as_mailboxes() {
    let place = Place::dovecot();
    let mut raw = place.raw();
    let deep = place.at("Projekte/a/b");
    raw.ok(&format!("CREATE {deep}"));
    let top = place.at("Projekte");
    let person = Person::at(place.imapadm());
    let question = person.asked(&format!("dm -r {top}"));
    assert_has(
        &question,
        &format!("will delete 1 mailbox below {top}: 0 messages"),
    );
    assert_eq!(question.matches("\n  ").count(), 1, "{question}");
    assert_has(&question, &format!("\n  {deep}\n"));
    assert_has(&person.line("y"), "1 mailbox deleted");
    assert!(!exists(&mut raw, &deep));
}

#[test]
fn everybody_on_a_list_is_more_than_the_one_thing_named() {
    for place in Place::both() {
        let mut raw = place.raw();
        let name = place.at("list");
        raw.ok(&format!("CREATE {name}"));
        for who in ["bob", "carol"] {
            raw.ok(&format!("SETACL {name} {who} lrs"));
        }
        let person = Person::at(place.imapadm());
        let question = person.asked(&format!("dam {name} *"));
        assert_has(&question, "deleteacl will remove ");
        assert_has(&question, &format!(" identifiers from the ACL of {name}\n"));
        for who in ["bob", "carol"] {
            assert_has(&question, &format!("  {who} lrs"));
        }
        assert_has(&person.line(""), "nothing was changed");
        for who in ["bob", "carol"] {
            assert!(rights_of(&mut raw, &name, who).is_some());
        }
        // One that is named is not asked about.
        assert_has(&person.line(&format!("dam {name} bob")), "deleted");
        assert!(rights_of(&mut raw, &name, "bob").is_none());
        assert_has(&person.line(&format!("dam --yes {name} *")), "carol");
        assert!(rights_of(&mut raw, &name, "carol").is_none());
    }
}

#[test]
fn many_changes_take_their_number_and_l_lists_every_name() {
    let names: Arc<Vec<String>> = Arc::new((0..2000).map(|n| format!("m{n:04}")).collect());
    for (line, verb, does) in [
        ("deletemailbox 'm*'", "DELETE", "delete"),
        ("deleteacl 'm*' bob", "DELETEACL", "change"),
    ] {
        let theirs = Arc::clone(&names);
        let server = Faulty::script(move |conn| {
            conn.let_in("ACL LIST-EXTENDED");
            conn.answer(|tag, command| many_of(tag, command, &theirs));
        });
        let person = Person::at(Imapadm::on_port(server.port));
        let question = person.asked_the_number(line);
        assert_has(
            &question,
            &format!("will {does} 2,000 mailboxes that match m*"),
        );
        assert_has(
            &question,
            "  m0000\n  m0001\n  m0002\n  m0003\n  m0004\n  and 1,995 more\n",
        );
        if does == "delete" {
            assert_has(&question, ": 4,000 messages\n");
        }
        let all = person.asked_the_number("l");
        for name in names.iter() {
            assert_has(&all, &format!("  {name}\n"));
        }
        person.asked_the_number("y");
        assert_eq!(received(&server, verb), Vec::<String>::new());
        person.line("2,000");
        assert_eq!(received(&server, verb).len(), 2000);
    }
}

/// What a server with these mailboxes answers; each holds two messages.
fn many_of(tag: &str, command: &str, names: &[String]) -> String {
    let words: Vec<&str> = command.split(' ').collect();
    let data = match words[0] {
        "LIST" if command.ends_with("\"\"") => "* LIST (\\Noselect) \".\" \"\"\r\n".to_owned(),
        "LIST" => names
            .iter()
            .map(|name| format!("* LIST () \".\" {name}\r\n"))
            .collect(),
        "STATUS" => format!("* STATUS {} (MESSAGES 2)\r\n", words[1]),
        "GETACL" => format!("* ACL {} bob lrs\r\n", words[1]),
        _ => String::new(),
    };
    format!("{data}{tag} OK done\r\n")
}

/// A server with so many mailboxes, which answers `verb` the first so many times, and what comes after that once another command comes too.
fn falls_silent(verb: &'static str, after: usize, count: usize) -> Faulty {
    Faulty::script(move |conn| {
        conn.let_in("ACL");
        let names: Vec<String> = (0..count).map(|n| format!("m{n:04}")).collect();
        let (mut answered, mut held) = (0, String::new());
        conn.answer(|tag, command| {
            let answer = many_of(tag, command, &names);
            if command.split(' ').next() == Some(verb) {
                answered += 1;
                if answered > after {
                    held.push_str(&answer);
                    return String::new();
                }
            }
            std::mem::take(&mut held) + &answer
        });
    })
}

#[test]
fn ctrl_c_while_messages_are_counted_changes_nothing() {
    let server = falls_silent("STATUS", 3, 40);
    let person = Person::at(Imapadm::on_port(server.port));
    let reads = person.reads();
    person.terminal.type_("dm 'm*'\r");
    until("status", || received(&server, "STATUS").len() == 40);
    person.terminal.type_("\x03");
    person.asked_after(reads, "> ");
    assert_has(&person.terminal.screen(), "it changed nothing");
    assert!(!person.terminal.screen().contains("will delete"));
    assert_eq!(received(&server, "DELETE"), Vec::<String>::new());
    assert_has(&person.line("listacl x"), "bob");
    assert_eq!(received(&server, "DELETE"), Vec::<String>::new());
}

#[test]
fn counting_takes_no_longer_than_it_may_and_the_session_goes_on() {
    let server = falls_silent("STATUS", 3, 40);
    let mut imap = session(&server);
    let targets = imap
        .find(
            &Reach::Pattern(MailboxName::pattern("m*").expect("a pattern")),
            Purpose::Delete,
        )
        .expect("a listing");
    let mut steps = 0;
    let held = imap
        .holdings(&targets, Duration::from_millis(300), || steps += 1)
        .expect("what there was time for");
    assert_eq!((held.mailboxes, held.asked, held.counted), (40, 3, 3));
    assert_eq!((held.messages, steps), (6, 3));
    imap.get_acl("x").expect("the session");
}

#[test]
fn ctrl_c_stops_a_delete_with_at_most_sixteen_sent_and_accounts_for_each() {
    let server = falls_silent("DELETE", 20, 300);
    let person = Person::at(Imapadm::on_port(server.port));
    person.asked_the_number("dm 'm*'");
    let reads = person.reads();
    person.terminal.type_("300\r");
    until("deletes", || received(&server, "DELETE").len() >= 36);
    person.terminal.type_("\x03");
    person.asked_after(reads, "> ");
    // No more than that were ever sent.
    assert_eq!(received(&server, "DELETE").len(), 36);
    let sent = String::from_utf8_lossy(&person.terminal.sent()).replace("\r\n", "\n");
    assert_has(
        &sent,
        "stopping; 16 already sent, waiting for answers (Ctrl-C again gives up)",
    );
    for name in ["m0000", "m0019"] {
        assert_has(&sent, &format!("{name}  deleted"));
    }
    for name in ["m0020", "m0035"] {
        let row = sent
            .lines()
            .find(|line| line.starts_with(name))
            .expect(name);
        assert_has(
            row,
            "unknown  interrupted before DELETE was answered; it is unknown",
        );
    }
    assert_has(
        &sent,
        "interrupted; 20 of 300 were done, 264 not sent, 16 unknown whether done",
    );
    assert_has(&person.line("listacl x"), "bob");
    assert_eq!(received(&server, "DELETE").len(), 36);
}
