//! The time limit on a whole run (`--max-time`), for scripts that nobody watches.
//!
//! When it is over, the run ends as after Ctrl-C: nothing more is sent, what was sent is accounted for, and once more gives up on that.
//! Not here: the limits on single waits, which are the session's.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use imapadm::net::Interrupt;

use crate::report::complain;
use crate::shell::status;

/// How long the account of what was sent may take; then it is given up on, and after as long again the program ends whatever it does.
const ACCOUNT: Duration = Duration::from_secs(3);

/// How often it is looked whether the run waits for input.
const SLICE: Duration = Duration::from_millis(50);

/// Ends the run after `limit`; `idle` says that it waits for input. The flag that comes back says that the time is over.
///
/// # Errors
/// This machine has no thread left.
pub fn start(
    limit: Duration,
    idle: &Arc<AtomicBool>,
    interrupt: &Interrupt,
) -> std::io::Result<Arc<AtomicBool>> {
    let over = Arc::new(AtomicBool::new(false));
    let (told, idle, interrupt) = (Arc::clone(&over), Arc::clone(idle), interrupt.clone());
    thread::Builder::new()
        .name("max-time".into())
        .spawn(move || {
            thread::sleep(limit);
            told.store(true, Ordering::SeqCst);
            complain(&format!(
                "the time limit of --max-time ({} s) has passed",
                limit.as_secs_f64()
            ));
            for _ in 0..2 {
                interrupt.raise();
                let raised = Instant::now();
                while raised.elapsed() < ACCOUNT {
                    if idle.load(Ordering::SeqCst) {
                        // Everything that was sent is accounted for.
                        process::exit(status::LOST.into());
                    }
                    thread::sleep(SLICE);
                }
            }
            complain(
                "the run cannot end in an orderly way; it is unknown whether the last commands sent were done",
            );
            process::exit(status::LOST.into());
        })?;
    Ok(over)
}
