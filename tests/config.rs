//! Servers that have a name, the file they stand in, and where each setting comes from.

use std::path::PathBuf;

use super::support::place::objects;
use super::support::run::{Imapadm, Run};
use super::support::servers::{Server, cyrus, dovecot};

const FILE: &str = "config/imapadm/config.toml";

/// A bare run with this configuration.
fn with(config: &str) -> Imapadm {
    let run = Imapadm::bare();
    run.file(FILE, config);
    run
}

/// All that there is to know about a server, the way that a user would write it down once.
fn named(run: &Imapadm, name: &str, server: &Server) -> String {
    let password: PathBuf = run.file(
        &format!("{name}.password"),
        format!("{}\n", server.password),
    );
    format!(
        "[servers.{name}]\nhost = \"localhost\"\nport = {}\nsecurity = \"starttls\"\nuser = \"{}\"\ncafile = {:?}\n\
         password-file = {password:?}\n\n",
        server.imap, server.admin, server.ca
    )
}

/// A run that knows both servers by name.
fn knowing_both() -> Imapadm {
    let run = Imapadm::bare();
    let config = [
        named(&run, "office", cyrus()),
        named(&run, "club", dovecot()),
    ]
    .concat();
    run.file(FILE, config);
    run
}

/// The row of a setting: its value and where it comes from.
#[track_caller]
fn setting(run: &Run, name: &str) -> (String, String) {
    let row = run
        .stdout
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .find(|row| row[0] == name)
        .unwrap_or_else(|| panic!("no {name} in\n{run}"));
    (row[1].to_owned(), row[2..].join("\t"))
}

#[test]
fn the_name_of_a_server_is_all_a_script_needs() {
    for (name, server) in [("office", cyrus()), ("club", dovecot())] {
        for as_script in [true, false] {
            let run = knowing_both();
            let run = if as_script {
                run.stdin("list\nsession\n")
            } else {
                run.args(["-c", "list", "-c", "session"])
            };
            let run = run.arg(name).run().ok();
            assert_eq!(run.stderr, "", "{run}");
            run.says(&format!("server\tlocalhost:{}\n", server.imap))
                .says(&format!("user\t{}\n", server.admin))
                .says("tls\tTLSv1.")
                .never_says(&server.password);
        }
    }
}

#[test]
fn a_script_goes_from_one_named_server_to_another() {
    let script = "connect office\nsession\ndisconnect\nconnect club\nsession\n";
    let run = knowing_both().stdin(script).run().ok();
    for server in [cyrus(), dovecot()] {
        assert!(
            run.stdout
                .contains(&format!("server\tlocalhost:{}\n", server.imap)),
            "{run}"
        );
    }
    // What the program was told for its own server does not go to another: each has its own password and user.
    let run = knowing_both()
        .arg("office")
        .stdin("connect club\nsession\n")
        .run();
    run.ok().says(&format!("user\t{}\n", dovecot().admin));
}

#[test]
fn servers_lists_what_has_a_name() {
    let config = "[defaults]\nuser = \"everywhere\"\n[servers.b]\nhost = \"b.example.org\"\nport = 1143\n\
                  [servers.a]\nhost = \"a.example.org\"\nsecurity = \"tls\"\nuser = \"anna\"\n\
                  [servers.local]\nhost = \"/run/imap.sock\"\n[servers.open]\nhost = \"10.0.0.1\"\nsecurity = \"none\"\n";
    let run = with(config)
        .args(["--format", "json", "-c", "servers"])
        .run();
    let run = run.ok();
    let rows = objects(&run).remove(0)["rows"].clone();
    let row = |name: &str| {
        let rows = rows.as_array().expect("rows");
        let found = rows.iter().find(|row| row["name"] == name);
        found
            .unwrap_or_else(|| panic!("no {name} in\n{run}"))
            .clone()
    };
    assert_eq!(rows.as_array().map(Vec::len), Some(4), "{run}");
    assert_eq!(row("a")["host"], "a.example.org");
    assert_eq!(row("a")["port"], 993);
    assert_eq!(row("a")["security"], "tls");
    assert_eq!(row("a")["user"], "anna");
    assert_eq!(row("b")["port"], 1143);
    assert_eq!(row("b")["security"], "starttls");
    assert_eq!(row("b")["user"], "everywhere");
    assert_eq!(row("local")["host"], "/run/imap.sock");
    assert_eq!(row("open")["port"], 143);
    assert_eq!(row("open")["security"], "none");
    // Without a file there are none, and that is no mistake.
    let run = Imapadm::bare().args(["-c", "servers"]).run().ok();
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
}

#[test]
fn what_the_file_should_not_say_is_shown_with_line_and_column() {
    for (config, at, word) in [
        ("[servers.x]\nhost = \"a\"\n  hots = \"b\"\n", "3:3", "hots"),
        ("[defaults]\nusr = \"b\"\n", "2:1", "usr"),
        ("[server.x]\nhost = \"a\"\n", "1:2", "server"),
        ("user = \"x\"\n", "1:1", "user"),
        ("[servers.x]\nhost = \"a\"\nport = [1]\n", "3:8", ""),
        ("[servers.x]\nhost = \"a\nport = 1\n", "2:", ""),
        ("[servers.x]\n\nsecurity = \"ssl\"\n", "3:12", ""),
        ("[defaults]\ntimeout = \"soon\"\n", "2:11", ""),
        ("[defaults]\nformat = \"xml\"\n", "2:10", "xml"),
        ("[defaults]\nauth = \"PLAIN,ROT13\"\n", "2:8", "ROT13"),
        ("[defaults]\npin = \"sha256:12\"\n", "2:7", ""),
        ("[defaults]\nallow-cleartext = \"yes\"\n", "2:19", ""),
    ] {
        let run = with(config).args(["-c", "help"]).run().fails(2);
        assert!(run.stdout.is_empty(), "{config}: {run}");
        run.complains(&format!("config.toml:{at}")).complains(word);
    }
}

