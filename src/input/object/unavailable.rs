//! What takes the place of objects in a ckpt that was built without the feature `s3`.

use std::io::{self, Read};

use crate::input::error::InputError;
use crate::input::partition::Partition;
use crate::values::url::WITHOUT_S3;

/// No object can be read.
pub(crate) enum ObjectReader {}

impl ObjectReader {
    pub(crate) fn open(_: &Partition, url: &str) -> Result<ObjectReader, InputError> {
        Err(unavailable(url))
    }

    pub(crate) fn prepare(_: &Partition, url: &str) -> Result<Option<ObjectReader>, InputError> {
        Err(unavailable(url))
    }

    pub(crate) fn bytes(&self) -> u64 {
        match *self {}
    }

    pub(crate) fn end_at(&mut self, _: u64) {
        match *self {}
    }

    pub(crate) fn seek_to(&mut self, _: u64) {
        match *self {}
    }
}

impl Read for ObjectReader {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        match *self {}
    }
}

pub(crate) fn find(pattern: &str, _: &mut Vec<Partition>) -> Result<(), InputError> {
    Err(unavailable(pattern))
}

fn unavailable(url: &str) -> InputError {
    InputError::Address { address: url.to_owned(), reason: WITHOUT_S3.to_owned() }
}
