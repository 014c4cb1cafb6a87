//! Opening the files that a user names or owns. A named pipe never makes anybody wait, and a link never leads a write to another
//! file.
//!
//! Not here: who else may read or write a file. That depends on what the file holds.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{
    FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a file for reading. Links are followed. A named pipe, a device, a socket and a folder are errors; none of them is waited for.
///
/// # Errors
/// The system's error, or what the path names instead of a file.
pub fn to_read(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags(OFlags::NONBLOCK | OFlags::NOCTTY))
        .open(path)?;
    of_a_file(file)
}

/// The same, but one of this process's own descriptors (`/dev/stdin`, or `/dev/fd/63` from a shell's `<(command)`) may be anything
/// but a folder. Reading from it may block, as with any pipe; the caller must make sure that the read can be interrupted.
///
/// # Errors
/// As [`to_read`].
pub fn to_read_or_pipe(path: &Path) -> io::Result<File> {
    if !is_descriptor(path) {
        return to_read(path);
    }
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return of_a_file(file);
    }
    Ok(file)
}

/// Opens a file for appending, creates it if needed, and makes it readable by its owner only. The file must be the user's own: a
/// link is not followed, and another user's file is refused.
///
/// # Errors
/// The system's error, or why the file is refused.
pub fn to_append(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY))
        .open(path)
        .map_err(|error| match rustix::io::Errno::from_io_error(&error) {
            Some(rustix::io::Errno::LOOP) => io::Error::other("it is a symbolic link"),
            // A named pipe that nobody reads from.
            Some(rustix::io::Errno::NXIO) => io::Error::other("it is not a file"),
            _ => error,
        })?;
    let file = of_a_file(file)?;
    let metadata = file.metadata()?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("it belongs to another user"));
    }
    // One that is older, or came from a backup, may be open to all.
    if metadata.mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// Whether a path is one of this process's open descriptors.
pub fn is_descriptor(path: &Path) -> bool {
    let is_number = |name: &Path| {
        name.to_str()
            .is_some_and(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()))
    };
    ["/dev/stdin", "/dev/stdout", "/dev/stderr"]
        .iter()
        .any(|name| path == Path::new(name))
        || ["/dev/fd", "/proc/self/fd"]
            .iter()
            .any(|folder| path.strip_prefix(folder).is_ok_and(is_number))
}

fn flags(flags: OFlags) -> i32 {
    // The system's flags are an int, whatever type they are held in.
    flags.bits().cast_signed()
}

/// The file, if it is one.
fn of_a_file(file: File) -> io::Result<File> {
    let kind = file.metadata()?.file_type();
    let other = if kind.is_file() {
        return Ok(file);
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(io::Error::other(format!("it is {other}, not a file")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::{Read as _, Write as _};
    use std::os::fd::AsRawFd as _;
    use tempfile::TempDir;

    fn pipe(dir: &TempDir) -> std::path::PathBuf {
        let path = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        path
    }

    #[test]
    fn only_files_are_opened() {
        let dir = TempDir::new().unwrap();
        let fifo = pipe(&dir);
        let socket = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for (path, word) in [
            (fifo.as_path(), "a named pipe"),
            (dir.path(), "a folder"),
            (Path::new("/dev/zero"), "a device"),
        ] {
            for error in [
                to_read(path).unwrap_err(),
                to_read_or_pipe(path).unwrap_err(),
            ] {
                assert!(error.to_string().contains(word), "{error}");
            }
            to_append(path).unwrap_err();
        }
        to_read(&socket).unwrap_err();
        // Nor where somebody reads from it, so that writing would not wait.
        let _reader = OpenOptions::new()
            .read(true)
            .custom_flags(flags(OFlags::NONBLOCK))
            .open(&fifo)
            .unwrap();
        let error = to_append(&fifo).unwrap_err().to_string();
        assert!(error.contains("a named pipe"), "{error}");
        let error = to_append(Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(error.contains("a device"), "{error}");
    }

    #[test]
    fn links_are_read_but_never_written() {
        let dir = TempDir::new().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::write(&real, "text").unwrap();
        fs::set_permissions(&real, Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let mut text = String::new();
        to_read(&link).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
        assert!(
            to_append(&link)
                .unwrap_err()
                .to_string()
                .contains("a symbolic link")
        );
        assert_eq!(fs::metadata(&real).unwrap().mode() & 0o777, 0o644);
        let missing = dir.path().join("missing");
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &missing).unwrap();
        to_append(&missing).unwrap_err();
        assert!(!dir.path().join("elsewhere").exists());
    }

    #[test]
    fn what_is_appended_to_becomes_private() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("file");
        to_append(&path).unwrap().write_all(b"one\n").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        to_append(&path).unwrap().write_all(b"two\n").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn a_descriptor_of_ours_may_be_a_pipe() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"hello").unwrap();
        drop(writer);
        for folder in ["/dev/fd", "/proc/self/fd"] {
            let path = Path::new(folder).join(reader.as_raw_fd().to_string());
            assert!(is_descriptor(&path));
            assert!(to_read(&path).is_err());
            assert!(to_read_or_pipe(&path).is_ok());
        }
        let path = format!("/dev/fd/{}", reader.as_raw_fd());
        let mut text = String::new();
        let mut file = to_read_or_pipe(Path::new(&path)).unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        for path in [
            "/dev/fd/",
            "/dev/fd/../zero",
            "/dev/fd/1x",
            "/dev/zero",
            "fd/1",
        ] {
            assert!(!is_descriptor(Path::new(path)), "{path}");
        }
    }
}
