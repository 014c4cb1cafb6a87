//! Many mailboxes in little memory: all names in one piece, and what they have in common once.
//!
//! For programs that look at a server's mailboxes more than once. A `Vec` of [`Mailbox`](super::mailbox::Mailbox) spends an allocation on each
//! name and several on its attributes; [`Mailboxes`] spends six bytes on a mailbox besides its name. Not here: asking for them (`mailbox`).

use std::borrow::Cow;

use super::mailbox::Listed;

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
}

impl Mailboxes {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one; `false` when there is no more room, which is beyond 4 GiB of names or 65,536 combinations of separator and attributes.
    #[must_use]
    pub fn push(&mut self, listed: &Listed<'_>) -> bool {
        let is_of = |(separator, attributes): &(Option<u8>, Box<[u8]>)| {
            *separator == listed.separator && **attributes == *listed.raw_attributes()
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
        if usize::from(kind) == self.kinds.len() {
            self.kinds
                .push((listed.separator, listed.raw_attributes().into()));
        }
        self.names.extend_from_slice(&listed.mailbox);
        self.ends.push(end);
        self.kind_of.push(kind);
        true
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
        let place = |end: &u32| usize::try_from(*end).ok();
        let start = match index.checked_sub(1) {
            Some(before) => self.ends.get(before).and_then(place)?,
            None => 0,
        };
        let end = self.ends.get(index).and_then(place)?;
        let (separator, attributes) = self.kinds.get(usize::from(*self.kind_of.get(index)?))?;
        let name = self.names.get(start..end)?;
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
            assert_eq!(kept.raw_attributes(), one.raw_attributes());
        }
        assert_eq!(mailboxes.iter().count(), 4);
        assert!(mailboxes.get(4).is_none());
    }
}
