//! Builds a world as an ordinary user and shows a fault: `cargo run -p twinpath-lab --example two_links`.

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::time::{Duration, Instant};

    use tokio::net::{TcpListener, TcpStream};
    use twinpath_lab::{Direction, World};

    // Before the first thread.
    twinpath_lab::become_root_in_user_namespace()?;

    let world = World::new()?;
    let server = world.server_socket(443);
    let (ready, is_ready) = std::sync::mpsc::channel();
    let _serving = world.server().spawn(move || async move {
        let listener = TcpListener::bind(server).await?;
        let _ = ready.send(());
        while listener.accept().await.is_ok() {}
        Ok::<(), std::io::Error>(())
    })?;
    is_ready.recv()?;

    let connect = || async move {
        let start = Instant::now();
        let attempt = TcpStream::connect(server);
        match tokio::time::timeout(Duration::from_secs(2), attempt).await {
            Ok(Ok(_)) => format!("connected in {:?}", start.elapsed()),
            Ok(Err(error)) => format!("failed: {error}"),
            Err(_) => "no answer".to_owned(),
        }
    };
    eprintln!("over Wi-Fi: {}", world.client().run(connect)?);
    world.link("wlan0").blackhole(Direction::Both);
    eprintln!("Wi-Fi is silent: {}", world.client().run(connect)?);
    world.link("wlan0").down()?;
    eprintln!("Wi-Fi is down: {}", world.client().run(connect)?);
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("namespaces need Linux; see twinpath_lab::Loopback");
}
