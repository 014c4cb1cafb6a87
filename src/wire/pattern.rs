//! LIST patterns (RFC 3501 section 6.3.8): which names a listing is of.
//!
//! A server may announce other sessions' mailboxes inside any command (RFC 9051 section 6.3.9), so a LIST response counts only where its
//! name fits the pattern that was sent. Not here: how a pattern is sent, and how a LIST response is read.

use std::borrow::Cow;

use super::utf7;

/// A pattern below a reference, ready to be held against many names.
///
/// What the server lists rightly always fits: INBOX in any case, names by their meaning as well as by their bytes, and behind a reference
/// that only the server can interpret (`~bob`) anything that ends as the pattern does.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// Everything fits: `*`, with which a million names are mostly listed.
    all: bool,
    by_bytes: Vec<Glob>,
    /// For INBOX and what is below it.
    inbox: Vec<Glob>,
    /// For names in modified UTF-7 or UTF-8, decoded. Only where the pattern has such letters.
    by_meaning: Vec<Glob>,
}

impl Pattern {
    /// `pattern` below `reference`, both as they are sent; the reference may be empty.
    pub(crate) fn new(reference: &[u8], pattern: &[u8]) -> Self {
        let patterns = combined(reference, pattern);
        Self {
            // Without a pattern LIST asks for the separator alone, and answers with a name of the server's choice.
            all: pattern.is_empty() || patterns.iter().any(|pattern| pattern == b"*"),
            by_bytes: patterns.iter().map(|pattern| Glob::new(pattern)).collect(),
            inbox: patterns
                .iter()
                .map(|pattern| Glob::new(&capital_inbox(pattern)))
                .collect(),
            by_meaning: patterns
                .iter()
                .filter_map(|pattern| Some(Glob::new(&meaning(pattern)?)))
                .collect(),
        }
    }

    /// Whether a name, as the server sent it with its separator, is one that the pattern asks for.
    #[inline]
    pub(crate) fn fits(&self, name: &[u8], separator: Option<u8>) -> bool {
        self.all || self.any_fits(name, separator)
    }

    fn any_fits(&self, name: &[u8], separator: Option<u8>) -> bool {
        let fit = |globs: &[Glob], name: &[u8]| globs.iter().any(|glob| glob.fits(name, separator));
        if fit(&self.by_bytes, name) {
            return true;
        }
        if let Some((head, tail)) = name.split_at_checked(INBOX.len())
            && head.eq_ignore_ascii_case(INBOX)
            && tail.first().is_none_or(u8::is_ascii_punctuation)
            && fit(&self.inbox, &[INBOX, tail].concat())
        {
            return true;
        }
        // Some servers put the separator behind a name that others are below.
        if let Some((last, before)) = name.split_last()
            && Some(*last) == separator
            && fit(&self.by_bytes, before)
        {
            return true;
        }
        !self.by_meaning.is_empty()
            && fit(
                &self.by_meaning,
                &meaning(name).unwrap_or(Cow::Borrowed(name)),
            )
    }
}

const INBOX: &[u8] = b"INBOX";

/// What a server may make of a reference and a pattern (RFC 3501 section 6.3.8): mostly one behind the other.
fn combined(reference: &[u8], pattern: &[u8]) -> Vec<Vec<u8>> {
    let mut patterns = vec![[reference, pattern].concat()];
    let (Some(last), Some(first)) = (reference.last(), pattern.first()) else {
        return patterns;
    };
    if last == first && last.is_ascii_punctuation() {
        // One of two separators is taken away.
        patterns.push([reference, &pattern[1..]].concat());
    }
    for separator in [b'.', b'/', b'\\'] {
        // Or one is put in between.
        patterns.push([reference, &[separator], pattern].concat());
    }
    let begins_elsewhere = |byte: &u8| matches!(byte, b'/' | b'.' | b'\\' | b'~' | b'#');
    if begins_elsewhere(first) {
        // The pattern alone, as an absolute path.
        patterns.push(pattern.to_vec());
    }
    if reference.first().is_some_and(begins_elsewhere) || begins_elsewhere(first) {
        // A home directory, a news hierarchy: only the server knows where that is.
        patterns.push([b"*", pattern].concat());
    }
    patterns
}

