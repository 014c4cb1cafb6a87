//! Metadata entries as they are typed: paths, and the short names of cyradm.

use imapadm::Error;
use imapadm::admin::metadata::{PRIVATE, SHARED};

/// A short name, the path it stands for, and under what setmetadata puts it.
pub struct Short(&'static str, &'static str, &'static str);

/// The short names of cyradm.
pub static SHORTS: &[Short] = &[
    Short("admin", "/admin", SHARED),
    Short("comment", "/comment", PRIVATE),
    Short("expire", "/vendor/cmu/cyrus-imapd/expire", SHARED),
    Short("motd", "/motd", SHARED),
    Short("news2mail", "/vendor/cmu/cyrus-imapd/news2mail", SHARED),
    Short(
        "pop3showafter",
        "/vendor/cmu/cyrus-imapd/pop3showafter",
        SHARED,
    ),
    Short("sharedseen", "/vendor/cmu/cyrus-imapd/sharedseen", SHARED),
    Short("shutdown", "/vendor/cmu/cyrus-imapd/shutdown", SHARED),
    Short("sieve", "/vendor/cmu/cyrus-imapd/sieve", SHARED),
    Short("specialuse", "/specialuse", PRIVATE),
    Short("squat", "/vendor/cmu/cyrus-imapd/squat", SHARED),
];

/// The short names, for completion.
pub fn entry_names() -> impl Iterator<Item = &'static str> {
    SHORTS.iter().map(|short| short.0)
}

/// That a word can name an entry.
///
/// # Errors
/// [`Error::Usage`], naming the short names.
pub fn check_entry(word: &str) -> Result<(), Error> {
    Typed::read(word).map(drop)
}

/// An entry as typed: its path, and what it is under where that is said or known.
pub struct Typed {
    /// The path, without `/shared` or `/private`.
    pub path: String,
    /// `/shared` or `/private`, as typed.
    pub under: Option<&'static str>,
    /// What setmetadata puts it under if nothing is said.
    pub usual: &'static str,
}

impl Typed {
    /// Reads a short name or a path.
    pub fn read(word: &str) -> Result<Self, Error> {
        for top in [SHARED, PRIVATE] {
            // In any case: entries' names have none.
            if let Some((head, path)) = word.split_at_checked(top.len())
                && head.eq_ignore_ascii_case(top)
                && (path.is_empty() || path.starts_with('/'))
            {
                return Ok(Self {
                    path: path.to_owned(),
                    under: Some(top),
                    usual: top,
                });
            }
        }
        if word.starts_with('/') {
            return Ok(Self {
                path: word.to_owned(),
                under: None,
                usual: SHARED,
            });
        }
        let known = SHORTS
            .iter()
            .find(|short| short.0.eq_ignore_ascii_case(word));
        let Some(Short(_, path, usual)) = known else {
            let names: Vec<_> = entry_names().collect();
            return Err(Error::Usage(format!(
                "invalid entry {word:?}; write a path that begins with a slash, or one of {}",
                names.join(", ")
            )));
        };
        Ok(Self {
            path: (*path).to_owned(),
            under: None,
            usual,
        })
    }

    /// The entry under `top`.
    pub fn under(&self, top: &str) -> String {
        format!("{top}{}", self.path)
    }
}
