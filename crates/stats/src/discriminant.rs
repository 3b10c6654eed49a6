//! Regularised discriminant analysis: how much likelier one author's figures are than those of all others.
//!
//! Each author's texts come in groups (ways of sampling, kinds of texts). The model takes the figures of a group to be
//! normal around the group's mean, with a covariance that the author's groups share. An author is the even mixture of
//! its groups:
//!
//! ```text
//! ln_odds = ln f_author(x) - ln sum_{others} f_other(x)
//! ```
//!
//! An author's covariance is shrunk half way towards the mean covariance of all authors, because few texts determine
//! few of its entries (J. H. Friedman, *Regularized discriminant analysis*, J. Amer. Statist. Assoc. 84, 1989; half way
//! between his linear and his quadratic rule).
//!
//! A verdict is valid even if the figures are not normal: the odds are a score, and [`super::conformal`] bounds its
//! error. What must hold is that all texts that are compared enter the fit in the same way, whatever their order
//! ([`Moments::with`]; docs/THEORY.md 11).

use super::e_value::log_sum_exp;
use super::linear_algebra::Square;

/// The weight of an author's own covariance against the mean of all authors'.
const OWN_COVARIANCE: f64 = 0.5;

/// The ridge added to each figure's variance, as a share of the variance. Without it, redundant figures would make the
/// covariance singular.
const RIDGE: f64 = 0.01;

/// The mean of some rows of figures, and their scatter about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    rows: f64,
    mean: Vec<f64>,
    /// The sum of `(x - mean)(x - mean)'` over the rows.
    scatter: Square,
}

impl Moments {
    /// The moments of rows with equally many figures; none without rows.
    pub fn of(rows: &[Vec<f64>]) -> Option<Self> {
        let figures = rows.first()?.len();
        let mut mean = vec![0.0; figures];
        for row in rows {
            mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        mean.iter_mut().for_each(|sum| *sum /= rows.len() as f64);
        let mut scatter = Square::zeros(figures);
        for row in rows {
            scatter.add_outer(1.0, &difference(row, &mean));
        }
        Some(Self {
            rows: rows.len() as f64,
            mean,
            scatter,
        })
    }

    /// The moments of the same rows and one more.
    pub fn with(&self, row: &[f64]) -> Self {
        let rows = self.rows + 1.0;
        let apart = difference(row, &self.mean);
        let mut scatter = self.scatter.clone();
        scatter.add_outer(self.rows / rows, &apart);
        let mean = self.mean.iter().zip(apart).map(|(mean, apart)| mean + apart / rows);
        Self {
            rows,
            mean: mean.collect(),
            scatter,
        }
    }
}

fn difference(x: &[f64], y: &[f64]) -> Vec<f64> {
    x.iter().zip(y).map(|(x, y)| x - y).collect()
}

/// The fitted densities of several authors.
#[derive(Clone, Debug)]
pub struct Discriminant {
    authors: Vec<Density>,
}

/// An even mixture of normal densities of one covariance.
#[derive(Clone, Debug)]
struct Density {
    /// W with `W' W` the inverse of the covariance.
    whitening: Square,
    /// `W` times the mean of each group.
    means: Vec<Vec<f64>>,
    /// ln of the square root of the covariance's determinant.
    ln_volume: f64,
}

impl Discriminant {
    /// Fits the densities of some authors to the moments of their groups.
    ///
    /// None if an author has no group, or a figure is not finite.
    pub fn new(authors: &[Vec<Moments>]) -> Option<Self> {
        let covariances: Vec<Square> = authors.iter().map(|groups| within(groups)).collect::<Option<_>>()?;
        let mut mean = Square::zeros(covariances.first()?.size());
        covariances.iter().for_each(|covariance| mean += covariance);
        let mean = mean.scaled(1.0 / covariances.len() as f64);
        // A figure that never changes carries no information, whatever its variance is set to.
        let ridge: Vec<f64> = mean
            .diagonal()
            .map(|variance| RIDGE * variance.max(f64::EPSILON))
            .collect();
        let densities = authors.iter().zip(&covariances).map(|(groups, own)| {
            let mut covariance = own.scaled(OWN_COVARIANCE);
            covariance += &mean.scaled(1.0 - OWN_COVARIANCE);
            for (i, ridge) in ridge.iter().enumerate() {
                covariance[(i, i)] += ridge;
            }
            let root = covariance.cholesky()?;
            let whitening = root.inverse_of_lower();
            Some(Density {
                means: groups.iter().map(|group| whitening.times(&group.mean)).collect(),
                ln_volume: root.diagonal().map(f64::ln).sum(),
                whitening,
            })
        });
        let authors = densities.collect::<Option<_>>()?;
        Some(Self { authors })
    }