/// The pattern with INBOX, or the part of it in front of a wildcard, in capitals: that is how names are held against it.
fn capital_inbox(pattern: &[u8]) -> Cow<'_, [u8]> {
    let same = pattern
        .iter()
        .zip(INBOX)
        .take_while(|(a, b)| a.eq_ignore_ascii_case(b))
        .count();
    let (head, tail) = pattern.split_at(same);
    let ends = match tail.first() {
        None => same == INBOX.len(),
        Some(b'*' | b'%') => true,
        Some(byte) => same == INBOX.len() && byte.is_ascii_punctuation(),
    };
    if ends {
        Cow::Owned([&head.to_ascii_uppercase(), tail].concat())
    } else {
        Cow::Borrowed(pattern)
    }
}

/// A name or pattern in UTF-8, where that is not what it is in bytes.
fn meaning(name: &[u8]) -> Option<Cow<'_, [u8]>> {
    if name.is_ascii() && !name.contains(&b'&') {
        return None;
    }
    match utf7::decode(name) {
        Some(text) => Some(Cow::Owned(text.into_owned().into_bytes())),
        // It may be in UTF-8 already (RFC 6855).
        None => Some(Cow::Borrowed(name)),
    }
}

/// One pattern, taken apart.
#[derive(Debug)]
struct Glob {
    /// What stands in front of the first wildcard, or all of it.
    head: Vec<u8>,
    /// What stands behind the last.
    tail: Vec<u8>,
    middle: Middle,
}

#[derive(Debug)]
enum Middle {
    /// There is no wildcard.
    Nothing,
    /// `*`
    Anything,
    /// `%`
    OneLevel,
    /// Several wildcards and what is between them.
    Several(States),
}

impl Glob {
    fn new(pattern: &[u8]) -> Self {
        let is_wild = |byte: &u8| matches!(byte, b'*' | b'%');
        let (head, rest) = match pattern.iter().position(is_wild) {
            Some(at) => pattern.split_at(at),
            None => (pattern, &b""[..]),
        };
        let (middle, tail) = match rest.iter().rposition(is_wild) {
            Some(at) => rest.split_at(at + 1),
            None => (rest, &b""[..]),
        };
        Self {
            head: head.to_vec(),
            tail: tail.to_vec(),
            middle: match middle {
                b"" => Middle::Nothing,
                _ if middle.iter().all(is_wild) && middle.contains(&b'*') => Middle::Anything,
                _ if middle.iter().all(is_wild) => Middle::OneLevel,
                _ => Middle::Several(States::new(middle)),
            },
        }
    }

    fn fits(&self, name: &[u8], separator: Option<u8>) -> bool {
        let rest = name.strip_prefix(&*self.head);
        let Some(rest) = rest.and_then(|rest| rest.strip_suffix(&*self.tail)) else {
            return false;
        };
        match &self.middle {
            Middle::Nothing => rest.is_empty(),
            Middle::Anything => true,
            Middle::OneLevel => separator.is_none_or(|separator| !rest.contains(&separator)),
            Middle::Several(states) => states.fit(rest, separator),
        }
    }
}

/// A pattern as the set of places in it that have been reached, one bit each: a name is read once, whatever it holds, so that no server can
/// make a pattern slow.
#[derive(Debug)]
struct States {
    /// 64-bit words in a set.
    words: usize,
    /// For each byte the places where it is what the pattern has next.
    bytes: Vec<u64>,
    /// The places where `*` or `%` comes next.
    wild: Vec<u64>,
    /// The places where `%` comes next.
    level: Vec<u64>,
    /// The end of the pattern.
    end: usize,
}

