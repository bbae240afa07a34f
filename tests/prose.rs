//! Refuses turns of phrase that no native speaker would use.
//!
//! A rule here is a pattern that was common in the project once. It is a help, not a judge: where a sentence is right,
//! add an exception to the rule, and the sentence to the table of fine ones. To see what the rules say about
//! other files before they are added to the scope: `CKPT_PROSE=src/,docs/ cargo test --test suite prose`.

use std::fs;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use crate::support::repository;

/// Files, and directories with a `/` at the end, whose text is checked.
const SCOPE: &[&str] = &[
    ".ci/",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "benches/",
    "docs/",
    "examples/",
    "fuzz/",
    "man/",
    "python/",
    "src/",
    "tests/",
];

/// Files that quote what is refused.
const NOT_CHECKED: &[&str] = &["tests/prose.rs"];

/// A pattern that is refused.
struct Rule {
    /// A regular expression, in which a space matches the end of a line too. Case is ignored.
    pattern: &'static str,
    /// A match that begins like this is fine.
    except: &'static str,
    better: &'static str,
}

const fn rule(pattern: &'static str, except: &'static str, better: &'static str) -> Rule {
    Rule { pattern, except, better }
}

/// Nothing begins like this.
const NEVER: &str = "[^\\s\\S]";

const RULES: &[Rule] = &[
    rule(r"\bcan not\b", r"can not only", "cannot"),
    rule(
        r"\b(?:\w+ )?(?:is|are|was|were) no \w+",
        concat!(
            r"there |\w+ \w+ no (?:longer|more|less|fewer|later|earlier|better|worse|different|need|way|such|one)\b",
            r"|(?:is|are|was|were) no (?:longer|more|less|fewer)\b",
        ),
        "is not a …",
    ),
    rule(r"\b(?:that|which|what|who) (?:is|are|was|were) none\b", r"\w+ \w+ none of\b", "that is not a …"),
    rule(r"\b(?:for|by|to|of|from|as|does|do|than|only) who \w+", NEVER, "for callers that …"),
    rule(
        concat!(
            r"(?:[.;:]|^-|\n-) (?-i:Who) (?:also |only |still |has to |wants to )?",
            r"(?:asks?|calls?|comes?|commits?|deletes?|does|has|holds?|looks?|makes?|needs?|opens?|prunes?|reads?|relies",
            r"|runs?|takes?|uses?|wants?|writes?)\b",
        ),
        NEVER,
        "whatever/callers that …",
    ),
    rule(r"\bwhoever\b", NEVER, "callers that …; the process that …"),
    rule(r"\bcallers of which\b", NEVER, "whose callers"),
    rule(r"\b(?:lie|lies|lying|lain)\b", r"\w+ about\b", "is in; nested"),
    rule(r"\b(?:\w+ )?(?:lasts|lasting)\b", r"(?:budget|it|outage|run|test) lasts\b", "is durable; flushes"),
    rule(r"\bmakes? (?:\w+ ){1,6}last[.,;:]", NEVER, "flushes …"),
    rule(r"\b(?:go|goes|going|gone|went) on\b", r"\w+ on (?:top|now)\b", "resumes from; continues"),
    rule(r"\bwhat (?:there is|is there)\b", NEVER, "the contents; what exists"),
    rule(r"\b(?:that|which) (?:is|are|was|were) (?:not )?there\b", NEVER, "that exists"),
    rule(r"\bso (?:many|much)\b", NEVER, "up to N; that many"),
    rule(r"\bmanyth\b", NEVER, "every Nth"),
    rule(r"\banew\b", NEVER, "starts over; again"),
    rule(r"\bmend(?:s|ed|ing)?\b", NEVER, "fix; repair"),
    rule(r"\b(?:nobody|nothing) (?:says|agreed|minds|tells)\b", NEVER, "not confirmed; not recorded"),
    rule(r"\bspeaks? for\b", NEVER, "covers; vouches for"),
    rule(r"\bfrom it on\b", NEVER, "from there on; onward"),
    rule(r"\bbe it\b", NEVER, "whether in …"),
    rule(r"\b(?:of|with) one's own\b", NEVER, "your own; its own"),
    rule(
        concat!(
            r"\b(?:one|an? (?:[\w-]+ ){0,2}(?:comment|commit|digest|directory|document|file|line|object|page|piece",
            r"|process|row|segment|shard|table|task|thread|verb)) an? (?:batch|block|chain|checkpoint|class|column|commit",
            r"|core|document|file|floor|job|key|line|object|parser|partition|program|record|replica|row|run|segment|shard",
            r"|store|table|task|test|verb|window|worker)\b",
        ),
        NEVER,
        "one per …",
    ),
];

