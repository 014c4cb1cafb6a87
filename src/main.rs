//! `imapadm`: from the command line to the exit status. Everything else is in the modules below and in the library.

mod cli;
// Nobody asks whether to accept a certificate yet.
#[cfg_attr(not(test), expect(dead_code))]
mod known;
mod report;
mod shell;

use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use imapadm::Error;
use imapadm::net::Interrupt;

use cli::Cli;
use report::{Report, complain};
use shell::Shell;
use shell::script::{Policy, Runner, Script, exit_status, status};

fn main() -> ExitCode {
    let cli = Cli::read();
    let idle = Arc::new(AtomicBool::new(false));
    let status = match run(&cli, &idle) {
        Ok(status) => status,
        Err(error) => {
            complain(&error.to_string());
            exit_status(&error)
        }
    };
    ExitCode::from(status)
}

fn run(cli: &Cli, idle: &Arc<AtomicBool>) -> Result<u8, Error> {
    let interrupt = catch_signals(idle)
        .map_err(|error| Error::Usage(format!("cannot catch Ctrl-C: {error}")))?;
    let target = cli.target()?;
    let mut shell = Shell::new(cli.settings(interrupt)?);
    let scripts = cli
        .sources()
        .into_iter()
        .map(Script::open)
        .collect::<Result<Vec<_>, _>>()?;
    if !cli.keep_going() {
        // What can't be right is refused before anything is done.
        if let Some((place, error)) = scripts.iter().find_map(|script| script.check().err()) {
            complain(&format!("{place}: {error}"));
            return Ok(status::USAGE);
        }
    }
    if let Some(target) = target {
        shell.connect(target)?;
    }
    let terminal = io::stdout().is_terminal();
    let out: Box<dyn Write> = Box::new(BufWriter::with_capacity(64 * 1024, io::stdout()));
    let mut report = Report::new(cli.format(), out, terminal, cli.colour());
    if scripts.is_empty() {
        return Ok(shell::editor::interact(shell, &mut report));
    }
    let policy = Policy {
        keep_going: cli.keep_going(),
        idle: Arc::clone(idle),
    };
    let status = Runner::new(&mut shell, &mut report, policy).run(scripts);
    shell.disconnect();
    Ok(status)
}

/// Ctrl-C and SIGTERM end a wait for the server; while a script waits for its input, they end the program. At the shell's prompt,
/// as at any shell's, Ctrl-C only drops the line, and SIGTERM does nothing.
fn catch_signals(idle: &Arc<AtomicBool>) -> io::Result<Interrupt> {
    let raised = Arc::new(AtomicBool::new(false));
    // A terminal or an ssh session that goes away must not take with it the account of what was done.
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register_conditional_shutdown(signal, status::INTERRUPTED.into(), Arc::clone(idle))?;
        flag::register(signal, Arc::clone(&raised))?;
    }
    Ok(Interrupt::from(raised))
}
