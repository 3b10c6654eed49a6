//! The device that a model runs on, and how much memory it may take there.

use super::error::{ModelError, Result};
use candle_core::Device;

/// A CUDA GPU, by its number.
///
/// # Errors
/// When the program was built without CUDA, or there is no such GPU.
pub fn cuda(index: usize) -> Result<Device> {
    Device::new_cuda(index)
        .map_err(|e| ModelError::Device(format!("the GPU cuda:{index} cannot be used: {e}; use --device cpu")))
}

/// Apple's GPU.
///
/// # Errors
/// When the program was built without Metal, or there is no such GPU.
pub fn metal() -> Result<Device> {
    Device::new_metal(0).map_err(|e| ModelError::Device(format!("the GPU cannot be used: {e}; use --device cpu")))
}

/// The first GPU that this build and this machine have, else the processor.
pub fn best() -> Device {
    cuda(0).or_else(|_| metal()).unwrap_or(Device::Cpu)
}

/// Bytes that weights may take as f32: three quarters of what is free. On a GPU the library tells no figure, and
/// weights are unpacked up to what small cards have.
pub fn memory_for_weights(device: &Device) -> u64 {
    const SMALL_CARD: u64 = 8 << 30;
    match device {
        Device::Cpu => {
            let mut system = sysinfo::System::new();
            system.refresh_memory();
            let free = system
                .cgroup_limits()
                .map_or(system.available_memory(), |limits| limits.free_memory);
            free / 4 * 3
        }
        _ => SMALL_CARD,
    }
}
