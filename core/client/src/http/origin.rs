//! Where a URL leads.

use http::Uri;
use http::uri::{Authority, Scheme};
use url::Url;

use super::Error;
use crate::target::Target;

/// Scheme, host and port: what a connection serves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) https: bool,
    /// Without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
}

/// Understands an http or https URL.
pub(super) fn parse(text: &str) -> Result<Url, Error> {
    let invalid = |why: String| Error::InvalidUrl {
        url: text.to_owned(),
        why,
    };
    let url = Url::parse(text).map_err(|error| invalid(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid(format!(
            "{} is neither http nor https",
            url.scheme()
        )));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(invalid("it names no host".to_owned()));
    }
    Ok(url)
}

impl Origin {
    /// Of a URL that was parsed here.
    pub(super) fn of(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default();
        let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        Self {
            https: url.scheme() == "https",
            host: bare.unwrap_or(host).to_owned(),
            port: url.port_or_known_default().unwrap_or(80),
        }
    }

    pub(super) fn target(&self) -> Target {
        Target::new(self.host.as_str(), self.port)
    }

    /// `host`, or `host:port` if it is not the usual one.
    pub(super) fn authority(&self) -> String {
        let usual = if self.https { 443 } else { 80 };
        match self.port == usual {
            true => self.bracketed(),
            false => format!("{}:{}", self.bracketed(), self.port),
        }
    }

    pub(super) fn host_and_port(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port)
    }

    fn bracketed(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        }
    }

    /// The URI of a request: the whole of it, or path and query alone.
    pub(super) fn uri(&self, url: &Url, whole: bool) -> Result<Uri, Error> {
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let invalid = |why: http::Error| Error::InvalidUrl {
            url: url.to_string(),
            why: why.to_string(),
        };
        let builder = Uri::builder().path_and_query(path);
        if !whole {
            return builder.build().map_err(invalid);
        }
        let scheme = if self.https {
            Scheme::HTTPS
        } else {
            Scheme::HTTP
        };
        let authority =
            Authority::try_from(self.authority()).map_err(|error| invalid(error.into()))?;
        builder
            .scheme(scheme)
            .authority(authority)
            .build()
            .map_err(invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lead_to_origins() {
        let of = |text| Origin::of(&parse(text).unwrap());
        assert_eq!(of("https://a.example/x").authority(), "a.example");
        assert_eq!(
            of("http://a.example:8080").host_and_port(),
            "a.example:8080"
        );
        assert_eq!(of("http://[2001:db8::1]/").host, "2001:db8::1");
        assert_eq!(
            of("http://[2001:db8::1]/").host_and_port(),
            "[2001:db8::1]:80"
        );
        for wrong in [
            "",
            "a.example",
            "ftp://a.example/",
            "http://",
            "file:///etc",
        ] {
            let parsed = parse(wrong);
            assert!(
                matches!(parsed, Err(Error::InvalidUrl { .. })),
                "{wrong}: {parsed:?}"
            );
        }
    }

    #[test]
    fn a_request_asks_for_path_and_query_and_never_for_the_fragment() {
        let url = parse("http://a.example:81/p%20q?x=1#top").unwrap();
        let origin = Origin::of(&url);
        assert_eq!(origin.uri(&url, false).unwrap(), "/p%20q?x=1");
        assert_eq!(
            origin.uri(&url, true).unwrap(),
            "http://a.example:81/p%20q?x=1"
        );
    }
}
