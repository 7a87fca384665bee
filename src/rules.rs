//! What a run should say of rules: those that no text fails may be misspelt in a bound, those that nearly every text fails may
//! be too strict, and neither shows in what is kept.

use std::fs;
use std::path::Path;

use anyhow::Context;
use corpus_prep::decide::{self, FAILS};
use pipelines::kind::Kind;
use pipelines::manifest::Manifest;
use pipelines::record::{Artifact, Counts};
use pipelines::roots::Root;

use crate::stages::Stage;

/// The share of texts above which a rule is told as one that nearly every text fails.
const NEARLY_ALL: f64 = 0.95;

/// What there is to say of each step of a manifest whose decisions a run published, or found published, under `out`.
///
/// # Errors
/// When they cannot be read.
pub fn remarks(manifest: &Manifest<Stage>, run: &Root, out: &Path) -> anyhow::Result<Vec<String>> {
    let mut said = Vec::new();
    for (step, stage) in &manifest.steps {
        let Stage::CorpusPrep(config) = stage else { continue };
        let decisions = format!("{step}/{}", Kind::Decisions.name());
        if !run.artifacts.contains_key(&decisions) {
            continue;
        }
        let path = out.join(decisions).join(Artifact::FILE);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let artifact = Artifact::read(&path, &bytes)?;
        let Some(counts) = artifact.counts.get(decide::NAME) else { continue };
        let rules = config.filters.rules(&config.rules);
        let asked = rules.iter().filter(|rule| rule.is_on()).map(|rule| rule.name);
        said.extend(of_step(asked, counts).map(|remark| format!("{step}: {remark}")));
    }
    Ok(said)
}

fn of_step<'a>(
    rules: impl Iterator<Item = &'a str>,
    counts: &Counts,
) -> impl Iterator<Item = String> {
    let count = |name: &str| counts.get(name).copied().unwrap_or(0);
    let texts = count("read") - count("unreadable") - count("dropped/excluded");
    let (mut idle, mut strict) = (Vec::new(), Vec::new());
    for rule in rules {
        match count(&format!("{FAILS}{rule}")) {
            0 => idle.push(rule),
            failed if failed as f64 > NEARLY_ALL * texts as f64 => strict.push(rule),
            _ => {}
        }
    }
    let told = |rules: Vec<&str>, what: &str| {
        let is_worth_it = texts > 0 && !rules.is_empty();
        is_worth_it.then(|| format!("of {texts} texts {what}: {}", rules.join(", ")))
    };
    let strict = told(strict, "nearly all fail these rules, are their bounds meant so");
    strict.into_iter().chain(told(idle, "none fails these rules"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_and_strict_rules_are_told_by_name() {
        let counts = [("read", 100), ("unreadable", 2), ("dropped/excluded", 1)];
        let fails = [("fails/many", 93), ("fails/some", 92), ("fails/few", 1)];
        let counts: Counts =
            counts.into_iter().chain(fails).map(|(name, n)| (name.to_owned(), n)).collect();
        let rules = ["many", "some", "few", "never", "nor"];
        let told: Vec<_> = of_step(rules.into_iter(), &counts).collect();
        assert_eq!(
            told,
            [
                "of 97 texts nearly all fail these rules, are their bounds meant so: many",
                "of 97 texts none fails these rules: never, nor",
            ]
        );
        assert_eq!(of_step(rules.into_iter(), &Counts::new()).count(), 0);
    }
}
