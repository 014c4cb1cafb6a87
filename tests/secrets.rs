//! Where passwords and tokens come from, which source goes first, and that what they say stays where it is.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose::STANDARD as BASE64};

use super::support::certs::{self};
use super::support::faulty::Faulty;
use super::support::pty::Terminal;
use super::support::run::{Imapadm, Run, signal, wait};
use super::support::servers::{Server, cyrus, dovecot};

const PASSWORD: &str = "hunter2hunter2";

const SOON: Duration = Duration::from_secs(15);

fn chmod(path: &Path, mode: u32) {
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(path, permissions).expect("a mode");
}

/// On that server with no password at all, and without a terminal to ask on.
fn without(server: &Server) -> Imapadm {
    Imapadm::on(server)
        .no_password()
        .args(["-c", "session"])
        .through(&["setsid", "-w"])
        .limit(Duration::from_secs(30))
}

/// It logged in as the server's administrator, without a word.
#[track_caller]
fn quietly_in(server: &Server, run: Run) {
    let run = run.ok().says(&format!("user\t{}\n", server.admin));
    assert_eq!(run.stderr, "", "{run}");
}

#[test]
fn a_password_file_that_others_can_read_is_refused() {
    let server = cyrus();
    for mode in [0o644, 0o640, 0o604, 0o660, 0o666, 0o620] {
        let run = without(server);
        let file = run.file("secret", &server.password);
        chmod(&file, mode);
        run.arg("--password-file")
            .arg(&file)
            .run()
            .fails(6)
            .complains(file.to_str().expect("UTF-8"))
            .complains("chmod 600")
            .never_says(&server.password);
    }
    for mode in [0o600, 0o400, 0o700] {
        let run = without(server);
        let file = run.file("secret", &server.password);
        chmod(&file, mode);
        quietly_in(server, run.arg("--password-file").arg(file).run());
    }
    // What a link leads to is what counts.
    let run = without(server);
    let file = run.file("secret", &server.password);
    chmod(&file, 0o644);
    let link = run.home().join("link");
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    run.arg("--password-file").arg(link).run().fails(6);
}

/// Started by a shell with this redirection; `$0` is the file.
fn redirected(run: Imapadm, redirection: &str, file: &Path) -> Imapadm {
    let script = format!("exec \"$@\" {redirection}");
    run.through(&["sh", "-c", &script, file.to_str().expect("UTF-8")])
}

#[test]
fn a_descriptor_gives_the_password() {
    let server = dovecot();
    let run = || Imapadm::on(server).no_password();
    let given = || run().args(["--password-fd", "3", "-c", "session"]);
    let with_file = given();
    let file = with_file.file("secret", format!("{}\nmore\n", server.password));
    let run_it = redirected(with_file, "3<\"$0\"", &file).run();
    quietly_in(server, run_it);
    // A pipe, as <(…) makes one.
    let with_pipe = given();
    let file = with_pipe.file("secret", &server.password);
    let script = "f=$0; cat \"$f\" | { exec 3<&0 0</dev/null; exec \"$@\"; }";
    let run_it = with_pipe.through(&["sh", "-c", script, file.to_str().expect("UTF-8")]);
    quietly_in(server, run_it.run());
}

#[test]
fn stdin_gives_the_password_and_then_the_script() {
    let server = dovecot();
    let text = format!("{}\nsession\n", server.password);
    let run = || {
        let run = Imapadm::on(server).no_password();
        run.args(["--password-fd", "0"])
    };
    let piped = run().stdin(&text).run().never_says(&server.password);
    quietly_in(server, piped);
    // A file has a place up to which it was read; the password's line is not a command.
    let from_file = run();
    let file = from_file.file("both", &text);
    let ended = redirected(from_file, "<\"$0\"", &file).run();
    quietly_in(server, ended.never_says(&server.password));
}

