//! A server between a client and a server of buckets, which loses, delays and damages what passes through it.
//!
//! It speaks as much HTTP/1.1 as the client does: one request after another per connection, bodies with a length.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What happens to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It passes.
    Pass,
    /// The server does it; the connection ends without an answer.
    LoseAnswer,
    /// The connection ends before the request gets anywhere.
    Reset,
    /// The server does it; this is the answer.
    AnswerAfter(u16, &'static str),
    /// This is the answer; the server never learns of the request.
    AnswerInstead(u16, &'static str),
    /// This is the answer, whole, as it is sent.
    Raw(String),
    /// The server does it after this time, and the answer follows.
    Delay(Duration),
    /// The server does it after this time; the answer is lost.
    DelayAndLose(Duration),
    /// The connection ends after this number of bytes of the answer's body.
    Cut(usize),
    /// The body of the answer arrives in pieces of this size, with pauses between.
    Slow(usize, Duration),
    /// The condition of the request is left out, as servers do that do not know conditions.
    IgnoreCondition,
}

/// What is known about a request when its fate is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// The path with the query.
    pub path: String,
    /// Headers, with names in lower case.
    pub headers: BTreeMap<String, String>,
    /// How many requests of its kind came before it, and how many in all.
    pub earlier_of_kind: usize,
    pub earlier: usize,
}

impl Request {
    /// Returns what sort of request it is, such as `GET`, `LIST` or `CREATE`.
    pub fn kind(&self) -> &'static str {
        match self.method.as_str() {
            "GET" if self.path.contains("list-type=") => "LIST",
            "GET" => "GET",
            "HEAD" => "HEAD",
            "PUT" if self.headers.contains_key("if-none-match") => "CREATE",
            "PUT" if self.path.contains("partNumber=") => "PART",
            "PUT" => "PUT",
            "POST" if self.path.contains("uploads") => "BEGIN",
            "POST" => "COMPLETE",
            "DELETE" => "DELETE",
            _ => "OTHER",
        }
    }
}

type Decide = dyn Fn(&Request) -> Fate + Send + Sync;

/// A running proxy, which ends when it is dropped.
pub struct Lossy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: String,
    decide: Mutex<Arc<Decide>>,
    seen: Mutex<Vec<Request>>,
    done: AtomicUsize,
    has_ended: AtomicBool,
}

impl Lossy {
    /// Starts a proxy in front of `upstream`, such as `http://127.0.0.1:5000`. `decide` chooses what happens to each
    /// request.
    pub fn before(upstream: &str, decide: impl Fn(&Request) -> Fate + Send + Sync + 'static) -> Lossy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let shared = Arc::new(Shared {
            upstream: upstream.trim_start_matches("http://").trim_end_matches('/').to_owned(),
            decide: Mutex::new(Arc::new(decide)),
            seen: Mutex::new(Vec::new()),
            done: AtomicUsize::new(0),
            has_ended: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if of_thread.has_ended.load(Ordering::Relaxed) {
                    return;
                }
                let (shared, Ok(client)) = (Arc::clone(&of_thread), client) else { continue };
                thread::spawn(move || drop(shared.serve(&client)));
            }
        });
        Lossy { port, shared }
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Chooses the fate of the requests that follow in another way.
    pub fn decide(&self, decide: impl Fn(&Request) -> Fate + Send + Sync + 'static) {
        *self.shared.decide.lock().expect("no panic") = Arc::new(decide);
    }

    /// Forgets the requests that came so far.
    pub fn forget(&self) {
        self.shared.seen.lock().expect("no panic").clear();
        self.shared.done.store(0, Ordering::SeqCst);
    }

    /// Returns the requests that came so far.
    pub fn seen(&self) -> Vec<Request> {
        self.shared.seen.lock().expect("no panic").clone()
    }

    /// Returns how many requests were dealt with so far.
    pub fn done(&self) -> usize {
        self.shared.done.load(Ordering::SeqCst)
    }

    /// Returns how many requests of each kind came so far.
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        self.seen().iter().for_each(|request| *counts.entry(request.kind()).or_default() += 1);
        counts
    }
}

impl Drop for Lossy {
    fn drop(&mut self) {
        self.shared.has_ended.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts connections.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

/// The head of a message, line by line, and its body.
struct Message {
    head: Vec<String>,
    body: Vec<u8>,
}

impl Message {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn remove(&mut self, name: &str) {
        let is_named = |line: &String| line.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(name));
        self.head.retain(|line| !is_named(line));
    }

    fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.head.push(format!("{name}: {value}"));
    }

    fn head_bytes(&self) -> Vec<u8> {
        format!("{}\r\n\r\n", self.head.join("\r\n")).into_bytes()
    }

    fn bytes(&self) -> Vec<u8> {
        [self.head_bytes(), self.body.clone()].concat()
    }

    fn read_head(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<Message>> {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            match line.trim_end() {
                "" if head.is_empty() => {}
                "" => return Ok(Some(Message { head, body: Vec::new() })),
                line => head.push(line.to_owned()),
            }
        }
    }

