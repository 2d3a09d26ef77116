import Foundation

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

// What URLSession says, in the words of this package, and the other way round.

extension TwinpathRequest {
    init(_ request: URLRequest, cookies: HTTPCookieStorage?) throws {
        self.init(request.httpMethod ?? "GET", request.url?.absoluteString ?? "")
        var fields = request.allHTTPHeaderFields ?? [:]
        func has(_ name: String) -> Bool { fields.keys.contains { $0.lowercased() == name.lowercased() } }
        func remove(_ name: String) {
            for key in fields.keys where key.lowercased() == name.lowercased() { fields[key] = nil }
        }
        // Whatever kinds of compression a caller of URLSession says that it takes, it expects none.
        if request.value(forHTTPHeaderField: "Accept-Encoding")?.lowercased() != "identity" { remove("Accept-Encoding") }
        if let url = request.url, let cookies, request.httpShouldHandleCookies {
            let own = HTTPCookie.requestHeaderFields(with: cookies.cookies(for: url) ?? [])
            if let value = own["Cookie"], !value.isEmpty {
                remove("Cookie")
                fields["Cookie"] = value
            }
        }
        if !has("Authorization"), let url = request.url, let user = url.user {
            let name = user.removingPercentEncoding ?? user
            let word = url.password.map { $0.removingPercentEncoding ?? $0 } ?? ""
            fields["Authorization"] = "Basic \(Data("\(name):\(word)".utf8).base64EncodedString())"
        }
        // As URLSession's own loading has them.
        if !has("Accept") { fields["Accept"] = "*/*" }
        if !has("Accept-Language"), !languages.isEmpty { fields["Accept-Language"] = languages }
        headers = fields.map { ($0.key, $0.value) }
        let data = request.httpBody ?? Data()
        // It is to be answered in time, and not to be sent in that.
        timeout = request.limit.map { $0 + .seconds(data.count / slowest) }
        if request.httpBody != nil { body = .data(data) }
    }
}

/// Bytes in a second that a body takes at worst.
private let slowest = 16 * 1024

/// What the user reads, the best first.
private let languages = Locale.preferredLanguages.prefix(6).enumerated().map { place, language in
    place == 0 ? language : "\(language);q=\(1 - Double(place) / 10)"
}.joined(separator: ", ")

extension URLRequest {
    /// How long something may take to come. Whoever wants no limit says infinity, or the greatest number there is: no duration
    /// has so many seconds.
    var limit: Duration? { timeoutInterval > 0 ? .seconds(min(timeoutInterval, century)) : nil }

    /// The request that an answer redirects to (RFC 9110, section 15.4); `nil` if it is none that does.
    func redirected(by answer: HTTPURLResponse) throws -> URLRequest? {
        guard let location = answer.value(forHTTPHeaderField: "Location"), let from = url,
            let to = URL(string: location, relativeTo: from)?.absoluteURL
        else { return nil }
        let method = httpMethod ?? "GET"
        let keepsMethod: Bool
        switch answer.statusCode {
        case 301, 302: keepsMethod = method != "POST"
        case 303: keepsMethod = ["GET", "HEAD"].contains(method)
        case 307, 308: keepsMethod = true
        default: return nil
        }
        let schemes = [from.scheme?.lowercased(), to.scheme?.lowercased()]
        guard ["http", "https"].contains(schemes[1]) else { throw URLError(.unsupportedURL) }
        if schemes == ["https", "http"] { throw URLError(.appTransportSecurityRequiresSecureConnection) }
        var next = self
        next.httpBodyStream = nil
        next.httpBody = keepsMethod ? httpBody : nil
        next.url = to.fragment == nil ? to.with(fragment: from.fragment) : to
        if !keepsMethod {
            next.httpMethod = "GET"
            for name in ["Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding"] {
                next.setValue(nil, forHTTPHeaderField: name)
            }
        }
        next.setValue(nil, forHTTPHeaderField: "Host")
        if from.origin != to.origin {
            for name in ["Authorization", "Cookie", "Proxy-Authorization"] {
                next.setValue(nil, forHTTPHeaderField: name)
            }
        }
        return next
    }

    /// As `URLSession`'s callers know errors, with the typed one below.
    func wrapped(_ error: any Error) -> any Error {
        var info: [String: Any] = [:]
        info[NSURLErrorFailingURLErrorKey] = url
        if let error = error as? URLError { return URLError(error.code, userInfo: info) }
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
        info[NSUnderlyingErrorKey] = error
        info[NSLocalizedDescriptionKey] = error.message
        return URLError(code, userInfo: info)
    }
}

extension URL {
    fileprivate var origin: [String?] {
        let scheme = scheme?.lowercased()
        return [scheme, host?.lowercased(), "\(port ?? (scheme == "https" ? 443 : 80))"]
    }

    fileprivate func with(fragment: String?) -> URL {
        guard let fragment, var parts = URLComponents(url: self, resolvingAgainstBaseURL: true) else { return self }
        parts.percentEncodedFragment = fragment
        return parts.url ?? self
    }
}

extension HTTPURLResponse {
    convenience init?(_ response: TwinpathResponse, for request: URLRequest) {
        var headers = Dictionary(response.headers.map { ($0.name, $0.value) }) { "\($0), \($1)" }
        #if canImport(FoundationNetworking) && !TWINPATH_STUBS
            // By it Foundation would ask for credentials, and go on without this protocol; of kinds other than Basic and Digest it
            // would end the app, and for want of credentials never answer.
            if response.status == 401 {
                headers = headers.filter { $0.key.lowercased() != "www-authenticate" }
            }
        #endif
        guard let url = request.url else { return nil }
        self.init(url: url, statusCode: response.status, httpVersion: response.version, headerFields: headers)
    }
}

extension Data {
    /// All of a stream. It may be slow: whoever fills it has the thread of the caller to itself.
    init(reading stream: InputStream) async throws {
        let stream = Unchecked(stream)
        self = try await withCheckedThrowingContinuation { done in
            DispatchQueue.global().async { done.resume(with: Result { try Data(draining: stream.value) }) }
        }
    }

    private init(draining stream: InputStream) throws {
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
