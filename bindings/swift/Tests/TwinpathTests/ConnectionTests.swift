import Foundation
import XCTest

@testable import Twinpath

final class ConnectionTests: LabTestCase {
    func testAStreamSurvivesWifiFallingSilentAndGoesBackToIt() async throws {
        let data = pattern(12_000_000)
        let connection = try await connector().toGateway()
        async let events = connection.events.reduce(into: [TwinpathEvent]()) { $0.append($1) }
        async let writing: Void = {
            try await connection.write(data)
            try connection.finish()
        }()
        var got = try await connection.read(exactly: data.count / 4)
        Lab.order("wifi blackhole")
        got += try await connection.read(exactly: data.count / 4)
        XCTAssertEqual(try connection.stats.active, .backup)
        XCTAssertEqual(try connection.stats.failovers, 1)
        Lab.order("wifi heal")
        for try await bytes in connection.bytes { got += bytes }
        try await writing
        XCTAssertEqual(got, data)
        for path in try connection.stats.paths { XCTAssertGreaterThan(path.received, 1_000_000) }
        let summary = try await connection.close()
        XCTAssertEqual(summary.mode, .emulated)
        XCTAssertNil(summary.error)
        XCTAssertEqual(summary.written, Int64(data.count))
        XCTAssertEqual(summary.read, Int64(data.count))
        XCTAssertLessThan(summary.worstStall, .seconds(1))
        let told = await events
        XCTAssertEqual(told.last, .ended(summary))
        let established = try XCTUnwrap(told.firstIndex(of: .established))
        let failover = try XCTUnwrap(told.firstIndex { if case .failover = $0 { true } else { false } })
        XCTAssertLessThan(established, failover)
        guard case .failover(let from, let to, _, _) = told[failover] else { return XCTFail() }
        XCTAssertEqual(from, PathName(role: .primary, interface: "wlan0"))
        XCTAssertEqual(to, PathName(role: .backup, interface: "wwan0"))
    }

    func testWhileWifiIsGoodAColdBackupCarriesNothing() async throws {
        // By its own account: what other tests have left may still be ending.
        let connection = try await connector(.cold).toGateway()
        try await connection.write(pattern(1_000_000))
        _ = try await connection.read(exactly: 1_000_000)
        let backup = try await connection.close().paths[1]
        XCTAssertEqual([backup.sent, backup.received], [0, 0])
        XCTAssertEqual(backup.role, .backup)
    }

    func testACancelledReadReturnsAtOnceAndLosesNoByte() async throws {
        let data = pattern(2_000_000)
        let connection = try await connector().toGateway()
        async let writing: Void = connection.write(data)
        let got = Collected()
        for number in 0..<200 {
            let reading = Task {
                while let bytes = try await connection.read(upTo: 20_000) { await got.add(bytes) }
            }
            try await pause(number % 5)
            reading.cancel()
            _ = await reading.result
        }
        let rest = try await connection.read(exactly: data.count - got.bytes.count)
        let all = await got.bytes + rest
        XCTAssertEqual(all, data)
        try await writing
        let waiting = Task { try await connection.read() }
        try await pause(50)
        let took = try await milliseconds {
            waiting.cancel()
            let result = await waiting.result
            XCTAssertThrowsError(try result.get()) { XCTAssertTrue($0 is CancellationError) }
        }
        XCTAssertLessThan(took, 100)
        try await connection.write("still")
        let still = try await connection.read(exactly: 5)
        XCTAssertEqual(still, Data("still".utf8))
        connection.abort()
    }

    func testACancelledWriteTellsWhatWasAcceptedAndTheConnectionGoesOn() async throws {
        let data = pattern(32_000_000)
        let connection = try await connector().toGateway()
        // Nobody reads the echo, so that it has to wait.
        let writing = Task { try await connection.write(data) }
        try await pause(500)
        var accepted = 0
        let took = await milliseconds {
            writing.cancel()
            if case .failure(let error) = await writing.result {
                accepted = (error as? WriteCancelled)?.accepted ?? -1
            }
        }
        XCTAssertLessThan(took, 100)
        XCTAssertTrue((1..<data.count).contains(accepted), "\(accepted)")
        XCTAssertEqual(try connection.stats.written, Int64(accepted))
        let echoed = try await connection.read(exactly: accepted)
        XCTAssertEqual(echoed, data.prefix(accepted))
        try await connection.write("after")
        let after = try await connection.read(exactly: 5)
        XCTAssertEqual(after, Data("after".utf8))
        try await connection.close()
    }

