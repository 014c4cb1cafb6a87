//! What a connection is made with, and who says so: the command line, the environment, the configuration file with its named
//! servers, and the defaults.
//!
//! `table` declares each option once; `profile` is what one speaker says, and who that is; `stack` puts the speakers in order and makes the plan;
//! `file` reads the configuration. Not here: connecting (`shell`), and the options that are about scripts (`cli`).

mod file;
mod profile;
mod stack;
pub mod table;

pub use file::Config;
pub use profile::{FormatName, Origin, Profile, security_word};
pub use stack::{Plan, Recipient, Stack, at_start, inside, local_user};
