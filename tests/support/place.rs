//! A corner of each server for one test: somebody who may do all there, and a mailbox to work below.
//!
//! What the servers hold is asked through [`Raw`] and read with this file's own few lines, not with the package's.

use std::collections::BTreeSet;

use serde_json::Value;

use super::raw::Raw;
use super::run::{Imapadm, Run};
use super::servers::{Kind, Server, cyrus, dovecot, unique};

/// A server, who works on it, and the mailbox that all of a test's mailboxes are below.
pub struct Place {
    pub server: &'static Server,
    /// Cyrus: the administrator. Dovecot: a user of the test's own.
    pub user: String,
    /// A mailbox that exists: `user.t001` on Cyrus, `t001` on Dovecot.
    pub root: String,
    pub separator: char,
}

impl Place {
    /// On Cyrus, as the administrator, who has given himself all rights.
    pub fn cyrus() -> Place {
        let server = cyrus();
        let root = format!("user.{}", unique("t"));
        let mut raw = Raw::admin(server);
        raw.ok(&format!("CREATE {root}"));
        raw.ok(&format!("SETACL {root} {} lrswipkxtea", server.admin));
        Place {
            server,
            user: server.admin.clone(),
            root,
            separator: '.',
        }
    }

    /// On Dovecot, as a user whom no other test has.
    pub fn dovecot() -> Place {
        let server = dovecot();
        let (user, root) = (server.user(), unique("t"));
        Raw::login(server, &user).ok(&format!("CREATE {root}"));
        Place {
            server,
            user,
            root,
            separator: '/',
        }
    }

    pub fn both() -> [Place; 2] {
        [Place::cyrus(), Place::dovecot()]
    }

    pub fn is_cyrus(&self) -> bool {
        self.server.kind == Kind::Cyrus
    }

    /// The one or the other, where the servers differ.
    pub fn differs<T>(&self, cyrus: T, dovecot: T) -> T {
        if self.is_cyrus() { cyrus } else { dovecot }
    }

    /// A mailbox below the root; `/` parts the levels, whatever the server parts them with.
    pub fn at(&self, path: &str) -> String {
        let path = path.replace('/', &self.separator.to_string());
        format!("{}{}{path}", self.root, self.separator)
    }

    /// The quota root that holds for the root.
    pub fn quota_root(&self) -> &str {
        self.differs(&self.root, "User quota")
    }

    /// A second opinion.
    pub fn raw(&self) -> Raw {
        Raw::login(self.server, &self.user)
    }

    /// A run to be, as the place's user.
    pub fn imapadm(&self) -> Imapadm {
        Imapadm::on(self.server).user(&self.user)
    }

    /// Runs a script from stdin, with text output; the last line's end may be left out.
    #[track_caller]
    pub fn text(&self, script: &str) -> Run {
        self.imapadm().stdin(ended(script)).run()
    }

    /// The same with JSON output.
    #[track_caller]
    pub fn json(&self, script: &str) -> (Run, Vec<Value>) {
        let run = self
            .imapadm()
            .args(["--format", "json"])
            .stdin(ended(script))
            .run();
        let objects = objects(&run);
        (run, objects)
    }

    /// Runs a script in which every command must succeed, and returns the rows of the last one.
    #[track_caller]
    pub fn rows(&self, script: &str) -> Value {
        let (run, mut objects) = self.json(script);
        let run = run.ok();
        assert_eq!(run.stderr, "", "complaints of\n{run}");
        let last = objects
            .pop()
            .unwrap_or_else(|| panic!("nothing from\n{run}"));
        assert_eq!(last["ok"], true, "{run}");
        last["rows"].clone()
    }

    /// Runs one command that must fail with this status, and returns its rows, its error and the run.
    #[track_caller]
    pub fn fails(&self, status: i32, command: &str) -> Failure {
        let (run, mut objects) = self.json(command);
        let run = run.fails(status);
        let last = objects
            .pop()
            .unwrap_or_else(|| panic!("nothing from\n{run}"));
        assert_eq!(last["ok"], false, "{run}");
        Failure {
            rows: last["rows"].clone(),
            kind: last["error"]["kind"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            code: last["error"]["code"].as_str().map(str::to_owned),
            text: last["error"]["text"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            run,
        }
    }
}

/// What a command that failed left.
#[derive(Debug)]
pub struct Failure {
    pub rows: Value,
    pub kind: String,
    pub code: Option<String>,
    pub text: String,
    pub run: Run,
}

impl Failure {
    /// It must be of this kind and have this code.
    #[track_caller]
    pub fn is(self, kind: &str, code: Option<&str>) -> Self {
        assert_eq!(
            (self.kind.as_str(), self.code.as_deref()),
            (kind, code),
            "kind and code of\n{}",
            self.run
        );
        self
    }

    /// Both the person and the program must be told this.
    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        assert!(self.text.contains(words), "no {words:?} in {:?}", self.text);
        assert!(
            self.run.stderr.contains(words),
            "no {words:?} in the complaints of\n{}",
            self.run
        );
        self
    }
}

/// The JSON objects of a run, one a line.
#[track_caller]
pub fn objects(run: &Run) -> Vec<Value> {
    run.stdout
        .lines()
        // What a run that did not go well ends with is none of a command's.
        .filter(|line| !line.starts_with("{\"summary\":"))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in\n{run}")))
        .collect()
}

/// A word of the shell that means exactly this text.
pub fn word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A quoted string of IMAP (RFC 3501 section 4.3).
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The strings and atoms of a line: `user.x "a b"`, and literals. Parentheses are atoms like others.
pub fn strings(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (text, behind) = string(rest);
        found.push(text);
        rest = behind.trim_start_matches(' ');
    }
    found
}

