//! What a connection is made with, and who says so: the command line, the environment, the configuration file with its named
//! servers, and the defaults.
//!
//! `table` declares each option once; `profile` is what one speaker says; `stack` puts the speakers in order and makes the plan;
//! `file` reads the configuration. Not here: connecting (`shell`), and the options that are about scripts (`cli`).

mod file;
mod profile;
mod stack;
pub mod table;

pub use file::Config;
pub use profile::{FormatName, Profile, security_word};
pub use stack::{Origin, Plan, Recipient, Stack, at_start, inside, local_user};
