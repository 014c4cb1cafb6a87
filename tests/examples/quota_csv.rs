//! All quotas of a server as CSV, for a spreadsheet.
//!
//!     IMAPADM_PASSWORD=… cargo run --example quota_csv -- SERVER USER [CA-FILE] > quotas.csv

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{self, Write};
use std::ops::ControlFlow;

use imapadm::admin::quota::GetQuotaRoot;
use imapadm::auth::{Credentials, SecretKind, SecretSource};
use imapadm::net::{Roots, TlsOptions};
use imapadm::session::Connector;
use imapadm::{MailboxName, Options};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [server, user, rest @ ..] = &args[..] else {
        return Err("usage: quota_csv SERVER USER [CA-FILE]".into());
    };
    let mut options = Options::parse(server)?;
    if let [ca] = rest {
        options = options.tls(TlsOptions::new().roots(Roots::file(ca)));
    }
    let password = SecretSource::Environment.fetch(SecretKind::Password, "")?;
    let mut imap = Connector::new(options, Credentials::password(user, password)).connect()?;

    let mailboxes = imap.list("*", "")?;
    let requests = mailboxes
        .into_iter()
        .map(|mailbox| (mailbox.name.clone(), GetQuotaRoot::new(mailbox.name)));
    let mut out = io::stdout().lock();
    writeln!(out, "root,resource,usage,limit,percent")?;
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut written = Ok(());
    // All questions go out before the first answer is waited for.
    imap.run_each(requests, |mailbox: MailboxName, reply| {
        let quotas = match reply {
            Ok(quotas) => quotas,
            Err(error) => {
                eprintln!("{mailbox}: {error}");
                return ControlFlow::Continue(());
            }
        };
        for quota in quotas {
            let root = quota.root.to_string();
            if !seen.insert(root.clone()) {
                continue;
            }
            for resource in quota.resources {
                let percent = resource.usage.saturating_mul(100) / resource.limit.max(1);
                written = writeln!(
                    out,
                    "\"{}\",{},{},{},{percent}",
                    root.replace('"', "\"\""),
                    resource.name,
                    resource.usage,
                    resource.limit
                );
                if written.is_err() {
                    // Whoever reads the table is gone.
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    })?;
    imap.logout();
    Ok(written?)
}
