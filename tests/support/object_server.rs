//! A server of objects that lists and returns them as S3 does, and misbehaves when it is told to.
//!
//! It knows one bucket and checks no rights. Unlike a real server it is fast with a hundred thousand objects, counts
//! requests, and fails at a given one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use ckpt::storage::bucket::{BucketStorage, Settings};
use ckpt::values::digest::Digest;

use super::Env;

/// The most names in one page of a listing.
const PAGE: usize = 1000;
const BUCKET: &str = "data";

/// The server. It runs until the test process ends.
#[derive(Clone)]
pub struct ObjectServer {
    state: Arc<Mutex<State>>,
    port: u16,
}

/// What goes wrong with one read of an object.
pub enum Fault {
    /// The body ends after this many bytes, although more were announced.
    Cut(usize),
    /// The server asks for fewer requests.
    SlowDown,
    /// The connection is closed without an answer.
    Reset,
    /// The credentials are refused.
    Denied,
    /// Nothing goes wrong.
    None,
    /// The object is replaced just before it is read.
    Replace(Vec<u8>),
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    /// The method and the target of each request.
    requests: Vec<String>,
    /// The method and the target of each request, and when it came and was answered.
    times: Vec<Timed>,
    /// For the next reads of objects.
    faults: VecDeque<Fault>,
    /// How long each read of an object takes.
    delay: Duration,
    /// How long each request takes.
    latency: Duration,
    ignores_conditions: bool,
    ignores_start_after: bool,
}

/// A request and when it came and was answered.
pub type Timed = (String, Instant, Instant);

