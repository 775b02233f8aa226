//! Test images for data that have none.

use super::dataset::Split;
use crate::Result;
use crate::checksum::sha256;

/// The place of a thing in the order in which things are held out, 0 to 1. It depends on its content and the seed, so that
/// others which are added move none.
pub fn place(content: &[u8], seed: u64) -> f64 {
    let digest = sha256(&[&seed.to_le_bytes(), content]);
    u64::from_str_radix(&digest[..16], 16).unwrap_or_default() as f64 / 2f64.powi(64)
}

/// For each of some things, by its [`place`], whether it is held out: about a share of them, one at least and not all, if
/// there are two.
pub fn held_out(places: &[f64], share: f64) -> Vec<bool> {
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
///
/// # Errors
///
/// If an image cannot be read any more.
pub fn hold_out(split: Split, share: f64, seed: u64) -> Result<(Split, Split)> {
    let places = (0..split.len()).map(|index| Ok(place(&split.image(index)?, seed)));
    let places = places.collect::<Result<Vec<f64>>>()?;
    let sides = held_out(&places, share);
    Ok(split.divided(&sides).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(count: u32) -> Vec<[u8; 4]> {
        (0..count).map(u32::to_le_bytes).collect()
    }

    fn sides(contents: &[[u8; 4]], share: f64, seed: u64) -> Vec<bool> {
        let places = contents.iter().map(|content| place(content, seed));
        held_out(&places.collect::<Vec<_>>(), share)
    }

    #[test]
    fn a_share_is_held_out_and_what_is_added_moves_none() {
        let many = contents(5000);
        let found = sides(&many, 0.1, 1);
        let share = found.iter().filter(|&&held_out| held_out).count();
        assert!((400..600).contains(&share), "{share}");
        assert_eq!(sides(&many[..1000], 0.1, 1), found[..1000]);
        assert_ne!(sides(&many, 0.1, 2), found);
    }

    #[test]
    fn neither_side_is_empty() {
        for count in 2..30 {
            let found = sides(&contents(count), 0.1, 3);
            assert!(found.contains(&true) && found.contains(&false), "{count}");
            let all = sides(&contents(count), 0.9999, 3);
            assert!(all.contains(&true) && all.contains(&false), "{count}");
        }
        assert_eq!(sides(&contents(1), 0.1, 3), [false]);
    }
}
