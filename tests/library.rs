//! The library itself, on real servers: its methods, many requests at once, and beside Perl's IMAP::Admin.

use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use imapadm::admin::acl::{GetAcl, MyRights, RightsChange, SetAcl};
use imapadm::admin::mailbox::Listing;
use imapadm::admin::quota::{Limit, Resource};
use imapadm::auth::{Credentials, SecretKind, SecretSource};
use imapadm::net::{Address, Roots, Security};
use imapadm::{Error, Fault, MailboxName, Options, Outcome, Session};
use serde_json::{Value, json};

use super::support::faulty::Faulty;
use super::support::place::{Place, exists, limits, listed, rights_of, rights_of_4314};
use super::support::raw::{Raw, message};
use super::support::servers::{Server, cyrus, dovecot, unique};

/// A session as the documentation of the crate begins one, with the test server's authority.
pub(super) fn open(server: &Server, user: &str) -> Session {
    let address = Address::Tcp {
        host: server.name().to_owned(),
        port: server.imap,
    };
    let mut options = Options::new(address);
    options.tls.roots = Roots::file(&server.ca);
    let mut session = Session::open(options).expect("a session");
    assert!(session.state().channel().tls.is_some(), "no TLS");
    session
        .login(&credentials(server, user), &[])
        .expect("a login");
    session
}

pub(super) fn credentials(server: &Server, user: &str) -> Credentials {
    let folder = tempfile::tempdir_in(&server.folder).expect("a folder");
    let file = folder.path().join("password");
    std::fs::write(&file, format!("{}\nnot this line\n", server.password)).expect("a file");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("a private file");
    let password = SecretSource::File(file)
        .fetch(SecretKind::Password, "")
        .expect("a password");
    Credentials::password(user, password)
}

