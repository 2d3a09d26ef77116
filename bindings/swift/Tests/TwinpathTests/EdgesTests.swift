import Foundation
import TwinpathFaults
import XCTest

@testable import Twinpath

/// Calls that nobody makes on purpose: none of them may end the app.
final class EdgesTests: LabTestCase {
    func testNoDurationIsTooLongOrTooShort() async throws {
        let forEver: [Duration] = [.seconds(Int64.max), .seconds(1e20), .seconds(Int64.max) * 10]
        for limit in forEver {
            let connection = try await connector { ($0.connectTimeout, $0.timeToLive) = (limit, limit) }.toGateway()
            try await connection.write("hello")
            let hello = try await connection.read(exactly: 5)
            XCTAssertEqual(hello, Data("hello".utf8))
            connection.abort()
            var request = TwinpathRequest("GET", "\(Lab.http)file?size=10")
            request.timeout = limit
            let response = try await client {
                $0.timeout = limit
                $0.hedgeAfter = limit
            }.send(request)
            XCTAssertEqual(response.status, 200)
        }
        for nothing in [Duration.zero, .seconds(-5), .seconds(Int64.min), .seconds(-1e20)] {
            XCTAssertEqual(nothing.interval, 0)
            let late = await failure { try await connector { $0.connectTimeout = nothing }.toGateway() }
            XCTAssertEqual(late?.kind, .timedOut)
        }
        let faults = try FaultInjection()
        try faults.set(.primary, .delay(forEver[0]))
        let options = faults.injected(into: anyServer { ($0.peer, $0.budgetPerDay) = (.gateway, nil) })
        let connection = try await TwinpathConnector(options).toGateway()
        try await connection.write("x")
        _ = try await connection.read(exactly: 1)
        XCTAssertEqual(try connection.stats.active, .backup)
        connection.abort()
    }

    func testNoHostAndNoPortDoesMoreThanFail() async throws {
        let connector = try TwinpathConnector(anyServer { $0.connectTimeout = .milliseconds(300) })
        let long = String(repeating: "a", count: 100_000)
        let open = ["[", "]", "[]", "[::1", "::1]", ":", "::g", "fe80::1%no0", "a:80"]
        for host in open + ["", "\0", "a\0b", "\n", "..", "🦊", long] {
            let wrong = await failure { try await connector.connect(to: host, port: 9) }
            XCTAssertNotNil(wrong, host)
            let diagnosed = await failure { try await TwinpathLibrary.diagnose(host: host, port: 0) }
            XCTAssertEqual(diagnosed?.kind, .invalidInput)
        }
        for port in [Int.min, -1, 0, 65_536, Int.max] {
            let wrong = await failure { try await connector.connect(to: Lab.gatewayHost, port: port) }
            XCTAssertEqual(wrong?.kind, .invalidInput)
        }
        for url in ["", "\0", "http://", "http://[", "ftp://x/", "http://x:99999/", "http://a b/", long] {
            let wrong = await failure { try await client().get(url) }
            XCTAssertNotNil(wrong, url)
        }
    }

    func testWhatIsClosedSaysSoToEveryCall() async throws {
        for end in ["close", "abort"] {
            let connection = try await connector().toGateway()
            let reading = Task { await failure { while try await connection.read() != nil {} } }
            let full = Task { await failure { try await connection.write(Data(count: 32_000_000)) } }
            try await pause(100)
            if end == "abort" { connection.abort() } else { try await connection.close() }
            let (read, write) = (await reading.value, await full.value)
            XCTAssertEqual(read?.kind, .closed, end)
            XCTAssertEqual(write?.kind, .closed, end)
            let calls: [@Sendable () async throws -> Void] = [
                { _ = try await connection.read() }, { try await connection.write("x") }, { try connection.finish() },
                { _ = try await connection.freshLeg() }, { for try await _ in connection.bytes {} },
            ]
            for call in calls {
                let closed = await failure(call)
                XCTAssertEqual(closed?.kind, .closed, end)
            }
            try await connection.close()
            connection.abort()
            XCTAssertEqual(try connection.stats.paths.count, 2)
            _ = try connection.summary
            for await _ in connection.events {}
            for await _ in connection.events {}
        }
    }

