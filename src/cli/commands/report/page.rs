//! The page as a whole: one file that loads nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::table::shorten;
use crate::cli::times::Times;
use crate::cli::ui::Ui;
use crate::ops::report::{Missing, Part, Report};
use crate::store::Store;
use crate::values::digest::Digest;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The sections, in their order: the id and the title.
const SECTIONS: [(&str, &str); 9] = [
    ("health", "Health"),
    ("timeline", "Attempts"),
    ("growth", "Growth"),
    ("space", "Space"),
    ("input", "Input"),
    ("replicas", "Replicas"),
    ("verification", "Verification"),
    ("state", "Tasks and keys"),
    ("changes", "Changes"),
];

/// What the sections of the page have in common.
pub(super) struct Page<'a> {
    pub(super) report: &'a Report,
    pub(super) place: String,
    pub(super) job: String,
    pub(super) times: Times,
    pub(super) zone: TimeZone,
    pub(super) now: Timestamp,
}

impl<'a> Page<'a> {
    pub(super) fn new(store: &Store, report: &'a Report, ui: &Ui) -> Page<'a> {
        Page {
            report,
            place: store.place(),
            job: store.file.job.clone(),
            times: ui.times([]),
            zone: ui.clock().zone().clone(),
            now: ui.now().timestamp(),
        }
    }

    /// Returns the page.
    pub(super) fn html(&self) -> String {
        let title = format!("{}: ckpt report", shorten(&self.job));
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(policy());
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="referrer" content="no-referrer";
                    title { (title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    a.skip href="#health" { "Skip to the report" }
                    header {
                        h1 { "Job " (shorten(&self.job)) }
                        p.soft {
                            "Store " span.name { (shorten(&self.place)) } ". Written " (self.times.show(self.now))
                            " by ckpt " (env!("CARGO_PKG_VERSION")) "."
                        }
                    }
                    nav aria-label="Sections" {
                        ul {
                            @for (id, title) in SECTIONS {
                                li { a href={ "#" (id) } { (title) } }
                            }
                        }
                    }
                    main {
                        (self.health())
                        (self.timeline())
                        (self.growth())
                        (self.space())
                        (self.input())
                        (self.replicas())
                        (self.verification())
                        (self.state())
                        (self.changes())
                    }
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        };
        page.into_string()
    }
}

/// Returns a section of the page.
pub(super) fn section(id: &str, content: Markup) -> Markup {
    let title = SECTIONS.iter().find(|(section, _)| *section == id).map_or("", |(_, title)| title);
    let heading = format!("{id}-title");
    html! {
        section id=(id) aria-labelledby=(heading) {
            h2 id=(heading) { (title) }
            (content)
        }
    }
}

/// Returns a part of the report, or a sentence that says why it is missing.
pub(super) fn part<T>(part: &Part<T>, left_out: &str, nothing: &str, html: impl FnOnce(&T) -> Markup) -> Markup {
    match part {
        Ok(part) => html(part),
        Err(Missing::LeftOut) => html! { p.soft { (left_out) } },
        Err(Missing::Nothing) => html! { p.soft { (nothing) } },
        Err(Missing::Damaged(reason)) => html! { p { span.word.damaged { "Damaged" } ": " (shorten(reason)) } },
        Err(Missing::Failed(reason)) => {
            html! { p { span.word.attention { "Not known" } ": " (shorten(reason)) } }
        }
    }
}

/// Says how many rows of a table are missing; nothing if none are.
pub(super) fn left_out(shown: usize, all: usize, which: &str) -> Option<String> {
    (shown < all).then(|| format!("Shown are the {which} {shown} of {all}."))
}

/// Returns the content security policy: nothing is loaded, and only this style and this script are used.
fn policy() -> String {
    let hash = |text: &str| STANDARD.encode(Digest::of(text.as_bytes()).as_bytes());
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}