/// A request, as far as it matters.
struct Request {
    method: String,
    key: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl ObjectServer {
    /// Starts a server without objects, and lets the commands of `env` find it.
    pub fn start(env: &mut Env) -> ObjectServer {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let server = ObjectServer { state: Arc::default(), port };
        let accepting = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = accepting.clone();
                thread::spawn(move || server.serve(&stream));
            }
        });
        for (name, value) in server.variables() {
            env.set(name, &value);
        }
        server
    }

    /// Returns a client in this process for the names below `prefix`.
    pub fn storage(&self, prefix: &str) -> BucketStorage {
        let url = format!("s3://{BUCKET}/{prefix}").parse().expect("an address");
        let variables = self.variables().into_iter().map(|(name, value)| (name.to_owned(), value));
        BucketStorage::with_settings(url, &Settings::new(variables)).expect("a client")
    }

    fn variables(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port)),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ]
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    pub fn put(&self, key: &str, bytes: impl Into<Vec<u8>>) {
        self.state().objects.insert(key.to_owned(), bytes.into());
    }

    pub fn get(&self, key: &str) -> Vec<u8> {
        self.state().objects[key].clone()
    }

    /// Returns the names of all objects.
    pub fn names(&self) -> Vec<String> {
        self.state().objects.keys().cloned().collect()
    }

    pub fn delete(&self, key: &str) {
        self.state().objects.remove(key).expect("it exists");
    }

    /// Lets the next reads of objects go wrong, one after another.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().faults.extend(faults);
    }

    /// Makes each read of an object slow.
    pub fn delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// Makes each request slow.
    pub fn set_latency(&self, latency: Duration) {
        self.state().latency = latency;
    }

    /// Returns the requests since the last call, in the order in which they came.
    pub fn take_times(&self) -> Vec<Timed> {
        let mut times = std::mem::take(&mut self.state().times);
        times.sort_unstable_by_key(|(_, start, _)| *start);
        times
    }

    /// Makes the server answer as if no request had a condition.
    pub fn ignore_conditions(&self) {
        self.state().ignores_conditions = true;
    }

    /// Makes the server begin each listing with the first name.
    pub fn ignore_start_after(&self) {
        self.state().ignores_start_after = true;
    }

    /// Returns the requests since the last call whose method and target begin with `beginning`.
    pub fn take_requests(&self, beginning: &str) -> Vec<String> {
        let requests = std::mem::take(&mut self.state().requests);
        requests.into_iter().filter(|request| request.starts_with(beginning)).collect()
    }

    fn serve(&self, stream: &TcpStream) {
        let mut lines = BufReader::new(stream);
        while let Some(request) = read_request(&mut lines) {
            let (start, latency) = (Instant::now(), self.state().latency);
            thread::sleep(latency);
            // Before the answer is sent, since the next request may come before this thread continues.
            let name =
                format!("{} {}{}", request.method, request.key, request.query.get("prefix").unwrap_or(&String::new()));
            self.state().times.push((name, start, Instant::now()));
            let is_open = match request.method.as_str() {
                _ if request.key.is_empty() => self.list(stream, &request),
                "PUT" | "DELETE" => self.write(stream, request),
                _ => self.read(stream, &request),
            };
            if !is_open {
                let _ = stream.shutdown(Shutdown::Both);
                return;
            }
        }
    }

    /// Answers a read of an object. Returns whether the connection stays open.
    fn read(&self, stream: &TcpStream, request: &Request) -> bool {
        let is_get = request.method == "GET";
        thread::sleep(if is_get { self.state().delay } else { Duration::ZERO });
        let mut state = self.state();
        state.requests.push(format!("{} {}", request.method, request.key));
        let fault = if is_get { state.faults.pop_front() } else { None };
        match &fault {
            Some(Fault::Replace(bytes)) => drop(state.objects.insert(request.key.clone(), bytes.clone())),
            Some(Fault::Reset) => return false,
            Some(Fault::SlowDown) => return refuse(stream, "503 Slow Down", "SlowDown"),
            Some(Fault::Denied) => return refuse(stream, "403 Forbidden", "AccessDenied"),
            _ => {}
        }
        let Some(bytes) = state.objects.get(&request.key).cloned() else {
            return refuse(stream, "404 Not Found", "NoSuchKey");
        };
        let etag = etag(&bytes);
        let is_wanted = request.headers.get("if-match").is_none_or(|wanted| *wanted == etag);
        if !is_wanted && !state.ignores_conditions {
            return refuse(stream, "412 Precondition Failed", "PreconditionFailed");
        }
        drop(state);
        let range = request.headers.get("range").and_then(|range| {
            let (start, end) = range.strip_prefix("bytes=")?.split_once('-')?;
            let last = bytes.len() - 1;
            match start.parse::<usize>() {
                Ok(start) => Some(start..end.parse::<usize>().ok()?.min(last) + 1),
                // The last bytes.
                Err(_) => Some(bytes.len().saturating_sub(end.parse().ok()?)..bytes.len()),
            }
        });
        let (status, content_range) = match &range {
            None => ("200 OK", String::new()),
            Some(range) => {
                let (first, last, size) = (range.start, range.end - 1, bytes.len());
                ("206 Partial Content", format!("Content-Range: bytes {first}-{last}/{size}\r\n"))
            }
        };
        let body = &bytes[range.unwrap_or(0..bytes.len())];
        let head = format!(
            "HTTP/1.1 {status}\r\nETag: {etag}\r\nLast-Modified: Fri, 27 Nov 2026 07:00:00 GMT\r\n{content_range}\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        let sent = match fault {
            Some(Fault::Cut(length)) => length.min(body.len()),
            _ if is_get => body.len(),
            _ => 0,
        };
        send(stream, &[head.as_bytes(), &body[..sent]].concat()) && !matches!(fault, Some(Fault::Cut(_)))
    }

    /// Answers a put, which may be on the condition that the name is free, or a deletion.
    fn write(&self, stream: &TcpStream, request: Request) -> bool {
        let mut state = self.state();
        state.requests.push(format!("{} {}", request.method, request.key));
        if request.method == "DELETE" {
            state.objects.remove(&request.key);
            return send(stream, b"HTTP/1.1 204 No Content\r\n\r\n");
        }
        let is_conditional = request.headers.contains_key("if-none-match") && !state.ignores_conditions;
        if is_conditional && state.objects.contains_key(&request.key) {
            return refuse(stream, "412 Precondition Failed", "PreconditionFailed");
        }
        let etag = etag(&request.body);
        state.objects.insert(request.key, request.body);
        send(stream, format!("HTTP/1.1 200 OK\r\nETag: {etag}\r\nContent-Length: 0\r\n\r\n").as_bytes())
    }

    /// Answers a listing with one page.
    fn list(&self, stream: &TcpStream, request: &Request) -> bool {
        let query = |name: &str| request.query.get(name).map_or("", String::as_str);
        let mut state = self.state();
        let start_after = if state.ignores_start_after { "" } else { query("start-after") };
        let (prefix, after) = (query("prefix"), query("continuation-token").max(start_after));
        state.requests.push(format!("LIST {prefix}"));
        let (mut contents, mut prefixes) = (String::new(), BTreeSet::new());
        let (mut count, mut last, mut is_truncated) = (0, "", false);
        for (key, bytes) in state.objects.range(prefix.max(after).to_owned()..) {
            let Some(rest) = key.strip_prefix(prefix) else { break };
            if key.as_str() <= after && !after.is_empty() {
                continue;
            }
            if count == PAGE {
                is_truncated = true;
                break;
            }
            (count, last) = (count + 1, key);
            match rest.find('/') {
                Some(at) if query("delimiter") == "/" => {
                    let text = escaped(&key[..prefix.len() + at + 1]);
                    prefixes.insert(format!("<CommonPrefixes><Prefix>{text}</Prefix></CommonPrefixes>"));
                }
                _ => contents.push_str(&format!(
                    "<Contents><Key>{}</Key><LastModified>2026-11-27T07:00:00.000Z</LastModified><ETag>{}</ETag>\
                     <Size>{}</Size></Contents>",
                    escaped(key),
                    escaped(&etag(bytes)),
                    bytes.len()
                )),
            }
        }
        let next = if is_truncated {
            format!("<NextContinuationToken>{}</NextContinuationToken>", escaped(last))
        } else {
            String::new()
        };
        let prefixes: String = prefixes.into_iter().collect();
        let body = format!("<ListBucketResult>{contents}{prefixes}{next}</ListBucketResult>");
        send(stream, format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes())
    }
}