#[test]
fn a_descriptor_that_gives_none_is_no_login() {
    let server = dovecot();
    let run = without(server).args(["--password-fd", "9"]);
    run.run().fails(6).complains('9'.to_string().as_str());
    for (content, word) in [
        (&b""[..], "empty"),
        (b"\nx\n", "empty"),
        (b"caf\xe9\n", "UTF-8"),
    ] {
        let run = Imapadm::on(server)
            .no_password()
            .args(["--password-fd", "3", "-c", "session"]);
        let file = run.file("secret", content);
        redirected(run, "3<\"$0\"", &file)
            .run()
            .fails(6)
            .complains(word);
    }
    for wrong in ["-1", "x", ""] {
        let run = without(server).args(["--password-fd", wrong]);
        run.run().fails(2);
    }
}

#[test]
fn a_password_in_the_arguments_works_and_warns() {
    for server in [cyrus(), dovecot()] {
        for option in ["-w", "--password"] {
            let run = without(server).args([option, &server.password]).run().ok();
            assert_eq!(run.stderr.matches("warning").count(), 1, "{run}");
            let lower = run.stderr.to_lowercase();
            assert!(
                lower.contains("process list") || lower.contains("ps"),
                "{run}"
            );
            assert!(
                !run.stderr.contains(&server.password) && !run.stdout.contains(&server.password),
                "{run}"
            );
        }
    }
}

#[test]
fn two_sources_on_the_command_line_are_one_too_many() {
    let options: [(&str, &str); 4] = [
        ("--password-file", "/nonexistent"),
        ("--password-fd", "3"),
        ("--password-command", "true"),
        ("--password", "hunter2hunter2"),
    ];
    for (index, one) in options.iter().enumerate() {
        for other in &options[index + 1..] {
            let run = Imapadm::bare().args([one.0, one.1, other.0, other.1]);
            let run = run.args(["-c", "help"]).run().fails(2);
            run.never_says("hunter2");
        }
    }
    for one in options {
        let run = Imapadm::bare().args([one.0, one.1, "--token-file", "/nonexistent"]);
        run.args(["-c", "help"]).run().fails(2);
    }
}

/// What each source says, from the first to the last; the home has all of them from `first` on, and the first is right.
#[test]
fn the_sources_have_an_order() {
    let server = dovecot();
    let names = ["option", "environment", "named", "netrc"];
    for (first, name) in names.iter().enumerate() {
        let run = Imapadm::bare();
        let says = |source: usize| match source.cmp(&first) {
            std::cmp::Ordering::Equal => Some(server.password.clone()),
            std::cmp::Ordering::Greater => Some(format!("wrong from {}", names[source])),
            std::cmp::Ordering::Less => None,
        };
        let mut config = format!(
            "[servers.x]\nhost = \"localhost\"\nport = {}\nuser = {:?}\ncafile = {:?}\n",
            server.imap, server.admin, server.ca
        );
        if let Some(password) = says(2) {
            let file = run.file("named", password);
            config.push_str(&format!("password-file = {file:?}\n"));
        }
        run.file("config/imapadm/config.toml", config);
        if let Some(password) = says(3) {
            let password = password.replace(' ', "-");
            let text = format!(
                "machine localhost login {} password {password}\n",
                server.admin
            );
            run.file(".netrc", text);
        }
        let mut run = run;
        if let Some(password) = says(1) {
            run = run.env("IMAPADM_PASSWORD", password);
        }
        if let Some(password) = says(0) {
            let file = run.file("option", password);
            run = run.arg("--password-file").arg(file);
        }
        let run = run.args(["-c", "session", "x"]).through(&["setsid", "-w"]);
        let run = run.run();
        assert_eq!(run.status, Some(0), "{name}: {run}");
        quietly_in(server, run);
    }
}

