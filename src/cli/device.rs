//! Where to compute.

use crate::{Error, Result};
use candle_core::Device;
use clap::ValueEnum;

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum DeviceName {
    /// A GPU that this build supports and this machine has, else the CPU.
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA GPU (needs a build with `--features cuda`).
    Cuda,
    /// An Apple GPU (needs a build with `--features metal`).
    Metal,
}

impl DeviceName {
    /// The device.
    ///
    /// # Errors
    ///
    /// If this build does not know such devices, or the machine has none.
    pub(super) fn open(self) -> Result<Device> {
        let missing = |name: &str, built: bool, error: candle_core::Error| {
            let hint = if built {
                "see that there is a GPU and that its driver works, or use --device cpu".into()
            } else {
                format!("build with --features {name}, or use --device cpu")
            };
            Error::input(format!("--device {name}"), error).hint(hint)
        };
        let cuda = cfg!(feature = "cuda");
        let metal = cfg!(feature = "metal");
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda => Device::new_cuda(0).map_err(|error| missing("cuda", cuda, error)),
            Self::Metal => Device::new_metal(0).map_err(|error| missing("metal", metal, error)),
            Self::Auto => Ok(Device::new_cuda(0)
                .or_else(|_| Device::new_metal(0))
                .unwrap_or(Device::Cpu)),
        }
    }
}
