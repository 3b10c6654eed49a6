//! The steps of a layer.
//!
//! Each step is written in candle's own operations, which run on every device. On the CPU a kernel of
//! [`super::cpu_kernels`] takes its place, and is tested against it.

use super::architecture::Activation;
use super::cpu_kernels;
use candle_core::{D, Device, Result, Storage, Tensor, bail};

/// Which keys a query sees, and how query-key products become weights.
#[derive(Clone, Copy, Debug)]
pub struct Mask<'a> {
    /// For each row, the number of keys before the first query.
    pub past: &'a [usize],
    /// The number of keys that a query sees, including its own. None: all keys before it.
    pub window: Option<usize>,
    /// The factor on products.
    pub scale: f64,
    /// `cap·tanh(x/cap)` on scaled products.
    pub softcap: Option<f64>,
}

fn on_cpu(x: &Tensor) -> bool {
    matches!(x.device(), Device::Cpu)
}

/// Runs `f` on the numbers of a contiguous f32 tensor in main memory.
pub fn with_values<T>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> Result<T>) -> Result<T> {
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(storage), Some((start, end))) => f(&storage.as_slice::<f32>()?[start..end]),
        _ => bail!("a tensor is not in memory in one piece"),
    }
}

/// `x·wᵀ` of `(rows, columns)` by `(n, columns)`.
pub fn linear(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    // If a vendor's library is built in, it does the multiplications.
    if on_cpu(x) && !cfg!(any(feature = "mkl", feature = "accelerate")) {
        x.contiguous()?.apply_op2_no_bwd(w, &cpu_kernels::LinearKernel)
    } else {
        x.matmul(&w.t()?)
    }
}

/// `x / sqrt(mean(x²) + epsilon) · weight` along the last dimension.
pub fn rms_norm(x: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor> {
    let x = x.contiguous()?;
    if on_cpu(&x) {
        x.apply_op2_no_bwd(weight, &cpu_kernels::RmsNormKernel(epsilon as f32))
    } else {
        candle_nn::ops::rms_norm(&x, weight, epsilon as f32)
    }
}

/// `activation(gate)·up` of `(tokens, 2·intermediate)`, where gate stands before up: `(tokens, intermediate)`.
pub fn gate(gate_up: &Tensor, activation: Activation) -> Result<Tensor> {
    if on_cpu(gate_up) {
        gate_up
            .contiguous()?
            .apply_op1_no_bwd(&cpu_kernels::GateKernel(activation))
    } else {
        gate_in_candle(gate_up, activation)
    }
}

fn gate_in_candle(gate_up: &Tensor, activation: Activation) -> Result<Tensor> {
    let width = gate_up.dim(D::Minus1)? / 2;
    let gate = gate_up.narrow(D::Minus1, 0, width)?;
    let up = gate_up.narrow(D::Minus1, width, width)?;
    let gate = match activation {
        Activation::Silu => gate.silu()?,
        Activation::GeluTanh => gate.gelu()?,
    };
    gate * up
}

/// Rotates the two halves of every head of `(tokens, heads, head_dim)` by tables `(tokens, head_dim / 2)`.
pub fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    candle_nn::rotary_emb::rope_thd(&x.contiguous()?.unsqueeze(0)?, cos, sin)?.squeeze(0)
}

/// Causal attention of queries `(batch, tokens, heads, head_dim)` over keys and values
/// `(batch, keys, kv_heads, head_dim)`: `(batch, tokens, heads, head_dim)`. The tensors of keys and values may have
/// more rows and more keys than the mask shows to the queries.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, mask: &Mask) -> Result<Tensor> {
    let (q, k, v) = (q.contiguous()?, k.contiguous()?, v.contiguous()?);
    if on_cpu(&q) {
        q.apply_op3_no_bwd(&k, &v, &cpu_kernels::AttentionKernel(*mask))
    } else {
        attention_in_candle(&q, &k, &v, mask)
    }
}

