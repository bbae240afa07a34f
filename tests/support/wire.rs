//! A way to a server that can be cut: nothing gets through then, and what was sent arrives later. What the server sends can
//! be changed.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The most bytes that are passed on at once.
const BYTES: usize = 64 << 10;

/// A running proxy, which accepts no more connections when it is dropped.
pub struct Wire {
    port: u16,
    target: u16,
    is_cut: Arc<AtomicBool>,
    has_ended: Arc<AtomicBool>,
    changes: Arc<Mutex<Changes>>,
}

/// What is changed of what the server sends.
#[derive(Default)]
struct Changes {
    from: Vec<u8>,
    to: Vec<u8>,
    /// How often it will be changed.
    left: usize,
}

impl Wire {
    /// Starts a proxy before the port `target` of this machine, where a server need not listen yet.
    pub fn to(target: u16) -> Wire {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let (is_cut, has_ended, changes) = (Arc::default(), Arc::default(), Arc::default());
        let wire = Wire { port, target, is_cut, has_ended, changes };
        let (is_cut, has_ended) = (Arc::clone(&wire.is_cut), Arc::clone(&wire.has_ended));
        let changes = Arc::clone(&wire.changes);
        thread::spawn(move || {
            for client in listener.incoming() {
                if has_ended.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(client), Ok(server)) = (client, TcpStream::connect((Ipv4Addr::LOCALHOST, target))) else {
                    continue;
                };
                for (from, to, changes) in [(&client, &server, None), (&server, &client, Some(&changes))] {
                    let (from, to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
                    let (is_cut, changes) = (Arc::clone(&is_cut), changes.map(Arc::clone));
                    thread::spawn(move || pass_on(from, to, &is_cut, changes.as_deref()));
                }
            }
        });
        wire
    }

    /// Returns `HOST:PORT`, as clients are given it.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The port at which it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port of the server.
    pub fn target(&self) -> u16 {
        self.target
    }

    /// Replaces the bytes `from` by `to`, which are as many, in what the server sends, the next `times` times.
    pub fn change(&self, from: &[u8], to: &[u8], times: usize) {
        assert_eq!(from.len(), to.len());
        *self.changes.lock().expect("no panic") = Changes { from: from.to_vec(), to: to.to_vec(), left: times };
    }

    /// Returns how often that is still to be done.
    pub fn changes_left(&self) -> usize {
        self.changes.lock().expect("no panic").left
    }

    /// Cuts it for a while.
    pub fn cut_for(&self, time: Duration) {
        self.is_cut.store(true, Ordering::SeqCst);
        thread::sleep(time);
        self.is_cut.store(false, Ordering::SeqCst);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.has_ended.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts connections.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Changes {
    /// Changes what arrived at once.
    fn apply(&mut self, bytes: &mut [u8]) {
        while self.left > 0 {
            let Some(at) = bytes.windows(self.from.len()).position(|window| window == self.from) else { return };
            bytes[at..at + self.to.len()].copy_from_slice(&self.to);
            self.left -= 1;
        }
    }
}

/// Passes on all bytes of one direction, in their order, whenever it is not cut.
fn pass_on(mut from: TcpStream, mut to: TcpStream, is_cut: &AtomicBool, changes: Option<&Mutex<Changes>>) {
    let mut buffer = vec![0; BYTES];
    loop {
        let count = from.read(&mut buffer).unwrap_or(0);
        while is_cut.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(10));
        }
        if let Some(changes) = changes {
            changes.lock().expect("no panic").apply(&mut buffer[..count]);
        }
        if count == 0 || to.write_all(&buffer[..count]).is_err() {
            let _ = to.shutdown(Shutdown::Both);
            return;
        }
    }
}
