//! The data sets that are known by name, and what each of them is.

use crate::data::dataset::Dataset;
use crate::data::idx;
use crate::data::shape::ImageShape;

/// A data set that is known by name.
#[derive(Debug)]
pub struct Published {
    /// What people call it.
    pub title: &'static str,
    /// What it is called on the command line, in configurations and in the cache.
    pub name: &'static str,
    /// The shape of each image.
    pub shape: ImageShape,
    /// How many training images and test images there are.
    pub images: [usize; 2],
    /// What the labels stand for, where they stand for something else than their numbers.
    pub labels: &'static [&'static str],
    /// The SHA-256 sums of its four files, raw, in the order of [`idx::FILES`], where they are known. Of others the shape,
    /// the numbers and the hub's own checksums are what is verified.
    pub(super) sums: Option<[&'static str; 4]>,
    /// What to give where it cannot be downloaded.
    #[cfg(feature = "download")]
    pub(super) instead: &'static str,
    /// Where it is downloaded from.
    #[cfg(feature = "download")]
    pub(super) hub: Repository,
}

/// Where candle-datasets expects a data set on the Hugging Face hub, and what decodes it.
#[cfg(feature = "download")]
#[derive(Debug)]
pub(super) struct Repository {
    pub owner: &'static str,
    pub name: &'static str,
    pub files: [&'static str; 2],
    /// The size of the download.
    pub megabytes: usize,
    pub decode: fn() -> candle_core::Result<candle_datasets::vision::Dataset>,
}

/// Data sets are the same if their names are.
impl PartialEq for Published {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Published {}

/// All of them.
pub static SETS: [&Published; 3] = [&MNIST, &FASHION_MNIST, &CIFAR_10];

/// 60,000 + 10,000 handwritten digits.
pub static MNIST: Published = Published {
    title: "MNIST",
    name: "mnist",
    shape: ImageShape::MNIST,
    images: [60_000, 10_000],
    labels: &[],
    sums: Some([
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ]),
    #[cfg(feature = "download")]
    instead: "give the four IDX files: --data FOLDER",
    #[cfg(feature = "download")]
    hub: Repository {
        owner: "ylecun",
        name: "mnist",
        files: ["mnist/test/0000.parquet", "mnist/train/0000.parquet"],
        megabytes: 16,
        decode: candle_datasets::vision::mnist::load,
    },
};

/// 60,000 + 10,000 pieces of clothing.
pub static FASHION_MNIST: Published = Published {
    title: "Fashion-MNIST",
    name: "fashion-mnist",
    shape: ImageShape::MNIST,
    images: [60_000, 10_000],
    labels: &[
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ],
    sums: None,
    #[cfg(feature = "download")]
    instead: "give the four IDX files: --data FOLDER",
    #[cfg(feature = "download")]
    hub: Repository {
        owner: "zalando-datasets",
        name: "fashion_mnist",
        files: [
            "fashion_mnist/test/0000.parquet",
            "fashion_mnist/train/0000.parquet",
        ],
        megabytes: 36,
        decode: candle_datasets::vision::fashion_mnist::load,
    },
};

/// 50,000 + 10,000 photographs of animals and vehicles, in colour.
pub static CIFAR_10: Published = Published {
    title: "CIFAR-10",
    name: "cifar-10",
    shape: ImageShape {
        height: 32,
        width: 32,
        channels: 3,
    },
    images: [50_000, 10_000],
    labels: &[
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ],
    sums: None,
    #[cfg(feature = "download")]
    instead: "give its pictures: --data FOLDER",
    #[cfg(feature = "download")]
    hub: Repository {
        // The short address of what has an owner by now; the hub leads on from there.
        owner: "",
        name: "cifar10",
        files: [
            "plain_text/test/0000.parquet",
            "plain_text/train/0000.parquet",
        ],
        megabytes: 144,
        decode: candle_datasets::vision::cifar::load,
    },
};

impl Dataset {
    /// What it is, for people: MNIST, whatever it came from, if it is that to the last bit; else its name. To find out, all
    /// images are read, but of what has a published name, which was checked when it was loaded.
    pub fn title(&self) -> String {
        let is_published = SETS.iter().any(|set| set.dataset_name() == self.name);
        match !is_published && MNIST.check(self).is_ok() {
            true => MNIST.dataset_name(),
            false => self.name.clone(),
        }
    }
}

impl Published {
    /// The name of a data set that was found to be this one.
    pub fn dataset_name(&self) -> String {
        match self.sums {
            Some(_) => format!("{}, verified", self.title),
            None => self.title.into(),
        }
    }

    /// Whether a data set is this one, to the last bit where its checksums are known.
    ///
    /// # Errors
    ///
    /// If it is not: what is the first to differ.
    pub fn check(&self, dataset: &Dataset) -> Result<(), String> {
        let halves = [("training", &dataset.train), ("test", &dataset.test)];
        for ((half, split), images) in halves.into_iter().zip(self.images) {
            if split.shape != self.shape || split.len() != images {
                return Err(format!(
                    "it has {} {half} images of {}; {} has {images} of {}",
                    split.len(),
                    split.shape,
                    self.title,
                    self.shape
                ));
            }
            let names = self.labels.len();
            let is_unknown = |&&label: &&u8| names > 0 && usize::from(label) >= names;
            if let Some(label) = split.labels.iter().find(is_unknown) {
                return Err(format!("it has a {half} image with the label {label}"));
            }
        }
        let sums = self.sums.into_iter().flatten();
        let mut parts = idx::parts(dataset).into_iter().zip(sums);
        let is_other = |(part, sum): &(idx::Part, &str)| {
            idx::sum(std::slice::from_ref(part)).as_deref() != Ok(*sum)
        };
        match parts.find(is_other) {
            Some((part, _)) => Err(format!("{} is not {}'s", part.file, self.title)),
            None => Ok(()),
        }
    }
}
