//! A way to a server that can be cut: nothing gets through then, and what was sent arrives later.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
}

impl Wire {
    /// Starts a proxy before the port `target` of this machine, where a server need not listen yet.
    pub fn to(target: u16) -> Wire {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let wire = Wire { port, target, is_cut: Arc::default(), has_ended: Arc::default() };
        let (is_cut, has_ended) = (Arc::clone(&wire.is_cut), Arc::clone(&wire.has_ended));
        thread::spawn(move || {
            for client in listener.incoming() {
                if has_ended.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(client), Ok(server)) = (client, TcpStream::connect((Ipv4Addr::LOCALHOST, target))) else {
                    continue;
                };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
                    let is_cut = Arc::clone(&is_cut);
                    thread::spawn(move || pass_on(from, to, &is_cut));
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

/// Passes on all bytes of one direction, in their order, whenever it is not cut.
fn pass_on(mut from: TcpStream, mut to: TcpStream, is_cut: &AtomicBool) {
    let mut buffer = vec![0; BYTES];
    loop {
        let count = from.read(&mut buffer).unwrap_or(0);
        while is_cut.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(10));
        }
        if count == 0 || to.write_all(&buffer[..count]).is_err() {
            let _ = to.shutdown(Shutdown::Both);
            return;
        }
    }
}
