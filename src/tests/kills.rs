//! Killed at any moment, by whatever hand, a run goes on where it was and gives the same bytes.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pipelines::seed::Seed;

use crate::project::{Project, documents};
use crate::training;

/// Kills a test; more with `SEEDBED_KILLS=N`.
const KILLS: u64 = 3;

const DATA: &str = r#"
name = "kills"
seed = 7

[steps.clean.corpus-prep]
inputs = ["data/*.jsonl"]
part_size = "64 kB"

[steps.vocab.tokenize]
train = { documents = "clean", size = 400 }

[steps.shards.tokenize]
documents = "clean"
vocabulary = "vocab"
"#;

/// Whom a kill hits.
#[derive(Clone, Copy, Debug)]
enum Victim {
    /// The program that plans and waits.
    Program,
    /// One of its workers.
    Worker,
    /// All of them at once.
    Group,
}

fn kills() -> u64 {
    std::env::var("SEEDBED_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS)
}

/// Starts a run, waits for `delay` and then for a task of `phases` to be under way, and kills `victim`. False if the run
/// was over before.
fn killed(project: &Project, out: &str, phases: &[&str], victim: Victim, delay: Duration) -> bool {
    let mut command = project.command(&["run", "--quiet", "--out", out]);
    let mut run =
        command.process_group(0).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let id = run.id().to_string();
    std::thread::sleep(delay);
    let hit = loop {
        if run.try_wait().unwrap().is_some() {
            break false;
        }
        if project
            .open_tasks(out)
            .iter()
            .any(|task| phases.iter().any(|phase| task.starts_with(phase)))
        {
            break match victim {
                Victim::Program => kill(&["-9", &id]),
                Victim::Group => kill(&["-9", "--", &format!("-{id}")]),
                Victim::Worker => worker_of(&id).is_some_and(|worker| kill(&["-9", &worker])),
            };
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    run.wait().unwrap();
    hit
}

fn kill(arguments: &[&str]) -> bool {
    Command::new("kill").args(arguments).stderr(Stdio::null()).status().unwrap().success()
}

/// A child of the process `parent`.
fn worker_of(parent: &str) -> Option<String> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    std::fs::read_to_string(path).ok()?.split_whitespace().next().map(str::to_owned)
}

/// Kills runs at random moments while a task of `phases` is under way, lets them go on to their end, and compares with a run
/// that nobody disturbed.
fn check(project: &Project, phases: &[&str]) {
    let started = Instant::now();
    project.seedbed(&["run", "--quiet", "--out", "calm"]);
    let length = started.elapsed();
    let moments = Seed::new(1, phases[0]);
    let victims = [Victim::Program, Victim::Worker, Victim::Group];
    for round in 0..kills() {
        let out = format!("disturbed-{round}");
        let victim = victims[usize::try_from(round % 3).unwrap()];
        // A later moment may miss the phases; then an earlier one is tried, on a fresh directory.
        let mut delay = length.mul_f64(0.8 * moments.unit(0, round));
        while !killed(project, &out, phases, victim, delay) {
            delay /= 2;
            std::fs::remove_dir_all(project.path(&out)).unwrap();
        }
        project.seedbed(&["run", "--quiet", "--out", &out]);
        assert!(
            project.artifacts("calm") == project.artifacts(&out),
            "{victim:?} after {delay:?} gives other bytes"
        );
    }
}

#[test]
fn data_stages_survive_kills() {
    let project = Project::new(DATA);
    for file in 0..16 {
        project.write(
            &format!("data/{file}.jsonl"),
            documents(file * 300, file * 300 + 300).as_bytes(),
        );
    }
    check(&project, &["clean/", "vocab/", "shards/"]);
}

#[test]
fn training_survives_kills() {
    check(&training::project(60, 10), &["base/", "tuned/", "scratch/"]);
}
