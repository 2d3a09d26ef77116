import Foundation
import Twinpath

#if canImport(Glibc)
    import Glibc
#endif

/// Legs over sockets of libc, each served by a thread: what a platform does whose legs are not the library's own.
struct PosixDialer: LegDialer {
    func dial(_ target: LegTarget, pipe: LegPipe) throws -> any PlatformLeg {
        PosixLeg(target, pipe)
    }

    /// By the kernel's MPTCP.
    func dialMultipath(_ target: LegTarget, service: ServiceType, pipe: LegPipe) throws -> any PlatformLeg {
        PosixLeg(target, pipe, isMultipath: true)
    }
}

final class PosixLeg: PlatformLeg, @unchecked Sendable {
    /// What the library has asked for and is not yet done. Under `lock`.
    private var outgoing = Data()
    private var wanted = 0
    private var isFinishing = false
    private var isClosed = false
    private var isAborted = false
    private let lock = NSLock()
    private let pipe: LegPipe
    private let isMultipath: Bool
    /// Wakes the thread: what is written into the second end is read from the first one. Gone with it.
    private var bell: [Int32] = [-1, -1]

    init(_ target: LegTarget, _ pipe: LegPipe, isMultipath: Bool = false) {
        (self.pipe, self.isMultipath) = (pipe, isMultipath)
        _ = Glibc.pipe(&bell)
        bell.forEach { _ = fcntl($0, F_SETFL, O_NONBLOCK) }
        Thread.detachNewThread { [self] in
            run(target)
            lock.withLock {
                bell.forEach { _ = Glibc.close($0) }
                bell = [-1, -1]
            }
        }
    }

    func send(_ bytes: Data) { change { outgoing.append(bytes) } }
    func receive(max: Int) { change { wanted = max } }
    func finish() { change { isFinishing = true } }
    func close(aborted: Bool) { change { (isClosed, isAborted) = (true, aborted) } }

    private func change(_ what: () -> Void) {
        lock.withLock {
            guard !isClosed else { return }
            what()
            var one: UInt8 = 1
            _ = Glibc.write(bell[1], &one, 1)
        }
    }

    private func run(_ target: LegTarget) {
        guard let desk = connect(target) else { return }
        defer { Glibc.close(desk) }
        serve(desk)
        if lock.withLock({ isAborted }) {
            var reset = linger(l_onoff: 1, l_linger: 0)
            setsockopt(desk, SOL_SOCKET, SO_LINGER, &reset, socklen_t(MemoryLayout<linger>.size))
        }
    }

    /// The first address that answers.
    private func connect(_ target: LegTarget) -> Int32? {
        var last = ECONNREFUSED
        for host in target.addresses.isEmpty ? [target.host] : target.addresses {
            var found: UnsafeMutablePointer<addrinfo>?
            var hints = addrinfo()
            hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
            guard getaddrinfo(host, String(target.port), &hints, &found) == 0 else {
                pipe.failed(.nameNotFound, "\(host) could not be looked up")
                return nil
            }
            defer { freeaddrinfo(found) }
            var next = found
            while let address = next?.pointee {
                let began = ContinuousClock.now
                switch open(address, target.interface?.name) {
                case .success(let desk):
                    pipe.connected(peer: numeric(address.ai_addr, address.ai_addrlen), rtt: ContinuousClock.now - began)
                    return desk
                case .failure(let code):
                    last = code.code
                }
                if lock.withLock({ isClosed }) { return nil }
                next = address.ai_next
            }
        }
        pipe.failed(.other, String(cString: strerror(last)), osCode: last)
        return nil
    }

    private struct Code: Error { let code: Int32 }

