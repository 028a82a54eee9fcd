//! A value as it was after each position that changed it. What a position changed stays where it is, so
//! the value as of any position is a binary search, and adding one never moves many.

/// How many values a leaf holds: what adding one moves at most.
const LEAF_VALUES: usize = 512;

/// A value over the positions of the log.
pub(super) struct Series<T> {
    /// All full but the last; none is empty.
    leaves: Vec<Vec<(u64, T)>>,
}

impl<T> Default for Series<T> {
    fn default() -> Self {
        Self { leaves: Vec::new() }
    }
}

impl<T> Series<T> {
    /// What the value is from a position on, which is not before the last one.
    pub(super) fn push(&mut self, position: u64, value: T) {
        let last = self.leaves.last_mut().and_then(|leaf| leaf.last_mut());
        if let Some(last) = last.filter(|last| last.0 == position) {
            last.1 = value;
            return;
        }
        match self.leaves.last_mut() {
            Some(leaf) if leaf.len() < LEAF_VALUES => leaf.push((position, value)),
            Some(_) | None => self.leaves.push(vec![(position, value)]),
        }
    }

    /// The value as of a position; nothing before the first.
    pub(super) fn at(&self, position: u64) -> Option<&T> {
        let begun = |leaf: &Vec<(u64, T)>| leaf.first().is_some_and(|it| it.0 <= position);
        let leaf = self.leaves.partition_point(begun).checked_sub(1)?;
        let leaf = self.leaves.get(leaf)?;
        let place = leaf.partition_point(|it| it.0 <= position).checked_sub(1)?;
        leaf.get(place).map(|it| &it.1)
    }

    /// The value as it is.
    pub(super) fn last(&self) -> Option<&T> {
        self.leaves.last()?.last().map(|it| &it.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_as_of_any_position() {
        let mut series = Series::default();
        assert_eq!(series.at(9), None);
        for number in 1..=2_000_u64 {
            series.push(10 * number, 0);
            series.push(10 * number, number);
        }
        assert_eq!(series.last(), Some(&2_000));
        assert_eq!(series.at(9), None);
        for position in 10..20_100 {
            assert_eq!(series.at(position), Some(&(position / 10).min(2_000)));
        }
    }
}
