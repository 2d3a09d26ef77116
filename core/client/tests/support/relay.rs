//! A path that can fail: it forwards connections until told to cut, swallow or refuse them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Weather {
    Fine,
    /// Bytes are taken and go nowhere, and new connections are not answered.
    Blackhole,
    /// Connections are reset, and new ones at once.
    Cut,
}

#[derive(Debug)]
pub struct Relay {
    pub address: SocketAddr,
    weather: Arc<watch::Sender<Weather>>,
}

impl Relay {
    /// Forwards to `target`, each way taking `delay`.
    pub async fn start(target: SocketAddr, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let weather = Arc::new(watch::Sender::new(Weather::Fine));
        let sky = Arc::clone(&weather);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let mut state = sky.subscribe();
                tokio::spawn(async move {
                    if state
                        .wait_for(|state| *state != Weather::Blackhole)
                        .await
                        .is_err()
                    {
                        return;
                    }
                    if *state.borrow() == Weather::Cut {
                        reset(near);
                        return;
                    }
                    let far = TcpStream::connect(target).await.unwrap();
                    far.set_nodelay(true).unwrap();
                    near.set_nodelay(true).unwrap();
                    let (near_read, near_write) = near.into_split();
                    let (far_read, far_write) = far.into_split();
                    tokio::spawn(forward(near_read, far_write, state.clone(), delay));
                    tokio::spawn(forward(far_read, near_write, state, delay));
                });
            }
        });
        Self { address, weather }
    }

    pub fn is(&self, weather: Weather) -> bool {
        *self.weather.borrow() == weather
    }

    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

fn reset(stream: TcpStream) {
    twinpath_socket::abort(stream);
}

async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<Weather>,
    delay: Duration,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let size = tokio::select! {
            changed = state.wait_for(|state| *state == Weather::Cut) => {
                drop(changed);
                // Dropping one half would only shut it down; linger 0 makes the drop of the last one a reset.
                let _ = socket2::SockRef::from(to.as_ref()).set_linger(Some(Duration::ZERO));
                return;
            }
            size = from.read(&mut buffer) => size.unwrap_or(0),
        };
        if size == 0 {
            let _ = to.shutdown().await;
            return;
        }
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if state
            .wait_for(|state| *state != Weather::Blackhole)
            .await
            .is_err()
        {
            return;
        }
        if to.write_all(&buffer[..size]).await.is_err() {
            return;
        }
    }
}
