import Foundation

#if canImport(Glibc)
    import Glibc
#endif

/// What a web server was asked for.
struct Seen: Equatable, CustomStringConvertible {
    var method = ""
    var target = ""
    /// By their names in small letters.
    var headers: [String: String] = [:]
    var body = Data()

    var description: String { "\(method) \(target)" }
}

/// A web server on the loopback that answers by a script: what a real one would not say, and nothing about links.
final class SmallServer: @unchecked Sendable {
    /// What is sent, in pieces; `nil` ends the connection. An empty answer is none: the connection stays as it is.
    typealias Script = @Sendable (Seen) -> [String?]

    let port: Int
    private let listener: Int32
    private let script: Script
    private let lock = NSLock()
    private var all: [Seen] = []
    private var desks: [Int32] = []

    /// All it was asked for so far.
    var seen: [Seen] { lock.withLock { all } }

    var url: String { "http://127.0.0.1:\(port)/" }

    init(_ script: @escaping Script) {
        self.script = script
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let desk = listener
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(desk, $0, size) == 0 && listen(desk, 100) == 0 && getsockname(desk, $0, &size) == 0
            }
        }
        precondition(isBound, "no port is free")
        port = Int(UInt16(bigEndian: address.sin_port))
        Thread.detachNewThread { [self] in
            while case let desk = accept(listener, nil, nil), desk >= 0 {
                lock.withLock { desks.append(desk) }
                Thread.detachNewThread { [self] in serve(desk) }
            }
            close(listener)
        }
    }

    /// Ends it, and all its connections.
    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        lock.withLock { desks.forEach { shutdown($0, Int32(SHUT_RDWR)) } }
    }

    private func serve(_ desk: Int32) {
        defer {
            lock.withLock { desks.removeAll { $0 == desk } }
            close(desk)
        }
        var unread = Data()
        while let seen = request(desk, &unread) {
            lock.withLock { all.append(seen) }
            for piece in script(seen) {
                guard let piece, write(desk, piece) else { return }
            }
        }
    }

    private func write(_ desk: Int32, _ text: String) -> Bool {
        var bytes = Array(text.unicodeScalars.map { UInt8($0.value) })[...]
        while !bytes.isEmpty {
            let sent = bytes.withUnsafeBytes { send(desk, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard sent > 0 else { return false }
            bytes = bytes.dropFirst(sent)
        }
        return true
    }

    /// The next request, its body whatever the way it comes.
    private func request(_ desk: Int32, _ unread: inout Data) -> Seen? {
        func more() -> Bool {
            var buffer = [UInt8](repeating: 0, count: 64 * 1024)
            let size = recv(desk, &buffer, buffer.count, 0)
            guard size > 0 else { return false }
            unread += buffer[..<size]
            return true
        }
        func line() -> String? {
            while true {
                if let end = unread.range(of: Data("\r\n".utf8)) {
                    defer { unread = Data(unread[end.upperBound...]) }
                    return String(decoding: unread[..<end.lowerBound], as: UTF8.self)
                }
                guard more() else { return nil }
            }
        }
        func bytes(_ count: Int) -> Data? {
            while unread.count < count { guard more() else { return nil } }
            defer { unread = Data(unread.dropFirst(count)) }
            return Data(unread.prefix(count))
        }
        var seen = Seen()
        // Between requests an empty line may come (RFC 9112, 2.2).
        var first = line()
        while first == "" { first = line() }
        guard let words = first?.split(separator: " "), words.count == 3 else { return nil }
        (seen.method, seen.target) = (String(words[0]), String(words[1]))
        while let header = line(), !header.isEmpty {
            guard let colon = header.firstIndex(of: ":") else { return nil }
            let value = header[header.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            seen.headers[header[..<colon].lowercased()] = value
        }
        if seen.headers["expect"] != nil, !write(desk, "HTTP/1.1 100 Continue\r\n\r\n") { return nil }
        if let length = seen.headers["content-length"].flatMap({ Int($0) }) {
            guard let body = bytes(length) else { return nil }
            seen.body = body
        } else if seen.headers["transfer-encoding"] != nil {
            while let size = line().flatMap({ Int($0, radix: 16) }) {
                guard let chunk = bytes(size), line() != nil else { return nil }
                if size == 0 { break }
                seen.body += chunk
            }
        }
        return seen
    }
}

/// An answer with a length.
func answer(_ status: Int, _ headers: [String] = [], _ body: String = "") -> String {
    let lines = ["HTTP/1.1 \(status) so", "Content-Length: \(body.unicodeScalars.count)"] + headers
    return lines.joined(separator: "\r\n") + "\r\n\r\n" + body
}
