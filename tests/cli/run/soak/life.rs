//! One life of a job: it is started, works, and is struck.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::super::data::Random;
use super::super::{PATIENCE, checkpoints};
use super::story::Story;
use crate::support::{Env, code};

/// What strikes a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Blow {
    /// SIGKILL.
    Kill,
    /// SIGKILL to the run and all programs that it started.
    KillAll,
    /// SIGKILL to a program that it started, but not to the run.
    KillProgram,
    Term,
    Interrupt,
    HangUp,
    /// SIGINT, and another one a moment later.
    InterruptTwice,
}

impl Blow {
    fn may_be_ignored(self) -> bool {
        matches!(self, Blow::Interrupt | Blow::InterruptTwice | Blow::HangUp)
    }

    fn name(self) -> &'static str {
        match self {
            Blow::Kill => "kill",
            Blow::KillAll => "kill all",
            Blow::KillProgram => "kill program",
            Blow::Term => "term",
            Blow::Interrupt => "int",
            Blow::HangUp => "hup",
            Blow::InterruptTwice => "int int",
        }
    }
}

/// When it strikes.
#[derive(Debug, Clone, Copy)]
enum Moment {
    After(Duration),
    /// This long after the run has reported `count` lines that contain `what`.
    Told {
        what: &'static str,
        count: usize,
        then: Duration,
    },
}

/// What happened in some rounds.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    pub(super) rounds: u64,
    pub(super) lives: u64,
    /// Blows that hit a run that was still alive.
    blows: BTreeMap<Blow, u64>,
    /// Lives that were ended by a signal that cannot be caught.
    pub(super) killed: u64,
    pub(super) commits: u64,
    /// Commands that acted on the store between or during lives.
    pub(super) acts: u64,
    /// Rounds at whose end the job was resumed from some of its checkpoints.
    pub(super) resumed: u64,
}

impl Figures {
    pub(super) fn blows(&self) -> u64 {
        self.blows.values().sum()
    }

    pub(super) fn add(&mut self, other: &Figures) {
        self.rounds += other.rounds;
        self.lives += other.lives;
        self.killed += other.killed;
        self.commits += other.commits;
        self.acts += other.acts;
        self.resumed += other.resumed;
        for (blow, count) in &other.blows {
            *self.blows.entry(*blow).or_default() += count;
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { rounds, lives, killed, commits, acts, resumed, .. } = self;
        write!(
            f,
            "{rounds:>5} rounds {lives:>6} lives {killed:>6} killed {commits:>7} checkpoints {acts:>5} acts \
             {resumed:>5} resumed; blows:"
        )?;
        self.blows.iter().try_for_each(|(blow, count)| write!(f, " {} {count},", blow.name()))?;
        write!(f, " {} in all", self.blows())
    }
}

/// How a life ended.
pub(super) struct End {
    /// Whether the input was read to its end.
    pub(super) finished: bool,
}

/// How long a run must live to make progress, as learned so far.
pub(super) struct Pace {
    longest_life: Duration,
}

impl Pace {
    pub(super) fn new(story: &Story) -> Pace {
        Pace { longest_life: Duration::from_millis(if story.program { 500 } else { 60 }) }
    }
}

/// A live run.
pub(super) struct Life<'a> {
    env: &'a Env,
    story: &'a Story,
    child: Child,
    status: Option<i32>,
    /// The latest checkpoint before it started.
    latest: Option<u64>,
    /// Whether the latest checkpoint was damaged before, so that the run resumes from an earlier one.
    goes_back: bool,
    struck: Vec<Blow>,
}

