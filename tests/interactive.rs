//! The shell at a keyboard: prompt, passwords, Ctrl-C, completion, history, and what a terminal shows.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::support::faulty::{Conn, Faulty};
use super::support::pty::Terminal;
use super::support::raw::Raw;
use super::support::run::Imapadm;
use super::support::servers::{Kind, Server, cyrus, dovecot, unique};

/// What any reaction may take; less than the program's own time limit, so that waiting for that one fails.
const SOON: Duration = Duration::from_secs(15);

/// What rustyline sends when it begins to read a line, and when it has one.
const READING: &[u8] = b"\x1b[?2004h";
const READ: &[u8] = b"\x1b[?2004l";

/// The program in a terminal, waiting at its prompt.
struct Keyboard {
    terminal: Terminal,
    /// Holds the scratch home.
    run: Imapadm,
}

impl Keyboard {
    /// Starts the program and waits for its first prompt.
    #[track_caller]
    fn at(run: Imapadm) -> Keyboard {
        let keyboard = Keyboard::starting(run);
        keyboard.wait_for_prompt(0);
        keyboard
    }

    /// Starts the program.
    fn starting(run: Imapadm) -> Keyboard {
        let terminal = Terminal::spawn(&run);
        Keyboard { terminal, run }
    }

    /// Runs a shell command in the terminal; the program is `"$IMAPADM"`, its arguments are `$ARGUMENTS`.
    fn in_sh(run: Imapadm, command: &str) -> Keyboard {
        let mut environment = run.environment();
        let program = env!("CARGO_BIN_EXE_imapadm");
        environment.push(("IMAPADM".into(), program.into()));
        let arguments: Vec<_> = run
            .arguments()
            .iter()
            .map(|argument| argument.to_str().expect("an argument in UTF-8").to_owned())
            .collect();
        let command = command.replace("$ARGUMENTS", &shell_words::join(&arguments));
        let terminal = Terminal::start(
            Path::new("/bin/sh"),
            &["-c", &command],
            &environment,
            (24, 80),
        );
        Keyboard { terminal, run }
    }

    fn type_(&self, keys: &str) {
        self.terminal.type_(keys);
    }

    #[track_caller]
    fn wait_for(&self, text: &str) {
        self.terminal.wait_for(text, SOON);
    }

    /// Waits until the last line asks for a password, and the terminal no longer echoes.
    #[track_caller]
    fn wait_for_question(&self) {
        self.terminal
            .wait_until("question for a password", SOON, |screen| {
                last_line(screen).starts_with("Password for") && !self.terminal.echoes()
            });
    }

    /// Types the same wrong password as often as one is asked for.
    #[track_caller]
    fn mistype_thrice(&self, password: &str) {
        for number in 1..=3 {
            // Counted: the question before stands there until the server has answered.
            self.terminal.wait_until("question", SOON, |screen| {
                screen.matches("Password for").count() == number
                    && last_line(screen).starts_with("Password for")
                    && !self.terminal.echoes()
            });
            self.type_(&format!("{password}\r"));
        }
    }

    /// How often the program began to read a line.
    fn prompts(&self) -> usize {
        count(&self.terminal.sent(), READING)
    }

    /// Waits until the program reads a line again, after it had begun to so many times.
    #[track_caller]
    fn wait_for_prompt(&self, before: usize) {
        self.terminal
            .wait_until("new prompt", SOON, |_| self.prompts() > before);
        // The line is up to date when the prompt is drawn on it.
        self.terminal
            .wait_until("prompt", SOON, |screen| last_line(screen).contains('>'));
    }

    /// Types a line, waits for the next prompt, and returns what was printed in between.
    #[track_caller]
    fn line(&self, line: &str) -> String {
        let before = self.prompts();
        self.type_(&format!("{line}\r"));
        self.wait_for_prompt(before);
        self.printed()
    }

    /// What was printed between the last line that was read and the prompt after it.
    fn printed(&self) -> String {
        let sent = self.terminal.sent();
        let end = find_last(&sent, READING).expect("a prompt");
        let begin = find_last(&sent[..end], READ).map_or(0, |at| at + READ.len());
        let printed = String::from_utf8_lossy(&sent[begin..end]).replace("\r\n", "\n");
        // The Enter's own.
        printed.strip_prefix('\n').unwrap_or(&printed).to_owned()
    }

    /// Waits until the last line is this, blanks at its end aside.
    #[track_caller]
    fn wait_for_last_line(&self, wanted: &str) {
        self.terminal
            .wait_until(&format!("last line {wanted:?}"), SOON, |screen| {
                last_line(screen) == wanted
            });
    }

    #[track_caller]
    fn ends_with(&mut self, status: u32) {
        let ended = self.terminal.exit_status(SOON);
        assert_eq!(
            ended.exit_code(),
            status,
            "the exit status; the screen:\n{}",
            self.terminal.screen()
        );
    }

    /// Drops the line that is being typed, as a user does who has seen enough of it.
    #[track_caller]
    fn drop_line(&self) {
        let before = self.prompts();
        self.type_("\x03");
        self.wait_for_prompt(before);
    }

    fn history(&self) -> String {
        fs::read_to_string(self.history_file()).unwrap_or_default()
    }

    fn history_file(&self) -> PathBuf {
        self.run.home().join("state/imapadm/history")
    }
}

fn last_line(screen: &str) -> String {
    let line = screen.trim_end().lines().last().unwrap_or_default();
    line.trim_end().to_owned()
}

fn count(bytes: &[u8], part: &[u8]) -> usize {
    bytes
        .windows(part.len())
        .filter(|window| *window == part)
        .count()
}

fn find_last(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).rposition(|window| window == part)
}

/// Fails, with all of the output, unless it holds the text.
#[track_caller]
fn assert_has(output: &str, text: &str) {
    assert!(output.contains(text), "no {text:?} in:\n{output}");
}

#[track_caller]
fn assert_lacks(output: &str, text: &str) {
    assert!(!output.contains(text), "{text:?} in:\n{output}");
}

/// A fresh top for a test's mailboxes, and who may do as he likes below it.
fn ground(server: &'static Server) -> (Imapadm, String, Raw) {
    match server.kind {
        Kind::Cyrus => {
            let top = format!("user.{}", unique("i").replace('-', ""));
            let mut raw = Raw::admin(server);
            raw.ok(&format!("CREATE {top}"));
            raw.ok(&format!("SETACL {top} {} lrswipkxtea", server.admin));
            (Imapadm::on(server), top, raw)
        }
        Kind::Dovecot => {
            let user = server.user();
            let mut raw = Raw::login(server, &user);
            let top = unique("i");
            raw.ok(&format!("CREATE {top}"));
            (Imapadm::on(server).user(&user), top, raw)
        }
    }
}

fn separator(server: &Server) -> char {
    match server.kind {
        Kind::Cyrus => '.',
        Kind::Dovecot => '/',
    }
}

fn user_of(run: &Imapadm) -> String {
    let arguments = run.arguments();
    let at = arguments.iter().position(|argument| argument == "-u");
    let user = &arguments[at.expect("a user") + 1];
    user.to_str().expect("a user in UTF-8").to_owned()
}

/// A program that is told all about a server but its name: it starts unconnected.
fn unconnected(server: &Server) -> Imapadm {
    let run = Imapadm::bare();
    let password = run.file("password", format!("{}\n", server.password));
    run.args(["-u", &server.admin, "--cafile"])
        .arg(&server.ca)
        .arg("--password-file")
        .arg(password)
}

/// Greets a client of a scripted server, and lets it log in.
fn let_in(conn: &mut Conn) {
    conn.send("* OK [CAPABILITY IMAP4rev1 ACL UNSELECT] at your service\r\n");
    loop {
        let (tag, command) = conn.expect_command();
        let login = command.starts_with("LOGIN");
        let reply = usual(&tag, &command);
        conn.send(reply);
        if login {
            return;
        }
    }
}

