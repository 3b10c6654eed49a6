//! The small part of linear algebra that [`super::discriminant`] needs: small square matrices and the Cholesky factor.

use std::ops::{AddAssign, Index, IndexMut};

/// A square matrix, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Square {
    size: usize,
    values: Vec<f64>,
}

impl Square {
    pub(crate) fn zeros(size: usize) -> Self {
        Self {
            size,
            values: vec![0.0; size * size],
        }
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Adds `scale * x x'`.
    pub(crate) fn add_outer(&mut self, scale: f64, x: &[f64]) {
        for (i, &own) in x.iter().enumerate() {
            for (j, &other) in x.iter().enumerate() {
                self[(i, j)] += scale * other * own;
            }
        }
    }

    pub(crate) fn scaled(&self, factor: f64) -> Self {
        let values = self.values.iter().map(|value| value * factor).collect();
        Self {
            size: self.size,
            values,
        }
    }

    /// The Frobenius norm.
    #[cfg(test)]
    pub(crate) fn norm(&self) -> f64 {
        self.values.iter().map(|value| value * value).sum::<f64>().sqrt()
    }

    pub(crate) fn is_finite(&self) -> bool {
        self.values.iter().all(|value| value.is_finite())
    }

    pub(crate) fn diagonal(&self) -> impl Iterator<Item = f64> {
        (0..self.size).map(|i| self[(i, i)])
    }

    /// The product with a vector.
    pub(crate) fn times(&self, x: &[f64]) -> Vec<f64> {
        let row = |i: usize| x.iter().enumerate().map(|(j, x)| self[(i, j)] * x).sum();
        (0..self.size).map(row).collect()
    }

    /// The lower triangular L for which `L L'` is this symmetric matrix; none if the matrix is not positive definite.
    pub(crate) fn cholesky(&self) -> Option<Self> {
        let mut root = Self::zeros(self.size);
        for j in 0..self.size {
            for i in j..self.size {
                let known: f64 = (0..j).map(|k| root[(i, k)] * root[(j, k)]).sum();
                let rest = self[(i, j)] - known;
                root[(i, j)] = if i > j {
                    rest / root[(j, j)]
                } else if rest > 0.0 {
                    rest.sqrt()
                } else {
                    return None;
                };
            }
        }
        Some(root)
    }

    /// The inverse of a lower triangular matrix without zeros on its diagonal.
    pub(crate) fn inverse_of_lower(&self) -> Self {
        let mut inverse = Self::zeros(self.size);
        for j in 0..self.size {
            for i in j..self.size {
                let unit = if i == j { 1.0 } else { 0.0 };
                let known: f64 = (j..i).map(|k| self[(i, k)] * inverse[(k, j)]).sum();
                inverse[(i, j)] = (unit - known) / self[(i, i)];
            }
        }
        inverse
    }
}

impl Index<(usize, usize)> for Square {
    type Output = f64;

    fn index(&self, (row, column): (usize, usize)) -> &f64 {
        &self.values[row * self.size + column]
    }
}

impl IndexMut<(usize, usize)> for Square {
    fn index_mut(&mut self, (row, column): (usize, usize)) -> &mut f64 {
        &mut self.values[row * self.size + column]
    }
}

impl AddAssign<&Square> for Square {
    fn add_assign(&mut self, other: &Square) {
        for (value, other) in self.values.iter_mut().zip(&other.values) {
            *value += other;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matrix(size: usize, values: &[f64]) -> Square {
        Square {
            size,
            values: values.to_vec(),
        }
    }

    #[test]
    fn a_known_matrix_has_its_known_root() {
        // Wikipedia's example of a Cholesky decomposition.
        let known = matrix(3, &[4.0, 12.0, -16.0, 12.0, 37.0, -43.0, -16.0, -43.0, 98.0]);
        let root = known.cholesky().unwrap();
        assert_eq!(root, matrix(3, &[2.0, 0.0, 0.0, 6.0, 1.0, 0.0, -8.0, 5.0, 3.0]));
        assert_eq!(matrix(2, &[1.0, 2.0, 2.0, 1.0]).cholesky(), None);
        assert_eq!(matrix(1, &[f64::NAN]).cholesky(), None);
    }

    proptest! {
        #[test]
        fn the_root_whitens_its_matrix(values in prop::collection::vec(-3.0..3.0f64, 16)) {
            let mut spread = Square::zeros(4);
            for row in values.chunks(4) {
                spread.add_outer(1.0, row);
            }
            for i in 0..4 {
                spread[(i, i)] += 0.1;
            }
            let root = spread.cholesky().unwrap();
            let whitening = root.inverse_of_lower();
            for unit in 0..4 {
                // W S W' applied to a unit vector gives that vector.
                let column: Vec<f64> = (0..4).map(|j| whitening[(unit, j)]).collect();
                let whitened = whitening.times(&spread.times(&column));
                for (i, value) in whitened.into_iter().enumerate() {
                    let expected = if i == unit { 1.0 } else { 0.0 };
                    prop_assert!((value - expected).abs() < 1e-9, "{value}");
                }
            }
        }
    }
}
