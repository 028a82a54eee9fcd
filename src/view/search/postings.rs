//! In which passages a word stands, and how often: numbers that only grow, kept as the steps between
//! them in as few bytes as each needs.

/// The passages of one word, in ascending order.
#[derive(Default)]
pub(super) struct Postings {
    bytes: Vec<u8>,
    last: u32,
    passages: u32,
}

impl Postings {
    /// Adds a passage, which comes after those before.
    pub(super) fn push(&mut self, passage: u32, count: u16) {
        let step = u64::from(passage - self.last);
        self.last = passage;
        self.passages += 1;
        // Most words stand in a passage once: the lowest bit says that no count follows.
        if count == 1 {
            self.write(step << 1 | 1);
        } else {
            self.write(step << 1);
            self.write(count.into());
        }
    }

    /// In how many passages it stands.
    pub(super) fn len(&self) -> u32 {
        self.passages
    }

    /// The passages with how often it stands in each.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u32)> {
        let mut bytes = self.bytes.iter();
        let mut passage = 0;
        std::iter::from_fn(move || {
            let step = read(&mut bytes)?;
            passage += u32::try_from(step >> 1).ok()?;
            let count = if step & 1 == 1 { 1 } else { read(&mut bytes)? };
            Some((passage, u32::try_from(count).ok()?))
        })
    }

    /// How many bytes of memory they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.capacity()
    }

    fn write(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.bytes.push(number.to_le_bytes()[0]);
    }
}

fn read(bytes: &mut std::slice::Iter<'_, u8>) -> Option<u64> {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = *bytes.next()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_kept_is_what_was_added(added in prop::collection::vec((0_u32..100_000, 1_u16..), 0..50)) {
            let mut postings = Postings::default();
            let mut expected = Vec::new();
            let mut passage = 0;
            for (step, count) in added {
                passage += step;
                postings.push(passage, count);
                expected.push((passage, u32::from(count)));
            }
            prop_assert_eq!(postings.len() as usize, expected.len());
            prop_assert_eq!(postings.iter().collect::<Vec<_>>(), expected);
        }
    }
}