/// What the scripted servers say to whatever they are not scripted for.
fn usual(tag: &str, command: &str) -> String {
    let words: Vec<_> = command.split(' ').collect();
    match words[..] {
        ["CAPABILITY"] => {
            format!("* CAPABILITY IMAP4rev1 ACL UNSELECT\r\n{tag} OK those\r\n")
        }
        ["LIST", _, "\"\""] => format!("* LIST (\\Noselect) \".\" \"\"\r\n{tag} OK that\r\n"),
        ["STATUS", mailbox, ..] => {
            format!("* STATUS {mailbox} (MESSAGES 7)\r\n{tag} OK counted\r\n")
        }
        _ => format!("{tag} OK done\r\n"),
    }
}

/// A server that holds back its answer to `STATUS slow…`, and all behind it, until it is released.
fn slow_to_tell_status() -> (Faulty, Arc<AtomicBool>) {
    let released = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&released);
    let faulty = Faulty::script(move |conn| {
        let_in(conn);
        loop {
            let (tag, command) = conn.expect_command();
            if command.starts_with("STATUS slow") {
                wait_until_released(conn, &theirs);
            }
            conn.send(usual(&tag, &command));
        }
    });
    (faulty, released)
}

/// Waits until the test says so, or ends.
fn wait_until_released(conn: &mut Conn, released: &AtomicBool) {
    while !released.load(Ordering::SeqCst) {
        conn.stall(Duration::from_millis(10));
    }
}

/// Waits until a scripted server has got a command.
#[track_caller]
fn wait_for_command(keyboard: &Keyboard, faulty: &Faulty, command: &str) {
    keyboard
        .terminal
        .wait_until(&format!("{command} at the server"), SOON, |_| {
            faulty.received().iter().any(|line| line.contains(command))
        });
}

#[test]
fn the_prompt_shows_user_host_and_mailbox_and_changes_with_them() {
    for server in [cyrus(), dovecot()] {
        let (run, top, _raw) = ground(server);
        let bare = format!("{}@localhost>", user_of(&run));
        let keyboard = Keyboard::at(run);
        keyboard.wait_for_last_line(&bare);
        let selected = keyboard.line(&format!("select {top}"));
        assert_has(&selected, "read-write");
        keyboard.wait_for_last_line(&format!("{}:{top}>", &bare[..bare.len() - 1]));
        // And commands without a mailbox mean that one.
        assert_has(&keyboard.line("lam"), &top);
        keyboard.line("unselect");
        keyboard.wait_for_last_line(&bare);
        keyboard.line(&format!("examine {top}"));
        keyboard.wait_for_last_line(&format!("{}:{top}>", &bare[..bare.len() - 1]));
        keyboard.line("close");
        keyboard.wait_for_last_line(&bare);
        assert_has(&keyboard.line("disconnect"), "disconnected");
        keyboard.wait_for_last_line("imapadm>");
        assert_has(&keyboard.line("connect"), "connected");
        keyboard.wait_for_last_line(&bare);
    }
}

#[test]
fn a_selected_mailbox_that_goes_leaves_the_prompt() {
    let server = dovecot();
    let (run, top, _raw) = ground(server);
    let bare = format!("{}@localhost>", user_of(&run));
    let keyboard = Keyboard::at(run);
    keyboard.line(&format!("cm {top}/gone"));
    keyboard.line(&format!("select {top}/gone"));
    // A select that fails leaves nothing selected (RFC 3501 section 6.3.1).
    assert_has(&keyboard.line("select no-such-mailbox"), "refused SELECT");
    keyboard.wait_for_last_line(&bare);
    assert_has(&keyboard.line("lam"), "select MAILBOX");
}

#[test]
fn an_examined_mailbox_is_not_expunged_in_silence() {
    for server in [cyrus(), dovecot()] {
        let (run, top, _raw) = ground(server);
        let keyboard = Keyboard::at(run);
        keyboard.line(&format!("examine {top}"));
        // Dovecot itself says OK to it, and removes nothing.
        assert_has(&keyboard.line("expunge"), "imapadm: ");
    }
}

#[test]
fn without_a_server_it_starts_unconnected_and_says_how_to_connect() {
    for server in [cyrus(), dovecot()] {
        let keyboard = Keyboard::at(unconnected(server));
        keyboard.wait_for_last_line("imapadm>");
        for line in [
            "lm",
            "cm x",
            "dm x",
            "lam x",
            "sam x bob lr",
            "lq x",
            "sq x 10",
            "status x",
            "select x",
            "unselect",
            "close",
            "expunge",
            "session",
            "disconnect",
            "noop",
            "namespace",
            "capability",
            "id",
            "subscribe x",
        ] {
            let answer = keyboard.line(line);
            if line == "expunge" {
                // There is no selected mailbox either; both are good advice.
                assert!(answer.contains("connect SERVER") || answer.contains("select MAILBOX"));
            } else {
                assert_has(&answer, "connect with: connect SERVER");
            }
            keyboard.wait_for_last_line("imapadm>");
        }
        assert_has(&keyboard.line("connect"), "connect SERVER");
        let connected = keyboard.line(&format!("connect localhost {}", server.imap));
        assert_has(&connected, "connected");
        keyboard.wait_for_last_line(&format!("{}@localhost>", server.admin));
        // A connection that fails says so, and leaves the session that there was.
        let refused = keyboard.line("connect localhost:1");
        assert_has(&refused, "localhost:1");
        keyboard.wait_for_last_line(&format!("{}@localhost>", server.admin));
        assert_has(&keyboard.line("status INBOX.nowhere"), "refused");
        keyboard.line(&format!("connect localhost:{}", server.imap));
        keyboard.wait_for_last_line(&format!("{}@localhost>", server.admin));
    }
}

#[test]
fn the_password_is_asked_for_and_never_shown() {
    for server in [cyrus(), dovecot()] {
        let keyboard = Keyboard::starting(Imapadm::on(server).no_password());
        keyboard.wait_for_question();
        keyboard.wait_for(&format!("Password for {}@localhost:", server.admin));
        keyboard.type_(&format!("{}\r", server.password));
        keyboard.wait_for_prompt(0);
        keyboard.wait_for_last_line(&format!("{}@localhost>", server.admin));
        let sent = String::from_utf8_lossy(&keyboard.terminal.sent()).into_owned();
        assert_lacks(&sent, &server.password);
        // What is typed later is seen again.
        assert_has(&keyboard.line("help noop"), "still answers");
        assert_lacks(&keyboard.history(), &server.password);
    }
}

#[test]
fn a_password_typed_the_moment_it_is_asked_for_is_not_shown_either() {
    let server = dovecot();
    // Whether it shows hangs on microseconds, so several times.
    for _ in 0..10 {
        let keyboard = Keyboard::starting(Imapadm::on(server).no_password());
        let deadline = Instant::now() + SOON;
        while !keyboard.terminal.sent().ends_with(b": ") {
            assert!(Instant::now() < deadline, "it asks for no password");
            std::thread::yield_now();
        }
        keyboard.type_(&format!("{}\r", server.password));
        keyboard.wait_for_prompt(0);
        let sent = String::from_utf8_lossy(&keyboard.terminal.sent()).into_owned();
        assert_lacks(&sent, &server.password);
    }
}

#[test]
fn a_wrong_password_ends_a_start_and_not_a_shell() {
    for server in [cyrus(), dovecot()] {
        let mut keyboard = Keyboard::starting(Imapadm::on(server).no_password());
        keyboard.mistype_thrice("wrong-one");
        keyboard.ends_with(6);
        keyboard.wait_for("check the user and the password");
        assert_lacks(&keyboard.terminal.screen(), "wrong-one");

        let run = Imapadm::bare()
            .args(["-u", &server.admin, "--cafile"])
            .arg(&server.ca);
        let keyboard = Keyboard::at(run);
        keyboard.type_(&format!("connect localhost:{}\r", server.imap));
        let before = keyboard.prompts();
        keyboard.mistype_thrice("wrong-one");
        keyboard.wait_for_prompt(before);
        assert_has(&keyboard.printed(), "check the user and the password");
        keyboard.wait_for_last_line("imapadm>");
        // Without a word the same server is meant.
        keyboard.type_("connect\r");
        keyboard.wait_for("imapadm> connect\n");
        keyboard.wait_for_question();
        let before = keyboard.prompts();
        keyboard.type_(&format!("{}\r", server.password));
        keyboard.wait_for_prompt(before);
        keyboard.wait_for_last_line(&format!("{}@localhost>", server.admin));
    }
}

