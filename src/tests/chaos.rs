//! Whatever happens to a run, in the end there are the same bytes, and nothing is left behind.
//!
//! Each round starts one run or two at once, lets an accident happen to it, and then does what a person would: run again, and
//! where something is damaged, verify and run again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pipelines::seed::{Permutation, Seed};

use crate::kills::{VICTIMS, Victim};
use crate::project::Project;
use crate::store::{DELETE, kept};
use crate::training;

/// Rounds; more with `SEEDBED_CHAOS=N`.
const ROUNDS: u64 = 4;

/// Tries until a run must have come to a good end.
const TRIES: usize = 8;

#[derive(Clone, Copy, Debug)]
enum Accident {
    /// Some process is killed.
    Kill(Victim),
    /// A bit of a file in the store turns over.
    Flip,
    /// A file of the store loses its end.
    Cut,
    /// A second run works at the same thing.
    Twin,
}

fn rounds() -> u64 {
    std::env::var("SEEDBED_CHAOS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS)
}

fn start(project: &Project) -> Child {
    let mut command = project.command(&["run", "--quiet"]);
    command.process_group(0).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

/// Files of the store whose damage must not do harm.
fn files(project: &Project) -> Vec<PathBuf> {
    let root = project.path("out/.seedbed");
    let mut files: Vec<PathBuf> =
        kept(project, "out").into_iter().map(|name| root.join(name)).collect();
    files.extend(["digests", "last/clean.json"].map(|name| root.join(name)));
    let runs = fs::read_dir(root.join("runs")).into_iter().flatten().flatten();
    files.extend(
        runs.flat_map(|run| ["root.json", "so-far.json"].map(|name| run.path().join(name))),
    );
    files.retain(|path| fs::metadata(path).is_ok_and(|found| found.len() > 0));
    files
}

/// Writes over a file in place, so that its hard links are damaged too.
fn damage(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    // A run may have taken the file away meanwhile.
    let Ok(mut bytes) = fs::read(path) else { return };
    change(&mut bytes);
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o600));
    let _ = fs::write(path, bytes);
}

fn happen(accident: Accident, project: &Project, run: &Child, draw: impl Fn(u64) -> usize) {
    let victim = || {
        let files = files(project);
        (!files.is_empty()).then(|| files[draw(files.len() as u64)].clone())
    };
    match accident {
        Accident::Kill(victim) => drop(victim.signal("-9", run)),
        Accident::Flip => {
            if let Some(path) = victim() {
                damage(&path, |bytes| {
                    let at = draw(bytes.len() as u64);
                    bytes[at] ^= 1 << (at % 8);
                });
            }
        }
        Accident::Cut => {
            if let Some(path) = victim() {
                damage(&path, |bytes| bytes.truncate(draw(bytes.len() as u64)));
            }
        }
        Accident::Twin => drop(start(project).wait()),
    }
}

/// Runs and verifies until both end well.
fn settle(project: &Project, what: &str) {
    let good = |arguments: &[&str]| {
        let output = project.command(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!error.contains("panicked"), "{what}: {error}");
        (output.status.success(), error)
    };
    let mut said = String::new();
    for _ in 0..TRIES {
        let (ran, error) = good(&["run", "--quiet"]);
        let (whole, damage) = good(&["verify"]);
        if ran && whole {
            return;
        }
        said = said + &error + &damage;
    }
    panic!("{what}: no good end after {TRIES} tries: {said}");
}

#[test]
fn whatever_happens_the_bytes_are_the_same_and_nothing_is_left_behind() {
    let project = training::project(20, 4);
    let started = Instant::now();
    project.seedbed(&["run", "--quiet", "--out", "calm"]);
    let length = started.elapsed();
    let (calm, calm_store) = (project.artifacts("calm"), kept(&project, "calm"));
    let moments = Seed::new(2026, "chaos");
    let accidents = [
        Accident::Kill(VICTIMS[0]),
        Accident::Flip,
        Accident::Twin,
        Accident::Kill(VICTIMS[1]),
        Accident::Cut,
        Accident::Kill(VICTIMS[2]),
    ];
    for round in 0..rounds() {
        let accident = accidents[usize::try_from(round).unwrap() % accidents.len()];
        let what = format!("round {round}, {accident:?}");
        let draw =
            |below: u64| usize::try_from(Permutation::new(moments, round, below).at(0)).unwrap();
        let mut run = start(&project);
        std::thread::sleep(length.mul_f64(moments.unit(0, round)).max(Duration::from_millis(5)));
        happen(accident, &project, &run, draw);
        run.wait().unwrap();
        settle(&project, &what);
        assert!(project.artifacts("out") == calm, "{what}: other bytes");
        project.seedbed(&DELETE);
        assert_eq!(kept(&project, "out"), calm_store, "{what}: something is left, or missing");
        let left = fs::read_dir(project.path("out/.seedbed/tmp")).unwrap().count();
        assert_eq!(left, 0, "{what}: attempts are left");
        if round % 2 == 0 {
            fs::remove_dir_all(project.path("out")).unwrap();
        }
    }
}

/// A file system of its own, that can be filled.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// `None` where one may not be mounted.
    fn mount(at: &'a Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(at);
        let mounted = mount.stderr(Stdio::null()).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(at))
    }

    fn grow(&self, size: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,size={size}")]).arg(self.0);
        assert!(mount.status().unwrap().success());
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_is_told_and_with_room_the_run_goes_on() {
    let project = training::project(20, 4);
    project.seedbed(&["run", "--quiet", "--out", "calm"]);
    let at = project.path("out");
    let Some(disk) = SmallDisk::mount(&at, "600k") else {
        eprintln!("skipped: this user may not mount a small disk to fill");
        return;
    };
    let error = project.refused(&["run", "--quiet"]);
    assert!(error.contains("No space left on device"), "{error}");
    disk.grow("200m");
    settle(&project, "a full disk");
    assert!(project.artifacts("out") == project.artifacts("calm"));
}
