//! A segment that is copied into a file as it is.

use bytes::Bytes;

use crate::format::segment::FOOTER_BYTES;
use crate::ops::restore::error::RestoreError;
use crate::ops::restore::target::{Target, TargetWriter};

/// A segment while it is copied, a piece at a time.
pub(super) struct SegmentCopy<'a> {
    file: Result<TargetWriter<'a>, RestoreError>,
    /// How many bytes are still to come before the end of the segment begins.
    before_end: u64,
    end: Vec<u8>,
}

impl<'a> SegmentCopy<'a> {
    /// Begins to copy a segment of `bytes` bytes into the file `name`.
    pub(super) fn begin(target: &'a Target, name: &str, bytes: u64) -> SegmentCopy<'a> {
        let before_end = bytes.saturating_sub(FOOTER_BYTES);
        SegmentCopy { file: target.create(name), before_end, end: Vec::new() }
    }

    /// Appends a piece. Nothing is written after an error.
    pub(super) fn append(&mut self, piece: &[u8]) {
        let skipped = self.before_end.min(piece.len() as u64);
        self.before_end -= skipped;
        self.end.extend_from_slice(&piece[skipped as usize..]);
        if let Ok(file) = &mut self.file
            && let Err(error) = file.write(piece)
        {
            self.file = Err(error);
        }
    }

    /// Returns the file, which is not complete yet, and the end of the segment, which has the footer.
    pub(super) fn finish(self) -> Result<(TargetWriter<'a>, Bytes), RestoreError> {
        Ok((self.file?, self.end.into()))
    }
}
