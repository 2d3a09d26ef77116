//! The gateway of a scene: started, asked for its numbers, drained, killed and started again.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use twinpath_gateway::{ExitReport, Forwarder, ForwarderBuilder, ShutdownHandle};
use twinpath_lab::{Host, Task, World};

use crate::patience::soon;

/// A gateway that runs on the server's host. Dropping it is what a power cut is to a process.
#[derive(Debug)]
pub struct Gateway {
    /// Ends it.
    pub shutdown: ShutdownHandle,
    page: SocketAddr,
    host: Host,
    task: Task<ExitReport>,
}

impl Gateway {
    pub(crate) fn start(
        world: &World,
        listen: SocketAddr,
        service: SocketAddr,
        set: impl FnOnce(ForwarderBuilder) -> ForwarderBuilder + Send + 'static,
    ) -> Self {
        let (ready, is_ready) = mpsc::channel();
        let host = world.server().clone();
        let serve = move || async move {
            let builder = Forwarder::builder(listen, service.to_string())
                .metrics((Ipv4Addr::LOCALHOST, 0).into());
            let forwarder = set(builder).build().unwrap();
            let page = forwarder.metrics_addr().unwrap();
            ready.send((forwarder.shutdown_handle(), page)).unwrap();
            forwarder.run().await
        };
        let task = host.spawn(serve).unwrap();
        let (shutdown, page) = is_ready.recv().expect("the gateway does not start");
        Self {
            shutdown,
            page,
            host,
            task,
        }
    }

    /// The value of one sample of the metrics page, named as on the page.
    pub async fn sample(&self, name: &str) -> f64 {
        let page = self.page;
        let asking = self.host.spawn(move || fetch(page)).unwrap();
        let body = soon("the metrics page", asking.wait()).await;
        let line = body.lines().find(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(' '))
        });
        let line = line.unwrap_or_else(|| panic!("no {name} in:\n{body}"));
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }

    /// Waits until a sample has that value.
    pub async fn until(&self, name: &str, value: f64) {
        let reached = async { while self.sample(name).await != value {} };
        soon(&format!("{name} becomes {value}"), reached).await;
    }

    /// Waits for its end, once that was asked for.
    pub async fn ended(self) -> ExitReport {
        soon("the gateway ends", self.task.wait()).await
    }
}

async fn fetch(page: SocketAddr) -> String {
    let mut stream = TcpStream::connect(page).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
