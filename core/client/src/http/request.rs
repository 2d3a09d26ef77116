//! A request while it is put together.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::timeout;

use super::Error;
use super::attempt::Ask;
use super::body::Body;
use super::client::Inner;
use super::origin;
use super::replay::IDEMPOTENCY_KEY;
use super::report::{Progress, Report, RequestEvent};
use super::response::Response;
use super::send::send;

/// Collects what is asked for.
#[derive(Debug)]
#[must_use = "it does nothing until `send` is called"]
pub struct RequestBuilder {
    client: Arc<Inner>,
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Body,
    repeatable: Option<bool>,
    timeout: Option<Duration>,
    report: Report,
    wrong: Option<Error>,
}

impl RequestBuilder {
    pub(super) fn new(client: Arc<Inner>, method: Method, url: &str) -> Self {
        Self {
            timeout: client.options.timeout,
            client,
            method,
            url: url.to_owned(),
            headers: HeaderMap::new(),
            body: Body::empty(),
            repeatable: None,
            report: Report::default(),
            wrong: None,
        }
    }

    /// Adds a header. One that is not allowed is told when the request is sent.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let (name, value) = (name.as_ref(), value.as_ref());
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => {
                self.headers.append(name, value);
            }
            _ => {
                let text = format!("{name:?} cannot be a header with that value");
                self.wrong.get_or_insert(Error::InvalidRequest(text));
            }
        }
        self
    }

    /// Adds headers; each replaces those of the same name.
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        self.headers.extend(headers);
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// Names the request, so that the server knows it when it comes twice: then a POST or PATCH is sent again over another
    /// path. A new name for each request, as a UUID.
    pub fn idempotency_key(self, key: impl AsRef<str>) -> Self {
        self.header(IDEMPOTENCY_KEY, key)
    }

    /// Says whether the request does no harm when it is processed twice. Default: by its method.
    pub const fn repeatable(mut self, repeatable: bool) -> Self {
        self.repeatable = Some(repeatable);
        self
    }

    /// How long it may take up to the head of the answer, with everything that is done again.
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Is told of what happens to the request. It must not block.
    pub fn on_event(mut self, listener: impl Fn(&RequestEvent) + Send + Sync + 'static) -> Self {
        self.report.on_event = Some(Arc::new(listener));
        self
    }

    /// Is told how far the answer's body is, whenever bytes of it are handed over. It must not block.
    pub fn on_progress(mut self, listener: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.report.on_progress = Some(Arc::new(listener));
        self
    }

    /// The account of the request, which can be read while it runs and when it has failed.
    #[must_use]
    pub fn report(&self) -> Report {
        self.report.clone()
    }

    /// Sends it and waits for the head of the answer, whatever its status.
    ///
    /// # Errors
    ///
    /// [`Error`], which says what to do.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the request up; the server may have processed it.
    pub async fn send(self) -> Result<Response, Error> {
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        let ask = Ask {
            method: self.method,
            url: origin::parse(&self.url)?,
            headers: self.headers,
            body: self.body,
        };
        let sending = send(&self.client, ask, self.repeatable, self.report);
        let sent = match self.timeout {
            Some(limit) => timeout(limit, sending).await.unwrap_or(Err(Error::Timeout {
                what: "the request",
                limit,
            })),
            None => sending.await,
        };
        Ok(Response::new(sent?))
    }
}
