import Foundation
import XCTest

@testable import Twinpath

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// What `URLSession`'s own loading does, `TwinpathURLProtocol` does, towards the same server.
final class URLProtocolBesideTests: LabTestCase {
    private var servers: [SmallServer] = []

    override func setUpWithError() throws {
        TwinpathURLProtocol.client = try TwinpathHTTPClient(TwinpathConnector(anyServer { $0.budgetPerDay = nil }))
    }

    override func tearDown() {
        servers.forEach { $0.stop() }
        (TwinpathURLProtocol.client, TwinpathURLProtocol.cookies) = (nil, nil)
        super.tearDown()
    }

    private func server(_ script: @escaping SmallServer.Script) -> SmallServer {
        let server = SmallServer(script)
        servers.append(server)
        return server
    }

    private func session(ours: Bool = true, _ storage: HTTPCookieStorage? = nil) -> URLSession {
        let configuration = URLSessionConfiguration.ephemeral
        if let storage { configuration.httpCookieStorage = storage }
        if ours { configuration.protocolClasses = [TwinpathURLProtocol.self] }
        return URLSession(configuration: configuration)
    }

    /// Status, length as expected, and body; or the code of an error.
    private func outcome(_ request: URLRequest, ours: Bool = true) async -> String {
        do {
            let (data, response) = try await session(ours: ours).data(for: request)
            let head = response as! HTTPURLResponse
            return "\(head.statusCode) \(head.url!.path) \(String(decoding: data, as: UTF8.self))"
        } catch {
            return "error \((error as? URLError)?.code.rawValue ?? 0)"
        }
    }

    private func request(_ url: String, _ change: (inout URLRequest) -> Void = { _ in }) throws -> URLRequest {
        var request = URLRequest(url: try XCTUnwrap(URL(string: url)))
        change(&request)
        return request
    }

