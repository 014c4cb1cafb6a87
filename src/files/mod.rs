//! The user's own files: where they are, and who may read and write them.
//!
//! A file is believed only if nobody else can have written it. What imapadm writes, only the user can read. Not here: what the
//! configuration says (`config`), and files of secrets (`imapadm::auth`), which nobody else may even read.

pub mod known;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use imapadm::{Error, open};

/// More than any such file needs, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// The configuration; `None` where the system does not say where it is kept.
pub fn config() -> Option<PathBuf> {
    dirs::config_dir().map(|folder| folder.join("imapadm").join("config.toml"))
}

/// The certificates and authorities that the user accepted; `None` where there is no home.
fn known_servers() -> Option<PathBuf> {
    dirs::data_dir().map(|folder| folder.join("imapadm").join("known_servers"))
}

/// The file of the lines typed in the shell, created so that only its owner can read it.
///
/// # Errors
/// There is no home, or the file can't be used.
pub fn history() -> io::Result<PathBuf> {
    let state = dirs::state_dir()
        .or_else(dirs::data_local_dir)
        .ok_or_else(|| io::Error::other("no home folder"))?;
    let path = state.join("imapadm").join("history");
    make_folder_of(&path)?;
    match open::to_append(&path) {
        Ok(_) => Ok(path),
        Err(error) => Err(io::Error::other(format!(
            "cannot use {}: {error}; check it, and remove it",
            path.display()
        ))),
    }
}

/// The text of a file; `None` if there is none.
///
/// # Errors
/// [`Error::Usage`] for a file that can't be read, belongs to another user, is writable by others, or is not text.
pub fn read(file: &Path) -> Result<Option<String>, Error> {
    let path = file.display();
    let unreadable = |error: io::Error| {
        Error::Usage(format!(
            "cannot read {path}: {error}; check the path, and that you may read it"
        ))
    };
    let opened = match open::to_read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result.map_err(unreadable)?,
    };
    // Of the open file, and not of whatever has its name by then.
    let metadata = opened.metadata().map_err(unreadable)?;
    if metadata.mode() & 0o022 != 0 {
        return Err(Error::Usage(format!(
            "{path} is writable by others (mode {:04o}), so its contents cannot be trusted; check them, then run: chmod go-w {path}",
            metadata.mode() & 0o7777
        )));
    }
    let own = rustix::process::geteuid().as_raw();
    if ![0, own].contains(&metadata.uid()) {
        return Err(Error::Usage(format!(
            "{path} belongs to another user, so its contents cannot be trusted; check them, then run: chown {own} {path}"
        )));
    }
    let mut bytes = Vec::new();
    opened
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::Usage(format!(
            "{path} is too large for a file of imapadm; check it, and remove it"
        )));
    }
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_| Error::Usage(format!("{path} is not UTF-8 text; correct or remove it")))
}

/// Replaces a file as a whole, so that a crash never leaves half of it. Creates its folder too. Only the owner can read either.
///
/// # Errors
/// The first step that failed. The file is as it was then.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    make_folder_of(path)?;
    // A link to a file elsewhere stays a link.
    let path = match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
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

/// Creates the folder that a file is in, for its owner only.
fn make_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}
