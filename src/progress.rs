//! How a run shows itself: bars on a terminal, plain lines in a log, JSON, or nothing.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use pipelines::context::Unit;
use pipelines::run::Observer;
use pipelines::task::Event;

use crate::cli::Voice;
use crate::show;

/// How often a log gets a line of a phase that goes on.
const LOG_EVERY: Duration = Duration::from_secs(15);
/// How often a bar is drawn anew.
const DRAW_EVERY: Duration = Duration::from_millis(100);

/// Shows a run as it goes, on standard error (JSON: on standard output).
pub struct Progress {
    form: Form,
    phases: BTreeMap<String, PhaseProgress>,
    /// What each group is at: the phase, and how far its task is.
    groups: BTreeMap<usize, TaskProgress>,
    /// Whether a task has failed.
    has_failed: bool,
}

enum Form {
    Bars(MultiProgress),
    Lines,
    Json,
    Quiet,
}

struct PhaseProgress {
    tasks: usize,
    finished: usize,
    /// Units that are done, in all tasks.
    done: u64,
    unit: Option<Unit>,
    /// When its first task started.
    started: Option<Instant>,
    shown: Instant,
    note: String,
    bar: Option<ProgressBar>,
}

#[derive(Default)]
struct TaskProgress {
    phase: String,
    done: u64,
    total: u64,
}

impl Progress {
    /// In the form that `voice` asks for, and that suits where standard error goes.
    pub fn new(voice: Voice) -> Self {
        let form = match voice {
            Voice { json: true, .. } => Form::Json,
            Voice { quiet: true, .. } => Form::Quiet,
            _ if io::stderr().is_terminal() => Form::Bars(MultiProgress::new()),
            _ => Form::Lines,
        };
        Self { form, phases: BTreeMap::new(), groups: BTreeMap::new(), has_failed: false }
    }

    /// Clears the bars.
    pub fn end(&mut self) {
        if let Form::Bars(bars) = &self.form {
            // A terminal that cannot be cleared is no reason to fail.
            let _ = bars.clear();
        }
    }

    fn line(&self, text: &str) {
        match &self.form {
            // Whoever closed standard error does not want the line.
            Form::Bars(bars) => drop(bars.println(text)),
            Form::Lines => drop(writeln!(io::stderr(), "{text}")),
            Form::Json | Form::Quiet => {}
        }
    }

    fn bar(&self, phase: &str) -> Option<ProgressBar> {
        let Form::Bars(bars) = &self.form else { return None };
        let style = ProgressStyle::with_template("{prefix:<24} {bar:24} {msg}")
            .expect("the template is well-formed");
        let bar = bars.add(ProgressBar::new(1000).with_style(style));
        bar.set_prefix(phase.to_owned());
        Some(bar)
    }

    fn hear(&mut self, group: usize, event: &Event) {
        match event {
            Event::Started { task, .. } => {
                let phase = phase_of(task).to_owned();
                if let Some(phase) = self.phases.get_mut(&phase) {
                    phase.started.get_or_insert_with(Instant::now);
                }
                self.groups.insert(group, TaskProgress { phase, ..TaskProgress::default() });
            }
            Event::Total { total, unit } => {
                let Some(task) = self.groups.get_mut(&group) else { return };
                task.total = *total;
                if let Some(phase) = self.phases.get_mut(&task.phase) {
                    phase.unit = Some(*unit);
                }
            }
            Event::Advanced { done } => {
                let Some(task) = self.groups.get_mut(&group) else { return };
                task.done += done;
                if let Some(phase) = self.phases.get_mut(&task.phase) {
                    phase.done += done;
                }
            }
            Event::Note { line } => {
                match self.groups.get(&group).and_then(|task| self.phases.get_mut(&task.phase)) {
                    Some(phase) => phase.note.clone_from(line),
                    None => self.line(line),
                }
            }
            Event::Finished { task, .. } => self.finished(group, task),
            // The first message is the run's own, said at its end.
            Event::Failed { task, message, cancelled: false } => {
                let said = if self.has_failed { format!(": {message}") } else { String::new() };
                self.has_failed = true;
                self.line(&format!("{task} failed{said}"));
            }
            Event::Failed { .. } | Event::Measured { .. } => {}
        }
        self.show(group);
    }

