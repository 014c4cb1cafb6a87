//! Many mailboxes in little memory: all names in one piece, and what they have in common once.
//!
//! For programs that look at a server's mailboxes more than once. A `Vec` of [`Mailbox`](super::mailbox::Mailbox) spends an allocation on each
//! name and several on its attributes; [`Mailboxes`] spends six bytes on a mailbox besides its name. Not here: asking for them (`mailbox`).

use std::borrow::Cow;

use super::listed::Listed;

/// A listing, kept.
#[derive(Debug, Clone, Default)]
pub struct Mailboxes {
    names: Vec<u8>,
    /// Where each name ends.
    ends: Vec<u32>,
    /// Which of `kinds` each is.
    kind_of: Vec<u16>,
    /// Separator and attributes: a server has a handful of combinations.
    kinds: Vec<(Option<u8>, Box<[u8]>)>,
    /// Bytes that `kinds` takes.
    kinds_taken: usize,
}

/// The memory that a listing may take, in bytes; ten million mailboxes fit. A server that lists without end must not fill the system's.
pub(super) const MOST_BYTES: usize = 256 * 1024 * 1024;
/// What a mailbox takes besides its name, in bytes; and a kind besides its attributes.
pub(super) const EACH: usize = size_of::<u32>() + size_of::<u16>();
const EACH_KIND: usize = size_of::<(Option<u8>, Box<[u8]>)>();

impl Mailboxes {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one; `false` when there is no more room: beyond 256 MiB, beyond 65,536 combinations of separator and attributes, or where the
    /// system gives no more memory.
    #[must_use]
    pub fn push(&mut self, listed: &Listed<'_>) -> bool {
        let is_of = |(separator, attributes): &(Option<u8>, Box<[u8]>)| {
            *separator == listed.separator && **attributes == *listed.attribute_words()
        };
        // Neighbours are mostly of one kind.
        let last = self.kind_of.last().map_or(0, |kind| usize::from(*kind));
        let kind = match self.kinds.get(last) {
            Some(kind) if is_of(kind) => Some(last),
            _ => self.kinds.iter().position(is_of),
        };
        let kind = u16::try_from(kind.unwrap_or(self.kinds.len()));
        let end = u32::try_from(self.names.len() + listed.mailbox.len());
        let (Ok(kind), Ok(end)) = (kind, end) else {
            return false;
        };
        let is_new = usize::from(kind) == self.kinds.len();
        let more = if is_new {
            listed.attribute_words().len() + EACH_KIND
        } else {
            0
        };
        let taken = self.names.len() + self.len() * EACH + self.kinds_taken;
        if taken + listed.mailbox.len() + EACH + more > MOST_BYTES
            || self.names.try_reserve(listed.mailbox.len()).is_err()
            || self.ends.try_reserve(1).is_err()
            || self.kind_of.try_reserve(1).is_err()
        {
            return false;
        }
        if is_new {
            self.kinds
                .push((listed.separator, listed.attribute_words().into()));
            self.kinds_taken += more;
        }
        self.names.extend_from_slice(&listed.mailbox);
        self.ends.push(end);
        self.kind_of.push(kind);
        true
    }

    /// Their places by name, without a second copy of any. Of a name that came more than once, the last counts: what a server says later is
    /// newer.
    pub(super) fn by_name(&self) -> Vec<u32> {
        let name = |place: u32| usize::try_from(place).map_or(&[][..], |place| self.name(place));
        let mut order: Vec<u32> = (0..).take(self.len()).collect();
        order.sort_unstable_by(|a, b| name(*a).cmp(name(*b)).then(b.cmp(a)));
        order.dedup_by(|later, kept| name(*later) == name(*kept));
        order
    }

    /// The name at `index`; nothing beyond the last.
    fn name(&self, index: usize) -> &[u8] {
        let place = |end: &u32| usize::try_from(*end).ok();
        let start = match index.checked_sub(1) {
            Some(before) => self.ends.get(before).and_then(place),
            None => Some(0),
        };
        let end = self.ends.get(index).and_then(place);
        start
            .zip(end)
            .and_then(|(start, end)| self.names.get(start..end))
            .unwrap_or_default()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The one at `index`, in the order in which they came.
    pub fn get(&self, index: usize) -> Option<Listed<'_>> {
        let (separator, attributes) = self.kinds.get(usize::from(*self.kind_of.get(index)?))?;
        let name = self.name(index);
        Some(Listed::new(Cow::Borrowed(name), *separator, attributes))
    }

    /// All of them, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = Listed<'_>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let listed = |name: &'static str, separator, attributes: &'static str| {
            Listed::new(
                Cow::Borrowed(name.as_bytes()),
                separator,
                attributes.as_bytes(),
            )
        };
        let all = [
            listed("INBOX", Some(b'.'), "\\HasChildren"),
            listed("INBOX.a", Some(b'.'), ""),
            listed("", None, ""),
            listed("INBOX.b", Some(b'.'), "\\HasChildren"),
        ];
        let mut mailboxes = Mailboxes::new();
        assert!(mailboxes.is_empty() && mailboxes.get(0).is_none());
        assert!(all.iter().all(|one| mailboxes.push(one)));
        assert_eq!((mailboxes.len(), mailboxes.kinds.len()), (4, 3));
        for (kept, one) in mailboxes.iter().zip(&all) {
            assert_eq!(kept.mailbox, one.mailbox);
            assert_eq!(kept.separator, one.separator);
            assert_eq!(kept.attribute_words(), one.attribute_words());
        }
        assert_eq!(mailboxes.iter().count(), 4);
        assert!(mailboxes.get(4).is_none());
    }

    fn plain(name: &[u8]) -> Listed<'_> {
        Listed::new(Cow::Borrowed(name), Some(b'.'), b"")
    }

    #[test]
    fn by_name_each_stands_once_as_it_came_last() {
        let mut mailboxes = Mailboxes::new();
        for name in ["m2", "m1", "m3", "m1", "m10", "", "m2"] {
            assert!(mailboxes.push(&plain(name.as_bytes())));
        }
        assert_eq!(mailboxes.by_name(), [5, 3, 4, 6, 2]);
        assert_eq!(Mailboxes::new().by_name(), [0u32; 0]);
    }

    #[test]
    fn a_listing_without_end_reaches_a_limit() {
        // Long names, long attributes, many attributes: none fills the memory.
        let name = vec![b'n'; 1 << 20];
        let mut mailboxes = Mailboxes::new();
        let mut fitted = 0;
        while mailboxes.push(&plain(&name)) {
            fitted += 1;
            assert!(fitted < 300);
        }
        assert!(fitted > 200);
        let mut mailboxes = Mailboxes::new();
        let mut attributes = vec![b'a'; 1 << 20];
        let mut fitted = 0;
        loop {
            attributes.extend_from_slice(b"+");
            if !mailboxes.push(&Listed::new(Cow::Borrowed(b"m"), None, &attributes)) {
                break;
            }
            fitted += 1;
            assert!(fitted < 300);
        }
    }
}
