//! Lays steps out in layers, and draws them.

use std::collections::BTreeMap;

use pipelines::log::StartedStep;
use serde::Serialize;

use super::{State, StepState};

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

/// Which way the layers follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// From left to right.
    Wide,
    /// From top to bottom.
    Tall,
}

impl Form {
    /// What is along and across the layers as what is right and down; or the other way round.
    fn turned(self, one: u32, other: u32) -> (u32, u32) {
        match self {
            Self::Wide => (one, other),
            Self::Tall => (other, one),
        }
    }
}

/// Boxes and lines, in pixels.
#[derive(Serialize)]
pub struct Drawing {
    pub form: Form,
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
    pub state: State,
    /// The name as far as it fits, and whole.
    pub label: String,
    pub name: String,
    /// The stage, and how long it took.
    pub stage: String,
    pub words: String,
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
pub struct Layers {
    layers: Vec<Vec<Item>>,
    /// From step to step.
    edges: Vec<(usize, usize)>,
    layer_of: Vec<usize>,
}

impl Layers {
    /// The layers of these steps.
    pub fn of(steps: &[StartedStep]) -> Self {
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

    /// Draws the steps of these layers.
    pub fn draw(&self, steps: &[StepState], form: Form) -> Drawing {
        let plot = Plot::of(self, form);
        let length = plot.along(self.layers.len()).saturating_sub(LAYER_GAP) + MARGIN;
        let (width, height) = form.turned(length, plot.breadth);
        let boxes = steps.iter().enumerate().map(|(at, step)| plot.step_box(at, step)).collect();
        let lines = self.edges.iter().map(|(from, to)| plot.line(*from, *to)).collect();
        Drawing { form, width, height, boxes, lines }
    }
}

/// Where everything stands in a drawing: along the layers, and across them.
struct Plot<'a> {
    layers: &'a Layers,
    form: Form,
    /// The middle of each item of each layer, across.
    middles: BTreeMap<(usize, Item), u32>,
    /// The whole drawing, across.
    breadth: u32,
}

impl<'a> Plot<'a> {
    fn of(layers: &'a Layers, form: Form) -> Self {
        let (_, across) = form.turned(BOX.0, BOX.1);
        let size = |item: &Item| if matches!(item, Item::Step(_)) { across } else { LANE };
        let extent = |layer: &Vec<Item>| {
            layer.iter().map(|item| size(item) + GAP).sum::<u32>().saturating_sub(GAP)
        };
        let most = layers.layers.iter().map(extent).max().unwrap_or(0);
        let mut middles = BTreeMap::new();
        for (at, layer) in layers.layers.iter().enumerate() {
            let mut from = MARGIN + (most - extent(layer)) / 2;
            for item in layer {
                middles.insert((at, *item), from + size(item) / 2);
                from += size(item) + GAP;
            }
        }
        Self { layers, form, middles, breadth: most + 2 * MARGIN }
    }

    /// Where layer `layer` begins.
    fn along(&self, layer: usize) -> u32 {
        let (deep, _) = self.form.turned(BOX.0, BOX.1);
        MARGIN + u32::try_from(layer).unwrap_or(u32::MAX).saturating_mul(deep + LAYER_GAP)
    }

    /// The path from the back of step `from` to the front of step `to`, straight through the layers between.
    fn line(&self, from: usize, to: usize) -> String {
        let (deep, _) = self.form.turned(BOX.0, BOX.1);
        let point = |along: u32, across: u32| {
            let (x, y) = self.form.turned(along, across);
            format!("{x},{y}")
        };
        let (first, last) = (self.layers.layer_of[from], self.layers.layer_of[to]);
        let mut middle = self.middles[&(first, Item::Step(from))];
        let mut path = format!("M{}", point(self.along(first) + deep, middle));
        for layer in first + 1..=last {
            let item = if layer == last { Item::Step(to) } else { Item::Lane(from) };
            let (back, front) = (self.along(layer - 1) + deep, self.along(layer));
            let half = u32::midpoint(back, front);
            let next = self.middles[&(layer, item)];
            let (leaves, bends, enters) =
                (point(half, middle), point(half, next), point(front, next));
            path += &format!(" C{leaves} {bends} {enters}");
            if layer < last {
                path += &format!(" L{}", point(front + deep, next));
            }
            middle = next;
        }
        path
    }

    fn step_box(&self, at: usize, step: &StepState) -> StepBox {
        let layer = self.layers.layer_of[at];
        let (_, across) = self.form.turned(BOX.0, BOX.1);
        let side = self.middles[&(layer, Item::Step(at))] - across / 2;
        let (x, y) = self.form.turned(self.along(layer), side);
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
    use super::super::super::history::tests::{history, step};
    use super::super::graph;
    use super::*;

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
                assert!(found.x + found.width <= drawing.width, "{:?}", drawing.form);
                assert!(found.y + found.height <= drawing.height, "{:?}", drawing.form);
            }
        }
    }

    #[test]
    fn long_names_are_cut_at_a_letter() {
        assert_eq!(shortened("ä".repeat(30).as_str()).chars().count(), MAX_LETTERS);
        assert_eq!(shortened("clean"), "clean");
    }
}