#[test]
fn a_script_on_stdin_leaves_the_terminal_for_the_password() {
    for server in [cyrus(), dovecot()] {
        let run = Imapadm::on(server).no_password();
        let script = run.file("script", "session\n");
        let command = format!(
            "\"$IMAPADM\" $ARGUMENTS < {} > out; echo \"ended with $?\"",
            script.display()
        );
        let mut keyboard = Keyboard::in_sh(run, &command);
        keyboard.wait_for_question();
        keyboard.type_(&format!("{}\r", server.password));
        keyboard.wait_for("ended with 0");
        keyboard.ends_with(0);
        let out = fs::read_to_string(keyboard.run.home().join("out")).expect("the results");
        assert_has(&out, &format!("user\t{}\n", server.admin));
        assert_lacks(&out, "Password");
        let screen = keyboard.terminal.screen();
        assert_lacks(&screen, &server.password);
    }
}

#[test]
fn ctrl_c_drops_the_line_and_ctrl_d_leaves() {
    for server in [cyrus(), dovecot()] {
        let (run, top, mut raw) = ground(server);
        let mut keyboard = Keyboard::at(run);
        let before = keyboard.prompts();
        keyboard.type_(&format!("deletemailbox {top}"));
        keyboard.wait_for(&format!("deletemailbox {top}"));
        keyboard.type_("\x03");
        keyboard.wait_for_prompt(before);
        // The Enter finds an empty line.
        assert_eq!(keyboard.line(""), "");
        assert_eq!(keyboard.line("   "), "");
        let listed = raw.ok(&format!("LIST \"\" {top}"));
        assert_eq!(listed.len(), 1, "{listed:?}");
        assert_lacks(&keyboard.history(), "deletemailbox");
        keyboard.type_("\x04");
        keyboard.ends_with(0);
    }
}

#[test]
fn ctrl_d_ends_its_line_and_does_not_leave_a_line_that_is_begun() {
    let mut keyboard = Keyboard::in_sh(
        Imapadm::on(dovecot()),
        "\"$IMAPADM\" $ARGUMENTS; echo \"ended with $?\"",
    );
    keyboard.wait_for_prompt(0);
    keyboard.type_("helpp");
    keyboard.wait_for("> helpp");
    // With the cursor on the last p, Ctrl-D deletes it.
    keyboard.type_("\x1b[D\x04");
    let printed = keyboard.line("");
    assert_has(&printed, "createmailbox");
    keyboard.type_("\x04");
    keyboard.ends_with(0);
    keyboard.wait_for("ended with 0");
    let screen = keyboard.terminal.screen();
    assert!(
        screen.lines().any(|line| line == "ended with 0"),
        "what follows stands on the line of the prompt:\n{screen}"
    );
}

#[test]
fn quit_leaves_with_the_status_it_is_given() {
    let mut keyboard = Keyboard::at(Imapadm::on(cyrus()));
    for wrong in ["quit 256", "quit yes", "quit -1", "quit 1 2"] {
        assert_has(&keyboard.line(wrong), "usage: quit [STATUS]");
    }
    keyboard.type_("quit 3\r");
    keyboard.ends_with(3);

    let mut keyboard = Keyboard::at(unconnected(dovecot()));
    keyboard.type_("exit\r");
    keyboard.ends_with(0);

    let mut keyboard = Keyboard::at(unconnected(dovecot()));
    // What comes after it is not run.
    keyboard.type_("quit 4; quit 5\r");
    keyboard.ends_with(4);
}

#[test]
fn ctrl_c_ends_a_command_that_hangs_and_the_session_goes_on() {
    let (faulty, released) = slow_to_tell_status();
    let keyboard = Keyboard::at(Imapadm::on_port(faulty.port));
    let before = keyboard.prompts();
    keyboard.type_("status slow\r");
    wait_for_command(&keyboard, &faulty, "STATUS slow");
    keyboard.type_("\x03");
    keyboard.wait_for_prompt(before);
    assert_has(
        &keyboard.printed(),
        "interrupted before STATUS was answered",
    );
    keyboard.wait_for_last_line("someone@localhost>");
    released.store(true, Ordering::SeqCst);
    // The late answer belongs to nobody; this one is the second one's own.
    let answer = keyboard.line("status quick");
    assert_has(&answer, "quick");
    assert_lacks(&answer, "slow");
    assert_has(&keyboard.line("status again"), "again");
    assert_eq!(faulty.connections(), 1);
}

/// A server that answers everything but what is about a mailbox whose name holds «slow».
fn never_slow() -> Faulty {
    Faulty::script(|conn| {
        let_in(conn);
        loop {
            let (tag, command) = conn.expect_command();
            if !command.contains("slow") {
                conn.send(usual(&tag, &command));
            }
        }
    })
}

#[test]
fn the_advice_after_ctrl_c_fits_a_session_that_goes_on() {
    let faulty = never_slow();
    let keyboard = Keyboard::at(Imapadm::on_port(faulty.port));
    for (line, sent) in [("status slow", "STATUS slow"), ("dm slow", "DELETE slow")] {
        let before = keyboard.prompts();
        keyboard.type_(&format!("{line}\r"));
        wait_for_command(&keyboard, &faulty, sent);
        keyboard.type_("\x03");
        keyboard.wait_for_prompt(before);
        let printed = keyboard.printed();
        assert_has(&printed, "interrupted before");
        keyboard.wait_for_last_line("someone@localhost>");
        assert_lacks(&printed, "connect again");
    }
}

#[test]
fn ctrl_c_ends_all_that_was_typed_with_the_command() {
    let faulty = never_slow();
    let keyboard = Keyboard::at(Imapadm::on_port(faulty.port));
    let before = keyboard.prompts();
    // A paste: after Ctrl-C nobody wants the rest of it to be done.
    keyboard.type_("\x1b[200~status slow; dm second\ndm third\x1b[201~\r");
    wait_for_command(&keyboard, &faulty, "STATUS slow");
    keyboard.type_("\x03");
    keyboard.wait_for_prompt(before);
    keyboard.wait_for_last_line("someone@localhost>");
    let received = faulty.received().join("\n");
    assert_lacks(&received, "DELETE second");
    assert_lacks(&received, "DELETE third");
}

#[test]
fn ctrl_c_ends_a_connection_attempt_and_the_shell_stays() {
    // Greets nobody.
    let faulty = Faulty::script(|conn| conn.stall(Duration::from_secs(600)));
    let keyboard = Keyboard::at(Imapadm::bare().args(["-u", "someone"]));
    let before = keyboard.prompts();
    keyboard.type_(&format!("connect localhost:{}\r", faulty.port));
    keyboard
        .terminal
        .wait_until("connection", SOON, |_| faulty.connections() == 1);
    keyboard.type_("\x03");
    keyboard.wait_for_prompt(before);
    assert_has(&keyboard.printed(), "nterrupted");
    keyboard.wait_for_last_line("imapadm>");
    assert_has(&keyboard.line("help noop"), "still answers");
}

#[test]
fn ctrl_c_at_the_password_leaves_a_terminal_that_echoes() {
    let server = dovecot();
    let mut keyboard = Keyboard::in_sh(
        Imapadm::on(server).no_password(),
        "\"$IMAPADM\" $ARGUMENTS; echo \"ended with $?\"; stty -a; read line; echo \"got $line\"",
    );
    keyboard.wait_for_question();
    keyboard.type_("half\x03");
    keyboard.wait_for("ended with ");
    keyboard.wait_for("echoe");
    keyboard.type_("see me\r");
    keyboard.wait_for("got see me");
    let screen = keyboard.terminal.screen();
    assert_has(&screen, "ended with 130");
    assert_has(&screen, "interrupted");
    assert_has(&screen, " echo ");
    assert_has(&screen, " icanon ");
    assert_eq!(screen.matches("see me").count(), 2, "{screen}");
    assert_lacks(&screen, "half");
    keyboard.ends_with(0);
}

