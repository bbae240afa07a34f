//! Reading an object piece by piece, whatever happens to the connection.

use std::ops::Range;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore as _, Result};

use crate::storage::bucket::client::{Client, interrupted};
use crate::storage::bucket::waiting::Patience;

/// The bytes of an object that are still to come. Where a connection breaks, the rest is asked for.
pub(super) struct Pieces<'a> {
    client: &'a Client,
    key: &'a Path,
    patience: Patience<'a>,
    /// The whole object, as it was when it was asked for.
    pub meta: ObjectMeta,
    left: Range<u64>,
    stream: BoxStream<'static, Result<Bytes>>,
}

impl<'a> Pieces<'a> {
    /// Asks for the object, or for a range that is not empty.
    pub async fn open(client: &'a Client, key: &'a Path, range: Option<GetRange>) -> Result<Pieces<'a>> {
        Pieces::open_with(client, key, GetOptions { range, ..GetOptions::default() }).await
    }

    /// Asks for what `options` say.
    pub async fn open_with(client: &'a Client, key: &'a Path, options: GetOptions) -> Result<Pieces<'a>> {
        let mut patience = client.patience();
        // As `Client::repeat`, whose requests cannot move to another thread.
        let answer = loop {
            match client.once(0, client.store().get_opts(key, options.clone())).await {
                Ok(answer) => break answer,
                Err(error) => patience.wait(error).await?,
            }
        };
        let (meta, left) = (answer.meta.clone(), answer.range.clone());
        Ok(Pieces { client, key, patience: client.patience(), meta, left, stream: answer.into_stream() })
    }

    /// Returns how many bytes are still to come.
    pub fn left(&self) -> u64 {
        self.left.end - self.left.start
    }

    /// Returns the next bytes, or nothing after the last.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        while !self.left.is_empty() {
            let piece = async { self.stream.next().await.unwrap_or_else(|| Err(interrupted())) };
            match self.client.once(0, piece).await {
                Ok(piece) if piece.is_empty() => {}
                Ok(piece) => {
                    self.left.start += piece.len() as u64;
                    self.patience.renew();
                    return Ok(Some(piece));
                }
                Err(error) => self.again(error).await?,
            }
        }
        Ok(None)
    }

    /// Reads all that is left.
    pub async fn rest(mut self) -> Result<Bytes> {
        let first = self.next().await?.unwrap_or_default();
        if self.left.is_empty() {
            return Ok(first);
        }
        let mut all = Vec::with_capacity(first.len() + usize::try_from(self.left()).unwrap_or_default());
        all.extend_from_slice(&first);
        while let Some(piece) = self.next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all.into())
    }

    async fn again(&mut self, mut error: object_store::Error) -> Result<()> {
        loop {
            self.patience.wait(error).await?;
            let range = Some(GetRange::Bounded(self.left.clone()));
            let options = GetOptions { range, if_match: self.meta.e_tag.clone(), ..GetOptions::default() };
            match self.client.once(0, self.client.store().get_opts(self.key, options)).await {
                Ok(answer) => {
                    self.stream = answer.into_stream();
                    return Ok(());
                }
                Err(next) => error = next,
            }
        }
    }
}
