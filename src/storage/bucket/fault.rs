//! What an answer of a bucket means.

use std::error::Error;
use std::sync::Arc;
use std::{fmt, io};

use object_store::client::{HttpError, HttpErrorKind};

use crate::storage::bucket::wire::Refusal;
use crate::storage::error::{BucketFault, StorageError};

/// How the messages begin that only name the layers around the one that failed.
const OUTER: [&str; 5] =
    ["Generic S3 error", "Error performing", "HTTP error", "error sending request", "client error (Connect)"];

/// What a request ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing has that name.
    Missing,
    /// The condition of the request does not hold: the name is taken, or has another object than expected.
    Taken,
    /// The range begins at the end of the object or after it.
    PastEnd,
    /// The parts that were uploaded are gone: they were made into an object, or given up.
    NoUpload,
    Other(BucketFault),
}

impl Fault {
    /// Returns whether the request may succeed when it is repeated.
    pub fn may_pass(self) -> bool {
        matches!(self, Fault::Other(fault) if !fault.is_refusal())
    }
}

/// Why a request failed, in words without addresses and secrets.
#[derive(Debug)]
struct Cause(String);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Cause {}

/// Returns the error of a request to `action` `path`.
pub(super) fn failed(action: &'static str, path: String, error: &object_store::Error) -> StorageError {
    let fault = match fault(error) {
        Fault::Missing => return StorageError::NotFound { path },
        // Only reads have a condition that ends here; creates settle theirs.
        Fault::Taken => BucketFault::Changed,
        Fault::PastEnd | Fault::NoUpload => BucketFault::Server,
        Fault::Other(fault) => fault,
    };
    StorageError::Bucket { action, path, fault, source: Some(cause(error)) }
}

/// Returns the error of a bucket that no request can be sent to.
pub(super) fn unusable(path: String, fault: BucketFault, reason: Option<String>) -> StorageError {
    let source = reason.map(|reason| Arc::new(Cause(reason)) as Arc<dyn Error + Send + Sync>);
    StorageError::Bucket { action: "reach", path, fault, source }
}

/// Returns what `error` stands for: by the code in the server's answer, by its status, or by how the connection ended.
pub(super) fn fault(error: &object_store::Error) -> Fault {
    if let Some(refusal) = find::<Refusal>(error) {
        return refused(refusal);
    }
    if let Some(error) = find::<HttpError>(error) {
        return Fault::Other(connection(error));
    }
    if matches!(error, object_store::Error::InvalidPath { .. }) {
        return Fault::Other(BucketFault::OddName);
    }
    // Whatever else the library reports: credentials that cannot be fetched, or an answer that makes no sense.
    let has_no_keys = find::<io::Error>(error).is_some() || matches!(error, object_store::Error::NotFound { .. });
    Fault::Other(if has_no_keys { BucketFault::NoCredentials } else { BucketFault::NotS3 })
}

/// Returns why a request failed, for people.
pub(super) fn cause(error: &object_store::Error) -> Arc<dyn Error + Send + Sync> {
    if let Some(refusal) = find::<Refusal>(error) {
        return Arc::new(refusal.clone());
    }
    let mut texts: Vec<String> = Vec::new();
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        texts.push(error.to_string());
        next = source(error);
    }
    let innermost = texts.last().cloned().unwrap_or_default();
    texts.retain(|text| !OUTER.iter().any(|outer| text.starts_with(outer)));
    texts.dedup();
    Arc::new(Cause(if texts.is_empty() { innermost } else { texts.join(": ") }))
}

