//! What each phase counted: read = kept + dropped + unreadable, and what dropped it.

use std::collections::BTreeMap;

use pipelines::record::Counts;
use serde::Serialize;

use super::artifacts::Artifacts;
use super::history::History;

/// Rules that are shown; the others are one row.
pub const MAX_RULES: usize = 16;

/// What a step counted.
#[derive(Debug, PartialEq, Serialize)]
pub struct StepCounts {
    pub step: String,
    /// Phases that every record passes, in order.
    pub flows: Vec<Flow>,
    /// From what the step read to what it kept, by rule; of the phase that tells the rules.
    pub falls: Option<Falls>,
    /// All other counts, by phase.
    pub others: Vec<(String, Vec<(String, u64)>)>,
}

/// Records that went through a phase.
#[derive(Debug, PartialEq, Serialize)]
pub struct Flow {
    pub phase: String,
    pub read: u64,
    pub kept: u64,
    pub dropped: u64,
    pub unreadable: u64,
    /// Percent of what was read.
    pub shares: [f64; 3],
    /// Whether read = kept + dropped + unreadable.
    pub adds_up: bool,
}

/// A waterfall.
#[derive(Debug, PartialEq, Serialize)]
pub struct Falls {
    pub phase: String,
    pub falls: Vec<Fall>,
}

/// A bar of a waterfall.
#[derive(Debug, PartialEq, Serialize)]
pub struct Fall {
    /// `read`, the rule, `unreadable`, or `kept`.
    pub name: String,
    /// `total`, `drop` or `kept`.
    pub sort: &'static str,
    pub records: u64,
    /// Percent of what was read.
    pub share: f64,
    /// Where the bar starts, in percent of what was read.
    pub from: f64,
}

/// Gathers the counts of all steps.
pub fn counts(history: &History, artifacts: &Artifacts) -> Vec<StepCounts> {
    let of_step = |step: &pipelines::log::StartedStep| {
        // All artifacts of a step carry the same counts.
        let opened = artifacts.opened.iter().find(|opened| opened.step == step.name)?;
        let phases = step.phases.iter().map(|phase| phase.name.as_str());
        let found = StepCounts::of(&step.name, phases, &opened.artifact.counts);
        (!found.flows.is_empty() || !found.others.is_empty()).then_some(found)
    };
    history.start.steps.iter().filter_map(of_step).collect()
}

impl StepCounts {
    fn of<'a>(
        step: &str,
        phases: impl Iterator<Item = &'a str>,
        counts: &BTreeMap<String, Counts>,
    ) -> Self {
        let mut found =
            Self { step: step.to_owned(), flows: Vec::new(), falls: None, others: Vec::new() };
        for phase in std::iter::once("files").chain(phases) {
            let Some(counts) = counts.get(phase) else { continue };
            let flow = Flow::of(phase, counts);
            if let Some(flow) = &flow {
                let rules = rules(counts);
                let most = found.falls.as_ref().map_or(0, |falls| falls.falls.len());
                if !rules.is_empty() && rules.len() + 2 > most {
                    found.falls = Some(Falls::of(flow, rules));
                }
            }
            let is_shown = |name: &str| {
                flow.is_some()
                    && (["read", "kept", "dropped", "unreadable"].contains(&name)
                        || name.starts_with("dropped/"))
            };
            let others: Vec<(String, u64)> = counts
                .iter()
                .filter(|(name, _)| !is_shown(name))
                .map(|(name, count)| (name.replace('_', " "), *count))
                .collect();
            if !others.is_empty() {
                found.others.push((phase.to_owned(), others));
            }
            found.flows.extend(flow);
        }
        found
    }
}

impl Flow {
    /// The flow of a phase that counts what it read.
    fn of(phase: &str, counts: &Counts) -> Option<Self> {
        let count = |name: &str| counts.get(name).copied().unwrap_or(0);
        let read = *counts.get("read")?;
        let [kept, dropped, unreadable] = ["kept", "dropped", "unreadable"].map(count);
        Some(Self {
            phase: phase.to_owned(),
            read,
            kept,
            dropped,
            unreadable,
            shares: [kept, dropped, unreadable].map(|part| percent(part, read)),
            adds_up: read == kept + dropped + unreadable,
        })
    }
}

