//! How far a long command is: a bar on stderr, for people at a terminal, once it takes longer than they would wait unasked.
//!
//! Not here: what is being done.

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use super::complain;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// What takes less than this shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// The progress of one command.
pub struct Progress {
    bar: ProgressBar,
    start: Instant,
    /// Whether it may be shown, and is not yet.
    waits: bool,
    done: u64,
}

impl Progress {
    /// Of so many steps, none of which is done.
    pub fn new(steps: usize) -> Self {
        let bar = ProgressBar::with_draw_target(
            Some(u64::try_from(steps).unwrap_or(u64::MAX)),
            ProgressDrawTarget::hidden(),
        );
        // A template that does not parse would be a fault of this line; the bar then looks as indicatif has it.
        if let Ok(style) =
            ProgressStyle::with_template("{msg}{bar:30} {pos} of {len}, {rate}/s, {eta} left")
        {
            bar.set_style(style.with_key(
                "rate",
                |state: &ProgressState, out: &mut dyn fmt::Write| {
                    // Nothing is to be done about a bar that can't be drawn.
                    let _ = write!(out, "{:.0}", state.per_sec());
                },
            ));
        }
        Self {
            bar,
            start: Instant::now(),
            waits: io::stderr().is_terminal(),
            done: 0,
        }
    }

    /// The same, saying what is done.
    pub fn of(what: &'static str, steps: usize) -> Self {
        let progress = Self::new(steps);
        progress.bar.set_message(format!("{what} "));
        progress
    }

    /// One more step is done.
    pub fn step(&mut self) {
        self.done += 1;
        if self.waits && self.start.elapsed() > PATIENCE {
            self.waits = false;
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_position(self.done);
    }

    /// Tells something beside the bar.
    pub fn aside(&self) -> impl Fn(&str) + 'static {
        let bar = self.bar.clone();
        move |text| bar.suspend(|| complain(text))
    }

    /// Nothing more comes: the bar goes away.
    pub fn end(self) {
        self.bar.finish_and_clear();
    }
}
