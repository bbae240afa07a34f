//! A bucket on a server of its own, which the first test that needs one starts.
//!
//! The server is moto: the program that `CKPT_MOTO` names, or `moto_server` in `PATH` or in `target/tools/moto/bin`.
//! Or it is a server that runs already: `CKPT_BUCKET_URL` names a bucket or a prefix in it, and the `AWS_` variables
//! the server and the keys. Without a server, tests skip what needs one, unless `CKPT_REQUIRE_BUCKET` is 1.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};
use std::{env, process, thread};

use ckpt::storage::bucket::{BucketStorage, BucketUrl, Settings};

use super::{Env, repository};

/// The bucket of a server that has only one, and what the names of the others begin with.
const BUCKET: &str = "ckpt-tests";

/// How long a server may take to start, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// An empty prefix of a bucket, for one test. moto goes through a whole bucket for each list, so there each test has a bucket
/// of its own.
#[derive(Debug, Clone)]
pub struct Bucket {
    pub url: BucketUrl,
    /// The environment in which `ckpt` finds the server.
    variables: Vec<(String, String)>,
}

/// A server that has buckets for the tests.
struct Server {
    variables: Vec<(String, String)>,
    kind: Kind,
}

enum Kind {
    /// A bucket or a prefix that somebody named.
    Named(String),
    /// A moto on a port, which ends when this process ends, however that happens.
    Moto { port: u16, _life: Life },
}

impl Bucket {
    /// Returns an empty prefix, or says that the test is skipped and returns nothing if no server is installed.
    pub fn fresh() -> Option<Bucket> {
        static SERVER: OnceLock<Option<Server>> = OnceLock::new();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let Some(server) = SERVER.get_or_init(server) else {
            let required = env::var_os("CKPT_REQUIRE_BUCKET").is_some_and(|value| value == "1");
            assert!(!required, "CKPT_REQUIRE_BUCKET=1, and no `moto_server` was found");
            println!("skipped: no `moto_server` was found, which the tests of buckets need");
            return None;
        };
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let place = match &server.kind {
            Kind::Named(url) => url.clone(),
            Kind::Moto { port, .. } => {
                let bucket = format!("{BUCKET}-{number}");
                put_bucket(*port, &bucket);
                format!("s3://{bucket}")
            }
        };
        let url = format!("{place}/t-{}-{}-{number}", process::id(), moment());
        Some(Bucket { url: url.parse().expect("an address"), variables: server.variables.clone() })
    }

    /// Sets a variable for the clients and commands that follow.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Bucket {
        self.unset(name).variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn unset(&mut self, name: &str) -> &mut Bucket {
        self.variables.retain(|(old, _)| old != name);
        self
    }

    /// Returns the value of a variable.
    pub fn variable(&self, name: &str) -> &str {
        let found = self.variables.iter().find(|(known, _)| known == name);
        found.map_or_else(|| panic!("{name} is not set"), |(_, value)| value)
    }

    /// Returns the settings for clients in this process.
    pub fn settings(&self) -> Settings {
        Settings::new(self.variables.iter().cloned())
    }

    /// Returns a client for the prefix.
    pub fn storage(&self) -> BucketStorage {
        BucketStorage::with_settings(self.url.clone(), &self.settings()).expect("a client")
    }

    /// Lets the commands of `env` find the server.
    pub fn reach_from(&self, env: &mut Env) {
        for (name, value) in &self.variables {
            env.set(name, value);
        }
    }
}

/// Tells whether the tests use a server that somebody named, rather than moto.
pub fn is_a_real_server() -> bool {
    env::var_os("CKPT_BUCKET_URL").is_some()
}

fn server() -> Option<Server> {
    if let Ok(url) = env::var("CKPT_BUCKET_URL") {
        let variables = env::vars().filter(|(name, _)| name.starts_with("AWS_")).collect();
        return Some(Server { variables, kind: Kind::Named(url.trim_end_matches('/').to_owned()) });
    }
    let program = moto()?;
    let (port, life) = start(&program, &[]);
    Some(Server { variables: variables(port), kind: Kind::Moto { port, _life: life } })
}

