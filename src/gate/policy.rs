//! The policy file `whowrote.toml`: which authors may write which files.
//!
//! Rules name paths by patterns as in a .gitignore, relative to the policy's folder. If several rules name a path, the
//! last one applies. A path that no rule names is not judged.

use crate::model::catalogue::Catalogue;
use chrono::NaiveDate;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use serde::{Deserialize, Serialize};
use std::path::{Component, Path, PathBuf};
use whowrote_input::printable;
use whowrote_stats::conformal_scores::LENGTHS;
use whowrote_stats::verdict::{ALPHA, AuthorSet};

/// The name of the policy file.
pub const POLICY_FILE: &str = "whowrote.toml";

/// What `whowrote gate init` writes: the default policy, with the alternatives in comments.
pub const TEMPLATE: &str = include_str!("whowrote.toml");

/// The largest file that is read, in bytes.
const MAX_POLICY: u64 = 1 << 20;

/// The least number of words of a judged text, if the policy does not state it.
const LEAST_WORDS: usize = 40;

/// The largest `least-words` of a policy: no judgement reads more words of a text.
const MOST_LEAST_WORDS: usize = LENGTHS[LENGTHS.len() - 1];

/// The outcome of a text whose evidence is inconclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undecided {
    /// It passes: an allowed author may have written it, and so may another.
    #[default]
    Pass,
    /// It passes with a warning.
    Warn,
    /// It fails. How often this is wrong has no bound.
    Fail,
}

/// Which authors may write which files, and the error of a run.
#[derive(Clone, Debug)]
pub struct GatePolicy {
    /// The policy's file; none for the default policy.
    pub file: Option<PathBuf>,
    /// The absolute folder that patterns are relative to.
    pub root: PathBuf,
    /// If allowed authors wrote all texts of a run, the run fails with probability at most alpha.
    pub alpha: f64,
    /// The least number of words of a judged text.
    pub least_words: usize,
    /// Set A, as for `--a`. Empty: the catalogue's set A.
    pub a: Vec<String>,
    /// Set B, as for `--b`. Empty: the catalogue's set B.
    pub b: Vec<String>,
    /// The catalogue of models and authors.
    pub models: Option<PathBuf>,
    /// The user's own calibrations.
    pub calibrations: Vec<PathBuf>,
    /// The rules. If several name a path, the last one applies.
    pub rules: Vec<Rule>,
    /// Texts that pass whoever wrote them.
    pub exceptions: Vec<Exception>,
}

/// Who may write the files that some patterns name.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The patterns, as in a .gitignore.
    pub paths: Vec<String>,
    /// Whether these files are judged at all.
    pub judge: bool,
    /// Who may write them: names of authors, or `a`, `b` and `human` for a set.
    pub allow: Vec<String>,
    /// The outcome of texts whose evidence is inconclusive.
    pub undecided: Undecided,
    matcher: Gitignore,
}

/// A text that passes whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// SHA-256 of its words in lower-case hexadecimal, as the gate prints it.
    pub sha256: String,
    /// Why it passes.
    pub reason: String,
    /// The last day of the exception. None: it never expires.
    pub expires: Option<NaiveDate>,
}

/// Why a policy cannot be used. The names in it are safe to print.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The file does not exist or cannot be read.
    #[error("the policy `{file}` could not be read ({reason}); check the path given with --policy")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system said.
        reason: String,
    },
    /// The file is not TOML, or not a policy.
    #[error("the policy `{file}` is wrong: {reason}; `whowrote gate init` writes one to start from")]
    Malformed {
        /// The file.
        file: String,
        /// What is wrong, and where.
        reason: String,
    },
}