fn attention_in_candle(q: &Tensor, k: &Tensor, v: &Tensor, mask: &Mask) -> Result<Tensor> {
    let (batch, tokens, heads, head_dim) = q.dims4()?;
    let kv_heads = k.dim(2)?;
    let keys = mask.past.iter().max().map_or(0, |past| past + tokens);
    let (k, v) = (
        k.narrow(0, 0, batch)?.narrow(1, 0, keys)?,
        v.narrow(0, 0, batch)?.narrow(1, 0, keys)?,
    );
    let group = heads / kv_heads;
    let q = q
        .transpose(1, 2)?
        .reshape((batch, kv_heads, group * tokens, head_dim))?;
    let k = k.transpose(1, 2)?.contiguous()?;
    let v = v.transpose(1, 2)?.contiguous()?;
    let mut scores = (q.matmul(&k.t()?)? * mask.scale)?;
    if let Some(cap) = mask.softcap {
        scores = ((scores / cap)?.tanh()? * cap)?;
    }
    let hidden = mask.past.iter().flat_map(|past| {
        (0..tokens).flat_map(move |i| {
            let position = past + i;
            (0..keys).map(move |j| {
                let seen = j <= position && mask.window.is_none_or(|w| position - j < w);
                if seen { 0f32 } else { f32::NEG_INFINITY }
            })
        })
    });
    let hidden = Tensor::from_iter(hidden, q.device())?.reshape((batch, 1, tokens, keys))?;
    let scores = scores
        .reshape((batch, kv_heads * group, tokens, keys))?
        .broadcast_add(&hidden)?;
    let weights = candle_nn::ops::softmax_last_dim(&scores)?.reshape((batch, kv_heads, group * tokens, keys))?;
    weights
        .matmul(&v)?
        .reshape((batch, heads, tokens, head_dim))?
        .transpose(1, 2)?
        .contiguous()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::quantized::{GgmlDType, QTensor};

    fn random(shape: &[usize]) -> Tensor {
        Tensor::randn(0f32, 2.0, shape, &Device::Cpu).unwrap()
    }

    fn assert_equal(a: &Tensor, b: &Tensor) {
        let worst = (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
        assert_eq!(a.dims(), b.dims());
        assert!(worst.to_scalar::<f32>().unwrap() < 2e-5, "{worst}");
    }

    #[test]
    fn the_attention_kernel_equals_candle() {
        for (past, tokens, heads, kv_heads, window, softcap) in [
            (&[0][..], 1, 4, 4, None, None),
            (&[0], 200, 9, 3, None, None),
            (&[0, 0], 70, 4, 1, Some(16), None),
            (&[37, 37, 37], 1, 4, 2, Some(5), None),
            (&[64, 64], 65, 2, 2, None, Some(3.0)),
            (&[37, 0, 2, 90], 1, 9, 3, None, None),
            (&[37, 0, 2, 90], 1, 4, 1, Some(5), Some(3.0)),
            (&[3, 80, 0], 66, 4, 2, Some(70), None),
        ] {
            let batch = past.len();
            let room = past.iter().max().unwrap() + tokens;
            let mask = Mask {
                past,
                window,
                scale: 0.25,
                softcap,
            };
            let q = random(&[batch, tokens, heads, 32]);
            let k = random(&[batch + 1, room + 3, kv_heads, 32]);
            let v = random(&[batch + 1, room + 3, kv_heads, 32]);
            assert_equal(
                &attention(&q, &k, &v, &mask).unwrap(),
                &attention_in_candle(&q, &k, &v, &mask).unwrap(),
            );
        }
    }

    #[test]
    fn the_gate_kernel_equals_candle() {
        for activation in [Activation::Silu, Activation::GeluTanh] {
            let x = (random(&[37, 2 * 45]) * 3.0).unwrap();
            assert_equal(&gate(&x, activation).unwrap(), &gate_in_candle(&x, activation).unwrap());
        }
    }

    #[test]
    fn the_norm_kernel_equals_candle() {
        let (x, weight) = (random(&[5, 7, 50]), random(&[50]));
        let plain = candle_nn::ops::rms_norm(&x, &weight, 1e-5).unwrap();
        assert_equal(&rms_norm(&x, &weight, 1e-5).unwrap(), &plain);
    }

    #[test]
    fn unpacked_blocks_equal_candle() {
        let packed = QTensor::quantize(&random(&[6, 96]), GgmlDType::Q8_0).unwrap();
        let plain = packed
            .dequantize(&Device::Cpu)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        let mut out = vec![0.0; plain.len()];
        whowrote_kernels::unpack_q8_0(&packed.data().unwrap(), &mut out);
        assert_eq!(out, plain);
    }

    #[test]
    fn the_multiplication_kernel_equals_candle() {
        let (x, w) = (random(&[13, 64]), random(&[37, 64]));
        assert_equal(&linear(&x, &w).unwrap(), &x.matmul(&w.t().unwrap()).unwrap());
    }
}