#[test]
fn netrc_gives_the_password_of_its_host_and_user() {
    let server = dovecot();
    let (admin, password) = (&server.admin, &server.password);
    for text in [
        format!("machine localhost login {admin} password {password}\n"),
        format!(
            "machine other.example.org login {admin} password wrong\nmachine localhost\n\tlogin {admin}\n\tpassword {password}\n"
        ),
        format!(
            "machine localhost login somebody password wrong\nmachine localhost login {admin} password {password}\n"
        ),
        format!("default login {admin} password {password}\n"),
        format!(
            "machine localhost login {admin} account x password {password}\nmacdef init\nmachine localhost\n\n"
        ),
    ] {
        let run = without(server);
        run.file(".netrc", text);
        quietly_in(server, run.run());
    }
    // It names the user as well, where nobody else does.
    let run = Imapadm::bare();
    run.file(
        ".netrc",
        format!("machine localhost login {admin} password {password}\n"),
    );
    let run = run
        .arg("--cafile")
        .arg(&server.ca)
        .args(["-c", "session"])
        .arg(format!("localhost:{}", server.imap))
        .through(&["setsid", "-w"]);
    quietly_in(server, run.run());
    // Nothing for this host: nothing is known.
    let run = without(server);
    run.file(
        ".netrc",
        format!("machine other.example.org login {admin} password {password}\n"),
    );
    run.run().fails(6).complains("terminal");
}

#[test]
fn a_netrc_that_others_can_read_is_not_used() {
    let server = dovecot();
    let text = format!(
        "machine localhost login {} password {}\n",
        server.admin, server.password
    );
    for mode in [0o644, 0o640, 0o602] {
        let run = without(server);
        let file = run.file(".netrc", &text);
        chmod(&file, mode);
        run.run()
            .fails(6)
            .complains(".netrc")
            .complains("chmod 600")
            .never_says(&server.password);
        // It is passed over, so whoever gives a password otherwise is not kept from anything.
        let run = Imapadm::on(server).args(["-c", "session"]);
        let file = run.file(".netrc", &text);
        chmod(&file, mode);
        quietly_in(server, run.run());
    }
}

#[test]
fn a_netrc_that_others_can_read_is_passed_over_at_the_prompt() {
    let server = dovecot();
    let run = Imapadm::on(server).no_password();
    let file = run.file(".netrc", "machine localhost password wrong\n");
    chmod(&file, 0o644);
    let mut terminal = Terminal::spawn(&run);
    question(&terminal, 1);
    let screen = terminal.screen();
    assert!(
        screen.contains("warning") && screen.contains(".netrc"),
        "{screen}"
    );
    terminal.type_(&format!("{}\r", server.password));
    terminal.wait_for("@localhost>", SOON);
    terminal.type_("\x04");
    terminal.exit_status(SOON);
}

#[test]
fn a_token_has_its_sources_too() {
    let server = dovecot();
    let token = server.token.as_ref().expect("a token");
    let run = || {
        Imapadm::on(server)
            .user("alice")
            .no_password()
            .args(["-c", "session"])
    };
    let taken = |run: Imapadm| {
        let run = run.run().ok().says("mechanism\tOAUTHBEARER\n");
        assert_eq!(run.stderr, "", "{run}");
    };
    taken(run().env("IMAPADM_TOKEN", token));
    let command = run();
    let file = command.file("token", token);
    taken(command.args(["--token-command", &format!("cat '{}'", file.display())]));
    let with_file = run();
    let file = with_file.file("token", format!("{token}\r\nmore\n"));
    taken(
        with_file
            .arg("--token-file")
            .arg(&file)
            .env("IMAPADM_TOKEN", "wrong"),
    );
    let open = run();
    let file = open.file("token", token);
    chmod(&file, 0o644);
    open.arg("--token-file")
        .arg(file)
        .run()
        .fails(6)
        .complains("chmod 600")
        .never_says(token);
    let named = Imapadm::bare();
    let file = named.file("token", token);
    let config = format!(
        "[servers.x]\nhost = \"localhost\"\nport = {}\nuser = \"alice\"\ncafile = {:?}\ntoken-file = {file:?}\n",
        server.imap, server.ca
    );
    named.file("config/imapadm/config.toml", config);
    taken(named.args(["-c", "session", "x"]));
    // In clear it is as good as a password to whoever listens. Cyrus wants no tokens.
    let run = Imapadm::on(cyrus())
        .user("alice")
        .no_password()
        .env("IMAPADM_TOKEN", token);
    run.args(["-c", "session"]).run().fails(6).never_says(token);
}

// ---- the prompt

