//! What is refused in a script before anything of it is sent: words that can't be right, and deletes that were not meant.

use super::support::faulty::Faulty;
use super::support::raw::Raw;
use super::support::run::{Imapadm, Run};
use super::support::servers::{cyrus, unique};

/// A server that says OK to everything.
fn willing() -> Faulty {
    Faulty::script(|conn| {
        conn.let_in("ACL QUOTA METADATA");
        conn.answer(|tag, command| {
            let row = if command.starts_with("LIST") {
                "* LIST () \".\" user.a\r\n* LIST () \".\" user.$Xa\r\n"
            } else {
                ""
            };
            format!("{row}{tag} OK done\r\n")
        });
    })
}

/// What the server was told to do, the login and the logout aside.
fn done(server: &Faulty) -> Vec<String> {
    let received = server.received();
    let commands = received.iter().filter_map(|line| line.split_once(' '));
    let commands = commands.map(|(_, command)| command.to_owned());
    commands
        .filter(|command| {
            ["CAPABILITY", "LOGIN", "LOGOUT"]
                .iter()
                .all(|verb| !command.starts_with(verb))
        })
        .collect()
}

/// Lines that are wrong whatever the server is, and a word of what is said of each.
const WRONG: &[(&str, &str)] = &[
    ("nonsense", "unknown command"),
    ("cm", "missing MAILBOX"),
    ("cm a b c", "unexpected argument"),
    ("cm --nonsense a", "--nonsense"),
    // Options stand first.
    ("dm user.bob --recursive", "--recursive is after"),
    ("dm user.bob -r", "-r is after"),
    ("dm user.bob -recursive", "-recursive is after"),
    ("dm user.bob --yes", "--yes is after"),
    ("sam x bob lrs --recursive", "--recursive is after"),
    ("sam x bob lrs -r", "-r is after"),
    ("sam x -r lrs", "-r is after"),
    ("dam x bob -y", "-y is after"),
    ("cm user.x --partition=p", "--partition is after"),
    ("lm user.* --status", "--status is after"),
    ("lm user.* -s", "-s is after"),
    ("setmd x comment --private", "--private is after"),
    ("setmd x comment --whatever", "--whatever is after"),
    // An unset variable.
    ("dm ''", "empty MAILBOX"),
    ("dm \"\"", "empty MAILBOX"),
    ("cm ''", "empty MAILBOX"),
    ("cm a ''", "empty PARTITION"),
    ("cm --partition '' a", "empty PARTITION of --partition"),
    ("cm --partition= a", "empty PARTITION of --partition"),
    ("renm '' b", "empty OLD"),
    ("renm a ''", "empty NEW"),
    ("sam '' bob lrs", "empty MAILBOX"),
    ("sam x '' lrs", "empty IDENTIFIER"),
    ("dam x bob ''", "empty IDENTIFIER"),
    ("select ''", "empty MAILBOX"),
    ("lqr ''", "empty MAILBOX"),
    ("connect ''", "empty SERVER"),
    ("login ''", "empty USER"),
    ("dm wire:", "empty mailbox name"),
    ("lam wire:", "empty mailbox name"),
    // Names, rights, limits, entries, and the values of options.
    ("cm wire:\\\\x", "invalid raw name"),
    ("cm 'user.*'", "wildcard"),
    ("renm a 'b%'", "wildcard"),
    ("sam x bob raed", "did you mean read"),
    ("sam x bob lr!", "invalid right"),
    ("sam x bob lrs alice +", "contains no rights"),
    ("sq user.bob lots", "\"lots\""),
    ("sq user.bob 10X", "\"10X\""),
    ("sq user.bob STORAGE 1G STORAGE 2G", "twice"),
    ("sq user.bob STORAGE", "\"STORAGE\""),
    ("setmd x coment y", "invalid entry"),
    ("setmd x /shared y", "cannot have a value"),
    (
        "setmd --private x /shared/comment y",
        "is not a private entry",
    ),
    ("getmd x /shared//y", "slashes"),
    ("getmd --depth 2 x comment", "invalid depth"),
    ("quit three", "exit status"),
    ("connect --tls --notls localhost", "cannot be combined"),
    ("login --minssf many bob", "number of bits"),
    ("help nonsense", "unknown command"),
    ("lm > list", "quote it"),
    // Many at once, and nobody to ask.
    ("dm user.*", "needs --yes"),
    ("dm 'user.$X*'", "needs --yes"),
    ("dm -r user.bob", "needs --yes"),
    ("deletemailbox --recursive user.bob", "needs --yes"),
];

#[test]
fn what_is_wrong_in_a_script_at_hand_is_told_at_once_and_nothing_is_sent() {
    for keep in [None, Some("-k")] {
        for part in [&WRONG[..WRONG.len() / 2], &WRONG[WRONG.len() / 2..]] {
            let server = willing();
            let mut script = String::from("cm fine\n");
            for (line, _) in part {
                script.push_str(&format!("{line}\nlam fine\n"));
            }
            let run = Imapadm::on_port(server.port).args(keep);
            let file = run.file("the-script", &script);
            let run = run.arg("-f").arg(&file).run().fails(2);
            assert_eq!(server.connections(), 0, "{run}");
            for (at, (line, told)) in part.iter().enumerate() {
                let place = format!("the-script:{}: ", 2 * at + 2);
                let complaint = run.stderr.lines().find(|text| text.contains(&place));
                let complaint = complaint.unwrap_or_else(|| panic!("nothing of {line} in {run}"));
                assert!(complaint.contains(told), "{line}: {complaint}");
            }
            assert_eq!(run.stderr.lines().count(), part.len() + 1, "{run}");
        }
    }
}

