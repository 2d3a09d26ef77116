import Foundation
import XCTest

@testable import Twinpath

/// Legs by dialers that do what they should not. None of them may end the app, or keep a caller waiting.
final class HostileLegsTests: LabTestCase {
    private func connector(_ dial: @escaping @Sendable (LegPipe) throws -> any PlatformLeg, _ limit: Duration = .seconds(5)) throws
        -> TwinpathConnector
    {
        var options = TwinpathOptions()
        (options.mode, options.connectTimeout) = (.plainPair, limit)
        options.dialer = Dialling(dial)
        return try TwinpathConnector(options)
    }

    func testADialThatIsNeverAnsweredEndsInTimeAndEveryLegOfItIsClosed() async throws {
        let legs = Legs()
        let connector = try connector({ legs.add($0) }, .milliseconds(400))
        let late = await failure { try await connector.connect(to: Lab.gatewayHost, port: 9) }
        XCTAssertEqual(late?.kind, .timedOut)
        let given = Task { try await connector.connect(to: Lab.gatewayHost, port: 9) }
        let before = legs.all.count
        while legs.all.count == before { try await pause(5) }
        given.cancel()
        let result = await given.result
        XCTAssertThrowsError(try result.get()) { XCTAssertTrue($0 is CancellationError, "\($0)") }
        while legs.all.contains(where: { !$0.isClosed }) { try await pause(5) }
    }

    func testWhatIsToldOfALegAfterItWasClosedIsIgnored() async throws {
        let legs = Legs()
        let connector = try connector { pipe in
            pipe.connected(peer: nil, rtt: nil)
            return legs.add(pipe)
        }
        let connection = try await connector.connect(to: Lab.gatewayHost, port: 9)
        let waiting = Task { await failure { try await connection.read() } }
        connection.abort()
        let closed = await waiting.value
        XCTAssertEqual(closed?.kind, .closed)
        while legs.all.contains(where: { !$0.isClosed }) { try await pause(5) }
        await withTaskGroup(of: Void.self) { group in
            for leg in legs.all {
                for number in 0..<50 {
                    group.addTask {
                        switch number % 6 {
                        case 0: leg.pipe.received(Data(count: 100_000))
                        case 1: leg.pipe.sent(.max)
                        case 2: leg.pipe.failed(.reset, "late", osCode: .min)
                        case 3: leg.pipe.receivedEnd()
                        case 4: leg.pipe.connected(peer: "nobody", rtt: .seconds(-1))
                        default: leg.pipe.received(Data())
                        }
                    }
                }
            }
        }
        XCTAssertEqual(legs.all.map(\.closings), legs.all.map { _ in 1 })
    }

    func testMoreThanWasAskedForFailsTheLegAndNotTheApp() async throws {
        for pieces in [[200_000], [65_536, 65_536, 65_536], [1 << 31]] {
            let connector = try connector { pipe in
                pipe.connected(peer: nil, rtt: nil)
                return Answering { _ in pieces.forEach { pipe.received(Data(count: $0)) } }
            }
            let connection = try await connector.connect(to: Lab.gatewayHost, port: 9)
            let lost = await failure { while try await connection.read() != nil {} }
            XCTAssertNotNil(lost, "\(pieces)")
            connection.abort()
        }
    }

    func testNumbersThatCannotBeAreTakenForWhatTheyCanBe() async throws {
        let connector = try connector { pipe in
            pipe.connected(peer: "no address %%", rtt: .seconds(Int64.min))
            return Answering(
                receive: { _ in },
                send: { _ in
                    for count in [Int.min, -1, 0, Int.max] { pipe.sent(count) }
                })
        }
        let connection = try await connector.connect(to: Lab.gatewayHost, port: 9)
        try await connection.write(Data(count: 1_000_000))
        _ = try connection.stats
        connection.abort()
    }

    func testALegMayAnswerInsideOfEveryCall() async throws {
        let asked = Legs()
        let connector = try connector { pipe in
            pipe.connected(peer: nil, rtt: .zero)
            // Nothing of this is of any use, and all of it inside of the dial.
            pipe.connected(peer: "::1", rtt: nil)
            pipe.sent(7)
            asked.add(pipe)
            return Echoing(pipe)
        }
        let connection = try await connector.connect(to: Lab.gatewayHost, port: 9)
        let data = pattern(1_500_000)
        async let writing: Void = {
            try await connection.write(data)
            try connection.finish()
        }()
        var got = Data()
        for try await bytes in connection.bytes { got += bytes }
        try await writing
        XCTAssertEqual(got, data)
        // The leg's close answers as well.
        try await connection.close()
    }

