//! What the errors here are worded with: the system's own words, and a time limit.

use std::io;
use std::time::Duration;

/// The system's words for an error, without the number that Rust adds.
pub(crate) fn words(error: &io::Error) -> String {
    let mut text = error.to_string();
    if error.raw_os_error().is_some()
        && let Some(end) = text.rfind(" (os error")
    {
        text.truncate(end);
    }
    text
}

/// A time limit in words.
pub(super) fn seconds(limit: &Duration) -> String {
    let seconds = limit.as_secs_f64();
    if limit.subsec_nanos() == 0 {
        match limit.as_secs() {
            1 => "1 second".to_owned(),
            seconds => format!("{seconds} seconds"),
        }
    } else {
        format!("{seconds:.1} seconds")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_no_numbers() {
        assert_eq!(
            words(&io::Error::from_raw_os_error(111)),
            "Connection refused"
        );
        assert_eq!(words(&io::Error::other("x (os error")), "x (os error");
    }

    #[test]
    fn limits_in_words() {
        assert_eq!(seconds(&Duration::from_secs(1)), "1 second");
        assert_eq!(seconds(&Duration::from_secs(60)), "60 seconds");
        assert_eq!(seconds(&Duration::from_millis(1500)), "1.5 seconds");
    }
}
