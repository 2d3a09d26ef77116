//! A room, over a link between two kernels of one machine.
#![allow(unsafe_code, reason = "unshare")]

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use twinpath_socket::mptcp::mptcp_info;
use twinpath_socket::raw::{Carried, RawPackets};
use twinpath_socket::room::Room;
use twinpath_socket::{Binding, ListenOptions, listen};

use crate::SOON;
use crate::world::{self, ip};

const SIZE: usize = 300_000;
/// The largest packet that a cable would carry.
const MTU: usize = 1500;

fn data() -> Vec<u8> {
    (0..SIZE).map(|at| (at % 251) as u8).collect()
}

/// A server with the MPTCP of a kernel of its own, which sends all there is to whoever comes, and ends with the second one. It
/// tells its thread's number, and goes on once it is told that it has its end of the link.
fn serve(thread: &Sender<i32>, linked: &Receiver<()>, ready: &Sender<()>) {
    // SAFETY: takes no pointers; changes the namespace of this thread only.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
    // SAFETY: takes nothing.
    thread.send(unsafe { libc::gettid() }).unwrap();
    linked.recv().unwrap();
    ip("addr add 10.77.0.2/24 dev s0");
    ip("addr add fd77::2/64 dev s0 nodad");
    ip("link set s0 up");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut options = ListenOptions::default();
        options.mptcp = true;
        let listener = listen("[::]:8080".parse().unwrap(), &options).unwrap();
        ready.send(()).unwrap();
        for _ in 0..2 {
            let (mut stream, _) = timeout(SOON, listener.accept()).await.unwrap().unwrap();
            stream.write_all(&data()).await.unwrap();
            let _ = timeout(SOON, stream.read_u8()).await;
        }
    });
}

/// Whether something came that is larger than a cable would carry: it was not split, and its checksum not finished.
async fn was_unsplit(packets: &RawPackets) -> bool {
    while let Ok(Some(arrived)) = packets.receive(SOON).await {
        if arrived.protocol == Carried::Tcp && arrived.bytes.len() > MTU {
            return true;
        }
    }
    false
}

async fn fetch(peer: SocketAddr) {
    let packets = RawPackets::open(&Binding::Unbound, peer).unwrap();
    let (room, guest) = Room::open(&Binding::Unbound, peer, true).await.unwrap();
    let fetching = async {
        let mut stream = timeout(SOON, guest.connect()).await.unwrap().unwrap();
        let mut got = vec![0; SIZE];
        timeout(SOON, stream.read_exact(&mut got))
            .await
            .unwrap()
            .unwrap();
        assert!(mptcp_info(&stream).unwrap().unwrap().checksums);
        stream.shutdown().await.unwrap();
        got
    };
    let (got, was_unsplit) = tokio::join!(room.during(fetching), was_unsplit(&packets));
    assert!(got.unwrap() == data(), "{peer}");
    assert!(was_unsplit, "{peer}: the link split its packets");
    assert_eq!(room.counters().get("DataCsumErr"), Some(&0));
}

#[test]
fn what_no_network_card_has_split_or_summed_up_gets_into_a_room() {
    world::run(|| async {
        ip("link add c0 type veth peer name s0");
        let (tell_thread, told_thread) = channel();
        let (link, linked) = channel();
        let (tell_ready, is_ready) = channel();
        let server = thread::spawn(move || serve(&tell_thread, &linked, &tell_ready));
        ip(&format!(
            "link set s0 netns {}",
            told_thread.recv().unwrap()
        ));
        ip("addr add 10.77.0.1/24 dev c0");
        ip("addr add fd77::1/64 dev c0 nodad");
        ip("link set c0 up");
        link.send(()).unwrap();
        is_ready.recv().unwrap();
        for peer in ["10.77.0.2:8080", "[fd77::2]:8080"] {
            fetch(peer.parse().unwrap()).await;
        }
        server.join().unwrap();
    });
}