#[test]
fn a_password_in_the_file_is_refused_and_not_repeated() {
    for config in [
        "[servers.x]\nhost = \"a\"\npassword = \"hunter2hunter2\"\n",
        "[defaults]\npassword = \"hunter2hunter2\"\n",
        "[servers.x]\npassword = hunter2hunter2\n",
        "[servers.x]\npassword = \"hunter2hunter2\n",
        "[servers.x]\npasswort = \"hunter2hunter2\"\n",
        "[servers.x]\ntoken = \"hunter2hunter2\"\n",
    ] {
        with(config)
            .args(["-c", "help"])
            .run()
            .fails(2)
            .complains("config.toml:")
            .never_says("hunter2");
    }
}

#[test]
fn each_setting_is_shown_with_its_source() {
    let config = "[defaults]\nuser = \"everywhere\"\ntimeout = 7\n\n\
                  [servers.x]\nhost = \"x.example.org\"\nport = 1143\nauth = [\"CRAM-MD5\", \"PLAIN\"]\n\
                  password-command = \"pass show x\"\nsecurity = \"starttls\"\n";
    let run = with(config)
        .args(["--show-config", "--port", "1993", "--tls", "x"])
        .run()
        .ok();
    assert_eq!(setting(&run, "host").0, "x.example.org");
    assert!(setting(&run, "host").1.contains("config.toml"), "{run}");
    assert_eq!(setting(&run, "security").0, "tls");
    assert!(
        setting(&run, "security").1.contains("command line"),
        "{run}"
    );
    assert_eq!(setting(&run, "port").0, "1993");
    assert_eq!(setting(&run, "user").0, "everywhere");
    assert!(setting(&run, "user").1.contains("config.toml"), "{run}");
    assert_eq!(setting(&run, "timeout").0, "7");
    let auth = setting(&run, "auth").0;
    assert!(auth.find("CRAM-MD5") < auth.find("PLAIN"), "{run}");
    assert!(setting(&run, "password").0.contains("pass show x"), "{run}");
    assert_eq!(setting(&run, "allow-cleartext").1, "default");
    assert_eq!(setting(&run, "format"), ("text".into(), "default".into()));
    // The environment's password goes before the server's own, is named and never shown.
    let run = with(config)
        .env("IMAPADM_PASSWORD", "hunter2hunter2")
        .args(["--show-config", "x"])
        .run()
        .ok()
        .never_says("hunter2");
    assert_eq!(
        setting(&run, "password"),
        (
            "from the variable IMAPADM_PASSWORD, for this server and user only".into(),
            "environment".into()
        )
    );
    let run = with(config)
        .args(["-w", "hunter2hunter2", "--show-config", "x"])
        .run()
        .ok()
        .never_says("hunter2");
    assert_eq!(setting(&run, "password").1, "command line");
    // Without a name: what every connection is made with.
    let run = with(config).arg("--show-config").run().ok();
    assert_eq!(setting(&run, "user").0, "everywhere");
    let run = Imapadm::bare().arg("--show-config").run().ok();
    assert_eq!(setting(&run, "timeout"), ("30".into(), "default".into()));
}

#[test]
fn the_file_is_shown_with_its_line() {
    let config =
        "[defaults]\nuser = \"everywhere\"\n\n[servers.x]\nhost = \"x.example.org\"\nport = 1143\n";
    let run = with(config).args(["--show-config", "x"]).run().ok();
    assert!(setting(&run, "user").1.contains("config.toml:2"), "{run}");
    assert!(setting(&run, "host").1.contains("config.toml:5"), "{run}");
    assert!(setting(&run, "port").1.contains("config.toml:6"), "{run}");
}

#[test]
fn the_command_line_goes_before_the_name_and_the_name_before_the_defaults() {
    let server = dovecot();
    let user = server.user();
    // The name's password is its own user's.
    let run = knowing_both().args(["-u", &user, "-c", "session", "club"]);
    run.env("IMAPADM_PASSWORD", &server.password)
        .run()
        .ok()
        .says(&format!("user\t{user}\n"));
    let run = Imapadm::bare();
    let mut config = "[defaults]\nuser = \"nobody-at-all\"\nformat = \"json\"\n".to_owned();
    config.push_str(&named(&run, "club", server));
    run.file(FILE, config);
    let run = run.args(["-c", "session", "club"]).run().ok();
    assert_eq!(objects(&run)[0]["ok"], true, "{run}");
    assert!(run.stdout.contains(&server.admin), "{run}");
    let run = knowing_both().args(["--notls", "-c", "session", "club"]);
    run.run().ok().says("tls\tnone");
}

#[test]
fn a_name_that_is_not_there_is_a_host() {
    with("[servers.x]\nhost = \"a\"\n")
        .args(["-c", "noop", "-u", "x", "no-such-name.invalid"])
        .run()
        .fails(4)
        .complains("no-such-name.invalid");
}
