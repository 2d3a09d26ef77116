import Foundation
import Twinpath

/// What a connection or a request has done up to one moment.
struct Sample: Sendable {
    /// Bytes sent and received in all.
    var carried: [Role: Int64] = [:]
    var mode: Mode?
    var modeReason: String?
    /// `nil` of requests: what is unprotected there is said again.
    var protection: Protection?
    /// Of requests, which tell it in no other way.
    var moves: Moves?

    struct Moves: Sendable {
        var hedges = 0
        var failovers = 0
        var failbacks = 0
        var resumes = 0
        var worstStall = Duration.zero
    }
}

/// Whom the work tells what it does. Everything that was opened is closed with its last sample.
@MainActor
protocol Audience: AnyObject, Sendable {
    func opened(_ name: Key, sample: @escaping @Sendable () throws -> Sample) -> Int
    func closed(_ source: Int, _ last: Sample?)
    func happened(_ event: TwinpathEvent, to source: Int, _ name: Key)
    func echoed(after delay: Duration)
    /// A request, which is made again.
    func failed(_ error: TwinpathError)
}

/// Towards a gateway with an echo service behind it: a stream both ways, and a small message ten times a second whose answer
/// is timed.
struct GatewayWork: Sendable {
    /// Between pieces of the stream. That makes 6.5 Mbit/s each way, as a good video call has; without it, the stream would
    /// fill every queue, and spend the budget in seconds.
    private static let pace = Duration.milliseconds(20)
    private static let piece = 16 * 1024
    /// Bytes a second that this makes, each way.
    static let rate = Double(piece) * (Duration.seconds(1) / pace)

    let connector: TwinpathConnector
    let host: String
    let port: Int

    /// Goes on until a connection fails or the task is cancelled.
    func run(_ audience: any Audience) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await with(.stream, audience, stream) }
            group.addTask { try await with(.echo, audience) { try await echo($0, audience) } }
            // Both go on for ever: the first that ends has failed.
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func with(
        _ name: Key, _ audience: any Audience, _ use: @Sendable (TwinpathConnection) async throws -> Void
    ) async throws {
        let connection = try await connector.connect(to: host, port: port)
        let source = await audience.opened(name) { Sample(try connection.stats) }
        let listener = Task {
            for await event in connection.events { await audience.happened(event, to: source, name) }
        }
        let result: Result<Void, any Error>
        do { result = .success(try await use(connection)) } catch { result = .failure(error) }
        // What is still on its way is of no use to anyone.
        connection.abort()
        await listener.value
        await audience.closed(source, (try? connection.summary).map(Sample.init))
        try result.get()
    }

    private func stream(_ connection: TwinpathConnection) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            let piece = Data(repeating: 0x74, count: Self.piece)
            group.addTask {
                let clock = ContinuousClock()
                while true {
                    let begun = clock.now
                    try await connection.write(piece)
                    try await clock.sleep(until: begun + Self.pace)
                }
            }
            group.addTask {
                for try await _ in connection.bytes {}
                throw ServerEnded()
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func echo(_ connection: TwinpathConnection, _ audience: any Audience) async throws {
        let clock = ContinuousClock()
        let message = Data(repeating: 0x65, count: 64)
        while true {
            let sent = clock.now
            try await connection.write(message)
            var missing = message.count
            while missing > 0 {
                guard let bytes = try await connection.read(upTo: missing) else { throw ServerEnded() }
                missing -= bytes.count
            }
            await audience.echoed(after: clock.now - sent)
            try await clock.sleep(until: sent + .milliseconds(100))
        }
    }
}

/// Towards any web server: downloads the file again and again, and asks for its first byte twice a second.
struct WebWork: Sendable {
    let client: TwinpathHTTPClient
    let url: String

    /// Goes on until the task is cancelled, unless the first request fails.
    func run(_ audience: any Audience) async throws {
        try await probe(audience)
        try await withThrowingTaskGroup(of: Void.self) { group in
            // A small file is not asked for as often as can be.
            group.addTask {
                try await every(.milliseconds(100), audience) {
                    try await ask(.download, TwinpathRequest("GET", url), audience) { for try await _ in $0.bytes {} }
                }
            }
            group.addTask { try await every(.milliseconds(500), audience) { try await probe(audience) } }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func every(
        _ pace: Duration, _ audience: any Audience, _ ask: @Sendable () async throws -> Void
    ) async throws {
        let clock = ContinuousClock()
        while true {
            let begun = clock.now
            do { try await ask() } catch let error as TwinpathError {
                await audience.failed(error)
                try await clock.sleep(for: .milliseconds(500))
            }
            try await clock.sleep(until: begun + pace)
        }
    }

    private func probe(_ audience: any Audience) async throws {
        let clock = ContinuousClock()
        var request = TwinpathRequest("GET", url)
        request.headers = [("Range", "bytes=0-0")]
        let sent = clock.now
        // A server that knows no ranges sends everything: its first bytes do.
        try await ask(.probe, request, audience) { _ = try await $0.read(upTo: 1) }
        await audience.echoed(after: clock.now - sent)
    }

    private func ask(
        _ name: Key, _ request: TwinpathRequest, _ audience: any Audience,
        _ take: @Sendable (TwinpathResponse) async throws -> Void
    ) async throws {
        let response = try await client.send(request)
        guard (200..<300).contains(response.status) else { throw WrongStatus() }
        let source = await audience.opened(name) { Sample(try response.summary) }
        let result: Result<Void, any Error>
        do { result = .success(try await take(response)) } catch { result = .failure(error) }
        await audience.closed(source, (try? response.summary).map(Sample.init))
        try result.get()
    }
}

/// The service behind the gateway ended a connection that it should echo on.
struct ServerEnded: Error {}

/// The server has no such file.
struct WrongStatus: Error {}

extension Sample {
    init(_ stats: TwinpathStats) {
        for path in stats.paths { carried[path.role, default: 0] += path.sent + path.received }
        (mode, modeReason, protection) = (stats.mode, stats.modeReason, stats.protection)
    }

    init(_ summary: TwinpathSummary) {
        for path in summary.paths { carried[path.role, default: 0] += path.sent + path.received }
        mode = summary.mode
    }

    init(_ summary: RequestSummary) {
        for path in summary.paths { carried[path.role, default: 0] += path.sent + path.received }
        mode = summary.mode
        moves = Moves(
            hedges: summary.hedges, failovers: summary.failovers, failbacks: summary.failbacks,
            resumes: summary.resumes + summary.replays, worstStall: summary.worstStall)
    }
}