/// The file, as TOML.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Form {
    #[serde(default = "default_alpha")]
    alpha: f64,
    #[serde(default = "default_least_words")]
    least_words: usize,
    #[serde(default)]
    undecided: Undecided,
    #[serde(default)]
    a: Vec<String>,
    #[serde(default)]
    b: Vec<String>,
    models: Option<PathBuf>,
    #[serde(default)]
    calibrations: Vec<PathBuf>,
    #[serde(default, rename = "rule")]
    rules: Vec<RuleForm>,
    #[serde(default, rename = "exception")]
    exceptions: Vec<ExceptionForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RuleForm {
    paths: Vec<String>,
    #[serde(default = "yes")]
    judge: bool,
    #[serde(default)]
    allow: Vec<String>,
    undecided: Option<Undecided>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ExceptionForm {
    sha256: String,
    reason: String,
    expires: Option<toml::value::Datetime>,
}

fn default_alpha() -> f64 {
    ALPHA
}

fn default_least_words() -> usize {
    LEAST_WORDS
}

fn yes() -> bool {
    true
}

impl GatePolicy {
    /// The policy of a folder: the `whowrote.toml` in it, or in the nearest folder above it up to the top of the
    /// repository. The default policy if there is none.
    ///
    /// # Errors
    /// When the file that was found cannot be used.
    pub fn find(folder: &Path) -> Result<Self, PolicyError> {
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        for above in folder.ancestors() {
            let file = above.join(POLICY_FILE);
            if file.is_file() {
                return Self::read(&file);
            }
            if above.join(".git").exists() {
                return Self::parse(TEMPLATE, None, above);
            }
        }
        Self::parse(TEMPLATE, None, &folder)
    }

    /// The policy in a file.
    ///
    /// # Errors
    /// When the file cannot be read or is not a policy.
    pub fn read(file: &Path) -> Result<Self, PolicyError> {
        use std::io::Read;
        let unreadable = |reason: String| PolicyError::Unreadable {
            file: printable(&file.to_string_lossy()),
            reason,
        };
        // Opening a pipe would block.
        if file.exists() && !file.is_file() {
            return Err(unreadable("it is not a regular file".to_owned()));
        }
        let mut text = String::new();
        let opened = std::fs::File::open(file).map_err(|error| unreadable(error.to_string()))?;
        let read = opened.take(MAX_POLICY + 1).read_to_string(&mut text);
        read.map_err(|error| unreadable(error.to_string()))?;
        if text.len() as u64 > MAX_POLICY {
            return Err(unreadable("it is larger than 1 MiB".to_owned()));
        }
        // For a symbolic link this is the link's folder, not the target's.
        let folder = file
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let root = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let policy = Self::parse(&text, Some(file), &root)?;
        if policy.rules.is_empty() {
            return Err(PolicyError::Malformed {
                file: printable(&file.to_string_lossy()),
                reason: "it has no [[rule]], so nothing would be judged".to_owned(),
            });
        }
        Ok(policy)
    }

    /// The policy of the text of `file`, for paths under `root`.
    ///
    /// # Errors
    /// When the text is not a policy.
    pub fn parse(text: &str, file: Option<&Path>, root: &Path) -> Result<Self, PolicyError> {
        let malformed = |reason: String| PolicyError::Malformed {
            file: printable(&file.unwrap_or(Path::new(POLICY_FILE)).to_string_lossy()),
            reason,
        };
        let form: Form = toml::from_str(text).map_err(|error| {
            let line = error
                .span()
                .map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            malformed(format!("{place}{}", printable(error.message().trim())))
        })?;
        if !(form.alpha > 0.0 && form.alpha < 1.0) {
            return Err(malformed(
                "alpha must be a share above 0 and below 1, such as 0.05".to_owned(),
            ));
        }
        if !(1..=MOST_LEAST_WORDS).contains(&form.least_words) {
            return Err(malformed(format!(
                "least-words must be a number from 1 to {MOST_LEAST_WORDS}; the gate reads no more words of a text"
            )));
        }
        let rules = form.rules.into_iter().map(|rule| Rule::new(rule, form.undecided));
        let rules = rules.collect::<Result<Vec<_>, _>>().map_err(malformed)?;
        let exceptions = form.exceptions.into_iter().map(Exception::new);
        let exceptions = exceptions.collect::<Result<Vec<_>, _>>().map_err(malformed)?;
        let beside = |path: PathBuf| root.join(path);
        let author = |name: String| {
            if name.contains(std::path::is_separator) || name.ends_with(".gguf") {
                root.join(&name).to_string_lossy().into_owned()
            } else {
                name
            }
        };
        Ok(Self {
            file: file.map(Path::to_owned),
            root: root.to_owned(),
            alpha: form.alpha,
            least_words: form.least_words,
            a: form.a.into_iter().map(author).collect(),
            b: form.b.into_iter().map(author).collect(),
            models: form.models.map(beside),
            calibrations: form.calibrations.into_iter().map(beside).collect(),
            rules,
            exceptions,
        })
    }

    /// The same policy for the repository in the folder `top`. If the policy lies outside of it, its patterns become
    /// relative to `top`.
    pub fn within(mut self, top: &Path) -> Self {
        if !self.root.starts_with(top) {
            self.root = top.to_owned();
        }
        self
    }

    /// The rule for an absolute path, with its number counted from 1. None if the path is not under the policy's
    /// folder, or if no rule names it.
    pub fn rule_for(&self, path: &Path) -> Option<(usize, &Rule)> {
        let relative = path.strip_prefix(&self.root).ok()?;
        // Patterns, and the matcher, only cover paths below the folder.
        let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if !plain || relative.as_os_str().is_empty() {
            return None;
        }
        let rules = self.rules.iter().enumerate().rev();
        rules
            .map(|(i, rule)| (i + 1, rule))
            .find(|(_, rule)| rule.names(relative))
    }

    /// The absolute paths of the files that the policy and its catalogue name. Whoever can change them can let any text pass.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> + '_ {
        let authors = self
            .a
            .iter()
            .chain(&self.b)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute());
        let catalogue = Catalogue::load(self.models.as_deref());
        let of_catalogue: Vec<PathBuf> = catalogue.map_or_else(
            |_| Vec::new(),
            |catalogue| {
                catalogue
                    .authors()
                    .iter()
                    .filter_map(|author| author.calibration.clone())
                    .collect()
            },
        );
        let named = self.models.iter().chain(&self.calibrations).cloned().chain(authors);
        let named = named.chain(of_catalogue);
        named.map(|path| path.canonicalize().unwrap_or(path))
    }

    /// The exception for a text, found by the digest of its words: one that holds, else one that has expired.
    pub fn exception(&self, sha256: &str, today: NaiveDate) -> Option<Excepted<'_>> {
        let of_text = || self.exceptions.iter().filter(|exception| exception.sha256 == sha256);
        let holds = |exception: &&Exception| exception.expires.is_none_or(|last| today <= last);
        let holding = of_text().find(holds).map(Excepted::Holds);
        holding.or_else(|| of_text().next().map(Excepted::Expired))
    }
}

