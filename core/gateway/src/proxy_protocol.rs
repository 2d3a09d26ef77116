//! The PROXY protocol, version 2: how the service behind the gateway learns who the client is.
//!
//! The header goes out once, in one write, before any byte of the client. It names the address the client's *first*
//! leg came from and the address that leg connected to; a session that fails over keeps the header it began with,
//! because the service sees one connection whatever the legs do.

use std::net::{IpAddr, SocketAddr};

/// The twelve bytes that open every version 2 header.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, command PROXY: the connection is made on behalf of another node.
const VERSION_AND_COMMAND: u8 = 0x21;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// Which PROXY protocol header the service behind the gateway expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxyProtocol {
    /// The binary header of version 2.
    V2,
}

impl ProxyProtocol {
    /// The header for a connection from `source` to `destination`.
    ///
    /// IPv4 addresses mapped into IPv6 are written as IPv4. When only one of the two is IPv4, which a dual-stack
    /// socket cannot produce but a caller may, both are written as IPv6.
    ///
    /// ```
    /// use twinpath_gateway::ProxyProtocol;
    ///
    /// let header = ProxyProtocol::V2.header("192.0.2.7:50000".parse()?, "198.51.100.1:443".parse()?);
    /// assert_eq!(header.len(), 28);
    /// assert!(header.starts_with(b"\r\n\r\n\0\r\nQUIT\n"));
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    #[must_use]
    pub fn header(self, source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
        match self {
            Self::V2 => version_2(source, destination),
        }
    }
}

fn version_2(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let mut header = Vec::with_capacity(52);
    header.extend_from_slice(&SIGNATURE);
    header.push(VERSION_AND_COMMAND);
    match (source.ip().to_canonical(), destination.ip().to_canonical()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            header.push(TCP_OVER_IPV4);
            header.extend_from_slice(&12u16.to_be_bytes());
            header.extend_from_slice(&from.octets());
            header.extend_from_slice(&to.octets());
        }
        (from, to) => {
            header.push(TCP_OVER_IPV6);
            header.extend_from_slice(&36u16.to_be_bytes());
            header.extend_from_slice(&v6_octets(from));
            header.extend_from_slice(&v6_octets(to));
        }
    }
    header.extend_from_slice(&source.port().to_be_bytes());
    header.extend_from_slice(&destination.port().to_be_bytes());
    header
}

fn v6_octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(source: &str, destination: &str) -> Vec<u8> {
        ProxyProtocol::V2.header(source.parse().unwrap(), destination.parse().unwrap())
    }

    #[test]
    fn tcp4_header_is_the_one_of_the_specification() {
        let expected: &[u8] = &[
            0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54,
            0x0a, // signature
            0x21, 0x11, 0x00, 0x0c, // version 2 PROXY, TCP over IPv4, 12 bytes
            192, 0, 2, 7, 198, 51, 100, 1, // addresses
            0xc3, 0x50, 0x01, 0xbb, // ports 50000, 443
        ];
        assert_eq!(header("192.0.2.7:50000", "198.51.100.1:443"), expected);
    }

    #[test]
    fn tcp6_header_is_the_one_of_the_specification() {
        let mut expected = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24".to_vec();
        expected.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        expected.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        expected.extend([0x04, 0x00, 0x00, 0x50]);
        assert_eq!(header("[2001:db8::1]:1024", "[2001:db8::2]:80"), expected);
    }

    #[test]
    fn mapped_addresses_become_tcp4() {
        assert_eq!(
            header("[::ffff:192.0.2.7]:50000", "[::ffff:198.51.100.1]:443"),
            header("192.0.2.7:50000", "198.51.100.1:443")
        );
    }

    #[test]
    fn a_mixed_pair_becomes_tcp6() {
        let mixed = header("192.0.2.7:1", "[2001:db8::2]:2");
        assert_eq!(mixed.len(), 52);
        assert_eq!(
            &mixed[16..32],
            &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7]
        );
    }
}
