//! The user's own files: read only if nobody else can have written them.
//!
//! Not here: what stands in them (`config`, `known`), and files of secrets, which nobody else may even read (`imapadm::auth`).

use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use imapadm::Error;

/// More than any such file has; a device or a disk image is not read.
const LARGEST: u64 = 1024 * 1024;

/// The text of a file; `None` if there is none.
///
/// # Errors
/// [`Error::Usage`] for one that can't be read, that belongs to somebody else, that others may write, or that is no text.
pub fn read(file: &Path) -> Result<Option<String>, Error> {
    let path = file.display();
    let unreadable =
        |error: io::Error| Error::Usage(format!("cannot read {path}: {error}; check who may"));
    let opened = match imapadm::files::to_read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result.map_err(unreadable)?,
    };
    // Of the open file, and not of whatever has its name by then.
    let metadata = opened.metadata().map_err(unreadable)?;
    if metadata.mode() & 0o022 != 0 {
        return Err(Error::Usage(format!(
            "others may write {path} (its mode is {:04o}), so what stands in it can't be trusted; look through it, then: chmod go-w {path}",
            metadata.mode() & 0o7777
        )));
    }
    let own = rustix::process::geteuid().as_raw();
    if ![0, own].contains(&metadata.uid()) {
        return Err(Error::Usage(format!(
            "{path} belongs to another user, so what stands in it can't be trusted; look through it, then make it yours: chown {own} {path}"
        )));
    }
    let mut bytes = Vec::new();
    opened
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::Usage(format!(
            "{path} is too large to be read; look into it, and remove it"
        )));
    }
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_| Error::Usage(format!("{path} is not UTF-8 text; correct or remove it")))
}
