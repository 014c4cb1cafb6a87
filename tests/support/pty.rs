//! Runs a program in a terminal of the tests' own, and looks at its screen as a user does.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};

use super::run::Imapadm;

/// What a test waits for at most, whatever it asks for.
const LIMIT: Duration = Duration::from_secs(60);

/// A terminal with a program in it. Dropping it kills the program.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keyboard: Arc<Mutex<Box<dyn Write + Send>>>,
    display: Arc<Mutex<Display>>,
    /// Puts on the screen what the program sends, until the terminal is closed.
    shown: JoinHandle<()>,
    status: Option<ExitStatus>,
}

struct Display {
    parser: vt100::Parser,
    /// Every byte that the program sent: what scrolled away, and the escape sequences.
    bytes: Vec<u8>,
}

impl Terminal {
    /// The program of this package, with the arguments and the environment of `run`, 24 by 80.
    pub fn spawn(run: &Imapadm) -> Terminal {
        Terminal::start(
            Path::new(env!("CARGO_BIN_EXE_imapadm")),
            &run.arguments(),
            &run.environment(),
            (24, 80),
        )
    }

    /// Any program, with the whole environment given, on a screen of so many rows and columns.
    pub fn start(
        program: &Path,
        args: &[impl AsRef<OsStr>],
        env: &[(OsString, OsString)],
        (rows, cols): (u16, u16),
    ) -> Terminal {
        let pair = native_pty_system()
            .openpty(size(rows, cols))
            .expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(program);
        command.args(args);
        command.env_clear();
        command.env("TERM", "xterm-256color");
        for (name, value) in env {
            command.env(name, value);
        }
        // The scratch home, so that a program that writes into its folder leaves nothing in the checkout.
        if let Some((_, home)) = env.iter().find(|(name, _)| name == "HOME") {
            command.cwd(home);
        }
        let child = pair
            .slave
            .spawn_command(command)
            .expect("the program starts");
        // Ours would keep the terminal open after the program's end.
        drop(pair.slave);
        let reader = pair.master.try_clone_reader().expect("the screen's end");
        let keyboard = Arc::new(Mutex::new(
            pair.master.take_writer().expect("the keyboard's end"),
        ));
        let display = Arc::new(Mutex::new(Display {
            parser: vt100::Parser::new(some(rows), some(cols), 1000),
            bytes: Vec::new(),
        }));
        let (seen, answers) = (Arc::clone(&display), Arc::clone(&keyboard));
        // Ends with the program, whose end closes the terminal.
        let shown = thread::spawn(move || show(reader, &seen, &answers));
        Terminal {
            child,
            master: pair.master,
            keyboard,
            display,
            shown,
            status: None,
        }
    }

    /// Types: `\r` is Enter, `\t` Tab, `\x03` Ctrl-C, `\x04` Ctrl-D, `\x1b[A` the arrow up.
    pub fn type_(&self, keys: &str) {
        let mut keyboard = self.keyboard.lock().expect("the keyboard");
        keyboard
            .write_all(keys.as_bytes())
            .expect("the terminal is open");
        keyboard.flush().expect("the terminal is open");
    }

    /// What the screen shows, without the blanks at line ends.
    pub fn screen(&self) -> String {
        self.display
            .lock()
            .expect("the screen")
            .parser
            .screen()
            .contents()
    }

    /// Whether the terminal shows what is typed.
    pub fn echoes(&self) -> bool {
        let settings = self.master.get_termios().expect("a terminal's settings");
        // The flags by their names, as their type is another package's.
        format!("{:?}", settings.local_flags)
            .split(|c: char| !c.is_ascii_alphabetic())
            .any(|flag| flag == "ECHO")
    }

    /// Where the cursor stands: row and column, from 0.
    pub fn cursor(&self) -> (u16, u16) {
        let display = self.display.lock().expect("the screen");
        display.parser.screen().cursor_position()
    }

    /// All bytes that the program sent so far.
    pub fn sent(&self) -> Vec<u8> {
        self.display.lock().expect("the screen").bytes.clone()
    }

    /// Waits until the screen shows `text`, and fails with the screen when it does not in time.
    #[track_caller]
    pub fn wait_for(&self, text: &str, within: Duration) {
        self.wait_until(&format!("{text:?}"), within, |screen| screen.contains(text));
    }

    /// Waits until the screen is as it should be.
    #[track_caller]
    pub fn wait_until(&self, what: &str, within: Duration, is_so: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + within.min(LIMIT);
        loop {
            let screen = self.screen();
            if is_so(&screen) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "no {what} within {within:?} on this screen:\n{screen}\n--- the end of the screen"
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for the program's end, and until the screen shows all that it sent. Panics, with the screen, when it does not end in time.
    #[track_caller]
    pub fn exit_status(&mut self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within.min(LIMIT);
        loop {
            // The program may have ended before its last words were read from the terminal.
            if let Some(status) = self.ended()
                && self.shown.is_finished()
            {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "it does not end within {within:?}; its screen:\n{}\n--- the end of the screen",
                self.screen()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("a child to wait for");
        }
        self.status.clone()
    }

    /// The user makes the window larger or smaller.
    pub fn resize(&self, rows: u16, cols: u16) {
        self.master
            .resize(size(rows, cols))
            .expect("a terminal that can be resized");
        let mut display = self.display.lock().expect("the screen");
        display.parser.screen_mut().set_size(some(rows), some(cols));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            // It may end by itself just now; a drop must not panic.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Puts on the screen what the program sends, and answers where the cursor is, as a terminal does.
fn show(
    mut reader: Box<dyn Read + Send>,
    display: &Mutex<Display>,
    keyboard: &Mutex<Box<dyn Write + Send>>,
) {
    let mut buffer = [0; 4096];
    // Reading a terminal whose program ended is an error on Linux, not an end of file.
    while let Ok(count @ 1..) = reader.read(&mut buffer) {
        let sent = &buffer[..count];
        let mut display = display.lock().expect("the screen");
        display.parser.process(sent);
        display.bytes.extend_from_slice(sent);
        if sent.windows(4).any(|bytes| bytes == b"\x1b[6n") {
            let (row, column) = display.parser.screen().cursor_position();
            let report = format!("\x1b[{};{}R", row + 1, column + 1);
            // The program may be gone.
            let _ = keyboard
                .lock()
                .expect("the keyboard")
                .write_all(report.as_bytes());
        }
    }
}

fn some(count: u16) -> NonZero<u16> {
    NonZero::new(count).expect("a screen of some size")
}

fn size(rows: u16, cols: u16) -> PtySize {
    PtySize {
        rows,
        cols,
        pixel_width: 0,
        pixel_height: 0,
    }
}
