//! Asks a server whether it answers on a path: a TCP handshake, which its kernel answers whatever the server does.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use twinpath_socket::{Binding, ConnectOptions};

use super::Answer;

/// The kernel repeats a handshake after a second; an answer to that would say little.
const LIMIT: Duration = Duration::from_millis(900);

/// One handshake, ended with a RST as soon as it is answered. A refusal is an answer, too.
pub(crate) async fn ask(binding: Binding, server: SocketAddr) -> Answer {
    let began = Instant::now();
    let options = ConnectOptions::bound_to(binding);
    match timeout(LIMIT, twinpath_socket::connect(server, &options)).await {
        Ok(Ok(stream)) => {
            twinpath_socket::abort(stream);
            Answer::Heard(began.elapsed())
        }
        Ok(Err(error)) => Answer::of_error(&error, began.elapsed()),
        Err(_) => Answer::Nothing,
    }
}

impl Answer {
    /// What it means that a handshake failed.
    pub(crate) fn of_error(error: &io::Error, after: Duration) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Self::Heard(after),
            // Without a route by that interface, without its address, or without the interface itself.
            io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::NotFound => Self::Gone,
            _ => Self::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_server_answers_and_so_does_a_host_without_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        let answer = ask(Binding::Unbound, server).await;
        assert!(matches!(answer, Answer::Heard(_)), "{answer:?}");
        drop(listener);
        let answer = ask(Binding::Unbound, server).await;
        assert!(matches!(answer, Answer::Heard(_)), "{answer:?}");
    }

    #[tokio::test]
    async fn an_interface_that_is_not_there_is_a_path_that_is_gone() {
        let binding = Binding::Interface {
            name: "nosuchif0".into(),
            index: 0,
        };
        let server = "192.0.2.1:443".parse().unwrap();
        assert_eq!(ask(binding, server).await, Answer::Gone);
    }
}
