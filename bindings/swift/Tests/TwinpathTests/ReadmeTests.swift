import Foundation
import Twinpath
import XCTest

// The example of the README.
func hello(host: String, port: Int) async throws {
    let connection = try await TwinpathConnection.connect(to: host, port: port, options: .gateway)
    let watching = Task { for await event in connection.events { print(event) } }
    try await connection.write(Data("hello".utf8))
    print(try await connection.read() as Any)
    print("worst stall: \(try await connection.close().worstStall)")
    await watching.value
}

// The same for requests to any web server.
func fetch(_ url: String, with client: TwinpathHTTPClient, to file: URL) async throws {
    let response = try await client.get(url)
    try await response.save(to: file)
    print(try response.summary)  // which path carried what, and what it cost
}

final class ReadmeTests: LabTestCase {
    func testTheExamplesOfTheReadmeAreTheseAndRun() async throws {
        let here = try String(contentsOfFile: #filePath, encoding: .utf8)
        let root = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../../../README.md").standardized
        let readme = try String(contentsOf: root, encoding: .utf8)
        let examples = readme.components(separatedBy: "```swift\n").dropFirst()
            .map { $0.components(separatedBy: "```")[0] }
        XCTAssertEqual(examples.count, 2)
        for example in examples { XCTAssertTrue(here.contains(example), "not compiled: \(example)") }
        try await hello(host: Lab.gatewayHost, port: Lab.gatewayPort)
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("twinpath-\(UUID())")
        defer { try? FileManager.default.removeItem(at: file) }
        let client = try TwinpathHTTPClient(TwinpathConnector())
        try await fetch("\(Lab.http)file?size=1000&seed=1", with: client, to: file)
        XCTAssertEqual(sha256(try Data(contentsOf: file)), Lab.order("hash 1 1000"))
    }
}
