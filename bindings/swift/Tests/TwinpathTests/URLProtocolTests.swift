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

    func testRequestsWithoutATimeLimitAreMade() async throws {
        let session = try session()
        for limit in [TimeInterval.infinity, .greatestFiniteMagnitude, 1e19, .nan, 0, -1] {
            var request = URLRequest(url: try XCTUnwrap(URL(string: "\(Lab.http)file?size=10")))
            request.timeoutInterval = limit
            let (data, _) = try await session.data(for: request)
            XCTAssertEqual(data.count, 10)
        }
    }

    func testHeadersThatSpeakOfTheConnectionDoNoHarm() async throws {
        let session = try session()
        for site in [Lab.http, Lab.https] {
            var put = URLRequest(url: try XCTUnwrap(URL(string: "\(site)apply?id=hop\(site.count)")))
            put.httpMethod = "PUT"
            put.httpBody = pattern(1000)
            put.setValue("1000", forHTTPHeaderField: "Content-Length")
            put.setValue("keep-alive", forHTTPHeaderField: "Connection")
            put.setValue("gzip, deflate, br", forHTTPHeaderField: "Accept-Encoding")
            let (_, response) = try await session.data(for: put)
            XCTAssertEqual((response as? HTTPURLResponse)?.statusCode, 200)
        }
    }

    func testABodyThatIsAStreamGoesUp() async throws {
        let session = try session()
        var put = URLRequest(url: try XCTUnwrap(URL(string: "\(Lab.http)apply?id=stream")))
        put.httpMethod = "PUT"
        put.httpBodyStream = InputStream(data: pattern(200_000))
        let (_, response) = try await session.data(for: put)
        XCTAssertEqual((response as? HTTPURLResponse)?.statusCode, 200)
    }

    #if canImport(FoundationNetworking)
        func testAnUploadIsNotSentWithoutItsBodyAndADownloadTaskEndsNothingButItself() async throws {
            let session = try session()
            let url = try XCTUnwrap(URL(string: "\(Lab.http)apply?id=upload"))
            var put = URLRequest(url: url)
            put.httpMethod = "PUT"
            let calls: [(URLRequest) async throws -> Void] = [
                { _ = try await session.upload(for: $0, from: pattern(1000)) }, { _ = try await session.download(for: $0) },
            ]
            for call in calls {
                do {
                    try await call(put)
                    XCTFail("it was made")
                } catch {
                    XCTAssertEqual((error as? URLError)?.code, .unsupportedURL, "\(error)")
                    XCTAssertEqual((error as? URLError)?.failingURL, url)
                }
            }
            XCTAssertEqual(Lab.order("applied id=upload"), "0")
        }
    #endif

    func testAHundredTasksOfWhichSomeAreCancelledAllEnd() async throws {
        let session = try session()
        let url = try XCTUnwrap(URL(string: "\(Lab.http)file?size=20000&seed=1"))
        let tasks = (0..<100).map { _ in Task { try await session.data(from: url).0.count } }
        for (number, task) in tasks.enumerated() where number % 3 == 0 {
            if number % 2 == 0 { try await pause(2) }
            task.cancel()
        }
        for (number, task) in tasks.enumerated() {
            switch await task.result {
            case .success(let count): XCTAssertEqual(count, 20_000)
            case .failure(let error): XCTAssertTrue(number % 3 == 0, "\(error)")
            }
        }
        let last = Task { try await session.data(from: XCTUnwrap(URL(string: "\(Lab.http)file?size=10&head=20000"))) }
        try await pause(100)
        session.invalidateAndCancel()
        let result = await last.result
        XCTAssertThrowsError(try result.get())
    }

    func testFiftyTasksAtOnceSurviveTheDeathOfWifi() async throws {
        let session = try session()
        for site in [Lab.http, Lab.https] {
            func url(_ number: Int) throws -> URL {
                try XCTUnwrap(URL(string: "\(site)file?id=\(number)&size=60000&seed=4"))
            }
            let whole = try await session.data(from: url(-1)).0
            XCTAssertEqual(sha256(whole), Lab.order("hash 4 60000"))
            let before = Int(Lab.order("cellular payload"))!
            let tasks = try (0..<50).map { number in
                let url = try url(number)
                return Task { try await session.data(from: url).0 }
            }
            try await pause(200)
            Lab.order("wifi blackhole")
            for task in tasks {
                let data = try await task.value
                XCTAssertEqual(data, whole)
            }
            XCTAssertGreaterThan(Int(Lab.order("cellular payload"))! - before, 100_000)
            Lab.order("wifi heal")
        }
    }

    func testAnUploadArrivesOnceThoughWifiDiesInItsMiddle() async throws {
        let session = try session()
        let size = 4_000_000
        var put = URLRequest(url: try XCTUnwrap(URL(string: "\(Lab.https)apply?id=dying")))
        put.httpMethod = "PUT"
        put.httpBody = pattern(size)
        let sending = Task { [put] in try await session.data(for: put) }
        try await pause(250)
        Lab.order("wifi blackhole")
        let (answer, _) = try await sending.value
        XCTAssertEqual(String(decoding: answer, as: UTF8.self), "\(size) bytes")
        XCTAssertEqual(Lab.order("applied id=dying"), "1")
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
