//! The tests against running servers: one program, so that it is linked once and starts each server once.

mod ground;
mod support;
