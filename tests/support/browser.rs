//! A real Chromium, driven over pipes with the protocol of its developer tools.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Ending, repository};

/// How long the browser may take for one answer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// A page in a browser. The browser ends with it.
pub struct Browser {
    _process: Ending,
    requests: ChildStdin,
    messages: Receiver<Value>,
    /// Everything that happened in the page.
    pub events: Vec<Value>,
    session: Option<String>,
    last: u64,
}

/// Returns the path of axe-core's script if it and Chromium are installed.
///
/// Without them, the tests that need them are skipped, unless `CKPT_REQUIRE_BROWSER` is 1.
pub fn axe() -> Option<PathBuf> {
    let installed = Command::new("chromium").arg("--version").output().is_ok_and(|output| output.status.success());
    let axe = repository::path("target/tools/axe/node_modules/axe-core/axe.min.js");
    let found = installed && axe.is_file();
    let required = std::env::var_os("CKPT_REQUIRE_BROWSER").is_some_and(|value| value == "1");
    assert!(found || !required, "CKPT_REQUIRE_BROWSER=1, and there is no `chromium`, or no `{}`", axe.display());
    if !found {
        println!("skipped: there is no `chromium`, or no `{}`", axe.display());
    }
    found.then_some(axe)
}

impl Browser {
    /// Starts a browser with an empty page, whose profile is in `directory`.
    pub fn start(directory: &Path) -> Browser {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "exec chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
             --disable-background-networking --remote-debugging-pipe \"$1\" 3<&0 4>&1 </dev/null >/dev/null 2>&1",
            "sh",
            &format!("--user-data-dir={}", directory.join("profile").display()),
        ]);
        command.env("HOME", directory);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("started");
        let (requests, answers) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let (sender, messages) = channel();
        thread::spawn(move || {
            for message in BufReader::new(answers).split(0) {
                let Ok(message) = message else { break };
                let message = serde_json::from_slice(&message).expect("JSON");
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let process = Ending(child);
        let mut browser = Browser { _process: process, requests, messages, events: Vec::new(), session: None, last: 0 };
        let target = browser.ask("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.ask("Target.attachToTarget", attach);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.ask(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Calls a method of the protocol, and returns its result.
    pub fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let mut request = json!({"id": self.last, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            request["sessionId"] = session.clone().into();
        }
        let mut bytes = request.to_string().into_bytes();
        bytes.push(0);
        self.requests.write_all(&bytes).expect("the browser runs");
        loop {
            let message = self.next();
            if message["id"] == self.last {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }

    /// Opens a file, and returns how long it took until it was loaded.
    pub fn open(&mut self, file: &Path) -> Duration {
        self.events.clear();
        let begun = Instant::now();
        self.ask("Page.navigate", json!({"url": format!("file://{}", file.display())}));
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            self.next();
        }
        begun.elapsed()
    }

    /// Returns the value of a JavaScript expression, or of the promise that it is.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.ask("Runtime.evaluate", parameters);
        assert!(answer.get("exceptionDetails").is_none(), "{answer}");
        answer["result"]["value"].clone()
    }

    /// Sets the width of the window, and whether the reader prefers dark colors.
    pub fn look(&mut self, width: u32, is_dark: bool) {
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.ask("Emulation.setDeviceMetricsOverride", size);
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.ask("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// Presses a key.
    pub fn press(&mut self, key: &str, text: &str) {
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            self.ask("Input.dispatchKeyEvent", json!({"type": kind, "key": key, "code": key, "text": text}));
        }
    }

    /// Returns what the console of the page has, and the requests other than for the page itself.
    pub fn complaints(&self) -> Vec<String> {
        let is_bad = |event: &&Value| match event["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown"
            | "Runtime.consoleAPICalled"
            | "Log.entryAdded"
            | "Page.javascriptDialogOpening" => true,
            "Network.requestWillBeSent" => event["params"]["type"] != "Document",
            _ => false,
        };
        self.events.iter().filter(is_bad).map(Value::to_string).collect()
    }

    fn next(&mut self) -> Value {
        let message = self.messages.recv_timeout(PATIENCE).expect("the browser answers");
        if message.get("method").is_some() {
            self.events.push(message.clone());
        }
        message
    }
}
