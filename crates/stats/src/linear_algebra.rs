//! The small part of linear algebra that [`super::logistic_regression`] needs: small square matrices and the Cholesky factor.

use std::ops::{Index, IndexMut};

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

    /// The x for which `L x` is this vector. The matrix is taken to be lower triangular, without zeros on its diagonal.
    pub(crate) fn solve(&self, vector: &[f64]) -> Vec<f64> {
        let mut solved = vector.to_vec();
        for i in 0..self.size {
            let known: f64 = (0..i).map(|j| self[(i, j)] * solved[j]).sum();
            solved[i] = (solved[i] - known) / self[(i, i)];
        }
        solved
    }

    /// The x for which `L' x` is this vector, for the same L.
    pub(crate) fn solve_transposed(&self, vector: &[f64]) -> Vec<f64> {
        let mut solved = vector.to_vec();
        for i in (0..self.size).rev() {
            solved[i] /= self[(i, i)];
            let found = solved[i];
            for (j, value) in solved[..i].iter_mut().enumerate() {
                *value -= self[(i, j)] * found;
            }
        }
        solved
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
        fn what_the_root_solves_its_matrix_makes_again(
            values in prop::collection::vec(-3.0..3.0f64, 16), vector in prop::collection::vec(-3.0..3.0f64, 4)
        ) {
            let mut spread = Square::zeros(4);
            for row in values.chunks(4) {
                spread.add_outer(1.0, row);
            }
            for i in 0..4 {
                spread[(i, i)] += 0.1;
            }
            let root = spread.cholesky().unwrap();
            let solved = root.solve_transposed(&root.solve(&vector));
            for (i, expected) in vector.iter().enumerate() {
                let made: f64 = solved.iter().enumerate().map(|(j, x)| spread[(i, j)] * x).sum();
                prop_assert!((made - expected).abs() < 1e-8, "{made} {expected}");
            }
        }
    }
}
