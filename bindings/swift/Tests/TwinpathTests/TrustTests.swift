import Foundation
import XCTest

@testable import Twinpath

final class TrustTests: LabTestCase {
    private let url = "\(Lab.https)file?size=10"

    private func client(_ trust: any ServerTrust) throws -> TwinpathHTTPClient {
        var options = TwinpathHTTPOptions()
        options.tls.trust = trust
        return try TwinpathHTTPClient(TwinpathConnector(anyServer()), options: options)
    }

    func testAnAppDecidesByTheChainAndTheHost() async throws {
        let trust = Asked()
        let response = try await client(trust).get(url)
        XCTAssertEqual(response.status, 200)
        let asked = trust.asked
        XCTAssertEqual(asked.count, 1)
        XCTAssertEqual(asked.first?.host, URL(string: url)?.host)
        // A SEQUENCE of DER.
        XCTAssertEqual(asked.first?.chain.first?.first, 0x30)
    }

    func testWhatIsThrownIsARefusalWithItsReason() async throws {
        let client = try client(Refusing())
        let refused = await failure { [url] in try await client.get(url) }
        XCTAssertEqual(refused?.kind, .notPermitted)
        XCTAssertTrue(refused?.message.contains("notToday") == true, "\(String(describing: refused))")
    }
}

private final class Asked: ServerTrust, @unchecked Sendable {
    private let lock = NSLock()
    private var all: [(chain: [Data], host: String)] = []

    var asked: [(chain: [Data], host: String)] { lock.withLock { all } }

    func check(chain: [Data], host: String) throws {
        lock.withLock { all.append((chain, host)) }
    }
}

private struct Refusing: ServerTrust {
    struct NotToday: Error { let why = "notToday" }

    func check(chain: [Data], host: String) throws { throw NotToday() }
}
