//! `ckpt --version`.

use serde::Deserialize;

use crate::support::{Env, repository};

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct View {
    version: u32,
    ckpt: String,
    commit: Option<String>,
    target: String,
    rustc: String,
    features: Vec<String>,
    store_format: u32,
    readable_store_formats: Vec<u32>,
    program_protocol: u32,
}

fn view(arguments: &[&str]) -> View {
    let output = Env::new().run(arguments).expect(0);
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output}"))
}

#[test]
fn the_document_says_what_was_built() {
    let found = view(&["--version", "--verbose", "--json"]);
    assert_eq!((found.version, found.ckpt.as_str()), (1, env!("CARGO_PKG_VERSION")));
    assert!(found.commit.as_ref().is_none_or(|commit| commit.len() == 40), "{found:?}");
    assert!(found.target.starts_with(std::env::consts::ARCH) && found.target.contains("linux"), "{found:?}");
    assert!(found.rustc.starts_with("1."), "{found:?}");
    assert_eq!(found.features.contains(&"s3".to_owned()), cfg!(feature = "s3"));
    assert!(found.features.is_sorted() && !found.features.contains(&"default".to_owned()), "{found:?}");
    for arguments in [&["--json", "--version"][..], &["--json", "-V", "--verbose"], &["--version", "--json"]] {
        assert_eq!(view(arguments), found, "{arguments:?}");
    }
}

/// A store of each format that the program reads is kept, and none of another.
#[test]
fn the_readable_formats_are_those_of_the_golden_stores() {
    let found = view(&["--version", "--json"]);
    let golden = repository::files("tests/data/golden");
    let format = |name: &String| name.split('/').find_map(|part| part.strip_prefix("format-"))?.parse().ok();
    let mut golden: Vec<u32> = golden.iter().filter_map(format).collect();
    golden.dedup();
    assert_eq!(found.readable_store_formats, golden);
    assert!(golden.contains(&found.store_format));
}

#[test]
fn the_text_says_the_same_in_any_order_of_the_options() {
    let found = view(&["--version", "--json"]);
    let expected = format!(
        "ckpt {}\ncommit        {}\ntarget        {}\nrustc         {}\nfeatures      {}\n\
         store format  writes {}, reads 1\nprotocol      {}, for programs\n",
        found.ckpt,
        found.commit.as_deref().unwrap_or("not recorded"),
        found.target,
        found.rustc,
        if found.features.is_empty() { "none".to_owned() } else { found.features.join(", ") },
        found.store_format,
        found.program_protocol,
    );
    for arguments in [["--version", "--verbose"], ["--verbose", "--version"], ["-V", "--verbose"]] {
        assert_eq!(Env::new().run(&arguments).expect(0).stdout, expected, "{arguments:?}");
    }
}

#[test]
fn verbose_is_for_the_version_only() {
    let output = Env::new().run(&["--verbose", "schema"]).expect(2);
    assert!(output.stderr.contains("  --version\n"), "{output}");
    Env::new().run(&["--verbose"]).expect(2);
}