impl States {
    fn new(pattern: &[u8]) -> Self {
        let mut tokens: Vec<u8> = Vec::with_capacity(pattern.len());
        for &byte in pattern {
            match (tokens.last_mut(), byte) {
                // Side by side `*` has it all.
                (Some(last @ (b'*' | b'%')), b'*') => *last = b'*',
                (Some(b'*' | b'%'), b'%') => {}
                _ => tokens.push(byte),
            }
        }
        let words = tokens.len() / 64 + 1;
        let mut states = Self {
            words,
            bytes: vec![0; 256 * words],
            wild: vec![0; words],
            level: vec![0; words],
            end: tokens.len(),
        };
        for (at, token) in tokens.iter().enumerate() {
            let (word, bit) = (at / 64, 1 << (at % 64));
            match token {
                b'*' | b'%' => states.wild[word] |= bit,
                byte => states.bytes[usize::from(*byte) * words + word] |= bit,
            }
            if *token == b'%' {
                states.level[word] |= bit;
            }
        }
        states
    }

    fn fit(&self, name: &[u8], separator: Option<u8>) -> bool {
        let mut reached = vec![0u64; self.words];
        reached[0] = 1;
        self.pass_wildcards(&mut reached);
        for &byte in name {
            let here = &self.bytes[usize::from(byte) * self.words..][..self.words];
            let stops = separator == Some(byte);
            let mut carry = 0;
            for (word, set) in reached.iter_mut().enumerate() {
                let on = *set & here[word];
                let held = if stops { self.level[word] } else { 0 };
                let stay = *set & self.wild[word] & !held;
                *set = stay | (on << 1) | carry;
                carry = on >> 63;
            }
            self.pass_wildcards(&mut reached);
        }
        reached[self.end / 64] & (1 << (self.end % 64)) != 0
    }

    /// A wildcard may also stand for nothing. No two are side by side.
    fn pass_wildcards(&self, reached: &mut [u64]) {
        let mut carry = 0;
        for (set, wild) in reached.iter_mut().zip(&self.wild) {
            let on = *set & wild;
            *set |= (on << 1) | carry;
            carry = on >> 63;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fits(pattern: &str, name: &str) -> bool {
        Pattern::new(b"", pattern.as_bytes()).fits(name.as_bytes(), Some(b'/'))
    }

    #[test]
    fn wildcards() {
        for (pattern, yes, no) in [
            ("*", &["", "a", "a/b"][..], &[][..]),
            ("%", &["", "a", "a/"], &["a/b", "/a"]),
            ("a*", &["a", "ab", "a/b"], &["ba", "", "A"]),
            ("a%", &["a", "ab"], &["a/b", "b"]),
            ("*a", &["a", "b/a", "aa"], &["ab"]),
            ("%/%", &["a/b", "/"], &["a", "a/b/c"]),
            ("a%/%b*c", &["a/bc", "ax/yb/zc"], &["a/x/bc", "ab"]),
            ("%*%", &["a/b"], &[]),
            ("%a%", &["a", "bab"], &["b/a", "a/b"]),
            ("a", &["a", "a/"], &["", "aa", "A", "a/b"]),
            ("aa*aa", &["aaaa", "aabaa"], &["aaa", "aa"]),
        ] {
            for name in yes {
                assert!(fits(pattern, name), "{pattern} {name}");
            }
            for name in no {
                assert!(!fits(pattern, name), "{pattern} {name}");
            }
        }
        // Without a separator `%` is as good as `*`.
        assert!(Pattern::new(b"", b"a%").fits(b"a/b", None));
        assert!(Pattern::new(b"", b"a%").fits(b"a/b", Some(b'.')));
    }

    #[test]
    fn inbox_in_any_case_and_nothing_else() {
        for (pattern, yes, no) in [
            ("inbox", &["INBOX", "inbox", "Inbox"][..], &["INBOXES"][..]),
            ("INB*", &["inbox", "inbox/a"], &["inboxes", "inb"]),
            ("in%", &["INBOX", "inside"], &["INSIDE", "INBOX/a"]),
            ("inbox/a", &["INBOX/a", "inbox/a"], &["INBOX/A"]),
            ("inboxes*", &["inboxes"], &["INBOXes"]),
        ] {
            for name in yes {
                assert!(fits(pattern, name), "{pattern} {name}");
            }
            for name in no {
                assert!(!fits(pattern, name), "{pattern} {name}");
            }
        }
    }

    #[test]
    fn names_fit_by_what_they_mean() {
        assert!(fits("Zo&AOs-*", "Zo&AOsA6w-"));
        assert!(fits("Zo&AOs-*", "Zoëx"));
        assert!(fits("Zoë*", "Zo&AOs-x"));
        assert!(fits("R&-D*", "R&-D/x"));
        assert!(!fits("Zo&AOs-*", "Zo&AOk-"));
        assert!(!fits("R&-D*", "RD"));
    }

    #[test]
    fn references_are_the_servers_to_interpret() {
        for (reference, pattern, yes, no) in [
            ("a/", "*", &["a/", "a/b", "a/b/c"][..], &["b", "ab"][..]),
            ("a/", "%", &["a/b"], &["a/b/c", "b"]),
            ("a", "%", &["a", "ab", "a/b"], &["b", "a/b/c"]),
            ("a/", "/b", &["a/b", "/b"], &["a/c"]),
            ("~bob/", "%", &["~bob/x", "home/bob/x"], &[]),
            ("~bob/", "x*", &["~bob/x", "/home/bob/xy"], &["~bob/y"]),
            (
                "#news.",
                "comp.*",
                &["#news.comp.x", "comp.x"],
                &["#news.alt"],
            ),
            ("", "", &["", "a", "/"], &[]),
            ("a", "", &["", "a/"], &[]),
        ] {
            let both = Pattern::new(reference.as_bytes(), pattern.as_bytes());
            for name in yes {
                let fits = both.fits(name.as_bytes(), Some(b'/'));
                assert!(fits, "{reference} {pattern} {name}");
            }
            for name in no {
                let fits = both.fits(name.as_bytes(), Some(b'/'));
                assert!(!fits, "{reference} {pattern} {name}");
            }
        }
    }

    /// The definition, word by word.
    fn naive(pattern: &[u8], name: &[u8], separator: Option<u8>) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((wild @ (b'*' | b'%'), rest)) => (0..=name.len())
                .take_while(|at| *wild == b'*' || *at == 0 || separator != Some(name[*at - 1]))
                .any(|at| naive(rest, &name[at..], separator)),
            Some((byte, rest)) => name
                .split_first()
                .is_some_and(|(first, name)| first == byte && naive(rest, name, separator)),
        }
    }

