//! The graph of steps, with what became of each.

mod drawing;

use pipelines::log::StartedStep;
use serde::Serialize;

use self::drawing::{Drawing, Form, Layers};
use super::history::{End, History};
use crate::show;

/// The steps, drawn both ways: for wide pages, and for narrow ones.
#[derive(Serialize)]
pub struct Graph {
    /// Layers from left to right, and from top to bottom.
    pub drawings: [Drawing; 2],
    /// The steps in order.
    pub steps: Vec<StepState>,
}

/// What became of a step.
#[derive(Serialize)]
pub struct StepState {
    pub name: String,
    pub stage: String,
    pub state: State,
    /// The state in words.
    pub words: String,
    pub reads: Vec<String>,
    pub phases: Vec<PhaseState>,
    /// While one of its phases ran; nothing if none did.
    pub time: Option<String>,
}

/// How far a step has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// This run made it.
    Made,
    /// It was made before.
    Found,
    /// A task of it failed.
    Failed,
    /// Some of it is done.
    Open,
    /// None of it ran.
    Waits,
    /// A pin holds it.
    Pinned,
}

/// What became of a phase.
#[derive(Serialize)]
pub struct PhaseState {
    pub name: String,
    pub tasks: usize,
    pub done_before: usize,
    pub ran: usize,
    pub time: String,
    /// Seconds of all tasks together.
    pub busy: String,
}

/// Gathers the graph of a run.
pub fn graph(history: &History) -> Graph {
    let steps: Vec<StepState> =
        history.start.steps.iter().map(|step| StepState::of(step, history)).collect();
    let layers = Layers::of(&history.start.steps);
    let drawings = [Form::Wide, Form::Tall].map(|form| layers.draw(&steps, form));
    Graph { drawings, steps }
}

impl StepState {
    fn of(step: &StartedStep, history: &History) -> Self {
        let phase = |phase: &pipelines::log::StartedPhase| {
            let ran = history.ran(&step.name, &phase.name);
            PhaseState {
                name: phase.name.clone(),
                tasks: phase.tasks,
                done_before: phase.done,
                ran: ran.finished,
                time: seconds(ran.seconds()),
                busy: seconds(ran.busy),
            }
        };
        let phases: Vec<PhaseState> = step.phases.iter().map(phase).collect();
        let runs: Vec<_> =
            step.phases.iter().map(|phase| history.ran(&step.name, &phase.name)).collect();
        let spans: Vec<(f64, f64)> = runs.iter().filter_map(|run| run.span).collect();
        let time = (!spans.is_empty()).then(|| seconds(covered(spans)));
        let tasks: usize = phases.iter().map(|phase| phase.tasks).sum();
        let ran: usize = runs.iter().map(|run| run.finished).sum();
        let done: usize = ran + phases.iter().map(|phase| phase.done_before).sum::<usize>();
        let has_failed = runs.iter().any(|run| run.failed > 0);
        let has_started = runs.iter().any(|run| run.started > 0);
        let (state, words) = if step.pin.is_some() {
            (State::Pinned, "pinned".to_owned())
        } else if has_failed {
            (State::Failed, format!("failed, {done} of {tasks} done"))
        } else if history.is_done(step) && ran == 0 {
            (State::Found, "was made before".to_owned())
        } else if history.is_done(step) {
            (
                State::Made,
                if ran < tasks {
                    format!("{ran} of {} ran", show::tasks(tasks))
                } else {
                    show::tasks(ran) + " ran"
                },
            )
        } else if has_started && history.end == End::UnderWay {
            (State::Open, format!("runs, {done} of {tasks} done"))
        } else if has_started {
            (State::Open, format!("stopped, {done} of {tasks} done"))
        } else {
            (State::Waits, "not run".to_owned())
        };
        Self {
            name: step.name.clone(),
            stage: step.stage.clone(),
            state,
            words,
            reads: step.reads.clone(),
            phases,
            time,
        }
    }
}

/// How long at least one of these stretches of time lasts.
fn covered(mut spans: Vec<(f64, f64)>) -> f64 {
    spans.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut reached = f64::NEG_INFINITY;
    let mut sum = 0.0;
    for (from, to) in spans {
        sum += (to - from.max(reached)).max(0.0);
        reached = reached.max(to);
    }
    sum
}

/// `0.3 s`, `12 s`, `2:03 min`.
fn seconds(seconds: f64) -> String {
    match seconds {
        below if below < 9.95 => format!("{below:.1} s"),
        below if below < 59.5 => format!("{below:.0} s"),
        above if above < 3600.0 => format!("{} min", show::time(above)),
        above => format!("{} h", show::time(above)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::tests::{finished, history, started, step};
    use super::*;

    fn states(graph: &Graph) -> Vec<(State, &str)> {
        graph.steps.iter().map(|step| (step.state, step.words.as_str())).collect()
    }

    #[test]
    fn a_step_is_made_found_stopped_or_not_run() {
        let steps = vec![
            step("found", &[], 2, 2),
            step("made", &["found"], 2, 1),
            step("open", &["made"], 2, 0),
            step("waits", &["open"], 1, 0),
        ];
        let mut events = vec![started("made/work/1"), finished("made/work/1")];
        events.extend([started("open/work/1"), finished("open/work/1"), started("open/work/2")]);
        let graph = graph(&history(steps, events));
        assert_eq!(
            states(&graph),
            [
                (State::Found, "was made before"),
                (State::Made, "1 of 2 tasks ran"),
                (State::Open, "stopped, 1 of 2 done"),
                (State::Waits, "not run")
            ]
        );
        assert_eq!(graph.steps[1].time.as_deref(), Some("1.0 s"));
    }

    #[test]
    fn time_without_work_is_not_counted() {
        assert_eq!(covered(vec![(7.0, 9.0), (0.0, 2.0), (1.0, 3.0), (1.5, 2.5)]), 5.0);
        assert_eq!(covered(vec![]), 0.0);
    }

    #[test]
    fn no_steps_are_an_empty_drawing() {
        assert!(graph(&history(vec![], vec![])).drawings[0].boxes.is_empty());
    }
}
