//! The netrc file: users and passwords by host, as ftp and curl have them. Not here: which password is used (`source`).

use std::io::{self, Read};
use std::path::Path;

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::SecretError;
use super::source::exposed;
use crate::open;

/// The largest file read, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// What a netrc file says of `host`: the user, where it names one, and the password. With a `user`, only an entry for that user
/// counts, or one that names none.
///
/// `None` if it says nothing, or if there is no such file. The file's own parser, as those at hand leave copies of passwords in
/// memory.
///
/// # Errors
/// [`SecretError::Netrc`] for a file that others may read, and for one that can't be read.
pub fn netrc(
    path: &Path,
    host: &str,
    user: Option<&str>,
) -> Result<Option<(Option<String>, SecretString)>, SecretError> {
    let wrong = |why: String| SecretError::Netrc {
        path: path.to_owned(),
        why,
    };
    let unreadable = |error: io::Error| {
        wrong(format!(
            "{}; check who may read it",
            crate::net::words(&error)
        ))
    };
    let file = match open::to_read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result.map_err(unreadable)?,
    };
    let metadata = file.metadata().map_err(unreadable)?;
    // One allocation from the start: a vector that grows leaves unwiped copies behind.
    let size = usize::try_from(metadata.len().min(LARGEST)).unwrap_or(0);
    let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
    (&file)
        .take(LARGEST)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| {
        wrong("it is not UTF-8; convert it, for example with `iconv -t utf-8`".into())
    })?;
    let entry = find(text, host, user).map_err(|line| {
        wrong(format!(
            "line {line} is invalid; write machine HOST login USER password PASSWORD, and put a word with spaces, quotes or a # in \
             double quotes"
        ))
    })?;
    let Some(entry) = entry else {
        return Ok(None);
    };
    // Only a file that would be used has to be safe.
    if let Some(mode) = exposed(&metadata) {
        return Err(wrong(format!(
            "it contains a password for {host} and is readable by others (mode {mode:04o}); restrict it: chmod 600 {}",
            path.display()
        )));
    }
    Ok(entry
        .password
        .map(|password| (entry.login.map(str::to_owned), SecretString::from(password))))
}

/// One `machine` or `default` of the file.
#[derive(Default)]
struct Entry<'a> {
    /// `None` for `default`, which stands for every host.
    machine: Option<&'a str>,
    login: Option<&'a str>,
    password: Option<&'a str>,
}

impl Entry<'_> {
    fn fits(&self, host: &str, user: Option<&str>) -> bool {
        self.password.is_some()
            && self
                .machine
                .is_none_or(|machine| machine.eq_ignore_ascii_case(host))
            && match (self.login, user) {
                (Some(login), Some(user)) => login == user,
                _ => true,
            }
    }
}

/// The first entry that fits.
///
/// # Errors
/// The number of a line that is not understood. Guessing could give one host's password to another.
fn find<'a>(text: &'a str, host: &str, user: Option<&str>) -> Result<Option<Entry<'a>>, usize> {
    let mut fitting = None;
    let mut entry: Option<Entry<'a>> = None;
    let mut in_macro = false;
    let done = |entry: Option<Entry<'a>>| entry.filter(|entry| entry.fits(host, user));
    for (number, line) in (1..).zip(text.lines()) {
        if in_macro {
            // It goes on to the next empty line.
            in_macro = !line.trim().is_empty();
            continue;
        }
        let mut words = Words(line);
        while let Some(keyword) = words.next().transpose().map_err(|()| number)? {
            // The value stands on its keyword's line, whatever it looks like.
            let mut value = || words.next().and_then(Result::ok).ok_or(number);
            match (keyword.text, &mut entry) {
                _ if keyword.quoted => return Err(number),
                (comment, _) if comment.starts_with('#') => break,
                ("machine", _) => {
                    let machine = Some(value()?.text);
                    fitting = fitting.or(done(entry.take()));
                    entry = Some(Entry {
                        machine,
                        ..Entry::default()
                    });
                }
                ("default", _) => {
                    fitting = fitting.or(done(entry.take()));
                    entry = Some(Entry::default());
                }
                ("login", Some(entry)) if entry.login.is_none() => {
                    entry.login = Some(value()?.text)
                }
                ("password", Some(entry)) if entry.password.is_none() => {
                    entry.password = Some(value()?.text);
                }
                ("account", Some(_)) => {
                    value()?;
                }
                ("macdef", _) => {
                    value()?;
                    in_macro = true;
                }
                _ => return Err(number),
            }
        }
    }
    Ok(fitting.or(done(entry)))
}

