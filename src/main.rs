//! `imapadm`: from the command line to the exit status. Everything else is in the modules below and in the library.

mod cli;
mod config;
mod files;
mod limit;
mod report;
mod shell;

use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use imapadm::Error;
use imapadm::net::Interrupt;

use cli::Cli;
use config::{Config, FormatName, Stack};
use report::{Column, Format, Output, Place, Value, complain, stdout_is_closed};
use shell::advice;
use shell::leftover::Leftover;
use shell::runner::{Policy, Runner};
use shell::script::Script;
use shell::{Settings, Shell, status};

fn main() -> ExitCode {
    let idle = Arc::new(AtomicBool::new(false));
    let mut over = None;
    let ended = match Cli::read().and_then(|cli| run(&cli, &idle, &mut over)) {
        Ok(ended) => ended,
        Err(error) => {
            complain(&advice::message(&error));
            status::of(&error)
        }
    };
    let late = over.is_some_and(|over| over.load(Ordering::SeqCst));
    ExitCode::from(if late && ended == status::INTERRUPTED {
        // Nobody interrupted it: it lost the server for want of time.
        status::LOST
    } else {
        ended
    })
}

fn run(cli: &Cli, idle: &Arc<AtomicBool>, over: &mut Option<Arc<AtomicBool>>) -> Result<u8, Error> {
    let interrupt = catch_signals(idle)
        .map_err(|error| Error::Usage(format!("cannot catch Ctrl-C: {error}")))?;
    let config = Config::load()?;
    let server = match cli.server()? {
        Some((word, port)) => Some(config.server(word, port)?),
        None => None,
    };
    let named = server.is_some();
    let stack = config::at_start(cli.profile(), server, &config);
    if cli.show_config() {
        show(&stack, &output(cli, &stack))?;
        return Ok(status::OK);
    }
    if cli.shows_password() {
        complain(
            "warning: everyone on this machine can see the password given with -w in the process list; use --password-file or \
             --password-command, and change the password if others use this machine",
        );
    }
    if let Some(limit) = stack.max_time().filter(|_| !cli.sources().is_empty()) {
        *over = Some(
            limit::start(limit, idle, &interrupt)
                .map_err(|error| Error::Usage(format!("cannot start a thread: {error}")))?,
        );
    }
    // A script may come from a pipe, which may take its time: Ctrl-C then ends the program, as nothing is done yet.
    idle.store(true, Ordering::SeqCst);
    let from_line = cli.first_line()?;
    let mut scripts = cli
        .sources()
        .into_iter()
        .map(Script::open)
        .collect::<Result<Vec<_>, _>>()?;
    idle.store(false, Ordering::SeqCst);
    if let (Some(line), [script]) = (from_line, &mut scripts[..]) {
        script.start_at(line);
    }
    // What can't be right is refused before anything is done.
    if tell_mistakes(&mut scripts, cli.yes()) {
        return Ok(status::USAGE);
    }
    let failed = cli.failed().filter(|_| !scripts.is_empty());
    let mut leftover = failed
        .map(|path| Leftover::open(path, &cli.sources()))
        .transpose()?;
    let settings = Settings {
        command_line: cli.profile(),
        started: named.then(|| stack.clone()),
        config,
        trace: cli.trace().map(Path::to_owned),
        interrupt,
        interactive: scripts.is_empty(),
        yes: cli.yes(),
        pipeline: cli.pipeline(),
    };
    if !scripts.is_empty() && stdout_is_closed() {
        complain(
            "warning: stdout is closed, so the results are lost; to discard them, use >/dev/null",
        );
    }
    let output = output(cli, &stack);
    let mut shell = Shell::new(settings);
    if named {
        shell.connect(stack, true)?;
    }
    if scripts.is_empty() {
        return Ok(shell::editor::interact(shell, &output));
    }
    if let Some(leftover) = &mut leftover {
        leftover.begin()?;
    }
    // A listing that nobody reads is not read to its end.
    let interrupt = shell.settings.interrupt.clone();
    output.when_broken(move || interrupt.raise());
    let policy = Policy {
        keep_going: cli.keep_going(),
        strict: cli.strict(),
        idle: Arc::clone(idle),
        leftover,
    };
    let status = Runner::new(&mut shell, &output, policy).run(scripts);
    shell.disconnect();
    Ok(status)
}

/// Mistakes that are told at once; whoever made more of them has the wrong file.
const MOST_TOLD: usize = 50;

/// Tells all mistakes in the scripts that are at hand, and whether there are any.
fn tell_mistakes(scripts: &mut [Script], yes: bool) -> bool {
    let mut count = 0;
    for script in scripts {
        script.check(yes, |place, error| {
            count += 1;
            if count <= MOST_TOLD {
                complain(&format!("{place}: {}", advice::message(error)));
            }
        });
    }
    if count > MOST_TOLD {
        complain(&format!("and {} more mistakes", count - MOST_TOLD));
    }
    if count > 0 {
        complain("nothing was sent; correct the script, then run it again");
    }
    count > 0
}

/// Where results go.
fn output(cli: &Cli, stack: &Stack) -> Output {
    let format = match stack.format() {
        FormatName::Text => Format::Text,
        FormatName::Json => Format::Json,
    };
    let out: Box<dyn Write> = Box::new(BufWriter::with_capacity(64 * 1024, io::stdout()));
    Output::new(format, out, io::stdout().is_terminal(), cli.colour())
}

/// The columns of `--show-config`.
const SETTINGS: &[Column] = &[
    Column::new("setting", ""),
    Column::new("value", ""),
    Column::new("from", "where the setting comes from"),
];

/// Shows what a connection would be made with.
fn show(stack: &Stack, output: &Output) -> Result<(), Error> {
    let settings = stack.show()?;
    let mut report = output.report("show-config", SETTINGS, false, &Place::default());
    for setting in settings {
        let value = setting.value.map_or(Value::Absent("-"), Value::str);
        report.row(&[
            ("setting", Value::str(setting.name)),
            ("value", value),
            ("from", Value::str(setting.origin)),
        ]);
    }
    report.end(None);
    output
        .flush()
        .map_err(|error| Error::Usage(format!("cannot write the settings: {error}")))
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
