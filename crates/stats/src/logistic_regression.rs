//! Multinomial logistic regression on figures and on all products of two of them: how much likelier one author's
//! figures are than those of all others.
//!
//! Every figure is put on one scale (mean 0, variance 1, at most 6 from 0). The terms are the figures, their
//! squares and their products, put on one scale again. With the terms z, author a is taken to have the probability
//!
//! ```text
//! p_a(z) = exp(b_a + w_a'z)/sum_c exp(b_c + w_c'z)
//! ```
//!
//! The weights w and the constants b minimise the mean of -ln p over the known texts, plus half a penalty times the
//! sum of all squared weights (ridge regression: S. le Cessie and J. C. van Houwelingen, *Ridge estimators in logistic
//! regression*, Appl. Statist. 41, 1992). The boundary between two authors is a quadric, as between two normal
//! densities, but nothing is assumed of the densities.
//!
//! A verdict is valid whatever the fit is worth: the odds are a score, and [`super::conformal`] bounds its error. What
//! must hold is that no text whose score is compared was in the fit (docs/THEORY.md 11).

use super::e_bh::ROUNDING;
use super::e_value::log_sum_exp;
use super::linear_algebra::Square;
use argmin::core::{CostFunction, Error, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use std::cell::RefCell;

/// The weight of the penalty. Chosen by measured power on texts of the calibrations (docs/VALIDITY.md).
const RIDGE: f64 = 1e-3;

/// How far from the mean a figure counts, in standard deviations. Beyond it, a product of two figures would say more
/// about their odd text than about an author.
const FARTHEST: f64 = 6.0;

/// The fit ends where the gradient is shorter than this. Its steps change odds by less than a hundredth of a nat.
const FLAT: f64 = 1e-6;

/// The fit ends after this many steps, wherever it is. It takes about 30.
const MOST_STEPS: u64 = 300;

/// How many earlier steps the search for the minimum remembers.
const MEMORY: usize = 10;

/// A text whose author is known.
#[derive(Clone, Debug)]
pub struct Example {
    /// The text's figures; equally many for each text.
    pub figures: Vec<f64>,
    /// The author's number, from 0.
    pub author: usize,
    /// How much the text counts, relative to the others.
    pub weight: f64,
}

/// A fitted regression.
#[derive(Clone, Debug)]
pub struct LogisticRegression {
    figures: Scale,
    terms: Scale,
    /// For each author the weight of each term, and last the constant.
    weights: Vec<Vec<f64>>,
}

impl LogisticRegression {
    /// Fits the regression to texts by this many authors. None without texts, or if a figure is not finite.
    pub fn fit(examples: &[Example], authors: usize) -> Option<Self> {
        let total: f64 = examples.iter().map(|example| example.weight).sum();
        let weights: Vec<f64> = examples.iter().map(|example| example.weight / total).collect();
        let rows = examples
            .iter()
            .map(|example| example.figures.clone())
            .collect::<Vec<_>>();
        let figures = Scale::of(&rows, &weights)?;
        let rows: Vec<Vec<f64>> = rows.iter().map(|row| terms(&figures.apply(row))).collect();
        let terms = Scale::of(&rows, &weights)?;
        let rows: Vec<Vec<f64>> = rows.iter().map(|row| terms.apply(row)).collect();
        let weights = Problem::new(examples, rows, weights, RIDGE)?.solve(authors)?;
        Some(Self {
            figures,
            terms,
            weights,
        })
    }

    /// How much likelier a text with these figures is by this author than by any other, nats: `ln p_a - ln(1 - p_a)`.
    pub fn ln_odds(&self, author: usize, figures: &[f64]) -> f64 {
        let terms = self.terms.apply(&terms(&self.figures.apply(figures)));
        let mut ln_p: Vec<f64> = self.weights.iter().map(|weights| affine(weights, &terms)).collect();
        let own = ln_p.remove(author);
        own - log_sum_exp(&ln_p)
    }
}

/// The same regression on the figures alone, without their squares and products: for each class the weight of each figure,
/// and last the constant. `ridge` is the weight of the penalty, which is on the weights of figures with variance 1. None as in
/// [`LogisticRegression::fit`].
pub fn fit_linear(examples: &[Example], classes: usize, ridge: f64) -> Option<Vec<Vec<f64>>> {
    let total: f64 = examples.iter().map(|example| example.weight).sum();
    let counts: Vec<f64> = examples.iter().map(|example| example.weight / total).collect();
    let rows: Vec<Vec<f64>> = examples.iter().map(|example| example.figures.clone()).collect();
    let scale = Scale::of(&rows, &counts)?;
    let rows = rows.iter().map(|row| scale.scaled(row).collect()).collect();
    let of_class = |weights: Vec<f64>| {
        let (constant, weights) = weights.split_last()?;
        let weights: Vec<f64> = weights.iter().zip(&scale.deviations).map(|(w, d)| w / d).collect();
        let shift: f64 = weights.iter().zip(&scale.means).map(|(w, mean)| w * mean).sum();
        Some(weights.into_iter().chain([constant - shift]).collect())
    };
    let weights = Problem::new(examples, rows, counts, ridge)?.solve(classes)?;
    weights.into_iter().map(of_class).collect()
}

/// The figures, their squares and their products.
fn terms(figures: &[f64]) -> Vec<f64> {
    let products = figures.iter().enumerate();
    let products = products.flat_map(|(i, first)| figures[i..].iter().map(move |second| first * second));
    figures.iter().copied().chain(products).collect()
}

/// The sum of products, plus the weight that is left over.
fn affine(weights: &[f64], terms: &[f64]) -> f64 {
    let products = weights.iter().zip(terms).map(|(weight, term)| weight * term);
    products.sum::<f64>() + weights[terms.len()]
}

/// What puts numbers on one scale.
#[derive(Clone, Debug)]
struct Scale {
    means: Vec<f64>,
    deviations: Vec<f64>,
}

impl Scale {
    /// The weighted means and standard deviations of the columns; none without rows, or if one is not finite.
    fn of(rows: &[Vec<f64>], weights: &[f64]) -> Option<Self> {
        let width = rows.first()?.len();
        let mean = |of: &dyn Fn(usize, f64) -> f64| {
            let mut means = vec![0.0; width];
            for (row, weight) in rows.iter().zip(weights) {
                for (i, mean) in means.iter_mut().enumerate() {
                    *mean += weight * of(i, row[i]);
                }
            }
            means
        };
        let means = mean(&|_, value| value);
        let variances = mean(&|i, value| (value - means[i]).powi(2));
        // A figure that never changes says nothing, and stays 0.
        let deviation = |(variance, mean): (f64, &f64)| {
            if variance > ROUNDING * mean * mean {
                variance.sqrt()
            } else {
                f64::INFINITY
            }
        };
        let is_finite = means.iter().chain(&variances).all(|value| value.is_finite());
        let deviations = variances.into_iter().zip(&means).map(deviation).collect();
        is_finite.then_some(Self { means, deviations })
    }

    fn scaled<'a>(&'a self, row: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        let scaled = row.iter().zip(&self.means).zip(&self.deviations);
        scaled.map(|((value, mean), deviation)| (value - mean) / deviation)
    }

    fn apply(&self, row: &[f64]) -> Vec<f64> {
        // `clamp` keeps what is not a number.
        self.scaled(row).map(|value| value.clamp(-FARTHEST, FARTHEST)).collect()
    }
}

