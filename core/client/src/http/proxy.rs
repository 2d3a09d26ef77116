//! The proxy that the device mandates, or the caller wants.

use http::Uri;
use http::header::HeaderValue;
use hyper_util::client::proxy::matcher::Matcher;

use super::Error;
use super::origin::Origin;
use crate::connector::Connector;
use crate::target::Target;

/// One that leads to an origin.
#[derive(Debug, Clone)]
pub(super) struct Proxy {
    pub(super) target: Target,
    pub(super) authorization: Option<HeaderValue>,
}

/// Which proxy leads where.
#[derive(Debug)]
pub(super) struct Proxies {
    matcher: Option<Matcher>,
    /// The caller named it, so that it is used whatever the device says.
    named: bool,
}

impl Proxies {
    /// What the environment says: `HTTP_PROXY` and the like.
    pub(super) fn of_device() -> Self {
        const NAMES: [&str; 3] = ["http_proxy", "https_proxy", "all_proxy"];
        let is_set = |name: &&str| {
            let upper = name.to_uppercase();
            [name, upper.as_str()]
                .iter()
                .any(|it| std::env::var_os(it).is_some_and(|value| !value.is_empty()))
        };
        Self {
            matcher: NAMES.iter().any(is_set).then(Matcher::from_env),
            named: false,
        }
    }

    /// That one, for everything.
    pub(super) fn named(url: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Error::InvalidUrl {
            url: url.to_owned(),
            why: why.to_owned(),
        };
        let uri: Uri = url.parse().map_err(|_| wrong("it is no URL"))?;
        if uri.scheme_str() != Some("http") || uri.host().is_none() {
            return Err(wrong("a proxy is written as http://host:port"));
        }
        Ok(Self {
            matcher: Some(Matcher::builder().all(url.to_owned()).build()),
            named: true,
        })
    }

    pub(super) const fn none() -> Self {
        Self {
            matcher: None,
            named: true,
        }
    }

    /// The proxy for an origin, if there is one.
    pub(super) fn of(&self, origin: &Origin, connector: &Connector) -> Option<Proxy> {
        let matcher = self.matcher.as_ref()?;
        if !self.named && !connector.respects_mandates() {
            return None;
        }
        let scheme = if origin.https { "https" } else { "http" };
        let uri: Uri = format!("{scheme}://{}/", origin.authority()).parse().ok()?;
        let found = matcher.intercept(&uri)?;
        let proxy = found.uri();
        if proxy.scheme_str() != Some("http") {
            log::warn!(
                "a proxy of the kind {:?} cannot be used",
                proxy.scheme_str()
            );
            return None;
        }
        let host = proxy.host()?.trim_start_matches('[').trim_end_matches(']');
        Some(Proxy {
            target: Target::new(host, proxy.port_u16().unwrap_or(80)),
            authorization: found.basic_auth().cloned(),
        })
    }
}