    proptest! {
        #[test]
        fn as_the_naive_matcher(
            pattern in "[ab/%*]{0,9}",
            name in "[ab/]{0,12}",
            separator in prop::option::of(Just(b'/')),
        ) {
            let expected = naive(pattern.as_bytes(), name.as_bytes(), separator);
            let glob = Glob::new(pattern.as_bytes());
            prop_assert_eq!(glob.fits(name.as_bytes(), separator), expected);
        }

        #[test]
        fn long_patterns_too(
            parts in prop::collection::vec("[ab/]{1,9}", 20..50),
            wild in "[*%]",
            cut in 0usize..400,
        ) {
            // Longer than one word of the set of places.
            let pattern = format!("%{}%", parts.join(&wild));
            let name = parts.concat();
            let glob = Glob::new(pattern.as_bytes());
            prop_assert!(glob.fits(name.as_bytes(), None));
            let cut = cut.min(name.len() - 1);
            prop_assert!(!glob.fits(&name.as_bytes()[..cut], None));
        }

        #[test]
        fn what_fits_by_its_bytes_fits(pattern in "[ab&AOs/%*-]{1,9}", name in "[ab&AOs/-]{0,12}") {
            let expected = naive(pattern.as_bytes(), name.as_bytes(), Some(b'/'));
            prop_assert!(!expected || fits(&pattern, &name));
        }

        #[test]
        fn nothing_panics(
            reference in prop::collection::vec(any::<u8>(), 0..9),
            pattern in prop::collection::vec(any::<u8>(), 0..200),
            name in prop::collection::vec(any::<u8>(), 0..99),
            separator in any::<Option<u8>>(),
        ) {
            let _ = Pattern::new(&reference, &pattern).fits(&name, separator);
        }
    }

    #[test]
    fn no_name_makes_a_pattern_slow() {
        // A matcher that goes back and tries again would not end here.
        let pattern = Pattern::new(b"", b"*a%a*a%a*a%a*a%a*b%x");
        let name = [b"a".repeat(100_000), b"/b/y".to_vec()].concat();
        assert!(!pattern.fits(&name, Some(b'/')));
    }
}