impl<'a> Life<'a> {
    pub(super) fn start(env: &'a Env, story: &'a Story, arguments: &[&str], goes_back: bool) -> Life<'a> {
        let latest = latest(env);
        // A program of the previous life may still be writing to the old one.
        let create = |name: &str| {
            let _ = fs::remove_file(env.path(name));
            File::create(env.path(name)).expect("created")
        };
        let mut command = env.command(arguments);
        let stdin = match story.standard_input {
            Some(name) => File::open(env.path(name)).expect("opened").into(),
            None => Stdio::null(),
        };
        let child =
            command.stdin(stdin).stdout(create("stdout")).stderr(create("stderr")).spawn().expect("the run starts");
        Life { env, story, child, status: None, latest, goes_back, struck: Vec::new() }
    }

    /// Returns whether the run is still alive.
    pub(super) fn goes_on(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("waited").map(code);
        }
        self.status.is_none()
    }

    /// Waits for a random moment and strikes, as often as it takes to end the run, unless it ends on its own first.
    pub(super) fn strike(&mut self, random: &mut Random, pace: &Pace, figures: &mut Figures) {
        while self.goes_on() {
            let moment = moment(random, pace);
            let blow = self.blow(random);
            self.wait_for(moment);
            if !self.goes_on() {
                return;
            }
            if self.hit(blow, random) {
                *figures.blows.entry(blow).or_default() += 1;
                self.struck.push(blow);
                // A run that starts over with a new program continues.
                if blow != Blow::KillProgram || !self.story.restarts {
                    return;
                }
            }
        }
    }

    fn blow(&self, random: &mut Random) -> Blow {
        let program = self.story.program;
        match random.below(16) {
            0 | 1 => Blow::Term,
            2 => Blow::Interrupt,
            3 => Blow::HangUp,
            4 => Blow::InterruptTwice,
            5..=8 if program => Blow::KillProgram,
            9..=11 if program => Blow::KillAll,
            _ => Blow::Kill,
        }
    }

    fn wait_for(&mut self, moment: Moment) {
        let begun = Instant::now();
        let pause = Duration::from_micros(200);
        match moment {
            Moment::After(time) => {
                while self.goes_on() && begun.elapsed() < time {
                    std::thread::sleep(pause.min(time.saturating_sub(begun.elapsed())));
                }
            }
            Moment::Told { what, count, then } => {
                let path = self.env.path("stderr");
                let told = || fs::read_to_string(&path).unwrap_or_default().matches(what).count();
                let enough = told() + count;
                while self.goes_on() && begun.elapsed() < Duration::from_secs(2) && told() < enough {
                    std::thread::sleep(pause);
                }
                std::thread::sleep(then);
            }
        }
    }

    /// Strikes. Returns nothing when there was nothing to hit.
    fn hit(&mut self, blow: Blow, random: &mut Random) -> bool {
        let run = Pid::from_child(&self.child);
        let send = |pid: Pid, signal: Signal| kill_process(pid, signal).is_ok();
        match blow {
            Blow::Kill => send(run, Signal::KILL),
            Blow::KillAll => {
                let programs = programs(run);
                let hit = send(run, Signal::KILL);
                for program in programs {
                    send(program, Signal::KILL);
                }
                hit
            }
            Blow::KillProgram => {
                let programs = programs(run);
                let Some(one) = programs.len().checked_sub(1).map(|last| random.below(last as u64 + 1) as usize) else {
                    return false;
                };
                send(programs[one], Signal::KILL)
            }
            Blow::Term => send(run, Signal::TERM),
            Blow::Interrupt => send(run, Signal::INT),
            Blow::HangUp => send(run, Signal::HUP),
            Blow::InterruptTwice => {
                let hit = send(run, Signal::INT);
                std::thread::sleep(Duration::from_micros(random.below(3_000)));
                // It may have ended by now.
                send(run, Signal::INT);
                hit
            }
        }
    }

    /// Stops the run, which has already reported something, with a checkpoint.
    pub(super) fn stop(mut self, pace: &mut Pace, figures: &mut Figures) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        self.struck.push(Blow::Term);
        self.end(pace, figures);
    }

    /// Waits until the run has ended, and checks that it ended in a permitted way.
    #[track_caller]
    pub(super) fn end(mut self, pace: &mut Pace, figures: &mut Figures) -> End {
        let begun = Instant::now();
        let mut is_reminded = false;
        while self.goes_on() {
            let waited = begun.elapsed();
            assert!(waited < PATIENCE, "the run did not end after {:?}: {}", self.struck, self.said());
            // Under nohup and similar tools, SIGINT and SIGHUP are ignored until the run listens for them.
            if !is_reminded && waited > PATIENCE / 4 && self.struck.iter().any(|blow| blow.may_be_ignored()) {
                is_reminded = true;
                self.struck.push(Blow::Term);
                let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            }
            std::thread::sleep(Duration::from_micros(300));
        }
        let status = self.status.expect("the run has ended");
        let said = self.said();
        let answer = self.env.read("stdout");
        let view: Value = serde_json::from_str(&answer).unwrap_or(Value::Null);
        let finished = view["ended"] == Value::Bool(true);
        let has = |blow: &[Blow]| self.struck.iter().any(|struck| blow.contains(struck));
        let left_out =
            ["skipped", "late", "early"].iter().any(|name| view[name].as_u64().is_some_and(|number| number > 0));
        let may = match status {
            // Before the run listens for signals they end it, and a second one always does.
            137 => has(&[Blow::Kill, Blow::KillAll]),
            129 => has(&[Blow::HangUp]),
            130 => has(&[Blow::Interrupt, Blow::InterruptTwice]),
            143 => has(&[Blow::Term]),
            // It was stopped, with a summary.
            0 if left_out => false,
            0 if !finished => {
                view["ended"] == Value::Bool(false)
                    && has(&[Blow::Term, Blow::Interrupt, Blow::HangUp, Blow::InterruptTwice])
            }
            3 if !finished => self.story.may_be_incomplete && view["ended"] == Value::Bool(false),
            // A script was asked what its job is.
            2 => has(&[Blow::KillProgram]) && said.contains("it ended with signal: 9"),
            // A program is not restarted in a run that was told to stop.
            4 => {
                let starts_again = self.story.restarts && self.struck.iter().all(|blow| *blow == Blow::KillProgram);
                has(&[Blow::KillProgram]) && !starts_again && said.contains("ended by signal 9")
            }
            3 if self.story.may_be_incomplete => finished,
            // Earlier lives left out all the records that this story leaves out.
            0 if self.story.status == 3 => finished,
            status => status == self.story.status && finished,
        };
        assert!(may, "ended with {status} after {:?}\n{answer}{said}", self.struck);
        if let Some(latest) = self.latest {
            assert!(!said.contains("\"event\":\"started\""), "there was checkpoint {latest}: {said}");
            let resumes = said.lines().find(|line| line.contains("\"event\":\"resumed\""));
            assert!(
                resumes.is_some() || status >= 128 || status == 2,
                "the run does not report what it resumes from: {said}"
            );
            let exactly = format!("\"checkpoint\":{latest},");
            // A run resumes from somewhere else if the store was behind or damaged, and says so.
            assert!(
                self.goes_back
                    || self.story.moves
                    || self.story.in_bucket
                    || resumes.is_none_or(|line| line.contains(&exactly)),
                "not from {latest}: {said}"
            );
        }
        let after = latest(self.env);
        assert!(after >= self.latest, "the latest checkpoint was {:?} and is {after:?}: {said}", self.latest);
        if after == self.latest && !finished {
            pace.longest_life += pace.longest_life / 4;
        }
        figures.lives += 1;
        figures.killed += u64::from(status == 137);
        figures.commits += after.unwrap_or(0) - self.latest.unwrap_or(0);
        End { finished }
    }

    /// Returns what the run has printed.
    pub(super) fn said(&self) -> String {
        self.env.read("stderr")
    }
}

