use std::sync::{Arc, Mutex};

use super::*;

/// Takes `room` bytes, then fails with `failure`.
#[derive(Clone)]
struct Pipe {
    taken: Arc<Mutex<Vec<u8>>>,
    room: usize,
    failure: io::ErrorKind,
}

impl Pipe {
    fn new(room: usize, failure: io::ErrorKind) -> Pipe {
        Pipe { taken: Arc::default(), room, failure }
    }

    fn text(&self) -> String {
        String::from_utf8(self.taken.lock().expect("no panic").clone()).expect("UTF-8")
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut taken = self.taken.lock().expect("no panic");
        let fits = bytes.len().min(self.room - taken.len());
        if fits == 0 && !bytes.is_empty() {
            return Err(self.failure.into());
        }
        taken.extend_from_slice(&bytes[..fits]);
        Ok(fits)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn ui(pipe: &Pipe, terminal: bool, options: &GlobalOptions) -> Ui {
    let stream = Stream { terminal, plain: false };
    let clock = Clock::new(Some("2026-11-22T14:00:00Z"), true).expect("a time");
    Ui::on(options, stream, stream, terminal.then_some(80), clock, Box::new(pipe.clone()))
}

#[test]
fn a_closed_pipe_is_not_an_error_and_nothing_more_is_written() {
    let pipe = Pipe::new(4, io::ErrorKind::BrokenPipe);
    let mut ui = ui(&pipe, false, &GlobalOptions::default());
    ui.out("one").expect("room");
    assert!(!ui.is_closed());
    ui.out("two").expect("no error");
    assert!(ui.is_closed());
    ui.json(&[1]).expect("no error");
    ui.finish().expect("no error");
    assert_eq!(pipe.text(), "one\n");
}

#[test]
fn a_full_disk_is_reported_once() {
    let pipe = Pipe::new(4, io::ErrorKind::StorageFull);
    let mut ui = ui(&pipe, false, &GlobalOptions::default());
    ui.out("one").expect("room");
    let error = ui.out("two").expect_err("no room");
    assert_eq!((error.exit, error.message.as_str()), (Exit::Failed, "cannot write to standard output"));
    ui.finish().expect("reported already");
}

#[test]
fn lines_are_safe_and_data_is_as_it_is() {
    let pipe = Pipe::new(1000, io::ErrorKind::Other);
    let mut ui = ui(&pipe, false, &GlobalOptions::default());
    ui.out("a\u{1b}[2Jb\nc").expect("room");
    ui.out_text("job: x\n\ty\u{7}\n").expect("room");
    ui.out_bytes(b"a\tb\x1b\n").expect("room");
    ui.json(&serde_json::json!({"version": 1, "name": "a\n"})).expect("room");
    let expected = "a\\u{1b}[2Jb\\nc\njob: x\n\ty\\u{7}\na\tb\x1b\n{\"name\":\"a\\n\",\"version\":1}\n";
    assert_eq!(pipe.text(), expected);
}

#[test]
fn headings_and_headers_are_bold_on_a_terminal_only() {
    let mut table = Table::new([crate::cli::table::Column::text("A")]);
    table.row(["b"]);
    let shown = |terminal| {
        let pipe = Pipe::new(1000, io::ErrorKind::Other);
        let mut ui = ui(&pipe, terminal, &GlobalOptions::default());
        ui.heading("Title").and_then(|()| ui.table(&table)).expect("room");
        pipe.text()
    };
    assert_eq!(shown(false), "Title\nA\nb\n");
    assert_eq!(shown(true), "\u{1b}[1mTitle\u{1b}[0m\n\u{1b}[1mA\u{1b}[0m\nb\n");
}