    func testADialerMayCallTheLibraryThatCallsIt() async throws {
        let held = Held<TwinpathConnector>()
        let connector = try connector { pipe in
            _ = try held.value?.budget
            try held.value?.setDataSaving(false)
            try TwinpathLibrary.setProxyMandated(false)
            pipe.connected(peer: nil, rtt: nil)
            return Echoing(pipe)
        }
        held.value = connector
        defer { held.value = nil }
        let connection = try await connector.connect(to: Lab.gatewayHost, port: 9)
        try await connection.write("x")
        let echo = try await connection.read()
        XCTAssertEqual(echo, Data("x".utf8))
        connection.abort()
    }

    func testAConnectionThatIsLetGoOfClosesItsLegs() async throws {
        let legs = Legs()
        let connector = try connector { pipe in
            pipe.connected(peer: nil, rtt: nil)
            return legs.add(pipe)
        }
        for _ in 0..<20 {
            let connection = try await connector.connect(to: Lab.gatewayHost, port: 9)
            // A sequence of it, an iterator and a wait that is given up do not keep it.
            var bytes = connection.bytes.makeAsyncIterator()
            _ = connection.events.makeAsyncIterator()
            let waiting = Task { try await bytes.next() }
            await Task.yield()
            waiting.cancel()
            _ = await waiting.result
        }
        while legs.all.contains(where: { !$0.isClosed }) { try await pause(5) }
        XCTAssertGreaterThanOrEqual(legs.all.count, 20)
    }
}

private struct Dialling: LegDialer {
    let dialled: @Sendable (LegPipe) throws -> any PlatformLeg

    init(_ dialled: @escaping @Sendable (LegPipe) throws -> any PlatformLeg) { self.dialled = dialled }

    func dial(_ target: LegTarget, pipe: LegPipe) throws -> any PlatformLeg { try dialled(pipe) }
}

/// Legs that say nothing by themselves.
private final class Legs: @unchecked Sendable {
    final class Leg: PlatformLeg, @unchecked Sendable {
        let pipe: LegPipe
        private let lock = NSLock()
        private var count = 0
        var closings: Int { lock.withLock { count } }
        var isClosed: Bool { closings > 0 }

        init(_ pipe: LegPipe) { self.pipe = pipe }

        func send(_ bytes: Data) {}
        func receive(max: Int) {}
        func finish() {}
        func close(aborted: Bool) { lock.withLock { count += 1 } }
    }

    private let lock = NSLock()
    private var made: [Leg] = []
    var all: [Leg] { lock.withLock { made } }

    @discardableResult
    func add(_ pipe: LegPipe) -> Leg {
        let leg = Leg(pipe)
        lock.withLock { made.append(leg) }
        return leg
    }
}

private final class Answering: PlatformLeg {
    private let received: @Sendable (Int) -> Void
    private let sent: @Sendable (Data) -> Void

    init(receive: @escaping @Sendable (Int) -> Void, send: @escaping @Sendable (Data) -> Void = { _ in }) {
        (received, sent) = (receive, send)
    }

    func send(_ bytes: Data) { sent(bytes) }
    func receive(max: Int) { received(max) }
    func finish() {}
    func close(aborted: Bool) {}
}

/// Gives back what it is sent, inside of the calls that ask for it.
private final class Echoing: PlatformLeg, @unchecked Sendable {
    private let pipe: LegPipe
    private let lock = NSRecursiveLock()
    private var held = Data()
    private var wanted = 0
    private var isFinished = false

    init(_ pipe: LegPipe) { self.pipe = pipe }

    func send(_ bytes: Data) {
        lock.withLock {
            held += bytes
            answer()
            pipe.sent(bytes.count)
        }
    }

    func receive(max: Int) {
        lock.withLock {
            wanted = max
            answer()
        }
    }

    func finish() {
        lock.withLock {
            isFinished = true
            answer()
        }
    }

    func close(aborted: Bool) {
        pipe.sent(1)
        pipe.received(Data([1]))
        pipe.failed(.closed, "it closes")
        pipe.receivedEnd()
    }

    private func answer() {
        guard wanted > 0 else { return }
        if held.isEmpty {
            if isFinished { pipe.receivedEnd() }
            return
        }
        let next = Data(held.prefix(wanted))
        held = Data(held.dropFirst(next.count))
        wanted = 0
        pipe.received(next)
    }
}
