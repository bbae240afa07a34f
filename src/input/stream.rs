//! The bytes of a partition, decompressed.

use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::time::Duration;

use crate::input::error::InputError;
use crate::input::gzip::Gzip;
use crate::input::object::ObjectReader;
use crate::input::partition::{Compression, Partition, Source};
use crate::input::pipe::Pipe;
use crate::input::read_ahead::ReadAhead;
use crate::input::sampled_digest::StoredDigest;
use crate::input::zstandard::Zstandard;

/// The bytes of a partition, decompressed.
pub(super) enum Stream {
    /// An uncompressed file, which can be read from any offset.
    Plain(File),
    /// An uncompressed object, which can be read from any offset.
    Object(ObjectReader),
    /// Standard input.
    Pipe(Pipe),
    /// A compressed file, and the digest of what was read of it.
    Packed(Box<dyn Read + Send>, StoredDigest),
    /// What else can only be read from the beginning.
    Forward(Box<dyn Read + Send>),
}

impl Stream {
    /// Reads into `buffer` and returns the number of bytes, which is 0 at the end. Retries when interrupted.
    pub(super) fn read_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match self {
                Stream::Plain(file) => file.read(buffer),
                Stream::Object(object) => object.read(buffer),
                Stream::Pipe(pipe) => pipe.read(buffer),
                Stream::Packed(stream, _) | Stream::Forward(stream) => stream.read(buffer),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    /// Returns whether more of standard input, or its end, arrives within `patience`. Other streams never pause.
    pub(super) fn arrives_within(&mut self, patience: Duration) -> bool {
        match self {
            Stream::Pipe(pipe) => pipe.arrives_within(patience),
            Stream::Plain(_) | Stream::Object(_) | Stream::Packed(..) | Stream::Forward(_) => true,
        }
    }
}

/// Opens `partition` at its beginning.
pub(super) fn open(partition: &Partition) -> Result<Stream, InputError> {
    let path = match &partition.source {
        Source::File(path) => path,
        Source::Object(url) => return of_object(partition, ObjectReader::open(partition, url)?),
        Source::Stdin => {
            let pipe = Pipe::new(io::stdin());
            return pipe.map(Stream::Pipe).map_err(|source| InputError::read(&partition.name, 0, source));
        }
        Source::Topic | Source::Gone => {
            return Err(InputError::read(&partition.name, 0, io::ErrorKind::NotFound.into()));
        }
    };
    let file = open_regular(partition, path)?;
    Ok(match partition.compression {
        Compression::None => Stream::Plain(file),
        compression => {
            let stored = StoredDigest::default();
            Stream::Packed(unpacking(partition, compression, stored.sampling(file))?, stored)
        }
    })
}

/// Returns the stream of the object `partition`, which was opened at its beginning.
pub(super) fn of_object(partition: &Partition, object: ObjectReader) -> Result<Stream, InputError> {
    Ok(match partition.compression {
        Compression::None => Stream::Object(object),
        compression => unpacked(partition, compression, object)?,
    })
}

/// Unpacks `packed`, from which nothing was read yet, in a thread of its own.
pub(super) fn unpacked(
    partition: &Partition,
    compression: Compression,
    packed: impl Read + Send + 'static,
) -> Result<Stream, InputError> {
    unpacking(partition, compression, packed).map(Stream::Forward)
}

fn unpacking(
    partition: &Partition,
    compression: Compression,
    packed: impl Read + Send + 'static,
) -> Result<Box<dyn Read + Send>, InputError> {
    let unpacked = match compression {
        Compression::None => return Ok(Box::new(packed)),
        Compression::Gzip => ReadAhead::start(Gzip::new(BufReader::with_capacity(64 * 1024, packed))),
        Compression::Zstd => Zstandard::new(packed).and_then(ReadAhead::start),
    };
    let unpacked = unpacked.map_err(|source| InputError::read(&partition.name, 0, source))?;
    Ok(Box::new(unpacked))
}

/// Opens the regular file `path` of `partition`. It is checked first, because opening a pipe would wait for a writer.
pub(super) fn open_regular(partition: &Partition, path: &Path) -> Result<File, InputError> {
    let read = |source| InputError::read(&partition.name, 0, source);
    let metadata = std::fs::metadata(path).map_err(read)?;
    if !metadata.is_file() {
        return Err(read(not_regular(&metadata)));
    }
    File::open(path).map_err(read)
}

/// Returns why something that is not a regular file is not read.
pub(super) fn not_regular(metadata: &Metadata) -> io::Error {
    if metadata.is_dir() {
        io::Error::new(io::ErrorKind::IsADirectory, "it is a directory")
    } else {
        io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")
    }
}
