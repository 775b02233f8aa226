//! Curves of dots, eight a character, two across and four down: Braille's letters.

/// The letter without a dot, and the bits that set one: row by row, the left and the right.
const BLANK: u32 = 0x2800;
const DOTS: [[u32; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

/// A curve through points, from `x` 0 to `last` and from `low` to `high`, in so many columns and lines. What lies outside
/// is drawn at the edge; what is not finite, not at all.
pub fn lines(
    points: &[(u64, f64)],
    last: u64,
    [low, high]: [f64; 2],
    [columns, lines]: [usize; 2],
) -> Vec<String> {
    let (width, height) = (2 * columns, 4 * lines);
    let mut letters = vec![vec![BLANK; columns]; lines];
    let scaled = |share: f64, dots: usize| {
        let most = dots.saturating_sub(1) as f64;
        (share * most).round().clamp(0.0, most) as usize
    };
    let dot = |&(x, y): &(u64, f64)| {
        let (across, up) = (
            x as f64 / last.max(1) as f64,
            (y - low) / (high - low).max(1e-12),
        );
        (scaled(across, width), scaled(1.0 - up, height))
    };
    let finite = points.iter().filter(|point| point.1.is_finite());
    let dots: Vec<(usize, usize)> = finite.map(dot).collect();
    let mut set = |x: usize, y: usize| letters[y / 4][x / 2] |= DOTS[y % 4][x % 2];
    if let (true, Some(&(x, y))) = (width * height > 0, dots.first()) {
        set(x, y);
        for pair in dots.windows(2) {
            between(pair[0], pair[1], &mut set);
        }
    }
    let letter = |&bits: &u32| char::from_u32(bits).unwrap_or(' ');
    letters
        .iter()
        .map(|line| line.iter().map(letter).collect())
        .collect()
}

/// The dots of a straight line, without gaps.
fn between(from: (usize, usize), to: (usize, usize), set: &mut impl FnMut(usize, usize)) {
    let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1));
    let part = |from: usize, to: usize, step: usize| {
        let share = step as f64 / steps.max(1) as f64;
        (from as f64 + share * (to as f64 - from as f64)).round() as usize
    };
    for step in 0..=steps {
        set(part(from.0, to.0, step), part(from.1, to.1, step));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_goes_through_its_points_without_gaps() {
        let falls = [(0, 8.0), (4, 4.0), (16, 0.0)];
        assert_eq!(lines(&falls, 16, [0.0, 8.0], [4, 2]), ["⠱⡀⠀⠀", "⠀⠑⠢⢄"]);
        let flat = [(0, 1.0), (3, 1.0)];
        assert_eq!(lines(&flat, 6, [1.0, 1.0], [4, 1]), ["⣀⣀⡀⠀"]);
    }

    #[test]
    fn what_is_outside_is_at_the_edge_and_what_is_no_number_nowhere() {
        let points = [(0, 100.0), (1, f64::NAN), (2, -100.0)];
        assert_eq!(lines(&points, 2, [0.0, 1.0], [1, 1]), ["⢣"]);
        assert_eq!(lines(&[], 2, [0.0, 1.0], [2, 1]), ["⠀⠀"]);
        assert_eq!(lines(&points, 2, [0.0, 1.0], [0, 0]), [""; 0]);
    }
}
