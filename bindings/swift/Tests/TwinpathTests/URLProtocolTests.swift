import Foundation
import XCTest

@testable import Twinpath

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

final class URLProtocolTests: LabTestCase {
    private func session() throws -> URLSession {
        let connecting = anyServer { $0.budgetPerDay = nil }
        var options = TwinpathHTTPOptions()
        options.tls.roots = Lab.root
        options.tls.onlyTheseRoots = true
        TwinpathURLProtocol.client = try TwinpathHTTPClient(TwinpathConnector(connecting), options: options)
        let configuration = URLSessionConfiguration.ephemeral
        configuration.protocolClasses = [TwinpathURLProtocol.self]
        return URLSession(configuration: configuration)
    }

    override func tearDown() {
        TwinpathURLProtocol.client = nil
        super.tearDown()
    }

    func testADownloadOfURLSessionGoesOnWhenWifiDies() async throws {
        let session = try session()
        let url = try XCTUnwrap(URL(string: "\(Lab.https)file?id=session&size=6000000&seed=3"))
        let striking = Task {
            try await pause(400)
            Lab.order("wifi blackhole")
        }
        let before = Int(Lab.order("cellular payload"))!
        let (data, response) = try await session.data(from: url)
        try await striking.value
        XCTAssertEqual((response as? HTTPURLResponse)?.statusCode, 200)
        XCTAssertEqual(sha256(data), Lab.order("hash 3 6000000"))
        XCTAssertGreaterThan(Int(Lab.order("cellular payload"))! - before, 1_000_000)
    }

    func testBodiesGoUpAndFailuresAreURLSessions() async throws {
        let session = try session()
        var put = URLRequest(url: try XCTUnwrap(URL(string: "\(Lab.http)apply?id=session")))
        put.httpMethod = "PUT"
        put.httpBody = pattern(100_000)
        let (_, response) = try await session.data(for: put)
        XCTAssertEqual((response as? HTTPURLResponse)?.statusCode, 200)
        XCTAssertEqual(Lab.order("applied id=session"), "1")
        let nobody = try XCTUnwrap(URL(string: "http://\(Lab.gatewayHost):9/"))
        do {
            _ = try await session.data(from: nobody)
            XCTFail("nobody answers there")
        } catch {
            XCTAssertEqual((error as? URLError)?.code, .cannotConnectToHost, "\(error)")
        }
    }

    func testACancelledTaskOfURLSessionEndsAtOnce() async throws {
        let session = try session()
        let url = try XCTUnwrap(URL(string: "\(Lab.http)file?size=10&head=20000"))
        let loading = Task { try await session.data(from: url) }
        try await pause(300)
        let took = await milliseconds {
            loading.cancel()
            _ = await loading.result
        }
        XCTAssertLessThan(took, 200)
    }
}
