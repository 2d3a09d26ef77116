//! Sockets: made, tuned, listened on, aborted.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener as StdListener, TcpStream as StdStream},
    time::Duration,
};

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::options::KEEPALIVE;
use crate::{Binding, ConnectOptions, InterfaceError, ListenOptions, find, sys};

/// Connects to `addr` with a socket made as `opts` say.
///
/// It has no time limit but the system's (minutes): the caller races it against its own. Must be
/// called inside a tokio runtime.
///
/// # Errors
///
/// The kernel's, unchanged: above all `ECONNREFUSED`, `ETIMEDOUT`, and `ENETUNREACH` or
/// `EHOSTUNREACH` when no route leaves by the interface that the socket is bound to. Linux, asked
/// for IPv4, takes the target for a neighbour on that interface instead, and the attempt ends in
/// silence: look at [`Interface::has_default_route`](crate::Interface) first. If the interface does
/// not exist, the error holds an [`InterfaceError::NotFound`]. On Android, `ENONET` means that the
/// network is gone, `EPERM` that a VPN forbids to go around it, `EACCES` that the app may not use
/// that network. [`Unsupported`](io::ErrorKind::Unsupported) if the platform has no such binding.
///
/// # Cancel safety
///
/// Dropping the future closes the socket and ends the attempt.
pub async fn connect(addr: SocketAddr, opts: &ConnectOptions) -> io::Result<TcpStream> {
    let socket = if opts.mptcp {
        mptcp_socket(addr)?
    } else {
        Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?
    };
    socket.set_nonblocking(true)?;
    apply(&SockRef::from(&socket), opts)?;
    bind(&socket, &opts.binding, addr, Direction::Out)?;
    TcpSocket::from_std_stream(StdStream::from(socket))
        .connect(addr)
        .await
}

/// Sets the options of an accepted socket; what concerns its making (`binding`) is left out.
///
/// # Errors
///
/// The kernel's, when it knows none of an option or the socket is already closed.
pub fn tune(stream: &TcpStream, opts: &ConnectOptions) -> io::Result<()> {
    apply(&SockRef::from(stream), opts)
}

/// Listens on `addr`. Must be called inside a tokio runtime.
///
/// The address of a listener that has just ended may be taken again at once (`SO_REUSEADDR`, except
/// on Windows, where that option lets two listeners share an address).
///
/// # Errors
///
/// `EADDRINUSE`, `EACCES` for low ports, `EADDRNOTAVAIL`, unchanged; [`InterfaceError::NotFound`]
/// inside if `opts.binding` names no interface.
pub fn listen(addr: SocketAddr, opts: &ListenOptions) -> io::Result<TcpListener> {
    let plain = || Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP));
    let socket = match opts.mptcp.then(|| mptcp_socket(addr)) {
        Some(Ok(socket)) => socket,
        Some(Err(error)) => {
            log::debug!("listening without MPTCP: {error}");
            plain()?
        }
        None => plain()?,
    };
    socket.set_nonblocking(true)?;
    if addr.is_ipv6() {
        socket.set_only_v6(opts.v6_only)?;
    }
    if sys::REUSE_ADDRESS_ON_LISTEN {
        socket.set_reuse_address(true)?;
    }
    bind(&socket, &opts.binding, addr, Direction::In)?;
    socket.bind(&addr.into())?;
    socket.listen(opts.backlog)?;
    TcpListener::from_std(StdListener::from(socket))
}

/// Closes `stream` with a RST: whatever it has not sent is thrown away, and the peer's reads fail
/// at once.
///
/// For a leg that was given up: an ordinary close would leave the kernel re-sending old bytes for
/// minutes.
pub fn abort(stream: TcpStream) {
    reset_on_drop(&stream);
    drop(stream);
}

/// Has `stream` close with a RST once it is dropped, as [`abort`] does.
pub fn reset_on_drop(stream: &TcpStream) {
    if let Err(error) = SockRef::from(stream).set_linger(Some(Duration::ZERO)) {
        log::debug!("a socket is closed without RST, since SO_LINGER failed: {error}");
    }
}

/// Has the kernel ask the peer's kernel for a sign of life every second while nothing moves, and end the connection with
/// `ETIMEDOUT` when four in a row are not answered; or, with `closely` false, every 15 minutes again.
///
/// For while an answer is due: something on the way may have forgotten the connection.
///
/// # Errors
///
/// The kernel's.
pub fn probe_closely(stream: &TcpStream, closely: bool) -> io::Result<()> {
    const SECOND: Duration = Duration::from_secs(1);
    let keepalive = if closely {
        let often = TcpKeepalive::new().with_time(SECOND);
        often.with_interval(SECOND).with_retries(4)
    } else {
        TcpKeepalive::new().with_time(KEEPALIVE)
    };
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

/// Ends the sending direction (FIN) without waiting for anything.
///
/// # Errors
///
/// The kernel's; none if the peer is gone already, which shows in the other direction.
pub fn finish(stream: &TcpStream) -> io::Result<()> {
    match SockRef::from(stream).shutdown(Shutdown::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        result => result,
    }
}

fn mptcp_socket(addr: SocketAddr) -> io::Result<Socket> {
    let protocol = sys::MPTCP.ok_or(io::ErrorKind::Unsupported)?;
    Socket::new(
        Domain::for_address(addr),
        Type::STREAM,
        Some(Protocol::from(protocol)),
    )
}

fn apply(socket: &SockRef<'_>, opts: &ConnectOptions) -> io::Result<()> {
    socket.set_tcp_nodelay(opts.nodelay)?;
    match opts.keepalive {
        Some(idle) => socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle))?,
        None => socket.set_keepalive(false)?,
    }
    if let Some(bytes) = opts.notsent_lowat {
        sys::set_notsent_lowat(socket, bytes)?;
    }
    if let Some(bytes) = opts.send_buffer {
        socket.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = opts.recv_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    // MPTCP sockets of Linux refuse the option; an accepted one says so.
    if let Some(timeout) = opts.user_timeout.filter(|_| !opts.mptcp) {
        sys::set_user_timeout(socket, timeout)?;
    }
    Ok(())
}

/// What a socket is for: some platforms bind one that connects by its source address too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// It will connect.
    Out,
    /// It will listen.
    In,
}

/// Binds a socket that is not connected yet.
pub(crate) fn bind(
    socket: &Socket,
    binding: &Binding,
    addr: SocketAddr,
    direction: Direction,
) -> io::Result<()> {
    let result = match binding {
        Binding::Unbound => return Ok(()),
        Binding::Interface { name, index } => {
            sys::bind_interface(socket, name, *index, addr, direction)
        }
        Binding::AndroidNetwork(handle) => sys::bind_network(socket, *handle),
    };
    let error = match result {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    log::debug!("cannot bind a socket to {binding}: {error}");
    // "No such device" says less than the list of those there are.
    if let Binding::Interface { name, .. } = binding {
        if let Err(not_found @ InterfaceError::NotFound { .. }) = find(name) {
            return Err(not_found.into());
        }
    }
    Err(error)
}
