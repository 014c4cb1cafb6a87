//! A certificate that nobody vouches for: shown and asked about once, remembered, and missed when it changes.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::support::certs::{self, Authority, Form, Identity, named};
use super::support::faulty::Faulty;
use super::support::place::objects;
use super::support::pty::Terminal;
use super::support::run::{Imapadm, Run};

const SOON: Duration = Duration::from_secs(15);
const QUESTION: &str = "(yes/no)";
const PASSWORD: &str = "s3cret-Passw0rd";

/// A server that has several certificates and shows one of them, by its index.
fn showing(identities: &[&Identity]) -> (Faulty, Arc<AtomicUsize>) {
    let configs: Vec<_> = identities.iter().map(|one| one.config(None)).collect();
    let shown = Arc::new(AtomicUsize::new(0));
    let index = Arc::clone(&shown);
    let server = Faulty::script(move |conn| {
        certs::secure(conn, Form::StartTls, &configs[index.load(Ordering::SeqCst)]);
        conn.answer(certs::imap);
    });
    (server, shown)
}

fn self_signed() -> Identity {
    let mut params = named(&["localhost"]);
    params
        .distinguished_name
        .push(rcgen::DnType::OrganizationName, "Kleiner Verein");
    Identity::self_signed(&params)
}

/// A user at a terminal, with a home that stays from one start of the program to the next.
struct User {
    run: Imapadm,
}

impl User {
    fn of(server: &Faulty) -> User {
        let run = Imapadm::on_tls_port(server.port).args(["--timeout", "10"]);
        User { run }
    }

    fn starts(&self) -> Terminal {
        Terminal::spawn(&self.run)
    }

    /// Starts it, says yes, and leaves it.
    fn trusts(&self) {
        let mut terminal = self.starts();
        terminal.wait_for(QUESTION, SOON);
        terminal.type_("yes\r");
        leave(&mut terminal);
    }

    /// The same user's script.
    fn script(&self, server: &Faulty) -> Imapadm {
        Imapadm::on_tls_port(server.port)
            .env("XDG_DATA_HOME", self.run.home().join("data"))
            .args(["--timeout", "10", "-c", "session"])
            .limit(Duration::from_secs(30))
    }

    fn file(&self) -> PathBuf {
        self.run.home().join("data/imapadm/known_servers")
    }

    fn known(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap_or_default()
    }
}

/// Waits for the prompt of one who is logged in, and ends the program.
fn leave(terminal: &mut Terminal) {
    terminal.wait_for("someone@localhost>", SOON);
    terminal.type_("\x04");
    assert_eq!(terminal.exit_status(SOON).exit_code(), 0);
}

/// All that was ever on the screen, whatever scrolled away or was wrapped.
fn all(terminal: &Terminal) -> String {
    String::from_utf8_lossy(&terminal.sent()).into_owned()
}

#[test]
fn the_first_time_all_is_shown_and_yes_is_remembered() {
    let identity = self_signed();
    let (server, _) = showing(&[&identity]);
    let user = User::of(&server);
    let mut terminal = user.starts();
    terminal.wait_for(QUESTION, SOON);
    let screen = all(&terminal);
    for word in [
        "localhost",
        "subject",
        "issuer",
        "Kleiner Verein",
        "valid",
        "self-signed",
        "fingerprint",
        &identity.fingerprint(),
    ] {
        assert!(screen.contains(word), "no {word:?} in\n{screen}");
    }
    assert_eq!(user.known(), "", "nothing is kept before the answer");
    let received = server.received().join("\n");
    assert!(!received.contains("AUTHENTICATE"), "{received}");
    // Only the whole word will do.
    terminal.type_("y\r");
    terminal.wait_until("second question", SOON, |screen| {
        screen.matches(QUESTION).count() > 1
    });
    terminal.type_("yes\r");
    leave(&mut terminal);

    let line = user.known();
    let start = format!(
        "localhost:{} sha256:{} ",
        server.port,
        identity.fingerprint()
    );
    let day = line
        .strip_prefix(&start)
        .unwrap_or_else(|| panic!("{line}"));
    assert_eq!(day.len(), "2026-01-31\n".len(), "{line}");
    let mode = std::fs::metadata(user.file()).expect("the file");
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);

    // The second time nobody is asked, at the terminal or in a script.
    let mut terminal = user.starts();
    leave(&mut terminal);
    assert!(!all(&terminal).contains(QUESTION), "{}", all(&terminal));
    let run = user.script(&server).run().ok();
    assert_eq!(run.stderr, "", "{run}");
    assert_eq!(user.known(), line);
}

/// That a terminal of 80 columns breaks no line of what is shown before a question.
fn fits(screen: &str) {
    for line in screen.lines().filter(|line| !line.contains('\x1b')) {
        assert!(line.trim_end().chars().count() <= 80, "{line:?}");
    }
}