    fn finished(&mut self, group: usize, task: &str) {
        self.groups.remove(&group);
        let Some(phase) = self.phases.get_mut(phase_of(task)) else { return };
        phase.finished += 1;
        if phase.finished < phase.tasks {
            return;
        }
        if let Some(bar) = phase.bar.take() {
            bar.finish_and_clear();
        }
        let line = format!(
            "{:<24} {} in {}{}",
            phase_of(task),
            show::tasks(phase.tasks),
            show::time(phase.seconds()),
            phase.rate()
        );
        self.line(&line);
    }

    /// Shows the phase that `group` is at, if it is time to.
    fn show(&mut self, group: usize) {
        let Some(name) = self.groups.get(&group).map(|task| task.phase.clone()) else { return };
        let running: f64 = self
            .groups
            .values()
            .filter(|task| task.phase == name && task.total > 0)
            .map(|task| task.done as f64 / task.total as f64)
            .sum();
        let every = if matches!(self.form, Form::Lines) { LOG_EVERY } else { DRAW_EVERY };
        let Some(phase) = self.phases.get_mut(&name) else { return };
        if phase.shown.elapsed() < every {
            return;
        }
        phase.shown = Instant::now();
        let share = ((phase.finished as f64 + running) / phase.tasks as f64).clamp(0.0, 1.0);
        let message = phase.message(share);
        match &phase.bar {
            Some(bar) => {
                bar.set_position(permille(share));
                bar.set_message(message);
            }
            None => self.line(&format!("{name:<24} {:>3.0}%  {message}", share * 100.0)),
        }
    }
}

fn permille(share: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of 1000 is a small whole number"
    )]
    let permille = (share * 1000.0) as u64;
    permille
}

fn phase_of(task: &str) -> &str {
    task.match_indices('/').nth(1).map_or(task, |(at, _)| &task[..at])
}

impl PhaseProgress {
    /// Seconds since its first task started.
    fn seconds(&self) -> f64 {
        self.started.map_or(0.0, |started| started.elapsed().as_secs_f64())
    }

    fn rate(&self) -> String {
        let Some(unit) = self.unit.filter(|_| self.done > 0) else { return String::new() };
        let rate = self.done as f64 / self.seconds().max(1e-3);
        match unit {
            Unit::Bytes => format!(", {}/s", show::bytes(rate)),
            Unit::Rows => format!(", {rate:.0} rows/s"),
            Unit::Steps => format!(", {rate:.1} steps/s"),
        }
    }

    fn message(&self, share: f64) -> String {
        let elapsed = self.seconds();
        let left = if share > 0.0 {
            format!(", {} left", show::time(elapsed * (1.0 - share) / share))
        } else {
            String::new()
        };
        let note = if self.note.is_empty() { String::new() } else { format!("  {}", self.note) };
        format!("{} of {}{}{left}{note}", self.finished, show::tasks(self.tasks), self.rate())
    }
}

impl Observer for Progress {
    fn wave(&mut self, tasks: &BTreeMap<String, usize>) {
        self.groups.clear();
        for (name, count) in tasks {
            let bar = self.bar(name);
            let now = Instant::now();
            let phase = PhaseProgress {
                tasks: *count,
                finished: 0,
                done: 0,
                unit: None,
                started: None,
                shown: now,
                note: String::new(),
                bar,
            };
            self.phases.insert(name.clone(), phase);
        }
    }

    fn event(&mut self, group: usize, event: &Event) {
        if matches!(self.form, Form::Json) {
            // The reader may have gone; the run goes on.
            let _ =
                writeln!(io::stdout(), "{}", serde_json::json!({ "group": group, "event": event }));
        }
        self.hear(group, event);
    }

    fn published(&mut self, step: &str) {
        if let Form::Json = self.form {
            let _ = writeln!(io::stdout(), "{}", serde_json::json!({ "published": step }));
        }
    }
}
