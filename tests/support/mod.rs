//! The ground that the tests stand on: servers, a terminal, and a second opinion on what a server holds.

// A helper is written once for all the tests to come; one that no test uses today is no mistake.
#![allow(dead_code)]

pub mod certs;
pub mod faulty;
pub mod place;
pub mod pty;
pub mod raw;
pub mod run;
pub mod servers;