#[test]
fn ctrl_c_at_the_password_of_a_shell_leaves_the_shell() {
    let server = dovecot();
    let run = Imapadm::bare()
        .args(["-u", &server.admin, "--cafile"])
        .arg(&server.ca);
    let keyboard = Keyboard::at(run);
    for _ in 0..2 {
        let before = keyboard.prompts();
        keyboard.type_(&format!("connect localhost:{}\r", server.imap));
        keyboard.wait_for_question();
        keyboard.type_("half\x03");
        keyboard.wait_for_prompt(before);
        assert_has(&keyboard.printed(), "interrupted");
        keyboard.wait_for_last_line("imapadm>");
    }
    // And Ctrl-D there is no password either.
    let before = keyboard.prompts();
    keyboard.type_("connect\r");
    keyboard.wait_for_question();
    keyboard.type_("\x04");
    keyboard.wait_for_prompt(before);
    keyboard.wait_for_last_line("imapadm>");
    assert_has(&keyboard.line("help noop"), "still answers");
}

#[test]
fn tab_completes_commands_and_options() {
    let keyboard = Keyboard::at(Imapadm::on(cyrus()));
    let prompt = "cyrus@localhost> ";
    for (typed, completed) in [
        ("createm\t--p\t", "createmailbox --partition"),
        ("dele\tm\t--r\t", "deletemailbox --recursive"),
        ("unsubs\t", "unsubscribe"),
        ("noop; unsubs\t", "noop; unsubscribe"),
        ("help subs\t", "help subscribe"),
        ("sam x bob wri\t", "sam x bob write"),
        ("getmd x comm\t", "getmd x comment"),
        ("setmd x special\t", "setmd x specialuse"),
        ("lm --su\t", "lm --subscribed"),
    ] {
        keyboard.type_(typed);
        keyboard.wait_for_last_line(&format!("{prompt}{completed}"));
        keyboard.drop_line();
    }
    // Two Tabs list what there is.
    keyboard.type_("list\t\t");
    for name in [
        "listacl",
        "listmailbox",
        "listquota",
        "listquotaroot",
        "listrights",
    ] {
        keyboard.wait_for(name);
    }
    keyboard.wait_for_last_line(&format!("{prompt}list"));
    keyboard.drop_line();
    // What follows a completed word is typed right behind it.
    keyboard.type_("noo\t");
    keyboard.wait_for_last_line(&format!("{prompt}noop"));
    assert_eq!(
        keyboard.terminal.cursor().1 as usize,
        prompt.len() + "noop ".len()
    );
    keyboard.drop_line();
}

#[test]
fn tab_completes_mailboxes_level_by_level() {
    for server in [cyrus(), dovecot()] {
        let (run, top, mut raw) = ground(server);
        let prompt = format!("{}@localhost>", user_of(&run));
        let s = separator(server);
        for name in [
            "Projects",
            "Projects?North",
            "Projects?North?Plans",
            "Projects?South",
        ] {
            raw.ok(&format!(
                "CREATE {top}{s}{}",
                name.replace('?', &s.to_string())
            ));
        }
        let keyboard = Keyboard::at(run);
        if server.kind == Kind::Cyrus {
            keyboard.type_("lam use\t");
            keyboard.wait_for_last_line(&format!("{prompt} lam user."));
            keyboard.drop_line();
        }
        keyboard.type_(&format!("lam {top}{s}Proj\t"));
        keyboard.wait_for_last_line(&format!("{prompt} lam {top}{s}Projects"));
        keyboard.type_(&format!("{s}No\t"));
        keyboard.wait_for_last_line(&format!("{prompt} lam {top}{s}Projects{s}North"));
        keyboard.type_(&format!("{s}P\t"));
        let plans = format!("{top}{s}Projects{s}North{s}Plans");
        keyboard.wait_for_last_line(&format!("{prompt} lam {plans}"));
        assert_has(&keyboard.line(""), &plans);
        // The second of two names, and the names of one level only.
        keyboard.type_(&format!("rename {plans} {top}{s}Projects{s}\t\t"));
        keyboard.wait_for("Projects/South".replace('/', &s.to_string()).as_str());
        keyboard.drop_line();
    }
}

#[test]
fn a_name_with_blanks_quotes_and_foreign_letters_is_completed_so_that_it_works() {
    for server in [cyrus(), dovecot()] {
        let (run, top, mut raw) = ground(server);
        let s = separator(server);
        let mut names = vec![
            ("Nuit blanche", "Nuit blanche"),
            ("Don't", "Don't"),
            ("&ZeVnLIqe-", "日本語"),
            ("&AMQ-rger (1)", "Ärger (1)"),
            ("R&-D $HOME", "R&D $HOME"),
        ];
        if server.kind == Kind::Dovecot {
            names.push(("say \\\"yes\\\"", "say \"yes\""));
            names.push(("back\\\\slash", "back\\slash"));
        }
        for (wire, _) in &names {
            raw.ok(&format!("CREATE \"{top}{s}{wire}\""));
        }
        let keyboard = Keyboard::at(run);
        for (_, name) in names {
            let first: String = name.chars().take(2).collect();
            // With no quote, and within one.
            for open in ["", "\"", "'"] {
                let answer = keyboard.line(&format!("lam {open}{top}{s}{first}\t"));
                assert_lacks(&answer, "imapadm:");
                assert_has(&answer, &format!("{top}{s}{name}"));
            }
        }
    }
}

#[test]
fn names_with_and_without_blanks_are_completed_as_far_as_they_agree() {
    for server in [cyrus(), dovecot()] {
        let (run, top, mut raw) = ground(server);
        let prompt = format!("{}@localhost>", user_of(&run));
        let s = separator(server);
        for name in ["Reports", "Reports 2023", "Reports 2024"] {
            raw.ok(&format!("CREATE \"{top}{s}{name}\""));
        }
        let keyboard = Keyboard::at(run);
        keyboard.type_(&format!("lam {top}{s}Rep\t"));
        keyboard.wait_for_last_line(&format!("{prompt} lam {top}{s}Reports"));
        // An escaped blank is as good as a quote.
        let printed = keyboard.line("\\ 2023\t");
        assert_has(&printed, &format!("{top}{s}Reports 2023"));
    }
}

#[test]
fn a_mailbox_that_was_just_made_or_deleted_is_known_to_tab() {
    for server in [cyrus(), dovecot()] {
        let (run, top, _raw) = ground(server);
        let prompt = format!("{}@localhost>", user_of(&run));
        let s = separator(server);
        let keyboard = Keyboard::at(run);
        keyboard.line(&format!("cm {top}{s}old"));
        keyboard.type_(&format!("lam {top}{s}o\t"));
        keyboard.wait_for_last_line(&format!("{prompt} lam {top}{s}old"));
        keyboard.drop_line();
        keyboard.line(&format!("cm {top}{s}newer"));
        keyboard.type_(&format!("lam {top}{s}ne\t"));
        keyboard.wait_for_last_line(&format!("{prompt} lam {top}{s}newer"));
        keyboard.drop_line();
        keyboard.line(&format!("rename {top}{s}newer {top}{s}other"));
        keyboard.type_(&format!("lam {top}{s}ot\t"));
        keyboard.wait_for_last_line(&format!("{prompt} lam {top}{s}other"));
    }
}