    fn read_body(&mut self, reader: &mut BufReader<&TcpStream>) -> io::Result<()> {
        if self.header("transfer-encoding").is_some_and(|encoding| encoding.eq_ignore_ascii_case("chunked")) {
            self.read_chunks(reader)?;
            self.remove("transfer-encoding");
            let length = self.body.len().to_string();
            self.set("Content-Length", &length);
            return Ok(());
        }
        match self.header("content-length").and_then(|length| length.parse().ok()) {
            Some(length) => {
                self.body = vec![0; length];
                reader.read_exact(&mut self.body)
            }
            None => Ok(()),
        }
    }

    fn read_chunks(&mut self, reader: &mut BufReader<&TcpStream>) -> io::Result<()> {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let length = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16);
            let length = length.map_err(io::Error::other)?;
            let begin = self.body.len();
            self.body.resize(begin + length, 0);
            reader.read_exact(&mut self.body[begin..])?;
            reader.read_line(&mut String::new())?;
            if length == 0 {
                return Ok(());
            }
        }
    }
}

impl Shared {
    /// Serves the requests of one connection until it ends.
    fn serve(&self, client: &TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let mut reader = BufReader::new(client);
        while let Some(mut request) = Message::read_head(&mut reader)? {
            if request.header("expect").is_some() {
                let mut client = client;
                client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            request.read_body(&mut reader)?;
            let known = self.note(&request);
            let decide = Arc::clone(&self.decide.lock().expect("no panic"));
            let stays_open = self.answer(client, request, &known, &decide(&known));
            self.done.fetch_add(1, Ordering::SeqCst);
            if !stays_open? {
                return client.shutdown(Shutdown::Both);
            }
        }
        Ok(())
    }

    fn note(&self, request: &Message) -> Request {
        let mut words = request.head[0].split(' ');
        let mut next = || words.next().unwrap_or_default().to_owned();
        let (method, path) = (next(), next());
        let headers = request.head.iter().skip(1).filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        let mut seen = self.seen.lock().expect("no panic");
        let mut known = Request { method, path, headers, earlier_of_kind: 0, earlier: seen.len() };
        known.earlier_of_kind = seen.iter().filter(|request| request.kind() == known.kind()).count();
        seen.push(known.clone());
        known
    }

    /// Does with `request` what `fate` says, and returns whether the connection stays open.
    fn answer(&self, mut client: &TcpStream, mut request: Message, known: &Request, fate: &Fate) -> io::Result<bool> {
        let is_head = known.method == "HEAD";
        match fate {
            Fate::Reset => return Ok(false),
            Fate::AnswerInstead(status, code) => client.write_all(&made_up(*status, code, is_head))?,
            Fate::Raw(text) => {
                client.write_all(text.as_bytes())?;
                return Ok(false);
            }
            Fate::Pass => client.write_all(&self.forward(&request, is_head)?.bytes())?,
            Fate::LoseAnswer => {
                self.forward(&request, is_head)?;
                return Ok(false);
            }
            Fate::AnswerAfter(status, code) => {
                self.forward(&request, is_head)?;
                client.write_all(&made_up(*status, code, is_head))?;
            }
            Fate::Delay(time) => {
                thread::sleep(*time);
                client.write_all(&self.forward(&request, is_head)?.bytes())?;
            }
            Fate::DelayAndLose(time) => {
                thread::sleep(*time);
                self.forward(&request, is_head)?;
                return Ok(false);
            }
            Fate::Cut(bytes) => {
                let answer = self.forward(&request, is_head)?;
                client.write_all(&answer.head_bytes())?;
                client.write_all(&answer.body[..answer.body.len().min(*bytes)])?;
                return Ok(false);
            }
            Fate::Slow(bytes, pause) => {
                let answer = self.forward(&request, is_head)?;
                client.write_all(&answer.head_bytes())?;
                for piece in answer.body.chunks(*bytes) {
                    client.write_all(piece)?;
                    thread::sleep(*pause);
                }
            }
            Fate::IgnoreCondition => {
                request.remove("If-None-Match");
                client.write_all(&self.forward(&request, is_head)?.bytes())?;
            }
        }
        Ok(true)
    }

    /// Sends `request` to the server and returns its answer.
    fn forward(&self, request: &Message, is_head: bool) -> io::Result<Message> {
        let mut request = Message { head: request.head.clone(), body: request.body.clone() };
        request.set("Connection", "close");
        request.remove("Expect");
        let server = TcpStream::connect(&self.upstream)?;
        (&server).write_all(&request.bytes())?;
        let mut reader = BufReader::new(&server);
        let none = || io::Error::other("the server did not answer");
        let mut answer = Message::read_head(&mut reader)?.ok_or_else(none)?;
        if !is_head {
            answer.read_body(&mut reader)?;
        }
        answer.remove("Connection");
        Ok(answer)
    }
}

fn made_up(status: u16, code: &str, is_head: bool) -> Vec<u8> {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>Made up.</Message></Error>");
    let body = if code.is_empty() || is_head { String::new() } else { body };
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}
