//! The certificates and authorities that the user accepted by hand, one for each server, remembered between runs.
//!
//! Lives here: the file `known_servers` in the user's data folder, a line for each server: `HOST:PORT sha256:HEX DATE`, and for an
//! authority behind that `authority` and its certificate in base64; older lines have no date. Not here: what either means for a
//! connection (the library's `net`), nor the question whether to accept one, which the shell asks.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imapadm::Error;
use imapadm::net::{Authority, Fingerprint, Known};
use time::OffsetDateTime;

use crate::files;

/// The store of what was accepted. It is read anew at each look, as another imapadm may have written to it.
#[derive(Debug, Clone)]
pub struct KnownServers {
    path: PathBuf,
}

/// What was accepted for one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `HOST:PORT`, or the path of a Unix socket.
    pub server: String,
    /// The certificate or the authority.
    pub known: Known,
    /// The day, as `2026-01-31` in UTC; `None` in a file of an older imapadm.
    pub accepted: Option<String>,
}

impl Entry {
    /// Whether a user who writes HOST, HOST:PORT or a path means this one.
    fn is_meant_by(&self, word: &str) -> bool {
        let is = |name: &str| name.eq_ignore_ascii_case(word);
        let host = || {
            let (host, port) = self.server.rsplit_once(':')?;
            let bare = host
                .strip_prefix('[')
                .and_then(|host| host.strip_suffix(']'));
            port.parse::<u16>().ok()?;
            Some(is(host) || bare.is_some_and(is))
        };
        is(&self.server) || host().unwrap_or(false)
    }
}

impl KnownServers {
    /// The user's own, whether its file is there yet or not.
    ///
    /// # Errors
    /// A system that does not say where the user's data lives.
    pub fn of_user() -> Result<Self, Error> {
        let path = files::known_servers().ok_or_else(|| {
            Error::Usage(
                "no directory to store accepted certificates in; set HOME or XDG_DATA_HOME"
                    .to_owned(),
            )
        })?;
        Ok(KnownServers { path })
    }

    /// The file, to be named in messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All that was accepted, in the order of the file.
    ///
    /// # Errors
    /// A file that can't be read, that others may write, or that is damaged.
    pub fn all(&self) -> Result<Vec<Entry>, Error> {
        let text = files::read(&self.path)?.unwrap_or_default();
        // Every line, not up to the one that is wanted: damage is to show whoever is looked for.
        let lines = (1..).zip(text.lines());
        let entries = lines.filter_map(|(number, line)| self.entry(number, line).transpose());
        entries.collect()
    }

    /// What was accepted for `address` (`host:port`; capitals don't matter), if anything was.
    ///
    /// # Errors
    /// As [`all`](Self::all).
    pub fn lookup(&self, address: &str) -> Result<Option<Known>, Error> {
        let mut found = self.all()?;
        // The last line counts, as in a file that somebody has added to by hand.
        found.retain(|entry| entry.server.eq_ignore_ascii_case(address));
        Ok(found.pop().map(|entry| entry.known))
    }

    /// Remembers what was accepted for `address` today, in place of what was before. The other lines stay as they are.
    ///
    /// The file is replaced as a whole, so that no crash leaves half of it. Of two that write at the same time, one may
    /// be forgotten, and is asked for again.
    ///
    /// # Errors
    /// As [`all`](Self::all); a file that can't be written; an address that is none.
    pub fn remember(&self, address: &str, known: &Known) -> Result<(), Error> {
        let odd = |letter: char| letter.is_whitespace() || letter.is_control();
        if address.is_empty() || address.starts_with('#') || address.contains(odd) {
            return Err(Error::Usage(format!(
                "{address:?} can't stand in {}; give the server as HOST:PORT",
                self.path.display()
            )));
        }
        let mut line = format!(
            "{address} {} {}",
            known.fingerprint(),
            OffsetDateTime::now_utc().date()
        );
        if let Known::Authority(authority) = known {
            line.push_str(" authority ");
            line.push_str(&STANDARD.encode(authority.der()));
        }
        self.rewrite(
            |entry| entry.server.eq_ignore_ascii_case(address),
            Some(&line),
        )?;
        Ok(())
    }

    /// Forgets what was accepted for HOST, at every port, or for HOST:PORT alone; returns what that was.
    ///
    /// # Errors
    /// As [`remember`](Self::remember).
    pub fn forget(&self, word: &str) -> Result<Vec<Entry>, Error> {
        self.rewrite(|entry| entry.is_meant_by(word), None)
    }

