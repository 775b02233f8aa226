//! What takes long to make of data and models, and is kept in the user's cache folder.

use super::weights::{self, Tensors};
use crate::data::Notice;
use crate::{Error, Result, files};
use candle_core::Tensor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

/// Something that is kept.
pub(super) struct Cached<'a, D> {
    /// What it is, in words.
    pub what: &'a str,
    /// Its folder in the program's cache folder, and its file there.
    pub folder: &'a str,
    pub file: String,
    /// What it was made of, in the file's header.
    pub description: D,
}

impl<D: Serialize + DeserializeOwned + PartialEq> Cached<'_, D> {
    /// What is kept, read from its tensors; else what is made now, and kept from now on as its tensors. What is damaged
    /// is replaced, and a cache that cannot be written done without; either is told to `notify`.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub fn or_make<T>(
        &self,
        notify: &mut dyn FnMut(Notice),
        read: impl FnOnce(Tensors) -> Result<T>,
        make: impl FnOnce() -> Result<T>,
        tensors: impl FnOnce(&T) -> Result<Vec<(String, Tensor)>>,
    ) -> Result<T> {
        let what = self.what;
        let file = self.path();
        if let Some(file) = file.as_deref().filter(|file| files::is_taken(file)) {
            match self.tensors(file).and_then(read) {
                Ok(kept) => return Ok(kept),
                Err(error) => notify(Notice::Warning(format!(
                    "the cached {what} is damaged ({error}); making it again"
                ))),
            }
        }
        let made = make()?;
        if let Some(file) = &file
            && let Err(error) = self.write(file, &tensors(&made)?)
        {
            notify(Notice::Warning(format!(
                "the {what} cannot be cached ({error}); it will be made anew each time"
            )));
        }
        Ok(made)
    }

    /// Where it is kept: in `vae` in the user's cache folder, if there is such a thing.
    fn path(&self) -> Option<PathBuf> {
        let folder = dirs::cache_dir()?.join("vae").join(self.folder);
        Some(folder.join(&self.file))
    }

    fn tensors(&self, file: &Path) -> Result<Tensors> {
        let (tensors, found) = weights::read::<D>(file)?;
        match found == self.description {
            true => Ok(tensors),
            false => Err(Error::input(file.display(), "is of something else")),
        }
    }

    fn write(&self, file: &Path, tensors: &[(String, Tensor)]) -> Result<()> {
        let named = tensors.iter().map(|(name, tensor)| (name.clone(), tensor));
        let bytes = weights::to_bytes(named, &self.description)?;
        if let Some(folder) = file.parent() {
            files::create_folder(folder)?;
        }
        files::write_durably(file, &bytes)
    }
}
