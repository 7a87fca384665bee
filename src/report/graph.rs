//! The graph of steps, laid out in layers, with what became of each.

use std::collections::BTreeMap;

use pipelines::log::StartedStep;
use serde::Serialize;

use super::history::{End, History};
use crate::show;

/// Size of a box, and the room between boxes, in pixels.
const BOX: (u32, u32) = (164, 66);
const GAP: u32 = 18;
/// Room between layers.
const LAYER_GAP: u32 = 36;
/// Room for a line that passes a layer.
const LANE: u32 = 14;
/// Room around the drawing.
const MARGIN: u32 = 6;
/// Letters of a name that fit into a box.
const MAX_LETTERS: usize = 19;

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
    /// `made`, `found`, `failed`, `open`, `waits` or `pinned`.
    pub state: &'static str,
    /// The state in words.
    pub words: String,
    pub reads: Vec<String>,
    pub phases: Vec<PhaseState>,
    /// While one of its phases ran; nothing if none did.
    pub time: Option<String>,
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

/// Boxes and lines, in pixels.
#[derive(Serialize)]
pub struct Drawing {
    /// `wide` or `tall`.
    pub form: &'static str,
    pub width: u32,
    pub height: u32,
    pub boxes: Vec<StepBox>,
    /// Paths in the notation of SVG.
    pub lines: Vec<String>,
}

/// A step in a drawing.
#[derive(Serialize)]
pub struct StepBox {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
    pub state: &'static str,
    /// The name as far as it fits, and whole.
    pub label: String,
    pub name: String,
    /// The stage, and how long it took.
    pub stage: String,
    pub words: String,
}

/// Gathers the graph of a run.
pub fn graph(history: &History) -> Graph {
    let steps: Vec<StepState> =
        history.start.steps.iter().map(|step| StepState::of(step, history)).collect();
    let layers = Layers::of(&history.start.steps);
    let drawings = [layers.draw(&steps, "wide"), layers.draw(&steps, "tall")];
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
            ("pinned", "pinned".to_owned())
        } else if has_failed {
            ("failed", format!("failed, {done} of {tasks} done"))
        } else if history.is_done(step) && ran == 0 {
            ("found", "was made before".to_owned())
        } else if history.is_done(step) {
            (
                "made",
                if ran < tasks {
                    format!("{ran} of {} ran", show::tasks(tasks))
                } else {
                    show::tasks(ran) + " ran"
                },
            )
        } else if has_started && history.end == End::UnderWay {
            ("open", format!("runs, {done} of {tasks} done"))
        } else if has_started {
            ("open", format!("stopped, {done} of {tasks} done"))
        } else {
            ("waits", "not run".to_owned())
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

/// What stands in a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    /// A step.
    Step(usize),
    /// The lines from a step to steps in later layers.
    Lane(usize),
}

/// Steps in layers, each behind all that it reads; within a layer beside what it reads.
struct Layers {
    layers: Vec<Vec<Item>>,
    /// From step to step.
    edges: Vec<(usize, usize)>,
    layer_of: Vec<usize>,
}

impl Layers {
    fn of(steps: &[StartedStep]) -> Self {
        let place = |name: &String| steps.iter().position(|step| step.name == *name);
        let edges: Vec<(usize, usize)> = (0..)
            .zip(steps)
            .flat_map(|(at, step)| step.reads.iter().filter_map(place).map(move |from| (from, at)))
            .collect();
        let mut layer_of = vec![0; steps.len()];
        // Steps stand behind those that they read, so one pass is enough.
        for (from, to) in &edges {
            layer_of[*to] = layer_of[*to].max(layer_of[*from] + 1);
        }
        let mut layers = vec![Vec::new(); layer_of.iter().max().map_or(0, |last| last + 1)];
        for (step, layer) in layer_of.iter().enumerate() {
            layers[*layer].push(Item::Step(step));
            let reaches = edges.iter().filter(|(from, _)| *from == step);
            let last = reaches.map(|(_, to)| layer_of[*to]).max().unwrap_or(0);
            for passed in layers.iter_mut().take(last).skip(layer + 1) {
                passed.push(Item::Lane(step));
            }
        }
        let mut laid = Self { layers, edges, layer_of };
        laid.arrange();
        laid
    }

    /// Where the line to `item` in layer `layer` comes from, in the layer before.
    fn before(&self, item: Item, layer: usize) -> Vec<Item> {
        let behind = |step: usize| match self.layer_of[step] + 1 == layer {
            true => Item::Step(step),
            false => Item::Lane(step),
        };
        match item {
            Item::Lane(step) => vec![behind(step)],
            Item::Step(step) => {
                let reads = self.edges.iter().filter(|(_, to)| *to == step);
                reads.map(|(from, _)| behind(*from)).collect()
            }
        }
    }