#[test]
fn after_connecting_elsewhere_tab_knows_the_new_server() {
    let (one, other) = (dovecot(), cyrus());
    let name = format!("user.{}", unique("only").replace('-', ""));
    Raw::admin(other).ok(&format!("CREATE {name}"));
    // Each server has its authority: a file with both.
    let both = [&one.ca, &other.ca].map(|file| fs::read_to_string(file).expect("an authority"));
    let run = Imapadm::bare();
    let (both, password) = (
        run.file("both.pem", both.concat()),
        run.file("password", format!("{}\n", one.password)),
    );
    let keyboard = Keyboard::at(run.arg("--cafile").arg(both));
    // A password of the command line would be the first server's alone.
    let password = format!("--password-file '{}'", password.display());
    keyboard.line(&format!(
        "connect -u {} {password} localhost:{}",
        one.admin, one.imap
    ));
    // Asks for the names of the first level.
    keyboard.type_("lam Dra\t");
    keyboard.wait_for_last_line(&format!("{}@localhost> lam Drafts", one.admin));
    keyboard.drop_line();
    keyboard.line(&format!(
        "connect -u {} {password} localhost:{}",
        other.admin, other.imap
    ));
    let prompt = format!("{}@localhost>", other.admin);
    keyboard.wait_for_last_line(&prompt);
    keyboard.type_("lam us\t");
    keyboard.wait_for_last_line(&format!("{prompt} lam user."));
}

#[test]
fn a_slow_server_does_not_hold_up_the_keyboard() {
    let released = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&released);
    let faulty = Faulty::script(move |conn| {
        let_in(conn);
        loop {
            let (tag, command) = conn.expect_command();
            if command.starts_with("LIST") && command.ends_with("%\"") {
                wait_until_released(conn, &theirs);
                conn.send(format!("* LIST () \".\" late\r\n{tag} OK at last\r\n"));
            } else {
                conn.send(usual(&tag, &command));
            }
        }
    });
    let keyboard = Keyboard::at(Imapadm::on_port(faulty.port));
    // The answer does not come, but what is typed does.
    keyboard.type_("status la\t");
    wait_for_command(&keyboard, &faulty, "%");
    keyboard.type_("stly");
    keyboard.wait_for_last_line("someone@localhost> status lastly");
    // Nor does a second Tab wait for ever, with the first one's answer still to come.
    keyboard.type_("\tx");
    keyboard.wait_for_last_line("someone@localhost> status lastlyx");
    released.store(true, Ordering::SeqCst);
    let answer = keyboard.line("");
    assert_has(&answer, "lastlyx");
    assert_has(&answer, "7");
    // What came late is there now, and was asked for once.
    keyboard.type_("status la\t");
    keyboard.wait_for_last_line("someone@localhost> status late");
    let asked = |line: &&String| line.contains("LIST") && line.contains('%');
    assert_eq!(faulty.received().iter().filter(asked).count(), 1);
}

#[test]
fn what_tab_has_to_know_first_is_asked_for_once_however_late_it_comes() {
    for first in ["NAMESPACE", "LIST \"\" \"\"", "LIST \"\" \"%\""] {
        let released = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&released);
        let faulty = Faulty::script(move |conn| {
            conn.let_in("NAMESPACE");
            loop {
                let (tag, command) = conn.expect_command();
                if command.contains(first) {
                    wait_until_released(conn, &theirs);
                }
                let rows = match &*command {
                    // Nothing in it tells the separator, so LIST has to.
                    "NAMESPACE" if first == "LIST \"\" \"\"" => "* NAMESPACE NIL NIL NIL\r\n",
                    "NAMESPACE" => "* NAMESPACE ((\"\" \".\")) NIL NIL\r\n",
                    "LIST \"\" \"\"" => "* LIST (\\Noselect) \".\" \"\"\r\n",
                    "LIST \"\" \"%\"" => {
                        "* LIST (\\HasChildren \\Noselect) \".\" user\r\n* LIST () \".\" useful\r\n"
                    }
                    "LIST \"\" \"user.%\"" => "* LIST () \".\" user.late\r\n",
                    _ => "",
                };
                conn.send(format!("{rows}{tag} OK\r\n"));
            }
        });
        let keyboard = Keyboard::at(Imapadm::on_port(faulty.port));
        keyboard.type_("lam use\t");
        wait_for_command(&keyboard, &faulty, first);
        for key in ["r", "\t.", "\tl"] {
            keyboard.type_(key);
        }
        // All of them are at an end, and none has got an answer.
        keyboard.wait_for_last_line("someone@localhost> lam user.l");
        released.store(true, Ordering::SeqCst);
        keyboard.drop_line();
        keyboard.type_("lam usef\t");
        keyboard.wait_for_last_line("someone@localhost> lam useful");
        keyboard.drop_line();
        keyboard.type_("lam user.\t");
        keyboard.wait_for_last_line("someone@localhost> lam user.late");
        let received = faulty.received();
        let questions = received.iter().filter(|line| line.contains(first)).count();
        assert_eq!(questions, 1, "{received:?}");
    }
}

#[test]
fn tab_still_completes_after_an_interrupted_command() {
    let faulty = Faulty::script(|conn| {
        let_in(conn);
        let mut held = None;
        loop {
            let (tag, command) = conn.expect_command();
            if command.starts_with("STATUS slow") {
                held = Some(tag);
                continue;
            }
            if let Some(held) = held.take() {
                conn.send(format!("{held} OK late\r\n"));
            }
            if command.starts_with("LIST") && command.ends_with("%\"") {
                conn.send(format!("* LIST () \".\" first\r\n{tag} OK listed\r\n"));
            } else {
                conn.send(usual(&tag, &command));
            }
        }
    });
    let keyboard = Keyboard::at(Imapadm::on_port(faulty.port));
    let before = keyboard.prompts();
    keyboard.type_("status slow\r");
    wait_for_command(&keyboard, &faulty, "STATUS slow");
    keyboard.type_("\x03");
    keyboard.wait_for_prompt(before);
    keyboard.type_("status fi\t");
    keyboard.wait_for_last_line("someone@localhost> status first");
}

#[test]
fn without_a_connection_tab_completes_commands_and_no_mailboxes() {
    let keyboard = Keyboard::at(unconnected(cyrus()));
    keyboard.type_("lam us\ter.x");
    keyboard.wait_for_last_line("imapadm> lam user.x");
    keyboard.drop_line();
    keyboard.type_("createm\tx");
    keyboard.wait_for_last_line("imapadm> createmailbox x");
}

#[test]
fn tab_offers_no_name_that_could_play_tricks() {
    let faulty = Faulty::script(|conn| {
        let_in(conn);
        conn.answer(|tag, command| {
            if command.starts_with("LIST") && command.ends_with("%\"") {
                format!(
                    "* LIST () \".\" \"x-\x1b]0;owned\x07\"\r\n* LIST () \".\" x-plain\r\n{tag} OK\r\n"
                )
            } else {
                usual(tag, command)
            }
        });
    });
    let keyboard = Keyboard::at(Imapadm::on_port(faulty.port));
    keyboard.type_("lam x\t");
    keyboard.wait_for_last_line("someone@localhost> lam x-plain");
    let sent = String::from_utf8_lossy(&keyboard.terminal.sent()).into_owned();
    assert_lacks(&sent, "\x1b]0;");
}

#[test]
fn many_mailboxes_on_one_level_do_not_break_tab() {
    let faulty = Faulty::script(|conn| {
        let_in(conn);
        conn.answer(|tag, command| {
            if command.starts_with("LIST") && command.ends_with("%\"") {
                let mut reply = String::new();
                for number in 0..70_000 {
                    reply.push_str(&format!("* LIST () \".\" box{number:05}\r\n"));
                }
                reply + &format!("{tag} OK all of them\r\n")
            } else {
                usual(tag, command)
            }
        });
    });
    let keyboard = Keyboard::at(Imapadm::on_port(faulty.port));
    keyboard.type_("status box\t\t");
    // It shows the first ones, and says nothing that is not so: neither how many there are nor that they have more than this in common.
    keyboard.wait_for("… 69901 more");
    keyboard.wait_for_last_line("someone@localhost> status box");
    let screen = keyboard.terminal.screen();
    assert_lacks(&screen, "status box0");
    assert_lacks(&screen, "possibilities");
    keyboard.drop_line();
    // One far behind those that are shown.
    keyboard.type_("status box6123\t");
    keyboard.wait_for_last_line("someone@localhost> status box6123");
    keyboard.type_("4\t");
    keyboard.wait_for_last_line("someone@localhost> status box61234");
    keyboard.drop_line();
    assert_has(&keyboard.line("status box00001"), "box00001");
}

