import Foundation
internal import TwinpathCore

/// How TLS is spoken. What is left as it is, is as the platform has it.
public struct TLSOptions: Sendable {
    /// Roots to trust, in PEM.
    public var roots: String?
    /// Whether nobody is trusted but the ``roots``.
    public var onlyTheseRoots = false
    /// Decides whom to trust, besides the ``roots``; the platform if `nil`. Not asked where only the ``roots`` are trusted.
    public var trust: (any ServerTrust)?
    /// SHA-256 of the SubjectPublicKeyInfo of servers' certificates, of which one must fit; any if empty.
    public var pins: [Data] = []
    /// The client's certificate, with those above it, in PEM.
    public var certificate: String?
    /// The key of it, in PEM.
    public var key: String?
    /// Whether TLS 1.2 is not spoken.
    public var onlyTLS13 = false

    public init() {}
}

/// The options of a ``TwinpathHTTPClient``.
public struct TwinpathHTTPOptions: Sendable {
    /// How TLS is spoken.
    public var tls = TLSOptions()
    /// How long a request may take up to the head of its answer; without limit if `nil`.
    public var timeout: Duration?
    /// Redirects that are followed at most. With 0, answers are handed over as they are: those that ask to come back later as
    /// well, for which the client waits otherwise.
    public var redirects = 10
    /// Whether to ask for compressed answers, which are decompressed.
    public var gzip = true
    /// What to call itself.
    public var userAgent: String?
    /// Connects there, written as `host:port`, whatever host a URL names: to a gateway before a web server.
    public var connectTo: String?
    /// Goes through this proxy, written as `http://host:port`; through none if empty, through the device's if `nil`.
    public var proxy: String?
    /// The time after which a slow request goes over the backup as well, with ``ServiceType/interactive``.
    public var hedgeAfter: Duration?

    public init() {}
}

/// Requests with cellular backup, to any web server: what may be repeated is sent again over the other path, and downloads
/// go on in their middle.
public final class TwinpathHTTPClient: Sendable {
    private let core: HttpClient
    private let connector: TwinpathConnector
    private let options: TwinpathHTTPOptions
    /// The same without redirects, made when it is first asked for.
    private let plain = Held<HttpClient>()

    public init(_ connector: TwinpathConnector, options: TwinpathHTTPOptions = .init()) throws {
        core = try options.client(over: connector)
        (self.connector, self.options) = (connector, options)
    }

    /// Redirects that are followed at most.
    var redirects: Int { options.redirects }

    /// Sends a request, and hands over whatever is answered, a redirect included.
    func sendOnce(_ request: TwinpathRequest) async throws -> TwinpathResponse {
        let core = try plain.made {
            var options = options
            options.redirects = 0
            return try options.client(over: connector)
        }
        let request = try request.core()
        let answer = try await cancellable { try await core.send(request: request, cancellation: $0) }
        return try TwinpathResponse(answer)
    }

    /// Sends a request and waits for the head of the answer, whatever its status. When the task is cancelled, the server
    /// may have processed it.
    public func send(_ request: TwinpathRequest) async throws -> TwinpathResponse {
        let (core, request) = (core, try request.core())
        let answer = try await cancellable { try await core.send(request: request, cancellation: $0) }
        return try TwinpathResponse(answer)
    }

    /// A GET request.
    public func get(_ url: String) async throws -> TwinpathResponse {
        try await send(TwinpathRequest("GET", url))
    }
}

extension TwinpathHTTPOptions {
    fileprivate func client(over connector: TwinpathConnector) throws -> HttpClient {
        try translated {
            guard let trust = tls.trust else {
                return try HttpClient(connector: connector.core, options: core())
            }
            return try HttpClient.withTrust(connector: connector.core, options: core(), trust: CalledTrust(trust))
        }
    }

    fileprivate func core() throws -> HttpOptions {
        guard let redirects = UInt32(exactly: redirects) else {
            throw TwinpathError(.invalidInput, "redirects are not negative")
        }
        return HttpOptions(
            tls: TlsOptions(
                roots: tls.roots,
                onlyTheseRoots: tls.onlyTheseRoots,
                pins: tls.pins,
                certificate: tls.certificate,
                key: tls.key,
                onlyTls13: tls.onlyTLS13,
                protocols: []
            ),
            timeout: timeout?.interval,
            redirects: redirects,
            gzip: gzip,
            userAgent: userAgent,
            connectTo: connectTo,
            proxy: proxy,
            hedgeAfter: hedgeAfter?.interval
        )
    }
}
