//! `--failed`: the commands of a run that are still to be done, kept as a script.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use imapadm::{Error, open};

use super::script::Source;
use crate::report::Place;
use crate::report::escape::escape;

/// The commands of a run that are still to be done, as a script: what failed, what was not sent, and, as a comment, what may have been done.
pub struct Leftover {
    path: String,
    out: io::BufWriter<File>,
    broken: Option<io::Error>,
}

impl Leftover {
    /// Opens the file, which becomes the user's alone; what stands in it goes when the run begins.
    ///
    /// # Errors
    /// [`Error::Usage`] where it can't be written, and where it is a link, somebody else's, or one of the scripts.
    pub fn open(path: &Path, scripts: &[Source]) -> Result<Self, Error> {
        let shown = path.display();
        let cannot = |error: io::Error| {
            Error::Usage(format!(
                "cannot write the remaining commands to {shown}: {error}; use another file with --failed"
            ))
        };
        let file = open::to_append(path).map_err(cannot)?;
        let own = file.metadata().map_err(cannot)?;
        for script in scripts {
            if let Source::File(script) = script
                && std::fs::metadata(script)
                    .is_ok_and(|script| (script.dev(), script.ino()) == (own.dev(), own.ino()))
            {
                return Err(Error::Usage(format!(
                    "{shown} is the script itself; use another file with --failed"
                )));
            }
        }
        Ok(Self {
            path: shown.to_string(),
            out: io::BufWriter::new(file),
            broken: None,
        })
    }

    /// Begins the run: what an earlier one left goes.
    ///
    /// # Errors
    /// [`Error::Usage`] where that can't be done.
    pub fn begin(&mut self) -> Result<(), Error> {
        self.out.get_mut().set_len(0).map_err(|error| {
            Error::Usage(format!(
                "cannot empty {}: {error}; use another file with --failed",
                self.path
            ))
        })
    }

    /// One command, with its place and why it is here; one to look at first becomes a comment.
    pub fn write(&mut self, place: &Place, typed: &str, why: &str, look_first: bool) {
        if typed.is_empty() || self.broken.is_some() {
            return;
        }
        let sign = if look_first { "# " } else { "" };
        let command = typed.replace('\n', &format!("\n{sign}"));
        let why = escape(why);
        self.broken = writeln!(self.out, "# {place}: {why}\n{sign}{command}")
            // What a kill leaves behind has to be whole.
            .and_then(|()| self.out.flush())
            .err();
    }

    /// Its path, once all is written.
    pub fn close(self) -> Result<String, Error> {
        match self.broken {
            None => Ok(self.path),
            Some(error) => Err(Error::Usage(format!(
                "cannot write to {}: {error}",
                self.path
            ))),
        }
    }
}
