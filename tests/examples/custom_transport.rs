//! A session over the standard input and output of a command, such as `ssh HOST nc localhost 143`.
//!
//!     IMAPADM_PASSWORD=… cargo run --example custom_transport -- SERVER USER CA-FILE COMMAND [ARGUMENT…]

use std::error::Error;
use std::io::{self, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use imapadm::auth::{Credentials, SecretKind, SecretSource};
use imapadm::net::{Roots, TlsOptions, Transport};
use imapadm::{Options, Session};

struct Pipes {
    child: Child,
    to: Option<ChildStdin>,
    from: ChildStdout,
}

impl Pipes {
    fn to(command: &str, args: &[String]) -> io::Result<Pipes> {
        let mut child = Command::new(command)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (to, from) = (child.stdin.take(), child.stdout.take());
        let from = from.ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Pipes { child, to, from })
    }
}

impl Read for Pipes {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.from.read(buf)
    }
}

impl Write for Pipes {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.to
            .as_mut()
            .ok_or(io::ErrorKind::BrokenPipe)?
            .write(buf)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// The defaults are right for what can only block. A time limit then takes effect when something comes.
impl Transport for Pipes {
    fn close(&mut self) -> io::Result<()> {
        self.to = None;
        self.child.kill()?;
        self.child.wait().map(drop)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [server, user, ca, command, rest @ ..] = &args[..] else {
        return Err("usage: custom_transport SERVER USER CA-FILE COMMAND [ARGUMENT...]".into());
    };
    // The server's certificate still has to be for SERVER, wherever the pipes lead.
    let options = Options::parse(server)?.tls(TlsOptions::new().roots(Roots::file(ca)));
    let pipes = Pipes::to(command, rest)?;
    let mut imap = Session::over(Box::new(pipes), command, options)?;
    let password = SecretSource::Environment.fetch(SecretKind::Password, "")?;
    imap.login(&Credentials::password(user, password), &[])?;
    for mailbox in imap.list("%", "")? {
        println!("{}", mailbox.name);
    }
    imap.logout();
    Ok(())
}
