//! The tests against running servers: one program, so that it is linked once and starts each server once.

mod asking;
mod bulk;
mod certificates;
mod compression;
mod config;
mod connecting;
mod facts;
mod fixtures;
mod flow;
mod ground;
mod hostile;
mod identity;
mod interactive;
mod library;
mod login;
mod metadata;
mod names;
mod operations;
mod raw_output;
mod refusals;
mod sasl;
mod scripts;
mod secrets;
mod support;
mod tampering;
mod trust;
