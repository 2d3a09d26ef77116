//! Programs that others have written; `tests/peers` fetches them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use twinpath_lab::{Chain, Host, World};

use crate::patience::{ms, soon};
use crate::stream::Pattern;

/// Names the folder that `tests/peers` has filled.
const VARIABLE: &str = "TWINPATH_PEERS";
/// Nginx's.
const PORT: u16 = 8080;

/// That program; `None`, and said aloud, where it is not to be had.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(VARIABLE).map_or_else(
        || {
            // The test itself lies in `<target>/<profile>/deps`.
            let test = std::env::current_exe().unwrap();
            test.ancestors().nth(3).unwrap().join("peers")
        },
        PathBuf::from,
    );
    let program = folder.join("bin").join(name);
    if program.is_file() {
        return Some(program);
    }
    twinpath_lab::skip(format_args!(
        "no {name} to test against: run `tests/peers {}` first",
        folder.display()
    ));
    None
}

/// Starts curl on a host; its standard output is what it receives. `None` where there is none.
#[must_use]
pub fn curl(host: &Host, arguments: &[&str]) -> Option<Child> {
    let mut command = host.command(find("curl")?);
    command
        .args(["--silent", "--show-error", "--fail", "--noproxy", "*"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut command = Command::from(command);
    Some(command.kill_on_drop(true).spawn().unwrap())
}

/// Nginx on the server's host, made to listen with MPTCP as `mptcpize` does it.
#[derive(Debug)]
pub struct Nginx {
    /// Where it listens.
    pub address: SocketAddr,
    child: std::process::Child,
    _folder: tempfile::TempDir,
}

impl Nginx {
    /// Starts it with a file `/pattern` of so many bytes of pattern 1, and waits until it serves. `None` where there is
    /// none.
    pub async fn start(world: &World, size: usize) -> Option<Self> {
        let address = world.server_socket(PORT);
        let nginx = Self::launch(world.server(), address, "nginx", size)?;
        nginx.listens().await;
        Some(nginx)
    }

    /// Starts `nginx`, made to speak MPTCP, or `plain-nginx` behind a chain, and waits until it serves.
    #[must_use]
    pub fn behind(chain: &Chain, program: &str) -> Option<Self> {
        let address = chain.server_socket(false, PORT);
        let nginx = Self::launch(chain.server(), address, program, 1)?;
        chain.client().run(|| nginx.listens()).unwrap();
        Some(nginx)
    }

    async fn listens(&self) {
        let listening = async {
            while TcpStream::connect(self.address).await.is_err() {
                tokio::time::sleep(ms(20)).await;
            }
        };
        soon("nginx listens", listening).await;
    }

    fn launch(host: &Host, address: SocketAddr, program: &str, size: usize) -> Option<Self> {
        let program = find(program)?;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        std::fs::write(path.join("pattern"), Pattern::new(1).take(size)).unwrap();
        let here = path.display();
        let settings = format!(
            "daemon off; master_process off; pid {here}/pid; error_log stderr;
             events {{}}
             http {{
               access_log off;
               client_body_temp_path {here}/body; proxy_temp_path {here}/proxy;
               fastcgi_temp_path {here}/fastcgi; uwsgi_temp_path {here}/uwsgi; scgi_temp_path {here}/scgi;
               server {{ listen {PORT}; listen [::]:{PORT}; root {here}; }}
             }}"
        );
        let file = path.join("settings");
        std::fs::write(&file, settings).unwrap();
        let mut command = host.command(program);
        command
            .arg("-e")
            .arg("stderr")
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null());
        let child = command.spawn().unwrap();
        Some(Self {
            address,
            child,
            _folder: folder,
        })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