    func testReadsAndWritesOfAnySize() async throws {
        let connection = try await connector().toGateway()
        for size in [0, -1, Int.min] {
            let wrong = await failure { try await connection.read(upTo: size) }
            XCTAssertEqual(wrong?.kind, .invalidInput)
        }
        try await connection.write(Data())
        // Of a slice, whose first index is not 0.
        let data = pattern(300_000)
        try await connection.write(data[100_000..<100_010])
        try await connection.write(data.dropFirst(299_000).prefix(0))
        var got = Data()
        while got.count < 10, let bytes = try await connection.read(upTo: .max) { got += bytes }
        XCTAssertEqual(got, data[100_000..<100_010])
        connection.abort()
    }

    func testWhatIsCancelledBeforeItBeginsDoesNothing() async throws {
        let connector = try connector()
        let connection = try await connector.toGateway()
        let client = try client()
        let calls: [@Sendable () async throws -> Void] = [
            { _ = try await connector.toGateway() }, { _ = try await connection.read() },
            { _ = try await client.get("\(Lab.http)file?size=10") }, { try await connection.write(pattern(1_000_000)) },
            { _ = try await TwinpathLibrary.diagnose(host: Lab.gatewayHost, port: Lab.gatewayPort) },
        ]
        for (number, call) in calls.enumerated() {
            let task = Task {
                while !Task.isCancelled { await Task.yield() }
                try await call()
            }
            task.cancel()
            let result = await task.result
            XCTAssertThrowsError(try result.get()) {
                XCTAssertTrue($0 is CancellationError || $0 is WriteCancelled, "\(number): \($0)")
            }
        }
        connection.abort()
    }

    func testSeveralReadersShareTheBytesAndNoneWaitsForEver() async throws {
        let connection = try await connector().toGateway()
        let size = 3_000_000
        async let writing: Void = {
            try await connection.write(pattern(size))
            try connection.finish()
        }()
        let counts = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    var count = 0
                    while let bytes = try await connection.read(upTo: 30_000) { count += bytes.count }
                    return count
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        try await writing
        XCTAssertEqual(counts.reduce(0, +), size)
        connection.abort()
    }

    func testAConnectionThatIsLetGoOfLeavesNothingOpen() async throws {
        let connector = try connector()
        let before = openSockets()
        for _ in 0..<10 {
            let connection = try await connector.toGateway()
            _ = connection.events.makeAsyncIterator()
            let waiting = Task { try await connection.read() }
            try await connection.write("x")
            _ = try await waiting.value
        }
        while openSockets() > before { try await pause(5) }
    }

    func testNumbersAndFilesThatCannotBeAreRefused() async throws {
        let url = "\(Lab.http)apply?id=edges"
        let files = [try XCTUnwrap(URL(string: "https://example.com/etc/hostname")), try XCTUnwrap(URL(string: "etc/hostname"))]
        let response = try await client().get("\(Lab.http)file?size=10")
        for file in files {
            let saved = await failure { try await response.save(to: file) }
            XCTAssertEqual(saved?.kind, .invalidInput)
            var put = TwinpathRequest("PUT", url)
            put.body = .file(file)
            let sent = await failure { [put] in try await client().send(put) }
            XCTAssertEqual(sent?.kind, .invalidInput)
        }
        var large = TwinpathRequest("PUT", url)
        large.body = .data(Data(count: 1 << 31))
        let sent = await failure { [large] in try await client().send(large) }
        XCTAssertEqual(sent?.kind, .invalidInput)
        XCTAssertEqual(Lab.order("applied id=edges"), "0")
        for redirects in [Int.min, -1, Int.max] {
            let wrong = await failure { try client { $0.redirects = redirects } }
            XCTAssertEqual(wrong?.kind, .invalidInput)
        }
        for size in [0, 31, 33, 100_000] {
            let pin = Data(repeating: 1, count: size)
            let gateway = await failure { try connector { $0.pin = pin } }
            XCTAssertEqual(gateway?.kind, .invalidInput)
            let web = await failure { try client { $0.tls.pins = [pin] } }
            XCTAssertEqual(web?.kind, .invalidInput)
        }
        let budget = await failure { try connector { $0.budgetPerDay = -1 } }
        XCTAssertEqual(budget?.kind, .invalidInput)
        try connector { $0.budgetPerDay = .max }.setBudgetUsed(.max)
    }

    private func client(_ change: (inout TwinpathHTTPOptions) -> Void = { _ in }) throws -> TwinpathHTTPClient {
        var options = TwinpathHTTPOptions()
        change(&options)
        return try TwinpathHTTPClient(TwinpathConnector(anyServer()), options: options)
    }
}