static COMPILED: LazyLock<Vec<(Regex, Regex)>> = LazyLock::new(|| {
    let compile = |pattern: &str| {
        // In text that continues on the next line, the comment marker was taken away, and a string may end with `\`.
        let pattern = pattern.replace(' ', r"(?: |\\?\n[ \t]*)");
        Regex::new(&format!("(?i){pattern}")).expect("well formed")
    };
    RULES.iter().map(|rule| (compile(rule.pattern), compile(&format!("^(?:{})", rule.except)))).collect()
});

/// A piece of text for people, and the line that it starts on, from 1.
#[derive(Debug, PartialEq, Eq)]
struct Passage {
    line: usize,
    text: String,
}

/// Something that is refused.
#[derive(Debug, PartialEq, Eq)]
struct Hit {
    line: usize,
    rule: usize,
    /// The line of the text that it is in.
    text: String,
}

#[test]
fn the_prose_is_idiomatic() {
    let mut hits = Vec::new();
    for file in files() {
        let text = fs::read_to_string(repository::path(&file)).expect("readable");
        for hit in hits_in_file(&file, &text) {
            let Rule { pattern, better, .. } = &RULES[hit.rule];
            hits.push(format!("{file}:{}: {pattern} ({better}): {}", hit.line, hit.text));
        }
    }
    assert!(hits.is_empty(), "{} hits\n{}", hits.len(), hits.join("\n"));
}

#[test]
fn the_scope_names_files_that_exist() {
    for name in SCOPE {
        assert!(repository::path(name).exists(), "{name}");
    }
}

/// Returns the files in the scope that have text for people in them.
fn files() -> Vec<String> {
    let asked = std::env::var("CKPT_PROSE").ok();
    let scope = asked.as_ref().map_or(SCOPE.to_vec(), |names| names.split(',').collect());
    let mut files = Vec::new();
    for name in scope {
        match name.strip_suffix('/') {
            Some(dir) => files.extend(repository::files(dir)),
            None => files.push(name.to_owned()),
        }
    }
    let written = ["/out/", "/checkpoints/", "/data/", "/corpus/", "/target/", "/build/", "__pycache__"];
    files.retain(|file| {
        !NOT_CHECKED.contains(&file.as_str())
            && Kind::of(file).is_some()
            && !written.iter().any(|dir| file.contains(dir))
    });
    files.sort();
    files.dedup();
    files
}

/// Where a kind of file has text for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// All of it.
    Text,
    /// Comments and string literals.
    Rust,
    /// Comments and string literals.
    Python,
    /// Comments, and strings in double quotes.
    Script,
}

impl Kind {
    fn of(file: &str) -> Option<Kind> {
        let name = file.rsplit('/').next().unwrap_or(file);
        match name.rsplit_once('.').map(|(_, ending)| ending) {
            Some("md" | "1") => Some(Kind::Text),
            Some("rs") => Some(Kind::Rust),
            Some("py") => Some(Kind::Python),
            Some("yaml" | "toml" | "sh") => Some(Kind::Script),
            None if ["run", "make"].contains(&name) => Some(Kind::Script),
            _ => None,
        }
    }
}

fn hits_in_file(file: &str, text: &str) -> Vec<Hit> {
    let passages = match Kind::of(file) {
        None => return Vec::new(),
        Some(Kind::Text) => vec![Passage { line: 1, text: text.to_owned() }],
        Some(Kind::Rust) => passages(text, &RUST),
        Some(Kind::Python) => passages(text, &PYTHON),
        Some(Kind::Script) => passages(text, &SCRIPT),
    };
    let mut hits: Vec<Hit> = passages.iter().flat_map(hits).collect();
    hits.sort_by_key(|hit| (hit.line, hit.rule));
    hits
}

