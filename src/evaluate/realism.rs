//! How real a model's pictures are, for a classifier that was trained on real ones.

use super::classifier::{Classifier, FEATURES, Predictions};
use super::frechet::Moments;
use super::neighbours::{nearest, reaches, share_within};
use crate::data::tensor::slice_to_tensor;
use crate::data::{Corruption, Dataset, Examples, Split};
use crate::model::sampling::{Drawing, reconstruct, sample};
use crate::model::{FittedPrior, Vae};
use crate::{Error, Result};
use serde::Serialize;

/// How probable a class has to be for an image to be recognised.
const SURE: f32 = 0.9;
/// The neighbour that is as far as a point reaches (Kynkaanniemi et al., 2019, use the third, too).
const NEIGHBOUR: usize = 3;
/// Images of a split that are looked at, at most.
const MOST_IMAGES: usize = 10_000;
/// Images that are encoded, and training images that are compared with, at a time.
const BATCH: usize = 250;
const AMONG: usize = 10_000;

/// How real a model's pictures are, beside real ones.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Realism {
    /// The share of test images of which the classifier's likeliest class is the label.
    pub classifier_accuracy: f64,
    /// Real images that neither model nor classifier has seen.
    pub test_images: Likeness,
    /// Real images that both have seen: what can be expected.
    pub training_images: Likeness,
    /// What the model keeps of the test images.
    pub reconstructions: Likeness,
    /// What the model draws from its prior.
    pub drawings: Likeness,
    /// What it draws from mixtures that are fitted to its posteriors.
    pub posterior_drawings: Likeness,
    /// Of a conditional model's drawings of each label, the share of which that is the classifier's likeliest class.
    pub label_accuracy: Option<Vec<f64>>,
}

/// How like real images a set is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Likeness {
    /// How many there are.
    pub images: usize,
    /// The share of which the classifier is at least 90 % sure.
    pub recognised: f64,
    /// The mean of the classifier's probabilities, for each class.
    pub classes: Vec<f64>,
    /// The entropy of that mean, in nats: the logarithm of the number of classes where all are as frequent.
    pub class_entropy: f64,
    /// The Frechet distance to the test images, in the classifier's features.
    pub frechet_distance: Option<f64>,
    /// The share that lies among the test images, in the classifier's features.
    pub precision: Option<f64>,
    /// The share of the test images that lies among these.
    pub recall: Option<f64>,
    /// The squared distance to the nearest training image, in pixels: its mean, and the least. Copies would be at 0.
    pub nearest_training_image: Option<Nearest>,
}

/// How near the nearest is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Nearest {
    /// The mean over images.
    pub mean: f64,
    /// Of the nearest of all.
    pub least: f64,
}

/// The features of the test images, and how far each reaches among the others.
struct Reference {
    features: Vec<f32>,
    reaches: Vec<f32>,
    moments: Moments,
}

/// How real what a model draws is, from its prior and from `mixtures`, and what it reconstructs of the test images, as it
/// sees them: `seen`, with the noise of `corruption`.
///
/// # Errors
///
/// If the model or the classifier cannot be computed.
pub fn realism(
    vae: &Vae,
    mixtures: &[Option<FittedPrior>],
    classifier: &Classifier,
    dataset: &Dataset,
    (seen, corruption): (&Split, Corruption),
    (drawings, seed): (usize, u64),
) -> Result<Realism> {
    let values = dataset.shape().values();
    let predict = |images: &[f32]| classifier.predict(images, values);
    let test = images(&dataset.test)?;
    let found = predict(&test)?;
    let reference = Reference::of(&found);
    let compared = |found: &Predictions| {
        let mut likeness = Likeness::of(found, classifier.classes());
        likeness.compare(found, &reference);
        likeness
    };
    let likeness = |images: &[f32]| Ok::<_, Error>(compared(&predict(images)?));
    let share_right = |found: &Predictions, labels: &[u8]| {
        share(found.are_right(labels, classifier.classes()).into_iter())
    };
    let nearest = |images: &[f32]| nearest_training_image(images, &dataset.train);
    let drawings = Drawing::of_each_label_in_turn(vae, drawings);
    let draw = |priors: &[Option<FittedPrior>]| {
        let drawn = sample(vae, priors, &drawings, seed, 1.0)?;
        let found = predict(&drawn)?;
        let likeness = Likeness {
            nearest_training_image: Some(nearest(&drawn)?),
            ..compared(&found)
        };
        Ok::<_, Error>((found, likeness))
    };
    let (found_drawn, drawn) = draw(vae.own_prior())?;
    let (_, posterior_drawn) = draw(mixtures)?;
    Ok(Realism {
        classifier_accuracy: share_right(&found, &dataset.test.labels),
        test_images: Likeness {
            nearest_training_image: Some(nearest(&test)?),
            ..Likeness::of(&found, classifier.classes())
        },
        training_images: likeness(&images(&dataset.train)?)?,
        reconstructions: likeness(&reconstructions(vae, seen, corruption)?)?,
        drawings: drawn,
        posterior_drawings: posterior_drawn,
        label_accuracy: vae.condition().map(|condition| {
            let labels: Vec<u8> = drawings.iter().map(|drawing| drawing.label).collect();
            let right = found_drawn.are_right(&labels, classifier.classes());
            // The labels were asked for one after the other.
            let of_label = |label| right.iter().skip(label).step_by(condition.classes).copied();
            (0..condition.classes)
                .map(|label| share(of_label(label)))
                .collect()
        }),
    })
}

