//! Web servers that others have written, and the ways in which they come to speak MPTCP.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tokio::net::TcpStream;
use twinpath_lab::Host;

use crate::patience::{ms, soon};
use crate::peers::find;

/// Which one, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// nginx, whose `listen` says `multipath`.
    Nginx,
    /// haproxy at an `mptcp4@` address, before an nginx of TCP alone.
    Haproxy,
    /// lighttpd with `server.network-mptcp`.
    Lighttpd,
    /// A server in Go, which listens with MPTCP by default.
    Go,
    /// nginx that knows nothing of it, under mptcpize.
    NginxMptcpized,
    /// Python's `http.server`, under mptcpize.
    PythonMptcpized,
    /// nginx with TCP alone.
    PlainNginx,
}

impl Server {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Nginx,
        Self::Haproxy,
        Self::Lighttpd,
        Self::Go,
        Self::NginxMptcpized,
        Self::PythonMptcpized,
        Self::PlainNginx,
    ];

    /// Starts it on a host at that port of all addresses, of IPv4 and IPv6, and waits until it serves at `address`, one
    /// of the host's. `None`, and said aloud, where it is not to be had.
    #[must_use]
    pub fn start(self, host: &Host, address: SocketAddr) -> Option<RunningServer> {
        let folder = tempfile::tempdir().unwrap();
        let command = self.command(host, folder.path(), address.port())?;
        let running = RunningServer {
            which: self,
            address,
            children: command
                .into_iter()
                .map(|mut it| it.stdin(Stdio::null()).spawn().unwrap())
                .collect(),
            _folder: folder,
        };
        let listening = async move || {
            let connecting = async {
                while TcpStream::connect(address).await.is_err() {
                    tokio::time::sleep(ms(20)).await;
                }
            };
            soon(&format!("{self:?} listens"), connecting).await;
        };
        host.run(listening).unwrap();
        Some(running)
    }

    fn command(self, host: &Host, folder: &Path, port: u16) -> Option<Vec<Command>> {
        let here = folder.display().to_string();
        let settings = folder.join("settings");
        let write = |text: String| std::fs::write(&settings, text).unwrap();
        let nginx = |program, port: u16, how: &str| {
            let file = folder.join(program);
            std::fs::write(&file, nginx(&here, port, how)).unwrap();
            let mut command = host.command(find(program)?);
            command.arg("-e").arg("stderr").arg("-c").arg(file);
            Some(command)
        };
        Some(match self {
            Self::Nginx => vec![nginx("native-nginx", port, " multipath")?],
            Self::NginxMptcpized => vec![nginx("nginx", port, "")?],
            Self::PlainNginx => vec![nginx("plain-nginx", port, "")?],
            Self::Haproxy => {
                let behind = port + BEHIND;
                write(haproxy(port, behind));
                let mut command = host.command(find("haproxy")?);
                command.arg("-db").arg("-f").arg(settings);
                vec![nginx("plain-nginx", behind, "")?, command]
            }
            Self::Lighttpd => {
                write(lighttpd(&here, port));
                let mut command = host.command(find("native-lighttpd")?);
                command.arg("-D").arg("-f").arg(settings);
                vec![command]
            }
            Self::Go => {
                write(r#"[{"id": "none", "execute-command": "/bin/true"}]"#.into());
                let mut command = host.command(find("webhook")?);
                command.arg("-port").arg(port.to_string());
                command.arg("-hooks").arg(settings);
                vec![command]
            }
            Self::PythonMptcpized => {
                let mut command = host.command(find("mptcpize")?);
                command.args(["python3", "-m", "http.server", "--bind", "::"]);
                command.arg(port.to_string()).current_dir(folder);
                command.stdout(Stdio::null()).stderr(Stdio::null());
                vec![command]
            }
        })
    }
}

/// How far above haproxy's port that of its server is.
const BEHIND: u16 = 1000;

/// A server that ends when this is dropped.
#[derive(Debug)]
pub struct RunningServer {
    /// Which one.
    pub which: Server,
    /// Where it is.
    pub address: SocketAddr,
    children: Vec<Child>,
    _folder: tempfile::TempDir,
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn nginx(here: &str, port: u16, how: &str) -> String {
    format!(
        "daemon off; master_process off; pid {here}/pid; error_log stderr crit;
         events {{}}
         http {{
           access_log off;
           client_body_temp_path {here}/body; proxy_temp_path {here}/proxy;
           fastcgi_temp_path {here}/fastcgi; uwsgi_temp_path {here}/uwsgi; scgi_temp_path {here}/scgi;
           server {{ listen {port}{how}; listen [::]:{port}{how}; root {here}; }}
         }}"
    )
}

fn haproxy(port: u16, behind: u16) -> String {
    format!(
        "defaults
           mode tcp
           timeout connect 2s
           timeout client 30s
           timeout server 30s
         listen front
           bind mptcp4@:{port}
           bind mptcp6@[::]:{port} v6only
           server behind 127.0.0.1:{behind}\n"
    )
}

fn lighttpd(here: &str, port: u16) -> String {
    format!(
        "server.document-root = \"{here}\"
         server.port = {port}
         server.modules = ()
         server.feature-flags = ( \"server.network-mptcp\" => \"enable\" )
         $SERVER[\"socket\"] == \"[::]:{port}\" {{ }}
        "
    )
}
