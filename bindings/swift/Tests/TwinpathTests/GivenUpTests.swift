import Foundation
import XCTest

@testable import Twinpath

/// Calls that are given up at any moment, made after the end, or by many tasks at once.
final class GivenUpTests: LabTestCase {
    func testEveryCallAfterTheEndByManyTasksAtOnceSaysThatItIsClosed() async throws {
        for isAborted in [false, true] {
            let connection = try await connector().toGateway()
            try await connection.write("x")
            let failures = await withTaskGroup(of: (Int, (any Error)?).self) { group in
                for number in 0..<60 {
                    group.addTask {
                        do {
                            switch number % 6 {
                            case 0: while try await connection.read() != nil {}
                            case 1: while true { try await connection.write(Data(count: 100_000)) }
                            case 2: for try await _ in connection.bytes {}
                            case 3: for await _ in connection.events {}
                            case 4: _ = (try connection.stats, try connection.summary)
                            default: if isAborted { connection.abort() } else { try await connection.close() }
                            }
                            return (number % 6, nil)
                        } catch {
                            return (number % 6, error)
                        }
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            XCTAssertEqual(failures.count, 60)
            for (call, error) in failures {
                if let error {
                    XCTAssertEqual((error as? TwinpathError)?.kind, .closed, "\(call): \(error)")
                } else {
                    XCTAssertNotEqual(call, 1)
                }
            }
        }
    }

    func testReadsAndWritesThatAreGivenUpAtAnyMomentLoseNothing() async throws {
        let connection = try await connector().toGateway()
        let data = pattern(3_000_000)
        async let writing: Void = {
            var written = 0
            var pause = 0
            while written < data.count {
                let rest = data.dropFirst(written).prefix(400_000)
                let task = Task { try await connection.write(Data(rest)) }
                pause += 1
                try await Task.sleep(for: .microseconds(pause * 37 % 5000))
                task.cancel()
                do {
                    try await task.value
                    written += rest.count
                } catch let cancelled as WriteCancelled {
                    written += cancelled.accepted
                }
            }
            try connection.finish()
        }()
        var got = Data()
        var pause = 0
        while true {
            let task = Task { try await connection.read(upTo: 50_000) }
            pause += 1
            if pause % 3 == 0 { try await Task.sleep(for: .microseconds(pause * 53 % 3000)) }
            task.cancel()
            do {
                guard let bytes = try await task.value else { break }
                got += bytes
            } catch is CancellationError {}
        }
        try await writing
        XCTAssertEqual(got.count, data.count)
        XCTAssertTrue(got == data)
        try await connection.close()
    }

    func testEveryCallThatWaitsEndsSoonWhenItIsGivenUp() async throws {
        let connector = try connector()
        let client = try TwinpathHTTPClient(TwinpathConnector(anyServer()))
        let silent = try await connector.toGateway()
        let full = try await connector.toGateway()
        let answer = try await client.get("\(Lab.http)file?size=100000&pause=1000&for=60000")
        let another = try await client.get("\(Lab.http)file?size=100000&pause=1000&for=60000&id=another")
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("twinpath-\(UUID())")
        defer { try? FileManager.default.removeItem(at: file) }
        let calls: [(String, @Sendable () async throws -> Void)] = [
            ("read", { while try await silent.read() != nil {} }),
            ("bytes", { for try await _ in silent.bytes {} }),
            ("events", { for await _ in silent.events {} }),
            ("write", { while true { try await full.write(Data(count: 1_000_000)) } }),
            ("get", { _ = try await client.get("\(Lab.http)file?size=10&head=60000") }),
            ("data", { _ = try await answer.data() }),
            ("save", { try await another.save(to: file) }),
        ]
        for after in [0, 60] {
            for (name, call) in calls {
                let task = Task { try await call() }
                if after > 0 { try await pause(after) }
                let took = await milliseconds {
                    task.cancel()
                    _ = await task.result
                }
                XCTAssertLessThan(took, 1000, name)
            }
        }
        // None of them has harmed its connection.
        try await silent.write("still")
        let still = try await silent.read(exactly: 5)
        XCTAssertEqual(still, Data("still".utf8))
        silent.abort()
        full.abort()
    }

    func testConnectsThatAreGivenUpAtAnyMomentLeaveNothingOpen() async throws {
        let connector = try connector()
        let before = openSockets()
        for round in 0..<40 {
            let connecting = Task { try await connector.toGateway() }
            try await Task.sleep(for: .milliseconds(round * 2))
            connecting.cancel()
            if case .success(let connection) = await connecting.result { connection.abort() }
        }
        while openSockets() > before { try await pause(5) }
    }

    func testASequenceMayBeGoneThroughTwiceAndLeftInItsMiddle() async throws {
        let connection = try await connector().toGateway()
        let data = pattern(400_000)
        try await connection.write(data)
        try connection.finish()
        let (bytes, events) = (connection.bytes, connection.events)
        var got = Data()
        // Left, by one iterator after the other: nothing is lost between them.
        for try await piece in bytes {
            got += piece
            if got.count > 100_000 { break }
        }
        for try await piece in bytes { got += piece }
        for try await _ in bytes { XCTFail("it had ended") }
        XCTAssertEqual(got, data)
        for await _ in events { break }
        try await connection.close()
        // What is left of them ends with the connection, for each that listens.
        for await _ in events {}
        for await _ in connection.events {}
        let response = try await TwinpathHTTPClient(TwinpathConnector(anyServer())).get("\(Lab.http)file?size=300000&seed=6")
        var body = Data()
        for try await piece in response.bytes {
            body += piece
            break
        }
        for try await piece in response.bytes { body += piece }
        for try await _ in response.bytes { XCTFail("it had ended") }
        XCTAssertEqual(sha256(body), Lab.order("hash 6 300000"))
    }
}