/// Waits for the so-manyeth question for a password, asked without echo.
#[track_caller]
fn question(terminal: &Terminal, number: usize) {
    terminal.wait_until(&format!("question {number}"), SOON, |screen| {
        screen.matches("Password for").count() == number && !terminal.echoes()
    });
}

#[test]
fn a_mistyped_password_is_asked_for_again() {
    for server in [cyrus(), dovecot()] {
        let mut terminal = Terminal::spawn(&Imapadm::on(server).no_password());
        for number in [1, 2] {
            question(&terminal, number);
            terminal.type_("mistyped-words\r");
        }
        question(&terminal, 3);
        terminal.type_(&format!("{}\r", server.password));
        terminal.wait_for("@localhost>", SOON);
        terminal.type_("\x04");
        assert_eq!(terminal.exit_status(SOON).exit_code(), 0);
        let sent = String::from_utf8_lossy(&terminal.sent()).into_owned();
        assert!(
            !sent.contains("mistyped-words") && !sent.contains(&server.password),
            "{sent}"
        );
    }
}

#[test]
fn three_mistakes_are_enough() {
    for server in [cyrus(), dovecot()] {
        // The shell and a script with a terminal are alike.
        for command in [None, Some("session")] {
            let run = Imapadm::on(server).no_password();
            let run = match command {
                Some(command) => run.args(["-c", command]),
                None => run,
            };
            let mut terminal = Terminal::spawn(&run);
            for number in [1, 2, 3] {
                question(&terminal, number);
                terminal.type_("mistyped-words\r");
            }
            assert_eq!(terminal.exit_status(SOON).exit_code(), 6);
            assert_eq!(terminal.screen().matches("Password for").count(), 3);
        }
    }
}

#[test]
fn what_another_password_cannot_mend_is_not_asked_again() {
    let server = Faulty::script(|conn| {
        conn.send("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\r\n");
        conn.answer(|tag, command| match command.starts_with("AUTHENTICATE") {
            true => format!("{tag} NO [UNAVAILABLE] the directory is down\r\n"),
            false => certs::imap(tag, command),
        });
    });
    let mut terminal = Terminal::spawn(&Imapadm::on_port(server.port).no_password());
    question(&terminal, 1);
    terminal.type_("whatever\r");
    assert_eq!(terminal.exit_status(SOON).exit_code(), 6);
    assert_eq!(terminal.screen().matches("Password for").count(), 1);
}

// ---- what must not show

/// Fails where the secret stands in the text, in any of the forms in which it is sent or could be printed.
#[track_caller]
fn assert_discreet(what: &str, text: &[u8], secret: &str) {
    let has = |part: &str| {
        text.windows(part.len())
            .any(|window| window == part.as_bytes())
    };
    assert!(!has(secret), "{secret:?} in {what}");
    let lower = text.to_ascii_lowercase();
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let bytes = secret.as_bytes();
    let spaced = bytes.iter().map(|byte| format!("{byte:02x}"));
    let decimal = bytes.iter().map(u8::to_string).collect::<Vec<_>>();
    for form in [
        hex,
        spaced.collect::<Vec<_>>().join(" "),
        decimal.join(", "),
    ] {
        assert!(
            !lower
                .windows(form.len())
                .any(|window| window == form.as_bytes()),
            "{secret:?} as {form:?} in {what}"
        );
    }
    // In base64 the letters depend on what stands before: three shifts, without the ends that are shared.
    for before in ["", "x", "xx"] {
        let encoded = BASE64.encode(format!("{before}{secret}"));
        let inner = &encoded[4..encoded.len() - 4];
        assert!(!has(inner), "{secret:?} in base64 in {what}");
    }
    // And whatever can be decoded at all.
    let lenient = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let text = String::from_utf8_lossy(text);
    for word in text.split(|c: char| !c.is_ascii_alphanumeric() && !"+/=".contains(c)) {
        if let Ok(decoded) = lenient.decode(word) {
            let decoded = String::from_utf8_lossy(&decoded);
            assert!(
                !decoded.contains(secret),
                "{secret:?} in {word:?} in {what}"
            );
            // A proof lets one try passwords at leisure.
            assert!(!decoded.contains(",p="), "a proof, {word:?}, in {what}");
        }
    }
}

