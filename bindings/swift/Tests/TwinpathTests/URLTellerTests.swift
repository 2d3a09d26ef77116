import Foundation
import XCTest

@testable import Twinpath

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Where and when a client of `URLProtocol` is told what becomes of a request.
final class URLTellerTests: LabTestCase {
    override func setUpWithError() throws {
        TwinpathURLProtocol.client = try TwinpathHTTPClient(TwinpathConnector(anyServer()))
    }

    override func tearDown() {
        TwinpathURLProtocol.client = nil
        super.tearDown()
    }

    func testAClientIsToldOnTheThreadThatStartedLoadingByItsRunLoop() throws {
        for (path, last) in [("file?size=300000", "end"), ("redirect?to=file%3Fsize%3D10", "end"), ("redirect?to=ftp:x", "failure")] {
            let loader = try Loader(Lab.http + path)
            loader.run { $0.ends() }
            XCTAssertEqual(loader.told.last, last, path)
            XCTAssertEqual(loader.told.dropLast().last, last == "end" ? "data" : nil)
            XCTAssertFalse(loader.wasToldElsewhere)
        }
    }

    func testNothingIsToldWhereNobodyListensYet() throws {
        let loader = try Loader("\(Lab.http)file?size=10")
        loader.run {
            // The answer is there by then.
            Thread.sleep(forTimeInterval: 0.5)
            XCTAssertEqual($0.told, [])
            $0.ends()
        }
        XCTAssertEqual(loader.told.last, "end")
    }

    func testNothingIsToldOnceLoadingWasStopped() throws {
        // By the client itself, in the middle of being told.
        let own = try Loader("\(Lab.http)file?size=300000")
        own.stopsAtTheResponse = true
        own.run { $0.listens(for: 0.3) }
        XCTAssertEqual(own.told, ["response"])
        // While something waits to be told.
        let waiting = try Loader("\(Lab.http)file?size=10")
        waiting.run {
            Thread.sleep(forTimeInterval: 0.3)
            $0.stops()
            $0.listens(for: 0.2)
        }
        XCTAssertEqual(waiting.told, [])
        // Before there is an answer, and at once.
        for delay in [0, 0.1] {
            let early = try Loader("\(Lab.http)file?size=10&head=20000")
            early.run {
                $0.listens(for: delay)
                $0.stops()
                $0.listens(for: 0.1)
            }
            XCTAssertEqual(early.told, [])
        }
    }

    func testAnEndFromAnyThreadIsTheLastThatIsHeard() async {
        for round in 0..<200 {
            let teller = Teller { teller in DispatchQueue.global().async { teller.serve() } }
            let over = Counter()
            let heard = Counter()
            let telling = Task {
                for _ in 0..<50 {
                    await teller.tell {
                        XCTAssertEqual(over.value, 0)
                        heard.add()
                    }
                }
            }
            while heard.value < round % 40 { await Task.yield() }
            teller.end()
            over.add()
            // Whoever tells does not wait for ever.
            await telling.value
        }
    }
}

private final class Counter: @unchecked Sendable {
    private let lock = NSLock()
    private var count = 0
    var value: Int { lock.withLock { count } }
    func add() { lock.withLock { count += 1 } }
}

/// A protocol as the system's loader has it: on a thread with a run loop.
private final class Loader: NSObject, URLProtocolClient, @unchecked Sendable {
    // Of the thread.
    private(set) var told: [String] = []
    private(set) var wasToldElsewhere = false
    var stopsAtTheResponse = false
    private var thread: Thread?
    private var loading: TwinpathURLProtocol?
    private let request: URLRequest

    init(_ url: String) throws {
        request = URLRequest(url: try XCTUnwrap(URL(string: url)))
    }

    /// Starts loading on a thread of its own, and does that there.
    func run(_ act: @escaping @Sendable (Loader) -> Void) {
        let done = DispatchSemaphore(value: 0)
        Thread.detachNewThread { [self] in
            thread = Thread.current
            loading = TwinpathURLProtocol(request: request, cachedResponse: nil, client: self)
            loading?.startLoading()
            act(self)
            loading = nil
            done.signal()
        }
        done.wait()
    }

    func stops() { loading?.stopLoading() }

    func ends() {
        let limit = Date(timeIntervalSinceNow: 20)
        while told.last != "end", told.last != "failure", limit.timeIntervalSinceNow > 0 { listens(for: 0.05) }
    }

    /// A run loop that has nothing to do returns at once, and one that has done something as well.
    func listens(for seconds: TimeInterval) {
        let end = Date(timeIntervalSinceNow: seconds)
        let timer = Timer(timeInterval: seconds + 1, repeats: false) { _ in }
        RunLoop.current.add(timer, forMode: .default)
        defer { timer.invalidate() }
        while end.timeIntervalSinceNow > 0 { _ = RunLoop.current.run(mode: .default, before: end) }
    }

    private func say(_ what: String) {
        wasToldElsewhere = wasToldElsewhere || Thread.current != thread
        told.append(what)
    }

    func urlProtocol(_ p: URLProtocol, wasRedirectedTo request: URLRequest, redirectResponse: URLResponse) { say("redirect") }
    func urlProtocol(_ p: URLProtocol, cachedResponseIsValid cachedResponse: CachedURLResponse) { say("cached") }
    func urlProtocol(_ p: URLProtocol, didReceive response: URLResponse, cacheStoragePolicy policy: URLCache.StoragePolicy) {
        say("response")
        if stopsAtTheResponse { stops() }
    }
    func urlProtocol(_ p: URLProtocol, didLoad data: Data) { say("data") }
    func urlProtocolDidFinishLoading(_ p: URLProtocol) { say("end") }
    func urlProtocol(_ p: URLProtocol, didFailWithError error: any Error) { say("failure") }
    func urlProtocol(_ p: URLProtocol, didReceive challenge: URLAuthenticationChallenge) { say("challenge") }
    func urlProtocol(_ p: URLProtocol, didCancel challenge: URLAuthenticationChallenge) { say("no challenge") }
}