#[test]
fn the_synopsis_of_imap_admin_runs_from_end_to_end() {
    let server = cyrus();
    let mut raw = Raw::admin(server);
    let mut imap = open(server, &server.admin);
    let bob = format!("user.{}", unique("bob"));
    let (old, archive) = (format!("{bob}.old"), format!("{bob}.Archive"));

    imap.create(&bob, None).expect("create");
    imap.create(&old, Some("fast"))
        .expect("create on a partition");
    assert_eq!(
        listed(&mut raw, &format!("{bob}*")),
        [bob.clone(), old.clone()].into()
    );

    let renamed = imap.rename(&old, &archive, None).expect("rename");
    assert_eq!(
        (renamed.to.to_string(), renamed.count),
        (archive.clone(), Some(1))
    );
    let found: Vec<_> = imap
        .list(&format!("{bob}*"), "")
        .expect("list")
        .into_iter()
        .map(|mailbox| {
            assert_eq!(mailbox.separator, Some(b'.'));
            mailbox.name.to_string()
        })
        .collect();
    assert_eq!(found, [bob.clone(), archive.clone()]);

    let limit = Limit::parse("STORAGE", "10000").expect("a limit");
    imap.set_quota(&bob, std::slice::from_ref(&limit))
        .expect("set_quota");
    assert_eq!(limits(&mut raw, &bob), [("STORAGE".to_owned(), 10_000)]);
    let roots = imap.get_quota_root(&archive).expect("get_quota_root");
    let expected = Resource {
        name: "STORAGE".into(),
        usage: 0,
        limit: 10_000,
    };
    assert_eq!(roots.len(), 1);
    assert_eq!(roots[0].root.to_string(), bob);
    assert_eq!(roots[0].resources, std::slice::from_ref(&expected));
    assert_eq!(
        imap.get_quota(&bob).expect("get_quota").resources,
        [expected]
    );
    imap.set_quota(&bob, &[]).expect("no quota");
    assert!(limits(&mut raw, &bob).is_empty());

    imap.set_acl(&bob, [("cyrus", "all"), ("anyone", "lrs")])
        .expect("set_acl");
    assert_eq!(
        rights_of(&mut raw, &bob, "cyrus"),
        Some(rights_of_4314("lrswipkxtea"))
    );
    let acl = imap.get_acl(&bob).expect("get_acl");
    assert_eq!(acl.mailbox.to_string(), bob);
    let anyone = acl
        .entries
        .iter()
        .find(|entry| entry.identifier == "anyone");
    assert_eq!(anyone.expect("an entry").rights, "lrs");
    imap.delete_acl(&bob, ["anyone"]).expect("delete_acl");
    assert_eq!(rights_of(&mut raw, &bob, "anyone"), None);
    imap.set_acl(&archive, [("cyrus", "all")]).expect("set_acl");

    imap.subscribe(&bob).expect("subscribe");
    let subscribed = imap.list_subscribed(&bob, "").expect("list_subscribed");
    assert_eq!(subscribed.len(), 1);
    imap.unsubscribe(&bob).expect("unsubscribe");
    assert!(
        imap.list_subscribed(&bob, "")
            .expect("list_subscribed")
            .is_empty()
    );

    for subject in ["1", "2", "3", "4"] {
        raw.append(&bob, &message(subject));
    }
    raw.ok(&format!("SELECT {bob}"));
    raw.ok("STORE 2:3 +FLAGS (\\Deleted)");
    raw.ok("UNSELECT");
    let selected = imap.select(&bob).expect("select");
    assert_eq!(
        (selected.exists, selected.read_only),
        (Some(4), Some(false))
    );
    let gone = imap.expunge().expect("expunge");
    let mut model = vec![1, 2, 3, 4];
    for number in gone {
        model.remove(usize::try_from(number).expect("small") - 1);
    }
    assert_eq!(model, [1, 4]);
    assert_eq!(
        imap.state().selected().expect("selected").exists,
        Some(2),
        "the state follows"
    );
    imap.unselect().expect("unselect");
    assert!(imap.state().selected().is_none());

    assert!(imap.capabilities().expect("capabilities").has("QUOTA"));

    imap.delete(&archive).expect("delete");
    assert_eq!(listed(&mut raw, &format!("{bob}*")), [bob.clone()].into());
    let mut deleted = Vec::new();
    imap.delete_subtree(&bob, |mailbox, result| {
        assert_eq!(result.expect("deleted"), Outcome::Done);
        deleted.push(mailbox.to_string());
    })
    .expect("delete_subtree");
    assert_eq!(deleted, std::slice::from_ref(&bob));
    assert!(listed(&mut raw, &format!("{bob}*")).is_empty());

    let error = imap
        .delete("user.nobody-of-this-name")
        .expect_err("a refusal");
    assert_eq!(
        (error.kind(), error.code(), error.fault()),
        ("no", None, Fault::Server)
    );
    assert!(
        error.to_string().contains("Mailbox does not exist"),
        "{error}"
    );
    imap.logout();
    assert!(!imap.is_open());
    assert_eq!(imap.noop().expect_err("logged out").kind(), "not-sent");
}

#[test]
fn the_methods_do_the_same_on_both_servers() {
    for place in Place::both() {
        let mut raw = place.raw();
        let mut imap = open(place.server, &place.user);
        assert_eq!(imap.state().user(), Some(place.user.as_str()));
        assert_eq!(
            imap.separator().expect("a separator"),
            Some(place.separator as u8)
        );
        let name = place.at("Entwürfe & mehr");
        imap.create(&name, None).expect("create");
        let wire = place.at("Entw&APw-rfe &- mehr");
        assert_eq!(listed(&mut raw, &place.at("*")), [wire.clone()].into());
        let typed = MailboxName::typed(&name).expect("a name");
        assert_eq!(typed.wire(), wire.as_bytes());
        imap.set_acl(&typed, [("bob", "read"), ("bob", "+w")])
            .expect("set_acl");
        assert_eq!(
            rights_of(&mut raw, &wire, "bob"),
            Some(rights_of_4314("lrsw"))
        );
        let status = imap.status(&typed).expect("status");
        assert_eq!(status.mailbox, typed);
        assert!(status.items.contains(&("MESSAGES".to_owned(), 0)));
        let mine = imap.my_rights(&typed).expect("my_rights");
        assert!(mine.contains('a'), "{mine}");
        assert!(
            imap.list_rights(&typed, "bob")
                .expect("list_rights")
                .required
                .is_empty()
        );
        let selected = imap.examine(&typed).expect("examine");
        assert_eq!(selected.read_only, Some(true));
        imap.close().expect("close");
        assert_eq!(
            imap.close().expect_err("nothing selected").kind(),
            "nothing-selected"
        );
        let id = imap.id().expect("id");
        assert_eq!(id[0].0, "name");
        imap.noop().expect("noop");

        // The listing can be left half way, and the session goes on.
        let mut seen = 0;
        let all = MailboxName::pattern("*").expect("a pattern");
        let none = MailboxName::pattern("").expect("a pattern");
        imap.list_each(Listing::All, &none, &all, |_| {
            seen += 1;
            ControlFlow::Break(())
        })
        .expect("list_each");
        assert_eq!(seen, 1);
        imap.delete(&typed).expect("delete");
        assert!(listed(&mut raw, &place.at("*")).is_empty());
        assert_eq!(imap.state().strays().1, 0);
    }
}

