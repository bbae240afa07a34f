//! What the other commands make of a damaged store: the right answer, or an error. Never a wrong answer that looks
//! right.

use std::fs;

use super::scene::{Files, Scene, Target};
use super::table::{Damage, is_complete};
use crate::support::{Env, Output, tree};

/// The exit codes of `docs/scripting.md` with which a command reports that it could not answer.
const REFUSALS: [i32; 4] = [2, 4, 10, 12];

/// What every command says about a store.
struct Answers {
    checkpoints: Vec<serde_json::Value>,
    list: Output,
    others: Vec<(String, Output, Files)>,
}

fn ask(env: &Env) -> Answers {
    let list = env.run(&["list", "a", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&list.stdout).unwrap_or_default();
    let checkpoints = document["checkpoints"].as_array().cloned().unwrap_or_default();
    let mut others = Vec::new();
    for line in [
        "inspect a@latest --state --limit 0 --json",
        "inspect a@latest --positions --json",
        "inspect a@5 --state --limit 0 --json",
        "diff a@5 a@latest --json",
        "restore a@latest --to restored --format jsonl",
        "run job.yaml --threads 2 --quiet",
    ] {
        let output = env.run(&line.split(' ').collect::<Vec<_>>());
        let mut files = Files::new();
        if line.starts_with("restore") {
            files = if env.path("restored").exists() { tree(&env.path("restored")) } else { files };
        }
        if line.starts_with("run") {
            files = tree(&env.path("out"));
        }
        others.push((line.to_owned(), output, files));
    }
    // What the run left.
    let after = env.run(&["inspect", "a@latest", "--state", "--limit", "0", "--json"]);
    let after: serde_json::Value = serde_json::from_str(&after.stdout).unwrap_or_default();
    let rows = serde_json::to_vec(&after["rows"]).expect("JSON");
    if let Some((_, _, files)) = others.last_mut() {
        files.insert("the state".to_owned(), rows);
    }
    Answers { checkpoints, list, others }
}

/// Restores the files of the job's directory, the damaged ones in both replicas.
fn set_up(env: &Env, files: &Files) {
    for directory in ["a", "b", "out", "restored"] {
        let _ = fs::remove_dir_all(env.path(directory));
    }
    for (path, bytes) in files {
        env.write(path, bytes);
    }
}

fn damaged(files: &Files, target: &Target, damage: Damage) -> Option<Files> {
    let mut all = files.clone();
    for replica in ["a/", "b/"] {
        let own = all.iter().filter_map(|(path, bytes)| Some((path.strip_prefix(replica)?.to_owned(), bytes.clone())));
        let mut own: Files = own.collect();
        if !damage.strike(&mut own, target, 0) {
            return None;
        }
        all.retain(|path, _| !path.starts_with(replica));
        all.extend(own.into_iter().map(|(path, bytes)| (format!("{replica}{path}"), bytes)));
    }
    Some(all)
}

#[test]
fn no_command_gives_a_wrong_answer_that_looks_right() {
    let mut scene = Scene::new();
    scene.env.at("2026-11-22T15:00:00Z");
    let env = &scene.env;
    let data = env.read("data.jsonl");
    env.write("data.jsonl", data + &"{\"k\":\"key 599\"}\n".repeat(5));
    let files = tree(env.dir());
    set_up(env, &files);
    let right = ask(env);
    assert!(right.list.status == 0 && right.checkpoints.len() == 4, "{}", right.list);
    for (line, output, files) in &right.others {
        assert!(
            matches!(output.status, 0 | 1) && (!files.is_empty() || !line.starts_with("restore")),
            "{line}: {output}"
        );
    }
    let mut wrong = Vec::new();
    let mut refused = 0;
    // By default, one damage for each file that the answers come from.
    let is_content =
        |target: &Target| target.other.is_some() && !target.name.contains("pruned") || target.name == "store.yaml";
    let cells = scene.targets.iter().enumerate().flat_map(|(number, target)| {
        let by_default = [Damage::Flip, Damage::Delete, Damage::Replace, Damage::Truncate][number % 4];
        let damages = Damage::ALL
            .into_iter()
            .filter(move |damage| is_complete() || (*damage == by_default && is_content(target)));
        damages.map(move |damage| (target, damage))
    });
    for (target, damage) in cells {
        let Some(damaged) = damaged(&files, target, damage) else { continue };
        let case = format!("{} {damage:?}", target.name);
        set_up(env, &damaged);
        let said = ask(env);
        if said.list.status == 0 || said.list.status == 1 {
            for checkpoint in &said.checkpoints {
                let is_pin = target.name == "pin";
                let same = |other: &&serde_json::Value| other["sequence"] == checkpoint["sequence"];
                let is_right = right.checkpoints.iter().find(same).is_some_and(|right| right == checkpoint);
                if !is_right && checkpoint["error"].is_null() && !is_pin {
                    wrong.push(format!("{case}: list: {checkpoint}"));
                }
            }
            if said.checkpoints.len() != right.checkpoints.len() {
                wrong.push(format!("{case}: list: {} checkpoints", said.checkpoints.len()));
            }
        }
        for ((line, right, right_files), (_, output, files)) in right.others.iter().zip(&said.others) {
            let is_refused = REFUSALS.contains(&output.status) && output.stderr.contains("error: ");
            let is_run = line.starts_with("run");
            let is_right =
                output.status == right.status && (is_run || output.stdout == right.stdout) && files == right_files;
            refused += u32::from(is_refused);
            if !is_refused && !is_right {
                wrong.push(format!("{case}: {line}: {output}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(refused > 0);
}
