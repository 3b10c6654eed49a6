//! Exponentials that make no call, so that loops over them vectorise.

use multiversion::multiversion;

/// exp(y) for |y| at most 87, with a relative error below 2⁻²²: Cephes' polynomial. It makes no call, so loops over it
/// vectorise.
#[inline(always)]
pub fn exp(y: f32) -> f32 {
    /// 1.5·2²³. Adding it rounds to an integer and leaves that integer in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let shifted = y * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts, so that n·ln 2 is exact.
    let f = (y - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let p = ((((1.987_569_1e-4 * f + 1.398_199_9e-3) * f + 8.333_452e-3) * f + 4.166_579_6e-2) * f + 1.666_666_6e-1)
        * f
        + 0.5;
    let value = p * (f * f) + f + 1.0;
    value * f32::from_bits(shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23)
}

/// exp(scale·x) divided by its sum, in place.
#[multiversion(targets(
    "x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
pub fn softmax(row: &mut [f32], scale: f32) {
    const LANES: usize = 8;
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = if x > *lane { x } else { *lane };
        }
    }
    let max = rest
        .iter()
        .chain(&lanes)
        .fold(f32::NEG_INFINITY, |m, &x| if x > m { x } else { m });
    let weight = |x: f32| {
        let y = (x - max) * scale;
        exp(if y < -87.0 { -87.0 } else { y })
    };
    let mut lanes = [0f32; LANES];
    let (chunks, rest) = row.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *x = weight(*x);
            *lane += *x;
        }
    }
    let mut sum: f32 = lanes.iter().sum();
    for x in rest {
        *x = weight(*x);
        sum += *x;
    }
    let factor = 1.0 / sum;
    row.iter_mut().for_each(|x| *x *= factor);
}

/// exp(factor·(x - largest x)) of every number, into a buffer that is reused. The largest number becomes 1.
#[multiversion(targets(
    "x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
pub fn exp_over(row: &[f32], factor: f32, out: &mut Vec<f32>) {
    let max = row.iter().fold(f32::NEG_INFINITY, |m, &x| if x > m { x } else { m });
    out.clear();
    out.extend(row.iter().map(|&x| {
        let y = (x - max) * factor;
        exp(if y < -87.0 { -87.0 } else { y })
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_right_to_the_last_bits() {
        for i in -20_000..=20_000 {
            let y = 87.0 * i as f32 / 20_000.0;
            let exact = f64::from(y).exp();
            assert!((f64::from(exp(y)) / exact - 1.0).abs() < 2.4e-7, "{y}");
        }
    }
}
