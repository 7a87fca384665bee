//! Which packages the program is made of, and where cargo keeps their sources.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::SampleError;

/// The lock file that this program was built from.
pub const LOCK: &str = include_str!("../../Cargo.lock");

/// The package that is the program; the walk through the lock file starts here.
const PROGRAM: &str = "seedbed";

/// The manifests of the workspace, which say what the lock file does not: which dependencies are for tests only.
pub const WORKSPACE: [&str; 11] = [
    include_str!("../../Cargo.toml"),
    include_str!("../../corpus-prep/Cargo.toml"),
    include_str!("../../evaluate/Cargo.toml"),
    include_str!("../../evaluate/metrics/Cargo.toml"),
    include_str!("../../finetune/Cargo.toml"),
    include_str!("../../pipelines/Cargo.toml"),
    include_str!("../../pipelines/laboratory/Cargo.toml"),
    include_str!("../../pretrain/Cargo.toml"),
    include_str!("../../pretrain/model/Cargo.toml"),
    include_str!("../../tokenize/Cargo.toml"),
    include_str!("../../tokenize/codec/Cargo.toml"),
];

/// A package whose sources cargo has unpacked.
#[derive(Debug)]
pub struct Package {
    /// Its name, as in `Cargo.lock`.
    pub name: String,
    /// Name and version, `NAME-VERSION`: the name of its folder.
    pub release: String,
    /// Where its sources are on this machine.
    pub folder: PathBuf,
    /// What belongs together: `host/owner/name` of its repository, or its own name where it names none.
    pub repository: String,
}

/// The packages that every build of the program has, by name, then version.
#[derive(Debug)]
pub struct Packages {
    /// Those whose sources are here.
    pub found: Vec<Package>,
    /// `NAME-VERSION` of the others.
    pub missing: Vec<String>,
}

/// Finds the packages that every build of the program has: the closure of the dependencies that are
/// neither optional, nor of one platform, nor for tests.
///
/// Cargo unpacks others where a platform, a test or `cargo fetch` asks for them. They are left out, so
/// that the sample is the same before and after.
///
/// # Errors
/// When fewer than half of them are under `CARGO_HOME/registry/src`, and on unreadable manifests.
pub fn packages(
    cargo_home: &Path,
    lock: &str,
    workspace: &[&str],
) -> Result<Packages, SampleError> {
    let registry = cargo_home.join("registry").join("src");
    let indexes = folders(&registry)?;
    let locked = parse::<Lock>(lock, Path::new("Cargo.lock"))?.package;
    let members = members(workspace)?;
    let mut packages = Packages { found: Vec::new(), missing: Vec::new() };
    let mut queue: Vec<&Locked> =
        locked.iter().filter(|package| package.name == PROGRAM && package.is_member()).collect();
    let mut seen = BTreeSet::new();
    while let Some(package) = queue.pop() {
        if !seen.insert((&package.name, &package.version)) {
            continue;
        }
        let needed = if package.is_member() {
            members.get(&package.name).map(Manifest::needed).unwrap_or_default()
        } else {
            unpacked(package, &indexes, &mut packages)?
        };
        queue.extend(package.dependencies_in(&locked, &needed));
    }
    packages.found.sort_by(|a, b| a.release.cmp(&b.release));
    packages.missing.sort();
    let (found, wanted) = (packages.found.len(), packages.found.len() + packages.missing.len());
    if found == 0 || found * 2 < wanted {
        return Err(SampleError::MissingSources { registry, found, wanted });
    }
    Ok(packages)
}

/// Notes `package` as found or missing, and returns what it depends on where its manifest tells.
fn unpacked(
    package: &Locked,
    indexes: &[PathBuf],
    packages: &mut Packages,
) -> Result<BTreeSet<String>, SampleError> {
    let release = format!("{}-{}", package.name, package.version);
    // Cargo writes `.cargo-ok` after the last file, so a folder without it was cut short. A release is
    // the same in every index, since the lock file holds its checksum: the first one will do.
    let folder = indexes
        .iter()
        .map(|index| index.join(&release))
        .find(|folder| folder.join(".cargo-ok").is_file());
    let Some(folder) = folder else {
        packages.missing.push(release);
        return Ok(BTreeSet::new());
    };
    let path = folder.join("Cargo.toml");
    let text = fs::read_to_string(&path)
        .map_err(|source| SampleError::Read { path: path.clone(), source })?;
    let manifest: Manifest = parse(&text, &path)?;
    let repository = manifest.repository().unwrap_or_else(|| package.name.clone());
    packages.found.push(Package { name: package.name.clone(), release, folder, repository });
    Ok(manifest.needed())
}

