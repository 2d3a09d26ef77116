//! Names, looked up over one path.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use crate::{Binding, sys};

/// The addresses of `host`, as the resolvers of one path know them, IPv6 first and the families
/// alternating (RFC 8305 §4); never an empty list.
///
/// An IP literal, with or without brackets, is returned as it is, without any lookup.
///
/// | | unbound | bound |
/// |---|---|---|
/// | Android | system resolver | the network's own resolvers and DNS64 (`android_getaddrinfofornetwork`) |
/// | iOS, macOS | system resolver | the interface's own resolvers and DNS64 (`DNSServiceGetAddrInfo`) |
/// | Linux | system resolver | system resolver; when that is late or fails, its name servers (`resolv.conf`) asked over the interface |
/// | Windows, others | system resolver | system resolver: there is no way to ask it for one interface |
///
/// On Linux, Windows and others, a name that only one network knows (split DNS) may not be found.
///
/// It has no time limit but the system's (5 to 30 s): the caller races it against its own. Must be
/// called inside a tokio runtime.
///
/// # Errors
///
/// [`NotFound`](io::ErrorKind::NotFound) if the name has no address or could not be looked up, which
/// the message tells apart.
///
/// # Cancel safety
///
/// Dropping the future ends the wait; the lookup goes on in a thread until the system gives it up,
/// and its result is dropped.
pub async fn resolve(host: &str, port: u16, binding: &Binding) -> io::Result<Vec<SocketAddr>> {
    if let Some(address) = literal(host) {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let found = sys::resolve(host, port, binding).await?;
    if found.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("the name {host} has no address on {binding}"),
        ));
    }
    Ok(interleave(found))
}

fn literal(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    bare.parse().ok()
}

/// Alternates the families, IPv6 first, keeps the resolver's order inside each, and drops doubles.
fn interleave(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let (v6, v4): (Vec<_>, Vec<_>) = found.into_iter().partition(SocketAddr::is_ipv6);
    let mut ordered: Vec<SocketAddr> = Vec::with_capacity(v4.len() + v6.len());
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    loop {
        let (six, four) = (v6.next(), v4.next());
        if six.is_none() && four.is_none() {
            return ordered;
        }
        for address in six.into_iter().chain(four) {
            if !ordered.contains(&address) {
                ordered.push(address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_alternate_and_doubles_go() {
        let found = [
            "192.0.2.1:1",
            "192.0.2.1:1",
            "192.0.2.2:1",
            "192.0.2.3:1",
            "[2001:db8::1]:1",
            "[2001:db8::2]:1",
        ]
        .map(|it| it.parse().unwrap());
        let ordered = interleave(found.to_vec());
        let expected: [SocketAddr; 5] = [
            "[2001:db8::1]:1",
            "192.0.2.1:1",
            "[2001:db8::2]:1",
            "192.0.2.2:1",
            "192.0.2.3:1",
        ]
        .map(|it| it.parse().unwrap());
        assert_eq!(ordered, expected);
    }

    #[test]
    fn literals_are_seen_with_and_without_brackets() {
        assert_eq!(literal("192.0.2.1"), Some("192.0.2.1".parse().unwrap()));
        assert_eq!(
            literal("[2001:db8::1]"),
            Some("2001:db8::1".parse().unwrap())
        );
        assert_eq!(literal("2001:db8::1"), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(literal("localhost"), None);
        assert_eq!(literal("[localhost]"), None);
    }
}
