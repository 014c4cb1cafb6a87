//! The session's own secret, kept out of what a server says: one that repeats the client's line must not get it into a trace, an error or
//! a terminal.
//!
//! Lives here: the forms in which the secret can come back, and masking them. Not here: which responses are looked at (`link`, `mod`).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use zeroize::Zeroizing;

use super::state::sample;

/// What stands in place of a secret.
pub(super) const MASK: &[u8] = b"<secret>";

/// A shorter secret occurs in many words; it is masked only where it stands alone.
const SHORTEST: usize = 4;

/// Bytes of a response whose secrets could reach into its beginning, besides the secret itself.
const ENOUGH: usize = 16 * 1024;

/// The forms of all secrets that this session has sent. They are wiped when dropped.
#[derive(Default)]
pub(super) struct Secrets {
    /// As it is, escaped, and in hex; in any case of letters.
    plain: Vec<Zeroizing<Vec<u8>>>,
    /// Parts of base64; what stands around one is of the same base64.
    coded: Vec<Zeroizing<Vec<u8>>>,
}

impl Secrets {
    /// A password or a token: from now on it is masked.
    pub(super) fn add(&mut self, secret: &str) {
        let bytes = secret.as_bytes();
        if bytes.is_empty() {
            return;
        }
        let escaped = secret.replace('\\', "\\\\").replace('"', "\\\"");
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        for form in [secret.to_owned(), escaped, hex] {
            add(&mut self.plain, form.into_bytes());
        }
        add(&mut self.coded, BASE64.encode(bytes).into_bytes());
        // In the middle of other data, its base64 depends on where it begins; the letters that it shares with its neighbours differ.
        for (before, shared) in [(0, 0), (1, 2), (2, 3)] {
            let mut padded = Zeroizing::new(vec![0; before]);
            padded.extend_from_slice(bytes);
            let encoded = Zeroizing::new(BASE64.encode(&*padded).into_bytes());
            let whole = padded.len() * 8 / 6;
            if let Some(inner) = encoded.get(shared..whole)
                && inner.len() >= SHORTEST
            {
                add(&mut self.coded, inner.to_vec());
            }
        }
    }

    /// A line of a SASL exchange, in base64: from now on it is masked.
    pub(super) fn add_line(&mut self, line: &str) {
        if line.len() >= SHORTEST {
            let line = line.trim_end_matches('=');
            add(&mut self.coded, line.as_bytes().to_vec());
        }
    }

    /// The text with every form masked.
    pub(super) fn mask<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let mut found: Vec<(usize, usize)> = Vec::new();
        for form in &self.plain {
            let alone = form.len() < SHORTEST;
            for start in places(text, form, true) {
                let end = start + form.len();
                let is_part = |at: Option<usize>| {
                    at.and_then(|at| text.get(at))
                        .is_some_and(u8::is_ascii_alphanumeric)
                };
                if !(alone && (is_part(start.checked_sub(1)) || is_part(Some(end)))) {
                    found.push((start, end));
                }
            }
        }
        let is_base64 = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
        for form in &self.coded {
            for start in places(text, form, false) {
                let before = text[..start].iter().rev().take_while(is_base64).count();
                let end = start + form.len();
                let behind = text[end..].iter().take_while(is_base64).count();
                found.push((start - before, end + behind));
            }
        }
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        found.sort_unstable();
        let mut masked = Vec::with_capacity(text.len());
        let mut at = 0;
        for (start, end) in found {
            if start >= at {
                masked.extend_from_slice(&text[at..start]);
                masked.extend_from_slice(MASK);
            }
            at = at.max(end);
        }
        masked.extend_from_slice(&text[at..]);
        Cow::Owned(masked)
    }

    /// The beginning of a response, for messages. Of a long one, what is far behind the beginning is not searched.
    pub(super) fn sample(&self, response: &[u8]) -> String {
        let forms = self.plain.iter().chain(&self.coded);
        let longest = forms.map(|form| form.len()).max().unwrap_or_default();
        let end = response.len().min(ENOUGH + longest);
        sample(&self.mask(&response[..end]))
    }
}

fn add(forms: &mut Vec<Zeroizing<Vec<u8>>>, form: Vec<u8>) {
    let form = Zeroizing::new(form);
    if !form.is_empty() && !forms.contains(&form) {
        forms.push(form);
    }
}

/// Where `form`, which is not empty, stands in the text. What is searched is short, so that a look for the first byte finds it fastest.
fn places<'t>(text: &'t [u8], form: &'t [u8], any_case: bool) -> impl Iterator<Item = usize> + 't {
    let first = form.first().copied().unwrap_or_default();
    let (lower, upper) = match any_case {
        true => (first.to_ascii_lowercase(), first.to_ascii_uppercase()),
        false => (first, first),
    };
    memchr::memchr2_iter(lower, upper, text).filter(move |at| {
        let there = text.get(*at..*at + form.len());
        there.is_some_and(|there| match any_case {
            true => there.eq_ignore_ascii_case(form),
            false => there == form,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masked(secret: &str, text: &[u8]) -> String {
        let mut secrets = Secrets::default();
        secrets.add(secret);
        String::from_utf8_lossy(&secrets.mask(text)).into_owned()
    }

    #[test]
    fn every_form_is_masked() {
        for (text, shown) in [
            ("a1 NO LOGIN joe s3cret!", "a1 NO LOGIN joe <secret>"),
            ("LOGIN JOE S3CRET!", "LOGIN JOE <secret>"),
            ("xs3cret!x s3cret!", "x<secret>x <secret>"),
            ("7333637265742120 7333637265742", "<secret>20 7333637265742"),
            // The whole of what was said to PLAIN: "\0joe\0s3cret!".
            ("PLAIN AGpvZQBzM2NyZXQh", "PLAIN <secret>"),
            // "user s3cret! and more"
            ("(dXNlciBzM2NyZXQhIGFuZCBtb3Jl)", "(<secret>)"),
            ("nothing of it", "nothing of it"),
        ] {
            assert_eq!(masked("s3cret!", text.as_bytes()), shown, "{text}");
        }
        assert_eq!(
            masked("a\"b\\c", b"LOGIN joe \"a\\\"b\\\\c\""),
            "LOGIN joe \"<secret>\""
        );
        assert_eq!(
            masked("no", b"a1 NO nothing: no"),
            "a1 <secret> nothing: <secret>"
        );
        assert_eq!(masked("", b"a1 NO"), "a1 NO");
    }

    proptest! {
        #[test]
        fn a_secret_never_comes_back(secret in "[!-~]{6,20}", before in "[ -~]{0,9}", behind in "[ -~]{0,9}") {
            let text = format!("{before}{secret}{behind}");
            let lower = |text: &str| text.to_ascii_lowercase();
            prop_assume!(!lower("<secret>").contains(&lower(&secret)));
            let shown = masked(&secret, text.as_bytes());
            prop_assert!(!shown.replace("<secret>", " ").contains(&secret));
            let coded = BASE64.encode(&text);
            prop_assert_eq!(masked(&secret, coded.as_bytes()), "<secret>");
        }
    }
}
