//! The page of a run, and the event files beside its log.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::project::{Project, documents, labelled};
use crate::{tagging, training};

const MANIFEST: &str = r#"
name = "page"

[steps.clean.corpus-prep]
inputs = ["data/*.jsonl"]
"#;

/// A project whose rules drop one document, as too short, and keep the others.
fn small() -> Project {
    let project = Project::new(MANIFEST);
    let kept: String = documents(0, 12);
    let dropped = r#"{"id": "short", "text": "<script>alert(\"dropped\")</script> the short"}"#;
    project.write("data/a.jsonl", format!("{kept}{dropped}\n").as_bytes());
    project
}

fn page(project: &Project, name: &str) -> String {
    fs::read_to_string(project.path(name)).unwrap()
}

#[track_caller]
fn check_sections(html: &str, sections: &[&str]) {
    let all =
        ["failures", "graph", "counts", "dropped", "curves", "models", "mistakes", "provenance"];
    for section in all {
        let found = html.contains(&format!("<section id=\"{section}\""));
        assert_eq!(found, sections.contains(&section), "{section}");
    }
    for word in ["<script", "src=", "href=\"http", "url(http", "@import", "<link"] {
        assert!(!html.contains(word), "{word}");
    }
}

#[test]
fn a_run_leaves_a_page_with_every_section() {
    let project = training::project(20, 4);
    let mut test = fs::read_to_string(project.path("test.jsonl")).unwrap();
    for at in 0..30 {
        let text = format!("<script>held out {at}</script>");
        test += &format!("{}\n", serde_json::json!({ "text": text, "label": "wet" }));
    }
    project.write("test.jsonl", test.as_bytes());
    let said = project.seedbed(&["run"]);
    assert!(said.contains("all of it on a page: out/report.html"), "{said}");
    let html = page(&project, "out/report.html");
    check_sections(
        &html,
        &["graph", "counts", "dropped", "curves", "models", "mistakes", "provenance"],
    );
    assert!(html.contains("&lt;script&gt;held out"), "a row that every model gets wrong or tied");
    let mode = fs::metadata(project.path("out/report.html")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "there are texts on it");
    // The numbers are those of the terminal.
    let table = &said[said.find("\nreport\n").unwrap()..];
    for word in table.split([' ', '\n', ']', '[', ',']).filter(|word| word.starts_with("0.")) {
        assert!(html.contains(word), "{word}");
    }
    for step in ["clean", "labels", "vocab", "shards", "base", "tuned", "scratch", "report"] {
        assert!(html.contains(&format!("class=\"name\">{step}</text>")), "{step}");
    }
}

#[test]
fn errors_of_taggers_are_shown_word_by_word() {
    let project = tagging::project();
    project.seedbed(&["run", "--quiet"]);
    let html = page(&project, "out/report.html");
    check_sections(
        &html,
        &["graph", "counts", "dropped", "curves", "models", "mistakes", "provenance"],
    );
    assert!(html.contains("class=\"token wrong\"") && html.contains("entity F1"));
}

#[test]
fn texts_of_dropped_records_are_shown_to_whoever_asks() {
    let project = small();
    project.seedbed(&["run", "--quiet"]);
    let texts = |samples: &str| {
        project.seedbed(&["report", "--samples", samples, "--page", "page.html"]);
        let html = page(&project, "page.html");
        check_sections(&html, &["graph", "counts", "dropped", "provenance"]);
        assert!(html.contains("a.jsonl") && html.contains("short_doc"), "{samples}");
        let mode = fs::metadata(project.path("page.html")).unwrap().permissions().mode();
        (html.contains("remembers"), html.contains("the short"), mode & 0o077 == 0)
    };
    assert_eq!(texts("none"), (false, false, false));
    assert_eq!(texts("kept"), (true, false, true));
    assert_eq!(texts("dropped"), (true, true, true));
}

#[test]
fn a_page_is_written_again_only_when_it_would_be_another() {
    let project = small();
    project.seedbed(&["run", "--quiet"]);
    let first = page(&project, "out/report.html");
    let written = || fs::metadata(project.path("out/report.html")).unwrap().modified().unwrap();
    let before = written();
    let said = project.seedbed(&["run"]);
    assert!(said.starts_with("nothing to do") && said.contains("out/report.html"), "{said}");
    assert_eq!(written(), before);
    project.seedbed(&["report"]);
    assert_eq!(page(&project, "out/report.html"), first, "the run that made it is reported");
    project.write("data/b.jsonl", documents(20, 30).as_bytes());
    project.seedbed(&["run", "--quiet"]);
    assert_ne!(page(&project, "out/report.html"), first);
    fs::remove_file(project.path("out/report.html")).unwrap();
    project.seedbed(&["run", "--quiet"]);
    assert!(project.path("out/report.html").exists());
}

