//! Who computes.

use candle_core::Device;

/// Whose operations compute a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// The fused operations of this crate, on the CPU.
    Fused,
    /// candle's own, on any device. All of a model's must be called by one thread: candle has the GPU run
    /// those of one thread in their order, but those of two in any.
    Candle,
}

impl Backend {
    /// The fastest that there is for a device.
    pub fn of(device: &Device) -> Self {
        match device {
            Device::Cpu => Self::Fused,
            _ => Self::Candle,
        }
    }
}
