//! What an answer of a bucket means.

use std::error::Error;
use std::sync::Arc;

use object_store::client::{HttpError, HttpErrorKind};

use crate::storage::error::{BucketFault, StorageError};

/// Returns the error of a request to `action` `path`.
pub(super) fn failed(action: &'static str, path: String, source: object_store::Error) -> StorageError {
    match fault(&source) {
        Fault::Missing => StorageError::NotFound { path },
        Fault::Taken => StorageError::Exists { path },
        Fault::Other(fault) => StorageError::Bucket { action, path, fault, source: Some(Arc::new(source)) },
    }
}

/// What a request ran into.
pub(super) enum Fault {
    /// Nothing has that name.
    Missing,
    /// The name is taken, as far as the server says.
    Taken,
    Other(BucketFault),
}

/// Returns what `error` stands for: by the code in the server's answer, by its status, or by how the connection ended.
pub(super) fn fault(error: &object_store::Error) -> Fault {
    let text = error.to_string();
    match code(&text).unwrap_or_default() {
        "NoSuchBucket" => return Fault::Other(BucketFault::NoBucket),
        "ExpiredToken" | "ExpiredTokenException" => return Fault::Other(BucketFault::ExpiredToken),
        "RequestTimeTooSkewed" => return Fault::Other(BucketFault::ClockSkew),
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" => {
            return Fault::Other(BucketFault::WrongCredentials);
        }
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
            return Fault::Other(BucketFault::WrongRegion);
        }
        "SlowDown" | "RequestLimitExceeded" | "TooManyRequests" => return Fault::Other(BucketFault::Throttled),
        "NotImplemented" => return Fault::Other(BucketFault::NotSupported),
        _ => {}
    }
    match error {
        object_store::Error::NotFound { .. } => Fault::Missing,
        object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. } => Fault::Taken,
        object_store::Error::PermissionDenied { .. } => Fault::Other(BucketFault::Denied),
        object_store::Error::Unauthenticated { .. } => Fault::Other(BucketFault::WrongCredentials),
        object_store::Error::NotSupported { .. } | object_store::Error::NotImplemented { .. } => {
            Fault::Other(BucketFault::NotSupported)
        }
        _ => Fault::Other(connection(error, &text)),
    }
}

fn connection(error: &object_store::Error, text: &str) -> BucketFault {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<HttpError>() {
            return match error.kind() {
                HttpErrorKind::Timeout => BucketFault::TimedOut,
                HttpErrorKind::Connect if text.contains("certificate") => BucketFault::Encryption,
                HttpErrorKind::Connect => BucketFault::Unreachable,
                _ => BucketFault::Interrupted,
            };
        }
        next = error.source();
    }
    // The library reports redirects without a target in words only.
    if text.contains("without LOCATION") { BucketFault::WrongRegion } else { BucketFault::Server }
}

/// Returns the code in an answer such as `<Error><Code>SlowDown</Code>…`.
pub(super) fn code(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("<Code>")?;
    rest.split_once("</Code>").map(|(code, _)| code)
}
