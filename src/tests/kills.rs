//! Killed or interrupted at any moment, by whatever hand, a run goes on where it was and gives the same bytes.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pipelines::seed::Seed;

use crate::project::{Project, documents};
use crate::store::{DELETE, kept};
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

/// Whom a signal hits.
#[derive(Clone, Copy, Debug)]
pub enum Victim {
    /// The program that plans and waits.
    Program,
    /// One of its workers.
    Worker,
    /// All of them at once.
    Group,
}

pub const VICTIMS: [Victim; 3] = [Victim::Program, Victim::Worker, Victim::Group];

fn kills() -> u64 {
    std::env::var("SEEDBED_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS)
}

/// Starts a run, waits for `delay` and then for a task of `phases` to be under way. None if the run was over before.
fn under_way(project: &Project, out: &str, phases: &[&str], delay: Duration) -> Option<Child> {
    let mut command = project.command(&["run", "--quiet", "--out", out]);
    let mut run =
        command.process_group(0).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    std::thread::sleep(delay);
    while run.try_wait().unwrap().is_none() {
        let open = project.open_tasks(out);
        if open.iter().any(|task| phases.iter().any(|phase| task.starts_with(phase))) {
            return Some(run);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    None
}

/// Starts a run and kills `victim` while a task of `phases` is under way. False if the run, or the worker, was over before.
fn killed(project: &Project, out: &str, phases: &[&str], victim: Victim, delay: Duration) -> bool {
    under_way(project, out, phases, delay).is_some_and(|mut run| {
        let hit = victim.signal("-9", &run);
        run.wait().unwrap();
        hit
    })
}

/// Starts a run and interrupts `victim` while a task of `phase` is under way. False if the run comes to its end all the same:
/// the task was over before, or the worker was so young that it died of the signal, and another took its place.
fn interrupted(project: &Project, out: &str, phase: &str, victim: Victim) -> bool {
    under_way(project, out, &[phase], Duration::ZERO).is_some_and(|mut run| {
        victim.signal("-INT", &run);
        let status = run.wait().unwrap();
        assert!(status.success() || status.code() == Some(130), "{phase} {victim:?}: {status}");
        !status.success()
    })
}

impl Victim {
    /// Sends `signal` to this part of `run`; false if it is not there.
    pub fn signal(self, signal: &str, run: &Child) -> bool {
        let id = run.id().to_string();
        match self {
            Self::Program => kill(&[signal, &id]),
            Self::Group => kill(&[signal, "--", &format!("-{id}")]),
            Self::Worker => worker_of(&id).is_some_and(|worker| kill(&[signal, &worker])),
        }
    }
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
    for round in 0..kills() {
        let out = format!("disturbed-{round}");
        let victim = VICTIMS[usize::try_from(round % 3).unwrap()];
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

/// Interrupts runs while a task of the phase beside the victim is under way: the program, a worker, and all of them as Ctrl-C
/// does. They end with status 130, go on to their end, and give the bytes of a run that nobody disturbed.
fn check_interrupted(project: &Project, phases: [&str; 3]) {
    project.seedbed(&["run", "--quiet", "--out", "calm"]);
    for (phase, victim) in phases.into_iter().zip(VICTIMS) {
        while !interrupted(project, "disturbed", phase, victim) {
            std::fs::remove_dir_all(project.path("disturbed")).unwrap();
        }
        project.seedbed(&["run", "--quiet", "--out", "disturbed"]);
        assert!(
            project.artifacts("calm") == project.artifacts("disturbed"),
            "{phase} interrupted at {victim:?} gives other bytes"
        );
        std::fs::remove_dir_all(project.path("disturbed")).unwrap();
    }
}

/// So many files of three hundred documents each.
fn data(files: u64) -> Project {
    let project = Project::new(DATA);
    for file in 0..files {
        project.write(
            &format!("data/{file}.jsonl"),
            documents(file * 300, file * 300 + 300).as_bytes(),
        );
    }
    project
}

#[test]
fn data_stages_survive_kills() {
    check(&data(16), &["clean/", "vocab/", "shards/"]);
}

#[test]
fn interrupted_data_stages_say_so_and_go_on() {
    check_interrupted(&data(8), ["clean/extract/", "clean/measure/", "shards/"]);
}

#[test]
fn gc_takes_nothing_of_an_interrupted_run() {
    let project = training::project(400, 40);
    while !interrupted(&project, "out", "base/train", Victim::Program) {
        std::fs::remove_dir_all(project.path("out")).unwrap();
    }
    let resumes = project.seedbed(&["plan"]);
    assert!(resumes.contains("base/train") || resumes.contains("resumes at"), "{resumes}");
    let before = kept(&project, "out");
    project.seedbed(&DELETE);
    assert_eq!((kept(&project, "out"), project.seedbed(&["plan"])), (before, resumes));
    project.seedbed(&["run", "--quiet"]);
    project.seedbed(&["run", "--quiet", "--out", "calm"]);
    project.seedbed(&DELETE);
    assert!(project.artifacts("out") == project.artifacts("calm"));
    assert_eq!(
        kept(&project, "out"),
        kept(&project, "calm"),
        "what the interrupted run left stays"
    );
}

#[test]
fn training_survives_kills() {
    check(&training::project(60, 10), &["base/", "tuned/", "scratch/"]);
}

#[test]
fn interrupted_fine_tuning_says_so_and_goes_on() {
    let project = training::project(10, 2);
    let manifest = std::fs::read_to_string(project.path("pipeline.toml")).unwrap();
    let longer = manifest.replacen("epochs = 2", "epochs = 30", 1);
    assert_ne!(longer, manifest);
    project.write("pipeline.toml", longer.as_bytes());
    check_interrupted(&project, ["tuned/"; 3]);
}