#[test]
fn the_history_is_private_and_kept_at_once() {
    for server in [cyrus(), dovecot()] {
        let (run, top, _raw) = ground(server);
        let keyboard = Keyboard::at(run);
        let mode = |path: &Path| {
            let metadata = fs::metadata(path).expect("it is there");
            metadata.permissions().mode() & 0o777
        };
        let file = keyboard.history_file();
        assert_eq!(mode(&file), 0o600);
        keyboard.line(&format!("lam {top}"));
        assert_has(&keyboard.history(), &format!("lam {top}\n"));
        keyboard.line("no-such-command with > outside quotes");
        keyboard.line("myrights  'two  blanks'; noop");
        assert_has(&keyboard.history(), "\nmyrights  'two  blanks'; noop\n");
        // Also what failed: it is what one wants back most.
        assert_has(
            &keyboard.history(),
            "\nno-such-command with > outside quotes\n",
        );
        assert_eq!(mode(&file), 0o600);
        assert_eq!(mode(file.parent().expect("a folder")) & 0o022, 0);
    }
}

#[test]
fn a_history_that_was_open_to_all_is_closed() {
    let run = Imapadm::on(dovecot());
    let file = run.file("state/imapadm/history", "#V2\nstatus INBOX\n");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("its mode is set");
    let keyboard = Keyboard::at(run);
    let mode = || {
        fs::metadata(&file)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(), 0o600);
    keyboard.line("noop");
    assert_eq!(mode(), 0o600);
    keyboard.type_("\x1b[A\x1b[A");
    keyboard.wait_for_last_line("admin@localhost> status INBOX");
}

#[test]
fn a_history_folder_that_cannot_be_had_keeps_nobody_from_working() {
    let run = Imapadm::on(dovecot());
    // A file where the folder should be: that stops root, too.
    run.file("state", "in the way");
    let keyboard = Keyboard::at(run);
    assert_has(&keyboard.terminal.screen(), "the history is not saved");
    assert_has(&keyboard.line("status INBOX"), "INBOX");
    keyboard.type_("\x1b[A");
    keyboard.wait_for_last_line("admin@localhost> status INBOX");
}

#[test]
fn a_broken_history_file_keeps_nobody_from_working() {
    let run = Imapadm::on(dovecot());
    run.file(
        "state/imapadm/history",
        b"#V2\nstatus INBOX\n\xff\xfe broken\n",
    );
    let keyboard = Keyboard::at(run);
    assert_has(&keyboard.line("status INBOX"), "INBOX");
}

#[test]
fn a_second_session_recalls_what_the_first_one_did() {
    for server in [cyrus(), dovecot()] {
        let (run, top, _raw) = ground(server);
        let prompt = format!("{}@localhost>", user_of(&run));
        let mut first = Keyboard::at(run);
        first.line(&format!("cm {top}{}made", separator(server)));
        first.line(&format!("lam {top}"));
        first.line(&format!("lam {top}"));
        first.type_("\x04");
        first.ends_with(0);
        let Keyboard { run, .. } = first;
        let second = Keyboard::at(run);
        second.type_("\x1b[A");
        second.wait_for_last_line(&format!("{prompt} lam {top}"));
        // The same line twice in a row is kept once.
        second.type_("\x1b[A");
        second.wait_for_last_line(&format!("{prompt} cm {top}{}made", separator(server)));
        second.type_("\x1b[B");
        second.wait_for_last_line(&format!("{prompt} lam {top}"));
        assert_has(&second.line(""), &top);
        // Ctrl-R finds by part of a line.
        second.type_("\x12ade");
        second.wait_for(&format!("cm {top}{}made", separator(server)));
        second.drop_line();
    }
}

#[test]
fn two_shells_at_once_keep_both_their_lines() {
    let first = Keyboard::at(Imapadm::on(dovecot()));
    let second = Terminal::spawn(&first.run);
    second.wait_for("admin@localhost>", SOON);
    first.line("help noop");
    second.type_("help quit\r");
    second.wait_for("exit status", SOON);
    first.line("help lam");
    let history = first.history();
    for line in ["help noop", "help quit", "help lam"] {
        assert_has(&history, &format!("\n{line}\n"));
    }
}

#[test]
fn secrets_and_lines_with_a_leading_blank_are_not_kept() {
    let server = dovecot();
    let mut keyboard = Keyboard::at(unconnected(server));
    for line in [
        " help noop",
        "connect imap://u:hunter2@localhost:1",
        "connect -w hunter2 localhost:1",
        "connect --password hunter2 localhost:1",
        "connect --password=hunter2 localhost:1",
        "connect -password hunter2 localhost:1",
        "noop; connect imap://u:hunter2@localhost:1",
        "connect --pas hunter2 localhost:1",
        "connect -whunter2 localhost:1",
        "connect --passwort=hunter2 localhost:1",
        "connect localhost 1 hunter2",
        "login someone hunter2",
        "conect -w hunter2 localhost:1",
        // Also over two lines.
        "connect 'imap://u:hunter2@localhost:1\r'",
    ] {
        let printed = keyboard.line(line);
        assert_lacks(&printed, "hunter2");
    }
    // What a command prints may be shown in an error, as its text is; but it is not kept.
    for line in [
        "connect --token-command 'echo hunter2' localhost:1",
        "connect --password-c 'echo hunter2' localhost:1",
    ] {
        keyboard.line(line);
    }
    keyboard.line("help quit");
    let history = keyboard.history();
    assert_lacks(&history, "hunter2");
    assert_lacks(&history, "help noop");
    assert_has(&history, "help quit");
    // Nor does the running shell bring them back.
    keyboard.type_("\x1b[A\x1b[A\x1b[A");
    keyboard.wait_for_last_line("imapadm> help quit");
    // The same words elsewhere are no secret.
    keyboard.line("");
    keyboard.line("sam x y -w");
    keyboard.line("connect --password-file /nowhere localhost:1");
    let history = keyboard.history();
    assert_has(&history, "\nsam x y -w\n");
    assert_has(&history, "--password-file /nowhere");
    keyboard.drop_line();
    keyboard.type_("\x04");
    keyboard.ends_with(0);
}

#[test]
fn lines_typed_ahead_are_not_lost() {
    for server in [cyrus(), dovecot()] {
        let (run, top, mut raw) = ground(server);
        let s = separator(server);
        // Before the program is even there.
        let keyboard = Keyboard::starting(run);
        let names = ["one", "two", "three", "four", "five"];
        for name in names {
            keyboard.type_(&format!("cm {top}{s}{name}\r"));
        }
        keyboard
            .terminal
            .wait_until("all prompts", SOON, |_| keyboard.prompts() > names.len());
        let listed = raw.ok(&format!("LIST \"\" {top}{s}%"));
        assert_eq!(listed.len(), names.len(), "{listed:?}");
        // Several in one breath.
        let before = keyboard.prompts();
        keyboard.type_(&format!(
            "dm {top}{s}one\rdm {top}{s}two\rdm {top}{s}three\r"
        ));
        keyboard
            .terminal
            .wait_until("three prompts", SOON, |_| keyboard.prompts() >= before + 3);
        let listed = raw.ok(&format!("LIST \"\" {top}{s}%"));
        assert_eq!(listed.len(), 2, "{listed:?}");
    }
}

