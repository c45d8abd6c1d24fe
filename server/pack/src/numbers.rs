//! Numbers in one text column: those of a part of an exchange that few exchanges have, for which columns of their own
//! would cost every row.
//!
//! With commas; a number that is not known is empty. What stands behind the last one that is known may be left out.

use std::fmt::Write as _;

/// The text of `numbers`.
pub fn join(numbers: impl IntoIterator<Item = Option<u64>>) -> String {
    let mut text = String::with_capacity(128);
    for number in numbers {
        if let Some(number) = number {
            // Into a string this cannot fail.
            let _ = write!(text, "{number}");
        }
        text.push(',');
    }
    text.truncate(text.trim_end_matches(',').len());
    text
}

/// The first `N` numbers of a text.
pub fn split<const N: usize>(text: &str) -> [Option<u64>; N] {
    let mut parts = text.split(',').map(|part| part.parse().ok());
    std::array::from_fn(|_| parts.next().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_joined_is_split() {
        for (numbers, text) in [
            ([None, None, None], ""),
            ([Some(0), None, None], "0"),
            ([None, Some(7), None], ",7"),
            ([Some(1), None, Some(u64::MAX)], "1,,18446744073709551615"),
        ] {
            assert_eq!(join(numbers), text);
            assert_eq!(split::<3>(text), numbers, "{text}");
        }
        assert_eq!(split::<2>("x,-1,4"), [None, None]);
    }
}
