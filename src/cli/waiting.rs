//! A line on standard error while a bucket is waited for.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Map;

use crate::cli::log::{Journal, Level};
use crate::cli::progress::Screen;
use crate::storage::bucket::{Waiting, on_waiting};
use crate::values::lock::lock;
use crate::values::units::Span;

/// How often a line is printed, whatever the number of requests that wait.
const INTERVAL: Duration = Duration::from_secs(5);

/// Prints lines on `screen`, or in `journal` if there is one, from now on.
pub(super) fn report(screen: &Screen, journal: Option<&Journal>, quiet: bool) {
    let (screen, journal) = (screen.clone(), journal.cloned());
    let latest: Mutex<Option<Instant>> = Mutex::new(None);
    on_waiting(move |waiting| {
        let mut latest = lock(&latest);
        if latest.is_some_and(|latest| latest.elapsed() < INTERVAL) {
            return;
        }
        *latest = Some(Instant::now());
        match &journal {
            Some(journal) => journal.write(Level::Info, "note", &line(waiting), &Map::new()),
            None if quiet => {}
            None => screen.print(&line(waiting)),
        }
    });
}

fn line(waiting: &Waiting) -> String {
    let Waiting { place, fault, waited, patience } = waiting;
    format!("waiting for `{place}`: {fault} (for {}, up to {})", Span(*waited), Span(*patience))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::BucketFault;

    #[test]
    fn a_line_names_the_bucket_and_what_it_does() {
        let (waited, patience) = (Duration::from_millis(4200), Duration::from_secs(60));
        let waiting = Waiting { place: "s3://data/jobs", fault: BucketFault::Throttled, waited, patience };
        let text = "waiting for `s3://data/jobs`: the server asks for fewer requests (for 4.2 s, up to 1m)";
        assert_eq!(line(&waiting), text);
    }
}