/// The share of what is true.
fn share(of: impl Iterator<Item = bool>) -> f64 {
    let (mut count, mut all) = (0, 0);
    for is_true in of {
        count += u64::from(is_true);
        all += 1;
    }
    count as f64 / f64::from(all)
}

impl Reference {
    fn of(found: &Predictions) -> Self {
        let features = found.features.clone();
        let neighbour = NEIGHBOUR.min(features.len() / FEATURES - 1);
        Self {
            reaches: reaches(&features, FEATURES, neighbour),
            moments: Moments::of(&features, FEATURES),
            features,
        }
    }
}

impl Likeness {
    fn of(found: &Predictions, classes: usize) -> Self {
        let images = found.probabilities.len() / classes;
        let rows = || found.probabilities.chunks_exact(classes);
        let sure = rows().filter(|row| row.iter().any(|&p| p >= SURE));
        let mut means = vec![0.0; classes];
        for row in rows() {
            for (mean, &probability) in means.iter_mut().zip(row) {
                *mean += f64::from(probability) / images as f64;
            }
        }
        let entropy = means.iter().filter(|&&mean| mean > 0.0);
        Self {
            images,
            recognised: sure.count() as f64 / images as f64,
            class_entropy: -entropy.map(|mean| mean * mean.ln()).sum::<f64>(),
            classes: means,
            frechet_distance: None,
            precision: None,
            recall: None,
            nearest_training_image: None,
        }
    }

    fn compare(&mut self, found: &Predictions, reference: &Reference) {
        let features = &found.features[..];
        let Reference {
            features: real,
            reaches: real_reaches,
            moments,
        } = reference;
        // So few have no neighbours.
        if self.images.min(real_reaches.len()) <= NEIGHBOUR {
            return;
        }
        let distance = Moments::of(features, FEATURES).frechet_distance(moments);
        self.frechet_distance = Some(distance);
        self.precision = Some(share_within(features, real, real_reaches, FEATURES));
        let reaches = reaches(features, FEATURES, NEIGHBOUR);
        self.recall = Some(share_within(real, features, &reaches, FEATURES));
    }
}

/// The first images of a split: (images, values of an image), 0 to 1.
fn images(split: &Split) -> Result<Vec<f32>> {
    let images = slice_to_tensor(split, 0, split.len().min(MOST_IMAGES))?;
    Ok(images.flatten_all()?.to_vec1()?)
}

/// What a model keeps of the first images of a split.
fn reconstructions(vae: &Vae, split: &Split, corruption: Corruption) -> Result<Vec<f32>> {
    let mut values = Vec::new();
    let count = split.len().min(MOST_IMAGES);
    for first in (0..count).step_by(BATCH) {
        let examples = Examples::of(split, first, (first + BATCH).min(count), corruption)?;
        values.extend(reconstruct(vae, &examples)?);
    }
    Ok(values)
}

fn nearest_training_image(images: &[f32], train: &Split) -> Result<Nearest> {
    let values = train.shape.values();
    let mut distances = vec![f32::INFINITY; images.len() / values];
    for first in (0..train.len()).step_by(AMONG) {
        let among = slice_to_tensor(train, first, (first + AMONG).min(train.len()))?;
        let among = among.flatten_all()?.to_vec1::<f32>()?;
        let found = nearest(images, &among, values, 1);
        for (least, found) in distances.iter_mut().zip(found) {
            *least = least.min(found);
        }
    }
    let sum: f64 = distances.iter().map(|&distance| f64::from(distance)).sum();
    Ok(Nearest {
        mean: sum / distances.len() as f64,
        least: distances.into_iter().fold(f32::INFINITY, f32::min).into(),
    })
}
