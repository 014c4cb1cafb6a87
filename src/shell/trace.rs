//! The trace: what is said to the server and by it, line by line with the time, for a file or for stderr.
//!
//! Secrets are masked before they get here (`imapadm::session`). Not here: anything that reads a trace.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use imapadm::Error;
use imapadm::open;
use imapadm::session::{Direction, Trace};

use crate::report::escape::escape;

/// Opens a trace that appends to a file which its owner alone can read, or with `-` goes to stderr.
///
/// # Errors
/// [`Error::Usage`] for a file that can't be written.
pub fn open(path: &Path) -> Result<Trace, Error> {
    let mut out: Box<dyn Write + Send> = if path.as_os_str() == "-" {
        Box::new(io::stderr())
    } else {
        // Mailbox names and other people's rights are nobody else's business.
        let file = match path.to_str() {
            Some("/dev/null") => OpenOptions::new().append(true).open(path),
            _ if open::is_descriptor(path) => OpenOptions::new().append(true).open(path),
            _ => open::to_append(path),
        };
        Box::new(file.map_err(|error| {
            Error::Usage(format!(
                "cannot write the trace {}: {error}; use another file",
                path.display()
            ))
        })?)
    };
    let start = Instant::now();
    Ok(Trace::new(move |direction, bytes| {
        let who = match direction {
            Direction::Sent => 'C',
            Direction::Received => 'S',
        };
        let text = String::from_utf8_lossy(bytes);
        // A full disk must not end the work that is being traced.
        let _ = writeln!(
            out,
            "{:>9.3} {who}: {}",
            start.elapsed().as_secs_f64(),
            escape(&text)
        );
    }))
}