#[test]
fn a_leak_would_be_seen() {
    let secret = "s3cret-Passw0rd";
    let hex: String = secret.bytes().map(|byte| format!("{byte:02X}")).collect();
    for text in [
        secret.to_owned(),
        format!("x{}", BASE64.encode(secret)),
        BASE64.encode(format!("\0alice\0{secret}")),
        BASE64.encode(format!("bob\0alice\0{secret}")),
        format!(
            "C: a1 AUTHENTICATE PLAIN {}",
            BASE64.encode(format!("\0al\0{secret}"))
        ),
        BASE64.encode(format!("user=a\x01auth=Bearer {secret}\x01\x01")),
        hex,
        format!("{:?}", secret.as_bytes()),
        BASE64.encode("c=biws,r=nonce,p=cHJvb2Y="),
    ] {
        let seen = std::panic::catch_unwind(|| assert_discreet("it", text.as_bytes(), secret));
        assert!(seen.is_err(), "{text}");
    }
    assert_discreet("it", b"C: a1 AUTHENTICATE PLAIN <secret>", secret);
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

/// Neither the output nor anything left in the home holds it; `given` is the file that it came from.
#[track_caller]
fn assert_home_discreet(run: &Imapadm, ended: &Run, secret: &str, given: Option<&Path>) {
    assert_discreet("stdout", ended.stdout.as_bytes(), secret);
    assert_discreet("stderr", ended.stderr.as_bytes(), secret);
    for file in files(run.home()) {
        if Some(file.as_path()) != given {
            let content = std::fs::read(&file).expect("a file");
            assert_discreet(&file.display().to_string(), &content, secret);
        }
    }
}

#[test]
fn no_login_leaves_the_password_anywhere() {
    for server in [cyrus(), dovecot()] {
        for mechanism in [
            "PLAIN",
            "LOGIN",
            "LOGIN command",
            "CRAM-MD5",
            "SCRAM-SHA-1",
            "SCRAM-SHA-256",
        ] {
            for password in [server.password.as_str(), "wrong-but-somebodys"] {
                for tls in [None, Some("--notls")] {
                    for source in ["-w", "environment"] {
                        let run = Imapadm::on(server).no_password();
                        let trace = run.home().join("trace");
                        let run = run
                            .args(["--auth", mechanism, "-c", "session", "--trace"])
                            .arg(&trace)
                            .args(tls);
                        let run = match source {
                            "-w" => run.args(["-w", password]),
                            _ => run.env("IMAPADM_PASSWORD", password),
                        };
                        let mut ended = run.run();
                        let right = password == server.password;
                        assert_eq!(ended.status, Some(if right { 0 } else { 6 }), "{ended}");
                        let traced = std::fs::read_to_string(&trace).expect("a trace");
                        let verb = match mechanism {
                            "LOGIN command" => "LOGIN",
                            _ => "AUTHENTICATE",
                        };
                        assert!(traced.contains(verb), "it is traced: {traced}");
                        // The command that a failed test shows is no output.
                        ended.command.clear();
                        assert_home_discreet(&run, &ended, password, None);
                    }
                }
            }
        }
    }
}

#[test]
fn no_login_leaves_the_token_anywhere() {
    let server = dovecot();
    for token in [&server.token, &server.expired_token] {
        let token = token.as_ref().expect("a token");
        for mechanism in ["OAUTHBEARER", "XOAUTH2"] {
            for tls in [None, Some("--notls")] {
                let run = Imapadm::on(server).user("alice").no_password();
                let file = run.file("token", token);
                let trace = run.home().join("trace");
                let run = run
                    .args(["--auth", mechanism, "-c", "session", "--trace"])
                    .arg(&trace)
                    .args(tls)
                    .arg("--token-file")
                    .arg(&file);
                let ended = run.run();
                let traced = std::fs::read_to_string(&trace).expect("a trace");
                assert!(traced.contains(mechanism), "it is traced: {traced}");
                assert_home_discreet(&run, &ended, token, Some(&file));
            }
        }
    }
}

#[test]
fn what_is_typed_at_the_prompt_stays_there() {
    let server = dovecot();
    let run = Imapadm::on(server).no_password();
    let trace = run.home().join("trace");
    let run = run.arg("--trace").arg(&trace);
    let mut terminal = Terminal::spawn(&run);
    question(&terminal, 1);
    terminal.type_("mistyped-words\r");
    question(&terminal, 2);
    terminal.type_(&format!("{}\r", server.password));
    terminal.wait_for("@localhost>", SOON);
    // As another user, whose password is asked for by a command.
    terminal.type_("authenticate alice\r");
    terminal.wait_until("question", SOON, |screen| {
        screen.contains("Password for alice@") && !terminal.echoes()
    });
    terminal.type_("mistyped-words\r");
    terminal.wait_until("second question", SOON, |screen| {
        screen.matches("Password for alice@").count() == 2 && !terminal.echoes()
    });
    terminal.type_(&format!("{}\r", server.password));
    terminal.wait_for("alice@localhost>", SOON);
    terminal.type_("\x04");
    assert_eq!(terminal.exit_status(SOON).exit_code(), 0);
    for secret in [server.password.as_str(), "mistyped-words"] {
        assert_discreet("the screen", &terminal.sent(), secret);
        for file in files(run.home()) {
            let content = std::fs::read(&file).expect("a file");
            assert_discreet(&file.display().to_string(), &content, secret);
        }
    }
    let history = run.home().join("state/imapadm/history");
    let history = std::fs::read_to_string(history).expect("the history");
    assert!(history.contains("authenticate alice"), "{history}");
}

#[test]
fn a_password_command_that_fails_does_not_tell() {
    // What it printed before it failed may be the password; what it says on stderr is the user's to see.
    let run = without(cyrus()).args(["--password-command", "echo half-a-secret; exit 3"]);
    let ended = run.run().fails(6);
    assert!(!ended.stdout.contains("half-a-secret"), "{ended}");
    // The command itself is quoted, so once.
    assert_eq!(ended.stderr.matches("half-a-secret").count(), 1, "{ended}");
}

// ---- whom a secret was given for

/// Whether somebody tried to log in there.
fn was_tried(server: &Faulty) -> bool {
    let received = server.received();
    received
        .iter()
        .any(|line| line.contains("AUTHENTICATE") || line.contains("LOGIN "))
}

#[test]
fn a_secret_of_the_start_goes_to_no_other_server() {
    for named in [true, false] {
        for source in ["environment", "token", "file", "word", "command"] {
            let (first, other) = (open_door(), open_door());
            let mut run = Imapadm::bare().args(["--notls", "-u", "someone", "--allow-cleartext"]);
            let word = match source {
                "environment" => {
                    run = run.env("IMAPADM_PASSWORD", PASSWORD);
                    "IMAPADM_PASSWORD"
                }
                "token" => {
                    run = run.env("IMAPADM_TOKEN", PASSWORD);
                    "IMAPADM_TOKEN"
                }
                "file" => {
                    let file = run.file("secret", PASSWORD);
                    run = run.arg("--password-file").arg(file);
                    "the password of the command line"
                }
                "command" => {
                    run = run.args(["--password-command", "echo hunter2hunter2"]);
                    "the password of the command line"
                }
                _ => {
                    run = run.args(["-w", PASSWORD]);
                    "the password of the command line"
                }
            };
            let connect =
                |server: &Faulty| format!("connect --notls -u someone localhost {}", server.port);
            let run = match named {
                true => run.arg(format!("localhost:{}", first.port)),
                false => run.args(["-c", &connect(&first)]),
            };
            // Back to the first one, and over to the other.
            let run = run.args([
                "-c",
                "session",
                "-c",
                &connect(&first),
                "-c",
                "session",
                "-c",
                &connect(&other),
            ]);
            let run = run.limit(SOON).through(&["setsid", "-w"]).run();
            assert_eq!(run.stdout.matches("user\tsomeone").count(), 2, "{run}");
            let run = run.fails(6).complains(word).complains("is not used");
            run.complains(&format!("someone at localhost:{}", first.port))
                .never_says(PASSWORD);
            assert!(
                was_tried(&first) && !was_tried(&other),
                "{:?}",
                other.received()
            );
        }
    }
}

#[test]
fn a_secret_of_the_start_goes_to_no_other_user() {
    for command in [
        "authenticate other",
        "connect --notls -u other localhost PORT",
    ] {
        let server = open_door();
        let command = command.replace("PORT", &server.port.to_string());
        let run = Imapadm::on_port(server.port)
            .no_password()
            .env("IMAPADM_PASSWORD", PASSWORD);
        let run = run.args(["-c", "session", "-c", &command]).limit(SOON);
        let run = run.through(&["setsid", "-w"]).run().says("user\tsomeone");
        run.fails(6)
            .complains("IMAPADM_PASSWORD is not used")
            .never_says(PASSWORD);
        let logins = server.received();
        let logins = logins.iter().filter(|line| line.contains("AUTHENTICATE"));
        assert_eq!(logins.count(), 1);
    }
}

// ---- the user's own files, and what else may stand in their place

const HISTORY: &str = "state/imapadm/history";

fn fifo(path: &Path) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.expect("mkfifo runs").success());
}