    private func open(_ address: addrinfo, _ interface: String?) -> Result<Int32, Code> {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        /// `IPPROTO_MPTCP` of Linux.
        let desk = socket(address.ai_family, kind, isMultipath ? 262 : 0)
        guard desk >= 0 else { return .failure(Code(code: errno)) }
        var one: Int32 = 1
        setsockopt(desk, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
        if let interface {
            guard setsockopt(desk, SOL_SOCKET, SO_BINDTODEVICE, interface, socklen_t(interface.utf8.count)) == 0 else {
                return failure(desk, errno)
            }
        }
        guard Glibc.connect(desk, address.ai_addr, address.ai_addrlen) == 0 || errno == EINPROGRESS else {
            return failure(desk, errno)
        }
        while true {
            let ready = wait(desk, POLLOUT)
            if lock.withLock({ isClosed }) { return failure(desk, ECANCELED) }
            guard ready != 0 else { continue }
            var code: Int32 = 0
            var size = socklen_t(4)
            getsockopt(desk, SOL_SOCKET, SO_ERROR, &code, &size)
            return code == 0 ? .success(desk) : failure(desk, code)
        }
    }

    private func failure(_ desk: Int32, _ code: Int32) -> Result<Int32, Code> {
        Glibc.close(desk)
        return .failure(Code(code: code))
    }

    /// Until it is closed, or lost.
    private func serve(_ desk: Int32) {
        var isEnded = false
        var isFinished = false
        var isOver = false
        var buffer = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let (bytes, max, finishing, closed, aborted) = lock.withLock {
                (outgoing.prefix(128 * 1024), wanted, isFinishing, isClosed, isAborted)
            }
            if aborted || (closed && bytes.isEmpty) { return }
            if finishing && bytes.isEmpty && !isFinished {
                shutdown(desk, Int32(SHUT_WR))
                isFinished = true
            }
            let events = (bytes.isEmpty ? 0 : POLLOUT) | (max > 0 && !isEnded ? POLLIN : 0)
            // Once both ends have finished, poll would tell that for ever.
            let ready = Int32(wait(isOver && events == 0 ? -1 : desk, events))
            isOver = ready & (POLLERR | POLLHUP) != 0 || (isOver && events == 0)
            if ready & (POLLOUT | POLLERR | POLLHUP) != 0, !bytes.isEmpty {
                let sent = bytes.withUnsafeBytes { Glibc.send(desk, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
                if sent > 0 {
                    lock.withLock { outgoing = Data(outgoing.dropFirst(sent)) }
                    pipe.sent(sent)
                } else if errno != EAGAIN {
                    return lost(errno)
                }
            }
            if ready & (POLLIN | POLLERR | POLLHUP) != 0, max > 0, !isEnded {
                let count = recv(desk, &buffer, min(max, buffer.count), 0)
                if count > 0 {
                    lock.withLock { wanted = 0 }
                    pipe.received(Data(buffer[..<count]))
                } else if count == 0 {
                    isEnded = true
                    pipe.receivedEnd()
                } else if errno != EAGAIN {
                    return lost(errno)
                }
            } else if ready & POLLERR != 0 {
                var code: Int32 = 0
                var size = socklen_t(4)
                getsockopt(desk, SOL_SOCKET, SO_ERROR, &code, &size)
                return lost(code)
            }
        }
    }

    private func lost(_ code: Int32) {
        pipe.failed(.other, String(cString: strerror(code)), osCode: code)
    }

    /// What is ready, or 0 when the bell was rung.
    private func wait(_ desk: Int32, _ events: Int32) -> Int16 {
        var both = [
            pollfd(fd: desk, events: Int16(events), revents: 0), pollfd(fd: bell[0], events: Int16(POLLIN), revents: 0),
        ]
        poll(&both, 2, -1)
        var rung = [UInt8](repeating: 0, count: 256)
        _ = read(bell[0], &rung, rung.count)
        return both[0].revents
    }
}

/// An address in digits.
func numeric(_ address: UnsafePointer<sockaddr>, _ size: socklen_t) -> String {
    var text = [CChar](repeating: 0, count: 64)
    getnameinfo(address, size, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
    return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}
