//! A question to whoever sits at the terminal, before something that can't be undone.
//!
//! Not here: the password, which is asked for by `imapadm::auth`.

use rustyline::config::Behavior;

use crate::report::complain;
use crate::report::escape::escape;

/// Asks a question on the terminal, which may hold names from a server; only `yes` is yes.
pub fn ask(question: &str) -> bool {
    let config = rustyline::Config::builder()
        .behavior(Behavior::PreferTerm)
        .build();
    let Ok(mut editor) = rustyline::DefaultEditor::with_config(config) else {
        return false;
    };
    let question = escape(question);
    loop {
        match editor.readline(&*question) {
            Ok(answer) => match answer.trim().to_lowercase().as_str() {
                "yes" => return true,
                "no" | "n" => return false,
                _ => complain("please answer yes or no, written out"),
            },
            Err(_) => return false,
        }
    }
}
