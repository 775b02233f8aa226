//! Test images for data that have none.

use super::dataset::Split;
use crate::checksum::sha256;

/// For each of some things, by its content, whether it is held out: about a share of them, one at least and not all, if
/// there are two. It depends on its content and the seed, so that others which are added move none.
pub fn held_out<'a>(contents: impl Iterator<Item = &'a [u8]>, share: f64, seed: u64) -> Vec<bool> {
    let places = contents.map(|content| {
        let digest = sha256(&[&seed.to_le_bytes(), content]);
        u64::from_str_radix(&digest[..16], 16).unwrap_or_default() as f64 / 2f64.powi(64)
    });
    let places: Vec<f64> = places.collect();
    let mut held_out: Vec<bool> = places.iter().map(|&place| place < share).collect();
    let all_are = |is: bool| held_out.iter().all(|&held_out| held_out == is);
    let order = |&a: &usize, &b: &usize| places[a].total_cmp(&places[b]);
    let moved = match (all_are(false), all_are(true)) {
        (true, _) => (0..places.len()).min_by(order),
        (_, true) => (0..places.len()).max_by(order),
        _ => None,
    };
    if let Some(moved) = moved.filter(|_| places.len() > 1) {
        held_out[moved] = !held_out[moved];
    }
    held_out
}

/// A split in two: what is left to learn from, and what is held out.
pub fn hold_out(split: Split, share: f64, seed: u64) -> (Split, Split) {
    let images = (0..split.len()).map(|index| split.image(index));
    let sides = held_out(images, share, seed);
    split.divided(&sides).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(count: u32) -> Vec<[u8; 4]> {
        (0..count).map(u32::to_le_bytes).collect()
    }

    fn sides(contents: &[[u8; 4]], seed: u64) -> Vec<bool> {
        held_out(contents.iter().map(|content| &content[..]), 0.1, seed)
    }

    #[test]
    fn a_share_is_held_out_and_what_is_added_moves_none() {
        let many = contents(5000);
        let found = sides(&many, 1);
        let share = found.iter().filter(|&&held_out| held_out).count();
        assert!((400..600).contains(&share), "{share}");
        assert_eq!(sides(&many[..1000], 1), found[..1000]);
        assert_ne!(sides(&many, 2), found);
    }

    #[test]
    fn neither_side_is_empty() {
        for count in 2..30 {
            let found = sides(&contents(count), 3);
            assert!(found.contains(&true) && found.contains(&false), "{count}");
            let all = held_out(contents(count).iter().map(|c| &c[..]), 0.9999, 3);
            assert!(all.contains(&true) && all.contains(&false), "{count}");
        }
        assert_eq!(sides(&contents(1), 3), [false]);
    }
}
