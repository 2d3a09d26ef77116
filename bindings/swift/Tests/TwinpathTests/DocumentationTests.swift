import Foundation
import Twinpath
import XCTest

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

// The examples of the README.
func hello(host: String, port: Int) async throws {
    let connection = try await TwinpathConnection.connect(to: host, port: port, options: .gateway)
    let watching = Task { for await event in connection.events { print(event) } }
    try await connection.write(Data("hello".utf8))
    print(try await connection.read() as Any)
    print("worst stall: \(try await connection.close().worstStall)")
    await watching.value
}

func fetch(_ url: String, with client: TwinpathHTTPClient, to file: URL) async throws {
    let response = try await client.get(url)
    try await response.save(to: file)
    print(try response.summary)  // which path carried what, and what it cost
}

// Those of the catalogue.

func goOnLater(_ connector: TwinpathConnector, after pause: Duration) async throws {
    try connector.suspend()
    try await Task.sleep(for: pause)
    try connector.resume()
}

func askAgainIfLost(_ request: Data, over connection: TwinpathConnection) async throws -> Data? {
    do {
        try await connection.write(request)
        return try await connection.read()
    } catch let error as TwinpathError where error.kind == .interrupted {
        let fresh = try await connection.freshLeg()
        try await fresh.write(request)
        return try await fresh.read()
    }
}

func logWarnings(to print: @escaping @Sendable (String) -> Void) throws {
    try TwinpathLibrary.log(.warn) { level, module, line in print("\(level) \(module): \(line)") }
}

func firstRequest(_ url: String) async throws -> Data {
    let connector = try TwinpathConnector()
    let client = try TwinpathHTTPClient(connector)
    let response = try await client.get(url)
    let data = try await response.data()
    let summary = try response.summary
    print(response.status, summary.mode as Any, summary.worstStall, summary.onBackup)
    return data
}

func protectedSession(_ client: TwinpathHTTPClient) -> URLSession {
    TwinpathURLProtocol.client = client
    let configuration = URLSessionConfiguration.default
    TwinpathURLProtocol.cookies = configuration.httpCookieStorage
    configuration.protocolClasses = [TwinpathURLProtocol.self] + (configuration.protocolClasses ?? [])
    return URLSession(configuration: configuration)
}

func say(_ text: String, to host: String, port: Int) async throws -> Data? {
    let connection = try await TwinpathConnection.connect(to: host, port: port, options: .gateway)
    try await connection.write(Data(text.utf8))
    let answer = try await connection.read()
    try await connection.close()
    return answer
}

func restore(_ spent: Int64, into connector: TwinpathConnector) throws -> Int64? {
    try connector.setBudgetUsed(spent)
    return try connector.budget.remaining
}

struct LoggingDialer: LegDialer {
    let dialer: any LegDialer
    let log: @Sendable (LegTarget) -> Void

    func dial(_ target: LegTarget, pipe: LegPipe) throws -> any PlatformLeg {
        log(target)
        return try dialer.dial(target, pipe: pipe)
    }
}

func isProtected(_ connection: TwinpathConnection, show: @Sendable (String) -> Void) async -> Bool {
    for await event in connection.events {
        guard case .protectionChanged(let protection) = event else { continue }
        show(protection.description)
        if protection.isProtected { return true }
    }
    return false
}

func entitled(_ service: ServiceType) throws -> TwinpathConnector {
    var options = TwinpathOptions()
    options.service = service
    options.hasMultipathEntitlement = true
    return try TwinpathConnector(options)
}

final class DocumentationTests: LabTestCase {
    func testEveryExampleInTheDocumentationIsCompiledHere() throws {
        let here = URL(fileURLWithPath: #filePath)
        let compiled = try String(contentsOf: here, encoding: .utf8)
        let package = here.appendingPathComponent("../../..").standardized
        let catalogue = package.appendingPathComponent("Sources/Twinpath/Twinpath.docc")
        let pages = try FileManager.default.contentsOfDirectory(at: catalogue, includingPropertiesForKeys: nil)
        let readme = package.appendingPathComponent("../../README.md").standardized
        let examples = try ([readme] + pages).flatMap { page in
            try String(contentsOf: page, encoding: .utf8).components(separatedBy: "```swift\n").dropFirst()
                .map { $0.components(separatedBy: "```")[0] }
        }
        XCTAssertEqual(examples.count, 12)
        for example in examples { XCTAssertTrue(compiled.contains(example), "not compiled: \(example)") }
    }

    func testTheExamplesOfTheReadmeRun() async throws {
        try await hello(host: Lab.gatewayHost, port: Lab.gatewayPort)
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("twinpath-\(UUID())")
        defer { try? FileManager.default.removeItem(at: file) }
        let client = try TwinpathHTTPClient(TwinpathConnector())
        try await fetch("\(Lab.http)file?size=1000&seed=1", with: client, to: file)
        XCTAssertEqual(sha256(try Data(contentsOf: file)), Lab.order("hash 1 1000"))
    }

    func testTheExamplesOfFirstRequestsRun() async throws {
        let url = "\(Lab.http)file?size=1000&seed=1"
        let data = try await firstRequest(url)
        XCTAssertEqual(sha256(data), Lab.order("hash 1 1000"))
        defer { (TwinpathURLProtocol.client, TwinpathURLProtocol.cookies) = (nil, nil) }
        let session = protectedSession(try TwinpathHTTPClient(TwinpathConnector()))
        let (again, _) = try await session.data(from: try XCTUnwrap(URL(string: url)))
        XCTAssertEqual(again, data)
        let answer = try await say("hello", to: Lab.gatewayHost, port: Lab.gatewayPort)
        XCTAssertEqual(answer, Data("hello".utf8))
        XCTAssertEqual(try restore(49_000_000, into: TwinpathConnector()), 1_000_000)
    }

    func testTheExamplesOfModesErrorsAndLegsRun() async throws {
        let logged = Lines()
        try logWarnings { logged.add($0) }
        try TwinpathLibrary.log(.off, to: nil)
        let connecting = try connector { $0.dialer = LoggingDialer(dialer: PosixDialer()) { logged.add($0.host) } }
        let connection = try await connecting.toGateway()
        let shown = Lines()
        let isShown = await isProtected(connection) { shown.add($0) }
        XCTAssertTrue(isShown)
        XCTAssertEqual(shown.all.last, "protected")
        XCTAssertEqual(logged.all.first, Lab.gatewayHost)
        try await goOnLater(connecting, after: .milliseconds(10))
        let answer = try await askAgainIfLost(Data("hello".utf8), over: connection)
        XCTAssertEqual(answer, Data("hello".utf8))
        connection.abort()
        // What it means is tried where a dialer has such connections.
        _ = try entitled(.interactive)
    }
}

private final class Lines: @unchecked Sendable {
    private let lock = NSLock()
    private var lines: [String] = []
    var all: [String] { lock.withLock { lines } }

    func add(_ line: String) { lock.withLock { lines.append(line) } }
}