/// A server that lets everybody in, without TLS.
fn open_door() -> Faulty {
    Faulty::script(|conn| {
        conn.send("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=OAUTHBEARER SASL-IR] ready\r\n");
        conn.answer(certs::imap);
    })
}

#[test]
fn a_history_that_is_a_link_is_left_alone() {
    let server = open_door();
    for dangling in [false, true] {
        let run = Imapadm::on_port(server.port);
        let target = run.home().join("important");
        if !dangling {
            std::fs::write(&target, "text\n").expect("a file");
            chmod(&target, 0o644);
        }
        let history = run.home().join(HISTORY);
        std::fs::create_dir_all(history.parent().expect("a folder")).expect("a folder");
        std::os::unix::fs::symlink(&target, &history).expect("a link");
        let mut terminal = Terminal::spawn(&run);
        terminal.wait_for("someone@localhost>", SOON);
        let screen = terminal.screen();
        assert!(
            screen.contains("the history is not saved") && screen.contains("a symbolic link"),
            "{screen}"
        );
        terminal.type_("noop\r");
        terminal.wait_until("two prompts", SOON, |screen| {
            screen.matches("localhost>").count() > 1
        });
        terminal.type_("\x04");
        assert_eq!(terminal.exit_status(SOON).exit_code(), 0);
        if dangling {
            assert!(!target.exists());
        } else {
            assert_eq!(
                std::fs::read_to_string(&target).expect("the file"),
                "text\n"
            );
            let mode = std::fs::metadata(&target)
                .expect("the file")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o644);
        }
    }
}