#[test]
fn set_acl_stops_at_the_first_refusal_and_checks_all_before_it_sends_any() {
    for place in Place::both() {
        let mut imap = open(place.server, &place.user);
        let mut raw = place.raw();
        let error = imap
            .set_acl(&place.root, [("alice", "lr"), ("bob", "NO")])
            .expect_err("no rights");
        assert_eq!((error.kind(), error.fault()), ("usage", Fault::User));
        assert_eq!(rights_of(&mut raw, &place.root, "alice"), None);
        let error = imap
            .set_acl(
                &place.root,
                [("alice", "lr"), ("bob", "lrz"), ("carol", "lr")],
            )
            .expect_err("no such right");
        assert_eq!(error.kind(), "bad");
        assert_eq!(
            rights_of(&mut raw, &place.root, "alice").as_deref(),
            Some("lr")
        );
        assert_eq!(rights_of(&mut raw, &place.root, "carol"), None);
    }
}

#[test]
fn many_requests_are_answered_each_with_its_own_reply_in_any_order() {
    for place in Place::both() {
        let mut imap = open(place.server, &place.user);
        let count = 300;
        // One identifier more on each, so that no two lists are alike.
        let names: Vec<_> = (0..20)
            .map(|number| place.at(&format!("m{number}")))
            .collect();
        for (number, name) in names.iter().enumerate() {
            imap.create(name, None).expect("create");
            let who = format!("only{number}");
            imap.set_acl(name, [(who.as_str(), "lr")]).expect("set_acl");
        }
        let mut tickets: Vec<_> = (0..count)
            .map(|number| {
                let name = MailboxName::typed(&names[number % names.len()]).expect("a name");
                (number, imap.submit(GetAcl::new(name)).expect("submitted"))
            })
            .collect();
        // Last first for one half, then the other half in order.
        let rest = tickets.split_off(count / 2);
        for (number, ticket) in rest.into_iter().rev().chain(tickets) {
            let acl = imap.wait(ticket).expect("a reply");
            let number = number % names.len();
            assert_eq!(acl.mailbox.to_string(), names[number]);
            let who = format!("only{number}");
            assert!(
                acl.entries.iter().any(|entry| entry.identifier == who),
                "{acl:?}"
            );
            assert!(
                !acl.entries
                    .iter()
                    .any(|entry| entry.identifier.starts_with("only") && entry.identifier != who),
                "{acl:?}"
            );
        }
        assert_eq!(imap.state().strays().1, 0);
    }
}

#[test]
fn a_refusal_among_many_is_its_own_requests_and_no_others() {
    for place in Place::both() {
        let mut imap = open(place.server, &place.user);
        let there = MailboxName::typed(&place.root).expect("a name");
        let missing = MailboxName::typed(&place.at("nosuch")).expect("a name");
        let tickets: Vec<_> = (0..60)
            .map(|number| {
                let name = if number % 3 == 1 { &missing } else { &there };
                imap.submit(GetAcl::new(name.clone())).expect("submitted")
            })
            .collect();
        for (number, ticket) in tickets.into_iter().enumerate() {
            match imap.wait(ticket) {
                Ok(acl) => {
                    assert_ne!(number % 3, 1);
                    assert_eq!(acl.mailbox, there);
                }
                Err(error) => {
                    assert_eq!(number % 3, 1, "{error}");
                    assert_eq!(error.kind(), "no");
                }
            }
        }
    }
}