fn variables(port: u16) -> Vec<(String, String)> {
    let endpoint = format!("http://127.0.0.1:{port}");
    let variables = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", "us-east-1"),
    ];
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// Returns the program that serves buckets, if it is installed.
pub fn moto() -> Option<PathBuf> {
    if let Some(named) = env::var_os("CKPT_MOTO") {
        return Some(PathBuf::from(named));
    }
    let paths = env::var_os("PATH").unwrap_or_default();
    let installed = repository::path("target/tools/moto/bin");
    let mut places = env::split_paths(&paths).chain([installed]);
    places.find_map(|place| Some(place.join("moto_server")).filter(|path| path.is_file()))
}

/// Keeps a server running until it is dropped.
pub struct Life(Child);

impl Drop for Life {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Starts moto on a free port with `variables` in its environment, and returns the port and what keeps it running. What
/// `tests/support/moto` changes in it makes conditional writes atomic.
///
/// The shell that starts it waits for the end of its input, which is the end of this process or of the value that is
/// returned.
pub fn start(program: &PathBuf, variables: &[(&str, &str)]) -> (u16, Life) {
    const LINE: &str = r#""$@" >/dev/null 2>&1 & server=$!; cat >/dev/null; kill $server"#;
    for _ in 0..5 {
        let port = free_port();
        let mut command = Command::new("sh");
        command.args(["-c", LINE, "sh"]).arg(program).args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        command.env("PYTHONPATH", repository::path("tests/support/moto"));
        command.envs(variables.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let life = Life(command.spawn().expect("a shell"));
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if answers(port) {
                return (port, life);
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
    panic!("`{}` does not start", program.display());
}

/// A moto server that checks credentials and permissions, with a user who has no permissions.
pub struct Guarded {
    port: u16,
    keys: (String, String),
    _life: Life,
}

impl Guarded {
    /// Starts it, or returns nothing if no server is installed.
    pub fn start() -> Option<Guarded> {
        let program = moto()?;
        // Creating the bucket, the user and the key is allowed to everyone.
        let (port, life) = start(&program, &[("INITIAL_NO_AUTH_ACTION_COUNT", "3")]);
        put_bucket(port, BUCKET);
        identity(port, "Action=CreateUser&UserName=u&Version=2010-05-08");
        let answer = identity(port, "Action=CreateAccessKey&UserName=u&Version=2010-05-08");
        let text = |name: &str| {
            let (_, rest) = answer.split_once(&format!("<{name}>")).expect("a key");
            rest.split_once('<').expect("a key").0.to_owned()
        };
        Some(Guarded { port, keys: (text("AccessKeyId"), text("SecretAccessKey")), _life: life })
    }

    /// Returns the key of the user without rights, and its secret.
    pub fn keys(&self) -> (&str, &str) {
        (&self.keys.0, &self.keys.1)
    }

    /// Returns the settings of a client with these keys.
    pub fn settings(&self, id: &str, secret: &str) -> Vec<(String, String)> {
        let mut variables = variables(self.port);
        for (name, value) in &mut variables {
            match name.as_str() {
                "AWS_ACCESS_KEY_ID" => id.clone_into(value),
                "AWS_SECRET_ACCESS_KEY" => secret.clone_into(value),
                _ => {}
            }
        }
        variables
    }
}

/// Creates a bucket on a moto that checks no rights.
pub fn put_bucket(port: u16, name: &str) {
    exchange(port, &format!("PUT /{name}"), "", "");
}

/// Sends a request to the part of moto that knows users.
fn identity(port: u16, body: &str) -> String {
    let scope = "Credential=x/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0";
    let headers =
        format!("Authorization: AWS4-HMAC-SHA256 {scope}\r\nContent-Type: application/x-www-form-urlencoded\r\n");
    exchange(port, "POST /", &headers, body)
}

fn exchange(port: u16, line: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("connected");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer
}

/// Returns a port that nobody uses now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("bound").port()
}

fn answers(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Returns a number that is different in each process.
fn moment() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis())
}
