//! An answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_compression::tokio::bufread::GzipDecoder;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue};
use http::{StatusCode, Version};
use tokio::io::{AsyncRead, AsyncReadExt as _, BufReader, ReadBuf};
use url::Url;

use super::Error;
use super::flow::Flow;
use super::report::Report;
use super::send::Sent;
use crate::driver::BoxFuture;

const PIECE: usize = 64 * 1024;

/// The head of an answer, and its body as it comes.
#[derive(Debug)]
pub struct Response {
    status: StatusCode,
    version: Version,
    headers: HeaderMap,
    url: Url,
    report: Report,
    body: Coming,
}

enum Coming {
    Plain(Box<Flow>),
    Gzip(Box<GzipDecoder<BufReader<Reader>>>),
}

impl std::fmt::Debug for Coming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Gzip(_) => "Gzip",
        })
    }
}

impl Response {
    pub(super) fn new(sent: Sent) -> Self {
        let Sent {
            head,
            url,
            flow,
            gzip,
        } = sent;
        let mut headers = head.headers;
        let report = flow.report().clone();
        let body = if gzip {
            headers.remove(CONTENT_ENCODING);
            headers.remove(CONTENT_LENGTH);
            let reader = BufReader::with_capacity(PIECE, Reader::new(flow));
            Coming::Gzip(Box::new(GzipDecoder::new(reader)))
        } else {
            Coming::Plain(Box::new(flow))
        };
        Self {
            status: head.status,
            version: head.version,
            headers,
            url,
            report,
            body,
        }
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The version of HTTP that the server spoke.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The headers; those of a compression that was taken off are left out.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Where the answer came from, after redirects.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The length of the body, if it is known.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        super::validator::content_length(&self.headers)
    }

    /// The strong validator of what the answer is of: fit for `If-Range`, so as to go on with it later.
    #[must_use]
    pub fn validator(&self) -> Option<HeaderValue> {
        super::validator::strong_validator(&self.headers)
    }

    /// Which paths carried it, what was done again, and what it cost; live while the body comes.
    #[must_use]
    pub fn report(&self) -> Report {
        self.report.clone()
    }

    /// This answer, or an error if its status is one of failure (400 and above).
    ///
    /// # Errors
    ///
    /// [`Error::Status`].
    pub fn error_for_status(self) -> Result<Self, Error> {
        match self.status.is_client_error() || self.status.is_server_error() {
            true => Err(Error::Status(self.status)),
            false => Ok(self),
        }
    }

    /// The next bytes of the body; `None` at its end.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`] if the answer broke off and could not be gone on with, [`Error::ResourceChanged`] if what is
    /// there now is something else.
    ///
    /// # Cancel safety
    ///
    /// Safe: a future that is dropped before it is ready has taken nothing.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        match &mut self.body {
            Coming::Plain(flow) => flow.next().await,
            Coming::Gzip(decoder) => {
                let mut buffer = BytesMut::with_capacity(PIECE);
                let size = decoder.read_buf(&mut buffer).await.map_err(error_of)?;
                Ok((size > 0).then(|| buffer.freeze()))
            }
        }
    }

    /// The whole body, if it is no longer than `limit` bytes.
    ///
    /// # Errors
    ///
    /// As for [`chunk`](Self::chunk); [`Error::TooLarge`].
    ///
    /// # Cancel safety
    ///
    /// Not safe: what has come is lost with the answer.
    pub async fn bytes(mut self, limit: u64) -> Result<Bytes, Error> {
        let too_large = |size: u64| match size > limit {
            true => Err(Error::TooLarge { limit }),
            false => Ok(()),
        };
        too_large(self.content_length().unwrap_or_default())?;
        let mut all = BytesMut::new();
        while let Some(bytes) = self.chunk().await? {
            too_large((all.len() + bytes.len()) as u64)?;
            all.extend_from_slice(&bytes);
        }
        Ok(all.freeze())
    }

    /// The whole body as text, at most 16 MiB of it; what is no UTF-8 is replaced.
    ///
    /// # Errors
    ///
    /// As for [`bytes`](Self::bytes).
    ///
    /// # Cancel safety
    ///
    /// Not safe: what has come is lost with the answer.
    pub async fn text(self) -> Result<String, Error> {
        let bytes = self.bytes(16 * 1024 * 1024).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The body as something that can be read. Its errors hold an [`Error`].
    #[must_use]
    pub fn into_reader(self) -> Pin<Box<dyn AsyncRead + Send>> {
        match self.body {
            Coming::Plain(flow) => Box::pin(Reader::new(*flow)),
            Coming::Gzip(decoder) => Box::into_pin(decoder),
        }
    }
}

/// An error of ours that went through a reader.
fn error_of(error: io::Error) -> Error {
    match error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>())
    {
        Some(inner) => inner.clone(),
        None => Error::Decompression(error.into()),
    }
}

type Step = (Flow, Result<Option<Bytes>, Error>);

/// A body as a reader.
struct Reader {
    state: Reading,
    rest: Bytes,
}

enum Reading {
    Resting(Option<Box<Flow>>),
    Waiting(BoxFuture<Step>),
}

impl Reader {
    fn new(flow: Flow) -> Self {
        Self {
            state: Reading::Resting(Some(Box::new(flow))),
            rest: Bytes::new(),
        }
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.rest.is_empty() {
                let size = this.rest.len().min(buf.remaining());
                buf.put_slice(&this.rest.split_to(size));
                return Poll::Ready(Ok(()));
            }
            match &mut this.state {
                Reading::Resting(flow) => {
                    let Some(flow) = flow.take() else {
                        return Poll::Ready(Ok(()));
                    };
                    let mut flow = *flow;
                    this.state = Reading::Waiting(Box::pin(async move {
                        let next = flow.next().await;
                        (flow, next)
                    }));
                }
                Reading::Waiting(step) => {
                    let (flow, next) = std::task::ready!(step.as_mut().poll(cx));
                    this.state = Reading::Resting(Some(Box::new(flow)));
                    match next {
                        Ok(Some(bytes)) => this.rest = bytes,
                        Ok(None) => {
                            this.state = Reading::Resting(None);
                            return Poll::Ready(Ok(()));
                        }
                        Err(error) => return Poll::Ready(Err(io::Error::other(error))),
                    }
                }
            }
        }
    }
}