#[test]
fn a_run_that_failed_leaves_a_page_that_says_why() {
    let project = small();
    project.write("data/b.jsonl", b"{\"id\": \"broken\", \"text\": \"<script>\n");
    let error = project.refused(&["run"]);
    assert!(error.contains("b.jsonl"), "{error}");
    let html = page(&project, "out/report.html");
    check_sections(&html, &["failures", "graph", "provenance"]);
    assert!(html.contains("<strong>failed</strong>") && html.contains("b.jsonl"), "{html}");
    assert!(html.contains("failed, 0 of "), "{html}");
}

#[test]
fn a_page_of_a_run_that_failed_shows_what_that_run_made() {
    let project = small();
    let manifest = fs::read_to_string(project.path("pipeline.toml")).unwrap();
    let labels = "\n[steps.labels.corpus-prep]\nexamples = { files = \"labels.jsonl\", task = \"sequence-classification\" }\n";
    project.write("pipeline.toml", (manifest + labels).as_bytes());
    project.write("labels.jsonl", b"{\"text\": \"a\"}\n");
    project.seedbed(&["run", "--quiet", "--only", "clean"]);
    let error = project.refused(&["run", "--quiet"]);
    assert!(error.contains("labels.jsonl"), "{error}");
    let read = |html: &str| {
        let from = html.split("<section id=\"counts\"").nth(1).expect("counts of `clean`");
        from.split("</section>").next().unwrap().to_owned()
    };
    let before = page(&project, "out/report.html");
    let run = newest_run(&project);
    project.write("labels.jsonl", labelled(0, 60).as_bytes());
    project.write("data/b.jsonl", documents(20, 40).as_bytes());
    project.seedbed(&["run", "--quiet"]);
    project.seedbed(&["report", &run, "--page", "again.html"]);
    assert_eq!(read(&page(&project, "again.html")), read(&before));
    assert_ne!(read(&page(&project, "out/report.html")), read(&before));
}

#[test]
fn a_page_says_how_to_make_it_again() {
    let project = small();
    fs::rename(project.path("pipeline.toml"), project.path("my notes.toml")).unwrap();
    project.seedbed(&["run", "my notes.toml", "--out", "there", "--quiet"]);
    let run = newest_run_under(&project, "there");
    let again = format!("seedbed report {run} --manifest &#x27;my notes.toml&#x27; --out there");
    assert!(page(&project, "there/report.html").contains(&again), "{again}");
    let error = project.refused(&["report", &run]);
    assert!(error.contains("pipeline.toml: found no such file"), "{error}");
    project.seedbed(&["report", &run, "--manifest", "my notes.toml", "--out", "there"]);
}

