import Foundation

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// A request of `URLSession`'s on its way, and its answer.
struct URLLoading: Sendable {
    /// Something that `URLSession` is told.
    typealias Word = @Sendable (URLProtocol, any URLProtocolClient) -> Void

    let request: URLRequest
    let client: TwinpathHTTPClient?
    let cookies: Unchecked<HTTPCookieStorage>?
    let isServed: Bool
    let teller: Teller
    /// Says a word, where the teller has it said.
    let say: @Sendable (Word) -> Void

    func run() async {
        do {
            try await load()
            await tell { $1.urlProtocolDidFinishLoading($0) }
        } catch {
            let told = error is CancellationError ? URLError(.cancelled) : request.wrapped(error)
            await tell { $1.urlProtocol($0, didFailWithError: told) }
        }
        teller.end()
    }

    private func load() async throws {
        guard let client else { throw TwinpathError(.closed, "there is no client any more") }
        guard isServed else {
            throw TwinpathError(
                .unsupported, "the body of this task is not known here: use a data task, with the body in its request")
        }
        guard request.cachePolicy != .returnCacheDataDontLoad else { throw URLError(.resourceUnavailable) }
        var request = request
        if let stream = request.httpBodyStream { request.httpBody = try await Data(reading: stream) }
        var followed = 0
        while true {
            let response = try await client.sendOnce(TwinpathRequest(request, cookies: cookies?.value))
            keepCookies(of: response, for: request)
            guard let head = HTTPURLResponse(response, for: request) else {
                throw TwinpathError(.protocolError, "the answer cannot be told to URLSession")
            }
            guard let next = try request.redirected(by: head) else { return try await pass(on: response, head) }
            #if canImport(FoundationNetworking) && !TWINPATH_STUBS
                // It does not follow what a protocol of somebody else's tells it.
                if client.redirects == 0 { return try await pass(on: response, head) }
                followed += 1
                guard followed <= client.redirects else { throw URLError(.httpTooManyRedirects) }
                request = next
            #else
                // Whoever follows stops this loading; if the delegate refuses, the answer is what it gets.
                followed += 1
                await tell { $1.urlProtocol($0, wasRedirectedTo: next, redirectResponse: head) }
                return try await pass(on: response, head)
            #endif
        }
    }

    private func tell(_ word: @escaping Word) async {
        await teller.tell { [say] in say(word) }
    }

    private func keepCookies(of response: TwinpathResponse, for request: URLRequest) {
        guard let storage = cookies?.value, request.httpShouldHandleCookies, let url = request.url else { return }
        // One by one, for an expiry has commas.
        for header in response.headers where header.name.lowercased() == "set-cookie" {
            let cookies = HTTPCookie.cookies(withResponseHeaderFields: ["Set-Cookie": header.value], for: url)
            storage.setCookies(cookies, for: url, mainDocumentURL: request.mainDocumentURL)
        }
    }

    private func pass(on response: TwinpathResponse, _ head: HTTPURLResponse) async throws {
        await tell { $1.urlProtocol($0, didReceive: head, cacheStoragePolicy: .notAllowed) }
        guard let limit = request.limit else { return try await passBody(of: response, watched: nil) }
        let watch = Watch(limit)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await passBody(of: response, watched: watch) }
            group.addTask { try await watch.expire() }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func passBody(of response: TwinpathResponse, watched watch: Watch?) async throws {
        #if canImport(FoundationNetworking) && !TWINPATH_STUBS
            // It keeps only the last piece for those who wait for all of it.
            var all = Data()
            while let bytes = try await next(of: response, watch) { all.append(bytes) }
            await tell { [all] in $1.urlProtocol($0, didLoad: all) }
        #else
            while let bytes = try await next(of: response, watch) {
                await tell { $1.urlProtocol($0, didLoad: bytes) }
                try Task.checkCancellation()
            }
        #endif
    }

    private func next(of response: TwinpathResponse, _ watch: Watch?) async throws -> Data? {
        watch?.start()
        defer { watch?.rest() }
        return try await response.read(upTo: 4 * piece)
    }
}

/// The time for which nothing comes while something is awaited.
private final class Watch: @unchecked Sendable {
    private let lock = NSLock()
    private let limit: Duration
    private var deadline: ContinuousClock.Instant?

    init(_ limit: Duration) {
        self.limit = limit
    }

    func start() { lock.withLock { deadline = .now + limit } }

    func rest() { lock.withLock { deadline = nil } }

    /// Throws once it was too long.
    func expire() async throws {
        while true {
            let now = ContinuousClock.now
            let next = lock.withLock { deadline ?? now + limit }
            if next <= now { throw URLError(.timedOut) }
            try await Task.sleep(until: next, clock: .continuous)
        }
    }
}
