//! hyper-util's client over twinpath's connections: `cargo run --example hyper_client --features tower -- http://gateway:80/`
//!
//! Towards a gateway the connections outlive their path, and the client notices nothing.

use std::error::Error;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use twinpath::{Connector, Peer};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args()
        .nth(1)
        .ok_or("usage: hyper_client http://GATEWAY:PORT/")?;
    let connector = Connector::builder().peer(Peer::Gateway).build()?;
    let client = Client::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(connector);
    let response = client.get(url.parse()?).await?;
    eprintln!("{}", response.status());
    let body = response.into_body().collect().await?.to_bytes();
    std::io::Write::write_all(&mut std::io::stdout(), &body)?;
    Ok(())
}
