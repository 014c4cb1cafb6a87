//! Replies of odd servers: what was not asked for is no answer and no target, the rest of a line counts, one mailbox may have two names,
//! and spaces and empty lines that mean nothing are no obstacle.

use std::time::Duration;

use super::support::faulty::Faulty;
use super::support::run::{Imapadm, Run};
use super::support::servers::{Server, cyrus};

const CAPABILITIES: &str = "ACL QUOTA NAMESPACE RIGHTS=kxte METADATA UNSELECT ID";
const NAMESPACE: &str = "* NAMESPACE ((\"\" \"/\")) NIL NIL";
const DOTS: &str = "* NAMESPACE ((\"\" \".\")) NIL NIL";

/// A server that answers every command that begins so with these lines, where `T` stands for the tag, and all others with OK.
fn answering(answers: &[(&str, &str)]) -> Faulty {
    offering(CAPABILITIES, answers)
}

fn offering(capabilities: &str, answers: &[(&str, &str)]) -> Faulty {
    let capabilities = capabilities.to_owned();
    let answers: Vec<(String, String)> = answers
        .iter()
        .map(|(command, lines)| ((*command).to_owned(), (*lines).to_owned()))
        .collect();
    Faulty::script(move |conn| {
        conn.let_in(&capabilities);
        conn.answer(|tag, command| {
            let lines = answers.iter().find(|(begin, _)| command.starts_with(begin));
            match lines {
                Some((_, lines)) => reply(tag, lines),
                None if command == "NAMESPACE" => reply(tag, &format!("{NAMESPACE}\nT OK")),
                None => format!("{tag} OK done\r\n"),
            }
        });
    })
}

fn reply(tag: &str, lines: &str) -> String {
    lines
        .split('\n')
        .map(|line| match line.strip_prefix("T ") {
            Some(rest) => format!("{tag} {rest}\r\n"),
            None => format!("{line}\r\n"),
        })
        .collect()
}

fn joe(server: &Faulty, script: &str) -> Run {
    Imapadm::on_port(server.port)
        .user("joe")
        .args(["--timeout", "5", "-k"])
        .stdin(format!("{script}\n"))
        .limit(Duration::from_secs(20))
        .run()
}

/// What the command changed on the server: the commands of this name that it was sent.
fn sent(server: &Faulty, verb: &str) -> Vec<String> {
    let lines = server.received();
    let commands = lines.iter().filter_map(|line| line.split_once(' '));
    commands
        .filter(|(_, command)| command.starts_with(verb))
        .map(|(_, command)| command.to_owned())
        .collect()
}

/// That a LIST of `pattern` that is answered so makes `dm` delete these and nothing else.
#[track_caller]
fn deletes(namespace: &str, pattern: &str, listed: &str, expected: &[&str]) -> Run {
    let namespace = format!("{namespace}\nT OK");
    let listed = format!("{listed}\nT OK");
    let server = answering(&[
        ("NAMESPACE", &namespace),
        ("LIST \"\" \"\"", "* LIST (\\Noselect) \"/\" \"\"\nT OK"),
        ("LIST", &listed),
    ]);
    let run = joe(&server, &format!("dm --yes '{pattern}'"));
    assert_eq!(sent(&server, "DELETE"), expected, "{listed}\n{run}");
    run
}

// What was not asked for.

#[test]
fn nothing_is_done_to_a_mailbox_without_a_name() {
    // SETMETADATA "" would set the entry of the server.
    for (command, verb) in [
        ("dm --yes '*'", "DELETE"),
        ("setmd '*' comment x", "SETMETADATA"),
        ("sam '%' joe lrs", "SETACL"),
        ("sq '*' 1G", "SETQUOTA"),
    ] {
        let server = answering(&[
            ("LIST \"\" \"\"", "* LIST (\\Noselect) \"/\" \"\"\nT OK"),
            ("LIST", "* LIST () \"/\" \"\"\n* LIST () \"/\" x\nT OK"),
        ]);
        let run = joe(&server, command);
        let sent = sent(&server, verb);
        assert_eq!(sent.len(), 1, "{command}: {sent:?}\n{run}");
        assert!(sent[0].starts_with(&format!("{verb} x")), "{sent:?}\n{run}");
    }
}

