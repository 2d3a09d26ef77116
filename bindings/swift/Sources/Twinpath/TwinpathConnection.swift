import Foundation
internal import TwinpathCore

/// A connection with cellular backup.
///
/// Reading and writing may be done at the same time, each by one task. Cancelling a task that reads or writes leaves the
/// connection as usable as before: a cancelled read has taken nothing, and a cancelled write tells how much was accepted
/// (``WriteCancelled``).
public final class TwinpathConnection: Sendable {
    let core: Connection

    init(_ core: Connection) {
        self.core = core
    }

    /// Connects with a connector of its own. An app that makes several connections has one ``TwinpathConnector``, which
    /// they share.
    public static func connect(
        to host: String, port: Int, options: TwinpathOptions = .handover
    ) async throws -> TwinpathConnection {
        try await TwinpathConnector(options).connect(to: host, port: port)
    }

    /// The next bytes, at most `max`; `nil` once the peer has ended its direction.
    ///
    /// A read that is cancelled has taken nothing, but one that ends first has: whoever has it race a clock must look at what
    /// it gives even when the clock has won. A task group that throws then drops those bytes; a task of the read's own, which
    /// is cancelled and whose `result` is awaited, does not.
    public func read(upTo max: Int = 262_144) async throws -> Data? {
        let core = core
        return try await pull(
            max, { try core.tryRead(max: $0) }, { try core.hasEnded() }, { try await core.readable(cancellation: $0) })
    }

    /// What comes, up to the end of the peer's direction.
    public var bytes: TwinpathBytes {
        TwinpathBytes { [self] in try await read() }
    }

    /// Writes all of it: waits until the connection has accepted it, not until it has arrived.
    public func write(_ data: Data) async throws {
        let core = core
        var accepted = 0
        do {
            while accepted < data.count {
                let start = data.startIndex + accepted
                let end = min(start + piece, data.endIndex)
                let taken = try translated { try core.tryWrite(data: data[start..<end]) }
                accepted += Int(taken)
                if taken == 0 {
                    try await cancellable { try await core.writable(cancellation: $0) }
                } else {
                    try Task.checkCancellation()
                }
            }
        } catch is CancellationError where accepted < data.count {
            throw WriteCancelled(accepted: accepted)
        } catch is CancellationError {
            // All of it was accepted before.
        }
    }

    /// Ends this direction; what was written still arrives, and the peer can still be read.
    public func finish() throws {
        try translated { try core.finish() }
    }

    /// Ends the connection in order and gives its account: everything written is delivered, for a bounded time. It is not
    /// cancelled with its task.
    @discardableResult
    public func close() async throws -> TwinpathSummary {
        do {
            return TwinpathSummary(try await core.shutdown())
        } catch let failure as Failure {
            throw typed(failure)
        }
    }

    /// Ends the connection at once: what is not yet delivered is thrown away, and the peer's reads fail.
    public func abort() {
        // It cannot fail but for want of a thread, and then there is no connection.
        try? core.abort()
    }

    /// How it runs and what it has done so far.
    public var stats: TwinpathStats {
        get throws { TwinpathStats(try translated { try core.stats() }) }
    }

    /// Its account so far.
    public var summary: TwinpathSummary {
        get throws { TwinpathSummary(try translated { try core.summary() }) }
    }

    /// What happens to it. The first listener also gets what happened before; one that is slow loses the oldest of more
    /// than 64 events. It ends with the connection, with ``TwinpathEvent/ended(_:)``, or when the task is cancelled.
    public var events: TwinpathEvents {
        TwinpathEvents(try? core.events())
    }

    /// After ``TwinpathError/Kind/interrupted``, towards a server that is no gateway: a new connection to the same server,
    /// over the path that answers.
    public func freshLeg() async throws -> TwinpathConnection {
        let core = core
        return TwinpathConnection(try await cancellable { try await core.freshLeg(cancellation: $0) })
    }
}

/// What is moved at once.
let piece = 64 * 1024

/// Bytes as they come, in pieces.
public struct TwinpathBytes: AsyncSequence, Sendable {
    public typealias Element = Data

    let next: @Sendable () async throws -> Data?

    public struct AsyncIterator: AsyncIteratorProtocol {
        let take: @Sendable () async throws -> Data?

        public mutating func next() async throws -> Data? { try await take() }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(take: next) }
}

/// Takes bytes as soon as there are any: what waits takes nothing, so that it can be cancelled at any moment.
func pull(
    _ max: Int,
    _ take: (UInt32) throws -> Data,
    _ hasEnded: () throws -> Bool,
    _ wait: @Sendable (Cancellation) async throws -> Void
) async throws -> Data? {
    guard max > 0 else {
        throw TwinpathError(.invalidInput, "a read is of one byte at least")
    }
    while true {
        try Task.checkCancellation()
        let bytes = try translated { try take(UInt32(clamping: max)) }
        if !bytes.isEmpty { return bytes }
        if try translated(hasEnded) { return nil }
        try await cancellable(wait)
    }
}