    /// Puts each item at the mean place of what it comes from.
    fn arrange(&mut self) {
        for layer in 1..self.layers.len() {
            let places: BTreeMap<Item, usize> =
                self.layers[layer - 1].iter().enumerate().map(|(at, item)| (*item, at)).collect();
            let mean = |item: &Item| {
                let before = self.before(*item, layer);
                let sum: usize = before.iter().filter_map(|item| places.get(item)).sum();
                sum * 1000 / before.len().max(1)
            };
            let mut items: Vec<(usize, Item)> =
                self.layers[layer].iter().map(|item| (mean(item), *item)).collect();
            items.sort();
            self.layers[layer] = items.into_iter().map(|(_, item)| item).collect();
        }
    }

    fn draw(&self, steps: &[StepState], form: &'static str) -> Drawing {
        let is_wide = form == "wide";
        let (deep, across) = if is_wide { BOX } else { (BOX.1, BOX.0) };
        let size = |item: &Item| if matches!(item, Item::Step(_)) { across } else { LANE };
        let extent = |layer: &Vec<Item>| {
            layer.iter().map(|item| size(item) + GAP).sum::<u32>().saturating_sub(GAP)
        };
        let most = self.layers.iter().map(extent).max().unwrap_or(0);
        let mut middles: BTreeMap<(usize, Item), u32> = BTreeMap::new();
        for (at, layer) in self.layers.iter().enumerate() {
            let mut from = MARGIN + (most - extent(layer)) / 2;
            for item in layer {
                middles.insert((at, *item), from + size(item) / 2);
                from += size(item) + GAP;
            }
        }
        let start = |layer: usize| {
            MARGIN + u32::try_from(layer).unwrap_or(u32::MAX).saturating_mul(deep + LAYER_GAP)
        };
        let point = |along: u32, middle: u32| match is_wide {
            true => format!("{along},{middle}"),
            false => format!("{middle},{along}"),
        };
        let line = |(from, to): &(usize, usize)| {
            let (first, last) = (self.layer_of[*from], self.layer_of[*to]);
            let mut middle = middles[&(first, Item::Step(*from))];
            let mut path = format!("M{}", point(start(first) + deep, middle));
            for layer in first + 1..=last {
                let item = if layer == last { Item::Step(*to) } else { Item::Lane(*from) };
                let (left, right) = (start(layer - 1) + deep, start(layer));
                let half = u32::midpoint(left, right);
                let next = middles[&(layer, item)];
                path += &format!(
                    " C{} {} {}",
                    point(half, middle),
                    point(half, next),
                    point(right, next)
                );
                if layer < last {
                    path += &format!(" L{}", point(right + deep, next));
                }
                middle = next;
            }
            path
        };
        let step_box = |(at, step): (usize, &StepState)| {
            let along = start(self.layer_of[at]);
            let side = middles[&(self.layer_of[at], Item::Step(at))] - across / 2;
            let (x, y) = if is_wide { (along, side) } else { (side, along) };
            StepBox {
                x,
                y,
                width: BOX.0,
                height: BOX.1,
                state: step.state,
                label: shortened(&step.name),
                name: step.name.clone(),
                stage: match &step.time {
                    Some(time) => format!("{}, {time}", step.stage),
                    None => step.stage.clone(),
                },
                words: step.words.clone(),
            }
        };
        let length = start(self.layers.len()).saturating_sub(LAYER_GAP) + MARGIN;
        let breadth = most + 2 * MARGIN;
        let (width, height) = if is_wide { (length, breadth) } else { (breadth, length) };
        Drawing {
            form,
            width,
            height,
            boxes: steps.iter().enumerate().map(step_box).collect(),
            lines: self.edges.iter().map(line).collect(),
        }
    }
}

/// A name as far as it fits into a box.
fn shortened(name: &str) -> String {
    if name.chars().count() <= MAX_LETTERS {
        return name.to_owned();
    }
    name.chars().take(MAX_LETTERS - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::super::history::tests::{finished, history, started, step};
    use super::*;

    fn states(graph: &Graph) -> Vec<(&str, &str)> {
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
                ("found", "was made before"),
                ("made", "1 of 2 tasks ran"),
                ("open", "stopped, 1 of 2 done"),
                ("waits", "not run")
            ]
        );
        assert_eq!(graph.steps[1].time.as_deref(), Some("1.0 s"));
    }

    #[test]
    fn lines_that_pass_a_layer_have_a_lane_of_their_own() {
        let steps = vec![
            step("a", &[], 1, 1),
            step("b", &["a"], 1, 1),
            step("c", &["a", "b"], 1, 1),
            step("d", &[], 1, 1),
        ];
        let layers = Layers::of(&steps);
        assert_eq!(
            layers.layers,
            [
                vec![Item::Step(0), Item::Step(3)],
                vec![Item::Step(1), Item::Lane(0)],
                vec![Item::Step(2)]
            ]
        );
        for drawing in graph(&history(steps, vec![])).drawings {
            assert_eq!(drawing.lines.len(), 3);
            for found in &drawing.boxes {
                assert!(found.x + found.width <= drawing.width, "{}", drawing.form);
                assert!(found.y + found.height <= drawing.height, "{}", drawing.form);
            }
        }
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

    #[test]
    fn long_names_are_cut_at_a_letter() {
        assert_eq!(shortened("ä".repeat(30).as_str()).chars().count(), MAX_LETTERS);
        assert_eq!(shortened("clean"), "clean");
    }
}