/// A word of the file.
struct Word<'a> {
    text: &'a str,
    quoted: bool,
}

/// The words of a line: parted by spaces, in double quotes where they hold any.
struct Words<'a>(&'a str);

impl<'a> Iterator for Words<'a> {
    /// A quote that is not closed on its line is none.
    type Item = Result<Word<'a>, ()>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.0.trim_start();
        if line.is_empty() {
            return None;
        }
        if let Some(quoted) = line.strip_prefix('"') {
            let Some((text, rest)) = quoted.split_once('"') else {
                self.0 = "";
                return Some(Err(()));
            };
            self.0 = rest;
            return Some(Ok(Word { text, quoted: true }));
        }
        let end = line.find(char::is_whitespace).unwrap_or(line.len());
        let (text, rest) = line.split_at(end);
        self.0 = rest;
        Some(Ok(Word {
            text,
            quoted: false,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    const FILE: &str = "# mine\nmachine mail.example.org login cyrus password s3cret # for work\n\
        machine MAIL.example.org\n\tlogin bob\n\tpassword \"two words\"\nmacdef init\nmachine x password no\n\n\
        machine hash password #x\nmachine bare password open default login anonymous password guest";

    fn found(host: &str, user: Option<&str>) -> Option<(Option<&'static str>, &'static str)> {
        let entry = find(FILE, host, user).unwrap()?;
        Some((entry.login, entry.password?))
    }

    #[test]
    fn the_entry_of_a_host_and_a_user() {
        let host = "mail.example.org";
        assert_eq!(found(host, None), Some((Some("cyrus"), "s3cret")));
        assert_eq!(found(host, Some("cyrus")), Some((Some("cyrus"), "s3cret")));
        assert_eq!(found(host, Some("bob")), Some((Some("bob"), "two words")));
        assert_eq!(found("hash", None), Some((None, "#x")));
        assert_eq!(found("bare", Some("zoe")), Some((None, "open")));
        assert_eq!(found("x", Some("zoe")), None);
        assert_eq!(found("x", None), Some((Some("anonymous"), "guest")));
        for nothing in ["", "# all is well\n", "machine a login", "macdef x"] {
            assert!(!find(nothing, "a", None).is_ok_and(|entry| entry.is_some()));
        }
    }

    #[test]
    fn what_is_not_understood_gives_nobody_a_password() {
        for (text, line) in [
            // Without its value, the next machine would be taken for one.
            (
                "machine a login x password\nmachine b login y password z",
                1,
            ),
            ("machine a password \"open\nmachine b password \"z", 1),
            ("machine\na", 1),
            ("machine a\npassword x password y", 2),
            ("machine a user x password y", 1),
            ("password x", 1),
            ("machine a \"password\" x", 1),
        ] {
            assert_eq!(find(text, "a", None).err(), Some(line), "{text}");
        }
    }

    #[test]
    fn only_a_file_of_ones_own_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("netrc");
        assert!(netrc(&path, "bare", None).unwrap().is_none());
        fs::write(&path, FILE).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = netrc(&path, "bare", None).unwrap_err().to_string();
        assert!(
            error.contains("chmod 600") && !error.contains("open"),
            "{error}"
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let (user, password) = netrc(&path, "bare", None).unwrap().unwrap();
        assert_eq!((user, password.expose_secret()), (None, "open"));
    }
}
