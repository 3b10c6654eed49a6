//! What the figures of a text say about who wrote it: pure functions in f64, without tensors, models or files.
//!
//! Every test speaks against one author ("null") and has an error that is bounded for texts of any length, given that
//! the author sampled from the very distribution that scored the text. docs/THEORY.md states and proves each bound.
//!
//! | module | what it holds | guarantee |
//! |---|---|---|
//! | [`entropy_gap`] | log-perplexity against entropy, as an e-process: `exact` with the model's own cumulants, `vocab` with the closed-form ones | at any stopping time |
//! | [`varentropy_bound`] | the same test in closed form from the vocabulary's size and the number of tokens; planning | at a length fixed beforehand |
//! | [`cross_entropy`] | the surprisal under another model of the same vocabulary against what the author expects of it, as an e-process; a closed form from its ranges | at any stopping time; the closed form for a tilt fixed beforehand |
//! | [`likelihood_ratio`] | a mixture of all other models against the author, token by token or at word borders | p-value at any time; by tokens an e-process |
//! | [`composite_likelihood_ratio`] | the author's own model untruncated, and all others, against every decoding of a family | p-value at any time |
//! | [`word_boundaries`] | borders common to all tokenisers, and the probability of a word with its end | prefix-free events |
//! | [`mixture`] | Bayes weights, with and without a fixed share | sub-probability, bounded regret |
//! | [`truncated_likelihood`] | the likelihood of a text at any temperature and truncation | never below the true one by more than rounding |
//! | [`max_likelihood`] | the greatest likelihood over all temperatures, top-p and top-k between the decodings of a grid | never below any of them by more than rounding |
//! | [`conformal_scores`] | four numbers a model of the beginning of a text, and scores made of them | none without [`conformal`] |
//! | [`discriminant`] | how much likelier one author's figures are than those of others, as normal densities | none without [`conformal`] |
//! | [`conformal`] | a score against those of texts whose author is known | exact for exchangeable texts |
//! | [`e_value`] | averages, unions and p-values of e-values, in logarithms | Ville, Markov |
//! | [`interval`] | Clopper-Pearson interval for a rate | coverage at least as stated |
//!
//! Several tests against one author are joined by [`e_value::ln_union`] (valid at any time, on any clock), or by
//! [`e_value::ln_average`] where all of them move token by token. The confidence set keeps every author whose p-value
//! is above alpha: the true author is kept with probability at least 1 - alpha, however many authors there are.
//!
//! A figure that is not a finite number voids the test it belongs to: ln E is minus infinity, which never rejects.
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
pub mod discriminant;
pub mod e_bh;
pub mod e_value;
pub mod entropy_gap;
pub mod interval;
pub mod likelihood_ratio;
mod linear_algebra;
pub mod max_likelihood;
pub mod mixture;
pub mod sampling_params;
pub mod token_stats;
pub mod truncated_likelihood;
pub mod varentropy_bound;
pub mod verdict;
pub mod word_boundaries;

pub use cross_entropy::{CrossEvidence, CrossProcess};
pub use e_bh::{ROUNDING, e_bh, together};
pub use e_value::{ln_average, ln_union, log_sum_exp, p_value, rejects};
pub use entropy_gap::{GapEvidence, GapProcess};
pub use interval::clopper_pearson;
pub use likelihood_ratio::{RatioEvidence, RatioUnit, RatioVoid, Scored};
pub use mixture::{FixedShare, Mixture, SHARE};
pub use truncated_likelihood::LnLikelihoods;