#[test]
fn a_ticket_that_is_dropped_forgoes_the_reply_and_not_the_command() {
    for place in Place::both() {
        let mut imap = open(place.server, &place.user);
        let mailbox = MailboxName::typed(&place.root).expect("a name");
        let request = |identifier: &str, imap: &Session| SetAcl {
            mailbox: mailbox.clone(),
            identifier: identifier.to_owned(),
            change: RightsChange::parse("lr", imap.state().capabilities()).expect("rights"),
        };
        drop(imap.submit(request("dropped", &imap)).expect("submitted"));
        let kept = imap.submit(request("kept", &imap)).expect("submitted");
        drop(
            imap.submit(GetAcl::new(mailbox.clone()))
                .expect("submitted"),
        );
        let rights = imap
            .submit(MyRights::new(mailbox.clone()))
            .expect("submitted");
        assert!(imap.wait(rights).expect("a reply").rights.contains('a'));
        imap.wait(kept).expect("a reply");
        let mut raw = place.raw();
        for who in ["dropped", "kept"] {
            assert_eq!(rights_of(&mut raw, &place.root, who).as_deref(), Some("lr"));
        }
        // The list that nobody waited for is not taken for the next one's.
        imap.delete_acl(&mailbox, ["dropped"]).expect("delete_acl");
        let acl = imap.get_acl(&mailbox).expect("get_acl");
        assert!(
            acl.entries
                .iter()
                .all(|entry| entry.identifier != "dropped"),
            "{acl:?}"
        );
    }
}

#[test]
fn submitted_requests_are_done_without_anybody_waiting_for_each() {
    for place in Place::both() {
        let mut imap = open(place.server, &place.user);
        let tickets: Vec<_> = (0..30)
            .map(|number| {
                let name = MailboxName::typed(&place.at(&format!("b{number}"))).expect("a name");
                let request = imap.create_request(name, None).expect("a request");
                imap.submit(request).expect("submitted")
            })
            .collect();
        imap.settle().expect("settled");
        assert_eq!(listed(&mut place.raw(), &place.at("b*")).len(), 30);
        for ticket in tickets {
            imap.wait(ticket).expect("created");
        }
    }
}

#[test]
fn a_ticket_of_another_session_is_refused_and_costs_nobody_a_reply() {
    let place = Place::dovecot();
    let (mut one, mut two) = (
        open(place.server, &place.user),
        open(place.server, &place.user),
    );
    let name = |name: &str| MailboxName::typed(name).expect("a name");
    place.raw().ok(&format!("CREATE {}", place.at("other")));
    let ticket = one
        .submit(GetAcl::new(name(&place.root)))
        .expect("submitted");
    let same = two
        .submit(GetAcl::new(name(&place.at("other"))))
        .expect("submitted");
    match two.wait(ticket) {
        Err(error) => assert_eq!(error.kind(), "usage", "{error}"),
        Ok(acl) => panic!("the other session's reply was handed out: {acl:?}"),
    }
    assert_eq!(
        two.wait(same).expect("its own reply").mailbox.to_string(),
        place.at("other")
    );
}

#[test]
fn what_takes_too_long_is_given_up_and_the_session_goes_on() {
    let (go, gone) = mpsc::channel::<()>();
    let gone = Mutex::new(gone);
    let server = Faulty::script(move |conn| {
        conn.send("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\r\n");
        conn.answer(|tag, command| {
            match command.split(' ').next().unwrap_or_default() {
                "CAPABILITY" => format!("* CAPABILITY IMAP4rev1\r\n{tag} OK done\r\n"),
                "STATUS" => {
                    // Not before the client has given up, which the test tells; an error means that it is over.
                    let _ = gone.lock().expect("the channel").recv();
                    format!("* STATUS x (MESSAGES 7)\r\n{tag} OK late\r\n")
                }
                _ => format!("{tag} OK done\r\n"),
            }
        });
    });
    // Dropped before the server, so that a test that fails keeps no script waiting.
    let go = go;
    let address = Address::Tcp {
        host: "127.0.0.1".into(),
        port: server.port,
    };
    let mut options = Options::new(address);
    options.security = Security::None;
    options.allow_cleartext = true;
    let mut imap = Session::open(options).expect("a session");
    imap.login(&credentials(cyrus(), "someone"), &[])
        .expect("a login");
    let error = imap
        .within(Duration::from_millis(300), |imap| imap.status("x"))
        .expect_err("no answer");
    assert!(
        matches!(
            error,
            Error::DeadlineExceeded {
                verb: "STATUS",
                outcome: Outcome::Failed
            }
        ),
        "{error:?}"
    );
    assert!(imap.is_open());
    go.send(()).expect("the server listens");
    imap.noop().expect("the session goes on");
    imap.noop().expect("and on");
    imap.within(Duration::from_secs(20), |imap| imap.noop())
        .expect("in time");
}

