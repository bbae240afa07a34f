//! A small web server for the metrics and the health of a run: one answer per connection, and a limited number of connections.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::health::{Answer, Health};
use super::metrics::Metrics;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::exposition;

/// The path of the metrics.
const PATH: &str = "/metrics";
/// The path of whether the main loop turns.
const LIVE: &str = "/livez";
/// The path of whether everything is restored.
const READY: &str = "/readyz";
/// What a client accepts that wants OpenMetrics, as Prometheus does. Others get the older text format.
const OPEN_METRICS: &str = "application/openmetrics-text";
/// How long a connection may take to send the request, and to receive the answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The most connections answered at once; others are closed.
const MAX_CONNECTIONS: usize = 64;
/// The largest head of a request.
const MAX_REQUEST_BYTES: usize = 8 * 1024;

/// Answers requests until it is dropped.
pub(super) struct MetricsServer {
    is_stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    address: SocketAddr,
}

impl MetricsServer {
    /// Starts to answer at `address`: `HOST:PORT`, or a port on this machine. Port 0 means any free port.
    pub(super) fn start(
        address: &str,
        metrics: &Arc<Metrics>,
        health: &Arc<Health>,
    ) -> Result<MetricsServer, CliError> {
        let whole = if address.parse::<u16>().is_ok() { format!("127.0.0.1:{address}") } else { address.to_owned() };
        let expected = "expected HOST:PORT, such as 127.0.0.1:9184, or a port";
        let wrong = || CliError::usage(format!("`--metrics {address}`: {expected}"));
        let resolved = whole.to_socket_addrs().map_err(|error| wrong().caused_by(&error))?.next().ok_or_else(wrong)?;
        let refused = |error: io::Error| {
            CliError::new(Exit::Failed, format!("cannot listen on {resolved} for metrics")).caused_by(&error)
        };
        let listener = TcpListener::bind(resolved).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let is_stopped = Arc::new(AtomicBool::new(false));
        let (stopped, shown) = (Arc::clone(&is_stopped), (Arc::clone(metrics), Arc::clone(health)));
        let thread = std::thread::spawn(move || listen(&listener, &shown, &stopped));
        Ok(MetricsServer { is_stopped, thread: Some(thread), address })
    }

    /// Returns the URL of the metrics.
    pub(super) fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Relaxed);
        // The listening thread checks the flag after each connection: this is the last one.
        let mut local = self.address;
        if local.ip().is_unspecified() {
            local.set_ip(if local.is_ipv4() { [127, 0, 0, 1].into() } else { [0u16, 0, 0, 0, 0, 0, 0, 1].into() });
        }
        if TcpStream::connect_timeout(&local, TIMEOUT).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

/// Accepts connections and answers each in its own thread, which ends soon by itself.
fn listen(listener: &TcpListener, shown: &(Arc<Metrics>, Arc<Health>), is_stopped: &AtomicBool) {
    let open = Arc::new(AtomicUsize::new(0));
    for connection in listener.incoming() {
        if is_stopped.load(Ordering::Relaxed) {
            return;
        }
        let Ok(connection) = connection else {
            // For instance, there are no free file descriptors; there may be some later.
            std::thread::sleep(Duration::from_millis(100));
            continue;
        };
        if open.fetch_add(1, Ordering::Relaxed) >= MAX_CONNECTIONS {
            open.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let ((metrics, health), still_open) = (shown.clone(), Arc::clone(&open));
        let answering = std::thread::Builder::new().spawn(move || {
            // The client may be gone already, which does not matter.
            let _ = answer(&connection, &metrics, &health);
            still_open.fetch_sub(1, Ordering::Relaxed);
        });
        if answering.is_err() {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Answers one request and closes the connection.
fn answer(mut connection: &TcpStream, metrics: &Metrics, health: &Health) -> io::Result<()> {
    connection.set_read_timeout(Some(TIMEOUT))?;
    connection.set_write_timeout(Some(TIMEOUT))?;
    let request = read_request(connection)?;
    let mut words = request.lines().next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (status, content_type, body) = match (method, target.split('?').next().unwrap_or_default()) {
        ("GET" | "HEAD", PATH) if accepts(&request, OPEN_METRICS) => {
            let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ("200 OK", content_type, exposition::open_metrics(metrics.registry()))
        }
        ("GET" | "HEAD", PATH) => {
            let content_type = "text/plain; version=0.0.4; charset=utf-8";
            ("200 OK", content_type, exposition::prometheus_text(metrics.registry()))
        }
        ("GET" | "HEAD", LIVE) => probe(health.live(Instant::now())),
        ("GET" | "HEAD", READY) => probe(health.ready()),
        ("GET" | "HEAD", _) => ("404 Not Found", "text/plain", format!("the metrics are at {PATH}\n")),
        _ => ("405 Method Not Allowed", "text/plain", "only GET is supported\n".to_owned()),
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

/// Returns the status, the type and the body of the answer to a question about the run.
fn probe(answer: Answer) -> (&'static str, &'static str, String) {
    let status = if answer.is_yes { "200 OK" } else { "503 Service Unavailable" };
    (status, "text/plain; charset=utf-8", answer.text + "\n")
}

/// Returns whether the request has `media_type` in an `Accept` header.
fn accepts(request: &str, media_type: &str) -> bool {
    let headers = request.lines().skip(1).filter_map(|line| line.split_once(':'));
    let mut accepted = headers.filter(|(name, _)| name.eq_ignore_ascii_case("accept")).map(|(_, types)| types);
    accepted.any(|types| types.to_ascii_lowercase().contains(media_type))
}

/// Reads up to the empty line that ends the head of a request.
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
        if request.len() > MAX_REQUEST_BYTES || begun.elapsed() > TIMEOUT {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}
