//! Questions to a name server, and what is believed of its answers.

use std::{io, net::IpAddr};

use simple_dns::{
    CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE, rdata::RData,
};

/// An alias that leads to more is a loop.
const ALIASES_MAX: usize = 16;

/// A or AAAA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

/// One question, with the number that its answer has to bear.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub(super) id: u16,
    pub(super) family: Family,
    name: String,
}

/// What a server said of a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// At least one address.
    Found(Vec<IpAddr>),
    /// There is no such name, or it has no address.
    Nothing,
}

/// What a datagram or a message is to a query.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Answer(Reply),
    /// It did not fit: to be asked by TCP.
    Truncated,
    /// The server will not or cannot say.
    Refused,
    /// Not the answer to this query, whoever sent it.
    Foreign,
}

impl Query {
    pub(super) fn new(name: &str, family: Family, id: u16) -> Self {
        Self {
            id,
            family,
            name: name.to_owned(),
        }
    }

    pub(super) fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let name = Name::new(&self.name).map_err(invalid)?;
        let kind = QTYPE::TYPE(self.kind());
        let mut packet = Packet::new_query(self.id);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        packet
            .questions
            .push(Question::new(name, kind, QCLASS::CLASS(CLASS::IN), false));
        packet.build_bytes_vec().map_err(invalid)
    }

    pub(super) fn hear(&self, bytes: &[u8]) -> Heard {
        let Ok(packet) = Packet::parse(bytes) else {
            return Heard::Foreign;
        };
        if packet.id() != self.id || !packet.has_flags(PacketFlag::RESPONSE) {
            return Heard::Foreign;
        }
        // Some servers leave the question out of a refusal.
        let refuses = !matches!(packet.rcode(), RCODE::NoError | RCODE::NameError);
        match &packet.questions[..] {
            [] if refuses => return Heard::Refused,
            [question] if self.is_asked_by(question) => {}
            _ => return Heard::Foreign,
        }
        if refuses {
            return Heard::Refused;
        }
        if packet.has_flags(PacketFlag::TRUNCATION) {
            return Heard::Truncated;
        }
        let found = self.addresses(&packet);
        Heard::Answer(if found.is_empty() {
            Reply::Nothing
        } else {
            Reply::Found(found)
        })
    }

    fn is_asked_by(&self, question: &Question<'_>) -> bool {
        question.qtype == QTYPE::TYPE(self.kind())
            && question.qclass == QCLASS::CLASS(CLASS::IN)
            && same(&question.qname, &self.name)
    }

    /// The addresses of the name, or of what it is an alias of. Anything else in an answer was not asked for.
    fn addresses(&self, packet: &Packet<'_>) -> Vec<IpAddr> {
        let mut name = self.name.clone();
        for _ in 0..ALIASES_MAX {
            let of_name = packet
                .answers
                .iter()
                .filter(|record| record.class == CLASS::IN && same(&record.name, &name));
            let found: Vec<IpAddr> = of_name
                .clone()
                .filter_map(|record| match (&record.rdata, self.family) {
                    (RData::A(a), Family::V4) => Some(IpAddr::V4(a.address.into())),
                    (RData::AAAA(aaaa), Family::V6) => Some(IpAddr::V6(aaaa.address.into())),
                    _ => None,
                })
                .collect();
            if !found.is_empty() {
                return found;
            }
            let alias = of_name.clone().find_map(|record| match &record.rdata {
                RData::CNAME(alias) => Some(alias.0.to_string()),
                _ => None,
            });
            match alias {
                Some(alias) => name = alias,
                None => break,
            }
        }
        Vec::new()
    }

    const fn kind(&self) -> TYPE {
        match self.family {
            Family::V4 => TYPE::A,
            Family::V6 => TYPE::AAAA,
        }
    }
}

fn same(name: &Name<'_>, text: &str) -> bool {
    name.to_string().eq_ignore_ascii_case(text)
}

fn invalid(error: simple_dns::SimpleDnsError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error.to_string())
}

#[cfg(test)]
mod tests {
    use simple_dns::{
        ResourceRecord,
        rdata::{A, CNAME},
    };

    use super::*;

    fn query() -> Query {
        Query::new("www.example.com", Family::V4, 7)
    }

    fn reply<'a>(name: &'a str, records: Vec<ResourceRecord<'a>>) -> Packet<'a> {
        let mut packet = Packet::new_reply(7);
        let kind = QTYPE::TYPE(TYPE::A);
        packet.questions.push(Question::new(
            Name::new_unchecked(name),
            kind,
            QCLASS::CLASS(CLASS::IN),
            false,
        ));
        packet.answers = records;
        packet
    }

    fn record<'a>(name: &'a str, data: RData<'a>) -> ResourceRecord<'a> {
        ResourceRecord::new(Name::new_unchecked(name), CLASS::IN, 60, data)
    }

    fn a(last: u8) -> RData<'static> {
        RData::A(A {
            address: u32::from_be_bytes([192, 0, 2, last]),
        })
    }

    fn hear(packet: &Packet<'_>) -> Heard {
        query().hear(&packet.build_bytes_vec().unwrap())
    }

    #[test]
    fn aliases_are_followed_and_nothing_else_is_believed() {
        let alias = RData::CNAME(CNAME(Name::new_unchecked("host.example.net")));
        let packet = reply(
            "WWW.example.com",
            vec![
                record("www.example.com", alias),
                record("Host.example.net", a(1)),
                record("bank.example", a(2)),
                record("host.example.net", a(3)),
            ],
        );
        let found = [1, 3].map(|last| [192, 0, 2, last].into());
        assert_eq!(hear(&packet), Heard::Answer(Reply::Found(found.to_vec())));
        let looped = RData::CNAME(CNAME(Name::new_unchecked("www.example.com")));
        let packet = reply("www.example.com", vec![record("www.example.com", looped)]);
        assert_eq!(hear(&packet), Heard::Answer(Reply::Nothing));
    }

    #[test]
    fn an_answer_to_another_question_is_foreign() {
        let good = || reply("www.example.com", vec![record("www.example.com", a(1))]);
        assert!(matches!(hear(&good()), Heard::Answer(Reply::Found(_))));
        let mut other_id = good();
        other_id.set_id(8);
        let mut no_reply = good();
        no_reply.remove_flags(PacketFlag::RESPONSE);
        let other_name = reply("example.com", vec![record("www.example.com", a(1))]);
        for foreign in [other_id, no_reply, other_name] {
            assert_eq!(hear(&foreign), Heard::Foreign, "{foreign:?}");
        }
        assert_eq!(query().hear(b"\0\x07"), Heard::Foreign);
        // Every prefix of an answer, as a middlebox may leave of it.
        let bytes = good().build_bytes_vec().unwrap();
        for length in 0..bytes.len() {
            assert_eq!(query().hear(&bytes[..length]), Heard::Foreign, "{length}");
        }
    }

    #[test]
    fn what_is_cut_off_or_refused_is_no_answer() {
        let mut cut = reply("www.example.com", Vec::new());
        cut.set_flags(PacketFlag::TRUNCATION);
        assert_eq!(hear(&cut), Heard::Truncated);
        let mut refused = Packet::new_reply(7);
        *refused.rcode_mut() = RCODE::Refused;
        assert_eq!(hear(&refused), Heard::Refused);
        let mut unknown = reply("www.example.com", Vec::new());
        *unknown.rcode_mut() = RCODE::NameError;
        assert_eq!(hear(&unknown), Heard::Answer(Reply::Nothing));
    }
}
