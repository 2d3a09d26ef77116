//! What is asked for.

use std::time::Duration;

use http::Method;
use twinpath::http::{Body, Client, RequestBuilder};

use crate::block::Block;
use crate::error::{Failure, Kind};

/// One header.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// The body of a request. Both kinds can be sent again from their start.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum Payload {
    /// There is none.
    Nothing,
    /// These bytes.
    InMemory {
        /// They.
        bytes: Block,
    },
    /// What is in that file, which must not change meanwhile.
    InFile {
        /// The file.
        path: String,
    },
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Request {
    /// Its method.
    pub method: String,
    /// What it is for.
    pub url: String,
    /// Its headers.
    #[uniffi(default = [])]
    pub headers: Vec<Header>,
    /// Its body.
    pub payload: Payload,
    /// Names the request, so that the server knows it when it comes twice.
    #[uniffi(default = None)]
    pub idempotency_key: Option<String>,
    /// Whether it does no harm when it is processed twice; by its method if left out.
    #[uniffi(default = None)]
    pub repeatable: Option<bool>,
    /// How long it may take up to the head of the answer.
    #[uniffi(default = None)]
    pub timeout: Option<Duration>,
}

impl Request {
    pub(super) fn over(self, client: &Client) -> Result<RequestBuilder, Failure> {
        let method = Method::try_from(self.method.as_str()).map_err(|_| {
            Failure::new(
                Kind::InvalidInput,
                format!("{:?} is no method of HTTP", self.method),
            )
        })?;
        let mut request = client.request(method, &self.url);
        for header in self.headers {
            request = request.header(header.name, header.value);
        }
        request = match self.payload {
            Payload::Nothing => request,
            Payload::InMemory { bytes } => request.body(bytes.into_bytes()),
            Payload::InFile { path } => {
                let body = Body::file(&path).map_err(|error| {
                    Failure::new(
                        Kind::InvalidInput,
                        format!("the file with the body cannot be read: {error}"),
                    )
                })?;
                request.body(body)
            }
        };
        if let Some(key) = self.idempotency_key {
            request = request.idempotency_key(key);
        }
        if let Some(repeatable) = self.repeatable {
            request = request.repeatable(repeatable);
        }
        if let Some(limit) = self.timeout {
            request = request.timeout(limit);
        }
        Ok(request)
    }
}
