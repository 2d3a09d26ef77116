//! The `twinpath` command, as users run it.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;
use tokio::time::sleep;
use twinpath_lab::Host;

use crate::patience::{ms, soon};

/// Names the binary to test.
const VARIABLE: &str = "TWINPATH_BIN";

/// A running command.
#[derive(Debug)]
pub struct Twinpath {
    child: Child,
    /// Its standard input, until it is taken.
    pub input: Option<ChildStdin>,
    /// Its standard output, until it is taken.
    pub output: Option<ChildStdout>,
    lines: watch::Receiver<Vec<String>>,
}

impl Twinpath {
    /// Starts the command on a host. What it says on standard error is collected.
    #[must_use]
    pub fn start(host: &Host, arguments: &[&str]) -> Self {
        Self::spawn(host.command(binary()), arguments)
    }

    /// The same with a variable in its environment, written as `NAME=VALUE`.
    #[must_use]
    pub fn start_with(host: &Host, variable: &str, arguments: &[&str]) -> Self {
        let mut command = host.command(binary());
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        command.env(name, value);
        Self::spawn(command, arguments)
    }

    /// The same without the privilege to change the network (`CAP_NET_ADMIN`), as ordinary users have it.
    #[must_use]
    pub fn start_unprivileged(host: &Host, arguments: &[&str]) -> Self {
        let mut command = host.command("setpriv");
        command.args(["--bounding-set=-net_admin", "--inh-caps=-net_admin"]);
        command.arg(binary());
        Self::spawn(command, arguments)
    }

    /// Starts the command on a host as a user who may do nothing that others may not; `None`, and said aloud, where it
    /// cannot be had.
    #[must_use]
    pub fn start_as_nobody(host: &Host, arguments: &[&str]) -> Option<Self> {
        const NOBODY: [&str; 5] = [
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--bounding-set=-all",
            "--inh-caps=-all",
        ];
        let tried = std::process::Command::new("setpriv")
            .args(NOBODY)
            .arg("true")
            .output();
        if !tried.is_ok_and(|tried| tried.status.success()) {
            twinpath_lab::skip(
                "setpriv (of util-linux) is missing, or may not become another user",
            );
            return None;
        }
        let mut command = host.command("setpriv");
        command.args(NOBODY).arg(readable(&binary()));
        Some(Self::spawn(command, arguments))
    }

    fn spawn(mut command: std::process::Command, arguments: &[&str]) -> Self {
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut command = Command::from(command);
        let mut child = command.kill_on_drop(true).spawn().unwrap();
        let lines = collect(child.stderr.take().unwrap());
        Self {
            input: child.stdin.take(),
            output: child.stdout.take(),
            child,
            lines,
        }
    }

    /// What the kernel says of the process, as in `/proc/<id>/status`.
    #[must_use]
    pub fn status(&self) -> String {
        let id = self.child.id().expect("it runs");
        std::fs::read_to_string(format!("/proc/{id}/status")).unwrap()
    }

    /// Waits for a line on standard error that contains `words`.
    pub async fn says(&self, words: &str) -> String {
        let mut lines = self.lines.clone();
        let has = |line: &&String| line.contains(words);
        let said = lines.wait_for(|lines| lines.iter().any(|line| has(&line)));
        match soon(&format!("{words:?} is said"), said).await {
            Ok(lines) => lines.iter().find(has).unwrap().clone(),
            Err(_) => panic!("it ended without {words:?}: {:#?}", self.said()),
        }
    }

    /// What was said on standard error so far.
    #[must_use]
    pub fn said(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }

    /// The events among what was said on standard error.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        events(&self.said())
    }

    /// Collects the lines of standard output from now on.
    #[must_use]
    pub fn told(&mut self) -> watch::Receiver<Vec<String>> {
        collect(self.output.take().expect("the output is not taken"))
    }

    /// Has it say something to an echo every 20 ms from now on, and hear it. How many were heard.
    #[must_use]
    pub fn converse(&mut self) -> watch::Receiver<u32> {
        let mut input = self.input.take().expect("the input is not taken");
        let mut output = self.output.take().expect("the output is not taken");
        let (number, heard) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                let mut back = [0; 4];
                if input.write_all(b"well").await.is_err()
                    || output.read_exact(&mut back).await.is_err()
                {
                    break;
                }
                assert_eq!(&back, b"well");
                number.send_modify(|number| *number += 1);
                sleep(ms(20)).await;
            }
        });
        heard
    }

    /// Its number.
    ///
    /// # Panics
    ///
    /// When it has ended.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Kills it, and waits until it is dead.
    pub async fn kill(&mut self) {
        let killing = self.child.kill();
        soon("the command is dead", killing).await.unwrap();
    }

    /// Sends SIGTERM.
    pub async fn terminate(&self) {
        self.signal("TERM").await;
    }

    /// Freezes it, as systems do with apps in the background.
    pub async fn freeze(&self) {
        self.signal("STOP").await;
    }

    /// Has a frozen one go on.
    pub async fn thaw(&self) {
        self.signal("CONT").await;
    }

    async fn signal(&self, name: &str) {
        let line = format!("kill -{name} {}", self.id());
        let sent = Command::new("sh").args(["-c", &line]).status().await;
        assert!(sent.unwrap().success(), "the signal was not sent");
    }

    /// Waits for the end and gives the exit code.
    pub async fn ends(&mut self) -> i32 {
        self.input.take();
        let status = soon("the command ends", self.child.wait()).await.unwrap();
        // Standard error is read to its end as well.
        let mut lines = self.lines.clone();
        let read = async { while lines.changed().await.is_ok() {} };
        soon("standard error ends", read).await;
        status.code().unwrap_or_else(|| panic!("it died: {status}"))
    }
}

/// The events among these lines.
#[must_use]
pub fn events(lines: &[String]) -> Vec<Value> {
    let parsed = lines.iter().filter(|line| line.starts_with('{'));
    parsed
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn collect(
    stream: impl tokio::io::AsyncRead + Send + Unpin + 'static,
) -> watch::Receiver<Vec<String>> {
    let (sender, lines) = watch::channel(Vec::new());
    tokio::spawn(async move {
        let mut reader = BufReader::new(stream).lines();
        while let Ok(Some(line)) = reader.next_line().await {
            log::info!("stderr: {line}");
            sender.send_modify(|lines| lines.push(line));
        }
    });
    lines
}

/// A copy that every user may run, wherever the binary itself lies.
fn readable(binary: &std::path::Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    static COPY: std::sync::OnceLock<(tempfile::TempDir, PathBuf)> = std::sync::OnceLock::new();
    let make = || {
        let folder = tempfile::tempdir().unwrap();
        let everybody = || std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), everybody()).unwrap();
        let copy = folder.path().join("twinpath");
        std::fs::copy(binary, &copy).unwrap();
        std::fs::set_permissions(&copy, everybody()).unwrap();
        (folder, copy)
    };
    COPY.get_or_init(make).1.clone()
}

/// The command that is tested: what the variable names, else the one beside this test.
///
/// # Panics
///
/// When it is not built.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os(VARIABLE) {
        let named = PathBuf::from(named);
        assert!(
            named.is_file(),
            "{VARIABLE} names no file: {}",
            named.display()
        );
        return named;
    }
    // The test itself lies in `<target>/<profile>/deps`.
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap();
    let beside = folder.join(format!("twinpath{}", std::env::consts::EXE_SUFFIX));
    assert!(
        beside.is_file(),
        "the command is not built: run `cargo build -p twinpath-cli` in the same profile first, or let {VARIABLE} name it"
    );
    beside
}