fn string(rest: &str) -> (String, &str) {
    if let Some(inner) = rest.strip_prefix('"') {
        let mut text = String::new();
        let mut chars = inner.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => return (text, &inner[at + 1..]),
                '\\' => text.extend(chars.next().map(|(_, c)| c)),
                c => text.push(c),
            }
        }
        panic!("an open quote in {rest}");
    }
    if rest.starts_with('{')
        && let Some((number, behind)) = rest[1..].split_once("}\r\n")
        && let Ok(length) = number.parse::<usize>()
    {
        return (behind[..length].to_owned(), &behind[length..]);
    }
    let end = rest.find(' ').unwrap_or(rest.len());
    (rest[..end].to_owned(), &rest[end..])
}

/// The names that LIST or LSUB gives for a pattern, as they are on the wire, in the server's order.
#[track_caller]
pub fn wire_names(raw: &mut Raw, verb: &str, pattern: &str) -> Vec<String> {
    let answer = raw.command(&format!("{verb} \"\" {}", quoted(pattern)));
    assert_eq!(answer.status, "OK", "{answer:?}");
    answer
        .named(verb)
        .into_iter()
        .map(|line| {
            let (_, behind) = line.split_once(") ").expect("attributes");
            strings(behind).pop().expect("a name")
        })
        .collect()
}

/// The names that LIST gives, sorted.
#[track_caller]
pub fn listed(raw: &mut Raw, pattern: &str) -> BTreeSet<String> {
    wire_names(raw, "LIST", pattern).into_iter().collect()
}

/// Whether a mailbox is there by this wire name, asked without wildcards.
#[track_caller]
pub fn exists(raw: &mut Raw, name: &str) -> bool {
    let answer = raw.command(&format!("STATUS {} (MESSAGES)", quoted(name)));
    answer.status == "OK"
}

/// The rights that an identifier has on a mailbox, comparable; none where it is not on the list.
#[track_caller]
pub fn rights_of(raw: &mut Raw, mailbox: &str, identifier: &str) -> Option<String> {
    let answer = raw.command(&format!("GETACL {}", quoted(mailbox)));
    assert_eq!(answer.status, "OK", "{answer:?}");
    let line = answer.named("ACL").pop().expect("an ACL line");
    let strings = strings(line);
    let (pairs, _) = strings[1..].as_chunks::<2>();
    pairs
        .iter()
        .find(|[who, _]| who == identifier)
        .map(|[_, rights]| rights_of_4314(rights))
}

/// The rights sorted, without the c and d of RFC 2086, which servers add for old clients.
pub fn rights_of_4314(rights: &str) -> String {
    rights
        .chars()
        .filter(|c| !"cd".contains(*c))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// The limits of a quota root, as `RESOURCE LIMIT` pairs, sorted.
#[track_caller]
pub fn limits(raw: &mut Raw, root: &str) -> Vec<(String, u64)> {
    let answer = raw.command(&format!("GETQUOTA {}", quoted(root)));
    assert_eq!(answer.status, "OK", "{answer:?}");
    let Some(line) = answer.named("QUOTA").pop() else {
        return Vec::new();
    };
    let (_, list) = line.rsplit_once('(').expect("a list");
    let words: Vec<_> = list.trim_end_matches(')').split_whitespace().collect();
    let (triples, _) = words.as_chunks::<3>();
    let mut limits: Vec<_> = triples
        .iter()
        .map(|[name, _, limit]| ((*name).to_owned(), limit.parse().expect("a number")))
        .collect();
    limits.sort();
    limits
}

/// A script with a line end at its end: a last line without one may be cut off, and imapadm says so.
pub fn ended(script: &str) -> String {
    format!("{}\n", script.trim_end_matches('\n'))
}
