//! Few of many: what a picture has room for.

/// At most `most` places among `count`, ascending, as far from each other as can be: with the last and, of several, the
/// first.
pub fn evenly(count: usize, most: usize) -> impl Iterator<Item = usize> {
    let last = count.saturating_sub(1);
    let gaps = count.min(most).saturating_sub(1);
    let before_last = (0..count.min(most)).rev();
    before_last.map(move |gap| last - (gap * last + gaps / 2) / gaps.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_even_with_the_last_and_the_first() {
        let chosen = |count, most| evenly(count, most).collect::<Vec<_>>();
        assert_eq!(chosen(0, 5), Vec::<usize>::new());
        assert_eq!(chosen(1, 5), [0]);
        assert_eq!(chosen(9, 1), [8]);
        assert_eq!(chosen(5, 5), [0, 1, 2, 3, 4]);
        assert_eq!(chosen(9, 5), [0, 2, 4, 6, 8]);
        assert_eq!(chosen(11, 7), [0, 2, 3, 5, 7, 8, 10]);
        assert_eq!(chosen(500, 3), [0, 249, 499]);
    }
}
