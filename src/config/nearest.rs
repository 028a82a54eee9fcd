//! Finds what was meant by a name that does not exist.

/// What a message says is expected in place of `name`: the nearest known one when it is close, else
/// all of them.
pub(super) fn expectation(name: &str, known: impl Iterator<Item = String>) -> String {
    let known: Vec<String> = known.collect();
    let nearest = known
        .iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        // A slip of the finger for every four letters; more is another word.
        Some((distance, candidate)) if distance <= name.chars().count().div_ceil(4) => {
            format!("{candidate}, perhaps?")
        }
        Some(_) | None => format!("one of {}", known.join(", ")),
    }
}

/// How many letters must be added, left out or replaced to turn one into the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, letter) in from.chars().enumerate() {
        let mut diagonal = above;
        let mut left = above + 1;
        for (target, cell) in to.iter().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(letter != *target);
            diagonal = *cell;
            left = replaced.min(*cell + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = above + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_single_letters() {
        for (from, to, expected) in [
            ("listen", "listen", 0),
            ("lisen", "listen", 1),
            ("", "log", 3),
            ("kitten", "sitting", 3),
            ("drain", "", 5),
        ] {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }

    #[test]
    fn a_slip_gets_a_suggestion_and_another_word_the_list() {
        let known = || ["listen", "log_format"].map(str::to_owned).into_iter();
        assert_eq!(expectation("lisen", known()), "listen, perhaps?");
        assert_eq!(expectation("color", known()), "one of listen, log_format");
    }
}