    /// Takes out the lines that fit, and puts one at the end; returns what was taken out.
    fn rewrite(
        &self,
        goes: impl Fn(&Entry) -> bool,
        last: Option<&str>,
    ) -> Result<Vec<Entry>, Error> {
        let text = files::read(&self.path)?.unwrap_or_default();
        let (mut kept, mut gone) = (String::new(), Vec::new());
        for (number, line) in (1..).zip(text.lines()) {
            match self.entry(number, line)? {
                Some(entry) if goes(&entry) => gone.push(entry),
                _ => {
                    kept.push_str(line);
                    kept.push('\n');
                }
            }
        }
        if gone.is_empty() && last.is_none() {
            return Ok(gone);
        }
        if let Some(line) = last {
            kept.push_str(line);
            kept.push('\n');
        }
        files::replace(&self.path, &kept).map_err(|error| {
            Error::Usage(format!(
                "cannot write {}: {error}; check the folder and the disk, and try again",
                self.path.display()
            ))
        })?;
        Ok(gone)
    }

    /// What a line says; `None` for a comment or an empty line.
    fn entry(&self, number: usize, line: &str) -> Result<Option<Entry>, Error> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        let damaged = |why: &str| {
            Error::Usage(format!(
                "line {number} of {} is damaged: {why}; correct or remove it",
                self.path.display()
            ))
        };
        let words: Vec<_> = line.split_whitespace().collect();
        let [server, fingerprint, rest @ ..] = words.as_slice() else {
            return Err(damaged("it is not of the form HOST:PORT sha256:HEX"));
        };
        let fingerprint: Fingerprint = fingerprint
            .parse()
            .map_err(|_| damaged("its fingerprint is not sha256: and 64 hexadecimal digits"))?;
        let (accepted, rest) = match rest {
            [day, rest @ ..] if is_day(day) => (Some((*day).to_owned()), rest),
            rest => (None, rest),
        };
        let known = match rest {
            [] => Known::Certificate(fingerprint),
            ["authority", base64] => {
                let der = STANDARD.decode(base64).ok();
                let authority = der.and_then(Authority::from_der).map(Box::new);
                let known = authority.map(Known::Authority);
                known
                    .filter(|known| known.fingerprint() == fingerprint)
                    .ok_or_else(|| {
                        damaged("its authority's certificate does not match its fingerprint")
                    })?
            }
            _ => return Err(damaged("it is not of the form HOST:PORT sha256:HEX DATE")),
        };
        Ok(Some(Entry {
            server: (*server).to_owned(),
            known,
            accepted,
        }))
    }
}