/// What is minimised, as a function of parameters in which it is nearly round, so that few steps find the minimum.
///
/// The second derivative of the mean of -ln p in one author's weights is at most a quarter of the terms' second moment.
/// With `root` the Cholesky factor of that bound, ridge included, the parameters of an author are `root' w`.
struct Problem {
    rows: Vec<Vec<f64>>,
    authors: Vec<usize>,
    counts: Vec<f64>,
    ridge: f64,
    root: Square,
    /// The last point that was asked for. Its value and its gradient are found in one pass.
    last: RefCell<Option<Point>>,
}

/// A point with its value and its gradient.
struct Point {
    parameters: Vec<f64>,
    cost: f64,
    gradient: Vec<f64>,
}

impl Problem {
    fn new(examples: &[Example], rows: Vec<Vec<f64>>, counts: Vec<f64>, ridge: f64) -> Option<Self> {
        let mut moment = Square::zeros(rows.first()?.len());
        for (row, count) in rows.iter().zip(&counts) {
            moment.add_outer(count / 4.0, row);
        }
        for i in 0..moment.size() {
            moment[(i, i)] += ridge;
        }
        Some(Self {
            root: moment.cholesky()?,
            rows,
            authors: examples.iter().map(|example| example.author).collect(),
            counts,
            ridge,
            last: RefCell::new(None),
        })
    }