#[test]
fn lines_typed_while_a_command_runs_are_not_lost() {
    let (faulty, released) = slow_to_tell_status();
    let keyboard = Keyboard::at(Imapadm::on_port(faulty.port));
    let before = keyboard.prompts();
    keyboard.type_("status slow\r");
    wait_for_command(&keyboard, &faulty, "STATUS slow");
    keyboard.type_("status next\rstatus last\rstatus unf");
    // The terminal shows what is typed; then the answers come.
    keyboard.wait_for("status unf");
    released.store(true, Ordering::SeqCst);
    keyboard
        .terminal
        .wait_until("three prompts", SOON, |_| keyboard.prompts() >= before + 3);
    wait_for_command(&keyboard, &faulty, "STATUS next");
    wait_for_command(&keyboard, &faulty, "STATUS last");
    keyboard.wait_for_last_line("someone@localhost> status unf");
    assert_has(&keyboard.line("inished"), "unfinished");
}

#[test]
fn a_paste_of_several_lines_runs_line_by_line() {
    for server in [cyrus(), dovecot()] {
        let (run, top, mut raw) = ground(server);
        let s = separator(server);
        let keyboard = Keyboard::at(run);
        let before = keyboard.prompts();
        keyboard.type_(&format!(
            "\x1b[200~cm {top}{s}one\r\n\ncm {top}{s}two # made\ncm {top}{s}three > x\ncm {top}{s}four\x1b[201~\r"
        ));
        keyboard.wait_for_prompt(before);
        let printed = keyboard.printed();
        // A line that fails does not keep the others from being run.
        assert_has(&printed, "quote it");
        let listed = raw.ok(&format!("LIST \"\" {top}{s}%"));
        assert_eq!(listed.len(), 3, "{listed:?}");
        // Each is a line of its own in the history.
        assert_has(&keyboard.history(), &format!("\ncm {top}{s}one\n"));
        assert_has(&keyboard.history(), &format!("\ncm {top}{s}four\n"));
    }
}

#[test]
fn a_quote_that_is_open_goes_on_in_the_next_line() {
    let server = cyrus();
    let (run, top, mut raw) = ground(server);
    let keyboard = Keyboard::at(run);
    // Typed, and pasted: what stands inside the quotes is never a command.
    for keys in [
        format!("cm {top}.one; lam 'a\rdm {top}.one\r'\r"),
        format!("\x1b[200~cm {top}.two; lam 'a\ndm {top}.one\n'\x1b[201~\r"),
        format!("cm \\\r{top}.three; lam '\rdm {top}.one\r'\r"),
    ] {
        let before = keyboard.prompts();
        keyboard.type_(&keys);
        keyboard.wait_for_prompt(before);
        assert_has(&keyboard.printed(), "created");
    }
    // Ctrl-C drops all of it.
    keyboard.type_(&format!("cm '{top}.no\r'; cm {top}.not 'x\r"));
    keyboard.drop_line();
    keyboard.line("noop");
    let listed = raw.ok(&format!("LIST \"\" {top}.%"));
    assert_eq!(listed.len(), 3, "{listed:?}");
}

#[test]
fn a_failing_command_does_not_end_the_shell() {
    for server in [cyrus(), dovecot()] {
        let (run, top, mut raw) = ground(server);
        let s = separator(server);
        let mut keyboard = Keyboard::at(run);
        for failing in [
            format!("dm {top}{s}nowhere"),
            format!("status {top}{s}nowhere"),
            "sam".to_owned(),
            format!("sam {top} bob +!"),
            "lam > file".to_owned(),
        ] {
            let printed = keyboard.line(&failing);
            assert_has(&printed, "imapadm: ");
            // One line of complaint, and no place in a script.
            assert_lacks(&printed, "line 1");
        }
        // What follows it on the same line is not run; what comes on the next one is.
        keyboard.line(&format!("dm {top}{s}nowhere; cm {top}{s}no"));
        keyboard.line(&format!("cm {top}{s}yes; cm {top}{s}also"));
        let listed = raw.ok(&format!("LIST \"\" {top}{s}%"));
        assert_eq!(listed.len(), 2, "{listed:?}");
        // Whoever leaves by hand has seen it all.
        keyboard.line("dm nowhere");
        keyboard.type_("quit\r");
        keyboard.ends_with(0);
    }
}

#[test]
fn a_terminal_gets_columns_and_colour() {
    for server in [cyrus(), dovecot()] {
        for colour in [true, false] {
            let (run, top, mut raw) = ground(server);
            let long = "a-quite-long-identifier";
            raw.ok(&format!("SETACL {top} {long} lr"));
            let run = if colour {
                run
            } else {
                run.env("NO_COLOR", "1")
            };
            let keyboard = Keyboard::at(run);
            let printed = keyboard.line(&format!("lam {top}"));
            assert_eq!(printed.contains("\x1b["), colour, "{printed:?}");
            let plain: Vec<_> = printed.lines().map(without_escapes).collect();
            let heading = &plain[0];
            let column = heading.find("rights").expect("a heading");
            assert!(
                heading.starts_with("mailbox") && plain.len() >= 3,
                "{plain:#?}"
            );
            for row in &plain[1..] {
                assert_lacks(row, "\t");
                // The rights of each stand under each other.
                let before = row.as_bytes()[column - 1];
                assert!(
                    before == b' ' && row.as_bytes()[column] != b' ',
                    "{plain:#?}"
                );
            }
        }
    }
}

#[test]
fn json_in_a_terminal_is_json() {
    let keyboard = Keyboard::at(Imapadm::on(dovecot()).args(["--format", "json"]));
    let printed = keyboard.line("status INBOX");
    let json: serde_json::Value = serde_json::from_str(printed.trim()).expect("one line of JSON");
    assert_eq!(json["rows"][0]["mailbox"], "INBOX");
    let printed = keyboard.line("status nowhere");
    let first = printed.lines().next().expect("a line");
    let json: serde_json::Value = serde_json::from_str(first).expect("one line of JSON");
    assert_eq!(json["ok"], false);
}

#[test]
fn what_a_hostile_server_says_is_shown_escaped() {
    const TRICK: &str = "\x1b]0;owned\x07\x1b[2J\u{202e}";
    let faulty = Faulty::script(|conn| {
        let_in(conn);
        conn.answer(|tag, command| {
            let verb = command.split(' ').next().unwrap_or_default();
            match verb {
                "LIST" if command.ends_with("\"\"") => usual(tag, command),
                "LIST" => format!("* LIST (\\Odd) \".\" \"evil{TRICK}\"\r\n{tag} OK listed\r\n"),
                "GETACL" => {
                    format!("* ACL box \"{TRICK}who\" \"lr{TRICK}\"\r\n{tag} OK {TRICK}\r\n")
                }
                "SETACL" => format!("{tag} NO [ALERT] no{TRICK}\r\n"),
                "NOOP" => format!("* OK [ALERT] alert{TRICK}\r\n{tag} OK done\r\n"),
                "SELECT" => {
                    format!(
                        "* 3 EXISTS\r\n* 0 RECENT\r\n* FLAGS (\\Seen {}x)\r\n{tag} OK in\r\n",
                        "\u{9b}31m"
                    )
                }
                _ => usual(tag, command),
            }
        });
    });
    let keyboard = Keyboard::at(Imapadm::on_port(faulty.port).env("NO_COLOR", "1"));
    for (line, wanted) in [
        ("lm", "evil\\x1B]0;owned\\x07\\x1B[2J"),
        ("lam box", "\\x1B]0;owned\\x07"),
        ("sam box bob lr", "no\\x1B]0;owned"),
        ("noop", "alert\\x1B]0;owned"),
        ("select box", "box"),
        ("\x16\x1bevil", "unknown command"),
    ] {
        let printed = keyboard.line(line);
        assert_has(&printed, wanted);
        for tricky in ['\x1b', '\x07', '\u{202e}', '\u{9b}'] {
            assert!(!printed.contains(tricky), "{tricky:?} in {printed:?}");
        }
    }
    let sent = String::from_utf8_lossy(&keyboard.terminal.sent()).into_owned();
    assert_lacks(&sent, "\x1b]0;");
}

