//! What became of the commands of a run, in numbers and lines.

use std::fmt;

use imapadm::{Account, Outcome};

use crate::report::Place;

/// What became of each command, and where those stand that were not done.
#[derive(Debug, Default)]
pub struct Summary {
    account: Account,
    failed: Lines,
    unknown: Lines,
    not_sent: Lines,
}

impl Summary {
    /// One command more.
    pub fn count(&mut self, outcome: Outcome, place: &Place) {
        self.account.count(outcome);
        match outcome {
            Outcome::Failed => self.failed.push(place),
            Outcome::Unknown => self.unknown.push(place),
            Outcome::NotSent => self.not_sent.push(place),
            Outcome::Done | Outcome::Unchanged => {}
        }
    }

    /// One command more that was left out, as were all since the one before it.
    pub fn leave(&mut self, place: &Place) {
        self.account.count(Outcome::NotSent);
        self.not_sent.push_all_up_to(place);
    }

    /// The numbers.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The first command that was not sent.
    pub fn first_not_sent(&self) -> Option<&Place> {
        self.not_sent.first()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Account {
            done,
            unchanged,
            failed,
            unknown,
            not_sent,
            ..
        } = self.account;
        write!(f, "{done} done")?;
        if unchanged > 0 {
            write!(f, ", {unchanged} unchanged")?;
        }
        for (count, what, lines) in [
            (failed, "failed", &self.failed),
            (unknown, "unknown whether done", &self.unknown),
            (not_sent, "not sent", &self.not_sent),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}: {lines}")?;
            }
        }
        Ok(())
    }
}

/// Lines of scripts for a summary, many in a row as one: `line 3`, `lines 1, 2, 5-90`.
#[derive(Debug, Default)]
struct Lines {
    /// The first and the last line of each row of them.
    runs: Vec<(Place, u64)>,
    /// How many rows there are beyond those that are named.
    more: u64,
}

impl Lines {
    fn push(&mut self, place: &Place) {
        self.add(place, 1);
    }

    /// The same, and all lines since the one before: nothing in between is any different.
    fn push_all_up_to(&mut self, place: &Place) {
        self.add(place, u64::MAX);
    }

    fn add(&mut self, place: &Place, gap: u64) {
        let full = self.runs.len() >= MOST_NAMED;
        match self.runs.last_mut() {
            Some((first, last))
                if first.file == place.file && place.line >= *last && place.line - *last <= gap =>
            {
                *last = place.line;
            }
            _ if full => self.more += 1,
            _ => self.runs.push((place.clone(), place.line)),
        }
    }

    fn first(&self) -> Option<&Place> {
        self.runs.first().map(|(first, _)| first)
    }
}

impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        for (first, last) in &self.runs {
            let count = last - first.line + 1;
            if count >= LONG_RUN {
                parts.push(format!("{}-{last}", first.short()));
            } else {
                parts.extend((first.line..=*last).map(|line| {
                    let place = Place {
                        line,
                        ..first.clone()
                    };
                    place.short()
                }));
            }
        }
        let one = matches!(&self.runs[..], [(first, last)] if first.line == *last);
        parts.truncate(MOST_NAMED);
        if self.more > 0 {
            parts.push("and more".to_owned());
        }
        write!(
            f,
            "{} {}",
            if one { "line" } else { "lines" },
            parts.join(", ")
        )
    }
}

/// Lines in a row that the summary names as one.
const LONG_RUN: u64 = 10;
/// Failed lines, or runs of them, that the summary names one by one.
const MOST_NAMED: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_names_lines_one_by_one_and_long_runs_as_one() {
        let lines = |numbers: &[u64]| {
            let mut lines = Lines::default();
            for &line in numbers {
                lines.push(&Place { file: None, line });
            }
            lines.to_string()
        };
        assert_eq!(lines(&[12, 87, 90]), "lines 12, 87, 90");
        assert_eq!(lines(&[3]), "line 3");
        assert_eq!(lines(&[3, 3, 4]), "lines 3, 4");
        let run: Vec<u64> = [1, 2, 3].into_iter().chain(495..=1224).collect();
        assert_eq!(lines(&run), "lines 1, 2, 3, 495-1224");
        let odd: Vec<u64> = (0..1000).map(|line| 2 * line + 1).collect();
        assert!(lines(&odd).ends_with(", 199, and more"), "{}", lines(&odd));
    }

    #[test]
    fn what_is_left_of_a_script_is_one_row_of_lines() {
        let mut lines = Lines::default();
        for line in [43, 50, 58] {
            lines.push_all_up_to(&Place { file: None, line });
        }
        assert_eq!(lines.to_string(), "lines 43-58");
    }
}
