//! What the figures of a text say about its author: pure functions in f64, without tensors, models or files.
//!
//! Every test is against one author (the null hypothesis). Its error is bounded for texts of any length, provided that
//! the author sampled from exactly the distribution that scored the text. docs/THEORY.md states and proves each bound.
//!
//! Each module, with its guarantee:
//!
//! - [`entropy_gap`]: log-perplexity against entropy, as an e-process. `exact` uses the model's own cumulants, `vocab`
//!   the closed-form ones. Valid at any stopping time.
//! - [`varentropy_bound`]: the same test in closed form, from the vocabulary's size and the number of tokens; also
//!   planning. Valid at a length fixed beforehand.
//! - [`cross_entropy`]: the surprisal under another model of the same vocabulary against what the author expects of it,
//!   as an e-process valid at any stopping time. Also a closed form from its ranges, valid for a tilt fixed beforehand.
//! - [`likelihood_ratio`]: a mixture of all other models against the author, token by token or at word borders. An
//!   anytime p-value; by tokens an e-process.
//! - [`composite_likelihood_ratio`]: a mixture of the author's own model without truncation and all other models
//!   against every decoding of a family. An anytime p-value.
//! - [`word_boundaries`]: borders common to all tokenisers, and the probability of a word including its end. The events
//!   are prefix-free.
//! - [`mixture`]: Bayes weights, with and without a fixed share. A sub-probability with bounded regret.
//! - [`truncated_likelihood`]: the likelihood of a text at any temperature and truncation. Never below the true one by
//!   more than rounding.
//! - [`max_likelihood`]: the maximum likelihood over all temperatures, top-p and top-k, also between the decodings of a
//!   grid. Never below any of them by more than rounding.
//! - [`conformal_scores`]: four numbers per model for the beginning of a text, and scores computed from them. No
//!   guarantee without [`conformal`].
//! - [`calibration::probe`]: how likely a text is by a person or by a model, from hidden states. No guarantee without [`conformal`].
//! - [`logistic_regression`]: how much likelier one author's figures are than those of others. No guarantee without
//!   [`conformal`].
//! - [`conformal`]: ranks a score among the scores of texts by known authors. Exact for exchangeable texts.
//! - [`e_value`]: averages, unions and p-values of e-values, in logarithms (Ville, Markov).
//! - [`e_bh`](mod@e_bh): many hypotheses in one run, with a bounded false discovery rate (e-BH).
//! - [`roc`]: how well a score tells texts of two kinds apart, with errors by document. A measurement, not a test.
//! - [`interval`]: the Clopper-Pearson interval for a rate. The coverage is at least as stated.
//! - [`verdict`]: from all of this to a confidence set of authors.
//!
//! [`e_value::ln_union`] combines several tests against one author; it is valid at any time, on any clock. Tests that
//! all move token by token can use [`e_value::ln_average`] instead. The confidence set keeps every author whose p-value
//! is above alpha. It contains the true author with probability at least 1 - alpha, however many authors there are.
//!
//! A figure that is not finite voids its test: ln E is minus infinity, which never rejects.
//!
//! # References
//!
//! - T. Radvand, M. Abdolmaleki, M. Mostagir, A. Tewari, *Zero-shot statistical tests for LLM-generated text detection
//!   using finite sample concentration inequalities*, arXiv 2501.02406.
//! - J. Ville, *Étude critique de la notion de collectif*, 1939.
//! - D. Reeb, M. M. Wolf, *Tight bound on relative entropy by entropy difference*, IEEE Trans. Inf. Theory 61(3), 2015.
//! - M. Herbster, M. K. Warmuth, *Tracking the best expert*, Machine Learning 32, 1998.
//! - V. Vovk, R. Wang, *E-values: calibration, combination and applications*, Ann. Statist. 49(3), 2021.
//! - S. R. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, *Time-uniform, nonparametric, nonasymptotic confidence
//!   sequences*, Ann. Statist. 49(2), 2021.
//! - W. Hoeffding, *Probability inequalities for sums of bounded random variables*, J. Amer. Statist. Assoc. 58, 1963.
//! - K. Azuma, *Weighted sums of certain dependent random variables*, Tohoku Math. J. 19, 1967.
//! - Y. J. Choe, A. Ramdas, *Combining evidence across filtrations*, arXiv 2402.09698.
//! - R. Wang, A. Ramdas, *False discovery rate control with e-values*, J. R. Statist. Soc. B 84(3), 2022.
//! - C. J. Clopper, E. S. Pearson, Biometrika 26(4), 1934.

pub mod calibration;
pub mod composite_likelihood_ratio;
pub mod conformal;
pub mod conformal_scores;
pub mod cross_entropy;
pub mod e_bh;
pub mod e_value;
pub mod entropy_gap;
pub mod interval;
pub mod likelihood_ratio;
mod linear_algebra;
pub mod logistic_regression;
pub mod max_likelihood;
pub mod mixture;
pub mod roc;
pub mod sampling_params;
pub mod token_stats;
pub mod truncated_likelihood;
pub mod varentropy_bound;
pub mod verdict;
pub mod word_boundaries;

pub use cross_entropy::{CrossEvidence, CrossProcess};
pub use e_bh::{ROUNDING, counting_e_value, e_bh, expected_rejections, least_rejections};
pub use e_value::{ln_average, ln_union, log_sum_exp, p_value, rejects};
pub use entropy_gap::{GapEvidence, GapProcess};
pub use interval::clopper_pearson;
pub use likelihood_ratio::{RatioEvidence, RatioUnit, RatioVoid, Scored};
pub use mixture::{FixedShare, Mixture, SHARE};
pub use truncated_likelihood::LnLikelihoods;
