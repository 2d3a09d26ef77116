//! Requests with cellular backup, to any web server.
//!
//! ```no_run
//! use twinpath::{Connector, http};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = http::Client::new(Connector::builder().build()?);
//! let mut response = client.get("https://example.com/file").send().await?.error_for_status()?;
//! while let Some(bytes) = response.chunk().await? {
//!     println!("{} bytes", bytes.len());
//! }
//! let account = response.report().summary();
//! println!("{} failovers, {} bytes over the backup", account.failovers, account.on_backup());
//! # Ok(())
//! # }
//! ```
//!
//! What is done when a path dies is told at [`Client`]; how a request went, [`Response::report`] tells.

mod attempt;
mod attention;
mod body;
mod client;
mod dial;
mod error;
mod failure;
mod flow;
mod hedge;
mod link;
mod origin;
mod place;
mod pool;
mod proxy;
mod replay;
mod report;
mod request;
mod response;
mod send;
mod validator;

pub use body::{Body, BodyReader};
pub use client::{Client, ClientBuilder};
pub use error::Error;
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
pub use report::{PathUse, Progress, Report, RequestEvent, RequestSummary};
pub use request::RequestBuilder;
pub use response::Response;