#[test]
fn an_unknown_authority_is_asked_about_too() {
    let authority = Authority::new("Our Own CA");
    let identity = authority.signs(&named(&["localhost"]));
    let (server, _) = showing(&[&identity]);
    let user = User::of(&server);
    let mut terminal = user.starts();
    terminal.wait_for(QUESTION, SOON);
    let screen = all(&terminal);
    assert!(screen.contains("Our Own CA"), "{screen}");
    assert!(screen.contains(&identity.fingerprint()), "{screen}");
    fits(&screen);
    terminal.type_("yes\r");
    leave(&mut terminal);
}

#[test]
fn one_of_version_1_is_asked_about_too() {
    let identity = Identity::of_version_1(&["-algorithm", "RSA"]);
    let (server, _) = showing(&[&identity]);
    let user = User::of(&server);
    user.trusts();
    let run = user.script(&server).run().ok();
    assert_eq!(run.stderr, "", "{run}");
}

#[test]
fn no_is_no_and_nothing_is_kept() {
    let identity = self_signed();
    let (server, _) = showing(&[&identity]);
    for answer in ["no\r", "\x03", "\x04"] {
        let user = User::of(&server);
        let mut terminal = user.starts();
        terminal.wait_for(QUESTION, SOON);
        terminal.type_(answer);
        let status = terminal.exit_status(SOON).exit_code();
        assert!(
            status == 5 || (answer == "\x03" && status == 130),
            "{status} after {answer:?}: {}",
            all(&terminal)
        );
        assert_eq!(user.known(), "");
    }
    let received = server.received().join("\n");
    assert!(!received.contains("AUTHENTICATE"), "{received}");
}

#[test]
fn what_cannot_be_judged_by_looking_is_not_asked_about() {
    let authority = Authority::new("CA");
    let mut old = named(&["localhost"]);
    old.not_after = rcgen::date_time_ymd(2020, 2, 3);
    let other_name = authority.signs(&named(&["elsewhere.example.org"]));
    let expired = authority.signs(&old);
    for identity in [&other_name, &expired] {
        let (server, _) = showing(&[identity]);
        let user = User::of(&server);
        let run = user.run.arg("--cafile");
        let file = run.file("ca.pem", authority.pem());
        let user = User { run: run.arg(file) };
        let mut terminal = user.starts();
        assert_eq!(terminal.exit_status(SOON).exit_code(), 5);
        assert!(!all(&terminal).contains(QUESTION), "{}", all(&terminal));
    }
}

#[test]
fn a_script_is_never_asked() {
    let identity = self_signed();
    let (server, _) = showing(&[&identity]);
    let user = User::of(&server);
    user.script(&server).run().fails(5).complains("--cafile");
    // Not even where there is a terminal.
    let run = Imapadm::on_tls_port(server.port).args(["-c", "session"]);
    let mut terminal = Terminal::spawn(&run);
    assert_eq!(terminal.exit_status(SOON).exit_code(), 5);
    assert!(!all(&terminal).contains(QUESTION), "{}", all(&terminal));
    assert_eq!(user.known(), "");
}

#[test]
fn one_that_changed_is_refused_with_both_fingerprints() {
    let (first, second) = (self_signed(), self_signed());
    let (server, shown) = showing(&[&first, &second]);
    let user = User::of(&server);
    user.trusts();
    let known = user.known();
    shown.store(1, Ordering::SeqCst);
    user.script(&server)
        .run()
        .fails(5)
        .complains(&first.fingerprint())
        .complains(&second.fingerprint())
        .complains("known_servers")
        .never_says(PASSWORD);
    // At a terminal, too: whoever is asked so says yes.
    let before = server.received().len();
    let mut terminal = user.starts();
    assert_eq!(terminal.exit_status(SOON).exit_code(), 5);
    let screen = all(&terminal);
    assert!(!screen.contains(QUESTION), "{screen}");
    assert!(screen.contains(&first.fingerprint()), "{screen}");
    assert!(screen.contains(&second.fingerprint()), "{screen}");
    assert_eq!(user.known(), known);
    let later = server.received()[before..].join("\n");
    assert!(!later.contains("AUTHENTICATE"), "{later}");
    // The one that is known is still as good as it was.
    shown.store(0, Ordering::SeqCst);
    user.script(&server).run().ok();
}

#[test]
fn each_server_has_its_own() {
    let identity = self_signed();
    let (one, _) = showing(&[&identity]);
    let (other, _) = showing(&[&identity]);
    let user = User::of(&one);
    user.trusts();
    // The same certificate on another port is another server.
    user.script(&other).run().fails(5);
    user.script(&one).run().ok();
}

