//! Web servers that others have written.

use std::net::SocketAddr;
use std::process::Stdio;

use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use twinpath_lab::World;

use super::Identity;
use super::site::content;
use crate::patience::{ms, soon};
use crate::peers::find;

const PLAIN: u16 = 8081;
const TLS: u16 = 8444;

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Make {
    /// nginx.
    Nginx,
    /// lighttpd.
    Lighttpd,
}

/// One of them on the server's host, with a file `/file`, and `/weak/file` with a weak validator.
#[derive(Debug)]
pub struct RealServer {
    /// Whom its certificate is from, in PEM.
    pub root: String,
    plain: SocketAddr,
    tls: SocketAddr,
    _child: Child,
    _folder: tempfile::TempDir,
}

impl RealServer {
    /// Starts it, with a file of that size and seed, and waits until it serves. `None`, and said aloud, where it is not to
    /// be had.
    pub async fn start(world: &World, make: Make, seed: u64, size: usize) -> Option<Self> {
        let program = find(match make {
            Make::Nginx => "plain-nginx",
            Make::Lighttpd => "lighttpd",
        })?;
        let (plain, tls) = (world.server_socket(PLAIN), world.server_socket(TLS));
        let identity = Identity::of(&[plain.ip()]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let (certificate, key) = identity.pem();
        std::fs::write(path.join("pem"), format!("{certificate}{key}")).unwrap();
        let root = path.join("root");
        std::fs::create_dir_all(root.join("weak")).unwrap();
        for file in ["file", "weak/file"] {
            std::fs::write(root.join(file), content(seed, size)).unwrap();
        }
        let here = path.display();
        let settings = path.join("settings");
        let mut command = world.server().command(program);
        match make {
            Make::Nginx => {
                std::fs::write(&settings, nginx(&here)).unwrap();
                command.arg("-e").arg("stderr").arg("-c").arg(&settings);
            }
            Make::Lighttpd => {
                std::fs::write(&settings, lighttpd(&here)).unwrap();
                command.arg("-D").arg("-f").arg(&settings);
            }
        }
        command.stdin(Stdio::null());
        let child = Command::from(command).kill_on_drop(true).spawn().unwrap();
        for address in [plain, tls] {
            let listening = async {
                while TcpStream::connect(address).await.is_err() {
                    tokio::time::sleep(ms(20)).await;
                }
            };
            soon("the web server listens", listening).await;
        }
        Some(Self {
            root: identity.root().to_owned(),
            plain,
            tls,
            _child: child,
            _folder: folder,
        })
    }

    /// The URL of something on it.
    #[must_use]
    pub fn url(&self, https: bool, rest: &str) -> String {
        match https {
            true => format!("https://{}/{rest}", self.tls),
            false => format!("http://{}/{rest}", self.plain),
        }
    }
}

fn nginx(here: &dyn std::fmt::Display) -> String {
    format!(
        "daemon off; master_process off; pid {here}/pid; error_log stderr;
         events {{}}
         http {{
           access_log off;
           client_body_temp_path {here}/body; proxy_temp_path {here}/proxy;
           fastcgi_temp_path {here}/fastcgi; uwsgi_temp_path {here}/uwsgi; scgi_temp_path {here}/scgi;
           server {{
             listen {PLAIN}; listen {TLS} ssl http2;
             ssl_certificate {here}/pem; ssl_certificate_key {here}/pem;
             root {here}/root;
             location /weak/ {{ etag off; add_header ETag 'W/\"1\"'; add_header Last-Modified ''; max_ranges 0; }}
           }}
         }}"
    )
}

fn lighttpd(here: &dyn std::fmt::Display) -> String {
    format!(
        "server.document-root = \"{here}/root\"
         server.port = {PLAIN}
         server.modules = ( \"mod_openssl\" )
         mimetype.assign = ( \"\" => \"application/octet-stream\" )
         $SERVER[\"socket\"] == \":{TLS}\" {{ ssl.engine = \"enable\" ssl.pemfile = \"{here}/pem\" }}
         $HTTP[\"url\"] =~ \"^/weak/\" {{ server.range-requests = \"disable\" etag.use-mtime = \"disable\" etag.use-inode = \"disable\" etag.use-size = \"disable\" }}
        "
    )
}
