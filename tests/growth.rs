//! Files that grow between two runs: wherever the first run found their end, the two runs end as one run does, or the
//! second one says why it cannot.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use ckpt::input::InputError;
use ckpt::runner::error::{RecordError, RunError};
use ckpt::runner::observer::Summary;
use ckpt::storage::memory::MemoryStorage;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::Env;
use crate::support::in_process::run_in_memory;

const JSON: &str = "{\"k\":\"a\",\"v\":12}\n\n {\"k\":\"b\",\"v\":3}\n{\"k\":\"a\",\"v\":4}";
const CSV: &str = "k,\"v\"\na,12\n\n\"b\",3\n\"a\nb\",\"4\"\na,5";
const CSV_WITH_BAD: &str = "k,v\na,1\n\"x\",\"2\n3\n\"\na,\"\n4\"\nb,5\n";
const TEXT: &str = "one two\n\nthree\none";

/// What a job leaves: its output and how many records it left out, or why it failed.
type End = Result<(String, u64), Refusal>;

/// Why a run failed, as far as the documents allow it.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// The last record was counted, and has grown.
    Grown,
    /// A record, the header line or the file is incomplete, and nothing of it was counted.
    Incomplete,
}

/// A kind of input: the name of its file, its content, and the rest of the job.
struct Kind {
    file: &'static str,
    content: String,
    job: &'static str,
}

fn kinds() -> Vec<Kind> {
    const KEYED: &str = "key: k\ntasks: 2\nprocess: {aggregate: {n: count, s: sum(v), l: last(v)}}\n";
    const LINES: &str = "key: line\ntasks: 2\nprocess: {aggregate: {n: count}}\n";
    const WORDS: &str = "key: word\ntasks: 2\nprocess: {aggregate: {n: count}}\n";
    let mut kinds = Vec::new();
    for (plain, packed, text, job) in [
        ("{files: x.jsonl, types: {v: number}", "{files: x.jsonl.gz, types: {v: number}", JSON, KEYED),
        ("{files: x.csv, types: {v: number}", "{files: x.csv.gz, types: {v: number}", CSV, KEYED),
        ("{files: x.csv, types: {v: number}", "{files: x.csv.gz, types: {v: number}", CSV_WITH_BAD, KEYED),
        ("{files: x.txt", "{files: x.txt.gz", TEXT, LINES),
        ("{files: x.log, format: text, split: words", "{files: x.log.gz, format: text, split: words", TEXT, WORDS),
    ] {
        for file in [plain, packed] {
            let contents = [text.to_owned(), text.replace('\n', "\r\n"), format!("\u{feff}{text}\n")];
            // A packed file is cut into records by the same code, so one content is enough.
            let count = if file == plain { contents.len() } else { 1 };
            kinds.extend(contents.into_iter().take(count).map(|content| Kind { file, content, job }));
        }
    }
    kinds
}

impl Kind {
    fn job(&self, on_error: &str) -> String {
        let Kind { file, job, .. } = self;
        format!("job: j\ninput: {file}, on_error: {on_error}}}\n{job}checkpoint: {{store: a}}\noutput: out\n")
    }

    /// Writes the file with `parts` of the content, each packed by itself.
    fn write(&self, directory: &Path, parts: &[&[u8]]) {
        let name = self.file.trim_start_matches("{files: ").split(',').next().expect("a name");
        let bytes = match name.ends_with(".gz") {
            true => parts.iter().flat_map(|part| packed(part)).collect(),
            false => parts.concat(),
        };
        fs::write(directory.join(name), bytes).expect("written");
    }
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("packed");
    encoder.finish().expect("packed")
}

/// Runs the job once, and sorts out what may happen.
fn end(directory: &Path, job: &str, store: &MemoryStorage) -> End {
    match run_in_memory(directory, job, store) {
        Ok(Summary { skipped_in_all, .. }) => {
            let output = fs::read_to_string(directory.join("out/j.jsonl")).expect("an output");
            Ok((output, skipped_in_all))
        }
        Err(RunError::Input(InputError::Lengthened { .. } | InputError::Unquoted { .. })) => Err(Refusal::Grown),
        Err(RunError::Record(RecordError::Bad { .. }) | RunError::Input(InputError::Header { .. })) => {
            Err(Refusal::Incomplete)
        }
        Err(error) => panic!("{error:?}"),
    }
}

fn fresh(directory: &Path) {
    let _ = fs::remove_dir_all(directory.join("out"));
}

/// Returns how many cuts had each outcome: equal, refused, and failed at first and then equal.
fn cut_everywhere(on_error: &str) -> [usize; 3] {
    let env = Env::in_memory();
    let directory = env.dir();
    let mut outcomes = [0; 3];
    for kind in kinds() {
        let job = kind.job(on_error);
        let whole = kind.content.as_bytes();
        fresh(directory);
        kind.write(directory, &[whole]);
        let expected = end(directory, &job, &MemoryStorage::new());
        for cut in 0..=whole.len() {
            let context = format!("{on_error} {:?}, cut at {cut} of {:?}", kind.file, kind.content);
            let (first, rest) = whole.split_at(cut);
            let store = MemoryStorage::new();
            fresh(directory);
            kind.write(directory, &[first]);
            let early = end(directory, &job, &store);
            assert_ne!(early, Err(Refusal::Grown), "{context}");
            kind.write(directory, &[first, rest]);
            let late = end(directory, &job, &store);
            match (early, late) {
                (Ok(_), Err(Refusal::Grown)) => outcomes[1] += 1,
                (early, late) => {
                    assert_eq!(late, expected, "{context}");
                    outcomes[if early.is_ok() { 0 } else { 2 }] += 1;
                    // Whatever the two runs were, a third one agrees.
                    assert_eq!(end(directory, &job, &store), expected, "{context}, once more");
                }
            }
        }
    }
    outcomes
}

#[test]
fn a_file_that_was_cut_anywhere_and_grew_gives_the_result_of_one_run_or_is_refused() {
    let [equal, refused, failed] = cut_everywhere("fail");
    assert!(equal > 100 && refused > 100 && failed > 200, "{equal} {refused} {failed}");
}

#[test]
fn a_bad_record_that_was_cut_anywhere_and_grew_is_counted_once_or_refused() {
    let [equal, refused, failed] = cut_everywhere("skip");
    assert!(equal > 100 && refused > 300 && failed > 0, "{equal} {refused} {failed}");
}
