//! What the emulator itself can carry, and at what price: `cargo run --release -p twinpath-lab
//! --example link_speed`.

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::time::Duration;

    use twinpath_lab::{LinkSpec, Rate, become_root_in_user_namespace};

    become_root_in_user_namespace()?;
    let ms = Duration::from_millis;
    let spec = |rtt, rate, mtu| LinkSpec {
        rtt: ms(rtt),
        rate,
        mtu,
        queue: 2 << 20,
        ..LinkSpec::default()
    };
    let shaped = |megabits| Some(Rate::mbit(megabits));
    for (what, spec) in [
        ("20 ms, 20 Mbit/s", spec(20, shaped(20), 1500)),
        ("20 ms, 50 Mbit/s", spec(20, shaped(50), 1500)),
        ("20 ms, 500 Mbit/s", spec(20, shaped(500), 1500)),
        ("no delay, no limit", spec(0, None, 1500)),
        ("no delay, no limit, MTU 65000", spec(0, None, 65_000)),
    ] {
        let (rate, cpu) = speed::measure(spec)?;
        eprintln!("{what}: {rate:.0} Mbit/s, {:.0} % of a core", cpu * 100.0);
    }
    let (echo, worst) = speed::echo(spec(20, shaped(50), 1500))?;
    eprintln!("echo over 20 ms: median {echo:?}, worst of 200 {worst:?}");
    Ok(())
}

#[cfg(target_os = "linux")]
mod speed {
    use std::error::Error;
    use std::fs;
    use std::time::{Duration, Instant};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use twinpath_lab::{LinkSpec, World};

    const PORT: u16 = 443;

    /// Payload rate of a download in Mbit/s, and the processor time of the whole process per second.
    pub(crate) fn measure(spec: LinkSpec) -> Result<(f64, f64), Box<dyn Error>> {
        let world = World::builder().link("wlan0", spec).build()?;
        let server = world.server_socket(PORT);
        let (ready, is_ready) = std::sync::mpsc::channel();
        let _serving = world.server().spawn(move || async move {
            let listener = TcpListener::bind(server).await?;
            let _ = ready.send(());
            let (mut stream, _) = listener.accept().await?;
            while stream.write_all(&[0; 65_536]).await.is_ok() {}
            Ok::<(), std::io::Error>(())
        })?;
        is_ready.recv()?;
        let measured = world.client().run(|| async move {
            let mut stream = TcpStream::connect(server).await?;
            let mut buffer = vec![0; 1 << 20];
            let mut start = None;
            let mut bytes = 0;
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_secs(4) {
                let read = stream.read(&mut buffer).await?;
                // The first second is slow start.
                if begin.elapsed() > Duration::from_secs(1) {
                    let _ = start.get_or_insert_with(|| (Instant::now(), processor_time()));
                    bytes += read;
                }
            }
            let (started, used) = start.unwrap_or((begin, 0.0));
            let time = started.elapsed().as_secs_f64();
            Ok::<_, std::io::Error>((
                bytes as f64 * 8.0 / 1e6 / time,
                (processor_time() - used) / time,
            ))
        })??;
        Ok(measured)
    }

    /// Median and worst time of an echo.
    pub(crate) fn echo(spec: LinkSpec) -> Result<(Duration, Duration), Box<dyn Error>> {
        let world = World::builder().link("wlan0", spec).build()?;
        let server = world.server_socket(PORT);
        let (ready, is_ready) = std::sync::mpsc::channel();
        let _serving = world.server().spawn(move || async move {
            let listener = TcpListener::bind(server).await?;
            let _ = ready.send(());
            let (mut stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (mut read, mut write) = stream.split();
            tokio::io::copy(&mut read, &mut write).await
        })?;
        is_ready.recv()?;
        let times = world.client().run(|| async move {
            let mut stream = TcpStream::connect(server).await?;
            stream.set_nodelay(true)?;
            let mut times = Vec::new();
            for _ in 0..200 {
                let start = Instant::now();
                stream.write_all(b"ping").await?;
                stream.read_exact(&mut [0; 4]).await?;
                times.push(start.elapsed());
            }
            times.sort();
            Ok::<_, std::io::Error>(times)
        })??;
        Ok((times[times.len() / 2], times[times.len() - 1]))
    }

    /// Seconds of user and system time, at 100 ticks each.
    fn processor_time() -> f64 {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let ticks = after_name
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|t| t.parse::<f64>().ok());
        ticks.sum::<f64>() / 100.0
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("namespaces need Linux");
}
