//! The certificates that the user accepted by hand, one for each server, remembered between runs.
//!
//! Lives here: the file `known_servers` in the user's data folder, a line for each server: `HOST:PORT sha256:HEX`. Not
//! here: what a fingerprint means for a connection (the library's `net`), nor the question whether to accept one, which
//! the shell asks.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use imapadm::Error;
use imapadm::net::Fingerprint;

use crate::own;

/// The store of accepted certificates. It is read anew at each look, as another imapadm may have written to it.
#[derive(Debug, Clone)]
pub struct KnownServers {
    path: PathBuf,
}

impl KnownServers {
    /// The user's own, whether its file is there yet or not.
    ///
    /// # Errors
    /// A system that does not say where the user's data lives.
    pub fn of_user() -> Result<Self, Error> {
        let folder = dirs::data_dir().ok_or_else(|| {
            Error::Usage(
                "there is no folder for the certificates that you accept; set HOME, or XDG_DATA_HOME".to_owned(),
            )
        })?;
        Ok(KnownServers {
            path: folder.join("imapadm").join("known_servers"),
        })
    }

    /// The file, to be named in messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The certificate that was accepted for `address` (`host:port`; capitals don't matter), if one was.
    ///
    /// # Errors
    /// A file that can't be read, that others may write, or that is damaged.
    pub fn lookup(&self, address: &str) -> Result<Option<Fingerprint>, Error> {
        let text = own::read(&self.path)?.unwrap_or_default();
        let mut found = None;
        // Every line, not up to the one that is wanted: damage is to show whoever is looked for.
        for (number, line) in (1..).zip(text.lines()) {
            if let Some((server, fingerprint)) = self.entry(number, line)?
                && server.eq_ignore_ascii_case(address)
            {
                found = Some(fingerprint);
            }
        }
        Ok(found)
    }

    /// Remembers the certificate for `address`, in place of an earlier one. The other lines stay as they are.
    ///
    /// The file is replaced as a whole, so that no crash leaves half of it. Of two that write at the same time, one may
    /// be forgotten, and is asked for again.
    ///
    /// # Errors
    /// As [`lookup`](Self::lookup); a file that can't be written; an address that is none.
    pub fn remember(&self, address: &str, fingerprint: Fingerprint) -> Result<(), Error> {
        let odd = |letter: char| letter.is_whitespace() || letter.is_control();
        if address.is_empty() || address.starts_with('#') || address.contains(odd) {
            return Err(Error::Usage(format!(
                "{address:?} can't stand in {}; give the server as HOST:PORT",
                self.path.display()
            )));
        }
        let mut kept = String::new();
        let text = own::read(&self.path)?.unwrap_or_default();
        for (number, line) in (1..).zip(text.lines()) {
            let replaced = self
                .entry(number, line)?
                .is_some_and(|(server, _)| server.eq_ignore_ascii_case(address));
            if !replaced {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        kept.push_str(&format!("{address} {fingerprint}\n"));
        self.replace(&kept).map_err(|error| {
            Error::Usage(format!(
                "cannot write {}: {error}; check the folder and the disk, and accept the certificate again",
                self.path.display()
            ))
        })
    }

    /// What a line says; `None` for a comment or an empty line.
    fn entry<'a>(
        &self,
        number: usize,
        line: &'a str,
    ) -> Result<Option<(&'a str, Fingerprint)>, Error> {
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
        let mut words = line.split_whitespace();
        let (Some(server), Some(fingerprint), None) = (words.next(), words.next(), words.next())
        else {
            return Err(damaged("it is not of the form HOST:PORT sha256:HEX"));
        };
        match fingerprint.parse() {
            Ok(fingerprint) => Ok(Some((server, fingerprint))),
            Err(_) => Err(damaged(
                "its fingerprint is not sha256: and 64 hexadecimal digits",
            )),
        }
    }

    fn replace(&self, text: &str) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        // A link to a file elsewhere stays a link.
        let path = match fs::canonicalize(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.path.clone(),
            result => result?,
        };
        let new = path.with_extension(format!("{}.new", std::process::id()));
        // Left behind by a crash, and by a process that had our number.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&new, &path));
        if let Err(error) = written {
            // The error that is told is the first one.
            let _ = fs::remove_file(&new);
            return Err(error);
        }
        // Some file systems can't sync a folder; the file itself is there by now.
        let _ = path.parent().map(|folder| File::open(folder)?.sync_all());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use tempfile::TempDir;

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
        let (one, two) = (Fingerprint::of(b"1"), Fingerprint::of(b"2"));
        assert_eq!(known.lookup("mail:993").unwrap(), None);
        known.remember("mail:993", one).unwrap();
        known.remember("[::1]:143", two).unwrap();
        assert_eq!(known.lookup("Mail:993").unwrap(), Some(one));
        assert_eq!(known.lookup("[::1]:143").unwrap(), Some(two));
        assert_eq!(known.lookup("mail:143").unwrap(), None);
        known.remember("MAIL:993", two).unwrap();
        assert_eq!(known.lookup("mail:993").unwrap(), Some(two));
        assert_eq!(mode(known.path()), 0o600);
        assert_eq!(mode(known.path().parent().unwrap()), 0o700);
        // Nothing is left beside it.
        let beside = fs::read_dir(known.path().parent().unwrap()).unwrap();
        assert_eq!(beside.count(), 1);
    }

    #[test]
    fn other_lines_stay() {
        let (one, two) = (Fingerprint::of(b"1"), Fingerprint::of(b"2"));
        let text = format!("# ours\n\n  a:1 {one}  \nb:2\t{one}\n# end");
        let (_dir, known) = with(&text);
        known.remember("a:1", two).unwrap();
        assert_eq!(
            fs::read_to_string(known.path()).unwrap(),
            format!("# ours\n\nb:2\t{one}\n# end\na:1 {two}\n")
        );
        assert_eq!(known.lookup("b:2").unwrap(), Some(one));
    }

    #[test]
    fn damage_is_named_and_left_alone() {
        let one = Fingerprint::of(b"1");
        for line in [
            "a:1",
            "a:1 sha256:00",
            "a:1 sha1:00 x",
            &format!("a:1 {one} x"),
        ] {
            let text = format!("# first\nb:2 {one}\n{line}\n");
            let (_dir, known) = with(&text);
            for error in [
                known.lookup("b:2").unwrap_err(),
                known.remember("b:2", one).unwrap_err(),
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
                known.remember("a:1", one).unwrap_err(),
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
            assert!(
                known.remember(address, Fingerprint::of(b"1")).is_err(),
                "{address:?}"
            );
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
        let error = known.remember("a:1", Fingerprint::of(b"1")).unwrap_err();
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
        known.remember("a:1", Fingerprint::of(b"1")).unwrap();
        assert!(fs::symlink_metadata(known.path()).unwrap().is_symlink());
        assert!(
            fs::read_to_string(&real)
                .unwrap()
                .starts_with("# kept\na:1 sha256:")
        );
    }
}
