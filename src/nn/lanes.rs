//! Stages that work image by image, one after the other.
//!
//! A batch is cut into `LANES` groups of whole images, whatever the number of threads. A thread takes a
//! group through all of the stages, so that what one leaves is still in cache for the next. What groups
//! sum is added in their order. So the results do not depend on the threads.

use super::buffers::{Buffer, Buffers};
use super::chain::{Back, Kept, Stage};
use super::winograd::matrices::{Points, Sizes, points_by, room, times};
use super::work::{Gradients, Work};
use crate::parallel::{for_each, map};
use candle_core::{Result, bail};

/// The number of groups that a batch is cut into.
const LANES: usize = 16;
/// Images of a group at most where there are no gradients to be summed up: as many as suit a core's cache.
const FEW_IMAGES: usize = 6;

/// Images that a lane has, of a batch of `images`.
fn lane_images(images: usize) -> usize {
    images.div_ceil(LANES).max(1)
}

/// What a lane writes on its way, of each stage.
struct Lane<'a> {
    /// Those that are kept.
    outputs: Vec<Option<&'a mut [f32]>>,
    points: Vec<Option<Points<'a>>>,
}

/// Runs `stages` on `images` images, and leaves their outputs in `kept`; with `training` also what their
/// backward pass needs.
pub(super) fn forward(
    stages: &[Stage],
    input: &[f32],
    images: usize,
    kept: &mut [Kept],
    training: bool,
    buffers: &Buffers,
) -> Result<()> {
    let works = map(stages, |stage| Work::new(stage, training, buffers));
    let works = works.into_iter().collect::<Result<Vec<_>>>()?;
    let lane = match training {
        true => lane_images(images),
        false => lane_images(images).min(FEW_IMAGES),
    };
    let mut lanes: Vec<_> = (0..images)
        .step_by(lane)
        .map(|_| Lane {
            outputs: Vec::new(),
            points: Vec::new(),
        })
        .collect();
    let mut masks = Vec::new();
    for (position, (stage, kept)) in stages.iter().zip(&mut *kept).enumerate() {
        let work = &works[position];
        let read_again = match works.get(position + 1) {
            Some(next) => training && (work.reads_output() || next.reads_input()),
            None => true,
        };
        if read_again {
            kept.output = buffers.take(images * stage.outputs());
        }
        let mut parts = kept.output.chunks_mut(lane * stage.outputs());
        for lane in &mut lanes {
            lane.outputs.push(parts.next());
        }
        let sizes = work
            .tiled()
            .filter(|_| training)
            .map(|(c, tiling)| tiling.sizes(c.input));
        kept.points = sizes.map(|sizes| buffers.take(room(&times(&sizes, images))));
        let parts = deal(kept.points.as_deref_mut(), sizes, images, lane);
        for (lane, part) in lanes.iter_mut().zip(parts) {
            lane.points.push(part);
        }
        masks.push(kept.mask.as_ref());
    }
    let inputs = input.chunks(lane * (input.len() / images));
    let lanes = lanes.into_iter().zip(inputs).enumerate();
    for_each(lanes, |(number, (to, mut input))| {
        let images = input.len() / stages[0].inputs();
        let run = |position: usize, input: &[f32], output: &mut [f32], points| {
            works[position].run(input, output, points);
            if let Some(mask) = masks[position] {
                mask.apply(number * lane * stages[position].outputs(), output);
            }
        };
        let mut between: Option<Buffer> = None;
        let places = to.outputs.into_iter().zip(to.points).enumerate();
        for (position, (output, points)) in places {
            let from = between.as_deref().unwrap_or(input);
            if let Some(output) = output {
                run(position, from, output, points);
                (input, between) = (output, None);
            } else {
                let mut output = buffers.take(images * stages[position].outputs());
                run(position, from, &mut output, points);
                between = Some(output);
            }
        }
    });
    for (kept, work) in kept.iter_mut().zip(works).filter(|_| training) {
        kept.work = Some(work);
    }
    Ok(())
}

/// What a lane writes on its way back.
struct LaneBack<'a> {
    gradient: &'a mut [f32],
    input_gradient: Option<&'a mut [f32]>,
    /// Of each stage.
    points: Vec<Option<Points<'a>>>,
}

/// What the gradients of the parameters are made of, for each stage: those that lanes found, and the points of
/// the output's gradient.
pub(super) struct Found {
    lanes: Vec<Vec<Option<Gradients>>>,
    points: Vec<Option<Buffer>>,
}

