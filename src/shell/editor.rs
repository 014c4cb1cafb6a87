//! The line editor: reads lines from a terminal, with history and completion, and runs them.
//!
//! Lives here: all that speaks to rustyline. Not here: what completes (`complete`) and what runs (`script`).

use std::cell::RefCell;
use std::rc::Rc;

use rustyline::completion::Completer;
use rustyline::config::{Behavior, CompletionType};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Config, Context, Editor, Helper};

use super::complete::{Candidate, complete};
use super::runner::run_typed;
use super::{Shell, status, words};
use crate::files;
use crate::report::{Output, complain};

/// Lines that the history keeps.
const HISTORY: usize = 10_000;

/// What rustyline asks for completions.
struct Completions(Rc<RefCell<Shell>>);

impl Completer for Completions {
    type Candidate = Candidate;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Candidate>)> {
        let before = line.get(..pos).unwrap_or(line);
        Ok(complete(&mut self.0.borrow_mut(), before))
    }
}

impl rustyline::completion::Candidate for Candidate {
    fn display(&self) -> &str {
        &self.shown
    }

    fn replacement(&self) -> &str {
        &self.inserted
    }
}

impl Hinter for Completions {
    type Hint = String;
}
impl Highlighter for Completions {}
impl Validator for Completions {
    /// Enter inside quotes, or behind a backslash, begins another line of the same command.
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if words::goes_on(context.input()) {
            ValidationResult::Incomplete
        } else {
            ValidationResult::Valid(None)
        })
    }
}
impl Helper for Completions {}

/// Runs the interactive shell until the user leaves; returns the exit status.
pub fn interact(shell: Shell, output: &Output) -> u8 {
    let shell = Rc::new(RefCell::new(shell));
    let status = match dialogue(&shell, output) {
        Ok(status) => status,
        Err(error) => {
            complain(&format!(
                "cannot use the terminal: {error}; run a script instead: imapadm SERVER -f FILE"
            ));
            status::FAILED
        }
    };
    shell.borrow_mut().disconnect();
    status
}

fn dialogue(shell: &Rc<RefCell<Shell>>, output: &Output) -> rustyline::Result<u8> {
    let config = Config::builder()
        .max_history_size(HISTORY)?
        .history_ignore_space(true)
        .auto_add_history(false)
        .completion_type(CompletionType::List)
        // With stdout redirected, the prompt and its escapes would go into the file.
        .behavior(Behavior::PreferTerm)
        .build();
    let mut editor: Editor<Completions, FileHistory> = Editor::with_config(config)?;
    editor.set_helper(Some(Completions(Rc::clone(shell))));
    let history = files::history();
    // Without its history the shell is still a shell.
    match &history {
        Ok(path) => {
            if let Err(error) = editor.load_history(path) {
                complain(&format!(
                    "cannot read the history {}: {error}; repair or remove it",
                    path.display()
                ));
            }
        }
        Err(error) => complain(&format!(
            "the history is not saved in this session: {error}"
        )),
    }
    loop {
        let prompt = shell.borrow().prompt();
        shell.borrow().settings.interrupt.clear();
        let typed = match editor.readline(&prompt) {
            Ok(typed) => typed,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => return Ok(status::OK),
            Err(error) => return Err(error),
        };
        // A paste arrives as one string with its line ends.
        for (line, commands) in words::statements(&typed) {
            if line.trim().is_empty() {
                continue;
            }
            if !shell.borrow().may_hold_secret(line)
                && editor.add_history_entry(line)?
                && let Ok(path) = &history
            {
                // A full disk must not keep anybody from working.
                let _ = editor.append_history(path);
            }
            let mut shell = shell.borrow_mut();
            let go_on = run_typed(&mut shell, output, commands);
            // Down before the next key: completion asks the server too.
            shell.settings.interrupt.clear();
            if let Some(named) = shell.quit {
                return Ok(named.unwrap_or(status::OK));
            }
            if !go_on {
                break;
            }
        }
    }
}
