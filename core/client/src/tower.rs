//! The connector as a service that hyper-util's client, and whatever else speaks tower, takes for its connections.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection as Describe};
use hyper_util::rt::TokioIo;
use tower_service::Service;

use crate::connection::Connection;
use crate::connector::Connector;
use crate::error::ConnectError;
use crate::target::Target;

/// Connects to the host and port of a URI.
///
/// ```no_run
/// use http_body_util::Empty;
/// use hyper_util::client::legacy::Client;
/// use hyper_util::rt::TokioExecutor;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let connector = twinpath::Connector::builder().peer(twinpath::Peer::Gateway).build()?;
/// let client = Client::builder(TokioExecutor::new()).build::<_, Empty<bytes::Bytes>>(connector);
/// let response = client.get("http://gateway.example.com/".parse()?).await?;
/// println!("{}", response.status());
/// # Ok(())
/// # }
/// ```
///
/// # What it can promise
///
/// | peer | what the client above it gets |
/// |---|---|
/// | a gateway, or kernel MPTCP | connections that outlive their path; TLS and HTTP over them notice nothing |
/// | any other server | connects that survive a dead path; a connection whose path dies fails within about a quarter of a second, with [`Interrupted`](crate::Interrupted) inside, instead of hanging for minutes |
///
/// A TLS stream cannot move from one TCP connection to another, so nothing below a client of TLS or HTTP can save a request
/// in flight towards any server. [`http::Client`](crate::http::Client) can, for it knows what a request is: it sends
/// again what may be sent again, and resumes downloads.
impl Service<Uri> for Connector {
    type Response = TokioIo<Connection>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let target =
                target_of(&uri).ok_or_else(|| ConnectError::InvalidTarget(uri.to_string()))?;
            connector.connect_to(&target).await.map(TokioIo::new)
        })
    }
}

impl Describe for Connection {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

fn target_of(uri: &Uri) -> Option<Target> {
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    let usual = match uri.scheme_str() {
        Some("https" | "wss") => Some(443),
        Some("http" | "ws") => Some(80),
        _ => None,
    };
    Some(Target::new(host, uri.port_u16().or(usual)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_leads_to_a_target() {
        let of = |text: &str| target_of(&text.parse().unwrap()).map(|it| it.to_string());
        assert_eq!(of("https://a.example/x").as_deref(), Some("a.example:443"));
        assert_eq!(
            of("http://[2001:db8::1]:81/").as_deref(),
            Some("[2001:db8::1]:81")
        );
        assert_eq!(of("a.example:7").as_deref(), Some("a.example:7"));
        assert_eq!(of("/x"), None);
        assert_eq!(of("ftp://a.example/"), None);
    }
}
