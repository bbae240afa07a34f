//! What takes the place of objects in a ckpt that was built without the feature `s3`.

use std::io::{self, Read};

use crate::input::error::InputError;
use crate::input::partition::Partition;

/// No object can be read.
pub(in crate::input) enum ObjectReader {}

impl ObjectReader {
    pub(in crate::input) fn open(_: &Partition, url: &str) -> Result<ObjectReader, InputError> {
        Err(unavailable(url))
    }

    pub(in crate::input) fn prepare(_: &Partition, url: &str) -> Result<Option<ObjectReader>, InputError> {
        Err(unavailable(url))
    }

    pub(in crate::input) fn bytes(&self) -> u64 {
        match *self {}
    }

    pub(in crate::input) fn end_at(&mut self, _: u64) {
        match *self {}
    }

    pub(in crate::input) fn seek_to(&mut self, _: u64) {
        match *self {}
    }
}

impl Read for ObjectReader {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        match *self {}
    }
}

pub(in crate::input) fn find(pattern: &str, _: &mut Vec<Partition>) -> Result<(), InputError> {
    Err(unavailable(pattern))
}

fn unavailable(url: &str) -> InputError {
    InputError::Address { address: url.to_owned(), reason: super::url::WITHOUT_S3.to_owned() }
}
