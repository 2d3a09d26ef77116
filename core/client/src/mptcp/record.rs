//! What a program has changed, as text in its file.

use std::fmt::Write as _;
use std::net::IpAddr;

use twinpath_socket::mptcp::{Endpoint, EndpointFlags, MptcpLimits};

/// The first line: what it is, and the version of the format.
const HEAD: &str = "twinpath-mptcp 1";
/// The last line. What follows is left from a longer text.
const END: &str = "end";

/// The changes of one program in one network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Names the time since the machine was started; nothing of another one is left.
    pub(super) boot: String,
    pub(super) namespace: u64,
    pub(super) process: u32,
    pub(super) entries: Vec<Entry>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// An endpoint that is there for this program.
    Held(Endpoint),
    /// An address that is kept out of connections.
    Out {
        address: IpAddr,
        /// The endpoint that somebody else had for it.
        before: Option<Endpoint>,
    },
    /// An endpoint of somebody else, instead of which there is one that is held.
    Replaced(Endpoint),
    /// A file in `/proc/sys/net`, by its name from there on.
    Setting {
        name: String,
        before: String,
        after: String,
    },
    /// The limits of the path manager.
    Limits {
        before: MptcpLimits,
        after: MptcpLimits,
    },
}

impl Entry {
    pub(super) const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Held(endpoint) | Self::Replaced(endpoint) => Some(endpoint.address),
            Self::Out { address, .. } => Some(*address),
            Self::Setting { .. } | Self::Limits { .. } => None,
        }
    }

    /// Whether both are of the same kind, and about the same.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Setting { name: one, .. }, Self::Setting { name: other, .. }) => one == other,
            _ => {
                std::mem::discriminant(self) == std::mem::discriminant(other)
                    && self.address() == other.address()
            }
        }
    }

    /// Takes over what was before `older`, which is like this one: it is what shall come back.
    fn keep_before(&mut self, older: &Self) {
        match (self, older) {
            (Self::Replaced(this), Self::Replaced(older)) => this.clone_from(older),
            (Self::Setting { before, .. }, Self::Setting { before: older, .. }) => {
                before.clone_from(older);
            }
            (Self::Limits { before, .. }, Self::Limits { before: older, .. }) => *before = *older,
            _ => {}
        }
    }

    fn print(&self) -> String {
        match self {
            Self::Held(endpoint) => format!("held {}", print(endpoint)),
            Self::Out {
                before: Some(endpoint),
                ..
            } => format!("out {}", print(endpoint)),
            Self::Out { address, .. } => format!("out {address}"),
            Self::Replaced(endpoint) => format!("replaced {}", print(endpoint)),
            Self::Setting {
                name,
                before,
                after,
            } => format!("setting {name} {before} {after}"),
            Self::Limits { before, after } => format!(
                "limits {} {} {} {}",
                before.subflows,
                before.accepted_addresses,
                after.subflows,
                after.accepted_addresses
            ),
        }
    }

    fn parse(line: &str) -> Option<Self> {
        let (kind, rest) = line.split_once(' ')?;
        match kind {
            "held" => parse(rest).map(Self::Held),
            "replaced" => parse(rest).map(Self::Replaced),
            "setting" => {
                let words: Vec<_> = rest.split(' ').collect();
                let [name, before, after] = words[..] else {
                    return None;
                };
                Some(Self::Setting {
                    name: name.into(),
                    before: before.into(),
                    after: after.into(),
                })
            }
            "limits" => {
                let numbers: Result<Vec<u32>, _> = rest.split(' ').map(str::parse).collect();
                let [a, b, c, d] = numbers.ok()?[..] else {
                    return None;
                };
                let limits = |subflows, accepted_addresses| MptcpLimits {
                    subflows,
                    accepted_addresses,
                };
                Some(Self::Limits {
                    before: limits(a, b),
                    after: limits(c, d),
                })
            }
            "out" if rest.contains(' ') => {
                let before = parse(rest)?;
                Some(Self::Out {
                    address: before.address,
                    before: Some(before),
                })
            }
            "out" => Some(Self::Out {
                address: rest.parse().ok()?,
                before: None,
            }),
            _ => None,
        }
    }
}

fn print(endpoint: &Endpoint) -> String {
    let Endpoint {
        id,
        address,
        interface,
        flags,
        ..
    } = endpoint;
    format!("{address} id {id} dev {interface} flags {}", flags.bits())
}

fn parse(text: &str) -> Option<Endpoint> {
    let words: Vec<_> = text.split(' ').collect();
    let [address, "id", id, "dev", interface, "flags", flags] = words[..] else {
        return None;
    };
    let flags = EndpointFlags::from_bits(flags.parse().ok()?);
    let mut endpoint = Endpoint::new(address.parse().ok()?, interface.parse().ok()?, flags);
    endpoint.id = id.parse().ok()?;
    Some(endpoint)
}

