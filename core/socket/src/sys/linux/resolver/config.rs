//! `resolv.conf`: which servers to ask, and for which names.

use std::{fs::File, io::Read, net::IpAddr};

const CONFIG: &str = "/etc/resolv.conf";
/// The servers behind systemd's local one, which itself asks over the default route.
const BEHIND_SYSTEMD: &str = "/run/systemd/resolve/resolv.conf";
/// As many as the C library takes of each.
const SERVERS_MAX: usize = 3;
const SEARCH_MAX: usize = 6;
/// Nobody writes more; a file that does is not what it should be.
const SIZE_MAX: u64 = 64 * 1024;
const NDOTS_MAX: usize = 15;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Config {
    pub(super) servers: Vec<IpAddr>,
    search: Vec<String>,
    ndots: usize,
}

impl Config {
    /// As it is at this moment: networks come and go. Without a readable file there is no server.
    pub(super) fn read() -> Self {
        let mut config = Self::parse(&contents(CONFIG));
        if config.servers.iter().all(IpAddr::is_loopback) {
            config.servers = Self::parse(&contents(BEHIND_SYSTEMD)).servers;
        }
        // One on this device is not reached over another interface.
        config.servers.retain(|server| !server.is_loopback());
        config
    }

    fn parse(text: &str) -> Self {
        let mut config = Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
        };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    // With a zone it is beside one interface, perhaps not the one that is asked.
                    let server = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    config.servers.extend(server);
                }
                // The last line counts.
                Some("search" | "domain") => {
                    config.search = words
                        .map(|word| word.trim_matches('.').to_owned())
                        .filter(|word| !word.is_empty())
                        .take(SEARCH_MAX)
                        .collect();
                }
                Some("options") => {
                    let ndots = words
                        .filter_map(|word| word.strip_prefix("ndots:")?.parse::<usize>().ok())
                        .next_back();
                    config.ndots = ndots.map_or(config.ndots, |ndots| ndots.min(NDOTS_MAX));
                }
                _ => {}
            }
        }
        config.servers.truncate(SERVERS_MAX);
        config
    }

    /// The full names to ask for, in order. None for names that are not for name servers.
    pub(super) fn candidates(&self, host: &str) -> Vec<String> {
        let bare = host.trim_end_matches('.');
        let last = bare.rsplit('.').next().unwrap_or_default();
        if bare.is_empty()
            || ["localhost", "local"]
                .iter()
                .any(|it| last.eq_ignore_ascii_case(it))
        {
            return Vec::new();
        }
        if bare.len() < host.len() {
            return vec![bare.to_owned()];
        }
        let dots = bare.matches('.').count();
        let mut names: Vec<_> = self
            .search
            .iter()
            .map(|zone| format!("{bare}.{zone}"))
            .collect();
        match dots >= self.ndots {
            true => names.insert(0, bare.to_owned()),
            false => names.push(bare.to_owned()),
        }
        names
    }
}

fn contents(path: &str) -> String {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(SIZE_MAX).read_to_string(&mut text));
    if let Err(error) = read {
        log::debug!("cannot read {path}: {error}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_search_lists_are_read_as_the_c_library_reads_them() {
        let config = Config::parse(
            "# made by hand\n\
             nameserver 192.0.2.53\n\
             nameserver 2001:db8::53 # the second\n\
             nameserver fe80::1%wlan0\n\
             nameserver nonsense\n\
             domain gone.example\n\
             search a.example b.example.\n\
             options rotate ndots:2 timeout:1\n",
        );
        let expected = Config {
            servers: vec![
                "192.0.2.53".parse().unwrap(),
                "2001:db8::53".parse().unwrap(),
            ],
            search: vec!["a.example".into(), "b.example".into()],
            ndots: 2,
        };
        assert_eq!(config, expected);
        assert_eq!(Config::parse("").ndots, 1);
    }

    #[test]
    fn names_with_enough_dots_are_asked_for_as_they_are_first() {
        let config = Config::parse("search a.example b.example\noptions ndots:2");
        assert_eq!(
            config.candidates("x.y.z"),
            ["x.y.z", "x.y.z.a.example", "x.y.z.b.example"]
        );
        assert_eq!(
            config.candidates("x.y"),
            ["x.y.a.example", "x.y.b.example", "x.y"]
        );
        assert_eq!(config.candidates("x"), ["x.a.example", "x.b.example", "x"]);
        assert_eq!(config.candidates("x.y."), ["x.y"]);
        for own in ["localhost", "x.localhost", "printer.local", "."] {
            assert_eq!(config.candidates(own), [""; 0], "{own}");
        }
    }
}