#[test]
fn a_history_that_is_no_file_is_passed_over() {
    let server = open_door();
    for folder in [false, true] {
        let run = Imapadm::on_port(server.port);
        let history = run.home().join(HISTORY);
        if folder {
            std::fs::create_dir_all(&history).expect("a folder");
        } else {
            fifo(&history);
        }
        let mut terminal = Terminal::spawn(&run);
        terminal.wait_for("someone@localhost>", SOON);
        let screen = terminal.screen();
        assert!(screen.contains("the history is not saved"), "{screen}");
        terminal.type_("\x04");
        assert_eq!(terminal.exit_status(SOON).exit_code(), 0);
    }
}

#[test]
fn a_trace_follows_no_link() {
    let server = open_door();
    let run = Imapadm::on_port(server.port).args(["-c", "noop"]);
    let target = run.file("important", "text\n");
    chmod(&target, 0o644);
    let link = run.home().join("link");
    std::os::unix::fs::symlink(&target, &link).expect("a link");
    let run = run.arg("--trace").arg(&link);
    run.run().fails(2).complains("a symbolic link");
    assert_eq!(
        std::fs::read_to_string(&target).expect("the file"),
        "text\n"
    );
    let mode = std::fs::metadata(&target)
        .expect("the file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o644);
    // A pipe that nobody reads from, one that somebody reads from, and what a trace may well go to.
    let run = || {
        Imapadm::on_port(server.port)
            .args(["-c", "noop"])
            .limit(SOON)
    };
    let piped = run();
    let pipe = piped.home().join("pipe");
    fifo(&pipe);
    piped
        .arg("--trace")
        .arg(&pipe)
        .run()
        .fails(2)
        .complains("cannot write the trace");
    for fine in ["/dev/null", "/dev/stderr", "/dev/fd/2"] {
        run().args(["--trace", fine]).run().ok();
    }
    let run = run().args(["--trace", "/dev/stderr"]).run().ok();
    run.complains("NOOP");
}

/// With a named pipe, a folder and a device at each place where a file is expected; nothing waits for any of them.
#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    let server = open_door();
    let run = || Imapadm::on_port(server.port).limit(SOON);
    let options = [
        ("-f", 2, "the script"),
        ("--password-file", 6, "the password file"),
        ("--token-file", 6, "the token file"),
        ("--cafile", 5, "cannot read"),
        ("--cert", 5, "cannot read"),
    ];
    for (option, status, words) in options {
        for what in ["pipe", "folder", "/dev/zero"] {
            let mut run = run();
            if option.contains("-file") && option != "-f" {
                run = run.no_password();
            }
            let path = run.home().join(what);
            match what {
                "pipe" => fifo(&path),
                "folder" => std::fs::create_dir(&path).expect("a folder"),
                _ => {}
            }
            if option != "-f" {
                run = run.args(["-c", "noop"]);
            }
            let run = run.arg(option).arg(&path).run();
            run.fails(status).complains(words).complains("not a file");
        }
    }
    for name in [
        "config/imapadm/config.toml",
        "data/imapadm/known_servers",
        ".netrc",
    ] {
        for folder in [false, true] {
            let run = if name.ends_with("known_servers") {
                Imapadm::on_tls_port(server.port)
            } else {
                run()
            };
            let path = run.home().join(name);
            if folder {
                std::fs::create_dir_all(&path).expect("a folder");
            } else {
                fifo(&path);
            }
            let run = run
                .no_password()
                .args(["-c", "noop"])
                .limit(SOON)
                .through(&["setsid", "-w"])
                .run();
            let run = run.complains(name).complains("not a file");
            assert!(matches!(run.status, Some(2 | 6)), "{run}");
        }
    }
}