fn hits(passage: &Passage) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (rule, (pattern, except)) in COMPILED.iter().enumerate() {
        for found in pattern.find_iter(&passage.text) {
            let rest = &passage.text[found.start()..];
            // A match at the end of a line begins with that line's end.
            let start = found.start() + (rest.len() - rest.trim_start_matches('\n').len());
            if !except.is_match(&passage.text[start..]) {
                let line = passage.text[..start].matches('\n').count();
                let text = passage.text.lines().nth(line).unwrap_or_default().trim().to_owned();
                hits.push(Hit { line: passage.line + line, rule, text });
            }
        }
    }
    hits
}

/// How a language marks comments and strings, longest first: beginning, end, and whether `\` escapes the end.
type Marks = [(&'static str, &'static str, bool)];

const RUST: [(&str, &str, bool); 6] = [
    ("//", "\n", false),
    ("/*", "*/", false),
    ("r##\"", "\"##", false),
    ("r#\"", "\"#", false),
    ("r\"", "\"", false),
    ("\"", "\"", true),
];
const PYTHON: [(&str, &str, bool); 5] =
    [("#", "\n", false), ("\"\"\"", "\"\"\"", true), ("'''", "'''", true), ("\"", "\"", true), ("'", "'", true)];
const SCRIPT: [(&str, &str, bool); 2] = [("#", "\n", false), ("\"", "\"", true)];

/// Returns the comments and strings of a program. Comment lines that follow each other are one passage.
fn passages(text: &str, marks: &Marks) -> Vec<Passage> {
    let mut passages: Vec<Passage> = Vec::new();
    let mut at = 0;
    let mut comment_ends_at_line = None;
    while at < text.len() {
        let rest = &text[at..];
        // In Rust, `'"'` is a character and no string begins there.
        let quoted = ["'\"'", "'\\\"'"].iter().find(|quoted| marks[0].0 == "//" && rest.starts_with(**quoted));
        if let Some(quoted) = quoted {
            at += quoted.len();
            continue;
        }
        let Some((begin, end, escapes)) = marks.iter().find(|(begin, ..)| rest.starts_with(begin)) else {
            at += rest.chars().next().map_or(1, char::len_utf8);
            continue;
        };
        let inside = content(rest, begin.len(), end, *escapes);
        let line = text[..at].matches('\n').count() + 1;
        let found = &rest[inside.clone()];
        at += (inside.end + end.len()).min(rest.len());
        if *end != "\n" {
            passages.push(Passage { line, text: found.to_owned() });
            comment_ends_at_line = None;
            continue;
        }
        let found = found.trim_start_matches(['/', '!', '#']).trim_start();
        match passages.last_mut() {
            Some(last) if comment_ends_at_line.is_some_and(|end| end + 1 == line) => {
                last.text.push('\n');
                last.text.push_str(found);
            }
            _ => passages.push(Passage { line, text: found.to_owned() }),
        }
        comment_ends_at_line = Some(line);
    }
    passages
}

/// Returns where the text between two marks is, or up to the end when the second is missing.
fn content(rest: &str, begin: usize, end: &str, escapes: bool) -> Range<usize> {
    let mut at = begin;
    while at < rest.len() && !rest[at..].starts_with(end) {
        let escaped = escapes && rest[at..].starts_with('\\');
        let taken = if escaped { 2 } else { 1 };
        at += rest[at..].chars().take(taken).map(char::len_utf8).sum::<usize>();
    }
    begin..at
}

