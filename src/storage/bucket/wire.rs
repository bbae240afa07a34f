//! HTTP below the library that knows the requests: which connections are made, and what a refusal says.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use std::{fmt, fs};

use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::{ClientConfigKey, ClientOptions};
use reqwest::header::{HeaderValue, IF_NONE_MATCH};
use reqwest::tls::Certificate;

use crate::storage::bucket::endpoint::Endpoint;
use crate::storage::bucket::settings::Settings;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Servers close connections that nobody uses, and a request on such a connection is lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

tokio::task_local! {
    /// Set while an upload in parts may only end as a new object: the library has no way to ask for that.
    pub(super) static ONLY_IF_FREE: ();
}

/// An answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub status: u16,
    /// The code that S3 gives, such as `NoSuchKey`. Nothing if the answer is not one of S3.
    pub code: Option<String>,
    pub message: Option<String>,
    /// The region of the bucket, if the answer names it.
    pub region: Option<String>,
    /// Whether the request asks for no body, so that the answer cannot have a code.
    pub is_bodiless: bool,
    /// Whether it is an answer of a service that gives credentials.
    pub asks_for_keys: bool,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = if self.asks_for_keys { "the service that gives credentials" } else { "the server" };
        write!(f, "{who} answered {}", self.status)?;
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        if let Some(message) = &self.message {
            write!(f, ": {}", message.trim_end_matches('.'))?;
        }
        match &self.region {
            Some(region) => write!(f, " (the bucket is in region `{region}`)"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}

/// Makes connections as the settings say.
pub(super) struct Connector {
    connect_timeout: Duration,
    /// Whether the server may be reached unencrypted.
    may_be_plain: bool,
    /// Whether the proxy of the environment is left out: the server is this machine.
    is_direct: bool,
    certificates: Vec<Certificate>,
}

impl Connector {
    /// Returns a connector, or what is wrong with the settings.
    pub fn new(settings: &Settings, timeout: Duration, endpoint: &Endpoint) -> Result<Connector, String> {
        let certificates = match settings.get("AWS_CA_BUNDLE") {
            None => Vec::new(),
            Some(path) => {
                let pem = fs::read(path).map_err(|error| format!("cannot read AWS_CA_BUNDLE `{path}`: {error}"))?;
                Certificate::from_pem_bundle(&pem)
                    .map_err(|_| format!("AWS_CA_BUNDLE `{path}` has no certificates in PEM"))?
            }
        };
        let connect_timeout = timeout.min(CONNECT_TIMEOUT);
        Ok(Connector {
            connect_timeout,
            may_be_plain: endpoint.may_be_plain,
            is_direct: endpoint.is_this_machine,
            certificates,
        })
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("is_direct", &self.is_direct).finish_non_exhaustive()
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let may_be_plain = options.get_config_value(&ClientConfigKey::AllowHttp).as_deref() == Some("true");
        // Only to services that give credentials, on this machine or next to it, the library allows more than we do.
        let is_next_door = may_be_plain && !self.may_be_plain;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("ckpt/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.connect_timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .https_only(!may_be_plain)
            .http1_only()
            .tls_certs_merge(self.certificates.iter().cloned());
        if self.is_direct || is_next_door {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| {
            let source = Box::new(error);
            object_store::Error::Generic { store: "S3", source }
        })?;
        Ok(HttpClient::new(Wire { client: HttpClient::new(client) }))
    }
}

/// Turns answers that are not a success into a [`Refusal`].
#[derive(Debug)]
struct Wire {
    client: HttpClient,
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>>;

impl HttpService for Wire {
    fn call<'a, 'b>(&'a self, mut request: HttpRequest) -> Answer<'b>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            let asks_for_keys = asks_for_keys(&request);
            let (is_bodiless, is_read) = (request.method() == "HEAD", request.method() == "GET");
            if request.method() == "POST" && ONLY_IF_FREE.try_with(|()| ()).is_ok() {
                request.headers_mut().insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
            }
            let answer = self.client.execute(request).await?;
            if answer.status().is_success() && !(is_read && is_page(&answer)) {
                return Ok(answer);
            }
            let refusal = Refusal { asks_for_keys, ..refusal(answer, is_bodiless).await? };
            Err(HttpError::new(HttpErrorKind::Unknown, refusal))
        })
    }
}

/// Returns whether the request goes to a service that gives credentials: to that of a machine or a container, which have
/// addresses of their own, or to one that exchanges a token.
fn asks_for_keys(request: &HttpRequest) -> bool {
    let uri = request.uri();
    uri.host().is_some_and(|host| host.starts_with("169.254."))
        || uri.path().starts_with("/latest/")
        || uri.query().is_some_and(|query| query.contains("Action=AssumeRole"))
}

/// Returns whether the answer is a web page, which a portal or a wrong address gives.
fn is_page(answer: &HttpResponse) -> bool {
    let headers = answer.headers();
    let is_html = headers.get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    is_html && !headers.contains_key("etag") && !headers.keys().any(|name| name.as_str().starts_with("x-amz-"))
}

async fn refusal(answer: HttpResponse, is_bodiless: bool) -> Result<Refusal, HttpError> {
    let status = answer.status().as_u16();
    let region = answer.headers().get("x-amz-bucket-region");
    let region = region.and_then(|region| region.to_str().ok()).map(str::to_owned);
    let body = answer.into_body().bytes().await?;
    let body = String::from_utf8_lossy(&body);
    let region = region.filter(|_| matches!(status, 301 | 307)).or_else(|| element(&body, "Region"));
    let (code, message) = (element(&body, "Code"), element(&body, "Message"));
    Ok(Refusal { status, code, message, region, is_bodiless, asks_for_keys: false })
}

/// Returns the text of the first element `name` in an answer such as `<Error><Code>SlowDown</Code>…`.
fn element(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let plain = [("&quot;", "\""), ("&apos;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
    Some(plain.iter().fold(text.trim().to_owned(), |text, (escape, character)| text.replace(escape, character)))
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_an_answer_are_found_without_a_parser() {
        let text = "<Error><Code>SlowDown</Code><Message>Use &lt;x&gt; &amp; wait</Message><Region/></Error>";
        assert_eq!(element(text, "Code").as_deref(), Some("SlowDown"));
        assert_eq!(element(text, "Message").as_deref(), Some("Use <x> & wait"));
        assert_eq!((element(text, "Region"), element("<html>", "Code")), (None, None));
    }

    #[test]
    fn a_refusal_says_what_the_server_said() {
        let refusal = Refusal {
            status: 301,
            code: Some("PermanentRedirect".to_owned()),
            message: Some("Use another endpoint.".to_owned()),
            region: Some("eu-west-1".to_owned()),
            is_bodiless: false,
            asks_for_keys: false,
        };
        let text =
            "the server answered 301 PermanentRedirect: Use another endpoint (the bucket is in region `eu-west-1`)";
        assert_eq!(refusal.to_string(), text);
    }
}
