//! Whether something on the way changes data: by a connection of a room, whose kernel asks for checksums over the data.
//!
//! If one end asks for them, both use them (RFC 8684 §3.1). An end that finds one wrong says so with MP_FAIL (§3.7), and MPTCP
//! ends: so this kernel's counters tell of data changed on the way back, and the peer of data changed on the way out.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use twinpath::diagnosis::{
    Certainty, Finding, Outcome, PathDiagnosis, PathToTest, Verdict, changed,
};
use twinpath_socket::room::Room;
use twinpath_socket::{mptcp, reset_on_drop};

const CONNECT: Duration = Duration::from_millis(1500);
const ACKNOWLEDGEMENT: Duration = Duration::from_millis(1500);
/// In which the server must begin to answer, if what comes back is to be judged.
const ANSWER: Duration = Duration::from_millis(300);
/// There is no event for it.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// More than an answer to what is asked has.
const MOST: usize = 16 * 1024;
/// Servers of HTTP ignore it before a request (RFC 9112 §2.2). A peer says MP_FAIL once a checksum was right.
const EMPTY_LINE: &[u8] = b"\r\n";

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    /// The connection had checksums.
    checksums: bool,
    /// It is still MPTCP after all of that.
    holds: bool,
    /// All that was sent was acknowledged.
    acknowledged: bool,
    /// Bytes that came back.
    received: usize,
}

/// Adds to what is told of a path on which MPTCP works.
pub(super) async fn check(path: &PathToTest, told: &mut PathDiagnosis) {
    match ask(path).await {
        Ok((seen, counted)) => judge(told, seen, &counted),
        Err(error) => told.needs.push(format!(
            "whether something on the way changes data: a network namespace of the doctor's own, with sudo ({error}), or \
             `twinpath doctor --listen` on the server"
        )),
    }
}

async fn ask(path: &PathToTest) -> io::Result<(Seen, HashMap<String, u64>)> {
    let (room, guest) = Room::open(&path.binding, path.server, true).await?;
    let talking = async {
        let stream = timeout(CONNECT, guest.connect()).await;
        talk(stream.map_err(|_| io::ErrorKind::TimedOut)??, path.server).await
    };
    let seen = room.during(talking).await??;
    Ok((seen, room.counters()))
}

