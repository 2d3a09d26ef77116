import Foundation
internal import TwinpathCore

/// What one path has carried of a request and its answer.
public struct PathUse: Sendable, Equatable {
    public let role: Role
    public let interface: String?
    public let kind: InterfaceKind?
    public let cost: Cost
    /// Bytes of the answer's body.
    public let body: Int64
    /// Bytes of TCP payload sent over it.
    public let sent: Int64
    /// Bytes of TCP payload received over it.
    public let received: Int64
}

/// The account of a request so far.
public struct RequestSummary: Sendable, Equatable {
    /// How the newest connection of it runs.
    public let mode: Mode?
    /// What the paths have carried, in the order in which they came into use.
    public let paths: [PathUse]
    /// Times the request was sent again before anything of its answer was handed over.
    public let replays: Int
    /// Times the answer was gone on with in its middle.
    public let resumes: Int
    /// Times the answer was fetched from its start again.
    public let restarts: Int
    /// Times it was sent on the backup as well, for want of an answer.
    public let hedges: Int
    /// Times it left a dead path for another one.
    public let failovers: Int
    /// Times it went back to the primary path.
    public let failbacks: Int
    /// Redirects that were followed.
    public let redirects: Int
    /// Bytes of body that were received twice.
    public let fetchedAgain: Int64
    /// The longest time for which nothing came while the caller waited.
    public let worstStall: Duration
    /// Bytes of TCP payload over backup paths, both ways.
    public let onBackup: Int64
}

/// An answer. Its body is fetched as far as it is taken; what is no longer wanted is not fetched once the answer is gone.
/// Cancelling a task that reads loses nothing of it. One task at a time reads it.
public final class TwinpathResponse: Sendable {
    /// How far a body is.
    public struct Progress: Sendable, Equatable {
        /// Bytes that were handed over.
        public let received: Int64
        /// All there are; `nil` if that is not known.
        public let total: Int64?
    }

    private let core: Answer

    /// The status, as in 200.
    public let status: Int
    /// The version of HTTP, as in `HTTP/2.0`.
    public let version: String
    /// Where the answer came from, after redirects.
    public let url: String
    /// The headers.
    public let headers: [(name: String, value: String)]
    /// The length of the body; `nil` if it is not known.
    public let contentLength: Int64?

    init(_ core: Answer) throws {
        let head = try translated { try core.head() }
        self.core = core
        status = Int(head.status)
        version = head.version
        url = head.url
        headers = head.headers.map { ($0.name, $0.value) }
        contentLength = head.contentLength.map(Int64.init(clamping:))
    }

    /// The value of the first header of that name, in whatever letters.
    public func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    /// The next bytes of the body, at most `max`; `nil` at its end.
    public func read(upTo max: Int = 262_144) async throws -> Data? {
        let core = core
        return try await pull(
            max, { try core.tryRead(max: $0) }, { try core.hasEnded() }, { try await core.readable(cancellation: $0) })
    }

    /// The body as it comes.
    public var bytes: TwinpathBytes {
        TwinpathBytes { [self] in try await read() }
    }

    /// The rest of the body, if it is no longer than `limit`.
    public func data(limit: Int = 16 * 1024 * 1024) async throws -> Data {
        var all = Data()
        while let bytes = try await read(upTo: 4 * piece) {
            guard bytes.count <= limit - all.count else {
                throw TwinpathError(.other, "the answer is larger than \(limit) bytes")
            }
            all.append(bytes)
        }
        return all
    }

    /// Appends the rest of the body to a file and gives the number of bytes. When the task is cancelled, what was taken is
    /// in the file, and it can be called again.
    @discardableResult
    public func save(to file: URL) async throws -> Int64 {
        let (core, path) = (core, try path(of: file))
        return Int64(clamping: try await cancellable { try await core.save(path: path, cancellation: $0) })
    }

    /// How far the body is.
    public var progress: Progress {
        get throws {
            let progress = try translated { try core.progress() }
            return Progress(
                received: Int64(clamping: progress.received), total: progress.total.map(Int64.init(clamping:)))
        }
    }

    /// Which paths carried it, what was done again, and what it cost, so far.
    public var summary: RequestSummary {
        get throws { RequestSummary(try translated { try core.summary() }) }
    }
}

extension RequestSummary {
    fileprivate init(_ summary: TwinpathCore.RequestSummary) {
        mode = summary.mode.map(Mode.init)
        paths = summary.paths.map {
            PathUse(
                role: Role($0.role),
                interface: $0.interface,
                kind: $0.kind.map(InterfaceKind.init),
                cost: Cost($0.cost),
                body: Int64(clamping: $0.body),
                sent: Int64(clamping: $0.sent),
                received: Int64(clamping: $0.received)
            )
        }
        (replays, resumes, restarts) = (Int(summary.replays), Int(summary.resumes), Int(summary.restarts))
        (hedges, failovers) = (Int(summary.hedges), Int(summary.failovers))
        (failbacks, redirects) = (Int(summary.failbacks), Int(summary.redirects))
        fetchedAgain = Int64(clamping: summary.fetchedAgain)
        worstStall = Duration(summary.worstStall)
        onBackup = Int64(clamping: summary.onBackup)
    }
}