    func testAnswersOfAllKindsAreWhatURLSessionMakesOfThem() async throws {
        let zipped = "\u{1f}\u{8b}\u{8}\0\0\0\0\0\0\u{3}\u{cb}\u{48}\u{cd}\u{c9}\u{c9}\u{7}\0\u{86}\u{a6}\u{10}\u{36}\u{5}\0\0\0"
        let server = server { seen in
            switch seen.target {
            case "/zipped": [answer(200, ["Content-Encoding: gzip"], zipped)]
            case "/open": ["HTTP/1.1 200 so\r\n\r\nuntil the end", nil]
            case "/chunks": ["HTTP/1.1 200 so\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
            case "/none": ["HTTP/1.1 204 so\r\n\r\n"]
            case "/known": ["HTTP/1.1 304 so\r\nETag: \"x\"\r\n\r\n"]
            case "/wrong": [answer(500, [], "wrong")]
            case "/busy": [answer(503, ["Retry-After: 30"], "busy")]
            case "/head": ["HTTP/1.1 200 so\r\nContent-Length: 1234\r\n\r\n"]
            case "/hints": ["HTTP/1.1 103 so\r\nLink: </a>\r\n\r\n", answer(200, [], "late")]
            default: [answer(200, [], "\(seen.method) \(seen.body.count) \(seen.headers["range"] ?? "all")")]
            }
        }
        func put(_ name: String = "X-Name", _ value: String = "x") -> (inout URLRequest) -> Void {
            {
                $0.httpMethod = "PUT"
                $0.httpBody = Data("0123456789".utf8)
                $0.setValue(value, forHTTPHeaderField: name)
            }
        }
        let cases: [(String, (inout URLRequest) -> Void)] = [
            ("zipped", { _ in }), ("open", { _ in }), ("chunks", { _ in }), ("none", { _ in }), ("known", { _ in }),
            ("wrong", { _ in }), ("busy", { _ in }), ("hints", { _ in }), ("head", { $0.httpMethod = "HEAD" }),
            ("zipped", { $0.setValue("br;q=1.0, gzip;q=0.9", forHTTPHeaderField: "Accept-Encoding") }),
            ("part", { $0.setValue("bytes=1-2", forHTTPHeaderField: "Range") }), ("put", put()),
            ("put", put("Expect", "100-continue")), ("put", put("Transfer-Encoding", "chunked")),
            ("post", { $0.httpMethod = "POST" }), ("patch", { $0.httpMethod = "PATCH" }),
            ("query?a=%20b&c=d%2Be#part", { _ in }),
            (
                "stream",
                {
                    $0.httpMethod = "PUT"
                    $0.httpBodyStream = InputStream(data: pattern(5000))
                }
            ),
        ]
        for (path, change) in cases {
            let plain = await outcome(try request(server.url + path, change), ours: false)
            let ours = await outcome(try request(server.url + path, change))
            XCTAssertEqual(ours, plain, path)
        }
        let targets = server.seen.map { "\($0)" }
        XCTAssertEqual(targets.count, 2 * cases.count)
        let (plain, ours) = (stride(from: 0, to: targets.count, by: 2), stride(from: 1, to: targets.count, by: 2))
        XCTAssertEqual(ours.map { targets[$0] }, plain.map { targets[$0] })
    }

    func testRedirectsChangeMethodsAndKeepBodies() async throws {
        let server = server { seen in
            guard seen.target.hasPrefix("/r") else { return [answer(200, [], "\(seen.method) \(seen.body.count)")] }
            return [answer(Int(seen.target.dropFirst(2))!, ["Location: there"])]
        }
        for (code, method, expected) in [
            (301, "GET", "GET 0"), (302, "GET", "GET 0"), (303, "GET", "GET 0"), (307, "GET", "GET 0"), (308, "GET", "GET 0"),
            (301, "POST", "GET 0"), (302, "POST", "GET 0"), (303, "POST", "GET 0"), (307, "POST", "POST 9"), (308, "POST", "POST 9"),
            (302, "PUT", "PUT 9"), (303, "PUT", "GET 0"),
        ] {
            for isStream in [false, true] where method != "GET" || !isStream {
                let outcome = await outcome(
                    try request("\(server.url)r\(code)") {
                        $0.httpMethod = method
                        guard method != "GET" else { return }
                        if isStream { $0.httpBodyStream = InputStream(data: pattern(9)) } else { $0.httpBody = pattern(9) }
                    })
                XCTAssertEqual(outcome, "200 /there \(expected)", "\(code) \(method)")
            }
        }
    }

    func testRedirectsThatLeadNowhereFailAsTheyDoInURLSession() async throws {
        let server = server { seen in
            switch seen.target {
            case "/round": [answer(302, ["Location: /round"])]
            case "/file": [answer(302, ["Location: ftp://127.0.0.1:1/"])]
            case "/choice": [answer(300, ["Location: /other"], "choose")]
            default: [answer(404)]
            }
        }
        for path in ["round", "choice"] {
            let plain = await outcome(try request(server.url + path), ours: false)
            let ours = await outcome(try request(server.url + path))
            XCTAssertEqual(ours, plain, path)
        }
        let elsewhere = await outcome(try request("\(server.url)file"))
        XCTAssertEqual(elsewhere, "error \(URLError.Code.unsupportedURL.rawValue)")
        // What nobody could read must not become readable on the way.
        var options = TwinpathHTTPOptions()
        (options.tls.roots, options.tls.onlyTheseRoots) = (Lab.root, true)
        TwinpathURLProtocol.client = try TwinpathHTTPClient(TwinpathConnector(anyServer()), options: options)
        let open = await outcome(try request("\(Lab.https)redirect?to=\(Lab.http)apply"))
        XCTAssertEqual(open, "error \(URLError.Code.appTransportSecurityRequiresSecureConnection.rawValue)")
        let closed = await outcome(try request("\(Lab.http)redirect?to=\(Lab.https)file%3Fsize%3D0"))
        XCTAssertEqual(closed, "200 /file ")
    }

    func testSecretsStayWithTheServerTheyAreFor() async throws {
        let other = server { _ in [answer(200)] }
        let first = server { seen in
            [seen.target == "/here" ? answer(200) : answer(307, ["Location: \(seen.target == "/away" ? other.url : "/here")"])]
        }
        for path in ["stay", "away"] {
            let outcome = await outcome(
                try request(first.url + path) {
                    $0.setValue("secret", forHTTPHeaderField: "Authorization")
                    $0.setValue("a=1", forHTTPHeaderField: "Cookie")
                    $0.setValue("all", forHTTPHeaderField: "X-For")
                })
            XCTAssertTrue(outcome.hasPrefix("200"), outcome)
        }
        let stayed = try XCTUnwrap(first.seen.first { $0.target == "/here" })
        XCTAssertEqual(stayed.headers["authorization"], "secret")
        let away = try XCTUnwrap(other.seen.first)
        XCTAssertNil(away.headers["authorization"])
        XCTAssertNil(away.headers["cookie"])
        XCTAssertEqual(away.headers["x-for"], "all")
        let named = first.url.replacingOccurrences(of: "http://", with: "http://us%20er:wo%3Ard@") + "here"
        let outcome = await outcome(try request(named))
        XCTAssertTrue(outcome.hasPrefix("200"), outcome)
        XCTAssertEqual(first.seen.last?.headers["authorization"], "Basic \(Data("us er:wo:rd".utf8).base64EncodedString())")
    }

    func testCookiesAreKeptAndSentWhereTheAppHasThem() async throws {
        let server = server { seen in
            switch seen.target {
            case "/login":
                [answer(302, ["Set-Cookie: id=7; Path=/; Expires=Wed, 01 Jan 2125 00:00:00 GMT", "Set-Cookie: b=2; Path=/", "Location: /home"])]
            case "/logout": [answer(200, ["Set-Cookie: id=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"])]
            default: [answer(200, [], (seen.headers["cookie"] ?? "none").split(separator: "; ").sorted().joined(separator: "; "))]
            }
        }
        for path in ["home", "login"] {
            let without = await outcome(try request(server.url + path))
            XCTAssertEqual(without, "200 /home none")
        }
        // Of a session's own, as an app has it.
        let storage = try XCTUnwrap(URLSessionConfiguration.ephemeral.httpCookieStorage)
        TwinpathURLProtocol.cookies = storage
        for (path, expected) in [("login", "b=2; id=7"), ("home", "b=2; id=7"), ("logout", ""), ("home", "b=2")] {
            let data = try await session(storage).data(for: request(server.url + path)).0
            XCTAssertEqual(String(decoding: data, as: UTF8.self), expected, path)
        }
        let bare = await outcome(
            try request("\(server.url)home") {
                $0.httpShouldHandleCookies = false
                $0.setValue("own=1", forHTTPHeaderField: "Cookie")
            })
        XCTAssertEqual(bare, "200 /home own=1")
        let url = try XCTUnwrap(URL(string: server.url))
        XCTAssertEqual(storage.cookies(for: url)?.map(\.name), ["b"])
    }

    func testWhatBringsNothingForTooLongEnds() async throws {
        let server = server { seen in
            switch seen.target {
            case "/never": return []
            case "/stalls": return ["HTTP/1.1 200 so\r\nContent-Length: 100\r\n\r\nstart"]
            default:
                usleep(400_000)
                return ["HTTP/1.1 200 so\r\nContent-Length: 4\r\n\r\nsl"] + { usleep(400_000); return ["ow"] }()
            }
        }
        for path in ["never", "stalls"] {
            var ended = ""
            let took = try await milliseconds {
                ended = await outcome(try request(server.url + path) { $0.timeoutInterval = 0.6 })
            }
            XCTAssertEqual(ended, "error \(URLError.Code.timedOut.rawValue)", path)
            XCTAssertTrue((550...3000).contains(took), "\(path): \(took)")
        }
        let slow = await outcome(try request("\(server.url)slow") { $0.timeoutInterval = 5 })
        XCTAssertEqual(slow, "200 /slow slow")
    }

    func testABodyMayTakeLongerThanItsAnswer() async throws {
        // More than two seconds at what the link carries.
        let outcome = await outcome(
            try request("\(Lab.http)apply?id=long") {
                $0.httpMethod = "PUT"
                $0.httpBody = Data(count: 10_000_000)
                $0.timeoutInterval = 1.5
            })
        XCTAssertEqual(outcome, "200 /apply 10000000 bytes")
    }

    func testWhatMayOnlyComeFromTheCacheAsksNobody() async throws {
        let server = server { _ in [answer(200)] }
        let outcome = await outcome(try request(server.url) { $0.cachePolicy = .returnCacheDataDontLoad })
        XCTAssertEqual(outcome, "error \(URLError.Code.resourceUnavailable.rawValue)")
        XCTAssertEqual(server.seen, [])
    }

    func testARefusalForWantOfCredentialsIsAnAnswer() async throws {
        let server = server { seen in [answer(401, ["WWW-Authenticate: \(seen.target.dropFirst())"], "who?")] }
        for scheme in ["Basic%20realm=x", "Digest%20realm=x", "Bearer", "Negotiate,Basic%20realm=x"] {
            let path = scheme.replacingOccurrences(of: "%20", with: "+")
            let outcome = await outcome(try request(server.url + path))
            XCTAssertTrue(outcome.hasPrefix("401"), outcome)
        }
    }

    func testATaskThatIsSuspendedGoesOnWhereItWasAndTheRequestIsMadeOnce() async throws {
        let server = server { _ in
            usleep(200_000)
            return [answer(200, [], "done")]
        }
        let url = try XCTUnwrap(URL(string: server.url))
        for suspended in [50, 300] {
            let ended = expectation(description: "it ends")
            let task = session().dataTask(with: url) { data, _, error in
                XCTAssertNil(error)
                XCTAssertEqual(data, Data("done".utf8))
                ended.fulfill()
            }
            task.resume()
            try await pause(suspended / 2)
            task.suspend()
            try await pause(suspended)
            XCTAssertEqual(task.state, .suspended)
            task.resume()
            await fulfillment(of: [ended], timeout: 10)
        }
        XCTAssertEqual(server.seen.count, 2)
    }

    func testADelegateIsToldInOrderAndMayCancelWheneverItIs() async throws {
        let server = server { seen in
            switch seen.target {
            case "/whole": [answer(200, [], "hello")]
            case "/begun": ["HTTP/1.1 200 so\r\nContent-Length: 5\r\n\r\nhe"]
            default: []
            }
        }
        for (path, at, expected) in [
            ("whole", nil, ["response", "data hello", "end 0"]), ("begun", "response", ["response", "end -999"]),
            ("never", "start", ["end -999"]),
        ] {
            let url = try XCTUnwrap(URL(string: server.url + path))
            for ours in [false, true] {
                let ended = expectation(description: "it ends")
                let listener = Listener(cancelling: at) { ended.fulfill() }
                let configuration = URLSessionConfiguration.ephemeral
                if ours { configuration.protocolClasses = [TwinpathURLProtocol.self] }
                let session = URLSession(configuration: configuration, delegate: listener, delegateQueue: nil)
                let task = session.dataTask(with: url)
                task.resume()
                if at == "start" { task.cancel() }
                await fulfillment(of: [ended], timeout: 10)
                session.finishTasksAndInvalidate()
                // The body of what is cancelled may be under way.
                let told = listener.told.filter { at != "response" || !$0.hasPrefix("data") }
                XCTAssertEqual(told, expected, "\(at ?? "never") \(ours)")
            }
        }
    }
}

private final class Listener: NSObject, URLSessionDataDelegate, @unchecked Sendable {
    private let lock = NSLock()
    private var words: [String] = []
    private let cancelling: String?
    private let atEnd: @Sendable () -> Void
    var told: [String] { lock.withLock { words } }

    init(cancelling: String?, atEnd: @escaping @Sendable () -> Void) {
        (self.cancelling, self.atEnd) = (cancelling, atEnd)
    }

    func urlSession(
        _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
        completionHandler: @escaping (URLSession.ResponseDisposition) -> Void
    ) {
        lock.withLock { words.append("response") }
        if cancelling == "response" { dataTask.cancel() }
        completionHandler(.allow)
    }

    func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
        lock.withLock { words.append("data \(String(decoding: data, as: UTF8.self))") }
    }

    func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) {
        lock.withLock { words.append("end \((error as? URLError)?.code.rawValue ?? 0)") }
        atEnd()
    }
}