impl Record {
    pub(super) fn print(&self) -> String {
        let mut text = format!(
            "{HEAD}\nboot {}\nnamespace {}\nprocess {}\n",
            self.boot, self.namespace, self.process
        );
        for entry in &self.entries {
            let _ = writeln!(text, "{}", entry.print());
        }
        text + END + "\n"
    }

    /// `None` if that is no record, or a part of one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next()? != HEAD {
            return None;
        }
        let boot = lines.next()?.strip_prefix("boot ")?.to_owned();
        let namespace = lines.next()?.strip_prefix("namespace ")?.parse().ok()?;
        let process = lines.next()?.strip_prefix("process ")?.parse().ok()?;
        let mut entries = Vec::new();
        loop {
            match lines.next()? {
                END => break,
                line => entries.push(Entry::parse(line)?),
            }
        }
        Some(Self {
            boot,
            namespace,
            process,
            entries,
        })
    }

    /// Adds an entry, or renews the one that is like it.
    pub(super) fn put(&mut self, mut entry: Entry) {
        match self.entries.iter_mut().find(|it| it.is_like(&entry)) {
            Some(same) => {
                entry.keep_before(same);
                *same = entry;
            }
            None => self.entries.push(entry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(name: &str, before: &str, after: &str) -> Entry {
        Entry::Setting {
            name: name.into(),
            before: before.into(),
            after: after.into(),
        }
    }

    const fn limits(subflows: u32) -> MptcpLimits {
        MptcpLimits {
            subflows,
            accepted_addresses: 1,
        }
    }

    fn record() -> Record {
        let flags = EndpointFlags::SUBFLOW.with(EndpointFlags::BACKUP);
        let mut before = Endpoint::new("2001:db8::7".parse().unwrap(), 2, EndpointFlags::SUBFLOW);
        before.id = 4;
        Record {
            boot: "a-b-c".into(),
            namespace: u64::MAX,
            process: 7,
            entries: vec![
                Entry::Held(Endpoint::new("198.51.100.7".parse().unwrap(), 3, flags)),
                Entry::Out {
                    address: before.address,
                    before: Some(before),
                },
                Entry::Out {
                    address: "198.51.100.8".parse().unwrap(),
                    before: None,
                },
                Entry::Replaced(Endpoint::new(
                    "198.51.100.7".parse().unwrap(),
                    0,
                    EndpointFlags::SIGNAL,
                )),
                setting("mptcp/enabled", "0", "1"),
                Entry::Limits {
                    before: limits(0),
                    after: limits(2),
                },
            ],
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written_or_not_at_all() {
        let text = record().print();
        assert_eq!(Record::parse(&text), Some(record()));
        for cut in 0..text.len() - 1 {
            assert_eq!(Record::parse(&text[..cut]), None, "{}", &text[..cut]);
        }
        for line in text.lines() {
            assert_eq!(Record::parse(&text.replace(line, "something else")), None);
        }
    }

    #[test]
    fn what_is_left_of_a_longer_text_is_not_read() {
        let text = record().print();
        let mut shorter = record();
        shorter.entries.truncate(1);
        let short = shorter.print();
        let mixed = format!("{short}{}", &text[short.len()..]);
        assert_eq!(Record::parse(&mixed), Some(shorter));
    }

    #[test]
    fn an_address_has_one_entry_of_a_kind() {
        let mut record = record();
        let mut held = record.entries[0].clone();
        let before = record.entries.len();
        record.put(held.clone());
        assert_eq!(record.entries.len(), before);
        if let Entry::Held(endpoint) = &mut held {
            endpoint.address = "198.51.100.8".parse().unwrap();
        }
        record.put(held);
        assert_eq!(record.entries.len(), before + 1);
    }

    #[test]
    fn what_was_before_the_first_change_is_kept() {
        let mut record = record();
        let before = record.entries.len();
        record.put(setting("mptcp/enabled", "1", "2"));
        record.put(Entry::Limits {
            before: limits(2),
            after: limits(4),
        });
        assert_eq!(record.entries.len(), before);
        assert_eq!(record.entries[4], setting("mptcp/enabled", "0", "2"));
        let kept = Entry::Limits {
            before: limits(0),
            after: limits(4),
        };
        assert_eq!(record.entries[5], kept);
        record.put(setting("ipv4/conf/wwan0/rp_filter", "1", "2"));
        assert_eq!(record.entries.len(), before + 1);
    }
}
