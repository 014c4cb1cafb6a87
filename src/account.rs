//! The one accounting: what became of each thing that was asked for, and the counts of many of them.
//!
//! Everything that does more than one thing counts with [`Account`]: the library's engine for many mailboxes, a command with several
//! identifiers, a script. Not here: why something failed (`error`), nor how the counts are printed as rows or JSON (`report`).

use std::fmt;
use std::ops::AddAssign;

/// What became of one thing that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The server did it.
    Done,
    /// Nothing had to be done: it already was as asked.
    Unchanged,
    /// It was not done, and nothing changed: the server refused, or it could not be asked.
    Failed,
    /// It was sent and never answered, so it may have been done.
    Unknown,
    /// It was never sent.
    NotSent,
}

/// How many things ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// How many the server did.
    pub done: u64,
    /// How many were already as asked.
    pub unchanged: u64,
    /// How many were not done.
    pub failed: u64,
    /// How many were sent and never answered.
    pub unknown: u64,
    /// How many were never sent.
    pub not_sent: u64,
}

impl Account {
    /// Counts one.
    pub fn count(&mut self, outcome: Outcome) {
        self.add(outcome, 1);
    }

    /// Counts several that ended alike.
    pub fn add(&mut self, outcome: Outcome, count: u64) {
        *match outcome {
            Outcome::Done => &mut self.done,
            Outcome::Unchanged => &mut self.unchanged,
            Outcome::Failed => &mut self.failed,
            Outcome::Unknown => &mut self.unknown,
            Outcome::NotSent => &mut self.not_sent,
        } += count;
    }

    /// How many there are in all.
    pub fn all(&self) -> u64 {
        self.entries().iter().map(|(_, count)| count).sum()
    }

    /// Whether each of them is as it was asked for.
    pub fn is_well(&self) -> bool {
        self.failed + self.unknown + self.not_sent == 0
    }

    /// Every outcome with its count, named as JSON names them.
    pub fn entries(&self) -> [(&'static str, u64); 5] {
        [
            ("done", self.done),
            ("unchanged", self.unchanged),
            ("failed", self.failed),
            ("unknown", self.unknown),
            ("not_sent", self.not_sent),
        ]
    }
}

impl AddAssign for Account {
    fn add_assign(&mut self, other: Self) {
        self.done += other.done;
        self.unchanged += other.unchanged;
        self.failed += other.failed;
        self.unknown += other.unknown;
        self.not_sent += other.not_sent;
    }
}

/// `12 done, 3 failed, 40 not sent`: the counts that are not zero, in words.
impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} done", self.done)?;
        for (name, count) in [
            ("unchanged", self.unchanged),
            ("failed", self.failed),
            ("unknown", self.unknown),
            ("not sent", self.not_sent),
        ] {
            if count > 0 {
                write!(f, ", {count} {name}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_its_own_count() {
        let mut account = Account::default();
        assert!(account.is_well());
        assert_eq!(account.to_string(), "0 done");
        account.add(Outcome::Done, 12);
        account.count(Outcome::Unchanged);
        assert!(account.is_well());
        account.add(Outcome::Failed, 3);
        account.add(Outcome::NotSent, 40);
        account.count(Outcome::Unknown);
        assert!(!account.is_well());
        assert_eq!(
            account.to_string(),
            "12 done, 1 unchanged, 3 failed, 1 unknown, 40 not sent"
        );
        assert_eq!(account.all(), 57);
        let mut sum = account;
        sum += account;
        assert_eq!((sum.all(), sum.not_sent), (114, 80));
    }
}