/// Returns how many of `requests` came one after another: the most of which none overlap.
pub fn rounds(requests: &[Timed]) -> usize {
    let mut requests: Vec<&Timed> = requests.iter().collect();
    requests.sort_unstable_by_key(|(_, _, end)| *end);
    let (mut rounds, mut last) = (0, None);
    for (_, start, end) in requests {
        if last.is_none_or(|last| *start >= last) {
            (rounds, last) = (rounds + 1, Some(*end));
        }
    }
    rounds
}

fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", &Digest::of(bytes).to_string()[..32])
}

fn refuse(stream: &TcpStream, status: &str, code: &str) -> bool {
    let body = format!("<Error><Code>{code}</Code></Error>");
    send(stream, format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes())
}

fn send(mut stream: &TcpStream, bytes: &[u8]) -> bool {
    stream.write_all(bytes).is_ok()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn read_request(lines: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut next = || {
        let mut line = String::new();
        lines.read_line(&mut line).ok().filter(|length| *length > 0).map(|_| line.trim_end().to_owned())
    };
    let first = next()?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let key = decoded(path.strip_prefix(&format!("/{BUCKET}"))?.trim_start_matches('/'));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = pairs.map(|(name, value)| (decoded(name), decoded(&value.replace('+', " ")))).collect();
    let mut headers = BTreeMap::new();
    while let Some(line) = next().filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length: &String| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    lines.read_exact(&mut body).ok()?;
    Some(Request { method, key, query, headers, body })
}

/// Decodes `%41` and the like.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, more)) = rest.split_first() {
        let code = more.get(..2).filter(|_| byte == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &more[2..];
            }
            None => {
                bytes.push(byte);
                rest = more;
            }
        }
    }
    String::from_utf8(bytes).expect("names are UTF-8")
}