#[test]
fn results_in_a_file_have_no_prompt_and_no_escape_beside_them() {
    for server in [cyrus(), dovecot()] {
        let (run, top, _raw) = ground(server);
        let prompt = format!("{}@localhost>", user_of(&run));
        let mut keyboard = Keyboard::in_sh(run, "\"$IMAPADM\" $ARGUMENTS > out");
        keyboard.wait_for_prompt(0);
        keyboard.wait_for_last_line(&prompt);
        assert_eq!(keyboard.line(&format!("lam {top}")), "");
        // Tab's lists and complaints are for who sits there.
        assert_has(&keyboard.line("dm nowhere-at-all"), "imapadm: ");
        let out = keyboard.run.home().join("out");
        let written = fs::read_to_string(&out).expect("the results");
        assert_has(&written, &format!("{top}\t"));
        keyboard.type_("quit\r");
        keyboard.ends_with(0);
        let written = fs::read_to_string(&out).expect("the results");
        for line in written.lines() {
            assert!(line.starts_with(&format!("{top}\t")), "{written:?}");
        }
        assert_lacks(&written, "\x1b");
        assert_lacks(&written, "localhost");
    }
}

#[test]
fn a_lost_connection_is_said_and_connect_makes_it_again() {
    let faulty = Faulty::script(|conn| {
        let_in(conn);
        let first = conn.number == 0;
        loop {
            let (tag, command) = conn.expect_command();
            if first && command.starts_with("DELETE") {
                return;
            }
            conn.send(usual(&tag, &command));
        }
    });
    let keyboard = Keyboard::at(Imapadm::on_port(faulty.port));
    let printed = keyboard.line("dm something");
    assert_has(
        &printed,
        "the connection was lost before DELETE was answered",
    );
    assert_has(&printed, "unknown whether it was done");
    keyboard.wait_for_last_line("imapadm>");
    assert_has(&keyboard.line("status box"), "connect SERVER");
    assert_has(&keyboard.line("connect"), "connected");
    keyboard.wait_for_last_line("someone@localhost>");
    assert_has(&keyboard.line("status box"), "box");
    assert_eq!(faulty.connections(), 2);
    let received = faulty.received().join("\n");
    assert_eq!(received.matches("DELETE").count(), 1, "{received}");
}

#[test]
fn a_real_server_that_goes_away_is_noticed() {
    // One of the test's own, since it is stopped.
    let server = Server::start_dovecot(&[]);
    let keyboard = Keyboard::at(Imapadm::on(&server).env("HISTFILE", "none"));
    assert_has(&keyboard.line("status INBOX"), "INBOX");
    // The scratch home is in the server's folder, and goes with it.
    drop(server);
    let printed = keyboard.line("status INBOX");
    assert_has(&printed, "imapadm: ");
    assert_has(&printed, "connect");
    keyboard.wait_for_last_line("imapadm>");
    let printed = keyboard.line("connect");
    assert_has(&printed, "imapadm: ");
    keyboard.wait_for_last_line("imapadm>");
}

#[test]
fn the_servers_bye_is_shown() {
    let faulty = Faulty::script(|conn| {
        let_in(conn);
        loop {
            let (tag, command) = conn.expect_command();
            if command.starts_with("NOOP") {
                conn.send("* BYE closed for the night\r\n");
                return;
            }
            conn.send(usual(&tag, &command));
            if command.starts_with("STATUS idle") {
                // While the shell waits at its prompt.
                conn.send("* BYE nobody is typing\r\n");
                return;
            }
        }
    });
    let keyboard = Keyboard::at(Imapadm::on_port(faulty.port));
    let printed = keyboard.line("noop");
    assert_has(&printed, "closed for the night");
    keyboard.wait_for_last_line("imapadm>");
    keyboard.line("connect");
    keyboard.wait_for_last_line("someone@localhost>");
    assert_has(&keyboard.line("status idle"), "idle");
    let printed = keyboard.line("status box");
    assert_has(&printed, "nobody is typing");
    keyboard.wait_for_last_line("imapadm>");
    keyboard.line("connect");
    keyboard.wait_for_last_line("someone@localhost>");
}

#[test]
fn alerts_of_the_server_reach_the_terminal() {
    let faulty = Faulty::script(|conn| {
        let_in(conn);
        conn.answer(|tag, command| {
            let alert = "* OK [ALERT] the disk is nearly full\r\n";
            format!("{alert}{}", usual(tag, command))
        });
    });
    let keyboard = Keyboard::at(Imapadm::on_port(faulty.port));
    let printed = keyboard.line("status box");
    assert_has(&printed, "the disk is nearly full");
    assert_has(&printed, "box");
}

#[test]
fn a_narrow_window_is_enough_to_work_in() {
    for server in [cyrus(), dovecot()] {
        let (run, top, mut raw) = ground(server);
        let s = separator(server);
        let narrow = Terminal::start(
            Path::new(env!("CARGO_BIN_EXE_imapadm")),
            &run.arguments(),
            &run.environment(),
            (24, 40),
        );
        let keyboard = Keyboard {
            terminal: narrow,
            run,
        };
        keyboard.wait_for_prompt(0);
        let name = format!("{top}{s}a name that is longer than the window is wide");
        let printed = keyboard.line(&format!("cm \"{name}\""));
        // A name is never broken by us: copied from the screen it has to be whole.
        assert_has(&printed, &name);
        let list = raw.ok(&format!("LIST \"\" {top}{s}%"));
        assert_eq!(list.len(), 1, "{list:?}");
        // Moved about in, over the lines that it takes.
        let typed = format!("lam \"{name}\"");
        keyboard.type_(&typed);
        keyboard.type_("\x01\x1b[C\x1b[C\x1b[C\x05");
        assert_has(&keyboard.line(""), &name);
        keyboard.terminal.resize(24, 100);
        keyboard.type_("\x1b[A");
        keyboard
            .terminal
            .wait_until("the line in one", SOON, |screen| {
                last_line(screen).ends_with(&typed)
            });
        assert_has(&keyboard.line(""), &name);
        keyboard.line("help");
    }
}

#[test]
fn help_lists_the_commands_and_explains_each() {
    let keyboard = Keyboard::at(unconnected(cyrus()));
    let help = keyboard.line("help");
    let names: Vec<String> = help
        .lines()
        .map(without_escapes)
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .filter(|name| name != "command")
        .collect();
    assert!(names.len() > 20, "{help}");
    for line in help.lines().map(without_escapes) {
        assert!(
            line.chars().count() <= 80,
            "wider than 80 columns: {line:?}"
        );
    }
    assert_eq!(keyboard.line("?"), help);
    for name in &names {
        let explained = keyboard.line(&format!("help {name}"));
        assert!(explained.starts_with(name.as_str()), "{name}: {explained}");
        for line in explained.lines() {
            assert!(
                line.chars().count() <= 80,
                "wider than 80 columns: {line:?}"
            );
        }
    }
    let explained = keyboard.line("help sam");
    for part in [
        "setacl",
        "MAILBOX|PATTERN IDENTIFIER RIGHTS",
        "lrs",
        "also: ",
    ] {
        assert_has(&explained, part);
    }
}

#[test]
fn a_misspelt_command_names_the_one_that_was_meant() {
    let keyboard = Keyboard::at(unconnected(dovecot()));
    for (typed, meant) in [
        ("craetemailbox x", "createmailbox"),
        ("listmailboxes", "listmailbox"),
        ("conect localhost", "connect"),
        ("qiut", "quit"),
        ("hepl", "help"),
        ("help craetemailbox", "createmailbox"),
        ("help setacll", "setacl"),
        ("LISTACL x", "listacl"),
    ] {
        let printed = keyboard.line(typed);
        assert_has(&printed, &format!("did you mean {meant}?"));
    }
    // Nothing is run by the system's shell, as cyradm does.
    let file = keyboard.run.home().join("made");
    let printed = keyboard.line(&format!("touch {}", file.display()));
    assert_has(&printed, "unknown command \"touch\"");
    assert!(!file.exists());
}

/// A line without the escape sequences for colour.
fn without_escapes(line: &str) -> String {
    let mut plain = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("\x1b[") {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 2..];
        rest = rest.find('m').map_or("", |end| &rest[end + 1..]);
    }
    plain + rest
}
