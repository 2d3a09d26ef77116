import Foundation
import Twinpath
import XCTest

/// What an app can set and see and no other test has to do with; `bindings/api/used` says whether something is missing.
final class EveryCallTests: LabTestCase {
    func testADiagnosisTellsOfEachPath() async throws {
        let json = try await TwinpathLibrary.diagnose(host: Lab.gatewayHost, port: Lab.gatewayPort)
        let told = try XCTUnwrap(JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
        XCTAssertEqual(told["v"] as? Int, 1)
        let paths = try XCTUnwrap(told["paths"] as? [[String: Any]])
        XCTAssertEqual(Set(paths.compactMap { $0["interface"] as? String }), ["wlan0", "wwan0"])
        // The gateway speaks MPTCP, and nothing in the lab takes it out.
        for path in paths { XCTAssertEqual(path["verdict"] as? String, "works", json) }
        let missing = await failure {
            try await TwinpathLibrary.diagnose(
                host: Lab.gatewayHost, port: Lab.gatewayPort, interfaces: ["nowhere0"])
        }
        XCTAssertTrue(missing?.message.contains("nowhere0") == true, "\(String(describing: missing))")
    }

    func testAHostMayBeAnExceptionAndAMandateDisobeyed() async throws {
        try TwinpathLibrary.setProxyMandated(true)
        defer { try? TwinpathLibrary.setProxyMandated(false) }
        var options = TwinpathOptions.handover
        options.dialer = legs
        options.peers = [Lab.gatewayHost: .gateway]
        options.followsLifeCycle = false
        options.respectMandates = false
        let connection = try await TwinpathConnector(options).toGateway()
        XCTAssertEqual(try connection.stats.mode, .emulated)
        connection.abort()
    }

    func testASessionIsHeldForNoLongerThanWasAskedFor() async throws {
        let connector = try connector { $0.timeToLive = .milliseconds(300) }
        let connection = try await connector.toGateway()
        try await connection.write("hello")
        _ = try await connection.read(exactly: 5)
        try connector.suspend()
        let ended = await failure { try await connection.read() }
        XCTAssertNotNil(ended)
        XCTAssertEqual(ended?.errorDescription, ended?.message)
    }

    func testTheAccountOfAConnectionAddsUp() async throws {
        let connection = try await connector().toGateway()
        while try !connection.stats.protection.isProtected { try await pause(5) }
        try await connection.write("hello")
        _ = try await connection.read(exactly: 5)
        try await pause(50)
        let stats = try connection.stats
        XCTAssertGreaterThan(stats.age, .milliseconds(50))
        XCTAssertLessThanOrEqual(stats.failbacks, stats.failovers)
        let primary = try XCTUnwrap(stats.paths.first)
        let roundTrip = try XCTUnwrap(primary.roundTrip)
        // The lab's Wi-Fi has 20 ms.
        XCTAssertGreaterThan(roundTrip, .milliseconds(15))
        let summary = try await connection.close()
        let unprotected = summary.unprotectedFor.values.reduce(.zero, +)
        XCTAssertGreaterThan(summary.protectedFor, .milliseconds(50))
        XCTAssertEqual(
            (summary.protectedFor + unprotected) / .milliseconds(1), summary.duration / .milliseconds(1), accuracy: 5)
        XCTAssertLessThanOrEqual(summary.needlessHedges, summary.hedges)
        XCTAssertEqual([summary.failbacks, summary.hedges], [stats.failbacks, stats.hedges])
    }

    func testRequestsTakeWhatTheyAreGiven() async throws {
        let target = "/file?size=10"
        let url = "\(Lab.http)redirect?to=\(target)"
        let followed = try await client().get(url)
        XCTAssertEqual(try followed.summary.redirects, 1)
        let handedOver = try await client { $0.redirects = 0 }.get(url)
        XCTAssertEqual(handedOver.status, 302)
        XCTAssertTrue(handedOver.headers.contains { $0.name.lowercased() == "location" && $0.value == target })
        var part = TwinpathRequest("GET", "\(Lab.http)file?size=100")
        part.headers = [(name: "range", value: "bytes=0-9")]
        let some = try await client().send(part)
        XCTAssertEqual(some.status, 206)
        let bytes = try await some.data()
        XCTAssertEqual(bytes.count, 10)
        part.method = "HEAD"
        part.headers = []
        let head = try await client().send(part)
        let nothing = try await head.data()
        XCTAssertEqual(nothing.count, 0)
    }

    func testWhatTakesTooLongEnds() async throws {
        var slow = TwinpathRequest("GET", "\(Lab.http)file?size=10&head=5000")
        let byClient = await failure { [slow] in try await client { $0.timeout = .milliseconds(100) }.send(slow) }
        XCTAssertEqual(byClient?.kind, .timedOut)
        slow.timeout = .milliseconds(100)
        let byRequest = await failure { [slow] in try await client().send(slow) }
        XCTAssertEqual(byRequest?.kind, .timedOut)
    }

    func testASlowRequestGoesOverTheBackupAsWell() async throws {
        let hedging = try client(.interactive) { $0.hedgeAfter = .milliseconds(50) }
        let response = try await hedging.get("\(Lab.http)file?size=10&head=600")
        _ = try await response.data()
        XCTAssertEqual(try response.summary.hedges, 1)
    }

    func testWhatDoesNoHarmTwiceIsSaidAgain() async throws {
        var post = TwinpathRequest("POST", "\(Lab.https)apply?id=swift3&head=700")
        post.repeatable = true
        let striking = Task {
            while Lab.order("applied id=swift3") == "0" { try await pause(5) }
            Lab.order("wifi blackhole")
        }
        let response = try await client().send(post)
        try await striking.value
        XCTAssertEqual(response.status, 200)
        let summary = try response.summary
        XCTAssertEqual([summary.replays, summary.restarts, summary.failbacks], [1, 0, 0])
    }

    func testTLSIsAsItIsAskedFor() async throws {
        let url = "\(Lab.https)file?size=10"
        let newest = try await client { $0.tls.onlyTLS13 = true }.get(url)
        XCTAssertEqual(newest.status, 200)
        let another = await failure { try await client { $0.tls.pins = [Data(repeating: 0, count: 32)] }.get(url) }
        XCTAssertEqual(another?.kind, .notPermitted)
        let nonsense = await failure {
            try client {
                var tls = TLSOptions()
                (tls.certificate, tls.key) = ("no certificate", "no key")
                $0.tls = tls
            }
        }
        XCTAssertEqual(nonsense?.kind, .invalidInput)
        let split = await failure { try client { $0.userAgent = "of two\nlines" } }
        XCTAssertEqual(split?.kind, .invalidInput)
    }

    func testRequestsRideAConnectionToAGateway() async throws {
        let client = try TwinpathHTTPClient(
            connector(), options: httpOptions { $0.connectTo = "\(Lab.gatewayHost):\(Lab.gatewayPort)" })
        // Behind the lab's gateway is an echo, which is no web server: it is told as such.
        let told = await failure { try await client.get("http://any.example/") }
        XCTAssertEqual(told?.kind, .protocolError)
    }

    private func client(
        _ service: ServiceType = .handover, _ change: (inout TwinpathHTTPOptions) -> Void = { _ in }
    ) throws -> TwinpathHTTPClient {
        let options = anyServer { ($0.service, $0.budgetPerDay) = (service, nil) }
        return try TwinpathHTTPClient(TwinpathConnector(options), options: httpOptions(change))
    }

    private func httpOptions(_ change: (inout TwinpathHTTPOptions) -> Void) -> TwinpathHTTPOptions {
        var options = TwinpathHTTPOptions()
        options.tls.roots = Lab.root
        options.tls.onlyTheseRoots = true
        change(&options)
        return options
    }
}