/// What dropped records, the most first.
fn rules(counts: &Counts) -> Vec<(String, u64)> {
    let rules = counts.iter().filter_map(|(name, count)| {
        Some((name.strip_prefix("dropped/")?.to_owned(), *count)).filter(|(_, count)| *count > 0)
    });
    let mut rules: Vec<(String, u64)> = rules.collect();
    rules.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    rules
}

impl Falls {
    fn of(flow: &Flow, mut rules: Vec<(String, u64)>) -> Self {
        if rules.len() > MAX_RULES {
            let rest = rules.split_off(MAX_RULES);
            let dropped = rest.iter().map(|(_, count)| count).sum();
            rules.push((format!("{} other rules", rest.len()), dropped));
        }
        if flow.unreadable > 0 {
            rules.push(("unreadable".to_owned(), flow.unreadable));
        }
        let fall = |name: &str, sort, records, left| Fall {
            name: name.to_owned(),
            sort,
            records,
            share: percent(records, flow.read),
            from: percent(left, flow.read),
        };
        let mut left = flow.read;
        let mut falls = vec![fall("read", "total", flow.read, 0)];
        for (rule, dropped) in &rules {
            left = left.saturating_sub(*dropped);
            falls.push(fall(rule, "drop", *dropped, left));
        }
        falls.push(fall("kept", "kept", flow.kept, 0));
        Self { phase: flow.phase.clone(), falls }
    }
}

/// `part` of `whole` in percent; 0 of nothing.
pub fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(pairs: &[(&str, u64)]) -> Counts {
        pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    fn found(phases: &[(&str, Counts)]) -> StepCounts {
        let names = phases.iter().map(|(name, _)| *name);
        let counts = phases.iter().map(|(name, counts)| ((*name).to_owned(), counts.clone()));
        StepCounts::of("clean", names, &counts.collect())
    }

    #[test]
    fn a_waterfall_goes_from_what_was_read_to_what_is_kept() {
        let decide = counted(&[
            ("read", 10),
            ("kept", 5),
            ("dropped", 4),
            ("dropped/short", 1),
            ("dropped/duplicate", 3),
            ("dropped/never", 0),
            ("unreadable", 1),
        ]);
        let extract = counted(&[("read", 10), ("kept", 9), ("unreadable", 1), ("repaired", 2)]);
        let found = found(&[("extract", extract), ("decide", decide)]);
        let falls = found.falls.unwrap();
        let bars: Vec<_> = falls
            .falls
            .iter()
            .map(|fall| (fall.name.as_str(), fall.records, fall.from, fall.share))
            .collect();
        assert_eq!(
            bars,
            [
                ("read", 10, 0.0, 100.0),
                ("duplicate", 3, 70.0, 30.0),
                ("short", 1, 60.0, 10.0),
                ("unreadable", 1, 50.0, 10.0),
                ("kept", 5, 0.0, 50.0)
            ]
        );
        assert_eq!(falls.phase, "decide");
        assert!(found.flows.iter().all(|flow| flow.adds_up));
        assert_eq!(found.others, [("extract".to_owned(), vec![("repaired".to_owned(), 2)])]);
    }

    #[test]
    fn rare_rules_are_one_row() {
        let names: Vec<String> = (0..30).map(|at| format!("dropped/rule-{at:02}")).collect();
        let mut pairs = vec![("read", 30), ("kept", 0), ("dropped", 30)];
        pairs.extend(names.iter().map(|name| (name.as_str(), 1)));
        let falls = found(&[("decide", counted(&pairs))]).falls.unwrap().falls;
        assert_eq!(falls.len(), MAX_RULES + 3);
        let rest = &falls[MAX_RULES + 1];
        assert_eq!((rest.name.as_str(), rest.records, rest.from), ("14 other rules", 14, 0.0));
    }

    #[test]
    fn a_phase_that_loses_a_record_is_told() {
        assert!(!Flow::of("write", &counted(&[("read", 2), ("kept", 1)])).unwrap().adds_up);
        assert_eq!(Flow::of("encode", &counted(&[("documents", 2)])), None);
        assert_eq!(Flow::of("write", &counted(&[("read", 0)])).unwrap().shares, [0.0; 3]);
    }
}