#[test]
fn a_damaged_memory_is_no_memory() {
    let identity = self_signed();
    let (server, _) = showing(&[&identity]);
    let user = User::of(&server);
    user.trusts();
    let known = user.known();
    for damaged in [
        "what is this\n",
        "localhost:1 sha256:12\n",
        "\u{0}\u{1b}[2J\n",
    ] {
        std::fs::write(user.file(), damaged).expect("the file");
        let run = user.script(&server).run().never_says("\x1b");
        assert!(matches!(run.status, Some(2 | 5)), "{run}");
    }
    // Others could have written what stands in it.
    std::fs::write(user.file(), known).expect("the file");
    let open = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(user.file(), open).expect("its mode");
    let run = user.script(&server).run().complains("known_servers");
    assert!(matches!(run.status, Some(2 | 5)), "{run}");
}

#[test]
fn a_pin_is_the_only_certificate_that_will_do() {
    let (mine, other) = (self_signed(), self_signed());
    let authority = Authority::new("CA");
    let signed = authority.signs(&named(&["localhost"]));
    for form in Form::BOTH {
        let server = certs::serving(form, mine.config(None));
        let pinned = |fingerprint: &str| {
            let pin = format!("sha256:{fingerprint}");
            certs::on(&server, form).args(["--pin", &pin])
        };
        pinned(&mine.fingerprint()).run().ok().says("tls\tTLSv1.");
        let capitals = mine.fingerprint().to_uppercase();
        pinned(&capitals).run().ok();
        pinned(&other.fingerprint())
            .run()
            .fails(5)
            .complains(&mine.fingerprint())
            .complains(&other.fingerprint())
            .never_says(PASSWORD);
        // As it was: another pin, though an authority vouches for the certificate.
        let server = certs::serving(form, signed.config(None));
        let run = certs::on(&server, form).args(["--pin", &format!("sha256:{capitals}")]);
        certs::trusting(run, &authority.pem())
            .run()
            .fails(5)
            .complains(&signed.fingerprint());
    }
    for wrong in ["sha256:12", "sha1:aa", "", "sha256:zz", &"0".repeat(63)] {
        Imapadm::on_tls_port(1)
            .args(["--pin", wrong, "-c", "noop"])
            .run()
            .fails(2)
            .complains("--pin");
    }
}

#[test]
fn the_name_that_a_certificate_must_have_can_be_given() {
    let authority = Authority::new("CA");
    let identity = authority.signs(&named(&["mail.example.org"]));
    for form in Form::BOTH {
        let server = certs::serving(form, identity.config(None));
        let with = |name: &str| {
            let run = certs::on(&server, form).args(["--tls-server-name", name]);
            certs::trusting(run, &authority.pem()).run()
        };
        with("mail.example.org").ok().says("tls\tTLSv1.");
        with("localhost").fails(5).complains("mail.example.org");
        with("www.example.org")
            .fails(5)
            .complains("www.example.org");
    }
}

/// A server that sends its authorities along, a user who has accepted the last of them by hand, and which certificate it shows.
fn with_authority(identities: &[&Identity]) -> (Faulty, Arc<AtomicUsize>, User) {
    let (server, shown) = showing(identities);
    let user = User::of(&server);
    let mut terminal = user.starts();
    terminal.wait_for("(yes/authority/no)", SOON);
    fits(&all(&terminal));
    terminal.type_("authority\r");
    leave(&mut terminal);
    (server, shown, user)
}

#[test]
fn an_authority_can_be_trusted_in_place_of_its_certificate() {
    let authority = Authority::new("Our Own CA");
    let impostor = Authority::new("Our Own CA");
    let first = authority.signs(&named(&["localhost"])).with(&[&authority]);
    let renewed = authority.signs(&named(&["localhost"])).with(&[&authority]);
    // Without the authority beside it, as a server may be set up another time.
    let alone = authority.signs(&named(&["localhost"]));
    let elsewhere = authority
        .signs(&named(&["mail.example.org"]))
        .with(&[&authority]);
    let mut old = named(&["localhost"]);
    old.not_before = rcgen::date_time_ymd(2019, 1, 1);
    old.not_after = rcgen::date_time_ymd(2020, 2, 3);
    let expired = authority.signs(&old).with(&[&authority]);
    let forged = impostor.signs(&named(&["localhost"])).with(&[&impostor]);
    let other = self_signed();
    let identities = [
        &first, &renewed, &alone, &elsewhere, &expired, &forged, &other,
    ];
    let (server, shown, user) = with_authority(&identities);
    let known = user.known();
    assert!(known.contains(&authority.fingerprint()), "{known}");
    assert!(!known.contains(&first.fingerprint()), "{known}");
    for good in [0, 1, 2] {
        shown.store(good, Ordering::SeqCst);
        let run = user.script(&server).run().ok();
        assert_eq!(run.stderr, "", "{run}");
    }
    for (bad, words) in [
        (3, ["is not for localhost", "mail.example.org"]),
        (4, ["expired", "2020-02-03"]),
        (
            5,
            ["THE AUTHORITY OF localhost HAS CHANGED", "known --forget"],
        ),
        (
            6,
            ["THE AUTHORITY OF localhost HAS CHANGED", "known --forget"],
        ),
    ] {
        shown.store(bad, Ordering::SeqCst);
        let before = server.received().len();
        let run = user.script(&server).run().fails(5).never_says(PASSWORD);
        run.complains(words[0]).complains(words[1]);
        // Nor is anybody asked, at a terminal.
        let mut terminal = user.starts();
        assert_eq!(terminal.exit_status(SOON).exit_code(), 5);
        assert!(!all(&terminal).contains("/no)"), "{}", all(&terminal));
        let later = server.received()[before..].join("\n");
        assert!(!later.contains("AUTHENTICATE"), "{later}");
    }
    assert_eq!(user.known(), known);
    // It is this server's authority and no other's.
    let (another, _) = showing(&[&renewed]);
    user.script(&another).run().fails(5);
}