#[test]
fn the_same_is_refused_where_it_stands_on_standard_input() {
    let server = willing();
    for (line, told) in WRONG {
        let run = Imapadm::on_port(server.port)
            .stdin(format!("{line}\ncm after\n"))
            .run()
            .fails(2)
            .complains("line 1");
        run.complains(told);
    }
    assert_eq!(done(&server), [""; 0]);
    // With -k each is a failure among others, and nothing of it is sent.
    let mut script = String::from("cm before\n");
    for (line, _) in WRONG {
        script.push_str(&format!("{line}\n"));
    }
    script.push_str("cm after\n");
    let run = Imapadm::on_port(server.port).arg("-k").stdin(script).run();
    run.fails(1)
        .complains(&format!("2 done, {} failed", WRONG.len()));
    assert_eq!(done(&server), ["CREATE before", "CREATE after"]);
}

#[test]
fn mistakes_beyond_many_are_counted() {
    let server = willing();
    let run = Imapadm::on_port(server.port).args(["-c", &"nonsense\n".repeat(400)]);
    let run = run.run().fails(2).complains("350 more");
    assert_eq!(run.stderr.lines().count(), 52, "{run}");
}

#[test]
fn what_begins_with_a_dash_is_a_word_where_it_can_be_one() {
    let server = willing();
    let script = "sam shared bob -w\nsam shared bob -r\nsam shared -- -bob w\nsam shared -bob w\ndam shared -bob\ndam -- -x -bob\n\
                  dam shared -- -r\nsetmd x comment -- --draft\nsetmd x comment ''\ncm -- --recursive\ncm -- -r\ngetmd ''\nlm ''\n";
    let run = Imapadm::on_port(server.port).args(["--format", "json"]);
    let run = run.stdin(script).run();
    let wrong = run.stdout.lines().find(|line| line.contains("\"usage\""));
    assert_eq!(wrong, None, "{run}");
    let sent = done(&server);
    for command in [
        "SETACL shared bob -w",
        "SETACL shared bob -r",
        "SETACL shared -bob w",
        "DELETEACL shared -bob",
        "DELETEACL -x -bob",
        "DELETEACL shared -r",
        "CREATE --recursive",
        "CREATE -r",
    ] {
        let unquoted = |sent: &String| sent.replace('"', "") == command;
        assert!(sent.iter().any(unquoted), "{command}: {sent:?} of {run}");
    }
}

/// Runs a script in each way that there is.
fn each_way(server: &Faulty, script: &str, args: &[&str]) -> [Run; 3] {
    let run = || Imapadm::on_port(server.port).args(args);
    let file = run();
    let path = file.file("the-script", script);
    [
        run().stdin(script).run(),
        run().args(["-c", script]).run(),
        file.arg("-f").arg(path).run(),
    ]
}

#[test]
fn many_are_deleted_in_a_script_only_where_it_says_so() {
    for delete in ["dm WHICH", "deletemailbox WHICH"] {
        for which in ["user.*", "'user.$X*'", "user.%", "-r user.a"] {
            let script = delete.replace("WHICH", which);
            let server = willing();
            for run in each_way(&server, &format!("{script}\ncm after\n"), &[]) {
                run.fails(2).complains("--yes").complains("listmailbox");
            }
            for run in each_way(&server, &format!("{script}\n"), &["--no-pipeline"]) {
                run.fails(2);
            }
            assert_eq!(done(&server), [""; 0], "{script}");
            // One that names its mailbox needs nothing.
            let one = delete.replace("WHICH", "user.a");
            for run in each_way(&server, &format!("{one}\n"), &[]) {
                run.ok();
            }
            let meant = delete.replace("WHICH", &format!("--yes {which}"));
            for run in each_way(&server, &format!("{meant}\n"), &[]) {
                run.ok();
            }
            for run in each_way(&server, &format!("{script}\n"), &["--yes"]) {
                run.ok();
            }
        }
    }
}

#[test]
fn an_empty_variable_deletes_nobody() {
    let server = cyrus();
    let mut raw = Raw::admin(server);
    let user = format!("user.{}", unique("kept"));
    raw.ok(&format!("CREATE {user}"));
    raw.ok(&format!("SETACL {user} {} x", server.admin));
    Imapadm::on(server)
        .args(["-k", "-c", &format!("dm {user}*")])
        .run()
        .fails(2);
    let run = Imapadm::on(server).arg("-k");
    run.stdin(format!("dm {user}*\n")).run().fails(1);
    assert_eq!(raw.ok(&format!("LIST \"\" {user}")).len(), 1);
}

#[test]
fn what_is_said_of_nothing_selected_and_of_the_end_of_a_session_helps() {
    let server = willing();
    for command in ["close", "expunge", "unselect", "lam", "mr"] {
        let run = Imapadm::on_port(server.port).args(["-c", command]).run();
        let run = run.fails(1).complains("select MAILBOX");
        assert!(!run.stderr.contains("name one"), "{run}");
        // Unconnected, it is no mailbox that helps.
        let run = Imapadm::bare().args(["-c", command]).run();
        run.fails(1).complains("connect SERVER");
    }
    let run = Imapadm::on_port(server.port).args(["-c", "disconnect", "--format", "json"]);
    run.run().ok().says("\"disconnected\":true");
    let run = Imapadm::on_port(server.port)
        .args(["-c", "disconnect"])
        .run()
        .ok();
    assert!(run.stdout.ends_with("\tdisconnected\n"), "{run}");
}