    /// How much likelier these figures are in a text by `author` than in a text by any of the others, ln. High values
    /// are evidence for the author. With a single author it is the logarithm of its density, up to a constant.
    pub fn ln_odds(&self, author: usize, figures: &[f64]) -> f64 {
        let densities: Vec<f64> = self.authors.iter().map(|density| density.ln_at(figures)).collect();
        let mut others = densities.clone();
        let own = others.remove(author);
        if others.is_empty() {
            own
        } else {
            own - log_sum_exp(&others)
        }
    }
}

/// The covariance within the groups of an author; none without groups or if a figure is not finite.
fn within(groups: &[Moments]) -> Option<Square> {
    let mut scatter = Square::zeros(groups.first()?.mean.len());
    groups.iter().for_each(|group| scatter += &group.scatter);
    let rows: f64 = groups.iter().map(|group| group.rows).sum();
    let covariance = scatter.scaled(1.0 / rows);
    covariance.is_finite().then_some(covariance)
}

impl Density {
    fn ln_at(&self, figures: &[f64]) -> f64 {
        let whitened = self.whitening.times(figures);
        let squares = |mean: &Vec<f64>| difference(&whitened, mean).iter().map(|d| d * d).sum::<f64>();
        let groups: Vec<f64> = self.means.iter().map(|mean| -0.5 * squares(mean)).collect();
        log_sum_exp(&groups) - (groups.len() as f64).ln() - self.ln_volume
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    fn rows(values: &[&[f64]]) -> Vec<Vec<f64>> {
        values.iter().map(|row| row.to_vec()).collect()
    }

    fn moments(values: &[&[f64]]) -> Moments {
        Moments::of(&rows(values)).unwrap()
    }

    #[test]
    fn one_figure_is_compared_as_two_normal_densities() {
        let first = moments(&[&[1.0], &[3.0]]);
        let second = moments(&[&[7.0], &[13.0]]);
        let fitted = Discriminant::new(&[vec![first], vec![second]]).unwrap();
        // Variances 1 and 9: their mean is 5, and each author has half of its own and a hundredth of the mean.
        let (a, b) = (0.5 + 2.5 + 0.05, 4.5 + 2.5 + 0.05);
        let ln_density = |x: f64, mean: f64, variance: f64| -0.5 * ((x - mean).powi(2) / variance + f64::ln(variance));
        for x in [-2.0, 2.0, 5.0, 30.0] {
            let expected = ln_density(x, 2.0, a) - ln_density(x, 10.0, b);
            let figures = vec![x];
            assert!((fitted.ln_odds(0, &figures) - expected).abs() < 1e-9);
            assert!((fitted.ln_odds(1, &figures) + expected).abs() < 1e-9);
        }
    }

    #[test]
    fn an_author_is_the_even_mixture_of_its_groups() {
        let groups = [
            moments(&[&[0.0, 1.0], &[2.0, 0.0], &[1.0, 5.0]]),
            moments(&[&[9.0, 1.0], &[7.0, 2.0]]),
        ];
        let other = vec![moments(&[&[4.0, 4.0], &[5.0, 8.0], &[6.0, 3.0]])];
        let x = vec![3.0, 2.0];
        let both = Discriminant::new(&[groups.to_vec(), other.clone()]).unwrap();
        let alone = Discriminant::new(&[groups.to_vec()]).unwrap();
        // Another rival adds to the evidence against an author.
        let three = Discriminant::new(&[groups.to_vec(), other.clone(), other]).unwrap();
        assert!(alone.ln_odds(0, &x) < 0.0);
        assert!(three.ln_odds(0, &x) < both.ln_odds(0, &x));
        // Near the other author's mean, the other author is likelier.
        let near_own = vec![1.0, 2.0];
        let near_other = vec![5.0, 5.0];
        assert!(both.ln_odds(0, &near_own) > 0.0 && both.ln_odds(0, &near_other) < 0.0);
    }

    #[test]
    fn figures_that_repeat_or_never_change_do_no_harm() {
        let a = moments(&[&[1.0, 1.0, 7.0], &[2.0, 2.0, 7.0]]);
        let b = moments(&[&[5.0, 5.0, 7.0], &[6.0, 6.0, 7.0]]);
        let fitted = Discriminant::new(&[vec![a], vec![b]]).unwrap();
        let odds = fitted.ln_odds(0, &[1.0, 1.0, 7.0]);
        assert!(odds.is_finite() && odds > 0.0);
    }

    #[test]
    fn what_cannot_be_fitted_is_not() {
        assert!(Moments::of(&[]).is_none());
        assert!(Discriminant::new(&[]).is_none());
        assert!(Discriminant::new(&[vec![]]).is_none());
        for bad in [f64::NAN, f64::INFINITY] {
            assert!(Discriminant::new(&[vec![moments(&[&[1.0], &[bad]])]]).is_none());
        }
    }

    /// If the figures really are normal, no rule is better than the ratio of the true densities (Neyman and Pearson).
    /// The fit comes within a few texts in a hundred of it.
    #[test]
    fn normal_figures_are_told_apart_as_well_as_by_their_true_densities() {
        let mut rng = StdRng::seed_from_u64(5);
        let normal = |rng: &mut StdRng| {
            let u: f64 = rng.random::<f64>().max(1e-300);
            (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * rng.random::<f64>()).cos()
        };
        let draw = |shift: f64, rng: &mut StdRng| {
            let common = normal(rng);
            (0..6)
                .map(|i| common + normal(rng) + if i < 2 { shift } else { 0.0 })
                .collect()
        };
        let texts = |shift, rng: &mut StdRng| (0..400).map(|_| draw(shift, rng)).collect::<Vec<_>>();
        let authors = [0.0, 1.5].map(|shift| vec![Moments::of(&texts(shift, &mut rng)).unwrap()]);
        let fitted = Discriminant::new(&authors).unwrap();
        // The true covariance is I + 11'; its inverse is I - 11'/7.
        let ln_density = |x: &Vec<f64>, shift: f64| {
            let apart: Vec<f64> = (0..6).map(|i| x[i] - if i < 2 { shift } else { 0.0 }).collect();
            let squares: f64 = apart.iter().map(|x| x * x).sum();
            -0.5 * (squares - apart.iter().sum::<f64>().powi(2) / 7.0)
        };
        let (mut wrong, mut least) = (0, 0);
        for (author, shift) in [(0, 0.0), (1, 1.5)] {
            for _ in 0..2_000 {
                let x = draw(shift, &mut rng);
                wrong += usize::from(fitted.ln_odds(author, &x) < 0.0);
                least += usize::from(ln_density(&x, shift) < ln_density(&x, 1.5 - shift));
            }
        }
        println!("{wrong} of 4,000 wrong, {least} with the true densities");
        assert!(wrong as f64 <= least as f64 + 80.0);
        assert!(least > 200, "the task decides nothing");
    }

    proptest! {
        #[test]
        fn one_row_more_is_as_if_it_had_been_there(
            values in prop::collection::vec(prop::array::uniform3(-9.0..9.0f64), 2..20)
        ) {
            let all: Vec<Vec<f64>> = values.iter().map(|row| row.to_vec()).collect();
            let (last, others) = all.split_last().unwrap();
            let added = Moments::of(others).unwrap().with(last);
            let together = Moments::of(&all).unwrap();
            prop_assert!(difference(&added.mean, &together.mean).iter().all(|d| d.abs() < 1e-9));
            let mut apart = added.scatter;
            apart += &together.scatter.scaled(-1.0);
            prop_assert!(apart.norm() < 1e-7);
        }
    }
}