#[test]
fn an_authority_that_does_not_vouch_for_the_name_is_not_offered() {
    let (authority, stranger) = (Authority::new("CA"), Authority::new("Stranger"));
    for identity in [
        authority
            .signs(&named(&["elsewhere.example.org"]))
            .with(&[&authority]),
        // It signed nothing here.
        authority.signs(&named(&["localhost"])).with(&[&stranger]),
        authority.signs(&named(&["localhost"])),
    ] {
        let (server, _) = showing(&[&identity]);
        let user = User::of(&server);
        let mut terminal = user.starts();
        terminal.wait_for(QUESTION, SOON);
        // Asking for it does not help either.
        terminal.type_("authority\r");
        terminal.wait_until("second question", SOON, |screen| {
            screen.matches(QUESTION).count() > 1
        });
        terminal.type_("no\r");
        assert_eq!(terminal.exit_status(SOON).exit_code(), 5);
        assert_eq!(user.known(), "");
    }
}

#[test]
fn what_is_known_is_listed_and_forgotten() {
    let authority = Authority::new("Our Own CA");
    let signed = authority.signs(&named(&["localhost"])).with(&[&authority]);
    let (server, _, user) = with_authority(&[&signed]);
    // A line as an older imapadm wrote it.
    let old = self_signed();
    let mut text = format!(
        "# mine\nmail.example.org:993 sha256:{}\n",
        old.fingerprint()
    );
    text.push_str(&user.known());
    std::fs::write(user.file(), &text).expect("the file");
    let command = |command: &str| {
        let run = Imapadm::bare().env("XDG_DATA_HOME", user.run.home().join("data"));
        run.args(["--format", "json", "-c", command]).run()
    };
    let rows = |run: &Run| objects(run).remove(0)["rows"].clone();
    let run = command("known").ok();
    let known = rows(&run);
    assert_eq!(known.as_array().map(Vec::len), Some(2), "{run}");
    assert_eq!(known[0]["server"], "mail.example.org:993");
    assert_eq!(known[0]["kind"], "certificate");
    assert_eq!(
        known[0]["fingerprint"],
        format!("sha256:{}", old.fingerprint())
    );
    assert!(known[0]["accepted"].is_null(), "{run}");
    assert_eq!(known[1]["server"], format!("localhost:{}", server.port));
    assert_eq!(known[1]["kind"], "authority");
    assert_eq!(
        known[1]["fingerprint"],
        format!("sha256:{}", authority.fingerprint())
    );
    assert!(known[1]["accepted"].is_string(), "{run}");
    assert!(
        known[1]["subject"].to_string().contains("Our Own CA"),
        "{run}"
    );
    // Not there, and a port that is not.
    for nothing in ["other", "localhost:1", "mail.example.org:143"] {
        command(&format!("known --forget {nothing}")).fails(2);
        assert_eq!(user.known(), text);
    }
    let run = command("known --forget LOCALHOST").ok();
    assert_eq!(
        rows(&run)[0]["server"],
        format!("localhost:{}", server.port)
    );
    assert_eq!(rows(&run)[0]["forgotten"], true);
    assert!(!user.known().contains("localhost") && user.known().starts_with("# mine\nmail."));
    // The next time it is asked about again.
    let terminal = user.starts();
    terminal.wait_for("(yes/authority/no)", SOON);
    command("known --forget mail.example.org:993").ok();
    assert_eq!(user.known(), "# mine\n");
    assert_eq!(command("known").ok().stderr, "");
}
