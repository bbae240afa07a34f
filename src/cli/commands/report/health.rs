//! Says in words how a store and its job are.

use maud::{Markup, html};

use super::page::Page;
use super::table::shorten;
use crate::cli::text::counted;
use crate::ops::report::{Concern, Level};
use crate::values::units::{Age, Bytes, Count, Span};

/// Returns the name of a level in JSON and in the style of the page.
pub(super) fn name(level: Level) -> &'static str {
    match level {
        Level::Good => "good",
        Level::Attention => "attention",
        Level::Damaged => "damaged",
    }
}

/// Returns the name of a level for people.
pub(super) fn word(level: Level) -> &'static str {
    match level {
        Level::Good => "Healthy",
        Level::Attention => "Needs attention",
        Level::Damaged => "Damaged",
    }
}

impl Page<'_> {
    /// Returns the health in a sentence, the reasons, and the most important facts.
    pub(super) fn health(&self) -> Markup {
        let level = self.report.health.level();
        html! {
            section #health aria-labelledby="health-title" {
                h2 id="health-title" { "Health" }
                div class={ "health " (name(level)) } {
                    p { span.word { (word(level)) "." } " " (self.sentence()) }
                    @if !self.report.health.concerns.is_empty() {
                        ul {
                            @for concern in &self.report.health.concerns {
                                li { (self.concern(concern)) }
                            }
                        }
                    }
                }
                (self.facts())
            }
        }
    }

    fn sentence(&self) -> String {
        let job = shorten(&self.job);
        let Some((sequence, created)) = self.report.listing.last_good else {
            let none = match self.report.listing.lost {
                Some(_) => "lost its checkpoints",
                None if self.report.stats.checkpoints.is_empty() => "no checkpoint yet",
                None => "no good checkpoint",
            };
            return format!("Job {job} has {none}.");
        };
        let age = Age::between(created, self.now);
        let confirmed = match self.report.health.confirmed {
            Some(confirmed) if confirmed > created => {
                format!("; {} nothing had changed since", Age::between(confirmed, self.now))
            }
            _ => String::new(),
        };
        let ended = match self.report.readable().next_back() {
            Some(sizes) if sizes.manifest.sequence == sequence && sizes.manifest.ended => {
                ". It has read its input to the end"
            }
            _ => "",
        };
        format!("The last good checkpoint of job {job} is {}, made {age}{confirmed}{ended}.", sequence.0)
    }

    /// Returns the concerns as sentences.
    pub(super) fn concerns(&self) -> Vec<String> {
        self.report.health.concerns.iter().map(|concern| self.concern(concern)).collect()
    }

    /// Says what somebody on duty should know.
    fn concern(&self, concern: &Concern) -> String {
        match concern {
            Concern::NewestDamaged { sequence, reason } => {
                format!("The newest checkpoint, {}, is damaged: {}", sequence.0, shorten(reason))
            }
            Concern::OlderDamaged { checkpoints } => {
                format!("{} cannot be read", counted(*checkpoints, "older checkpoint"))
            }
            Concern::Unread { is_damage: true, reason } => format!("Damaged: {}", shorten(reason)),
            Concern::Unread { is_damage: false, reason } => format!("Not everything can be read: {}", shorten(reason)),
            Concern::Diverged { place, reason } => {
                format!("Replica {} is not of this history: {}", shorten(place), shorten(reason))
            }
            Concern::Findings { place, damage } => {
                format!("Verification found damage in {}: {}", shorten(place), counted(*damage, "finding"))
            }
            Concern::Failing { attempts, since, reason } => {
                let since = self.times.show(*since);
                let reason = reason.as_ref().map(|reason| format!(": {}", shorten(reason))).unwrap_or_default();
                match attempts {
                    1 => format!("The last attempt failed, at {since}{reason}"),
                    _ => format!("The last {} attempts failed, since {since}{reason}", Count(*attempts)),
                }
            }
            Concern::Overdue { schedule } => format!(
                "The job makes a checkpoint every {}, and there has been none for longer: it may not be running",
                Span(*schedule)
            ),
            Concern::ReplicaUnusable { place, reason } => {
                format!("Replica {} cannot be used: {}", shorten(place), shorten(reason))
            }
            Concern::FellBack { files, first } => {
                format!("Only another replica has {}: {}", counted(*files, "file"), shorten(first))
            }
            Concern::ReplicaBehind { place, checkpoints } => {
                format!("Replica {} is {} behind", shorten(place), counted(*checkpoints, "checkpoint"))
            }
            Concern::NoCheckpoint => "There is no checkpoint yet".to_owned(),
            Concern::CheckpointsLost { sequence } => {
                format!("There is no checkpoint, but the history names checkpoint {}: they are missing", sequence.0)
            }
        }
    }

    fn facts(&self) -> Markup {
        let Some(latest) = self.report.readable().next_back().map(|sizes| &sizes.manifest) else { return html! {} };
        let totals = latest.totals;
        let checkpoints = self.report.stats.checkpoints.len() as u64;
        let tasks = format!("{} in {}", Count(latest.tasks.into()), counted(latest.shards.into(), "shard"));
        let mut facts = vec![
            ("Newest checkpoint", format!("{}, {}", latest.sequence.0, self.times.show(latest.created))),
            ("State", format!("{}, {}", counted(totals.keys, "key"), Bytes(totals.bytes))),
            ("Tasks", tasks),
            ("Input applied", format!("{}, {}", counted(totals.records, "record"), Bytes(totals.input_bytes))),
            ("Checkpoints", Count(checkpoints).to_string()),
            ("Mode", latest.mode.name().to_owned()),
        ];
        if totals.skipped > 0 {
            facts.push(("Bad records skipped", Count(totals.skipped).to_string()));
        }
        if totals.late > 0 {
            facts.push(("Late records", Count(totals.late).to_string()));
        }
        html! {
            dl.facts {
                @for (name, fact) in &facts {
                    dt { (name) }
                    dd { (fact) }
                }
            }
        }
    }
}