impl Drop for Life<'_> {
    fn drop(&mut self) {
        if self.goes_on() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Returns the latest checkpoint in any replica.
fn latest(env: &Env) -> Option<u64> {
    ["store", "r"].iter().filter_map(|store| checkpoints(&env.path(store)).pop()).max()
}

fn moment(random: &mut Random, pace: &Pace) -> Moment {
    let micros = |random: &mut Random, bound: u64| Duration::from_micros(random.below(bound));
    match random.below(10) {
        0 => Moment::After(micros(random, 3_000)),
        1..=4 => Moment::After(micros(random, pace.longest_life.as_micros() as u64)),
        // Right at a commit, before it, and after it.
        5..=8 => {
            let (count, then) = (1 + random.below(3) as usize, micros(random, 4_000));
            Moment::Told { what: "checkpoint_committed", count, then }
        }
        _ => {
            let (count, then) = (1 + random.below(6) as usize, micros(random, 1_000));
            Moment::Told { what: "\n", count, then }
        }
    }
}

/// Returns the processes that `run` started.
fn programs(run: Pid) -> Vec<Pid> {
    let parent = run.as_raw_nonzero().to_string();
    let entries = fs::read_dir("/proc").expect("listed").filter_map(Result::ok);
    let started = entries.filter_map(|entry| {
        let number: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name in parentheses may contain anything; the parent is the second field after it.
        let (_, after) = stat.rsplit_once(')')?;
        (after.split_whitespace().nth(1) == Some(parent.as_str())).then(|| Pid::from_raw(number))?
    });
    started.collect()
}
