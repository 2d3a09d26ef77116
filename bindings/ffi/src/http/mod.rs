//! Requests with cellular backup, to any web server.

mod answer;
mod client;
mod request;
mod summary;
mod trust;

pub use answer::{Answer, Head, Progress};
pub use client::{HttpClient, HttpOptions, TlsOptions};
pub use request::{Header, Payload, Request};
pub use summary::{PathUse, RequestSummary};
pub use trust::ServerTrust;
