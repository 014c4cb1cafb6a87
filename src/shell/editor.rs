//! The line editor: reads lines from a terminal, with history and completion, and runs them.
//!
//! Lives here: all that speaks to rustyline. Not here: what completes (`complete`) and what runs (`script`).

use std::cell::RefCell;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::rc::Rc;

use rustyline::completion::Completer;
use rustyline::config::{Behavior, CompletionType};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Context, Editor, Helper};

use super::Shell;
use super::complete::{Cache, complete};
use super::script::{run_typed, status};
use super::words::may_hold_secret;
use crate::report::Report;

/// Lines that the history keeps.
const HISTORY: usize = 10_000;

/// What rustyline asks for completions.
struct Completions {
    shell: Rc<RefCell<Shell>>,
    cache: RefCell<Cache>,
}

impl Completer for Completions {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let before = line.get(..pos).unwrap_or(line);
        Ok(complete(
            &mut self.shell.borrow_mut(),
            &mut self.cache.borrow_mut(),
            before,
        ))
    }
}

impl Hinter for Completions {
    type Hint = String;
}
impl Highlighter for Completions {}
impl Validator for Completions {}
impl Helper for Completions {}

/// Runs the interactive shell until the user leaves; returns the exit status.
pub fn interact(shell: Shell, report: &mut Report) -> u8 {
    let shell = Rc::new(RefCell::new(shell));
    let status = match dialogue(&shell, report) {
        Ok(status) => status,
        Err(error) => {
            shell.borrow().say(&format!(
                "the terminal can't be used: {error}; run a script instead: imapadm SERVER -f FILE"
            ));
            status::FAILED
        }
    };
    shell.borrow_mut().disconnect();
    status
}

fn dialogue(shell: &Rc<RefCell<Shell>>, report: &mut Report) -> rustyline::Result<u8> {
    let config = Config::builder()
        .max_history_size(HISTORY)?
        .history_ignore_space(true)
        .auto_add_history(false)
        .completion_type(CompletionType::List)
        // With stdout redirected, the prompt and its escapes would go into the file.
        .behavior(Behavior::PreferTerm)
        .build();
    let mut editor: Editor<Completions, FileHistory> = Editor::with_config(config)?;
    editor.set_helper(Some(Completions {
        shell: Rc::clone(shell),
        cache: RefCell::default(),
    }));
    let history = history_file();
    match &history {
        Ok(path) => editor.load_history(path)?,
        Err(error) => shell
            .borrow()
            .say(&format!("there is no history this time: {error}")),
    }
    loop {
        let prompt = shell.borrow().prompt();
        let typed = match editor.readline(&prompt) {
            Ok(typed) => typed,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => return Ok(status::OK),
            Err(error) => return Err(error),
        };
        // A paste arrives as one string with its line ends.
        for line in typed.lines() {
            if line.trim().is_empty() {
                continue;
            }
            if !may_hold_secret(line)
                && editor.add_history_entry(line)?
                && let Ok(path) = &history
            {
                // A full disk must not keep anybody from working.
                let _ = editor.append_history(path);
            }
            let mut shell = shell.borrow_mut();
            shell.settings.interrupt.clear();
            run_typed(&mut shell, report, line);
            if let Some(status) = shell.quit {
                return Ok(status);
            }
        }
    }
}

/// The history's file, made so that its owner alone can read it.
fn history_file() -> io::Result<PathBuf> {
    let state = dirs::state_dir()
        .or_else(dirs::data_local_dir)
        .ok_or_else(|| io::Error::other("no home folder"))?;
    let folder = state.join("imapadm");
    fs::create_dir_all(&folder)?;
    let path = folder.join("history");
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)?;
    // One that is older, or came from a backup, may be open to all.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    Ok(path)
}
