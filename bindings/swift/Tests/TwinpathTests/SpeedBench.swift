import Foundation
import TwinpathCore
import XCTest

@testable import Twinpath

/// What this language costs, beside Rust in the same run: no tests, and only run by `bindings/bench`.
final class SpeedBench: LabTestCase {
    override func setUpWithError() throws {
        try XCTSkipIf(ProcessInfo.processInfo.environment["TWINPATH_BENCH"] == nil, "measures, and tests nothing")
    }

    private func loopback() async throws -> TwinpathConnection {
        let address = ProcessInfo.processInfo.environment["TWINPATH_LAB_LOOPBACK"]!.split(separator: ":")
        return try await connector().connect(to: String(address[0]), port: Int(address[1])!)
    }

    private func number(_ size: UInt64) -> Data { withUnsafeBytes(of: size.bigEndian) { Data($0) } }

    func testCallsWithDataReady() async throws {
        let data = pattern(piece)
        let writing = try await loopback()
        try await writing.write(number(0))
        let writes = try await rounds(600) { times in
            // Once there is room for all of it.
            while try writing.stats.acknowledged < writing.stats.written { try await pause(1) }
            for _ in 0..<3 { times.append(try await micros { try await writing.write(data) }) }
        }
        writing.abort()
        let reading = try await loopback()
        try await reading.write(number(1 << 40))
        let reads = try await rounds(600) { times in
            try await pause(4)
            for _ in 0..<4 { times.append(try await micros { _ = try await reading.read(upTo: piece) }) }
        }
        let bareReads = try await rounds(600) { times in
            try await pause(4)
            for _ in 0..<4 {
                times.append(try await micros { _ = try reading.core.tryRead(max: UInt32(piece)) })
            }
        }
        reading.abort()
        let other = try await loopback()
        let bareWrites = try await rounds(600) { times in
            if times.isEmpty { try await other.write(number(0)) }
            while try other.stats.acknowledged < other.stats.written { try await pause(1) }
            for _ in 0..<3 { times.append(try await micros { _ = try other.core.tryWrite(data: data) }) }
        }
        compare("write 64 KiB", writes, bareWrites)
        compare("read 64 KiB", reads, bareReads)
        var (mine, bare): ([Double], [Double]) = ([], [])
        for _ in 0..<3_000 {
            mine.append(try await micros { _ = try other.stats })
            bare.append(try await micros { _ = try other.core.stats() })
        }
        compare("stats", mine, bare)
        (mine, bare) = ([], [])
        for _ in 0..<3_000 {
            mine.append(try await micros { _ = try other.summary })
            bare.append(try await micros { _ = try other.core.summary() })
        }
        compare("summary", mine, bare)
        other.abort()
    }

    func testADownloadOverTheLoopback() async throws {
        let size = 400_000_000
        var (mine, rust): ([Double], [Double]) = ([], [])
        for _ in 0..<5 {
            let connection = try await loopback()
            try await connection.write(number(UInt64(size)))
            let took = try await micros {
                var left = size
                while left > 0 { left -= try await connection.read()!.count }
            }
            connection.abort()
            mine.append(Double(size) / took)
            rust.append(Double(size) / Double(Lab.order("rust download \(size)"))!)
        }
        print("download: \(Int(median(mine))) MB/s, Rust \(Int(median(rust))) MB/s, \(ratio(mine, rust)) (0.8)")
    }

    func testTheStallWhenWifiFallsSilent() async throws {
        var (mine, rust): ([Double], [Double]) = ([], [])
        for _ in 0..<9 {
            mine.append(try await stall() / 1000)
            Lab.order("wifi heal")
            rust.append(Double(Lab.order("rust stall"))! / 1000)
        }
        print(
            "stall: \(Int(median(mine))) ms, worst \(Int(mine.max()!)); Rust \(Int(median(rust))) ms, worst \(Int(rust.max()!)) (20 ms apart)"
        )
    }

    /// The longest time for an echo of what is said every 10 ms, in microseconds.
    private func stall() async throws -> Double {
        let connection = try await connector().toGateway()
        while try !connection.stats.protection.isProtected { try await pause(1) }
        let said = Said()
        async let worst = {
            var worst = 0.0
            repeat {
                _ = try await connection.read(exactly: 100)
                worst = max(worst, await said.heard())
            } while await !said.isOver
            return worst
        }()
        let striking = Task {
            try await pause(500)
            Lab.order("wifi blackhole")
            try await pause(1000)
            await said.end()
        }
        while await !said.isEnding {
            await said.say()
            try await connection.write(Data(count: 100))
            try await pause(10)
        }
        try await striking.value
        // So that there is an echo after the end.
        await said.say()
        try await connection.write(Data(count: 100))
        let longest = try await worst
        connection.abort()
        return longest
    }

    private func rounds(_ count: Int, _ round: (inout [Double]) async throws -> Void) async throws -> [Double] {
        var times: [Double] = []
        for _ in 0..<count { try await round(&times) }
        return Array(times.dropFirst(times.count / 3))
    }

    private func micros(_ call: () async throws -> Void) async rethrows -> Double {
        try await milliseconds(call) * 1000
    }

    private func median(_ all: [Double]) -> Double { all.sorted()[all.count / 2] }

    private func ratio(_ one: [Double], _ other: [Double]) -> String { text(median(one) / median(other)) }

    private func text(_ number: Double) -> String { "\((number * 100).rounded() / 100)" }

    private func compare(_ what: String, _ mine: [Double], _ bare: [Double]) {
        print("\(what): \(text(median(mine))) µs, bare \(text(median(bare))) µs, \(ratio(mine, bare)) (1.2)")
    }
}

private actor Said {
    private var waiting: [ContinuousClock.Instant] = []
    private(set) var isEnding = false

    var isOver: Bool { isEnding && waiting.isEmpty }

    func say() { waiting.append(.now) }
    func end() { isEnding = true }

    func heard() -> Double {
        let took = (ContinuousClock.now - waiting.removeFirst()).components
        return Double(took.seconds) * 1e6 + Double(took.attoseconds) / 1e12
    }
}
