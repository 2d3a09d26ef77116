//! A web server of our own that misbehaves as it is told to, and keeps a book.
//!
//! What it does with a request, the query of the request says: see [`site`].

mod book;
mod identity;
mod proxy;
mod real;
mod site;

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use twinpath_lab::{Task, World};

pub use book::{Entry, WebBook};
pub use identity::Identity;
pub use proxy::WebProxy;
pub use real::{Make, RealServer};
pub use site::content;

use site::Site;

const PLAIN: u16 = 8080;
const TLS: u16 = 8443;

/// The server, on the server's host.
#[derive(Debug)]
pub struct WebServer {
    /// What it has seen.
    pub book: Arc<WebBook>,
    /// Whom its certificate is from, in PEM.
    pub root: String,
    plain: SocketAddr,
    tls: SocketAddr,
    _tasks: Vec<Task<()>>,
}

impl WebServer {
    /// Starts it: HTTP/1.1 on port 8080, HTTP/1.1 and HTTP/2 over TLS on port 8443.
    ///
    /// # Panics
    ///
    /// When it cannot be.
    #[must_use]
    pub fn start(world: &World) -> Self {
        let (plain, tls) = (world.server_socket(PLAIN), world.server_socket(TLS));
        let identity = Identity::of(&[plain.ip(), world.second_server_addr()]);
        let site = Arc::new(Site::default());
        let acceptor = TlsAcceptor::from(identity.server());
        let tasks = [(PLAIN, None), (TLS, Some(acceptor))]
            .into_iter()
            .map(|(port, acceptor)| {
                let site = Arc::clone(&site);
                let (ready, is_ready) = std::sync::mpsc::channel();
                let task = world.server().spawn(move || async move {
                    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
                        .await
                        .unwrap();
                    ready.send(()).unwrap();
                    serve(listener, acceptor, site).await;
                });
                is_ready.recv_timeout(crate::patience::STEP).unwrap();
                task.unwrap()
            })
            .collect();
        Self {
            book: site.book(),
            root: identity.root().to_owned(),
            plain,
            tls,
            _tasks: tasks,
        }
    }

    /// Where it speaks TLS, for the server's host alone.
    #[must_use]
    pub fn tls(&self) -> SocketAddr {
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), self.tls.port())
    }

    /// The URL of something on it.
    #[must_use]
    pub fn url(&self, https: bool, rest: &str) -> String {
        match https {
            true => format!("https://{}/{rest}", self.tls),
            false => format!("http://{}/{rest}", self.plain),
        }
    }
}

async fn serve(listener: TcpListener, acceptor: Option<TlsAcceptor>, site: Arc<Site>) {
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            continue;
        };
        stream.set_nodelay(true).unwrap();
        site.book().connected();
        let (site, acceptor) = (Arc::clone(&site), acceptor.clone());
        tokio::spawn(async move {
            let result = answer(stream, from, acceptor, site).await;
            if let Err(error) = result {
                log::debug!("a connection to the web server ended: {error}");
            }
        });
    }
}

async fn answer(
    stream: TcpStream,
    from: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    site: Arc<Site>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let service = service_fn(move |request| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(site.answer(request, from.ip()).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().half_close(true);
    match acceptor {
        Some(acceptor) => {
            let stream = acceptor.accept(stream).await?;
            builder
                .serve_connection(TokioIo::new(stream), service)
                .await
        }
        None => {
            builder
                .serve_connection(TokioIo::new(stream), service)
                .await
        }
    }
}
