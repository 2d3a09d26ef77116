import Foundation
import XCTest

@testable import Twinpath

final class HTTPTests: LabTestCase {
    private func client() throws -> TwinpathHTTPClient {
        let connecting = anyServer {
            $0.standby = .cold
            $0.budgetPerDay = nil
        }
        var options = TwinpathHTTPOptions()
        options.tls.roots = Lab.root
        options.tls.onlyTheseRoots = true
        return try TwinpathHTTPClient(TwinpathConnector(connecting), options: options)
    }

    func testADownloadGoesOnInItsMiddleWhenWifiDies() async throws {
        for site in [Lab.http, Lab.https] {
            let response = try await client().get("\(site)file?id=swift\(site.count)&size=6000000&seed=3")
            XCTAssertEqual(response.status, 200)
            XCTAssertEqual(response.contentLength, 6_000_000)
            var got = Data()
            while got.count < 1_500_000, let bytes = try await response.read() { got += bytes }
            Lab.order("wifi blackhole")
            for try await bytes in response.bytes { got += bytes }
            XCTAssertEqual(got.count, 6_000_000)
            XCTAssertEqual(sha256(got), Lab.order("hash 3 6000000"))
            let summary = try response.summary
            XCTAssertEqual(summary.resumes, 1)
            XCTAssertEqual(summary.fetchedAgain, 0)
            XCTAssertEqual(summary.paths.map(\.role), [.primary, .backup])
            XCTAssertEqual(try response.progress, TwinpathResponse.Progress(received: 6_000_000, total: 6_000_000))
            Lab.order("wifi heal")
        }
    }

    func testADownloadIntoAFileCanBeCancelledAndGoneOnWith() async throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("twinpath-\(UUID())")
        defer { try? FileManager.default.removeItem(at: file) }
        let response = try await client().get("\(Lab.https)file?size=8000000&seed=5")
        let saving = Task { try await response.save(to: file) }
        while (try? Data(contentsOf: file).count) ?? 0 < 2_000_000 { try await pause(5) }
        saving.cancel()
        _ = await saving.result
        try await response.save(to: file)
        XCTAssertEqual(sha256(try Data(contentsOf: file)), Lab.order("hash 5 8000000"))
    }

    func testWhatIsNotToBeDoneTwiceIsDoneOnce() async throws {
        let client = try client()
        var post = TwinpathRequest("POST", "\(Lab.https)apply?id=swift1&head=700")
        post.body = .data(Data("amount=1".utf8))
        let striking = Task {
            while Lab.order("applied id=swift1") == "0" { try await pause(5) }
            Lab.order("wifi blackhole")
        }
        let lost = await failure { [post] in try await client.send(post) }
        XCTAssertEqual(lost?.kind, .interrupted)
        try await striking.value
        XCTAssertEqual(Lab.order("applied id=swift1"), "1")
        post.url = "\(Lab.https)apply?id=swift2"
        post.idempotencyKey = "a-key"
        let response = try await client.send(post)
        XCTAssertEqual(response.status, 200)
        XCTAssertEqual(Lab.order("applied id=swift2"), "1")
    }

    func testHeadsAreToldAndBodiesGoUpFromFiles() async throws {
        let client = try client()
        let zipped = try await client.get("\(Lab.https)file?size=100000&seed=2&gzip=1")
        XCTAssertEqual(zipped.version, "HTTP/2.0")
        XCTAssertNil(zipped.header("Content-Encoding"))
        let plain = try await zipped.data()
        XCTAssertEqual(sha256(plain), Lab.order("hash 2 100000"))
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("twinpath-\(UUID())")
        defer { try? FileManager.default.removeItem(at: file) }
        try pattern(300_000).write(to: file)
        var put = TwinpathRequest("PUT", "\(Lab.http)apply?id=put")
        put.body = .file(file)
        let response = try await client.send(put)
        XCTAssertEqual(response.status, 200)
    }

    func testWhoIsNotTrustedIsNotTalkedTo() async throws {
        let client = try TwinpathHTTPClient(TwinpathConnector(anyServer()))
        let refused = await failure { try await client.get("\(Lab.https)file?size=10") }
        XCTAssertEqual(refused?.kind, .notPermitted)
    }
}

/// In hexadecimal digits, by the tool that every system has.
func sha256(_ data: Data) -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/sha256sum")
    let (input, output) = (Pipe(), Pipe())
    process.standardInput = input
    process.standardOutput = output
    try! process.run()
    input.fileHandleForWriting.write(data)
    try! input.fileHandleForWriting.close()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return String(text.prefix(64))
}
