//! Ways through a latent space.

use std::f64::consts::FRAC_1_SQRT_2;

/// Points from `from` to `to`, evenly spaced, both included: `count` of them, 2 or more. On a straight line; or, if
/// `spherical`, along the arc of the circle through both around 0, with lengths between theirs (Shoemake, 1985;
/// White, 2016, "Sampling generative networks"). Opposite points, and those at 0, have no one arc: their way is straight.
pub fn between(from: &[f32], to: &[f32], count: usize, spherical: bool) -> Vec<Vec<f32>> {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        let products = a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b));
        products.sum()
    };
    let lengths = dot(from, from).sqrt() * dot(to, to).sqrt();
    let angle = (dot(from, to) / lengths).clamp(-1.0, 1.0).acos();
    let has_arc = spherical && angle.sin() > 1e-6;
    let points = (0..count).map(|step| {
        let part = step as f64 / (count - 1) as f64;
        let [of_from, of_to] = match has_arc {
            true => [1.0 - part, part].map(|part| (part * angle).sin() / angle.sin()),
            false => [1.0 - part, part],
        };
        let pairs = from.iter().zip(to);
        let point = pairs.map(|(&a, &b)| (of_from * f64::from(a) + of_to * f64::from(b)) as f32);
        point.collect()
    });
    points.collect()
}

/// The middles of `count` parts of the unit normal distribution that are as likely as each other: its quantiles of
/// (i + 1/2) / count.
pub fn quantiles(count: usize) -> Vec<f64> {
    let quantile = |probability: f64| {
        let (mut low, mut high) = (-40.0, 40.0);
        // Until two neighbouring numbers are left.
        for _ in 0..80 {
            let middle = 0.5 * (low + high);
            match 0.5 * libm::erfc(-middle * FRAC_1_SQRT_2) < probability {
                true => low = middle,
                false => high = middle,
            }
        }
        0.5 * (low + high)
    };
    (0..count)
        .map(|part| quantile((part as f64 + 0.5) / count as f64))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_begin_and_end_where_they_should() {
        let (from, to) = ([3.0, 0.0], [0.0, 1.0]);
        for spherical in [false, true] {
            let points = between(&from, &to, 5, spherical);
            assert_eq!(points.len(), 5);
            for (found, expected) in [(&points[0], from), (&points[4], to)] {
                assert!(
                    (found[0] - expected[0]).abs() < 1e-6 && (found[1] - expected[1]).abs() < 1e-6
                );
            }
        }
        assert_eq!(between(&from, &to, 3, false)[1], [1.5, 0.5]);
        // Half the arc of a right angle, of the lengths that its ends have.
        let middle = &between(&from, &to, 3, true)[1];
        let half = FRAC_1_SQRT_2 as f32;
        assert!((middle[0] - 3.0 * half).abs() < 1e-6 && (middle[1] - half).abs() < 1e-6);
        for [from, to] in [[[1.0, 0.0], [-1.0, 0.0]], [[0.0, 0.0], [1.0, 0.0]]] {
            let middle = &between(&from, &to, 3, true)[1];
            assert!(middle.iter().all(|value| value.is_finite()), "{middle:?}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_unit_normal_distribution() {
        let found = quantiles(4);
        // Of 1/8, 3/8, 5/8, 7/8.
        let expected = [-1.150_349_380, -0.318_639_364, 0.318_639_364, 1.150_349_380];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
        assert!(quantiles(1)[0].abs() < 1e-12);
    }
}