#[test]
fn what_is_answered_within_its_limit_is_its_answer() {
    for place in Place::both() {
        let mut imap = open(place.server, &place.user);
        let status = imap.within(Duration::from_secs(20), |imap| {
            imap.create(place.at("quick"), None)?;
            imap.status(place.at("quick"))
        });
        assert_eq!(
            status.expect("in time").mailbox.to_string(),
            place.at("quick")
        );
        assert!(exists(&mut place.raw(), &place.at("quick")));
    }
}

#[test]
fn delete_subtree_tells_of_each_mailbox_as_it_goes_or_stays() {
    for place in Place::both() {
        let mut imap = open(place.server, &place.user);
        for path in ["top", "top/a", "top/a/held", "top/b"] {
            imap.create(place.at(path), None).expect("create");
        }
        imap.set_acl(place.at("top/a/held"), [(place.user.as_str(), "lra")])
            .expect("set_acl");
        let mut told = Vec::new();
        let error = imap
            .delete_subtree(place.at("top"), |mailbox, result| {
                let why = result.err().map(|error| (error.kind(), error.to_string()));
                told.push((mailbox.to_string(), why))
            })
            .expect_err("one stayed");
        assert!(
            matches!(
                &error,
                Error::Several { account, .. } if (account.failed, account.done) == (3, 1)
            ),
            "{error:?}"
        );
        let kinds: Vec<_> = told
            .iter()
            .map(|(name, why)| (name.as_str(), why.as_ref().map(|(kind, _)| *kind)))
            .collect();
        let at = |path: &str| place.at(path);
        for (path, kind) in [("top/b", None), ("top/a/held", Some("no"))] {
            assert!(
                kinds.contains(&(at(path).as_str(), kind)),
                "{path}: {kinds:?}"
            );
        }
        for path in ["top", "top/a"] {
            let (_, result) = told
                .iter()
                .find(|(name, _)| *name == at(path))
                .expect("told");
            let (kind, words) = result.as_ref().expect("not tried");
            assert_eq!(*kind, "not-tried");
            assert!(words.contains("was not deleted"), "{words}");
        }
        assert_eq!(told.last().expect("told").0, at("top"));
        let error = imap
            .delete_subtree("no-such-mailbox", |gone, _| panic!("{gone:?}"))
            .expect_err("missing");
        assert_eq!(error.kind(), "not-listed");
    }
}

#[test]
fn what_a_server_lacks_is_refused_with_its_name_and_never_sent() {
    let server = Faulty::script(|conn| {
        conn.send("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\r\n");
        conn.answer(|tag, command| match command {
            "CAPABILITY" => format!("* CAPABILITY IMAP4rev1\r\n{tag} OK done\r\n"),
            _ => format!("{tag} OK done\r\n"),
        });
    });
    let mut options = Options::new(Address::Tcp {
        host: "127.0.0.1".into(),
        port: server.port,
    });
    options.security = Security::None;
    options.allow_cleartext = true;
    let mut imap = Session::open(options).expect("a session");
    imap.login(&credentials(cyrus(), "someone"), &[])
        .expect("a login");
    let before = server.received().len();
    let lacking = |result: Result<(), Error>, name: &str| match result {
        Err(Error::Unsupported { extension, .. }) => assert_eq!(extension, name),
        other => panic!("{name}: {other:?}"),
    };
    // What the greeting told holds until the server tells something else after the login.
    let result = imap.get_acl("x").map(drop);
    let asked = server.received()[before..]
        .iter()
        .filter(|line| !line.ends_with("CAPABILITY"))
        .count();
    assert_eq!(asked, 0, "{:?}", server.received());
    lacking(result, "ACL");
    lacking(imap.set_acl("x", [("bob", "lr")]), "ACL");
    lacking(imap.delete_acl("x", ["bob"]), "ACL");
    lacking(imap.my_rights("x").map(drop), "ACL");
    lacking(imap.get_quota("x").map(drop), "QUOTA");
    lacking(imap.set_quota("x", &[]).map(drop), "QUOTA");
    lacking(imap.id().map(drop), "ID");
    lacking(imap.namespaces().map(drop), "NAMESPACE");
    let sent = server.received();
    assert!(
        sent[before..]
            .iter()
            .all(|line| line.ends_with("CAPABILITY")),
        "{sent:?}"
    );
}