/// Whether a word is a day as it is written here.
fn is_day(word: &str) -> bool {
    word.len() == 10
        && word.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use tempfile::TempDir;

    /// A certificate by its fingerprint.
    fn of(text: &[u8]) -> Known {
        Known::Certificate(Fingerprint::of(text))
    }

    /// A line's end: the day that it was written on.
    fn today() -> String {
        OffsetDateTime::now_utc().date().to_string()
    }

    fn store(dir: &TempDir) -> KnownServers {
        KnownServers {
            path: dir
                .path()
                .join("deep")
                .join("imapadm")
                .join("known_servers"),
        }
    }

    fn with(text: &str) -> (TempDir, KnownServers) {
        let dir = TempDir::new().unwrap();
        let known = KnownServers {
            path: dir.path().join("known_servers"),
        };
        fs::write(&known.path, text).unwrap();
        fs::set_permissions(&known.path, fs::Permissions::from_mode(0o644)).unwrap();
        (dir, known)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_remembered_is_found() {
        let dir = TempDir::new().unwrap();
        let known = store(&dir);
        let (one, two) = (of(b"1"), of(b"2"));
        assert_eq!(known.lookup("mail:993").unwrap(), None);
        known.remember("mail:993", &one).unwrap();
        known.remember("[::1]:143", &two).unwrap();
        assert_eq!(known.lookup("Mail:993").unwrap(), Some(one));
        assert_eq!(known.lookup("[::1]:143").unwrap(), Some(two.clone()));
        assert_eq!(known.lookup("mail:143").unwrap(), None);
        known.remember("MAIL:993", &two).unwrap();
        assert_eq!(known.lookup("mail:993").unwrap(), Some(two));
        assert_eq!(mode(known.path()), 0o600);
        assert_eq!(mode(known.path().parent().unwrap()), 0o700);
        // Nothing is left beside it.
        let beside = fs::read_dir(known.path().parent().unwrap()).unwrap();
        assert_eq!(beside.count(), 1);
    }

    #[test]
    fn what_is_forgotten_is_told() {
        let one = Fingerprint::of(b"1");
        let text =
            format!("# ours\na:143 {one}\nb:143 {one} 2026-01-31\na:993 {one}\n[::1]:143 {one}\n");
        let (_dir, known) = with(&text);
        let names = |entries: Vec<Entry>| -> Vec<String> {
            entries.into_iter().map(|entry| entry.server).collect()
        };
        assert!(known.forget("c").unwrap().is_empty());
        assert!(known.forget("a:1").unwrap().is_empty());
        assert_eq!(fs::read_to_string(known.path()).unwrap(), text);
        assert_eq!(names(known.forget("A:993").unwrap()), ["a:993"]);
        assert_eq!(names(known.forget("::1").unwrap()), ["[::1]:143"]);
        let gone = known.forget("b").unwrap();
        assert_eq!(gone[0].accepted.as_deref(), Some("2026-01-31"));
        assert_eq!(
            fs::read_to_string(known.path()).unwrap(),
            format!("# ours\na:143 {one}\n")
        );
    }

    #[test]
    fn other_lines_stay() {
        let (one, two) = (Fingerprint::of(b"1"), Fingerprint::of(b"2"));
        let text = format!("# ours\n\n  a:1 {one}  \nb:2\t{one}\n# end");
        let (_dir, known) = with(&text);
        known.remember("a:1", &of(b"2")).unwrap();
        assert_eq!(
            fs::read_to_string(known.path()).unwrap(),
            format!("# ours\n\nb:2\t{one}\n# end\na:1 {two} {}\n", today())
        );
        assert_eq!(known.lookup("b:2").unwrap(), Some(of(b"1")));
    }

    #[test]
    fn damage_is_named_and_left_alone() {
        let one = Fingerprint::of(b"1");
        for line in [
            "a:1",
            "a:1 sha256:00",
            "a:1 sha1:00 x",
            &format!("a:1 {one} x"),
            &format!("a:1 {one} 2026-01-31 x"),
            &format!("a:1 {one} 2026-01-31 authority"),
            &format!("a:1 {one} 2026-01-31 authority ????"),
            &format!("a:1 {one} 2026-01-31 authority AAAA"),
        ] {
            let text = format!("# first\nb:2 {one}\n{line}\n");
            let (_dir, known) = with(&text);
            for error in [
                known.lookup("b:2").unwrap_err(),
                known.remember("b:2", &of(b"1")).unwrap_err(),
            ] {
                let words = error.to_string();
                let place = format!("line 3 of {}", known.path().display());
                assert!(
                    matches!(error, Error::Usage(_)) && words.contains(&place),
                    "{words}"
                );
            }
            assert_eq!(fs::read_to_string(known.path()).unwrap(), text);
        }
        let (_dir, known) = with("");
        fs::write(known.path(), b"\xff\n").unwrap();
        assert!(known.lookup("a:1").is_err());
        fs::write(known.path(), "#".repeat(1 << 21)).unwrap();
        assert!(known.lookup("a:1").is_err());
    }

    #[test]
    fn a_file_that_others_may_write_is_refused() {
        let one = Fingerprint::of(b"1");
        for mode in [0o620, 0o602, 0o666] {
            let (_dir, known) = with(&format!("a:1 {one}\n"));
            fs::set_permissions(known.path(), fs::Permissions::from_mode(mode)).unwrap();
            for error in [
                known.lookup("a:1").unwrap_err(),
                known.remember("a:1", &of(b"1")).unwrap_err(),
            ] {
                assert!(error.to_string().contains("chmod go-w"), "{error}");
            }
        }
    }

    #[test]
    fn addresses_that_would_make_other_lines() {
        let dir = TempDir::new().unwrap();
        let known = store(&dir);
        for address in ["", "a b:1", "a:1\nb:2", "#a:1", "\u{7}:1"] {
            assert!(known.remember(address, &of(b"1")).is_err(), "{address:?}");
        }
        assert!(!known.path().exists());
    }

    #[test]
    fn a_folder_that_can_not_be_had() {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("deep"), "a file").unwrap();
        let error = store(&dir).lookup("a:1").unwrap_err();
        assert!(error.to_string().contains("cannot read"), "{error}");
        // Nobody, not even root, makes a folder there.
        let known = KnownServers {
            path: PathBuf::from("/proc/imapadm/known_servers"),
        };
        assert_eq!(known.lookup("a:1").unwrap(), None);
        let error = known.remember("a:1", &of(b"1")).unwrap_err();
        assert!(error.to_string().contains("cannot write"), "{error}");
    }

    #[test]
    fn where_it_is() {
        let known = KnownServers::of_user().unwrap();
        assert!(known.path().ends_with("imapadm/known_servers"));
    }

    #[test]
    fn a_link_stays_one() {
        let dir = TempDir::new().unwrap();
        let real = dir.path().join("real");
        fs::write(&real, "# kept\n").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
        let known = KnownServers {
            path: dir.path().join("known_servers"),
        };
        std::os::unix::fs::symlink(&real, known.path()).unwrap();
        known.remember("a:1", &of(b"1")).unwrap();
        assert!(fs::symlink_metadata(known.path()).unwrap().is_symlink());
        assert!(
            fs::read_to_string(&real)
                .unwrap()
                .starts_with("# kept\na:1 sha256:")
        );
    }
}