#[test]
fn a_backslash_that_escapes_nothing_makes_a_name_unreadable() {
    for listed in [
        "* LIST () \"\\\" \"Folder\\Sub\"",
        "* LIST () \"/\" \"Fold\\er\"\n* LIST () \"/\" Folder",
    ] {
        deletes(NAMESPACE, "Fold*", listed, &[])
            .fails(1)
            .complains("could not be read");
    }
    deletes(
        NAMESPACE,
        "Fold*",
        r#"* LIST () "/" "Fold\\\"er""#,
        &[r#"DELETE "Fold\\\"er""#],
    )
    .ok();
}

#[test]
fn a_mailbox_outside_the_pattern_is_no_target() {
    deletes(
        DOTS,
        "user.temp*",
        "* LIST () \".\" user.temp1\n* LIST (\\Subscribed) \".\" user.alice.New\n* LIST () \".\" user.temp2",
        &["DELETE user.temp1", "DELETE user.temp2"],
    )
    .ok();
    deletes(
        NAMESPACE,
        "a*",
        "* LIST () \"/\" zother\n* LIST () \"/\" ab",
        &["DELETE ab"],
    )
    .ok();
    // `%` stops at the separator that the line itself names, and INBOX is the same in any case.
    deletes(
        NAMESPACE,
        "a%c",
        "* LIST () \"/\" a/c\n* LIST () \".\" a.c\n* LIST () \"/\" abbc\n* LIST () NIL a/b/c\n* LIST () \"/\" xabc",
        &["DELETE a/b/c", "DELETE abbc"],
    )
    .ok();
    deletes(
        NAMESPACE,
        "INBOX/x%",
        "* LIST () \"/\" inbox/x1\n* LIST () \"/\" INBOX/X2\n* LIST () \"/\" Inbox/x3/y",
        &["DELETE inbox/x1"],
    )
    .ok();
    // The server matches what the names mean, not how they are encoded.
    deletes(
        NAMESPACE,
        "Zoë*",
        "* LIST () \"/\" Zo&AOsA6w-\n* LIST () \"/\" Zo&AOk-",
        &["DELETE Zo&AOsA6w-"],
    )
    .ok();
    deletes(NAMESPACE, "a*", "* LIST () \"/\" INBOX", &[]).fails(1);
}

#[test]
fn the_later_line_for_a_name_wins() {
    deletes(
        DOTS,
        "user.temp*",
        "* LIST () \".\" user.temp1\n* LIST (\\NonExistent) \".\" user.temp1\n* LIST () \".\" user.temp2",
        &["DELETE user.temp2"],
    )
    .ok();
    deletes(
        DOTS,
        "user.temp*",
        "* LIST (\\NonExistent) \".\" user.temp1\n* LIST () \".\" user.temp1",
        &["DELETE user.temp1"],
    )
    .ok();
    for index in 0..30 {
        // However many there are and wherever they stand.
        let mut lines: Vec<String> = (0..30)
            .map(|n| format!("* LIST () \".\" user.temp{:02}", (n * 7) % 30))
            .collect();
        lines.push(format!("* LIST (\\NonExistent) \".\" user.temp{index:02}"));
        let gone = format!("DELETE user.temp{index:02}");
        let all: Vec<String> = (0..30).map(|n| format!("DELETE user.temp{n:02}")).collect();
        let expected: Vec<&str> = all
            .iter()
            .filter(|line| **line != gone)
            .map(String::as_str)
            .collect();
        deletes(DOTS, "user.temp*", &lines.join("\n"), &expected).ok();
    }
}

#[test]
fn the_subtree_of_a_mailbox_is_what_is_below_it() {
    let server = answering(&[
        (
            "LIST \"\" \"a/*\"",
            "* LIST () \"/\" a/b\n* LIST () \"/\" zz\n* LIST () \"/\" ab/c\nT OK",
        ),
        ("LIST", "* LIST () \"/\" a\n* LIST () \"/\" q\nT OK"),
    ]);
    joe(&server, "dm --yes -r a").ok();
    assert_eq!(sent(&server, "DELETE"), ["DELETE a/b", "DELETE a"]);
}

#[test]
fn an_answer_about_another_mailbox_is_not_this_ones() {
    for (typed, verb, lines, expected) in [
        (
            "lam a",
            "GETACL",
            "* ACL other x lr\n* ACL a joe lrs",
            "a\tjoe\tlrs\n",
        ),
        (
            "lam a",
            "GETACL",
            "* ACL a joe lrs\n* ACL other x lr",
            "a\tjoe\tlrs\n",
        ),
        (
            "mr a",
            "MYRIGHTS",
            "* MYRIGHTS other lr\n* MYRIGHTS a lrs",
            "a\tlrs\n",
        ),
        (
            "lr a joe",
            "LISTRIGHTS",
            "* LISTRIGHTS a bob l r\n* LISTRIGHTS b joe x\n* LISTRIGHTS a joe lr s",
            "a\tjoe\tlr\ts\n",
        ),
        (
            "status a",
            "STATUS",
            "* STATUS zz (MESSAGES 9)\n* STATUS a (MESSAGES 5)",
            "a\t5\t",
        ),
        (
            "lq a",
            "GETQUOTA",
            "* QUOTA zz (STORAGE 9 9)\n* QUOTA a (STORAGE 1 2)",
            "a\tSTORAGE\t1\t2\n",
        ),
        (
            "lqr a",
            "GETQUOTAROOT",
            "* QUOTA zz (STORAGE 9 9)\n* QUOTAROOT b zz\n* QUOTAROOT a r\n* QUOTA yy (STORAGE 8 8)\n* QUOTA r (STORAGE 1 2)",
            "r\tSTORAGE\t1\t2\n",
        ),
        (
            "getmd a comment",
            "GETMETADATA",
            "* METADATA b (/shared/comment \"no\")\n* METADATA a (/shared/comment \"yes\")",
            "yes",
        ),
    ] {
        let server = answering(&[(verb, &format!("{lines}\nT OK"))]);
        let run = joe(&server, typed).ok();
        assert!(run.stdout.contains(expected), "{typed}\n{run}");
        assert!(!run.stdout.contains("other"), "{typed}\n{run}");
        assert!(!run.stdout.contains("zz\t"), "{typed}\n{run}");
        assert!(!run.stdout.contains("yy\t"), "{typed}\n{run}");
        assert!(!run.stdout.contains('9'), "{typed}\n{run}");
    }
    // Alone it is an error, not the answer.
    for (typed, verb, line) in [
        ("lam a", "GETACL", "* ACL other x lr"),
        (
            "mr INBOX.keep~1",
            "MYRIGHTS",
            "* MYRIGHTS \"INBOX.keep\" acd",
        ),
        ("status foo", "STATUS", "* STATUS INBOX (MESSAGES 3)"),
        ("lr a joe", "LISTRIGHTS", "* LISTRIGHTS a bob l r"),
        ("lq whatever", "GETQUOTA", "* QUOTA \"\" (STORAGE 0 111)"),
        (
            "getmd a comment",
            "GETMETADATA",
            "* METADATA b (/shared/comment \"no\")",
        ),
    ] {
        let server = answering(&[(verb, &format!("{line}\nT OK"))]);
        let run = joe(&server, typed).fails(1);
        assert!(run.stdout.is_empty(), "{typed}\n{run}");
    }
}

#[test]
fn a_mailbox_that_the_server_knows_by_another_name_is_still_the_one() {
    for (typed, verb, line, expected) in [
        ("lam user.joe", "GETACL", "* ACL INBOX joe lrs", "joe\tlrs"),
        (
            "lam INBOX.x",
            "GETACL",
            "* ACL user.joe.x joe lrs",
            "joe\tlrs",
        ),
        (
            "mr user.bob",
            "MYRIGHTS",
            "* MYRIGHTS user.bob@example.net lrs",
            "lrs",
        ),
        ("mr foo", "MYRIGHTS", "* MYRIGHTS FOO lrs", "lrs"),
        ("mr 'Zoë'", "MYRIGHTS", "* MYRIGHTS \"Zoë\" lrs", "lrs"),
        ("status a//b", "STATUS", "* STATUS a/b (MESSAGES 5)", "5"),
    ] {
        let server = answering(&[(verb, &format!("{line}\nT OK"))]);
        let run = joe(&server, typed).ok();
        assert!(run.stdout.contains(expected), "{typed}\n{run}");
    }
}

#[test]
fn a_listing_with_counts_tells_of_what_it_lists() {
    let server = offering(
        "LIST-EXTENDED LIST-STATUS NAMESPACE",
        &[(
            "LIST",
            "* LIST () \"/\" ab\n* STATUS zz (MESSAGES 99)\n* STATUS ab (MESSAGES 5)\n* LIST () \"/\" zz\nT OK",
        )],
    );
    let run = joe(&server, "lm --status 'a*'").ok();
    assert!(run.stdout.contains("ab"), "{run}");
    assert!(run.stdout.contains('5'), "{run}");
    assert!(
        !run.stdout.contains("zz") && !run.stdout.contains("99"),
        "{run}"
    );
    assert!(!run.stderr.contains("zz"), "{run}");
}

#[test]
fn a_listing_shows_what_matches_it() {
    for (typed, expected) in [
        ("lm 'b*'", "b/1\nb/1/2\nb1\n"),
        ("lm 'b%'", "b1\n"),
        ("lm 'b/%'", "b/1\n"),
        ("lm '%/%'", "b/1\n"),
        ("lm '*1'", "b/1\nb1\n"),
        ("lm --subscribed 'b*'", "b/1\nb/1/2\nb1\n"),
    ] {
        let names = ["a", "b/1", "b/1/2", "b1", "c"];
        let lines = |verb: &str| {
            let lines: Vec<String> = names
                .iter()
                .map(|name| format!("* {verb} () \"/\" {name}"))
                .collect();
            format!("{}\nT OK", lines.join("\n"))
        };
        let server = answering(&[("LIST", &lines("LIST")), ("LSUB", &lines("LSUB"))]);
        let run = joe(&server, typed).ok();
        let shown: String = run
            .stdout
            .lines()
            .map(|line| format!("{}\n", line.split('\t').next().unwrap_or_default()))
            .collect();
        assert_eq!(shown, expected, "{typed}\n{run}");
    }
}

// The rest of a line.

#[test]
fn the_stump_of_a_name_is_no_target() {
    deletes(
        NAMESPACE,
        "Del*",
        "* LIST () \"/\" Deleted Items",
        &["DELETE \"Deleted Items\""],
    )
    .ok();
    deletes(
        "* NAMESPACE ((\"\" \"\\\\\")) NIL NIL",
        "Folder\\*",
        "* LIST (\\HasNoChildren) \"\\\\\" Folder\\Subfolder 1\n* LIST (\\HasNoChildren) \"\\\\\" Folder\\Subfolder 2",
        &[
            "DELETE \"Folder\\\\Subfolder 1\"",
            "DELETE \"Folder\\\\Subfolder 2\"",
        ],
    )
    .ok();
    for undecided in [
        "* LIST () \"/\" \"Deleted\" Items",
        "* LIST () \"/\" \"Deleted\"Items",
        "* LIST () \"/\" {7}\nDeleted Items",
        "* LIST () \"/\" Deleted ()",
        "* LIST () \"/\" Deleted (one two)",
        "* LIST () \"/\" Deleted Items (\"CHILDINFO\" (\"SUBSCRIBED\"))",
        "* LIST () \"/\" Deleted (\"CHILDINFO\" (\"SUBSCRIBED\")) more",
        "* LIST () \"/\" \"Deleted\" (\"CHILDINFO\" (\"SUBSCRIBED\")) more",
        "* LIST () \"/\" \"Deleted\" (\"CHILDINFO\")",
        "* LIST () \"//\" Deleted",
        "* LIST () / Deleted",
    ] {
        let run = deletes(NAMESPACE, "Del*", undecided, &[]).fails(1);
        run.complains("could not be read");
    }
}

#[test]
fn what_stands_behind_a_name_in_a_listing_is_looked_at() {
    let server = answering(&[(
        "LIST",
        "* LIST () \"/\" \"foo\" bar\n* LIST () \"/\" foo (\"CHILDINFO\" (\"SUBSCRIBED\"))\nT OK",
    )]);
    let run = joe(&server, "lm").fails(1);
    assert_eq!(run.stdout.lines().count(), 1, "{run}");
    assert!(run.stdout.starts_with("foo"), "{run}");
    run.complains("could not be read");
}

#[test]
fn names_with_spaces_that_are_not_quoted_are_known_by_what_was_asked() {
    for (typed, verb, line, expected) in [
        (
            "mr 'My Box'",
            "MYRIGHTS",
            "* MYRIGHTS My Box lrs",
            "My Box\tlrs\n",
        ),
        (
            "lam 'My Box'",
            "GETACL",
            "* ACL My Box joe lrs",
            "My Box\tjoe\tlrs\n",
        ),
        (
            "lr 'My Box' joe",
            "LISTRIGHTS",
            "* LISTRIGHTS My Box joe lr s w",
            "My Box\tjoe\tlr\ts w\n",
        ),
        (
            "status 'My Box'",
            "STATUS",
            "* STATUS My Box (MESSAGES 5)",
            "5",
        ),
        (
            "lq 'My Box'",
            "GETQUOTA",
            "* QUOTA My Box (STORAGE 1 2)",
            "STORAGE\t1\t2",
        ),
        (
            "getmd 'My Box' comment",
            "GETMETADATA",
            "* METADATA My Box (/shared/comment \"x y\")",
            "x y",
        ),
    ] {
        let server = answering(&[(verb, &format!("{line}\nT OK"))]);
        let run = joe(&server, typed).ok();
        assert!(run.stdout.contains(expected), "{typed}\n{run}");
    }
}

#[test]
fn a_reply_ends_where_its_form_ends() {
    for (typed, verb, line) in [
        ("mr My", "MYRIGHTS", "* MYRIGHTS My Box lrs"),
        ("mr a", "MYRIGHTS", "* MYRIGHTS a lrs more"),
        ("mr a", "MYRIGHTS", "* MYRIGHTS a"),
        ("lam My", "GETACL", "* ACL My Box joe lrs"),
        ("lam a", "GETACL", "* ACL a joe"),
        ("lam a", "GETACL", "* ACL a joe smith lrs"),
        ("lam a", "GETACL", "* ACL a joe lrs ) x"),
        ("status a", "STATUS", "* STATUS a (MESSAGES 3) (UNSEEN 4)"),
        ("status a", "STATUS", "* STATUS a (MESSAGES 3"),
        ("lq a", "GETQUOTA", "* QUOTA a (STORAGE 1 2) x"),
        ("lq a", "GETQUOTA", "* QUOTA a (STORAGE 1 2 3)"),
        ("lqr a", "GETQUOTAROOT", "* QUOTAROOT a r )"),
        ("id", "ID", "* ID (\"name\" \"X\") y"),
        ("id", "ID", "* ID NIL NIL"),
        ("namespace", "NAMESPACE", "* NAMESPACE NIL NIL NIL NIL"),
        (
            "getmd a comment",
            "GETMETADATA",
            "* METADATA a (/shared/comment \"x\") y",
        ),
    ] {
        let server = answering(&[(verb, &format!("{line}\nT OK"))]);
        let run = joe(&server, typed).fails(1);
        assert!(run.stdout.is_empty(), "{typed}: {line}\n{run}");
        run.complains("could not be read");
    }
}

// Two names of one mailbox.

/// That a script shows the same with and without the pipeline; returns what.
#[track_caller]
fn same_either_way(run: impl Fn() -> Imapadm, script: &str) -> String {
    let go = |how: &[&str]| run().args(["-k"]).args(how).stdin(script).run().ok().stdout;
    let (ahead, one_by_one) = (go(&[]), go(&["--no-pipeline"]));
    assert_eq!(ahead, one_by_one, "{script}");
    ahead
}

fn as_a_user(server: &Server) -> Imapadm {
    Imapadm::on(server).user("u029")
}

#[test]
fn two_names_of_one_mailbox_on_cyrus() {
    let server = cyrus();
    let name = super::support::servers::unique("two");
    let (top, other) = (format!("INBOX.{name}"), format!("user.u029.{name}"));
    Imapadm::on(server).args(["-c", "cm user.u029"]).run().ok();
    done(server, &format!("cm {top}"));
    let shown = same_either_way(
        || as_a_user(server),
        &format!(
            "setmd {top} comment none\ngetmd {other} comment\nsetmd {top} comment hello\ngetmd {top} comment\ngetmd {other} comment\n"
        ),
    );
    assert_eq!(shown.matches("hello").count(), 3, "{shown}");
    let shown = same_either_way(
        || as_a_user(server),
        &format!(
            "sam {other} anyone none\nlam {other}\nsam {top} anyone lr\nlam {top}\nmr {other}\nmr {top}\nstatus {other}\nstatus {top}\nlqr user.u029\nlqr INBOX\n"
        ),
    );
    let given = format!("{top}\tanyone\tlr\n");
    assert_eq!(shown.matches(&given).count(), 1, "{shown}");
    done(server, &format!("dm {top}"));
}

#[track_caller]
fn done(server: &Server, command: &str) {
    as_a_user(server).args(["-c", command]).run().ok();
}

#[test]
fn two_names_of_one_mailbox_are_not_asked_about_at_once() {
    // It reads all it can get before it answers anything, as a server behind a slow line does.
    let server = Faulty::script(|conn| {
        conn.let_in(CAPABILITIES);
        let mut set = false;
        loop {
            let mut commands = vec![conn.expect_command()];
            while conn.has_more() {
                commands.push(conn.expect_command());
            }
            for (tag, command) in commands {
                if command.starts_with("SETACL") {
                    set = true;
                } else if command.starts_with("GETACL") {
                    let bob = if set { " bob lr" } else { "" };
                    conn.send(format!("* ACL INBOX joe lrs{bob}\r\n"));
                }
                conn.send(format!("{tag} OK done\r\n"));
            }
        }
    });
    let script = "lam user.joe\nsam INBOX bob lr\nlam INBOX";
    let run = joe(&server, script).ok();
    assert_eq!(
        run.stdout,
        "INBOX\tjoe\tlrs\nINBOX\tbob\tlr\tset\nINBOX\tjoe\tlrs\nINBOX\tbob\tlr\n"
    );
}

#[test]
fn two_lines_for_one_quota_root_are_both_of_the_answer() {
    let server = answering(&[
        (
            "GETQUOTA ",
            "* QUOTA a (STORAGE 1 2)\n* QUOTA a (MESSAGE 3 4)\nT OK",
        ),
        (
            "GETQUOTAROOT ",
            "* QUOTAROOT m a\n* QUOTA a (STORAGE 1 2)\n* QUOTA a (MESSAGE 3 4)\nT OK",
        ),
    ]);
    let both = "a\tSTORAGE\t1\t2\na\tMESSAGE\t3\t4\n";
    let of_m = "m\ta\tSTORAGE\t1\t2\nm\ta\tMESSAGE\t3\t4\n";
    for (typed, shown) in [("lq a", both), ("lqr m", of_m)] {
        let run = joe(&server, typed).ok();
        assert_eq!(run.stdout, shown, "{run}");
    }
    let run = joe(&server, "lq a\nlqr m\nlq a\nlq a").ok();
    assert_eq!(run.stdout, [both, of_m, both, both].concat(), "{run}");
}

// Spaces and empty lines.

#[test]
fn spaces_and_empty_lines_that_mean_nothing() {
    for (typed, verb, lines, expected) in [
        ("lm", "LIST", "* LIST () \"/\" {5}\na/b c\n", "a/b c"),
        (
            "lm",
            "LIST",
            "* LIST () \"/\" {5}\r\na/b c \n\n\n* LIST () \"/\" q",
            "q",
        ),
        ("lm", "LIST", "* LIST ( \\HasNoChildren) \"/\" b", "b"),
        (
            "lm",
            "LIST",
            "* LIST (\\HasNoChildren  \\Sent) \"/\" a",
            "a",
        ),
        ("lm", "LIST", "* LIST ( \\HasNoChildren ) \"/\" b ", "b"),
        ("lm", "LIST", "*  LIST  ()  \"/\"  b  ", "b"),
        ("lm", "LIST", "* LIST () \"/\"  \"b\" ", "b"),
        ("lm", "LIST", "* LIST () \"\\\" b\\c", "b\\c"),
        ("lm", "LIST", "* LIST () \"\\\" \"b c\"", "b c"),
        ("lm", "LIST", "* LIST () \"\\\" {3}\nb c", "b c"),
        (
            "lm",
            "LIST",
            "* LIST () \"/\" b  ( \"CHILDINFO\"  ( \"SUBSCRIBED\" ) ) ",
            "b",
        ),
        (
            "lqr a",
            "GETQUOTAROOT",
            "* QUOTAROOT a r1  r2 \n* QUOTA r1 ( STORAGE 1 2 ) ",
            "r1\tSTORAGE\t1\t2",
        ),
        (
            "lq r1",
            "GETQUOTA",
            "* QUOTA r1  ( STORAGE  1  2   MESSAGE 3 4) ",
            "MESSAGE\t3\t4",
        ),
        ("lam b", "GETACL", "* ACL  b joe lrs", "b\tjoe\tlrs"),
        (
            "lam a",
            "GETACL",
            "* ACL a joe lrs  bob lr ",
            "a\tbob\tlr\n",
        ),
        ("mr a", "MYRIGHTS", "* MYRIGHTS  a  lrs ", "a\tlrs\n"),
        (
            "lr a joe",
            "LISTRIGHTS",
            "* LISTRIGHTS a  joe  lr  s ",
            "a\tjoe\tlr\ts\n",
        ),
        (
            "id",
            "ID",
            "* ID ( \"name\" \"X\" \"version\" \"3\" )",
            "version\t3",
        ),
        (
            "namespace",
            "NAMESPACE",
            "* NAMESPACE ((\"\" \"/\")) (( \"~\" \"/\" )) NIL ",
            "~",
        ),
        (
            "namespace",
            "NAMESPACE",
            "* NAMESPACE  ( (\"\"  \"/\") )  ((\"~\" \"/\") (\"#\" \"/\"))  NIL",
            "#",
        ),
        ("status a", "STATUS", "* STATUS a  (MESSAGES 3)", "3"),
        (
            "status a",
            "STATUS",
            "* STATUS  a ( MESSAGES  3  UNSEEN 1 ) ",
            "3",
        ),
        (
            "status a",
            "STATUS",
            "\n\n* STATUS a (MESSAGES 3)\r\n\r",
            "3",
        ),
        (
            "getmd a comment",
            "GETMETADATA",
            "* METADATA a ( /shared/comment  \"x\" ) ",
            "x",
        ),
        (
            "getmd a comment",
            "GETMETADATA",
            "* METADATA a (/shared/comment {1}\nx )\n",
            "x",
        ),
        (
            "select INBOX",
            "SELECT",
            "*  953 EXISTS\n*   3   RECENT \nT  OK  [READ-WRITE] x",
            "953",
        ),
    ] {
        let server = answering(&[(verb, &format!("{lines}\nT  OK done"))]);
        let run = joe(&server, typed).ok();
        assert!(run.stdout.contains(expected), "{typed}: {lines:?}\n{run}");
    }
}

#[test]
fn lines_may_end_in_more_than_one_cr() {
    let server = Faulty::script(|conn| {
        conn.send("* OK ready\r\r\n");
        conn.answer(|tag, command| {
            let lines = match command {
                "CAPABILITY" => "* CAPABILITY IMAP4rev1\r\r\n",
                "NAMESPACE" => "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\r\n",
                _ if command.starts_with("LIST") => {
                    "* LIST () \"/\" a\r\r\n\r\r\n* LIST () \"/\" {3}\r\r\nb c\r\r\n"
                }
                _ => "",
            };
            format!("{lines}{tag} OK done\r\r\n")
        });
    });
    let run = joe(&server, "lm").ok();
    let names: Vec<_> = run
        .stdout
        .lines()
        .map(|line| line.split('\t').next().unwrap_or_default())
        .collect();
    assert_eq!(names, ["a", "b c"], "{run}");
}

// What is sent, and what else came.

#[test]
fn names_and_patterns_are_quoted_where_some_server_would_stumble() {
    let server = answering(&[]);
    joe(
        &server,
        "mr 'keep~1'\nmr 'a[b'\nmr 'a}b'\nmr 'a]b'\nmr \"it's!\"\nmr a.b-c_d/e&+,=:@#\\$1\nlm 'I*'\nlm x\nlm --subscribed",
    );
    let sent: Vec<String> = server
        .received()
        .iter()
        .filter_map(|line| line.split_once(' '))
        .map(|(_, command)| command.to_owned())
        .collect();
    for command in [
        "MYRIGHTS \"keep~1\"",
        "MYRIGHTS \"a[b\"",
        "MYRIGHTS \"a}b\"",
        "MYRIGHTS \"a]b\"",
        "MYRIGHTS \"it's!\"",
        "MYRIGHTS a.b-c_d/e&-+,=:@#$1",
        "LIST \"\" \"I*\"",
        "LIST \"\" \"x\"",
        "LSUB \"\" \"*\"",
    ] {
        assert!(
            sent.iter().any(|line| line == command),
            "{command}: {sent:#?}"
        );
    }
}

#[test]
fn expunged_is_as_good_as_expunge() {
    let server = answering(&[
        ("SELECT", "* 3 EXISTS\nT OK [READ-WRITE]"),
        ("EXPUNGE", "* 1 EXPUNGED\n* 1 EXPUNGE\nT OK"),
    ]);
    let run = joe(&server, "select INBOX\nexpunge").ok();
    assert!(
        run.stdout
            .contains("INBOX\t1\texpunged\nINBOX\t1\texpunged\n"),
        "{run}"
    );
}
#[test]
fn what_a_server_makes_of_the_rest_of_a_refused_line_is_not_the_next_commands() {
    let server = answering(&[
        ("SETQUOTA", "T NO Invalid resource name\n* BAD Invalid tag"),
        ("STATUS", "* STATUS a (MESSAGES 5)\nT OK"),
    ]);
    let run = joe(&server, "sq a STORAGE 5\nstatus a").fails(1);
    assert!(run.stdout.contains('5'), "{run}");
    assert!(!run.stderr.contains("Invalid tag"), "{run}");
    // One that comes out of the blue is told.
    let server = answering(&[(
        "STATUS",
        "* BAD Something is wrong\n* STATUS a (MESSAGES 5)\nT OK",
    )]);
    joe(&server, "status a")
        .ok()
        .complains("Something is wrong");
}

#[test]
fn a_text_without_end_is_shown_up_to_a_limit() {
    let long = "x".repeat(800_000);
    for lines in [
        format!("T NO {long}"),
        format!("T NO [{long}] no"),
        format!("T NO [X {long}] no"),
        format!("* NO {long}\nT NO no"),
        format!("* BYE {long}"),
    ] {
        let server = answering(&[("CREATE", &lines)]);
        let run = joe(&server, "cm a");
        assert!(run.stderr.len() < 10_000, "{}", run.stderr.len());
        run.complains("more bytes");
    }
}

// What people must hear.

#[test]
fn an_alert_is_shown_wherever_it_stands() {
    let server = Faulty::script(|conn| {
        conn.send(format!(
            "* OK [ALERT] down at five\r\n* CAPABILITY IMAP4rev1 {CAPABILITIES}\r\n"
        ));
        conn.answer(|tag, command| match command.split(' ').next() {
            Some("CAPABILITY") => {
                format!("* CAPABILITY IMAP4rev1 {CAPABILITIES}\r\n{tag} OK done\r\n")
            }
            Some("LOGIN") => format!("{tag} OK [ALERT] your password ends soon\r\n"),
            Some("CREATE") => format!("{tag} OK [ALERT] the disk is nearly full\r\n"),
            _ => format!("{tag} OK done\r\n"),
        });
    });
    joe(&server, "cm a")
        .ok()
        .complains("ALERT: down at five")
        .complains("ALERT: your password ends soon")
        .complains("ALERT: the disk is nearly full");
}

#[test]
fn a_bye_before_a_refused_login_is_shown() {
    let server = Faulty::script(|conn| {
        conn.send(format!("* OK [CAPABILITY IMAP4rev1 {CAPABILITIES}] hi\r\n"));
        let (tag, _) = conn.expect_command();
        conn.send(format!(
            "* BYE too many connections from there\r\n{tag} NO x\r\n"
        ));
    });
    joe(&server, "cm a")
        .fails(6)
        .complains("too many connections from there; connect again");
}
