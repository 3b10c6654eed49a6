//! Opens the device that a model runs on, and says how much memory its weights may take there.

use super::error::{ModelError, Result};
use candle_core::Device;

/// A CUDA GPU, by its number.
///
/// # Errors
/// When the program was built without CUDA, or the GPU does not exist.
pub fn cuda(index: usize) -> Result<Device> {
    Device::new_cuda(index)
        .map_err(|e| ModelError::Device(format!("the GPU cuda:{index} cannot be used: {e}; use --device cpu")))
}

/// Apple's GPU.
///
/// # Errors
/// When the program was built without Metal, or the GPU does not exist.
pub fn metal() -> Result<Device> {
    Device::new_metal(0).map_err(|e| ModelError::Device(format!("the GPU cannot be used: {e}; use --device cpu")))
}

/// The first GPU that this build and this machine can use, else the processor.
pub fn best() -> Device {
    cuda(0).or_else(|_| metal()).unwrap_or(Device::Cpu)
}

/// Bytes that weights may take as f32: three quarters of the free memory. On a GPU the library does not report the free
/// memory, so the bound is the memory of a small card.
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
