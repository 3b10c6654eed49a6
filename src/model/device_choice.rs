//! The device that the models run on, as the user names it.

use super::device;
use candle_core::Device;
use std::fmt;
use std::str::FromStr;

/// The device that `--device` names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The best device of this build and this machine: a GPU if there is one, else the processor.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// A CUDA GPU, by its number.
    Cuda(usize),
    /// Apple's GPU.
    Metal,
}

impl DeviceChoice {
    /// The Cargo feature that this device needs, if the program was built without it.
    pub fn missing_feature(self) -> Option<&'static str> {
        match self {
            DeviceChoice::Cuda(_) if !cfg!(feature = "cuda") => Some("cuda"),
            DeviceChoice::Metal if !cfg!(feature = "metal") => Some("metal"),
            _ => None,
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::Auto => f.write_str("auto"),
            DeviceChoice::Cpu => f.write_str("cpu"),
            DeviceChoice::Cuda(index) => write!(f, "cuda:{index}"),
            DeviceChoice::Metal => f.write_str("metal"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(DeviceChoice::Auto),
            "cpu" => Ok(DeviceChoice::Cpu),
            "cuda" => Ok(DeviceChoice::Cuda(0)),
            "metal" => Ok(DeviceChoice::Metal),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(DeviceChoice::Cuda)
                .ok_or_else(|| {
                    "the device is one of auto, cpu, cuda, cuda:N (the N-th GPU, from 0) and metal".to_owned()
                }),
        }
    }
}

impl DeviceChoice {
    pub(crate) fn open(self) -> crate::model::Result<Device> {
        match self {
            Self::Auto => Ok(device::best()),
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(index) => device::cuda(index),
            Self::Metal => device::metal(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_shown() {
        for device in [
            DeviceChoice::Auto,
            DeviceChoice::Cpu,
            DeviceChoice::Cuda(3),
            DeviceChoice::Metal,
        ] {
            assert_eq!(device.to_string().parse(), Ok(device));
        }
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(0)));
    }

    #[test]
    fn other_devices_are_refused_with_the_list() {
        for text in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "CPU"] {
            assert!(text.parse::<DeviceChoice>().unwrap_err().contains("cuda:N"), "{text}");
        }
    }
}
