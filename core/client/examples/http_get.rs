//! A download that survives losing Wi-Fi: `cargo run --example http_get --features http -- https://example.com/file`

use std::error::Error;
use std::io::Write as _;

use twinpath::{Connector, http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: http_get URL")?;
    let client = http::Client::new(Connector::builder().build()?);
    let request = client
        .get(&url)
        .on_event(|event| eprintln!("{}", event.name()));
    let mut response = request.send().await?.error_for_status()?;
    while let Some(bytes) = response.chunk().await? {
        std::io::stdout().write_all(&bytes)?;
    }
    let account = response.report().summary();
    for path in &account.paths {
        let name = path.path.as_ref().map_or("?", |path| &path.name);
        eprintln!("{} bytes over {name}", path.body);
    }
    eprintln!(
        "{} failovers, {} bytes on the backup",
        account.failovers,
        account.on_backup()
    );
    Ok(())
}