/// The folders of cargo's registry, one an index, by name; none where there is no registry.
fn folders(registry: &Path) -> Result<Vec<PathBuf>, SampleError> {
    let failed = |source| SampleError::Read { path: registry.to_owned(), source };
    let entries = match fs::read_dir(registry) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut folders: Vec<_> =
        entries.map(|entry| Ok(entry?.path())).collect::<Result<_, _>>().map_err(failed)?;
    folders.sort();
    Ok(folders)
}

/// The manifests of the workspace by package name.
fn members(workspace: &[&str]) -> Result<BTreeMap<String, Manifest>, SampleError> {
    let manifests = workspace.iter().map(|text| parse::<Manifest>(text, Path::new("Cargo.toml")));
    manifests
        .map(|manifest| manifest.map(|manifest| (manifest.package.name.clone(), manifest)))
        .collect()
}

/// Reads TOML; `path` is for the message.
fn parse<T: for<'a> Deserialize<'a>>(text: &str, path: &Path) -> Result<T, SampleError> {
    toml::from_str(text).map_err(|source| SampleError::Manifest { path: path.to_owned(), source })
}

/// `Cargo.lock`.
#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

/// One package of `Cargo.lock`.
#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    /// Absent for the workspace's own packages.
    source: Option<String>,
    /// `NAME`, or `NAME VERSION` where several versions of one name are locked.
    #[serde(default)]
    dependencies: Vec<String>,
}

impl Locked {
    fn is_member(&self) -> bool {
        self.source.is_none()
    }

    /// Those of its locked dependencies whose name is among `needed`.
    fn dependencies_in<'a>(
        &'a self,
        locked: &'a [Locked],
        needed: &BTreeSet<String>,
    ) -> impl Iterator<Item = &'a Locked> {
        let names = self.dependencies.iter().filter_map(|dependency| {
            let (name, version) = match dependency.split_once(' ') {
                Some((name, version)) => (name, Some(version)),
                None => (dependency.as_str(), None),
            };
            needed.contains(name).then_some((name, version))
        });
        let wanted: Vec<_> = names.collect();
        locked.iter().filter(move |package| {
            wanted.iter().any(|(name, version)| {
                package.name == *name && version.is_none_or(|version| version == package.version)
            })
        })
    }
}

/// What is read of a package's `Cargo.toml`. Dependencies of one platform (`[target.…]`) and for tests
/// are not read.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Manifest {
    package: About,
    #[serde(default)]
    dependencies: BTreeMap<String, Dependency>,
    #[serde(default)]
    build_dependencies: BTreeMap<String, Dependency>,
}

/// The `[package]` table.
#[derive(Deserialize)]
struct About {
    name: String,
    /// A string in published manifests, which cargo has flattened.
    repository: Option<toml::Value>,
}

/// A version, or a table.
#[derive(Deserialize)]
#[serde(untagged)]
enum Dependency {
    Version(#[expect(dead_code, reason = "untagged variants are told apart by content")] String),
    Table {
        /// The package's own name, where the manifest renames it.
        package: Option<String>,
        #[serde(default)]
        optional: bool,
    },
}

impl Manifest {
    /// Names of the packages it cannot be built without.
    fn needed(&self) -> BTreeSet<String> {
        let tables = self.dependencies.iter().chain(&self.build_dependencies);
        tables
            .filter_map(|(key, dependency)| match dependency {
                Dependency::Version(_) => Some(key.clone()),
                Dependency::Table { optional: true, .. } => None,
                Dependency::Table { package, .. } => Some(package.as_ref().unwrap_or(key).clone()),
            })
            .collect()
    }