/// Returns the meaning of the code, or of the status if there is none.
fn refused(refusal: &Refusal) -> Fault {
    if refusal.asks_for_keys && refusal.status < 500 {
        return Fault::Other(BucketFault::NoCredentials);
    }
    let code = refusal.code.as_deref().unwrap_or_default();
    Fault::Other(match code {
        "NoSuchKey" | "NoSuchVersion" => return Fault::Missing,
        "PreconditionFailed" => return Fault::Taken,
        "InvalidRange" => return Fault::PastEnd,
        "NoSuchUpload" | "InvalidPart" => return Fault::NoUpload,
        "NoSuchBucket" => BucketFault::NoBucket,
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => BucketFault::ExpiredToken,
        "RequestTimeTooSkewed" | "RequestExpired" => BucketFault::ClockSkew,
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidToken"
        | "InvalidClientTokenId"
        | "AuthFailure"
        | "InvalidSecurity"
        | "NotSignedUp" => BucketFault::WrongCredentials,
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
            BucketFault::WrongRegion
        }
        "SlowDown"
        | "RequestLimitExceeded"
        | "TooManyRequests"
        | "Throttling"
        | "ThrottlingException"
        | "BandwidthLimitExceeded" => BucketFault::Throttled,
        "NotImplemented" | "MethodNotAllowed" | "EntityTooLarge" => BucketFault::NotSupported,
        "QuotaExceeded" | "XMinioStorageFull" | "XMinioAdminBucketQuotaExceeded" => BucketFault::Full,
        "InvalidObjectState" => BucketFault::Archived,
        // What was sent did not arrive whole.
        "RequestTimeout" | "IncompleteBody" | "BadDigest" | "XAmzContentSHA256Mismatch" => BucketFault::Interrupted,
        "InternalError"
        | "ServiceUnavailable"
        | "OperationAborted"
        | "ConditionalRequestConflict"
        | "TemporaryRedirect" => BucketFault::Server,
        _ => return status(refusal),
    })
}

fn status(refusal: &Refusal) -> Fault {
    let speaks_s3 = refusal.code.is_some() || refusal.is_bodiless;
    Fault::Other(match refusal.status {
        404 if speaks_s3 => return Fault::Missing,
        412 => return Fault::Taken,
        416 => return Fault::PastEnd,
        301 => BucketFault::WrongRegion,
        401 | 403 if speaks_s3 => BucketFault::Denied,
        407 => BucketFault::Unreachable,
        429 => BucketFault::Throttled,
        507 => BucketFault::Full,
        // Nothing is decided by a conflict: another request for the same name was on its way.
        307 | 408 | 409 | 500.. => BucketFault::Server,
        _ if !speaks_s3 => BucketFault::NotS3,
        _ => BucketFault::Refused,
    })
}

fn connection(error: &HttpError) -> BucketFault {
    match error.kind() {
        _ if find::<rustls::Error>(error).is_some() => BucketFault::Encryption,
        HttpErrorKind::Timeout => BucketFault::TimedOut,
        HttpErrorKind::Connect => BucketFault::Unreachable,
        _ => BucketFault::Interrupted,
    }
}

/// Returns the first error of type `T` among `error` and its causes.
pub(super) fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = source(error);
    }
    None
}

/// Returns the cause of `error`, also where the standard library leaves one out.
fn source<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    wrapped.map(|wrapped| wrapped as &(dyn Error + 'static)).or_else(|| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, code: Option<&str>) -> Fault {
        let code = code.map(str::to_owned);
        refused(&Refusal { status, code, message: None, region: None, is_bodiless: false, asks_for_keys: false })
    }

    #[test]
    fn an_answer_is_known_by_its_code_or_its_status() {
        let other = Fault::Other;
        assert_eq!(answer(404, Some("NoSuchKey")), Fault::Missing);
        assert_eq!(answer(404, Some("NoSuchBucket")), other(BucketFault::NoBucket));
        assert_eq!(answer(412, Some("PreconditionFailed")), Fault::Taken);
        assert_eq!(answer(416, None), Fault::PastEnd);
        assert_eq!(answer(403, Some("AccountProblem")), other(BucketFault::Denied));
        assert_eq!(answer(400, Some("InvalidArgument")), other(BucketFault::Refused));
        assert_eq!(answer(503, Some("SlowDown")), other(BucketFault::Throttled));
    }

    #[test]
    fn an_answer_without_a_code_is_not_one_of_s3() {
        for status in [200, 302, 400, 403, 404, 405] {
            assert_eq!(answer(status, None), Fault::Other(BucketFault::NotS3), "{status}");
        }
        assert_eq!(answer(502, None), Fault::Other(BucketFault::Server));
    }

    #[test]
    fn nothing_is_settled_by_a_conflict() {
        for code in [None, Some("ConditionalRequestConflict"), Some("OperationAborted")] {
            assert!(answer(409, code).may_pass());
        }
        assert!(!answer(412, None).may_pass() && !answer(403, None).may_pass());
    }
}
