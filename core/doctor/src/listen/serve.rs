//! The answering end.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use twinpath_socket::{ListenOptions, mptcp, save_syns, saved_syn};

use super::back::{MOST_BACK, Question, Turn};
use super::{GREETING, LONGEST_LINE, MOST_PAYLOAD, pattern};
use crate::packet::{ip_header, segment};
use crate::report;

/// Connections at a time; more have to wait.
const MOST: usize = 64;
/// A connection that asks nothing for so long is ended.
const PATIENCE: Duration = Duration::from_secs(30);
/// No connection lasts longer, whatever it asks: others wait for its place.
const LIFE: Duration = Duration::from_secs(180);
/// Nobody asks more on one connection; each question is a line for whoever looks on.
const MOST_QUESTIONS: usize = 32;

/// Both ports, open.
#[derive(Debug)]
pub struct Listening {
    mptcp: TcpListener,
    plain: TcpListener,
    keeps_syns: bool,
}

/// Opens both ports: `at` for MPTCP, and the one above it, or any free ones if `at` has port 0. Must be called inside a
/// tokio runtime.
///
/// # Errors
///
/// The kernel's, as when a port is taken.
pub fn listen(at: SocketAddr) -> io::Result<Listening> {
    let mut options = ListenOptions::default();
    options.mptcp = true;
    let mptcp = twinpath_socket::listen(at, &options)?;
    options.mptcp = false;
    let next = match at.port() {
        // The system chooses.
        0 => Some(0),
        port => port.checked_add(1),
    };
    let next =
        next.ok_or_else(|| io::Error::other("there is no port above 65535 for plain TCP"))?;
    let plain = twinpath_socket::listen(SocketAddr::new(at.ip(), next), &options)?;
    let saved = save_syns(&plain);
    if let Err(error) = &saved {
        log::warn!("SYNs cannot be told as they arrive: {error}");
    }
    Ok(Listening {
        mptcp,
        plain,
        keeps_syns: saved.is_ok(),
    })
}

impl Listening {
    /// The port that speaks MPTCP, and the plain one.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn ports(&self) -> io::Result<(u16, u16)> {
        Ok((
            self.mptcp.local_addr()?.port(),
            self.plain.local_addr()?.port(),
        ))
    }

    /// Answers until the future is dropped. `tell` is told who has asked what.
    ///
    /// # Errors
    ///
    /// The kernel's, when it accepts no more.
    ///
    /// # Cancel safety
    ///
    /// Connections that are open go on until they end.
    pub async fn serve(self, tell: impl Fn(&str) + Send + Sync + 'static) -> io::Result<()> {
        let free = Arc::new(Semaphore::new(MOST));
        let (tell, turn) = (Arc::new(tell), Arc::<Turn>::default());
        let (_, port) = self.ports()?;
        loop {
            let Ok(permit) = Arc::clone(&free).acquire_owned().await else {
                return Ok(());
            };
            let (accepted, is_plain) = tokio::select! {
                accepted = self.mptcp.accept() => (accepted, false),
                accepted = self.plain.accept() => (accepted, true),
            };
            let (stream, from) = match accepted {
                Ok(accepted) => accepted,
                // The client has gone away again.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            let syn = match is_plain && self.keeps_syns {
                true => saved_syn(&stream).unwrap_or_default(),
                false => Vec::new(),
            };
            let (tell, turn) = (Arc::clone(&tell), Arc::clone(&turn));
            tokio::spawn(async move {
                let answering = Answering {
                    turn,
                    syn,
                    port,
                    is_plain,
                };
                let answering = timeout(LIFE, answering.answer(stream, from, &*tell));
                match answering.await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => log::debug!("a client has gone: {error}"),
                    Err(_) => log::debug!("a client has stayed for too long"),
                }
                drop(permit);
            });
        }
    }
}

struct Answering {
    turn: Arc<Turn>,
    syn: Vec<u8>,
    port: u16,
    is_plain: bool,
}

impl Answering {
    async fn answer(
        &self,
        stream: TcpStream,
        from: SocketAddr,
        tell: &(impl Fn(&str) + Sync),
    ) -> io::Result<()> {
        let kind = if self.is_plain { "plain" } else { "mptcp" };
        let mut stream = BufReader::new(stream);
        let greeting = format!("{GREETING} {kind} {}\n", self.port);
        stream.get_mut().write_all(greeting.as_bytes()).await?;
        let mut backs = MOST_BACK;
        for _ in 0..MOST_QUESTIONS {
            let mut line = Vec::new();
            let mut limited = (&mut stream).take(LONGEST_LINE);
            if timeout(PATIENCE, limited.read_until(b'\n', &mut line)).await?? == 0 {
                return Ok(());
            }
            let line = String::from_utf8_lossy(&line).trim().to_owned();
            let answer = match line.split_once(' ').unwrap_or((line.as_str(), "")) {
                ("", "") => continue,
                ("syn", "") if self.is_plain => {
                    tell(&arrived(from, &self.syn));
                    format!("syn {}", hex(&self.syn))
                }
                ("mptcp", "") => {
                    let is = matches!(mptcp::mptcp_info(stream.get_ref()), Ok(Some(_)));
                    let word = if is { "yes" } else { "no" };
                    tell(&format!("{from}: this connection is MPTCP: {word}"));
                    format!("mptcp {word}")
                }
                ("payload", size) => {
                    let size = size.parse().unwrap_or(usize::MAX);
                    if size > MOST_PAYLOAD {
                        return Ok(());
                    }
                    let wrong = timeout(PATIENCE, compare(&mut stream, size)).await??;
                    let told = wrong.map_or_else(|| "ok".to_owned(), |at| format!("wrong {at}"));
                    tell(&format!("{from}: {size} bytes arrived: {told}"));
                    let mut answer = format!("payload {told}\n").into_bytes();
                    answer.extend((0..size).map(pattern));
                    timeout(PATIENCE, stream.get_mut().write_all(&answer)).await??;
                    continue;
                }
                ("back", what) => {
                    let Some(question) = Question::parse(what).filter(|_| backs > 0) else {
                        return Ok(());
                    };
                    backs -= 1;
                    tell(&format!("{from}: asks for the way back"));
                    match self.turn.trace(stream.get_ref(), &self.syn, question).await {
                        Ok(json) => format!("back {json}"),
                        Err(error) => {
                            let error = serde_json::json!({ "error": error.to_string() });
                            format!("back {error}")
                        }
                    }
                }
                _ => return Ok(()),
            };
            let answer = format!("{answer}\n");
            timeout(PATIENCE, stream.get_mut().write_all(answer.as_bytes())).await??;
        }
        Ok(())
    }
}

/// Where what arrives first differs from the pattern.
async fn compare(stream: &mut BufReader<TcpStream>, size: usize) -> io::Result<Option<usize>> {
    let mut buffer = vec![0; size];
    stream.read_exact(&mut buffer).await?;
    Ok((0..size).find(|at| buffer[*at] != pattern(*at)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn arrived(from: SocketAddr, syn: &[u8]) -> String {
    match ip_header(syn).and_then(|(_, tcp)| segment(tcp)) {
        Some(syn) => {
            let options = report::options_in_words(syn.options);
            format!("{from}: its SYN arrived with {options}")
        }
        None => format!("{from}: its SYN was not kept"),
    }
}
