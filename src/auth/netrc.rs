//! The netrc file: users and passwords by host, as ftp and curl have them. Not here: which password is used (`source`).

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::SecretError;
use super::source::exposed;

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
    let file = match File::open(path) {
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
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| wrong("it is not UTF-8; convert it with `iconv -t utf-8`".into()))?;
    let Some(entry) = find(text, host, user) else {
        return Ok(None);
    };
    // Only a file that would be used has to be safe.
    if let Some(mode) = exposed(&metadata) {
        return Err(wrong(format!(
            "it holds a password for {host} and can be read by others (its mode is {mode:04o}); make it yours alone: chmod 600 {}",
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
fn find<'a>(text: &'a str, host: &str, user: Option<&str>) -> Option<Entry<'a>> {
    let mut words = Words(text);
    let mut entry: Option<Entry<'a>> = None;
    loop {
        let word = words.next();
        if matches!(word, Some("machine" | "default") | None) {
            if let Some(entry) = entry.take()
                && entry.fits(host, user)
            {
                return Some(entry);
            }
            match word? {
                "machine" => {
                    entry = Some(Entry {
                        machine: Some(words.next()?),
                        ..Entry::default()
                    });
                }
                _ => entry = Some(Entry::default()),
            }
            continue;
        }
        match (word, &mut entry) {
            (Some("login"), Some(entry)) => entry.login = words.next(),
            (Some("password"), Some(entry)) => entry.password = words.next(),
            (Some("account"), Some(_)) => drop(words.next()),
            (Some("macdef"), _) => words.skip_macro(),
            // Words that nobody knows mean nothing.
            _ => {}
        }
    }
}

/// The words of the file: parted by spaces, in double quotes where they hold any; `#` begins a comment.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    /// A macro goes on to the next empty line.
    fn skip_macro(&mut self) {
        self.0 = self.0.split_once("\n\n").map_or("", |(_, rest)| rest);
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            self.0 = self.0.trim_start();
            if !self.0.starts_with('#') {
                break;
            }
            self.0 = self.0.split_once('\n').map_or("", |(_, rest)| rest);
        }
        if let Some(quoted) = self.0.strip_prefix('"')
            && let Some((word, rest)) = quoted.split_once('"')
        {
            self.0 = rest;
            return Some(word);
        }
        let end = self.0.find(char::is_whitespace).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    const FILE: &str = "# mine\nmachine mail.example.org login cyrus password s3cret\n\
        machine MAIL.example.org\n\tlogin bob\n\tpassword \"two words\"\nmacdef init\nmachine x password no\n\n\
        machine bare password open default login anonymous password guest";

    fn found(host: &str, user: Option<&str>) -> Option<(Option<&'static str>, &'static str)> {
        find(FILE, host, user).and_then(|entry| Some((entry.login, entry.password?)))
    }

    #[test]
    fn the_entry_of_a_host_and_a_user() {
        let host = "mail.example.org";
        assert_eq!(found(host, None), Some((Some("cyrus"), "s3cret")));
        assert_eq!(found(host, Some("cyrus")), Some((Some("cyrus"), "s3cret")));
        assert_eq!(found(host, Some("bob")), Some((Some("bob"), "two words")));
        assert_eq!(found("bare", Some("zoe")), Some((None, "open")));
        assert_eq!(found("x", Some("zoe")), None);
        assert_eq!(found("x", None), Some((Some("anonymous"), "guest")));
        for odd in [
            "",
            "machine",
            "machine a login",
            "password x",
            "machine a password",
            "\"",
            "macdef",
        ] {
            assert!(find(odd, "a", None).is_none(), "{odd}");
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