    /// `host/owner/name` of its repository in lower case, whatever the spelling of the address.
    fn repository(&self) -> Option<String> {
        let address = self.package.repository.as_ref()?.as_str()?.trim().to_lowercase();
        let path = address.split_once("://").map_or(address.as_str(), |(_, path)| path);
        let path = path.strip_prefix("www.").unwrap_or(path);
        let place: Vec<_> =
            path.split(['/', '?', '#']).filter(|part| !part.is_empty()).take(3).collect();
        let place = place.join("/");
        let place = place.strip_suffix(".git").unwrap_or(&place);
        (!place.is_empty()).then(|| place.to_owned())
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Unpacks a made-up package into `index` of a registry under `home`, as cargo would.
    pub fn unpack(
        home: &Path,
        index: &str,
        release: &str,
        manifest: &str,
        files: &[(&str, &[u8])],
    ) {
        let folder = home.join("registry/src").join(index).join(release);
        let manifest = ("Cargo.toml", manifest.as_bytes());
        for (path, bytes) in [manifest, (".cargo-ok", b"{\"v\":1}")].iter().chain(files) {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }

    const PROGRAM_MANIFEST: &str = r#"
        package = { name = "seedbed", repository.workspace = true }
        dependencies = { one.workspace = true, alias = { version = "2", package = "two" }, maybe = { version = "1", optional = true } }
        dev-dependencies = { for-tests = "1" }
        target."cfg(windows)".dependencies = { windows = "1" }
    "#;

    const SMALL_LOCK: &str = r#"
        package = [
            { name = "seedbed", version = "0.1.0", dependencies = ["one", "two 2.0.0", "maybe", "for-tests", "windows"] },
            { name = "one", version = "1.0.0", source = "registry+x", dependencies = ["deep"] },
            { name = "two", version = "1.0.0", source = "registry+x" },
            { name = "two", version = "2.0.0", source = "registry+x" },
            { name = "deep", version = "1.0.0", source = "registry+x" },
            { name = "maybe", version = "1.0.0", source = "registry+x" },
            { name = "for-tests", version = "1.0.0", source = "registry+x" },
            { name = "windows", version = "1.0.0", source = "registry+x" },
        ]
    "#;

    fn manifest(name: &str, repository: &str, dependencies: &str) -> String {
        format!("dependencies = {{ {dependencies} }}\n[package]\nname = {name:?}\n{repository}")
    }

    fn found(home: &Path) -> Result<(Vec<String>, Vec<String>), SampleError> {
        let packages = packages(home, SMALL_LOCK, &[PROGRAM_MANIFEST])?;
        Ok((packages.found.into_iter().map(|package| package.release).collect(), packages.missing))
    }

    #[test]
    fn optional_platform_and_test_dependencies_are_left_out() {
        let home = tempfile::tempdir().unwrap();
        for name in ["one", "deep", "maybe", "for-tests", "windows"] {
            let dependencies = if name == "one" { "deep = \"1\"" } else { "" };
            let manifest = manifest(name, "", dependencies);
            unpack(home.path(), "b", &format!("{name}-1.0.0"), &manifest, &[]);
        }
        unpack(home.path(), "a", "two-2.0.0", &manifest("two", "", ""), &[]);
        unpack(home.path(), "a", "two-1.0.0", &manifest("two", "", ""), &[]);
        let (found, missing) = found(home.path()).unwrap();
        assert_eq!(found, ["deep-1.0.0", "one-1.0.0", "two-2.0.0"]);
        assert!(missing.is_empty());
    }

    #[test]
    fn the_first_complete_folder_is_taken() {
        let home = tempfile::tempdir().unwrap();
        for index in ["c", "b", "a"] {
            unpack(home.path(), index, "one-1.0.0", &manifest("one", "", ""), &[]);
        }
        fs::remove_file(home.path().join("registry/src/a/one-1.0.0/.cargo-ok")).unwrap();
        let packages = packages(home.path(), SMALL_LOCK, &[PROGRAM_MANIFEST]).unwrap();
        assert_eq!(packages.found[0].folder, home.path().join("registry/src/b/one-1.0.0"));
        assert_eq!(packages.missing, ["two-2.0.0"]);
    }

    #[test]
    fn missing_sources_say_where_and_what_to_do() {
        let home = tempfile::tempdir().unwrap();
        let error = found(home.path()).unwrap_err();
        assert!(matches!(error, SampleError::MissingSources { found: 0, wanted: 2, .. }));
        let message = error.to_string();
        assert!(message.contains("registry") && message.contains("cargo fetch"), "{message}");
    }

    #[test]
    fn a_broken_manifest_is_named() {
        let home = tempfile::tempdir().unwrap();
        unpack(home.path(), "a", "one-1.0.0", "package = 1", &[]);
        let error = found(home.path()).unwrap_err();
        assert!(
            matches!(&error, SampleError::Manifest { path, .. } if path.ends_with("one-1.0.0/Cargo.toml"))
        );
    }

    #[track_caller]
    fn check_repository(address: &str, expected: Option<&str>) {
        let text = manifest("one", &format!("repository = {address:?}"), "");
        let manifest: Manifest = toml::from_str(&text).unwrap();
        assert_eq!(manifest.repository().as_deref(), expected, "{address}");
    }

    #[test]
    fn spellings_of_one_repository_are_equal() {
        check_repository("https://github.com/Apache/arrow-rs", Some("github.com/apache/arrow-rs"));
        check_repository(
            "http://www.github.com/apache/arrow-rs.git",
            Some("github.com/apache/arrow-rs"),
        );
        check_repository(
            "https://github.com/apache/arrow-rs/tree/main/arrow/",
            Some("github.com/apache/arrow-rs"),
        );
        check_repository(
            "git://github.com/apache/arrow-rs#readme",
            Some("github.com/apache/arrow-rs"),
        );
        check_repository(" ", None);
    }

    #[test]
    fn every_member_of_the_workspace_is_embedded() {
        let locked = parse::<Lock>(LOCK, Path::new("Cargo.lock")).unwrap().package;
        let names: Vec<_> = locked
            .iter()
            .filter(|package| package.is_member())
            .map(|package| &package.name)
            .collect();
        let members = members(&WORKSPACE).unwrap();
        assert_eq!(names, members.keys().collect::<Vec<_>>());
    }
}