/// Whether an exception still lets its text pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Excepted<'a> {
    /// The text passes.
    Holds(&'a Exception),
    /// The exception has expired.
    Expired(&'a Exception),
}

impl Rule {
    fn new(form: RuleForm, undecided: Undecided) -> Result<Self, String> {
        if form.paths.is_empty() {
            return Err("a rule has no paths; give it some, such as paths = [\"*.md\"]".to_owned());
        }
        if form.judge && form.allow.is_empty() {
            return Err(format!(
                "the rule for {} allows nobody; give it allow = [\"a\", \"human\"], or judge = false",
                printable(&form.paths.join(", "))
            ));
        }
        let names_something = |pattern: &&String| !pattern.trim().is_empty() && !pattern.starts_with(['!', '#']);
        let leads_out = |pattern: &&String| pattern.split('/').any(|part| part == "..");
        if let Some(pattern) = form.paths.iter().find(leads_out) {
            return Err(format!(
                "`{}` leads out of the policy's folder; patterns are relative to it and may not contain `..`",
                printable(pattern)
            ));
        }
        if !form.paths.iter().any(|pattern| names_something(&pattern)) {
            return Err(format!(
                "the rule for {} names no files; give it a pattern that does not begin with `!` or `#`",
                printable(&form.paths.join(", "))
            ));
        }
        let mut matcher = GitignoreBuilder::new("");
        // A file must not escape its rule by capital letters in its name.
        matcher.case_insensitive(true).map_err(|error| error.to_string())?;
        for pattern in &form.paths {
            let added = matcher.add_line(None, pattern);
            added.map_err(|error| format!("`{}` is not a valid pattern ({error})", printable(pattern)))?;
        }
        let matcher = matcher.build().map_err(|error| error.to_string())?;
        Ok(Self {
            undecided: form.undecided.unwrap_or(undecided),
            paths: form.paths,
            judge: form.judge,
            allow: form.allow,
            matcher,
        })
    }

    /// Whether the rule names a relative path.
    fn names(&self, path: &Path) -> bool {
        self.matcher.matched_path_or_any_parents(path, false).is_ignore()
    }

    /// Whether a run can fail by a text of these files. Calibrations of models have far fewer later pieces than beginnings,
    /// and if later pieces counted too, each beginning would need stronger evidence.
    pub fn can_fail(&self, is_later: bool) -> bool {
        !is_later || self.allow.iter().all(|name| name == "human")
    }

    /// Whether an author may write these files.
    pub fn allows(&self, author: &str, set: AuthorSet) -> bool {
        allows(&self.allow, author, set)
    }
}

/// Whether an author is one of these names, or belongs to a set that they name.
pub(super) fn allows(names: &[String], author: &str, set: AuthorSet) -> bool {
    let set = match set {
        AuthorSet::A => "a",
        AuthorSet::B => "b",
        AuthorSet::Human => "human",
    };
    names.iter().any(|name| name == set || name == author)
}

impl Exception {
    fn new(form: ExceptionForm) -> Result<Self, String> {
        let sha256 = form.sha256.to_lowercase();
        if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!(
                "`{}` is not a SHA-256 digest; copy the one that the gate printed for the text",
                printable(&form.sha256)
            ));
        }
        if form.reason.trim().is_empty() {
            return Err(format!("the exception {sha256} has no reason; say why it passes"));
        }
        let expires = form.expires.map(|given| {
            let date = given.date.filter(|_| given.time.is_none());
            let day = |date: toml::value::Date| {
                NaiveDate::from_ymd_opt(i32::from(date.year), u32::from(date.month), u32::from(date.day))
            };
            let wrong = || format!("`{given}` is not a day; write it as 2030-12-31");
            date.and_then(day).ok_or_else(wrong)
        });
        Ok(Self {
            sha256,
            reason: form.reason,
            expires: expires.transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Result<GatePolicy, String> {
        GatePolicy::parse(text, None, Path::new("/repository")).map_err(|error| error.to_string())
    }

    fn rule_of(policy: &GatePolicy, path: &str) -> Option<usize> {
        let rule = policy.rule_for(&Path::new("/repository").join(path));
        rule.map(|(number, _)| number)
    }

    #[test]
    fn the_template_is_the_default_policy_and_judges_prose() {
        let policy = policy(TEMPLATE).unwrap();
        assert_eq!((policy.alpha, policy.least_words), (0.05, 40));
        assert!(policy.a.is_empty() && policy.models.is_none() && policy.exceptions.is_empty());
        for path in [
            "README.md",
            "docs/deep/a.rst",
            "a.TXT",
            "x/y.html",
            "paper.tex",
            "letter.docx",
            "thesis.pdf",
            "README",
            "docs/Page.MDX",
        ] {
            assert!(rule_of(&policy, path).is_some(), "{path}");
        }
        for path in ["NOTICEBOARD.md", "LICENSE-of-my-own.md", "requirements-analysis.txt"] {
            let (_, rule) = policy.rule_for(&Path::new("/repository").join(path)).unwrap();
            assert!(rule.judge, "{path}");
        }
        for path in ["src/main.rs", "a.png", "md"] {
            assert_eq!(rule_of(&policy, path), None, "{path}");
        }
        for path in [
            "LICENSE-MIT",
            "vendor/LICENSE.md",
            "docs/code_of_conduct.md",
            "requirements.txt",
        ] {
            let (_, rule) = policy.rule_for(&Path::new("/repository").join(path)).unwrap();
            assert!(!rule.judge, "{path}");
        }
        assert!(policy.rules.iter().all(|rule| rule.undecided == Undecided::Pass));
    }

    #[test]
    fn a_policy_that_lies_elsewhere_speaks_of_the_repository() {
        let parsed = |root: &str| GatePolicy::parse(TEMPLATE, None, Path::new(root)).unwrap();
        let within = |root: &str| parsed(root).within(Path::new("/repository")).root;
        assert_eq!(within("/elsewhere"), Path::new("/repository"));
        assert_eq!(within("/"), Path::new("/repository"));
        assert_eq!(within("/repository/docs"), Path::new("/repository/docs"));
    }

    #[test]
    fn the_last_rule_that_names_a_path_holds() {
        let policy = policy(
            r#"
            undecided = "warn"
            [[rule]]
            paths = ["*.md"]
            allow = ["a", "human"]
            [[rule]]
            paths = ["/press/"]
            allow = ["human"]
            undecided = "fail"
            [[rule]]
            paths = ["vendor/", "!vendor/ours.md"]
            judge = false
            "#,
        )
        .unwrap();
        assert_eq!(rule_of(&policy, "a/b/c.md"), Some(1));
        assert_eq!(rule_of(&policy, "press/2030/x.md"), Some(2));
        assert_eq!(rule_of(&policy, "a/press/x.md"), Some(1));
        assert_eq!(rule_of(&policy, "a/vendor/x.md"), Some(3));
        assert_eq!(rule_of(&policy, "x.txt"), None);
        assert_eq!(rule_of(&policy, "../x.md"), None);
        assert_eq!(policy.rule_for(Path::new("/elsewhere/x.md")).map(|(n, _)| n), None);
        assert_eq!(policy.rule_for(Path::new("/repository")).map(|(n, _)| n), None);
        let undecided: Vec<Undecided> = policy.rules.iter().map(|rule| rule.undecided).collect();
        assert_eq!(undecided, [Undecided::Warn, Undecided::Fail, Undecided::Warn]);
    }

    #[test]
    fn an_exception_holds_to_its_last_day() {
        let hash = "ab".repeat(32);
        let policy = policy(&format!(
            "[[exception]]\nsha256 = \"{}\"\nreason = \"quoted\"\nexpires = 2030-01-31",
            hash.to_uppercase()
        ))
        .unwrap();
        let on = |day: u32| policy.exception(&hash, NaiveDate::from_ymd_opt(2030, day / 100, day % 100).unwrap());
        assert!(matches!(on(131), Some(Excepted::Holds(_))));
        assert!(matches!(on(201), Some(Excepted::Expired(_))));
        assert_eq!(policy.exception(&"cd".repeat(32), NaiveDate::MIN), None);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, said) in [
            ("alpha = 2", "alpha must be a share"),
            ("alpha = nan", "alpha must be a share"),
            ("\nbeta = 1", "line 2: unknown field `beta`"),
            ("alpha = [", "line 1: "),
            ("[[rule]]\npaths = []\nallow = [\"a\"]", "no paths"),
            ("[[rule]]\npaths = [\"*.md\"]", "the rule for *.md allows nobody"),
            (
                "[[rule]]\npaths = [\"[z-a]\"]\nallow = [\"a\"]",
                "is not a valid pattern",
            ),
            (
                "[[rule]]\npaths = [\"*\"]\nallow = [\"a\"]\nundecided = \"maybe\"",
                "unknown variant `maybe`",
            ),
            ("[[exception]]\nsha256 = \"1\"\nreason = \"r\"", "is not a SHA-256"),
            ("[[exception]]\nsha256 = \"HASH\"\nreason = \" \"", "has no reason"),
            (
                "[[exception]]\nsha256 = \"HASH\"\nreason = \"r\"\nexpires = 2030-02-31",
                "line 4: invalid date",
            ),
            (
                "[[exception]]\nsha256 = \"HASH\"\nreason = \"r\"\nexpires = 10:00:00",
                "is not a day",
            ),
        ] {
            let error = policy(&text.replace("HASH", &"0".repeat(64))).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
            assert!(error.contains("whowrote.toml"), "{error}");
        }
    }

    #[test]
    fn the_nearest_policy_up_to_the_top_of_the_repository_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        let deep = top.join("repo/a/b");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::create_dir(top.join("repo/.git")).unwrap();
        std::fs::write(top.join(POLICY_FILE), "alpha = 0.5").unwrap();
        let found = GatePolicy::find(&deep).unwrap();
        assert_eq!((found.file, found.root), (None, top.join("repo")));
        std::fs::write(
            top.join("repo/a").join(POLICY_FILE),
            "alpha = 0.25\nmodels = \"m.toml\"\n[[rule]]\npaths = [\"*\"]\njudge = false",
        )
        .unwrap();
        let found = GatePolicy::find(&deep).unwrap();
        assert_eq!((found.alpha, found.root.clone()), (0.25, top.join("repo/a")));
        assert_eq!(found.models, Some(top.join("repo/a/m.toml")));
        assert_eq!(found.files().collect::<Vec<_>>(), [top.join("repo/a/m.toml")]);
        // What an author of the catalogue is known by decides too.
        std::fs::write(
            top.join("repo/a/m.toml"),
            "[[model]]\nname = \"m\"\n[[model.source]]\npath = \"m.gguf\"\n\n\
             [[author]]\nname = \"bot\"\nset = \"a\"\ncalibration = \"bot.json\"\n",
        )
        .unwrap();
        let files: Vec<PathBuf> = found.files().collect();
        assert_eq!(files, [top.join("repo/a/m.toml"), top.join("repo/a/bot.json")]);
        std::fs::write(top.join("repo/a").join(POLICY_FILE), "alpha = 0.25").unwrap();
        let empty = GatePolicy::find(&deep).unwrap_err().to_string();
        assert!(empty.contains("has no [[rule]]"), "{empty}");
        std::fs::write(deep.join(POLICY_FILE), "alpha = [").unwrap();
        assert!(GatePolicy::find(&deep).is_err());
        let missing = GatePolicy::read(&deep.join("none.toml")).unwrap_err().to_string();
        assert!(
            missing.contains("none.toml") && missing.contains("--policy"),
            "{missing}"
        );
        assert!(
            GatePolicy::read(&deep)
                .unwrap_err()
                .to_string()
                .contains("not a regular file")
        );
    }
}
