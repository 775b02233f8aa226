//! What becomes of images in a latent space, and what becomes images again.

/// What an encoder makes of images.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// How many numbers a latent vector has.
    pub latent_dim: usize,
    /// What there is of each image: a name, and (images, latent dimensions).
    pub parts: Vec<(&'static str, Vec<f32>)>,
    /// What each image shows, where that is known.
    pub labels: Option<Vec<u8>>,
}

/// The names of parts: what is drawn from posteriors, or their means and the logarithms of their variances.
pub const LATENT: &str = "latent";
/// The means of posteriors.
pub const MEAN: &str = "mean";
/// The natural logarithms of posteriors' variances.
pub const LOG_VARIANCE: &str = "log_variance";
/// What images show.
pub(super) const LABEL: &str = "label";

impl Encoded {
    /// The number of images.
    pub fn len(&self) -> usize {
        let values = self.parts.first().map_or(0, |(_, values)| values.len());
        values / self.latent_dim
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What an image has of each part, with the part's name.
    pub fn of_image(&self, image: usize) -> impl Iterator<Item = (&'static str, &[f32])> {
        let parts = self.parts.iter();
        parts.map(move |(name, values)| {
            (*name, &values[image * self.latent_dim..][..self.latent_dim])
        })
    }
}

/// What a reader of latent vectors wants.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// At most so many of them.
    pub most: usize,
    /// Whether it wants their labels, too; if not, whatever stands in their place does no harm.
    pub labels: bool,
}

/// Latent vectors, to be decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Latents {
    /// How many numbers a vector has.
    pub latent_dim: usize,
    /// (vectors, latent dimensions), all finite.
    pub values: Vec<f32>,
    /// What each is to show, where the file says it.
    pub labels: Option<Vec<u8>>,
}
