//! The pictures of a report: as many as a page can hold.

use crate::files;
use crate::picture::evenly::evenly;
use crate::run::dir::pictures_in;
use crate::run::names::{RECONSTRUCTIONS, SAMPLES};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Steps whose pictures are shown, at most.
const MOST_STEPS: usize = 40;
/// Bytes of all pictures of a page: base64 makes a third more of them, which leaves room below 5 MB for curves.
const MOST_BYTES: u64 = 3_300_000;

/// What every PNG file begins with.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// A picture of a run.
#[derive(Debug)]
pub(super) struct Picture {
    /// Which run of the page's it is of, from 0.
    pub run: usize,
    pub step: u64,
    /// The folder that it is in.
    pub kind: &'static str,
    path: PathBuf,
}

impl Picture {
    /// The PNG file, if it is there, and is one.
    pub fn png(&self) -> Option<Vec<u8>> {
        let png = files::read(&self.path, MOST_BYTES).ok()?;
        png.starts_with(PNG).then_some(png)
    }

    fn size(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |file| file.len())
    }
}

/// The pictures of a run's steps up to this one: an even selection, with the newest.
pub(super) fn over_the_steps(run: &Path, step: u64) -> Vec<Picture> {
    let mut steps: BTreeMap<u64, Vec<Picture>> = BTreeMap::new();
    for kind in [RECONSTRUCTIONS, SAMPLES] {
        let found = pictures_in(&run.join(kind)).filter(|(of, _)| *of <= step);
        for (step, path) in found {
            let picture = Picture {
                run: 0,
                step,
                kind,
                path,
            };
            steps.entry(step).or_default().push(picture);
        }
    }
    let mut steps: Vec<_> = steps.into_values().collect();
    let size = |pictures: &Vec<Picture>| pictures.iter().map(Picture::size).sum::<u64>();
    let of = |most: usize| evenly(steps.len(), most);
    // Of large pictures there is room for fewer.
    let fits = |most: &usize| of(*most).map(|place| size(&steps[place])).sum::<u64>() <= MOST_BYTES;
    let most = (1..=MOST_STEPS).rev().find(fits).unwrap_or(1);
    let chosen: Vec<usize> = of(most).collect();
    let chosen = chosen.into_iter();
    chosen
        .flat_map(|place| std::mem::take(&mut steps[place]))
        .collect()
}

/// The newest samples of several runs, of the first of them on as long as there is room.
pub(super) fn newest<'a>(runs: impl Iterator<Item = (usize, &'a Path)>) -> Vec<Picture> {
    let mut room = MOST_BYTES;
    let newest = runs.filter_map(|(run, path)| {
        let (step, path) = pictures_in(&path.join(SAMPLES)).max()?;
        Some(Picture {
            run,
            step,
            kind: SAMPLES,
            path,
        })
    });
    newest
        .take_while(|picture| {
            let size = picture.size();
            let fits = size <= room;
            room = room.saturating_sub(size);
            fits
        })
        .collect()
}
