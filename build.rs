//! Records what `ckpt --version --verbose` reports about the build.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CKPT_COMMIT");
    set("CKPT_BUILD_COMMIT", &commit().unwrap_or_default());
    set("CKPT_BUILD_TARGET", &env::var("TARGET").unwrap_or_default());
    set("CKPT_BUILD_RUSTC", &rustc().unwrap_or_default());
    set("CKPT_BUILD_FEATURES", &features().join(","));
}

fn set(variable: &str, value: &str) {
    println!("cargo::rustc-env={variable}={value}");
}

/// Returns the commit that is built: the one that the variable `CKPT_COMMIT` names, else the one that git names.
fn commit() -> Option<String> {
    if let Some(commit) = env::var("CKPT_COMMIT").ok().filter(|commit| !commit.is_empty()) {
        return Some(commit);
    }
    // The library is compiled again when its commit changes, which would slow down work on it.
    if env::var("PROFILE").ok()? != "release" {
        return None;
    }
    // A repository around that of the sources, as of a project that contains a copy of them, has other commits.
    let sources = Path::new(&env::var_os("CARGO_MANIFEST_DIR")?).canonicalize().ok()?;
    if Path::new(&git(&["rev-parse", "--show-toplevel"])?).canonicalize().ok()? != sources {
        return None;
    }
    let branch = git(&["symbolic-ref", "-q", "HEAD"]);
    for name in ["HEAD", "packed-refs"].into_iter().chain(branch.as_deref()) {
        let path = git(&["rev-parse", "--git-path", name])?;
        // Cargo takes a file that does not exist for a changed one.
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    printed("git", arguments)
}

/// Returns the version of the compiler, such as `1.89.0`.
fn rustc() -> Option<String> {
    let version = printed(&env::var("RUSTC").ok()?, &["--version"])?;
    version.split(' ').nth(1).map(str::to_owned)
}

/// Returns the names of the features that are on, sorted.
fn features() -> Vec<String> {
    let names = env::vars().filter_map(|(name, _)| name.strip_prefix("CARGO_FEATURE_").map(str::to_owned));
    let mut names: Vec<String> = names.map(|name| name.to_lowercase().replace('_', "-")).collect();
    names.retain(|name| name != "default");
    names.sort();
    names
}

/// Returns what a program prints, without the end of the line, if it succeeds.
fn printed(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim_end().to_owned())
}