#[test]
fn runs_are_named_where_one_is_not_found() {
    let project = small();
    let error = project.refused(&["report"]);
    assert!(error.contains("found no store, expected the results of a run"), "{error}");
    fs::create_dir_all(project.path("out/.seedbed")).unwrap();
    let error = project.refused(&["report"]);
    assert!(error.contains("found no run, expected one: `seedbed run`"), "{error}");
    project.seedbed(&["run", "--quiet"]);
    project.seedbed(&["run", "--quiet"]);
    let mut runs: Vec<String> = fs::read_dir(project.path("out/.seedbed/runs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    runs.sort();
    let error = project.refused(&["report", "nothing"]);
    assert!(error.contains("there is no run `nothing`; there are"), "{error}");
    assert!(runs.iter().all(|run| error.contains(run)), "{error}");
    let error = project.refused(&["report", "0"]);
    assert!(error.contains("`0` may be any of the runs"), "{error}");
    project.seedbed(&["report", &runs[1], "--page", "page.html"]);
    assert!(page(&project, "page.html").contains("was made before"));
}

#[test]
fn what_is_damaged_or_gone_is_said_on_the_page() {
    let project = small();
    project.seedbed(&["run", "--quiet"]);
    let run = fs::read_dir(project.path("out/.seedbed/runs")).unwrap().next().unwrap().unwrap();
    let log = run.path().join("log.jsonl");
    fs::write(&log, fs::read_to_string(&log).unwrap() + "{\"time\": 1, \"ev").unwrap();
    fs::remove_file(project.path("out/clean/signals/artifact.json")).unwrap();
    let part = project.path("out/clean/decisions/bucket.parquet");
    fs::remove_file(&part).unwrap();
    fs::write(&part, "no table").unwrap();
    project.seedbed(&["report"]);
    let html = page(&project, "out/report.html");
    check_sections(&html, &["graph", "counts", "provenance"]);
    for words in [
        "lines of the log that cannot be understood: 1",
        "is no longer in the store",
        "what was dropped:",
    ] {
        assert!(html.contains(words), "{words}");
    }
    fs::write(run.path().join("root.json"), "{").unwrap();
    let error = project.refused(&["report"]);
    assert!(error.contains("root.json"), "{error}");
}

fn newest_run(project: &Project) -> String {
    newest_run_under(project, "out")
}

fn newest_run_under(project: &Project, out: &str) -> String {
    let runs = fs::read_dir(project.path(out).join(".seedbed/runs")).unwrap();
    runs.map(|run| run.unwrap().file_name().into_string().unwrap()).max().unwrap()
}

/// The scalars of an event file, with their steps, in order.
fn scalars(path: &Path) -> BTreeMap<String, Vec<u64>> {
    let bytes = fs::read(path).unwrap();
    let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let length = usize::try_from(u64::from_le_bytes(rest[..8].try_into().unwrap())).unwrap();
        let event = fields(&rest[12..12 + length]);
        rest = &rest[16 + length..];
        let step = event.iter().find_map(|(field, value, _)| (*field == 2).then_some(*value));
        for (_, _, summary) in event.iter().filter(|(field, ..)| *field == 5) {
            for (_, _, value) in fields(summary) {
                let tag = String::from_utf8(fields(value)[0].2.to_vec()).unwrap();
                found.entry(tag).or_default().push(step.unwrap());
            }
        }
    }
    found
}

/// The fields of a protobuf message: number, value of an integer, bytes.
fn fields(mut bytes: &[u8]) -> Vec<(u8, u64, &[u8])> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let head = bytes[0];
        bytes = &bytes[1..];
        let length = match head & 7 {
            0 => {
                found.push((head >> 3, varint(&mut bytes), &[][..]));
                continue;
            }
            1 => 8,
            5 => 4,
            _ => usize::try_from(varint(&mut bytes)).unwrap(),
        };
        found.push((head >> 3, 0, &bytes[..length]));
        bytes = &bytes[length..];
    }
    found
}

/// The event files of the newest run, by curve.
fn curves(project: &Project) -> BTreeMap<String, BTreeMap<String, Vec<u64>>> {
    let runs = fs::read_dir(project.path("out/.seedbed/runs")).unwrap();
    let newest = runs.map(|entry| entry.unwrap().path()).max().unwrap().join("tensorboard");
    let mut found = BTreeMap::new();
    let mut open = vec![newest.clone()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let curve = path.parent().unwrap().strip_prefix(&newest).unwrap();
                found.insert(curve.to_str().unwrap().to_owned(), scalars(&path));
            }
        }
    }
    found
}

/// The steps of each column of the published `metrics.jsonl` of `checkpoint`.
fn steps(project: &Project, checkpoint: &str) -> BTreeMap<String, Vec<u64>> {
    let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for line in page(project, &format!("out/{checkpoint}/metrics.jsonl")).lines() {
        let line: BTreeMap<String, serde_json::Value> = serde_json::from_str(line).unwrap();
        let step = line["step"].as_u64().unwrap();
        for name in line.keys().filter(|name| *name != "step") {
            found.entry(name.clone()).or_default().push(step);
        }
    }
    found
}

#[test]
fn event_files_hold_every_scalar_once_also_of_a_run_that_goes_on() {
    let project = training::project(60, 10);
    project.seedbed(&["run", "--quiet"]);
    let found = curves(&project);
    assert_eq!(found["base"], steps(&project, "base/checkpoint"));
    for seed in ["seed-1", "seed-2"] {
        assert_eq!(
            found[&format!("tuned/{seed}")],
            steps(&project, &format!("tuned/checkpoint/{seed}"))
        );
    }
    // Goes on where the decay began, and tells what it measured before.
    let longer = fs::read_to_string(project.path("pipeline.toml")).unwrap();
    project
        .write("pipeline.toml", longer.replace("total_steps = 60", "total_steps = 80").as_bytes());
    project.seedbed(&["run", "--quiet"]);
    let base = steps(&project, "base/checkpoint");
    assert_eq!(base["train_loss"].last(), Some(&80));
    assert_eq!(curves(&project)["base"], base);
}