#[test]
fn nothing_of_a_password_is_in_what_a_session_shows() {
    for server in [cyrus(), dovecot()] {
        let session = open(server, &server.admin);
        let shown = format!(
            "{session:?} {:?} {:?} {:?}",
            session.state(),
            session.options(),
            credentials(server, "bob")
        );
        assert!(!shown.contains(&server.password), "{shown}");
    }
}

/// Runs a program for Perl with IMAP::Admin logged in as `$imap`, and returns what it printed, as JSON.
fn perl(server: &Server, program: &str) -> Value {
    let prelude = r#"
        use strict; use warnings; use IMAP::Admin; use JSON::PP;
        my $imap = IMAP::Admin->new(Server => $ENV{HOST}, Port => $ENV{PORT}, Login => $ENV{LOGIN}, Password => $ENV{PASS})
            or die "no login";
        die $imap->error if $imap->error ne 'No Errors';
        sub show { print JSON::PP->new->canonical->encode(\@_), "\n"; }
    "#;
    let output = Command::new("perl")
        .arg("-e")
        .arg(format!("{prelude}{program}\n$imap->close;"))
        .env("HOST", &server.host)
        .env("PORT", server.imap.to_string())
        .env("LOGIN", &server.admin)
        .env("PASS", &server.password)
        .output()
        .expect("perl runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_str(text.trim()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn perls_imap_admin_and_this_library_give_the_same_results() {
    let server = cyrus();
    let (theirs, ours) = (unique("perl"), unique("rust"));
    // The same work, done by the one under the one name and by the other under the other. (Without a rename: Cyrus sends
    // a line for each mailbox, which Perl's takes for the result, and is out of step from then on.)
    let told = perl(
        server,
        &r#"
        my $box = 'user.NAME';
        my @results = map { $imap->create($_) } $box, "$box.Sent", "$box.Sent Mail", $box;
        push @results, $imap->create("$box.fast", 'fast');
        push @results, $imap->set_quota($box, 10000);
        push @results, $imap->set_acl($box, 'cyrus', 'lrswipkxtea', 'anyone', 'lrs', 'bob', 'lr');
        push @results, $imap->delete_acl($box, 'bob');
        my @list = $imap->list("$box*");
        my @quota = $imap->get_quota($box);
        my @root = $imap->get_quotaroot("$box.Sent");
        my @acl = $imap->get_acl($box);
        push @results, $imap->set_quota($box, 'none');
        my @none = $imap->get_quota($box);
        show(\@results, \@list, \@quota, \@root, \@acl, \@none);
        "#
        .replace("NAME", &theirs),
    );

    let mut imap = open(server, &server.admin);
    let name = format!("user.{ours}");
    let at = |leaf: &str| format!("{name}.{leaf}");
    let verdict = |result: Result<(), Error>| u64::from(result.is_err());
    let mut results = Vec::new();
    for mailbox in [name.clone(), at("Sent"), at("Sent Mail"), name.clone()] {
        results.push(verdict(imap.create(&mailbox, None).map(drop)));
    }
    results.push(verdict(imap.create(at("fast"), Some("fast")).map(drop)));
    let limit = Limit::parse("STORAGE", "10000").expect("a limit");
    results.push(verdict(imap.set_quota(&name, &[limit]).map(drop)));
    results.push(verdict(imap.set_acl(
        &name,
        [("cyrus", "lrswipkxtea"), ("anyone", "lrs"), ("bob", "lr")],
    )));
    results.push(verdict(imap.delete_acl(&name, ["bob"])));
    let list: Vec<_> = imap
        .list(&format!("{name}*"), "")
        .expect("list")
        .into_iter()
        .map(|found| found.name.to_string())
        .collect();
    let quota = imap.get_quota(&name).expect("get_quota");
    let roots = imap.get_quota_root(at("Sent")).expect("get_quota_root");
    let acl = imap.get_acl(&name).expect("get_acl");
    results.push(verdict(imap.set_quota(&name, &[]).map(drop)));
    let none = imap.get_quota(&name).expect("get_quota");
    assert!(none.resources.is_empty());

    // As Perl has them: triples of root, used and limit; identifier and rights in turn; all of them text.
    let triple = |quota: &imapadm::admin::quota::Quota| -> Vec<String> {
        quota
            .resources
            .iter()
            .flat_map(|of| {
                [
                    quota.root.to_string(),
                    of.usage.to_string(),
                    of.limit.to_string(),
                ]
            })
            .collect()
    };
    let pairs: Vec<_> = acl
        .entries
        .iter()
        .flat_map(|entry| [entry.identifier.clone(), entry.rights.clone()])
        .collect();
    let mine = json!([
        results,
        list,
        triple(&quota),
        triple(&roots[0]),
        pairs,
        triple(&none)
    ]);
    let renamed = mine.to_string().replace(&ours, &theirs);
    // Of a root without limits its pattern makes nothing, or a list of nothings.
    let told = told.to_string().replace("[null,null,null]", "[]");
    assert_eq!(renamed, told);
    assert_eq!(results, [0, 0, 0, 1, 0, 0, 0, 0, 0]);

    // And each sees what the other made.
    let seen = perl(
        server,
        &format!("my @list = $imap->list('user.{ours}*'); show(@list);"),
    );
    assert_eq!(seen, json!(list));
    let there = imap.list(&format!("user.{theirs}*"), "").expect("list");
    assert_eq!(there.len(), list.len());
}

#[test]
fn perls_h_delete_and_delete_subtree_leave_the_same_and_ours_goes_deeper() {
    let server = cyrus();
    let mut raw = Raw::admin(server);
    let mut imap = open(server, &server.admin);
    let (theirs, ours) = (unique("perl"), unique("rust"));
    let make = |imap: &mut Session, user: &str, deep: &[&str]| {
        for leaf in ["", ".a", ".b"].iter().chain(deep) {
            let name = format!("user.{user}{leaf}");
            imap.create(&name, None).expect("create");
            imap.set_acl(&name, [("cyrus", "all")]).expect("set_acl");
        }
    };
    for user in [&theirs, &ours] {
        make(&mut imap, user, &[]);
    }
    let told = perl(server, &format!("show($imap->h_delete('user.{theirs}'));"));
    assert_eq!(told, json!([0]));
    imap.delete_subtree(format!("user.{ours}"), |_, _| {})
        .expect("delete_subtree");
    for user in [&theirs, &ours] {
        assert!(
            listed(&mut raw, &format!("user.{user}*")).is_empty(),
            "{user}"
        );
    }

    // Two levels: theirs tries the parent first, is refused and stops; ours goes deepest first.
    let (theirs, ours) = (unique("perl"), unique("rust"));
    for user in [&theirs, &ours] {
        make(&mut imap, user, &[".a.deep"]);
    }
    let told = perl(
        server,
        &format!("show($imap->h_delete('user.{theirs}'), $imap->error);"),
    );
    assert_eq!(told[0], json!(1));
    assert!(
        told[1].as_str().expect("words").contains("HASCHILDREN"),
        "{told}"
    );
    let mut gone = Vec::new();
    imap.delete_subtree(format!("user.{ours}"), |mailbox, result| {
        result.expect("deleted");
        gone.push(mailbox.to_string());
    })
    .expect("delete_subtree");
    assert_eq!(gone.len(), 4);
    assert!(listed(&mut raw, &format!("user.{ours}*")).is_empty());
}