#[test]
fn every_rule_refuses_what_it_is_for() {
    let refused = [
        ["This can not be told.", "it can\nnot"],
        ["`x` is no part of a checkpoint", "what are no files"],
        ["found 12 bytes that are none", "a file which is none"],
        ["flushes them, for who relies on them", "so does who deletes"],
        ["It is asked. Who commits a checkpoint holds it.", "- Who needs it waits"],
        ["So whoever deletes keeps these rules", "Whoever reads"],
        ["a function, callers of which hold a lock", "callers of which"],
        ["the file lies in the store", "fields do not lie inside others"],
        ["what is written lasts", "makes a lasting name"],
        ["Makes the checkpoints last, so that", "It makes all of that last."],
        ["the run goes on from checkpoint 3", "go on with it"],
        ["removes what there is", "shows what is there"],
        ["the checkpoints that are there", "a name which is not there"],
        ["keeps so many of the newest", "so much later"],
        ["in every so manyth checkpoint", "each manyth"],
        ["a key begins anew", "it is routed anew"],
        ["mend the input", "once it is mended"],
        ["nothing was done: nobody agreed", "nothing says which one wins"],
        ["No other file speaks for it", "lines that speak for rows"],
        ["none from it on", "every block from it on"],
        ["needs, be it in `checkpoints/`", "a file, be it old or new"],
        ["a runner of one's own", "code of\none's own"],
        ["one a partition, a verb a file", "a JSON object a line"],
    ];
    assert_eq!(refused.len(), RULES.len());
    for (rule, sentences) in refused.iter().enumerate() {
        for sentence in sentences {
            let found = hits(&Passage { line: 1, text: (*sentence).to_owned() });
            assert!(found.iter().any(|hit| hit.rule == rule), "{}: {sentence:?}: {found:?}", RULES[rule].pattern);
        }
    }
}

#[test]
fn idiomatic_sentences_are_fine() {
    let fine = [
        "It cannot be told, and it can not only read but write.",
        "There is no such file, and there are no checkpoints in it.",
        "It is no longer needed; these are no more than two, and it is no later than that.",
        "Resumes from checkpoint 3 and continues until the input ends.",
        "People who run jobs; a reader who closes the pipe; callers that rely on it.",
        "The layout is underlying, and the last one wins. This is the last.",
        "One per partition, one file per task. A file in a task is a row of a table.",
        "An amended line. The recommended way. Send it on.",
        "A minute a day; one a second; a disk that lies about a flush.",
        "A code that is none of these, and a message for the person who holds the lock.",
        "Says who has the store, and who needs it; who holds it, if a run does.",
        "As long as the run lasts, a write is going on now.",
    ];
    for sentence in fine {
        assert_eq!(hits(&Passage { line: 1, text: sentence.to_owned() }), [], "{sentence}");
    }
}

#[test]
fn comments_and_strings_are_found_with_their_lines() {
    let found = |text: &str, marks: &Marks| -> Vec<(usize, String)> {
        passages(text, marks).into_iter().map(|found| (found.line, found.text)).collect()
    };
    let expected = |passages: &[(usize, &str)]| {
        passages.iter().map(|(line, text)| (*line, (*text).to_owned())).collect::<Vec<_>>()
    };
    let rust = "//! One\n//! two.\nfn f<'a>() { let can = \"a \\\" b\"; g('\"', r#\"raw\"#) } // three\n/// Four\n";
    assert_eq!(found(rust, &RUST), expected(&[(1, "One\ntwo."), (3, "a \\\" b"), (3, "raw"), (3, "three\nFour")]));
    let python = "\"\"\"Doc\nstring.\"\"\"\nx = 'a' # b\n";
    assert_eq!(found(python, &PYTHON), expected(&[(1, "Doc\nstring."), (3, "a"), (3, "b")]));
    assert_eq!(found("# One\nkey: x # two\nother: y\n", &SCRIPT), expected(&[(1, "One\ntwo")]));
}

#[test]
fn a_hit_names_its_line_and_code_is_not_prose() {
    let text = "// fine\nfn can_not() {}\nlet not = can not;\n// it can\n// not be\nlet s = \"x\\\n    lies\";\n";
    let found: Vec<(usize, String)> = hits_in_file("a.rs", text).into_iter().map(|hit| (hit.line, hit.text)).collect();
    assert_eq!(found, [(4, "it can".to_owned()), (7, "lies".to_owned())]);
    assert_eq!(hits_in_file("a.md", "# Title\n\nIt lies.\n").len(), 1);
    assert_eq!(hits_in_file("a.json", "It lies.").len(), 0);
}
