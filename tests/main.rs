//! The tests against running servers: one program, so that it is linked once and starts each server once.

mod connecting;
mod fixtures;
mod ground;
mod hostile;
mod interactive;
mod library;
mod login;
mod metadata;
mod names;
mod operations;
mod refusals;
mod scripts;
mod support;