async fn talk(mut stream: TcpStream, server: SocketAddr) -> io::Result<Seen> {
    let Some(info) = mptcp::mptcp_info(&stream)? else {
        return Err(io::Error::other("its connection came without the option"));
    };
    let checksums = info.checksums;
    // Nothing of it stays open at the server: what it would say after that reaches nobody.
    reset_on_drop(&stream);
    let mut acknowledged = true;
    let mut received = 0;
    for data in [EMPTY_LINE.to_vec(), request(server)] {
        // A peer that has gone away in between is seen below.
        acknowledged &= stream.write_all(&data).await.is_ok() && settle(&stream).await;
    }
    let listening = async {
        let mut buffer = [0; 2048];
        while received < MOST {
            let _ = stream.readable().await;
            match stream.try_read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => received += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
    };
    let _ = timeout(ANSWER, listening).await;
    // An error stands for a connection that was reset.
    let holds = matches!(mptcp::mptcp_info(&stream), Ok(Some(_)));
    Ok(Seen {
        checksums,
        holds,
        acknowledged,
        received,
    })
}

/// Whether all is acknowledged in time.
async fn settle(stream: &TcpStream) -> bool {
    let settling = async {
        loop {
            match mptcp::mptcp_info(stream) {
                Ok(Some(info)) if info.unacked == 0 => return true,
                Ok(Some(_)) => sleep(LOOK_EVERY).await,
                _ => return false,
            }
        }
    };
    timeout(ACKNOWLEDGEMENT, settling).await.unwrap_or(false)
}

/// What devices look into, and servers answer without doing anything: what FTP is known to be rewritten for, a SIP ping, or
/// the ping of HTTP (RFC 9110 §9.3.7).
fn request(server: SocketAddr) -> Vec<u8> {
    let text = match server.port() {
        21 => "PORT 192,168,0,1,200,10\r\n".to_owned(),
        5060 => format!(
            "OPTIONS sip:{server} SIP/2.0\r\nVia: SIP/2.0/TCP 192.168.0.1;branch=z9hG4bK1\r\nMax-Forwards: 0\r\nFrom: \
             <sip:192.168.0.1>;tag=1\r\nTo: <sip:{server}>\r\nCall-ID: 1@192.168.0.1\r\nCSeq: 1 OPTIONS\r\nContent-Length: \
             0\r\n\r\n"
        ),
        _ => format!(
            "OPTIONS * HTTP/1.1\r\nHost: {server}\r\nAccept: text/html, */*\r\nAccept-Encoding: gzip, deflate\r\nConnection: \
             close\r\n\r\n"
        ),
    };
    text.into_bytes()
}

fn judge(told: &mut PathDiagnosis, seen: Seen, counted: &HashMap<String, u64>) {
    let count = |name| counted.get(name).copied().unwrap_or(0);
    let (out, back) = (count("MPFailRx") > 0, count("DataCsumErr") > 0);
    if !seen.checksums {
        let what = "whether something on the way changes data: this kernel and the server agreed on no checksums";
        told.needs.push(what.into());
        return;
    }
    if out || back {
        let by = match (out, back) {
            (true, false) => "the server says so (MP_FAIL)",
            (false, true) => "this kernel found a checksum wrong (DataCsumErr)",
            _ => {
                "the server says so (MP_FAIL), and this kernel found a checksum wrong (DataCsumErr)"
            }
        };
        let text = format!(
            "MPTCP's data checksums are broken: data is changed {}; {by}",
            changed(out, back)
        );
        told.findings
            .push(Finding::new("payload", "changed", text, Outcome::Broken));
        (told.verdict, told.certainty) = (Verdict::DataChanged, Certainty::Proven);
        return;
    }
    if seen.holds && !seen.acknowledged {
        let what = "whether something on the way changes data: the server acknowledged not all of it in time";
        told.needs.push(what.into());
        return;
    }
    let (state, text, outcome) = match (seen.holds, seen.received) {
        (true, 0) => (
            "unchanged",
            "data with MPTCP's checksums arrives as it is sent (out); nothing came back to judge the other way by".into(),
            Outcome::Works,
        ),
        (true, received) => (
            "unchanged",
            format!("data with MPTCP's checksums arrives as it is sent, out, and {received} bytes back"),
            Outcome::Works,
        ),
        (false, _) => (
            "unclear",
            "a connection with checksums over its data did not hold, and one without did: something changes data, or the \
             option; neither end has said which"
                .into(),
            Outcome::Unknown,
        ),
    };
    told.findings
        .push(Finding::new("payload", state, text, outcome));
}

#[cfg(test)]
mod tests {
    use twinpath::InterfaceKind;

    use super::*;

    const FINE: Seen = Seen {
        checksums: true,
        holds: true,
        acknowledged: true,
        received: 100,
    };

    fn told(seen: Seen, counted: &[&str]) -> PathDiagnosis {
        let server = "192.0.2.1:80".parse().unwrap();
        let mut told = PathDiagnosis::new("wlan0", InterfaceKind::Wifi, server);
        (told.verdict, told.certainty) = (Verdict::Works, Certainty::Proven);
        let counted = counted.iter().map(|name| ((*name).to_owned(), 1));
        judge(&mut told, seen, &counted.collect());
        told
    }

    #[test]
    fn only_what_an_end_has_found_wrong_is_called_changed() {
        assert_eq!(told(FINE, &["DataCsumErr"]).verdict, Verdict::DataChanged);
        let lost = Seen {
            holds: false,
            ..FINE
        };
        assert_eq!(told(lost, &["MPFailRx"]).verdict, Verdict::DataChanged);
        let unclear = told(lost, &["MPRstRx"]);
        assert_eq!(unclear.verdict, Verdict::Works);
        assert_eq!(unclear.outcome(), Outcome::Unknown);
    }

    #[test]
    fn silence_proves_one_direction_alone() {
        let silent = Seen {
            received: 0,
            ..FINE
        };
        assert!(
            told(silent, &[]).findings[0]
                .text
                .contains("nothing came back")
        );
        assert_eq!(told(FINE, &[]).findings[0].state, "unchanged");
    }

    #[test]
    fn a_slow_server_is_not_taken_for_a_box() {
        let slow = Seen {
            acknowledged: false,
            ..FINE
        };
        let told = told(slow, &[]);
        assert!(told.findings.is_empty() && told.needs.len() == 1);
        assert_eq!(told.outcome(), Outcome::Works);
    }

    #[test]
    fn without_checksums_nothing_is_claimed() {
        let without = Seen {
            checksums: false,
            ..FINE
        };
        let told = told(without, &[]);
        assert!(told.findings.is_empty() && told.needs.len() == 1);
    }
}
