//! A question to whoever sits at the terminal, before something that can't be undone.
//!
//! Not here: the password, which is asked for by `imapadm::auth`.

use imapadm::{Error, Outcome};
use rustyline::config::Behavior;
use rustyline::error::ReadlineError;

use crate::report::complain;
use crate::report::escape::escape;

/// Asks a question on the terminal, which may hold names from a server; only `yes` is yes.
///
/// # Errors
/// [`Error::Interrupted`] after Ctrl-C.
pub fn ask(question: &str) -> Result<bool, Error> {
    let config = rustyline::Config::builder()
        .behavior(Behavior::PreferTerm)
        .build();
    let Ok(mut editor) = rustyline::DefaultEditor::with_config(config) else {
        return Ok(false);
    };
    let question = escape(question);
    loop {
        match editor.readline(&*question) {
            Ok(answer) => match answer.trim().to_lowercase().as_str() {
                "yes" => return Ok(true),
                "no" | "n" => return Ok(false),
                _ => complain("please answer yes or no, written out"),
            },
            Err(ReadlineError::Interrupted) => {
                return Err(Error::Interrupted {
                    verb: "the question",
                    outcome: Outcome::Failed,
                });
            }
            Err(_) => return Ok(false),
        }
    }
}
