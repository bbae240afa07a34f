use std::io;

use indicatif::TermLike;

use super::*;

/// A terminal that remembers everything written to it.
#[derive(Debug, Clone, Default)]
struct Paper(Arc<Mutex<String>>);

impl Paper {
    fn text(&self) -> String {
        self.0.lock().expect("no panic").clone()
    }

    fn write(&self, text: &str) -> io::Result<()> {
        self.0.lock().expect("no panic").push_str(text);
        Ok(())
    }

    fn target(&self) -> ProgressDrawTarget {
        ProgressDrawTarget::term_like(Box::new(self.clone()))
    }
}

impl TermLike for Paper {
    fn width(&self) -> u16 {
        80
    }
    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write(text).and_then(|()| self.write("\n"))
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        self.write(text)
    }
    fn clear_line(&self) -> io::Result<()> {
        self.write("<clear>")
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_bar_shows_bytes_done_and_disappears() {
    let paper = Paper::default();
    let bar = Bar::on(&Screen::default(), paper.target(), "verifying", Unit::Bytes);
    bar.start(4096);
    bar.advance(1024);
    bar.bar.force_draw();
    assert!(paper.text().contains("verifying [======>  "), "{}", paper.text());
    assert!(paper.text().contains("1.00 KiB/4.00 KiB"), "{}", paper.text());
    drop(bar);
    assert!(paper.text().ends_with("<clear>"), "{}", paper.text());
}

fn live(first: &str, progress: Option<(u64, u64)>, rest: &[&str]) -> LiveText {
    LiveText { first: first.to_owned(), progress, rest: rest.iter().map(|part| (*part).to_owned()).collect() }
}

#[test]
fn a_live_line_shows_progress_only_once_there_is_a_position() {
    let paper = Paper::default();
    let line = LiveLine::on(&Screen::default(), paper.target(), || 80, true);
    line.show(&live("starting\u{1b}[2J", None, &[]));
    assert!(paper.text().contains("starting\\u{1b}[2J") && !paper.text().contains('%'), "{}", paper.text());
    line.show(&live("checkpoint 1", Some((25, 100)), &["1,000 records/s"]));
    line.shown.live().force_draw();
    assert!(paper.text().contains("checkpoint 1, 25%"), "{}", paper.text());
    assert!(paper.text().contains(", 1,000 records/s"), "{}", paper.text());
}

#[test]
fn a_line_has_as_many_whole_parts_as_fit_and_always_the_first() {
    let text = live("checkpoint 7 is 3 s old", None, &["12 records", "3/s"]);
    let progress = || Some("45%, 8 s left".to_owned());
    for (width, expected) in [
        (200, "checkpoint 7 is 3 s old, 45%, 8 s left, 12 records, 3/s"),
        (55, "checkpoint 7 is 3 s old, 45%, 8 s left, 12 records"),
        (45, "checkpoint 7 is 3 s old, 45%, 8 s left"),
        (30, "checkpoint 7 is 3 s old"),
        (5, "checkpoint 7 is 3 s old"),
    ] {
        assert_eq!(fitting(&text, progress(), width), expected, "{width}");
    }
}

#[test]
fn permanent_lines_are_printed_while_the_live_line_is_hidden() {
    let paper = Paper::default();
    let screen = Screen::default();
    let line = LiveLine::on(&screen, paper.target(), || 80, true);
    line.show(&live("working", None, &[]));
    screen.around(|| paper.write("NOTE").expect("written"));
    let text = paper.text();
    let note = text.find("NOTE").expect("printed");
    assert!(text[..note].contains("working") && text[..note].ends_with("<clear>"), "{text}");
    assert!(text[note..].contains("working"), "{text}");
}

#[test]
fn plain_lines_are_ten_seconds_apart() {
    let start = Instant::now();
    let mut last = start;
    let printed: Vec<u64> = (0..35).filter(|second| is_due(&mut last, start + Duration::from_secs(*second))).collect();
    assert_eq!(printed, [10, 20, 30]);
}

#[test]
fn a_share_is_never_more_than_all_of_it() {
    assert_eq!([percent(0, 0), percent(1, 3), percent(9, 3)], [100, 33, 100]);
    assert_eq!(percent(u64::MAX, u64::MAX), 100);
}

impl Shown {
    fn live(&self) -> &ProgressBar {
        match self {
            Shown::Live { bar, .. } => bar,
            _ => panic!("not live"),
        }
    }
}