/// Fills the gradient of the input, if it is wanted, and finds what the gradients of the parameters are made of.
/// `gradient` is that of the last output; it does not survive.
pub(super) fn backward(
    back: &Back,
    gradient: &mut [f32],
    input_gradient: Option<&mut [f32]>,
) -> Result<Found> {
    let (images, buffers) = (back.images, back.buffers);
    let works = back.kept.iter().map(|kept| kept.work.as_ref());
    let Some(works) = works.collect::<Option<Vec<_>>>() else {
        bail!("gradients need a forward pass in training mode");
    };
    let lane = lane_images(images);
    let (inputs, outputs) = (back.input.len() / images, gradient.len() / images);
    let mut input_gradients = input_gradient.map(|to| to.chunks_mut(lane * inputs));
    let gradients = gradient.chunks_mut(lane * outputs);
    let mut lanes: Vec<_> = gradients
        .map(|gradient| LaneBack {
            gradient,
            input_gradient: input_gradients.as_mut().and_then(Iterator::next),
            points: Vec::new(),
        })
        .collect();
    let sizes = works.iter().map(|work| work.tiled());
    let sizes: Vec<_> = sizes
        .map(|tiled| tiled.map(|(c, tiling)| tiling.sizes(c.output)))
        .collect();
    let take =
        |sizes: &Option<Sizes>| sizes.map(|sizes| buffers.take(room(&times(&sizes, images))));
    let mut points: Vec<_> = sizes.iter().map(take).collect();
    for (&sizes, points) in sizes.iter().zip(&mut points) {
        let parts = deal(points.as_deref_mut(), sizes, images, lane);
        for (lane, part) in lanes.iter_mut().zip(parts) {
            lane.points.push(part);
        }
    }
    let mut found: Vec<_> = lanes.iter().map(|_| Vec::new()).collect();
    let lanes = lanes.into_iter().zip(&mut found).enumerate();
    for_each(lanes, |(number, (state, found))| {
        *found = backward_lane(back, &works, number * lane, state);
    });
    Ok(Found {
        lanes: found,
        points,
    })
}

/// Leaves the gradients of the parameters with them.
pub(super) fn put_gradients(back: &Back, mut found: Found) -> Result<()> {
    let stages = back.kept.iter().zip(&found.points).enumerate();
    for (position, (kept, gradient)) in stages {
        if let Some(Work::Convolution(convolution)) = &kept.work {
            let parts = found.lanes.iter_mut();
            let parts = parts.filter_map(|lane| lane[position].take()).unzip();
            let points = kept.points.as_deref().zip(gradient.as_deref());
            convolution.put_gradients(parts, points, back.images, back.buffers)?;
        }
    }
    Ok(())
}

/// For each lane its part of the place for a stage's points, which take `sizes` an image.
fn deal(
    points: Option<&mut [f32]>,
    sizes: Option<Sizes>,
    images: usize,
    lane: usize,
) -> Vec<Option<Points<'_>>> {
    match (points, sizes) {
        (Some(points), Some(sizes)) => {
            points_by(points, &times(&sizes, images), &times(&sizes, lane))
                .into_iter()
                .map(Some)
                .collect()
        }
        _ => (0..images).step_by(lane).map(|_| None).collect(),
    }
}

/// The way back of a lane's images, from `first` on.
fn backward_lane(
    back: &Back,
    works: &[&Work],
    first: usize,
    mut lane: LaneBack,
) -> Vec<Option<Gradients>> {
    let images = lane_images(back.images).min(back.images - first);
    let part = |len: usize| first * len..(first + images) * len;
    let mut gradients: Vec<_> = works.iter().map(|_| None).collect();
    let mut between: Option<Buffer> = None;
    for (position, stage) in back.stages.iter().enumerate().rev() {
        let input = match position {
            0 => back.input,
            _ => back.outputs[position - 1],
        };
        // Where nobody reads them again they were not kept.
        let input = input.get(part(stage.inputs())).unwrap_or_default();
        let output = back.outputs[position]
            .get(part(stage.outputs()))
            .unwrap_or_default();
        let mut next = (position > 0).then(|| back.buffers.take(images * stage.inputs()));
        let gradient = between.as_deref_mut().unwrap_or(&mut *lane.gradient);
        let to = match &mut next {
            Some(next) => Some(&mut next[..]),
            None => lane.input_gradient.take(),
        };
        let mask = back.kept[position].mask.as_ref();
        if let Some(mask) = mask {
            mask.apply(first * stage.outputs(), gradient);
        }
        let output = (output, mask.map_or(1.0, |mask| mask.scale));
        let points = lane.points[position].take();
        gradients[position] = works[position].run_back(input, output, gradient, to, points);
        between = next;
    }
    gradients
}