    /// The minimum: for each author the weights of the terms and the constant.
    fn solve(&self, authors: usize) -> Option<Vec<Vec<f64>>> {
        let start = vec![0.0; authors * (self.root.size() + 1)];
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY)
            .with_tolerance_grad(FLAT)
            .ok()?;
        let found = Executor::new(self, solver)
            .configure(|state| state.param(start).max_iters(MOST_STEPS))
            .run()
            .ok()?;
        Some(self.weights(found.state.get_best_param()?))
    }

    /// For each author the weights of the terms and the constant.
    fn weights(&self, parameters: &[f64]) -> Vec<Vec<f64>> {
        let of_author = |own: &[f64]| {
            let (constant, rotated) = own.split_last().expect("an author has a constant");
            let mut weights = self.root.solve_transposed(rotated);
            weights.push(*constant);
            weights
        };
        parameters.chunks(self.root.size() + 1).map(of_author).collect()
    }

    /// The penalised mean of -ln p, and its gradient in the parameters.
    fn at(&self, parameters: &[f64]) -> (f64, Vec<f64>) {
        let weights = self.weights(parameters);
        let width = self.root.size();
        let mut cost = 0.0;
        let mut slopes: Vec<Vec<f64>> = weights
            .iter()
            .map(|weights| {
                weights[..width]
                    .iter()
                    .map(|weight| self.ridge * weight)
                    .chain([0.0])
                    .collect()
            })
            .collect();
        for weight in weights.iter().flat_map(|weights| &weights[..width]) {
            cost += self.ridge / 2.0 * weight * weight;
        }
        for ((row, &author), count) in self.rows.iter().zip(&self.authors).zip(&self.counts) {
            let ln_p: Vec<f64> = weights.iter().map(|weights| affine(weights, row)).collect();
            let total = log_sum_exp(&ln_p);
            cost += count * (total - ln_p[author]);
            for (other, slopes) in slopes.iter_mut().enumerate() {
                let excess = count * ((ln_p[other] - total).exp() - if other == author { 1.0 } else { 0.0 });
                let (constant, slopes) = slopes.split_last_mut().expect("an author has a constant");
                *constant += excess;
                for (slope, term) in slopes.iter_mut().zip(row) {
                    *slope += excess * term;
                }
            }
        }
        let rotated = slopes.iter().flat_map(|slopes| {
            let mut rotated = self.root.solve(&slopes[..width]);
            rotated.push(slopes[width]);
            rotated
        });
        (cost, rotated.collect())
    }

    /// Something of the point with these parameters.
    fn of_point<T>(&self, parameters: &[f64], take: impl Fn(&Point) -> T) -> T {
        let mut last = self.last.borrow_mut();
        if let Some(point) = last.as_ref().filter(|point| point.parameters == parameters) {
            return take(point);
        }
        let (cost, gradient) = self.at(parameters);
        take(last.insert(Point {
            parameters: parameters.to_vec(),
            cost,
            gradient,
        }))
    }
}

