//! The command as its users see it, and the services behind it.

#![allow(
    dead_code,
    reason = "each test file is a program of its own and uses a part of this"
)]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

/// Everything here is over in well under a second; a machine under load may need longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The command, with nothing of this process's environment that would change its words.
pub(crate) fn twinpath(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_twinpath"));
    command
        .args(args)
        .env_remove("RUST_LOG")
        .env_remove("TWINPATH_LOG")
        .stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn output(args: &[&str]) -> Output {
    twinpath(args).output().unwrap()
}

/// Runs it with that on standard input, which then ends.
pub(crate) fn with_input(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writing = thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    output
}

/// A program that runs until this is dropped.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    /// Waits for its end, within reason, and returns its exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args([signal, &self.0.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }
}

/// Reads standard error up to the line that says where it listens; returns the address, what came
/// before, and the rest of the stream.
pub(crate) fn listening(stderr: ChildStderr) -> (SocketAddr, Vec<String>, BufReader<ChildStderr>) {
    let mut lines = BufReader::new(stderr);
    let mut before = Vec::new();
    loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).unwrap() > 0, "ended: {before:?}");
        if let Some(address) = line.trim().strip_prefix("twinpath: listening on ") {
            return (address.parse().unwrap(), before, lines);
        }
        before.push(line.trim().to_owned());
    }
}

/// A gateway before `service`.
pub(crate) fn gateway(service: SocketAddr, more: &[&str]) -> (Running, SocketAddr, Vec<String>) {
    let service = service.to_string();
    let mut args = vec!["gateway", "--listen", "127.0.0.1:0", "--to", &service];
    args.extend(more);
    let mut running = Running::start(twinpath(&args).stderr(Stdio::piped()));
    let (address, before, rest) = listening(running.0.stderr.take().unwrap());
    // Read on, so that it never blocks.
    thread::spawn(move || {
        rest.lines()
            .map_while(Result::ok)
            .for_each(|line| eprintln!("gateway: {line}"))
    });
    (running, address, before)
}

/// A service that treats each connection with `serve`.
pub(crate) fn service(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Sends back what it gets, and ends when its client does.
pub(crate) fn echo() -> SocketAddr {
    service(|mut stream| {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(size @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&buffer[..size]).is_err() {
                return;
            }
        }
        let _ = stream.shutdown(Shutdown::Write);
    })
}

/// A port where nobody listens.
pub(crate) fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Bytes that are not the same anywhere.
pub(crate) fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

pub(crate) fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Asserts an exit code and a single line of complaint, which is returned.
#[track_caller]
pub(crate) fn complaint(output: &Output, code: i32) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert_eq!(text.lines().count(), 1, "one line: {text:?}");
    assert!(text.starts_with("twinpath: "), "{text:?}");
    text.trim().to_owned()
}

/// The events of a file, each a line of JSON.
pub(crate) fn events(text: &str) -> Vec<serde_json::Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
