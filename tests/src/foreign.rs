//! A world for tests in other languages: they run in the client's place, and ask for faults over a socket.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use twinpath_lab::{Direction, End, LinkHandle, World};
use twinpath_proto::StaticKey;

use crate::Hash;
use crate::gateway::Gateway;
use crate::reference::Reference;
use crate::scene::{CELLULAR, PORT, WIFI};
use crate::service::{self, Service};
use crate::stream::Pattern;
use crate::web::WebServer;

/// Where the folder for the socket is made, unless it is the usual one for such things.
const FOLDER: &str = "TWINPATH_LAB_FOLDER";

/// Runs the command on the client's host of a world with Wi-Fi and cellular links, a gateway before an echo service, and a
/// web server. Its environment says where they are:
///
/// * `TWINPATH_LAB_GATEWAY`: the gateway, as `host:port`; `TWINPATH_LAB_KEY`: its public key, in hexadecimal digits
/// * `TWINPATH_LAB_HTTP`, `TWINPATH_LAB_HTTPS`: the web server, as the start of a URL;
///   `TWINPATH_LAB_BEHIND`: the same behind a gateway of its own; `TWINPATH_LAB_ROOT`: a file with the
///   root to trust
/// * `TWINPATH_LAB`: a Unix socket that takes one order per line, and answers with a line each:
///   `wifi|cellular blackhole|heal|down|up|reset`, `wifi|cellular payload` (bytes of TCP payload put on the link so far),
///   `wifi|cellular delivered` (bytes of TCP payload that arrived over it), `hash SEED SIZE` (of a file of the web server),
///   `applied QUERY` (how often the web server did that), `rust stall`, `rust download SIZE` and `rust fetch SIZE` (how long the
///   Rust client's longest echo took when Wi-Fi fell silent, its download over the loopback, and one by HTTP, in microseconds)
/// * `TWINPATH_LAB_LOOPBACK`: a gateway on the client's own loopback, whose service takes a number of 8 bytes, sends as
///   many bytes, and takes whatever comes (with the largest number, it sends that back)
/// * `TWINPATH_LAB_WEB`: a web server there, as the start of a URL that ends with a number of bytes
///
/// The exit code is the command's; where there can be no world, it is skipped aloud or fails as tests do.
pub fn in_lab(command: &OsStr, arguments: &[OsString]) -> ExitCode {
    let Some(world) = twinpath_lab::or_skip(World::new()) else {
        return ExitCode::SUCCESS;
    };
    let (service, _book) = service::start(&world, Service::Echo);
    let address = world.server_socket(PORT);
    let key = StaticKey::from_bytes([9; 32]);
    let public: String = key
        .public()
        .0
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let _gateway = Gateway::start(&world, address, service, |builder| builder.key(key));
    let web = WebServer::start(&world);
    let before_web = SocketAddr::new(world.second_server_addr(), PORT);
    let _before_web = Gateway::start(&world, before_web, web.tls(), |builder| builder);
    let folder = std::env::var_os(FOLDER).unwrap_or_else(|| std::env::temp_dir().into());
    let folder = tempfile::Builder::new()
        .prefix("lab.")
        .tempdir_in(folder)
        .unwrap();
    let (orders, root) = (folder.path().join("orders"), folder.path().join("root.pem"));
    std::fs::write(&root, &web.root).unwrap();
    let listener = UnixListener::bind(&orders).unwrap();
    let reference = Reference::start(&world, address, world.link(WIFI));
    let (loopback, source) = (reference.loopback, format!("http://{}/", reference.web));
    let desk = Arc::new(Desk {
        reference,
        wifi: world.link(WIFI),
        cellular: world.link(CELLULAR),
        web: Arc::clone(&web.book),
    });
    thread::spawn(move || desk.open(&listener));
    let status = world
        .client()
        .command(command)
        .args(arguments)
        // No name server is there: a name that is not found need not take ten seconds (resolv.conf(5)).
        .env("RES_OPTIONS", "timeout:1 attempts:1")
        .env("TWINPATH_LAB", &orders)
        .env("TWINPATH_LAB_GATEWAY", address.to_string())
        .env("TWINPATH_LAB_KEY", public)
        .env("TWINPATH_LAB_HTTP", web.url(false, ""))
        .env("TWINPATH_LAB_HTTPS", web.url(true, ""))
        .env("TWINPATH_LAB_BEHIND", format!("https://{before_web}/"))
        .env("TWINPATH_LAB_ROOT", &root)
        .env("TWINPATH_LAB_LOOPBACK", loopback.to_string())
        .env("TWINPATH_LAB_WEB", source)
        .status();
    match status {
        Ok(status) => {
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            ExitCode::from(code.unwrap_or(1))
        }
        Err(error) => {
            eprintln!("cannot run {}: {error}", command.to_string_lossy());
            ExitCode::from(127)
        }
    }
}

/// Where orders are taken.
struct Desk {
    reference: Reference,
    wifi: LinkHandle,
    cellular: LinkHandle,
    web: Arc<crate::WebBook>,
}

impl Desk {
    fn open(self: Arc<Self>, listener: &UnixListener) {
        for stream in listener.incoming().flatten() {
            let desk = Arc::clone(&self);
            thread::spawn(move || desk.serve(stream));
        }
    }

    fn serve(&self, mut stream: UnixStream) {
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        for line in lines.map_while(Result::ok) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let answer = self
                .obey(&words)
                .unwrap_or_else(|| format!("cannot be done: {line}"));
            if writeln!(stream, "{answer}").is_err() {
                return;
            }
        }
    }

    fn obey(&self, words: &[&str]) -> Option<String> {
        let link = match *words.first()? {
            "wifi" => &self.wifi,
            "cellular" => &self.cellular,
            "hash" => {
                let [seed, size] = [words.get(1)?, words.get(2)?];
                let mut pattern = Pattern::new(seed.parse().ok()?);
                return Some(Hash::of(&pattern.take(size.parse().ok()?)).to_string());
            }
            "rust" => {
                let took = match *words.get(1)? {
                    "stall" => self.reference.stall(),
                    "download" => self.reference.download(words.get(2)?.parse().ok()?),
                    "fetch" => self.reference.fetch(words.get(2)?.parse().ok()?),
                    _ => return None,
                };
                return Some(took.as_micros().to_string());
            }
            "applied" => return Some(self.web.applied(words.get(1)?).to_string()),
            _ => return None,
        };
        match *words.get(1)? {
            "blackhole" => link.blackhole(Direction::Both),
            "heal" => link.heal(),
            "down" => link.down().ok()?,
            "up" => link.up().ok()?,
            "reset" => {
                link.inject_rst(End::Client);
            }
            "payload" => return Some(link.counters().payload_offered().to_string()),
            "delivered" => {
                let counters = link.counters();
                let bytes = counters.up.delivered.tcp_payload + counters.down.delivered.tcp_payload;
                return Some(bytes.to_string());
            }
            _ => return None,
        }
        Some("done".to_owned())
    }
}