#[test]
fn what_a_shell_hands_over_is_no_such_file_and_works() {
    let server = open_door();
    let bash = |run: Imapadm, script: &str| run.through(&["bash", "-c", script, "-"]);
    let run = || Imapadm::on_port(server.port).no_password().limit(SOON);
    let script =
        "exec \"$@\" --password-file <(echo secret) -f <(echo noop; sleep 0.1; echo session)";
    bash(run(), script).run().ok().says("user\tsomeone");
    let script = "exec \"$@\" --password-file <(echo secret) -f /dev/stdin < <(echo session)";
    bash(run(), script).run().ok().says("user\tsomeone");
}

#[test]
fn a_pipe_that_gives_nothing_is_left_with_ctrl_c() {
    let server = open_door();
    for option in ["-f", "--password-file"] {
        let run = Imapadm::on_port(server.port).no_password();
        let run = match option {
            "-f" => run,
            _ => run.args(["-c", "noop"]),
        };
        // More than a pipe holds: once it is written, somebody reads. It then stays open until its stdin ends.
        let script = format!(
            "exec 3<&0; exec \"$@\" {option} <(head -c 65537 /dev/zero | tr '\\0' x; echo reading >&2; exec cat <&3 2>/dev/null)"
        );
        let mut child = run.through(&["bash", "-c", &script, "-"]).start();
        let stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let mut lines = stderr.lines().map(|line| line.expect("a line"));
        assert!(lines.any(|line| line == "reading"));
        signal(&child, "INT");
        let status = wait(&mut child, SOON).expect("it ends");
        assert_eq!(status.code(), Some(130), "{option}");
        let received = server.received().join("\n");
        assert!(!received.contains("AUTHENTICATE"), "{received}");
    }
}
