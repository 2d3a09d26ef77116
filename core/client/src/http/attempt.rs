//! One attempt: a request on one connection, up to the head of its answer.

use std::sync::Arc;

use http::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, IF_RANGE, PROXY_AUTHORIZATION,
    RANGE, USER_AGENT,
};
use http::response::Parts;
use http::{Method, Request};
use hyper::body::{Body as _, Incoming};
use tokio::time::timeout;
use twinpath_proto::Role;
use url::Url;

use super::Error;
use super::body::{Body, SentBody};
use super::client::Inner;
use super::failure::Failure;
use super::link::{Hold, Link};
use super::origin::Origin;
use super::pool::{Pool, Way};
use super::report::{Meter, Report};

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

/// A part of it instead of the whole.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) first: u64,
    pub(super) last: Option<u64>,
    /// Only of the representation that has this validator.
    pub(super) of: HeaderValue,
}

/// The head of an answer, and what brings its body.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) head: Parts,
    pub(super) body: Incoming,
    pub(super) role: Role,
    pub(super) way: Way,
    pub(super) meter: Meter,
    hold: Hold,
    link: Option<Link>,
    origin: Origin,
    pool: Arc<Pool>,
}

impl Inner {
    /// Sends `ask`, or asks for a part of it, over the path of that role or whichever is right.
    pub(super) async fn attempt(
        &self,
        ask: &Ask,
        part: Option<&Part>,
        over: Option<Role>,
        report: &Report,
    ) -> Result<Answer, Failure> {
        let origin = Origin::of(&ask.url);
        let (mut link, way) = self.link(&origin, over).await?;
        let hold = link.hold();
        let mut meter = Meter::start(report, &hold, !link.used);
        let request = self.request(ask, part, &origin, &link).await?;
        let limit = self.options.silence;
        let sending = timeout(limit, link.send(request)).await;
        meter.settle(&hold);
        let answered = match sending {
            Ok(Ok(answered)) => answered,
            Ok(Err(unanswered)) => {
                return Err(Failure::of_request(&origin.host, unanswered).over(&hold));
            }
            Err(_) => return Err(Failure::silence("the answer", limit)),
        };
        let (head, body) = answered.into_parts();
        Ok(Answer {
            head,
            body,
            role: hold.role(),
            way,
            meter,
            hold,
            link: Some(link),
            origin,
            pool: Arc::clone(&self.pool),
        })
    }

    async fn request(
        &self,
        ask: &Ask,
        part: Option<&Part>,
        origin: &Origin,
        link: &Link,
    ) -> Result<Request<SentBody>, Failure> {
        let whole = link.is_h2() || link.proxy.is_some();
        let uri = origin.uri(&ask.url, whole).map_err(Failure::fatal)?;
        let body = ask.body.send().await;
        let body = body.map_err(|error| Failure::fatal(Error::Body(Arc::new(error))))?;
        let mut request = Request::new(body);
        *request.method_mut() = ask.method.clone();
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        *headers = ask.headers.clone();
        if !link.is_h2() && !headers.contains_key(HOST) {
            if let Ok(host) = HeaderValue::from_str(&origin.authority()) {
                headers.insert(HOST, host);
            }
        }
        if !headers.contains_key(USER_AGENT) {
            headers.insert(USER_AGENT, self.options.user_agent.clone());
        }
        let needs_length = matches!(ask.method, Method::POST | Method::PUT | Method::PATCH);
        if ask.body.is_empty() && needs_length {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        if let Some(Some(authorization)) = &link.proxy {
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        if let Some(part) = part {
            let last = part.last.map_or_else(String::new, |last| last.to_string());
            if let Ok(range) = HeaderValue::from_str(&format!("bytes={}-{last}", part.first)) {
                headers.insert(RANGE, range);
                headers.insert(IF_RANGE, part.of.clone());
            }
        }
        Ok(request)
    }

    /// Whether compression is to be asked for and taken off again.
    pub(super) fn wants_gzip(&self, headers: &HeaderMap) -> bool {
        self.options.gzip && !headers.contains_key(ACCEPT_ENCODING) && !headers.contains_key(RANGE)
    }
}

impl Answer {
    pub(super) fn path(&self) -> Option<crate::mode::PathInfo> {
        self.hold.path()
    }

    pub(super) fn mode(&self) -> crate::mode::Mode {
        self.hold.attention().mode()
    }

    /// What an error of the body means.
    pub(super) fn failure(&self, error: &hyper::Error) -> Failure {
        Failure::of_hyper(&self.origin.host, error).over(&self.hold)
    }

    pub(super) const fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(super) fn settle(&mut self) {
        self.meter.settle(&self.hold);
        self.role = self.hold.role();
    }

    /// The body has come to its end: the connection may serve the next request.
    pub(super) fn finish(mut self) {
        self.settle();
        let Some(mut link) = self.link.take().filter(|link| !link.is_h2()) else {
            return;
        };
        let (pool, origin, way) = (Arc::clone(&self.pool), self.origin.clone(), self.way);
        tokio::spawn(async move {
            if link.ready().await {
                pool.put(&origin, way, link);
            }
        });
    }

    /// Whether there is no body to come.
    pub(super) fn is_complete(&self) -> bool {
        self.body.is_end_stream()
    }
}
