//! The small web server that hands out the metrics of a run: one answer a connection, and never more than a few connections.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::metrics::Metrics;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;

/// Where the metrics are.
const PATH: &str = "/metrics";
/// The text format of OpenMetrics, which Prometheus reads.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// How long a connection may take to ask, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many connections are answered at once; more are closed.
const MAX_CONNECTIONS: usize = 64;
/// The most that a request may have before its end.
const MAX_REQUEST_BYTES: usize = 8 * 1024;

/// Answers until it is dropped.
pub(super) struct Scrape {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    address: SocketAddr,
    metrics: Arc<Metrics>,
}

impl Scrape {
    /// Begins to answer at `address`: `HOST:PORT`, or a port of this machine alone. Port 0 is any that is free.
    pub(super) fn start(address: &str, metrics: Metrics) -> Result<Scrape, CliError> {
        let whole = if address.parse::<u16>().is_ok() { format!("127.0.0.1:{address}") } else { address.to_owned() };
        let expected = "expected HOST:PORT, such as 127.0.0.1:9184, or a port";
        let wrong = || CliError::usage(format!("`--metrics {address}`: {expected}"));
        let resolved = whole.to_socket_addrs().map_err(|error| wrong().caused_by(&error))?.next().ok_or_else(wrong)?;
        let refused = |error: io::Error| {
            CliError::new(Exit::Failed, format!("cannot listen on {resolved} for metrics")).caused_by(&error)
        };
        let listener = TcpListener::bind(resolved).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let is_over = Arc::new(AtomicBool::new(false));
        let metrics = Arc::new(metrics);
        let (over, shown) = (Arc::clone(&is_over), Arc::clone(&metrics));
        let thread = std::thread::spawn(move || listen(&listener, &shown, &over));
        Ok(Scrape { is_over, thread: Some(thread), address, metrics })
    }

    /// Returns the metrics that it hands out.
    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Returns the address of the metrics, for a browser.
    pub(super) fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }
}

impl Drop for Scrape {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // The listening thread looks at it after each connection: this is the last one.
        let mut local = self.address;
        if local.ip().is_unspecified() {
            local.set_ip(if local.is_ipv4() { [127, 0, 0, 1].into() } else { [0u16, 0, 0, 0, 0, 0, 0, 1].into() });
        }
        if TcpStream::connect_timeout(&local, PATIENCE).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

/// Takes connections and answers each in a thread of its own, which ends by itself before long.
fn listen(listener: &TcpListener, metrics: &Arc<Metrics>, is_over: &AtomicBool) {
    let open = Arc::new(AtomicUsize::new(0));
    for connection in listener.incoming() {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let Ok(connection) = connection else {
            // No more file descriptors, for instance: there may be some again in a while.
            std::thread::sleep(Duration::from_millis(100));
            continue;
        };
        if open.fetch_add(1, Ordering::Relaxed) >= MAX_CONNECTIONS {
            open.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let (metrics, still_open) = (Arc::clone(metrics), Arc::clone(&open));
        let answering = std::thread::Builder::new().spawn(move || {
            // Who asked may be gone already, which is not our concern.
            let _ = answer(&connection, &metrics);
            still_open.fetch_sub(1, Ordering::Relaxed);
        });
        if answering.is_err() {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Answers one request and closes the connection.
fn answer(mut connection: &TcpStream, metrics: &Metrics) -> io::Result<()> {
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    let request = read_request(connection)?;
    let mut words = request.lines().next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (status, content_type, body) = match (method, target.split('?').next().unwrap_or_default()) {
        ("GET" | "HEAD", PATH) => ("200 OK", CONTENT_TYPE, metrics.encode()),
        ("GET" | "HEAD", _) => ("404 Not Found", "text/plain", format!("the metrics are at {PATH}\n")),
        _ => ("405 Method Not Allowed", "text/plain", "only GET is answered\n".to_owned()),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    connection.write_all(head.as_bytes())?;
    if method != "HEAD" {
        connection.write_all(body.as_bytes())?;
    }
    connection.flush()
}

/// Reads up to the empty line that ends a request's head.
fn read_request(mut connection: impl Read) -> io::Result<String> {
    let begun = Instant::now();
    let mut request = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        let length = connection.read(&mut chunk)?;
        request.extend_from_slice(&chunk[..length]);
        if length == 0 || request.windows(4).any(|end| end == b"\r\n\r\n") {
            return Ok(String::from_utf8_lossy(&request).into_owned());
        }
        if request.len() > MAX_REQUEST_BYTES || begun.elapsed() > PATIENCE {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}