    func testACancelledConnectLeavesNothingOpen() async throws {
        Lab.order("wifi blackhole")
        Lab.order("cellular blackhole")
        let connector = try connector()
        let before = openSockets()
        let connecting = Task { try await connector.toGateway() }
        try await pause(300)
        XCTAssertGreaterThan(openSockets(), before)
        let took = try await milliseconds {
            connecting.cancel()
            let result = await connecting.result
            XCTAssertThrowsError(try result.get()) { XCTAssertTrue($0 is CancellationError) }
        }
        XCTAssertLessThan(took, 100)
        while openSockets() > before { try await pause(5) }
    }

    func testASuspendedConnectionGoesOnWhenItIsResumed() async throws {
        let connector = try connector()
        let connection = try await connector.toGateway()
        try await connection.write("before")
        _ = try await connection.read(exactly: 6)
        try connector.suspend()
        while try connection.stats.paths.contains(where: \.isUp) { try await pause(5) }
        let before = try connection.stats.paths.map { $0.sent + $0.received }
        try await connection.write("later")
        try await pause(500)
        XCTAssertEqual(before, try connection.stats.paths.map { $0.sent + $0.received })
        try connector.resume()
        let later = try await connection.read(exactly: 5)
        XCTAssertEqual(later, Data("later".utf8))
        try await connection.close()
    }

    func testTwoHundredConnectionsSurviveWifiFallingSilent() async throws {
        let connector = try connector()
        let connections = try await withThrowingTaskGroup(of: TwinpathConnection.self) { group in
            for _ in 0..<200 { group.addTask { try await connector.toGateway() } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        func echo(_ text: String) async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for connection in connections {
                    group.addTask {
                        try await connection.write(text)
                        let echoed = try await connection.read(exactly: text.utf8.count)
                        XCTAssertEqual(echoed, Data(text.utf8))
                    }
                }
                try await group.waitForAll()
            }
        }
        try await echo("before")
        Lab.order("wifi blackhole")
        try await echo("after")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for connection in connections { group.addTask { try await connection.close() } }
            try await group.waitForAll()
        }
    }

    func testAThousandConnectionsLeaveNothingBehind() async throws {
        func cycles(_ number: Int) async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        for _ in 0..<number / 8 {
                            let connection = try await connector(.cold).toGateway()
                            try await connection.write("hello")
                            _ = try await connection.read(exactly: 5)
                            try await connection.close()
                        }
                    }
                }
                try await group.waitForAll()
            }
            // What was closed may still be ending.
            try await pause(2000)
        }
        try await cycles(200)
        let before = Footprint()
        try await cycles(1000)
        let after = Footprint()
        XCTAssertLessThanOrEqual(after.threads, before.threads + 2)
        XCTAssertLessThanOrEqual(after.descriptors, before.descriptors + 4)
        XCTAssertLessThanOrEqual(after.resident, before.resident + 16_000)
    }
}

private actor Collected {
    private(set) var bytes = Data()

    func add(_ more: Data) { bytes += more }
}

/// TCP sockets of this process.
func openSockets() -> Int {
    let files = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
    return files.filter {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)"))?.hasPrefix("socket:") == true
    }.count
}

private struct Footprint {
    let threads: Int
    let descriptors: Int
    /// In kilobytes.
    let resident: Int

    init() {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        func number(_ name: String) -> Int {
            let line = status.split(separator: "\n").first { $0.hasPrefix("\(name):") } ?? ""
            return Int(line.filter(\.isNumber)) ?? -1
        }
        threads = number("Threads")
        resident = number("VmRSS")
        descriptors = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? -1
    }
}
