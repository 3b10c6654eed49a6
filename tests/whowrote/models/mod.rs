//! Tests that take the default models, or figures that they made.

mod attacks;
mod calibrated;
mod cross_entropy;
mod gate;
mod golden;
mod known_prompt;
mod own_samples;
mod probe;
mod referee;
mod runs;
mod tokenisers;
mod windows;
