//! TLS over a twinpath connection with tokio-rustls: `cargo run --example tokio_rustls --features tls -- example.com 443`
//!
//! Over a session with a gateway the TLS stream survives the loss of its path. Towards any other server it fails with
//! `Interrupted` when the path dies, and has to be begun anew over a fresh leg.

use std::error::Error;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use twinpath::tls::TlsConfig;
use twinpath::{Connector, Interrupted};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let host = arguments.next().ok_or("usage: tokio_rustls HOST PORT")?;
    let port = arguments.next().unwrap_or_else(|| "443".to_owned());
    let connection = Connector::builder()
        .build()?
        .connect(&format!("{host}:{port}"))
        .await?;
    let tls = TlsConnector::from(TlsConfig::new().with_alpn(&["http/1.1"]).build()?);
    let mut stream = tls.connect(host.clone().try_into()?, connection).await?;
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer).await {
        Ok(size) => eprintln!("{size} bytes"),
        Err(error) => match Interrupted::of(&error) {
            Some(interrupted) => eprintln!("{interrupted}"),
            None => return Err(error.into()),
        },
    }
    Ok(())
}
