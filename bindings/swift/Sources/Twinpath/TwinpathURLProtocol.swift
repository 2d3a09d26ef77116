import Foundation

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Has `URLSession`, and what is built upon it, make its requests by Twinpath, towards any web server: when Wi-Fi dies,
/// requests that may be repeated are made again over cellular, downloads go on in their middle, and what is not to be done
/// twice is done once.
///
/// ```swift
/// TwinpathURLProtocol.client = try TwinpathHTTPClient(TwinpathConnector())
/// configuration.protocolClasses = [TwinpathURLProtocol.self]
/// ```
///
/// What the system's own loading does is not reached: its cache, cookie storage, credentials, redirect delegates and
/// background sessions. Redirects and compression are Twinpath's. A body that is a stream is read into memory first, so
/// that it can be sent again. An upload task whose body the system does not hand over fails, and nothing of it is sent. On Linux
/// a body comes in one piece, at its end, and upload and download tasks fail.
public final class TwinpathURLProtocol: URLProtocol {
    private static let shared = Held<TwinpathHTTPClient>()
    private let loading = Held<Task<Void, Never>>()
    private let telling = Telling()

    /// Makes the requests. While there is none, the system makes them.
    public static var client: TwinpathHTTPClient? {
        get { shared.value }
        set { shared.value = newValue }
    }

    override public class func canInit(with request: URLRequest) -> Bool {
        client != nil && ["http", "https"].contains(request.url?.scheme?.lowercased())
    }

    override public class func canonicalRequest(for request: URLRequest) -> URLRequest { request }

    override public func startLoading() {
        guard let client = Self.client else {
            return fail(TwinpathError(.closed, "there is no client any more"))
        }
        let request: TwinpathRequest
        do {
            try checkIsServed()
            request = try TwinpathRequest(self.request)
        } catch {
            return fail(error)
        }
        // It is the protocol's own business that it is told from one task only.
        let me = Unchecked(self)
        loading.value = Task {
            do {
                let response = try await client.send(request)
                me.value.tell(of: response)
                try await me.value.pass(on: response)
                me.value.tellOfEnd()
            } catch {
                me.value.fail(error)
            }
        }
    }

    /// What would go out without its body, or end the app, is refused.
    private func checkIsServed() throws {
        #if canImport(FoundationNetworking)
            // Foundation for Linux tells a protocol nothing of an upload's body, and traps at the end of a download that is not
            // its own.
            let isServed = !(task is URLSessionUploadTask || task is URLSessionDownloadTask)
        #else
            let isServed = !(task is URLSessionUploadTask) || request.httpBody != nil || request.httpBodyStream != nil
        #endif
        guard isServed else {
            throw TwinpathError(
                .unsupported, "the body of this task is not known here: use a data task, with the body in its request")
        }
    }

    override public func stopLoading() {
        telling.end()
        loading.value?.cancel()
    }

    private func tell(of response: TwinpathResponse) {
        let headers = Dictionary(response.headers.map { ($0.name, $0.value) }) { "\($0), \($1)" }
        guard let url = URL(string: response.url),
            let head = HTTPURLResponse(
                url: url, statusCode: response.status, httpVersion: response.version, headerFields: headers)
        else {
            return fail(TwinpathError(.protocolError, "the answer cannot be told to URLSession"))
        }
        telling.unlessOver { client?.urlProtocol(self, didReceive: head, cacheStoragePolicy: .notAllowed) }
    }

    #if canImport(FoundationNetworking)
        // Foundation for Linux keeps only the last piece for those who wait for all of it.
        private func pass(on response: TwinpathResponse) async throws {
            let all = try await response.data(limit: .max)
            telling.unlessOver { client?.urlProtocol(self, didLoad: all) }
        }
    #else
        private func pass(on response: TwinpathResponse) async throws {
            while let bytes = try await response.read(upTo: 4 * piece) {
                try Task.checkCancellation()
                telling.unlessOver { client?.urlProtocol(self, didLoad: bytes) }
            }
        }
    #endif

    private func tellOfEnd() {
        telling.lastly { client?.urlProtocolDidFinishLoading(self) }
    }

    private func fail(_ error: any Error) {
        let told = error is CancellationError ? URLError(.cancelled) : wrapped(error)
        telling.lastly { client?.urlProtocol(self, didFailWithError: told) }
    }

    /// As `URLSession`'s callers know errors, with the typed one below.
    private func wrapped(_ error: any Error) -> any Error {
        guard let error = error as? TwinpathError else { return error }
        let code: URLError.Code =
            switch error.kind {
            case .nameNotFound: .cannotFindHost
            case .refused: .cannotConnectToHost
            case .timedOut: .timedOut
            case .unreachable, .noInterface: .notConnectedToInternet
            case .notPermitted: .serverCertificateUntrusted
            case .invalidInput: .badURL
            case .unsupported: .unsupportedURL
            case .protocolError: .badServerResponse
            default: .networkConnectionLost
            }
        var info: [String: Any] = [NSUnderlyingErrorKey: error, NSLocalizedDescriptionKey: error.message]
        info[NSURLErrorFailingURLErrorKey] = request.url
        return URLError(code, userInfo: info)
    }
}

extension TwinpathRequest {
    fileprivate init(_ request: URLRequest) throws {
        self.init(request.httpMethod ?? "GET", request.url?.absoluteString ?? "")
        headers = (request.allHTTPHeaderFields ?? [:]).map { ($0.key, $0.value) }
        // Whoever wants no limit says infinity, or the greatest number there is: no duration has so many seconds.
        timeout = request.timeoutInterval > 0 ? .seconds(min(request.timeoutInterval, century)) : nil
        if let data = request.httpBody {
            body = .data(data)
        } else if let stream = request.httpBodyStream {
            body = .data(try Data(reading: stream))
        }
    }
}

extension Data {
    fileprivate init(reading stream: InputStream) throws {
        self.init()
        stream.open()
        defer { stream.close() }
        var buffer = [UInt8](repeating: 0, count: piece)
        while true {
            let size = stream.read(&buffer, maxLength: buffer.count)
            guard size >= 0 else {
                throw TwinpathError(.invalidInput, "the body of the request cannot be read")
            }
            if size == 0 { return }
            append(contentsOf: buffer[..<size])
            try RequestBody.checkIsBounded(self)
        }
    }
}

/// Once loading was stopped, or its end was told, nothing may be told any more.
private final class Telling: @unchecked Sendable {
    // Being told may lead to loading being stopped, on the same thread.
    private let lock = NSRecursiveLock()
    private var isOver = false

    func end() { lock.withLock { isOver = true } }

    func unlessOver(_ tell: () -> Void) { lock.withLock { if !isOver { tell() } } }

    /// Nothing is told after this.
    func lastly(_ tell: () -> Void) {
        unlessOver {
            isOver = true
            tell()
        }
    }
}

/// A value that several threads set and get.
private final class Held<Value: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var held: Value?

    var value: Value? {
        get { lock.withLock { held } }
        set { lock.withLock { held = newValue } }
    }
}

/// What Foundation has not marked, and takes from any thread.
private struct Unchecked<Value>: @unchecked Sendable {
    let value: Value

    init(_ value: Value) { self.value = value }
}