impl CostFunction for &Problem {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, parameters: &Vec<f64>) -> Result<f64, Error> {
        Ok(self.of_point(parameters, |point| point.cost))
    }
}

impl Gradient for &Problem {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, parameters: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Ok(self.of_point(parameters, |point| point.gradient.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};
    use rand_distr::StandardNormal;

    fn examples(texts: &[(usize, &[f64])]) -> Vec<Example> {
        let example = |&(author, figures): &(usize, &[f64])| Example {
            figures: figures.to_vec(),
            author,
            weight: 1.0,
        };
        texts.iter().map(example).collect()
    }

    /// At the minimum the gradient in the weights is 0. Here it is found anew, by differences of the value.
    #[test]
    fn the_fit_is_at_the_minimum() {
        let mut rng = StdRng::seed_from_u64(2);
        let examples: Vec<Example> = (0..300)
            .map(|i| Example {
                figures: (0..3)
                    .map(|_| rng.sample::<f64, _>(StandardNormal) + (i % 3) as f64)
                    .collect(),
                author: i % 3,
                weight: 1.0 + (i % 2) as f64,
            })
            .collect();
        let fitted = LogisticRegression::fit(&examples, 3).unwrap();
        let cost = |weights: &[Vec<f64>]| {
            let moved = LogisticRegression {
                weights: weights.to_vec(),
                ..fitted.clone()
            };
            let total: f64 = examples.iter().map(|example| example.weight).sum();
            let loss = |e: &Example| e.weight / total * (-moved.ln_odds(e.author, &e.figures)).exp().ln_1p();
            let squares = weights
                .iter()
                .flat_map(|weights| &weights[..9])
                .map(|weight| weight * weight);
            examples.iter().map(loss).sum::<f64>() + RIDGE / 2.0 * squares.sum::<f64>()
        };
        let least = cost(&fitted.weights);
        assert!(least < 0.6, "{least}");
        for author in 0..3 {
            for term in 0..10 {
                let moved = |by: f64| {
                    let mut weights = fitted.weights.clone();
                    weights[author][term] += by;
                    cost(&weights)
                };
                let slope = (moved(1e-4) - moved(-1e-4)) / 2e-4;
                assert!(slope.abs() < 1e-5, "{author} {term}: {slope}");
            }
        }
    }

    /// The differences to the first class, as scikit-learn 1.7 finds them (`LogisticRegression(C=20, tol=1e-12)` on figures with
    /// mean 0 and variance 1, with these weights).
    #[test]
    fn the_linear_fit_equals_that_of_another_program() {
        let examples: Vec<Example> = (0..40)
            .map(|i| {
                let (i, class) = (i as f64, (i % 3) as f64);
                Example {
                    figures: vec![
                        i * 7.0 % 11.0 - 5.0 + 2.0 * class,
                        i * 5.0 % 13.0 / 2.0 - class,
                        i * 3.0 % 7.0 * 10.0 + 5.0 * (i % 2.0),
                    ],
                    author: class as usize,
                    weight: 1.0 + i % 2.0,
                }
            })
            .collect();
        let weights = fit_linear(&examples, 3, 0.05).unwrap();
        let expected = [
            [0.168_46, -0.173_359, -0.003_492, 0.202_011],
            [0.280_492, -0.394_802, -0.010_822, 0.436_134],
        ];
        for (class, expected) in expected.iter().enumerate() {
            for (i, expected) in expected.iter().enumerate() {
                let found = weights[class + 1][i] - weights[0][i];
                assert!((found - expected).abs() < 2e-5, "{class} {i}: {found}");
            }
        }
        assert!(fit_linear(&[], 2, 0.05).is_none());
    }

    /// Two normal densities have quadratic log-odds, so no rule is better than their ratio (Neyman and Pearson), and the
    /// fit comes near it.
    #[test]
    fn normal_figures_are_told_apart_as_well_as_by_their_true_densities() {
        let mut rng = StdRng::seed_from_u64(5);
        let draw = |author: usize, rng: &mut StdRng| -> Vec<f64> {
            (0..4)
                .map(|_| rng.sample::<f64, _>(StandardNormal) * if author == 0 { 1.0 } else { 1.8 })
                .collect()
        };
        let known: Vec<Example> = (0..1_000)
            .map(|i| Example {
                figures: draw(i % 2, &mut rng),
                author: i % 2,
                weight: 1.0,
            })
            .collect();
        let fitted = LogisticRegression::fit(&known, 2).unwrap();
        let true_odds = |x: &[f64]| {
            let squares: f64 = x.iter().map(|x| x * x).sum();
            -0.5 * squares * (1.0 - 1.0 / 1.8f64.powi(2)) + 4.0 * 1.8f64.ln()
        };
        let (mut wrong, mut least) = (0, 0);
        for i in 0..4_000 {
            let x = draw(i % 2, &mut rng);
            wrong += usize::from(fitted.ln_odds(i % 2, &x) < 0.0);
            least += usize::from((true_odds(&x) < 0.0) == (i % 2 == 0));
        }
        println!("{wrong} of 4,000 wrong, {least} by the true densities");
        assert!(wrong <= least + 120);
        assert!(least > 400, "the task decides nothing");
    }

    #[test]
    fn a_text_counts_by_its_weight() {
        let once = examples(&[(0, &[0.0]), (0, &[0.4]), (1, &[1.0]), (1, &[0.3])]);
        let mut weighted = once.clone();
        weighted[3].weight = 3.0;
        let repeated = [&once[..], &once[3..], &once[3..]].concat();
        let [by_weight, by_copies] = [&weighted, &repeated].map(|known| LogisticRegression::fit(known, 2).unwrap());
        for x in [-1.0, 0.2, 0.7, 4.0] {
            let difference = by_weight.ln_odds(0, &[x]) - by_copies.ln_odds(0, &[x]);
            assert!(difference.abs() < 1e-2, "{difference}");
        }
    }

    #[test]
    fn what_cannot_be_fitted_is_not_and_what_never_changes_does_no_harm() {
        assert!(LogisticRegression::fit(&[], 2).is_none());
        for bad in [f64::NAN, f64::INFINITY] {
            assert!(LogisticRegression::fit(&examples(&[(0, &[0.0]), (1, &[bad])]), 2).is_none());
        }
        let texts = examples(&[(0, &[1.0, 1.0, 7.0]), (0, &[2.0, 2.0, 7.0]), (1, &[5.0, 5.0, 7.0])]);
        let fitted = LogisticRegression::fit(&texts, 2).unwrap();
        let odds = fitted.ln_odds(0, &[1.0, 1.0, 7.0]);
        assert!(odds.is_finite() && odds > 0.0);
        assert!(fitted.ln_odds(0, &[f64::NAN, 1.0, 7.0]).is_nan());
    }

    proptest! {
        /// The odds of the authors are those of probabilities that add up to 1.
        #[test]
        fn probabilities_add_up_to_one(
            values in prop::collection::vec(prop::array::uniform3(-9.0..9.0f64), 3..30), at in prop::array::uniform3(-20.0..20.0f64)
        ) {
            let known: Vec<Example> = values
                .iter()
                .enumerate()
                .map(|(i, figures)| Example { figures: figures.to_vec(), author: i % 3, weight: 1.0 })
                .collect();
            let fitted = LogisticRegression::fit(&known, 3).unwrap();
            let total: f64 = (0..3).map(|author| 1.0 / (1.0 + (-fitted.ln_odds(author, &at)).exp())).sum();
            prop_assert!((total - 1.0).abs() < 1e-9, "{total}");
        }
    }
}
